from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.extraction import SITES, extract, lesion, prepare_sentences, sentence_log_probs
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


@pytest.mark.goal("R16", "exits of lesion, five kinds of network")
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


@pytest.mark.goal("R16", "exits of lesion, five kinds of network")
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
        (InvalidValueError, "mask: site must be one of 'block', .*; got 'mlp'", other(site="mlp"), {}),
        (LabelError, "named twice", other(index=index * 0), {}),
        (
            InvalidValueError,
            "mode must be one of 'zero', 'mean', 'resample'; got 'noise'",
            mask,
            {"mode": "noise"},
        ),
        (InvalidValueError, "mode='mean' needs values", mask, {"mode": "mean"}),
        (InvalidValueError, "mode='zero' takes none", mask, {"values": np.zeros(48)}),
        (
            ShapeError,
            r"values must have shape \(n_units,\), n_units = 48,",
            mask,
            {"mode": "mean", "values": np.zeros(3)},
        ),
        (LabelError, "must have the same units", [mask, mask.isel(unit=slice(None, None, -1))], {}),
        (InvalidValueError, "no mask was given", [], {}),
    ]
    for error, text, masks, options in cases:
        with pytest.raises(error, match=text), lesion(model, masks, **options):
            pass
        assert not model.lesions
    with lesion(model, [mask] * 3), pytest.raises(ShapeError, match=r"3 masks are in force, .* 1 rows"):
        run(model)


def layout_at(model, site):
    if site == "block":
        return layout(model)
    widths = {layer: model.sites[layer].found[site].width for layer in model.widths}
    layer = np.concatenate([np.full(width, name) for name, width in widths.items()])
    return layer, np.concatenate([np.arange(width) for width in widths.values()])


def mask_at(model, site, rng, share=0.3):
    layer, index = layout_at(model, site)
    return make_mask(rng.random(layer.size) < share, layer=layer, site=site, index=index)


def site_values(model, stimuli, site):
    """The activations of all units at a site, (n_stimuli, n_units), in the layout of masks."""
    found = extract(model, stimuli, site=site, progress=False)
    return np.concatenate([found[layer].values for layer in found], axis=1)


def outputs(model):
    ids = torch.tensor([model.tokenizer("The quiet cat sleeps.")["input_ids"]])
    given = model.reads(ids, torch.ones_like(ids))
    if model.name == "tiny-t5":
        given["decoder_input_ids"] = ids
    with torch.no_grad():
        return model.module(**given)[0].numpy()


@pytest.mark.parametrize("site", SITES)
def test_sites_hold_what_was_put_there(network, stimuli, rng, site):
    mask, before = mask_at(network, site, rng), outputs(network)
    values = rng.normal(size=mask.size)
    with lesion(network, mask, mode="mean", values=values):
        found = site_values(network, stimuli, site)
        hurt = outputs(network)
    chosen = mask.values
    np.testing.assert_array_equal(
        found[:, chosen], np.tile(values[chosen].astype(np.float32), (len(stimuli), 1))
    )
    assert not np.allclose(hurt, before)
    np.testing.assert_array_equal(outputs(network), before)


def test_zeroed_contribution_keeps_what_came_in(network, stimuli, rng):
    mask = mask_at(network, "block", rng)
    with lesion(network, mask, target="contribution"):
        before, after = (site_values(network, stimuli, site) for site in ("resid_pre", "block"))
    np.testing.assert_array_equal(after[:, mask.values], before[:, mask.values])
    assert (after[:, ~mask.values] != before[:, ~mask.values]).mean() > 0.99


def test_contribution_is_replaced_by_the_values(network, stimuli, rng):
    mask = mask_at(network, "block", rng)
    values = rng.normal(size=mask.size)
    with lesion(network, mask, mode="mean", values=values, target="contribution"):
        before, after = (site_values(network, stimuli, site) for site in ("resid_pre", "block"))
    expected = (before + values.astype(np.float32))[:, mask.values]
    np.testing.assert_allclose(after[:, mask.values], expected, rtol=1e-6, atol=1e-6)


def test_one_mask_may_name_several_sites(decoder, stimuli):
    one, other = (mask_at(decoder, site, np.random.default_rng(1)) for site in ("attn_out", "mlp_out"))
    both = make_mask(
        np.concatenate([one.values, other.values]),
        **{name: np.concatenate([one[name].values, other[name].values]) for name in one.coords},
    )
    with lesion(decoder, both):
        before, after = (site_values(decoder, stimuli, site) for site in ("resid_pre", "block"))
    np.testing.assert_allclose(after[:, one.values], before[:, one.values], rtol=1e-6, atol=1e-6)
    assert (after[:, ~one.values] != before[:, ~one.values]).mean() > 0.99


@pytest.mark.parametrize("site", ["block", "mlp_act"])
def test_resampled_units_are_those_of_one_other_stimulus(network, stimuli, rng, site):
    mask = mask_at(network, site, rng)
    values = site_values(network, stimuli, site)
    draws = np.random.default_rng(4).integers(len(values), size=len(stimuli))
    lengths = extract(network, stimuli, progress=False)["n_tokens"].values
    order = np.argsort(-lengths, kind="stable")
    with lesion(network, mask, mode="resample", values=values, rng=np.random.default_rng(4)):
        found = site_values(network, stimuli, site)
    np.testing.assert_array_equal(found[order][:, mask.values], values[draws][:, mask.values])


def test_resampling_draws_anew_in_every_pass(decoder, stimuli, rng):
    mask = mask_at(decoder, "block", rng)
    values = site_values(decoder, stimuli, "block")
    with lesion(decoder, mask, mode="resample", values=values, rng=np.random.default_rng(0)):
        seen = {outputs(decoder).tobytes() for _ in range(20)}
    assert 2 < len(seen) <= len(stimuli)


@pytest.mark.parametrize(
    ("site", "mode", "target"),
    [
        ("block", "mean", "state"),
        ("block", "zero", "contribution"),
        ("block", "resample", "contribution"),
        ("block", "resample", "state"),
        ("attn_out", "resample", "state"),
        ("mlp_act", "zero", "state"),
        ("mlp_out", "mean", "state"),
    ],
)
def test_several_masks_work_with_every_mode(decoder, stimuli, rng, site, mode, target):
    masks = [mask_at(decoder, site, rng) for _ in range(3)]
    values = site_values(decoder, stimuli, site)
    given = {"zero": None, "mean": values.mean(0), "resample": values}[mode]

    def hurt(masks, rows):
        drawn = np.random.default_rng(3) if mode == "resample" else None
        with (
            lesion(decoder, masks, mode=mode, values=given, target=target, rng=drawn),
            torch.no_grad(),
        ):
            return decoder.module(input_ids=rows).logits.numpy()

    rows = torch.tensor([decoder.tokenizer(text)["input_ids"][:5] for text in stimuli["text"][:3]])
    together = hurt(masks, rows.repeat(3, 1)).reshape(3, 3, 5, -1)
    for mask, found in zip(masks, together, strict=True):
        np.testing.assert_allclose(found, hurt(mask, rows), rtol=1e-4, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-2


@pytest.mark.goal("R16", "exits of lesion, five kinds of network")
@pytest.mark.parametrize("error", [None, RuntimeError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize(("site", "target"), [("block", "contribution"), ("attn_out", "state")])
def test_network_is_bit_identical_after_every_mode(network, stimuli, hook_count, error, site, target):
    rng = np.random.default_rng(0)
    weights, hooks, before = state_digest(network.module), hook_count(network), outputs(network)
    values = site_values(network, stimuli, site)
    for mode, given in (("zero", None), ("mean", values[0]), ("resample", values)):
        drawn = rng if mode == "resample" else None
        try:
            with lesion(
                network, mask_at(network, site, rng), mode=mode, values=given, target=target, rng=drawn
            ):
                assert not np.array_equal(outputs(network), before)
                if error is not None:
                    raise error
        except (RuntimeError, KeyboardInterrupt) as raised:
            assert raised is error
        assert hook_count(network) == hooks and state_digest(network.module) == weights
        assert not network.lesions
        np.testing.assert_array_equal(outputs(network), before)


def test_every_choice_of_a_lesion_changes_the_key(decoder, stimuli, rng):
    mask = mask_at(decoder, "block", rng)
    values = site_values(decoder, stimuli, "block")
    keys = []
    for options in (
        {},
        {"target": "contribution"},
        {"mode": "mean", "values": values[0]},
        {"mode": "mean", "values": values[1]},
        {"mode": "resample", "values": values, "rng": np.random.default_rng(0)},
        {"mode": "resample", "values": values, "rng": np.random.default_rng(1)},
    ):
        with lesion(decoder, mask, **options):
            keys.append(extract(decoder, stimuli, -1, progress=False).attrs["key"])
    assert len(set(keys)) == len(keys)


def test_other_modes_say_what_they_need(model, rng):
    mask, values = mask_at(model, "block", rng), np.zeros((2, 48))
    drawn = np.random.default_rng(0)
    for error, text, given, options in (
        (
            InvalidValueError,
            "mode='resample' needs rng, a numpy.random.Generator",
            mask,
            {"mode": "resample", "values": values},
        ),
        (InvalidValueError, "and other modes none; got mode='zero'", mask, {"rng": drawn}),
        (
            InvalidValueError,
            r"mode='resample' needs values: what each unit is replaced by \(n_rows, n_units\)",
            mask,
            {"mode": "resample", "rng": drawn},
        ),
        (
            ShapeError,
            r"values must have shape \(n_rows, n_units\), n_units = 48, .*; got \(2, 3\)",
            mask,
            {"mode": "resample", "values": values[:, :3], "rng": drawn},
        ),
        (InvalidValueError, "target must be one of 'state', 'contribution'", mask, {"target": "both"}),
        (
            InvalidValueError,
            "target='contribution' is for site 'block'; the mask has 'mlp_out'",
            mask_at(model, "mlp_out", rng),
            {"target": "contribution"},
        ),
    ):
        with pytest.raises(error, match=text), lesion(model, given, **options):
            pass
        assert not model.lesions


def test_masks_and_values_of_another_kind_are_refused(model, rng):
    mask = mask_at(model, "block", rng)
    with pytest.raises(InvalidValueError, match="bool"), lesion(model, mask.astype(float)):
        pass
    values = mask.astype(float).isel(unit=slice(None, None, -1))
    message = r"values must have the mask's units \(layer, site, index\) in the same order"
    with pytest.raises(LabelError, match=message), lesion(model, mask, mode="mean", values=values):
        pass
    assert not model.lesions
