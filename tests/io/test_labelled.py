import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroalign import io
from neuroalign.errors import FileError, InvalidValueError
from neuroalign.io import labelled


def array(values=None):
    values = np.arange(6, dtype=np.float32).reshape(3, 2) if values is None else values
    return xr.DataArray(
        values,
        dims=("stimulus", "unit"),
        coords={"stimulus": ["é", "b", "🧠"], "layer": ("unit", ["l0", "l1"]), "ok": ("unit", [True, False])},
        attrs={"list": [1, 2], "nested": {"none": None, "yes": True}, "text": "ü"},
        name="act",
    )


def without_provenance(x):
    x.attrs.pop("provenance")
    return x


def test_saving_then_loading_is_identity(tmp_path):
    x = array()
    io.save(x, tmp_path / "x.nc")
    found = without_provenance(io.load(tmp_path / "x.nc"))
    xr.testing.assert_identical(found, x)
    assert found.dtype == x.dtype
    assert found.stimulus.dtype.kind == "U"


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(st.sampled_from([np.float32, np.float64, np.int8, np.int64, np.bool_]), (3, 2)))
def test_every_dtype_comes_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("nc") / "x.nc"
    io.save(array(values), path)
    found = io.load(path)
    assert found.dtype == values.dtype
    assert found.values.tobytes() == values.tobytes()


def test_a_dataset_keeps_its_variables_and_their_attributes(tmp_path):
    x = xr.Dataset({"a": array(), "n": ((), 3, {"units": "s"})}, attrs={"k": 1})
    io.save(x, tmp_path / "x.nc")
    xr.testing.assert_identical(without_provenance(io.load(tmp_path / "x.nc")), x)


def test_the_same_content_gives_the_same_bytes_and_digest(tmp_path):
    first = io.save(array(), tmp_path / "a.nc", params={"k": 1}, seed=2)
    again = io.save(array().transpose().transpose(), tmp_path / "b.nc", params={"k": 1}, seed=2)
    assert first == again == io.stored_digest(tmp_path / "a.nc")
    assert io.file_digest(tmp_path / "a.nc") == io.file_digest(tmp_path / "b.nc")


def test_the_digest_depends_on_values_labels_and_attributes_but_not_on_provenance(tmp_path):
    digest = io.content_digest(array())
    assert io.save(array(), tmp_path / "x.nc", seed=5) == digest
    others = [
        array() + 1,
        array().assign_coords(stimulus=["e", "b", "🧠"]),
        array().assign_attrs(text="u"),
        array().rename("other"),
        array().astype(np.float64),
        array().isel(stimulus=[1, 0, 2]),
    ]
    assert digest not in {io.content_digest(x) for x in others}
    assert len({io.content_digest(x) for x in others}) == len(others)


def test_text_of_every_kind_is_stored_and_what_is_no_text_is_refused(tmp_path):
    x = xr.concat([array().isel(stimulus=0, drop=True)] * 2, pd.Index(["aé", "b"], name="fold"))
    for labels in (pd.Index(["aé", "b"]), np.array(["aé", "b"], dtype=object), np.array(["aé", "b"])):
        io.save(x.assign_coords(fold=labels), tmp_path / "x.nc")
        found = io.load(tmp_path / "x.nc")
        assert found.fold.values.tolist() == ["aé", "b"]
        assert found.fold.dtype.kind == "U"
    with pytest.raises(
        InvalidValueError, match=r"'fold' holds (None|nan), which is neither a number nor text"
    ):
        io.save(x.assign_coords(fold=np.array(["a", None], dtype=object)), tmp_path / "x.nc")


def test_text_that_is_no_unicode_is_refused_and_paths_among_parameters_are_not(tmp_path):
    odd = bytes([195, 169]).decode("ascii", "surrogateescape")
    with pytest.raises(InvalidValueError, match=r"'stimulus' holds .*which is no Unicode text"):
        io.save(array().assign_coords(stimulus=["a", odd, "c"]), tmp_path / "x.nc")
    io.save(array(), tmp_path / "x.nc", params={"path": odd})
    assert io.load(tmp_path / "x.nc").attrs["provenance"]["params"] == {"path": "é"}


def test_provenance_names_inputs_parameters_seed_and_versions(tmp_path):
    io.save(array(), tmp_path / "x.nc", inputs={"a": "00"}, params={"k": 0.5}, seed=7)
    made = io.load(tmp_path / "x.nc").attrs["provenance"]
    assert made["inputs"] == {"a": "00"}
    assert made["params"] == {"k": 0.5}
    assert (made["seed"], made["device"]) == (7, "cpu")
    assert {"numpy", "xarray"} <= set(made["versions"])
    assert "time" not in made
    assert io.provenance()["neuroalign"] == made["neuroalign"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("nc") / "x.nc"
    io.save(array(), path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="length")]
    else:
        position = data.draw(st.integers(0, len(content) - 1), label="byte")
        content[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    path.write_bytes(bytes(content))
    for read in (io.load, io.stored_digest):
        with pytest.raises(FileError, match=re.escape(str(path))):
            read(path)


def test_others_can_read_the_file(tmp_path):
    io.save(array(), tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as opened:
        np.testing.assert_array_equal(opened["__array__"].values, array().values)


def test_missing_files_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        io.load(tmp_path / "x.nc")
    (tmp_path / "x.nc").write_text("not a file of ours")
    with pytest.raises(FileError, match="is damaged or was not written by neuroalign"):
        io.load(tmp_path / "x.nc")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "y.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="was not written by neuroalign"):
        io.load(tmp_path / "y.nc")
    with pytest.raises(FileError, match="was not written by neuroalign"):
        io.stored_digest(tmp_path / "y.nc")


def test_a_multiindex_and_foreign_values_are_refused(tmp_path):
    stacked = array().stack(both=("stimulus", "unit"))
    with pytest.raises(InvalidValueError, match="is a MultiIndex; call reset_index"):
        io.save(stacked, tmp_path / "x.nc")
    dates = array().assign_coords(when=("stimulus", pd.date_range("2020", periods=3)))
    with pytest.raises(InvalidValueError, match="'when' has dtype datetime64"):
        io.save(dates, tmp_path / "x.nc")
    with pytest.raises(InvalidValueError, match="attributes must be plain values; got object"):
        io.save(array().assign_attrs(x=object()), tmp_path / "x.nc")
    assert list(tmp_path.iterdir()) == []


def test_text_may_take_as_much_as_is_allowed_and_not_a_byte_more(tmp_path, monkeypatch):
    # 3 items as wide as the longest, of 3,000 letters, at 4 bytes a letter.
    x, path = array().assign_coords(stimulus=["a", "b" * 3000, "c"]), tmp_path / "x.nc"
    io.save(x, path)
    size = path.stat().st_size
    assert 4 * size > 12_000 and size < 36_000
    said = r"'stimulus' has an item of 3,000 letters; 3 items as wide as that do not fit"
    for n_bytes, times, refused in (
        (36_000, 0, False),
        (35_999, 0, True),
        (0, -(-36_000 // size), False),
        (0, 35_999 // size, True),
    ):
        monkeypatch.setattr(labelled, "WIDE_BYTES", n_bytes)
        monkeypatch.setattr(labelled, "WIDE_TIMES", times)
        if refused:
            with pytest.raises(FileError, match=said):
                io.load(path)
        else:
            xr.testing.assert_identical(without_provenance(io.load(path)), x)


def test_text_that_is_no_unicode_is_shown_with_twenty_letters_on_either_side(tmp_path):
    bad = "\udcff"
    for before, after in ((30, 30), (20, 20), (3, 2), (0, 0)):
        label = "a" * before + bad + "b" * after
        with pytest.raises(InvalidValueError) as found:
            io.save(xr.DataArray([label], dims="x", name="n"), tmp_path / "x.nc")
        shown = ascii("a" * min(before, 20) + bad + "b" * min(after, 20))
        assert str(found.value).split(" holds ")[1] == f"{shown}, which is no Unicode text."


def test_an_index_of_one_level_is_stored_and_of_two_is_not(tmp_path):
    one = pd.MultiIndex.from_arrays([[1, 2]], names=["a"])
    two = pd.MultiIndex.from_arrays([[1, 2], [3, 4]], names=["a", "b"])
    values = xr.DataArray([1.0, 2.0], dims="x", name="n")
    io.save(values.assign_coords(x=one.get_level_values(0).to_numpy()), tmp_path / "x.nc")
    assert io.load(tmp_path / "x.nc")["x"].values.tolist() == [1, 2]
    with pytest.raises(InvalidValueError, match="is a MultiIndex; call reset_index first"):
        io.save(values.assign_coords(xr.Coordinates.from_pandas_multiindex(two, "x")), tmp_path / "x.nc")
