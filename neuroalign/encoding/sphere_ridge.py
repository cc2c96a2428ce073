"""Ridge from the neuroids of many spheres at once: one decomposition a sphere and fold for all targets.

With a sphere's training rows X (n, k) centred, either ``X'X = V diag(values) V'`` or ``XX' = U diag(values)
U'``, whichever is smaller, gives the predictions of test rows for every target and alpha as ``left @
(right' y / (values + alpha))``: primal, left and right are test and training rows times V; dual, ``test X'
U`` and U. The constant is an eigenvector of the centred XX'; a multiple of it that is added makes it the last
one, which is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["SphereRidge"]


class SphereRidge(NamedTuple):
    """Decomposed spheres of one fold: ``left`` (b, m, r), ``right`` (b, n, r), ``values`` (b, r)."""

    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    dual: bool

    @classmethod
    def of(cls, train: np.ndarray, test: np.ndarray) -> SphereRidge:
        """Decompose spheres with centred training rows (b, n, k) and test rows (b, m, k)."""
        n, k = train.shape[1:]
        if k < n:
            values, vectors = np.linalg.eigh(np.matmul(train.transpose(0, 2, 1), train))
            return cls(
                np.matmul(test, vectors), np.matmul(train, vectors), np.maximum(values, 0.0), dual=False
            )
        gram = np.matmul(train, train.transpose(0, 2, 1))
        above = np.trace(gram, axis1=1, axis2=2)
        gram += (2 * np.where(above > 0, above, 1.0) / n)[:, None, None]
        values, vectors = np.linalg.eigh(gram)
        values, vectors = np.maximum(values[:, :-1], 0.0), np.ascontiguousarray(vectors[:, :, :-1])
        left = np.matmul(np.matmul(test, train.transpose(0, 2, 1)), vectors)
        return cls(left, vectors, values, dual=True)

    def operator(self, alpha: float) -> np.ndarray:
        """Return what maps centred targets (n, t) to predictions of the test rows: (b, m, n)."""
        shrunk = self.left / (self.values + alpha)[:, None]
        return np.matmul(shrunk, self.right.transpose(0, 2, 1))

    def chosen(self, y: np.ndarray, alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions (b, m, t) of centred targets (n, t) and the number of each sphere's alpha.

        An alpha is chosen by the sum of squared leave-one-out errors of the training rows over all targets,
        in closed form; a tie goes to the first.
        """
        projected = np.matmul(self.right.transpose(0, 2, 1), y)
        squares = np.stack([self._left_out(projected, y, alpha) for alpha in alphas])
        best = np.argmin(np.where(np.isnan(squares), np.inf, squares), axis=0)
        shrink = 1.0 / (self.values + alphas[best][:, None])
        return np.matmul(self.left, shrink[:, :, None] * projected), best

    def _left_out(self, projected: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
        """Return the sums (b,) of squared leave-one-out errors."""
        shrink = 1.0 / (self.values + alpha)
        if self.dual:
            # Neither the residual nor 1 - h is a difference here, so that a small alpha loses no digits.
            residual = np.matmul(self.right, shrink[:, :, None] * projected)
            rest = np.matmul(self.right**2, shrink[:, :, None])
        else:
            residual = y - np.matmul(self.right, shrink[:, :, None] * projected)
            rest = 1.0 - 1.0 / len(y) - np.matmul(self.right**2, shrink[:, :, None])
        return ((residual / rest) ** 2).sum(axis=(1, 2))
