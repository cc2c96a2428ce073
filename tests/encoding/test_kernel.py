"""Kernel ridge: scikit-learn and himalaya as oracles, the primal form, kernels of other names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import KFold

from neuroalign.encoding.kernel import KernelRidgeCV
from neuroalign.encoding.ridge import RidgeCV
from neuroalign.errors import InvalidValueError, ShapeError

ALPHAS = np.logspace(-2, 3, 6)
OPTIONS = {"edge_tolerance": 1, "device": "cpu"}


def make(n=40, p=70, t=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 1
    return X, X @ rng.standard_normal((p, t)) / np.sqrt(p) + rng.standard_normal((n, t)) + 2


@pytest.mark.parametrize("shape", [(60, 8), (40, 70), (40, 40)])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
def test_one_decomposition_equals_one_a_fold_and_the_primal_form(shape, fit_intercept, scoring):
    X, Y = make(*shape)
    options = {**OPTIONS, "fit_intercept": fit_intercept, "scoring": scoring, "solver": "kernel"}
    one, folds = (RidgeCV(ALPHAS, **options, decomposition=name).fit(X, Y) for name in ("one", "folds"))
    primal = RidgeCV(ALPHAS, **{**options, "solver": "primal"}).fit(X, Y)
    for other in (folds, primal):
        np.testing.assert_array_equal(one.alpha_, other.alpha_)
        np.testing.assert_allclose(one.cv_scores_, other.cv_scores_, atol=1e-8)
        np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from(["one", "folds"]))
def test_primal_is_kernel_for_any_data(seed, n_folds, decomposition):
    X, Y = make(24, 10, t=3, seed=seed)
    order = np.random.default_rng(seed).permutation(24)
    cv = [(np.setdiff1d(order, part), part) for part in np.array_split(order, n_folds)]
    primal = RidgeCV(ALPHAS, cv=cv, solver="primal", **OPTIONS).fit(X, Y)
    dual = RidgeCV(ALPHAS, cv=cv, solver="kernel", decomposition=decomposition, **OPTIONS).fit(X, Y)
    np.testing.assert_allclose(primal.cv_scores_, dual.cv_scores_, atol=1e-9)
    same = primal.alpha_ == dual.alpha_
    np.testing.assert_allclose(primal.coef_[same], dual.coef_[same], atol=1e-8)


def test_a_purge_takes_a_decomposition_a_fold():
    X, Y = make()
    assert KernelRidgeCV(ALPHAS, cv=4, **OPTIONS).fit(X, Y).report_["decomposition"] == "one"
    purged = KernelRidgeCV(ALPHAS, cv=4, purge=1, **OPTIONS).fit(X, Y)
    assert purged.report_["decomposition"] == "folds"
    with pytest.raises(
        InvalidValueError, match="decomposition='one' needs the kernel form, folds that partition"
    ):
        KernelRidgeCV(ALPHAS, cv=4, purge=1, decomposition="one", **OPTIONS).fit(X, Y)


def test_dual_weights_equal_scikit_learn_without_an_intercept():
    X, Y = make()
    model = KernelRidgeCV(ALPHAS, fit_intercept=False, **OPTIONS).fit(X, Y)
    theirs = KernelRidge(alpha=model.alpha_).fit(X, Y)
    np.testing.assert_allclose(model.dual_coef_, theirs.dual_coef_, atol=1e-8)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_selection_and_dual_weights_equal_himalaya(dtype):
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV as Theirs
    from himalaya.scoring import r2_score

    set_backend("numpy")
    X, Y = (each.astype(dtype) for each in make(t=20))
    params = {"score_func": r2_score}
    theirs = Theirs(alphas=ALPHAS, fit_intercept=True, cv=KFold(5), solver_params=params, warn=False).fit(
        X, Y
    )
    ours = KernelRidgeCV(ALPHAS, cv=KFold(5), **OPTIONS).fit(X, Y)
    np.testing.assert_allclose(ours.alpha_, theirs.best_alphas_, rtol=1e-5)
    np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=1e-8 if dtype == "float64" else 2e-3)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_kernels_by_name_by_function_and_precomputed_are_one(fit_intercept):
    X, Y = make(p=5)
    new = make(9, 5, seed=1)[0]
    options = {**OPTIONS, "fit_intercept": fit_intercept}
    named = KernelRidgeCV(ALPHAS, kernel="rbf", kernel_params={"gamma": 0.1}, **options).fit(X, Y)
    called = KernelRidgeCV(ALPHAS, kernel=lambda a, b: rbf_kernel(a, b, gamma=0.1), **options).fit(X, Y)
    given_ = KernelRidgeCV(ALPHAS, kernel="precomputed", **options).fit(rbf_kernel(X, gamma=0.1), Y)
    for other, rows in ((called, new), (given_, rbf_kernel(new, X, gamma=0.1))):
        np.testing.assert_allclose(other.dual_coef_, named.dual_coef_, atol=1e-10)
        np.testing.assert_allclose(other.predict(rows), named.predict(new), atol=1e-10)
    if not fit_intercept:
        theirs = KernelRidge(alpha=named.alpha_, kernel="rbf", gamma=0.1).fit(X, Y)
        np.testing.assert_allclose(named.predict(new), theirs.predict(new), atol=1e-9)
    assert not hasattr(named, "coef_")


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_precomputed_linear_kernel_predicts_as_the_features_do(fit_intercept):
    X, Y = make()
    new = make(9, seed=1)[0]
    options = {**OPTIONS, "fit_intercept": fit_intercept, "missing": "group"}
    Y[3:6, 1] = np.nan
    a = KernelRidgeCV(ALPHAS, **options).fit(X, Y)
    b = KernelRidgeCV(ALPHAS, kernel="precomputed", **options).fit(X @ X.T, Y)
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    np.testing.assert_allclose(a.predict(new), b.predict(new @ X.T), atol=1e-8)
    np.testing.assert_array_equal(a.dual_coef_[3:6, 1], 0)


def test_kernels_that_are_none_are_refused():
    X, Y = make()
    with pytest.raises(ShapeError, match=r"must be square; got \(40, 70\)"):
        KernelRidgeCV(ALPHAS, kernel="precomputed", **OPTIONS).fit(X, Y)
    with pytest.raises(InvalidValueError, match="must be symmetric"):
        KernelRidgeCV(ALPHAS, kernel="precomputed", **OPTIONS).fit(X[:, :40], Y)
    with pytest.raises(InvalidValueError, match="kernel 'nonsense' cannot be computed"):
        KernelRidgeCV(ALPHAS, kernel="nonsense", **OPTIONS).fit(X, Y)
    with pytest.raises(ShapeError, match=r"kernel\(X, Z\) must return \(40, 40\); got \(40, 70\)"):
        KernelRidgeCV(ALPHAS, kernel=lambda a, b: a, **OPTIONS).fit(X, Y)
