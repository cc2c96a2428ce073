"""RDMs in time: frames, windows, scores over time, generalisation, and the N400 of 26 people."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr, ttest_1samp

from neuroalign import datasets, rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.dynamics import movie, time_course
from neuroalign.rsa.generalisation import cross_temporal_distance, temporal_generalisation
from neuroalign.rsa.noise import noise_precision
from neuroalign.schema import make_rdm

STIMULI = list("abcde")
N_TIMES = 12


@pytest.fixture
def responses(rng):
    return xr.DataArray(
        rng.standard_normal((2, 5, 8, N_TIMES)),
        dims=("subject", "stimulus", "neuroid", "time"),
        coords={
            "subject": ["s1", "s2"],
            "stimulus": STIMULI,
            "neuroid": [f"E{i}" for i in range(8)],
            "time": np.arange(N_TIMES) / 100 - 0.05,
        },
    )


@pytest.fixture
def runs(rng):
    signal = rng.standard_normal((5, 8, N_TIMES))
    return xr.DataArray(
        signal + rng.standard_normal((3, 5, 8, N_TIMES)),
        dims=("run", "stimulus", "neuroid", "time"),
        coords={"stimulus": STIMULI, "time": np.arange(N_TIMES) / 100, "run": [1, 2, 3]},
    )


@pytest.fixture
def models(rng):
    return make_rdm(rng.random((2, 10)), STIMULI, dims=["model"], coords={"model": ["m1", "m2"]})


# Movies


@pytest.mark.parametrize("metric", ["correlation", "sqeuclidean"])
def test_every_frame_is_the_rdm_of_that_time(responses, metric):
    found = movie(responses, metric)
    assert found.dims == ("subject", "time", "pair")
    np.testing.assert_array_equal(found.time, responses.time)
    for i in range(N_TIMES):
        np.testing.assert_allclose(found[:, i], rsa.rdm(responses.isel(time=i), metric), rtol=1e-12)


@pytest.mark.parametrize("how", ["mean", "flatten"])
def test_a_window_holds_its_samples(responses, how):
    found = movie(responses, "euclidean", window=0.04, step=0.03, how=how)
    np.testing.assert_allclose(found.time, [-0.035, -0.005, 0.025])
    assert (found.attrs["window"], found.attrs["step"], found.attrs["n_dropped"]) == (4, 3, 2)
    for k, start in enumerate((0, 3, 6)):
        x = responses.values[..., start : start + 4]
        x = x.mean(axis=-1) if how == "mean" else x.reshape(2, 5, -1)
        for i in range(2):
            expected = [np.linalg.norm(x[i, a] - x[i, b]) for a in range(5) for b in range(a + 1, 5)]
            np.testing.assert_allclose(found[i, k], expected, rtol=1e-12)


def test_a_movie_of_crossnobis_has_the_frames_of_crossnobis(runs, rng):
    residuals = xr.DataArray(rng.standard_normal((50, 8)), dims=("sample", "neuroid"))
    noise = noise_precision(residuals)
    found = movie(runs, "crossnobis", noise=noise, folds="run")
    for i in (0, 7):
        expected = rsa.rdm(runs.isel(time=i), "crossnobis", noise=noise)
        np.testing.assert_allclose(found.isel(time=i), expected, rtol=1e-10)
    flat = movie(runs, "crossnobis", window=0.03, how="flatten")
    assert flat.sizes["time"] == N_TIMES - 2


def test_order_of_samples_and_of_dims_never_matters(responses, rng):
    shuffled = responses.isel(time=rng.permutation(N_TIMES)).transpose(
        "time", "neuroid", "subject", "stimulus"
    )
    options = {"window": 0.03, "step": 0.02}
    xr.testing.assert_allclose(movie(shuffled, **options), movie(responses, **options))


def test_undefined_patterns_are_counted_over_all_times(responses):
    x = responses.copy(deep=True)
    x[0, 2, :, 3:5] = 1.0
    found = movie(x)
    assert found.attrs["n_undefined"] == 2
    np.testing.assert_array_equal(
        np.isnan(found[0]).sum("pair"), [4 if i in (3, 4) else 0 for i in range(12)]
    )


def test_wrong_movies_are_refused_with_what_came(responses):
    with pytest.raises(ShapeError, match="need a dim 'time'"):
        movie(responses.isel(time=0))
    with pytest.raises(LabelError, match="no labels along 'time'"):
        movie(responses.drop_vars("time"))
    with pytest.raises(InvalidValueError, match="window must be positive, in seconds; got 0"):
        movie(responses, window=0)
    with pytest.raises(ShapeError, match="a window of 50 samples does not fit into 12"):
        movie(responses, window=0.5)
    with pytest.raises(InvalidValueError, match="step in seconds needs evenly spaced times"):
        movie(responses.isel(time=[0, 1, 3, 4]), step=0.02)
    with pytest.raises(InvalidValueError, match="how must be one of 'mean', 'flatten'"):
        movie(responses, how="median")
    with pytest.raises(InvalidValueError, match="which noise and missing do not know"):
        movie(responses, "mahalanobis", how="flatten", noise=None)


# Scores over time


def test_a_time_course_is_one_comparison_a_time(responses, models):
    rdms = movie(responses)
    found = time_course(models, rdms)
    assert found.dims == ("model", "subject", "time") and found.model.values.tolist() == ["m1", "m2"]
    for m in range(2):
        for s in range(2):
            for t in range(N_TIMES):
                expected = spearmanr(models[m], rdms[s, t]).statistic
                assert found.values[m, s, t] == pytest.approx(expected, abs=1e-12)
    assert time_course(models[0], rdms[0], "pearson").dims == ("time",)


def test_a_time_course_aligns_stimuli_by_label(responses, models, rng):
    shuffled = responses.isel(stimulus=rng.permutation(5))
    np.testing.assert_allclose(
        time_course(models, movie(shuffled)), time_course(models, movie(responses)), atol=1e-12
    )


def test_wrong_time_courses_are_refused(responses, models):
    with pytest.raises(ShapeError, match="rdms need a dim 'time', see movie"):
        time_course(models, models)
    rdms = movie(responses)
    with pytest.raises(ShapeError, match="must not share a dim but 'pair'"):
        time_course(rdms[0], rdms)


# Generalisation


def test_generalisation_is_one_comparison_for_two_times(responses, rng):
    rdms = movie(responses)
    later = movie(responses.isel(subject=[1, 0], time=slice(4, None)) + rng.standard_normal((2, 5, 8, 8)))
    found = temporal_generalisation(rdms, later)
    assert found.dims == ("subject", "time_train", "time_test") and found.shape == (2, 12, 8)
    np.testing.assert_array_equal(found.time_test, later.time)
    for s, other in ((0, 1), (1, 0)):
        for i in (0, 5, 11):
            for j in (0, 7):
                expected = spearmanr(rdms[s, i], later[other, j]).statistic
                assert found.values[s, i, j] == pytest.approx(expected, abs=1e-12)


def test_generalisation_of_one_movie_is_symmetric_with_1_on_the_diagonal(responses):
    found = temporal_generalisation(movie(responses), method="pearson")
    np.testing.assert_allclose(found, found.transpose("subject", "time_test", "time_train"), atol=1e-12)
    np.testing.assert_allclose([np.diag(one) for one in found], 1.0)


def test_a_code_that_stays_generalises_and_one_that_turns_does_not(rng):
    first, second = rng.standard_normal((2, 12, 40))
    x = np.stack([first] * 3 + [second] * 3, axis=-1)
    coords = {"stimulus": np.arange(12), "time": np.arange(6.0)}
    rdms = movie(xr.DataArray(x, dims=("stimulus", "neuroid", "time"), coords=coords))
    found = temporal_generalisation(rdms).values
    np.testing.assert_allclose(found[:3, :3], 1.0)
    assert np.abs(found[:3, 3:]).max() < 0.5


def test_wrong_generalisations_are_refused(responses):
    rdms = movie(responses)
    with pytest.raises(ShapeError, match="other must have the dims of rdms"):
        temporal_generalisation(rdms, rdms[0])
    with pytest.raises(LabelError, match="other labels of 'subject'"):
        temporal_generalisation(rdms, rdms.assign_coords(subject=["s1", "s3"]))
    with pytest.raises(LabelError, match="not in"):
        temporal_generalisation(rdms, movie(responses.assign_coords(stimulus=list("vwxyz"))))
    with pytest.raises(InvalidValueError, match="method must be one of"):
        temporal_generalisation(rdms, method="r")


def cross_temporal_by_hand(x, precision):
    """x (n_folds, n_stimuli, n_neuroids, n_times): every pair of stimuli, of folds, of times."""
    n_folds, n_stimuli, n_units, n_times = x.shape
    found = np.zeros((n_times, n_times))
    pairs = [(i, j) for i in range(n_stimuli) for j in range(i + 1, n_stimuli)]
    folds = [(f, g) for f in range(n_folds) for g in range(n_folds) if f != g]
    for i, j in pairs:
        d = x[:, i] - x[:, j]
        for f, g in folds:
            found += d[f].T @ precision @ d[g]
    return found / (len(pairs) * len(folds) * n_units)


def test_cross_temporal_distance_is_the_mean_over_pairs_and_folds(runs, rng):
    np.testing.assert_allclose(
        cross_temporal_distance(runs), cross_temporal_by_hand(runs.values, np.eye(8)), atol=1e-12
    )
    noise = noise_precision(xr.DataArray(rng.standard_normal((50, 8)), dims=("sample", "neuroid")))
    found = cross_temporal_distance(runs, noise=noise)
    np.testing.assert_allclose(found, cross_temporal_by_hand(runs.values, noise.values), atol=1e-12)
    diagonal = movie(runs, "crossnobis", noise=noise).mean("pair")
    np.testing.assert_allclose(np.diag(found), diagonal, atol=1e-12)
    assert found.dims == ("time_train", "time_test")


def test_cross_temporal_distance_takes_presentations_and_subjects(runs):
    both = xr.concat([runs, 2 * runs], "subject").assign_coords(subject=["a", "b"])
    found = cross_temporal_distance(both)
    np.testing.assert_allclose(found.sel(subject="b"), 4 * cross_temporal_distance(runs), atol=1e-12)
    flat = runs.stack(presentation=("run", "stimulus"), create_index=False)
    np.testing.assert_allclose(cross_temporal_distance(flat), cross_temporal_distance(runs), atol=1e-12)


def test_cross_temporal_distance_of_noise_is_0_on_average(rng):
    x = rng.standard_normal((4, 10, 30, 20)).cumsum(axis=-1) / 4
    runs = xr.DataArray(x, dims=("run", "stimulus", "neuroid", "time"), coords={"stimulus": np.arange(10)})
    found = cross_temporal_distance(runs).values
    # The variance of a difference is 2 * t / 16, up to 2.5 at the last sample: cross-validation takes it out.
    assert abs(found.mean()) < 0.05 and abs(found[-1, -1]) < 0.5


def test_wrong_cross_temporal_distances_are_refused(runs):
    with pytest.raises(ShapeError, match="need a dim 'time'"):
        cross_temporal_distance(runs.isel(time=0))
    with pytest.raises(ShapeError, match="at least 2 stimuli and 2 folds"):
        cross_temporal_distance(runs[:1])
    bad = runs.copy(deep=True)
    bad[0, 0, 0, 0] = np.nan
    with pytest.raises(InvalidValueError, match="responses must be finite"):
        cross_temporal_distance(bad)


# The N400: what 26 people's EEG says of a sentence's last word that does not fit


@pytest.fixture(scope="module")
def eeg(data_root):
    pytest.importorskip("mne", reason="the eeg extra is not installed")
    return datasets.load("n400_group_eeg", root=data_root)


def test_congruence_is_told_by_the_rdm_at_the_time_of_the_n400_and_not_before(eeg):
    words = eeg["congruence"].values
    a, b = np.triu_indices(4, 1)
    model = make_rdm((words[a] != words[b]).astype(float), eeg["stimulus"].values)
    course = time_course(model, movie(eeg), "pearson")
    mean = course.mean("subject")
    # Known values: peak .35 at .4 to .6 s, mean of that window about .23 (.2263 by scipy's pdist).
    window = mean.sel(time=slice(0.4, 0.6))
    assert float(mean.max()) == pytest.approx(0.3532, abs=5e-4)
    assert 0.4 <= float(mean.time[int(mean.values.argmax())]) <= 0.6
    assert float(window.mean()) == pytest.approx(0.2263, abs=5e-4)
    assert ttest_1samp(course.sel(time=slice(0.4, 0.6)).mean("time"), 0).pvalue < 0.001
    before = course.sel(time=slice(None, 0.0)).mean("time")
    assert abs(float(before.mean())) < 0.06 and ttest_1samp(before, 0).pvalue > 0.05


def test_the_n400_has_the_known_size(eeg):
    at = eeg.sel(neuroid=["Cz", "CPz", "Pz"]).mean("neuroid")
    effect = at.sel(stimulus="incongruent/clear") - at.sel(stimulus="congruent/clear")
    own = effect.sel(time=slice(0.4, 0.6)).mean("time")
    assert float(own.mean()) == pytest.approx(-1.99, abs=0.005)
    assert ttest_1samp(own, 0).statistic == pytest.approx(-3.343, abs=0.002)
    # The known t(25) = -3.33 takes .2 s before the word for the first sample, hence samples 306 to 408.
    known = effect.isel(time=slice(int(0.6 * 512) - 1, int(0.8 * 512))).mean("time")
    assert float(known.mean()) == pytest.approx(-1.99, abs=0.005)
    assert ttest_1samp(known, 0).statistic == pytest.approx(-3.33, abs=0.005)


def test_one_sample_has_no_duration(responses):
    with pytest.raises(ShapeError, match="window: one sample has no duration"):
        movie(responses.isel(time=[0]), window=0.02)


# Limits


@pytest.mark.parametrize("how", ["mean", "flatten"])
def test_a_window_as_long_as_the_responses_is_one_frame(responses, how):
    found = movie(responses, "sqeuclidean", window=N_TIMES / 100, how=how)
    assert found.sizes["time"] == 1 and found.attrs["n_dropped"] == 0
    np.testing.assert_allclose(found.time, [0.005])
    x = responses.values.mean(axis=-1) if how == "mean" else responses.values.reshape(2, 5, -1)
    expected = [((x[:, i] - x[:, j]) ** 2).sum(axis=1) for i in range(5) for j in range(i + 1, 5)]
    np.testing.assert_allclose(found[:, 0], np.transpose(expected), rtol=1e-12)
    with pytest.raises(ShapeError, match="a window of 13 samples does not fit into 12"):
        movie(responses, window=(N_TIMES + 1) / 100, how=how)


def test_two_samples_have_a_duration(responses):
    pair = responses.isel(time=slice(3, 5))
    found = movie(pair, "euclidean", window=0.02)
    np.testing.assert_allclose(found.time, [-0.015])
    np.testing.assert_allclose(
        found[:, 0], rsa.rdm(pair.mean("time").transpose("subject", ...), "euclidean"), rtol=1e-12
    )


def test_steps_may_differ_by_a_thousandth_of_their_mean_in_any_unit(responses):
    for unit in (1e-6, 1.0, 1e6):
        for off, refused in ((0.9e-3, False), (1.1e-3, True)):
            times = unit * np.array([0.0, 1.0, 2.0 + off, 3.0 + off])
            some = responses.isel(time=slice(4)).assign_coords(time=times)
            if refused:
                with pytest.raises(InvalidValueError, match="window in seconds needs evenly spaced times"):
                    movie(some, window=2 * unit)
            else:
                assert movie(some, window=2 * unit).attrs["window"] == 2


def test_a_step_just_at_the_limit_is_even(responses, monkeypatch):
    monkeypatch.setattr("neuroalign.rsa.dynamics.UNEVEN", 0.5)
    some = responses.isel(time=slice(3))
    assert movie(some.assign_coords(time=[0.0, 0.75, 2.0]), window=2.0).attrs["window"] == 2
    with pytest.raises(InvalidValueError, match=r"steps are 0.75 to 1.5 s"):
        movie(some.assign_coords(time=[0.0, 0.75, 2.25]), window=2.0)


@pytest.mark.parametrize("seconds", [0.0, -0.01, np.inf, np.nan])
def test_durations_that_are_not_positive_are_refused(responses, seconds):
    for name in ("window", "step"):
        with pytest.raises(InvalidValueError, match=f"{name} must be positive, in seconds; got {seconds!r}"):
            movie(responses, **{name: seconds})


def test_a_duration_is_rounded_to_whole_samples_and_is_at_least_one(responses):
    for seconds, samples in ((0.001, 1), (0.014, 1), (0.016, 2), (0.034, 3)):
        found = movie(responses, window=seconds, step=seconds)
        assert (found.attrs["window"], found.attrs["step"]) == (samples, samples)
        assert found.sizes["time"] == N_TIMES // samples
        assert found.attrs["n_dropped"] == N_TIMES % samples


def test_a_window_of_large_numbers_in_float32_is_averaged_in_float64(responses):
    far = (responses + 1e4).astype(np.float32)
    expected = movie(far.astype(np.float64), "sqeuclidean", window=0.05)
    np.testing.assert_allclose(movie(far, "sqeuclidean", window=0.05), expected, rtol=1e-10)


def test_scores_over_time_keep_the_coordinates_of_both(responses, models):
    rdms = movie(responses)
    found = time_course(models, rdms)
    assert found.subject.values.tolist() == ["s1", "s2"]
    np.testing.assert_array_equal(found.time, rdms.time)
    alone = time_course(models[0], rdms[1])
    assert alone.dims == ("time",)
    np.testing.assert_array_equal(alone.time, rdms.time)
    np.testing.assert_allclose(alone, found[0, 1], atol=1e-14)


def test_generalisation_keeps_the_coordinates_of_the_other_dims(responses):
    rdms = movie(responses).assign_coords(age=("subject", [20, 30]))
    found = temporal_generalisation(rdms)
    assert found.subject.values.tolist() == ["s1", "s2"] and found.age.values.tolist() == [20, 30]
    np.testing.assert_array_equal(found.time_train, rdms.time)
    assert temporal_generalisation(rdms[0]).dims == ("time_train", "time_test")
    with pytest.raises(LabelError, match="other labels of 'subject'"):
        temporal_generalisation(rdms, rdms[:1])


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_cross_temporal_distance_of_two_stimuli_and_two_folds_by_hand(scale):
    # Differences (1, 2) and (3, -1) in the two folds at the first time, (0, 2) and (1, 1) at the second.
    x = np.zeros((2, 2, 2, 2))
    x[0, 0], x[1, 0] = [[1, 0], [2, 2]], [[3, 1], [-1, 1]]
    runs = xr.DataArray(
        scale * (x + 5), dims=("run", "stimulus", "neuroid", "time"), coords={"stimulus": ["a", "b"]}
    )
    found = cross_temporal_distance(runs).values / scale**2
    # First with first 3 - 2 = 1, second with second 0 + 2, first with second (3 - 2) / 2; over 2 neuroids.
    np.testing.assert_allclose(found, [[0.5, 0.25], [0.25, 1.0]], rtol=1e-9)


def test_cross_temporal_distance_needs_two_stimuli_and_two_folds_each(runs):
    for some, n in ((runs[:, :1], "1 and 3, with 0 missing"), (runs[:1], "5 and 1, with 0 missing")):
        with pytest.raises(ShapeError, match=f"got {n}"):
            cross_temporal_distance(some)
    flat = runs.stack(presentation=("run", "stimulus"), create_index=False)
    with pytest.raises(ShapeError, match="got 5 and 3, with 2 missing"):
        cross_temporal_distance(flat.isel(presentation=slice(2, None)))
