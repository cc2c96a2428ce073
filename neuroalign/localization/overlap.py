"""How far several masks of one network agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy import stats as scipy_stats

from ..errors import InvalidValueError
from .masks import align_masks

__all__ = ["agreeing_units", "agreement", "dice"]


def dice(a: xr.DataArray, b: xr.DataArray) -> tuple[float, float]:
    """Return the Dice overlap of two masks, and its expectation by chance.

    Twice the number of units in both, over the sum of their numbers of units.

    Masks are matched by (layer, site, index), never by order.

    Raises
    ------
    ShapeError
        If the masks are not about the same units.
    """
    x, y = a.values, align_masks(a, b)
    total = int(x.sum() + y.sum())
    if not total:
        raise InvalidValueError("both masks are empty: their overlap is undefined.")
    return 2 * float((x & y).sum()) / total, 2 * float(x.mean() * y.mean()) * x.size / total


def agreement(masks: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """Return the overlap of every two of several masks, against chance.

    Parameters
    ----------
    masks : mapping of name to DataArray (unit,) of bool
        About the same units, in any order.

    Returns
    -------
    xarray.Dataset
        (mask_a, mask_b): ``dice``; ``chance``, the Dice expected of two random masks of these sizes (k / N
        for equal sizes k of N units); ``n_shared``; and ``p``, the hypergeometric probability that two random
        masks of these sizes share as many units or more (not corrected; 1 stands for no evidence).
        ``n_units`` (mask_a,) is each mask's size. NaN where both masks are empty.

    Raises
    ------
    ShapeError
        If masks are not about the same units.
    """
    values = _stacked(masks)
    size, n_shared = values.sum(axis=1), values.astype(np.int64) @ values.T.astype(np.int64)
    total, n_units = size[:, None] + size, values.shape[1]
    with np.errstate(invalid="ignore"):
        overlap, chance = 2 * n_shared / total, 2 * np.outer(size, size) / n_units / total
    p = scipy_stats.hypergeom.sf(n_shared - 1, n_units, size[:, None], size[None, :])
    both = ("mask_a", "mask_b")
    found = {"dice": overlap, "chance": chance, "n_shared": n_shared, "p": np.where(total == 0, np.nan, p)}
    variables = {name: (both, x) for name, x in found.items()} | {"n_units": ("mask_a", size)}
    return xr.Dataset(variables, {name: list(masks) for name in both}, {"n": n_units})


def agreeing_units(masks: Mapping[str, xr.DataArray], *, at_least: int | None = None) -> xr.Dataset:
    """Return in how many of several masks each unit is, and the mask of those that are in enough of them.

    Parameters
    ----------
    masks : mapping of name to DataArray (unit,) of bool
        Such as one network's masks by several presets.
    at_least : int, optional
        How many masks a unit must be in; all of them where None.

    Returns
    -------
    xarray.Dataset
        Along the units of the first mask: ``n_masks`` and ``mask``; ``attrs["expected"]`` is how many units
        independent random masks of these sizes would agree on.
    """
    values = _stacked(masks)
    needed = len(values) if at_least is None else at_least
    if not 1 <= needed <= len(values):
        raise InvalidValueError(f"at_least must be from 1 to the {len(values)} masks; got {at_least!r}.")
    count = values.sum(axis=0)
    first = next(iter(masks.values()))
    places = {name: first[name] for name in ("layer", "site", "index")}
    chance = _poisson_binomial(values.mean(axis=1))[needed:].sum()
    attrs = {"masks": "+".join(masks), "at_least": needed, "expected": float(chance * values.shape[1])}
    return xr.Dataset({"n_masks": ("unit", count), "mask": ("unit", count >= needed)}, places, attrs)


def _poisson_binomial(p: np.ndarray) -> np.ndarray:
    """Return the probabilities (n + 1,) of 0 to n successes in independent trials."""
    found = np.ones(1)
    for share in p:
        found = np.convolve(found, [1 - share, share])
    return found


def _stacked(masks: Mapping[str, xr.DataArray]) -> np.ndarray:
    """Return the masks (n_masks, n_units) in the order of the first one's units."""
    if not masks:
        raise InvalidValueError("no mask was given.")
    first = next(iter(masks.values()))
    return np.stack([align_masks(first, mask) for mask in masks.values()]).astype(bool)
