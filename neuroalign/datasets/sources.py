"""Where the files of a data set lie, and the proof that they are the right ones before they are read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import io
from ..errors import FileError, InvalidValueError, ShapeError, choice, listing

__all__ = ["MANIFEST", "Source", "find_root", "find_set", "manifest", "open_source", "pick", "read_numbers"]

MANIFEST = Path(__file__).with_name("manifest.json")


def manifest() -> io.Manifest:
    """Return the data sets that the package knows: where each comes from, its files and their SHA-256.

    Examples
    --------
    >>> manifest()["alice_fmri"].licence
    'CC-BY-4.0'
    """
    return io.read_manifest(MANIFEST)


def find_set(name: str) -> io.SetEntry:
    """Return the manifest's entry of a data set; an unknown name lists the known ones."""
    known = manifest()
    if name not in known:
        raise choice(name, known, name="data set")
    return known[name]


def find_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds one folder per data set.

    It is ``root``; where None, NEUROALIGN_DATA; where that is not set, NEUROALIGN_CACHE; else the user's
    cache folder.
    """
    given = root or os.environ.get("NEUROALIGN_DATA") or os.environ.get("NEUROALIGN_CACHE")
    if given:
        return Path(given).expanduser()
    import pooch

    return Path(pooch.os_cache("neuroalign"))


@dataclass
class Source:
    """A data set's folder, and the record of the files that were taken from it."""

    entry: io.SetEntry
    folder: Path
    used: dict[str, str] = field(default_factory=dict)

    def file(self, path: str) -> Path:
        """Return the full path of a file whose length and SHA-256 are right, and remember that it was used.

        Raises
        ------
        FileError
            If it is missing, of another length, or has another digest.
        """
        try:
            full = io.verify_file(self.folder, self.entry, path)
        except FileError as error:
            raise FileError(f"{error} {way_out(self.entry.name)}") from error
        self.used[path] = self.entry.files[path].sha256
        return full

    def matching(self, pattern: str) -> dict[str, str]:
        """Return the paths that a regular expression matches whole, by its first group, sorted."""
        found = ((re.fullmatch(pattern, path), path) for path in self.entry.files)
        return dict(sorted((match[1], path) for match, path in found if match))

    def attrs(self, **more: Any) -> dict[str, Any]:
        """Return what every loaded array carries: names, licence, citation, and one digest of the used files.

        ``digest`` is the SHA-256 of the lines that ``sha256sum`` prints for the files, sorted by path.
        """
        lines = "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(self.used.items()))
        words = {
            key: getattr(self.entry, key) for key in ("title", "licence", "cite", "repository", "commit")
        }
        digest = hashlib.sha256(lines.encode()).hexdigest()
        return {"dataset": self.entry.name, **words, "digest": digest, "n_files": len(self.used), **more}


def open_source(name: str, root: str | Path | None = None) -> Source:
    """Return the source of a data set, or say what was expected and both ways to get it."""
    entry = find_set(name)
    folder = find_root(root) / name
    if not folder.is_dir():
        n_bytes = sum(item.n_bytes for item in entry.files.values())
        raise FileError(
            f"{name}: the folder {folder} does not exist; {len(entry.files)} files with {n_bytes:,} bytes "
            f"are expected there. {way_out(name)}"
        )
    return Source(entry, folder)


def way_out(name: str) -> str:
    """Return the sentence that says how to get the files of a data set."""
    return (
        f"Set NEUROALIGN_DATA to a folder that holds a complete {name!r} folder, or download it with "
        f"neuroalign.datasets.fetch({name!r}) (`make figures` does)."
    )


def pick(asked: Sequence[str] | None, allowed: Sequence[str], *, name: str) -> list[str]:
    """Return the labels that were asked for, in that order; all of them where None.

    Raises
    ------
    InvalidValueError
        If a label is unknown or repeated, or there is none.
    ShapeError
        If one string is given in place of a list.
    """
    if asked is None:
        return list(allowed)
    if isinstance(asked, str):
        raise ShapeError(f"{name} must be a list; got the string {asked!r}. Pass [{asked!r}].")
    for label in asked:
        if label not in allowed:
            raise choice(label, allowed, name=f"each of {name}")
    repeated = sorted({label for label in asked if list(asked).count(label) > 1})
    if repeated or not len(asked):
        what = f"the repeated {listing(repeated)}" if repeated else "an empty list"
        raise InvalidValueError(f"{name} must name each label once; got {what}. Pass None for all.")
    return list(asked)


def read_numbers(source: Source, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers of a text file as float64, after checking the file, its shape and its values."""
    full = source.file(path)
    try:
        values = np.loadtxt(full, dtype=np.float64)
    except ValueError as error:
        raise FileError(f"{full} is not a table of numbers: {error}.") from error
    if values.shape != shape or not np.isfinite(values).all():
        raise FileError(f"{full} must hold finite numbers of shape {shape}; got shape {values.shape}.")
    return values
