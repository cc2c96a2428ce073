from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.extraction import extract_words
from neuroalign.extraction.words import _special_ids, align_words, windows


def pieces_by_hand(tokenizer, texts):
    """Every token whose characters overlap a word's, by looking at each pair."""
    text, found = " ".join(texts), []
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    start = 0
    for word in texts:
        stop = start + len(word)
        found.append([i for i, (a, b) in enumerate(offsets) if a < stop and b > start])
        start = stop + 1
    return found


TRICKY = ["Zoë", "left", "—", "the", "café,", "unbelievably", "(quiet)", "日本", "don't", "…", "rises!"]


def test_words_get_their_pieces(model):
    texts = [word for word in TRICKY if word not in ("日本", "…")] if not model.is_causal else TRICKY
    labels = np.array([f"w{i}" for i in range(len(texts))])
    _ids, first, last = align_words(model.tokenizer, labels, texts)
    assert [list(range(a, b)) for a, b in zip(first, last, strict=True)] == pieces_by_hand(
        model.tokenizer, texts
    )
    assert (last - first).max() > 1


def test_byte_level_offsets_include_the_space_before(build):
    tokenizer = build["gpt2"]().tokenizer
    coded = tokenizer("The cat", return_offsets_mapping=True)
    assert coded["offset_mapping"][1][0] == 3
    _, first, last = align_words(tokenizer, np.array(["a", "b"]), ["The", "cat"])
    assert last[0] == first[1]


@pytest.mark.parametrize("word", ["the", "日本", "left", "unbelievably"])
def test_special_tokens_are_those_of_any_word_even_an_unknown_one(build, word):
    bert, gpt2 = build["bert"]().tokenizer, build["gpt2"]().tokenizer
    before, after = _special_ids(bert, word)
    assert (before.tolist(), after.tolist()) == ([bert.cls_token_id], [bert.sep_token_id])
    assert [ids.size for ids in _special_ids(gpt2, word)] == [0, 0]


def test_unknown_words_are_read_between_the_special_tokens(build, story, block_outputs):
    model = build["bert"]()
    words = story.iloc[:3].assign(text=["日", "本", story["text"].iloc[2]])
    found = extract_words(model, words, context=64, stride=60, progress=False)
    ids = model.tokenizer(" ".join(words["text"]))["input_ids"]
    assert ids[0] == model.tokenizer.cls_token_id and ids[1] == model.tokenizer.unk_token_id
    for layer, state in block_outputs(model, ids).items():
        np.testing.assert_allclose(found[layer].values[:2], state[1:3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "last", "sum"])
def test_one_window_equals_the_whole_text_at_once(model, story, block_outputs, pool):
    words = story.iloc[:12]
    found = extract_words(model, words, context=64, stride=60, pool=pool, progress=False)
    coded = model.tokenizer(" ".join(words["text"]), return_special_tokens_mask=True)
    shift = int(np.flatnonzero(np.array(coded["special_tokens_mask"]) == 0)[0])
    pieces = pieces_by_hand(model.tokenizer, words["text"].tolist())
    for layer, state in block_outputs(model, coded["input_ids"]).items():
        for row, tokens in enumerate(pieces):
            taken = state[np.array(tokens) + shift]
            expected = {"mean": taken.mean(0), "last": taken[-1], "sum": taken.sum(0)}[pool]
            np.testing.assert_allclose(found[layer].values[row], expected, rtol=1e-5, atol=1e-5)
    assert found["n_tokens"].values.tolist() == [len(tokens) for tokens in pieces]
    assert found["stimulus"].values.tolist() == words["stimulus"].tolist()


def test_windows_equal_each_word_read_in_its_own_window(model, story, block_outputs):
    context, stride = 24, 8
    found = extract_words(model, story, context=context, stride=stride, progress=False)
    ids, first, last = align_words(model.tokenizer, story["stimulus"].to_numpy(), story["text"].tolist())
    whole = model.tokenizer("a", return_special_tokens_mask=True)
    inner = int(np.flatnonzero(np.array(whole["special_tokens_mask"]) == 0)[0])
    before, after = whole["input_ids"][:inner], whole["input_ids"][inner + 1 :] if inner else []
    room = context - len(before) - len(after)
    layer = list(model.widths)[-1]
    for start, (a, b) in windows(first, last, context=room, stride=stride, causal=model.is_causal):
        state = block_outputs(model, [*before, *ids[start : last[b - 1]], *after])[layer]
        for word in range(a, b):
            rows = np.arange(first[word], last[word]) - start + len(before)
            np.testing.assert_allclose(found[layer].values[word], state[rows].mean(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_every_token_is_read_after_enough_others(causal):
    rng = np.random.default_rng(0)
    last = np.cumsum(rng.integers(1, 4, size=200))
    first = np.append(0, last[:-1])
    found = windows(first, last, context=32, stride=8, causal=causal)
    words = [word for _, (a, b) in found for word in range(a, b)]
    assert words == list(range(200))
    for number, (start, (a, b)) in enumerate(found):
        assert last[b - 1] - start <= 32
        if not (causal and number == 0):
            assert last[b - 1] - first[a] <= 8
            assert first[a] - start >= min(first[a], 32 - 8)


def test_batch_size_never_matters(model, story):
    expected = extract_words(model, story, context=24, stride=9, batch_size=1, progress=False)
    for batch_size in (2, 7, 100):
        found = extract_words(model, story, context=24, stride=9, batch_size=batch_size, progress=False)
        for layer in expected:
            np.testing.assert_allclose(found[layer].values, expected[layer].values, rtol=1e-5, atol=1e-5)


def test_no_token_sees_later_words_in_a_decoder(decoder, story):
    story = story.iloc[:14]
    expected = extract_words(decoder, story, context=64, stride=60, progress=False)
    changed = story.assign(text=[*story["text"][:-1], "dog"])
    found = extract_words(decoder, changed, context=64, stride=60, progress=False)
    for layer in expected:
        np.testing.assert_allclose(found[layer].values[:-1], expected[layer].values[:-1], atol=1e-5)
        assert np.abs(found[layer].values[-1] - expected[layer].values[-1]).max() > 1e-2


def test_word_without_a_token_is_refused_by_name(build):
    words = pd.DataFrame({"stimulus": ["a", "b"], "text": ["cat", "\u0000\u200b"]})
    with pytest.raises(LabelError, match="no token for 1 of 2 words: 'b'"):
        extract_words(build["bert"](), words, context=32, progress=False)


def test_errors_say_what_and_where(model, story):
    for options, text in (
        ({"context": 65}, "context must be at most 64"),
        ({"context": 0}, "context must be a positive integer"),
        ({"context": 16, "stride": 17}, "stride must leave room in the context"),
        ({"context": 32, "stride": 1}, "have more tokens than the stride of 1"),
        ({"context": 32, "pool": "max"}, "pool must be one of 'mean', 'last', 'sum'"),
    ):
        with pytest.raises(InvalidValueError, match=text):
            extract_words(model, story, progress=False, **options)
