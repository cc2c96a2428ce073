"""Pooled means, sums of squares and sums of products of units, and what is made of them."""

from __future__ import annotations

import copy

import numpy as np

from ..errors import InvalidValueError
from .unit_batches import Units, batches

__all__ = ["CrossMoments", "Moments", "pair_correlations", "top"]

# Relative spread that rounding alone may give a constant unit; as in ``stats.is_constant``.
ROUNDING = 16 * np.finfo(np.float64).eps
# Columns of a product that are made at once, so that no second matrix of the size of the sums is needed.
COLUMNS = 2048


class Moments:
    """Count, mean, centred sum of squares, least and largest value of units, pooled over batches.

    Values are taken relative to the first row (``shift``), so that means of large values keep their digits.
    """

    def __init__(self, n_units: int) -> None:
        self.n = 0
        self.shift, self.mean, self.m2 = (np.zeros(n_units) for _ in range(3))
        self.low, self.high = np.full(n_units, np.inf), np.full(n_units, -np.inf)

    def update(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take in rows; return them centred, and the mean's step scaled for the sums of products."""
        if not self.n:
            self.shift = batch[0].copy()
        self.low = np.minimum(self.low, batch.min(axis=0))
        self.high = np.maximum(self.high, batch.max(axis=0))
        centred = batch - self.shift
        mean = centred.mean(axis=0)
        centred -= mean
        return centred, self._pool(len(batch), mean, np.einsum("ij,ij->j", centred, centred))

    def join(self, other: Moments) -> np.ndarray:
        """Pool the moments of other rows; return sqrt(n_a n_b / n) (mean_b - mean_a)."""
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return self._pool(other.n, other.mean + (other.shift - self.shift), other.m2)

    def _pool(self, n: int, mean: np.ndarray, m2: np.ndarray) -> np.ndarray:
        total = self.n + n
        step = mean - self.mean if self.n else np.zeros_like(mean)
        self.mean = self.mean + step * (n / total) if self.n else mean.copy()
        scaled = step * np.sqrt(self.n * n / total)
        self.m2 = self.m2 + m2 + scaled**2
        self.n = total
        if not np.isfinite(self.m2).all():
            unit = int(np.argmin(np.isfinite(self.m2)))
            raise InvalidValueError(f"squares of unit {unit} overflow; divide the activations by a constant.")
        return scaled

    @property
    def dead(self) -> np.ndarray:
        """Units that are constant, up to the rounding of their largest value."""
        largest = np.maximum(np.abs(self.low), np.abs(self.high))
        return (self.high - self.low <= ROUNDING * largest) | (self.m2 == 0)


class CrossMoments:
    """Moments of two sets of units and the sums of centred products of all pairs."""

    def __init__(self, n_x: int, n_y: int) -> None:
        self.x, self.y = Moments(n_x), Moments(n_y)
        self.co = np.zeros((n_x, n_y))

    @property
    def n(self) -> int:
        """Rows that came in."""
        return self.x.n

    def copy(self) -> CrossMoments:
        """Return moments that share no memory with these."""
        return copy.deepcopy(self)

    def update(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take in rows (n_rows, n_x), (n_rows, n_y)."""
        (x, step_x), (y, step_y) = self.x.update(x), self.y.update(y)
        # The steps of the means are one more row of the product: no second pass over the sums.
        left, right = np.vstack([x, step_x]).T, np.vstack([y, step_y])
        for start in range(0, right.shape[1], COLUMNS):
            columns = slice(start, start + COLUMNS)
            self.co[:, columns] += left @ right[:, columns]

    def merged(self, other: CrossMoments) -> CrossMoments:
        """Return the moments of both together."""
        found = self.copy()
        steps = found.x.join(other.x), found.y.join(other.y)
        found.co += other.co
        found.co += np.outer(*steps)
        return found

    def correlate(self) -> np.ndarray:
        """Turn the sums of products into correlations, in place; NaN for dead units."""
        for moments, shape in ((self.x, (-1, 1)), (self.y, (1, -1))):
            size = np.where(moments.dead, np.nan, np.sqrt(moments.m2))
            self.co /= size.reshape(shape)
        return np.clip(self.co, -1.0, 1.0, out=self.co)


def pair_correlations(
    first: Units, second: Units, i: np.ndarray, j: np.ndarray, rows: np.ndarray, batch_size: int = 512
) -> np.ndarray:
    """Return the correlation (n_pairs,) of unit i of one with unit j of the other, over rows; NaN if dead."""
    x, y, co = Moments(len(i)), Moments(len(j)), np.zeros(len(i))
    for some in batches(rows, batch_size):
        (a, step_a), (b, step_b) = x.update(first.read(some, i)), y.update(second.read(some, j))
        co += np.einsum("ij,ij->j", a, b) + step_a * step_b
    sizes = [np.where(side.dead, np.nan, np.sqrt(side.m2)) for side in (x, y)]
    return np.clip(co / sizes[0] / sizes[1], -1.0, 1.0)


def top(r: np.ndarray, k: int, absolute: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest values (n_rows, k) of each row, best first, and their columns; NaN and -1 if none.

    Of equal values the earlier column stands first.
    """
    size = np.abs(r) if absolute else r
    size = np.where(np.isnan(size), -np.inf, size)
    if k == 1:
        place = size.argmax(axis=1)[:, None]
    else:
        place = np.sort(np.argpartition(-size, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(size, place, axis=1), axis=1, kind="stable")
        place = np.take_along_axis(place, order, axis=1)
    none = np.isneginf(np.take_along_axis(size, place, axis=1))
    return (
        np.where(none, np.nan, np.take_along_axis(r, place, axis=1)),
        np.where(none, -1, place),
    )
