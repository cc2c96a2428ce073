"""Maps as they come, brought to (n_maps, n_units) beside their graph; what is missing; what goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice, listing
from ..schema import align
from .graphs import as_graph, islands, row_standardise

__all__ = ["Maps", "Part", "centred", "prepared", "stacked", "varying"]

POLICIES = ("raise", "omit")
# A map is constant if nothing in it differs from its mean by more than rounding.
ROUNDING = 100 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Part:
    """Maps that are defined at the same units, and the weights among these.

    Attributes
    ----------
    rows : array (n_rows,)
        Which maps.
    units : array (n_kept,)
        Which units.
    values : array (n_rows, n_kept)
    weights : csr_array (n_kept, n_kept)
    """

    rows: np.ndarray
    units: np.ndarray
    values: np.ndarray
    weights: csr_array


@dataclass(frozen=True)
class Maps:
    """A stack of maps, by which units are defined.

    Attributes
    ----------
    template : DataArray (..., unit)
        As the maps came.
    parts : list of Part
        Empty where no graph was asked for.
    counts : dict
        ``n_missing`` values and ``n_islands`` units left out, over all maps.
    """

    template: xr.DataArray
    parts: list[Part]
    counts: dict[str, int]

    @property
    def flat(self) -> np.ndarray:
        """The values, (n_maps, n_units)."""
        return self.template.values.reshape(self.n_maps, -1)

    @property
    def n_maps(self) -> int:
        """How many maps there are."""
        return int(np.prod(self.template.shape[:-1]))

    def per_map(self, values: np.ndarray) -> xr.DataArray:
        """Return one number a map, labelled as the maps are."""
        return self.template.isel({self.template.dims[-1]: 0}, drop=True).copy(
            data=values.reshape(self.template.shape[:-1])
        )

    def per_unit(self, values: np.ndarray, *, draws: bool = False) -> xr.DataArray:
        """Return one number a unit of each map; after a first dim ``draw`` where there are draws."""
        if not draws:
            return self.template.copy(data=values.reshape(self.template.shape))
        stacked = self.template.expand_dims(draw=len(values))
        return stacked.copy(data=values.reshape(stacked.shape))


def prepared(
    values: Any,
    graph: Any,
    *,
    standardise: bool,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
    name: str = "values",
) -> Maps:
    """Return the maps beside their weights, or refuse what is asked to be refused.

    See ``moran`` for the parameters. Weights are restricted to the units that are left before they are
    divided by their row's sum, so that a missing neighbour counts for nothing.
    """
    for policy, what in ((missing, "missing"), (unconnected, "unconnected")):
        if policy not in POLICIES:
            raise choice(policy, POLICIES, name=what)
    maps = stacked(values, name=name, units=units)
    flat, n_missing = maps.flat, maps.counts["n_missing"]
    weights = as_graph(graph, flat.shape[1])
    known = ~np.isnan(flat)
    if n_missing and missing == "raise":
        raise InvalidValueError(
            f'{name}: {n_missing} of {flat.size} values are NaN. Pass missing="omit" to leave them out of '
            "their maps."
        )
    parts, n_islands = [], 0
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        rows, at = np.flatnonzero(which.ravel() == i), np.flatnonzero(pattern)
        among = weights[at][:, at]
        alone = islands(among)
        if len(alone) and unconnected == "raise":
            raise InvalidValueError(
                f"graph: {len(alone)} of {len(at)} units have no neighbour: {listing(at[alone])}. Pass "
                'unconnected="omit" to leave them out, or give them neighbours.'
            )
        n_islands += len(alone) * len(rows)
        keep = np.setdiff1d(np.arange(len(at)), alone)
        among = among[keep][:, keep]
        among = row_standardise(among) if standardise else among
        parts.append(Part(rows, at[keep], flat[rows][:, at[keep]], among))
    return Maps(maps.template, parts, {**maps.counts, "n_islands": n_islands})


def varying(maps: Maps) -> tuple[list[Part], int]:
    """Return the parts' maps that are not constant, less their means, and how many maps are constant."""
    parts, n_constant = [], 0
    for part in maps.parts:
        z, constant = centred(part.values)
        n_constant += int(constant.sum())
        if not constant.all():
            parts.append(replace(part, rows=part.rows[~constant], values=z[~constant]))
    return parts, n_constant


def centred(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return maps minus their means, and which maps (n_maps,) are constant (or have no unit)."""
    if not values.shape[-1]:
        return values, np.ones(len(values), dtype=bool)
    z = values - values.mean(axis=-1, keepdims=True)
    return z, np.abs(z).max(axis=-1) <= ROUNDING * np.abs(values).max(axis=-1)


def stacked(values: Any, *, name: str = "values", units: Sequence[Any] | None = None) -> Maps:
    """Return maps (..., unit) in float64, in the order of the graph's labels where there are; NaN counted."""
    if not isinstance(values, xr.DataArray):
        if units is not None:
            raise ShapeError(f"{name} must be a DataArray with labels, where units are named.")
        array = as_float(values, name=name, ndim=(1, 2), finite=False)
        values = xr.DataArray(array, dims=("map", "unit")[-array.ndim :])
    elif units is not None:
        dim = str(values.dims[-1])
        order = xr.DataArray(np.zeros(len(units)), dims=dim, coords={dim: list(units)})
        values = align(order, values, on=dim, names=["units", name])[1]
    array = as_float(values.values, name=name, finite=False)
    if np.isinf(array).any():
        raise InvalidValueError(f"{name}: {int(np.isinf(array).sum())} values are infinite.")
    if not array.ndim or not array.size:
        raise ShapeError(f"{name} must be (..., unit) with some values; got shape {array.shape}.")
    return Maps(values.copy(data=array), [], {"n_missing": int(np.isnan(array).sum())})
