"""t, p and d from counts, means and sums of squares alone: by hand, at every scale, and of constant units."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.localization.statistics import Moments, cohens_d, d_interval, hedges_factor, moments_of, welch

A, B = np.array([[1.0], [2.0], [6.0]]), np.array([[0.0], [2.0]])


def test_moments_of_rows_are_those_by_hand():
    found = moments_of(np.array([[1.0, 10.0, -5.0], [2.0, 10.0, -7.0]]))
    assert found.n == 2
    assert found.mean.tolist() == [1.5, 10.0, -6.0] and found.m2.tolist() == [0.5, 0.0, 2.0]
    one = moments_of(np.array([[3.0, -4.0]]))
    assert (one.n, one.mean.tolist(), one.m2.tolist()) == (1, [3.0, -4.0], [0.0, 0.0])


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
@pytest.mark.parametrize("offset", [0.0, -30.0])
def test_t_p_and_d_of_unequal_sizes_are_those_by_hand_at_every_scale(scale, offset):
    # a has the mean 3 and the sum of squares 14, b 1 and 2.
    a, b = moments_of(scale * (A + offset)), moments_of(scale * (B + offset))
    x, y = 14 / 2 / 3, 2 / 1 / 2
    t, df = 2 / np.sqrt(x + y), (x + y) ** 2 / (x**2 / 2 + y**2 / 1)
    found = welch(a, b)
    assert found[0][0] == pytest.approx(t) and found[1][0] == pytest.approx(scipy_stats.t.sf(t, df))
    turned = welch(b, a)
    assert turned[0][0] == pytest.approx(-t) and turned[1][0] == pytest.approx(scipy_stats.t.sf(-t, df))
    assert cohens_d(a, b)[0] == pytest.approx(2 / np.sqrt(16 / 3))
    assert cohens_d(b, a)[0] == pytest.approx(-2 / np.sqrt(16 / 3))


@pytest.mark.parametrize(("low", "high"), [(0.0, 7.0), (-7.0, 0.0), (0.0, 0.0), (3.0, 3.0), (-1e9, 1e-9)])
def test_unit_that_is_constant_in_both_conditions_has_neither_t_nor_d_whatever_its_levels(low, high):
    a, b = moments_of(np.full((3, 1), low)), moments_of(np.full((2, 1), high))
    assert a.is_constant.tolist() == b.is_constant.tolist() == [True]
    for values in (*welch(a, b), cohens_d(a, b), *welch(b, a), cohens_d(b, a)):
        assert np.isnan(values).all()


def test_unit_that_is_constant_in_one_condition_has_both():
    a, b = moments_of(A), moments_of(np.zeros((4, 1)))
    t = 3 / np.sqrt(14 / 2 / 3)
    assert welch(a, b)[0][0] == pytest.approx(t) and welch(b, a)[0][0] == pytest.approx(-t)
    assert welch(a, b)[1][0] == pytest.approx(scipy_stats.t.sf(t, 2))
    assert cohens_d(a, b)[0] == pytest.approx(3 / np.sqrt(14 / 5))


@pytest.mark.parametrize("mean", [1.0, -8.0, 2.0**30, -(2.0**-30)])
def test_spread_of_eight_units_in_the_last_place_is_rounding_and_a_larger_one_is_not(mean):
    # Powers of 2, so that the limit is met exactly: the sum of squares is n times the square of the spread.
    limit = 4 * (2.0**-49 * abs(mean)) ** 2
    for m2, expected in ((limit / 2, True), (limit, True), (np.nextafter(limit, 1), False)):
        assert Moments(4, np.array([mean]), np.array([m2])).is_constant.tolist() == [expected]


@pytest.mark.parametrize(("n_a", "n_b"), [(1, 2), (2, 1), (1, 1)])
def test_one_row_is_too_few_and_units_must_be_the_same(n_a, n_b):
    with pytest.raises(
        ShapeError, match=rf"2 rows or more of the same units; got \({n_a}, 1\) and \({n_b}, 1\)"
    ):
        welch(moments_of(A[:n_a]), moments_of(B[:n_b]))
    with pytest.raises(ShapeError, match=r"the same units; got \(3, 1\) and \(2, 2\)"):
        welch(moments_of(A), moments_of(np.ones((2, 2))))


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 8), (8, 3)])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_ends_of_the_interval_put_d_at_the_tails_of_the_noncentral_t(n_a, n_b, level):
    d = np.array([-0.7, 0.0, 1.5])
    low, high = d_interval(d, n_a, n_b, level=level)
    root, df = np.sqrt(n_a * n_b / (n_a + n_b)), n_a + n_b - 2
    for end, tail in ((low, (1 + level) / 2), (high, (1 - level) / 2)):
        np.testing.assert_allclose(scipy_stats.nct.cdf(d * root, df, end * root), tail, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5])
def test_level_at_or_beyond_its_ends_is_refused(level):
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1"):
        d_interval(np.zeros(1), 3, 3, level=level)


@pytest.mark.parametrize(
    ("df", "factor"), [(2, 1 / np.sqrt(np.pi)), (4, np.sqrt(2 / np.pi)), (3, np.sqrt(np.pi / 6))]
)
def test_hedges_factor_has_the_closed_forms_of_small_samples(df, factor):
    assert hedges_factor(df) == pytest.approx(factor, rel=1e-12)
