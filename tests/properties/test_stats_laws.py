"""Laws of p values, corrections, bootstraps and ceilings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, law, noise

from neuroalign import stats

P = st.lists(st.floats(0, 1), min_size=1, max_size=12).map(np.array)
TAILS = st.sampled_from(["greater", "less", "two-sided"])


@law(40)
@given(seed=SEEDS, n=st.integers(1, 40), tail=TAILS, observed=st.floats(-5, 5))
def test_p_is_at_least_one_in_all_draws_and_at_most_1(seed, n, tail, observed):
    p = float(stats.p_value(np.array(observed), noise(n, seed=seed), tail=tail))
    assert 1 / (n + 1) <= p <= 1


@law(30)
@given(seed=SEEDS, n=st.integers(2, 40), low=st.floats(-3, 3), more=st.floats(0, 3))
def test_p_falls_as_the_observed_rises(seed, n, low, more):
    null = noise(n, seed=seed)
    p = [float(stats.p_value(np.array(x), null)) for x in (low, low + more)]
    assert p[1] <= p[0]
    turned = [float(stats.p_value(np.array(-x), -null, tail="less")) for x in (low, low + more)]
    assert turned == p


@law(40)
@given(seed=SEEDS, n=st.integers(1, 30), m=st.integers(1, 6))
def test_the_maximum_over_tests_is_never_more_lenient_than_one_test(seed, n, m):
    null, observed = noise(n, m, seed=seed), noise(m, seed=seed + 1)
    joint, alone = stats.max_p(observed, null), stats.p_value(observed, null)
    assert (joint >= alone - 1e-15).all() and (joint >= 1 / (n + 1)).all() and (joint <= 1).all()
    order = np.argsort(observed)[::-1]
    assert (np.diff(joint[order]) >= 0).all()


@law(60)
@given(p=P)
def test_corrections_are_monotone_between_p_and_bonferroni(p):
    q, h = stats.fdr(p), stats.holm(p)
    bonferroni = np.minimum(1, p * p.size)
    order = np.argsort(p, kind="stable")
    for found in (q, h):
        assert (found >= p - 1e-12).all() and (found <= bonferroni + 1e-12).all()
        assert (np.diff(found[order]) >= -1e-12).all()
    assert (q <= h + 1e-12).all()
    assert q.max() == pytest.approx(min(1, p.max()))


@law(40)
@given(p=P, at=st.integers(0, 11), lower=st.floats(0, 1))
def test_a_smaller_p_never_raises_another_q(p, at, lower):
    changed = p.copy()
    changed[at % p.size] *= lower
    assert (stats.fdr(changed) <= stats.fdr(p) + 1e-12).all()


@law(15)
@given(seed=SEEDS, n=st.integers(2, 9))
def test_all_patterns_of_signs_have_mean_0_and_a_mirror(seed, n):
    null = stats.sign_flips(noise(n, 1, seed=seed))
    own = noise(n, 1, seed=seed).mean(axis=0)
    assert len(null) == 2**n - 1
    np.testing.assert_allclose((null.sum(axis=0) + own), 0, atol=1e-10)
    everything = np.sort(np.concatenate([null, own[None]]).ravel())
    np.testing.assert_allclose(everything, -everything[::-1], atol=1e-12)


@law(15)
@given(seed=SEEDS, n=st.integers(3, 12), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_a_bootstrap_of_a_mean_moves_with_its_data_and_stays_within_them(seed, n, scale, shift):
    values = noise(n, seed=seed)

    def interval(x):
        draws = stats.bootstrap(lambda rows: x[rows].mean(), n, n=50, rng=np.random.default_rng(1))
        return np.array([draws.lower, draws.upper], dtype=float)

    low, high = interval(values)
    assert values.min() - 1e-12 <= low <= high <= values.max() + 1e-12
    np.testing.assert_allclose(interval(scale * values + shift), [scale * low + shift, scale * high + shift])


@law(15)
@given(seed=SEEDS, name=st.sampled_from(["pearson_r", "spearman"]))
def test_correlations_are_symmetric_within_1_and_turn_with_the_sign(seed, name):
    function = getattr(stats, name)
    a, b = noise(15, 3, seed=seed), noise(15, 3, seed=seed + 1)
    r = function(a, b)
    assert (abs(r) <= 1).all()
    np.testing.assert_allclose(function(b, a), r, atol=1e-12)
    np.testing.assert_allclose(function(-a, b), -r, atol=1e-12)
    np.testing.assert_allclose(function(a, a), 1, atol=1e-12)


@law(15)
@given(seed=SEEDS)
def test_r2_is_1_for_truth_0_for_the_mean_and_never_above_explained_variance(seed):
    y, guess = noise(12, 3, seed=seed), noise(12, 3, seed=seed + 1)
    np.testing.assert_allclose(stats.r2(y, y), 1)
    np.testing.assert_allclose(stats.r2(y, np.broadcast_to(y.mean(0), y.shape)), 0, atol=1e-12)
    assert (stats.r2(y, guess) <= stats.explained_variance(y, guess) + 1e-12).all()
    assert (stats.explained_variance(y, guess) <= 1).all()


@law(15)
@given(seed=SEEDS, k=st.integers(2, 5))
def test_the_lower_bound_of_a_ceiling_is_below_the_upper_one(seed, k):
    values = noise(1, 15, 2, seed=seed) + noise(k, 15, 2, seed=seed + 1)
    lower, upper = stats.noise_ceiling(values)
    assert (lower <= upper + 1e-12).all() and (upper <= 1 + 1e-12).all()


@law(20)
@given(seed=SEEDS, n_sets=st.integers(2, 4))
def test_commonalities_sum_to_the_joint_score(seed, n_sets):
    scores = np.random.default_rng(seed).random((2**n_sets - 1, 2))
    parts = np.asarray(stats.commonalities(scores, n_sets))
    assert np.isclose(parts.sum(axis=0), scores[-1]).all()


@law(20)
@given(r=st.floats(-0.9, 0.99), factor=st.floats(1, 8))
def test_a_longer_test_is_never_less_reliable(r, factor):
    found = float(np.asarray(stats.spearman_brown(np.array(r))))
    assert -1e300 < found <= 1 and (r < 0 or found >= r - 1e-12)


@law(20)
@given(seed=SEEDS)
def test_standardising_and_detrending_are_their_own_fixed_points(seed):
    x = 5 + noise(20, 3, seed=seed).cumsum(axis=0)
    for function in (stats.standardize, stats.detrend_linear):
        once = function(x)
        np.testing.assert_allclose(function(once), once, atol=1e-9)
        np.testing.assert_allclose(once.mean(axis=0), 0, atol=1e-9)
