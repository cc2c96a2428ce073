"""Run writers, each in its own process, where the disk is full: ``on_full_disk.py MODE ROOT LEVELS NAME...``.

MODE is ``mounted`` (ROOT/place is a small file system that is filled) or ``limited`` (no file may grow beyond
a size, as with a quota). Prints how often was tried and what went wrong, as JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from judging import Case, attempt, cases_of
from writers import TABLE

PAGE, SHORT = 4096, 4
REFUSED, FOREIGN = 1, 4


def main(mode: str, root: Path, levels: int, names: list[str]) -> tuple[int, list[str]]:
    """Return how many calls were made on a full disk, and what went wrong."""
    n_tried, bad = 0, []
    for name in names:
        for case in cases_of(name, TABLE[name], root, root / "place" / "folder"):
            # without an old file, the short form tries the fullest disk only
            for k in range(levels if case.old or levels > SHORT else 1):
                case.prepare()
                if mode == "mounted":
                    with_less_room(case, k / levels)
                limit = limit_of(case, k / levels) if mode == "limited" else None
                # once with all that libraries do at the end: HDF5 writes what it holds back, which may abort
                code, said = in_a_process(case, limit, whole_exit=k == 0)
                (case.folder.parent / "filling").unlink(missing_ok=True)
                found = case.wrong(said)
                if code != REFUSED:
                    found.append(f"{case.name}: ended with {code}, {said!r}")
                bad += [f"{mode}, level {k} of {levels}: {one}" for one in found]
                n_tried += 1
            bad += case.again()
    return n_tried, bad


def with_less_room(case: Case, part: float) -> None:
    """Fill the disk until only a part of the pages that the files need is free."""
    pages = sum(-(-len(content) // PAGE) for content in case.new.values())
    place = case.folder.parent
    room = os.statvfs(place)
    filling = room.f_bavail * room.f_frsize - int(pages * part) * PAGE
    with open(place / "filling", "wb") as file:
        file.write(bytes(filling))


def limit_of(case: Case, part: float) -> int:
    """Return a part of the largest file's size."""
    return int(max(map(len, case.new.values())) * part)


def in_a_process(case: Case, limit: int | None, *, whole_exit: bool) -> tuple[int, str]:
    """Return the exit code (negative for a signal) and the words of a call in a process of its own."""
    reading, writing = os.pipe()
    gc.freeze()  # a child that looks at every object of its parent copies them all
    child = os.fork()
    if child == 0:
        os.close(reading)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        said = attempt(lambda: case.example.write(case.folder, 1))
        os.write(writing, said.encode("utf-8", "replace")[:60_000])
        code = FOREIGN if said.startswith("FOREIGN") else REFUSED if said else 0
        (ctypes.CDLL(None).exit if whole_exit else os._exit)(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said


if __name__ == "__main__":
    mode, root, levels, *names = sys.argv[1:]
    found = main(mode, Path(root), int(levels), names)
    sys.stdout.write(json.dumps(found))
