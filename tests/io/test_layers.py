from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import FileError, InvalidValueError, LabelError, ShapeError
from neuroalign.io import layers as room
from neuroalign.io.layers import layer_attrs, layer_names, layer_writer, layers_digest, read_layer

WIDTHS = {"model.layers.0": 3, "model.layers.10": 3, "model.layers.2": 5}


@pytest.fixture
def values(rng):
    return {name: rng.normal(size=(6, width)).astype(np.float32) for name, width in WIDTHS.items()}


LABELS = np.array(["s1", "Zoë", "s3", "s4", "日本", "s6"])


def write(path, values, *, order=(4, 1, 0, 5, 3, 2), step=2, labels=LABELS, **options):
    attrs = {"model": "tiny", "pool": "last", "max_tokens": None}
    with layer_writer(path, WIDTHS, labels, attrs, n_tokens=np.arange(6), **options) as writer:
        for start in range(0, len(order), step):
            rows = np.array(order[start : start + step])
            writer.write(rows, {name: block[rows] for name, block in values.items()})


def test_layers_come_back_in_the_order_of_the_labels(tmp_path, values):
    path = tmp_path / "folder" / "x.nc"
    write(path, values)
    assert layer_names(path) == list(WIDTHS)
    assert layer_attrs(path) == {"model": "tiny", "pool": "last", "max_tokens": None}
    for name, block in values.items():
        found = read_layer(path, name)
        assert found.dims == ("stimulus", "unit") and found.name == name and found.dtype == np.float32
        np.testing.assert_array_equal(found.values, block)
        assert found["stimulus"].values.tolist() == LABELS.tolist()
        assert found["n_tokens"].values.tolist() == list(range(6))


def test_content_does_not_depend_on_batches_or_their_order(tmp_path, values):
    write(tmp_path / "a.nc", values)
    write(tmp_path / "b.nc", values, order=range(6), step=6)
    assert layers_digest(tmp_path / "a.nc") == layers_digest(tmp_path / "b.nc")
    values["model.layers.2"][5, 4] += 1
    write(tmp_path / "c.nc", values)
    write(tmp_path / "d.nc", values, labels=LABELS[::-1])
    assert len({layers_digest(tmp_path / f"{name}.nc") for name in "acd"}) == 3


@pytest.mark.parametrize("batches", [[[0, 1, 4, 5], [2, 3]], [[5, 0, 3], [1], [4, 2]], [[0, 2, 3, 5, 1, 4]]])
def test_batches_with_gaps_go_to_their_rows(tmp_path, values, batches):
    with layer_writer(tmp_path / "x.nc", WIDTHS, LABELS, {}) as writer:
        for rows in batches:
            writer.write(np.array(rows), {name: block[rows] for name, block in values.items()})
    for name, block in values.items():
        np.testing.assert_array_equal(read_layer(tmp_path / "x.nc", name).values, block)


class Killed(BaseException):
    """What ends a process."""


@pytest.mark.parametrize("last", [1, 2])
@pytest.mark.parametrize("damaged", [False, True])
def test_an_interrupted_block_goes_on_after_the_last_batch_that_is_whole(tmp_path, values, last, damaged):
    batches, path = [[1, 2, 5], [0, 3], [4]], tmp_path / "x.nc"

    def go_on(upto):
        with layer_writer(path, WIDTHS, LABELS, {}, plan=["batches"]) as writer:
            begun = writer.mark
            for number in range(0 if begun is None else begun[0] + 1, upto):
                rows = batches[number]
                writer.write(np.array(rows), {n: b[rows] for n, b in values.items()}, mark=[number])
            if upto < len(batches):
                raise Killed
        return begun

    with pytest.raises(Killed):
        go_on(last)
    if damaged:
        (partial,) = (file for file in tmp_path.iterdir() if file.stat().st_size > 2000)
        content = bytearray(partial.read_bytes())
        at = content.index(values["model.layers.2"][batches[last - 1][0]].tobytes())
        content[at] ^= 1
        partial.write_bytes(bytes(content))
    before = last - 1 - damaged
    assert go_on(3) == (None if before < 0 else [before])
    for name, block in values.items():
        np.testing.assert_array_equal(read_layer(path, name).values, block)


def test_the_room_that_is_asked_for_is_that_of_the_values_and_a_little_more(tmp_path, values, monkeypatch):
    needed = 6 * sum(WIDTHS.values()) * 4 + room.SPARE_BYTES

    def disk_of(free):
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free})())

    disk_of(needed)
    write(tmp_path / "x.nc", values)
    disk_of(needed - 1)
    with pytest.raises(FileError, match=r"x\.nc needs 0 MB; the disk has 1 MB left"):
        write(tmp_path / "x.nc", values)


def test_file_is_netcdf(tmp_path, values):
    write(tmp_path / "x.nc", values)
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as found:
        assert found["model.layers.0"].dims == ("stimulus", "unit_0")
        assert found["model.layers.2"].dims == ("stimulus", "unit_1")
        np.testing.assert_array_equal(found["model.layers.2"].values, values["model.layers.2"])


def test_unwritten_rows_are_nan(tmp_path, values):
    write(tmp_path / "x.nc", values, order=(4, 1))
    found = read_layer(tmp_path / "x.nc", "model.layers.0").values
    assert np.isnan(found[[0, 2, 3, 5]]).all() and np.isfinite(found[[1, 4]]).all()


def test_integer_labels_and_other_dtypes(tmp_path, values):
    write(tmp_path / "x.nc", values, labels=np.arange(6), dtype="float16")
    found = read_layer(tmp_path / "x.nc", "model.layers.0")
    assert found.dtype == np.float16 and found["stimulus"].dtype == np.int64


def test_a_layer_laid_out_in_pieces_has_the_bytes_of_one_laid_out_at_once(tmp_path, values, monkeypatch):
    write(tmp_path / "at once.nc", values)
    for n_bytes in (16, 20, 72):  # layers are of 72 and 120 bytes
        monkeypatch.setattr(room, "NAN_BYTES", n_bytes)
        write(tmp_path / "pieces.nc", values)
        assert (tmp_path / "pieces.nc").read_bytes() == (tmp_path / "at once.nc").read_bytes()


def test_file_has_its_name_only_when_it_is_complete(tmp_path, values):
    path = tmp_path / "x.nc"
    write(path, values)
    before = path.read_bytes()
    for error in (RuntimeError("broken"), KeyboardInterrupt()):
        with pytest.raises(type(error)), layer_writer(path, WIDTHS, LABELS, {}) as writer:
            writer.write(np.array([0]), {name: block[:1] for name, block in values.items()})
            raise error
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_changed_values_are_refused_in_their_layer_only(tmp_path, values):
    path = tmp_path / "x.nc"
    write(path, values)
    content = bytearray(path.read_bytes())
    content[content.index(values["model.layers.10"].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"layer 'model\.layers\.10' is not what was written"):
        read_layer(path, "model.layers.10")
    np.testing.assert_array_equal(read_layer(path, "model.layers.0").values, values["model.layers.0"])


@pytest.mark.parametrize("what", ["labels", "tokens", "header", "cut", "empty"])
def test_damaged_files_are_refused(tmp_path, values, what):
    path = tmp_path / "x.nc"
    write(path, values)
    if what == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif what == "empty":
        path.write_bytes(b"")
    else:
        with h5py.File(path, "r+") as file:
            if what == "labels":
                file["stimulus"][0], file["stimulus"][2] = "s3", "s1"
            elif what == "tokens":
                file["n_tokens"][0] = 99
            else:
                file.attrs[room.HEAD] = file.attrs[room.HEAD].replace("tiny", "huge")
    with pytest.raises(FileError, match="damaged"):
        read_layer(path, "model.layers.0")


def test_every_flipped_byte_of_the_values_is_noticed(tmp_path, values, rng):
    path = tmp_path / "x.nc"
    write(path, values)
    content = path.read_bytes()
    start = content.index(values["model.layers.0"].tobytes())
    for _ in range(20):
        at = start + int(rng.integers(values["model.layers.0"].nbytes))
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(FileError, match="damaged"):
            read_layer(path, "model.layers.0")


def test_errors_say_what_and_where(tmp_path, values, monkeypatch):
    path = tmp_path / "x.nc"
    with pytest.raises(FileError, match="does not exist"):
        read_layer(path, "h.0")
    write(path, values)
    with pytest.raises(LabelError, match=r"has no layer 'h\.0'; it has 'model\.layers\.0'"):
        read_layer(path, "h.0")
    for names, labels, dtype, error, text in (
        ({"a/b": 2}, LABELS, "float32", LabelError, "cannot be stored under the names 'a/b'"),
        ({"stimulus": 2}, LABELS, "float32", LabelError, "cannot be stored under the names"),
        ({"unit_1": 2}, LABELS, "float32", LabelError, "cannot be stored under the names"),
        ({}, LABELS, "float32", LabelError, "there is no layer"),
        (WIDTHS, LABELS, "int8", InvalidValueError, "dtype must be one of"),
        (WIDTHS, np.arange(6.0), "float32", LabelError, "labelled with text or integers"),
    ):
        with pytest.raises(error, match=text), layer_writer(path, names, labels, {}, dtype=dtype):
            pass
    for rows, blocks, error, text in (
        ([0, 0], values, ShapeError, "rows must be distinct"),
        ([6], values, ShapeError, "below 6"),
        ([0], {}, LabelError, "values must have the layers"),
        ([0], values, ShapeError, r"'model\.layers\.0' must be \(1, 3\); got \(6, 3\)"),
    ):
        with pytest.raises(error, match=text), layer_writer(path, WIDTHS, LABELS, {}) as writer:
            writer.write(np.array(rows), blocks)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(FileError, match="the disk has 0 MB left"):
        write(tmp_path / "y.nc", values)
    assert [file.name for file in tmp_path.iterdir()] == ["x.nc"]


def test_the_digest_of_values_does_not_depend_on_the_pieces_they_are_read_in(tmp_path, values, monkeypatch):
    write(tmp_path / "at once.nc", values)
    expected = layers_digest(tmp_path / "at once.nc")
    for n_rows in (1, 4):
        monkeypatch.setattr(room, "ROWS_AT_ONCE", n_rows)
        write(tmp_path / "pieces.nc", values)
        assert layers_digest(tmp_path / "pieces.nc") == expected
        for name, block in values.items():
            np.testing.assert_array_equal(read_layer(tmp_path / "at once.nc", name).values, block)
        # The last row counts, too.
        changed = {name: block.copy() for name, block in values.items()}
        changed["model.layers.2"][5, 4] += 1
        write(tmp_path / "pieces.nc", changed)
        assert layers_digest(tmp_path / "pieces.nc") != expected


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_room_that_is_asked_for_is_that_of_the_dtype(tmp_path, monkeypatch, dtype):
    free = 3 * 7 * np.dtype(dtype).itemsize + room.SPARE_BYTES
    for less in (0, 1):
        usage = type("Usage", (), {"free": free - less})()
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _, usage=usage: usage)
        if less:
            with (
                pytest.raises(FileError, match=r"x\.nc needs 0 MB"),
                layer_writer(tmp_path / "x.nc", {"a": 7}, np.arange(3), {}, dtype=dtype),
            ):
                pass
        else:
            with layer_writer(tmp_path / "x.nc", {"a": 7}, np.arange(3), {}, dtype=dtype):
                pass


@pytest.mark.parametrize("rows", [[-1], [0, 5, 6], [2, 1, 2], [-1, 0]])
def test_rows_outside_or_twice_are_refused_and_all_others_taken(tmp_path, values, rows):
    path = tmp_path / "x.nc"
    with (
        pytest.raises(ShapeError, match="rows must be distinct and below 6"),
        layer_writer(path, WIDTHS, LABELS, {}) as writer,
    ):
        writer.write(np.array(rows), {name: block[: len(rows)] for name, block in values.items()})
    with layer_writer(path, WIDTHS, LABELS, {}) as writer:
        writer.write(np.array([], dtype=int), {name: block[:0] for name, block in values.items()})
        writer.write(np.array([5, 0]), {name: block[[5, 0]] for name, block in values.items()})
    found = read_layer(path, "model.layers.10").values
    np.testing.assert_array_equal(found[[0, 5]], values["model.layers.10"][[0, 5]])
    assert np.isnan(found[1:5]).all()


def test_one_stimulus_of_one_unit_is_a_layer(tmp_path):
    with layer_writer(tmp_path / "x.nc", {"a": 1}, np.array([7]), {}) as writer:
        writer.write(np.array([0]), {"a": np.array([[2.5]])})
    found = read_layer(tmp_path / "x.nc", "a")
    assert found.values.tolist() == [[2.5]] and found["stimulus"].values.tolist() == [7]
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as file:
        assert file["a"].dims == ("stimulus", "unit")
    with (
        pytest.raises(ShapeError, match=r"stimuli must be labels \(n_stimuli,\); got shape \(1, 1\)"),
        layer_writer(tmp_path / "y.nc", {"a": 1}, np.array([["s"]]), {}),
    ):
        pass
