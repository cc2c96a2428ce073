"""A study on a cluster: the shipped profiles, SLURM's commands faked, Kubernetes read and planned."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from neuroalign.errors import FileError, InvalidValueError
from neuroalign.workflow.paths import FIGURES
from neuroalign.workflow.profiles import find_profile, profile_options, submits_jobs

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "profiles"
make = runpy.run_path(str(Path(__file__).parent / "own_data.py"))["make"]
slurm = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "fake_slurm.py")))
A_HANG = 1800
needs_slurm = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
    reason="snakemake-executor-plugin-slurm is not installed",
)


@dataclass
class Run:
    """What a study on the fake cluster said, and what the cluster was asked for."""

    folder: Path
    commands: Path
    code: int
    said: str

    @property
    def submitted(self) -> dict[str, list[str]]:
        """Calls of sbatch by the rule or group that they run."""
        return {str(slurm.option(call, "--comment")): call for call in slurm.calls(self.commands, "sbatch")}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A folder with three people's simulated data and a study of them: four short steps."""
    folder = tmp_path_factory.mktemp("small") / "study"
    path = make(folder)
    study = yaml.safe_load(path.read_text())
    study["own"] |= {"n_draws": 50, "n_permutations": 50}
    path.write_text(yaml.safe_dump(study))
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The workflow and the package as they stand now, so that nobody edits them between two runs."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("neuroalign", "analyses", "profiles"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "Snakefile", root)
    return root


def environment(clone: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(clone), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def snakemake(folder: Path, clone: Path, *arguments: str) -> tuple[int, str]:
    call = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(
        call, cwd=folder, env=environment(clone), capture_output=True, text=True, timeout=A_HANG
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def on_slurm(clone, small, tmp_path_factory) -> Run:
    """The study through the shipped profile with its two lines changed, and one step on a GPU."""
    folder = tmp_path_factory.mktemp("slurm")
    commands = slurm.install(folder / "bin")
    profile = shutil.copytree(clone / "profiles" / "slurm", folder / "my-cluster") / "config.yaml"
    text = profile.read_text()
    for line, mine in (("slurm_account: my_account", "slurm_account: lab"), ("cpu ", "short ")):
        assert text.count(line) == 1 and re.search(f"{line}.*# <- yours", text), line
        text = text.replace(line, mine)
    text += "set-resources:\n  own_rdms: {slurm_partition: gpu, gpu: 1}\n"
    profile.write_text(text.replace("status-checks: 20", "status-checks: 1"))
    work = shutil.copytree(small, folder / "work")
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    call = [sys.executable, "-m", "neuroalign", "run", "study.yaml", "--profile", str(profile.parent)]
    done = subprocess.run(
        [*call, "--jobs", "2", "--directory", str(work)],
        cwd=work,
        env=environment(clone, PATH=path),
        capture_output=True,
        text=True,
        timeout=A_HANG,
    )
    return Run(work, commands, done.returncode, done.stdout + done.stderr)


@pytest.mark.slow
@needs_slurm
def test_study_through_slurm_ends_with_its_report(on_slurm):
    assert on_slurm.code == 0, on_slurm.said[-3000:]
    assert f"words: done: {on_slurm.folder}/results/words/report.html" in on_slurm.said.splitlines()
    assert (on_slurm.folder / "results/words/report.html").stat().st_size > 1000
    assert not (on_slurm.folder / "results/.neuroalign-run.json").exists()


@pytest.mark.slow
@needs_slurm
@pytest.mark.parametrize(
    ("job", "asked"),
    [
        ("rule_own_rdms", {"-p": "gpu", "--mem": "4000", "-t": "240", "--gpus": "1"}),
        ("rule_own_rsa", {"-p": "short", "--mem": "2000", "-t": "240", "--gpus": None}),
        ("rule_page_figure21_report", {"-p": "short", "--mem": "1000", "-t": "60", "--gpus": None}),
    ],
)
def test_job_on_slurm_asks_for_what_its_rule_says(on_slurm, job, asked):
    assert set(on_slurm.submitted) == {"rule_own_rdms", "rule_own_rsa", "rule_page_figure21_report"}
    call = on_slurm.submitted[job]
    assert {name: slurm.option(call, name) for name in asked} == asked
    assert slurm.option(call, "-A") == "lab" and slurm.option(call, "--cpus-per-task") == "1"
    assert slurm.option(call, "-D") == str(on_slurm.folder)


@pytest.mark.slow
@needs_slurm
def test_what_slurm_runs_is_a_step_of_this_study(on_slurm):
    wrapped = shlex.split(str(slurm.option(on_slurm.submitted["rule_own_rsa"], "--wrap")))
    assert wrapped[:3] == [sys.executable, "-m", "snakemake"]
    assert wrapped[wrapped.index("--target-jobs") + 1] == "own_rsa:"
    assert wrapped[wrapped.index("--configfiles") + 1] == str(on_slurm.folder / "study.yaml")
    inner = next(call for call in slurm.calls(on_slurm.commands, "srun") if "own_rdms:" in call)
    assert slurm.option(inner, "--gpus") == "1"


OUTER = """\
import yaml
from pathlib import Path


rule everything:
    input:
        "mine.txt",


module neuroalign:
    snakefile:
        {snakefile!r}
    config:
        yaml.safe_load(Path("study.yaml").read_text())
    prefix:
        "below"


use rule * from neuroalign as na_*


rule mine:
    input:
        report=rules.na_report.output,
    output:
        "mine.txt",
    shell:
        "wc -c {{input.report}} > {{output}}"
"""


@pytest.fixture(scope="module")
def as_module(clone, small, tmp_path_factory) -> tuple[Path, int, str]:
    """A workflow of somebody else's that uses ours, really run, with our results below a prefix."""
    folder = shutil.copytree(small, tmp_path_factory.mktemp("outer") / "outer workflow")
    (folder / "Snakefile").write_text(OUTER.format(snakefile=str(clone / "Snakefile")))
    return folder, *snakemake(folder, clone, "--cores", "1")


@pytest.mark.slow
def test_another_workflow_runs_ours_as_a_module(as_module):
    folder, code, said = as_module
    assert code == 0, said[-3000:]
    done = re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", said)
    assert set(done) == {"na_own_rdms", "na_own_rsa", "na_figure21", "na_report", "mine", "everything"}
    report = folder / "below/results/words/report.html"
    assert int((folder / "mine.txt").read_text().split()[0]) == report.stat().st_size
    assert not (folder / "results").exists()


@pytest.mark.slow
@needs_slurm
@pytest.mark.parametrize("name", ["figure21.tsv", "figure21.json"])
def test_slurm_and_a_local_run_give_the_same_bytes(as_module, on_slurm, name):
    local = as_module[0] / "below/results/words/figures" / name
    assert (on_slurm.folder / "results/words/figures" / name).read_bytes() == local.read_bytes()


TWO = """\
import json
from pathlib import Path

STUDIES = json.loads(Path("studies.json").read_text())


rule everything:
    input:
        "results/a/report.html",
        "results/b/report.html",


module a:
    snakefile:
        {snakefile!r}
    config:
        STUDIES[0]


use rule * from a as a_*


module b:
    snakefile:
        {snakefile!r}
    config:
        STUDIES[1]


use rule * from b as b_*
"""


@pytest.mark.slow
def test_two_studies_of_one_workflow_share_an_extraction(clone, tmp_path):
    story = {"responses": "simulated", "simulation": {}}
    study = {"title": "One of two", "model": {"name": "smollm2-135m"}, "story": story}
    studies = [{"name": name, "seed": seed, **study} for name, seed in (("a", 1), ("b", 2))]
    (tmp_path / "studies.json").write_text(json.dumps(studies))
    (tmp_path / "Snakefile").write_text(TWO.format(snakefile=str(clone / "Snakefile")))
    code, said = snakemake(tmp_path, clone, "--cores", "1", "--dry-run", "--quiet", "rules")
    assert code == 0, said[-3000:]
    planned = set(re.findall(r"^(\w+) +1$", said, re.MULTILINE))
    assert {"a_extract_story_trained", "a_encode", "b_encode", "b_report"} <= planned
    assert not {"b_extract_story_trained", "b_extract_story_untrained"} & planned


@pytest.mark.parametrize(
    ("name", "folder"), [("local", "default"), ("slurm", "slurm"), ("kubernetes", "kubernetes")]
)
def test_shipped_profiles_are_found_by_name(name, folder):
    assert find_profile(name, beside=ROOT) == PROFILES / folder
    assert submits_jobs(PROFILES / folder) == (name != "local")


def test_own_profile_is_found_by_its_folder(tmp_path, monkeypatch):
    shutil.copytree(PROFILES / "slurm", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_profile("mine", beside=ROOT) == (tmp_path / "mine").resolve()


def test_unknown_profile_lists_those_that_there_are(tmp_path):
    with pytest.raises(FileError, match=r"'slrum' is neither one of 'kubernetes', 'local', 'slurm' nor a"):
        find_profile("slrum", beside=ROOT)


def test_jobs_are_refused_where_none_are_submitted():
    with pytest.raises(InvalidValueError, match="submits no jobs; bound it with --cores"):
        profile_options(PROFILES / "default", cores=0, jobs=3, n_cores=2)


def test_cores_of_this_machine_do_not_bound_a_cluster(tmp_path):
    assert profile_options(PROFILES / "default", cores=0, jobs=None, n_cores=2)[-2:] == ["--cores", "2"]
    (tmp_path / "config.yaml").write_text("executor: local\n")
    assert profile_options(tmp_path, cores=3, jobs=None, n_cores=2)[-2:] == ["--cores", "3"]


def test_absent_plugin_is_named_with_how_to_install_it(tmp_path):
    (tmp_path / "config.yaml").write_text("executor: no-such-cluster\n")
    expected = r"not installed\. Run: pip install snakemake-executor-plugin-no-such-cluster"
    with pytest.raises(InvalidValueError, match=expected):
        profile_options(tmp_path, cores=0, jobs=None, n_cores=2)


@pytest.mark.parametrize(("text", "said"), [("executor: [slurm\n", "is not YAML"), ("- a\n", "no settings")])
def test_damaged_profile_is_named(tmp_path, text, said):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(FileError, match=said):
        submits_jobs(tmp_path)


@pytest.mark.parametrize("name", ["default", "slurm", "kubernetes"])
def test_every_profile_goes_on_after_a_kill_and_shows_failed_logs(name):
    settings = yaml.safe_load((PROFILES / name / "config.yaml").read_text())
    assert settings["rerun-incomplete"] is True and settings["show-failed-logs"] is True
    assert settings["rerun-triggers"] == ["mtime", "params", "input", "code"]


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_figures_and_report_wait_in_the_queue_once(name):
    settings = yaml.safe_load((PROFILES / name / "config.yaml").read_text())
    assert settings["groups"] == {**{f"figure{n}": "page" for n in FIGURES}, "report": "page"}


def test_kubernetes_profile_names_image_volume_and_what_gpus_need():
    settings = yaml.safe_load((PROFILES / "kubernetes" / "config.yaml").read_text())
    volume = settings["kubernetes-persistent-volumes"][0].partition(":")[2]
    assert settings["container-image"] and settings["default-storage-provider"] == "fs"
    assert settings["default-storage-prefix"].startswith(f"{volume}/")
    # The plugin refuses gpu=0 without a manufacturer, and Kubernetes a GPU without a limit (scale: 0).
    resources = settings["default-resources"]
    assert (resources["gpu_manufacturer"], resources["scale"]) == ("nvidia", 0)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_kubernetes") is None
    or importlib.util.find_spec("snakemake_storage_plugin_fs") is None,
    reason="the extra kubernetes is not installed",
)
def test_kubernetes_plan_reads_and_writes_on_the_volume(clone, small, tmp_path):
    folder = shutil.copytree(small, tmp_path / "study")
    call = ["--snakefile", str(clone / "Snakefile"), "--configfile", "study.yaml", "--dry-run"]
    call += [
        "--workflow-profile",
        str(clone / "profiles/kubernetes"),
        "--printshellcmds",
        "--quiet",
        "progress",
    ]
    code, said = snakemake(folder, clone, *call)
    assert code == 0, said[-3000:]
    rule = said[said.index("rule own_rsa:") :].partition("\n\n")[0]
    assert "output: /volume/neuroalign/results/words/figures/figure21.tsv (send to storage)" in rule
    assert "step --results .snakemake/storage/fs/volume/neuroalign/results --study" in rule
    for resource in ("mem_mb=2000", "disk_mb=4000", "runtime=240", "gpu=0", "gpu_manufacturer=nvidia"):
        assert resource in rule
    assert "Group job page" in said


@pytest.mark.slow
def test_dry_run_shows_the_steps_and_makes_nothing(clone, small, tmp_path):
    folder = shutil.copytree(small, tmp_path / "study")
    call = [sys.executable, "-m", "neuroalign", "run", "study.yaml", "--dry-run"]
    done = subprocess.run(call, cwd=folder, env=environment(clone), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "words: planned; nothing was run."
    assert re.search(r"own_rdms +1\n", done.stdout + done.stderr)
    assert not (folder / "results").exists()


@pytest.mark.parametrize("is_cluster", [False, True])
def test_half_written_files_of_jobs_that_may_still_run_are_left(tmp_path, is_cluster):
    from neuroalign.io.files import PREFIX, SUFFIX
    from neuroalign.workflow.run_command import _cleared

    half = tmp_path / f"{PREFIX}half{SUFFIX}"
    half.write_text("")
    said = _cleared(tmp_path, is_cluster=is_cluster)
    assert half.exists() == is_cluster
    assert ("may still run" in said) == is_cluster
