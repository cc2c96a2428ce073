"""Comparison of RDMs over resampled stimuli without resampling an RDM: one sample at a time.

A sample is how often each stimulus was drawn, ``counts`` (n_stimuli,). Pair (i, j) then comes c_i c_j times;
pairs of a stimulus with itself say nothing and are left out, as if they were missing. ``batches`` does the
same for many samples at once, where a method allows it.
"""

from __future__ import annotations

import numpy as np

from ..schema import square
from ..stats import is_constant
from .compare import MIN_PAIRS, compare_rows
from .rank_methods import mid_ranks

__all__ = [
    "LINEAR",
    "RANKED",
    "explicit",
    "linear_features",
    "mean_known",
    "pair_weights",
    "pool",
    "sample_scores",
    "unit_features",
    "weighted_mid_ranks",
]

# Methods that are cosines of what depends linearly on the RDM, and those of its ranks.
LINEAR = ("cosine", "pearson", "whitened-cosine", "whitened-pearson")
RANKED = ("spearman", "rho-a")
# Second moments compare stimuli, not pairs: copies of a stimulus are at distance 0 of each other.
WITH_COPIES = ("bures",)
# A residual shorter than this share of what it is the residual of is rounding.
ROUNDING = 1e-12


def pair_weights(counts: np.ndarray) -> np.ndarray:
    """Return how often each pair comes (..., n_pairs) when stimuli come ``counts`` (..., n_stimuli) times."""
    rows, columns = np.triu_indices(counts.shape[-1], 1)
    return counts[..., rows] * counts[..., columns]


def sample_scores(a: np.ndarray, b: np.ndarray, counts: np.ndarray, method: str) -> np.ndarray:
    """Return the similarities (n_a, n_b) of rows (n_a, n_pairs) and (n_b, n_pairs) in a sample of stimuli."""
    if method in LINEAR + RANKED and not (np.isnan(a).any() or np.isnan(b).any()):
        left, right = unit_features(a, counts, method), unit_features(b, counts, method)
        return np.clip(left @ right.T, -1.0, 1.0)
    return compare_rows(explicit(a, counts, method), explicit(b, counts, method), method)


def unit_features(rows: np.ndarray, counts: np.ndarray, method: str) -> np.ndarray:
    """Return rows (n, n_features) of which the method is the dot product; NaN where it is undefined.

    For methods of ``LINEAR`` and ``RANKED``, rows without NaN.
    """
    if method in LINEAR:
        return _unit(linear_features(rows, counts, method))
    weights = pair_weights(counts)
    active = np.flatnonzero(weights)
    own = weights[active].astype(np.float64)
    n = own.sum()
    if n < MIN_PAIRS:
        return np.full((len(rows), 1), np.nan)
    ranks = weighted_mid_ranks(rows[:, active], own)
    features = (ranks - (n + 1) / 2) * np.sqrt(own)
    if method == "rho-a":
        constant = ~features.any(axis=1, keepdims=True)
        return np.where(constant, np.nan, features * np.sqrt(12 / (n**3 - n)))
    return _unit(features)


def linear_features(rows: np.ndarray, counts: np.ndarray, method: str) -> np.ndarray:
    """Return rows (n, n_features) of which a ``LINEAR`` method is the cosine; 0 where it is undefined.

    Features of a sum of RDMs are the sum of their features.
    """
    weights = pair_weights(counts)
    active = np.flatnonzero(weights)
    own = weights[active].astype(np.float64)
    if own.sum() < MIN_PAIRS:
        return np.zeros((len(rows), 1))
    rows = rows[:, active]
    if method.endswith("pearson"):
        centred = rows - (rows @ own)[:, None] / own.sum()
        rows = np.where(is_constant(rows, axis=1)[:, None], 0.0, centred)
    if method.startswith("whitened"):
        return _whitened(rows, active, counts)
    return rows * np.sqrt(own)


def weighted_mid_ranks(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mid-ranks (n, n_pairs) of rows in which entry p stands ``weights[p]`` times.

    Entries with the cumulative weight W and the weight w of their value share rank W - (w - 1) / 2.
    """
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, ranks_in_order(ordered, weights[order]), axis=1)
    return ranks


def ranks_in_order(ordered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mid-ranks of sorted rows (n, n_pairs) with weights (n, n_pairs)."""
    until = np.cumsum(weights, axis=1)
    new = ordered[:, 1:] != ordered[:, :-1]
    if new.all():
        return until - (weights - 1) / 2
    edge = np.ones((len(ordered), 1), dtype=bool)
    first, last = np.concatenate([edge, new], axis=1), np.concatenate([new, edge], axis=1)
    # What stood before a run of equal values, and what stands until its end, carried over the run.
    before = np.maximum.accumulate(np.where(first, until - weights, 0), axis=1)
    after = np.where(last, until, np.inf)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    return (before + after + 1) / 2


def pool(
    rows: np.ndarray, shares: np.ndarray, counts: np.ndarray, method: str, pooling: str = "best"
) -> np.ndarray:
    """Return pooled RDMs (k, n_pairs) of subjects (n, n_pairs), each weighted by ``shares`` (k, n).

    RDMs are scaled to unit length as the method measures it in this sample, or ranked, and averaged over
    those who have a pair. For ``LINEAR`` and ``RANKED`` methods this is the RDM with the highest mean score
    (``pooling="best"``). ``pooling="plain"`` measures lengths without whitening. For Kendall's methods it is
    the mean of the ranks, for ``bures`` of RDMs with mean 1, for ``riemannian`` of RDMs as they are.
    """
    weights = pair_weights(counts)
    scaled = np.full(rows.shape, np.nan)
    for i, row in enumerate(rows):
        known = ~np.isnan(row) & (weights > 0)
        if known.sum() and weights[known].sum():
            scaled[i, known] = _scaled(row, known, weights, counts, method, pooling)
    filled, known = np.where(np.isnan(scaled), 0.0, scaled), ~np.isnan(scaled)
    total = shares @ known
    return np.where(total > 0, shares @ filled / np.where(total > 0, total, 1), np.nan)


def explicit(rows: np.ndarray, counts: np.ndarray, method: str) -> np.ndarray:
    """Return the RDMs (n, n_pairs) of a sample in which stimuli stand as often as they were drawn.

    Pairs of a stimulus with itself are NaN, or 0 for methods that compare stimuli.
    """
    if (counts == 1).all():
        return rows
    drawn = np.repeat(np.arange(len(counts)), counts)
    same = 0.0 if method in WITH_COPIES else np.nan
    upper = np.triu_indices(len(drawn), 1)
    found = square(rows, diagonal=same)[:, drawn[upper[0]], drawn[upper[1]]]
    if method in WITH_COPIES or method.startswith("whitened"):
        return found
    return found[:, drawn[upper[0]] != drawn[upper[1]]]


def mean_known(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted means (..., n_a) of ``x`` (..., n_a, n) over its last dim, of what is not NaN.

    ``weights`` (..., n) broadcast over n_a; NaN where nothing is left.
    """
    known, weights = ~np.isnan(x), np.asarray(weights, dtype=np.float64)
    total = np.einsum("...as,...s->...a", known, weights)
    summed = np.einsum("...as,...s->...a", np.where(known, x, 0.0), weights)
    return np.where(total > 0, summed / np.where(total > 0, total, 1), np.nan)


def _scaled(
    row: np.ndarray, known: np.ndarray, weights: np.ndarray, counts: np.ndarray, method: str, pooling: str
) -> np.ndarray:
    values, own = row[known], weights[known].astype(np.float64)
    if method in (*RANKED, "tau-a", "tau-b"):
        if (own == 1).all():
            return mid_ranks(values[None])[0]
        return weighted_mid_ranks(values[None], own)[0]
    if method == "riemannian":
        return values
    if method == "bures":
        mean = (own @ values) / own.sum()
        return values / mean if mean > 0 else np.full(values.shape, np.nan)
    if method.endswith("pearson"):
        centred = values - (own @ values) / own.sum()
        values = np.zeros(values.shape) if is_constant(values) else centred
    if method.startswith("whitened") and pooling == "best" and known[weights > 0].all():
        length = _length(_whitened(values[None], np.flatnonzero(known), counts))[0]
    else:
        length = _length((values * np.sqrt(own / own.sum()))[None])[0]
    return values / length if length > 0 else np.full(values.shape, np.nan)


def _whitened(rows: np.ndarray, active: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the double-centred RDMs of a sample as rows whose dot product is that of whitened RDMs.

    With D the square RDM and c the counts, g minimises
    ``sum_{i != j} c_i c_j (D_ij - g_i - g_j)^2 + sum_i c_i (2 g_i)^2``: the additive part of the second
    moment over the pairs that are known. What it leaves is isotropic under the covariance of squared
    distances of patterns with independent noise.
    """
    n = len(counts)
    present = np.flatnonzero(counts)
    c = counts[present].astype(np.float64)
    full = np.zeros((len(rows), n * (n - 1) // 2))
    full[:, active] = rows
    distances = square(full)[:, present[:, None], present[None, :]]
    system = np.tile(c, (len(c), 1))
    system[np.diag_indices(len(c))] = c.sum() - c + 2
    additive = np.linalg.solve(system, (distances @ c).T).T
    i, j = np.triu_indices(len(c), 1)
    residual = (distances[:, i, j] - additive[:, i] - additive[:, j]) * np.sqrt(c[i] * c[j])
    features = np.concatenate([residual, additive * np.sqrt(2 * c)], axis=1)
    return np.where(_length(features)[:, None] > ROUNDING * _length(full)[:, None], features, 0.0)


def _unit(features: np.ndarray) -> np.ndarray:
    largest = np.abs(features).max(axis=1, keepdims=True)
    features = features / np.where(largest > 0, largest, 1.0)
    length = _length(features)[:, None]
    return features / np.where(length > 0, length, np.nan)


def _length(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("rp,rp->r", rows, rows))
