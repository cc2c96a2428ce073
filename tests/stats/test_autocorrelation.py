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


def slow_last_lag(acf, n):
    """The smallest lag after which 5 in a row are inside the band; beyond the last lag all are."""
    band = 2 * np.sqrt(np.log10(max(n, 2)) / n)
    return next(lag for lag in range(len(acf)) if all(abs(value) < band for value in acf[lag + 1 : lag + 6]))


def slow_products(x, y, runs):
    n_lags = min(runs.count(run) for run in runs)
    first, second = (slow_acf(series, runs, n_lags - 1) for series in (x, y))
    last = min(slow_last_lag(acf, len(x)) for acf in (first, second))
    weight = [1.0 if lag <= last else max(0.0, 2 - lag / last) if last else 0.0 for lag in range(n_lags)]
    return np.array(weight) * first * second


def slow_kept(products, length):
    return 1 + 2 * sum((1 - k / length) * products[k] for k in range(1, length))


def slow_length(products, tolerance):
    kept = [slow_kept(products, length) for length in range(1, len(products) + 1)]
    length = len(kept)
    while length > 1 and kept[length - 2] >= (1 - tolerance) * kept[-1]:
        length -= 1
    return min(length, max(1, len(products) // 2))


@pytest.mark.parametrize("lengths", [[31], [17, 14], [8, 15, 11]])
@pytest.mark.parametrize("tolerance", [0.025, 0.3])
def test_block_lengths_of_short_series_are_those_of_slow_sums(lengths, tolerance):
    rng = np.random.default_rng(sum(lengths))
    runs = [f"run{i}" for i, length in enumerate(lengths) for _ in range(length)]
    x, y = (np.stack([ar(c, len(runs), 1, rng)[:, 0] for c in (0.0, 0.4, 0.7, 0.9, 0.9)], 1) for _ in "xy")
    products = [slow_products(a, b, runs) for a, b in zip(x.T, y.T, strict=True)]
    found = ac.block_lengths(x, y, runs=runs, tolerance=tolerance)
    assert found.tolist() == [slow_length(each, tolerance) for each in products]
    whole = ac.block_length(x, y, runs=runs, tolerance=tolerance)
    assert whole == slow_length(np.mean(products, axis=0), tolerance)
    variance = np.array([slow_kept(each, len(each)) for each in products])
    expected = np.where(variance > 0, len(runs) / np.where(variance > 0, variance, 1.0), np.nan)
    np.testing.assert_allclose(ac.effective_n(x, y, runs=runs), expected)


@pytest.mark.parametrize("chunk", [1, 2, 5, 6])
def test_blocks_of_columns_change_no_length(chunk, monkeypatch, rng):
    x = np.concatenate([ar(c, 60, 1, rng) for c in (0.9, 0.0, 0.5, 0.8, 0.7)], axis=1)
    whole, each = ac.block_length(x), ac.block_lengths(x).tolist()
    monkeypatch.setattr(ac, "CHUNK", chunk)
    assert ac.block_length(x) == whole
    assert ac.block_lengths(x).tolist() == each


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_change_no_block_and_no_effective_n(scale, rng):
    x, y = ar(0.8, 80, 4, rng), ar(0.6, 80, 4, rng)
    np.testing.assert_array_equal(ac.block_lengths(scale * x + 3 * scale, y), ac.block_lengths(x, y))
    np.testing.assert_allclose(ac.effective_n(scale * x + 3 * scale, y), ac.effective_n(x, y), rtol=1e-6)


def test_a_block_that_keeps_just_enough_variance_is_long_enough():
    # V is 1, 2, 4, 4, ...: at a tolerance of a half two rows keep exactly half of it.
    products = np.array([1.0, 1.0, 2.5, -2.0, 0.0, 0.0, 0.0, 0.0])
    assert ac._kept(products).tolist() == [1, 2, 4, 4, 4, 4, 4, 4]
    assert int(ac._first_length(products, 0.5)) == 2
    assert int(ac._first_length(products, 0.4)) == 3


def test_an_autocorrelation_at_its_band_is_not_taken_for_0():
    # Of 10,000 rows the band is 2 sqrt(4 / 10,000) = .04.
    for value, last in ((0.04, 1), (0.0399, 0), (-0.04, 1)):
        acf = np.array([[1.0], [value], *[[0.0]] * 8])
        assert ac._last_lag(acf, 10_000).tolist() == [last]


def test_the_flat_top_falls_from_its_lag_to_0_at_twice_that():
    weight = ac._flat_top(np.array([0, 1, 3]), 8)
    assert weight[:, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert weight[:, 1].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(weight[:, 2], [1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0])


def test_an_estimated_variance_of_0_or_less_has_no_effective_n(monkeypatch, rng):
    # Of two rows V is 1 + product: 2, 0 and -1.
    monkeypatch.setattr(ac, "_products", lambda x, y, rows: np.array([[1.0] * 3, [1.0, -1.0, -2.0]]))
    x = rng.standard_normal((2, 3))
    np.testing.assert_array_equal(ac.effective_n(x, x), [1.0, np.nan, np.nan])


def test_the_integrated_time_weighs_lags_by_the_window(rng):
    x = ar(0.7, 40, 3, rng)
    for column, found in zip(x.T, ac.integrated_time(x), strict=True):
        acf = slow_acf(column, [0] * 40, 39)
        last = slow_last_lag(acf, 40)
        slow = 1 + 2 * sum(min(1.0, max(0.0, 2 - k / last)) * acf[k] for k in range(1, 40) if last)
        assert found == pytest.approx(slow)


def test_runs_of_three_lengths_are_each_their_own(rng):
    x, runs = rng.standard_normal((21, 2)), [2] * 6 + [0] * 11 + [1] * 4
    found = ac.autocorrelation(x, runs=runs)
    for column in range(2):
        np.testing.assert_allclose(found[:, column], slow_acf(x[:, column], runs, 3), atol=1e-12)
    np.testing.assert_allclose(ac.ar1(x, runs=runs), found[1])


def test_the_largest_lag_is_the_last_row_of_the_shortest_run():
    x = np.array([3.0, 1.0, 2.0])
    np.testing.assert_allclose(ac.autocorrelation(x, max_lag=2), [1, -0.5, 0], atol=1e-15)
    assert ac.autocorrelation(x, max_lag=0).tolist() == [1]
    for lag in (-1, 3, True, 1.0):
        with pytest.raises(InvalidValueError, match=f"an integer from 0 to 2, .* 3 rows .*got {lag}"):
            ac.autocorrelation(x, max_lag=lag)
    with pytest.raises(ShapeError, match=r"the same; got \(3,\) and \(3,\)"):
        ac.block_length(x)
