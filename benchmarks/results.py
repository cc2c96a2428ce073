"""What a benchmark says, and the page that it is written to."""

from __future__ import annotations

import inspect
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from .timing import Turns

__all__ = ["Result", "page", "section", "title_of"]

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

Written by `make bench`. Both sides of every row run in turn in one process, with 1 thread, after one run to
warm up. Times are CPU times (user and system, all threads); a ratio is the median of the ratios of all turns.
A floor is the project's aim. Machines differ: quote the ratios, not the seconds, and run it on yours.

Nothing here was measured on a GPU: `python -m benchmarks.ridge_gpu` is ready for one.
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


def section(module: Any, results: list[Result] | str) -> str:
    """Return a benchmark's part of the page: its docstring, when and with what it ran, and its results."""
    title, _, text = (inspect.getdoc(module) or "").partition("\n")
    versions = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]
    )
    about = f"Measured on {datetime.now(UTC):%Y-%m-%d} on {platform.machine()}: {versions}."
    found = results if isinstance(results, str) else _table(results)
    return f"## {title.rstrip('.')}\n{text}\n\n{about}\n\n{found}"


def page(sections: Iterable[str], *, old: str = "", order: Sequence[str] = ()) -> str:
    """Return the page: the sections, and those of the old page that were not run again, in their order."""
    found = {_title(part): part for part in re.split(r"^(?=## )", old, flags=re.MULTILINE)[1:]}
    found |= {_title(part): part for part in sections}
    titles = [title for title in order if title in found]
    return "\n".join([HEAD, *(found[title].rstrip("\n") + "\n" for title in titles)])


def title_of(module: Any) -> str:
    """Return the heading of a benchmark's section."""
    return (inspect.getdoc(module) or "").partition("\n")[0].rstrip(".")


def _title(part: str) -> str:
    return part.partition("\n")[0].removeprefix("## ").strip()


def _table(results: list[Result]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(result.cells for result in results)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
