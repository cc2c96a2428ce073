"""Draw figure 5 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

SCORES = ("group mean", "left-out listener")
WINDOWS = "window RSA"


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("set", "roi", "score"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    title = plotting.titled("Language units against random units", about)
    return draw(table), title, caption(table, about)


def draw(table: pd.DataFrame) -> object:
    figure, axes = plotting.figure(1, 3, height=68, width_ratios=[3, 3, 1])
    for ax, score in zip(axes[0], (*SCORES, WINDOWS), strict=True):
        part = table[table["score"] == score]
        rois = list(dict.fromkeys(part["roi"]))
        random = part[part["set"].str.startswith("random")]
        ceiling = part[part["set"] == "ceiling"].set_index("roi")["value"]
        ax.hlines(
            ceiling[rois],
            *(pd.RangeIndex(len(rois)) + x for x in (-0.4, 0.4)),
            color=GREY,
            linewidth=2,
            alpha=0.6,
        )
        groups = {roi: random.loc[random["roi"] == roi, "value"] for roi in rois}
        plotting.distributions(ax, groups, colours=dict.fromkeys(rois, GREY))
        language = part[part["set"] == "language"].set_index("roi")["value"]
        ax.scatter(range(len(rois)), language[rois], marker="D", s=22, color=COLOURS["vermillion"], zorder=5)
        ax.axhline(0, color="black", linewidth=0.5)
        ax.set(ylabel=f"cross-validated r, {score}" if score in SCORES else "similarity of window RDMs")
    axes[0, 0].scatter([], [], marker="D", color=COLOURS["vermillion"], label="language units")
    axes[0, 0].scatter([], [], color=GREY, label="random sets")
    axes[0, 0].plot([], [], color=GREY, linewidth=2, alpha=0.6, label="noise ceiling")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    plotting.panel_letters(axes[0])
    return figure


def caption(table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    parts = []
    for score in (*SCORES, WINDOWS):
        part = table[table["score"] == score]
        rows = part[part["set"] == "language"]
        p = ", ".join(f"{row['roi']} {row['value']:.2f} (p {row['p']:.3f})" for _, row in rows.iterrows())
        parts.append(f"{score}: {p}")
    return (
        f"{notes['network']}: the {notes['n_units']} language units as an encoding model of six regions ({plotting.responses(about)}"
        f"), and the {notes['method']} similarity of their RDM of windows of {notes['window_seconds']:g} s to the "
        f"listeners' (C, as in figure 4), against {notes['n_random']} random sets with as many units in each "
        f"layer. Diamonds, language units; dots, random sets (black: median, 5th to 95th percentile); grey lines, the noise ceilings of figures 3 and (lower bound) 4. "
        f"{'; '.join(parts)}. p is the share of random sets that do at least as well, (1 + n) / (1 + R), one-sided, "
        "uncorrected for the number of regions. Delays, penalties and folds as in figure 3."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
