"""Tests of scores: brute force over all permutations, laws, error rates on autocorrelated nulls, misuse."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from sklearn.linear_model import LinearRegression, Ridge

from neuroalign import stats
from neuroalign.encoding import contiguous_splits, evaluate
from neuroalign.encoding.evaluation import cross_validated_predictions
from neuroalign.encoding.inference import METHODS, score_tests
from neuroalign.encoding.products import TERMS
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


def ar(coefficient, n, n_series, rng):
    noise = rng.standard_normal((n, n_series))
    noise[0] /= np.sqrt(1 - coefficient**2)
    return lfilter([1], [1, -coefficient], noise, axis=0)


def labelled(values, **coords):
    times = {"time": 2.0 * np.arange(len(values))}
    return xr.DataArray(values, dims=("time", "neuroid"), coords=times | coords)


def make(n=60, t=5, folds=3, seed=0, signal=0.5):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((n, t))
    p = signal * y + rng.standard_normal((n, t)) + 2
    fold = ("time", np.repeat(np.arange(folds), n // folds))
    return labelled(p, fold=fold, neuroid=[f"v{i}" for i in range(t)]), labelled(
        y, neuroid=[f"v{i}" for i in range(t)]
    )


@pytest.mark.parametrize("metric", list(TERMS))
@pytest.mark.parametrize("method", METHODS)
def test_the_score_is_the_one_of_stats_in_both_conventions(metric, method):
    p, y = make()
    for convention in ("folds", "pooled"):
        found = score_tests(
            p, y, n=5, rng=np.random.default_rng(0), method=method, metric=metric, convention=convention
        )
        groups = np.split(np.arange(60), 3) if convention == "folds" else [np.arange(60)]
        expected = np.mean([stats.SCORES[metric](y.values[g], p.values[g]) for g in groups], axis=0)
        np.testing.assert_allclose(found.score, expected, atol=1e-12)


@pytest.mark.parametrize("metric", list(TERMS))
@pytest.mark.parametrize("convention", ["folds", "pooled"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tail", ["greater", "two-sided"])
@pytest.mark.parametrize("cross_validated", [True, False])
def test_p_equals_a_slow_loop_over_the_same_draws(metric, convention, method, tail, cross_validated):
    p, y = make(n=36, signal=0.2)
    found = score_tests(
        p, y, n=60, rng=np.random.default_rng(5), method=method, block=3, metric=metric,
        convention=convention, tail=tail, cross_validated=cross_validated,
    )  # fmt: skip
    rng, score, groups = np.random.default_rng(5), stats.SCORES[metric], np.split(np.arange(36), 3)
    null = []
    for _ in range(60):
        orders = [
            stats.block_shuffle(12, 3, rng) if method == "block" else stats.circular_shift(12, rng, minimum=3)
            for _ in range(3)
        ]
        moved = np.concatenate([p.values[g][o] for g, o in zip(groups, orders, strict=True)])
        of = groups if convention == "folds" else [np.arange(36)]
        null.append(np.mean([score(y.values[g], moved[g]) for g in of], axis=0))
    null = np.array(null)
    if cross_validated:
        null = null.mean(axis=0) + np.sqrt(2) * (null - null.mean(axis=0))
    assert found.attrs["cross_validated"] == int(cross_validated)
    observed = found.score.values
    np.testing.assert_allclose(found.p, stats.p_value(observed, null, tail=tail))
    np.testing.assert_allclose(found.p_max, stats.max_p(observed, null, two_sided=tail == "two-sided"))
    np.testing.assert_allclose(found.p_fdr, stats.fdr(found.p.values))


@pytest.mark.parametrize("n_features", [2, 30])
def test_predictions_of_folds_that_trained_each_other_keep_the_level(n_features):
    # Measured over 10,000 sets: docs/calibration-encoding. Here 600, with a standard error of .009.
    rng, rates = np.random.default_rng(3), []
    for cross_validated in (None, False):
        wrong = 0
        for seed in range(3):
            x = labelled(rng.standard_normal((100, n_features))).rename(neuroid="feature")
            y = labelled(rng.standard_normal((100, 200)))
            found = cross_validated_predictions(Ridge(10.0), x, y, splits=contiguous_splits(100, 5))
            tests = score_tests(
                found, y, n=199, rng=np.random.default_rng(seed), block=1, cross_validated=cross_validated
            )
            wrong += int((tests.p <= 0.05).sum())
        rates.append(wrong / 600)
    assert rates[0] < 0.075
    assert rates[1] > 0.085, "folds taken for independent refuse twice as many"


def test_folds_of_one_count_as_independent_and_several_do_not(rng):
    p, y = make(n=36)
    whole = p.drop_vars("fold")
    assert score_tests(p, y, n=9, rng=rng, block=2).attrs["cross_validated"] == 1
    for asked in (None, True, False):
        found = score_tests(whole, y, n=9, rng=rng, block=2, cross_validated=asked)
        assert found.attrs["cross_validated"] == 0


def test_p_converges_to_that_of_all_permutations():
    y, p = np.array([1.0, 3.0, 2.0, 5.0, 4.0]), np.array([2.0, 1.0, 3.0, 4.0, 6.0])
    observed = np.corrcoef(y, p)[0, 1]
    every = [np.corrcoef(y, p[list(order)])[0, 1] for order in itertools.permutations(range(5))]
    exact = np.mean(np.array(every) >= observed - 1e-12)
    found = score_tests(
        labelled(p[:, None]), labelled(y[:, None]), n=4000, rng=np.random.default_rng(0), block=1
    )
    # A share of 4,000 draws has a standard error of at most .008.
    assert float(found.p[0]) == pytest.approx(exact, abs=0.02)


def test_shifts_of_one_run_have_the_p_of_all_shifts(rng):
    p, y = labelled(rng.standard_normal((24, 6))), labelled(rng.standard_normal((24, 6)))
    found = score_tests(p, y, n=3000, rng=rng, method="circular", block=1)
    for j in range(6):
        scores = [np.corrcoef(np.roll(p.values[:, j], s), y.values[:, j])[0, 1] for s in range(24)]
        exact = np.mean(np.array(scores[1:]) >= scores[0])
        assert float(found.p[j]) == pytest.approx(exact, abs=0.035)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 9), st.sampled_from(METHODS), st.integers(0, 99))
def test_the_size_of_chunks_changes_nothing(chunk, method, seed):
    p, y = make(t=8, seed=seed)
    first, second = (
        score_tests(p, y, n=20, rng=np.random.default_rng(seed), method=method, block=4, chunk=size)
        for size in (chunk, 512)
    )
    xr.testing.assert_allclose(first, second, rtol=1e-12)
    assert first.attrs == second.attrs


def test_the_generator_moves_on_by_one_pass_and_its_state_is_kept():
    p, y = make()
    rng = np.random.default_rng(3)
    first, second = (score_tests(p, y, n=50, rng=rng, block=2, chunk=2) for _ in range(2))
    assert not first.p.equals(second.p)
    again = np.random.default_rng()
    again.bit_generator.state = json.loads(first.attrs["rng_state"])
    second = score_tests(p, y, n=50, rng=again, block=2)
    xr.testing.assert_allclose(second, first, rtol=1e-12)
    assert second.attrs == first.attrs


def test_rows_move_within_their_fold_and_run():
    # Each stretch holds one value in the predictions: no permutation within stretches changes a score.
    level = np.repeat([3.0, -1.0, 2.0, 0.0], 6)[:, None]
    y = labelled(level + 0.1 * np.sin(np.arange(24.0))[:, None])
    runs = np.repeat(["a", "b", "a", "b"], 6)
    for coords in (
        {"fold": ("time", runs)},
        {"fold": ("time", np.repeat([0, 1], 12)), "run": ("time", runs)},
    ):
        p = labelled(level, **coords)
        found = score_tests(p, y, n=30, rng=np.random.default_rng(0), block=2, convention="pooled")
        assert float(found.p[0]) == 1.0
        assert found.attrs["n_segments"] == 4
    free = score_tests(labelled(level), y, n=99, rng=np.random.default_rng(0), block=2, convention="pooled")
    assert float(free.p[0]) < 0.05
    named = score_tests(
        labelled(level, story=("time", runs)), y, n=9, rng=np.random.default_rng(0), block=2,
        convention="pooled", folds=np.zeros(24), runs="story",
    )  # fmt: skip
    assert float(named.p[0]) == 1.0


def test_responses_are_aligned_by_label(rng):
    p, y = make()
    expected = score_tests(p, y, n=20, rng=np.random.default_rng(0), block=2)
    moved = y.isel(time=rng.permutation(60), neuroid=[3, 0, 4, 1, 2])
    xr.testing.assert_identical(score_tests(p, moved, n=20, rng=np.random.default_rng(0), block=2), expected)
    assert expected.neuroid.values.tolist() == [f"v{i}" for i in range(5)]


def test_targets_without_a_score_are_counted_and_change_no_other_p():
    p, y = make()
    odd_p, odd_y = p.copy(deep=True), y.copy(deep=True)
    odd_y[7, 0] = np.nan
    odd_y[:, 1] = 0.1
    odd_p[:20, 2] = 0.3
    found = score_tests(odd_p, odd_y, n=50, rng=np.random.default_rng(0), block=2)
    clean = score_tests(p, y, n=50, rng=np.random.default_rng(0), block=2)
    for name in ("score", "p", "p_fdr", "p_max"):
        assert np.isnan(found[name].values).tolist() == [True, True, False, False, False]
    assert found.n_undefined_folds.values.tolist() == [3, 3, 1, 0, 0]
    assert found.attrs["n_undefined"] == 2
    np.testing.assert_allclose(found.p[3:], clean.p[3:])
    halves = [stats.pearson_r(y.values[g, 2], p.values[g, 2]) for g in (slice(20, 40), slice(40, 60))]
    assert float(found.score[2]) == pytest.approx(np.mean(halves))
    r2 = score_tests(odd_p, odd_y, n=9, rng=np.random.default_rng(0), block=2, metric="r2")
    assert r2.n_undefined_folds.values.tolist() == [3, 3, 0, 0, 0]


def test_nothing_is_edited(rng):
    p, y = make()
    before = p.copy(deep=True), y.copy(deep=True)
    score_tests(p, y, n=5, rng=rng)
    xr.testing.assert_identical(p, before[0])
    xr.testing.assert_identical(y, before[1])


@pytest.mark.parametrize("method", METHODS)
def test_null_series_of_ar_8_are_refused_at_5_percent_where_the_parametric_p_refuses_a_third(method):
    rng = np.random.default_rng(11)
    n_sets = 600
    p, y = labelled(ar(0.8, 300, n_sets, rng)), labelled(ar(0.8, 300, n_sets, rng))
    found = score_tests(p, y, n=199, rng=rng, method=method)
    parametric = scipy.stats.pearsonr(p.values, y.values, axis=0, alternative="greater").pvalue
    assert (parametric <= 0.05).mean() > 0.2
    two_sided = scipy.stats.pearsonr(p.values, y.values, axis=0).pvalue
    assert (two_sided <= 0.05).mean() > 0.25
    # .065, and two standard errors of 600 sets.
    assert 0.02 < float((found.p <= 0.05).mean()) <= 0.065 + 2 * np.sqrt(0.05 * 0.95 / n_sets)
    assert found.attrs["block"] == 1 if method == "circular" else 45 <= found.attrs["block"] <= 80


def test_the_maximum_controls_the_family_of_correlated_null_targets():
    rng = np.random.default_rng(12)
    wrong, any_p = [], []
    for _ in range(120):
        shared = rng.standard_normal((2, 60, 1))
        p, y = (labelled(s + rng.standard_normal((60, 12))) for s in shared)
        found = score_tests(p, y, n=99, rng=rng, block=1)
        wrong.append(float(found.p_max.min()) <= 0.05)
        any_p.append(float(found.p.min()) <= 0.05)
    assert np.mean(wrong) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 120)
    assert np.mean(any_p) > 0.15


def test_a_true_effect_is_found_under_autocorrelation(rng):
    signal, noise = ar(0.8, 300, 20, rng), ar(0.8, 300, 20, rng)
    found = score_tests(labelled(signal), labelled(signal + 0.5 * noise), n=199, rng=rng)
    assert (found.p_max <= 0.05).all()


def test_predictions_equal_a_slow_loop_and_score_as_evaluate(rng):
    x = xr.DataArray(
        rng.standard_normal((48, 3)), dims=("time", "feature"), coords={"time": 1.0 * np.arange(48)}
    )
    y = labelled(
        x.values @ rng.standard_normal((3, 4)) + rng.standard_normal((48, 4)), roi=("neuroid", list("LLRR"))
    )
    y = y.assign_coords(time=x.time, run=("time", np.repeat([1, 2], 24)))
    splits = contiguous_splits(48, 4, purge=2)
    found = cross_validated_predictions(Ridge(2.0), x, y.isel(time=rng.permutation(48)), splits=splits)
    for k, (train, test) in enumerate(splits):
        mean, sd = x.values[train].mean(axis=0), x.values[train].std(axis=0)
        model = Ridge(2.0).fit((x.values[train] - mean) / sd, y.values[train])
        np.testing.assert_allclose(found[test], model.predict((x.values[test] - mean) / sd), atol=1e-12)
        assert (found.fold[test] == k).all()
    assert found.roi.values.tolist() == list("LLRR")
    assert found.run.values.tolist() == y.run.values.tolist()
    for convention in ("folds", "pooled"):
        expected = evaluate(Ridge(2.0), x, y, splits=splits, convention=convention)
        tests = score_tests(found, y, n=9, rng=rng, convention=convention, block=2)
        np.testing.assert_allclose(
            tests.score, expected.mean([d for d in expected.dims if d == "fold"]), atol=1e-12
        )
    part = cross_validated_predictions(Ridge(2.0), x, y, splits=splits[1:3])
    assert part.sizes["time"] == 24
    assert part.attrs["n_untested"] == 24
    with pytest.raises(InvalidValueError, match="tested in several folds"):
        cross_validated_predictions(Ridge(2.0), x, y, splits=[*splits, splits[0]])
    with pytest.raises(InvalidValueError, match="scattered in time"):
        cross_validated_predictions(
            LinearRegression(), x, y, splits=[(np.arange(1, 48, 2), np.arange(0, 48, 2))]
        )


def test_stimuli_move_one_by_one_within_folds_that_are_scattered(rng):
    p, y = (a.drop_vars("fold", errors="ignore").rename(time="stimulus") for a in make())
    fold = rng.permutation(np.repeat([0, 1, 2], 20))
    scattered = p.assign_coords(fold=("stimulus", fold))
    found = score_tests(scattered, y, n=99, rng=np.random.default_rng(0))
    assert (found.attrs["block"], found.attrs["block_from"], found.attrs["n_segments"]) == (1, "default", 3)
    expected = np.mean([stats.pearson_r(y.values[fold == k], p.values[fold == k]) for k in range(3)], axis=0)
    np.testing.assert_allclose(found.score, expected, atol=1e-12)
    assert (found.p < 0.05).all()
    # Predictions that only tell the folds apart score high, but no better than in any other order.
    apart = scattered.copy(data=fold[:, None] + 0.01 * rng.standard_normal((60, 5)))
    found = score_tests(apart, y + 5.0 * apart.fold, n=99, rng=rng, convention="pooled")
    assert (found.score > 0.9).all()
    assert (found.p > 0.02).all()


def test_the_block_says_where_it_is_from(rng):
    p, y = (labelled(ar(0.97, 60, 5, rng)) for _ in range(2))
    for options, block, source in (
        ({}, 30, "autocorrelation, cut to half of the shortest run"),
        ({"folds": np.repeat([0, 1], 30)}, 15, "autocorrelation, cut to half of the shortest run"),
        ({"block": 7}, 7, "given"),
        ({"method": "circular"}, 1, "default"),
    ):
        found = score_tests(p, y, n=5, rng=rng, **options)
        assert (found.attrs["block"], found.attrs["block_from"]) == (block, source)


MISUSE = {
    "block longer than half a run": ({"block": 11}, InvalidValueError, "got 11 rows for the 20 rows"),
    "block of no rows": ({"block": 0}, InvalidValueError, "block must be a positive integer; got 0"),
    "unknown method": ({"method": "shuffle"}, InvalidValueError, "method must be one of 'block'"),
    "unknown metric": ({"metric": "mse"}, InvalidValueError, "metric must be one of 'pearson'"),
    "unknown convention": ({"convention": "mean"}, InvalidValueError, "convention must be one of"),
    "unknown tail": ({"tail": "both"}, InvalidValueError, "tail must be one of"),
    "no such coordinate": ({"runs": "story"}, LabelError, "no coordinate 'story' along 'time'"),
    "folds of another length": ({"folds": [0, 1]}, ShapeError, r"folds must have shape \(60,\)"),
    "no generator": ({"rng": 0}, InvalidValueError, r"rng must be a numpy\.random\.Generator; got int"),
    "no draws": ({"n": 0}, InvalidValueError, "n must be a positive integer"),
    "no chunk": ({"chunk": 0}, InvalidValueError, "chunk must be a positive integer"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(MISUSE))
def test_wrong_arguments_are_refused(case):
    changed, error, text = MISUSE[case]
    p, y = make()
    with pytest.raises(error, match=text):
        score_tests(p, y, **({"n": 5, "rng": np.random.default_rng(0)} | changed))


def test_data_that_do_not_fit_are_refused(rng):
    p, y = make()
    for wrong, error, text in (
        ((p.isel(time=rng.permutation(60)), y), InvalidValueError, "times must increase"),
        ((p, y[1:]), LabelError, "1 of 60 labels of 'time' are not in responses"),
        ((p, y.assign_coords(neuroid=list("abcde"))), LabelError, "labels of 'neuroid' are not in responses"),
        ((p.drop_vars("neuroid"), y[:, 1:]), ShapeError, "same neuroids; got 5 and 4"),
        ((p.values, y), ShapeError, "predictions must be a DataArray"),
        ((p, y.T), ShapeError, "responses must be a DataArray"),
        ((p[:, :0], y[:, :0]), ShapeError, "must have rows and neuroids"),
        (
            (p.where((p.time > 0) | (p.neuroid != "v1"), np.inf), y),
            InvalidValueError,
            "predictions must not be infinite; got inf at row 0 of neuroid 'v1'",
        ),
    ):
        with pytest.raises(error, match=text):
            score_tests(*wrong, n=5, rng=rng)
