from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroalign.localization import (
    agreement,
    cross_validated_selectivity,
    double_dissociation,
    effect_sizes,
    group_moments,
    layer_profile,
    lesion_effects_by,
    localize,
    mask_alignment,
    summarize_lesions,
    welch_t,
)
from neuroalign.schema import make_mask

from .rates import Null

LAYERS = ("layer.0", "layer.1")
STIMULI = [f"s{i:02d}" for i in range(24)]
# A two-sided p, twice the smaller of two, is at most .05 with exactly that probability where the draws and
# the data are a multiple of 40.
N_TWO_SIDED = 119
N_RUNS, N_A_RUN = 4, 5
RUNS = pd.DataFrame(
    {
        "stimulus": [f"r{i:02d}" for i in range(2 * N_RUNS * N_A_RUN)],
        "condition": ["sentence", "list"] * (N_RUNS * N_A_RUN),
        "run": np.repeat(np.arange(N_RUNS), 2 * N_A_RUN),
    }
)

UNITS = {"layer": np.repeat(LAYERS, 200), "site": "block", "index": np.tile(np.arange(200), 2)}
MASK = make_mask(np.isin(np.arange(400), [3, 70, 222, 350]), **UNITS)
BACKWARD = MASK[::-1].drop_attrs()
FEW_PARTNERS = "units as active as few others have few partners"
FEW_ITEMS = "an approximation: the tasks' spreads are estimated, of few items"
RANDOM = [f"uniform-{i:03d}" for i in range(39)]


def _responses(rng: np.random.Generator, n_stimuli: int, n_units: int, spread: np.ndarray) -> np.ndarray:
    """Draw responses of correlated units of unlike mean and scale; ``spread`` is the stimuli's."""
    shared = rng.standard_normal((n_stimuli, 1))
    noise = rng.standard_normal((n_stimuli, n_units)) + 0.7 * shared
    return rng.uniform(-3, 3, n_units) + spread[:, None] * rng.uniform(0.5, 4, n_units) * noise


def _by_layer(values: np.ndarray, stimuli: list[str]) -> dict[str, xr.DataArray]:
    parts = np.split(values, len(LAYERS), axis=1)
    return {
        name: xr.DataArray(part, dims=("stimulus", "unit"), coords={"stimulus": stimuli})
        for name, part in zip(LAYERS, parts, strict=True)
    }


def _welch_t(rng: np.random.Generator) -> dict[str, float]:
    spread = np.repeat([1.0, 2.0], [6, 14])
    values = _responses(rng, 20, 3, spread)
    return {"p": float(welch_t(values[:6], values[6:])[1][0])}


def _localize(rng: np.random.Generator) -> dict[str, float]:
    values = _responses(rng, len(STIMULI), 8, np.ones(len(STIMULI)))
    found = localize(_by_layer(values, STIMULI), STIMULI[:12], STIMULI[12:], q=0.05)
    return {"p": float(found["p"][0]), "mask of q = 0.05, any unit": 1.0 - float(found["mask"].any())}


def _localize_absolute(rng: np.random.Generator) -> dict[str, float]:
    values = _responses(rng, len(STIMULI), 8, np.ones(len(STIMULI)))
    found = localize(_by_layer(values, STIMULI), STIMULI[:12], STIMULI[12:], absolute=True)
    return {"p": float(found["p"][0])}


def _effect_sizes(rng: np.random.Generator) -> dict[str, float]:
    values = rng.uniform(-2, 2, 4) + rng.uniform(0.5, 4, 4) * rng.standard_normal((20, 4))
    scale = rng.uniform(0.5, 4)
    values[:, 1] = scale * (rng.standard_normal(20) + np.repeat([1.0, 0.0], [8, 12]))
    found = effect_sizes(_by_layer(values, STIMULI[:20]), STIMULI[:8], STIMULI[8:20])
    low, high = found["low"].values, found["high"].values
    return {
        "interval without 0": _excludes(low[0], high[0]),
        "interval without 1, d being 1": _excludes(low[1], high[1], 1.0),
    }


def _cross_validated_selectivity(rng: np.random.Generator) -> dict[str, float]:
    values = _responses(rng, len(RUNS), 8, np.ones(len(RUNS)))
    values += rng.standard_normal((N_RUNS, 8))[RUNS["run"]]
    moments = group_moments(_by_layer(values, RUNS["stimulus"].tolist()), RUNS)
    found = cross_validated_selectivity(moments, None, "sentence", "list", k=2)
    tests = {}
    for i, name in enumerate(found["quantity"].values.tolist()):
        of = found.isel(quantity=i)
        tests[f"interval without 0, a unit's {name}"] = _excludes(of["unit_low"][0], of["unit_high"][0])
        tests[f"interval without 0, the mask's {name}"] = _excludes(of["low"], of["high"])
    return tests


def _layer_profile(rng: np.random.Generator) -> dict[str, float]:
    found = layer_profile(MASK.copy(data=_chosen(rng, 40)))
    low, share, high = (float(found[name][0]) for name in ("low", "share", "high"))
    return {"share outside the envelope": float(low <= share <= high)}


def _agreement(rng: np.random.Generator) -> dict[str, float]:
    masks = {"a": MASK.copy(data=_chosen(rng, 60)), "b": BACKWARD.copy(data=_chosen(rng, 90))}
    return {"p": float(agreement(masks)["p"][0, 1])}


def _chosen(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.isin(np.arange(MASK.size), rng.choice(MASK.size, n, replace=False))


def _mask_alignment(kind: str, tail: str, rng: np.random.Generator) -> dict[str, float]:
    """Test a score of units that have nothing to do with the mask, which holds 1 % of them, as localized."""
    value = rng.gamma(2.0, size=MASK.size)
    magnitude = MASK.copy(data=rng.lognormal(size=MASK.size)) if kind == "norm-matched" else None

    def score(mask: xr.DataArray) -> float:
        return float(value[mask.values].mean())

    options = {"kind": kind, "magnitude": magnitude, "tail": tail, "progress": False}
    return {f"p, {tail}": float(mask_alignment(score, MASK, 19, rng, **options)["p"])}


def _lesions(
    rng: np.random.Generator, names: list[str], n_items: int, outcome: str, shift: float = 0.0
) -> xr.DataArray:
    """Draw item scores under masks, the first of them none, that each change every item by chance.

    ``shift`` is what every mask does on average. Items differ in how hard they are and in how much they
    change.
    """
    hard, wide = rng.normal(0.3, 1.0, n_items), rng.uniform(0.3, 1.0, n_items)
    change = shift + wide * rng.standard_normal((len(names), n_items))
    change[0] = 0.0
    item = [f"i{i:03d}" for i in range(n_items)]
    coords = {"mask": names, "item": item, "paradigm": ("item", np.resize(["npi", "filler gap"], n_items))}
    return xr.DataArray(hard + change, dims=("mask", "item"), coords=coords, attrs={"outcome": outcome})


def _summarize_lesions(rng: np.random.Generator) -> dict[str, float]:
    tests = {}
    for outcome in ("mean", "accuracy"):
        scores = _lesions(rng, ["intact", "selected", *RANDOM], 30, outcome, -0.5)
        table = summarize_lesions(scores, ["selected"], {"uniform": RANDOM}, rng=rng, n_bootstrap=1)
        tests[f"p_uniform, {outcome}"] = float(table["p_uniform"].iloc[1])
    return tests


def _lesion_interval(rng: np.random.Generator) -> dict[str, float]:
    scores = _lesions(rng, ["intact", "selected"], 200, "mean")
    row = summarize_lesions(scores, ["selected"], {}, rng=rng, n_bootstrap=999).iloc[1]
    return {"interval without 0": _excludes(row["low"], row["high"])}


def _lesion_effects_by(outcome: str, rng: np.random.Generator) -> dict[str, float]:
    # Few items change from right to wrong, or back: of fewer items no pattern of signs is rare.
    n_items = 160 if outcome == "accuracy" else 28
    scores = _lesions(rng, ["intact", "selected", *RANDOM], n_items, outcome)
    options = {"controls": {"uniform": RANDOM}, "n_bootstrap": 1, "n_permutations": N_TWO_SIDED}
    table = lesion_effects_by(scores, ["selected"], rng=rng, **options)
    tests = {name: float(table[name].iloc[0]) for name in ("p", "p_uniform")}
    smallest = {f"{name}, smallest": float(table[name].min()) for name in ("p_fdr", "p_fdr_uniform")}
    return tests | smallest


def _double_dissociation(outcome: str, shared: float, rng: np.random.Generator) -> dict[str, float]:
    """Test two tasks of which the second mask does the same damage, ``shared``, to both."""
    tasks = []
    for n_items in (16, 24):
        scores = _lesions(rng, ["intact", "a", "b"], n_items, outcome)
        scores[2] -= shared
        tasks.append(scores)
    found = double_dissociation(*tasks, ["a", "b"], rng=rng, n_bootstrap=1, n_permutations=N_TWO_SIDED)
    return {"p": float(found["p"])}


def _dissociation_intervals(rng: np.random.Generator) -> dict[str, float]:
    tasks = [_lesions(rng, ["intact", "a", "b"], 200, "mean") for _ in range(2)]
    found = double_dissociation(*tasks, ["a", "b"], rng=rng, n_bootstrap=499, n_permutations=1)
    low, high = found["difference_low"][0], found["difference_high"][0]
    return {
        "interval without 0, the interaction": _excludes(found["low"], found["high"]),
        "interval without 0, a task's difference": _excludes(low, high),
    }


def _excludes(low: Any, high: Any, value: float = 0.0) -> float:
    """Return 0, a p below any level, where an interval of 95 % leaves a value out, and else 1."""
    return float(float(low) <= value <= float(high))


BH = "Benjamini-Hochberg of few possible values of p"
TIES = "shares of few items: many ties"
PERCENTILE = "a percentile interval of so many items and draws is a little short"

NULLS = [
    Null("localization.welch_t", "conditions of unlike spread and number, correlated units", _welch_t),
    Null(
        "localization.localize",
        "normal responses of correlated units of unlike mean and scale",
        _localize,
        {"mask of q = 0.05, any unit": "Benjamini-Hochberg of correlated units"},
    ),
    Null("localization.localize, absolute", "the same, made absolute", _localize_absolute),
    Null("localization.effect_sizes", "normal responses, d of 0 and of 1", _effect_sizes),
    Null(
        "localization.cross_validated_selectivity",
        "four runs that differ in level, correlated units",
        _cross_validated_selectivity,
    ),
    Null(
        "localization.layer_profile",
        "a random mask of 40 units of two layers of 200",
        _layer_profile,
        {"share outside the envelope": "hypergeometric: few values"},
    ),
    Null(
        "localization.agreement",
        "random masks of 60 and 90 of 400 units",
        _agreement,
        {"p": "hypergeometric: few values"},
    ),
    *(
        Null(
            f"localization.mask_alignment, {kind}",
            "a mean of values that have nothing to do with the mask of 4 of 400 units",
            partial(_mask_alignment, kind, tail),
            {"p, greater": FEW_PARTNERS} if kind == "norm-matched" else {},
        )
        for kind, tail in (("uniform", "greater"), ("layer-matched", "less"), ("norm-matched", "greater"))
    ),
    Null(
        "localization.summarize_lesions",
        "all masks change the items alike, up to chance",
        _summarize_lesions,
        {"p_uniform, accuracy": TIES},
    ),
    Null(
        "localization.summarize_lesions, interval",
        "changes of 200 items about 0",
        _lesion_interval,
        {"interval without 0": PERCENTILE},
    ),
    Null(
        "localization.lesion_effects_by, mean",
        "changes of items about 0, under all masks alike",
        partial(_lesion_effects_by, "mean"),
        {"p_fdr, smallest": BH, "p_fdr_uniform, smallest": BH},
    ),
    Null(
        "localization.lesion_effects_by, accuracy",
        "the same, of items right and wrong",
        partial(_lesion_effects_by, "accuracy"),
        {"p": TIES, "p_uniform": TIES, "p_fdr, smallest": BH, "p_fdr_uniform, smallest": BH},
    ),
    Null(
        "localization.double_dissociation, mean",
        "two masks that do the same to two tasks of 16 and 24 items, up to chance",
        partial(_double_dissociation, "mean", 0.0),
        {"p": FEW_ITEMS},
    ),
    Null(
        "localization.double_dissociation, mean, one mask worse in both tasks",
        "the same, the second mask lowering all scores by 1",
        partial(_double_dissociation, "mean", 1.0),
        {"p": FEW_ITEMS},
    ),
    Null(
        "localization.double_dissociation, accuracy, one mask worse in both tasks",
        "the same, of items right and wrong",
        partial(_double_dissociation, "accuracy", 1.0),
        {"p": TIES},
    ),
    Null(
        "localization.double_dissociation, interval",
        "the same without damage, 200 items a task",
        _dissociation_intervals,
        {
            "interval without 0, the interaction": PERCENTILE,
            "interval without 0, a task's difference": PERCENTILE,
        },
    ),
]
