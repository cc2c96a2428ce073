"""Damaged files of every kind: read rightly or refused; never another error, a hang, a dead process."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import mutate
import numpy as np
import pytest
from readers import EXEMPT, READERS
from readers_real import REAL
from running import Worker

import neuroalign

PACKAGE = Path(neuroalign.__file__).parent
NAME = re.compile(r"(read|load|open|from|parse)(_\w+)?")


@pytest.fixture(scope="module")
def worker():
    one = Worker()
    yield one
    one.stop()


def check(worker, reader, n, tried):
    found = worker.run(reader.name, n)
    assert found.good == reader.good
    counts = ", ".join(f"{number} {name}" for name, number in sorted(found.counts.items()))
    tried("fuzz", reader.name, found.n, found.failures, note=counts)


@pytest.mark.parametrize("name", list(READERS))
def test_damaged_file_is_read_rightly_or_refused(name, worker, depth, tried):
    check(worker, READERS[name], depth(READERS[name].short, READERS[name].long), tried)


@pytest.mark.parametrize("name", list(REAL))
def test_damaged_real_file_is_read_rightly_or_refused(name, worker, depth, tried, data_root):
    check(worker, REAL[name], depth(REAL[name].short, REAL[name].long), tried)


def functions():
    """Return "module.function" of every function of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found.append(f"{module}.{node.name}")
    return found


def test_every_reader_of_the_package_is_tried_or_exempt_with_a_reason():
    covered = {name for reader in READERS.values() for name in reader.covers}
    there = set(functions())
    named = {name for name in there if NAME.fullmatch(name.rpartition(".")[2])}
    assert len(named) > 40
    assert named - covered - EXEMPT.keys() == set()
    assert (covered | EXEMPT.keys()) - there == set(), "no such function any more"
    assert not covered & EXEMPT.keys()


def test_same_seed_gives_the_same_damage_and_most_damage_changes_the_file():
    content = b"onset\tduration\n1.5\t2\n3\t4\n" * 20
    first, again = (
        [
            mutate.mutant(content, np.random.default_rng([seed, 7]), text=text)
            for seed in range(200)
            for text in (0, 1)
        ]
        for _ in range(2)
    )
    assert first == again
    assert sum(one != content for one in first) > 380
    assert max(map(len, first)) < 1_000_000


@pytest.mark.parametrize(
    "fault", dict.fromkeys(mutate.FAULTS + mutate.TEXT_FAULTS), ids=lambda fault: fault.__name__
)
def test_every_kind_of_damage_takes_any_bytes(fault, rng):
    for content in (b"", b"\n", b"1", b"a\tb\n1\t2\n", bytes(range(256))):
        for _ in range(20):
            assert isinstance(fault(content, rng), bytes)
