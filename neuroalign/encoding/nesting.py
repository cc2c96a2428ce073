"""Folds of groups, folds within folds, and the purge of both: nothing near a test row is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import InvalidValueError, ShapeError, listing
from .splits import Splits, check_splits

__all__ = ["group_splits", "nested_splits", "purge_splits"]


def group_splits(groups: Any, n_splits: int, *, runs: Any = None, purge: int = 0) -> Splits:
    """Return folds that test whole groups (stories, sessions, subjects), of sizes as even as groups allow.

    Groups go to folds from the largest to the smallest, each to the fold with the fewest rows so far; of
    equal ones the first. With as many folds as groups each group is a fold.

    Parameters
    ----------
    groups : array (n_times,)
        The group of each row.
    n_splits : int
        From 2 to the number of groups.
    runs : array (n_times,), optional
        The run of each row, for the purge; all rows are one run where None.
    purge : int
        Rows of the same run on either side of a test row that are in neither part.

    Returns
    -------
    list of (train, test)
        Row numbers; every row is tested once.

    Raises
    ------
    ShapeError
        If there is not one group a row.
    InvalidValueError
        If a group is missing (NaN or None), there are fewer groups than folds, so that a fold would be empty,
        or a purge leaves no row to train on.

    Examples
    --------
    >>> [test.tolist() for _, test in group_splits(["a", "a", "a", "b", "c", "c"], 2)]
    [[0, 1, 2], [3, 4, 5]]
    """
    groups = _checked_groups(groups)
    names = list(dict.fromkeys(groups.tolist()))
    if isinstance(n_splits, bool) or not isinstance(n_splits, int | np.integer) or n_splits < 2:
        raise InvalidValueError(f"n_splits must be an integer of at least 2; got {n_splits!r}.")
    if n_splits > len(names):
        raise InvalidValueError(
            f"{n_splits} folds need as many groups; got {len(names)} ({listing(names)}), so that "
            f"{n_splits - len(names)} folds would be empty."
        )
    members = sorted((np.flatnonzero(groups == name) for name in names), key=len, reverse=True)
    folds: list[list[np.ndarray]] = [[] for _ in range(n_splits)]
    for rows in members:
        min(folds, key=lambda fold: sum(map(len, fold))).append(rows)
    tests = [np.sort(np.concatenate(fold)) for fold in folds]
    every = np.arange(len(groups))
    return purge_splits([(np.setdiff1d(every, test), test) for test in tests], len(groups), purge, runs=runs)


def nested_splits(
    train: Any,
    n_splits: int,
    *,
    groups: Any = None,
    runs: Any = None,
    purge: int = 0,
    relative: bool = False,
) -> Splits:
    """Return the folds of a fold: training rows split again, so that choices never see an outer test row.

    Parameters
    ----------
    train : array (n_train,) of int
        Row numbers of the outer training rows.
    n_splits : int
        Folds of contiguous blocks of the training rows, or of groups of them.
    groups : array (n_times,), optional
        The group of each row, of all rows and not of the training rows only; groups are tested whole.
    runs : array (n_times,), optional
        The run of each row, of all rows; all rows are one run where None. Rows are purged within runs.
    purge : int
        Rows on either side of an inner test row that are in neither part. Distances are those in the whole
        series: two training rows with the outer test block between them are far apart.
    relative : bool
        Whether rows are numbered by their position in ``train``, as an estimator that is fitted to these rows
        alone (``RidgeCV(cv=...)``) needs them.

    Returns
    -------
    list of (train, test)
        Row numbers, all of them in ``train``.

    Raises
    ------
    InvalidValueError
        As in ``contiguous_splits`` and ``group_splits``, or if row numbers are negative or repeated.
    ShapeError
        If groups or runs end before the last training row.

    Examples
    --------
    >>> for inner, test in nested_splits([0, 1, 2, 3, 8, 9], 3, purge=1):
    ...     print(inner.tolist(), test.tolist())
    [3, 8, 9] [0, 1]
    [0, 8, 9] [2, 3]
    [0, 1, 2, 3] [8, 9]
    """
    given = np.asarray(train)
    if given.ndim != 1 or given.dtype.kind not in "iu" or not given.size:
        raise InvalidValueError(f"train must be row numbers (n_train,); got {given!r}.")
    rows = np.unique(given)
    if rows[0] < 0 or len(rows) != len(given):
        raise InvalidValueError("train must be row numbers of at least 0, none twice.")
    n = int(rows[-1]) + 1
    if groups is None:
        whole = isinstance(n_splits, int | np.integer) and not isinstance(n_splits, bool)
        if not whole or not 2 <= n_splits <= len(rows):
            raise InvalidValueError(
                f"n_splits must be an integer from 2 to the {len(rows)} training rows; got {n_splits!r}."
            )
        tests = np.array_split(rows, n_splits)
    else:
        of_train = _covering(groups, n, "groups")[rows]
        tests = [rows[test] for _, test in group_splits(of_train, n_splits)]
    runs = None if runs is None else _covering(runs, n, "runs")
    splits = purge_splits([(np.setdiff1d(rows, test), test) for test in tests], n, purge, runs=runs)
    if not relative:
        return splits
    place = np.zeros(n, dtype=np.intp)
    place[given] = np.arange(len(given))
    return [(place[inner], place[test]) for inner, test in splits]


def purge_splits(splits: Iterable[Any], n: int, purge: int, *, runs: Any = None) -> Splits:
    """Return splits of ``n`` rows without the training rows near a test row of the same run.

    Parameters
    ----------
    splits : list of (train, test)
    n : int
        Rows of the whole series, in order of time.
    purge : int
        A training row is dropped where a test row of its run is at most this many rows of the run away.
    runs : array (n_times,), optional
        At least ``n`` long; all rows are one run where None.

    Raises
    ------
    InvalidValueError
        If the purge is no non-negative integer, or leaves a fold no row to train on.

    Examples
    --------
    >>> splits = purge_splits([([0, 1, 4, 5], [2, 3])], 6, 1, runs=["a", "a", "a", "a", "b", "b"])
    >>> [(train.tolist(), test.tolist()) for train, test in splits]
    [([0, 4, 5], [2, 3])]
    """
    if isinstance(purge, bool) or not isinstance(purge, int | np.integer) or purge < 0:
        raise InvalidValueError(f"purge must be a non-negative integer; got {purge!r}.")
    known = np.zeros(n, dtype=np.int64) if runs is None else _covering(runs, n, "runs")[:n]
    found: Splits = []
    for k, (train, test) in enumerate(check_splits(splits, n)):
        kept = train[~_near(test, known, int(purge))[train]]
        if not len(kept):
            raise InvalidValueError(
                f"purge {purge} leaves fold {k} no training row beside its {len(test)} test rows."
            )
        found.append((kept, test))
    return found


def _near(test: np.ndarray, runs: np.ndarray, purge: int) -> np.ndarray:
    """Return which rows are at most ``purge`` rows of their run away from a test row (n_times,)."""
    tested = np.zeros(len(runs), dtype=np.int64)
    tested[test] = 1
    near = np.zeros(len(runs), dtype=bool)
    for run in dict.fromkeys(runs[test].tolist()):
        rows = np.flatnonzero(runs == run)
        before = np.concatenate([[0], np.cumsum(tested[rows])])
        at = np.arange(len(rows))
        first, last = np.maximum(at - purge, 0), np.minimum(at + purge + 1, len(rows))
        near[rows] = before[last] > before[first]
    return near


def _checked_groups(groups: Any) -> np.ndarray:
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ShapeError(f"groups must have shape (n_times,); got {groups.shape}.")
    missing = np.array([group is None or group != group for group in groups.tolist()], dtype=bool)
    if missing.any():
        raise InvalidValueError(
            f"every row needs a group; {int(missing.sum())} of {len(groups)} have none, the first is row "
            f"{int(np.argmax(missing))}."
        )
    return groups


def _covering(values: Any, n: int, name: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or len(values) < n:
        raise ShapeError(f"{name} must be given for all rows, at least {n}; got shape {values.shape}.")
    return values
