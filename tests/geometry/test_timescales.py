"""Unit timescales: planted AR(1) processes, the bias and what the correction takes of it, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import curve_fit
from scipy.signal import lfilter

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.geometry import unit_timescales


def processes(tau, n, n_units, seed=0, noise=0.0):
    """Stationary AR(1) series (time, unit) whose autocorrelation decays with tau rows."""
    rng = np.random.default_rng(seed)
    a = np.exp(-1 / tau)
    drawn = rng.standard_normal((n + int(20 * tau), n_units))
    x = lfilter([np.sqrt(1 - a * a)], [1, -a], drawn, axis=0)[-n:]
    return xr.DataArray(x + noise * rng.standard_normal(x.shape), dims=("time", "unit"))


@pytest.mark.parametrize("tau", [3.0, 10.0, 30.0])
def test_a_planted_timescale_is_recovered_from_a_long_series(tau):
    found = unit_timescales(processes(tau, 30_000, 12), max_lag=int(4 * tau))
    assert float(found.timescale.median()) == pytest.approx(tau, rel=0.06)
    assert (found.r2 > 0.9).all() and found.attrs["n_undefined"] == 0


@pytest.mark.parametrize("rows_of_tau", [20, 40])
def test_short_series_are_biased_downwards_and_the_jackknife_takes_most_of_it(rows_of_tau):
    tau, n = 10.0, 10 * rows_of_tau
    series = processes(tau, n, 300)
    plain, corrected = (
        float(unit_timescales(series, max_lag=30, correction=name).timescale.median())
        for name in ("none", "jackknife")
    )
    assert plain < 0.92 * tau
    assert abs(corrected - tau) < 0.6 * (tau - plain)


def test_the_autocorrelation_itself_is_biased_by_what_theory_says():
    a, n = np.exp(-1 / 5), 200
    series = processes(5.0, n, 2000)
    acf = unit_timescales(series, max_lag=20, correction="none").autocorrelation
    # Marriott & Pope 1954, a mean that is taken out: (1 + a) / (1 - a) (1 - a^k) / n + 2 k a^k / n.
    k = np.arange(1, 6)
    bias = -((1 + a) / (1 - a) * (1 - a**k) + 2 * k * a**k) / n
    np.testing.assert_allclose(acf.mean("unit")[1:6] - a**k, bias, atol=0.02)
    better = unit_timescales(series, max_lag=20).autocorrelation.mean("unit")[1:6] - a**k
    assert np.abs(better).max() < 0.4 * np.abs(bias).max()


def test_fast_noise_lowers_the_amplitude_and_not_the_timescale():
    found = unit_timescales(processes(8.0, 30_000, 10, noise=1.0), max_lag=30)
    assert float(found.timescale.median()) == pytest.approx(8, rel=0.08)
    assert float(found.amplitude.median()) == pytest.approx(0.5, abs=0.05)


def test_the_fit_is_the_least_squares_one(rng):
    found = unit_timescales(processes(6.0, 1500, 4), max_lag=25, offset=True)
    lags = np.arange(1, 26)
    for unit in range(4):
        (a, tau, b), _ = curve_fit(
            lambda k, a, tau, b: a * np.exp(-k / tau) + b,
            lags,
            found.autocorrelation[1:, unit].values,
            p0=(1, 5, 0),
        )
        assert float(found.timescale[unit]) == pytest.approx(tau, rel=1e-3)
        assert float(found.amplitude[unit]) == pytest.approx(a, rel=1e-3)
        assert float(found.offset[unit]) == pytest.approx(b, abs=1e-4)


def test_spacing_is_the_unit_of_the_timescale_and_scale_and_shift_change_nothing():
    series = processes(6.0, 2000, 3)
    rows, seconds = unit_timescales(series), unit_timescales(series * 7 - 100, spacing=0.5)
    np.testing.assert_allclose(seconds.timescale, 0.5 * rows.timescale, rtol=1e-6)
    assert seconds["lag"].values[:3].tolist() == [0, 0.5, 1]


def test_products_stay_within_runs():
    one, other = (processes(4.0, 3000, 5, seed=seed) for seed in (1, 2))
    both = xr.concat([one, other + 50], "time").assign_coords(run=("time", np.repeat(["a", "b"], 3000)))
    found = unit_timescales(both, runs="run", max_lag=20)
    assert float(found.timescale.median()) == pytest.approx(4, rel=0.1)
    assert found.attrs["n_runs"] == 2
    across = unit_timescales(both, max_lag=20)
    assert across.attrs["n_undefined"] == 5 or float(across.timescale.min()) > 50


def test_what_has_no_decay_is_undefined_and_counted():
    rng = np.random.default_rng(3)
    n = 400
    x = np.stack([np.full(n, 2.0), np.tile([1.0, -1.0], n // 2), rng.standard_normal(n).cumsum()], axis=1)
    found = unit_timescales(xr.DataArray(x, dims=("token", "neuroid")), max_lag=10)
    assert np.isnan(found.timescale[:2]).all() and found.attrs["n_undefined"] >= 2
    assert np.isnan(found.r2[0]) and found.timescale.dims == ("neuroid",)


def test_bad_input_is_refused():
    series = processes(3.0, 40, 2)
    with pytest.raises(InvalidValueError, match="correction must be one of 'jackknife', 'none'"):
        unit_timescales(series, correction="abc")
    with pytest.raises(InvalidValueError, match="max_lag must be from 3 to 19, below half of the 40 rows"):
        unit_timescales(series, max_lag=20)
    with pytest.raises(ShapeError, match="at least 8 rows; the shortest has 6"):
        unit_timescales(series[:6])
    with pytest.raises(ShapeError, match="series must have dims 'time'"):
        unit_timescales(series.rename(time="stimulus"))
    with pytest.raises(InvalidValueError, match="spacing must be positive and finite; got 0"):
        unit_timescales(series, spacing=0)
    with pytest.raises(InvalidValueError, match="runs must name a coordinate along 'time'; got 'scan'"):
        unit_timescales(series, runs="scan")
