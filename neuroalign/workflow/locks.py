"""One run at a time in a folder, and a clean start after a kill."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from .. import io
from ..errors import NeuroalignError

__all__ = ["RunningError", "run_lock"]


class RunningError(NeuroalignError, RuntimeError):
    """Another run holds the folder."""


@contextlib.contextmanager
def run_lock(results: str | Path) -> Iterator[tuple[bool, Callable[[int], None]]]:
    """Hold the results folder for this process.

    Gives whether the last run was killed, and a function that adds a child's process to the holders: a child
    that outlives a killed parent still holds the folder.

    Raises
    ------
    RunningError
        If a live process holds it; names the process.
    """
    path = Path(results) / ".neuroalign-run.json"
    was_killed = path.exists()
    for pid, started in _holders(path):
        if _alive(pid, started):
            raise RunningError(
                f"process {pid} is running a study in {results}; wait for it, or stop it and run again."
            )
    holders: list[list[float]] = []

    def add(pid: int) -> None:
        holders.append([pid, psutil.Process(pid).create_time()])
        io.write_json(holders, path)

    add(os.getpid())
    try:
        yield was_killed, add
    finally:
        path.unlink(missing_ok=True)


def _holders(path: Path) -> list[tuple[int, float]]:
    if not path.exists():
        return []
    try:
        return [(int(pid), float(started)) for pid, started in io.read_json(path)]
    except (NeuroalignError, TypeError, ValueError):
        return []


def _alive(pid: int, started: float) -> bool:
    try:
        return pid != os.getpid() and abs(psutil.Process(pid).create_time() - started) < 1
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
