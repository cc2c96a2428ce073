"""Runs in a searchlight: cross-validated correlation distances of many spheres at once."""

from __future__ import annotations

import numpy as np

from . import crossvalidated
from .sphere_kernels import CONSTANT, Found, Kernel

__all__ = ["CORRELATION_CV"]

# A variance between folds within this share of the sum of squares may be rounding, or none at all.
NEAR_0 = 1e-10


def _correlation_cv(x: np.ndarray, n_folds: int, apply: None) -> Found:
    """Return one minus covariance over the root of variances, each of them between folds.

    The sum over pairs of different folds is the product of the folds' sums less that within folds. Spheres
    in which a pattern is constant, or has a variance between folds that is not clearly above 0, are doubtful.
    """
    n, k, _ = x.shape
    x -= np.matmul(np.ones((1, k)), x) / k
    stacked = x.reshape(n, k * n_folds, -1)
    parts = x.reshape(n, k, n_folds, -1)
    total = parts.sum(axis=2)
    moment = np.matmul(total.transpose(0, 2, 1), total)
    moment -= np.matmul(stacked.transpose(0, 2, 1), stacked)
    between = np.einsum("bss->bs", moment)
    lengths = np.einsum("bkfs,bkfs->bfs", parts, parts)
    doubtful = (between <= NEAR_0 * lengths.sum(axis=1)).any(axis=1)
    doubtful |= (lengths <= CONSTANT**2 * k).any(axis=(1, 2))
    deviation = np.sqrt(np.where(doubtful[:, None], 1.0, between))
    moment /= deviation[:, :, None]
    moment /= deviation[:, None, :]
    rows, columns = np.triu_indices(moment.shape[1], 1)
    return 1.0 - moment[:, rows, columns], doubtful


def _scaled(x: np.ndarray) -> np.ndarray:
    """Return patterns scaled by one power of two for all, so that labels may be exchanged within folds."""
    return x * np.ldexp(1.0, -np.clip(np.frexp(np.abs(x).max())[1], -1020, 1020))


CORRELATION_CV = Kernel(_scaled, _correlation_cv, crossvalidated.correlation_cv)
