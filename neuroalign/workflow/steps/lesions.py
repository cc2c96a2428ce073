"""Figure 2: what minimal pairs lose without the language units, against many matched random masks."""

from __future__ import annotations

import xarray as xr

from ... import io
from ...extraction import LanguageModel
from ...localization import MinimalPairs, random_masks, summarize_lesions, unmatched_units
from ...seeds import generator
from ..paths import Paths
from ..sections import Lesions
from ..sources import minimal_pairs
from .common import load_network, write_values
from .lesioning import Lesioning, read_masks, scored

__all__ = ["lesioning", "lesions"]

# Controls for the language units without outliers: as many in each layer, none of them an outlier either.
NO_OUTLIERS = "layer-matched without outliers"


def lesions(paths: Paths) -> None:
    """Write item scores under every mask, and the values of figure 2. A run that was killed goes on."""
    section = paths.study.lesions or Lesions()
    found = read_masks(paths)
    masks, groups, notes = _masks(found, section, paths.study.seed)
    model = load_network(paths.study, "trained")
    scores = scored(model, lesioning(paths, model)[0])
    inputs = {"masks": io.stored_digest(paths.masks), "model": model.digest}
    io.save(
        scores,
        paths.lesion_scores,
        inputs=inputs,
        params=section.model_dump(mode="json"),
        seed=paths.study.seed,
    )
    named = [name for name in masks if not any(name in group for group in groups.values())]
    rng = generator(paths.study.seed, "lesions", "bootstrap")
    table = summarize_lesions(scores, named, groups, rng=rng, n_bootstrap=section.n_bootstrap)
    table.insert(2, "n_units", [int(masks[name].sum()) if name in masks else 0 for name in table["mask"]])
    notes |= {"network": model.label, "n_items": scores.sizes["item"], "n_units": found.sizes["unit"]}
    write_values(paths, 2, table, inputs=inputs, section=section, notes=notes)


def lesioning(paths: Paths, model: LanguageModel) -> list[Lesioning]:
    """Return which masks are put on the network, and for which task."""
    section = paths.study.lesions or Lesions()
    masks, _, _ = _masks(read_masks(paths), section, paths.study.seed)
    task = MinimalPairs(minimal_pairs(section), prefix=section.prefix)
    return [Lesioning(masks, task, paths.lesion_work)]


def _masks(
    found: xr.Dataset, section: Lesions, seed: int
) -> tuple[dict[str, xr.DataArray], dict[str, list[str]], dict[str, object]]:
    """Return all masks by name, the names of each kind of control, and counts for the caption."""
    language, outlier = found["mask"], found["outlier"]
    masks = {"language": language}
    has_outliers = bool((language & outlier).any())
    if has_outliers:
        masks["language without outliers"] = language & ~outlier
    if outlier.any():
        masks["outliers alone"] = outlier
    unmatched = unmatched_units(language, found["magnitude"])
    if unmatched.any():
        masks["language with a norm match"] = language & ~unmatched
    drawn: dict[str, xr.DataArray] = {}
    groups: dict[str, list[str]] = {}
    for kind in section.kinds:
        random = random_masks(
            language,
            kind,
            section.n_controls,
            rng=generator(seed, "lesions", kind),
            magnitude=found["magnitude"],
        )
        groups[kind] = [f"{kind}-{i:03d}" for i in range(section.n_controls)]
        drawn |= dict(zip(groups[kind], random.drop_vars("n_unmatched"), strict=True))
    if has_outliers:
        n = section.n_controls_without_outliers or section.n_controls
        random = random_masks(
            masks["language without outliers"],
            "layer-matched",
            n,
            rng=generator(seed, "lesions", NO_OUTLIERS),
            exclude=language | outlier,
        )
        groups[NO_OUTLIERS] = [f"{NO_OUTLIERS}-{i:03d}" for i in range(n)]
        drawn |= dict(zip(groups[NO_OUTLIERS], random.drop_vars("n_unmatched"), strict=True))
    notes: dict[str, object] = {
        "n_language": int(language.sum()),
        "n_outliers": int(outlier.sum()),
        "n_outliers_in_language": int((language & outlier).sum()),
    }
    if "norm-matched" in groups:
        notes["n_unmatched"] = int(unmatched.sum())
        notes["n_left_out_max"] = max(
            int(language.sum() - drawn[name].sum()) for name in groups["norm-matched"]
        )
    return masks | drawn, groups, notes
