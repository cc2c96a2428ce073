"""Who is whose neighbour: graphs of lattices, surface meshes and positions, as scipy's sparse arrays."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice, listing

__all__ = [
    "as_graph",
    "as_positions",
    "components",
    "distances",
    "islands",
    "lattice",
    "lattice_positions",
    "mesh",
    "row_standardise",
]

REACH = {"rook": 1.0, "queen": None}


def lattice(shape: Sequence[int], *, neighbours: str | float = "rook", periodic: bool = False) -> csr_array:
    """Return which units of a lattice are neighbours, 1 each.

    Parameters
    ----------
    shape : sequence of int
        Such as (rows, columns); any number of axes. Units are numbered row by row.
    neighbours : {"rook", "queen"} or float
        Units one step away along one axis; along any axes at once; or all within this distance in steps.
    periodic : bool
        Whether the last unit of an axis is beside the first (a torus).

    Returns
    -------
    csr_array (n_units, n_units)
        Symmetric, without a diagonal. A lattice of a single unit is an island.

    Raises
    ------
    InvalidValueError
        If a size is no positive integer, or ``neighbours`` is unknown or below 1.

    Examples
    --------
    >>> lattice((2, 3)).toarray()[0].tolist()
    [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    """
    sizes = _sizes(shape)
    places = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)
    pairs = []
    for step in _steps(neighbours, len(sizes)):
        to = places + step
        if periodic:
            to %= sizes
        inside = ((to >= 0) & (to < sizes)).all(axis=1)
        pairs.append((np.flatnonzero(inside), np.ravel_multi_index(tuple(to[inside].T), sizes)))
    rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
    # Around a short ring two steps may end at one unit, or where they began.
    return _binary(rows, columns, int(np.prod(sizes)))


def lattice_positions(shape: Sequence[int], *, spacing: float = 1.0) -> np.ndarray:
    """Return where the units of a lattice are, array (n_units, n_axes), in the order of ``lattice``.

    Examples
    --------
    >>> lattice_positions((2, 2)).tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    sizes = _sizes(shape)
    return spacing * np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1).astype(np.float64)


def mesh(faces: Any, *, n_vertices: int | None = None) -> csr_array:
    """Return which vertices of a surface share an edge, 1 each.

    Parameters
    ----------
    faces : array (n_faces, n_corners) of int
        Triangles, or polygons whose corners stand in order.
    n_vertices : int, optional
        Where vertices may belong to no face (they are islands); one more than the largest corner where None.

    Returns
    -------
    csr_array (n_vertices, n_vertices)
        Symmetric.

    Raises
    ------
    ShapeError, InvalidValueError
        If faces are no table of vertex numbers, or name a vertex beyond ``n_vertices``.

    Examples
    --------
    >>> mesh([[0, 1, 2], [1, 2, 3]]).sum(axis=1).tolist()
    [2.0, 3.0, 3.0, 2.0]
    """
    corners = np.asarray(faces)
    if corners.ndim != 2 or corners.shape[1] < 3 or not len(corners):
        raise ShapeError(f"faces must be (n_faces, at least 3 corners); got shape {corners.shape}.")
    if corners.dtype.kind not in "iu" or corners.min() < 0:
        raise InvalidValueError("faces must hold the numbers of vertices, integers from 0 on.")
    n = int(corners.max()) + 1 if n_vertices is None else n_vertices
    if corners.max() >= n:
        raise InvalidValueError(f"faces name vertex {corners.max()}; n_vertices is {n}.")
    one, other = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    return _binary(np.r_[one, other], np.r_[other, one], n)


def distances(
    positions: Any, *, radius: float | None = None, k: int | None = None, symmetric: bool = True
) -> csr_array:
    """Return which units lie near each other, 1 each: all within a radius, or the k nearest.

    Parameters
    ----------
    positions : array (n_units, n_axes)
        In any unit of length; no two may be the same.
    radius : float, optional
        Neighbours are at most so far away. Units further from all others are islands.
    k : int, optional
        Neighbours are the k nearest.
    symmetric : bool
        With k, whether j is a neighbour of i as soon as i is one of j. False keeps exactly k.

    Returns
    -------
    csr_array (n_units, n_units)

    Raises
    ------
    InvalidValueError
        If neither or both of radius and k are given, one is out of range, or positions repeat or are not
        finite.

    Examples
    --------
    >>> distances([[0.0], [1.0], [3.0]], radius=1.5).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    >>> distances([[0.0], [1.0], [3.0]], k=1, symmetric=False).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    places = as_positions(positions)
    n = len(places)
    if (radius is None) == (k is None):
        raise InvalidValueError(f"give either radius or k; got radius={radius!r} and k={k!r}.")
    if radius is not None:
        if not radius > 0 or not np.isfinite(radius):
            raise InvalidValueError(f"radius must be positive; got {radius!r}.")
        one, other = cKDTree(places).query_pairs(radius, output_type="ndarray").T
        return _binary(np.r_[one, other], np.r_[other, one], n)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k < n:
        raise InvalidValueError(f"k must be an integer from 1 to {n - 1}; got {k!r}.")
    # The nearest of all is the unit itself.
    other = cKDTree(places).query(places, k=int(k) + 1)[1][:, 1:].ravel()
    one = np.repeat(np.arange(n), k)
    return _binary(np.r_[one, other], np.r_[other, one], n) if symmetric else _binary(one, other, n)


def row_standardise(graph: Any) -> csr_array:
    """Return the weights divided by their row's sum, so that a lag is a mean; empty rows stay empty.

    Examples
    --------
    >>> row_standardise([[0, 1, 3], [1, 0, 0], [0, 0, 0]]).toarray().tolist()
    [[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    weights = as_graph(graph)
    total = weights.sum(axis=1)
    weights.data /= np.repeat(np.where(total > 0, total, 1.0), np.diff(weights.indptr))
    return weights


def islands(graph: Any) -> np.ndarray:
    """Return the units (n_islands,) that are nobody's neighbour and have none.

    Examples
    --------
    >>> islands([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).tolist()
    [2]
    """
    weights = as_graph(graph)
    return np.flatnonzero((weights.sum(axis=0) == 0) & (weights.sum(axis=1) == 0))


def components(graph: Any) -> np.ndarray:
    """Return the connected part that each unit belongs to (n_units,), numbered from 0; directions ignored.

    Examples
    --------
    >>> components([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).tolist()
    [0, 0, 1]
    """
    return connected_components(as_graph(graph), directed=False)[1]


def as_graph(graph: Any, n_units: int | None = None) -> csr_array:
    """Return a copy of the weights as a float64 csr_array without stored zeros, or refuse them.

    Raises
    ------
    ShapeError
        If they are no square matrix, or of another number of units.
    InvalidValueError
        If a weight is negative or not finite, or a unit is its own neighbour.
    """
    if not issparse(graph):
        graph = as_float(graph, name="graph", ndim=2, finite=False)
    elif graph.dtype.kind not in "fiub":
        raise InvalidValueError(f"graph must hold real numbers; got dtype {graph.dtype}.")
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise ShapeError(f"graph must be a square matrix of weights; got shape {graph.shape}.")
    weights = csr_array(graph, dtype=np.float64, copy=True)
    weights.sum_duplicates()
    weights.eliminate_zeros()
    if n_units is not None and weights.shape[0] != n_units:
        raise ShapeError(f"graph has {weights.shape[0]} units, the maps have {n_units}.")
    _refuse_bad_weights(weights)
    own = np.flatnonzero(weights.diagonal())
    if len(own):
        raise InvalidValueError(
            f"{len(own)} units are their own neighbours: {listing(own)}. Set the diagonal to 0."
        )
    return weights


def as_positions(positions: Any) -> np.ndarray:
    """Return positions as float64 (n_units, n_axes); equal ones are refused, and those without an axis."""
    places = as_float(positions, name="positions", ndim=2)
    if not places.size:
        raise ShapeError(f"positions must be of some units, along at least 1 axis; got shape {places.shape}.")
    first, inverse = np.unique(places, axis=0, return_index=True, return_inverse=True)[1:]
    again = np.flatnonzero(first[inverse.ravel()] != np.arange(len(places)))
    if len(again):
        twin = first[inverse.ravel()[again[0]]]
        raise InvalidValueError(
            f"{len(again)} positions are repeated; units {twin} and {again[0]} are both at "
            f"{places[again[0]].tolist()}. Average such units, or give each its own place."
        )
    return places


def _refuse_bad_weights(weights: csr_array) -> None:
    bad = np.flatnonzero(~(np.isfinite(weights.data) & (weights.data >= 0)))
    if len(bad):
        row = np.searchsorted(weights.indptr, bad[0], side="right") - 1
        raise InvalidValueError(
            f"weights of graph must be finite and not negative; {len(bad)} of {weights.nnz} are not, the "
            f"first is {weights.data[bad[0]]} from unit {row} to unit {weights.indices[bad[0]]}. Give units "
            "that are no neighbours a weight of 0."
        )


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(shape)
    if not sizes or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in sizes):
        raise InvalidValueError(f"shape must be positive integers, such as (10, 12); got {shape!r}.")
    return tuple(int(n) for n in sizes)


def _steps(neighbours: str | float, n_axes: int) -> list[np.ndarray]:
    """Return the steps to all neighbours of a unit."""
    if isinstance(neighbours, str):
        if neighbours not in REACH:
            raise choice(neighbours, [*REACH, "a distance"], name="neighbours")
        # Along all axes at once, a queen's step is at most so long.
        reach = REACH[neighbours] or np.sqrt(n_axes)
        furthest = 1
    else:
        if isinstance(neighbours, bool) or not np.isfinite(neighbours) or neighbours < 1:
            raise InvalidValueError(f"neighbours must be a distance of at least 1; got {neighbours!r}.")
        reach, furthest = float(neighbours), int(neighbours)
    every = itertools.product(range(-furthest, furthest + 1), repeat=n_axes)
    steps = [np.array(step) for step in every if any(step)]
    return [step for step in steps if (step**2).sum() <= reach**2 * (1 + 1e-12)]


def _binary(rows: np.ndarray, columns: np.ndarray, n: int) -> csr_array:
    apart = rows != columns
    pairs = (rows[apart], columns[apart])
    weights = csr_array((np.ones(len(pairs[0])), pairs), shape=(n, n))
    weights.sum_duplicates()
    weights.data[:] = 1.0
    return weights
