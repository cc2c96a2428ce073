"""The goals of reliability: what was tried for each, how often, and what failed; written as a page.

A run replaces the lines of what it tried, and keeps those of former runs with their date and form.

Two ways for a test to be counted, both in the process that started pytest, whatever the number of workers:

- ``@pytest.mark.goal("R1", "cells of the contract")``: each item that runs is one try;
- the fixture ``tried(goal, what, n, failures)``: one test that tries ``n`` things; it fails where
  ``failures`` is not empty.
"""

from __future__ import annotations

import datetime as dt
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["GOALS", "Ledger", "Line"]

PROPERTY = "reliability"
GOALS = {
    "R1": "Contract: every public function that takes arrays, under every fault",
    "R2": "Labels: any order of the stimuli gives the same scores, any other label raises",
    "R3": "kill -9 of a running workflow, then resume",
    "R4": "The n-th open, write, fsync, replace fails",
    "R5": "A full disk",
    "R6": "Bit flips and truncations",
    "R7": "Outputs shortened or swapped, a config value changed, an input touched",
    "R8": "Images on another grid, damaged, empty",
    "R9": "Hostile files",
    "R10": "Odd places: spaces, emoji, long paths, no home, no network, LANG=C",
    "R11": "float32 against float64",
    "R12": "numpy against torch on the CPU, float64",
    "R13": "Reruns, with one and two jobs, are byte-identical",
    "R14": "One and two threads",
    "R15": "CPU against GPU, same draws",
    "R16": "Hooks are removed and weights as before after any exit",
    "R17": "Batch sizes and padding",
    "R18": "A workflow started twice in one folder",
    "R19": "Leakage: test rows change nothing fitted; shuffled targets score 0",
    "R20": "False-positive rates on null data",
    "fuzz": "Readers of files from outside, on random and mutated bytes",
}


@dataclass
class Line:
    """What was tried of one kind for one goal."""

    tried: int = 0
    failed: int = 0
    open: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)
    form: str = ""
    date: str = ""


class Ledger:
    """Counts of what was tried, by goal and kind, from the reports of all workers."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], Line] = {}

    def read(self, report) -> None:
        """Take one report of pytest: what its test recorded, or the item itself where it is marked."""
        for name, value in report.user_properties:
            if name != PROPERTY:
                continue
            if report.when == "call" and value.get("n") is not None:
                line = self._line(value)
                line.tried += value["n"]
                line.failed += value["failed"]
                if value.get("note"):
                    line.notes.append(value["note"])
            elif value.get("n") is None:
                self._item(report, self._line(value))

    def _item(self, report, line: Line) -> None:
        if report.skipped and hasattr(report, "wasxfail"):
            line.tried += 1
            line.open += 1
        elif report.skipped:
            line.skipped += 1
        elif report.when == "call":
            line.tried += 1
            line.failed += report.failed
        elif report.failed:
            line.failed += 1

    def _line(self, value: dict[str, str]) -> Line:
        return self.lines.setdefault((value["goal"], value["what"].replace("|", "/")), Line())

    def kept(self, path: Path, *, long: bool) -> None:
        """Sign the lines of this run, and take those of former runs that it did not try from a page."""
        form, today = ("long" if long else "short"), dt.datetime.now(tz=dt.UTC).date().isoformat()
        for line in self.lines.values():
            line.form, line.date = form, today
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for row in re.findall(r"^\| (R\d+|fuzz) \| (.*) \|$", text, re.MULTILINE):
            what, *counts, form, date, notes = row[1].split(" | ")
            former = Line(*(int(n.replace(",", "")) for n in counts), [notes.strip()], form, date)
            if (row[0], what) not in self.lines and row[0] in GOALS:
                self.lines[row[0], what] = former

    def page(self) -> str:
        """Return the page as Markdown."""
        rows = [self._row(goal, what, line) for (goal, what), line in sorted(self.lines.items(), key=_order)]
        missing = [f"{goal} ({GOALS[goal]})" for goal in GOALS if not any(goal == g for g, _ in self.lines)]
        return "\n".join(
            [
                "# Reliability",
                "",
                "The enemy is the silent wrong number, not the crash. The test suite writes this page:",
                "what was tried for each goal, how often, and what failed. A count of 0 failures is a count,",
                "not a promise. The short form is that of every change; the long form is `make test-long`.",
                "",
                f"Python {platform.python_version()}, {platform.machine()}.",
                "",
                "| goal | what was tried | times | failed | open | skipped | form | date | notes |",
                "| --- | --- | ---: | ---: | ---: | ---: | --- | --- | --- |",
                *rows,
                "",
                *(["Never tried: " + "; ".join(missing) + ".", ""] if missing else []),
                "*open*: known defects, each with its reason in `tests/contract/table.py`; *skipped*: what "
                "the machine of the run lacks (a GPU).",
                "",
                "## Goals",
                "",
                *(f"- {goal}: {what}" for goal, what in GOALS.items()),
                "",
            ]
        )

    @staticmethod
    def _row(goal: str, what: str, line: Line) -> str:
        notes = "; ".join(dict.fromkeys(line.notes)).replace("|", "/")
        counts = " | ".join(f"{n:,}" for n in (line.tried, line.failed, line.open, line.skipped))
        return f"| {goal} | {what.replace('|', '/')} | {counts} | {line.form} | {line.date} | {notes} |"


def write_page(ledger: Ledger, path: Path, *, long: bool) -> None:
    """Write the page of a ledger."""
    ledger.kept(path, long=long)
    path.write_text(ledger.page(), encoding="utf-8")


def record(properties: list[tuple[str, object]], goal: str, what: str, **values: object) -> None:
    """Add a count to an item's properties, for the process that started pytest."""
    if goal not in GOALS:
        raise ValueError(f"goal must be one of {', '.join(GOALS)}; got {goal!r}.")
    properties.append((PROPERTY, {"goal": goal, "what": what, **values}))


def failures(found: Iterable[object]) -> list[str]:
    """Return what failed as text."""
    return [str(item) for item in found]


def _order(item: tuple[tuple[str, str], Line]) -> tuple[int, str]:
    goal, what = item[0]
    return list(GOALS).index(goal), what
