"""What a run left: digests of a study's outputs and of the user's own files, for the next run to compare.

Snakemake goes by time stamps. It does not notice an output that was cut short under its old one, nor files
that changed places and took their old stamps along.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .. import io
from ..errors import NeuroalignError
from .paths import TWINS, Paths

__all__ = ["Record", "output_files"]

KINDS = ("model", "localizer", "pairs", "words", "responses", "own")
# Below the study's folder: what tells of the work and is no result of it, and the steps' own scratch files.
PASSED_OVER = ("logs", "benchmarks", "work")


@dataclass
class Record:
    """Digests as the last run left them.

    ``outputs`` are digests by path below the results; ``sources`` digests and stamps by the path that the
    study names; ``written`` is when the record was (seconds; infinity where there is none).
    """

    paths: Paths
    directory: Path
    outputs: dict[str, str] = field(default_factory=dict)
    sources: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    written: float = math.inf
    _seen: dict[str, tuple[str, list[int]]] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Paths, directory: Path) -> Record:
        """Return the record that the last run wrote; an empty one where there is none or it is damaged."""
        try:
            found = io.read_json(paths.record)
            outputs = {str(name): str(digest) for name, digest in found["outputs"].items()}
            sources = {str(name): (str(one[0]), list(one[1])) for name, one in found["sources"].items()}
            written = paths.record.stat().st_mtime
        except (NeuroalignError, OSError, LookupError, TypeError, AttributeError):
            return cls(paths, directory)
        return cls(paths, directory, outputs, sources, written)

    def is_as_left(self, path: Path) -> bool | None:
        """Return whether an output is what the last run left; None where that run did not know it."""
        name = self._name(path)
        return None if name not in self.outputs else self.outputs[name] == self._digest(path)

    def is_younger(self, path: Path) -> bool:
        """Return whether a file was written after the record."""
        return path.stat().st_mtime > self.written

    def changed_sources(self) -> list[str]:
        """Return the user's own files whose content is another than at the last run.

        A file is read again only where its size, its times or its place on the disk are others.
        """
        changed, before, self.sources = [], self.sources, {}
        for name, path in self._own_files():
            known, stamps = before.get(name), _stamps(path)
            is_untouched = known is not None and known[1] == stamps
            digest = known[0] if known is not None and is_untouched else io.file_digest(path)
            if known is not None and known[0] != digest:
                changed.append(name)
            self.sources[name] = (digest, stamps)
        return changed

    def write(self) -> None:
        """Write what stands now; a record that would not change stays as it is, time stamp and all."""
        self.outputs = {self._name(path): self._digest(path) for path in output_files(self.paths)}
        self._keep()

    def note(self, path: Path) -> None:
        """Take one output, written outside a run, into a record that there is."""
        if self.outputs:
            self.outputs[self._name(path)] = self._digest(path)
            self._keep()

    def _keep(self) -> None:
        value = {"outputs": self.outputs, "sources": {name: list(one) for name, one in self.sources.items()}}
        with contextlib.suppress(NeuroalignError):  # there is none, or it is damaged
            if io.read_json(self.paths.record) == value:
                return
        io.write_json(value, self.paths.record)

    def _own_files(self) -> Iterator[tuple[str, Path]]:
        """Give the user's own files as the rules name them, and where they stand."""
        named = {name: self.directory / name for name in self.paths.sources(*KINDS)}
        own = [Path(path) for path in self.paths.own_files(self.directory)]
        named |= {_below(path, self.directory): path for path in own}
        yield from ((name, path) for name, path in named.items() if path.is_file())

    def _name(self, path: Path) -> str:
        return path.relative_to(self.paths.results).as_posix()

    def _digest(self, path: Path) -> str:
        """Return a file's digest, read once a run as long as nobody touches the file."""
        name, stamps = self._name(path), _stamps(path)
        if name not in self._seen or self._seen[name][1] != stamps:
            self._seen[name] = (io.file_digest(path), stamps)
        return self._seen[name][0]


def output_files(paths: Paths) -> list[Path]:
    """Return the files of a study that stand: all below its folder but logs and scratch, and activations."""
    found = [path for path in paths.folder.rglob("*") if path.is_file() and _is_output(path, paths)]
    for what in ("localizer", "story", "own"):
        section = getattr(paths.study, what)
        if section is None or (what == "own" and not section.network):
            continue
        layers = [paths.activations(what, twin) for twin in TWINS]
        found += [path for path in layers if path.is_file()]
    return sorted(found)


def _is_output(path: Path, paths: Paths) -> bool:
    inside = path.relative_to(paths.folder)
    return inside.parts[0] not in PASSED_OVER and path != paths.record and not path.name.startswith(".")


def _stamps(path: Path) -> list[int]:
    """Return what changes when a file is written or moved; the time of change cannot be set back."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _below(path: Path, directory: Path) -> str:
    try:
        return path.relative_to(directory).as_posix()
    except ValueError:
        return path.as_posix()
