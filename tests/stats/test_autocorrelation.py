"""Autocorrelation: slow sums, closed forms of AR(1), block lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.stats import autocorrelation as ac


def ar(coefficient, n, n_series, rng):
    noise = rng.standard_normal((n, n_series))
    noise[0] /= np.sqrt(1 - coefficient**2)
    return lfilter([1], [1, -coefficient], noise, axis=0)


def slow_acf(x, runs, max_lag):
    sums = np.zeros(max_lag + 1)
    for run in dict.fromkeys(runs):
        part = x[[r == run for r in runs]]
        part = part - part.mean()
        for lag in range(max_lag + 1):
            for t in range(len(part) - lag):
                sums[lag] += part[t] * part[t + lag]
    return sums / sums[0]


def test_the_autocorrelation_equals_slow_sums_within_runs(rng):
    x, runs = rng.standard_normal((23, 3)), ["a"] * 9 + ["b"] * 14
    found = ac.autocorrelation(x, runs=runs)
    assert found.shape == (9, 3)
    for column in range(3):
        np.testing.assert_allclose(found[:, column], slow_acf(x[:, column], runs, 8), atol=1e-12)
    np.testing.assert_allclose(
        ac.autocorrelation(x[:, 1], max_lag=4), slow_acf(x[:, 1], [0] * 23, 4), atol=1e-12
    )


def test_an_alternating_series_by_hand():
    np.testing.assert_allclose(
        ac.autocorrelation([1.0, -1.0, 1.0, -1.0]), [1, -3 / 4, 2 / 4, -1 / 4], atol=1e-15
    )


@given(st.integers(0, 1000), st.floats(0.1, 100), st.floats(-50, 50))
def test_shift_and_scale_change_no_autocorrelation_and_none_exceeds_1(seed, scale, shift):
    x = np.random.default_rng(seed).standard_normal(40).cumsum()
    found = ac.autocorrelation(x)
    assert (np.abs(found) <= 1 + 1e-12).all()
    np.testing.assert_allclose(ac.autocorrelation(scale * x + shift), found, atol=1e-9)


def test_a_constant_series_has_none(rng):
    x = np.stack([rng.standard_normal(30), np.full(30, 0.1)], axis=1)
    assert np.isnan(ac.autocorrelation(x)[:, 1]).all()
    assert np.isnan(ac.ar1(x)).tolist() == [False, True]
    assert np.isnan(ac.integrated_time(x)).tolist() == [False, True]
    assert np.isnan(ac.effective_n(x, x)).tolist() == [False, True]


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.8])
def test_closed_forms_of_a_first_order_autoregression(coefficient, rng):
    x, y = ar(coefficient, 4000, 30, rng), ar(coefficient, 4000, 30, rng)
    assert ac.ar1(x).mean() == pytest.approx(coefficient, abs=0.01)
    lags = np.arange(6)
    np.testing.assert_allclose(ac.autocorrelation(x, max_lag=5).mean(axis=1), coefficient**lags, atol=0.02)
    time = (1 + coefficient) / (1 - coefficient)
    assert ac.integrated_time(x).mean() == pytest.approx(time, rel=0.05)
    product = coefficient**2
    expected = 4000 * (1 - product) / (1 + product)
    assert ac.effective_n(x, y).mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.8, 0.8), (0.9, 0.4), (0.9, 0.0)])
def test_blocks_of_autoregressions_have_the_length_of_theory(first, second, rng):
    # With a = ab, V(L) is V - 2a / ((1 - a)^2 L) up to a^L, V = (1 + a) / (1 - a): L = 2a / ((1 - a^2) .025).
    x, y = ar(first, 4000, 60, rng), ar(second, 4000, 60, rng)
    product = first * second
    expected = max(1.0, 2 * product / (1 - product**2) / 0.025)
    assert ac.block_length(x, y) == pytest.approx(expected, rel=0.12)
    half = max(1.0, 2 * product / (1 - product**2) / 0.1)
    assert ac.block_length(x, y, tolerance=0.1) == pytest.approx(half, rel=0.15)


def test_the_variance_that_blocks_keep_is_that_of_theory():
    products = 0.64 ** np.arange(300)
    kept = ac._kept(products)
    for length in (1, 2, 40, 300):
        slow = 1 + 2 * sum((1 - k / length) * 0.64**k for k in range(1, length))
        assert kept[length - 1] == pytest.approx(slow)
    length = int(ac._first_length(products, 0.05))
    assert kept[length - 1] >= 0.95 * kept[-1] > kept[length - 2]
    np.testing.assert_array_equal(
        ac._first_length(np.stack([products, 0 * products], axis=1), 0.05), [length, 1]
    )


def test_blocks_leave_two_to_a_run_and_are_whole_rows(rng):
    walk = rng.standard_normal((120, 4)).cumsum(axis=0)
    assert ac.block_length(walk) == 60
    assert ac.block_length(walk, runs=np.repeat([0, 1], [90, 30])) == 15
    assert ac.block_length(rng.standard_normal((4, 2))) == 1


def test_a_series_that_is_undefined_has_no_say_in_the_block(rng):
    x = ar(0.8, 300, 5, rng)
    odd = np.concatenate([x, np.full((300, 1), 3.0), np.full((300, 1), np.nan)], axis=1)
    assert ac.block_length(odd) == ac.block_length(x)
    with pytest.raises(InvalidValueError, match="none of 2 does"):
        ac.block_length(odd[:, 5:])


def test_each_column_has_the_length_that_it_has_alone(rng):
    x, y = (np.concatenate([ar(c, 200, 3, rng) for c in (0.0, 0.7)], axis=1) for _ in range(2))
    runs = np.repeat([0, 1], 100)
    found = ac.block_lengths(x, y, runs=runs)
    alone = [ac.block_length(x[:, [j]], y[:, [j]], runs=runs) for j in range(6)]
    assert found.tolist() == alone
    assert found[:3].max() < found[3:].min()
    assert ac.block_lengths(x[:, :0]).shape == (0,)


def test_what_is_no_series_is_refused(rng):
    x = rng.standard_normal((20, 2))
    with pytest.raises(InvalidValueError, match=r"max_lag must be an integer from 0 to 9.*got 10"):
        ac.autocorrelation(x, runs=np.repeat([0, 1], 10), max_lag=10)
    with pytest.raises(ShapeError, match=r"runs must have shape \(20,\), one a row; got \(3,\)"):
        ac.autocorrelation(x, runs=[0, 1, 2])
    with pytest.raises(InvalidValueError, match="x must be finite"):
        ac.ar1(np.where(x > 1, np.nan, x))
    with pytest.raises(ShapeError, match="x and y must have one shape"):
        ac.effective_n(x, x[:, 0])
    with pytest.raises(ShapeError, match=r"the same; got \(20, 2\) and \(20, 1\)"):
        ac.block_length(x, x[:, :1])
    with pytest.raises(InvalidValueError, match="tolerance must be between 0 and 1; got 1"):
        ac.block_length(x, tolerance=1)
    with pytest.raises(ShapeError, match="at least 1 row"):
        ac.autocorrelation(x[:0])
