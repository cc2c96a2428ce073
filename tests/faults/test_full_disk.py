"""A disk that is really full: each writer ends with an error, never with a signal, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from writers import ALIKE, TABLE

SCRIPT = Path(__file__).with_name("on_full_disk.py")
MOUNT = "mount -t tmpfs -o size=2m,mode=755 neuroalign"


@cache
def alone() -> tuple[str, ...] | None:
    """Return the call that gives a process file systems of its own, or None where none is allowed."""
    for call in (("unshare", "-m"), ("unshare", "-r", "-m")):
        if shutil.which("unshare"):
            said = subprocess.run([*call, "sh", "-c", f"{MOUNT} /mnt"], capture_output=True, check=False)
            if said.returncode == 0:
                return call
    return None


def results(call: list[str], root: Path, *rest: str, **more: str) -> tuple[int, list[str]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(root)}
    ended = subprocess.run(
        call, env=environment | more, capture_output=True, text=True, check=False, timeout=3000
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    n_tried, bad = json.loads(ended.stdout)
    return n_tried, bad


@pytest.fixture
def names(request: pytest.FixtureRequest) -> list[str]:
    left_out = () if request.config.getoption("--long") else ALIKE
    return [name for name in TABLE if name not in left_out]


def test_files_that_may_not_grow_end_in_an_error(tmp_path, names, depth, tried):
    call = [sys.executable, str(SCRIPT), "limited", str(tmp_path), str(depth(2, 20)), *names]
    tried("R5", "calls with a limit on the size of files, each in a process", *results(call, tmp_path))


def test_a_full_file_system_ends_in_an_error(tmp_path, names, depth, tried):
    if alone() is None:
        pytest.skip("no file system can be mounted here; the limit on the size of files stands in for it")
    place = tmp_path / "place"
    place.mkdir()
    script = [sys.executable, str(SCRIPT), "mounted", str(tmp_path), str(depth(4, 20)), *names]
    mounted = ["sh", "-c", f'{MOUNT} "$0" && exec "$@"', str(place), *script]
    tried(
        "R5",
        "calls on a full file system of 2 MB, each in a process",
        *results([*alone(), *mounted], tmp_path),
    )


@pytest.mark.parametrize("free", [0, 1])
def test_a_command_on_a_full_file_system_says_so_in_one_line(tmp_path, tried, free):
    if alone() is None:
        pytest.skip("no file system can be mounted here")
    place = tmp_path / "place"
    place.mkdir()
    fill = f'head -c {2 * 2**20 - free * 4096} /dev/zero > "$0/filling"'
    command = [sys.executable, "-m", "neuroalign", "init", str(place / "study"), "--template", "own-data"]
    ended = subprocess.run(
        [*alone(), "sh", "-c", f'{MOUNT} "$0" && {fill}; exec "$@"', str(place), *command],
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(ended.stderr.split())
    bad = (
        [] if ended.returncode == 1 and "No space left on device" in said else [f"{ended.returncode} {said}"]
    )
    bad += ["a traceback"] if "Traceback" in said else []
    tried("R5", "commands on a full file system of 2 MB", 1, bad)
