"""What ``neuroalign compare`` does: two runs side by side, as a page, as lines, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from .. import io
from ..errors import InvalidValueError
from .reporting.comparison import compare_runs, comparison_page

__all__ = ["compare_results"]


def compare_results(
    a: Path, b: Path, *, out: Path | None, as_json: bool, tolerance: float = 0.0
) -> tuple[str, bool]:
    """Return what is said of two runs, and whether their tables are the same; write the page.

    Parameters
    ----------
    a, b : Path
        Results of a study, such as ``results/demo``.
    out : Path, optional
        Where the page is written.
    as_json : bool
        Whether what is said is JSON.
    tolerance : float
        Numbers that differ by no more are the same.

    Raises
    ------
    InvalidValueError
        If the tolerance is negative or no number.
    FileError
        If a folder holds no results of one study, or a figure is not whole.
    """
    if not tolerance >= 0:
        raise InvalidValueError(f"--tolerance must be 0 or more; got {tolerance}.")
    found = compare_runs(a, b, tolerance=tolerance)
    if out is not None:
        io.write_text(comparison_page(found), out)
    if as_json:
        return json.dumps(found.summary(), indent=1), found.same
    last = ["the tables are the same" if found.same else "the tables differ"]
    return "\n".join([*found.lines(), *last, *([f"page: {out}"] if out else [])]), found.same
