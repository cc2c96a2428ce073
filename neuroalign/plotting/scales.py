"""What colour a value has, and what every panel that colours neuroids shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize

from ..errors import InvalidValueError, LabelError, ShapeError
from ..io.images import map_table

__all__ = [
    "BLANK",
    "ColourScale",
    "Drawn",
    "bar_label",
    "code_scale",
    "colour_bar",
    "colour_scale",
    "dots",
    "prepared",
]

# What every function here that draws returns: the axis, and one row a neuroid.
Drawn = tuple[Axes, pd.DataFrame]


BLANK = "#e6e6e6"
# Names beside a colour bar before they would run into each other.
N_NAMES = 12


@dataclass(frozen=True)
class ColourScale:
    """Colours from ``low`` to ``high``; or one each for the codes 0, 1, 2, ..., with their ``names``."""

    cmap: Colormap
    low: float
    high: float
    discrete: bool = False
    names: tuple[str, ...] | None = None

    @property
    def norm(self) -> Normalize:
        """What brings values to 0 to 1; those beyond the ends have the colours of the ends."""
        return Normalize(self.low, self.high, clip=True)

    @property
    def overlay(self) -> Colormap:
        """The colour map of a map above something else, which shows where values are undefined."""
        return self.cmap.with_extremes(bad=(0, 0, 0, 0))

    def colours(self, values: Any) -> np.ndarray:
        """Return the colours (..., 4) of values; undefined ones have the colour map's own, light grey."""
        masked = np.ma.masked_invalid(np.asarray(values, dtype=np.float64))
        return np.asarray(self.cmap(self.norm(masked)))


def colour_scale(
    values: Any, *, limits: tuple[float, float] | None = None, diverging: bool = False
) -> ColourScale:
    """Return the colours of a score (viridis), or of a difference (blue to red, white at 0).

    Parameters
    ----------
    values : array
        Of which the extremes count where there are no limits; NaN is left out.
    limits : (low, high), optional
        Give the same to maps that are to be compared by eye. Of a difference, the larger in absolute value
        holds for both ends.
    diverging : bool

    Raises
    ------
    InvalidValueError
        If no value is finite, or the limits are not in order.

    Examples
    --------
    >>> colour_scale([0.1, 0.5]).high, colour_scale([-0.1, 0.5], diverging=True).low
    (0.5, -0.5)
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if limits is None:
        if not finite.size:
            raise InvalidValueError("no value of the map is finite; there is nothing to be drawn.")
        limits = float(finite.min()), float(finite.max())
        limits = limits if limits[1] > limits[0] else (limits[0] - 0.5, limits[1] + 0.5)
    low, high = (float(limit) for limit in limits)
    if not low < high:
        raise InvalidValueError(f"limits must be two different numbers in order; got {limits!r}.")
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    return ColourScale(colormaps["RdBu_r" if diverging else "viridis"].with_extremes(bad=BLANK), low, high)


def code_scale(colours: Any, names: Sequence[str] | None = None, *, undefined: Any = BLANK) -> ColourScale:
    """Return the scale of the codes 0 to n - 1: one colour each, their names, and the colour of NaN.

    Examples
    --------
    >>> code_scale(["red", "blue"], ["V1", "V2"]).colours([1.0]).tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    cmap = ListedColormap(list(colours)).with_extremes(bad=undefined)
    labels = None if names is None else tuple(map(str, names))
    return ColourScale(cmap, -0.5, len(colours) - 0.5, True, labels)


def colour_bar(ax: Axes, scale: ColourScale, label: str = "") -> None:
    """Draw the colour bar at the right of the axis, with names in place of codes."""
    place = ax.inset_axes((1.04, 0.0, 0.04, 1.0))
    bar = ax.figure.colorbar(ScalarMappable(scale.norm, scale.cmap), cax=place, label=label)
    bar.outline.set_visible(False)
    if scale.names is not None:
        step = -(-len(scale.names) // N_NAMES)
        shown = range(0, len(scale.names), step)
        bar.set_ticks(list(shown), labels=[scale.names[i] for i in shown])
        bar.ax.tick_params(length=0)
        bar.ax.minorticks_off()


def dots(ax: Axes, values: xr.DataArray, x: str, y: str, scale: ColourScale) -> None:
    """Draw dots over two coordinates, undefined values first and the largest last, so that none hides it."""
    for name in (x, y):
        if name not in values.coords or values[name].dims != ("neuroid",):
            raise LabelError(f"values have no coordinate {name!r} along neuroid.")
    order = np.argsort(np.nan_to_num(values.values, nan=-np.inf), kind="stable")
    size = float(np.clip(4000 / max(values.size, 1), 2, 14))
    ax.scatter(
        values[x].values[order],
        values[y].values[order],
        s=size,
        c=scale.colours(values.values[order]),
        linewidth=0,
        rasterized=values.size > 2000,
    )


def prepared(values: xr.DataArray, scale: ColourScale | None) -> tuple[ColourScale, pd.DataFrame]:
    """Return the scale and the table of one map, or refuse what cannot be drawn."""
    if not isinstance(values, xr.DataArray) or values.dims != ("neuroid",):
        raise ShapeError(
            f"one map (neuroid,) is drawn; got {getattr(values, 'dims', type(values).__name__)}. Select one."
        )
    if not np.isfinite(values.values.astype(np.float64)).any():
        raise InvalidValueError("no value of the map is finite; there is nothing to be drawn.")
    return scale or colour_scale(values.values), map_table(values)


def bar_label(values: xr.DataArray, label: str | None) -> str:
    """Return the label of a colour bar: the one given, else the map's name."""
    return str(values.name or "") if label is None else label
