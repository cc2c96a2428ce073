"""PLS: scikit-learn as oracle, nested components, choice of their number, edges, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.utils.estimator_checks import check_estimator

from neuroalign import stats
from neuroalign.encoding import contiguous_splits, evaluate, leave_one_run_out
from neuroalign.encoding.nonnegative import NonNegativeRidgeCV
from neuroalign.encoding.pls import PLSCV, PLSPath
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

SHAPES = {"tall": (60, 8), "wide": (30, 50), "square": (25, 25)}


def make(n, p, t=4, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.linspace(1, 4, p) + 3
    return X, X @ rng.standard_normal((p, t)) / np.sqrt(p) + noise * rng.standard_normal((n, t)) + 5


def peer(k, **options):
    """scikit-learn's power iterations, until they stand still."""
    return PLSRegression(k, tol=1e-28, max_iter=100_000, **options)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_each_number_of_components_equals_scikit_learn(shape, scale, k):
    X, Y = make(*SHAPES[shape])
    ours = PLSCV(k, cv=None, scale=scale).fit(X, Y)
    theirs = peer(k, scale=scale).fit(X, Y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-9)


@pytest.mark.parametrize("shape", [(200, 30, 12), (60, 90, 12), (40, 70, 300), (150, 120, 100)])
def test_the_order_of_the_targets_changes_nothing(shape):
    """Power iterations that start from the first target moved predictions by more than their spread."""
    X, Y = make(*shape, noise=4.0)
    order = np.random.default_rng(1).permutation(Y.shape[1])
    one, other = PLSCV(10, cv=None).fit(X, Y), PLSCV(10, cv=None).fit(X, Y[:, order])
    np.testing.assert_allclose(one.predict(X)[:, order], other.predict(X), atol=1e-8)


def test_each_component_covaries_most_with_the_targets_of_all_directions():
    X, Y = make(40, 6, t=3)
    x, y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    path = PLSPath.of(X, Y, 6, scale=False)
    for k in range(6):
        score = x @ path.rotations[:, k]
        found = np.linalg.norm(y.T @ score)
        directions = np.random.default_rng(k).standard_normal((6, 500))
        directions /= np.linalg.norm(directions, axis=0)
        before = x @ path.rotations[:, :k]
        left = x - before @ np.linalg.lstsq(before, x, rcond=None)[0] if k else x
        assert found >= np.linalg.norm(y.T @ left @ directions, axis=0).max() * (1 - 1e-9)
        np.testing.assert_allclose(before.T @ score, 0, atol=1e-8 * np.linalg.norm(x) ** 2)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_predictions_of_one_fit_equal_separate_fits(shape):
    X, Y = make(*SHAPES[shape])
    counts = np.array([1, 3, 4, 7])
    path = PLSPath.of(X[:20], Y[:20], 7)
    for count, found in zip(counts, path.predictions(X[20:], counts), strict=True):
        separate = peer(int(count)).fit(X[:20], Y[:20])
        np.testing.assert_allclose(found, separate.predict(X[20:]), atol=1e-9)
        np.testing.assert_allclose(path.coef([count] * 4), separate.coef_, atol=1e-9)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("scale", [True, False])
def test_scores_of_the_rows_are_those_of_scikit_learn_up_to_their_sign(shape, scale):
    X, Y = make(*SHAPES[shape])
    path = PLSPath.of(X, Y, 3, scale=scale)
    theirs = peer(3, scale=scale).fit(X, Y).transform(X)
    found = (X - X.mean(axis=0)) @ path.rotations
    np.testing.assert_allclose(found * np.sign((found * theirs).sum(axis=0)), theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("of_x", [1e-9, 1e9])
@pytest.mark.parametrize("of_y", [1e-9, 1e9])
def test_units_change_nothing_where_columns_are_not_scaled(of_x, of_y):
    X, Y = make(*SHAPES["tall"])
    a = PLSCV(4, cv=None, scale=False).fit(X, Y)
    b = PLSCV(4, cv=None, scale=False).fit(X * of_x, Y * of_y)
    np.testing.assert_allclose(b.coef_, a.coef_ * of_y / of_x, rtol=1e-8)
    np.testing.assert_allclose(b.predict(X * of_x), a.predict(X) * of_y, rtol=1e-8)
    X[:, 6:] = X[:, :2] @ np.array([[1.0, 2.0], [3.0, -1.0]])
    PLSCV(6, cv=None, scale=False).fit(X * of_x, Y * of_y)
    with pytest.raises(InvalidValueError, match="rank is 6 at most"):
        PLSCV(7, cv=None, scale=False).fit(X * of_x, Y * of_y)


@pytest.mark.parametrize("of_y", [1e-9, 1.0, 1e9])
def test_targets_that_are_explained_end_the_components_in_any_unit(of_y):
    x = np.random.default_rng(1).standard_normal((60, 3))
    x = np.linalg.qr(x - x.mean(axis=0))[0]
    model = PLSCV(3, cv=None, scale=False).fit(x, 2 * of_y * x[:, :1])
    assert (model.path_.loadings[:, 1:] == 0).all()
    np.testing.assert_allclose(model.coef_, [[2 * of_y, 0, 0]], atol=1e-9 * of_y)


def test_one_component_of_one_target_is_the_closed_form():
    X, Y = make(40, 6, t=1)
    x, y = X - X.mean(axis=0), Y[:, 0] - Y.mean()
    direction = x.T @ y / np.linalg.norm(x.T @ y)
    score = x @ direction
    model = PLSCV(1, cv=None, scale=False).fit(X, Y[:, 0])
    np.testing.assert_allclose(model.coef_, direction * (score @ y) / (score @ score), atol=1e-10)
    assert model.intercept_ == pytest.approx(Y.mean() - model.coef_ @ X.mean(axis=0))


def test_all_components_are_least_squares():
    X, Y = make(*SHAPES["tall"])
    model = PLSCV(8, cv=None).fit(X, Y)
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(X, Y).coef_, atol=1e-9)


def slow_scores(X, Y, counts, splits, score):
    return np.mean(
        [
            [score(Y[test], peer(k).fit(X[train], Y[train]).predict(X[test])) for k in counts]
            for train, test in splits
        ],
        axis=0,
    )


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_selection_equals_a_slow_loop_over_folds_and_numbers(shape, scoring):
    X, Y = make(*SHAPES[shape], noise=3.0)
    counts = np.array([1, 2, 4, 7])
    score = {"r2": stats.r2, "pearson": stats.pearson_r, "neg_mse": lambda y, p: -stats.mse(y, p)}[scoring]
    splits = contiguous_splits(len(X), 4, purge=1)
    slow = slow_scores(X, Y, counts, splits, score)
    model = PLSCV([7, 1, 4, 2, 1], cv=4, purge=1, scoring=scoring).fit(X, Y)
    np.testing.assert_array_equal(model.n_components_, counts[slow.argmax(axis=0)])
    np.testing.assert_allclose(model.cv_scores_, slow.max(axis=0), atol=1e-8)
    for target, k in enumerate(model.n_components_):
        theirs = peer(int(k)).fit(X, Y)
        np.testing.assert_allclose(model.coef_[target], theirs.coef_[target], atol=1e-8)
    np.testing.assert_array_equal(
        PLSCV(counts, cv=splits, scoring=scoring).fit(X, Y).coef_, model.coef_, strict=True
    )


def test_a_shared_number_has_the_best_mean_score_over_targets():
    X, Y = make(*SHAPES["wide"], noise=3.0)
    Y[:, 3] = 1.0
    counts = np.array([1, 2, 4, 7])
    slow = slow_scores(X, Y[:, :3], counts, contiguous_splits(30, 5), stats.r2)
    model = PLSCV(counts, shared=True).fit(X, Y)
    best = slow.mean(axis=1).argmax()
    assert model.n_components_ == counts[best]
    assert isinstance(model.n_components_, int)
    np.testing.assert_allclose(model.cv_scores_, [*slow[best], np.nan], atol=1e-8)


def test_each_fold_is_fitted_once_whatever_the_number_of_candidates(monkeypatch):
    fitted = []
    fit = PLSPath.of
    monkeypatch.setattr(PLSPath, "of", lambda x, *rest, **how: fitted.append(len(x)) or fit(x, *rest, **how))
    X, Y = make(*SHAPES["tall"])
    PLSCV(range(1, 8), cv=3).fit(X, Y)
    assert fitted == [40, 40, 40, 60]


@pytest.mark.parametrize(
    "model", [PLSCV([1, 3]), NonNegativeRidgeCV([1.0, 10.0], edge_tolerance=1.0)], ids=["pls", "nonnegative"]
)
def test_a_splitter_is_given_the_groups(model):
    X, Y = make(*SHAPES["tall"])
    runs = np.repeat(np.arange(4), [10, 20, 10, 20])
    a = clone(model).set_params(cv=LeaveOneGroupOut()).fit(X, Y, groups=runs)
    b = clone(model).set_params(cv=leave_one_run_out(runs)).fit(X, Y)
    np.testing.assert_array_equal(a.cv_scores_, b.cv_scores_)
    with pytest.raises(InvalidValueError, match="groups need a splitter"):
        clone(model).fit(X, Y, groups=runs)


def test_one_number_is_fitted_without_folds_where_cv_is_none():
    X, Y = make(*SHAPES["wide"])
    model = PLSCV(20, cv=None).fit(X, Y)
    assert np.isnan(model.cv_scores_).all()
    assert (model.n_components_ == 20).all()
    with pytest.raises(InvalidValueError, match="cv=None cannot choose among 2 candidates"):
        PLSCV([1, 2], cv=None).fit(X, Y)


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
def test_a_constant_target_is_nan_counted_and_gets_the_smallest_number(scoring):
    X, Y = make(*SHAPES["tall"])
    Y[:, 2] = 0.1
    model = PLSCV([2, 5], scoring=scoring).fit(X, Y)
    assert np.isnan(model.cv_scores_).tolist() == [False, False, True, False]
    assert model.n_undefined_ == 1
    assert model.n_components_[2] == 2
    np.testing.assert_array_equal(model.coef_[2], 0)
    np.testing.assert_allclose(model.predict(X)[:, 2], 0.1)


def test_constant_targets_alone_are_predicted_by_their_value():
    X, _ = make(*SHAPES["tall"])
    model = PLSCV([1, 3]).fit(X, np.full(60, 2.5))
    np.testing.assert_array_equal(model.coef_, 0)
    assert model.n_undefined_ == 1
    np.testing.assert_allclose(model.predict(X), 2.5)


def test_components_after_the_targets_are_explained_add_nothing():
    X, Y = make(*SHAPES["tall"], noise=0.0)
    exact = PLSCV(8, cv=None).fit(X, Y)
    np.testing.assert_allclose(exact.predict(X), Y, atol=1e-8)
    alone = X[:, :1]
    padded = np.hstack([alone, np.random.default_rng(1).standard_normal((60, 2))])
    padded -= padded.mean(axis=0)
    padded[:, 1:] -= padded[:, :1] * (padded[:, 0] @ padded[:, 1:]) / (padded[:, 0] @ padded[:, 0])
    model = PLSCV(3, cv=None, scale=False).fit(padded, padded[:, :1] * 2)
    assert (model.path_.loadings[:, 1:] == 0).all()
    np.testing.assert_allclose(model.coef_, [[2, 0, 0]], atol=1e-9)


def test_a_constant_feature_has_no_weight():
    X, Y = make(*SHAPES["tall"])
    X[:, 3] = 0.1
    model = PLSCV([1, 4]).fit(X, Y)
    np.testing.assert_array_equal(model.coef_[:, 3], 0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50))
def test_units_of_features_and_targets_change_nothing_where_they_are_scaled(seed, factor, shift):
    X, Y = make(30, 6, seed=seed)
    factors = np.where(np.arange(6) % 2, factor, 1.0)
    a = PLSCV([1, 3], cv=3).fit(X, Y)
    b = PLSCV([1, 3], cv=3).fit(X * factors + shift, Y * factor - shift)
    np.testing.assert_array_equal(a.n_components_, b.n_components_)
    np.testing.assert_allclose(a.predict(X) * factor - shift, b.predict(X * factors + shift), atol=1e-5)


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_noise_in_test_rows_changes_nothing_fitted():
    fitted = []

    class Recorded(PLSCV):
        def fit(self, X, Y):
            super().fit(X, Y)
            fitted.append((self.coef_, self.n_components_, self.cv_scores_))
            return self

    X, Y = (
        xr.DataArray(v, dims=("time", d)) for v, d in zip(make(60, 8), ("feature", "neuroid"), strict=True)
    )
    X, Y = X.assign_coords(time=np.arange(60.0)), Y.assign_coords(time=np.arange(60.0))
    splits = contiguous_splits(60, 3)[1:2]
    rng = np.random.default_rng(5)
    noisy_x, noisy_y = X.copy(deep=True), Y.copy(deep=True)
    noisy_x[splits[0][1]] = rng.standard_normal((20, 8)) * 100
    noisy_y[splits[0][1]] = rng.standard_normal((20, 4)) * 100
    evaluate(Recorded([1, 3, 5]), X, Y, splits=splits)
    evaluate(Recorded([1, 3, 5]), noisy_x, noisy_y, splits=splits)
    for a, b in zip(*fitted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_fit_does_not_edit_its_arguments():
    X, Y = make(*SHAPES["wide"])
    before = X.copy(), Y.copy()
    PLSCV([1, 3]).fit(X, Y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_more_components_than_the_features_hold_are_refused_with_their_rank():
    X, Y = make(*SHAPES["tall"])
    with pytest.raises(
        InvalidValueError, match=r"n_components 9 is more than 60 training.*rank is 8 at most"
    ):
        PLSCV(9, cv=None).fit(X, Y)
    with pytest.raises(InvalidValueError, match=r"12 is more than 9 training rows.*rank is 8 at most"):
        PLSCV([2, 12], cv=[(np.arange(9), np.arange(9, 30))]).fit(*make(30, 50))
    X[:, 6:] = X[:, :2] @ np.array([[1.0, 2.0], [3.0, -1.0]])
    with pytest.raises(InvalidValueError, match="rank is 6 at most"):
        PLSCV(7, cv=None).fit(X, Y)
    PLSCV(6, cv=None).fit(X, Y)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, [], [1, 0], "3", [[1]]])
def test_a_number_that_is_no_positive_integer_is_refused(wrong):
    with pytest.raises(InvalidValueError, match="n_components must be a positive integer"):
        PLSCV(wrong).fit(*make(20, 3))


def test_wrong_data_are_refused():
    X, Y = make(20, 3)
    with pytest.raises(ShapeError, match="the same rows; got 20 and 19"):
        PLSCV(1).fit(X, Y[1:])
    with pytest.raises(InvalidValueError, match="scoring must be one of 'r2', 'pearson', 'neg_mse'"):
        PLSCV(1, scoring="mse").fit(X, Y)
    with pytest.raises(ShapeError, match="X has 2 features, but PLSCV is expecting 3"):
        PLSCV(1).fit(X, Y).predict(X[:, :2])
    Y[3, 2] = np.nan
    with pytest.raises(InvalidValueError, match=r"Y must be finite.*\(3, 2\)"):
        PLSCV(1).fit(X, Y)


def test_labelled_rows_in_another_order_are_refused():
    X, Y = make(20, 3)
    X = xr.DataArray(X, dims=("time", "feature"), coords={"time": np.arange(20.0)})
    Y = xr.DataArray(Y, dims=("time", "neuroid"), coords={"time": np.arange(20.0)})
    np.testing.assert_array_equal(PLSCV(2).fit(X, Y).coef_, PLSCV(2).fit(X.values, Y.values).coef_)
    with pytest.raises(LabelError, match="carry other labels of 'time'"):
        PLSCV(2).fit(X, Y[::-1])
    with pytest.raises(LabelError, match="must share the labels"):
        PLSCV(2).fit(X, Y.rename(time="stimulus"))


def test_scikit_learns_checks_pass():
    found = check_estimator(
        PLSCV(1, cv=2),
        expected_failed_checks={"check_dtype_object": "arrays of objects are refused, not converted"},
        on_skip=None,
    )
    assert sum(check["status"] == "passed" for check in found) > 30
    assert {check["status"] for check in found} <= {"passed", "xfail", "skipped"}
