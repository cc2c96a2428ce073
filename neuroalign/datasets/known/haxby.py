"""Faces and objects: one person's fMRI of Haxby et al. 2001, one slice or the whole brain at 25 mm.

Eight categories were seen in blocks of 22.5 s, one block each a run. The 12 runs lie one after the other on
one time axis, as if no time had passed between them; ``run`` says where a new one begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import io
from ...errors import FileError, InvalidValueError, choice
from ...io.images import read_nifti
from ...schema import check
from ..sources import Source, pick

__all__ = ["CATEGORIES", "IMAGES", "MASKS", "events", "series"]

TR, N_TIMES, N_RUNS = 2.5, 121, 12
SUBJECT = "sub001"
IMAGES = {"1slice": (40, 20, 1), "25mm": (6, 10, 10)}
MASKS = ("brain", "gray", "white", "hoc", "vt")
CATEGORIES = ("house", "scrambledpix", "cat", "shoe", "bottle", "scissors", "chair", "face")
REST = "rest"
LABELS = "attributes_literal.txt"
FOLDER = f"haxby2001/{SUBJECT}"


def series(
    source: Source, *, image: str = "1slice", mask: str | None = None, runs: Sequence[str] | None = None
) -> xr.DataArray:
    """Return the BOLD series (time 1452, neuroid 530) of one slice, or of the whole brain at 25 mm.

    Values are float64 in the scanner's arbitrary units, neither detrended nor standardised. Blocks of the
    categories explain the slice best without any delay (over runs that were left out mean r is .15, and .08
    under SPM's haemodynamic response): the labels that were shipped seem to be shifted already.

    Parameters
    ----------
    source : Source
    image : {"1slice", "25mm"}
        One slice of 40 x 20 voxels of 3.1 x 3.75 x 3.75 mm, of which those that are not 0 are returned; or
        the whole brain in 6 x 10 x 10 voxels of 25 mm.
    mask : str, optional
        Of the image at 25 mm: one of ``MASKS``, ``"brain"`` (129 voxels) where None.
    runs : sequence of str, optional
        Of "1" to "12"; all where None.

    Returns
    -------
    DataArray (time, neuroid)
        Along time: seconds on the common axis, ``run`` (from 1), ``time_in_run``, and ``condition``, one of
        ``CATEGORIES`` or "rest". Along neuroid: the label "i-j-k", voxel indices i, j, k, positions x, y, z
        in mm of the scanner, subject, roi. ``attrs`` holds the 4 x 4 ``affine`` and the ``shape`` of the
        image, with which ``io.save_nifti`` writes maps.

    Raises
    ------
    InvalidValueError
        If a selector is unknown, or a mask is asked for the slice.
    FileError
        If a file is not the one in the manifest, or is no image of the shape that is expected.
    """
    if image not in IMAGES:
        raise choice(image, IMAGES, name="image")
    taken = [int(run) for run in pick(runs, [str(run + 1) for run in range(N_RUNS)], name="runs")]
    inside = _mask(source, image, mask)
    parts = [_run(source, image, run, inside) for run in taken]
    where = parts[0]
    for run, part in zip(taken, parts, strict=True):
        if part.attrs != where.attrs or not part["neuroid"].equals(where["neuroid"]):
            raise FileError(f"haxby_slice: run {run} has other voxels or another affine than run {taken[0]}.")
    conditions = _conditions(source)
    within = TR * np.arange(N_TIMES)
    coords: dict[str, Any] = {
        "time": np.concatenate([within + TR * N_TIMES * (run - 1) for run in taken]),
        "run": ("time", np.repeat(taken, N_TIMES)),
        "time_in_run": ("time", np.tile(within, len(taken))),
        "condition": ("time", np.concatenate([conditions[run - 1] for run in taken])),
        **{str(name): coord.variable for name, coord in where.coords.items() if coord.dims == ("neuroid",)},
        "subject": ("neuroid", np.full(where.sizes["neuroid"], SUBJECT)),
        "roi": (
            "neuroid",
            np.full(where.sizes["neuroid"], "slice" if image == "1slice" else mask or "brain"),
        ),
    }
    attrs = source.attrs(units="arbitrary scanner units", tr=TR, image=image, **where.attrs)
    values = np.concatenate([part.values for part in parts]).astype(np.float64)
    return check(
        xr.DataArray(values, dims=("time", "neuroid"), coords=coords, attrs=attrs, name="bold"), "series"
    )


def events(source: Source) -> pd.DataFrame:
    """Return the 96 blocks: stimulus label ("run-01/face"), run, condition, onset and duration in seconds.

    Onsets count from the start of the run; ``time`` is the onset on the common axis of ``series``.
    """
    parts = []
    for run in range(1, N_RUNS + 1):
        table = io.read_table(source.file(f"{FOLDER}/BOLD/task001_run{run:03d}/bold_events.tsv"))
        if list(table.columns) != ["onset", "duration", "trial_type"] or sorted(
            table["trial_type"]
        ) != sorted(CATEGORIES):
            raise FileError(f"haxby_slice: the events of run {run} are not one block of each category.")
        parts.append(
            pd.DataFrame(
                {
                    "stimulus": [f"run-{run:02d}/{name}" for name in table["trial_type"]],
                    "run": run,
                    "condition": table["trial_type"],
                    "onset": table["onset"].astype(np.float64),
                    "duration": table["duration"].astype(np.float64),
                    "time": table["onset"] + TR * N_TIMES * (run - 1),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table.attrs.update(source.attrs(units="seconds"))
    return table


def _mask(source: Source, image: str, mask: str | None) -> np.ndarray | None:
    """Return the voxels of a mask file; None of the slice, whose own voxels decide."""
    if image == "1slice":
        if mask is not None:
            raise InvalidValueError(f"the slice has no masks; got mask={mask!r}. Pass image='25mm' for them.")
        return None
    name = mask or "brain"
    if name not in MASKS:
        raise choice(name, MASKS, name="mask")
    found = read_nifti(source.file(f"{FOLDER}/masks/25mm/{name}.nii.gz"))
    if tuple(found.attrs["shape"]) != IMAGES[image] or found.ndim != 1 or not (found.values != 0).any():
        raise FileError(f"haxby_slice: the mask {name} is not a volume of shape {IMAGES[image]} with voxels.")
    return (found.values != 0).reshape(IMAGES[image])


def _run(source: Source, image: str, run: int, inside: np.ndarray | None) -> xr.DataArray:
    path = f"{FOLDER}/BOLD/task001_run{run:03d}/bold_{image}.nii.gz"
    found = read_nifti(source.file(path), mask=inside)
    if (
        tuple(found.attrs["shape"]) != IMAGES[image]
        or found.dims != ("map", "neuroid")
        or len(found) != N_TIMES
    ):
        raise FileError(
            f"{path} must be {N_TIMES} volumes of shape {IMAGES[image]}; got {dict(found.sizes)} of shape "
            f"{found.attrs['shape']}."
        )
    return found if inside is not None else found.isel(neuroid=(found.values != 0).any(axis=0))


def _conditions(source: Source) -> np.ndarray:
    """Return what was seen during each volume (n_runs, n_times)."""
    lines = [line.split() for line in io.read_text(source.file(LABELS)).splitlines()]
    words = np.array([line for line in lines if len(line) == 2])
    runs = np.repeat(np.arange(N_RUNS), N_TIMES)
    if words.shape != (N_RUNS * N_TIMES, 2) or words[:, 1].tolist() != [str(run) for run in runs]:
        raise FileError(f"{LABELS} must name a condition and a run for each of {N_RUNS * N_TIMES} volumes.")
    unknown = set(words[:, 0].tolist()) - {REST, *CATEGORIES}
    if unknown:
        raise FileError(f"{LABELS} names the unknown conditions {sorted(unknown)}.")
    return words[:, 0].reshape(N_RUNS, N_TIMES)
