"""``neuroalign``: its commands, what it says of mistakes, its exit codes, and how quick its help is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from neuroalign.errors import FileError, InvalidValueError
from neuroalign.workflow import bench_command, load_study, run_command
from neuroalign.workflow.cli import TEMPLATES, app
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


@pytest.mark.parametrize("command", ["check", "run", "resume", "report"])
def test_wrong_config_ends_with_2_and_names_every_error_with_its_line(wrong, command):
    found = call(command, wrong)
    lines = found.stderr.splitlines()
    assert found.exit_code == 2 and found.stdout == ""
    assert lines[0] == f"neuroalign: {wrong} has 4 error(s):"
    assert sorted(line.split(":")[0].strip() for line in lines[1:5]) == [
        "line 1, name",
        "line 3, localiser",
        "line 4, seed",
        "line 5, objects.methods.0",
    ]
    assert "  line 3, localiser: unknown key; did you mean 'localizer'?" in lines


def test_wrong_config_is_answered_with_right_sections(wrong):
    lines = call("check", wrong).stderr.splitlines()
    at = lines.index("For example:")
    assert "  localizer:" in lines[at:] and "  objects:" in lines[at:]
    assert lines[-1].startswith("All keys: neuroalign schema.")


def test_every_example_is_right():
    from neuroalign.workflow.examples import EXAMPLES

    needed = {"name": "x", "title": "X"}
    for key, text in EXAMPLES.items():
        value = yaml.safe_load(text)
        assert list(value) == [key]
        base = {} if key in ("objects", "own", "story") else {"localizer": {}}
        load_study({**needed, **base, **value})


@pytest.mark.parametrize("command", ["check", "run", "resume"])
def test_config_that_is_not_there_is_one_line_and_2(tmp_path, command):
    found = call(command, tmp_path / "absent.yaml")
    assert found.exit_code == 2
    expected = f"neuroalign: {tmp_path}/absent.yaml could not be read: No such file or directory.\n"
    assert found.stderr == expected


def test_run_with_a_wrong_config_makes_no_folder(wrong, tmp_path):
    assert call("run", wrong, "--directory", tmp_path / "out").exit_code == 2
    assert not (tmp_path / "out").exists()


def test_the_workflow_of_the_package_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command.find_snakefile() == ROOT / "Snakefile"


def test_run_without_a_workflow_says_where_to_call_it(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_command, "__file__", str(tmp_path / "a" / "b" / "c" / "run_command.py"))
    found = call("run", config)
    assert found.exit_code == 2
    assert found.stderr == (
        f"neuroalign: the workflow is not in {tmp_path}/a/b: the installation is not whole. "
        "Run: pip install --force-reinstall --no-deps neuroalign\n"
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


def raising(monkeypatch, error):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(run_command, "run_study", broken)


def test_a_mistake_in_the_package_is_a_traceback_and_no_message(config, monkeypatch):
    raising(monkeypatch, ZeroDivisionError("a mistake of ours"))
    found = call("run", config)
    assert found.exit_code == 1 and isinstance(found.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InvalidValueError("no such thing."), 2, "no such thing."),
        (KeyboardInterrupt(), 130, "interrupted."),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "/x/y: Permission denied."),
        (OSError(28, "No space left on device"), 1, "No space left on device."),
        (
            MemoryError("Unable to allocate 8 TiB"),
            1,
            "out of memory: Unable to allocate 8 TiB. `neuroalign check` estimates what a study needs.",
        ),
        (
            ModuleNotFoundError("No module named 'mne.io'", name="mne.io"),
            1,
            "mne is not installed. Run: pip install 'neuroalign[eeg]'",
        ),
        (run_command.Failed("mine: a step failed."), 1, "mine: a step failed."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_goes_wrong_is_one_line_and_a_code(config, monkeypatch, error, code, said):
    raising(monkeypatch, error)
    found = call("run", config)
    assert (found.exit_code, found.stdout, found.stderr) == (code, "", f"neuroalign: {said}\n")


def test_a_missing_module_of_ours_is_a_traceback(config, monkeypatch):
    raising(monkeypatch, ModuleNotFoundError("No module named 'neuroalign.x'", name="neuroalign.x"))
    assert isinstance(call("run", config).exception, ModuleNotFoundError)


@pytest.mark.parametrize("words", [["--debug", "run"], ["run", "--debug"]], ids=" ".join)
def test_debug_shows_the_traceback_wherever_it_stands(config, monkeypatch, words):
    raising(monkeypatch, InvalidValueError("no such thing."))
    found = call(*words, config)
    assert found.exit_code == 2
    assert found.stderr.startswith("Traceback") and found.stderr.endswith("neuroalign: no such thing.\n")


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_debug_can_be_asked_for_by_the_environment(config, monkeypatch, value, shown):
    monkeypatch.setenv("NEUROALIGN_DEBUG", value)
    raising(monkeypatch, InvalidValueError("no such thing."))
    assert ("Traceback" in call("run", config).stderr) == shown


def test_version_is_the_packages():
    import neuroalign

    assert call("--version").stdout == f"neuroalign {neuroalign.__version__}\n"


def test_unknown_option_and_command_end_with_2():
    assert call("run", "--corse", "2").exit_code == 2
    assert call("runn").exit_code == 2


def test_bench_away_from_a_clone_is_one_line_and_2(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_command, "__file__", str(tmp_path / "a" / "b" / "c" / "bench_command.py"))
    found = call("bench")
    assert found.exit_code == 2 and found.stderr.startswith("neuroalign: there is no folder benchmarks here")


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 2)])
def test_bench_ends_as_the_benchmarks_do(monkeypatch, code, expected):
    calls = []

    def ran(words, **options):
        calls.append((words[1:], options["cwd"]))
        return subprocess.CompletedProcess(words, code)

    monkeypatch.setattr(bench_command.subprocess, "run", ran)
    assert call("bench", "rdms").exit_code == expected
    assert calls == [(["-m", "benchmarks", "rdms"], ROOT)]


def test_report_that_was_not_made_says_how_to_make_it(config, tmp_path):
    found = call("report", config, "--directory", tmp_path)
    assert found.exit_code == 2
    assert found.stderr == (
        f"neuroalign: {tmp_path}/results/mine/report.html does not exist. Run: neuroalign run {config}\n"
    )


def test_report_prints_its_path_and_figures(config, tmp_path):
    folder = tmp_path / "results" / "mine"
    (folder / "figures").mkdir(parents=True)
    for name in ("report.html", "figures/figure1.pdf"):
        (folder / name).write_text("")
    assert call("report", config, "--directory", tmp_path).stdout == f"{folder}/report.html\n"
    found = json.loads(call("report", config, "--directory", tmp_path, "--json").stdout)
    assert found == {"report": f"{folder}/report.html", "figures": [f"{folder}/figures/figure1.pdf"]}


def test_report_cannot_be_rebuilt_without_its_figures(config, tmp_path):
    found = call("report", config, "--directory", tmp_path, "--rebuild")
    assert found.exit_code == 2 and "figure1" in found.stderr


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


COMMANDS = ("init", "check", "run", "resume", "report", "compare", "schema", "bench")
COMMANDS += ("extract", "localize", "lesion", "encode", "rsa")
GROUPS = {"datasets": ("list", "info", "check", "schema", "fetch"), "models": ("list", "info")}
PATHS = [[name] for name in COMMANDS] + [[g, name] for g, names in GROUPS.items() for name in names]


@pytest.mark.parametrize("words", PATHS, ids=" ".join)
def test_help_has_an_example_and_the_exit_codes(words):
    found = call(*words, "--help")
    assert found.exit_code == 0 and "Usage:" in found.stdout
    assert f"Example: neuroalign {' '.join(words)}" in found.stdout
    assert "Exit codes: 0 " in found.stdout


@pytest.mark.parametrize("words", [["step"], *([name] for name in GROUPS)], ids=" ".join)
def test_help_of_groups_and_the_hidden_command_works(words):
    assert "Usage:" in call(*words, "--help").stdout


def test_help_has_the_public_commands_and_not_the_hidden_one():
    said = call("--help").stdout
    assert all(f" {name} " in said for name in (*COMMANDS, *GROUPS))
    assert " step " not in said


def test_help_is_light():
    code = (
        "import sys\n"
        "from neuroalign.workflow.cli import app\n"
        "heavy = {'torch', 'transformers', 'xarray', 'pandas', 'sklearn', 'nilearn', 'matplotlib',\n"
        "         'numpy', 'scipy', 'pydantic', 'yaml', 'snakemake', 'tqdm', 'psutil'}\n"
        "try:\n"
        "    app(['--help'])\n"
        "except SystemExit:\n"
        "    print('heavy', sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.endswith("heavy []\n")


def completed(*words):
    """Return what a bash offers after some words."""
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    environment = {**os.environ, "_NEUROALIGN_COMPLETE": "complete_bash", **asked}
    found = subprocess.run(
        [sys.executable, "-m", "neuroalign"], capture_output=True, text=True, env=environment, check=False
    )
    return found.stdout.split()


def test_completion_script_is_printed():
    found = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m neuroalign --show-completion; true"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "complete -o default -F _neuroalign_completion neuroalign" in found.stdout


def test_completion_offers_commands_templates_and_data_sets():
    assert sorted(completed("neuroalign", "re")) == ["report", "resume"]
    assert completed("neuroalign", "init", "x", "--template", "o") == ["objects", "own-data"]
    assert completed("neuroalign", "datasets", "info", "al") == ["alice_fmri"]


def test_templates_offered_are_those_there_are():
    from neuroalign.workflow.init_command import TEMPLATES as MADE

    assert tuple(MADE) == TEMPLATES
