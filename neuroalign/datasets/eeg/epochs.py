"""EEG and MEG: MNE's Epochs and Evoked as labelled responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import FileError, InvalidValueError, LabelError, ShapeError, choice, listing
from .sensors import AXES, UNITS, channel_table

__all__ = ["from_mne", "import_mne", "said"]

EVENT_NAME = "event_name"
# Names of our own coordinates; a column of the metadata that has one is called metadata_<name>.
OURS = {"stimulus", "presentation", "trial", "neuroid", "time", "subject", "channel_type", "units", *AXES}


def from_mne(
    x: Any,
    *,
    by: str = EVENT_NAME,
    picks: Sequence[str] | str | None = None,
    average: bool = False,
    subject: str | None = None,
    units: str = "usual",
    nan: str = "refuse",
) -> xr.DataArray:
    """Return MNE Epochs as single trials or averages, or Evoked as averages, with labels.

    Needs the package ``mne`` (``pip install 'neuroalign[eeg]'``). ``x`` is not edited.

    Parameters
    ----------
    x : mne.Epochs, mne.Evoked or sequence of mne.Evoked
        Evoked of one person with the same channels and times; their comments become the stimuli.
    by : str
        What names the stimuli of Epochs: ``"event_name"`` (the keys of ``event_id``) or a column of the
        metadata.
    picks : str or sequence of str, optional
        Kinds of channels (``"eeg"``, ``"mag"``, ...) or their names; all that record a brain where None.
        Channels marked as bad are left out and counted.
    average : bool
        Whether the trials of each stimulus are averaged (Epochs).
    subject : str, optional
        Whose they are: a scalar coordinate.
    units : {"usual", "SI"}
        Microvolt, fT (magnetometers) and fT/cm (gradiometers), or V, T and T/m.
    nan : {"refuse", "keep"}
        What happens to values that are not finite. Kept, an average that has one is NaN.

    Returns
    -------
    DataArray of float64
        Single trials (presentation, neuroid, time): along ``presentation`` the ``stimulus``, the ``trial``
        (the number of the event in the recording, dropped ones counted) and every column of the metadata.
        Averages (stimulus, neuroid, time): ``n_trials`` and the columns that have one value a stimulus.
        ``time`` in seconds from the event; ``neuroid`` the channel, with ``channel_type``, ``units`` and
        ``x``, ``y``, ``z`` in mm in the head's frame (to the right ear, nose, upwards), NaN where unknown.
        ``attrs``: sfreq in Hz, lowpass, highpass, baseline where one was set, n_bads with their names,
        n_dropped (epochs that were rejected), n_undefined (NaN), n_without_place.

    Raises
    ------
    FileError
        If ``mne`` is missing.
    InvalidValueError
        If a choice is unknown, an event has two names, a bad channel is asked for, or values are not finite.
    LabelError
        If the column or a label is missing, or Evoked have the same comment or other channels.
    ShapeError
        If ``x`` is something else, there are no epochs, or Evoked have other times.

    Notes
    -----
    The noise covariance of single trials comes from their baseline: deviations from each stimulus's mean, all
    trials and samples before the event together (see the example). Neighbouring samples are not independent,
    so that ``dof`` is too large and shrinkage too small; with every k-th sample
    (``isel(time=slice(None, None, k))``) they are less so.

    Examples
    --------
    >>> import mne
    >>> from neuroalign import rsa
    >>> values = 1e-6 * np.random.default_rng(0).standard_normal((20, 3, 50))
    >>> info = mne.create_info(["Fz", "Cz", "Pz"], 100.0, "eeg")
    >>> events = np.column_stack([np.arange(20), np.zeros(20, int), np.arange(20) % 2 + 1])
    >>> epochs = mne.EpochsArray(values, info, events, -0.1, {"cat": 1, "dog": 2}, verbose="ERROR")
    >>> from_mne(epochs, average=True)["n_trials"].values.tolist()
    [10, 10]
    >>> baseline = from_mne(epochs).sel(time=slice(None, 0))
    >>> rsa.noise_covariance(baseline, "full").dims
    ('neuroid', 'neuroid_b')
    """
    mne = import_mne("from_mne")
    for name, value, allowed in (("units", units, UNITS), ("nan", nan, ("refuse", "keep"))):
        if value not in allowed:
            raise choice(value, allowed, name=name)
    if isinstance(x, mne.BaseEpochs):
        with mne.utils.use_log_level("ERROR"):
            found = _of_epochs(x, by, picks, average, units, nan)
    else:
        several = [x] if isinstance(x, mne.Evoked) else list(x) if isinstance(x, Sequence) else []
        if not several or not all(isinstance(one, mne.Evoked) for one in several):
            raise ShapeError(f"x must be mne Epochs, Evoked or a sequence of Evoked; got {type(x).__name__}.")
        if by != EVENT_NAME:
            raise LabelError(f"by={by!r} is of Epochs: Evoked have no metadata, only comments.")
        found = _of_evoked(several, picks, units, nan)
    return found if subject is None else found.assign_coords(subject=subject)


def import_mne(what: str) -> Any:
    """Return the package ``mne``, or say how to get it."""
    try:
        import mne
    except ImportError as error:
        raise FileError(
            f"{what} needs the package mne, which is missing: {error} Run: pip install 'neuroalign[eeg]'"
        ) from error
    return mne


def _of_epochs(x: Any, by: str, picks: Any, average: bool, units: str, nan: str) -> xr.DataArray:
    x = x if x.preload else x.copy().load_data()
    if len(x) == 0:
        raise ShapeError(f"x has no epochs: all {len(x.drop_log)} were dropped.")
    channels = channel_table(x.info, picks, units)
    values = x.get_data(picks=channels["index"]) * channels["factors"][:, None]
    columns = _columns(x, by)
    attrs = _attrs(x, channels)
    attrs["n_dropped"] = sum(bool(why) and "IGNORED" not in why for why in x.drop_log)
    stimulus = columns.pop("stimulus")
    if average:
        order = [name for name in x.event_id if name in stimulus] if by == EVENT_NAME else pd.unique(stimulus)
        cells = [np.flatnonzero(stimulus == label) for label in order]
        # One value a stimulus, or no coordinate of the stimulus.
        same = {key: v for key, v in columns.items() if all(len(pd.unique(v[cell])) == 1 for cell in cells)}
        values = np.stack([values[cell].mean(axis=0) for cell in cells])
        coords: dict[str, Any] = {
            "stimulus": np.asarray(order),
            "n_trials": ("stimulus", [len(cell) for cell in cells]),
            **{key: ("stimulus", v[[cell[0] for cell in cells]]) for key, v in same.items()},
        }
    else:
        coords = {
            "stimulus": ("presentation", stimulus),
            "trial": ("presentation", np.asarray(x.selection)),
            **{key: ("presentation", v) for key, v in columns.items()},
        }
    dim = "stimulus" if average else "presentation"
    return _labelled(values, dim, coords, channels, x.times, attrs, nan)


def _of_evoked(several: Sequence[Any], picks: Any, units: str, nan: str) -> xr.DataArray:
    first = several[0]
    channels = channel_table(first.info, picks, units)
    names = [str(one.comment) for one in several]
    if len(set(names)) < len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise LabelError(
            f"Evoked need comments of their own; repeated: {listing(repeated)}. Set evoked.comment."
        )
    for one in several:
        if one.kind != "average":
            raise InvalidValueError(
                f"Evoked {one.comment!r} is a {one.kind.replace('_', ' ')}, not an average."
            )
        own = channel_table(one.info, picks, units)["names"]
        if set(own) != set(channels["names"]):
            odd = sorted(set(own) ^ set(channels["names"]))
            raise LabelError(
                f"Evoked {first.comment!r} and {one.comment!r} differ in the channels {listing(odd)}: "
                "pass picks."
            )
        if len(one.times) != len(first.times) or np.abs(one.times - first.times).max() > 1e-6:
            raise ShapeError(
                f"Evoked {first.comment!r} and {one.comment!r} have other times: {said(first.times)} and "
                f"{said(one.times)}. Crop or resample one."
            )
    places = [[one.ch_names.index(name) for name in channels["names"]] for one in several]
    values = np.stack([one.data[index] for one, index in zip(several, places, strict=True)])
    coords = {"stimulus": names, "n_trials": ("stimulus", [int(one.nave) for one in several])}
    values = values * channels["factors"][:, None]
    return _labelled(values, "stimulus", coords, channels, first.times, _attrs(first, channels), nan)


def _labelled(
    values: np.ndarray,
    dim: str,
    coords: dict[str, Any],
    channels: dict[str, Any],
    times: np.ndarray,
    attrs: dict[str, Any],
    nan: str,
) -> xr.DataArray:
    wrong = ~np.isfinite(values)
    if wrong.any() and (nan == "refuse" or np.isinf(values).any()):
        where = np.asarray(channels["names"])[wrong.any(axis=(0, 2))]
        raise InvalidValueError(
            f"x must be finite; {int(wrong.sum())} of {values.size} values are not, in {listing(where)} and "
            f"{int(wrong.any(axis=(1, 2)).sum())} of {len(values)} along {dim!r}. Mark these channels or "
            "epochs as bad, interpolate them, or pass nan='keep' (NaN only)."
        )
    coords |= {
        "neuroid": channels["names"],
        "time": times,
        "channel_type": ("neuroid", channels["kinds"]),
        "units": ("neuroid", channels["units"]),
        **{axis: ("neuroid", channels["places"][:, i]) for i, axis in enumerate(AXES)},
    }
    attrs["n_undefined"] = int(wrong.sum())
    name = channels["kinds"][0] if len(set(channels["kinds"])) == 1 else "sensors"
    return xr.DataArray(values, dims=(dim, "neuroid", "time"), coords=coords, attrs=attrs, name=name)


def _columns(x: Any, by: str) -> dict[str, np.ndarray]:
    """Return the labels ``stimulus`` and the metadata's columns, each (n_epochs,)."""
    table = x.metadata if x.metadata is not None else pd.DataFrame(index=range(len(x)))
    found = {f"metadata_{key}" if key in OURS else str(key): _plain(table[key]) for key in table if key != by}
    if by == EVENT_NAME:
        codes = list(x.event_id.values())
        twice = [name for name, code in x.event_id.items() if codes.count(code) > 1]
        if twice:
            raise InvalidValueError(f"event_id: {listing(twice)} share a code, so trials have two names.")
        names = {code: name for name, code in x.event_id.items()}
        return {"stimulus": np.array([names[code] for code in x.events[:, 2]]), **found}
    if by not in table:
        raise LabelError(
            f"by: the metadata have no column {by!r}; they have {listing(table.columns, limit=20)}. "
            f"Pass by={EVENT_NAME!r} for the names of the events."
        )
    missing = int(table[by].isna().sum())
    if missing:
        raise LabelError(f"by: {missing} of {len(table)} epochs have no {by!r}; drop them first.")
    return {"stimulus": _plain(table[by]), **found}


def _plain(column: Any) -> np.ndarray:
    """Return a column as numbers, or as text where it is anything else ("" where it is missing)."""
    if column.dtype.kind in "fiub":
        return column.to_numpy()
    return np.array(["" if missing else str(v) for v, missing in zip(column, column.isna(), strict=True)])


def _attrs(x: Any, channels: dict[str, Any]) -> dict[str, Any]:
    unknown = np.isnan(channels["places"]).any(axis=1)
    attrs = {
        "sfreq": float(x.info["sfreq"]),
        "lowpass": float(x.info["lowpass"]),
        "highpass": float(x.info["highpass"]),
        "n_bads": len(channels["bads"]),
        "bads": ", ".join(channels["bads"]),
        "n_without_place": int(unknown.sum()),
    }
    if x.baseline is not None:
        attrs["baseline"] = [float(end) for end in x.baseline]
    return attrs


def said(times: np.ndarray) -> str:
    """Return times in words: how many samples, how often, from when to when."""
    step = (times[-1] - times[0]) / max(len(times) - 1, 1)
    rate = f"{1 / step:g} Hz" if step > 0 else "one time"
    return f"{len(times)} samples at {rate} from {times[0]:.4g} to {times[-1]:.4g} s"
