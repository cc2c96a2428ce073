"""``fetch`` downloads a data set file by file; ``available`` and ``information`` say what there is."""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from .. import io
from ..errors import FileError, UnsafeError
from .loading import LOADERS
from .sources import MANIFEST, find_root, find_set, manifest

__all__ = ["available", "fetch", "information"]

HOST = "https://raw.githubusercontent.com"


def fetch(name: str, *, root: str | Path | None = None, progress: bool = True) -> Path:
    """Download what is missing of a data set and return its folder.

    Files whose length and SHA-256 are right stay as they are, so that an interrupted download goes on at the
    next file. A file appears under its name only when it is complete and its SHA-256 is the manifest's.

    Parameters
    ----------
    name : str
        A data set of the manifest; see ``available``.
    root : path, optional
        The folder that holds one folder per data set; as in ``load`` where None.
    progress : bool
        Whether to show a bar over files on standard error.

    Raises
    ------
    InvalidValueError
        If the name is unknown; lists what there is.
    FileError
        If a file cannot be downloaded or written, or is not the one in the manifest.
    UnsafeError
        If the manifest names no plain repository and commit.

    Examples
    --------
    >>> from neuroalign import datasets
    >>> datasets.fetch("langloc_stimuli")  # doctest: +SKIP
    """
    from tqdm import tqdm

    entry = find_set(name)
    _refuse_odd_source(entry)
    folder = find_root(root) / name
    wanted = [item for item in entry.files.values() if item.upstream is not None]
    with _quiet_pooch():
        for item in tqdm(wanted, desc=name, unit="file", disable=not progress):
            if not _is_right(folder, entry, item.path):
                _download(folder, entry, item)
    return folder


def available(*, root: str | Path | None = None) -> pd.DataFrame:
    """Return a table of the data sets, one row each, sorted by name.

    Columns: name, title, modality (words joined by a comma), licence, n_files, n_bytes, loader (whether
    ``load`` knows it), present (whether every file is there with the right length; digests are checked when
    files are used). SOURCE.md, which is not downloaded, does not count.

    Examples
    --------
    >>> sorted(available(root="nowhere")["name"])[:2]
    ['alice_fmri', 'blimp']
    """
    raw = io.read_json(MANIFEST)["datasets"]
    rows = []
    for name, entry in sorted(manifest().items()):
        files = [item for item in entry.files.values() if item.upstream is not None]
        paths = [(find_root(root) / name / item.path, item.n_bytes) for item in files]
        rows.append(
            {
                "name": name,
                "title": entry.title,
                "modality": ", ".join(raw[name].get("modality", ())),
                "licence": entry.licence,
                "n_files": len(files),
                "n_bytes": sum(item.n_bytes for item in files),
                "loader": name in LOADERS,
                "present": all(path.is_file() and path.stat().st_size == size for path, size in paths),
            }
        )
    return pd.DataFrame(rows)


def information(name: str, *, root: str | Path | None = None) -> dict[str, Any]:
    """Return what there is to know of a data set without reading its files.

    Parameters
    ----------
    name : str
        A data set of the manifest; see ``available``.
    root : path, optional
        As in ``fetch``.

    Returns
    -------
    dict
        name, title, modality (list), licence, cite, repository, commit, n_files, n_bytes, folder, present,
        excluded (what is never returned, and why), and parts: of each ``what`` of
        ``load`` what it returns with its dims, and its selectors.

    Raises
    ------
    InvalidValueError
        If the name is unknown; lists what there is.

    Examples
    --------
    >>> found = information("finger7t", root="nowhere")
    >>> found["present"], list(found["parts"])
    (False, ['responses', 'models'])
    """
    entry = find_set(name)
    table = available(root=root).set_index("name")
    row: dict[str, Any] = {str(column): table.at[name, column] for column in table.columns}
    parts = LOADERS.get(name, {})
    excluded: dict[str, str] = {}
    for loader in parts.values():
        excluded |= getattr(inspect.getmodule(loader), "EXCLUDED", {})
    return {
        "name": name,
        "title": entry.title,
        "modality": row["modality"].split(", ") if row["modality"] else [],
        "licence": entry.licence,
        "cite": entry.cite,
        "repository": entry.repository,
        "commit": entry.commit,
        "n_files": int(row["n_files"]),
        "n_bytes": int(row["n_bytes"]),
        "folder": str(find_root(root) / name),
        "present": bool(row["present"]),
        "excluded": excluded,
        "parts": {what: _part(loader) for what, loader in parts.items()},
    }


def _part(loader: Any) -> dict[str, Any]:
    """Return the first sentence of a loader, and its selectors with what they are by default."""
    said = (inspect.getdoc(loader) or "").split("\n\n")[0].replace("\n", " ")
    keyed = inspect.signature(loader).parameters.values()
    selectors = {item.name: item.default for item in keyed if item.kind == item.KEYWORD_ONLY}
    return {"returns": said.removeprefix("Return ").strip(), "selectors": selectors}


def _refuse_odd_source(entry: io.SetEntry) -> None:
    plain = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", entry.repository)
    if not plain or not re.fullmatch(r"[0-9a-f]{40}", entry.commit):
        raise UnsafeError(
            f"{entry.name}: the manifest must name a repository as owner/name and a commit of 40 hex digits; "
            f"got {entry.repository!r} at {entry.commit!r}."
        )


def _is_right(folder: Path, entry: io.SetEntry, path: str) -> bool:
    try:
        io.verify_file(folder, entry, path)
    except FileError:
        return False
    return True


def _download(folder: Path, entry: io.SetEntry, item: io.FileEntry) -> None:
    import pooch

    url = f"{HOST}/{entry.repository}/{entry.commit}/{quote(item.upstream or '')}"
    with io.writing(folder / item.path) as temporary:
        try:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{item.sha256}",
                fname=temporary.name,
                path=temporary.parent,
                progressbar=False,
            )
        except (OSError, ValueError) as error:  # offline, refused, disk full; another SHA-256
            raise FileError(
                f"{entry.name}: {folder / item.path} could not be downloaded from {url}: "
                f"{type(error).__name__}: {error}. "
                "Call fetch again when there is a network (files already there are kept), or set "
                f"NEUROALIGN_DATA to a folder that holds a complete {entry.name!r} folder."
            ) from error


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Silence pooch's line per file, which would break the bar."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
