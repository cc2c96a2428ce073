r"""Band weights of each target by gradient ascent on its held-out score, from where a search ended.

With :math:`s^2` the weights of the features' bands over alpha (so that the penalty is 1), X and y the
training rows of a fold and T its test rows, all centred on the training means, the prediction of T is

- primal: :math:`T s v`, where :math:`v = (s X'X s + 1)^{-1} s X'y`;
- kernel: :math:`\sum_b s_b^2 T_b X_b' v`, where :math:`v = (\sum_b s_b^2 X_b X_b' + 1)^{-1} y`.

The slope of the score in :math:`\log s_b^2` takes one more solve with the same Cholesky factor. Every target
has a matrix of its own, so that a step costs n_targets x n_folds x q^3 / 3, q the number of features or rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import to_numpy, to_torch
from .band_scores import Bands, spread, targets

if TYPE_CHECKING:
    import torch

    from .splits import Splits

__all__ = ["Ascent", "ascend", "per_target_weights"]

# Bytes of the matrices of a block of targets.
BUDGET = 2**27
# Steps of a log weight: they grow while the slope keeps its sign and halve when it turns.
FIRST_STEP, LARGEST_STEP, SMALLEST_STEP = 0.5, 2.0, 0.01
GROW, SHRINK = 1.2, 0.5
# A band that the start turns off begins at this share of the largest weight: at 0 its slope is 0 for ever.
FLOOR = 1e-3
# How far a log weight may go from its start.
REACH = 15.0
EPS = float(np.finfo(np.float64).eps)


class Ascent(NamedTuple):
    """Log of weight over alpha (n_targets, n_bands), their scores (n_targets,), and who improved."""

    log_weights: np.ndarray
    scores: np.ndarray
    improved: np.ndarray


class Held(NamedTuple):
    """A fold on the device: q features (primal), or q training rows and a matrix a band (kernel)."""

    grams: torch.Tensor  # (q, q), or (n_bands, q, q)
    rows: torch.Tensor  # (n_test, q), or (n_bands, n_test, q)
    cross: torch.Tensor  # (q, n_targets)
    truth: torch.Tensor  # (n_test, n_targets), less the training mean


def ascend(
    bands: Bands,
    splits: Splits,
    log_weights: np.ndarray,
    scores: np.ndarray,
    scoring: str,
    *,
    n_steps: int,
    bar: Any,
) -> Ascent:
    """Return the best weights of each target that were met on the way up; the start where none was better.

    Parameters
    ----------
    bands : Bands
    splits : list of (train, test)
    log_weights : array (n_targets, n_bands)
        Where to start: log of weight over alpha, minus infinity for a band that is off.
    scores : array (n_targets,)
        Of the start, averaged over the folds where they are defined; a target at NaN stays where it is.
    scoring : {"r2", "pearson", "neg_mse"}
    n_steps : int
        At most; a target whose steps have become small stops before.
    bar : tqdm
        Told of every target that is done.

    References
    ----------
    Riedmiller & Braun 1993, IEEE ICNN (steps by the sign of the slope); Dupré la Tour et al. 2022, NeuroImage
    264:119728 (banded ridge by hypergradient).
    """
    best, found = log_weights.copy(), scores.copy()
    todo = np.flatnonzero(~np.isnan(scores))
    size = _block_size(bands, max(len(train) for train, _ in splits))
    for start in range(0, len(todo), size):
        who = todo[start : start + size]
        held = [_held(bands, who, train, test) for train, test in splits]
        best[who], found[who] = _climb(held, bands, best[who], found[who], scoring, n_steps)
        bar.update(len(who))
    return Ascent(best, found, found > scores)


def per_target_weights(bands: Bands, log_weights: np.ndarray) -> np.ndarray:
    """Return coefficients (n_targets, n_features) over all rows, each target with its own weights."""
    import torch

    found = np.zeros((bands.Y.shape[1], bands.X.shape[1]))
    every = np.arange(len(bands.X))
    size = _block_size(bands, len(every))
    for start in range(0, len(found), size):
        who = np.arange(start, min(start + size, len(found)))
        held = _held(bands, who, every, every[:0])
        log = to_torch(log_weights[who], device=bands.device)
        if bands.kernel:
            x = to_torch(_centred(bands.X, every, bands.intercept), device=bands.device)
            v = torch.cholesky_solve(held.cross.T[..., None], _kernel_factor(held, log.exp()))[..., 0]
            coef = (v @ x) * _spread(log.exp(), bands.columns)
        else:
            s = _spread((log / 2).exp(), bands.columns)
            coef = s * torch.cholesky_solve((s * held.cross.T)[..., None], _primal_factor(held, s))[..., 0]
        found[who] = to_numpy(coef)
    return found


def _climb(
    held: list[Held], bands: Bands, start: np.ndarray, scores: np.ndarray, scoring: str, n_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    best, found = start.copy(), scores.copy()
    low = start.max(axis=1, keepdims=True) + np.log(FLOOR)
    origin = np.maximum(start, low)
    here, step, before = origin.copy(), np.full(start.shape, FIRST_STEP), np.zeros(start.shape)
    going = np.arange(len(start))
    for _ in range(n_steps + 1):
        score, slope = _score_and_slope(held, bands, here[going], going, scoring)
        better = score > found[going]
        best[going[better]], found[going[better]] = here[going[better]], score[better]
        turned = slope * before[going]
        step[going] *= np.where(turned > 0, GROW, np.where(turned < 0, SHRINK, 1.0))
        step[going] = np.minimum(step[going], LARGEST_STEP)
        slope = np.where(turned < 0, 0.0, slope)
        before[going] = slope
        moved = here[going] + np.sign(slope) * step[going]
        here[going] = np.clip(moved, origin[going] - REACH, origin[going] + REACH)
        going = going[(step[going] > SMALLEST_STEP).any(axis=1)]
        if not len(going):
            break
    return best, found


def _score_and_slope(
    held: list[Held], bands: Bands, log_weights: np.ndarray, who: np.ndarray, scoring: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the score (n,) of targets ``who`` and its slope (n, n_bands), averaged over their folds."""
    import torch

    log = to_torch(log_weights, device=bands.device)
    at = torch.as_tensor(who, device=bands.device)
    score, slope = torch.zeros_like(log[:, 0]), torch.zeros_like(log)
    count = torch.zeros_like(score)
    for fold in held:
        part = fold._replace(cross=fold.cross[:, at], truth=fold.truth[:, at])
        one, its_slope = (_kernel if bands.kernel else _primal)(part, log, bands.columns, scoring)
        known = ~one.isnan()
        score += torch.where(known, one, 0.0)
        slope += torch.where(known[:, None], its_slope, 0.0)
        count += known
    # A target without a score in any fold is 0 / 0, which is NaN.
    return to_numpy(score / count), to_numpy(torch.nan_to_num(slope / count[:, None]))


def _primal(
    fold: Held, log: torch.Tensor, columns: list[np.ndarray], scoring: str
) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    s = _spread((log / 2).exp(), columns)
    factor = _primal_factor(fold, s)
    v = torch.cholesky_solve((s * fold.cross.T)[..., None], factor)[..., 0]
    score, slope = SLOPES[scoring](fold.truth, fold.rows @ (s * v).T)
    back = torch.cholesky_solve((s * (slope.T @ fold.rows))[..., None], factor)[..., 0]
    share = back * v
    return score, torch.stack(
        [share[:, to_torch(at, device=share.device)].sum(dim=1) for at in columns], dim=1
    )


def _kernel(
    fold: Held, log: torch.Tensor, columns: list[np.ndarray], scoring: str
) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    weights = log.exp()
    factor = _kernel_factor(fold, weights)
    v = torch.cholesky_solve(fold.cross.T[..., None], factor)[..., 0]
    each = torch.einsum("bmq,tq->bmt", fold.rows, v)
    score, slope = SLOPES[scoring](fold.truth, torch.einsum("tb,bmt->mt", weights, each))
    right = torch.einsum("tb,bmq,mt->tq", weights, fold.rows, slope)
    back = torch.cholesky_solve(right[..., None], factor)[..., 0]
    shrunk = torch.einsum("tq,bqr,tr->tb", back, fold.grams, v)
    return score, weights * (torch.einsum("mt,bmt->tb", slope, each) - shrunk)


def _primal_factor(fold: Held, s: torch.Tensor) -> torch.Tensor:
    import torch

    matrix = s[:, :, None] * fold.grams * s[:, None, :]
    matrix.diagonal(dim1=1, dim2=2).add_(1.0)
    return torch.linalg.cholesky(matrix)


def _kernel_factor(fold: Held, weights: torch.Tensor) -> torch.Tensor:
    import torch

    matrix = torch.einsum("tb,bqr->tqr", weights, fold.grams)
    matrix.diagonal(dim1=1, dim2=2).add_(1.0)
    return torch.linalg.cholesky(matrix)


def _held(bands: Bands, who: np.ndarray, train: np.ndarray, test: np.ndarray) -> Held:
    import torch

    y = targets(bands, who)
    y_mean = y[train].mean(axis=0) if bands.intercept else 0.0
    x = to_torch(_centred(bands.X, train, bands.intercept), device=bands.device)
    x_mean = bands.X[train].mean(axis=0) if bands.intercept else 0.0
    rows = to_torch(bands.X[test] - x_mean, device=bands.device)
    y, truth = (to_torch(part, device=bands.device) for part in (y[train] - y_mean, y[test] - y_mean))
    if not bands.kernel:
        return Held(x.T @ x, rows, x.T @ y, truth)
    parts = [(x[:, to_torch(at)], rows[:, to_torch(at)]) for at in bands.columns]
    grams, cross = torch.stack([a @ a.T for a, _ in parts]), torch.stack([b @ a.T for a, b in parts])
    return Held(grams, cross, y, truth)


def _centred(X: np.ndarray, rows: np.ndarray, intercept: bool) -> np.ndarray:
    return X[rows] - X[rows].mean(axis=0) if intercept else X[rows]


def _spread(weights: torch.Tensor, columns: list[np.ndarray]) -> torch.Tensor:
    """Return the weight of each feature (n_targets, n_features) from that of its band."""
    return weights[:, to_torch(spread(np.arange(len(columns)), columns), device=weights.device)]


def _block_size(bands: Bands, n_train: int) -> int:
    q = n_train if bands.kernel else bands.X.shape[1]
    return max(1, BUDGET // (8 * q * q))


def _is_constant(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(dim=0)).abs().amax(dim=0) <= 16 * EPS * x.abs().amax(dim=0)


def _r2(y: torch.Tensor, prediction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    total = torch.where(_is_constant(y), torch.nan, ((y - y.mean(dim=0)) ** 2).sum(dim=0))
    error = y - prediction
    return 1.0 - (error * error).sum(dim=0) / total, torch.nan_to_num(2 * error / total)


def _negative_mse(y: torch.Tensor, prediction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    error = y - prediction
    return -(error * error).mean(dim=0), 2 * error / len(y)


def _pearson(y: torch.Tensor, prediction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    undefined = _is_constant(y) | _is_constant(prediction)
    y, prediction = y - y.mean(dim=0), prediction - prediction.mean(dim=0)
    length = torch.where(undefined, torch.nan, prediction.norm(dim=0))
    y, prediction = y / y.norm(dim=0), prediction / length
    score = (y * prediction).sum(dim=0)
    return score, torch.nan_to_num((y - score * prediction) / length)


SLOPES = {"r2": _r2, "pearson": _pearson, "neg_mse": _negative_mse}
