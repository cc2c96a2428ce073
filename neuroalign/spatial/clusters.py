"""Clusters: connected units above a threshold, of many maps at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import InvalidValueError
from .graphs import as_graph
from .inputs import Maps, stacked

__all__ = ["cluster_sizes", "clusters", "largest_cluster"]


def clusters(values: Any, graph: Any, *, threshold: Any) -> xr.DataArray:
    """Return the cluster of each unit: connected units of a map that are above the threshold.

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
        For negative clusters, pass the maps with the sign changed. NaN is never above.
    graph : array (n_units, n_units)
        Two units are joined where either is a neighbour of the other. Islands are clusters of one.
    threshold : float, or array (...)
        One for all maps, or one a map.

    Returns
    -------
    DataArray (..., unit) of int
        0 below the threshold; 1 is the map's largest cluster, then 2, ... (of equal ones that with the first
        unit comes first).

    Raises
    ------
    ShapeError
        If the numbers of units differ.
    InvalidValueError
        If a threshold is not finite, or there is not one for each map.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> spatial.clusters([2.0, 0, 2, 2, 0, 2], spatial.lattice((6,)), threshold=1).values.tolist()
    [2, 0, 1, 1, 0, 3]
    """
    maps, above, label, size = _found(values, graph, threshold)
    n_maps, n_units = above.shape
    owner = np.full(len(size), n_maps)
    first = np.full(len(size), above.size)
    at = np.flatnonzero(above)
    np.minimum.at(first, label[at], at)
    owner[label[at]] = at // n_units
    # By map, the largest first, then by the first unit; places that are not above come last.
    order = np.lexsort((first, -size, owner))
    rank = np.empty(len(order), dtype=np.int64)
    starts = np.searchsorted(owner[order], np.arange(n_maps + 1))
    rank[order] = 1 + np.arange(len(order)) - starts[owner[order]]
    return maps.per_unit(np.where(above, rank[label].reshape(above.shape), 0)).rename("cluster")


def cluster_sizes(labels: Any) -> np.ndarray:
    """Return how many units each cluster of one map has, array (n_clusters,), the largest first.

    Examples
    --------
    >>> cluster_sizes([2, 0, 1, 1, 0, 3]).tolist()
    [2, 1, 1]
    """
    return np.bincount(np.asarray(labels).ravel())[1:]


def largest_cluster(values: Any, graph: Any, *, threshold: Any) -> xr.DataArray:
    """Return the size of each map's largest cluster, 0 where nothing is above the threshold.

    Of surrogate maps this is the null of cluster sizes that holds for all clusters of a map together:
    ``stats.p_value(sizes, np.repeat(null[:, None], len(sizes), axis=1))``.

    Parameters
    ----------
    values, graph, threshold
        See ``clusters``.

    Returns
    -------
    DataArray (...)

    Examples
    --------
    >>> from neuroalign import spatial
    >>> spatial.largest_cluster([[2.0, 2, 0], [0, 0, 0]], spatial.lattice((3,)), threshold=1).values.tolist()
    [2.0, 0.0]
    """
    maps, above, label, size = _found(values, graph, threshold)
    return maps.per_map(np.where(above, size[label].reshape(above.shape), 0).max(axis=1) * 1.0).rename("size")


def _found(values: Any, graph: Any, threshold: Any) -> tuple[Maps, np.ndarray, np.ndarray, np.ndarray]:
    """Return the maps, what is above (n_maps, n_units), each place's part (flat), and the parts' sizes."""
    maps = stacked(values)
    flat = maps.flat
    bar = np.asarray(threshold, dtype=np.float64)
    if not np.isfinite(bar).all() or bar.size not in (1, maps.n_maps):
        raise InvalidValueError(
            f"threshold must be finite, one or one for each of the {maps.n_maps} maps; got {bar.size} values."
        )
    above = np.nan_to_num(flat, nan=-np.inf) > bar.reshape(-1, 1)
    edges = as_graph(graph, flat.shape[1]).tocoo()
    both = above[:, edges.row] & above[:, edges.col]
    owner, edge = np.nonzero(both)
    start = owner * flat.shape[1]
    pairs = (start + edges.row[edge], start + edges.col[edge])
    joined = coo_array((np.ones(len(edge), dtype=np.int8), pairs), shape=(flat.size, flat.size))
    label = connected_components(joined, directed=False)[1]
    return maps, above, label, np.bincount(label)
