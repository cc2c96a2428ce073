from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
)

from neuroalign.errors import InvalidValueError, LabelError, NeuroalignError
from neuroalign.extraction import extract, extract_attention, extract_words, layers, wrap
from neuroalign.extraction.models import state_digest

# where each architecture's sublayers end, looked up in its source: module, and "in" or "out"
PLACES = {
    "tiny-gpt2": {"attn_out": "attn out", "mlp_out": "mlp out", "mlp_act": "mlp.c_proj in"},
    "tiny-llama": {"attn_out": "self_attn out", "mlp_out": "mlp out", "mlp_act": "mlp.down_proj in"},
    "tiny-bert": {
        "attn_out": "attention.output.dense out",
        "mlp_out": "output.dense out",
        "mlp_act": "output.dense in",
    },
    "tiny-t5": {
        "attn_out": "layer.0.SelfAttention out",
        "mlp_out": "layer.-1.DenseReluDense out",
        "mlp_act": "layer.-1.DenseReluDense.wo in",
    },
}
SITES = ("block", "resid_pre", "attn_out", "mlp_out", "mlp_act")


def place(model, layer, site):
    if site in ("block", "resid_pre"):
        return model.module.get_submodule(layer), "out" if site == "block" else "in"
    path, side = PLACES[model.name][site].split()
    last = len(getattr(model.module.get_submodule(layer), "layer", [])) - 1
    return model.module.get_submodule(f"{layer}.{path.replace('-1', str(last))}"), side


def one_by_one(model, text, site):
    """One text, no padding, every token: (n_tokens, n_units) of every layer."""
    found, handles = {}, []
    for layer in model.widths:
        module, side = place(model, layer, site)

        def keep(_module, args, kwargs, output=None, layer=layer):
            value = output if output is not None else (args[0] if args else kwargs["hidden_states"])
            found[layer] = (value[0] if isinstance(value, tuple) else value)[0].double().numpy()

        register = module.register_forward_hook if side == "out" else module.register_forward_pre_hook
        handles.append(register(keep, with_kwargs=True))
    run(model, text)
    for handle in handles:
        handle.remove()
    return found


def run(model, text):
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    decoder = {"decoder_input_ids": ids} if model.name == "tiny-t5" else {}
    with torch.no_grad():
        return model.module(input_ids=ids, **decoder)


def content(model, text):
    coded = model.tokenizer(text, return_special_tokens_mask=True)
    return np.flatnonzero(np.array(coded["special_tokens_mask"]) == 0)


@pytest.mark.parametrize("site", SITES)
def test_sites_equal_plain_hooks_on_single_texts(network, stimuli, site):
    for pool in ("last", "mean"):
        found = extract(network, stimuli, site=site, pool=pool, batch_size=3, progress=False)
        assert found.attrs["site"] == site and list(found) == layers(network)
        for row, text in enumerate(stimuli["text"]):
            inner = content(network, text)
            chosen = inner[-1:] if pool == "last" else inner
            for layer, state in one_by_one(network, text, site).items():
                np.testing.assert_allclose(
                    found[layer].values[row], state[chosen].mean(0), rtol=1e-5, atol=1e-5
                )


def test_widths_of_the_hidden_layer_differ_from_the_blocks(network, stimuli):
    found = extract(network, stimuli, 0, site="mlp_act", progress=False)
    width = 64 if network.name == "tiny-gpt2" else 24
    assert {array.shape[1] for array in found.values()} == {width}


def test_the_block_adds_up_from_its_sublayers(decoder, stimuli):
    block, before, attention, mlp = (
        extract(decoder, stimuli, site=site, progress=False)
        for site in ("block", "resid_pre", "attn_out", "mlp_out")
    )
    for layer in block:
        total = before[layer] + attention[layer] + mlp[layer]
        np.testing.assert_allclose(block[layer].values, total.values, rtol=1e-5, atol=1e-5)
    names = list(block)
    for deeper, layer in zip(names[1:], names, strict=False):
        np.testing.assert_array_equal(before[deeper].values, block[layer].values)


def test_the_gated_product_is_what_the_last_map_reads(build, stimuli):
    model = build["llama"]()
    found = extract(model, stimuli, site="mlp_act", progress=False)
    for layer in found:
        block = model.module.get_submodule(layer)
        given = {}
        handle = block.mlp.register_forward_pre_hook(lambda _m, args, given=given: given.update(x=args[0]))
        run(model, stimuli["text"][0])
        handle.remove()
        x = given["x"][0, -1].double().numpy()
        gate, up = (
            part.weight.detach().double().numpy() @ x for part in (block.mlp.gate_proj, block.mlp.up_proj)
        )
        np.testing.assert_allclose(
            found[layer].values[0], gate / (1 + np.exp(-gate)) * up, rtol=1e-4, atol=1e-5
        )


def test_words_are_read_at_sites_too(decoder, story):
    story = story.iloc[:8]
    found = extract_words(decoder, story, context=64, site="mlp_out", pool="last", progress=False)
    states = one_by_one(decoder, " ".join(story["text"]), "mlp_out")
    n = np.cumsum(found["n_tokens"].values) - 1
    for layer in found:
        np.testing.assert_allclose(found[layer].values, states[layer][n], rtol=1e-5, atol=1e-5)


def other_decoder(kind):
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0)
    shape = {**size, "intermediate_size": 24, "max_position_embeddings": 64}
    classes = {
        "parallel sublayers": (GPTNeoXForCausalLM, GPTNeoXConfig, shape),
        "norms after sublayers": (
            Gemma2ForCausalLM,
            Gemma2Config,
            {**shape, "head_dim": 8, "num_key_value_heads": 1},
        ),
        "parallel sublayers of one norm": (FalconForCausalLM, FalconConfig, size),
    }
    network, config, options = classes[kind]
    torch.manual_seed(0)
    module = network(config(vocab_size=320, **special, **options))
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.15 * torch.randn(weight.shape))
    return module.eval()


@pytest.mark.parametrize(
    "kind", ["parallel sublayers", "norms after sublayers", "parallel sublayers of one norm"]
)
def test_sublayers_of_other_structures_add_up_to_the_block(build, stimuli, kind):
    model = wrap(other_decoder(kind), build["gpt2"]().tokenizer, name=kind)
    block, *parts = (
        extract(model, stimuli, site=site, progress=False)
        for site in ("block", "resid_pre", "attn_out", "mlp_out")
    )
    for layer in block:
        total = sum(part[layer].values for part in parts)
        np.testing.assert_allclose(block[layer].values, total, rtol=1e-4, atol=1e-5)
        assert all(np.abs(part[layer].values).max() > 0.05 for part in parts)


class Odd(torch.nn.Module):
    """Blocks without attention, or with a sublayer that is scaled before it is added."""

    def __init__(self, scale, *, mixes):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.embed = torch.nn.Embedding(320, 8)
        self.h = torch.nn.ModuleList([Block(scale, mixes) for _ in range(2)])
        for weight in self.parameters():
            weight.data.normal_(generator=generator)

    def forward(self, input_ids, attention_mask=None):
        state = self.embed(input_ids)
        for block in self.h:
            state = block(state)
        return state


class Block(torch.nn.Module):
    def __init__(self, scale, mixes):
        super().__init__()
        self.scale, self.mixes = scale, mixes
        self.project, self.up, self.down = (torch.nn.Linear(8, 8) for _ in range(3))

    def forward(self, state):
        mixed = state.cumsum(1) if self.mixes else state
        state = state + self.scale * self.project(mixed)
        return state + self.down(self.up(state).relu())


def test_unknown_structures_are_refused_with_the_candidates(build, stimuli):
    tokenizer = build["gpt2"]().tokenizer
    plain = wrap(Odd(1.0, mixes=True).eval(), tokenizer, name="odd")
    assert extract(plain, stimuli, site="attn_out", progress=False)["h.0"].shape == (7, 8)
    for module, site, reason in (
        (Odd(1.0, mixes=False), "attn_out", "no linear map reads a state in which tokens are mixed"),
        (Odd(0.3, mixes=True), "attn_out", "no output from 'h.0.project' on is what the residual stream"),
    ):
        model = wrap(module.eval(), tokenizer, name="odd")
        with pytest.raises(
            LabelError, match=rf"site '{site}' was not found in 'h\.0': {reason}.*'project', "
        ):
            extract(model, stimuli, site=site, progress=False)
        assert extract(model, stimuli, site="resid_pre", progress=False)["h.0"].shape == (7, 8)


def test_other_sites_are_refused(network, stimuli):
    with pytest.raises(InvalidValueError, match="site must be one of 'block', 'attn_out'"):
        extract(network, stimuli, site="mlp", progress=False)
    with pytest.raises(InvalidValueError, match=r"use extraction\.extract_attention"):
        extract(network, stimuli, site="attention", progress=False)


def test_encoder_is_read_unless_the_decoder_is_asked_for(stimuli):
    from .conftest import t5

    encoder, decoder = t5(), t5("decoder")
    assert layers(encoder) == ["encoder.block.0", "encoder.block.1"]
    assert layers(decoder) == ["decoder.block.0", "decoder.block.1", "decoder.block.2"]
    calls = []
    handle = encoder.module.decoder.register_forward_pre_hook(lambda *_: calls.append(1))
    extract(encoder, stimuli, progress=False)
    handle.remove()
    assert not calls
    with pytest.raises(InvalidValueError, match="stack must be one of 'encoder', 'decoder'; got 'both'"):
        t5("both")


def test_stack_is_for_encoder_decoders_only(build):
    model = build["gpt2"]()
    with pytest.raises(LabelError, match="no encoder beside a decoder"):
        wrap(model.module, model.tokenizer, name="own", stack="decoder")


def patterns_by_hand(model, text):
    """Softmax of scaled scores of GPT-2, from its weights; (layer, head, query, key)."""
    found = []
    states = one_by_one(model, text, "resid_pre")
    for layer, state in states.items():
        block = model.module.get_submodule(layer)
        x = torch.tensor(state, dtype=torch.float32)
        with torch.no_grad():
            query, key, _ = block.attn.c_attn(block.ln_1(x)).split(16, dim=-1)
        query, key = (a.reshape(len(x), 2, 8).transpose(0, 1).double() for a in (query, key))
        scores = query @ key.transpose(1, 2) / np.sqrt(8)
        seen = torch.ones(len(x), len(x)).tril().bool()
        found.append(scores.masked_fill(~seen, -np.inf).softmax(-1).numpy())
    return np.stack(found)


def test_attention_patterns_equal_those_computed_from_the_weights(build, stimuli):
    model = build["gpt2"]()
    found = extract_attention(model, stimuli, batch_size=3, progress=False)
    for label, text in zip(stimuli["stimulus"], stimuli["text"], strict=True):
        expected = patterns_by_hand(model, text)
        assert found[label].dims == ("layer", "head", "query", "key")
        np.testing.assert_allclose(found[label].values, expected, rtol=1e-5, atol=1e-5)
        assert found[label]["token_id"].values.tolist() == model.tokenizer(text)["input_ids"]


def test_attention_patterns_do_not_depend_on_batches_or_layers(network, stimuli):
    before = getattr(network.module.config, "_attn_implementation", None)
    expected = run(network, "Rain falls.")[0]
    alone = extract_attention(network, stimuli, batch_size=1, progress=False)
    together = extract_attention(network, stimuli, -1, batch_size=7, progress=False)
    for label, pattern in together.items():
        np.testing.assert_allclose(pattern.values, alone[label].values[-1:], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(pattern.sum("key").values, 1, atol=1e-5)
        if network.is_causal or network.stack == "decoder":
            assert (np.triu(pattern.values, 1) == 0).all()
    assert network.module.config._attn_implementation == before
    assert torch.equal(run(network, "Rain falls.")[0], expected)


def test_the_setting_is_put_back_after_an_error(build, stimuli, monkeypatch):
    from neuroalign.extraction import attention

    model = build["llama"]()
    model.module.config._attn_implementation = "sdpa"

    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(attention, "_weights", broken)
    with pytest.raises(RuntimeError, match="broken"):
        extract_attention(model, stimuli, progress=False)
    assert model.module.config._attn_implementation == "sdpa"
    monkeypatch.setattr(attention, "_weights", lambda *_: None)
    with pytest.raises(NeuroalignError, match=r"of 'model\.layers\.0', .* nothing could be read"):
        extract_attention(model, stimuli, progress=False)


def test_finding_sites_leaves_the_network_as_it_was(network, hook_count, stimuli):
    weights, hooks = state_digest(network.module), hook_count(network)
    again = wrap(network.module, network.tokenizer, name=network.name, stack=network.stack)
    assert again.sites == network.sites
    assert state_digest(network.module) == weights == network.digest and hook_count(network) == hooks
    empty = pd.DataFrame({"stimulus": ["a"], "text": ["Rain."]})
    assert extract(network, empty, site="attn_out", progress=False).sizes["stimulus"] == 1


def test_sublayers_that_are_both_scaled_are_no_gain_of_the_stream(build, stimuli):
    class Scaled(Block):
        def forward(self, state):
            state = state + 0.3 * self.project(state.cumsum(1))
            return state + 0.7 * self.down(self.up(state).relu())

    module = Odd(1.0, mixes=True)
    module.h = torch.nn.ModuleList([Scaled(1.0, True) for _ in range(2)])
    model = wrap(module.eval(), build["gpt2"]().tokenizer, name="odd")
    for site, last in (("attn_out", "project"), ("mlp_out", "down")):
        reason = f"no output from 'h.0.{last}' on is what the residual stream gains"
        with pytest.raises(LabelError, match=f"site '{site}' was not found in 'h.0': {reason}"):
            extract(model, stimuli, site=site, progress=False)


def test_blocks_must_give_states(build):
    class Mapping(Block):
        def forward(self, state):
            return {"state": state}

    class Inside(Odd):
        def forward(self, input_ids, attention_mask=None):
            return self.h[0](self.embed(input_ids))["state"]

    module = Inside(1.0, mixes=True)
    module.h = torch.nn.ModuleList([Mapping(1.0, True)])
    with pytest.raises(NeuroalignError, match=r"'h.0' must give a tensor .*; got dict"):
        wrap(module.eval(), build["gpt2"]().tokenizer, name="odd")
