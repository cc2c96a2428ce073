import pandas as pd
import pytest
from tiny import tokenizer

from neuroalign import stimuli
from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.localization import CONTRASTS, Contrast, contrast_stimuli, match_tokens


def test_the_projects_own_contrasts_have_both_conditions_in_every_run():
    for name in ("language", "multiple_demand"):
        table, contrast = contrast_stimuli(name), CONTRASTS[name]
        counts = table.groupby(["run", "condition"]).size().unstack()
        assert set(counts.columns) == {contrast.positive, contrast.negative}
        assert (counts >= 2).all(axis=None)
    assert len(contrast_stimuli("multiple_demand", n=16, seed=3)) == 32


def own(n=3, **columns):
    rows = [
        (f"{c}-{i}", f"text {c} {i}", c)
        for c in ("false_belief", "false_photograph", "filler")
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["stimulus", "text", "kind"]).assign(**columns)


def test_theory_of_mind_takes_the_users_table_and_drops_other_conditions():
    found = contrast_stimuli("theory_of_mind", own(), column="kind")
    assert found["condition"].tolist() == ["false_belief"] * 3 + ["false_photograph"] * 3
    other = contrast_stimuli(Contrast("filler", "false_belief"), own(), column="kind")
    assert set(other["condition"]) == {"filler", "false_belief"}


def test_tables_that_are_no_contrast_are_refused():
    with pytest.raises(InvalidValueError, match=r"'theory_of_mind' has no stimuli of its own\. Pass a table"):
        contrast_stimuli("theory_of_mind")
    with pytest.raises(InvalidValueError, match="contrast must be one of 'language', 'multiple_demand'"):
        contrast_stimuli("lang")
    with pytest.raises(LabelError, match="the contrast's table lacks the column 'condition'"):
        contrast_stimuli("theory_of_mind", own())
    with pytest.raises(
        InvalidValueError, match="condition 'false_belief' has 1 stimuli; 2 or more are needed"
    ):
        contrast_stimuli("theory_of_mind", own(1), column="kind")
    with pytest.raises(InvalidValueError, match="a table takes no options; got 'n'"):
        contrast_stimuli("theory_of_mind", own(), column="kind", n=3)


def localizer():
    rows = [
        ("s1", "the cat sleeps", "sentence", 1),
        ("s2", "rain", "sentence", 1),
        ("n1", "blick dap", "nonword", 1),
        ("n2", "gorp florp zek", "nonword", 1),
        ("s3", "a dog barks", "sentence", 2),
        ("n3", "a fep", "nonword", 2),
    ]
    return pd.DataFrame(rows, columns=["stimulus", "text", "condition", "run"])


def test_cutting_leaves_both_conditions_the_same_numbers_of_tokens():
    found = match_tokens(localizer(), tokenizer()).set_index("stimulus")
    # One token a byte; within run 1 rain (4) goes with blick dap (9), the cat sleeps with gorp florp zek.
    assert found["text"].to_dict() == {
        "s1": "the cat sleeps",
        "s2": "rain",
        "n1": "blic",
        "n2": "gorp florp zek",
        "s3": "a dog",
        "n3": "a fep",
    }
    assert found["n_tokens"].to_dict() == {"s1": 14, "s2": 4, "n1": 4, "n2": 14, "s3": 5, "n3": 5}


def test_a_subset_keeps_whole_stimuli_of_the_same_lengths():
    found = match_tokens(localizer(), tokenizer(), how="subset")
    assert found["stimulus"].tolist() == ["s1", "n2"] and set(found["n_tokens"]) == {14}
    with pytest.raises(InvalidValueError, match="no stimuli of 'sentence' and 'nonword' match"):
        match_tokens(localizer().iloc[4:], tokenizer(), how="subset")
    with pytest.raises(InvalidValueError, match="how must be one of 'cut', 'subset'"):
        match_tokens(localizer(), tokenizer(), how="pad")


def test_the_embedded_localizer_is_matched_after_cutting_whatever_the_tokenizer():
    found = match_tokens(stimuli.localizer(), tokenizer())
    counts = found.groupby(["run", "condition"])["n_tokens"].apply(sorted).unstack()
    assert (counts["sentence"].map(tuple) == counts["nonword"].map(tuple)).all()
    assert len(found) == 192


class Slow:
    """A tokenizer without character offsets."""

    is_fast = False

    def __call__(self, text, **options):
        return tokenizer()(text, **options)


def test_cutting_needs_offsets_and_leaves_out_what_no_cut_makes_equal():
    # "xy" has 2 tokens, and the first two of "    ab" are blanks, which are no text.
    blank = localizer().replace({"the cat sleeps": "xy", "blick dap": "    ab", "a dog barks": "cat"})
    found = match_tokens(blank[~blank["stimulus"].isin(["s2", "n2"])], tokenizer()).set_index("stimulus")
    assert found["text"].to_dict() == {"s3": "cat", "n3": "a f"}
    with pytest.raises(InvalidValueError, match="needs a tokenizer with character offsets"):
        match_tokens(localizer(), Slow())
    assert set(match_tokens(localizer(), Slow(), how="subset")["stimulus"]) == {"s1", "n2"}


@pytest.mark.parametrize("condition", ["false_belief", "false_photograph"])
def test_two_stimuli_a_condition_are_enough_and_one_is_not(condition):
    found = contrast_stimuli("theory_of_mind", own(2), column="kind")
    assert found["stimulus"].tolist() == [
        f"{c}-{i}" for c in ("false_belief", "false_photograph") for i in (0, 1)
    ]
    table = own(4)
    few = table[(table["kind"] != condition) | (table["stimulus"] == f"{condition}-0")]
    with pytest.raises(
        InvalidValueError, match=f"condition '{condition}' has 1 stimuli; 2 or more are needed"
    ):
        contrast_stimuli("theory_of_mind", few, column="kind")
    with pytest.raises(InvalidValueError, match=f"condition '{condition}' has 0 stimuli"):
        contrast_stimuli("theory_of_mind", table[table["kind"] != condition], column="kind")


@pytest.mark.parametrize("how", ["cut", "subset"])
def test_a_third_condition_takes_no_part_in_matching(how):
    more = [("f1", "rain", "filler", 1), ("f2", "gorp florp zek", "filler", 1), ("f3", "x", "filler", 2)]
    table = pd.concat([pd.DataFrame(more, columns=localizer().columns), localizer()], ignore_index=True)
    found = match_tokens(table, tokenizer(), how=how)
    pd.testing.assert_frame_equal(found, match_tokens(localizer(), tokenizer(), how=how))
    turned = match_tokens(table, tokenizer(), "nonword", "sentence", how=how)
    pd.testing.assert_frame_equal(turned, found)


def test_runs_are_matched_each_by_itself_and_a_table_without_runs_as_one():
    """In run 1 alone "a" (1) would meet "blick" (5); over both runs it meets "z" (1)."""
    rows = [
        ("s1", "a", "sentence", 1),
        ("n1", "blick", "nonword", 1),
        ("s2", "rain falls", "sentence", 2),
        ("n2", "z", "nonword", 2),
    ]
    table = pd.DataFrame(rows, columns=["stimulus", "text", "condition", "run"])
    by_run = match_tokens(table, tokenizer())
    assert by_run["text"].tolist() == ["a", "b", "r", "z"] and by_run["n_tokens"].tolist() == [1] * 4
    whole = match_tokens(table.drop(columns="run"), tokenizer())
    # Five tokens of "rain falls" end in a blank, so that four are left.
    assert whole["text"].tolist() == ["a", "blic", "rain", "z"] and whole["n_tokens"].tolist() == [1, 4, 4, 1]
