from __future__ import annotations

import fcntl
import hashlib

import numpy as np
import pytest

from neuroalign.errors import FileError
from neuroalign.io.layers import layer_writer, read_layer
from neuroalign.io.partials import Journal, resumable

LABELS = np.array([f"s{i}" for i in range(6)])
WIDTHS = {"h.0": 3, "h.1": 5}
PARTIAL, JOURNAL = ".neuroalign-x.nc.partial.nc", ".neuroalign-x.nc.partial.journal"


@pytest.fixture
def values(rng):
    return {name: rng.normal(size=(6, width)).astype(np.float32) for name, width in WIDTHS.items()}


def write(path, values, *, stop=None, plan="pairs", dtype="float32", attrs=None):
    """Write two rows at a time, from the mark on; return how many batches were written."""
    n_batches = 0
    with layer_writer(path, WIDTHS, LABELS, attrs or {}, plan=plan, dtype=dtype) as writer:
        (done,) = writer.mark or [0]
        for start in range(done, 6, 2):
            if start == stop:
                raise RuntimeError("interrupted")
            rows = np.array([5 - start, 4 - start])
            writer.write(rows, {name: block[rows] for name, block in values.items()}, mark=[start + 2])
            n_batches += 1
    return n_batches


def interrupt(path, values, stop=4, **options):
    with pytest.raises(RuntimeError, match="interrupted"):
        write(path, values, stop=stop, **options)


def test_interrupted_writing_ends_with_the_same_bytes(tmp_path, values):
    assert write(tmp_path / "whole" / "x.nc", values) == 3
    path = tmp_path / "x.nc"
    interrupt(path, values)
    assert sorted(file.name for file in tmp_path.iterdir()) == [JOURNAL, PARTIAL, "whole"]
    assert write(path, values) == 1
    assert path.read_bytes() == (tmp_path / "whole" / "x.nc").read_bytes()
    for name, block in values.items():
        np.testing.assert_array_equal(read_layer(path, name).values, block)


@pytest.mark.parametrize("changed", [{"plan": "others"}, {"dtype": "float64"}, {"attrs": {"pool": "mean"}}])
def test_other_content_is_begun_anew(tmp_path, values, changed):
    interrupt(tmp_path / "x.nc", values)
    assert write(tmp_path / "x.nc", values, **changed) == 3


def test_without_a_plan_nothing_is_left_and_nothing_is_used(tmp_path, values):
    path = tmp_path / "x.nc"
    interrupt(path, values, plan=None)
    assert list(tmp_path.iterdir()) == []
    interrupt(path, values)
    assert write(path, values, plan=None) == 3


def test_nothing_is_left_where_no_batch_was_written(tmp_path, values):
    interrupt(tmp_path / "x.nc", values, stop=0)
    assert list(tmp_path.iterdir()) == []


def test_batches_are_used_up_to_the_first_that_was_not_wholly_written(tmp_path, values):
    path = tmp_path / "x.nc"
    interrupt(path, values)
    content = (tmp_path / PARTIAL).read_bytes()
    at = content.index(values["h.1"][3].tobytes())  # of the second batch
    (tmp_path / PARTIAL).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert write(path, values) == 2
    np.testing.assert_array_equal(read_layer(path, "h.1").values, values["h.1"])


def test_a_journal_that_another_process_holds_is_left_alone(tmp_path, values):
    path = tmp_path / "x.nc"
    interrupt(path, values)
    before = (tmp_path / PARTIAL).read_bytes()
    with open(tmp_path / JOURNAL, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert write(path, values) == 3
    assert (tmp_path / PARTIAL).read_bytes() == before
    np.testing.assert_array_equal(read_layer(path, "h.0").values, values["h.0"])


def test_what_cannot_be_written_is_an_error_with_its_path(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    identity = hashlib.sha256(b"").hexdigest()
    with (
        pytest.raises(FileError, match=r"file/x\.nc could not be written"),
        resumable(tmp_path / "file" / "x.nc", identity),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("x" * 197 + ".nc", False),
        ("x" * 198 + ".nc", True),
        ("é" * 98 + ".nc", False),
        ("é" * 99 + ".nc", True),
    ],
    ids=["200 bytes", "201 bytes", "199 bytes", "201 bytes, 102 letters"],
)
def test_a_name_of_more_than_two_hundred_bytes_is_shortened_while_it_is_partial(tmp_path, name, hashed):
    with resumable(tmp_path / name, "0" * 64) as (partial, journal):
        inside = hashlib.sha256(name.encode()).hexdigest() if hashed else name
        assert partial.name == f".neuroalign-{inside}.partial.nc" and not journal.begun
        partial.write_bytes(b"rows")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"rows")]


def test_a_journal_gives_back_what_was_noted_up_to_what_is_kept(tmp_path):
    path, identity = tmp_path / "x.nc", "0" * 64

    def block(work, identity=identity):
        with pytest.raises(RuntimeError), resumable(path, identity) as (partial, journal):
            partial.touch()
            found = journal.begun, list(journal.batches), journal.frame
            work(journal)
            raise RuntimeError
        return found

    def first(journal):
        journal.begin({"size": 3})
        for k in range(4):
            journal.note({"k": k})

    notes = [{"k": k} for k in range(4)]
    assert block(first) == (False, [], {})
    assert block(lambda journal: journal.keep(3)) == (True, notes, {"size": 3})
    assert block(lambda journal: journal.note({"k": 9})) == (True, notes[:3], {"size": 3})
    assert block(lambda journal: journal.keep(1)) == (True, [*notes[:3], {"k": 9}], {"size": 3})
    assert block(lambda journal: None) == (True, notes[:1], {"size": 3})
    # Of another identity nothing is read, and where it begins anew nothing is left of the first.
    assert block(lambda journal: journal.begin({}) or journal.note({"k": 7}), "1" * 64) == (False, [], {})
    assert block(lambda journal: None, "1" * 64) == (True, [{"k": 7}], {})
    assert block(lambda journal: journal.begin({})) == (False, [], {})
    assert list(tmp_path.iterdir()) == []


def journal_of(content, path):
    path.write_bytes(content)
    with open(path, "rb") as file:
        return Journal(file, "0" * 64)


def test_a_sealed_journal_and_a_damaged_line_end_what_is_gone_on_with(tmp_path):
    with open(tmp_path / "log", "w+b") as file:
        journal = Journal(file, "0" * 64)
        journal.begin({"size": 3})
        journal.note({"k": 0})
        journal.note({"k": 1})
        whole = (tmp_path / "log").read_bytes()
        journal.seal()
        sealed = (tmp_path / "log").read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 3 and sealed.startswith(whole) and sealed.count(b"\n") == 4
    for content, n_batches in (
        (whole, 2),
        (whole[:-1], 1),
        (whole[: ends[1]], 1),
        (whole[: ends[1] - 2] + b"x" + whole[ends[1] - 1 :], 0),
        (whole + b"more\n", 2),
        (whole[: ends[0]], 0),
    ):
        found = journal_of(content, tmp_path / "other")
        assert found.begun and found.frame == {"size": 3}
        assert found.batches == [{"k": 0}, {"k": 1}][:n_batches]
    for content in (b"", whole[3:], whole[ends[0] :], whole[: ends[0] - 1], sealed):
        assert not journal_of(content, tmp_path / "other").begun
