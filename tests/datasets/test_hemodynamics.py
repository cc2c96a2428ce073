"""The haemodynamic response against its formula, and convolution against a slow one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from neuroalign import datasets
from neuroalign.errors import InvalidValueError, ShapeError


@pytest.mark.parametrize("tr", [0.1, 0.8, 1.317, 2.0, 3.0])
def test_spm_hrf_is_its_formula_normalised_to_sum_one(tr):
    kernel = datasets.spm_hrf(tr)
    t = [i * tr for i in range(len(kernel))]
    h = [x**5 * math.exp(-x) / 120 - x**15 * math.exp(-x) / math.factorial(15) / 6 for x in t]
    np.testing.assert_allclose(kernel, np.array(h) / sum(h), atol=1e-14)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-12)
    assert len(kernel) == round(math.floor(32.0 / tr + 1e-9)) + 1


def test_spm_hrf_peaks_at_five_seconds_and_dips_near_sixteen():
    kernel = datasets.spm_hrf(0.01)
    assert kernel.argmax() * 0.01 == pytest.approx(5.0, abs=0.02)
    assert kernel.argmin() * 0.01 == pytest.approx(15.7, abs=0.3)
    assert kernel[0] == 0.0


@pytest.mark.parametrize(("tr", "length"), [(0.0, 32.0), (-1.0, 32.0), (np.nan, 32.0), (2.0, np.inf)])
def test_spm_hrf_refuses_times_that_are_none(tr, length):
    with pytest.raises(InvalidValueError, match="must be positive and finite"):
        datasets.spm_hrf(tr, length)


def test_spm_hrf_refuses_a_kernel_without_a_response():
    with pytest.raises(InvalidValueError, match="holds no response"):
        datasets.spm_hrf(2.0, 1.0)


def test_convolution_is_the_causal_sum_over_lags(rng):
    x, kernel = rng.normal(size=(40, 3)), datasets.spm_hrf(2.0)
    slow = np.zeros_like(x)
    for i in range(40):
        for lag in range(min(i + 1, len(kernel))):
            slow[i] += kernel[lag] * x[i - lag]
    np.testing.assert_allclose(datasets.convolve_hrf(x, 2.0), slow, atol=1e-12)


def test_a_constant_keeps_its_value_once_the_kernel_has_passed():
    out = datasets.convolve_hrf(np.full(30, 7.0), 2.0)
    np.testing.assert_allclose(out[16:], 7.0)
    assert out[0] == 0.0


def test_convolution_keeps_labels_and_never_crosses_a_run_border(rng):
    x = xr.DataArray(
        rng.normal(size=(2, 20)),
        dims=("feature", "time"),
        coords={"time": 2.0 * np.arange(20), "run": ("time", np.repeat([1, 2], 10)), "feature": ["a", "b"]},
        attrs={"units": "x"},
    )
    before = x.copy(deep=True)
    out = datasets.convolve_hrf(x, 2.0)
    xr.testing.assert_identical(x, before)
    assert out.dims == x.dims and out.attrs == x.attrs
    alone = datasets.convolve_hrf(x.values[:, 10:].T, 2.0).T
    np.testing.assert_array_equal(out.values[:, 10:], alone)


def test_convolution_refuses_what_has_no_time():
    with pytest.raises(ShapeError, match="single number"):
        datasets.convolve_hrf(np.array(1.0), 2.0)
    with pytest.raises(ShapeError, match="must have a dim 'time'"):
        datasets.convolve_hrf(xr.DataArray([1.0], dims="x"), 2.0)
    with pytest.raises(InvalidValueError, match="must be finite"):
        datasets.convolve_hrf(np.array([1.0, np.nan]), 2.0)


def test_a_series_without_runs_is_one_run(rng):
    x = xr.DataArray(rng.normal(size=(20, 2)), dims=("time", "feature"), coords={"time": 2.0 * np.arange(20)})
    expected = datasets.convolve_hrf(x.values, 2.0)
    np.testing.assert_array_equal(datasets.convolve_hrf(x, 2.0), expected)
    np.testing.assert_array_equal(datasets.convolve_hrf(x.assign_coords(run=1), 2.0), expected)
