"""Banded ridge: slow loops, ridge and himalaya as oracles, bands that are off, gradient search, labels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import check_estimator

from neuroalign import stats
from neuroalign.encoding import RidgeCV, contiguous_splits, evaluate
from neuroalign.encoding import band_gradient as gradient
from neuroalign.encoding.band_scores import Bands, one_is_cheaper
from neuroalign.encoding.band_search import draw_candidates
from neuroalign.encoding.banded import BandedRidgeCV
from neuroalign.encoding.bands import band_of, columns_of, join_bands, take_bands, with_bands
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

ALPHAS = np.logspace(-1, 4, 6)
SHAPES = {"tall": (80, (4, 6, 5)), "wide": (40, (30, 20, 25))}
NAMES = ("a", "b", "c")
OBJECTS = {"check_dtype_object": "arrays of objects are refused, not converted"}
GAMMAS = np.array([[0.2, 0.3, 0.5], [0.98, 0.01, 0.01], [0.01, 0.01, 0.98], [0.45, 0.54, 0.01]])


def make(shape="tall", t=10, seed=0):
    """Return features, targets that need the first two bands in different shares, and the labels of bands."""
    n, sizes = SHAPES[shape]
    rng = np.random.default_rng(seed)
    bands = np.repeat(NAMES, sizes)
    X = rng.standard_normal((n, sum(sizes))) + 1
    share = {"a": np.linspace(0, 2, t), "b": np.linspace(2, 0, t), "c": np.zeros(t)}
    weights = rng.standard_normal((X.shape[1], t)) * np.stack([share[band] for band in bands])
    signal = X @ weights / np.sqrt(sizes[0])
    return X, signal + rng.standard_normal((n, t)) + 5, bands.tolist()


def banded(bands, alphas=ALPHAS, **kwargs):
    return BandedRidgeCV(alphas, bands=bands, edge_tolerance=1.0, **kwargs)


def ridge(alphas=ALPHAS, **kwargs):
    return RidgeCV(alphas, edge_tolerance=1.0, **kwargs)


@pytest.mark.parametrize("solver", ["primal", "kernel"])
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_band_alone_is_ridge_on_that_band(shape, solver, fit_intercept):
    X, Y, bands = make(shape)
    at = np.flatnonzero(np.array(bands) == "b")
    found = banded(bands, weights=[[0, 1, 0]], solver=solver, fit_intercept=fit_intercept).fit(X, Y)
    alone = ridge(fit_intercept=fit_intercept).fit(X[:, at], Y)
    np.testing.assert_array_equal(found.alpha_, alone.alpha_)
    np.testing.assert_allclose(found.coef_[:, at], alone.coef_, atol=1e-9)
    np.testing.assert_array_equal(np.delete(found.coef_, at, axis=1), 0)
    np.testing.assert_allclose(found.cv_scores_, alone.cv_scores_, atol=1e-9)
    np.testing.assert_allclose(found.predict(X), alone.predict(X[:, at]), atol=1e-9)
    assert np.isneginf(found.deltas_[:, [0, 2]]).all()


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.floats(0.01, 100.0), st.integers(0, 100))
def test_equal_weights_are_ridge_on_all_features_at_alpha_over_the_weight(shape, weight, seed):
    X, Y, bands = make(shape, t=4, seed=seed)
    found = banded(bands, ALPHAS * weight, weights=np.full((1, 3), weight)).fit(X, Y)
    whole = ridge().fit(X, Y)
    np.testing.assert_allclose(found.alpha_, whole.alpha_ * weight, rtol=1e-12)
    np.testing.assert_allclose(found.coef_, whole.coef_, atol=1e-8)


def test_one_band_is_ridge():
    X, Y, _ = make()
    found = banded("one").fit(X, Y)
    np.testing.assert_array_equal(found.alpha_, ridge().fit(X, Y).alpha_)
    np.testing.assert_allclose(found.coef_, ridge().fit(X, Y).coef_, atol=1e-9)
    assert found.candidates_.tolist() == [[1.0]]


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_selection_equals_a_slow_loop_over_candidates_folds_and_alphas(shape, scoring):
    X, Y, bands = make(shape)
    splits = contiguous_splits(len(X), 4, purge=2)
    score = {"r2": stats.r2, "pearson": stats.pearson_r, "neg_mse": lambda y, p: -stats.mse(y, p)}[scoring]
    number = np.array([NAMES.index(band) for band in bands])
    descending = ALPHAS[::-1]
    slow = np.empty((len(GAMMAS), len(ALPHAS), Y.shape[1]))
    for i, gamma in enumerate(GAMMAS):
        Z = X * np.sqrt(gamma[number])
        for j, alpha in enumerate(descending):
            models = [Ridge(alpha=alpha, solver="svd").fit(Z[train], Y[train]) for train, _ in splits]
            folds = zip(models, splits, strict=True)
            slow[i, j] = np.mean([score(Y[test], m.predict(Z[test])) for m, (_, test) in folds], axis=0)
    best = slow.reshape(-1, Y.shape[1]).argmax(axis=0)
    found = banded(bands, weights=GAMMAS, cv=4, purge=2, scoring=scoring).fit(X, Y)
    np.testing.assert_array_equal(found.band_weights_, GAMMAS[best // len(ALPHAS)])
    np.testing.assert_array_equal(found.alpha_, descending[best % len(ALPHAS)])
    np.testing.assert_allclose(found.cv_scores_, slow.max(axis=(0, 1)), atol=1e-8)
    np.testing.assert_allclose(found.candidate_scores_, slow.max(axis=1).mean(axis=1), atol=1e-8)
    shared = banded(bands, weights=GAMMAS, cv=4, purge=2, scoring=scoring, shared=True).fit(X, Y)
    winner = slow.max(axis=1).mean(axis=1).argmax()
    np.testing.assert_array_equal(shared.band_weights_, np.tile(GAMMAS[winner], (Y.shape[1], 1)))
    np.testing.assert_allclose(shared.cv_scores_, slow[winner].max(axis=0), atol=1e-8)


def himalaya(X, Y, bands, gammas):
    from himalaya.backend import set_backend
    from himalaya.ridge import solve_group_ridge_random_search
    from himalaya.scoring import r2_score

    set_backend("numpy")
    return solve_group_ridge_random_search(
        [X[:, at] for at in columns_of(np.array(bands)).values()],
        Y,
        n_iter=gammas,
        alphas=ALPHAS,
        fit_intercept=True,
        score_func=r2_score,
        cv=KFold(5),
        return_weights=True,
        progress_bar=False,
        warn=False,
    )


@pytest.mark.parametrize("shape", list(SHAPES))
def test_search_and_weights_equal_himalaya(shape):
    X, Y, bands = make(shape, t=30)
    deltas, coef, scores, intercept = himalaya(X, Y, bands, GAMMAS)
    found = banded(bands, weights=GAMMAS, cv=list(KFold(5).split(X))).fit(X, Y)
    assert len(np.unique(found.band_weights_, axis=0)) > 1
    np.testing.assert_allclose(found.deltas_, deltas.T, atol=1e-10)
    np.testing.assert_allclose(found.coef_, coef.T, atol=1e-8)
    np.testing.assert_allclose(found.intercept_, intercept, atol=1e-8)
    np.testing.assert_allclose(found.cv_scores_, scores.max(axis=0), atol=1e-8)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_weight_of_0_turns_a_band_off_where_himalaya_fails(shape, dtype):
    X, Y, bands = make(shape)
    gammas = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3]])
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="must not contain infs or NaNs"):
        himalaya(X, Y, bands, gammas)
    found = banded(bands, weights=gammas, dtype=dtype).fit(X, Y)
    assert np.isfinite(found.coef_).all()
    off = found.band_weights_[:, 2] == 0
    assert off.any()
    at = np.array(bands) == "c"
    np.testing.assert_array_equal(found.coef_[np.ix_(off, at)], 0)
    without = banded(np.array(bands)[~at].tolist(), weights=gammas[:1, :2]).fit(X[:, ~at], Y)
    np.testing.assert_allclose(found.coef_[np.ix_(off, ~at)], without.coef_[off], atol=1e-8)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("tiny", [1e-60, 1e-300])
def test_a_weight_below_the_range_of_float32_is_as_good_as_0(shape, tiny):
    X, Y, bands = make(shape)
    small = banded(bands, weights=[[0.5, 0.5, tiny]], dtype="float32").fit(X, Y)
    off = banded(bands, weights=[[0.5, 0.5, 0.0]], dtype="float32").fit(X, Y)
    np.testing.assert_array_equal(small.alpha_, off.alpha_)
    np.testing.assert_allclose(small.coef_, off.coef_, atol=1e-8)
    assert np.isfinite(small.cv_scores_).all()


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("search", ["random", "gradient"])
def test_primal_equals_kernel(shape, search):
    X, Y, bands = make(shape)
    a, b = (banded(bands, n_candidates=6, search=search, solver=s).fit(X, Y) for s in ("primal", "kernel"))
    np.testing.assert_allclose(a.band_weights_, b.band_weights_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(a.coef_, b.coef_, atol=1e-7)
    np.testing.assert_allclose(a.cv_scores_, b.cv_scores_, atol=1e-9)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_decomposition_for_all_folds_scores_as_one_a_fold(shape, scoring, fit_intercept, monkeypatch):
    X, Y, bands = make(shape)
    Y[: len(X) // 5, 1] = 3.0
    weights = np.concatenate([GAMMAS, [[0.0, 0.5, 0.5]]])
    found = []
    for one in (True, False):
        monkeypatch.setattr("neuroalign.encoding.band_scores.one_is_cheaper", lambda *_, one=one: one)
        model = banded(bands, weights=weights, scoring=scoring, fit_intercept=fit_intercept)
        found.append(model.fit(X, Y))
    np.testing.assert_array_equal(found[0].alpha_, found[1].alpha_)
    np.testing.assert_array_equal(found[0].band_weights_, found[1].band_weights_)
    np.testing.assert_allclose(found[0].cv_scores_, found[1].cv_scores_, atol=1e-9)


@pytest.mark.parametrize("alpha", [1e-3, 1e-9, 1e-14])
def test_rows_that_decide_a_feature_alone_are_scored_as_by_a_decomposition_a_fold(alpha, monkeypatch):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 36)), rng.standard_normal((40, 3))
    found = []
    for one in (True, False):
        monkeypatch.setattr("neuroalign.encoding.band_scores.one_is_cheaper", lambda *_, one=one: one)
        found.append(banded("one", [alpha]).fit(X, Y))
    np.testing.assert_allclose(found[0].cv_scores_, found[1].cv_scores_, rtol=1e-6)
    np.testing.assert_allclose(found[0].coef_, found[1].coef_, rtol=1e-6, atol=1e-9)


def test_one_decomposition_serves_no_purged_folds_and_few_rows_a_fold_are_cheap():
    X, Y, bands = make()
    problem = Bands(X, Y, list(columns_of(np.array(bands)).values()), False, True, "cpu", "float64")
    assert one_is_cheaper(problem, ALPHAS, contiguous_splits(len(X), 40))
    assert not one_is_cheaper(problem, ALPHAS, contiguous_splits(len(X), 40, purge=1))
    assert not one_is_cheaper(problem, ALPHAS, contiguous_splits(len(X), 2))


@pytest.mark.goal("R11", "alphas and weights of banded ridge")
def test_float32_selects_the_same_and_its_weights_are_those_of_float64():
    X, Y, bands = make("tall", t=40)
    single, double = (banded(bands, n_candidates=10, dtype=d).fit(X, Y) for d in ("float32", "float64"))
    same = (single.band_weights_ == double.band_weights_).all(axis=1) & (single.alpha_ == double.alpha_)
    assert same.mean() > 0.95
    np.testing.assert_allclose(single.coef_[same], double.coef_[same], atol=1e-12)
    np.testing.assert_allclose(single.cv_scores_, double.cv_scores_, atol=1e-5)


def test_the_precision_is_that_of_the_data_where_none_is_asked_for():
    X, Y, bands = make()
    x, y = X.astype(np.float32), Y.astype(np.float32)
    auto, asked = banded(bands).fit(x, y), banded(bands, dtype="float32").fit(x, y)
    np.testing.assert_array_equal(auto.cv_scores_, asked.cv_scores_)
    double = banded(bands, dtype="float64").fit(x, y)
    assert (auto.cv_scores_ != double.cv_scores_).any()
    np.testing.assert_array_equal(banded(bands).fit(x, y.astype(np.float64)).cv_scores_, double.cv_scores_)


def test_order_of_features_changes_nothing(rng):
    X, Y, bands = make()
    order = rng.permutation(X.shape[1])
    a = banded(bands, n_candidates=8).fit(X, Y)
    b = banded([bands[i] for i in order], n_candidates=8).fit(X[:, order], Y)
    np.testing.assert_allclose(b.coef_, a.coef_[:, order], atol=1e-9)
    of_b = [b.bands_.index(name) for name in a.bands_]
    np.testing.assert_allclose(b.band_weights_[:, of_b], a.band_weights_, atol=1e-12)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("search", ["random", "gradient"])
def test_blocks_of_targets_change_nothing(shape, search, monkeypatch):
    X, Y, bands = make(shape, t=4)
    model = banded(bands, n_candidates=3, search=search)
    whole = model.fit(X, Y).coef_
    for name in ("BUDGET", "BLOCK"):
        monkeypatch.setattr(f"neuroalign.encoding.band_search.{name}", 3)
    monkeypatch.setattr("neuroalign.encoding.band_gradient.BUDGET", 1)
    np.testing.assert_allclose(model.fit(X, Y).coef_, whole, atol=1e-9)


def test_one_target_is_fitted_as_if_it_were_among_others():
    X, Y, bands = make()
    together, alone = banded(bands).fit(X, Y), banded(bands).fit(X, Y[:, 3])
    assert alone.coef_.shape == (X.shape[1],)
    assert alone.predict(X).shape == (len(X),)
    np.testing.assert_allclose(alone.coef_, together.coef_[3], atol=1e-10)
    np.testing.assert_array_equal(alone.band_weights_, together.band_weights_[3:4])


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("search", ["random", "gradient"])
def test_a_constant_target_is_nan_and_counted(scoring, search):
    X, Y, bands = make(t=4)
    Y[:, 2] = 0.1
    found = banded(bands, n_candidates=2, scoring=scoring, search=search).fit(X, Y)
    assert np.isnan(found.cv_scores_).tolist() == [False, False, True, False]
    assert found.n_undefined_ == 1
    assert found.alpha_[2] == ALPHAS.max()
    np.testing.assert_array_equal(found.coef_[2], 0)
    np.testing.assert_allclose(found.predict(X)[:, 2], 0.1)


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
def test_slopes_of_the_gradient_search_equal_finite_differences(kernel, scoring, rng):
    X, Y, bands = make("tall", t=3)
    problem = Bands(X, Y, list(columns_of(np.array(bands)).values()), kernel, True, "cpu", "float64")
    every = np.arange(3)
    held = [gradient._held(problem, every, *fold) for fold in contiguous_splits(len(X), 3)]
    at = rng.standard_normal((3, 3)) - 2
    slope = gradient._score_and_slope(held, problem, at, every, scoring)[1]
    for b in range(3):
        step = 1e-5 * np.eye(3)[b]
        up, down = (
            gradient._score_and_slope(held, problem, at + s, every, scoring)[0] for s in (step, -step)
        )
        np.testing.assert_allclose(slope[:, b], (up - down) / 2e-5, rtol=1e-5, atol=1e-8)


def test_gradient_search_is_never_worse_than_its_start_and_its_score_is_that_of_its_weights():
    X, Y, bands = make("tall", t=30)
    start = banded(bands, n_candidates=3).fit(X, Y)
    found = banded(bands, n_candidates=3, search="gradient").fit(X, Y)
    assert (found.cv_scores_ >= start.cv_scores_).all()
    assert found.n_improved_ > 20
    assert (found.cv_scores_ > start.cv_scores_).sum() == found.n_improved_
    for target in (0, 17):
        again = banded(bands, [found.alpha_[target]], weights=found.band_weights_[[target]])
        again.fit(X, Y[:, target])
        assert again.cv_scores_[0] == pytest.approx(found.cv_scores_[target], abs=1e-9)
        np.testing.assert_allclose(again.coef_, found.coef_[target], atol=1e-9)


def test_gradient_search_recovers_planted_scales(rng):
    n, p, t = 600, 30, 40
    X = rng.standard_normal((n, 2 * p))
    sd = np.repeat([1.0, 0.1], p)
    Y = X @ (rng.standard_normal((2 * p, t)) * sd[:, None]) + 2 * rng.standard_normal((n, t))
    bands = ["strong"] * p + ["weak"] * p
    found = banded(bands, np.logspace(-1, 4, 4), n_candidates=0, search="gradient", n_steps=40).fit(X, Y)
    ratio = found.deltas_[:, 0] - found.deltas_[:, 1]
    # Weights of variance v and noise of variance s are best at the penalty s / v: here 4 and 400.
    assert abs(np.median(ratio) - np.log(100)) < 1.0
    assert abs(np.median(-found.deltas_[:, 0]) - np.log(4)) < 1.0


def test_gradient_search_leaves_a_start_where_a_band_is_off(rng):
    X, Y, bands = make("tall", t=6)
    start = banded(bands, weights=[[1, 0, 0]]).fit(X, Y)
    found = banded(bands, weights=[[1, 0, 0]], search="gradient").fit(X, Y)
    needs_b = slice(0, 3)
    assert (found.cv_scores_[needs_b] > start.cv_scores_[needs_b] + 0.1).all()
    assert (found.band_weights_[needs_b, 1] > 0.1).all()


def labelled(shape="tall"):
    X, Y, bands = make(shape)
    times = {"time": 2.0 * np.arange(len(X))}
    X = xr.DataArray(X, dims=("time", "feature"), coords={**times, "band": ("feature", bands)})
    return X, xr.DataArray(Y, dims=("time", "neuroid"), coords=times)


def test_labels_of_a_labelled_array_are_the_bands():
    X, Y = labelled()
    a = banded(None, n_candidates=4).fit(X, Y)
    b = banded(X["band"].values, n_candidates=4).fit(X.values, Y.values)
    np.testing.assert_array_equal(a.coef_, b.coef_)
    assert a.bands_ == b.bands_ == NAMES


def test_evaluate_scores_a_model_that_was_told_the_bands():
    X, Y = labelled()
    splits = contiguous_splits(len(X), 4)
    model = banded(None, n_candidates=2)
    told = with_bands(model, X)
    assert model.bands is None
    assert told.bands == X["band"].values.tolist()
    assert with_bands(told, X) is told
    found = evaluate(told, X, Y, splits=splits, metric="r2")
    train, test = splits[1]
    mean, sd = X.values[train].mean(axis=0), X.values[train].std(axis=0)
    fitted = told.fit((X.values[train] - mean) / sd, Y.values[train])
    expected = stats.r2(Y.values[test], fitted.predict((X.values[test] - mean) / sd))
    np.testing.assert_allclose(found[1], expected, atol=1e-10)


class Recorder(BandedRidgeCV):
    seen: list = []  # noqa: RUF012

    def fit(self, X, Y):
        super().fit(X, Y)
        self.seen.append((self.coef_, self.alpha_, self.band_weights_, self.cv_scores_))
        return self


@pytest.mark.goal("R19", "fits of the room's own tests")
@pytest.mark.parametrize("search", ["random", "gradient"])
def test_replacing_test_rows_by_noise_changes_nothing_that_is_fitted(search, rng):
    X, Y = labelled()
    train, test = contiguous_splits(len(X), 4, purge=3)[2]
    outside = np.setdiff1d(np.arange(len(X)), train)
    noisy_X, noisy_Y = X.copy(deep=True), Y.copy(deep=True)
    noisy_X[outside] = 1e3 * rng.standard_normal((len(outside), X.shape[1]))
    noisy_Y[outside] = 1e3 * rng.standard_normal((len(outside), Y.shape[1]))
    Recorder.seen = []
    for x, y in ((X, Y), (noisy_X, noisy_Y)):
        model = with_bands(Recorder(ALPHAS, search=search, n_candidates=3, edge_tolerance=1), x)
        evaluate(model, x, y, splits=[(train, test)])
    for a, b in zip(*Recorder.seen, strict=True):
        np.testing.assert_array_equal(a, b)


def test_candidates_are_on_the_simplex_and_prefer_few_bands_at_low_concentration(rng):
    found = draw_candidates(4, 200, concentration=[0.05, 50.0], rng=rng)
    assert found.shape == (205, 4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[0].tolist() == [0.25] * 4
    np.testing.assert_array_equal(found[1:5], np.eye(4))
    largest = found[5:].max(axis=1)
    assert np.median(largest[::2]) > 0.9
    assert np.median(largest[1::2]) < 0.5


def test_the_seed_decides_the_candidates():
    X, Y, bands = make()
    one, same, other = (banded(bands, n_candidates=3, seed=s).fit(X, Y).candidates_ for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_labelled_candidates_are_found_by_name():
    X, Y, bands = make()
    weights = xr.DataArray(GAMMAS[:, [2, 0, 1]], dims=("candidate", "band"), coords={"band": ["c", "a", "b"]})
    np.testing.assert_array_equal(banded(bands, weights=weights).fit(X, Y).candidates_, GAMMAS)
    with pytest.raises(LabelError, match="with the bands 'a', 'b', 'c'"):
        banded(bands, weights=weights.isel(band=[0, 1])).fit(X, Y)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"weights": [[0.5, 0.5]]}, r"weights must be \(n_candidates, 3\)"),
        ({"weights": [[1, 0, -1]]}, r"must not be negative; got -1 at position \(0, 2\)"),
        ({"weights": [[1, 0, 0], [0, 0, 0]]}, "candidate 1 has every band at 0"),
        ({"alphas": [1.0, 0.0]}, "alphas must be positive"),
        ({"search": "grid"}, "search must be one of 'random', 'gradient'; got 'grid'"),
        ({"dtype": "float16"}, "dtype must be one of 'auto', 'float32', 'float64'"),
        ({"shared": True, "search": "gradient"}, "shared weights are found by random search only"),
        ({"n_candidates": -1}, "n_candidates must be a non-negative integer; got -1"),
        ({"concentration": [1.0, 0.0]}, "concentration must be positive"),
        ({"bands": ["a", "b"]}, "one label for each of 15 features"),
        ({"bands": None}, "bands are unknown"),
        ({"cv": None}, "cv=None"),
    ],
)
def test_what_makes_no_search_is_refused(kwargs, text):
    X, Y, bands = make()
    with pytest.raises((InvalidValueError, ShapeError, LabelError), match=text):
        banded(**{"bands": bands, **kwargs}).fit(X, Y)


@pytest.mark.parametrize("search", ["random", "gradient"])
def test_scikit_learn_accepts_the_estimator(search):
    model = BandedRidgeCV(bands="one", cv=2, search=search, edge_tolerance=1, n_steps=3)
    found = check_estimator(model, expected_failed_checks=OBJECTS, on_skip=None)
    assert sum(check["status"] == "passed" for check in found) > 30
    assert {check["status"] for check in found} <= {"passed", "xfail", "skipped"}


def test_bands_are_joined_by_label():
    times = np.arange(4.0)
    a = xr.DataArray(np.arange(8.0).reshape(4, 2), dims=("time", "pixel"), coords={"time": times})
    b = xr.DataArray(times[::-1, None], dims=("time", "feature"), coords={"time": times[::-1]})
    X = join_bands({"low": a, "rate": b})
    assert X.dims == ("time", "feature")
    assert X["band"].values.tolist() == ["low", "low", "rate"]
    np.testing.assert_array_equal(X.values[:, 2], times)
    np.testing.assert_array_equal(take_bands(X, ["low"]).values, a.values)
    with pytest.raises(LabelError, match="labels of 'time' are not in rate"):
        join_bands({"low": a, "rate": b[:3]})
    assert join_bands({"low": a, "rate": b[:3]}, how="inner").sizes["time"] == 3


def test_coordinates_that_all_bands_have_are_kept():
    from neuroalign.encoding import delay

    X = xr.DataArray(
        np.arange(6.0).reshape(6, 1), dims=("time", "feature"), coords={"time": np.arange(6.0), "run": "a"}
    )
    parts = {name: delay(X, [0, 1], runs=0) for name in ("x", "y")}
    joined = join_bands(parts)
    assert joined["delay"].values.tolist() == [0, 1, 0, 1]
    assert joined["band"].values.tolist() == ["x", "x", "y", "y"]


def test_wrong_bands_are_refused():
    X, _ = labelled()
    with pytest.raises(LabelError, match=r"first at feature 0: 'b' and 'a'"):
        band_of(X, ["b"] * 15)
    with pytest.raises(LabelError, match="the first at position 1: 3"):
        band_of(X.values, ["a", 3, *["b"] * 13])
    with pytest.raises(LabelError, match="no feature is in band 'z'"):
        take_bands(X, ["z"])
    with pytest.raises(ShapeError, match="at least one feature space"):
        join_bands({})
    with pytest.raises(ShapeError, match="a has no features"):
        join_bands({"a": X[:, :0]})
    with pytest.raises(ShapeError, match="a must be a DataArray of 2 dims"):
        join_bands({"a": X.values})
    with pytest.raises(InvalidValueError, match="a feature space needs a name; got ' '"):
        join_bands({" ": X})


def test_one_text_is_no_label_of_each_feature():
    X, Y, _ = make()
    with pytest.raises(LabelError, match="bands must be one label a feature, or \"one\"; got 'all'"):
        banded("all").fit(X, Y)


def test_candidates_may_leave_single_bands_out(rng):
    found = draw_candidates(3, 2, rng=rng, single_bands=False)
    np.testing.assert_allclose(found[0], 1 / 3)
    assert found.shape == (3, 3) and (found < 1).all()
