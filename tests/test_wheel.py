"""The wheel: what is in it, and that it works where the checkout is not.

It is built by ``python -m build`` (from the source distribution, so that this is whole too) and installed
into an environment that sees the packages we depend on, but not the checkout or an editable installation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest
import yaml

import neuroalign
from neuroalign.workflow.paths import FIGURES

ROOT = Path(__file__).resolve().parents[1]
STUDY = "neuroalign/study"


def run(*words, cwd, **env):
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "NEUROALIGN_DATA", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=kept | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory):
    """The programs of an environment with the wheel; .pth files beside our packages do not count in it."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=ROOT)
    python = folder / "bin" / "python"
    call = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    run(*call, "--no-compile", "--disable-pip-version-check", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python.parent


def tracked(*folders):
    """Files of the checkout that belong into a wheel: no caches, nothing hidden."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [path.relative_to(ROOT) for path in found if "__pycache__" not in path.parts]
    return {path.as_posix() for path in kept if not any(part.startswith(".") for part in path.parts)}


def test_wheel_holds_every_file_of_the_package_and_of_the_workflow_and_nothing_else(names):
    expected = tracked("neuroalign") | {
        f"{STUDY}/{name}" for name in tracked("analyses", "config", "profiles")
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == expected | {f"{STUDY}/Snakefile"}


@pytest.mark.parametrize(
    "name",
    [
        f"{STUDY}/Snakefile",
        f"{STUDY}/analyses/extraction.smk",
        f"{STUDY}/analyses/own_data/figure.py",
        f"{STUDY}/profiles/default/config.yaml",
        f"{STUDY}/config/demo.yaml",
        "neuroalign/datasets/manifest.json",
        "neuroalign/py.typed",
        "neuroalign/stimuli/data/localizer.tsv",
        "neuroalign/workflow/report.html",
        "neuroalign/workflow/reporting/page.css",
        "neuroalign/workflow/schemas/my_data.schema.json",
        "neuroalign/workflow/schemas/study.schema.json",
        "neuroalign/workflow/templates/demo.yaml",
        f"neuroalign-{neuroalign.__version__}.dist-info/licenses/LICENSE",
    ],
)
def test_wheel_holds(names, name):
    assert name in names


def test_rules_and_script_of_every_figure_are_inside(names):
    assert len(FIGURES) > 20
    for _, folder in FIGURES.values():
        assert {f"{STUDY}/analyses/{folder}/{name}" for name in ("rules.smk", "figure.py")} <= names


def test_wheel_is_small_and_holds_neither_data_nor_tests(names, wheel):
    assert wheel.stat().st_size < 3_000_000
    kinds = {PurePosixPath(name).suffix for name in names if ".dist-info/" not in name}
    assert kinds <= {".py", ".typed", ".json", ".tsv", ".md", ".html", ".css", ".yaml", ".txt", ".smk", ""}
    assert not [name for name in names if "test" in PurePosixPath(name).parts[0] or "/tests/" in name]


def test_metadata_say_version_licence_and_where_it_runs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(name).decode())
    assert about["Version"] == neuroalign.__version__
    assert about["License-Expression"] == "BSD-3-Clause"
    assert about["Requires-Python"] == ">=3.11"
    assert {"models", "workflow", "bids", "eeg"} <= set(about.get_all("Provides-Extra"))
    assert about.get_payload().startswith("# neuroalign")


def test_source_distribution_can_be_tested_and_built_again(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "Makefile",
        "Snakefile",
        "LICENSE",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "constraints-py311.txt",
    ):
        assert name in inside
    assert {"tests/test_wheel.py", "docs/tutorial.md", "benchmarks/__main__.py", "config/demo.yaml"} <= inside
    assert not [name for name in inside if name.startswith((".ci", ".venv", "results"))]


def test_installed_package_is_the_wheels_and_not_the_checkout(binaries, tmp_path):
    code = (
        "import json, neuroalign, importlib.metadata as m; "
        "print(json.dumps([neuroalign.__file__, m.version('neuroalign')]))"
    )
    file, version = json.loads(run(binaries / "python", "-c", code, cwd=tmp_path))
    assert Path(file).is_relative_to(binaries.parent)
    assert version == neuroalign.__version__


def test_help_of_the_installed_program(binaries, tmp_path):
    found = run(binaries / "neuroalign", "--help", cwd=tmp_path)
    assert all(word in found for word in ("init", "check", "run", "resume", "report"))
    assert run(binaries / "neuroalign", "--version", cwd=tmp_path) == f"neuroalign {neuroalign.__version__}\n"


def test_init_check_and_a_dry_run_from_an_empty_folder(binaries, tmp_path):
    made = run(binaries / "neuroalign", "init", "demo", "--template", "own-data", cwd=tmp_path)
    assert "neuroalign check study.yaml" in made
    folder = tmp_path / "demo"
    found = json.loads(run(binaries / "neuroalign", "check", "study.yaml", "--json", cwd=folder))
    assert found["right"] and found["seconds"] > 0
    planned = run(binaries / "neuroalign", "run", "study.yaml", "--dry-run", "--cores", "1", cwd=folder)
    rules = ("own_rdms", "own_rsa", "figure21", "report")
    assert all(rule in planned for rule in rules)
    (snakefile,) = binaries.parent.glob(f"lib/python*/site-packages/{STUDY}/Snakefile")
    call = [binaries / "python", "-m", "snakemake", "--snakefile", snakefile, "--workflow-profile", "none"]
    call += ["--configfile", "study.yaml", "--cores", "1", "--dry-run", "--printshellcmds"]
    planned = run(*call, cwd=folder)
    assert f"Shell command: {binaries}/python -m neuroalign step" in planned
    assert f"{snakefile.parent}/analyses/own_data/figure.py" in planned
    assert f"{ROOT}/neuroalign" not in planned and f"{ROOT}/analyses" not in planned
    assert not (folder / "results").exists()


def test_studies_that_ship_can_be_started_from(binaries, tmp_path):
    run(binaries / "neuroalign", "init", "mine", "--template", "v1", cwd=tmp_path)
    study = yaml.safe_load((tmp_path / "mine" / "study.yaml").read_text())
    assert study["name"] == "mine" and "movie" in study
