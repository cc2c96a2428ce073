"""R2: any order of the stimuli on either side leaves every score as it is; any other label raises."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from battery import Ending, describe, digest, good, told
from breakage import ROWS, Cell, reordered, row_labels, with_labels
from table import TABLE

from neuroalign.errors import NeuroalignError

# Short and long form: so many examples a function, shared by the arguments that carry its labels.
SHORT, LONG = 200, 2000
# What other labels are made of: signs of several scripts, blanks, quotes, a sign that writing systems turn.
SIGNS = [*"abé語🧠 '\"/\\|\t\u200f", "s00", "0", "nan", "None"]


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


def share(cell, examples, family):
    """The examples of one side: the function's, shared by its sides (never fewer than 8)."""
    return max(8, -(-examples // sum(other.row.name == cell.row.name for other in family.values())))


def generator(name):
    """Draws of its own for every side, the same in every run."""
    return np.random.default_rng(list(name.encode()))


def ending_of(row, arguments):
    """How a call ends; ``battery.run`` without its digests, which take longer than most calls."""
    try:
        return told(row.call(**arguments))
    except NeuroalignError as error:
        return Ending("refused", str(error))
    except Exception as error:  # what the test is there to find
        return Ending("foreign", f"{type(error).__name__}: {error}")


@pytest.fixture
def try_many():
    """Try a side under many changes of its rows; return those that end otherwise."""

    def check(cell, changes, wanted):
        arguments = cell.good()
        before = {key: digest(value) for key, value in arguments.items()}
        bad, n = [], 0
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for change, moved in changes:
                n += 1
                ending = ending_of(cell.row, {**arguments, cell.argument: moved})
                ending = describe(cell.row, ending, good(cell.row.name), cell.row.tolerance)
                if ending.kind != wanted:
                    bad.append(f"{change}: {ending.kind}: {ending.said}")
        strangers = [item for item in caught if not item.category.__module__.startswith("neuroalign")]
        bad += [f"{item.category.__name__}: {item.message}" for item in strangers[:1]]
        edited = [key for key, value in arguments.items() if digest(value) != before[key]]
        return n, bad + ([f"edited in place: {edited}"] if edited else [])

    return check


@pytest.mark.parametrize("name", list(FREE))
def test_any_order_of_the_stimuli_gives_the_same_scores(name, depth, tried, try_many):
    cell = FREE[name]
    arguments, dim, found = sides_of(cell)
    rng, value = generator(name), arguments[cell.argument]
    orders = [np.arange(len(found))[::-1], np.roll(np.arange(len(found)), 1)]
    orders += [rng.permutation(len(found)) for _ in range(share(cell, depth(SHORT, LONG), FREE) - 2)]
    changes = ((order.tolist(), reordered(value, dim, order)) for order in orders)
    n, bad = try_many(cell, changes, "same")
    tried("R2", "orders of the stimuli on one side", n, bad)


@pytest.mark.parametrize("name", list(MATCHED))
def test_any_other_label_raises(name, depth, tried, try_many):
    cell = MATCHED[name]
    arguments, dim, found = sides_of(cell)
    n = share(cell, depth(SHORT, LONG), MATCHED)
    labels = [relabelled(found, generator(f"{name} {i}")) for i in range(n)]
    changes = ((new.tolist(), with_labels(arguments[cell.argument], dim, new)) for new in labels)
    n, bad = try_many(cell, changes, "refused")
    tried("R2", "other labels on one side", n, bad)


def relabelled(found, rng):
    """Return the labels with some of them replaced, so that they are not the same set; ours may repeat."""
    while True:
        at = rng.choice(len(found), rng.integers(1, len(found) + 1), replace=False)
        if found.dtype.kind in "UO":
            new = found.astype(object)
            for i in at:
                new[i] = "".join(rng.choice(SIGNS, rng.integers(1, 9)))
            new = new.astype(str)
        else:
            new = found.astype(np.float64)
            new[at] = np.where(rng.random(len(at)) < 0.2, found[0], rng.normal(0, 10, len(at)))
        if Counter(new.tolist()) != Counter(found.tolist()):
            return new  # the same labels of other rows are a permutation of labels, which nothing can tell


def test_every_room_that_aligns_is_among_the_sides():
    assert {cell.row.room for cell in SIDES.values()} >= {"schema", "stats", "rsa", "encoding", "similarity"}
    assert {cell.dim(ROWS) for cell in SIDES.values()} >= {"stimulus", "pair", "time"}
