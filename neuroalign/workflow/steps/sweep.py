"""Figure 9: lesions of several sizes, each against random masks of its own size."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from ... import io
from ...errors import FileError
from ...extraction import LanguageModel
from ...localization import MinimalPairs, random_masks, select_units, summarize_lesions
from ...seeds import generator
from ..paths import Paths
from ..sections import Lesions, Localizer, Sweep
from ..sources import minimal_pairs
from .common import load_network, write_values
from .lesioning import Lesioning, read_masks, scored

__all__ = ["control_groups", "read_scores", "sweep", "sweep_lesioning"]


def sweep(paths: Paths) -> None:
    """Write item scores under lesions of all sizes, and the values of figure 9.

    The size that the localizer selects is figure 2's, whose scores are read, with as many random masks as
    figure 2 has.
    """
    section, lesions = paths.study.sweep or Sweep(), paths.study.lesions or Lesions()
    localizer, seed = paths.study.localizer or Localizer(), paths.study.seed
    found = read_masks(paths)
    model = load_network(paths.study, "trained")
    masks, groups = _masks(found, section, lesions, seed)
    scores = scored(model, sweep_lesioning(paths, model)[0])
    first = read_scores(paths)
    inputs = {"masks": io.stored_digest(paths.masks), "model": model.digest}
    io.save(scores, paths.sweep_scores, inputs=inputs, params=section.model_dump(mode="json"))
    in_figure_2 = io.read_table(paths.figure(2, "tsv"), text=("mask", "kind")).set_index("mask")["n_units"]
    sizes = in_figure_2.to_dict() | {name: int(mask.sum()) for name, mask in masks.items()}
    tables = []
    for fraction in sorted({localizer.fraction, *section.fractions}):
        rng = generator(seed, "sweep", f"{fraction:g}")
        if fraction == localizer.fraction:
            of, named, kinds = first, "language", control_groups(first, lesions)
        else:
            of, named, kinds = scores, _name(fraction), groups[fraction]
        table = summarize_lesions(of, [named], kinds, rng=rng, n_bootstrap=lesions.n_bootstrap)
        table["n_units"] = [sizes[name] for name in table["mask"]]
        tables.append(table.assign(fraction=fraction))
    notes = {
        "network": model.label,
        "n_items": scores.sizes["item"],
        "n_units": found.sizes["unit"],
        "n_first": lesions.n_controls,
        "first": localizer.fraction,
    }
    inputs |= {"scores": io.stored_digest(paths.lesion_scores)}
    write_values(paths, 9, pd.concat(tables, ignore_index=True), inputs=inputs, section=section, notes=notes)


def sweep_lesioning(paths: Paths, model: LanguageModel) -> list[Lesioning]:
    """Return which masks are put on the network, and for which task."""
    section, lesions = paths.study.sweep or Sweep(), paths.study.lesions or Lesions()
    masks, _ = _masks(read_masks(paths), section, lesions, paths.study.seed)
    task = MinimalPairs(minimal_pairs(lesions), prefix=lesions.prefix)
    return [Lesioning(masks, task, paths.lesion_work)]


def read_scores(paths: Paths) -> xr.DataArray:
    """Return the item scores of figure 2 (mask, item)."""
    scores = io.load(paths.lesion_scores)
    if not isinstance(scores, xr.DataArray):
        raise FileError(f"{paths.lesion_scores} must hold scores (mask, item).")
    return scores


def control_groups(scores: xr.DataArray, lesions: Lesions) -> dict[str, list[str]]:
    """Return the names of figure 2's random masks of each kind."""
    names = [str(name) for name in scores["mask"].values]
    return {kind: [n for n in names if n.rpartition("-")[0] == kind] for kind in lesions.kinds}


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
