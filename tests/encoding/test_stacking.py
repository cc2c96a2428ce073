"""Stacking: the simplex programme against SLSQP and closed forms, a slow loop, leakage, labels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.estimator_checks import check_estimator

from neuroalign.encoding import RidgeCV, contiguous_splits, evaluate
from neuroalign.encoding.bands import with_bands
from neuroalign.encoding.simplex import simplex_weights
from neuroalign.encoding.stacking import StackingCV
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

BANDS = ["a", "a", "b", "b", "b", "c"]


def make(n=60, t=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 6)) + 2
    return X, X @ rng.standard_normal((6, t)) + rng.standard_normal((n, t)) - 3


def products(rng, n_targets, n_bands, *, shared=1.0):
    errors = rng.standard_normal((n_targets, 25, n_bands)) + shared * rng.standard_normal((n_targets, 25, 1))
    errors = errors * rng.uniform(0.5, 2.0, (n_targets, 1, n_bands))
    return np.einsum("tni,tnj->tij", errors, errors)


def slsqp(Q):
    k, size = len(Q), np.trace(Q)
    found = minimize(
        lambda w: w @ Q @ w / size,
        np.full(k, 1 / k),
        jac=lambda w: 2 * Q @ w / size,
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.x


@pytest.mark.parametrize("n_bands", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("shared", [0.0, 3.0])
def test_simplex_weights_equal_slsqp(n_bands, shared, rng):
    Q = products(rng, 20, n_bands, shared=shared)
    expected = np.stack([slsqp(q) for q in Q])
    np.testing.assert_allclose(simplex_weights(Q), expected, atol=1e-5)


def test_weights_of_two_bands_have_a_closed_form():
    Q = np.array([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 1.5], [1.5, 4.0]]])
    # (Q22 - Q12) / (Q11 + Q22 - 2 Q12), clipped to [0, 1]
    np.testing.assert_allclose(simplex_weights(Q), [[0.25, 0.75], [1.0, 0.0]], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.0, 10.0))
def test_no_band_would_lower_the_error(seed, n_bands, shared):
    Q = products(np.random.default_rng(seed), 6, n_bands, shared=shared)
    weights = simplex_weights(Q)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    slope = np.einsum("tij,tj->ti", Q, weights)
    error = (weights * slope).sum(axis=1, keepdims=True)
    size = Q.max(axis=(1, 2))[:, None]
    assert (slope >= error - 1e-8 * size).all()
    np.testing.assert_allclose(np.where(weights > 0, slope - error, 0) / size, 0, atol=1e-8)


def test_copies_of_a_band_and_perfect_bands_are_no_trouble():
    copies = simplex_weights([[[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 3.0]]])[0]
    np.testing.assert_allclose([copies[0] + copies[1], copies[2]], [2 / 3, 1 / 3], atol=1e-9)
    np.testing.assert_array_equal(simplex_weights(np.diag([1.0, 0.0])[None]), [[0.0, 1.0]])
    np.testing.assert_array_equal(simplex_weights(np.zeros((1, 2, 2))).sum(), 1.0)
    np.testing.assert_allclose(simplex_weights([[[1.0, -1.0], [-1.0, 1.0]]]), [[0.5, 0.5]], atol=1e-9)


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 1, 0]], ids=str)
def test_bands_enter_and_leave_whatever_their_order(order):
    # Errors 2 u + z, u + v and u - 2 v of orthogonal u, v, z with squares of 1, 9 and 1: the first is the
    # smallest and one begins with it; in the end 2 / 3 and 1 / 3 of the others leave u alone.
    Q = np.array([[5.0, 2.0, 2.0], [2.0, 10.0, -17.0], [2.0, -17.0, 37.0]])
    assert np.linalg.solve(Q, np.ones(3))[0] < 0
    right = np.array([0.0, 2 / 3, 1 / 3])
    found = simplex_weights(np.stack([Q[np.ix_(order, order)]] * 2 + [np.diag([1.0, 2.0, 2.0])]))
    np.testing.assert_allclose(found, [right[order], right[order], [0.5, 0.25, 0.25]], atol=1e-12)


def test_matrices_of_0_take_the_first_band_beside_others():
    found = simplex_weights(np.stack([np.zeros((2, 2)), np.diag([1.0, 3.0]), np.diag([4.0, 1.0])]))
    np.testing.assert_allclose(found, [[1, 0], [0.75, 0.25], [0.2, 0.8]], atol=1e-12)


def test_scale_of_the_errors_changes_nothing(rng):
    Q = products(rng, 10, 4)
    for scale in (1e-200, 1e200):
        np.testing.assert_allclose(simplex_weights(Q * scale), simplex_weights(Q), atol=1e-9)


def test_wrong_matrices_are_refused():
    with pytest.raises(ShapeError, match=r"Q must be \(n_targets, n_bands, n_bands\)"):
        simplex_weights(np.ones((2, 3, 2)))


def test_stacking_equals_a_slow_loop():
    X, Y = make()
    splits = contiguous_splits(len(X), 4, purge=2)
    columns = {"a": [0, 1], "b": [2, 3, 4], "c": [5]}
    held = {name: np.empty_like(Y) for name in columns}
    for train, test in splits:
        for name, at in columns.items():
            fitted = Ridge(3.0).fit(X[np.ix_(train, at)], Y[train])
            held[name][test] = fitted.predict(X[np.ix_(test, at)])
    errors = np.stack([Y - held[name] for name in columns])
    expected = np.stack([slsqp(errors[:, :, t] @ errors[:, :, t].T) for t in range(Y.shape[1])])
    found = StackingCV(Ridge(3.0), bands=BANDS, cv=4, purge=2).fit(X, Y)
    np.testing.assert_allclose(found.stack_weights_, expected, atol=1e-6)
    np.testing.assert_allclose(found.cv_errors_, (errors**2).mean(axis=1).T, atol=1e-10)
    stacked = np.einsum("tb,bnt->nt", expected, errors)
    np.testing.assert_allclose(found.stacked_error_, (stacked**2).mean(axis=0), atol=1e-7)
    parts = [Ridge(3.0).fit(X[:, at], Y).predict(X[:, at]) for at in columns.values()]
    prediction = np.einsum("tb,bnt->nt", found.stack_weights_, parts)
    np.testing.assert_allclose(found.predict(X), prediction, atol=1e-9)
    np.testing.assert_allclose(X @ found.coef_.T + found.intercept_, prediction, atol=1e-9)


def test_each_band_may_have_its_own_model():
    X, Y = make()
    models = {"a": Ridge(1.0), "b": KNeighborsRegressor(3), "c": RidgeCV([1.0]), "unused": Ridge()}
    found = StackingCV(models, bands=BANDS).fit(X, Y)
    parts = [models[b].fit(X[:, at], Y).predict(X[:, at]) for b, at in found.columns_.items()]
    prediction = np.einsum("tb,bnt->nt", found.stack_weights_, parts)
    np.testing.assert_allclose(found.predict(X), prediction, atol=1e-9)
    assert not hasattr(found, "coef_")
    with pytest.raises(LabelError, match="no model for band 'c'; there are 'a', 'b'"):
        StackingCV({"a": Ridge(), "b": Ridge()}, bands=BANDS).fit(X, Y)


def test_a_band_that_predicts_nothing_gets_no_weight(rng):
    X, _ = make(n=200)
    Y = X[:, :2] @ rng.standard_normal((2, 8)) + 0.1 * rng.standard_normal((200, 8))
    found = StackingCV(RidgeCV([0.1, 1.0], edge_tolerance=1), bands=BANDS).fit(X, Y)
    assert (found.stack_weights_[:, 0] > 0.97).all()


def test_a_constant_target_has_no_weights_and_is_counted():
    X, Y = make()
    Y[:, 1] = 0.1
    found = StackingCV(Ridge(), bands=BANDS).fit(X, Y)
    assert np.isnan(found.stack_weights_).all(axis=1).tolist() == [i == 1 for i in range(5)]
    assert found.n_undefined_ == 1
    np.testing.assert_allclose(found.predict(X)[:, 1], 0.1, atol=1e-12)


def test_one_target_and_one_band():
    X, Y = make()
    found = StackingCV(Ridge(), bands="one").fit(X, Y[:, 0])
    assert found.predict(X).shape == (60,)
    assert found.stack_weights_.tolist() == [[1.0]]
    np.testing.assert_allclose(found.coef_, Ridge().fit(X, Y[:, 0]).coef_, atol=1e-10)


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_replacing_test_rows_by_noise_changes_no_weight(rng):
    values, targets = make()
    times = {"time": 2.0 * np.arange(60)}
    X = xr.DataArray(values, dims=("time", "feature"), coords={**times, "band": ("feature", BANDS)})
    Y = xr.DataArray(targets, dims=("time", "neuroid"), coords=times)
    train, test = contiguous_splits(60, 3)[1]
    noisy_X, noisy_Y = X.copy(deep=True), Y.copy(deep=True)
    noisy_X[test] = 1e3 * rng.standard_normal((20, 6))
    noisy_Y[test] = 1e3 * rng.standard_normal((20, 5))
    seen = []

    class Recorder(StackingCV):
        def fit(self, X, Y):
            super().fit(X, Y)
            seen.append((self.stack_weights_, self.coef_))
            return self

    for x, y in ((X, Y), (noisy_X, noisy_Y)):
        evaluate(with_bands(Recorder(Ridge()), x), x, y, splits=[(train, test)])
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    np.testing.assert_array_equal(seen[0][1], seen[1][1])


def test_stacking_needs_bands_and_folds():
    X, Y = make()
    with pytest.raises(LabelError, match="bands are unknown"):
        StackingCV().fit(X, Y)
    with pytest.raises(InvalidValueError, match="cv=None"):
        StackingCV(bands="one", cv=None).fit(X, Y)


def test_scikit_learn_accepts_the_estimator():
    found = check_estimator(
        StackingCV(Ridge(), bands="one", cv=2),
        expected_failed_checks={"check_dtype_object": "arrays of objects are refused, not converted"},
        on_skip=None,
    )
    assert sum(check["status"] == "passed" for check in found) > 30
    assert {check["status"] for check in found} <= {"passed", "xfail", "skipped"}
