"""Scores of a prediction: one definition a name, float64 sums, NaN where a score has no value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ..arrays import as_float
from ..errors import ShapeError

__all__ = ["SCORES", "explained_variance", "is_constant", "mse", "pearson_r", "r2", "spearman"]

# Values that differ by less than this share of the largest magnitude are rounding, not variance.
ROUNDING = 16 * np.finfo(np.float64).eps


def pearson_r(y: Any, prediction: Any, axis: int = 0) -> np.ndarray:
    r"""Return Pearson's correlation of each target with its prediction.

    .. math:: r = \frac{\sum (y - \bar y)(p - \bar p)}{\sqrt{\sum (y - \bar y)^2 \sum (p - \bar p)^2}}

    Parameters
    ----------
    y, prediction : array (n_times, n_targets)
        Any number of dims, the same shape.
    axis : int
        The dim that is summed over.

    Returns
    -------
    array (n_targets,)
        Between -1 and 1; NaN where the target or the prediction is constant.

    Raises
    ------
    ShapeError
        If the shapes differ or there are no rows.
    InvalidValueError
        If a value is NaN, infinite or complex.

    Examples
    --------
    >>> float(pearson_r([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).round(6))
    1.0
    """
    y, prediction = _pair(y, prediction, axis)
    return _correlation(y, prediction)


def spearman(y: Any, prediction: Any, axis: int = 0) -> np.ndarray:
    """Return Spearman's correlation: Pearson's of the mid-ranks; as ``pearson_r`` otherwise, NaN too.

    Examples
    --------
    >>> float(spearman([1.0, 2.0, 3.0], [1.0, 10.0, 1000.0]).round(6))
    1.0
    """
    y, prediction = _pair(y, prediction, axis)
    return _correlation(rankdata(y, axis=0), rankdata(prediction, axis=0))


def r2(y: Any, prediction: Any, axis: int = 0) -> np.ndarray:
    r"""Return the coefficient of determination of each target.

    .. math:: R^2 = 1 - \sum (y - p)^2 / \sum (y - \bar y)^2

    Parameters and errors as in ``pearson_r``. NaN where the target is constant; a constant prediction has a
    value, 0 at best.

    Examples
    --------
    >>> float(r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]))
    0.0
    """
    y, prediction = _pair(y, prediction, axis)
    return _one_minus_ratio(((y - prediction) ** 2).sum(axis=0), y)


def explained_variance(y: Any, prediction: Any, axis: int = 0) -> np.ndarray:
    r"""Return the explained variance of each target: R2 after the mean error is taken out.

    .. math:: 1 - \operatorname{var}(y - p) / \operatorname{var}(y)

    Parameters and errors as in ``pearson_r``; NaN where the target is constant.

    Examples
    --------
    >>> float(explained_variance([1.0, 2.0, 3.0], [11.0, 12.0, 13.0]))
    1.0
    """
    y, prediction = _pair(y, prediction, axis)
    error = y - prediction
    return _one_minus_ratio(((error - error.mean(axis=0)) ** 2).sum(axis=0), y)


def mse(y: Any, prediction: Any, axis: int = 0) -> np.ndarray:
    """Return the mean squared error of each target; lower is better. Parameters as in ``pearson_r``.

    Examples
    --------
    >>> float(mse([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    y, prediction = _pair(y, prediction, axis)
    return ((y - prediction) ** 2).mean(axis=0)


def is_constant(x: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return where ``x`` is constant along ``axis``, up to the rounding of its largest value.

    A column with NaN or infinity is not constant; one without rows is.
    """
    x = as_float(x, name="x", finite=False)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = x.mean(axis=axis, keepdims=True) if x.shape[axis] else 0.0
        centred = np.abs(x - mean).max(axis=axis, initial=0.0)
    return centred <= ROUNDING * np.abs(x).max(axis=axis, initial=0.0)


SCORES: dict[str, Callable[..., np.ndarray]] = {
    "pearson": pearson_r,
    "spearman": spearman,
    "r2": r2,
    "explained_variance": explained_variance,
    "mse": mse,
}


def _pair(y: Any, prediction: Any, axis: int) -> tuple[np.ndarray, np.ndarray]:
    y, prediction = as_float(y, name="y"), as_float(prediction, name="prediction")
    if y.shape != prediction.shape:
        raise ShapeError(f"y and prediction must have one shape; got {y.shape} and {prediction.shape}.")
    if not -y.ndim <= axis < y.ndim:
        raise ShapeError(f"axis {axis} is not one of the {y.ndim} dims of y.")
    if y.shape[axis] == 0:
        raise ShapeError(f"y and prediction have no rows along axis {axis}; got shape {y.shape}.")
    return np.moveaxis(y, axis, 0), np.moveaxis(prediction, axis, 0)


def _correlation(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    undefined = is_constant(y) | is_constant(prediction)
    y, prediction = _unit(y), _unit(prediction)
    return np.where(undefined, np.nan, np.clip((y * prediction).sum(axis=0), -1.0, 1.0))


def _unit(x: np.ndarray) -> np.ndarray:
    """Return ``x`` centred and of length 1, scaled first so that no square underflows or overflows."""
    x = x - x.mean(axis=0)
    largest = np.abs(x).max(axis=0)
    x = x / np.where(largest > 0, largest, 1.0)
    length = np.sqrt((x * x).sum(axis=0))
    return x / np.where(length > 0, length, 1.0)


def _one_minus_ratio(error: np.ndarray, y: np.ndarray) -> np.ndarray:
    undefined = is_constant(y)
    total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return np.where(undefined, np.nan, 1.0 - error / np.where(undefined, 1.0, total))
