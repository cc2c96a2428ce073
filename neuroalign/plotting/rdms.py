"""RDMs as heat maps and stimuli in the plane, with their categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from scipy.stats import rankdata

from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import check, rdm_stimuli, square
from .style import COLOURS

__all__ = ["category_colours", "mds_map", "rdm_map"]

SCALES = ("value", "percentile")
DISSIMILARITY = {
    "correlation": "1 - Pearson r",
    "cosine": "1 - cosine",
    "euclidean": "Euclidean distance",
    "sqeuclidean": "squared Euclidean distance",
    "mahalanobis": "squared Mahalanobis distance",
    "crossnobis": "crossnobis distance",
    "poisson": "Poisson divergence",
    "poisson-cv": "cross-validated Poisson divergence",
    "correlation-cv": "cross-validated 1 - r",
    "decoding": "decoding accuracy",
}
BLANK = "#e6e6e6"


def rdm_map(
    ax: Axes,
    rdm: xr.DataArray,
    *,
    categories: Mapping[Any, str] | None = None,
    colours: Mapping[str, str] | None = None,
    scale: str = "value",
    limits: tuple[float, float] | None = None,
    label: str | None = None,
    bar: bool = True,
) -> Axes:
    """Draw an RDM as a heat map, with categories marked along its edges and a colour bar.

    Parameters
    ----------
    ax : Axes
    rdm : DataArray (pair,)
        Undefined pairs and the diagonal, which is 0 by definition, are blank.
    categories : mapping of stimulus to category, optional
        Stimuli are put in the order of the categories as they first come in the RDM; a stripe on the left and
        on top has the category's colour, its name stands beside it, and lines separate categories.
    colours : mapping of category to colour, optional
        See ``category_colours``.
    scale : {"value", "percentile"}
        Dissimilarities, or their percentiles (mid-ranks from 0 to 100), which show structure whatever the
        distribution is, but no sizes.
    limits : (low, high), optional
        Of the colours; the extremes where None. Give the same to RDMs that are to be compared by eye.
    label : str, optional
        Of the colour bar; the metric in ``rdm.attrs`` where None.
    bar : bool
        Whether there is a colour bar.

    Raises
    ------
    ShapeError
        If there is more than one RDM.
    LabelError
        If a stimulus has no category.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> from neuroalign.schema import make_rdm
    >>> figure, axes = plotting.figure(width="one column")
    >>> rdm = make_rdm(np.array([1.0, 2.0, 3.0]), ["face", "hand", "tree"])
    >>> kinds = {"face": "body", "hand": "body", "tree": "plant"}
    >>> rdm_map(axes[0, 0], rdm, categories=kinds).images[0].get_array().shape
    (3, 3)
    """
    if scale not in SCALES:
        raise choice(scale, SCALES, name="scale")
    stimuli = _one_rdm(rdm)
    values = rdm.values.astype(np.float64)
    name = label or DISSIMILARITY.get(rdm.attrs.get("metric", ""), "dissimilarity")
    if scale == "percentile":
        values, name = _percentiles(values), f"percentile of {name}"
    full = square(values, diagonal=np.nan)
    groups = None if categories is None else _categories(stimuli, categories)
    if groups is not None:
        order = np.argsort(groups[1], kind="stable")
        full = full[np.ix_(order, order)]
    low, high = limits or (None, None)
    image = ax.imshow(
        np.ma.masked_invalid(full), cmap=_colour_map(), vmin=low, vmax=high, interpolation="none"
    )
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if groups is not None:
        _mark(ax, groups[0], np.bincount(groups[1]), category_colours(groups[0], colours))
    if bar:
        drawn = ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0, 0.04, 1)), label=name)
        drawn.outline.set_visible(False)
    return ax


def mds_map(
    ax: Axes,
    places: xr.DataArray,
    *,
    categories: Mapping[Any, str] | None = None,
    colours: Mapping[str, str] | None = None,
    names: bool = False,
) -> Axes:
    """Draw stimuli in the plane, with the stress of the arrangement written below.

    Parameters
    ----------
    ax : Axes
    places : DataArray (stimulus, axis 2)
        Such as ``rsa.mds`` makes; its ``attrs["stress"]`` is shown. Axes have no unit and no direction, hence
        no ticks; both have the same scale.
    categories, colours
        As in ``rdm_map``; a legend names them.
    names : bool
        Whether the label stands beside each stimulus.

    Raises
    ------
    ShapeError
        If the places are not in two dimensions.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> places = xr.DataArray(
    ...     [[0.0, 0.0], [1.0, 0.5]], dims=("stimulus", "axis"), coords={"stimulus": ["a", "b"]},
    ...     attrs={"stress": 0.1})
    >>> mds_map(axes[0, 0], places).get_xlabel()
    'stress 0.10'
    """
    if places.dims != ("stimulus", "axis") or places.sizes["axis"] != 2:
        raise ShapeError(f"places must have dims (stimulus, axis 2); got {dict(places.sizes)}.")
    stimuli, x = places["stimulus"].values, places.values
    if categories is None:
        ax.scatter(x[:, 0], x[:, 1], s=12, color=COLOURS["blue"], linewidth=0)
    else:
        found, codes = _categories(stimuli, categories)
        for i, (name, colour) in enumerate(category_colours(found, colours).items()):
            ax.scatter(x[codes == i, 0], x[codes == i, 1], s=12, color=colour, linewidth=0, label=name)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
    if names:
        for label, place in zip(stimuli, x, strict=True):
            ax.annotate(str(label), place, xytext=(2, 2), textcoords="offset points", fontsize=5.5)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    if "stress" in places.attrs:
        ax.set_xlabel(f"stress {places.attrs['stress']:.2f}")
    return ax


def category_colours(categories: Sequence[str], colours: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a colour for each category: those given, else the palette in its order.

    Raises
    ------
    InvalidValueError
        If the palette has too few colours, or one that is given lacks a category.

    Examples
    --------
    >>> category_colours(["face", "house"])
    {'face': '#0072B2', 'house': '#D55E00'}
    """
    if colours is not None:
        missing = [name for name in categories if name not in colours]
        if missing:
            raise InvalidValueError(f"colours has none for the categories {listing(missing)}.")
        return {name: colours[name] for name in categories}
    if len(categories) > len(COLOURS):
        raise InvalidValueError(
            f"{len(categories)} categories are more than the {len(COLOURS)} colours that everybody can tell "
            "apart. Pass colours=... or fewer categories."
        )
    return dict(zip(categories, COLOURS.values(), strict=False))


def _one_rdm(rdm: xr.DataArray) -> np.ndarray:
    check(rdm, "rdm")
    if rdm.dims != ("pair",):
        raise ShapeError(f"one RDM (pair,) is drawn; got dims {rdm.dims}. Select or average the others.")
    return rdm_stimuli(rdm)


def _percentiles(values: np.ndarray) -> np.ndarray:
    """Return mid-ranks from 0 to 100 of what is not NaN."""
    known = ~np.isnan(values)
    found = np.full(values.shape, np.nan)
    if known.sum() > 1:
        found[known] = 100 * (rankdata(values[known]) - 1) / (known.sum() - 1)
    return found


def _categories(stimuli: np.ndarray, categories: Mapping[Any, str]) -> tuple[list[str], np.ndarray]:
    """Return the categories as they first come, and the code of each stimulus."""
    missing = [stimulus for stimulus in stimuli.tolist() if stimulus not in categories]
    if missing:
        raise LabelError(f"categories: {len(missing)} stimuli have none: {listing(missing)}.")
    own = [str(categories[stimulus]) for stimulus in stimuli.tolist()]
    found = list(dict.fromkeys(own))
    return found, np.array([found.index(name) for name in own])


def _colour_map() -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"].with_extremes(bad=BLANK)


def _mark(ax: Axes, names: Sequence[str], counts: np.ndarray, colours: Mapping[str, str]) -> None:
    """Draw the categories' stripes left of and above the map, their names, and lines between them."""
    n, start = int(counts.sum()), 0
    stripe = np.repeat([to_rgb(colours[name]) for name in names], counts, axis=0)
    left = ax.inset_axes((-0.05, 0, 0.03, 1))
    top = ax.inset_axes((0, 1.02, 1, 0.03))
    left.imshow(stripe[:, None], aspect="auto", interpolation="none")
    top.imshow(stripe[None], aspect="auto", interpolation="none")
    for edge in (left, top):
        edge.set(xticks=[], yticks=[])
        edge.spines[:].set_visible(False)
    middles = []
    for count in counts:
        middles.append(start + (count - 1) / 2)
        start += int(count)
        if start < n:
            ax.axhline(start - 0.5, color="white", linewidth=0.6)
            ax.axvline(start - 0.5, color="white", linewidth=0.6)
    left.set_yticks(middles, names)
    left.tick_params(length=0)
