"""Mistakes that give numbers and no error, each with the wrong number beside ours."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from neuroalign.extraction import extract, extract_attention, extract_moments, wrap


def table_of(*texts, **columns):
    return pd.DataFrame({"stimulus": [f"s{i}" for i in range(len(texts))], "text": texts, **columns})


SHORT, LONG = "Stone.", "The river that the cat crossed was wide, cold and loud in the night."


def padded(model, texts, side):
    """Token ids and mask as a tokenizer pads them."""
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.padding_side = side
    coded = tokenizer(texts, padding=True, return_tensors="pt")
    return coded["input_ids"], coded["attention_mask"]


def block_states(model, ids, **given):
    """The last block's whole output (n_rows, n_tokens, n_units)."""
    found = []
    block = model.module.get_submodule(list(model.widths)[-1])
    handle = block.register_forward_hook(
        lambda _m, _a, output: found.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        model.module(input_ids=ids, **given)
    handle.remove()
    return found[0].numpy()


def last(model, *texts, **options):
    found = extract(model, table_of(*texts), -1, progress=False, **options)
    return next(iter(found.values())).values


def test_last_hidden_state_is_after_the_final_norm_and_ours_before(decoder):
    ids = torch.tensor([decoder.tokenizer(LONG)["input_ids"]])
    with torch.no_grad():
        states = decoder.module(input_ids=ids, output_hidden_states=True).hidden_states
    trap = states[-1][0, -1].numpy()
    norm = next(
        part for name, part in decoder.module.named_modules() if name.endswith(("ln_f", "model.norm"))
    )
    ours = last(decoder, LONG)[0]
    assert np.abs(ours - trap).max() > 0.1
    with torch.no_grad():
        normed = norm(torch.tensor(ours)).numpy()
    np.testing.assert_allclose(normed, trap, rtol=1e-4, atol=1e-5)


def test_right_padding_has_garbage_at_the_last_position(decoder):
    ids, mask = padded(decoder, [SHORT, LONG], "right")
    trap = block_states(decoder, ids, attention_mask=mask)[0, -1]
    alone = block_states(decoder, torch.tensor([decoder.tokenizer(SHORT)["input_ids"]]))[0, -1]
    ours = last(decoder, SHORT, LONG)[0]
    np.testing.assert_allclose(ours, alone, rtol=1e-5, atol=1e-5)
    assert np.abs(trap - alone).max() > 0.05


def test_left_padding_without_positions_shifts_absolute_ones_and_ours_has_none(build):
    model = build["gpt2"]()
    ids, mask = padded(model, [SHORT, LONG], "left")
    alone = block_states(model, torch.tensor([model.tokenizer(SHORT)["input_ids"]]))[0, -1]
    positions = torch.arange(ids.shape[1])[None].expand_as(ids)
    trap = block_states(model, ids, attention_mask=mask, position_ids=positions)[0, -1]
    right = block_states(model, ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0))[
        0, -1
    ]
    model.tokenizer.padding_side = "left"
    ours = last(model, SHORT, LONG)[0]
    assert np.abs(trap - alone).max() > 0.05
    np.testing.assert_allclose(right, alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours, alone, rtol=1e-5, atol=1e-5)


def test_mean_over_the_pads_confounds_length_and_ours_does_not(decoder):
    ids, mask = padded(decoder, [SHORT, LONG], "right")
    trap = block_states(decoder, ids, attention_mask=mask)[0].mean(0)
    alone = block_states(decoder, torch.tensor([decoder.tokenizer(SHORT)["input_ids"]]))[0].mean(0)
    ours = last(decoder, SHORT, LONG, pool="mean")[0]
    assert np.abs(trap - alone).max() > 0.05
    np.testing.assert_allclose(ours, alone, rtol=1e-5, atol=1e-5)


def shifted(model):
    """The network with a last block whose units have a mean of 1,000 and a sd of about 0.5."""
    module = copy.deepcopy(model.module)
    block = module.get_submodule(list(model.widths)[-1])

    def shift(_module, _args, output):
        state = output[0] if isinstance(output, tuple) else output
        state = 1000 + 0.5 * (state - state.mean(-1, keepdim=True)) / state.std(-1, keepdim=True)
        return (state, *output[1:]) if isinstance(output, tuple) else state

    block.register_forward_hook(shift)
    return wrap(module, model.tokenizer, name="shifted")


def test_float32_sums_of_squares_lose_the_variance_and_ours_keep_it(decoder, stimuli):
    model = shifted(decoder)
    table = pd.concat([stimuli.assign(text=[f"{text} {k}" for text in stimuli["text"]]) for k in range(20)])
    table = table.assign(stimulus=np.arange(len(table)), half=np.arange(len(table)) % 2)
    found = extract_moments(model, table, -1, by="half", progress=False)
    (values,) = (array.values for array in extract(model, table, -1, progress=False).values())
    for half in (0, 1):
        x = values[half::2].astype(np.float64)
        expected = ((x - x.mean(0)) ** 2).sum(0)
        narrow = values[half::2]
        trap = (narrow**2).sum(0) - narrow.sum(0) ** 2 / np.float32(len(x))
        np.testing.assert_allclose(found["m2"].values[half], expected, rtol=1e-5)
        assert np.abs(trap / expected - 1).max() > 0.05


def test_dead_units_have_no_variance_at_all(decoder, stimuli):
    module = copy.deepcopy(decoder.module)
    block = module.get_submodule(list(decoder.widths)[-1])

    def kill(_module, _args, output):
        state = (output[0] if isinstance(output, tuple) else output).clone()
        state[..., 3] = 0.1
        return (state, *output[1:]) if isinstance(output, tuple) else state

    block.register_forward_hook(kill)
    model = wrap(module, decoder.tokenizer, name="dead")
    found = extract_moments(model, stimuli, -1, by=(), batch_size=2, progress=False)
    assert found["m2"].values[0, 3] == 0 and (np.delete(found["m2"].values[0], 3) > 0).all()


def test_bfloat16_is_cast_and_its_ties_are_kept(decoder, stimuli):
    module = copy.deepcopy(decoder.module).to(torch.bfloat16)
    model = wrap(module, decoder.tokenizer, name="half")
    found = extract(model, stimuli, progress=False)
    assert found.attrs["dtype"] == "bfloat16"
    for layer in found:
        values = found[layer].values
        assert values.dtype == np.float32
        np.testing.assert_array_equal(torch.tensor(values).bfloat16().float().numpy(), values)
    moments = extract_moments(model, stimuli, by=(), progress=False)
    values = np.concatenate([found[layer].values for layer in found], axis=1).astype(np.float64)
    np.testing.assert_allclose(moments["mean"].values[0], values.mean(0), rtol=1e-10, atol=1e-12)
    assert extract(model, stimuli, site="mlp_out", progress=False)[layer].dtype == np.float32


def test_special_tokens_are_counted_and_recorded(network):
    text = "Rain falls."
    ids = network.tokenizer(text)["input_ids"]
    found = extract(network, table_of(text), progress=False)
    assert found["n_tokens"].item() == len(ids)
    (pattern,) = extract_attention(network, table_of(text), -1, progress=False).values()
    assert pattern["token_id"].values.tolist() == ids
    changed = copy.deepcopy(network.tokenizer)
    changed.backend_tokenizer.post_processor = _with_end(changed)
    other = wrap(network.module, changed, name=network.name, stack=network.stack)
    again = extract(other, table_of(text), progress=False)
    assert again["n_tokens"].item() == len(changed(text)["input_ids"]) != len(ids)
    assert again.attrs["tokens_digest"] != found.attrs["tokens_digest"]
    assert again.attrs["key"] != found.attrs["key"]


def _with_end(tokenizer):
    from tokenizers import processors

    token = tokenizer.pad_token
    end = [(token, tokenizer.pad_token_id)]
    return processors.TemplateProcessing(single=f"$A {token} {token} {token}", special_tokens=end)


@pytest.mark.parametrize("call", [extract, extract_moments])
def test_key_follows_everything_that_decides_the_values(decoder, call):
    texts = [SHORT, LONG, "Rain falls."]

    def key(model=decoder, texts=texts, **options):
        extra = {"by": ()} if call is extract_moments else {}
        table = table_of(*texts)
        return call(model, table, progress=False, **extra, **options).attrs["key"]

    first = key()
    weight, half = copy.deepcopy(decoder.module), copy.deepcopy(decoder.module).to(torch.bfloat16)
    with torch.no_grad():
        next(weight.parameters()).view(torch.int32)[5, 3] ^= 1  # the last bit of one weight
    same = wrap(copy.deepcopy(decoder.module), copy.deepcopy(decoder.tokenizer), name="another name")
    assert key() == key(same) == key(texts=list(texts)) == key(batch_size=1) == first
    changed = {
        "one byte": key(texts=[SHORT, LONG, "Rain fells."]),
        "one weight": key(wrap(weight, decoder.tokenizer, name="tiny")),
        "token cap": key(max_tokens=60),
        "dtype": key(wrap(half, decoder.tokenizer, name="tiny")),
        "site": key(site="attn_out"),
        "other site": key(site="mlp_out"),
        "pool": key(pool="mean"),
        "layers": key(layers=[0]),
        "order": key(texts=texts[::-1]),
    }
    assert len({first, *changed.values()}) == 1 + len(changed)
