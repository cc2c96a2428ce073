"""Clusters of samples above a threshold, over time and space, of many maps at once: kernels on raw arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

__all__ = ["Clusters", "enhanced", "find_clusters", "largest", "spread"]


@dataclass(frozen=True)
class Clusters:
    """The clusters of a stack of maps (n_maps, n_places, n_times), and the runs in time they are made of.

    Attributes
    ----------
    owner, mass, size : array (n_clusters,)
        The map that a cluster is in, the sum of its values, and how many samples it has.
    start, stop, of : array (n_runs,)
        Where a run begins and ends in the maps laid out flat, each row of times followed by one empty sample;
        and its cluster.
    """

    owner: np.ndarray
    mass: np.ndarray
    size: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    of: np.ndarray


def find_clusters(values: np.ndarray, mask: np.ndarray, edges: np.ndarray | None = None) -> Clusters:
    """Return the connected parts of each map's mask.

    Runs of neighbouring times are found for all maps at once; they are the nodes of a graph in which two runs
    of neighbouring places are joined where they share a time, so that its size is that of the runs, not of
    the samples.

    Parameters
    ----------
    values, mask : array (n_maps, n_places, n_times)
        What is summed, without NaN, and the samples above the threshold.
    edges : array (n_edges, 2) of int, optional
        Neighbouring places; none where None.
    """
    n_maps, n_places, n_times = mask.shape
    width = n_times + 1
    flat = np.zeros(n_maps * n_places * width + 1, dtype=bool)
    # One False before all rows and one after each: every run has a start and a stop.
    inside = flat[1:].reshape(n_maps, n_places, width)
    inside[..., :n_times] = mask
    change = np.flatnonzero(flat[1:] != flat[:-1])
    start, stop = change[::2], change[1::2]
    owner = start // (width * n_places)
    size = stop - start
    # Values above the threshold stand in the order of the runs.
    first = np.cumsum(size) - size
    mass = np.add.reduceat(values[mask], first) if len(size) else np.empty(0)
    if edges is None or not len(edges) or not len(start):
        return Clusters(owner, mass, size, start, stop, np.arange(len(start)))
    n_found, of = _joined(inside, start, edges)
    # A cluster's runs are all in one map.
    owners = np.zeros(n_found, dtype=owner.dtype)
    owners[of] = owner
    masses, sizes = np.bincount(of, mass, n_found), np.bincount(of, size, n_found)
    return Clusters(owners, masses, sizes.astype(size.dtype), start, stop, of)


def largest(found: Clusters, weight: np.ndarray, n_maps: int) -> np.ndarray:
    """Return the largest weight of any cluster of each map (n_maps,), 0 where there is none."""
    most = np.zeros(n_maps)
    np.maximum.at(most, found.owner, weight)
    return most


def spread(found: Clusters, weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return maps (n_maps, n_places, n_times) with each cluster's weight at its samples, 0 elsewhere."""
    steps = np.zeros((*shape[:-1], shape[-1] + 1), dtype=weight.dtype)
    flat = steps.reshape(-1)
    flat[found.start] += weight[found.of]
    flat[found.stop] -= weight[found.of]
    return np.cumsum(flat).reshape(steps.shape)[..., :-1]


def enhanced(
    values: np.ndarray, edges: np.ndarray | None, *, step: float, extent: float, height: float
) -> np.ndarray:
    r"""Return threshold-free cluster enhancement of the positive part of each map.

    .. math:: \sum_{h = \delta, 2 \delta, \ldots} e(h)^E h^H \delta

    with e(h) the size of the sample's cluster at threshold h.

    Parameters
    ----------
    values : array (n_maps, n_places, n_times)
        Without NaN; infinite ones count as the largest finite one.
    edges : array (n_edges, 2) or None
    step, extent, height : float
        :math:`\delta`, E and H.
    """
    n_maps, n_places, n_times = values.shape
    steps = np.zeros(n_maps * n_places * (n_times + 1))
    top = np.where(np.isfinite(values), values, 0.0).max(initial=0.0)
    for i in range(1, int(top / step) + 1):
        level = i * step
        found = find_clusters(values, values >= level, edges)
        weight = (found.size**extent * level**height * step)[found.of]
        steps[found.start] += weight
        steps[found.stop] -= weight
    # Each row's steps add up to 0, but for rounding: rows are summed apart so that it does not build up.
    total = np.cumsum(steps.reshape(n_maps, n_places, n_times + 1), axis=-1)[..., :-1]
    return np.where(values > 0, np.maximum(total, 0.0), 0.0)


def _joined(inside: np.ndarray, start: np.ndarray, edges: np.ndarray) -> tuple[int, np.ndarray]:
    """Return how many clusters the runs of a padded mask make, and the cluster of each run."""
    begins = np.zeros(inside.size, dtype=np.int32)
    begins[start] = 1
    run = np.cumsum(begins, dtype=np.int32) - 1
    _, n_places, width = inside.shape
    pairs = [(np.empty(0, dtype=np.int32),) * 2]
    for first, second in edges:
        both = inside[:, first] & inside[:, second]
        # Two runs that overlap do so in one stretch: its first sample names the pair.
        both[:, 1:] &= ~both[:, :-1]
        one_map, time = np.divmod(np.flatnonzero(both), width)
        row = one_map * n_places
        pairs.append((run[(row + first) * width + time], run[(row + second) * width + time]))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    n_runs = len(start)
    graph = csr_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(n_runs, n_runs))
    return connected_components(graph, directed=False)
