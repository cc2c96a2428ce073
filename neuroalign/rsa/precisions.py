"""A labelled precision as an array that matches labelled patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError
from ..schema import align, labels

__all__ = ["is_symmetric", "precision_values", "unit_order"]

BLOCK = 512
SYMMETRY = 1e-8


def precision_values(
    noise: Any, patterns: xr.DataArray, unit: str, *, folds: str | None = None, fold_labels: Any = None
) -> np.ndarray:
    """Return a precision as an array in the order of the patterns' units (and folds), checked.

    (n_units, n_units), or (n_folds, n_units, n_units) where the noise has the dim ``folds``.
    """
    n_units, wanted = patterns.sizes[unit], (unit, f"{unit}_b")
    if not isinstance(noise, xr.DataArray):
        raise ShapeError(
            f"noise must be an xarray.DataArray {wanted}, see noise_precision; got {type(noise).__name__}."
        )
    per_fold = folds is not None and noise.dims == (folds, *wanted)
    if (noise.dims != wanted and not per_fold) or noise.shape[-2:] != (n_units, n_units):
        also = f" or {(folds, *wanted)}" if folds else ""
        raise ShapeError(
            f"noise must have dims {wanted}{also} with {n_units} {unit}s; got {noise.dims} of shape "
            f"{noise.shape}."
        )
    if noise.dtype.kind != "f":
        raise InvalidValueError(f"noise must be real floating point numbers; got dtype {noise.dtype}.")
    if per_fold:
        template = xr.DataArray(np.zeros(len(fold_labels)), dims=folds, coords={folds: fold_labels})
        noise = align(template, noise, on=str(folds), names=["patterns", "noise"])[1]
    _check_labels(noise, unit)
    order = unit_order(noise, patterns, unit)
    values = noise.values if order is None else noise.values[..., order[:, None], order]
    for i, one in enumerate(values.reshape(-1, n_units, n_units)):
        where = f" of {folds} {fold_labels[i]!r}" if per_fold else ""
        if not np.isfinite(one).all():
            n_bad = int((~np.isfinite(one)).sum())
            raise InvalidValueError(f"noise{where} must be finite; {n_bad} of {one.size} values are not.")
        if not is_symmetric(one):
            gap = float(np.abs(one - one.T).max())
            raise InvalidValueError(
                f"noise{where} must be symmetric, as a precision is; it is off by {gap:g}."
            )
    return values


def unit_order(noise: xr.DataArray, patterns: xr.DataArray, unit: str) -> np.ndarray | None:
    """Return where in ``noise`` each unit of the patterns is; None where the order is the same.

    Without labels in either of them the order is taken as it is.
    """
    labelled = [unit in patterns.coords, unit in noise.coords]
    if noise.sizes[unit] != patterns.sizes[unit]:
        raise ShapeError(f"patterns have {patterns.sizes[unit]} {unit}s and noise has {noise.sizes[unit]}.")
    if not any(labelled):
        return None
    if not all(labelled):
        have, lack = ("patterns", "noise") if labelled[0] else ("noise", "patterns")
        raise LabelError(f"{have} have labels along {unit!r} and {lack} have none; they cannot be matched.")
    wanted = labels(patterns, on=unit, name="patterns")
    found = labels(noise, on=unit, name="noise")
    if np.array_equal(found, wanted):
        return None
    template = xr.DataArray(np.zeros(len(wanted)), dims=unit, coords={unit: wanted})
    place = xr.DataArray(np.arange(len(found)), dims=unit, coords={unit: found})
    return align(template, place, on=unit, names=["patterns", "noise"])[1].values


def is_symmetric(matrix: np.ndarray) -> bool:
    """Return whether a square matrix equals its transpose, up to a share of its largest value."""
    largest = max(matrix.max(), -matrix.min())
    return all(
        np.abs(matrix[i : i + BLOCK] - matrix[:, i : i + BLOCK].T).max() <= SYMMETRY * largest
        for i in range(0, len(matrix), BLOCK)
    )


def _check_labels(noise: xr.DataArray, unit: str) -> None:
    other = f"{unit}_b"
    if (unit in noise.coords) != (other in noise.coords) or (
        unit in noise.coords and not np.array_equal(noise[unit].values, noise[other].values)
    ):
        raise LabelError(f"noise: the labels of {unit!r} and {other!r} must be the same in the same order.")
