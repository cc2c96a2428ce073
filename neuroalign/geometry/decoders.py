"""Linear decoders of dichotomies: folds, accuracies, nulls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, choice, listing
from ..stats import p_value, permutation
from .conditions import dichotomies_of, random_geometry
from .inputs import Patterns, as_patterns, centred, classes_of, coordinate, count

__all__ = ["Decoders", "Fold"]

NULLS = ("geometric", "shuffle")

# A training and a test set, rows of the patterns.
Fold = tuple[np.ndarray, np.ndarray]


class Decoders:
    """Patterns with conditions, the dichotomies asked for and the classifier."""

    def __init__(self, patterns: Patterns, codes: np.ndarray, names: np.ndarray) -> None:
        self.patterns, self.codes, self.names = patterns, codes, names
        self.sides: dict[str, np.ndarray] = {}
        self.classifier: Any = None

    @classmethod
    def of(
        cls, activations: Any, conditions: Any, dichotomies: Any, classifier: Any, n_null: int, null: str
    ) -> Decoders:
        """Return them after checking what was given, in the words of the public functions."""
        if null not in NULLS:
            raise choice(null, NULLS, name="null")
        count(n_null, "n_null", least=0)
        patterns = as_patterns(activations, least=4)
        work = cls(patterns, *classes_of(patterns, conditions, name="conditions"))
        if len(work.names) < 4:
            raise InvalidValueError(f"conditions must be at least 4 in number; got {len(work.names)}.")
        work.sides = dichotomies_of(work.names, dichotomies)
        work.classifier = classifier
        if classifier is None:
            work.classifier = _default_classifier()
            work.patterns = replace(patterns, values=np.stack([_scaled(x) for x in patterns.values]))
        return work

    def fold_of_rows(self, folds: int | str) -> np.ndarray:
        """Return the fold of each stimulus (n_stimuli,)."""
        if isinstance(folds, str):
            return np.unique(coordinate(self.patterns, folds, name="folds"), return_inverse=True)[1]
        folds = count(folds, "folds", least=2)
        fewest = int(np.bincount(self.codes).min())
        if fewest < folds:
            raise InvalidValueError(
                f"each condition must have at least {folds} stimuli, one a fold; the smallest has {fewest}. "
                "Pass fewer folds."
            )
        of_row = np.empty(len(self.codes), dtype=int)
        for k in range(len(self.names)):
            rows = np.flatnonzero(self.codes == k)
            of_row[rows] = np.arange(len(rows)) % folds
        return of_row

    def leave_one_out(self, labels: np.ndarray, name: str) -> list[Fold]:
        """Return a fold for each label, with its stimuli as the test set."""
        values, of_row = np.unique(labels, return_inverse=True)
        if len(values) < 2:
            raise InvalidValueError(f"{name} must have at least 2 values; got {listing(values)} only.")
        return [(np.flatnonzero(of_row != k), np.flatnonzero(of_row == k)) for k in range(len(values))]

    def result(
        self,
        folds: Callable[[np.ndarray, np.ndarray], list[Fold]],
        n_null: int,
        null: str,
        rng: Any,
        *,
        within: np.ndarray | None = None,
    ) -> xr.Dataset:
        """Return the accuracies of all dichotomies, and p where draws are asked for."""

        def scores(x: np.ndarray, codes: np.ndarray) -> list[float]:
            return [self._accuracy(x, side[codes], folds(codes, side)) for side in self.sides.values()]

        patterns, coords = self.patterns, {"dichotomy": list(self.sides)}
        found = patterns.each(lambda x: scores(x, self.codes))
        out = {"accuracy": patterns.labelled(found, ["dichotomy"], coords=coords)}
        if n_null:

            def drawn(seed: np.ndarray) -> list[list[float]]:
                own = np.random.default_rng(seed)
                if null == "shuffle":
                    codes = self.codes[_order(within, len(self.codes), own)]
                    return [scores(x, codes) for x in patterns.values]
                return [scores(random_geometry(x, self.codes, own), self.codes) for x in patterns.values]

            draws = permutation(drawn, n_null, permute=lambda rng: rng.integers(2**63, size=2), rng=rng)
            draws = draws.reshape(n_null, *found.shape)
            out["p"] = patterns.labelled(p_value(found, draws), ["dichotomy"], coords=coords)
            last = patterns.labelled(np.moveaxis(draws, 0, -1), ["dichotomy", "draw"], coords=coords)
            out["null"] = last.transpose("draw", ...)
        attrs = {"n_conditions": len(self.names), "chance": 0.5, "null": null}
        return xr.Dataset(out, attrs=attrs | {"n_undefined": int(np.isnan(found).sum())})

    def _accuracy(self, x: np.ndarray, side: np.ndarray, folds: Sequence[Fold]) -> float:
        """Return the mean over folds of the mean over the halves; a fold that lacks a half is left out."""
        from sklearn.base import clone

        found = []
        for train, test in folds:
            if len(np.unique(side[train])) < 2 or len(np.unique(side[test])) < 2:
                continue
            fitted = clone(self.classifier).fit(x[train], side[train])
            right = fitted.predict(x[test]) == side[test]
            found.append((right[side[test]].mean() + right[~side[test]].mean()) / 2)
        return float(np.mean(found)) if found else float("nan")


def _order(within: np.ndarray | None, n: int, rng: np.random.Generator) -> np.ndarray:
    if within is None:
        return rng.permutation(n)
    order = np.arange(n)
    for k in np.unique(within):
        rows = np.flatnonzero(within == k)
        order[rows] = rng.permutation(rows)
    return order


def _default_classifier() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(dual=False, class_weight="balanced")


def _scaled(x: np.ndarray) -> np.ndarray:
    """Return centred patterns with a root mean square of 1, so that C means the same for all data."""
    x = centred(x)
    size = np.sqrt((x**2).mean())
    return x / size if size > 0 else x
