"""Series, events and confounds of a described subject: BIDS trees, volumes, surfaces."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from ...errors import FileError, LabelError, ShapeError, listing
from ...io.files import read_table
from ..bold.events import read_events
from ..images.regions import read_regions, read_surface_regions
from ..images.volumes import read_volumes
from .bids import find_bids
from .bids_series import BidsSubject, read_bids
from .description_files import Described, RunFiles
from .patterns import inside

__all__ = ["TIMED", "subject_series", "subjects_of"]

TIMED = ("bids", "volumes", "surfaces")


def subjects_of(place: Described) -> list[str]:
    """Return the subjects of a description in order, without those that it excludes."""
    if place.description.kind != "bids":
        return place.subjects()
    found = list(dict.fromkeys(_tree(place)["subject"]))
    return [name for name in found if name not in place.description.exclude.subjects]


def subject_series(place: Described, subject: str, *, progress: bool) -> BidsSubject:
    """Return a subject's series, events and confounds."""
    about = place.description
    regions: dict[str, Any] = {
        "mask": place.one("mask", subject=subject),
        "parcels": place.one("parcels", subject=subject),
        "average": about.average,
    }
    if about.parcels_left is not None:
        sides = ("parcels_left", "parcels_right")
        regions["parcels"] = tuple(place.one(side, subject=subject) for side in sides)
    given = about.parcel_names
    regions["parcel_names"] = place.one("parcel_names") if isinstance(given, str) else given
    column = about.event_column or "trial_type"
    if about.kind == "bids":
        rows = _tree(place, subjects=[subject])
        runs = rows["run"].map(lambda run: f"{subject}/{run}")
        return read_bids(
            rows[~runs.isin(list(about.exclude.runs))],
            **regions,
            confounds=about.confounds,
            event_column=column,
            progress=progress,
        )
    found = place.runs(subject)
    names = [run.run for run in found]
    series = _series(place, found, names, subject, regions, progress)
    return BidsSubject(series, _events(found, column), _confounds(place, found, series))


def _tree(place: Described, subjects: list[str] | None = None) -> pd.DataFrame:
    about = place.description
    return find_bids(
        place.root,
        task=about.task or "",
        space=about.space,
        subjects=subjects or about.subjects,
        sessions=about.sessions,
        runs=about.runs,
        derivatives=about.derivatives,
    )


def _series(
    place: Described,
    found: list[RunFiles],
    names: list[str],
    subject: str,
    regions: dict[str, Any],
    progress: bool,
) -> xr.DataArray:
    about = place.description
    shared: dict[str, Any] = {"tr": about.tr, "subject": subject, "runs": names, "progress": progress}
    if about.kind == "surfaces":
        left, right = ([run.files[side] for run in found] for side in ("left", "right"))
        return read_surface_regions(
            left,
            right,
            *(regions[key] for key in ("parcels", "parcel_names")),
            average=about.average,
            **shared,
        )
    images = [run.files["images"] for run in found]
    if regions["parcels"] is not None:
        return read_regions(images, **regions, **shared)
    return read_volumes(images, mask=regions["mask"], **shared)


def _events(found: list[RunFiles], column: str) -> pd.DataFrame:
    """Return the events of all runs; rows without a label (n/a) are rest and are left out."""
    parts = []
    for run in found:
        table = read_events(run.files["events"])
        if column not in table:
            raise LabelError(
                f"{run.files['events']} lacks the column {column!r}; it has "
                f"{listing(table.columns, limit=20)}."
            )
        if "run" in table:
            table = table[table["run"].astype(str) == run.run]
        parts.append(table[table[column].notna()].assign(run=run.run))
    return pd.concat(parts, ignore_index=True)


def _confounds(place: Described, found: list[RunFiles], series: xr.DataArray) -> pd.DataFrame | None:
    """Return the regressors of all runs, one row a volume."""
    about = place.description
    if about.confounds is None:
        return None
    parts = []
    for run in found:
        path = run.files["confounds"]
        table = read_table(inside(path, place.root))
        columns = list(about.confound_columns or table.columns)
        missing = [name for name in columns if name not in table]
        if missing:
            raise LabelError(
                f"{place.path}, confound_columns: {path} lacks {listing(missing)}; it has "
                f"{listing(table.columns, limit=20)}."
            )
        n = int((series["run"] == run.run).sum())
        if len(table) != n:
            raise ShapeError(f"{path} has {len(table)} rows for {n} volumes.")
        odd = [name for name in columns if not pd.api.types.is_numeric_dtype(table[name])]
        if odd:
            raise FileError(f"{path}: {listing(odd)} hold text, not numbers.")
        parts.append(table[columns])
    return pd.concat(parts, ignore_index=True)
