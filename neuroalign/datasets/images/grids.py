"""Grids of volumes compared: the same voxels, or what differs and by how much, with both grids named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import FileError, InvalidValueError, ShapeError
from ...io.images import nifti_image, refuse_huge_image
from ...io.parsing import parsing

__all__ = ["Grid", "as_binary", "difference", "grid_of", "load_image", "on_grid"]

# How far the corners of two volumes may lie apart, in voxels: programs round affines to float32.
TOLERANCE = 0.01
# Smallest over largest singular value, at or below which float32 cannot tell an affine from a singular one.
SINGULAR = 1e-6


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of an image lie: its shape, and the affine from voxel indices to mm."""

    name: str
    shape: tuple[int, ...]
    affine: np.ndarray

    def __str__(self) -> str:
        rows = ", ".join("[" + ", ".join(f"{x:.6g}" for x in row) + "]" for row in self.affine[:3])
        return f"{self.name} has shape {self.shape} and affine [{rows}]"


def load_image(source: Any, *, name: str) -> tuple[Any, str]:
    """Return a nibabel volume and what to call it, from a path or an image; nothing is read but the header.

    Raises
    ------
    FileError
        If the file is missing, or no image.
    ShapeError
        If it is neither a path nor an image, or an image of a surface.
    """
    import nibabel as nib
    from nibabel.spatialimages import SpatialImage

    image = source
    if isinstance(source, str | Path):
        path = Path(source)
        name = path.name
        if not path.is_file():
            raise FileError(f"{path} does not exist.")
        with parsing(f"{path} is no image, or a damaged one"):
            image = nib.load(path)
            if isinstance(image, SpatialImage):
                refuse_huge_image(image, path)
    if isinstance(image, nib.cifti2.Cifti2Image):
        raise ShapeError(f"{name} is a CIFTI file, not a volume. Read it with read_cifti.")
    if isinstance(image, nib.gifti.GiftiImage):
        raise ShapeError(f"{name} is a GIfTI surface, not a volume. Read it with read_surfaces.")
    if not isinstance(image, SpatialImage):
        raise ShapeError(f"{name} must be a path or a nibabel image; got {type(source).__name__}.")
    return image, name


def grid_of(image: Any, name: str, *, beside: Grid | None = None) -> Grid:
    """Return the grid of an image, or refuse an affine that is not finite or not invertible.

    Parameters
    ----------
    image : nibabel image
    name : str
    beside : Grid, optional
        The grid that it should be; named in the error.
    """
    affine = (
        np.asarray(image.affine, dtype=np.float64) if image.affine is not None else np.full((4, 4), np.nan)
    )
    grid = Grid(name, tuple(int(n) for n in image.shape[:3]), affine)
    wrong = None
    if not np.isfinite(affine).all():
        wrong = "is not finite"
    else:
        sizes = np.linalg.svd(affine[:3, :3], compute_uv=False)
        if sizes[-1] <= SINGULAR * sizes[0]:
            wrong = "is singular: some axis has no length"
    if wrong:
        other = f"; {beside}" if beside else ""
        raise ShapeError(f"the affine of {name} {wrong}. {grid}{other}. Mend the header of {name}.")
    return grid


def difference(a: Grid, b: Grid) -> str | None:
    """Return in words how the second grid differs from the first; None where they are the same voxels.

    They are the same if shapes are, and no corner of the volume lies further than 1 % of a voxel from where
    it should.

    Examples
    --------
    >>> affine = np.diag([3.0, 3, 3, 1])
    >>> moved = affine + np.array([[0, 0, 0, 1.5], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    >>> difference(Grid("bold", (4, 4, 3), affine), Grid("mask", (4, 4, 3), moved))
    'it is shifted by (1.5, 0, 0) mm'
    """
    if a.shape != b.shape:
        return "it has another shape"
    change = b.affine - a.affine
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in a.shape], [1], indexing="ij")).reshape(4, -1)
    linear, lengths = a.affine[:3, :3], np.linalg.norm(a.affine[:3, :3], axis=0)
    limit = TOLERANCE * lengths.min()
    if np.linalg.norm((change @ corners)[:3], axis=0).max() <= limit:
        return None
    other = b.affine[:3, :3]
    span = np.maximum(np.array(a.shape) - 1, 1)
    if (np.linalg.norm((other - linear) * span, axis=0) <= limit).all():
        return f"it is shifted by ({', '.join(f'{x:.4g}' for x in change[:3, 3])}) mm"
    if (np.abs(np.linalg.norm(other, axis=0) - lengths) > TOLERANCE * lengths).any():
        return "its voxels have another size"
    flipped = np.linalg.norm(other + linear, axis=0) <= TOLERANCE * lengths
    if (flipped | (np.linalg.norm(other - linear, axis=0) <= TOLERANCE * lengths)).all():
        return f"it is flipped along {' and '.join(np.array(list('ijk'))[flipped])}"
    return "it is rotated"


def as_binary(values: np.ndarray, *, name: str) -> np.ndarray:
    """Return a mask as booleans, or refuse values other than 0 and 1, and a mask without any 1."""
    if values.dtype.kind not in "biuf":
        raise InvalidValueError(f"{name} must hold 0 and 1; got dtype {values.dtype}.")
    n_nan = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
    if n_nan:
        raise InvalidValueError(
            f"{name} holds NaN in {n_nan} of {values.size} places. Set them to 0 or 1 in the mask."
        )
    other = (values != 0) & (values != 1)
    if other.any():
        raise InvalidValueError(
            f"{name} must hold 0 and 1 only; {int(other.sum())} of {values.size} values are others, such as "
            f"{values[other][0]:g}. Pass a mask that is cut at a threshold, or parcels=... for labels."
        )
    if not values.any():
        raise InvalidValueError(f"{name} is empty: none of its {values.size} places is 1.")
    return values.astype(bool)


def on_grid(source: Any, grid: Grid, *, name: str, resample: bool) -> tuple[np.ndarray, dict[str, str]]:
    """Return a mask's or parcels' values on the grid of the images, and where they came from.

    Parameters
    ----------
    source : path, nibabel image, array (n_i, n_j, n_k), or DataArray (neuroid,)
        An array has no grid of its own: only its shape is checked. A DataArray holds voxels as
        ``io.read_nifti`` returns them; where it has none, the value is 0.
    grid : Grid
    name : {"mask", "parcels"}
    resample : bool
        Whether another grid is allowed: the nearest voxel's value is taken.

    Returns
    -------
    values : array of ``grid.shape``
    about : dict
        ``file``, ``sha256`` of the values, and ``resampled``, what differed, where they were resampled.
    """
    if isinstance(source, np.ndarray):
        if source.shape != grid.shape:
            raise ShapeError(f"{name} must have the shape of the images; got {source.shape}, but {grid}.")
        values, about = source, {"file": "array"}
    else:
        image, title = _image(source, name)
        own, values = grid_of(image, title, beside=grid), _whole(image, title, grid)
        about, differs = {"file": title}, difference(grid, own)
        if differs and not resample:
            raise ShapeError(
                f"{name} {title} does not lie on the grid of the images: {differs}. {own}; {grid}. Pass "
                f"resample=True to resample {name} to the images (nearest neighbour)."
            )
        if differs:
            _refuse_fractions(values, name=f"{name} {title}")
            found = _resampled(values, own, grid)
            about["resampled"] = differs
            if found is None or not found.any():
                raise ShapeError(f"{name} {title} has no voxel within the images. {own}; {grid}.")
            values = found
    about["sha256"] = hashlib.sha256(f"{values.dtype.str}".encode() + values.tobytes()).hexdigest()
    return values, about


def _image(source: Any, name: str) -> tuple[Any, str]:
    if isinstance(source, xr.DataArray):
        return nifti_image(source.astype(np.float64), fill=0.0, dtype="float64"), name
    return load_image(source, name=name)


def _whole(image: Any, name: str, grid: Grid) -> np.ndarray:
    """Return the values of a 3-D image."""
    if image.ndim != 3 and image.shape[3:] != (1,):
        raise ShapeError(f"{name} must be a volume of three dims; got shape {image.shape}, and {grid}.")
    with parsing(f"{name} is damaged or cut short"):
        return np.asanyarray(image.dataobj).reshape(image.shape[:3])


def _refuse_fractions(values: np.ndarray, *, name: str) -> None:
    wrong = values != np.round(values) if values.dtype.kind == "f" else np.zeros(1, dtype=bool)
    if wrong.any():
        raise InvalidValueError(
            f"{name} must hold whole numbers; {int(wrong.sum())} of {values.size} values are none, such as "
            f"{values[wrong][0]:g}."
        )


def _resampled(values: np.ndarray, own: Grid, grid: Grid) -> np.ndarray | None:
    """Return the nearest voxel's value at each voxel of the grid; None where the two do not meet.

    A voxel reaches half its size around its middle. (nilearn's ``resample_img`` ends at the middles of the
    outermost voxels, and by rounding even before: the border of a slab is lost.) Of two voxels equally near
    the one with the larger index is taken, whatever the rounding.
    """
    to_own = np.linalg.inv(own.affine) @ grid.affine
    voxels = np.indices(grid.shape).reshape(3, -1)
    nearest = np.floor(to_own[:3, :3] @ voxels + to_own[:3, 3:] + 0.5 + 1e-6).astype(np.int64)
    inside = ((nearest >= 0) & (nearest < np.reshape(values.shape, (3, 1)))).all(axis=0)
    if not inside.any():
        return None
    found = np.zeros(grid.shape, dtype=np.int32)
    found.reshape(-1)[inside] = values[tuple(nearest[:, inside])]
    return found
