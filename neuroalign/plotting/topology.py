"""The panels of topological RSA: accuracy over thresholds, summaries with controls, toys in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .style import COLOURS, GREY

__all__ = ["FAMILY_COLOURS", "accuracy_bars", "accuracy_map", "dependence_map", "places"]

FAMILY_COLOURS = {
    "local": COLOURS["sky"],
    "global": COLOURS["purple"],
    "geometry": COLOURS["green"],
    "topology": COLOURS["vermillion"],
    "intermediate": COLOURS["orange"],
}


def accuracy_map(
    ax: Axes, lower: Any, upper: Any, values: Any, *, limits: tuple[float, float], family: Any = None
) -> Any:
    """Draw a value over the grid of thresholds, and the borders of the families where these are given.

    Parameters
    ----------
    ax : Axes
    lower, upper, values : array (n_cells,)
        Every pair lower <= upper of an evenly spaced grid once.
    limits : (float, float)
        Of the colours.
    family : array (n_cells,) of str, optional

    Returns
    -------
    The image, for a colour bar.
    """
    shares = np.unique(np.round(np.r_[lower, upper], 9))
    rows, columns = (np.searchsorted(shares, np.round(x, 9)) for x in (upper, lower))
    grid = np.full((len(shares), len(shares)), np.nan)
    grid[rows, columns] = values
    half = (shares[1] - shares[0]) / 2 if len(shares) > 1 else 0.5
    extent = (shares[0] - half, shares[-1] + half) * 2
    image = ax.imshow(
        grid, origin="lower", extent=extent, vmin=limits[0], vmax=limits[1], cmap="viridis", aspect="equal"
    )
    if family is not None:
        names = np.full(grid.shape, "", dtype=object)
        names[rows, columns] = family
        _borders(ax, names, shares - half, 2 * half)
    ax.set(xlabel="lower threshold l", ylabel="upper threshold u", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    return image


def _borders(ax: Axes, names: np.ndarray, starts: np.ndarray, width: float) -> None:
    """Draw a line between neighbouring cells of different families."""
    n = len(starts)
    for i in range(n):
        for j in range(n):
            here, x, y = names[i, j], starts[j], starts[i]
            if j + 1 < n and here and names[i, j + 1] and here != names[i, j + 1]:
                ax.plot([x + width] * 2, [y, y + width], color="white", linewidth=0.7)
            if i + 1 < n and here and names[i + 1, j] and here != names[i + 1, j]:
                ax.plot([x, x + width], [y + width] * 2, color="white", linewidth=0.7)


def accuracy_bars(
    ax: Axes,
    values: Mapping[str, float],
    *,
    chance: float,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    marks: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Axes:
    """Draw a bar a summary, its interval, and a mark on it where one is given; chance is a dashed line.

    Parameters
    ----------
    ax : Axes
    values : mapping of name to accuracy
    chance : float
    intervals : mapping of name to (low, high), optional
        One that is NaN is not drawn.
    marks : mapping of name to accuracy, optional
    colours : mapping of name to colour, optional
        Grey where a name has none.
    """
    for x, (name, value) in enumerate(values.items()):
        ax.bar(x, value, color=(colours or {}).get(name, GREY), alpha=0.6, width=0.75, zorder=2)
        ends = (intervals or {}).get(name, (np.nan, np.nan))
        if np.isfinite(ends).all():
            ax.plot([x, x], ends, color="black", linewidth=1, zorder=3)
        if marks and name in marks:
            ax.plot(x, marks[name], "D", color="white", markeredgecolor="black", markersize=3, zorder=4)
    ax.axhline(chance, color="black", linewidth=0.6, linestyle="--", zorder=1)
    ax.set_xticks(range(len(values)), list(values), rotation=40, ha="right", rotation_mode="anchor")
    ax.set_ylim(0, 1.02)
    return ax


def places(
    ax: Axes, x: Any, y: Any, *, colours: Sequence[str], markers: Sequence[str], margin: float = 0.25
) -> Axes:
    """Draw points in a plane whose axes have no meaning, such as an MDS, on one scale."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for one_x, one_y, colour, marker in zip(x, y, colours, markers, strict=True):
        ax.plot(one_x, one_y, marker, color=colour, markersize=7, markerfacecolor="none", markeredgewidth=1.4)
    reach = (1 + margin) * max(np.abs(x).max(), np.abs(y).max(), 1e-12)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=(), yticks=(), aspect="equal")
    return ax


def dependence_map(ax: Axes, lower_x: Any, lower_y: Any, values: Any) -> Any:
    """Draw an AGTDM map, cells of X along x and cells of Y along y, its largest value marked.

    Parameters
    ----------
    ax : Axes
    lower_x, lower_y : array (n_cells,)
        Lower thresholds; cells with the same one stand together, in order of the upper one.
    values : array (n_cells, n_cells)
        NaN is left white.

    Returns
    -------
    The image, for a colour bar.
    """
    values = np.asarray(values, dtype=float)
    largest = np.nanmax(np.abs(values))
    image = ax.imshow(values.T, origin="lower", vmin=-largest, vmax=largest, cmap="RdBu_r", aspect="equal")
    i, j = np.unravel_index(np.nanargmax(values), values.shape)
    ax.add_line(Line2D([i], [j], marker="o", color="black", markerfacecolor="none", markersize=6))
    for axis, lower in ((ax.xaxis, np.asarray(lower_x)), (ax.yaxis, np.asarray(lower_y))):
        starts = np.flatnonzero(np.r_[True, np.diff(lower) != 0])
        axis.set_ticks(starts, [f"{lower[start]:.2f}" for start in starts])
        axis.set_tick_params(labelsize=5)
    ax.tick_params(axis="x", rotation=90)
    ax.set(xlabel="thresholds of x (by lower)", ylabel="thresholds of y (by lower)")
    return image
