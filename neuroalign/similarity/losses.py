"""CKA as a loss for training, from the formulas of the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ShapeError, choice
from .alignment import LEAST
from .products import ESTIMATORS, Products, alignment

if TYPE_CHECKING:
    import torch

__all__ = ["cka_loss"]


def cka_loss(x: torch.Tensor, y: torch.Tensor, *, estimator: str = "biased") -> torch.Tensor:
    """Return 1 - linear CKA of two batches of activations, with gradients to both.

    Parameters
    ----------
    x, y : Tensor (n_stimuli, n_units_x), (n_stimuli, n_units_y)
        Rows are the same stimuli. Sums are taken in float64 (in float32 on devices without it), whatever the
        dtype that comes; the loss has the dtype of x.
    estimator : {"biased", "unbiased"}
        As in ``cka``. ``unbiased`` suits small batches.

    Returns
    -------
    Tensor ()
        NaN, without a useful gradient, where a representation is constant.

    Raises
    ------
    ShapeError
        If the tensors are not two matrices of the same, sufficient number of rows.
    InvalidValueError
        If the estimator is unknown.

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    >>> abs(round(float(cka_loss(x, 2 * x + 1)), 6))
    0.0
    """
    import torch

    if estimator not in ESTIMATORS:
        raise choice(estimator, ESTIMATORS, name="estimator")
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < LEAST[estimator]:
        raise ShapeError(
            f"x and y must be (n_stimuli, n_units) of the same stimuli, at least {LEAST[estimator]}; got "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    a, b = (z.to(exact) - z.to(exact).mean(dim=0) for z in (x, y))
    diagonals = (a * a).sum(dim=1), (b * b).sum(dim=1)
    rows = a @ a.sum(dim=0), b @ b.sum(dim=0)
    if a.shape[1] + b.shape[1] < len(a):
        inner = ((a.T @ a) ** 2).sum(), ((a.T @ b) ** 2).sum(), ((b.T @ b) ** 2).sum()
    else:
        k, l = a @ a.T, b @ b.T  # noqa: E741 - the literature's letters
        inner = (k * k).sum(), (k * l).sum(), (l * l).sum()
    return (1 - alignment(Products(inner, rows, diagonals), estimator)).to(x.dtype)
