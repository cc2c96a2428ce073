"""Rank comparisons of RDMs: mid-ranks of many rows at once, Kendall's tau."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

__all__ = ["centred_mid_ranks", "kendall", "mid_ranks"]


def mid_ranks(rows: np.ndarray) -> np.ndarray:
    """Return the ranks 1 to n of each row (n_rows, n), equal values sharing the mean of theirs.

    The numbers are those of ``scipy.stats.rankdata(rows, axis=1)``; the rows hold no NaN.

    >>> mid_ranks(np.array([[3.0, 1.0, 3.0]])).tolist()
    [[2.5, 1.0, 2.5]]
    """
    n_rows, n = rows.shape
    # Flat positions: numpy's take_along_axis and put_along_axis are several times slower.
    order = np.argsort(rows, axis=1) + n * np.arange(n_rows)[:, None]
    in_order = rows.reshape(-1).take(order)
    new = in_order[:, 1:] != in_order[:, :-1]
    ranks = np.empty(rows.size)
    ranks[order] = np.arange(1.0, n + 1) if new.all() else _shared_places(new, rows.shape)
    return ranks.reshape(rows.shape)


def centred_mid_ranks(rows: np.ndarray) -> np.ndarray:
    """Return the mid-ranks of each row less their mean, (n + 1) / 2; exactly 0 for a constant row."""
    return mid_ranks(rows) - (rows.shape[1] + 1) / 2


def kendall(a: np.ndarray, b: np.ndarray, *, variant: str) -> np.ndarray:
    """Return Kendall's tau (n_a, n_b) of rows (n_a, n) and (n_b, n) without NaN.

    With C concordant and D discordant pairs of entries out of N = n (n - 1) / 2, and X and Y of them tied in
    either row: tau-a is (C - D) / N, tau-b is (C - D) / sqrt((N - X) (N - Y)). NaN where a row is constant.
    """
    (a, untied_a), (b, untied_b) = _dense_ranks(a), _dense_ranks(b)
    n_pairs = _choose_2(np.array(a.shape[1]))
    scores = np.full((len(a), len(b)), np.nan)
    for i in np.flatnonzero(untied_a):
        for j in np.flatnonzero(untied_b):
            tau_b = float(kendalltau(a[i], b[j], method="asymptotic").statistic)
            if variant == "a":
                # C - D is a whole number, so rounding takes out what the two roots have left.
                excess = np.rint(tau_b * np.sqrt(untied_a[i]) * np.sqrt(untied_b[j]))
                scores[i, j] = excess / n_pairs
            else:
                scores[i, j] = tau_b
    return scores


def _shared_places(new: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the places 1 to n, averaged over runs of equal values; ``new`` says where a run ends."""
    n_rows, n = shape
    starts = np.concatenate([np.ones((n_rows, 1), dtype=bool), new], axis=1)
    first = np.flatnonzero(starts)
    length = np.diff(np.append(first, n_rows * n))
    middle = first % n + 1 + (length - 1) / 2
    return np.repeat(middle, length).reshape(shape)


def _dense_ranks(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the distinct values (n_rows, n) and how many pairs of entries are not tied.

    Sixteen bits where they are enough: those are sorted by counting.
    """
    dtype = np.uint16 if rows.shape[1] <= np.iinfo(np.uint16).max else np.int64
    ranks, untied = np.empty(rows.shape, dtype=dtype), np.empty(len(rows))
    for i, row in enumerate(rows):
        _, ranks[i], counts = np.unique(row, return_inverse=True, return_counts=True)
        untied[i] = _choose_2(np.array(row.size)) - _choose_2(counts).sum()
    return ranks, untied


def _choose_2(n: np.ndarray) -> np.ndarray:
    n = n.astype(np.int64)
    return n * (n - 1) // 2
