"""Which subjects and stimuli each bootstrap sample holds: draw i depends on the seed and on i only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError
from ..seeds import generator

__all__ = ["Draws", "draw", "recorded"]

# Distinct stimuli that a comparison needs, in every training and test set.
LEAST = 3
MAX_ATTEMPTS = 10_000


@dataclass(frozen=True)
class Draws:
    """Bootstrap samples, and the random orders that cross-validation inside them cuts into folds.

    Attributes
    ----------
    number : array (n,)
        Of each draw, unique.
    subject, stimulus : array (n, n_subjects), (n, n_stimuli)
        Positions drawn with replacement; the positions themselves where a factor is not resampled.
    redrawn : array (n,)
        Samples that were thrown away before this one, for too few distinct stimuli or subjects.
    subject_order, stimulus_order : array (n, n_repeats, n_subjects), (n, n_repeats, n_stimuli)
        Orders of all items; the fold of an item is its place among those drawn, modulo the folds.
    """

    number: np.ndarray
    subject: np.ndarray
    stimulus: np.ndarray
    redrawn: np.ndarray
    subject_order: np.ndarray
    stimulus_order: np.ndarray

    def shares(self) -> np.ndarray:
        """Return how often each subject comes (n, n_subjects)."""
        return _counts(self.subject)

    def counts(self) -> np.ndarray:
        """Return how often each stimulus comes (n, n_stimuli)."""
        return _counts(self.stimulus)

    def variables(self) -> dict[str, Any]:
        """Return what a Dataset keeps of the draws."""
        found: dict[str, Any] = {
            "draw_subject": (("draw", "subject_slot"), self.subject),
            "draw_stimulus": (("draw", "stimulus_slot"), self.stimulus),
            "draw_redrawn": (("draw",), self.redrawn),
        }
        if self.subject_order.shape[1]:
            found["draw_subject_order"] = (("draw", "repeat", "subject_slot"), self.subject_order)
            found["draw_stimulus_order"] = (("draw", "repeat", "stimulus_slot"), self.stimulus_order)
        return found


def draw(
    n: int,
    *,
    first: int,
    seed: int,
    sizes: tuple[int, int],
    resampled: str,
    folds: tuple[int, int] = (1, 1),
    n_repeats: int = 0,
) -> Draws:
    """Return samples ``first`` to ``first + n - 1`` of a seed.

    A sample with fewer distinct stimuli than 3 a fold, or fewer distinct subjects than folds, is drawn again
    from the same stream.

    Parameters
    ----------
    n, first, seed : int
    sizes : (n_subjects, n_stimuli)
    resampled : {"subject", "stimulus", "both"}
    folds : (over subjects, over stimuli)
        1 where there are none.
    n_repeats : int
        Random orders a draw, for folds.

    Raises
    ------
    ShapeError
        If there are too few subjects or stimuli to resample.

    Examples
    --------
    >>> some = draw(2, first=1, seed=0, sizes=(4, 6), resampled="both")
    >>> more = draw(3, first=0, seed=0, sizes=(4, 6), resampled="both")
    >>> bool((some.stimulus == more.stimulus[1:]).all())
    True
    """
    n_subjects, n_stimuli = sizes
    least = (folds[0], LEAST * folds[1])
    _refuse_few(sizes, resampled, least)
    found: list[list[np.ndarray]] = [[], [], [], []]
    redrawn = np.zeros(n, dtype=np.int64)
    for i in range(n):
        rng = generator(seed, "bootstrap", first + i)
        for attempt in range(MAX_ATTEMPTS):
            subject = rng.integers(n_subjects, size=n_subjects)
            stimulus = rng.integers(n_stimuli, size=n_stimuli)
            subject = np.arange(n_subjects) if resampled == "stimulus" else subject
            stimulus = np.arange(n_stimuli) if resampled == "subject" else stimulus
            if _distinct(stimulus) >= least[1] and _distinct(subject) >= least[0]:
                redrawn[i] = attempt
                break
        else:
            raise ShapeError(
                f"draw {first + i}: {MAX_ATTEMPTS} samples of {n_subjects} subjects and {n_stimuli} stimuli "
                f"had fewer than {least[0]} distinct subjects or {least[1]} distinct stimuli. Ask for fewer "
                "folds."
            )
        orders = [np.array([rng.permutation(size) for _ in range(n_repeats)], dtype=int) for size in sizes]
        for kept, new in zip(found, (subject, stimulus, *orders), strict=True):
            kept.append(new)
    shapes = ((n_subjects,), (n_stimuli,), (n_repeats, n_subjects), (n_repeats, n_stimuli))
    subject, stimulus, *orders = (np.reshape(x, (n, *s)) for x, s in zip(found, shapes, strict=True))
    return Draws(np.arange(first, first + n), subject, stimulus, redrawn, *orders)


def recorded(
    draws: Mapping[str, Any] | xr.Dataset, *, sizes: tuple[int, int], resampled: str, n_repeats: int = 0
) -> Draws:
    """Return draws that were made before: index arrays by name, or a result of ``infer``.

    Raises
    ------
    ShapeError
        If a shape is another one.
    InvalidValueError
        If an index is none, or there are no orders for the folds asked for.
    """
    found = {}
    for name, size, resamples in (
        ("subject", sizes[0], resampled != "stimulus"),
        ("stimulus", sizes[1], resampled != "subject"),
    ):
        key = f"draw_{name}" if isinstance(draws, xr.Dataset) else name
        if key in draws and resamples:
            found[name] = _checked(np.asarray(draws[key]), name, size)
        elif resamples:
            raise InvalidValueError(
                f"draws: bootstrap={resampled!r} needs {key!r}; got {sorted(map(str, draws))}."
            )
    n = len(next(iter(found.values())))
    for name, size in zip(("subject", "stimulus"), sizes, strict=True):
        found.setdefault(name, np.tile(np.arange(size), (n, 1)))
        if len(found[name]) != n:
            raise ShapeError(f"draws: {n} of one factor, {len(found[name])} of {name}.")
    number = np.asarray(draws["draw"]) if "draw" in draws else np.arange(n)
    prefix = "draw_" if isinstance(draws, xr.Dataset) else ""
    orders = [
        _orders(draws, f"{prefix}{name}_order", n, n_repeats, size)
        for name, size in zip(("subject", "stimulus"), sizes, strict=True)
    ]
    redrawn = np.asarray(draws["draw_redrawn"]) if "draw_redrawn" in draws else np.zeros(n, dtype=np.int64)
    return Draws(number, found["subject"], found["stimulus"], redrawn, *orders)


def _orders(draws: Any, key: str, n: int, n_repeats: int, size: int) -> np.ndarray:
    if not n_repeats:
        return np.empty((n, 0, size), dtype=int)
    if key not in draws or np.shape(draws[key]) != (n, n_repeats, size):
        raise InvalidValueError(f"draws: folds need {key!r} of shape {(n, n_repeats, size)}.")
    return np.asarray(draws[key])


def _checked(index: np.ndarray, name: str, size: int) -> np.ndarray:
    if index.ndim != 2 or index.shape[1] != size or not len(index):
        raise ShapeError(f"draws: {name} must have shape (draws, {size}); got {index.shape}.")
    if index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= size:
        raise InvalidValueError(f"draws: {name} must hold positions 0 to {size - 1}.")
    return index


def _refuse_few(sizes: tuple[int, int], resampled: str, least: tuple[int, int]) -> None:
    n_subjects, n_stimuli = sizes
    if resampled != "stimulus" and n_subjects < max(2, least[0]):
        raise ShapeError(
            f"a bootstrap over subjects needs at least {max(2, least[0])} subjects; got {n_subjects}. "
            "Pass bootstrap='stimulus' to generalise to new stimuli only."
        )
    if resampled != "subject" and n_stimuli < 2 * least[1]:
        raise ShapeError(
            f"a bootstrap over stimuli needs at least {2 * least[1]} stimuli (twice the {least[1]} distinct "
            f"ones that a sample must hold); got {n_stimuli}. Pass bootstrap='subject' to keep the stimuli."
        )


def _distinct(index: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(index)))


def _counts(index: np.ndarray) -> np.ndarray:
    n, size = index.shape
    flat = index + size * np.arange(n)[:, None]
    return np.bincount(flat.reshape(-1), minlength=n * size).reshape(n, size)
