"""Detrending and standardising, as arguments and never behind anyone's back."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import LabelError, ShapeError
from ..schema import check, labels
from .scores import is_constant

__all__ = ["detrend_linear", "prepare_series", "standardize"]


def standardize(x: Any, axis: int = 0) -> np.ndarray:
    """Return ``x`` with mean 0 and standard deviation 1 (ddof 0) along ``axis``; NaN where it is constant.

    Examples
    --------
    >>> standardize([1.0, 3.0]).tolist()
    [-1.0, 1.0]
    """
    x = as_float(x, name="x")
    if x.shape[axis] == 0:
        raise ShapeError(f"x has no rows along axis {axis}; got shape {x.shape}.")
    centred = x - x.mean(axis=axis, keepdims=True)
    undefined = np.expand_dims(is_constant(x, axis), axis)
    sd = np.sqrt((centred * centred).mean(axis=axis, keepdims=True))
    return np.where(undefined, np.nan, centred / np.where(undefined, 1.0, sd))


def detrend_linear(x: Any, *, at: Any = None) -> np.ndarray:
    """Return ``x`` without its least-squares straight line over the rows; mean 0 after it.

    Parameters
    ----------
    x : array (n_times, ...)
    at : array (n_times,), optional
        Where the rows stand, in seconds; evenly spaced where None.

    Returns
    -------
    array (n_times, ...)
        A column that is a straight line becomes exactly 0, so that it counts as constant.

    Raises
    ------
    ShapeError
        If there are fewer than 3 rows, or ``at`` has another length.

    Examples
    --------
    >>> detrend_linear([1.0, 2.0, 3.0, 4.0]).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    x = as_float(x, name="x")
    if x.ndim == 0 or len(x) < 3:
        raise ShapeError(f"a line is taken out of at least 3 rows; got shape {x.shape}.")
    at = np.arange(len(x)) if at is None else as_float(at, name="at", ndim=1)
    if at.shape != x.shape[:1]:
        raise ShapeError(f"at must have shape {x.shape[:1]}; got {at.shape}.")
    line = standardize(at)
    centred = x - x.mean(axis=0)
    slope = np.tensordot(line, centred, axes=(0, 0)) / len(x)
    rest = centred - line.reshape(-1, *[1] * (x.ndim - 1)) * slope
    # What rounding leaves of a straight line must not be blown up to variance 1 afterwards.
    rounding = 1e-14 * np.abs(x).max(axis=0)
    return np.where(np.abs(rest).max(axis=0) <= rounding, 0.0, rest)


def prepare_series(series: xr.DataArray, *, detrend: bool = True, zscore: bool = True) -> xr.DataArray:
    """Return a series with each column detrended and z-scored, within each run where it knows its runs.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        Times in seconds; the line is taken over them, so that the order of the rows never matters.
    detrend, zscore : bool
        What is done. Both need at least 3 rows a run.

    Returns
    -------
    DataArray (time, neuroid)
        float64; a column that is constant within a run is NaN there once it is z-scored, and
        ``attrs["n_constant"]`` counts the neuroids with such a run.
    """
    check(series, "series")
    labels(series, on="time", name="series")
    values = as_float(series.values, name="series").copy()
    times = as_float(series["time"].values, name="time")
    for rows in _runs(series):
        if detrend:
            values[rows] = detrend_linear(values[rows], at=times[rows])
        if zscore:
            values[rows] = standardize(values[rows])
    n_constant = int(np.isnan(values).any(axis=0).sum())
    return series.copy(data=values).assign_attrs(n_constant=n_constant)


def _runs(series: xr.DataArray) -> list[np.ndarray]:
    if "run" not in series.coords or series["run"].ndim == 0:
        return [np.arange(series.sizes["time"])]
    if series["run"].dims != ("time",):
        raise LabelError(f"series: run must be a coordinate of time; its dims are {series['run'].dims}.")
    runs = series["run"].values
    return [np.flatnonzero(runs == run) for run in np.unique(runs)]
