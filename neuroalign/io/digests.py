"""SHA-256 of a file's bytes, and of a labelled array's content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import FileError, InvalidValueError

__all__ = ["content_digest", "file_digest", "plain_text"]


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror or error}.") from error


def plain_text(text: str) -> str:
    """Return text as Unicode that can be written.

    In a locale without its letters (LANG=C), Python hands on the bytes of a path or a word of the command
    line as code points of their own; here they become the letters that they are in UTF-8.

    Raises
    ------
    InvalidValueError
        If they are none.

    Examples
    --------
    >>> plain_text(bytes([195, 169]).decode("ascii", "surrogateescape"))
    'é'
    """
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise InvalidValueError(f"{text[:100]!a} is no Unicode text. Rename it.") from None


def content_digest(x: xr.DataArray | xr.Dataset) -> str:
    """Return the SHA-256 of an array's content: names, dims, dtypes, values, coordinates, attributes.

    Memory layout, chunks and byte order do not matter; the provenance that ``io.save`` writes stays outside.
    """
    dataset = x.to_dataset(name="__array__") if isinstance(x, xr.DataArray) else x
    sha = hashlib.sha256()
    head = {"kind": type(x).__name__, "name": str(getattr(x, "name", "")), "attrs": dataset.attrs}
    sha.update(canonical_json(head).encode())
    for name in sorted(map(str, dataset.variables)):
        _update(sha, name, dataset.variables[name])
    return sha.hexdigest()


def _update(sha: Any, name: str, variable: xr.Variable) -> None:
    values = np.asarray(variable.values)
    if values.dtype.kind in "OUT":
        try:
            content, kind = "\x1f".join(as_text(values, name).ravel()).encode(), "str"
        except UnicodeEncodeError as error:
            odd = ascii(error.object[max(error.start - 20, 0) : error.end + 20])
            raise InvalidValueError(f"{name!r} holds {odd}, which is no Unicode text.") from None
    elif values.dtype.kind in "fiub":
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        content, kind = np.ascontiguousarray(little).tobytes(), values.dtype.str.lstrip("<>=|")
    else:
        raise InvalidValueError(
            f"{name!r} has dtype {values.dtype}, which is not stored; use numbers or text."
        )
    head = {"name": name, "dims": list(variable.dims), "shape": list(values.shape), "kind": kind}
    sha.update(canonical_json({**head, "attrs": variable.attrs}).encode())
    sha.update(content)


def as_text(values: np.ndarray, name: str) -> np.ndarray:
    """Return text of any of numpy's three kinds as fixed-width text; refuse what is no text."""
    if values.dtype.kind == "U":
        return values
    plain = values.astype(object)
    other = [item for item in plain.ravel() if not isinstance(item, str)]
    if other:
        raise InvalidValueError(f"{name!r} holds {other[0]!r}, which is neither a number nor text.")
    return plain.astype(np.str_)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces; numpy values become plain ones."""

    def plain(item: Any) -> Any:
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        if isinstance(item, tuple | set | frozenset):
            return list(item)
        if isinstance(item, Path):
            return item.as_posix()
        raise InvalidValueError(f"attributes must be plain values; got {type(item).__name__} {item!r}.")

    return plain_text(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain)
    )
