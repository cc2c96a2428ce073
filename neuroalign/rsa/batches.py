"""Comparison of RDMs in many samples of stimuli at once.

For methods of ``LINEAR`` the weights of the pairs (samples, pairs) times a table of elementwise products of
RDMs (pairs, products) hold every inner product that scores and noise ceilings are made of; for methods of
``RANKED`` one sort an RDM serves all samples. Numbers are those of ``weighted`` to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..schema import n_stimuli_of_pairs, square
from ..stats import is_constant
from .rank_batches import Codes, divided, normaliser, ranked_bounds
from .weighted import (
    LINEAR,
    RANKED,
    linear_features,
    mean_known,
    pair_weights,
    pool,
    sample_scores,
    unit_features,
)

__all__ = ["CHUNK", "Ceilings", "Scorer"]

# Samples a matrix product: the weights of 250 samples of 92 stimuli fill 8 MB.
CHUNK = 250
# Entries of the table that are held at once (128 MB), so that many models and subjects need no more memory.
TABLE = 16_000_000
# Where centring leaves a smaller share of a sum of squares, digits are lost and the sample is done singly.
CANCELLED = 1e-6


@dataclass(frozen=True)
class Ceilings:
    """What the noise ceilings of one chunk of samples are computed from; ``bounds`` does it.

    Attributes
    ----------
    similar : array (n_samples, n_subjects, n_subjects)
        Between subjects (``LINEAR`` methods); NaN where a subject is undefined.
    stretch : array (n_samples, n_subjects) or None
        Length of a subject's unit vector as the pool measures it, where that is not 1.
    """

    similar: np.ndarray
    stretch: np.ndarray | None

    def bounds(self, shares: np.ndarray) -> np.ndarray:
        """Return lower and upper bound (n_samples, 2) when subjects come ``shares`` (n_samples, n) times.

        Subjects who were drawn count once each; the lower bound leaves out all copies of a subject.
        """
        undefined = np.isnan(np.diagonal(self.similar, axis1=1, axis2=2))
        similar = np.where(undefined[:, :, None] | undefined[:, None, :], 0.0, self.similar)
        alpha = np.where(undefined, 0.0, shares if self.stretch is None else shares * self.stretch)
        with_pool = np.einsum("bst,bt->bs", similar, alpha)
        length = np.einsum("bs,bs->b", alpha, with_pool)[:, None]
        others = length - 2 * alpha * with_pool + alpha**2
        upper = divided(with_pool, np.sqrt(np.maximum(length, 0)))
        lower = divided(with_pool - alpha, np.sqrt(np.maximum(others, 0)))
        lower = np.where(others > CANCELLED**2 * length, lower, np.nan)
        drawn = (shares > 0) & ~undefined
        both = np.where(drawn[:, None], np.clip(np.stack([lower, upper], axis=1), -1, 1), np.nan)
        return mean_known(both, drawn)


class Scorer:
    """Scores and noise ceilings of fixed models in samples of stimuli and subjects.

    Parameters
    ----------
    models, data : array (n_models, n_pairs), (n_subjects, n_pairs)
    method : str
    pooling : {"best", "plain"}
        As in ``weighted.pool``.
    """

    def __init__(self, models: np.ndarray, data: np.ndarray, method: str, pooling: str = "best") -> None:
        self.models, self.data, self.method, self.pooling = models, data, method, pooling
        whole = not (np.isnan(models).any() or np.isnan(data).any())
        self.linear = whole and method in LINEAR
        self.ranked = whole and method in RANKED
        self._whole = np.ones(n_stimuli_of_pairs(data.shape[1]), dtype=np.int64)
        if self.linear:
            self._products = _Products(models, data, method)
            self._of_whole = self._linear(self._whole[None])
        if self.ranked:
            self._codes = Codes(np.concatenate([data, models]), len(data))

    def over_stimuli(
        self, counts: np.ndarray, shares: list[np.ndarray], *, ceiling: bool = True
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return scores in samples of stimuli and, for each sample of subjects in ``shares``, bounds.

        Parameters
        ----------
        counts : array (n_samples, n_stimuli)
        shares : list of array (n_samples, n_subjects)
            How often each subject comes.

        Returns
        -------
        scores : array (n_samples, n_models, n_subjects)
        bounds : list of array (n_samples, 2)
            Lower and upper; NaN without ``ceiling``.
        """
        if self.linear:
            scores, ceilings = self._linear(counts)
            return scores, [ceilings.bounds(share) if ceiling else _nothing(share) for share in shares]
        scores = np.empty((len(counts), len(self.models), len(self.data)))
        bounds = [_nothing(share) for share in shares]
        for i, count in enumerate(counts):
            own = [share[i : i + 1] for share in shares] if ceiling else []
            scores[i], found = self._one(count, own)
            for bound, value in zip(bounds, found, strict=False):
                bound[i] = value[0]
        return scores, bounds

    def over_subjects(self, shares: np.ndarray, *, ceiling: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (n_models, n_subjects) over all stimuli, and bounds (n_samples, 2) of ``shares``."""
        if self.linear:
            scores, ceilings = self._of_whole
            return scores[0], ceilings.bounds(shares) if ceiling else _nothing(shares)
        scores, found = self._one(self._whole, [shares] if ceiling else [])
        return scores, found[0] if ceiling else _nothing(shares)

    def _one(self, counts: np.ndarray, shares: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the scores of one sample of stimuli and the bounds of several samples of subjects."""
        if self.ranked:
            return self._ranked(counts, shares)
        scores = sample_scores(self.models, self.data, counts, self.method)
        pooled = [
            [pooled_bounds(self.data, counts, one, self.method, self.pooling) for one in share]
            for share in shares
        ]
        return scores, [np.array(bounds) for bounds in pooled]

    def _linear(self, counts: np.ndarray) -> tuple[np.ndarray, Ceilings]:
        scores, similar, stretch, doubtful = self._products.of(counts)
        plain = self.pooling == "plain" and self.method.startswith("whitened")
        for i in np.flatnonzero(doubtful):
            scores[i] = sample_scores(self.models, self.data, counts[i], self.method)
            features = unit_features(self.data, counts[i], self.method)
            similar[i] = np.clip(features @ features.T, -1.0, 1.0)
            if plain:
                stretch[i] = np.nan_to_num(divided(*(self._lengths(counts[i], how) for how in (0, 1))))
        return scores, Ceilings(similar, stretch if plain else None)

    def _lengths(self, counts: np.ndarray, plain: int) -> np.ndarray:
        method = self.method.removeprefix("whitened-") if plain else self.method
        return np.linalg.norm(linear_features(self.data, counts, method), axis=1)

    def _ranked(self, counts: np.ndarray, shares: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        weights = pair_weights(counts)
        active = np.flatnonzero(weights)
        weights = weights[active].astype(np.int64)
        n = weights.sum()
        doubled = self._codes.doubled_ranks(weights, active)
        centred = doubled - (n + 1.0)  # twice the centred mid-ranks
        weighted = centred * weights
        squares = np.einsum("rp,rp->r", centred, weighted)
        n_subjects = len(self.data)
        products = centred[n_subjects:] @ weighted[:n_subjects].T
        below = normaliser(squares[n_subjects:], squares[:n_subjects], n, self.method)
        scores = np.clip(divided(products, below), -1.0, 1.0)
        doubled, weighted, squares = doubled[:n_subjects], weighted[:n_subjects], squares[:n_subjects]
        return scores, [
            np.array([ranked_bounds(doubled, weighted, squares, weights, one, self.method) for one in share])
            for share in shares
        ]


def pooled_bounds(
    data: np.ndarray, counts: np.ndarray, shares: np.ndarray, method: str, pooling: str = "best"
) -> np.ndarray:
    """Return lower and upper bound (2,) of one sample from pooled RDMs, for any method and with NaN."""
    drawn = np.flatnonzero(shares)
    without = np.tile(shares.astype(np.float64), (len(drawn), 1))
    without[np.arange(len(drawn)), drawn] = 0.0
    pools = pool(data, np.concatenate([without, shares[None]]), counts, method, pooling)
    scores = sample_scores(pools, data[drawn], counts, method)
    both = np.stack([np.diagonal(scores), scores[-1]])
    return mean_known(both, np.ones(len(drawn)))


class _Products:
    """Inner products of RDMs under weights of their pairs, by matrix products with a table."""

    def __init__(self, models: np.ndarray, data: np.ndarray, method: str) -> None:
        rows = np.concatenate([data, models])
        self.centred, self.whitened = method.endswith("pearson"), method.startswith("whitened")
        self.n_subjects, self.n_rows = len(data), len(rows)
        if self.centred:
            rows = np.where(is_constant(rows, axis=1)[:, None], 0.0, rows - rows.mean(axis=1, keepdims=True))
        largest = np.abs(rows).max(axis=1, keepdims=True)
        rows = rows / np.where(largest > 0, largest, 1.0)
        if self.centred and self.whitened:
            rows = np.concatenate([rows, np.ones((1, rows.shape[1]))])
        self.rows = rows
        self.left, self.right = self._wanted()
        self.squares = square(rows) if self.whitened else None
        self.whole: np.ndarray | None = None
        if len(self.left) * rows.shape[1] <= TABLE:
            self.whole = self._table(slice(None))

    def _wanted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which products: subject and subject, model and subject, each model's square, with ones."""
        s, n = self.n_subjects, self.n_rows
        a, b = np.triu_indices(s)
        models = np.arange(s, n)
        left = [a, np.repeat(models, s), models]
        right = [b, np.tile(np.arange(s), len(models)), models]
        if len(self.rows) > n:
            left.append(np.full(n + 1, n))
            right.append(np.arange(n + 1))
        return np.concatenate(left), np.concatenate(right)

    def of(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return scores, similarities of subjects, their stretch, and which samples lost digits."""
        weights = pair_weights(counts.astype(np.float64))
        products = np.empty((len(counts), len(self.left)))
        step = max(TABLE // self.rows.shape[1], 1)
        for start in range(0, len(self.left), step):
            part = slice(start, start + step)
            products[:, part] = (self._table(part) @ weights.T).T
        own = self._own()
        raw = products[:, own]
        plain = raw
        if self.centred:
            sums = weights @ self.rows[: self.n_rows].T
            means = sums / weights.sum(axis=1, keepdims=True)
            plain = raw - sums * means
        if self.whitened:
            products = products - self._additive(counts.astype(np.float64))
            if self.centred:
                products = self._without_ones(products, means)
        elif self.centred:
            products = products - sums[:, self.left] * means[:, self.right]
        squares = products[:, own]
        lost = (squares <= CANCELLED * raw) | np.isnan(squares)  # no square is larger than its plain one
        doubtful = np.any(lost & (raw > 0), axis=1)
        lengths = np.sqrt(np.maximum(squares, 0.0))
        scores, similar = self._split(products, lengths)
        s = self.n_subjects
        stretch = divided(lengths[:, :s], np.sqrt(np.maximum(plain[:, :s], 0.0)))
        return scores, similar, np.where(np.isnan(stretch), 0.0, stretch), np.asarray(doubtful)

    def _table(self, part: slice) -> np.ndarray:
        if self.whole is not None:
            return self.whole[part]
        return self.rows[self.left[part]] * self.rows[self.right[part]]

    def _own(self) -> np.ndarray:
        """Return the positions of the products of each row with itself."""
        s = self.n_subjects
        a, b = np.triu_indices(s)
        models = np.arange(self.n_rows - s) + len(a) + (self.n_rows - s) * s
        return np.concatenate([np.flatnonzero(a == b), models])

    def _additive(self, counts: np.ndarray) -> np.ndarray:
        """Return the products of the additive parts; see ``weighted``."""
        n_samples, n_rows = len(counts), len(self.rows)
        assert self.squares is not None  # noqa: S101  (made together with ``whitened``)
        sums = np.tensordot(counts, self.squares, axes=(1, 2))
        below = counts.sum(axis=1, keepdims=True) + 2 - 2 * counts
        # The solution divides by this; where it is 0 the sample is done singly.
        share = counts / np.where(below == 0, np.nan, below)
        scaled = sums * share[:, None, :]
        total = scaled.sum(axis=2)
        gram = np.matmul(scaled, sums.transpose(0, 2, 1))
        gram -= total[:, :, None] * total[:, None, :] / (1 + share.sum(axis=1))[:, None, None]
        return gram.reshape(n_samples, n_rows * n_rows)[:, self.left * n_rows + self.right]

    def _without_ones(self, products: np.ndarray, means: np.ndarray) -> np.ndarray:
        n = self.n_rows
        with_ones, ones = products[:, -n - 1 : -1], products[:, -1:]
        left, right = self.left[: -n - 1], self.right[: -n - 1]
        return (
            products[:, : -n - 1]
            - means[:, left] * with_ones[:, right]
            - means[:, right] * with_ones[:, left]
            + means[:, left] * means[:, right] * ones
        )

    def _split(self, products: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s, n_models = self.n_subjects, self.n_rows - self.n_subjects
        a, b = np.triu_indices(s)
        similar = np.empty((len(products), s, s))
        similar[:, a, b] = similar[:, b, a] = products[:, : len(a)]
        scores = products[:, len(a) : len(a) + n_models * s].reshape(-1, n_models, s)
        own, theirs = lengths[:, :s], lengths[:, s:]
        scores = divided(scores, theirs[:, :, None] * own[:, None, :])
        similar = divided(similar, own[:, :, None] * own[:, None, :])
        return np.clip(scores, -1.0, 1.0), np.clip(similar, -1.0, 1.0)


def _nothing(share: np.ndarray) -> np.ndarray:
    return np.full((len(share), 2), np.nan)
