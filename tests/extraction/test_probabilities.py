from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroalign.errors import InvalidValueError, NeuroalignError
from neuroalign.extraction import prepare_sentences, sentence_log_probs, wrap
from neuroalign.extraction import probabilities as module
from neuroalign.extraction.probabilities import token_log_probs
from neuroalign.extraction.sentences import trees

SENTENCES = [
    "The quiet cat sleeps on the warm stone.",
    "The quiet cat sleeps on the cold stone.",
    "The quiet cat",
    "Rain falls, and the river rises again!",
    "Nobody knows why Zoë left the café so early.",
    "The quiet cat sleeps on the warm stone.",
    "A dog barks.",
]


def slow(model, text, prefix):
    """One sentence at a time, float64 log softmax, without padding, sharing or packing."""
    ids = model.tokenizer((prefix or "") + text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([ids])).logits[0].double()
    log_p = torch.log_softmax(logits, dim=-1)
    return sum(log_p[i, ids[i + 1]].item() for i in range(len(ids) - 1))


@pytest.mark.parametrize("prefix", ["<|endoftext|>", None])
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("batch_tokens", [1, 40, 1024])
def test_log_probs_equal_a_slow_computation(decoder, prefix, share, batch_tokens):
    prepared = prepare_sentences(
        decoder, SENTENCES, prefix=prefix, share_prefixes=share, batch_tokens=batch_tokens
    )
    assert (prepared.n_read < prepared.n_tokens - len(SENTENCES)) == share
    found = sentence_log_probs(decoder, prepared, progress=False)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [slow(decoder, text, prefix) for text in SENTENCES], atol=1e-4)
    assert not share or found[0] == found[5]


def test_logits_are_bounded_and_chunks_do_not_matter(decoder, monkeypatch):
    expected = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    monkeypatch.setattr(module, "LOGITS_BYTES", 4 * 320 * 20)
    prepared = prepare_sentences(decoder, SENTENCES, prefix="<|endoftext|>", share_prefixes=False)
    assert all(batch.heads.size <= max(20, batch.ids.shape[1]) for batch in prepared.batches)
    np.testing.assert_allclose(sentence_log_probs(decoder, prepared, progress=False), expected, atol=1e-4)


def test_attention_implementation_does_not_matter(decoder):
    expected = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    decoder.module.set_attn_implementation("eager")
    try:
        found = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    finally:
        decoder.module.set_attn_implementation("sdpa")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_model_that_misreads_trees_reads_sentence_by_sentence(decoder, monkeypatch):
    forward = type(decoder.module).forward

    def without_positions(self, *args, position_ids=None, **kwargs):
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(decoder.module), "forward", without_positions)
    prepared = prepare_sentences(decoder, SENTENCES, prefix="<|endoftext|>")
    assert prepared.n_read == prepared.n_tokens - len(SENTENCES)
    found = sentence_log_probs(decoder, prepared, progress=False)
    np.testing.assert_allclose(found, [slow(decoder, s, "<|endoftext|>") for s in SENTENCES], atol=1e-4)


def test_model_without_a_known_output_layer_gives_the_same(decoder, monkeypatch):
    expected = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    monkeypatch.setattr(type(decoder.module), "get_output_embeddings", lambda self: None)
    found = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_hooks_are_gone_afterwards(decoder, hook_count):
    before = hook_count(decoder)
    sentence_log_probs(decoder, SENTENCES, progress=False)
    assert hook_count(decoder) == before


def test_trees_share_what_is_shared():
    found = trees([[1, 2, 3], [1, 2, 4, 5], [6, 7]], share=True)
    shared = next(tree for tree in found if len(tree.paths) == 2)
    assert shared.ids.tolist() == [1, 2, 4]  # nothing follows 3 and 5, so they are asked for but not read
    assert shared.parent.tolist() == [-1, 0, 1]
    assert shared.depth.tolist() == [0, 1, 2]
    assert list(zip(shared.head.tolist(), shared.target.tolist(), strict=True)) == [
        (0, 2),
        (1, 3),
        (1, 4),
        (2, 5),
    ]
    assert [(i, path.tolist()) for i, path in shared.paths] == [(0, [0, 1]), (1, [0, 2, 3])]


def test_a_sentence_that_begins_another_and_one_told_twice():
    (found,) = trees([[1, 2], [1, 2, 3], [1, 2, 3]], share=True)
    assert found.ids.tolist() == [1, 2]
    assert found.is_chain
    assert [(i, path.tolist()) for i, path in found.paths] == [(0, [0]), (1, [0, 1]), (2, [0, 1])]


def test_errors_say_what_and_where(decoder, build):
    with pytest.raises(InvalidValueError, match="reads in both directions"):
        sentence_log_probs(build["bert"](), ["A cat."])
    for sentences, options, text in (
        (["A cat.", " "], {}, "1 sentences are blank or no text, at positions 1"),
        ([], {}, "at least one text"),
        ("A cat.", {}, "must be a list of at least one text"),
        (["A"], {}, "1 sentences have no token after the first: 'A'"),
        (["cat " * 99], {}, "longer than the 64 tokens"),
        (["A cat."], {"prefix": "<s>"}, "prefix must be one token of tiny-.*; '<s>' gives 3"),
        (["A cat."], {"n_masks": 0}, "must be positive"),
    ):
        with pytest.raises(InvalidValueError, match=text):
            prepare_sentences(decoder, sentences, **options)
    prepared = prepare_sentences(decoder, ["A cat."])
    with pytest.raises(InvalidValueError, match="prefix belongs to prepare_sentences"):
        sentence_log_probs(decoder, prepared, prefix="<|endoftext|>")


@pytest.mark.parametrize("prefix", ["<|endoftext|>", None])
@pytest.mark.parametrize("batch_tokens", [40, 1024])
def test_token_log_probs_equal_a_slow_computation_and_sum_to_the_sentences(decoder, prefix, batch_tokens):
    prepared = prepare_sentences(decoder, SENTENCES, prefix=prefix, batch_tokens=batch_tokens)
    found = token_log_probs(decoder, prepared, progress=False)
    for i, text in enumerate(SENTENCES):
        of_text = found.isel(token=found["text"].values == i)
        ids = decoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert of_text.sizes["token"] == len(ids)
        pieces = [text[a:b] for a, b in zip(of_text["start"].values, of_text["end"].values, strict=True)]
        assert "ë" in text or "".join(pieces).replace(" ", "") == text.replace(" ", "")
        start = decoder.tokenizer(prefix or "", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = decoder.module(input_ids=torch.tensor([start + ids])).logits[0].double()
        log_p = torch.log_softmax(logits, dim=-1)[:-1]
        expected = log_p[range(len(log_p)), (start + ids)[1:]].numpy()
        values = of_text["log_p"].values
        assert np.isnan(values[0]) == (prefix is None)
        np.testing.assert_allclose(values[~np.isnan(values)], expected, atol=1e-4)
    sums = sentence_log_probs(decoder, prepared, progress=False)
    by_text = found["log_p"].groupby("text").sum().values
    np.testing.assert_allclose(by_text, sums, atol=1e-9)


def test_token_log_probs_of_several_masks_have_a_row_each(decoder):
    prepared = prepare_sentences(decoder, SENTENCES, prefix="<|endoftext|>", n_masks=3)
    found = token_log_probs(decoder, prepared, progress=False)["log_p"]
    one = token_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)["log_p"]
    assert found.dims == ("mask", "token")
    np.testing.assert_allclose(found.values, np.tile(one.values, (3, 1)), atol=1e-4)
    with pytest.raises(InvalidValueError, match="prefix belongs to prepare_sentences"):
        token_log_probs(decoder, prepared, prefix="<|endoftext|>")


def test_token_log_probs_need_character_offsets(decoder):
    prepared = replace(prepare_sentences(decoder, SENTENCES), spans=None)
    with pytest.raises(InvalidValueError, match="gives no character offsets"):
        token_log_probs(decoder, prepared)


def test_a_network_without_an_output_layer_has_no_probabilities(build):
    whole = build["gpt2"]()
    bare = wrap(whole.module.transformer, whole.tokenizer, name="bare")
    with pytest.raises(NeuroalignError, match="bare has no output layer: its result has no logits"):
        sentence_log_probs(bare, SENTENCES, progress=False)


def test_an_output_layer_that_is_called_by_name_gives_the_same(decoder, monkeypatch):
    expected = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    head = decoder.module.get_output_embeddings()
    positional = type(head).__call__

    def by_name(self, state, **given):
        return positional(self, input=state, **given) if self is head else positional(self, state, **given)

    monkeypatch.setattr(type(head), "__call__", by_name)
    found = sentence_log_probs(decoder, SENTENCES, prefix="<|endoftext|>", progress=False)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_tokenizer_without_offsets_gives_sums_and_no_tokens(decoder):
    class Slow:
        is_fast = False

        def __call__(self, *args, **options):
            return decoder.tokenizer(*args, **options)

        def __len__(self):
            return len(decoder.tokenizer)

        def __getattr__(self, name):
            return getattr(decoder.tokenizer, name)

    slow_model = replace(decoder, tokenizer=Slow())
    prepared = prepare_sentences(slow_model, SENTENCES)
    found = sentence_log_probs(slow_model, prepared, progress=False)
    np.testing.assert_array_equal(found, sentence_log_probs(decoder, SENTENCES, progress=False))
    with pytest.raises(InvalidValueError, match="gives no character offsets"):
        token_log_probs(slow_model, prepared)
