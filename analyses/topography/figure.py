"""Draw figure 24 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import xarray as xr

from neuroalign import plotting

MODELS = {"topographic": "blue", "control": "orange", "untrained": "black"}
COLOURS = {name: plotting.COLOURS[shade] for name, shade in MODELS.items()}
MEASURES = {
    "raw": ("Moran's I", "Moran's I, raw"),
    "smoothed": ("Moran's I", "Moran's I, smoothed"),
    "cluster": ("units", "Largest cluster"),
}
SHOWN = ("topographic", "control")


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("kind", "model", "contrast", "measure"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    maps, curves = table[table["kind"] == "map"], table[table["kind"] == "curve"]
    measures = table[table["kind"] == "measure"]
    contrasts = list(dict.fromkeys(maps["contrast"]))
    figure, axes = plotting.figure(2, 4, height=100)
    flat = axes.ravel()
    columns = [(contrast, model) for contrast in contrasts for model in SHOWN]
    for ax, (contrast, model) in zip(flat, columns, strict=False):
        one_map(ax, maps, contrast, model)
    for ax in flat[len(columns) : 4]:
        ax.set_visible(False)
    losses(flat[4], curves)
    for ax, (name, (label, title)) in zip(flat[5:], MEASURES.items(), strict=True):
        dots(ax, measures[measures["measure"] == name])
        ax.set(ylabel=label, title=title)
    low, high = flat[5].get_ylim()
    flat[5].set_ylim(low, high + 0.45 * (high - low))
    flat[5].legend(loc="upper right", handlelength=1, borderpad=0)
    plotting.panel_letters([ax for ax in flat if ax.get_visible()])
    return figure, "Contrast maps of small language models on a lattice", caption(table, about)


def one_map(ax: object, maps: pd.DataFrame, contrast: str, model: str) -> None:
    rows = maps[(maps["contrast"] == contrast) & (maps["model"] == model) & (maps["network"] == 0)]
    rows = rows[rows["block"] == rows["block"].max()].sort_values(["row", "column"])
    shape = int(rows["row"].max()) + 1, int(rows["column"].max()) + 1
    t = xr.DataArray(rows["t"].to_numpy(float).reshape(shape), dims=("row", "column"), name="t")
    scale = plotting.colour_scale(t, diverging=True)
    cluster = rows["in cluster"].to_numpy(float).reshape(shape) == 1
    plotting.lattice_map(ax, t, outlined=cluster, scale=scale, label="")
    ax.set_title(f"{contrast.capitalize()},\n{model}")


def losses(ax: object, curves: pd.DataFrame) -> None:
    for model in SHOWN:
        for i, (_, rows) in enumerate(curves[curves["model"] == model].groupby("network")):
            first = model == SHOWN[0] and i == 0
            for name, line in (("language", "-"), ("spatial", ":")):
                label = name if first else None
                ax.plot(rows["step"], rows[name], line, color=COLOURS[model], linewidth=0.9, label=label)
    ax.set(xlabel="step", ylabel="loss (nats a word; 1 - r)", title="Held-out losses", ylim=(0, None))
    for line in ax.legend(loc="upper right", handlelength=1.6).get_lines():
        line.set_color("black")


def dots(ax: object, rows: pd.DataFrame) -> None:
    """Every map as a dot, filled where it is significant, beside the middle 95 % of its own null."""
    contrasts = list(dict.fromkeys(rows["contrast"]))
    groups = [(contrast, model) for contrast in contrasts for model in MODELS]
    for x, (contrast, model) in enumerate(groups):
        own = rows[(rows["contrast"] == contrast) & (rows["model"] == model)]
        at = x + np.linspace(-0.3, 0.3, len(own)) if len(own) > 1 else np.array([float(x)])
        for place, (_, row) in zip(at, own.iterrows(), strict=True):
            ax.plot(
                [place] * 2, [row["null low"], row["null high"]], color=plotting.GREY, alpha=0.35, linewidth=2
            )
            filled = np.isfinite(row["q"]) and row["q"] < 0.05
            face = COLOURS[model] if filled else "white"
            label = model if contrast == contrasts[0] and place == at[0] else None
            ax.plot(
                place,
                row["value"],
                "o",
                markersize=2.6,
                color=COLOURS[model],
                markerfacecolor=face,
                label=label,
            )
    middles = [(len(MODELS) - 1) / 2 + len(MODELS) * i for i in range(len(contrasts))]
    ax.set_xticks(middles, [contrast.replace(" - ", " -\n") for contrast in contrasts])
    ax.tick_params(axis="x", length=0)


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    rows = table[(table["kind"] == "measure") & (table["model"] != "untrained")]
    counted = "; ".join(
        f"{said}: {counts(rows[rows['measure'] == name])}" for name, (_, said) in MEASURES.items()
    )
    curves = table[table["kind"] == "curve"]
    last = curves[curves["step"] == curves["step"].max()].groupby("model")["language"].mean()
    words = {
        "topolm": "1 minus the correlation over pairs of units of response correlation and inverse distance"
    }
    loss = words.get(params["kind"], f"{params['kind']}, radius {params['radius']}")
    n = params["n_networks"]
    return (
        f"{n} pairs of small transformers ({params['n_blocks']} blocks of {notes['n_units']} units on a lattice of "
        f"{params['shape'][0]} x {params['shape'][1]}), trained here on {notes['n_seen']:,} words "
        f"({notes['n_sentences']:,} sentences, source: {params['text']}, vocabulary of {notes['n_vocabulary']:,}), with "
        f"a spatial loss (weight {params['weight']:g}; {loss}) and, as the control, without; same first weights and same "
        "words. So small a model of so narrow a text shows what the loss does, not what language is. "
        f"a to d: Welch's t on {notes['n_test']:,} held-out sentences, last block of the first network, {notes['n_nouns']:,} "
        f"nouns and {notes['n_verbs']:,} verbs; outlined: the largest cluster of units among "
        f"the top {1 - params['quantile']:.0%} or among the lowest, whichever is larger (h: its size, of all networks); lists: the "
        "same words in random order. "
        f"Language loss in the end, mean: topographic {last['topographic']:.3f}, control {last['control']:.3f} nats a "
        "word. f to h: each dot is a block of a network, the grey bar the middle 95 % of "
        f"{params['n_permutations']:,} maps with units in random places (smoothed after that, at a full width of "
        f"{params['fwhm']:g} steps, where the map is). Filled: q < .05 (one-sided p, FDR over the maps of topographic and "
        f"control networks in a panel; untrained networks are not tested). Significant, {counted}. Units of one network "
        "are not independent samples of networks: what generalises to new networks are the dots of different networks."
    )


def counts(rows: pd.DataFrame) -> str:
    return ", ".join(
        f"{model} {int((own['q'] < 0.05).sum())} of {len(own)}"
        for model in SHOWN
        for own in [rows[rows["model"] == model]]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
