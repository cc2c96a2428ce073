"""Voxels with the region that each lies in: what patterns by region are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...errors import InvalidValueError
from .cifti import read_cifti
from .grids import Grid, as_binary, grid_of, load_image, on_grid
from .hemispheres import load_surface, read_surface_parcels
from .parcels import make_parcels, read_names
from .slabs import as_list, open_volumes
from .surfaces import read_surfaces
from .volumes import read_volumes

__all__ = [
    "in_all",
    "label_regions",
    "read_cifti_regions",
    "read_regions",
    "read_surface_regions",
    "region_mask",
]


def read_regions(
    images: Any,
    parcels: Any,
    parcel_names: Any = None,
    *,
    mask: Any = None,
    average: bool = False,
    resample: bool = False,
    **options: Any,
) -> xr.DataArray:
    """Return the runs of one person as a series of the voxels of parcels, each with its ``roi``.

    ``read_volumes`` averages over a parcel; a pattern within a region needs its voxels.

    Parameters
    ----------
    images, mask, resample, **options
        As in ``read_volumes``.
    parcels : path or nibabel image
        Whole numbers, 0 where there is none.
    parcel_names : mapping of int to str, DataFrame, or path, optional
        As in ``read_volumes``.
    average : bool
        Whether a parcel's mean is one neuroid, as ``read_volumes`` does.

    Returns
    -------
    DataArray (time, neuroid)

    Raises
    ------
    ShapeError, InvalidValueError, LabelError, FileError
        As ``read_volumes``.
    """
    if average:
        return read_volumes(
            images, mask=mask, parcels=parcels, parcel_names=parcel_names, resample=resample, **options
        )
    grid = open_volumes(as_list(images)[0], place=1).grid
    inside, regions = region_mask(parcels, parcel_names, mask=mask, grid=grid, resample=resample)
    return label_regions(read_volumes(images, mask=inside, **options), regions)


def read_surface_regions(
    left: Sequence[Any],
    right: Sequence[Any],
    parcels: tuple[Any, Any] | None = None,
    parcel_names: Any = None,
    *,
    average: bool = False,
    **options: Any,
) -> xr.DataArray:
    """Return the runs of one person as a series of vertices, those of parcels with their ``roi``.

    Parameters
    ----------
    left, right : sequence of path or GiftiImage
        One a run.
    parcels : pair (left, right), optional
        As in ``read_surfaces``; all vertices that vary where None.
    parcel_names, average, **options
        As in ``read_regions``. Names of regions have their hemisphere: "left/V1".
    """
    if parcels is None or average:
        return read_surfaces(left, right, parcels=parcels, parcel_names=parcel_names, **options)
    sides = {
        side: load_surface(one, hemisphere=side, place=1)
        for side, one in (("left", left[0]), ("right", right[0]))
    }
    sizes = {side: one.n_vertices for side, one in sides.items()}
    found, _ = read_surface_parcels(
        dict(zip(sides, parcels, strict=True)),
        parcel_names,
        np.ones(sum(sizes.values()), dtype=bool),
        sizes,
        {side: one.name for side, one in sides.items()},
    )
    chosen = np.zeros(sum(sizes.values()), dtype=np.uint8)
    chosen[found.places] = 1
    masks = (chosen[: sizes["left"]], chosen[sizes["left"] :])
    labels = [f"{side}/{vertex}" for side, n in sizes.items() for vertex in range(n)]
    names = found.names[found.member].tolist()
    regions = {labels[place]: name for place, name in zip(found.places.tolist(), names, strict=True)}
    return label_regions(read_surfaces(left, right, mask=masks, **options), regions)


def read_cifti_regions(images: Sequence[Any], parcels: Any = None, **options: Any) -> xr.DataArray:
    """Return the runs of one person as a series of grayordinates, each with its structure as ``roi``.

    With ``parcels`` (a ``.dlabel.nii``) each label's mean is a neuroid.
    """
    series = read_cifti(images, parcels=parcels, **options)
    return series if parcels is not None else series.assign_coords(roi=series["structure"])


def region_mask(
    parcels: Any, names: Any = None, *, mask: Any = None, grid: Grid | None = None, resample: bool = False
) -> tuple[Any, dict[str, str]]:
    """Return a mask image of the voxels of parcels, and the parcel's name of each voxel "i-j-k".

    Voxels are those of ``grid``, the images', where it is given: parcels and mask must lie on it, or are
    brought to it (``resample``). Else they are the parcels' own.

    Examples
    --------
    >>> import nibabel as nib
    >>> image = nib.Nifti1Image(np.array([[[0, 2], [1, 0]]], dtype="uint8"), np.eye(4))
    >>> region_mask(image, {1: "V1", 2: "LOC"})[1]
    {'0-1-0': 'V1', '0-0-1': 'LOC'}
    """
    import nibabel as nib

    image, title = load_image(parcels, name="parcels")
    grid = grid or grid_of(image, title)
    values, _ = on_grid(parcels, grid, name="parcels", resample=resample)
    within = None
    if mask is not None:
        found, _ = on_grid(mask, grid, name="mask", resample=resample)
        within = as_binary(found, name="mask").reshape(-1)
    made = make_parcels(np.asarray(values).reshape(-1), read_names(names), inside=within, title=title)
    chosen = np.zeros(int(np.prod(values.shape)), dtype=np.uint8)
    chosen[made.places] = 1
    voxels = np.stack(np.unravel_index(made.places, values.shape), axis=1).tolist()
    labels = ["-".join(map(str, voxel)) for voxel in voxels]
    regions = dict(zip(labels, made.names[made.member].tolist(), strict=True))
    return nib.Nifti1Image(chosen.reshape(values.shape), grid.affine), regions


def label_regions(x: xr.DataArray, regions: dict[str, str]) -> xr.DataArray:
    """Return an array with the coordinate ``roi`` of its voxels."""
    rois = np.array([regions[label] for label in x["neuroid"].values.tolist()])
    return x.assign_coords(roi=("neuroid", rois))


def in_all(masks: Sequence[Any]) -> Any:
    """Return the image of the voxels that lie within all masks, which must have one grid."""
    import nibabel as nib

    image, title = load_image(masks[0], name="mask")
    grid = grid_of(image, title)
    inside = np.ones(grid.shape, dtype=bool)
    for one in masks:
        values, _ = on_grid(one, grid, name="mask", resample=False)
        inside &= as_binary(values, name=str(one))
    if not inside.any():
        raise InvalidValueError(f"the {len(masks)} masks have no voxel in common.")
    return nib.Nifti1Image(inside.astype(np.uint8), grid.affine)
