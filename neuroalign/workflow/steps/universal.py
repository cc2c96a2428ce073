"""Figure 23: units of two language networks, and of digits networks over seeds, that respond alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ... import similarity, stats, stimuli
from ...extraction import extract_words
from ...seeds import generator
from ..digits import LAYERS, digit_activations
from ..paths import TWINS, Paths
from ..sections import Universal
from .common import load_network, write_values

__all__ = ["universal"]

NUMBER = 23
N_PAIRS_SHOWN, N_WORDS_SHOWN = 20, 6
# Images that are anchors, of those that a decoder is trained on.
N_ANCHORS = 60
N_ORDERS = 19
# Networks over which every two units of a set must be mutual.
N_IN_SETS = 3


def _fixed_ridge(features: np.ndarray, targets: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return ridge predictions with one penalty, the mean squared singular value of the features.

    A penalty chosen inside one network is too small to carry a decoder over to another.
    """
    return similarity.ridge_predict(features, targets, new, alphas=(1.0,))


# What the decoders' scores are called by -> how they are made.
STITCHINGS: dict[str, dict[str, Any]] = {
    "": {"solver": _fixed_ridge, "standardize": True},
    " (as they are)": {"solver": _fixed_ridge, "standardize": False},
    " (own penalty)": {"standardize": True},
}


def universal(paths: Paths) -> None:
    """Write the values of figure 23: excess correlations, mutual pairs, digits networks, stitching."""
    section, seed = paths.study.universal or Universal(), paths.study.seed
    words = stimuli.story()
    parts: list[pd.DataFrame] = []
    notes: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    for twin in TWINS:
        networks, found = _read(paths, words, twin)
        inputs |= {f"{name}-{twin}": digest for name, digest in found.items()}
        table, facts = _language(networks, words, section, twin, seed)
        parts.append(table)
        notes[twin] = facts
    digits, facts = _digits(section, seed)
    notes |= {"digits": facts, "n_words": len(words), "names": [str(name) for name in networks]}
    write_values(paths, NUMBER, pd.concat([*parts, digits]), inputs=inputs, section=section, notes=notes)


def _read(paths: Paths, words: pd.DataFrame, twin: str) -> tuple[dict[str, xr.DataArray], dict[str, str]]:
    """Return the units (stimulus, unit) of both networks, with their layers, and digests of their weights."""
    study, section = paths.study, paths.study.universal or Universal()
    networks, digests = {}, {}
    for name, step in zip(section.networks, (section.layer_step, 1), strict=True):
        spec = study.model.model_copy(update={"name": name})
        model = load_network(study.model_copy(update={"model": spec}), twin)
        layers = list(range(0, model.n_layers, step))
        found: Any = extract_words(
            model,
            words,
            layers,
            context=section.context,
            stride=section.stride,
            site=section.site,
            pool=section.pool,
        )
        # The first token of a text draws attention whatever it is, and some units follow that alone.
        networks[model.label.removesuffix(", untrained")] = _together(found, layers).isel(
            stimulus=slice(1, None)
        )
        digests[name] = model.digest
    return networks, digests


def _together(found: xr.Dataset, layers: list[int]) -> xr.DataArray:
    """Return the units of all layers along one dim, with coordinates layer and index."""
    arrays = [found[name].values for name in found.data_vars]
    widths = [array.shape[1] for array in arrays]
    return xr.DataArray(
        np.concatenate(arrays, axis=1),
        dims=("stimulus", "unit"),
        coords={
            "stimulus": found["stimulus"].values,
            "layer": ("unit", np.repeat(layers, widths)),
            "index": ("unit", np.concatenate([np.arange(width) for width in widths])),
        },
    )


def _language(
    networks: dict[str, xr.DataArray], words: pd.DataFrame, section: Universal, twin: str, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return excess correlations of the units of both networks, pairs of layers, and mutual pairs."""
    n = next(iter(networks.values())).sizes["stimulus"]
    # The first half of the story chooses partners, the second evaluates: neighbours in a text are alike.
    select = np.arange(n) < n // 2
    rows: list[pd.DataFrame] = []
    facts: dict[str, Any] = {"n_choosing": int(select.sum()), "n_held_out": int((~select).sum())}
    for (name, x), (other, y) in zip(networks.items(), reversed(networks.items()), strict=True):
        rng = generator(seed, "universal", twin, name)
        layers = {str(k): y.isel(unit=np.flatnonzero(y["layer"].values == k)) for k in np.unique(y["layer"])}
        found = similarity.excess_correlation(
            x, layers, rng=rng, select=select, threshold=section.threshold, progress=True
        )
        units = _whole(found)
        about = {"network": name, "other": other, "twin": twin}
        rows += [_layer_rows(units, section.threshold), _pair_rows(found), _histogram(units)]
        rows[-3:] = [table.assign(**about) for table in rows[-3:]]
        known = units.dropna(subset="excess")
        facts[name] = {
            "n_units": len(units),
            "n_undefined": len(units) - len(known),
            "share": float((known["excess"] > section.threshold).mean()),
            **{key: float(known[key].mean()) for key in QUANTITIES},
        }
    names = list(networks)
    pairs, mutual = _mutual(*(networks[name] for name in names), select=select, words=words)
    rows.append(pairs.assign(twin=twin, network=names[0], other=names[1]))
    return pd.concat(rows), facts | {"mutual": mutual}


QUANTITIES = ("r_selected", "r", "baseline_selected", "baseline", "excess")


def _whole(found: xr.Dataset) -> pd.DataFrame:
    """Return each unit's best partner in any layer, chosen on the stimuli that choose, and the same rotated.

    With one rotation a layer, the best of the rotated layers is the best of the network rotated by layers.
    """
    table: dict[str, Any] = {"layer": found["layer_x"].values}
    for name in ("r", "baseline"):
        selected = found[f"{name}_selected"].values
        at = np.where(np.isnan(selected), -np.inf, selected).argmax(axis=0)[None]
        for key in (f"{name}_selected", name):
            table[key] = np.take_along_axis(found[key].values, at, axis=0)[0]
    return pd.DataFrame(table).assign(excess=lambda t: t["r"] - t["baseline"])


def _layer_rows(units: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return by layer the means, the share of universal units, and quartiles of the excess."""
    rows = []
    for layer, group in units.groupby("layer"):
        known = group.dropna(subset="excess")
        values: dict[str, Any] = {key: known[key].mean() for key in QUANTITIES}
        values |= {"share": (known["excess"] > threshold).mean(), "n_undefined": len(group) - len(known)}
        values |= {f"excess_{q}": known["excess"].quantile(q / 100) for q in (5, 25, 50, 75, 95)}
        rows += [("layer", str(layer), key, value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=["kind", "layer", "quantity", "value"])


def _pair_rows(found: xr.Dataset) -> pd.DataFrame:
    """Return the mean excess of every pair of layers: the best partner within that layer alone."""
    apart = (found["r"] - found["baseline"]).assign_coords(layer=("unit_x", found["layer_x"].values))
    table = apart.groupby("layer").mean("unit_x").to_dataframe(name="value").reset_index()
    table = table.rename(columns={"network": "other_layer"}).assign(kind="layers", quantity="excess")
    table["layer"] = table["layer"].astype(str)
    return table[["kind", "layer", "other_layer", "quantity", "value"]]


def _histogram(units: pd.DataFrame) -> pd.DataFrame:
    """Return counts of held-out correlations of best partners, and of best partners in rotated layers."""
    edges = np.round(np.arange(-1.0, 1.0001, 0.05), 2)
    rows = []
    for key in ("r", "baseline", "excess"):
        counts, _ = np.histogram(units[key].dropna().clip(-1, 1), edges)
        rows += [
            ("histogram", key, left, count / max(counts.sum(), 1))
            for left, count in zip(edges, counts, strict=False)
        ]
    return pd.DataFrame(rows, columns=["kind", "quantity", "x", "value"])


def _mutual(
    x: xr.DataArray, y: xr.DataArray, *, select: np.ndarray, words: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the mutual pairs that correlate most on held-out words, with the words that drive both."""
    found = similarity.match_units(x, y, how="mutual", select=select)
    held = found["held_out"].values
    best = np.argsort(-np.where(np.isnan(held), -np.inf, held), kind="stable")[:N_PAIRS_SHOWN]
    said = words.set_index("stimulus")["text"].loc[x["stimulus"].values]
    texts = said.str.lower().str.replace(r"[^\w']", "", regex=True).to_numpy()
    rows = []
    for rank, pair in enumerate(best, start=1):
        i, j = int(found["x"][pair]), int(found["y"][pair])
        both = sum(_z(units[~select, k]) for units, k in ((x.values, i), (y.values, j)))
        top = dict.fromkeys(texts[~select][np.argsort(-both, kind="stable")].tolist())
        rows.append(
            {
                "kind": "pair",
                "x": rank,
                "layer": str(int(x["layer"][i])),
                "unit": int(x["index"][i]),
                "other_layer": str(int(y["layer"][j])),
                "other_unit": int(y["index"][j]),
                "quantity": "held-out r",
                "value": float(held[pair]),
                "words": " ".join(list(top)[:N_WORDS_SHOWN]),
            }
        )
    facts = {
        "n_pairs": len(held),
        "r": float(found["r"].mean()),
        "held_out": float(np.nanmean(held)),
        "n_undefined": int(np.isnan(held).sum()),
    }
    return pd.DataFrame(rows), facts


def _z(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return (values - values.mean()) / values.std()


def _digits(section: Universal, seed: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return what networks that differ in their seed share, by layer, trained and untrained."""
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {"n_networks": section.n_networks, "n_anchors": N_ANCHORS, "n_in_sets": N_IN_SETS}
    for twin in TWINS:
        epochs = section.epochs if twin == "trained" else 0
        activations, accuracy = digit_activations(
            section.n_networks, n_images=section.n_images, epochs=epochs, seed=seed
        )
        facts[f"accuracy_{twin}"] = [round(float(accuracy.min()), 3), round(float(accuracy.max()), 3)]
        # Images stand digit by digit, so that every other one holds as many of each digit.
        select = np.arange(activations.sizes["stimulus"]) % 2 == 0
        facts["n_images"] = activations.sizes["stimulus"]
        for layer in tqdm(LAYERS, desc=f"digits layers, {twin}"):
            one = activations.sel(layer=layer, drop=True)
            found = _seeds(one, select, section, generator(seed, "universal", "digits", twin, layer))
            found |= _stitched(one, select, seed) if twin == "trained" else {}
            rows += [
                {"kind": "digits", "twin": twin, "layer": layer, "quantity": key, "value": value}
                for key, value in found.items()
            ]
        rows += _corrected(rows, twin)
    return pd.DataFrame(rows), facts


def _corrected(rows: list[dict[str, Any]], twin: str) -> list[dict[str, Any]]:
    """Return the p of the matching tests by rotation, corrected over layers (false discovery rate)."""
    tested = [row for row in rows if row["twin"] == twin and row["quantity"] == "matched_rotation_p"]
    corrected = stats.fdr(np.array([row["value"] for row in tested]))
    return [
        row | {"quantity": "matched_rotation_p_fdr", "value": float(p)}
        for row, p in zip(tested, corrected, strict=True)
    ]


def _seeds(
    activations: xr.DataArray, select: np.ndarray, section: Universal, rng: np.random.Generator
) -> dict[str, float]:
    """Return the excess of units over all other seeds, the matching test of two seeds, and sets of all."""
    plain = {f"seed {int(k)}": activations.sel(seed=k, drop=True) for k in activations["seed"].values}
    tables = []
    for name, x in plain.items():
        others = {other: y for other, y in plain.items() if other != name}
        found = similarity.excess_correlation(
            x, others, rng=rng, n_rotations=section.n_rotations, select=select, threshold=section.threshold
        )
        tables.append(found.reset_coords(drop=True).mean("network").to_dataframe().reset_index(drop=True))
    units = pd.concat(tables)
    known = units.dropna(subset="excess")
    values = {key: float(known[key].mean()) for key in QUANTITIES}
    values |= {
        "share": float((known["excess"] > section.threshold).mean()),
        "n_undefined": float(len(units) - len(known)),
    }
    values |= {f"excess_{q}": float(known["excess"].quantile(q / 100)) for q in (25, 75)}
    first, second = list(plain.values())[:2]
    for null in ("rotation", "shuffle"):
        test = similarity.matching_test(
            first, second, select=select, how="one-to-one", null=null, n=section.n_permutations, rng=rng
        )
        values |= {f"matched_{null}_baseline": float(test["baseline"]), f"matched_{null}_p": float(test["p"])}
    values["matched"] = float(test["estimate"])
    few = dict(list(plain.items())[:N_IN_SETS])
    sets = similarity.mutual_sets(few, select=select)
    held = sets["held_out"].values
    values["n_sets"] = float(len(held))
    values["sets_held_out"] = float(np.nanmean(held)) if len(held) and not np.isnan(held).all() else np.nan
    return values


def _stitched(activations: xr.DataArray, select: np.ndarray, seed: int) -> dict[str, float]:
    """Return accuracies of decoders of one seed that read the next, means over seeds, and the largest p."""
    names = activations["stimulus"].values
    target = xr.DataArray(activations["digit"].values, dims="stimulus", coords={"stimulus": names})
    train = names[select]
    anchors = generator(seed, "universal", "anchors").permutation(train)[:N_ANCHORS]
    scores: dict[str, list[float]] = {}
    n = activations.sizes["seed"]
    for k in range(n):
        a, b = (
            xr.DataArray(
                activations.isel(seed=i % n).values.astype(np.float64),
                dims=("stimulus", "unit"),
                coords={"stimulus": names},
            )
            for i in (k, k + 1)
        )
        for suffix, options in STITCHINGS.items():
            found = similarity.stitching_test(
                a, b, target, anchors=anchors, train=train, n=N_ORDERS, seed=seed, **options
            )
            for key in found.data_vars:
                if not found[key].dims:
                    scores.setdefault(f"stitching_{key}{suffix}", []).append(float(found[key]))
    return {key: max(v) if key.startswith("stitching_p") else float(np.mean(v)) for key, v in scores.items()}
