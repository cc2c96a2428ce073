"""The panels that figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .style import COLOURS, GREY

__all__ = ["bars_with_dots", "ceiling_band", "distributions", "envelope", "layer_lines"]

# The ground and the lines of what chance gives.
PALE, LINES = "#ececec", "#c2c2c2"


def layer_lines(
    ax: Axes,
    depth: Sequence[float] | np.ndarray,
    lines: Mapping[str, Any],
    *,
    colours: Mapping[str, str],
    bands: Mapping[str, tuple[Any, Any]] | None = None,
    styles: Mapping[str, str] | None = None,
) -> Axes:
    """Draw one line a name over layer depth, with the band (low, high) where one is given.

    Parameters
    ----------
    ax : Axes
    depth : array (n_layers,)
    lines, bands : mapping of name to array (n_layers,), or to a pair of them
        NaN leaves a gap.
    colours, styles : mapping of name to colour and line style
    """
    for name, values in lines.items():
        colour, dashes = colours[name], (styles or {}).get(name, "-")
        ax.plot(depth, values, dashes, color=colour, label=name, marker="o", markersize=2)
        if bands and name in bands:
            ax.fill_between(depth, *bands[name], color=colour, alpha=0.2, linewidth=0)
    ax.set_xlabel("layer (block)")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return ax


def envelope(ax: Axes, depth: Any, low: Any, high: Any, *, label: str) -> Axes:
    """Draw a hatched band between two curves over layer depth: what chance gives. A ceiling is plain."""
    ax.fill_between(
        depth, low, high, facecolor=PALE, edgecolor=LINES, hatch="/////", linewidth=0, label=label
    )
    return ax


def ceiling_band(
    ax: Axes, lower: float, upper: float, *, label: str | None = "noise ceiling", x: Any = None
) -> Axes:
    """Draw the noise ceiling as a grey band with both bounds, over the axis or over ``x`` (from, to)."""
    if x is None:
        ax.axhspan(lower, upper, color=GREY, alpha=0.25, linewidth=0, label=label, zorder=0)
    else:
        ax.fill_between(x, lower, upper, color=GREY, alpha=0.25, linewidth=0, label=label, zorder=0)
    return ax


def distributions(
    ax: Axes,
    groups: Mapping[str, Any],
    *,
    colours: Mapping[str, str],
    labels: Sequence[str] | None = None,
    seed: int = 0,
    width: float = 0.32,
) -> Axes:
    """Draw every value of each group as a dot, beside the group's median and its 5th to 95th percentile.

    Parameters
    ----------
    ax : Axes
    groups : mapping of name to array (n,)
        Groups stand side by side in this order.
    colours : mapping of name to colour
    labels : sequence of str, optional
        What stands below the groups; their names where None.
    seed : int
        Of the sideways jitter.
    """
    rng = np.random.default_rng(seed)
    for x, (name, values) in enumerate(groups.items()):
        values = np.asarray(values, dtype=float)
        jitter = rng.uniform(-width, width, values.size) if values.size > 1 else np.zeros(values.size)
        ax.scatter(x + jitter, values, s=7, color=colours[name], alpha=0.7, linewidth=0, zorder=3)
        if values.size > 2:
            low, middle, high = np.nanpercentile(values, [5, 50, 95])
            ax.plot([x, x], [low, high], color="black", linewidth=0.8, zorder=4)
            ax.plot([x - width, x + width], [middle, middle], color="black", linewidth=1.4, zorder=4)
    ax.set_xticks(range(len(groups)), list(labels or groups), rotation=30, ha="right", rotation_mode="anchor")
    return ax


def bars_with_dots(
    ax: Axes,
    estimates: Mapping[str, float],
    dots: Mapping[str, Any],
    *,
    colour: str = COLOURS["blue"],
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> Axes:
    """Draw a bar a name with one dot a subject, and the interval where one is given."""
    names = list(estimates)
    ax.bar(range(len(names)), list(estimates.values()), color=colour, alpha=0.55, width=0.7, zorder=2)
    for x, name in enumerate(names):
        values = np.asarray(dots[name], dtype=float)
        spread = np.linspace(-0.2, 0.2, values.size) if values.size > 1 else np.zeros(1)
        ax.scatter(x + spread, values, s=6, color="black", alpha=0.7, linewidth=0, zorder=3)
        if intervals and name in intervals:
            ax.plot([x, x], intervals[name], color="black", linewidth=1, zorder=4)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    return ax
