"""What the steps with lesions share: masks, a task, and a work folder that can be filled in parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from ... import io
from ...errors import FileError
from ...extraction import LanguageModel
from ...localization import Task, lesion_scores
from ..paths import Paths

__all__ = ["Lesioning", "read_masks", "scored"]


@dataclass(frozen=True)
class Lesioning:
    """Masks to be put on a network for a task, and the folder with one small file a mask."""

    masks: dict[str, xr.DataArray]
    task: Task
    work: Path


def scored(
    model: LanguageModel, one: Lesioning, names: list[str] | None = None, *, progress: bool = True
) -> xr.DataArray:
    """Return item scores (mask, item), intact and under the named masks (all where None)."""
    masks = one.masks if names is None else {name: one.masks[name] for name in names}
    return lesion_scores(model, masks, one.task, work=one.work, progress=progress)


def read_masks(paths: Paths) -> xr.Dataset:
    """Return the localizer's statistics and masks."""
    found = io.load(paths.masks)
    if not isinstance(found, xr.Dataset):
        raise FileError(f"{paths.masks} must hold the localizer's Dataset.")
    return found
