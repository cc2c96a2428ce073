"""The page of the command line: its table has every command, and what it shows is run or at least parsed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from neuroalign.workflow.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")


def shown(heading):
    """Return the lines of the first block below a heading."""
    text = PAGE.split(f"## {heading}\n", 1)[1]
    return re.search(r"```bash\n(.*?)```", text, flags=re.DOTALL)[1].splitlines()


def leaves(command, words=()):
    inner = getattr(command, "commands", None)
    if inner is None:
        return {words: command}
    return {
        path: leaf
        for name, one in inner.items()
        if not one.hidden
        for path, leaf in leaves(one, (*words, name)).items()
    }


LEAVES = leaves(get_command(app))


def test_the_table_has_every_command_and_no_other():
    rows = re.findall(r"^\| (`[a-z][^|]*) \|", PAGE.split("## Try it")[0], flags=re.MULTILINE)
    named = set()
    for cell in rows:
        first, *more = [words.split() for words in re.findall(r"`([^`]+)`", cell)]
        lower = [word for word in first if word.islower()]
        named |= {tuple(lower), *((lower[0], *words) for words in more)}
    assert named == set(LEAVES)


@pytest.mark.parametrize("line", shown("Single analyses"))
def test_options_shown_exist(line):
    words = shlex.split(line)[1:]
    path = tuple(words[: 2 if tuple(words[:2]) in LEAVES else 1])
    command = LEAVES[path]
    given = {word for word in words if word.startswith("--")}
    assert given <= {name for parameter in command.params for name in parameter.opts}


def test_what_is_to_be_tried_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in shown("Try it"):
        words = shlex.split(line)
        if words[0] == "cd":
            monkeypatch.chdir(tmp_path / words[1])
            continue
        assert words[0] == "neuroalign"
        found = CliRunner().invoke(app, words[1:])
        assert found.exit_code == 0, (line, found.output)
    assert Path("rsa.pdf").is_file()


@pytest.mark.parametrize("name", ["NEUROALIGN_DATA", "NEUROALIGN_CACHE", "NEUROALIGN_DEBUG"])
def test_variables_named_are_read_by_the_package(name):
    package = Path(__file__).parents[2] / "neuroalign"
    assert any(name in path.read_text(encoding="utf-8") for path in package.rglob("*.py"))


def test_commands_said_to_have_json_have_it():
    said = re.search(r"`--json` of (.*?) prints one", PAGE, flags=re.DOTALL)[1]
    with_json = {path for path, leaf in LEAVES.items() if any("--json" in p.opts for p in leaf.params)}
    named, last = set(), ""
    for words in re.findall(r"`([^`]+)`", said):
        parts = words.split()
        if len(parts) == 2:
            last = parts[0]
        elif (last, parts[0]) in LEAVES and (parts[0],) not in LEAVES:
            parts = [last, parts[0]]
        named.add(tuple(parts))
    assert named == with_json
