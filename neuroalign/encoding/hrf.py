r"""Haemodynamic responses in closed form, and the convolution of features and events with them.

A double gamma has a closed-form integral, so that a box convolved with it is a difference of two values: no
fine grid is needed and no resolution has to be chosen.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.signal import lfilter
from scipy.special import gammainc, gammaln, xlogy

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from .runs import check_features, even_step, rows_of_runs, run_labels

__all__ = ["GLOVER", "HRFS", "SPM", "DoubleGamma", "convolve", "convolve_events", "hrf_library", "hrf_rows"]

PEAKS = (3.0, 4.0, 5.0, 6.0, 7.0)
DISPERSIONS = (0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class DoubleGamma:
    r"""A response of unit area: one gamma density for the peak, less a share of one for the undershoot.

    .. math:: h(t) = \frac{g(t; a_1, s_1) - c\, g(t; a_2, s_2)}{G(L; a_1, s_1) - c\, G(L; a_2, s_2)}

    for t from 0 to L seconds and 0 elsewhere, with the gamma density g and its integral G of shape
    :math:`a = delay / dispersion` and scale :math:`s = dispersion`. The peak density has its maximum at
    ``delay - dispersion``. Unit area: a feature of constant 1 ends at 1.

    Attributes
    ----------
    delay, undershoot : float
        Means of the two densities in seconds.
    dispersion, undershoot_dispersion : float
        Their scales in seconds.
    ratio : float
        Of the undershoot to the peak, c; at least 0 and below 1.
    length : float
        L, in seconds.

    Raises
    ------
    InvalidValueError
        If a parameter is out of range.

    References
    ----------
    Friston et al. 1998, NeuroImage 7:30; the defaults are those of SPM's ``spm_hrf`` (delays 6 and 16 s,
    dispersions 1 s, ratio 1 / 6, 32 s), for which nilearn has .167 as the ratio.

    Examples
    --------
    >>> SPM(np.array([-1.0, 0.0, 5.0, 15.0, 40.0])).round(3).tolist()
    [0.0, 0.0, 0.211, -0.018, 0.0]
    >>> SPM.integral(np.array([0.0, 10.0, 32.0])).round(3).tolist()
    [0.0, 1.11, 1.0]
    """

    delay: float = 6.0
    undershoot: float = 16.0
    dispersion: float = 1.0
    undershoot_dispersion: float = 1.0
    ratio: float = 1 / 6
    length: float = 32.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not np.isfinite(value) or value < 0 or (value == 0 and name != "ratio"):
                raise InvalidValueError(f"{name} of an HRF must be positive and finite; got {value!r}.")
        if self.ratio >= 1 or self._area <= 0:
            raise InvalidValueError(
                f"the undershoot (ratio {self.ratio:g}) must be smaller than the peak, so that the area over "
                f"{self.length:g} s is positive."
            )

    def __call__(self, times: Any) -> np.ndarray:
        """Return the response at ``times`` (any shape), in seconds after an impulse; per second."""
        times = as_float(times, name="times")
        inside = (times >= 0) & (times <= self.length)
        t = np.where(inside, times, 0.0)
        peak = _density(t, self.delay, self.dispersion)
        dip = _density(t, self.undershoot, self.undershoot_dispersion)
        return np.where(inside, (peak - self.ratio * dip) / self._area, 0.0)

    def integral(self, times: Any) -> np.ndarray:
        """Return the area under the response up to ``times``: 0 before the impulse and 1 after the length."""
        return self._mass(np.clip(as_float(times, name="times"), 0.0, self.length)) / self._area

    @property
    def _area(self) -> float:
        return float(self._mass(np.array(self.length)))

    def _mass(self, t: np.ndarray) -> np.ndarray:
        peak = gammainc(self.delay / self.dispersion, t / self.dispersion)
        dip = gammainc(self.undershoot / self.undershoot_dispersion, t / self.undershoot_dispersion)
        return peak - self.ratio * dip


SPM = DoubleGamma()
# As nilearn and its users have it. Glover 1999 himself writes other gammas (powers 6 and 12 with scale .9 s).
GLOVER = DoubleGamma(
    delay=6.0, undershoot=12.0, dispersion=0.9, undershoot_dispersion=0.9, ratio=0.48, length=32.0
)
HRFS: dict[str, DoubleGamma] = {"spm": SPM, "glover": GLOVER}


def hrf_library() -> tuple[DoubleGamma, ...]:
    """Return 20 responses: peaks at 3, 4, 5, 6 and 7 s, each with dispersions .5, 1, 1.5 and 2 s.

    The undershoot follows 10 s after the peak's mean, with dispersion 1 s and ratio 1 / 6, so that the entry
    of 5 s and 1 s is SPM's response. This is our own grid; that a library of 20 with a choice per voxel does
    better than one response is the idea of GLMsingle, whose library was derived from data.

    References
    ----------
    Prince et al. 2022, eLife 11:e77599.

    Examples
    --------
    >>> library = hrf_library()
    >>> len(library), library.index(SPM)
    (20, 9)
    """
    return tuple(
        DoubleGamma(delay=peak + dispersion, undershoot=peak + dispersion + 10, dispersion=dispersion)
        for peak in PEAKS
        for dispersion in DISPERSIONS
    )


def hrf_rows(hrf: Any, tr: float) -> int:
    """Return over how many rows of ``tr`` seconds a response reaches back: what a purge needs.

    Examples
    --------
    >>> hrf_rows("spm", 1.5)
    22
    """
    return math.ceil(_hrf(hrf).length / tr - 1e-9)


def convolve(
    X: xr.DataArray, hrf: Any = "spm", *, runs: Any = None, slice_time_ref: float = 0.5
) -> xr.DataArray:
    r"""Return features convolved with a haemodynamic response, within runs only.

    The features of a row hold from its time t to the next row's, :math:`[t, t + s)`, and the response is
    taken at :math:`t + f s`, where f is ``slice_time_ref``:

    .. math:: y_i = \sum_{k \ge 0} x_{i-k} \bigl(H((k + f) s) - H((k - 1 + f) s)\bigr)

    with the integral H of the response. This is the exact convolution of a step function. What came before a
    run is 0, which is the mean of a feature that was centred: centre first, or trim the first rows.

    Parameters
    ----------
    X : DataArray (time, feature)
        Times in seconds, evenly spaced within a run; the second dim may have any name. Order of the rows does
        not matter.
    hrf : str or DoubleGamma
        A key of ``HRFS``, or any response.
    runs : array (n_times,) or scalar, optional
        As in ``delay``.
    slice_time_ref : float
        When a volume is taken, as a share of its TR: 0 at its start, .5 (as fMRIPrep writes) in its middle.

    Returns
    -------
    DataArray (time, feature)
        float64, with all coordinates of ``X``.

    Raises
    ------
    LabelError
        If the runs are unknown, or times are missing or repeated.
    ShapeError
        If the dims are other ones, or a run has one row.
    InvalidValueError
        If times in a run are not evenly spaced, a feature is not finite, or an argument is out of range.

    Examples
    --------
    >>> X = xr.DataArray(np.ones((40, 1)), dims=("time", "feature"), coords={"time": 2.0 * np.arange(40)})
    >>> convolve(X, runs="a").values[[0, 2, 39], 0].round(3).tolist()
    [0.001, 0.461, 1.0]
    """
    hrf, ref = _hrf(hrf), _share(slice_time_ref)
    values, times = check_features(X)
    out = np.empty_like(values)
    for run, rows in rows_of_runs(run_labels(X, runs), times).items():
        step = even_step(times[rows], run)
        if np.isnan(step):
            raise ShapeError(f"run {run!r} has {len(rows)} row, which has no duration to convolve.")
        edges = (np.arange(-1, min(len(rows), hrf_rows(hrf, step) + 1)) + ref) * step
        # A direct filter: a transform would smear rounding of later rows into earlier ones.
        out[rows] = lfilter(np.diff(hrf.integral(edges)), [1.0], values[rows], axis=0)
    return X.copy(data=out).assign_attrs({f"hrf_{k}": v for k, v in asdict(hrf).items()})


def convolve_events(
    events: pd.DataFrame,
    times: Any,
    *,
    tr: float,
    runs: Any,
    hrf: Any = "spm",
    slice_time_ref: float = 0.5,
) -> xr.DataArray:
    r"""Return events convolved with a haemodynamic response, one feature a trial type.

    An event from o to o + d of amplitude a adds :math:`a (H(t - o) - H(t - o - d))` to the volumes of its
    run, which are taken at t = their time + ``slice_time_ref`` x ``tr``; an event without duration is an
    impulse and adds :math:`a\, h(t - o)`, as much as a second of amplitude a would.

    Parameters
    ----------
    events : DataFrame
        Columns ``onset`` and ``duration`` in seconds on the clock of ``times``; optional ``amplitude`` (1
        where it is missing) and ``trial_type``; ``run`` where there are several runs. An event may begin
        before the first volume of its run.
    times : array (n_times,)
        When each volume begins, in seconds; no two alike.
    tr : float
        Seconds.
    runs : array (n_times,) or scalar
        The run of each volume. A scalar says that all are one run.
    hrf, slice_time_ref
        As in ``convolve``.

    Returns
    -------
    DataArray (time, feature)
        float64, coordinates ``run`` and ``feature`` (trial types as they first come, ``"event"`` without
        them). ``attrs["n_outside"]`` counts the events whose response meets no volume of their run.

    Raises
    ------
    LabelError
        If a column is missing, or an event is of a run without volumes.
    InvalidValueError
        If a value is not finite, a duration is negative, or an argument is out of range.

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [0.0], "duration": [2.0], "trial_type": ["word"]})
    >>> found = convolve_events(events, [0.0, 2.0, 4.0, 6.0], tr=2.0, runs="a")
    >>> found.sel(feature="word").values.round(3).tolist()
    [0.001, 0.1, 0.36, 0.378]
    """
    hrf, ref = _hrf(hrf), _share(slice_time_ref)
    if not np.isfinite(tr) or tr <= 0:
        raise InvalidValueError(f"tr must be positive and finite; got {tr!r}.")
    frame = xr.DataArray(as_float(times, name="times", ndim=1), dims="time").rename("times")
    known = run_labels(frame, runs)
    onsets, durations, amplitudes, event_runs = _events(events, known)
    types = events["trial_type"].to_numpy() if "trial_type" in events else np.full(len(events), "event")
    names = list(dict.fromkeys(types.tolist()))
    values, n_outside = np.zeros((len(known), len(names))), 0
    for run, rows in rows_of_runs(known).items():
        of_run = np.flatnonzero(event_runs == run)
        lags = frame.values[rows, None] + ref * tr - onsets[of_run]
        boxes = hrf.integral(lags) - hrf.integral(lags - durations[of_run])
        added = np.where(durations[of_run] == 0, hrf(lags), boxes) * amplitudes[of_run]
        values[rows] = added @ (types[of_run, None] == np.array(names, dtype=types.dtype))
        n_outside += int(((lags <= 0) | (lags - durations[of_run] >= hrf.length)).all(axis=0).sum())
    attrs = {"n_outside": n_outside, "tr": float(tr), **{f"hrf_{k}": v for k, v in asdict(hrf).items()}}
    coords = {"time": frame.values, "run": ("time", known), "feature": names}
    return xr.DataArray(values, dims=("time", "feature"), coords=coords, attrs=attrs, name="events")


def _events(events: pd.DataFrame, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return onset, duration, amplitude and run of each event."""
    several = len(set(runs.tolist())) > 1
    missing = [c for c in ("onset", "duration", *(["run"] if several else [])) if c not in events]
    if missing:
        raise LabelError(f"events lack the columns {listing(missing)}; they have {listing(events.columns)}.")
    onsets, durations = (
        as_float(events[c].to_numpy(), name=f"events.{c}", ndim=1) for c in ("onset", "duration")
    )
    if (durations < 0).any():
        i = int(np.argmax(durations < 0))
        raise InvalidValueError(f"durations must not be negative; got {durations[i]:g} at event {i}.")
    amplitudes = np.ones(len(events))
    if "amplitude" in events:
        amplitudes = as_float(events["amplitude"].to_numpy(), name="events.amplitude", ndim=1)
    event_runs = events["run"].to_numpy() if "run" in events else np.full(len(events), runs[0])
    unknown = sorted(set(event_runs.tolist()) - set(runs.tolist()), key=str)
    if unknown:
        raise LabelError(
            f"events of the runs {listing(unknown)} have no volumes; there are {listing(set(runs.tolist()))}."
        )
    return onsets, durations, amplitudes, event_runs


def _hrf(hrf: Any) -> DoubleGamma:
    if isinstance(hrf, DoubleGamma):
        return hrf
    if not isinstance(hrf, str) or hrf not in HRFS:
        raise choice(hrf, HRFS, name="hrf")
    return HRFS[hrf]


def _share(slice_time_ref: float) -> float:
    if not 0 <= slice_time_ref <= 1:
        raise InvalidValueError(f"slice_time_ref must be between 0 and 1; got {slice_time_ref!r}.")
    return float(slice_time_ref)


def _density(t: np.ndarray, mean: float, scale: float) -> np.ndarray:
    shape = mean / scale
    return np.exp(xlogy(shape - 1, t / scale) - t / scale - gammaln(shape)) / scale
