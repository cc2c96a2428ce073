"""R16: whatever ends an extraction or a lesion, hooks are gone and the network is as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from laws import STIMULI, TEXTS, WORDS
from tiny import build, mask_of

from neuroalign import extraction
from neuroalign.errors import NeuroalignError
from neuroalign.extraction.models import state_digest

ERRORS = {
    "an exception": RuntimeError("broken"),
    "an interrupt": KeyboardInterrupt(),
    "no memory": torch.OutOfMemoryError("CUDA out of memory"),
}
QUIET = {"progress": False}


def under_a_lesion(model, body):
    with extraction.lesion(model, mask_of(model, np.random.default_rng(0))):
        return body(model)


CALLS = {
    "extract": lambda m: extraction.extract(m, STIMULI, batch_size=3, **QUIET),
    "extract_moments": lambda m: extraction.extract_moments(m, STIMULI, batch_size=3, **QUIET),
    "extract_words": lambda m: extraction.extract_words(
        m, WORDS, context=16, stride=8, batch_size=2, **QUIET
    ),
    "extract_attention": lambda m: extraction.extract_attention(m, STIMULI, batch_size=3, **QUIET),
    "sentence_log_probs": lambda m: extraction.sentence_log_probs(m, TEXTS, **QUIET),
    "token_log_probs": lambda m: extraction.token_log_probs(m, TEXTS, **QUIET),
    "lesion": lambda m: under_a_lesion(m, CALLS["extract"]),
    "lesion, log probabilities": lambda m: under_a_lesion(m, CALLS["sentence_log_probs"]),
}


def n_hooks(module):
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def state(model):
    """All that a call could leave behind."""
    module = model.module
    modes = [part.training for part in module.modules()]
    grads = [weight.requires_grad for weight in module.parameters()]
    config = (getattr(module.config, "_attn_implementation", None), module.config.to_json_string())
    return state_digest(module), n_hooks(module), list(model.lesions), modes, grads, config


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return build()


@pytest.mark.parametrize("call", list(CALLS))
def test_the_network_is_as_before_after_every_exit(model, call, tried):
    before, expected, bad = state(model), values(CALLS["extract"](model)), []
    deep = model.module.get_submodule(list(model.widths)[-1])
    for why, error in ERRORS.items():

        def broken(*_, error=error):
            raise error

        handle = deep.register_forward_pre_hook(broken)
        try:
            CALLS[call](model)
            bad.append(f"{why}: no error came out")
        except (RuntimeError, KeyboardInterrupt, NeuroalignError):
            pass
        finally:
            handle.remove()
        bad += [] if state(model) == before else [f"{why}: the network is not as before"]
    CALLS[call](model)
    bad += [] if state(model) == before else ["an ordinary end: the network is not as before"]
    if not np.array_equal(values(CALLS["extract"](model)), expected):
        bad.append("activations afterwards are others")
    tried("R16", f"exits of {call.split(',')[0]}: ordinary, exception, interrupt, out of memory", 4, bad)


def values(found):
    return np.concatenate([found[name].values for name in found if found[name].dtype.kind == "f"], axis=1)


@pytest.mark.parametrize("why", list(ERRORS))
def test_a_module_for_images_is_as_before_after_every_exit(why, tried):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    images = xr.DataArray(
        np.random.default_rng(0).standard_normal((5, 1, 6, 6)).astype(np.float32),
        dims=("stimulus", "channel", "y", "x"),
        coords={"stimulus": list("abcde")},
    )
    before = state_digest(module), n_hooks(module)

    def broken(*_):
        raise ERRORS[why]

    handle = module[2].register_forward_pre_hook(broken)
    bad = []
    try:
        extraction.extract_arrays(module, images, ["0", "1", "2"], batch_size=2, **QUIET)
        bad.append("no error came out")
    except (RuntimeError, KeyboardInterrupt, NeuroalignError):
        pass
    finally:
        handle.remove()
    bad += [] if (state_digest(module), n_hooks(module)) == before else ["the module is not as before"]
    tried("R16", "exits of extract_arrays", 1, bad)
