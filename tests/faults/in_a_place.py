"""Write and read everything in a place, and call commands there: ``in_a_place.py PLACE REFERENCE TASK...``.

TASK is ``write`` (and read), ``read`` (what was written, without writing anything) or ``command``. There is
no network. Prints how much was tried and what went wrong, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from judging import attempt
from writers import TABLE, contents

COMMANDS = (
    ("init", "{place}/étude", "--template", "own-data", "--name", "study"),
    (
        "rsa",
        "{place}/étude/data/s01.tsv",
        "catégorie={place}/étude/category.tsv",
        "--out",
        "{place}/found é/rsa.tsv",
        *("--draws", "20", "--permutations", "20"),
    ),
    ("check", "{place}/étude/study.yaml"),
)
MADE = ("étude/study.yaml", "found é/rsa.tsv", "found é/rsa.nc", "found é/rsa.pdf")


def no_network() -> list[Any]:
    """Refuse every connection from here on; return the list of those that were asked for."""
    calls: list[Any] = []

    def refuse(*args: Any, **_: Any) -> None:
        calls.append(str(args))
        raise OSError("there is no network")

    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    return calls


def write_and_read(place: Path, reference: Path) -> Iterator[tuple[str, str]]:
    """Give each example and what went wrong with it."""
    for name, example in TABLE.items():
        for root in (reference, place):
            (root / name).mkdir(parents=True, exist_ok=True)
        example.write(reference / name, 1)
        said = attempt(lambda name=name, example=example: example.write(place / name, 1))
        if not said and contents(place / name) != contents(reference / name):
            said = "other bytes than elsewhere"
        yield f"writing {name}", said
    yield from only_read(place, reference)


def only_read(place: Path, reference: Path) -> Iterator[tuple[str, str]]:
    """Give each example and what went wrong when it was read."""
    for name, example in TABLE.items():
        found: list[Any] = []
        said = attempt(
            lambda name=name, example=example, found=found: found.append(example.read(place / name))
        )
        if not said and found[0] != example.read(reference / name):
            said = "other values than elsewhere"
        yield f"reading {name}", said


def command(place: Path, _: Path) -> Iterator[tuple[str, str]]:
    """Call the command line, and look for what it should have made."""
    from neuroalign.workflow.cli import app

    for words in COMMANDS:
        # as the system hands words over: bytes, which are not the locale's letters everywhere
        words = [os.fsdecode(word.encode()).format(place=place) for word in words]
        code: Any = 0
        if (place / os.fsdecode("étude".encode())).is_dir():
            os.chdir(place / os.fsdecode("étude".encode()))  # where its paths are taken from
        with contextlib.redirect_stdout(StringIO()), contextlib.redirect_stderr(StringIO()) as said:
            try:
                app(words)
            except SystemExit as ended:
                code = ended.code
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"
        good = not code and "Traceback" not in said.getvalue()
        yield f"neuroalign {words[0]}", "" if good else f"ended with {code}: {said.getvalue()[-500:]}"
    for name in MADE:
        yield name, "" if (place / os.fsdecode(name.encode())).is_file() else "was not made"


TASKS = {"write": write_and_read, "read": only_read, "command": command}


if __name__ == "__main__":
    place, reference, *tasks = sys.argv[1:]
    asked, results = no_network(), []
    for task in tasks:
        results += list(TASKS[task](Path(place), Path(reference)))
    wrong = [f"{what}: {said}" for what, said in results if said] + [f"network: {one}" for one in asked]
    sys.stdout.buffer.write(json.dumps([len(results), wrong]).encode("ascii"))
