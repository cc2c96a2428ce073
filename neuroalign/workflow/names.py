"""Whether a study names what there is: a source that comes with the package or a data set, or a table."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from .sections import Lesions, Localizer, Study

__all__ = ["misnamed", "misnamed_pairs", "misnamed_stimuli"]

TABLES = (".tsv", ".csv")


def misnamed(study: Study) -> Iterator[str]:
    """Yield what is wrong with the names of stimuli and pairs; no file is looked at."""
    if study.localizer is not None:
        yield from misnamed_stimuli(study.localizer)
    if study.lesions is not None:
        yield from misnamed_pairs(study.lesions)


def misnamed_stimuli(section: Localizer) -> Iterator[str]:
    """Yield what is wrong with the name of a localizer's stimuli."""
    yield from _named("localizer.stimuli", section.stimuli, ("embedded", "langloc_stimuli"))


def misnamed_pairs(section: Lesions) -> Iterator[str]:
    """Yield what is wrong with the name of the minimal pairs."""
    yield from _named("lesions.pairs", section.pairs, ("embedded", "blimp"))


def _named(key: str, value: str, names: tuple[str, ...]) -> Iterator[str]:
    if value in names or Path(value).suffix in TABLES:
        return
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    yield f"{key} must be {' or '.join(map(repr, names))}, or a table (.tsv, .csv); got {value!r}.{hint}"
