"""Neuroids as dots: scores against their ceilings, and scores in the visual field."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from ..errors import InvalidValueError
from ..io.images import map_table
from ..schema import align
from .scales import ColourScale, Drawn, bar_label, colour_bar, dots, prepared
from .style import COLOURS, GREY

__all__ = ["ceiling_scatter", "prf_map"]

# From this many dots on their density is drawn.
MANY = 1500


def ceiling_scatter(
    ax: Axes,
    score: xr.DataArray,
    ceiling: xr.DataArray,
    *,
    colour: str = COLOURS["blue"],
    labels: tuple[str, str] = ("noise ceiling", "score"),
    density: bool | None = None,
) -> Drawn:
    """Draw each neuroid's score against its noise ceiling, with the line where they are equal.

    Dots above the line are no mistake: both are estimates. Neuroids without a score or a ceiling are left
    out, and their number is written in the corner.

    Parameters
    ----------
    ax : Axes
    score, ceiling : DataArray (neuroid,)
        Aligned by the labels of neuroid.
    colour : str
        Of the dots.
    labels : (str, str)
        Of the axes.
    density : bool, optional
        Whether counts in hexagons are drawn in place of dots; from 1,500 dots on where None.

    Returns
    -------
    ax : Axes
    table : DataFrame
        One row a neuroid: ``score`` and ``ceiling``; ``attrs["n_undefined"]`` counts those left out.

    Raises
    ------
    LabelError
        If the neuroids differ.
    InvalidValueError
        If no neuroid has both.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> score = xr.DataArray([0.1, 0.4], dims="neuroid", coords={"neuroid": ["v1", "v2"]})
    >>> ceiling_scatter(axes[0, 0], score, score + 0.2)[1]["ceiling"].round(1).tolist()
    [0.3, 0.6]
    """
    score, ceiling = align(score, ceiling, on="neuroid", names=["score", "ceiling"])
    x, y = ceiling.values.astype(np.float64), score.values.astype(np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise InvalidValueError("no neuroid has both a score and a ceiling.")
    low, high = min(x[known].min(), y[known].min(), 0.0), max(x[known].max(), y[known].max())
    margin = 0.04 * (high - low if high > low else 1.0)
    ends = (low - margin, high + margin)
    if (known.sum() >= MANY) if density is None else density:
        cells = ax.hexbin(
            x[known],
            y[known],
            gridsize=40,
            extent=(*ends, *ends),
            mincnt=1,
            bins="log",
            cmap="viridis",
            linewidths=0,
        )
        _count_bar(ax, cells)
    else:
        ax.scatter(x[known], y[known], s=6, color=colour, alpha=0.6, linewidth=0)
    ax.plot(ends, ends, color="black", linewidth=0.7, zorder=5)
    if not known.all():
        text = f"{int((~known).sum())} undefined"
        ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", fontsize=6.5, color=GREY)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel=labels[0], ylabel=labels[1])
    table = map_table(score.rename("score")).assign(ceiling=x)
    table.attrs["n_undefined"] = int((~known).sum())
    return ax, table


def prf_map(
    ax: Axes,
    values: xr.DataArray,
    *,
    x: str = "prf_x",
    y: str = "prf_y",
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
    radius: float | None = None,
    screen: tuple[float, float] | None = None,
) -> Drawn:
    """Draw a score at each neuroid's receptive field in the visual field.

    Parameters
    ----------
    ax : Axes
    values : DataArray (neuroid,)
        Undefined values are light grey and lie below; larger ones lie above smaller ones.
    x, y : str
        Coordinates along neuroid: the field's centre in degrees from fixation, y up.
    scale, label, bar
        As in ``glass_brain``.
    radius : float, optional
        How much of the field is seen, in degrees; all where None. Neuroids beyond are counted below.
    screen : (width, height), optional
        Of the stimulus, in degrees around fixation, drawn as a frame.

    Returns
    -------
    ax : Axes
    table : DataFrame
        One row a neuroid; ``attrs["n_beyond"]`` counts those outside of the radius.

    Raises
    ------
    LabelError
        If a coordinate is missing.
    InvalidValueError
        If nothing is defined.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> places = {"prf_x": ("neuroid", [1.0, -2.0]), "prf_y": ("neuroid", [0.5, 3.0])}
    >>> r = xr.DataArray([0.1, 0.4], dims="neuroid", coords=places, name="r")
    >>> prf_map(axes[0, 0], r, radius=3)[1].attrs["n_beyond"]
    1
    """
    scale, table = prepared(values, scale)
    dots(ax, values, x, y, scale)
    eccentricity = np.hypot(values[x].values, values[y].values)
    whole = float(np.nanmax(eccentricity)) * 1.02 if radius is None else float(radius)
    rings = _rings(whole)
    for ring in rings:
        ax.add_patch(Circle((0, 0), ring, fill=False, color=GREY, linewidth=0.4, zorder=0))
    ax.axhline(0, color=GREY, linewidth=0.4, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.4, zorder=0)
    if screen is not None:
        half = screen[0] / 2, screen[1] / 2
        ax.plot(
            [-half[0], half[0], half[0], -half[0], -half[0]],
            [-half[1], -half[1], half[1], half[1], -half[1]],
            color="black",
            linewidth=0.7,
        )
    n_beyond = int((eccentricity > whole).sum())
    more = f"\n{n_beyond} neuroids beyond {whole:g} degrees" if n_beyond else ""
    ticks = [sign * ring for sign in (-1, 1) for ring in rings] + [0]
    ax.set(xlim=(-whole, whole), ylim=(-whole, whole), aspect="equal", xticks=ticks, yticks=ticks)
    ax.set(xlabel=f"horizontal position (degrees){more}", ylabel="vertical position (degrees)")
    if bar:
        colour_bar(ax, scale, bar_label(values, label))
    table.attrs["n_beyond"] = n_beyond
    return ax, table


def _count_bar(ax: Axes, cells: Any) -> None:
    """Draw the bar of counts on a logarithmic scale with plain numbers, whose letters are not smaller."""
    most = int(cells.get_array().max())
    bar = ax.figure.colorbar(cells, cax=ax.inset_axes((1.04, 0, 0.04, 1)), label="neuroids")
    ticks = [n for power in range(7) for n in (10**power, 2 * 10**power, 5 * 10**power) if n <= most]
    bar.set_ticks(ticks, labels=[f"{n:,}" for n in ticks])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def _rings(radius: float) -> list[float]:
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, np.inf) if radius / s <= 4)
    return [step * i for i in range(1, int(radius / step) + 1)] if np.isfinite(step) else []
