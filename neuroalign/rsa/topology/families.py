"""The grid of thresholds, and the families that its cells belong to."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...errors import InvalidValueError
from .transforms import check_limits

__all__ = ["FAMILIES", "family", "grid"]

FAMILIES = ("local", "global", "geometry", "topology", "intermediate")
# Thresholds on a grid are sums of rounded steps: a border counts as reached within this.
SLACK = 1e-9


def family(lower: Any, upper: Any) -> Any:
    """Return which family the geo-topological transform with these thresholds belongs to.

    Tested in this order: ``local``, the mean of both at most 0.2; ``global``, the mean at least 0.8;
    ``geometry``, upper - lower at least 0.8 (close to the rank RDM); ``topology``, lower at least 0.4 and
    upper at most 0.6 (close to an adjacency matrix); else ``intermediate``.

    Parameters
    ----------
    lower, upper : float or array (...)
        0 <= lower <= upper <= 1.

    Returns
    -------
    str or array (...) of str

    Raises
    ------
    InvalidValueError
        If the thresholds are no shares in order.

    References
    ----------
    Lin & Kriegeskorte, The topology and geometry of neural representations.

    Examples
    --------
    >>> family(0.0, 1.0), family(0.5, 0.5), family(0.0, 0.075)
    ('geometry', 'topology', 'local')
    """
    check_limits(lower, upper)
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    middle = (low + high) / 2
    found = np.select(
        [
            middle <= 0.2 + SLACK,
            middle >= 0.8 - SLACK,
            high - low >= 0.8 - SLACK,
            (low >= 0.4 - SLACK) & (high <= 0.6 + SLACK),
        ],
        FAMILIES[:4],
        default=FAMILIES[4],
    )
    return str(found) if found.ndim == 0 else found


def grid(step: float = 0.05) -> xr.Dataset:
    """Return every pair of thresholds lower <= upper on a grid, with its family.

    Parameters
    ----------
    step : float
        Of both thresholds; it must divide 1.

    Returns
    -------
    Dataset (cell,)
        ``lower``, ``upper`` and ``family``; 231 cells at step 0.05, the rank RDM (0, 1) among them.

    Raises
    ------
    InvalidValueError
        If the step is no share that divides 1.

    Examples
    --------
    >>> grid(0.5)["family"].values.tolist()
    ['local', 'intermediate', 'geometry', 'topology', 'intermediate', 'global']
    """
    n = round(1 / step) if np.isfinite(step) and 0 < step <= 1 else 0
    if n == 0 or abs(n * step - 1) > SLACK:
        raise InvalidValueError(f"step must divide 1, such as 0.05; got {step!r}.")
    shares = np.arange(n + 1) / n
    first, second = np.triu_indices(n + 1)
    lower, upper = shares[first], shares[second]
    values = {"lower": lower, "upper": upper, "family": family(lower, upper)}
    return xr.Dataset({name: ("cell", value) for name, value in values.items()}, attrs={"step": float(step)})
