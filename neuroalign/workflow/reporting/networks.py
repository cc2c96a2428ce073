"""Figures 23 to 25: networks beside networks; their single units, maps on a lattice, and unequal variance."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .facts import Analysis, Facts, comparators, interval, joined, points, share, signed

__all__ = ["ANALYSES"]

SITES = {
    "mlp_act": "units inside the MLPs",
    "mlp_out": "MLP outputs",
    "attn_out": "attention outputs",
    "block": "block outputs",
}
POOLED = {"mean": "mean over a word's tokens", "last": "last token of a word"}
NO_CEILING = "There is no noise ceiling: networks answer the same each time."
PLACED = ("topographic", "control")
LOSSES = {
    "topolm": "1 minus the correlation, over pairs of units, of response correlation and inverse distance "
    "[@margalit2024; @rathi2025]",
    "moran": "1 minus the mean Moran's I [@moran1950] of responses",
    "dirichlet": "the mean Dirichlet energy of responses",
}
MAIN, UNTRAINED, NONE = "easy + hard", "untrained", "none"
EASY, HARD, BITS = "easy 1", "hard 1", "hard 1, its bits"
RELATIONS = {
    MAIN: "the same two",
    "shares easy": "the easy one",
    "shares hard": "the hard one",
    "shares neither": "neither",
}


def _range(values: pd.Series, digits: int = 2) -> str:
    return f"{points(values.min(), digits)} to {points(values.max(), digits)}"


def _universal_question(facts: Facts) -> str:
    first, second = facts.notes["names"]
    return (
        f"Do {first} and {second} have single units that respond alike to words, and do digits networks of "
        "different seeds have such units, more than networks whose units are rotated?"
    )


def _universal_headline(facts: Facts) -> str:
    notes, threshold = facts.notes, facts.params["threshold"]
    said = []
    for name in notes["names"]:
        own, other = notes["trained"][name], notes["untrained"][name]
        said.append(
            f"{share(own['share'])} of {name} (untrained {share(other['share'])}), mean r of all "
            f"{own['r']:.3f}, rotated {own['baseline']:.3f} (untrained {other['r']:.3f}, "
            f"rotated {other['baseline']:.3f})"
        )
    pairs, control = notes["trained"]["mutual"], notes["untrained"]["mutual"]
    return (
        "Units whose correlation with their best partner exceeds that in the rotated network by "
        f"{threshold:g}, held-out words: {'; '.join(said)}. Mutual best pairs: {pairs['n_pairs']:,}, "
        f"held-out r {points(pairs['held_out'])} (control, untrained: {control['n_pairs']:,}, "
        f"{points(control['held_out'])}). {_digits(facts)} {NO_CEILING}"
    )


def _digits(facts: Facts) -> str:
    """Return what digits networks share: excess, units matched one to one, decoders passed on."""
    rows = facts.table[facts.table["kind"] == "digits"]
    wide = {
        twin: part.pivot(index="layer", columns="quantity", values="value")
        for twin, part in rows.groupby("twin")
    }
    own, other = wide["trained"], wide["untrained"]
    clear = int((own["matched_rotation_p_fdr"] < 0.05).sum())
    return (
        f"{facts.notes['digits']['n_networks']} digits networks, range over layers: mean excess "
        f"{_range(own['excess'], 3)} (untrained {_range(other['excess'], 3)}); units matched one to one "
        f"correlate more than in rotations in {clear} of {len(own)} layers (FDR q < .05). A decoder passed "
        f"on to the next seed through anchors is right in {_range(own['stitching_relative'])}, the seed's "
        f"own decoder (what could be had) in {_range(own['stitching_within'])}; controls: units as they are "
        f"{_range(own['stitching_absolute'])}, anchors shuffled {_range(own['stitching_shuffled'])}, chance "
        f"{points(own['stitching_chance'].iloc[0])}."
    )


def _universal_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    first, second = notes["names"]
    own, digits = notes["trained"], notes["digits"]
    step = "all blocks" if params["layer_step"] == 1 else f"one in {params['layer_step']} blocks"
    return (
        f"{own[first]['n_units']:,} units of {first} ({step}) and {own[second]['n_units']:,} of {second} "
        f"(all blocks), {SITES[params['site']]}, were given a story of {notes['n_words']} words (context "
        f"{params['context']} tokens, stride {params['stride']}; {POOLED[params['pool']]}; first word left "
        f"out). {own['n_choosing']} words chose each unit's best partner in the other network, and "
        f"{own['n_held_out']} later ones evaluated it. The excess is the correlation minus that of the best "
        "partner, chosen in the same way, after each layer of the other network was rotated at random "
        "[@gurnee2024]; mutual best pairs are each other's best [@dravid2023]. Untrained: both networks "
        f"with random weights. {digits['n_networks']} digits networks that differ in their seed (accuracy "
        f"{_range(pd.Series(digits['accuracy_trained']))}) saw {digits['n_images']} images, of which half "
        f"chose and half evaluated, with {params['n_rotations']} rotations; the units of the first two were "
        f"matched one to one [@li2016] beside {params['n_permutations']} rotations [@phipson2010], p "
        "corrected over layers by the false discovery rate [@benjamini1995]. Decoders are ridge "
        f"regressions [@hoerl1970] with one fixed penalty on cosines to {digits['n_anchors']} anchors "
        "[@moschella2023], units z-scored by the anchors."
    )


def _topography_question(facts: Facts) -> str:
    contrasts = joined(facts.table["contrast"].dropna().unique())
    return (
        f"Are contrast maps ({contrasts}) of small language models ordered on their lattice after training "
        "with a spatial loss, more than after training without?"
    )


def _topography_headline(facts: Facts) -> str:
    table = facts.table[facts.table["kind"] == "measure"]
    raw = table[table["measure"] == "raw"]
    said = []
    for contrast, part in raw.groupby("contrast", sort=False):
        mean = part.groupby("model")["value"].mean()
        own = part[part["model"] == "topographic"]
        low, high = own["null low"].mean(), own["null high"].mean()
        said.append(
            f"{contrast} {signed(mean['topographic'], 2)} (controls: no spatial loss "
            f"{signed(mean['control'], 2)}, untrained {signed(mean['untrained'], 2)}, units in random "
            f"places {signed(low, 2)} to {signed(high, 2)})"
        )
    curves = facts.table[facts.table["kind"] == "curve"]
    last = curves[curves["step"] == curves["step"].max()].groupby("model")["language"].mean()
    return (
        f"Moran's I of raw maps, mean over {facts.params['n_networks']} networks and their blocks: "
        f"{'; '.join(said)}. Significant maps (FDR q < .05), spatial loss and control: raw {_clear(raw)}; "
        f"smoothed {_compared(table, 'smoothed')}; largest cluster, in units, "
        f"{_compared(table, 'cluster', 1)}. Language loss on held-out sentences: {last['topographic']:.3f} "
        f"and {last['control']:.3f} nats a word. {NO_CEILING}"
    )


def _clear(rows: pd.DataFrame) -> str:
    """Return how many maps are significant, with the spatial loss and without it."""
    parts = [rows[rows["model"] == model] for model in PLACED]
    return " and ".join(f"{int((part['q'] < 0.05).sum())} of {len(part)}" for part in parts)


def _compared(table: pd.DataFrame, measure: str, digits: int = 2) -> str:
    rows = table[table["measure"] == measure]
    mean = rows.groupby("model")["value"].mean()
    low, high = (rows.loc[rows["model"].isin(PLACED), f"null {end}"].mean() for end in ("low", "high"))
    return (
        f"{_clear(rows)} (mean {' and '.join(points(mean[model], digits) for model in PLACED)}, units in "
        f"random places {points(low, digits)} to {points(high, digits)})"
    )


def _topography_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    source = "BLiMP [@warstadt2020]" if params["text"] == "blimp" else f"{params['text']} texts"
    within = "" if params["radius"] is None else f", units within {params['radius']:g} steps"
    contrasts = set(facts.table["contrast"].dropna())
    words = f"{notes['n_nouns']:,} nouns against {notes['n_verbs']:,} verbs, and "
    return (
        f"{params['n_networks']} pairs of transformers of {params['n_blocks']} blocks, {notes['n_units']} "
        f"units each on a lattice of {params['shape'][0]} x {params['shape'][1]}, were trained on "
        f"{notes['n_seen']:,} words to foretell the next one ({notes['n_sentences']:,} sentences of "
        f"{source}, vocabulary of {notes['n_vocabulary']:,}): one of a pair with a spatial loss of its "
        f"block outputs beside (weight {params['weight']:g}; {LOSSES[params['kind']]}{within}), the control "
        "without, from the same first weights, on the same words. Untrained: the first weights. Maps are "
        f"Welch's t [@welch1947] of every unit on {notes['n_test']:,} held-out sentences, "
        f"{words if 'nouns - verbs' in contrasts else ''}sentences against lists of the same words in "
        "random order. Measured were Moran's I [@moran1950], also of maps smoothed by a Gaussian of "
        f"{params['fwhm']:g} steps full width, and the largest cluster of units in the top or lowest "
        f"{share(1 - params['quantile'])}, each beside {params['n_permutations']:,} maps whose units "
        "changed places, smoothed after that where the map is; p one-sided [@phipson2010], corrected for "
        "each measure over the maps of both trained kinds by the false discovery rate [@benjamini1995]. "
        "Blocks and contrasts of one network are not independent."
    )


class _Means:
    """Means over networks, looked up by what they are of; and the tests of easy against hard."""

    def __init__(self, table: pd.DataFrame) -> None:
        keys = ["measure", "task", "feature", "option"]
        self.rows: Any = table[table["kind"] == "mean"].set_index(keys).sort_index()
        self.tests = table[table["kind"] == "test"].set_index(["measure", "option"])["q"]

    def row(self, measure: str, feature: str, task: str = MAIN, option: str = NONE) -> Any:
        return self.rows.loc[(measure, task, feature, option)]

    def both(self, measure: str, task: str = MAIN, option: str = NONE) -> str:
        """Return the means of the easy and of the hard feature."""
        found = [self.row(measure, feature, task, option)["value"] for feature in (EASY, HARD)]
        return " and ".join(points(round(value, 2) + 0.0) for value in found)


def _bias_question(facts: Facts) -> str:
    del facts
    return (
        "Simulated: where networks compute an easy and a hard feature equally well, do both explain as "
        "much of their units' variance, and does RSA see both?"
    )


def _bias_headline(facts: Facts) -> str:
    means, lowest = _Means(facts.table), facts.notes["lowest_accuracy"]
    right = "all" if lowest == 1 else f"at least {100 * lowest:.1f} % of the"
    spans = [means.row("variance", feature) for feature in (EASY, HARD)]
    variance = " and ".join(f"{points(row['value'])}{interval(row['low'], row['high'], 2)}" for row in spans)
    shared = ", ".join(
        f"{words} {points(means.row('between', NONE, task, 'euclidean')['value'])}"
        for task, words in RELATIONS.items()
    )
    options = [_seen(facts, means, option) for option in ("euclidean", "whitened")]
    return (
        f"Simulated. Trained networks are right on {right} held-out inputs. Easy and hard: share of "
        f"variance {variance}, q = {means.tests['variance', NONE]:.3f} (control, untrained: "
        f"{means.both('variance', UNTRAINED)}; the bits of the hard one explain "
        f"{points(means.row('variance', BITS)['value'])} beyond it); RSA with a model of each, "
        f"{'; '.join(options)}; decoding {means.both('decoding')} (untrained "
        f"{means.both('decoding', UNTRAINED)}, chance 0.50). Similarity of Euclidean RDMs to those of "
        f"networks that compute {shared}."
    )


def _seen(facts: Facts, means: _Means, option: str) -> str:
    """Return what RSA finds of both features in RDMs of one kind, with control and noise ceiling."""
    bounds = facts.table[facts.table["kind"] == "ceiling"].set_index("option").loc[option]
    return (
        f"{option} {means.both('rsa', option=option)}, q = {means.tests['rsa', option]:.3f} (untrained "
        f"{means.both('rsa', UNTRAINED, option)}; noise ceiling {points(bounds['low'])} to "
        f"{points(bounds['high'])})"
    )


def _bias_method(facts: Facts) -> str:
    params, notes = facts.params, facts.notes
    n_tests = int((facts.table["kind"] == "test").sum())
    return (
        f"Simulated: {notes['n_networks']} networks of each of {notes['n_tasks']} tasks (12 binary inputs, "
        f"two hidden layers of {notes['n_units']} units, {params['n_steps']} steps of training) put out two "
        "independent features, an easy one (a bit) and a hard one (the parity of three bits), or two of a "
        f"kind. The last hidden layer was measured on {notes['n_shown']} held-out inputs in which all "
        "features are balanced and independent: the variance of the units that a feature explains "
        f"[@lampinen2024], decoding by shrunken linear discriminants [@ledoit2004] in {notes['n_folds']} "
        "folds, generalisation to the other value of the other feature and parallelism [@bernardi2020], "
        "and the discrimination value [@schilling2021]. Euclidean RDMs were compared by "
        f"{comparators(params['method'])} with a model of each feature [@kriegeskorte2008] and with those "
        "of networks that share one feature; those that share the hard one share its bits too. Other RDMs "
        "were of correlation, of z-scored units, of patterns whitened over the stimuli, and crossnobis "
        f"[@walther2016] of two measurements with noise of {params['noise']:g} times the units' spread; the "
        "noise ceiling is how well networks of one task predict one another [@nili2014]. Intervals are "
        f"bootstraps over networks ({params['n_bootstrap']:,} draws) [@efron1979]; easy against hard by "
        f"two-sided sign flips over networks [@fisher1935], corrected over {n_tests} measures by the false "
        "discovery rate [@benjamini1995]."
    )


ANALYSES = {
    23: Analysis(_universal_question, _universal_headline, _universal_method),
    24: Analysis(_topography_question, _topography_headline, _topography_method),
    25: Analysis(_bias_question, _bias_headline, _bias_method),
}
