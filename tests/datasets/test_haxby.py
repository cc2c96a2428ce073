"""The Haxby slice and the 25 mm volume: labels, events, geometry, and what a simple design explains."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import xarray as xr

from neuroalign import datasets, schema
from neuroalign.datasets.known import haxby
from neuroalign.encoding import RidgeCV, evaluate, leave_one_run_out
from neuroalign.errors import FileError, InvalidValueError, ShapeError
from neuroalign.io.images import nifti_image


@pytest.fixture(scope="module")
def bold(data_root):
    return datasets.load("haxby_slice", root=data_root)


def test_the_slice_is_a_series_of_12_runs(bold):
    schema.check(bold, "series")
    assert dict(bold.sizes) == {"time": 1452, "neuroid": 530}
    assert bold["run"].values.tolist() == np.repeat(np.arange(1, 13), 121).tolist()
    np.testing.assert_allclose(np.diff(bold["time"]), 2.5)
    assert bold["time_in_run"].values[[0, 120, 121]].tolist() == [0.0, 300.0, 0.0]
    assert set(bold["condition"].values) == {"rest", *haxby.CATEGORIES}
    assert bold.attrs["licence"] == "CC-BY-SA-3.0" and bold.attrs["n_files"] == 13


def test_values_and_positions_are_those_of_the_image(bold, data_root):
    path = data_root / "haxby_slice" / haxby.FOLDER / "BOLD/task001_run003/bold_1slice.nii.gz"
    image = nib.load(path)
    whole = np.asarray(image.dataobj)
    part = bold.isel(time=bold["run"].values == 3)
    i, j, k = (part[name].values for name in "ijk")
    np.testing.assert_array_equal(part.values, whole[i, j, k].T)
    assert (np.delete(whole.reshape(-1, 121), np.ravel_multi_index((i, j, k), whole.shape[:3]), 0) == 0).all()
    places = nib.affines.apply_affine(image.affine, np.stack([i, j, k], 1))
    np.testing.assert_allclose(places, np.stack([part[name].values for name in "xyz"], 1))
    assert part["neuroid"].values[5] == f"{i[5]}-{j[5]}-{k[5]}"


def test_a_map_goes_back_to_where_it_came_from(bold):
    image = nifti_image(bold.isel(time=7))
    assert image.shape == (40, 20, 1)
    back = np.asarray(image.dataobj)
    assert np.isfinite(back).sum() == 530
    np.testing.assert_array_equal(back[np.isfinite(back)], bold[7].values)


@pytest.mark.parametrize(
    ("mask", "n"), [(None, 129), ("brain", 129), ("gray", 28), ("hoc", 45), ("vt", 1), ("white", 34)]
)
def test_the_whole_brain_at_25_mm_has_masks(data_root, mask, n):
    x = datasets.load("haxby_slice", root=data_root, image="25mm", mask=mask, runs=["5", "2"])
    assert dict(x.sizes) == {"time": 242, "neuroid": n} and x.attrs["shape"] == [6, 10, 10]
    assert list(dict.fromkeys(x["run"].values.tolist())) == [5, 2]
    assert set(x["roi"].values) == {mask or "brain"}
    assert x["time"].values[[0, 121]].tolist() == [4 * 302.5, 302.5]


def test_events_and_the_conditions_of_volumes_say_the_same(bold, data_root):
    events = datasets.load("haxby_slice", what="events", root=data_root)
    assert len(events) == 96 and events["stimulus"].is_unique
    assert events.columns.tolist() == ["stimulus", "run", "condition", "onset", "duration", "time"]
    assert (events.groupby("run")["condition"].nunique() == 8).all()
    condition = bold["condition"]
    for event in events.itertuples():
        inside = (bold["time"] >= event.time) & (bold["time"] < event.time + event.duration)
        assert set(condition.values[inside]) == {event.condition}
        assert (bold["run"].values[inside] == event.run).all()
    assert int((condition != "rest").sum()) == 96 * 9


# Measured with this package: runs centred, predictions pooled. The notes on the files, which state neither
# the response nor the centring, have mean .07 and 90th percentile .19.
@pytest.mark.parametrize(("response", "mean_r", "high_r"), [("spm", 0.081, 0.235), ("none", 0.153, 0.436)])
def test_category_blocks_explain_a_little_of_runs_that_were_left_out(bold, response, mean_r, high_r):
    boxes = np.stack([bold["condition"].values == name for name in haxby.CATEGORIES], axis=1) * 1.0
    coords = {"time": bold["time"], "run": bold["run"]}
    design = xr.DataArray(boxes, dims=("time", "feature"), coords=coords)
    if response == "spm":
        design = datasets.convolve_hrf(design, bold.attrs["tr"])
    data = (bold.groupby("run") - bold.groupby("run").mean()).drop_attrs()
    splits = leave_one_run_out(bold["run"].values)
    scores = evaluate(RidgeCV([1.0]), design, data, splits=splits, convention="pooled")
    assert float(scores.mean()) == pytest.approx(mean_r, abs=0.005)
    assert float(scores.quantile(0.9)) == pytest.approx(high_r, abs=0.005)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image": "4mm"}, InvalidValueError, "image must be one of '1slice', '25mm'; got '4mm'"),
        ({"mask": "brain"}, InvalidValueError, "the slice has no masks; got mask='brain'. Pass image='25mm'"),
        ({"image": "25mm", "mask": "V1"}, InvalidValueError, "mask must be one of 'brain', .*; got 'V1'"),
        ({"runs": ["13"]}, InvalidValueError, "each of runs must be one of '1', .*; got '13'"),
        ({"runs": "1"}, ShapeError, r"runs must be a list; got the string '1'"),
    ],
)
def test_unknown_selectors_are_refused(data_root, options, error, message):
    with pytest.raises(error, match=message):
        datasets.load("haxby_slice", root=data_root, **options)


def test_runs_with_other_voxels_are_refused(data_root, monkeypatch):
    read = haxby._run
    monkeypatch.setattr(haxby, "_run", lambda *a: read(*a).isel(neuroid=slice(a[2], None)))
    with pytest.raises(FileError, match="run 2 has other voxels or another affine than run 1"):
        datasets.load("haxby_slice", root=data_root, runs=["1", "2"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("rest 1\n", "", 1), "must name a condition and a run for each of 1452"),
        (lambda text: text.replace("face 3", "faces 3"), r"unknown conditions \['faces'\]"),
    ],
)
def test_labels_of_other_volumes_are_refused(data_root, monkeypatch, change, message):
    read = haxby.io.read_text
    monkeypatch.setattr(haxby.io, "read_text", lambda path: change(read(path)))
    with pytest.raises(FileError, match=message):
        datasets.load("haxby_slice", root=data_root, runs=["1"])


def test_events_of_another_design_are_refused(data_root, monkeypatch):
    read = haxby.io.read_table
    monkeypatch.setattr(haxby.io, "read_table", lambda path: read(path).iloc[:7])
    with pytest.raises(FileError, match="events of run 1 are not one block of each category"):
        datasets.load("haxby_slice", what="events", root=data_root)


def test_an_image_of_another_shape_is_refused(data_root, monkeypatch):
    monkeypatch.setitem(haxby.IMAGES, "1slice", (40, 20, 2))
    with pytest.raises(FileError, match=r"must be 121 volumes of shape \(40, 20, 2\)"):
        datasets.load("haxby_slice", root=data_root, runs=["1"])
    monkeypatch.setitem(haxby.IMAGES, "25mm", (6, 10, 11))
    with pytest.raises(FileError, match="the mask brain is not a volume of shape"):
        datasets.load("haxby_slice", root=data_root, image="25mm")
