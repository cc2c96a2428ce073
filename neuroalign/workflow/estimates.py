"""What a study will write and how much memory its steps take, before anything is run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from .. import datasets
from ..errors import NeuroalignError
from .model_files import Sizes
from .paths import PARTS, TWINS, Paths
from .sections import Study
from .sources import localizer_stimuli, story_words

__all__ = ["Need", "disk_free", "memory_free", "needs", "uses_network"]

FLOAT32 = 4
# Measured on the studies of this project and rounded up: a step with SmolLM2 in float32 (.54 GB of weights)
# takes 1.3 GB, one without a network .4 to 1.3 GB.
BASE, PLAIN, WEIGHTS = 0.9e9, 1.5e9, 1.5
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Need:
    """What one part of a study needs; ``there`` says that its file stands already.

    Attributes
    ----------
    what, detail : str
    disk, memory : float
        In bytes: written in all, and at once in one process.
    processes : int
        How many such processes may run beside each other.
    there : bool
    """

    what: str
    detail: str
    disk: float
    memory: float
    processes: int = 1
    there: bool = False


def needs(study: Study, paths: Paths, sizes: Sizes | None) -> Iterator[Need]:
    """Yield what the parts of a study need.

    Parameters
    ----------
    study : Study
    paths : Paths
        With the results folder, so that activations that stand are not counted again.
    sizes : Sizes, optional
        Of the network; where None or without a width, the size of activations is not known.
    """
    memory = _network_memory(study, sizes)
    for what, n_stimuli, noun in _shown(study):
        for twin in TWINS:
            there = paths.activations(what, twin).exists()
            detail, disk = f"{_number(n_stimuli)} {noun}", float("nan")
            if sizes is not None and sizes.n_layers and sizes.width and n_stimuli:
                detail += f" x {sizes.n_layers} layers x {sizes.width:,} units, float32"
                disk = float(n_stimuli * sizes.n_layers * sizes.width * FLOAT32)
            yield Need(f"activations, {what}, {twin}", detail, 0.0 if there else disk, memory, 1, there)
    for section in ("lesions", "sweep", "paradigms", "dissociation"):
        if getattr(study, section) is not None:
            yield Need(section, f"masks scored by {PARTS} processes", 5e6, memory, PARTS)
    yield Need("figures and report", f"{len(paths.figures())} figures", 5e6 * len(paths.figures()), PLAIN)


def _shown(study: Study) -> Iterator[tuple[str, int | None, str]]:
    """Yield what is shown to the network, how many of what (None: it cannot be counted)."""
    if study.localizer is not None:
        yield "localizer", _count(localizer_stimuli, study.localizer), "stimuli"
    if study.story is not None:
        yield "story", _count(story_words, study.story), "words"
    if study.own is not None and study.own.network:
        path = study.own.data
        yield "own", _count(lambda p: datasets.read_described(p, what="stimuli"), path), "stimuli"


def _count(read: object, given: object) -> int | None:
    try:
        return len(read(given))  # type: ignore[operator]
    except NeuroalignError:  # said by the checks of the files themselves
        return None


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
