"""Search over weights of feature spaces: candidates, the best of them for each target, and its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import as_float, to_numpy, to_torch
from ..errors import InvalidValueError, ShapeError
from .band_scores import Bands, Scorer, grams, spread, targets, weighted
from .folds import gram, ridge_weights
from .selection import best_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from .splits import Splits

__all__ = ["Best", "block_size", "checked_weights", "draw_candidates", "refit", "search"]

# Bytes of the cross products of a block of targets, all folds together: blocks are as large as this allows,
# since every block decomposes every candidate again.
BUDGET = 2**29
BLOCK = 4096


class Best(NamedTuple):
    """Of each target: numbers of its candidate and of its alpha, and their score, NaN where there is none."""

    candidate: np.ndarray
    alpha: np.ndarray
    score: np.ndarray


def draw_candidates(
    n_bands: int,
    n_candidates: int,
    *,
    concentration: float | Sequence[float] = (0.1, 1.0),
    single_bands: bool = True,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return weights of bands on the simplex, (n, n_bands): equal ones, single bands, then Dirichlet draws.

    Parameters
    ----------
    n_bands, n_candidates : int
        ``n_candidates`` are drawn beside the equal and the single ones; none for one band.
    concentration : float or sequence of float
        Of the Dirichlet distribution, in turn: 1 is uniform on the simplex, below 1 prefers few bands.
    single_bands : bool
        Whether each band alone is a candidate, all others being off.

    Raises
    ------
    InvalidValueError
        If a number is negative or a concentration not positive.

    Examples
    --------
    >>> draw_candidates(2, 0, rng=np.random.default_rng(0)).tolist()
    [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]
    """
    if isinstance(n_candidates, bool) or not isinstance(n_candidates, int | np.integer) or n_candidates < 0:
        raise InvalidValueError(f"n_candidates must be a non-negative integer; got {n_candidates!r}.")
    levels = np.atleast_1d(as_float(concentration, name="concentration", ndim=(0, 1)))
    if not levels.size or (levels <= 0).any():
        raise InvalidValueError(f"concentration must be positive; got {concentration!r}.")
    if n_bands == 1:
        return np.ones((1, 1))
    parts = [np.full((1, n_bands), 1 / n_bands)]
    if single_bands:
        parts.append(np.eye(n_bands))
    drawn = [rng.dirichlet(np.full(n_bands, levels[i % len(levels)])) for i in range(n_candidates)]
    return np.concatenate([*parts, np.reshape(drawn, (-1, n_bands))])


def search(
    bands: Bands, weights: np.ndarray, alphas: np.ndarray, splits: Splits, scoring: str, *, bar: Any
) -> tuple[Best, np.ndarray, np.ndarray]:
    """Return each target's best candidate and alpha and its coefficients, and each candidate's mean score.

    A tie goes to the candidate that comes first and to the alpha that comes first.

    Parameters
    ----------
    bands : Bands
    weights : array (n_candidates, n_bands)
        Not negative; a band at 0 is off.
    alphas : array (n_alphas,)
        Positive.
    splits : list of (train, test)
    scoring : {"r2", "pearson", "neg_mse"}
    bar : tqdm
        Told of every candidate, for every block of targets.

    Returns
    -------
    best : Best
    coef : array (n_targets, n_features)
        Over all rows, in float64.
    means : array (n_candidates,)
        At the best alpha of each target, over the targets that have a score; NaN where none has.
    """
    n_targets = bands.Y.shape[1]
    best = Best(np.zeros(n_targets, int), np.zeros(n_targets, int), np.full(n_targets, np.nan))
    totals, n_known = np.zeros(len(weights)), np.zeros(len(weights), int)
    scorer = Scorer(bands, alphas, splits, scoring)
    # Where a decomposition is that of all rows, a refit on the way is cheaper than another one at the end.
    at_once = scorer.one and not bands.kernel
    coef = np.zeros((n_targets, bands.X.shape[1])) if at_once else None
    size = block_size(bands, len(splits))
    for start in range(0, n_targets, size):
        block = slice(start, start + size)
        scorer.take(block)
        for i, candidate in enumerate(weights):
            scores = scorer.scores(candidate)
            chosen = best_of(scores)
            score = scores[chosen, np.arange(len(chosen))]
            better = _keep(best, block, i, chosen, score)
            if coef is not None and len(better):
                coef[start + better] = scorer.weights(chosen[better], better)
            known = ~np.isnan(score)
            totals[i] += score[known].sum()
            n_known[i] += known.sum()
            bar.update()
    coef = refit(bands, weights, alphas, best) if coef is None else coef
    return best, coef, np.where(n_known > 0, totals / np.maximum(n_known, 1), np.nan)


def refit(bands: Bands, weights: np.ndarray, alphas: np.ndarray, best: Best) -> np.ndarray:
    """Return coefficients (n_targets, n_features) over all rows, in float64.

    Targets of one candidate share its Gram matrix, and those of one alpha too a Cholesky factor.
    """
    x = to_torch(bands.X, device=bands.device)
    matrices = grams(bands) if bands.kernel else gram(x)
    coef = np.zeros((bands.Y.shape[1], bands.X.shape[1]))
    for candidate in np.unique(best.candidate):
        feature = spread(weights[candidate], bands.columns)
        on = np.flatnonzero(feature)
        at, scale = (to_torch(a, device=bands.device) for a in (on, np.sqrt(feature[on])))
        if bands.kernel:
            matrix = weighted(matrices, weights[candidate])
        else:
            matrix = matrices[at][:, at] * scale * scale[:, None]
        features = x[:, at] * scale
        for alpha in np.unique(best.alpha[best.candidate == candidate]):
            mine = np.flatnonzero((best.candidate == candidate) & (best.alpha == alpha))
            factor = _factor(matrix, float(alphas[alpha]))
            for start in range(0, len(mine), BLOCK):
                who = mine[start : start + BLOCK]
                y = to_torch(targets(bands, who), device=bands.device)
                found = features.T @ factor(y) if bands.kernel else factor(features.T @ y)
                coef[np.ix_(who, on)] = to_numpy((found * scale[:, None]).T)
    return coef


def block_size(bands: Bands, n_folds: int) -> int:
    """Return how many targets a block has, so that its cross products with all folds stay in the budget."""
    q = len(bands.X) if bands.kernel else bands.X.shape[1]
    # Each fold holds its own product and the one that was left out of the total.
    return max(BLOCK, BUDGET // (2 * n_folds * q * np.dtype(bands.dtype).itemsize))


def checked_weights(weights: Any, n_bands: int) -> np.ndarray:
    """Return candidates (n_candidates, n_bands) that were given, or refuse them."""
    values = as_float(weights, name="weights", ndim=2)
    if values.shape[1] != n_bands or not len(values):
        raise ShapeError(f"weights must be (n_candidates, {n_bands}), a column a band; got {values.shape}.")
    bad = np.argwhere(values < 0)
    if len(bad):
        at = tuple(bad[0].tolist())
        raise InvalidValueError(f"weights must not be negative; got {values[at]:g} at position {at}.")
    empty = np.flatnonzero(~values.any(axis=1))
    if empty.size:
        raise InvalidValueError(f"weights: candidate {empty[0]} has every band at 0; no feature is left.")
    return values


def _keep(best: Best, block: slice, candidate: int, alpha: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Put a candidate where it is the first or beats what a target had; return these targets' numbers."""
    had = best.score[block]
    better = (score > had) | (np.isnan(had) & ~np.isnan(score)) | (candidate == 0)
    best.score[block][better] = score[better]
    best.alpha[block][better] = alpha[better]
    best.candidate[block][better] = candidate
    return np.flatnonzero(better)


def _factor(matrix: torch.Tensor, alpha: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what solves ``matrix + alpha`` for (q, t), by eigenvalues where rounding made it indefinite."""
    import torch

    shifted = matrix.clone()
    shifted.diagonal().add_(alpha)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    if not failed:
        return lambda right: torch.cholesky_solve(right, factor)
    return lambda right: ridge_weights(matrix, right, torch.full((right.shape[1],), alpha).to(right))
