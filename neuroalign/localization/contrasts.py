"""The localizer contrast: Welch's t of every unit between two sets of stimuli."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats as scipy_stats

from ..arrays import as_float
from ..errors import LabelError, ShapeError, listing
from ..schema import labels, make_mask
from .selection import select_units

__all__ = ["contrast_statistics", "localize", "unit_magnitude", "welch_t"]


def welch_t(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return Welch's t and its one-sided p (x above y) for every column.

    .. math:: t = (\bar x - \bar y) / \sqrt{s_x^2 / n_x + s_y^2 / n_y}

    with the Welch-Satterthwaite degrees of freedom. Means and sums of squares are float64 and centred first.

    Parameters
    ----------
    x, y : array (n_x, n_units), (n_y, n_units)

    Returns
    -------
    t, p : array (n_units,)
        NaN for a unit that is constant in both sets.

    Raises
    ------
    ShapeError
        If a set has fewer than two rows, or the units differ.

    References
    ----------
    Welch (1947), Biometrika 34, eq. 28.

    Examples
    --------
    >>> t, p = welch_t(np.array([[1.0], [2.0], [3.0]]), np.array([[0.0], [1.0], [2.0]]))
    >>> round(float(t[0]), 4), round(float(p[0]), 4)
    (1.2247, 0.1439)
    """
    x, y = as_float(x, name="x", ndim=2), as_float(y, name="y", ndim=2)
    if len(x) < 2 or len(y) < 2 or x.shape[1] != y.shape[1]:
        raise ShapeError(f"welch_t needs 2 rows or more of the same units; got {x.shape} and {y.shape}.")
    a, b = x.var(axis=0, ddof=1) / len(x), y.var(axis=0, ddof=1) / len(y)
    constant = np.ptp(x, axis=0) + np.ptp(y, axis=0) == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (x.mean(axis=0) - y.mean(axis=0)) / np.sqrt(a + b)
        df = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1))
    t, df = np.where(constant, np.nan, t), np.where(constant, np.nan, df)
    return t, np.where(np.isnan(t), np.nan, scipy_stats.t.sf(t, df))


def localize(
    activations: Mapping[str, xr.DataArray] | xr.Dataset,
    positive: Sequence[Any] | np.ndarray,
    negative: Sequence[Any] | np.ndarray,
    *,
    fraction: float | None = 0.01,
    k: int | None = None,
    q: float | None = None,
    fraction_per_layer: float | None = None,
    absolute: bool = False,
    site: str = "block",
) -> xr.Dataset:
    """Return every unit's statistic for positive against negative stimuli, and the mask of selected units.

    Parameters
    ----------
    activations : mapping of layer name to DataArray (stimulus, unit), or such a Dataset
        Layers are read one at a time, so a lazy mapping never holds them all.
    positive, negative : sequence of stimulus labels
        Disjoint; all of them must be in the activations.
    fraction, k, q, fraction_per_layer
        Exactly one rule of ``select_units``; ``fraction`` is ignored where another one is given.
    absolute : bool
        Whether activations are made absolute first, as "The LLM Language Network" does. It recovers 22 % of
        planted units where the signed form recovers 97 %.
    site : str
        Where in the layer the activations were read; recorded in the mask.

    Returns
    -------
    xarray.Dataset
        Along ``unit`` (coordinates layer, site, index): ``t``, one-sided ``p``, Cohen's ``d`` (difference
        over the pooled standard deviation), and ``mask``. ``attrs`` holds the selection and ``n_undefined``,
        the number of constant units, which are NaN and never selected.

    Raises
    ------
    LabelError
        If labels are missing from the activations, repeated, or in both sets.

    References
    ----------
    AlKhamissi, Tuckute, Bosselut & Schrimpf (2025), The LLM Language Network, section 3.
    """
    parts = []
    for name in map(str, activations):
        t, p, d = contrast_statistics(activations[name], positive, negative, absolute=absolute, name=name)
        parts.append((name, t, p, d))
    if not parts:
        raise ShapeError("activations have no layer.")
    layer = np.concatenate([np.full(t.size, name) for name, t, _, _ in parts])
    index = np.concatenate([np.arange(t.size) for _, t, _, _ in parts])
    t, p, d = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    if k is not None or q is not None or fraction_per_layer is not None:
        fraction = None
    chosen = select_units(
        t, p=p, layer=layer, fraction=fraction, k=k, q=q, fraction_per_layer=fraction_per_layer
    )
    rule = {"fraction": fraction, "k": k, "q": q, "fraction_per_layer": fraction_per_layer}
    attrs = {key: value for key, value in rule.items() if value is not None}
    attrs |= {"absolute": absolute, "n_positive": len(positive), "n_negative": len(negative)}
    mask = make_mask(chosen, layer=layer, site=site, index=index, **attrs)
    statistics = {"t": ("unit", t), "p": ("unit", p), "d": ("unit", d), "mask": mask}
    return xr.Dataset(statistics, attrs={**attrs, "n_undefined": int(np.isnan(t).sum())})


def contrast_statistics(
    activations: xr.DataArray,
    positive: Sequence[Any] | np.ndarray,
    negative: Sequence[Any] | np.ndarray,
    *,
    absolute: bool = False,
    name: str = "activations",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (t, p, d), each array (n_units,), of one layer's units; see ``localize``."""
    rows = _rows(labels(activations, name=name), positive, negative, name)
    values = activations.transpose("stimulus", ...).values
    x, y = (as_float(values[row], name=name, ndim=2) for row in rows)
    if absolute:
        x, y = np.abs(x), np.abs(y)
    t, p = welch_t(x, y)
    squares = x.var(axis=0) * len(x) + y.var(axis=0) * len(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (x.mean(axis=0) - y.mean(axis=0)) / np.sqrt(squares / (len(x) + len(y) - 2))
    return t, p, np.where(np.isnan(t), np.nan, d)


def _rows(found: np.ndarray, positive: Any, negative: Any, name: str) -> list[np.ndarray]:
    position = {label: i for i, label in enumerate(found.tolist())}
    wanted = [np.asarray(side).tolist() for side in (positive, negative)]
    both = set(wanted[0]) & set(wanted[1])
    if both:
        raise LabelError(f"{len(both)} stimuli are both positive and negative: {listing(sorted(both))}.")
    for side, side_name in zip(wanted, ("positive", "negative"), strict=True):
        if len(set(side)) != len(side):
            raise LabelError(f"the {side_name} stimuli repeat labels.")
        missing = [label for label in side if label not in position]
        if missing:
            raise LabelError(
                f"{len(missing)} of {len(side)} {side_name} stimuli are not in {name}: {listing(missing)}."
            )
    return [np.array([position[label] for label in side], dtype=np.intp) for side in wanted]


def unit_magnitude(
    activations: Mapping[str, xr.DataArray] | xr.Dataset, *, site: str = "block"
) -> xr.DataArray:
    """Return every unit's mean absolute activation over the stimuli, along a mask's ``unit`` dim."""
    names = [str(layer) for layer in activations]
    parts = {name: np.abs(activations[name].values).mean(axis=0, dtype=np.float64) for name in names}
    layer = np.concatenate([np.full(v.size, name) for name, v in parts.items()])
    index = np.concatenate([np.arange(v.size) for v in parts.values()])
    template = make_mask(np.zeros(layer.size, dtype=bool), layer=layer, site=site, index=index)
    return template.copy(data=np.concatenate(list(parts.values()))).rename("magnitude")
