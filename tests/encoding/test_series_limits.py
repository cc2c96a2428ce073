"""Limits of what is accepted: at, below and above each of them, with the numbers that come out there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.decomposition import PCA

from neuroalign import stats
from neuroalign.encoding import (
    OLS,
    BatchedRidge,
    KernelRidgeCV,
    NonNegativeRidgeCV,
    RidgeCV,
    TemporalResponseFunction,
    contiguous_splits,
    group_mean,
    lag,
    leave_one_run_out,
    leave_one_subject_out,
    nested_splits,
    score_tests,
)
from neuroalign.encoding.hrf import DoubleGamma, convolve, convolve_events, hrf_rows
from neuroalign.encoding.lagged_folds import fitted_rows, run_bounds
from neuroalign.encoding.lags import lag_steps
from neuroalign.encoding.nesting import group_splits, purge_splits
from neuroalign.encoding.partitioning import variance_partitioning
from neuroalign.encoding.presentations import arranged, own_splits, stratified_splits
from neuroalign.encoding.products import of_orders, of_rotations, terms
from neuroalign.encoding.reduction import BandReduction
from neuroalign.encoding.runs import border_of, common_step, even_step, run_by_run
from neuroalign.encoding.splits import check_splits, is_shuffled
from neuroalign.encoding.targets import Targets, patterns
from neuroalign.errors import FileError, InvalidValueError, LabelError, ShapeError

EXPONENTIAL = DoubleGamma(delay=1.0, dispersion=1.0, ratio=0.0, length=4.0)


def ramp(t, length=4.0):
    """The area of an exponential response of that length up to t."""
    return (1 - np.exp(-np.clip(t, 0, length))) / (1 - np.exp(-length))


# Haemodynamic responses


def test_a_response_without_undershoot_and_of_shape_1_is_an_exponential_of_unit_area():
    t = np.array([-0.5, 0.0, 1.0, 4.0, 4.5])
    inside = np.array([0, 1, 1, 1, 0])
    np.testing.assert_allclose(EXPONENTIAL(t), inside * np.exp(-t) / (1 - np.exp(-4)), rtol=1e-12)
    np.testing.assert_allclose(EXPONENTIAL.integral(t), ramp(t), rtol=1e-12)
    slow = DoubleGamma(delay=2.0, dispersion=2.0, ratio=0.0, length=8.0)
    np.testing.assert_allclose(slow(2 * t), EXPONENTIAL(t) / 2, rtol=1e-12)


def test_an_undershoot_is_taken_away_with_its_own_scale():
    # Exponentials of 1 s and 2 s: areas up to L are 1 - exp(-L) and 1 - exp(-L / 2).
    hrf = DoubleGamma(1.0, 2.0, 1.0, 2.0, 0.5, 4.0)
    t = np.array([0.0, 1.0, 3.0])
    area = (1 - np.exp(-4)) - 0.5 * (1 - np.exp(-2))
    np.testing.assert_allclose(hrf(t), (np.exp(-t) - 0.25 * np.exp(-t / 2)) / area, rtol=1e-12)
    np.testing.assert_allclose(
        hrf.integral(t), ((1 - np.exp(-t)) - 0.5 * (1 - np.exp(-t / 2))) / area, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize(
    "options", [{"ratio": 1.0}, {"length": 1e-100}, {"length": 1e-100, "ratio": 0.0}], ids=str
)
def test_an_undershoot_as_large_as_the_peak_and_an_area_of_0_are_refused(options):
    with pytest.raises(InvalidValueError, match="must be smaller than the peak"):
        DoubleGamma(**options)
    DoubleGamma(ratio=0.99)


@pytest.mark.parametrize("ref", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("tr", [0.5, 1.5, 4.0, 5.0])
def test_an_impulse_is_followed_to_the_last_row_that_the_response_reaches(tr, ref):
    n = 12
    X = xr.DataArray(np.zeros((n, 2)), dims=("time", "feature"), coords={"time": tr * np.arange(n)})
    X[0, 1] = 2.0
    edges = (np.arange(-1, n) + ref) * tr
    found = convolve(X, EXPONENTIAL, runs="a", slice_time_ref=ref)
    np.testing.assert_allclose(found[:, 1], 2 * np.diff(ramp(edges)), atol=1e-14)
    np.testing.assert_array_equal(found[:, 0], 0)
    assert hrf_rows(EXPONENTIAL, tr) == int(np.ceil(4 / tr))
    short = convolve(X[:2], EXPONENTIAL, runs="a", slice_time_ref=ref)
    np.testing.assert_allclose(short[:, 1], 2 * np.diff(ramp(edges[:3])), atol=1e-14)


def test_an_event_is_outside_where_no_volume_lies_between_its_onset_and_its_end():
    # Volumes at 0, 2, 4, 6 s, read at their begin; the response is 4 s long.
    times, table = 2.0 * np.arange(4), {
        "ends with the first volume": (-6.0, 2.0, 1),
        "ends after it": (-6.0, 3.0, 0),
        "is long": (-9.0, 9.0, 0),
        "begins with the last volume": (6.0, 1.0, 1),
        "begins before it": (5.0, 1.0, 0),
        "is an impulse before the first": (-3.0, 0.0, 0),
    }  # fmt: skip
    for name, (onset, duration, outside) in table.items():
        events = pd.DataFrame({"onset": [onset], "duration": [duration], "amplitude": [3.0]})
        found = convolve_events(events, times, tr=2.0, runs="a", hrf=EXPONENTIAL, slice_time_ref=0.0)
        assert found.attrs["n_outside"] == outside, name
        expected = ramp(times - onset) - ramp(times - onset - duration)
        if not duration:
            expected = EXPONENTIAL(times - onset)
        np.testing.assert_allclose(found[:, 0], 3 * expected, atol=1e-14)
    both = pd.DataFrame({"onset": [6.0, 1.0, -9.0], "duration": [1.0, 1.0, 1.0]})
    assert convolve_events(both, times, tr=2.0, runs="a", hrf=EXPONENTIAL).attrs["n_outside"] == 1


def test_the_first_negative_duration_is_named():
    events = pd.DataFrame({"onset": [0.0, 1.0, 2.0, 3.0], "duration": [0.0, 1.0, -2.0, -3.0]})
    with pytest.raises(InvalidValueError, match="must not be negative; got -2 at event 2"):
        convolve_events(events, np.arange(4.0), tr=1.0, runs="a")


# Runs and lags


def test_steps_may_differ_by_a_thousandth_of_the_smallest():
    assert even_step(np.array([0.0, 1000.0, 2001.0]), "a") == 1000.5
    with pytest.raises(InvalidValueError, match=r"steps go from 1000 to 1001\.5 s"):
        even_step(np.array([0.0, 1000.0, 2001.5]), "a")
    with pytest.raises(InvalidValueError, match=r"steps go from 0\.001 to 0\.0015 s"):
        even_step(np.array([0.0, 0.001, 0.0025]), "a")
    assert np.isnan(even_step(np.array([3.0]), "a"))


def test_steps_of_runs_may_differ_by_a_thousandth_of_the_smallest():
    runs = np.array([0, 0, 1, 1, 2])
    assert common_step(np.array([0.0, 1000.0, 5000.0, 6001.0, 9000.0]), runs) == 1000.5
    with pytest.raises(InvalidValueError, match=r"0 has 1000 and 1 1001\.5"):
        common_step(np.array([0.0, 1000.0, 5000.0, 6001.5, 9000.0]), runs)
    with pytest.raises(InvalidValueError, match=r"1 has 0\.001 and 0 0\.0015"):
        common_step(np.array([0.0, 0.0015, 5.0, 5.001, 9.0]), runs)


def test_the_border_may_lie_on_either_or_both():
    X = xr.DataArray(np.zeros((3, 1)), dims=("time", "feature"), coords={"time": [0.0, 1.0, 2.0]})
    runs = ("time", ["a", "a", "b"])
    for x, y in ((X.assign_coords(run=runs), X), (X, X.assign_coords(run=runs))):
        assert border_of(x, y, "run").tolist() == ["a", "a", "b"]
    both = X.assign_coords(run=runs)
    assert border_of(both, both, "run").tolist() == ["a", "a", "b"]
    with pytest.raises(LabelError, match="first at time 1: 'a' and 'b'"):
        border_of(both, X.assign_coords(run=("time", ["a", "b", "b"])), "run")


def test_columns_with_a_missing_row_are_missing_in_the_whole_run():
    values = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0], [7.0, 8.0, 9.0]], dtype=np.float32)
    for dtype in (np.float32, np.float64):
        found = run_by_run(
            values.astype(dtype), np.array([0, 0, 1]), lambda block, rows: block * 0.1 + len(rows)
        )
        assert found.dtype == dtype
        expected = [[2.1, np.nan, 2.3], [2.4, np.nan, 2.6], [1.7, 1.8, 1.9]]
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == np.float32 else 1e-14)


def test_lags_need_a_positive_rate_and_an_order():
    assert lag_steps(0.5, 0.5, 4.0).tolist() == [2]
    assert lag_steps(-0.5, 0.25, 4.0).tolist() == [-2, -1, 0, 1]
    for fs, tmin, tmax in ((0.0, 0.0, 1.0), (-1.0, 0.0, 1.0), (4.0, 0.5, 0.4)):
        with pytest.raises(InvalidValueError, match="fs must be positive and tmin not above tmax"):
            lag_steps(tmin, tmax, fs)
    one = xr.DataArray([[1.0]], dims=("time", "feature"), coords={"time": [0.0]})
    with pytest.raises(InvalidValueError, match="fs must be a finite number; got nan"):
        lag(one, 0.0, 0.0, runs="a")


def test_labels_of_lagged_features_are_those_of_the_features():
    X = xr.DataArray(
        np.arange(8.0).reshape(4, 2), dims=("time", "feature"),
        coords={"time": 0.5 * np.arange(4), "feature": ["x", "y"], "band": ("feature", ["a", "b"]),
                "word": ("time", list("stuv"))},
    )  # fmt: skip
    found = lag(X, 0.5, 1.0, runs="a")
    assert found["feature_label"].values.tolist() == ["x", "y", "x", "y"]
    assert found["band"].values.tolist() == ["a", "b", "a", "b"]
    assert found["lag"].values.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert found["word"].values.tolist() == list("stuv")
    np.testing.assert_array_equal(found, [[0, 0, 0, 0], [0, 1, 0, 0], [2, 3, 0, 1], [4, 5, 2, 3]])


def test_bounds_of_runs_and_rows_that_are_fitted():
    bounds, codes = run_bounds(None, ["b", "b", "a", "c", "c", "c"], 6)
    assert bounds == [(0, 2), (2, 3), (3, 6)] and codes.tolist() == [0, 0, 1, 2, 2, 2]
    assert fitted_rows([5, 0, 3], 6).tolist() == [0, 3, 5]
    for wrong in ([0, 6], [-1, 2], [2, 2]):
        with pytest.raises(InvalidValueError, match="rows must be unique and 0 to 5"):
            fitted_rows(wrong, 6)


def response_data(n=60, t=3, seed=0):
    rng = np.random.default_rng(seed)
    coords = {"time": np.arange(n) / 50, "run": ("time", np.repeat([0, 1, 2], n // 3))}
    X = xr.DataArray(rng.standard_normal((n, 2)), dims=("time", "feature"), coords=coords)
    Y = xr.DataArray(
        X.values @ rng.standard_normal((2, t)) + 3 * rng.standard_normal((n, t)),
        dims=("time", "neuroid"),
        coords=coords,
    )
    return X, Y


def test_a_rate_that_agrees_with_the_times_is_accepted():
    X, Y = response_data()
    options = {"alphas": [1.0, 10.0], "cv": 3, "edge_tolerance": 1.0}
    given = TemporalResponseFunction(0.0, 0.04, fs=50.0, **options).fit(X, Y)
    np.testing.assert_array_equal(given.coef_, TemporalResponseFunction(0.0, 0.04, **options).fit(X, Y).coef_)
    np.testing.assert_allclose(given.lags_, [0.0, 0.02, 0.04])


def test_a_shared_alpha_is_that_of_the_targets_that_have_a_score():
    X, Y = response_data(t=5)
    Y[:, 1] = 2.0
    alphas = [0.01, 30.0, 1e3, 1e5]
    options = {"cv": "runs", "edge_tolerance": 1.0}
    one = TemporalResponseFunction(0.0, 0.0, alphas=alphas, shared_alpha=True, **options).fit(X, Y)
    each = [TemporalResponseFunction(0.0, 0.0, alphas=[a], **options).fit(X, Y).cv_scores_ for a in alphas]
    each = np.array(each)
    best = int(np.delete(each, 1, axis=1).sum(axis=1).argmax())
    assert (one.alpha_ == alphas[best]).all()
    np.testing.assert_allclose(one.cv_scores_, each[best], rtol=1e-10)


def test_alpha_0_is_refused_for_the_fold_whose_training_rows_lack_a_feature():
    X, Y = response_data()
    X[20:, 1] = 0.0
    model = TemporalResponseFunction(0.0, 0.0, alphas=[0.0, 1.0], cv="runs", edge_tolerance=1.0)
    with pytest.raises(InvalidValueError, match="40 training rows have rank 1 of 2 features"):
        model.fit(X, Y)


# Folds


def test_the_smallest_folds_have_one_row_each():
    assert [(a.tolist(), b.tolist()) for a, b in contiguous_splits(2, 2)] == [([1], [0]), ([0], [1])]
    for n, k in ((1, 2), (2, 3), (2, 1)):
        with pytest.raises(InvalidValueError):
            contiguous_splits(n, k)
    found = leave_one_run_out(["b", "a", "b"])
    assert [(a.tolist(), b.tolist()) for a, b in found] == [([1], [0, 2]), ([0, 2], [1])]
    with pytest.raises(InvalidValueError, match="needs at least 2 runs"):
        leave_one_run_out(["a", "a"])
    assert [test.tolist() for _, test in group_splits(["a", "b"], 2)] == [[0], [1]]
    assert [test.tolist() for _, test in nested_splits([0, 3], 2)] == [[0], [3]]
    with pytest.raises(InvalidValueError, match="row numbers of at least 0, none twice"):
        nested_splits([-1, 3], 2)


def test_a_purge_leaves_out_as_many_rows_on_either_side():
    (_, (train, test), _) = contiguous_splits(12, 3, purge=2)
    assert test.tolist() == [4, 5, 6, 7] and train.tolist() == [0, 1, 10, 11]
    ((train, _),) = purge_splits([([0, 1, 2, 3, 5, 6, 7], [4])], 8, 2)
    assert train.tolist() == [0, 1, 7]


def test_rows_of_folds_lie_from_0_to_the_last():
    ((train, test),) = check_splits([([0, 1], [2])], 3)
    assert train.tolist() == [0, 1] and test.tolist() == [2]
    for pair in (([0, 1], [3]), ([3, 1], [2]), ([-1, 1], [2]), ([0, 0], [2])):
        with pytest.raises(InvalidValueError, match="must be unique and 0 to 2"):
            check_splits([pair], 3)


@pytest.mark.parametrize(
    ("test", "scattered"),
    [
        (range(3), False),
        ([*range(5), *range(10, 15)], False),
        ([*range(5), *range(10, 14)], True),
        ([*range(4), *range(10, 14)], True),
        ([*range(4), *range(10, 16)], False),
        ([0, 2], True),
        ([*range(12), 20], False),
        ([8, 7, 6, 5], False),
    ],
)
def test_blocks_of_5_rows_on_average_are_not_scattered(test, scattered):
    assert is_shuffled(np.array(test)) is scattered


def test_as_many_folds_as_presentations_of_the_rarest_class_or_as_groups():
    labels = ["a", "b", "a", "b", "b"]
    found = stratified_splits(labels, 2)
    assert sorted(np.concatenate([test for _, test in found]).tolist()) == list(range(5))
    with pytest.raises(
        InvalidValueError, match="3 folds need as many presentations of each class; 'a' has 2"
    ):
        stratified_splits(labels, 3)
    groups = [0, 0, 1, 1, 2, 2]
    found = stratified_splits(["a", "b"] * 3, 3, groups=groups)
    assert sorted(test.tolist() for _, test in found) == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(InvalidValueError, match="3 folds need as many groups; got 2"):
        stratified_splits(["a", "b"] * 3, 3, groups=[0, 0, 1, 1, 1, 1])


def test_folds_that_share_a_group_are_refused_with_its_rows():
    groups = np.array([0, 0, 1, 1, 2])
    with pytest.raises(
        InvalidValueError, match=r"1 groups of fold 0 are trained and tested on, .* of rows 2, 3"
    ):
        own_splits([([0, 1, 3], [2, 4])], groups, 5, strict=True)
    assert len(own_splits([([0, 1, 3], [2, 4])], groups, 5, strict=False)) == 1


def test_windows_hold_at_least_one_sample_and_at_most_all():
    values = np.arange(12.0).reshape(3, 2, 2)
    two = xr.DataArray(values, dims=("presentation", "neuroid", "time"), coords={"time": [0.0, 0.5]})
    found = arranged(two, over="time", window=1.0)
    np.testing.assert_array_equal(found.values[0, :, :, 0], values.mean(axis=2))
    assert found.times.tolist() == [0.25]
    np.testing.assert_array_equal(arranged(two, over="time", window=0.1).values[0], values)
    for window in (0, 0.0, -0.5, True):
        with pytest.raises(InvalidValueError, match="window must be a positive number of seconds"):
            arranged(two, over="time", window=window)
    with pytest.raises(ShapeError, match="a window of 3 samples does not fit into 2"):
        arranged(two, over="time", window=1.5)


def test_all_times_may_be_one_pattern_of_each_leading_label():
    values = np.arange(24.0).reshape(2, 3, 2, 2)
    many = xr.DataArray(values, dims=("subject", "presentation", "neuroid", "time"))
    found = arranged(many, over=None, window=None)
    assert found.leading == ("subject",)
    np.testing.assert_array_equal(found.values, values.reshape(2, 3, 4, 1))
    flat = arranged(many[..., 0].drop_vars("time", errors="ignore"), over=None, window=None)
    np.testing.assert_array_equal(flat.values, values[..., :1])


# Groups of subjects


def test_means_over_subjects_count_those_that_vary():
    rng = np.random.default_rng(0)
    names = {"subject": ("neuroid", ["a", "a", "b", "b", "c"]), "roi": ("neuroid", ["L", "R", "L", "R", "R"])}
    run = ("time", ["one"] * 7)
    series = xr.DataArray(
        rng.standard_normal((7, 5)),
        dims=("time", "neuroid"),
        coords={"time": np.arange(7.0), "run": run, **names},
    )
    found = group_mean(series, detrend=False, zscore=False)
    values = series.values
    expected = np.stack([values[:, [0, 2]].mean(axis=1), values[:, [1, 3, 4]].mean(axis=1)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found["n_subjects"].values.tolist() == [2, 3] and found["run"].values.tolist() == ["one"] * 7
    assert found["roi"].values.tolist() == ["L", "R"]
    others = leave_one_subject_out(series, detrend=False, zscore=False)
    expected = np.stack(
        [values[:, 2], values[:, [3, 4]].mean(axis=1), values[:, 0], values[:, [1, 4]].mean(axis=1),
         values[:, [1, 3]].mean(axis=1)], axis=1,
    )  # fmt: skip
    np.testing.assert_allclose(others, expected, rtol=1e-12)
    alone = series.assign_coords(roi=("neuroid", ["L", "R", "M", "R", "R"]))
    with pytest.raises(ShapeError, match="no other subject has a series that varies in 'L', 'M'"):
        leave_one_subject_out(alone, detrend=False, zscore=False)
    series[:, 0] = series[:, 2] = 1.0
    with pytest.raises(ShapeError, match="no subject has a series that varies in 'L'"):
        group_mean(series)


# Tests of scores


def test_rows_that_move_one_by_one_move_within_each_fold():
    rng = np.random.default_rng(0)
    p, y = rng.standard_normal((21, 2)), rng.standard_normal((21, 2))
    fold = np.repeat([0, 1, 2], [6, 7, 8])
    coords = {"time": np.arange(21.0)}
    P = xr.DataArray(p, dims=("time", "neuroid"), coords={**coords, "fold": ("time", fold)})
    Y = xr.DataArray(y, dims=("time", "neuroid"), coords=coords)
    found = score_tests(P, Y, n=40, rng=np.random.default_rng(3), block=1, cross_validated=False)
    draws, null = np.random.default_rng(3), []
    groups = [np.flatnonzero(fold == k) for k in range(3)]
    for _ in range(40):
        moved = np.concatenate([p[rows[stats.shuffle(len(rows), draws)]] for rows in groups])
        null.append(np.mean([stats.pearson_r(y[rows], moved[rows]) for rows in groups], axis=0))
    np.testing.assert_allclose(found.p, stats.p_value(found.score.values, np.array(null), tail="greater"))


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("metric", ["pearson", "spearman", "r2", "explained_variance"])
def test_sums_of_products_are_scores_in_any_unit_of_any_order(metric, unit, monkeypatch):
    rng = np.random.default_rng(0)
    p, y = rng.standard_normal((17, 5)) + 3, rng.standard_normal((17, 5)) - 2
    p[:, :] += 0.5 * y
    p[2, 3], y[:, 4] = np.nan, 7.0
    groups = [np.arange(9), np.arange(9, 17)]
    found = terms(p * unit, y * unit, metric, groups)
    assert found.n_undefined.tolist() == [0, 0, 0, 2, 2]
    order = np.concatenate([np.roll(np.arange(9), 4), 9 + np.roll(np.arange(8), 1)])
    expected = np.mean([stats.SCORES[metric](y[rows, :3], p[order][rows, :3]) for rows in groups], axis=0)
    monkeypatch.setattr("neuroalign.encoding.products.TILE", 34)
    for function in (of_orders, of_rotations):
        score = function(found, np.array([0, 9]))(order)
        np.testing.assert_allclose(score, [*expected, np.nan, np.nan], rtol=1e-9)


# Models


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_kernel_may_be_asymmetric_by_a_share_of_1e_8(unit):
    K = np.array([[1.0, 1e-8, 0.0], [0.0, 0.5, 0.25], [0.0, 0.25, 0.5]])
    y = np.array([1.0, 2.0, 4.0])
    options = {"kernel": "precomputed", "edge_tolerance": 1, "device": "cpu", "cv": 3}
    if unit == 1.0:
        KernelRidgeCV([1.0], **options).fit(K, y)
    K[0, 1] = 0.5e-8
    KernelRidgeCV([1.0], **options).fit(K * unit, y)
    K[0, 1] = 3e-8
    with pytest.raises(InvalidValueError, match="a kernel of the rows must be symmetric"):
        KernelRidgeCV([1.0], **options).fit(K * unit, y)


def test_ridge_needs_2_rows():
    X, y = np.array([[0.0], [2.0]]), np.array([1.0, 5.0])
    model = RidgeCV([2.0], cv=2, edge_tolerance=1, device="cpu").fit(X, y)
    # x centred is -1, 1; y centred is -2, 2: 4 / (2 + 2).
    np.testing.assert_allclose([model.coef_[0], model.intercept_], [1.0, 2.0], rtol=1e-12)
    with pytest.raises(ShapeError, match="at least 2 rows; got n_samples=1"):
        RidgeCV([2.0], cv=2).fit(X[:1], y[:1])


def test_a_fit_without_residuals_and_weights_has_no_t():
    X = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0], [3.0, 1.0]])
    model = OLS(fit_intercept=False, standard_errors=True).fit(X, np.zeros((4, 2)))
    np.testing.assert_array_equal(model.standard_errors_, 0)
    assert np.isnan(model.t_).all() and model.n_undefined_ == 0 and model.dof_ == 2


def test_nonnegative_least_squares_of_constant_features_has_rank_0():
    with pytest.raises(InvalidValueError, match="5 training rows have rank 0 of 3 features"):
        NonNegativeRidgeCV(0, cv=None).fit(np.full((5, 3), 2.0), np.arange(5.0))


def test_contexts_of_2_rows_and_of_unequal_sizes():
    X = np.arange(10.0).reshape(5, 2) ** 2
    options = {"device": "cpu", "edge_tolerance": 1, "fit_intercept": False}
    y = [np.array([1.0, 2.0]), np.array([3.0, 1.0, 2.0])]
    rows = [np.array([0, 4]), np.array([1, 2, 4])]
    found = BatchedRidge(3.0, **options).fit(X, y, rows=rows)
    ragged = np.empty(2, dtype=object)
    ragged[:] = [X[r] for r in rows]
    again = BatchedRidge(3.0, **options).fit(ragged, y)
    for c, r in enumerate(rows):
        expected = np.linalg.solve(X[r].T @ X[r] + 3 * np.eye(2), X[r].T @ y[c])
        np.testing.assert_allclose(found.coef_[c], expected, rtol=1e-9)
        np.testing.assert_allclose(again.coef_[c], expected, rtol=1e-9)
    assert found.n_rows_.tolist() == [2, 3]
    for wrong, text in (([0, 5], "must be 0 to 4; got 0 to 5"), ([-1, 2], "must be 0 to 4; got -1 to 2")):
        with pytest.raises(InvalidValueError, match=text):
            BatchedRidge(3.0, **options).fit(X, y[:1], rows=[wrong])
    with pytest.raises(ShapeError, match="context 0 needs at least 2 rows; got 1"):
        BatchedRidge(3.0, **options).fit(X, [[1.0]], rows=[[0]])


@pytest.mark.parametrize("n", [4, 9])
def test_a_band_may_keep_as_many_components_as_it_has(n):
    X = np.random.default_rng(0).standard_normal((n, 6))
    most = min(n, 6)
    for k in (1, most):
        found = BandReduction(k).fit(X)
        np.testing.assert_allclose(found.transform(X), PCA(k, svd_solver="full").fit_transform(X), atol=1e-10)
    with pytest.raises(InvalidValueError, match=f"at most {most} components; {most + 1} were asked for"):
        BandReduction(most + 1).fit(X)
    assert BandReduction(6, method="sparse-projection").fit(X).transform(X).shape == (n, 6)
    with pytest.raises(InvalidValueError, match="6 features; 7 projections would not reduce it"):
        BandReduction(7, method="sparse-projection").fit(X)


def test_components_keep_the_labels_of_the_rows_and_are_numbered_in_their_band():
    rng = np.random.default_rng(0)
    X = xr.DataArray(
        rng.standard_normal((5, 5)), dims=("time", "feature"),
        coords={"time": np.arange(5.0), "run": ("time", list("aabbb")), "band": ("feature", list("xyxyy"))},
    )  # fmt: skip
    model = BandReduction({"x": 1, "y": 2}, labelled=True).fit(X)
    found = model.transform(X)
    assert found["run"].values.tolist() == list("aabbb") and found["time"].values.tolist() == [0, 1, 2, 3, 4]
    assert found["band"].values.tolist() == ["x", "y", "y"]
    assert model.get_feature_names_out().tolist() == ["x0", "y0", "y1"]


def test_shares_of_exactly_0_are_not_negative_and_missing_scores_are_counted_once():
    found = variance_partitioning(
        {"a": [0.5, 0.5, np.nan, 0.25], "b": [0.25, 0.5, 0.5, 0.25], "a + b": [0.75, 0.5, np.nan, 0.125]}
    )
    # Alone: joint less the other; shared: a + b - joint.
    np.testing.assert_array_equal(
        found["variance"].sel(component=["a", "b", "a & b"]),
        [[0.5, 0.0, np.nan, -0.125], [0.25, 0.0, np.nan, -0.125], [0.0, 0.5, np.nan, 0.375]],
    )
    assert found.attrs["n_negative"] == 2 and found.attrs["n_undefined"] == 1


def test_patterns_of_missing_rows_are_the_same_in_any_blocks(monkeypatch):
    Y = np.ones((9, 7))
    Y[3, [1, 5]] = np.nan
    Y[8, 6] = np.nan
    whole = [(rows.tolist(), columns.tolist()) for rows, columns in patterns(Targets(Y))]
    assert [columns for _, columns in whole] == [[0, 2, 3, 4], [1, 5], [6]]
    assert whole[1][0] == [0, 1, 2, 4, 5, 6, 7, 8] and whole[2][0] == list(range(8))
    for stride in (1, 3, 7):
        monkeypatch.setattr("neuroalign.encoding.targets.STRIDE", stride)
        assert [(r.tolist(), c.tolist()) for r, c in patterns(Targets(Y))] == whole
    Y[2, 5] = np.inf
    monkeypatch.setattr("neuroalign.encoding.targets.STRIDE", 3)
    with pytest.raises(InvalidValueError, match=r"no infinity; got one at position \(2, 5\)"):
        patterns(Targets(Y))
    with pytest.raises(InvalidValueError, match=r"the first is nan at position \(3, 1\)"):
        Targets(Y).check()


def test_a_file_behind_an_offset_is_long_enough_to_the_byte(tmp_path):
    path = tmp_path / "y"
    path.write_bytes(bytes(64) + np.arange(6.0).tobytes())
    stored = np.memmap(path, dtype=float, mode="r+", offset=64, shape=(3, 2))
    np.testing.assert_array_equal(Targets(stored).read(slice(0, 2)), [[0, 1], [2, 3], [4, 5]])
    with path.open("r+b") as file:
        file.truncate(111)
    with pytest.raises(FileError, match=r"has 111 bytes .* need 112"):
        Targets(stored)
