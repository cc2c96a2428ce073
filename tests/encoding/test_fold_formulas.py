"""Formulas inside a fold, by hand: eigenvalues, scores, slack of compressed alphas, choice among ties."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neuroalign.encoding import pivoting
from neuroalign.encoding.choosing import TOLERANCE
from neuroalign.encoding.compression import compress
from neuroalign.encoding.folds import Held, designs, folds
from neuroalign.encoding.lagged_folds import centred_sums, fold_of, sums_of
from neuroalign.encoding.lags import LaggedSeries
from neuroalign.encoding.refinement import _off, refine
from neuroalign.encoding.ridge import RidgeCV, linear_prediction
from neuroalign.encoding.rotations import (
    EPS,
    ROUNDING,
    Eigen,
    _correlation,
    decompose,
    inverses,
    own_scores,
    prediction_errors,
    project,
    rank_tolerance,
    refuse_zero_alpha,
    residual_scores,
    rotation_scores,
    weights_at,
)
from neuroalign.encoding.selection import best_of, edge_share, mean_over_folds
from neuroalign.encoding.solvers import SCORE_ROUNDING, TF32_ROUNDING, FoldSolver, _settle
from neuroalign.encoding.splits import contiguous_splits
from neuroalign.errors import InvalidValueError

ALPHAS = np.logspace(3, -1, 12)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def a_fold(n=47, p=9, t=5, seed=0, rest=True):
    """Return a design, and its fold with some variance that no row holds."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(0.3, 3, p)
    Y = X @ rng.standard_normal((p, t)) + 2 * rng.standard_normal((n, t))
    X, Y = (torch.from_numpy(each - each.mean(axis=0)) for each in (X, Y))
    parts = list(designs(X, contiguous_splits(n, 4, purge=1)))
    fold = folds(X, Y, parts)[1]
    return parts[1], fold._replace(rest=tensor(np.arange(1.0, t + 1))) if rest else fold


def slow_scores(fold, alphas, scoring):
    """Return scores (n_alphas, t) by solving for the weights of every alpha."""
    gram, cross, rows, truth, rest = (
        each.numpy() for each in (fold.gram, fold.cross, fold.rows, fold.truth, fold.rest)
    )
    total, found = (truth[:-1] ** 2).sum(axis=0) + rest, []
    for alpha in alphas:
        predicted = rows @ np.linalg.solve(gram + alpha * np.eye(len(gram)), cross)
        error = ((truth - predicted) ** 2).sum(axis=0) + rest
        centred = predicted[:-1]
        found.append(
            {
                "r2": 1 - error / total,
                "neg_mse": -error / fold.n_test,
                "pearson": (centred * truth[:-1]).sum(axis=0) / np.sqrt((centred**2).sum(axis=0) * total),
            }[scoring]
        )
    return np.array(found)


# Eigenvalues


def test_the_rank_tolerance_is_the_largest_eigenvalue_times_their_number_times_the_rounding():
    assert rank_tolerance(tensor([0.5, 8.0, 2.0])) == 24 * EPS
    assert rank_tolerance(tensor([])) == 0.0


def test_directions_without_variance_get_no_inverse():
    np.testing.assert_array_equal(inverses(tensor([0.0, 0.0]), np.array([2.0])), [[0, 0]])
    np.testing.assert_array_equal(
        inverses(tensor([0.0, 3.0]), np.array([5.0, 1.0])), [[0, 1 / 8], [0, 1 / 4]]
    )


def test_alpha_0_is_refused_without_variance_and_not_at_full_rank():
    with pytest.raises(InvalidValueError, match="5 training rows have rank 0 of 3 features"):
        refuse_zero_alpha(torch.zeros(3), np.array([1.0, 0.0]), 5, 3)
    refuse_zero_alpha(tensor([1.0, 2.0, 3.0]), np.array([1.0, 0.0]), 5, 3)
    refuse_zero_alpha(torch.zeros(3), np.array([1.0, 0.5]), 5, 3)


def test_weights_along_directions_without_variance_are_0_unless_complete_and_penalised():
    projected = tensor([[6.0, 6.0], [8.0, 8.0]])
    nothing, one = (Eigen(tensor(values), torch.eye(2).double()) for values in ([0.0, 0.0], [0.0, 2.0]))
    found = weights_at(nothing, projected, tensor([1.0, 3.0]))
    np.testing.assert_array_equal(found, np.zeros((2, 2)))
    found = weights_at(one, projected, tensor([2.0, 6.0]))
    np.testing.assert_array_equal(found, [[0, 0], [2, 1]])
    found = weights_at(one, projected, tensor([2.0, 6.0]), complete=True)
    np.testing.assert_array_equal(found, [[3, 1], [2, 1]])
    found = weights_at(one, projected, tensor([0.0, 6.0]), complete=True)
    np.testing.assert_array_equal(found, [[0, 0], [4, 1]])


# Scores


@pytest.mark.parametrize("scoring", ["r2", "neg_mse", "pearson"])
def test_scores_count_the_variance_that_no_row_holds(scoring):
    part, fold = a_fold()
    expected = slow_scores(fold, ALPHAS, scoring)
    rotation = decompose(part, ALPHAS)
    projected = project(rotation, fold.cross)
    found = rotation_scores(rotation, fold, projected, scoring)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-10)
    best = torch.tensor([3, 0, 11, 5, 5])
    own = own_scores(rotation, fold, projected, scoring, best)
    np.testing.assert_allclose(own, expected[best.numpy(), np.arange(5)], rtol=1e-10)
    full = decompose(part, ALPHAS, tolerance=1e-9)
    assert full.basis is not None and len(full.basis.functions) < len(ALPHAS)
    found = rotation_scores(full, fold, projected, scoring)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_a_correlation_is_defined_from_the_first_step_above_rounding():
    # The mean is 3 + 4 / sqrt(4) = 5, so that rounding has the squares 4 * (5 * ROUNDING)^2, exactly.
    fold = SimpleNamespace(
        y_mean=tensor([3.0, 3.0]), n_test=4, constant=torch.tensor([False, False]),
        truth=tensor([[1.0, 1.0], [0.0, 0.0]]), rest=tensor([3.0, 3.0]),
    )  # fmt: skip
    least = 100 * ROUNDING**2
    squares = tensor([least, np.nextafter(least, 1)])
    found = _correlation(fold, squares, 0.5 * (4 * squares).sqrt(), tensor([4.0, 4.0]))
    assert bool(found[0].isnan())
    assert float(found[1]) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_scores_of_residuals_are_those_of_predictions(offset):
    rng = np.random.default_rng(1)
    y = rng.standard_normal((13, 4)) + offset
    predicted = 0.5 * y + rng.standard_normal((13, 4)) + 0.3
    predicted[:, 2] = 2 * y[:, 2].mean()
    y[:, 3] = offset
    centred = y - y.mean(axis=0)
    held = Held(
        *(torch.from_numpy(each) for each in (centred, np.zeros(4), y.mean(axis=0), y.std(axis=0) == 0))
    )
    error = torch.from_numpy(y - predicted)
    np.testing.assert_allclose(
        residual_scores(held, error, "neg_mse"), -((y - predicted) ** 2).mean(axis=0), rtol=1e-12
    )
    with np.errstate(all="ignore"):
        r2 = 1 - ((y - predicted) ** 2).sum(axis=0) / (centred**2).sum(axis=0)
    np.testing.assert_allclose(residual_scores(held, error, "r2"), [*r2[:3], np.nan], rtol=1e-9)
    r = [np.corrcoef(y[:, j], predicted[:, j])[0, 1] for j in range(2)]
    np.testing.assert_allclose(residual_scores(held, error, "pearson"), [*r, np.nan, np.nan], rtol=1e-6)


def test_a_correlation_of_residuals_is_defined_from_the_first_step_above_rounding():
    # Predictions of mean 6 - 1 = 5 whose spread is the rounding of 5, and one step above it.
    least = 5 * ROUNDING
    size = tensor([least, np.nextafter(least, 1)])
    held = Held(torch.stack([size, -size]), torch.zeros(2), tensor([6.0, 6.0]), torch.tensor([False, False]))
    found = residual_scores(held, torch.ones(2, 2).double(), "pearson")
    assert bool(found[0].isnan())
    assert float(found[1]) == pytest.approx(1.0, abs=1e-12)


def test_scores_of_scaled_features_are_those_of_features_that_were_scaled_before():
    part, fold = a_fold()
    scale = torch.linspace(0.2, 3.0, 9, dtype=torch.float64)
    rotation = decompose(part, ALPHAS, scale=scale)
    found = rotation_scores(rotation, fold, project(rotation, fold.cross, scale), "r2")
    before = fold._replace(
        gram=fold.gram * scale * scale[:, None], cross=fold.cross * scale[:, None], rows=fold.rows * scale
    )
    np.testing.assert_allclose(found.scores, slow_scores(before, ALPHAS, "r2"), rtol=1e-9)


# What a small basis of alphas misses


@pytest.mark.parametrize("dual", [False, True])
def test_alphas_are_compressed_by_the_size_of_predictions_along_each_direction(dual):
    part, _ = a_fold()
    part = part._replace(dual=dual)
    rotation = decompose(part, ALPHAS, tolerance=1e-2)
    rows = part.rows.numpy() @ rotation.vectors.numpy()
    lengths = np.sqrt((rows**2).sum(axis=0) / part.n_test)
    weights = lengths if dual else lengths * np.sqrt(rotation.values.numpy())
    inverse = 1 / (rotation.values.numpy() + ALPHAS[:, None])
    expected = compress(torch.from_numpy(inverse), torch.from_numpy(weights), 1e-2)
    assert len(rotation.basis.functions) == len(expected.functions)
    approximate = rotation.basis.combine @ rotation.basis.functions
    np.testing.assert_allclose(approximate, expected.combine @ expected.functions, rtol=1e-9)
    np.testing.assert_allclose(rotation.missed, (inverse - approximate.numpy()) * lengths, atol=1e-12)


def test_errors_of_predictions_are_twice_a_root_of_squares_in_any_unit():
    missed = tensor([[3.0, -4.0, 0.0], [1.0, 2.0, 2.0]])
    projected = tensor([[1.0, 0.0], [1.0, 2.0], [5.0, 1.0]])
    expected = 2 * np.sqrt((missed.numpy() ** 2) @ (projected.numpy() ** 2))
    np.testing.assert_allclose(prediction_errors(missed, projected), expected, rtol=1e-14)
    for unit in (1e-200, 1e200):
        scaled = missed * tensor([[unit], [1.0]])
        np.testing.assert_allclose(
            prediction_errors(scaled, projected), expected * [[unit], [1.0]], rtol=1e-12
        )


@pytest.mark.parametrize("scoring", ["r2", "neg_mse", "pearson"])
def test_the_slack_of_compressed_scores_is_the_error_carried_through_the_score(scoring):
    part, fold = a_fold()
    rotation = decompose(part, ALPHAS, tolerance=3e-2)
    projected = project(rotation, fold.cross)
    found = rotation_scores(rotation, fold, projected, scoring)
    inverse = (rotation.basis.combine @ rotation.basis.functions).numpy()
    rows, truth = rotation.rows.numpy(), fold.truth.numpy()
    off = prediction_errors(rotation.missed, projected).numpy() * np.sqrt(fold.n_test)
    total = (truth[:-1] ** 2).sum(axis=0) + fold.rest.numpy()
    for k in range(len(ALPHAS)):
        predicted = rows @ (projected.numpy() * inverse[k][:, None])
        if scoring == "pearson":
            size = np.sqrt((predicted[:-1] ** 2).sum(axis=0))
            np.testing.assert_allclose(found.slack[k], 2 * off[k] / size, rtol=1e-8)
            continue
        error = ((truth - predicted) ** 2).sum(axis=0) + fold.rest.numpy()
        slack = 2 * off[k] * np.sqrt(error) + off[k] ** 2
        np.testing.assert_allclose(
            found.slack[k], slack / (fold.n_test if scoring == "neg_mse" else total), rtol=1e-8
        )
        np.testing.assert_allclose(found.squares[k], (predicted**2).sum(axis=0), rtol=1e-8)


def test_steps_between_alphas_add_up_along_the_path_from_the_best():
    part, fold = a_fold()
    rotation = decompose(part, ALPHAS, tolerance=3e-2)
    projected = project(rotation, fold.cross)
    best = torch.tensor([0, 3, 11, 5, 7])
    missed = rotation.missed.numpy()
    expected = np.zeros((len(ALPHAS), 5))
    for j, b in enumerate(best.tolist()):
        for k in range(len(ALPHAS)):
            for step in range(min(b, k), max(b, k)):
                moved = (missed[step + 1] - missed[step]) * projected[:, j].numpy()
                expected[k, j] += 2 * np.sqrt((moved**2).sum())
    np.testing.assert_allclose(_off(rotation, projected, best), expected, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("scoring", ["r2", "neg_mse"])
def test_scores_around_the_best_and_their_slack_follow_their_formula(scoring):
    part, fold = a_fold()
    rotation = decompose(part, ALPHAS, tolerance=3e-2)
    projected = project(rotation, fold.cross)
    scored = rotation_scores(rotation, fold, projected, scoring)
    best = torch.tensor([0, 3, 11, 5, 7])
    own, around, slack = refine(rotation, fold, projected, scored, best, scoring)
    expected = slow_scores(fold, ALPHAS, scoring)[best.numpy(), np.arange(5)]
    np.testing.assert_allclose(own, expected, rtol=1e-10)
    inverse = (rotation.basis.combine @ rotation.basis.functions).numpy()
    rows = rotation.rows.numpy()
    off = _off(rotation, projected, best).numpy() * np.sqrt(fold.n_test)
    total = (fold.truth.numpy()[:-1] ** 2).sum(axis=0) + fold.rest.numpy()
    divisor = fold.n_test if scoring == "neg_mse" else total
    for k in range(len(ALPHAS)):
        apart = rows @ (projected.numpy() * (inverse[best.numpy()] - inverse[k]).T)
        size = np.sqrt((apart**2).sum(axis=0))
        np.testing.assert_allclose(
            slack[k], (2 * off[k] * size + off[k] ** 2) / divisor, rtol=1e-4, atol=1e-7
        )
    np.testing.assert_array_equal(slack[best, torch.arange(5)], 0)
    np.testing.assert_allclose(around[best, torch.arange(5)], own, rtol=1e-10)


# The choice of an alpha


def slow_choice(table):
    """Return the first of the largest scores of each target."""
    return np.array([int(np.flatnonzero(column == column.max())[0]) for column in table.T])


@pytest.mark.parametrize("seed", range(5))
def test_every_alpha_whose_score_may_be_as_good_is_compared_and_ties_go_to_the_first(seed):
    rng = np.random.default_rng(seed)
    # Quarters, so that many exact scores tie, and that bounds meet scores exactly.
    exact = rng.integers(0, 4, (6, 40)) / 4
    off = rng.integers(0, 3, exact.shape) / 4
    mean = exact + off * rng.choice([-1, 0, 1], exact.shape)
    best = mean.argmax(axis=0)

    def table(numbers, columns=None):
        return exact[numbers, np.arange(40) if columns is None else columns]

    found, score = _settle(table, mean, mean + off, best, table(best))
    np.testing.assert_array_equal(score, exact.max(axis=0))
    np.testing.assert_array_equal(found, slow_choice(exact))


def test_alphas_without_a_score_are_never_rivals():
    exact = np.array([[0.5, 0.25], [np.nan, 0.5], [0.25, np.nan]])
    mean = exact.copy()
    best = np.array([2, 0])
    found, score = _settle(
        lambda numbers, columns=(0, 1): exact[numbers, columns],
        mean,
        mean + 1.0,
        best,
        np.array([0.25, 0.25]),
    )
    assert found.tolist() == [0, 1] and score.tolist() == [0.5, 0.5]


def test_rounding_of_a_compressed_score_is_in_the_units_of_the_score():
    solver = FoldSolver.__new__(FoldSolver)
    Y = tensor([[3.0, 0.0, 1.0], [-4.0, 2.0, 1.0]])
    for dtype, tf32, share in (
        ("float32", False, SCORE_ROUNDING["float32"]),
        ("float64", False, SCORE_ROUNDING["float64"]),
        ("float32", True, TF32_ROUNDING),
    ):
        solver.plan = SimpleNamespace(tf32=tf32, dtype=dtype)
        solver.problem = SimpleNamespace(scoring="r2")
        assert solver._rounding(Y) == share
        solver.problem = SimpleNamespace(scoring="neg_mse")
        np.testing.assert_allclose(solver._rounding(Y), share * np.array([12.5, 2.0, 1.0]), rtol=1e-14)


def test_the_slack_of_a_mean_over_folds_is_the_mean_of_their_slack():
    solver = FoldSolver.__new__(FoldSolver)
    found = [
        SimpleNamespace(gram=None, slack=tensor([[1.0, 2.0]])),
        SimpleNamespace(gram=None, slack=tensor([[3.0, 6.0]])),
        SimpleNamespace(gram=None, slack=None),
    ]
    _, mean, off = solver._around(lambda best: best, found, np.ones((1, 2)), np.zeros(2))
    np.testing.assert_allclose(off, [[4 / 3, 8 / 3]])
    np.testing.assert_array_equal(mean, [[1, 1]])


def test_a_score_may_be_as_large_as_its_slack_and_its_rounding_allow(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    Y = X @ rng.standard_normal((8, 3)) + 2 * rng.standard_normal((60, 3))
    seen = []
    around = FoldSolver._around

    def recorded(self, *given):
        seen.append(around(self, *given))
        return seen[-1]

    def settle(exact, mean, most, best, score):
        seen.append(most)
        return _settle(exact, mean, most, best, score)

    monkeypatch.setattr(FoldSolver, "_around", recorded)
    monkeypatch.setattr("neuroalign.encoding.solvers._settle", settle)
    monkeypatch.setattr("neuroalign.encoding.solvers.SCORE_ROUNDING", {"float64": 0.25})
    RidgeCV(ALPHAS, solver="primal", dtype="float64", edge_tolerance=1, device="cpu").fit(X, Y)
    (_, mean, slack), most = seen
    assert (slack > 0).any()
    np.testing.assert_allclose(most, mean + slack + 0.25, rtol=1e-12)


@pytest.mark.parametrize(("scoring", "share"), [("pearson", 0.1), ("r2", 1.0), ("neg_mse", 1.0)])
def test_a_correlation_takes_a_basis_ten_times_as_good(scoring, share):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 20)) * np.exp(-np.arange(20) / 6)
    Y = X @ rng.standard_normal((20, 3)) + rng.standard_normal((80, 3))
    alphas = np.logspace(3, -2, 30)
    splits = contiguous_splits(80, 4)
    model = RidgeCV(
        alphas, cv=splits, scoring=scoring, solver="primal", dtype="float64", edge_tolerance=1, device="cpu"
    ).fit(X, Y)
    x = torch.from_numpy(X - X.mean(axis=0))
    expected = [
        len(
            decompose(
                part, alphas, tolerance=share * TOLERANCE, relative=scoring == "pearson"
            ).basis.functions
        )
        for part in designs(x, splits)
    ]
    assert list(model.report_["alpha_ranks"]) == expected


def test_the_share_of_chosen_alphas_at_an_edge_warns_above_the_tolerance_only():
    alphas = np.array([8.0, 4.0, 2.0, 1.0])
    chosen = np.array([8.0, 1.0, 4.0, 2.0])
    assert edge_share(alphas, chosen, tolerance=0.5, what="targets") == 0.5
    assert edge_share(alphas, np.array([8.0, 4.0, 4.0, 2.0]), tolerance=1.0, what="targets") == 0.25
    assert edge_share(alphas, np.array([4.0, 1.0, 4.0, 2.0]), tolerance=1.0, what="targets") == 0.25
    assert edge_share(np.array([8.0]), np.array([8.0, 8.0]), tolerance=0.1, what="targets") == 0.0
    assert edge_share(alphas, np.array([]), tolerance=0.1, what="targets") == 0.0
    with pytest.warns(UserWarning, match="50% of 4 targets chose an alpha at an edge of the grid"):
        edge_share(alphas, chosen, tolerance=0.49, what="targets")


def test_means_over_folds_leave_out_what_is_undefined():
    scores = [
        np.array([[1.0, np.nan, 4.0]]),
        np.array([[0.0, np.nan, np.nan]]),
        np.array([[2.0, np.nan, 6.0]]),
    ]
    np.testing.assert_array_equal(mean_over_folds(scores), [[1.0, np.nan, 5.0]])
    assert best_of(np.array([[np.nan, -2.0, 1.0], [-5.0, -3.0, 1.0]])).tolist() == [1, 0, 0]


def test_weights_are_read_in_blocks_that_need_not_divide_the_targets(monkeypatch):
    rng = np.random.default_rng(0)
    x, coef, intercept = rng.standard_normal((4, 3)), rng.standard_normal((7, 3)), rng.standard_normal(7)
    for width in (1, 3, 7, 100):
        monkeypatch.setattr("neuroalign.encoding.ridge.COLUMNS", width)
        np.testing.assert_allclose(linear_prediction(x, coef, intercept), x @ coef.T + intercept, atol=1e-14)
    np.testing.assert_allclose(linear_prediction(x, coef[0], 2.0), x @ coef[0] + 2.0, atol=1e-14)


# Sums over stretches of rows


def test_consecutive_rows_of_a_run_are_one_stretch():
    series = LaggedSeries(np.zeros((12, 1)), np.array([0, 1]), [(0, 5), (5, 12)])
    found = list(series._stretches(np.array([0, 1, 2, 4, 5, 6, 9, 11])))
    one, other = (0, 5), (5, 12)
    assert found == [
        (one, (0, 3)), (one, (4, 5)), (other, (5, 7)), (other, (9, 10)), (other, (11, 12))
    ]  # fmt: skip


def test_sums_over_all_fitted_rows_count_a_row_once_however_often_it_is_tested():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 2)), rng.standard_normal((12, 3))
    series = LaggedSeries(x, np.array([0]), [(0, 12)])
    rows = np.arange(1, 12)
    for tests in ([[1, 2, 3], [4, 5]], [[1, 2, 3], [3, 4, 5]], []):
        splits = [(np.array([7, 8]), np.array(test)) for test in tests]
        total, parts = sums_of(series, y, rows, splits)
        assert total.n == 11 and [part.n for part in parts] == [len(test) for test in tests]
        np.testing.assert_allclose(total.gram, x[1:].T @ x[1:], atol=1e-12)
        np.testing.assert_allclose(total.cross, x[1:].T @ y[1:], atol=1e-12)
        np.testing.assert_allclose(total.x, x[1:].sum(axis=0), atol=1e-12)
        np.testing.assert_allclose(total.y, y[1:].sum(axis=0), atol=1e-12)
        np.testing.assert_allclose(total.squares, (y[1:] ** 2).sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("silent", [False, True], ids=["features that vary", "test features of 0"])
def test_a_fold_of_sums_stands_for_its_rows(intercept, silent):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 3)) + 1, rng.standard_normal((20, 2)) + 5
    train, test = np.arange(4, 20), np.arange(4)
    if silent:
        x[test] = 0.0
    series = LaggedSeries(x, np.array([0]), [(0, 20)])
    fold = fold_of(series.moments(y, train), series.moments(y, test), np.zeros(2, dtype=bool), intercept)
    x_mean = x[train].mean(axis=0) if intercept else np.zeros(3)
    y_mean = y[train].mean(axis=0) if intercept else np.zeros(2)
    sums = centred_sums(series.moments(y, train), intercept)
    np.testing.assert_allclose(sums.gram, (x[train] - x_mean).T @ (x[train] - x_mean), atol=1e-10)
    np.testing.assert_allclose(sums.cross, (x[train] - x_mean).T @ (y[train] - y_mean), atol=1e-10)
    np.testing.assert_allclose(fold.y_mean, y_mean, atol=1e-12)
    for weights in rng.standard_normal((3, 3, 2)):
        error = ((fold.truth.numpy() - fold.rows.numpy() @ weights) ** 2).sum(axis=0) + fold.rest.numpy()
        expected = ((y[test] - y_mean - (x[test] - x_mean) @ weights) ** 2).sum(axis=0)
        np.testing.assert_allclose(error, expected, rtol=1e-9)
    centred = y[test] - y[test].mean(axis=0)
    total = (fold.truth.numpy()[:-1] ** 2).sum(axis=0) + fold.rest.numpy()
    np.testing.assert_allclose(total, (centred**2).sum(axis=0), rtol=1e-10)


# Non-negative weights


def test_the_last_violation_of_each_target_is_exchanged_alone():
    wrong = torch.tensor(
        [[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 1]], dtype=torch.bool
    )
    expected = [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert pivoting._last(wrong).int().tolist() == expected


def test_violations_are_beyond_a_tolerance_of_the_largest_weight():
    least = -pivoting.TOLERANCE * 4
    below = float(np.nextafter(least, -1))
    weights = tensor([[4.0, least], [4.0, below], [4.0, 0.0], [4.0, 0.0], [0.5, -2e-10], [0.5, -0.75e-10]])
    right = weights.clone()
    right[:, 1] = tensor([0.0, 0.0, -least, -below, 0.0, 0.0])
    free = torch.tensor([[1, 1], [1, 1], [1, 0], [1, 0], [1, 1], [1, 1]], dtype=torch.bool)
    found = pivoting._violations(torch.eye(2).double(), right, weights, free)
    assert not found[:, 0].any()
    assert found[:, 1].tolist() == [False, True, False, True, True, False]


def test_all_violations_are_exchanged_until_their_number_stops_falling(monkeypatch):
    # 3 is fewer than at first; it does not fall twice, so that one is exchanged; 2 is fewer again.
    script = iter([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 1], [0, 0, 0]])
    seen = []
    monkeypatch.setattr(pivoting, "N_TRIES", 2)
    monkeypatch.setattr(
        pivoting, "_solve_free", lambda matrix, right, free: seen.append(free[0].int().tolist()) or right * 0
    )
    monkeypatch.setattr(
        pivoting, "_violations", lambda *given: torch.tensor([next(script)], dtype=torch.bool)
    )
    pivoting._pivot(torch.eye(3).double(), torch.ones(1, 3).double(), None)
    assert seen == [[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize("tries", [0, 3])
def test_exchanges_alone_end_also_where_targets_tie_with_0(monkeypatch, tries):
    def never(matrix, right):
        raise AssertionError("a target was left to scipy")

    monkeypatch.setattr(pivoting, "_one_by_one", never)
    monkeypatch.setattr(pivoting, "N_TRIES", tries)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 15)) + 2 * rng.standard_normal((40, 1))
    Y = X @ rng.standard_normal((15, 30)) + rng.standard_normal((40, 30))
    gram, cross = torch.from_numpy(X.T @ X), torch.from_numpy(X.T @ Y)
    weights, free = pivoting.nonnegative_ridge(gram, cross, 0.1)
    slope = (gram @ weights + 0.1 * weights - cross).T
    assert (slope[free].abs() < 1e-8 * cross.abs().max()).all()
    assert (slope[~free] > -1e-8 * cross.abs().max()).all()
    # Features at right angles: the weights are (cross / 2, or 0), and a slope of exactly 0 is no violation.
    sides = tensor([[4.0, -2.0, 0.0], [0.0, 6.0, 0.0]])
    weights, free = pivoting.nonnegative_ridge(torch.eye(2).double(), sides, 1.0)
    np.testing.assert_allclose(weights, [[2, 0, 0], [0, 3, 0]], atol=1e-14)
    assert free.int().tolist() == [[1, 0], [0, 1], [0, 0]]
