"""Ridge: scikit-learn and himalaya as oracles, identities, edges, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge

from neuroalign import stats
from neuroalign.encoding import AlphaEdgeWarning, RidgeCV, contiguous_splits
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

ALPHAS = np.logspace(-2, 4, 7)
SHAPES = {"tall": (80, 6), "wide": (40, 90), "square": (40, 40)}


def make(n, p, t=8, seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 3
    return X, X @ rng.standard_normal((p, t)) / np.sqrt(p) + noise * rng.standard_normal((n, t)) + 5


def ridge(alphas=ALPHAS, **kwargs):
    return RidgeCV(alphas, edge_tolerance=1.0, **kwargs)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("solver", ["primal", "kernel"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_coefficients_equal_scikit_learn_at_the_chosen_alphas(shape, solver, fit_intercept):
    X, Y = make(*SHAPES[shape])
    model = ridge(solver=solver, fit_intercept=fit_intercept).fit(X, Y)
    theirs = Ridge(alpha=model.alpha_, fit_intercept=fit_intercept, solver="svd").fit(X, Y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), atol=1e-8)
    np.testing.assert_allclose(model.intercept_, np.broadcast_to(theirs.intercept_, 8), atol=1e-8)


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_selection_equals_a_slow_loop_over_folds_and_alphas(shape, scoring):
    X, Y = make(*SHAPES[shape])
    splits = contiguous_splits(len(X), 4, purge=2)
    score = {"r2": stats.r2, "pearson": stats.pearson_r, "neg_mse": lambda y, p: -stats.mse(y, p)}[scoring]
    slow = np.mean(
        [
            [
                score(Y[test], Ridge(alpha=a, solver="svd").fit(X[train], Y[train]).predict(X[test]))
                for a in ALPHAS
            ]
            for train, test in splits
        ],
        axis=0,
    )
    model = ridge(cv=splits, scoring=scoring).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, ALPHAS[slow.argmax(axis=0)])
    np.testing.assert_allclose(model.cv_scores_, slow.max(axis=0), atol=1e-8)
    np.testing.assert_array_equal(ridge(cv=4, purge=2, scoring=scoring).fit(X, Y).alpha_, model.alpha_)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_selection_equals_himalaya_on_the_same_folds(shape):
    from himalaya.ridge import RidgeCV as Theirs
    from himalaya.scoring import r2_score
    from sklearn.model_selection import KFold

    X, Y = make(*SHAPES[shape], t=30)
    theirs = Theirs(
        alphas=ALPHAS, fit_intercept=True, cv=KFold(5), solver_params={"score_func": r2_score, "warn": False}
    ).fit(X, Y)
    ours = ridge(cv=list(KFold(5).split(X))).fit(X, Y)
    np.testing.assert_allclose(ours.alpha_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_.T, atol=1e-8)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_primal_equals_kernel(shape):
    X, Y = make(*SHAPES[shape])
    a, b = (ridge(solver=solver).fit(X, Y) for solver in ("primal", "kernel"))
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-9)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, atol=1e-9)


def test_the_smaller_decomposition_is_taken_and_named():
    assert ridge().fit(*make(*SHAPES["tall"])).solver_.startswith("primal (6 features, 80 rows); float64")
    assert ridge().fit(*make(*SHAPES["wide"])).solver_.startswith("kernel (90 features, 40 rows); float64")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_huge_alpha_gives_0_and_alpha_0_gives_least_squares(seed):
    X, Y = make(30, 4, seed=seed)
    np.testing.assert_allclose(ridge([1e14]).fit(X, Y).coef_, 0, atol=1e-9)
    np.testing.assert_allclose(ridge([0.0]).fit(X, Y).coef_, LinearRegression().fit(X, Y).coef_, atol=1e-8)


def test_order_of_rows_within_folds_changes_nothing(rng):
    X, Y = make(60, 10)
    splits = contiguous_splits(60, 3)
    shuffled = [(rng.permutation(train), rng.permutation(test)) for train, test in splits]
    a, b = ridge(cv=splits).fit(X, Y), ridge(cv=shuffled).fit(X, Y)
    np.testing.assert_array_equal(a.alpha_, b.alpha_)
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-12)


def test_each_target_is_fitted_as_if_it_were_alone():
    X, Y = make(50, 70, t=3)
    together = ridge().fit(X, Y)
    alone = ridge().fit(X, Y[:, 1])
    assert alone.coef_.shape == (70,)
    assert alone.predict(X).shape == (50,)
    np.testing.assert_allclose(alone.coef_, together.coef_[1], atol=1e-12)
    assert alone.alpha_[0] == together.alpha_[1]


def test_blocks_of_targets_change_nothing():
    X, Y = make(40, 60, t=9)
    whole = ridge().fit(X, Y)
    parts = ridge(target_block=2).fit(X, Y)
    np.testing.assert_array_equal(parts.alpha_, whole.alpha_)
    np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-12)


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
def test_a_constant_target_is_nan_counted_and_gets_the_largest_alpha(scoring):
    X, Y = make(60, 5)
    Y[:, 2] = 0.1
    model = ridge(scoring=scoring).fit(X, Y)
    assert np.isnan(model.cv_scores_).tolist() == [i == 2 for i in range(8)]
    assert model.n_undefined_ == 1
    assert model.alpha_[2] == ALPHAS.max()
    np.testing.assert_array_equal(model.coef_[2], 0)
    np.testing.assert_allclose(model.predict(X)[:, 2], 0.1)


def test_a_target_that_is_constant_in_one_fold_is_scored_on_the_others():
    X, Y = make(60, 5)
    Y[:12, 0] = 7.0
    splits = contiguous_splits(60, 5)
    model = ridge(cv=splits).fit(X, Y)
    slow = [
        stats.r2(Y[test], Ridge(alpha=model.alpha_[0]).fit(X[train], Y[train]).predict(X[test]))[0]
        for train, test in splits
    ]
    assert np.isnan(slow[0])
    assert model.cv_scores_[0] == pytest.approx(np.nanmean(slow), abs=1e-8)


def test_alphas_at_the_edge_are_warned_of_with_their_share():
    X, Y = make(60, 5)
    Y[:, :6] = np.random.default_rng(3).standard_normal((60, 6))
    with pytest.warns(
        AlphaEdgeWarning, match=r"% of 8 targets chose an alpha at an edge of the grid \(1 to 10\)"
    ):
        model = RidgeCV([1.0, 3.0, 10.0]).fit(X, Y)
    at_edge = np.isin(model.alpha_, [1.0, 10.0]).mean()
    assert model.edge_share_ == at_edge > 0.1


def test_order_and_repetition_of_alphas_change_nothing():
    X, Y = make(60, 5)
    a, b = ridge([1.0, 10.0, 100.0]).fit(X, Y), ridge([100.0, 1.0, 10.0, 1.0]).fit(X, Y)
    np.testing.assert_array_equal(a.alpha_, b.alpha_)


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-8), ("auto", 2e-5)])
def test_a_large_offset_in_float32_costs_no_digits(dtype, atol):
    X, Y = make(80, 10)
    shifted = (X + 1e3).astype(np.float32), (Y + 1e3).astype(np.float32)
    a = ridge(dtype=dtype).fit(*shifted)
    b = ridge().fit(*(x.astype(np.float64) - 1e3 for x in shifted))
    assert a.coef_.dtype == ("float32" if dtype == "auto" else "float64")
    np.testing.assert_allclose(a.coef_, b.coef_, atol=atol)
    np.testing.assert_array_equal(a.alpha_, b.alpha_)


def test_fit_does_not_edit_its_arguments():
    X, Y = make(40, 60)
    before = X.copy(), Y.copy()
    ridge().fit(X, Y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_an_estimator_can_be_cloned_and_asked_for_its_parameters():
    model = ridge([1.0], cv=3, solver="kernel")
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(cv=4).cv == 4


def test_wrong_alphas_are_refused_with_their_position():
    X, Y = make(20, 3)
    with pytest.raises(InvalidValueError, match=r"non-negative and finite; got -1\.0 at position 1"):
        ridge([1.0, -1.0]).fit(X, Y)
    with pytest.raises(InvalidValueError, match="got nan at position 0"):
        ridge([np.nan]).fit(X, Y)


@pytest.mark.parametrize("solver", ["primal", "kernel"])
def test_alpha_0_on_a_rank_deficient_design_is_refused_with_the_rank(solver):
    X, Y = make(40, 5)
    X[:, 4] = X[:, 3] - X[:, 2]
    with pytest.raises(InvalidValueError, match="have rank 4 of 5 features"):
        ridge([0.0, 1.0], solver=solver).fit(X, Y)


def test_wrong_data_are_refused_with_position():
    X, Y = make(20, 3)
    with pytest.raises(ShapeError, match="the same rows; got 20 and 19"):
        ridge().fit(X, Y[1:])
    X[4, 1] = np.inf
    with pytest.raises(InvalidValueError, match=r"X must be finite.*\(4, 1\)"):
        ridge().fit(X, Y)
    Y[3, 2] = np.nan
    with pytest.raises(InvalidValueError, match=r"Y must be finite.*\(3, 2\)"):
        ridge().fit(np.zeros((20, 3)), Y)
    with pytest.raises(InvalidValueError, match="solver must be one of 'auto', 'primal', 'kernel'"):
        ridge(solver="svd").fit(*make(20, 3))
    with pytest.raises(ShapeError, match="the 3 features of fit; got 2"):
        ridge().fit(*make(20, 3)).predict(np.zeros((4, 2)))


def test_labelled_rows_in_another_order_are_refused():
    X, Y = make(20, 3)
    X = xr.DataArray(X, dims=("time", "feature"), coords={"time": np.arange(20.0)})
    Y = xr.DataArray(Y, dims=("time", "neuroid"), coords={"time": np.arange(20.0)})
    np.testing.assert_array_equal(ridge().fit(X, Y).coef_, ridge().fit(X.values, Y.values).coef_)
    with pytest.raises(LabelError, match="carry other labels of 'time'"):
        ridge().fit(X, Y[::-1])


@pytest.mark.parametrize(
    ("cv", "text"),
    [
        ([([0, 1, 2], [2, 3])], "1 rows of fold 0 are trained and tested on"),
        ([([0, 1], [99])], "test rows of fold 0 must be unique and 0 to 19"),
        ([([], [1])], "fold 0 needs training row numbers"),
        ([], "at least one fold"),
        (1, "n_splits must be an integer from 2"),
    ],
)
def test_wrong_folds_are_refused(cv, text):
    with pytest.raises(InvalidValueError, match=text):
        ridge(cv=cv).fit(*make(20, 3))


@pytest.mark.goal("R11", "alphas and weights of ridge")
@pytest.mark.parametrize("shape", [*SHAPES, "one target"])
def test_float32_selects_and_weighs_as_float64_does(shape):
    X, Y = make(*SHAPES.get(shape, (80, 6)), t=1 if shape == "one target" else 40)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    a, b = ridge().fit(X, Y), ridge(dtype="float64").fit(X, Y)
    assert (a.report_["dtype"], b.report_["dtype"]) == ("float32", "float64")
    # Selection may differ where the scores do not.
    rivals = ridge(cv=5, dtype="float64").fit(X, Y)
    same = a.alpha_ == b.alpha_
    np.testing.assert_allclose(a.cv_scores_, rivals.cv_scores_, rtol=1e-5, atol=1e-6)
    assert same.mean() > 0.95
    assert np.abs(a.coef_ - b.coef_)[same].max() < 1e-5 * np.abs(b.coef_).max()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_neither_blocks_nor_the_order_of_rows_within_folds_matter(seed, block):
    rng = np.random.default_rng(seed)
    X, Y = make(30, 6, t=7, seed=seed)
    splits = contiguous_splits(30, 3)
    shuffled = [(rng.permutation(train), rng.permutation(test)) for train, test in splits]
    a, b = ridge(cv=splits).fit(X, Y), ridge(cv=shuffled, target_block=block).fit(X, Y)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, atol=1e-10)
    same = a.alpha_ == b.alpha_
    np.testing.assert_allclose(a.coef_[same], b.coef_[same], atol=1e-10)


@pytest.mark.parametrize("solver", ["primal", "kernel"])
def test_a_shared_alpha_is_that_of_the_best_mean_score(solver):
    X, Y = make(60, 30, t=12)
    Y[:, 3] = 1.0
    shared = ridge(shared_alpha=True, solver=solver, target_block=5).fit(X, Y)
    means = [np.nanmean(ridge([alpha], solver=solver).fit(X, Y).cv_scores_) for alpha in ALPHAS]
    assert set(shared.alpha_) == {ALPHAS[int(np.argmax(means))]}
    assert np.nanmean(shared.cv_scores_) == pytest.approx(max(means))


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_test_rows_as_noise_change_nothing_that_is_fitted_on_the_others():
    X, Y = make(60, 10)
    train, test = contiguous_splits(60, 3)[1]
    inner = [(train[:30], train[30:])]
    noisy_X, noisy_Y = X.copy(), Y.copy()
    noisy_X[test], noisy_Y[test] = 1e3, np.random.default_rng(1).standard_normal((20, 8))
    a, b = (ridge(cv=inner).fit(*each) for each in ((X, Y), (noisy_X, noisy_Y)))
    np.testing.assert_allclose(
        a.cv_scores_[a.alpha_ == b.alpha_], b.cv_scores_[a.alpha_ == b.alpha_], atol=1e-6
    )


def test_a_splitter_is_given_the_groups():
    from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

    X, Y = make(60, 5)
    groups = np.repeat(["a", "b", "c"], 20)
    a = ridge(cv=LeaveOneGroupOut()).fit(X, Y, groups=groups)
    b = ridge(cv=[(np.flatnonzero(groups != g), np.flatnonzero(groups == g)) for g in "abc"]).fit(X, Y)
    np.testing.assert_array_equal(a.coef_, b.coef_)
    with pytest.raises(InvalidValueError, match=r"groups need a splitter .* GroupKFold\(5\); got cv=5"):
        ridge().fit(X, Y, groups=groups)
    with pytest.raises(ValueError, match="groups"):
        ridge(cv=GroupKFold(4)).fit(X, Y, groups=groups)


def test_groups_reach_the_splitter_through_a_pipeline():
    from sklearn import config_context
    from sklearn.model_selection import LeaveOneGroupOut
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, Y = make(60, 5)
    groups = np.repeat([0, 1, 2], 20)
    with config_context(enable_metadata_routing=True):
        model = ridge(cv=LeaveOneGroupOut()).set_fit_request(groups=True)
        fitted = make_pipeline(StandardScaler(), model).fit(X, Y, groups=groups)
    alone = ridge(cv=LeaveOneGroupOut()).fit(StandardScaler().fit_transform(X), Y, groups=groups)
    np.testing.assert_array_equal(fitted[-1].coef_, alone.coef_)


def test_what_was_chosen_is_reported_with_its_reason():
    model = ridge(device="cpu", target_block=3).fit(*make(60, 5))
    report = model.report_
    assert model.solver_ == "primal (5 features, 60 rows); float64, blocks of 3 targets, cpu, about 0.0 MB"
    assert (report["target_block"], report["why"]["target_block"]) == (3, "asked for")
    assert report["why"]["device"] == "asked for"
    assert report["why"]["dtype"] == "data are float64 and float64"
    assert report["peak_bytes"] > 0
    assert report["alphas"] == sorted(ALPHAS, reverse=True)
    auto = ridge(device="auto").fit(*make(60, 5)).report_
    assert auto["why"]["device"] == f"{auto['device'].split(':')[0]} is what there is"


def test_a_block_that_does_not_fit_a_gpu_is_halved(monkeypatch):
    import torch

    from neuroalign.encoding.solvers import FoldSolver

    select, seen = FoldSolver.select, []

    def small(self, Y, best=None):
        seen.append(Y.shape[1])
        if Y.shape[1] > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return select(self, Y, best)

    X, Y = make(40, 5, t=7)
    whole = ridge(device="cpu").fit(X, Y)
    monkeypatch.setattr(FoldSolver, "select", small)
    parts = ridge(device="cpu").fit(X, Y)
    assert seen == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert parts.report_["target_block"] == 1
    np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-12)


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a GPU")
def test_a_gpu_where_there_is_none_is_refused():
    with pytest.raises(
        InvalidValueError, match="device 'cuda' was asked for, but 0 CUDA devices are visible"
    ):
        ridge(device="cuda").fit(*make(20, 3))


@pytest.mark.goal("R15", "ridge")
@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="there is no GPU")
@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_gpu_gives_what_the_cpu_gives(shape, tf32):
    X, Y = (each.astype(np.float32) for each in make(*SHAPES[shape], t=50))
    a, b = ridge(device="cpu").fit(X, Y), ridge(device="cuda", tf32=tf32).fit(X, Y)
    same = a.alpha_ == b.alpha_
    assert same.mean() > 0.9
    np.testing.assert_allclose(a.coef_[same], b.coef_[same], atol=1e-4)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"dtype": "float16"}, "dtype must be one of 'auto', 'float32', 'float64'"),
        ({"decomposition": "two"}, "decomposition must be one of 'auto', 'folds', 'one'"),
        ({"compress": "yes"}, "compress must be 'auto', True or False; got 'yes'"),
        ({"target_block": 0}, "target_block must be a positive integer or None; got 0"),
        ({"scoring": "mse"}, "scoring must be one of 'r2', 'pearson', 'neg_mse'"),
    ],
)
def test_wrong_options_are_refused(option, text):
    with pytest.raises(InvalidValueError, match=text):
        ridge(**option).fit(*make(20, 3))


@pytest.mark.parametrize("name", ["RidgeCV", "KernelRidgeCV"])
def test_the_contract_of_scikit_learn_is_kept(name):
    from sklearn.utils.estimator_checks import check_estimator

    from neuroalign.encoding.kernel import KernelRidgeCV

    estimator = {"RidgeCV": RidgeCV, "KernelRidgeCV": KernelRidgeCV}[name]
    # No exception is needed; the array API is skipped by scikit-learn where it is not switched on.
    found = check_estimator(estimator([0.1, 1.0], cv=2, edge_tolerance=1, device="cpu"), on_skip=None)
    assert {each["status"] for each in found} <= {"passed", "skipped"}
