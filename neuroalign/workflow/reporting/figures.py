"""A finished figure as files: caption, notes, provenance, table, and the files themselves as data."""

from __future__ import annotations

import base64
import csv
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ... import io
from ...errors import FileError
from ...io.parsing import refuse_ragged
from .facts import Facts

__all__ = ["Figure", "data_uri", "read_figure"]

# Rows of a table that a page shows; the file to download holds them all.
MAX_ROWS = 1000
KINDS = {"png": "image/png", "pdf": "application/pdf", "tsv": "text/tab-separated-values"}


@dataclass(frozen=True)
class Figure:
    """A figure below ``folder``, read."""

    folder: Path
    number: int
    about: dict[str, Any]
    header: list[str]
    cells: list[list[str]]

    @property
    def title(self) -> str:
        """What the figure is called."""
        return str(self.about["title"])

    @property
    def caption(self) -> str:
        """What is under it."""
        return str(self.about["caption"])

    @property
    def alt(self) -> str:
        """What the image is called, and the first sentence of its caption."""
        return f"Figure {self.number}: {self.title}. {re.split(r'(?<=[.]) ', self.caption, maxsplit=1)[0]}"

    @property
    def notes(self) -> dict[str, Any]:
        """Counts and facts of the step that made the values."""
        return dict(self.about["notes"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, digests, parameters, seed, threads, device."""
        return dict(self.about["provenance"])

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that made the values, without the study's name."""
        return {name: value for name, value in self.provenance["params"].items() if name != "study"}

    @property
    def simulated(self) -> bool:
        """Whether the values come from simulated data."""
        return bool(self.notes.get("simulated", False))

    @property
    def rows(self) -> list[list[str]]:
        """The first rows, with numbers short enough to read."""
        return [[_short(cell) for cell in row] for row in self.cells[:MAX_ROWS]]

    @property
    def digest(self) -> str:
        """SHA-256 of the table."""
        return io.file_digest(self.path("tsv"))

    def path(self, extension: str) -> Path:
        """One of its files."""
        return self.folder / f"figure{self.number}.{extension}"

    def uri(self, extension: str) -> str:
        """A file as a data URI."""
        return data_uri(_bytes(self.path(extension)), KINDS[extension])

    def facts(self) -> Facts:
        """What sentences are made from."""
        return Facts(io.read_table(self.path("tsv")), self.notes, self.provenance["params"])


def read_figure(folder: Path, number: int) -> Figure:
    """Return a figure, once each of its files is there and the table is the one that was drawn.

    Raises
    ------
    FileError
        If a file is missing, or the table has another digest than its caption was made for.
    """
    path = folder / f"figure{number}.json"
    about = io.read_json(path)
    if not isinstance(about, dict):
        raise FileError(f"{path} must hold a mapping; got {type(about).__name__}.")
    missing = [key for key in ("title", "caption", "notes", "provenance") if key not in about]
    missing += [key for key in ("notes", "provenance") if not isinstance(about.get(key, {}), dict)]
    if missing:
        raise FileError(f"{path} has no {', '.join(missing)}; run the study again to draw the figure.")
    rows = _rows(folder / f"figure{number}.tsv")
    found = Figure(folder, number, about, rows[0], rows[1:])
    if about.get("sha256", found.digest) != found.digest:
        raise FileError(
            f"{found.path('tsv')} is not the table that figure {number} was drawn from: its digest is "
            f"{found.digest[:12]}, and {str(about['sha256'])[:12]} was drawn. `neuroalign resume` makes it "
            "again."
        )
    for extension in ("png", "pdf"):
        _bytes(found.path(extension))
    return found


def _rows(path: Path) -> list[list[str]]:
    """Return the fields of a table, its header first."""
    text = io.read_text(path)
    refuse_ragged(text, path)
    rows = [row for row in csv.reader(StringIO(text), delimiter="\t") if row]
    if not rows:
        raise FileError(f"{path} is empty; run the study again to draw the figure.")
    return rows


def data_uri(content: bytes, kind: str) -> str:
    """Return bytes as a link that holds them.

    Examples
    --------
    >>> data_uri(b"a", "text/plain")
    'data:text/plain;base64,YQ=='
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror or error}.") from error


def _short(cell: str) -> str:
    try:
        return cell if float(cell) == int(float(cell)) else f"{float(cell):.4g}"
    except (ValueError, OverflowError):
        return cell
