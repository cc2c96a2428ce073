"""Manifests of data sets: which files, from where, how long, with which SHA-256."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import FileError, InvalidValueError, UnsafeError, choice
from .digests import file_digest
from .files import read_json

__all__ = ["FileEntry", "Manifest", "SetEntry", "read_manifest", "verify_file"]


@dataclass(frozen=True)
class FileEntry:
    """One file: its path below the data set's folder, its length, its digest, where it stands upstream."""

    path: str
    n_bytes: int
    sha256: str
    upstream: str | None


@dataclass(frozen=True)
class SetEntry:
    """One data set: repository and commit to download from, licence, how to cite, its files."""

    name: str
    title: str
    repository: str
    commit: str
    licence: str
    cite: str
    files: dict[str, FileEntry]


Manifest = dict[str, SetEntry]


def read_manifest(path: str | Path) -> Manifest:
    """Return the data sets of a manifest, by name.

    Raises
    ------
    FileError
        If the file is missing or is not a manifest.
    UnsafeError
        If a path in it is absolute or climbs out of its folder.
    """
    value = read_json(path)
    try:
        return {name: _set(name, entry) for name, entry in value["datasets"].items()}
    except (KeyError, TypeError, AttributeError, InvalidValueError) as error:
        raise FileError(f"{path} is not a data manifest: {type(error).__name__} {error}.") from error


def _set(name: str, entry: dict[str, Any]) -> SetEntry:
    files = {path: _file(path, item) for path, item in entry["files"].items()}
    confined(name)
    words = {key: str(entry[key]) for key in ("title", "repository", "commit", "licence", "cite")}
    return SetEntry(name=name, files=files, **words)


def _file(path: str, entry: dict[str, Any]) -> FileEntry:
    upstream = entry.get("upstream")
    confined(path)
    if upstream is not None:
        confined(upstream)
    sha256, n_bytes = entry["sha256"], entry["bytes"]
    if not (isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256)):
        raise InvalidValueError(f"{path}: sha256 must be 64 hex digits; got {sha256!r}")
    if not isinstance(n_bytes, int) or n_bytes < 0:
        raise InvalidValueError(f"{path}: bytes must be a count; got {n_bytes!r}")
    return FileEntry(path=path, n_bytes=n_bytes, sha256=sha256, upstream=upstream)


def confined(path: str) -> str:
    """Return a relative path unchanged; refuse one that is absolute or climbs out of its folder."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise UnsafeError(f"a manifest names the path {path!r}, which leaves its folder.")
    return path


def verify_file(folder: str | Path, entry: SetEntry, path: str) -> Path:
    """Return the path of a data set's file below ``folder`` after checking its length and SHA-256.

    Raises
    ------
    FileError
        If it is missing, of another length, or has another digest.
    UnsafeError
        If a symbolic link leads out of the folder.
    """
    if path not in entry.files:
        raise choice(path, entry.files, name=f"file of {entry.name!r}")
    expected, full = entry.files[path], Path(folder) / path
    # first of all, since who finds a file missing may write it
    if not full.resolve().is_relative_to(Path(folder).resolve()):
        raise UnsafeError(f"{entry.name}: {full} is a link that leads out of {folder}, or below one.")
    if not full.is_file():
        raise FileError(f"{entry.name}: {full} is missing ({expected.n_bytes} bytes expected).")
    size = full.stat().st_size
    if size != expected.n_bytes:
        raise FileError(f"{entry.name}: {full} has {size} bytes; {expected.n_bytes} were expected.")
    found = file_digest(full)
    if found != expected.sha256:
        raise FileError(
            f"{entry.name}: {full} has SHA-256 {found[:16]}..., expected {expected.sha256[:16]}..."
        )
    return full
