"""One faulty call of a writer, and what must be true afterwards."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from writers import Example, contents

from neuroalign.errors import FileError, NeuroalignError

__all__ = ["Case", "attempt", "cases_of"]

CAUSES = ("No space left on device", "Input/output error", "File too large", "the disk has")


@dataclass(frozen=True)
class Case:
    """An example in a folder: the bytes before (nothing, or the old version) and those of a good call."""

    name: str
    example: Example
    folder: Path
    old: dict[str, bytes]
    new: dict[str, bytes]

    def prepare(self) -> None:
        """Make the folder as it was before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name, content in self.old.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def wrong(self, said: str, *, may_be_new: bool = False) -> list[str]:
        """Return what is wrong after a call that was refused with some words ("" where it was not)."""
        found, bad = contents(self.folder), []
        if said.startswith("FOREIGN"):
            bad.append(said)
        elif said and not any(str(self.folder / name) in said for name in self.new):
            bad.append(f"no path in {said!r}")
        elif said and not any(cause in said for cause in CAUSES):
            bad.append(f"no cause in {said!r}")
        for name in found.keys() | self.new.keys():
            content, old, new = found.get(name), self.old.get(name), self.new.get(name)
            if name not in self.new:
                if not self.example.resumes or ".partial" not in name:
                    bad.append(f"left over: {name}")
            elif said and content != old and not (may_be_new and content == new):
                bad.append(f"{name} is not the old one after a refusal")
            elif not said and content != new:
                bad.append(f"{name} is not the new one after a good end")
        return [f"{self.name}: {one}" for one in bad]

    def again(self) -> list[str]:
        """Return what is wrong after one more call, without a fault."""
        self.example.write(self.folder, 1)
        same = contents(self.folder) == self.new
        return [] if same else [f"{self.name}: another call does not end with the same bytes"]


def cases_of(name: str, example: Example, root: Path, place: Path) -> list[Case]:
    """Return the case with an old file, and the case without; what is the old one passes its digest."""
    found = []
    for version in (0, 1):
        folder = root / f"reference-{name}-{version}"
        folder.mkdir(parents=True)
        example.write(folder, version)
        example.read(folder)
        found.append(contents(folder))
    olds = [{}] if name == "new study" else [found[0], {}]
    return [Case(name, example, place, old, found[1]) for old in olds]


def attempt(call: Callable[[], object]) -> str:
    """Return the words of the refusal; "" where the call ended well, FOREIGN before any other exception."""
    try:
        call()
    except FileError as error:
        return str(error)
    except NeuroalignError as error:
        return f"FOREIGN {type(error).__name__}: {error}"
    except Exception:
        return f"FOREIGN {traceback.format_exc(limit=-4)}"
    return ""
