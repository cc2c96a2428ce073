"""The kernels of banded ridge: steps of the gradient search, counts of operations, ties, blocks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import xarray as xr

from neuroalign import stats
from neuroalign.encoding import band_gradient as gradient
from neuroalign.encoding import band_scores, band_search, banded, contiguous_splits
from neuroalign.encoding.band_scores import Bands, Scorer, one_is_cheaper
from neuroalign.encoding.banded import BandedRidgeCV
from neuroalign.encoding.bands import band_of
from neuroalign.errors import InvalidValueError, LabelError

LOSS = {"r2": stats.r2, "pearson": stats.pearson_r, "neg_mse": lambda y, p: -stats.mse(y, p)}


class Bar:
    """Counts what a bar is told."""

    def __init__(self, total=0, **_):
        self.total, self.steps = total, []

    def update(self, n=1):
        self.steps.append(n)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def problem(n=20, sizes=(2, 3), t=4, kernel=False, intercept=True, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, sum(sizes)))
    Y = X @ rng.standard_normal((sum(sizes), t)) + rng.standard_normal((n, t)) + 3
    columns = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return Bands(X - X.mean(axis=0) if intercept else X, Y, columns, kernel, intercept, "cpu", "float64")


# Gradient search


def climb(start, target, n_steps, smallest):
    """Return where resilient steps take the log weights of one target, whose score is -|w - target|^2."""
    low = start.max() + np.log(1e-3)
    origin = np.array([max(value, low) for value in start])
    here, steps, before, seen = origin.copy(), [0.5] * len(start), [0.0] * len(start), []
    for _ in range(n_steps + 1):
        seen.append(here.copy())
        for b in range(len(start)):
            slope = 2 * (target[b] - here[b])
            if slope * before[b] > 0:
                steps[b] = min(1.2 * steps[b], 2.0)
            elif slope * before[b] < 0:
                steps[b], slope = 0.5 * steps[b], 0.0
            before[b] = slope
            here[b] = min(max(here[b] + np.sign(slope) * steps[b], origin[b] - 15), origin[b] + 15)
        if max(steps) <= smallest:
            break
    return seen


@pytest.mark.parametrize("n_steps", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("smallest", [0.125, 0.01])
def test_steps_grow_while_the_slope_keeps_its_sign_and_halve_when_it_turns(n_steps, smallest, monkeypatch):
    start = np.array([[0.0, 0.0], [0.0, -np.inf], [-2.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    goal = np.array([[0.25, 0.0], [0.3, -4.0], [100.0, -100.0], [0.5, -1.7], [1.0, 0.0], [0.4, 0.4]])
    seen = [[] for _ in start]

    def score_and_slope(held, bands, log_weights, who, scoring):
        for target, at in zip(who, log_weights, strict=True):
            seen[target].append(at.copy())
        return -((log_weights - goal[who]) ** 2).sum(axis=1), 2 * (goal[who] - log_weights)

    monkeypatch.setattr(gradient, "_score_and_slope", score_and_slope)
    monkeypatch.setattr(gradient, "SMALLEST_STEP", smallest)
    best, found = gradient._climb([], None, start, np.full(6, -np.inf), "r2", n_steps)
    for j in range(6):
        slow = climb(start[j], goal[j], n_steps, smallest)
        np.testing.assert_allclose(seen[j], slow, atol=1e-12)
        scores = [-((at - goal[j]) ** 2).sum() for at in slow]
        np.testing.assert_allclose(best[j], slow[int(np.argmax(scores))], atol=1e-12)
        assert found[j] == pytest.approx(max(scores))


def test_a_start_that_nothing_beats_is_kept_and_a_target_without_a_score_stays():
    bands = problem()
    start = np.log(np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 1.0], [0.9, 0.1]]))
    scores = np.array([np.inf, np.nan, -np.inf, np.inf])
    bar = Bar()
    splits = contiguous_splits(20, 4)
    found = gradient.ascend(bands, splits, start, scores, "r2", n_steps=3, bar=bar)
    assert found.improved.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(found.log_weights[[0, 1, 3]], start[[0, 1, 3]])
    np.testing.assert_array_equal(found.scores[[0, 1, 3]], scores[[0, 1, 3]])
    assert np.isfinite(found.scores[2])
    assert sum(bar.steps) == 3


@pytest.mark.parametrize(("kernel", "q"), [(False, 5), (True, 15)])
@pytest.mark.parametrize(("spare", "steps"), [(0, [3, 1]), (-1, [2, 2])])
def test_blocks_of_targets_hold_as_many_matrices_as_the_budget(kernel, q, spare, steps, monkeypatch):
    monkeypatch.setattr(gradient, "BUDGET", 3 * 8 * q * q + spare)
    bands, bar = problem(kernel=kernel), Bar()
    gradient.ascend(bands, contiguous_splits(20, 4), np.zeros((4, 2)), np.zeros(4), "r2", n_steps=0, bar=bar)
    assert bar.steps == steps


@pytest.mark.parametrize("scoring", list(LOSS))
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_scores_and_slopes_in_the_prediction_are_those_of_stats(scoring, scale, rng):
    y = rng.standard_normal((6, 4)) * scale + 2 * scale
    p = rng.standard_normal((6, 4)) * scale + y
    score, slope = gradient.SLOPES[scoring](torch.from_numpy(y), torch.from_numpy(p))
    np.testing.assert_allclose(score, LOSS[scoring](y, p), rtol=1e-12)
    for i in range(6):
        step = np.zeros_like(p)
        step[i] = 1e-5 * scale
        numeric = (LOSS[scoring](y, p + step) - LOSS[scoring](y, p - step)) / (2e-5 * scale)
        np.testing.assert_allclose(slope[i], numeric, rtol=1e-6, atol=1e-7 * np.abs(numeric).max())


@pytest.mark.parametrize("scoring", ["r2", "pearson"])
def test_constant_columns_have_no_score_and_no_slope_at_any_scale(scoring, rng):
    flat = np.tile([0.0, 0.1, -1e9 / 3, 1e-9 / 3], (5, 1))
    flat[0, 1:] = np.nextafter(flat[0, 1:], 1e300)
    varying = np.outer(np.arange(5.0), [1e-9, 1e9, -1.0])
    y, p = np.hstack([flat, varying]), rng.standard_normal((5, 7))
    score, slope = gradient.SLOPES[scoring](torch.from_numpy(y), torch.from_numpy(p))
    assert torch.isnan(score).tolist() == [True] * 4 + [False] * 3
    assert (slope[:, :4] == 0).all()
    if scoring == "pearson":
        score = gradient.SLOPES[scoring](torch.from_numpy(p), torch.from_numpy(y))[0]
        assert torch.isnan(score).tolist() == [True] * 4 + [False] * 3


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_scores_of_the_gradient_search_are_means_over_the_folds_that_have_one(kernel, intercept):
    bands = problem(kernel=kernel, intercept=intercept)
    bands.Y[:5, 1] = 2.0
    bands.Y[:, 3] = 2.0
    splits = contiguous_splits(20, 4)
    log = np.log([[0.5, 2.0], [3.0, 0.1], [1.0, 1.0], [1.0, 2.0]])
    held = [gradient._held(bands, np.arange(4), *fold) for fold in splits]
    score, slope = gradient._score_and_slope(held, bands, log, np.arange(4), "r2")
    for j in range(3):
        penalty = np.diag(np.exp(-np.repeat(log[j], [2, 3])))
        slow = []
        for train, test in splits:
            shift = bands.X[train].mean(axis=0) if intercept else 0.0
            level = bands.Y[train, j].mean() if intercept else 0.0
            x = bands.X[train] - shift
            w = np.linalg.solve(x.T @ x + penalty, x.T @ (bands.Y[train, j] - level))
            slow.append(stats.r2(bands.Y[test, j], (bands.X[test] - shift) @ w + level))
        assert np.isnan(slow).sum() == (j == 1)
        assert score[j] == pytest.approx(np.nanmean(slow), rel=1e-9)
    assert np.isnan(score[3])
    assert slope[3].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_weights_of_each_target_solve_its_own_penalties(kernel, intercept):
    bands = problem(kernel=kernel, intercept=intercept, sizes=(2, 3, 1))
    log = np.log(np.array([[0.5, 2.0, 1.0], [3.0, 0.1, 7.0], [1.0, 1.0, 0.2], [9.0, 0.3, 0.3]]))
    found = gradient.per_target_weights(bands, log)
    y = bands.Y - bands.Y.mean(axis=0) if intercept else bands.Y
    for j in range(4):
        penalty = np.diag(np.exp(-np.repeat(log[j], [2, 3, 1])))
        np.testing.assert_allclose(
            found[j], np.linalg.solve(bands.X.T @ bands.X + penalty, bands.X.T @ y[:, j]), rtol=1e-9
        )


@pytest.mark.parametrize("solver", ["primal", "kernel"])
def test_alphas_and_weights_after_a_gradient_search_are_those_of_its_coefficients(solver):
    bands = problem(n=40, t=6)
    model = BandedRidgeCV(
        [1.0, 10.0], bands=["a"] * 2 + ["b"] * 3, search="gradient", n_steps=4, solver=solver,
        weights=[[0.5, 0.5]], edge_tolerance=1.0,
    ).fit(bands.X, bands.Y)  # fmt: skip
    assert 0 < model.n_improved_ <= 6
    np.testing.assert_allclose(model.band_weights_.sum(axis=1), 1)
    np.testing.assert_allclose(model.band_weights_ / model.alpha_[:, None], np.exp(model.deltas_), rtol=1e-12)
    for j in range(6):
        penalty = np.diag(model.alpha_[j] / np.repeat(model.band_weights_[j], [2, 3]))
        slow = np.linalg.solve(
            bands.X.T @ bands.X + penalty, bands.X.T @ (bands.Y[:, j] - bands.Y[:, j].mean())
        )
        np.testing.assert_allclose(model.coef_[j], slow, rtol=1e-8)


# Scores of weighted bands


def operations(n, p, t, held, n_alphas, kernel):
    """Return what one decomposition and one a fold take beside it, and their cubes of sizes."""
    q = n if kernel else p
    sizes = [n - m if kernel else p for m in held]
    many = sum(
        2 * s * s * t + 2 * s * s * m + n_alphas * 2 * m * s * t for s, m in zip(sizes, held, strict=True)
    )
    one = 2 * q * q * t + 2 * q * q * n + n_alphas * 2 * n * q * t
    one += n_alphas * sum(2 * m * m * q + 2 * m**3 + 2 * m * m * t for m in held)
    return one, many, q**3, sum(s**3 for s in sizes)


@pytest.mark.parametrize(("n", "sizes", "t", "folds", "n_alphas", "kernel"), [
    (24, (3, 4), 5, 4, 3, False), (23, (2, 3), 2, 5, 9, False), (40, (9, 11), 3, 2, 4, False),
    (12, (9, 11), 3, 4, 3, True), (13, (2, 30), 2, 5, 40, True), (21, (30, 4), 4, 7, 30, True),
])  # fmt: skip
def test_one_decomposition_is_taken_where_it_is_fewer_operations(
    n, sizes, t, folds, n_alphas, kernel, monkeypatch
):
    bands, splits = problem(n, sizes, t, kernel), contiguous_splits(n, folds)
    one, many, whole, parts = operations(
        n, sum(sizes), t, [len(test) for _, test in splits], n_alphas, kernel
    )
    cost = Fraction(one - many, parts - whole)
    assert cost > 0
    found = []
    for share in (1 - 1e-9, 1 + 1e-9):
        monkeypatch.setattr(band_scores, "EIGEN_COST", float(cost) * share)
        found.append(one_is_cheaper(bands, np.logspace(0, 3, n_alphas), splits))
    assert found == [False, True]


@pytest.mark.parametrize("intercept", [False, True])
def test_one_decomposition_gives_the_scores_and_leaves_it_to_the_folds_where_a_row_is_alone(
    intercept, monkeypatch
):
    monkeypatch.setattr(band_scores, "EIGEN_COST", 1e12)
    bands, splits, alphas = problem(intercept=intercept), contiguous_splits(20, 4), np.array([10.0, 0.1])
    scorer = Scorer(bands, alphas, splits, "r2")
    scorer.take(slice(0, 3))
    weights = np.array([0.7, 0.3])
    at_once = scorer._primal_at_once(weights)
    assert at_once is not None
    for found, (train, test) in zip(at_once, splits, strict=True):
        shift, level = (a[train].mean(axis=0) if intercept else 0.0 for a in (bands.X, bands.Y[:, :3]))
        x = (bands.X[train] - shift) * np.sqrt(np.repeat(weights, [2, 3]))
        for row, alpha in zip(found, alphas, strict=True):
            w = np.linalg.solve(x.T @ x + alpha * np.eye(5), x.T @ (bands.Y[train, :3] - level))
            p = (bands.X[test] - shift) * np.sqrt(np.repeat(weights, [2, 3])) @ w + level
            np.testing.assert_allclose(row, stats.r2(bands.Y[test, :3], p), rtol=1e-9)
    monkeypatch.setattr(band_scores, "LARGEST_LEVERAGE", 0.5)
    assert scorer._primal_at_once(weights) is None


# Random search


def test_of_equal_candidates_and_alphas_the_first_is_taken():
    bands = problem()
    bands.Y[:, 3] = 1.0
    weights = np.array([[0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    bar = Bar()
    best, _, means = band_search.search(
        bands, weights, np.array([5.0, 5.0]), contiguous_splits(20, 4), "r2", bar=bar
    )
    assert set(best.candidate.tolist()) <= {0, 1}
    assert best.alpha.tolist() == [0] * 4
    assert (best.candidate[3], np.isnan(best.score[3])) == (0, True)
    assert means[0] == means[3]
    assert means[1] == means[2]
    assert len(bar.steps) == 4


def test_the_score_of_a_candidate_is_the_mean_over_targets_that_have_one():
    bands = problem(t=5)
    bands.Y[:, 4] = 1.0
    weights = np.array([[0.5, 0.5], [0.0, 1.0]])
    run = {"alphas": np.array([10.0, 1.0]), "splits": contiguous_splits(20, 4), "scoring": "r2", "bar": Bar()}
    _, _, means = band_search.search(bands, weights, **run)
    each = [band_search.search(bands._replace(Y=bands.Y[:, [j]]), weights, **run)[2] for j in range(4)]
    np.testing.assert_allclose(means, np.mean(each, axis=0), rtol=1e-12)
    alone = band_search.search(bands._replace(Y=bands.Y[:, 4:]), weights, **run)[2]
    assert np.isnan(alone).all()


@pytest.mark.parametrize(("kernel", "q", "dtype", "size"), [
    (False, 5, "float64", 8), (True, 20, "float64", 8), (False, 5, "float32", 4),
])  # fmt: skip
def test_blocks_of_cross_products_fill_the_budget(kernel, q, dtype, size, monkeypatch):
    monkeypatch.setattr(band_search, "BLOCK", 2)
    bands = problem(kernel=kernel)._replace(dtype=dtype)
    for budget, expected in ((7 * 2 * 3 * q * size, 7), (7 * 2 * 3 * q * size - 1, 6), (1, 2)):
        monkeypatch.setattr(band_search, "BUDGET", budget)
        assert band_search.block_size(bands, 3) == expected


def test_a_candidate_needs_one_band_and_no_negative_weight():
    assert band_search.checked_weights([[0, 1], [1, 0], [2, 3]], 2).tolist() == [[0, 1], [1, 0], [2, 3]]
    with pytest.raises(InvalidValueError, match="candidate 1 has every band at 0"):
        band_search.checked_weights([[0, 1], [0, 0], [1, 0]], 2)
    with pytest.raises(InvalidValueError, match=r"got -2 at position \(1, 0\)"):
        band_search.checked_weights([[0, 1], [-2, 3]], 2)


def test_no_draws_and_one_band_need_no_generator_and_a_concentration_of_0_is_refused(rng):
    assert band_search.draw_candidates(4, 0, single_bands=False, rng=rng).tolist() == [[0.25] * 4]
    assert band_search.draw_candidates(1, 5, rng=rng).tolist() == [[1.0]]
    assert band_search.draw_candidates(2, 3, concentration=1e-300, rng=rng).shape == (6, 2)
    with pytest.raises(InvalidValueError, match=r"concentration must be positive; got 0\.0"):
        band_search.draw_candidates(2, 3, concentration=0.0, rng=rng)


# The estimator


@pytest.mark.parametrize(("p", "name"), [(9, "primal"), (10, "primal"), (11, "kernel")])
def test_the_smaller_form_is_taken_and_primal_where_they_are_equal(p, name, rng):
    model = BandedRidgeCV([1.0], bands="one", cv=2, n_candidates=0, edge_tolerance=1.0)
    model.fit(rng.standard_normal((10, p)), rng.standard_normal((10, 2)))
    assert model.solver_ == f"{name} ({p} features, 10 rows)"


def test_without_folds_the_number_of_candidates_is_told():
    bands = problem()
    model = BandedRidgeCV([1.0, 10.0, 100.0], bands=list("aabbb"), n_candidates=4, cv=None)
    with pytest.raises(InvalidValueError, match="cannot choose among 21 candidates"):
        model.fit(bands.X, bands.Y)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("block", [2, 3, 4, 100])
def test_bars_end_full(shared, block, monkeypatch):
    bars = []
    monkeypatch.setattr(banded, "tqdm", lambda **options: bars.append(Bar(**options)) or bars[-1])
    monkeypatch.setattr(band_search, "BLOCK", block)
    monkeypatch.setattr(band_search, "BUDGET", 1)
    bands = problem(t=7)
    model = BandedRidgeCV([1.0, 10.0], bands=list("aabbb"), n_candidates=2, shared=shared, edge_tolerance=1.0)
    model.fit(bands.X, bands.Y)
    assert [bar.total for bar in bars] == [sum(bar.steps) for bar in bars]
    assert bars[0].total == -(-7 // block) * (5 + shared)


def test_shared_weights_are_never_those_of_a_candidate_without_a_score(rng):
    X, Y = rng.standard_normal((20, 4)), rng.standard_normal((20, 3))
    X[:, 2:] = 1.0
    model = BandedRidgeCV(
        [1.0, 10.0], bands=list("aabb"), weights=[[0.0, 1.0], [1.0, 0.0]], shared=True, scoring="pearson",
        edge_tolerance=1.0,
    ).fit(X, Y)  # fmt: skip
    assert np.isnan(model.candidate_scores_).tolist() == [True, False]
    assert model.band_weights_.tolist() == [[1.0, 0.0]] * 3


def test_labels_that_differ_are_named_with_the_first_place():
    X = xr.DataArray(np.zeros((2, 4)), dims=("time", "feature"), coords={"band": ("feature", list("aabb"))})
    with pytest.raises(LabelError, match="differ, first at feature 2: 'a' and 'b'"):
        band_of(X, list("aaab"))
