"""The figure of ``neuroalign rsa``: the data's mean RDM, the best models' RDMs, and all scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from .. import plotting, rsa
from ..schema import rdm_stimuli

__all__ = ["draw"]


def draw(
    stem: Path,
    own: xr.DataArray,
    models: xr.DataArray,
    result: xr.Dataset,
    order: Sequence[str],
    *,
    most: tuple[int, int],
) -> None:
    """Save the figure as PDF and PNG with its caption; ``order`` is from the best model to the worst."""
    shown, bars = list(order[: most[0]]), list(order[: most[1]])
    with plotting.style():
        figure, axes = plotting.figure(2, 3, height=120)
        maps = [("data, mean", rsa.mean_rdm(own, "subject")), *((n, models.sel(model=n, drop=True)) for n in shown)]
        flat = list(axes.ravel())
        for ax, (name, rdm) in zip(flat, maps, strict=False):
            plotting.rdm_map(ax, rdm, scale="percentile", bar=ax is flat[0], label="dissimilarity")
            ax.set_title(_short(str(name)))
        for ax in flat[len(maps) :]:
            ax.set_visible(False)
        lower = figure.subfigures if False else None
        del lower
        _scores(figure, result, bars)
        plotting.save_figure(figure, stem, title="RSA", caption=_caption(own, result, len(order), shown, bars))
