"""Simulated responses of known truth: which layer a region follows, how strongly, and what can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...arrays import as_float
from ...errors import InvalidValueError, LabelError, ShapeError, choice
from ...schema import align, check, labels
from ...seeds import generator
from ..bold.hemodynamics import convolve_hrf

__all__ = ["ceilings", "simulate"]

HRFS = ("spm", None)


@dataclass(frozen=True)
class _Spec:
    """What is the same for every region: the numbers of a simulation that ``simulate`` documents."""

    seed: int
    n_subjects: int
    neuroids_per_roi: int
    deviation: float
    phi: float
    drift: float
    on: bool


def simulate(
    features: Mapping[str, Any],
    *,
    planted_layer: str | Mapping[str, str],
    snr: Mapping[str, float],
    rng: int | np.random.Generator,
    onsets: np.ndarray | pd.DataFrame | None = None,
    n_times: int | None = None,
    tr: float = 2.0,
    hrf: str | None = "spm",
    n_subjects: int = 10,
    neuroids_per_roi: int = 1,
    deviation: float = 0.0,
    phi: float = 0.3,
    drift: float = 0.0,
    noise: bool = True,
) -> xr.DataArray:
    """Return BOLD-like series in which each region follows one layer at a known strength.

    y = sqrt(snr) * (sqrt(1 - deviation) * s + sqrt(deviation) * u) + e + drift * z * ramp. The signal s is
    the planted layer (columns standardised, summed into volumes, convolved with the HRF) times random weights
    that all subjects share; u is such a signal with the subject's own weights, made orthogonal to s. Both
    have mean 0 and variance 1 over time exactly. The noise e is AR(1) with variance 1, independent over
    subjects and neuroids; z is standard normal and the ramp a line of mean 0 and variance 1.

    Parameters
    ----------
    features : mapping of str to array (n_times, n_features) or (n_words, n_features)
        One entry a layer, or a Dataset; the layers may differ in width. Rows are volumes, or words where
        ``onsets`` is given. Labelled rows (first dim with a coordinate) are aligned by label. Layers that are
        not planted are the competitors that an analysis must reject.
    planted_layer : str or mapping of roi to str
        The layer that every region follows, or the layer of each region.
    snr : mapping of roi to float
        Variance of the signal over variance of the noise; 0 plants nothing.
    rng : int or numpy.random.Generator
        The seed; from a Generator one integer is drawn. Every draw has a stream of its own: another subject,
        region or neuroid changes none of those before it.
    onsets : array (n_words,) or DataFrame with columns stimulus and onset, optional
        Seconds from the first volume; a word at t falls into volume floor(t / tr). A table is aligned with
        labelled features by ``stimulus``.
    n_times : int, optional
        Number of volumes where ``onsets`` is given; up to the last word where None.
    tr : float
        Seconds between volumes.
    hrf : {"spm", None}
        None where the features are already convolved.
    n_subjects, neuroids_per_roi : int
    deviation : float
        Share of the signal's variance that is a subject's own, 0 to 1.
    phi : float
        Correlation of the noise with itself one volume later, above -1 and below 1.
    drift : float
        Standard deviation of the linear drift in units of the noise's.
    noise : bool
        False leaves out noise and drift: with the same ``rng``, the signal alone.

    Returns
    -------
    xarray.DataArray (time, neuroid)
        A series like those of ``load``: coordinates time (seconds), run (all 1), neuroid ("s01/LATL", with
        "/0", "/1", ... where a region has several), subject, roi. ``attrs``: simulated (True), truth (all
        of the parameters and the seed), ceiling (see ``ceilings``, one entry a region, without what is
        undefined for one subject), units.

    Raises
    ------
    InvalidValueError
        If a number is outside its range, a layer or HRF is unknown, or the planted layer is constant.
    LabelError
        If labels or regions do not match.
    ShapeError
        If layers differ in rows, or the arrays are not two-dimensional.

    Examples
    --------
    >>> from neuroalign.seeds import generator
    >>> layers = {"early": generator(0).normal(size=(200, 4)), "late": generator(1).normal(size=(200, 6))}
    >>> bold = simulate(layers, planted_layer="late", snr={"V1": 1.0, "null": 0.0}, rng=0)
    >>> bold.shape, round(bold.attrs["ceiling"]["V1"]["subject_truth"], 4)
    ((200, 20), 0.7071)
    """
    _check_numbers(n_subjects, neuroids_per_roi, tr=tr, phi=phi, drift=drift, deviation=deviation)
    planted = _check_plan(features, planted_layer, snr)
    if hrf not in HRFS:
        raise choice(hrf, HRFS, name="hrf")
    seed = int(rng.integers(2**53)) if isinstance(rng, np.random.Generator) else rng
    spec = _Spec(seed, n_subjects, neuroids_per_roi, deviation, phi, drift, noise)
    designs, times = _designs(features, sorted(set(planted.values())), onsets, n_times, tr, hrf)
    values = [_region(designs[planted[roi]], roi, planted[roi], snr[roi], spec) for roi in snr]
    truth = {
        **{"planted_layer": planted, "layers": [str(layer) for layer in features]},
        **{
            "snr": {roi: float(value) for roi, value in snr.items()},
            "seed": int(seed),
            "n_subjects": n_subjects,
        },
        **{"neuroids_per_roi": neuroids_per_roi, "deviation": deviation, "phi": phi, "drift": drift},
        **{"tr": tr, "hrf": hrf, "noise": noise},
    }
    return _label(np.stack(values, axis=2), times, list(snr), truth)


def ceilings(snr: float, *, n_subjects: int, deviation: float = 0.0) -> dict[str, float]:
    """Return the expected correlations over time that a simulation of this strength leaves reachable.

    With v = snr (1 - deviation), the variance of the shared signal, and n subjects: subject_truth
    sqrt(v / (1 + snr)); subject_signal sqrt(snr / (1 + snr)); pair v / (1 + snr); isc (a subject with the
    mean of the others) v / sqrt((1 + snr) (v + (1 + snr - v) / (n - 1))); group_truth (the mean of all with
    the truth) sqrt(v / (v + (1 + snr - v) / n)). They hold for long series, without drift.

    Parameters
    ----------
    snr : float
        Variance of the signal over variance of the noise.
    n_subjects : int
    deviation : float
        Share of the signal's variance that is a subject's own.

    Returns
    -------
    dict of str to float
        In [0, 1]. ``pair`` and ``isc`` are NaN for one subject.

    Examples
    --------
    >>> {name: round(value, 3) for name, value in ceilings(1.0, n_subjects=3).items()}
    {'subject_truth': 0.707, 'subject_signal': 0.707, 'pair': 0.5, 'isc': 0.577, 'group_truth': 0.866}
    """
    _check_numbers(n_subjects, 1, deviation=deviation)
    if not (np.isfinite(snr) and snr >= 0):
        raise InvalidValueError(f"snr must be 0 or more and finite; got {snr!r}.")
    shared, total = snr * (1 - deviation), snr + 1.0
    own, others = total - shared, n_subjects - 1
    several = n_subjects > 1
    return {
        "subject_truth": float(np.sqrt(shared / total)),
        "subject_signal": float(np.sqrt(snr / total)),
        "pair": float(shared / total) if several else float("nan"),
        "isc": float(shared / np.sqrt(total * (shared + own / others))) if several else float("nan"),
        "group_truth": float(np.sqrt(shared / (shared + own / n_subjects))),
    }


RANGES = {
    "tr": (lambda x: x > 0, "positive"),
    "phi": (lambda x: -1 < x < 1, "above -1 and below 1"),
    "drift": (lambda x: x >= 0, "0 or more"),
    "deviation": (lambda x: 0 <= x <= 1, "from 0 to 1"),
}


def _check_numbers(n_subjects: int, neuroids_per_roi: int, **numbers: float) -> None:
    for name, value in (("n_subjects", n_subjects), ("neuroids_per_roi", neuroids_per_roi)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InvalidValueError(f"{name} must be a positive integer; got {value!r}.")
    for name, number in numbers.items():
        good, words = RANGES[name]
        if not (np.isfinite(number) and good(number)):
            raise InvalidValueError(f"{name} must be finite and {words}; got {number!r}.")


def _check_plan(
    features: Mapping[str, Any], planted_layer: str | Mapping[str, str], snr: Mapping[str, float]
) -> dict[str, str]:
    """Return the layer of each region."""
    if not snr:
        raise InvalidValueError("snr must name at least one region; got none.")
    for roi, value in snr.items():
        if not (np.isfinite(value) and value >= 0):
            raise InvalidValueError(f"snr of {roi!r} must be 0 or more and finite; got {value!r}.")
    planted = dict.fromkeys(snr, planted_layer) if isinstance(planted_layer, str) else dict(planted_layer)
    if set(planted) != set(snr):
        raise LabelError(
            f"planted_layer names the regions {sorted(planted)}, snr {sorted(snr)}; name the same in both."
        )
    for layer in planted.values():
        if layer not in features:
            raise choice(layer, features, name="planted_layer")
    return {roi: planted[roi] for roi in snr}


def _designs(
    features: Mapping[str, Any],
    wanted: list[str],
    onsets: np.ndarray | pd.DataFrame | None,
    n_times: int | None,
    tr: float,
    hrf: str | None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the design (n_times, n_features) of each planted layer, and the times in seconds."""
    rows, onsets = _align_rows(dict(features), onsets)
    if onsets is None and n_times is not None:
        raise InvalidValueError("n_times belongs to onsets; without them the features' rows are the volumes.")
    bins, n_times = _bins(onsets, n_times, tr) if onsets is not None else (None, len(rows[wanted[0]]))
    designs = {}
    for layer in wanted:
        values = _standardise(rows[layer], layer)
        if bins is not None:
            summed = np.zeros((n_times, values.shape[1]))
            np.add.at(summed, bins, values)
            values = summed
        designs[layer] = convolve_hrf(values, tr) if hrf == "spm" else values
    first = next(iter(features.values()))
    timed = onsets is None and isinstance(first, xr.DataArray) and "time" in first.coords
    return designs, first["time"].values if timed else tr * np.arange(n_times)


def _align_rows(
    features: dict[str, Any], onsets: np.ndarray | pd.DataFrame | None
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return the layers' values (rows, features) in one order of rows, and the onsets in that order."""
    labelled = [x for x in features.values() if isinstance(x, xr.DataArray) and x.dims[0] in x.coords]
    table = onsets if isinstance(onsets, pd.DataFrame) else None
    if labelled and len(labelled) != len(features):
        raise LabelError("features: label the rows of every layer or of none.")
    if labelled:
        on = str(labelled[0].dims[0])
        several = [*features.values()] if table is None else [*features.values(), table]
        names = [*features] if table is None else [*features, "onsets"]
        aligned = align(*several, on=on, names=names)
        features, table = dict(zip(features, aligned, strict=False)), None if table is None else aligned[-1]
    rows = {name: as_float(x, name=f"features of {name!r}", ndim=2) for name, x in features.items()}
    if table is not None:
        labels(table, on="stimulus", name="onsets")
        onsets = table["onset"].to_numpy() if "onset" in table else None
        if onsets is None:
            raise LabelError(f"onsets has no column 'onset'; it has {list(table.columns)}.")
    onsets = None if onsets is None else as_float(onsets, name="onsets", ndim=1)
    sizes = {
        name: len(values)
        for name, values in {**rows, **({} if onsets is None else {"onsets": onsets})}.items()
    }
    if len(set(sizes.values())) != 1:
        raise ShapeError(f"features (and onsets) must have the same number of rows; got {sizes}.")
    return rows, onsets


def _bins(onsets: np.ndarray, n_times: int | None, tr: float) -> tuple[np.ndarray, int]:
    bins = np.floor(onsets / tr).astype(np.int64)
    n_times = int(bins.max()) + 1 if n_times is None else n_times
    outside = (bins < 0) | (bins >= n_times)
    if outside.any():
        raise InvalidValueError(
            f"onsets must be from 0 to below {n_times * tr} s ({n_times} volumes); "
            f"{int(outside.sum())} are not, the first is {onsets[outside][0]}."
        )
    return bins, n_times


def _standardise(values: np.ndarray, name: str) -> np.ndarray:
    """Return columns of mean 0 and variance 1; a column without variance becomes 0."""
    if len(values) < 3:
        raise ShapeError(f"features of {name!r} must have at least 3 rows; got {len(values)}.")
    centred = values - values.mean(axis=0)
    sd = centred.std(axis=0)
    varies = sd > 1e-12 * np.abs(values).max(axis=0)
    if not varies.any():
        raise InvalidValueError(f"features of {name!r} are constant; nothing can be planted.")
    return np.where(varies, centred / np.where(varies, sd, 1.0), 0.0)


def _region(design: np.ndarray, roi: str, layer: str, snr: float, spec: _Spec) -> np.ndarray:
    """Return the responses (n_times, n_subjects, n_neuroids) of one region."""
    shared = [_signal(design, spec, "shared", roi, layer, j) for j in range(spec.neuroids_per_roi)]
    out = np.empty((len(design), spec.n_subjects, spec.neuroids_per_roi))
    ramp = _unit(np.arange(len(design), dtype=np.float64))
    for i in range(spec.n_subjects):
        for j in range(spec.neuroids_per_roi):
            signal = shared[j]
            if spec.deviation:
                own = _signal(design, spec, "own", roi, layer, j, i)
                own = _unit(own - signal * (own @ signal) / (signal @ signal))
                signal = np.sqrt(1 - spec.deviation) * signal + np.sqrt(spec.deviation) * own
            out[:, i, j] = np.sqrt(snr) * signal
            if spec.on:
                draws = generator(spec.seed, "simulate", "noise", roi, i, j)
                slope = draws.normal()
                out[:, i, j] += _autoregressive(draws.normal(size=len(design)), spec.phi)
                out[:, i, j] += spec.drift * slope * ramp
    return out


def _signal(design: np.ndarray, spec: _Spec, *path: str | int) -> np.ndarray:
    weights = generator(spec.seed, "simulate", *path).normal(size=design.shape[1])
    return _unit(design @ weights)


def _unit(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    sd = centred.std()
    if not sd > 1e-10:
        raise InvalidValueError("a signal of the planted layer has no variance left; give it more features.")
    return centred / sd


def _autoregressive(draws: np.ndarray, phi: float) -> np.ndarray:
    """Return stationary AR(1) noise of variance 1."""
    noise, scale = draws.copy(), np.sqrt(1 - phi**2)
    for t in range(1, len(noise)):
        noise[t] = phi * noise[t - 1] + scale * draws[t]
    return noise


def _label(values: np.ndarray, times: np.ndarray, rois: list[str], truth: dict[str, Any]) -> xr.DataArray:
    """Label values (n_times, n_subjects, n_rois, n_neuroids)."""
    n_times, n_subjects, _, n_neuroids = values.shape
    rows = [
        (f"s{i + 1:02d}/{roi}" + (f"/{j}" if n_neuroids > 1 else ""), f"s{i + 1:02d}", roi)
        for i in range(n_subjects)
        for roi in rois
        for j in range(n_neuroids)
    ]
    neuroid, subject, roi_labels = (np.array(column) for column in zip(*rows, strict=True))
    coords = {
        "time": times,
        "run": ("time", np.ones(n_times, dtype=np.int64)),
        "neuroid": neuroid,
        "subject": ("neuroid", subject),
        "roi": ("neuroid", roi_labels),
    }
    found = {
        roi: ceilings(truth["snr"][roi], n_subjects=n_subjects, deviation=truth["deviation"]) for roi in rois
    }
    # NaN in attributes would make an array differ from itself.
    ceiling = {roi: {key: x for key, x in found[roi].items() if not np.isnan(x)} for roi in rois}
    attrs = {
        "simulated": True,
        "truth": truth,
        "ceiling": ceiling,
        "units": "standard deviations of the noise",
    }
    bold = xr.DataArray(
        values.reshape(n_times, -1), dims=("time", "neuroid"), coords=coords, attrs=attrs, name="bold"
    )
    return check(bold, "series")
