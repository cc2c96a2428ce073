"""Several scores of each neuroid in one map: the layer that predicts it best, and two scores as a colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from ..errors import InvalidValueError, LabelError, ShapeError
from ..schema import align
from .brains import flat_map
from .scales import BLANK, Drawn, code_scale
from .style import COLOURS

__all__ = ["layer_preference", "preferred_layer", "two_scores"]

# Colours of two scores: both low, the first high, the second high, both high.
CORNERS = (BLANK, COLOURS["blue"], COLOURS["orange"], "#1a0d1f")
N_STEPS = 8


def preferred_layer(scores: xr.DataArray, *, least: float | None = None) -> xr.Dataset:
    """Return the layer that predicts each neuroid best, by how much, and which neuroids have none.

    Parameters
    ----------
    scores : DataArray (layer, neuroid)
        The first dim may have any name; its labels are the layers, in order of depth.
    least : float, optional
        Neuroids whose best score is below it have no layer.

    Returns
    -------
    Dataset (neuroid,)
        ``code``, the position of the best layer, NaN where there is none; of equal scores the first is taken,
        and ``tied`` says so; ``best``, its score; ``margin``, how far above the second best (NaN where
        there is no second). ``attrs`` holds ``layers``, ``n_undefined`` and ``n_tied``.

    Raises
    ------
    ShapeError
        If dims are other ones.

    Examples
    --------
    >>> scores = xr.DataArray([[0.1, 0.4], [0.3, 0.2]], dims=("layer", "neuroid"))
    >>> preferred_layer(scores).code.values.tolist()
    [1.0, 0.0]
    """
    if not isinstance(scores, xr.DataArray) or scores.ndim != 2 or scores.dims[1] != "neuroid":
        raise ShapeError(
            "scores must be a DataArray (layer, neuroid); got "
            f"{getattr(scores, 'dims', type(scores).__name__)}."
        )
    values = np.where(np.isnan(scores.values), -np.inf, scores.values.astype(np.float64))
    ordered = np.sort(values, axis=0)
    best = ordered[-1]
    second = ordered[-2] if len(values) > 1 else np.full_like(best, -np.inf)
    some = np.isfinite(best) & (best >= (-np.inf if least is None else least))
    known = some & np.isfinite(second)
    margin = np.full(best.shape, np.nan)
    margin[known] = best[known] - second[known]
    columns = {
        "code": np.where(some, values.argmax(axis=0).astype(np.float64), np.nan),
        "best": np.where(np.isfinite(best), best, np.nan),
        "margin": margin,
        "tied": margin == 0,
    }
    coords = {str(name): c.variable for name, c in scores.coords.items() if c.dims == ("neuroid",)}
    names = [str(name) for name in scores[scores.dims[0]].values.tolist()]
    attrs = {
        **scores.attrs,
        "layers": names,
        "n_undefined": int((~some).sum()),
        "n_tied": int((margin == 0).sum()),
    }
    return xr.Dataset({key: ("neuroid", column) for key, column in columns.items()}, coords, attrs)


def layer_preference(
    ax: Axes,
    scores: xr.DataArray,
    *,
    least: float | None = None,
    draw: Callable[..., Drawn] = flat_map,
    label: str = "best layer",
    **options: Any,
) -> Drawn:
    """Draw the layer that predicts each neuroid best, with a colour bar of layers from first to last.

    Parameters
    ----------
    ax : Axes
    scores, least
        See ``preferred_layer``.
    draw : callable
        ``flat_map``, ``surface_map`` or ``stat_map``.
    label : str
        Of the colour bar.
    **options
        Of ``draw``.

    Returns
    -------
    ax : Axes
    table : DataFrame
        One row a neuroid: its coordinates, layer, best score, margin, and whether layers tied.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> scores = xr.DataArray(
    ...     [[0.1, 0.4], [0.3, 0.2]], dims=("layer", "neuroid"), coords={"layer": ["shallow", "deep"]})
    >>> layer_preference(axes[0, 0], scores)[1]["layer"].tolist()
    ['deep', 'shallow']
    """
    found = preferred_layer(scores, least=least)
    names = found.attrs["layers"]
    scale = code_scale(colormaps["viridis"](np.linspace(0, 1, len(names))), names)
    code = found["code"].rename("code").assign_attrs(found.attrs)
    _, table = draw(ax, code, scale=scale, label=label, **options)
    kept = found if len(table) == found.sizes["neuroid"] else _like(found, table)
    layer = [names[int(c)] if np.isfinite(c) else np.nan for c in kept["code"].values]
    more = {name: kept[name].values for name in ("best", "margin", "tied")}
    return ax, table.drop(columns="code").assign(layer=layer, **more)


def two_scores(
    ax: Axes,
    first: xr.DataArray,
    second: xr.DataArray,
    *,
    limits: tuple[float, float] | None = None,
    names: tuple[str, str] | None = None,
    legend: tuple[float, float, float, float] = (1.3, 0.3, 0.4, 0.4),
    draw: Callable[..., Drawn] = flat_map,
    **options: Any,
) -> Drawn:
    """Draw two scores of each neuroid as one colour, with the square of colours as the legend.

    Grey: both low; blue: the first is high; orange: the second; nearly black: both; no colour: one is
    undefined. Scores are drawn in 8
    steps from the lower to the upper limit, the same for both; what lies beyond has the colour of the end.

    Parameters
    ----------
    ax : Axes
    first, second : DataArray (neuroid,)
        Aligned by the labels of neuroid.
    limits : (low, high), optional
        0 and the largest of both where None.
    names : (str, str), optional
        Of the legend's axes; the arrays' names where None.
    legend : (left, bottom, width, height)
        Where the square is, in parts of the axis.
    draw : callable
        ``flat_map``, ``surface_map`` or ``stat_map``.
    **options
        Of ``draw``.

    Returns
    -------
    ax : Axes
    table : DataFrame
        One row a neuroid with both scores; ``attrs`` counts the neuroids beyond the limits, and those that
        are not drawn because a score is undefined.

    Raises
    ------
    LabelError
        If the neuroids differ, or both scores have the same name.
    InvalidValueError
        If the limits are not in order or nothing is defined.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> a = xr.DataArray([0.1, 0.4], dims="neuroid", coords={"neuroid": ["v1", "v2"]}, name="pixels")
    >>> ax, table = two_scores(axes[0, 0], a, (0.5 * a).rename("motion"))
    >>> table.columns.tolist()
    ['neuroid', 'pixels', 'motion']
    """
    first, second = align(first, second, on="neuroid", names=["first", "second"])
    names = names or (str(first.name or "first"), str(second.name or "second"))
    if names[0] == names[1]:
        raise LabelError(f"two scores need two names; both are {names[0]!r}. Pass names=(..., ...).")
    a, b = first.values.astype(np.float64), second.values.astype(np.float64)
    low, high = limits or (0.0, float(np.nanmax([a, b], initial=0.0)))
    if not low < high:
        raise InvalidValueError(f"limits must be two different numbers in order; got {(low, high)}.")
    steps = [np.clip((v - low) / (high - low) * N_STEPS, 0, N_STEPS - 1) // 1 for v in (a, b)]
    code = first.copy(data=steps[0] * N_STEPS + steps[1]).rename("code")
    scale = code_scale(_square().reshape(-1, 3), undefined=(1, 1, 1, 0))
    _, table = draw(ax, code, scale=scale, bar=False, **options)
    _legend(ax, legend, (low, high), names)
    both = xr.Dataset({"a": ("neuroid", a), "b": ("neuroid", b)}, {"neuroid": first["neuroid"].values})
    both = both if len(table) == len(a) else _like(both, table)
    table = table.drop(columns="code").assign(**{names[0]: both["a"].values, names[1]: both["b"].values})
    table.attrs["n_undefined"] = int(np.isnan(a + b).sum())
    table.attrs["n_beyond"] = int(((a < low) | (a > high) | (b < low) | (b > high)).sum())
    return ax, table


def _like(found: xr.Dataset, table: pd.DataFrame) -> xr.Dataset:
    """Return the neuroids of the table, of which a surface shows one hemisphere's."""
    if "neuroid" not in table.columns or "neuroid" not in found.coords:
        raise LabelError("neuroids need labels where only some of them are drawn.")
    return found.sel(neuroid=table["neuroid"].to_numpy())


def _square() -> np.ndarray:
    """Return the colours (first, second, 3) of two scores, mixed from the four corners."""
    along = (np.arange(N_STEPS) / (N_STEPS - 1))[:, None, None]
    across = along.transpose(1, 0, 2)
    neither, one, other, both = (np.array(to_rgb(colour)) for colour in CORNERS)
    return (1 - along) * ((1 - across) * neither + across * other) + along * (
        (1 - across) * one + across * both
    )


def _legend(
    ax: Axes, place: tuple[float, float, float, float], limits: tuple[float, float], names: tuple[str, str]
) -> None:
    square = ax.inset_axes(place)
    square.imshow(
        _square().transpose(1, 0, 2),
        origin="lower",
        extent=(*limits, *limits),
        interpolation="none",
        aspect="auto",
    )
    square.set(xlabel=names[0], ylabel=names[1], xticks=limits, yticks=limits)
    shown = [f"{limit:.2g}" for limit in limits]
    square.set_xticklabels(shown)
    square.set_yticklabels(shown)
    square.spines[:].set_visible(False)
