"""Folds of a ridge problem on lagged features, made of sums over stretches of rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..arrays import to_numpy
from ..errors import InvalidValueError, LabelError, ShapeError
from .folds import Fold
from .lags import LaggedSeries, Moments
from .rotations import eigen, rank_tolerance
from .runs import rows_of_runs
from .splits import Splits

__all__ = ["Centred", "centred_sums", "fitted_rows", "fold_of", "run_bounds", "sums_of"]


class Centred(NamedTuple):
    """Sums of products about the means, and the means (0 without an intercept)."""

    gram: np.ndarray  # (q, q)
    cross: np.ndarray  # (q, t)
    x_mean: np.ndarray
    y_mean: np.ndarray


def centred_sums(sums: Moments, intercept: bool) -> Centred:
    """Return sums about the means of the rows, or as they are without an intercept."""
    if not intercept:
        return Centred(sums.gram, sums.cross, np.zeros_like(sums.x), np.zeros_like(sums.y))
    x_mean, y_mean = sums.x / sums.n, sums.y / sums.n
    gram = sums.gram - sums.n * x_mean[:, None] * x_mean
    return Centred(gram, sums.cross - sums.n * x_mean[:, None] * y_mean, x_mean, y_mean)


def sums_of(
    series: LaggedSeries, y: np.ndarray, rows: np.ndarray, splits: Splits
) -> tuple[Moments, list[Moments]]:
    """Return the sums over all rows that are fitted, and over the test rows of each fold."""
    tests = [series.moments(y, test) for _, test in splits]
    tested = np.concatenate([test for _, test in splits]) if splits else np.empty(0, dtype=np.intp)
    if not len(tested) or len(np.unique(tested)) != len(tested):
        return series.moments(y, rows), tests
    total = tests[0]
    for part in tests[1:]:
        total = total.plus(part)
    rest = np.setdiff1d(rows, tested)
    return total.plus(series.moments(y, rest)) if len(rest) else total, tests


def fold_of(train: Moments, test: Moments, constant: np.ndarray, intercept: bool) -> Fold:
    """Return the fold of some sums; its rows are a root of the Gram matrix of the test rows.

    Squared errors of test rows depend on their Gram matrix and products alone: any matrix R with
    R'R = X'X, and R'z = X'y, stands for them, with the rest of y'y set aside.
    """
    import torch

    sums, held = centred_sums(train, intercept), centred_sums(test, True)
    values, vectors = (to_numpy(part) for part in eigen(torch.from_numpy(held.gram)))
    some = values > rank_tolerance(torch.from_numpy(values))
    roots, vectors = np.sqrt(values[some]), vectors[:, some]
    truth = (vectors.T @ held.cross) / roots[:, None]
    squares = test.squares - test.n * held.y_mean**2
    rest = np.clip(squares - (truth * truth).sum(axis=0), 0.0, None)
    level = np.sqrt(test.n)
    rows = np.concatenate([roots[:, None] * vectors.T, level * (held.x_mean - sums.x_mean)[None]])
    truth = np.concatenate([truth, level * (held.y_mean - sums.y_mean)[None]])

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values))

    return Fold(
        gram=tensor(sums.gram),
        cross=tensor(sums.cross),
        rows=tensor(rows),
        truth=tensor(truth),
        rest=tensor(rest),
        y_mean=tensor(sums.y_mean),
        constant=tensor(constant),
        n_test=test.n,
        dual=False,
    )


def run_bounds(X: Any, runs: Any, n: int) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Return the first and last row of each run, and the number of each row's run."""
    if runs is None and isinstance(X, xr.DataArray):
        if "run" not in X.coords:
            raise LabelError(
                "X has no coordinate 'run'. Pass runs=..., or X.assign_coords(run=\"1\") for one run."
            )
        if X["run"].dims not in ((), X.dims[:1]):
            raise LabelError(f"X: run must be a coordinate of {X.dims[0]}; got {X['run'].dims}.")
        runs = np.broadcast_to(X["run"].values, n)
    runs = np.zeros(n, dtype=np.int64) if runs is None else np.asarray(runs)
    if runs.shape != (n,):
        raise ShapeError(f"runs must have shape ({n},), one a row; got {runs.shape}.")
    bounds = []
    for run, rows in rows_of_runs(runs).items():
        if rows[-1] - rows[0] + 1 != len(rows):
            raise InvalidValueError(f"run {run!r} is not whole: rows of other runs lie between its own.")
        bounds.append((int(rows[0]), int(rows[-1]) + 1))
    codes = np.repeat(np.arange(len(bounds)), [stop - start for start, stop in bounds])
    return bounds, codes


def fitted_rows(rows: Any, n: int) -> np.ndarray:
    """Return row numbers in order, after checking that they are some of ``n`` rows."""
    found = np.asarray(rows)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not found.size:
        raise InvalidValueError(f"rows must be row numbers; got {rows!r}.")
    if found.min() < 0 or found.max() >= n or len(np.unique(found)) != len(found):
        raise InvalidValueError(f"rows must be unique and 0 to {n - 1}; got {found.min()} to {found.max()}.")
    return np.sort(found)
