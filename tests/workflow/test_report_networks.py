"""What a report says of networks beside networks (figures 23 to 25), from tables whose numbers are known."""

from __future__ import annotations

import pandas as pd
import pytest

from neuroalign.workflow.reporting.analyses import words_for
from neuroalign.workflow.reporting.citations import citations, pieces
from neuroalign.workflow.reporting.facts import Facts
from neuroalign.workflow.sections import Bias, Topography, Universal

CONTRASTS = ("nouns - verbs", "sentences - lists")


def topography_facts(**options):
    """Two networks of one block; the q of control maps are .01 and .5 in turn, those of the others .01."""
    values = {"topographic": (0.6, 0.8), "control": (0.1, -0.3), "untrained": (0.0, 0.2)}
    q = {"topographic": (0.01, 0.01), "control": (0.01, 0.5), "untrained": (None, None)}
    null = {"raw": (-0.2, 0.1), "smoothed": (0.7, 0.9), "cluster": (2.0, 7.0)}
    scale = {"raw": 1.0, "smoothed": 0.5, "cluster": 10.0}
    rows = [
        {"kind": "measure", "measure": measure, "contrast": contrast, "model": model, "network": i}
        | {"value": scale[measure] * values[model][i], "q": q[model][i]}
        | dict(zip(("null low", "null high"), null[measure], strict=True))
        for measure in null
        for contrast in CONTRASTS
        for model in values
        for i in range(2)
    ]
    losses = {"topographic": (7.0, 3.0), "control": (7.0, 4.0)}
    rows += [
        {"kind": "curve", "model": model, "network": i, "step": step, "language": loss + 0.5 * i}
        for model, pair in losses.items()
        for step, loss in zip((0, 10), pair, strict=True)
        for i in range(2)
    ]
    notes = {"n_sentences": 1000, "n_test": 50, "n_seen": 2000, "n_vocabulary": 99, "n_units": 144}
    notes |= {"n_nouns": 40, "n_verbs": 30}
    params = Topography(n_networks=2, n_blocks=1, **options).model_dump(mode="json")
    return Facts(pd.DataFrame(rows), notes, params)


def test_maps_have_controls_beside_them_and_counts_of_significant_ones():
    words = words_for(24, topography_facts())
    said = (
        "{} +0.70 (controls: no spatial loss -0.10, untrained +0.10, units in random places -0.20 to +0.10)"
    )
    assert "; ".join(said.format(name) for name in CONTRASTS) in words.headline
    assert "raw 4 of 4 and 2 of 4; smoothed 4 of 4 and 2 of 4 (mean 0.35 and -0.05, units" in words.headline
    assert (
        "in units, 4 of 4 and 2 of 4 (mean 7.0 and -1.0, units in random places 2.0 to 7.0)" in words.headline
    )
    assert "3.250 and 4.250 nats a word" in words.headline and "no noise ceiling" in words.headline
    assert words.question.startswith("Are contrast maps (nouns - verbs and sentences - lists) of small")


def test_method_of_maps_names_words_only_where_there_were_enough():
    facts = topography_facts()
    assert "40 nouns against 30 verbs, and sentences against lists" in words_for(24, facts).method
    fewer = facts._replace(table=facts.table[facts.table["contrast"] != "nouns - verbs"])
    assert "held-out sentences, sentences against lists" in words_for(24, fewer).method
    assert "+0.70" in words_for(24, fewer).headline and "nouns" not in words_for(24, fewer).headline


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "response correlation and inverse distance [@margalit2024; @rathi2025]), the control"),
        ({"kind": "moran", "radius": 2}, "Moran's I [@moran1950] of responses, units within 2 steps)"),
        ({"kind": "dirichlet", "radius": 1.5}, "energy of responses, units within 1.5 steps)"),
        ({"weight": 0.25, "fwhm": 2.5, "quantile": 0.95}, "(weight 0.25; "),
        ({"quantile": 0.95, "n_permutations": 1999}, "lowest 5 %, each beside 1,999 maps"),
        ({"text": "embedded"}, "(1,000 sentences of embedded texts, vocabulary of 99)"),
    ],
)
def test_method_of_maps_follows_the_parameters(options, said):
    assert said in words_for(24, topography_facts(**options)).method


def bias_facts(lowest=1.0, **options):
    def mean(measure, feature, value, task="easy + hard", option="none"):
        about = {"kind": "mean", "measure": measure, "task": task, "feature": feature, "option": option}
        return about | {"value": value, "low": value - 0.1, "high": value + 0.1}

    rows = [mean("variance", "easy 1", 0.5), mean("variance", "hard 1", 0.2)]
    rows += [mean("variance", "hard 1, its bits", 0.25), mean("variance", "easy 2", 0.99)]
    rows += [mean("decoding", "easy 1", 1.0), mean("decoding", "hard 1", 0.97)]
    for measure, pair in {"variance": (0.1, 0.01), "decoding": (0.9, 0.52)}.items():
        rows += [mean(measure, f"{k} 1", v, "untrained") for k, v in zip(("easy", "hard"), pair, strict=True)]
    for option, pair in {"euclidean": (0.6, 0.3), "whitened": (0.2, 0.15)}.items():
        for name, value in zip(("easy 1", "hard 1"), pair, strict=True):
            rows.append(mean("rsa", name, value, option=option))
            rows.append(mean("rsa", name, -0.004, "untrained", option))
        rows.append({"kind": "ceiling", "measure": "rsa", "option": option, "low": 0.7, "high": 0.8})
        rows.append({"kind": "test", "measure": "rsa", "option": option, "q": 0.02})
    rows.append({"kind": "test", "measure": "variance", "option": "none", "q": 0.03})
    relations = {"easy + hard": 0.9, "shares easy": 0.4, "shares hard": 0.5, "shares neither": 0.05}
    rows += [mean("between", "none", value, task, "euclidean") for task, value in relations.items()]
    # One network alone is not a mean.
    rows.append(mean("variance", "easy 1", 9.0) | {"kind": "network"})
    notes = {"n_networks": 8, "n_tasks": 6, "n_shown": 192, "n_units": 64, "n_folds": 6}
    params = Bias(**options).model_dump(mode="json")
    return Facts(pd.DataFrame(rows), notes | {"lowest_accuracy": lowest}, params)


def test_bias_has_both_features_with_control_and_ceiling():
    said = words_for(25, bias_facts()).headline
    assert said == (
        "Simulated. Trained networks are right on all held-out inputs. Easy and hard: share of variance 0.50 "
        "(95 % interval +0.40 to +0.60) and 0.20 (95 % interval +0.10 to +0.30), q = 0.030 (control, "
        "untrained: 0.10 and 0.01; the bits of the hard one explain 0.25 beyond it); RSA with a model of "
        "each, euclidean 0.60 and 0.30, q = 0.020 (untrained 0.00 and 0.00; noise ceiling 0.70 to 0.80); "
        "whitened 0.20 and 0.15, q = 0.020 (untrained 0.00 and 0.00; noise ceiling 0.70 to 0.80); "
        "decoding 1.00 and 0.97 (untrained 0.90 and 0.52, chance 0.50). Similarity of Euclidean RDMs "
        "to those of networks that compute the same two 0.90, the easy one 0.40, the hard one 0.50, "
        "neither 0.05."
    )


def test_networks_that_are_not_always_right_are_not_said_to_be():
    assert "right on at least 99.7 % of the held-out inputs" in words_for(25, bias_facts(0.997)).headline


def test_method_of_the_bias_follows_the_parameters_and_says_that_it_is_simulated():
    words = words_for(25, bias_facts(method="spearman", noise=0.5, n_bootstrap=3000, n_steps=700))
    assert words.question.startswith("Simulated:") and words.method.startswith(
        "Simulated: 8 networks of each"
    )
    assert "compared by Spearman correlation with a model" in words.method
    assert "noise of 0.5 times" in words.method and "(3,000 draws) [@efron1979]" in words.method
    assert "700 steps of training" in words.method and "corrected over 3 measures" in words.method


def universal_facts(**options):
    own = {
        "A": {"n_units": 2000, "share": 0.02, "r": 0.3, "baseline": 0.25},
        "B": {"n_units": 500, "share": 0.125, "r": 0.4, "baseline": 0.3},
    }
    other = {name: {"n_units": 1, "share": 0.0, "r": 0.1, "baseline": 0.09} for name in own}
    counts = {"n_choosing": 60, "n_held_out": 59}
    notes = {"names": ["A", "B"], "n_words": 120}
    notes["trained"] = own | counts | {"mutual": {"n_pairs": 1234, "held_out": 0.22}}
    notes["untrained"] = other | counts | {"mutual": {"n_pairs": 600, "held_out": 0.05}}
    digits = {"n_networks": 4, "n_images": 200, "n_anchors": 60, "accuracy_trained": [0.88, 0.92]}
    values = {"excess": (0.04, -0.01), "matched_rotation_p_fdr": (0.04, 0.9), "stitching_chance": (0.1, 0.1)}
    values |= {"stitching_relative": (0.8, 0.6), "stitching_within": (0.9, 0.85)}
    values |= {"stitching_absolute": (0.1, 0.2), "stitching_shuffled": (0.09, 0.11)}
    rows = [
        {"kind": "digits", "twin": twin, "layer": f"layer {k + 1}", "quantity": quantity}
        | {"value": value if twin == "trained" else 0.001}
        for quantity, pair in values.items()
        for k, value in enumerate(pair)
        for twin in ("trained", "untrained")
    ]
    params = Universal(**options).model_dump(mode="json")
    return Facts(pd.DataFrame(rows), notes | {"digits": digits}, params)


def test_units_that_respond_alike_have_rotated_and_untrained_networks_beside_them():
    said = words_for(23, universal_facts(threshold=0.4)).headline
    assert "by 0.4, held-out words: 2 % of A (untrained 0 %), mean r of all 0.300, rotated 0.250" in said
    assert (
        "; 12 % of B (untrained 0 %), mean r of all 0.400, rotated 0.300 (untrained 0.100, rotated 0.090)"
        in said
    )
    assert "pairs: 1,234, held-out r 0.22 (control, untrained: 600, 0.05)." in said
    assert said.endswith("There is no noise ceiling: networks answer the same each time.")


def test_digits_networks_have_the_range_over_layers_and_the_own_decoder():
    said = words_for(23, universal_facts()).headline
    assert (
        "4 digits networks, range over layers: mean excess -0.010 to 0.040 (untrained 0.001 to 0.001)" in said
    )
    assert "more than in rotations in 1 of 2 layers (FDR q < .05)" in said
    assert "is right in 0.60 to 0.80, the seed's own decoder (what could be had) in 0.85 to 0.90;" in said
    assert "units as they are 0.10 to 0.20, anchors shuffled 0.09 to 0.11, chance 0.10." in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "2,000 units of A (one in 4 blocks) and 500 of B (all blocks), units inside the MLPs,"),
        ({"layer_step": 1, "site": "block"}, "A (all blocks) and 500 of B (all blocks), block outputs, were"),
        ({"pool": "last", "context": 64, "stride": 32}, "64 tokens, stride 32; last token of a word;"),
        ({"n_rotations": 7, "n_permutations": 199}, "with 7 rotations; the units of the first two were"),
        ({"n_permutations": 199}, "one to one [@li2016] beside 199 rotations [@phipson2010]"),
    ],
)
def test_method_of_units_follows_the_parameters(options, said):
    assert said in words_for(23, universal_facts(**options)).method


@pytest.mark.parametrize(
    "number, make",
    [(23, universal_facts), (24, topography_facts), (25, bias_facts)],
    ids=["units", "maps", "bias"],
)
def test_every_word_is_there_and_every_reference_is_known(number, make):
    words = words_for(number, make())
    assert words.missing == () and None not in words
    keys = {piece.key for piece in pieces(words.method) if piece.key}
    assert len(keys) >= 6 and keys <= set(citations())
    assert "[@" not in "".join(piece.text for piece in pieces(words.method))
