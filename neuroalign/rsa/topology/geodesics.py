"""Geodesics: shortest paths on the graph that an RDM's small dissimilarities span."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from ...errors import InvalidValueError, ShapeError, choice
from ...schema import n_stimuli_of_pairs, square
from .transforms import rdm_rows, unit_ranks

__all__ = ["EDGES", "filled", "geodesic", "geodesic_rows", "rounded"]

ZERO_EDGES = ("keep", "drop")
UNREACHABLE = ("nan", "max", "raise")
# Equal paths summed in another order differ in the last digits, which ranks would read as an order.
DIGITS = 12
# Distances of one length in a symmetric figure differ by this share of the largest; they are ties.
ROUNDING = 100 * np.finfo(np.float64).eps


def geodesic(
    rdm: xr.DataArray,
    *,
    edges: str = "threshold",
    k: int | None = None,
    p: float | None = None,
    weighted: bool = True,
    zero_edges: str = "keep",
    unreachable: str = "nan",
    rank: bool = False,
) -> xr.DataArray:
    """Return the lengths of the shortest paths between all pairs of stimuli.

    A pair is an edge of the graph by the rule ``edges``, its dissimilarity is the edge's length; a path may
    run over any stimuli. Of a geo-topological RDM this is the representational geodesic distance matrix
    (RGDM): ``geodesic(geo_topological(rdm, 0, 0.075), rank=True)``.

    Parameters
    ----------
    rdm : DataArray (..., pair)
        Dissimilarities of at least 0. A NaN pair is no edge; its path runs over others.
    edges : {"threshold", "p-shortest", "p-nearest", "k-nearest"}
        ``threshold``: the pairs of a geo-topological RDM whose value is below 1. ``p-shortest``: the share
        ``p`` of all pairs that is shortest. ``p-nearest``: each stimulus with the share ``p`` of the others
        (at least one) that is nearest to it. ``k-nearest``: each stimulus with its ``k`` nearest. A pair is
        an edge if either stimulus chooses it, and ties with the last chosen are chosen too, so that the
        order of stimuli never matters.
    k : int, optional
    p : float, optional
        Between 0 and 1.
    weighted : bool
        Whether edges have their dissimilarity as length. If not, each has length 1 and a path's length is
        its number of hops, which is invariant under any deformation that keeps the graph.
    zero_edges : {"keep", "drop"}
        What becomes of edges of length 0, of which a transform with lower > 0 has many. Graph libraries
        that take 0 for "no edge" drop them silently, which changes up to all entries.
    unreachable : {"nan", "max", "raise"}
        Pairs without a path: NaN, as long as the longest path of that RDM, or an error.
    rank : bool
        Whether each RDM's lengths are replaced by their mid-ranks from 0 to 1. Lengths that agree to 12
        digits of the longest are ties.

    Returns
    -------
    DataArray (..., pair)
        Lengths in the units of the RDM, hops, or ranks; never infinite. ``attrs["n_unreachable"]`` counts
        the pairs without a path whatever became of them, ``attrs["n_undefined"]`` the pairs that are NaN.

    Raises
    ------
    InvalidValueError
        If a choice is unknown, ``k`` or ``p`` is missing, superfluous or out of range, a dissimilarity is
        negative, values above 1 come with ``threshold``, or a pair has no path under ``"raise"``.

    References
    ----------
    Lin & Kriegeskorte, The topology and geometry of neural representations; Tenenbaum, de Silva & Langford
    2000, Science 290:2319.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> line = make_rdm(np.array([1.0, 5.0, 9.0, 2.0, 6.0, 3.0]), ["a", "b", "c", "d"])
    >>> geodesic(line, edges="k-nearest", k=1).values.tolist()
    [1.0, 3.0, 6.0, 2.0, 5.0, 3.0]
    >>> geodesic(line, edges="k-nearest", k=1, weighted=False).values.tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0, 1.0]
    >>> geodesic(line, edges="p-shortest", p=0.3).values.tolist()
    [1.0, 3.0, nan, 2.0, nan, nan]
    """
    _check_choices(edges, k, p, zero_edges, unreachable)
    rows = rdm_rows(rdm)
    _check_rows(rows, edges, k)
    values, missing = geodesic_rows(rows, edges=edges, k=k, p=p, weighted=weighted, zero_edges=zero_edges)
    if unreachable == "raise" and missing.any():
        raise InvalidValueError(
            f"{int(missing.sum())} of {missing.size} pairs have no path on the graph of {edges!r} edges; "
            "take more edges, or pass unreachable='nan' or 'max'."
        )
    if unreachable == "max":
        values = filled(values)
    if rank:
        values = unit_ranks(rounded(values))
    attrs = {
        "transform": "geodesic",
        "edges": edges,
        "weighted": int(weighted),
        "zero_edges": zero_edges,
        "unreachable": unreachable,
        "n_unreachable": int(missing.sum()),
        "n_undefined": int(np.isnan(values).sum()),
    }
    return rdm.copy(data=values.reshape(rdm.shape)).assign_attrs(attrs)


def geodesic_rows(
    rows: np.ndarray,
    *,
    edges: str = "threshold",
    k: int | None = None,
    p: float | None = None,
    weighted: bool = True,
    zero_edges: str = "keep",
) -> tuple[np.ndarray, np.ndarray]:
    """Return path lengths (n, n_pairs), NaN without a path, and where there is none (n, n_pairs)."""
    upper = np.triu_indices(n_stimuli_of_pairs(rows.shape[1]), 1)
    values = np.empty(rows.shape)
    for i, row in enumerate(rows):
        chosen = EDGES[edges](row, k, p) & ~np.isnan(row)
        if zero_edges == "drop":
            chosen &= row != 0
        values[i] = _paths(row, chosen, upper, weighted)
    missing = np.isinf(values)
    return np.where(missing, np.nan, values), missing


def _paths(row: np.ndarray, chosen: np.ndarray, upper: Any, weighted: bool) -> np.ndarray:
    n = len(square(chosen))
    a, b = upper[0][chosen], upper[1][chosen]
    length = row[chosen] if weighted else np.ones(len(a))
    # Built from coordinates: a stored 0 stays an edge, where a dense array would lose it.
    graph = csr_array((np.tile(length, 2), (np.r_[a, b], np.r_[b, a])), shape=(n, n))
    dense = 2 * len(a) > n * n / 4
    return shortest_path(graph, method="FW" if dense else "D")[upper]


def filled(values: np.ndarray) -> np.ndarray:
    """Return lengths with those that are NaN as long as the longest of their row, if it has one."""
    longest = np.where(np.isnan(values), -np.inf, values).max(axis=1, keepdims=True)
    return np.where(np.isnan(values) & (longest >= 0), longest, values)


def rounded(values: np.ndarray) -> np.ndarray:
    """Return lengths as shares of the longest of their row, to the digits that tell paths apart."""
    longest = np.where(np.isnan(values), 0.0, values).max(axis=1, keepdims=True)
    return np.round(values / np.where(longest > 0, longest, 1.0), DIGITS)


def _threshold(row: np.ndarray, k: int | None, p: float | None) -> np.ndarray:
    return row < 1


def _p_shortest(row: np.ndarray, k: int | None, p: float | None) -> np.ndarray:
    known = np.sort(row[~np.isnan(row)])
    if p is None or not len(known):
        return np.zeros(row.shape, dtype=bool)
    return row <= known[max(1, round(p * len(known))) - 1]


def _p_nearest(row: np.ndarray, k: int | None, p: float | None) -> np.ndarray:
    n = n_stimuli_of_pairs(len(row))
    return _k_nearest(row, max(1, round((p or 0.0) * (n - 1))), None)


def _k_nearest(row: np.ndarray, k: int | None, p: float | None) -> np.ndarray:
    full = square(np.where(np.isnan(row), np.inf, row), diagonal=np.inf)
    last = np.sort(full, axis=1)[:, (k or 1) - 1]
    chosen = full <= (last + ROUNDING * np.nanmax(row, initial=0.0))[:, None]
    return (chosen | chosen.T)[np.triu_indices(len(full), 1)]


EDGES: dict[str, Callable[[np.ndarray, int | None, float | None], np.ndarray]] = {
    "threshold": _threshold,
    "p-shortest": _p_shortest,
    "p-nearest": _p_nearest,
    "k-nearest": _k_nearest,
}
TAKES = {"threshold": None, "p-shortest": "p", "p-nearest": "p", "k-nearest": "k"}


def _check_choices(edges: str, k: int | None, p: float | None, zero_edges: str, unreachable: str) -> None:
    if edges not in EDGES:
        raise choice(edges, EDGES, name="edges")
    if zero_edges not in ZERO_EDGES:
        raise choice(zero_edges, ZERO_EDGES, name="zero_edges")
    if unreachable not in UNREACHABLE:
        raise choice(unreachable, UNREACHABLE, name="unreachable")
    for name, value in (("k", k), ("p", p)):
        if (value is None) == (TAKES[edges] == name):
            verb = "needs" if value is None else "does not take"
            raise InvalidValueError(f"edges={edges!r} {verb} {name}; got {name}={value!r}.")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1):
        raise InvalidValueError(f"k must be a positive integer; got {k!r}.")
    if p is not None and not 0 < p <= 1:
        raise InvalidValueError(f"p must be above 0 and at most 1; got {p!r}.")


def _check_rows(rows: np.ndarray, edges: str, k: int | None) -> None:
    n = n_stimuli_of_pairs(rows.shape[1])
    if k is not None and k >= n:
        raise ShapeError(f"k must be below the number of stimuli, {n}; got {k}.")
    lowest, highest = np.nanmin(rows, initial=0.0), np.nanmax(rows, initial=0.0)
    if lowest < 0:
        raise InvalidValueError(
            f"path lengths need dissimilarities of at least 0; got {lowest}. Cross-validated ones are "
            "negative by chance: pass them through geo_topological first."
        )
    if edges == "threshold" and highest > 1:
        raise InvalidValueError(
            f"edges='threshold' takes a geo-topological RDM, 0 to 1; got values to {highest}. Pass it "
            "through geo_topological first, or choose p-shortest, p-nearest or k-nearest."
        )
