"""The figure of ``neuroalign rsa``: the data's mean RDM, the best models' RDMs, and all scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from .. import plotting, rsa
from ..schema import rdm_stimuli

__all__ = ["draw_comparison"]

# Beyond these, maps beside each other and names below bars could not be read.
MOST_MAPS, MOST_BARS, MOST_LETTERS = 4, 14, 18


def draw_comparison(
    stem: Path, own: xr.DataArray, models: xr.DataArray, result: xr.Dataset, order: Sequence[str]
) -> list[Path]:
    """Save the figure as PDF and PNG with its caption; ``order`` is from the best model to the worst."""
    shown, bars = list(order[:MOST_MAPS]), list(order[:MOST_BARS])
    maps = [("data, mean", rsa.mean_rdm(own, "subject").drop_attrs())]
    maps += [(name, models.sel(model=name, drop=True)) for name in shown]
    short = _short([str(name) for name in result["model"].values])
    with plotting.style():
        figure, axes = plotting.figure(2, len(maps), height=105)
        for ax, (name, rdm) in zip(axes[0], maps, strict=True):
            plotting.rdm_map(ax, rdm, scale="percentile", bar=ax is axes[0, -1])
            ax.set_title(short.get(name, name))
        grid = axes[0, 0].get_gridspec()
        for ax in axes[1]:
            ax.remove()
        lower = figure.add_subplot(grid[1, :])
        plotting.model_bars(lower, _renamed(result, short), order=[short[name] for name in bars])
        lower.tick_params(axis="x", rotation=30 if max(map(len, bars)) > 8 else 0)
        caption = _caption(own, result, n_models=len(order), n_maps=len(shown), n_bars=len(bars))
        return plotting.save_figure(figure, stem, title="RSA", caption=caption)


def _short(names: Sequence[str]) -> dict[str, str]:
    """Return the ends of long names, where layers differ; whole names where ends are the same."""
    ends = [n if len(n) <= MOST_LETTERS else f"...{n[3 - MOST_LETTERS :]}" for n in names]
    return dict(zip(names, ends if len(set(ends)) == len(ends) else names, strict=True))


def _renamed(result: xr.Dataset, short: dict[str, str]) -> xr.Dataset:
    names = [short[str(name)] for name in result["model"].values]
    found = result.assign_coords(model=names)
    return found.assign_coords(model_b=names) if "model_b" in result.dims else found


def _caption(own: xr.DataArray, result: xr.Dataset, *, n_models: int, n_maps: int, n_bars: int) -> str:
    n, n_stimuli, how = own.sizes["subject"], len(rdm_stimuli(own)), result.attrs["bootstrap"]
    new = "people and stimuli" if how == "both" else {"subject": "people", "stimulus": "stimuli"}[how]
    some = "" if n_bars == n_models else f", the {n_bars} best models"
    ceiling = "the band is the noise ceiling (leave-one-out to pooled)"
    if "noise_ceiling" not in result:
        ceiling = "one RDM has no noise ceiling"
    return (
        f"Top: RDMs as percentiles, the mean of n = {n} RDM(s) of the data and the {n_maps} best of "
        f"{n_models} model(s). Bottom: {result.attrs['metric']} of model and data RDMs{some}; dots are "
        f"people, bars their mean with 95 % bootstrap intervals over new {new}; {ceiling}. Dots below bars: "
        "above 0 (FDR q < .05); rings and wedges: which models differ (FDR over pairs of models). "
        f"{n_stimuli} stimuli, {n_stimuli * (n_stimuli - 1) // 2} pairs."
    )
