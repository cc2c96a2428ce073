"""Figures 1, 2 and 7 to 11: units of a language network, and what their lesions do."""

from __future__ import annotations

from typing import Any

from .facts import Analysis, Facts, interval, joined, points, share, signed, spread

__all__ = ["ANALYSES"]

POOLED = {"last": "at the last token", "mean": "averaged over tokens", "first": "at the first token"}


def _contrast(params: Any) -> str:
    return f"{params['positive']} over {params['negative']}"


def _localizer_question(facts: Facts) -> str:
    return (
        f"Which units of {facts.notes['network']} respond more to {facts.params['positive']} than to "
        f"{facts.params['negative']} stimuli, and does that hold on runs that did not select them?"
    )


def _localizer_headline(facts: Facts) -> str:
    whole = facts.table[facts.table["layer"] == "all"]
    mean = whole.groupby(["network", "quantity"])["value"].mean()
    return (
        f"The selected units differ by d = {points(mean['trained', 'held-out_d'])} on runs that did not "
        f"select them. Controls: {points(mean['untrained', 'held-out_d'])} in the untrained twin and "
        f"{points(mean['trained', 'random_d'])} for random units of the same layers. Reliability in place of "
        f"a ceiling: t of two halves of the runs correlate by {points(mean['trained', 'split_half_r'])}, and "
        f"their masks have a Dice of {points(mean['trained', 'split_half_dice'])} (chance "
        f"{points(mean['trained', 'split_half_chance'], 3)})."
    )


def _localizer_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    at_most = "" if params["max_tokens"] is None else f", at most {params['max_tokens']} tokens"
    return (
        f"Activations of all {notes['n_units']:,} units (block outputs, {POOLED[params['pool']]}{at_most}) "
        f"of {notes['network']} to {notes['n_stimuli']} stimuli ({params['stimuli']}) in {notes['n_runs']} "
        f"runs were compared between {params['positive']} and {params['negative']} by Welch's t [@welch1947] "
        f"on {'absolute' if params['absolute'] else 'signed'} values, as localizers of language models do "
        f"[@alkhamissi2025]; the {share(params['fraction'])} of units with the largest t were selected. Each "
        "run was left out in turn: units were selected on the others and measured (Cohen's d) on the one "
        f"left out, beside {params['n_random']} sets of random units of the same layers. The same was done "
        "in the untrained twin, the same architecture with random weights. Shares of significant units are "
        "corrected by the false discovery rate [@benjamini1995]."
    )


def _lesion_question(facts: Facts) -> str:
    return (
        f"Does {facts.notes['network']} need the {facts.notes['n_language']} selected units to tell good "
        f"from bad sentences ({facts.params['pairs']}), more than it needs random units?"
    )


def _lesion_headline(facts: Facts) -> str:
    table, R = facts.table.set_index("mask"), facts.params["n_controls"]
    own = table.loc["language"]
    kinds = [kind for kind in facts.params["kinds"] if (table["kind"] == kind).any()]
    controls = "; ".join(
        f"{kind} {spread(table.loc[table['kind'] == kind, 'effect'])}, p {own[f'p_{kind}']:.3f}"
        for kind in kinds
    )
    return (
        f"Without them accuracy is {own['accuracy']:.3f} instead of {table.loc['intact', 'accuracy']:.3f} "
        f"(chance 0.5), a change of {signed(own['effect'])}{interval(own['low'], own['high'])}. Controls, "
        f"change under {R} random masks of each kind, median (range): {controls}; no p is below "
        f"{1 / (1 + R):.3f}."
    )


def _silenced(prefix: str | None) -> str:
    before = f"after the prefix {prefix}" if prefix else "without a prefix"
    return (
        "Block outputs of the units were set to zero. A pair counts as right where the good sentence has the "
        f"larger log probability, summed over its tokens, {before}"
    )


def _lesion_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    source = f"{params['pairs']} [@warstadt2020]" if params["pairs"] == "blimp" else params["pairs"]
    some = "" if params["per_paradigm"] is None else f", the first {params['per_paradigm']} of each paradigm"
    return (
        f"{_silenced(params['prefix'])}; there were {notes['n_items']} pairs, {source}{some}. Intervals are "
        f"bootstraps over pairs ({params['n_bootstrap']:,} draws) [@efron1979]. Each kind of control "
        f"({joined(params['kinds'])}) had {params['n_controls']} random masks, and p is the share of masks "
        "that do at least as much, the tested one counted in [@phipson2010]. Outliers are units whose mean "
        f"absolute activation is over {params['outlier_factor']:g} times the median of their layer "
        "[@kovaleva2021]."
    )


def _map_question(facts: Facts) -> str:
    return f"Where in {facts.notes['network']} are the units that prefer {_contrast(facts.params)}?"


def _map_headline(facts: Facts) -> str:
    said = []
    for name, part in facts.table.groupby("network", sort=False):
        chosen = part[part["selected"] == 1]
        said.append(
            f"{name.capitalize()}: {len(chosen)} of {len(part):,} units in {chosen['layer'].nunique()} of "
            f"{part['layer'].nunique()} layers, largest t {part['t'].max():.1f}"
        )
    return f"{'. '.join(said)}. The untrained network is the control; a map of t has no ceiling."


def _map_method(facts: Facts) -> str:
    params = facts.params
    return (
        f"Welch's t [@welch1947] of every unit for {_contrast(params)} ({params['stimuli']}, "
        f"{facts.notes['n_stimuli']['default']} stimuli), in the trained network and in its twin with random "
        f"weights; the {share(params['fraction'])} with the largest t are marked."
    )


def _preset_question(facts: Facts) -> str:
    return f"Do published localizers find the same units in {facts.notes['network']}?"


def _preset_headline(facts: Facts) -> str:
    table = facts.table
    own = table[(table["quantity"] == "dice_equal") & (table["preset"] != table["other"])]["value"]
    chance = table[(table["quantity"] == "chance_equal") & (table["preset"] != table["other"])]["value"]
    d = table[table["quantity"] == "held-out_d"].groupby(["network", "preset"], sort=False)["value"].mean()
    random = table[table["quantity"] == "random_d"].groupby(["network", "preset"], sort=False)["value"].mean()
    each = "; ".join(
        f"{name} {d['trained', name]:.2f} ({d['untrained', name]:.2f}; {random['trained', name]:.2f})"
        for name in d["trained"].index
    )
    overlap = ""
    if len(own):
        overlap = f"Masks of equal size overlap by a Dice of {own.min():.2f} to {own.max():.2f} "
        overlap += f"(chance {chance.max():.3f}). "
    return f"{overlap}Held-out d, in brackets the untrained twin and random units of the same layers: {each}."


def _preset_method(facts: Facts) -> str:
    return (
        f"The localizers {joined(facts.params['names'])} were put on the same stimuli, beside one whose "
        "conditions are matched in number of tokens. Overlap (Dice) is given with each one's own rule and "
        f"with equal numbers of units ({share(facts.notes['fraction'])}); selectivity (Cohen's d) is "
        f"measured on runs that did not select, beside {facts.params['n_random']} sets of random units of "
        "the same layers [@alkhamissi2025]."
    )


def _sweep_question(facts: Facts) -> str:
    return "Does the loss depend on how many units are silenced?"


def _sweep_headline(facts: Facts) -> str:
    said = []
    for fraction, part in facts.table.groupby("fraction"):
        own = part[(part["kind"] == "named") & (part["mask"] != "intact")].iloc[0]
        random = part[part["kind"] != "named"].groupby("kind", sort=False)["effect"].median()
        controls = ", ".join(f"{kind} {signed(value)}" for kind, value in random.items())
        said.append(f"{share(fraction)} {signed(own['effect'])} (random masks, median: {controls})")
    intact = facts.table.loc[facts.table["mask"] == "intact", "accuracy"].iloc[0]
    return f"Change in accuracy from {intact:.3f}: {'; '.join(said)}."


def _sweep_method(facts: Facts) -> str:
    sizes = joined(share(f) for f in sorted({*facts.params["fractions"], facts.notes["first"]}))
    return (
        f"The units with the largest t were silenced, {sizes} of all units, on {facts.notes['n_items']} "
        f"minimal pairs; {facts.params['n_controls']} random masks of each kind and size, "
        f"{facts.notes['n_first']} at {share(facts.notes['first'])}; p as in figure 2 [@phipson2010]."
    )


def _paradigm_question(facts: Facts) -> str:
    return f"Which paradigms of {facts.notes['pairs']} need the selected units most?"


def _paradigm_headline(facts: Facts) -> str:
    table, notes = facts.table, facts.notes
    each = table[table["by"] == "paradigm"]
    clear = each[each["p_fdr"] < 0.05]
    random = table[(table["by"] == "field, random masks") & (table["mask"] != "language")]
    control = "; ".join(f"{k} {spread(v['effect'])}" for k, v in random.groupby("mask", sort=False))
    return (
        f"{(clear['effect'] < 0).sum()} of {len(each)} paradigms lose and {(clear['effect'] > 0).sum()} gain "
        f"(FDR q < .05); accuracy over all is {notes['language']:.3f} instead of {notes['intact']:.3f}. "
        f"Control, medians of {notes['n_random']} random masks by field on the pairs of figure 2, median "
        f"(range) over fields: {control or 'none'}."
    )


def _paradigm_method(facts: Facts) -> str:
    source = f"{facts.notes['pairs']}{' [@warstadt2020]' if facts.notes['pairs'] == 'blimp' else ''}"
    some = facts.params["per_paradigm"]
    return (
        f"The {facts.notes['n_units']} units were silenced on {facts.notes['n_items']:,} pairs, "
        f"{source}{'' if some is None else f', the first {some} of each paradigm'}. Intervals are bootstraps "
        "over the pairs of a row [@efron1979]; p by sign flips, corrected over rows by the false discovery "
        "rate [@benjamini1995]."
    )


def _dissociation_question(facts: Facts) -> str:
    return "Do units for language and units for hard sums matter for different tasks?"


def _dissociation_headline(facts: Facts) -> str:
    found, table = facts.notes["interaction"], facts.table
    said = []
    for task, part in table.groupby("task", sort=False):
        rows = part.set_index("mask")
        random = part[part["kind"] != "named"].groupby("kind", sort=False)["effect"].median()
        own = [f"{n} {signed(rows.loc[n, 'effect'])} (random {signed(random[n])})" for n in random.index]
        said.append(f"{task.capitalize()}: intact {rows.loc['intact', 'accuracy']:.3f}, {', '.join(own)}")
    verdict = (
        "This is a double dissociation" if facts.notes["is_double"] else "This is no double dissociation"
    )
    return (
        f"{'. '.join(said)}. Interaction "
        f"{signed(found['interaction'])}{interval(found['low'], found['high'])}, p = {found['p']:.3f}. "
        f"{verdict}."
    )


def _dissociation_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    return (
        f"{notes['n_units']} units each were silenced: the selected ones, and those with the largest t for "
        f"hard over easy sums ({params['n_sums']} of each; a contrast in the manner of [@fedorenko2013]). "
        f"Tasks: {notes['n_items']['pairs']} minimal pairs and {notes['n_items']['sequences']} sequences of "
        f"letters and numbers. {params['n_controls']} random masks had as many units in each layer. The "
        f"interaction was tested by permutation ({params['n_permutations']:,} draws) [@phipson2010]; a "
        "double dissociation needs each set to hurt its own task more [@shallice1988]."
    )


ANALYSES = {
    1: Analysis(_localizer_question, _localizer_headline, _localizer_method),
    2: Analysis(_lesion_question, _lesion_headline, _lesion_method),
    7: Analysis(_map_question, _map_headline, _map_method),
    8: Analysis(_preset_question, _preset_headline, _preset_method),
    9: Analysis(_sweep_question, _sweep_headline, _sweep_method),
    10: Analysis(_paradigm_question, _paradigm_headline, _paradigm_method),
    11: Analysis(_dissociation_question, _dissociation_headline, _dissociation_method),
}
