"""Draw figure 7 or 8 from its table of values: ``python presets.py NUMBER TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

NETWORKS = {"trained": COLOURS["blue"], "untrained": COLOURS["orange"]}


def main(number: str, path: str) -> None:
    draw = {"7": unit_map, "8": presets}[number]
    plotting.draw_values(path, draw, text=("network", "layer", "preset", "quantity", "other"))


def unit_map(table: pd.DataFrame, about: dict) -> tuple:
    figure, axes = plotting.figure(1, 3, height=72, width_ratios=[1.3, 1.3, 1])
    limit = float(np.nanpercentile(table["t"].abs(), 99.5))
    image = None
    for ax, name in zip(axes[0], NETWORKS, strict=False):
        own = table[table["network"] == name]
        t = own.pivot_table(index="depth", columns="unit", values="t", dropna=False)
        image = ax.imshow(
            t, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower", interpolation="none"
        )
        chosen = own[own["selected"] == 1]
        ax.scatter(chosen["unit"], chosen["depth"], s=2.5, color="black", marker="o", linewidth=0)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="unit", ylabel="layer (block)", title=name)
    figure.colorbar(image, ax=axes[0][1], label="Welch t, sentence - nonword", fraction=0.06)
    counts = axes[0][2]
    for name, colour in NETWORKS.items():
        own = table[table["network"] == name]
        values = np.sort(own["t"].dropna())[::-1]
        counts.plot(np.arange(1, values.size + 1) / values.size * 100, values, color=colour, label=name)
    counts.axvline(100 * about["notes"]["fraction"], color=GREY, linewidth=0.6, linestyle="--")
    counts.axhline(0, color=GREY, linewidth=0.6)
    counts.set(xlabel="units, largest t first (%)", ylabel="Welch t", title="All units", xscale="log")
    counts.legend()
    plotting.panel_letters(axes[0])
    return figure, "Map of language-selective units", unit_caption(table, about)


def unit_caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    said = []
    for name in NETWORKS:
        own = table[table["network"] == name]
        by_layer = own.groupby("depth")["selected"].sum()
        said.append(
            f"{name}: {int(own['selected'].sum())} of {len(own)} units selected, in {int((by_layer > 0).sum())} of "
            f"{by_layer.size} layers, most ({by_layer.max()}) in layer {by_layer.idxmax()}; largest t "
            f"{own['t'].max():.1f}"
        )
    return (
        f"{notes['network']}: every unit's Welch t for {params['positive']} over {params['negative']} "
        f"({params['stimuli']}, {notes['n_stimuli']['default']} stimuli, lower case, preset default); black, the "
        f"{100 * notes['fraction']:g} % with the largest t. a, the trained network; b, its untrained twin, the "
        "same architecture with random weights; c, all units in order (dashed: what is selected). "
        f"{'. '.join(said)}. An untrained network has selective units as well."
    )


def presets(table: pd.DataFrame, about: dict) -> tuple:
    figure, axes = plotting.figure(2, 2, height=125, width_ratios=[1, 1.25])
    for ax, size, title in (
        (axes[0][0], "published", "Dice, each with its own rule"),
        (axes[1][0], "equal", f"Dice, {100 * about['notes']['fraction']:g} % of units each"),
    ):
        matrix(ax, table, size)
        ax.set_title(title)
    names = list(dict.fromkeys(table.loc[table["quantity"] == "held-out_d", "preset"]))
    for ax, quantity, title in (
        (axes[0][1], "held-out_d", "Selectivity on held-out runs"),
        (axes[1][1], "in-sample_d", "The same, in-sample"),
    ):
        groups, colours = {}, {}
        for name in names:
            for network, colour in NETWORKS.items():
                rows = (table["preset"] == name) & (table["network"] == network)
                groups[f"{name}, {network}"] = table.loc[rows & (table["quantity"] == quantity), "value"]
                colours[f"{name}, {network}"] = colour
        labels = [name if i % 2 == 0 else "" for name in names for i in range(2)]
        plotting.distributions(ax, groups, colours=colours, labels=labels)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set(ylabel="Cohen's d, a dot a run", title=title)
    for network, colour in NETWORKS.items():
        axes[0][1].scatter([], [], color=colour, s=7, label=network)
    axes[0][1].legend()
    plotting.panel_letters([axes[0][0], axes[0][1], axes[1][0], axes[1][1]])
    return figure, "Published localizers side by side", preset_caption(table, about)


def matrix(ax: object, table: pd.DataFrame, size: str) -> None:
    rows = table[table["quantity"] == f"dice_{size}"]
    names = list(dict.fromkeys(rows["preset"]))
    overlap = rows.pivot_table(index="preset", columns="other", values="value").loc[names, names]
    ax.imshow(overlap, cmap="Greys", vmin=0, vmax=1)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            value = overlap.loc[a, b]
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.5 else "black")
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)


def preset_caption(table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    value = table.groupby(["network", "preset", "quantity"])["value"].mean()
    names = list(dict.fromkeys(table.loc[table["quantity"] == "held-out_d", "preset"]))
    pairs = table[(table["preset"] < table["other"]) & (table["quantity"] == "dice_published")]["value"]
    equal = table[(table["preset"] < table["other"]) & (table["quantity"] == "dice_equal")]["value"]
    chance = table[(table["preset"] < table["other"]) & (table["quantity"] == "chance_equal")]["value"]
    said = [
        f"{name} ({value['trained', name, 'n_selected']:.0f} of {value['trained', name, 'n_units']:.0f} units): d "
        f"{value['trained', name, 'held-out_d']:.2f} held out (untrained "
        f"{value['untrained', name, 'held-out_d']:.2f}; random units "
        f"{value['trained', name, 'random_d']:.2f}), {100 * value['trained', name, 'share_significant']:.0f} % of "
        f"units pass FDR q < .05 (untrained {100 * value['untrained', name, 'share_significant']:.0f} %), "
        f"split-half Dice {value['trained', name, 'split_half_dice']:.2f}"
        for name in names
    ]
    spread = f"{pairs.min():.2f} to {pairs.max():.2f}" if len(pairs) else "no two masks of the same units"
    same = (
        f"{equal.min():.2f} to {equal.max():.2f} (chance {chance.mean():.3f})"
        if len(equal)
        else "not defined"
    )
    replaced = "".join(f" {text}." for text in notes.get("replaced", []))
    return (
        f"{notes['network']}: the masks of published localizers, and of one whose conditions are matched in "
        f"number of tokens. a, overlap of every two masks with each preset's own selection rule: Dice {spread}; "
        f"c, with the same number of units: {same}. Presets that read other sites than the block output have "
        f"other units and are not in a and c. b, d, mean Cohen's d of the selected units, a dot a run: b, on the run "
        f"that did not select them; d, on the runs that did. {'; '.join(said)}.{replaced} There is no such thing as "
        "the language units of a network: the choice of the preset is part of the result."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
