"""Neuroids on the surface of the brain: fsaverage5, which comes with nilearn."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..errors import choice
from ..io.grids import HEMISPHERES, on_hemisphere, vertices_of
from .scales import ColourScale, Drawn, bar_label, colour_bar, prepared

__all__ = ["MESHES", "VIEWS", "surface_map"]

MESHES = ("inflated", "pial", "white_matter")
# Of each view of the right hemisphere: from where one looks, and what is up. Left and right swap on the left.
VIEWS = {
    "lateral": ((1, 0, 0), (0, 0, 1)),
    "medial": ((-1, 0, 0), (0, 0, 1)),
    "dorsal": ((0, 0, 1), (0, 1, 0)),
    "ventral": ((0, 0, -1), (0, 1, 0)),
    "anterior": ((0, 1, 0), (0, 0, 1)),
    "posterior": ((0, -1, 0), (0, 0, 1)),
}
GYRUS, SULCUS = 0.82, 0.62


def surface_map(
    ax: Axes,
    values: xr.DataArray,
    *,
    hemisphere: str,
    view: str = "lateral",
    mesh: str = "inflated",
    scale: ColourScale | None = None,
    label: str | None = None,
    bar: bool = True,
) -> Drawn:
    """Draw a map on the fsaverage5 surface (10,242 vertices a hemisphere) that comes with nilearn.

    The surface is drawn as pixels also in a PDF, text as text. A triangle has the middle one of the defined
    values of its corners; where none is defined it is dark grey in a sulcus and light grey on a gyrus.

    Parameters
    ----------
    ax : Axes
    values : DataArray (neuroid,)
        With the coordinate ``vertex``, and ``hemisphere`` where both are in it; see ``io.save_gifti``.
    hemisphere : {"left", "right"}
    view : str
        A key of ``VIEWS``.
    mesh : {"inflated", "pial", "white_matter"}
    scale, label, bar
        As in ``glass_brain``; a scale of codes is drawn too.

    Returns
    -------
    ax : Axes
    table : DataFrame

    Raises
    ------
    InvalidValueError
        If nothing is defined, or a choice is unknown.
    LabelError, ShapeError
        If vertices are missing, repeated, or not those of fsaverage5.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> r2 = xr.DataArray([0.1, 0.4], dims="neuroid", coords={"vertex": ("neuroid", [7, 9])}, name="r2")
    >>> ax, table = surface_map(axes[0, 0], r2, hemisphere="left", view="medial")
    >>> table["r2"].tolist()
    [0.1, 0.4]
    """
    for value, allowed, what in (
        (view, VIEWS, "view"),
        (mesh, MESHES, "mesh"),
        (hemisphere, HEMISPHERES, "hemisphere"),
    ):
        if value not in allowed:
            raise choice(value, allowed, name=what)
    values = on_hemisphere(values, hemisphere)
    scale, table = prepared(values, scale)
    corners, faces, sulci = _fsaverage(mesh, hemisphere)
    own = np.full(len(corners), np.nan)
    own[vertices_of(values, len(corners))] = values.values
    found = _middle(own[faces])
    colours = scale.colours(found)
    bare = np.isnan(found)
    colours[bare, :3] = np.where(sulci[faces].mean(axis=1) > 0, SULCUS, GYRUS)[bare, None]
    _draw_mesh(ax, corners, faces, colours, *_directions(view, hemisphere))
    if bar:
        colour_bar(ax, scale, bar_label(values, label))
    return ax, table


def _fsaverage(mesh: str, hemisphere: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices (n, 3), faces (m, 3) and the depth of the sulci (n,) of nilearn's own fsaverage5."""
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    part = load_fsaverage("fsaverage5")[mesh].parts[hemisphere]
    sulci = load_fsaverage_data("fsaverage5", data_type="sulcal").data.parts[hemisphere]
    return np.asarray(part.coordinates, dtype=np.float64), np.asarray(part.faces), np.ravel(sulci)


def _middle(values: np.ndarray) -> np.ndarray:
    """Return the middle one of each row's defined values (the lower of two); NaN where there is none.

    A mean of codes would be a code that no corner has.
    """
    ordered = np.sort(values, axis=1)
    count = np.isfinite(values).sum(axis=1)
    return ordered[np.arange(len(values)), np.maximum(count - 1, 0) // 2]


def _directions(view: str, hemisphere: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the unit vectors to the right, up, and towards the one who looks."""
    towards, up = (np.array(vector, dtype=np.float64) for vector in VIEWS[view])
    if hemisphere == "left":
        towards[0] *= -1
    return np.cross(up, towards), up, towards


def _draw_mesh(
    ax: Axes,
    corners: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray,
    right: np.ndarray,
    up: np.ndarray,
    towards: np.ndarray,
) -> None:
    """Draw the triangles that face the one who looks, the far ones first, shaded by their slant."""
    from matplotlib.collections import PolyCollection

    triangles = corners[faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    slant = normals @ towards / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    front = np.flatnonzero(slant > 0)
    front = front[np.argsort(triangles[front].mean(axis=1) @ towards, kind="stable")]
    shaded = colours[front].copy()
    shaded[:, :3] *= (0.72 + 0.28 * slant[front])[:, None]
    flat: Any = np.stack([triangles[front] @ right, triangles[front] @ up], axis=-1)
    drawn = PolyCollection(flat, facecolors=shaded, edgecolors=shaded, linewidths=0.2, rasterized=True)
    ax.add_collection(drawn)
    ax.set(aspect="equal", xticks=[], yticks=[])
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    margin = 0.02 * (high - low).max()
    ax.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    ax.spines[:].set_visible(False)
