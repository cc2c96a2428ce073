"""Comparisons of RDMs through the second moments of their patterns: Bures, Riemannian."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh, helmert
from scipy.optimize import minimize

from ..schema import n_stimuli_of_pairs, square
from .whitening import Whitening, identity

__all__ = ["bures", "clip_negative", "riemannian"]

# An eigenvalue this much below 0, as a share of the largest, is not rounding.
ROUNDING = 1e-10
# The smallest eigenvalue, as a share of the largest, of a second moment that has an inverse.
SINGULAR = 1e-12
# Logs of the scales s and t, of second moments with mean eigenvalue 1: beyond, one of the two is nothing.
LOG_SCALES = (-50.0, 50.0)


def bures(a: np.ndarray, b: np.ndarray, known: np.ndarray) -> np.ndarray:
    r"""Return the Bures similarity (n_a, n_b) of complete RDMs of squared distances.

    .. math:: \operatorname{tr} (A^{1/2} B A^{1/2})^{1/2} / \sqrt{\operatorname{tr} A \operatorname{tr} B}

    A, B = the centred second moments. NaN where one of them has negative eigenvalues or is 0.
    """
    roots_a, roots_b = _roots(a, known), _roots(b, known)
    scores = np.full((len(a), len(b)), np.nan)
    if roots_a is None or roots_b is None:
        return scores
    for i, left in enumerate(roots_a):
        for j, right in enumerate(roots_b):
            # The nuclear norm of the product of roots: no root of a root, no digits lost.
            if np.isfinite(left).all() and np.isfinite(right).all():
                scores[i, j] = min(np.linalg.svd(left @ right, compute_uv=False).sum(), 1.0)
    return scores


def riemannian(
    a: np.ndarray, b: np.ndarray, known: np.ndarray, whitening: Whitening | None = None
) -> np.ndarray:
    r"""Return minus the Riemannian distance (n_a, n_b) of complete RDMs of squared distances.

    .. math:: -\min_{s, t \ge 0} |\log \lambda(s A + t S, B)|

    for the eigenvalues of the pencil, with A and B the second moments of contrasts of the stimuli and S the
    pattern covariance. NaN where B is not positive definite or A has negative eigenvalues.
    """
    scores = np.full((len(a), len(b)), np.nan)
    of_a, of_b, stimuli = _contrast_moments(a, known), _contrast_moments(b, known), _complete(known)
    if of_a is None or of_b is None or stimuli is None:
        return scores
    contrasts = helmert(len(stimuli))
    noise = (whitening or identity(n_stimuli_of_pairs(known.size))).of(stimuli).noise
    noise = contrasts @ noise @ contrasts.T
    good_a = [_smallest_share(x) >= -ROUNDING for x in of_a]
    for j, second in enumerate(of_b):
        if not _smallest_share(second) > SINGULAR:
            continue
        lower = np.linalg.inv(np.linalg.cholesky(second))
        for i in np.flatnonzero(good_a):
            scores[i, j] = -_shortest(lower @ of_a[i] @ lower.T, lower @ noise @ lower.T)
    return scores


def clip_negative(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Return RDM rows whose second moments have their negative eigenvalues set to 0, and how many changed.

    The result is the RDM of the nearest patterns (in the Frobenius norm of the second moment). Rows with NaN
    are returned as they are.
    """
    out, n_clipped = rows.copy(), 0
    contrasts = helmert(n_stimuli_of_pairs(rows.shape[1]))
    upper = np.triu_indices(contrasts.shape[1], 1)
    for i, row in enumerate(rows):
        if np.isnan(row).any():
            continue
        values, vectors = eigh(-0.5 * contrasts @ square(row) @ contrasts.T)
        if values[0] < -ROUNDING * np.abs(values).max():
            moment = contrasts.T @ (vectors * np.maximum(values, 0.0)) @ vectors.T @ contrasts
            own = np.diag(moment)
            out[i] = (own[:, None] + own[None, :] - 2 * moment)[upper]
            n_clipped += 1
    return out, n_clipped


def _complete(known: np.ndarray) -> np.ndarray | None:
    """Return the stimuli that have pairs, if they have all pairs with each other; at least 3."""
    grid = square(known.astype(np.int8))
    stimuli = np.flatnonzero(grid.any(axis=0))
    whole = len(stimuli) >= 3 and int(known.sum()) == len(stimuli) * (len(stimuli) - 1) // 2
    return stimuli if whole else None


def _contrast_moments(rows: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    stimuli = _complete(known)
    if stimuli is None:
        return None
    contrasts = helmert(len(stimuli))
    return -0.5 * contrasts @ square(rows) @ contrasts.T


def _roots(rows: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    """Return symmetric roots of the second moments at trace 1; NaN where there is none."""
    moments = _contrast_moments(rows, known)
    if moments is None:
        return None
    values, vectors = np.linalg.eigh(moments)
    largest = np.abs(values).max(axis=1, keepdims=True)
    values = np.where(values < -ROUNDING * largest, np.nan, values)
    # What is left of 0 after rounding has a root of 1e-8: without it, moments of low rank keep their digits.
    values[values <= values.shape[1] * np.finfo(np.float64).eps * largest] = 0.0
    trace = values.sum(axis=1, keepdims=True)
    values = np.sqrt(values / np.where(trace > 0, trace, np.nan))
    return (vectors * values[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _smallest_share(moment: np.ndarray) -> float:
    values = np.linalg.eigvalsh(moment)
    largest = np.abs(values).max()
    return float(values[0] / largest) if largest > 0 else -np.inf


def _shortest(moment: np.ndarray, noise: np.ndarray) -> float:
    """Return the smallest norm of log eigenvalues of s M + t N over s, t >= 0, of two symmetric matrices."""

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        s, t = np.exp(theta)
        values, vectors = np.linalg.eigh(s * moment + t * noise)
        values = np.maximum(values, np.finfo(float).tiny)
        logs = np.log(values)
        share = np.stack(
            [scale * np.einsum("ij,ij->j", vectors, m @ vectors) for scale, m in ((s, moment), (t, noise))]
        )
        return float(logs @ logs), 2 * (share / values) @ logs

    # Without the other term the best scale takes the mean out of the log eigenvalues.
    ends = [_spread(np.linalg.eigvalsh(m)) for m in (moment, noise)]
    moment, noise = (m * (len(m) / np.trace(m)) for m in (moment, noise))
    options = {"ftol": 1e-15, "gtol": 1e-10}
    found = minimize(loss, (0.0, 0.0), jac=True, method="L-BFGS-B", bounds=[LOG_SCALES] * 2, options=options)
    return min(*ends, float(np.sqrt(found.fun)))


def _spread(values: np.ndarray) -> float:
    if values[0] <= SINGULAR * values[-1]:
        return np.inf
    logs = np.log(values)
    return float(np.sqrt(((logs - logs.mean()) ** 2).sum()))
