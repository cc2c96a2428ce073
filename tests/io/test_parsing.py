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
from neuroalign.io import matlab
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


def test_the_byte_that_tags_lead_back_to_is_said(tmp_path):
    """The first tag takes 20 bytes; its successor comes behind it, or where it says."""
    (tmp_path / "x.fif").write_bytes(tags((4, 20), (8, 44), (-16, 0)))
    with pytest.raises(FileError, match="its tags lead back to byte 44"):
        check_fif(tmp_path / "x.fif")
    (tmp_path / "x.fif").write_bytes(tags((4, 0), (8, 0), (0, 20)))
    with pytest.raises(FileError, match="its tags lead back to byte 20"):
        check_fif(tmp_path / "x.fif")


def test_a_table_may_have_ten_thousand_columns():
    refuse_ragged("\t".join(map(str, range(10_000))) + "\n", "x.tsv")


@pytest.mark.parametrize(("n", "shown"), [(299, 299), (300, 300), (301, 300), (1000, 300)])
def test_of_a_parser_that_says_much_three_hundred_letters_are_shown(n, shown):
    with pytest.raises(FileError) as found, parsing("x"):
        raise ValueError("y" * n)
    assert str(found.value) == f"x: {'y' * shown}."


# MATLAB, byte by byte

MATRIX, CELL, STRUCT, OBJECT, CHAR, SPARSE, DOUBLE, FUNCTION, OPAQUE = 14, 1, 2, 3, 4, 5, 6, 16, 17
NONE = struct.pack("<II", MATRIX, 0)  # an empty place of a cell


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def ints(*values):
    return element(5, struct.pack(f"<{len(values)}i", *values))


def matrix(kind, dims, *parts, flags=0):
    body = element(6, struct.pack("<II", kind | flags, 0)) + ints(*dims) + element(1, b"x") + b"".join(parts)
    return struct.pack("<II", MATRIX, len(body)) + body


def opaque(inner, kind=OPAQUE):
    if kind == FUNCTION:
        return matrix(FUNCTION, (1, 1), inner)
    if kind == CELL:
        return matrix(CELL, (1, 1), inner)
    if kind == STRUCT:
        return matrix(STRUCT, (1, 1), ints(8), element(1, b"field".ljust(8, b"\0")), inner)
    body = element(6, struct.pack("<II", OPAQUE, 0)) + b"".join(
        element(1, text) for text in (b"x", b"MCOS", b"table")
    )
    body += inner
    return struct.pack("<II", MATRIX, len(body)) + body


NUMBER = matrix(DOUBLE, (1, 1), element(9, bytes(8)))


def checked(tmp_path, *variables, order="<"):
    mark = struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0".ljust(124) + mark + b"".join(variables))
    check_matlab(tmp_path / "x.mat")


def test_a_file_without_variables_and_one_of_a_single_number_pass(tmp_path):
    checked(tmp_path)
    checked(tmp_path, NUMBER)
    checked(tmp_path, NUMBER, NUMBER)
    checked(tmp_path, NONE)


@pytest.mark.parametrize("kind", [OPAQUE, FUNCTION, CELL, STRUCT])
def test_what_stands_in_one_another_may_be_so_deep_and_no_deeper(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(matlab, "DEEPEST", 3)
    inside = NUMBER
    for _ in range(3):
        inside = opaque(inside, kind)
        checked(tmp_path, inside)
    with pytest.raises(FileError, match="cells or structs stand in one another more than 3 deep"):
        checked(tmp_path, opaque(inside, kind))
    # Side by side they are not in one another.
    checked(tmp_path, matrix(CELL, (1, 5), *[opaque(NUMBER, kind)] * 5))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_a_cell_of_empty_places_takes_eight_bytes_a_place(tmp_path, n):
    checked(tmp_path, matrix(CELL, (1, n), *[NONE] * n))
    with pytest.raises(FileError, match=f"{n + 1} entries are promised, and the file ends before"):
        checked(tmp_path, matrix(CELL, (1, n + 1), *[NONE] * n))
    with pytest.raises(FileError, match="1000 entries are promised"):
        checked(tmp_path, matrix(CELL, (10, 100), *[NONE] * n))


@pytest.mark.parametrize(("longest", "n_fields"), [(1, 4), (2, 2), (4, 1), (8, 0)])
def test_the_fields_of_a_struct_are_counted_by_the_length_of_their_names(tmp_path, longest, n_fields):
    names = element(1, b"\0" * 4)
    for kind, more in ((STRUCT, ()), (OBJECT, (element(1, b"class"),))):
        checked(tmp_path, matrix(kind, (1, 2), *more, ints(longest), names, *[NONE] * (2 * n_fields)))
        if n_fields:
            with pytest.raises(FileError, match=f"{2 * n_fields} entries are promised"):
                checked(
                    tmp_path, matrix(kind, (1, 2), *more, ints(longest), names, *[NONE] * (2 * n_fields - 1))
                )
    for wrong in ((0,), (-1,), (4, 4), ()):
        with pytest.raises(FileError, match="names of fields have the length"):
            checked(tmp_path, matrix(STRUCT, (1, 1), ints(*wrong), names, NONE))


@pytest.mark.parametrize("dims", [(1,), (), (-1, 2), (2, -1)])
def test_a_matrix_has_two_dims_or_more_none_of_them_negative(tmp_path, dims):
    with pytest.raises(FileError, match="a matrix has the dims"):
        checked(tmp_path, matrix(DOUBLE, dims, element(9, bytes(8))))
    checked(
        tmp_path, matrix(DOUBLE, (0, 0), element(9, b"")), matrix(DOUBLE, (1, 1, 1), element(9, bytes(8)))
    )


@pytest.mark.parametrize(
    ("kind", "flags", "n"), [(DOUBLE, 0, 1), (DOUBLE, 0x800, 2), (SPARSE, 0, 3), (SPARSE, 0x800, 4)]
)
def test_a_matrix_has_as_many_parts_as_its_kind_needs(tmp_path, kind, flags, n):
    part = element(9, bytes(8))
    checked(tmp_path, matrix(CELL, (1, 2), matrix(kind, (1, 1), *[part] * n, flags=flags), NUMBER))
    # One part less, and the next matrix of the cell stands in its place.
    with pytest.raises(FileError, match="an element has the kind 14"):
        checked(tmp_path, matrix(CELL, (1, 2), matrix(kind, (1, 1), *[part] * (n - 1), flags=flags), NUMBER))


@pytest.mark.parametrize("n", [1, 3, 4, 5])
def test_a_short_element_holds_four_bytes_at_most(tmp_path, n):
    name = struct.pack("<I", n << 16 | 1) + b"abcd"
    body = element(6, struct.pack("<II", DOUBLE, 0)) + ints(1, 1) + name + element(9, bytes(8))
    variable = struct.pack("<II", MATRIX, len(body)) + body
    if n <= 4:
        checked(tmp_path, variable, NUMBER)
    else:
        with pytest.raises(FileError, match="an element of 5 bytes is cut short"):
            checked(tmp_path, variable, NUMBER)


def test_a_variable_and_an_element_end_where_the_file_ends_and_not_behind(tmp_path):
    for short in (1, 8):
        with pytest.raises(FileError, match=f"bytes are promised, and {len(NUMBER) - 8 - short} are there"):
            checked(tmp_path, NUMBER[:-short])
    longer = matrix(DOUBLE, (1, 1), struct.pack("<II", 9, 16) + bytes(8))
    with pytest.raises(FileError, match="an element of 16 bytes is cut short"):
        checked(tmp_path, longer)
    with pytest.raises(FileError, match=rf"\(from byte {128 + len(NUMBER)} on\): a variable has the kind 9"):
        checked(tmp_path, NUMBER, element(9, bytes(8)))


def test_only_version_1_of_either_byte_order_is_looked_at(tmp_path):
    wrong = element(9, bytes(8))
    with pytest.raises(FileError, match="a variable has the kind 9"):
        checked(tmp_path, wrong)
    with pytest.raises(FileError, match="damaged MATLAB 5 file"):
        checked(tmp_path, wrong, order=">")
    for tail in (b"\x00\x02IM", b"\x02\x00MI", b"\x01\x00IM", b"\x00\x01MI", b"\x00\x01XX"):
        (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0".ljust(124) + tail + wrong)
        check_matlab(tmp_path / "x.mat")
