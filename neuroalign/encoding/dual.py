"""Held-out residuals of all folds from one eigendecomposition, in kernel form.

Where folds partition the rows and are trained on all the others, the residuals of the rows f that fold f
leaves out are those of the fit to all rows, y - H y, times ``inverse(I - H_ff)``. With
``Q = inverse(K + alpha)`` on what is orthogonal to the constant, I - H is alpha Q, so that they are
``inverse(Q_ff) @ (Q y)_f``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .folds import held_targets, row_index
from .rotations import Eigen, eigh, residual_scores

if TYPE_CHECKING:
    import torch

    from .splits import Splits

__all__ = ["HoldOut", "applies", "centred_eigen", "hold_out", "hold_out_scores"]

# Condition number of Q above which its blocks are formed in float64 whatever the dtype of the data.
LARGEST_CONDITION = 100.0


class HoldOut(NamedTuple):
    """What the residuals of any block of targets need."""

    eigen: Eigen  # of the centred K, (q,) and (n, q)
    inverse: torch.Tensor  # (n_alphas, q): 1 / (values + alpha)
    solve: list[list[torch.Tensor]]  # inverse(Q_ff), a fold's for each alpha: (n_test, n_test)
    tests: list[Any]


def applies(splits: Splits, n: int, alphas: np.ndarray) -> bool:
    """Return whether the folds partition the n rows, each trained on all other rows, and no alpha is 0."""
    tested = np.concatenate([test for _, test in splits])
    if len(splits) < 2 or len(tested) != n or len(np.unique(tested)) != n or min(alphas) <= 0:
        return False
    return all(len(train) + len(test) == n for train, test in splits)


def centred_eigen(K: torch.Tensor, *, intercept: bool, dtype: torch.dtype) -> Eigen:
    """Return the eigendecomposition of K (n, n), centred and without the constant where ``intercept``.

    The constant is made the first eigenvector by a term that outweighs K, and dropped: left at its eigenvalue
    of 0 it would mix with the other directions without variance.
    """
    import torch

    n = len(K)
    if intercept:
        mean = K.mean(dim=0)
        K = K - mean - mean[:, None] + mean.mean()
        K = K + 2 * torch.linalg.matrix_norm(K).clamp(min=1e-300) / n
    values, vectors = eigh(K)
    keep = n - 1 if intercept else n
    return Eigen(values[:keep].clamp(min=0.0), vectors[:, :keep].to(dtype))


def hold_out(found: Eigen, splits: Splits, alphas: np.ndarray) -> HoldOut:
    """Return the inverse of Q_ff for every alpha and fold."""
    import torch

    shifted = found.values + torch.as_tensor(alphas, device=found.values.device)[:, None]
    inverse = 1.0 / shifted
    tests = [row_index(test, found.vectors) for _, test in splits]
    dtype = found.vectors.dtype
    solve = []
    for each in inverse:
        exact = float(each.max() / each.min()) > LARGEST_CONDITION
        solve.append([_inverted(found.vectors[test], each, exact).to(dtype) for test in tests])
    return HoldOut(found, inverse.to(dtype), solve, tests)


def hold_out_scores(held: HoldOut, Y: torch.Tensor, projected: torch.Tensor, scoring: str) -> torch.Tensor:
    """Return scores (n_folds, n_alphas, t) of targets Y (n, t), ``projected`` (q, t) on the eigenvectors."""
    import torch

    truths = [held_targets(Y, test) for test in held.tests]
    scores = []
    for inverse, solve in zip(held.inverse, held.solve, strict=True):
        whole = held.eigen.vectors @ (projected * inverse[:, None])
        errors = [inside @ whole[test] for inside, test in zip(solve, held.tests, strict=True)]
        found = [residual_scores(*pair, scoring) for pair in zip(truths, errors, strict=True)]
        scores.append(torch.stack(found))
    return torch.stack(scores, dim=1)


def _inverted(rows: torch.Tensor, inverse: torch.Tensor, exact: bool) -> torch.Tensor:
    import torch

    dtype = torch.float64 if exact else rows.dtype
    rows = rows.to(dtype)
    block = (rows * inverse.to(dtype)) @ rows.T
    return torch.cholesky_inverse(torch.linalg.cholesky(block.to(torch.float64)))
