"""Random masks to compare a selection with: uniform, layer-matched, and matched in activation norm too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import check
from .masks import align_masks

__all__ = ["CONTROL_KINDS", "outlier_units", "random_masks", "unmatched_units"]

# With m partners p is that of deviations sqrt((1 + 1/m) / (1 - 1/m)) times too large: .068 where .05 is asked
# for with 10 of them, .053 with 50.
N_NEAREST, FACTOR = 50, 2.0


class Units(NamedTuple):
    """What controls are drawn from, arrays (n_units,): selected, allowed, layer name, magnitude."""

    mask: np.ndarray
    free: np.ndarray
    layer: np.ndarray
    size: np.ndarray


def random_masks(
    mask: xr.DataArray,
    kind: str,
    n: int,
    *,
    rng: np.random.Generator,
    magnitude: xr.DataArray | None = None,
    exclude: xr.DataArray | None = None,
) -> xr.DataArray:
    """Return n random masks of the units that ``mask`` leaves out.

    Since no control holds a selected unit, the share of controls that do as well as the mask is a little
    small for a p value where much is selected. A mask chosen at random has a p of at most .05 in .052 of
    cases if it holds 1 % of the units that it and its controls come from (of each layer where layers are
    matched), .059 with 5 %, .07 with 10 % and .10 with 20 %; in .058 with 1 % where norms are matched.

    Parameters
    ----------
    mask : DataArray (unit,) of bool
        The selection to be matched.
    kind : {"uniform", "layer-matched", "norm-matched"}
        ``uniform``: as many units, from all others. ``layer-matched``: as many in each layer.
        ``norm-matched``: each unit is replaced by another of its layer, drawn among the fifty nearest in
        log mean absolute activation that are within a factor of two; a unit without such a partner is
        unmatched, left out and counted.
    n : int
        Number of masks.
    rng : numpy.random.Generator
    magnitude : DataArray (unit,), optional
        Mean absolute activation of every unit (``unit_magnitude``); needed for ``norm-matched``.
    exclude : DataArray (unit,) of bool, optional
        Units that no control may hold either, such as outlier dimensions.

    Returns
    -------
    DataArray (draw, unit) of bool
        ``n_unmatched`` (draw,) is a coordinate: how many units of ``mask`` have no partner in that draw.

    Raises
    ------
    InvalidValueError
        If too few units are left outside the mask, or the kind is unknown.
    """
    check(mask, "mask")
    if kind not in CONTROL_KINDS:
        raise choice(kind, CONTROL_KINDS, name="kind")
    if n < 1:
        raise InvalidValueError(f"n must be 1 or more; got {n}.")
    if kind == "norm-matched":
        if magnitude is None:
            raise ShapeError("norm-matched masks need the magnitude of every unit of the mask; got None.")
        size = _sizes(mask, magnitude)
    else:
        size = np.ones(mask.sizes["unit"])
    free = ~mask.values
    if exclude is not None:
        free &= ~align_masks(mask, exclude)
    units = Units(mask.values, free, mask["layer"].values, size)
    draws = np.zeros((n, mask.sizes["unit"]), dtype=bool)
    for draw in draws:
        CONTROL_KINDS[kind](draw, units, rng)
    n_unmatched = int(mask.sum()) - draws.sum(axis=1)
    coords = {**mask.coords, "n_unmatched": ("draw", n_unmatched)}
    return xr.DataArray(draws, dims=("draw", "unit"), coords=coords, attrs={"kind": kind}, name="mask")


def _sizes(mask: xr.DataArray, magnitude: xr.DataArray) -> np.ndarray:
    """Return the magnitudes in the order of the mask's units, matched by layer, site and index."""
    try:
        matched = align_masks(mask, magnitude)
    except ShapeError as error:
        raise ShapeError(f"magnitude must be of the units of the mask: {error}") from error
    return as_float(matched, name="magnitude")


def _uniform(draw: np.ndarray, units: Units, rng: np.random.Generator) -> None:
    draw[_some(np.flatnonzero(units.free), int(units.mask.sum()), rng, "all layers")] = True


def _layer_matched(draw: np.ndarray, units: Units, rng: np.random.Generator) -> None:
    for name in dict.fromkeys(units.layer[units.mask].tolist()):
        inside = units.layer == name
        draw[_some(np.flatnonzero(inside & units.free), int((inside & units.mask).sum()), rng, str(name))] = (
            True
        )


def _norm_matched(draw: np.ndarray, units: Units, rng: np.random.Generator) -> None:
    for name in dict.fromkeys(units.layer[units.mask].tolist()):
        inside = units.layer == name
        left = np.flatnonzero(inside & units.free)
        for unit in rng.permutation(np.flatnonzero(inside & units.mask)):
            distance = _log_ratio(units.size[left], units.size[unit])
            near = np.argsort(distance, kind="stable")[:N_NEAREST]
            near = near[distance[near] <= np.log(FACTOR)]
            if near.size:
                taken = rng.choice(near)
                draw[left[taken]] = True
                left = np.delete(left, taken)


def _log_ratio(sizes: np.ndarray, size: float) -> np.ndarray:
    """Return |log(sizes / size)|; two units that never act are alike."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sizes == size, 0.0, np.abs(np.log(sizes) - np.log(size)))


CONTROL_KINDS = {"uniform": _uniform, "layer-matched": _layer_matched, "norm-matched": _norm_matched}


def _some(free: np.ndarray, k: int, rng: np.random.Generator, where: str) -> np.ndarray:
    if free.size < k:
        raise InvalidValueError(f"{k} random units were asked for in {where}, but only {free.size} are left.")
    return rng.choice(free, size=k, replace=False)


def unmatched_units(mask: xr.DataArray, magnitude: xr.DataArray) -> xr.DataArray:
    """Return the mask of the selected units that no other unit of their layer matches within a factor of two.

    A norm-matched control lacks them, so that the effect is also given without them.
    """
    check(mask, "mask")
    size = _sizes(mask, magnitude)
    alone = np.zeros(mask.shape, dtype=bool)
    for unit in np.flatnonzero(mask.values):
        free = (mask["layer"].values == mask["layer"].values[unit]) & ~mask.values
        distance = _log_ratio(size[free], size[unit])
        alone[unit] = not (distance <= np.log(FACTOR)).any()
    return mask.copy(data=alone)


def outlier_units(magnitude: xr.DataArray, *, factor: float = 6.0) -> xr.DataArray:
    """Return the mask of outlier dimensions: magnitude over ``factor`` times the layer's median.

    The residual stream has a few dimensions whose activation is far larger than the rest; silencing them
    harms a network whatever they stand for.

    References
    ----------
    Kovaleva, Kulshreshtha, Rogers & Rumshisky (2021), BERT Busters: outlier dimensions that disrupt
    transformers. Deviation: the criterion is a factor over the median, not three standard deviations.
    """
    if not factor > 1:
        raise InvalidValueError(f"factor must be above 1; got {factor!r}.")
    size = as_float(check(magnitude, "mask", name="magnitude").values, name="magnitude")
    if not size.size:
        raise ShapeError("magnitude has 0 units; there is no median to compare with.")
    median = magnitude.copy(data=size).groupby("layer").median()
    reference = median.sel(layer=magnitude["layer"].values).values
    found = magnitude.copy(data=size > factor * reference).rename("mask")
    return found.assign_attrs(outlier_factor=factor)
