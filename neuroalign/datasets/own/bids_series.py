"""One person's series, events and confounds from the runs of a BIDS data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import FileError, InvalidValueError, LabelError, listing
from ..bold.events import read_events
from ..images.regions import in_all, read_cifti_regions, read_regions, read_surface_regions
from ..images.volumes import read_volumes
from .bids import COLUMNS, TOLERANCE
from .bids_layout import CIFTI, plain

__all__ = ["BidsSubject", "read_bids"]


class BidsSubject(NamedTuple):
    """One person's runs: the series (time, neuroid), its events, and its confounds, one row a volume."""

    series: xr.DataArray
    events: pd.DataFrame | None
    confounds: pd.DataFrame | None


def read_bids(
    runs: pd.DataFrame,
    *,
    mask: str | Path | None = None,
    parcels: Any = None,
    parcel_names: Any = None,
    average: bool = False,
    confounds: Sequence[str] | None = ("motion", "high_pass"),
    event_column: str = "trial_type",
    progress: bool = True,
) -> BidsSubject:
    """Return one person's series, events and confounds from the rows of ``find_bids``.

    Parameters
    ----------
    runs : DataFrame
        Rows of one subject.
    mask, parcels, parcel_names, average
        As in ``read_regions``; of surfaces, ``parcels`` is a pair (left, right) and there is no mask; of
        CIFTI, parcels are averaged. Where mask and parcels are None, of volumes: the voxels inside the brain
        masks of all runs.
    confounds : sequence of str, optional
        Strategies of nilearn's ``load_confounds``: motion, high_pass, wm_csf, global_signal, compcor,
        ica_aroma, scrub, non_steady_state. A volume that these censor gets a regressor of its own.
    event_column : str
        Column of the events that must be there.
    progress : bool

    Returns
    -------
    BidsSubject
        ``series.attrs["slice_time_ref"]`` is what ``condition_betas`` takes where slice times were corrected
        (``start`` as a share of TR). ``events`` with a column run and onsets in seconds from the start of
        the run. ``confounds`` with one row a volume; a regressor that a run lacks is 0 in it. Either is None
        where no run has any. Runs are labelled by their number, or "session/number" where there are several
        sessions.

    Raises
    ------
    InvalidValueError
        If rows are of several people.
    FileError
        If only some runs have events or confounds, there is neither a mask nor parcels for volumes, or TRs
        differ.

    Examples
    --------
    >>> from neuroalign import datasets
    >>> runs = datasets.find_bids("ds000001", task="balloon", subjects=["01"])  # doctest: +SKIP
    >>> series, events, confounds = datasets.read_bids(runs)  # doctest: +SKIP
    """
    subject = _one_subject(runs)
    names = _run_names(runs)
    tr = _one(runs, "tr")
    series = _series(runs, names, mask, parcels, parcel_names, average, tr, subject, progress)
    start = _one(runs, "start")
    if start:
        series.attrs["slice_time_ref"] = start / tr
    events = None
    if _all_or_none(runs, "events"):
        events = _events(runs["events"], names, event_column)
    censored = None
    if confounds is not None and _all_or_none(runs, "confounds"):
        censored = _confounds(runs, names, confounds, series)
    return BidsSubject(series, events, censored)


def _one_subject(runs: pd.DataFrame) -> str:
    missing = [column for column in COLUMNS if column not in runs]
    if missing:
        raise InvalidValueError(
            f"runs must be rows of find_bids; the columns {listing(missing)} are missing."
        )
    subjects = list(dict.fromkeys(runs["subject"]))
    if len(subjects) != 1:
        raise InvalidValueError(
            f"runs must be of one subject; got {len(subjects)}: {listing(subjects)}. Pass "
            "runs[runs['subject'] == ...]: voxels of people differ."
        )
    return str(subjects[0])


def _run_names(runs: pd.DataFrame) -> list[Any]:
    numbers = [plain("run", _text(run)) or "1" for run in runs["run"]]
    several = runs["session"].nunique(dropna=False) > 1
    if several:
        return [
            f"{session}/{number}" for session, number in zip(runs["session"].map(_text), numbers, strict=True)
        ]
    return [int(number) if number.isdecimal() else number for number in numbers]


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _one(runs: pd.DataFrame, column: str) -> float:
    low, high = runs[column].min(), runs[column].max()
    if high - low > TOLERANCE:
        raise FileError(f"the runs have a {column} of {low:g} to {high:g} s; read them apart.")
    return float(low)


def _all_or_none(runs: pd.DataFrame, column: str) -> bool:
    lacking = [row["run"] for _, row in runs.iterrows() if not _text(row[column])]
    if lacking and len(lacking) < len(runs):
        raise FileError(
            f"{column} are missing for {len(lacking)} of {len(runs)} runs of subject "
            f"{runs['subject'].iloc[0]!r}: {listing(lacking)}."
        )
    return not lacking


def _series(
    runs: pd.DataFrame,
    names: list[Any],
    mask: Any,
    parcels: Any,
    parcel_names: Any,
    average: bool,
    tr: float,
    subject: str,
    progress: bool,
) -> xr.DataArray:
    about: dict[str, Any] = {"tr": tr, "subject": subject, "runs": names, "progress": progress}
    if _all_or_none(runs, "left"):
        sides = (runs["left"].tolist(), runs["right"].tolist())
        return read_surface_regions(*sides, parcels, parcel_names, average=average, **about)
    images = runs["bold"].tolist()
    if str(images[0]).endswith(CIFTI):
        if parcels is not None and not average:
            raise InvalidValueError("parcels of CIFTI images are averaged: pass average=True.")
        return read_cifti_regions(images, parcels, **about)
    if parcels is not None:
        return read_regions(images, parcels, parcel_names, mask=mask, average=average, **about)
    if mask is None:
        if not _all_or_none(runs, "mask"):
            raise FileError(f"subject {subject!r} has no brain masks in this space: pass mask=.")
        mask = in_all(runs["mask"].tolist())
    return read_volumes(images, mask=mask, **about)


def _events(paths: pd.Series, names: list[Any], column: str) -> pd.DataFrame:
    """Return the events of all runs; those without a label (n/a) are rest and are left out."""
    parts = []
    for path, name in zip(paths, names, strict=True):
        table = read_events(path)
        if column not in table:
            raise LabelError(
                f"{path} lacks the column {column!r}; it has {listing(table.columns, limit=20)}."
            )
        table = table[table[column].notna()].assign(run=name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _confounds(
    runs: pd.DataFrame, names: list[Any], strategy: Sequence[str], series: xr.DataArray
) -> pd.DataFrame:
    """Return the regressors of all runs, one row a volume; censored volumes have one each."""
    from nilearn.interfaces.fmriprep import load_confounds

    if isinstance(strategy, str):
        raise InvalidValueError(f"confounds must be a list of strategies; got the string {strategy!r}.")
    parts = []
    for (_, row), name in zip(runs.iterrows(), names, strict=True):
        images = row["bold"] if row["bold"] else [row["left"], row["right"]]
        try:
            found, kept = load_confounds(images, strategy=tuple(strategy))
        except (ValueError, KeyError, OSError) as error:
            raise FileError(
                f"{row['confounds']}: nilearn could not load {list(strategy)}: {error}"
            ) from error
        n = int((series["run"] == name).sum())
        if len(found) != n:
            raise FileError(f"{row['confounds']} has {len(found)} rows for {n} volumes.")
        parts.append(_censored(found, kept, n, str(name)))
    return pd.concat(parts, ignore_index=True).fillna(0.0)


def _censored(found: pd.DataFrame, kept: Any, n: int, run: str) -> pd.DataFrame:
    """Return all volumes' regressors, with an indicator for each volume that is to be left out."""
    out = sorted(set(range(n)) - set(range(n) if kept is None else np.asarray(kept).tolist()))
    spikes = {f"censored_{run}_{i}": np.eye(n)[i] for i in out}
    return found.reset_index(drop=True).assign(**spikes)
