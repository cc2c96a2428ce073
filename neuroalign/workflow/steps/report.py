"""One self-contained HTML file: summary, figures, methods, references, warnings, provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ... import io
from ..paths import Paths
from ..reporting.analyses import words_for
from ..reporting.citations import bibtex, cited, doi_link, pieces, reference
from ..reporting.concerns import concerns, together
from ..reporting.figures import Figure, data_uri, read_figure
from ..reporting.page import page

__all__ = ["report"]


def report(paths: Paths) -> None:
    """Write the study's report; it opens without a network and loads nothing from elsewhere."""
    study = paths.study
    figures = [read_figure(paths.figure(n, "json").parent, n) for n in paths.figures()]
    words = {figure.number: words_for(figure.number, figure.facts()) for figure in figures}
    texts = {number: said.method or "" for number, said in words.items()}
    keys, data = cited(texts.values()), _data(figures)
    made = figures[0].provenance
    steps = _steps(paths)
    text = page(
        "report.html",
        study=study,
        figures=figures,
        words=words,
        methods={number: pieces(method) for number, method in texts.items()},
        parameters={figure.number: _flat(figure.params) for figure in figures},
        warnings=together(concerns(study, figures, {n: said.missing for n, said in words.items()})),
        references=[(key, reference(key), doi_link(key)) for key in keys],
        data=data,
        bibtex=data_uri(bibtex(keys, version=made["neuroalign"], data=data).encode(), "text/x-bibtex"),
        steps=steps,
        seconds=sum(step["seconds"] for step in steps),
        config=study.model_dump_json(indent=2, exclude_none=True),
        made=made,
        simulated=any(figure.simulated for figure in figures),
    )
    io.write_text(text, paths.report)


def _data(figures: list[Figure]) -> list[str]:
    """Return how the data sets ask to be cited, each once."""
    cites = [str(figure.notes.get("cite") or "").strip() for figure in figures]
    return [cite for cite in dict.fromkeys(cites) if cite]


def _flat(params: Mapping[str, Any], within: str = "") -> list[tuple[str, str]]:
    """Return parameters as rows, a parameter of a part under ``part.name``."""
    rows: list[tuple[str, str]] = []
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{within}{name}.")
        else:
            rows.append((f"{within}{name}", value if isinstance(value, str) else json.dumps(value)))
    return rows


def _steps(paths: Paths) -> list[dict[str, Any]]:
    """Return how long each step took, as Snakemake measured it when the step last ran.

    The report itself is left out: what stands of it is of the report before, or nothing.
    """
    rows = []
    measured = sorted((paths.folder / "benchmarks").glob("*.tsv"))
    for path in [path for path in measured if path.stem != "report"]:
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if len(table):
            row = table.iloc[-1]
            rows.append({"name": path.stem, "seconds": float(row["s"]), "memory": _known(row["max_rss"])})
    return rows


def _known(value: float) -> float | None:
    """Return a measured value; None where Snakemake could not measure it."""
    return None if pd.isna(value) else float(value)
