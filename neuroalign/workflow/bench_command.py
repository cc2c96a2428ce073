"""What ``neuroalign bench`` does: the benchmarks of a clone, as ``make bench``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import FileError, InvalidValueError
from .guarding import Failed

__all__ = ["find_benchmarks", "run_benchmarks"]

UNKNOWN = 2  # what `python -m benchmarks` ends with where it does not know a name


def find_benchmarks() -> Path:
    """Return the clone's folder: the one that one stands in, or the one that the package was installed from.

    Raises
    ------
    FileError
        If there is none: benchmarks are no part of the installed package.
    """
    for folder in (Path(), Path(__file__).resolve().parents[2]):
        if (folder / "benchmarks" / "__main__.py").is_file():
            return folder.resolve()
    raise FileError(
        "there is no folder benchmarks here: they compare with other packages and come with a clone of the "
        "repository only. Clone it and call neuroalign bench there (or make bench, which installs the peers)."
    )


def run_benchmarks(names: Sequence[str]) -> None:
    """Run all benchmarks, or those that are named, on one thread.

    Raises
    ------
    FileError
        If this is no clone.
    InvalidValueError
        If there is no benchmark of a name.
    Failed
        If a benchmark fails.
    """
    folder = find_benchmarks()
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    call = [sys.executable, "-m", "benchmarks", *names]
    code = subprocess.run(call, cwd=folder, env=environment, check=False).returncode  # noqa: S603
    if code == UNKNOWN:
        raise InvalidValueError(f"no benchmark is called {' or '.join(names)}; see above.")
    if code:
        raise Failed("a benchmark failed; see above.")
