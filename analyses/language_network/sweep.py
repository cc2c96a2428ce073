"""Draw figure 9 or 10 from its table of values: ``python sweep.py NUMBER TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

KINDS = {"uniform": COLOURS["sky"], "layer-matched": COLOURS["green"], "norm-matched": COLOURS["purple"]}


def main(number: str, path: str) -> None:
    draw = {"9": curves, "10": forest}[number]
    plotting.draw_values(path, draw, text=("mask", "kind", "group", "by"))


def curves(table: pd.DataFrame, about: dict) -> tuple:
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    figure, axes = plotting.figure(1, len(kinds), height=62, sharey=True)
    named = table[(table["kind"] == "named") & (table["mask"] != "intact")].sort_values("fraction")
    intact = table.loc[table["mask"] == "intact", "accuracy"].iloc[0]
    for ax, kind in zip(axes[0], kinds, strict=True):
        random = table[table["kind"] == kind]
        x = 100 * random["fraction"]
        jitter = np.random.default_rng(0).uniform(0.92, 1.08, len(random))
        ax.scatter(x * jitter, random["accuracy"], s=6, color=KINDS[kind], alpha=0.6, linewidth=0)
        middle = random.groupby("fraction")["accuracy"].median()
        ax.plot(100 * middle.index, middle, color=KINDS[kind], label=f"random, {kind}: median")
        ax.plot(
            100 * named["fraction"],
            named["accuracy"],
            color=COLOURS["vermillion"],
            marker="o",
            markersize=3,
            label="language units",
        )
        ax.axhline(intact, color="black", linewidth=0.6, linestyle="--")
        ax.axhline(0.5, color=GREY, linewidth=0.6, linestyle=":")
        ax.set(xscale="log", xlabel="units silenced (%)", title=kind)
        ticks = sorted(100 * named["fraction"])
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.legend(loc="lower left")
    axes[0][0].set_ylabel("accuracy on minimal pairs")
    plotting.panel_letters(axes[0])
    return figure, "Lesions of several sizes", curve_caption(named, table, kinds, about)


def curve_caption(named: pd.DataFrame, table: pd.DataFrame, kinds: list[str], about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    intact = table.loc[table["mask"] == "intact", "accuracy"].iloc[0]
    said = []
    for _, row in named.iterrows():
        p = ", ".join(f"{kind} {row[f'p_{kind}']:.3f}" for kind in kinds)
        said.append(
            f"{100 * row['fraction']:g} % ({int(row['n_units'])} units): {row['accuracy']:.3f}, change "
            f"{row['effect']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], p against {p}"
        )
    floor = 1 / (1 + params["n_controls"])
    return (
        f"{notes['network']}: accuracy on {notes['n_items']} minimal pairs with the most language-selective units "
        f"silenced (red), and with {params['n_controls']} random masks of each kind and size (dots); dashed, intact "
        f"({intact:.3f}); dotted, chance. {'. '.join(said)}. p cannot go below {floor:.3f}: read the distributions. "
        "Norm-matched masks hold partners of similar mean absolute activation, so what language units lose more than "
        "these is not explained by outlier dimensions."
    )


def forest(table: pd.DataFrame, about: dict) -> tuple:
    own = table[(table["by"] == "paradigm") & (table["mask"] == "language")].sort_values("effect")
    fields = table[(table["by"] == "field") & (table["mask"] == "language")].sort_values("effect")
    figure, axes = plotting.figure(1, 2, height=max(70, 30 + 2.6 * len(own)), width_ratios=[1.6, 1])
    for ax, rows, title in ((axes[0][0], own, "By paradigm"), (axes[0][1], fields, "By field")):
        y = np.arange(len(rows))
        ax.hlines(y, rows["low"], rows["high"], color="black", linewidth=0.8)
        significant = rows["p_fdr"] < 0.05
        ax.scatter(rows["effect"], y, s=9, color=np.where(significant, COLOURS["vermillion"], GREY), zorder=3)
        names = [
            f"{group.replace('_', ' ')} ({n})"
            for group, n in zip(rows["group"], rows["n_items"], strict=True)
        ]
        ax.set_yticks(y, names, fontsize=4.5 if len(rows) > 20 else 6)
        ax.axvline(0, color=GREY, linewidth=0.6)
        ax.set(xlabel="change in accuracy (95 % CI)", title=title, ylim=(-1, len(rows)))
    plotting.panel_letters(axes[0])
    return figure, "Which paradigms lose most", forest_caption(own, fields, about)


def forest_caption(own: pd.DataFrame, fields: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    kinds = [kind for kind in KINDS if f"p_{kind}" in own]
    worse = "; ".join(f"{int((own[f'p_fdr_{kind}'] < 0.05).sum())} against {kind} masks" for kind in kinds)
    said = ", ".join(
        f"{row['group']} {row['effect']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
        for _, row in fields.iterrows()
    )
    return (
        f"{notes['network']}: change in accuracy on each paradigm and field of {params['pairs']} with the language units "
        f"silenced; in brackets, pairs. Intervals are bootstraps over pairs; red, different from 0 by a sign-flip test "
        f"with FDR q < .05 over all rows of the panel ({int((own['p_fdr'] < 0.05).sum())} of {len(own)} paradigms). "
        f"Of the paradigms, more is lost than with random masks (FDR q < .05): {worse}; with {params['n_controls']} masks "
        f"of a kind no p is below {1 / (1 + params['n_controls']):.3f}. By field: {said}."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
