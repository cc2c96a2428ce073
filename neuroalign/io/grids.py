"""Where neuroids lie in a volume or on a surface, checked: inside, whole, and none twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing

__all__ = ["HEMISPHERES", "as_affine", "as_shape", "on_hemisphere", "vertices_of", "voxels_of"]

# Our word and GIfTI's.
HEMISPHERES = {"left": "CortexLeft", "right": "CortexRight"}
# How far a position may lie from the middle of its voxel, in voxels: coordinates are often rounded.
OFF_CENTRE = 0.02


def as_affine(affine: Any) -> np.ndarray:
    """Return the affine as (4, 4) float64, or refuse what is none."""
    if affine is None:
        raise ShapeError('a volume needs its affine. Pass affine=..., or set values.attrs["affine"].')
    matrix = as_float(affine, name="affine", ndim=2)
    if matrix.shape != (4, 4) or matrix[3].tolist() != [0, 0, 0, 1] or np.linalg.det(matrix) == 0:
        raise ShapeError(
            f"affine must be an invertible (4, 4) matrix that ends in 0, 0, 0, 1; got {matrix.tolist()}."
        )
    return matrix


def as_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape of a volume as three positive integers."""
    if shape is None:
        raise ShapeError('a volume needs its shape. Pass shape=(i, j, k), or set values.attrs["shape"].')
    sizes = tuple(int(size) for size in shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ShapeError(f"shape must be three positive numbers; got {shape!r}.")
    return sizes


def voxels_of(values: xr.DataArray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the voxel indices (n_neuroids, 3), each checked to lie inside and to come once."""
    if all(name in values.coords for name in "ijk"):
        places = _columns(values, "ijk")
        voxels, slack, what = np.round(places), 0.0, "voxel indices i, j, k must be whole numbers"
    elif all(name in values.coords for name in "xyz"):
        places = (_columns(values, "xyz") - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        voxels, slack, what = (
            np.round(places),
            OFF_CENTRE,
            "x, y, z must be the middle of a voxel of the grid",
        )
    else:
        raise LabelError(
            "a volume needs voxel indices i, j, k or positions x, y, z along neuroid; got "
            f"{listing(values.coords)}."
        )
    off = np.flatnonzero((np.abs(places - voxels) > slack).any(axis=1))
    if off.size:
        raise InvalidValueError(
            f"{what}; {off.size} of {len(places)} are not, the first at {places[off[0]].round(3).tolist()}."
        )
    outside = np.flatnonzero(((voxels < 0) | (voxels >= shape)).any(axis=1))
    if outside.size:
        raise ShapeError(
            f"{outside.size} of {len(voxels)} voxels lie outside of the volume {shape}; the first is "
            f"{voxels[outside[0]].astype(int).tolist()}."
        )
    _refuse_repeated(voxels.astype(np.intp), "voxel")
    return voxels.astype(np.intp)


def vertices_of(values: xr.DataArray, size: int) -> np.ndarray:
    """Return the vertex numbers (n_neuroids,), each checked to lie on the surface and to come once."""
    if "vertex" not in values.coords:
        raise LabelError(
            f"a surface needs the coordinate 'vertex' along neuroid; got {listing(values.coords)}."
        )
    places = _columns(values, ("vertex",))
    if (places != np.round(places)).any():
        raise InvalidValueError("vertices must be whole numbers.")
    outside = np.flatnonzero((places < 0) | (places >= size))
    if outside.size:
        raise ShapeError(
            f"{outside.size} vertices lie outside of the surface of {size}; the first is "
            f"{places[outside[0], 0]:g}."
        )
    _refuse_repeated(places.astype(np.intp), "vertex")
    return places[:, 0].astype(np.intp)


def _columns(values: xr.DataArray, names: Any) -> np.ndarray:
    for name in names:
        if values[name].dims != ("neuroid",):
            raise ShapeError(f"{name!r} must be a coordinate along neuroid; got dims {values[name].dims}.")
    return np.stack([as_float(values[name].values, name=name) for name in names], axis=1)


def _refuse_repeated(places: np.ndarray, what: str) -> None:
    unique, counts = np.unique(places, axis=0, return_counts=True)
    if (counts > 1).any():
        raise LabelError(
            f"{int((counts > 1).sum())} places hold several neuroids, the first is {what} "
            f"{unique[counts > 1][0].tolist()}. Select one subject, or average them first."
        )


def on_hemisphere(values: xr.DataArray, hemisphere: str) -> xr.DataArray:
    """Return the neuroids of a hemisphere, or all where no coordinate tells."""
    if hemisphere not in HEMISPHERES:
        raise choice(hemisphere, HEMISPHERES, name="hemisphere")
    if "hemisphere" not in values.coords or values["hemisphere"].dims != ("neuroid",):
        return values
    inside = values["hemisphere"].values == hemisphere
    if not inside.any():
        found = np.unique(values["hemisphere"].values)
        raise LabelError(f"no neuroid lies in the hemisphere {hemisphere!r}; there are {listing(found)}.")
    return values.isel(neuroid=inside)
