"""Files of epochs and averages of one or several people as labelled responses."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import FileError, LabelError, ShapeError, choice, listing
from ...io.fif import check_fif
from ...io.matlab import check_matlab
from ...io.parsing import parsing
from .epochs import EVENT_NAME, from_mne, import_mne, said
from .sensors import AXES

__all__ = ["read_epochs"]

EPOCHS, AVERAGES, EEGLAB = r"[-_]epo\.fif(\.gz)?$", r"[-_](ave|evoked)\.fif(\.gz)?$", r"\.set$"
HOW = ("exact", "common")
SUBJECT = r"(?:^|[_/])sub-([A-Za-z0-9]+)"


def read_epochs(
    paths: str | Path | Sequence[str | Path],
    *,
    subjects: Sequence[str] | None = None,
    by: str = EVENT_NAME,
    picks: Sequence[str] | str | None = None,
    average: bool = False,
    channels: str = "exact",
    stimuli: str = "exact",
    units: str = "usual",
    nan: str = "refuse",
) -> xr.DataArray:
    """Return epochs or averages from files, one file a person, with labels.

    MNE's FIF (``*-epo.fif``, ``*-ave.fif``, also with ``_`` and ``.gz``) and EEGLAB's epochs (``*.set``, with
    the times that the file has). Needs the package ``mne`` (``pip install 'neuroalign[eeg]'``).

    Parameters
    ----------
    paths : path or sequence of paths
        One path: that person's array. A sequence: the same with a dim ``subject`` in front.
    subjects : sequence of str, optional
        One label a path; where None, what follows ``sub-`` in each file's name.
    by, picks, average, units, nan
        As in ``from_mne``. Single trials of several people have no common dim: pass ``average=True``.
    channels : {"exact", "common"}
        Whether people must have the same channels (bad ones are none), or those that all have are kept.
    stimuli : {"exact", "common"}
        The same of stimuli.

    Returns
    -------
    DataArray ([subject,] presentation or stimulus, neuroid, time)
        As ``from_mne``. With a dim ``subject``: ``n_trials`` (subject, stimulus); ``n_dropped``, ``n_bads``
        (subject,); places are means over people, and ``attrs["place_spread_mm"]`` is how far a sensor is from
        its mean at most; ``attrs`` counts and names the channels and stimuli that only some have.

    Raises
    ------
    FileError
        If a file is missing, of another kind, damaged, or ``mne`` is missing.
    LabelError
        If labels of people are missing or repeated, or people differ in channels or stimuli.
    ShapeError
        If people differ in sampling rate or length of the epochs, or their trials are not averaged.
    InvalidValueError
        As ``from_mne``.

    Examples
    --------
    >>> from neuroalign import datasets
    >>> files = ["sub-01-epo.fif", "sub-02-epo.fif"]
    >>> datasets.read_epochs(files, by="image", average=True).dims  # doctest: +SKIP
    ('subject', 'stimulus', 'neuroid', 'time')
    """
    for name, value in (("channels", channels), ("stimuli", stimuli)):
        if value not in HOW:
            raise choice(value, HOW, name=name)
    options = {"by": by, "picks": picks, "average": average, "units": units, "nan": nan}
    if isinstance(paths, str | Path):
        found, alone = _read(Path(paths), **options), list(subjects or [])
        if len(alone) > 1:
            raise LabelError(f"subjects: one path has one label; got {listing(alone)}.")
        return found.assign_coords(subject=alone[0]) if alone else found
    files = [Path(path) for path in paths]
    names = _names(files, subjects)
    people = [_read(path, **options) for path in files]
    if any("presentation" in one.dims for one in people):
        raise ShapeError(
            "single trials of several people have no common dim: pass average=True, or read one path at a "
            "time."
        )
    return _joined(people, names, channels, stimuli)


def _read(path: Path, **options: Any) -> xr.DataArray:
    mne = import_mne(str(path))
    if not path.is_file():
        raise FileError(f"{path} does not exist.")
    readers = {EPOCHS: mne.read_epochs, AVERAGES: mne.read_evokeds, EEGLAB: mne.read_epochs_eeglab}
    reader = next((read for end, read in readers.items() if re.search(end, path.name)), None)
    if reader is None:
        raise FileError(
            f"{path}: the name must end in -epo.fif, -ave.fif (also .gz, and _ for -) or .set; read anything "
            "else with mne and pass it to from_mne."
        )
    (check_matlab if re.search(EEGLAB, path.name) else check_fif)(path)
    with parsing(f"{path} cannot be read as epochs or averages"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what the reader calls, not of the file
        found = reader(path, verbose="ERROR")
    return from_mne(found, **(options if hasattr(found, "drop_log") else options | {"average": False}))


def _names(files: Sequence[Path], subjects: Sequence[str] | None) -> list[str]:
    if not files:
        raise ShapeError("paths: there is none.")
    if subjects is None:
        matches = [re.search(SUBJECT, path.name) for path in files]
        nameless = [path.name for path, match in zip(files, matches, strict=True) if match is None]
        if nameless:
            raise LabelError(
                f"paths: {listing(nameless)} have no sub-<label> in their names; pass subjects=[...]."
            )
        subjects = [match[1] for match in matches if match is not None]
    names = [str(name) for name in subjects]
    if len(names) != len(files) or len(set(names)) < len(names):
        raise LabelError(
            f"subjects must be one label of its own a path; got {len(files)} paths and {listing(names)}."
        )
    return names


def _joined(people: list[xr.DataArray], names: list[str], channels: str, stimuli: str) -> xr.DataArray:
    first = people[0]
    for name, one in zip(names, people, strict=True):
        a, b = first["time"].values, one["time"].values
        if len(a) != len(b) or np.abs(a - b).max() > 1e-6:
            raise ShapeError(
                f"epochs of {names[0]!r} and {name!r} have other times: {said(a)} and {said(b)}. Crop "
                "or resample one of them."
            )
    lost = {}
    for dim, how in (("neuroid", channels), ("stimulus", stimuli)):
        kept, lost[dim] = _shared(people, names, dim, how)
        people = [one.sel({dim: kept}) for one in people]
    first = people[0]
    for key in ("units", "channel_type"):
        other = [name for name, one in zip(names, people, strict=True) if (one[key] != first[key]).any()]
        if other:
            raise LabelError(f"{names[0]!r} and {listing(other)} have channels of other {key}; pass picks.")
    places = np.stack([np.stack([one[axis].values for axis in AXES]) for one in people])
    middle = places.mean(axis=0)
    away = np.linalg.norm(places - middle, axis=1)
    shared = {
        str(key): coord.variable
        for key, coord in first.coords.items()
        if key not in ("n_trials", *AXES)
        and coord.dims
        and all(key in one.coords and coord.variable.equals(one[key].variable) for one in people)
    }
    coords: dict[str, Any] = {
        **shared,
        "subject": names,
        "n_trials": (("subject", "stimulus"), np.stack([one["n_trials"].values for one in people])),
        "n_bads": ("subject", [one.attrs["n_bads"] for one in people]),
        **{axis: ("neuroid", middle[i]) for i, axis in enumerate(AXES)},
    }
    if all("n_dropped" in one.attrs for one in people):
        coords["n_dropped"] = ("subject", [one.attrs["n_dropped"] for one in people])
    return xr.DataArray(
        np.stack([one.values for one in people]),
        dims=("subject", *first.dims),
        coords=coords,
        attrs=_attrs(people, lost) | {"place_spread_mm": float(np.nanmax(away, initial=0.0))},
        name=first.name,
    )


def _shared(
    people: Sequence[xr.DataArray], names: Sequence[str], dim: str, how: str
) -> tuple[list[Any], list[str]]:
    """Return the labels that all have, in the order of the first, and those that only some have."""
    word = {"neuroid": "channels", "stimulus": "stimuli"}[dim]
    sets = [set(one[dim].values.tolist()) for one in people]
    common = set.intersection(*sets)
    some = sorted({str(label) for label in set.union(*sets) - common})
    if some and how == "exact":
        lacking = [
            f"{name!r} lacks {listing(sorted(map(str, set.union(*sets) - own)))}"
            for name, own in zip(names, sets, strict=True)
            if own != set.union(*sets)
        ]
        raise LabelError(
            f"people differ in {word}: {'; '.join(lacking)}. Pass {word}='common' to keep those that all "
            "have."
        )
    if not common:
        raise LabelError(f"people have no {word} in common.")
    return [label for label in people[0][dim].values.tolist() if label in common], some


def _attrs(people: Sequence[xr.DataArray], lost: dict[str, list[str]]) -> dict[str, Any]:
    """Return what all people's attributes have in common, and the counts."""
    first = people[0].attrs
    same = {
        key: value
        for key, value in first.items()
        if key not in ("n_bads", "bads", "n_dropped") and all(one.attrs.get(key) == value for one in people)
    }
    return same | {
        "n_undefined": sum(int(one.isnull().sum()) for one in people),
        "n_without_place": int(max(one["x"].isnull().sum() for one in people)),
        "n_channels_dropped": len(lost["neuroid"]),
        "channels_dropped": ", ".join(lost["neuroid"]),
        "n_stimuli_dropped": len(lost["stimulus"]),
        "stimuli_dropped": ", ".join(lost["stimulus"]),
    }
