"""One run at a time in a folder, and a clean start after a kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
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
        If a live process holds it, or one of another machine, of which nothing can be known from here; names
        the process.
    """
    path = Path(results) / ".neuroalign-run.json"
    holders: list[list[float | str]] = []

    def add(pid: int) -> None:
        holders.append([pid, psutil.Process(pid).create_time(), platform.node()])
        io.write_json(holders, path)

    with _one_at_a_time(results):
        was_killed = path.exists()
        for pid, started, machine in _holders(path):
            if machine != platform.node():
                raise RunningError(
                    f"process {pid} on {machine} is running a study in {results}, or was killed there. Run "
                    f"neuroalign resume on {machine}; if that machine is gone, remove {path} first."
                )
            if _alive(pid, started):
                raise RunningError(
                    f"process {pid} is running a study in {results}; wait for it, or stop it and run again."
                )
        add(os.getpid())
    try:
        yield was_killed, add
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_at_a_time(folder: str | Path) -> Iterator[None]:
    """Let no other process look at the lock between our look at it and our taking it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _holders(path: Path) -> list[tuple[int, float, str]]:
    if not path.exists():
        return []
    try:
        found = [(int(pid), float(started), machine) for pid, started, machine in io.read_json(path)]
        return found if all(isinstance(machine, str) for _, _, machine in found) else []
    except (NeuroalignError, TypeError, ValueError):
        return []


def _alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:  # dead; in a container often nobody collects it
            return False
        return pid != os.getpid() and abs(process.create_time() - started) < 1
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
