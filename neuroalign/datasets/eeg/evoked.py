"""Labelled responses as MNE's Evoked."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...errors import InvalidValueError, ShapeError, listing
from ...schema import labels
from .epochs import import_mne, said
from .sensors import AXES, MM, UNITS

__all__ = ["to_mne"]

# By how much of a sample times may miss the grid of the sampling rate.
OFF_GRID = 1e-2


def to_mne(responses: xr.DataArray) -> list[Any]:
    """Return averaged responses of one person as a list of MNE Evoked, one a stimulus.

    The way back from ``from_mne``, and to MNE's drawings. What a labelled array does not hold (the
    orientation of MEG coils, the reference, a history) is not there.

    Parameters
    ----------
    responses : DataArray (stimulus, neuroid, time)
        ``time`` in seconds, evenly spaced. Where they are there: ``channel_type`` (else EEG), ``units``
        (along neuroid, or one word in ``attrs``; needed), ``x``, ``y``, ``z`` in mm, ``n_trials``.

    Returns
    -------
    list of mne.EvokedArray
        In volts and teslas, the comment being the stimulus.

    Raises
    ------
    ShapeError
        If dims are other ones; select a person first.
    InvalidValueError
        If a unit is unknown, or times are not evenly spaced or off the grid of the sampling rate.
    FileError
        If ``mne`` is missing.

    Examples
    --------
    >>> responses = xr.DataArray(
    ...     np.ones((1, 2, 5)), dims=("stimulus", "neuroid", "time"), attrs={"units": "microvolt"},
    ...     coords={"stimulus": ["cat"], "neuroid": ["Fz", "Cz"], "time": np.arange(5) / 100})
    >>> to_mne(responses)[0].data.max()
    np.float64(1e-06)
    """
    mne = import_mne("to_mne")
    if not isinstance(responses, xr.DataArray) or set(responses.dims) != {"stimulus", "neuroid", "time"}:
        what = getattr(responses, "dims", type(responses).__name__)
        raise ShapeError(
            f"responses must have dims ('stimulus', 'neuroid', 'time'); got {what}. Take one person with "
            "responses.sel(subject=...); single trials are averaged with from_mne(..., average=True)."
        )
    responses = responses.transpose("stimulus", "neuroid", "time")
    names = [str(name) for name in labels(responses, on="neuroid", name="responses")]
    stimuli = labels(responses, on="stimulus", name="responses")
    times = responses["time"].values.astype(np.float64)
    info = _info(mne, responses, names, _rate(times, responses.attrs.get("sfreq")))
    values = responses.values * _to_si(responses)[:, None]
    if "n_trials" in responses.coords:
        n_trials = np.broadcast_to(responses["n_trials"].values, len(stimuli))
    else:
        n_trials = np.ones(len(stimuli), dtype=int)
    return [
        mne.EvokedArray(
            one, info, tmin=float(times[0]), comment=str(stimulus), nave=int(count), verbose="ERROR"
        )
        for one, stimulus, count in zip(values, stimuli, n_trials, strict=True)
    ]


def _rate(times: np.ndarray, known: float | None) -> float:
    """Return the sampling rate in Hz of times on its grid."""
    if len(times) < 2 and known is None:
        raise InvalidValueError("one sample has no sampling rate; set responses.attrs['sfreq'].")
    rate = float(known) if known is not None else float(1 / np.diff(times).mean())
    samples = times * rate
    off = np.abs(samples - np.round(samples)).max()
    if off > OFF_GRID or (np.diff(np.round(samples)) != 1).any():
        raise InvalidValueError(
            f"times must be evenly spaced, whole samples from 0 at {rate:g} Hz; got {said(times)}, the worst "
            f"{off:.2g} samples off."
        )
    return rate


def _to_si(responses: xr.DataArray) -> np.ndarray:
    """Return the factor (n_neuroids,) from each channel's unit to SI."""
    words = responses["units"].values if "units" in responses.coords else responses.attrs.get("units")
    factors = {unit: 1 / factor for table in UNITS.values() for factor, unit in table.values()}
    units = np.broadcast_to(np.asarray(words, dtype=object), responses.sizes["neuroid"])
    unknown = sorted({str(unit) for unit in units if unit not in factors})
    if unknown:
        raise InvalidValueError(f"units must be among {listing(factors, limit=10)}; got {listing(unknown)}.")
    return np.array([factors[unit] for unit in units])


def _info(mne: Any, responses: xr.DataArray, names: list[str], rate: float) -> Any:
    given = responses["channel_type"].values if "channel_type" in responses.coords else np.asarray("eeg")
    kinds = [str(kind) for kind in np.broadcast_to(given, len(names))]
    info = mne.create_info(names, rate, kinds, verbose="ERROR")
    if all(axis in responses.coords for axis in AXES):
        places = np.stack([responses[axis].values for axis in AXES], axis=1) / MM
        # Device and head are one frame here, so that the places of MEG sensors stand in the head's.
        info["dev_head_t"] = mne.transforms.Transform("meg", "head")
        for channel, place in zip(info["chs"], places, strict=True):
            channel["loc"][:3] = place
    return info
