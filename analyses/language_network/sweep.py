"""Draw figure 9 from its table of values: ``python sweep.py 9 TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

KINDS = {"uniform": COLOURS["sky"], "layer-matched": COLOURS["green"], "norm-matched": COLOURS["purple"]}


def main(number: str, path: str) -> None:
    plotting.draw_values(path, {"9": curves}[number], text=("mask", "kind"))


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
        ax.set_ylim(bottom=min(0.38, ax.get_ylim()[0]))
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
    n, first = params["n_controls"], f"{notes['n_first']} at {100 * notes['first']:g} %, figure 2's"
    return (
        f"{notes['network']}: accuracy on {notes['n_items']} minimal pairs with the most language-selective units "
        f"silenced (red), and with {n} random masks of each kind and size ({first}; dots); dashed, intact "
        f"({intact:.3f}); dotted, chance. {'. '.join(said)}. p cannot go below {1 / (1 + n):.3f} ({1 / (1 + notes['n_first']):.3f} at "
        f"{100 * notes['first']:g} %): read the distributions. "
        "Norm-matched masks hold partners of similar mean absolute activation, so what language units lose more than "
        "these is not explained by outlier dimensions."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
