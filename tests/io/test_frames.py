from __future__ import annotations

import hashlib
import io
import json
import tempfile

import h5netcdf
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign.errors import FileError
from neuroalign.io import frames
from neuroalign.io.frames import Overlay, append_guard, checked_frame, frame_digest

steps = st.lists(
    st.tuples(st.sampled_from(["write", "read", "truncate"]), st.integers(0, 20_000), st.integers(0, 9_000)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.booleans())
def test_an_overlay_behaves_as_a_file(calls, over_old_bytes):
    old = bytes(range(256)) * 40 if over_old_bytes else b""
    base = io.BytesIO(old)
    overlay, plain = Overlay(base if over_old_bytes else None), tempfile.TemporaryFile()  # noqa: SIM115
    plain.write(old)
    for number, (call, at, length) in enumerate(calls):
        overlay.seek(at)
        plain.seek(at)
        if call == "write":
            piece = bytes([number + 1]) * length
            assert overlay.write(piece) == plain.write(piece)
        elif call == "read":
            assert overlay.read(length) == plain.read(length)
        else:
            overlay.truncate(at)
            plain.truncate(at)
        assert (overlay.tell(), overlay.seek(0, io.SEEK_END)) == (plain.tell(), plain.seek(0, io.SEEK_END))
    assert base.getvalue() == old
    with plain, tempfile.TemporaryFile() as out:
        out.write(old)
        overlay.save(out)
        plain.seek(0)
        out.seek(0)
        assert out.read() == plain.read()


def test_hdf5_is_laid_out_in_memory_and_changed_over_the_file(tmp_path):
    frame = Overlay()
    with h5netcdf.File(frame, "w") as file:
        file.dimensions = {"x": 3}
        file.create_variable("x", ("x",), "int64", data=np.arange(3))
    path = tmp_path / "x.nc"
    with open(path, "wb") as out:
        frame.save(out)
    before = path.read_bytes()
    with open(path, "rb") as base:
        change = Overlay(base)
        with h5netcdf.File(change, "a") as file:
            file.attrs["said"] = "é" * 5000
        assert path.read_bytes() == before
        with open(path, "r+b") as out:
            change.save(out)
    with h5py.File(path, "r") as file:
        assert file.attrs["said"] == "é" * 5000 and file["x"][:].tolist() == [0, 1, 2]


def test_the_digest_of_a_frame_is_that_of_all_but_the_blocks():
    content = bytes(range(200))
    blocks = {"b": (150, 20), "a": (10, 30)}
    head = json.dumps({"a": [10, 30], "b": [150, 20]}, separators=(",", ":"))
    by_hand = f"[{head},200]".encode() + content[:10] + content[40:150] + content[170:]
    assert frame_digest(io.BytesIO(content), blocks, 200) == hashlib.sha256(by_hand).hexdigest()


def test_every_byte_of_frame_and_guard_counts_and_no_byte_of_a_block(tmp_path):
    path = tmp_path / "x.nc"
    with open(path, "w+b") as file:
        file.write(bytes(range(60)))
        append_guard(file, {"h.0": (20, 16)})
    assert checked_frame(path) == {"h.0": (20, 16)}
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        if 20 <= at < 36:
            assert checked_frame(path) == {"h.0": (20, 16)}
        else:
            with pytest.raises(FileError, match=r"x\.nc is (damaged|no activation file)"):
                checked_frame(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileError, match="is damaged"):
            checked_frame(path)


def test_a_malformed_guard_is_an_error_with_its_path(tmp_path):
    path = tmp_path / "x.nc"
    for said in (b"[]", b'{"size":0}', b"{", b'{"blocks":{"a":3},"size":0,"frame":"x"}'):
        end = hashlib.sha256(said).digest() + len(said).to_bytes(frames.N_LENGTH, "big") + frames.MARK
        path.write_bytes(said + end)
        with pytest.raises(FileError, match=r"x\.nc is (no activation file|damaged)"):
            checked_frame(path)
    with pytest.raises(FileError, match="does not exist"):
        checked_frame(tmp_path / "none.nc")
    with pytest.raises(FileError, match="could not be read"):
        checked_frame(tmp_path)


def test_places_count_from_the_beginning_from_here_and_from_the_end():
    overlay = Overlay(io.BytesIO(b"0123456789"))
    assert overlay.seek(3) == overlay.tell() == 3
    assert overlay.seek(4, io.SEEK_CUR) == 7 and overlay.read(2) == b"78" and overlay.tell() == 9
    assert overlay.seek(-2, io.SEEK_CUR) == 7 and overlay.seek(-4, io.SEEK_END) == 6
    assert overlay.read(100) == b"6789" and overlay.read(1) == b""
    assert overlay.seek(5, io.SEEK_END) == 15 and overlay.read(3) == b"" and overlay.tell() == 15


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 8192, 9000, 12_288])
@pytest.mark.parametrize("over_old_bytes", [False, True])
def test_what_is_cut_off_is_zero_when_the_file_grows_again(size, over_old_bytes, tmp_path):
    """Pages are of 4,096 bytes: cuts in the first, at its end, in the second and behind the third."""
    old = bytes(range(1, 251)) * 49 if over_old_bytes else b""  # 12,250 bytes
    written = bytes(range(255, 5, -1)) * 36  # 9,000
    overlay = Overlay(io.BytesIO(old) if over_old_bytes else None)
    overlay.write(written)
    overlay.truncate(size)
    overlay.truncate(12_300)
    whole = written + old[len(written) :]
    expected = whole[:size].ljust(12_300, b"\0")
    overlay.seek(0)
    assert overlay.read(20_000) == expected
    for at in (4090, 4096, 8190):
        overlay.seek(at)
        assert overlay.read(4100) == expected[at : at + 4100]
    overlay.seek(8190)
    overlay.write(b"new words")
    expected = expected[:8190] + b"new words" + expected[8199:]
    (tmp_path / "x").write_bytes(old)
    with open(tmp_path / "x", "r+b") as out:
        overlay.save(out)
    assert (tmp_path / "x").read_bytes() == expected
    assert {len(page) for page in overlay._pages.values()} == {frames.PAGE}


def test_a_file_that_is_cut_stays_cut_when_it_is_saved():
    overlay = Overlay(io.BytesIO(bytes(range(200)) * 50))
    overlay.seek(5000)
    overlay.truncate()
    out = io.BytesIO(bytes(range(200)) * 50)
    overlay.save(out)
    assert out.getvalue() == (bytes(range(200)) * 25)[:5000]


def test_blocks_that_touch_overlap_or_fill_the_file_are_left_out_once():
    content = bytes(range(200))
    for blocks, rest in (
        ({"a": (0, 50), "b": (50, 150)}, b""),
        ({"a": (10, 100), "b": (20, 30), "c": (100, 20)}, content[:10] + content[120:]),
        ({"a": (10, 0)}, content),
        ({}, content),
    ):
        said = json.dumps([{k: list(v) for k, v in blocks.items()}, 200], separators=(",", ":")).encode()
        assert frame_digest(io.BytesIO(content), blocks, 200) == hashlib.sha256(said + rest).hexdigest()
    said = b"[{},150]"
    assert frame_digest(io.BytesIO(content), {}, 150) == hashlib.sha256(said + content[:150]).hexdigest()


def test_a_frame_of_more_than_a_megabyte_counts_to_its_last_byte():
    content = bytes((1 << 20) - 1) + b"abc"
    for n in ((1 << 20) - 1, 1 << 20, (1 << 20) + 2):
        found = frame_digest(io.BytesIO(content), {}, n)
        assert found == hashlib.sha256(f"[{{}},{n}]".encode() + content[:n]).hexdigest()


def test_the_guard_of_nothing_is_a_whole_file_and_a_guard_of_no_words_is_none(tmp_path):
    path = tmp_path / "x.nc"
    with open(path, "w+b") as file:
        append_guard(file, {})
    assert checked_frame(path) == {}
    path.write_bytes(hashlib.sha256(b"").digest() + bytes(frames.N_LENGTH) + frames.MARK)
    with pytest.raises(FileError, match="its guard is malformed"):
        checked_frame(path)
    for content in (frames.MARK, path.read_bytes()[1:]):
        path.write_bytes(content)
        with pytest.raises(FileError, match=f"the digest behind its {len(content)} bytes is missing"):
            checked_frame(path)


def test_a_guard_that_promises_more_than_the_file_or_is_of_another_file_is_refused(tmp_path):
    path = tmp_path / "x.nc"
    with open(path, "w+b") as file:
        file.write(b"frame")
        append_guard(file, {})
    whole = path.read_bytes()
    at = len(whole) - len(frames.MARK) - frames.N_LENGTH
    length = int.from_bytes(whole[at : at + frames.N_LENGTH], "big")
    assert length == len(whole) - frames.N_END - 5
    for more, said in ((5, "its guard of"), (6, "is missing")):
        longer = (length + more).to_bytes(frames.N_LENGTH, "big")
        path.write_bytes(whole[:at] + longer + frames.MARK)
        with pytest.raises(FileError, match=said):
            checked_frame(path)
    for moved in (b"more" + whole, whole[1:]):
        path.write_bytes(moved)
        with pytest.raises(FileError, match=f"its guard of {len(moved)} bytes has SHA-256"):
            checked_frame(path)


def test_values_that_look_like_a_heap_are_no_heap_inside_a_block_only(tmp_path):
    path, heap = tmp_path / "x.nc", b"GCOL\x01\0\0\0\x20" + bytes(23)
    for at, refused in ((20, False), (8, True), (52, True)):
        content = bytearray(100)
        content[at : at + len(heap)] = heap
        with open(path, "w+b") as file:
            file.write(content)
            append_guard(file, {"a": (20, 32)})
        if refused:
            with pytest.raises(FileError, match="of an HDF5 heap does not lead to the next one"):
                checked_frame(path)
        else:
            assert checked_frame(path) == {"a": (20, 32)}
