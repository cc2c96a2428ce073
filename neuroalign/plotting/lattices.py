"""Maps of units that lie on a lattice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from ..errors import InvalidValueError, ShapeError
from .outlines import cell_borders, draw_outline
from .scales import ColourScale, Drawn, bar_label, colour_bar, colour_scale

__all__ = ["lattice_map"]


def lattice_map(
    ax: Axes,
    values: xr.DataArray,
    *,
    outlined: Any = None,
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
) -> Drawn:
    """Draw a map of units on a lattice, a square each, and outlines around some of them.

    Parameters
    ----------
    ax : Axes
    values : DataArray (row, column)
        Of any two dims. Undefined values are light grey.
    outlined : array (row, column) of bool, optional
        Units around which a line is drawn, such as those of clusters.
    scale : ColourScale, optional
        See ``colour_scale``; that of the values where None.
    label : str, optional
        Of the colour bar; the map's name where None.
    bar : bool
        Whether there is a colour bar.

    Returns
    -------
    ax : Axes
    table : DataFrame
        One row a unit: its row, column and value, and whether it is outlined.

    Raises
    ------
    ShapeError
        If the values are not two-dimensional, or the outlined ones of another shape.
    InvalidValueError
        If nothing is defined.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> t = xr.DataArray([[0.1, 0.4], [0.2, np.nan]], dims=("row", "column"), name="t")
    >>> ax, table = lattice_map(axes[0, 0], t, outlined=t > 0.15)
    >>> table["outlined"].tolist()
    [False, True, True, False]
    """
    if not isinstance(values, xr.DataArray) or values.ndim != 2:
        came = getattr(values, "shape", type(values).__name__)
        raise ShapeError(f"a lattice map is a DataArray (row, column); got {came}.")
    array = values.values.astype(np.float64)
    if not np.isfinite(array).any():
        raise InvalidValueError("no value of the map is finite; there is nothing to be drawn.")
    inside = np.zeros(array.shape, dtype=bool) if outlined is None else np.asarray(outlined, dtype=bool)
    if inside.shape != array.shape:
        raise ShapeError(f"outlined must have the map's shape {array.shape}; got {inside.shape}.")
    scale = scale or colour_scale(array)
    ax.imshow(scale.colours(array), interpolation="none")
    draw_outline(ax, inside, *(cell_borders(range(n)) for n in array.shape))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if bar:
        colour_bar(ax, scale, bar_label(values, label))
    rows, columns = np.indices(array.shape)
    table = {"row": rows, "column": columns, str(values.name or "value"): array, "outlined": inside}
    return ax, pd.DataFrame({name: np.asarray(column).ravel() for name, column in table.items()})
