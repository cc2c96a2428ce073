"""Stimulus tables: one row a stimulus, labelled by the column ``stimulus``."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .. import io
from ..errors import FileError, InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import labels

__all__ = ["check_columns", "check_table", "contrast", "lower_case", "parse_table", "read_table"]

DELIMITERS = {".tsv": "\t", ".csv": ","}
TEXT_COLUMNS = ("stimulus", "text")
MISSING = "n/a"
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?")


def read_table(path: str | Path, *, columns: Sequence[str] = ()) -> pd.DataFrame:
    r"""Return the stimulus table in a TSV or CSV file.

    ``stimulus`` and ``text`` are always text: the words "NA", "null" and "nan" stay words, and "007" stays
    "007". Another column becomes numbers where every value is one; ``n/a`` among numbers is NaN.

    Parameters
    ----------
    path : path
        UTF-8, ends in ``.tsv`` or ``.csv``, first line the names of the columns. A field with a quote, the
        delimiter or a line end in it stands in double quotes, inner quotes doubled, as ``io.write_table`` and
        pandas write it.
    columns : sequence of str
        Columns that must be there besides ``stimulus``.

    Raises
    ------
    FileError
        If the file is missing, not UTF-8, has another ending, or a line with too few or too many fields.
    LabelError
        If a column is missing, or the labels in ``stimulus`` are empty or repeated; names the file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "words.tsv"
    ...     _ = path.write_text("stimulus\ttext\tlength\ns1\tNA\t2\ns2\tyes\t3\n")
    ...     read_table(path)["text"].tolist()
    ['NA', 'yes']
    """
    return check_table(parse_table(Path(path)), columns, name=str(path))


def parse_table(path: Path) -> pd.DataFrame:
    """Return the columns of a TSV or CSV file, whatever they are; see ``read_table``."""
    if path.suffix.lower() not in DELIMITERS:
        raise FileError(f"{path} must end in {listing(DELIMITERS)}; got {path.suffix!r}.")
    rows = _rows(path, DELIMITERS[path.suffix.lower()])
    if not rows:
        raise FileError(f"{path} is empty; its first line must name the columns.")
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        raise FileError(
            f"{path}: column names must be unique and not empty; got {listing(header, limit=50)}."
        )
    fields = zip(*rows[1:], strict=True) if rows[1:] else [()] * len(header)
    columns = {name: _typed(name, list(values)) for name, values in zip(header, fields, strict=True)}
    return pd.DataFrame(columns)


def _rows(path: Path, delimiter: str) -> list[list[str]]:
    lines = io.read_text(path).removeprefix("\ufeff").split("\n")
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if rows and row and len(row) != len(rows[0]):
                raise FileError(
                    f"{path}, line {reader.line_num}: expected {len(rows[0])} fields, got {len(row)}."
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        raise FileError(
            f"{path}, line {reader.line_num}: {error}. A field that contains a double quote must stand in "
            "double quotes, with the inner ones doubled."
        ) from error
    return rows


def _typed(name: str, values: list[str]) -> Any:
    given = [value for value in values if value != MISSING]
    if name in TEXT_COLUMNS or not given or not all(map(FLOAT.fullmatch, given)):
        return pd.Series(values, dtype="str")
    if len(given) == len(values) and all(map(INTEGER.fullmatch, given)):
        return [int(value) for value in values]
    return [float("nan") if value == MISSING else float(value) for value in values]


def check_table(table: pd.DataFrame, columns: Sequence[str] = (), *, name: str = "table") -> pd.DataFrame:
    """Return ``table`` unchanged if it is a stimulus table, else raise.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a stimulus, with a column ``stimulus`` of unique, non-empty text.
    columns : sequence of str
        Columns that must be there besides. If ``text`` is one, no text may be blank.
    name : str
        What the errors call it.

    Raises
    ------
    ShapeError
        If it is no DataFrame or has no rows.
    LabelError
        If a column is missing or there twice, or labels are missing, blank, repeated or not text.
    InvalidValueError
        If ``text`` is asked for and a text is blank or not text.

    Examples
    --------
    >>> check_table(pd.DataFrame({"stimulus": ["s1", "s2"]}), ["text"], name="mine")
    Traceback (most recent call last):
        ...
    neuroalign.errors.LabelError: mine lacks the column 'text'; it has 'stimulus'.
    """
    if not isinstance(table, pd.DataFrame):
        raise ShapeError(f"{name} must be a pandas.DataFrame; got {type(table).__name__}.")
    check_columns(table, ("stimulus", *columns), name=name)
    if not len(table):
        raise ShapeError(f"{name} has no rows; at least one stimulus is needed.")
    found = labels(table, name=name).tolist()
    blank = _not_text(found)
    if blank:
        raise LabelError(f"{name}: 'stimulus' must be non-empty text; {_first(blank, found)}.")
    if "text" in columns:
        texts = table["text"].tolist()
        blank = _not_text(texts)
        if blank:
            raise InvalidValueError(f"{name}: 'text' must be non-empty text; {_first(blank, texts)}.")
    return table


def check_columns(table: pd.DataFrame, columns: Sequence[str], *, name: str) -> None:
    """Raise a LabelError that names the columns that are missing or there twice."""
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()].unique()
        raise LabelError(f"{name} has columns of the same name: {listing(twice)}.")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        has = listing(table.columns, limit=50) or "none"
        raise LabelError(f"{name} lacks the {noun} {listing(missing, limit=50)}; it has {has}.")


def _not_text(values: Sequence[Any]) -> list[int]:
    return [i for i, value in enumerate(values) if not (isinstance(value, str) and value.strip())]


def _first(positions: list[int], values: Sequence[Any]) -> str:
    value = values[positions[0]]
    return f"got {value!r} in row {positions[0]} ({len(positions)} of {len(values)} rows)"


def lower_case(table: pd.DataFrame, *, column: str = "text") -> pd.DataFrame:
    """Return a copy of ``table`` with one column in lower case.

    Raises
    ------
    LabelError
        If there is no such column.

    Examples
    --------
    >>> lower_case(pd.DataFrame({"stimulus": ["s1"], "text": ["A DOG"]}))["text"][0]
    'a dog'
    """
    check_columns(table, (column,), name="table")
    lower = table.assign(**{column: table[column].str.lower()})
    lower.attrs = dict(table.attrs)
    return lower


def contrast(
    table: pd.DataFrame,
    positive: str = "sentence",
    negative: str = "nonword",
    *,
    column: str = "condition",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stimuli of two conditions, each as its own table in the order of ``table``.

    Parameters
    ----------
    table : pandas.DataFrame
        A stimulus table with the condition of each stimulus.
    positive, negative : str
        The condition that is expected to be stronger, and the one it is compared with. The language localizer
        is the default.
    column : str
        Where the conditions stand.

    Returns
    -------
    pandas.DataFrame, pandas.DataFrame
        The positive and the negative rows, numbered anew from 0.

    Raises
    ------
    LabelError
        If the column is missing, or the table is no stimulus table.
    InvalidValueError
        If no stimulus has the condition (the error lists the conditions there are), or both are the same.

    Examples
    --------
    >>> from neuroalign.stimuli import localizer
    >>> sentences, nonwords = contrast(localizer(), "sentence", "nonword")
    >>> len(sentences), len(nonwords)
    (96, 96)
    """
    check_table(table, (column,))
    if positive == negative:
        raise InvalidValueError(f"positive and negative must be two conditions; got {positive!r} twice.")
    conditions = table[column].drop_duplicates().tolist()
    for side, condition in (("positive", positive), ("negative", negative)):
        if condition not in conditions:
            raise choice(condition, conditions, name=side)
    positives = table[table[column] == positive].reset_index(drop=True)
    negatives = table[table[column] == negative].reset_index(drop=True)
    return positives, negatives
