"""Inter-subject correlation of labelled series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ..arrays import as_float
from ..errors import LabelError, ShapeError, listing
from ..schema import check, labels
from .ceilings import mean_of_others
from .preparation import prepare_series
from .scores import is_constant, pearson_r

__all__ = ["by_subject", "isc"]


def isc(
    series: xr.DataArray, *, within: str = "roi", detrend: bool = True, zscore: bool = True
) -> xr.DataArray:
    """Return the leave-one-out inter-subject correlation of every subject and region.

    Each subject's series is correlated with the mean of the other subjects' series of the same region.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With neuroid coordinates ``subject`` and the one named by ``within``.
    within : str
        The coordinate that says what is the same in all subjects.
    detrend, zscore : bool
        Whether each series is linearly detrended, and z-scored, within each run first. Without z-scoring a
        subject with a larger signal weighs more in the mean.

    Returns
    -------
    DataArray (subject, <within>)
        NaN where a series is constant (it is in no mean either), where no other subject has the region
        (``attrs["n_undefined"]`` counts both), or where the subject lacks it (``attrs["n_missing"]``).

    Raises
    ------
    LabelError
        If a coordinate is missing or a (subject, region) comes twice.
    ShapeError
        If there are fewer than two subjects or three times.
    InvalidValueError
        If a value is NaN or infinite.

    References
    ----------
    Hasson et al. 2004, Science 303:1634; Nastase et al. 2019, Soc Cogn Affect Neurosci 14:667.

    Examples
    --------
    >>> wave = np.sin(np.arange(20.0))
    >>> series = xr.DataArray(
    ...     np.stack([wave, 2 * wave], axis=1), dims=("time", "neuroid"),
    ...     coords={"time": 2.0 * np.arange(20), "subject": ("neuroid", ["a", "b"]),
    ...             "roi": ("neuroid", ["IFG", "IFG"])})
    >>> isc(series).values.round(6).ravel().tolist()
    [1.0, 1.0]
    """
    prepared = prepare_series(_checked(series), detrend=detrend, zscore=zscore)
    cube = by_subject(prepared, within=within)
    if cube.sizes["subject"] < 2:
        raise ShapeError(
            f"isc needs at least 2 subjects; got {listing(cube['subject'].values)}. One subject has no other."
        )
    values = cube.values.copy()
    values[_constant(values)] = np.nan
    scores = np.full(values.shape[:2], np.nan)
    others = mean_of_others(values)
    known = ~(np.isnan(values).any(axis=2) | np.isnan(others).any(axis=2))
    scores[known] = pearson_r(values[known], others[known], axis=1)
    n_missing = int(values.shape[0] * values.shape[1] - series.sizes["neuroid"])
    attrs = {
        "metric": "leave-one-out inter-subject correlation",
        "n_undefined": int(np.isnan(scores).sum()) - n_missing,
        "n_missing": n_missing,
        "detrend": int(detrend),
        "zscore": int(zscore),
    }
    coords = {"subject": cube["subject"], within: cube[within]}
    return xr.DataArray(scores, dims=("subject", within), coords=coords, attrs=attrs, name="isc")


def by_subject(series: xr.DataArray, *, within: str = "roi") -> xr.DataArray:
    """Return a series as an array (subject, <within>, time); NaN where a subject lacks a region.

    Subjects and regions stand in the order in which they first come.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With neuroid coordinates ``subject`` and ``within``; NaN is let through.
    within : str
        The coordinate that says what is the same in all subjects.

    Raises
    ------
    LabelError
        If a coordinate is missing or a (subject, region) comes twice.
    """
    check(series, "series")
    labels(series, on="time", name="series")
    for name in ("subject", within):
        if name not in series.coords or series[name].dims != ("neuroid",):
            raise LabelError(f"series: neuroids need a coordinate {name!r}; it has {listing(series.coords)}.")
    subjects, rows = _codes(series["subject"].values)
    regions, columns = _codes(series[within].values)
    cells = pd.MultiIndex.from_arrays([series["subject"].values, series[within].values])
    if not cells.is_unique:
        repeated = cells[cells.duplicated()].unique()
        raise LabelError(f"series: {len(repeated)} (subject, {within}) come twice: {listing(repeated)}.")
    values = np.full((len(subjects), len(regions), series.sizes["time"]), np.nan)
    values[rows, columns] = as_float(series.values, name="series", finite=False).T
    coords = {"subject": subjects, within: regions, "time": series["time"].values}
    return xr.DataArray(values, dims=("subject", within, "time"), coords=coords)


def _checked(series: xr.DataArray) -> xr.DataArray:
    check(series, "series")
    as_float(series.values, name="series")
    return series


def _codes(names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes, unique = pd.factorize(names)
    return np.asarray(unique), codes


def _constant(values: np.ndarray) -> np.ndarray:
    """Return which (subject, region) have no variance; those that are NaN are not said to be constant."""
    undefined = np.isnan(values).any(axis=2)
    return ~undefined & is_constant(np.where(undefined[..., None], 0.0, values), axis=2)
