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
