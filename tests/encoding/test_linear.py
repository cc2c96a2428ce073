"""Least squares, also non-negative: numpy, statsmodels and scipy as oracles, closed forms, edges."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from sklearn.utils.estimator_checks import check_estimator

from neuroalign import stats
from neuroalign.encoding import AlphaEdgeWarning, contiguous_splits, evaluate
from neuroalign.encoding.linear import OLS
from neuroalign.encoding.nonnegative import NonNegativeRidgeCV
from neuroalign.encoding.pivoting import nonnegative_ridge
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

ALPHAS = np.logspace(-2, 3, 6)
OBJECTS = {"check_dtype_object": "arrays of objects are refused, not converted"}
MODELS = {"ols": OLS(), "nonnegative": NonNegativeRidgeCV([1.0, 10.0], edge_tolerance=1.0)}


def make(n, p, t=5, seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1)) + 3
    return X, X @ rng.standard_normal((p, t)) + noise * rng.standard_normal((n, t)) + 5


# least squares


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_least_squares_equal_numpy(fit_intercept):
    X, Y = make(40, 6)
    model = OLS(fit_intercept=fit_intercept).fit(X, Y)
    design = np.column_stack([X, np.ones(40)]) if fit_intercept else X
    weights = np.linalg.lstsq(design, Y, rcond=None)[0]
    np.testing.assert_allclose(model.coef_, weights[:6].T, atol=1e-10)
    np.testing.assert_allclose(model.predict(X), design @ weights, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, weights[6] if fit_intercept else 0.0, atol=1e-9)
    assert (model.rank_, model.dof_) == (6, 34 - fit_intercept)


def test_a_line_is_the_closed_form():
    x, y = np.array([1.0, 2.0, 4.0, 7.0]), np.array([2.0, 3.0, 3.0, 8.0])
    model = OLS(standard_errors=True).fit(x[:, None], y)
    slope = ((x - 3.5) * (y - 4)).sum() / ((x - 3.5) ** 2).sum()
    residual = ((y - 4 - slope * (x - 3.5)) ** 2).sum() / 2
    assert model.coef_[0] == pytest.approx(slope)
    assert model.intercept_ == pytest.approx(4 - slope * 3.5)
    assert model.standard_errors_[0] == pytest.approx(np.sqrt(residual / ((x - 3.5) ** 2).sum()))
    assert model.t_[0] == pytest.approx(model.coef_[0] / model.standard_errors_[0])


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standard_errors_and_t_equal_statsmodels(fit_intercept):
    X, Y = make(40, 6)
    model = OLS(fit_intercept=fit_intercept, standard_errors=True).fit(X, Y)
    for target in range(5):
        design = np.column_stack([X, np.ones(40)]) if fit_intercept else X
        theirs = sm.OLS(Y[:, target], design).fit()
        np.testing.assert_allclose(model.standard_errors_[target], theirs.bse[:6], rtol=1e-9)
        np.testing.assert_allclose(model.t_[target], theirs.tvalues[:6], rtol=1e-9)
    assert model.n_undefined_ == 0


def test_t_is_too_large_on_autocorrelated_series_as_the_docstring_says():
    noise = np.random.default_rng(0).standard_normal((300, 401))
    for i in range(1, 300):
        noise[i] += 0.8 * noise[i - 1]
    model = OLS(standard_errors=True).fit(noise[:, :1], noise[:, 1:])
    assert (np.abs(model.t_) > 1.97).mean() > 0.2


def test_a_rank_deficient_design_is_refused_or_gets_the_shortest_weights():
    X, Y = make(40, 6)
    X[:, 5] = X[:, 0] - X[:, 1]
    with pytest.raises(InvalidValueError, match=r"40 rows have rank 5 of 6 features.*minimum-norm"):
        OLS().fit(X, Y)
    with pytest.raises(InvalidValueError, match="standard errors need features of full rank"):
        OLS(rank_deficient="minimum-norm", standard_errors=True).fit(X, Y)
    model = OLS(rank_deficient="minimum-norm").fit(X, Y)
    expected = np.linalg.pinv(X - X.mean(axis=0)) @ (Y - Y.mean(axis=0))
    np.testing.assert_allclose(model.coef_, expected.T, atol=1e-10)
    assert (model.rank_, model.dof_) == (5, 34)


def test_more_features_than_rows_are_refused_with_the_rank_after_centring():
    with pytest.raises(InvalidValueError, match="10 rows have rank 9 of 12 features"):
        OLS().fit(*make(10, 12))


def test_constant_features_have_rank_0_and_no_weight():
    _, Y = make(10, 2)
    model = OLS(rank_deficient="minimum-norm").fit(np.full((10, 2), 0.1), Y)
    assert model.rank_ == 0
    np.testing.assert_array_equal(model.coef_, 0)
    np.testing.assert_allclose(model.intercept_, Y.mean(axis=0))


def test_errors_of_a_constant_target_and_without_degrees_of_freedom_are_nan_and_counted():
    X, Y = make(40, 3)
    Y[:, 1] = 0.1
    model = OLS(standard_errors=True).fit(X, Y)
    assert np.isnan(model.t_).any(axis=1).tolist() == [False, True, False, False, False]
    assert model.n_undefined_ == 1
    np.testing.assert_array_equal(model.coef_[1], 0)
    tight = OLS(standard_errors=True).fit(*make(4, 3))
    assert tight.dof_ == 0
    assert tight.n_undefined_ == 5
    assert np.isnan(tight.standard_errors_).all()


def test_a_large_offset_loses_few_digits():
    X, Y = make(40, 3)
    np.testing.assert_allclose(OLS().fit(X + 1e6, Y).coef_, OLS().fit(X, Y).coef_, rtol=1e-8, atol=1e-9)


# non-negative


def slow_nonnegative(X, Y, alpha, fit_intercept=True):
    """Return weights (n_targets, n_features): scipy on rows to which the penalty is added as data."""
    x_mean, y_mean = (X.mean(axis=0), Y.mean(axis=0)) if fit_intercept else (0.0, 0.0)
    design = np.vstack([X - x_mean, np.sqrt(alpha) * np.eye(X.shape[1])])
    sides = np.vstack([Y - y_mean, np.zeros((X.shape[1], Y.shape[1]))])
    return np.stack([nnls(design, side)[0] for side in sides.T])


@pytest.mark.parametrize("shape", [(60, 12), (30, 50), (25, 25)], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.01, 1.0, 1000.0])
def test_nonnegative_weights_equal_scipy(shape, fit_intercept, alpha):
    X, Y = make(*shape, t=12)
    model = NonNegativeRidgeCV(alpha, cv=None, fit_intercept=fit_intercept).fit(X, Y)
    np.testing.assert_allclose(model.coef_, slow_nonnegative(X, Y, alpha, fit_intercept), atol=1e-8)
    assert 0 < (model.coef_ == 0).mean() < 1
    assert (model.coef_ >= 0).all()


def test_alpha_0_equals_scipy_on_the_data_themselves():
    X, Y = make(60, 12, t=12)
    model = NonNegativeRidgeCV(0, cv=None, fit_intercept=False).fit(X, Y)
    np.testing.assert_allclose(model.coef_, np.stack([nnls(X, y)[0] for y in Y.T]), atol=1e-9)


def test_orthonormal_features_have_the_closed_form():
    X = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 5)))[0]
    _, Y = make(20, 5)
    model = NonNegativeRidgeCV(0.5, cv=None, fit_intercept=False).fit(X, Y)
    np.testing.assert_allclose(model.coef_, np.maximum(Y.T @ X, 0) / 1.5, atol=1e-12)


def test_weights_that_are_positive_anyway_are_those_of_least_squares():
    X, _ = make(60, 8)
    Y = X @ np.random.default_rng(1).uniform(1, 2, (8, 3)) + 0.01 * make(60, 3, t=3)[0]
    np.testing.assert_allclose(
        NonNegativeRidgeCV(0, cv=None).fit(X, Y).coef_, OLS().fit(X, Y).coef_, atol=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 10.0]), st.floats(1e-6, 1e6))
def test_the_optimality_conditions_hold_in_any_units(seed, alpha, unit):
    X, Y = make(25, 10, seed=seed)
    gram, cross = torch.from_numpy(X.T @ X), torch.from_numpy(X.T @ Y * unit)
    weights, free = nonnegative_ridge(gram, cross, alpha)
    slope = (gram @ weights + alpha * weights - cross).T
    size = float(cross.abs().max())
    assert (weights >= 0).all()
    assert (slope[free].abs() <= 1e-8 * size).all()
    assert (slope[~free] >= -1e-8 * size).all()
    assert (weights.T[~free] == 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_ITER", 0), ("MAX_ITER", 2), ("N_TRIES", 0), ("LIMIT", 1)],
    ids=["scipy for all", "scipy for some", "single exchanges", "one target at a time"],
)
def test_the_way_to_the_weights_changes_nothing(monkeypatch, name, value):
    X, Y = make(40, 15, t=20)
    gram, cross = torch.from_numpy(X.T @ X), torch.from_numpy(X.T @ Y)
    whole, free = nonnegative_ridge(gram, cross, 0.1)
    monkeypatch.setattr(f"neuroalign.encoding.pivoting.{name}", value)
    other, other_free = nonnegative_ridge(gram, cross, 0.1)
    np.testing.assert_allclose(other, whole, atol=1e-10)
    assert (other_free == free).all()
    for start in (free, ~free, torch.ones_like(free)):
        np.testing.assert_allclose(nonnegative_ridge(gram, cross, 0.1, start=start)[0], whole, atol=1e-10)


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
def test_alphas_are_those_of_a_slow_loop(scoring):
    X, Y = make(40, 30, noise=6.0)
    score = {"r2": stats.r2, "pearson": stats.pearson_r, "neg_mse": lambda y, p: -stats.mse(y, p)}[scoring]
    splits = contiguous_splits(40, 4, purge=2)
    slow = []
    for train, test in splits:
        weights = [slow_nonnegative(X[train], Y[train], alpha) for alpha in ALPHAS]
        x = X[test] - X[train].mean(axis=0)
        slow.append([score(Y[test], x @ w.T + Y[train].mean(axis=0)) for w in weights])
    slow = np.nan_to_num(np.mean(slow, axis=0), nan=-np.inf)
    model = NonNegativeRidgeCV(ALPHAS, cv=splits, scoring=scoring, edge_tolerance=1.0).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, ALPHAS[slow.argmax(axis=0)])
    np.testing.assert_allclose(model.cv_scores_, slow.max(axis=0), atol=1e-7)
    refitted = [slow_nonnegative(X, Y, a)[i] for i, a in enumerate(model.alpha_)]
    np.testing.assert_allclose(model.coef_, refitted, atol=1e-8)


def test_a_constant_target_has_no_weight_no_score_and_the_largest_alpha():
    X, Y = make(40, 6)
    Y[:, 2] = 0.1
    model = NonNegativeRidgeCV(ALPHAS, edge_tolerance=1.0).fit(X, Y)
    assert np.isnan(model.cv_scores_).tolist() == [i == 2 for i in range(5)]
    assert model.n_undefined_ == 1
    assert model.alpha_[2] == ALPHAS.max()
    np.testing.assert_array_equal(model.coef_[2], 0)
    assert model.intercept_[2] == pytest.approx(0.1)


def test_a_target_that_only_falls_with_the_features_has_no_weight():
    X = np.random.default_rng(0).uniform(size=(30, 1))
    model = NonNegativeRidgeCV(1.0).fit(X, -X)
    np.testing.assert_array_equal(model.coef_, 0)
    np.testing.assert_allclose(model.predict(X), -X.mean())


def test_alphas_at_the_edge_are_warned_of_with_their_share():
    X, Y = make(40, 6)
    with pytest.warns(AlphaEdgeWarning, match="100% of 5 targets chose an alpha at an edge of the grid"):
        model = NonNegativeRidgeCV([1e6, 1e7]).fit(X, Y)
    assert model.edge_share_ == 1.0


def test_alpha_0_on_a_rank_deficient_design_is_refused_with_the_rank():
    X, Y = make(40, 6)
    X[:, 5] = X[:, 0]
    with pytest.raises(InvalidValueError, match="40 training rows have rank 5 of 6 features"):
        NonNegativeRidgeCV(0, cv=None).fit(X, Y)
    with pytest.raises(InvalidValueError, match="24 training rows have rank 23 of 30 features"):
        NonNegativeRidgeCV([0, 1]).fit(*make(30, 30))


def test_wrong_choices_are_refused():
    X, Y = make(20, 3)
    with pytest.raises(InvalidValueError, match="rank_deficient must be one of 'refuse', 'minimum-norm'"):
        OLS(rank_deficient="drop").fit(X, Y)
    with pytest.raises(InvalidValueError, match="scoring must be one of"):
        NonNegativeRidgeCV(scoring="mse").fit(X, Y)
    with pytest.raises(InvalidValueError, match=r"non-negative and finite; got -1\.0 at position 1"):
        NonNegativeRidgeCV([1, -1]).fit(X, Y)
    with pytest.raises(InvalidValueError, match="alphas must hold at least one value"):
        NonNegativeRidgeCV([]).fit(X, Y)
    with pytest.raises(InvalidValueError, match="cv=None cannot choose among 2 candidates"):
        NonNegativeRidgeCV([1, 2], cv=None).fit(X, Y)


# both


@pytest.mark.parametrize("name", list(MODELS))
def test_one_target_may_have_one_dim(name):
    X, Y = make(40, 5)
    many, one = MODELS[name].fit(X, Y), None
    coef, intercept = many.coef_[1], many.intercept_[1]
    one = MODELS[name].fit(X, Y[:, 1])
    assert one.predict(X).shape == (40,)
    np.testing.assert_allclose(one.coef_, coef, atol=1e-10)
    assert one.intercept_ == pytest.approx(intercept)


@pytest.mark.goal("R19", "fits of the room's own tests")
@pytest.mark.parametrize("name", list(MODELS))
def test_noise_in_test_rows_changes_nothing_fitted(name):
    fitted = []

    class Recorded(type(MODELS[name])):
        def fit(self, X, Y):
            super().fit(X, Y)
            fitted.append((self.coef_, self.intercept_, getattr(self, "alpha_", 0)))
            return self

    X, Y = (
        xr.DataArray(values, dims=("time", dim), coords={"time": np.arange(60.0)})
        for values, dim in zip(make(60, 8), ("feature", "neuroid"), strict=True)
    )
    (split,) = contiguous_splits(60, 3)[1:2]
    rng = np.random.default_rng(5)
    noisy_x, noisy_y = X.copy(deep=True), Y.copy(deep=True)
    noisy_x[split[1]] = rng.standard_normal((20, 8)) * 100
    noisy_y[split[1]] = rng.standard_normal((20, 5)) * 100
    model = Recorded(**MODELS[name].get_params())
    evaluate(model, X, Y, splits=[split])
    evaluate(model, noisy_x, noisy_y, splits=[split])
    for a, b in zip(*fitted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", list(MODELS))
def test_wrong_data_are_refused_and_right_ones_not_edited(name):
    X, Y = make(20, 3)
    before = X.copy(), Y.copy()
    model = MODELS[name].fit(X, Y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])
    with pytest.raises(ShapeError, match="X has 2 features"):
        model.predict(X[:, :2])
    with pytest.raises(ShapeError, match="the same rows; got 20 and 19"):
        model.fit(X, Y[1:])
    with pytest.raises(ShapeError, match="at least 2 rows; got 1"):
        model.fit(X[:1], Y[:1])
    labelled = xr.DataArray(X, dims=("time", "feature"), coords={"time": np.arange(20)})
    with pytest.raises(LabelError, match="carry other labels of 'time'"):
        model.fit(labelled, xr.DataArray(Y, dims=("time", "neuroid"), coords={"time": np.arange(1, 21)}))
    X[4, 1] = np.inf
    with pytest.raises(InvalidValueError, match=r"X must be finite.*\(4, 1\)"):
        model.fit(X, Y)


@pytest.mark.parametrize(
    "model",
    [OLS(rank_deficient="minimum-norm"), NonNegativeRidgeCV([1e-3, 1.0], cv=2, edge_tolerance=1.0)],
    ids=["ols", "nonnegative"],
)
def test_scikit_learns_checks_pass(model):
    found = check_estimator(model, expected_failed_checks=OBJECTS, on_skip=None)
    assert sum(check["status"] == "passed" for check in found) > 30
    assert {check["status"] for check in found} <= {"passed", "xfail", "skipped"}


@pytest.mark.goal("R15", "non-negative ridge")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible")
def test_a_gpu_finds_the_same_nonnegative_weights():
    X, Y = make(40, 30, noise=6.0)
    cpu, gpu = (
        NonNegativeRidgeCV(ALPHAS, edge_tolerance=1.0, device=device).fit(X, Y) for device in ("cpu", "cuda")
    )
    np.testing.assert_array_equal(cpu.alpha_, gpu.alpha_)
    np.testing.assert_allclose(cpu.coef_, gpu.coef_, atol=1e-9)
