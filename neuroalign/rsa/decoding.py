"""Pairwise decoding accuracy of held-out folds by linear discriminants."""

from __future__ import annotations

import numpy as np

from .metrics import Options
from .shrinkage import shrunk, whitening

__all__ = ["decoding"]


def decoding(
    x: np.ndarray, stimulus: np.ndarray, fold: np.ndarray, options: Options
) -> tuple[np.ndarray, int]:
    """Return how often held-out observations are assigned to the right one of two stimuli.

    Leave one fold out: class means (and, where no noise precision is given, the shrunk within-class
    covariance) come from the other folds, and each held-out observation goes to the class of the higher
    linear discriminant; a tie counts one half. Hits are averaged within a stimulus, then over the two.

    Parameters
    ----------
    x : array (n_observations, n_units)
    stimulus, fold : array (n_observations,) of int
        Codes from 0.
    options : Options
        ``noise`` (n_units, n_units) or None.

    Returns
    -------
    array (n_pairs,)
        0 to 1. NaN where either stimulus has no held-out observation that could be tested.
    int
        How many are NaN.
    """
    n_stimuli = int(stimulus.max()) + 1
    hits, tested = np.zeros((n_stimuli, n_stimuli)), np.zeros((n_stimuli, n_stimuli))
    for held_out in np.unique(fold):
        train, test = fold != held_out, fold == held_out
        higher = _higher(x[train], stimulus[train], x[test], stimulus[test], n_stimuli, options.noise)
        np.add.at(hits, stimulus[test], np.where(np.isnan(higher), 0.0, higher))
        np.add.at(tested, stimulus[test], ~np.isnan(higher))
    rate = hits / np.where(tested > 0, tested, np.nan)
    rows, columns = np.triu_indices(n_stimuli, 1)
    found = (rate[rows, columns] + rate[columns, rows]) / 2
    return found, int(np.isnan(found).sum())


def _higher(
    train: np.ndarray,
    train_stimulus: np.ndarray,
    test: np.ndarray,
    test_stimulus: np.ndarray,
    n_stimuli: int,
    noise: np.ndarray | None,
) -> np.ndarray:
    """Return (n_test, n_stimuli): 1 where the own class scores higher than the other, 0 lower, .5 equal.

    NaN where one of the two classes is not in the training folds.
    """
    count = np.bincount(train_stimulus, minlength=n_stimuli)
    means = np.zeros((n_stimuli, train.shape[1]))
    np.add.at(means, train_stimulus, train)
    means /= np.maximum(count, 1)[:, None]
    # A common shift changes no discriminant of two classes; without it large offsets would cost digits.
    shift = train.mean(axis=0)
    if noise is None:
        deviations = train - means[train_stimulus]
        white = whitening(shrunk(deviations, len(train) - int((count > 0).sum()), "shrinkage-diagonal"))
        test, means = white(test - shift), white(means - shift)
        weights = means
    else:
        test, means = test - shift, means - shift
        weights = means @ noise
    score = test @ weights.T - np.einsum("su,su->s", weights, means) / 2
    score[:, count == 0] = np.nan
    own = score[np.arange(len(test)), test_stimulus][:, None]
    return (np.sign(own - score) + 1) / 2
