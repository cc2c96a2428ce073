"""Atomic writing and strict reading of whole files.

A file under its final name is the complete old version or the complete new one: everything is written to a
temporary name in the same folder, synced, renamed, and the folder is synced.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import FileError, NeuroalignError

__all__ = [
    "make_folder",
    "read_json",
    "read_table",
    "read_text",
    "remove_leftovers",
    "write_bytes",
    "write_json",
    "write_table",
    "write_text",
    "writing",
]

# what the readers of HDF5, netCDF and JSON raise on bytes that are not what they seem
DAMAGED = (
    ArithmeticError,  # sizes that overflow
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

PREFIX, SUFFIX, JOURNAL = ".neuroalign-", ".partial", ".journal"


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; rename it to ``path`` when the block ends well.

    When the block raises, the temporary file is removed and the old file stays as it was. The temporary name
    keeps the extension of ``path``, since some writers choose the format by it.

    Raises
    ------
    FileError
        If the folder or the file cannot be written; names the path and the cause.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX + path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        sync(temporary)
        temporary.replace(path)
        temporary = None
        sync(path.parent)
    except NeuroalignError:
        raise
    except OSError as error:
        raise FileError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: str | Path) -> Path:
    """Return ``path`` as a folder that exists; one that cannot be made is a FileError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {path} could not be made: {error.strerror or error}.") from error
    return Path(path)


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Remove temporary files that a killed process left below ``folder``; return their paths.

    A partial file that can be gone on with stays, together with its journal.
    """
    found = sorted(Path(folder).rglob(f"{PREFIX}*{SUFFIX}*"))
    journals = {path.with_suffix("") for path in found if path.suffix == JOURNAL}
    halves = {path.with_suffix("") for path in found if path.suffix != JOURNAL}
    removed = [path for path in found if path.with_suffix("") not in journals & halves]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def write_bytes(content: bytes, path: str | Path) -> None:
    """Write bytes to ``path`` atomically."""
    with writing(path) as temporary:
        temporary.write_bytes(content)


def write_text(text: str, path: str | Path) -> None:
    """Write text to ``path`` atomically, as UTF-8."""
    write_bytes(text.encode("utf-8"), path)


def write_json(value: Any, path: str | Path) -> None:
    """Write a value to ``path`` as JSON with sorted keys; NaN and infinity become null."""
    write_text(json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False) + "\n", path)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table to ``path`` as TSV, floats with 9 significant digits, undefined values as ``n/a``.

    ``n/a`` is BIDS's word for a missing value.
    """
    buffer = BytesIO()
    table.to_csv(buffer, sep="\t", index=False, float_format="%.9g", na_rep="n/a", lineterminator="\n")
    write_bytes(buffer.getvalue(), path)


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file; one that is missing or of another encoding is a FileError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileError(f"{path} does not exist.") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror or error}.") from error


def read_json(path: str | Path) -> Any:
    """Return the value in a JSON file; one that is missing or damaged is a FileError."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FileError(f"{path} is not JSON: {error}.") from error


def read_table(path: str | Path, *, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a TSV table (as ``write_table`` writes it); columns named in ``text`` stay strings.

    Only ``n/a`` is read as missing, and never in a column named in ``text``.
    """
    from io import StringIO

    content = read_text(path)
    try:
        table = pd.read_csv(
            StringIO(content),
            sep="\t",
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values={},
            quoting=0,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise FileError(f"{path} is not a table of tab-separated values: {error}") from error
    for column in table.columns.difference(list(text)):
        if pd.api.types.is_string_dtype(table[column]) and (table[column] == "n/a").any():
            values = table[column].where(table[column] != "n/a")
            try:
                table[column] = pd.to_numeric(values)
            except ValueError:
                table[column] = values
    return table
