"""Banded ridge, random search, against himalaya.

Same rows, weights of the bands, alphas, contiguous folds, intercept and score (R2), in float32. himalaya runs
with the numpy or the torch backend, whichever was faster in a first run. Each side tries all candidates and
refits the winners; ours keeps Gram matrices and decompositions in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from himalaya.backend import set_backend
from himalaya.ridge import solve_group_ridge_random_search
from himalaya.scoring import r2_score
from sklearn.model_selection import KFold

from neuroalign.encoding.band_search import draw_candidates
from neuroalign.encoding.banded import BandedRidgeCV
from neuroalign.seeds import generator

from .results import Result
from .timing import cpu_seconds, in_turn

__all__ = ["run"]

N_ROWS, N_BANDS, WIDTH, N_TARGETS, N_CANDIDATES, N_FOLDS = 1000, 4, 150, 500, 10, 5
N_RUNS = 3
ALPHAS = np.logspace(0, 5, 10)
BACKENDS = ("numpy", "torch")
TOLERANCE = 1e-4
SIZES = (
    f"{N_ROWS:,} rows, {N_BANDS} x {WIDTH} features, {N_TARGETS} targets, {N_CANDIDATES} candidates, "
    f"{len(ALPHAS)} alphas, {N_FOLDS} folds"
)


def run() -> list[Result]:
    """Time one search, candidates and refit."""
    X, Y, weights = _data()
    labels = np.repeat([f"band {b}" for b in range(N_BANDS)], WIDTH).tolist()
    folds = list(KFold(N_FOLDS).split(X))

    def ours() -> BandedRidgeCV:
        model = BandedRidgeCV(ALPHAS, bands=labels, weights=weights, cv=folds, device="cpu", edge_tolerance=1)
        return model.fit(X, Y)

    fits = {backend: _their_fit(backend, X, Y, weights) for backend in BACKENDS}
    backend = min(fits, key=lambda name: cpu_seconds(fits[name]))
    same = _same(ours(), fits[backend]())
    turns = in_turn(ours, fits[backend], n_runs=N_RUNS)
    against = f"himalaya {version('himalaya')} solve_group_ridge_random_search, float32, {backend}"
    return [Result("BandedRidgeCV, primal", SIZES, against, "peer / ours", turns, same, at_least=3)]


def _data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, targets that need the bands in different shares, and candidates without a 0."""
    rng = generator(0, "benchmarks", "banded")
    X = rng.standard_normal((N_ROWS, N_BANDS * WIDTH))
    share = np.repeat(rng.dirichlet(np.full(N_BANDS, 0.5), N_TARGETS), WIDTH, axis=1).T
    signal = X @ (rng.standard_normal(share.shape) * np.sqrt(share / WIDTH))
    Y = signal + rng.standard_normal(signal.shape)
    drawn = draw_candidates(N_BANDS, N_CANDIDATES - 1, concentration=1.0, single_bands=False, rng=rng)
    return X.astype(np.float32), Y.astype(np.float32), drawn


def _their_fit(backend: str, X: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> Callable[[], Any]:
    """Return a search whose arrays are moved to the backend beforehand."""
    module = set_backend(backend)
    parts = [module.asarray(part) for part in np.split(X, N_BANDS, axis=1)]
    y, gammas, alphas = (module.asarray(a.astype(np.float32)) for a in (Y, weights, ALPHAS))

    def fit() -> Any:
        set_backend(backend)
        return solve_group_ridge_random_search(
            parts,
            y,
            n_iter=gammas,
            alphas=alphas,
            fit_intercept=True,
            score_func=r2_score,
            cv=KFold(N_FOLDS),
            return_weights=True,
            progress_bar=False,
        )

    return fit


def _same(ours: BandedRidgeCV, theirs: Any) -> str:
    """Return how many targets chose alike, and how far apart the weights of these targets are."""
    deltas, coef = (np.asarray(values).T for values in theirs[:2])
    equal = np.isclose(ours.deltas_, deltas, atol=1e-3).all(axis=1)
    error = np.abs(ours.coef_ - coef)[equal].max() / np.abs(ours.coef_).max()
    assert equal.mean() > 0.98
    assert error < TOLERANCE
    return f"{equal.mean():.1%} of weights and alphas equal; coefficients within {error:.0e} of the largest"
