"""Maps to NIfTI, GIfTI and tables and back; what does not fit is refused."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
import xarray as xr

from neuroalign import __version__, io
from neuroalign.errors import FileError, InvalidValueError, LabelError, NeuroalignError, ShapeError
from neuroalign.io import images
from neuroalign.io.gifti import check_gifti

AFFINE = np.array([[-3.1, 0.2, 0, 60], [0, 3.75, 0, -35], [0.1, 0, 4, 7], [0, 0, 0, 1.0]])
SHAPE = (5, 4, 3)
VOXELS = np.array([[0, 0, 0], [4, 3, 2], [1, 2, 0], [3, 0, 1]])


def volume_map(n_maps=None, positions="ijk", dtype=np.float64):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4,) if n_maps is None else (n_maps, 4)).astype(dtype)
    values[..., 2] = np.nan
    places = VOXELS if positions == "ijk" else nib.affines.apply_affine(AFFINE, VOXELS)
    coords = {name: ("neuroid", places[:, axis]) for axis, name in enumerate(positions)}
    dims = ("neuroid",) if n_maps is None else ("layer", "neuroid")
    if n_maps is not None:
        coords["layer"] = [f"layer {i}" for i in range(n_maps)]
    attrs = {"affine": AFFINE.tolist(), "shape": list(SHAPE)}
    return xr.DataArray(values, dims=dims, coords={"neuroid": list("abcd"), **coords}, attrs=attrs, name="r")


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
@pytest.mark.parametrize("positions", ["ijk", "xyz"])
@pytest.mark.parametrize("n_maps", [None, 1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_saved_as_nifti_is_read_back(tmp_path, extension, positions, n_maps, dtype):
    values = volume_map(n_maps, positions, dtype)
    path = tmp_path / f"map{extension}"
    written = images.save_nifti(values, path, dtype=dtype)
    assert written == [path, tmp_path / "map.tsv", tmp_path / "map.provenance.json"]
    image = nib.load(path)
    assert image.shape == SHAPE + (() if n_maps is None else (n_maps,))
    np.testing.assert_array_equal(image.affine, AFFINE.astype(np.float32).astype(float))
    full = np.asarray(image.dataobj)
    np.testing.assert_array_equal(full[tuple(VOXELS.T)].T, values.values)
    assert np.isfinite(full[..., 0] if n_maps else full).sum() == 3
    assert image.header.get_xyzt_units()[0] == "mm"
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(VOXELS.T)] = True
    back = images.read_nifti(path, mask=mask, dtype=dtype)
    order = [
        list(map(tuple, VOXELS.tolist())).index(v) for v in zip(*(back[n].values for n in "ijk"), strict=True)
    ]
    np.testing.assert_array_equal(back.values, values.values[..., order])
    assert back.dims == (("neuroid",) if n_maps is None else ("map", "neuroid"))
    # What was read can be written again.
    images.save_nifti(back, tmp_path / f"again{extension}", dtype=dtype)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / f"again{extension}").dataobj), full)


def test_the_same_values_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        images.save_nifti(volume_map(2), tmp_path / name / "map.nii.gz", seed=3)
    for name in ("map.nii.gz", "map.tsv", "map.provenance.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not list(tmp_path.rglob("*.partial*"))


def test_the_table_and_the_provenance_lie_beside(tmp_path):
    images.save_nifti(volume_map(2), tmp_path / "map.nii.gz", inputs={"bold": "0" * 64}, params={"alpha": 2})
    table = io.read_table(tmp_path / "map.tsv", text=("neuroid",))
    assert list(table.columns) == ["neuroid", "i", "j", "k", "layer 0", "layer 1"]
    np.testing.assert_allclose(table["layer 1"], volume_map(2)[1], rtol=1e-8)
    assert np.isnan(table["layer 0"][2])
    about = io.read_json(tmp_path / "map.provenance.json")
    assert about["sha256"] == io.file_digest(tmp_path / "map.tsv")
    assert about["image_sha256"] == io.file_digest(tmp_path / "map.nii.gz")
    assert about["inputs"] == {"bold": "0" * 64} and about["params"] == {"alpha": 2}
    assert about["maps"] == ["layer 0", "layer 1"] and about["neuroalign"] == __version__


def test_voxels_without_a_neuroid_get_what_is_asked_for():
    image = images.nifti_image(volume_map(), fill=0)
    full = np.asarray(image.dataobj)
    assert np.isnan(full).sum() == 1 and (full == 0).sum() == 56


def test_an_argument_goes_before_the_attribute():
    image = images.nifti_image(volume_map(), affine=np.eye(4), shape=(6, 6, 6))
    assert image.shape == (6, 6, 6) and (image.affine == np.eye(4)).all()


def test_integers_and_booleans_are_maps_too():
    assert np.asarray(images.nifti_image(volume_map().fillna(0) > 0).dataobj).dtype == np.float32


def test_values_are_not_edited_in_place(tmp_path):
    values = volume_map(2)
    before = values.copy(deep=True)
    images.save_nifti(values, tmp_path / "map.nii")
    xr.testing.assert_identical(values, before)


def moved(change):
    values = volume_map()
    return values.assign_coords(i=("neuroid", values["i"].values + np.asarray(change)))


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        (
            moved([0, 0, 0, 1]).assign_coords(j=("neuroid", [0, 3, 2, 3]), k=("neuroid", [0, 2, 0, 2])),
            {},
            LabelError,
            r"1 places hold several neuroids, the first is voxel \[4, 3, 2\]. Select one subject",
        ),
        (
            moved([0, 1, 0, 0]),
            {},
            ShapeError,
            r"1 of 4 voxels lie outside of the volume \(5, 4, 3\).*\[5, 3, 2\]",
        ),
        (moved([-1, 0, 0, 0]), {}, ShapeError, r"the first is \[-1, 0, 0\]"),
        (moved([0.5, 0, 0, 0]), {}, InvalidValueError, "voxel indices i, j, k must be whole numbers; 1 of 4"),
        (
            volume_map(positions="xyz").assign_coords(z=("neuroid", [1.0, 2, 3, 4])),
            {},
            InvalidValueError,
            "x, y, z must be the middle of a voxel of the grid; 4 of 4 are not",
        ),
        (volume_map().drop_vars("i"), {}, LabelError, "needs voxel indices i, j, k or positions x, y, z"),
        (volume_map().assign_coords(i=3), {}, ShapeError, "'i' must be a coordinate along neuroid"),
        (volume_map().drop_attrs(), {}, ShapeError, r"a volume needs its affine. Pass affine=\.\.\."),
        (volume_map().drop_attrs(), {"affine": AFFINE}, ShapeError, r"a volume needs its shape"),
        (volume_map(), {"affine": np.zeros((4, 4))}, ShapeError, r"affine must be an invertible \(4, 4\)"),
        (volume_map(), {"affine": np.eye(3)}, ShapeError, r"affine must be an invertible \(4, 4\)"),
        (volume_map(), {"shape": (5, 4)}, ShapeError, r"shape must be three positive numbers; got \(5, 4\)"),
        (volume_map(), {"dtype": "int16"}, InvalidValueError, "dtype must be one of 'float32', 'float64'"),
        (volume_map().rename(neuroid="unit"), {}, ShapeError, r"maps must be a DataArray \(neuroid,\)"),
        (volume_map(2).assign_coords(layer=["a", "a"]), {}, LabelError, "repeated names along 'layer'"),
        (volume_map().astype(complex), {}, InvalidValueError, "maps must be real numbers"),
    ],
)
def test_maps_that_do_not_fit_a_volume_are_refused(tmp_path, values, options, error, message):
    with pytest.raises(error, match=message):
        images.save_nifti(values, tmp_path / "map.nii", **options)
    assert list(tmp_path.iterdir()) == []


def test_values_too_large_for_the_dtype_are_refused():
    values = volume_map().fillna(1.0)
    large = values.copy(data=values.values * 1e300)
    with pytest.raises(InvalidValueError, match=r"values reach .*e\+300, too large for float32"):
        images.nifti_image(large)
    assert np.isfinite(np.asarray(images.nifti_image(large, dtype="float64").dataobj)).sum() == 4


@pytest.mark.parametrize(
    ("call", "name", "message"),
    [
        (
            lambda p: images.save_nifti(volume_map(), p),
            "map.img",
            "must end in .nii or .nii.gz; got 'map.img'",
        ),
        (lambda p: images.save_gifti(surface_map(), p, hemisphere="left"), "map.nii", "must end in .gii"),
        (lambda p: images.save_map_table(volume_map(), p), "map.csv", "must end in .tsv"),
    ],
)
def test_another_extension_is_refused(tmp_path, call, name, message):
    with pytest.raises(FileError, match=message):
        call(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.nii", b""),
        ("x.nii", b"no image" * 50),
        ("x.nii.gz", b"\x1f\x8bx"),
        ("x.nii.gz", gzip.compress(b"x", mtime=0)),
    ],
    ids=["empty", "text", "broken gzip", "gzip of text"],
)
def test_what_is_no_nifti_image_is_a_file_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match="is no NIfTI image, or a damaged one"):
        images.read_nifti(tmp_path / name)


def test_a_cut_image_is_a_file_error(tmp_path):
    images.save_nifti(volume_map(), tmp_path / "map.nii")
    whole = (tmp_path / "map.nii").read_bytes()
    (tmp_path / "map.nii").write_bytes(whole[:-8])
    with pytest.raises(FileError, match="damaged"):
        images.read_nifti(tmp_path / "map.nii")
    with pytest.raises(FileError, match="does not exist"):
        images.read_nifti(tmp_path / "other.nii")


def test_every_voxel_of_every_map_is_read_without_a_mask(tmp_path):
    full = np.random.default_rng(3).standard_normal((*SHAPE, 2)).astype(np.float32)
    nib.save(nib.Nifti1Image(full, AFFINE), tmp_path / "maps.nii")
    found = images.read_nifti(tmp_path / "maps.nii")
    assert found.shape == (2, np.prod(SHAPE))
    i, j, k = (found[name].values for name in "ijk")
    np.testing.assert_array_equal(found.values, full[i, j, k].T)
    assert found["neuroid"].values[1] == "0-0-1"


def test_one_slice_is_a_volume(tmp_path):
    values = xr.DataArray(
        [1.5, -2.0],
        dims="neuroid",
        coords={"i": ("neuroid", [0, 4]), "j": ("neuroid", [1, 3]), "k": ("neuroid", [0, 0])},
        attrs={"affine": AFFINE.tolist(), "shape": [5, 4, 1]},
        name="r",
    )
    images.save_nifti(values, tmp_path / "slice.nii")
    full = np.asarray(nib.load(tmp_path / "slice.nii").dataobj)
    assert full.shape == (5, 4, 1) and full[0, 1, 0] == 1.5 and full[4, 3, 0] == -2.0


def test_a_mask_of_another_shape_is_refused(tmp_path):
    images.save_nifti(volume_map(), tmp_path / "map.nii")
    for mask in (np.ones((5, 4, 2), dtype=bool), np.ones(SHAPE)):
        with pytest.raises(ShapeError, match=r"mask must be booleans of shape \(5, 4, 3\)"):
            images.read_nifti(tmp_path / "map.nii", mask=mask)
    with pytest.raises(InvalidValueError, match="dtype must be one of"):
        images.read_nifti(tmp_path / "map.nii", dtype="int")


# Surfaces and tables


def surface_map(n_maps=None, **coords):
    values = np.arange(4.0) if n_maps is None else np.arange(4.0 * n_maps).reshape(n_maps, 4)
    values[..., 1] = np.nan
    dims = ("neuroid",) if n_maps is None else ("layer", "neuroid")
    own = {"vertex": ("neuroid", [7, 0, 3, 9]), **coords}
    return xr.DataArray(values, dims=dims, coords=own, attrs={"n_vertices": 10}, name="r2")


def test_a_surface_of_one_vertex_is_a_surface_and_one_of_none_is_not(tmp_path):
    one = xr.DataArray([2.5], dims="neuroid", coords={"vertex": ("neuroid", [0])}, name="r2")
    images.save_gifti(one, tmp_path / "one.gii", hemisphere="left", n_vertices=1)
    assert nib.load(tmp_path / "one.gii").darrays[0].data.tolist() == [2.5]
    with pytest.raises(ShapeError, match="n_vertices must be the number of vertices of the surface; got 0"):
        images.save_gifti(one, tmp_path / "one.gii", hemisphere="left", n_vertices=0)


@pytest.mark.parametrize("n_maps", [None, 2])
@pytest.mark.parametrize(("hemisphere", "structure"), [("left", "CortexLeft"), ("right", "CortexRight")])
def test_what_is_saved_as_gifti_is_read_back(tmp_path, n_maps, hemisphere, structure):
    path = tmp_path / "r2.func.gii"
    written = images.save_gifti(surface_map(n_maps), path, hemisphere=hemisphere)
    assert written == [path, tmp_path / "r2.tsv", tmp_path / "r2.provenance.json"]
    image = nib.load(path)
    assert image.meta["AnatomicalStructurePrimary"] == structure
    assert [a.meta["Name"] for a in image.darrays] == (["r2"] if n_maps is None else ["0", "1"])
    for array, row in zip(image.darrays, np.atleast_2d(surface_map(n_maps).values), strict=True):
        assert array.data.shape == (10,) and array.data.dtype == np.float32
        np.testing.assert_array_equal(array.data[[7, 0, 3, 9]], row)
        assert np.isnan(np.delete(array.data, [7, 3, 9])).all()


def test_only_the_hemisphere_that_is_asked_for_is_written(tmp_path):
    # The same vertex number in both hemispheres is two places.
    both = surface_map(hemisphere=("neuroid", ["left", "left", "right", "right"]))
    both = both.assign_coords(vertex=("neuroid", [7, 0, 7, 0]))
    images.save_gifti(both, tmp_path / "right.gii", hemisphere="right")
    data = nib.load(tmp_path / "right.gii").darrays[0].data
    assert data[7] == 2.0 and data[0] == 3.0 and np.isnan(data).sum() == 8
    assert len(io.read_table(tmp_path / "right.tsv")) == 2
    left = both.isel(neuroid=[0, 1])
    with pytest.raises(LabelError, match="no neuroid lies in the hemisphere 'right'; there are 'left'"):
        images.save_gifti(left, tmp_path / "x.gii", hemisphere="right")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (surface_map(), {"n_vertices": 9}, "1 vertices lie outside of the surface of 9; the first is 9"),
        (surface_map(), {"n_vertices": 0}, "n_vertices must be the number of vertices of the surface; got 0"),
        (surface_map().drop_attrs(), {}, "n_vertices must be .*; got None"),
        (surface_map(vertex=("neuroid", [1, 1, 2, 3])), {}, r"1 places hold several .* vertex \[1\]"),
        (surface_map(vertex=("neuroid", [1, 1.5, 2, 3])), {}, "vertices must be whole numbers"),
        (surface_map().drop_vars("vertex"), {}, "a surface needs the coordinate 'vertex'"),
        (surface_map(), {"hemisphere": "both"}, "hemisphere must be one of 'left', 'right'; got 'both'"),
    ],
)
def test_maps_that_do_not_fit_a_surface_are_refused(tmp_path, values, options, message):
    with pytest.raises(NeuroalignError, match=message):
        images.save_gifti(values, tmp_path / "x.gii", **{"hemisphere": "left", **options})
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_all_there_is_without_a_geometry(tmp_path):
    values = volume_map(2).drop_vars(list("ijk")).assign_coords(roi=("neuroid", ["V1"] * 4))
    written = images.save_map_table(values, tmp_path / "maps.tsv", seed=1)
    assert [path.name for path in written] == ["maps.tsv", "maps.provenance.json"]
    table = io.read_table(written[0])
    assert list(table.columns) == ["neuroid", "roi", "layer 0", "layer 1"]
    assert io.read_json(written[1])["sha256"] == io.file_digest(written[0])
    assert "image_sha256" not in io.read_json(written[1])


def test_a_map_with_the_name_of_a_coordinate_is_refused():
    with pytest.raises(LabelError, match="maps have the names of coordinates: 'i'"):
        images.map_table(volume_map().rename("i"))


def test_the_provenance_tells_the_geometry_of_the_volume_and_of_the_surface(tmp_path):
    for n_maps in (None, 2):
        images.save_nifti(volume_map(n_maps), tmp_path / "map.nii")
        about = io.read_json(tmp_path / "map.provenance.json")
        assert about["shape"] == [5, 4, 3] and about["affine"] == AFFINE.tolist()
    images.save_gifti(surface_map(), tmp_path / "map.gii", hemisphere="left")
    about = io.read_json(tmp_path / "map.provenance.json")
    assert about["hemisphere"] == "left" and about["n_vertices"] == 10


@pytest.mark.parametrize("n_maps", [None, 2])
def test_positions_of_what_is_read_are_those_of_the_affine(tmp_path, n_maps):
    shape = SHAPE if n_maps is None else (*SHAPE, n_maps)
    nib.save(
        nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), AFFINE),
        tmp_path / "x.nii",
    )
    mask = np.zeros(SHAPE, dtype=bool)
    mask[4, 3, 1] = mask[0, 2, 2] = True
    for given, voxels in ((mask, [[0, 2, 2], [4, 3, 1]]), (None, np.argwhere(np.ones(SHAPE)))):
        found = images.read_nifti(tmp_path / "x.nii", mask=given)
        places = nib.affines.apply_affine(AFFINE.astype(np.float32), np.asarray(voxels))
        np.testing.assert_array_equal(np.stack([found[name] for name in "ijk"], axis=1), voxels)
        np.testing.assert_allclose(np.stack([found[name] for name in "xyz"], axis=1), places, rtol=1e-6)
        assert found.attrs["shape"] == [5, 4, 3] and found["neuroid"].values[-1] == "-".join(
            map(str, voxels[-1])
        )


def test_an_image_whose_file_holds_its_values_and_no_more_is_read_and_a_shorter_one_is_not(tmp_path):
    """In a pair of files one has the header and the other the values alone."""
    full = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    nib.save(nib.Nifti1Pair(full, AFFINE), tmp_path / "x.img")
    assert (tmp_path / "x.img").stat().st_size == full.nbytes
    np.testing.assert_array_equal(images.read_nifti(tmp_path / "x.img").values, full.ravel())
    (tmp_path / "x.img").write_bytes(full.tobytes()[:-1])
    said = r"x\.img is damaged or cut short: its header says \(5, 4, 3\), 240 bytes, which x\.img cannot hold"
    with pytest.raises(FileError, match=said):
        images.read_nifti(tmp_path / "x.img")


def test_a_compressed_image_may_be_much_larger_than_its_file_but_not_without_limit(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((40, 40, 40), dtype=np.float32), AFFINE), tmp_path / "x.nii.gz")
    assert (tmp_path / "x.nii.gz").stat().st_size < 40**3 * 4 / 100
    assert images.read_nifti(tmp_path / "x.nii.gz").sizes == {"neuroid": 40**3}
    content = gzip.decompress((tmp_path / "x.nii.gz").read_bytes())
    header = nib.Nifti1Header(content[:348])
    header.set_data_shape((400, 400, 400))
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(header.binaryblock + content[348:], mtime=0))
    with pytest.raises(FileError, match=r"its header says \(400, 400, 400\), 256,000,000 bytes"):
        images.read_nifti(tmp_path / "x.nii.gz")


def test_maps_have_one_dim_or_two():
    one = xr.DataArray([1.0, 2.0], dims="neuroid")
    assert images.map_table(one).to_dict("list") == {"value": [1.0, 2.0]}
    two = xr.DataArray(
        [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dims=("time", "neuroid"), coords={"time": [0, 1, 5]}
    )
    for values in (two, two.T):
        assert images.map_table(values).to_dict("list") == {"0": [1, 2], "1": [3, 4], "5": [5, 6]}
    for wrong in (two.expand_dims("more"), one.rename(neuroid="unit"), one.values):
        with pytest.raises(ShapeError, match=r"maps must be a DataArray \(neuroid,\) or \(any, neuroid\)"):
            images.map_table(wrong)


@pytest.mark.parametrize("dims", [0, 1, 6, 7])
def test_an_array_of_gifti_has_six_dims_at_most(tmp_path, dims):
    array = f'<DataArray Dimensionality="{dims}"/><Other Dimensionality="99" ExternalFileName="/etc/hosts"/>'
    (tmp_path / "x.gii").write_text(f'<?xml version="1.0"?><GIFTI>{array}</GIFTI>')
    if dims <= 6:
        check_gifti(tmp_path / "x.gii")
    else:
        with pytest.raises(ValueError, match=r"an array has '7' dims; 6 are the most"):
            check_gifti(tmp_path / "x.gii")
