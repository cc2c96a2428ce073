"""Non-negative least squares of many targets at once, from one Gram matrix, by block principal pivoting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from ..arrays import to_numpy, to_torch

if TYPE_CHECKING:
    import torch

__all__ = ["nonnegative_ridge"]

N_TRIES = 3
MAX_ITER = 200
TOLERANCE = 1e-10
LIMIT = 4_000_000  # numbers in the sub-matrices that are held at once


def nonnegative_ridge(
    gram: torch.Tensor, cross: torch.Tensor, alpha: float, *, start: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return weights w >= 0 that minimise :math:`|y - X w|^2 + \alpha |w|^2`, and where they are free.

    Each target's set of free (positive) weights is found by exchanging at once all weights that violate the
    optimality conditions, and one at a time where that has not helped for ``N_TRIES`` steps. The result is
    exact up to rounding. The cost is a Cholesky factor of the free features for each target and step.

    Parameters
    ----------
    gram : tensor (n_features, n_features), float64
        X'X; with alpha on its diagonal it must be positive definite.
    cross : tensor (n_features, n_targets), float64
        X'Y.
    alpha : float
        The penalty.
    start : tensor (n_targets, n_features), bool, optional
        The free weights to begin with, such as those of another alpha; saves steps, changes no result.

    Returns
    -------
    weights : tensor (n_features, n_targets)
    free : tensor (n_targets, n_features)

    References
    ----------
    Kim & Park (2011), SIAM Journal on Scientific Computing 33, 3261-3281, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> gram, cross = torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double(), torch.tensor([[4.0], [-1.0]]).double()
    >>> nonnegative_ridge(gram, cross, 0.0)[0].ravel().round(decimals=6).tolist()
    [2.0, 0.0]
    """
    import torch

    matrix = gram + alpha * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    # A unit diagonal and a largest right-hand side of 1 make the tolerance free of units.
    scale = matrix.diagonal().sqrt()
    matrix = matrix / scale / scale[:, None]
    right = (cross / scale[:, None]).T
    size = right.abs().amax(dim=1, keepdim=True)
    size = torch.where(size > 0, size, 1.0)
    weights, free = _pivot(matrix, right / size, start)
    return (weights * size / scale).T, free


def _pivot(
    matrix: torch.Tensor, right: torch.Tensor, start: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights and free sets, both (n_targets, n_features), of a matrix with a unit diagonal."""
    import torch

    n, p = right.shape
    free = torch.zeros(n, p, dtype=torch.bool, device=right.device) if start is None else start.clone()
    weights = torch.zeros_like(right)
    fewest = torch.full((n,), p + 1, device=right.device)
    tries = torch.full((n,), N_TRIES, device=right.device)
    todo = torch.arange(n, device=right.device)
    for _ in range(MAX_ITER):
        found = _solve_free(matrix, right[todo], free[todo])
        wrong = _violations(matrix, right[todo], found, free[todo])
        count = wrong.sum(dim=1)
        weights[todo[count == 0]] = found[count == 0].clamp(min=0.0)
        better = count < fewest[todo]
        single = ~better & (tries[todo] == 0)
        fewest[todo] = torch.minimum(count, fewest[todo])
        tries[todo] = torch.where(better, N_TRIES, (tries[todo] - 1).clamp(min=0))
        free[todo] ^= torch.where(single[:, None], _last(wrong), wrong)
        todo = todo[count > 0]
        if not len(todo):
            return weights, free
    weights[todo] = _one_by_one(matrix, right[todo])
    free[todo] = weights[todo] > 0
    return weights, free


def _violations(
    matrix: torch.Tensor, right: torch.Tensor, weights: torch.Tensor, free: torch.Tensor
) -> torch.Tensor:
    """Return where a free weight is negative, or the error falls as a weight leaves 0."""
    import torch

    tolerance = -TOLERANCE * weights.abs().amax(dim=1, keepdim=True).clamp(min=1.0)
    return torch.where(free, weights < tolerance, weights @ matrix - right < tolerance)


def _last(wrong: torch.Tensor) -> torch.Tensor:
    """Return only the last violation of each target, which makes the exchange finite."""
    import torch

    places = torch.arange(1, wrong.shape[1] + 1, device=wrong.device)
    return (wrong * places == (wrong * places).amax(dim=1, keepdim=True)) & wrong


def _solve_free(matrix: torch.Tensor, right: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Return least squares over each target's free features, 0 elsewhere; like sizes go together."""
    import torch

    weights = torch.zeros_like(right)
    counts, order = free.sum(dim=1).sort(descending=True)
    first = 0
    while first < len(order) and (k := int(counts[first])) > 0:
        part = order[first : first + max(1, LIMIT // k**2)]
        first += len(part)
        # The free features come first; what fills up to k rows is an identity with a right-hand side of 0.
        index = (~free[part]).to(torch.uint8).argsort(dim=1, stable=True)[:, :k]
        real = free[part].gather(1, index)
        block = matrix[index[:, :, None], index[:, None, :]] * (real[:, :, None] & real[:, None, :])
        block.diagonal(dim1=1, dim2=2).masked_fill_(~real, 1.0)
        side = (right[part].gather(1, index) * real)[:, :, None]
        solved = torch.cholesky_solve(side, torch.linalg.cholesky(block))[:, :, 0]
        weights[part] = torch.zeros_like(right[part]).scatter(1, index, solved)
    return weights


def _one_by_one(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return scipy's solutions where the exchange has not ended: |L'w - L^-1 b| has the same minimum."""
    lower = np.linalg.cholesky(to_numpy(matrix))
    sides = solve_triangular(lower, to_numpy(right).T, lower=True).T
    return to_torch(np.stack([nnls(lower.T, side)[0] for side in sides]), device=right.device)
