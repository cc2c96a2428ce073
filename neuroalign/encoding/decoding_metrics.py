"""Scores of decoded labels, of any number of times together: array kernels, NaN where a class is missing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from ..stats import SCORES

__all__ = [
    "CLASS_METRICS",
    "DECODING_METRICS",
    "NEED_ALL_CLASSES",
    "VALUE_METRICS",
    "accuracy",
    "chance_level",
]


def accuracy(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the share of right answers (...) of predictions (n, ...); it rewards guessing the larger class.

    >>> float(accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2))
    0.75
    """
    return (predicted == _along(truth, predicted)).mean(axis=0)


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the mean over classes of the share of their right answers (...).

    >>> float(balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2))
    0.5
    """
    right = predicted == _along(truth, predicted)
    return np.mean([right[truth == k].mean(axis=0) for k in range(n_classes)], axis=0)


def auc(truth: np.ndarray, decision: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the area under the ROC curve (...) of decision values (n, ..., n_classes).

    The probability that a presentation of a class has a larger value for it than one of another class, ties
    counting one half; of several classes, the mean over each against the rest.

    >>> values = np.array([0.1, 0.4, 0.35, 0.8])
    >>> float(auc(np.array([0, 0, 1, 1]), np.stack([-values, values], axis=1), 2))
    0.75
    """
    found = []
    for k in range(n_classes) if n_classes > 2 else (1,):
        own = truth == k
        n_own, n_rest = own.sum(), (~own).sum()
        ranks = rankdata(decision[..., k], axis=0)[own].sum(axis=0)
        found.append((ranks - n_own * (n_own + 1) / 2) / (n_own * n_rest))
    return np.mean(found, axis=0)


CLASS_METRICS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "balanced-accuracy": balanced_accuracy,
    "accuracy": accuracy,
    "auc": auc,
}
# Undefined where a class has no test presentation.
NEED_ALL_CLASSES = ("balanced-accuracy", "auc")
# Of a regressor: those of the project's scores that are large where they are good.
VALUE_METRICS = {name: score for name, score in SCORES.items() if name != "mse"}
DECODING_METRICS = (*CLASS_METRICS, *VALUE_METRICS)


def chance_level(metric: str, train: np.ndarray, test: np.ndarray, n_classes: int) -> float:
    """Return the score of always answering the most frequent class (n_classes,) of the training counts.

    >>> chance_level("accuracy", np.array([6, 2]), np.array([3, 1]), 2)
    0.75
    """
    if metric == "accuracy":
        return float(test[train.argmax()] / test.sum())
    return 0.5 if metric == "auc" else 1.0 / n_classes


def _along(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return truth.reshape(-1, *[1] * (predicted.ndim - 1))
