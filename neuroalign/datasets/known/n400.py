"""Sentence N400: averaged EEG of 26 people, sentence-final words congruent or not, in noise or clear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...errors import FileError
from ...io.parsing import parsing
from ..sources import Source, pick

__all__ = ["CONDITIONS", "SUBJECTS", "evoked"]

SUBJECTS = tuple(f"p{i + 1:02d}" for i in range(26))
# Our name of each condition and the file's; in the files "Noise" has only trials that were answered rightly.
CONDITIONS = {
    "congruent/clear": "Control",
    "incongruent/clear": "Violation",
    "congruent/noise": "Noise/Control/Correct",
    "incongruent/noise": "Noise/Violation/Correct",
}
N_CHANNELS, N_TIMES = 64, 615
MICROVOLT, MM = 1e6, 1e3


def evoked(source: Source, *, subjects: Sequence[str] | None = None) -> xr.DataArray:
    """Return the averaged EEG (subject, stimulus 4, neuroid 64, time 615) in microvolts.

    From 0.2 s before the sentence's last word to 1 s after it, 512 Hz, as in the files, referenced to the
    mean of the mastoids TP9 and TP10. p02's file says nothing of filters; the others were filtered at 0.1 to
    30 Hz. Reading needs the package ``mne`` (``pip install 'neuroalign[eeg]'``).

    Parameters
    ----------
    source : Source
    subjects : sequence of str, optional
        Of ``SUBJECTS``; all where None.

    Returns
    -------
    DataArray (subject, stimulus, neuroid, time)
        ``stimulus`` is a key of ``CONDITIONS``, with ``congruence`` and ``listening``; ``neuroid`` the name
        of an electrode, with x, y, z of a template head in mm; ``n_trials`` (subject, stimulus) how many
        trials were averaged, 10 to 41.

    Raises
    ------
    InvalidValueError
        If a subject is unknown.
    FileError
        If a file is not the one in the manifest, or ``mne`` is missing.
    """
    taken = pick(subjects, SUBJECTS, name="subjects")
    found = [_read(source, subject) for subject in taken]
    channels = found[0][2]
    names = [name for name, _ in channels]
    for subject, (_, _, others, _) in zip(taken, found, strict=True):
        if [name for name, _ in others] != names:
            raise FileError(f"n400_group_eeg: the electrodes of {subject} are not those of {taken[0]}.")
    places = np.array([place for _, place in channels]) * MM
    coords = {
        "subject": taken,
        "stimulus": list(CONDITIONS),
        "neuroid": names,
        "time": found[0][3],
        "congruence": ("stimulus", [name.split("/")[0] for name in CONDITIONS]),
        "listening": ("stimulus", [name.split("/")[1] for name in CONDITIONS]),
        "n_trials": (("subject", "stimulus"), np.array([one[1] for one in found])),
        **{axis: ("neuroid", places[:, i]) for i, axis in enumerate("xyz")},
    }
    return xr.DataArray(
        np.stack([one[0] for one in found]),
        dims=("subject", "stimulus", "neuroid", "time"),
        coords=coords,
        attrs=source.attrs(units="microvolt", reference="mean of TP9 and TP10"),
        name="eeg",
    )


def _read(source: Source, subject: str) -> tuple[np.ndarray, list[int], Any, np.ndarray]:
    """Return values (4, n_channels, n_times), trials, electrodes with places, and times."""
    path = source.file(f"group_data/sentence_n400_{subject}-ave.fif")
    try:
        import mne
    except ImportError as error:
        raise FileError(
            f"{path} needs the package mne, which is missing: {error} Run: pip install 'neuroalign[eeg]'"
        ) from error
    with parsing(f"{path} is not the FIF file with 4 conditions that was expected"):
        conditions = {one.comment: one for one in mne.read_evokeds(path, verbose="ERROR")}
        kept = [conditions[theirs] for theirs in CONDITIONS.values()]
    values = np.stack([one.data for one in kept]) * MICROVOLT
    if values.shape[1:] != (N_CHANNELS, N_TIMES) or not np.isfinite(values).all():
        raise FileError(f"{path} must hold finite values (4, 64, 615); got shape {values.shape}.")
    channels = [(channel["ch_name"], channel["loc"][:3]) for channel in kept[0].info["chs"]]
    return values, [int(one.nave) for one in kept], channels, kept[0].times
