"""Ridge kernels in torch: one eigendecomposition a fold serves every alpha and every target.

With centred training rows X (n, p) and Y (n, t), predictions of test rows at alpha are
``basis @ (projected / (values + alpha))``, where, from an eigendecomposition ``V diag(values) V'``,

- primal, of ``X'X``: ``projected = V' X'Y``, ``basis = X_test V``;
- kernel, of ``XX'``: ``projected = V'Y``, ``basis = X_test X' V``; nothing of size (p, p) is formed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrays import to_numpy, to_torch
from ..errors import InvalidValueError

if TYPE_CHECKING:
    import torch

__all__ = ["SCORINGS", "Problem", "cross_validate", "refit"]

BLOCK = 1024
EPS = float(np.finfo(np.float64).eps)


class Problem(NamedTuple):
    """What is to be solved, on its device: X (n, p) and Y (n, t) centred over all rows, alphas decreasing."""

    X: torch.Tensor
    Y: torch.Tensor
    gram: torch.Tensor | None  # (n, n), in kernel form
    alphas: np.ndarray
    intercept: bool

    @classmethod
    def of(
        cls, X: np.ndarray, Y: np.ndarray, alphas: np.ndarray, *, kernel: bool, intercept: bool, device: str
    ) -> Problem:
        """Move the arrays to the device and form the Gram matrix once for all folds."""
        x, y = to_torch(X, device=device), to_torch(Y, device=device)
        return cls(x, y, x @ x.T if kernel else None, alphas, intercept)


class Factor(NamedTuple):
    """A set of training rows: eigenvalues (r,), eigenvectors, projected targets (r, t), target means (t,)."""

    values: torch.Tensor
    vectors: torch.Tensor
    projected: torch.Tensor
    y_mean: torch.Tensor


def cross_validate(
    problem: Problem, splits: list[tuple[np.ndarray, np.ndarray]], scoring: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (n_alphas, n_targets), averaged over the folds where they are defined, and their number.

    A target's fold is undefined where its test rows are constant.
    """
    import torch

    shape = (len(problem.alphas), problem.Y.shape[1])
    total = torch.zeros(shape, dtype=torch.float64, device=problem.X.device)
    count = torch.zeros_like(total)
    for train, test in splits:
        factor = _factorise(problem, train)
        _refuse_zero_alpha(problem, factor, len(train))
        basis = _test_basis(problem, factor, train, test)
        truth = problem.Y[_index(test, basis)]
        for start in range(0, shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            for i, alpha in enumerate(problem.alphas):
                shrunk = factor.projected[:, block] * _inverse(factor.values, float(alpha))[:, None]
                score = SCORINGS[scoring](truth[:, block], basis @ shrunk + factor.y_mean[block])
                known = ~score.isnan()
                total[i, block] += torch.where(known, score, 0.0)
                count[i, block] += known
    mean = torch.where(count > 0, total / count.clamp(min=1), torch.nan)
    return to_numpy(mean), to_numpy(count)


def refit(problem: Problem, best: np.ndarray) -> np.ndarray:
    """Return coefficients (n_targets, n_features) over all rows, each target with its own alpha."""
    import torch

    rows = np.arange(problem.X.shape[0])
    factor = _factorise(problem, rows)
    _refuse_zero_alpha(problem, factor, len(rows))
    inverse = torch.stack([_inverse(factor.values, float(alpha)) for alpha in problem.alphas])
    X = _centred(problem.X, problem.intercept)
    found = np.empty((problem.Y.shape[1], problem.X.shape[1]))
    for start in range(0, len(found), BLOCK):
        block = slice(start, start + BLOCK)
        shrunk = factor.projected[:, block] * inverse[_index(best[block], inverse)].T
        weights = factor.vectors @ shrunk
        found[block] = to_numpy((weights if problem.gram is None else X.T @ weights).T)
    return found


def _factorise(problem: Problem, train: np.ndarray) -> Factor:
    import torch

    rows = _index(train, problem.X)
    Y = problem.Y[rows]
    y_mean = Y.mean(dim=0) if problem.intercept else torch.zeros_like(Y[0])
    Y = Y - y_mean
    if problem.gram is None:
        X = _centred(problem.X[rows], problem.intercept)
        values, vectors = torch.linalg.eigh(X.T @ X)
        projected = vectors.T @ (X.T @ Y)
    else:
        gram = problem.gram[rows][:, rows]
        if problem.intercept:
            mean = gram.mean(dim=0)
            gram = gram - mean - mean[:, None] + mean.mean()
        values, vectors = torch.linalg.eigh(gram)
        projected = vectors.T @ Y
    return Factor(values.clamp(min=0.0), vectors, projected, y_mean)


def _test_basis(problem: Problem, factor: Factor, train: np.ndarray, test: np.ndarray) -> torch.Tensor:
    rows, held = _index(train, problem.X), _index(test, problem.X)
    if problem.gram is None:
        X = problem.X[held]
        return (X - problem.X[rows].mean(dim=0) if problem.intercept else X) @ factor.vectors
    cross = problem.gram[held][:, rows]
    if problem.intercept:
        mean = problem.gram[rows][:, rows].mean(dim=0)
        cross = cross - cross.mean(dim=1, keepdim=True) - mean + mean.mean()
    return cross @ factor.vectors


def _inverse(values: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return 1 / (values + alpha); at alpha 0 directions without variance get 0, as a pseudo-inverse does."""
    import torch

    if alpha > 0:
        return 1.0 / (values + alpha)
    some = values > _tolerance(values)
    return torch.where(some, 1.0 / torch.where(some, values, 1.0), 0.0)


def _refuse_zero_alpha(problem: Problem, factor: Factor, n: int) -> None:
    if problem.alphas[-1] > 0:
        return
    rank, p = int((factor.values > _tolerance(factor.values)).sum()), problem.X.shape[1]
    if rank < p:
        raise InvalidValueError(
            f"alpha 0 needs features of full rank; {n} training rows have rank {rank} of {p} features. "
            "Take 0 out of alphas."
        )


def _tolerance(values: torch.Tensor) -> float:
    return float(values.max()) * len(values) * EPS if len(values) else 0.0


def _centred(X: torch.Tensor, intercept: bool) -> torch.Tensor:
    return X - X.mean(dim=0) if intercept else X


def _index(rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.as_tensor(rows, dtype=torch.long, device=like.device)


def _is_constant(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(dim=0)).abs().amax(dim=0) <= 16 * EPS * x.abs().amax(dim=0)


def _pearson(y: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
    import torch

    undefined = _is_constant(y) | _is_constant(prediction)
    y, prediction = y - y.mean(dim=0), prediction - prediction.mean(dim=0)
    lengths = y.norm(dim=0) * prediction.norm(dim=0)
    return torch.where(undefined, torch.nan, (y * prediction).sum(dim=0) / lengths)


def _r2(y: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
    import torch

    total = ((y - y.mean(dim=0)) ** 2).sum(dim=0)
    error = ((y - prediction) ** 2).sum(dim=0)
    return torch.where(_is_constant(y), torch.nan, 1.0 - error / total)


def _negative_mse(y: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
    return -((y - prediction) ** 2).mean(dim=0)


SCORINGS = {"r2": _r2, "pearson": _pearson, "neg_mse": _negative_mse}
