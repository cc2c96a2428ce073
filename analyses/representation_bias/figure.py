"""Draw figure 25 from its table of values: ``python figure.py TABLE``."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from neuroalign import plotting

MAIN, UNTRAINED = "easy + hard", "untrained"
EASY, HARD = "easy 1", "hard 1"
COLOURS = {
    "easy": plotting.COLOURS["blue"],
    "hard": plotting.COLOURS["vermillion"],
}
OPTIONS = {
    "euclidean": "Euclidean",
    "correlation": "correlation",
    "crossnobis": "crossnobis",
    "z-scored": "z-scored units",
    "whitened": "whitened",
}
RELATIONS = {
    MAIN: "the same two",
    "shares easy": "the easy one",
    "shares hard": "the hard one",
    "shares neither": "neither",
    UNTRAINED: "nothing (untrained)",
}
BETWEEN = {
    "euclidean": plotting.COLOURS["black"],
    "z-scored": plotting.COLOURS["green"],
    "whitened": plotting.COLOURS["purple"],
}
SIZE = 0.3
NONE = "none"
BITS = "hard 1, its bits"


def main(path: str) -> None:
    plotting.draw_values(path, drawn, text=("kind", "measure", "task", "feature", "option"))


def drawn(table: pd.DataFrame, about: dict) -> tuple:
    figure, axes = plotting.figure(2, 3, height=120)
    flat = axes.ravel()
    curves(flat[0], table[table["kind"] == "curve"])
    variance(flat[1], table)
    models(flat[2], table)
    networks(flat[3], table)
    decoding(flat[4], table)
    geometry(flat[5], table)
    plotting.panel_letters(flat)
    title = "Equal in computation, unequal in variance: what RSA sees of two features (simulated)"
    return figure, title, caption(table, about)


def colour(feature: str) -> str:
    return COLOURS[feature.split()[0]]


def curves(ax: object, rows: pd.DataFrame) -> None:
    for feature, part in rows.groupby("feature"):
        ax.plot(part["step"], part["value"], color=colour(feature), label=feature.split()[0])
        ax.fill_between(
            part["step"], part["low"], part["high"], color=colour(feature), alpha=0.2, linewidth=0
        )
    ax.axhline(0.5, color="black", linewidth=0.6, linestyle="--")
    ax.text(rows["step"].max(), 0.505, "chance", ha="right", va="bottom", fontsize=6.5)
    ax.set(
        xlabel="training steps", ylabel="held-out accuracy", title="Both outputs are right", ylim=(0.4, 1.02)
    )
    ax.legend(title="feature", loc="center right")


def pairs(ax: object, table: pd.DataFrame, cells: dict[str, list[tuple]]) -> None:
    """Draw groups of bars with a dot a network; a cell is (measure, task, feature, option)."""
    keys = ["measure", "task", "feature", "option"]
    single = table[table["kind"] == "network"].set_index(keys)["value"].sort_index()
    means = table[table["kind"] == "mean"].set_index(keys).sort_index()
    for x, group in enumerate(cells.values()):
        for k, cell in enumerate(group):
            at = x + (k - (len(group) - 1) / 2) * (SIZE + 0.04)
            mean, values = means.loc[cell], single.loc[cell].to_numpy()
            ax.bar(at, mean["value"], SIZE, color=colour(cell[2]), alpha=0.5, zorder=2)
            ax.scatter(
                at + np.linspace(-0.1, 0.1, len(values)),
                values,
                s=4,
                color="black",
                alpha=0.6,
                linewidth=0,
                zorder=3,
            )
            ax.plot([at, at], [mean["low"], mean["high"]], color="black", linewidth=1, zorder=4)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xticks(range(len(cells)), list(cells))


def slanted(ax: object, names: list[str]) -> None:
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")


def variance(ax: object, table: pd.DataFrame) -> None:
    groups = {
        "easy + hard": (MAIN, [EASY, HARD]),
        "bits of the hard": (MAIN, [BITS]),
        "two easy": ("two easy", [EASY, "easy 2"]),
        "two hard": ("two hard", [HARD, "hard 2"]),
        "not trained on": (MAIN, ["easy 2", "hard 2"]),
        "untrained network": (UNTRAINED, [EASY, HARD]),
    }
    cells = {
        name: [("variance", task, f, NONE) for f in features] for name, (task, features) in groups.items()
    }
    pairs(ax, table, cells)
    ax.set(ylabel="share of variance explained", title="Variance is unequal")
    slanted(ax, list(cells))


def models(ax: object, table: pd.DataFrame) -> None:
    cells = {name: [("rsa", MAIN, f, option) for f in (EASY, HARD)] for option, name in OPTIONS.items()}
    pairs(ax, table, cells)
    bounds = table[table["kind"] == "ceiling"].set_index("option")
    for x, option in enumerate(OPTIONS):
        label = "noise ceiling" if x == 0 else None
        plotting.ceiling_band(
            ax, bounds["low"][option], bounds["high"][option], label=label, x=(x - 0.42, x + 0.42)
        )
    ax.set(ylabel="similarity of RDMs (r)", title="RSA with a model of each", ylim=(-0.05, 1.15))
    slanted(ax, list(OPTIONS.values()))
    ax.legend(loc="upper right")


def networks(ax: object, table: pd.DataFrame) -> None:
    rows = table[(table["measure"] == "between")]
    for k, (option, shade) in enumerate(BETWEEN.items()):
        part = rows[rows["option"] == option]
        means = part[part["kind"] == "mean"].set_index("task").loc[list(RELATIONS)]
        x = np.arange(len(RELATIONS)) + 0.16 * (k - 1)
        ax.plot(x, means["value"], "o", markersize=3, color=shade, label=option)
        ax.vlines(x, means["low"], means["high"], color=shade, linewidth=1)
    slanted(ax, list(RELATIONS.values()))
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(
        ylabel="similarity of RDMs (r)",
        title="Networks that share features",
        xlabel="the other network computes",
    )
    ax.legend(loc="upper right")


def decoding(ax: object, table: pd.DataFrame) -> None:
    groups = {
        "easy\n+ hard": (MAIN, [EASY, HARD]),
        "not\ntrained on": (MAIN, ["easy 2", "hard 2"]),
        "untrained\nnetwork": (UNTRAINED, [EASY, HARD]),
    }
    cells = {
        name: [("decoding", task, f, NONE) for f in features] for name, (task, features) in groups.items()
    }
    pairs(ax, table, cells)
    ax.axhline(0.5, color="black", linewidth=0.6, linestyle="--", zorder=5)
    ax.text(0.5, 0.51, "chance", ha="center", va="bottom", fontsize=6.5, zorder=6)
    ax.set(ylabel="cross-validated accuracy", title="A decoder reads both", ylim=(0, 1.05))


def geometry(ax: object, table: pd.DataFrame) -> None:
    shown = {
        "generalisation": "generalisation\nto the other\ncontext",
        "parallelism": "parallelism",
        "gdv": "discrimination\nvalue",
    }
    cells = {name: [(measure, MAIN, f, NONE) for f in (EASY, HARD)] for measure, name in shown.items()}
    pairs(ax, table, cells)
    ax.set(title="Other geometry", ylabel="value")


def caption(table: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    keys = ["measure", "task", "feature", "option"]
    means = table[table["kind"] == "mean"].set_index(keys).sort_index()
    tests = table[table["kind"] == "test"].set_index(["measure", "option"])

    def said(measure: str, option: str = NONE, task: str = MAIN) -> str:
        return " and ".join(f"{means.loc[(measure, task, f, option), 'value']:.2f}" for f in (EASY, HARD))

    right = "every output of every network is right on "
    lowest = notes["lowest_accuracy"]
    right += "all" if lowest == 1 else f"at least {lowest:.1%}"

    def between(relation: str, option: str) -> str:
        return f"{means.loc[('between', relation, NONE, option), 'value']:.2f}"

    q = tests["q"]
    options = "; ".join(f"{name} {said('rsa', name)} (q = {q[('rsa', name)]:.3f})" for name in OPTIONS)
    shared = "; ".join(
        f"{option}: the same {between(MAIN, option)}, the easy one {between('shares easy', option)}, the hard one "
        f"{between('shares hard', option)}, neither {between('shares neither', option)}"
        for option in BETWEEN
    )
    return (
        f"SIMULATED: {notes['n_networks']} networks of each of {notes['n_tasks']} tasks (12 binary inputs, two hidden layers of "
        f"{notes['n_units']} units) trained to put out two independent features: an easy one (a bit) and a hard one (the "
        f"parity of three bits), or two of a kind. At the end {right} of held-out inputs. All else is measured in the last hidden "
        f"layer, on {notes['n_shown']} held-out inputs in which all features are balanced and independent. Dots are networks, lines 95 % bootstrap intervals over networks; q: easy "
        f"against hard, exact sign flips over networks (smallest p {2 / (1 + 2 ** notes['n_networks']):.3f}), FDR over {len(tests)} measures. "
        f"a, lines are means, bands all networks. b, share of variance explained by easy and hard {said('variance')} "
        f"(q = {q[('variance', NONE)]:.3f}), z-scored units {said('variance z-scored')}, untrained {said('variance', task=UNTRAINED)}; the bits that the parity is made of, and their pairs, {means.loc[('variance', MAIN, BITS, NONE), 'value']:.2f}. c, {params['method']} "
        f"correlation of the networks' RDMs with each feature's model, easy and hard: {options}; crossnobis from two measurements "
        f"with noise of {params['noise']:g} of the units' spread; whitened over the stimuli. Noise ceiling: how well networks of one task "
        f"predict one another. d, RDMs of these networks against those of other networks, never of the same seed: {shared}. Networks that share the hard feature share the bits that it is made of, which explain more variance than both features. e, "
        f"shrunken linear discriminants, {notes['n_folds']} folds: {said('decoding')}, untrained {said('decoding', task=UNTRAINED)}. f, trained at one "
        "value of the other feature and tested at the other (chance .5), parallelism score, generalized discrimination value "
        "(0: classes do not matter, -1: two points)."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
