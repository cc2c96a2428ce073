"""Rank scores of many RDMs at once: an order by radix sort, checked exactly."""

from __future__ import annotations

import numpy as np

from .compare import compare_rows

__all__ = ["RANK_METHODS", "rank_scores"]

RANK_METHODS = ("spearman", "rho-a")

# Above so many pairs too many share a 16-bit key.
FEW_PAIRS = 20_000
N_SWEEPS = 12


def rank_scores(rows: np.ndarray, models: np.ndarray, unit: np.ndarray, method: str) -> np.ndarray:
    """Return the scores (n, n_models) of rows (n, n_pairs) and models (n_models, n_pairs) by ranks.

    Equal to ``compare_rows(rows, models, method)``. Where no dissimilarity of a row repeats, its ranks are 0
    to n_pairs - 1 and of known length, and the score is the sum of rank times the model's unit row, in the
    row's order. Rows with ties or NaN, and constant rows, go to ``compare_rows``.

    Parameters
    ----------
    rows : array (n, n_pairs)
    models : array (n_models, n_pairs)
        Without NaN.
    unit : array (n_models, n_pairs)
        ``unit_rows(models, method)``.
    method : str
        One of ``RANK_METHODS``.
    """
    n, n_pairs = rows.shape
    places, strict = _order(rows)
    ranks = np.arange(n_pairs) - (n_pairs - 1) / 2
    ranks /= np.sqrt((n_pairs**3 - n_pairs) / 12)
    scores = np.empty((n, len(models)))
    for i, model in enumerate(unit):
        scores[:, i] = model.take(places, mode="clip") @ ranks
    np.clip(scores, -1.0, 1.0, out=scores)
    if not strict.all():
        scores[~strict] = compare_rows(rows[~strict], models, method)
    return scores


def _order(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions that sort each row, and for which rows they do so without a tie.

    Values are spread over 16 bits, which numpy sorts by radix in linear time. Values that share a key are
    then put in order by swaps of neighbours, and no row counts as sorted before all its neighbours have been
    compared. For 4,186 values that takes a third of the time of ``argsort``.
    """
    n, n_pairs = rows.shape
    first = (np.arange(n) * n_pairs)[:, None]
    if n_pairs > FEW_PAIRS:
        order = np.argsort(rows, axis=1)
        ordered = rows.take(order + first, mode="clip")
        return order, (ordered[:, 1:] > ordered[:, :-1]).all(axis=1)
    order = np.argsort(_keys(rows), axis=1, kind="stable")
    order += first
    ordered = rows.take(order, mode="clip")
    strict = _mend(ordered, order)
    order -= first
    return order, strict


def _keys(rows: np.ndarray) -> np.ndarray:
    """Return 16-bit keys (n, n_pairs) that never put a larger value before a smaller one."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        lowest = rows.min(axis=1, keepdims=True)
        scale = (2.0**16 - 1) / (rows.max(axis=1, keepdims=True) - lowest)
        spread = rows - lowest
        spread *= np.where(np.isfinite(scale), scale, 0.0)
        spread[np.isnan(spread[:, 0])] = 0.0
        return spread.astype(np.uint32).astype(np.uint16)


def _mend(ordered: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Sort rows that are nearly sorted, with the order beside them, in place; return which have no tie.

    A row with NaN, or one that is not sorted after ``N_SWEEPS`` sweeps, has a tie for this purpose.
    """
    n, n_pairs = ordered.shape
    values, places = ordered.reshape(-1), order.reshape(-1)
    strict = np.ones(n, dtype=bool)
    wrong = np.zeros((n, n_pairs), dtype=bool)
    np.less(ordered[:, :-1], ordered[:, 1:], out=wrong[:, :-1])
    wrong[:, -1] = True
    at = np.flatnonzero(np.logical_not(wrong, out=wrong))
    for _ in range(N_SWEEPS):
        if not at.size:
            return strict
        swap = values[at] > values[at + 1]
        strict[at[~swap] // n_pairs] = False
        at = at[swap]
        for part in (at[at % 2 == 0], at[at % 2 == 1]):
            low, high = values[part], values[part + 1]
            still = low > high
            part, low, high = part[still], low[still], high[still]
            values[part], values[part + 1] = high, low
            places[part], places[part + 1] = places[part + 1], places[part]
        near = np.concatenate([at - 1, at, at + 1])
        near = near[~(values.take(near, mode="clip") < values.take(near + 1, mode="clip"))]
        at = np.unique(near[(near >= 0) & (near % n_pairs < n_pairs - 1)])
    strict[at // n_pairs] = False
    return strict
