"""Time courses with bands, a noise ceiling and cluster bars; maps of sensors on a head; maps of two times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from scipy.interpolate import RBFInterpolator

from ..datasets import sensor_plane
from ..errors import ShapeError
from .outlines import cell_borders, draw_outline
from .panels import ceiling_band
from .scales import ColourScale, Drawn, bar_label, colour_bar, colour_scale, prepared
from .style import GREY

__all__ = ["cluster_bars", "time_courses", "time_map", "topography"]

# Points of the picture of a head in either direction.
FINE = 121
# Height of a row of cluster bars, and the gap above the first, as shares of the axis.
ROW, GAP = 0.05, 0.03


def time_courses(
    ax: Axes,
    times: Any,
    lines: Mapping[str, Any],
    *,
    colours: Mapping[str, str],
    bands: Mapping[str, tuple[Any, Any]] | None = None,
    styles: Mapping[str, str] | None = None,
    ceiling: tuple[Any, Any, Any] | None = None,
    shaded: tuple[float, float] | None = None,
    event: float | None = 0.0,
) -> Axes:
    """Draw one line a name over time, with bands, the noise ceiling behind, and a line at the event.

    Parameters
    ----------
    ax : Axes
    times : array (n_times,)
        Seconds.
    lines : mapping of name to array (n_times,)
        NaN leaves a gap.
    colours, styles : mapping of name to colour and line style
    bands : mapping of name to (low, high), arrays (n_times,)
    ceiling : (times, lower, upper), arrays (n,), optional
        The noise ceiling, with times of its own.
    shaded : (from, to), optional
        A window of interest, in seconds.
    event : float, optional
        When the stimulus came; no line where None.
    """
    times = np.asarray(times, dtype=np.float64)
    for name, values in lines.items():
        if np.shape(values) != times.shape:
            raise ShapeError(
                f"line {name!r} must have {len(times)} values, one a time; got {np.shape(values)}."
            )
    if ceiling is not None:
        ceiling_band(ax, *ceiling[1:], x=ceiling[0])
        for bound in ceiling[1:]:
            ax.plot(ceiling[0], bound, color=GREY, linewidth=0.5, zorder=3)
    if shaded is not None:
        ax.axvspan(*shaded, color=GREY, alpha=0.12, linewidth=0, zorder=-1)
    ax.axhline(0, color="black", linewidth=0.5, zorder=1)
    if event is not None:
        ax.axvline(event, color="black", linewidth=0.5, zorder=1)
    for name, values in lines.items():
        if bands and name in bands:
            ax.fill_between(times, *bands[name], color=colours[name], alpha=0.2, linewidth=0)
        ax.plot(times, values, (styles or {}).get(name, "-"), color=colours[name], label=name, linewidth=1)
    ax.set(xlim=(times[0], times[-1]), xlabel="time (s)")
    return ax


def cluster_bars(
    ax: Axes,
    clusters: Iterable[tuple[str, float, float, float]],
    *,
    colours: Mapping[str, str],
    alpha: float = 0.05,
) -> Axes:
    """Draw clusters as bars below the lines, a row a name: full where p is at most ``alpha``, else pale.

    Parameters
    ----------
    ax : Axes
        With its lines: room is made below them.
    clusters : iterable of (name, start, stop, p)
    colours : mapping of name to colour
        Names without a cluster have an empty row.
    alpha : float
    """
    low, high = ax.get_ylim()
    height = high - low
    rows = {name: low - (GAP + (i + 0.5) * ROW) * height for i, name in enumerate(colours)}
    for name, start, stop, p in clusters:
        sure = p <= alpha
        ax.plot(
            [start, stop],
            [rows[name]] * 2,
            color=colours[name],
            alpha=1.0 if sure else 0.3,
            linewidth=2.5 if sure else 1.0,
            solid_capstyle="butt",
        )
    ax.set_ylim(low - (GAP + len(rows) * ROW) * height, high)
    return ax


def topography(
    ax: Axes,
    values: xr.DataArray,
    *,
    marked: Any = None,
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
) -> Drawn:
    """Draw values of sensors on a head seen from above, nose up.

    Between the sensors the picture is a thin-plate spline, for the eye only; the dots are the sensors. The
    head's outline is its equator; sensors below lie outside of it (``datasets.sensor_plane``).

    Parameters
    ----------
    ax : Axes
    values : DataArray (neuroid,)
        With x, y, z of every sensor. A sensor with NaN is an empty dot and no part of the spline.
    marked : array (n_neuroids,) of bool, optional
        Sensors drawn larger.
    scale : ColourScale, optional
        Diverging around 0 where None.
    label : str, optional
        Of the colour bar; the name of the values where None.
    bar : bool

    Returns
    -------
    ax, table
        One row a sensor.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> places = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0.0]])
    >>> values = xr.DataArray(
    ...     np.arange(5.0), dims="neuroid", name="effect", coords={"neuroid": list("abcde")}
    ...     | {axis: ("neuroid", places[:, i]) for i, axis in enumerate("xyz")})
    >>> drawn, axes = plotting.figure()
    >>> topography(axes[0, 0], values)[1]["effect"].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    scale = scale or colour_scale(values.values, diverging=True)
    scale, table = prepared(values, scale)
    plane = sensor_plane(values).values
    known = np.isfinite(values.values)
    reach = max(1.0, float(np.hypot(*plane[known].T).max())) * 1.03
    line = np.linspace(-reach, reach, FINE)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    picture = RBFInterpolator(plane[known], values.values[known].astype(np.float64))(points)
    picture[np.hypot(*points.T) > reach] = np.nan
    image = ax.imshow(
        picture.reshape(FINE, FINE),
        origin="lower",
        extent=(-reach, reach, -reach, reach),
        cmap=scale.cmap.with_extremes(bad="white"),
        norm=scale.norm,
        interpolation="nearest",
    )
    image.set_clip_path(Circle((0, 0), reach, transform=ax.transData))
    _head(ax, reach)
    chosen = np.zeros(len(plane), dtype=bool) if marked is None else np.asarray(marked, dtype=bool)
    if chosen.shape != known.shape:
        raise ShapeError(f"marked must have {len(plane)} booleans, one a sensor; got shape {chosen.shape}.")
    for which, size, face in (
        (known & ~chosen, 2, "black"),
        (known & chosen, 11, "black"),
        (~known, 6, "none"),
    ):
        ax.scatter(
            plane[which, 0],
            plane[which, 1],
            s=size,
            facecolor=face,
            edgecolor="black",
            linewidth=0.4,
            zorder=3,
        )
    ax.set(xlim=(-reach - 0.03, reach + 0.03), ylim=(-reach - 0.03, max(1.2, reach + 0.03)), aspect="equal")
    ax.set_axis_off()
    if bar:
        colour_bar(ax, scale, bar_label(values, label))
    return ax, table


def time_map(
    ax: Axes,
    values: Any,
    times: Sequence[float] | np.ndarray,
    *,
    scale: ColourScale | None = None,
    outlined: Any = None,
    label: str = "",
    bar: bool = True,
) -> Axes:
    """Draw a table of two times as a map, with its diagonal, and lines around what is outlined.

    Parameters
    ----------
    ax : Axes
    values : array (n_times, n_times)
        Rows are drawn upwards.
    times : array (n_times,)
        Evenly spaced, in seconds.
    scale : ColourScale, optional
        Diverging around 0 where None.
    outlined : array (n_times, n_times) of bool, optional
        Such as the clusters below .05.
    label : str
        Of the colour bar.
    bar : bool
    """
    values, times = np.asarray(values, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if values.shape != (len(times),) * 2 or len(times) < 2:
        raise ShapeError(f"values must be ({len(times)}, {len(times)}), of two times; got {values.shape}.")
    scale = scale or colour_scale(values, diverging=True)
    half = (times[1] - times[0]) / 2
    ends = (times[0] - half, times[-1] + half)
    ax.imshow(values, origin="lower", extent=(*ends, *ends), cmap=scale.cmap, norm=scale.norm)
    ax.plot(ends, ends, color="black", linewidth=0.4, linestyle=":")
    ax.axhline(0, color="black", linewidth=0.4)
    ax.axvline(0, color="black", linewidth=0.4)
    if outlined is not None:
        draw_outline(ax, outlined, cell_borders(times), cell_borders(times))
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel="time (s)", ylabel="time (s)")
    if bar:
        colour_bar(ax, scale, label)
    return ax


def _head(ax: Axes, reach: float) -> None:
    ax.add_patch(Circle((0, 0), 1.0, fill=False, linewidth=0.8, zorder=2))
    ax.plot([-0.12, 0, 0.12], [0.993, 1.13, 0.993], color="black", linewidth=0.8, zorder=2)
    if reach > 1.05:
        ax.add_patch(Circle((0, 0), reach, fill=False, linewidth=0.3, color=GREY, zorder=2))
