"""Figure 11: whether language units matter for language only, and units for hard sums for something else."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from ... import io, stimuli
from ...extraction import LanguageModel
from ...localization import (
    MinimalPairs,
    dice,
    double_dissociation,
    localize,
    preset_moments,
    random_masks,
    summarize_lesions,
)
from ...seeds import generator
from ..paths import Paths
from ..sections import Dissociation, Lesions
from ..sources import minimal_pairs
from .common import load_network, write_values
from .lesioning import Lesioning, read_masks, scored

__all__ = ["dissociation", "dissociation_lesioning"]

LANGUAGE, DEMAND = "language", "hard sums"
TASKS = ("pairs", "sequences")


def dissociation(paths: Paths) -> None:
    """Write item scores of both tasks under both masks and their controls, and the values of figure 11."""
    section, lesions = paths.study.dissociation or Dissociation(), paths.study.lesions or Lesions()
    seed, model = paths.study.seed, load_network(paths.study, "trained")
    plan = dissociation_lesioning(paths, model)
    language, demand = (plan[0].masks[name] for name in (LANGUAGE, DEMAND))
    groups = {name: _names(name, section) for name in (LANGUAGE, DEMAND)}
    inputs = {"masks": io.stored_digest(paths.masks), "model": model.digest}
    scores = {}
    for task, one in zip(TASKS, plan, strict=True):
        scores[task] = scored(model, one)
        io.save(scores[task], paths.task_scores(task), inputs=inputs, params=section.model_dump(mode="json"))
    rows = [_effects(task, scores[task], groups, lesions, seed) for task in TASKS]
    both = double_dissociation(
        scores["pairs"],
        scores["sequences"],
        [LANGUAGE, DEMAND],
        rng=generator(seed, "dissociation", "interaction"),
        n_bootstrap=lesions.n_bootstrap,
        n_permutations=section.n_permutations,
    )
    overlap, chance = dice(language, demand)
    notes: dict[str, Any] = {
        "network": model.label,
        "n_units": int(language.sum()),
        "n_items": {task: scores[task].sizes["item"] for task in TASKS},
        "interaction": {name: float(both[name]) for name in ("interaction", "low", "high", "p")},
        "is_double": bool(both["is_double"]),
        "dice": overlap,
        "dice_chance": chance,
        "pairs": lesions.pairs,
        "prefix": lesions.prefix,
    }
    write_values(paths, 11, pd.concat(rows), inputs=inputs, section=section, notes=notes)


def dissociation_lesioning(paths: Paths, model: LanguageModel) -> list[Lesioning]:
    """Return both sets of units and their random masks, with either task."""
    section, lesions = paths.study.dissociation or Dissociation(), paths.study.lesions or Lesions()
    seed, language = paths.study.seed, read_masks(paths)["mask"]
    sums = stimuli.arithmetic(section.n_sums, seed)
    moments = preset_moments(model, sums, "default", batch_size=paths.study.model.batch_size)
    demand = localize(moments, "hard", "easy", k=int(language.sum()), fraction=None)["mask"]
    masks = _masks({LANGUAGE: language, DEMAND: demand}, section, seed)
    tables = {"pairs": minimal_pairs(lesions), "sequences": stimuli.sequences(section.n_sequences, seed)}
    work = {"pairs": paths.lesion_work, "sequences": paths.lesion_work.with_name("lesions-sequences")}
    return [Lesioning(masks, MinimalPairs(tables[t], prefix=lesions.prefix), work[t]) for t in TASKS]


def _masks(chosen: dict[str, xr.DataArray], section: Dissociation, seed: int) -> dict[str, xr.DataArray]:
    """Return both masks with layer-matched random ones of each."""
    masks = dict(chosen)
    for name, mask in chosen.items():
        rng = generator(seed, "dissociation", name)
        drawn = random_masks(mask, "layer-matched", section.n_controls, rng=rng)
        names = _names(name, section)
        masks |= dict(zip(names, drawn.drop_vars("n_unmatched", errors="ignore"), strict=True))
    return masks


def _names(name: str, section: Dissociation) -> list[str]:
    return [f"matched to {name}-{i:03d}" for i in range(section.n_controls)]


def _effects(
    task: str, scores: xr.DataArray, groups: dict[str, list[str]], lesions: Lesions, seed: int
) -> pd.DataFrame:
    rng = generator(seed, "dissociation", task)
    table = summarize_lesions(scores, list(groups), groups, rng=rng, n_bootstrap=lesions.n_bootstrap)
    return table.assign(task=task)
