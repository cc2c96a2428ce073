"""Which neuroids lie around each: spheres in a volume, rings or geodesic discs on a surface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError

__all__ = ["nearest_neighbours", "spheres", "surface_neighbours"]

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


def nearest_neighbours(xyz: Any, k: int) -> list[np.ndarray]:
    """Return the k neuroids nearest to each neuroid, itself among them: spheres of one size everywhere.

    At the border of the brain such a sphere reaches farther than elsewhere.

    Parameters
    ----------
    xyz : array (n_neuroids, 3), or DataArray
        As in ``spheres``.
    k : int
        1 to n_neuroids. Of neuroids at the same distance those with the lower positions are taken.

    Returns
    -------
    list of array (k,)
        Positions in ascending order.

    Raises
    ------
    LabelError, ShapeError
        As ``spheres``.
    InvalidValueError
        If k is no integer from 1 to the number of neuroids.

    Examples
    --------
    >>> [found.tolist() for found in nearest_neighbours([[0, 0, 0], [2, 0, 0], [5, 0, 0]], 2)]
    [[0, 1], [0, 1], [1, 2]]
    """
    from scipy.spatial import cKDTree

    places = _places(xyz)
    k = _size(k, len(places))
    tree = cKDTree(places)
    farthest = tree.query(places, k=[k])[0][:, 0]
    reached = tree.query_ball_point(places, farthest * (1 + SLACK), return_sorted=True)
    return [
        _nearest(np.array(some, dtype=np.intp), np.linalg.norm(places[some] - place, axis=1), k)
        for some, place in zip(reached, places, strict=True)
    ]


def surface_neighbours(
    faces: Any,
    *,
    rings: int | None = None,
    radius: float | None = None,
    nearest: int | None = None,
    xyz: Any = None,
    n_vertices: int = 0,
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
        needs ``xyz``.
    nearest : int, optional
        So many vertices that are nearest along edges, itself among them; fewer where a part of the mesh has
        fewer; needs ``xyz``. One of ``rings``, ``radius`` and ``nearest``.
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
        If not exactly one of rings, radius and nearest is given, or it is not positive, or a vertex is out of
        range.
    ShapeError
        If the faces are no triangles and no edges, or ``radius`` or ``nearest`` comes without ``xyz``.

    Examples
    --------
    >>> [ring.tolist() for ring in surface_neighbours([[0, 1, 2], [2, 1, 3]], rings=1)]
    [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3]]
    """
    if sum(given is not None for given in (rings, radius, nearest)) != 1:
        raise InvalidValueError(
            "surface_neighbours needs either rings or radius or nearest, and one of them only."
        )
    places = None if xyz is None else _places(xyz)
    edges, n = _edges(faces, n_vertices if places is None else len(places), places is not None)
    if rings is None:
        if places is None:
            name = "radius" if nearest is None else "nearest"
            raise ShapeError(f"{name}: distances along edges need xyz, array (n_vertices, 3), in mm.")
        if nearest is None:
            return _discs(edges, places, _positive(radius))
        return _nearest_on_mesh(edges, places, _size(nearest, n))
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


def _size(k: Any, n: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= n:
        raise InvalidValueError(f"so many neighbours must be an integer from 1 to {n}; got {k!r}.")
    return int(k)


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
    limit, found = radius * (1 + SLACK), []
    for distances in _along_edges(edges, places, np.arange(len(places)), limit):
        found += [np.flatnonzero(row <= limit) for row in distances]
    return found


def _nearest_on_mesh(edges: np.ndarray, places: np.ndarray, k: int) -> list[np.ndarray]:
    """Return the k nearest vertices of each; the reach is doubled for those that have not found them."""
    lengths = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
    limit = float(lengths.mean() * np.sqrt(k)) if lengths.size else 1.0
    largest = float(lengths.sum()) + 1.0
    found: list[np.ndarray] = [np.empty(0, dtype=np.intp)] * len(places)
    left = np.arange(len(places))
    while left.size:
        still = []
        start = 0
        for distances in _along_edges(edges, places, left, limit):
            for vertex, row in zip(left[start : start + len(distances)], distances, strict=True):
                reached = np.flatnonzero(np.isfinite(row))
                found[vertex] = _nearest(reached, row[reached], k)
                if len(reached) < k and limit < largest:
                    still.append(vertex)
            start += len(distances)
        left, limit = np.array(still, dtype=np.intp), 2 * limit
    return found


def _nearest(some: np.ndarray, distance: np.ndarray, k: int) -> np.ndarray:
    # Distances that differ by rounding only are ties; of these the lower positions are taken.
    order = np.lexsort((some, np.round(distance, 9)))[:k]
    return np.sort(some[order])


def _along_edges(
    edges: np.ndarray, places: np.ndarray, sources: np.ndarray, limit: float
) -> Iterator[np.ndarray]:
    """Yield distances (some, n_vertices) of blocks of sources; infinite beyond the limit."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    n = len(places)
    lengths = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
    # The graph routines take a stored 0 for no edge: two vertices at one place stay neighbours.
    graph = csr_array((np.maximum(lengths, np.finfo(float).tiny), (edges[:, 0], edges[:, 1])), shape=(n, n))
    step = max(1, N_HELD // n)
    for start in range(0, len(sources), step):
        yield dijkstra(graph, indices=sources[start : start + step], limit=limit)
