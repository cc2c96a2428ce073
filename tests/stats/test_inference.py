"""Permutation, bootstrap, correction: closed forms, determinism, calibration."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import stats
from neuroalign.errors import InvalidValueError, ShapeError


def test_p_value_by_hand_for_each_tail():
    null = np.array([0.0, 1.0, 2.0, 3.0])
    assert stats.p_value(2.0, null) == 3 / 5
    assert stats.p_value(2.0, null, tail="less") == 4 / 5
    assert stats.p_value(2.0, null, tail="two-sided") == 1.0
    assert stats.p_value(9.0, null) == 1 / 5
    assert stats.p_value(9.0, null, tail="two-sided") == 2 / 5


def test_p_value_works_over_trailing_dims(rng):
    observed, null = rng.standard_normal((2, 3)), rng.standard_normal((50, 2, 3))
    p = stats.p_value(observed, null)
    assert p.shape == (2, 3)
    assert p[1, 2] == stats.p_value(observed[1, 2], null[:, 1, 2])


def test_nan_draws_count_against_the_result_and_nan_observed_stays_nan():
    assert stats.p_value(5.0, [0.0, np.nan, np.nan, 0.0]) == 3 / 5
    assert np.isnan(stats.p_value(np.nan, [0.0, 1.0]))


def test_draws_that_differ_by_rounding_are_ties():
    assert stats.p_value(0.1 + 0.2, [0.3]) == 1.0


def test_p_value_refuses_wrong_shapes_and_tails():
    with pytest.raises(ShapeError, match=r"got \(5, 2\)"):
        stats.p_value([1.0, 2.0, 3.0], np.zeros((5, 2)))
    with pytest.raises(InvalidValueError, match="tail must be one of 'greater', 'less', 'two-sided'"):
        stats.p_value(1.0, [1.0], tail="both")


def test_permutation_is_decided_by_its_generator():
    x = np.arange(20.0)

    def null(seed):
        rng = np.random.default_rng(seed)
        return stats.permutation(
            lambda order: x @ x[order], 30, permute=lambda rng: stats.shuffle(20, rng), rng=rng
        )

    np.testing.assert_array_equal(null(3), null(3))
    assert (null(3) != null(4)).any()


def test_permutation_test_is_calibrated_under_the_null(rng):
    rejected = 0
    for _ in range(400):
        x, y = rng.standard_normal((2, 12))
        null = stats.permutation(
            lambda order, x=x, y=y: x[order] @ y, 39, permute=lambda rng: stats.shuffle(12, rng), rng=rng
        )
        rejected += stats.p_value(x @ y, null) <= 0.05
    # Exact at 2 / 40 = .05; 400 sets have a standard error of .011.
    assert 0.02 <= rejected / 400 <= 0.08


def test_block_permutation_holds_its_level_on_autocorrelated_series_where_shuffling_does_not(rng):
    n, n_sets = 240, 500
    noise = rng.standard_normal((2, n, n_sets))
    series = np.empty_like(noise)
    series[:, 0] = noise[:, 0]
    for t in range(1, n):
        series[:, t] = 0.8 * series[:, t - 1] + noise[:, t]
    observed = stats.pearson_r(*series)
    rates = {}
    for name, permute in {
        "block": lambda rng: stats.block_shuffle(n, 30, rng),
        "shuffle": lambda rng: stats.shuffle(n, rng),
    }.items():
        null = stats.permutation(
            lambda order: stats.pearson_r(series[0][order], series[1]), 99, permute=permute, rng=rng
        )
        rates[name] = (stats.p_value(observed, null) <= 0.05).mean()
    assert 0.02 < rates["block"] < 0.09
    assert rates["shuffle"] > 0.14


@given(st.integers(2, 60), st.integers(1, 30), st.integers(0, 1000))
def test_block_shuffle_is_a_permutation_that_keeps_most_neighbours(n, block, seed):
    if n < 2 * block:
        with pytest.raises(InvalidValueError, match="at least two blocks"):
            stats.block_shuffle(n, block, np.random.default_rng(seed))
        return
    order = stats.block_shuffle(n, block, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(n))
    broken = ((np.diff(order) % n) != 1).sum()
    assert broken < -(-n // block)


@given(st.integers(4, 40), st.integers(0, 100))
def test_circular_shift_rotates_by_at_least_the_minimum(n, seed):
    order = stats.circular_shift(n, np.random.default_rng(seed), minimum=2)
    assert 2 <= order[0] <= n - 2 or 2 <= n - order[0] <= n - 2
    assert ((np.diff(order) % n) == 1).all()


def test_bootstrap_of_a_mean_has_the_normal_interval(rng):
    x = rng.standard_normal(400)
    found = stats.bootstrap(lambda i: x[i].mean(), 400, n=2000, rng=rng)
    half = 1.96 * x.std() / 20
    np.testing.assert_allclose([found.lower, found.upper], [x.mean() - half, x.mean() + half], atol=0.02)
    assert found.draws.shape == (2000,)


def test_undefined_bootstrap_draws_are_counted_and_left_out():
    found = stats.bootstrap(
        lambda i: np.array([np.nan if 0 in i else 1.0, np.nan]), 3, n=100, rng=np.random.default_rng(0)
    )
    assert 0 < found.n_undefined[0] < 100
    assert found.lower[0] == 1.0
    assert np.isnan(found.lower[1])
    assert found.n_undefined[1] == 100


def test_two_items_are_enough_for_a_bootstrap():
    found = stats.bootstrap(lambda i: float(i.mean()), 2, n=200, rng=np.random.default_rng(0))
    assert (float(found.estimate), float(found.lower), float(found.upper)) == (0.5, 0.0, 1.0)


def test_bootstrap_refuses_what_it_cannot_resample(rng):
    with pytest.raises(InvalidValueError, match="at least 2 items; got 1"):
        stats.bootstrap(np.mean, 1, n=10, rng=rng)
    with pytest.raises(InvalidValueError, match=r"rng must be a numpy\.random\.Generator; got int"):
        stats.bootstrap(np.mean, 5, n=10, rng=0)
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1"):
        stats.bootstrap(np.mean, 5, n=10, rng=rng, level=95)


def test_fdr_equals_scipy_and_passes_nan_through(rng):
    p = rng.random((4, 5))
    expected = scipy.stats.false_discovery_control(p.ravel()).reshape(4, 5)
    np.testing.assert_array_equal(stats.fdr(p), expected)
    with_nan = np.insert(p.ravel(), 3, np.nan)
    np.testing.assert_array_equal(np.delete(stats.fdr(with_nan), 3), expected.ravel())


def test_fdr_of_labelled_p_counts_its_tests():
    p = xr.DataArray([0.01, np.nan], dims="roi", coords={"roi": ["a", "b"]})
    q = stats.fdr(p)
    assert q.roi.values.tolist() == ["a", "b"]
    assert (q.attrs["n_tests"], q.attrs["n_undefined"]) == (1, 1)
    with pytest.raises(InvalidValueError, match=r"got 1.5 at position \(1,\)"):
        stats.fdr([0.5, 1.5])


def test_spearman_brown_by_hand():
    assert stats.spearman_brown(0.5) == pytest.approx(2 / 3)
    assert stats.spearman_brown(0.2, 5) == pytest.approx(5 * 0.2 / 1.8)


def test_split_half_finds_the_reliability_that_was_put_in(rng):
    signal = rng.standard_normal(4000)
    values = signal + 2 * rng.standard_normal((20, 4000))
    expected = 1 / (1 + 4 / 20)
    assert stats.split_half(values, n=20, rng=rng) == pytest.approx(expected, abs=0.02)


def test_noise_ceiling_by_hand_and_lower_below_upper(rng):
    values = rng.standard_normal((5, 30)) + rng.standard_normal(30)
    lower, upper = stats.noise_ceiling(values)
    assert lower[2] == stats.pearson_r(values[2], values[[0, 1, 3, 4]].mean(axis=0))
    assert upper[2] == stats.pearson_r(values[2], values.mean(axis=0))
    assert (lower < upper).all()
    with pytest.raises(ShapeError, match="at least 2 subjects"):
        stats.noise_ceiling(values[:1])


def test_a_rotation_by_more_than_half_and_a_chance_that_is_none_are_refused():
    with pytest.raises(InvalidValueError, match="minimum must be at most half of the 9 rows; got 5"):
        stats.circular_shift(9, np.random.default_rng(0), minimum=5)
    maps = xr.DataArray(np.ones((3, 2)), dims=("subject", "neuroid"), coords={"subject": list("abc")})
    with pytest.raises(InvalidValueError, match="chance must be finite; got nan"):
        stats.map_tests(maps, chance=np.nan)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_ties_are_within_rounding_in_any_unit(scale):
    one = scale * 0.3
    null = np.array([scale * (0.1 + 0.2), one * (1 - 1e-14), one * (1 - 1e-12), one * (1 + 1e-12), 0.0])
    assert stats.p_value(one, null) == 4 / 6
    assert stats.p_value(one, null, tail="less") == 5 / 6
    assert stats.p_value(one, null, tail="two-sided") == 1.0
    assert stats.p_value(-one, -null, tail="less") == 4 / 6
    assert stats.p_value(one, null[[2, 4]], tail="two-sided") == 2 / 3


def test_a_statistic_of_0_ties_with_0_only():
    null = [0.0, 1e-300, -1e-300, 2.0]
    assert stats.p_value(0.0, null) == 4 / 5
    assert stats.p_value(0.0, null, tail="less") == 3 / 5
    assert stats.p_value(np.inf, [np.inf, 1.0, np.nan]) == 3 / 4


@pytest.mark.parametrize(("n", "block"), [(12, 6), (13, 6), (12, 5), (7, 3), (2, 1), (9, 1)])
def test_a_block_shuffle_is_a_rotation_whose_blocks_are_dealt(n, block):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        first = rng.integers(n)
        rows = [(first + i) % n for i in range(n)]
        blocks = [rows[i * block : (i + 1) * block] for i in range(-(-n // block))]
        expected = [row for i in rng.permutation(len(blocks)) for row in blocks[i]]
        assert stats.block_shuffle(n, block, np.random.default_rng(seed)).tolist() == expected
    with pytest.raises(InvalidValueError, match=f"got block {n // 2 + 1} for {n} rows"):
        stats.block_shuffle(n, n // 2 + 1, np.random.default_rng(0))


@pytest.mark.parametrize(("n", "minimum"), [(7, 1), (7, 2), (7, 3), (8, 4), (2, 1)])
def test_a_rotation_is_by_every_number_of_rows_from_the_minimum_on(n, minimum):
    rng, same = np.random.default_rng(0), np.random.default_rng(0)
    found = [stats.circular_shift(n, rng, minimum=minimum) for _ in range(100)]
    assert {int(order[0]) for order in found} == set(range(minimum, n - minimum + 1))
    for order in found:
        by = int(same.integers(minimum, n - minimum + 1))
        assert order.tolist() == [(by + i) % n for i in range(n)]
    with pytest.raises(InvalidValueError, match=f"at most half of the {n} rows; got {n // 2 + 1}"):
        stats.circular_shift(n, rng, minimum=n // 2 + 1)


def test_one_draw_is_a_draw_and_none_is_not(rng):
    assert stats.permutation(np.sum, 1, permute=lambda rng: rng.permutation(4), rng=rng).tolist() == [6.0]
    assert stats.shuffle(1, rng).tolist() == [0]
    for n in (0, -1, True, 2.0):
        with pytest.raises(InvalidValueError, match=f"n must be a positive integer; got {n}"):
            stats.permutation(np.sum, n, permute=lambda rng: rng.permutation(4), rng=rng)
    for null in (np.zeros((0, 2)), 3.0, np.zeros((4, 2, 2)), np.zeros(4)):
        with pytest.raises(ShapeError, match=r"null must have shape \(draws, 2\)"):
            stats.p_value([1.0, 2.0], null)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_the_interval_is_of_percentiles_of_the_draws_that_are(level):
    values = np.random.default_rng(0).exponential(size=(5, 3, 2))

    def statistic(index):
        found = values[index].mean(axis=0)
        found[1, 0] = np.nan if 0 in index else found[1, 0]
        return found

    found = stats.bootstrap(statistic, 5, n=40, rng=np.random.default_rng(1), level=level)
    rng = np.random.default_rng(1)
    draws = np.array([statistic(rng.integers(5, size=5)) for _ in range(40)])
    np.testing.assert_array_equal(found.draws, draws)
    np.testing.assert_array_equal(found.estimate, statistic(np.arange(5)))
    for i, j in np.ndindex(3, 2):
        known = draws[:, i, j][~np.isnan(draws[:, i, j])]
        ends = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
        np.testing.assert_allclose([found.lower[i, j], found.upper[i, j]], ends)
        assert found.n_undefined[i, j] == 40 - len(known)


@pytest.mark.parametrize(
    ("r", "factor", "expected"),
    [
        (0.5, 3.0, 0.75),
        (0.6, 0.5, 3 / 7),
        (-0.25, 3.0, -1.5),
        (0.0, 2.0, 0.0),
        (1.0, 2.0, 1.0),
        (-1.0, 2.0, np.nan),  # the denominator is 0
        (-0.5, 3.0, np.nan),
        (-0.9, 3.0, np.nan),
        (np.nan, 2.0, np.nan),
    ],
)
def test_spearman_brown_of_what_has_and_has_no_value(r, factor, expected):
    np.testing.assert_allclose(stats.spearman_brown([r, 0.0], factor), [expected, 0.0])


def test_two_subjects_are_enough_for_ceilings_and_halves(rng):
    values = rng.standard_normal((2, 9, 3))
    r = stats.pearson_r(values[0], values[1])
    lower, upper = stats.noise_ceiling(values)
    np.testing.assert_allclose(lower, [r, r])
    np.testing.assert_allclose(upper, [stats.pearson_r(one, values.mean(axis=0)) for one in values])
    np.testing.assert_allclose(stats.split_half(values, n=3, rng=rng), 2 * r / (1 + r))
    for wrong in (values[:1], values[0, :, 0]):
        for what in (stats.noise_ceiling, lambda x: stats.split_half(x, n=3, rng=rng)):
            with pytest.raises(ShapeError, match="at least 2 subjects; got values of shape"):
                what(wrong)


@pytest.mark.parametrize("n_subjects", [4, 5])
def test_split_halves_equal_a_slow_loop_and_leave_an_odd_subject_out(n_subjects):
    values = np.random.default_rng(2).standard_normal((n_subjects, 7, 2)) + np.arange(7.0)[:, None] / 2
    rng = np.random.default_rng(3)
    orders = [rng.permutation(n_subjects) for _ in range(6)]
    each = [stats.pearson_r(values[o[:2]].mean(axis=0), values[o[2:4]].mean(axis=0)) for o in orders]
    r = np.mean(each, axis=0)
    found = stats.split_half(values, n=6, rng=np.random.default_rng(3))
    np.testing.assert_allclose(found, 2 * r / (1 + r))


def test_a_pool_that_is_no_mean_pools_the_others():
    values = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 5.0], [9.0, 2.0, 0.0]])
    lower, upper = stats.noise_ceiling(
        values, pool=lambda some: some.sum(axis=0), score=lambda own, pool: (pool - own).sum()
    )
    total = values.sum()
    assert lower.tolist() == [total - 2 * one.sum() for one in values]
    assert upper.tolist() == [total - one.sum() for one in values]
