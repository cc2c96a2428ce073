"""FIF files, followed tag by tag before mne takes them: one damaged byte can lead it in a circle for ever."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

from ..errors import FileError

__all__ = ["check_fif"]

TAG = struct.Struct(">4i")  # kind, type, size, next


def check_fif(path: Path) -> None:
    """Refuse a FIF file whose tags lead back to a tag that was there before.

    Raises
    ------
    FileError
        If they do, or the compressed file is damaged.
    """
    seen: set[int] = set()
    at = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            while at >= 0:
                if at in seen:
                    raise FileError(f"{path} is damaged: its tags lead back to byte {at}.")
                seen.add(at)
                file.seek(at)
                head = file.read(TAG.size)
                if len(head) < TAG.size:
                    return
                _, _, size, following = TAG.unpack(head)
                at = at + TAG.size + size if following == 0 else following
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path} is damaged: {error}.") from error
