"""Figures 3, 4, 5 and 17: a story encoded and compared by layer, and what feature spaces explain of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import Analysis, Facts, comparators, interval, joined, points, power

__all__ = ["ANALYSES"]

OVER = {"average": "averaged", "sum": "summed", "lanczos": "Lanczos-filtered [@duchon1979; @huth2016]"}
POOLED = {"mean": "averaged", "last": "the last one taken", "sum": "summed"}
TWINS = ("trained", "untrained")
LISTENER = "left-out listener"


def _whose(notes: Mapping[str, Any]) -> str:
    kind = "simulated responses" if notes["simulated"] else f"responses ({notes['responses']})"
    return f"{kind} of {notes['n_subjects']} listeners"


def _encoding_question(facts: Facts) -> str:
    return (
        f"How well do the layers of {facts.notes['network']} predict {_whose(facts.notes)} to a story, "
        "beside the untrained network, low-level features and the noise ceiling?"
    )


def _encoding_headline(facts: Facts) -> str:
    table = facts.table
    said = []
    for score in ("group mean", LISTENER):
        part = table[table["score"] == score]
        mean = part[part["depth"] >= 0].groupby(["network", "depth"])["value"].mean()
        base, top = (part.loc[part["network"] == name, "value"].mean() for name in ("baseline", "ceiling"))
        best = {name: f"{mean[name].max():.2f} (layer {mean[name].idxmax()})" for name in TWINS}
        said.append(
            f"{score.capitalize()}: {best['trained']}; controls: untrained {best['untrained']}, low-level "
            f"baseline {points(base)}; noise ceiling {points(top)}"
        )
    return (
        "Held-out correlation, mean over regions at the best layer (chosen on these data, so a little high). "
        f"{'. '.join(said)}."
    )


def _design(params: Mapping[str, Any]) -> str:
    alphas = params["alphas"]
    return (
        f"Word activations (context {params['context']} tokens, stride {params['stride']}; tokens of a word "
        f"{POOLED[params['pool']]}) were {OVER[params['downsample']]} in each volume and delayed by "
        f"{joined(params['delays'])} volumes. Ridge regression [@hoerl1970] had one penalty a target "
        f"[@duprelatour2022] of {alphas['n']} from {power(alphas['low'])} to {power(alphas['high'])}, chosen "
        f"inside the training rows; {params['n_folds']} contiguous test blocks, {params['purge']} volumes "
        "left out beside each"
    )


def _encoding_method(facts: Facts) -> str:
    return (
        f"{_source(facts)} {_design(facts.params)}. Targets: the mean over listeners of each region; and "
        "each listener's region, with weights fitted to the mean of the other listeners and scored on the "
        f"one left out. Intervals are bootstraps over listeners ({facts.params['n_bootstrap']:,} draws) "
        "[@efron1979]. Noise ceilings: inter-subject correlation for listeners [@hasson2004; @nastase2019], "
        "the square root of the split-half reliability for the mean [@spearman1910; @brown1910]. The "
        "untrained twin has the same architecture with random weights."
    )


def _source(facts: Facts) -> str:
    notes, params = facts.notes, facts.params
    if params["simulation"] is None:
        return f"{notes['n_times']} volumes of {notes['n_subjects']} listeners ({notes['responses']})."
    known = params["simulation"]
    snr = joined(f"{roi} {value:g}" for roi, value in known["snr"].items())
    return (
        f"{notes['n_times']} volumes of {known['n_subjects']} listeners were simulated every {known['tr']:g} "
        f"s from the layer at {known['planted_depth']:g} of the depth of the trained network, with noise of "
        f"autocorrelation {known['phi']:g} and signal-to-noise ratios {snr} by region, under the canonical "
        "haemodynamic response [@friston1998]."
    )


def _windows_question(facts: Facts) -> str:
    return (
        f"Are stretches of {facts.notes['window_seconds']:g} s of the story as alike in "
        f"{facts.notes['network']} as in {_whose(facts.notes)}?"
    )


def _windows_headline(facts: Facts) -> str:
    rows = dict(list(facts.table.groupby("network", sort=False)))
    best = {name: rows[name].loc[rows[name]["value"].idxmax()] for name in TWINS}
    bounds = rows["ceiling"].set_index("layer")["value"]
    base = joined(f"{row['layer']} {points(row['value'], 3)}" for _, row in rows["baseline"].iterrows())
    top = best["trained"]
    return (
        f"Mean {comparators(facts.params['method'])} over listeners at the best layer (chosen on these "
        f"data): {points(top['value'], 3)}{interval(top['low'], top['high'])}, layer {top['depth']}. "
        f"Controls: untrained {points(best['untrained']['value'], 3)}; RDMs of what is not language: {base}. "
        f"Noise ceiling {points(bounds['lower'], 3)} to {points(bounds['upper'], 3)}."
    )


def _windows_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    return (
        f"{_source(facts)} The story was cut into {notes['n_windows']} windows of "
        f"{notes['window_seconds']:g} s. A listener's RDM holds correlation distances of windows (volumes by "
        "regions), a layer's those of word activations under the canonical haemodynamic response "
        "[@friston1998], averaged in the window [@kriegeskorte2008]. RDMs were compared by "
        f"{comparators(params['method'])}; intervals are bootstraps over listeners "
        f"({params['n_bootstrap']:,} draws) [@efron1979]; the noise ceiling is the similarity of a listener "
        "to the mean of the others and of all [@nili2014]. Windows follow one another and are not "
        "exchangeable, so no p is given."
    )


def _units_question(facts: Facts) -> str:
    notes = facts.notes
    return (
        f"Do the {notes['n_units']} selected units of {notes['network']} predict {_whose(notes)} better than "
        "random units of the same layers?"
    )


def _units_headline(facts: Facts) -> str:
    said = []
    for score, part in facts.table.groupby("score", sort=False):
        own = part[part["set"] == "language"]
        random = part[part["set"].str.startswith("random-")].groupby("set")["value"].mean()
        top = part.loc[part["set"] == "ceiling", "value"].mean()
        below = int((own["p"] < 0.05).sum())
        where = "" if len(own) == 1 else f", p < .05 in {below} of {len(own)} regions"
        p = f", p = {own['p'].iloc[0]:.3f}" if len(own) == 1 else ""
        said.append(
            f"{score[0].upper()}{score[1:]}: {points(own['value'].mean())}; control, random units: median "
            f"{points(random.median())}{where}{p}; noise ceiling {points(top)}"
        )
    return f"Mean over regions. {'. '.join(said)}. p is not corrected for the number of regions."


def _units_method(facts: Facts) -> str:
    return (
        f"{_source(facts)} {_design(facts.params)}. The same was done with {facts.notes['n_random']} random "
        "sets that have as many units in each layer; p is the share of sets that do at least as well, "
        "one-sided, the tested one counted in [@phipson2010]. RDMs of windows of "
        f"{facts.notes['window_seconds']:g} s were compared by {comparators(facts.params['method'])} "
        "[@kriegeskorte2008]."
    )


def _bands_question(facts: Facts) -> str:
    return (
        f"What does layer {facts.notes['layer']} of {facts.notes['network']} explain of "
        f"{_whose(facts.notes)} to a story that low-level and lexical features do not?"
    )


def _bands_headline(facts: Facts) -> str:
    part = facts.table[facts.table["score"] == "group mean"]
    mean = part.groupby(["network", "component"])["value"].mean()
    tests = facts.table[facts.table["score"] == "p (maximum)"]
    above = {name: int((tests.loc[tests["network"] == name, "value"] < 0.05).sum()) for name in TWINS}
    n = tests["roi"].nunique()
    said = [
        f"{name}: joint {points(mean[name, 'joint'], 3)}, of which the model alone "
        f"{points(mean[name, 'model'], 3)}; above chance in {above[name]} of {n} regions"
        for name in TWINS
    ]
    return (
        f"Held-out explained variance of the group mean, mean over regions: {said[0]}. Control, {said[1]}. "
        f"Noise ceiling {points(mean['ceiling', 'ceiling'], 3)}."
    )


def _bands_method(facts: Facts) -> str:
    notes, params, story = facts.notes, facts.params, facts.notes["story"]
    alphas = story["alphas"]
    return (
        f"Feature spaces of {joined(f'{n} ({size})' for n, size in notes['n_features'].items())} columns, "
        f"the layer chosen beforehand at {params['depth']:g} of the depth. Every union of spaces was fitted "
        f"anew by banded ridge [@nunezelizalde2019; @duprelatour2022] with {params['n_candidates']} "
        f"candidate weights and {alphas['n']} penalties from {power(alphas['low'])} to "
        f"{power(alphas['high'])}; {story['n_folds']} contiguous folds, {story['purge']} volumes left out "
        "beside each. Explained variance on held-out rows was taken apart by inclusion and exclusion "
        f"[@nimon2013; @lescroart2015]. Intervals are bootstraps over listeners ({story['n_bootstrap']:,} "
        "draws) [@efron1979]. Tests permute blocks of "
        f"{joined(f'{n} volumes ({twin})' for twin, n in notes['block'].items())} "
        f"({params['n_permutations']} draws), with the maximum over regions [@adolf2014; @nichols2002]."
    )


ANALYSES = {
    3: Analysis(_encoding_question, _encoding_headline, _encoding_method),
    4: Analysis(_windows_question, _windows_headline, _windows_method),
    5: Analysis(_units_question, _units_headline, _units_method),
    17: Analysis(_bands_question, _bands_headline, _bands_method),
}
