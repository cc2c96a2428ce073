"""What a report says of figures, from small tables whose numbers are known."""

from __future__ import annotations

import pandas as pd
import pytest

from neuroalign.workflow.reporting.analyses import ANALYSES, words_for
from neuroalign.workflow.reporting.facts import Facts
from neuroalign.workflow.sections import Objects, Story

NOTES = {"network": "Net", "responses": "simulated", "simulated": True, "n_subjects": 8, "n_times": 99}
STORY = Story(simulation={"n_subjects": 8}).model_dump(mode="json")


def encoding_facts():
    """Two layers, two regions: the mean over regions is largest at layer 1 of the trained network."""
    values = {("trained", 0): (0.1, 0.3), ("trained", 1): (0.3, 0.5), ("untrained", 0): (0.0, 0.1)}
    values |= {("untrained", 1): (0.0, 0.0), ("baseline", -1): (0.05, 0.15), ("ceiling", -1): (0.6, 0.8)}
    rows = [
        {"network": network, "depth": depth, "roi": roi, "score": score, "value": value}
        for (network, depth), pair in values.items()
        for roi, value in zip(("A", "B"), pair, strict=True)
        for score in ("group mean", "left-out listener")
    ]
    return Facts(pd.DataFrame(rows), NOTES, STORY)


def test_encoding_has_best_layer_controls_and_ceiling():
    said = words_for(3, encoding_facts()).headline
    assert "Group mean: 0.40 (layer 1); controls: untrained 0.05 (layer 0), low-level baseline 0.10;" in said
    assert said.count("noise ceiling 0.70") == 2


def test_method_of_a_simulation_says_so_and_one_of_measured_responses_does_not():
    facts = encoding_facts()
    assert "8 listeners were simulated every 2 s" in words_for(3, facts).method
    measured = facts._replace(params=Story(responses="alice_fmri").model_dump(mode="json"))
    notes = NOTES | {"responses": "alice_fmri", "simulated": False}
    words = words_for(3, measured._replace(notes=notes))
    assert "simulated" not in words.method and "99 volumes of 8 listeners (alice_fmri)." in words.method
    assert "responses (alice_fmri) of 8 listeners" in words.question


@pytest.mark.parametrize(
    ("downsample", "said"),
    [
        ("average", "were averaged in"),
        ("sum", "were summed in"),
        ("lanczos", "were Lanczos-filtered [@duchon1979"),
    ],
)
def test_method_follows_the_parameters(downsample, said):
    facts = encoding_facts()
    method = words_for(
        3, facts._replace(params=STORY | {"downsample": downsample, "n_folds": 9, "purge": 3})
    ).method
    assert said in method and "9 contiguous test blocks, 3 volumes left out beside each" in method
    assert "of 15 from 10⁰ to 10⁷" in method and ("duchon1979" in method) is (downsample == "lanczos")


def test_models_have_the_best_one_its_interval_the_ceiling_and_how_many_beat_the_control():
    rows = [
        ("spearman", "animacy", "mean", 0.4, 0.3, 0.5, 0.01),
        ("spearman", "V1", "mean", 0.1, 0.0, 0.2, 0.2),
        ("spearman", "animacy", "s1", 0.9, None, None, None),
        ("spearman", "noise ceiling", "lower", 0.35, None, None, None),
        ("spearman", "noise ceiling", "upper", 0.66, None, None, None),
    ]
    table = pd.DataFrame(rows, columns=["method", "model", "subject", "value", "low", "high", "p_fdr"])
    words = words_for(6, Facts(table, {"n_subjects": 4}, Objects().model_dump(mode="json")))
    assert words.headline == (
        "Spearman: most alike animacy, 0.40 (95 % interval +0.30 to +0.50); noise ceiling 0.35 to 0.66; "
        "control, shuffled stimuli: 1 of 2 models do better (FDR q < .05)."
    )
    assert words.question.startswith("Which of 2 model RDMs")


@pytest.mark.parametrize("column", ["model", "other"])
def test_pairs_of_models_are_counted_once_whichever_column_names_the_ceiling(column):
    rows = [("estimate", "a", "", 0.5), ("estimate", "b", "", 0.2), ("estimate", "c", "", 0.1)]
    rows += [("low", "a", "", 0.4), ("high", "a", "", 0.6)]
    rows += [("p_fdr against 0", name, "", p) for name, p in (("a", 0.01), ("b", 0.01), ("c", 0.5))]
    rows += [("p_fdr pairwise", *pair, 0.01) for pair in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"))]
    rows += [("p_fdr pairwise", *pair, 0.5) for pair in (("b", "c"), ("c", "b"))]
    ends = (("lower", 0.6), ("upper", 0.7))
    rows += [
        ("noise ceiling", *((end, "") if column == "model" else ("", end)), value) for end, value in ends
    ]
    table = pd.DataFrame(rows, columns=["quantity", "model", "other", "value"]).assign(method="spearman")
    params = Objects(methods=["spearman"]).model_dump(mode="json")
    said = words_for(15, Facts(table, {"n_models": 3}, params)).headline
    assert "most alike a, 0.50 (95 % interval +0.40 to +0.60); noise ceiling 0.60 to 0.70" in said
    assert "2 of 3 are above 0 and 2 of 3 differences hold" in said


def test_units_have_random_units_beside_them():
    rows = [("language", roi, "group mean", v, p) for roi, v, p in (("A", 0.4, 0.01), ("B", 0.2, 0.5))]
    rows += [
        (f"random-{i:03d}", roi, "group mean", v, None) for i, v in enumerate((0.1, 0.2, 0.6)) for roi in "AB"
    ]
    rows += [("ceiling", roi, "group mean", 0.9, None) for roi in "AB"]
    table = pd.DataFrame(rows, columns=["set", "roi", "score", "value", "p"])
    notes = NOTES | {"n_units": 5, "n_random": 3, "window_seconds": 12.0}
    said = words_for(5, Facts(table, notes, STORY)).headline
    assert (
        "Group mean: 0.30; control, random units: median 0.20, p < .05 in 1 of 2 regions; noise ceiling 0.90"
        in said
    )


@pytest.mark.parametrize("number", sorted(ANALYSES))
def test_what_a_table_does_not_hold_is_left_out_and_named(number):
    words = words_for(number, Facts(pd.DataFrame({"other": [1.0]}), {}, {}))
    assert words.headline is None and any(text.startswith("headline") for text in words.missing)
