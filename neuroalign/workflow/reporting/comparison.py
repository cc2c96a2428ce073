"""Two runs side by side: tables, parameters, versions; and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import FileError, listing
from .figures import MAX_ROWS, Figure, data_uri, read_figure
from .page import page
from .tables import Difference, TableDifference, compare_tables

__all__ = ["Comparison", "compare_runs", "comparison_page"]

# Cells that the page shows of a figure; the file to download holds all that differ.
SHOWN = 200
MADE = ("neuroalign", "python", "machine", "device", "threads", "seed")


@dataclass(frozen=True)
class Comparison:
    """How the results in folder ``b`` differ from those in folder ``a``."""

    a: str
    b: str
    tolerance: float
    figures: dict[int, tuple[Figure, Figure]]
    tables: dict[int, TableDifference]
    only_a: list[int]
    only_b: list[int]
    parameters: list[tuple[int, str, str, str]]
    versions: list[tuple[str, str, str]]

    @property
    def same(self) -> bool:
        """Whether both have the same figures with the same values."""
        return not (self.only_a or self.only_b) and all(table.same for table in self.tables.values())

    def summary(self) -> dict[str, Any]:
        """What a program would read."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "tolerance": self.tolerance,
            "figures": {str(number): _facts(table) for number, table in self.tables.items()},
            "only_a": self.only_a,
            "only_b": self.only_b,
            "parameters": [
                dict(zip(("figure", "name", "a", "b"), row, strict=True)) for row in self.parameters
            ],
            "versions": [dict(zip(("name", "a", "b"), row, strict=True)) for row in self.versions],
        }

    def lines(self) -> list[str]:
        """What a person would read."""
        said = [f"figure {number}: {verdict(table)}" for number, table in self.tables.items()]
        for name, numbers in (("first", self.only_a), ("second", self.only_b)):
            said += [f"figure {number}: only in the {name}" for number in numbers]
        said += [f"figure {number}: {name} is {a}, then {b}" for number, name, a, b in self.parameters]
        return said + [f"{name} is {a}, then {b}" for name, a, b in self.versions]


def compare_runs(a: Path, b: Path, *, tolerance: float = 0.0) -> Comparison:
    """Return how two runs differ; figures of the same number are compared, tables by their labels.

    Parameters
    ----------
    a, b : Path
        Results of one study each: a folder with ``figures`` in it, or one with a single such folder.
    tolerance : float
        Numbers that differ by no more are the same.

    Raises
    ------
    FileError
        If a folder holds no results, or of several studies, or a figure is not whole.
    """
    places = [_figures(path) for path in (a, b)]
    numbers = [_numbers(place) for place in places]
    shared = [number for number in numbers[0] if number in numbers[1]]
    figures = {n: (read_figure(places[0], n), read_figure(places[1], n)) for n in shared}
    tables = {
        n: compare_tables([x.header, *x.cells], [y.header, *y.cells], tolerance=tolerance)
        for n, (x, y) in figures.items()
    }
    return Comparison(
        str(a),
        str(b),
        tolerance,
        figures,
        tables,
        [n for n in numbers[0] if n not in numbers[1]],
        [n for n in numbers[1] if n not in numbers[0]],
        [(n, *row) for n, (x, y) in figures.items() for row in _changed(x.params, y.params)],
        _versions(figures),
    )


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison, which opens without a network."""
    return page(
        "compare.html",
        comparison=comparison,
        verdicts={number: verdict(table) for number, table in comparison.tables.items()},
        shown={number: _largest(table)[:SHOWN] for number, table in comparison.tables.items()},
        downloads={
            number: data_uri(_tsv(table).encode(), "text/tab-separated-values")
            for number, table in comparison.tables.items()
            if table.differences
        },
        pictures={number: _pictures(*pair) for number, pair in comparison.figures.items()},
        most=MAX_ROWS,
    )


def verdict(table: TableDifference) -> str:
    """Return in words how two tables differ."""
    if table.same:
        return f"the same values ({table.n_rows[0]:,} rows)"
    cells = len(table.differences)
    parts = []
    if cells:
        parts.append(
            f"{cells:,} {'cell differs' if cells == 1 else 'cells differ'}, by {table.largest:.3g} at most"
        )
    for rows, name in ((table.only_a, "first"), (table.only_b, "second")):
        if rows:
            parts.append(f"{len(rows):,} {'row is' if len(rows) == 1 else 'rows are'} only in the {name}")
    for columns, name in ((table.columns_a, "first"), (table.columns_b, "second")):
        if columns:
            parts.append(f"only in the {name}: {listing(columns)}")
    return "; ".join(parts)


def _pictures(a: Figure, b: Figure) -> list[tuple[str, Figure]]:
    """Return the pictures with whose they are; one where both are the same to the byte."""
    same = a.path("png").read_bytes() == b.path("png").read_bytes()
    return [("a and b, the same picture", a)] if same else [("a", a), ("b", b)]


def _figures(path: Path) -> Path:
    """Return the folder of a run's figures."""
    if not path.is_dir():
        raise FileError(f"{path} is no folder; name the results of a study, such as results/demo.")
    if (path / "figures").is_dir():
        return path / "figures"
    inside = sorted(one.parent for one in path.glob("*/figures") if one.is_dir())
    if len(inside) == 1:
        return inside[0] / "figures"
    if inside:
        raise FileError(f"{path} has results of several studies; name one: {listing(map(str, inside))}.")
    raise FileError(f"{path} holds no results: there is no folder figures in it. `neuroalign run` makes it.")


def _numbers(place: Path) -> list[int]:
    names = [path.stem.removeprefix("figure") for path in place.glob("figure*.tsv")]
    found = sorted(int(name) for name in names if name.isdigit())
    if not found:
        raise FileError(f"{place} holds no table of a figure; `neuroalign run` makes them.")
    return found


def _flat(values: Mapping[str, Any], within: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{within}{name}.")
        else:
            found[f"{within}{name}"] = json.dumps(value, ensure_ascii=False)
    return found


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what differs, (name, a, b); what only one has is ``not there`` in the other."""
    first, second = _flat(a), _flat(b)
    rows = [
        (name, first.get(name, "not there"), second.get(name, "not there")) for name in {**first, **second}
    ]
    return [row for row in rows if row[1] != row[2]]


def _versions(figures: Mapping[int, tuple[Figure, Figure]]) -> list[tuple[str, str, str]]:
    """Return what differs of versions, machine, threads and seed in any figure, each once."""
    rows: dict[tuple[str, str, str], None] = {}
    for x, y in figures.values():
        a, b = ({name: one.provenance.get(name) for name in MADE} for one in (x, y))
        packages = [one.provenance.get("versions", {}) for one in (x, y)]
        rows |= dict.fromkeys(_changed(a, b))
        rows |= dict.fromkeys(_changed(*packages))
    return [(name, a.strip('"'), b.strip('"')) for name, a, b in rows]


def _facts(table: TableDifference) -> dict[str, Any]:
    return {
        "same": table.same,
        "labels": table.labels,
        "n_rows": list(table.n_rows),
        "n_cells_differ": len(table.differences),
        "largest_difference": table.largest,
        "n_rows_only_a": len(table.only_a),
        "n_rows_only_b": len(table.only_b),
        "columns_only_a": table.columns_a,
        "columns_only_b": table.columns_b,
        "n_rows_with_repeated_labels": table.n_repeated,
    }


def _largest(table: TableDifference) -> list[Difference]:
    """Return differences, those that are no numbers first, then by their size."""
    size = {d: abs(d.change) for d in table.differences}
    return sorted(table.differences, key=lambda d: -size[d] if size[d] == size[d] else float("-inf"))


def _tsv(table: TableDifference) -> str:
    rows = ["\t".join([*table.labels, "column", "a", "b", "b - a"])]
    rows += ["\t".join([*d.labels, d.column, d.a, d.b, _change_text(d)]) for d in table.differences]
    return "\n".join(rows) + "\n"


def _change_text(difference: Difference) -> str:
    """Return how much a cell differs; n/a where one is no number."""
    return "n/a" if difference.change != difference.change else f"{difference.change:.9g}"
