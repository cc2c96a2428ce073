"""Figures 9 and 10: lesions of several sizes, and which paradigms the language units matter for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ... import io
from ...errors import FileError
from ...localization import (
    MinimalPairs,
    lesion_effects_by,
    lesion_scores,
    random_masks,
    select_units,
    summarize_lesions,
)
from ...seeds import generator
from ..config import Lesions, Sweep
from ..paths import Paths
from ..sources import minimal_pairs
from .common import load_network, write_values

__all__ = ["sweep"]


def sweep(paths: Paths) -> None:
    """Write item scores under lesions of all sizes, and the values of figures 9 and 10."""
    section, lesions = paths.study.sweep or Sweep(), paths.study.lesions or Lesions()
    found = io.load(paths.masks)
    if not isinstance(found, xr.Dataset):
        raise FileError(f"{paths.masks} must hold the localizer's Dataset.")
    model = load_network(paths.study, "trained")
    task = MinimalPairs(minimal_pairs(lesions), prefix=lesions.prefix)
    masks, groups = _masks(found, section, lesions, paths.study.seed)
    scores = lesion_scores(model, masks, task, work=paths.lesion_work)
    inputs = {"masks": io.stored_digest(paths.masks), "model": model.digest}
    io.save(scores, paths.sweep_scores, inputs=inputs, params=section.model_dump(mode="json"))
    notes = {"network": model.label, "n_items": scores.sizes["item"], "n_units": found.sizes["unit"]}
    tables = []
    for fraction, kinds in groups.items():
        rng = generator(paths.study.seed, "sweep", f"{fraction:g}")
        table = summarize_lesions(
            scores, [_name(fraction)], kinds, rng=rng, n_bootstrap=lesions.n_bootstrap
        ).assign(fraction=fraction)
        table["n_units"] = [int(masks[name].sum()) if name in masks else 0 for name in table["mask"]]
        tables.append(table)
    values = pd.concat(tables, ignore_index=True)
    write_values(paths, 9, values, inputs=inputs, section=section, notes=notes)
    _write_paradigms(paths, lesions, inputs, notes)


def _name(fraction: float) -> str:
    return f"language {100 * fraction:g} %"


def _masks(
    found: xr.Dataset, section: Sweep, lesions: Lesions, seed: int
) -> tuple[dict[str, xr.DataArray], dict[float, dict[str, list[str]]]]:
    """Return all masks by name, and the names of the controls of each size and kind."""
    masks: dict[str, xr.DataArray] = {}
    groups: dict[float, dict[str, list[str]]] = {}
    for fraction in sorted(section.fractions):
        chosen = select_units(found["t"].values, layer=found["layer"].values, fraction=fraction)
        mask = found["mask"].copy(data=chosen)
        masks[_name(fraction)] = mask
        groups[fraction] = {}
        for kind in lesions.kinds:
            rng = generator(seed, "sweep", f"{fraction:g}", kind)
            drawn = random_masks(mask, kind, section.n_controls, rng=rng, magnitude=found["magnitude"])
            names = [f"{kind} {100 * fraction:g} %-{i:03d}" for i in range(section.n_controls)]
            groups[fraction][kind] = names
            masks |= dict(zip(names, drawn.drop_vars("n_unmatched"), strict=True))
    return masks, groups


def _write_paradigms(paths: Paths, lesions: Lesions, inputs: dict[str, str], notes: dict[str, Any]) -> None:
    """Write the values of figure 10 from the scores of figure 2: effects by paradigm and by field."""
    scores = io.load(paths.lesion_scores)
    if not isinstance(scores, xr.DataArray):
        raise FileError(f"{paths.lesion_scores} must hold scores (mask, item).")
    names = np.asarray(scores["mask"].values)
    controls = {kind: [n for n in names if n.rpartition("-")[0] == kind] for kind in lesions.kinds}
    named = [name for name in ("language", "language without outliers") if name in names]
    tables = []
    for by in ("field", "paradigm"):
        rng = generator(paths.study.seed, "paradigms", by)
        table = lesion_effects_by(
            scores, named, by, rng=rng, controls=controls, n_bootstrap=lesions.n_bootstrap
        )
        tables.append(table.rename(columns={by: "group"}).assign(by=by))
    inputs = inputs | {"scores": io.stored_digest(paths.lesion_scores)}
    write_values(paths, 10, pd.concat(tables), inputs=inputs, section=lesions, notes=notes)
