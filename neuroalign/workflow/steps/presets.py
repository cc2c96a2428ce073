"""Figures 7 and 8: the map of selective units, and how far published localizers agree on them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from ... import io
from ...errors import FileError
from ...localization import (
    Preset,
    agreement,
    held_out_selectivity,
    localize,
    match_tokens,
    preset,
    preset_moments,
    split_half,
)
from ...seeds import generator
from ...stats import fdr
from ..paths import TWINS, Paths
from ..sections import Localizer, Presets
from ..sources import localizer_stimuli
from .common import load_network, write_values

__all__ = ["preset_figures", "read_moments", "write_moments"]

MATCHED = "token-matched"
QUANTITIES = ("dice", "chance", "p")


def write_moments(paths: Paths, twin: str) -> None:
    """Write moments of every unit for every preset, read in one network, trained or untrained."""
    section, study = paths.study.localizer or Localizer(), paths.study
    model, table = load_network(study, twin), localizer_stimuli(section)
    for reading in paths.readings:
        shown = table
        if reading == MATCHED:
            shown = match_tokens(table, model.tokenizer, section.positive, section.negative)
        moments = preset_moments(
            model, shown, preset_of(reading), batch_size=study.model.batch_size, progress=True
        )
        params = {"model": model.digest, "reading": reading, "n_stimuli": len(shown), "label": model.label}
        io.save(moments, paths.moments(reading, twin), params=params)


def preset_of(reading: str) -> str:
    """Return the preset of a reading: the token-matched control is read as the default is."""
    return "default" if reading == MATCHED else reading


def read_moments(paths: Paths, reading: str, twin: str) -> xr.Dataset:
    """Return moments that ``write_moments`` wrote."""
    found = io.load(paths.moments(reading, twin))
    if not isinstance(found, xr.Dataset):
        raise FileError(f"{paths.moments(reading, twin)} must hold moments, a Dataset (group, unit).")
    return found


def preset_figures(paths: Paths) -> None:
    """Write the values of figure 7 (t of every unit) and figure 8 (agreement and selectivity of presets)."""
    section, presets = paths.study.localizer or Localizer(), paths.study.presets or Presets()
    names = (section.positive, section.negative)
    units, rows, inputs = [], [], {}
    notes: dict[str, Any] = {"fraction": section.fraction, "n_stimuli": {}}
    masks: dict[str, dict[str, xr.DataArray]] = {"published": {}, "equal": {}}
    for twin in TWINS:
        for reading in paths.readings:
            moments = read_moments(paths, reading, twin)
            inputs[f"{reading}, {twin}"] = io.stored_digest(paths.moments(reading, twin))
            made = moments.attrs["provenance"]["params"]
            notes.setdefault("network", made["label"])
            notes["n_stimuli"][reading] = made["n_stimuli"]
            rule: dict[str, Any] = {"preset": _rule(reading, moments, section.fraction, notes)}
            found = localize(moments, *names, **rule)
            rng = generator(paths.study.seed, "presets", twin, reading)
            held_out = held_out_selectivity(moments, None, *names, rng=rng, n_random=presets.n_random, **rule)
            rows += _selectivity(reading, twin, found, held_out, split_half(moments, None, *names, **rule))
            same_size = localize(
                moments, *names, preset=preset(preset_of(reading), fraction=section.fraction)
            )
            if reading == "default":
                units.append(_units(same_size, twin))
            if twin == "trained" and set(found["site"].values) == {"block"}:
                masks["published"][reading], masks["equal"][reading] = found["mask"], same_size["mask"]
    for size, chosen in masks.items():
        rows += _agreement(size, agreement(chosen))
    if units:
        write_values(paths, 7, pd.concat(units), inputs=inputs, section=section, notes=notes)
    columns = ["network", "preset", "quantity", "other", "value"]
    values = pd.DataFrame(rows, columns=columns)
    write_values(paths, 8, values, inputs=inputs, section=presets, notes=notes)


def _rule(reading: str, moments: xr.Dataset, fraction: float, notes: dict[str, Any]) -> Preset:
    """Return the reading's preset; one that asks for more units than there are takes the study's share."""
    found, n_units = preset(preset_of(reading)), moments.sizes["unit"]
    if found.k is None or found.k <= n_units:
        return found
    said = f"{reading} selects {found.k} units, but there are {n_units}: {100 * fraction:g} % are taken"
    notes["replaced"] = sorted({*notes.get("replaced", []), said})
    return preset(found, fraction=fraction)


def _units(found: xr.Dataset, twin: str) -> pd.DataFrame:
    layers = list(dict.fromkeys(found["layer"].values.tolist()))
    depth = {layer: i for i, layer in enumerate(layers)}
    return pd.DataFrame(
        {
            "network": twin,
            "layer": found["layer"].values,
            "depth": [depth[layer] for layer in found["layer"].values.tolist()],
            "unit": found["index"].values,
            "t": found["t"].values.round(4),
            "selected": found["mask"].values.astype(int),
        }
    )


def _selectivity(
    reading: str, twin: str, found: xr.Dataset, held_out: xr.Dataset, halves: xr.Dataset
) -> list[tuple]:
    """Return rows (network, preset, quantity, other, value)."""
    rows: list[tuple] = [
        (twin, reading, f"{name}_d", f"run {fold}", float(held_out["d"].sel(set=name, fold=fold)))
        for name in held_out["set"].values
        for fold in held_out["fold"].values
    ]
    p = found["p"].values
    single = {
        "n_selected": float(found["mask"].sum()),
        "n_units": float(found.sizes["unit"]),
        "n_undefined": float(found.attrs["n_undefined"]),
        "share_significant": float((fdr(p) < 0.05).mean()),
        **{f"split_half_{name}": float(halves[name]) for name in ("r", "dice", "chance")},
    }
    return rows + [(twin, reading, quantity, "", value) for quantity, value in single.items()]


def _agreement(size: str, found: xr.Dataset) -> list[tuple]:
    return [
        ("trained", a, f"{quantity}_{size}", b, float(found[quantity].sel(mask_a=a, mask_b=b)))
        for quantity in QUANTITIES
        for a in found["mask_a"].values.tolist()
        for b in found["mask_b"].values.tolist()
    ]
