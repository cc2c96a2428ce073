"""Draw figure 1 or 2 from its table of values: ``python figure.py NUMBER TABLE``."""

from __future__ import annotations

import sys

import pandas as pd
from matplotlib.ticker import MaxNLocator

from neuroalign import plotting
from neuroalign.plotting import COLOURS, GREY

NETWORKS = {"trained": COLOURS["blue"], "untrained": COLOURS["orange"]}
KINDS = {
    "uniform": COLOURS["sky"],
    "layer-matched": COLOURS["green"],
    "norm-matched": COLOURS["purple"],
    "layer-matched without outliers": COLOURS["orange"],
}
LABELS = {"layer-matched without outliers": "layer-matched, no outliers"}


def main(number: str, path: str) -> None:
    draw = {"1": localizer, "2": lesions}[number]
    plotting.draw_values(path, draw, text=("network", "layer", "quantity", "mask", "kind"))


def localizer(table: pd.DataFrame, about: dict) -> tuple:
    layers = table[table["layer"] != "all"].pivot_table(
        index=["network", "depth"], columns="quantity", values="value", dropna=False
    )
    overall = table[table["layer"] == "all"]
    figure, axes = plotting.figure(1, 3, height=62, width_ratios=[1.2, 1.2, 1])
    profile, selective, folds = axes[0]
    band = layers.loc["trained"]
    plotting.envelope(profile, band.index, 100 * band["low"], 100 * band["high"], label="chance, 95 %")
    for ax, column, scale in ((profile, "share", 100), (selective, "held_out_d", 1)):
        lines = {name: scale * layers.loc[name][column] for name in NETWORKS}
        plotting.layer_lines(ax, band.index, lines, colours=NETWORKS)
    profile.set(ylabel="units selected (% of the layer)", title="Where the selected units are")
    profile.legend()
    selective.axhline(0, color=GREY, linewidth=0.6)
    selective.set(ylabel="Cohen's d on held-out runs", title="How selective they stay")
    kinds = ("in-sample", "held-out", "random")
    groups, colours = {}, {}
    for name, colour in NETWORKS.items():
        for kind in kinds:
            rows = (overall["network"] == name) & (overall["quantity"] == f"{kind}_d")
            groups[f"{name} {kind}"] = overall.loc[rows, "value"]
            colours[f"{name} {kind}"] = GREY if kind == "random" else colour
    plotting.distributions(folds, groups, colours=colours, labels=kinds * len(NETWORKS))
    folds.axhline(0, color=GREY, linewidth=0.6)
    folds.axvline(len(kinds) - 0.5, color=GREY, linewidth=0.6)
    for x, (name, colour) in enumerate(NETWORKS.items()):
        folds.text(0.25 + 0.5 * x, 1, name, color=colour, transform=folds.transAxes, ha="center", va="bottom")
    folds.set(ylabel="mean Cohen's d")
    plotting.panel_letters(axes[0])
    return figure, "Language-selective units", localizer_caption(overall, about)


def localizer_caption(overall: pd.DataFrame, about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    value = overall.groupby(["network", "quantity"])["value"].mean()

    def say(name: str) -> str:
        return (
            f"{name}: d {value[name, 'in-sample_d']:.2f} in-sample, {value[name, 'held-out_d']:.2f} held out, "
            f"{value[name, 'random_d']:.2f} for layer-matched random units; split-half r of t "
            f"{value[name, 'split_half_r']:.2f}, Dice {value[name, 'split_half_dice']:.2f} "
            f"(chance {value[name, 'split_half_chance']:.3f}); "
            f"{100 * notes[f'share_significant_{name}']:.0f} % of all units pass FDR q < .05"
        )

    return (
        f"{notes['network']}: {notes['n_selected_trained']} of {notes['n_units']} units ({100 * params['fraction']:g} %) with the "
        f"largest Welch t for {params['positive']} over {params['negative']} ({notes['n_stimuli']} stimuli, "
        f"{params['stimuli']}; {params['pool']} token of the block output, "
        f"{'absolute' if params['absolute'] else 'signed'} activations), beside the untrained twin: the same "
        f"architecture with random weights. a, share of each layer that is selected; grey, what a random mask of "
        f"this size gives (95 %). b, selectivity of the selected units of a layer, selected on the other runs and "
        f"measured on the run left out, averaged over {notes['n_runs']} runs; a gap, no unit is selected there. c, the same over all layers, a dot "
        f"a run. {say('trained')}. {say('untrained')}. An untrained network also tells sentences from nonwords, "
        "so selectivity alone does not show that language was learned."
    )


def lesions(table: pd.DataFrame, about: dict) -> tuple:
    table = table.set_index("mask")
    named = [name for name in table.index[table["kind"] == "named"] if name != "intact"]
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    figure, axes = plotting.figure(1, 2, height=78, width_ratios=[1.7, 1])
    ax, effects = axes[0]
    groups = {name: [table.loc[name, "accuracy"]] for name in ["intact", *named]}
    groups |= {f"random, {kind}": table.loc[table["kind"] == kind, "accuracy"] for kind in kinds}
    colours = dict.fromkeys(named, COLOURS["vermillion"]) | {"intact": "black"}
    colours |= {f"random, {kind}": KINDS[kind] for kind in kinds}
    short = ["intact", *(name.replace(" without", ", no") for name in named)]
    short += [f"random, {LABELS.get(kind, kind)}" for kind in kinds]
    plotting.distributions(ax, groups, colours=colours, labels=short)
    for name in ("intact", "language"):
        ax.axhline(table.loc[name, "accuracy"], color=colours[name], linewidth=0.6, linestyle="--", zorder=1)
    ax.axhline(0.5, color=GREY, linewidth=0.6, linestyle=":")
    ax.set(ylabel="accuracy on minimal pairs", title="All masks (dotted: chance)")
    for y, name in enumerate(named[::-1]):
        row = table.loc[name]
        effects.plot([row["low"], row["high"]], [y, y], color="black", linewidth=1)
        effects.scatter(row["effect"], y, color=COLOURS["vermillion"], s=16, zorder=3)
    effects.axvline(0, color=GREY, linewidth=0.6)
    effects.set_yticks(range(len(named)), [f"{n}\n({table.loc[n, 'n_units']} units)" for n in named[::-1]])
    effects.xaxis.set_major_locator(MaxNLocator(4))
    effects.set(xlabel="change in accuracy (95 % CI)", title="Against intact")
    plotting.panel_letters(axes[0])
    return figure, "What minimal pairs lose without the units", lesion_caption(table, named, kinds, about)


def lesion_caption(table: pd.DataFrame, named: list[str], kinds: list[str], about: dict) -> str:
    notes, params = about["notes"], about["provenance"]["params"]
    parts = []
    for name in named:
        row = table.loc[name]
        matched = [kind for kind in kinds if ("outliers" in kind) == (name == "language without outliers")]
        p = ", ".join(f"{kind} {row[f'p_{kind}']:.3f}" for kind in matched)
        parts.append(
            f"{name} ({row['n_units']} units): {row['accuracy']:.3f}, change {row['effect']:+.3f} "
            f"[{row['low']:+.3f}, {row['high']:+.3f}], p against {p}"
        )
    spread = "; ".join(
        f"{kind} {group.median():.3f} ({group.min():.3f} to {group.max():.3f})"
        for kind in kinds
        for group in [table.loc[table["kind"] == kind, "accuracy"]]
    )
    verdict = survives(table, kinds)
    return (
        f"{notes['network']}: {notes['n_items']} minimal pairs ({params['pairs']}"
        f"{', prefix ' + params['prefix'] if params['prefix'] else ', no prefix'}; log probabilities summed over "
        f"the sentence), block outputs set to zero. Intact: {table.loc['intact', 'accuracy']:.3f}. "
        f"{'; '.join(parts)}. Random masks, median (range) of {params['n_controls']} each: {spread}. Outliers are "
        f"units whose mean absolute activation is over {params['outlier_factor']:g} times their layer's median: "
        f"{notes['n_outliers']} units, of which {notes['n_outliers_in_language']} are language units. "
        f"{notes.get('n_unmatched', 0)} language units have no partner of similar norm in their layer, and "
        f"norm-matched masks lack up to {notes.get('n_left_out_max', 0)} units. p is (1 + n) / (1 + R) with R = "
        f"{params['n_controls']}, so it cannot go below {1 / (1 + params['n_controls']):.3f}: read the "
        f"distributions. {verdict}"
    )


def survives(table: pd.DataFrame, kinds: list[str]) -> str:
    """Say in words which contrast holds: against which kinds of control the loss is outside all random ones."""
    own = [kind for kind in kinds if "outliers" not in kind]
    without = [kind for kind in kinds if "outliers" in kind]
    sentences = [compare(table, "language", own)]
    if without:
        sentences.append(compare(table, "language without outliers", without))
    return " ".join(sentences)


def compare(table: pd.DataFrame, name: str, kinds: list[str]) -> str:
    loss = table.loc[name, "effect"]
    effects = {kind: table.loc[table["kind"] == kind, "effect"] for kind in kinds}
    worse = {kind: int((values <= loss).sum()) for kind, values in effects.items()}
    counts = ", ".join(f"{n} of {effects[kind].size} {kind}" for kind, n in worse.items())
    held = [kind for kind, n in worse.items() if not n]
    fallen = [kind for kind, n in worse.items() if n]
    if not fallen:
        verdict = "the contrast survives all of them"
    elif not held:
        verdict = "the contrast does not survive"
    else:
        verdict = f"the contrast survives {' and '.join(held)} controls, but not {' and '.join(fallen)} ones"
    return f"As much as with '{name}' silenced, or more, is lost with {counts} random masks: {verdict}."


if __name__ == "__main__":
    main(*sys.argv[1:])
