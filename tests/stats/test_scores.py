"""Scores: closed forms, peers, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import explained_variance_score, mean_squared_error, r2_score

from neuroalign import stats
from neuroalign.errors import InvalidValueError, ShapeError


@pytest.fixture
def pair(rng):
    y = rng.standard_normal((40, 5))
    return y, y + rng.standard_normal((40, 5))


def test_pearson_r_equals_scipy(pair):
    expected = [scipy.stats.pearsonr(a, b)[0] for a, b in zip(*(x.T for x in pair), strict=True)]
    np.testing.assert_allclose(stats.pearson_r(*pair), expected, rtol=1e-12)


def test_spearman_equals_scipy_with_ties(rng):
    y, prediction = rng.integers(0, 5, (2, 30, 4)).astype(float)
    expected = [scipy.stats.spearmanr(a, b)[0] for a, b in zip(y.T, prediction.T, strict=True)]
    np.testing.assert_allclose(stats.spearman(y, prediction), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (stats.r2, r2_score),
        (stats.explained_variance, explained_variance_score),
        (stats.mse, mean_squared_error),
    ],
)
def test_other_scores_equal_scikit_learn(pair, ours, theirs):
    np.testing.assert_allclose(ours(*pair), theirs(*pair, multioutput="raw_values"), rtol=1e-12)


def test_axis_moves_the_sum(pair):
    y, prediction = pair
    np.testing.assert_array_equal(stats.pearson_r(y.T, prediction.T, axis=1), stats.pearson_r(y, prediction))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1])
def test_a_constant_has_no_correlation_rather_than_0(pair, value):
    y, prediction = pair
    y[:, 1] = value
    prediction[:, 3] = value
    undefined = np.isnan(stats.pearson_r(y, prediction))
    assert undefined.tolist() == [False, True, False, True, False]
    assert np.isnan(stats.r2(y, prediction)).tolist() == [False, True, False, False, False]


def test_float32_under_an_offset_keeps_five_digits(rng):
    y = rng.standard_normal((500, 3))
    prediction = y + rng.standard_normal((500, 3))
    shifted = [(1e3 + x).astype(np.float32) for x in (y, prediction)]
    np.testing.assert_allclose(stats.pearson_r(*shifted), stats.pearson_r(y, prediction), atol=1e-4)
    exact = stats.pearson_r(*(x.astype(np.float64) for x in shifted))
    np.testing.assert_allclose(stats.pearson_r(*shifted), exact, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_pearson_r_neither_underflows_nor_overflows(pair, scale):
    y, prediction = pair
    np.testing.assert_allclose(
        stats.pearson_r(y * scale, prediction), stats.pearson_r(y, prediction), rtol=1e-10
    )


@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_shift_and_scale_leave_pearson_r(shift, scale):
    y, prediction = np.random.default_rng(1).standard_normal((2, 20, 2))
    np.testing.assert_allclose(
        stats.pearson_r(y * scale + shift, prediction), stats.pearson_r(y, prediction), atol=1e-12
    )


def test_bad_input_is_refused_with_what_came(pair):
    y, prediction = pair
    with pytest.raises(ShapeError, match=r"one shape; got \(40, 5\) and \(39, 5\)"):
        stats.pearson_r(y, prediction[1:])
    with pytest.raises(ShapeError, match="no rows"):
        stats.pearson_r(y[:0], prediction[:0])
    prediction[3, 2] = np.nan
    with pytest.raises(InvalidValueError, match=r"prediction must be finite.*\(3, 2\)"):
        stats.pearson_r(y, prediction)
    with pytest.raises(InvalidValueError, match="y must be real numbers; got dtype complex128"):
        stats.pearson_r(y * 1j, y)


def test_standardize_marks_a_constant_as_nan(rng):
    x = rng.standard_normal((10, 2))
    x[:, 1] = 0.1
    z = stats.standardize(x)
    np.testing.assert_allclose([z[:, 0].mean(), z[:, 0].std()], [0, 1], atol=1e-12)
    assert np.isnan(z[:, 1]).all()


def test_detrend_linear_equals_scipy(rng):
    x = rng.standard_normal((50, 3)).cumsum(axis=0)
    import scipy.signal

    np.testing.assert_allclose(stats.detrend_linear(x), scipy.signal.detrend(x, axis=0), atol=1e-10)


def test_a_detrended_line_is_exactly_0():
    assert not stats.detrend_linear(0.1 * np.arange(100.0) + 7.3).any()


def test_standardize_and_detrend_leave_their_argument(rng):
    x = rng.standard_normal((10, 2))
    before = x.copy()
    stats.standardize(x)
    stats.detrend_linear(x)
    np.testing.assert_array_equal(x, before)


def test_axes_and_times_that_are_not_there_are_refused(pair):
    with pytest.raises(ShapeError, match="axis 2 is not one of the 2 dims of y"):
        stats.pearson_r(*pair, axis=2)
    with pytest.raises(ShapeError, match=r"at must have shape \(40,\); got \(39,\)"):
        stats.detrend_linear(pair[0], at=np.arange(39))


def test_a_line_is_taken_out_of_three_rows_and_not_of_two():
    # The line through 1, 2, 4 is 5/6, 14/6, 23/6.
    np.testing.assert_allclose(stats.detrend_linear([1.0, 2.0, 4.0]), [1 / 6, -1 / 3, 1 / 6])
    np.testing.assert_allclose(
        stats.detrend_linear([[1.0, 0.0], [2.0, 3.0], [4.0, 0.0]]), [[1 / 6, -1], [-1 / 3, 2], [1 / 6, -1]]
    )
    # At 0, 1 and 3 seconds the line of 0, 0, 6 is 2 + 15/7 (t - 4/3).
    found = stats.detrend_linear([0.0, 0.0, 6.0], at=[0.0, 1.0, 3.0])
    np.testing.assert_allclose(found, [0 - 2 + 15 / 7 * 4 / 3, 0 - 2 + 15 / 7 / 3, 6 - 2 - 15 / 7 * 5 / 3])
    for x in ([1.0, 2.0], 3.0, np.ones((2, 5))):
        with pytest.raises(ShapeError, match="a line is taken out of at least 3 rows"):
            stats.detrend_linear(x)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_what_is_left_of_a_line_goes_with_the_unit(rng, scale):
    x = rng.standard_normal((12, 2, 3))
    np.testing.assert_allclose(stats.detrend_linear(scale * x), scale * stats.detrend_linear(x))
    assert not stats.detrend_linear(scale * (0.1 * np.arange(50.0) + 7.3)).any()
    assert not stats.detrend_linear(np.zeros((4, 2))).any()


def test_standardize_divides_by_the_deviation_along_its_axis():
    x = np.array([[1.0, 5.0, 3.0], [2.0, 9.0, 7.0]])
    np.testing.assert_allclose(stats.standardize(x), [[-1, -1, -1], [1, 1, 1]])
    np.testing.assert_allclose(stats.standardize(x, axis=1), (x - [[3], [6]]) / np.sqrt([[8 / 3], [26 / 3]]))
    for scale in (1e-9, 1e9):
        np.testing.assert_allclose(stats.standardize(scale * x, axis=1), stats.standardize(x, axis=1))
    with pytest.raises(ShapeError, match=r"x has no rows along axis 1; got shape \(2, 0\)"):
        stats.standardize(x[:, :0], axis=1)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_a_column_is_constant_up_to_rounding_in_any_unit(scale):
    x = scale * np.array([[0.1 + 0.2, 1.0, 0.0], [0.3, 1.0 + 1e-12, 0.0]])
    assert stats.is_constant(x).tolist() == [True, False, True]
    assert stats.is_constant(x.T, axis=1).tolist() == [True, False, True]


def test_scores_by_hand_along_each_axis():
    y, prediction = np.array([[1.0, 2.0, 6.0]]), np.array([[2.0, 2.0, 5.0]])
    # Errors -1, 0, 1; squares about the mean 3 are 4, 1, 9.
    for axis in (1, -1):
        assert stats.r2(y, prediction, axis=axis) == pytest.approx(1 - 2 / 14)
        assert stats.explained_variance(y, prediction, axis=axis) == pytest.approx(1 - 2 / 14)
        assert stats.explained_variance(y, prediction + 5, axis=axis) == pytest.approx(1 - 2 / 14)
        assert stats.mse(y, prediction, axis=axis) == pytest.approx(2 / 3)
        assert stats.pearson_r(y, prediction, axis=axis) == pytest.approx(9 / np.sqrt(14 * 6))
        assert stats.spearman(y, prediction, axis=axis) == pytest.approx(1.5 / np.sqrt(2 * 1.5))
    assert stats.mse(y, prediction, axis=-2).tolist() == [1.0, 0.0, 1.0]
    for axis in (2, -3):
        with pytest.raises(ShapeError, match=f"axis {axis} is not one of the 2 dims"):
            stats.mse(y, prediction, axis=axis)
