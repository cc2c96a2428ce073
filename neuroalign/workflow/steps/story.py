"""Figures 3, 4 and 5: a story encoded and compared by layer, and the language units as its model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import datasets, encoding, io, rsa, stats
from ...errors import FileError
from ...localization import random_masks
from ...schema import make_rdm
from ...seeds import generator
from ..paths import TWINS, Paths
from ..sections import Simulation, Story
from ..sources import LayerFile, low_level_features, own_series, story_words
from .common import write_values

__all__ = [
    "GROUP",
    "Encoder",
    "ceiling_rows",
    "encode",
    "interval",
    "layer_volumes",
    "prepare_story",
    "responses_of",
    "story_notes",
    "story_rsa",
    "unit_alignment",
    "volume_seconds",
]

GROUP, WINDOWS = "group", "window RSA"


def prepare_story(paths: Paths) -> None:
    """Write the story's responses (real, or simulated with a planted layer) and the low-level baseline."""
    section = paths.study.story or Story()
    words = story_words(section)
    if section.responses == "simulated":
        series = _simulated(paths, section.simulation or Simulation(), words)
    elif section.words is not None:
        series = own_series(section.responses)
    else:
        series = datasets.load(section.responses, radius=section.radius)
    times = series["time"].values
    if section.responses == "alice_fmri":
        shipped = datasets.load("alice_fmri", what="regressors").mean("subject")
        baseline = shipped.rename(regressor="feature").transpose("time", "feature")
        baseline = baseline.copy(data=stats.standardize(baseline.values)).drop_attrs()
        baseline["feature"] = [str(name).replace("_", " ") for name in baseline["feature"].values]
    else:
        baseline = low_level_features(words, times, volume_seconds(times))
    data = xr.Dataset({"series": series, "baseline": baseline.rename("baseline")}, attrs=series.attrs)
    params = section.model_dump(mode="json")
    io.save(data, paths.responses, params=params, seed=paths.study.seed)


def _simulated(paths: Paths, section: Simulation, words: pd.DataFrame) -> xr.DataArray:
    file = LayerFile(paths.activations("story", "trained"))
    planted = file.names[round(section.planted_depth * (len(file) - 1))]
    return datasets.simulate(
        {planted: file[planted]},
        planted_layer=planted,
        snr=section.snr,
        onsets=words,
        tr=section.tr,
        n_subjects=section.n_subjects,
        phi=section.phi,
        rng=generator(paths.study.seed, "simulation"),
    )


def volume_seconds(times: np.ndarray) -> float:
    """Return the seconds from one volume to the next."""
    return float(np.median(np.diff(times)))


def responses_of(paths: Paths) -> xr.Dataset:
    """Return the prepared series and the low-level baseline."""
    data = io.load(paths.responses)
    if not isinstance(data, xr.Dataset):
        raise FileError(f"{paths.responses} must hold series and baseline; remove it and run again.")
    return data


class Encoder:
    """The study's encoding analysis with everything but the features fixed.

    Two kinds of targets: each region's group mean, scored against itself, and each listener's region, fitted
    to the mean of the other listeners and scored on the listener's own held-out rows.
    """

    def __init__(self, section: Story, series: xr.DataArray) -> None:
        self.section = section
        group = encoding.group_mean(series)
        group = group.drop_vars("n_subjects").assign_coords(
            subject=("neuroid", [GROUP] * group.sizes["neuroid"])
        )
        names = [f"{s}/{r}" for s, r in zip(series["subject"].values, series["roi"].values, strict=True)]
        series = series.assign_coords(neuroid=names)
        keep = ["time", "neuroid", "subject", "roi", "run"]
        parts = [group, encoding.leave_one_subject_out(series), group, stats.prepare_series(series)]
        parts = [part.drop_vars(set(part.coords) - set(keep)).drop_attrs() for part in parts]
        self.fitted = xr.concat(parts[:2], "neuroid")
        self.own = xr.concat(parts[2:], "neuroid")
        self.runs = series["run"].values if "run" in series.coords else np.ones(series.sizes["time"])
        alphas = section.alphas
        self.alphas = np.logspace(alphas.low, alphas.high, alphas.n)
        self.model = encoding.RidgeCV(
            self.alphas.tolist(), cv=section.n_folds - 1, purge=section.purge, device="cpu"
        )
        self.splits = encoding.contiguous_splits(series.sizes["time"], section.n_folds, purge=section.purge)
        self.n_fits = self.n_lower = self.n_upper = 0

    def delayed(self, features: xr.DataArray) -> xr.DataArray:
        """Return features (time, unit) at the study's delays."""
        centred = features - features.mean("time")
        return encoding.delay(centred, self.section.delays, runs=self.runs)

    def score(self, design: xr.DataArray) -> xr.DataArray:
        """Return the scores (neuroid,) of a design (time, feature), averaged over folds."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", encoding.AlphaEdgeWarning)  # counted below, said in the report
            found = encoding.evaluate(self.model, design, self.fitted, splits=self.splits, Y_test=self.own)
        chosen = found["alpha"].values
        self.n_fits += chosen.size
        self.n_lower += int((chosen == self.alphas.min()).sum())
        self.n_upper += int((chosen == self.alphas.max()).sum())
        return found.mean("fold", skipna=False)

    def edges(self) -> dict[str, float]:
        """Return the share of penalties so far at either edge of the grid."""
        return {"lower_edge": self.n_lower / self.n_fits, "upper_edge": self.n_upper / self.n_fits}


def layer_volumes(
    file: LayerFile, layer: str, words: pd.DataFrame, times: np.ndarray, section: Story
) -> xr.DataArray:
    """Return a layer's activations at the rate of the volumes, (time, unit)."""
    return encoding.to_trs(file[layer], words, times, tr=volume_seconds(times), method=section.downsample)


def _chosen(file: LayerFile, section: Story) -> dict[str, int]:
    """Return the layers that a study looks at, every ``layer_step`` and the last, with their depth."""
    last = len(file) - 1
    depths = sorted({*range(0, len(file), section.layer_step), last})
    return {file.names[depth]: depth for depth in depths}


def encode(paths: Paths) -> None:
    """Write the values of figure 3: cross-validated scores by layer and region, baseline, twin, ceilings."""
    section = paths.study.story or Story()
    data, words = responses_of(paths), story_words(section)
    series, times = data["series"], data["time"].values
    encoder = Encoder(section, series)
    rng = generator(paths.study.seed, "encoding", "bootstrap")
    base = encoder.score(data["baseline"].rename(feature="unit"))
    rows = _score_rows("baseline", "all", -1, base, None, section, rng)
    inputs = {"responses": io.stored_digest(paths.responses)}
    for twin in TWINS:
        file = LayerFile(paths.activations("story", twin))
        inputs[twin] = io.layers_digest(file.path)
        for layer, depth in tqdm(_chosen(file, section).items(), desc=f"encoding, {twin}", unit="layer"):
            design = encoder.delayed(layer_volumes(file, layer, words, times, section))
            rows += _score_rows(twin, layer, depth, encoder.score(design), base, section, rng)
    rows += ceiling_rows(series, generator(paths.study.seed, "encoding", "ceiling"))
    notes = story_notes(paths, data, section) | encoder.edges()
    write_values(paths, 3, pd.DataFrame(rows), inputs=inputs, section=section, notes=notes)


def _score_rows(
    network: str,
    layer: str,
    depth: int,
    scores: xr.DataArray,
    base: xr.DataArray | None,
    section: Story,
    rng: np.random.Generator,
) -> list[dict]:
    """Return a row a region: the group mean's score, and the listeners' mean with its interval."""
    rows = []
    for roi in dict.fromkeys(scores["roi"].values.tolist()):
        inside = scores["roi"].values == roi
        group = inside & (scores["subject"].values == GROUP)
        own = scores.values[inside & ~group]
        where = {"network": network, "layer": layer, "depth": depth, "roi": roi}
        rows.append({**where, "score": "group mean", "value": float(scores.values[group][0]), "n": 1})
        rows.append({**where, "score": "left-out listener", **interval(own, section, rng)})
        if base is not None:
            gain = own - base.values[inside & ~group]
            rows.append({**where, "score": "gain over baseline", **interval(gain, section, rng)})
    return rows


def interval(values: np.ndarray, section: Story, rng: np.random.Generator) -> dict[str, float]:
    """Return the mean over subjects with its bootstrap interval; subjects without a score are left out."""
    values = values[~np.isnan(values)]
    if values.size < 2:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": int(values.size)}
    found = stats.bootstrap(lambda i: values[i].mean(), values.size, n=section.n_bootstrap, rng=rng)
    low, high = float(found.lower), float(found.upper)
    return {"value": float(found.estimate), "low": low, "high": high, "n": int(values.size)}


def ceiling_rows(series: xr.DataArray, rng: np.random.Generator) -> list[dict]:
    """Return the ceilings: inter-subject correlation for a listener, reliability for the group mean."""
    isc = stats.isc(series)
    cube = stats.by_subject(stats.prepare_series(series))
    rows = []
    for roi in isc["roi"].values:
        own = isc.sel(roi=roi).values
        values = cube.sel(roi=roi).values
        reliability = float(stats.split_half(values[~np.isnan(values).any(axis=1)], n=200, rng=rng))
        where = {"network": "ceiling", "layer": "all", "depth": -1, "roi": str(roi)}
        rows.append({**where, "score": "left-out listener", "value": float(np.nanmean(own)), "n": own.size})
        best = float(np.sqrt(reliability)) if reliability > 0 else float("nan")
        rows.append({**where, "score": "group mean", "value": best, "n": own.size})
    return rows


def story_notes(paths: Paths, data: xr.Dataset, section: Story) -> dict[str, Any]:
    """Return counts and facts of a story that captions use."""
    truth: Mapping[str, Any] = data["series"].attrs.get("truth", {}) or data.attrs.get("truth", {})
    return {
        "network": LayerFile(paths.activations("story", "trained")).label,
        "simulated": section.responses == "simulated",
        "responses": section.responses,
        "n_subjects": len(set(data["subject"].values.tolist())),
        "n_times": data.sizes["time"],
        "excluded": data.attrs.get("excluded", {}),
        "licence": data.attrs.get("licence", ""),
        "cite": data.attrs.get("cite", ""),
        "truth": dict(truth),
    }


def story_rsa(paths: Paths) -> None:
    """Write the values of figure 4: similarity of time-window RDMs by layer, with baselines and ceiling."""
    section = paths.study.story or Story()
    data, words = responses_of(paths), story_words(section)
    times = data["time"].values
    subjects = _subject_rdms(stats.prepare_series(data["series"]), section)
    inputs = {"responses": io.stored_digest(paths.responses)}
    models, kinds = _baseline_rdms(data["baseline"], section)
    for twin in TWINS:
        file = LayerFile(paths.activations("story", twin))
        inputs[twin] = io.layers_digest(file.path)
        for layer, depth in tqdm(_chosen(file, section).items(), desc=f"RDMs, {twin}", unit="layer"):
            models.append(rsa.rdm(_layer_windows(file, layer, words, times, section)))
            kinds.append((twin, layer, depth))
    stacked = xr.concat([m.drop_attrs() for m in models], pd.Index(range(len(models)), name="model"))
    rng = generator(paths.study.seed, "rsa", "bootstrap")
    found = rsa.evaluate(stacked, subjects, section.method, n_bootstrap=section.n_bootstrap, rng=rng)
    rows = _rsa_rows(found, kinds)
    notes = story_notes(paths, data, section) | {
        "n_windows": len(rsa.window_patterns(data["series"], section.window))
    }
    notes |= {"window_seconds": section.window * volume_seconds(times), "method": section.method}
    write_values(paths, 4, pd.DataFrame(rows), inputs=inputs, section=section, notes=notes)


def _layer_windows(
    file: LayerFile, layer: str, words: pd.DataFrame, times: np.ndarray, section: Story
) -> xr.DataArray:
    """Return a layer's mean activations in each window, convolved with the HRF, (stimulus, neuroid)."""
    centred = layer_volumes(
        file, layer, words, times - volume_seconds(times) / 2, section
    )  # the HRF counts from t
    response = datasets.convolve_hrf(centred, volume_seconds(times))
    return rsa.window_patterns(_as_series(response), section.window, how="mean")


def _as_series(x: xr.DataArray) -> xr.DataArray:
    return x.rename({x.dims[1]: "neuroid"})


def _subject_rdms(series: xr.DataArray, section: Story) -> xr.DataArray:
    """Return one RDM a listener, (subject, pair): correlation distance of windows (row x region)."""
    subjects = list(dict.fromkeys(series["subject"].values.tolist()))
    rdms = []
    for subject in subjects:
        own = series.isel(neuroid=series["subject"].values == subject)
        rdms.append(rsa.rdm(rsa.window_patterns(own, section.window, how="flatten")).drop_attrs())
    return xr.concat(rdms, pd.Index(subjects, name="subject"))


def _baseline_rdms(baseline: xr.DataArray, section: Story) -> tuple[list[xr.DataArray], list[tuple]]:
    """Return RDMs of what is not language: each low-level feature, and how far apart in time windows are."""
    models, kinds = [], []
    for feature in baseline["feature"].values:
        one = _as_series(baseline.sel(feature=[feature]))
        windows = rsa.window_patterns(one, section.window, how="mean")
        models.append(rsa.rdm(windows, "euclidean"))
        kinds.append(("baseline", str(feature), -1))
    labels = windows["stimulus"].values
    a, b = np.triu_indices(len(labels), 1)
    models.append(make_rdm((b - a).astype(float), labels))
    kinds.append(("baseline", "distance in time", -1))
    return models, kinds


def _rsa_rows(found: xr.Dataset, kinds: list[tuple]) -> list[dict]:
    rows = []
    for i, (network, layer, depth) in enumerate(kinds):
        low, high = found["interval"].isel(model=i).values
        value = float(found["estimate"].isel(model=i))
        where = {"network": network, "layer": layer, "depth": depth}
        rows.append({**where, "value": value, "low": float(low), "high": float(high)})
    for bound in ("lower", "upper"):
        value = float(found["noise_ceiling"].sel(bound=bound))
        rows.append({"network": "ceiling", "layer": bound, "depth": -1, "value": value})
    return rows


def unit_alignment(paths: Paths) -> None:
    """Write the values of figure 5: the language units against random units, by encoding and by RSA."""
    section = paths.study.story or Story()
    data, words = responses_of(paths), story_words(section)
    times = data["time"].values
    masks = io.load(paths.masks)
    if not isinstance(masks, xr.Dataset):
        raise FileError(f"{paths.masks} must hold the localizer's Dataset.")
    language = masks["mask"]
    file = LayerFile(paths.activations("story", "trained"))
    units = np.hstack(
        [layer_volumes(file, layer, words, times, section).values for layer in _order(language)]
    )
    encoder = Encoder(section, data["series"])
    similarity = UnitSimilarity(section, data["series"], file, _order(language), words)
    rng = generator(paths.study.seed, "unit-alignment")
    random = random_masks(language, "layer-matched", section.n_unit_controls, rng=rng)
    sets = [("language", language.values), *((f"random-{i:03d}", m) for i, m in enumerate(random.values))]
    rows = []
    for name, mask in tqdm(sets, desc="unit sets", unit="set"):
        features = xr.DataArray(units[:, mask], dims=("time", "unit"), coords={"time": times})
        rows += _set_rows(name, encoder.score(encoder.delayed(features)))
        rows.append({"set": name, "roi": "all", "score": WINDOWS, "value": similarity.score(mask)})
    table = pd.DataFrame(rows)
    table["p"] = _p_values(table)
    ceilings = pd.DataFrame(ceiling_rows(data["series"], generator(paths.study.seed, "encoding", "ceiling")))
    ceilings = ceilings[["roi", "score", "value"]].assign(set="ceiling")
    ceilings.loc[len(ceilings)] = {
        "set": "ceiling",
        "roi": "all",
        "score": WINDOWS,
        "value": similarity.ceiling,
    }
    table = pd.concat([table, ceilings[["set", "roi", "score", "value"]]], ignore_index=True)
    inputs = {"responses": io.stored_digest(paths.responses), "masks": io.stored_digest(paths.masks)}
    inputs["trained"] = io.layers_digest(file.path)
    notes = story_notes(paths, data, section) | {
        "n_units": int(language.sum()),
        "n_random": section.n_unit_controls,
        "window_seconds": section.window * volume_seconds(times),
        "method": section.method,
    }
    notes |= encoder.edges()
    write_values(paths, 5, table, inputs=inputs, section=section, notes=notes)


class UnitSimilarity:
    """Similarity of a set of units to the listeners: RDMs of time windows, as in figure 4."""

    def __init__(
        self, section: Story, series: xr.DataArray, file: LayerFile, layers: list[str], words: pd.DataFrame
    ) -> None:
        self.section = section
        self.subjects = _subject_rdms(stats.prepare_series(series), section)
        times = series["time"].values
        parts = [_layer_windows(file, layer, words, times, section) for layer in layers]
        self.stimuli = parts[0]["stimulus"].values
        self.patterns = np.hstack([part.values for part in parts])
        self.ceiling = float(rsa.noise_ceiling(self.subjects, section.method).sel(bound="lower"))

    def score(self, mask: np.ndarray) -> float:
        """Return the mean similarity over listeners; NaN where it is undefined for all of them."""
        patterns = xr.DataArray(
            self.patterns[:, mask], dims=("stimulus", "unit"), coords={"stimulus": self.stimuli}
        )
        found = rsa.compare(rsa.rdm(patterns), self.subjects, self.section.method)
        return float(found.mean("rdm_b", skipna=True).item())


def _order(mask: xr.DataArray) -> list[str]:
    return list(dict.fromkeys(mask["layer"].values.tolist()))


def _set_rows(name: str, scores: xr.DataArray) -> list[dict]:
    rows = []
    for roi in dict.fromkeys(scores["roi"].values.tolist()):
        inside = scores["roi"].values == roi
        group = inside & (scores["subject"].values == GROUP)
        values = {"group mean": scores.values[group], "left-out listener": scores.values[inside & ~group]}
        for kind, found in values.items():
            rows.append({"set": name, "roi": roi, "score": kind, "value": float(np.nanmean(found))})
    return rows


def _p_values(table: pd.DataFrame) -> np.ndarray:
    """Return p of the language units among the random sets, a region and score; n/a on the random rows."""
    p = np.full(len(table), np.nan)
    for _, rows in table.groupby(["roi", "score"]):
        is_language = rows["set"] == "language"
        observed = float(rows.loc[is_language, "value"].iloc[0])
        p[rows.index[is_language]] = stats.p_value(observed, rows.loc[~is_language, "value"].to_numpy())
    return p
