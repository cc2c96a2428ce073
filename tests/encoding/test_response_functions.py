"""Temporal response functions: lags by hand, ridge on built lags, MNE as an oracle, kernels, leaks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import check_estimator

from neuroalign.encoding import (
    AlphaEdgeWarning,
    BandedRidgeCV,
    RidgeCV,
    TemporalResponseFunction,
    contiguous_splits,
    delay,
    evaluate,
    lag,
    leave_one_run_out,
    nested_splits,
    predict_held_out,
    score_tests,
)
from neuroalign.encoding.lags import LaggedSeries, lag_steps
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

FS = 50.0
ALPHAS = (0.1, 1.0, 10.0, 100.0, 1e3)


def series(runs=(90, 60), f=2, t=3, seed=0, noise=0.5, lags=(-2, 5), smooth=0.0):
    """Return features, responses of a planted kernel (f, n_lags, t), and the kernel."""
    rng = np.random.default_rng(seed)
    n = sum(runs)
    x = rng.standard_normal((n, f))
    for i in range(1, n):
        x[i] += smooth * x[i - 1]
    kernel = rng.standard_normal((f, lags[1] - lags[0] + 1, t))
    run = np.repeat(np.arange(len(runs)), runs)
    columns = built(x, run, range(lags[0], lags[1] + 1))
    y = np.einsum("nlf,flt->nt", columns, kernel) + noise * rng.standard_normal((n, t)) + 2.0
    coords = {"time": np.arange(n) / FS, "run": ("time", run)}
    X = xr.DataArray(x, dims=("time", "feature"), coords={**coords, "feature": [f"f{i}" for i in range(f)]})
    Y = xr.DataArray(y, dims=("time", "neuroid"), coords={**coords, "neuroid": [f"n{i}" for i in range(t)]})
    return X, Y, kernel


def built(x, run, steps):
    """Return lagged features (n, n_lags, f), each by a loop over rows; 0 outside a run."""
    found = np.zeros((len(x), len(steps), x.shape[1]))
    for row in range(len(x)):
        for i, step in enumerate(steps):
            if 0 <= row - step < len(x) and run[row - step] == run[row]:
                found[row, i] = x[row - step]
    return found


def model(tmin=-0.04, tmax=0.1, **options):
    return TemporalResponseFunction(tmin, tmax, **{"edge_tolerance": 1.0, "alphas": ALPHAS, **options})


# lags


@pytest.mark.parametrize(("tmin", "tmax"), [(-0.04, 0.1), (0.02, 0.06), (-0.08, -0.02), (0.0, 0.0)])
def test_lagged_features_are_those_of_a_loop_and_never_of_another_run(tmin, tmax):
    X, _, _ = series()
    steps = lag_steps(tmin, tmax, FS)
    found = lag(X, tmin, tmax)
    np.testing.assert_array_equal(found.values, built(X.values, X["run"].values, steps).reshape(150, -1))
    np.testing.assert_allclose(np.unique(found["lag"]), steps / FS)
    shuffled = X.isel(time=np.random.default_rng(0).permutation(150))
    xr.testing.assert_allclose(lag(shuffled, tmin, tmax).sortby("time"), found)


def test_lags_that_are_not_negative_are_delays():
    X, _, _ = series()
    np.testing.assert_array_equal(lag(X, 0.0, 0.06).values, delay(X, [0, 1, 2, 3]).values)


def test_lags_keep_the_bands_for_banded_ridge():
    X, Y, _ = series(f=3)
    X = X.assign_coords(band=("feature", ["a", "a", "b"]))
    lagged = lag(X, 0.0, 0.04)
    assert lagged["band"].values.tolist() == ["a", "a", "b"] * 3
    splits = leave_one_run_out(X["run"].values)
    banded = BandedRidgeCV(alphas=[1.0, 10.0], n_candidates=3, seed=0, edge_tolerance=1.0)
    assert evaluate(banded, lagged, Y, splits=splits).shape == (2, 3)


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(st.integers(7, 14), min_size=1, max_size=3),
    low=st.integers(-6, 5),
    n_lags=st.integers(1, 6),
    f=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_sums_of_any_rows_are_those_of_the_built_lags(runs, low, n_lags, f, seed):
    rng = np.random.default_rng(seed)
    run = np.repeat(np.arange(len(runs)), runs)
    steps = np.arange(low, min(low + n_lags, 7))
    x, y = rng.standard_normal((len(run), f)), rng.standard_normal((len(run), 2))
    rows = np.flatnonzero(rng.random(len(run)) < 0.7)
    bounds = [
        (int(np.flatnonzero(run == k)[0]), int(np.flatnonzero(run == k)[-1]) + 1) for k in range(len(runs))
    ]
    found = LaggedSeries(x, steps, bounds).moments(y, rows)
    columns = built(x, run, steps).reshape(len(run), -1)[rows]
    np.testing.assert_allclose(found.gram, columns.T @ columns, atol=1e-12)
    np.testing.assert_allclose(found.cross, columns.T @ y[rows], atol=1e-12)
    np.testing.assert_allclose(found.x, columns.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.squares, (y[rows] ** 2).sum(axis=0), atol=1e-12)
    assert found.n == len(rows)


def test_blocks_of_rows_change_nothing(monkeypatch):
    X, Y, _ = series()
    whole = model().fit(X, Y)
    monkeypatch.setattr("neuroalign.encoding.lags.BLOCK", 50)
    parts = model().fit(X, Y)
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.predict(X), whole.predict(X), atol=1e-12)


# the fit


@pytest.mark.parametrize("scoring", ["r2", "pearson", "neg_mse"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("smooth", [0.0, 0.95])
def test_the_fit_is_that_of_ridge_on_built_lags(scoring, fit_intercept, smooth):
    X, Y, _ = series(smooth=smooth, noise=4.0)
    run = X["run"].values
    splits = nested_splits(np.arange(150), 4, runs=run, purge=7)
    ours = model(scoring=scoring, fit_intercept=fit_intercept, cv=4, standardize=False).fit(X, Y)
    centred = X.values - X.values.mean(axis=0) if fit_intercept else X.values
    columns = built(centred, run, range(-2, 6)).reshape(150, -1)
    theirs = RidgeCV(
        ALPHAS, cv=splits, scoring=scoring, fit_intercept=fit_intercept, edge_tolerance=1.0, compress=False
    ).fit(columns, Y.values)
    np.testing.assert_array_equal(ours.alpha_, theirs.alpha_)
    np.testing.assert_allclose(ours.cv_scores_, theirs.cv_scores_, rtol=1e-8)
    coef = theirs.coef_.reshape(3, 8, 2).transpose(0, 2, 1)
    np.testing.assert_allclose(ours.coef_, coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(columns), atol=1e-8)


def test_scikit_learns_ridge_on_lags_of_a_loop_agrees():
    X, Y, _ = series()
    ours = model(alphas=[3.0], cv=None).fit(X, Y)
    x = (X.values - X.values.mean(axis=0)) / X.values.std(axis=0)
    columns = built(x, X["run"].values, range(-2, 6)).reshape(150, -1)
    theirs = Ridge(3.0).fit(columns, Y.values)
    coef = theirs.coef_.reshape(3, 8, 2).transpose(0, 2, 1) / X.values.std(axis=0)[:, None]
    np.testing.assert_allclose(ours.coef_, coef, rtol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)
    assert np.isnan(ours.cv_scores_).all() and (ours.alpha_ == 3.0).all()


@pytest.mark.parametrize(("tmin", "tmax"), [(0.0, 0.1), (-0.1, 0.1), (-0.08, -0.02)])
def test_mnes_receptive_field_agrees(tmin, tmax):
    mne = pytest.importorskip("mne", reason="the eeg extra is not installed")
    X, Y, _ = series(runs=(200,))
    with mne.use_log_level("ERROR"):
        theirs = mne.decoding.ReceptiveField(tmin, tmax, FS, estimator=2.0).fit(X.values, Y.values)
        predicted = theirs.predict(X.values)
    # MNE centres the series and not their lags, which the 0 beyond a border moves a little.
    moved = [array - array.mean("time") for array in (X, Y)]
    options = {"alphas": [2.0], "cv": None, "standardize": False}
    ours = model(tmin, tmax, **options, fit_intercept=False).fit(*moved)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.lags_, theirs.delays_ / FS)
    np.testing.assert_allclose(model(tmin, tmax, **options).fit(X, Y).coef_, theirs.coef_, atol=1e-3)
    # Its predictions take a feature for 0 beyond a border, ours for its mean.
    expected = predicted - Y.values.mean(axis=0)
    np.testing.assert_allclose(ours.predict(moved[0])[10:-10], expected[10:-10], atol=1e-8)


def test_a_planted_kernel_is_found_with_its_sign_and_time():
    X, Y, kernel = series(runs=(600, 600), noise=0.1)
    found = model().fit(X, Y).response_functions_
    assert found.dims == ("neuroid", "feature", "lag")
    np.testing.assert_allclose(found.lag, np.arange(-2, 6) / FS)
    np.testing.assert_allclose(found.transpose("feature", "lag", "neuroid"), kernel, atol=0.03)
    assert found.sel(neuroid="n1", feature="f0").dims == ("lag",)


def test_a_kernel_outside_the_lags_is_not_found():
    X, _, _ = series(runs=(600,))
    Y = X.shift(time=8, fill_value=0.0).rename(feature="neuroid")
    late, early = model(0.14, 0.18).fit(X, Y), model(0.0, 0.1).fit(X, Y)
    assert np.argmax(np.abs(late.coef_[0, 0])) == 1
    assert np.abs(early.coef_).max() < 0.2 < np.abs(late.coef_).max()


def test_reconstruction_reads_later_responses():
    X, Y, _ = series(runs=(400, 400), f=1, t=6, lags=(1, 4), noise=0.3)
    back = model(0.0, 0.12, direction="backward")
    fitted = back.fit(Y, X)
    assert fitted.response_functions_.dims == ("feature", "neuroid", "lag")
    np.testing.assert_allclose(fitted.lags_, np.arange(7) / FS)
    later = lag(Y - Y.mean("time"), -0.12, 0.0)
    scaled = later.values / np.tile(Y.values.std(axis=0), 7)
    expected = Ridge(fitted.alpha_[0]).fit(scaled, X.values[:, 0]).coef_.reshape(7, 6)[::-1].T
    np.testing.assert_allclose(fitted.coef_[0], expected / Y.values.std(axis=0)[:, None], atol=1e-8)
    held_out = predict_held_out(back, Y, X, splits=leave_one_run_out(X["run"].values))
    assert held_out.dims == ("time", "feature")
    assert np.corrcoef(held_out[:, 0], X[:, 0])[0, 1] > 0.8
    wrong_way = predict_held_out(model(0.0, 0.12), Y, X, splits=leave_one_run_out(X["run"].values))
    assert np.corrcoef(wrong_way[:, 0], X[:, 0])[0, 1] < 0.6


def test_one_alpha_for_all_and_folds_of_runs():
    X, Y, _ = series(runs=(60, 60, 60), noise=5.0)
    one = model(shared_alpha=True, cv="runs").fit(X, Y)
    splits = [(train, test) for train, test in leave_one_run_out(X["run"].values)]
    own = model(cv=splits).fit(X, Y)
    scores = [model(alphas=[alpha], cv=splits).fit(X, Y).cv_scores_ for alpha in ALPHAS]
    assert (one.alpha_ == ALPHAS[int(np.argmax(np.mean(scores, axis=1)))]).all()
    np.testing.assert_allclose(own.cv_scores_, np.max(scores, axis=0))


def test_one_dim_of_targets_gives_one_dim_of_predictions():
    X, Y, _ = series()
    one, all_of_them = model().fit(X, Y[:, 0].values), model().fit(X, Y)
    np.testing.assert_allclose(one.coef_, all_of_them.coef_[0], atol=1e-12)
    np.testing.assert_allclose(one.predict(X), all_of_them.predict(X)[:, 0], atol=1e-12)
    assert isinstance(one.intercept_, float)


def test_constant_targets_have_no_score_and_constant_features_no_weight():
    X, Y, _ = series()
    Y[:, 1], X[:, 1] = 3.0, 7.0
    found = model().fit(X, Y)
    assert found.n_undefined_ == 1 and np.isnan(found.cv_scores_[1]) and found.alpha_[1] == 1e3
    np.testing.assert_array_equal(found.coef_[1], 0)
    np.testing.assert_array_equal(found.coef_[:, 1], 0)
    np.testing.assert_allclose(found.predict(X)[:, 1], 3.0)


def test_alphas_at_the_edge_are_warned_about():
    X, Y, _ = series(noise=0.01)
    with pytest.warns(AlphaEdgeWarning, match="chose an alpha at an edge of the grid"):
        TemporalResponseFunction(-0.04, 0.1, alphas=[10.0, 100.0]).fit(X, Y)


# what a fold must not know


def test_rows_that_are_not_fitted_are_read_by_lags_only():
    X, Y, _ = series()
    train, test = contiguous_splits(X["run"].values, 5, purge=7)[1]
    changed = Y.copy(deep=True)
    out = np.setdiff1d(np.arange(150), train)
    changed[out] = np.random.default_rng(9).standard_normal((len(out), 3)) * 1e6
    # Features further from the training rows than any lag are never seen either.
    far = X.copy(deep=True)
    far[test[3:-3]] = 1e6
    before = model(cv=3).fit(X, Y, rows=train)
    for x, y in ((X, changed), (far, Y)):
        after = model(cv=3).fit(x, y, rows=train)
        np.testing.assert_array_equal(before.coef_, after.coef_)
        np.testing.assert_array_equal(before.cv_scores_, after.cv_scores_)


def test_inner_folds_are_purged_by_the_lags():
    X, Y, _ = series()
    fitted = model(cv=4).fit(X, Y)
    purged = nested_splits(np.arange(150), 4, runs=X["run"].values, purge=7)
    np.testing.assert_allclose(fitted.cv_scores_, model(cv=purged).fit(X, Y).cv_scores_)
    loose = nested_splits(np.arange(150), 4, runs=X["run"].values, purge=0)
    np.testing.assert_allclose(
        model(cv=4, purge=0).fit(X, Y).cv_scores_, model(cv=loose).fit(X, Y).cv_scores_
    )


def test_held_out_predictions_are_those_of_the_fold_and_go_to_the_permutation_test():
    X, Y, _ = series(runs=(100, 100, 100), noise=3.0)
    Y[:, 2] = np.random.default_rng(4).standard_normal(300)
    splits = leave_one_run_out(X["run"].values)
    order = np.random.default_rng(0).permutation(300)
    found = predict_held_out(model(), X.isel(time=order), Y, splits=splits)
    assert found["fold"].values.tolist() == np.repeat([0, 1, 2], 100).tolist()
    train, test = splits[1]
    one = model().fit(X, Y, rows=train).predict(X)[test]
    np.testing.assert_allclose(found.values[test], one)
    tests = score_tests(found, Y, n=99, rng=np.random.default_rng(0))
    assert tests.p.values[:2].tolist() == [0.01, 0.01] and tests.p.values[2] > 0.05
    part = predict_held_out(model(), X, Y, splits=contiguous_splits(X["run"].values, 4, purge=7)[:2])
    assert part.sizes["time"] == 150 and part.attrs["n_untested"] == 150


# memory


def test_the_lagged_features_are_never_built():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40_000, 4)), rng.standard_normal((40_000, 2))
    estimator = TemporalResponseFunction(0.0, 0.6, fs=100.0, alphas=[1.0], cv=2, edge_tolerance=1.0)
    estimator.fit(x[:2000], y[:2000])
    tracemalloc.start()
    estimator.fit(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * 8 * 40_000 * 4 * 61


# errors


def test_scikit_learns_checks_pass():
    expected = {
        "check_dtype_object": "arrays of objects are refused, not converted",
        "check_methods_sample_order_invariance": "rows are a series: their order is time",
        "check_methods_subset_invariance": "the rows of a subset have other neighbours in time",
    }
    estimator = TemporalResponseFunction(0.0, 1.0, fs=1.0, alphas=[1e-3, 1.0], cv=2, edge_tolerance=1.0)
    check_estimator(estimator, expected_failed_checks=expected, on_skip=None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tmin": 0.2}, "tmin not above tmax"),
        ({"tmax": np.inf}, "tmax must be a finite number"),
        ({"direction": "sideways"}, "direction must be one of 'forward', 'backward'"),
        ({"scoring": "mse"}, "scoring must be one of"),
        ({"cv": "stories"}, 'cv must be a number, "runs"'),
        ({"cv": None}, "cannot choose among 5 alphas"),
        ({"fs": 100.0}, "fs is 100 but the times of X are 50"),
        ({"alphas": [-1.0]}, "alphas must be non-negative"),
    ],
    ids=["order", "infinite", "direction", "scoring", "cv", "no folds", "fs", "alpha"],
)
def test_impossible_choices_are_refused(options, text):
    X, Y, _ = series()
    with pytest.raises(InvalidValueError, match=text):
        model(**options).fit(X, Y)


def test_what_cannot_be_fitted_is_refused():
    X, Y, _ = series()
    with pytest.raises(InvalidValueError, match=r"lags are in seconds: pass fs=\.\.\."):
        model().fit(X.values, Y.values)
    with pytest.raises(LabelError, match="X has no coordinate 'run'"):
        model().fit(X.drop_vars("run"), Y)
    with pytest.raises(ShapeError, match="has 3 rows, not more than the largest lag of 5"):
        model().fit(X, Y, runs=np.repeat([0, 1], [147, 3]))
    late = model(tmin=-0.1, tmax=0.0)
    with pytest.raises(ShapeError, match="has 5 rows, not more than the largest lag of 5"):
        late.fit(X, Y, runs=np.repeat([0, 1], [145, 5]))
    with pytest.raises(ShapeError, match="has 5 rows, not more than the largest lag of 5"):
        model().fit(X, Y, runs=np.repeat([0, 1], [145, 5]))
    with pytest.raises(InvalidValueError, match="run 0 is not whole"):
        model(fs=FS).fit(X.values, Y.values, runs=np.arange(150) % 2)
    with pytest.raises(ShapeError, match=r"runs must have shape \(150,\)"):
        model().fit(X, Y, runs=np.zeros(3))
    with pytest.raises(InvalidValueError, match="rows must be unique and 0 to 149; got 0 to 150"):
        model().fit(X, Y, rows=[0, 150])
    with pytest.raises(InvalidValueError, match="fold 0 has rows that are not fitted"):
        model(cv=[(np.arange(20), np.arange(20, 40))]).fit(X, Y, rows=np.arange(30))
    with pytest.raises(LabelError, match="different second dims; both are 'feature'"):
        model().fit(X, Y.rename(neuroid="feature"))
    with pytest.raises(InvalidValueError, match="evenly spaced"):
        model().fit(X.isel(time=np.r_[0:20, 40:150]), Y.isel(time=np.r_[0:20, 40:150]))
    slow = X.assign_coords(time=np.r_[X.time.values[:90], 10 + 2 * X.time.values[90:]])
    with pytest.raises(InvalidValueError, match="runs must have the same seconds between rows"):
        model().fit(slow, Y.assign_coords(time=slow.time))
    X[:, 1] = X[:, 0]
    with pytest.raises(InvalidValueError, match="alpha 0 needs features of full rank"):
        model(alphas=[0.0], cv=None).fit(X, Y)


def test_splits_that_scatter_or_repeat_test_rows_are_refused():
    X, Y, _ = series()
    rows = np.arange(150)
    scattered = [(rows[rows % 3 > 0], rows[rows % 3 == 0])]
    with pytest.raises(InvalidValueError, match="scattered in time"):
        predict_held_out(model(), X, Y, splits=scattered)
    twice = [(rows[50:], rows[:50])] * 2
    with pytest.raises(InvalidValueError, match="tested in several folds"):
        predict_held_out(model(), X, Y, splits=twice)
    with pytest.raises(ShapeError, match="X must be a DataArray"):
        predict_held_out(model(), X.values, Y, splits=twice)


def test_alpha_0_among_others_needs_full_rank_in_every_fold():
    X, Y, _ = series()
    found = model(alphas=[0.0, 1e6]).fit(X, Y)
    least = model(alphas=[0.0], cv=None).fit(X, Y)
    assert found.alpha_.tolist() == [0.0] * 3
    np.testing.assert_allclose(found.coef_, least.coef_, atol=1e-10)
    X[:, 1] = X[:, 0]
    with pytest.raises(InvalidValueError, match="alpha 0 needs features of full rank"):
        model(alphas=[0.0, 1e6]).fit(X, Y)


def test_rows_and_runs_that_are_none_are_refused():
    X, Y, _ = series()
    for rows in ([[0, 1]], [0.5, 1.0], []):
        with pytest.raises(InvalidValueError, match="rows must be row numbers; got"):
            model().fit(X, Y, rows=np.array(rows))
    wrong = X.drop_vars("run").assign_coords(run=(X.dims[1], np.arange(X.shape[1])))
    with pytest.raises(LabelError, match=f"X: run must be a coordinate of time; got .*{X.dims[1]}"):
        model().fit(wrong, Y)
