from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.extraction import extract, lesion, prepare_sentences, sentence_log_probs
from neuroalign.extraction.models import state_digest
from neuroalign.schema import make_mask


def layout(model):
    layer = np.concatenate([np.full(width, name) for name, width in model.widths.items()])
    index = np.concatenate([np.arange(width) for width in model.widths.values()])
    return layer, index


def random_mask(model, rng, share=0.2):
    layer, index = layout(model)
    return make_mask(rng.random(layer.size) < share, layer=layer, site="block", index=index)


def run(model, text="The quiet cat sleeps on the stone."):
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return model.module(input_ids=ids)[0].numpy()


def test_lesion_equals_zeroing_by_hand(model, stimuli, rng):
    mask = random_mask(model, rng)
    handles = []
    for name in model.widths:
        units = mask["index"].values[mask.values & (mask["layer"].values == name)]

        def zero(_module, _inputs, output, units=units):
            (output[0] if isinstance(output, tuple) else output)[..., units] = 0.0

        handles.append(model.module.get_submodule(name).register_forward_hook(zero))
    expected = run(model)
    for handle in handles:
        handle.remove()
    intact = run(model)
    with lesion(model, mask):
        np.testing.assert_array_equal(run(model), expected)
        found = extract(model, stimuli, progress=False)
    for name in model.widths:
        units = mask["index"].values[mask.values & (mask["layer"].values == name)]
        assert (found[name].values[:, units] == 0).all()
    assert not np.array_equal(expected, intact)


def test_mean_mode_puts_the_given_values(model, stimuli, rng):
    mask = random_mask(model, rng)
    values = rng.normal(size=mask.size)
    with lesion(model, mask, mode="mean", values=values):
        found = extract(model, stimuli, progress=False)
    for name in model.widths:
        chosen = mask.values & (mask["layer"].values == name)
        units = mask["index"].values[chosen]
        expected = np.broadcast_to(values[chosen].astype(np.float32), (len(stimuli), units.size))
        np.testing.assert_array_equal(found[name].values[:, units], expected)


@pytest.mark.parametrize("error", [None, RuntimeError("broken"), KeyboardInterrupt(), GeneratorExit()])
def test_model_is_bit_identical_afterwards(model, rng, hook_count, error):
    weights, hooks, before = state_digest(model.module), hook_count(model), run(model)
    try:
        with lesion(model, random_mask(model, rng)):
            run(model)
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt, GeneratorExit) as raised:
        assert raised is error
    assert hook_count(model) == hooks and state_digest(model.module) == weights and not model.lesions
    np.testing.assert_array_equal(run(model), before)


def test_model_is_bit_identical_after_an_error_inside_the_network(model, rng, hook_count):
    hooks, before = hook_count(model), run(model)
    with pytest.raises((IndexError, RuntimeError)), lesion(model, random_mask(model, rng)):
        model.module(input_ids=torch.tensor([[10**6]]))
    assert hook_count(model) == hooks
    np.testing.assert_array_equal(run(model), before)


def test_empty_mask_changes_nothing(model, rng, hook_count):
    before, hooks = run(model), hook_count(model)
    with lesion(model, random_mask(model, rng, share=-1)):
        np.testing.assert_array_equal(run(model), before)
        assert hook_count(model) == hooks


def test_nested_lesions_add_up(model, rng):
    first, second = random_mask(model, rng), random_mask(model, rng)
    with lesion(model, first | second):
        expected = run(model)
    with lesion(model, first):
        with lesion(model, second):
            np.testing.assert_array_equal(run(model), expected)
        inner = run(model)
    with lesion(model, first):
        np.testing.assert_array_equal(run(model), inner)


def test_several_masks_in_one_batch_equal_one_by_one(decoder, rng):
    sentences = ["The quiet cat sleeps.", "The quiet cat rises.", "Rain falls.", "Nobody knows why."]
    masks = [random_mask(decoder, rng) for _ in range(3)]
    prepared = prepare_sentences(decoder, sentences, prefix="<|endoftext|>", n_masks=3)
    with lesion(decoder, masks):
        together = sentence_log_probs(decoder, prepared, progress=False)
    assert together.shape == (3, 4)
    for mask, row in zip(masks, together, strict=True):
        with lesion(decoder, mask):
            alone = sentence_log_probs(decoder, sentences, prefix="<|endoftext|>", progress=False)
        np.testing.assert_allclose(row, alone, atol=1e-4)


def test_activations_under_a_lesion_have_another_key(model, stimuli, rng):
    intact = extract(model, stimuli, progress=False).attrs["key"]
    with lesion(model, random_mask(model, rng)):
        hurt = extract(model, stimuli, progress=False).attrs["key"]
    assert intact != hurt and extract(model, stimuli, progress=False).attrs["key"] == intact


def test_errors_say_what_and_where(model, rng):
    mask = random_mask(model, rng)
    layer, index = layout(model)
    name = next(iter(model.widths))

    def other(**changed):
        parts = {"layer": layer, "site": "block", "index": index, **changed}
        return make_mask(mask.values, **parts)

    cases = [
        (LabelError, "has no layers 'h.77'", other(layer=np.where(index == 0, "h.77", layer)), {}),
        (InvalidValueError, f"index must be 0 to 15 in layer '{name}'; got 99", other(index=index + 99), {}),
        (InvalidValueError, "at site 'block'; got 'mlp'", other(site="mlp"), {}),
        (LabelError, "named twice", other(index=index * 0), {}),
        (InvalidValueError, "mode must be one of 'zero', 'mean'; got 'noise'", mask, {"mode": "noise"}),
        (InvalidValueError, "mode='mean' needs values", mask, {"mode": "mean"}),
        (InvalidValueError, "mode='zero' takes none", mask, {"values": np.zeros(48)}),
        (ShapeError, r"values must have shape \(48,\)", mask, {"mode": "mean", "values": np.zeros(3)}),
        (LabelError, "must have the same units", [mask, mask.isel(unit=slice(None, None, -1))], {}),
        (InvalidValueError, "no mask was given", [], {}),
    ]
    for error, text, masks, options in cases:
        with pytest.raises(error, match=text), lesion(model, masks, **options):
            pass
        assert not model.lesions
    with lesion(model, [mask] * 3), pytest.raises(ShapeError, match=r"3 masks are in force, .* 1 rows"):
        run(model)
