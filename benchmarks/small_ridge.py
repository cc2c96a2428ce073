"""Ridge of many small problems against scikit-learn one by one.

Few-shot encoding: every context (a voxel) has its own few rows, and an alpha chosen by leave-one-out. The
peer is a loop of scikit-learn's ``RidgeCV``, whose leave-one-out is in closed form too, in float64 on both
sides. Where the rows are ragged their number is drawn between 10 and the largest, with equal chances on a
logarithmic scale.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import RidgeCV

from neuroalign.encoding.small import BatchedRidge
from neuroalign.seeds import generator

from .results import Result
from .timing import in_turn

__all__ = ["run"]

N_RUNS, N_IMAGES = 3, 1000
ALPHAS = np.logspace(-1, 6, 8)
TOLERANCE = 1e-8


class Case(NamedTuple):
    """A size: contexts, the largest number of rows, features, and whether the rows are ragged."""

    n_contexts: int
    n_rows: int
    n_features: int
    ragged: bool

    @property
    def sizes(self) -> str:
        rows = f"10 to {self.n_rows} rows" if self.ragged else f"{self.n_rows} rows each"
        return f"{self.n_contexts} contexts, {rows}, {self.n_features} features, {len(ALPHAS)} alphas"


CASES = (
    Case(400, 20, 512, ragged=False),
    Case(150, 100, 512, ragged=False),
    Case(150, 300, 512, ragged=True),
    Case(200, 300, 64, ragged=False),
)


def run() -> list[Result]:
    """Time few rows, more rows, ragged rows, and more rows than features."""
    return [_against(case) for case in CASES]


def _against(case: Case) -> Result:
    X, Y, rows = _data(case)

    def ours() -> BatchedRidge:
        return BatchedRidge(ALPHAS, device="cpu", edge_tolerance=1).fit(X, Y, rows=rows)

    def theirs() -> list[RidgeCV]:
        return [RidgeCV(ALPHAS).fit(X[row], y) for row, y in zip(rows, Y, strict=True)]

    same = _same(ours(), theirs())
    against = f"scikit-learn {version('scikit-learn')} RidgeCV in a loop"
    turns = in_turn(ours, theirs, n_runs=N_RUNS)
    return Result("BatchedRidge", case.sizes, against, "peer / ours", turns, same)


def _data(case: Case) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Return features of falling variance, and each context's targets and rows."""
    rng = generator(0, "benchmarks", "small_ridge", case.n_rows, case.n_features)
    X = rng.standard_normal((N_IMAGES, case.n_features)) * np.exp(-2 * np.linspace(0, 1, case.n_features))
    sizes = np.full(case.n_contexts, case.n_rows)
    if case.ragged:
        sizes = np.exp(rng.uniform(np.log(10), np.log(case.n_rows), case.n_contexts)).astype(int)
    rows = [rng.choice(N_IMAGES, size, replace=False) for size in sizes]
    signal = X @ rng.standard_normal((case.n_features, case.n_contexts))
    Y = signal / signal.std(axis=0) + rng.standard_normal(signal.shape)
    return X, [Y[row, c] for c, row in enumerate(rows)], rows


def _same(ours: BatchedRidge, theirs: list[RidgeCV]) -> str:
    """Return how many contexts have the same alpha, and how far apart the weights of these contexts are."""
    equal = np.isclose(ours.alpha_, [model.alpha_ for model in theirs], rtol=1e-9)
    weights = np.stack([model.coef_ for model in theirs])
    error = np.abs(ours.coef_ - weights)[equal].max() / np.abs(weights).max()
    assert equal.mean() > 0.99
    assert error < TOLERANCE
    return f"{equal.mean():.1%} of alphas equal; weights within {error:.0e} of the largest"
