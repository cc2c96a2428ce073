"""From labelled patterns to observations with codes: which stimulus, which fold, in which dims."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import labels

__all__ = ["Design", "arrange", "fold_means", "presentation_means", "unit_dim"]


class Design(NamedTuple):
    """Patterns as (n_stacked, n_observations, n_units) and what every observation is.

    ``stimulus`` and ``fold`` are codes (n_observations,) into ``stimuli`` and ``folds``; without folds every
    observation is in fold 0. ``leading`` are the names of the dims that were stacked.
    """

    values: np.ndarray
    stimulus: np.ndarray
    fold: np.ndarray
    stimuli: np.ndarray
    folds: np.ndarray
    leading: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, Any]
    unit: str

    @property
    def is_plain(self) -> bool:
        """Whether there is one observation a stimulus, in the order of the stimuli."""
        return len(self.stimulus) == len(self.stimuli)


def arrange(patterns: xr.DataArray, folds: str | None) -> Design:
    """Return patterns in either layout as observations.

    One layout has the dims ``stimulus`` (unique labels) and, with ``folds``, a dim of that name. The other
    has one dim of observations, with coordinates ``stimulus`` (labels repeat) and, with ``folds``, the fold.
    """
    unit = unit_dim(patterns, "patterns")
    if patterns.dtype.kind not in "fiub":
        raise InvalidValueError(f"patterns must be real numbers; got dtype {patterns.dtype}.")
    in_dims = "stimulus" in patterns.dims and (folds is None or folds in patterns.dims)
    return _of_dims(patterns, folds, unit) if in_dims else _of_observations(patterns, folds, unit)


def unit_dim(x: xr.DataArray, name: str) -> str:
    """Return the name of the dim of units, ``unit`` or ``neuroid``."""
    if not isinstance(x, xr.DataArray):
        raise ShapeError(f"{name} must be an xarray.DataArray; got {type(x).__name__}.")
    found = [dim for dim in ("unit", "neuroid") if dim in x.dims]
    has_stimulus = "stimulus" in x.dims or "stimulus" in x.coords
    if name == "patterns" and (len(found) != 1 or not has_stimulus):
        raise ShapeError(f"{name} need a dim 'stimulus' and one of 'unit' or 'neuroid'; got dims {x.dims}.")
    if len(found) != 1:
        raise ShapeError(f"{name} must have one of 'unit' or 'neuroid' among its dims; got {x.dims}.")
    return found[0]


def presentation_means(x: np.ndarray, design: Design) -> np.ndarray:
    """Return the means (n_stimuli, n_units) over the observations of each stimulus."""
    if design.is_plain:
        return x
    return _cell_means(x, design.stimulus, len(design.stimuli))


def fold_means(x: np.ndarray, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Return means (n_folds, n_stimuli, n_units) and which exist (n_folds, n_stimuli); the rest is 0."""
    shape = len(design.folds), len(design.stimuli)
    cell = design.fold * shape[1] + design.stimulus
    present = np.bincount(cell, minlength=shape[0] * shape[1]) > 0
    means = _cell_means(x, cell, len(present))
    return means.reshape(*shape, -1), present.reshape(shape)


def _of_dims(patterns: xr.DataArray, folds: str | None, unit: str) -> Design:
    stimuli = labels(patterns, on="stimulus", name="patterns")
    order = (folds, "stimulus", unit) if folds else ("stimulus", unit)
    patterns = patterns.transpose(..., *order)
    n_folds = patterns.sizes[folds] if folds else 1
    if folds and folds in patterns.coords:
        found = labels(patterns, on=folds, name="patterns")
    else:
        found = np.arange(n_folds)
    return _design(
        patterns,
        np.tile(np.arange(len(stimuli)), n_folds),
        np.repeat(np.arange(n_folds), len(stimuli)),
        stimuli,
        found,
        len(order),
        unit,
    )


def _of_observations(patterns: xr.DataArray, folds: str | None, unit: str) -> Design:
    if "stimulus" not in patterns.coords or len(patterns["stimulus"].dims) != 1:
        raise LabelError("patterns need labels 'stimulus' along one dim; see schema.NOUNS.")
    dim = patterns["stimulus"].dims[0]
    if folds is not None and (folds not in patterns.coords or patterns[folds].dims != (dim,)):
        raise LabelError(
            f"patterns have neither a dim {folds!r} nor a coordinate {folds!r} along {dim!r}; they have dims "
            f"{patterns.dims} and coordinates {listing(patterns.coords, limit=20)}. Name the folds with "
            "folds=..."
        )
    patterns = patterns.transpose(..., dim, unit)
    stimulus, stimuli = _codes(patterns["stimulus"].values, "stimulus")
    if folds is None:
        fold, found = np.zeros(len(stimulus), dtype=np.intp), np.zeros(1, dtype=int)
    else:
        fold, found = _codes(patterns[folds].values, folds)
    return _design(patterns, stimulus, fold, stimuli, found, 2, unit)


def _design(
    patterns: xr.DataArray,
    stimulus: np.ndarray,
    fold: np.ndarray,
    stimuli: np.ndarray,
    folds: np.ndarray,
    n_own: int,
    unit: str,
) -> Design:
    leading = patterns.dims[:-n_own]
    shape = patterns.shape[:-n_own]
    n_stacked = int(np.prod(shape))
    return Design(
        patterns.values.reshape(n_stacked, len(stimulus), patterns.sizes[unit]),
        stimulus,
        fold,
        stimuli,
        folds,
        tuple(str(dim) for dim in leading),
        shape,
        _leading_coords(patterns, leading),
        unit,
    )


def _leading_coords(patterns: xr.DataArray, leading: tuple[Hashable, ...]) -> dict[str, Any]:
    return {
        str(name): coord.variable
        for name, coord in patterns.coords.items()
        if set(coord.dims) <= set(leading)
    }


def _codes(found: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of labels and the labels in the order in which they first come."""
    codes, unique = pd.factorize(found, use_na_sentinel=True)
    if (codes < 0).any():
        raise LabelError(
            f"patterns: {int((codes < 0).sum())} of {len(codes)} labels of {name!r} are missing."
        )
    return codes, np.asarray(unique)


def _cell_means(x: np.ndarray, cell: np.ndarray, n_cells: int) -> np.ndarray:
    """Return means (n_cells, n_units) of what is not NaN; NaN where there is none, 0 in an empty cell."""
    if np.array_equal(cell, np.arange(n_cells)):
        return x.astype(np.float64, copy=False)
    x = x.astype(np.float64)
    order = np.argsort(cell, kind="stable")
    found, starts, count = np.unique(cell[order], return_index=True, return_counts=True)
    means = np.zeros((n_cells, x.shape[1]))
    if len(found) == len(cell):
        means[found] = x[order]
        return means
    x = x[order]
    known = ~np.isnan(x)
    if known.all():
        means[found] = np.add.reduceat(x, starts, axis=0) / count[:, None]
        return means
    n_known = np.add.reduceat(known, starts, axis=0, dtype=np.intp)
    total = np.add.reduceat(np.where(known, x, 0.0), starts, axis=0)
    means[found] = total / np.where(n_known > 0, n_known, np.nan)
    return means
