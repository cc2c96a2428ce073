"""Scores of fitted models in held-out subjects and stimuli, in one sample of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidValueError
from .batches import pooled_bounds
from .models import fit_rows
from .weighted import mean_known, pool, sample_scores

__all__ = ["Part", "check_folds", "held_out"]

FACTORS = ("subject", "stimulus")


@dataclass(frozen=True)
class Part:
    """A model's kind, its RDMs (n_components, n_pairs) and its ridge."""

    kind: str
    components: np.ndarray
    ridge: float = 0.0


def check_folds(folds: Mapping[str, int] | None) -> tuple[int, int]:
    """Return how many folds over subjects and stimuli, 1 where there are none."""
    folds = dict(folds or {})
    unknown = sorted(set(folds) - set(FACTORS))
    if unknown:
        raise InvalidValueError(f"folds are over 'subject' and 'stimulus'; got {unknown}.")
    for name, k in folds.items():
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise InvalidValueError(f"folds over {name} must be a positive integer; got {k!r}.")
    return int(folds.get("subject", 1)), int(folds.get("stimulus", 1))


def held_out(
    parts: Sequence[Part],
    data: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    orders: tuple[np.ndarray, np.ndarray],
    folds: tuple[int, int],
    method: str,
    *,
    pooling: str = "best",
    ceiling: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the scores of models that were fitted without what they are scored on.

    Every set of subjects left out meets every set of stimuli left out. Copies of a drawn item are in one
    fold. A model is fitted to the other subjects' RDMs of the other stimuli and predicts the left out
    subjects' RDMs of the left out stimuli.

    Parameters
    ----------
    parts : sequence of Part
    data : array (n_subjects, n_pairs)
    counts, shares : array (n_stimuli,), (n_subjects,)
        How often each stimulus and subject was drawn.
    orders : arrays (n_subjects,), (n_stimuli,)
        Fold of an item: its place among those drawn, modulo the number of folds.
    folds : (over subjects, over stimuli)

    Returns
    -------
    means : array (n_models,)
        Over folds, of means over the subjects left out.
    bounds : array (2,)
        Noise ceiling of the same test sets: the pool of the training subjects (of the other subjects, where
        none are left out), and of all.
    scores : array (n_models, n_subjects)
        Means over folds over stimuli; NaN for subjects who were not drawn.
    """
    subjects = _split(orders[0], shares, folds[0])
    stimuli = _split(orders[1], counts, folds[1])
    means, bounds = [], []
    summed = np.zeros((len(parts), len(data)))
    n_summed = np.zeros(summed.shape)
    for stimuli_train, stimuli_test in stimuli:
        train, test = counts * stimuli_train, counts * stimuli_test
        for subjects_train, subjects_test in subjects:
            fitted = shares * subjects_train
            rdms = np.stack(
                [
                    fit_rows(p.kind, p.components, data, train, fitted, method, p.ridge) @ p.components
                    for p in parts
                ]
            )
            left = np.flatnonzero(shares * subjects_test)
            scores = sample_scores(rdms, data[left], test, method)
            means.append(mean_known(scores, shares[left]))
            known = ~np.isnan(scores)
            summed[:, left] += np.where(known, scores, 0.0)
            n_summed[:, left] += known
            if ceiling:
                left_shares = shares * subjects_test
                bounds.append(_bounds(data, test, fitted, left_shares, shares, folds[0], method, pooling))
    scores = np.where(n_summed > 0, summed / np.maximum(n_summed, 1), np.nan)
    found = np.mean(bounds, axis=0) if ceiling else np.full(2, np.nan)
    return np.mean(means, axis=0), found, scores


def _bounds(
    data: np.ndarray,
    counts: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    shares: np.ndarray,
    n_folds: int,
    method: str,
    pooling: str,
) -> np.ndarray:
    if n_folds == 1:
        return pooled_bounds(data, counts, shares, method, pooling)
    pools = pool(data, np.stack([train, shares]).astype(np.float64), counts, method, pooling)
    left = np.flatnonzero(test)
    return mean_known(sample_scores(pools, data[left], counts, method), test[left])


def _split(order: np.ndarray, drawn: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each fold which items (n,) are trained on and which are tested on; all where k is 1."""
    if k == 1:
        everything = np.ones(len(drawn), dtype=bool)
        return [(everything, everything)]
    fold = np.full(len(drawn), -1)
    present = order[drawn[order] > 0]
    fold[present] = np.arange(len(present)) % k
    return [(fold != i, fold == i) for i in range(k)]
