from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from neuroalign.errors import FileError
from neuroalign.workflow import cli
from neuroalign.workflow.cli import app
from neuroalign.workflow.config import study_schema
from neuroalign.workflow.steps import STEPS

ROOT = Path(__file__).parents[2]


def call(*words):
    plain = {"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(app, [str(word) for word in words], env=plain)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: My study\nlocalizer: {}\n")
    return path


@pytest.fixture
def wrong(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("name: Wrong\ntitle: My study\nlocaliser: {}\nseed: -3\nobjects: {methods: [none]}\n")
    return path


def test_check_of_a_right_config_says_so(config):
    found = call("check", config)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "mine: the configuration is right.\n", "")


@pytest.mark.parametrize("command", ["check", "run", "resume"])
def test_wrong_config_ends_with_2_and_names_every_error(wrong, command):
    found = call(command, wrong)
    lines = found.stderr.splitlines()
    assert found.exit_code == 2 and found.stdout == ""
    assert lines[0] == f"neuroalign: {wrong} has 4 error(s):"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == [
        "localiser",
        "name",
        "objects.methods.0",
        "seed",
    ]
    assert "  localiser: unknown key; did you mean 'localizer'?" in lines


@pytest.mark.parametrize("command", ["check", "run", "resume"])
def test_config_that_is_not_there_is_one_line_and_2(tmp_path, command):
    found = call(command, tmp_path / "absent.yaml")
    assert found.exit_code == 2
    expected = f"neuroalign: {tmp_path}/absent.yaml could not be read: No such file or directory.\n"
    assert found.stderr == expected


def test_run_with_a_wrong_config_makes_no_folder(wrong, tmp_path):
    assert call("run", wrong, "--directory", tmp_path / "out").exit_code == 2
    assert not (tmp_path / "out").exists()


def test_run_away_from_the_clone_says_where_to_call_it(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = call("run", config)
    assert found.exit_code == 2
    assert found.stderr == (
        "neuroalign: there is no Snakefile here; call neuroalign from the folder of the clone.\n"
    )
    assert not (tmp_path / "results").exists()


def test_run_refuses_a_file_for_its_folder(config, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").write_text("")
    found = call("run", config, "--directory", tmp_path / "file")
    assert found.exit_code == 2 and "/file' is a file." in found.stderr
    found = call("run", config, "--directory", tmp_path / "file" / "below")
    assert found.exit_code == 2
    assert found.stderr == (
        f"neuroalign: the folder {tmp_path}/file/below/results could not be made: Not a directory.\n"
    )


def test_schema_prints_the_schema_of_a_study():
    found = call("schema")
    assert found.exit_code == 0 and json.loads(found.stdout) == study_schema()


@pytest.mark.parametrize("study", ["json", "file"])
def test_step_with_a_wrong_name_is_one_line_and_2(config, study, tmp_path):
    given = json.dumps(yaml.safe_load(config.read_text())) if study == "json" else config
    found = call("step", "localise", "--study", given, "--results", tmp_path / "results")
    assert found.exit_code == 2 and found.stdout == ""
    steps = ", ".join(repr(name) for name in ("extract", "moments", "lesion-part", *STEPS))
    assert found.stderr == f"neuroalign: step must be one of {steps}; got 'localise'.\n"


def test_step_with_a_study_that_is_no_json_is_one_line_and_2():
    found = call("step", "report", "--study", '{"name": ')
    assert found.exit_code == 2
    assert found.stderr.startswith("neuroalign: --study is not JSON: Expecting value")
    assert len(found.stderr.splitlines()) == 1


def test_step_whose_inputs_are_missing_names_the_file(config, tmp_path):
    found = call("step", "report", "--study", config, "--results", tmp_path / "results")
    assert found.exit_code == 2
    assert found.stderr == f"neuroalign: {tmp_path}/results/mine/figures/figure1.json does not exist.\n"


def test_a_mistake_in_the_package_is_a_traceback_and_no_message(config, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(cli, "_run", broken)
    found = call("run", config)
    assert found.exit_code == 1 and isinstance(found.exception, ZeroDivisionError)


def test_datasets_list_names_every_set_with_its_licence():
    from neuroalign import datasets

    found = call("datasets", "list")
    assert found.exit_code == 0
    for name, entry in datasets.manifest().items():
        line = next(line for line in found.stdout.splitlines() if name in line)
        assert entry.licence in line


def test_datasets_fetch_of_an_unknown_set_is_one_line_and_2():
    found = call("datasets", "fetch", "alice")
    assert found.exit_code == 2
    assert found.stderr.startswith("neuroalign: ") and "'alice_fmri'" in found.stderr
    assert found.stderr.count("\n") == 1


def test_datasets_fetch_says_where_each_set_is(monkeypatch, tmp_path):
    from neuroalign import datasets

    def fetch(name):
        if name == "broken":
            raise FileError("no network.")
        return tmp_path / name

    monkeypatch.setattr(datasets, "fetch", fetch)
    found = call("datasets", "fetch", "one", "two", "broken", "three")
    assert found.stdout == f"one: {tmp_path}/one\ntwo: {tmp_path}/two\n"
    assert (found.exit_code, found.stderr) == (2, "neuroalign: no network.\n")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["run"],
        ["resume"],
        ["check"],
        ["schema"],
        ["step"],
        ["datasets"],
        ["datasets", "list"],
        ["datasets", "fetch"],
    ],
    ids=" ".join,
)
def test_help_works_everywhere(words):
    found = call(*words, "--help")
    assert found.exit_code == 0 and "Usage:" in found.stdout


def test_help_has_the_public_commands_and_not_the_hidden_one():
    said = call("--help").stdout
    assert all(f" {name} " in said for name in ("run", "resume", "check", "schema", "datasets"))
    assert " step " not in said


def test_help_is_light():
    code = (
        "import sys\n"
        "from neuroalign.workflow.cli import app\n"
        "heavy = {'torch', 'transformers', 'xarray', 'pandas', 'sklearn', 'nilearn', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
