from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time

import psutil
import pytest

from neuroalign.errors import NeuroalignError
from neuroalign.workflow.locks import RunningError, run_lock

NAME = ".neuroalign-run.json"


@pytest.fixture
def sleeper():
    """A live process that is not ours."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def hold(folder, pid, started):
    (folder / NAME).write_text(json.dumps([[pid, started, platform.node()]]))


def test_lock_is_held_inside_and_gone_after_a_normal_end(tmp_path):
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is False
        holders = json.loads((tmp_path / NAME).read_text())
        assert [(pid, machine) for pid, _, machine in holders] == [(os.getpid(), platform.node())]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_lock_is_gone_after_an_exception(tmp_path, error):
    with pytest.raises(type(error)) as caught, run_lock(tmp_path):
        raise error
    assert caught.value is error and list(tmp_path.iterdir()) == []


@pytest.mark.goal("R18", "locks of dead, foreign and recycled processes")
def test_live_holder_refuses_and_keeps_its_lock(tmp_path, sleeper):
    hold(tmp_path, sleeper.pid, psutil.Process(sleeper.pid).create_time())
    before = (tmp_path / NAME).read_bytes()
    text = f"process {sleeper.pid} is running a study in {tmp_path}; wait for it"
    with pytest.raises(RunningError, match=text), run_lock(tmp_path):
        pass
    assert (tmp_path / NAME).read_bytes() == before
    assert issubclass(RunningError, NeuroalignError)


def test_dead_holder_is_reported_as_killed(tmp_path, sleeper):
    hold(tmp_path, sleeper.pid, psutil.Process(sleeper.pid).create_time())
    sleeper.kill()
    sleeper.wait()
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is True
    assert list(tmp_path.iterdir()) == []


def test_killed_holder_that_nobody_collected_does_not_hold(tmp_path, sleeper):
    hold(tmp_path, sleeper.pid, psutil.Process(sleeper.pid).create_time())
    sleeper.kill()
    wait_for(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is True


def test_other_process_under_the_number_of_a_dead_one_does_not_hold(tmp_path, sleeper):
    hold(tmp_path, sleeper.pid, psutil.Process(sleeper.pid).create_time() - 3600)
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is True


@pytest.mark.goal("R18", "locks of dead, foreign and recycled processes")
def test_holder_on_another_machine_refuses_and_says_what_to_do(tmp_path):
    (tmp_path / NAME).write_text(json.dumps([[1, 0.0, "login-2"]]))
    with pytest.raises(RunningError) as caught, run_lock(tmp_path):
        raise AssertionError("it must not begin")
    assert str(caught.value) == (
        f"process 1 on login-2 is running a study in {tmp_path}, or was killed there. Run neuroalign resume "
        f"on login-2; if that machine is gone, remove {tmp_path / NAME} first."
    )
    assert (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    "content", [b"", b"[[12", b"\xff\xfe", b"{}", b"[1, 2]", b'[["x", 1]]', b"null", b"7", b"[[1, 2, 3]]"]
)
def test_damaged_lock_is_taken_for_a_killed_run(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is True
    assert list(tmp_path.iterdir()) == []


def test_child_that_outlives_its_killed_parent_still_holds(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "from neuroalign.workflow.locks import run_lock\n"
        "with run_lock(sys.argv[1]) as (_, hold):\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    hold(child.pid)\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    try:
        with pytest.raises(RunningError, match=f"process {child.pid} is running"), run_lock(tmp_path):
            pass
    finally:
        child.kill()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    with run_lock(tmp_path) as (was_killed, _):
        assert was_killed is True


@pytest.mark.goal("R18", "two that take the lock at once")
def test_of_two_that_start_at_once_one_is_refused_and_the_other_unharmed(tmp_path):
    code = (
        "import sys, time\n"
        "from neuroalign.workflow.locks import RunningError, run_lock\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    with run_lock(sys.argv[1]):\n"
        "        print('held', flush=True)\n"
        "        sys.stdin.readline()\n"
        "except RunningError:\n"
        "    print('refused', flush=True)\n"
    )
    call = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(call, **pipes) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.stdout.readline().strip() for process in both]
    assert sorted(said) == ["held", "refused"]
    assert (tmp_path / NAME).exists()
    for process in both:
        process.communicate("end\n")
    assert list(tmp_path.iterdir()) == []


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
