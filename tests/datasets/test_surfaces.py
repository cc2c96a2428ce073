"""GIfTI and CIFTI files to series: vertices, hemispheres, parcels, meshes; what does not fit is refused."""

from __future__ import annotations

import struct

import nibabel as nib
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis, ParcelsAxis, ScalarAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable, GiftiMetaData

from neuroalign import datasets, io, schema
from neuroalign.errors import FileError, InvalidValueError, LabelError, ShapeError, UnsafeError

N = {"left": 8, "right": 6}
SIDES = {"left": "CortexLeft", "right": "CortexRight"}


def data(side, n_times=5, seed=0):
    found = np.random.default_rng([seed, N[side]]).normal(100, 5, (n_times, N[side])).astype(np.float32)
    found[:, 0] = 0
    return found


def surface(side, values=None, *, table=False, meta=None, stated=None):
    values = data(side) if values is None else values
    rows = [np.ascontiguousarray(values.T)] if table else list(values)
    arrays = [GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES", datatype="float32") for row in rows]
    about = {"AnatomicalStructurePrimary": SIDES[stated or side], **(meta or {})}
    return GiftiImage(darrays=arrays, meta=GiftiMetaData(about))


def write(path, image):
    nib.save(image, path)
    return path


def read(left=None, right=None, **options):
    return datasets.read_surfaces(left, right, **{"tr": 2.0, "progress": False, **options})


def mesh(side, n=None):
    n = n or N[side]
    points = np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)
    faces = np.array([[0, 1, 2]], dtype=np.int32)
    return GiftiImage(
        darrays=[
            GiftiDataArray(points, intent="NIFTI_INTENT_POINTSET"),
            GiftiDataArray(faces, intent="NIFTI_INTENT_TRIANGLE"),
        ]
    )


def label_file(path, values, names):
    table = GiftiLabelTable()
    for number, name in names.items():
        label = GiftiLabel(key=number, red=0, green=0, blue=0, alpha=1)
        label.label = name
        table.labels.append(label)
    array = GiftiDataArray(np.asarray(values, dtype=np.int32), intent="NIFTI_INTENT_LABEL")
    return write(path, GiftiImage(darrays=[array], labeltable=table))


def test_both_hemispheres_and_runs_are_joined(tmp_path):
    left = [write(tmp_path / f"l{i}.func.gii", surface("left", data("left", 5, i))) for i in range(2)]
    right = [write(tmp_path / f"r{i}.func.gii", surface("right", data("right", 5, i))) for i in range(2)]
    x = read(left, right, subject="s", runs=["a", "b"])
    schema.check(x, "series")
    whole = np.concatenate([np.hstack([data("left", 5, i), data("right", 5, i)]) for i in range(2)])
    np.testing.assert_array_equal(x.values, whole[:, np.delete(np.arange(14), [0, 8])])
    assert x["hemisphere"].values.tolist() == ["left"] * 7 + ["right"] * 5
    assert x["vertex"].values.tolist() == [*range(1, 8), *range(1, 6)]
    assert x["neuroid"].values[[0, 7]].tolist() == ["left/1", "right/1"]
    assert x["time"].values.tolist() == [2.0 * t for t in range(10)] and set(x["subject"].values) == {"s"}
    assert x.attrs["n_vertices"] == N and (x.attrs["n_constant"], x.attrs["n_nan"]) == (2, 0)
    assert [source["file"] for source in x.attrs["sources"]][:2] == ["l0.func.gii", "r0.func.gii"]
    assert x.attrs["sources"][0]["sha256"] == io.file_digest(left[0])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("table", [False, True])
def test_one_hemisphere_is_enough_and_a_table_is_the_same(side, table):
    x = read(**{side: surface(side, table=table)})
    np.testing.assert_array_equal(x.values, data(side)[:, 1:])
    assert x.attrs["n_vertices"] == N[side]


def test_a_mask_and_a_mesh_pick_and_place_vertices(tmp_path):
    masks = {side: np.arange(n) < 3 for side, n in N.items()}
    meshes = [write(tmp_path / f"{side}.surf.gii", mesh(side)) for side in N]
    x = read(surface("left"), surface("right"), mask=masks, mesh=meshes)
    assert x.sizes["neuroid"] == 6 and x.attrs["n_constant"] == 2
    expected = np.concatenate([mesh(side).darrays[0].data[:3] for side in N])
    np.testing.assert_array_equal(np.stack([x[name].values for name in "xyz"], 1), expected)
    files = [write(tmp_path / f"{s}.shape.gii", GiftiImage(darrays=[GiftiDataArray(
        m.astype(np.float32))])) for s, m in masks.items()]  # fmt: skip
    np.testing.assert_array_equal(read(surface("left"), surface("right"), mask=files).values, x.values)


def test_fsaverage5_gives_positions_to_a_series_of_its_size():
    from nilearn.datasets import load_fsaverage

    found = load_fsaverage("fsaverage5")["pial"]
    values = np.random.default_rng(0).normal(size=(3, 10242)).astype(np.float32)
    x = read(surface("left", values), surface("right", values), mesh=found)
    assert x.sizes["neuroid"] == 20484 and x.attrs["n_vertices"] == 10242
    np.testing.assert_allclose(x["y"].values[:10242], found.parts["left"].coordinates[:, 1])
    assert x["x"].values[:10242].mean() < 0 < x["x"].values[10242:].mean()


@pytest.mark.parametrize("kind", ["label", "annot", "array"])
def test_parcels_are_means_over_vertices(tmp_path, kind):
    numbers = {"left": np.array([0, 1, 1, 2, 2, 2, 0, 1]), "right": np.array([0, 1, 1, 1, 0, 0])}
    names = {0: "???", 1: "V1", 2: "IT", 5: "FEF"}
    if kind == "array":
        parcels, extra = numbers, {"parcel_names": names}
    elif kind == "label":
        parcels, extra = [label_file(tmp_path / f"{s}.label.gii", x, names) for s, x in numbers.items()], {}
    else:
        parcels, extra = [], {}
        table = np.array([[1, 2, 3, 0, 0], [9, 2, 3, 0, 0], [7, 2, 3, 0, 0], [4, 4, 4, 0, 0]])
        for side, x in numbers.items():
            path = tmp_path / f"{side}.annot"
            nib.freesurfer.write_annot(path, x, table, ["unknown", "V1", "IT", "FEF"], fill_ctab=True)
            parcels.append(path)
    meshes = {side: mesh(side) for side in N}
    meshes = {side: write(tmp_path / f"{side}.surf.gii", m) for side, m in meshes.items()}
    x = read(surface("left"), surface("right"), parcels=parcels, mesh=meshes, **extra)
    assert x["neuroid"].values.tolist() == ["left/V1", "left/IT", "right/V1"]
    assert x["roi"].values.tolist() == ["V1", "IT", "V1"] and x["n_vertices"].values.tolist() == [3, 3, 3]
    assert x["hemisphere"].values.tolist() == ["left", "left", "right"]
    np.testing.assert_allclose(x[:, 0], data("left")[:, [1, 2, 7]].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(x[:, 2], data("right")[:, [1, 2, 3]].mean(axis=1), rtol=1e-6)
    assert x.attrs["empty_parcels"] == ["FEF"] and set(x.attrs["parcels"]) == {"left", "right"}
    assert float(x["z"][1]) == pytest.approx(float(mesh("left").darrays[0].data[3:6, 2].mean()))


def test_values_that_are_not_finite_are_counted_or_left_out():
    values = data("left")
    values[2, 4] = np.nan
    x = read(surface("left", values))
    assert x.attrs["n_nan"] == 1 and np.isnan(x.sel(neuroid="left/4")).sum() == 1
    assert "left/4" not in read(surface("left", values), missing="drop")["neuroid"].values
    with pytest.raises(InvalidValueError, match=r"no vertex is left of 8: 8 are constant in every run"):
        read(surface("left", np.ones((4, 8), dtype=np.float32)))


def test_a_map_of_a_surface_series_goes_to_files_and_back(tmp_path):
    x = read(surface("left"), surface("right"))
    for side, n in N.items():
        io.save_gifti(x, tmp_path / f"{side}.func.gii", hemisphere=side, n_vertices=n)
    files = [tmp_path / f"{side}.func.gii" for side in N]
    assert nib.load(files[0]).meta["AnatomicalStructurePrimary"] == "CortexLeft"
    again = read(*files, mask=[np.arange(n) > 0 for n in N.values()])
    np.testing.assert_array_equal(again.values, x.values)
    np.testing.assert_array_equal(again["neuroid"].values, x["neuroid"].values)
    same = read(surface("left"))
    io.save_gifti(same.isel(time=0, drop=True), tmp_path / "map.shape.gii", hemisphere="left")
    back = nib.load(tmp_path / "map.shape.gii").darrays[0].data
    np.testing.assert_array_equal(back[1:], same.values[0])
    assert np.isnan(back[0])


L, R = surface("left"), surface("right")


@pytest.mark.goal("R8", "surfaces and grayordinates")
@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, ShapeError, "at least one hemisphere"),
        ({"left": [L, L], "right": [R]}, ShapeError, "as many runs; got {'left': 2, 'right': 1}"),
        (
            {"left": L, "right": surface("right", data("right", 4))},
            ShapeError,
            "volumes; got left 1 5, right 1 4",
        ),
        ({"left": [L, R]}, LabelError, "passed as the left hemisphere, but says that it is CortexRight"),
        (
            {"left": R, "right": L},
            LabelError,
            "passed as the left hemisphere, but says that it is CortexRight",
        ),
        (
            {"left": [L, surface("right", stated="left")]},
            ShapeError,
            "left 2 has 6 vertices, but left 1 has 8",
        ),
        (
            {"left": surface("left", data("left", 1))},
            ShapeError,
            "a single volume; a series needs at least 2",
        ),
        ({"left": mesh("left")}, ShapeError, "is a mesh, not a series. Pass it as mesh="),
        ({"left": GiftiImage()}, ShapeError, r"one value a vertex and volume; got arrays of shapes \[\]"),
        ({"left": np.zeros((3, 4))}, ShapeError, "must be a GIfTI file or image; got ndarray"),
        ({"left": "nowhere.gii"}, FileError, "nowhere.gii does not exist"),
        (
            {"left": L, "right": R, "mask": np.ones(8)},
            ShapeError,
            r"mask must be a pair \(left, right\); got nda",
        ),
        (
            {"left": L, "right": R, "mask": {"left": np.ones(8)}},
            ShapeError,
            "mask lacks the right hemisphere",
        ),
        (
            {"left": L, "mask": np.ones(7)},
            ShapeError,
            r"mask left has shape \(7,\), but left 1 has 8 vertices",
        ),
        (
            {"left": L, "mask": np.zeros(8)},
            InvalidValueError,
            "mask left is empty: none of its 8 places is 1",
        ),
        ({"left": L, "mask": np.full(8, 0.5)}, InvalidValueError, "must hold 0 and 1 only; 8 of 8"),
        (
            {"left": L, "parcels": np.ones(7)},
            ShapeError,
            r"parcels left has shape \(7,\), but left 1 has 8 vert",
        ),
        ({"left": L, "parcels": np.full(8, 0.5)}, InvalidValueError, "must hold whole numbers; 8 of 8"),
        ({"left": L, "tr": None}, InvalidValueError, "no repetition time"),
        (
            {"left": surface("left", meta={"TimeStep": "1500"})},
            InvalidValueError,
            "disagree: 2 s was stated, but left 1 has the TimeStep '1500', which is neither",
        ),
    ],
)
def test_surfaces_that_do_not_fit_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        read(**options)


@pytest.mark.parametrize("step", ["2", "2000.0", "0"])
def test_a_time_step_may_be_seconds_or_milliseconds(step):
    assert read(surface("left", meta={"TimeStep": step})).attrs["tr"] == 2


def test_the_sidecar_states_the_repetition_time(tmp_path):
    path = write(tmp_path / "sub-1_hemi-L_bold.func.gii", surface("left"))
    (tmp_path / "sub-1_hemi-L_bold.json").write_text('{"RepetitionTime": 1.1}')
    assert read(path, tr=None).attrs["tr"] == 1.1
    with pytest.raises(InvalidValueError, match=r"disagree: tr=2; .*bold.func.gii: sidecar 1.1 s"):
        read(path)


def test_a_mesh_of_other_vertices_is_refused(tmp_path):
    path = write(tmp_path / "lh.surf.gii", mesh("left", 9))
    with pytest.raises(ShapeError, match=r"lh.surf.gii has 9 vertices, but left 1 has 8: they"):
        read(surface("left"), mesh=path)
    path.write_bytes(b"no mesh")
    with pytest.raises(FileError, match=r"lh.surf.gii is no mesh, or a damaged one"):
        read(surface("left"), mesh=path)


def test_damaged_files_are_refused(tmp_path):
    path = write(tmp_path / "l.func.gii", surface("left"))
    content = path.read_bytes()
    for broken in (b"", b"no xml", content[: len(content) // 2], content.replace(b"ASCII", b"WORDS")):
        if broken != content:
            path.write_bytes(broken)
            with pytest.raises(FileError, match=r"l.func.gii is no GIfTI file, or a damaged one"):
                read(path)
    (tmp_path / "l.annot").write_bytes(struct.pack(">i", 5))
    with pytest.raises(FileError, match=r"l.annot is no FreeSurfer annotation, or a damaged one"):
        read(surface("left"), parcels=tmp_path / "l.annot")
    (tmp_path / "l.thickness").write_bytes(b"1")
    with pytest.raises(FileError, match=r"l.thickness holds no values of a surface, or is damaged"):
        read(surface("left"), parcels=tmp_path / "l.thickness")


def test_a_label_table_that_names_0_as_a_parcel_is_refused(tmp_path):
    path = label_file(tmp_path / "l.label.gii", np.arange(8) % 2, {0: "V1", 1: "V2"})
    with pytest.raises(LabelError, match=r"the number 0 is named 'V1', but stands for no parcel"):
        read(surface("left"), parcels=path)


# CIFTI

AFFINE = np.array([[-2, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1.0]])


def brain(n_left=10):
    left = BrainModelAxis.from_surface(np.arange(1, 5), n_left, name="CortexLeft")
    right = BrainModelAxis.from_surface(np.arange(3), 10, name="CortexRight")
    deep = np.zeros((4, 5, 6), dtype=bool)
    deep[1:3, 2, 3:5] = True
    return left + right + BrainModelAxis.from_mask(deep, name="ThalamusLeft", affine=AFFINE)


def cifti(rows=None, axis=None, values=None):
    axis = brain() if axis is None else axis
    rows = SeriesAxis(0, 1.5, 6) if rows is None else rows
    if values is None:
        values = np.random.default_rng(0).normal(size=(len(rows), len(axis))).astype(np.float32)
    return Cifti2Image(values, (rows, axis))


def read_cifti(images, **options):
    return datasets.read_cifti(images, progress=False, **options)


@pytest.mark.parametrize("on_disk", [True, False])
def test_grayordinates_have_their_structures_and_places(tmp_path, on_disk):
    image = cifti()
    given = write(tmp_path / "x.dtseries.nii", image) if on_disk else image
    x = read_cifti([given, given], subject="s")
    schema.check(x, "series")
    np.testing.assert_array_equal(x.values, np.tile(np.asarray(image.dataobj), (2, 1)))
    assert x["neuroid"].values[[0, 4, 7]].tolist() == [
        "cortex_left/1",
        "cortex_right/0",
        "thalamus_left/1-2-3",
    ]
    assert x["hemisphere"].values.tolist() == ["left"] * 4 + ["right"] * 3 + [""] * 4
    assert x["vertex"].values[:7].tolist() == [1, 2, 3, 4, 0, 1, 2] and np.isnan(x["vertex"][7:]).all()
    assert [float(x[n][7]) for n in "ijkxyz"] == [1, 2, 3, 88, -122, -66] and np.isnan(x["i"][:7]).all()
    assert x["time"].values[[1, 6]].tolist() == [1.5, 9.0] and x.attrs["tr"] == 1.5
    assert x.attrs["n_vertices"] == 10 and x.attrs["shape"] == [4, 5, 6]
    if on_disk:
        assert x.attrs["sources"][0] == {"file": "x.dtseries.nii", "sha256": io.file_digest(given)}


def test_structures_are_picked_and_scaled_files_read(tmp_path):
    x = read_cifti(cifti(), structures=["thalamus_left", "cortex_right"])
    np.testing.assert_array_equal(x.values, np.asarray(cifti().dataobj)[:, 4:])
    image = cifti()
    image.nifti_header.set_data_dtype(np.int16)
    path = write(tmp_path / "x.dtseries.nii", image)
    assert nib.load(path).dataobj.slope != 1
    np.testing.assert_allclose(read_cifti(path).values, np.asarray(nib.load(path).dataobj), rtol=1e-6)


def test_a_series_that_begins_later_says_so():
    x = read_cifti([cifti(SeriesAxis(3.0, 1.5, 4))] * 2)
    assert x["time_in_run"].values.tolist() == [3, 4.5, 6, 7.5] * 2
    assert x["time"].values[[0, 4]].tolist() == [3, 9]


def test_maps_of_a_dscalar_have_names(tmp_path):
    path = write(tmp_path / "x.dscalar.nii", cifti(ScalarAxis(["face", "house"])))
    x = read_cifti(path)
    assert x.dims == ("map", "neuroid") and x["map"].values.tolist() == ["face", "house"]
    schema.check(x.rename(map="stimulus"), "responses")


def label_image(values, axis=None, names=None):
    table = {number: (name, (0, 0, 0, 1)) for number, name in (names or NAMES).items()}
    axis = brain() if axis is None else axis
    return Cifti2Image(np.asarray(values, dtype=np.float32)[None], (LabelAxis(["atlas"], [table]), axis))


NAMES = {0: "???", 1: "V1", 2: "pulvinar", 3: "FEF"}
LABELS = [1, 1, 0, 0, 1, 0, 0, 2, 2, 0, 2]


def test_label_files_give_means_by_place_not_by_order(tmp_path):
    path = write(tmp_path / "x.dlabel.nii", label_image(LABELS))
    x, values = read_cifti(cifti(), parcels=path), np.asarray(cifti().dataobj, dtype=np.float64)
    assert x["neuroid"].values.tolist() == ["V1", "pulvinar"] and x.attrs["empty_parcels"] == ["FEF"]
    np.testing.assert_allclose(x[:, 0], values[:, [0, 1, 4]].mean(axis=1), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(x[:, 1], values[:, [7, 8, 10]].mean(axis=1), rtol=1e-6, atol=1e-7)
    assert np.isnan(x["x"][0]) and float(x["z"][1]) == pytest.approx((-66 - 64 - 64) / 3)
    axis = brain()
    order = np.array([10, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6])
    mixed = axis[order[:4]] + axis[order[4:8]] + axis[order[8:]]
    again = read_cifti(cifti(), parcels=label_image(np.array(LABELS)[order], mixed))
    np.testing.assert_array_equal(again.values, x.values)
    cortex = read_cifti(cifti(), parcels=path, structures=["cortex_left"])
    assert cortex["n_grayordinates"].values.tolist() == [2]


def test_maps_of_grayordinates_go_to_volumes_and_surfaces_and_back(tmp_path):
    x = read_cifti(cifti()).isel(time=[1, 2]).drop_vars(["run", "time_in_run"])
    deep = x.isel(neuroid=np.isfinite(x["i"].values))
    io.save_nifti(deep, tmp_path / "deep.nii.gz")
    made = nib.load(tmp_path / "deep.nii.gz")
    np.testing.assert_array_equal(made.affine, AFFINE)
    i, j, k = (deep[name].values.astype(int) for name in "ijk")
    np.testing.assert_array_equal(np.asarray(made.dataobj)[i, j, k].T, deep.values)
    io.save_gifti(x, tmp_path / "left.func.gii", hemisphere="left")
    rows = np.stack([array.data for array in nib.load(tmp_path / "left.func.gii").darrays])
    np.testing.assert_array_equal(rows[:, 1:5], x.values[:, :4])
    assert rows.shape == (2, 10) and np.isnan(rows[:, [0, 5]]).all()


def test_meshes_place_the_vertices(tmp_path):
    path = write(tmp_path / "m.surf.gii", mesh("left", 10))
    x = read_cifti(cifti(), mesh={"left": path, "right": path})
    np.testing.assert_array_equal(x["y"].values[:4], mesh("left", 10).darrays[0].data[1:5, 1])
    assert np.isfinite(x["x"]).all()
    short = write(tmp_path / "s.surf.gii", mesh("left", 9))
    with pytest.raises(ShapeError, match=r"s.surf.gii has 9 vertices, but image 1 has 10"):
        read_cifti(cifti(), mesh=(short, path))


SCALARS = cifti(ScalarAxis(["a", "b"]))
OTHER = cifti(axis=brain(12))


@pytest.mark.goal("R8", "surfaces and grayordinates")
@pytest.mark.parametrize(
    ("images", "options", "error", "says"),
    [
        ("nowhere.dtseries.nii", {}, FileError, "nowhere.dtseries.nii does not exist"),
        (
            nib.Nifti1Image(np.zeros((2, 2, 2, 3)), np.eye(4)),
            {},
            ShapeError,
            "CIFTI file or image; got Nifti1Image",
        ),
        (label_image(LABELS), {}, ShapeError, "must hold a series or maps; its rows are LabelAxis"),
        (
            [cifti(), OTHER],
            {},
            ShapeError,
            "image 2 has other grayordinates .cortex_left 4, cortex_right 3, thal",
        ),
        ([cifti(), SCALARS], {}, ShapeError, "must both be series, or both maps"),
        (SCALARS, {"tr": 2.0}, ShapeError, "holds maps: pass one file, without tr and runs"),
        (cifti(ScalarAxis(["a", "a"])), {}, LabelError, "names of maps are repeated: 'a', 'a'"),
        (cifti(), {"tr": 2.0}, InvalidValueError, r"disagree: tr=2; image 1 \(run 1\): header 1.5 s"),
        (cifti(SeriesAxis(0, 0, 4)), {}, InvalidValueError, "no repetition time"),
        (cifti(SeriesAxis(0, 1, 4, unit="HERTZ")), {}, InvalidValueError, "over HERTZ, not seconds"),
        (cifti(SeriesAxis(0, 1, 1)), {}, ShapeError, "single volume; a series needs at least 2"),
        (
            cifti(),
            {"structures": ["v1"]},
            InvalidValueError,
            "each of structures must be one of 'cortex_left'",
        ),
        (cifti(), {"structures": "cortex_left"}, ShapeError, "structures must be a list"),
        (
            cifti(),
            {"parcels": cifti()},
            ShapeError,
            "must be a .dlabel.nii over grayordinates; got SeriesAxis",
        ),
        (
            cifti(),
            {"parcels": label_image(LABELS, OTHER.header.get_axis(1), {1: "a"})},
            LabelError,
            "numbers have no name: 2",
        ),
        (
            [cifti(SeriesAxis(s, 1.5, 4)) for s in (0, 1)],
            {},
            InvalidValueError,
            "runs begin at different times",
        ),
    ],
)
def test_grayordinates_that_do_not_fit_are_refused(images, options, error, says):
    with pytest.raises(error, match=says):
        read_cifti(images, **options)


def test_labels_outside_the_series_are_refused():
    only = cifti(axis=brain()[:4])
    with pytest.raises(LabelError, match=r"4 of 6 labelled grayordinates are not in image 1 \(cor"):
        read_cifti(only, parcels=label_image(LABELS))


def test_a_damaged_cifti_file_is_refused(tmp_path):
    path = write(tmp_path / "x.dtseries.nii", cifti())
    content = path.read_bytes()
    for n in (len(content) - 4, 300, 0):
        path.write_bytes(content[:n])
        with pytest.raises(FileError, match=r"damaged"):
            read_cifti(path)
    with pytest.raises(ShapeError, match=r"is a CIFTI file, not a volume. Read it with read_cifti"):
        datasets.read_volumes(cifti())


def test_annotation_that_promises_millions_of_colours_is_refused_before_room_is_made(tmp_path):
    path = tmp_path / "l.annot"
    nib.freesurfer.write_annot(
        path, np.zeros(8, dtype=int), np.zeros((2, 5), dtype=int), ["a", "b"], fill_ctab=True
    )
    content = bytearray(path.read_bytes())
    at = 4 + 8 * 8 + 8
    content[at : at + 4] = struct.pack(">i", 2**30)
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"l.annot is no FreeSurfer annotation, .*1,073,741,824 colours"):
        read(surface("left"), parcels=path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"</CIFTI>", b"</CIFTY>"),
        (b"CIFTI_MODEL_TYPE_VOXELS", b"CIFTI_MODEL_TYPE_NOTHING"),
        (b"<BrainModel ", b"<BrainMode1 "),
    ],
)
def test_cifti_file_with_a_damaged_header_is_refused(old, new, tmp_path):
    path = write(tmp_path / "x.dtseries.nii", cifti())
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new[: len(old)].ljust(len(old))))
    with pytest.raises(FileError, match=r"x.dtseries.nii is (no CIFTI file|damaged)"):
        read_cifti(path)


def test_empty_or_garbled_mesh_is_refused(tmp_path):
    for name, content in (("e.surf.gii", b""), ("g.surf.gii", b"<GIFTI><x></GIFTI>")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match="is no mesh, or a damaged one"):
            read(surface("left"), mesh=tmp_path / name)


def test_surfaces_of_other_numbers_files_and_places_are_refused(tmp_path):
    rows = [GiftiDataArray(np.ones(8, dtype=np.complex64), datatype="NIFTI_TYPE_COMPLEX64")]
    with pytest.raises(InvalidValueError, match="left 1 must hold real numbers; got dtype complex64"):
        read(GiftiImage(darrays=rows))
    far = mesh("left")
    far.darrays[0].data[3, 1] = np.nan
    with pytest.raises((FileError, InvalidValueError), match=r"m.surf.gii .*finite"):
        read(surface("left"), mesh=write(tmp_path / "m.surf.gii", far))
    arrays = [GiftiDataArray(np.ones(8, dtype=np.int32), intent="NIFTI_INTENT_LABEL") for _ in range(2)]
    with pytest.raises(ShapeError, match=r"two.label.gii must hold one array; got 2"):
        read(surface("left"), parcels=write(tmp_path / "two.label.gii", GiftiImage(darrays=arrays)))
    with pytest.raises(FileError, match=r"absent.thickness does not exist"):
        read(surface("left"), parcels=tmp_path / "absent.thickness")


@pytest.mark.parametrize("part", ["cortex", "deep"])
def test_grayordinates_of_vertices_or_of_voxels_only_are_read(part):
    axis = brain()[:7] if part == "cortex" else brain()[7:]
    image = cifti(axis=axis)
    x = read_cifti(image)
    np.testing.assert_array_equal(x.values, np.asarray(image.dataobj))
    assert ("affine" in x.attrs) == (part == "deep") and ("n_vertices" in x.attrs) == (part == "cortex")
    assert np.isfinite(x["z"]).all() == (part == "deep")


def test_parcellated_files_negative_steps_and_two_maps_of_labels_are_refused():
    parcels = ParcelsAxis.from_brain_models([("A", brain()[:4]), ("B", brain()[4:7])])
    image = Cifti2Image(np.ones((6, 2), dtype=np.float32), (SeriesAxis(0, 1.5, 6), parcels))
    with pytest.raises(ShapeError, match="over grayordinates; got SeriesAxis x ParcelsAxis"):
        read_cifti(image)
    with pytest.raises(InvalidValueError, match="the repetition time in the header is -1"):
        read_cifti(cifti(SeriesAxis(0, -1, 4)))
    table = {number: (name, (0, 0, 0, 1)) for number, name in NAMES.items()}
    two = Cifti2Image(np.array([LABELS, LABELS], "f4"), (LabelAxis(["a", "b"], [table, table]), brain()))
    with pytest.raises(ShapeError, match="must hold one map of labels; got 2"):
        read_cifti(cifti(), parcels=two)


def external(path, beside, *, dims=8):
    """Write a GIfTI file whose values are said to lie in another file."""
    array = (
        '<DataArray Intent="NIFTI_INTENT_NONE" DataType="NIFTI_TYPE_UINT8" '
        f'ArrayIndexingOrder="RowMajorOrder" Dimensionality="1" Dim0="{dims}" '
        'Encoding="ExternalFileBinary" Endian="LittleEndian" '
        f'ExternalFileName="{beside}" ExternalFileOffset="0"><Data></Data></DataArray>'
    )
    path.write_text(f'<?xml version="1.0"?><GIFTI Version="1.0" NumberOfDataArrays="1">{array}</GIFTI>')
    return path


@pytest.mark.parametrize("how", ["absolute", "above", "link", "default", "entity"])
def test_values_of_a_gifti_file_outside_its_folder_are_not_read(how, tmp_path):
    secret, inside = tmp_path / "secret.bin", tmp_path / "in"
    secret.write_bytes(bytes([1, 0, 1, 0, 1, 1, 1, 1]))
    inside.mkdir()
    (inside / "link.bin").symlink_to(secret)
    beside = {"absolute": str(secret), "link": "link.bin", "entity": "&#46;&#46;/secret.bin"}.get(
        how, "../secret.bin"
    )
    path = external(inside / "mask.gii", beside)
    if how == "default":
        named = ' ExternalFileName="../secret.bin"'
        kind = f"<!DOCTYPE GIFTI [<!ATTLIST DataArray{named.replace('=', ' CDATA ')}>]>"
        path.write_text(path.read_text().replace(named, "").replace("?>", f"?>{kind}", 1))
    for options in ({"mask": path}, {"parcels": path}, {"mesh": path}):
        with pytest.raises(UnsafeError, match=r"mask.gii: its values are said to lie in .*, which leads out"):
            read(surface("left"), **options)
    with pytest.raises(UnsafeError, match="leads out of its folder"):
        read(path)


def test_values_of_a_gifti_file_beside_it_are_read(tmp_path):
    (tmp_path / "mask.bin").write_bytes(bytes([1, 1, 1, 0, 0, 0, 0, 0]))
    found = read(surface("left"), mask=external(tmp_path / "mask.gii", "mask.bin"))
    assert found["vertex"].values.tolist() == [0, 1, 2]


def test_gifti_file_of_more_dims_than_there_are_is_refused(tmp_path):
    """nibabel would count them all."""
    path = write(tmp_path / "l.func.gii", surface("left"))
    path.write_text(path.read_text().replace('Dimensionality="1"', 'Dimensionality="9223372036854775808"', 1))
    with pytest.raises(FileError, match=r"l.func.gii is no GIfTI file, .*6 are the most"):
        read(path)


def test_cifti_values_of_another_shape_than_the_header_states_are_refused(tmp_path):
    path = write(tmp_path / "x.dtseries.nii", cifti())
    content = path.read_bytes()
    old = b'NumberOfSeriesPoints="6"'
    assert old in content
    path.write_bytes(content.replace(old, b'NumberOfSeriesPoints="5"'))
    with pytest.raises(FileError, match=r"x.dtseries.nii is (damaged|no CIFTI)"):
        read_cifti(path)
