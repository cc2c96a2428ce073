"""Other people's parsers, bounded: what they raise on damaged bytes, and what they would take for values."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from ..errors import FileError, NeuroalignError, listing

__all__ = ["parsing", "refuse_ragged"]

# pandas needs a minute for a table of 50,000 columns.
MOST_COLUMNS = 10_000


@contextlib.contextmanager
def parsing(said: str) -> Iterator[None]:
    """Turn whatever a parser raises into a FileError that begins with ``said``.

    Parsers of nibabel, mne, scipy and h5py raise errors of every kind on damaged bytes, a bare ``Exception``
    and ``UnboundLocalError`` among them, so that no list of kinds is complete. Only the call of a parser
    belongs inside.

    Examples
    --------
    >>> with parsing("a.mat is no MATLAB file"):
    ...     {}["Y"]
    Traceback (most recent call last):
        ...
    neuroalign.errors.FileError: a.mat is no MATLAB file: KeyError: 'Y'.
    """
    try:
        yield
    except NeuroalignError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:300].rstrip(".")
        kind = "" if isinstance(error, OSError | ValueError) and words else f"{type(error).__name__}: "
        raise FileError(f"{said}: {kind}{words}.") from error


def refuse_ragged(text: str, path: str | Path) -> None:
    r"""Refuse a tab-separated table with rows of too few or too many fields, or columns of one name.

    pandas takes a first field too many for an index, which moves every value by one column; it fills up short
    rows, and renames columns that come twice.

    Examples
    --------
    >>> refuse_ragged("onset\tduration\n1\t2\t3\n", "x.tsv")
    Traceback (most recent call last):
        ...
    neuroalign.errors.FileError: x.tsv is not a table of tab-separated values: line 2 has 3 fields, not 2.
    """
    reader = csv.reader(StringIO(text), delimiter="\t")
    try:
        header = next((row for row in reader if row), [])
        for row in reader:
            if row and len(row) != len(header):
                what = f"line {reader.line_num} has {len(row)} fields, not {len(header)}"
                raise FileError(f"{path} is not a table of tab-separated values: {what}.")
    except csv.Error as error:
        raise FileError(f"{path}, line {reader.line_num}: {error}.") from error
    if len(header) > MOST_COLUMNS:
        raise FileError(
            f"{path} has {len(header):,} columns; a table has {MOST_COLUMNS:,} at most. Save it with io.save."
        )
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        raise FileError(f"{path}: columns need names of their own; {listing(twice)} come more than once.")
