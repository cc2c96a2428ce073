"""Sums over two linear Gram matrices in the memory of one: features are centred a block at a time.

Both triangles of one matrix are used, a Gram matrix in each, and no more than these is computed; features
stay in the dtype that they came in, and blocks of them are float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dsyrk

from .inputs import HUGE, TINY, constant_units
from .products import Inner, Products, inner_products

__all__ = ["linear_inner", "linear_products"]

# Rows or columns that are centred at once: at least so many, and about so many values.
LEAST, VALUES = 256, 2**18
# Rows of a triangle that are summed at once.
SUMMED = 64

Diagonals = tuple[np.ndarray, np.ndarray]


def linear_products(x: np.ndarray, y: np.ndarray, *, rescale: bool = True) -> Products:
    """Return the sums over K = x x' and L = y y' of centred features, whose row sums are 0.

    Taken from units or from stimuli, whichever are fewer: beside the inputs, min(n_stimuli, n_units_x +
    n_units_y) squared numbers and one block are held.

    Parameters
    ----------
    x, y : array (n_stimuli, n_units_x), (n_stimuli, n_units_y)
        Finite real numbers of any dtype, not centred; sums are taken in float64.
    rescale : bool
        Whether features whose fourth powers overflow or vanish are scaled by a power of two; not where sums
        of several batches are added up.
    """
    inner, diagonals = _sums(_centred(x), _centred(y), rescale)
    return Products(inner, (np.zeros(len(x)), np.zeros(len(y))), diagonals)


def linear_inner(x: np.ndarray, y: np.ndarray) -> Inner:
    """Return K . K, K . L, L . L of K = x x' and L = y y', of features that are not centred."""
    return _sums(_Features(x), _Features(y), True)[0]


@dataclass(frozen=True)
class _Features:
    """Features (n_stimuli, n_units) less their ``mean`` and divided by 2**power, a block at a time."""

    values: np.ndarray
    mean: np.ndarray | float = 0.0
    constant: np.ndarray | None = None
    power: int = 0

    def fill(self, out: np.ndarray, rows: slice = slice(None), columns: slice = slice(None)) -> None:
        """Write a block into ``out``, float64; constant units are exactly 0."""
        mean = self.mean[columns] if isinstance(self.mean, np.ndarray) else self.mean
        np.subtract(self.values[rows, columns], mean, out=out)
        if self.constant is not None and self.constant[columns].any():
            out[:, self.constant[columns]] = 0.0
        if self.power:
            np.ldexp(out, -self.power, out=out)

    def rescaled(self) -> _Features:
        """Return the features scaled by a power of two so that the largest is below 1."""
        high, low = self.values.max(axis=0) - self.mean, self.values.min(axis=0) - self.mean
        return replace(self, power=int(np.frexp(np.maximum(high, -low).max())[1]))


def _centred(values: np.ndarray) -> _Features:
    return _Features(values, values.mean(axis=0, dtype=np.float64), constant_units(values))


def _sums(x: _Features, y: _Features, rescale: bool) -> tuple[Inner, Diagonals]:
    n, width = len(x.values), x.values.shape[1] + y.values.shape[1]
    sums = _from_units if width < n else _from_stimuli
    with np.errstate(over="ignore", invalid="ignore"):
        inner, diagonals = sums(x, y)
    if rescale and not (TINY**4 < inner[0] < HUGE**4 and TINY**4 < inner[2] < HUGE**4):
        return sums(x.rescaled(), y.rescaled())
    return inner, diagonals


def _from_stimuli(x: _Features, y: _Features) -> tuple[Inner, Diagonals]:
    """K stands above the diagonal of one matrix and L below it; their diagonals beside it."""
    n, diagonals = len(x.values), []
    both = np.zeros((n, n), order="F")
    for one, lower in ((x, 0), (y, 1)):
        both = _gram_added(one, both, lower)
        own = both.T.reshape(-1)[:: n + 1]
        diagonals.append(own.copy())
        own[:] = 0.0
    inner = np.zeros(3)
    for start, stop in _ranges(n, SUMMED):
        for part, cut in ((slice(start, stop), np.triu), (slice(stop, n), np.ascontiguousarray)):
            inner += 2 * inner_products(cut(both[start:stop, part]), cut(both[part, start:stop].T))
    kk, kl, ll = inner + inner_products(*diagonals)
    return (float(kk), float(kl), float(ll)), (diagonals[0], diagonals[1])


def _gram_added(one: _Features, both: np.ndarray, lower: int) -> np.ndarray:
    """Return a matrix (n, n) with the Gram matrix added to its upper or lower triangle."""
    n, d = one.values.shape
    step = max(LEAST, VALUES // n)
    held = np.empty(n * min(step, d))
    for start, stop in _ranges(d, step):
        block = held[: n * (stop - start)].reshape(n, stop - start)
        one.fill(block, columns=slice(start, stop))
        both = dsyrk(1.0, block.T, beta=1.0, c=both, trans=1, lower=lower, overwrite_c=1)
    return both


def _from_units(x: _Features, y: _Features) -> tuple[Inner, Diagonals]:
    """Products of all units, those of x beside those of y, of which the upper triangle is made."""
    n, d = x.values.shape
    width = d + y.values.shape[1]
    products, own = np.zeros((width, width), order="F"), (np.empty(n), np.empty(n))
    step = max(LEAST, VALUES // width)
    held = np.empty((min(step, n), width))
    for start, stop in _ranges(n, step):
        parts = held[: stop - start, :d], held[: stop - start, d:]
        for one, part, squares in zip((x, y), parts, own, strict=True):
            one.fill(part, rows=slice(start, stop))
            np.einsum("ij,ij->i", part, part, out=squares[start:stop])
        products = dsyrk(1.0, held[: stop - start].T, beta=1.0, c=products, overwrite_c=1)
    kl = sum(_square(products[:d, start:stop]) for start, stop in _ranges(width, SUMMED, d))
    return (_symmetric_square(products[:d, :d]), kl, _symmetric_square(products[d:, d:])), own


def _symmetric_square(upper: np.ndarray) -> float:
    """Return the sum of squares of a symmetric matrix from its upper triangle."""
    total = -_square(np.diagonal(upper))
    for start, stop in _ranges(len(upper), SUMMED):
        total += 2 * (_square(np.triu(upper[start:stop, start:stop])) + _square(upper[start:stop, stop:]))
    return total


def _square(x: np.ndarray) -> float:
    return float(np.vdot(x, x))


def _ranges(stop: int, step: int, start: int = 0) -> Iterator[tuple[int, int]]:
    return ((first, min(first + step, stop)) for first in range(start, stop, step))
