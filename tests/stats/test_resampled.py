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
from neuroalign.stats.resampled import standardized_draws

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


def test_draws_are_standardised_by_hand():
    draws = np.array([[1.0, 4.0, 7.0, np.nan], [2.0, np.nan, np.nan, np.nan], [6.0, 8.0, np.nan, np.nan]])
    deviation = np.sqrt(7.0)  # squares of -2, -1, 3 over 2
    expected = [
        [-2 / deviation, -np.sqrt(0.5), np.nan, np.nan],
        [-1 / deviation, np.nan, np.nan, np.nan],
        [3 / deviation, np.sqrt(0.5), np.nan, np.nan],
    ]
    found = standardized_draws(draws)
    np.testing.assert_allclose(found, expected)
    for scale in (1e-9, 1e9):
        np.testing.assert_allclose(standardized_draws(scale * draws), expected)
    assert np.isnan(standardized_draws(np.zeros((3, 2)))).all()


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_tests_of_skewed_draws_are_those_of_the_formula(tail, level):
    rng = np.random.default_rng(11)
    draws = rng.exponential(size=(60, 3)) ** 1.5 * [1.0, -2.0, 0.5]
    draws[:7, 2] = np.nan
    estimate, variance = np.array([0.9, -1.1, 0.2]), np.array([0.4, 0.9, 0.05])
    found = stats.resampled_tests(estimate, variance, draws, dof=6, tail=tail, level=level)
    t = estimate / np.sqrt(variance)
    z = scipy.stats.norm.ppf(scipy.stats.t.cdf(t, 6))
    shape = (draws - np.nanmean(draws, axis=0)) / np.nanstd(draws, axis=0, ddof=1)

    def share(one, null):
        up, down = ((1 + (side * null >= side * one).sum()) / (1 + len(null)) for side in (1, -1))
        return {"greater": up, "less": down, "two-sided": min(1.0, 2 * min(up, down))}[tail]

    mirrored = [-one[~np.isnan(one)] for one in shape.T]
    expected = [share(one, null) for one, null in zip(z, mirrored, strict=True)]
    np.testing.assert_allclose(found.p_bootstrap, expected)
    take = {"greater": np.positive, "less": np.negative, "two-sided": np.abs}[tail]
    largest = take(-shape[7:]).max(axis=1)
    np.testing.assert_allclose(found.p_max, [(1 + (largest >= take(one)).sum()) / 54 for one in z])
    half = scipy.stats.t.ppf((1 + level) / 2, 6) * np.sqrt(variance)
    np.testing.assert_allclose([found.lower, found.upper], [estimate - half, estimate + half])
    ends = np.nanquantile(shape, [(1 - level) / 2, (1 + level) / 2], axis=0)
    expanded = estimate + np.sqrt(variance) * scipy.stats.t.ppf(scipy.stats.norm.cdf(ends), 6)
    np.testing.assert_allclose([found.lower_bootstrap, found.upper_bootstrap], expanded)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_an_estimate_changes_no_test(scale):
    draws = np.random.default_rng(12).exponential(size=(40, 2))
    estimate, variance = np.array([1.0, -0.3]), np.array([0.2, 0.1])
    one = stats.resampled_tests(estimate, variance, draws, dof=4)
    other = stats.resampled_tests(scale * estimate, scale**2 * variance, scale * draws, dof=4)
    for name in ("t", "p", "p_fdr", "p_holm", "p_bootstrap", "p_max"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name))
    for name in ("lower", "upper", "lower_bootstrap", "upper_bootstrap"):
        np.testing.assert_allclose(getattr(other, name), scale * getattr(one, name))


def test_no_degree_of_freedom_and_no_draw_are_refused():
    for dof in (0, -1):
        with pytest.raises(
            ShapeError, match=rf"1 estimates need .* positive degrees of freedom, .*; got 1 and .*{dof}"
        ):
            stats.resampled_tests([1.0], [1.0], dof=dof)
    with pytest.raises(ShapeError, match=r"2 estimates need .*, one or as many"):
        stats.resampled_tests([1.0, 2.0], [1.0, 1.0], dof=[3, 3, 3])
    # Of half a degree there is a t: heavier than Cauchy's.
    assert stats.resampled_tests([1.0], [1.0], dof=0.5).p[0] == pytest.approx(2 * scipy.stats.t.sf(1, 0.5))
    with pytest.raises(ShapeError, match=r"at least 1 row; got shape \(0, 1\)"):
        stats.resampled_tests([1.0], [1.0], np.zeros((0, 1)), dof=3)
    one = stats.resampled_tests([1.0], [1.0], [[2.0]], dof=3)  # a single draw has no spread
    assert np.isnan([one.p_bootstrap, one.p_max, one.lower_bootstrap, one.upper_bootstrap]).all()
    negative = stats.resampled_tests([1.0, 1.0], [-1.0, 0.0], dof=3)
    assert np.isnan([negative.t, negative.p, negative.lower, negative.upper]).all()


def test_a_subject_without_any_score_changes_nothing_but_the_count(rng):
    scores = xr.DataArray(
        rng.standard_normal((2, 6)), dims=("model", "subject"), coords={"subject": range(6)}
    )
    more = scores.reindex(subject=range(8))
    found = [stats.mean_tests(x, n=30, rng=np.random.default_rng(4)) for x in (scores, more)]
    assert [x.attrs["n_undefined"] for x in found] == [0, 4]
    assert [x.attrs["dof"] for x in found] == [5, 5]
    xr.testing.assert_identical(*(x.drop_attrs() for x in found))


def test_each_estimate_has_degrees_of_freedom_of_its_own(rng):
    draws = rng.normal([2.0, 1.0], 1.0, (50, 2))
    both = stats.resampled_tests([2.0, 1.0], [0.5, 0.3], draws, dof=[2, 7])
    for i, dof in enumerate((2, 7)):
        one = stats.resampled_tests([[2.0, 1.0][i]], [[0.5, 0.3][i]], draws[:, [i]], dof=dof)
        for name in ("t", "p", "p_bootstrap", "lower", "upper", "lower_bootstrap", "upper_bootstrap"):
            assert getattr(both, name)[i] == pytest.approx(getattr(one, name)[0], rel=1e-12)


@pytest.mark.parametrize(
    ("both", "subject", "stimulus", "expected"),
    [
        # a = 3 / 2 of 3 subjects, b = 11 / 10 of 11 stimuli.
        (0.7, 0.25, 0.3, 1.5 * 0.25 + 1.1 * 0.3 - 1.65 * 0.15),
        (1.0, 0.5, 0.01, 0.75),  # the formula gives less: at least a v_s
        (1.0, 0.01, 0.6, 0.66),  # at least b v_c
        (0.3, 0.29, 0.01, 0.3),  # at most that over both
        (0.0, 0.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_dual_variance_of_three_subjects_and_eleven_stimuli_by_hand(
    both, subject, stimulus, expected, scale
):
    parts = (np.array([scale * one, np.nan]) for one in (both, subject, stimulus))
    np.testing.assert_allclose(stats.dual_variance(*parts, 3, 11), [scale * expected, np.nan])
    parts = (np.array(scale * one) for one in (both, stimulus, subject))
    assert float(stats.dual_variance(*parts, 11, 3)) == pytest.approx(scale * expected)


def test_the_dual_variance_needs_one_shape():
    with pytest.raises(ShapeError, match=r"one shape; got \(2,\), \(2,\) and \(3,\)"):
        stats.dual_variance(np.ones(2), np.ones(2), np.ones(3), 3, 4)
    # Two of each are the fewest: both factors are 2.
    assert float(stats.dual_variance(np.array(0.9), np.array(0.2), np.array(0.1), 2, 2)) == pytest.approx(0.4)


@pytest.mark.parametrize("n_draws", [1, 2, 20])
def test_degrees_of_freedom_of_few_draws(n_draws):
    expected = 1 / (1 / 5 + 1 / max(n_draws - 1, 1))
    assert stats.effective_dof(5, n_draws) == pytest.approx(expected)


def test_one_score_has_a_mean_and_no_variance_and_none_has_neither():
    values = np.array([[0.3, np.nan, np.nan], [np.nan] * 3, [0.2, 0.4, np.nan], [0.1, 0.2, 0.6]])
    scores = xr.DataArray(values, dims=("model", "subject"), coords={"subject": list("abc")})
    found = stats.mean_tests(scores, n=20, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found["estimate"], [0.3, np.nan, 0.3, 0.3])
    np.testing.assert_allclose(found["variance"], [np.nan, np.nan, 0.02 / 2, 0.07 / 3])
    t = 0.3 / np.sqrt([0.01, 0.07 / 3])
    np.testing.assert_allclose(found["t"], [np.nan, np.nan, *t])
    # A mean of two of the three subjects has one degree of freedom.
    np.testing.assert_allclose(found["p"], [np.nan, np.nan, *scipy.stats.t.sf(t, [1, 2])])
    half = scipy.stats.t.ppf(0.975, [1, 2]) * np.sqrt([0.01, 0.07 / 3])
    np.testing.assert_allclose(found["interval"].sel(bound="upper")[2:], 0.3 + half)
    assert (found.attrs["dof"], found.attrs["n_undefined"], found.attrs["n_untested"]) == (2, 6, 2)


@pytest.mark.parametrize("adjust", [stats.fdr, stats.holm])
def test_the_first_p_that_is_none_is_named_and_0_and_1_are_p(adjust):
    assert adjust([0.0, 1.0]).tolist() == [0.0, 1.0]
    for p, said in (
        ([0.0, 1.0, 1.5, 2.0], r"got 1.5 at position \(2,\)"),
        ([np.nan, 1.0, 0.0, -0.25], r"got -0.25 at position \(3,\)"),
        ([[0.0, 1.0], [0.5, -1e-9]], r"got -1e-09 at position \(1, 1\)"),
    ):
        with pytest.raises(InvalidValueError, match=said):
            adjust(p)


def test_max_p_of_maps_and_of_no_draw():
    null = np.arange(12.0).reshape(3, 2, 2)
    assert stats.max_p([[7.0, 8.0], [3.0, 11.5]], null).tolist() == [[3 / 4, 2 / 4], [1.0, 1 / 4]]
    assert np.isnan(stats.max_p([np.nan, np.nan], null[:, 0])).all()
    for wrong in (null[:0], 1.0, null[:, 0]):
        with pytest.raises(ShapeError, match=r"null must have shape \(draws, 2, 2\)"):
            stats.max_p(np.zeros((2, 2)), wrong)
