"""Weights over lags, and how decoders of one time do at another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..errors import InvalidValueError, LabelError, ShapeError
from .outlines import cell_borders, draw_outline
from .scales import BLANK
from .style import COLOURS, GREY

__all__ = ["generalisation_map", "response_function_lines"]

PLANE = ("time_train", "time_test")


def response_function_lines(
    ax: Axes,
    functions: xr.DataArray,
    *,
    colours: Mapping[str, str] | None = None,
    label: str = "weight",
) -> Axes:
    """Draw temporal response functions over lags, one line each; of several subjects mean and standard error.

    Parameters
    ----------
    ax : Axes
    functions : DataArray (lag,), (line, lag), or with a dim ``subject`` too
        Lags in seconds; ``line`` may have any name (feature, neuroid), and its labels stand in the legend.
        NaN leaves a gap, and is left out of means.
    colours : mapping of line to colour, optional
        The palette in its order where None.
    label : str
        Of the vertical axis; say the units.

    Raises
    ------
    ShapeError
        If there are other dims, or more lines than colours that everybody can tell apart.
    LabelError
        If lags have no labels.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> _, axes = plotting.figure(width="one column")
    >>> weights = xr.DataArray([[0.0, 1.0, 0.5]], dims=("feature", "lag"),
    ...                        coords={"feature": ["sound"], "lag": [0.0, 0.1, 0.2]})
    >>> [line.get_label() for line in response_function_lines(axes[0, 0], weights).lines][-1]
    'sound'
    """
    lines = [str(dim) for dim in functions.dims if dim not in ("lag", "subject")]
    if "lag" not in functions.dims or len(lines) > 1:
        raise ShapeError(f"functions must have the dim 'lag' and one more at most; got {functions.dims}.")
    if "lag" not in functions.coords:
        raise LabelError("functions need a coordinate 'lag', in seconds.")
    if lines:
        values = (
            functions[lines[0]].values if lines[0] in functions.coords else range(functions.sizes[lines[0]])
        )
        names = [str(value) for value in values]
    else:
        functions, names, lines = functions.expand_dims("line"), [str(functions.name or "")], ["line"]
    if colours is None and len(names) > len(COLOURS):
        raise ShapeError(f"{len(names)} lines are more than the {len(COLOURS)} colours; select some of them.")
    palette = colours or dict(zip(names, COLOURS.values(), strict=False))
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.axvline(0, color=GREY, linewidth=0.6)
    lags = functions["lag"].values
    for i, name in enumerate(names):
        one = functions.isel({lines[0]: i})
        if "subject" in one.dims:
            error = one.std("subject", ddof=1) / np.sqrt(one.notnull().sum("subject"))
            one = one.mean("subject")
            ax.fill_between(lags, one - error, one + error, color=palette[name], alpha=0.2, linewidth=0)
        ax.plot(lags, one, color=palette[name], label=name)
    ax.set_xlabel("lag (s)")
    ax.set_ylabel(label)
    return ax


def generalisation_map(
    ax: Axes,
    scores: xr.DataArray,
    *,
    chance: float,
    significant: xr.DataArray | None = None,
    limits: tuple[float, float] | None = None,
    label: str = "balanced accuracy",
) -> Axes:
    """Draw scores by training and test time: red above chance, blue below, outlined where significant.

    Parameters
    ----------
    ax : Axes
    scores : DataArray (time_train, time_test)
        Times in seconds; NaN is light grey.
    chance : float
        What is white.
    significant : DataArray (time_train, time_test) of bool, optional
        Such as ``found.p_max < 0.05``; where none is, nothing is outlined.
    limits : (low, high), optional
        Of the colours; the larger distance from chance holds for both ends. Give the same to maps that are
        to be compared by eye.
    label : str
        Of the colour bar.

    Raises
    ------
    ShapeError
        If the dims are other ones.
    LabelError
        If times have no labels.
    InvalidValueError
        If no score is finite.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> _, axes = plotting.figure(width="one column")
    >>> scores = xr.DataArray([[0.9, 0.5], [0.6, 0.8]], dims=("time_train", "time_test"),
    ...                       coords={"time_train": [0.1, 0.2], "time_test": [0.1, 0.2]})
    >>> generalisation_map(axes[0, 0], scores, chance=0.5).get_xlabel()
    'test time (s)'
    """
    for array, name in ((scores, "scores"), (scores if significant is None else significant, "significant")):
        if set(array.dims) != set(PLANE):
            raise ShapeError(
                f"{name} must have dims {PLANE}; got {array.dims}. Average or select the others."
            )
        if not set(PLANE) <= set(array.coords):
            raise LabelError(f"{name} need the coordinates {PLANE}, in seconds.")
    scores = scores.transpose(*PLANE)
    values = np.ma.masked_invalid(scores.values.astype(np.float64))
    if not values.count():
        raise InvalidValueError("no score is finite; there is nothing to be drawn.")
    reach = max(abs(float(end) - chance) for end in (limits or (values.min(), values.max()))) or 0.5
    train, test = (scores[dim].values for dim in PLANE)
    image = ax.pcolormesh(
        test,
        train,
        values,
        cmap=colormaps["RdBu_r"],
        vmin=chance - reach,
        vmax=chance + reach,
        shading="nearest",
        rasterized=True,
    )
    ax.set_facecolor(BLANK)
    if significant is not None:
        draw_outline(ax, significant.transpose(*PLANE).values, cell_borders(train), cell_borders(test))
    ends = max(train.min(), test.min()), min(train.max(), test.max())
    ax.plot(ends, ends, color=GREY, linewidth=0.6, linestyle="--")
    for line in (ax.axhline, ax.axvline):
        line(0, color=GREY, linewidth=0.6)
    ax.set(xlabel="test time (s)", ylabel="training time (s)", aspect="equal")
    ax.set_xlim(*cell_borders(test)[[0, -1]])
    ax.set_ylim(*cell_borders(train)[[0, -1]])
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.04, label=label)
    bar.outline.set_visible(False)
    return ax
