"""Patterns of time windows: what a continuous series gives an RDM."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..schema import check, labels

__all__ = ["window_patterns"]

HOW = ("flatten", "mean")


def window_patterns(series: xr.DataArray, width: int, *, how: str = "flatten") -> xr.DataArray:
    """Return the patterns of consecutive windows of a series, each window a stimulus.

    Windows do not overlap and never cross a run border; rows are taken in order of time, whatever their order
    in the array.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        Times in seconds; with a coordinate ``run`` along time, windows start anew in each run.
    width : int
        Rows a window.
    how : {"flatten", "mean"}
        A pattern is every row of every neuroid (row by row), or the mean over rows.

    Returns
    -------
    DataArray (stimulus, neuroid)
        Labels ``window-000`` and so on; coordinate ``onset``, the time of the first row. ``neuroid`` keeps
        its coordinates and, flattened, has ``row`` (0 to width - 1). Rows that fill no window are left out
        and counted in ``attrs["n_dropped"]``.

    Raises
    ------
    ShapeError
        If fewer than two windows fit.
    InvalidValueError
        If the width is no positive integer or ``how`` is unknown.

    Examples
    --------
    >>> series = xr.DataArray(
    ...     np.arange(10.0).reshape(5, 2), dims=("time", "neuroid"), coords={"time": 2.0 * np.arange(5)})
    >>> window_patterns(series, 2, how="mean").values.tolist()
    [[1.0, 2.0], [5.0, 6.0]]
    """
    if how not in HOW:
        raise choice(how, HOW, name="how")
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
        raise InvalidValueError(f"width must be a positive integer; got {width!r}.")
    check(series, "series")
    labels(series, on="time", name="series")
    rows = _windows(series, int(width))
    values = series.values[rows]
    coords = {str(name): c.values for name, c in series.coords.items() if c.dims == ("neuroid",)}
    if how == "mean":
        values = values.mean(axis=1, dtype=np.float64)
    else:
        values = values.reshape(len(rows), -1)
        coords = _repeated(coords, width, series.sizes["neuroid"])
    return xr.DataArray(
        values,
        dims=("stimulus", "neuroid"),
        coords={
            "stimulus": [f"window-{i:03d}" for i in range(len(rows))],
            "onset": ("stimulus", series["time"].values[rows[:, 0]]),
            **{name: ("neuroid", value) for name, value in coords.items()},
        },
        attrs={
            **series.attrs,
            "width": int(width),
            "how": how,
            "n_dropped": series.sizes["time"] - rows.size,
        },
        name="patterns",
    )


def _repeated(coords: dict[str, np.ndarray], width: int, n_neuroids: int) -> dict[str, np.ndarray]:
    """Return the neuroids' coordinates once a row; labels that now repeat no longer carry the dim's name."""
    found = {name: np.tile(value, width) for name, value in coords.items()}
    if "neuroid" in found:
        found["neuroid_label"] = found.pop("neuroid")
    return {**found, "row": np.repeat(np.arange(width), n_neuroids)}


def _windows(series: xr.DataArray, width: int) -> np.ndarray:
    """Return the rows (n_windows, width) of each window."""
    order = np.argsort(series["time"].values, kind="stable")
    runs = np.zeros(len(order))
    if "run" in series.coords and series["run"].ndim:
        if series["run"].dims != ("time",):
            raise LabelError(f"series: run must be a coordinate of time; its dims are {series['run'].dims}.")
        runs = series["run"].values
    found = []
    for run in dict.fromkeys(runs[order].tolist()):
        rows = order[runs[order] == run]
        found += [rows[i : i + width] for i in range(0, len(rows) - width + 1, width)]
    if len(found) < 2:
        raise ShapeError(
            f"windows of {width} rows: {len(found)} fit into {len(order)} rows; an RDM needs at least 2."
        )
    return np.stack(found)
