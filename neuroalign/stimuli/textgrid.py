"""Praat TextGrid files (long text format): intervals of each tier, and the words of one tier."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import pandas as pd

from ..errors import FileError, InvalidValueError, LabelError, choice

__all__ = ["read_textgrid", "words_from_textgrid"]

NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
COUNT = r"([0-9]{1,9})"
TOLERANCE = 1e-6  # seconds; times that were scaled and shifted no longer meet to the last digit
ONE_TIME = r"(?:number|time)\s*=\s*" + NUMBER

Row = tuple[str, float, float, str]


def read_textgrid(path: str | Path) -> pd.DataFrame:
    r"""Return all intervals and points of a Praat TextGrid in the long text format.

    Parameters
    ----------
    path : path
        Written by Praat's "Save as text file": UTF-8, or UTF-16 with a byte order mark.

    Returns
    -------
    pandas.DataFrame
        One row an interval, tier by tier in the order of the file; columns ``tier``, ``onset`` and ``offset``
        (seconds), ``text`` (as it stands in the file, spaces included; empty for an unlabelled interval). A
        point of a point tier has its offset at its onset. ``attrs["tiers"]`` names all tiers, empty ones too.

    Raises
    ------
    FileError
        If the file is missing, not text, in another format, cut short or malformed: names the line, what was
        expected there and what came. Malformed are also times that are not finite, an interval that ends
        before it begins or begins before the last one ended, and two tiers of one name.

    Examples
    --------
    >>> import tempfile
    >>> lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", "xmax = 0.5"]
    >>> lines += ["tiers? <exists>", "size = 1", "item []:", "item [1]:", 'class = "IntervalTier"']
    >>> lines += ['name = "word"', "xmin = 0", "xmax = 0.5", "intervals: size = 1", "intervals [1]:"]
    >>> lines += ["xmin = 0", "xmax = 0.5", 'text = "Alice"']
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.TextGrid"
    ...     _ = path.write_text("\n".join(lines))
    ...     read_textgrid(path).values.tolist()
    [['word', 0.0, 0.5, 'Alice']]
    """
    lines = _Lines(Path(path))
    lines.match(r'File type\s*=\s*"ooTextFile"', 'File type = "ooTextFile" (a Praat text file)')
    lines.match(r'Object class\s*=\s*"TextGrid"', 'Object class = "TextGrid"')
    start, stop = lines.span()
    lines.match(r"tiers\?\s*<exists>", "tiers? <exists>")
    n_tiers = lines.count(r"size\s*=\s*", "size = <number of tiers>")
    lines.match(r"item\s*\[\s*\]\s*:", "item []:")
    rows: list[Row] = []
    names: list[str] = []
    for number in range(1, n_tiers + 1):
        rows += _tier(lines, number, names)
    lines.end()
    table = pd.DataFrame(rows, columns=["tier", "onset", "offset", "text"])
    table = table.astype({"tier": "str", "onset": "float64", "offset": "float64", "text": "str"})
    table.attrs = {"tiers": names, "start": start, "stop": stop}
    return table


def _tier(lines: _Lines, number: int, names: list[str]) -> list[Row]:
    lines.match(rf"item\s*\[\s*{number}\s*\]\s*:", f"item [{number}]:")
    kinds = r'class\s*=\s*"(IntervalTier|TextTier)"'
    is_interval = lines.match(kinds, 'class = "IntervalTier" or "TextTier"').group(1) == "IntervalTier"
    name = lines.quoted("name")
    if name in names:
        lines.fail("a tier name of its own", f"{name!r} a second time")
    names.append(name)
    start, stop = lines.span()
    noun = "intervals" if is_interval else "points"
    n_rows = lines.count(rf"{noun}\s*:\s*size\s*=\s*", f"{noun}: size = <number of {noun}>")
    rows: list[Row] = []
    for index in range(1, n_rows + 1):
        lines.match(rf"{noun}\s*\[\s*{index}\s*\]\s*:?", f"{noun} [{index}]:")
        onset, offset = lines.span() if is_interval else lines.point()
        if onset < start - TOLERANCE or offset > stop + TOLERANCE:
            lines.fail(f"times within the tier's {start:g} to {stop:g} s", f"{onset:g} to {offset:g} s")
        start = offset
        rows.append((name, onset, offset, lines.quoted("text" if is_interval else "mark")))
    return rows


class _Lines:
    """The lines of a file, one after the other; every mismatch is a FileError that names the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = _decode(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.number = 0

    def next(self, expected: str) -> str:
        """Return the next line that is not blank, without the spaces around it."""
        while self.number < len(self.lines):
            self.number += 1
            line = self.lines[self.number - 1].strip()
            if line:
                return line
        raise FileError(f"{self.path} ends after line {self.number}, where {expected} was expected.")

    def match(self, pattern: str, expected: str) -> re.Match[str]:
        line = self.next(expected)
        found = re.fullmatch(pattern, line)
        if found is None:
            self.fail(expected, _shown(line))
        return found

    def fail(self, expected: str, got: str) -> NoReturn:
        raise FileError(
            f"{self.path}, line {self.number}: expected {expected}; got {got}. Only Praat's long text format "
            "is read: in Praat, Save as text file."
        )

    def count(self, pattern: str, expected: str) -> int:
        return int(self.match(pattern + COUNT, expected).group(1))

    def time(self, pattern: str, expected: str) -> float:
        value = float(self.match(pattern, expected).group(1))
        if not math.isfinite(value):
            self.fail("a finite time", str(value))
        return value

    def span(self) -> tuple[float, float]:
        """Return the seconds of an ``xmin`` and an ``xmax`` line."""
        start = self.time(r"xmin\s*=\s*" + NUMBER, "xmin = <seconds>")
        stop = self.time(r"xmax\s*=\s*" + NUMBER, "xmax = <seconds>")
        if stop <= start:
            self.fail(f"xmax after xmin ({start:g} s)", f"{stop:g} s")
        return start, stop

    def point(self) -> tuple[float, float]:
        time = self.time(ONE_TIME, "number = <seconds>")
        return time, time

    def quoted(self, key: str) -> str:
        """Return the text of ``key = "..."``; inner quotes are doubled and line ends are allowed."""
        head = self.match(rf'({key}\s*=\s*").*', f'{key} = "..."').group(1)
        rest = self.lines[self.number - 1].lstrip().removeprefix(head)
        opened, parts = self.number, []
        while True:
            body, after = _split_quoted(rest)
            parts.append(body)
            if after is not None:
                break
            if self.number == len(self.lines):
                self.number = opened
                self.fail("a closing quote", "the end of the file")
            rest = self.lines[self.number]
            self.number += 1
        if after.strip():
            self.fail(f"nothing after the closing quote of {key}", _shown(after.strip()))
        return "\n".join(parts)

    def end(self) -> None:
        """Raise if anything but blank lines is left."""
        rest = [number for number, line in enumerate(self.lines, 1) if number > self.number and line.strip()]
        if rest:
            self.number = rest[0]
            self.fail("the end of the file", _shown(self.lines[self.number - 1].strip()))


def _split_quoted(rest: str) -> tuple[str, str | None]:
    """Return the text up to the closing quote and what follows it, or None where the quote stays open."""
    position = 0
    while True:
        position = rest.find('"', position)
        if position < 0:
            return rest.replace('""', '"'), None
        if rest[position : position + 2] != '""':
            return rest[:position].replace('""', '"'), rest[position + 1 :]
        position += 2


def _decode(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path} does not exist.") from None
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror or error}.") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path} is neither UTF-8 text nor UTF-16 with a byte order mark (byte {error.start}). In Praat, "
            "set Text writing preferences to UTF-8 and save again."
        ) from error


def _shown(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:57] + "...")


def words_from_textgrid(
    path: str | Path,
    tier: str = "word",
    *,
    shift: float = 0.0,
    skip: Collection[str] = ("sp", "sil", ""),
) -> pd.DataFrame:
    r"""Return the words on one tier of a Praat TextGrid, as a stimulus table.

    Parameters
    ----------
    path : path
        See ``read_textgrid``.
    tier : str
        The tier of the words.
    shift : float
        Seconds added to every time; -20.0 where the file has 20 s of silence before the scan began.
    skip : collection of str
        Labels that are pauses or noise, compared after spaces are taken off; those of the Penn Forced Aligner
        are the default.

    Returns
    -------
    pandas.DataFrame
        Columns ``stimulus`` (``w0000``.. in order of time), ``text`` (without spaces around it), ``onset``,
        ``offset`` (seconds). ``attrs["n_skipped"]`` counts the intervals left out.

    Raises
    ------
    FileError
        See ``read_textgrid``.
    InvalidValueError
        If there is no such tier (the error lists the tiers), or ``shift`` is not finite.
    LabelError
        If no word is left on the tier.

    Examples
    --------
    >>> import tempfile
    >>> lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "xmin = 0", "xmax = 2"]
    >>> lines += ["tiers? <exists>", "size = 1", "item []:", "item [1]:", 'class = "IntervalTier"']
    >>> lines += ['name = "word"', "xmin = 0", "xmax = 2", "intervals: size = 2"]
    >>> lines += ["intervals [1]:", "xmin = 0", "xmax = 1.5", 'text = "sp"']
    >>> lines += ["intervals [2]:", "xmin = 1.5", "xmax = 2", 'text = "Alice"']
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.TextGrid"
    ...     _ = path.write_text("\n".join(lines))
    ...     words_from_textgrid(path, "word", shift=-1.0).values.tolist()
    [['w0000', 'Alice', 0.5, 1.0]]
    """
    if not math.isfinite(shift):
        raise InvalidValueError(f"shift must be finite seconds; got {shift!r}.")
    if isinstance(skip, str):
        raise InvalidValueError(f"skip must be a list of labels; got one string, {skip!r}.")
    table = read_textgrid(path)
    if tier not in table.attrs["tiers"]:
        raise choice(tier, table.attrs["tiers"], name=f"tier of {path}")
    table = table[table["tier"] == tier]
    text = table["text"].str.strip()
    keep = ~text.isin(list(skip))
    if not keep.any():
        raise LabelError(f"{path}: no word is left of the {len(table)} intervals on tier {tier!r}.")
    n_words = int(keep.sum())
    width = max(4, len(str(n_words - 1)))
    words = pd.DataFrame(
        {
            "stimulus": [f"w{index:0{width}d}" for index in range(n_words)],
            "text": text[keep].to_numpy(),
            "onset": table.loc[keep, "onset"].to_numpy() + shift,
            "offset": table.loc[keep, "offset"].to_numpy() + shift,
        }
    )
    words.attrs = {"n_skipped": len(table) - n_words, "tier": tier, "shift": shift}
    return words
