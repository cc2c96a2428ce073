"""Whether what stands under a study's final names is what was written there."""

from __future__ import annotations

from pathlib import Path

from .. import io
from ..errors import FileError
from .paths import TWINS, Paths

__all__ = ["remove_damaged"]


def remove_damaged(paths: Paths) -> list[Path]:
    """Remove outputs of a study whose content no longer has its digest; return their paths.

    Snakemake goes by time stamps and does not notice a file that was cut short under its old one. What is
    removed here is made again by the next run.
    """
    arrays = [paths.masks, paths.responses, paths.lesion_scores, paths.own_rdms]
    damaged = [path for path in arrays if path.exists() and not _sound(path)]
    own = paths.study.own
    read = {"localizer": paths.study.localizer, "story": paths.study.story, "own": own and own.network}
    for what, asked in read.items():
        if asked:
            found = [paths.activations(what, twin) for twin in TWINS]
            damaged += [path for path in found if path.exists() and not _sound_layers(path)]
    damaged += [paths.figure(n, "tsv") for n in paths.figures() if not _sound_table(paths, n)]
    for path in damaged:
        path.unlink(missing_ok=True)
    return damaged


def _sound(path: Path) -> bool:
    try:
        io.load(path)
    except FileError:
        return False
    return True


def _sound_layers(path: Path) -> bool:
    try:
        for layer in io.layer_names(path):
            io.read_layer(path, layer)
    except FileError:
        return False
    return True


def _sound_table(paths: Paths, number: int) -> bool:
    """Return whether a table has the digest that its provenance names; one that is not there yet is sound."""
    table, about = paths.figure(number, "tsv"), paths.figure(number, "provenance.json")
    if not table.exists():
        return True
    try:
        return bool(io.read_json(about)["sha256"] == io.file_digest(table))
    except (FileError, KeyError, TypeError):
        return False
