"""CIFTI files: vertices of the cortex and voxels below it as one series."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import FileError, InvalidValueError, LabelError, ShapeError, listing
from ...io.digests import file_digest
from ...io.files import DAMAGED
from ...schema import check
from .grayordinates import axes_of, brief, label_grayordinates, load_cifti, places_of, read_label_parcels
from .parcels import Parcels
from .pooling import pool
from .repetition import repetition_time, run_labels, sidecar_time, time_coords
from .slabs import SLAB, as_list

__all__ = ["read_cifti"]

UNITS = {"SECOND": 1.0}


@dataclass(frozen=True, eq=False)
class Dense:
    """A file of n_times rows over grayordinates; values stay on the disk."""

    name: str
    path: Path | None
    image: Any
    rows: Any
    brain: Any

    @property
    def n_times(self) -> int:
        """Number of rows."""
        return int(self.image.shape[0])

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give a few rows (n, n_grayordinates) at a time."""
        step = max(1, SLAB // (4 * self.image.shape[1]))
        values, slope, inter = self._stored()
        for start in range(0, self.n_times, step):
            found = np.asarray(values[start : start + step])
            yield start, found if (slope, inter) == (1, 0) else found * slope + inter

    def _stored(self) -> tuple[Any, float, float]:
        """Return the values as stored, mapped into memory where the file allows it, and their scaling.

        Rows lie apart in the file, so that reading a few of them by themselves would read it all each time.
        """
        import nibabel as nib

        data = self.image.dataobj
        if not nib.is_proxy(data):
            return np.asarray(data), 1.0, 0.0
        try:
            return data.get_unscaled(), float(data.slope), float(data.inter)
        except (*DAMAGED, zlib.error) as error:
            raise FileError(f"{self.name} is damaged or cut short: {error}") from error

    def digest(self) -> str:
        """Return the SHA-256 of the file, or of the values where there is none."""
        if self.path is not None:
            return file_digest(self.path)
        sha = hashlib.sha256()
        for _, block in self.blocks():
            sha.update(np.ascontiguousarray(block, dtype=np.float64).tobytes())
        return sha.hexdigest()


def read_cifti(
    images: Any,
    *,
    structures: Sequence[str] | None = None,
    parcels: Any = None,
    mesh: Any = None,
    tr: float | None = None,
    subject: str | None = None,
    runs: Sequence[Any] | None = None,
    missing: str = "keep",
    dtype: str = "float32",
    progress: bool = True,
) -> xr.DataArray:
    """Return dense CIFTI files of one person as a series (time, neuroid), or maps (map, neuroid).

    All grayordinates of the structures are read, also those that are constant, since the file has left out
    what is not brain; ``attrs`` counts them.

    Parameters
    ----------
    images : path, Cifti2Image, or list of them
        ``.dtseries.nii``, one a run; or one ``.dscalar.nii``, whose rows are maps with names.
    structures : sequence of str, optional
        Such as "cortex_left" or "thalamus_right"; all where None.
    parcels : path to a ``.dlabel.nii`` or Cifti2Image, optional
        Over the same grayordinates, or some of them: each label's mean, summed in float64, is a neuroid.
        Labels with names such as "???" belong to none.
    mesh : optional
        As in ``read_surfaces``: gives the positions of vertices.
    tr : float, optional
        Seconds between volumes, which the file states itself: another one is refused.
    subject, runs, missing, dtype, progress
        As in ``read_volumes``.

    Returns
    -------
    DataArray (time, neuroid) or (map, neuroid)
        Along time as ``read_volumes``, from the time at which the file says the series begins. Along neuroid
        in the order of the file: label "cortex_left/123" or "thalamus_left/4-5-6", ``structure``;
        ``hemisphere`` ("left", "right", and "" of voxels) and ``vertex`` (NaN of voxels); i, j, k (NaN of
        vertices); x, y, z in mm (NaN of vertices without a mesh). Of parcels: the name as label and as
        ``roi``, ``parcel``, ``n_grayordinates``, and the mean position. ``attrs``: ``affine`` and ``shape``
        of the voxels, ``n_vertices``, ``tr``, ``n_constant``, ``n_partly_constant``, ``n_nan``, ``missing``,
        ``empty_parcels``, ``sources``, ``parcels``.

    Raises
    ------
    ShapeError
        If a file has other axes, runs differ in their grayordinates, or a mesh has other vertices.
    InvalidValueError
        If a structure is unknown, or the repetition time is 0 or not what ``tr`` or a sidecar says.
    LabelError
        If labels have the same name, or lie where the series has no grayordinate.
    FileError
        If a file is missing, damaged, or no CIFTI file.
    """
    opened = [_open(image, i) for i, image in enumerate(as_list(images), start=1)]
    brain = _one_brain(opened)
    lead, dim = _lead(opened, tr, runs)
    places = places_of(brain, structures)
    about: dict[str, Any] = {}
    taken: np.ndarray | Parcels = places
    if parcels is not None:
        taken, about = read_label_parcels(parcels, brain, places, opened[0].name)
    pooled = pool(
        opened,
        taken,
        varying=False,
        missing=missing,
        dtype=dtype,
        place="grayordinate",
        progress=progress,
    )
    coords, attrs = label_grayordinates(pooled, brain, mesh, opened[0].name, subject)
    attrs |= {"missing": missing, **pooled.counts, **about}
    attrs["sources"] = [{"file": one.name, "sha256": one.digest()} for one in opened]
    if isinstance(pooled.taken, Parcels):
        attrs["empty_parcels"] = list(pooled.taken.empty)
    if dim == "time":
        attrs["tr"] = float(opened[0].rows.step)
    values = xr.DataArray(pooled.values, dims=(dim, "neuroid"), coords=lead | coords, attrs=attrs)
    return check(values.rename("bold"), "series") if dim == "time" else values.rename("maps")


def _open(source: Any, place: int) -> Dense:
    import nibabel as nib
    from nibabel.cifti2 import BrainModelAxis

    image, name, path = load_cifti(source, f"image {place}")
    axes = axes_of(image, name)
    if len(axes) != 2 or not isinstance(axes[1], BrainModelAxis):
        kinds = " x ".join(type(axis).__name__ for axis in axes)
        raise ShapeError(f"{name} must be a dense series or dense maps over grayordinates; got {kinds}.")
    if not isinstance(axes[0], nib.cifti2.SeriesAxis | nib.cifti2.ScalarAxis):
        raise ShapeError(f"{name} must hold a series or maps; its rows are {type(axes[0]).__name__}.")
    return Dense(name, path, image, axes[0], axes[1])


def _one_brain(opened: list[Dense]) -> Any:
    """Return the grayordinates that all runs share."""
    first = opened[0]
    for other in opened[1:]:
        if type(other.rows) is not type(first.rows):
            raise ShapeError(f"{other.name} and {first.name} must both be series, or both maps.")
        if other.brain != first.brain:
            raise ShapeError(
                f"{other.name} has other grayordinates ({brief(other.brain)}) than {first.name} "
                f"({brief(first.brain)})."
            )
    return first.brain


def _lead(opened: list[Dense], tr: float | None, runs: Sequence[Any] | None) -> tuple[dict[str, Any], str]:
    """Return the coordinates along time, or along the maps of a dscalar, and the dim."""
    first = opened[0]
    if not hasattr(first.rows, "step"):
        names = [str(name) for name in first.rows.name]
        if len(opened) > 1 or tr is not None or runs is not None:
            raise ShapeError(f"{first.name} holds maps: pass one file, without tr and runs.")
        if len(set(names)) < len(names):
            raise LabelError(f"{first.name}: names of maps are repeated: {listing(names)}.")
        return {"map": names}, "map"
    for one in opened:
        if one.rows.unit not in UNITS:
            raise InvalidValueError(f"{one.name}: the series is over {one.rows.unit}, not seconds.")
        if one.n_times < 2:
            raise ShapeError(f"{one.name} holds a single volume; a series needs at least 2.")
        if not 0 <= one.rows.step < math.inf:
            raise InvalidValueError(f"{one.name}: the repetition time in the header is {one.rows.step:g}.")
    stated = {
        f"{one.name} (run {i})": {"header": float(one.rows.step) or None, "sidecar": sidecar_time(one.path)}
        for i, one in enumerate(opened, start=1)
    }
    seconds = repetition_time(stated, tr)
    starts = {float(one.rows.start) for one in opened}
    if len(starts) > 1:
        raise InvalidValueError(f"runs begin at different times: {sorted(starts)} s after their start.")
    labels = run_labels(runs, len(opened))
    return time_coords([one.n_times for one in opened], seconds, labels, start=starts.pop()), "time"
