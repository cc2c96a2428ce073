"""Draw figure 17 from its table of values: ``python bands.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from figure import excluded

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

NETWORKS = {"trained": COLOURS["blue"], "untrained": COLOURS["orange"]}
COMPONENTS = (
    "model",
    "lexical",
    "low-level",
    "lexical & model",
    "low-level & model",
    "low-level & lexical",
    "low-level & lexical & model",
    "joint",
)
ROWS = ("group mean", "left-out listener")


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("network", "roi", "component", "score"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    title = plotting.titled("What feature spaces explain of the story", about)
    return draw(table), title, caption(table, about)


def draw(table: pd.DataFrame) -> object:
    rois = list(dict.fromkeys(table["roi"]))
    figure, axes = plotting.figure(2, len(rois), height=150, sharey=True, sharex="row")
    for row, score in enumerate(ROWS):
        for ax, roi in zip(axes[row], rois, strict=True):
            panel(ax, table[(table["roi"] == roi) & (table["score"] == score)])
            tested = table[(table["roi"] == roi) & (table["component"] == "test")].set_index(
                ["network", "score"]
            )
            ax.set_title(f"{roi}{mark(tested)}" if row == 0 else "")
        middle = axes[row, len(rois) // 2]
        middle.set_xlabel(f"part of the explained variance, {score}")
    axes[0, 0].set_yticks(np.arange(len(COMPONENTS)), COMPONENTS)
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def panel(ax: object, table: pd.DataFrame) -> None:
    for shift, (network, colour) in zip((-0.18, 0.18), NETWORKS.items(), strict=True):
        part = table[table["network"] == network].set_index("component").loc[list(COMPONENTS)]
        y = np.arange(len(COMPONENTS)) + shift
        ax.barh(y, part["value"], height=0.34, color=colour, label=network)
        known = part["low"].notna().to_numpy()
        ax.hlines(y[known], part["low"][known], part["high"][known], color="black", linewidth=0.8)
    top = table.loc[table["component"] == "ceiling", "value"].iloc[0]
    ax.axvline(top, color=GREY, linewidth=2, alpha=0.6, label="noise ceiling")
    ax.axvline(0, color="black", linewidth=0.5)
    ax.xaxis.set_major_locator(plotting_ticks())


def plotting_ticks() -> object:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3)


def mark(tested: pd.DataFrame) -> str:
    """Return a star where the trained network's joint model is above chance by the maximum over regions."""
    return " *" if tested.loc[("trained", "p (maximum)"), "value"] < 0.05 else ""


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    story = notes["story"]
    group = table[table["score"] == "group mean"]
    mean = group.groupby(["network", "component"])["value"].mean()
    said = "; ".join(
        f"{network}: joint {mean[network, 'joint']:.3f}, model alone {mean[network, 'model']:.3f}, shared by all three "
        f"{mean[network, 'low-level & lexical & model']:.3f}"
        for network in NETWORKS
    )
    tests = table[table["component"] == "test"].set_index(["network", "roi", "score"])["value"]
    held = {
        network: sum(tests[network, roi, "p (maximum)"] < 0.05 for roi in dict.fromkeys(table["roi"]))
        for network in NETWORKS
    }
    n = notes["n_features"]
    own = table[(table["score"] == "left-out listener") & (table["component"] == "model")]
    above = {name: int((own.loc[own["network"] == name, "low"] > 0).sum()) for name in NETWORKS}
    n_regions = table["roi"].nunique()
    text = (
        f"{notes['network']} ({notes['layer']}, chosen beforehand) and {plotting.responses(about)}: held-out explained variance of every "
        f"union of low-level features ({n['low-level']}: what figure 3 calls the baseline), lexical ones "
        f"({', '.join(notes['lexical'])}) and the layer's activations ({n['model']:,} with delays), each union fitted anew by "
        f"banded ridge ({params['n_candidates']} candidate weights; {story['n_folds']} contiguous folds, {story['purge']} "
        "volumes left out beside each), taken apart by inclusion and exclusion: a name alone is what only that space "
        "explains, names joined by & what exactly these share. Explained variance is R² without "
        "the difference of means between training and test rows. Parts may be negative: a union may fit noise. Orange, the "
        "same layer of the untrained twin; grey line, noise ceiling squared (split-half reliability above, squared "
        "inter-subject correlation below). Below: fitted to the mean of the other listeners, scored on the one left out, "
        f"95 % bootstrap interval over listeners. Mean over regions, group mean: {said}. The joint model predicts the group "
        f"mean above chance in {held['trained']} of {n_regions} regions (trained, *) and {held['untrained']} (untrained): "
        f"permutation of blocks of {notes['block']['trained']} volumes, {params['n_permutations']:,} draws, maximum over "
        f"regions. In listeners the model's own part has an interval above 0 in {above['trained']} and "
        f"{above['untrained']} of {n_regions} regions, uncorrected."
    )
    return text + excluded(notes)


if __name__ == "__main__":
    main(*sys.argv[1:])
