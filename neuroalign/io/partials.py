"""Partial files that outlive a killed process, with a journal of what was completely written to them.

Beside the final path stand, while it is written, a partial file and a journal: JSON lines, each behind its
own digest, the first of which names what is written, and one a batch. Both are held by one process at a time;
another one that writes to the same path meanwhile uses a private temporary file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import FileError, NeuroalignError
from .digests import canonical_json
from .files import JOURNAL, PREFIX, SUFFIX, sync, writing

__all__ = ["Journal", "resumable"]

# Of a file's name, in bytes, that leaves room for what is put around it: file systems take 255.
LONGEST = 200


class Journal:
    """What was completely written to a partial file, batch by batch.

    Attributes
    ----------
    batches : list of dict
        As they were noted. Before ``begin`` empty.
    begun : bool
        Whether there is a partial file to go on with.
    frame : dict
        What ``begin`` was told of the partial file's layout.
    """

    def __init__(self, file: IO[bytes] | None, identity: str) -> None:
        self._file, self._identity = file, identity
        self.batches: list[dict[str, Any]] = []
        self.frame: dict[str, Any] = {}
        self._ends: list[int] = []
        self.begun = self._read()

    def _read(self) -> bool:
        if self._file is None:
            return False
        self._file.seek(0)
        for number, line in enumerate(self._file):
            note = _parsed(line)
            if number == 0 and (note is None or note.get("identity") != self._identity):
                return False
            if note is None or note.get("sealed"):
                return note is None
            if number:
                self.batches.append(note)
            else:
                self.frame = note.get("frame", {})
            self._ends.append(self._file.tell())
        return bool(self._ends)

    def begin(self, frame: dict[str, Any]) -> None:
        """Note how the partial file is laid out, and forget what an older one held."""
        self.batches, self._ends, self.begun, self.frame = [], [], True, frame
        self._cut(0)
        self._add({"identity": self._identity, "frame": frame})

    def note(self, batch: dict[str, Any]) -> None:
        """Note a batch that is completely written."""
        self.batches.append(batch)
        self._add(batch)

    def keep(self, n_batches: int) -> None:
        """Forget all but the first batches."""
        del self.batches[n_batches:], self._ends[n_batches + 1 :]
        self._cut(self._ends[-1] if self._ends else 0)

    def seal(self) -> None:
        """Note that the partial file is being completed; from here on it is not gone on with."""
        self._add({"sealed": True})

    def _add(self, note: dict[str, Any]) -> None:
        if self._file is not None:
            said = canonical_json(note).encode()
            self._file.write(_digest(said) + b" " + said + b"\n")
            self._file.flush()
            self._ends.append(self._file.tell())

    def _cut(self, size: int) -> None:
        if self._file is not None:
            self._file.truncate(size)
            self._file.seek(size)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line of the journal, or None for one that is not what was written."""
    digest, _, said = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or digest != _digest(said):
        return None
    note = json.loads(said)
    return note if isinstance(note, dict) else None


def _digest(said: bytes) -> bytes:
    return hashlib.sha256(said).hexdigest().encode()


@contextlib.contextmanager
def resumable(path: str | Path, identity: str) -> Iterator[tuple[Path, Journal]]:
    """Give a partial path and its journal; rename it to ``path`` when the block ends well.

    A block that is interrupted after its first batch leaves both; the next one with the same identity finds
    them. What another identity left is overwritten, never read.

    Parameters
    ----------
    path : path
    identity : str
        Digest of everything that decides the bytes of the file.

    Raises
    ------
    FileError
        If the folder or the file cannot be written; names the path and the cause.
    """
    path = Path(path)
    is_long = len(os.fsencode(path.name)) > LONGEST
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest() if is_long else path.name
    partial = path.with_name(f"{PREFIX}{name}{SUFFIX}{path.suffix}")
    log = partial.with_suffix(JOURNAL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a+b") as file:
            if not _held(file, log):
                with writing(path) as private:
                    yield private, Journal(None, identity)
                return
            journal = Journal(file, identity)
            journal.begun = journal.begun and partial.exists()
            try:
                yield partial, journal
                sync(partial)
                partial.replace(path)
                journal.batches = []
            finally:
                if not journal.batches:
                    partial.unlink(missing_ok=True)
                    log.unlink(missing_ok=True)
            sync(path.parent)
    except NeuroalignError:
        raise
    except OSError as error:
        raise FileError(f"{path} could not be written: {error.strerror or error}.") from error


def _held(file: IO[bytes], path: Path) -> bool:
    """Take the journal for this process; False where another has it, or has just removed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
