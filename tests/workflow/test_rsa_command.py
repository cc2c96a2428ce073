"""``neuroalign rsa`` on arrays of known geometry: what it finds and saves, and the mistakes of people."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from neuroalign import io, rsa
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.schema import make_rdm
from neuroalign.workflow.cli import app
from neuroalign.workflow.rsa_files import data_rdms, model_rdms

NAMES = [f"s{i}" for i in range(8)]
N_PEOPLE, N_UNITS = 5, 6
FEW = ("--draws", "40", "--permutations", "99")


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def saved(x, path):
    io.save(x, path, params={}, seed=None, inputs={})
    return path


def square_table(path, rdm):
    from neuroalign.schema import square

    rows = ["\t".join(["stimulus", *NAMES])]
    rows += ["\t".join([name, *map(str, row)]) for name, row in zip(NAMES, square(rdm.values), strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """People whose patterns share a geometry, with noise; that geometry, another one, and both as layers."""
    folder, rng = tmp_path_factory.mktemp("rsa"), np.random.default_rng(0)
    shared = rng.standard_normal((len(NAMES), N_UNITS))
    people = [shared + 0.4 * rng.standard_normal(shared.shape) for _ in range(N_PEOPLE)]
    stimulus = {"stimulus": NAMES}
    responses = xr.DataArray(
        np.concatenate(people, axis=1),
        dims=("stimulus", "neuroid"),
        coords={
            **stimulus,
            "subject": ("neuroid", np.repeat([f"p{i}" for i in range(N_PEOPLE)], N_UNITS)),
            "roi": ("neuroid", np.tile(np.repeat(["A", "B"], N_UNITS // 2), N_PEOPLE)),
        },
    )
    patterns = xr.DataArray(shared, dims=("stimulus", "unit"), coords=stimulus)
    other = patterns.copy(data=rng.standard_normal(shared.shape))
    with io.layer_writer(folder / "layers.nc", {"h.0": N_UNITS, "h.1": N_UNITS}, np.array(NAMES), {}) as w:
        w.write(np.arange(len(NAMES)), {"h.0": other.values, "h.1": shared})
    rdms = make_rdm(
        np.stack([rsa.rdm(patterns.copy(data=one)).values for one in people]),
        NAMES,
        dims=["subject"],
        coords={"subject": [f"p{i}" for i in range(N_PEOPLE)]},
    )
    return {
        "folder": folder,
        "responses": saved(responses, folder / "responses.nc"),
        "rdms": saved(rdms, folder / "rdms.nc"),
        "shared": saved(patterns[::-1], folder / "shared.nc"),  # labels decide, order does not
        "other": square_table(folder / "other.tsv", rsa.rdm(other)),
        "layers": folder / "layers.nc",
    }


@pytest.fixture(scope="module")
def found(files):
    out = files["folder"] / "out.tsv"
    given = (f"true={files['shared']}", files["other"], files["layers"])
    said = call("rsa", files["rdms"], *given, *FEW, "--out", out)
    assert said.exit_code == 0, said.output
    return out, said.stdout


def test_scores_and_ceiling_are_those_of_the_library(files, found):
    table = io.read_table(found[0], text=("kind", "name", "subject"))
    data = io.load(files["rdms"])
    model = rsa.rdm(io.load(files["shared"]))
    expected = rsa.compare(model, data, "spearman").values[0]
    rows = table[(table["name"] == "true") & (table["subject"] != "mean")]
    np.testing.assert_allclose(rows["value"], expected, atol=1e-8)
    means = table[table["subject"] == "mean"].set_index("name")
    assert means.at["true", "value"] == pytest.approx(expected.mean(), abs=1e-8)
    assert means.at["layers/h.1", "value"] == pytest.approx(expected.mean(), abs=1e-6)
    bounds = rsa.noise_ceiling(data).values
    np.testing.assert_allclose([means.at["lower", "value"], means.at["upper", "value"]], bounds, atol=1e-8)
    assert means.at["true", "p"] == pytest.approx(0.01) and means.at["other", "p"] > 0.05


def test_what_is_said_has_every_model_the_ceiling_and_the_tests(found):
    lines = found[1].splitlines()
    assert "5 subject(s), 8 stimuli, RDMs as they are; compared by spearman" in lines[0]
    assert lines[1].startswith("noise ceiling: 0.")
    assert [line.split()[0] for line in lines[2:6]] == ["true", "other", "layers/h.0", "layers/h.1"]
    assert "intervals: 95 %, bootstrap; p: orders of the stimuli; q: FDR over models" in lines


def test_rdms_and_figure_stand_beside_the_table(found):
    out, _ = found
    together = io.load(out.with_suffix(".nc"))
    assert together["models"]["model"].values.tolist() == ["true", "other", "layers/h.0", "layers/h.1"]
    assert together["data"].sizes == {"subject": N_PEOPLE, "pair": 28}
    caption = io.read_json(out.with_suffix(".json"))["caption"]
    assert "n = 5 RDM(s)" in caption and "noise ceiling" in caption and "FDR" in caption
    assert out.with_suffix(".pdf").stat().st_size > 1000 and out.with_suffix(".png").is_file()


def test_same_seed_same_bytes(files, found, tmp_path):
    given = (f"true={files['shared']}", files["other"], files["layers"])
    call("rsa", files["rdms"], *given, *FEW, "--out", tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_bytes() == found[0].read_bytes()


def test_responses_of_a_region_give_an_rdm_a_person(files, tmp_path):
    out = tmp_path / "a.tsv"
    found = call("rsa", files["responses"], files["other"], "--roi", "B", *FEW, "--out", out)
    assert found.exit_code == 0, found.output
    own = io.load(files["responses"])
    inside = own.isel(neuroid=np.flatnonzero((own["roi"] == "B") & (own["subject"] == "p3")))
    made = io.load(out.with_suffix(".nc"))["data"].sel(subject="p3")
    np.testing.assert_allclose(made.values, rsa.rdm(inside).values, atol=1e-12)


def test_one_rdm_has_no_ceiling_and_says_so(files, tmp_path):
    found = call("rsa", files["other"], files["shared"], *FEW, "--out", tmp_path / "a.tsv")
    assert found.exit_code == 0, found.output
    assert "noise ceiling: none, the data have one RDM" in found.stdout
    table = io.read_table(tmp_path / "a.tsv", text=("kind", "name", "subject"))
    assert set(table["kind"]) == {"model"}


def test_json_has_the_means_and_the_ceiling(files, tmp_path):
    said = call("rsa", files["rdms"], files["other"], *FEW, "--out", tmp_path / "a.tsv", "--json").stdout
    rows = json.loads(said)
    assert [row["name"] for row in rows] == ["other", "lower", "upper"]
    assert rows[1]["p"] is None and 0 < rows[0]["p"] <= 1


def test_names_that_end_alike_stay_apart_in_the_figure():
    from neuroalign.workflow.rsa_figure import _short

    assert _short(["a" * 30, "b"]) == {"a" * 30: "..." + "a" * 15, "b": "b"}
    same = ["x" + "a" * 30, "y" + "a" * 30]
    assert _short(same) == {name: name for name in same}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("rdms", "other", "other"), "models need different names; 'other' comes twice. Pass name=path."),
        (("responses", "other"), "has 2 regions; name one with --roi: 'A', 'B'."),
        (("responses", "other", "--roi", "C"), "--roi must be one of 'A', 'B'; got 'C'."),
        (("rdms", "other", "--roi", "A"), "has no coordinate roi; got --roi A."),
        (("rdms", "other", "--method", "spearmn"), "method must be one of"),
        (("rdms", "other", "--resample", "people"), "bootstrap must be one of"),
        (("rdms", "shared", "--model-metric", "cosin"), "metric must be one of"),
        (("layers", "other"), "the data must be one array; this file has 'h.0', 'h.1'."),
        (("rdms", "other", "--out", "x.csv"), "--out must end in .tsv; got 'x.csv'."),
        (("rdms", "absent.nc"), "absent.nc does not exist."),
        (("rdms", "figure.png"), "figure.png must end in .nc, .tsv or .csv; got '.png'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_message(files, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    found = call("rsa", *(files.get(word, word) for word in words))
    assert found.exit_code == 2, found.output
    assert found.stderr.startswith("neuroalign: ") and text in found.stderr and found.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_stimuli_that_a_model_lacks_are_named(files, tmp_path):
    less = make_rdm(np.arange(21.0), NAMES[:7])
    found = call("rsa", files["rdms"], saved(less, tmp_path / "less.nc"))
    assert found.exit_code == 2 and "'s7'" in found.stderr and "less" in found.stderr


def test_responses_in_time_are_refused(files, tmp_path):
    x = io.load(files["shared"]).rename(unit="neuroid").expand_dims(time=[0.0, 0.1])
    path = saved(x.transpose("stimulus", "neuroid", "time"), tmp_path / "time.nc")
    found = call("rsa", path, files["other"])
    assert found.exit_code == 2 and "has a dim time: select or average a stretch" in found.stderr


# What may be in a file


def in_file(tmp_path, values, dims, **coords):
    return saved(xr.DataArray(values, dims=dims, coords=coords), tmp_path / "x.nc")


@pytest.mark.parametrize("subject", [None, "p7"])
def test_patterns_of_one_person_and_region_need_no_name(tmp_path, rng, subject):
    values, named = rng.standard_normal((8, 6)), {} if subject is None else {"subject": subject}
    path = in_file(tmp_path, values, ("stimulus", "neuroid"), stimulus=NAMES, roi="V1", **named)
    expected = rsa.rdm(xr.DataArray(values, dims=("stimulus", "neuroid"), coords={"stimulus": NAMES}))
    for roi in (None, "V1"):
        found = data_rdms(path, metric="correlation", roi=roi)
        assert found["subject"].values.tolist() == [subject or "data"]
        np.testing.assert_allclose(found.values[0], expected, atol=1e-12)
    with pytest.raises(InvalidValueError, match="--roi must be one of 'V1'; got 'V2'"):
        data_rdms(path, metric="correlation", roi="V2")


@pytest.mark.parametrize("subject", [None, "p7"])
def test_given_rdms_have_a_subject_and_one_region(tmp_path, rng, subject):
    rdm = make_rdm(rng.random(28), NAMES).assign_coords({} if subject is None else {"subject": subject})
    found = data_rdms(saved(rdm, tmp_path / "one.nc"), metric="correlation", roi=None)
    assert found["subject"].values.tolist() == [subject or "data"] and found.attrs["given"]
    np.testing.assert_array_equal(found.values, rdm.values[None])
    of_roi = rdm.drop_vars("subject", errors="ignore").expand_dims(roi=["V1"])
    found = data_rdms(saved(of_roi, tmp_path / "roi.nc"), metric="correlation", roi=None)
    np.testing.assert_array_equal(found.values, rdm.values[None])
    several = of_roi.expand_dims(session=[1, 2], subject=["a", "b"])
    with pytest.raises(ShapeError, match=r"RDMs of data must be \(pair,\) or \(subject, pair\); got"):
        data_rdms(saved(several, tmp_path / "many.nc"), metric="correlation", roi=None)


def test_rdms_of_several_models_are_named_by_their_labels(tmp_path, rng):
    rows = rng.random((2, 28))
    labelled = make_rdm(rows, NAMES, dims=["kind"], coords={"kind": ["size", "shape"]})
    for rdms, names in (
        (labelled, ["m/size", "m/shape"]),
        (labelled.drop_vars("kind"), ["m/0", "m/1"]),
        (labelled[:1], ["m"]),
    ):
        found = model_rdms([f"m={saved(rdms, tmp_path / 'm.nc')}"], metric="correlation")
        assert [one["model"].item() for one in found] == names
        np.testing.assert_array_equal(np.concatenate(found), rdms.values)
    with pytest.raises(
        ShapeError, match=r"RDMs of models must be \(pair,\) or \(model, pair\); got \('g', 'k"
    ):
        model_rdms([str(saved(labelled.expand_dims("g"), tmp_path / "m.nc"))], metric="correlation")
