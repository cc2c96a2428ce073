"""Partial RDMs, over different stimuli each, brought to one scale and merged into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..schema import check, make_rdm, rdm_stimuli
from .compare import as_rows

__all__ = ["WEIGHTS", "merge_rdms", "rescale_rdms", "union_rdms"]

# The least evidence weight: that of a pair at a fifth of the arena's diameter (Kriegeskorte & Mur 2012).
LEAST_DISTANCE = 0.2
MAX_ITERATIONS = 10_000


def merge_rdms(
    rdms: Sequence[xr.DataArray],
    *,
    method: str = "evidence",
    tolerance: float = 1e-8,
) -> xr.DataArray:
    """Return one RDM over the union of the stimuli of partial RDMs.

    The partial RDMs are brought to one scale (``rescale_rdms``) and averaged with the same weights, each pair
    over those that have it.

    Parameters
    ----------
    rdms : sequence of DataArray (pair,) or (..., pair)
        RDMs over different stimuli; leading dims are further partial RDMs.
    method : {"evidence", "setsize", "simple", "none"}
        Weights; ``"none"`` leaves every RDM at its own scale and averages with equal weights.
    tolerance : float
        As in ``rescale_rdms``.

    Returns
    -------
    DataArray (pair,)
        Stimuli in the order of their first appearance, with the coordinate ``n_rdms`` (pair,): how many
        partial RDMs have the pair. A pair that none has is NaN; ``attrs["n_missing"]`` counts these. Its sum
        of squares is 1 up to the last step of the iteration, except under ``"none"``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As ``union_rdms`` and ``rescale_rdms``.

    References
    ----------
    Kriegeskorte & Mur 2012, Front Psychol 3:245 (multi-arrangement; evidence weights).

    Examples
    --------
    >>> first = make_rdm(np.array([1.0, 1.0, 2.0]), ["s1", "s2", "s3"])
    >>> second = make_rdm(np.array([4.0, 4.0, 2.0]), ["s2", "s3", "s4"])
    >>> found = merge_rdms([first, second], method="simple")
    >>> (found / found[0]).values.round(3).tolist(), found["n_rdms"].values.tolist()
    ([1.0, 1.0, nan, 2.0, 2.0, 1.0], [1, 1, 0, 2, 1, 1])
    """
    together = union_rdms(rdms)
    if method == "none":
        scaled, weights = together.values, np.ones(together.shape)
    else:
        found = rescale_rdms(together, method, tolerance=tolerance)
        scaled, weights = found["rdm"].values, found["weight"].values
    known = ~np.isnan(scaled)
    mean = _weighted_mean(scaled, np.where(known, weights, 0.0))
    merged = make_rdm(mean, rdm_stimuli(together), attrs={"scale": method})
    return merged.assign_coords(n_rdms=("pair", known.sum(axis=0))).assign_attrs(
        n_missing=int((~known).all(axis=0).sum())
    )


def union_rdms(rdms: Sequence[xr.DataArray]) -> xr.DataArray:
    """Return partial RDMs in one array over the union of their stimuli, NaN where a pair is not theirs.

    Parameters
    ----------
    rdms : sequence of DataArray (pair,) or (..., pair)

    Returns
    -------
    DataArray (rdm, pair)
        Stimuli in the order of their first appearance. ``source`` (rdm,) is the position in the sequence, and
        the coordinates that all leading dims have come along.

    Raises
    ------
    ShapeError
        If there is none.
    LabelError
        If stimulus labels are of different types.

    Examples
    --------
    >>> a, b = make_rdm(np.array([1.0]), ["s1", "s2"]), make_rdm(np.array([2.0]), ["s2", "s3"])
    >>> union_rdms([a, b]).values.tolist()
    [[1.0, nan, nan], [nan, nan, 2.0]]
    """
    rdms = list(rdms)
    if not rdms:
        raise ShapeError("rdms: there is none to merge.")
    stimuli = [rdm_stimuli(check(x, "rdm", name=f"rdms[{i}]")) for i, x in enumerate(rdms)]
    kinds = {pd.api.types.infer_dtype(found, skipna=False) for found in stimuli}
    if len(kinds) > 1:
        raise LabelError(f"rdms: stimulus labels are of different types, {', '.join(sorted(kinds))}.")
    union = pd.Index(pd.unique(np.concatenate(stimuli)))
    n_pairs = len(union) * (len(union) - 1) // 2
    tables, coords = [], []
    for i, (x, own) in enumerate(zip(rdms, stimuli, strict=True)):
        rows, found = as_rows(x, f"rdms[{i}]")
        table = np.full((len(rows), n_pairs), np.nan)
        table[:, _places(union.get_indexer(own), len(union))] = rows
        tables.append(table)
        coords.append({name.removesuffix(f"_rdms[{i}]"): value[1] for name, value in found.items()})
    shared = [name for name in coords[0] if all(name in found for found in coords)]
    source = np.repeat(np.arange(len(rdms)), [len(table) for table in tables])
    together: dict[str, Any] = {
        name: ("rdm", np.concatenate([found[name] for found in coords])) for name in shared
    }
    return make_rdm(
        np.concatenate(tables),
        union.to_numpy(),
        dims=["rdm"],
        coords={**together, "source": ("rdm", source)},
    )


def rescale_rdms(rdms: xr.DataArray, method: str = "evidence", *, tolerance: float = 1e-8) -> xr.Dataset:
    r"""Return partial RDMs brought to one scale by what they share.

    An estimate m of the whole RDM, of length 1, begins as the mean of all. Then, until it stands still: every
    RDM is scaled to the length that m has over the pairs of that RDM, and m becomes their weighted mean over
    the RDMs that have the pair, at length 1.

    Parameters
    ----------
    rdms : DataArray (rdm, pair)
        NaN marks a pair that an RDM does not have.
    method : {"evidence", "setsize", "simple"}
        Weights of an RDM's pairs in the mean: their squared distances, but at least .04 (``evidence``: large
        distances on a small arena are placed more exactly; it takes distances as shares of the arena's
        diameter, and the weights change with their unit); one over the number of pairs of the RDM
        (``setsize``); all equal (``simple``).
    tolerance : float
        The iteration ends when the squared change of m is no larger.

    Returns
    -------
    Dataset
        ``rdm`` (rdm, pair), the RDMs rescaled; ``weight`` (rdm, pair), 0 where a pair is missing.
        ``attrs["n_iterations"]``.

    Raises
    ------
    ShapeError
        If the dims are other ones.
    InvalidValueError
        If RDMs are not connected by shared pairs (their scales then have no relation), one is all 0 or all
        NaN, a value is infinite, or the iteration does not end.

    References
    ----------
    Kriegeskorte & Mur 2012, Front Psychol 3:245.

    Examples
    --------
    >>> rdms = make_rdm(np.array([[1.0, 2.0, 2.0], [2.0, 4.0, 4.0]]), ["s1", "s2", "s3"], dims=["rdm"])
    >>> rescale_rdms(rdms, "simple")["rdm"].values.round(3).tolist()
    [[0.333, 0.667, 0.667], [0.333, 0.667, 0.667]]
    """
    if method not in WEIGHTS:
        raise choice(method, WEIGHTS, name="method")
    if not np.isfinite(tolerance) or tolerance <= 0:
        raise InvalidValueError(f"tolerance must be positive and finite; got {tolerance!r}.")
    check(rdms, "rdm", name="rdms")
    if len(rdms.dims) != 2:
        raise ShapeError(f"rdms must have two dims, the last of them 'pair'; got {rdms.dims}.")
    rows, _ = as_rows(rdms, "rdms")
    known = ~np.isnan(rows)
    filled = np.where(known, rows, 0.0)
    _refuse_unscalable(filled, known)
    weights = np.where(known, WEIGHTS[method](filled, known), 0.0)
    unit = filled / np.linalg.norm(filled, axis=1, keepdims=True)
    scaled, n_iterations = _iterate(_at_length_1(filled, known), unit, known, weights, tolerance)
    dims = rdms.dims
    return xr.Dataset(
        {"rdm": (dims, np.where(known, scaled, np.nan)), "weight": (dims, weights)},
        coords=rdms.coords,
        attrs={"method": method, "tolerance": tolerance, "n_iterations": n_iterations},
    )


def _iterate(
    estimate: np.ndarray, unit: np.ndarray, known: np.ndarray, weights: np.ndarray, tolerance: float
) -> tuple[np.ndarray, int]:
    for i in range(1, MAX_ITERATIONS + 1):
        before = estimate
        scaled = unit * np.sqrt((known * before**2).sum(axis=1))[:, None]
        estimate = _at_length_1(scaled, weights)
        if ((estimate - before) ** 2).sum() <= tolerance:
            return scaled, i
    raise InvalidValueError(
        f"rescaling did not come to rest within {MAX_ITERATIONS:,} iterations; raise tolerance={tolerance!r}."
    )


def _at_length_1(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean = np.nan_to_num(_weighted_mean(rows, weights))
    return mean / np.linalg.norm(mean)


def _weighted_mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=0)
    summed = (np.where(weights > 0, rows, 0.0) * weights).sum(axis=0)
    return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)


def _refuse_unscalable(filled: np.ndarray, known: np.ndarray) -> None:
    empty = np.flatnonzero(~filled.any(axis=1))
    if len(empty):
        raise InvalidValueError(
            f"rdms: {len(empty)} of {len(filled)} are all 0 or NaN and have no scale; the first is at "
            f"position {empty[0]}."
        )
    shared = csr_matrix(known.astype(np.float64) @ known.T)
    n_parts, part = connected_components(shared, directed=False)
    if n_parts > 1:
        apart = np.flatnonzero(part != part[0])
        raise InvalidValueError(
            f"rdms fall into {n_parts} parts without a pair in common, so their scales have no relation: "
            f"position {apart[0]} shares none with those around position 0. Merge them apart, or with "
            "method='none'."
        )


def _places(order: np.ndarray, n: int) -> np.ndarray:
    """Return where the pairs of some stimuli (by position) stand among the pairs of all n."""
    a, b = (order[index] for index in np.triu_indices(len(order), 1))
    low, high = np.minimum(a, b), np.maximum(a, b)
    return low * n - low * (low + 1) // 2 + high - low - 1


def _evidence(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.maximum(rows**2, LEAST_DISTANCE**2)


def _setsize(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.broadcast_to(1 / known.sum(axis=1, keepdims=True), rows.shape)


def _simple(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.ones(rows.shape)


WEIGHTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "evidence": _evidence,
    "setsize": _setsize,
    "simple": _simple,
}
