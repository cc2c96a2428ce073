"""Bits that flip and files that are cut short: refused before a value is used, with both digests."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from judging import attempt
from writers import ALIKE, TABLE, contents

from neuroalign import io

GUARDED = [
    pytest.param(name, file, marks=pytest.mark.long if name in ALIKE else ())
    for name, example in TABLE.items()
    for file in example.guarded
]
# Of a journal that is gone on with: what it and its partial file hold is used only where it is whole.
PARTIAL, JOURNAL = ".neuroalign-x.nc.partial.nc", ".neuroalign-x.nc.partial.journal"


def damages(content: bytes, rng: np.random.Generator, n_flips: int, n_cuts: int):
    """Give damaged versions of some bytes, each with what was done."""
    for at in rng.integers(len(content), size=n_flips):
        bit = int(rng.integers(8))
        yield f"bit {bit} of byte {at}", content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
    for length in rng.integers(len(content), size=n_cuts):
        yield f"cut to {length} bytes", content[:length]


@pytest.mark.parametrize(("name", "file"), GUARDED)
def test_damage_is_refused_with_both_digests(name, file, tmp_path, rng, depth, tried):
    example = TABLE[name]
    example.write(tmp_path, 0)
    path = tmp_path / file
    content, bad, n_tried = path.read_bytes(), [], 0
    for what, damaged in damages(content, rng, depth(40, 400), depth(10, 50)):
        path.write_bytes(damaged)
        said = attempt(lambda: example.read(tmp_path))
        where = f"{name}, {what}"
        if not said or said.startswith("FOREIGN"):
            bad.append(f"{where}: {said or 'not noticed'}")
        elif str(path) not in said:
            bad.append(f"{where}: the file is not named in {said!r}")
        elif what.startswith("bit") and not both_digests(said):
            bad.append(f"{where}: no digests in {said!r}")
        n_tried += 1
    path.write_bytes(content)
    example.read(tmp_path)
    tried("R6", f"flipped bits and cuts: {name}, {path.suffixes[-1]}", n_tried, bad)


def both_digests(said: str) -> bool:
    """Return whether two different digests are named; a mark or a length that is gone stands for one."""
    return len(set(re.findall(r"[0-9a-f]{12,64}(?=[ .,)]|$)", said))) > 1 or "missing" in said


@pytest.mark.parametrize("file", [PARTIAL, JOURNAL])
def test_a_damaged_partial_file_ends_with_the_same_bytes(file, tmp_path, rng, depth, tried):
    example = TABLE["activations by layer, resumed"]
    example.write(tmp_path / "whole", 0)
    whole = contents(tmp_path / "whole")
    place = tmp_path / "place"
    interrupted(place)
    left = contents(place)
    bad, n_tried = [], 0
    for what, damaged in damages(left[file], rng, depth(30, 400), depth(6, 50)):
        for name, content in left.items():
            (place / name).write_bytes(damaged if name == file else content)
        said = attempt(lambda: example.write(place, 0))
        if said or contents(place) != whole:
            bad.append(f"{file}, {what}: {said or 'other bytes'}")
        n_tried += 1
    tried("R6", f"flipped bits and cuts: a half-written activation file, {file[-7:]}", n_tried, bad)


def interrupted(place):
    """Leave what an interrupt after the first batch leaves."""
    from unittest import mock

    example, write = TABLE["activations by layer, resumed"], io.LayerWriter.write
    calls = []

    def stop(self, *rest, **options):
        if calls:
            raise KeyboardInterrupt
        calls.append(write(self, *rest, **options))

    with mock.patch.object(io.LayerWriter, "write", stop), pytest.raises(KeyboardInterrupt):
        example.write(place, 0)
    assert sorted(contents(place)) == sorted([JOURNAL, PARTIAL])


def test_one_layer_is_read_where_only_another_is_damaged(tmp_path):
    TABLE["activations by layer"].write(tmp_path, 0)
    path = tmp_path / "x.nc"
    values = {name: io.read_layer(path, name).values for name in io.layer_names(path)}
    content = bytearray(path.read_bytes())
    content[content.index(values["h.1"].tobytes()) + 9] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(io.read_layer(path, "h.0").values, values["h.0"])
    with pytest.raises(io.layers.FileError, match=r"layer 'h\.1' is not what was written"):
        io.read_layer(path, "h.1")


def test_a_file_without_its_provenance_is_read_and_one_beside_another_is_not(tmp_path):
    from neuroalign.errors import FileError

    TABLE["NIfTI, compressed"].write(tmp_path, 0)
    TABLE["NIfTI, compressed"].write(tmp_path / "other", 1)
    for name in ("v1.nii.gz", "v1.tsv"):
        (tmp_path / name).write_bytes((tmp_path / "other" / name).read_bytes())
    for read, name in ((io.read_nifti, "v1.nii.gz"), (io.read_table, "v1.tsv")):
        with pytest.raises(FileError, match=r"is damaged or was changed: .*, remove v1\.provenance\.json"):
            read(tmp_path / name)
    about = tmp_path / "v1.provenance.json"
    about.write_text(json.dumps({"another": "program's"}))
    assert io.read_nifti(tmp_path / "v1.nii.gz").sizes["map"] == 2
    about.unlink()
    assert len(io.read_table(tmp_path / "v1.tsv")) == 300
