"""Which neuroids lie around each: spheres in a volume, rings or geodesic discs on a surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError

__all__ = ["spheres", "surface_neighbours"]

# A neuroid on the border is inside, also where its coordinates are rounded.
SLACK = 1e-9
# Distances held at once while discs are found (8 bytes each).
N_HELD = 4_000_000


def spheres(xyz: Any, radius: float) -> list[np.ndarray]:
    """Return the neuroids within a radius of each neuroid, itself among them.

    Parameters
    ----------
    xyz : array (n_neuroids, 3), or DataArray with a dim ``neuroid`` and coordinates x, y, z along it
        In mm.
    radius : float
        In mm; a neuroid at this very distance is inside.

    Returns
    -------
    list of array (n_neighbours,)
        One a neuroid, positions in ascending order. Spheres at the border of the brain are kept and hold
        fewer neuroids.

    Raises
    ------
    LabelError
        If a coordinate is missing.
    ShapeError
        If there are not three coordinates a neuroid.
    InvalidValueError
        If a coordinate is not finite, or the radius is not positive.

    References
    ----------
    Kriegeskorte, Goebel & Bandettini 2006, PNAS 103:3863.

    Examples
    --------
    >>> [sphere.tolist() for sphere in spheres([[0, 0, 0], [2, 0, 0], [4, 0, 0]], 2)]
    [[0, 1], [0, 1, 2], [1, 2]]
    """
    from scipy.spatial import cKDTree

    places = _places(xyz)
    radius = _positive(radius)
    found = cKDTree(places).query_ball_point(places, radius * (1 + SLACK), return_sorted=True)
    return [np.array(sphere, dtype=np.intp) for sphere in found]


def surface_neighbours(
    faces: Any, *, rings: int | None = None, radius: float | None = None, xyz: Any = None, n_vertices: int = 0
) -> list[np.ndarray]:
    """Return the vertices around each vertex of a mesh, itself among them.

    Parameters
    ----------
    faces : array (n_faces, 3) or (n_edges, 2) of int
        Triangles of vertex numbers from 0, or edges.
    rings : int, optional
        Vertices at most this many edges away.
    radius : float, optional
        Vertices at most this many mm away along edges (which is never shorter than on the surface itself);
        needs ``xyz``. Either ``rings`` or ``radius``.
    xyz : array (n_vertices, 3), optional
        In mm.
    n_vertices : int
        Where neither ``xyz`` nor the faces name the last vertices.

    Returns
    -------
    list of array (n_neighbours,)
        One a vertex, positions in ascending order. A vertex without edges has only itself.

    Raises
    ------
    InvalidValueError
        If not exactly one of rings and radius is given, or it is not positive, or a vertex is out of range.
    ShapeError
        If the faces are no triangles and no edges, or ``radius`` comes without ``xyz``.

    Examples
    --------
    >>> [ring.tolist() for ring in surface_neighbours([[0, 1, 2], [2, 1, 3]], rings=1)]
    [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3]]
    """
    if (rings is None) == (radius is None):
        raise InvalidValueError("surface_neighbours needs either rings or radius, and one of them only.")
    places = None if xyz is None else _places(xyz)
    edges, n = _edges(faces, n_vertices if places is None else len(places), places is not None)
    if radius is not None:
        if places is None:
            raise ShapeError("radius: distances along edges need xyz, array (n_vertices, 3), in mm.")
        return _discs(edges, places, _positive(radius))
    if isinstance(rings, bool) or not isinstance(rings, int | np.integer) or rings < 1:
        raise InvalidValueError(f"rings must be a positive integer; got {rings!r}.")
    return _rings(edges, n, int(rings))


def _places(xyz: Any) -> np.ndarray:
    if isinstance(xyz, xr.DataArray) and "neuroid" in xyz.dims and xyz.dims != ("neuroid", "xyz"):
        missing = [axis for axis in "xyz" if axis not in xyz.coords or xyz.coords[axis].dims != ("neuroid",)]
        if missing:
            raise LabelError(
                f"spheres in mm need the coordinates x, y, z along 'neuroid'; missing: {', '.join(missing)}. "
                "Pass neighbours= where there are none."
            )
        xyz = np.stack([xyz.coords[axis].values for axis in "xyz"], axis=1)
    places = as_float(xyz, name="xyz", ndim=2)
    if places.shape[1] != 3 or not len(places):
        raise ShapeError(f"xyz must have shape (n_neuroids, 3); got {places.shape}.")
    return places


def _positive(radius: Any) -> float:
    value = float(as_float(radius, name="radius", ndim=0))
    if value <= 0:
        raise InvalidValueError(f"radius must be positive, in mm; got {value}.")
    return value


def _edges(faces: Any, n_vertices: int, fixed: bool) -> tuple[np.ndarray, int]:
    """Return every edge once each way, array (n, 2), and the number of vertices."""
    corners = np.asarray(faces)
    if corners.ndim != 2 or corners.shape[1] not in (2, 3) or corners.dtype.kind not in "iu":
        raise ShapeError(
            "faces must be integers (n_faces, 3), or edges (n_edges, 2); got "
            f"{corners.dtype} of shape {corners.shape}."
        )
    largest = int(corners.max(initial=-1))
    n = n_vertices if fixed else max(n_vertices, largest + 1)
    if corners.size and (corners.min() < 0 or largest >= n):
        raise InvalidValueError(
            f"faces must name vertices from 0 to {n - 1}; got {corners.min()} to {largest}."
        )
    sides = [(0, 1)] if corners.shape[1] == 2 else [(0, 1), (1, 2), (2, 0)]
    one_way = np.concatenate([corners[:, side] for side in map(list, sides)])
    both = np.unique(np.concatenate([one_way, one_way[:, ::-1]]), axis=0).astype(np.intp)
    return both[both[:, 0] != both[:, 1]], n


def _rings(edges: np.ndarray, n: int, rings: int) -> list[np.ndarray]:
    from scipy.sparse import csr_array, eye_array

    ones = np.ones(len(edges), dtype=bool)
    step = csr_array((ones, (edges[:, 0], edges[:, 1])), shape=(n, n)) + eye_array(
        n, dtype=bool, format="csr"
    )
    reach = step
    for _ in range(rings - 1):
        reach = reach @ step
    reach.sort_indices()
    return [part.astype(np.intp) for part in np.split(reach.indices, reach.indptr[1:-1])]


def _discs(edges: np.ndarray, places: np.ndarray, radius: float) -> list[np.ndarray]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    n = len(places)
    lengths = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
    # The graph routines take a stored 0 for no edge: two vertices at one place stay neighbours.
    graph = csr_array((np.maximum(lengths, np.finfo(float).tiny), (edges[:, 0], edges[:, 1])), shape=(n, n))
    limit, found = radius * (1 + SLACK), []
    for start in range(0, n, max(1, N_HELD // n)):
        sources = np.arange(start, min(n, start + max(1, N_HELD // n)))
        distances = dijkstra(graph, indices=sources, limit=limit)
        found += [np.flatnonzero(row <= limit) for row in distances]
    return found
