"""A tiny study from end to end: the real Snakefile in a clone of the repository, started as a user would."""

from __future__ import annotations

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from neuroalign import io
from neuroalign.workflow.paths import PARTS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS_OF = {
    what: {f"score_{what}_{i}" for i in range(PARTS)}
    for what in ("lesions", "sweep", "paradigms", "dissociation")
}
A_HANG = 1800  # seconds: several times what a loaded machine takes
KINDS = ("pdf", "png", "tsv", "json", "provenance.json")
ALL_OF_IT = {
    "extract_localizer_trained",
    "extract_localizer_untrained",
    "extract_story_trained",
    "extract_story_untrained",
    "prepare_story",
    "localizer",
    "lesions",
    *PARTS_OF["lesions"],
    "encode",
    "story_rsa",
    "unit_alignment",
    *(f"figure{n}" for n in range(1, 6)),
    "report",
}
STUDY = {
    "name": "tiny",
    "title": "A tiny study",
    "seed": 3,
    "model": {"name": None},
    "localizer": {"fraction": 0.1, "n_random": 2},
    "lesions": {"per_paradigm": 1, "n_controls": 2, "n_bootstrap": 50},
    "story": {
        "responses": "simulated",
        "context": 64,
        "stride": 32,
        "delays": [1, 2],
        "n_folds": 3,
        "purge": 4,
        "alphas": {"low": 0, "high": 4, "n": 3},
        "window": 6,
        "n_unit_controls": 2,
        "n_bootstrap": 50,
        "simulation": {"planted_depth": 0.5, "n_subjects": 3},
    },
}


DEEPER = {"moments_trained", "moments_untrained", "presets", "sweep", "paradigms", "dissociation"}
DEEPER |= {f"figure{n}" for n in range(7, 12)}
DEEPER |= PARTS_OF["sweep"] | PARTS_OF["paradigms"] | PARTS_OF["dissociation"]


@dataclass
class Clone:
    """The repository's workflow, copied, so that its files can be edited and nobody else edits them."""

    root: Path
    model: Path

    def config(self, path: Path, **changed: object) -> Path:
        """Write the study with values changed (``lesions__n_controls=3``; None drops a section)."""
        study = copy.deepcopy(STUDY)
        study["model"]["name"] = str(self.model)
        for name, value in changed.items():
            section, _, key = name.partition("__")
            if key:
                study[section][key] = value
            elif value is None:
                del study[section]
            else:
                study[section] = value
        path.write_text(yaml.safe_dump(study))
        return path

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        return {**os.environ, **own}

    def start(self, command: str, config: Path, folder: Path) -> subprocess.Popen:
        call = [sys.executable, "-m", "neuroalign", command, str(config)]
        call += ["--cores", "2", "--directory", str(folder)]
        return subprocess.Popen(
            call,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def call(self, command: str, config: Path, folder: Path) -> tuple[int, str]:
        with self.start(command, config, folder) as process:
            said, _ = process.communicate(timeout=A_HANG)
        return process.returncode, said

    def planned(self, config: Path, folder: Path) -> set[str]:
        """The rules that a run would do now."""
        call = [sys.executable, "-m", "snakemake", "--snakefile", str(self.root / "Snakefile"), "--dry-run"]
        call += ["--configfile", str(config), "--directory", str(folder), "--cores", "2"]
        call += ["--workflow-profile", str(self.root / "profiles" / "default")]
        found = subprocess.run(call, cwd=self.root, env=self.environment, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr
        table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", found.stdout + found.stderr, re.DOTALL)
        return (
            set() if table is None else {line.split()[0] for line in table[1].splitlines()} - {"all", "total"}
        )


def finished(said: str) -> list[str]:
    return [rule for rule in re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", said) if rule != "all"]


def read_until(stream, n_finished: int) -> str:
    """What a run says until it has finished so many steps."""
    said = ""
    while len(finished(said)) < n_finished:
        line = stream.readline()
        assert line, f"the run ended before {n_finished} steps were done:\n{said[-3000:]}"
        said += line
    return said


def stamps(folder: Path) -> dict[str, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def clone(tmp_path_factory, tiny_llama) -> Clone:
    root = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("neuroalign", "analyses", "profiles"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy2(ROOT / "Snakefile", root)
    return Clone(root, tiny_llama)


@dataclass
class Whole:
    folder: Path
    config: Path
    code: int
    said: str
    second: tuple[int, str]
    is_lock_kept: bool

    @property
    def figures(self) -> Path:
        return self.folder / "results" / "tiny" / "figures"


@pytest.fixture(scope="module")
def whole(clone, tmp_path_factory) -> Whole:
    """The study, run once without disturbance but for a second run that is started meanwhile."""
    folder = tmp_path_factory.mktemp("whole") / "Zoë's runs"
    folder.mkdir()
    config, lock = clone.config(folder.parent / "tiny.yaml"), folder / "results" / ".neuroalign-run.json"
    with clone.start("run", config, folder) as first:
        while not lock.exists() and first.poll() is None:
            time.sleep(0.05)
        second = clone.call("run", config, folder)
        is_lock_kept = lock.exists()
        said, _ = first.communicate(timeout=A_HANG)
    return Whole(folder, config, first.returncode, said, second, is_lock_kept)


@pytest.fixture
def again(whole, tmp_path) -> Path:
    """A copy of the finished run, time stamps and all."""
    return shutil.copytree(whole.folder, tmp_path / "again")


def test_study_gives_every_figure_and_a_report(whole):
    assert whole.code == 0, whole.said[-3000:]
    assert sorted(finished(whole.said)) == sorted(ALL_OF_IT)
    expected = {f"figure{n}.{kind}" for n in range(1, 6) for kind in KINDS}
    assert {path.name for path in whole.figures.iterdir()} == expected
    assert all(path.stat().st_size > 200 for path in whole.figures.iterdir())
    report = (whole.folder / "results" / "tiny" / "report.html").read_text()
    assert all(f'<section id="figure-{n}"' in report for n in range(1, 6))
    assert whole.said.splitlines()[-1] == f"tiny: done: {whole.folder}/results/tiny/report.html"


def test_values_are_those_of_the_study(whole):
    lesions = io.read_table(whole.figures / "figure2.tsv", text=("mask", "kind"))
    counts = lesions["kind"].value_counts()
    assert {kind: counts[kind] for kind in ("uniform", "layer-matched", "norm-matched")} == {
        "uniform": 2,
        "layer-matched": 2,
        "norm-matched": 2,
    }
    assert lesions["accuracy"].between(0, 1).all() and lesions["mask"].iloc[0] == "intact"
    encoding = io.read_table(whole.figures / "figure3.tsv", text=("network", "layer", "roi", "score"))
    assert set(encoding["network"]) == {"baseline", "trained", "untrained", "ceiling"}
    assert sorted(encoding.loc[encoding["network"] == "trained", "depth"].unique()) == [0, 1, 2]
    units = io.read_table(whole.figures / "figure5.tsv", text=("set", "roi", "score"))
    windows = units[units["score"] == "window RSA"].set_index("set")["value"]
    assert set(windows.index) == {"language", "random-000", "random-001", "ceiling"}
    assert windows.between(-1, 1).all()
    for n in range(3, 6):
        about = io.read_json(whole.figures / f"figure{n}.json")
        assert about["notes"]["simulated"] is True and "SIMULATED" in about["caption"]


def test_nothing_is_left_half_written_and_nothing_stands_outside_results(whole):
    assert not list(whole.folder.rglob(".neuroalign-*"))
    assert {path.name for path in whole.folder.iterdir()} == {"results", ".snakemake"}


@pytest.mark.goal("R18", "run and resume beside a run")
def test_of_two_runs_at_once_the_second_is_refused_and_the_first_unharmed(whole):
    code, said = whole.second
    assert code == 2
    assert re.fullmatch(
        r"neuroalign: process \d+ is running a study in .*results; wait for it, or stop it and run again\.\n",
        said,
    )
    assert whole.is_lock_kept and whole.code == 0


def test_second_run_does_nothing_and_says_so(clone, whole):
    before = stamps(whole.folder / "results")
    code, said = clone.call("run", whole.config, whole.folder)
    assert code == 0 and finished(said) == []
    assert said.splitlines()[-1].startswith("tiny: nothing to do, everything is up to date: ")
    assert stamps(whole.folder / "results") == before


@pytest.mark.goal("R7", "one value of the configuration changed")
def test_changed_value_reruns_the_steps_that_it_touches_and_no_others(clone, again, tmp_path):
    before = stamps(again / "results")
    config = clone.config(tmp_path / "tiny.yaml", lesions__n_controls=3)
    code, said = clone.call("run", config, again)
    assert code == 0 and set(finished(said)) == {"figure2", "lesions", "report"} | PARTS_OF["lesions"]
    after = stamps(again / "results")
    touched = {name for name in after if after[name] != before.get(name)}
    work = {name for name in touched if Path(name).parent.name == "lesions"}
    assert {Path(name).stem for name in work} == {
        f"{k}-002" for k in ("uniform", "layer-matched", "norm-matched")
    }
    assert {name.split("/")[0] for name in touched} == {"tiny"}
    assert {Path(name).name.split(".")[0] for name in touched - work} == {
        "digests",
        "figure2",
        "lesion_scores",
        "lesions",
        "report",
        *(f"lesions-{i}" for i in range(PARTS)),
        *PARTS_OF["lesions"],
    }


STORY = {"prepare_story", "encode", "story_rsa", "unit_alignment", "figure3", "figure4", "figure5"}


@pytest.mark.goal("R7", "one value of the configuration changed")
@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, set()),
        ({"title": "Another title"}, {"report"}),
        (
            {"model__batch_size": 4, "title": "A tiny study"},
            {"lesions", "figure2", "report"} | PARTS_OF["lesions"],
        ),
        ({"story__window": 7}, STORY | {"report"}),
        ({"seed": 4}, ALL_OF_IT - {rule for rule in ALL_OF_IT if rule.startswith("extract")}),
        ({"presets": {}, "sweep": {}, "paradigms": {}, "dissociation": {}}, DEEPER | {"report"}),
        ({"model__untrained_seed": 5}, None),
    ],
    ids=["nothing", "title", "batch size", "story window", "seed", "deeper", "untrained seed"],
)
def test_plan_after_a_change_has_the_steps_that_depend_on_it(clone, whole, tmp_path, change, rules):
    found = clone.planned(clone.config(tmp_path / "tiny.yaml", **change), whole.folder)
    if rules is None:
        assert {rule for rule in found if rule.startswith("extract")} == {
            "extract_localizer_untrained",
            "extract_story_untrained",
        }
    else:
        assert found == rules


@pytest.mark.parametrize("key", ["localizer__stimuli", "lesions__pairs"])
def test_absent_own_file_is_refused_although_former_results_stand(clone, whole, tmp_path, key):
    with pytest.raises(AssertionError, match=r"files that are not there: 'absent\.tsv'"):
        clone.planned(clone.config(tmp_path / "tiny.yaml", **{key: "absent.tsv"}), whole.folder)


@pytest.mark.goal("R7", "a module of the package edited")
@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("neuroalign/rsa/compare.py", {"story_rsa", "unit_alignment", "figure4", "figure5", "report"}),
        ("neuroalign/plotting/style.py", {f"figure{n}" for n in range(1, 6)} | {"report"}),
        ("analyses/unit_alignment/figure.py", {"figure5", "report"}),
        ("neuroalign/workflow/locks.py", set()),
    ],
)
def test_plan_after_an_edit_of_the_code_has_the_steps_that_use_it(clone, whole, file, rules):
    path = clone.root / file
    content, stat = path.read_bytes(), path.stat()
    try:
        path.write_bytes(content + b"\n# edited\n")
        assert clone.planned(whole.config, whole.folder) == rules
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.goal("R3", "kill -9, twice, of a study that extracts and lesions")
def test_run_that_was_killed_twice_ends_like_the_undisturbed_one(clone, whole, tmp_path):
    folder, rng = tmp_path / "killed", np.random.default_rng(2024)
    folder.mkdir()
    config = clone.config(tmp_path / "tiny.yaml", story=None)
    done: list[str] = []
    for command in ("run", "resume"):
        with clone.start(command, config, folder) as process:
            said = read_until(process.stdout, n_finished=rng.integers(1, 3))
            time.sleep(rng.uniform(0, 2))
            os.killpg(process.pid, signal.SIGKILL)
            said += process.stdout.read()  # ends when the last process of the run is dead
        assert process.returncode == -signal.SIGKILL, said[-3000:]
        assert not set(finished(said)) & set(done), "a step that was done was done again"
        done += finished(said)
    assert (folder / "results" / ".neuroalign-run.json").exists()
    code, said = clone.call("resume", config, folder)
    assert code == 0, said[-3000:]
    assert re.match(r"tiny: the last run was killed; \d+ half-written file\(s\) removed\.\n", said)
    assert not set(finished(said)) & set(done), "a step that was done was done again"
    assert not list(folder.rglob(".neuroalign-*"))
    for number in (1, 2):
        name = f"figure{number}.tsv"
        assert (folder / "results/tiny/figures" / name).read_bytes() == (whole.figures / name).read_bytes()
    for path in (folder / "results/shared/activations").iterdir():
        other = whole.folder / "results/shared/activations" / path.name
        assert io.layers_digest(path) == io.layers_digest(other)
