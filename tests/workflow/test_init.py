"""``neuroalign init``: every template is a study that is right, and nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from neuroalign import datasets, rsa
from neuroalign.workflow import load_study
from neuroalign.workflow.cli import TEMPLATES, app
from neuroalign.workflow.config import study_schema
from neuroalign.workflow.init_command import SCHEMAS
from neuroalign.workflow.paths import Paths


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("template", TEMPLATES)
def test_template_is_a_right_study_with_the_folders_name(template, tmp_path):
    folder = tmp_path / "My Study (é)"
    found = call("init", folder, "--template", template)
    assert found.exit_code == 0, found.output
    study = load_study(folder / "study.yaml")
    assert study.name == "my-study"
    Paths(study).check_sources(folder)
    assert "results/my-study/report.html" in (folder / "README.txt").read_text()
    assert "results/" in (folder / ".gitignore").read_text().split()


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_key_of_a_template_is_explained(template, tmp_path):
    call("init", tmp_path / "x", "--template", template)
    lines = (tmp_path / "x" / "study.yaml").read_text().splitlines()
    assert sum("#" in line for line in lines) >= len(lines) // 3


@pytest.mark.parametrize("template", TEMPLATES)
def test_data_that_a_template_needs_is_said_and_known(template, tmp_path):
    from neuroalign.workflow.init_command import TEMPLATES as MADE

    found = call("init", tmp_path / "x", "--template", template)
    needed = MADE[template][1]
    assert set(needed) <= set(datasets.manifest())
    assert (f"neuroalign datasets fetch {' '.join(needed)}" in found.stdout) == bool(needed)
    study = yaml.safe_load((tmp_path / "x" / "study.yaml").read_text())
    named = {
        v
        for section in study.values()
        if isinstance(section, dict)
        for v in section.values()
        if isinstance(v, str)
    }
    assert named & set(datasets.manifest()) == set(needed)


def test_next_commands_are_printed(tmp_path):
    lines = call("init", tmp_path / "my study").stdout.splitlines()
    assert lines[-3:] == [
        f"  cd '{tmp_path}/my study'",
        "  neuroalign check study.yaml",
        "  neuroalign run study.yaml",
    ]


def test_init_of_the_folder_one_stands_in_needs_no_cd(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = call("init", ".")
    assert found.exit_code == 0 and "cd " not in found.stdout
    assert load_study(Path("study.yaml")).name == "here"


def test_nothing_is_overwritten_and_nothing_written_beside(tmp_path):
    (tmp_path / "README.txt").write_text("mine")
    found = call("init", tmp_path, "--name", "x")
    assert found.exit_code == 2
    assert found.stderr == (
        f"neuroalign: {tmp_path} has 'README.txt' already, and nothing is overwritten. Name another folder.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["README.txt"]
    assert (tmp_path / "README.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("x", "--template", "dem"),
            "template must be one of 'demo', 'language', 'objects', 'own-data', 'alice', ",
        ),
        (("x", "--name", "My Study"), "--name must be small letters, digits, - and _"),
        (("x", "--name", "shared"), "not 'shared'; got 'shared'."),
        (("é",), "no name of a study can be made of the folder 'é'. Pass --name"),
        (("file/x",), "could not be written: Not a directory."),
    ],
    ids=["template", "name", "shared", "accent", "file"],
)
def test_mistakes_are_one_message(words, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    found = call("init", *words)
    assert found.exit_code == 2 and text in found.stderr and found.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_for_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert call("init", tmp_path / "file").exit_code == 2


def test_tables_of_own_data_follow_the_category(tmp_path):
    call("init", tmp_path / "mine", "--template", "own-data")
    folder = tmp_path / "mine"
    model = datasets.read_rdm_table(folder / "category.tsv")
    names = datasets.described_subjects(folder / "my_data.yaml")
    assert names == ["s01", "s02", "s03", "s04", "s05", "s06"]
    own = [datasets.read_described(folder / "my_data.yaml", subject=name) for name in names]
    scores = [float(rsa.compare(one, model, "pearson").item()) for one in own]
    # differences of 1 between categories under noise of .5: r about 1 / sqrt(2)
    assert np.mean(scores) == pytest.approx(0.7, abs=0.1)
    assert load_study(folder / "study.yaml").own.simulated
    assert call("datasets", "check", folder / "my_data.yaml").exit_code == 0


SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "config").glob("*.yaml"))


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in TEMPLATES])
def test_studies_that_ship_can_be_started_from(name, tmp_path):
    found = call("init", tmp_path / "x", "--template", name, "--name", "mine")
    assert found.exit_code == 0, found.output
    made = load_study(tmp_path / "x" / "study.yaml")
    shipped = load_study(Path(__file__).parents[2] / "config" / f"{name}.yaml")
    assert made == shipped.model_copy(update={"name": "mine"})


def test_data_of_a_study_that_ships_are_said(tmp_path):
    found = call("init", tmp_path / "x", "--template", "searchlight")
    assert "neuroalign datasets fetch haxby_slice" in found.stdout


@pytest.mark.parametrize(
    ("file", "made", "command"),
    [
        ("study", study_schema, "neuroalign schema"),
        ("my_data", datasets.description_schema, "neuroalign datasets schema"),
    ],
    ids=["study", "my_data"],
)
def test_schema_that_ships_is_what_the_model_writes(file, made, command):
    path = SCHEMAS / f"{file}.schema.json"
    shipped = path.read_text(encoding="utf-8")
    assert shipped == json.dumps(made(), indent=1) + "\n", f"run: {command} > {path}"


@pytest.mark.parametrize("template", TEMPLATES)
def test_editors_find_the_schema_and_the_study_keeps_to_it(template, tmp_path):
    call("init", tmp_path / "x", "--template", template)
    files = ["study.yaml", "my_data.yaml"] if template == "own-data" else ["study.yaml"]
    for name in files:
        text = (tmp_path / "x" / name).read_text()
        first = text.splitlines()[0]
        schema = tmp_path / "x" / first.removeprefix("# yaml-language-server: $schema=")
        assert schema.is_file(), first
        checker = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
        assert not list(checker.iter_errors(yaml.safe_load(text)))
        assert list(checker.iter_errors({**yaml.safe_load(text), "localiser": {}}))
