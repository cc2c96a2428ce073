"""Neuroids where they lie in a volume: in a glass brain or on slices; or side by side without a geometry.

Every function draws into an axis and returns it with the table of what was drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..errors import InvalidValueError, LabelError, choice
from ..io.images import nifti_image
from .scales import ColourScale, Drawn, bar_label, colour_bar, dots, prepared

__all__ = ["DIRECTIONS", "flat_map", "glass_brain", "stat_map"]

DIRECTIONS = ("ortho", "x", "y", "z")
SMALLEST_FONT = 6.5


def glass_brain(
    ax: Axes,
    values: xr.DataArray,
    *,
    affine: Any = None,
    shape: Any = None,
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
    views: str = "ortho",
) -> Drawn:
    """Draw a map through the brain: along each line of sight the value that is largest in absolute terms.

    Parameters
    ----------
    ax : Axes
    values : DataArray (neuroid,)
        In MNI space, whose outline is drawn; coordinates i, j, k or x, y, z as in ``io.save_nifti``.
        Undefined values and values of exactly 0 are not drawn.
    affine, shape
        See ``io.save_nifti``.
    scale : ColourScale, optional
        See ``colour_scale``; that of the values where None.
    label : str, optional
        Of the colour bar; the map's name where None.
    bar : bool
        Whether there is a colour bar.
    views : str
        nilearn's ``display_mode``: ``"ortho"``, ``"lyrz"``, ``"x"``, ...

    Returns
    -------
    ax : Axes
    table : DataFrame
        One row a neuroid; see ``io.map_table``.

    Raises
    ------
    InvalidValueError
        If nothing is defined, or the scale is one of codes, whose largest has no meaning.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> places = {"i": ("neuroid", [1, 2]), "j": ("neuroid", [3, 4]), "k": ("neuroid", [2, 3])}
    >>> r = xr.DataArray([0.1, 0.4], dims="neuroid", coords=places, name="r")
    >>> affine = [[20, 0, 0, -70], [0, 20, 0, -110], [0, 0, 20, -60], [0, 0, 0, 1]]
    >>> ax, table = glass_brain(axes[0, 0], r, affine=affine, shape=(8, 10, 8), views="x")
    >>> table["r"].tolist()
    [0.1, 0.4]
    """
    from nilearn.plotting import plot_glass_brain

    if scale is not None and scale.discrete:
        raise InvalidValueError("a glass brain shows the largest value, and codes have none. Use stat_map.")
    scale, table = prepared(values, scale)
    shown = plot_glass_brain(
        _image(values, affine, shape, 0),
        display_mode=views,
        figure=ax.figure,
        axes=ax,
        colorbar=False,
        annotate=False,
        plot_abs=False,
        threshold=np.finfo(np.float32).tiny,
        cmap=scale.overlay,
        vmin=scale.low,
        vmax=scale.high,
    )
    return _finish(ax, shown, scale, bar_label(values, label), bar), table


def stat_map(
    ax: Axes,
    values: xr.DataArray,
    *,
    affine: Any = None,
    shape: Any = None,
    background: Any = None,
    direction: str = "ortho",
    cuts: Any = None,
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
) -> Drawn:
    """Draw slices of a map, voxel by voxel without interpolation.

    Parameters
    ----------
    ax : Axes
    values : DataArray (neuroid,)
        As in ``glass_brain``, but in any space; of a scale of codes (see ``code_scale``) every code is drawn.
    affine, shape
        See ``io.save_nifti``.
    background : image or path, or "mni152", optional
        What lies below; nothing where None. ``"mni152"`` is nilearn's template.
    direction : {"ortho", "x", "y", "z"}
        One slice across each axis, or several across one.
    cuts : sequence of float or int, optional
        Where the slices are, in mm, or how many; nilearn picks where None.
    scale, label, bar
        As in ``glass_brain``.

    Returns
    -------
    ax : Axes
    table : DataFrame

    Raises
    ------
    InvalidValueError
        If nothing is defined, or the direction is unknown.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> places = {"i": ("neuroid", [1, 2]), "j": ("neuroid", [3, 4]), "k": ("neuroid", [2, 3])}
    >>> r = xr.DataArray([0.1, 0.4], dims="neuroid", coords=places, name="r")
    >>> affine = [[20, 0, 0, -70], [0, 20, 0, -110], [0, 0, 20, -60], [0, 0, 0, 1]]
    >>> ax, table = stat_map(axes[0, 0], r, affine=affine, shape=(8, 10, 8), direction="z", cuts=[-20])
    >>> table["k"].tolist()
    [2, 3]
    """
    from nilearn.plotting import plot_stat_map

    if direction not in DIRECTIONS:
        raise choice(direction, DIRECTIONS, name="direction")
    scale, table = prepared(values, scale)
    # nilearn hides 0, so codes are shown one higher.
    up = 1 if scale.discrete else 0
    template = {} if isinstance(background, str) and background == "mni152" else {"bg_img": background}
    shown = plot_stat_map(
        _image(values, affine, shape, up),
        display_mode=direction,
        cut_coords=cuts,
        figure=ax.figure,
        axes=ax,
        colorbar=False,
        annotate=False,
        draw_cross=False,
        black_bg=False,
        resampling_interpolation="nearest",
        threshold=np.finfo(np.float32).tiny,
        cmap=scale.overlay,
        vmin=scale.low + up,
        vmax=scale.high + up,
        **template,
    )
    shown.annotate(size=SMALLEST_FONT)
    return _finish(ax, shown, scale, bar_label(values, label), bar), table


def flat_map(
    ax: Axes,
    values: xr.DataArray,
    *,
    x: str | None = None,
    y: str | None = None,
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
) -> Drawn:
    """Draw neuroids whose place in the brain is unknown: over two coordinates, or side by side in rows.

    Parameters
    ----------
    ax : Axes
    values : DataArray (neuroid,)
        Undefined values are light grey.
    x, y : str, optional
        Coordinates along neuroid that are the axes. Where None, neuroids fill a square row by row in their
        own order, which says nothing of distances.
    scale, label, bar
        As in ``glass_brain``; a scale of codes is drawn too.

    Returns
    -------
    ax : Axes
    table : DataFrame

    Raises
    ------
    LabelError
        If only one of the coordinates is given, or one is missing.
    InvalidValueError
        If nothing is defined.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> ax, table = flat_map(axes[0, 0], xr.DataArray([0.1, 0.4, np.nan], dims="neuroid", name="r"))
    >>> ax.get_xlabel()
    '3 neuroids in their own order'
    """
    if (x is None) != (y is None):
        raise LabelError("a flat map has either both coordinates x and y, or neither.")
    scale, table = prepared(values, scale)
    if x is None or y is None:
        n = int(np.ceil(np.sqrt(values.size)))
        image = np.full((-(-values.size // n), n, 4), 0.0)
        image.reshape(-1, 4)[: values.size] = scale.colours(values.values)
        ax.imshow(image, interpolation="none")
        ax.set(xticks=[], yticks=[], xlabel=f"{values.size:,} neuroids in their own order")
        ax.spines[:].set_visible(False)
    else:
        dots(ax, values, x, y, scale)
        ax.set(xlabel=x, ylabel=y)
    if bar:
        colour_bar(ax, scale, bar_label(values, label))
    return ax, table


def _image(values: xr.DataArray, affine: Any, shape: Any, up: int) -> Any:
    """Return the map as an image without NaN, which nilearn would warn of; 0 is what it does not draw."""
    return nifti_image(
        (values.astype(np.float64) + up).fillna(0.0).assign_attrs(values.attrs),
        affine=affine,
        shape=shape,
        fill=0.0,
    )


def _finish(ax: Axes, shown: Any, scale: ColourScale, label: str, bar: bool) -> Axes:
    """Let nilearn's axes follow ours, which the layout moves only when the figure is drawn."""

    def following(locate: Any) -> Any:
        def place(one: Axes, renderer: Any) -> Any:
            box = ax.get_position()
            shown.rect = (box.x0, box.y0, box.x1, box.y1)
            return locate(one, renderer)

        return place

    for part in shown.axes.values():
        part.ax.set_in_layout(False)
        part.ax.set_axes_locator(following(part.ax.get_axes_locator()))
    if bar:
        colour_bar(ax, scale, label)
    return ax
