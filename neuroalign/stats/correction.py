"""Correction for many tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import false_discovery_control

from ..arrays import as_float
from ..errors import InvalidValueError

__all__ = ["fdr"]


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
    values = as_float(p, name="p", finite=False)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        bad = np.argwhere(known & ~((values >= 0) & (values <= 1)))[0]
        raise InvalidValueError(
            f"p must be between 0 and 1; got {values[tuple(bad)]} at position {tuple(map(int, bad))}."
        )
    adjusted = np.full(values.shape, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(values[known], method="bh")
    if not isinstance(p, xr.DataArray):
        return adjusted
    counts = {"correction": "fdr_bh", "n_tests": int(known.sum()), "n_undefined": int((~known).sum())}
    return p.copy(data=adjusted).assign_attrs(counts)
