"""Task graphs whose nodes are stimuli: adjacency and Laplacian, aligned with patterns by label."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import sparse

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import align, labels
from ..spatial import components
from ..spatial.graphs import as_graph as checked_weights
from .inputs import Patterns

__all__ = ["Graph", "as_graph", "embedding"]

# Eigenvalues of a Laplacian that differ by less than this share of the largest are equal.
TOLERANCE = 1e-9


class Graph(NamedTuple):
    """An undirected weighted graph over the stimuli of some patterns.

    Attributes
    ----------
    adjacency : sparse array (n_nodes, n_nodes)
        Symmetric, not negative, with an empty diagonal.
    component : array (n_nodes,) of int
        The connected component of each node.
    """

    adjacency: sparse.csr_array
    component: np.ndarray

    @property
    def degree(self) -> np.ndarray:
        """Sum of the weights of each node's edges, array (n_nodes,)."""
        return np.asarray(self.adjacency.sum(axis=1)).ravel()

    @property
    def islands(self) -> np.ndarray:
        """Which nodes have no edge, array (n_nodes,) of bool."""
        return self.degree == 0

    @property
    def laplacian(self) -> sparse.csr_array:
        """Degrees less adjacency."""
        return sparse.csr_array(sparse.diags_array(self.degree) - self.adjacency)

    def counts(self) -> dict[str, int]:
        """Return the numbers of nodes, edges, islands and components."""
        return {
            "n_nodes": self.adjacency.shape[0],
            "n_edges": self.adjacency.nnz // 2,
            "n_islands": int(self.islands.sum()),
            "n_components": int(self.component.max()) + 1,
        }


def as_graph(graph: Any, patterns: Patterns) -> Graph:
    """Return a graph in the order of the patterns' stimuli.

    Parameters
    ----------
    graph : DataArray (stimulus, stimulus_b), or sequence of (a, b) or (a, b, weight)
        Symmetric weights with labels on both dims, or undirected edges between labels. A stimulus that no
        edge names is an island.
    patterns : Patterns

    Raises
    ------
    ShapeError, LabelError
        If the graph is of another shape, or its labels are others.
    InvalidValueError
        If a weight is negative or not finite, a node is its own neighbour, an edge is repeated, or there is
        no edge.
    """
    if isinstance(graph, xr.DataArray):
        weights = _from_array(graph, patterns)
    else:
        weights = _from_edges(graph, patterns)
    adjacency = checked_weights(weights)
    if adjacency.nnz == 0:
        raise InvalidValueError("graph has no edge.")
    return Graph(adjacency, components(adjacency))


def embedding(graph: Graph, n_dims: int) -> np.ndarray:
    """Return the spectral embedding (n_nodes, n_dims): eigenvectors of the Laplacian after the constant one.

    They minimise the Dirichlet energy among orthonormal centred columns.

    Raises
    ------
    InvalidValueError
        If the graph is not connected, has too few nodes, or ``n_dims`` cuts through equal eigenvalues, so
        that the embedding is not unique.
    """
    sizes = np.bincount(graph.component)
    if len(sizes) > 1:
        raise InvalidValueError(
            f"the spectral embedding needs a connected graph; this one has {len(sizes)} components of "
            f"{listing(sorted(sizes.tolist(), reverse=True))} nodes. Pass the stimuli of one."
        )
    n = graph.adjacency.shape[0]
    if not 1 <= n_dims < n:
        raise InvalidValueError(f"n_dims must be from 1 to {n - 1} for {n} nodes; got {n_dims}.")
    values, vectors = np.linalg.eigh(graph.laplacian.toarray())
    if n_dims + 1 < n and values[n_dims + 1] - values[n_dims] < TOLERANCE * values[-1]:
        equal = np.flatnonzero(np.abs(values - values[n_dims]) < TOLERANCE * values[-1])
        raise InvalidValueError(
            f"n_dims = {n_dims} cuts through {len(equal)} equal eigenvalues of the graph, so that the "
            f"embedding is not unique; pass {equal[-1]}" + (f" or {equal[0] - 1}." if equal[0] > 1 else ".")
        )
    return vectors[:, 1 : n_dims + 1]


def _from_array(graph: xr.DataArray, patterns: Patterns) -> np.ndarray:
    dims = (patterns.on, f"{patterns.on}_b")
    if set(graph.dims) != set(dims):
        raise ShapeError(f"graph must have dims {dims}, with labels on both; got {graph.dims}.")
    graph = graph.transpose(*dims)
    rows = align(patterns.array, graph, on=patterns.on, names=["activations", "graph"])[1]
    turned = rows.rename({dims[0]: "row", dims[1]: dims[0]})
    both = align(patterns.array, turned, on=patterns.on, names=["activations", "second dim of graph"])[1]
    weights = as_float(both.transpose("row", dims[0]).values, name="graph")
    if np.abs(weights - weights.T).max() > 1e-12 * np.abs(weights).max():
        raise InvalidValueError("graph must be symmetric; average it with its transpose if that is meant.")
    return (weights + weights.T) / 2


def _from_edges(edges: Any, patterns: Patterns) -> sparse.coo_array:
    stimuli = labels(patterns.array, on=patterns.on, name="activations").tolist()
    place = {label: i for i, label in enumerate(stimuli)}
    rows, columns, weights = [], [], []
    for edge in edges:
        if len(edge) not in (2, 3):
            raise ShapeError(f"an edge must be (a, b) or (a, b, weight); got {edge!r}.")
        a, b, weight = (*edge, 1.0)[:3]
        unknown = [label for label in (a, b) if label not in place]
        if unknown:
            raise LabelError(f"graph: {listing(unknown)} of an edge are no stimuli of the activations.")
        rows.append(place[a])
        columns.append(place[b])
        weights.append(float(weight))
    i, j, w = np.array(rows, dtype=int), np.array(columns, dtype=int), np.array(weights)
    if (i == j).any() or not (np.isfinite(w) & (w > 0)).all():
        raise InvalidValueError("edges must join two different stimuli, with a positive finite weight.")
    if len({*zip(np.minimum(i, j).tolist(), np.maximum(i, j).tolist(), strict=True)}) < len(i):
        raise InvalidValueError("an edge is given twice; the graph is undirected, so (a, b) is (b, a).")
    both = (np.concatenate([i, j]), np.concatenate([j, i]))
    return sparse.coo_array((np.concatenate([w, w]), both), shape=(len(place), len(place)))
