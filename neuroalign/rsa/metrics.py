"""Dissimilarity kernels without cross-validation: patterns (n_stimuli, n_units) to pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidValueError
from ..stats import is_constant

__all__ = [
    "Options",
    "correlation",
    "cosine",
    "differences",
    "euclidean",
    "log_rates",
    "mahalanobis",
    "poisson",
    "sqeuclidean",
]

# A squared distance smaller than this share of the two squared lengths has lost digits to cancellation.
CANCELLED = 1e-6
CHUNK = 4096
# A negative squared distance within this share of the largest is rounding: a semi-definite precision.
ROUNDING = 1e-9
# Bytes of a block of rows that are centred and scaled while they are in cache.
BLOCK_BYTES = 1 << 20


class Options(NamedTuple):
    """What a kernel needs beside the patterns.

    ``noise`` is a precision (n_units, n_units), one a fold (n_folds, n_units, n_units), or None; ``scale``
    whether to divide by the number of units; the rest is the gamma prior of the Poisson rates.
    """

    noise: np.ndarray | None = None
    scale: bool = False
    prior_lambda: float = 1.0
    prior_weight: float = 0.1


def correlation(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return one minus the correlations of the pairs, and how many patterns are constant."""
    return _angle(x, centre=True)


def cosine(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return one minus the cosines of the pairs, and how many patterns are 0."""
    return _angle(x, centre=False)


def sqeuclidean(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return the squared distances of the pairs."""
    x = x.astype(np.float64)
    x = x - x.mean(axis=0)
    return _per_unit(differences(x, x), x.shape[1], options), 0


def euclidean(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return the distances of the pairs."""
    squared, n_undefined = sqeuclidean(x, options)
    return np.sqrt(squared, out=squared), n_undefined


def mahalanobis(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return the squared distances of the pairs under the precision."""
    x = x.astype(np.float64)
    x = x - x.mean(axis=0)
    squared = differences(x if options.noise is None else x @ options.noise, x)
    if squared.min() < -ROUNDING * np.abs(squared).max():
        raise InvalidValueError(
            f"noise is no precision: it gives a squared distance of {squared.min():.6g}. A precision has no "
            "negative eigenvalue; see rsa.noise_precision."
        )
    return _per_unit(np.maximum(squared, 0.0), x.shape[1], options), 0


def poisson(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return the symmetrised Kullback-Leibler divergences of the pairs of Poisson rates."""
    rates, logs = log_rates(x.astype(np.float64), options)
    divergence = differences(rates - rates.mean(axis=0), logs - logs.mean(axis=0))
    return _per_unit(divergence, x.shape[1], options), 0


def log_rates(x: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates that the prior gives, and their logarithms."""
    if x.min() < 0:
        raise InvalidValueError(
            f"poisson metrics need counts or rates, which are not negative; the smallest is {x.min():g}."
        )
    rates = (x + options.prior_lambda * options.prior_weight) / (1 + options.prior_weight)
    if rates.min() <= 0:
        raise InvalidValueError(
            "poisson metrics need positive rates, but some are 0 and the prior adds nothing to them. Pass a "
            "positive prior_lambda and prior_weight."
        )
    return rates, np.log(rates)


def differences(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return (left_i - left_j) . (right_i - right_j) of all pairs i < j, to full precision.

    ``left`` and ``right`` (n_stimuli, n_units) should be centred over stimuli. Pairs that lose digits in the
    Gram matrix are computed again from their differences.
    """
    rows, columns = np.triu_indices(len(left), 1)
    gram = left @ right.T
    own = np.diag(gram)
    lengths = own[rows] + own[columns]
    if left is right:
        found, size = lengths - 2 * gram[rows, columns], lengths
    else:
        found = lengths - (gram + gram.T)[rows, columns]
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        size = norms[rows] + norms[columns]
    doubtful = np.flatnonzero(found <= CANCELLED * size)
    for start in range(0, len(doubtful), CHUNK):
        some = doubtful[start : start + CHUNK]
        one = left[rows[some]] - left[columns[some]]
        other = one if left is right else right[rows[some]] - right[columns[some]]
        found[some] = np.einsum("pu,pu->p", one, other)
    return found


def _per_unit(values: np.ndarray, n_units: int, options: Options) -> np.ndarray:
    return values / n_units if options.scale else values


def _angle(x: np.ndarray, *, centre: bool) -> tuple[np.ndarray, int]:
    """Return one minus the cosines of the pairs, and how many patterns have no direction."""
    unit = np.empty(x.shape)
    undefined = np.empty(len(x), dtype=bool)
    n_rows = max(1, BLOCK_BYTES // (8 * x.shape[1]))
    for start in range(0, len(x), n_rows):
        rows = slice(start, start + n_rows)
        undefined[rows] = _unit_rows(x[rows], unit[rows], centre=centre)
    gram = unit @ unit.T
    found = np.empty(len(x) * (len(x) - 1) // 2)
    start = 0
    for i in range(len(x) - 1):
        stop = start + len(x) - 1 - i
        np.subtract(1.0, gram[i, i + 1 :], out=found[start:stop])
        start = stop
    return np.clip(found, 0.0, 2.0, out=found), int(undefined.sum())


def _unit_rows(x: np.ndarray, out: np.ndarray, *, centre: bool) -> Any:
    """Write rows of length 1 to ``out``, NaN where a row has no direction, and return which these are."""
    x = x.astype(np.float64)
    undefined = is_constant(x, axis=1) if centre else np.all(x == 0, axis=1)
    np.subtract(x, x.mean(axis=1, keepdims=True) if centre else 0.0, out=out)
    # Scaled by the largest value first: the squares of values near the end of the range would overflow.
    out /= np.where(undefined, 1.0, np.abs(out).max(axis=1))[:, None]
    out /= np.where(undefined, np.nan, np.sqrt(np.einsum("su,su->s", out, out)))[:, None]
    return undefined
