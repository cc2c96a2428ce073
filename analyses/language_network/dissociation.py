"""Draw figure 11 from its table of values: ``python dissociation.py NUMBER TABLE``."""

from __future__ import annotations

import sys

import pandas as pd

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

MASKS = {"language": COLOURS["vermillion"], "hard sums": COLOURS["blue"]}
TASKS = {"pairs": "minimal pairs", "sequences": "sequences (no language)"}


def main(_number: str, path: str) -> None:
    plotting.draw_values(path, draw, text=("mask", "kind", "task"))


def draw(table: pd.DataFrame, about: dict) -> tuple:
    figure, axes = plotting.figure(1, 2, height=70, sharey=True)
    for ax, (task, title) in zip(axes[0], TASKS.items(), strict=True):
        own = table[table["task"] == task].set_index("mask")
        groups = {"intact": [own.loc["intact", "accuracy"]]}
        for name in MASKS:
            groups[name] = [own.loc[name, "accuracy"]]
            groups[f"random, as {name}"] = own.loc[own["kind"] == name, "accuracy"]
        colours = (
            {"intact": "black"} | {n: MASKS[n] for n in MASKS} | {f"random, as {n}": GREY for n in MASKS}
        )
        plotting.distributions(ax, groups, colours=colours)
        ax.axhline(own.loc["intact", "accuracy"], color="black", linewidth=0.6, linestyle="--")
        ax.axhline(0.5, color=GREY, linewidth=0.6, linestyle=":")
        ax.set_title(title)
    axes[0][0].set_ylabel("accuracy")
    plotting.panel_letters(axes[0])
    return figure, "Two sets of units, two tasks", caption(table, about)


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    rows = table.set_index(["task", "mask"])
    said = []
    for task, title in TASKS.items():
        parts = [
            f"{name} {rows.loc[(task, name), 'accuracy']:.3f} (change {rows.loc[(task, name), 'effect']:+.3f} "
            f"[{rows.loc[(task, name), 'low']:+.3f}, {rows.loc[(task, name), 'high']:+.3f}], p against random masks of "
            f"its layers {rows.loc[(task, name), f'p_{name}']:.3f})"
            for name in MASKS
        ]
        said.append(
            f"{title} ({notes['n_items'][task]}): intact {rows.loc[(task, 'intact'), 'accuracy']:.3f}, "
            f"{', '.join(parts)}"
        )
    both = notes["interaction"]
    verdict = (
        "Each set of units hurts its own task more than the other set does: a double dissociation."
        if notes["is_double"]
        else "It is no double dissociation: that needs each set to hurt its own task more than the other set does."
    )
    return (
        f"{notes['network']}: {notes['n_units']} language units and as many units with the largest t for hard over easy "
        f"sums ({params['n_sums']} of each; Dice of the two sets {notes['dice']:.3f}, chance {notes['dice_chance']:.3f}) "
        f"silenced, beside {params['n_controls']} layer-matched random masks of each (grey). {'. '.join(said)}. "
        f"Interaction (language minus sums, pairs minus sequences): {both['interaction']:+.3f} "
        f"[{both['low']:+.3f}, {both['high']:+.3f}], p = {both['p']:.4f}. {verdict}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
