"""Figure 10: which paradigms and fields need the language units, on many more pairs than figure 2."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from ... import io
from ...extraction import LanguageModel
from ...localization import MinimalPairs, lesion_effects_by
from ...seeds import generator
from ..paths import Paths
from ..sections import Lesions, Paradigms
from ..sources import minimal_pairs
from .common import load_network, write_values
from .lesioning import Lesioning, read_masks, scored
from .sweep import control_groups, read_scores

__all__ = ["paradigms", "paradigms_lesioning"]


def paradigms(paths: Paths) -> None:
    """Write item scores of all pairs, intact and without the language units, and the values of figure 10.

    Random masks are scored on figure 2's pairs only: all pairs take an hour a mask.
    """
    section, lesions = paths.study.paradigms or Paradigms(), paths.study.lesions or Lesions()
    model, seed = load_network(paths.study, "trained"), paths.study.seed
    scores = xr.concat(
        [scored(model, one, progress=False) for one in paradigms_lesioning(paths, model)],
        dim="item",
        combine_attrs="drop_conflicts",
    )
    inputs = {"masks": io.stored_digest(paths.masks), "model": model.digest}
    io.save(scores, paths.paradigm_scores, inputs=inputs, params=section.model_dump(mode="json"))
    tables = []
    for by in ("field", "paradigm"):
        rng = generator(seed, "paradigms", by)
        table = lesion_effects_by(scores, ["language"], by, rng=rng, n_bootstrap=lesions.n_bootstrap)
        tables.append(table.rename(columns={by: "group"}).assign(by=by))
    tables.append(_random(read_scores(paths), lesions, seed))
    whole = (scores > 0).mean("item")
    notes: dict[str, Any] = {
        "network": model.label,
        "n_items": scores.sizes["item"],
        "n_units": int(read_masks(paths)["mask"].sum()),
        "n_random": lesions.n_controls,
        "pairs": lesions.pairs,
        "intact": float(whole.sel(mask="intact")),
        "language": float(whole.sel(mask="language")),
    }
    inputs |= {"scores": io.stored_digest(paths.lesion_scores)}
    write_values(paths, 10, pd.concat(tables, ignore_index=True), inputs=inputs, section=section, notes=notes)


def paradigms_lesioning(paths: Paths, model: LanguageModel) -> list[Lesioning]:
    """Return the language mask with each paradigm's pairs as a task of its own."""
    section, lesions = paths.study.paradigms or Paradigms(), paths.study.lesions or Lesions()
    pairs = minimal_pairs(lesions.model_copy(update={"per_paradigm": section.per_paradigm}))
    masks = {"language": read_masks(paths)["mask"]}
    return [
        Lesioning(masks, MinimalPairs(table, prefix=lesions.prefix), paths.paradigm_work / str(name))
        for name, table in pairs.groupby("paradigm", sort=False)
    ]


def _random(scores: xr.DataArray, lesions: Lesions, seed: int) -> pd.DataFrame:
    """Return each field's effect under figure 2's language and random masks, on figure 2's pairs."""
    groups = control_groups(scores, lesions)
    own = lesion_effects_by(
        scores,
        ["language"],
        "field",
        rng=generator(seed, "paradigms", "random"),
        controls=groups,
        n_bootstrap=lesions.n_bootstrap,
    )
    rows = [own.rename(columns={"field": "group"}).assign(by="field, random masks")]
    right = (scores > 0).astype(float)
    change = right - right.sel(mask="intact", drop=True)
    for kind, names in groups.items():
        by_field = change.sel(mask=names).groupby("field").mean("item")
        ends = by_field.quantile([0.05, 0.5, 0.95], dim="mask")
        rows.append(
            pd.DataFrame(
                {
                    "mask": kind,
                    "group": ends["field"].values,
                    "effect": ends.sel(quantile=0.5).values,
                    "low": ends.sel(quantile=0.05).values,
                    "high": ends.sel(quantile=0.95).values,
                    "by": "field, random masks",
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
