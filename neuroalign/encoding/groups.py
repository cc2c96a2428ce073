"""The responses of a group of subjects as targets of an encoding model."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import ShapeError, listing
from ..stats import by_subject, mean_of_others, prepare_series

__all__ = ["group_mean", "leave_one_subject_out"]


def group_mean(
    series: xr.DataArray, *, within: str = "roi", detrend: bool = True, zscore: bool = True
) -> xr.DataArray:
    """Return the mean over subjects of each region's series.

    Each series is detrended and z-scored within each run first, over all its rows: this looks at test rows of
    the responses, never at features.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With neuroid coordinates ``subject`` and ``within``.
    within : str
        The coordinate that says what is the same in all subjects.
    detrend, zscore : bool

    Returns
    -------
    DataArray (time, neuroid)
        One neuroid a region, labelled by it, with ``n_subjects``. A subject whose series is constant is left
        out of its region and counted in ``attrs["n_constant"]``.

    Raises
    ------
    LabelError
        If a coordinate is missing or a (subject, region) comes twice.
    ShapeError
        If a region is constant in every subject.

    Examples
    --------
    >>> series = xr.DataArray(
    ...     [[0.0, 0.0], [2.0, 4.0], [0.0, 0.0], [2.0, 4.0]], dims=("time", "neuroid"),
    ...     coords={"time": [0.0, 2.0, 4.0, 6.0], "subject": ("neuroid", ["a", "b"]),
    ...             "roi": ("neuroid", ["IFG", "IFG"])})
    >>> group_mean(series, detrend=False).values.ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    prepared = prepare_series(series, detrend=detrend, zscore=zscore)
    cube = by_subject(prepared, within=within)
    known = ~np.isnan(cube.values)
    count = known.sum(axis=0)
    regions = cube[within].values
    _refuse_empty(count.min(axis=1) == 0, regions, "no subject")
    mean = np.where(known, cube.values, 0.0).sum(axis=0) / np.maximum(count, 1)
    coords = {
        **{str(k): c.variable for k, c in series.coords.items() if c.dims == ("time",)},
        "neuroid": regions,
        within: ("neuroid", regions),
        "n_subjects": ("neuroid", count.min(axis=1)),
    }
    return xr.DataArray(
        mean.T, dims=("time", "neuroid"), coords=coords, attrs=dict(prepared.attrs), name=series.name
    )


def leave_one_subject_out(
    series: xr.DataArray, *, within: str = "roi", detrend: bool = True, zscore: bool = True
) -> xr.DataArray:
    """Return for every subject and region the mean series of the other subjects.

    Fit on what comes out and score on the subjects' own series:
    ``evaluate(model, X, leave_one_subject_out(series), splits=..., Y_test=prepare_series(series))``.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        As in ``group_mean``.
    within, detrend, zscore
        As in ``group_mean``.

    Returns
    -------
    DataArray (time, neuroid)
        The neuroids of ``series`` with all their coordinates; values from the other subjects only.

    Raises
    ------
    LabelError
        If a coordinate is missing or a (subject, region) comes twice.
    ShapeError
        If no other subject has the region.

    Examples
    --------
    >>> series = xr.DataArray(
    ...     [[0.0, 0.0], [2.0, 4.0], [0.0, 0.0], [2.0, 4.0]], dims=("time", "neuroid"),
    ...     coords={"time": [0.0, 2.0, 4.0, 6.0], "subject": ("neuroid", ["a", "b"]),
    ...             "roi": ("neuroid", ["IFG", "IFG"])})
    >>> leave_one_subject_out(series, detrend=False, zscore=False).values[:, 0].tolist()
    [0.0, 4.0, 0.0, 4.0]
    """
    prepared = prepare_series(series, detrend=detrend, zscore=zscore)
    if not prepared.size:
        raise ShapeError(f"series is empty; its sizes are {dict(prepared.sizes)}.")
    cube = by_subject(prepared, within=within)
    others = mean_of_others(cube.values)
    rows = _positions(cube["subject"].values, series["subject"].values)
    columns = _positions(cube[within].values, series[within].values)
    values = others[rows, columns].T
    _refuse_empty(np.isnan(values).any(axis=0), series[within].values, "no other subject")
    return prepared.copy(data=values)


def _positions(names: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    place = {name: i for i, name in enumerate(names.tolist())}
    return np.array([place[name] for name in wanted.tolist()])


def _refuse_empty(empty: np.ndarray, regions: np.ndarray, who: str) -> None:
    if empty.any():
        raise ShapeError(f"{who} has a series that varies in {listing(np.unique(regions[empty]))}.")
