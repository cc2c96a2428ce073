"""How a candidate is chosen for each target: scores, their mean over folds, edges of a grid."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from ..stats import mse, pearson_r, r2
from .checks import AlphaEdgeWarning

__all__ = ["SCORINGS", "best_of", "edge_share", "mean_over_folds"]


def best_of(scores: np.ndarray) -> np.ndarray:
    """Return each target's first candidate of largest score; the first one where none is defined.

    Parameters
    ----------
    scores : array (n_candidates, n_targets)
        NaN is undefined and never chosen over a number.

    Examples
    --------
    >>> best_of(np.array([[0.5, np.nan], [0.5, np.nan], [0.2, np.nan]])).tolist()
    [0, 0]
    """
    return np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=0)


def mean_over_folds(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of the folds' scores where they are defined; NaN where no fold has one.

    Examples
    --------
    >>> mean_over_folds([np.array([1.0, np.nan]), np.array([0.0, np.nan])]).tolist()
    [0.5, nan]
    """
    values = np.stack(scores)
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def edge_share(alphas: np.ndarray, chosen: np.ndarray, *, tolerance: float, what: str) -> float:
    """Return the share of chosen alphas at an edge of the grid; 0 for a grid of one alpha.

    Parameters
    ----------
    alphas : array (n_alphas,)
    chosen : array (n_chosen,)
        Of the targets that have a score.
    tolerance : float
        The share above which ``AlphaEdgeWarning`` is given.
    what : str
        What each chosen alpha belongs to, in the plural.

    Examples
    --------
    >>> edge_share(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0]), tolerance=1.0, what="targets")
    0.5
    """
    at_edge = (chosen == alphas.min()) | (chosen == alphas.max())
    share = float(at_edge.mean()) if len(alphas) > 1 and len(chosen) else 0.0
    if share > tolerance:
        warnings.warn(
            f"{share:.0%} of {len(chosen)} {what} chose an alpha at an edge of the grid "
            f"({alphas.min():g} to {alphas.max():g}); widen it, or raise edge_tolerance.",
            AlphaEdgeWarning,
            stacklevel=4,
        )
    return share


def _negative_mse(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return -mse(y, prediction)


SCORINGS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "r2": r2,
    "pearson": pearson_r,
    "neg_mse": _negative_mse,
}
