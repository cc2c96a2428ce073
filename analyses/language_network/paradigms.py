"""Draw figure 10 from its table of values: ``python paradigms.py 10 TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

KINDS = {"uniform": COLOURS["sky"], "layer-matched": COLOURS["green"], "norm-matched": COLOURS["purple"]}
RANDOM = "field, random masks"
MANY = 20


def main(number: str, path: str) -> None:
    plotting.draw_values(path, {"10": forest}[number], text=("mask", "group", "by"))


def forest(table: pd.DataFrame, about: dict) -> tuple:
    own = table[table["by"] == "paradigm"].sort_values("effect")
    fields = table[table["by"] == "field"].sort_values("effect")
    height = max(70, 30 + 2.6 * len(own))
    figure, axes = plotting.figure(1, 2, height=height, width_ratios=[1.6, 1])
    for ax, rows, title in ((axes[0][0], own, "By paradigm"), (axes[0][1], fields, "By field")):
        y = np.arange(len(rows))
        if ax is axes[0][1]:
            bands(ax, table[table["by"] == RANDOM], rows["group"].tolist())
        ax.hlines(y, rows["low"], rows["high"], color="black", linewidth=0.8)
        significant = rows["p_fdr"] < 0.05
        ax.scatter(rows["effect"], y, s=9, color=np.where(significant, COLOURS["vermillion"], GREY), zorder=3)
        names = [
            f"{group.replace('_', ' ')} ({int(n)})"
            for group, n in zip(rows["group"], rows["n_items"], strict=True)
        ]
        ax.set_yticks(y, names, fontsize=4.5 if len(rows) > MANY else 6)
        ax.axvline(0, color=GREY, linewidth=0.6)
        ax.set(xlabel="change in accuracy (95 % CI)", title=title, ylim=(-1, len(rows)))
    plotting.panel_letters(axes[0])
    return figure, "Which paradigms lose most", caption(own, fields, table, about)


def bands(ax: object, random: pd.DataFrame, fields: list[str]) -> None:
    """Draw the middle 90 % of the random masks of each kind below each field."""
    kinds = [kind for kind in KINDS if (random["mask"] == kind).any()]
    for i, kind in enumerate(kinds):
        rows = random[random["mask"] == kind].set_index("group").loc[fields]
        y = np.arange(len(fields)) - 0.18 - 0.14 * i
        ax.hlines(y, rows["low"], rows["high"], color=KINDS[kind], linewidth=1.6, label=f"random, {kind}")
    if kinds:
        ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=1)


def caption(own: pd.DataFrame, fields: pd.DataFrame, table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    random = table[(table["by"] == RANDOM) & (table["mask"] == "language")]
    kinds = [kind for kind in KINDS if f"p_{kind}" in random]
    worse = "; ".join(f"{int((random[f'p_fdr_{kind}'] < 0.05).sum())} against {kind} masks" for kind in kinds)
    lost, gained = ((own["p_fdr"] < 0.05) & (own["effect"] * sign > 0) for sign in (-1, 1))
    said = ", ".join(
        f"{row['group']} {row['effect']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        for _, row in fields.iterrows()
    )
    return (
        f"{notes['network']}: change in accuracy on each paradigm and field of {notes['pairs']} ({notes['n_items']} "
        f"pairs, in brackets those of a row) with the {notes['n_units']} language units silenced; accuracy over all is "
        f"{notes['intact']:.3f} intact and {notes['language']:.3f} without them. Intervals are bootstraps over pairs; "
        "red, different from 0 by a sign-flip test with FDR q < .05 over the rows of both panels: "
        f"{int(lost.sum())} of {len(own)} paradigms lose, {int(gained.sum())} gain. By field: {said}. Coloured bars, the "
        f"middle 90 % of {notes['n_random']} random masks of each kind on the pairs of figure 2: on those, fields that "
        f"lose more without the language units than with random masks (FDR q < .05): {worse}; no p is below "
        f"{1 / (1 + notes['n_random']):.3f}."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
