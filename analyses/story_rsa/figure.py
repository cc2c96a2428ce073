"""Draw figure 4 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

NETWORKS = {"trained": COLOURS["blue"], "untrained": COLOURS["orange"]}


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("network", "layer"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    title = plotting.titled("Similarity of the story's time windows by layer", about)
    return draw(table, about), title, caption(table, about)


def draw(table: pd.DataFrame, about: dict) -> object:
    figure, axes = plotting.figure(1, 2, height=65, width_ratios=[2, 1], sharey=True)
    layers, baselines = axes[0]
    ceiling = table[table["network"] == "ceiling"].set_index("layer")["value"]
    for ax in axes[0]:
        plotting.ceiling_band(ax, ceiling["lower"], ceiling["upper"])
        ax.axhline(0, color=GREY, linewidth=0.6)
    lines, bands = {}, {}
    for name in NETWORKS:
        part = table[table["network"] == name].sort_values("depth")
        lines[name], bands[name] = part["value"], (part["low"], part["high"])
        depth = part["depth"].to_numpy()
    plotting.layer_lines(layers, depth, lines, colours=NETWORKS, bands=bands)
    layers.set(ylabel=f"{about['notes']['method'].capitalize()} r with listeners' RDMs", title="Layers")
    layers.legend()
    part = table[table["network"] == "baseline"]
    for x, (_, row) in enumerate(part.iterrows()):
        baselines.plot([x, x], [row["low"], row["high"]], color="black", linewidth=1)
        baselines.scatter(x, row["value"], color=COLOURS["vermillion"], s=16, zorder=3)
    baselines.set_xticks(range(len(part)), part["layer"], rotation=30, ha="right", rotation_mode="anchor")
    baselines.set(title="What is not language", xlim=(-0.6, len(part) - 0.4))
    plotting.panel_letters(axes[0])
    return figure


def caption(table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    best = []
    for name in NETWORKS:
        part = table[table["network"] == name]
        row = part.loc[part["value"].idxmax()]
        best.append(f"{name} at most {row['value']:.3f} (layer {row['depth']})")
    base = table[table["network"] == "baseline"]
    others = ", ".join(f"{row['layer']} {row['value']:.3f}" for _, row in base.iterrows())
    ceiling = table[table["network"] == "ceiling"].set_index("layer")["value"]
    return (
        f"{notes['network']}: representational similarity of {notes['n_windows']} windows of {notes['window_seconds']:g} s "
        f"({plotting.responses(about)}). A listener's RDM: correlation distance of windows, volumes "
        "by regions; a layer's: correlation distance of word activations under the canonical haemodynamic "
        f"response, averaged in the window. Mean {notes['method'].capitalize()} correlation over listeners, band or bar: 95 % "
        f"bootstrap interval over listeners. Grey: noise ceiling, {ceiling['lower']:.3f} to "
        f"{ceiling['upper']:.3f}. {'; '.join(best).capitalize()}. Right, RDMs of what is not language: {others}. Windows "
        "follow one another, so that slow drifts alone make near windows alike: compare with the distance in "
        "time and with the untrained twin; no p is given, since windows are not exchangeable."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
