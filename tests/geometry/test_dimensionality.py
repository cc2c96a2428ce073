"""The participation ratio: closed forms, brute-force U-statistics, planted dimensions, noise, bad input."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.geometry import dimension_curve, participation_ratio
from neuroalign.geometry.dimensionality import _cross_moments, _moments


def labelled(values, *leading):
    values = np.asarray(values, dtype=float)
    return xr.DataArray(
        values, dims=(*leading, "stimulus", "unit"), coords={"stimulus": range(values.shape[-2])}
    )


def test_plain_is_the_ratio_of_the_covariance_s_eigenvalues(rng):
    x = rng.standard_normal((30, 6)) @ rng.standard_normal((6, 8))
    power = np.linalg.eigvalsh(np.cov(x.T))
    expected = power.sum() ** 2 / (power**2).sum()
    assert float(participation_ratio(labelled(x), estimator="plain")) == pytest.approx(expected)
    assert float(participation_ratio(labelled(x.T), estimator="plain")) > 0


@pytest.mark.parametrize("shape", [(7, 3), (6, 9)], ids=["more stimuli", "more units"])
def test_unbiased_moments_are_averages_over_four_different_stimuli(rng, shape):
    x = rng.standard_normal(shape)
    x = x - x.mean(axis=0)
    x /= np.abs(x).max()
    trace, norm = [], []
    for a, b, c, d in permutations(range(len(x)), 4):
        first, second = x[a] - x[b], x[c] - x[d]
        trace.append((first @ first) * (second @ second) / 4)
        norm.append((first @ second) ** 2 / 4)
    found = _moments(x, "unbiased")
    assert found.squared_trace == pytest.approx(np.mean(trace), rel=1e-10)
    assert found.squared_norm == pytest.approx(np.mean(norm), rel=1e-10)


def test_moments_between_repetitions_take_no_measurement_twice(rng):
    x = rng.standard_normal((3, 6, 4))
    x = x - x.mean(axis=(0, 1))
    x /= np.abs(x).max()
    trace, norm = [], []
    for p, q in permutations(range(3), 2):
        for a, b, c, d in permutations(range(6), 4):
            one, two = x[p, a] - x[p, b], x[q, a] - x[q, b]
            three, four = x[p, c] - x[p, d], x[q, c] - x[q, d]
            trace.append((one @ two) * (three @ four) / 4)
            norm.append((one @ four) * (three @ two) / 4)
    found = _cross_moments(x)
    assert found.squared_trace == pytest.approx(np.mean(trace), rel=1e-10)
    assert found.squared_norm == pytest.approx(np.mean(norm), rel=1e-10)


def test_an_isotropic_cloud_fills_its_dimensions_with_fewer_stimuli_than_units():
    rng, d, n = np.random.default_rng(1), 100, 40
    clouds = labelled(rng.standard_normal((30, n, d)), "draw")
    plain = participation_ratio(clouds, estimator="plain").mean()
    unbiased = participation_ratio(clouds).mean()
    assert float(plain) == pytest.approx(d * n / (d + n), rel=0.05)
    assert float(unbiased) == pytest.approx(d, rel=0.05)


def test_repetitions_leave_the_noise_out():
    rng = np.random.default_rng(2)
    signal = rng.standard_normal((150, 3)) @ rng.standard_normal((3, 40))
    power = np.linalg.eigvalsh(np.cov(signal.T))
    true = power.sum() ** 2 / (power**2).sum()
    noisy = signal + 3 * rng.standard_normal((2, 150, 40))
    repeated = participation_ratio(labelled(noisy, "repetition"))
    averaged = participation_ratio(labelled(noisy.mean(axis=0)))
    assert float(averaged) > 2 * true
    assert float(repeated) == pytest.approx(true, rel=0.2)
    assert repeated.dims == ()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-6, 1e6), st.sampled_from(["plain", "unbiased"]))
def test_rotating_scaling_and_shifting_changes_nothing(seed, scale, estimator):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((12, 5)) * [3, 2, 1, 1, 1]
    moved = scale * (x @ ortho_group.rvs(5, random_state=seed % 2**32) + 7)
    one, other = (float(participation_ratio(labelled(v), estimator=estimator)) for v in (x, moved))
    assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("n", [60, 10], ids=["units fewer", "stimuli fewer"])
def test_one_direction_is_one_dimension_and_dead_units_add_nothing(rng, n):
    line = np.outer(rng.standard_normal(n), [1.0, 2.0, 0.0] + [0.0] * 20)
    for estimator in ("plain", "unbiased"):
        found = participation_ratio(labelled(line), estimator=estimator)
        assert float(found) == pytest.approx(1, abs=0.6 if estimator == "unbiased" else 1e-12)
        assert found.attrs["n_dead"] == 21


def test_nothing_varies_is_undefined():
    found = participation_ratio(labelled(np.ones((5, 3))))
    assert np.isnan(float(found)) and found.attrs["n_undefined"] == 1


def test_the_plain_curve_climbs_and_the_unbiased_one_is_flat():
    rng = np.random.default_rng(3)
    x = labelled(rng.standard_normal((2, 300, 40)), "layer")
    curve = dimension_curve(x, [15, 60, 240], n_draws=10, rng=rng)
    assert curve.dims == ("layer", "estimator", "size", "draw")
    means = curve.mean(["layer", "draw"])
    assert (np.diff(means.sel(estimator="plain")) > 5).all()
    np.testing.assert_allclose(means.sel(estimator="unbiased"), 40, rtol=0.1)


def test_bad_input_is_refused(rng):
    x = labelled(rng.standard_normal((6, 3)))
    with pytest.raises(InvalidValueError, match="estimator must be one of 'unbiased', 'plain'; got 'naive'"):
        participation_ratio(x, estimator="naive")
    with pytest.raises(ShapeError, match="at least 4 labels along 'stimulus'; got 3"):
        participation_ratio(x[:3])
    with pytest.raises(ShapeError, match="2 repetitions; got 6 and 1"):
        participation_ratio(x.expand_dims(repetition=1))
    with pytest.raises(InvalidValueError, match="no form for repetitions"):
        participation_ratio(x.expand_dims(repetition=2), estimator="plain")
    with pytest.raises(InvalidValueError, match=r"sizes must be from 4 to the 6 stimuli; got \[3\]"):
        dimension_curve(x, [3], rng=rng)
