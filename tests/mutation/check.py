"""Are small mistakes caught? Mutants of the kernels, each against the tests of its room that run its line.

    python tests/mutation/check.py --n 200 --seed 20261124 --out docs/reliability/mutants.tsv

First the tests of each room run once, to learn which test runs which line and how long it takes. Then each
mutant is imported in a process of its own, and the tests of its line run, quick ones first, within 30 s of
processor time. A mutant is caught where one of them fails. Survivors are listed for a reader to judge.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from mutants import ROOMS, Mutant, install, path_of, sample
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
# What a process of a mutant would import anew each time.
HEAVY = (
    "numpy",
    "scipy.stats",
    "scipy.spatial",
    "scipy.optimize",
    "pandas",
    "xarray",
    "torch",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.manifold",
    "h5netcdf",
    "nibabel",
    "matplotlib.pyplot",
    "pydantic",
    "hypothesis.extra.numpy",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
)
SECONDS, WALL = 30, 240
CAUGHT = ("caught", "timed out")
# Where a room is tried beside the folder of its name: its laws; io also by its faults.
BESIDE = {
    "rsa": ("tests/properties/test_rsa_laws.py",),
    "encoding": ("tests/properties/test_encoding_laws.py",),
    "localization": ("tests/properties/test_localization_laws.py",),
    "stats": ("tests/properties/test_stats_laws.py",),
    "io": (
        "tests/properties/test_file_laws.py",
        "tests/faults/test_io_errors.py",
        "tests/faults/test_damage.py",
        "tests/faults/test_hostile.py",
        "tests/datasets/test_surfaces.py",
        "tests/datasets/test_faults.py",
    ),
}
# What a reader made of survivors: module, before, after, judgement.
JUDGED = Path(__file__).with_name("judged.tsv")
QUIET = [
    "-q",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "--no-header",
    "--no-summary",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "-p",
    "no:cov",
]
COLUMNS = ("room", "module", "line", "kind", "before", "after", "verdict", "tests", "seconds", "by")


class Times:
    """Which lines each test runs, how long it takes, and whether it passes; a plugin of pytest."""

    def __init__(self, coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        self.coverage.switch_context(item.nodeid)
        began = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - began
        return result

    def pytest_runtest_logreport(self, report):
        if report.failed or report.skipped:
            self.seconds[report.nodeid] = float("inf")


class First:
    """The first test that fails; a plugin of pytest."""

    def __init__(self) -> None:
        self.name = ""

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report):
        if report.failed and not self.name:
            self.name = f"{report.nodeid} (import)"


def main() -> None:
    arguments = _arguments()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in HEAVY:
        importlib.import_module(name)
    drawn = sample(arguments.n, arguments.seed)
    rooms = {room: lines_of(room, arguments.cache) for room in tqdm(ROOMS, desc="rooms")}
    rows, done = [], _done(arguments.out)
    for mutant in tqdm(drawn, desc="mutants"):
        row = done.get(str(mutant)) or judge(mutant, *rooms[mutant.room])
        rows.append(row)
        _write(rows, arguments.out)
    if arguments.page:
        arguments.page.write_text(page(rows, arguments.seed), encoding="utf-8")
    found = Counter(row["verdict"] for row in rows)
    caught = sum(found[verdict] for verdict in CAUGHT)
    print(f"{caught} of {len(rows)} caught ({caught / len(rows):.1%}): {dict(found)}; {arguments.out}")  # noqa: T201


def page(rows: list[dict[str, object]], seed: int) -> str:
    """Return the page of a run: counts by room, and every survivor with what a reader made of it."""
    said = {(row["module"], row["before"], row["after"]): row["judgement"] for row in _table(JUDGED)}
    survivors = [row for row in rows if row["verdict"] not in CAUGHT]
    by_room = [
        f"| {room} | {len(own)} | {sum(row['verdict'] in CAUGHT for row in own)} |"
        for room in ROOMS
        if (own := [row for row in rows if row["room"] == room])
    ]
    listed = [
        f"| {str(row['module']).removeprefix('neuroalign.')} "
        f"| `{_cell(row['before'])}` | `{_cell(row['after'])}` | "
        f"{said.get((row['module'], row['before'], row['after']), 'not judged')} |"
        for row in survivors
    ]
    return "\n".join(
        [
            "# Mutation check",
            "",
            "Would the tests notice a small mistake? A sign, a bound or an axis in the code of five rooms",
            f"was changed, one at a time, {len(rows)} places drawn at random (seed {seed}). The tests of the",
            "room that run the line were run, for at most 30 s. Written by `tests/mutation/check.py`.",
            "",
            f"**{len(rows) - len(survivors)} of {len(rows)} were caught "
            f"({1 - len(survivors) / len(rows):.1%}).**",
            "",
            "| room | mutants | caught |",
            "| --- | ---: | ---: |",
            *by_room,
            "",
            "## Survivors",
            "",
            "| module | before | after | judgement |",
            "| --- | --- | --- | --- |",
            *listed,
            "",
        ]
    )


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def lines_of(room: str, cache: Path) -> tuple[dict[str, dict[int, list[str]]], dict[str, float]]:
    """Return the tests of each line of a room by file, and the seconds of each test; kept in a folder."""
    kept = cache / f"{room}.json"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _forked(lambda: _learn(room, kept), cache / f"{room}.log", seconds=3600, wall=7200)
    found = json.loads(kept.read_text())
    lines = {file: {int(line): tests for line, tests in of.items()} for file, of in found["lines"].items()}
    return lines, found["seconds"]


def judge(
    mutant: Mutant, lines: dict[str, dict[int, list[str]]], seconds: dict[str, float]
) -> dict[str, object]:
    """Run the tests of a mutant's line on the mutant, and return its row of the table."""
    file = path_of(mutant.module)
    own = lines.get(str(file), {})
    found = {test for line in (mutant.line, _statement(file, mutant.line)) for test in own.get(line, [])}
    tests = sorted(
        (test for test in found if seconds.get(test, float("inf")) < SECONDS), key=lambda t: seconds[t]
    )
    chosen, total = [], 0.0
    for test in tests:
        total += seconds[test]
        if total > SECONDS * 0.7:
            break
        chosen.append(test)
    row = {name: getattr(mutant, name) for name in COLUMNS[:6]}
    if not chosen:
        return {**row, "verdict": "no test", "tests": 0, "seconds": 0.0, "by": ""}
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "first"
        began = time.monotonic()
        code = _forked(lambda: _try(mutant, chosen, said), Path(folder) / "log", seconds=SECONDS, wall=WALL)
        first = said.read_text() if said.is_file() else ""
    verdict = {0: "survived", 1: "caught", 2: "caught"}.get(code, "timed out" if code < 0 else "caught")
    return {
        **row,
        "verdict": verdict,
        "tests": len(chosen),
        "seconds": round(time.monotonic() - began, 1),
        "by": first,
    }


def _learn(room: str, kept: Path) -> int:
    from coverage import Coverage

    data = str(kept.with_suffix(".coverage"))
    coverage = Coverage(data_file=data, source_pkgs=[f"neuroalign.{room}"], config_file=False)
    times = Times(coverage)
    coverage.start()
    pytest.main([f"tests/{room}", *BESIDE.get(room, ()), "-n", "0", *QUIET], plugins=[times])
    coverage.stop()
    coverage.save()
    found = coverage.get_data()
    lines = {
        file: {line: [t for t in tests if t] for line, tests in found.contexts_by_lineno(file).items()}
        for file in found.measured_files()
    }
    times.seconds = {test: value for test, value in times.seconds.items() if value < SECONDS}
    kept.write_text(json.dumps({"lines": lines, "seconds": times.seconds}))
    return 0


def _try(mutant: Mutant, tests: list[str], said: Path) -> int:
    install(mutant)
    first = First()
    code = pytest.main([*tests, "-x", "-n", "0", *QUIET], plugins=[first])
    said.write_text(first.name)
    return int(code)


def _forked(work, log: Path, *, seconds: int, wall: int) -> int:
    """Return the exit code of ``work`` in a process of its own, within limits; a signal is negative."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.setpgid(0, 0)
        output = os.open(log, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        code = 70
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    until = time.monotonic() + wall
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def _statement(file: Path, line: int) -> int:
    """Return the first line of the innermost statement that holds a line: what coverage counts."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    around = [
        n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno <= line <= (n.end_lineno or 0)
    ]
    return max(n.lineno for n in around)


def _done(out: Path) -> dict[str, dict[str, object]]:
    """Return the rows of an earlier run by mutant, so that a long run can go on."""
    return {f"{row['module']}:{row['line']}: {row['before']}  ->  {row['after']}": row for row in _table(out)}


def _table(path: Path) -> list[dict[str, object]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _write(rows: list[dict[str, object]], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="mutants in all, the same number from each room")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--out", type=Path, default=Path("results/mutants.tsv"))
    parser.add_argument("--page", type=Path, help="write the counts and the survivors to this page")
    parser.add_argument(
        "--cache", type=Path, default=Path("results/mutation"), help="which test runs which line"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
