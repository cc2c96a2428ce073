"""Regular expressions of the package on texts made to let them backtrack: each is answered in a moment."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
import time
from pathlib import Path

import pytest

import neuroalign
from neuroalign.datasets.own.patterns import FIELDS, check_pattern, fields_of, find_files
from neuroalign.errors import FileError
from neuroalign.stimuli import read_textgrid
from neuroalign.workflow.examples import _shown
from neuroalign.workflow.reporting.figures import Figure

PACKAGE = Path(neuroalign.__file__).parent
N = 20_000
SECONDS = 2.0  # a linear search takes thousandths, one that backtracks over 20,000 letters takes minutes
# What each alternative of a class may be repeated with, and what makes the end fail.
UNITS = [
    "a",
    "0",
    " ",
    "-",
    ".",
    "_",
    "{",
    "}",
    "{a",
    "{a}",
    "\\w",
    "a-",
    "a'",
    "0.",
    "0e",
    "@a; ",
    "[@a; ",
    "-0",
    "\t",
]
UNITS += [
    "sub-",
    "-epo.fif",
    "models--",
    "line 1, ",
    "did you mean '",
    "a_",
    "A",
    "é",
    "\n",
    "\n  a",
    "1e1",
    '"',
    '""',
]
ENDS = ["", "!", "\x00", "\n", "a", "0", "]", "}", "'?)"]


def calls():
    """Give module, line and first argument of every call of ``re`` with a pattern."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of = node.func.value
                if isinstance(of, ast.Name) and of.id == "re" and node.func.attr not in ("escape",):
                    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
                    yield module, node.lineno, node.args[0]


def patterns():
    """Return the patterns written in the package by their text, and those made while it runs."""
    found, made = {}, []
    for module, line, argument in calls():
        if isinstance(argument, ast.Constant):
            found[argument.value] = f"{module}:{line}"
        elif isinstance(argument, ast.Name) and isinstance(
            value := getattr(importlib.import_module(module), argument.id, None), str
        ):
            found[value] = f"{module}:{line}"
        else:
            made.append((module.removeprefix("neuroalign."), ast.unparse(argument)))
    return found, made


FOUND, MADE = patterns()


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("pattern", sorted(FOUND))
def test_pattern_does_not_backtrack_for_long(pattern, tried):
    expression = re.compile(pattern)
    slow, n = [], 0
    for unit in UNITS:
        for end in ENDS:
            text = unit * (N // len(unit)) + end
            for search in (expression.fullmatch, expression.match):
                n += 1
                took = seconds(lambda search=search, text=text: search(text))
                if took > SECONDS:
                    slow.append(f"{FOUND[pattern]}: {unit!r}..{end!r} takes {took:.1f} s")
    tried("fuzz", "hostile texts for regular expressions", n, slow)


def test_every_pattern_is_among_them_or_is_tried_by_what_uses_it():
    """Patterns made while the package runs: of numbers that were read, a user's pattern, fixed parts."""
    assert len(FOUND) > 20
    assert sorted(set(MADE)) == [
        ("datasets.eeg.epoch_files", "end"),
        ("datasets.own.patterns", "expression"),
        ("datasets.sources", "pattern"),
        ("stimuli.textgrid", "pattern"),
    ]


LINES = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "xmin = 0", "xmax = 9", "tiers? <exists>"]
LINES += [
    "size = 1",
    "item []:",
    "item [1]:",
    'class = "IntervalTier"',
    'name = "word"',
    "xmin = 0",
    "xmax = 9",
]
LINES += ["intervals: size = 1", "intervals [1]:", "xmin = 0", "xmax = 9", 'text = "x"']


@pytest.mark.parametrize("unit", [" ", "0", "0.", "-", '"', '""', "[", "e1", "\u00a0", "a"])
def test_long_line_of_a_textgrid_is_answered_in_a_moment(unit, tmp_path):
    path = tmp_path / "a.TextGrid"

    def attempt():
        for number in range(len(LINES)):
            line = LINES[number]
            for middle in (line + unit * N, line.replace("=", "=" + unit * N, 1), unit * N + line):
                path.write_text("\n".join([*LINES[:number], middle, *LINES[number + 1 :]]))
                with contextlib.suppress(FileError):
                    read_textgrid(path)

    assert seconds(attempt) < 10


@pytest.mark.parametrize(
    "pattern", ["{subject}{session}{run}", "{subject}a{subject}a{session}a{run}", "{run}-{run}"]
)
def test_pattern_of_a_user_is_matched_in_a_moment(pattern, tmp_path):
    for name in ("a" * 200, "a-" * 100, "-" * 200):
        (tmp_path / name).write_text("")
    assert fields_of(pattern) == [name for name in FIELDS if f"{{{name}}}" in pattern]
    assert seconds(lambda: find_files(tmp_path, pattern)) < SECONDS


def test_long_texts_of_a_study_are_answered_in_a_moment():
    about = {"title": "t", "caption": "a" * N + ". " * N, "notes": {}, "provenance": {}}
    assert seconds(lambda: Figure(Path(), 1, about, [], []).alt) < SECONDS
    assert seconds(lambda: _shown("  line 1, " + "a" * N + " did you mean '" * 2000)) < 5
    assert seconds(lambda: check_pattern("{subject}" * 2000, name="x")) < SECONDS
