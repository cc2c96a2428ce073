"""RDMs of many spheres of one size at once: batched matrix products, neuroid by neuroid in memory.

A kernel takes the spheres' rows of the table that its ``prepare`` made, (n_spheres, n_neuroids, n_columns),
and may overwrite them. It returns dissimilarities (n_spheres, n_pairs) and which spheres it cannot vouch for
(a pattern without direction, digits lost to cancellation); those are computed again by ``alone``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import crossvalidated, metrics
from .metrics import CANCELLED

__all__ = ["KERNELS", "Kernel"]

# Patterns are scaled to a largest value of about 1. With a standard deviation below this one may be constant,
# and with a length below the other its squares may have underflowed.
CONSTANT = 32 * np.finfo(np.float64).eps
UNDERFLOW = 1e-140

Found = tuple[np.ndarray, Any]


class Kernel(NamedTuple):
    """How a metric prepares patterns (n_neuroids, n_folds, n_stimuli), its product, and one RDM alone."""

    prepare: Callable[[np.ndarray], np.ndarray]
    rows: Callable[..., Found]
    alone: Callable[..., tuple[np.ndarray, int]]


def _correlation(x: np.ndarray, n_folds: int, apply: None) -> Found:
    n_neuroids = x.shape[1]
    x -= np.matmul(np.ones((1, n_neuroids)), x) / n_neuroids
    return _angle(x, CONSTANT * np.sqrt(n_neuroids))


def _cosine(x: np.ndarray, n_folds: int, apply: None) -> Found:
    return _angle(x, UNDERFLOW)


def _angle(x: np.ndarray, shortest: float) -> Found:
    squared = np.einsum("bks,bks->bs", x, x)
    doubtful = squared.min(axis=1) <= shortest**2
    squared[doubtful] = 1.0
    x *= (1 / np.sqrt(squared))[:, None]
    found = _upper(np.matmul(x.transpose(0, 2, 1), x))
    np.subtract(1.0, found, out=found)
    return np.clip(found, 0.0, 2.0, out=found), doubtful


def _sqeuclidean(x: np.ndarray, n_folds: int, apply: Callable[[np.ndarray], np.ndarray] | None) -> Found:
    found, lengths = _contrasts(np.matmul(x.transpose(0, 2, 1), x if apply is None else apply(x)))
    return found, (found <= CANCELLED * lengths).any(axis=1)


def _euclidean(x: np.ndarray, n_folds: int, apply: None) -> Found:
    found, doubtful = _sqeuclidean(x, n_folds, apply)
    return np.sqrt(np.maximum(found, 0.0, out=found), out=found), doubtful


def _crossnobis(x: np.ndarray, n_folds: int, apply: Callable[[np.ndarray], np.ndarray] | None) -> Found:
    """Return the mean over ordered pairs of different folds of one fold's contrast with the other's.

    The sum over all pairs of folds is the product of the folds' sums; equal folds are taken off.
    """
    n, k, _ = x.shape
    right = x if apply is None else apply(x)
    parts, others = (y.reshape(n, k, n_folds, -1) for y in (x, right))
    moment = np.matmul(parts.sum(axis=2).transpose(0, 2, 1), others.sum(axis=2))
    stacked, opposite = (y.reshape(n, k * n_folds, -1) for y in (parts, others))
    within = np.matmul(stacked.transpose(0, 2, 1), opposite)
    moment -= within
    moment /= n_folds * (n_folds - 1)
    own, lengths = _contrasts(within)
    return _contrasts(moment)[0], (own <= CANCELLED * lengths).any(axis=1)


def _contrasts(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return m_ii + m_jj - 2 m_ij of all pairs, and m_ii + m_jj."""
    own = np.einsum("bss->bs", moment)
    rows, columns = np.triu_indices(moment.shape[1], 1)
    lengths = own.take(rows, axis=1) + own.take(columns, axis=1)
    return lengths - 2 * _upper(moment), lengths


def _upper(square: np.ndarray) -> np.ndarray:
    n, n_stimuli, _ = square.shape
    rows, columns = np.triu_indices(n_stimuli, 1)
    return square.reshape(n, -1).take(rows * n_stimuli + columns, axis=1, mode="clip")


def _each_scaled(x: np.ndarray) -> np.ndarray:
    return x * _scale(np.abs(x).max(axis=0))


def _centred(x: np.ndarray) -> np.ndarray:
    """Return the patterns less each neuroid's mean over stimuli in the fold, the largest value about 1.

    Every comparison of RDMs ignores the scale.
    """
    x = x - x.mean(axis=2, keepdims=True)
    return x * _scale(np.abs(x).max())


def _scale(largest: np.ndarray) -> np.ndarray:
    """Return the power of two that brings a value to between 0.5 and 1: no digit is lost, ties stay ties."""
    return np.ldexp(1.0, -np.clip(np.frexp(largest)[1], -1020, 1020))


KERNELS: dict[str, Kernel] = {
    "correlation": Kernel(_each_scaled, _correlation, metrics.correlation),
    "cosine": Kernel(_each_scaled, _cosine, metrics.cosine),
    "euclidean": Kernel(_centred, _euclidean, metrics.euclidean),
    "sqeuclidean": Kernel(_centred, _sqeuclidean, metrics.sqeuclidean),
    "mahalanobis": Kernel(_centred, _sqeuclidean, metrics.mahalanobis),
    "crossnobis": Kernel(_centred, _crossnobis, crossvalidated.crossnobis),
}
