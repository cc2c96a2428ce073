"""First-level models: nilearn's and by hand, with planted truth, and without leaks between runs."""

from __future__ import annotations

import tracemalloc

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from nilearn.glm.first_level import FirstLevelModel

from neuroalign import datasets, rsa
from neuroalign.datasets.bold import cleaning
from neuroalign.datasets.bold.glm import condition_betas
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

TR, N, RUNS = 2.0, 100, (1, 2)
CONDITIONS = ("face", "house", "word")


def autoregressive(rng, shape, rho):
    noise = rng.normal(size=shape)
    noise[0] /= np.sqrt(1 - rho**2)
    for t in range(1, shape[0]):
        noise[t] += rho * noise[t - 1]
    return noise


def make_series(values, runs=RUNS):
    n_times, n_neuroids = values.shape
    coords = {
        "time": TR * np.arange(n_times),
        "run": ("time", np.repeat(runs, n_times // len(runs))),
        "neuroid": [f"v{i}" for i in range(n_neuroids)],
        "x": ("neuroid", np.arange(n_neuroids) * 3.0),
    }
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords, attrs={"tr": TR, "licence": "free"})


@pytest.fixture
def series(rng):
    noise = [autoregressive(rng, (N, 8), 0.4) for _ in RUNS]
    return make_series(500 + 2 * np.concatenate(noise))


@pytest.fixture
def events(rng):
    parts = []
    for run in RUNS:
        kinds = rng.permutation(np.repeat(CONDITIONS, 4))
        onset = 6 + 15.0 * np.arange(12) + rng.uniform(0, 4, size=12)
        parts.append(pd.DataFrame({"onset": onset, "duration": 4.0, "trial_type": kinds, "run": run}))
    return pd.concat(parts, ignore_index=True)


def fit(series, events, **options):
    return condition_betas(series, events, progress=False, **options)


def test_coefficients_are_those_of_ordinary_least_squares_of_each_run(series, events, rng):
    confounds = pd.DataFrame(rng.normal(size=(2 * N, 2)), columns=["x", "y"])
    found = fit(series, events, noise_model="ols", confounds=confounds)
    assert found["kind"].values.tolist() == ["condition"] * 3 + ["confound"] * 2 + ["drift"] * 4 + [
        "constant"
    ]
    for run in RUNS:
        rows, mine = series["run"].values == run, found["run"].values == run
        design, y = found["design"].values[rows], series.values[rows]
        beta = np.linalg.solve(design.T @ design, design.T @ y)
        rest, dof = y - design @ beta, N - design.shape[1]
        variance = np.linalg.inv(design.T @ design).diagonal()[:3, None] * (rest**2).sum(axis=0) / dof
        order = [f"condition/{name}" for name in found["stimulus"].values[mine]]
        assert order == found["regressor"].values[:3].tolist()
        np.testing.assert_allclose(found["betas"].values[mine], beta[:3], atol=1e-9)
        np.testing.assert_allclose(found["variance"].values[mine], variance, rtol=1e-8)
        np.testing.assert_allclose(found["t"].values[mine], beta[:3] / np.sqrt(variance), rtol=1e-7)
        np.testing.assert_allclose(found["residuals"].values[rows], rest, atol=1e-8)
        assert found.attrs["dof"] == [dof, dof]
    assert found.attrs["residuals"] == "raw" and "ar1" not in found


def boxes(onsets, durations, frames):
    return ((frames[:, None] >= onsets) & (frames[:, None] < onsets + durations)).any(axis=1) * 1.0


def test_a_regressor_is_the_events_convolved_with_the_response(series, events):
    """On a grid of 1 ms, with SPM's double gamma; nilearn's is TR / 50."""
    found = fit(series, events)["design"].sel(regressor="condition/face").values[:N]
    grid = np.arange(0, TR * N, 0.001)
    lag = np.arange(0, 32, 0.001)
    response = scipy.stats.gamma.pdf(lag, 6) - 0.167 * scipy.stats.gamma.pdf(lag, 16)
    mine = events.query("run == 1 and trial_type == 'face'")
    slow = np.zeros(N)
    box = boxes(mine["onset"].to_numpy(), 4.0, grid)
    smooth = scipy.signal.fftconvolve(box, response / response.sum())[: len(grid)]
    slow = np.interp(TR * (np.arange(N) + 0.5), grid, smooth)
    np.testing.assert_allclose(found, slow, atol=0.02 * slow.max())
    raw = fit(series, events, hrf=None)["design"].sel(regressor="condition/face").values[:N]
    assert np.mean(raw == boxes(mine["onset"].to_numpy(), 4.0, TR * (np.arange(N) + 0.5))) > 0.97


@pytest.mark.parametrize(
    ("noise_model", "hrf", "drift"),
    [("ar1", "spm", "cosine"), ("ols", "glover + derivative", "polynomial"), ("ar1", None, None)],
)
def test_nilearns_first_level_model_gives_the_same(series, events, noise_model, hrf, drift):
    found = fit(series, events, noise_model=noise_model, hrf=hrf, drift=drift, slice_time_ref=0.3)
    model = FirstLevelModel(
        t_r=TR,
        slice_time_ref=0.3,
        hrf_model=hrf,
        drift_model=drift,
        noise_model=noise_model,
        signal_scaling=False,
        mask_img=nib.Nifti1Image(np.ones((2, 2, 2), dtype=np.uint8), np.eye(4)),
    )
    image = nib.Nifti1Image(series.values[N:].T.reshape(2, 2, 2, N), np.eye(4))
    model.fit(image, events[events["run"] == 2].drop(columns="run"))
    for name in CONDITIONS[:2]:
        mine, made = found.sel(presentation=f"run-2/{name}"), model.compute_contrast(name, output_type="all")
        for ours, theirs in (("betas", "effect_size"), ("variance", "effect_variance"), ("t", "stat")):
            expected = made[theirs].get_fdata().ravel()
            np.testing.assert_allclose(mine[ours].values, expected, rtol=1e-5, atol=1e-6)


def test_labels_attributes_and_coordinates_come_along(series, events):
    found = fit(series, events)
    order = events["trial_type"].unique().tolist()
    assert found["presentation"].values.tolist() == [f"run-{r}/{c}" for r in RUNS for c in order]
    assert (
        found["stimulus"].values.tolist() == order * 2 and found["run"].values.tolist() == [1] * 3 + [2] * 3
    )
    assert found["x"].values.tolist() == series["x"].values.tolist()
    assert found["time_run"].values.tolist() == series["run"].values.tolist()
    assert found["time_in_run"].values[[0, N - 1, N]].tolist() == [0.0, TR * (N - 1), 0.0]
    wanted = {"licence": "free", "tr": TR, "hrf": "spm", "drift": "cosine", "high_pass": 0.01, "runs": [1, 2]}
    assert wanted.items() <= found.attrs.items()
    assert found.attrs["n_constant"] == found.attrs["n_exact"] == found.attrs["n_absent"] == 0
    assert "residuals" not in fit(series, events, keep_residuals=False)


@pytest.mark.parametrize("noise_model", ["ols", "ar1"])
def test_planted_coefficients_come_back_exactly_without_noise(series, events, rng, noise_model):
    design = np.nan_to_num(fit(series, events)["design"].values)
    truth = rng.normal(size=(design.shape[1], 8)) * 10
    found = fit(series.copy(data=design @ truth), events, noise_model=noise_model)
    np.testing.assert_allclose(found["betas"].values, np.tile(truth[:3], (2, 1)), atol=1e-8)
    assert found.attrs["n_exact"] == 8 and not found["defined"].values.any()
    assert np.isnan(found["variance"].values).all() and np.isnan(found["t"].values).all()


def test_planted_coefficients_and_autocorrelation_come_back_from_noise(rng, events):
    blank = make_series(np.zeros((2 * N, 300)) + rng.normal(size=(2 * N, 300)))
    design = fit(blank, events)["design"].values
    for rho in (0.0, 0.5):
        noise = np.concatenate([autoregressive(rng, (N, 300), rho) for _ in RUNS])
        found = fit(blank.copy(data=noise + 3 * design[:, [0]] - 2 * design[:, [1]]), events)
        mean = found["betas"].groupby("stimulus").mean().mean("neuroid")
        order = events["trial_type"].unique()
        np.testing.assert_allclose(mean.sel(stimulus=order).values, [3, -2, 0], atol=0.12)
        # Residuals of a model are less correlated than the noise: about (1 + 3 rho) p / n lower.
        assert float(found["ar1"].mean()) == pytest.approx(rho - (1 + 2 * rho) * 8 / N, abs=0.06)
        z = (found["betas"] - mean.sel(stimulus=found["stimulus"])) / np.sqrt(found["variance"])
        # A rho that is estimated too low makes variances of slow regressors a little too small.
        assert 1.0 < float(z.std()) < 1.17
        if rho == 0:
            plain = fit(blank.copy(data=noise), events, noise_model="ols")
            assert float((plain["betas"] / np.sqrt(plain["variance"])).std()) == pytest.approx(1, abs=0.06)


def test_false_positives_are_kept_by_the_autoregressive_model_and_not_by_least_squares(rng, events):
    noise = np.concatenate([autoregressive(rng, (N, 1500), 0.5) for _ in RUNS])
    rate = {}
    for noise_model in ("ols", "ar1"):
        found = fit(make_series(noise), events, noise_model=noise_model, keep_residuals=False)
        limit = scipy.stats.t.isf(0.025, found.attrs["dof"][0])
        rate[noise_model] = float((np.abs(found["t"]) > limit).mean())
    # Not .05 quite: residuals of 100 volumes give a rho that is too low.
    assert 0.05 < rate["ar1"] < 0.09 and rate["ols"] > 0.15


def test_residuals_under_autocorrelation_are_the_whitened_ones(series, events):
    found = fit(series, events)
    for i, run in enumerate(RUNS):
        rows = series["run"].values == run
        design = found["design"].values[rows]
        for j, rho in enumerate(found["ar1"].values[i]):
            white = [np.concatenate([a[:1], a[1:] - rho * a[:-1]]) for a in (design, series.values[rows, j])]
            rest = white[1] - white[0] @ np.linalg.lstsq(white[0], white[1], rcond=None)[0]
            np.testing.assert_allclose(found["residuals"].values[rows, j], rest, atol=1e-8)
    late = found["residuals"].values[1:N]
    raw = fit(series, events, noise_model="ols")["residuals"].values[1:N]
    lagged = [np.mean([np.corrcoef(x[1:, j], x[:-1, j])[0, 1] for j in range(8)]) for x in (late, raw)]
    assert abs(lagged[0]) < 0.08 and lagged[1] > 0.2


def test_a_run_knows_nothing_of_another_nor_a_neuroid_of_its_neighbours(series, events, rng):
    whole = fit(series, events)
    noisy = series.copy()
    noisy[N:] = rng.normal(size=(N, 8)) * 1e3
    other = fit(noisy, events)
    for name in ("betas", "variance", "t"):
        np.testing.assert_array_equal(other[name].values[:3], whole[name].values[:3])
    np.testing.assert_array_equal(other["residuals"].values[:N], whole["residuals"].values[:N])
    alone = fit(series.isel(neuroid=[5]), events)
    np.testing.assert_allclose(alone["t"].values[:, 0], whole["t"].values[:, 5], rtol=1e-7)


def test_order_of_runs_rows_events_and_neuroids_does_not_matter(series, events, rng):
    whole = fit(series, events)
    timed = series.assign_coords(time_in_run=("time", np.tile(TR * np.arange(N), 2)))
    order, others = rng.permutation(2 * N), rng.permutation(8)
    mixed = fit(timed.isel(time=order, neuroid=others), events.sample(frac=1, random_state=1))
    back = mixed.sel(presentation=whole["presentation"], neuroid=whole["neuroid"])
    for name in ("betas", "variance"):
        np.testing.assert_allclose(back[name].values, whole[name].values, rtol=1e-7)
    np.testing.assert_allclose(
        mixed["residuals"].values, whole["residuals"].values[order][:, others], atol=1e-8
    )
    np.testing.assert_array_equal(mixed["time_run"].values, series["run"].values[order])


def test_blocks_change_nothing_and_nothing_is_edited(series, events, monkeypatch):
    before, table = series.copy(deep=True), events.copy(deep=True)
    whole = fit(series, events)
    monkeypatch.setattr(cleaning, "BLOCK", 3 * N)
    blocks = fit(series, events)
    np.testing.assert_allclose(blocks["t"].values, whole["t"].values, rtol=1e-9)
    np.testing.assert_allclose(blocks["residuals"].values, whole["residuals"].values, atol=1e-9)
    xr.testing.assert_identical(series, before)
    pd.testing.assert_frame_equal(events, table)
    small = fit(series.astype(np.float32), events)
    assert small["residuals"].dtype == np.float32 and small["betas"].dtype == np.float64
    np.testing.assert_allclose(small["betas"].values, whole["betas"].values, atol=2e-3)


def test_a_series_is_never_copied_whole_more_than_once(events, rng, monkeypatch):
    series = make_series(rng.normal(size=(2 * N, 4000)).astype(np.float32))
    fit(series.isel(neuroid=slice(10)), events)
    monkeypatch.setattr(cleaning, "BLOCK", 100 * N)
    tracemalloc.start()
    found = fit(series, events, noise_model="ols")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    results = sum(found[name].nbytes for name in ("betas", "variance", "t", "design"))
    assert found["residuals"].nbytes == series.nbytes
    assert peak < series.nbytes + 1.3 * results + 25 * 100 * N * 8 / 4


def test_a_condition_that_does_not_occur_in_a_run_is_absent_there(series, events):
    fewer = events[~((events["run"] == 2) & (events["trial_type"] == "house"))]
    found = fit(series, fewer)
    assert found.attrs["n_absent"] == 1 and found.sizes["presentation"] == 5
    assert "run-2/house" not in found["presentation"].values
    house = found["design"].sel(regressor="condition/house").values
    assert np.isfinite(house[:N]).all() and np.isnan(house[N:]).all()
    assert found.attrs["dof"][1] == found.attrs["dof"][0] + 1


def test_constant_neuroids_are_nan_in_their_run_and_counted(series, events):
    series = series.copy()
    series[N:, 3] = 1234.5
    found = fit(series, events)
    assert (
        found.attrs["n_constant"] == 1
        and found["defined"].values.tolist() == [True] * 3 + [False] + [True] * 4
    )
    for name in ("betas", "variance", "t"):
        assert np.isnan(found[name].values).sum() == 3 and np.isnan(found[name].values[3:, 3]).all()
    assert np.isnan(found["residuals"].values[N:, 3]).all() and np.isnan(found["ar1"].values[1, 3])
    usable = found.isel(neuroid=found["defined"].values)
    noise = rsa.noise_precision(usable["residuals"], dof=sum(found.attrs["dof"]), folds="time_run")
    distances = rsa.rdm(usable["betas"], "crossnobis", noise=noise)
    assert distances.sizes["pair"] == 3 and distances.attrs["n_folds"] == 2


def test_a_confound_takes_its_share_whatever_its_scale(series, events, rng):
    confound = rng.normal(size=2 * N)
    mixed = series + xr.DataArray(50 * confound, dims="time")
    expected = fit(series, events, confounds=confound[:, None])
    for scale, shift in ((1, 0), (1e-9, 3), (1e9, -1)):
        found = fit(mixed, events, confounds=pd.DataFrame({"constant": scale * confound + scale * shift}))
        np.testing.assert_allclose(found["betas"].values, expected["betas"].values, atol=1e-5)
    assert "confound/constant" in found["regressor"].values
    assert float(np.abs(fit(mixed, events)["betas"] - expected["betas"]).mean()) > 1


def test_conditions_may_be_called_like_other_regressors(series, events):
    names = dict(zip(CONDITIONS, ("constant", "drift_1", "a_derivative"), strict=True))
    found = fit(series, events.assign(trial_type=events["trial_type"].map(names)))
    np.testing.assert_array_equal(found["betas"].values, fit(series, events)["betas"].values)
    assert set(found["stimulus"].values) == set(names.values())
    numbers = fit(
        series,
        events.assign(trial_type=events["trial_type"].map(dict(zip(CONDITIONS, range(3), strict=True)))),
    )
    assert numbers["stimulus"].dtype.kind == "i"


def test_nan_in_first_rows_of_confounds_is_filled_only_where_asked(series, events, rng):
    confounds = pd.DataFrame(rng.normal(size=(2 * N, 2)), columns=["fd", "x"])
    confounds.loc[[0, N], "fd"] = np.nan
    with pytest.raises(
        InvalidValueError, match=r"2 values are not, in 'fd'\. All are in the first volume of a run"
    ):
        fit(series, events, confounds=confounds)
    found = fit(series, events, confounds=confounds, fill_first=True)
    assert found.attrs["n_filled"] == 2 and np.isfinite(found["betas"].values).all()


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (
            lambda e: pd.concat([e, e[e["trial_type"] == "face"].assign(trial_type="again")]),
            {},
            InvalidValueError,
            r"run 1 is rank-deficient: rank 8 of 9 .* 0: 'condition/face', 'condition/again'\. Leave",
        ),
        (
            lambda e: e,
            {"confounds": pd.DataFrame({"a": np.sin(np.arange(200)), "b": 3 - 2 * np.sin(np.arange(200))})},
            InvalidValueError,
            r"Combinations of these are 0: 'confound/a', 'confound/b'\.",
        ),
        (
            lambda e: pd.concat(
                [e, pd.DataFrame({"onset": [199.5], "duration": 0.1, "trial_type": "late", "run": 1})]
            ),
            {"slice_time_ref": 0.0},
            InvalidValueError,
            "design of run 1: 'condition/late' are 0 throughout. An event at the very end",
        ),
        (
            lambda e: e,
            {"confounds": np.random.default_rng(0).normal(size=(200, 93))},
            ShapeError,
            "100 volumes and 101",
        ),
        (lambda e: e, {"confounds": np.zeros((199, 1))}, ShapeError, r"200 in all.* got shape \(199, 1\)"),
        (lambda e: e, {"hrf": "fir"}, InvalidValueError, "hrf must be one of 'spm', .*; got 'fir'"),
        (
            lambda e: e,
            {"drift": "linear"},
            InvalidValueError,
            "drift must be one of 'cosine', 'polynomial', None",
        ),
        (
            lambda e: e,
            {"noise_model": "ar2"},
            InvalidValueError,
            "noise_model must be one of 'ar1', 'ols'; got 'ar2'",
        ),
        (lambda e: e, {"high_pass": 0.3}, InvalidValueError, "high_pass must lie between 0 and 0.25 Hz"),
        (lambda e: e, {"drift_order": 0}, InvalidValueError, "drift_order must be a positive integer; got 0"),
        (
            lambda e: e,
            {"slice_time_ref": 2},
            InvalidValueError,
            "slice_time_ref must be between 0 and 1; got 2",
        ),
        (lambda e: e, {"by": "word"}, LabelError, "events lack the columns 'word'"),
        (
            lambda e: e.assign(duration=np.where(e["onset"] < 10, 0.0, 4.0)),
            {},
            InvalidValueError,
            "have events without duration beside events that last",
        ),
    ],
    ids=lambda value: None if callable(value) else str(value)[:12] if isinstance(value, str) else None,
)
def test_models_that_are_not_defined_are_refused(series, events, change, options, error, message):
    with pytest.raises(error, match=message):
        fit(series, change(events), **options)


def test_values_that_are_not_finite_are_named(series, events):
    series = series.copy()
    series[N + 4, 6] = np.nan
    with pytest.raises(InvalidValueError, match="1 values of run 2 are not, in 1 neuroids: 'v6'"):
        fit(series, events)


@pytest.fixture(scope="module")
def haxby(data_root):
    bold = datasets.load("haxby_slice", root=data_root)
    return bold, datasets.load("haxby_slice", what="events", root=data_root)


# Spearman between the crossnobis RDMs of odd and of even runs. Measured with this package; the notes on the
# files have .22, and state neither the response, nor the dissimilarity, nor the normalisation.
@pytest.mark.parametrize(
    ("hrf", "noise_model", "raw", "normalised"),
    [("spm", "ols", 0.120, 0.361), ("spm", "ar1", 0.124, 0.548), (None, "ar1", 0.633, 0.878)],
)
def test_noise_normalisation_makes_the_halves_of_haxby_agree(haxby, hrf, noise_model, raw, normalised):
    bold, events = haxby
    found = fit(bold, events, by="condition", hrf=hrf, noise_model=noise_model)
    assert dict(found["betas"].sizes) == {"presentation": 96, "neuroid": 530}
    assert found.attrs["n_constant"] == found.attrs["n_exact"] == 0 and found.attrs["dof"] == [106] * 12
    noise = rsa.noise_precision(found["residuals"], dof=sum(found.attrs["dof"]), folds="time_run")
    halves = [found["betas"].isel(presentation=found["run"].values % 2 == odd) for odd in (1, 0)]
    for precision, expected in ((None, raw), (noise, normalised)):
        one, other = (rsa.rdm(half, "crossnobis", noise=precision) for half in halves)
        rho = rsa.compare(one, other, "spearman").values.item()
        assert rho == pytest.approx(expected, abs=0.03)


def test_a_run_of_two_volumes_is_no_model():
    short = make_series(np.arange(12.0).reshape(4, 3))
    with pytest.raises(ShapeError, match="run 1 has 2 volumes; a model needs at least 3"):
        fit(short, pd.DataFrame({"onset": [0.0, 0.0], "duration": 1.0, "trial_type": "a", "run": [1, 2]}))
