from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from neuroalign import io
from neuroalign.errors import FileError, InvalidValueError, LabelError, NeuroalignError
from neuroalign.extraction import SITES, extract, reading, running, wrap
from neuroalign.io.layers import layer_attrs, layer_names, read_layer


def close(a: xr.Dataset, b: xr.Dataset, tolerance: float = 1e-5) -> None:
    assert list(a) == list(b)
    for layer in a:
        np.testing.assert_allclose(a[layer].values, b[layer].values, rtol=tolerance, atol=tolerance)


def content(model, text):
    coded = model.tokenizer(text, return_special_tokens_mask=True)
    return coded["input_ids"], np.flatnonzero(np.array(coded["special_tokens_mask"]) == 0)


@pytest.mark.parametrize("pool", ["last", "mean", "first"])
def test_extract_equals_single_runs_without_padding(model, stimuli, block_outputs, pool):
    found = extract(model, stimuli, pool=pool, progress=False)
    for row, text in enumerate(stimuli["text"]):
        ids, inner = content(model, text)
        chosen = {"last": inner[-1:], "mean": inner, "first": [0]}[pool]
        for layer, state in block_outputs(model, ids).items():
            np.testing.assert_allclose(found[layer].values[row], state[chosen].mean(0), rtol=1e-5, atol=1e-5)
        assert found["n_tokens"].values[row] == len(ids)


@pytest.mark.goal("R17", "networks under batch sizes, padding, sites")
@pytest.mark.parametrize("pool", ["last", "mean"])
def test_batch_size_and_padding_side_never_matter(build, stimuli, pool):
    for name, make in build.items():
        right = make()
        tokenizer = copy.deepcopy(right.tokenizer)
        tokenizer.padding_side = "left"
        left = wrap(right.module, tokenizer, name=name)
        expected = extract(right, stimuli, pool=pool, batch_size=1, progress=False)
        for batch_size in (2, 7, 100):
            for model in (right, left):
                close(extract(model, stimuli, pool=pool, batch_size=batch_size, progress=False), expected)


@pytest.mark.goal("R17", "networks under batch sizes, padding, sites")
@pytest.mark.parametrize("site", SITES)
def test_batch_size_never_matters_at_any_site(network, stimuli, site):
    expected = extract(network, stimuli, site=site, pool="mean", batch_size=1, progress=False)
    for batch_size in (2, 7):
        found = extract(network, stimuli, site=site, pool="mean", batch_size=batch_size, progress=False)
        close(found, expected)


def test_rows_stand_in_the_order_of_the_stimuli(model, stimuli):
    expected = extract(model, stimuli, batch_size=2, progress=False)
    mixed = extract(model, stimuli.iloc[::-1], batch_size=3, progress=False)
    assert mixed["stimulus"].values.tolist() == stimuli["stimulus"].tolist()[::-1]
    close(mixed.sel(stimulus=stimuli["stimulus"].tolist()), expected)


def test_last_block_is_before_the_final_norm(decoder):
    text = "The quiet cat sleeps."
    found = extract(decoder, pd.DataFrame({"stimulus": ["a"], "text": [text]}), layers=-1, progress=False)
    ids = torch.tensor([decoder.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        normed = decoder.module(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1].numpy()
    assert np.abs(found[next(iter(found))].values[0] - normed).max() > 0.1


def test_bare_module_with_blocks_that_return_tuples_is_read(build, stimuli):
    class Tupled(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, *args, **kwargs):
            return (self.inner(*args, **kwargs), "something else")

    class Plain(torch.nn.Module):
        def __init__(self, wrapper):
            super().__init__()
            generator = torch.Generator().manual_seed(3)
            self.embed = torch.nn.Embedding(320, 8)
            self.embed.weight.data.normal_(generator=generator)
            self.blocks = torch.nn.ModuleList([wrapper(torch.nn.Tanh()) for _ in range(2)])

        def forward(self, input_ids):
            state = self.embed(input_ids)
            for block in self.blocks:
                out = block(state)
                state = out[0] if isinstance(out, tuple) else out
            return state

    tokenizer = build["gpt2"]().tokenizer
    first, second = (
        extract(wrap(Plain(kind).eval(), tokenizer, name="own"), stimuli, progress=False)
        for kind in (Tupled, lambda x: torch.nn.Sequential(x))
    )
    np.testing.assert_array_equal(first["blocks.1"].values, second["blocks.1"].values)


def test_early_stop_gives_the_same_and_leaves_no_hooks(model, stimuli, hook_count, monkeypatch):
    everything = extract(model, stimuli, progress=False)
    before = hook_count(model)
    calls = []
    names = list(model.widths)
    deeper = model.module.get_submodule(names[2])
    handle = deeper.register_forward_hook(lambda *_: calls.append(1))
    found = extract(model, stimuli, layers=[1, names[0]], progress=False)
    handle.remove()
    assert list(found) == names[:2] and not calls
    close(found, everything[names[:2]])
    assert hook_count(model) == before


@pytest.mark.goal("R16", "exits of extract, three kinds of network")
def test_hooks_are_gone_after_an_exception_and_an_interrupt(model, stimuli, hook_count, monkeypatch):
    before = hook_count(model)
    for error in (RuntimeError("broken"), KeyboardInterrupt()):

        def broken(*_, error=error, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(reading, "_pooled", broken)
            with pytest.raises(type(error)):
                extract(model, stimuli, progress=False)
        assert hook_count(model) == before


@pytest.mark.goal("R16", "exits of extract, three kinds of network")
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("out of memory")]
)
def test_batch_is_halved_when_memory_runs_out(model, stimuli, hook_count, monkeypatch, error):
    expected, seen, pooled = extract(model, stimuli, progress=False), [], reading._pooled

    def small(taken, local, n_rows, *, total):
        seen.append(n_rows)
        if n_rows > 2:
            raise error
        return pooled(taken, local, n_rows, total=total)

    monkeypatch.setattr(reading, "_pooled", small)
    before = hook_count(model)
    close(extract(model, stimuli, batch_size=7, progress=False), expected)
    assert seen[:3] == [7, 3, 1] and hook_count(model) == before


def test_one_passage_that_does_not_fit_is_an_error(model, stimuli, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(reading, "_pooled", full)
    with pytest.raises(NeuroalignError, match=r"one passage of \d+ tokens does not fit in the memory of cpu"):
        extract(model, stimuli, progress=False)


def test_max_tokens_keeps_the_first_tokens_and_the_special_ones(model, block_outputs):
    text = "The river that the cat crossed was wide."
    ids, inner = content(model, text)
    n_special = len(ids) - inner.size
    cut = [*ids[: inner[0]], *(ids[i] for i in inner[: 5 - n_special]), *ids[inner[-1] + 1 :]]
    found = extract(
        model, pd.DataFrame({"stimulus": ["a"], "text": [text]}), max_tokens=5, pool="mean", progress=False
    )
    assert found["n_tokens"].item() == 5 == len(cut)
    state = block_outputs(model, cut)[list(model.widths)[-1]][inner[: 5 - n_special]].mean(0)
    np.testing.assert_allclose(found[list(found)[-1]].values[0], state, rtol=1e-5, atol=1e-5)


def test_attributes_say_what_was_extracted(model, stimuli):
    attrs = extract(model, stimuli, pool="mean", max_tokens=9, progress=False).attrs
    assert attrs["model"] == model.name and attrs["model_digest"] == model.digest
    assert attrs["pool"] == "mean" and attrs["max_tokens"] == 9 and attrs["untrained"] is False
    assert len(attrs["key"]) == 64
    keys = {attrs["key"]}
    keys.add(extract(model, stimuli, pool="last", max_tokens=9, progress=False).attrs["key"])
    keys.add(extract(model, stimuli, pool="mean", progress=False).attrs["key"])
    keys.add(extract(model, stimuli.iloc[:3], pool="mean", max_tokens=9, progress=False).attrs["key"])
    keys.add(extract(model, stimuli, 0, pool="mean", max_tokens=9, progress=False).attrs["key"])
    assert len(keys) == 5


def test_file_holds_what_memory_holds(model, stimuli, tmp_path):
    path = tmp_path / "new" / "activations.nc"
    expected = extract(model, stimuli, batch_size=2, progress=False)
    assert extract(model, stimuli, batch_size=2, out=path, progress=False) == path
    assert layer_names(path) == list(expected)
    for layer in expected:
        found = read_layer(path, layer)
        xr.testing.assert_identical(found.drop_attrs(), expected[layer].drop_attrs())
    assert layer_attrs(path) == expected.attrs
    assert [file.name for file in path.parent.iterdir()] == ["activations.nc"]


def test_second_run_with_the_same_key_does_no_work(model, stimuli, tmp_path, monkeypatch):
    path = tmp_path / "activations.nc"
    extract(model, stimuli, out=path, progress=False)
    before = path.read_bytes()

    def forbidden(*_, **__):
        raise RuntimeError("the model was run")

    monkeypatch.setattr(running, "stream", forbidden)
    assert extract(model, stimuli, out=path, batch_size=2, progress=False) == path
    assert path.read_bytes() == before


def test_other_activations_on_disk_are_refused_with_what_differs(model, stimuli, tmp_path):
    path = tmp_path / "activations.nc"
    extract(model, stimuli, out=path, progress=False)
    with pytest.raises(FileError, match=r"holds other activations \(.*pool: 'last' there, 'mean' here.*\)"):
        extract(model, stimuli, pool="mean", out=path, progress=False)
    changed = stimuli.assign(text=["Another text.", *stimuli["text"][1:]])
    with pytest.raises(FileError, match="stimuli_digest"):
        extract(model, changed, out=path, progress=False)
    path.write_bytes(b"no such thing")
    with pytest.raises(FileError, match="damaged or is no activation file"):
        extract(model, stimuli, out=path, progress=False)


def test_file_is_not_there_when_extraction_fails(model, stimuli, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(reading, "_pooled", broken)
    with pytest.raises(KeyboardInterrupt):
        extract(model, stimuli, out=tmp_path / "activations.nc", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "options", "error", "text"),
    [
        (
            {"stimulus": ["a", "a"], "text": ["x", "y"]},
            {},
            LabelError,
            "labels of 'stimulus' are repeated: 'a'",
        ),
        ({"stimulus": ["a"]}, {}, LabelError, "stimuli has no column 'text'"),
        (
            {"stimulus": ["a", "b"], "text": ["x", " "]},
            {},
            InvalidValueError,
            "1 of 2 texts are blank or no text: 'b'",
        ),
        ({"stimulus": ["a"], "text": [3]}, {}, InvalidValueError, "1 of 1 texts are blank or no text"),
        (
            {"stimulus": ["a"], "text": ["x"]},
            {"pool": "max"},
            InvalidValueError,
            "pool must be one of 'last'",
        ),
        (
            {"stimulus": ["a"], "text": ["x"]},
            {"site": "mlp"},
            InvalidValueError,
            "site must be one of 'block'",
        ),
        ({"stimulus": ["a"], "text": ["x"]}, {"layers": "h.9"}, LabelError, "has no layer 'h.9'; it has 3: "),
        (
            {"stimulus": ["a"], "text": ["x"]},
            {"layers": 3},
            LabelError,
            "has no layer 3; .* or by index 0 to 2",
        ),
        ({"stimulus": ["a"], "text": ["x"]}, {"layers": []}, LabelError, "no layer was asked for"),
        (
            {"stimulus": ["a"], "text": ["x"]},
            {"batch_size": 0},
            InvalidValueError,
            "batch_size must be a positive",
        ),
        (
            {"stimulus": ["a"], "text": ["x"]},
            {"max_tokens": 0},
            InvalidValueError,
            "max_tokens must be a positive",
        ),
        (
            {"stimulus": ["a"], "text": ["cat " * 99]},
            {},
            InvalidValueError,
            "longer than the 64 tokens .*: 'a'",
        ),
    ],
)
def test_errors_say_what_and_where(model, table, options, error, text):
    with pytest.raises(error, match=text):
        extract(model, pd.DataFrame(table), progress=False, **options)


def test_saved_dataset_can_be_saved_by_io(model, stimuli, tmp_path):
    found = extract(model, stimuli, progress=False)
    io.save(found, tmp_path / "x.nc")
    loaded = io.load(tmp_path / "x.nc")
    loaded.attrs.pop("provenance")
    xr.testing.assert_identical(loaded, found)


def test_texts_without_a_token_and_tables_without_a_row_are_refused(build):
    bert = build["bert"]()
    table = pd.DataFrame({"stimulus": ["a", "b"], "text": ["A dog barks.", "\u0000\u200b"]})
    with pytest.raises(InvalidValueError, match=r"1 of 2 texts have no token of their own .*: 'b'"):
        extract(bert, table, progress=False)
    with pytest.raises(InvalidValueError, match="stimuli has no rows"):
        extract(bert, table[:0], progress=False)
