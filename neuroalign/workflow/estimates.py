"""What a study will write, how much memory its steps take and how long, before anything is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from .. import datasets
from ..errors import NeuroalignError
from . import durations
from .model_files import Sizes
from .paths import PARTS, TWINS, Paths
from .sections import Lesions, Paradigms, Study
from .sources import localizer_stimuli, minimal_pairs, story_words

__all__ = ["SCORED", "Need", "disk_free", "memory_free", "needs", "uses_network"]

FLOAT32 = 4
# Measured on the studies of this project and rounded up: a step with SmolLM2 in float32 (.54 GB of weights)
# takes 1.3 GB, one without a network .4 to 1.3 GB.
BASE, PLAIN, WEIGHTS = 0.9e9, 1.5e9, 1.5
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
CGROUP = Path("/sys/fs/cgroup")
SCORED = ("lesions", "sweep", "paradigms", "dissociation")
SEQUENCE = 16  # tokens of a sequence in the section dissociation


@dataclass(frozen=True)
class Need:
    """What one part of a study needs; ``there`` says that its file stands already.

    Attributes
    ----------
    what, detail : str
    disk, memory : float
        In bytes: written in all, and at once in one process.
    seconds : float
        Of one core, all processes together; NaN where it cannot be known.
    processes : int
        How many such processes may run beside each other.
    there : bool
    """

    what: str
    detail: str
    disk: float
    memory: float
    seconds: float
    processes: int = 1
    there: bool = False


def needs(study: Study, paths: Paths, sizes: Sizes | None, *, rate: float) -> Iterator[Need]:
    """Yield what the parts of a study need.

    Parameters
    ----------
    study : Study
    paths : Paths
        With the results folder, so that activations that stand are not counted again.
    sizes : Sizes, optional
        Of the network; where None or without a width, the size of activations is not known.
    rate : float
        Of ``durations.matmul_rate``.
    """
    memory = _network_memory(study, sizes)

    def read(n_tokens: float | None, times: int = 1) -> float:
        if n_tokens is None or sizes is None or sizes.n_parameters is None:
            return float("nan")
        one = durations.network_seconds(n_tokens, sizes.n_parameters, dtype=study.model.dtype, rate=rate)
        return times * one

    start = durations.LOADED * durations.MEASURED_AT / rate
    for shown in _shown(study):
        for twin in TWINS:
            there = paths.activations(shown.what, twin).exists()
            detail, disk = f"{_number(shown.n)} {shown.noun}", float("nan")
            if sizes is not None and sizes.n_layers and sizes.width and shown.n:
                detail += f" x {sizes.n_layers} layers x {sizes.width:,} units, float32"
                disk = float(shown.n * sizes.n_layers * sizes.width * FLOAT32)
            cost = (0.0, memory, 0.0) if there else (disk, memory, start + read(shown.n_tokens))
            yield Need(f"activations, {shown.what}, {twin}", detail, *cost, 1, there)
    if study.presets is not None and study.localizer is not None:
        table = _table(localizer_stimuli, study.localizer)
        n_tokens = None if table is None else durations.tokens(table["text"], characters=durations.MIXED)
        seconds = len(TWINS) * (start + read(n_tokens, len(paths.readings)))
        yield Need("presets", f"{len(paths.readings)} readings", 5e6, memory, seconds, len(TWINS))
    for section in SCORED:
        if getattr(study, section) is not None:
            n_masks = durations.n_masks(study, section)
            seconds = PARTS * start + read(_scored_tokens(study, section), n_masks)
            detail = f"about {n_masks:,} masks scored by {PARTS} processes"
            yield Need(section, detail, 5e6, memory, seconds, PARTS)
    n_layers = None if sizes is None else sizes.n_layers
    spent = durations.analysis_seconds(study, n_layers, rate=rate)
    n_figures = len(paths.figures())
    names = ", ".join(name for name in spent if name != "figures")
    detail = f"{names}; {n_figures} figure{'s' if n_figures > 1 else ''}"
    yield Need("analyses and report", detail, 5e6 * n_figures, PLAIN, sum(spent.values()))


@dataclass(frozen=True)
class _Shown:
    """What is shown to the network, how many of what, how many tokens it reads (None: cannot be counted)."""

    what: str
    n: int | None
    noun: str
    n_tokens: float | None


def _shown(study: Study) -> Iterator[_Shown]:
    if study.localizer is not None:
        table = _table(localizer_stimuli, study.localizer)
        n_tokens = None if table is None else durations.tokens(table["text"], characters=durations.MIXED)
        yield _Shown("localizer", _length(table), "stimuli", n_tokens)
    if study.story is not None:
        table, story = _table(story_words, study.story), study.story
        n_tokens = None if table is None else durations.story_tokens(table, story.context, story.stride)
        yield _Shown("story", _length(table), "words", n_tokens)
    if study.own is not None and study.own.network:
        table = _table(lambda path: datasets.read_described(path, what="stimuli"), study.own.data)
        known = table is not None and "text" in table
        n_tokens = durations.tokens(table["text"]) if table is not None and known else None
        yield _Shown("own", _length(table), "stimuli", n_tokens)


def _table(read: Callable[[Any], Any], given: object) -> pd.DataFrame | None:
    try:
        found: pd.DataFrame = read(given)
    except NeuroalignError:  # said by the checks of the files themselves
        return None
    return found


def _length(table: pd.DataFrame | None) -> int | None:
    return None if table is None else len(table)


def _scored_tokens(study: Study, section: str) -> float | None:
    """Return how many tokens a section scores under each mask."""
    lesions = study.lesions or Lesions()
    if section == "paradigms":
        every = study.paradigms or Paradigms()
        lesions = lesions.model_copy(update={"per_paradigm": every.per_paradigm})
    pairs = _table(minimal_pairs, lesions)
    if pairs is None:
        return None
    more = (
        SEQUENCE * study.dissociation.n_sequences if section == "dissociation" and study.dissociation else 0
    )
    return durations.pair_tokens(pairs) + more


def _network_memory(study: Study, sizes: Sizes | None) -> float:
    if sizes is None or sizes.n_parameters is None:
        return PLAIN
    return BASE + WEIGHTS * sizes.n_parameters * BYTES[study.model.dtype]


def _number(value: int | None) -> str:
    return "an unknown number of" if value is None else f"{value:,}"


def uses_network(study: Study) -> bool:
    """Return whether a study reads its network at all."""
    sections: tuple[object, ...] = (study.localizer, study.story)
    return any(section is not None for section in sections) or bool(study.own and study.own.network)


def disk_free(directory: Path) -> int:
    """Return the free bytes of the disk on which a folder is, or would be made."""
    folder = directory.resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def memory_free() -> int:
    """Return the bytes of memory that a process can have: the machine's, or what its container leaves."""
    free = psutil.virtual_memory().available
    try:
        bound = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or no bound
        return int(free)
    return max(0, min(int(free), bound - used))
