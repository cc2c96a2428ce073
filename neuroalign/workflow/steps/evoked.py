"""Figure 18: averaged EEG in time: waves and their clusters, RDMs against model RDMs, latencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import datasets, io, rsa, stats
from ...schema import labels, make_rdm
from ...seeds import generator
from ..paths import Paths
from ..sections import Evoked
from .common import write_values

__all__ = ["evoked"]

CONGRUENT, INCONGRUENT = "congruent", "incongruent"
LISTENING = ("clear", "noise")
KINDS = ("peak", "fractional-peak", "fractional-area")
# The model of the effect, and its score's name in the rows of latencies.
EFFECT, SCORE = "congruence", "congruence r"
# (subject, what, ...) scores are tested against 0 from both sides.
TAIL = "two-sided"
# Neighbours are joined by a triangle of the flattened head; longer edges close gaps and the rim.
REACH_MM = 75.0


def evoked(paths: Paths) -> None:
    """Write the values of figure 18: a row a sample of a curve, a sensor, a cluster, a latency, a window."""
    section, seed = paths.study.evoked or Evoked(), paths.study.seed
    eeg = datasets.load(section.responses)
    waves = eeg.sel(neuroid=list(section.sensors)).mean("neuroid")
    effects = _effects(waves)
    frames = rsa.movie(eeg, section.metric)
    models = _models(eeg)
    courses: dict[str, xr.DataArray] = {
        method: rsa.time_course(models, frames, method) for method in section.methods
    }
    tests = {"waves": _clusters(effects, section, seed, "waves")}
    tests["sensors"] = _sensor_clusters(eeg, section, seed)
    tests |= {method: _clusters(course, section, seed, method) for method, course in courses.items()}
    generalised, tests["generalisation"] = _generalisation(eeg, section, seed)
    main = courses[section.methods[0]]
    rows = [
        _curves("wave", "", waves.rename(stimulus="name"), section, seed),
        _curves("effect", "", effects, section, seed, tests["waves"]),
        _sensors(eeg, section, tests["sensors"]),
        *(_curves("score", m, c.rename(model="name"), section, seed, tests[m]) for m, c in courses.items()),
        *(_ceiling(frames, method, section.step) for method in section.methods),
        *(_cluster_rows(what, test) for what, test in tests.items()),
        _windows(effects, courses, section, seed),
        _latencies(effects, main.sel(model=EFFECT, drop=True), section, seed),
        generalised,
    ]
    notes = _notes(eeg, section, tests, main)
    inputs = {"responses": io.content_digest(eeg)}
    write_values(paths, 18, pd.concat(rows, ignore_index=True), inputs=inputs, section=section, notes=notes)


def _effects(waves: xr.DataArray) -> xr.DataArray:
    """Return incongruent less congruent (subject, name, ...) of both ways of listening, and what differs."""
    wanted = [f"{CONGRUENT}/{how}" for how in LISTENING], [f"{INCONGRUENT}/{how}" for how in LISTENING]
    one, other = (waves.sel(stimulus=names).values for names in wanted)
    axis = waves.get_axis_num("stimulus")
    effect = other - one
    clear, noise = (effect.take([i], axis=axis) for i in range(2))
    found = waves.isel(stimulus=[0, 0, 0]).drop_vars(["stimulus", "congruence", "listening", "n_trials"])
    values = np.concatenate([clear, noise, noise - clear], axis=axis)
    return found.copy(data=values).rename(stimulus="name").assign_coords(name=[*LISTENING, "noise - clear"])


def _models(eeg: xr.DataArray) -> xr.DataArray:
    """Return three model RDMs: 1 where two conditions differ in congruence, in listening, in just one.

    With two conditions of two things each, the three RDMs add up to 2 at every pair: their correlations with
    an RDM add up to 0.
    """
    differ = [eeg[name].values for name in (EFFECT, "listening")]
    a, b = np.triu_indices(eeg.sizes["stimulus"], 1)
    first, second = ((values[a] != values[b]).astype(np.float64) for values in differ)
    names = [EFFECT, "listening", "interaction"]
    rows = np.stack([first, second, (first != second).astype(np.float64)])
    return make_rdm(rows, labels(eeg), dims=["model"], coords={"model": names})


def _clusters(x: xr.DataArray, section: Evoked, seed: int, what: str, **options: Any) -> xr.Dataset:
    rng = generator(seed, "evoked", "flips", what)
    named = x.rename({"model": "name"} if "model" in x.dims else {})
    options = {"tail": TAIL, "forming": section.forming, **options}
    return stats.cluster_test(named, n=section.n_flips, rng=rng, **options)


def _sensor_clusters(eeg: xr.DataArray, section: Evoked, seed: int) -> xr.Dataset:
    """Return clusters of the effect over all sensors and times."""
    effect = _effects(eeg).sel(name=list(LISTENING))
    return _clusters(
        effect, section, seed, "sensors", adjacency=datasets.sensor_adjacency(eeg, max_distance_mm=REACH_MM)
    )


def _curves(
    kind: str, part: str, x: xr.DataArray, section: Evoked, seed: int, test: xr.Dataset | None = None
) -> pd.DataFrame:
    """Return the mean over subjects of every name and time, its interval, and its cluster's p."""
    x = x.transpose("subject", "name", "time")
    rng = generator(seed, "evoked", "band", kind, part)
    found = stats.bootstrap(lambda i: x.values[i].mean(axis=0), len(x), n=section.n_bootstrap, rng=rng)
    names, times = np.repeat(x["name"].values, x.sizes["time"]), np.tile(x["time"].values, x.sizes["name"])
    values = {"value": found.estimate.ravel(), "low": found.lower.ravel(), "high": found.upper.ravel()}
    p = np.nan if test is None else test["p"].sel(name=x["name"]).transpose("name", "time").values.ravel()
    return pd.DataFrame({"kind": kind, "part": part, "name": names, "time": times, **values, "p": p})


def _sensors(eeg: xr.DataArray, section: Evoked, test: xr.Dataset) -> pd.DataFrame:
    """Return the effect of each sensor in the window, and the smallest p of its clusters there."""
    window = slice(*section.window)
    means = _effects(eeg).sel(time=window).mean(["time", "subject"])
    p = test["p"].sel(time=window).min("time")
    parts = [
        pd.DataFrame(
            {
                "kind": "sensor",
                "part": how,
                "name": eeg["neuroid"].values,
                **{axis: eeg[axis].values for axis in "xyz"},
                "value": means.sel(name=how).values,
                "p": p.sel(name=how).values,
            }
        )
        for how in LISTENING
    ]
    return pd.concat(parts)


def _ceiling(frames: xr.DataArray, method: str, step: float) -> pd.DataFrame:
    """Return the noise ceiling over people of a sample every ``step`` seconds."""
    times = frames["time"].values
    some = frames.isel(time=slice(None, None, max(1, round(step / (times[1] - times[0])))))
    bounds = [rsa.noise_ceiling(some.isel(time=i), method) for i in range(some.sizes["time"])]
    low, high = np.stack([bound.sel(bound=["lower", "upper"]).values for bound in bounds]).T
    table = {"kind": "ceiling", "part": method, "time": some["time"].values}
    return pd.DataFrame({**table, "low": low, "high": high})


def _cluster_rows(what: str, test: xr.Dataset) -> pd.DataFrame:
    """Return a row a cluster of p below .5: ``low`` and ``high`` are when it begins and ends."""
    table: dict[str, Any] = {"name": test["cluster_name"].values if "cluster_name" in test else what}
    table |= {"low": test["start"].values, "high": test["stop"].values, "time": test["peak_time"].values}
    table |= {"value": test["mass"].values, "p": test["p_cluster"].values, "n": test["size"].values}
    found = pd.DataFrame({"kind": "cluster", "part": what, **table})
    return found[found["p"] < 0.5]


def _windows(
    effects: xr.DataArray, courses: dict[str, xr.DataArray], section: Evoked, seed: int
) -> pd.DataFrame:
    """Return the mean of effects and scores over the window, with its t test, and of scores before the word.

    The files' waves have a mean of 0 before the word, so that there is nothing to test in them.
    """
    curves = [("effect", "", effects)]
    curves += [("score", method, course.rename(model="name")) for method, course in courses.items()]
    rows = []
    for kind, part, x in curves:
        for where in ("window", "baseline") if kind == "score" else ("window",):
            mean = x.sel(time=slice(*getattr(section, where))).mean("time").transpose("subject", "name")
            rng = generator(seed, "evoked", where, kind, part)
            test = stats.mean_tests(mean, n=section.n_bootstrap, rng=rng, tail=TAIL)
            low, high = test["interval"].values
            table: dict[str, Any] = {"kind": where, "part": part or kind, "name": test["name"].values}
            table |= {"value": test["estimate"].values, "low": low, "high": high}
            table |= {"t": test["t"].values, "p": test["p"].values, "n": len(mean)}
            rows.append(pd.DataFrame(table))
    return pd.concat(rows)


def _latencies(effects: xr.DataArray, score: xr.DataArray, section: Evoked, seed: int) -> pd.DataFrame:
    """Return latencies of the N400 effect and of the score, with intervals, and of noise less clear."""
    rng = generator(seed, "evoked", "latencies")
    options: dict[str, Any] = {"window": section.search, "n_bootstrap": section.n_bootstrap, "rng": rng}
    clear, noise = (effects.sel(name=how, drop=True) for how in LISTENING)
    rows = []
    for kind in KINDS:
        for name, x, polarity in (
            *zip(LISTENING, (clear, noise), ("negative", "negative"), strict=True),
            (SCORE, score, "positive"),
        ):
            found = stats.latencies(x, kind=kind, polarity=polarity, jackknife=True, **options)
            rows.append({"kind": "latency", "part": kind, "name": name, **_numbers(found)})
            rows[-1]["n"] = found.attrs["n_subjects"] - int(found["n_undefined"])
        found = stats.latency_difference(noise, clear, kind=kind, polarity="negative", **options)
        more = {"t": float(found["t"]), "p": float(found["p"]), "n": found.attrs["dof"] + 1}
        rows.append({"kind": "latency", "part": kind, "name": "noise - clear", **_numbers(found), **more})
    return pd.DataFrame(rows)


def _numbers(found: xr.Dataset) -> dict[str, float]:
    low, high = found["interval"].values.tolist()
    return {"value": float(found["estimate"]), "low": low, "high": high, "error": float(found["error"])}


def _generalisation(eeg: xr.DataArray, section: Evoked, seed: int) -> tuple[pd.DataFrame, xr.Dataset]:
    """Return how alike each person's RDM at one time is to the others' mean RDM at another, and clusters."""
    frames = rsa.movie(eeg, section.metric, window=section.step, step=section.step)
    frames = frames.transpose("subject", "time", "pair")
    others = frames.copy(data=stats.mean_of_others(frames.values))
    found = rsa.temporal_generalisation(frames, others, section.methods[0])
    found = found.rename(time_test="time")
    times = found["time"].values
    beside = (np.eye(len(times), k=1) + np.eye(len(times), k=-1)).astype(bool)
    dims = ("time_train", "time_train_b")
    near = xr.DataArray(beside, dims=dims, coords=dict.fromkeys(dims, times))
    test = _clusters(found, section, seed, "generalisation", adjacency=near, tail="greater")
    mean = found.mean("subject").transpose("time_train", "time")
    table = {"kind": "generalisation", "part": section.methods[0], "value": mean.values.ravel()}
    table |= {"time": np.repeat(times, len(times)), "time_other": np.tile(times, len(times))}
    p = test["p"].transpose("time_train", "time").values.ravel()
    return pd.DataFrame({**table, "p": p}), test


def _notes(
    eeg: xr.DataArray, section: Evoked, tests: dict[str, xr.Dataset], main: xr.DataArray
) -> dict[str, Any]:
    mean = main.sel(model=EFFECT).mean("subject")
    inside = mean.sel(time=slice(*section.window))
    top = int(np.argmax(inside.values))
    return {
        "responses": section.responses,
        "simulated": False,
        "n_subjects": eeg.sizes["subject"],
        "n_sensors": eeg.sizes["neuroid"],
        "n_times": eeg.sizes["time"],
        "n_trials": [int(eeg["n_trials"].min()), int(eeg["n_trials"].max())],
        "sensors": list(section.sensors),
        "peak_r": float(inside[top]),
        "peak_time": float(inside["time"][top]),
        "n_undefined": {name: int(test.attrs["n_undefined"]) for name, test in tests.items()},
        "cite": eeg.attrs["cite"],
    }
