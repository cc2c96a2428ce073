"""Scores as a sum of products of rows, so that permuted rows are scored by one sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy.stats import rankdata

from ..stats import is_constant, standardize

__all__ = ["TERMS", "Terms", "of_orders", "of_rotations", "terms"]

# Multiplying permuted rows is fastest where a tile of columns stays in the processor's cache.
TILE = 2**16


class Terms(NamedTuple):
    """A score that is ``offset + sum(a[order] * b)``: a, b (n_times, k), the rest (k,)."""

    a: np.ndarray
    b: np.ndarray
    offset: np.ndarray
    n_undefined: np.ndarray


def terms(p: np.ndarray, y: np.ndarray, metric: str, groups: list[np.ndarray]) -> Terms:
    """Return the terms of a score of predictions and responses (n_times, k), averaged over groups of rows.

    Groups without a score are left out of a column's mean and counted; so is, everywhere, a column with NaN.
    Rows must stay in their group when they are permuted.
    """
    missing = np.isnan(p).any(axis=0) | np.isnan(y).any(axis=0)
    p, y = np.where(missing, 0.0, p), np.where(missing, 0.0, y)
    a, b = np.zeros_like(p), np.zeros_like(y)
    offset, count = np.zeros(p.shape[1]), np.zeros(p.shape[1], dtype=np.int64)
    for rows in groups:
        a[rows], each, constant, defined = TERMS[metric](p[rows], y[rows])
        b[rows] = np.where(defined, each, 0.0)
        offset += np.where(defined, constant, 0.0)
        count += defined
    share = np.where(count > 0, 1 / np.maximum(count, 1), np.nan)
    return Terms(a, b * share, offset * share, len(groups) - count)


def of_orders(terms: Terms, starts: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the score (k,) as a function of the order of the rows (n_times,)."""
    a, b, offset, _ = terms
    width = max(1, TILE // len(a))
    tiles = [slice(start, start + width) for start in range(0, a.shape[1], width)]
    pairs = [(np.ascontiguousarray(a[:, tile]), np.ascontiguousarray(b[:, tile])) for tile in tiles]

    def score(order: np.ndarray) -> np.ndarray:
        sums = [np.einsum("ij,ij->j", np.take(x, order, axis=0), y) for x, y in pairs]
        return offset + np.concatenate(sums)

    return score


def of_rotations(terms: Terms, starts: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the same function for orders that rotate each stretch of rows; ``starts`` is where they start.

    The sums of all rotations of a stretch are made at once by FFT; a draw then adds up one row a stretch.
    """
    a, b, offset, _ = terms
    table = np.empty_like(a)
    for start, stop in zip(starts, [*starts[1:], len(a)], strict=True):
        spectra = [fft.rfft(x[start:stop], axis=0) for x in (a, b)]
        table[start:stop] = fft.irfft(spectra[0] * spectra[1].conj(), stop - start, axis=0)
    return lambda order: offset + table[order[starts]].sum(axis=0)


def _pearson_terms(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    defined = ~(is_constant(p) | is_constant(y))
    a, b = (np.where(defined, standardize(x), 0.0) for x in (p, y))
    return a / len(p), b, np.zeros(p.shape[1]), defined


def _spearman_terms(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    return _pearson_terms(rankdata(p, axis=0), rankdata(y, axis=0))


def _r2_terms(p: np.ndarray, y: np.ndarray, *, of_means: bool = True) -> tuple[np.ndarray, ...]:
    """R2 is ``1 - sum((y - p)^2) / S``; only the sum of products in it changes with the order of the rows."""
    defined = ~is_constant(y)
    a, b = p - p.mean(axis=0), y - y.mean(axis=0)
    total = np.where(defined, (b * b).sum(axis=0), 1.0)
    between = len(p) * (y.mean(axis=0) - p.mean(axis=0)) ** 2 if of_means else 0.0
    return a, 2 * b / total, -((a * a).sum(axis=0) + between) / total, defined


def _explained_variance_terms(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    return _r2_terms(p, y, of_means=False)


TERMS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]] = {
    "pearson": _pearson_terms,
    "spearman": _spearman_terms,
    "r2": _r2_terms,
    "explained_variance": _explained_variance_terms,
}
