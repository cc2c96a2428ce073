"""Descriptions: every kind is read as it was written, a mistake has its line, no path leaves the root."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from neuroalign import datasets, io
from neuroalign.datasets.bold.glm import condition_betas
from neuroalign.datasets.own.described import described_stimuli
from neuroalign.datasets.own.description import Description
from neuroalign.datasets.own.description_files import open_described
from neuroalign.datasets.own.patterns import find_files
from neuroalign.errors import (
    FileError,
    InvalidValueError,
    LabelError,
    NeuroalignError,
    ShapeError,
    UnsafeError,
)
from neuroalign.schema import make_rdm
from neuroalign.workflow.config import load_study

SHAPE, AFFINE = (3, 2, 2), np.diag([2.0, 2, 2, 1])
STIMULI, RUNS = ["cat", "dog", "saw"], ("1", "2")


def describe(folder: Path, **keys: object) -> Path:
    """Write a description of kind patterns with keys changed; None drops one."""
    value = {"name": "mine", "title": "Mine", "kind": "patterns", **keys}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({key: item for key, item in value.items() if item is not None}))
    return path


def save_image(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, AFFINE)
    if values.ndim == 4:
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((2, 2, 2, 2.0))
    nib.save(image, path)


def save_table(path: Path, **columns: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, sep="\t", index=False)


@pytest.fixture
def maps(tmp_path):
    """Betas of two people in two runs, the stimuli of run 2 in another order; two parcels."""
    rng = np.random.default_rng(0)
    for subject in ("01", "02"):
        for run in RUNS:
            order = STIMULI if run == "1" else STIMULI[::-1]
            save_image(tmp_path / f"{subject}/{run}.nii.gz", rng.normal(size=(*SHAPE, 3)).astype("f4"))
            save_table(tmp_path / f"{subject}/{run}.tsv", stimulus=order)
    parcels = np.zeros(SHAPE, dtype=np.int16)
    parcels[0], parcels[2] = 2, 1
    save_image(tmp_path / "parcels.nii.gz", parcels)
    save_table(tmp_path / "stimuli.tsv", stimulus=STIMULI, category=["animal", "animal", "tool"])
    return tmp_path


MAPS = {"images": "{subject}/{run}.nii.gz", "labels": "{subject}/{run}.tsv", "stimuli": "stimuli.tsv"}


def test_maps_are_labelled_by_their_tables_and_not_by_their_order(maps):
    path = describe(maps, **MAPS)
    found = datasets.read_described(path, subject="02")
    assert found["stimulus"].values.tolist() == [*STIMULI, *STIMULI[::-1]]
    last = np.asarray(nib.load(maps / "02/2.nii.gz").dataobj)[..., 0]
    own = found.isel(presentation=(found["run"] == "2").values & (found["stimulus"] == "saw").values)
    np.testing.assert_array_equal(own.values[0], last.reshape(-1))
    assert str(found["subject"].values) == "02"
    assert {key: found.attrs[key] for key in ("dataset", "licence")} == {
        "dataset": "mine",
        "licence": "not stated",
    }


def test_parcels_name_the_voxels_or_average_them(maps):
    keys = {**MAPS, "parcels": "parcels.nii.gz", "parcel_names": {1: "V1", 2: "LOC"}}
    voxels = datasets.read_described(describe(maps, **keys), subject="01")
    assert pd.Series(voxels["roi"].values).value_counts().to_dict() == {"V1": 4, "LOC": 4}
    means = datasets.read_described(describe(maps, **keys, average=True), subject="01")
    assert means["roi"].values.tolist() == ["V1", "LOC"]
    np.testing.assert_allclose(
        means.sel(neuroid="V1").values, voxels.values[:, voxels["roi"].values == "V1"].mean(axis=1), rtol=1e-6
    )
    some = datasets.read_described(describe(maps, **keys, rois=["LOC"]), subject="01")
    assert set(some["roi"].values) == {"LOC"}
    with pytest.raises(LabelError, match="rois: 'FFA' are none of 'LOC', 'V1'"):
        datasets.read_described(describe(maps, **keys, rois=["FFA"]), subject="01")


def test_what_is_excluded_is_left_out_and_said(maps):
    out = {"subjects": {"01": "moved"}, "runs": {"02/1": "no sound"}, "stimuli": {"dog": "misspelt"}}
    path = describe(maps, **MAPS, exclude=out)
    assert datasets.described_subjects(path) == ["02"]
    found = datasets.read_described(path)
    assert found["stimulus"].values.tolist() == ["saw", "cat"]
    assert found.attrs["excluded"] == out
    assert datasets.read_described(path, what="stimuli")["stimulus"].tolist() == ["cat", "saw"]
    with pytest.raises(InvalidValueError, match="subject '01' is excluded: moved"):
        datasets.read_described(path, subject="01")


def test_several_subjects_ask_for_one(maps):
    path = describe(maps, **MAPS)
    with pytest.raises(InvalidValueError, match=r"has 2 subjects: '01', '02'. Pass subject="):
        datasets.read_described(path)
    with pytest.raises(InvalidValueError, match=r"subject of .* must be one of '01', '02'; got '3'"):
        datasets.read_described(path, subject="3")
    with pytest.raises(
        InvalidValueError, match=r"what of .*, kind patterns must be one of 'responses', 'stimuli'"
    ):
        datasets.read_described(path, what="series", subject="01")


def test_stimuli_that_the_table_lacks_are_named(maps):
    save_table(maps / "stimuli.tsv", stimulus=["cat", "dog"])
    with pytest.raises(
        LabelError, match=r"the stimulus table lacks: 'saw'. Add them, or name them below exclude"
    ):
        datasets.read_described(describe(maps, **MAPS), subject="01")


def test_a_run_that_lacks_a_file_is_named_with_its_key(maps):
    (maps / "02/2.tsv").unlink()
    path = describe(maps, **MAPS)
    with pytest.raises(
        FileError, match=r"mine.yaml, labels: run '2' of subject '02' is not there .* there are '1'"
    ):
        datasets.read_described(path, subject="02")
    files, wrong = open_described(path).named()
    assert len(wrong) == 1 and maps / "01/1.nii.gz" in files and maps / "stimuli.tsv" in files
    with pytest.raises(FileError, match=r"images: run '3' of subject '01' is not there"):
        datasets.read_described(describe(maps, **MAPS, runs=[1, 2, 3]), subject="01")


def test_every_missing_file_is_listed_at_once(maps):
    keys = {**MAPS, "subjects": ["01", "07"], "stimuli": "absent.tsv", "parcels": "none.nii.gz"}
    _, wrong = open_described(describe(maps, **keys)).named()
    said = "\n".join(wrong)
    assert len(wrong) == 3
    assert "stimuli: " in said and "parcels: " in said and "subject '07' has no files" in said


# Series with events

TIMED = {"kind": "volumes", "images": "{subject}_{run}.nii.gz", "events": "{subject}_{run}.tsv", "tr": 2.0}


@pytest.fixture
def timed(tmp_path):
    rng = np.random.default_rng(1)
    for run in RUNS:
        values = rng.normal(100, 1, (*SHAPE, 40)).astype("f4")
        values[0, 0, 0] = 5
        save_image(tmp_path / f"s1_{run}.nii.gz", values)
        save_table(
            tmp_path / f"s1_{run}.tsv",
            onset=[4, 16, 28, 40, 52, 60],
            duration=[2, 2, 2, 2, 2, 2],
            trial_type=["cat", "dog", "saw", "dog", "cat", "n/a"],
        )
        save_table(tmp_path / f"s1_{run}_moved.tsv", x=rng.normal(size=40).tolist(), y=list(range(40)))
    mask = np.ones(SHAPE, dtype=np.uint8)
    save_image(tmp_path / "mask.nii.gz", mask)
    return tmp_path


def test_volumes_become_betas_of_conditions_with_residuals(timed):
    path = describe(timed, **TIMED, mask="mask.nii.gz")
    series = datasets.read_described(path, what="series", progress=False)
    events = datasets.read_described(path, what="events", progress=False)
    assert series.shape == (80, 12) and len(events) == 10 and set(events["run"]) == {"1", "2"}
    found = datasets.read_described(path, what="estimates", progress=False)
    expected = condition_betas(series, events, fill_first=True, progress=False)
    kept = expected["defined"].values
    assert found.attrs["n_undefined"] == 1 and kept.sum() == 11
    np.testing.assert_array_equal(found["betas"].values, expected["betas"].values[:, kept])
    np.testing.assert_array_equal(found["residuals"].values, expected["residuals"].values[:, kept])
    assert sorted(found["stimulus"].values.tolist()) == sorted([*STIMULI, *STIMULI])
    betas = datasets.read_described(path, progress=False)
    xr.testing.assert_equal(betas, found["betas"])
    assert betas.attrs["n_undefined"] == 1


def test_single_trials_and_confounds(timed):
    keys = {"confounds": "{subject}_{run}_moved.tsv", "confound_columns": ["x"], "glm": {"method": "single"}}
    found = datasets.read_described(describe(timed, **TIMED, **keys), progress=False)
    assert found.sizes["presentation"] == 10 and found.attrs["method"] == "lss"
    keys["confound_columns"] = ["z"]
    with pytest.raises(LabelError, match=r"confound_columns: .* lacks 'z'; it has 'x', 'y'"):
        datasets.read_described(describe(timed, **TIMED, **keys), progress=False)


def test_confounds_of_another_length_are_refused(timed):
    save_table(timed / "s1_2_moved.tsv", x=[0.0] * 39)
    keys = {"confounds": "{subject}_{run}_moved.tsv"}
    with pytest.raises(NeuroalignError, match=r"s1_2_moved.tsv has 39 rows for 40 volumes"):
        datasets.read_described(describe(timed, **TIMED, **keys), progress=False)


def test_events_without_the_named_column_say_what_there_is(timed):
    with pytest.raises(
        LabelError, match=r"lacks the column 'word'; it has 'onset', 'duration', 'trial_type'"
    ):
        datasets.read_described(describe(timed, **TIMED, event_column="word"), progress=False)


# Surfaces, epochs, labelled arrays, RDMs


def test_surfaces_have_regions_of_both_hemispheres(tmp_path):
    rng = np.random.default_rng(2)
    for side, n in (("L", 5), ("R", 4)):
        rows = [nib.gifti.GiftiDataArray(row) for row in rng.normal(size=(40, n)).astype("f4")]
        nib.save(nib.GiftiImage(darrays=rows), tmp_path / f"s1_{side}.func.gii")
        label = nib.gifti.GiftiDataArray(
            np.array([0, 1, 1, 2, 2][:n], dtype=np.int32), intent="NIFTI_INTENT_LABEL"
        )
        nib.save(nib.GiftiImage(darrays=[label]), tmp_path / f"{side}.label.gii")
    save_table(tmp_path / "e.tsv", onset=[4, 16, 28, 40], duration=[2] * 4, trial_type=["a", "b", "c", "a"])
    keys = {"kind": "surfaces", "left": "{subject}_L.func.gii", "right": "{subject}_R.func.gii", "tr": 2.0}
    keys |= {"events": "e.tsv", "parcels_left": "L.label.gii", "parcels_right": "R.label.gii"}
    keys |= {"parcel_names": {1: "A", 2: "B"}}
    found = datasets.read_described(describe(tmp_path, **keys), progress=False)
    counts = pd.Series(found["roi"].values).value_counts().to_dict()
    assert counts == {"left/A": 2, "left/B": 2, "right/A": 2, "right/B": 1}
    means = datasets.read_described(describe(tmp_path, **keys, average=True), what="series", progress=False)
    assert means.sizes["neuroid"] == 4


def test_epochs_are_averaged_by_stimulus(tmp_path):
    mne = pytest.importorskip("mne")
    rng = np.random.default_rng(3)
    info = mne.create_info(["Cz", "Pz"], 100.0, "eeg")
    events = np.c_[np.arange(6) * 100, np.zeros(6, int), [1, 2, 1, 2, 1, 2]]
    epochs = mne.EpochsArray(
        rng.normal(size=(6, 2, 20)), info, events, event_id={"a": 1, "b": 2}, verbose="ERROR"
    )
    epochs.save(tmp_path / "sub-x-epo.fif", verbose="ERROR")
    path = describe(tmp_path, kind="epochs", epochs="sub-{subject}-epo.fif")
    found = datasets.read_described(path)
    assert found.dims == ("stimulus", "neuroid", "time") and found["stimulus"].values.tolist() == ["a", "b"]
    assert str(found["subject"].values) == "x"


def test_labelled_arrays_of_several_people_are_told_apart_by_their_neuroids(tmp_path):
    values = xr.DataArray(
        np.arange(6.0).reshape(2, 3),
        dims=("stimulus", "neuroid"),
        coords={
            "stimulus": ["a", "b"],
            "neuroid": ["v1", "v2", "v3"],
            "subject": ("neuroid", ["x", "y", "x"]),
        },
    )
    io.save(values, tmp_path / "all.nc")
    path = describe(tmp_path, kind="labelled", file="all.nc", subjects=["x", "y"])
    assert datasets.read_described(path, subject="x").values.tolist() == [[0, 2], [3, 5]]
    path = describe(tmp_path, kind="labelled", file="all.nc", subjects=["x", "z"])
    with pytest.raises(LabelError, match="no neuroid of subject 'z'; it has 'x', 'y'"):
        datasets.read_described(path, subject="z")


def test_rdms_of_people_are_aligned_by_name(tmp_path):
    save_table(tmp_path / "p1.tsv", stimulus=["a", "b", "c"], a=[0, 1, 2], b=[1, 0, 3], c=[2, 3, 0])
    save_table(tmp_path / "p2.tsv", stimulus=["c", "b", "a"], a=[2, 1, 0], c=[0, 3, 2], b=[3, 0, 1])
    path = describe(tmp_path, kind="rdm", file="p{subject}.tsv")
    found = datasets.read_described(path)
    assert found.dims == ("subject", "pair") and found.values.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert datasets.read_described(path, subject="2")["subject"].values.tolist() == ["2"]
    whole = make_rdm(
        np.array([[1.0, 2, 3], [4, 5, 6]]), list("abc"), dims=["subject"], coords={"subject": ["p", "q"]}
    )
    io.save(whole, tmp_path / "all.nc")
    path = describe(tmp_path, kind="rdm", file="all.nc", exclude={"subjects": {"p": "slept"}})
    assert datasets.read_described(path).values.tolist() == [[4, 5, 6]]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"stimulus": ["a", "b"], "a": [0, 1], "b": [2, 0]}, "must be symmetric"),
        ({"stimulus": ["a", "b"], "a": [0, 1], "c": [1, 0]}, "'b', 'c' are only in one"),
        ({"stimulus": ["a", "b"], "a": [0, "x"], "b": ["x", 0]}, "cells must be numbers"),
        ({"name": ["a", "b"], "a": [0, 1], "b": [1, 0]}, "the first column must be 'stimulus'"),
        ({"stimulus": ["a", "a"], "a": [0, 1], "b": [1, 0]}, "rows are repeated: 'a'"),
    ],
    ids=["asymmetric", "names", "text", "no labels", "repeated"],
)
def test_tables_that_are_no_rdm_are_refused(tmp_path, columns, said):
    save_table(tmp_path / "m.tsv", **columns)
    with pytest.raises(NeuroalignError, match=said):
        datasets.read_rdm_table(tmp_path / "m.tsv")


# What a description may not say

WRONG = {
    "name: x\ntitle: T\nkind: rdm\nfile: a\nsubjcts: [a]\n": (
        "line 5, subjcts: unknown key; did you mean 'subjects'?"
    ),
    "name: x\ntitle: T\nkind: volumes\nimages: a\nevents: b\nglm:\n  drft: cosine\n": (
        "line 7, glm.drft: unknown key; did you mean 'drift'?"
    ),
    "name: x\ntitle: T\nkind: rdm\n": "kind: rdm needs file.",
    "name: x\nkind: rdm\nfile: a\n": "title: is missing.",
    "name: x\ntitle: T\nkind: rdm\nfile: a\nevents: b\n": "kind: rdm takes no events; its keys are",
    "name: x\ntitle: T\nkind: bids\ntask: t\nconfounds: motion\n": "must be a list of strategies",
    "name: x\ntitle: T\nkind: volume\nfile: a\n": "line 3, kind: Input should be 'bids', 'volumes'",
    "name: x\ntitle: T\nkind: labelled\nfile: a\nrois: [V1]\nparcel_names: b\n": "takes no parcel_names",
    "name: x\ntitle: T\nkind: patterns\nimages: a\nlabels: b\nrois: [V1]\n": "rois need parcels",
    "[a, b]": "must be a mapping of keys to values; got list",
}


@pytest.mark.parametrize("text", list(WRONG), ids=range(len(WRONG)))
def test_a_wrong_description_says_where_and_what(tmp_path, text):
    path = tmp_path / "d.yaml"
    path.write_text(text)
    with pytest.raises(InvalidValueError) as caught:
        datasets.read_description(path)
    assert str(path) in str(caught.value) and WRONG[text] in str(caught.value)


def test_every_mistake_is_said_at_once(tmp_path):
    path = tmp_path / "d.yaml"
    path.write_text("name: x\ntitle: T\nkind: rdm\nfile: a\nfoo: 1\ntr: -2\n")
    with pytest.raises(InvalidValueError, match="has 2 error") as caught:
        datasets.read_description(path)
    assert "line 5, foo" in str(caught.value) and "line 6, tr" in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "name: x\nname: y\n", "!!python/object/apply:os.system ['true']"])
def test_what_is_no_yaml_or_more_than_data_is_refused(tmp_path, text):
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(FileError, match=r"d\.yaml is not YAML"):
        datasets.read_description(tmp_path / "d.yaml")
    with pytest.raises(FileError, match=r"absent\.yaml could not be read"):
        datasets.read_description(tmp_path / "absent.yaml")


def test_labels_with_leading_zeros_stay_labels(tmp_path):
    (tmp_path / "d.yaml").write_text("name: x\ntitle: T\nkind: rdm\nfile: a\nsubjects: [01, 010, 7, s3]\n")
    assert datasets.read_description(tmp_path / "d.yaml").subjects == ("01", "010", "7", "s3")


def test_the_schema_names_every_key():
    schema = datasets.description_schema()
    assert set(schema["properties"]) == set(Description.model_fields)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("pattern", ["../{subject}.tsv", "/etc/{subject}", "a/../../{subject}"])
def test_patterns_cannot_leave_the_root(tmp_path, pattern):
    (tmp_path / "in").mkdir()
    (tmp_path / "x.tsv").write_text("")
    with pytest.raises(UnsafeError, match="leaves its folder"):
        datasets.described_subjects(describe(tmp_path / "in", kind="rdm", file=pattern))


def test_links_and_labels_cannot_leave_the_root(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    (tmp_path / "x.tsv").write_text("")
    (root / "1.tsv").symlink_to(tmp_path / "x.tsv")
    with pytest.raises(UnsafeError, match="leads out of"):
        datasets.described_subjects(describe(root, kind="rdm", file="{subject}.tsv"))
    with pytest.raises(UnsafeError, match="is no plain name"):
        find_files(root, "{subject}.tsv", known={"subject": "../x"})


def test_a_path_beside_the_description_begins_with_a_dot(tmp_path):
    (tmp_path / "data").mkdir()
    save_table(tmp_path / "data" / "p1.tsv", stimulus=["a", "b"], a=[0, 1], b=[1, 0])
    save_table(tmp_path / "own.tsv", stimulus=["a", "b"])
    path = describe(tmp_path, kind="rdm", root="data", file="p{subject}.tsv", stimuli="./own.tsv")
    assert datasets.read_described(path, what="stimuli")["stimulus"].tolist() == ["a", "b"]


def test_fields_that_come_twice_must_agree_and_runs_are_in_order_of_size(tmp_path):
    for name in ("a/a_run-10.txt", "a/a_run-2.txt", "a/b_run-1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_files(tmp_path, "{subject}/{subject}_run-{run}.txt")
    assert list(found) == [("a", "2"), ("a", "10")]
    with pytest.raises(InvalidValueError, match=r"a pattern may name \{subject\}, \{session\}, \{run\}"):
        find_files(tmp_path, "{person}.txt")


def shown(kind: str) -> list[str]:
    text = (Path(__file__).parents[2] / "docs/your-data.md").read_text(encoding="utf-8")
    return [one for one in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL) if f"\n{kind}:" in one]


def test_the_descriptions_in_the_docs_are_right(tmp_path):
    names = []
    for text in shown("kind"):
        (tmp_path / "d.yaml").write_text(text)
        names.append(datasets.read_description(tmp_path / "d.yaml").name)
    assert len(names) == 8 and {"nsd", "narratives", "tuckute2024"} <= set(names)


def test_the_study_in_the_docs_is_right(tmp_path):
    (text,) = shown("own")
    (tmp_path / "s.yaml").write_text(text)
    assert load_study(tmp_path / "s.yaml").own.models == {"category": "category.tsv"}


def test_load_points_to_read_described():
    with pytest.raises(
        InvalidValueError, match=r"load takes names; for the description my\.yaml call read_described"
    ):
        datasets.load("my.yaml")


def test_importing_descriptions_loads_nothing_heavy():
    code = (
        "import sys; import neuroalign.datasets\n"
        "print(sorted({'torch', 'sklearn', 'nilearn', 'mne', 'bids', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    "images", ["x" * 5000 + ".nii", "{subject}/" + "x" * 5000 + "{run}.nii", "x" * 300 + "{run}/b"]
)
def test_file_name_that_no_disk_takes_is_refused(maps, images):
    path = describe(maps, **{**MAPS, "images": images}, subjects=["01"])
    with pytest.raises(FileError, match=r"mine\.yaml, images: "):
        datasets.read_described(path, subject="01")


def test_root_of_a_user_who_is_not_there_is_refused(maps):
    place = open_described(describe(maps, **MAPS, root="~nobody-of-this-name/x"))
    with pytest.raises(FileError, match=r"mine\.yaml, root: "):
        place.subjects()


def test_fields_side_by_side_are_searched_in_one_folder(tmp_path):
    """Two stars would search the whole tree."""
    (tmp_path / "below").mkdir()
    for name in ("a1.tsv", "b2.tsv", "below/c3.tsv"):
        (tmp_path / name).write_text("")
    assert list(find_files(tmp_path, "{subject}{run}.tsv")) == [("a", "1"), ("b", "2")]
    assert list(find_files(tmp_path, "{subject}{session}")) == [("a", "1.tsv"), ("b", "2.tsv")]


# What a description asks for and is not there


def test_a_table_that_names_no_stimuli_is_refused(maps):
    save_table(maps / "01/2.tsv", picture=STIMULI)
    with pytest.raises(LabelError, match=r"01/2.tsv lacks the column 'stimulus'; it has 'picture'"):
        datasets.read_described(describe(maps, **MAPS), subject="01")
    without = {key: value for key, value in MAPS.items() if key != "stimuli"}
    with pytest.raises(
        FileError, match="names no stimuli: add a key stimuli, a table with a column stimulus"
    ):
        described_stimuli(open_described(describe(maps, **without)))


def test_series_in_which_nothing_varies_have_no_betas(timed):
    for run in RUNS:
        save_image(timed / f"s1_{run}.nii.gz", np.full((*SHAPE, 40), 5, dtype="f4"))
    with pytest.raises(InvalidValueError, match="no voxel of subject 's1' varies in every run"):
        datasets.read_described(describe(timed, **TIMED, mask="mask.nii.gz"), progress=False)


def test_one_table_may_hold_the_events_of_all_runs(timed):
    save_table(
        timed / "all.tsv", onset=[4, 16, 6, 18], duration=[2] * 4, trial_type=list("abcd"), run=[1, 1, 2, 2]
    )
    keys = {**TIMED, "events": "all.tsv", "mask": "mask.nii.gz"}
    found = datasets.read_described(describe(timed, **keys), what="events", progress=False)
    assert found[["onset", "trial_type", "run"]].to_numpy().tolist() == [
        [4, "a", "1"],
        [16, "b", "1"],
        [6, "c", "2"],
        [18, "d", "2"],
    ]


def test_confounds_that_are_text_are_refused(timed):
    save_table(timed / "s1_2_moved.tsv", x=["much"] * 40)
    keys = {"confounds": "{subject}_{run}_moved.tsv", "confound_columns": ["x"]}
    with pytest.raises(FileError, match=r"s1_2_moved.tsv: 'x' hold text, not numbers"):
        datasets.read_described(describe(timed, **TIMED, **keys), progress=False)


def labelled_file(folder: Path, **dims: list) -> Path:
    """Save ones with these dims and labels (None for none), and describe them."""
    coords = {dim: value for dim, value in dims.items() if len(set(value)) > 1}
    shape = [len(value) for value in dims.values()]
    io.save(xr.DataArray(np.ones(shape), dims=list(dims), coords=coords), folder / "x.nc")
    return describe(folder, kind="labelled", file="x.nc")


def test_a_labelled_series_is_given_as_it_is(tmp_path):
    found = datasets.read_described(labelled_file(tmp_path, time=[0.0, 2.0], neuroid=["v1", "v2"]))
    assert found.dims == ("time", "neuroid") and str(found["subject"].values) == "1"
    with pytest.raises(LabelError, match=r"mine.yaml, rois: neuroids have no coordinate roi"):
        datasets.read_described(describe(tmp_path, kind="labelled", file="x.nc", rois=["V1"]))


@pytest.mark.parametrize(
    ("dims", "error", "said"),
    [
        ({"stimulus": ["a", "b"], "unit": [1, 2]}, ShapeError, "must hold responses"),
        ({"stimulus": [0, 0], "neuroid": [1, 2]}, LabelError, "responses lack labels of their stimuli"),
    ],
    ids=["dims", "labels"],
)
def test_labelled_files_that_hold_no_responses_are_refused(tmp_path, dims, error, said):
    with pytest.raises(error, match=said):
        datasets.read_described(labelled_file(tmp_path, **dims))


def rdm_file(folder: Path, subject: object, **keys: object) -> Path:
    rows = np.array([[1.0, 2, 3], [4, 5, 6]])
    if isinstance(subject, list):
        found = make_rdm(rows, list("abc"), dims=["subject"], coords={"subject": subject})
    else:
        found = make_rdm(rows[0], list("abc"))
        found = found if subject is None else found.assign_coords(subject=subject)
    io.save(found, folder / "all.nc")
    return describe(folder, kind="rdm", file="all.nc", **keys)


def test_one_rdm_is_that_of_the_subject_who_is_named_or_of_1(tmp_path):
    for subject, keys, name in ((None, {}, "1"), (None, {"subjects": ["p"]}, "p"), ("q", {}, "q")):
        found = datasets.read_described(rdm_file(tmp_path, subject, **keys))
        assert found["subject"].values.tolist() == [name] and found.values.tolist() == [[1, 2, 3]]


def test_people_of_a_file_of_rdms_are_those_that_are_listed(tmp_path):
    found = datasets.read_described(rdm_file(tmp_path, ["p", "q"], subjects=["q", "p"]))
    assert found["subject"].values.tolist() == ["q", "p"] and found.values[0].tolist() == [4, 5, 6]
    with pytest.raises(LabelError, match=r"subjects: 'x' are not in .*all.nc; it has 'p', 'q'"):
        datasets.read_described(rdm_file(tmp_path, ["p", "q"], subjects=["q", "x"]))
    io.save(xr.Dataset({"a": ("x", [1.0])}), tmp_path / "all.nc")
    with pytest.raises(ShapeError, match=r"must hold RDMs \(subject, pair\); it holds a Dataset"):
        datasets.read_described(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"kind": "surfaces", "parcels_left": "l"}, "parcels_left and parcels_right need one another"),
        ({"kind": "volumes", "parcel_names": {1: "a"}}, "parcel_names and average need parcels"),
        ({"kind": "volumes", "average": True}, "parcel_names and average need parcels"),
        ({"kind": "volumes", "confound_columns": ["x"]}, "confound_columns need confounds"),
    ],
    ids=["one side", "names", "average", "columns"],
)
def test_keys_that_need_others_say_so(tmp_path, keys, said):
    needed = {"images": "a"} if keys["kind"] == "volumes" else {"left": "a", "right": "b"}
    with pytest.raises(InvalidValueError, match=said):
        datasets.read_description(describe(tmp_path, events="e", tr=2.0, **needed, **keys))


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        (
            {"stimuli": "{subject}.tsv"},
            InvalidValueError,
            r"stimuli: there is no \{subject\} to put in; name one",
        ),
        (
            {"images": "{subject}/{run}.mgz"},
            FileError,
            r"images: nothing below .* matches '\{subject\}/\{run\}.mgz'",
        ),
        ({"root": "absent"}, FileError, r"mine.yaml, images: the folder .*absent does not exist"),
        (
            {"images": "01/{run}.nii.gz", "subjects": ["01", "02"]},
            InvalidValueError,
            r"images: \{subject\} is missing from '01/\{run\}.nii.gz', and there are 2 subjects",
        ),
    ],
    ids=["field", "nothing", "root", "people"],
)
def test_patterns_that_find_no_subjects_are_refused_and_listed(maps, keys, error, said):
    path = describe(maps, **{**MAPS, **keys})
    with pytest.raises(error, match=said):
        datasets.read_described(path, what="stimuli" if "stimuli" in keys else None)
    assert any(re.search(said, one) for one in open_described(path).named()[1])


def test_a_bids_description_without_a_bids_tree_is_refused(tmp_path):
    place = open_described(describe(tmp_path, kind="bids", task="look"))
    (said,) = place.named()[1]
    assert f"root: {tmp_path} has no dataset_description.json" in said
    with pytest.raises(TypeError, match="subjects of a BIDS tree are found by find_bids"):
        place.subjects()
