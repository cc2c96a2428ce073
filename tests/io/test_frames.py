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
            overlay.write(piece)
            plain.write(piece)
        elif call == "read":
            assert overlay.read(length) == plain.read(length)
        else:
            overlay.truncate(at)
            plain.truncate(at)
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
