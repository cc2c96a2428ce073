"""A study started twice in one folder, and locks that dead, foreign and unwilling processes leave."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from tiny_study import ROOT, differences, undisturbed

from neuroalign.errors import FileError
from neuroalign.workflow.locks import run_lock

LOCK, HERE = ".neuroalign-run.json", platform.node()
REFUSED = r"process (\d+) is running a study in .*results; wait for it, or stop it and run again\.\n"


@pytest.mark.slow
def test_second_start_is_refused_and_the_first_ends_like_the_undisturbed_one(
    tmp_path, tmp_path_factory, tried
):
    """Also the rerun on two cores: the undisturbed run had one."""
    whole = undisturbed(tmp_path_factory)
    clone, folder = whole.clone, whole.clone.folder(tmp_path / "one")
    wrong = []
    first = clone.start("run", folder, cores=2)
    lock = folder / "results" / LOCK
    while not lock.exists() and first.process.poll() is None:
        time.sleep(0.01)
    for command in ("run", "resume"):
        second = clone.run(command, folder)
        if second.process.returncode != 2 or not re.fullmatch(f"neuroalign: {REFUSED}", second.said):
            wrong.append(f"{command}: exit {second.process.returncode}: {second.said}")
        if not lock.exists() or first.process.poll() is not None:
            wrong.append(f"{command}: the first run's lock is gone")
    assert first.end() == 0, first.said[-3000:]
    tried("R18", "run and resume beside a run", 2, wrong)
    tried("R13", "rerun on 2 cores beside runs that were refused", 1, differences(folder, whole.folder))


@pytest.mark.goal("R18", "locks of dead, foreign and recycled processes")
@pytest.mark.parametrize("whose", ["dead", "recycled", "recycled by root", "cut short", "our own id"])
def test_lock_of_nobody_who_runs_does_not_hold(tmp_path, whose):
    with subprocess.Popen(["sleep", "0"]) as dead:
        pass
    owners = {
        "dead": [[dead.pid, time.time() - 5, HERE]],
        "recycled": [[os.getppid(), psutil.Process(os.getppid()).create_time() - 100, HERE]],
        "recycled by root": [[1, psutil.Process(1).create_time() - 100, HERE]],
        "our own id": [[os.getpid(), psutil.Process().create_time() - 100, HERE]],
    }
    text = json.dumps(owners[whose]) if whose in owners else "[[12"
    (tmp_path / LOCK).write_text(text)
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.goal("R18", "locks of dead, foreign and recycled processes")
@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_lock_that_cannot_be_written_is_one_sentence_and_nothing_is_left(tmp_path, monkeypatch, code):
    def refused(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(FileError) as caught, run_lock(tmp_path):
        raise AssertionError("it must not begin")
    assert str(caught.value) == f"{tmp_path / LOCK} could not be written: {os.strerror(code)}."
    assert list(tmp_path.iterdir()) == []


# Root may write anywhere: the process gives its rights up once all that it needs is imported.
AS_NOBODY = """
import os, sys, tempfile
import typer
from neuroalign.workflow.guarding import answered
from neuroalign.workflow.locks import run_lock
with tempfile.TemporaryDirectory() as folder, run_lock(folder):
    pass
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with answered(), run_lock(sys.argv[1]):
        print("held")
except typer.Exit as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.goal("R18", "a results folder that may only be read")
def test_results_that_may_only_be_read_are_refused_in_one_sentence():
    folder = Path(tempfile.mkdtemp(prefix="neuroalign-readonly-"))
    try:
        folder.chmod(0o755)
        (folder / "results").mkdir(mode=0o555)
        found = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(folder / "results")],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert found.returncode == 2 and found.stdout == "", found.stderr
        assert found.stderr == (
            f"neuroalign: {folder / 'results' / LOCK} could not be written: Permission denied.\n"
        )
        assert list((folder / "results").iterdir()) == []
    finally:
        shutil.rmtree(folder)
