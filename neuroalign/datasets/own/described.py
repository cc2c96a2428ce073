"""A data set by its description: responses, series, estimates, RDMs or stimuli of one subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import io, stimuli
from ...errors import FileError, InvalidValueError, LabelError, ShapeError, choice, listing
from ...schema import align, check, labels
from ..bold.glm import condition_betas
from ..bold.single_trials import single_trial_betas
from ..eeg.epoch_files import read_epochs
from ..images.regions import label_regions, region_mask
from ..images.volumes import read_patterns
from .described_series import TIMED, subject_series, subjects_of
from .description_files import Described, one_of, open_described
from .rdm_tables import read_rdm_table

__all__ = ["described_subjects", "read_described"]


def read_described(
    path: str | Path, *, what: str | None = None, subject: str | None = None, progress: bool = True
) -> Any:
    """Return one part of a data set that a description (a YAML file) names.

    Parameters
    ----------
    path : path
        Of the description; its keys are those of ``description_schema``.
    what : str, optional
        ``"responses"`` where None (of kind rdm ``"rdm"``). Of the kinds bids, volumes and surfaces also
        ``"estimates"`` (a Dataset with the betas and, of condition betas, the residuals), ``"series"`` and
        ``"events"``. ``"stimuli"``: the stimulus table.
    subject : str, optional
        Needed where there are several, since voxels of people differ; ``described_subjects`` lists them. Of
        kind rdm all subjects where None.
    progress : bool
        Whether bars are shown.

    Returns
    -------
    DataArray, Dataset or DataFrame
        Responses (presentation or stimulus, neuroid[, time]) with ``stimulus``, ``run`` where there are
        runs, ``roi`` where there are parcels, and ``subject``; series (time, neuroid); RDMs (subject, pair).
        ``attrs`` hold dataset, title, licence, cite, ``excluded`` (subjects, runs and stimuli with their
        reasons), and ``n_undefined`` (neuroids left out because they are constant in a run).

    Raises
    ------
    InvalidValueError
        If the description is wrong (every error with its line and key), ``what`` is not a part of its kind,
        or the subject is unknown or excluded.
    FileError
        If a file is missing or damaged; names the description and the key.
    LabelError
        If stimuli of the data are not in the stimulus table.
    UnsafeError
        If a path or a link leads out of ``root``.

    Examples
    --------
    >>> from neuroalign import datasets
    >>> betas = datasets.read_described("my_study.yaml", subject="s01")  # doctest: +SKIP
    """
    place = open_described(path)
    kind = place.description.kind
    parts = _parts(place)
    if what is not None and what not in parts:
        raise choice(what, parts, name=f"what of {path}, kind {kind}")
    what = what or parts[0]
    if what == "stimuli":
        return described_stimuli(place)
    if kind == "rdm":
        return _signed(_rdms(place, subject), place)
    subject = one_of(subject, subjects_of(place), place.description, place.path)
    if kind not in TIMED:
        return _signed(_known(READERS[kind](place, subject), place).assign_coords(subject=subject), place)
    found = subject_series(place, subject, progress=progress)
    if what in ("series", "events"):
        wanted = found.series if what == "series" else found.events
        if wanted is None:
            raise FileError(f"{path}: subject {subject!r} has no events.")
        return _signed(wanted, place)
    estimates = _estimates(place, found, subject, progress)
    return _signed(estimates if what == "estimates" else estimates["betas"], place, estimates.attrs)


def described_subjects(path: str | Path) -> list[str]:
    """Return the subjects of a described data set, without those that it excludes."""
    place = open_described(path)
    return (
        _rdms(place, None)["subject"].values.tolist()
        if place.description.kind == "rdm"
        else subjects_of(place)
    )


def described_stimuli(place: Described) -> pd.DataFrame:
    """Return the stimulus table without excluded stimuli."""
    path = place.one("stimuli")
    if path is None:
        raise FileError(f"{place.path} names no stimuli: add a key stimuli, a table with a column stimulus.")
    table = stimuli.read_table(path)
    kept = table[~table["stimulus"].isin(list(place.description.exclude.stimuli))].reset_index(drop=True)
    return _signed(kept, place)


def _parts(place: Described) -> list[str]:
    kind = place.description.kind
    timed = ["responses", "estimates", "series", "events"]
    parts = ["rdm"] if kind == "rdm" else timed if kind in TIMED else ["responses"]
    return [*parts, *(["stimuli"] if place.description.stimuli else [])]


def _estimates(place: Described, found: Any, subject: str, progress: bool) -> xr.Dataset:
    """Return betas of conditions or trials; neuroids that are constant in a run are left out and counted."""
    glm = place.description.glm
    by = place.description.event_column or "trial_type"
    if found.events is None:
        raise FileError(f"{place.path}: subject {subject!r} has no events, so that there is nothing to fit.")
    made: dict[str, Any] = {"by": by, "hrf": glm.hrf, "drift": glm.drift, "high_pass": glm.high_pass}
    made |= {"confounds": found.confounds, "fill_first": True, "progress": progress}
    if "slice_time_ref" in found.series.attrs:
        made["slice_time_ref"] = found.series.attrs["slice_time_ref"]
    if glm.method == "condition":
        fitted = condition_betas(found.series, found.events, noise_model=glm.noise_model, **made)
    else:
        fitted = single_trial_betas(found.series, found.events, **made)
    whole = np.isfinite(fitted["betas"].values).all(axis=0)
    if not whole.any():
        raise InvalidValueError(f"{place.path}: no voxel of subject {subject!r} varies in every run.")
    attrs = {**fitted.attrs, "n_undefined": int((~whole).sum())}
    fitted = fitted.isel(neuroid=whole).assign_coords(subject=subject)
    fitted = fitted.isel(presentation=_kept(fitted["stimulus"].values, place))
    for name in ("stimulus", "roi"):
        if name in fitted.coords:
            fitted = fitted.assign_coords({name: (fitted[name].dims, fitted[name].values.astype(str))})
    return fitted.assign_attrs(attrs)


def _patterns(place: Described, subject: str) -> xr.DataArray:
    """Return maps of a subject, each labelled by a row of its run's table."""
    about = place.description
    images: list[Path] = []
    shown: list[str] = []
    runs: list[str] = []
    for run in place.runs(subject):
        path = run.files["labels"]
        table = stimuli.tables.parse_table(path)
        if "stimulus" not in table:
            raise LabelError(f"{path} lacks the column 'stimulus'; it has {listing(table.columns)}.")
        images.append(run.files["images"])
        shown += [str(one) for one in table["stimulus"]]
        runs += [str(one) for one in (table["run"] if "run" in table else [run.run] * len(table))]
    named = len(set(runs)) > 1
    made: dict[str, Any] = {"subject": subject, "runs": runs if named else None, "progress": False}
    parcels, mask = place.one("parcels", subject=subject), place.one("mask", subject=subject)
    if parcels is None or about.average:
        regions: dict[str, Any] = {"mask": mask, "parcels": parcels, "parcel_names": parcel_names(place)}
        return read_patterns(images, shown, **regions, **made)
    inside, rois = region_mask(parcels, parcel_names(place), mask=mask)
    return label_regions(read_patterns(images, shown, mask=inside, **made), rois)


def _epochs(place: Described, subject: str) -> xr.DataArray:
    about = place.description
    path = place.one("epochs", subject=subject)
    by = {} if about.event_column is None else {"by": about.event_column}
    picks = list(about.picks) if isinstance(about.picks, tuple) else about.picks
    return read_epochs(str(path), average=True, picks=picks, **by)


def _labelled(place: Described, subject: str) -> xr.DataArray:
    path = place.one("file", subject=subject)
    found = io.load(path or "")
    if not isinstance(found, xr.DataArray) or "neuroid" not in found.dims:
        raise ShapeError(f"{path} must hold responses (stimulus or presentation, neuroid); see io.save.")
    if "subject" in found.coords and found["subject"].dims == ("neuroid",):
        mine = found["subject"].values.astype(str) == subject
        if not mine.any():
            raise LabelError(
                f"{path} has no neuroid of subject {subject!r}; it has "
                f"{listing(np.unique(found['subject'].values))}."
            )
        found = found.isel(neuroid=mine).drop_vars("subject")
    return found


def _rdms(place: Described, subject: str | None) -> xr.DataArray:
    """Return RDMs (subject, pair): one table a subject, or a file of ``io.save`` with all."""
    about = place.description
    if "{subject}" in (about.file or ""):
        names = [place.subject(subject)] if subject else place.subjects()
        each = [_one_rdm(place.one("file", subject=name)) for name in names]
        first = each[0]
        same = [
            first,
            *(
                align(first, one, names=(names[0], name))[1]
                for name, one in zip(names[1:], each[1:], strict=True)
            ),
        ]
        return xr.concat(
            same, pd.Index(names, name="subject"), coords="minimal", compat="override", join="override"
        )
    path = place.one("file")
    found = _one_rdm(path)
    if "subject" not in found.dims:
        own = str(found["subject"].item()) if "subject" in found.coords else (about.subjects or ("1",))[0]
        found = found.drop_vars("subject", errors="ignore").expand_dims(subject=[own])
    there = [str(name) for name in found["subject"].values]
    missing = [name for name in about.subjects or () if name not in there]
    if missing:
        raise LabelError(
            f"{place.path}, subjects: {listing(missing)} are not in {path}; it has {listing(there)}."
        )
    keep = [name for name in about.subjects or there if name not in about.exclude.subjects]
    found = found.assign_coords(subject=there)
    return found.sel(subject=[one_of(subject, keep, about, place.path)] if subject else keep)


def _one_rdm(path: Path | None) -> xr.DataArray:
    if path is None or path.suffix != ".nc":
        return read_rdm_table(path or "")
    found = io.load(path)
    if not isinstance(found, xr.DataArray):
        raise ShapeError(f"{path} must hold RDMs (subject, pair); it holds a Dataset.")
    return check(found, "rdm", name=str(path))


READERS: dict[str, Callable[[Described, str], xr.DataArray]] = {
    "patterns": _patterns,
    "epochs": _epochs,
    "labelled": _labelled,
}


def parcel_names(place: Described) -> Any:
    """Return the names of parcels as the readers take them."""
    given = place.description.parcel_names
    return place.one("parcel_names") if isinstance(given, str) else given


def _kept(shown: np.ndarray, place: Described) -> np.ndarray:
    """Return the positions of responses whose stimulus is not excluded; unknown stimuli are refused."""
    names = [str(one) for one in shown]
    out = set(place.description.exclude.stimuli)
    if place.description.stimuli is not None:
        known = set(labels(described_stimuli(place), name=str(place.path)).tolist())
        unknown = sorted(set(names) - known - out)
        if unknown:
            raise LabelError(
                f"{place.path}: the data have {len(unknown)} stimuli that the stimulus table lacks: "
                f"{listing(unknown)}. Add them, or name them below exclude.stimuli with a reason."
            )
    return np.array([i for i, name in enumerate(names) if name not in out], dtype=np.intp)


def _known(found: xr.DataArray, place: Described) -> xr.DataArray:
    if "stimulus" not in found.coords and found.dims == ("time", "neuroid"):
        return found  # a continuous series
    if "stimulus" not in found.coords:
        raise LabelError(f"{place.path}: responses lack labels of their stimuli; see io.save.")
    return found.isel({found["stimulus"].dims[0]: _kept(found["stimulus"].values, place)})


def _signed(found: Any, place: Described, attrs: dict[str, Any] | None = None) -> Any:
    """Return the data with where they come from in ``attrs``; rois that were not asked for are left out."""
    about = place.description
    if not isinstance(found, pd.DataFrame) and about.rois is not None and "neuroid" in found.dims:
        if "roi" not in found.coords:
            raise LabelError(f"{place.path}, rois: neuroids have no coordinate roi.")
        there = found["roi"].values.astype(str)
        missing = [name for name in about.rois if name not in there]
        if missing:
            raise LabelError(
                f"{place.path}, rois: {listing(missing)} are none of {listing(np.unique(there))}."
            )
        found = found.isel(neuroid=np.isin(there, about.rois))
    excluded = {what: dict(some) for what, some in about.exclude if some}
    words = {"dataset": about.name, "title": about.title, "licence": about.licence, "cite": about.cite}
    result = found.copy(deep=False)
    result.attrs = {**found.attrs, **(attrs or {}), **words, "excluded": excluded}
    return result
