"""How well any model could do: leave-one-out and pooled bounds, split halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import as_float
from ..errors import ShapeError
from .permutations import check_draws
from .scores import pearson_r

__all__ = ["mean_of_others", "noise_ceiling", "spearman_brown", "split_half"]


def noise_ceiling(
    values: Any,
    *,
    pool: Callable[[np.ndarray], np.ndarray] | None = None,
    score: Callable[[np.ndarray, np.ndarray], Any] = pearson_r,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper bound of the noise ceiling, one of each a subject.

    Lower: a subject's data are scored by the pool of the others, which a good model should reach. Upper: by
    the pool of all, itself included, which no model can beat when the pool maximises the mean score.

    Parameters
    ----------
    values : array (n_subjects, n_samples, ...)
        NaN is let through to ``pool`` and ``score``.
    pool : callable, optional
        From (k, n_samples, ...) to (n_samples, ...); the mean where None. It must be the one that maximises
        the mean score, else the upper bound is none.
    score : callable
        From (n_samples, ...) twice, data and prediction, to a number or array.

    Returns
    -------
    lower, upper : array (n_subjects, ...)

    Raises
    ------
    ShapeError
        If there are fewer than two subjects.

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553.

    Examples
    --------
    >>> lower, upper = noise_ceiling([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    >>> lower.round(6).tolist(), upper.round(6).tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    values = as_float(values, name="values", finite=False)
    if values.ndim < 2 or len(values) < 2:
        raise ShapeError(f"a noise ceiling needs at least 2 subjects; got values of shape {values.shape}.")
    pool = pool or _mean
    whole = pool(values)
    lower = [score(own, pool(np.delete(values, i, axis=0))) for i, own in enumerate(values)]
    upper = [score(own, whole) for own in values]
    return np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)


def split_half(
    values: Any,
    *,
    n: int,
    rng: np.random.Generator,
    score: Callable[[np.ndarray, np.ndarray], Any] = pearson_r,
) -> np.ndarray:
    """Return the split-half reliability of the mean over subjects, corrected to full length.

    The subjects are split at random ``n`` times; the means of the halves are scored against each other, the
    correlation is averaged over splits and corrected by Spearman-Brown. With an odd number of subjects one
    is left out of each split, so the value is a little low.

    Parameters
    ----------
    values : array (n_subjects, n_samples, ...)
        Finite; subjects on a common scale (z-scored).
    n : int
        Splits.
    rng : numpy.random.Generator
    score : callable
        A correlation.

    Returns
    -------
    array (...)
        Reliability; the best correlation that a model can have with the mean is its square root. NaN where
        the score of a split is (a constant half).

    References
    ----------
    Spearman 1910, Br J Psychol 3:271; Brown 1910, Br J Psychol 3:296.

    Examples
    --------
    >>> x = np.tile([1.0, 2.0, 4.0], (4, 1))
    >>> float(split_half(x, n=3, rng=np.random.default_rng(0)).round(6))
    1.0
    """
    values = as_float(values, name="values")
    if values.ndim < 2 or len(values) < 2:
        raise ShapeError(f"split halves need at least 2 subjects; got values of shape {values.shape}.")
    check_draws(n, rng)
    half = len(values) // 2
    orders = [rng.permutation(len(values)) for _ in range(n)]
    found = [score(values[o[:half]].mean(axis=0), values[o[half : 2 * half]].mean(axis=0)) for o in orders]
    return spearman_brown(np.mean(found, axis=0))


def spearman_brown(r: Any, factor: float = 2.0) -> np.ndarray:
    r"""Return the reliability of ``factor`` times as much data.

    .. math:: r_f = f r / (1 + (f - 1) r)

    NaN stays NaN, and is what has no value: where the denominator is not positive.

    Examples
    --------
    >>> round(float(spearman_brown(0.5)), 4)
    0.6667
    """
    r = as_float(r, name="r", missing=True)
    below = 1 + (factor - 1) * r
    return np.where(below > 0, factor * r / np.where(below > 0, below, 1.0), np.nan)


def mean_of_others(values: np.ndarray) -> np.ndarray:
    """Return for each subject the mean of the others that are not NaN (n_subjects, ...); NaN if none is."""
    values = as_float(values, name="values", missing=True)
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    count = known.sum(axis=0) - known
    return np.where(count > 0, (filled.sum(axis=0) - filled) / np.maximum(count, 1), np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0)
