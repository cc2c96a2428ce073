"""Haemodynamic responses: nilearn, closed forms, a fine grid written out, run borders, the choice of one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import hemodynamic_models as theirs
from scipy.integrate import quad
from scipy.stats import gamma
from sklearn.linear_model import Ridge

from neuroalign.encoding import RidgeCV, contiguous_splits
from neuroalign.encoding.best_hrf import best_hrf
from neuroalign.encoding.hrf import (
    GLOVER,
    HRFS,
    SPM,
    DoubleGamma,
    convolve,
    convolve_events,
    hrf_library,
    hrf_rows,
)
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

TR = 2.0


@pytest.fixture
def X(rng):
    return xr.DataArray(
        rng.standard_normal((60, 3)),
        dims=("time", "unit"),
        coords={
            "time": TR * np.arange(60),
            "run": ("time", np.repeat(["a", "b"], 30)),
            "layer": ("unit", ["h1", "h1", "h2"]),
        },
    )


@pytest.mark.parametrize(
    ("ours", "function"),
    [(DoubleGamma(ratio=0.167), theirs.spm_hrf), (GLOVER, theirs.glover_hrf)],
    ids=["spm", "glover"],
)
def test_responses_equal_nilearns(ours, function):
    expected = function(TR, oversampling=50)
    dt = TR / 50
    # Nilearn puts the response one step of its grid late, and its sum (not its area) at 1.
    at = np.linspace(0, 32, len(expected)) - dt
    found = ours(at)
    np.testing.assert_allclose(found / found.sum(), expected, atol=1e-12)
    np.testing.assert_allclose(found * dt, expected, atol=2e-5)


def test_spm_is_nilearns_up_to_the_ratio_that_nilearn_rounds():
    expected = theirs.spm_hrf(1.0, oversampling=100)
    at = np.linspace(0, 32, len(expected)) - 0.01
    np.testing.assert_allclose(SPM(at) / SPM(at).sum(), expected, atol=1e-6)


@pytest.mark.parametrize("hrf", [SPM, GLOVER, hrf_library()[0], hrf_library()[-1]], ids=str)
def test_responses_are_gamma_densities_of_unit_area(hrf):
    t = np.linspace(0, 31, 40)
    peak = gamma(hrf.delay / hrf.dispersion, scale=hrf.dispersion)
    dip = gamma(hrf.undershoot / hrf.undershoot_dispersion, scale=hrf.undershoot_dispersion)
    raw = peak.pdf(t) - hrf.ratio * dip.pdf(t)
    np.testing.assert_allclose(hrf(t) / hrf(5.0), raw / (peak.pdf(5.0) - hrf.ratio * dip.pdf(5.0)), rtol=1e-9)
    assert quad(hrf, 0, hrf.length)[0] == pytest.approx(1.0, abs=1e-7)
    for end in (3.0, 12.0):
        assert quad(hrf, 0, end)[0] == pytest.approx(float(hrf.integral(end)), abs=1e-7)
    assert hrf(np.array([-1e-9, hrf.length + 1e-9])).tolist() == [0, 0]


def test_the_library_is_a_grid_of_peaks_and_dispersions_that_holds_spm():
    library = hrf_library()
    assert len(set(library)) == 20
    assert library.count(SPM) == 1
    t = np.linspace(0, 15, 15001)
    peaks = [t[gamma(h.delay / h.dispersion, scale=h.dispersion).pdf(t).argmax()] for h in library]
    np.testing.assert_allclose(peaks, np.repeat([3.0, 4.0, 5.0, 6.0, 7.0], 4), atol=1e-3)


def on_a_fine_grid(values, tr, ref, hrf, n_fine=400):
    """Each row held for a TR, convolved as a sum over a fine grid, read at the reference time."""
    dt = tr / n_fine
    fine = np.repeat(values, n_fine)
    kernel = hrf((np.arange(int(hrf.length / dt)) + 0.5) * dt) * dt
    smooth = np.concatenate([[0.0], np.convolve(fine, kernel)])
    return smooth[(np.arange(len(values)) * n_fine + round(ref * n_fine))]


@pytest.mark.parametrize("ref", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("hrf", list(HRFS))
def test_convolution_equals_a_sum_over_a_fine_grid_within_each_run(X, hrf, ref):
    found = convolve(X, hrf, slice_time_ref=ref)
    for rows in (slice(0, 30), slice(30, 60)):
        for j in range(3):
            slow = on_a_fine_grid(X.values[rows, j], TR, ref, HRFS[hrf])
            np.testing.assert_allclose(found[rows, j], slow, atol=2e-5)
    assert found.layer.values.tolist() == ["h1", "h1", "h2"]
    assert found.attrs["hrf_length"] == 32.0


def test_nothing_of_one_run_is_convolved_into_another(X):
    noise = X.copy(deep=True)
    noise[:30] = 1e6
    np.testing.assert_array_equal(convolve(noise)[30:], convolve(X)[30:])
    later = X.copy(deep=True)
    later[40:] = 1e6
    np.testing.assert_array_equal(convolve(later)[:40], convolve(X)[:40])


def test_a_row_reaches_no_further_than_hrf_rows_says(X):
    moved = X.copy(deep=True)
    moved[0] += 1.0
    for ref in (0.0, 0.5, 1.0):
        changed = (convolve(moved, slice_time_ref=ref) != convolve(X, slice_time_ref=ref)).any("unit").values
        assert np.flatnonzero(changed).max() <= hrf_rows("spm", TR) == 16


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 10), st.floats(-3, 3))
def test_a_shifted_feature_has_a_shifted_response(shift, scale):
    impulse = np.zeros((40, 1))
    impulse[3] = scale
    array = xr.DataArray(impulse, dims=("time", "feature"), coords={"time": 1.5 * np.arange(40)})
    later = array.copy(data=np.roll(impulse, shift, axis=0))
    before, after = convolve(array, runs="a").values, convolve(later, runs="a").values
    np.testing.assert_allclose(after[shift:], before[:-shift], atol=1e-14)
    assert not after[: 3 + shift].any()


def test_convolution_ignores_the_order_of_rows_and_edits_nothing(X, rng):
    before = X.copy(deep=True)
    found = convolve(X.isel(time=rng.permutation(60)))
    xr.testing.assert_identical(found.sortby("time"), convolve(X))
    xr.testing.assert_identical(X, before)


def test_events_equal_nilearns_regressor():
    events = pd.DataFrame(
        {"onset": [4.3, 20.0, 41.7], "duration": [3.0, 10.0, 0.5], "amplitude": [1.0, 2.0, -1.0]}
    )
    times = TR * np.arange(60)
    expected, _ = theirs.compute_regressor(
        events[["onset", "duration", "amplitude"]].to_numpy().T, "glover", times, oversampling=500
    )
    found = convolve_events(events, times, tr=TR, runs="a", hrf="glover", slice_time_ref=0.0)
    # Nilearn's grid has steps of 4 ms and its response is one step late.
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=6e-3)
    assert found.feature.values.tolist() == ["event"]


def test_events_that_fill_the_volumes_equal_a_convolved_feature(X):
    onsets = X.time.values
    events = pd.DataFrame(
        {"onset": onsets, "duration": TR, "amplitude": X.values[:, 1], "run": X.run.values, "trial_type": "x"}
    )
    found = convolve_events(events, onsets, tr=TR, runs=X.run.values)
    np.testing.assert_allclose(found[:, 0], convolve(X)[:, 1], atol=1e-12)


def test_events_stay_in_their_run_and_in_their_trial_type():
    times = np.concatenate([TR * np.arange(20), 100 + TR * np.arange(20)])
    runs = np.repeat([1, 2], 20)
    events = pd.DataFrame(
        {
            "onset": [36.0, 98.0, 100.0, 500.0],
            "duration": [4.0, 0.0, 2.0, 1.0],
            "run": [1, 2, 2, 2],
            "trial_type": ["face", "house", "face", "house"],
        }
    )
    found = convolve_events(events, times, tr=TR, runs=runs)
    assert found.feature.values.tolist() == ["face", "house"]
    assert not found.sel(feature="house")[:20].values.any()
    np.testing.assert_allclose(found.sel(feature="house")[20:], SPM(times[20:] + 1.0 - 98.0), atol=1e-14)
    alone = convolve_events(events[2:3], times, tr=TR, runs=runs)
    np.testing.assert_array_equal(found.sel(feature="face")[20:], alone.sel(feature="face")[20:])
    assert found.attrs["n_outside"] == 1


def test_what_cannot_be_convolved_is_refused(X):
    with pytest.raises(InvalidValueError, match="hrf must be one of 'spm', 'glover'; got 'fir'"):
        convolve(X, "fir")
    with pytest.raises(LabelError, match="X has no coordinate 'run'"):
        convolve(X.drop_vars("run"))
    with pytest.raises(ShapeError, match="run 'b' has 1 row, which has no duration"):
        convolve(X[:31])
    with pytest.raises(InvalidValueError, match="times of run 'a' must be evenly spaced"):
        convolve(X.isel(time=[0, 1, 2, 5]))
    with pytest.raises(InvalidValueError, match=r"between 0 and 1; got 1\.5"):
        convolve(X, slice_time_ref=1.5)
    with pytest.raises(InvalidValueError, match="dispersion of an HRF must be positive and finite; got 0"):
        DoubleGamma(dispersion=0)
    with pytest.raises(InvalidValueError, match=r"undershoot \(ratio 1.5\) must be smaller"):
        DoubleGamma(ratio=1.5)
    events = pd.DataFrame({"onset": [0.0], "duration": [1.0], "run": ["c"]})
    with pytest.raises(LabelError, match="events of the runs 'c' have no volumes"):
        convolve_events(events, X.time, tr=TR, runs=X.run)
    with pytest.raises(LabelError, match="events lack the columns 'run'"):
        convolve_events(events.drop(columns="run"), X.time, tr=TR, runs=X.run)
    with pytest.raises(InvalidValueError, match="durations must not be negative; got -1 at event 0"):
        convolve_events(events.assign(duration=-1.0, run="a"), X.time, tr=TR, runs=X.run)
    with pytest.raises(InvalidValueError, match="tr must be positive"):
        convolve_events(events, X.time, tr=0.0, runs="a")


def make_responses(rng, hrfs, n=240, n_runs=3):
    X = xr.DataArray(
        rng.standard_normal((n, 2)),
        dims=("time", "feature"),
        coords={"time": TR * np.arange(n), "run": ("time", np.repeat(np.arange(n_runs), n // n_runs))},
    )
    values = np.stack([convolve(X, hrf).values @ [1.0, 0.5] for hrf in hrfs], axis=1)
    values = values + 0.05 * rng.standard_normal(values.shape)
    values = np.concatenate([values, np.full((n, 1), 3.0)], axis=1)
    names = [f"v{i}" for i in range(values.shape[1])]
    return X, xr.DataArray(
        values, dims=("time", "neuroid"), coords={"time": X.time, "run": X.run, "neuroid": names}
    )


@pytest.mark.parametrize("n_runs", [1, 3])
def test_the_planted_response_is_chosen_for_each_neuroid(n_runs):
    library = hrf_library()
    planted = [1, 9, 18]
    X, Y = make_responses(np.random.default_rng(0), [library[i] for i in planted], n_runs=n_runs)
    found = best_hrf(Ridge(1.0), X, Y, train=np.arange(240), n_splits=3)
    assert found.values.tolist() == [*planted, -1]
    assert found.neuroid.values.tolist() == ["v0", "v1", "v2", "v3"]
    assert np.isnan(found.score[3])
    assert (found.score[:3] > 0.5).all()
    assert found.attrs["n_undefined"] == 1


def test_the_choice_of_a_response_never_sees_a_test_row():
    rng = np.random.default_rng(1)
    hrfs = [hrf_library()[0], SPM, hrf_library()[-1]]
    X, Y = make_responses(rng, hrfs, n_runs=2)
    ((train, _),) = contiguous_splits(X.run.values, 4, purge=hrf_rows(SPM, TR))[1:2]
    outside = np.setdiff1d(np.arange(240), train)
    noisy = Y.copy(deep=True)
    noisy[outside] = 1e4 * rng.standard_normal((len(outside), 4))
    first = best_hrf(Ridge(1.0), X, Y, train=train, hrfs=hrfs, n_splits=2)
    again = best_hrf(Ridge(1.0), X, noisy, train=train, hrfs=hrfs, n_splits=2)
    xr.testing.assert_identical(first, again)
    order = rng.permutation(240)
    moved = best_hrf(Ridge(1.0), X.isel(time=order), Y, train=train, hrfs=hrfs, n_splits=2)
    xr.testing.assert_allclose(moved, first)


def test_a_choice_among_nothing_is_refused():
    X, Y = make_responses(np.random.default_rng(2), [SPM], n=80, n_runs=2)
    with pytest.raises(InvalidValueError, match="at least one response"):
        best_hrf(RidgeCV(), X, Y, train=np.arange(80), hrfs=[])
    with pytest.raises(InvalidValueError, match="got 'mse'"):
        best_hrf(RidgeCV(), X, Y, train=np.arange(80), metric="mse")
    with pytest.raises(InvalidValueError, match="train must be row numbers from 0 to 79"):
        best_hrf(RidgeCV(), X, Y, train=[79, 80])
    with pytest.raises(InvalidValueError, match="purge 16 leaves fold 0 no training row"):
        best_hrf(RidgeCV(), X, Y, train=np.arange(20), hrfs=[SPM], n_splits=2)
