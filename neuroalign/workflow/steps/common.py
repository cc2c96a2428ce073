"""What the steps share: loading the network, and writing a figure's values with their provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ... import io
from ...extraction import LanguageModel, load_model
from ..config import Study
from ..paths import Paths
from ..sections import Section

__all__ = ["load_network", "write_values"]


def load_network(study: Study, twin: str) -> LanguageModel:
    """Return the study's network, trained or with random weights."""
    spec = study.model
    return load_model(
        spec.name,
        revision=spec.revision,
        untrained=twin == "untrained",
        seed=spec.untrained_seed,
        dtype=spec.dtype,
    )


def write_values(
    paths: Paths,
    number: int,
    table: pd.DataFrame,
    *,
    inputs: Mapping[str, str],
    section: Section,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the values that a figure draws, and beside them where they come from.

    Parameters
    ----------
    paths : Paths
    number : int
        Of the figure.
    table : DataFrame
    inputs : mapping of name to digest
    section : Section
        Of the configuration.
    notes : mapping, optional
        Counts and facts that the caption uses.
    """
    made = io.provenance(
        inputs=inputs,
        params={"study": paths.study.name, **section.model_dump(mode="json")},
        seed=paths.study.seed,
    )
    io.write_table(table, paths.figure(number, "tsv"))
    about = {
        "figure": number,
        "study": paths.study.title,
        "notes": dict(notes or {}),
        "provenance": made,
        "sha256": io.file_digest(paths.figure(number, "tsv")),
    }
    io.write_json(about, paths.figure(number, "provenance.json"))
