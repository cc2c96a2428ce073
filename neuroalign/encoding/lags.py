"""Lags in seconds, before and after: features side by side, and sums of products without building them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError
from .runs import check_features, even_step, rows_of_runs, run_labels

__all__ = ["LaggedSeries", "Moments", "lag", "lag_steps"]

# Numbers of the lagged features that exist at a time: 16 MB.
BLOCK = 2_000_000


def lag(X: xr.DataArray, tmin: float, tmax: float, *, runs: Any = None) -> xr.DataArray:
    """Return the features at every lag from ``tmin`` to ``tmax`` seconds, side by side.

    Row t of the block of a lag holds the features that many seconds before t, for a negative lag after t, in
    the same run; a row that would lie outside the run is 0, which is the mean of a feature that was centred:
    centre first. ``encoding.delay`` for lags in seconds that may be negative; ``TemporalResponseFunction``
    fits ridge regression to the same columns without building them.

    Parameters
    ----------
    X : DataArray (time, feature)
        Times in seconds, evenly spaced within a run; the second dim may have any name.
    tmin, tmax : float
        First and last lag in seconds, rounded to whole samples.
    runs : array (n_times,) or scalar, optional
        The run of each row. Where None, the coordinate ``run`` of ``X``. A scalar says that all rows are one
        run.

    Returns
    -------
    DataArray (time, feature)
        float64, all features at the first lag, then all at the second. Coordinates ``lag`` in seconds and
        those of the features, so that bands stay bands.

    Raises
    ------
    LabelError
        If the runs are unknown, or times are missing or repeated.
    ShapeError
        If the dims are other ones or a run has no more rows than the largest lag.
    InvalidValueError
        If lags are not in order or times in a run are not evenly spaced.

    Examples
    --------
    >>> X = xr.DataArray(
    ...     [[1.0], [2.0], [3.0], [4.0]], dims=("time", "feature"), coords={"time": [0.0, 0.1, 0.2, 0.3]})
    >>> lag(X, -0.1, 0.0, runs=["a", "a", "b", "b"]).values.tolist()
    [[2.0, 1.0], [0.0, 2.0], [4.0, 3.0], [0.0, 4.0]]
    """
    values, times = check_features(X)
    parts = rows_of_runs(run_labels(X, runs), times)
    steps: Any = None
    found: Any = None
    for run, rows in parts.items():
        if steps is None:
            step = even_step(times[rows], run)
            steps = lag_steps(tmin, tmax, 1.0 / step if step > 0 else np.nan)
            found = np.zeros((len(values), len(steps), values.shape[1]))
        even_step(times[rows], run)
        found[rows] = LaggedSeries(values[rows], steps, [(0, len(rows))]).rows(0, len(rows))
    coords: dict[str, Any] = {str(k): c.variable for k, c in X.coords.items() if c.dims == ("time",)}
    for name, coord in X.coords.items():
        if coord.dims == X.dims[1:]:
            key = "feature_label" if name == "feature" else str(name)
            coords[key] = ("feature", np.tile(coord.values, len(steps)))
    coords["lag"] = ("feature", np.repeat(steps * step, values.shape[1]))
    return xr.DataArray(
        found.reshape(len(values), -1), dims=("time", "feature"), coords=coords, attrs=X.attrs, name=X.name
    )


def lag_steps(tmin: float, tmax: float, fs: float) -> np.ndarray:
    """Return the lags from ``tmin`` to ``tmax`` seconds in samples.

    >>> lag_steps(-0.02, 0.03, 100.0).tolist()
    [-2, -1, 0, 1, 2, 3]
    """
    for value, name in ((tmin, "tmin"), (tmax, "tmax"), (fs, "fs")):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.number)
            or not np.isfinite(value)
        ):
            raise InvalidValueError(f"{name} must be a finite number; got {value!r}.")
    if fs <= 0 or tmin > tmax:
        raise InvalidValueError(
            f"fs must be positive and tmin not above tmax; got fs={fs!r}, tmin={tmin!r}, tmax={tmax!r}."
        )
    return np.arange(round(float(tmin * fs)), round(float(tmax * fs)) + 1)


class Moments(NamedTuple):
    """Sums over rows of q lagged features and t targets, in float64."""

    n: int
    x: np.ndarray  # (q,)
    gram: np.ndarray  # (q, q)
    y: np.ndarray  # (t,)
    cross: np.ndarray  # (q, t)
    squares: np.ndarray  # (t,)

    def plus(self, other: Moments, sign: int = 1) -> Moments:
        """Return the sums over the rows of both, or with ``sign`` -1 over those that the other lacks."""
        return Moments(
            self.n + sign * other.n,
            self.x + sign * other.x,
            self.gram + sign * other.gram,
            self.y + sign * other.y,
            self.cross + sign * other.cross,
            self.squares + sign * other.squares,
        )


class LaggedSeries:
    """Features (n_times, n_features) in order of time, at consecutive lags within runs; 0 beyond a run.

    Parameters
    ----------
    x : array (n_times, n_features)
        float64.
    steps : array (n_lags,) of int
        Consecutive.
    runs : list of (start, stop)
        Rows of each run.

    Examples
    --------
    >>> series = LaggedSeries(np.array([[1.0], [2.0], [3.0]]), np.array([0, 1]), [(0, 3)])
    >>> series.rows(0, 3)[..., 0].tolist()
    [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    >>> series.moments(np.zeros((3, 1)), [0, 1, 2]).gram.tolist()
    [[14.0, 8.0], [8.0, 5.0]]
    """

    def __init__(self, x: np.ndarray, steps: np.ndarray, runs: list[tuple[int, int]]) -> None:
        self.x, self.steps, self.runs = x, steps, runs
        # So many rows of 0 before and after a run.
        self.before, self.after = max(0, int(steps[-1])), max(0, -int(steps[0]))
        for start, stop in runs:
            if stop - start <= max(self.before, self.after):
                raise ShapeError(
                    f"the run from row {start} has {stop - start} rows, not more than the largest lag of "
                    f"{max(self.before, self.after)} samples."
                )

    @property
    def width(self) -> int:
        """Lags times features: columns of the lagged features, all features at the first lag first."""
        return len(self.steps) * self.x.shape[1]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return the lagged features (n_rows, n_lags, n_features) of rows of one run."""
        windows = np.lib.stride_tricks.sliding_window_view(self._padded(start, stop), len(self.steps), axis=0)
        return windows[..., ::-1].transpose(0, 2, 1)

    def products(self, weights: np.ndarray) -> np.ndarray:
        """Return the lagged features of all rows times weights (q, t), in blocks of rows."""
        found = np.empty((len(self.x), weights.shape[1]))
        for start, stop in self._blocks([(run, run) for run in self.runs]):
            found[start:stop] = self._matrix(start, stop) @ weights
        return found

    def moments(self, y: np.ndarray, rows: Any) -> Moments:
        r"""Return sums over some rows of the lagged features and of targets (n_times, t).

        A stretch of rows gives, at lags l and m,
        :math:`G_{l+1, m+1} = G_{l, m} + a_{l+1} a_{m+1}' - b_l b_m'`,
        with a the first and b the last row of the lagged features: only the first of the L rows of blocks is
        summed over time, so that the Gram matrix takes n f^2 L operations in place of n f^2 L^2.

        Parameters
        ----------
        y : array (n_times, t)
        rows : array of int
            In order of time.
        """
        n_features, q, t = self.x.shape[1], self.width, y.shape[1]
        total = Moments(0, np.zeros(q), np.zeros((q, q)), np.zeros(t), np.zeros((q, t)), np.zeros(t))
        for run, stretch in self._stretches(np.asarray(rows)):
            top, sums = np.zeros((n_features, q)), np.zeros(q)
            for start, stop in self._blocks([(run, stretch)]):
                block, targets = self._matrix(start, stop), y[start:stop].astype(np.float64, copy=False)
                top += block[:, :n_features].T @ block
                sums += block.sum(axis=0)
                total.cross[...] += block.T @ targets
                total.y[...] += targets.sum(axis=0)
                total.squares[...] += (targets * targets).sum(axis=0)
            total.gram[...] += self._gram(top, stretch)
            total = total._replace(n=total.n + stretch[1] - stretch[0], x=total.x + sums)
        return total

    def _gram(self, top: np.ndarray, stretch: tuple[int, int]) -> np.ndarray:
        """Return the Gram matrix (q, q) of a stretch from its first f rows (f, q)."""
        n_lags, n_features = len(self.steps), self.x.shape[1]
        first, last = self.rows(stretch[0], stretch[0] + 1)[0], self.rows(stretch[1] - 1, stretch[1])[0]
        gram = np.empty((n_lags, n_features, n_lags, n_features))
        gram[0] = top.reshape(n_features, n_lags, n_features)
        for i in range(1, n_lags):
            edges = np.einsum("f,lg->flg", first[i], first[i:])
            edges -= np.einsum("f,lg->flg", last[i - 1], last[i - 1 : -1])
            gram[i, :, i:] = gram[i - 1, :, i - 1 : -1] + edges
        square = gram.reshape(self.width, self.width)
        return np.triu(square) + np.triu(square, 1).T

    def _padded(self, start: int, stop: int) -> np.ndarray:
        """Return the features that the lagged rows are made of, 0 where they lie outside the run."""
        run = next((a, b) for a, b in self.runs if a <= start < b)
        low, high = start - int(self.steps[-1]), stop - int(self.steps[0])
        inside = self.x[max(low, run[0]) : max(min(high, run[1]), max(low, run[0]))]
        before = min(max(run[0] - low, 0), high - low)
        after = high - low - before - len(inside)
        return np.pad(inside, ((before, after), (0, 0))) if before or after else inside

    def _matrix(self, start: int, stop: int) -> np.ndarray:
        return self.rows(start, stop).reshape(stop - start, -1)

    def _stretches(self, rows: np.ndarray) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Yield (run, stretch): consecutive rows of one run."""
        for start, stop in self.runs:
            own = rows[(rows >= start) & (rows < stop)]
            for part in np.split(own, np.flatnonzero(np.diff(own) > 1) + 1):
                if len(part):
                    yield (start, stop), (int(part[0]), int(part[-1]) + 1)

    def _blocks(self, stretches: list[tuple[Any, tuple[int, int]]]) -> Iterator[tuple[int, int]]:
        width = max(1, BLOCK // self.width)
        for _, (start, stop) in stretches:
            for at in range(start, stop, width):
                yield at, min(at + width, stop)
