"""Parcels: means, names, labels without voxels and voxels without labels; the language parcels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign import datasets, io
from neuroalign.datasets.images.parcels import make_parcels, read_names
from neuroalign.datasets.images.regions import in_all, region_mask
from neuroalign.datasets.known import language_parcels
from neuroalign.errors import FileError, InvalidValueError, LabelError, ShapeError

SHAPE = (4, 3, 2)
AFFINE = np.diag([2.0, 2, 2, 1])
LABELS = (np.arange(24).reshape(SHAPE) % 4).astype(np.int16)
NAMES = {1: "V1", 2: "V2", 3: "V3"}


def image(n_times=5, data=None):
    data = np.random.default_rng(0).normal(1000, 1, (*SHAPE, n_times)) if data is None else data
    made = nib.Nifti1Image(data.astype(np.float32), AFFINE)
    made.header.set_zooms((2, 2, 2, 1.5))
    return made


def read(parcels=LABELS, names=NAMES, images=None, **options):
    images = image() if images is None else images
    return datasets.read_volumes(images, parcels=parcels, parcel_names=names, progress=False, **options)


def test_each_parcel_is_the_mean_of_its_voxels():
    x, data = read(), np.asarray(image().dataobj, dtype=np.float64)
    assert x["neuroid"].values.tolist() == x["roi"].values.tolist() == ["V1", "V2", "V3"]
    assert x["parcel"].values.tolist() == [1, 2, 3] and x["n_voxels"].values.tolist() == [6, 6, 6]
    for number, name in NAMES.items():
        np.testing.assert_allclose(x.sel(neuroid=name), data[number == LABELS].mean(axis=0), rtol=1e-7)
        middle = nib.affines.apply_affine(AFFINE, np.argwhere(number == LABELS)).mean(axis=0)
        np.testing.assert_allclose([float(x.sel(neuroid=name)[axis]) for axis in "xyz"], middle)


def test_means_are_summed_in_double_precision():
    data = np.full((*SHAPE, 2), 2.0**24, dtype=np.float32)
    data[..., 1] = 3
    data[0, 0, 1] = 1  # the first voxel of V1: lost beside 2^24 in single precision
    x = read(images=image(data=data), dtype="float64")
    assert float(x.sel(neuroid="V1")[0]) == (5 * 2.0**24 + 1) / 6


def test_a_mask_narrows_parcels_and_empties_some():
    mask = LABELS != 2
    mask[0] = False
    x = read(mask=mask)
    assert x["neuroid"].values.tolist() == ["V1", "V3"] and x.attrs["empty_parcels"] == ["V2"]
    inside = mask & (LABELS == 1)
    assert int(x["n_voxels"][0]) == inside.sum()
    np.testing.assert_allclose(x[:, 0], np.asarray(image().dataobj)[inside].mean(axis=0), rtol=1e-6)


def test_names_without_voxels_are_counted_and_named():
    assert read(names={**NAMES, 9: "IT", 0: "Background", 7: "???"}).attrs["empty_parcels"] == ["IT"]
    assert read(names=None)["neuroid"].values.tolist() == ["1", "2", "3"]


def test_voxels_that_are_not_finite_make_a_parcel_undefined_or_are_left_out():
    data = np.asarray(image().dataobj).copy()
    data[0, 0, 1, 2] = np.nan  # of V1
    kept = read(images=image(data=data))
    assert np.isnan(kept.sel(neuroid="V1")).values.tolist() == [False, False, True, False, False]
    assert kept.attrs["n_nan"] == 1 and np.isfinite(kept.sel(neuroid=["V2", "V3"])).all()
    dropped = read(images=image(data=data), missing="drop")
    assert dropped["n_voxels"].values.tolist() == [5, 6, 6] and dropped.attrs["n_nan"] == 1
    others = (LABELS == 1) & np.isfinite(data).all(axis=-1)
    np.testing.assert_allclose(dropped[:, 0], data[others].mean(axis=0), rtol=1e-6)
    data[LABELS == 2] = np.nan
    gone = read(images=image(data=data), missing="drop")
    assert gone.attrs["empty_parcels"] == ["V2"] and gone.sizes["neuroid"] == 2


@pytest.mark.parametrize("kind", ["mapping", "table", "file"])
def test_names_come_from_a_mapping_or_a_table(tmp_path, kind):
    table = pd.DataFrame({"index": [3, 1, 2], "name": ["V3", "V1", "V2"]})
    if kind == "file":
        io.write_table(table, tmp_path / "dseg.tsv")
    names = {"mapping": NAMES, "table": table, "file": tmp_path / "dseg.tsv"}[kind]
    assert read(names=names)["neuroid"].values.tolist() == ["V1", "V2", "V3"]


@pytest.mark.parametrize(
    ("parcels", "names", "error", "says"),
    [
        (LABELS, {1: "V1"}, LabelError, "2 of 3 numbers have no name: 2, 3. Add them to parcel_names"),
        (LABELS, {7: "V7", 8: "V8"}, LabelError, "3 of 3 numbers have no name"),
        (LABELS, {1: "V1", 2: "V1", 3: "V3"}, LabelError, "1 names stand for several numbers: 'V1'"),
        (LABELS, {1: "???", 2: "unknown", 3: "Medial_Wall"}, LabelError, "no number of the image is named"),
        (LABELS, ["V1", "V2", "V3"], ShapeError, r"got list. Pass dict\(enumerate\(names, start=1\)\)"),
        (LABELS, {"1": "V1"}, LabelError, "must map whole numbers to text; got '1': 'V1'"),
        (LABELS, pd.DataFrame({"id": [1]}), LabelError, "with the columns index .* got 'id'"),
        (LABELS * 0, None, InvalidValueError, "is empty: none of its 24 places is above 0"),
        (LABELS * 0.3, None, InvalidValueError, "such as 0.6. Probabilities are no parcels"),
        (np.where(LABELS == 1, np.nan, 1), None, InvalidValueError, "holds NaN .* in 6 of 24 places"),
        (LABELS - 1, None, InvalidValueError, "must hold whole numbers from 0; got -1 to 2"),
        (LABELS > 0, None, InvalidValueError, "must hold whole numbers; got dtype bool"),
        (np.zeros((4, 3, 2, 5)), None, ShapeError, "parcels must have the shape of the images"),
    ],
)
def test_parcels_that_are_none_are_refused(parcels, names, error, says):
    with pytest.raises(error, match=says):
        read(parcels, names)


def test_a_mask_beside_all_parcels_is_refused():
    with pytest.raises(InvalidValueError, match=r"no place of a parcel lies within the mask"):
        read(mask=LABELS == 0)


def test_probabilities_on_another_grid_are_refused_before_they_are_rounded():
    other = nib.Nifti1Image(np.full((8, 6, 4), 0.7, dtype=np.float32), np.diag([1.0, 1, 1, 1]))
    with pytest.raises(
        InvalidValueError, match=r"must hold whole numbers; 192 of 192 values are none, such as 0.7"
    ):
        read(other, None, resample=True)


def test_resampled_parcels_are_counted():
    fine = np.zeros((8, 6, 4), dtype=np.int16)
    fine[0::2, 0::2, 0::2], fine[1, 1, 1] = 1, 2  # the second lies between the voxels of the images
    x = read(nib.Nifti1Image(fine, np.diag([1.0, 1, 1, 1])), {1: "a", 2: "b"}, resample=True)
    assert x["neuroid"].values.tolist() == ["a"] and x.attrs["empty_parcels"] == ["b"]
    assert x.attrs["parcels"]["resampled"] == "it has another shape"


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_means_equal_a_loop_and_do_not_depend_on_what_is_left_out(seed, n_parcels):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_parcels + 1, 40)
    labels[0] = 1
    data = rng.normal(size=(3, 40))
    found = make_parcels(labels, None)
    expected = np.stack([data[:, labels == int(name)].mean(axis=1) for name in found.names], axis=1)
    np.testing.assert_allclose(found.means(data[:, found.places]), expected, rtol=1e-12, atol=1e-12)
    keep = rng.random(len(found.places)) < 0.6
    keep[0] = True
    narrow = found.narrow(keep)
    left = np.isin(np.arange(40), found.places[keep])
    again = make_parcels(labels, None, inside=left)
    np.testing.assert_array_equal(narrow.places, again.places)
    np.testing.assert_array_equal(narrow.names, again.names)
    assert set(narrow.empty) == set(found.names) - set(narrow.names)


def test_a_table_without_its_columns_is_a_file_error(tmp_path):
    io.write_table(pd.DataFrame({"index": [1], "label": ["V1"]}), tmp_path / "dseg.tsv")
    with pytest.raises(
        FileError, match=r"dseg.tsv must have the columns index and name; got 'index', 'label'"
    ):
        read_names(tmp_path / "dseg.tsv")


@pytest.fixture(scope="module")
def volume(data_root):
    return datasets.load("language_parcels", root=data_root)


def test_the_language_parcels_lie_where_their_names_say(volume):
    assert volume.sizes == {"neuroid": 41347} and volume.attrs["shape"] == [91, 109, 91]
    assert np.unique(volume).tolist() == list(range(1, 27)) and len(set(volume["roi"].values)) == 26
    right = volume["hemisphere"].values == "right"
    assert (volume["x"].values[right] >= 0).all() and (volume["x"].values[~right] <= 0).all()
    assert ((volume.values > 13) == right).all()
    middle = volume["z"].groupby(volume["roi"]).mean()
    assert float(middle.sel(roi="left cerebellum Crus II / VIIb")) < -30
    assert float(middle.sel(roi="right medialSFG")) > 50
    assert volume.attrs["licence"] == "MIT" and volume.attrs["n_files"] == 2


def test_the_language_parcels_average_a_volume_of_their_space(volume):
    size = np.array([12, 14, 12])
    affine = nib.affines.rescale_affine(np.array(volume.attrs["affine"]), (91, 109, 91), (15.0, 15, 15), size)
    data = np.random.default_rng(0).normal(size=(*size, 3))
    made = nib.Nifti1Image(data, affine)
    with pytest.raises(ShapeError, match=r"\(91, 109, 91\).*\(12, 14, 12\).*resample=True"):
        datasets.read_volumes(made, parcels=volume, tr=1, progress=False)
    x = datasets.read_volumes(made, parcels=volume, tr=1, resample=True, progress=False)
    assert x.sizes["neuroid"] + len(x.attrs["empty_parcels"]) == 26
    assert set(x["roi"].values) | set(x.attrs["empty_parcels"]) == set(volume["roi"].values)
    left = [name.startswith("left") for name in x["roi"].values]
    assert (x["x"].values[left] < 0).all()


@pytest.mark.parametrize("hemisphere", ["left", "right"])
def test_the_surface_has_the_cortical_parcels_of_its_side(data_root, volume, hemisphere):
    x = datasets.load("language_parcels", what="surface", root=data_root, hemisphere=hemisphere)
    assert x.attrs["n_vertices"] == 163_842 and set(x["hemisphere"].values) == {hemisphere}
    expected = {
        name for name in volume["roi"].values if name.startswith(hemisphere) and "cerebellum" not in name
    }
    assert set(x["roi"].values) == expected and len(expected) == 11
    assert x["vertex"].values.max() < 163_842 and len(set(x["neuroid"].values)) == len(x)


def test_the_table_names_26_parcels(data_root):
    table = datasets.load("language_parcels", what="labels", root=data_root)
    assert table["name"].is_unique and table["index"].tolist() == list(range(1, 27))
    assert table.loc[1, "name"] == "left IFG" and table.loc[3, "label"] == "anterior temporal"
    with pytest.raises(InvalidValueError, match=r"hemisphere must be one of 'left', 'right'; got 'both'"):
        datasets.load("language_parcels", what="surface", root=data_root, hemisphere="both")


def test_files_of_another_kind_are_refused(data_root, monkeypatch):
    monkeypatch.setattr(language_parcels, "SHAPE", (1, 2, 3))
    with pytest.raises(FileError, match=r"must be a volume of shape \(1, 2, 3\)"):
        datasets.load("language_parcels", root=data_root)
    monkeypatch.setattr(language_parcels, "N_VERTICES", 7)
    with pytest.raises(FileError, match=r"must hold 7 vertices; got shape"):
        datasets.load("language_parcels", what="surface", root=data_root)
    monkeypatch.setattr(language_parcels, "N_PARCELS", 12)
    with pytest.raises(FileError, match=r"must name 13 parcels on the left"):
        datasets.load("language_parcels", what="labels", root=data_root)
    with pytest.raises(FileError, match=r"must hold the parcels 1 to 5, and 0 elsewhere"):
        language_parcels._numbers(np.arange(7), range(1, 6), "x")


def test_numbers_of_a_measure_and_numbers_with_two_names_are_no_parcels():
    with pytest.raises(InvalidValueError, match="holds 100001 different numbers; is it a measure"):
        make_parcels(np.arange(1, 100_002), None)
    made = xr.DataArray([1, 1, 2], dims="neuroid", coords={"roi": ("neuroid", ["V1", "V2", "IT"])})
    made = made.assign_coords(i=("neuroid", [0, 1, 2]), j=("neuroid", [0] * 3), k=("neuroid", [0] * 3))
    made.attrs.update(affine=AFFINE.tolist(), shape=list(SHAPE))
    with pytest.raises(LabelError, match="parcels: a number has several names in the coordinate 'roi'"):
        read(made, None)


def test_a_mask_narrows_the_voxels_that_are_named():
    volume = nib.Nifti1Image(LABELS, AFFINE)
    inside = np.zeros(SHAPE, dtype=np.uint8)
    inside[0] = 1
    mask, names = region_mask(volume, NAMES, mask=nib.Nifti1Image(inside, AFFINE))
    np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, (LABELS > 0) & (inside > 0))
    assert names["0-0-1"] == "V1" and len(names) == 4


def test_masks_without_a_voxel_in_common_are_refused():
    sides = [nib.Nifti1Image((number == LABELS).astype(np.uint8), AFFINE) for number in (1, 1, 2)]
    np.testing.assert_array_equal(np.asarray(in_all(sides[:2]).dataobj), LABELS == 1)
    with pytest.raises(InvalidValueError, match="the 3 masks have no voxel in common"):
        in_all(sides)
