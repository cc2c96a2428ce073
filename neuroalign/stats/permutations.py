"""The one permutation loop, the one p formula, and the ways of permuting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice

__all__ = ["block_shuffle", "circular_shift", "p_value", "permutation", "shuffle"]

TAILS = ("greater", "less", "two-sided")
# Two sums of the same numbers in another order may differ by this share; such draws are ties.
ROUNDING = 100 * np.finfo(np.float64).eps


def p_value(observed: Any, null: Any, *, tail: str = "greater") -> np.ndarray:
    r"""Return the permutation p-value of each observed statistic.

    .. math:: p = \frac{1 + \#\{null \ge observed\}}{1 + R}

    for R draws, so that p is never 0 and the test is exact (Phipson & Smyth 2010).

    Parameters
    ----------
    observed : array (...)
        Statistics. NaN has p NaN.
    null : array (R, ...)
        The statistics under R permutations. A draw that is NaN counts as one at least as extreme as the
        observed statistic, so that undefined draws never make a result look significant.
    tail : {"greater", "less", "two-sided"}
        Two-sided is twice the smaller of the two one-sided p-values, at most 1: no symmetry is assumed.

    Returns
    -------
    array (...)
        Between 1 / (1 + R) and 1. Draws that differ from the observed statistic by rounding only (relative
        2e-14) are ties and count.

    Raises
    ------
    ShapeError
        If the null has no draws or its trailing dims are not those of ``observed``.
    InvalidValueError
        If the tail is unknown or a value is not real.

    References
    ----------
    Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39.

    Examples
    --------
    >>> float(p_value(3.0, [0.0, 1.0, 2.0, 4.0]))
    0.4
    """
    if tail not in TAILS:
        raise choice(tail, TAILS, name="tail")
    observed = as_float(observed, name="observed", finite=False)
    null = as_float(null, name="null", finite=False)
    if null.ndim == 0 or len(null) == 0 or null.shape[1:] != observed.shape:
        raise ShapeError(
            f"null must have shape (draws, {', '.join(map(str, observed.shape))}); got {null.shape}."
        )
    if tail == "two-sided":
        p = np.minimum(1.0, 2 * np.minimum(_one_sided(observed, null), _one_sided(-observed, -null)))
    else:
        p = _one_sided(observed, null) if tail == "greater" else _one_sided(-observed, -null)
    return np.where(np.isnan(observed), np.nan, p)


def _one_sided(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    slack = ROUNDING * np.abs(np.where(np.isfinite(observed), observed, 0.0))
    extreme = (null >= observed - slack) | np.isnan(null)
    return (1 + extreme.sum(axis=0)) / (1 + len(null))


def permutation(
    statistic: Callable[[np.ndarray], Any],
    n: int,
    *,
    permute: Callable[[np.random.Generator], np.ndarray],
    rng: np.random.Generator,
    progress: bool = False,
) -> np.ndarray:
    """Return the null distribution of a statistic: its value under ``n`` permutations.

    Parameters
    ----------
    statistic : callable
        From a permutation (an index array) to a number or an array.
    n : int
        Number of draws.
    permute : callable
        From a generator to a permutation, such as ``lambda rng: shuffle(20, rng)``.
    rng : numpy.random.Generator
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    array (n, ...)

    Raises
    ------
    InvalidValueError
        If ``n`` is not a positive integer or ``rng`` is no Generator.

    Examples
    --------
    >>> rng, x, y = np.random.default_rng(0), np.arange(9.0), np.arange(9.0) ** 2
    >>> null = permutation(lambda order: x[order] @ y, 99, permute=lambda rng: shuffle(9, rng), rng=rng)
    >>> float(p_value(x @ y, null))
    0.01
    """
    check_draws(n, rng)
    draws = tqdm(range(n), disable=not progress, desc="permutations")
    return np.stack([np.asarray(statistic(permute(rng)), dtype=np.float64) for _ in draws])


def shuffle(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random order of ``n`` exchangeable items, array (n,)."""
    return rng.permutation(_size(n, "n"))


def block_shuffle(n: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Return an order of ``n`` rows in which blocks of rows move whole; rows inside a block keep their order.

    The rows are first rotated by a random offset, so that block borders differ between draws. Where ``block``
    does not divide ``n`` one block is shorter; it moves like the others. For series whose autocorrelation is
    shorter than a block.

    Parameters
    ----------
    n, block : int
        Rows in all and in a block; at least two blocks.
    rng : numpy.random.Generator

    Returns
    -------
    array (n,)

    Raises
    ------
    InvalidValueError
        If fewer than two whole blocks fit.

    Examples
    --------
    >>> order = block_shuffle(12, 4, np.random.default_rng(0))
    >>> sorted(order.tolist()) == list(range(12))
    True
    """
    n, block = _size(n, "n"), _size(block, "block")
    if n < 2 * block:
        raise InvalidValueError(f"at least two blocks must fit; got block {block} for {n} rows.")
    rows = np.roll(np.arange(n), -int(rng.integers(n)))
    blocks = [rows[start : start + block] for start in range(0, n, block)]
    return np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])


def circular_shift(n: int, rng: np.random.Generator, *, minimum: int = 1) -> np.ndarray:
    """Return an order of ``n`` rows that is rotated by at least ``minimum`` rows in either direction.

    Examples
    --------
    >>> int(circular_shift(10, np.random.default_rng(0), minimum=5)[0])
    5
    """
    n, minimum = _size(n, "n"), _size(minimum, "minimum")
    if 2 * minimum > n:
        raise InvalidValueError(f"minimum must be at most half of the {n} rows; got {minimum}.")
    return np.roll(np.arange(n), -int(rng.integers(minimum, n - minimum + 1)))


def check_draws(n: int, rng: np.random.Generator) -> None:
    """Refuse a number of draws that is no positive integer, and anything but a numpy Generator."""
    _size(n, "n")
    if not isinstance(rng, np.random.Generator):
        raise InvalidValueError(f"rng must be a numpy.random.Generator; got {type(rng).__name__}.")


def _size(n: int, name: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InvalidValueError(f"{name} must be a positive integer; got {n!r}.")
    return int(n)
