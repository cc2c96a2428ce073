"""Quadratic programmes on the simplex, one a target, all at once by an active set."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import as_float
from ..errors import ShapeError

__all__ = ["simplex_weights"]

TOLERANCE = 1e-10
JITTER = 1e-14
ROUNDS = 20


def simplex_weights(Q: Any) -> np.ndarray:
    r"""Return the weights that minimise :math:`w' Q w` with :math:`w \geq 0` and :math:`\sum w = 1`.

    Where Q holds the inner products of the errors of several predictions, these weights give the convex
    combination of the predictions with the least squared error, since
    :math:`y - \sum_b w_b \hat y_b = \sum_b w_b (y - \hat y_b)`.

    Parameters
    ----------
    Q : array (n_targets, n_bands, n_bands)
        Symmetric, positive semi-definite.

    Returns
    -------
    array (n_targets, n_bands)
        Exact up to rounding: the minimum over the bands of positive weight, and no other band would lower
        it. Where several weights are equally good, one of them.

    Raises
    ------
    ShapeError
        If the matrices are not square.
    InvalidValueError
        If a value is not finite.

    Notes
    -----
    The active set of Lawson & Hanson (non-negative least squares) with the sum as one more equation. A band
    enters only if it lowers the error, so that copies of a band never enter together.

    References
    ----------
    Lawson & Hanson 1974, Solving Least Squares Problems, chapter 23.

    Examples
    --------
    >>> simplex_weights([[[1.0, 0.0], [0.0, 3.0]]]).round(6).tolist()
    [[0.75, 0.25]]
    """
    Q = as_float(Q, name="Q", ndim=3)
    if Q.shape[1] != Q.shape[2] or not Q.shape[1]:
        raise ShapeError(f"Q must be (n_targets, n_bands, n_bands); got {Q.shape}.")
    diagonal = np.diagonal(Q, axis1=1, axis2=2)
    scale = diagonal.max(axis=1, initial=0.0)
    Q = Q / np.where(scale > 0, scale, 1.0)[:, None, None]
    weights = np.eye(Q.shape[1])[diagonal.argmin(axis=1)]
    going = np.arange(len(Q))
    for _ in range(ROUNDS * Q.shape[1]):
        new = _best_to_enter(Q[going], weights[going])
        going, new = going[new >= 0], new[new >= 0]
        if not len(going):
            break
        support = weights[going] > 0
        support[np.arange(len(going)), new] = True
        moved = _settle(Q[going], weights[going], support)
        lower = _value(Q[going], moved) < _value(Q[going], weights[going])
        weights[going[lower]] = moved[lower]
        going = going[lower]
    return weights


def _best_to_enter(Q: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the band whose entry lowers the error fastest, (n_targets,); -1 where there is none."""
    slope = np.einsum("tij,tj->ti", Q, weights)
    gain = np.where(weights > 0, -np.inf, _value(Q, weights)[:, None] - slope)
    best = gain.argmax(axis=1)
    return np.where(gain[np.arange(len(gain)), best] > TOLERANCE, best, -1)


def _settle(Q: np.ndarray, weights: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return the minimum over the support, bands leaving it where their weight would fall below 0."""
    weights, support = weights.copy(), support.copy()
    for _ in range(Q.shape[1]):
        wanted = _minimum_on(Q, support)
        bad = support & (wanted <= 0)
        steps = np.where(bad, weights / np.where(bad & (weights > wanted), weights - wanted, 1.0), 1.0)
        step = steps.min(axis=1, keepdims=True)
        blocked = bad & (steps <= step)
        weights = np.where(support, weights + step * (wanted - weights), 0.0)
        weights[blocked] = 0.0
        support = support & ~blocked
        if not bad.any():
            break
    return weights / weights.sum(axis=1, keepdims=True)


def _minimum_on(Q: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return the weights that sum to 1 on the support and minimise w'Qw, whatever their sign."""
    n, k = support.shape
    system = np.zeros((n, k + 1, k + 1))
    both = support[:, :, None] & support[:, None, :]
    system[:, :k, :k] = np.where(both, Q, 0.0) + np.eye(k) * np.where(support, JITTER, 1.0)[:, None, :]
    system[:, :k, k] = system[:, k, :k] = support
    right = np.zeros((n, k + 1, 1))
    right[:, k] = 1.0
    return np.linalg.solve(system, right)[:, :k, 0]


def _value(Q: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.einsum("ti,tij,tj->t", weights, Q, weights)
