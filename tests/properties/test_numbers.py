"""R11, R12 and R14: precision, numpy beside torch, and one or two threads change no number that matters."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch
import xarray as xr
from battery import describe, run
from laws import data, estimators, noise, patterns, rdms, series
from table import TABLE
from threadpoolctl import threadpool_limits

from neuroalign import encoding, geometry, rsa, similarity, spatial, stats

ESTIMATORS = estimators()
FLOATS = {
    name: row
    for name, row in TABLE.items()
    if not row.labels and any(np.asarray(row.make()[a]).dtype == np.float64 for a in row.arrays)
}
WORST, MEDIAN = 1e-4, 1e-6


def cast(value, dtype):
    if isinstance(value, xr.DataArray):
        return value.astype(dtype) if value.dtype.kind == "f" else value
    value = np.asarray(value)
    return value.astype(dtype) if value.dtype.kind == "f" else value


# R11


@pytest.mark.parametrize("room", sorted({row.room for row in FLOATS.values()}))
def test_float32_everywhere_gives_what_the_same_numbers_in_float64_give(room, tried):
    """All arrays of a call at once; the contract's cells try one at a time."""
    bad, n = [], 0
    for name, row in FLOATS.items():
        if row.room != room:
            continue
        given = row.make()
        single = {k: cast(v, np.float32) if k in row.arrays else v for k, v in given.items()}
        double = {k: cast(v, np.float64) if k in row.arrays else v for k, v in single.items()}
        expected = run(row, double)
        ending = describe(row, run(row, single), expected, max(row.tolerance, WORST))
        n += 1
        if ending.kind == expected.kind == "refused":
            continue  # the numbers themselves are refused, in float64 as well
        if ending.kind != "same":
            bad.append(f"{name}: {ending.kind}: {ending.said[:120]}")
    tried("R11", "public functions, all arrays float32 (1e-4)", n, bad)


def scores_of(name, X, Y, how):
    """Correlations of held-out rows, of the estimator as it is or by ``evaluate``, which is all float64."""
    train, test = np.arange(80), np.arange(80, 120)
    if how == "evaluate":
        labelled = series(X, "feature"), series(Y, "neuroid")
        return encoding.evaluate(ESTIMATORS[name](12), *labelled, splits=[(train, test)]).values[0]
    return stats.pearson_r(Y[test], ESTIMATORS[name](12).fit(X[train], Y[train]).predict(X[test]))


@pytest.mark.parametrize("how", ["evaluate", "alone"])
@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_scores_of_voxels_hardly_depend_on_the_precision(name, how, tried):
    t = 120
    X, Y = (x.astype(np.float32) for x in data(120, 12, t, gain=1.5))
    gap = np.abs(scores_of(name, X, Y, how) - scores_of(name, X.astype(float), Y.astype(float), how))
    bad = [f"voxel {i}: {gap[i]:.1e}" for i in np.flatnonzero(~(gap <= WORST))]
    bad += [f"median {np.median(gap):.1e}"] if not np.median(gap) <= MEDIAN else []
    note = "" if how == "evaluate" else f"{name}: worst {gap.max():.0e}, median {np.median(gap):.0e}"
    tried("R11", f"voxel scores, {how} (1e-4 worst, 1e-6 median)", t, bad, note=note)


@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sqeuclidean", "crossnobis"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_distances_hardly_depend_on_the_precision(metric, offset, tried):
    if metric == "cosine" and offset:
        return  # 1 - cosine is 0 then: the definition itself loses the digits
    x = noise(4, 40, 60) + (offset if metric != "correlation" else offset * np.ones((4, 40, 1)))
    x = x if metric == "crossnobis" else x[0]
    single = patterns(x.astype(np.float32))
    a, b = rsa.rdm(single, metric).values, rsa.rdm(single.astype(np.float64), metric).values
    gap = np.abs(a - b) / max(1.0, np.abs(b).max())
    bad = [f"pair {i}: {gap[i]:.1e}" for i in np.flatnonzero(gap > 1e-6)]
    tried("R11", "dissimilarities of float32 patterns (1e-6)", gap.size, bad)


# R12


def numpy_ridge(X, Y, alphas, folds):
    """Cross-validated ridge by the normal equations, one alpha and fold after another."""

    def fit(rows, alpha):
        x, y = X[rows], Y[rows]
        centred = x - x.mean(0)
        gram = centred.T @ centred + alpha * np.eye(X.shape[1])
        weights = np.linalg.solve(gram, centred.T @ (y - y.mean(0)))
        return weights, y.mean(0) - x.mean(0) @ weights

    def score(train, test, alpha):
        weights, intercept = fit(train, alpha)
        left = Y[test] - X[test] @ weights - intercept
        return 1 - (left**2).sum(0) / ((Y[test] - Y[test].mean(0)) ** 2).sum(0)

    scores = np.array([np.mean([score(*fold, a) for fold in folds], axis=0) for a in alphas])
    best = scores.argmax(axis=0)
    weights = [fit(np.arange(len(X)), alphas[b])[0][:, t] for t, b in enumerate(best)]
    return np.array(weights), np.asarray(alphas)[best], scores.max(axis=0)


@pytest.mark.parametrize("shape", [(60, 8), (40, 55)], ids=["tall", "wide"])
@pytest.mark.parametrize("solver", ["primal", "kernel", "banded", "kernel estimator"])
def test_solvers_of_torch_give_what_numpy_gives(shape, solver, tried):
    X, Y = data(*shape, 6)
    alphas, folds = [1.0, 30.0, 1000.0], encoding.contiguous_splits(len(X), 4)
    weights, best, scores = numpy_ridge(X, Y, alphas, folds)
    quiet = {"cv": folds, "edge_tolerance": 1.0, "device": "cpu"}
    if solver == "banded":
        model = encoding.BandedRidgeCV(alphas, bands=["a"] * shape[1], n_candidates=1, **quiet)
    elif solver == "kernel estimator":
        model = encoding.KernelRidgeCV(alphas, **quiet)
    else:
        model = encoding.RidgeCV(alphas, solver=solver, **quiet)
    model.fit(X, Y)
    found = {"cv_scores_": (model.cv_scores_, scores), "alpha_": (model.alpha_, best)}
    found["predictions"] = (model.predict(X), (X - X.mean(0)) @ weights.T + Y.mean(0))
    if hasattr(model, "coef_"):
        found["coef_"] = (model.coef_, weights)
    bad = [f"{k}: {np.abs(a - b).max():.1e}" for k, (a, b) in found.items() if np.abs(a - b).max() > 1e-10]
    tried("R12", "solvers beside normal equations in numpy (1e-10)", len(found), bad)


def test_small_ridge_of_torch_gives_what_numpy_gives(tried):
    X, Y = noise(4, 15, 5), noise(4, 15, seed=1)
    model = encoding.BatchedRidge([2.0], device="cpu", edge_tolerance=1.0).fit(X, Y)
    bad = []
    for i in range(4):
        x, y = X[i] - X[i].mean(0), Y[i] - Y[i].mean()
        expected = np.linalg.solve(x.T @ x + 2 * np.eye(5), x.T @ y)
        hat = x @ np.linalg.solve(x.T @ x + 2 * np.eye(5), x.T) + 1 / 15
        left = (y - hat @ y) / (1 - np.diagonal(hat))
        score = 1 - (left**2).sum() / (y**2).sum()
        gaps = np.abs(model.coef_[i] - expected).max(), abs(model.cv_scores_[i] - score)
        bad += [f"context {i}: {max(gaps):.1e}"] if max(gaps) > 1e-10 else []
    tried("R12", "contexts of batched ridge beside numpy (1e-10)", 4, bad)


def test_losses_of_torch_are_the_statistics_of_numpy(tried):
    bad, n = [], 0
    for seed in range(5):
        x, y = noise(20, 6, seed=seed), noise(20, 9, seed=seed + 9)
        for estimator in ("biased", "unbiased"):
            loss = similarity.cka_loss(torch.from_numpy(x), torch.from_numpy(y), estimator=estimator)
            expected = 1 - float(similarity.cka(x, y, estimator=estimator))
            bad += (
                []
                if abs(float(loss) - expected) < 1e-10
                else [f"cka {estimator}: {float(loss) - expected:.1e}"]
            )
        positions = spatial.lattice_positions((2, 3)) + 0.1 * noise(6, 2, seed=seed)
        loss = float(spatial.spatial_smoothness_loss(torch.from_numpy(x), positions))
        statistic = float(spatial.spatial_smoothness(x, positions))
        gap = abs(loss - (1 - statistic))
        bad += [] if gap < 1e-10 else [f"smoothness: {gap:.1e}"]
        n += 3
    tried("R12", "losses beside their statistics (1e-10)", n, bad)


# R14


@contextmanager
def threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    with threadpool_limits(n):
        yield
    torch.set_num_threads(before)


def large(dtype):
    return patterns(noise(120, 200).astype(dtype))


def scored(name, dtype):
    """Scores on held-out rows, which is what is reported."""
    X, Y = data(120, 30, 20)
    x, y = series(X.astype(dtype), "feature"), series(Y.astype(dtype), "neuroid")
    return encoding.evaluate(ESTIMATORS[name](30), x, y, splits=encoding.contiguous_splits(120, 2)[:1])


COMPUTED = {
    **{f"rdm {m}": lambda d, m=m: rsa.rdm(large(d), m) for m in ("correlation", "cosine", "euclidean")},
    "crossnobis": lambda d: rsa.rdm(patterns(noise(3, 60, 80).astype(d)), "crossnobis"),
    "compare whitened": lambda d: rsa.compare(
        rdms(40, 3).astype(d), rdms(40, 4, seed=1).astype(d), "whitened-cosine"
    ),
    "compare spearman": lambda d: rsa.compare(
        rdms(40, 3).astype(d), rdms(40, 4, seed=1).astype(d), "spearman"
    ),
    "cka": lambda d: similarity.cka(large(d), 2 * large(d)[:, :50] + noise(120, 50)),
    "procrustes": lambda d: similarity.procrustes(
        large(d)[:, :60], patterns(noise(120, 50, seed=1).astype(d))
    ),
    "cca": lambda d: similarity.cca(large(d)[:, :20], patterns(noise(120, 15, seed=1).astype(d))),
    "unit correlation": lambda d: similarity.unit_correlation(
        large(d), patterns(noise(120, 50, seed=1).astype(d))
    ),
    "participation ratio": lambda d: geometry.participation_ratio(large(d)),
    "moran": lambda d: spatial.moran(noise(5, 400).astype(d), spatial.lattice((20, 20)))["statistic"],
    "pearson_r": lambda d: stats.pearson_r(noise(300, 200).astype(d), noise(300, 200, seed=1).astype(d)),
    **{name: lambda d, name=name: scored(name, d) for name in ESTIMATORS},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(COMPUTED))
def test_the_number_of_threads_changes_no_score(name, dtype, tried):
    found = []
    for n in (1, 2):
        with threads(n):
            found.append(np.asarray(COMPUTED[name](dtype), dtype=np.float64))
    limit = 1e-6 if dtype == "float32" else 1e-10
    gap = np.nanmax(np.abs(found[0] - found[1])) / max(1.0, float(np.nanmax(np.abs(found[0]))))
    same_nan = np.array_equal(np.isnan(found[0]), np.isnan(found[1]))
    bad = [] if gap <= limit and same_nan else [f"{name}: {gap:.1e}"]
    tried("R14", f"functions with one and two threads, {dtype} ({limit:.0e})", 1, bad)
