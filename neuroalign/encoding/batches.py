"""Ridge kernels in torch over batches of small problems, with leave-one-out scores in closed form.

With a context's rows X (n, p) and y centred, and an eigendecomposition ``V diag(values) V'``,

- primal, of ``X'X``: fit ``X V a``, with ``a = V'X'y / (values + alpha)``; ``1 - h = 1 - 1/n -
  (X V)^2 / (values + alpha)``;
- dual, of ``XX'``: leave-one-out error ``(V a)_i / (V^2 b)_i`` with ``a = V'y / (values + alpha)`` and
  ``b = 1 / (values + alpha)``: no difference is taken, so that a small alpha loses no digits.

The constant is an eigenvector of the centred ``XX'`` and must be left out of both sums. Adding a multiple of
it to the matrix makes it the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrays import to_numpy, to_torch
from ..errors import InvalidValueError
from ..stats import is_constant

if TYPE_CHECKING:
    import torch

__all__ = ["solve_contexts"]

# Numbers in the padded designs and matrices of a batch: what a CPU's cache holds, what fills a GPU.
LIMITS = {"cpu": 500_000, "cuda": 16_000_000}
PADDING = 1.2  # a batch's largest context over its smallest
EPS = float(np.finfo(np.float64).eps)
# A row whose leverage is this near 1 is fitted by itself: its leave-one-out error is rounding over rounding.
ALONE = 1e-12


class Batch(NamedTuple):
    """Contexts of like size: centred rows X (m, n, p), y (m, n), and which of the n rows are real."""

    X: torch.Tensor
    y: torch.Tensor
    real: torch.Tensor
    size: torch.Tensor  # (m,), a float: an integer's reciprocal would be of single precision
    x_mean: torch.Tensor
    y_mean: torch.Tensor
    intercept: bool


def solve_contexts(
    X: np.ndarray,
    rows: list[np.ndarray],
    targets: list[np.ndarray],
    alphas: np.ndarray,
    *,
    intercept: bool,
    choose: Callable[[np.ndarray], np.ndarray],
    device: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, intercepts, leave-one-out R2 of all alphas, and the number of the chosen alpha.

    Parameters
    ----------
    X : array (n_all_rows, n_features)
    rows, targets : lists of arrays (n_rows,)
        Row numbers and targets of each context.
    alphas : array (n_alphas,)
    choose : callable
        Scores (n_alphas, n_contexts) -> the number of an alpha for each context.

    Returns
    -------
    coef : array (n_contexts, n_features)
    intercept : array (n_contexts,)
    scores : array (n_contexts, n_alphas)
    best : array (n_contexts,)
    """
    import torch

    design = to_torch(X, device=device)
    # Two centred rows leave one to fit: it is predicted by the other one's value, whatever alpha is.
    undefined = np.array([is_constant(y) or (len(y) == 2 and intercept) for y in targets])
    coef, bias = np.empty((len(rows), X.shape[1])), np.empty(len(rows))
    scores, best = np.empty((len(rows), len(alphas))), np.empty(len(rows), dtype=np.int64)
    limit = LIMITS.get(design.device.type, min(LIMITS.values()))
    for numbers in _batches([len(row) for row in rows], X.shape[1], limit):
        batch = _batch(design, [rows[c] for c in numbers], [targets[c] for c in numbers], intercept)
        dual = batch.X.shape[1] <= batch.X.shape[2]
        if alphas.min() == 0:
            _refuse_zero_alpha(batch, numbers)
        errors, weigh = (_dual if dual else _primal)(batch, to_torch(alphas, device=device))
        scores[numbers] = to_numpy(_r2(errors, batch))
        scores[numbers[undefined[numbers]]] = np.nan
        best[numbers] = choose(scores[numbers].T)
        weights = weigh(torch.as_tensor(best[numbers], device=design.device))
        coef[numbers] = to_numpy(weights)
        bias[numbers] = to_numpy(batch.y_mean - (batch.x_mean * weights).sum(dim=1))
    return coef, bias, scores, best


def _batches(sizes: list[int], p: int, limit: int) -> Iterator[np.ndarray]:
    """Yield numbers of contexts of like size that fit into memory together."""
    order = np.argsort(sizes, kind="stable")[::-1]
    first = 0
    while first < len(order):
        n = sizes[order[first]]
        most = max(1, limit // (n * p + min(n, p) ** 2))
        part = order[first : first + most]
        part = part[np.asarray(sizes)[part] * PADDING >= n]
        first += len(part)
        yield part


def _batch(design: torch.Tensor, rows: list[np.ndarray], targets: list[np.ndarray], intercept: bool) -> Batch:
    """Return contexts padded to one size; padding is 0 after centring, and exact: it changes no sum."""
    import torch

    n = max(map(len, rows))
    index, values, means = np.zeros((len(rows), n), dtype=np.int64), np.zeros((len(rows), n)), []
    for c, (row, y) in enumerate(zip(rows, targets, strict=True)):
        index[c, : len(row)] = row
        means.append(y.mean() if intercept else 0.0)
        values[c, : len(y)] = 0.0 if intercept and is_constant(y) else y - means[-1]
    y, y_mean = to_torch(values, device=design.device), to_torch(np.array(means), device=design.device)
    size = torch.as_tensor([len(row) for row in rows], dtype=torch.float64, device=design.device)
    real = torch.arange(n, device=design.device) < size[:, None]
    X = design[to_torch(index, device=design.device)].masked_fill_(~real[:, :, None], 0.0)
    x_mean = X.sum(dim=1) / size[:, None] * float(intercept)
    X = (X - x_mean[:, None]).masked_fill_(~real[:, :, None], 0.0)
    return Batch(X, y, real, size, x_mean, y_mean, intercept)


def _dual(batch: Batch, alphas: torch.Tensor) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Return leave-one-out errors (m, n, n_alphas), and a function from chosen alphas to weights (m, p)."""
    import torch

    gram = batch.X @ batch.X.mT
    if batch.intercept:
        above = 2.0 * gram.diagonal(dim1=1, dim2=2).sum(dim=1)
        above = torch.where(above > 0, above, 1.0)
        both = batch.real[:, :, None] & batch.real[:, None, :]
        gram = gram + (above / batch.size)[:, None, None] * both
    values, vectors = torch.linalg.eigh(gram)
    if batch.intercept:
        values, vectors = values[:, :-1], vectors[:, :, :-1]
    inverse = 1.0 / (values.clamp(min=0.0)[:, :, None] + alphas)
    scaled = inverse * (vectors.mT @ batch.y[:, :, None])
    errors = (vectors @ scaled) / (vectors**2 @ inverse)

    def weigh(best: torch.Tensor) -> torch.Tensor:
        return (batch.X.mT @ (vectors @ _chosen(scaled, best)))[:, :, 0]

    return errors, weigh


def _primal(
    batch: Batch, alphas: torch.Tensor
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Return what ``_dual`` returns; NaN where a row alone determines its fit."""
    import torch

    values, vectors = torch.linalg.eigh(batch.X.mT @ batch.X)
    inverse = 1.0 / (values.clamp(min=0.0)[:, :, None] + alphas)
    scaled = inverse * (vectors.mT @ (batch.X.mT @ batch.y[:, :, None]))
    rotated = batch.X @ vectors
    own = (float(batch.intercept) / batch.size)[:, None, None]
    left = 1.0 - own - rotated**2 @ inverse
    errors = (batch.y[:, :, None] - rotated @ scaled) / left
    errors = torch.where(left > ALONE, errors, torch.nan)

    def weigh(best: torch.Tensor) -> torch.Tensor:
        return (vectors @ _chosen(scaled, best))[:, :, 0]

    return errors, weigh


def _chosen(scaled: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Return the column of each context's alpha: (m, r, n_alphas), (m,) -> (m, r, 1)."""
    return scaled.gather(2, best[:, None, None].expand(-1, scaled.shape[1], 1))


def _r2(errors: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return 1 - sum e^2 / sum (y - mean)^2 (m, n_alphas) over the real rows."""
    squares = errors.masked_fill(~batch.real[:, :, None], 0.0).square().sum(dim=1)
    mean = (batch.y.sum(dim=1) / batch.size)[:, None]
    total = ((batch.y - mean) * batch.real).square().sum(dim=1, keepdim=True)
    return 1.0 - squares / total


def _refuse_zero_alpha(batch: Batch, numbers: np.ndarray) -> None:
    import torch

    p = batch.X.shape[2]
    values = torch.linalg.svdvals(batch.X)
    least = values[:, :1] * max(batch.X.shape[1:]) * EPS
    ranks = to_numpy((values > least).sum(dim=1))
    for c, rank in zip(numbers, ranks, strict=True):
        if rank < p:
            raise InvalidValueError(
                f"alpha 0 needs features of full rank; context {c} has rank {rank} of {p} features. "
                "Take 0 out of alphas."
            )
