"""From labelled scores to the stack of maps that clusters are looked for in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, listing
from ..schema import align, labels
from .adjacency import neighbour_pairs

__all__ = ["Maps", "difference", "in_order", "prepared"]

# By how much of a step the distances between times may differ.
UNEVEN = 1e-3
# A variance below this share of the mean square is rounding.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Maps:
    """Scores of subjects as maps over places and times.

    Attributes
    ----------
    values : array (n_subjects, n_maps, n_places, n_times)
        0 where missing.
    count, defined : array (n_maps, n_places, n_times)
        How many subjects have a score, and where they differ, so that there is a statistic.
    edges : array (n_edges, 2) of int or None
        Neighbouring places.
    template : DataArray
        Its dims are those of the result, in the order of the maps.
    further : tuple of dims
        Whose labels have a map each.
    """

    values: np.ndarray
    count: np.ndarray
    defined: np.ndarray
    edges: np.ndarray | None
    template: xr.DataArray
    further: tuple[Any, ...]


def difference(values: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    """Return ``values - other``, with every dim aligned by label and no label dropped."""
    if set(values.dims) != set(other.dims):
        raise ShapeError(f"other must have the dims of values, {values.dims}; got {other.dims}.")
    for dim in values.dims:
        if dim in values.coords or dim in other.coords or dim == "subject":
            values, other = align(values, other, on=str(dim), names=("values", "other"))
        elif values.sizes[dim] != other.sizes[dim]:
            raise ShapeError(f"other has {other.sizes[dim]} along {dim!r}; values have {values.sizes[dim]}.")
    subtracted = as_float(other.transpose(*values.dims).values, name="other", finite=False)
    return values.copy(data=as_float(values.values, name="values", finite=False) - subtracted)


def prepared(x: Any, adjacency: Any, missing: str) -> Maps:
    """Return scores in the order subject, map, place, time, with times in order, or refuse them."""
    if not isinstance(x, xr.DataArray) or "subject" not in x.dims:
        raise ShapeError(f"values need a dim 'subject'; got {getattr(x, 'dims', type(x).__name__)}.")
    if len(labels(x, on="subject", name="values")) < 2:
        raise ShapeError(f"a test over subjects needs at least 2; got {x.sizes['subject']}.")
    place, edges = (None, None) if adjacency is None else neighbour_pairs(adjacency, x)
    inner = [dim for dim in (place, "time") if dim in x.dims]
    if not inner:
        raise ShapeError(
            f"clusters need a dim 'time' or an adjacency; got {x.dims}. For single tests take sign_flips and "
            "max_p."
        )
    if "time" in x.coords:
        x = in_order(x)
    further = tuple(dim for dim in x.dims if dim not in ("subject", *inner))
    x = x.transpose("subject", *further, *inner)
    raw = as_float(x.values, name="values", finite=False)
    if not raw.size:
        raise ShapeError(f"values are empty; their sizes are {dict(x.sizes)}.")
    _refuse_undefined(raw, x["subject"].values, missing)
    shape = (len(raw), -1, 1 if place is None else x.sizes[place], x.sizes.get("time", 1))
    known = ~np.isnan(raw).reshape(shape)
    values = np.where(known, raw.reshape(shape), 0.0)
    count = known.sum(axis=0)
    square = (values**2).sum(axis=0)
    centred = np.where(known, values - values.sum(axis=0) / np.maximum(count, 1), 0.0)
    # One subject alone does not differ from its mean.
    defined = (centred**2).sum(axis=0) > ROUNDING * square
    return Maps(values, count, defined, edges, x.isel(subject=0, drop=True), further)


def in_order(x: xr.DataArray) -> xr.DataArray:
    """Return ``x`` in the order of its times, or refuse times that are not evenly spaced."""
    times = as_float(labels(x, on="time", name="values"), name="times")
    order = np.argsort(times, kind="stable")
    steps = np.diff(times[order])
    if len(steps) and np.ptp(steps) > UNEVEN * steps.mean():
        raise InvalidValueError(
            f"times must be evenly spaced; steps are {steps.min():g} to {steps.max():g}. Take the stretches "
            "apart, or resample."
        )
    return x.isel(time=order)


def _refuse_undefined(raw: np.ndarray, subjects: np.ndarray, missing: str) -> None:
    bad = np.isinf(raw) if missing == "omit" else ~np.isfinite(raw)
    if bad.any():
        whose = subjects[bad.reshape(len(raw), -1).any(axis=1)]
        way = "" if missing == "omit" else " Pass missing='omit' to leave a subject out where it has NaN."
        raise InvalidValueError(
            f"values must be finite; {int(bad.sum())} of {raw.size} are not, of {listing(whose)}.{way}"
        )
