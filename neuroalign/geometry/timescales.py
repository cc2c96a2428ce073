"""How long a unit's activity resembles itself: decay of the autocorrelation, and its bias in short series."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..stats.autocorrelation import autocorrelation
from .inputs import UNITS, count

__all__ = ["unit_timescales"]

CORRECTIONS = ("jackknife", "none")
GRID = 120
# Sharpenings of the grid around its best point; each divides the spacing by about 10.
ROUNDS = 4


def unit_timescales(
    series: xr.DataArray,
    *,
    max_lag: int | None = None,
    correction: str = "jackknife",
    offset: bool = False,
    runs: str | None = None,
    spacing: float | None = None,
) -> xr.Dataset:
    r"""Return the timescale of each unit: the decay of its autocorrelation over tokens or time.

    The autocorrelation at lags k = 1 to K is fitted, by least squares with equal weights, with

    .. math:: r_k = A \exp(-k \Delta / \tau) \; (+ B)

    A below 1 stands for fast noise on top (lag 0 is not fitted), B for what outlasts the series. Of an AR(1)
    process with coefficient a, :math:`\tau = -\Delta / \ln a`.

    A finite series has its mean taken out with its slow part, so that the autocorrelation, and with it the
    timescale, comes out too small: of an AR(1) process of n rows by about
    :math:`(1 + a) / (1 - a) / n` at small lags. ``jackknife`` takes this out to first order in 1 / n
    (Quenouille):

    .. math:: 2 r_k - r_k^{\mathrm{halves}}

    where the halves are the two halves of each run, each with its own mean. It costs variance, and what it
    cannot know it does not give back: a series of fewer than some 20 timescales still comes out short.
    Simulation-based inference (Zeraati et al. 2022) does better and is not done here.

    Parameters
    ----------
    series : DataArray (time, unit) or (time, neuroid)
        Rows evenly spaced within runs; ``token`` may stand for ``time``.
    max_lag : int, optional
        K, in rows; at least 3. A tenth of the shortest run where None, at least 10 or all that there are.
    correction : {"jackknife", "none"}
    offset : bool
        Whether B is fitted (Murray et al. 2014); it costs precision.
    runs : str, optional
        A coordinate along the rows: means and products stay within runs (texts, scans).
    spacing : float, optional
        :math:`\Delta`, in the unit that timescales are wanted in (seconds). 1 where None: in rows.

    Returns
    -------
    Dataset (unit,)
        ``timescale``, in the unit of ``spacing``; NaN for a constant unit, and where the best fit lies at an
        end of what is looked for (0.1 rows to 10 K rows) or has A of 0 or less: white noise has no decay to
        fit. ``attrs["n_undefined"]`` counts these. ``amplitude`` (A), ``offset`` (B), ``r2`` of the fit;
        ``autocorrelation`` (lag, unit), corrected as asked.

    Raises
    ------
    ShapeError
        If dims are other ones, or a run is too short.
    InvalidValueError
        If a value is not finite, or a choice is out of range.

    References
    ----------
    Murray et al. 2014, Nat Neurosci 17:1661; Zeraati, Engel & Levina 2022, Nat Comput Sci 2:193 (bias);
    Marriott & Pope 1954, Biometrika 41:390 (its size); Quenouille 1949, J R Stat Soc B 11:68.

    Examples
    --------
    >>> rng, x = np.random.default_rng(0), np.zeros((4000, 3))
    >>> for t in range(1, 4000):
    ...     x[t] = np.exp(-1 / 8) * x[t - 1] + rng.standard_normal(3)
    >>> found = unit_timescales(xr.DataArray(x, dims=("time", "unit")), max_lag=20)
    >>> bool((abs(found.timescale - 8) < 2.5).all())
    True
    """
    if correction not in CORRECTIONS:
        raise choice(correction, CORRECTIONS, name="correction")
    values, time, unit = _series(series)
    groups = _groups(series, runs, time)
    lags = _lags(groups, max_lag)
    step = 1.0 if spacing is None else _positive(spacing)
    acf = _acf(values, groups, lags)
    if correction == "jackknife":
        acf = 2 * acf - _acf(values, _halved(groups), lags)
    fit = _fit(acf[1:], offset)
    names = {"lag": np.arange(lags + 1) * step}
    coords = {key: coord for key, coord in series.coords.items() if coord.dims == (unit,)}
    out = {
        key: xr.DataArray(value, dims=unit, coords=coords)
        for key, value in (
            ("timescale", fit[0] * step),
            ("amplitude", fit[1]),
            ("offset", fit[2]),
            ("r2", fit[3]),
        )
    }
    out["autocorrelation"] = xr.DataArray(acf, dims=("lag", unit), coords={**names, **coords})
    attrs = {
        "max_lag": lags,
        "correction": correction,
        "n_runs": len(np.unique(groups)),
        "n_undefined": int(np.isnan(fit[0]).sum()),
    }
    return xr.Dataset(out, attrs=attrs)


def _series(series: Any) -> tuple[np.ndarray, str, str]:
    times = [dim for dim in ("time", "token") if isinstance(series, xr.DataArray) and dim in series.dims]
    units = [dim for dim in UNITS if isinstance(series, xr.DataArray) and dim in series.dims]
    if len(times) != 1 or len(units) != 1 or series.ndim != 2:
        got = series.dims if isinstance(series, xr.DataArray) else type(series).__name__
        raise ShapeError(f"series must have dims 'time' (or 'token') and 'unit' (or 'neuroid'); got {got}.")
    return as_float(series.transpose(times[0], units[0]).values, name="series"), times[0], units[0]


def _groups(series: xr.DataArray, runs: str | None, time: str) -> np.ndarray:
    if runs is None:
        return np.zeros(series.sizes[time], dtype=int)
    if runs not in series.coords or series[runs].dims != (time,):
        raise InvalidValueError(f"runs must name a coordinate along {time!r}; got {runs!r}.")
    return np.unique(series[runs].values, return_inverse=True)[1]


def _lags(groups: np.ndarray, max_lag: int | None) -> int:
    shortest = int(np.bincount(groups).min()) if len(groups) else 0
    # A half of the shortest run must still hold the largest lag.
    most = shortest // 2 - 1
    if most < 3:
        raise ShapeError(f"every run must have at least 8 rows; the shortest has {shortest}.")
    if max_lag is None:
        return min(most, max(10, shortest // 10))
    if not 3 <= count(max_lag, "max_lag") <= most:
        raise InvalidValueError(
            f"max_lag must be from 3 to {most}, below half of the {shortest} rows of the shortest run; got "
            f"{max_lag}."
        )
    return int(max_lag)


def _halved(groups: np.ndarray) -> np.ndarray:
    out = np.empty_like(groups)
    for i, run in enumerate(np.unique(groups)):
        rows = np.flatnonzero(groups == run)
        out[rows] = 2 * i + (np.arange(len(rows)) >= len(rows) // 2)
    return out


def _acf(values: np.ndarray, groups: np.ndarray, lags: int) -> np.ndarray:
    """Return autocorrelations (lag, unit), each lag divided by the number of its products."""
    sizes = np.bincount(groups)
    biased = autocorrelation(values, runs=groups, max_lag=lags)
    products = np.array([np.maximum(sizes - lag, 0).sum() for lag in range(lags + 1)])
    return biased * (len(values) / products)[:, None]


def _fit(acf: np.ndarray, offset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return timescale in rows, amplitude, offset and r2, arrays (n_units,), of autocorrelations from lag 1.

    For a given timescale the fit is linear: the grid of timescales is searched for all units at once, and
    sharpened around each one's best.
    """
    n_lags, n_units = acf.shape
    low, high = np.log(0.1), np.log(10.0 * n_lags)
    known = np.isfinite(acf).all(axis=0)
    target = np.where(known, acf, 0.0)
    centre, width = np.full(n_units, (low + high) / 2), (high - low) / 2
    for turn in range(ROUNDS):
        points = np.linspace(-width, width, GRID if turn == 0 else 21)
        grid = np.clip(centre + points[:, None], low, high)
        errors = np.stack([_linear(target, np.exp(row), offset)[2] for row in grid])
        centre = np.take_along_axis(grid, errors.argmin(axis=0)[None], axis=0)[0]
        width = 2 * (points[1] - points[0])
    amplitude, shift, error = _linear(target, np.exp(centre), offset)
    total = ((target - target.mean(axis=0)) ** 2).sum(axis=0)
    good = known & (centre > low + 1e-6) & (centre < high - 1e-6) & (amplitude > 0)
    r2 = np.where(known & (total > 0), 1 - error / np.where(total > 0, total, 1.0), np.nan)
    tau, amplitude = (np.where(good, value, np.nan) for value in (np.exp(centre), amplitude))
    return tau, amplitude, np.where(good, shift, np.nan), r2


def _linear(target: np.ndarray, tau: np.ndarray, offset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return amplitude, offset and squared error of each unit at its timescale."""
    decay = np.exp(-np.arange(1, len(target) + 1)[:, None] / tau)
    if not offset:
        amplitude = (decay * target).sum(axis=0) / np.maximum((decay**2).sum(axis=0), 1e-300)
        return amplitude, np.zeros_like(amplitude), ((target - amplitude * decay) ** 2).sum(axis=0)
    x, y = decay - decay.mean(axis=0), target - target.mean(axis=0)
    amplitude = (x * y).sum(axis=0) / np.maximum((x**2).sum(axis=0), 1e-300)
    shift = target.mean(axis=0) - amplitude * decay.mean(axis=0)
    return amplitude, shift, ((y - amplitude * x) ** 2).sum(axis=0)


def _positive(value: Any) -> float:
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not good or not np.isfinite(value) or value <= 0:
        raise InvalidValueError(f"spacing must be positive and finite; got {value!r}.")
    return float(value)
