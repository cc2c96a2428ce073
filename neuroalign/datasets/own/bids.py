"""BIDS trees and fMRIPrep derivatives: which runs there are, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import FileError, listing
from ...io.parsing import parsing
from .bids_layout import (
    CIFTI,
    IMAGES,
    RAW,
    by_run,
    images,
    label_of,
    layouts,
    narrowed,
    pipeline,
    space_of,
    what_is_there,
)
from .patterns import inside

__all__ = ["COLUMNS", "TOLERANCE", "find_bids"]

COLUMNS = (
    *("subject", "session", "run", "task", "space", "bold", "left", "right", "mask", "events"),
    *("confounds", "tr", "start"),
)
TOLERANCE = 1e-3  # seconds, between two statements of one repetition time


def find_bids(
    root: str | Path,
    *,
    task: str,
    space: str | None = None,
    subjects: Sequence[str] | None = None,
    sessions: Sequence[str] | None = None,
    runs: Sequence[str] | None = None,
    derivatives: str | Path | None = None,
) -> pd.DataFrame:
    """Return the functional runs of a BIDS data set, one row each: images, mask, events, confounds, TR.

    Sidecars are inherited as BIDS says, through pybids (extra ``bids``). Nothing is written and no network is
    used. Labels stand without their prefix: subject "01", not "sub-01".

    Parameters
    ----------
    root : path
        Folder of the raw data set, or of a derivative alone (which has no events).
    task : str
    space : str, optional
        Such as "MNI152NLin2009cAsym", "fsaverage5" or "fsLR"; "raw" for the images as they were acquired.
        Where None: the only space there is; raw where there is no derivative.
    subjects, sessions, runs : sequence of str, optional
        All where None. Each that is named must have a run.
    derivatives : path, optional
        Folder of one derivative, or its name below ``root/derivatives``. Where None: the one derivative there
        that has the runs.

    Returns
    -------
    DataFrame
        Columns subject, session, run (None where the file's name has none), task, space, bold (a NIfTI or
        CIFTI image) or left and right (GIfTI), mask, events, confounds (paths, None where there is none), tr
        (seconds) and start (seconds from the start of the acquisition to the time that the first volume
        stands for, 0 where not said).

    Raises
    ------
    FileError
        If the folder is no BIDS data set, or what was asked for is not there; says which tasks, spaces,
        subjects there are. If a repetition time is missing, or two statements of it disagree.
    InvalidValueError
        If several spaces, derivatives or images a run match; lists them.
    UnsafeError
        If a file lies outside ``root`` and the derivative's folder, by a link or otherwise.

    References
    ----------
    Gorgolewski et al. 2016, Sci Data 3:160044. Esteban et al. 2019, Nat Methods 16:111 (fMRIPrep).

    Examples
    --------
    >>> from neuroalign import datasets
    >>> runs = datasets.find_bids("ds000001", task="balloon", space="fsaverage5")  # doctest: +SKIP
    """
    root = Path(root)
    layout, raw, folders = layouts(root, derivatives)
    pipelines = {name: one for name, one in layout.items() if images(one, task, None)}
    chosen = pipeline(pipelines, space, raw, task)
    source = raw if chosen is None else pipelines[chosen]
    if source is None or not images(source, task, None):
        everyone = [one for one in (raw, *layout.values()) if one is not None]
        raise FileError(
            f"{root} has no functional images of the task {task!r}; it has {what_is_there(everyone)}."
        )
    files = images(source, task, None if chosen is None else space_of(source, task, space))
    files = narrowed(files, {"subject": subjects, "session": sessions, "run": runs}, root)
    rows = [_row(group, source, raw, (root, *folders)) for group in by_run(files)]
    if chosen is None:
        rows = [{**row, "space": RAW} for row in rows]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(group: list[Any], layout: Any, raw: Any, allowed: tuple[Path, ...]) -> dict[str, Any]:
    first = group[0]
    entities = {name: label_of(first, name) for name in ("subject", "session", "run")}
    sides = {str(one.entities.get("hemi", "")): one.path for one in group}
    paths: dict[str, Any] = {
        "bold": first.path if len(group) == 1 else None,
        "left": sides.get("L"),
        "right": sides.get("R"),
        "mask": _beside(layout, first, suffix="mask", extension=list(IMAGES), desc="brain", same_space=True),
        "events": None if raw is None else _events_of(raw, first),
        "confounds": _beside(layout, first, suffix="timeseries", extension=".tsv", desc="confounds")
        or _beside(layout, first, suffix="regressors", extension=".tsv", desc="confounds"),
    }
    checked = {
        name: None if path is None else str(inside(Path(path), allowed[0], also=allowed[1:]))
        for name, path in paths.items()
    }
    tr, start = _timing(first, layout, raw)
    task, space = first.entities.get("task"), first.entities.get("space")
    return {**entities, "task": task, "space": space, **checked, "tr": tr, "start": start}


def _beside(layout: Any, image: Any, *, same_space: bool = False, **asked: Any) -> str | None:
    """Return the file of the same run that ``asked`` describes; None where there is none."""
    from bids.layout import Query

    keys = ("subject", "session", "run", "task", *(("space", "res") if same_space else ()))
    where = {key: image.entities.get(key, Query.NONE) for key in keys}
    found = layout.get(**where, **asked, invalid_filters="allow")
    return found[0].path if found else None


def _events_of(raw: Any, image: Any) -> str | None:
    """Return the events of a run, which may be those of all its subject's runs, or of everybody."""
    from bids.layout import Query

    found = _beside(raw, image, suffix="events", extension=".tsv")
    for nobody in ({"run"}, {"run", "session"}, {"run", "session", "subject"}):
        keys = ("subject", "session", "run", "task")
        where = {key: Query.NONE if key in nobody else image.entities.get(key, Query.NONE) for key in keys}
        others = [] if found else raw.get(**where, suffix="events", extension=".tsv", invalid_filters="allow")
        found = found or (others[0].path if others else None)
    return found


def _timing(image: Any, layout: Any, raw: Any) -> tuple[float, float]:
    """Return TR and start in seconds, after comparing what sidecars and the header say."""
    said: dict[str, float] = {}
    own = layout.get_metadata(image.path)
    if "RepetitionTime" in own:
        said["its sidecar"] = _seconds(own["RepetitionTime"], "RepetitionTime", image.path)
    if raw is not None and raw is not layout:
        original = _beside(raw, image, suffix="bold", extension=list(IMAGES))
        if original is not None:
            inherited = raw.get_metadata(original).get("RepetitionTime")
            if inherited is not None:
                said[f"the sidecar of {Path(original).name}"] = _seconds(
                    inherited, "RepetitionTime", original
                )
    if image.path.endswith(IMAGES) and not image.path.endswith(CIFTI):
        header = _header_tr(image.path)
        if header:
            said["its header"] = header
    if not any("sidecar" in where for where in said):
        raise FileError(
            f"{image.path}: no sidecar says its RepetitionTime{_but(said)}. Write one, such as "
            'task-NAME_bold.json in the data set\'s folder with {"RepetitionTime": 2.0}.'
        )
    if max(said.values()) - min(said.values()) > TOLERANCE:
        what = ", ".join(f"{tr:g} s in {where}" for where, tr in said.items())
        raise FileError(
            f"{image.path}: statements of the repetition time disagree: {what}. Mend one of them."
        )
    start = own.get("StartTime")
    return next(iter(said.values())), 0.0 if start is None else _seconds(start, "StartTime", image.path)


def _seconds(value: Any, name: str, path: str) -> float:
    """Return what a sidecar states as a number of seconds."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < 1e6 or (value == 0 and name == "RepetitionTime"):
        raise FileError(f"{path}: the sidecar's {name} must be seconds; got {listing([value])}.")
    return float(value)


def _but(said: dict[str, float]) -> str:
    return f" (its header says {said['its header']:g} s)" if said else ""


def _header_tr(path: str) -> float:
    """Return the TR of a 4-D NIfTI header in seconds; 0 where it does not say."""
    import nibabel as nib

    with parsing(f"{path} is no NIfTI image, or a damaged one"):
        header = nib.load(path).header
        units = header.get_xyzt_units()[1]
        zooms = header.get_zooms()
    if len(zooms) < 4:
        raise FileError(f"{path} must have 4 dims; its voxel sizes are {tuple(map(float, zooms))}.")
    scale = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}.get(units, 0.0)
    return float(zooms[3]) * scale
