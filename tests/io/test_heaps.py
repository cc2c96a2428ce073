"""Heaps of HDF5 that lead nowhere are refused before HDF5 reads them, for it would not come back."""

import hashlib
import re
import struct

import numpy as np
import pytest
import xarray as xr

from neuroalign import io
from neuroalign.errors import FileError
from neuroalign.io.frames import MARK as FRAME_MARK
from neuroalign.io.frames import N_END, N_LENGTH, append_guard
from neuroalign.io.heaps import SIGNATURE, refuse_endless_heaps
from neuroalign.io.labelled import MARK, N_TRAILER
from neuroalign.io.layers import layer_writer, read_layer

SIZE = 4096


def heap(*items, size=SIZE):
    """A heap of (number, size) items; their content is zeros, up to the size of the heap."""
    content = SIGNATURE + struct.pack("<Q", size)
    for number, n_bytes in items:
        content += struct.pack("<HHIQ", number, 0, 0, n_bytes)
        content += b"\0" * (n_bytes - 16 if number == 0 else -(-n_bytes // 8) * 8)
    return content.ljust(size, b"\0")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GCOL",
        heap((1, 16), (2, 5), (0, SIZE - 16 - 32 - 24)),
        heap((1, SIZE - 32)),  # full to the last byte
        heap((1, SIZE - 40)),  # 8 bytes are left: no room for an item
        heap((0, SIZE - 16)),
        b"before" + heap((3, 1), (0, SIZE - 16 - 24)) + b"after",
        heap((0, SIZE - 16)) + heap((0, SIZE - 16)),
        heap(size=16),  # a head and nothing else
        heap((1, 0), size=32),  # an item of no bytes, up to the last one
        heap((1, 8), (2, 1), (0, 16), size=16 + 24 + 24 + 16),
    ],
)
def test_whole_heaps_pass(content):
    refuse_endless_heaps("x.nc", content)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (heap((1, 16)), 16 + 32),  # then an item of number 0 that takes nothing
        (b"before" + heap((1, 16)), 6 + 16 + 32),
        (heap((0, SIZE - 16)) + heap(), SIZE + 16),
        (heap((0, 15)), 16),
        (SIGNATURE + struct.pack("<QHHIQ", 40, 1, 0, 0, 9) + bytes(8), 16),  # 9 bytes take 16
        (SIGNATURE + struct.pack("<QHHIQ", 40, 1, 0, 0, 2**64 - 1) + bytes(8), 16),  # no wrapping around
        (SIGNATURE + struct.pack("<QHHIQ", 40, 0, 0, 0, 25) + bytes(8), 16),
        (heap((1, 0), size=32)[:-8] + struct.pack("<Q", 1), 16),  # the last 16 bytes are an item too
        (heap((1, 8), (2, 0), (0, 16), size=72)[:-8] + struct.pack("<Q", 17), 16 + 24 + 16),
        (heap((0, SIZE - 16))[:-1], 0),
        (SIGNATURE + b"\0" * 7, 0),
    ],
)
def test_heaps_that_lead_nowhere_back_or_out_are_refused_with_the_place(content, place):
    with pytest.raises(
        FileError, match=re.escape(f"x.nc is damaged: the item at byte {place} of an HDF5 heap")
    ):
        refuse_endless_heaps("x.nc", content)


def crafted(content):
    """The bytes of a file with the size of the last item of its first heap set to 0."""
    at = content.index(SIGNATURE) + 16
    while struct.unpack_from("<H", content, at)[0] != 0:
        at += 16 + -(-struct.unpack_from("<Q", content, at + 8)[0] // 8) * 8
    return content[: at + 8] + bytes(8) + content[at + 16 :]


def test_a_labelled_array_made_to_hang_its_reader_is_refused(tmp_path):
    x = xr.DataArray(np.ones((2, 3)), dims=("stimulus", "unit"), coords={"stimulus": ["GCOL", "b"]})
    path = tmp_path / "x.nc"
    io.save(x, path)
    xr.testing.assert_equal(io.load(path), x)
    body = crafted(path.read_bytes()[:-N_TRAILER])
    path.write_bytes(body + MARK + hashlib.sha256(body).digest())
    for read in (io.load, io.stored_digest):
        with pytest.raises(FileError, match=r"x\.nc is damaged: the item at byte \d+ of an HDF5 heap"):
            read(path)


def test_an_activation_file_made_to_hang_its_reader_is_refused(tmp_path):
    path = tmp_path / "layers.nc"
    with layer_writer(path, {"one": 2}, np.array(["a", "b"]), {}) as writer:
        writer.write(np.arange(2), {"one": np.ones((2, 2), dtype=np.float32)})
    assert read_layer(path, "one").shape == (2, 2)
    content = path.read_bytes()
    length = int.from_bytes(content[-len(FRAME_MARK) - N_LENGTH : -len(FRAME_MARK)], "big")
    end = len(content) - N_END - length
    start = content.index(b"\x00\x00\x80\x3f" * 4)  # the layer's four ones
    with open(path, "w+b") as file:
        file.write(crafted(content[:end]))
        append_guard(file, {"one": (start, 16)})
    with pytest.raises(FileError, match=r"layers\.nc is damaged: the item at byte \d+ of an HDF5 heap"):
        read_layer(path, "one")
