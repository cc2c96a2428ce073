"""Figures 6, 12 to 15, 20 and 21: representational dissimilarity matrices of brains, people and networks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .facts import Analysis, Facts, comparators, interval, joined, points, signed

__all__ = ["ANALYSES"]

WORDS = {"both": "new people and stimuli", "subject": "new people", "stimulus": "new stimuli"}
RESAMPLED = {"both": "networks and images", "subject": "networks", "stimulus": "images"}
INFERENCE = "[@nili2014; @schuett2023]"


def _objects_question(facts: Facts) -> str:
    notes = facts.notes
    return (
        f"Which of {_count(facts)} model RDMs is most like the {notes.get('region', 'human IT')} RDMs of "
        f"{notes['n_subjects']} people?"
    )


def _count(facts: Facts) -> int:
    names = facts.table["model"]
    return int(names[~names.isin(["noise ceiling", "lower", "upper"])].nunique())


def _objects_headline(facts: Facts) -> str:
    said = []
    for method, part in facts.table.groupby("method", sort=False):
        mean = part[part["subject"] == "mean"]
        best = mean.loc[mean["value"].idxmax()]
        bounds = part[part["model"] == "noise ceiling"].set_index("subject")["value"]
        above = int((mean["p_fdr"] < 0.05).sum())
        said.append(
            f"{method.capitalize()}: most alike {best['model']}, "
            f"{points(best['value'])}{interval(best['low'], best['high'], 2)}; noise ceiling "
            f"{points(bounds['lower'])} to {points(bounds['upper'])}; control, shuffled stimuli: {above} of "
            f"{len(mean)} models do better (FDR q < .05)"
        )
    return f"{'. '.join(said)}."


def _objects_method(facts: Facts) -> str:
    params = facts.params
    return (
        f"RDMs of {facts.notes['n_subjects']} people and of {_count(facts)} models were compared by "
        f"{comparators(*params['methods'])} [@kriegeskorte2008]. Intervals are bootstraps over people "
        f"({params['n_bootstrap']:,} draws) [@efron1979]; p by permutation of the stimuli "
        f"({params['n_permutations']:,} draws, one-sided) [@phipson2010], corrected over models by the false "
        "discovery rate [@benjamini1995]; noise ceiling by leaving one person out (lower) and by the mean of "
        "all (upper) [@nili2014]."
    )


def _maps_question(facts: Facts) -> str:
    first, second = facts.notes["stress"]
    return f"What do the mean RDM of {first} and the RDM of {second} look like?"


def _maps_headline(facts: Facts) -> str:
    stress = joined(f"{value:.2f} ({name})" for name, value in facts.notes["stress"].items())
    return (
        f"A description without a test. Stress of the arrangements in the plane: {stress}; what it leaves "
        "out is large above .2."
    )


def _maps_method(facts: Facts) -> str:
    return (
        f"Mean RDM over {facts.notes['n_subjects']} people ({facts.notes['rdms']}). The stimuli were placed "
        "in the plane by metric multidimensional scaling [@borg2005]."
    )


def _inference_question(facts: Facts) -> str:
    return (
        f"Which of {facts.notes['n_models']} models are above 0, and which differ, for "
        f"{WORDS[facts.params['resample']]}?"
    )


def _inference_headline(facts: Facts) -> str:
    return f"{'. '.join(_inferred(facts, 'p_fdr pairwise', 'p_fdr against 0', 'FDR q'))}."


def _inferred(facts: Facts, pairwise: str, above: str, kind: str) -> list[str]:
    said = []
    for method in facts.params["methods"]:
        part = facts.table[facts.table["method"] == method]
        value = {name: rows.set_index("model")["value"] for name, rows in part.groupby("quantity")}
        best = value["estimate"].idxmax()
        bounds = _bounds(part[part["quantity"] == "noise ceiling"])
        rows = part[(part["quantity"] == pairwise) & (part["model"] != part["other"])]
        n = len(value["estimate"])
        said.append(
            f"{method.capitalize()}: most alike {best}, "
            f"{points(value['estimate'][best])}{interval(value['low'][best], value['high'][best], 2)}; noise "
            f"ceiling {points(bounds['lower'])} to {points(bounds['upper'])}; "
            f"{int((value[above] < 0.05).sum())} of {n} are above 0 and {_pairs(rows)} of {n * (n - 1) // 2} "
            f"differences hold ({kind} < .05)"
        )
    return said


def _bounds(rows: pd.DataFrame) -> dict[str, float]:
    """Return the noise ceiling, whichever column says which bound a row is."""
    named = rows["model"].where(rows["model"].isin(["lower", "upper"]), rows["other"])
    return dict(zip(named, rows["value"], strict=True))


def _pairs(rows: pd.DataFrame) -> int:
    """Return how many pairs of models differ, whichever of the two is named first."""
    clear = rows[rows["value"] < 0.05]
    return len({frozenset(pair) for pair in zip(clear["model"], clear["other"], strict=True)})


def _inference_method(facts: Facts) -> str:
    params = facts.params
    return (
        f"RDMs compared by {comparators(*params['methods'])}; {params['n_draws']:,} bootstrap draws of "
        f"{WORDS[params['resample']]}, with the corrected variance and t {INFERENCE}; permutation of the "
        f"stimuli ({params['n_permutations']:,} draws) [@phipson2010]; all p corrected by the false "
        "discovery rate [@benjamini1995]."
    )


def _behaviour_question(facts: Facts) -> str:
    people = facts.notes["n_people"]
    return f"Who predicts the similarity judgements of {people} people: human IT, monkey IT, or a model?"


def _behaviour_headline(facts: Facts) -> str:
    whole = facts.table[facts.table["set"] == "all"]
    inference = _inferred(facts._replace(table=whole), "p_max pairwise", "p_max against 0", "family-wise p")
    said = []
    for method, words in zip(facts.params["methods"], inference, strict=True):
        own = whole[(whole["method"] == method) & (whole["quantity"] == "estimate")].set_index("model")[
            "value"
        ]
        said.append(f"{words}; human IT {points(own['human IT'])}, monkey IT {points(own['monkey IT'])}")
    return f"{'. '.join(said)}."


def _behaviour_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    return (
        f"RDMs of {notes['n_people']} people's judgements against {notes['n_candidates']} candidates, by "
        f"{comparators(*params['methods'])}; {params['n_draws']:,} bootstrap draws of "
        f"{WORDS[params['resample']]}, with the corrected variance and t {INFERENCE}; "
        f"{params['n_permutations']:,} orders of the stimuli [@phipson2010]; p from the maximum over the "
        "tests of a family [@westfall1993]. Inside sets of pairs, stimuli change places within their "
        "category, and candidates are compared by sign flips over people [@fisher1935]."
    )


def _layers_question(facts: Facts) -> str:
    metrics = joined(facts.params["metrics"])
    return f"Can the layer of a network be told from its RDM, by {metrics} and with noise?"


def _layers_headline(facts: Facts) -> str:
    table = facts.table[facts.table["kind"] == "summary"]
    said = []
    for (metric, noise), part in table.groupby(["metric", "noise"], sort=False):
        rows = part.set_index("name")
        chosen, rank = rows.loc["chosen"], rows.loc["rank", "value"]
        gain = f"{signed(chosen['gain'], 2)}{interval(chosen['gain_low'], chosen['gain_high'], 2)}"
        said.append(
            f"{metric}, noise {noise:g}: chosen thresholds {points(chosen['value'])}; control, rank RDM "
            f"{points(rank)}; gain {gain}"
        )
    return f"Accuracy (chance {points(table['chance'].iloc[0])}). {'; '.join(said)}."


def _layers_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    return (
        f"{notes['n_networks']} networks of {notes['n_layers']} layers were trained for {params['epochs']} "
        f"epochs with different seeds. RDMs ({joined(params['metrics'])}) of {notes['n_images']} images, "
        f"with simulated noise of {joined(f'{x:g}' for x in params['noise'])} times a layer's spread, were "
        f"transformed by pairs of thresholds in steps of {params['step']:g} [@lin_topology] and given to the "
        "nearest mean of the other networks; thresholds were chosen inside these. Intervals: "
        f"{notes['n_bootstrap']} bootstrap draws of "
        f"{RESAMPLED[notes['resampled']]} "
        "[@efron1979]."
    )


def _known_question(facts: Facts) -> str:
    del facts
    return "Does topological RSA find the topology where it is known, and does it find a person from an RDM?"


def _known_headline(facts: Facts) -> str:
    rings, test = facts.notes["rings"], facts.notes["agtdm"]
    return (
        f"A flat and a twisted ring agree by {rings['hops']:.3f} in hops; control, by {rings['rank']:.3f} in "
        f"rank RDMs. A noisy circle (simulated): {test['statistic']:.2f}, p = {test['p']:.3f}; control, "
        f"plain distance correlation: {test['distance_correlation']:.2f}, p = "
        f"{test['p_distance_correlation']:.3f}. Toys have no noise ceiling."
    )


def _known_method(facts: Facts) -> str:
    brains = joined(facts.notes["brains"])
    people = f" People were told apart from RDMs of {brains} by every summary." if brains else ""
    return (
        "Toy curves and rings of known topology were compared by geo-topological transforms and geodesics "
        "[@lin_topology]. Dependence of two coordinates: the largest distance correlation [@szekely2014] "
        f"over pairs of thresholds [@lin2018], against {facts.notes['agtdm']['n_permutations']} permutations "
        f"with the maximum taken in each.{people}"
    )


def _own_question(facts: Facts) -> str:
    people = f"{facts.notes['n_subjects']} people"
    return f"{facts.notes['data']}: which models or layers are like the RDMs of {people}?"


def _own_headline(facts: Facts) -> str:
    said = []
    table = facts.table[facts.table["subject"].isin(["mean", ""]) | facts.table["subject"].isna()]
    for roi, part in table.groupby("roi", sort=False):
        scored = part[(part["subject"] == "mean") & (part["network"] != "untrained")]
        if not len(scored):
            continue
        best = scored.loc[scored["value"].idxmax()]
        bounds = part[part["kind"] == "ceiling"].set_index("name")["value"]
        said.append(
            f"{roi}: most alike {best['name']}, "
            f"{points(best['value'])}{interval(best['low'], best['high'], 2)}, FDR q = "
            f"{points(best['p_fdr'], 3)}{_null(best)}; noise ceiling {points(bounds['lower'])} to "
            f"{points(bounds['upper'])}"
        )
    return f"{'. '.join(said)}."


def _null(row: Any) -> str:
    if pd.isna(row["null_low"]):
        return ""
    ends = f"{points(row['null_low'])} to {points(row['null_high'])}"
    return f"; control, shuffled stimuli {ends} (5th to 95th percentile)"


def _own_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    noise = (
        ""
        if notes["noise"] == "none"
        else f", noise-normalised ({notes['noise']}) [@walther2016; @schaefer2005]"
    )
    cross = " [@walther2016]" if notes["metric"] == "crossnobis" and not noise else ""
    how = {"whitened-cosine": " [@diedrichsen2020]", "rho-a": " [@schuett2023]", "tau-a": " [@nili2014]"}
    return (
        f"RDMs ({notes['metric']}{noise}{cross}) of {notes['n_stimuli']} stimuli and {notes['n_subjects']} "
        f"people were compared by {comparators(params['method'])}{how.get(params['method'], '')} "
        f"[@kriegeskorte2008]; {params['n_draws']:,} bootstrap draws of {WORDS[params['resample']]} "
        f"{INFERENCE}, {params['n_permutations']:,} orders of the stimuli [@phipson2010], corrected by the "
        "false discovery rate [@benjamini1995]."
    )


ANALYSES = {
    6: Analysis(_objects_question, _objects_headline, _objects_method),
    12: Analysis(_layers_question, _layers_headline, _layers_method),
    13: Analysis(_known_question, _known_headline, _known_method),
    14: Analysis(_maps_question, _maps_headline, _maps_method),
    15: Analysis(_inference_question, _inference_headline, _inference_method),
    20: Analysis(_behaviour_question, _behaviour_headline, _behaviour_method),
    21: Analysis(_own_question, _own_headline, _own_method),
}
