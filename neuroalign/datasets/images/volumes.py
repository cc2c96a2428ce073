"""NIfTI volumes as people have them: runs of fMRI as a series, images of betas as responses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ... import io
from ...schema import check
from .cached import check_cache, digest_of, read_cache
from .pooling import pool
from .presentations import presentations
from .repetition import header_time, repetition_time, run_labels, sidecar_time, time_coords
from .slabs import Volumes, as_list, open_volumes, refuse_other_grids
from .voxels import label_voxels, take_voxels

__all__ = ["read_patterns", "read_volumes"]

READER = "neuroalign.datasets.read_volumes 1"


def read_volumes(
    images: Any,
    *,
    mask: Any = None,
    parcels: Any = None,
    parcel_names: Any = None,
    resample: bool = False,
    tr: float | None = None,
    subject: str | None = None,
    runs: Sequence[Any] | None = None,
    missing: str = "keep",
    dtype: str = "float32",
    cache: str | Path | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Return the runs of one person as a series (time, neuroid), one neuroid a voxel or a parcel.

    Some volumes at a time are read from the disk; the result is the only copy of them that is ever held.
    Values are as the files have them, scaled by the header, neither detrended nor standardised. Every image,
    the mask and the parcels must lie on one grid: shapes are the same, and no corner of the volume lies
    further than 1 % of a voxel from where it should.

    Parameters
    ----------
    images : path, nibabel image, or list of them
        Four dims, the last one time; one a run.
    mask : path, nibabel image, array (n_i, n_j, n_k) or DataArray (neuroid,), optional
        0 and 1. An array has no grid: only its shape is checked. Without a mask all voxels are read that vary
        in some run; the files are then read twice.
    parcels : as mask, optional
        Whole numbers, 0 where there is none: each parcel's mean over its voxels (within the mask, if there is
        one; whether they vary or not), summed in float64, is a neuroid.
    parcel_names : mapping of int to str, DataFrame, or path, optional
        Names of the parcels' numbers; a table has the columns ``index`` and ``name`` (BIDS). Where None, the
        coordinate ``roi`` of parcels that are a DataArray, else the numbers.
    resample : bool
        Whether a mask or parcels on another grid are brought to that of the images (nearest neighbour). The
        images never are.
    tr : float, optional
        Seconds between volumes. Where None it is RepetitionTime in the JSON file beside the image, or what
        the header says.
    subject : str, optional
    runs : sequence of int or str, optional
        One label a run; 1, 2, ... where None.
    missing : {"keep", "drop"}
        Whether voxels that are NaN or infinite in some volume stay. ``"keep"``: nothing is left out unasked,
        and a parcel is NaN in a volume where one of its voxels is. ``"drop"``: they are left out, of parcels
        too; the files are read twice.
    dtype : {"float32", "float64"}
    cache : path, optional
        Ends in ``.nc``. The result is written there, and read from there as long as the digests of all files
        and all parameters are the same; else it is read and written anew.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    DataArray (time, neuroid)
        Along time: seconds on one axis, on which runs follow one another as if no time had passed between
        them, ``run`` and ``time_in_run``. Along neuroid, voxels in the order of their indices, the last one
        running fastest: label "i-j-k", indices i, j, k, positions x, y, z in mm. Of parcels in the order of
        their numbers: the name as label and as ``roi``, ``parcel``, ``n_voxels``, and x, y, z of the mean
        over its voxels. ``subject`` where it was given. ``attrs``: ``affine``, ``shape``, ``tr``,
        ``n_constant`` (voxels that are constant in every run: left out without a mask, kept with one),
        ``n_partly_constant`` (constant in some runs), ``n_nan`` (voxels with a value that is not finite),
        ``missing``, ``empty_parcels`` (names without a voxel), ``sources`` (files and SHA-256), ``mask``,
        ``parcels`` (file, SHA-256 of the values, and how it differed where it was resampled).

    Raises
    ------
    ShapeError
        If an image has other dims or a single volume; if grids differ or an affine is singular or not finite.
    InvalidValueError
        If a mask is empty or holds other values than 0 and 1, parcels are no whole numbers, no voxel is left
        or finite, or the repetition time is missing, 0, or stated differently in two places.
    LabelError
        If parcels have no name, two have the same, or runs are repeated.
    FileError
        If a file is missing, no image, damaged or cut short, or ``cache`` holds something else.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> values = np.arange(24.0).reshape(2, 2, 2, 3)
    >>> image = nib.Nifti1Image(values, np.diag([3.0, 3, 3, 1]))
    >>> image.header.set_zooms((3, 3, 3, 2.0))
    >>> bold = read_volumes([image, image], progress=False)
    >>> dict(bold.sizes), bold["time"].values.tolist(), bold["neuroid"].values[1].item()
    ({'time': 6, 'neuroid': 8}, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0], '0-0-1')
    """
    cache = check_cache(cache)
    opened = [open_volumes(image, place=i) for i, image in enumerate(as_list(images), start=1)]
    refuse_other_grids(opened)
    labels = run_labels(runs, len(opened))
    stated = _stated(opened)
    seconds = repetition_time(stated, tr)
    taken, about = take_voxels(opened[0].grid, mask, parcels, parcel_names, resample)
    digests = [image.digest() for image in opened]
    about["sources"] = [{"file": one.name, "sha256": sha} for one, sha in zip(opened, digests, strict=True)]
    about["missing"], about["tr"] = missing, seconds
    inputs = {f"run {label}": sha for label, sha in zip(labels, digests, strict=True)}
    varying = mask is None and parcels is None
    params: dict[str, Any] = {
        "reader": READER,
        "subject": subject,
        "runs": labels,
        "dtype": dtype,
        "varying": varying,
    }
    params |= {"about": about, "taken": digest_of(taken)}
    if cache is not None:
        found = read_cache(cache, inputs=inputs, params=params)
        if found is not None:
            return check(found, "series")
    pooled = pool(
        opened, taken, varying=varying, missing=missing, dtype=dtype, place="voxel", progress=progress
    )
    coords = time_coords([image.n_times for image in opened], seconds, labels)
    series = label_voxels(pooled, ("time", "neuroid"), coords, opened[0].grid, subject)
    series = series.assign_attrs(about).rename("bold")
    if cache is not None:
        io.save(series, cache, inputs=inputs, params=params)
    return check(series, "series")


def read_patterns(
    images: Any,
    stimuli: Sequence[str],
    *,
    mask: Any = None,
    parcels: Any = None,
    parcel_names: Any = None,
    resample: bool = False,
    subject: str | None = None,
    runs: Sequence[Any] | None = None,
    missing: str = "keep",
    dtype: str = "float32",
    progress: bool = True,
) -> xr.DataArray:
    """Return images of betas, one volume a stimulus, as responses (stimulus, neuroid).

    Parameters
    ----------
    images : path, nibabel image, or list of them
        Of three dims (one volume) or four.
    stimuli : sequence of str
        One label a volume, in the order of the images and of the volumes in each.
    mask, parcels, parcel_names, resample, subject, missing, dtype, progress
        As in ``read_volumes``. Without mask and parcels, all voxels are read that differ between volumes.
    runs : sequence of int or str, optional
        One label a volume, or one an image.

    Returns
    -------
    DataArray (stimulus, neuroid) or (presentation, neuroid)
        Along neuroid and in ``attrs`` as ``read_volumes``, without times. Where each label comes once, the
        dim is ``stimulus``. Where some are repeated it is ``presentation``, with ``stimulus`` along it and
        labels "run-1/face", or "face/1" without runs; ``rsa.rdm`` takes both, with ``folds="run"``. ``run``
        where it was given.

    Raises
    ------
    ShapeError, InvalidValueError, LabelError, FileError
        As ``read_volumes``; and where the number of labels is not that of the volumes.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> betas = nib.Nifti1Image(np.arange(16.0).reshape(2, 2, 2, 2), np.diag([3.0, 3, 3, 1]))
    >>> dict(read_patterns(betas, ["face", "house"], progress=False).sizes)
    {'stimulus': 2, 'neuroid': 8}
    """
    opened = [open_volumes(image, place=i, single=True) for i, image in enumerate(as_list(images), start=1)]
    refuse_other_grids(opened)
    coords, dim = presentations(stimuli, runs, [image.n_times for image in opened])
    taken, about = take_voxels(opened[0].grid, mask, parcels, parcel_names, resample)
    about["sources"] = [{"file": one.name, "sha256": one.digest()} for one in opened]
    pooled = pool(
        opened,
        taken,
        varying=mask is None and parcels is None,
        missing=missing,
        dtype=dtype,
        place="voxel",
        one_run=True,
        progress=progress,
    )
    responses = label_voxels(pooled, (dim, "neuroid"), coords, opened[0].grid, subject)
    return responses.assign_attrs(missing=missing, **about).rename("responses")


def _stated(opened: list[Volumes]) -> dict[str, dict[str, float | None]]:
    """Return the repetition times that headers and sidecars state, by the name of the image."""
    found: dict[str, dict[str, float | None]] = {}
    for i, one in enumerate(opened, start=1):
        name = one.name if one.name not in found else f"{one.name} (image {i})"
        found[name] = {"header": header_time(one.image, name=name), "sidecar": sidecar_time(one.path)}
    return found
