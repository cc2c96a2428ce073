"""Many alphas as a few: the shrinkage of a grid of alphas has a low numerical rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

__all__ = ["LEAST_ALPHAS", "Basis", "compress"]

# Below this many alphas the products of squares cost as much as the predictions that they save.
LEAST_ALPHAS = 8
SPARED = 2


class Basis(NamedTuple):
    """``1 / (values + alpha)`` of every alpha is nearly ``combine @ functions``."""

    functions: torch.Tensor  # (rank, q)
    combine: torch.Tensor  # (n_alphas, rank) float64
    error: float  # largest expected error of a prediction, as a share of the targets' standard deviation
    missed: torch.Tensor  # (n_alphas, q) float64: what ``combine @ functions`` lacks


def compress(
    inverse: torch.Tensor,
    weights: torch.Tensor,
    tolerance: float,
    *,
    relative: bool = False,
    dtype: torch.dtype | None = None,
) -> Basis | None:
    r"""Return the smallest basis that keeps every alpha's predictions within a tolerance, or None.

    The rows of :math:`M_{ai} w_i`, :math:`M_{ai} = 1 / (s_i + \alpha_a)`, are projected on their first left
    singular vectors U: :math:`M \approx U U'M`. The error of alpha a is
    :math:`\sqrt{\sum_i w_i^2 (M - U U'M)_{ai}^2}`: where :math:`w_i` is the size of the predictions along
    eigenvector i, divided by the root of the number of test rows, that is the root mean square error of the
    predictions of a target of unit variance that has no preferred eigenvector.

    Parameters
    ----------
    inverse : tensor (n_alphas, q)
        M, in float64.
    weights : tensor (q,)
        w, in float64.
    tolerance : float
        The largest error allowed.
    relative : bool
        Whether the error of an alpha is a share of its own predictions, as a correlation needs, which does
        not fall as predictions shrink.
    dtype : torch dtype
        Of the functions.

    Returns
    -------
    Basis or None
        None where the basis saves fewer than 2 of the predictions, or there are fewer than 8 alphas.

    References
    ----------
    Eckart & Young 1936, Psychometrika 1:211.

    Examples
    --------
    >>> import torch
    >>> values, alphas = torch.linspace(1, 100, 50).double(), torch.logspace(0, 4, 20).double()
    >>> basis = compress(1 / (values + alphas[:, None]), values, 1e-6)
    >>> len(basis.functions), basis.error < 1e-6
    (10, True)
    """
    import torch

    n_alphas = len(inverse)
    if n_alphas < LEAST_ALPHAS:
        return None
    scale = torch.ones(n_alphas, dtype=inverse.dtype, device=inverse.device)
    if relative:
        scale = torch.linalg.vector_norm(inverse * weights, dim=1).clamp(min=torch.finfo(inverse.dtype).tiny)
    target = inverse * weights / scale[:, None]
    left = torch.linalg.svd(target, full_matrices=False)[0]
    for rank in range(1, n_alphas - SPARED + 1):
        kept = left[:, :rank]
        missed = target - kept @ (kept.T @ target)
        error = float(torch.linalg.vector_norm(missed, dim=1).max())
        if error <= tolerance:
            functions, combine = kept.T @ (inverse / scale[:, None]), scale[:, None] * kept
            left_out = inverse - combine @ functions
            return Basis(functions.to(dtype or inverse.dtype), combine, error, left_out)
    return None
