"""Ranks of RDMs in samples of stimuli: sorted once, counted in every sample."""

from __future__ import annotations

import numpy as np

from .weighted import mean_known, ranks_in_order

__all__ = ["Codes", "divided", "normaliser", "ranked_bounds"]


class Codes:
    """Each RDM's pairs in order, so that ranks in a sample are cumulative counts."""

    def __init__(self, rows: np.ndarray, n_subjects: int) -> None:
        n_rows, n_pairs = rows.shape
        codes = np.empty((n_rows, n_pairs), dtype=np.int64)
        for i, row in enumerate(rows):
            codes[i] = np.unique(row, return_inverse=True)[1].reshape(-1)
        self.codes = codes + n_pairs * np.arange(n_rows)[:, None]

    def doubled_ranks(self, weights: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return twice the mid-ranks (n_rows, n_active) of the pairs that came ``weights`` times."""
        n_rows, n_pairs = self.codes.shape
        codes = self.codes if len(active) == n_pairs else np.take(self.codes, active, axis=1)
        drawn = np.bincount(
            codes.reshape(-1), np.broadcast_to(weights, codes.shape).reshape(-1), minlength=n_rows * n_pairs
        ).reshape(n_rows, n_pairs)
        doubled = np.cumsum(drawn, axis=1)
        doubled *= 2
        doubled -= drawn
        doubled += 1
        return np.take(doubled.reshape(-1), codes)


def ranked_bounds(
    doubled: np.ndarray,
    weighted: np.ndarray,
    squares: np.ndarray,
    weights: np.ndarray,
    shares: np.ndarray,
    method: str,
) -> np.ndarray:
    """Return the bounds (2,) of one sample: mean ranks are ranked again before they are compared.

    ``doubled`` are twice the subjects' mid-ranks, ``weighted`` the same centred and times the weights.
    """
    drawn = np.flatnonzero((shares > 0) & (squares > 0))
    if not len(drawn):
        return np.full(2, np.nan)
    doubled, weighted, squares, shares = doubled[drawn], weighted[drawn], squares[drawn], shares[drawn]
    whole = shares @ doubled
    pools = np.concatenate([whole - shares[:, None] * doubled, whole[None]])
    order, ordered = _sorted(pools)
    n = weights.sum()
    ranks = ranks_in_order(ordered, weights[order]) - (n + 1) / 2
    lengths = np.einsum("rp,rp,rp->r", ranks, ranks, weights[order].astype(np.float64))
    lower = np.einsum("rp,rp->r", ranks[:-1], np.take_along_axis(weighted, order[:-1], axis=1)) / 2
    upper = weighted[:, order[-1]] @ ranks[-1] / 2
    below = np.stack(
        [
            np.diagonal(normaliser(4 * lengths[:-1], squares, n, method)),
            normaliser(4 * lengths[-1:], squares, n, method)[0],
        ]
    )
    found = divided(4 * np.stack([lower, upper]), below)
    return mean_known(np.clip(found, -1.0, 1.0), np.ones(len(drawn)))


def normaliser(left: np.ndarray, right: np.ndarray, n: float, method: str) -> np.ndarray:
    """Return what sums of products of doubled centred ranks are divided by; 0 where a row is constant."""
    if method == "spearman":
        return np.sqrt(left[:, None] * right[None, :])
    return np.where((left[:, None] > 0) & (right[None, :] > 0), (float(n) ** 3 - n) / 3, 0.0)


def _sorted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of whole numbers (n_rows, n) in each row, and the numbers in that order.

    The place is packed behind the number, so that one sort of integers gives both.
    """
    bits = max(int(values.shape[1] - 1).bit_length(), 1)
    largest = float(values.max())
    if largest >= 2.0 ** (62 - bits):
        order = np.argsort(values, axis=1)
        return order, np.take_along_axis(values, order, axis=1)
    dtype = np.dtype(np.int32 if largest < 2.0 ** (30 - bits) else np.int64)
    keys = np.left_shift(values.astype(dtype), bits) | np.arange(values.shape[1], dtype=dtype)
    keys.sort(axis=1)
    return keys & ((1 << bits) - 1), keys >> bits


def divided(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return ``x / by``, NaN where ``by`` is not positive."""
    by = np.broadcast_to(by, x.shape)
    return np.divide(x, by, out=np.full(x.shape, np.nan), where=by > 0)
