"""Before other people's parsers: ragged tables, MATLAB and FIF files that would harm them; their errors."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuroalign.errors import FileError, LabelError
from neuroalign.io.fif import check_fif
from neuroalign.io.matlab import check_matlab
from neuroalign.io.parsing import parsing, refuse_ragged


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Exception("Color table not found"), "x is damaged: Exception: Color table not found."),
        (UnboundLocalError("last"), "x is damaged: UnboundLocalError: last."),
        (ValueError("bad\n  size."), "x is damaged: bad size."),
        (MemoryError(), "x is damaged: MemoryError: ."),
    ],
)
def test_whatever_a_parser_raises_is_a_file_error_with_its_words(error, said):
    with pytest.raises(FileError) as found, parsing("x is damaged"):
        raise error
    assert str(found.value) == said and found.value.__cause__ is error


def test_errors_of_ours_and_interrupts_pass_a_parser():
    with pytest.raises(LabelError, match="ours"), parsing("x"):
        raise LabelError("ours")
    with pytest.raises(KeyboardInterrupt), parsing("x"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tb\n1\t2\n3\n", "line 3 has 1 fields, not 2"),
        ("a\tb\n1\t2\t3\n", "line 2 has 3 fields, not 2"),
        ("a\ta\n1\t2\n", "columns need names of their own; 'a' come more than once"),
        ("\t".join(map(str, range(10_001))) + "\n", "has 10,001 columns"),
        ("a\n" + "x" * 200_000 + "\n", "field larger than field limit"),
    ],
)
def test_ragged_table_is_refused(text, said):
    with pytest.raises(FileError, match=said):
        refuse_ragged(text, "x.tsv")


def test_table_with_quotes_blank_lines_and_line_ends_in_fields_is_none_the_worse():
    refuse_ragged('a\tb\n\n"1\n2"\t"x\t""y"""\n\n', "x.tsv")
    refuse_ragged("", "x.tsv")


# MATLAB

CELLS = np.empty((2, 2), dtype=object)
CELLS[:] = [[np.arange(3), "text"], [np.empty((0, 2)), np.array([[1 + 2j]])]]
NESTED = {"a": {"b": CELLS, "c": np.array([True, False])}, "d": "Zoë", "e": ""}
VALUES = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "small": np.int8(3),
    "bytes": np.arange(5, dtype=np.uint8),
    "single": np.ones((2, 3, 4), dtype=np.float32),
    "complex": np.array([1 + 2j, 3]),
    "flags": np.array([True, False]),
    "text": "some text",
    "none": np.empty((0, 0)),
    "cells": CELLS,
    "struct": NESTED,
    "sparse": scipy.sparse.csc_array(np.eye(4)),
    "complex_sparse": scipy.sparse.csc_array(np.eye(3) * 1j),
    "records": np.array([(1, "x"), (2, "y")], dtype=[("n", object), ("name", object)]),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", list(VALUES))
def test_matlab_file_of_any_value_passes(name, compressed, tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(
        path, {name: VALUES[name], "second": 1.0}, do_compression=compressed, long_field_names=True
    )
    check_matlab(path)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    value=arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int16, np.uint8, np.int64, np.complex128, np.bool_]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=4),
    )
)
def test_matlab_file_of_any_array_passes(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("mat") / "x.mat"
    scipy.io.savemat(path, {"x": value})
    check_matlab(path)


def test_matlab_files_of_the_data_sets_pass(data_root):
    found = sorted(data_root.glob("*/*.mat"))
    assert len(found) >= 5
    for path in found:
        check_matlab(path)


@pytest.mark.parametrize("code", [0, 8, 10, 11, 14, 15, 19, 20, 255, 65_535])
def test_code_that_ends_the_process_of_scipy_is_refused(code, tmp_path):
    """scipy looks a number's code up in a table without bounds; these are not in it."""
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": np.arange(40.0)})
    content = bytearray(path.read_bytes())
    at = content.rindex(struct.pack("<II", 9, 320))
    content[at : at + 4] = struct.pack("<I", code)
    path.write_bytes(content)
    with pytest.raises(
        FileError, match=rf"x.mat is a damaged MATLAB 5 file .*: an element has the kind {code}"
    ):
        check_matlab(path)


@pytest.mark.parametrize("n", [130, 137, 180, 300])
def test_matlab_file_cut_short_is_refused(n, tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"x": np.arange(40.0)})
    path.write_bytes(path.read_bytes()[:n])
    with pytest.raises(FileError, match="damaged MATLAB 5 file"):
        check_matlab(path)


def test_files_of_other_kinds_are_left_to_their_reader(tmp_path):
    scipy.io.savemat(tmp_path / "four.mat", {"x": np.arange(40.0)}, format="4")
    (tmp_path / "short.mat").write_bytes(b"x")
    (tmp_path / "seven.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    for name in ("four", "short", "seven"):
        check_matlab(tmp_path / f"{name}.mat")


# FIF


def tags(*rows):
    """Return tags of (size, next), each with its bytes of content."""
    return b"".join(struct.pack(">4i", 100, 3, size, after) + bytes(max(size, 0)) for size, after in rows)


def test_tags_one_after_the_other_or_by_pointers_pass(tmp_path):
    path = tmp_path / "x.fif"
    for content in (tags((4, 0), (8, 0), (0, -1)), tags((4, 44), (8, 0), (0, 0)), b"", b"short"):
        path.write_bytes(content)
        check_fif(path)


@pytest.mark.parametrize(
    "content", [tags((4, 0), (4, 20)), tags((4, 0), (4, 0), (-16, 0)), tags((0, 0), (-32, 0))]
)
def test_tags_that_lead_back_are_refused(content, tmp_path):
    (tmp_path / "x.fif").write_bytes(content)
    with pytest.raises(FileError, match=r"x.fif is damaged: its tags lead back to byte \d+"):
        check_fif(tmp_path / "x.fif")


def test_compressed_fif_that_is_damaged_is_refused(tmp_path):
    (tmp_path / "x.fif.gz").write_bytes(b"\x1f\x8b\x08\x00damaged")
    with pytest.raises(FileError, match="damaged"):
        check_fif(tmp_path / "x.fif.gz")
