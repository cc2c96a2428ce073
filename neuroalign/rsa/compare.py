"""Comparison of RDMs: what both have, aligned by stimulus label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import align, check, rdm_stimuli
from ..stats import is_constant

__all__ = ["METHODS", "as_rows", "compare", "compare_rows", "unit_rows"]

MIN_PAIRS = 3


def compare(a: xr.DataArray, b: xr.DataArray, method: str = "spearman") -> xr.DataArray:
    r"""Return how similar each RDM of ``a`` is to each RDM of ``b``.

    Every method is a cosine, :math:`d_a \cdot d_b / (|d_a| |d_b|)`, of the dissimilarities as they are
    (``cosine``), centred (``pearson``), or as centred mid-ranks (``spearman``).

    Parameters
    ----------
    a, b : DataArray (..., pair)
        RDMs of the same stimuli in any order; they are aligned by label. NaN marks an undefined pair; two
        RDMs are compared over the pairs that both have, and a NaN in one RDM changes nothing in another.
    method : {"cosine", "pearson", "spearman"}
        ``cosine`` takes 0 as meaningful, which only cross-validated distances have: on other distances,
        which are all positive, it is high for any two RDMs. A model with ties (categories) gains under
        ``spearman``.

    Returns
    -------
    DataArray (rdm_a, rdm_b)
        Between -1 and 1. The coordinates of the leading dims come along with ``_a`` or ``_b`` added to their
        names; several leading dims are flattened. NaN where an RDM is constant (``cosine``: zero) over the
        shared pairs, or fewer than 3 pairs are shared; ``attrs["n_undefined"]`` counts them.

    Raises
    ------
    ShapeError
        If a dim ``pair`` is missing or there are fewer than 3 stimuli.
    LabelError
        If the stimuli differ.
    InvalidValueError
        If a value is infinite or complex, or the method is unknown.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> a = make_rdm(np.array([1.0, 2.0, 3.0]), ["s1", "s2", "s3"])
    >>> b = make_rdm(np.array([3.0, 2.0, 1.0]), ["s3", "s2", "s1"])
    >>> float(compare(a, b).squeeze().round(6))
    1.0
    """
    check_method(method)
    a, b = aligned(a, b)
    rows_a, coords_a = as_rows(a, "a")
    rows_b, coords_b = as_rows(b, "b")
    scores = compare_rows(rows_a, rows_b, method)
    attrs = {"metric": method, "n_undefined": int(np.isnan(scores).sum())}
    return xr.DataArray(
        scores, dims=("rdm_a", "rdm_b"), coords={**coords_a, **coords_b}, attrs=attrs, name="similarity"
    )


def compare_rows(a: np.ndarray, b: np.ndarray, method: str) -> np.ndarray:
    """Return the similarities (n_a, n_b) of rows (n_a, n_pairs) and (n_b, n_pairs), NaN let through."""
    scores = np.full((len(a), len(b)), np.nan)
    for in_a, known_a in _by_mask(a):
        for in_b, known_b in _by_mask(b):
            both = known_a & known_b
            if both.sum() >= MIN_PAIRS:
                product = unit_rows(a[in_a][:, both], method) @ unit_rows(b[in_b][:, both], method).T
                scores[np.ix_(in_a, in_b)] = np.clip(product, -1.0, 1.0)
    return scores


def unit_rows(rows: np.ndarray, method: str) -> np.ndarray:
    """Return rows (n, n_pairs) without NaN so transformed that the method is their dot product.

    A row that the method is undefined for is NaN.
    """
    rows = METHODS[method](rows)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1.0)
    length = np.sqrt(np.einsum("rp,rp->r", rows, rows))[:, None]
    return rows / np.where(length > 0, length, np.nan)


def aligned(a: xr.DataArray, b: xr.DataArray, names: tuple[str, str] = ("a", "b")) -> tuple[Any, Any]:
    """Return two RDM arrays with the same stimuli in the same order, at least 3 of them."""
    for x, name in ((a, names[0]), (b, names[1])):
        check(x, "rdm", name=name)
        n = len(rdm_stimuli(x, name=name))
        if n < 3:
            raise ShapeError(f"{name}: RDMs of {n} stimuli have 1 pair; comparing needs at least 3 stimuli.")
    return align(a, b, names=list(names))


def as_rows(x: xr.DataArray, suffix: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return RDMs as rows (n_rdms, n_pairs) and the coordinates of their leading dims, renamed."""
    values = as_float(x.values, name=suffix, finite=False)
    if np.isinf(values).any():
        raise InvalidValueError(f"{suffix}: {int(np.isinf(values).sum())} dissimilarities are infinite.")
    leading, dim = x.dims[:-1], f"rdm_{suffix}"
    shape = values.shape[:-1]
    coords: dict[str, Any] = {}
    for name, coord in x.coords.items():
        if set(coord.dims) <= set(leading):
            missing = {d: n for d, n in zip(leading, shape, strict=True) if d not in coord.dims}
            full = coord.reset_coords(drop=True).expand_dims(missing).transpose(*leading)
            coords[f"{name}_{suffix}"] = (dim, full.values.reshape(-1))
    return values.reshape(-1, values.shape[-1]), coords


def check_method(method: str) -> None:
    """Refuse a method that is none of ``METHODS``."""
    if method not in METHODS:
        raise choice(method, METHODS, name="method")


def _by_mask(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows that have the same pairs, and which pairs these are."""
    known = ~np.isnan(rows)
    if known.all():
        yield np.arange(len(rows)), np.ones(rows.shape[1], dtype=bool)
        return
    masks, inverse = np.unique(known, axis=0, return_inverse=True)
    for i, mask in enumerate(masks):
        yield np.flatnonzero(inverse.reshape(-1) == i), mask


def _as_is(rows: np.ndarray) -> np.ndarray:
    return rows


def _centred(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.where(is_constant(rows, axis=1)[:, None], 0.0, centred)


def _centred_ranks(rows: np.ndarray) -> np.ndarray:
    return _centred(rankdata(rows, axis=1))


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cosine": _as_is,
    "pearson": _centred,
    "spearman": _centred_ranks,
}
