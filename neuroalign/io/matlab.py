"""MATLAB 5 files, walked tag by tag before another reader takes them.

scipy's reader finds the kind of each number in a table by the code in the file, without asking whether there
is such a code (1.17): a damaged code ends the process. Here every code, count and length is compared with
what may stand there.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from math import prod
from pathlib import Path

from ..errors import FileError

__all__ = ["check_matlab"]

HEAD = 128
INT8, INT32, UINT32, MATRIX, COMPRESSED, UTF8 = 1, 5, 6, 14, 15, 16
NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}
LETTERS = {1, 2, 3, 4, 16, 17, 18}
CELL, STRUCT, OBJECT, CHAR, SPARSE, NUMERIC, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, range(6, 16), 16, 17
COMPLEX = 0x800
DEEPEST = 100


def check_matlab(path: Path) -> None:
    """Refuse a MATLAB 5 file with codes, counts or lengths that cannot be; leave other files to their reader.

    Raises
    ------
    FileError
        If the file is damaged; names the byte.
    """
    size = path.stat().st_size
    if size < HEAD:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        mark = content[126:128]
        if mark not in (b"IM", b"MI") or content[125 if mark == b"IM" else 124] != 1:
            return
        order = "<" if mark == b"IM" else ">"
        at = HEAD
        try:
            while at < size:
                at = _variable(content, at, order)
        except (ValueError, struct.error, zlib.error) as error:
            raise FileError(f"{path} is a damaged MATLAB 5 file (from byte {at} on): {error}.") from error


def _variable(content: mmap.mmap, at: int, order: str) -> int:
    """Check the variable that begins at a byte; return where the next one does."""
    kind, length = struct.unpack_from(f"{order}II", content, at)
    start, stop = at + 8, at + 8 + length
    if stop > len(content):
        raise ValueError(f"{length} bytes are promised, and {len(content) - start} are there")
    if kind == COMPRESSED:
        _Walk(zlib.decompress(content[start:stop]), order).matrix(0)
    elif kind == MATRIX:
        _Walk(content[at:stop], order).matrix(0)
    else:
        raise ValueError(f"a variable has the kind {kind}")
    return stop


class _Walk:
    """The elements of one variable, one after the other, as a reader takes them."""

    def __init__(self, content: bytes, order: str) -> None:
        self.content, self.order, self.at = content, order, 0

    def element(self, allowed: set[int]) -> tuple[int, int, int]:
        """Step over one element; return its kind, first byte and length."""
        (word,) = struct.unpack_from(f"{self.order}I", self.content, self.at)
        if word >> 16:  # of four bytes at most, which stand in the tag
            kind, length, start = word & 0xFFFF, word >> 16, self.at + 4
            after = self.at + 8
            wrong = length > 4
        else:
            kind, start = word, self.at + 8
            (length,) = struct.unpack_from(f"{self.order}I", self.content, self.at + 4)
            after = start + (length if kind == MATRIX else length + -length % 8)
            wrong = start + length > len(self.content)
        if kind not in allowed:
            raise ValueError(f"an element has the kind {kind}")
        if wrong:
            raise ValueError(f"an element of {length} bytes is cut short")
        self.at = after
        return kind, start, length

    def integers(self) -> tuple[int, ...]:
        """Step over an element of integers and return them."""
        _, start, length = self.element({INT32, UINT32})
        return struct.unpack_from(f"{self.order}{length // 4}i", self.content, start)

    def matrix(self, depth: int) -> None:
        """Step over a matrix and all that it holds."""
        if depth > DEEPEST:
            raise ValueError(f"cells or structs stand in one another more than {DEEPEST} deep")
        _, start, length = self.element({MATRIX})
        if not length:
            return
        self.at = start
        flags = self.integers()
        if not flags:
            raise ValueError("a matrix has no flags")
        kind = flags[0] & 0xFF
        if kind == OPAQUE:
            self._texts(3)
            self.matrix(depth + 1)
            return
        dims = self.integers()
        if len(dims) < 2 or min(dims) < 0:
            raise ValueError(f"a matrix has the dims {dims[:8]}")
        self._texts(1)
        self._body(kind, prod(dims), bool(flags[0] & COMPLEX), depth)

    def _body(self, kind: int, n: int, is_complex: bool, depth: int) -> None:
        if kind in (CELL, STRUCT, OBJECT):
            if kind == OBJECT:
                self._texts(1)
            n *= self._fields() if kind != CELL else 1
            if n * 8 > len(self.content) - self.at:
                raise ValueError(f"{n} entries are promised, and the file ends before")
            for _ in range(n):
                self.matrix(depth + 1)
        elif kind == FUNCTION:
            self.matrix(depth + 1)
        elif kind == CHAR:
            self.element(LETTERS)
        elif kind == SPARSE or kind in NUMERIC:
            for _ in range((2 if kind == SPARSE else 0) + 1 + is_complex):
                self.element(NUMBERS)
        else:
            raise ValueError(f"a matrix has the class {kind}")

    def _texts(self, n: int) -> None:
        for _ in range(n):
            self.element({INT8, UTF8})

    def _fields(self) -> int:
        """Step over the names of a struct's fields and return how many there are."""
        longest = self.integers()
        _, _, length = self.element({INT8, UTF8})
        if len(longest) != 1 or longest[0] < 1:
            raise ValueError(f"names of fields have the length {longest[:8]}")
        return length // longest[0]
