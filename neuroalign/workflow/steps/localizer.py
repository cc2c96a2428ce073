"""Figure 1: where the language-selective units are, and how selective they stay on runs held out."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from ... import io
from ...localization import (
    held_out_selectivity,
    layer_profile,
    localize,
    outlier_units,
    split_half,
    unit_magnitude,
)
from ...seeds import generator
from ..paths import TWINS, Paths
from ..sections import Localizer
from ..sources import LayerFile, localizer_stimuli
from .common import write_values

__all__ = ["localizer"]


def localizer(paths: Paths) -> None:
    """Write the localizer's statistics and masks of the trained network, and the values of figure 1."""
    section = paths.study.localizer or Localizer()
    table = localizer_stimuli(section)
    rule: dict[str, Any] = {"fraction": section.fraction, "absolute": section.absolute}
    inputs: dict[str, str] = {}
    rows: list[tuple] = []
    notes: dict[str, Any] = {"n_stimuli": len(table), "n_runs": table["run"].nunique()}
    for twin in TWINS:
        file = LayerFile(paths.activations("localizer", twin))
        inputs[twin] = io.layers_digest(file.path)
        notes.setdefault("network", file.label)
        activations = {layer: file[layer] for layer in file}
        names = (section.positive, section.negative)
        sides = [table.loc[table["condition"] == name, "stimulus"].to_numpy() for name in names]
        found = localize(activations, *sides, **rule)
        if twin == "trained":
            _save_masks(paths, found, unit_magnitude(activations), inputs, section)
        rng = generator(paths.study.seed, "localizer", twin)
        held_out = held_out_selectivity(
            activations,
            table,
            section.positive,
            section.negative,
            rng=rng,
            n_random=section.n_random,
            **rule,
        )
        halves = split_half(activations, table, section.positive, section.negative, **rule)
        rows += _rows(twin, found, held_out, halves)
        notes[f"share_significant_{twin}"] = float((_adjusted(found) < 0.05).mean())
        notes[f"n_selected_{twin}"], notes["n_units"] = int(found["mask"].sum()), found.sizes["unit"]
    columns = ["network", "layer", "depth", "quantity", "value"]
    values = pd.DataFrame(rows, columns=columns)
    write_values(paths, 1, values, inputs=inputs, section=section, notes=notes)


def _adjusted(found: xr.Dataset) -> Any:
    from ...stats import fdr

    return fdr(found["p"].values)


def _save_masks(
    paths: Paths, found: xr.Dataset, magnitude: xr.DataArray, inputs: dict[str, str], section: Localizer
) -> None:
    lesions = paths.study.lesions
    factor = lesions.outlier_factor if lesions is not None else 6.0
    kept = found.assign(magnitude=magnitude, outlier=outlier_units(magnitude, factor=factor).drop_attrs())
    params = section.model_dump(mode="json") | {"outlier_factor": factor}
    io.save(kept, paths.masks, inputs=inputs, params=params, seed=paths.study.seed)


def _rows(twin: str, found: xr.Dataset, held_out: xr.Dataset, halves: xr.Dataset) -> list[tuple]:
    profile = layer_profile(found["mask"])
    layers = profile["layer"].values.tolist()
    mean = held_out.mean("fold")
    rows: list[tuple] = []
    for depth, layer in enumerate(layers):
        for quantity in ("share", "n", "low", "high"):
            rows.append((twin, layer, depth, quantity, float(profile[quantity].values[depth])))
        for quantity in ("t_layer", "d_layer"):
            rows.append((twin, layer, depth, f"held_out_{quantity[0]}", float(mean[quantity].values[depth])))
    for name in ("in-sample", "held-out", "random"):
        for quantity in ("t", "d"):
            for fold in held_out["fold"].values:
                value = float(held_out[quantity].sel(set=name, fold=fold))
                rows.append((twin, "all", -1, f"{name}_{quantity}", value))
    rows += [(twin, "all", -1, f"split_half_{key}", float(halves[key])) for key in ("r", "dice", "chance")]
    return rows
