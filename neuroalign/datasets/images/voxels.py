"""Which voxels of a grid are read, and the labels of what was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .grids import Grid, as_binary, on_grid
from .parcels import Parcels, make_parcels, read_names
from .pooling import Pooled

__all__ = ["label_voxels", "take_voxels"]


def take_voxels(
    grid: Grid, mask: Any, parcels: Any, parcel_names: Any, resample: bool
) -> tuple[np.ndarray | Parcels, dict[str, Any]]:
    """Return the voxels or parcels that are read, and where mask and parcels came from.

    Voxels are numbered with the first index running fastest, as they lie in the file, and listed with the
    last one running fastest.
    """
    about: dict[str, Any] = {}
    inside = np.ones(grid.shape, dtype=bool)
    if mask is not None:
        values, about["mask"] = on_grid(mask, grid, name="mask", resample=resample)
        inside = as_binary(values, name=f"mask {about['mask']['file']}")
    if parcels is None:
        voxels = np.argwhere(inside)
        return np.asarray(np.ravel_multi_index(tuple(voxels.T), grid.shape, order="F")), about
    values, about["parcels"] = on_grid(parcels, grid, name="parcels", resample=resample)
    found = make_parcels(
        values.ravel(order="F"),
        read_names(parcel_names, parcels),
        inside=inside.ravel(order="F"),
        title=f"parcels {about['parcels']['file']}",
    )
    return found, about


def label_voxels(
    pooled: Pooled, dims: tuple[str, str], coords: dict[str, Any], grid: Grid, subject: str | None
) -> xr.DataArray:
    """Return the values with their coordinates along neuroid, the grid, and the counts."""
    taken = pooled.taken
    places = taken.places if isinstance(taken, Parcels) else taken
    voxels = np.stack(np.unravel_index(places, grid.shape, order="F"), axis=1)
    positions = voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    coords = dict(coords)
    if isinstance(taken, Parcels):
        coords |= parcel_coords(taken, positions)
    else:
        coords["neuroid"] = ["-".join(map(str, voxel)) for voxel in voxels.tolist()]
        coords |= {name: ("neuroid", voxels[:, axis]) for axis, name in enumerate("ijk")}
        coords |= {name: ("neuroid", positions[:, axis]) for axis, name in enumerate("xyz")}
    if subject is not None:
        coords["subject"] = ("neuroid", np.full(pooled.values.shape[1], subject))
    attrs = {"affine": grid.affine.tolist(), "shape": list(grid.shape), **pooled.counts}
    if isinstance(taken, Parcels):
        attrs["empty_parcels"] = list(taken.empty)
    return xr.DataArray(pooled.values, dims=dims, coords=coords, attrs=attrs)


def parcel_coords(parcels: Parcels, positions: np.ndarray) -> dict[str, Any]:
    """Return label, roi, number, size and mean position (mm) of each parcel."""
    middle = parcels.means(positions.T)
    return {
        "neuroid": parcels.names,
        "roi": ("neuroid", parcels.names),
        "parcel": ("neuroid", parcels.values),
        "n_voxels": ("neuroid", parcels.sizes),
        **{name: ("neuroid", middle[axis]) for axis, name in enumerate("xyz")},
    }
