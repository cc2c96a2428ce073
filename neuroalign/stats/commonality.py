"""What sets of predictors explain alone and what they share, from the scores of all their unions."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..arrays import as_float
from ..errors import ShapeError

__all__ = ["all_unions", "commonalities"]


def all_unions(n_sets: int) -> list[tuple[int, ...]]:
    """Return all non-empty unions of numbered sets, smaller ones first.

    Examples
    --------
    >>> all_unions(2)
    [(0,), (1,), (0, 1)]
    """
    return [union for size in range(1, n_sets + 1) for union in combinations(range(n_sets), size)]


def commonalities(scores: np.ndarray, n_sets: int) -> np.ndarray:
    r"""Return the components (n_unions, ...) of the scores of all unions, by inclusion and exclusion.

    What exactly the sets in S share is :math:`\sum_{T \subseteq S} (-1)^{|T| + 1} R^2(\bar S \cup T)`, where
    :math:`\bar S` are the other sets and :math:`R^2(\emptyset) = 0`. The components sum to the score of all
    sets together. NaN where a score is that enters.

    Parameters
    ----------
    scores : array (n_unions, ...)
        In the order of ``all_unions(n_sets)``.
    n_sets : int

    References
    ----------
    Nimon & Oswald 2013, Organ Res Methods 16:650 (commonality analysis).

    Examples
    --------
    >>> commonalities(np.array([0.5, 0.4, 0.6]), 2).round(6).tolist()  # alone, alone, shared
    [0.2, 0.1, 0.3]
    """
    scores, unions = as_float(scores, name="scores", missing=True), all_unions(n_sets)
    if scores.shape[:1] != (len(unions),):
        raise ShapeError(f"{n_sets} sets have {len(unions)} unions; got scores of shape {scores.shape}.")
    row = {frozenset(union): values for union, values in zip(unions, scores, strict=True)}
    row[frozenset()] = 0.0
    every = frozenset(range(n_sets))
    found = np.zeros(scores.shape)
    for i, union in enumerate(all_unions(n_sets)):
        for size in range(len(union) + 1):
            for part in combinations(union, size):
                found[i] += (-1) ** (size + 1) * row[every - set(union) | set(part)]
    return found
