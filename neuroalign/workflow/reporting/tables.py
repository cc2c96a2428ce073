"""Two tables joined by their labels: what is only in one, and where values differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Difference", "TableDifference", "compare_tables"]

Row = tuple[str, ...]
MISSING = "n/a"
FLAGS = {"True", "False", MISSING}
# Columns of numbers that say what a row is of. They are labels where texts alone do not tell rows apart.
COORDINATES = (
    *(
        "subject",
        "session",
        "run",
        "fold",
        "seed",
        "layer",
        "depth",
        "unit",
        "time",
        "time_other",
        "noise",
        "fraction",
    ),
    *("i", "j", "k", "vertex", "lower", "upper", "step"),
)


class Difference(NamedTuple):
    """A cell that differs; ``change`` is b - a, NaN where one of them is no number."""

    labels: Row
    column: str
    a: str
    b: str
    change: float


@dataclass(frozen=True)
class TableDifference:
    """How two tables differ."""

    labels: list[str]
    n_rows: tuple[int, int]
    differences: list[Difference] = field(default_factory=list)
    only_a: list[Row] = field(default_factory=list)
    only_b: list[Row] = field(default_factory=list)
    columns_a: list[str] = field(default_factory=list)
    columns_b: list[str] = field(default_factory=list)
    n_repeated: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.differences or self.only_a or self.only_b or self.columns_a or self.columns_b)

    @property
    def largest(self) -> float:
        """The largest absolute difference of numbers; 0 where no number differs."""
        return max((abs(d.change) for d in self.differences if not math.isnan(d.change)), default=0.0)


def compare_tables(
    a: Sequence[Sequence[str]], b: Sequence[Sequence[str]], *, tolerance: float = 0.0
) -> TableDifference:
    """Return how table b differs from table a, row by row of the same labels, whatever their order.

    Labels are the columns that hold text, and, where these do not tell rows apart, those of ``COORDINATES``
    that do. Rows that still share their labels (the folds of a score without a name, say) are joined in the
    order in which they stand, and counted in ``n_repeated``.

    Parameters
    ----------
    a, b : sequence of rows of str
        The header first.
    tolerance : float
        Numbers that differ by no more are the same.

    Examples
    --------
    >>> found = compare_tables([["roi", "r"], ["IT", "0.5"]], [["roi", "r"], ["IT", "0.25"]])
    >>> found.labels, found.differences
    (['roi'], [Difference(labels=('IT',), column='r', a='0.5', b='0.25', change=-0.25)])
    """
    header_a, header_b = list(a[0]), list(b[0])
    shared = [name for name in header_a if name in header_b]
    labels = _labels(shared, (header_a, a[1:]), (header_b, b[1:]))
    rows_a, repeated_a = _keyed(labels, header_a, a[1:])
    rows_b, repeated_b = _keyed(labels, header_b, b[1:])
    values = [name for name in shared if name not in labels]
    differences = []
    for key, row in rows_a.items():
        if key in rows_b:
            other = rows_b[key]
            for name in values:
                change = _change(row[name], other[name])
                if change != 0 and not abs(change) <= tolerance:
                    differences.append(Difference(key[:-1], name, row[name], other[name], change))
    return TableDifference(
        labels,
        (len(a) - 1, len(b) - 1),
        differences,
        [key[:-1] for key in rows_a if key not in rows_b],
        [key[:-1] for key in rows_b if key not in rows_a],
        [name for name in header_a if name not in header_b],
        [name for name in header_b if name not in header_a],
        max(repeated_a, repeated_b),
    )


def _labels(shared: list[str], *tables: tuple[list[str], Sequence[Sequence[str]]]) -> list[str]:
    def cells(name: str) -> set[str]:
        return {row[header.index(name)] for header, rows in tables for row in rows}

    chosen = {name for name in shared if _is_text(cells(name))}
    for name in COORDINATES:
        ordered = [column for column in shared if column in chosen]
        if all(_keyed(ordered, header, rows)[1] == 0 for header, rows in tables):
            break
        if name in shared:
            chosen.add(name)
    return [column for column in shared if column in chosen]


def _is_text(cells: set[str]) -> bool:
    return not cells <= FLAGS and any(cell != MISSING and _number(cell) is None for cell in cells)


def _keyed(
    labels: list[str], header: list[str], rows: Sequence[Sequence[str]]
) -> tuple[dict[tuple[str, ...], dict[str, str]], int]:
    """Return rows by their labels and how many of the same stand above, and how many share their labels."""
    places = [header.index(name) for name in labels]
    seen: dict[Row, int] = {}
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = tuple(row[place] for place in places)
        seen[key] = seen.get(key, -1) + 1
        found[*key, str(seen[key])] = dict(zip(header, row, strict=True))
    return found, sum(n + 1 for n in seen.values() if n)


def _change(a: str, b: str) -> float:
    """Return b - a; 0 where the cells are the same, NaN where they differ and are not both numbers."""
    if a == b:
        return 0.0
    first, second = _number(a), _number(b)
    return math.nan if first is None or second is None else second - first


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return None if math.isnan(value) else value
