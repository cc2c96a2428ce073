"""Progress bars where standard error is no terminal."""

from __future__ import annotations

import io
import sys

import pytest
from tqdm import tqdm

from neuroalign.workflow import progress
from neuroalign.workflow.progress import LineWise, line_wise_progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_bar_becomes_its_first_its_last_and_one_line_in_30_seconds(clock):
    stream = io.StringIO()
    bar = LineWise(stream)
    for second in range(100):
        clock[0] = float(second)
        bar.write(f"\r{second} of 100")
    bar.write("\r100 of 100")
    bar.write("\n")
    assert stream.getvalue().splitlines() == [f"{n} of 100" for n in (0, 30, 60, 90, 100)]


def test_what_is_no_bar_passes_through():
    stream = io.StringIO()
    written = LineWise(stream)
    for text in ("a warning\n", "words", "\n", "\n"):
        written.write(text)
    assert stream.getvalue() == "a warning\nwords\n\n"


def test_words_in_the_middle_of_a_bar_stand_on_their_own_line(clock):
    stream = io.StringIO()
    bar = LineWise(stream)
    for text in ("\r1 of 3", "\r2 of 3", "careful\n", "\r3 of 3", "\n"):
        bar.write(text)
    assert stream.getvalue().splitlines() == ["1 of 3", "careful", "3 of 3"]


def test_bars_of_tqdm_are_whole_lines_without_carriage_returns(capsys):
    with line_wise_progress():
        for _ in tqdm(range(300), desc="outer", mininterval=0):
            pass
        for _ in tqdm(range(2), desc="above", mininterval=0):
            for _ in tqdm(range(5), desc="below", mininterval=0, leave=False):
                pass
    said = capsys.readouterr().err
    assert "\r" not in said and "\x1b" not in said
    lines = [line for line in said.splitlines() if line.startswith("outer")]
    assert len(lines) == 2 and "0/300" in lines[0] and "300/300" in lines[1]
    assert any("2/2" in line for line in said.splitlines() if line.startswith("above"))


def test_a_terminal_keeps_its_bars(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with line_wise_progress():
        assert sys.stderr is stream


def test_standard_error_is_the_old_one_afterwards():
    before = sys.stderr
    with pytest.raises(ValueError, match="x"), line_wise_progress():
        raise ValueError("x")
    assert sys.stderr is before
