"""Lines around the cells of a map that are inside of something: clusters, significant times."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

__all__ = ["cell_borders", "draw_outline"]


def cell_borders(centres: Any) -> np.ndarray:
    """Return the borders (n + 1,) of the cells around centres (n,) in increasing order.

    Examples
    --------
    >>> cell_borders([0.0, 1.0, 3.0]).tolist()
    [-0.5, 0.5, 2.0, 4.0]
    """
    centres = np.asarray(centres, dtype=np.float64)
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def draw_outline(ax: Axes, inside: Any, rows: Any, columns: Any) -> Axes:
    """Draw the sides of cells (n_rows, n_columns) that have another kind, or nothing, beyond them.

    Parameters
    ----------
    ax : Axes
    inside : array (n_rows, n_columns) of bool
        Where none is, nothing is drawn.
    rows, columns : array (n_rows + 1,), array (n_columns + 1,)
        Borders of the cells along y and along x.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> ax = draw_outline(axes[0, 0], [[True, True]], [0, 1], [0, 1, 2])
    >>> len(ax.collections[0].get_segments())
    6
    """
    padded = np.pad(np.asarray(inside, dtype=bool), 1)
    sides = [
        [(columns[j], rows[i]), (columns[j + 1], rows[i])]
        for i, j in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    ]
    sides += [
        [(columns[j], rows[i]), (columns[j], rows[i + 1])]
        for i, j in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    ]
    if sides:
        ax.add_collection(LineCollection(sides, colors="black", linewidths=0.7, capstyle="projecting"))
    return ax
