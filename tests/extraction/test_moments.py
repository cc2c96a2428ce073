from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch

from neuroalign import schema
from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.extraction import extract, extract_moments, moments, wrap


@pytest.fixture
def table(stimuli):
    return stimuli.assign(condition=list("wsswsws"), run=[2, 1, 2, 1, 1, 2, 1])


def units_of(activations):
    return np.concatenate([activations[layer].values for layer in activations], axis=1).astype(np.float64)


@pytest.mark.goal("R17", "networks under batch sizes, padding, sites")
@pytest.mark.parametrize("site", ["block", "mlp_act"])
@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_moments_equal_two_passes_over_stored_activations(network, table, site, absolute, batch_size):
    options = {"site": site, "pool": "mean", "progress": False, "batch_size": batch_size}
    found = extract_moments(network, table, [0, -1], absolute=absolute, **options)
    values = units_of(extract(network, table, [0, -1], **options))
    assert found["group"].values.tolist() == ["w|2", "s|1", "s|2", "w|1"]
    assert found["condition"].values.tolist() == ["w", "s", "s", "w"]
    assert found["run"].values.tolist() == [2, 1, 2, 1]
    for k, (condition, run) in enumerate(zip(found["condition"].values, found["run"].values, strict=True)):
        x = values[(table["condition"] == condition) & (table["run"] == run)]
        np.testing.assert_allclose(found["mean_abs"].values[k], np.abs(x).mean(0), rtol=1e-5, atol=1e-6)
        x = np.abs(x) if absolute else x
        assert found["n"].values[k] == len(x)
        np.testing.assert_allclose(found["mean"].values[k], x.mean(0), rtol=1e-5, atol=1e-6)
        expected = ((x - x.mean(0)) ** 2).sum(0)
        np.testing.assert_allclose(found["m2"].values[k], expected, rtol=1e-5, atol=1e-6)
    if absolute:
        np.testing.assert_array_equal(found["mean"].values, found["mean_abs"].values)
    assert found["n"].dtype.kind == "i" and found["mean"].dtype == np.float64


def test_units_are_laid_out_as_masks_are(network, table):
    found = extract_moments(network, table, site="attn_out", progress=False)
    layer = np.concatenate([np.full(width, name) for name, width in network.widths.items()])
    index = np.concatenate([np.arange(width) for width in network.widths.values()])
    mask = schema.make_mask(found["m2"].values[0] > 0, layer=layer, site="attn_out", index=index)
    for name in ("layer", "site", "index"):
        np.testing.assert_array_equal(found[name].values, mask[name].values)
    schema.check(found["mean"][0] > 0, "mask")


def test_attributes_are_those_of_the_extraction(model, table):
    plain = extract(model, table, pool="mean", progress=False).attrs
    found = [
        extract_moments(model, table, pool="mean", by=by, absolute=absolute, progress=False).attrs
        for by, absolute in ((["condition"], False), (["condition"], True), (["run"], False))
    ]
    for attrs in found:
        assert {name: attrs[name] for name in plain if name != "key"} == {
            name: plain[name] for name in plain if name != "key"
        }
    assert [attrs["absolute"] for attrs in found] == [False, True, False]
    assert len({attrs["key"] for attrs in [plain, *found]}) == 4


def test_without_columns_there_is_one_group(model, stimuli):
    found = extract_moments(model, stimuli, by=(), progress=False)
    values = units_of(extract(model, stimuli, progress=False))
    assert found["group"].values.tolist() == ["all"] and found["n"].item() == len(stimuli)
    np.testing.assert_allclose(found["mean"].values[0], values.mean(0), rtol=1e-5, atol=1e-6)


class Offset(torch.nn.Module):
    """A block whose units have a mean of 1,000 and a standard deviation of 0.5; the last unit is dead."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embed = torch.nn.Embedding(320, 6)
        self.embed.weight.data.normal_(1000, 0.5, generator=generator)
        self.embed.weight.data[:, -1] = 1000.25
        self.h = torch.nn.ModuleList([torch.nn.Identity()])

    def forward(self, input_ids):
        return self.h[0](self.embed(input_ids))


def many(n):
    words = ["cat", "stone", "rain", "river", "dog", "night", "café", "left"]
    texts = [f"{words[i % 8]} {words[i // 8 % 8]} {words[i // 64 % 8]} {i}" for i in range(n)]
    return pd.DataFrame(
        {"stimulus": np.arange(n), "text": texts, "condition": np.where(np.arange(n) % 3, "a", "b")}
    )


def test_large_means_cost_no_precision_and_dead_units_no_variance(build):
    model = wrap(Offset().eval(), build["gpt2"]().tokenizer, name="offset")
    table = many(600)
    found = extract_moments(model, table, by="condition", progress=False)
    values = units_of(extract(model, table, progress=False))
    for k, condition in enumerate(found["group"].values):
        x = values[(table["condition"] == condition).to_numpy()]
        expected = ((x - x.mean(0)) ** 2).sum(0)
        assert (expected[:-1] > 0.01 * len(x)).all()
        np.testing.assert_allclose(found["m2"].values[k], expected, rtol=1e-5)
        np.testing.assert_allclose(found["mean"].values[k], x.mean(0), rtol=1e-12)
        assert found["m2"].values[k, -1] == 0 and found["mean"].values[k, -1] == 1000.25
        narrow = x.astype(np.float32)
        naive = (narrow**2).sum(0) - narrow.sum(0) ** 2 / np.float32(len(x))
        assert np.abs(naive[:-1] / expected[:-1] - 1).max() > 0.1


def test_storage_does_not_grow_with_the_stimuli(build, monkeypatch):
    model, sinks = build["gpt2"](), []
    kind = moments._Moments

    def kept(*args, **options):
        sinks.append(kind(*args, **options))
        return sinks[-1]

    monkeypatch.setattr(moments, "_Moments", kept)
    peaks = []
    for n in (60, 600):
        table = many(n)
        monkeypatch.setattr(kind, "write", _traced(kind.write, peaks := []))
        extract_moments(model, table, by="condition", progress=False)
    sizes = [sink.mean.nbytes + sink.m2.nbytes + sink.sum_abs.nbytes for sink in sinks]
    assert sizes[0] == sizes[1] == 3 * 8 * 2 * 48
    assert max(peaks) < 100_000


def _traced(write, peaks):
    def traced(*args, **options):
        tracemalloc.start()
        write(*args, **options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    return traced


def test_errors_say_what_and_where(model, table):
    cases = [
        (LabelError, "stimuli lack the columns 'fold'; they have 'stimulus', 'text'", table, ["fold"]),
        (LabelError, "by must be distinct columns", table, ["run", "run"]),
        (LabelError, "by must be distinct columns with names of their own; got 'unit'", None, ["unit"]),
        (InvalidValueError, "values are missing in the columns 'run'", None, ["condition", "run"]),
        (LabelError, r"two groups have one label: 'a\|b\|c'", None, ["condition", "run"]),
    ]
    others = [
        table.assign(unit=1),
        table.assign(run=[1.0, np.nan, 1, 1, 1, 1, 1]),
        table.assign(condition=["a|b"] + ["a"] * 6, run=["c"] + ["b|c"] * 6),
    ]
    for error, text, given, by in cases:
        with pytest.raises(error, match=text):
            extract_moments(model, others.pop(0) if given is None else given, by=by, progress=False)
    with pytest.raises(InvalidValueError, match="batch_size must be a positive integer"):
        extract_moments(model, table, batch_size=0, progress=False)
