"""Draw the rules of the demo and what each waits for: docs/rulegraph.png.

``python docs/make_rulegraph.py`` asks Snakemake for the graph; ``--dot FILE`` draws one that it has written
(``snakemake --rulegraph dot``). Parts of one step, and the trained and untrained twin, share a box.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).parent / "rulegraph.png"
WIDTH, STEP, HALF, ROW = 2.9, 3.9, 0.36, 1.5  # of a box, column to column, half a height, row to row
EDGE = WIDTH / 2 + 0.06
COLOURS = {"extract": "#cfe3f3", "figure": "#fbe3c4", "report": "#f6cfd9", "": "#e6e6e6"}


def main() -> None:
    """Draw the graph that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "demo.yaml")
    parser.add_argument("--dot", type=Path, help="a graph in the dot language, instead of Snakemake's answer")
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    text = options.dot.read_text() if options.dot else rulegraph(options.config)
    draw(reduced(read(text)), options.out)


def rulegraph(config: Path) -> str:
    """Return the graph of a study's rules in the dot language."""
    call = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "--forceall", "--cores", "1"]
    call += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config)]
    return subprocess.run(call, check=True, capture_output=True, text=True, cwd=ROOT).stdout  # noqa: S603


def read(text: str) -> dict[str, set[str]]:
    """Return, for every box, the boxes that it waits for."""
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', text))
    members: dict[str, list[str]] = {}
    for name in names.values():
        members.setdefault(_box(name), []).append(name)
    titles = {name: _title(box, found) for box, found in members.items() for name in found}
    graph: dict[str, set[str]] = {titles[name]: set() for name in names.values() if name != "all"}
    for before, after in re.findall(r"(\d+) -> (\d+)", text):
        if names[after] != "all" and titles[names[before]] != titles[names[after]]:
            graph[titles[names[after]]].add(titles[names[before]])
    return graph


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out arrows that other arrows imply."""

    def behind(box: str) -> set[str]:
        return graph[box].union(*(behind(one) for one in graph[box]))

    implied = {box: set().union(*(behind(one) for one in waits)) for box, waits in graph.items()}
    return {box: waits - implied[box] for box, waits in graph.items()}


def draw(graph: dict[str, set[str]], path: Path) -> None:
    """Draw the boxes in columns, each right of all that it waits for."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    columns = _columns(graph)
    boxes, passed = set(graph), _passed(graph, columns)
    places = {box: (STEP * columns[box], -ROW * row) for box, row in _rows(passed, columns).items()}
    xs, ys = zip(*places.values(), strict=True)
    size = (0.36 * (max(xs) - min(xs) + WIDTH), 0.36 * (max(ys) - min(ys) + 2.2))
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    for box, (x, y) in places.items():
        for before in passed[box]:
            x0, y0 = places[before]
            style = "-|>" if box in boxes else "-"
            arrow = {"arrowstyle": style, "color": "#777777", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
            axis.annotate("", (x - EDGE, y), (x0 + EDGE, y0), arrowprops=arrow)
        if box not in boxes:
            axis.plot((x - EDGE, x + EDGE), (y, y), color="#777777", linewidth=0.7)
            continue
        colour = next(colour for kind, colour in COLOURS.items() if box.startswith(kind))
        corner = (x - WIDTH / 2, y - HALF)
        shape = FancyBboxPatch(corner, WIDTH, 2 * HALF, boxstyle="round,pad=0.06,rounding_size=0.2")
        shape.set(facecolor=colour, edgecolor="#555555", linewidth=0.6)
        axis.add_patch(shape)
        axis.text(x, y, box.replace("_", " "), ha="center", va="center", fontsize=6.5)
    axis.set(xlim=(min(xs) - WIDTH * 0.6, max(xs) + WIDTH * 0.6), ylim=(min(ys) - 0.7, max(ys) + 0.7))
    axis.set_axis_off()
    figure.savefig(path, dpi=220, facecolor="white", metadata={"Software": None})


def _box(name: str) -> str:
    """Return what the parts of a step, and the twins of an extraction, have in common."""
    return re.sub(r"_(\d+|trained|untrained)$", "", name)


def _title(box: str, members: list[str]) -> str:
    if len(members) == 1:
        return members[0]
    is_twin = members[0].endswith("trained")
    return f"{box}\n{'trained, untrained' if is_twin else f'{len(members)} parts'}"


def _columns(graph: dict[str, set[str]]) -> dict[str, int]:
    """Return columns by the longest way to a box; figures stand together, before the report."""

    def column(box: str) -> int:
        return 1 + max((column(one) for one in graph[box]), default=-1)

    last = max(map(column, graph))
    return {box: last - 1 if box.startswith("figure") else column(box) for box in graph}


def _passed(graph: dict[str, set[str]], columns: dict[str, int]) -> dict[str, set[str]]:
    """Return the graph with a place in every column that an arrow passes; adds these to ``columns``."""
    passed: dict[str, set[str]] = {box: set() for box in graph}
    for box, waits in graph.items():
        for before in waits:
            step = before
            for number in range(columns[before] + 1, columns[box]):
                place = f"{before} > {box} {number}"
                columns[place], passed[place], step = number, {step}, place
            passed[box].add(step)
    return passed


def _rows(graph: dict[str, set[str]], columns: dict[str, int]) -> dict[str, float]:
    """Return rows, top to bottom: figures in their order, all else level with what uses it."""
    last, rows = max(columns.values()), {}
    for number in range(last, -1, -1):
        boxes = [box for box in graph if columns[box] == number]
        wanted = {box: _mean([rows[after] for after in rows if box in graph[after]]) for box in boxes}
        if number == last - 1:
            wanted = {box: float(box.removeprefix("figure")) for box in boxes}
        lowest = -float("inf")
        for box in sorted(boxes, key=lambda box: (wanted[box], box)):
            lowest = rows[box] = max(wanted[box], lowest + 1)
    ends = [rows[box] for box in graph if columns[box] == last - 1]
    return rows | {box: _mean(ends) for box in graph if columns[box] == last}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    main()
