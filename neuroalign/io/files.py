"""Atomic writing and strict reading of whole files.

A file under its final name is the complete old version or the complete new one: everything is written to a
temporary name in the same folder, synced, renamed, and the folder is synced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import FileError, NeuroalignError
from .digests import plain_text
from .parsing import refuse_ragged

__all__ = [
    "json_bytes",
    "make_folder",
    "read_json",
    "read_table",
    "read_text",
    "remove_leftovers",
    "write_bytes",
    "write_files",
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
    with _together([Path(path)]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def _together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give temporary paths; rename them when the block ends well and all of them are on the disk."""
    begun: dict[Path, Path] = {}
    path = paths[0]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX + path.suffix, dir=path.parent)
            begun[path] = Path(name)
            os.close(handle)
            begun[path].chmod(0o666 & ~_umask())
        yield list(begun.values())
        for path in paths:
            sync(begun[path])
        for path in paths:
            begun[path].replace(path)
            del begun[path]
        for folder in dict.fromkeys(path.parent for path in paths):
            sync(folder)
    except NeuroalignError:
        raise
    except (OSError, UnicodeEncodeError) as error:  # the latter: letters that the locale cannot name
        raise FileError(f"{path} could not be written: {getattr(error, 'strerror', error)}.") from error
    finally:
        for temporary in begun.values():
            with contextlib.suppress(OSError):
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
    write_files({path: content})


def write_files(contents: Mapping[str | Path, bytes]) -> None:
    """Write files that belong together: none has its name before all of them are whole on the disk.

    A process that is killed while they are renamed leaves some old and some new; what names the digests of
    the others belongs last.
    """
    paths = [Path(path) for path in contents]
    with _together(paths) as temporaries:
        for path, temporary, content in zip(paths, temporaries, contents.values(), strict=True):
            try:
                temporary.write_bytes(content)
            except OSError as error:
                raise FileError(f"{path} could not be written: {error.strerror or error}.") from error


def write_text(text: str, path: str | Path) -> None:
    """Write text to ``path`` atomically, as UTF-8."""
    write_bytes(plain_text(text).encode("utf-8"), path)


def write_json(value: Any, path: str | Path) -> None:
    """Write a value to ``path`` as JSON with sorted keys; NaN and infinity become null."""
    write_bytes(json_bytes(value), path)


def json_bytes(value: Any) -> bytes:
    """Return what ``write_json`` writes."""
    said = json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False)
    return (plain_text(said) + "\n").encode("utf-8")


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
    write_bytes(table_bytes(table), path)


def table_bytes(table: pd.DataFrame) -> bytes:
    """Return what ``write_table`` writes."""
    buffer = StringIO()
    table.to_csv(buffer, sep="\t", index=False, float_format="%.9g", na_rep="n/a", lineterminator="\n")
    return plain_text(buffer.getvalue()).encode("utf-8")


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file; one that is missing or of another encoding is a FileError."""
    return _decoded(read_bytes(path), path)


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of a file; one that is missing or cannot be read is a FileError."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path} does not exist.") from None
    except (OSError, UnicodeEncodeError) as error:
        raise FileError(f"{path} could not be read: {getattr(error, 'strerror', error)}.") from error


def _decoded(content: bytes, path: str | Path) -> str:
    try:
        return StringIO(content.decode("utf-8"), newline=None).read()
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 text (byte {error.start}).") from error


def refuse_other_bytes(path: str | Path, found: str, *, key: str = "sha256") -> None:
    """Refuse a file whose provenance, if it lies beside, names another SHA-256 under a key.

    The provenance of ``figure1.tsv`` and of ``v1.nii.gz`` is ``figure1.provenance.json`` and
    ``v1.provenance.json``.
    """
    path = Path(path)
    about = path.with_name(path.name.removesuffix(".gz"))
    about = about.with_name(f"{about.stem}.provenance.json")
    record = read_json(about) if about.is_file() else None
    expected = record.get(key) if isinstance(record, dict) else None
    if expected is not None and expected != found:
        raise FileError(
            f"{path} is damaged or was changed: it has SHA-256 {found[:16]}..., expected "
            f"{str(expected)[:16]}... ({about.name} beside it). Make both again, or, where it was changed on "
            f"purpose, remove {about.name}."
        )


def refuse_huge(path: Path, name: object, shape: Sequence[int], itemsize: int) -> None:
    """Refuse an array that says it is larger than the (uncompressed) file that it stands in."""
    size = path.stat().st_size
    if math.prod(map(int, shape)) * itemsize > size:
        raise FileError(
            f"{path} is damaged: {name!r} is said to be {tuple(map(int, shape))}, which the {size} bytes of "
            "the file cannot hold."
        )


def read_json(path: str | Path) -> Any:
    """Return the value in a JSON file; one that is missing or damaged is a FileError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
        raise FileError(f"{path} is not JSON: {error}.") from error


def read_table(path: str | Path, *, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a TSV table (as ``write_table`` writes it); columns named in ``text`` stay strings.

    Only ``n/a`` is read as missing, and never in a column named in ``text``. Where a provenance beside names
    the table's SHA-256 (``x.provenance.json`` beside ``x.tsv``), a table with another one is a FileError.
    """
    content = read_bytes(path)
    refuse_other_bytes(path, hashlib.sha256(content).hexdigest())
    decoded = _decoded(content, path)
    refuse_ragged(decoded, path)
    try:
        table = pd.read_csv(
            StringIO(decoded),
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
