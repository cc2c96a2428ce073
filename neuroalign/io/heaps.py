"""Global heaps of HDF5 files, checked before HDF5 reads them.

A heap is a row of items, each of which says where the next begins. On an item that takes no bytes HDF5 stays
for ever, with the interpreter's lock held; only a file that was crafted, with a digest made anew, gets there.
"""

from __future__ import annotations

import struct

from ..errors import FileError

__all__ = ["refuse_endless_heaps"]

# HDF5 File Format Specification 3.0, section III.E: signature, version, reserved; then the size of the heap.
SIGNATURE = b"GCOL\x01\0\0\0"
HEAD = struct.Struct("<8sQ")
# Of an item: number (0 is what is left of the heap, with this head), references, reserved, size.
ITEM = struct.Struct("<HH4xQ")


def refuse_endless_heaps(path: object, content: bytes) -> None:
    """Refuse the bytes of an HDF5 file, or a part of them, with a heap whose items do not lead to its end.

    Raises
    ------
    FileError
        With the place of the item.
    """
    at = content.find(SIGNATURE)
    while at >= 0:
        place = _astray(content, at)
        if place is not None:
            raise FileError(
                f"{path} is damaged: the item at byte {place} of an HDF5 heap does not lead to the next one. "
                "Remove it and run the step again."
            )
        at = content.find(SIGNATURE, at + len(SIGNATURE))


def _astray(content: bytes, at: int) -> int | None:
    """Return the place of the first item that leads nowhere, back or out of a heap that begins at ``at``."""
    if len(content) - at < HEAD.size:
        return at
    end = at + HEAD.unpack_from(content, at)[1]
    if end > len(content):
        return at
    at += HEAD.size
    while at + ITEM.size <= end:
        number, _, size = ITEM.unpack_from(content, at)
        taken = size if number == 0 else ITEM.size + (size + 7) // 8 * 8
        if not ITEM.size <= taken <= end - at:
            return at
        at += taken
    return None
