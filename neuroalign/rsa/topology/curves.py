"""Toy data of known topology: closed curves of two geometries and two topologies, and two rings."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...errors import InvalidValueError

__all__ = ["CURVES", "toy_curves", "toy_rings"]

# curve -> (geometry, topology)
CURVES = {
    "flat 8": ("8", "two loops"),
    "twisted 8": ("8", "ring"),
    "untangled flat 8": ("untangled", "two loops"),
    "untangled twisted 8": ("untangled", "ring"),
}
HEIGHT, GAP = 0.25, 0.15


def toy_curves(n_points: int = 50) -> xr.DataArray:
    """Return four closed curves that pair up by geometry in one way and by topology in the other.

    The ``flat 8`` crosses itself in the plane: two loops that share a point. The ``twisted 8`` is lifted
    at the crossing so that its strands pass each other: nearly the same distances, but one ring. Their
    untangled twins have the left loop turned over: the strands of the one touch without crossing (two loops
    that share a point again), those of the other stay apart (a ring).

    Parameters
    ----------
    n_points : int
        Points on each curve; at least 8.

    Returns
    -------
    DataArray (curve 4, stimulus n_points, unit 3)
        Places in space, no unit; coordinates ``geometry`` and ``topology`` of each curve. A stimulus is the
        same position along all four curves.

    Raises
    ------
    InvalidValueError
        If there are fewer than 8 points.

    References
    ----------
    After the toy curves of Lin & Kriegeskorte, The topology and geometry of neural representations; the
    formulas are ours.

    Examples
    --------
    >>> curves = toy_curves()
    >>> curves.sel(curve="twisted 8")["topology"].item(), curves.sizes["stimulus"]
    ('ring', 50)
    """
    angle = _angles(n_points, 8, offset=0.5)
    x, y, flat = np.sin(angle), np.sin(angle) * np.cos(angle), np.zeros(n_points)
    turned = np.where(angle < np.pi, y, -y)
    places = [
        (x, y, flat),
        (x, y, HEIGHT * np.cos(angle)),
        (x, turned, flat),
        (x, turned + GAP * np.cos(angle), flat),
    ]
    geometry, topology = zip(*CURVES.values(), strict=True)
    found = _labelled(np.array(places), "curve", list(CURVES))
    return found.assign_coords(geometry=("curve", list(geometry)), topology=("curve", list(topology)))


def toy_rings(n_points: int = 60) -> xr.DataArray:
    r"""Return a flat ring, :math:`(\cos t, \sin t, 0)`, and a twisted one, :math:`(\cos t, \sin t, \sin 2t)`.

    On the graph of each point's two nearest both are the same cycle, so hops agree exactly, while distances
    do not.

    Returns
    -------
    DataArray (ring 2, stimulus n_points, unit 3)

    Raises
    ------
    InvalidValueError
        If there are fewer than 8 points.

    Examples
    --------
    >>> toy_rings()["ring"].values.tolist()
    ['flat', 'twisted']
    """
    angle = _angles(n_points, 8)
    circle = (np.cos(angle), np.sin(angle))
    places = [(*circle, np.zeros(n_points)), (*circle, np.sin(2 * angle))]
    return _labelled(np.array(places), "ring", ["flat", "twisted"])


def _angles(n_points: int, least: int, offset: float = 0.0) -> np.ndarray:
    if isinstance(n_points, bool) or not isinstance(n_points, int | np.integer) or n_points < least:
        raise InvalidValueError(f"n_points must be an integer of at least {least}; got {n_points!r}.")
    return (np.arange(n_points) + offset) * 2 * np.pi / n_points


def _labelled(places: np.ndarray, dim: str, names: list[str]) -> xr.DataArray:
    """Return places (curve, axis, point) as labelled patterns."""
    points = [f"point-{i:02d}" for i in range(places.shape[-1])]
    return xr.DataArray(
        places.transpose(0, 2, 1),
        dims=(dim, "stimulus", "unit"),
        coords={dim: names, "stimulus": points, "unit": ["x", "y", "z"]},
        name="patterns",
    )
