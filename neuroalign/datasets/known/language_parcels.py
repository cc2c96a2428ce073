"""Where language is processed in most brains: parcels of Wolna et al. 2025, in MNI space and on fsaverage."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import io
from ...errors import FileError, choice
from ...io.grids import HEMISPHERES
from ...io.images import read_nifti
from ...io.parsing import parsing
from ..sources import Source

__all__ = ["labels", "surface", "volume"]

LABELS = "labels_symmetrical"
VOLUME = "langParcels_symmetrical.nii.gz"
SURFACES = {"left": "lh_langParcels_symmetrical.mgh", "right": "rh_langParcels_symmetrical.mgh"}
SHAPE, N_VERTICES = (91, 109, 91), 163_842
N_PARCELS = 13
# The images number the right hemisphere from 19, the table from 14.
RIGHT_IN_IMAGE, RIGHT_IN_TABLE = 19, 14


def volume(source: Source) -> xr.DataArray:
    """Return the parcel of each voxel (neuroid 41,347) of the 26 parcels, in MNI space at 2 mm.

    The parcels were found by a group-constrained search in maps of 706 people, and made the same on both
    sides. ``read_volumes(..., parcels=datasets.load("language_parcels"))`` averages
    over them; with ``resample=True`` on another grid of the same space.

    Returns
    -------
    DataArray (neuroid,) of int
        The parcel's number in the table: 1 to 13 left, 14 to 26 right. Along neuroid: the label "i-j-k",
        voxel indices i, j, k, positions x, y, z in mm (MNI), ``hemisphere`` and ``roi`` ("left IFG").
        ``attrs`` holds ``affine`` and ``shape``.

    Raises
    ------
    FileError
        If a file is not the one in the manifest, or does not hold the parcels that are expected.
    """
    path = source.file(VOLUME)
    values = _values(path)
    if values.shape != SHAPE:
        raise FileError(f"{VOLUME} must be a volume of shape {SHAPE}; got {values.shape}.")
    numbers = _numbers(values, range(1, 2 * N_PARCELS + 1), VOLUME)
    inside = numbers > 0
    return _labelled(source, read_nifti(path, mask=inside).copy(data=numbers[inside]))


def surface(source: Source, *, hemisphere: str = "left") -> xr.DataArray:
    """Return the parcel of each vertex of one hemisphere's 11 parcels of the cortex, on fsaverage.

    Parameters
    ----------
    source : Source
    hemisphere : {"left", "right"}

    Returns
    -------
    DataArray (neuroid,) of int
        The parcel's number as in ``volume`` (those of the cerebellum are not on the surface). Along neuroid:
        the label "left/123", ``hemisphere``, ``vertex`` (from 0, of 163,842), ``roi``. ``attrs`` holds
        ``n_vertices``.
    """
    if hemisphere not in HEMISPHERES:
        raise choice(hemisphere, HEMISPHERES, name="hemisphere")
    path = SURFACES[hemisphere]
    first = 1 if hemisphere == "left" else RIGHT_IN_TABLE
    values = _vertices(source, path)
    numbers = _numbers(values, range(first, first + N_PARCELS - 2), path)
    vertex = np.flatnonzero(numbers)
    coords: dict[str, Any] = {
        "neuroid": [f"{hemisphere}/{v}" for v in vertex.tolist()],
        "vertex": ("neuroid", vertex),
    }
    attrs = {"n_vertices": N_VERTICES}
    return _labelled(source, xr.DataArray(numbers[vertex], dims=("neuroid",), coords=coords, attrs=attrs))


def labels(source: Source) -> pd.DataFrame:
    """Return the 26 parcels: index, hemisphere, label as published, and name ("left IFG"), as BIDS has it."""
    table = io.read_table(source.file(LABELS), text=("hemisphere", "label"))
    sides = ["left"] * N_PARCELS + ["right"] * N_PARCELS
    if (
        list(table.columns) != ["roiNumber", "hemisphere", "label"]
        or table["roiNumber"].tolist() != list(range(1, 2 * N_PARCELS + 1))
        or table["hemisphere"].tolist() != sides
    ):
        raise FileError(f"{LABELS} must name 13 parcels on the left, 1 to 13, then 13 on the right.")
    table = table.rename(columns={"roiNumber": "index"})
    table["label"] = table["label"].str.strip()
    table["name"] = table["hemisphere"] + " " + table["label"]
    table.attrs.update(source.attrs())
    return table


def _values(path: Path) -> np.ndarray:
    """Return the values of a NIfTI or MGH file, which is closed again."""
    import nibabel as nib
    from nibabel.fileholders import FileHolder

    kind = nib.MGHImage if path.suffix == ".mgh" else nib.Nifti1Image
    with (
        parsing(f"{path} is no image of parcels, or a damaged one"),
        gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file,
    ):
        return np.asarray(kind.from_file_map({"image": FileHolder(fileobj=file)}).dataobj)


def _vertices(source: Source, path: str) -> np.ndarray:
    values = _values(source.file(path))
    if values.size != N_VERTICES:
        raise FileError(f"{path} must hold {N_VERTICES} vertices; got shape {values.shape}.")
    return values.reshape(-1)


def _numbers(values: np.ndarray, expected: range, path: str) -> np.ndarray:
    """Return the table's numbers, 0 where there is none, and refuse other parcels than those expected."""
    whole = np.where(values >= RIGHT_IN_IMAGE, values - RIGHT_IN_IMAGE + RIGHT_IN_TABLE, values)
    if not np.array_equal(np.unique(whole), [0, *expected]) or ((values > N_PARCELS) & (values < 19)).any():
        raise FileError(f"{path} must hold the parcels {expected[0]} to {expected[-1]}, and 0 elsewhere.")
    return whole.astype(np.int64)


def _labelled(source: Source, parcels: xr.DataArray) -> xr.DataArray:
    table = labels(source).set_index("index").loc[parcels.values]
    named = parcels.assign_coords(
        hemisphere=("neuroid", table["hemisphere"].to_numpy(dtype=np.str_)),
        roi=("neuroid", table["name"].to_numpy(dtype=np.str_)),
    )
    return named.assign_attrs(source.attrs(units="number of the parcel")).rename("parcel")
