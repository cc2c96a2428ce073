"""Welch's t, p and Cohen's d of every unit from counts, means and centred sums of squares alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special
from scipy import stats as scipy_stats

from ..errors import InvalidValueError, ShapeError

__all__ = ["Moments", "cohens_d", "d_interval", "hedges_factor", "moments_of", "welch"]

# A standard deviation below this share of the mean is rounding of float64, not variation.
ROUNDING = 8 * np.finfo(np.float64).eps


class Moments(NamedTuple):
    """One condition: number of stimuli, and mean and centred sum of squares (n_units,) of every unit."""

    n: int
    mean: np.ndarray
    m2: np.ndarray

    @property
    def is_constant(self) -> np.ndarray:
        """Which units (n_units,) have the same value for every stimulus."""
        return self.m2 <= self.n * (ROUNDING * np.abs(self.mean)) ** 2


def moments_of(values: np.ndarray) -> Moments:
    """Return the moments of the rows of ``values`` (n_rows, n_units), float64, centred before squaring.

    The first row is taken off first, so that a constant unit has exactly no variance.
    """
    if not len(values):
        raise ShapeError("a condition has no stimulus; 2 or more are needed.")
    first = values[0]
    shifted = values - first
    mean = shifted.mean(axis=0)
    return Moments(len(values), first + mean, ((shifted - mean) ** 2).sum(axis=0))


def welch(a: Moments, b: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return Welch's t and its one-sided p (a above b), arrays (n_units,); NaN for a constant unit.

    References
    ----------
    Welch (1947), Biometrika 34, eq. 28.
    """
    if a.n < 2 or b.n < 2 or a.mean.shape != b.mean.shape:
        shapes = (a.n, *a.mean.shape), (b.n, *b.mean.shape)
        raise ShapeError(
            f"Welch's t needs 2 rows or more of the same units; got {shapes[0]} and {shapes[1]}."
        )
    x, y = a.m2 / (a.n - 1) / a.n, b.m2 / (b.n - 1) / b.n
    constant = a.is_constant & b.is_constant
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (a.mean - b.mean) / np.sqrt(x + y)
        df = (x + y) ** 2 / (x**2 / (a.n - 1) + y**2 / (b.n - 1))
    t, df = np.where(constant, np.nan, t), np.where(constant, np.nan, df)
    return t, np.where(np.isnan(t), np.nan, scipy_stats.t.sf(t, df))


def cohens_d(a: Moments, b: Moments) -> np.ndarray:
    """Return (mean a - mean b) over the pooled standard deviation (n_units,); NaN for a constant unit."""
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (a.mean - b.mean) / np.sqrt((a.m2 + b.m2) / (a.n + b.n - 2))
    return np.where(a.is_constant & b.is_constant, np.nan, d)


def d_interval(d: np.ndarray, n_a: int, n_b: int, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the exact interval of Cohen's d, by inverting the noncentral t distribution.

    With m = n_a n_b / (n_a + n_b) and n_a + n_b - 2 degrees of freedom, the ends are the noncentralities over
    :math:`\sqrt m` under which :math:`t = d \sqrt m` is at the upper and the lower tail. The inversion is
    good to about 3e-6 in the tail's probability.

    References
    ----------
    Steiger & Fouladi (1997); Cumming & Finch (2001), Educ Psychol Meas 61:532.
    """
    if not 0 < level < 1:
        raise InvalidValueError(f"level must be between 0 and 1; got {level!r}.")
    root = np.sqrt(n_a * n_b / (n_a + n_b))
    df, t = n_a + n_b - 2, np.asarray(d, dtype=np.float64) * root
    low, high = (special.nctdtrinc(df, (1 + sign * level) / 2, t) for sign in (1, -1))
    return low / root, high / root


def hedges_factor(df: int) -> float:
    """Return what Cohen's d is multiplied by to be without bias, for so many degrees of freedom.

    References
    ----------
    Hedges (1981), J Educ Stat 6:107, eq. 6e (the exact gamma form).
    """
    return float(np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2))
