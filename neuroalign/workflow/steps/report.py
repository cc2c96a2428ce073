"""One self-contained HTML file: figures, captions, values, versions, seeds, digests, durations."""

from __future__ import annotations

import base64
import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from ... import io
from ...errors import FileError
from ..paths import Paths

__all__ = ["report"]

TEMPLATE = Path(__file__).resolve().parents[1] / "report.html"

# Rows of a table that the page shows; the file to download holds them all.
MAX_ROWS = 1000


def report(paths: Paths) -> None:
    """Write the study's report; it opens without a network and loads nothing from elsewhere."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(io.read_text(TEMPLATE))
    figures = [_figure(paths, number) for number in paths.figures()]
    made = figures[0]["provenance"]
    text = template.render(
        study=paths.study,
        figures=figures,
        steps=_steps(paths),
        config=paths.study.model_dump_json(indent=2, exclude_none=True),
        made=made,
        simulated=any(figure["simulated"] for figure in figures),
    )
    io.write_text(text, paths.report)


def _figure(paths: Paths, number: int) -> dict[str, Any]:
    about = io.read_json(paths.figure(number, "json"))
    table = io.read_text(paths.figure(number, "tsv"))
    rows = list(csv.reader(StringIO(table), delimiter="\t"))
    return {
        "number": number,
        "title": about["title"],
        "caption": about["caption"],
        "simulated": bool(about["notes"].get("simulated", False)),
        "provenance": about["provenance"],
        "png": _data_uri(paths.figure(number, "png"), "image/png"),
        "pdf": _data_uri(paths.figure(number, "pdf"), "application/pdf"),
        "tsv": _data_uri(paths.figure(number, "tsv"), "text/tab-separated-values"),
        "digest": io.file_digest(paths.figure(number, "tsv")),
        "header": rows[0],
        "rows": [[_short(cell) for cell in row] for row in rows[1 : MAX_ROWS + 1]],
        "n_rows": len(rows) - 1,
    }


def _data_uri(path: Path, kind: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror or error}.") from error
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _short(cell: str) -> str:
    try:
        return cell if float(cell) == int(float(cell)) else f"{float(cell):.4g}"
    except (ValueError, OverflowError):
        return cell


def _steps(paths: Paths) -> list[dict[str, Any]]:
    """Return how long each step took, as Snakemake measured it when the step last ran."""
    rows = []
    for path in sorted((paths.folder / "benchmarks").glob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if len(table):
            row = table.iloc[-1]
            rows.append({"name": path.stem, "seconds": float(row["s"]), "memory": _known(row["max_rss"])})
    return rows


def _known(value: float) -> float | None:
    """Return a measured value; None where Snakemake could not measure it."""
    return None if pd.isna(value) else float(value)
