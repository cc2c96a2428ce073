"""Figure 25: features that networks compute equally well, their unequal variance, and RSA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from ... import encoding, geometry, rsa, stats
from ...seeds import generator
from ..boolean_networks import FEATURES, Networks, feature_values, shown_inputs, train_networks
from ..paths import Paths
from ..sections import Bias
from .common import write_values

__all__ = ["bias"]

NUMBER = 25
MAIN, UNTRAINED = "easy + hard", "untrained"
# What each network is trained to put out; the main ones first. The names of the next three say what they
# share with the main ones.
TASKS = {
    MAIN: ("easy 1", "hard 1"),
    "shares easy": ("easy 1", "hard 2"),
    "shares hard": ("easy 2", "hard 1"),
    "shares neither": ("easy 2", "hard 2"),
    "two easy": ("easy 1", "easy 2"),
    "two hard": ("hard 1", "hard 2"),
}
RELATIONS = (MAIN, "shares easy", "shares hard", "shares neither", UNTRAINED)
BETWEEN = ("euclidean", "z-scored", "whitened")
FOLDS = 6
NONE = "none"


def bias(paths: Paths) -> None:
    """Write the values of figure 25: a row a network and measure, and a row a mean with its interval."""
    section, seed = paths.study.bias or Bias(), paths.study.seed
    networks = train_networks(
        TASKS,
        section.n_networks,
        n_each=section.n_each,
        n_units=section.n_units,
        n_steps=section.n_steps,
        rate=section.rate,
        seed=seed,
    )
    patterns = {name: _labelled(found, section, seed) for name, found in networks.items()}
    rows = _accuracies(networks)
    for name in tqdm((MAIN, "two easy", "two hard", UNTRAINED), desc="measures of each network"):
        rows += _measured(patterns[name], name)
    noise = generator(seed, "bias", "noise")
    summary, options = [], {}
    for name in (MAIN, UNTRAINED):
        rdms = _rdms(patterns[name], section.noise, noise)
        options[name] = rdms
        rows += _models(patterns[name], rdms, name, section.method)
    summary += _ceilings(options[MAIN], section.method)
    rows += _between(patterns, options, section.method)
    table = pd.DataFrame(rows)
    summary += _means(table, section, generator(seed, "bias", "bootstrap"))
    summary += _tests(table)
    whole = pd.concat([table, pd.DataFrame(summary), pd.DataFrame(_curves(networks[MAIN]))])
    write_values(paths, NUMBER, whole, inputs={}, section=section, notes=_notes(networks, patterns, section))


def _labelled(found: Networks, section: Bias, seed: int) -> xr.DataArray:
    """Return activations (seed, stimulus, unit), with the features of each stimulus."""
    shown = shown_inputs(section.n_each, seed=seed)[2]
    features = {
        name: ("stimulus", np.where(feature_values(shown, name) > 0, "on", "off")) for name in FEATURES
    }
    stimuli = ["".join("1" if bit > 0 else "0" for bit in row) for row in shown]
    return xr.DataArray(
        found.activations,
        dims=("seed", "stimulus", "unit"),
        coords={"seed": np.arange(len(found.activations)), "stimulus": stimuli, **features},
    )


def _rows(measure: str, task: str, feature: str, values: Any, *, option: str = NONE) -> list[dict[str, Any]]:
    """Return a row a network."""
    about = {"kind": "network", "measure": measure, "task": task, "feature": feature, "option": option}
    return [about | {"seed": i, "value": float(value)} for i, value in enumerate(np.asarray(values))]


def _accuracies(networks: dict[str, Networks]) -> list[dict[str, Any]]:
    """Return how often each output is right on held-out inputs."""
    rows = []
    for task, found in networks.items():
        for k, feature in enumerate(TASKS.get(task, TASKS[MAIN])):
            rows += _rows("accuracy", task, feature, found.accuracy[:, k])
    return rows


def _measured(patterns: xr.DataArray, task: str) -> list[dict[str, Any]]:
    """Return what the geometry of each network says of each feature; all four, also those not trained on."""
    rows = []
    for name, standardize in (("variance", False), ("variance z-scored", True)):
        shares = geometry.variance_explained(patterns, list(FEATURES), standardize=standardize).alone
        for feature in FEATURES:
            rows += _rows(name, task, feature, shares.sel(feature=feature))
    parts = patterns.assign_coords(bits=("stimulus", _bits(patterns, "hard 1")))
    gained = geometry.variance_explained(parts, ["hard 1", "bits"]).sequential.sel(feature="bits")
    rows += _rows("variance", task, "hard 1, its bits", gained)
    for feature in FEATURES:
        rows += _rows("decoding", task, feature, _decoded(patterns, feature))
        rows += _rows("gdv", task, feature, geometry.discrimination_value(patterns, feature).gdv)
    first, second = TASKS.get(task, TASKS[MAIN])
    both = patterns.assign_coords(
        condition=("stimulus", [f"{a} {b}" for a, b in zip(*_pair(patterns, first, second), strict=True)])
    )
    for k, feature in enumerate((first, second)):
        other = (second, first)[k]
        side = {feature: ["on on", "on off"] if k == 0 else ["on on", "off on"]}
        found = geometry.cross_condition_generalisation(both, "condition", side, contexts=other)
        rows += _rows("generalisation", task, feature, found.accuracy.sel(dichotomy=feature))
        score = geometry.parallelism_score(both, "condition", side).score
        rows += _rows("parallelism", task, feature, score.sel(dichotomy=feature))
    rows += _rows("dimensions", task, NONE, geometry.participation_ratio(patterns))
    return rows


def _bits(patterns: xr.DataArray, feature: str) -> list[str]:
    """Return the bits of each stimulus that a feature is made of, as a class of their own."""
    return ["".join(name[i] for i in FEATURES[feature]) for name in patterns["stimulus"].values.tolist()]


def _pair(patterns: xr.DataArray, first: str, second: str) -> tuple[list[str], list[str]]:
    return patterns[first].values.tolist(), patterns[second].values.tolist()


def _decoded(patterns: xr.DataArray, feature: str) -> np.ndarray:
    labels = patterns[feature].values
    found = encoding.decode(
        patterns.rename(unit="neuroid"),
        labels,
        splits=encoding.stratified_splits(labels, FOLDS),
        over=None,
    )
    return found.score.mean("fold").values


def _rdms(patterns: xr.DataArray, noise: float, rng: np.random.Generator) -> dict[str, xr.DataArray]:
    """Return the RDMs (seed, pair) of networks, as they are and by what is done against unequal variance."""
    spread = patterns.std("stimulus")
    z = ((patterns - patterns.mean("stimulus")) / spread.where(spread > 0)).fillna(0.0)
    size = float(np.sqrt((spread**2).mean()))
    measured = xr.concat([patterns, patterns], xr.DataArray([1, 2], dims="run", name="run"))
    measured = measured + noise * size * rng.standard_normal(measured.shape)
    whitened = [_whitened(patterns.sel(seed=i)) for i in patterns["seed"].values]
    return {
        "euclidean": rsa.rdm(patterns, "euclidean"),
        "correlation": rsa.rdm(patterns, "correlation"),
        "crossnobis": rsa.rdm(measured, "crossnobis", folds="run"),
        "z-scored": rsa.rdm(z, "euclidean"),
        "whitened": xr.concat([rsa.rdm(x, "euclidean") for x in whitened], "seed"),
    }


def _whitened(patterns: xr.DataArray) -> xr.DataArray:
    """Return patterns of which no direction has more variance over stimuli than another."""
    live = patterns.isel(unit=np.flatnonzero(~stats.is_constant(patterns.values)))
    rows = (live - live.mean("stimulus")).drop_vars(["stimulus", *FEATURES]).rename(stimulus="time")
    return rsa.whiten(live, rows)


def _model_rdms(patterns: xr.DataArray) -> xr.DataArray:
    """Return the RDM of each feature: 0 where two stimuli share it."""
    one = patterns.isel(seed=0, unit=[0], drop=True)
    rdms = [
        rsa.rdm(one.copy(data=(one[name].values == "on")[:, None].astype(float)), "euclidean")
        for name in FEATURES
    ]
    return xr.concat(rdms, xr.DataArray(list(FEATURES), dims="model", name="model"))


def _models(
    patterns: xr.DataArray, rdms: dict[str, xr.DataArray], task: str, method: str
) -> list[dict[str, Any]]:
    models = _model_rdms(patterns)
    rows = []
    for option, own in rdms.items():
        found = rsa.compare(models, own, method).values
        for k, feature in enumerate(FEATURES):
            rows += _rows("rsa", task, feature, found[k], option=option)
    return rows


def _ceilings(rdms: dict[str, xr.DataArray], method: str) -> list[dict[str, Any]]:
    """Return the noise ceiling over networks: how well one predicts another of the same task."""
    rows = []
    for option, own in rdms.items():
        bounds = rsa.noise_ceiling(own, method, over="seed")
        low, high = (float(bounds.sel(bound=name)) for name in ("lower", "upper"))
        rows.append({"kind": "ceiling", "measure": "rsa", "option": option, "low": low, "high": high})
    return rows


def _between(
    patterns: dict[str, xr.DataArray], options: dict[str, dict[str, xr.DataArray]], method: str
) -> list[dict[str, Any]]:
    """Return how alike the RDMs of the main networks are to those of other networks, mean over the others."""
    rows = []
    rng = np.random.default_rng(0)  # crossnobis is not compared here, so that nothing is drawn for a result
    for relation in tqdm(RELATIONS, desc="network against network"):
        others = options[relation] if relation in options else _rdms(patterns[relation], 0.0, rng)
        for option in BETWEEN:
            found = rsa.compare(options[MAIN][option], others[option], method).values
            if relation == MAIN:
                found = found[~np.eye(len(found), dtype=bool)].reshape(len(found), -1)
            rows += _rows("between", relation, NONE, found.mean(axis=1), option=option)
    return rows


def _means(table: pd.DataFrame, section: Bias, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the mean over networks of every measure, with a bootstrap interval over networks."""
    keys = ["measure", "task", "feature", "option"]
    wide = table.pivot_table(index="seed", columns=keys, values="value")
    values = wide.to_numpy()
    found = stats.bootstrap(lambda i: values[i].mean(axis=0), len(values), n=section.n_bootstrap, rng=rng)
    parts = zip(wide.columns, found.estimate, found.lower, found.upper, strict=True)
    return [
        {"kind": "mean", **dict(zip(keys, column, strict=True)), "value": v, "low": a, "high": b}
        for column, v, a, b in parts
    ]


def _tests(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return p of easy against hard in the main networks, a measure each: signs flipped, FDR."""
    main = table[(table["task"] == MAIN) & table["feature"].isin(TASKS[MAIN])]
    easy, hard = (
        main[main["feature"] == name].set_index(["measure", "option", "seed"])["value"]
        for name in TASKS[MAIN]
    )
    apart = (easy - hard).unstack("seed").dropna()
    null = stats.sign_flips(apart.to_numpy().T, n=9999, rng=np.random.default_rng(0))
    p = stats.p_value(apart.to_numpy().mean(axis=1), null, tail="two-sided")
    rows = zip(apart.index, apart.to_numpy().mean(axis=1), p, stats.fdr(p), strict=True)
    return [
        {"kind": "test", "measure": measure, "option": option, "value": v, "p": one, "q": q}
        for (measure, option), v, one, q in rows
    ]


def _curves(found: Networks) -> list[dict[str, Any]]:
    """Return accuracy during training: mean over networks, and the lowest and highest network."""
    rows = []
    for k, feature in enumerate(TASKS[MAIN]):
        for step, values in zip(found.steps, found.curve[..., k], strict=True):
            rows.append(
                {
                    "kind": "curve",
                    "task": MAIN,
                    "feature": feature,
                    "step": int(step),
                    "value": values.mean(),
                    "low": values.min(),
                    "high": values.max(),
                }
            )
    return rows


def _notes(networks: dict[str, Networks], patterns: dict[str, xr.DataArray], section: Bias) -> dict[str, Any]:
    trained = np.concatenate([found.accuracy for name, found in networks.items() if name != UNTRAINED])
    dead = [int(stats.is_constant(x).sum()) for x in patterns[MAIN].values]
    return {
        "simulated": True,
        "responses": "simulated",
        "n_networks": section.n_networks,
        "n_tasks": len(TASKS),
        "n_shown": patterns[MAIN].sizes["stimulus"],
        "n_units": section.n_units,
        "n_dead": dead,
        "lowest_accuracy": float(trained.min()),
        "n_folds": FOLDS,
    }
