"""BIDS trees: what is found, what is said of what is not, TR, inheritance, links, one person's series."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from neuroalign import datasets
from neuroalign.datasets.bold.glm import condition_betas
from neuroalign.datasets.own.description_files import open_described
from neuroalign.errors import FileError, InvalidValueError, LabelError, UnsafeError

SPACE = "MNI152NLin2009cAsym"
N, SHAPE, TR = 20, (4, 3, 2), 2.0
MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
ORDERS = ("", "_derivative1", "_power2", "_derivative1_power2")
CONFOUNDS = ["cosine00", *(f"{name}{order}" for name in MOTION for order in ORDERS)]
AFFINE = np.diag([3.0, 3, 3, 1])


def image(rng, shape=(*SHAPE, N), tr=TR, values=None):
    found = nib.Nifti1Image(rng.normal(100, 1, shape).astype("f4") if values is None else values, AFFINE)
    if len(shape) == 4:
        found.header.set_xyzt_units("mm", "sec")
        found.header.set_zooms((3, 3, 3, tr))
    return found


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def make_tree(root, *, subjects=("01", "02"), runs=("1", "2"), sessions=("",)):
    """A raw data set and its fMRIPrep derivative; the TR of the raw images stands in the root."""
    rng = np.random.default_rng(0)
    prep = root / "derivatives" / "fmriprep"
    write(root / "dataset_description.json", {"Name": "x", "BIDSVersion": "1.8.0"})
    write(root / "task-look_bold.json", {"RepetitionTime": TR, "TaskName": "look"})
    about = {"Name": "f", "BIDSVersion": "1.8.0", "DatasetType": "derivative"}
    write(prep / "dataset_description.json", {**about, "GeneratedBy": [{"Name": "fMRIPrep"}]})
    mask = np.ones(SHAPE, dtype=np.uint8)
    for subject in subjects:
        for session in sessions:
            for run in runs:
                entities = f"sub-{subject}" + (f"_ses-{session}" if session else "") + f"_task-look_run-{run}"
                inner = f"sub-{subject}" + (f"/ses-{session}" if session else "") + "/func"
                raw, derived = root / inner / entities, prep / inner / entities
                events = "onset\tduration\ttrial_type\n2\t1\ta\n8\t1\tb\n14\t1\tn/a\n"
                write(raw.with_name(f"{entities}_events.tsv"), events)
                nib.save(image(rng), raw.with_name(f"{entities}_bold.nii.gz"))
                derived.parent.mkdir(parents=True, exist_ok=True)
                stem = f"{entities}_space-{SPACE}"
                nib.save(image(rng), derived.with_name(f"{stem}_desc-preproc_bold.nii.gz"))
                write(derived.with_name(f"{stem}_desc-preproc_bold.json"), {"RepetitionTime": TR})
                mask = mask.copy()
                mask[0, 0, 0] = run == "1"
                nib.save(image(rng, SHAPE, values=mask), derived.with_name(f"{stem}_desc-brain_mask.nii.gz"))
                table = pd.DataFrame(rng.normal(size=(N, len(CONFOUNDS))), columns=CONFOUNDS)
                table["non_steady_state_outlier00"] = np.eye(N)[0]
                table.to_csv(
                    derived.with_name(f"{entities}_desc-confounds_timeseries.tsv"), sep="\t", index=False
                )
                write(derived.with_name(f"{entities}_desc-confounds_timeseries.json"), {})
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("bids") / "ds")


@pytest.fixture
def copy(tree, tmp_path):
    return shutil.copytree(tree, tmp_path / "ds")


def test_derivatives_have_a_row_a_run_with_everything_beside(tree):
    found = datasets.find_bids(tree, task="look")
    assert list(zip(found["subject"], found["run"], strict=True)) == [
        ("01", "1"),
        ("01", "2"),
        ("02", "1"),
        ("02", "2"),
    ]
    one = found.iloc[0]
    assert one["space"] == SPACE and one["tr"] == TR
    assert "fmriprep" in one["bold"] and one["bold"].endswith("desc-preproc_bold.nii.gz")
    assert one["mask"].endswith("desc-brain_mask.nii.gz") and "run-1" in one["mask"]
    assert one["events"] == str(tree / "sub-01/func/sub-01_task-look_run-1_events.tsv")
    assert one["confounds"].endswith("run-1_desc-confounds_timeseries.tsv")
    assert one["left"] is None and one["right"] is None


def test_nothing_is_written_into_the_tree(tree):
    before = sorted(tree.rglob("*"))
    datasets.find_bids(tree, task="look", subjects=["01"])
    assert sorted(tree.rglob("*")) == before


def test_raw_images_have_the_tr_of_an_inherited_sidecar(tree):
    found = datasets.find_bids(tree, task="look", space="raw", subjects=["sub-02"], runs=["01"])
    assert len(found) == 1 and found["tr"][0] == TR and found["space"][0] == "raw"
    assert found["bold"][0] == str(tree / "sub-02/func/sub-02_task-look_run-1_bold.nii.gz")
    assert found["mask"][0] is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"task": "lok"},
            r"no functional images of the task 'lok'; it has tasks 'look'.*subjects '01', '02'",
        ),
        ({"space": "T1w"}, rf"in the space 'T1w'; there are '{SPACE}'"),
        ({"subjects": ["03"]}, r"subject\(s\) '03' have no such images; there are '01', '02'"),
        ({"runs": ["7"]}, r"run\(s\) '7' have no such images; there are '1', '2'"),
        ({"sessions": ["a"]}, r"session\(s\) 'a' have no such images; there are none"),
        ({"derivatives": "spm"}, r"spm has no dataset_description.json; below .* there are 'fmriprep'"),
    ],
    ids=["task", "space", "subject", "run", "session", "derivative"],
)
def test_what_is_not_there_is_answered_with_what_is(tree, asked, said):
    with pytest.raises(FileError, match=said):
        datasets.find_bids(tree, **{"task": "look", **asked})


def test_a_folder_that_is_no_bids_data_set_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"no BIDS data set: it has no dataset_description\.json"):
        datasets.find_bids(tmp_path, task="look")


def test_a_string_of_subjects_is_refused(tree):
    with pytest.raises(InvalidValueError, match="subjects must be a list"):
        datasets.find_bids(tree, task="look", subjects="01")


def test_several_derivatives_are_listed_and_one_can_be_chosen(copy):
    shutil.copytree(copy / "derivatives/fmriprep", copy / "derivatives/other")
    with pytest.raises(InvalidValueError, match="2 derivatives have the task 'look': 'fmriprep', 'other'"):
        datasets.find_bids(copy, task="look")
    for chosen in ("other", copy / "derivatives/other"):
        assert "/other/" in datasets.find_bids(copy, task="look", derivatives=chosen)["bold"][0]


def test_several_spaces_are_listed(copy):
    folder = copy / "derivatives/fmriprep/sub-01/func"
    for path in sorted(folder.glob(f"*run-1_space-{SPACE}_desc-preproc*")):
        shutil.copy(path, folder / path.name.replace(SPACE, "T1w"))
    with pytest.raises(InvalidValueError, match=f"images are in 2 spaces: '{SPACE}', 'T1w'"):
        datasets.find_bids(copy, task="look")
    assert datasets.find_bids(copy, task="look", space="T1w")["subject"].tolist() == ["01"]


def test_two_images_of_one_run_are_listed(copy):
    folder = copy / "derivatives/fmriprep/sub-01/func"
    for kind in ("json", "nii.gz"):
        stem = f"sub-01_task-look_run-1_space-{SPACE}"
        shutil.copy(
            folder / f"{stem}_desc-preproc_bold.{kind}", folder / f"{stem}_res-2_desc-preproc_bold.{kind}"
        )
    with pytest.raises(InvalidValueError, match=r"subject '01', run '1' has 2 images: .*res-2"):
        datasets.find_bids(copy, task="look")


def test_surfaces_come_as_two_hemispheres(copy):
    folder = copy / "derivatives/fmriprep/sub-01/func"
    for side in "LR":
        stem = f"sub-01_task-look_run-1_hemi-{side}_space-fsaverage5"
        write(folder / f"{stem}_bold.json", {"RepetitionTime": TR})
        write(folder / f"{stem}_bold.func.gii", "never read")
    found = datasets.find_bids(copy, task="look", space="fsaverage5")
    assert found["bold"][0] is None and len(found) == 1
    assert (
        found["left"][0].endswith("hemi-L_space-fsaverage5_bold.func.gii") and "hemi-R" in found["right"][0]
    )
    (folder / "sub-01_task-look_run-1_hemi-R_space-fsaverage5_bold.func.gii").unlink()
    with pytest.raises(FileError, match="is one hemisphere; the other one is missing"):
        datasets.find_bids(copy, task="look", space="fsaverage5")


@pytest.mark.parametrize("where", ["derived sidecar", "header", "raw sidecar"])
def test_statements_of_the_tr_that_disagree_are_refused(copy, where):
    stem = copy / f"derivatives/fmriprep/sub-01/func/sub-01_task-look_run-1_space-{SPACE}_desc-preproc_bold"
    if where == "derived sidecar":
        write(stem.with_name(f"{stem.name}.json"), {"RepetitionTime": 1.5})
    elif where == "raw sidecar":
        write(copy / "task-look_bold.json", {"RepetitionTime": 1.5, "TaskName": "look"})
    else:
        nib.save(image(np.random.default_rng(0), tr=1.5), stem.with_name(f"{stem.name}.nii.gz"))
    with pytest.raises(FileError, match=r"statements of the repetition time disagree: .*1\.5 s in"):
        datasets.find_bids(copy, task="look", subjects=["01"], runs=["1"])


def test_a_missing_tr_says_which_file_to_write(copy):
    (copy / "task-look_bold.json").unlink()
    for path in (copy / "derivatives").rglob("*preproc_bold.json"):
        path.unlink()
    with pytest.raises(
        FileError, match=r"no sidecar says its RepetitionTime \(its header says 2 s\).*Write one"
    ):
        datasets.find_bids(copy, task="look")


def test_events_of_everybody_are_inherited(copy):
    for path in copy.rglob("*_events.tsv"):
        path.unlink()
    write(copy / "task-look_events.tsv", "onset\tduration\ttrial_type\n0\t1\ta\n")
    assert set(datasets.find_bids(copy, task="look")["events"]) == {str(copy / "task-look_events.tsv")}


@pytest.mark.parametrize("kind", ["file", "folder", "sidecar"])
def test_a_link_out_of_the_tree_is_refused(copy, tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    target = {
        "file": copy / "sub-01/func/sub-01_task-look_run-1_bold.nii.gz",
        "folder": copy / "sub-02",
        "sidecar": copy / "task-look_bold.json",
    }[kind]
    shutil.move(target, outside / target.name)
    target.symlink_to(outside / target.name)
    with pytest.raises(UnsafeError, match="leads out of"):
        datasets.find_bids(copy, task="look")


def test_a_link_that_stays_inside_is_followed(copy):
    target = copy / "sub-01/func/sub-01_task-look_run-1_bold.nii.gz"
    kept = copy / "sourcedata" / "key"
    kept.parent.mkdir()
    shutil.move(target, kept)
    target.symlink_to(kept)
    found = datasets.find_bids(copy, task="look", space="raw", subjects=["01"])
    assert len(found) == 2


def test_series_events_and_confounds_of_one_person(tree):
    runs = datasets.find_bids(tree, task="look", subjects=["01"])
    series, events, confounds = datasets.read_bids(runs, progress=False)
    # The voxel that the brain mask of run 2 lacks is in neither run.
    assert series.shape == (2 * N, np.prod(SHAPE) - 1) and "0-0-0" not in series["neuroid"].values
    first = np.asarray(nib.load(runs["bold"][0]).dataobj)
    np.testing.assert_allclose(series.sel(neuroid="1-2-1").values[:N], first[1, 2, 1])
    assert series["run"].values.tolist() == [1] * N + [2] * N and series.attrs["tr"] == TR
    # An event without a type is rest.
    assert events[["onset", "trial_type", "run"]].values.tolist() == [
        [2.0, "a", 1],
        [8.0, "b", 1],
        [2.0, "a", 2],
        [8.0, "b", 2],
    ]
    assert len(confounds) == 2 * N and confounds.notna().all(axis=None)
    spikes = confounds[["censored_1_0", "censored_2_0"]].to_numpy()
    assert np.argwhere(spikes).tolist() == [[0, 0], [N, 1]]
    few = confounds[["trans_x", "censored_1_0", "censored_2_0"]]
    found = condition_betas(series, events, confounds=few, progress=False)
    assert found["betas"].shape == (4, np.prod(SHAPE) - 1)


def test_series_can_do_without_confounds_and_with_parcels(tree):
    runs = datasets.find_bids(tree, task="look", subjects=["01"])
    values = np.zeros(SHAPE, dtype=np.int16)
    values[1], values[2] = 1, 2
    parcels = nib.Nifti1Image(values, AFFINE)
    found = datasets.read_bids(
        runs, parcels=parcels, parcel_names={1: "A", 2: "B"}, confounds=None, progress=False
    )
    assert found.confounds is None
    assert found.series["roi"].values.tolist() == ["A"] * 6 + ["B"] * 6
    mean = datasets.read_bids(runs, parcels=parcels, average=True, confounds=None, progress=False).series
    np.testing.assert_allclose(mean.values[:, 0], found.series.values[:, :6].mean(axis=1), rtol=1e-6)


def test_runs_of_several_sessions_are_told_apart(tmp_path):
    root = make_tree(tmp_path / "ds", subjects=("01",), runs=("1",), sessions=("a", "b"))
    found = datasets.read_bids(datasets.find_bids(root, task="look"), confounds=None, progress=False)
    assert list(dict.fromkeys(found.series["run"].values)) == ["a/1", "b/1"]
    assert found.events["run"].unique().tolist() == ["a/1", "b/1"]


def test_a_start_time_becomes_what_the_model_takes(copy):
    for path in (copy / "derivatives").rglob("*preproc_bold.json"):
        write(path, {"RepetitionTime": TR, "StartTime": 0.5, "SliceTimingCorrected": True})
    runs = datasets.find_bids(copy, task="look", subjects=["01"])
    assert runs["start"].tolist() == [0.5, 0.5]
    assert datasets.read_bids(runs, confounds=None, progress=False).series.attrs["slice_time_ref"] == 0.25


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({}, InvalidValueError, "runs must be of one subject; got 2"),
        ({"subjects": ["01"], "event_column": "word"}, LabelError, "lacks the column 'word'"),
        ({"subjects": ["01"], "confounds": ["compcor"]}, FileError, "nilearn could not load"),
        ({"subjects": ["01"], "confounds": "motion"}, InvalidValueError, "must be a list of strategies"),
    ],
    ids=["people", "column", "strategy", "string"],
)
def test_reading_refuses_what_it_cannot_do(tree, change, error, said):
    asked = dict(change)
    runs = datasets.find_bids(tree, task="look", subjects=asked.pop("subjects", None))
    with pytest.raises(error, match=said):
        datasets.read_bids(runs, progress=False, **asked)


def test_events_of_some_runs_only_are_refused(copy):
    (copy / "sub-01/func/sub-01_task-look_run-2_events.tsv").unlink()
    runs = datasets.find_bids(copy, task="look", subjects=["01"])
    with pytest.raises(FileError, match="events are missing for 1 of 2 runs of subject '01': '2'"):
        datasets.read_bids(runs, progress=False)


def test_a_description_of_kind_bids_gives_betas(tree, tmp_path):
    path = tmp_path / "mine.yaml"
    text = f"name: mine\ntitle: Mine\nkind: bids\nroot: {tree}\ntask: look\n"
    text += "exclude: {subjects: {'02': slept}}\n"
    path.write_text(text)
    assert datasets.described_subjects(path) == ["01"]
    found = datasets.read_described(path, what="estimates", progress=False)
    assert found["betas"].shape == (4, np.prod(SHAPE) - 1) and found.attrs["excluded"]["subjects"] == {
        "02": "slept"
    }
    assert found["betas"]["run"].values.tolist() == [1, 1, 2, 2]
    files, wrong = open_described(path).named()
    assert not wrong and tree / "sub-01/func/sub-01_task-look_run-1_events.tsv" in files
    path.write_text(text.replace("task: look", "task: listen"))
    with pytest.raises(FileError, match="no functional images of the task 'listen'; it has tasks 'look'"):
        datasets.described_subjects(path)
    assert "no file below" in open_described(path).named()[1][0]
    path.write_text(f"{text}runs: ['1']\n")
    assert datasets.read_described(path, progress=False).sizes["presentation"] == 2


@pytest.mark.parametrize(
    "content", ["{", "[" * 50_000, '{"RepetitionTime": "soon"}', '{"RepetitionTime": true}']
)
def test_sidecar_that_is_none_is_refused(copy, content):
    for path in copy.rglob("*_bold.json"):
        path.write_text(content)
    with pytest.raises(FileError, match=r"cannot be read as a BIDS data set|RepetitionTime must be seconds"):
        datasets.find_bids(copy, task="look", subjects=["01"])


# Trees that lack something


def described(tree, folder, **keys):
    text = f"name: mine\ntitle: Mine\nkind: bids\nroot: {tree}\ntask: look\nsubjects: ['01']\n"
    path = folder / "mine.yaml"
    path.write_text(text + "".join(f"{key}: {value}\n" for key, value in keys.items()))
    return path


def test_a_tree_without_events_gives_series_and_nothing_to_fit(copy, tmp_path):
    for path in copy.rglob("*_events.tsv"):
        path.unlink()
    found = datasets.read_bids(datasets.find_bids(copy, task="look", subjects=["01"]), progress=False)
    assert found.events is None and found.series.sizes["time"] == 2 * N
    path = described(copy, tmp_path)
    with pytest.raises(FileError, match="subject '01' has no events"):
        datasets.read_described(path, what="events", progress=False)
    with pytest.raises(FileError, match="subject '01' has no events, so that there is nothing to fit"):
        datasets.read_described(path, progress=False)


def test_a_start_time_is_in_the_betas_of_a_description(copy, tmp_path):
    plain = datasets.read_described(described(copy, tmp_path), progress=False)
    for path in (copy / "derivatives").rglob("*preproc_bold.json"):
        write(path, {"RepetitionTime": TR, "StartTime": 0.5, "SliceTimingCorrected": True})
    path = described(copy, tmp_path)
    series, events = (datasets.read_described(path, what=w, progress=False) for w in ("series", "events"))
    expected = condition_betas(series, events, slice_time_ref=0.25, fill_first=True, progress=False)["betas"]
    found = datasets.read_described(path, progress=False)
    np.testing.assert_allclose(found, expected)
    assert np.abs(found - plain).max() > 0.1


def test_a_derivative_may_be_the_root_or_lie_elsewhere(copy, tmp_path):
    prep = copy / "derivatives/fmriprep"
    alone = datasets.find_bids(prep, task="look")
    assert len(alone) == 4 and alone["events"].isna().all() and set(alone["tr"]) == {TR}
    shutil.move(prep, tmp_path / "prep")
    (copy / ".git").mkdir()
    (copy / ".git/annexed").symlink_to(tmp_path)
    found = datasets.find_bids(copy, task="look", derivatives=tmp_path / "prep")
    assert found["bold"].str.startswith(str(tmp_path / "prep")).all() and found["events"].notna().all()
    (tmp_path / "prep/sub-01/func/link.json").symlink_to(tmp_path)
    with pytest.raises(UnsafeError, match="leads out of"):
        datasets.find_bids(copy, task="look", derivatives=tmp_path / "prep")


def test_a_data_set_without_the_derivative_that_is_asked_for_is_refused(copy):
    shutil.rmtree(copy / "derivatives")
    with pytest.raises(FileError, match="'T1w' is that of a derivative, and no derivative has images"):
        datasets.find_bids(copy, task="look", space="T1w")
    assert set(datasets.find_bids(copy, task="look")["space"]) == {"raw"}
    write(copy / "dataset_description.json", [])
    with pytest.raises(FileError, match=r"dataset_description.json must hold a mapping; got list"):
        datasets.find_bids(copy, task="look")


@pytest.mark.parametrize("what", ["no raw image", "no time in the header"])
def test_one_statement_of_the_tr_is_enough(copy, what):
    for path in copy.rglob("*_bold.nii.gz"):
        if what == "no raw image" and "derivatives" not in path.parts:
            path.unlink()
        elif what == "no time in the header":
            nib.save(image(np.random.default_rng(0), tr=0.0), path)
    assert set(datasets.find_bids(copy, task="look")["tr"]) == {TR}


def test_an_image_of_three_dims_is_no_series(copy):
    for path in copy.rglob("*desc-preproc_bold.nii.gz"):
        nib.save(image(np.random.default_rng(0), SHAPE), path)
    with pytest.raises(FileError, match=r"must have 4 dims; its voxel sizes are \(3.0, 3.0, 3.0\)"):
        datasets.find_bids(copy, task="look")


def test_runs_of_other_tables_lengths_and_times_are_refused(copy):
    runs = datasets.find_bids(copy, task="look", subjects=["01"])
    with pytest.raises(InvalidValueError, match="rows of find_bids; the columns 'mask', 'tr' are missing"):
        datasets.read_bids(runs.drop(columns=["mask", "tr"]), progress=False)
    with pytest.raises(FileError, match="the runs have a tr of 1 to 2 s; read them apart"):
        datasets.read_bids(runs.assign(tr=[2.0, 1.0]), progress=False)
    unmasked = runs.assign(mask=None)
    with pytest.raises(FileError, match="subject '01' has no brain masks in this space: pass mask="):
        datasets.read_bids(unmasked, progress=False)
    mask = nib.load(runs["mask"][0])
    series = datasets.read_bids(unmasked, mask=mask, confounds=None, progress=False).series
    assert series.sizes["neuroid"] == np.prod(SHAPE)
    path = next((copy / "derivatives").rglob("sub-01*run-2_desc-confounds_timeseries.tsv"))
    pd.read_csv(path, sep="\t").iloc[1:].to_csv(path, sep="\t", index=False)
    with pytest.raises(FileError, match=f"confounds_timeseries.tsv has {N - 1} rows for {N} volumes"):
        datasets.read_bids(runs, progress=False)


def test_hemispheres_of_a_person_are_read_together(copy):
    folder = copy / "derivatives/fmriprep/sub-01/func"
    rng = np.random.default_rng(1)
    values = {"L": rng.normal(size=(N, 3)).astype("f4"), "R": rng.normal(size=(N, 2)).astype("f4")}
    for run in "12":
        for side, rows in values.items():
            stem = f"sub-01_task-look_run-{run}_hemi-{side}_space-fsaverage5"
            write(folder / f"{stem}_bold.json", {"RepetitionTime": TR})
            arrays = [nib.gifti.GiftiDataArray(row) for row in rows]
            nib.save(nib.gifti.GiftiImage(darrays=arrays), folder / f"{stem}_bold.func.gii")
    runs = datasets.find_bids(copy, task="look", space="fsaverage5")
    found = datasets.read_bids(runs, confounds=None, progress=False).series
    assert found["hemisphere"].values.tolist() == ["left"] * 3 + ["right"] * 2
    np.testing.assert_array_equal(found.values[N:], np.hstack([values["L"], values["R"]]))


def test_grayordinates_of_a_person_are_read_and_their_parcels_averaged(copy, tmp_path):
    from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis, SeriesAxis

    brain = BrainModelAxis.from_mask(np.ones(4, dtype=bool), "CORTEX_LEFT")
    values = np.random.default_rng(2).normal(size=(N, 4)).astype("f4")
    folder = copy / "derivatives/fmriprep/sub-01/func"
    for run in "12":
        stem = f"sub-01_task-look_run-{run}_space-fsLR_den-91k_bold"
        write(folder / f"{stem}.json", {"RepetitionTime": TR})
        nib.save(Cifti2Image(values, (SeriesAxis(0, TR, N), brain)), folder / f"{stem}.dtseries.nii")
    runs = datasets.find_bids(copy, task="look", space="fsLR")
    found = datasets.read_bids(runs, confounds=None, progress=False).series
    assert found.shape == (2 * N, 4) and len(set(found["roi"].values)) == 1
    np.testing.assert_array_equal(found.values[:N], values)
    names = LabelAxis(["parcels"], [{0: ("???", (0,) * 4), 1: ("A", (1,) * 4), 2: ("B", (1,) * 4)}])
    parcels = tmp_path / "x.dlabel.nii"
    nib.save(Cifti2Image(np.array([[1, 1, 2, 0]], dtype="f4"), (names, brain)), parcels)
    mean = datasets.read_bids(runs, parcels=parcels, average=True, confounds=None, progress=False).series
    np.testing.assert_allclose(mean.values[:N, 0], values[:, :2].mean(axis=1), rtol=1e-6)
    assert mean["roi"].values.tolist() == ["A", "B"]
    with pytest.raises(InvalidValueError, match="parcels of CIFTI images are averaged: pass average=True"):
        datasets.read_bids(runs, parcels=parcels, confounds=None, progress=False)
