"""The command line as a process of its own: Ctrl-C, odd folders, a bare environment, a closed pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from neuroalign.workflow import run_command

PROGRAM = [sys.executable, "-m", "neuroalign"]
ODD = "Zoë's study 🧠 " + "x" * 180


def test_ctrl_c_ends_with_130_and_one_line(tmp_path):
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell has it ignored
        "from neuroalign.workflow import run_command\n"
        "def interrupted(*_, **__):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    import time; time.sleep(10)\n"
        "run_command.run_study = interrupted\n"
        "from neuroalign.workflow.cli import app\n"
        "app(['run', 'x.yaml'])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "neuroalign: interrupted.\n")


def test_ctrl_c_waits_for_the_child_and_passes_the_signal_on(monkeypatch):
    monkeypatch.setattr(run_command, "PATIENCE", 0.1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n time.sleep(60)\nexcept KeyboardInterrupt:\n time.sleep(.3); raise SystemExit(7)"
    )
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as child:
        timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            run_command._ended(child)
        assert child.returncode in (7, -signal.SIGINT)  # the latter if it had not begun to sleep
    timer.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("words", [["init", "."], ["check", "study.yaml"]], ids=" ".join)
def test_odd_folder_plain_locale_and_no_home(tmp_path, words):
    folder = tmp_path / ODD
    folder.mkdir()
    if words[0] == "check":
        (folder / "study.yaml").write_text('name: x\ntitle: X\nlocalizer: {}\nmodel: {name: "/é 🧠"}\n')
        words = [*words, "--directory", str(folder / "below 🧠")]
    bare = {"LANG": "C", "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        [*PROGRAM, *words],
        cwd=folder,
        env=bare,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if words[0] == "init":
        assert (found.returncode, found.stderr) == (0, "")
        assert (folder / "study.yaml").is_file()
    else:
        assert found.returncode == 2
        assert "model /é 🧠: there is no such folder or file." in found.stderr


def test_reader_that_goes_away_is_no_traceback(tmp_path):
    line = f"{sys.executable} -m neuroalign schema | head -n 1"
    found = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert found.stdout == "{\n" and "Traceback" not in found.stderr
