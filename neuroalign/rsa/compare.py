"""Comparison of RDMs: what both have, aligned by stimulus label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import align, check, rdm_stimuli
from ..stats import is_constant
from .rank_methods import centred_mid_ranks, kendall
from .second_moments import bures, clip_negative, riemannian
from .whitening import Whitening, as_whitening, whitened

__all__ = [
    "EMBEDDINGS",
    "METHODS",
    "TABLES",
    "aligned",
    "as_rows",
    "by_mask",
    "check_method",
    "compare",
    "compare_rows",
    "unit_rows",
]

MIN_PAIRS = 3
WITH_COVARIANCE = ("whitened-cosine", "whitened-pearson", "riemannian")
WITH_SIGNAL = WITH_COVARIANCE[:2]
WITH_MOMENTS = ("bures", "riemannian")


def compare(
    a: xr.DataArray,
    b: xr.DataArray,
    method: str = "spearman",
    *,
    covariance: xr.DataArray | None = None,
    signal: xr.DataArray | None = None,
    n_folds: int | None = None,
    nearest: bool = False,
) -> xr.DataArray:
    r"""Return how similar each RDM of ``a`` is to each RDM of ``b``.

    With d the dissimilarities, r their mid-ranks, n their number and :math:`\tilde x = x - \bar x`:

    - ``cosine``: :math:`d_a \cdot d_b / (|d_a| |d_b|)`. It takes 0 as meaningful, which only cross-validated
      distances have: on other distances, which are all positive, it is high for any two RDMs;
    - ``pearson``, ``spearman``: the cosine of :math:`\tilde d`, of :math:`\tilde r`. A model with ties
      (categories) gains under ``spearman`` and ``tau-b``;
    - ``rho-a``: :math:`12 \, \tilde r_a \cdot \tilde r_b / (n^3 - n)`, Spearman's correlation expected when
      ties are broken at random;
    - ``tau-a``: concordant less discordant pairs of dissimilarities, over all of them; ``tau-b``: over the
      root of the product of those untied in a and in b;
    - ``whitened-cosine``, ``whitened-pearson``: :math:`d_a' V^{-1} d_b`, normalised to the cosine, of the
      dissimilarities as they are or centred, where V is the covariance of squared distances between patterns
      with covariance S over stimuli, :math:`V = (C S C') \circ (C S C')` for the contrasts C of the pairs.
      ``whitened-cosine`` with independent patterns is linear CKA;
    - ``bures``: the fidelity :math:`\operatorname{tr} (A^{1/2} B A^{1/2})^{1/2} / \sqrt{\operatorname{tr} A
      \operatorname{tr} B}` of the centred second moments A and B of the patterns;
    - ``riemannian``: minus the distance, :math:`-\min_{s, t \ge 0} |\log \lambda(s A + t S, B)|`: 0 is best.
      It is not symmetric, since only A is scaled and given noise.

    The last four take the dissimilarities as squared distances.

    Parameters
    ----------
    a, b : DataArray (..., pair)
        RDMs of the same stimuli in any order; they are aligned by label. NaN marks an undefined pair; two
        RDMs are compared over the pairs that both have, and a NaN in one RDM changes nothing in another.
        Whitening takes V of those pairs; ``bures`` and ``riemannian`` need all pairs of the stimuli that have
        any.
    method : str
        A key of ``METHODS``.
    covariance : DataArray (stimulus, stimulus_b) or (stimulus,), optional
        S, or variances (its diagonal), with stimulus labels on each dim, in any order; of one fold where
        ``signal`` is given. For the whitened methods and ``riemannian``; independent patterns where None.
    signal : DataArray (pair,), optional
        Squared distances of the true patterns, in the unit of ``covariance``. The whitened methods then take
        the covariance of cross-validated distances over M folds,
        :math:`V = (C S C') \circ (4 C G C' / M + 2 C S C' / (M (M - 1)))`, with G the second moment that
        belongs to ``signal``.
    n_folds : int, optional
        M, at least 2; with ``signal`` only.
    nearest : bool
        For ``bures`` and ``riemannian``: whether an RDM whose second moment has negative eigenvalues, as
        cross-validated distances have, is replaced by the nearest one without (they are set to 0);
        ``attrs["n_clipped"]`` counts such RDMs.

    Returns
    -------
    DataArray (rdm_a, rdm_b)
        Between -1 and 1 (``bures``: 0 and 1; ``riemannian``: at most 0). The coordinates of the leading dims
        come along with ``_a`` or ``_b`` added to their names; several leading dims are flattened. NaN where
        an RDM is constant (``cosine``, ``whitened-cosine``, ``bures``: zero) over the shared pairs, where
        fewer than 3 pairs are shared, where second moments have negative eigenvalues (``bures``,
        ``riemannian``), or that of ``b`` has no inverse (``riemannian``: it takes as many units as stimuli
        less one);
        ``attrs["n_undefined"]`` counts them.

    Raises
    ------
    ShapeError
        If a dim ``pair`` is missing or there are fewer than 3 stimuli.
    LabelError
        If the stimuli differ.
    InvalidValueError
        If a value is infinite or complex, the method is unknown, or the covariance is not symmetric or
        singular.

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553 (tau-a); Diedrichsen et al. 2020, arXiv:2007.02789
    (whitening; V is their equation for cross-validated distances without the factor of the units);
    Schuett et al. 2023, eLife 12:e82566 (rho-a).

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> a = make_rdm(np.array([1.0, 2.0, 3.0]), ["s1", "s2", "s3"])
    >>> b = make_rdm(np.array([3.0, 2.0, 1.0]), ["s3", "s2", "s1"])
    >>> float(compare(a, b).squeeze().round(6))
    1.0
    """
    check_method(method)
    _refuse_unused(method, covariance, signal, n_folds, nearest)
    a, b = aligned(a, b)
    whitening = as_whitening(rdm_stimuli(a), covariance, signal, n_folds)
    rows_a, coords_a = as_rows(a, "a")
    rows_b, coords_b = as_rows(b, "b")
    attrs: dict[str, Any] = {"metric": method}
    if nearest:
        (rows_a, n_a), (rows_b, n_b) = clip_negative(rows_a), clip_negative(rows_b)
        attrs["n_clipped"] = n_a + n_b
    scores = compare_rows(rows_a, rows_b, method, whitening=whitening)
    attrs["n_undefined"] = int(np.isnan(scores).sum())
    return xr.DataArray(
        scores, dims=("rdm_a", "rdm_b"), coords={**coords_a, **coords_b}, attrs=attrs, name="similarity"
    )


def compare_rows(
    a: np.ndarray, b: np.ndarray, method: str, *, whitening: Whitening | None = None
) -> np.ndarray:
    """Return the similarities (n_a, n_b) of rows (n_a, n_pairs) and (n_b, n_pairs), NaN let through."""
    scores = np.full((len(a), len(b)), np.nan)
    for in_a, known_a in by_mask(a):
        for in_b, known_b in by_mask(b):
            both = known_a & known_b
            if both.sum() < MIN_PAIRS:
                continue
            left, right = _chosen(a, in_a, both), _chosen(b, in_b, both)
            if method in TABLES:
                found = TABLES[method](left, right, both, whitening)
            else:
                left = unit_rows(left, method, known=both, whitening=whitening)
                right = unit_rows(right, method, known=both, whitening=whitening)
                found = np.clip(left @ right.T, -1.0, 1.0)
            scores[np.ix_(in_a, in_b)] = found
    return scores


def unit_rows(
    rows: np.ndarray,
    method: str,
    *,
    known: np.ndarray | None = None,
    whitening: Whitening | None = None,
) -> np.ndarray:
    """Return rows (n, n_pairs) without NaN so transformed that the method is their dot product.

    A row that the method is undefined for is NaN. Methods of ``TABLES`` are no dot products and are refused.
    For the whitened methods, ``known`` (a mask over all pairs) says which pairs the rows hold: all of them
    where None.
    """
    if method not in EMBEDDINGS:
        raise choice(method, EMBEDDINGS, name="method")
    rows = EMBEDDINGS[method](rows, known, whitening)
    if method == "rho-a":
        n = rows.shape[1]
        return np.where(rows.any(axis=1, keepdims=True), rows * np.sqrt(12 / (n**3 - n)), np.nan)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1.0)
    length = np.sqrt(np.einsum("rp,rp->r", rows, rows))[:, None]
    return rows / np.where(length > 0, length, np.nan)


def aligned(a: xr.DataArray, b: xr.DataArray, names: tuple[str, str] = ("a", "b")) -> tuple[Any, Any]:
    """Return two RDM arrays with the same stimuli in the same order, at least 3 of them."""
    for x, name in ((a, names[0]), (b, names[1])):
        check(x, "rdm", name=name)
        if x.sizes["pair"] < MIN_PAIRS:
            raise ShapeError(f"{name}: RDMs of 2 stimuli have 1 pair; comparing needs at least 3 stimuli.")
    coords = [x[coord].values for coord in ("stimulus_a", "stimulus_b") for x in (a, b)]
    alike = a.sizes["pair"] == b.sizes["pair"] and coords[0].dtype.kind == coords[1].dtype.kind != "O"
    if alike and (coords[0] == coords[1]).all() and (coords[2] == coords[3]).all():
        return a, b
    return align(a, b, names=list(names))


def as_rows(x: xr.DataArray, suffix: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return RDMs as rows (n_rdms, n_pairs) and the coordinates of their leading dims, renamed."""
    values = as_float(x.values, name=suffix, finite=False)
    if not all(values.shape[:-1]):
        raise ShapeError(f"{suffix} hold no RDM; got sizes {dict(x.sizes)}.")
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


def _refuse_unused(method: str, covariance: Any, signal: Any, n_folds: int | None, nearest: bool) -> None:
    for name, given, users in (
        ("covariance", covariance is not None, WITH_COVARIANCE),
        ("signal", signal is not None, WITH_SIGNAL),
        ("n_folds", n_folds is not None, WITH_SIGNAL),
        ("nearest", nearest, WITH_MOMENTS),
    ):
        if given and method not in users:
            raise InvalidValueError(f"{name} belongs to {', '.join(users)}; the method is {method!r}.")


def _chosen(rows: np.ndarray, which: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return some rows over some pairs, without a copy where these are all."""
    rows = rows if len(which) == len(rows) else rows[which]
    return rows if pairs.all() else rows[:, pairs]


def by_mask(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows that have the same pairs, and which pairs these are."""
    known = ~np.isnan(rows)
    if known.all():
        yield np.arange(len(rows)), np.ones(rows.shape[1], dtype=bool)
        return
    masks, inverse = np.unique(known, axis=0, return_inverse=True)
    for i, mask in enumerate(masks):
        yield np.flatnonzero(inverse.reshape(-1) == i), mask


def _as_is(rows: np.ndarray, known: Any = None, whitening: Any = None) -> np.ndarray:
    return rows


def _centred(rows: np.ndarray, known: Any = None, whitening: Any = None) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.where(is_constant(rows, axis=1)[:, None], 0.0, centred)


def _centred_ranks(rows: np.ndarray, known: Any = None, whitening: Any = None) -> np.ndarray:
    return centred_mid_ranks(rows)


def _whitened(
    rows: np.ndarray, known: np.ndarray | None = None, whitening: Whitening | None = None
) -> np.ndarray:
    return whitened(rows, np.ones(rows.shape[1], dtype=bool) if known is None else known, whitening)


def _whitened_centred(
    rows: np.ndarray, known: np.ndarray | None = None, whitening: Whitening | None = None
) -> np.ndarray:
    return _whitened(_centred(rows), known, whitening)


def _tau_a(a: np.ndarray, b: np.ndarray, known: Any, whitening: Any) -> np.ndarray:
    return kendall(a, b, variant="a")


def _tau_b(a: np.ndarray, b: np.ndarray, known: Any, whitening: Any) -> np.ndarray:
    return kendall(a, b, variant="b")


def _bures(a: np.ndarray, b: np.ndarray, known: np.ndarray, whitening: Any) -> np.ndarray:
    return bures(a, b, known)


# Rows (n, n_pairs) so embedded that the method is, up to each row's length, their dot product.
EMBEDDINGS: dict[str, Callable[..., np.ndarray]] = {
    "cosine": _as_is,
    "pearson": _centred,
    "spearman": _centred_ranks,
    "rho-a": _centred_ranks,
    "whitened-cosine": _whitened,
    "whitened-pearson": _whitened_centred,
}
# Rows (n_a, n_pairs) and (n_b, n_pairs), the mask of their pairs and a whitening give (n_a, n_b).
TABLES: dict[str, Callable[..., np.ndarray]] = {
    "tau-a": _tau_a,
    "tau-b": _tau_b,
    "bures": _bures,
    "riemannian": riemannian,
}
METHODS: dict[str, Callable[..., np.ndarray]] = {**EMBEDDINGS, **TABLES}
