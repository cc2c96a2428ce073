"""Evaluation: a slow loop, leakage, labels, shuffled splits, groups of subjects, the listeners of Alice."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression, Ridge

from neuroalign import datasets, encoding, stats
from neuroalign.encoding import RidgeCV, contiguous_splits, evaluate
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

N = 60


@pytest.fixture
def X(rng):
    return xr.DataArray(
        rng.standard_normal((N, 4)) * [1, 10, 100, 1000] + 50,
        dims=("time", "feature"),
        coords={"time": 2.0 * np.arange(N)},
    )


@pytest.fixture
def Y(X, rng):
    values = (X.values / [1, 10, 100, 1000]) @ rng.standard_normal((4, 3)) + rng.standard_normal((N, 3))
    return xr.DataArray(
        values,
        dims=("time", "neuroid"),
        coords={"time": X.time, "neuroid": ["a/L", "b/L", "a/R"], "roi": ("neuroid", ["L", "L", "R"])},
    )


SPLITS = contiguous_splits(N, 4, purge=2)


class Recorder(LinearRegression):
    """Keeps what each fit was given."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.seen.append((X.copy(), y.copy()))
        return super().fit(X, y)


def test_evaluate_equals_a_slow_loop(X, Y):
    found = evaluate(Ridge(alpha=3.0), X, Y, splits=SPLITS)
    for k, (train, test) in enumerate(SPLITS):
        mean, sd = X.values[train].mean(axis=0), X.values[train].std(axis=0)
        model = Ridge(alpha=3.0).fit((X.values[train] - mean) / sd, Y.values[train])
        slow = stats.pearson_r(Y.values[test], model.predict((X.values[test] - mean) / sd))
        np.testing.assert_allclose(found[k], slow, atol=1e-12)
    assert found.dims == ("fold", "neuroid")
    assert found.roi.values.tolist() == ["L", "L", "R"]
    assert found.attrs["convention"] == "average of fold scores"


@pytest.mark.parametrize("metric", list(stats.SCORES))
def test_every_metric_is_the_one_of_stats(X, Y, metric):
    found = evaluate(LinearRegression(), X, Y, splits=SPLITS, metric=metric)
    train, test = SPLITS[1]
    model = LinearRegression().fit(X.values[train], Y.values[train])
    expected = stats.SCORES[metric](Y.values[test], model.predict(X.values[test]))
    np.testing.assert_allclose(found[1], expected, atol=1e-9)


def test_pooled_predictions_are_scored_once(X, Y):
    found = evaluate(LinearRegression(), X, Y, splits=SPLITS, convention="pooled")
    pooled = np.empty((N, 3))
    for train, test in SPLITS:
        pooled[test] = LinearRegression().fit(X.values[train], Y.values[train]).predict(X.values[test])
    np.testing.assert_allclose(found, stats.pearson_r(Y.values, pooled), atol=1e-10)
    assert found.dims == ("neuroid",)
    assert found.attrs["convention"] == "pooled predictions"
    twice = [*SPLITS, SPLITS[0]]
    with pytest.raises(InvalidValueError, match="tested in several folds"):
        evaluate(LinearRegression(), X, Y, splits=twice, convention="pooled")


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_replacing_test_rows_by_noise_changes_nothing_that_is_fitted(X, Y, rng):
    train, test = SPLITS[2]
    noisy_X, noisy_Y = X.copy(deep=True), Y.copy(deep=True)
    outside = np.setdiff1d(np.arange(N), train)  # the test rows and those purged
    noisy_X[outside] = 1e4 * rng.standard_normal((len(outside), 4))
    noisy_Y[outside] = 1e4 * rng.standard_normal((len(outside), 3))
    Recorder.seen = []
    for x, y in ((X, Y), (noisy_X, noisy_Y)):
        evaluate(Recorder(), x, y, splits=[(train, test)])
    (x1, y1), (x2, y2) = Recorder.seen
    np.testing.assert_array_equal(x1, x2)
    np.testing.assert_array_equal(y1, y2)
    alphas = [
        evaluate(RidgeCV([0.1, 1, 10, 100], edge_tolerance=1), x, y, splits=[(train, test)]).alpha
        for x, y in ((X, Y), (noisy_X, noisy_Y))
    ]
    np.testing.assert_array_equal(*alphas)


def test_evaluate_ignores_the_order_of_rows_and_neuroids(X, Y, rng):
    expected = evaluate(LinearRegression(), X, Y, splits=SPLITS)
    moved_X, moved_Y = X.isel(time=rng.permutation(N)), Y.isel(time=rng.permutation(N), neuroid=[2, 0, 1])
    found = evaluate(LinearRegression(), moved_X, moved_Y, splits=SPLITS)
    np.testing.assert_allclose(found.sel(neuroid=expected.neuroid), expected, atol=1e-12)


def test_evaluate_edits_neither_its_arguments_nor_the_model(X, Y):
    before, model = (X.copy(deep=True), Y.copy(deep=True)), LinearRegression()
    evaluate(model, X, Y, splits=SPLITS)
    xr.testing.assert_identical(X, before[0])
    xr.testing.assert_identical(Y, before[1])
    assert not hasattr(model, "coef_")


def test_predictions_can_be_scored_against_other_responses(X, Y, rng):
    other = Y + rng.standard_normal(Y.shape)
    found = evaluate(LinearRegression(), X, Y, splits=SPLITS, Y_test=other.isel(neuroid=[1, 2, 0]))
    train, test = SPLITS[0]
    prediction = LinearRegression().fit(X.values[train], Y.values[train]).predict(X.values[test])
    np.testing.assert_allclose(found[0], stats.pearson_r(other.values[test], prediction), atol=1e-10)
    with pytest.raises(LabelError, match="not in Y_test"):
        evaluate(LinearRegression(), X, Y, splits=SPLITS, Y_test=other.assign_coords(neuroid=["x", "y", "z"]))


def test_a_constant_test_column_has_no_correlation_and_is_counted(X, Y):
    constant = Y.copy(deep=True)
    constant[SPLITS[0][1], 1] = 4.2
    found = evaluate(LinearRegression(), X, constant, splits=SPLITS)
    assert np.isnan(found).sum() == 1
    assert np.isnan(found[0, 1])
    assert found.attrs["n_undefined"] == 1


def test_a_feature_without_variance_in_training_counts_for_nothing(X, Y):
    constant = X.copy(deep=True)
    constant[SPLITS[0][0], 2] = 0.1
    found = evaluate(Ridge(), constant, Y, splits=SPLITS[:1])
    without = evaluate(Ridge(), X.isel(feature=[0, 1, 3]), Y, splits=SPLITS[:1])
    np.testing.assert_allclose(found, without, atol=1e-12)


def test_stimuli_may_be_shuffled_but_times_only_by_name(X, Y, rng):
    splits = encoding.shuffled_splits(N, 5, rng=rng)
    with pytest.raises(InvalidValueError, match="test rows of fold 0 are scattered in time"):
        evaluate(LinearRegression(), X, Y, splits=splits)
    by_name = evaluate(LinearRegression(), X, Y, splits=splits, shuffled=True)
    stimuli = [f"s{i:02d}" for i in range(N)]
    x, y = (a.rename(time="stimulus").assign_coords(stimulus=stimuli) for a in (X, Y))
    np.testing.assert_allclose(evaluate(LinearRegression(), x, y, splits=splits), by_name, atol=1e-12)


def test_shuffled_folds_score_noise_high_where_contiguous_folds_score_it_0(rng):
    n, n_targets = 400, 50
    series = np.zeros((n, n_targets))
    for t in range(1, n):
        series[t] = 0.7 * series[t - 1] + rng.standard_normal(n_targets)
    times = np.arange(n)
    blur = np.exp(-0.5 * ((times[:, None] - times) / 1.5) ** 2)  # a "model" that knows only when it is
    X = xr.DataArray(blur, dims=("time", "feature"), coords={"time": 1.0 * times})
    Y = xr.DataArray(series, dims=("time", "neuroid"), coords={"time": 1.0 * times})
    shuffled = encoding.shuffled_splits(n, 5, rng=rng)
    leaky = evaluate(Ridge(1.0), X, Y, splits=shuffled, shuffled=True, standardize=False)
    honest = evaluate(Ridge(1.0), X, Y, splits=contiguous_splits(n, 5, purge=5), standardize=False)
    assert float(leaky.mean()) > 0.5
    assert abs(float(honest.mean())) < 0.1


@pytest.mark.goal("R19", "shuffled targets of the room's own tests")
def test_shuffled_targets_score_0(X, rng):
    noise = xr.DataArray(rng.standard_normal((N, 200)), dims=("time", "neuroid"), coords={"time": X.time})
    found = evaluate(LinearRegression(), X, noise, splits=SPLITS, convention="pooled")
    # Predictions of independent rows are biased below 0 (each fold's mean is anti-correlated with the rest).
    assert -0.25 < float(found.mean()) < 0.02


def test_what_does_not_fit_together_is_refused(X, Y):
    with pytest.raises(LabelError, match="1 of 60 labels of 'time' are not in Y"):
        evaluate(LinearRegression(), X, Y[1:], splits=SPLITS)
    with pytest.raises(ShapeError, match=r"Y must have dims \('time', 'neuroid'\)"):
        evaluate(LinearRegression(), X, X, splits=SPLITS)
    with pytest.raises(ShapeError, match="X must be a DataArray of 2 dims"):
        evaluate(LinearRegression(), X.values, Y, splits=SPLITS)
    with pytest.raises(InvalidValueError, match="metric must be one of 'pearson'"):
        evaluate(LinearRegression(), X, Y, splits=SPLITS, metric="r")
    with pytest.raises(InvalidValueError, match=r"Y must be finite.*\(5, 1\)"):
        evaluate(LinearRegression(), X, Y.where((Y.time != 10) | (Y.neuroid != "b/L")), splits=SPLITS)


def make_group(rng):
    values = 100 + 5 * rng.standard_normal((40, 6)).cumsum(axis=0)
    return xr.DataArray(
        values,
        dims=("time", "neuroid"),
        coords={
            "time": 2.0 * np.arange(40),
            "neuroid": [f"{s}/{r}" for s in "abc" for r in "LR"],
            "subject": ("neuroid", np.repeat(["a", "b", "c"], 2)),
            "roi": ("neuroid", ["L", "R"] * 3),
        },
    )


def test_group_mean_equals_a_slow_mean_and_ignores_order(rng):
    series = make_group(rng)
    z = stats.standardize(stats.detrend_linear(series.values))
    found = encoding.group_mean(series)
    np.testing.assert_allclose(found.sel(neuroid="R"), z[:, 1::2].mean(axis=1), atol=1e-12)
    moved = encoding.group_mean(series.isel(neuroid=rng.permutation(6), time=rng.permutation(40)))
    np.testing.assert_allclose(moved.sel(neuroid=found.neuroid, time=found.time), found, atol=1e-12)


def test_a_constant_subject_is_left_out_of_the_group_mean_and_counted(rng):
    series = make_group(rng)
    series[:, 2] = 1.0
    found = encoding.group_mean(series)
    assert found.n_subjects.values.tolist() == [2, 3]
    assert found.attrs["n_constant"] == 1
    np.testing.assert_allclose(
        found.sel(neuroid="L"), encoding.group_mean(series.isel(neuroid=[0, 4])).sel(neuroid="L"), atol=1e-12
    )


def test_nothing_of_a_subject_is_in_the_mean_of_the_others(rng):
    series = make_group(rng)
    found = encoding.leave_one_subject_out(series)
    noisy = series.copy(deep=True)
    noisy[:, 2:4] = 100 * rng.standard_normal((40, 2))
    again = encoding.leave_one_subject_out(noisy)
    np.testing.assert_allclose(again[:, 2:4], found[:, 2:4], atol=1e-12)
    z = stats.standardize(stats.detrend_linear(series.values))
    np.testing.assert_allclose(found[:, 3], z[:, [1, 5]].mean(axis=1), atol=1e-12)
    assert found.neuroid.values.tolist() == series.neuroid.values.tolist()
    with pytest.raises(ShapeError, match="no other subject has a series that varies in 'L', 'R'"):
        encoding.leave_one_subject_out(series.isel(neuroid=[0, 1]))


def test_word_rate_and_sound_power_predict_the_group_mean_of_alice(data_root):
    group = encoding.group_mean(datasets.load("alice_fmri", root=data_root))
    shipped = datasets.load("alice_fmri", what="regressors", root=data_root)
    z = (shipped - shipped.mean("time")) / shipped.std("time")
    X = z.mean("subject").rename(regressor="feature").drop_vars("feature")
    splits = contiguous_splits(X.sizes["time"], 6)
    # Known: .18 to .36 over the six regions, 6 folds, predictions of all folds scored together. We find .205
    # to .362; the average of fold scores is higher (.36 to .46), as it does not see the drift between folds.
    pooled = evaluate(LinearRegression(), X, group, splits=splits, convention="pooled")
    np.testing.assert_allclose([pooled.min(), pooled.max()], [0.18, 0.36], atol=0.03)
    folds = evaluate(LinearRegression(), X, group, splits=splits).mean("fold")
    np.testing.assert_allclose([folds.min(), folds.max()], [0.357, 0.460], atol=0.005)


def test_neuroids_without_labels_are_taken_in_order_if_they_agree(X, Y, rng):
    bare = Y.drop_vars("neuroid")
    other = bare + rng.standard_normal(Y.shape)
    expected = evaluate(
        LinearRegression(), X, Y, splits=SPLITS, Y_test=other.assign_coords(neuroid=Y.neuroid)
    )
    for tested in (other, other.drop_vars("roi")):
        found = evaluate(LinearRegression(), X, bare, splits=SPLITS, Y_test=tested)
        np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(ShapeError, match="Y and Y_test must have the same neuroids; got 3 and 2"):
        evaluate(LinearRegression(), X, bare, splits=SPLITS, Y_test=other[:, :2])
    moved = other.assign_coords(roi=("neuroid", ["L", "R", "R"]))
    with pytest.raises(LabelError, match="have neuroids with another 'roi'; give them 'neuroid' labels"):
        evaluate(LinearRegression(), X, bare, splits=SPLITS, Y_test=moved)


def test_rows_that_no_fold_tests_are_left_out_of_the_predictions_and_counted(X, Y):
    splits = [(np.arange(30, N), np.arange(10)), (np.arange(30), np.arange(30, 45))]
    found = encoding.cross_validated_predictions(Ridge(1.0), X, Y, splits=splits, standardize=False)
    assert (found.attrs["n_untested"], found.attrs["n_folds"], len(found)) == (35, 2, 25)
    for k, (train, test) in enumerate(splits):
        expected = Ridge(1.0).fit(X.values[train], Y.values[train]).predict(X.values[test])
        np.testing.assert_allclose(found.values[found.fold == k], expected)
        np.testing.assert_array_equal(found.time[found.fold == k], X.time[test])


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_units_of_features_change_no_score_once_they_are_standardised(X, Y, unit):
    splits = contiguous_splits(N, 3)
    before = evaluate(Ridge(10.0), X, Y, splits=splits)
    np.testing.assert_allclose(
        evaluate(Ridge(10.0), unit * X + 3 * unit, Y, splits=splits), before, rtol=1e-9
    )


@pytest.mark.parametrize(("convention", "dims"), [("folds", ("fold", "neuroid")), ("pooled", ("neuroid",))])
def test_a_score_has_a_fold_or_not(X, Y, convention, dims):
    splits = [(np.arange(40), np.arange(40, N)), (np.arange(15, N), np.arange(15))]
    found = evaluate(LinearRegression(), X, Y, splits=splits, convention=convention)
    assert found.dims == dims
    assert ("n_train" in found.coords) == (convention == "folds")
    if convention == "folds":
        assert (found.n_train.values.tolist(), found.n_test.values.tolist()) == ([40, 45], [20, 15])
