"""Odd places: everything is written, read back, and called from the command line there, to the same bytes."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_full_disk import alone

SCRIPT = Path(__file__).with_name("in_a_place.py")
PLACES = {
    "spaces": "a folder  with spaces",
    "accents": "Ünïcödé-ñandú",
    "emoji": "🧠 and 🐀🐀",
    "200 characters": "näme of " * 24 + "a folder",
    "quotes": 'it\'s a "place" $HOME & (1)',
}
# Locales of clusters and containers: Python takes paths for ASCII there.
SETTINGS = {
    "as it is": {},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no HOME": {"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None},
}
SHORT = {("emoji", "LANG=C"), ("200 characters", "no HOME")}
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
# Of Linux: what lets the superuser read and write whatever permissions say.
OVERRIDE, DROP = (1, 2), 24


def without_override() -> None:
    """Let permissions bind the superuser too, from the next program on."""
    for capability in OVERRIDE:
        ctypes.CDLL(None).prctl(DROP, capability, 0, 0, 0)


def results(place: Path, *tasks: str, before: tuple = (), **more) -> tuple[int, list[str]]:
    """Run the script in a place; return how much was tried and what went wrong."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **more}
    environment = {name: value for name, value in environment.items() if value is not None}
    ended = subprocess.run(
        [*before, sys.executable, str(SCRIPT), str(place), str(place.parent / "reference"), *tasks],
        env=environment,
        capture_output=True,
        check=False,
        timeout=600,
        preexec_fn=without_override,
        cwd=place,
    )
    assert ended.returncode == 0, ended.stderr.decode("utf-8", "replace")[-3000:]
    n_tried, bad = json.loads(ended.stdout)
    return n_tried, bad


CASES = [
    pytest.param(place, setting, marks=() if (place, setting) in SHORT else pytest.mark.long)
    for place in PLACES
    for setting in SETTINGS
]


@pytest.mark.parametrize(("place", "setting"), CASES)
def test_everything_works_in_an_odd_place(place, setting, tmp_path, tried):
    folder = tmp_path / PLACES[place]
    folder.mkdir()
    what = f"writers, readers, commands: {place}, {setting}, no network"
    tried("R10", what, *results(folder, "write", "command", **SETTINGS[setting]))


def below(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def test_inputs_that_may_only_be_read_are_enough(tmp_path, tried):
    folder = tmp_path / "read only é"
    folder.mkdir()
    results(folder, "write")
    for path in below(folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in below(folder)}
    try:
        found = results(folder, "read", HOME=None)
        if alone() is not None:
            mounted = results(folder, "read", before=(*alone(), "sh", "-c", READ_ONLY, str(folder)))
            found = (found[0] + mounted[0], found[1] + mounted[1])
    finally:
        after = {path: path.stat().st_mtime_ns for path in below(folder)}
        for path in below(folder):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert before == after
    tried("R10", "readers of inputs that may only be read, no HOME", *found)


@pytest.mark.parametrize("how", ["permissions", pytest.param("mount", marks=pytest.mark.long)])
def test_a_folder_that_may_not_be_written_is_said(how, tmp_path, tried):
    if how == "mount" and alone() is None:
        pytest.skip("no file system can be mounted here; permissions stand in for it")
    folder = tmp_path / "read only"
    folder.mkdir()
    before = (*alone(), "sh", "-c", READ_ONLY, str(folder)) if how == "mount" else ()
    command = [*before, sys.executable, "-m", "neuroalign", "init", str(folder / "x"), "--template", "demo"]
    folder.chmod(0o755 if how == "mount" else 0o555)
    prepare = None if how == "mount" else without_override
    ended = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=prepare)
    folder.chmod(0o755)
    said = " ".join(ended.stderr.split())
    cause = {"mount": "Read-only file system", "permissions": "Permission denied"}[how]
    good = ended.returncode in (1, 2) and cause in said and str(folder) in said and "Traceback" not in said
    bad = [] if good else [f"{ended.returncode}: {said}"]
    tried("R10", "commands in a folder that may not be written", 1, bad)


def test_names_of_letters_up_to_the_longest_are_written(tmp_path, tried):
    """The temporary name beside a file is not longer than file systems take."""
    from writers import TABLE, contents

    from neuroalign import io

    bad = []
    for length in (200, 230, 245, 255):
        path = tmp_path / ("n" * (length - 4) + ".txt")
        io.write_text("said", path)
        if io.read_text(path) != "said":
            bad.append(f"{length} letters")
    TABLE["activations by layer, resumed"].write(tmp_path / "whole", 1)
    whole = contents(tmp_path / "whole")["x.nc"]
    for length in (200, 230, 245, 255):
        path = tmp_path / ("n" * (length - 3) + ".nc")
        write_as(path)
        if path.read_bytes() != whole:
            bad.append(f"activations, {length} letters")
    tried("R10", "file names of up to 255 letters", 8, bad)


def write_as(path: Path) -> None:
    """Write the example of resumed activations under another name."""
    from unittest import mock

    from writers import TABLE

    from neuroalign import io

    real = io.layer_writer
    with mock.patch.object(io, "layer_writer", lambda _, *rest, **options: real(path, *rest, **options)):
        TABLE["activations by layer, resumed"].write(path.parent, 1)
