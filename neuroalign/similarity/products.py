"""Inner products of two Gram matrices, and the independence criterion (HSIC) that follows from them.

Of a Gaussian kernel no whole Gram matrix is held: upper row blocks are made, summed and dropped. The
formulas, ``alignment`` and ``hsic``, take numpy arrays and torch tensors alike, so that the metric and the
loss are one piece of code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import choice

__all__ = [
    "ESTIMATORS",
    "HEURISTICS",
    "KERNELS",
    "Inner",
    "Products",
    "alignment",
    "hsic",
    "inner_products",
    "ratio",
    "rbf_products",
]

# From a range of rows to these rows of a symmetric matrix, from the first of the range's columns on.
Rows = Callable[[int, int], np.ndarray]
# K . K, K . L, L . L: sums of elementwise products of two Gram matrices.
Inner = tuple[float, float, float]

KERNELS = ("linear", "rbf")
ESTIMATORS = ("biased", "unbiased")
HEURISTICS = ("median", "median-all", "fixed")
# Rows of a Gram matrix that are made at once; their share of the matrix stays in cache.
BLOCK = 128


class Products(NamedTuple):
    """Sums over two Gram matrices K and L.

    Attributes
    ----------
    inner : (K . K, K . L, L . L)
        Sums of elementwise products.
    rows : (array (n,), array (n,))
        Row sums of K and L.
    diagonals : (array (n,), array (n,))
    """

    inner: tuple[Any, Any, Any]
    rows: tuple[Any, Any]
    diagonals: tuple[Any, Any]


def alignment(products: Products, estimator: str) -> Any:
    """Return h(K, L) / sqrt(h(K, K) h(L, L)), with h = ``hsic``."""
    return ratio(*(hsic(products, i, estimator) for i in range(3)))


def ratio(kk: Any, kl: Any, ll: Any) -> Any:
    """Return kl / sqrt(kk ll), of numbers of numpy or torch; NaN where kk or ll is not positive."""
    if not (kk > 0 and ll > 0):
        return kl * float("nan")
    return kl / kk**0.5 / ll**0.5


def hsic(products: Products, which: int, estimator: str) -> Any:
    r"""Return the independence criterion of (K, K), (K, L) or (L, L), by ``which`` = 0, 1, 2.

    ``biased`` is :math:`\operatorname{tr}(K H L H)` (Gretton et al. 2005 without the factor :math:`1 / (n -
    1)^2`, which cancels); ``unbiased`` is equation 5 of Song et al. 2012, of the matrices with their
    diagonals set to 0.
    """
    first, second = ((0, 0), (0, 1), (1, 1))[which]
    inner = products.inner[which]
    k, l = products.rows[first], products.rows[second]  # noqa: E741 - K and L are the literature's letters
    n = len(k)
    if estimator == "biased":
        return inner - 2 / n * (k @ l) + k.sum() * l.sum() / n**2
    if estimator != "unbiased":
        raise choice(estimator, ESTIMATORS, name="estimator")
    own_k, own_l = products.diagonals[first], products.diagonals[second]
    k, l = k - own_k, l - own_l  # noqa: E741
    sums = inner - own_k @ own_l + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ l)
    return sums / (n * (n - 3))


def inner_products(k: np.ndarray, l: np.ndarray) -> np.ndarray:  # noqa: E741
    """Return K . K, K . L, L . L of two arrays of one shape."""
    return np.array([np.vdot(k, k), np.vdot(k, l), np.vdot(l, l)])


def rbf_products(
    x: np.ndarray, y: np.ndarray, *, bandwidth: float, heuristic: str, less_one: bool
) -> Products:
    """Return the sums over two Gaussian kernels of centred features, or over the kernels less 1.

    HSIC is the same with and without a constant; without it, wide kernels keep their digits.
    """
    n = len(x)
    first, second = (_rbf_rows(z, rbf_scale(z, bandwidth, heuristic), less_one) for z in (x, y))
    rows = np.zeros(n), np.zeros(n)
    inner = _upper_sums(first, second, n, rows)
    own = np.full(n, 0.0 if less_one else 1.0)
    return Products(inner, rows, (own, own))


def _rbf_rows(x: np.ndarray, scale: float, less_one: bool) -> Rows:
    """Return a function from a range of rows to the upper rows of exp(-|x_i - x_j|^2 / (2 scale^2)) [- 1]."""
    own, exponential = np.einsum("ij,ij->i", x, x), np.expm1 if less_one else np.exp

    def block(start: int, stop: int) -> np.ndarray:
        if not scale > 0:
            return np.full((stop - start, len(x) - start), np.nan)
        return exponential(_squared_distances(x, own, start, stop) / (-2 * scale**2))

    return block


def rbf_scale(x: np.ndarray, bandwidth: float, heuristic: str) -> float:
    """Return sigma: the bandwidth itself (``fixed``), or the bandwidth times a median of distances."""
    if heuristic == "fixed":
        return bandwidth
    n, own = len(x), np.einsum("ij,ij->i", x, x)
    pairs, filled = np.empty(n * (n - 1) // 2), 0
    for start in range(0, n, BLOCK):
        block = _squared_distances(x, own, start, min(start + BLOCK, n))
        for i, row in enumerate(block):
            kept = row[i + 1 :]
            pairs[filled : filled + len(kept)] = kept
            filled += len(kept)
    if heuristic == "median":
        return bandwidth * float(np.median(np.sqrt(pairs, out=pairs), overwrite_input=True))
    return bandwidth * float(np.sqrt(_median_all(pairs, n)))


def _median_all(pairs: np.ndarray, n: int) -> float:
    """Return the median of a whole symmetric matrix: every pair twice, and n zeros."""
    middle = [max((m - n) // 2, -1) for m in ((n * n - 1) // 2, n * n // 2)]
    pairs.partition(sorted({max(m, 0) for m in middle}))
    return float(np.mean([pairs[m] if m >= 0 else 0.0 for m in middle]))


def _squared_distances(x: np.ndarray, own: np.ndarray, start: int, stop: int) -> np.ndarray:
    block = x[start:stop] @ x[start:].T
    block *= -2
    block += own[start:stop, None]
    block += own[start:]
    np.maximum(block, 0.0, out=block)
    at = np.arange(stop - start)
    block[at, at] = 0.0
    return block


def _upper_sums(k_rows: Rows, l_rows: Rows, n: int, sums: tuple[np.ndarray, np.ndarray]) -> Inner:
    """Return the inner products of two symmetric matrices from their upper row blocks; add up row sums."""
    inner = np.zeros(3)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        blocks = k_rows(start, stop), l_rows(start, stop)
        inner += 2 * inner_products(*blocks) - inner_products(
            *(np.ascontiguousarray(b[:, : stop - start]) for b in blocks)
        )
        for total, block in zip(sums, blocks, strict=True):
            total[start:stop] += block.sum(axis=1)
            total[stop:] += block[:, stop - start :].sum(axis=0)
    return float(inner[0]), float(inner[1]), float(inner[2])
