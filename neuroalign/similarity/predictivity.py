"""How well the units of one representation are linear functions of another's, on stimuli held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..seeds import generator
from ..stats import SCORES
from .inputs import Pair, as_pair, centred, check_positive

__all__ = ["DIRECTIONS", "linear_predictivity", "ridge_predict"]

DIRECTIONS = ("x -> y", "y -> x", "mean")
# Ridge penalties as multiples of the mean squared singular value of the centred training features.
ALPHAS = tuple(10.0 ** np.arange(-6, 5))

Predict = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def linear_predictivity(
    x: Any,
    y: Any,
    *,
    direction: str = "x -> y",
    score: str = "pearson",
    n_folds: int = 5,
    seed: int = 0,
    predict: Predict | None = None,
) -> xr.DataArray:
    r"""Return the cross-validated score of predicting one's units linearly from the other's, mean over units.

    Stimuli are dealt at random into folds; each fold is predicted from the others; predictions of all folds
    are scored together, unit by unit. Not symmetric: a large representation may predict a small one and not
    the other way.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled.
    y : array or DataArray (n_stimuli, n_units_y)
    direction : {"x -> y", "y -> x", "mean"}
        Who predicts whom; or the mean of both.
    score : str
        A key of ``stats.SCORES``: ``pearson`` (correlation), ``r2`` and others.
    n_folds : int
        2 to n_stimuli / 2.
    seed : int
        Of the dealing. The same labels fall into the same folds, whatever the order of the rows.
    predict : callable, optional
        From training features (n, a), training targets (n, b) and test features (m, a) to predictions (m, b);
        ``ridge_predict`` where None.

    Returns
    -------
    DataArray ()
        NaN where no unit has a score. ``attrs["n_undefined_units"]`` counts target units without one
        (constant ones, or with a constant prediction); they are left out of the mean.

    Raises
    ------
    ShapeError
        As in ``cka``; or predictions have another shape.
    InvalidValueError
        If a choice is unknown, or a fold would hold fewer than 2 stimuli.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((60, 3))
    >>> y = x @ [[1.0], [2.0], [0.0]]
    >>> round(float(linear_predictivity(x, y)), 3), round(float(linear_predictivity(y, x)), 1)
    (1.0, 0.4)
    """
    if direction not in DIRECTIONS:
        raise choice(direction, DIRECTIONS, name="direction")
    if score not in SCORES:
        raise choice(score, SCORES, name="score")
    pair = as_pair(x, y, least=4)
    folds = _folds(pair, n_folds, seed)
    ways = {"x -> y": (pair.x, pair.y), "y -> x": (pair.y, pair.x)}
    values, n_undefined = [], 0
    for name in ways if direction == "mean" else (direction,):
        scores = _scores(*ways[name], folds, score, predict or ridge_predict)
        known = ~np.isnan(scores)
        n_undefined += int((~known).sum())
        values.append(float(scores[known].mean()) if known.any() else float("nan"))
    attrs: dict[str, Any] = {
        "direction": direction,
        "score": score,
        "n_folds": n_folds,
        "n_undefined_units": n_undefined,
    }
    return pair.result(float(np.mean(values)), "linear_predictivity", **attrs)


def ridge_predict(
    features: np.ndarray, targets: np.ndarray, new: np.ndarray, *, alphas: Sequence[float] = ALPHAS
) -> np.ndarray:
    r"""Return ridge predictions for new rows, with one penalty, chosen by leave-one-out on the old rows.

    .. math:: \hat B = \arg\min |\tilde Y - \tilde X B|^2 + a s^2 |B|^2

    with :math:`s^2` the mean squared singular value of the centred features and an intercept that is not
    penalised. The leave-one-out errors are exact and in closed form; each target's errors count in units of
    its variance.

    Parameters
    ----------
    features, targets : array (n, n_features), (n, n_targets)
        Training rows.
    new : array (m, n_features)
    alphas : sequence of float
        The penalties a, positive.

    Returns
    -------
    array (m, n_targets)

    Raises
    ------
    ShapeError
        If an array is no matrix, there are no rows or no features, or rows or features differ in number.
    InvalidValueError
        If a value is not finite or no real number, or a penalty is not positive.

    References
    ----------
    Allen 1974, Technometrics 16:125 (leave-one-out residual e / (1 - h)).

    Examples
    --------
    >>> x = np.arange(6.0)[:, None]
    >>> ridge_predict(x, 2 * x + 1, np.array([[10.0]])).round(3).tolist()
    [[21.0]]
    """
    features, targets, new = _checked(features, targets, new)
    for alpha in alphas:
        check_positive(alpha, "alpha")
    offset, target = features.mean(axis=0), targets.mean(axis=0)
    left, size, right = np.linalg.svd(centred(features), full_matrices=False)
    if not size.any():
        return np.broadcast_to(target, (len(new), targets.shape[1])).copy()
    residuals = centred(targets)
    weights = left.T @ residuals
    spread = np.einsum("ij,ij->j", residuals, residuals)
    scale = (size**2).mean()
    best, chosen = np.inf, alphas[0] * scale
    for alpha in alphas:
        shrink = size**2 / (size**2 + alpha * scale)
        leverage = (left**2) @ shrink + 1 / len(features)
        error = (residuals - left @ (shrink[:, None] * weights)) / (1 - leverage)[:, None]
        loss = float((np.einsum("ij,ij->j", error, error) / np.where(spread > 0, spread, 1.0)).sum())
        if loss < best:
            best, chosen = loss, alpha * scale
    return target + (new - offset) @ right.T @ ((size / (size**2 + chosen))[:, None] * weights)


def _checked(features: Any, targets: Any, new: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features, targets = as_float(features, name="features", ndim=2), as_float(targets, name="targets", ndim=2)
    new = as_float(new, name="new", ndim=2)
    if not features.size:
        raise ShapeError(f"features must have rows and columns; got shape {features.shape}.")
    if len(features) != len(targets):
        raise ShapeError(
            f"features and targets must have the same rows; got {len(features)} and {len(targets)}."
        )
    if features.shape[1] != new.shape[1]:
        raise ShapeError(
            f"features and new must have the same columns; got {features.shape[1]} and {new.shape[1]}."
        )
    return features, targets, new


def _folds(pair: Pair, n_folds: int, seed: int) -> list[np.ndarray]:
    n = len(pair.x)
    if isinstance(n_folds, bool) or not isinstance(n_folds, int | np.integer) or not 2 <= n_folds <= n // 2:
        raise InvalidValueError(
            f"n_folds must be an integer from 2 to n_stimuli / 2 = {n // 2}; got {n_folds!r}."
        )
    dealt = pair.order[generator(seed, "similarity", "folds").permutation(n)]
    return [np.sort(dealt[start::n_folds]) for start in range(n_folds)]


def _scores(
    x: np.ndarray, y: np.ndarray, folds: list[np.ndarray], score: str, predict: Predict
) -> np.ndarray:
    predicted = np.empty_like(y)
    for test in folds:
        train = np.setdiff1d(np.arange(len(x)), test)
        found = np.asarray(predict(x[train], y[train], x[test]), dtype=np.float64)
        if found.shape != (len(test), y.shape[1]):
            raise ShapeError(f"predict must return shape {(len(test), y.shape[1])}; got {found.shape}.")
        predicted[test] = found
    return SCORES[score](y, predicted)
