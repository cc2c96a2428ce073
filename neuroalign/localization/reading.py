"""A network read as a preset reads it: moments of every unit, at all of the preset's sites."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from ..extraction import LanguageModel, extract_moments
from .moments import join_sites
from .presets import Preset, preset

__all__ = ["preset_moments"]


def preset_moments(
    model: LanguageModel,
    stimuli: pd.DataFrame,
    name: str | Preset = "default",
    *,
    layers: Any = None,
    batch_size: int = 32,
    progress: bool = True,
) -> xr.Dataset:
    """Return the moments of a network's units for a preset, by condition and run.

    Parameters
    ----------
    model : LanguageModel
    stimuli : DataFrame
        Columns stimulus, text, condition and, where there is one, run; made lower case where the preset does.
    name : str or Preset
        See ``localization.preset``.
    layers, batch_size, progress
        Of ``extraction.extract``.

    Returns
    -------
    xarray.Dataset
        For ``localize(moments, positive, negative, preset=name)``, ``held_out_selectivity`` and the like.

    Examples
    --------
    >>> moments = preset_moments(model, stimuli.localizer(), "topolm")  # doctest: +SKIP
    >>> localize(moments, "sentence", "nonword", preset="topolm")["mask"].sum()  # doctest: +SKIP
    """
    chosen = preset(name)
    table = chosen.stimuli(stimuli)
    by = [column for column in ("condition", "run") if column in table.columns]
    parts = []
    for options in chosen.extraction:
        found = extract_moments(
            model, table, layers, by=by, batch_size=batch_size, progress=progress, **options
        )
        parts.append(found if "run" in by else found.assign_coords(run=("group", [0] * found.sizes["group"])))
    return join_sites(*parts)
