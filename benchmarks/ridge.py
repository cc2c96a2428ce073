"""Ridge with an alpha for every target against himalaya.

Same rows, alphas (in scikit-learn's convention on both sides), contiguous folds, intercept, precision and
score (mean squared error). himalaya runs with the numpy or the torch backend, whichever was faster in a first
run. In the kernel regime our time includes the weights of the features, himalaya's does not.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import himalaya.kernel_ridge
import himalaya.ridge
import numpy as np
from himalaya.backend import set_backend

from neuroalign.encoding import RidgeCV, contiguous_splits
from neuroalign.seeds import generator

from .results import Result
from .timing import cpu_seconds, in_turn

__all__ = ["run"]

N_FOLDS, N_RUNS = 5, 3
BACKENDS = ("numpy", "torch")
TOLERANCES = {"float64": 1e-8, "float32": 1e-4}


class Case(NamedTuple):
    """A regime: the peer's class, the size of the problem, its precision, and the floor."""

    peer: type
    n_rows: int
    n_features: int
    n_targets: int
    n_alphas: int
    dtype: str
    at_least: float

    @property
    def alphas(self) -> np.ndarray:
        return np.logspace(1, 6, self.n_alphas)

    @property
    def sizes(self) -> str:
        return (
            f"{self.n_rows:,} rows, {self.n_features:,} features, {self.n_targets:,} targets, "
            f"{self.n_alphas} alphas, {N_FOLDS} folds"
        )


PRIMAL, KERNEL = himalaya.ridge.RidgeCV, himalaya.kernel_ridge.KernelRidgeCV
CASES = (
    Case(PRIMAL, 1500, 300, 2000, 10, "float64", at_least=3),
    Case(PRIMAL, 3000, 1000, 5000, 10, "float32", at_least=3),
    Case(PRIMAL, 3000, 1000, 5000, 20, "float32", at_least=6),
    Case(KERNEL, 600, 3000, 500, 10, "float64", at_least=1.3),
    Case(KERNEL, 2000, 4000, 1000, 10, "float32", at_least=1.3),
)


def run() -> list[Result]:
    """Time the primal and the kernel regime, each against himalaya in the same precision."""
    return [_against(case) for case in CASES]


def _against(case: Case) -> Result:
    X, Y = _data(case)
    folds = contiguous_splits(case.n_rows, N_FOLDS)

    def ours() -> RidgeCV:
        return RidgeCV(case.alphas, cv=folds, scoring="neg_mse", device="cpu", edge_tolerance=1).fit(X, Y)

    fits = {backend: _their_fit(case, backend, X, Y, folds) for backend in BACKENDS}
    backend = _faster(fits)
    fitted = ours()
    same = _same(fitted, fits[backend](), X, TOLERANCES[case.dtype])
    turns = in_turn(ours, fits[backend], n_runs=N_RUNS)
    against = f"himalaya {version('himalaya')} {case.peer.__name__}, {case.dtype}, {backend}"
    what = f"RidgeCV, {fitted.report_['solver']}, {case.dtype}"
    return Result(what, case.sizes, against, "peer / ours", turns, same, at_least=case.at_least)


def _data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return features of falling variance, and targets of many signal-to-noise ratios."""
    rng = generator(0, "benchmarks", "ridge", case.n_features)
    scale = np.exp(-2 * np.arange(case.n_features) / case.n_features)
    X = rng.standard_normal((case.n_rows, case.n_features)) * scale
    signal = X @ rng.standard_normal((case.n_features, case.n_targets))
    share = rng.uniform(0.1, 0.9, case.n_targets)
    noise = rng.standard_normal(signal.shape)
    Y = np.sqrt(share) * signal / signal.std(axis=0) + np.sqrt(1 - share) * noise
    return X.astype(case.dtype), Y.astype(case.dtype)


def _their_fit(case: Case, backend: str, X: np.ndarray, Y: np.ndarray, folds: Any) -> Callable[[], Any]:
    """Return a fit whose arrays are moved to the backend beforehand."""
    x, y = (set_backend(backend).asarray(array) for array in (X, Y))

    def fit() -> Any:
        set_backend(backend)
        return case.peer(alphas=case.alphas, fit_intercept=True, cv=folds).fit(x, y)

    return fit


def _faster(fits: dict[str, Callable[[], Any]]) -> str:
    return min(fits, key=lambda backend: cpu_seconds(fits[backend]))


def _same(ours: RidgeCV, theirs: Any, X: np.ndarray, tolerance: float) -> str:
    """Return how many targets have the same alpha, and how far apart the weights of these targets are."""
    equal = np.isclose(ours.alpha_, np.asarray(theirs.best_alphas_), rtol=1e-4)
    if hasattr(theirs, "dual_coef_"):
        weights = np.asarray(theirs.dual_coef_).T @ (X - X.mean(axis=0))
    else:
        weights = np.asarray(theirs.coef_).T
    error = np.abs(ours.coef_ - weights)[equal].max() / np.abs(ours.coef_).max()
    assert equal.mean() > 0.99
    assert error < tolerance
    return f"{equal.mean():.1%} of alphas equal; weights within {error:.0e} of the largest"
