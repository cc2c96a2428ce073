"""What ``neuroalign localize`` and ``neuroalign lesion`` do: one network, one mask, printed and saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .. import io
from ..errors import FileError
from ..extraction import LanguageModel, load_model
from ..localization import (
    MinimalPairs,
    held_out_selectivity,
    layer_profile,
    lesion_effect,
    localize,
    outlier_units,
    preset,
    preset_moments,
    unit_magnitude,
)
from ..seeds import generator
from ..stats import fdr
from .sections import Lesions, Localizer
from .sources import localizer_stimuli, minimal_pairs

__all__ = ["lesion_network", "localize_network"]


def localize_network(
    name: str, section: Localizer, *, preset_name: str, rule: dict[str, Any], twin: bool, out: Path, seed: int
) -> Iterator[str]:
    """Localize units of a network, save statistics and mask to ``out``, and say what was found, by line."""
    table, chosen = localizer_stimuli(section), preset(preset_name, **rule)
    sides = (section.positive, section.negative)
    yield f"{section.stimuli}: {len(table)} stimuli, {sides[0]} over {sides[1]}, preset {chosen.name}"
    for untrained in (False, True) if twin else (False,):
        model = load_model(name, untrained=untrained, seed=seed)
        moments = preset_moments(model, table, chosen)
        found = localize(moments, *sides, preset=chosen)
        if not untrained:
            magnitude = unit_magnitude(moments)
            kept = found.assign(magnitude=magnitude, outlier=outlier_units(magnitude).drop_attrs())
            params = section.model_dump(mode="json") | chosen.attrs
            io.save(kept, out, params=params, seed=seed, inputs={"model": model.digest})
        rng = generator(seed, "localize", "untrained" if untrained else "trained")
        held_out = held_out_selectivity(moments, None, *sides, rng=rng, preset=chosen)
        yield _said(model, found, held_out)
    yield f"saved: {out} (t, p, d, mask, mean absolute activation, outlier dimensions of every unit)"


def _said(model: LanguageModel, found: xr.Dataset, held_out: xr.Dataset) -> str:
    profile = layer_profile(found["mask"])
    most = int(np.argmax(profile["share"].values))
    d = {name: float(held_out["d"].sel(set=name).mean()) for name in held_out["set"].values.tolist()}
    return (
        f"{model.label}: {int(found['mask'].sum())} of {found.sizes['unit']} units "
        f"({found.attrs['n_undefined']} constant ones left out), most in {profile['layer'].values[most]} "
        f"({100 * float(profile['share'][most]):.1f} % of it); Cohen's d {d['in-sample']:.2f} in-sample, "
        f"{d['held-out']:.2f} on held-out runs, {d['random']:.2f} for layer-matched random units; "
        f"{100 * float((fdr(found['p'].values) < 0.05).mean()):.0f} % of all units pass FDR q < .05"
    )


def lesion_network(
    name: str,
    mask_file: Path,
    section: Lesions,
    *,
    work: Path | None,
    out: Path,
    seed: int,
) -> Iterator[str]:
    """Silence a mask and random ones, save every mask's accuracy to ``out``, and say what was lost."""
    found = io.load(mask_file)
    if not isinstance(found, xr.Dataset) or not {"mask", "magnitude"} <= set(found):
        raise FileError(
            f"{mask_file} must hold a mask with magnitudes, as `neuroalign localize` writes it; it holds "
            f"{type(found).__name__} {getattr(found, 'name', None) or list(found)}."
        )
    model, task = load_model(name), MinimalPairs(minimal_pairs(section), prefix=section.prefix)
    mask = found["mask"]
    mask.attrs.setdefault("model_digest", found.attrs.get("model_digest"))
    table, _ = lesion_effect(
        model,
        mask,
        task,
        section.n_controls,
        generator(seed, "lesion"),
        magnitude=found["magnitude"],
        kinds=section.kinds,
        work=work,
    )
    io.write_table(table, out)
    rows = table.set_index("mask")
    yield f"{model.label}: {len(task.pairs)} minimal pairs ({section.pairs}), {int(mask.sum())} units"
    yield f"intact {float(rows['accuracy']['intact']):.3f}"
    yield _effect(rows, section)
    yield f"saved: {out} (accuracy of the intact network and under every mask)"


def _effect(rows: pd.DataFrame, section: Lesions) -> str:
    own = rows.loc["selected"]
    lines = [
        f"silenced {own['accuracy']:.3f}: change {own['effect']:+.3f} "
        f"[{own['low']:+.3f}, {own['high']:+.3f}] (95 %, bootstrap over pairs)"
    ]
    for kind in section.kinds:
        random = rows.loc[rows["kind"] == kind, "accuracy"]
        worse = int((random <= own["accuracy"]).sum())
        lines.append(
            f"random, {kind}: median {random.median():.3f} ({random.min():.3f} to {random.max():.3f}); "
            f"as much or more is lost with {worse} of {random.size}, p = {own[f'p_{kind}']:.3f} "
            f"(cannot go below {1 / (1 + random.size):.3f})"
        )
    return "\n".join(lines)
