"""R2: any order of the stimuli on either side leaves every score as it is; any other label raises."""

from __future__ import annotations

import numpy as np
import pytest
from battery import describe, good, run
from breakage import ROWS, Cell, reordered, row_labels, with_labels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table import TABLE

SLOW = pytest.mark.slow
EXAMPLES = [pytest.param(30, id="30"), pytest.param(200, id="200", marks=SLOW)]


def sides():
    """Every labelled argument of every function that aligns two or more of them."""
    for row in TABLE.values():
        for argument in row.arrays:
            cell = Cell(row, argument)
            if len(cell.joined()) > 1:
                yield cell


SIDES = {f"{cell.row.name}({cell.argument})": cell for cell in sides()}
# The order of the leading argument is the one that draws follow, and that the result comes in.
FREE = {
    name: cell
    for name, cell in SIDES.items()
    if cell.argument != (cell.row.leader or cell.joined()[0]) or not (cell.row.random or cell.row.ordered)
}
# Partial RDMs are of other stimuli by their nature.
MATCHED = {name: cell for name, cell in SIDES.items() if "other label" not in cell.row.documented}


def sides_of(cell):
    arguments, dim = cell.good(), str(cell.label_dim())
    return arguments, dim, row_labels(arguments[cell.argument], dim)


def draw_many(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", list(FREE))
def test_any_order_of_the_stimuli_gives_the_same_scores(name, examples):
    cell = FREE[name]
    arguments, dim, found = sides_of(cell)

    @draw_many(affordable(cell, examples))
    @given(order=st.permutations(range(len(found))))
    def check(order):
        moved = {**arguments, cell.argument: reordered(arguments[cell.argument], dim, np.array(order))}
        ending = describe(cell.row, run(cell.row, moved), good(cell.row.name), cell.row.tolerance)
        assert ending.kind == "same", f"{ending.kind}: {ending.said}"

    check()


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", list(MATCHED))
def test_any_other_label_raises(name, examples):
    cell = MATCHED[name]
    arguments, dim, found = sides_of(cell)
    text = found.dtype.kind in "UO"
    fresh = st.text(min_size=1, max_size=8) if text else st.floats(-1e6, 1e6, allow_nan=False)
    where = st.dictionaries(st.integers(0, len(found) - 1), fresh, min_size=1, max_size=len(found))

    @draw_many(affordable(cell, examples))
    @given(renamed=where)
    def check(renamed):
        new = found.astype(object) if text else found.astype(np.float64)
        for at, label in renamed.items():
            new[at] = label
        if set(new.tolist()) == set(found.tolist()):
            return  # the same labels, of other rows: that is a permutation of labels, which nothing can tell
        new = new.astype(str) if text else new
        moved = {**arguments, cell.argument: with_labels(arguments[cell.argument], dim, new)}
        ending = run(cell.row, moved)
        assert ending.kind == "refused", f"{ending.kind}: {ending.said}"

    check()


def affordable(cell, examples):
    """A quarter of the examples for functions that fit or resample: one call takes milliseconds."""
    return (
        max(8, examples // 4) if cell.row.room in ("encoding", "similarity") or cell.row.random else examples
    )


def test_every_room_that_aligns_is_among_the_sides():
    assert {cell.row.room for cell in SIDES.values()} >= {"schema", "stats", "rsa", "encoding", "similarity"}
    assert {cell.dim(ROWS) for cell in SIDES.values()} >= {"stimulus", "pair", "time"}
