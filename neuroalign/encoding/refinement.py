r"""Scores of all alphas around one that is scored exactly: what a small basis of alphas misses, corrected.

With the residual :math:`\rho = y - \hat y_b` of a target at the alpha b that a compressed grid prefers, the
residual at any alpha a is :math:`\rho + d_a`, :math:`d_a = \hat y_b - \hat y_a`, and its sum of squares is
:math:`|\rho|^2 + 2\rho' d_a + |d_a|^2`. The first two terms are exact for every alpha from one product of
:math:`\rho` with the rows; only the last comes from the basis, and it is small near b. So a basis of lower
rank does, and few alphas are left that have to be scored exactly as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rotations import error_slack, from_error, prediction_errors, squares_of

if TYPE_CHECKING:
    import torch

    from .folds import Fold
    from .rotations import Rotation, Scored

__all__ = ["refine"]


def refine(
    rotation: Rotation, fold: Fold, projected: torch.Tensor, scored: Scored, best: torch.Tensor, scoring: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the exact score (t,) at ``best``, the scores (n_alphas, t) around it, and how far these are off.

    Parameters
    ----------
    rotation, fold : Rotation, Fold
    projected : tensor (q, t)
    scored : Scored
        Of ``rotation_scores``, with the products of the basis.
    best : tensor (t,)
        The number of an alpha for each target.
    scoring : {"r2", "neg_mse"}
    """
    import torch

    inverse, basis = rotation.inverse, rotation.basis
    assert basis is not None and scored.gram is not None and scored.squares is not None  # noqa: S101
    residual = torch.addmm(fold.truth, rotation.rows, projected * inverse[best].T, alpha=-1)
    own = squares_of(residual) + fold.rest
    along = ((rotation.rows.T @ residual) * projected).to(own.dtype)
    slope = inverse.to(own.dtype) @ along
    columns = torch.arange(len(best), device=best.device)
    products = torch.einsum("tl,klt->kt", basis.combine[best], scored.gram)
    apart = scored.squares + scored.squares[best, columns] - 2 * (basis.combine @ products)
    apart = apart.clamp(min=0.0)
    error = (own + 2 * (slope[best, columns] - slope) + apart).clamp(min=0.0)
    off = _off(rotation, projected, best) * fold.n_test**0.5
    slack = error_slack(fold, 2 * off * apart.sqrt() + off * off, scoring)
    return from_error(fold, own, scoring), from_error(fold, error, scoring), slack


def _off(rotation: Rotation, projected: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Return how far the basis is off in the difference of two predictions, along the path between them."""
    import torch

    missed = rotation.missed
    assert missed is not None  # noqa: S101 - for the type checker
    steps = prediction_errors(missed[1:] - missed[:-1], projected)
    path = torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(dim=0)])
    columns = torch.arange(len(best), device=best.device)
    return (path - path[best, columns]).abs()
