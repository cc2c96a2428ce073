"""Laws of voxelwise models that their own folder does not try."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, data, estimators, fitted, law, noise, rotation

from neuroalign import encoding

EVERY = list(estimators())
# Models of which single features are part, so that turned ones are others.
SEES_ROTATION = ("NonNegativeRidgeCV", "BandedRidgeCV", "StackingCV", "PLSCV", "TemporalResponseFunction")


def fit(name, X, Y):
    return estimators()[name](X.shape[1]).fit(X, Y)


@pytest.mark.parametrize("name", EVERY)
@law(4)
@given(seed=SEEDS)
def test_the_order_of_targets_changes_nothing(name, seed):
    X, Y = data(seed=seed)
    order = np.random.default_rng(seed).permutation(Y.shape[1])
    whole, moved = fit(name, X, Y), fit(name, X, Y[:, order])
    np.testing.assert_allclose(moved.predict(X), whole.predict(X)[:, order], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", EVERY)
@law(4)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_units_and_baselines_of_the_targets_pass_through(name, seed, scale, shift):
    X, Y = data(seed=seed)
    plain, moved = fit(name, X, Y), fit(name, X, scale * Y + shift)
    np.testing.assert_allclose(
        moved.predict(X), scale * plain.predict(X) + shift, rtol=1e-6, atol=1e-6 * scale
    )
    if hasattr(plain, "alpha_"):
        np.testing.assert_array_equal(moved.alpha_, plain.alpha_)


@pytest.mark.parametrize("name", EVERY)
@law(4)
@given(seed=SEEDS, shift=st.floats(-100, 100))
def test_where_the_features_have_their_zero_changes_nothing(name, seed, shift):
    if name == "TemporalResponseFunction":
        shift = 0.0  # rows before the first are 0 by definition
    X, Y = data(seed=seed)
    np.testing.assert_allclose(
        fit(name, X + shift, Y).predict(X + shift), fit(name, X, Y).predict(X), atol=1e-7
    )


@pytest.mark.parametrize("name", [name for name in EVERY if name not in SEES_ROTATION])
@law(4)
@given(seed=SEEDS)
def test_rotated_features_predict_the_same(name, seed):
    X, Y = data(seed=seed)
    turned = X @ rotation(X.shape[1], seed)
    np.testing.assert_allclose(fit(name, turned, Y).predict(turned), fit(name, X, Y).predict(X), atol=1e-8)


@pytest.mark.parametrize("name", EVERY)
@law(3)
@given(seed=SEEDS, a=st.floats(-2, 3))
def test_predictions_are_affine_in_the_features(name, seed, a):
    X, Y = data(seed=seed)
    model, first, second = fit(name, X, Y), noise(7, 6, seed=seed), noise(7, 6, seed=seed + 9)
    mixed = model.predict(a * first + (1 - a) * second)
    expected = a * model.predict(first) + (1 - a) * model.predict(second)
    np.testing.assert_allclose(mixed, expected, atol=1e-8)


@law(12)
@given(seed=SEEDS, n=st.integers(8, 40), p=st.integers(1, 30))
def test_weights_shrink_as_the_penalty_grows(seed, n, p):
    X, Y = data(n, p, 3, seed=seed)
    sizes = [
        np.linalg.norm(encoding.RidgeCV([alpha], cv=2, edge_tolerance=1).fit(X, Y).coef_, axis=1)
        for alpha in (0.1, 1.0, 10.0, 1e3, 1e6)
    ]
    assert (np.diff(sizes, axis=0) <= 1e-10).all() and (sizes[-1] < 1e-2).all()


@law(10)
@given(seed=SEEDS, unit=st.floats(0.05, 20))
def test_a_unit_of_the_features_is_an_alpha_by_its_square(seed, unit):
    X, Y = data(seed=seed)
    for make in (encoding.RidgeCV, encoding.KernelRidgeCV):
        plain = make([3.0, 30.0], cv=3, edge_tolerance=1).fit(X, Y)
        other = make([3.0 * unit**2, 30.0 * unit**2], cv=3, edge_tolerance=1).fit(unit * X, Y)
        np.testing.assert_allclose(other.predict(unit * X), plain.predict(X), atol=1e-8)
        np.testing.assert_allclose(other.alpha_, unit**2 * plain.alpha_)


@law(10)
@given(seed=SEEDS, n=st.integers(12, 40), p=st.integers(1, 30))
def test_the_dual_is_the_primal(seed, n, p):
    X, Y = data(n, p, 3, seed=seed)
    a, b = (
        encoding.RidgeCV([1.0, 100.0], cv=2, solver=solver, edge_tolerance=1).fit(X, Y)
        for solver in ("primal", "kernel")
    )
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-9)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, atol=1e-9)


@law(8)
@given(seed=SEEDS, p=st.integers(2, 8))
def test_one_band_is_ridge(seed, p):
    X, Y = data(40, p, 3, seed=seed)
    quiet = {"cv": 3, "edge_tolerance": 1.0}
    banded = encoding.BandedRidgeCV([1.0, 100.0], bands=["a"] * p, n_candidates=3, **quiet).fit(X, Y)
    np.testing.assert_allclose(
        banded.coef_, encoding.RidgeCV([1.0, 100.0], **quiet).fit(X, Y).coef_, atol=1e-8
    )


@law(10)
@given(seed=SEEDS, p=st.integers(1, 9))
def test_residuals_of_least_squares_are_orthogonal_to_the_features(seed, p):
    X, Y = data(30, p, 3, seed=seed)
    left = Y - encoding.OLS().fit(X, Y).predict(X)
    np.testing.assert_allclose(np.column_stack([X, np.ones(30)]).T @ left, 0, atol=1e-9)


@law(5)
@given(seed=SEEDS)
def test_weights_of_stacked_models_are_shares(seed):
    X, Y = data(seed=seed)
    weights = next(v for k, v in fitted(fit("StackingCV", X, Y)).items() if "weight" in k)
    assert weights.min() >= -1e-9
    np.testing.assert_allclose(weights.sum(axis=0 if len(weights) == 2 else 1), 1, atol=1e-9)


@law(5)
@given(seed=SEEDS)
def test_nonnegative_weights_are_not_negative(seed):
    X, Y = data(seed=seed)
    assert (fit("NonNegativeRidgeCV", X, Y).coef_ >= 0).all()


@law(20)
@given(n=st.integers(6, 60), k=st.integers(2, 6), purge=st.integers(0, 3), seed=SEEDS)
def test_no_split_tests_what_it_trained_on(n, k, purge, seed):
    runs = np.sort(np.random.default_rng(seed).integers(0, k, n))
    for splits in (encoding.contiguous_splits(n, min(k, n // 3), purge=0), encoding.leave_one_run_out(runs)):
        tested = np.concatenate([test for _, test in splits])
        assert sorted(tested) == list(range(n))
        for train, test in splits:
            assert not set(train) & set(test)
            assert len(train) + len(test) == n
