from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from neuroalign import encoding

from .rates import Null

# p is at most .05 with a probability of .05 with 19 permutations as with 99; each fits all decoders again.
DRAWS = 19
N_UNITS, N_TIMES = 3, 2
ALONE, RUNS = np.arange(16), np.repeat([0, 1], 8)
GROUPS = np.repeat(np.arange(8), [2, 3, 2, 3, 2, 3, 2, 3])
HALVES = encoding.stratified_splits(np.tile([0, 1], 8), 2)
TIES = "few possible scores, so that permutations tie"
STRATIFIED = f"folds balanced for the true labels only, and {TIES}"
FEW = "with 19 permutations, only where p is smallest at both times"


class _Line(RegressorMixin, BaseEstimator):
    """Ridge with a fixed penalty."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Line:
        self.centre_, self.mean_ = X.mean(axis=0), y.mean()
        x = X - self.centre_
        gram = x.T @ x + 0.1 * np.trace(x.T @ x) * np.eye(x.shape[1])
        self.coef_ = np.linalg.solve(gram, x.T @ (y - self.mean_))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.mean_ + (X - self.centre_) @ self.coef_


class _WithPriors(ClassifierMixin, BaseEstimator):
    """The nearer mean, or the class that was more frequent in training where both are about as near."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> _WithPriors:
        self.classes_ = np.array([0, 1])
        first, second = (X[y == k].mean(axis=0) for k in (0, 1))
        self.weights_ = (second - first) / (10 * X.var(axis=0))
        self.bar_ = self.weights_ @ (first + second) / 2 - np.log(y.mean() / (1 - y.mean()))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return (X @ self.weights_ > self.bar_).astype(int)


def _responses(groups: np.ndarray, rng: np.random.Generator) -> xr.DataArray:
    """Return responses whose groups have patterns of their own, that last from time to time."""
    own = rng.standard_normal((groups.max() + 1, N_UNITS, 1))[groups]
    lasting = rng.standard_t(4, (len(groups), N_UNITS, 1))
    noise = rng.standard_normal((len(groups), N_UNITS, N_TIMES))
    values = (own + lasting + noise) * np.array([0.3, 1.0, 4.0])[:, None] + 2.0
    coords = {"group": ("presentation", groups)}
    return xr.DataArray(values, dims=("presentation", "neuroid", "time"), coords=coords)


def _of(tests: xr.Dataset, name: str) -> dict[str, float]:
    first = (0,) * tests["p"].ndim
    return {
        f"p, {name}": float(tests["p"].values[first]),
        f"p_max, {name}, smallest": float(tests["p_max"].min()),
        f"p_fdr, {name}, smallest": float(tests["p_fdr"].min()),
    }


def _decode_values(rng: np.random.Generator) -> dict[str, float]:
    options: dict[str, Any] = {"metric": "pearson", "n_permutations": DRAWS, "rng": rng}
    y = rng.standard_exponential(16)
    free = encoding.decode(_responses(ALONE, rng), y, _Line(), splits=HALVES, **options)
    # A run has a level of its own in responses and values: only within runs are values exchangeable.
    level = 2 * rng.standard_normal(2)[RUNS]
    responses = _responses(RUNS, rng) + xr.DataArray(level, dims="presentation")
    values = level + rng.standard_normal(16)
    within = encoding.decode(responses, values, _Line(), groups="group", **options)
    return _of(free, "all labels") | _of(within, "labels within groups")


def _decode_classes(rng: np.random.Generator) -> dict[str, float]:
    options: dict[str, Any] = {"n_permutations": DRAWS, "rng": rng}
    # Runs differ in how many of each class they hold.
    kinds = np.concatenate([rng.permutation(np.repeat([0, 1], sizes)) for sizes in ([5, 3], [3, 5])])
    within = encoding.decode(_responses(RUNS, rng), kinds, groups="group", **options)
    of_groups = rng.permutation([0, 0, 0, 0, 1, 1, 1, 1])[GROUPS]
    folds = encoding.stratified_splits(of_groups, 2, groups=GROUPS)
    whole = encoding.decode(_responses(GROUPS, rng), of_groups, groups="group", splits=folds, **options)
    sides = np.tile([0, 1], 8)
    options |= {"splits": HALVES}
    known = encoding.decode(_responses(ALONE, rng), sides, _WithPriors(), metric="accuracy", **options)
    return (
        _of(within, "labels within groups")
        | _of(whole, "labels of whole groups")
        | _of(known, "labels within folds, a decoder that knows frequencies")
    )


def _temporal_decoding(rng: np.random.Generator) -> dict[str, float]:
    y, responses = rng.standard_exponential(16), _responses(ALONE, rng)
    tests = encoding.temporal_decoding(
        responses, y, _Line(), splits=HALVES, metric="pearson", n_permutations=DRAWS, rng=rng
    )
    return _of(tests, "all labels")


NULLS: list[Null] = [
    Null(
        "encoding.decode, values",
        "values unrelated to responses that last, alone or in runs with levels of their own",
        _decode_values,
        {f"p_fdr, {name}, smallest": FEW for name in ("all labels", "labels within groups")},
    ),
    Null(
        "encoding.decode, classes",
        "classes unrelated to responses, alone or in groups with patterns of their own",
        _decode_classes,
        {
            f"{p}, {name}{smallest}": why
            for name, why in (
                ("labels within groups", TIES),
                ("labels of whole groups", STRATIFIED),
                ("labels within folds, a decoder that knows frequencies", TIES),
            )
            for p, smallest in (("p", ""), ("p_max", ", smallest"), ("p_fdr", ", smallest"))
        },
    ),
    Null(
        "encoding.temporal_decoding",
        "values unrelated to responses that last",
        _temporal_decoding,
        {"p_fdr, all labels, smallest": FEW},
    ),
]
