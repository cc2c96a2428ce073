"""Nearest-centroid accuracies from Gram matrices: nothing here sees a summary vector twice.

The squared distance of a vector to the mean of others is a sum over the Gram matrix of all vectors, so every
way of leaving subjects out, and every bootstrap weight of theirs, is arithmetic on that one matrix.

Arrays: c cells, s and t subjects, r and q classes; Gram matrices are (c, s, r, t, q).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .families import FAMILIES

__all__ = ["accuracies", "chosen_cells", "hits", "summarize", "weighted_mean"]

# Distances that differ by this share of the vectors' mean squared length are ties.
TIED = 1e-9
# Distances that are held at once: small enough for the cache.
CHUNK = 100_000


def accuracies(gram: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the accuracy (c, s) of each left-out subject over its classes; NaN if no other is left."""
    subjects = np.arange(len(weights))
    return hits(gram, weights, subjects, subjects)


def hits(gram: np.ndarray, weights: np.ndarray, tested: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the accuracy (c, n) of each ``tested`` subject by centroids without it and without ``other``.

    Parameters
    ----------
    gram : array (c, s, r, s, r)
    weights : array (s,)
        How often each subject counts in a centroid.
    tested, other : array (n,)
        Two subjects that are left out; the same one twice leaves out one.
    """
    step = max(1, CHUNK // (len(tested) * gram.shape[2] ** 2))
    parts = [gram[i : i + step] for i in range(0, len(gram), step)]
    return np.concatenate([_hits(part, weights, tested, other) for part in parts])


def _hits(gram: np.ndarray, weights: np.ndarray, tested: np.ndarray, other: np.ndarray) -> np.ndarray:
    own = np.einsum("csrtr->cstr", gram)
    to_all = np.einsum("t,csrtq->csrq", weights, gram)
    to_own = np.einsum("t,cstr->csr", weights, own)
    whole = np.einsum("s,csr->cr", weights, to_own)
    a, b = weights[tested], np.where(tested == other, 0.0, weights[other])
    left = weights.sum() - a - b
    rest = np.where(left > 0, left, np.nan)
    gram_a = gram[:, tested, :, tested, :].transpose(1, 0, 2, 3)
    gram_b = gram[:, tested, :, other, :].transpose(1, 0, 2, 3)
    cross = to_all[:, tested] - a[:, None, None] * gram_a - b[:, None, None] * gram_b
    lengths = (
        whole[:, None, :]
        - 2 * a[:, None] * to_own[:, tested]
        - 2 * b[:, None] * to_own[:, other]
        + (a**2)[:, None] * own[:, tested, tested]
        + (b**2)[:, None] * own[:, other, other]
        + (2 * a * b)[:, None] * own[:, tested, other]
    )
    distance = lengths[:, :, None, :] / (rest**2)[:, None, None] - 2 * cross / rest[:, None, None]
    return _share_of_hits(distance, _mean_square(gram))


def _share_of_hits(distance: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return how often the class of row r is nearest (c, n), from distances (c, n, r, q); a tie is shared."""
    nearest = distance.min(axis=-1, keepdims=True) + TIED * scale[:, None, None, None]
    tied = distance <= nearest
    right = np.einsum("cnrr->cnr", tied) / np.maximum(tied.sum(axis=-1), 1)
    return np.where(np.isnan(distance).any(axis=(-1, -2)), np.nan, right.mean(axis=-1))


def _mean_square(gram: np.ndarray) -> np.ndarray:
    return np.einsum("csrsr->c", gram) / (gram.shape[1] * gram.shape[2])


def chosen_cells(gram: np.ndarray, weights: np.ndarray, cells: xr.Dataset) -> np.ndarray:
    """Return the cell (1 + families, s) that the others' data choose for each subject; -1 where none can.

    Row 0 chooses among all cells, the next ones among those of each family. The subject that is left out has
    no part in it.
    """
    n = len(weights)
    outer, tested = (index.ravel() for index in np.indices((n, n)))
    inner = hits(gram, weights, tested, outer).reshape(len(gram), n, n)
    drawn = (weights > 0).astype(int)
    possible = drawn.sum() - drawn >= 2
    part = np.where(np.eye(n, dtype=bool), 0.0, weights[None, :])
    mean = (np.where(part > 0, inner, 0.0) * part).sum(axis=-1) / np.maximum(part.sum(axis=-1), 1)
    # Best first; among equals the widest, then the lowest: nearest to the rank RDM.
    width, lower = cells["upper"].values - cells["lower"].values, cells["lower"].values
    order = np.lexsort((lower, -np.round(width, 9)))
    found = np.full((1 + len(FAMILIES), n), -1)
    for row, name in enumerate((None, *FAMILIES)):
        among = order if name is None else order[cells["family"].values[order] == name]
        if len(among):
            best = among[np.round(mean[among], 9).argmax(axis=0)]
            found[row] = np.where(possible, best, -1)
    return found


def summarize(
    accuracy: np.ndarray, weights: np.ndarray, chosen: np.ndarray, family: np.ndarray, n_controls: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean accuracy of each cell (c,), and of each summary for each subject (n_summaries, s).

    Parameters
    ----------
    accuracy : array (n_controls + c, s)
    weights : array (s,)
        A subject of weight 0 takes no part in means.
    chosen : array (1 + families, s)
    family : array (c,)
    """
    controls, cells = accuracy[:n_controls], accuracy[n_controls:]
    none = np.full(cells.shape[1], np.nan)
    means = [cells[family == name].mean(axis=0) if (family == name).any() else none for name in FAMILIES]
    subjects = np.arange(cells.shape[1])
    picked = np.where(chosen >= 0, cells[np.maximum(chosen, 0), subjects], np.nan)
    return weighted_mean(cells, weights), np.concatenate([controls, np.stack(means), picked])


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (n,) over subjects of values (n, s); NaN where a counted one is."""
    counted = weights > 0
    return values[:, counted] @ weights[counted] / weights.sum()
