"""What a benchmark says, and the page that it is written to."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from .timing import Turns

__all__ = ["Result", "page"]

PACKAGES = (
    "neuroalign",
    "numpy",
    "scipy",
    "torch",
    "transformers",
    "xarray",
    "scikit-learn",
    "rsatoolbox",
    "mne-rsa",
    "himalaya",
)
COLUMNS = (
    "What",
    "Sizes",
    "Against",
    "Ratio of",
    "Ratio",
    "Floor",
    "Floor met",
    "Same numbers",
    "Runs",
    "Lowest to highest ratio",
    "CPU seconds of this run, in the ratio's order",
)
HEAD = """\
# Benchmarks

Written by `make bench`. Both sides of every row run in turn in one process, with {threads} thread, after one
run to warm up. Times are CPU times (user and system, all threads); a ratio is the median of the ratios of all
turns.

Machines differ: quote the ratios, not the seconds, and run it on yours. Peak memory is not measured. A floor
is the project's aim: those of extraction apply now, those of RDMs and ridge are for a later version.

Versions: {versions}.
"""


@dataclass(frozen=True)
class Result:
    """One row: what was timed against what, how it came out, and the bound it should keep."""

    what: str
    sizes: str
    against: str
    ratio_of: str
    turns: Turns
    same: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def floor(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"

    @property
    def met(self) -> str:
        if self.at_least is not None:
            return "yes" if self.turns.ratio >= self.at_least else "no"
        if self.at_most is not None:
            return "yes" if self.turns.ratio <= self.at_most else "no"
        return ""

    @property
    def cells(self) -> tuple[str, ...]:
        turns = self.turns
        spread = f"{turns.lowest:.3g} to {turns.highest:.3g}"
        seconds = " and ".join(f"{value:.2g}" for value in (turns.second, turns.first))
        ratio = f"**{turns.ratio:.3g}**"
        about = (self.what, self.sizes, self.against, self.ratio_of)
        return (*about, ratio, self.floor, self.met, self.same, str(turns.n_runs), spread, seconds)


def page(found: Mapping[Any, list[Result]], *, threads: int) -> str:
    """Return the page: for every benchmark module its docstring and a table of its results."""
    names = [f"{name} {version(name)}" for name in PACKAGES]
    versions = ", ".join([f"Python {platform.python_version()}", *names])
    parts = [HEAD.format(threads=threads, versions=versions)]
    for module, results in found.items():
        title, _, text = (inspect.getdoc(module) or "").partition("\n")
        parts.append(f"## {title.rstrip('.')}\n{text}\n\n{_table(results)}")
    return "\n".join(parts)


def _table(results: list[Result]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(result.cells for result in results)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
