"""Ridge with an alpha for every target against himalaya.

Same rows, alphas (in scikit-learn's convention on both sides), contiguous folds, intercept and score (mean
squared error). himalaya runs in either precision, with the numpy or the torch backend, whichever was faster
in a first run; ours always computes in float64. In the kernel regime our time includes the weights of the
features, himalaya's does not.
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
ALPHAS = np.logspace(1, 6, 10)
BACKENDS = ("numpy", "torch")
TOLERANCES = {"float64": 1e-8, "float32": 1e-4}


class Case(NamedTuple):
    """A regime: the peer's class, the size of the problem, and the floor."""

    peer: type
    n_rows: int
    n_features: int
    n_targets: int
    at_least: float

    @property
    def sizes(self) -> str:
        return (
            f"{self.n_rows:,} rows, {self.n_features:,} features, {self.n_targets:,} targets, "
            f"{len(ALPHAS)} alphas, {N_FOLDS} folds"
        )


CASES = (
    Case(himalaya.ridge.RidgeCV, 1500, 300, 2000, at_least=3),
    Case(himalaya.kernel_ridge.KernelRidgeCV, 600, 3000, 500, at_least=1.3),
)


def run() -> list[Result]:
    """Time the primal and the kernel regime, each against himalaya in float64 and in float32."""
    return [_against(case, dtype) for case in CASES for dtype in TOLERANCES]


def _against(case: Case, dtype: str) -> Result:
    X, Y = _data(case)
    folds = contiguous_splits(case.n_rows, N_FOLDS)

    def ours() -> RidgeCV:
        return RidgeCV(ALPHAS, cv=folds, scoring="neg_mse", device="cpu", edge_tolerance=1).fit(X, Y)

    fits = {
        backend: _their_fit(case, backend, X.astype(dtype), Y.astype(dtype), folds) for backend in BACKENDS
    }
    backend = _faster(fits)
    fitted = ours()
    same = _same(fitted, fits[backend](), X, TOLERANCES[dtype])
    turns = in_turn(ours, fits[backend], n_runs=N_RUNS)
    against = f"himalaya {version('himalaya')} {case.peer.__name__}, {dtype}, {backend}"
    what = f"RidgeCV, {fitted.solver_.split()[0]}"
    return Result(what, case.sizes, against, "peer / ours", turns, same, at_least=case.at_least)


def _data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return features of falling variance, and targets of many signal-to-noise ratios."""
    rng = generator(0, "benchmarks", "ridge", case.n_features)
    scale = np.exp(-2 * np.arange(case.n_features) / case.n_features)
    X = rng.standard_normal((case.n_rows, case.n_features)) * scale
    signal = X @ rng.standard_normal((case.n_features, case.n_targets))
    share = rng.uniform(0.1, 0.9, case.n_targets)
    noise = rng.standard_normal(signal.shape)
    return X, np.sqrt(share) * signal / signal.std(axis=0) + np.sqrt(1 - share) * noise


def _their_fit(case: Case, backend: str, X: np.ndarray, Y: np.ndarray, folds: Any) -> Callable[[], Any]:
    """Return a fit whose arrays are moved to the backend beforehand."""
    x, y = (set_backend(backend).asarray(array) for array in (X, Y))

    def fit() -> Any:
        set_backend(backend)
        return case.peer(alphas=ALPHAS, fit_intercept=True, cv=folds).fit(x, y)

    return fit


def _faster(fits: dict[str, Callable[[], Any]]) -> str:
    for fit in fits.values():
        fit()
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
