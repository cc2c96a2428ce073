"""The geo-topological transform: ranks of an RDM between two thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.special import expit
from scipy.stats import rankdata

from ...arrays import as_float
from ...errors import InvalidValueError, choice
from ...schema import check
from ...stats import is_constant

__all__ = ["KINDS", "between", "check_limits", "geo_topological", "rdm_rows", "thresholds", "unit_ranks"]

KINDS = ("piecewise", "sigmoid")
# Ranks of p pairs are at least 0.5 / p apart: thresholds nearer to a rank than this differ by rounding only.
SAME = 1e-9


def geo_topological(
    rdm: xr.DataArray,
    lower: float = 0.0,
    upper: float = 1.0,
    *,
    kind: str = "piecewise",
    slope: float = 10.0,
    centre: float = 0.5,
) -> xr.DataArray:
    r"""Return RDMs with low dissimilarities set to 0, high ones to 1, and linear in ranks between.

    With r the mid-ranks of the dissimilarities of one RDM, scaled to 0 to 1, and :math:`t_l, t_u` their
    quantiles (linear interpolation),

    .. math:: g = \min(1, \max(0, (r - t_l) / (t_u - t_l))).

    ``lower=0, upper=1`` is the rank RDM itself; ``lower == upper`` is the adjacency matrix of a graph whose
    edges, the pairs with r up to the threshold, are 0 and all other pairs 1. So it is where ties make the two
    quantiles equal. ``kind="sigmoid"`` is :math:`1 / (1 + \exp(-a (r - b)))`, a the slope and b the centre.

    Parameters
    ----------
    rdm : DataArray (..., pair)
        Each RDM is transformed by itself. NaN marks an undefined pair. Values that ought to be equal but
        differ by rounding are ranked apart: round them first.
    lower, upper : float
        Shares of the pairs, 0 <= lower <= upper <= 1; of ``piecewise`` only.
    kind : {"piecewise", "sigmoid"}
    slope, centre : float
        Of ``sigmoid``.

    Returns
    -------
    DataArray (..., pair)
        Between 0 and 1, float64. A NaN pair stays NaN and does not count among the ranks. A constant RDM has
        no ranks: all its pairs are NaN, and ``attrs["n_undefined"]`` counts such RDMs.

    Raises
    ------
    ShapeError
        If ``pair`` is not the last dim.
    InvalidValueError
        If the limits are no shares in order, the kind is unknown, or a value is infinite or complex.

    References
    ----------
    Lin & Kriegeskorte, The topology and geometry of neural representations (the transform and its sigmoid
    variant). Ranks are scaled from the lowest to the highest of each RDM: ties at an end reach 0 or 1.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rdm = make_rdm(np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0]), ["a", "b", "c", "d"])
    >>> geo_topological(rdm, 0.2, 0.8).values.round(3).tolist()
    [0.0, 0.0, 0.333, 0.667, 1.0, 1.0]
    >>> geo_topological(rdm, 0.4, 0.4).values.tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    if kind not in KINDS:
        raise choice(kind, KINDS, name="kind")
    check_limits(lower, upper)
    if kind == "sigmoid" and (lower, upper) != (0.0, 1.0):
        raise InvalidValueError(
            f"lower and upper belong to kind='piecewise'; got {lower!r} and {upper!r}. A "
            "sigmoid has slope and centre."
        )
    rows = rdm_rows(rdm)
    ranks = unit_ranks(rows)
    if kind == "sigmoid":
        values = expit(slope * (ranks - centre))
        about: dict[str, Any] = {"transform": "sigmoid", "slope": float(slope), "centre": float(centre)}
    else:
        low, high = thresholds(ranks, [lower, upper])
        values = between(ranks, low, high)
        about = {"transform": "geo-topological", "lower": float(lower), "upper": float(upper)}
    undefined = np.isnan(ranks).all(axis=1)
    found = rdm.copy(data=values.reshape(rdm.shape))
    return found.assign_attrs(about | {"n_undefined": int(undefined.sum())})


def rdm_rows(rdm: xr.DataArray, name: str = "rdm") -> np.ndarray:
    """Return RDMs as rows (n_rdms, n_pairs) in float64, NaN let through."""
    check(rdm, "rdm", name=name)
    rows = as_float(rdm.values, name=name, finite=False).reshape(-1, rdm.sizes["pair"])
    if np.isinf(rows).any():
        raise InvalidValueError(f"{name}: {int(np.isinf(rows).sum())} dissimilarities are infinite.")
    return rows


def check_limits(lower: Any, upper: Any) -> None:
    """Refuse thresholds that are not shares in order."""
    low, high = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if not ((low >= 0) & (low <= high) & (high <= 1)).all():
        raise InvalidValueError(f"thresholds must be 0 <= lower <= upper <= 1; got {lower!r} and {upper!r}.")


def unit_ranks(rows: np.ndarray) -> np.ndarray:
    """Return mid-ranks (n, n_pairs) of what is not NaN, from 0 to 1 in each row; a constant row is NaN."""
    if np.isnan(rows).any():
        ranks = np.full(rows.shape, np.nan)
        for row, known, out in zip(rows, ~np.isnan(rows), ranks, strict=True):
            if known.any():
                out[known] = unit_ranks(row[None, known])[0]
        return ranks
    ranks = rankdata(rows, axis=1)
    ranks -= ranks.min(axis=1, keepdims=True)
    undefined = is_constant(rows, axis=1) | (ranks.max(axis=1) == 0)
    return ranks / np.where(undefined, np.nan, ranks.max(axis=1))[:, None]


def thresholds(ranks: np.ndarray, shares: Any) -> np.ndarray:
    """Return quantiles (n_shares, n) of each row's ranks; NaN where a row has none."""
    if not np.isnan(ranks).any():
        return np.quantile(ranks, shares, axis=1)
    undefined = np.isnan(ranks).all(axis=1)
    filled = np.where(undefined[:, None], 0.0, ranks)
    return np.where(undefined, np.nan, np.nanquantile(filled, shares, axis=1))


def between(ranks: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return ranks (n, n_pairs) clipped and scaled between each row's thresholds (n,)."""
    low, high = low[:, None], high[:, None]
    width = high - low
    step = width <= SAME
    sloped = ranks - low
    sloped /= np.where(step, 1.0, width)
    np.clip(sloped, 0.0, 1.0, out=sloped)
    if not step.any():
        return sloped
    above = np.where(np.isnan(ranks), np.nan, ranks > low + SAME)
    return np.where(step, above, sloped)
