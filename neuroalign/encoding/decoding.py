"""Decoding: how well labels of presentations can be read from responses, at each time and across times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import gammaln
from sklearn.base import is_classifier, is_regressor

from ..arrays import as_float
from ..errors import InvalidValueError, choice
from ..stats import fdr, max_p, p_value, permutation
from .decoding_metrics import CLASS_METRICS, DECODING_METRICS, VALUE_METRICS, chance_level
from .decoding_time import Task, scores_in_time
from .presentations import Rows, along_rows, arranged, checked_labels, group_codes, own_splits
from .selection import mean_over_folds
from .splits import Splits

__all__ = ["decode", "temporal_decoding"]

# Permutations within folds are kept to where they leave so many arrangements of the labels.
FEWEST_ARRANGEMENTS = 1000


def decode(
    responses: xr.DataArray,
    labels: Any,
    estimator: Any = None,
    *,
    splits: Any = None,
    groups: Any = None,
    metric: str = "balanced-accuracy",
    over: str | None = "time",
    window: float | None = None,
    n_permutations: int | None = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Return how well a decoder of each time reads the labels of presentations that it never saw.

    In each fold and at each time a clone of the estimator is fitted to the training presentations, with all
    that it does (standardisation, selection of neuroids); nothing is computed from all presentations.

    Parameters
    ----------
    responses : DataArray (presentation, neuroid, time)
        Finite; several presentations a class. The dim ``stimulus`` may stand for ``presentation``; of
        (stimulus, neuroid, repetition, time) each repetition is a presentation. Other dims (subject) are
        decoded one by one, with the same labels and folds.
    labels : str or array (n_presentations,)
        A coordinate of the presentations, or what is to be decoded.
    estimator : estimator, optional
        Any classifier or regressor of scikit-learn, pipelines too; never fitted itself. Where None,
        ``discriminants.default_decoder``: standardised neuroids, linear discriminants with a shrunk
        covariance, all classes equally likely; fitted at all times at once.
    splits : list of (train, test), optional
        One fold a group where None: leave one run, repetition or subject out. See ``stratified_splits``.
    groups : str or array (n_presentations,), optional
        What must not be on both sides of a split: runs, blocks, items, subjects. Where None, the coordinate
        ``run``, if there is one; splits that are given are then not checked against it.
    metric : str
        ``"balanced-accuracy"`` (the mean over classes, which no guessing of the larger class raises),
        ``"accuracy"``, ``"auc"``; for a regressor ``"pearson"``, ``"spearman"``, ``"r2"`` or
        ``"explained_variance"``.
    over : {"time", None}
        A decoder a time, or one decoder of all neuroids at all times.
    window : float, optional
        Seconds that responses are averaged over first, in windows that do not overlap.
    n_permutations : int, optional
        Permutations of the labels, for p: within groups; of whole groups where each has one label; of all
        where there are no groups. Everything is fitted again, on the same folds. The order of presentations
        within a group must have been random. Where every fold has its share of every class, as
        ``stratified_splits`` makes them, labels or those of whole groups are permuted within folds, so that
        permuted labels keep that (if it leaves 1,000 arrangements): else a decoder that learns how frequent
        classes are falls below chance for permuted labels only.
    rng : numpy.random.Generator, optional
        Of the permutations.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Dataset
        ``score`` (..., fold, time): time is the middle of a window. NaN where a fold lacks a class;
        ``attrs["n_undefined"]`` counts these. ``n_train`` and ``n_test`` (fold, class), presentations. With
        permutations, for the mean over folds: ``p``, ``p_max`` (against the largest score over all times of
        each permutation, which controls the family-wise error), ``p_fdr``, and ``null``, the mean of the
        permuted scores (..., time). ``attrs`` of the dataset: metric, decoder, ``chance`` (the score of
        always answering the class that is most frequent in the training rows; 0 for a regressor) and how
        labels were permuted.

    Raises
    ------
    ShapeError
        If dims or sizes are other ones.
    LabelError
        If a named coordinate is missing.
    InvalidValueError
        If values are not finite, labels or groups are missing, splits share groups, or neither splits nor
        groups are known.

    References
    ----------
    King & Dehaene 2014, Trends Cogn Sci 18:203; Brodersen et al. 2010, ICPR (balanced accuracy); Ojala &
    Garriga 2010, J Mach Learn Res 11:1833 (permuted labels).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kind = np.array(["a", "b"] * 20)
    >>> values = rng.standard_normal((40, 5, 3)) + 3.0 * (kind == "a")[:, None, None] * [0, 1, 1]
    >>> responses = xr.DataArray(values, dims=("presentation", "neuroid", "time"), coords={
    ...     "kind": ("presentation", kind), "run": ("presentation", np.repeat([1, 2, 3, 4], 10))})
    >>> decode(responses, "kind").score.mean("fold").values.round(2).tolist()
    [0.52, 1.0, 1.0]
    """
    work = _prepared(responses, labels, estimator, splits, groups, metric, over, window)
    return _decoded(work, across=False, n=n_permutations, rng=rng, progress=progress)


def temporal_decoding(
    responses: xr.DataArray,
    labels: Any,
    estimator: Any = None,
    *,
    splits: Any = None,
    groups: Any = None,
    metric: str = "balanced-accuracy",
    window: float | None = None,
    n_permutations: int | None = None,
    rng: np.random.Generator | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Return how well the decoder of every time reads the labels at every other time.

    A decoder that works long after its time has found a pattern that lasts; decoders that work at their own
    times only have found patterns that follow one another. Its diagonal is ``decode``.

    Parameters
    ----------
    responses, labels, estimator, splits, groups, metric, window, n_permutations, rng, progress
        As in ``decode``.

    Returns
    -------
    Dataset
        As ``decode``'s, with ``time_train`` and ``time_test`` in place of ``time``; ``p_max`` is over both.

    References
    ----------
    King & Dehaene 2014, Trends Cogn Sci 18:203.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kind = np.array(["a", "b"] * 20)
    >>> values = rng.standard_normal((40, 5, 3)) + 3.0 * (kind == "a")[:, None, None] * [0, 1, 1]
    >>> responses = xr.DataArray(values, dims=("presentation", "neuroid", "time"), coords={
    ...     "kind": ("presentation", kind), "run": ("presentation", np.repeat([1, 2, 3, 4], 10))})
    >>> temporal_decoding(responses, "kind").score.mean("fold").values[1:, 1:].round(2).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    work = _prepared(responses, labels, estimator, splits, groups, metric, "time", window)
    return _decoded(work, across=True, n=n_permutations, rng=rng, progress=progress)


class _Work(NamedTuple):
    """What is decoded, checked."""

    rows: Rows
    y: np.ndarray  # numbers of classes, or values
    classes: np.ndarray | None
    groups: np.ndarray | None
    splits: Splits
    estimator: Any
    metric: str
    window: float | None

    def task(self, i: int, across: bool) -> Task:
        return Task(self.rows.values[i], self.classes, self.splits, self.estimator, self.metric, across)


def _prepared(
    responses: Any,
    labels: Any,
    estimator: Any,
    splits: Any,
    groups: Any,
    metric: str,
    over: str | None,
    window: float | None,
) -> _Work:
    if metric not in DECODING_METRICS:
        raise choice(metric, DECODING_METRICS, name="metric")
    _check_kind(estimator, metric)
    rows = arranged(responses, over=over, window=window)
    given = along_rows(rows, labels, "labels")
    if metric in CLASS_METRICS:
        y, classes = checked_labels(given)
    else:
        y, classes = as_float(given, name="labels", ndim=1), None
    named = groups is not None
    if not named and "run" in rows.array.coords and rows.array["run"].dims == (rows.row,):
        groups = "run"
    codes = None if groups is None else group_codes(along_rows(rows, groups, "groups"), len(y))
    folds = own_splits(splits, codes, len(y), strict=named)
    return _Work(rows, y, classes, codes, folds, estimator, metric, window)


def _check_kind(estimator: Any, metric: str) -> None:
    if metric in VALUE_METRICS and (estimator is None or not is_regressor(estimator)):
        raise InvalidValueError(
            f"metric {metric!r} scores values; pass a regressor, such as make_pipeline(StandardScaler(), "
            f"RidgeCV()); got {estimator!r}."
        )
    if metric in CLASS_METRICS and estimator is not None and not is_classifier(estimator):
        raise InvalidValueError(
            f"metric {metric!r} scores classes; pass a classifier, or one of the metrics "
            f"{', '.join(VALUE_METRICS)} for a regressor; got {estimator!r}."
        )


def _decoded(
    work: _Work, *, across: bool, n: int | None, rng: np.random.Generator | None, progress: bool
) -> xr.Dataset:
    tasks = [work.task(i, across) for i in range(len(work.rows.values))]
    scores = np.stack([scores_in_time(task, work.y, progress=progress) for task in tasks])
    attrs = {
        "metric": work.metric,
        "decoder": "shrunk linear discriminants" if work.estimator is None else repr(work.estimator),
        "n_folds": len(work.splits),
        **({} if work.window is None else {"window": float(work.window)}),
    }
    found: dict[str, np.ndarray] = {"score": scores}
    if n is not None:
        if rng is None:
            raise InvalidValueError("n_permutations needs rng=numpy.random.default_rng(seed).")
        permute, attrs["permuted"] = _permuter(work)
        attrs["n_permutations"] = int(n)
        found |= _tests(tasks, work.y, scores, permute=permute, n=n, rng=rng, progress=progress)
    return _labelled(work, found, attrs, across)


def _tests(
    tasks: list[Task],
    y: np.ndarray,
    scores: np.ndarray,
    *,
    permute: Callable[[np.random.Generator], np.ndarray],
    n: int,
    rng: np.random.Generator,
    progress: bool,
) -> dict[str, np.ndarray]:
    """Return p-values of the mean over folds; each permutation serves all times."""
    found: dict[str, list[np.ndarray]] = {"p": [], "p_max": [], "p_fdr": [], "null": []}
    for task, observed in zip(tasks, (mean_over_folds(list(each)) for each in scores), strict=True):

        def statistic(order: np.ndarray, task: Task = task) -> np.ndarray:
            return mean_over_folds(list(scores_in_time(task, y[order])))

        null = permutation(statistic, n, permute=permute, rng=rng, progress=progress)
        p = p_value(observed, null)
        found["p"].append(p)
        found["p_max"].append(max_p(observed, null))
        found["p_fdr"].append(fdr(p))
        found["null"].append(null.mean(axis=0))
    return {name: np.stack(each) for name, each in found.items()}


def _permuter(work: _Work) -> tuple[Callable[[np.random.Generator], np.ndarray], str]:
    """Return what draws an order of the labels, and what it permutes."""
    y, groups = work.y, work.groups
    units, unit_of = np.arange(len(y)), np.arange(len(y))
    if groups is not None:
        members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        if any(len(np.unique(y[rows])) > 1 for rows in members):
            cells = None if work.classes is None else _balanced_folds(y, units, work.splits, groups)
            if cells is None or len(cells) == len(members):
                return lambda rng: _within(members, rng), "labels within groups"
            return lambda rng: _within(cells, rng), "labels within groups and folds"
        units, unit_of = np.array([rows[0] for rows in members]), groups
    folds = None if work.classes is None else _balanced_folds(y[units], units, work.splits)
    if folds is None:
        said = "all labels" if groups is None else "labels of whole groups"
        return lambda rng: units[rng.permutation(len(units))][unit_of], said
    said = "labels within folds" if groups is None else "labels of whole groups within folds"
    return lambda rng: units[_within(folds, rng)][unit_of], said


def _within(parts: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a random order of all rows that keeps each in its part."""
    order = np.empty(sum(map(len, parts)), dtype=np.int64)
    for rows in parts:
        order[rows] = rows[rng.permutation(len(rows))]
    return order


def _balanced_folds(
    y: np.ndarray, rows: np.ndarray, splits: Splits, groups: np.ndarray | None = None
) -> list[np.ndarray] | None:
    """Return what can change places, also within groups, without a fold losing its share of a class.

    None where folds have other shares, or where too few arrangements would be left to tell anything.
    """
    inside = np.array([np.isin(rows, part) for fold in splits for part in fold])
    shares = np.array([np.bincount(y[test], minlength=y.max() + 1) for test in inside[1::2]])
    if np.ptp(shares, axis=0).max() > 1:
        return None
    apart = inside.astype(np.int64) if groups is None else np.vstack([inside, groups])
    _, part = np.unique(apart, axis=1, return_inverse=True)
    parts = [np.flatnonzero(part.ravel() == k) for k in range(part.max() + 1)]
    arrangements = sum(gammaln(len(p) + 1) - gammaln(np.bincount(y[p]) + 1).sum() for p in parts)
    return parts if arrangements >= np.log(FEWEST_ARRANGEMENTS) else None


def _labelled(work: _Work, found: dict[str, np.ndarray], attrs: dict[str, Any], across: bool) -> xr.Dataset:
    rows = work.rows
    timed = [] if rows.times is None else ["time_train", "time_test"] if across else ["time"]
    leading = [rows.array.sizes[dim] for dim in rows.leading]
    coords: dict[str, Any] = {
        str(name): coord.variable
        for name, coord in rows.array.coords.items()
        if coord.dims and set(coord.dims) <= set(rows.leading)
    }
    coords |= {dim: (dim, rows.times) for dim in timed} | {"fold": np.arange(len(work.splits))}
    arrays: dict[str, Any] = {}
    for name, values in found.items():
        fold = ["fold"] if name == "score" else []
        values = values if timed else values[..., 0]
        dims = [*rows.leading, *fold, *timed]
        arrays[name] = (dims, values.reshape(*leading, *values.shape[1:]))
    counts, attrs["chance"] = _counts(work)
    if work.classes is not None:
        coords["class"] = work.classes
    dataset = xr.Dataset({**arrays, **counts}, coords=coords, attrs=attrs)
    dataset["score"].attrs["n_undefined"] = int(np.isnan(found["score"]).sum())
    return dataset


def _counts(work: _Work) -> tuple[dict[str, Any], float]:
    """Return the presentations of each fold, by class where there are classes, and the level of chance."""
    if work.classes is None:
        counts = {
            name: (("fold",), [len(fold[i]) for fold in work.splits])
            for i, name in enumerate(("n_train", "n_test"))
        }
        return counts, 0.0
    n = len(work.classes)
    both = np.array([[np.bincount(work.y[rows], minlength=n) for rows in fold] for fold in work.splits])
    chance = np.mean([chance_level(work.metric, train, test, n) for train, test in both])
    found = {name: (("fold", "class"), both[:, i]) for i, name in enumerate(("n_train", "n_test"))}
    return found, float(chance)
