"""Correction for many tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import false_discovery_control

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .permutations import p_value

__all__ = ["fdr", "holm", "max_p"]


def fdr(p: Any) -> Any:
    """Return p-values adjusted to control the false discovery rate (Benjamini & Hochberg 1995).

    Parameters
    ----------
    p : array or DataArray (...)
        One family of tests, whatever the shape. NaN, a test that was not made, stays NaN and does not count
        as a test.

    Returns
    -------
    array or DataArray (...)
        What came, adjusted; a DataArray says in ``attrs`` how many tests there were and how many were
        undefined.

    Raises
    ------
    InvalidValueError
        If a value is outside 0 to 1.

    References
    ----------
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289; ``scipy.stats.false_discovery_control``.

    Examples
    --------
    >>> fdr([0.01, 0.02, np.nan, 0.5]).tolist()
    [0.03, 0.03, nan, 0.5]
    """
    return _adjusted(p, lambda known: false_discovery_control(known, method="bh"), "fdr_bh")


def holm(p: Any) -> Any:
    r"""Return p-values adjusted to control the family-wise error rate (Holm 1979), whatever the dependence.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) p_{(j)})

    Parameters, NaN and errors as in ``fdr``.

    References
    ----------
    Holm 1979, Scand J Stat 6:65.

    Examples
    --------
    >>> holm([0.01, 0.02, np.nan, 0.5]).tolist()
    [0.03, 0.04, nan, 0.5]
    """
    return _adjusted(p, _holm, "holm")


def max_p(observed: Any, null: Any, *, two_sided: bool = False) -> np.ndarray:
    """Return p-values against the largest statistic of each draw, which controls the family-wise error rate.

    A draw's statistics must belong together (one permutation, one resample for all tests): their dependence
    is then used, and the correction is milder than Bonferroni's where tests are correlated.

    Parameters
    ----------
    observed : array (...)
        One family of tests, on a common scale. NaN, a test that was not made, stays NaN.
    null : array (R, ...)
        Under R draws. A draw that is undefined for a test that was made counts as extreme for all.
    two_sided : bool
        Whether sizes are compared instead of values.

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    References
    ----------
    Westfall & Young 1993, Resampling-based multiple testing; Nichols & Holmes 2002, Hum Brain Mapp 15:1.

    Examples
    --------
    >>> max_p([3.0, 0.5], [[0.0, 1.0], [1.0, 0.0], [0.2, 0.1]]).tolist()
    [0.25, 0.75]
    """
    observed = as_float(observed, name="observed", finite=False)
    null = as_float(null, name="null", finite=False)
    if null.ndim == 0 or len(null) == 0 or null.shape[1:] != observed.shape:
        raise ShapeError(
            f"null must have shape (draws, {', '.join(map(str, observed.shape))}); got {null.shape}."
        )
    if two_sided:
        observed, null = np.abs(observed), np.abs(null)
    made = ~np.isnan(observed)
    p = np.full(observed.shape, np.nan)
    if made.any():
        largest = null[:, made].max(axis=1)
        p[made] = p_value(observed[made], np.broadcast_to(largest[:, None], (len(null), made.sum())))
    return p


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def _adjusted(p: Any, adjust: Callable[[np.ndarray], np.ndarray], name: str) -> Any:
    values = as_float(p, name="p", finite=False)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        bad = np.argwhere(known & ~((values >= 0) & (values <= 1)))[0]
        raise InvalidValueError(
            f"p must be between 0 and 1; got {values[tuple(bad)]} at position {tuple(map(int, bad))}."
        )
    adjusted = np.full(values.shape, np.nan)
    if known.any():
        adjusted[known] = adjust(values[known])
    if not isinstance(p, xr.DataArray):
        return adjusted
    counts = {"correction": name, "n_tests": int(known.sum()), "n_undefined": int((~known).sum())}
    return p.copy(data=adjusted).assign_attrs(counts)
