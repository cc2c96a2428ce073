"""What bootstrap draws of several statistics say: variances, intervals, tests against 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as t_distribution

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice, listing
from .correction import fdr, holm, max_p
from .permutations import TAILS, p_value

__all__ = ["ResampledTests", "dual_variance", "effective_dof", "resampled_tests", "standardized_draws"]


@dataclass(frozen=True)
class ResampledTests:
    """Tests of k statistics against 0, each array (k,); NaN where a statistic has no variance.

    Attributes
    ----------
    t : array
        Estimate over standard error.
    p, p_fdr, p_holm : array
        From Student's t distribution; corrected over the k tests.
    p_bootstrap, p_max : array
        From the draws, and from each draw's largest statistic (family-wise); NaN without draws.
    lower, upper : array
        Student's t interval.
    lower_bootstrap, upper_bootstrap : array
        Percentile interval, scaled to the variance and expanded to t; it holds 0 where the two-sided
        ``p_bootstrap`` is above one minus the level. NaN without draws.
    """

    t: np.ndarray
    p: np.ndarray
    p_fdr: np.ndarray
    p_holm: np.ndarray
    p_bootstrap: np.ndarray
    p_max: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    lower_bootstrap: np.ndarray
    upper_bootstrap: np.ndarray


def resampled_tests(
    estimate: Any,
    variance: Any,
    draws: Any | None = None,
    *,
    dof: Any,
    tail: str = "two-sided",
    level: float = 0.95,
) -> ResampledTests:
    r"""Return tests against 0 and intervals of estimates, from their variance and their bootstrap draws.

    The t test takes :math:`t = \hat\theta / \sqrt{v}` with ``dof`` degrees of freedom. The bootstrap test
    takes the shape of the draws and the same variance: with draws standardised to :math:`s`, and
    :math:`z = \Phi^{-1}(F_t(t))`,

    .. math:: p = \frac{1 + \#\{-s \ge z\}}{1 + R},

    which is the percentile test (the share of draws below 0) after the draws were scaled to variance ``v``
    and expanded to the heavier tails of t. Without both, percentiles of n subjects are too narrow by
    :math:`\sqrt{(n - 1) / n}\, z_q / t_q`, and those of a bootstrap over two factors are too wide.

    Parameters
    ----------
    estimate : array (k,)
    variance : array (k,)
        Of the estimates, corrected (``dual_variance``, or n / (n - 1) times that of the draws).
    draws : array (n_draws, k), optional
        NaN marks an undefined draw; it is left out of that statistic's tests, and of ``p_max`` as a whole.
    dof : float or array (k,)
        The smallest number of sampled items less one, of each estimate where some lack items;
        ``effective_dof`` of it where the variance is that of draws.
    tail : {"greater", "less", "two-sided"}
    level : float
        Of the intervals.

    Raises
    ------
    ShapeError
        If shapes do not fit or there is no degree of freedom.
    InvalidValueError
        If the tail is unknown or the level not between 0 and 1.

    References
    ----------
    Hesterberg 2015, Am Stat 69:371 (expanded percentile interval); Schuett et al. 2023, eLife 12:e82566.

    Examples
    --------
    >>> found = resampled_tests([0.2, 0.0], [0.01, 0.01], dof=9, tail="greater")
    >>> found.p.round(3).tolist(), found.p_holm.round(3).tolist()
    ([0.038, 0.5], [0.077, 0.5])
    """
    estimate = as_float(estimate, name="estimate", ndim=1, missing=True)
    variance = as_float(variance, name="variance", ndim=1, missing=True)
    dof = as_float(dof, name="dof")
    fit = variance.shape == estimate.shape and dof.shape in ((), estimate.shape)
    if not fit or (dof <= 0).any():
        raise ShapeError(
            f"{len(estimate)} estimates need as many variances and positive degrees of freedom, one or as "
            f"many; got {len(variance)} and {listing(dof.ravel())}."
        )
    if tail not in TAILS:
        raise choice(tail, TAILS, name="tail")
    if not 0 < level < 1:
        raise InvalidValueError(f"level must be between 0 and 1; got {level!r}.")
    error = np.sqrt(np.where(variance > 0, variance, np.nan))
    t = estimate / error
    half = t_distribution.ppf((1 + level) / 2, dof) * error
    p = _p_of_t(t, dof, tail)
    nothing = np.full(len(t), np.nan)
    p_bootstrap, p_max, ends = nothing, nothing, (nothing, nothing)
    if draws is not None:
        draws = as_float(draws, name="draws", ndim=2, missing=True)
        if not len(draws) or draws.shape[1] != len(t):
            raise ShapeError(f"draws must have {len(t)} columns and at least 1 row; got shape {draws.shape}.")
        shape = standardized_draws(draws)
        p_bootstrap, p_max = _p_of_draws(t, shape, dof, tail)
        ends = _expanded(estimate, error, shape, dof, level)
    return ResampledTests(
        t, p, fdr(p), holm(p), p_bootstrap, p_max, estimate - half, estimate + half, ends[0], ends[1]
    )


def effective_dof(dof: Any, n_draws: int) -> Any:
    r"""Return the degrees of freedom of a variance that was itself estimated from draws.

    The variance of the estimate varies from data set to data set, relative to its square by 2 / dof, and
    that of R draws about it by 2 / (R - 1). Together (Satterthwaite's approximation)

    .. math:: \frac{1}{\nu} = \frac{1}{dof} + \frac{1}{R - 1},

    without which few draws make a t test liberal: with 7 degrees of freedom and 199 draws its rate at .05 is
    .051.

    Parameters
    ----------
    dof : float or array
        The smallest number of sampled items less one.
    n_draws : int

    References
    ----------
    Satterthwaite 1946, Biometrics Bulletin 2:110.

    Examples
    --------
    >>> round(effective_dof(7, 199), 2)
    6.76
    """
    return 1 / (1 / dof + 1 / max(n_draws - 1, 1))


def standardized_draws(draws: np.ndarray) -> np.ndarray:
    """Return draws (n, k) less their mean over their standard deviation; NaN stays, also for a constant."""
    known = ~np.isnan(draws)
    count = known.sum(axis=0)
    mean = np.where(known, draws, 0.0).sum(axis=0) / np.maximum(count, 1)
    centred = np.where(known, draws - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / np.maximum(count - 1, 1))
    enough = deviation > 0
    return np.where(known & enough, centred / np.where(enough, deviation, 1.0), np.nan)


def dual_variance(
    both: np.ndarray, subject: np.ndarray, stimulus: np.ndarray, n_subjects: Any, n_stimuli: int
) -> np.ndarray:
    r"""Return the variance over subjects and stimuli from three bootstraps with the same draws.

    A bootstrap over both factors counts the noise of single measurements up to three times. For
    :math:`n_s` subjects and :math:`n_c` stimuli, with :math:`a = n_s / (n_s - 1)`,
    :math:`b = n_c / (n_c - 1)`,

    .. math:: v = a v_s + b v_c - a b (v_{sc} - v_s - v_c),

    at least :math:`a v_s` and :math:`b v_c`, at most :math:`v_{sc}`.

    Parameters
    ----------
    both, subject, stimulus : array (...)
        Variances of the draws of both, of subjects only and of stimuli only, of one shape; NaN stays NaN.
    n_subjects : int or array (...)
        At least 2; of each variance where some lack subjects.
    n_stimuli : int
        At least 2.

    References
    ----------
    Schuett, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566, equation 10; as in rsatoolbox 0.3.2.

    Examples
    --------
    >>> float(dual_variance(np.array(0.5), np.array(0.1), np.array(0.2), 11, 11).round(3))
    0.22
    """
    both, subject, stimulus = (
        as_float(x, name=name, missing=True)
        for x, name in ((both, "both"), (subject, "subject"), (stimulus, "stimulus"))
    )
    if not both.shape == subject.shape == stimulus.shape:
        raise ShapeError(
            f"variances must have one shape; got {both.shape}, {subject.shape} and {stimulus.shape}."
        )
    a, b = n_subjects / (n_subjects - 1), n_stimuli / (n_stimuli - 1)
    variance = a * subject + b * stimulus - a * b * (both - subject - stimulus)
    return np.minimum(np.maximum(np.maximum(variance, a * subject), b * stimulus), both)


def _p_of_t(t: np.ndarray, dof: np.ndarray, tail: str) -> np.ndarray:
    if tail == "two-sided":
        return 2 * t_distribution.sf(np.abs(t), dof)
    return t_distribution.sf(t if tail == "greater" else -t, dof)


def _p_of_draws(
    t: np.ndarray, shape: np.ndarray, dof: np.ndarray, tail: str
) -> tuple[np.ndarray, np.ndarray]:
    z = norm.isf(t_distribution.sf(t, dof))
    z = np.where(np.isinf(z), norm.ppf(t_distribution.cdf(t, dof)), z)
    mirrored = -shape
    p = np.full(len(t), np.nan)
    known = ~np.isnan(mirrored)
    for i in np.flatnonzero(known.any(axis=0) & ~np.isnan(z)):
        p[i] = p_value(z[i], mirrored[known[:, i], i], tail=tail)
    made = ~np.isnan(p)
    whole = known[:, made].all(axis=1)
    p_max = np.full(len(t), np.nan)
    if made.any() and whole.any():
        sign = -1.0 if tail == "less" else 1.0
        p_max[made] = max_p(
            sign * z[made], sign * mirrored[np.ix_(whole, made)], two_sided=tail == "two-sided"
        )
    return p, p_max


def _expanded(
    estimate: np.ndarray, error: np.ndarray, shape: np.ndarray, dof: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the interval of the values that the two-sided test would not refuse."""
    some = ~np.isnan(shape).all(axis=0)
    ends = np.nanquantile(np.where(some, shape, 0.0), [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high = t_distribution.ppf(norm.cdf(ends), dof)
    return np.where(some, estimate + error * low, np.nan), np.where(some, estimate + error * high, np.nan)
