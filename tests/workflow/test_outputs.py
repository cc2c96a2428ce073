import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import io
from neuroalign.workflow.config import load_study
from neuroalign.workflow.guarding import Failed
from neuroalign.workflow.outputs import damaged_outputs, made_from
from neuroalign.workflow.paths import Paths
from neuroalign.workflow.records import Record, output_files
from neuroalign.workflow.sections import Objects
from neuroalign.workflow.steps.common import write_values


@pytest.fixture
def paths(tmp_path):
    found = Paths(
        load_study({"name": "mine", "title": "Mine", "localizer": {}, "objects": {}}), tmp_path / "results"
    )
    io.save(xr.DataArray(np.arange(3.0), dims="unit"), found.masks)
    write_values(found, 6, pd.DataFrame({"a": [1.0, 2.0]}), inputs={}, section=Objects())
    out = found.activations("localizer", "trained")
    io.make_folder(out.parent)
    with io.layer_writer(out, {"l0": 2}, np.array(["a", "b"]), {"key": "k"}) as writer:
        writer.write(np.arange(2), {"l0": np.ones((2, 2), dtype=np.float32)})
    return found


def test_sound_outputs_and_missing_ones_are_left_alone(paths):
    assert damaged_outputs(paths) == []


@pytest.mark.parametrize("which", ["masks", "table", "layers"])
def test_an_output_cut_short_is_found(paths, which):
    path = {
        "masks": paths.masks,
        "table": paths.figure(6, "tsv"),
        "layers": paths.activations("localizer", "trained"),
    }[which]
    path.write_bytes(path.read_bytes()[:-9])
    assert damaged_outputs(paths) == [path]


def test_a_table_without_its_digest_is_not_trusted(paths):
    paths.figure(6, "provenance.json").write_text("{}")
    assert damaged_outputs(paths) == [paths.figure(6, "tsv")]


@pytest.fixture
def record(paths):
    """The record of a run that ended well."""
    drawn = {"pdf": b"drawn", "png": b"drawn too"}
    for kind, content in drawn.items():
        paths.figure(6, kind).write_bytes(content)
    Record(paths, paths.results.parent).write()
    return Record.read(paths, paths.results.parent)


def later(path, content, seconds):
    path.write_bytes(content)
    stamp = path.stat().st_mtime + seconds
    os.utime(path, (stamp, stamp))


def test_record_knows_every_output_and_stays_as_it_is_when_nothing_changes(paths, record):
    assert set(record.outputs) == {path.relative_to(paths.results).as_posix() for path in output_files(paths)}
    assert {Path(name).suffix for name in record.outputs} == {".nc", ".tsv", ".json", ".pdf", ".png"}
    before = paths.record.stat().st_mtime_ns
    record.write()
    assert paths.record.stat().st_mtime_ns == before
    assert damaged_outputs(paths, record) == []


@pytest.mark.parametrize("kind", ["pdf", "tsv", "provenance.json"])
def test_changed_output_that_the_record_knows_is_found_whatever_its_stamp(paths, record, kind):
    later(paths.figure(6, kind), b"{}", -100)
    assert paths.figure(6, kind) in damaged_outputs(paths, record)
    later(paths.figure(6, kind), b"{}", 100)
    assert paths.figure(6, kind) in damaged_outputs(paths, record)


def test_what_a_killed_run_wrote_since_is_not_taken_for_damaged(paths, record):
    later(paths.figure(6, "pdf"), b"drawn anew", 100)
    assert damaged_outputs(paths, record) == [paths.figure(6, "pdf")]
    assert damaged_outputs(paths, record, was_killed=True) == []
    later(paths.figure(6, "pdf"), b"swapped", -100)
    assert damaged_outputs(paths, record, was_killed=True) == [paths.figure(6, "pdf")]


def test_array_that_plain_snakemake_wrote_since_is_trusted_for_its_own_digest(paths, record):
    io.save(xr.DataArray(np.arange(5.0), dims="unit"), paths.masks)
    later(paths.masks, paths.masks.read_bytes(), 100)
    assert damaged_outputs(paths, record) == []
    later(paths.masks, paths.masks.read_bytes()[:-1], 100)
    assert damaged_outputs(paths, record) == [paths.masks]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outputs": 3, "sources": {}}', '{"outputs": {}}'])
def test_damaged_record_knows_nothing_and_outputs_are_judged_by_themselves(paths, record, content):
    paths.record.write_text(content)
    again = Record.read(paths, paths.results.parent)
    assert again.outputs == {} and damaged_outputs(paths, again) == []
    again.write()
    assert Record.read(paths, paths.results.parent).outputs == record.outputs


def test_one_output_written_outside_a_run_is_noted_and_no_other(paths, record):
    later(paths.figure(6, "pdf"), b"noted", 1)
    later(paths.figure(6, "png"), b"not noted", 1)
    record.note(paths.figure(6, "pdf"))
    assert damaged_outputs(paths, Record.read(paths, paths.results.parent)) == [paths.figure(6, "png")]


def test_scratch_and_logs_are_no_outputs(paths):
    before = output_files(paths)
    for name in ("logs/a.log", "benchmarks/a.tsv", "work/lesions/a.nc", ".neuroalign-x.partial.nc"):
        (paths.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.folder / name).write_bytes(b"x")
    assert output_files(paths) == before


def test_changed_source_is_found_by_its_content_and_read_only_when_touched(tmp_path, monkeypatch):
    (tmp_path / "mine.tsv").write_text("a")
    study = {"name": "mine", "title": "Mine", "localizer": {"stimuli": "mine.tsv"}}
    found = Paths(load_study(study), tmp_path / "results")
    first = Record(found, tmp_path)
    assert first.changed_sources() == []
    first.write()
    monkeypatch.setattr(io, "file_digest", lambda path: pytest.fail("read again"))
    assert Record.read(found, tmp_path).changed_sources() == []
    monkeypatch.undo()
    stamps = (tmp_path / "mine.tsv").stat()
    (tmp_path / "mine.tsv").write_text("b")
    os.utime(tmp_path / "mine.tsv", ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    second = Record.read(found, tmp_path)
    assert second.changed_sources() == ["mine.tsv"] and second.changed_sources() == []


SUMMARY = (
    "output_file\tdate\trule\tlog-file(s)\tinput-file(s)\tshellcmd\tstatus\tplan\n"
    "results/a.nc\tx\ta\t-\tmine.tsv,other, with a comma.tsv\tx\tok\tno update\n"
    "results/b.tsv\tx\tb\t-\tresults/a.nc\tx\tok\tno update\n"
    "results/c.tsv\tx\tc\t-\t-\tx\tok\tno update\n"
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mine.tsv", {"a.nc", "b.tsv"}),
        ("other, with a comma.tsv", {"a.nc", "b.tsv"}),
        ("results/a.nc", {"b.tsv"}),
        ("e.tsv", set()),
    ],
)
def test_what_was_made_from_a_file_is_all_that_came_of_it(tmp_path, name, expected):
    (tmp_path / "results").mkdir()
    for one in ("a.nc", "b.tsv", "c.tsv"):
        (tmp_path / "results" / one).touch()
    call = [sys.executable, "-c", f"print({SUMMARY!r})"]
    assert {path.name for path in made_from([name], call, tmp_path)} == expected


def test_snakemake_that_cannot_answer_is_quoted(tmp_path):
    with pytest.raises(Failed, match="could not say what is made from what:\nno Snakefile"):
        made_from(["a"], [sys.executable, "-c", "import sys; sys.exit('no Snakefile')"], tmp_path)
