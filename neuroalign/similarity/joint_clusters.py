"""Groups of units of several networks: clusters of the graph that joins them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, choice
from .unit_batches import Units, chosen_rows, paired
from .unit_moments import CrossMoments

__all__ = ["cluster_units"]

METHODS = ("agglomerative", "spectral")
MOST_UNITS = 5000
BATCH = 512


def cluster_units(
    networks: Mapping[str, Any],
    *,
    n_clusters: int,
    method: str = "agglomerative",
    absolute: bool = False,
    select: Any | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return clusters of the units of all networks together, by how alike they respond.

    Units are nodes, within and between networks; edges are correlations over the stimuli (negative ones count
    as 0, or by their size with ``absolute``). ``agglomerative`` joins by the mean of 1 - edge (average
    linkage); ``spectral`` cuts the normalised graph.

    Parameters
    ----------
    networks : mapping of name to array (n_stimuli, n_units)
        Aligned by stimulus where labelled; together at most 5,000 units.
    n_clusters : int
    method : {"agglomerative", "spectral"}
    absolute : bool
    select : array (n_stimuli,) or DataArray (stimulus,) of bool, optional
        Stimuli that make the clusters; the cohesion is then that of the others.
    seed : int
        Of ``spectral``, whose last step (k-means) starts at random.

    Returns
    -------
    Dataset
        ``cluster`` (unit,): 0 to n_clusters - 1, numbered by size, -1 for dead units; coordinates ``network``
        and ``index`` (position in the network). ``n`` (group, name): units of each network in each cluster;
        ``cohesion`` (group,): mean edge between its units of different networks (NaN where it has units
        of one network only). ``between``: the mean edge between units of different networks, clusters aside:
        what cohesion is by chance. ``attrs``: ``n_dead``, ``n_shared`` (clusters with units of every
        network), ``n_stimuli``, ``n_held_out``.

    Raises
    ------
    ShapeError, LabelError
        If the stimuli differ in number or label.
    InvalidValueError
        If there are too many units, or n_clusters is not from 1 to the number of live ones.

    References
    ----------
    Li et al. 2016, ICLR ("Convergent learning"), section 5 (clusters of units of several networks); Ng et al.
    2001, NIPS 14 (spectral clustering).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> two = rng.standard_normal((60, 2)).repeat(3, axis=1)
    >>> found = cluster_units({"a": two, "b": two[:, ::-1]}, n_clusters=2)
    >>> found["cluster"].values.tolist(), found["cohesion"].values.round(3).tolist()
    ([0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0], [1.0, 1.0])
    """
    if method not in METHODS:
        raise choice(method, METHODS, name="method")
    units = paired({str(name): x for name, x in networks.items()})
    total = sum(one.n_units for one in units)
    if total > MOST_UNITS:
        raise InvalidValueError(
            f"the networks have {total:,} units together; up to {MOST_UNITS:,} are clustered. Draw units, "
            "or cluster layer by layer."
        )
    rows, rest = chosen_rows(select, units[0])
    edges = _edges(units, rows, absolute)
    live = np.flatnonzero(~np.isnan(np.diag(edges)))
    good = isinstance(n_clusters, int | np.integer) and not isinstance(n_clusters, bool)
    if not good or not 1 <= n_clusters <= len(live):
        raise InvalidValueError(
            f"n_clusters must be an integer from 1 to the {len(live)} live units; got {n_clusters!r}."
        )
    cluster = np.full(total, -1)
    cluster[live] = _by_size(_labels(edges[np.ix_(live, live)], n_clusters, method, seed))
    of = np.repeat(np.arange(len(units)), [one.n_units for one in units])
    index = np.concatenate([np.arange(one.n_units) for one in units])
    members = [
        [int(((cluster == c) & (of == m)).sum()) for m in range(len(units))] for c in range(n_clusters)
    ]
    evaluated = edges if rest is None else _edges(units, rest, absolute)
    cohesion, between = _cohesion(evaluated, cluster, of, n_clusters)
    names = np.array([one.name for one in units])
    attrs = {
        "n_dead": total - len(live),
        "n_shared": int((np.array(members) > 0).all(axis=1).sum()),
        "n_stimuli": len(rows),
        "n_held_out": 0 if rest is None else len(rest),
        "method": method,
    }
    return xr.Dataset(
        {
            "cluster": ("unit", cluster),
            "n": (("group", "name"), np.array(members)),
            "cohesion": ("group", cohesion),
            "between": between,
        },
        coords={"network": ("unit", names[of]), "index": ("unit", index), "name": names},
        attrs=attrs,
    )


def _edges(units: list[Units], rows: np.ndarray, absolute: bool) -> np.ndarray:
    """Return edges (n, n) of all units, 0 to 1; NaN for dead units."""
    total = sum(one.n_units for one in units)
    sums = CrossMoments(total, total)
    for start in range(0, len(rows), BATCH):
        together = np.hstack([one.read(rows[start : start + BATCH]) for one in units])
        sums.update(together, together)
    r = sums.correlate()
    r = np.abs(r) if absolute else np.maximum(r, 0.0)
    return (r + r.T) / 2


def _labels(edges: np.ndarray, n_clusters: int, method: str, seed: int) -> np.ndarray:
    if n_clusters == 1:
        return np.zeros(len(edges), dtype=int)
    if method == "spectral":
        from sklearn.cluster import SpectralClustering

        found = SpectralClustering(n_clusters, affinity="precomputed", random_state=seed)
        # A small edge everywhere: the cut of a graph in pieces is not unique.
        return found.fit_predict(edges + 1e-6)
    from sklearn.cluster import AgglomerativeClustering

    distances = 1.0 - edges
    np.fill_diagonal(distances, 0.0)
    return AgglomerativeClustering(n_clusters, metric="precomputed", linkage="average").fit_predict(distances)


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Return labels numbered by size, largest first; of equal sizes the one that comes first."""
    names, start, count = np.unique(labels, return_index=True, return_counts=True)
    rank = np.empty(len(names), dtype=int)
    rank[np.lexsort([start, -count])] = np.arange(len(names))
    return rank[np.searchsorted(names, labels)]


def _cohesion(
    edges: np.ndarray, cluster: np.ndarray, of: np.ndarray, n_clusters: int
) -> tuple[np.ndarray, float]:
    def mean(inside: np.ndarray) -> float:
        block = edges[np.ix_(inside, inside)]
        kept = block[(of[inside][:, None] != of[inside]) & ~np.isnan(block)]
        return float(kept.mean()) if kept.size else float("nan")

    found = np.array([mean(np.flatnonzero(cluster == c)) for c in range(n_clusters)])
    return found, mean(np.flatnonzero(cluster >= 0))
