"""Volumes to series and responses: values, places, times, counts; what lies on another grid is refused."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroalign import datasets, io, rsa, schema
from neuroalign.datasets.images import slabs, volumes
from neuroalign.datasets.images.grids import Grid, difference
from neuroalign.errors import FileError, InvalidValueError, LabelError, NeuroalignError, ShapeError

SHAPE, TR = (4, 5, 3), 2.0
AFFINE = np.array([[-3, 0, 0, 30], [0, 3, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1.0]])


def values(n_times=6, seed=0):
    found = np.random.default_rng(seed).normal(100, 10, (*SHAPE, n_times)).astype(np.float32)
    found[0] = 0
    return found


def image(data=None, *, affine=AFFINE, tr=TR, dtype=None):
    data = values() if data is None else np.asarray(data)
    made = nib.Nifti1Image(data, affine, dtype=dtype)
    if data.ndim == 4:
        made.header.set_zooms((*made.header.get_zooms()[:3], tr))
        made.header.set_xyzt_units("mm", "sec")
    return made


def write(path, data=None, **options):
    nib.save(image(data, **options), path)
    return path


def mask_image(affine=AFFINE, shape=SHAPE):
    inside = np.zeros(shape, dtype=np.uint8)
    inside[1:3, 1:4, 1:] = 1
    return nib.Nifti1Image(inside, affine)


def read(images, **options):
    return datasets.read_volumes(images, progress=False, **options)


def moved(**rows):
    affine = AFFINE.copy()
    for name, row in rows.items():
        affine["xyz".index(name)] = row
    return affine


def test_a_series_has_the_values_places_and_times_of_its_runs(tmp_path):
    runs = [values(6, 0), values(4, 1)]
    paths = [write(tmp_path / f"run{i}.nii.gz", run) for i, run in enumerate(runs)]
    x = read(paths, mask=mask_image(), subject="sub-01", runs=["a", "b"])
    schema.check(x, "series")
    assert x.dtype == np.float32 and x.name == "bold"
    i, j, k = (x[name].values for name in "ijk")
    assert list(zip(i, j, k, strict=True)) == list(map(tuple, np.argwhere(mask_image().get_fdata() == 1)))
    np.testing.assert_array_equal(x.values, np.concatenate([run[i, j, k].T for run in runs]))
    assert x["neuroid"].values[0] == "1-1-1"
    places = nib.affines.apply_affine(AFFINE, np.stack([i, j, k], 1))
    np.testing.assert_allclose(np.stack([x[name].values for name in "xyz"], 1), places)
    assert x["time"].values.tolist() == [2.0 * n for n in range(10)]
    assert x["run"].values.tolist() == ["a"] * 6 + ["b"] * 4
    assert x["time_in_run"].values.tolist() == [0, 2, 4, 6, 8, 10, 0, 2, 4, 6]
    assert set(x["subject"].values) == {"sub-01"}
    assert x.attrs["affine"] == AFFINE.tolist() and x.attrs["shape"] == list(SHAPE) and x.attrs["tr"] == TR
    assert x.attrs["sources"] == [{"file": p.name, "sha256": io.file_digest(p)} for p in paths]


@pytest.mark.parametrize("kind", [".nii", ".nii.gz", "image", "nifti2", "C order"])
def test_every_kind_of_image_gives_the_same_numbers(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB", 4 * 60 * 4)  # two slabs
    if kind == "image":
        given = image()
    elif kind == "nifti2":
        made = nib.Nifti2Image(values(), AFFINE)
        made.header.set_zooms((3, 3, 4, TR))
        given = tmp_path / "x.nii.gz"
        nib.save(made, given)
    elif kind == "C order":
        given = image(np.ascontiguousarray(values()))
    else:
        given = write(tmp_path / f"x{kind}")
    x = read(given)
    assert x.sizes == {"time": 6, "neuroid": 45}
    np.testing.assert_array_equal(x.values, values()[1:].reshape(45, 6).T)


def test_integers_are_scaled_by_the_header(tmp_path):
    path = write(tmp_path / "scaled.nii.gz", dtype=np.int16)
    stored = nib.load(path)
    assert stored.dataobj.slope != 1 and stored.get_data_dtype() == np.int16
    whole = np.asarray(stored.dataobj)  # float64, as the header says
    i, j, k = np.nonzero(np.ones((3, *SHAPE[1:])))
    np.testing.assert_array_equal(read(path, dtype="float64").values, whole[i + 1, j, k].T)
    np.testing.assert_array_equal(read(path).values, whole[i + 1, j, k].T.astype(np.float32))


def test_without_a_mask_voxels_that_vary_in_some_run_are_read_and_the_others_counted():
    a, b = values(6, 0), values(5, 1)
    a[1, 0, 0] = 7  # constant in the first run
    a[2, 0, 0] = b[2, 0, 0] = 3  # constant in both
    a[3, 0, 0] = b[3, 0, 0] = np.nan  # not a number in both
    a[3, 1, 0, 2] = np.nan
    x = read([image(a), image(b)])
    left_out = {"2-0-0", "3-0-0"}
    assert x.sizes["neuroid"] == 43 and not left_out & set(x["neuroid"].values)
    assert (x.attrs["n_constant"], x.attrs["n_partly_constant"], x.attrs["n_nan"]) == (17, 1, 1)
    assert np.isnan(x.sel(neuroid="3-1-0").values).sum() == 1
    dropped = read([image(a), image(b)], missing="drop")
    assert set(x["neuroid"].values) - set(dropped["neuroid"].values) == {"3-1-0"}
    assert dropped.attrs["n_nan"] == 1 and dropped.attrs["missing"] == "drop"
    np.testing.assert_array_equal(dropped.values, x.sel(neuroid=dropped["neuroid"]).values)


def test_a_mask_decides_even_where_voxels_are_constant_or_not_numbers():
    a = values()
    a[1, 1, 1], a[2, 2, 2, 4] = 5, np.inf
    x = read(image(a), mask=mask_image())
    assert x.sizes["neuroid"] == 12 and x.attrs["n_constant"] == 1 and x.attrs["n_nan"] == 1
    assert read(image(a), mask=mask_image(), missing="drop").sizes["neuroid"] == 11


def test_masks_of_every_kind_are_the_same(tmp_path):
    path = tmp_path / "mask.nii.gz"
    nib.save(mask_image(), path)
    inside = mask_image().get_fdata() == 1
    labelled = io.read_nifti(path).isel(neuroid=inside.ravel())
    four = nib.Nifti1Image(mask_image().get_fdata()[..., None], AFFINE)
    expected = read(image(), mask=path)
    for mask in (str(path), mask_image(), inside, inside.astype(float), labelled, four):
        np.testing.assert_array_equal(read(image(), mask=mask).values, expected.values)


def test_other_grids_are_resampled_only_when_asked_and_the_data_never():
    fine = nib.Nifti1Image(np.ones((8, 10, 6), dtype=np.uint8), AFFINE @ np.diag([0.5, 0.5, 0.5, 1]))
    with pytest.raises(ShapeError, match=r"it has another shape.*\(8, 10, 6\).*\(4, 5, 3\).*resample=True"):
        read(image(), mask=fine)
    x = read(image(), mask=fine, resample=True)
    assert x.attrs["mask"]["resampled"] == "it has another shape"
    np.testing.assert_array_equal(x.values, values()[x["i"], x["j"], x["k"]].T)
    flipped = nib.Nifti1Image(mask_image().get_fdata()[::-1], AFFINE @ nib.affines.from_matvec(
        np.diag([-1, 1, 1]), [3, 0, 0]))  # fmt: skip
    same = read(image(), mask=flipped, resample=True)
    np.testing.assert_array_equal(same.values, read(image(), mask=mask_image()).values)
    far = nib.Nifti1Image(np.ones(SHAPE, dtype=np.uint8), moved(x=[-3, 0, 0, 900]))
    with pytest.raises(ShapeError, match=r"has no voxel within the images.*900.*30"):
        read(image(), mask=far, resample=True)


TURN = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3), [0, 0, 0])


@pytest.mark.goal("R8", "images of the room's own tests")
@pytest.mark.parametrize(
    ("affine", "says"),
    [
        (moved(x=[-3, 0, 0, 31.5], y=[0, 3, 0, -24]), r"it is shifted by \(1.5, -4, 0\) mm"),
        (moved(x=[3, 0, 0, 21]), "it is flipped along i"),
        (moved(x=[3, 0, 0, 21], z=[0, 0, -4, 13]), "it is flipped along i and k"),
        (AFFINE @ np.diag([1, 1, 0.5, 1]), "its voxels have another size"),
        (TURN @ AFFINE, "it is rotated"),
    ],
    ids=["shifted", "flipped", "flipped twice", "other size", "rotated"],
)
@pytest.mark.parametrize("what", ["mask", "parcels", "run"])
def test_another_affine_is_refused_with_both_grids(affine, says, what):
    if what == "run":
        with pytest.raises(ShapeError, match=f"image 2 does not lie on the grid of image 1: {says}") as error:
            read([image(), image(affine=affine)])
    else:
        with pytest.raises(ShapeError, match=f"{what} .*: {says}") as error:
            read(image(), **{what: mask_image(affine)})
    message = str(error.value)
    assert str(Grid("", SHAPE, AFFINE)).split("affine ")[1] in message
    assert str(Grid("", SHAPE, affine)).split("affine ")[1] in message


def with_row(path, row):
    """Change the affine's first row in the file, past all that nibabel would refuse to write."""
    with path.open("r+b") as file:
        header = nib.Nifti1Header.from_fileobj(file)
        header["srow_x"], header["sform_code"] = row, 1
        file.seek(0)
        header.write_to(file)
    return path


@pytest.mark.goal("R8", "images of the room's own tests")
@pytest.mark.parametrize(
    ("row", "says"),
    [([np.nan, 0, 0, 1], "is not finite"), ([0, 0, 0, 30], "is singular: some axis has no length")],
    ids=["NaN", "singular"],
)
def test_an_affine_without_meaning_is_refused(tmp_path, row, says):
    bold = with_row(write(tmp_path / "bold.nii"), row)
    nib.save(mask_image(), tmp_path / "mask.nii")
    mask = with_row(tmp_path / "mask.nii", row)
    with pytest.raises(ShapeError, match=rf"the affine of bold.nii {says}. bold.nii has shape \(4, 5, 3\)"):
        read(bold)
    both = f"the affine of mask.nii {says}. mask.nii has shape .*; image 1 has shape"
    with pytest.raises(ShapeError, match=both):
        read(image(), mask=mask)


def test_affines_within_rounding_are_the_same():
    nearly = AFFINE.astype(np.float32) * (1 + 1e-6)
    nearly[3] = [0, 0, 0, 1]
    assert read(image(), mask=mask_image(nearly)).sizes["neuroid"] == 12


@given(st.sampled_from([(0, 1, 2), (1, 0, 2), (2, 1, 0)]), st.floats(0.2, 3), st.floats(-50, 50))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
def test_a_grid_equals_itself_and_no_grid_half_a_voxel_away(order, size, offset):
    affine = np.eye(4)
    affine[:3, :3] = (np.diag([size, 2 * size, 3 * size]))[:, list(order)]
    affine[:3, 3] = offset
    grid = Grid("a", SHAPE, affine)
    assert difference(grid, Grid("b", SHAPE, affine.copy())) is None
    for axis in range(3):
        other = affine.copy()
        other[axis, 3] += size / 2
        assert difference(grid, Grid("b", SHAPE, other)).startswith("it is shifted by")


@pytest.mark.goal("R8", "images of the room's own tests")
@pytest.mark.parametrize(
    ("mask", "error", "says"),
    [
        (np.zeros(SHAPE), InvalidValueError, "mask array is empty: none of its 60 places is 1"),
        (np.full(SHAPE, 0.3), InvalidValueError, "0 and 1 only; 60 of 60 values are others, such as 0.3"),
        (np.full(SHAPE, np.nan), InvalidValueError, "holds NaN in 60 of 60 places"),
        (np.ones((4, 5, 2), dtype=bool), ShapeError, r"got \(4, 5, 2\), but image 1 has shape \(4, 5, 3\)"),
        (np.full(SHAPE, "x"), InvalidValueError, "must hold 0 and 1; got dtype <U1"),
        (mask_image(shape=(4, 5, 4)), ShapeError, r"another shape. mask has shape \(4, 5, 4\).*\(4, 5, 3\)"),
        (image(), ShapeError, r"must be a volume of three dims; got shape \(4, 5, 3, 6\), and image 1"),
        (3, ShapeError, "mask must be a path or a nibabel image; got int"),
        ("nowhere.nii", FileError, "nowhere.nii does not exist"),
    ],
    ids=["empty", "probabilities", "NaN", "other shape", "text", "other grid", "4-D", "a number", "no file"],
)
def test_masks_that_are_none_are_refused(mask, error, says):
    with pytest.raises(error, match=says):
        read(image(), mask=mask)


@pytest.mark.goal("R8", "images of the room's own tests")
@pytest.mark.parametrize(
    ("images", "error", "says"),
    [
        (mask_image(), ShapeError, r"four dims.*got \(4, 5, 3\). Pass one image a volume to read_patterns"),
        (image(values(1)), ShapeError, r"holds a single volume, shape \(4, 5, 3, 1\)"),
        ([], ShapeError, "at least one image; got an empty list"),
        (np.zeros(SHAPE), ShapeError, "image 1 must be a path or a nibabel image; got ndarray"),
        (image(values().astype(np.complex64)), InvalidValueError, "real numbers; got dtype complex64"),
        (image(np.full((*SHAPE, 4), np.nan)), InvalidValueError, "no voxel is left of 60: 60 are constant"),
        (image(np.ones((*SHAPE, 4))), InvalidValueError, "60 are constant in every run"),
        ([image(), image(np.zeros((4, 5, 2, 6)))], ShapeError, "image 2 .*: it has another shape"),
        (nib.gifti.GiftiImage(), ShapeError, "is a GIfTI surface, not a volume. Read it with read_surfaces"),
    ],
    ids=["3-D", "one volume", "none", "array", "complex", "NaN", "constant", "other grid", "surface"],
)
def test_images_that_are_no_series_are_refused(images, error, says):
    with pytest.raises(error, match=says):
        read(images)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"missing": "zero"}, InvalidValueError, "missing must be one of 'keep', 'drop'; got 'zero'"),
        ({"dtype": "int8"}, InvalidValueError, "dtype must be one of 'float32', 'float64'; got 'int8'"),
        ({"runs": ["a", "b"]}, ShapeError, "runs must name each of 1 runs; got 2 labels"),
        ({"runs": "a"}, ShapeError, r"runs must be a list; got the string 'a'. Pass \['a'\]"),
        ({"runs": [1.5]}, LabelError, "runs must be whole numbers or text"),
        ({"cache": "x.nii"}, FileError, "cache must end in .nc; got 'x.nii'"),
        ({"tr": 0}, InvalidValueError, "tr must be a positive number of seconds; got 0"),
        ({"tr": True}, InvalidValueError, "tr must be a positive number of seconds; got True"),
        ({"tr": "2"}, InvalidValueError, "tr must be a positive number of seconds; got '2'"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        read(image(), **options)


def test_repeated_runs_and_numbers_too_large_are_refused():
    with pytest.raises(LabelError, match=r"runs must name each run once; got"):
        read([image(), image()], runs=[1, 1])
    with pytest.raises(
        InvalidValueError, match=r'values reach 1e\+300, too large for float32. Pass dtype="flo'
    ):
        read(image(np.where(values() > 0, 1e300, 0)), mask=mask_image())
    with pytest.raises(InvalidValueError, match=r"no voxel has a finite value: all 12 are NaN"):
        read(image(np.full((*SHAPE, 4), np.nan)), mask=mask_image())


@pytest.mark.parametrize("missing", ["keep", "drop"])
def test_no_finite_voxel_in_a_mask_is_refused(missing):
    with pytest.raises(InvalidValueError, match=r"no voxel (has a finite value|is left of 12)"):
        read(image(np.full((*SHAPE, 4), np.nan)), mask=mask_image(), missing=missing)


def sidecar(path, content):
    path.with_name(path.name.split(".")[0] + ".json").write_text(content)


def test_the_repetition_time_is_the_header_s_in_its_unit(tmp_path):
    assert read(image(tr=0.8)).attrs["tr"] == 0.8
    made = image()
    made.header.set_zooms((3, 3, 4, 1500))
    made.header.set_xyzt_units("mm", "msec")
    assert read(made).attrs["tr"] == 1.5
    silent = write(tmp_path / "silent.nii.gz", tr=0)
    with pytest.raises(
        InvalidValueError, match=r"no repetition time: .*silent.nii.gz states one above 0. Pass tr"
    ):
        read(silent)
    assert read(silent, tr=1.317)["time"].values[1] == 1.317
    sidecar(silent, '{"RepetitionTime": 1.4}')
    assert read(silent).attrs["tr"] == 1.4


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_repetition_times_that_disagree_are_refused_with_all_of_them(tmp_path, extension):
    path = write(tmp_path / f"bold{extension}")
    with pytest.raises(InvalidValueError, match=r"disagree: tr=2.2; bold.nii[.gz]*: header 2 s"):
        read(path, tr=2.2)
    sidecar(path, '{"RepetitionTime": 2.5}')
    with pytest.raises(InvalidValueError, match=r"disagree: bold.*: sidecar 2.5 s; bold.*: header 2 s"):
        read(path)
    with pytest.raises(InvalidValueError, match=r"disagree: tr=2; bold.*: sidecar 2.5 s; bold.*: header 2 s"):
        read(path, tr=2)
    sidecar(path, '{"RepetitionTime": 2.00001}')
    assert read(path, tr=2).attrs["tr"] == 2
    other = write(tmp_path / f"other{extension}", tr=3)
    with pytest.raises(InvalidValueError, match=r"disagree: .*bold.*: header 2 s; other.*: header 3 s"):
        read([path, other])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"RepetitionTime": "2"}', "RepetitionTime must be a positive number of seconds; got '2'"),
        ('{"RepetitionTime": -2}', "must be a positive number"),
        ("{", "is not JSON"),
    ],
)
def test_a_sidecar_without_meaning_is_refused(tmp_path, content, says):
    path = write(tmp_path / "bold.nii.gz")
    sidecar(path, content)
    with pytest.raises(FileError, match=says):
        read(path)


def test_headers_without_a_time_are_refused():
    made = image()
    made.header["pixdim"][4] = np.nan
    with pytest.raises(InvalidValueError, match=r"the repetition time in the header is nan"):
        read(made)
    made = image()
    made.header.set_xyzt_units("mm", "hz")
    with pytest.raises(InvalidValueError, match=r"the fourth axis is no time, its unit is 'hz'"):
        read(made)
    with pytest.raises(InvalidValueError, match=r"states a repetition time of 2000 s; is it milliseconds"):
        read(image(tr=2000))
    assert read(image(tr=2000), tr=2000).attrs["tr"] == 2000


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_a_file_cut_short_is_refused(tmp_path, extension):
    path = write(tmp_path / f"bold{extension}")
    content = path.read_bytes()
    for n in (len(content) - 5, len(content) // 2, 400):
        path.write_bytes(content[:n])
        with pytest.raises(FileError, match=r"is damaged or cut short|is no image, or a damaged one"):
            read(path, mask=mask_image())


def test_a_flipped_bit_in_a_compressed_file_is_seen(tmp_path):
    path = write(tmp_path / "bold.nii.gz")
    content = gzip.decompress(path.read_bytes())
    rng, seen = np.random.default_rng(0), 0
    packed = bytearray(gzip.compress(content, compresslevel=0))
    for place in rng.integers(500, len(packed) - 8, 30).tolist():
        broken = packed.copy()
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        with pytest.raises(FileError, match=r"is damaged or cut short"):
            read(path, mask=mask_image())
        seen += 1
    assert seen == 30


@pytest.mark.parametrize(
    "content", [b"", b"no image", gzip.compress(b"no image" * 100, mtime=0)], ids=["empty", "text", "gzip"]
)
def test_a_file_that_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "bold.nii.gz"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"bold.nii.gz is no image, or a damaged one"):
        read(path)


def test_a_cache_is_believed_only_as_long_as_everything_is_the_same(tmp_path, monkeypatch):
    path, cache = write(tmp_path / "bold.nii.gz"), tmp_path / "cache.nc"
    options = {"mask": mask_image(), "subject": "s", "cache": cache}
    first = read(path, **options)
    assert "provenance" not in first.attrs and io.load(cache).attrs["provenance"]["inputs"]["run 1"]
    with monkeypatch.context() as patch:
        patch.setattr(volumes, "pool", None)  # reading anew would fail
        again = read(path, **options)
    xr.testing.assert_identical(again, first)
    other_mask = mask_image().get_fdata() == 1
    other_mask[3, 4, 2] = True
    changes = [{"subject": "t"}, {"mask": other_mask}, {"mask": None}, {"missing": "drop"}, {"runs": [3]}]
    changes += [{"dtype": "float64"}, {"parcels": np.ones(SHAPE, dtype=int)}]
    for change in changes:
        fresh = {**options, **change}
        xr.testing.assert_identical(read(path, **fresh), read(path, **{**fresh, "cache": None}))
    write(path, values(seed=5))
    assert not np.array_equal(read(path, **options).values, first.values)


def test_a_cache_never_writes_over_something_else(tmp_path):
    path, cache = write(tmp_path / "bold.nii.gz"), tmp_path / "mine.nc"
    io.save(xr.DataArray([1.0], dims="x"), cache)
    with pytest.raises(FileError, match=r"mine.nc is no cache of .*read_volumes 1, and is not written over"):
        read(path, cache=cache)
    read(path, cache=tmp_path / "cache.nc")
    cut = (tmp_path / "cache.nc").read_bytes()[:-9]
    cache.write_bytes(cut)
    with pytest.raises(FileError, match=r"mine.nc is damaged"):
        read(path, cache=cache)
    assert cache.read_bytes() == cut


def test_a_map_of_a_series_goes_to_a_file_and_back(tmp_path):
    path = write(tmp_path / "bold.nii.gz")
    x = read(path, mask=mask_image())
    io.save_nifti(x.isel(time=2, drop=True), tmp_path / "map.nii.gz")
    made, original = nib.load(tmp_path / "map.nii.gz"), nib.load(path)
    np.testing.assert_array_equal(made.affine, original.affine)
    assert made.shape == SHAPE and made.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(made.header.get_zooms(), original.header.get_zooms()[:3])
    back = io.read_nifti(tmp_path / "map.nii.gz", mask=mask_image().get_fdata() == 1)
    np.testing.assert_array_equal(back["neuroid"].values, x["neuroid"].values)
    np.testing.assert_array_equal(back.values, x.values[2])
    assert back.attrs["affine"] == x.attrs["affine"] and back.attrs["shape"] == x.attrs["shape"]
    table = io.read_table(tmp_path / "map.tsv", text=("neuroid",))
    assert table["neuroid"].tolist() == x["neuroid"].values.tolist()
    # Several maps are a series again, on the same grid.
    io.save_nifti(x.drop_vars(["run", "time_in_run"]), tmp_path / "maps.nii.gz")
    again = read(tmp_path / "maps.nii.gz", mask=mask_image(), tr=1.0)
    np.testing.assert_array_equal(again.values, x.values)


def test_patterns_have_their_stimuli():
    betas = values(4)
    x = datasets.read_patterns(image(betas), ["a", "b", "c", "d"], mask=mask_image(), progress=False)
    schema.check(x, "responses")
    assert x.dims == ("stimulus", "neuroid") and x.name == "responses"
    np.testing.assert_array_equal(x.values, betas[x["i"], x["j"], x["k"]].T)
    single = [nib.Nifti1Image(betas[..., n], AFFINE) for n in range(4)]
    one_each = datasets.read_patterns(single, ["a", "b", "c", "d"], mask=mask_image(), progress=False)
    np.testing.assert_array_equal(one_each.values, x.values)
    free = datasets.read_patterns(single, ["a", "b", "c", "d"], progress=False)
    assert free.sizes["neuroid"] == 45 and free.attrs["n_constant"] == 15


def test_repeated_stimuli_are_presentations_that_rsa_takes():
    runs = [image(values(3, seed)) for seed in range(3)]
    x = datasets.read_patterns(runs, ["a", "b", "c"] * 3, runs=[1, 2, 3], subject="s", progress=False)
    assert x.dims == ("presentation", "neuroid") and x["run"].values.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert x["presentation"].values[:4].tolist() == ["run-1/a", "run-1/b", "run-1/c", "run-2/a"]
    found = rsa.rdm(x, "crossnobis", folds="run")
    assert found.sizes["pair"] == 3
    twice = datasets.read_patterns(image(values(4)), ["a", "b", "a", "a"], runs=[1, 1, 1, 2], progress=False)
    assert twice["presentation"].values.tolist() == ["run-1/a/1", "run-1/b", "run-1/a/2", "run-2/a"]


@pytest.mark.parametrize(
    ("stimuli", "options", "error", "says"),
    [
        (["a", "b"], {}, ShapeError, r"one label a volume, 4 in 1 image\(s\); got 2"),
        ("abcd", {}, ShapeError, "got the string 'abcd'"),
        ([1, 2, 3, 4], {}, LabelError, "stimuli must be text; 4 of 4 are not, such as 1"),
        (list("abcd"), {"runs": [1, 2]}, ShapeError, r"for each of 4 volumes or of 1 images; got \[1, 2\]"),
        (list("abcd"), {"mask": mask_image(moved(z=[0, 0, 4, 9]))}, ShapeError, "shifted by"),
    ],
)
def test_patterns_that_do_not_match_their_labels_are_refused(stimuli, options, error, says):
    with pytest.raises(error, match=says):
        datasets.read_patterns(image(values(4)), stimuli, progress=False, **options)


@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
@pytest.mark.parametrize("choose", ["mask", "parcels", "nothing"])
def test_a_series_is_never_held_twice(tmp_path, monkeypatch, extension, choose):
    monkeypatch.setattr(slabs, "SLAB", 2**20)
    shape, n_times = (30, 30, 20), 200
    data = np.random.default_rng(0).integers(0, 1000, (*shape, n_times), dtype=np.int16)
    path = write(tmp_path / f"bold{extension}", data)
    inside = np.arange(18000).reshape(shape) < 9000
    options = {"mask": {"mask": inside}, "parcels": {"parcels": inside * 1}, "nothing": {}}[choose]
    read(image(), **options if choose == "nothing" else {"mask": mask_image()})  # imports
    del data
    tracemalloc.start()
    try:
        x = read(path, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole = 4 * 18000 * n_times
    # Beside the result: two or three slabs, and labels and positions of some 200 bytes a voxel.
    allowed = 3 * slabs.SLAB + 200 * 18000
    assert peak < x.nbytes + allowed and allowed < 0.6 * whole


@pytest.fixture(scope="module")
def haxby_runs(data_root):
    folder = data_root / "haxby_slice/haxby2001/sub001"
    return [folder / f"BOLD/task001_run{run:03d}/bold_1slice.nii.gz" for run in range(1, 13)]


def test_the_haxby_slice_is_read_as_its_loader_reads_it(haxby_runs, data_root):
    x, known = read(haxby_runs), datasets.load("haxby_slice", root=data_root)
    np.testing.assert_array_equal(x.values, known.values)
    for name in ("time", "run", "time_in_run", "neuroid", "i", "j", "k", "x", "y", "z"):
        np.testing.assert_array_equal(x[name].values, known[name].values)
    assert x.attrs["affine"] == known.attrs["affine"] and x.attrs["shape"] == known.attrs["shape"]
    assert (x.attrs["tr"], x.attrs["n_constant"]) == (2.5, 270)


def test_the_whole_brain_at_25_mm_has_the_voxels_of_its_mask(data_root):
    folder = data_root / "haxby_slice/haxby2001/sub001"
    runs = [folder / f"BOLD/task001_run{run:03d}/bold_25mm.nii.gz" for run in (1, 2)]
    x = read(runs, mask=folder / "masks/25mm/brain.nii.gz")
    known = datasets.load("haxby_slice", root=data_root, image="25mm", runs=["1", "2"])
    np.testing.assert_array_equal(x.values, known.values)
    np.testing.assert_array_equal(x["neuroid"].values, known["neuroid"].values)
    with pytest.raises(
        ShapeError, match=r"brain.nii.gz.*\(6, 10, 10\).*bold_1slice.nii.gz has shape \(40, 20, 1"
    ):
        read(folder / "BOLD/task001_run001/bold_1slice.nii.gz", mask=folder / "masks/25mm/brain.nii.gz")


def test_nilearn_s_masker_finds_the_same_numbers(tmp_path):
    from nilearn.maskers import NiftiLabelsMasker, NiftiMasker

    path = write(tmp_path / "bold.nii.gz")
    masker = NiftiMasker(mask_img=mask_image(), standardize=None).fit()
    np.testing.assert_allclose(read(path, mask=mask_image()).values, masker.transform(str(path)), rtol=1e-6)
    labels = nib.Nifti1Image((np.arange(60).reshape(SHAPE) % 4).astype(np.int32), AFFINE)
    masker = NiftiLabelsMasker(labels_img=labels, standardize=None).fit()
    np.testing.assert_allclose(read(path, parcels=labels).values, masker.transform(str(path)), rtol=1e-5)


def test_what_is_no_image_is_refused(tmp_path):
    for bad in (None, 3, object(), [None], tmp_path):
        with pytest.raises(NeuroalignError):
            read(bad)
    json.dumps(read(image()).attrs)  # attributes are plain values


def test_a_sidecar_may_say_nothing_of_time_and_a_pair_of_files_has_none(tmp_path):
    path = write(tmp_path / "bold.nii.gz")
    sidecar(path, '{"TaskName": "look"}')
    assert read(path).attrs["tr"] == TR
    nib.save(nib.Nifti1Pair(values(), AFFINE, image().header), tmp_path / "pair.img")
    assert read(tmp_path / "pair.img").attrs["tr"] == TR


def test_bytes_behind_the_last_value_are_read_to_the_checksum(tmp_path):
    path = write(tmp_path / "plain.nii")
    longer = tmp_path / "longer.nii.gz"
    longer.write_bytes(gzip.compress(path.read_bytes() + bytes(5000)))
    np.testing.assert_array_equal(read(longer).values, read(path).values)
    content = bytearray(longer.read_bytes())
    content[-8] ^= 1  # of the checksum
    longer.write_bytes(content)
    with pytest.raises(FileError, match=r"longer.nii.gz is damaged or cut short"):
        read(longer)


def test_image_with_an_unknown_unit_of_time_is_refused(tmp_path):
    path = write(tmp_path / "bold.nii")
    content = bytearray(path.read_bytes())
    content[123] = 240
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"bold.nii: the header states an unknown unit of time"):
        read(path, mask=mask_image())


def test_compressed_image_that_promises_gigabytes_is_refused_before_room_is_made(tmp_path):
    path = write(tmp_path / "bold.nii")
    content = bytearray(path.read_bytes())
    content[40:56] = np.array([4, 2000, 2000, 200, 100, 1, 1, 1], dtype="<i2").tobytes()
    (tmp_path / "bold.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(FileError, match=r"damaged or cut short: its header says \(2000, 2000, 200, 100\)"):
        read(tmp_path / "bold.nii.gz")
