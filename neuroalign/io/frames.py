"""The frame of an activation file: everything in it but the layers' values.

HDF5 never touches the disk: on a full disk it can take the process down, and on damaged bytes its readers may
loop for ever. It lays the frame out in memory, our own calls write it, and a digest behind the file guards it
against being parsed when it is not what was written.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import FileError
from .digests import canonical_json
from .files import DAMAGED
from .heaps import refuse_endless_heaps

__all__ = ["Blocks", "Overlay", "append_guard", "checked_frame", "frame_digest"]

# Name of a layer, its first byte in the file and its number of bytes.
Blocks = dict[str, tuple[int, int]]
PAGE = 4096
# The last bytes of a file: the guard as JSON, its SHA-256, its length, a mark.
MARK, N_LENGTH, N_SHA = b"neuroalign-frame", 8, 32
N_END = N_SHA + N_LENGTH + len(MARK)


class Overlay(io.RawIOBase):
    """A file in which what is written stays in memory, by pages, until ``save``.

    Parameters
    ----------
    base : binary file, optional
        What is read where nothing was written; an empty file where None.
    """

    def __init__(self, base: IO[bytes] | None = None) -> None:
        super().__init__()
        self._base, self._pages, self._at = base, dict[int, bytearray](), 0
        self._size = 0 if base is None else base.seek(0, io.SEEK_END)
        self._kept = self._size  # of the base

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        size = self._at if size is None else size
        if size < self._size:
            self._kept = min(self._kept, size)
            last, stop = divmod(size, PAGE)
            self._pages = {number: page for number, page in self._pages.items() if number <= last}
            if last in self._pages:
                self._pages[last][stop:] = bytes(PAGE - stop)
        self._size = size
        return size

    def readinto(self, buffer: Any) -> int:
        """Read bytes from here on; fewer than asked for at the end."""
        view = memoryview(buffer).cast("B")[: max(self._size - self._at, 0)]
        for number, start, stop, done in self._parts(len(view)):
            page = self._pages.get(number)
            found = self._on_disk(number) if page is None else page
            view[done : done + stop - start] = found[start:stop]
        self._at += len(view)
        return len(view)

    def write(self, content: Any) -> int:
        """Keep bytes from here on."""
        view = memoryview(content).cast("B")
        if not view:
            return 0
        for number, start, stop, done in self._parts(len(view)):
            if number not in self._pages:
                self._pages[number] = bytearray(self._on_disk(number))
            self._pages[number][start:stop] = view[done : done + stop - start]
        self._at += len(view)
        self._size = max(self._size, self._at)
        return len(view)

    def _parts(self, length: int) -> Iterator[tuple[int, int, int, int]]:
        """Give the pages from here on: number, first byte and end in it, and how many bytes come before."""
        done = 0
        while done < length:
            number, start = divmod(self._at + done, PAGE)
            stop = min(PAGE, start + length - done)
            yield number, start, stop, done
            done += stop - start

    def _on_disk(self, number: int) -> bytes:
        if self._base is None:
            return bytes(PAGE)
        self._base.seek(number * PAGE)
        return self._base.read(max(min(PAGE, self._kept - number * PAGE), 0)).ljust(PAGE, b"\0")

    def save(self, file: IO[bytes]) -> None:
        """Write what was kept into a file that holds the base, and set its size."""
        file.truncate(self._kept)
        for number, page in sorted(self._pages.items()):
            file.seek(number * PAGE)
            write_all(file, page[: max(self._size - number * PAGE, 0)])
        file.truncate(self._size)


def write_all(file: IO[bytes], content: Any) -> None:
    """Write all bytes; an unbuffered file may take fewer at a time."""
    piece = memoryview(content)
    while piece:
        piece = piece[file.write(piece) :]


def frame_digest(file: IO[bytes], blocks: Mapping[str, tuple[int, int]], size: int) -> str:
    """Return the SHA-256 of the first ``size`` bytes, without those of the blocks."""
    sha = hashlib.sha256(canonical_json([blocks, size]).encode())
    for at, start in _between(blocks, size):
        file.seek(at)
        left = max(start - at, 0)
        while piece := file.read(min(left, 1 << 20)):
            sha.update(piece)
            left -= len(piece)
    return sha.hexdigest()


def _between(blocks: Mapping[str, tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Give the parts of the first ``size`` bytes that no block covers: first byte and end."""
    at = 0
    for start, length in [*sorted(blocks.values()), (size, 0)]:
        yield at, start
        at = max(at, start + length)


def append_guard(file: IO[bytes], blocks: Blocks) -> None:
    """Write the guard behind a complete file: where its blocks lie, and the digest of all the rest."""
    size = file.seek(0, io.SEEK_END)
    guard = {"blocks": blocks, "size": size, "frame": frame_digest(file, blocks, size)}
    said = canonical_json(guard).encode()
    file.seek(size)
    write_all(file, said + hashlib.sha256(said).digest() + len(said).to_bytes(N_LENGTH, "big") + MARK)


def checked_frame(path: Path) -> Blocks:
    """Return where the blocks of a file lie, after checking all of it but the blocks.

    Raises
    ------
    FileError
        If it is missing, cut short or damaged, or not an activation file.
    """
    try:
        with open(path, "rb") as file:
            guard = _guard(file, path)
            found = frame_digest(file, guard["blocks"], guard["size"])
        if found != guard["frame"]:
            raise FileError(
                f"{path} is damaged: its frame has SHA-256 {found[:16]}..., expected "
                f"{guard['frame'][:16]}... Remove it and extract again."
            )
        with open(path, "rb") as file:
            for at, start in _between(guard["blocks"], guard["size"]):
                file.seek(at)
                refuse_endless_heaps(path, file.read(max(start - at, 0)))
    except FileError:
        raise
    except FileNotFoundError:
        raise FileError(f"{path} does not exist.") from None
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror or error}.") from error
    except DAMAGED as error:
        raise FileError(f"{path} is no activation file of neuroalign: its guard is malformed.") from error
    return guard["blocks"]


def _guard(file: IO[bytes], path: Path) -> dict[str, Any]:
    total = file.seek(0, io.SEEK_END)
    file.seek(max(total - N_END, 0))
    end = file.read()
    length = int.from_bytes(end[N_SHA : N_SHA + N_LENGTH], "big")
    if not end.endswith(MARK) or len(end) < N_END or length > total - N_END:
        raise FileError(
            f"{path} is damaged or is no activation file of this version of neuroalign: the digest behind "
            f"its {total} bytes is missing. Remove it and extract again."
        )
    file.seek(total - N_END - length)
    said = file.read(length)
    found, expected = hashlib.sha256(said).hexdigest(), end[:N_SHA].hex()
    guard = json.loads(said) if found == expected else None
    if guard is None or guard["size"] + length + N_END != total:
        raise FileError(
            f"{path} is damaged: its guard of {total} bytes has SHA-256 {found[:16]}..., expected "
            f"{expected[:16]}... Remove it and extract again."
        )
    return {**guard, "blocks": {name: tuple(where) for name, where in guard["blocks"].items()}}
