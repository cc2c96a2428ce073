"""How sizes, durations and tables are said to people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

__all__ = ["said_duration", "said_range", "said_size", "table_lines"]


def said_size(n_bytes: float) -> str:
    """Return a number of bytes in MB or GB.

    Examples
    --------
    >>> said_size(5e6), said_size(2.5e8), said_size(1.25e9)
    ('5.0 MB', '250 MB', '1.2 GB')
    """
    if math.isnan(n_bytes):
        return "not known"
    if n_bytes >= 1e9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e7 else f"{n_bytes / 1e6:.0f} MB"


def said_duration(seconds: float) -> str:
    """Return a duration in the unit that fits, without false precision.

    Examples
    --------
    >>> said_duration(42.4), said_duration(200), said_duration(7300), said_duration(float("nan"))
    ('42 s', '3 min', '2.0 h', 'not known')
    """
    if math.isnan(seconds):
        return "not known"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def said_range(seconds: float, spread: float) -> str:
    """Return the durations between which another may lie, a factor either way.

    Examples
    --------
    >>> said_range(240, 2), said_range(60, 2)
    ('2 to 8 min', '30 s to 2 min')
    """
    low, high = said_duration(seconds / spread).split(), said_duration(seconds * spread).split()
    return f"{low[0]} to {high[0]} {high[1]}" if low[1] == high[1] else f"{' '.join(low)} to {' '.join(high)}"


def table_lines(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table's lines: two columns of words to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join(["", *left, *right]).rstrip()
