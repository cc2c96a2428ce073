"""From statistics to a set of units: exactly k, a fraction, a fraction a layer, or a false-discovery rate."""

from __future__ import annotations

import numpy as np

from ..arrays import as_float
from ..errors import InvalidValueError
from ..stats import fdr

__all__ = ["select_units"]


def select_units(
    t: np.ndarray,
    *,
    p: np.ndarray | None = None,
    layer: np.ndarray | None = None,
    fraction: float | None = None,
    k: int | None = None,
    q: float | None = None,
    fraction_per_layer: float | None = None,
) -> np.ndarray:
    """Return which units are selected, by exactly one of four rules.

    Units are ordered by -t, ties by position (layer, then unit), so that ``k`` always selects exactly k.
    NaN units are never selected; a fraction is one of all units, NaN ones included.

    Parameters
    ----------
    t : array (n_units,)
    p : array (n_units,), optional
        One-sided p values; needed for ``q``.
    layer : array (n_units,), optional
        Layer names; needed for ``fraction_per_layer``.
    fraction : float in (0, 1], optional
        Of all units.
    k : int, optional
        Number of units.
    q : float in (0, 1), optional
        Benjamini-Hochberg false-discovery rate; only units with t > 0.
    fraction_per_layer : float in (0, 1], optional
        Of each layer's units.

    Returns
    -------
    array (n_units,) of bool

    Raises
    ------
    InvalidValueError
        If not exactly one rule is given, or it asks for more units than are defined.

    Examples
    --------
    >>> select_units(np.array([1.0, 3.0, np.nan, 3.0]), k=2)
    array([False,  True, False,  True])
    """
    t = as_float(t, name="t", ndim=1, finite=False)
    rules = {"fraction": fraction, "k": k, "q": q, "fraction_per_layer": fraction_per_layer}
    given = [name for name, value in rules.items() if value is not None]
    if len(given) != 1:
        raise InvalidValueError(f"give exactly one of {', '.join(rules)}; got {given or 'none'}.")
    if q is not None:
        if p is None or not 0 < q < 1:
            raise InvalidValueError(f"q must be between 0 and 1 and needs p; got q={q!r}.")
        return (fdr(p) <= q) & (t > 0)
    if k is not None:
        return _top(t, k)
    share = fraction if fraction is not None else fraction_per_layer
    if share is None or not 0 < share <= 1:
        raise InvalidValueError(f"{given[0]} must be in (0, 1]; got {share!r}.")
    if fraction is not None:
        return _top(t, max(1, round(share * t.size)))
    if layer is None:
        raise InvalidValueError("fraction_per_layer needs the layer of every unit.")
    chosen = np.zeros(t.size, dtype=bool)
    for name in dict.fromkeys(np.asarray(layer).tolist()):
        inside = np.flatnonzero(np.asarray(layer) == name)
        chosen[inside] = _top(t[inside], max(1, round(share * inside.size)))
    return chosen


def _top(t: np.ndarray, k: int) -> np.ndarray:
    defined = int((~np.isnan(t)).sum())
    if not 1 <= k <= defined:
        raise InvalidValueError(f"k must be from 1 to the {defined} units with a defined t; got {k}.")
    order = np.argsort(np.where(np.isnan(t), np.inf, -t), kind="stable")
    chosen = np.zeros(t.size, dtype=bool)
    chosen[order[:k]] = True
    return chosen
