"""The page of reliability counts what was tried, in every process of the tests, and says what failed."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from goals import GOALS, Ledger, Line, record, write_page

CONFTEST = Path(__file__).parent / "conftest.py"
SUITE = """
import pytest

@pytest.mark.goal("R16", "exits")
@pytest.mark.parametrize("i", range(4))
def test_exit(i):
    if i == 1:
        pytest.skip("no GPU")
    if i == 2:
        pytest.xfail("known")
    assert i != 3

def test_flips(tried):
    tried("R6", "bit flips", 400, note="5 files")

def test_more_flips(tried):
    tried("R6", "bit flips", 100, ["offset 3", "offset 9"], note="5 files")

def test_depth(depth, tried):
    tried("R3", "kills", depth(5, 20))

@pytest.mark.long
def test_only_in_the_long_form(tried):
    tried("R13", "reruns", 10)
"""


@pytest.mark.parametrize(("workers", "long"), [("0", True), ("2", False)])
def test_counts_are_the_same_with_any_number_of_workers(tmp_path, workers, long):
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(CONFTEST.parent)!r})\nfrom conftest_shared import *\n"
    )
    (tmp_path / "conftest_shared.py").write_text(
        CONFTEST.read_text().replace("Path(__file__).parent", f"Path({str(CONFTEST.parent)!r})")
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    goal: g\n    long: l\n    data: d\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    call = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        workers,
        "--reliability",
        "page.md",
    ]
    done = subprocess.run(
        [*call, *(["--long"] if long else [])], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr  # two of its tests fail
    page = (tmp_path / "page.md").read_text()
    form = "long" if long else "short"
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    assert f"| R16 | exits | 3 | 1 | 1 | 1 | {form} | {today} |  |" in page
    assert f"| R6 | bit flips | 500 | 2 | 0 | 0 | {form} | {today} | 5 files |" in page
    assert f"| R3 | kills | {20 if long else 5} | 0 | 0 | 0 | {form} | {today} |  |" in page
    assert ("| R13 | reruns | 10 | 0 | 0 | 0 |" in page) == long
    assert "R1 (Contract" in page.split("Never tried")[1]
    assert page.index("| R3 |") < page.index("| R6 |") < page.index("| R16 |")


def test_a_goal_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="goal must be one of R1, R2"):
        record([], "R99", "nothing")


def test_an_empty_ledger_names_every_goal_as_missing(tmp_path):
    write_page(Ledger(), tmp_path / "page.md", long=False)
    said = (tmp_path / "page.md").read_text().split("Never tried")[1]
    assert all(f"{goal} (" in said for goal in GOALS)


def test_nothing_tried_is_a_failure(tried):
    with pytest.raises(AssertionError, match="nothing was tried"):
        tried("R6", "nothing at all", 0)


def test_lines_of_former_runs_are_kept_and_what_is_tried_again_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    first = Ledger()
    first.lines = {
        ("R3", "kills"): Line(500, 1, notes=["on 2 cores"]),
        ("R6", "flips"): Line(1400, skipped=2),
    }
    write_page(first, page, long=True)
    second = Ledger()
    second.lines = {("R6", "flips"): Line(50), ("fuzz", "a | b"): Line(40)}
    write_page(second, page, long=False)
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    lines = [line for line in page.read_text().splitlines() if line.startswith(("| R", "| fuzz"))]
    assert lines == [
        f"| R3 | kills | 500 | 1 | 0 | 0 | long | {today} | on 2 cores |",
        f"| R6 | flips | 50 | 0 | 0 | 0 | short | {today} |  |",
        f"| fuzz | a / b | 40 | 0 | 0 | 0 | short | {today} |  |",
    ]
    write_page(Ledger(), page, long=False)
    assert [line for line in page.read_text().splitlines() if line.startswith(("| R", "| fuzz"))] == lines
