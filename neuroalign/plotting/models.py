"""Models with their scores, tests and noise ceiling, and how scores vary over bootstrap draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..errors import InvalidValueError, LabelError, choice, listing
from .panels import bars_with_dots, ceiling_band
from .style import COLOURS, GREY

__all__ = ["bootstrap_distributions", "model_bars"]

KINDS = ("violin", "histogram")
# Tests against 0 that a result may have, the first of which is shown.
AGAINST_0 = ("zero_p_fdr", "permutation_p_fdr", "p_fdr")


def model_bars(
    ax: Axes,
    found: xr.Dataset,
    *,
    order: Sequence[str] | None = None,
    alpha: float = 0.05,
    pairwise: bool = True,
    label: str | None = None,
) -> Axes:
    """Draw models as bars with people as dots, intervals, the noise ceiling, and which tests hold.

    Below a bar a filled dot says that it is above 0. Above the bars, each model that beats another has a row:
    a ring over itself and a wedge over every model that it beats; no row, no difference found. All by
    corrected p.

    Parameters
    ----------
    ax : Axes
    found : Dataset
        Of ``rsa.infer`` or ``rsa.evaluate``: ``estimate`` (model,); where they are there ``score`` (model,
        subject), ``interval`` (bound, model), ``noise_ceiling`` (bound,), the corrected p against 0
        (``zero_p_fdr``, ``permutation_p_fdr`` or ``p_fdr``) and ``pairwise_p_fdr`` (model, model_b).
    order : sequence of str, optional
        Models from left to right; as they are where None.
    alpha : float
        Level of the tests.
    pairwise : bool
        Whether differences of models are shown.
    label : str, optional
        Of the vertical axis; the comparison in ``found.attrs`` where None.

    Raises
    ------
    LabelError
        If ``order`` names an unknown model.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> found = xr.Dataset(
    ...     {"estimate": ("model", [0.3, 0.1]), "score": (("model", "subject"), [[0.2, 0.4], [0.1, 0.1]])},
    ...     coords={"model": ["a", "b"]}, attrs={"metric": "spearman"})
    >>> model_bars(axes[0, 0], found).get_ylabel()
    'RDM similarity (spearman)'
    """
    if order is not None:
        missing = [name for name in order if name not in found["model"].values]
        if missing:
            raise LabelError(
                f"order: {listing(missing)} are none of {listing(found['model'].values, limit=50)}."
            )
        found = found.sel(model=list(order))
        if "model_b" in found.dims:
            found = found.sel(model_b=list(order))
    names = [str(name) for name in found["model"].values]
    estimate = found["estimate"].values
    scores = found["score"].values if "score" in found else np.full((len(names), 0), np.nan)
    intervals = None
    if "interval" in found:
        ends = found["interval"].transpose("model", "bound").values
        intervals = {name: (low, high) for name, (low, high) in zip(names, ends, strict=True)}
    bars_with_dots(
        ax,
        dict(zip(names, estimate, strict=True)),
        dict(zip(names, scores, strict=True)),
        intervals=intervals,
    )
    if "noise_ceiling" in found:
        ceiling_band(ax, *found["noise_ceiling"].values)
    ax.set_ylabel(label or f"RDM similarity ({found.attrs.get('metric', 'score')})")
    low, high = _span(ax, found)
    room = high - low
    tested = next((name for name in AGAINST_0 if name in found), None)
    if tested:
        x = np.flatnonzero((found[tested].values < alpha) & (estimate > 0))
        ax.scatter(x, np.full(len(x), low - 0.05 * room), s=9, color="black", clip_on=False, zorder=5)
        low -= 0.1 * room
    if pairwise and "pairwise_p_fdr" in found:
        high = _lattice(ax, estimate, found["pairwise_p_fdr"].values < alpha, high, room)
    ax.set_ylim(low, high + 0.02 * room)
    return ax


def bootstrap_distributions(
    ax: Axes, found: xr.Dataset, *, kind: str = "violin", colour: str = COLOURS["blue"], n_bins: int = 40
) -> Axes:
    """Draw how each model's mean score varies over bootstrap draws, with its estimate and interval.

    Parameters
    ----------
    ax : Axes
    found : Dataset
        Of ``rsa.infer``: ``draw_estimate`` (draw, ..., model), of which the draws of all factors at once (the
        first ``kind``), averaged over repeats, are shown; ``estimate`` (model,) as a white dot; ``interval``
        or ``interval_bootstrap`` (bound, model) as a line, the former where both are there;
        ``noise_ceiling``. Undefined draws are left out; a model of which some are is shown with the number
        that is left.
    kind : {"violin", "histogram"}
        Smoothed, or counted in bins, both drawn to the same width.
    colour : str
    n_bins : int
        Of a histogram, over the range of all models.

    Raises
    ------
    InvalidValueError
        If there are no draws, or fewer than two of a model are defined.

    Examples
    --------
    >>> from neuroalign import plotting
    >>> figure, axes = plotting.figure(width="one column")
    >>> draws = np.random.default_rng(0).normal([0.2, 0.4], 0.1, (100, 2))
    >>> found = xr.Dataset(
    ...     {"draw_estimate": (("draw", "model"), draws), "estimate": ("model", [0.2, 0.4])},
    ...     coords={"model": ["a", "b"]})
    >>> len(bootstrap_distributions(axes[0, 0], found).get_xticks())
    2
    """
    if kind not in KINDS:
        raise choice(kind, KINDS, name="kind")
    if "draw_estimate" not in found:
        raise InvalidValueError(f"found has no draws 'draw_estimate'; it has {listing(found, limit=20)}.")
    draws = found["draw_estimate"]
    draws = draws.isel(kind=0) if "kind" in draws.dims else draws
    rest = [dim for dim in draws.dims if dim not in ("draw", "model")]
    draws = draws.mean(rest, skipna=False).transpose("model", "draw")
    names = [str(name) for name in found["model"].values]
    kept = [row[~np.isnan(row)] for row in draws.values]
    for name, row in zip(names, kept, strict=True):
        if len(row) < 2:
            raise InvalidValueError(f"model {name!r} has {len(row)} defined draws; a distribution needs 2.")
    if kind == "violin":
        parts: dict[str, Any] = dict(ax.violinplot(kept, range(len(kept)), widths=0.8, showextrema=False))
        for body in parts["bodies"]:
            body.set(facecolor=colour, alpha=0.5, linewidth=0)
    else:
        _histograms(ax, kept, colour, n_bins)
    ends = next((found[name] for name in ("interval", "interval_bootstrap") if name in found), None)
    for x, model in enumerate(found["model"].values):
        if ends is not None:
            ax.plot([x, x], ends.sel(model=model).values, color="black", linewidth=1, zorder=4)
        ax.scatter(
            x, float(found["estimate"].sel(model=model)), s=12, color="white", edgecolor="black", zorder=5
        )
    if "noise_ceiling" in found:
        ceiling_band(ax, *found["noise_ceiling"].values)
    ax.axhline(0, color="black", linewidth=0.6)
    whole = draws.sizes["draw"]
    shown = [
        name if len(row) == whole else f"{name}\n(n = {len(row)})"
        for name, row in zip(names, kept, strict=True)
    ]
    ax.set_xticks(range(len(names)), shown, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_ylabel(f"RDM similarity ({found.attrs.get('metric', 'score')})")
    return ax


def _span(ax: Axes, found: xr.Dataset) -> tuple[float, float]:
    """Return the lowest and highest value that the bars, dots, intervals and the ceiling reach, and 0."""
    drawn = [
        found[name].values.ravel()
        for name in ("estimate", "score", "interval", "noise_ceiling")
        if name in found
    ]
    values = np.concatenate([*drawn, [0.0]])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low, high if high > low else low + 1.0


def _lattice(ax: Axes, estimate: np.ndarray, differs: np.ndarray, high: float, room: float) -> float:
    """Draw a row for each model that beats others, the best on top, and return where the rows end."""
    beats = differs & (estimate[:, None] > estimate[None])
    rows = [int(i) for i in np.argsort(estimate, kind="stable") if beats[i].any()]
    y = high + 0.02 * room
    for i in rows:
        y += 0.045 * room
        worse = np.flatnonzero(beats[i])
        ends = [min(i, *worse), max(i, *worse)]
        ax.plot(ends, [y, y], color=GREY, linewidth=0.6, zorder=3)
        ax.scatter(worse, np.full(len(worse), y), marker="v", s=7, color="black", linewidth=0, zorder=4)
        ax.scatter(i, y, s=10, facecolor="white", edgecolor="black", linewidth=0.7, zorder=4)
    return y + 0.03 * room


def _histograms(ax: Axes, kept: Sequence[np.ndarray], colour: str, n_bins: int) -> None:
    every = np.concatenate(kept)
    edges = np.linspace(every.min(), every.max(), n_bins + 1)
    for x, row in enumerate(kept):
        counts, _ = np.histogram(row, edges)
        width = 0.8 * counts / counts.max()
        height = np.diff(edges)
        ax.barh(
            edges[:-1], width, height, left=x - width / 2, align="edge", color=colour, alpha=0.5, linewidth=0
        )
