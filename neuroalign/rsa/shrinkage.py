"""Covariances of residuals on raw arrays: shrunk, inverted, and as whitening that forms no square matrix.

Every estimate here is ``diag(diagonal) + weight * R' R / dof`` for residuals R (n_residuals, n_units).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from ..errors import InvalidValueError

__all__ = ["NOISE_METHODS", "Shrunk", "covariance", "inverse", "precision", "shrunk", "whitening"]

# Below this share of the variance the diagonal does not hold the low-rank form up numerically.
LEAST_DIAGONAL = 1e-6
# Factoring residuals costs less than factoring the covariance while there are fewer than this share of them.
FEW_RESIDUALS = 0.6
BLOCK = 512
# A sum of squares off the target below this share of the whole is rounding: there is nothing to shrink.
ROUNDING = 1e-12


class Shrunk(NamedTuple):
    """The covariance ``diag(diagonal) + weight * R' R / dof``; ``intensity`` is the shrinkage, 0 to 1."""

    residuals: np.ndarray
    dof: float
    diagonal: np.ndarray
    weight: float
    intensity: float
    method: str

    @property
    def variance(self) -> np.ndarray:
        """Of each unit, array (n_units,)."""
        return self.diagonal + self.weight * _sum_of_squares(self.residuals) / self.dof


def shrunk(residuals: np.ndarray, dof: float, method: str) -> Shrunk:
    """Return the covariance estimate of centred residuals (n_residuals, n_units) by a name."""
    diagonal, intensity = NOISE_METHODS[method](residuals, dof)
    return Shrunk(residuals, dof, diagonal, 1.0 - intensity, intensity, method)


def covariance(estimate: Shrunk) -> np.ndarray:
    """Return the covariance (n_units, n_units)."""
    n_units = estimate.residuals.shape[1]
    if estimate.weight == 0:
        return np.diag(estimate.diagonal)
    full = estimate.residuals.T @ estimate.residuals
    full *= estimate.weight / estimate.dof
    full[np.arange(n_units), np.arange(n_units)] += estimate.diagonal
    return full


def precision(estimate: Shrunk) -> np.ndarray:
    """Return the inverse of the covariance, or refuse a covariance that has none."""
    _refuse_singular(estimate)
    if estimate.weight == 0:
        return np.diag(1.0 / estimate.diagonal)
    if not _is_low_rank(estimate):
        return inverse(covariance(estimate), _numbers(estimate))
    # Woodbury: (D + U'U)^-1 = D^-1 - W'W with W = L^-1 U D^-1 and L L' = I + U D^-1 U'.
    root = np.sqrt(estimate.diagonal)
    u = _low_rank(estimate)
    inner = u @ u.T
    inner[np.arange(len(inner)), np.arange(len(inner))] += 1.0
    factor = scipy.linalg.cholesky(inner, lower=True, overwrite_a=True, check_finite=False)
    w = scipy.linalg.solve_triangular(factor, u, lower=True, overwrite_b=True, check_finite=False)
    w /= root
    found = w.T @ w
    np.negative(found, out=found)
    found[np.arange(len(root)), np.arange(len(root))] += 1.0 / estimate.diagonal
    return found


def whitening(estimate: Shrunk) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that maps rows (..., n_units) so that the noise has identity covariance.

    Where there are few residuals no n_units x n_units matrix is formed.
    """
    _refuse_singular(estimate)
    if estimate.weight == 0:
        deviation = np.sqrt(estimate.diagonal)
        return lambda x: x / deviation
    if not _is_low_rank(estimate):
        full, deviation = _correlation(covariance(estimate))
        factor = _cholesky(full, _numbers(estimate))
        return lambda x: _solved(factor, x / deviation)
    # With u = A S B', (I + u'u)^-1/2 = I - u' A 1 / (q (q + 1)) A' u, q = sqrt(1 + S^2).
    root, u = np.sqrt(estimate.diagonal), _low_rank(estimate)
    squares, a = scipy.linalg.eigh(u @ u.T)
    q = np.sqrt(1.0 + np.maximum(squares, 0.0))
    inner = (a / (q * (q + 1.0))) @ a.T

    def white(x: np.ndarray) -> np.ndarray:
        scaled = x / root
        return scaled - ((scaled @ u.T) @ inner) @ u

    return white


def inverse(full: np.ndarray, numbers: str) -> np.ndarray:
    """Return the inverse of a symmetric positive definite matrix, whose memory is used; else refuse it.

    ``numbers`` says in the error what the matrix was estimated from.
    """
    full, deviation = _correlation(full)
    factor = _cholesky(full, numbers)
    found, _ = lapack.dpotri(factor.T, lower=0, overwrite_c=True)
    found = found.T
    for start in range(0, len(found), BLOCK):
        rows = slice(start, start + BLOCK)
        corner = np.tril(found[rows, rows])
        found[rows, rows] = corner + np.tril(corner, -1).T
        found[rows, start + BLOCK :] = found[start + BLOCK :, rows].T
        found[rows] /= deviation[rows, None]
        found[rows] /= deviation
    return found


def _full(residuals: np.ndarray, dof: float) -> tuple[np.ndarray, float]:
    return np.zeros(residuals.shape[1]), 0.0


def _diagonal(residuals: np.ndarray, dof: float) -> tuple[np.ndarray, float]:
    return _sum_of_squares(residuals) / dof, 1.0


def _to_diagonal(residuals: np.ndarray, dof: float) -> tuple[np.ndarray, float]:
    """Schäfer & Strimmer 2005: variance of the correlations over their squares.

    The sum of squares of all outer products z z' is that of |z|^4: no product of pairs is formed.
    """
    n = len(residuals)
    variance = _sum_of_squares(residuals) / dof
    z = residuals / np.sqrt(np.where(variance > 0, variance, 1.0))
    squares = z * z
    of_squares = (squares.sum(axis=1) ** 2).sum() - np.einsum("ru,ru->", squares, squares)
    own = (squares.sum(axis=0) ** 2).sum()
    of_sums = _squared_norm(z) - own
    if of_sums <= ROUNDING * own:
        return variance, 1.0
    # rsatoolbox has n - 1 where the paper has n in the mean of the products; kept for equal numbers.
    uncertainty = n / dof**2 * (of_squares / (n - 1) - of_sums / (n - 1) ** 2)
    intensity = float(np.clip(uncertainty / (of_sums / (n - 1) ** 2), 0.0, 1.0))
    return intensity * variance, intensity


def _to_identity(residuals: np.ndarray, dof: float) -> tuple[np.ndarray, float]:
    """Ledoit & Wolf 2004, lemma 3.2 to 3.4: m, d^2 and b^2 with divisor n, then scaled to the dof."""
    n, n_units = residuals.shape
    mean = _sum_of_squares(residuals).sum() / n / n_units
    squared = _squared_norm(residuals) / n**2
    of_squares = (np.einsum("ru,ru->r", residuals, residuals) ** 2).sum() / n
    spread = squared - n_units * mean**2
    if spread <= ROUNDING * squared:
        return np.full(n_units, mean * n / dof), 1.0
    varying = of_squares - squared if of_squares - squared > ROUNDING * squared else 0.0
    intensity = min(varying / n, spread) / spread
    return np.full(n_units, intensity * mean * n / dof), float(intensity)


def _squared_norm(residuals: np.ndarray) -> float:
    """Return the sum of the squares of R' R, from the smaller of R' R and R R'."""
    gram = residuals @ residuals.T if len(residuals) <= residuals.shape[1] else residuals.T @ residuals
    return float(np.einsum("ij,ij->", gram, gram))


def _sum_of_squares(residuals: np.ndarray) -> np.ndarray:
    return np.einsum("ru,ru->u", residuals, residuals)


def _is_low_rank(estimate: Shrunk) -> bool:
    n, n_units = estimate.residuals.shape
    held_up = estimate.diagonal > LEAST_DIAGONAL * estimate.variance
    return n < FEW_RESIDUALS * n_units and bool(held_up.all())


def _low_rank(estimate: Shrunk) -> np.ndarray:
    """Return u (n_residuals, n_units) with D^-1/2 covariance D^-1/2 = I + u'u."""
    u = estimate.residuals / np.sqrt(estimate.diagonal)
    u *= np.sqrt(estimate.weight / estimate.dof)
    return u


def _correlation(full: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a covariance scaled in place to unit diagonal, and the standard deviations."""
    deviation = np.sqrt(np.diag(full))
    for start in range(0, len(full), BLOCK):
        full[start : start + BLOCK] /= deviation[start : start + BLOCK, None]
        full[start : start + BLOCK] /= deviation
    return full, deviation


def _cholesky(full: np.ndarray, numbers: str) -> np.ndarray:
    """Return the lower factor in the memory of a correlation matrix, or refuse one without an inverse."""
    norm = max(np.abs(full[i : i + BLOCK]).sum(axis=1).max() for i in range(0, len(full), BLOCK))
    # Fortran's upper triangle of the transpose is the lower triangle here, without a copy.
    factor, info = lapack.dpotrf(full.T, lower=0, clean=0, overwrite_a=True)
    condition = lapack.dpocon(factor, norm)[0] if info == 0 else 0.0
    if condition < len(full) * np.finfo(np.float64).eps:
        raise singular(f"it is not positive definite (reciprocal condition {condition:.1e})", numbers)
    return factor.T


def singular(why: str, numbers: str, method: str = "full") -> InvalidValueError:
    """Return the error for a covariance without inverse, estimated by ``method``."""
    instead = "method='shrinkage-diagonal' or 'shrinkage-identity'"
    if method != "full":
        # Two centred residuals are one and its negative: their products do not vary, and nothing is shrunk.
        instead = f"more residuals ('{method}' shrinks by how they vary: three or more), method='diagonal'"
    return InvalidValueError(
        f"the noise covariance{numbers} is singular: {why}. Pass {instead}, or fewer neuroids."
    )


def _solved(factor: np.ndarray, x: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)
    solved = scipy.linalg.solve_triangular(factor, rows, lower=True, overwrite_b=True, check_finite=False)
    return solved.T.reshape(x.shape)


def _refuse_singular(estimate: Shrunk) -> None:
    n, n_units = estimate.residuals.shape
    still = int((estimate.variance <= 0).sum())
    if still:
        raise InvalidValueError(
            f"the noise covariance{_numbers(estimate)} is singular: {still} of {n_units} neuroids have no "
            "variance. Leave them out."
        )
    rank = int(min(n, np.floor(estimate.dof)))
    if estimate.weight and not estimate.diagonal.any() and rank < n_units:
        raise singular(f"its rank is at most {rank}", _numbers(estimate), estimate.method)


def _numbers(estimate: Shrunk) -> str:
    n, n_units = estimate.residuals.shape
    return f" of {n_units} neuroids from {n} residuals ({estimate.dof:g} degrees of freedom)"


NOISE_METHODS: dict[str, Callable[[np.ndarray, float], tuple[np.ndarray, float]]] = {
    "full": _full,
    "diagonal": _diagonal,
    "shrinkage-diagonal": _to_diagonal,
    "shrinkage-identity": _to_identity,
}
