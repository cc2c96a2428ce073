"""Latencies: closed forms, a slow search, laws, the jackknife by hand, planted latencies recovered."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from neuroalign import stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

TIMES = np.arange(-0.2, 1.0, 1 / 256)


def courses(values, times=TIMES, **coords):
    values = np.atleast_2d(values)
    dims = ("subject", *["condition"][: values.ndim - 2], "time")
    return xr.DataArray(
        values, dims=dims, coords={"subject": np.arange(len(values)), "time": times, **coords}
    )


def bump(middle, width=0.1, times=TIMES):
    return np.exp(-0.5 * ((times - middle) / width) ** 2)


def simulated(rng, n=24, middle=0.4, jitter=0.03, noise=1.0, width=0.08):
    """Courses with a bump whose latency varies over subjects, in smooth noise of its own size."""
    rough = gaussian_filter1d(rng.standard_normal((n, len(TIMES))), 8, axis=1)
    shifts = middle + jitter * rng.standard_normal(n)
    return np.array([bump(shift, width) for shift in shifts]) + noise * rough / rough.std()


def test_the_vertex_of_a_parabola_is_found_between_samples():
    times = np.arange(0, 1, 0.1)
    wave = 2 - (times - 0.437) ** 2
    found = stats.latencies(courses([wave, 3 * wave], times))
    np.testing.assert_allclose(found["latency"], 0.437)
    np.testing.assert_allclose(found["amplitude"], [2, 6])
    plain = stats.latencies(courses([wave, wave], times), interpolate=False)
    np.testing.assert_allclose(plain["latency"], 0.4)
    np.testing.assert_allclose(plain["amplitude"], 2 - 0.037**2)


def test_a_triangle_has_known_passings_and_areas():
    times = np.arange(0, 1.01, 0.01)
    wave = np.maximum(0, 1 - np.abs(times - 0.5) / 0.2)
    pair = courses([wave, 2 * wave], times)

    def each(kind, **options):
        return stats.latencies(pair, kind=kind, **options)["latency"].values

    np.testing.assert_allclose(each("peak"), 0.5)
    np.testing.assert_allclose(each("fractional-peak", fraction=0.25, interpolate=False), 0.35)
    np.testing.assert_allclose(each("onset", threshold=0.5), [0.4, 0.35])
    np.testing.assert_allclose(each("fractional-area"), 0.5)
    # An eighth of the area of a triangle has passed at half of its rise.
    np.testing.assert_allclose(each("fractional-area", fraction=0.125), 0.4, atol=1e-9)
    np.testing.assert_allclose(each("fractional-area", window=(0.5, 1.0)), 0.7 - 0.2 / np.sqrt(2), atol=1e-3)


def test_no_peak_no_passing_and_no_area_are_nan_and_counted():
    rising, low, peaked = TIMES + 0.3, -1 - bump(0.5), bump(0.5)
    x = courses([rising, low, peaked])
    for kind, more in (
        ("peak", {}),
        ("fractional-peak", {}),
        ("fractional-area", {}),
        ("onset", {"threshold": 0.6}),
    ):
        found = stats.latencies(x, kind=kind, **more)
        defined = np.isfinite(found["latency"].values).tolist()
        assert defined == [kind in ("fractional-area", "onset"), False, True]
        assert int(found["n_undefined"]) == defined.count(False)
    # Above the threshold when the window opens: the onset was before.
    assert np.isnan(stats.latencies(x, kind="onset", threshold=0.6, window=(0.5, 0.9))["latency"][2])
    # The course falls below half of the peak before the window only.
    late = stats.latencies(x, kind="fractional-peak", window=(0.45, 0.9))
    assert np.isnan(late["latency"][2])


def test_an_onset_must_last():
    wave = bump(0.5) + 0.9 * bump(0.1, 0.01)
    x = courses([wave, wave])
    early = stats.latencies(x, kind="onset", threshold=0.5)["latency"][0]
    late = stats.latencies(x, kind="onset", threshold=0.5, least=0.05)["latency"][0]
    assert early == pytest.approx(0.1 - 0.01 * np.sqrt(2 * np.log(0.9 / 0.5)), abs=2e-3)
    assert late == pytest.approx(0.5 - 0.1 * np.sqrt(2 * np.log(2)), abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(["peak", "fractional-peak", "fractional-area", "onset"])
)
def test_shifts_scales_and_turns_move_latencies_as_they_should(seed, kind):
    rng = np.random.default_rng(seed)
    waves = gaussian_filter1d(rng.standard_normal((3, len(TIMES))), 6, axis=1)
    more = {"threshold": 0.05} if kind == "onset" else {}
    found = stats.latencies(courses(waves), kind=kind, window=(0, 0.8), **more)["latency"]
    later = courses(waves, TIMES + 0.25)
    shifted = stats.latencies(later, kind=kind, window=(0.25, 1.05), **more)["latency"]
    np.testing.assert_allclose(shifted, found + 0.25, atol=1e-9)
    twice = {"threshold": 0.1} if kind == "onset" else {}
    turned = stats.latencies(courses(-2 * waves), kind=kind, window=(0, 0.8), polarity="negative", **twice)
    np.testing.assert_allclose(turned["latency"], found, atol=1e-9)
    if kind == "peak":
        np.testing.assert_allclose(
            turned["amplitude"], -2 * stats.latencies(courses(waves), window=(0, 0.8))["amplitude"]
        )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_peaks_and_passings_are_those_of_a_search_sample_by_sample(seed):
    rng = np.random.default_rng(seed)
    times = np.arange(30) / 10
    waves = gaussian_filter1d(rng.standard_normal((4, 30)), 1.5, axis=1)

    def slow(wave):
        peaks = [
            i for i in range(1, 29) if wave[i - 1] < wave[i] >= wave[i + 1] and wave[i] > 0 and 5 <= i <= 25
        ]
        if not peaks:
            return np.nan, np.nan
        top = max(peaks, key=lambda i: wave[i])
        for i in range(top - 1, 4, -1):
            if wave[i] < 0.5 * wave[top]:
                return times[top], times[i] + 0.1 * (0.5 * wave[top] - wave[i]) / (wave[i + 1] - wave[i])
        return times[top], np.nan

    expected = np.array([slow(wave) for wave in waves]).T
    for kind, wanted in zip(("peak", "fractional-peak"), expected, strict=True):
        found = stats.latencies(courses(waves, times), kind=kind, window=(0.5, 2.5), interpolate=False)
        np.testing.assert_allclose(found["latency"], wanted, atol=1e-9)


def test_estimate_is_of_the_mean_course_or_the_mean_of_latencies():
    x = courses([bump(0.3), 3 * bump(0.5), np.full(len(TIMES), -1.0)])
    of_mean = stats.latencies(x.isel(subject=[0, 1]))
    assert float(of_mean["estimate"]) > 0.45
    own = stats.latencies(x, of="subject")
    assert float(own["estimate"]) == pytest.approx(0.4, abs=1e-3) and int(own["n_undefined"]) == 1


def test_the_jackknife_is_that_of_the_formula_and_the_t_is_corrected():
    rng = np.random.default_rng(0)
    one, other = (courses(simulated(rng, n=8, middle=middle, noise=0.2)) for middle in (0.45, 0.4))
    options = {"kind": "fractional-area", "window": (0.1, 0.7)}
    found = stats.latency_difference(one, other, **options)

    def of(x):
        return float(stats.latencies(courses([x, x]), **options)["estimate"])

    left_out = [[np.delete(x.values, i, axis=0).mean(axis=0) for x in (one, other)] for i in range(8)]
    each = np.array([of(first) - of(second) for first, second in left_out])
    error = np.sqrt(7 / 8 * ((each - each.mean()) ** 2).sum())
    difference = of(one.values.mean(0)) - of(other.values.mean(0))
    np.testing.assert_allclose([found["estimate"], found["error"]], [difference, error])
    # Student's t of the leave-one-out differences is too large by s - 1.
    inflated = difference / (each.std(ddof=1) / np.sqrt(8))
    assert float(found["t"]) == pytest.approx(inflated / 7)
    assert float(found["p"]) == pytest.approx(2 * scipy.stats.t.sf(abs(inflated / 7), 7))
    single = stats.latencies(one, jackknife=True, **options)
    ends = single["interval_jackknife"].values
    assert ends.mean() == pytest.approx(float(single["estimate"]))
    assert np.ptp(ends) == pytest.approx(2 * scipy.stats.t.ppf(0.975, 7) * float(single["error"]))


def test_the_jackknife_of_a_latency_that_is_linear_is_the_standard_error():
    # Far from noise the area latency of a mean of equal bumps is the mean of their latencies.
    middles = np.array([0.38, 0.40, 0.41, 0.43, 0.36, 0.42])
    x = courses([bump(m, 0.15, np.arange(-1, 2, 0.01)) for m in middles], np.arange(-1, 2, 0.01))
    found = stats.latencies(x, kind="fractional-area", jackknife=True)
    assert float(found["error"]) == pytest.approx(middles.std(ddof=1) / np.sqrt(6), rel=0.02)


def test_conditions_have_each_their_own_and_labels_pair_the_difference():
    rng = np.random.default_rng(1)
    values = np.stack([simulated(rng, n=6, middle=m, noise=0.1) for m in (0.3, 0.5)], axis=1)
    x = courses(values, condition=["early", "late"])
    found = stats.latencies(x, n_bootstrap=30, rng=np.random.default_rng(0), jackknife=True)
    assert found["latency"].dims == ("subject", "condition") and found["estimate"].dims == ("condition",)
    assert found["interval"].dims == ("bound", "condition") and found["without"].shape == (6, 2)
    assert (np.abs(found["estimate"].sel(condition="late") - 0.5) < 0.03).all()
    mixed = stats.latency_difference(
        x.sel(condition="late"), x.sel(condition="early").isel(subject=[3, 1, 0, 2, 5, 4])
    )
    straight = stats.latency_difference(x.sel(condition="late"), x.sel(condition="early"))
    np.testing.assert_allclose(mixed["t"], straight["t"])
    with pytest.raises(LabelError, match="other"):
        stats.latency_difference(x.sel(condition="late"), x.sel(condition="early").isel(subject=[0, 1]))


def test_a_difference_of_a_course_with_itself_is_0_and_has_no_test():
    x = courses(simulated(np.random.default_rng(2), n=6))
    found = stats.latency_difference(x, x, n_bootstrap=20, rng=np.random.default_rng(0))
    assert float(found["estimate"]) == 0 and np.isnan(found["t"]) and np.isnan(found["p"])
    np.testing.assert_array_equal(found["interval"], [0, 0])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"kind": "first"}, InvalidValueError, "kind must be one of 'peak', 'onset'"),
        ({"polarity": "down"}, InvalidValueError, "polarity must be one of 'positive', 'negative'"),
        ({"kind": "onset"}, InvalidValueError, "a positive threshold goes with kind='onset'; got None"),
        ({"threshold": 1.0}, InvalidValueError, "got 1.0 for 'peak'"),
        ({"fraction": 1.0}, InvalidValueError, "fraction must be between 0 and 1; got 1.0"),
        ({"window": (2.0, 3.0)}, ShapeError, "the window 2 to 3 s holds 0 of the times"),
        ({"kind": "onset", "threshold": 1.0, "least": 5.0}, InvalidValueError, "least must be shorter"),
        ({"n_bootstrap": 10}, InvalidValueError, "a bootstrap needs rng"),
        ({"of": "subject", "jackknife": True}, InvalidValueError, "jackknife is for the latency of the mean"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, error, text):
    with pytest.raises(error, match=text):
        stats.latencies(courses([bump(0.4), bump(0.5)]), **change)


def test_courses_that_do_not_fit_are_refused():
    x = courses([bump(0.4), bump(0.5)])
    with pytest.raises(ShapeError, match="values must have the dims subject and time"):
        stats.latencies(x.isel(time=0))
    with pytest.raises(ShapeError, match="at least 2 subjects; got 1"):
        stats.latencies(x.isel(subject=[0]))
    with pytest.raises(InvalidValueError, match="times must be evenly spaced"):
        stats.latencies(x.isel(time=[0, 1, 2, 4, 5]))
    with pytest.raises(InvalidValueError, match="values must be finite"):
        stats.latencies(x.where(x < 0.99))


@pytest.mark.parametrize("kind", ["peak", "fractional-area", "fractional-peak"])
def test_a_planted_latency_is_recovered_and_its_intervals_hold_it(kind):
    """24 subjects, latencies of 400 ms with a deviation of 30 ms, smooth noise as large as the peak.

    400 sets: bias of 0, 0 and 4 ms (peak, area, half of the peak) beside a deviation from set to set of 33,
    20 and 31 ms; the 95 % bootstrap interval (200 draws) holds the truth in .94, .92 and .91, the jackknife's
    in .77, .93 and .85: a peak of the mean is no smooth function of the subjects.
    """
    rng = np.random.default_rng(3)
    truth = courses([bump(0.4, np.hypot(0.08, 0.03))] * 2)
    planted = float(stats.latencies(truth, kind=kind)["estimate"])
    errors, held = [], []
    for _ in range(60):
        found = stats.latencies(
            courses(simulated(rng)), kind=kind, window=(0.15, 0.65), jackknife=True, n_bootstrap=100, rng=rng
        )
        errors.append(float(found["estimate"]) - planted)
        ends = (found["interval"].values, found["interval_jackknife"].values)
        held.append([low <= planted <= high for low, high in ends])
    assert abs(np.nanmean(errors)) < 3 * np.nanstd(errors) / np.sqrt(60) + 0.005
    assert np.isnan(errors).sum() <= 1
    by_bootstrap, by_jackknife = np.mean(held, axis=0)
    assert by_bootstrap > 0.82
    assert by_jackknife > {"peak": 0.6, "fractional-area": 0.85, "fractional-peak": 0.7}[kind]


def test_the_order_of_dims_never_matters_and_unlabelled_dims_go_by_place(rng):
    one, two = (courses(np.stack([simulated(rng, 6, m), simulated(rng, 6, m + 0.1)], 1)) for m in (0.4, 0.3))
    expected = stats.latency_difference(one, two)
    assert expected["estimate"].shape == (2,) and (expected["estimate"] > 0).all()
    xr.testing.assert_identical(
        stats.latency_difference(one, two.transpose("time", "condition", "subject")), expected
    )
    with pytest.raises(
        ShapeError, match=r"other must have the dims of values, .*; got \('subject', 'time'\)"
    ):
        stats.latency_difference(one, two.isel(condition=0))
    with pytest.raises(ShapeError, match=r"other must have the shape of values, .*; got"):
        stats.latency_difference(one, two.isel(condition=[0, 1, 0]))


def test_unknown_means_and_levels_are_refused():
    x = courses([bump(0.4), bump(0.5)])
    with pytest.raises(InvalidValueError, match=r"of must be one of .*; got 'group'"):
        stats.latencies(x, of="group")
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1; got 95"):
        stats.latencies(x, level=95)
