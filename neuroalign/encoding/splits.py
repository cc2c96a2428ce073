"""Training and test rows of a time series: contiguous blocks with a purge, runs, shuffled by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import InvalidValueError, ShapeError

__all__ = [
    "Splits",
    "check_splits",
    "contiguous_splits",
    "is_shuffled",
    "leave_one_run_out",
    "shuffled_splits",
]

Splits = list[tuple[np.ndarray, np.ndarray]]
SHORT_BLOCK = 5


def contiguous_splits(rows: Any, n_splits: int, *, purge: int = 0) -> Splits:
    """Return folds whose test rows are one block each, with ``purge`` rows left out of training beside it.

    Parameters
    ----------
    rows : int or array (n_times,)
        How many rows, or the run of each row; given the runs, rows are purged within the runs of the test
        block only.
    n_splits : int
        Number of blocks, at least 2; their sizes differ by at most 1.
    purge : int
        Rows on either side of the test block that are in neither part: largest delay plus the length of the
        haemodynamic response.

    Returns
    -------
    list of (train, test)
        Row numbers in order of time. Every row is tested once. For nested choices, split ``train`` again, as
        ``RidgeCV`` does.

    Raises
    ------
    InvalidValueError
        If there are fewer rows than splits, or a purge leaves no row to train on.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in contiguous_splits(6, 3, purge=1)]
    [([3, 4, 5], [0, 1]), ([0, 5], [2, 3]), ([0, 1, 2], [4, 5])]
    """
    runs = _runs(rows)
    n = len(runs)
    _check_count(n_splits, n, "n_splits")
    if isinstance(purge, bool) or not isinstance(purge, int | np.integer) or purge < 0:
        raise InvalidValueError(f"purge must be a non-negative integer; got {purge!r}.")
    splits = []
    for test in np.array_split(np.arange(n), n_splits):
        near = np.arange(max(0, test[0] - purge), min(n, test[-1] + purge + 1))
        near = near[np.isin(runs[near], runs[test])]
        train = np.setdiff1d(np.arange(n), np.union1d(near, test))
        if not len(train):
            raise InvalidValueError(
                f"purge {purge} leaves no training row beside the block of {len(test)} rows."
            )
        splits.append((train, test))
    return splits


def leave_one_run_out(runs: Any) -> Splits:
    """Return one fold a run, in the order in which the runs come.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in leave_one_run_out(["a", "a", "b"])]
    [([2], [0, 1]), ([0, 1], [2])]
    """
    runs = np.asarray(runs)
    if runs.ndim != 1:
        raise ShapeError(f"runs must have shape (n_times,); got {runs.shape}.")
    names = list(dict.fromkeys(runs.tolist()))
    if len(names) < 2:
        raise InvalidValueError(f"leaving one run out needs at least 2 runs; got {names}.")
    return [(np.flatnonzero(runs != name), np.flatnonzero(runs == name)) for name in names]


def shuffled_splits(n: int, n_splits: int, *, rng: np.random.Generator) -> Splits:
    """Return folds of rows drawn at random, for rows that are independent (never those of a time series).

    ``evaluate`` takes them for a time series only with ``shuffled=True``: neighbours in time are alike, so a
    shuffled fold is tested on what it was trained on.
    """
    runs = _runs(n)
    _check_count(n_splits, len(runs), "n_splits")
    if not isinstance(rng, np.random.Generator):
        raise InvalidValueError(f"rng must be a numpy.random.Generator; got {type(rng).__name__}.")
    parts = [np.sort(part) for part in np.array_split(rng.permutation(len(runs)), n_splits)]
    return [(np.setdiff1d(np.arange(len(runs)), part), part) for part in parts]


def check_splits(splits: Iterable[Any], n: int) -> Splits:
    """Return splits as pairs of index arrays, after checking that they are folds of ``n`` rows.

    Raises
    ------
    InvalidValueError
        If a fold is no pair, a part is empty, a row number is out of range or repeated, or a row is in both.
    """
    found: Splits = []
    for k, pair in enumerate(splits):
        if len(pair) != 2:
            raise InvalidValueError(f"splits: fold {k} must be a pair (train, test); got {len(pair)} parts.")
        train, test = (np.asarray(part) for part in pair)
        for part, name in ((train, "training"), (test, "test")):
            if part.ndim != 1 or part.dtype.kind not in "iu" or not part.size:
                raise InvalidValueError(f"splits: fold {k} needs {name} row numbers; got {part!r}.")
            if part.min() < 0 or part.max() >= n or len(np.unique(part)) != len(part):
                raise InvalidValueError(
                    f"splits: {name} rows of fold {k} must be unique and 0 to {n - 1}; got {part.min()} to "
                    f"{part.max()}."
                )
        both = np.intersect1d(train, test)
        if both.size:
            raise InvalidValueError(
                f"splits: {both.size} rows of fold {k} are trained and tested on: {both[:5]}."
            )
        found.append((train, test))
    if not found:
        raise InvalidValueError("splits must hold at least one fold; got none.")
    return found


def is_shuffled(test: np.ndarray) -> bool:
    """Return whether test rows are scattered: more than one block, shorter than 5 rows on average."""
    n_blocks = 1 + int((np.diff(np.sort(test)) > 1).sum())
    return n_blocks > 1 and len(test) < SHORT_BLOCK * n_blocks


def _runs(rows: Any) -> np.ndarray:
    runs = np.asarray(rows)
    if runs.ndim == 0:
        if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 2:
            raise InvalidValueError(
                f"rows must be an integer of at least 2 or an array of runs; got {rows!r}."
            )
        return np.zeros(int(rows), dtype=np.int64)
    if runs.ndim != 1:
        raise ShapeError(f"runs must have shape (n_times,); got {runs.shape}.")
    return runs


def _check_count(n_splits: int, n: int, name: str) -> None:
    if isinstance(n_splits, bool) or not isinstance(n_splits, int | np.integer) or not 2 <= n_splits <= n:
        raise InvalidValueError(
            f"{name} must be an integer from 2 to the number of rows {n}; got {n_splits!r}."
        )
