"""A new user's data set: from YAML to a report without a line of Python; what is planted is found."""

from __future__ import annotations

import copy
import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from neuroalign import datasets, io, rsa
from neuroalign.errors import FileError, InvalidValueError, LabelError, NeuroalignError, ShapeError
from neuroalign.schema import rdm_stimuli
from neuroalign.workflow.cli import app
from neuroalign.workflow.config import load_study
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
own_data = SimpleNamespace(**runpy.run_path(str(ROOT / "tests/workflow/own_data.py")))
TEXT = ("roi", "kind", "name", "other", "network", "subject")
FEW = {"n_draws": 40, "n_permutations": 400}


def call(*words):
    plain = {"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(app, [str(word) for word in words], env=plain)


def edited(folder: Path, **changed: object) -> Path:
    """Write the study of a folder with values of its section own changed; None drops one."""
    study = copy.deepcopy(own_data.STUDY)
    study["own"] |= FEW | changed
    study["own"] = {key: value for key, value in study["own"].items() if value is not None}
    if "model" in study["own"]:
        study["model"] = study["own"].pop("model")
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The data set, in a folder whose name has a space and an accent."""
    folder = tmp_path_factory.mktemp("own") / "Zoë's data"
    own_data.make(folder)
    return folder


@pytest.fixture
def inside(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


@pytest.fixture(scope="session")
def paths(made, tmp_path_factory):
    """The steps done with few draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        found = Paths(load_study(edited(made)), tmp_path_factory.mktemp("results"))
        STEPS["own-rdms"](found)
        STEPS["own-rsa"](found)
    return found


def table(paths) -> pd.DataFrame:
    return io.read_table(paths.figure(21, "tsv"), text=TEXT)


def test_the_planted_model_of_each_region_is_found_and_no_other(paths):
    rows = table(paths).query("kind == 'model' and subject == 'mean'").set_index(["roi", "name"])
    assert rows.loc[("meaning", "category"), "value"] > 0.7 and rows.loc[("form", "length"), "value"] > 0.7
    found = rows.index[rows["p_fdr"] < 0.05].tolist()
    assert found == [("meaning", "category"), ("form", "length")]
    assert (rows["value"].drop(found).abs() < 0.4).all()
    assert (rows["null_low"] < 0).all() and (rows["null_high"] < 0.6).all()


def test_scores_are_those_of_the_public_functions(paths, inside):
    patterns = datasets.read_described("words.yaml", what="estimates", subject="s02", progress=False)
    own = patterns.isel(neuroid=patterns["roi"].values == "form")
    noise = rsa.noise_precision(own["residuals"], dof=sum(patterns.attrs["dof"]), folds="time_run")
    rdm = rsa.rdm(own["betas"], "crossnobis", noise=noise)
    model = datasets.read_rdm_table("length.tsv").expand_dims(model=["length"])
    expected = rsa.compare(model, rdm.expand_dims(subject=["s02"]), "spearman").values.item()
    rows = table(paths).query("roi == 'form' and name == 'length' and subject == 's02'")
    assert rows["value"].iloc[0] == pytest.approx(expected, abs=1e-8)
    saved = io.load(paths.own_rdms)
    assert saved.dims == ("roi", "subject", "pair") and rdm_stimuli(saved).tolist() == list(own_data.WORDS)


def test_region_without_signal_has_a_lower_ceiling_and_values_hold_every_pair(paths):
    found = table(paths)
    lower = found.query("kind == 'ceiling' and name == 'lower'").set_index("roi")["value"]
    assert lower["noise"] < 0.4 < min(lower["meaning"], lower["form"])
    n = len(own_data.WORDS)
    assert (found.query("kind == 'rdm'").groupby("roi").size() == n * (n - 1) // 2).all()


def test_the_figure_is_drawn_and_says_what_it_shows(paths):
    script = ROOT / "analyses/own_data/figure.py"
    subprocess.run([sys.executable, script, paths.figure(21, "tsv")], check=True)
    assert all(paths.figure(21, kind).stat().st_size > 5000 for kind in ("png", "pdf"))
    caption = io.read_json(paths.figure(21, "json"))["caption"]
    assert caption.startswith("SIMULATED DATA. ") and "nan" not in caption
    for words in (
        "3 people",
        "12 stimuli",
        "noise ceiling",
        "shuffled",
        "FDR over all models",
        "licence: CC0",
    ):
        assert words in caption


def test_columns_of_the_stimulus_table_are_models_too(inside, tmp_path):
    study = load_study(edited(inside, models=None, columns=["category", "length"], rois=["form"]))
    found = Paths(study, tmp_path)
    STEPS["own-rdms"](found)
    STEPS["own-rsa"](found)
    rows = table(found).query("kind == 'model' and subject == 'mean'").set_index("name")
    assert rows.loc["length", "value"] > 0.7 > rows.loc["category", "value"]
    assert set(table(found)["roi"]) == {"form"}


def test_layers_of_the_network_stand_beside_their_untrained_twin(paths, inside, tiny_llama, tmp_path):
    study = load_study(edited(inside, models=None, network=True, model={"name": str(tiny_llama)}))
    found = Paths(study, tmp_path)
    STEPS["own-activations"](found)
    io.save(io.load(paths.own_rdms), found.own_rdms)
    STEPS["own-rsa"](found)
    rows = table(found).query("kind == 'layer' and subject == 'mean'")
    assert rows.groupby(["roi", "network"]).size().to_dict() == {
        (roi, twin): 3 for roi in ("form", "meaning", "noise") for twin in ("trained", "untrained")
    }
    assert rows["value"].between(-1, 1).all()
    assert rows.loc[rows["network"] == "trained", "p_fdr"].notna().all()
    file, last = (
        found.activations("own", "trained"),
        rows.query("roi == 'form' and network == 'trained'").iloc[-1],
    )
    layer = io.read_layer(file, last["name"])
    saved = io.load(paths.own_rdms).sel(roi="form", drop=True)
    rdm = rsa.rdm(layer.astype(float), "correlation").expand_dims(model=["x"])
    assert last["value"] == pytest.approx(float(rsa.compare(rdm, saved).mean()), abs=1e-6)
    subprocess.run(
        [sys.executable, ROOT / "analyses/own_data/figure.py", found.figure(21, "tsv")], check=True
    )
    assert "with random weights (the control)" in io.read_json(found.figure(21, "json"))["caption"]


def test_given_rdms_need_no_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    model = own_data.models()["length"]
    model.to_csv("length.tsv", sep="\t", index_label="stimulus")
    for i in range(3):
        noise = rng.normal(0, 0.3, model.shape)
        (model + np.triu(noise, 1) + np.triu(noise, 1).T).to_csv(
            f"p{i}.tsv", sep="\t", index_label="stimulus"
        )
    about = {"name": "r", "title": "R", "kind": "rdm", "file": "p{subject}.tsv"}
    Path("r.yaml").write_text(yaml.safe_dump(about))
    study = {"name": "r", "title": "R", "own": {"data": "r.yaml", "models": {"length": "length.tsv"}, **FEW}}
    found = Paths(load_study(study), tmp_path / "results")
    found.check_sources()
    STEPS["own-rdms"](found)
    STEPS["own-rsa"](found)
    rows = table(found).query("kind == 'model' and subject == 'mean'")
    assert rows["value"].iloc[0] > 0.8 and rows["roi"].tolist() == ["all"]


def test_epochs_need_a_window(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in "ab":
        values = xr.DataArray(
            rng.normal(size=(4, 6, 5)),
            dims=("stimulus", "neuroid", "time"),
            coords={
                "stimulus": list("wxyz"),
                "neuroid": [f"c{i}" for i in range(6)],
                "time": np.arange(5) / 10,
            },
        )
        io.save(values, f"{name}.nc")
    about = {"name": "e", "title": "E", "kind": "labelled", "file": "{subject}.nc"}
    Path("e.yaml").write_text(yaml.safe_dump(about))
    base = {"data": "e.yaml", "columns": ["x"], **FEW}
    study = {"name": "e", "title": "E", "own": base}
    with pytest.raises(InvalidValueError, match=r"times from 0 to 0\.4 s; say with window"):
        STEPS["own-rdms"](Paths(load_study(study), tmp_path / "results"))
    found = Paths(load_study({**study, "own": {**base, "window": [0.1, 0.2]}}), tmp_path / "results")
    STEPS["own-rdms"](found)
    expected = rsa.rdm(io.load("a.nc").isel(time=slice(1, 3)).mean("time"))
    np.testing.assert_allclose(io.load(found.own_rdms).sel(roi="all", subject="a").values, expected.values)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"rois": ["V9"]}, LabelError, "own.rois: 'V9' are none of"),
        ({"window": [0.1, 0.2]}, InvalidValueError, "own.window belongs to responses in time"),
    ],
    ids=["rois", "window"],
)
def test_what_the_data_do_not_have_is_refused(inside, tmp_path, change, error, said):
    with pytest.raises(error, match=said):
        STEPS["own-rdms"](Paths(load_study(edited(inside, **change)), tmp_path))


def test_models_of_other_stimuli_are_refused(inside, tmp_path, paths):
    model = own_data.models()["length"].iloc[:-1, :-1]
    model.to_csv(tmp_path / "short.tsv", sep="\t", index_label="stimulus")
    found = Paths(load_study(edited(inside, models={"short": str(tmp_path / "short.tsv")})), tmp_path)
    io.save(io.load(paths.own_rdms), found.own_rdms)
    with pytest.raises(LabelError, match="'shovel'"):
        STEPS["own-rsa"](found)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"data": "x.yaml"}, "own needs models, columns or network: true"),
        ({"data": "x.nc", "columns": ["a"]}, "own.data: "),
        ({"data": "x.yaml", "columns": ["a"], "models": {"a": "a.tsv"}}, "the same names: a"),
        ({"data": "x.yaml", "columns": ["a"], "window": [1, 0]}, "from an earlier to a later time"),
        ({"data": "x.yaml", "colums": ["a"]}, "own.colums: unknown key; did you mean 'columns'?"),
    ],
    ids=["nothing", "ending", "names", "window", "key"],
)
def test_a_wrong_section_says_so(own, said):
    with pytest.raises(NeuroalignError) as caught:
        load_study({"name": "x", "title": "X", "own": own})
    assert said in str(caught.value)


def test_check_names_every_missing_file(made, tmp_path):
    config = edited(made)
    assert call("check", config, "--directory", made).exit_code == 0
    moved = {made / "data/s02/run-3_events.tsv", made / "data/stimuli.tsv"}
    for path in moved:
        path.rename(path.with_suffix(".gone"))
    try:
        found = call("check", config, "--directory", made)
    finally:
        for path in moved:
            path.with_suffix(".gone").rename(path)
    assert found.exit_code == 2 and found.stdout == ""
    assert "its data are not whole" in found.stderr
    assert "events: run '3' of subject 's02' is not there" in found.stderr
    assert "stimuli: " in found.stderr and "stimuli.tsv does not exist" in found.stderr
    gone = call("check", edited(made, models={"x": "absent.tsv"}), "--directory", made)
    assert gone.exit_code == 2 and "'absent.tsv'" in gone.stderr


def test_edited_stimuli_and_data_are_inputs_of_the_rules(inside):
    found = Paths(load_study("study.yaml"))
    files = found.own_files()
    assert files[:2] == ["words.yaml", "data/stimuli.tsv"]
    assert {"data/regions.nii.gz", "data/s03/run-4_bold.nii.gz", "data/s03/run-4_events.tsv"} <= set(files)
    assert found.sources("own") == ["category.tsv", "length.tsv"] and found.figures() == [21]
    study = load_study({**own_data.STUDY, "own": {**own_data.STUDY["own"], "data": "absent.yaml"}})
    with pytest.raises(FileError, match=r"absent\.yaml could not be read"):
        Paths(study).check_sources()


def test_commands_on_a_description(made):
    found = call("datasets", "check", made / "words.yaml")
    assert found.exit_code == 0 and "3 subject(s): 's01', 's02', 's03'" in found.stdout
    assert "runs: s01 4, s02 4, s03 4" in found.stdout
    assert '"additionalProperties": false' in call("datasets", "schema").stdout


@pytest.mark.slow
def test_from_yaml_to_report_without_a_line_of_python(tmp_path):
    """The acceptance: a script makes the files, one command makes the report."""
    folder = tmp_path / "new user"
    subprocess.run(
        [sys.executable, ROOT / "tests/workflow/own_data.py", folder], check=True, capture_output=True
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "neuroalign",
            "run",
            folder / "study.yaml",
            "--cores",
            "1",
            "--directory",
            folder,
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = (folder / "results/words/report.html").read_text()
    assert '<section id="figure-21"' in report and "SIMULATED DATA" in report
    rows = io.read_table(folder / "results/words/figures/figure21.tsv", text=TEXT)
    rows = rows.query("kind == 'model' and subject == 'mean'").set_index(["roi", "name"])
    assert rows.index[rows["p_fdr"] < 0.05].tolist() == [("meaning", "category"), ("form", "length")]
    assert {path.name for path in folder.iterdir()} >= {"results", "data", "words.yaml"}


def test_datasets_info_says_the_same_in_words_and_as_json():
    words = call("datasets", "info", "finger7t").stdout
    assert (
        "licence: MIT" in words
        and "what='responses' [subject]" in words
        and "(presentation, neuroid)" in words
    )
    value = json.loads(call("datasets", "info", "finger7t", "--json").stdout)
    assert value["parts"]["responses"]["selectors"] == {"subject": "s1"}
    rows = json.loads(call("datasets", "list", "--json").stdout)
    assert [row["name"] for row in rows] == sorted(datasets.manifest())
    wrong = call("datasets", "info", "alice")
    assert wrong.exit_code == 2 and "got 'alice'" in wrong.stderr


# Data that do not fit the study


def labelled_study(folder: Path, arrays: dict[str, xr.DataArray], **own: object) -> Paths:
    """A study on a labelled array a person, and a stimulus table without a text."""
    for name, values in arrays.items():
        io.save(values, folder / f"{name}.nc")
    pd.DataFrame({"stimulus": list("wxyz"), "size": [1, 2, 4, 8]}).to_csv("s.tsv", sep="\t", index=False)
    about = {"name": "l", "title": "L", "kind": "labelled", "file": "{subject}.nc", "stimuli": "s.tsv"}
    Path("l.yaml").write_text(yaml.safe_dump(about))
    section = {"data": "l.yaml", "columns": ["size"], **FEW, **own}
    return Paths(load_study({"name": "l", "title": "L", "own": section}), folder / "results")


def trials(rng, runs) -> xr.DataArray:
    coords = {"stimulus": ("presentation", list("wxyz") * 2), "run": ("presentation", runs)}
    names = [f"v{i}" for i in range(6)]
    values = rng.standard_normal((8, 6))
    return xr.DataArray(values, dims=("presentation", "neuroid"), coords={**coords, "neuroid": names})


@pytest.mark.parametrize(
    ("runs", "metric"), [([1] * 4 + [2] * 4, "crossnobis"), ([1, 1, 2, 2] * 2, "correlation")], ids=str
)
def test_distances_are_cross_validated_where_every_stimulus_has_two_runs(
    tmp_path, monkeypatch, rng, runs, metric
):
    monkeypatch.chdir(tmp_path)
    people = {name: trials(rng, runs) for name in "ab"}
    found = labelled_study(tmp_path, people)
    STEPS["own-rdms"](found)
    made = io.load(found.own_rdms)
    assert {one["metric"] for one in made.attrs["facts"].values()} == {metric}
    for name, values in people.items():
        np.testing.assert_allclose(made.sel(roi="all", subject=name).values, rsa.rdm(values, metric).values)


def test_one_person_has_no_ceiling_and_a_column_must_be_there(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    found = labelled_study(tmp_path, {"a": trials(rng, [1] * 4 + [2] * 4)})
    STEPS["own-rdms"](found)
    with pytest.raises(ShapeError, match="region 'all': a noise ceiling needs at least 2 subjects; got 1"):
        STEPS["own-rsa"](found)
    other = labelled_study(tmp_path, {}, columns=["colour"])
    with pytest.raises(
        LabelError, match=r"own.columns: 'colour' are no columns of the stimulus table; it has"
    ):
        STEPS["own-rsa"](other)
    networked = labelled_study(tmp_path, {}, network=True)
    with pytest.raises(LabelError, match="network: true needs a column 'text' in the stimulus table; it has"):
        STEPS["own-activations"](networked)
    io.save(xr.Dataset({"a": ("x", [1.0])}), found.own_rdms)
    with pytest.raises(ShapeError, match=r"must hold RDMs \(roi, subject, pair\); it holds a Dataset"):
        STEPS["own-rsa"](found)


def test_a_study_without_data_of_its_own_says_so(tmp_path):
    with pytest.raises(InvalidValueError, match="study 'x' has no section own"):
        STEPS["own-rdms"](Paths(load_study({"name": "x", "title": "X", "topology": {}}), tmp_path))


def test_a_window_beside_the_times_is_refused(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    values = xr.DataArray(
        rng.standard_normal((4, 6, 5)),
        dims=("stimulus", "neuroid", "time"),
        coords={"stimulus": list("wxyz"), "neuroid": range(6), "time": np.arange(5) / 10},
    )
    found = labelled_study(tmp_path, {"a": values}, window=[0.5, 0.7])
    with pytest.raises(InvalidValueError, match=r"own.window \(0.5, 0.7\) holds no time of 0 to 0.4 s"):
        STEPS["own-rdms"](found)


def test_a_region_too_large_for_a_precision_is_named(inside, tmp_path, monkeypatch):
    module = importlib.import_module("neuroalign.workflow.steps.own")
    monkeypatch.setattr(module, "MOST", 3)
    with pytest.raises(ShapeError, match=r"region '\w+' has \d+ neuroids; .* more than 3 does not fit"):
        STEPS["own-rdms"](Paths(load_study(edited(inside)), tmp_path))
