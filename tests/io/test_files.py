import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import io
from neuroalign.errors import FileError, InvalidValueError
from neuroalign.io import files


def leftovers(folder):
    return [p.name for p in folder.rglob("*") if p.name.startswith(".neuroalign-")]


def test_a_file_is_written_whole(tmp_path):
    io.write_text("héllo\n", tmp_path / "new folder" / "ünï.txt")
    assert io.read_text(tmp_path / "new folder" / "ünï.txt") == "héllo\n"
    assert leftovers(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.txt"
    io.write_text("old", path)
    with pytest.raises(RuntimeError), io.writing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_failing_disk_is_an_error_that_names_path_and_cause(tmp_path, monkeypatch, call):
    path = tmp_path / "x.txt"
    io.write_text("old", path)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(FileError, match=r"x\.txt could not be written: No space left on device"):
        io.write_text("new", path)
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_files_that_belong_together_are_all_there_or_none(tmp_path, monkeypatch):
    old = {tmp_path / "a.txt": b"old a", tmp_path / "folder" / "b.txt": b"old b"}
    io.write_files(old)
    assert {path: path.read_bytes() for path in old} == old
    real, calls = os.fsync, []

    def fail_at_the_second(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail_at_the_second)
    with pytest.raises(FileError, match=r"b\.txt could not be written: No space left on device"):
        io.write_files(dict.fromkeys(old, b"new"))
    assert {path: path.read_bytes() for path in old} == old
    assert leftovers(tmp_path) == []


def test_bytes_that_the_locale_cannot_name_become_their_letters(tmp_path):
    odd = os.fsencode("é").decode("ascii", "surrogateescape")
    io.write_text(odd, tmp_path / "x.txt")
    io.write_json({odd: [odd]}, tmp_path / "x.json")
    io.write_table(pd.DataFrame({odd: [odd]}), tmp_path / "x.tsv")
    assert io.read_text(tmp_path / "x.txt") == "é"
    assert io.read_json(tmp_path / "x.json") == {"é": ["é"]}
    assert io.read_table(tmp_path / "x.tsv").to_dict("list") == {"é": ["é"]}
    for text in ("\ud800", bytes([255]).decode("ascii", "surrogateescape")):
        with pytest.raises(InvalidValueError, match=r"is no Unicode text\. Rename it"):
            io.write_text(text, tmp_path / "x.txt")
    assert io.read_text(tmp_path / "x.txt") == "é"


def test_a_path_that_cannot_be_named_is_an_error(tmp_path):
    path = tmp_path / "\ud800.txt"
    for call in (lambda: io.write_text("x", path), lambda: io.read_text(path)):
        with pytest.raises(FileError, match=r"could not be (written|read): 'utf-8' codec can't encode"):
            call()


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".neuroalign-abc.partial.nc").write_text("x")
    (tmp_path / "keep.nc").write_text("x")
    assert [p.name for p in io.remove_leftovers(tmp_path)] == [".neuroalign-abc.partial.nc"]
    assert (tmp_path / "keep.nc").exists()


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(FileError, match="could not be made"):
        io.make_folder(tmp_path / "x")
    assert io.make_folder(tmp_path / "y" / "z").is_dir()


def test_missing_and_foreign_files_are_errors(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        io.read_text(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(FileError, match=r"is not UTF-8 text \(byte 3\)"):
        io.read_text(tmp_path / "latin.txt")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(FileError, match="is not JSON"):
        io.read_json(tmp_path / "x.json")


def test_json_keeps_plain_values_and_makes_numpy_plain(tmp_path):
    io.write_json(
        {"b": np.float64(1.5), "a": np.arange(2), "c": float("nan"), "p": tmp_path}, tmp_path / "x.json"
    )
    value = io.read_json(tmp_path / "x.json")
    assert value == {"a": [0, 1], "b": 1.5, "c": None, "p": tmp_path.as_posix()}
    assert list(value) == ["a", "b", "c", "p"]


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


@given(st.lists(st.tuples(words, st.floats(allow_infinity=False)), min_size=1, max_size=8))
def test_a_table_survives_writing_and_reading(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "x.tsv"
    table = pd.DataFrame(rows, columns=["word", "value"])
    io.write_table(table, path)
    found = io.read_table(path, text=("word",))
    assert found["word"].tolist() == table["word"].tolist()
    np.testing.assert_allclose(
        pd.to_numeric(found["value"]).to_numpy(float), table["value"].to_numpy(), rtol=1e-8
    )


def test_the_words_na_and_null_stay_words(tmp_path):
    io.write_table(pd.DataFrame({"word": ["NA", "null", "nan", "n/a"]}), tmp_path / "x.tsv")
    assert io.read_table(tmp_path / "x.tsv", text=("word",))["word"].tolist() == ["NA", "null", "nan", "n/a"]


def test_a_table_that_is_none_is_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tb\n1\t2\t3\n1\t2\t3\t4\n")
    with pytest.raises(FileError, match="not a table"):
        io.read_table(tmp_path / "x.tsv")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(FileError, match="not a table"):
        io.read_table(tmp_path / "empty.tsv")


def test_a_field_too_many_does_not_move_values_by_one_column(tmp_path):
    """pandas would take the first field for an index: the onsets would be durations."""
    (tmp_path / "x.tsv").write_text("onset\tduration\n1\t2\tface\n3\t4\thouse\n")
    with pytest.raises(FileError, match="line 2 has 3 fields, not 2"):
        io.read_table(tmp_path / "x.tsv")


def test_a_field_too_few_is_not_filled_up(tmp_path):
    (tmp_path / "x.tsv").write_text("onset\tduration\n1\t2\n3\n")
    with pytest.raises(FileError, match="line 3 has 1 fields, not 2"):
        io.read_table(tmp_path / "x.tsv")


def test_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("onset\tonset\n1\t2\n")
    with pytest.raises(FileError, match="'onset' come more than once"):
        io.read_table(tmp_path / "x.tsv")


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, '{"a": ' * 100_000])
def test_json_that_is_too_deep_or_has_too_long_a_number_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FileError, match="is not JSON"):
        io.read_json(tmp_path / "x.json")


def test_an_array_may_be_as_large_as_its_file_and_not_larger(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(80))
    files.refuse_huge(path, "values", (2, 5), 8)
    for shape, itemsize in (((2, 6), 8), ((2, 5), 16), ((81,), 1)):
        with pytest.raises(FileError, match="which the 80 bytes of the file cannot hold"):
            files.refuse_huge(path, "values", shape, itemsize)


@pytest.mark.parametrize("whole", [False, True])
def test_a_journal_stays_with_its_partial_file_and_goes_without_it(tmp_path, whole):
    journal = tmp_path / f"{files.PREFIX}x.nc{files.SUFFIX}{files.JOURNAL}"
    journal.write_text("{}")
    partial = journal.with_suffix(".nc")
    if whole:
        partial.write_text("rows")
    removed = files.remove_leftovers(tmp_path)
    assert removed == ([] if whole else [journal])
    assert sorted(tmp_path.iterdir()) == (sorted([journal, partial]) if whole else [])


def test_what_is_missing_becomes_so_in_every_column_but_those_of_text(tmp_path):
    rows = [
        "all\tnumbers\twords\tplain\ttext",
        "n/a\t1.5\ta\tx\tn/a",
        "n/a\tn/a\tn/a\ty\tb",
        "n/a\t-2\tNA\tz\t3",
    ]
    (tmp_path / "x.tsv").write_text("\n".join(rows) + "\n")
    found = io.read_table(tmp_path / "x.tsv", text=("text",))
    assert found["all"].isna().all()
    np.testing.assert_array_equal(found["numbers"], [1.5, np.nan, -2])
    assert found["words"].isna().tolist() == [False, True, False]
    assert found["words"].dropna().tolist() == ["a", "NA"]
    assert found["plain"].tolist() == ["x", "y", "z"] and found["text"].tolist() == ["n/a", "b", "3"]


def test_leftovers_of_several_files_go_and_stay_each_by_itself(tmp_path):
    names = {
        "a": (".nc", ".journal"),  # stays: a partial file with its journal
        "b": (".nc",),
        "c": (".journal",),
        "d": (".nc", ".tsv"),
    }
    for name, ends in names.items():
        for end in ends:
            (tmp_path / f"{files.PREFIX}{name}{files.SUFFIX}{end}").write_text("x")
    removed = {path.name.removeprefix(files.PREFIX) for path in files.remove_leftovers(tmp_path)}
    assert removed == {"b.partial.nc", "c.partial.journal", "d.partial.nc", "d.partial.tsv"}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_provenance_that_names_other_bytes_or_another_key_or_none(tmp_path):
    path, about = tmp_path / "x.tsv", tmp_path / "x.provenance.json"
    path.write_text("a\n1\n")
    digest = io.file_digest(path)
    for record, refused in (
        ({"sha256": digest}, False),
        ({"sha256": "0" * 64}, True),
        ({"image_sha256": "0" * 64}, False),
        ([1], False),
    ):
        io.write_json(record, about)
        if refused:
            with pytest.raises(
                FileError, match=rf"x\.tsv is damaged .* {digest[:16]}\.\.\., expected 0{{16}}"
            ):
                io.read_table(path)
        else:
            assert io.read_table(path)["a"].tolist() == [1]
