"""Sign flips: scipy's test, all patterns, exactness on scores that are not normal."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.stats

from neuroalign import stats
from neuroalign.errors import InvalidValueError, ShapeError


def mean(x, axis=-1):
    return x.mean(axis=axis)


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_p_equals_scipys_over_all_patterns(tail):
    values = np.random.default_rng(0).normal([0.0, 0.5, -1.0], size=(7, 3))
    expected = scipy.stats.permutation_test(
        (values,), mean, permutation_type="samples", alternative=tail, n_resamples=np.inf
    )
    found = stats.p_value(values.mean(axis=0), stats.sign_flips(values), tail=tail)
    np.testing.assert_allclose(found, expected.pvalue, atol=1e-12)


def test_null_holds_every_pattern_but_the_datas_own_once():
    values = np.array([[1.0], [2.0], [4.0]])
    expected = [np.dot(signs, [1, 2, 4]) / 3 for signs in product([1, -1], repeat=3)][1:]
    np.testing.assert_allclose(np.sort(stats.sign_flips(values)[:, 0]), np.sort(expected))


def test_rate_is_exact_where_scores_are_heavy_tailed():
    values = np.random.default_rng(1).standard_t(1.5, size=(8, 20_000))
    p = stats.p_value(values.mean(axis=0), stats.sign_flips(values), tail="two-sided")
    exact = 12 / 256  # the largest attainable level at or below .05
    assert abs((p <= 0.05).mean() - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)


def test_more_subjects_are_drawn_and_agree_with_all_patterns(monkeypatch):
    values = np.random.default_rng(2).normal([0.6, 0.0], size=(12, 2))
    every = stats.p_value(values.mean(axis=0), stats.sign_flips(values))
    monkeypatch.setattr("neuroalign.stats.flips.ENUMERATED", 11)
    null = stats.sign_flips(values, n=4000, rng=np.random.default_rng(0))
    assert null.shape == (4000, 2)
    np.testing.assert_allclose(stats.p_value(values.mean(axis=0), null), every, atol=0.03)
    with pytest.raises(InvalidValueError, match="12 subjects have more patterns of signs"):
        stats.sign_flips(values)


def test_subjects_without_a_score_are_left_out_of_that_mean():
    values = np.random.default_rng(3).standard_normal((6, 2))
    holed = values.copy()
    holed[2, 1] = np.nan
    null = stats.sign_flips(holed)
    kept = np.delete(values[:, 1], 2)
    expected = stats.p_value(kept.mean(), stats.sign_flips(kept[:, None])[:, 0])
    assert float(stats.p_value(kept.mean(), null[:, 1])) == pytest.approx(float(expected))
    assert np.isnan(stats.sign_flips(np.full((3, 1), np.nan))).all()
    with pytest.raises(ShapeError, match="at least 1 subject"):
        stats.sign_flips(np.empty((0, 2)))


def test_degrees_of_freedom_count_the_draws():
    assert stats.effective_dof(7, 10**9) == pytest.approx(7)
    assert stats.effective_dof(7, 8) == pytest.approx(3.5)
    rng = np.random.default_rng(4)
    values = rng.standard_normal((40_000, 8))
    # A variance from 20 draws: about its value, as spread as 19 degrees of freedom leave it.
    variance = values.var(axis=1, ddof=1) / 8 * rng.chisquare(19, len(values)) / 19
    rates = [
        (stats.resampled_tests(values.mean(axis=1), variance, dof=dof).p <= 0.05).mean()
        for dof in (7, stats.effective_dof(7, 20))
    ]
    assert rates[0] > 0.056
    assert abs(rates[1] - 0.05) < 0.004
