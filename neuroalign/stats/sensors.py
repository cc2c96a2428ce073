"""Where sensors lie on a head: flattened to a plane, and which are neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import issparse
from scipy.spatial import Delaunay

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import labels

__all__ = ["neighbour_pairs", "sensor_adjacency", "sensor_plane"]

AXES = ("x", "y", "z")


def sensor_plane(sensors: xr.DataArray) -> xr.DataArray:
    """Return where sensors lie on a head that is flattened around its top (azimuthal equidistant).

    A sphere is fitted to the sensors; the distance from the centre of the plane is the angle from the top
    over 90 degrees, so that the equator is a circle of radius 1.

    Parameters
    ----------
    sensors : DataArray (..., neuroid)
        With the coordinates x (to the right), y (to the nose) and z (up), in one unit; at least 4 sensors.

    Returns
    -------
    DataArray (neuroid, axis)
        ``axis`` is ``"right"`` and ``"front"``.

    Raises
    ------
    ShapeError
        If there is no dim ``neuroid``.
    LabelError
        If a coordinate is missing, or sensors have no labels.
    InvalidValueError
        If a place is not finite, or there are fewer than 4.

    Examples
    --------
    >>> places = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0.0]])
    >>> sensors = xr.DataArray(
    ...     np.zeros(5), dims="neuroid", coords={"neuroid": ["Cz", "T8", "T7", "Fpz", "Oz"]}
    ...     | {axis: ("neuroid", places[:, i]) for i, axis in enumerate("xyz")})
    >>> sensor_plane(sensors).sel(neuroid="Fpz").values.round(6).tolist()
    [0.0, 1.0]
    """
    names, places = _places(sensors)
    # |p|^2 = 2 p c + (r^2 - |c|^2) is linear in the centre c.
    system = np.column_stack([2 * places, np.ones(len(places))])
    centre = np.linalg.lstsq(system, (places**2).sum(axis=1), rcond=None)[0][:3]
    x, y, z = (places - centre).T
    around = np.hypot(x, y)
    angle = np.arctan2(around, z) / (np.pi / 2)
    scale = np.divide(angle, around, out=np.zeros_like(angle), where=around > 0)
    return xr.DataArray(
        np.column_stack([x * scale, y * scale]),
        dims=("neuroid", "axis"),
        coords={"neuroid": names, "axis": ["right", "front"]},
    )


def sensor_adjacency(sensors: xr.DataArray, *, reach: float = 2.0) -> xr.DataArray:
    """Return which sensors are neighbours: joined by a triangle of the flattened head, and not too far apart.

    Parameters
    ----------
    sensors : DataArray (..., neuroid)
        As in ``sensor_plane``.
    reach : float
        Edges of the Delaunay triangulation longer than this many medians, measured between the sensors
        themselves, are left out: they close gaps and the rim.

    Returns
    -------
    DataArray (neuroid, neuroid_b) of bool
        Symmetric, False on the diagonal; ``attrs["n_isolated"]`` counts sensors without a neighbour.

    Raises
    ------
    As ``sensor_plane``; InvalidValueError also if ``reach`` is not positive.

    Examples
    --------
    >>> places = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0.0]])
    >>> sensors = xr.DataArray(
    ...     np.zeros(5), dims="neuroid", coords={"neuroid": ["Cz", "T8", "T7", "Fpz", "Oz"]}
    ...     | {axis: ("neuroid", places[:, i]) for i, axis in enumerate("xyz")})
    >>> sensor_adjacency(sensors).sum("neuroid_b").values.tolist()
    [4, 3, 3, 3, 3]
    """
    if not reach > 0:
        raise InvalidValueError(f"reach must be positive; got {reach!r}.")
    names, places = _places(sensors)
    triangles = Delaunay(sensor_plane(sensors).values).simplices
    edges = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=1), axis=0)
    length = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
    edges = edges[length <= reach * np.median(length)]
    near = np.zeros((len(names),) * 2, dtype=bool)
    near[edges[:, 0], edges[:, 1]] = near[edges[:, 1], edges[:, 0]] = True
    return xr.DataArray(
        near,
        dims=("neuroid", "neuroid_b"),
        coords={"neuroid": names, "neuroid_b": names},
        attrs={"n_isolated": int((~near.any(axis=1)).sum()), "reach": float(reach)},
        name="adjacency",
    )


def neighbour_pairs(adjacency: Any, x: xr.DataArray) -> tuple[str, np.ndarray]:
    """Return the dim of ``x`` whose labels are places, and the pairs (n_pairs, 2) that are neighbours."""
    if isinstance(adjacency, xr.DataArray):
        if adjacency.ndim != 2 or adjacency.dims[1] != f"{adjacency.dims[0]}_b":
            raise ShapeError(f"adjacency must have dims such as (neuroid, neuroid_b); got {adjacency.dims}.")
        dim = str(adjacency.dims[0])
        matrix = _aligned(adjacency, x, dim)
    else:
        dim = "neuroid"
        matrix = adjacency.toarray() if issparse(adjacency) else np.asarray(adjacency)
    if dim not in x.dims:
        raise ShapeError(f"adjacency is of {dim!r}, which values do not have; their dims are {x.dims}.")
    n = x.sizes[dim]
    if matrix.shape != (n, n):
        raise ShapeError(f"adjacency must be ({n}, {n}), as there are {n} of {dim!r}; got {matrix.shape}.")
    near = as_float(matrix, name="adjacency") != 0
    if (near != near.T).any():
        raise InvalidValueError("adjacency must be symmetric: a is a neighbour of b if b is one of a.")
    return dim, np.argwhere(np.triu(near, 1))


def _aligned(adjacency: xr.DataArray, x: xr.DataArray, dim: str) -> np.ndarray:
    """Return the matrix in the order of the places of ``x``."""
    if dim not in x.dims:
        raise ShapeError(f"adjacency is of {dim!r}, which values do not have; their dims are {x.dims}.")
    wanted = labels(x, on=dim, name="values")
    for side in adjacency.dims:
        missing = sorted(
            set(wanted.tolist()) ^ set(labels(adjacency, on=str(side), name="adjacency").tolist())
        )
        if missing:
            raise LabelError(
                f"adjacency ({side}) and values must have the same labels of {dim!r}; "
                f"{len(missing)} are in one only: {listing(missing)}."
            )
    found: np.ndarray = adjacency.sel(dict.fromkeys(adjacency.dims, wanted)).values
    return found


def _places(sensors: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(sensors, xr.DataArray) or "neuroid" not in sensors.dims:
        what = getattr(sensors, "dims", type(sensors).__name__)
        raise ShapeError(f"sensors need a dim 'neuroid'; got {what}.")
    missing = [axis for axis in AXES if axis not in sensors.coords or sensors[axis].dims != ("neuroid",)]
    if missing:
        raise LabelError(
            f"sensors have no place: the coordinates {listing(missing)} along neuroid are missing."
        )
    names = labels(sensors, on="neuroid", name="sensors")
    places = as_float(np.stack([sensors[axis].values for axis in AXES], axis=1), name="places of sensors")
    if len(places) < 4:
        raise InvalidValueError(f"a head needs at least 4 sensors; got {len(places)}.")
    return names, places
