"""Draw figure 6 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import pandas as pd

from neuroalign import plotting


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("method", "model", "subject"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    notes = about["notes"]
    title = f"{notes['stimuli']}: {notes['n_models']} model RDMs against {notes['region']}"
    return draw(table), title[0].upper() + title[1:], caption(table, about)


def draw(table: pd.DataFrame) -> object:
    methods = list(dict.fromkeys(table["method"]))
    figure, axes = plotting.figure(1, len(methods), height=70)
    for ax, method in zip(axes[0], methods, strict=True):
        part = table[(table["method"] == method) & (table["model"] != "noise ceiling")]
        mean = part[part["subject"] == "mean"].set_index("model")
        dots = {
            model: part[(part["model"] == model) & (part["subject"] != "mean")]["value"]
            for model in mean.index
        }
        intervals = {model: (row["low"], row["high"]) for model, row in mean.iterrows()}
        plotting.bars_with_dots(ax, mean["value"].to_dict(), dots, intervals=intervals)
        ceiling = table[(table["method"] == method) & (table["model"] == "noise ceiling")].set_index(
            "subject"
        )
        plotting.ceiling_band(ax, *ceiling.loc[["lower", "upper"], "value"])
        for x, (_, row) in enumerate(mean.iterrows()):
            if row["p_fdr"] < 0.05:
                ax.text(x, ceiling.loc["upper", "value"] + 0.01, "*", ha="center", va="bottom")
        ax.set(ylabel=f"{method.capitalize()} r with people's RDMs", title=method.capitalize())
        ax.legend(loc="upper right", bbox_to_anchor=(1, 0.98))
    plotting.panel_letters(axes[0])
    return figure


def caption(table: pd.DataFrame, about: dict) -> str:
    notes = about["notes"]
    parts = []
    for method, part in table.groupby("method", sort=False):
        ceiling = part[part["model"] == "noise ceiling"].set_index("subject")["value"]
        parts.append(f"{method} {ceiling['lower']:.3f} to {ceiling['upper']:.3f}")
    return (
        f"{notes['n_models']} model RDMs against the {notes['region']} RDMs of {notes['n_subjects']} people "
        f"({notes['rdms']}), {notes['stimuli']}. Bars, mean over people; dots, people; lines, 95 % bootstrap interval "
        "over people (few people: it speaks of these stimuli only). Grey band: noise ceiling, leave-one-out lower to "
        f"pooled upper ({'; '.join(parts)}). Stars: p < .05, permutation of the stimulus labels "
        f"({notes['n_permutations']} draws, one-sided), FDR over models. {notes['remark']} Data: {notes['cite']}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
