"""Held-out scores of weighted feature spaces: a decomposition a fold, or one for all folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrays import to_numpy, to_torch, torch_dtype
from ..stats import is_constant
from .dual import applies, centred_eigen, hold_out, hold_out_scores
from .folds import Fold, designs, fold_scores, folds, gram, held_targets, kernel_designs, row_index
from .rotations import eigen, inverses, project, residual_scores, weights_at
from .selection import mean_over_folds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import torch

    from .splits import Splits

__all__ = ["Bands", "Scorer", "grams", "one_is_cheaper", "spread", "targets", "weighted"]

# Operations of an eigendecomposition of q x q, as a multiple of q^3 (measured beside matrix products).
EIGEN_COST = 12.0
# Condition number of I - H up to which its blocks are formed in the dtype of the data.
LARGEST_CONDITION = 100.0
# Entry of inverse(I - H_ff) above which rounding in I - H counts, and each fold is decomposed after all.
LARGEST_LEVERAGE = 1e6


class Bands(NamedTuple):
    """A problem: features (n, p), centred where there is an intercept, and targets (n, t) as they came."""

    X: np.ndarray
    Y: np.ndarray
    columns: list[np.ndarray]  # the positions of each band's features
    kernel: bool
    intercept: bool
    device: str
    dtype: str


class Scorer:
    """Scores any weights of the bands for a block of targets at a time.

    Where folds partition the rows and each is trained on all others, the residuals of a fold's rows f in the
    fit to the others are ``inverse(I - H_ff)`` times those in the fit to all rows, H being the hat matrix:
    one decomposition then serves all folds. It is taken where that is fewer operations.
    """

    def __init__(self, bands: Bands, alphas: np.ndarray, splits: Splits, scoring: str) -> None:
        self.bands, self.alphas, self.splits, self.scoring = bands, alphas, splits, scoring
        self.dtype = torch_dtype(bands.dtype)
        self.one = one_is_cheaper(bands, alphas, splits)
        if bands.kernel:
            self.grams = grams(bands)
        else:
            self.exact = to_torch(bands.X, device=bands.device)
            self.X = self.exact.to(self.dtype)
            self.gram = gram(self.exact) if self.one else None
            self.designs: list[Any] = []

    def take(self, block: slice) -> None:
        """Read a block of targets."""
        self.block = block
        self.constant = is_constant(self.bands.Y[:, block])
        self.Y = to_torch(targets(self.bands, block), device=self.bands.device, dtype=self.dtype)
        if not self.bands.kernel:
            self.folds: list[Fold] = []
            self.cross = self.X.T @ self.Y if self.one else None

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean scores (n_alphas, n_targets) of weights (n_bands,); NaN for a constant target."""
        if self.bands.kernel:
            found = self._kernel(weights)
        else:
            found = (self._primal_at_once(weights) if self.one else None) or self._primal(weights)
        return np.where(self.constant, np.nan, mean_over_folds([to_numpy(each) for each in found]))

    def _kernel(self, weights: np.ndarray) -> Sequence[torch.Tensor]:
        K, intercept = weighted(self.grams, weights), self.bands.intercept
        if self.one:
            held = hold_out(centred_eigen(K, intercept=intercept, dtype=self.dtype), self.splits, self.alphas)
            return list(hold_out_scores(held, self.Y, project(held.eigen, self.Y), self.scoring))
        parts = list(kernel_designs(K, self.splits, intercept=intercept, dtype=self.dtype))
        return [fold_scores(fold, self.alphas, self.scoring) for fold in folds(None, self.Y, parts)]

    def _primal(self, weights: np.ndarray) -> Sequence[torch.Tensor]:
        self.designs = self.designs or list(designs(self.X, self.splits, intercept=self.bands.intercept))
        self.folds = self.folds or folds(self.X, self.Y, self.designs)
        on, scale = self._scale(weights)
        some = len(on) < self.X.shape[1]
        parts = [_only(fold, on) if some else fold for fold in self.folds]
        return [fold_scores(fold, self.alphas, self.scoring, scale=scale) for fold in parts]

    def _primal_at_once(self, weights: np.ndarray) -> Sequence[torch.Tensor] | None:
        """Return the scores of each fold, or None where rounding forbids it."""
        import torch

        assert self.gram is not None and self.cross is not None  # noqa: S101 - for the type checker
        on, scale = self.last = self._scale(weights)
        found = self.eigen = eigen(self.gram[on][:, on], scale=scale)
        rows = (self.exact[:, on] * scale) @ found.vectors
        projected = (found.vectors * scale[:, None]).T.to(self.dtype) @ self.cross[on]
        tests = [row_index(test, rows) for _, test in self.splits]
        truths = [held_targets(self.Y, test) for test in tests]
        level = 1.0 / len(rows) if self.bands.intercept else 0.0
        low = rows.to(self.dtype)
        scores = []
        for alpha, inverse in zip(self.alphas, inverses(found.values, self.alphas), strict=True):
            lower = inverse.to(self.dtype)
            residual = torch.addmm(self.Y, low, projected * lower[:, None], alpha=-1)
            exact = float(found.values[-1]) > (LARGEST_CONDITION - 1) * alpha
            side = (rows, inverse) if exact else (low, lower)
            inside = (_inverse_of_rest(side[0][test], side[1], level) for test in tests)
            solve = [each.to(self.dtype) for each in inside if each is not None]
            if len(solve) < len(tests):
                return None
            errors = [each @ residual[test] for each, test in zip(solve, tests, strict=True)]
            pairs = zip(truths, errors, strict=True)
            scores.append(torch.stack([residual_scores(*pair, self.scoring) for pair in pairs]))
        return list(torch.stack(scores, dim=1))

    def weights(self, alpha: np.ndarray, who: np.ndarray) -> np.ndarray:
        """Return coefficients (n_who, n_features) of targets of the block for what was scored last.

        Of one decomposition in primal form, which is that of all rows; ``alpha`` numbers each target's own.
        """
        on, scale = self.last
        own = to_torch(self.alphas[alpha], device=self.bands.device)
        y = to_torch(targets(self.bands, self.block)[:, who], device=self.bands.device)
        projected = self.eigen.vectors.T @ (scale[:, None] * (self.exact.T @ y)[on])
        coef = np.zeros((len(who), self.bands.X.shape[1]))
        found = weights_at(self.eigen, projected, own) * scale[:, None]
        coef[:, to_numpy(on)] = to_numpy(found.T)
        return coef

    def _scale(self, weights: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features that are on, and what they are multiplied by."""
        feature = spread(weights, self.bands.columns)
        on = np.flatnonzero(feature)
        device = self.bands.device
        return to_torch(on, device=device), to_torch(np.sqrt(feature[on]), device=device)


def one_is_cheaper(bands: Bands, alphas: np.ndarray, splits: Splits) -> bool:
    """Return whether one decomposition can serve all folds and takes fewer operations than one a fold."""
    n, p = bands.X.shape
    if not applies(splits, n, alphas):
        return False
    t = bands.Y.shape[1]
    q = n if bands.kernel else p
    held = [len(test) for _, test in splits]
    sizes = [n - m if bands.kernel else p for m in held]
    many = sum(
        EIGEN_COST * s**3 + 2 * s * s * (t + m) + len(alphas) * 2 * m * s * t
        for s, m in zip(sizes, held, strict=True)
    )
    blocks = sum(2 * m * m * q + 2 * m**3 + 2 * m * m * t for m in held)
    one = EIGEN_COST * q**3 + 2 * q * q * (t + n) + len(alphas) * (2 * n * q * t + blocks)
    return one < many


def targets(bands: Bands, who: Any) -> np.ndarray:
    """Return some targets (n, n_who), centred on all rows where there is an intercept, constant ones at 0."""
    y = bands.Y[:, who]
    return np.where(is_constant(y), 0.0, y - y.mean(axis=0)) if bands.intercept else y


def spread(weights: np.ndarray, columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return weights of features (..., n_features) from those of their bands (..., n_bands).

    >>> spread(np.array([0.2, 0.8]), [np.array([0, 2]), np.array([1])]).tolist()
    [0.2, 0.8, 0.2]
    """
    band = np.empty(sum(map(len, columns)), dtype=np.intp)
    for b, at in enumerate(columns):
        band[at] = b
    return weights[..., band]


def grams(bands: Bands) -> torch.Tensor:
    """Return XX' of each band (n_bands, n, n) in float64."""
    import torch

    x = to_torch(bands.X, device=bands.device)
    parts = [x[:, to_torch(at, device=bands.device)] for at in bands.columns]
    return torch.stack([part @ part.T for part in parts])


def weighted(matrices: torch.Tensor, weights: np.ndarray) -> torch.Tensor:
    """Return the weighted sum (n, n) of the bands' matrices."""
    import torch

    return torch.einsum("b,bij->ij", to_torch(weights, device=matrices.device), matrices)


def _inverse_of_rest(rows: torch.Tensor, inverse: torch.Tensor, level: float) -> torch.Tensor | None:
    """Return inverse(I - H_ff) (n_test, n_test), or None if unsafe; ``level``: the mean in H."""
    import torch

    rest = -(rows * inverse) @ rows.T - level
    rest.diagonal().add_(1.0)
    factor, failed = torch.linalg.cholesky_ex(rest)
    found = torch.cholesky_inverse(factor)
    return None if failed or not float(found.diagonal().max()) < LARGEST_LEVERAGE else found


def _only(fold: Fold, on: torch.Tensor) -> Fold:
    """Return a primal fold of the features that are on, so that those that are off cost nothing."""
    return fold._replace(gram=fold.gram[on][:, on], cross=fold.cross[on], rows=fold.rows[:, on])
