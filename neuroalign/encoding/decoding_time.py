"""Decoders fitted at every time, and tested at the same or at every time: the loop over folds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from tqdm import tqdm

from ..errors import InvalidValueError
from .decoding_metrics import CLASS_METRICS, NEED_ALL_CLASSES, VALUE_METRICS
from .discriminants import decisions, fit_discriminants
from .splits import Splits

__all__ = ["Task", "scores_in_time"]

# Numbers of one block of times, in the fit and in the decisions: 64 MB.
BLOCK = 8_000_000


class Task(NamedTuple):
    """What is decoded and how; the labels come apart, for they are permuted."""

    x: np.ndarray  # (n_presentations, n_neuroids, n_times) float64
    classes: np.ndarray | None  # (n_classes,); None for a regressor
    splits: Splits
    estimator: Any  # None: linear discriminants at all times at once
    metric: str
    across: bool  # whether each decoder is tested at every time


def scores_in_time(task: Task, y: np.ndarray, *, progress: bool = False) -> np.ndarray:
    """Return scores (n_folds, n_times); of training by test times (n_folds, n_times, n_times) where across.

    Parameters
    ----------
    task : Task
    y : array (n_presentations,)
        Numbers of classes, or values where a regressor decodes.
    progress : bool

    Returns
    -------
    array
        A fold is NaN where a class has no training presentation (for the default decoder fewer than two), or,
        unless the metric is plain accuracy, no test presentation.
    """
    n_times = task.x.shape[2]
    shape = (n_times, n_times) if task.across else (n_times,)
    found = np.full((len(task.splits), *shape), np.nan)
    bar = tqdm(total=len(task.splits) * n_times, disable=not progress, desc="decoders")
    for scores, (train, test) in zip(found, task.splits, strict=True):
        if task.classes is not None and not _defined(task, y[train], y[test]):
            bar.update(n_times)
            continue
        for times, output in _outputs(task, y, train, test):
            scores[times] = _score(task, y[test], output)
            bar.update(times.stop - times.start)
    bar.close()
    return found


def _defined(task: Task, train: np.ndarray, test: np.ndarray) -> bool:
    n_classes = len(task.classes) if task.classes is not None else 0
    least = 2 if task.estimator is None else 1
    whole = task.metric not in NEED_ALL_CLASSES or np.bincount(test, minlength=n_classes).min() > 0
    return bool(whole and np.bincount(train, minlength=n_classes).min() >= least)


def _score(task: Task, truth: np.ndarray, output: np.ndarray) -> np.ndarray:
    if task.classes is not None:
        return CLASS_METRICS[task.metric](truth, output, len(task.classes))
    truth = np.broadcast_to(truth.reshape(-1, *[1] * (output.ndim - 1)), output.shape)
    return VALUE_METRICS[task.metric](truth, output)


def _outputs(
    task: Task, y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield training times and what their decoders say of the test presentations, as the metric takes it."""
    if task.estimator is None:
        yield from _of_discriminants(task, y, train, test)
        return
    n_times = task.x.shape[2]
    for time in range(n_times):
        fitted = clone(task.estimator).fit(
            task.x[train, :, time], y[train] if task.classes is None else task.classes[y[train]]
        )
        rows = task.x[test] if task.across else task.x[test, :, time : time + 1]
        flat = np.moveaxis(rows, 2, 1).reshape(-1, rows.shape[1])
        output = _of_estimator(fitted, flat, task)
        output = output.reshape(len(test), rows.shape[2], *output.shape[1:])
        yield slice(time, time + 1), output[:, None] if task.across else output


def _of_discriminants(
    task: Task, y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    n_classes = 0 if task.classes is None else len(task.classes)
    _, n_neuroids, n_times = task.x.shape
    held = len(test) * n_classes * (n_times if task.across else 1)
    width = max(1, BLOCK // max(n_neuroids * (n_neuroids + 3 * len(train)), held))
    for start in range(0, n_times, width):
        times = slice(start, min(start + width, n_times))
        found = fit_discriminants(task.x[train, :, times], y[train], n_classes)
        rows = task.x[test] if task.across else task.x[test, :, times]
        decided = decisions(found, rows, across=task.across)
        yield times, decided if task.metric == "auc" else decided.argmax(axis=-1)


def _of_estimator(fitted: Any, rows: np.ndarray, task: Task) -> np.ndarray:
    """Return values (n,), numbers of classes (n,), or decisions (n, n_classes) for the AUC."""
    if task.classes is None:
        return np.asarray(fitted.predict(rows), dtype=np.float64).reshape(len(rows))
    if task.metric != "auc":
        return np.searchsorted(task.classes, fitted.predict(rows))
    name = next((one for one in ("decision_function", "predict_proba") if hasattr(fitted, one)), None)
    if name is None:
        raise InvalidValueError(
            f"metric 'auc' needs decision values; {type(fitted).__name__} has neither decision_function nor "
            "predict_proba. Pass metric='balanced-accuracy'."
        )
    values = np.asarray(getattr(fitted, name)(rows), dtype=np.float64)
    if values.ndim == 1:
        values = np.stack([-values, values], axis=1)
    if values.shape != (len(rows), len(task.classes)):
        raise InvalidValueError(
            f"{type(fitted).__name__}.{name} must give one value a class, {len(task.classes)}; got shape "
            f"{values.shape}. A decoder of pairs of classes needs decision_function_shape='ovr'."
        )
    return values
