"""The formulas, once: the same code takes numpy arrays with scipy's sparse weights, and torch's of both.

Maps (n_maps, n_units) come centred, rows of activations (n_rows, n_units) as they are.
"""

from __future__ import annotations

from typing import Any

__all__ = ["correlation", "energies", "lags", "morans", "response_correlations"]


def lags(maps: Any, weights: Any) -> Any:
    """Return the weighted sum of each unit's neighbours, (n_maps, n_units)."""
    return (weights @ maps.T).T


def morans(first: Any, second: Any, weights: Any, total: float) -> Any:
    """Return n / S0 times sum_ij w_ij x_i y_j over the root of both sums of squares, (n_maps,).

    With twice the same map, Moran's I.
    """
    n = first.shape[-1]
    scale = ((first * first).sum(-1) * (second * second).sum(-1)) ** 0.5
    return n / total * (first * lags(second, weights)).sum(-1) / scale


def energies(maps: Any, weights: Any, degrees: Any) -> Any:
    """Return half of sum_ij w_ij (x_i - x_j)^2, (n_maps,); degrees are row sums plus column sums."""
    return 0.5 * (degrees * maps * maps).sum(-1) - (maps * lags(maps, weights)).sum(-1)


def response_correlations(rows: Any, one: Any, other: Any) -> Any:
    """Return Pearson's r of the units' responses over the rows, for the pairs (one, other), (n_pairs,)."""
    centred = rows - rows.mean(0)
    unit = centred / (centred * centred).sum(0) ** 0.5
    return (unit.T @ unit)[one, other]


def correlation(x: Any, y: Any) -> Any:
    """Return Pearson's r of two vectors."""
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / ((x * x).sum() * (y * y).sum()) ** 0.5
