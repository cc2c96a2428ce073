"""A haemodynamic response for every target, chosen by cross-validation on training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import labels
from ..stats import SCORES
from .evaluation import evaluate
from .hrf import DoubleGamma, convolve, hrf_library, hrf_rows
from .nesting import nested_splits
from .runs import even_step, rows_of_runs, run_labels
from .splits import Splits

__all__ = ["best_hrf"]

METRICS = tuple(name for name in SCORES if name != "mse")


def best_hrf(
    model: Any,
    X: xr.DataArray,
    Y: xr.DataArray,
    *,
    train: Any,
    hrfs: Sequence[DoubleGamma] | None = None,
    n_splits: int = 5,
    metric: str = "pearson",
    runs: Any = None,
    slice_time_ref: float = 0.5,
) -> xr.DataArray:
    """Return for each neuroid the number of the response that predicts it best within the training rows.

    The training rows are split again: by runs where they are of several runs (as many folds as runs, at most
    ``n_splits``), else into contiguous blocks; with the longest response purged on either side. For each
    response the features are convolved, the model is scored on the inner test rows, and the best mean score
    over the folds wins; of equal ones the first. The score was maximised, so it is no estimate of
    performance: score the choice on the outer test rows.

    Parameters
    ----------
    model : estimator
        As in ``evaluate``.
    X : DataArray (time, feature)
        Not convolved, with the coordinate ``run`` or ``runs``.
    Y : DataArray (time, neuroid)
        Aligned to ``X`` by label.
    train : array of int
        Training rows of the outer fold, in order of time. Responses of other rows are never read. Features
        of other rows of the same run reach as far as the response does, which the purge of the outer fold
        (``contiguous_splits(..., purge=hrf_rows(...))``) takes care of.
    hrfs : sequence of DoubleGamma, optional
        Candidates; ``hrf_library()`` where None.
    n_splits : int
    metric : str
        A key of ``neuroalign.stats.SCORES`` that is higher for a better prediction.
    runs : array (n_times,) or scalar, optional
        As in ``delay``, in the order of the rows of ``X``.
    slice_time_ref : float
        As in ``convolve``.

    Returns
    -------
    DataArray (neuroid,)
        Integers that count from 0 in ``hrfs``; -1 where no response has a score (a constant neuroid), counted
        in ``attrs["n_undefined"]``. Coordinate ``score``: the mean score of the chosen response.

    Raises
    ------
    InvalidValueError
        If there are no candidates, ``train`` holds no row numbers, or the purge leaves nothing to train on.

    References
    ----------
    Prince et al. 2022, eLife 11:e77599 (a library and a choice per voxel).

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from neuroalign.encoding.hrf import GLOVER, SPM
    >>> wave = np.random.default_rng(0).standard_normal((120, 1))
    >>> X = xr.DataArray(wave, dims=("time", "feature"), coords={"time": 2.0 * np.arange(120)})
    >>> Y = convolve(X, GLOVER, runs="a").rename(feature="neuroid")
    >>> found = best_hrf(
    ...     LinearRegression(), X, Y, train=np.arange(100), hrfs=[SPM, GLOVER], n_splits=2, runs="a")
    >>> found.values.tolist(), found.score.values.round(3).tolist()
    ([1], [1.0])
    """
    candidates = list(hrf_library() if hrfs is None else hrfs)
    if not candidates:
        raise InvalidValueError("hrfs must hold at least one response; got none.")
    if metric not in METRICS:
        raise choice(metric, METRICS, name="metric")
    known = run_labels(X, runs)
    splits = _inner_splits(X, known, train, n_splits, candidates)
    means = []
    for hrf in candidates:
        convolved = convolve(X, hrf, runs=known, slice_time_ref=slice_time_ref)
        scores = evaluate(model, convolved, Y, splits=splits, metric=metric)
        means.append(_mean(scores.values))
    table = np.stack(means)
    undefined = np.isnan(table).all(axis=0)
    best = np.argmax(np.where(np.isnan(table), -np.inf, table), axis=0)
    coords: dict[str, Any] = {str(k): c.variable for k, c in Y.coords.items() if c.dims == ("neuroid",)}
    coords["score"] = ("neuroid", table[best, np.arange(len(best))])
    attrs = {"metric": metric, "n_hrfs": len(candidates), "n_undefined": int(undefined.sum())}
    return xr.DataArray(
        np.where(undefined, -1, best), dims=("neuroid",), coords=coords, attrs=attrs, name="hrf"
    )


def _inner_splits(
    X: xr.DataArray, runs: np.ndarray, train: Any, n_splits: int, hrfs: Sequence[DoubleGamma]
) -> Splits:
    times = as_float(labels(X, on="time", name="X"), name="time")
    order = np.argsort(times, kind="stable")
    steps = [even_step(times[rows], run) for run, rows in rows_of_runs(runs, times).items()]
    if np.isnan(steps).all():
        raise ShapeError(f"X has {len(times)} rows in {len(steps)} runs, too few for the time between rows.")
    purge = max(hrf_rows(hrf, float(np.nanmin(steps))) for hrf in hrfs)
    train = np.asarray(train)
    if train.dtype.kind not in "iu" or not train.size or train.min() < 0 or train.max() >= len(runs):
        raise InvalidValueError(f"train must be row numbers from 0 to {len(runs) - 1}; got {train!r}.")
    of_train = np.unique(runs[order][train])
    if len(of_train) > 1:
        n_splits = min(n_splits, len(of_train))
        return nested_splits(train, n_splits, groups=runs[order], runs=runs[order], purge=purge)
    return nested_splits(train, n_splits, runs=runs[order], purge=purge)


def _mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean over the folds where the score is defined (n_neuroids,); NaN where none is."""
    known = ~np.isnan(scores)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, scores, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)
