"""Every public function that takes arrays under every fault: an error that says what came, or a known end."""

from __future__ import annotations

import importlib

import pytest
from battery import ENDED, describe, good, run
from breakage import FAULTS, Cell, vague
from table import EXEMPT, OPEN, ROOMS, TABLE

# R11: what float32 and float16 inputs may change.
TOLERANCES = {"float32": 1e-4, "float16": 1e-4, "mean/sd 1e4": 1e-5}
CELLS = {
    (f"{row.name}({argument})", fault): Cell(row, argument)
    for row in TABLE.values()
    for argument in row.arrays
    for fault in FAULTS
    if FAULTS[fault].spoil(Cell(row, argument)) is not None
}


@pytest.mark.parametrize("name", list(TABLE))
def test_good_input_gives_a_result(name):
    found = good(name)
    assert found.kind == "gave", found.said


def marked(cell):
    marks = [pytest.mark.xfail(reason=OPEN[cell], strict=True)] if cell in OPEN else []
    return pytest.param(*cell, id=f"{cell[0]}-{cell[1]}", marks=marks)


@pytest.mark.goal("R1", "cells of the contract")
@pytest.mark.parametrize(("function", "fault"), [marked(cell) for cell in CELLS])
def test_contract(function, fault):
    cell = CELLS[function, fault]
    arguments, reference = FAULTS[fault].spoil(cell)
    expected = good(cell.row.name) if reference is None else run(cell.row, reference)
    ending = run(cell.row, arguments)
    tolerance = max(cell.row.tolerance, TOLERANCES.get(fault, 0.0))
    ending = describe(cell.row, ending, expected, tolerance)
    ENDED[function, fault] = "open" if (function, fault) in OPEN else ending.kind
    if ending.kind == "refused":
        assert not vague(ending.said, FAULTS[fault]), f"the error does not say what came: {ending.said}"
        if expected.kind == "refused" and reference is not None:
            return
    documented = [cell.row.documented.get(key, "") for key in (fault, f"{cell.argument}:{fault}")]
    allowed = FAULTS[fault].may | {
        kind for text in documented for kind in text.split(":")[0].split("/") if kind
    }
    if fault in ("duplicate label", "label missing") and len(cell.joined()) < 2:
        allowed |= {"same"}  # a function of one array need not read its labels
    if cell.row.labels:
        allowed |= {"same"}  # values are passed on
    if ending.kind in allowed - FAULTS[fault].may:
        ENDED[function, fault] = "documented"
    assert ending.kind in allowed, f"{ending.kind}: {ending.said}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_a_row_or_a_reason(room):
    module = importlib.import_module(f"neuroalign.{room}")
    names = {f"{room}.{name}" for name in module.__all__ if callable(getattr(module, name))}
    known = {
        name for name in {*(row.split(":")[0] for row in TABLE), *EXEMPT} if name.rpartition(".")[0] == room
    }
    assert not names - known, f"give each a row or an exemption in tests/contract: {sorted(names - known)}"
    assert not known - names, f"no longer public: {sorted(known - names)}"
    assert not set(TABLE) & set(EXEMPT)


def test_open_defects_are_cells():
    assert not set(OPEN) - set(CELLS)


def test_documented_endings_name_faults_of_the_battery():
    for row in TABLE.values():
        for key, text in row.documented.items():
            assert key.split(":")[-1] in FAULTS, f"{row.name}: {key}"
            assert len(text.split(": ", 1)[-1]) > 15, f"{row.name}: {key}: say why"
