"""Statistics of maps under flips of subjects' signs, and the heaviest cluster of each: kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InvalidValueError
from .cluster_labels import Clusters, enhanced, find_clusters, largest
from .cluster_maps import ROUNDING, Maps

__all__ = ["CHUNK", "SIDES", "Rule", "clusters_of", "enhanced_maps", "null_maxima", "statistics", "weight_of"]

SIDES = {"greater": (1,), "less": (-1,), "two-sided": (1, -1)}
# Samples of all maps of a chunk of flips: some tens of MB.
CHUNK = 2_000_000
# Of TFCE; a larger statistic over a smaller step would take hours.
MOST_LEVELS = 10_000


@dataclass(frozen=True)
class Rule:
    """How maps become clusters; the arguments of ``cluster_test``."""

    statistic: str
    threshold: np.ndarray | None
    sides: tuple[int, ...]
    weights: str
    step: float
    extent: float
    height: float


def null_maxima(signs: np.ndarray, maps: Maps, rule: Rule) -> np.ndarray:
    """Return the largest weight of each map, of either side, under each pattern of signs.

    Parameters
    ----------
    signs : array (n_patterns, n_subjects)
    maps : Maps
    rule : Rule

    Returns
    -------
    array (n_patterns, n_maps)
        0 where there is no cluster.
    """
    size = max(1, CHUNK // max(1, maps.count.size))
    parts = [signs[start : start + size] for start in range(0, len(signs), size)]
    return np.concatenate([_largest(part, maps, rule) for part in parts])


def statistics(signs: np.ndarray, maps: Maps, statistic: str) -> np.ndarray:
    """Return the mean or its t under each pattern (n_patterns, n_maps, n_places, n_times).

    0 where undefined; infinite where a pattern makes all subjects equal.
    """
    flat = maps.values.reshape(len(maps.values), -1)
    defined, count = maps.defined.reshape(-1), np.maximum(maps.count.reshape(-1), 2)
    found = signs @ np.where(defined, flat / count, 0.0)
    if statistic == "t":
        square = np.where(defined, (flat**2).sum(axis=0) / count, 1.0)
        variance = square - found**2
        variance[variance <= ROUNDING * square] = 0.0
        variance /= count - 1
        with np.errstate(divide="ignore"):
            found /= np.sqrt(variance, out=variance)
    return found.reshape(len(signs), *maps.count.shape)


def clusters_of(values: np.ndarray, bar: np.ndarray | None, side: int, edges: np.ndarray | None) -> Clusters:
    """Return the clusters above the threshold, or (side -1) below its negative; masses are above 0."""
    values = side * values
    return find_clusters(values, values >= bar, edges)


def weight_of(found: Clusters, weights: str) -> np.ndarray:
    """Return the mass or the size of each cluster."""
    return found.mass if weights == "sum" else found.size.astype(np.float64)


def enhanced_maps(values: np.ndarray, maps: Maps, rule: Rule) -> np.ndarray:
    """Return the positive part of maps after TFCE, or refuse a step that is no step or too small."""
    step = rule.step
    if not (np.isfinite(step) and step > 0):
        raise InvalidValueError(f"step must be positive; got {step!r}.")
    top = float(np.where(np.isfinite(values), values, 0.0).max(initial=0.0))
    if top > MOST_LEVELS * step:
        raise InvalidValueError(
            f"step {step:g} is too small for a statistic of {top:g}: more than {MOST_LEVELS:,} thresholds."
        )
    return enhanced(values, maps.edges, step=step, extent=rule.extent, height=rule.height)


def _largest(signs: np.ndarray, maps: Maps, rule: Rule) -> np.ndarray:
    found = statistics(signs, maps, rule.statistic)
    shape = found.shape[:2]
    values = found.reshape(-1, *found.shape[2:])
    most = np.zeros(len(values))
    if rule.threshold is None:
        for side in rule.sides:
            np.maximum(most, enhanced_maps(side * values, maps, rule).max(axis=(1, 2)), out=most)
        most[np.isinf(values).any(axis=(1, 2))] = np.inf
        return most.reshape(shape)
    bar = np.broadcast_to(rule.threshold, found.shape).reshape(values.shape)
    for side in rule.sides:
        clusters = clusters_of(values, bar, side, maps.edges)
        np.maximum(most, largest(clusters, weight_of(clusters, rule.weights), len(values)), out=most)
    return most.reshape(shape)
