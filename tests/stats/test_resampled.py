"""Corrections and tests of resampled statistics: closed forms, scipy, calibration on plain means."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import stats
from neuroalign.errors import InvalidValueError, ShapeError

P = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(P)
def test_holm_equals_a_slow_loop(p):
    adjusted, so_far = {}, 0.0
    for place, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        so_far = max(so_far, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = so_far
    np.testing.assert_allclose(stats.holm(p), [adjusted[i] for i in range(len(p))], atol=1e-12)


@given(P)
def test_holm_is_between_p_and_bonferroni(p):
    adjusted = stats.holm(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= np.minimum(1, np.array(p) * len(p)) + 1e-15).all()


def test_max_p_counts_draws_whose_largest_reaches_the_observed():
    null = np.array([[1.0, 5.0], [2.0, 0.0], [-9.0, 1.0]])
    assert stats.max_p([2.0, 6.0], null).tolist() == [3 / 4, 1 / 4]
    assert stats.max_p([-2.0, 6.0], null, two_sided=True).tolist() == [1.0, 0.5]
    assert np.isnan(stats.max_p([np.nan, 1.0], null)[0])
    assert stats.max_p([np.nan, 1.0], null)[1] == 3 / 4  # 5 and 1 reach 1; the other test counts nowhere
    undefined = null.copy()
    undefined[1, 0] = np.nan
    assert stats.max_p([2.0, 6.0], undefined).tolist() == [3 / 4, 2 / 4]


def test_max_p_refuses_other_shapes():
    with pytest.raises(ShapeError, match=r"null must have shape \(draws, 2\); got \(3,\)"):
        stats.max_p([1.0, 2.0], [1.0, 2.0, 3.0])


def test_max_p_keeps_the_family_wise_rate_under_dependence(rng):
    shared = rng.standard_normal((400, 1))
    found = shared + 0.5 * rng.standard_normal((400, 5))
    null = rng.standard_normal((999, 1)) + 0.5 * rng.standard_normal((999, 5))
    wrong = [(stats.max_p(one, null) <= 0.05).any() for one in found]
    assert np.mean(wrong) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_the_t_test_of_subject_means_is_scipys(rng, tail):
    x = rng.standard_normal((9, 3)) + 0.5
    found = stats.resampled_tests(x.mean(axis=0), x.var(axis=0, ddof=1) / 9, dof=8, tail=tail)
    expected = scipy.stats.ttest_1samp(x, 0, alternative=tail)
    np.testing.assert_allclose(found.p, expected.pvalue, atol=1e-13)
    np.testing.assert_allclose(found.t, expected.statistic)
    low, high = scipy.stats.ttest_1samp(x, 0).confidence_interval()
    np.testing.assert_allclose([found.lower, found.upper], [low, high])
    assert np.isnan(found.p_bootstrap).all()


def test_the_bootstrap_test_of_normal_draws_is_the_t_test(rng):
    draws = scipy.stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)[:, None]
    for tail in ("greater", "less", "two-sided"):
        found = stats.resampled_tests([1.5], [1.0], 0.3 + 2 * draws, dof=6, tail=tail)
        assert float(found.p_bootstrap[0]) == pytest.approx(float(found.p[0]), abs=1e-4)
    assert float(found.lower_bootstrap[0]) == pytest.approx(float(found.lower[0]), abs=1e-2)
    assert float(found.upper_bootstrap[0]) == pytest.approx(float(found.upper[0]), abs=1e-2)


def test_bootstrap_tests_of_few_subjects_keep_their_rate_where_percentiles_do_not(rng):
    wrong, plain = [], []
    for _ in range(1500):
        x = rng.standard_normal(6)
        draws = x[rng.integers(6, size=(300, 6))].mean(axis=1)
        variance = draws.var(ddof=1) * 6 / 5
        found = stats.resampled_tests([x.mean()], [variance], draws[:, None], dof=5, tail="greater")
        wrong.append(found.p_bootstrap[0] <= 0.05)
        plain.append(stats.p_value(0.0, draws, tail="less") <= 0.05)
    assert np.mean(wrong) < 0.06
    assert np.mean(plain) > 0.07


def test_undefined_draws_are_left_out_of_their_statistic_only(rng):
    draws = rng.standard_normal((100, 2)) + 1
    some = draws.copy()
    some[:50, 1] = np.nan
    whole, part = (stats.resampled_tests([1.0, 1.0], [1.0, 1.0], d, dof=9) for d in (draws, some))
    assert whole.p_bootstrap[0] == part.p_bootstrap[0]
    assert part.p_bootstrap[1] == pytest.approx(
        stats.resampled_tests([1.0], [1.0], draws[50:, 1:], dof=9).p_bootstrap[0]
    )
    none = stats.resampled_tests([1.0, 1.0], [1.0, 1.0], np.full((9, 2), np.nan), dof=9)
    assert np.isnan(none.p_bootstrap).all()
    assert np.isnan(none.lower_bootstrap).all()


def test_no_variance_is_no_test(rng):
    found = stats.resampled_tests([1.0, 0.5], [0.0, 0.1], dof=3)
    assert np.isnan(found.p[0])
    assert found.p_holm[1] == found.p[1]


def test_wrong_calls_are_refused():
    with pytest.raises(ShapeError, match="2 estimates need as many variances"):
        stats.resampled_tests([1.0, 2.0], [1.0], dof=3)
    with pytest.raises(ShapeError, match="draws must have 1 columns"):
        stats.resampled_tests([1.0], [1.0], np.zeros((5, 2)), dof=3)
    with pytest.raises(InvalidValueError, match="tail must be one of"):
        stats.resampled_tests([1.0], [1.0], dof=3, tail="up")
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1"):
        stats.resampled_tests([1.0], [1.0], dof=3, level=1.0)
    with pytest.raises(InvalidValueError, match="p must be between 0 and 1"):
        stats.holm([0.5, 1.5])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 50), st.integers(3, 100))
def test_the_dual_variance_stays_between_its_bounds(both, subject, stimulus, n_subjects, n_stimuli):
    found = float(
        stats.dual_variance(np.array(both), np.array(subject), np.array(stimulus), n_subjects, n_stimuli)
    )
    assert found <= both
    assert found >= min(both, n_subjects / (n_subjects - 1) * subject) - 1e-15


def test_mean_tests_of_subjects_are_t_tests_with_labels(rng):
    values = rng.standard_normal((3, 2, 9)) + 0.4
    scores = xr.DataArray(
        values,
        dims=("model", "roi", "subject"),
        coords={"model": list("abc"), "roi": ["V1", "IT"], "subject": np.arange(9)},
    )
    found = stats.mean_tests(scores.transpose("subject", "roi", "model"), n=300, rng=rng, tail="two-sided")
    expected = scipy.stats.ttest_1samp(values, 0, axis=2)
    np.testing.assert_allclose(found["p"].transpose("model", "roi"), expected.pvalue)
    np.testing.assert_allclose(found["estimate"].sel(model="b", roi="IT"), values[1, 1].mean())
    assert found["interval_bootstrap"].sel(bound="lower").dims == ("roi", "model")
    assert (found["p_max"] >= found["p_bootstrap"]).all()
    with pytest.raises(ShapeError, match="scores have no dim 'subject'"):
        stats.mean_tests(scores.rename(subject="s"), n=3, rng=rng)


def test_mean_tests_leave_out_who_is_missing(rng):
    values = rng.standard_normal((1, 8))
    values[0, 2] = np.nan
    scores = xr.DataArray(values, dims=("model", "subject"), coords={"subject": np.arange(8)})
    found = stats.mean_tests(scores, n=50, rng=rng)
    known = np.delete(values[0], 2)
    assert float(found["estimate"][0]) == pytest.approx(known.mean())
    assert float(found["variance"][0]) == pytest.approx(known.var(ddof=1) / 7)
    assert found.attrs["n_undefined"] == 1


def test_the_dual_variance_of_eleven_subjects_and_stimuli_by_hand():
    """1.1 x .3 + 1.1 x .25 - 1.21 x (.6 - .3 - .25) = .5445, between 1.1 x .3 and .6: nothing is cut."""
    found = stats.dual_variance(np.array(0.6), np.array(0.3), np.array(0.25), 11, 11)
    assert float(found) == pytest.approx(0.5445, abs=1e-12)
