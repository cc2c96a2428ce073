"""Scores of a fold from one eigendecomposition, for every alpha and every target."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import InvalidValueError
from .compression import Basis, compress

if TYPE_CHECKING:
    import torch

    from .folds import Design, Fold, Held

__all__ = [
    "SCORINGS",
    "Eigen",
    "Rotation",
    "Scored",
    "decompose",
    "eigen",
    "eigh",
    "error_slack",
    "from_error",
    "inverses",
    "own_scores",
    "prediction_errors",
    "project",
    "rank_tolerance",
    "refuse_zero_alpha",
    "residual_scores",
    "rotation_scores",
    "score_of",
    "squares_of",
    "weights_at",
]

SCORINGS = ("r2", "pearson", "neg_mse")
EPS = float(np.finfo(np.float64).eps)
# Values that differ by less than this share of the largest are rounding, as in stats.is_constant.
ROUNDING = 16 * EPS


class Eigen(NamedTuple):
    """``gram = vectors diag(values) vectors'``."""

    values: torch.Tensor  # (q,) float64, not negative
    vectors: torch.Tensor  # (q, q)


class Rotation(NamedTuple):
    """A decomposed fold, ready for any block of targets."""

    values: torch.Tensor  # (q,) float64
    vectors: torch.Tensor  # (q, q)
    rows: torch.Tensor  # (m + 1, q): the fold's rows times the vectors
    inverse: torch.Tensor  # (n_alphas, q): 1 / (values + alpha)
    basis: Basis | None  # the alphas as a few, where that pays
    maps: torch.Tensor | None  # (rank * (m + 1), q): the rows at each function of the basis
    missed: torch.Tensor | None  # (n_alphas, q): by how much a prediction is off a direction


def eigen(
    gram: torch.Tensor, *, dtype: torch.dtype | None = None, scale: torch.Tensor | None = None
) -> Eigen:
    """Return the eigendecomposition of a Gram matrix in float64, its vectors stored in ``dtype``."""
    if scale is not None:
        scale = scale.to(gram.dtype)
        gram = gram * scale * scale[:, None]
    values, vectors = eigh(gram)
    return Eigen(values.clamp(min=0.0), vectors.to(dtype or gram.dtype))


def eigh(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues and vectors; numpy's on a CPU, 1.4 times as fast as torch's at 1,000 features."""
    import torch

    if gram.device.type != "cpu":
        found = torch.linalg.eigh(gram)
        return found.eigenvalues, found.eigenvectors
    values, vectors = np.linalg.eigh(gram.numpy())
    return torch.from_numpy(values), torch.from_numpy(vectors)


def decompose(
    part: Fold | Design,
    alphas: np.ndarray,
    *,
    scale: torch.Tensor | None = None,
    tolerance: float | None = None,
    relative: bool = False,
) -> Rotation:
    """Return a fold's eigendecomposition; ``tolerance`` and ``relative`` compress its alphas."""
    import torch

    rows = part.rows if scale is None else part.rows * scale.to(part.rows.dtype)
    values, vectors = eigen(part.gram, dtype=rows.dtype, scale=scale)
    rotated = rows @ vectors
    inverse = inverses(values, alphas)
    basis = maps = missed = None
    if tolerance is not None:
        lengths = torch.linalg.vector_norm(rotated.to(values.dtype), dim=0) / part.n_test**0.5
        # X'Y along an eigenvector of X'X is as large as the root of its eigenvalue; Y itself is not.
        weights = lengths if part.dual else lengths * values.sqrt()
        basis = compress(inverse, weights, tolerance, relative=relative, dtype=rows.dtype)
    if basis is not None:
        maps = (rotated * basis.functions[:, None]).reshape(-1, rotated.shape[1])
        missed = basis.missed * lengths
    return Rotation(values, vectors, rotated, inverse.to(rows.dtype), basis, maps, missed)


def inverses(values: torch.Tensor, alphas: np.ndarray) -> torch.Tensor:
    """Return 1 / (values + alpha) (n_alphas, q); directions without variance get 0, as in a pseudo-inverse.

    Nothing is projected on such a direction but rounding, which a small alpha would blow up.
    """
    import torch

    some = values > rank_tolerance(values)
    shifted = (
        torch.where(some, values, 1.0)
        + torch.as_tensor(alphas, dtype=values.dtype, device=values.device)[:, None]
    )
    return torch.where(some, 1.0 / shifted, 0.0)


def rank_tolerance(values: torch.Tensor) -> float:
    """Return the eigenvalue below which a direction has no variance."""
    return float(values.max()) * len(values) * EPS if len(values) else 0.0


def refuse_zero_alpha(values: torch.Tensor, alphas: np.ndarray, n_train: int, n_features: int) -> None:
    """Refuse alpha 0 where the training rows have not full column rank."""
    if len(alphas) and min(alphas) > 0:
        return
    rank = int((values > rank_tolerance(values)).sum())
    if rank < n_features:
        raise InvalidValueError(
            f"alpha 0 needs features of full rank; {n_train} training rows have rank {rank} of {n_features} "
            "features. Take 0 out of alphas."
        )


def project(
    rotation: Rotation | Eigen, cross: torch.Tensor, scale: torch.Tensor | None = None
) -> torch.Tensor:
    """Return a block's cross products along the eigenvectors (q, t)."""
    vectors = rotation.vectors
    if scale is not None:
        vectors = vectors * scale.to(vectors.dtype)[:, None]
    return vectors.T @ cross


def weights_at(
    found: Eigen, projected: torch.Tensor, alphas: torch.Tensor, *, complete: bool = False
) -> torch.Tensor:
    """Return ``inverse(gram + alpha) @ cross`` (q, t), each target at its own of ``alphas`` (t,).

    Directions without variance get 0, unless ``complete``: then they count, as in the weights of rows.
    """
    import torch

    some = found.values > rank_tolerance(found.values)
    if complete:
        some = some | (alphas.min() > 0)
    shifted = torch.where(some, found.values, 1.0)[:, None] + alphas.to(found.values.dtype)
    inverse = torch.where(some[:, None], 1.0 / shifted, 0.0)
    return found.vectors @ (projected * inverse.to(projected.dtype))


class Scored(NamedTuple):
    """Scores of a fold, and where the grid is compressed what is known of their errors."""

    scores: torch.Tensor  # (n_alphas, t) float64
    slack: torch.Tensor | None = None  # (n_alphas, t): how far off they may be
    squares: torch.Tensor | None = None  # (n_alphas, t): of the compressed predictions
    gram: torch.Tensor | None = None  # (rank, rank, t): products of the basis' predictions


def rotation_scores(rotation: Rotation, fold: Fold, projected: torch.Tensor, scoring: str) -> Scored:
    """Return the scores of every alpha; with a compressed grid they are for selection only."""
    import torch

    if rotation.basis is not None:
        return _compressed(rotation, fold, projected, scoring)
    scores = [
        score_of(fold, rotation.rows, projected * inverse[:, None], scoring) for inverse in rotation.inverse
    ]
    return Scored(torch.stack(scores))


def own_scores(
    rotation: Rotation, fold: Fold, projected: torch.Tensor, scoring: str, best: torch.Tensor
) -> torch.Tensor:
    """Return the exact score (t,) of each target at its own alpha, number ``best`` (t,) of the grid."""
    return score_of(fold, rotation.rows, projected * rotation.inverse[best].T, scoring)


def score_of(fold: Fold, rows: torch.Tensor, weights: torch.Tensor, scoring: str) -> torch.Tensor:
    """Return the score (t,) of ``rows @ weights`` as predictions of the fold's truth."""
    import torch

    if scoring != "pearson":
        error = squares_of(torch.addmm(fold.truth, rows, weights, alpha=-1)) + fold.rest
        return from_error(fold, error, scoring)
    prediction = rows @ weights
    shift = prediction[-1].to(fold.rest.dtype)
    prediction = prediction[:-1]
    return _correlation(fold, squares_of(prediction), _dots(prediction, fold.truth[:-1]), shift)


def residual_scores(held: Held, error: torch.Tensor, scoring: str) -> torch.Tensor:
    """Return the scores (t,) of test targets less their predictions, ``error`` (n_test, t)."""
    import torch

    n = len(error)
    if scoring == "neg_mse":
        return -squares_of(error) / n
    total = squares_of(held.truth)
    if scoring == "r2":
        return torch.where(held.constant, torch.nan, 1.0 - squares_of(error) / total)
    mean = error.mean(dim=0, dtype=total.dtype)
    prediction = held.truth - (error - mean.to(error.dtype))
    squares = squares_of(prediction)
    undefined = held.constant | (squares <= n * (ROUNDING * (held.mean - mean)) ** 2)
    found = _dots(prediction, held.truth) / (squares * total).sqrt()
    return torch.where(undefined, torch.nan, found.clamp(-1.0, 1.0))


def _compressed(rotation: Rotation, fold: Fold, projected: torch.Tensor, scoring: str) -> Scored:
    """Return scores from the products of the basis' predictions: a small Gram matrix a target."""
    import torch

    basis, maps = rotation.basis, rotation.maps
    assert basis is not None and maps is not None  # noqa: S101 - for the type checker
    rank, t = len(basis.functions), projected.shape[1]
    found = (maps @ projected).reshape(rank, -1, t)
    shift = basis.combine @ found[:, -1].to(basis.combine.dtype)
    truth = fold.truth
    if scoring == "pearson":
        found, truth = found[:, :-1], truth[:-1]
    gram = torch.empty(rank, rank, t, dtype=basis.combine.dtype, device=found.device)
    for i in range(rank):
        for j in range(i + 1):
            gram[i, j] = gram[j, i] = _dots(found[i], found[j])
    dots = torch.stack([_dots(each, truth) for each in found])
    squares = torch.einsum("ak,klt,al->at", basis.combine, gram, basis.combine).clamp(min=0.0)
    products = basis.combine @ dots
    off = prediction_errors(rotation.missed, projected) * fold.n_test**0.5
    if scoring == "pearson":
        slack = 2 * off / squares.sqrt()
        return Scored(_correlation(fold, squares, products, shift), slack)
    error = (squares_of(fold.truth) + fold.rest - 2 * products + squares).clamp(min=0.0)
    slack = error_slack(fold, 2 * off * error.sqrt() + off * off, scoring)
    return Scored(from_error(fold, error, scoring), slack, squares, gram)


def prediction_errors(missed: torch.Tensor | None, projected: torch.Tensor) -> torch.Tensor:
    """Return errors (k, t) of predictions that miss so much (k, q) of each direction.

    Twice the root mean square over test rows. The rows are taken as uncorrelated along the eigenvectors; the
    factor of 2 is for those that are not.
    """
    assert missed is not None  # noqa: S101 - for the type checker
    largest = missed.abs().amax(dim=1, keepdim=True).clamp(min=1e-300)
    squares = (missed / largest).square().to(projected.dtype) @ projected.square()
    return 2 * largest * squares.to(missed.dtype).sqrt()


def error_slack(fold: Fold, slack: torch.Tensor, scoring: str) -> torch.Tensor:
    """Return by how much scores are off where sums of squared errors are by ``slack``."""
    return slack / fold.n_test if scoring == "neg_mse" else slack / _total(fold)


def from_error(fold: Fold, error: torch.Tensor, scoring: str) -> torch.Tensor:
    """Return the score of sums of squared errors."""
    import torch

    if scoring == "neg_mse":
        return -error / fold.n_test
    return torch.where(fold.constant, torch.nan, 1.0 - error / _total(fold))


def _correlation(
    fold: Fold, squares: torch.Tensor, products: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    import torch

    mean = fold.y_mean + shift / fold.n_test**0.5
    undefined = fold.constant | (squares <= fold.n_test * (ROUNDING * mean) ** 2)
    found = products / (squares * _total(fold)).sqrt()
    return torch.where(undefined, torch.nan, found.clamp(-1.0, 1.0))


def _total(fold: Fold) -> torch.Tensor:
    return squares_of(fold.truth[:-1]) + fold.rest


def squares_of(x: torch.Tensor) -> torch.Tensor:
    """Return the sum of squares over rows, in float64."""
    return _dots(x, x)


def _dots(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    import torch

    return (x * y).sum(dim=0, dtype=torch.float64)
