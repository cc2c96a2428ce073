"""Single-trial coefficients against the definition, one model a trial, and against nilearn's designs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nilearn.glm.first_level import make_first_level_design_matrix, run_glm

from neuroalign.datasets.bold.single_trials import single_trial_betas
from neuroalign.errors import InvalidValueError, ShapeError

TR, N, RUNS = 2.0, 90, (1, 2)


def make_events(rng, n_trials=14, spacing=10.0, conditions="abc"):
    parts = []
    for run in RUNS:
        onset = 4 + spacing * np.arange(n_trials) + rng.uniform(-1, 1, size=n_trials)
        kind = np.resize(list(conditions), n_trials)
        part = {"onset": onset, "duration": 1.5, "trial_type": rng.permutation(kind), "run": run}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def make_series(rng, n_neuroids=6):
    coords = {
        "time": TR * np.arange(2 * N),
        "run": ("time", np.repeat(RUNS, N)),
        "neuroid": np.arange(n_neuroids),
        "roi": ("neuroid", ["V1"] * n_neuroids),
    }
    values = 500 + 3 * rng.normal(size=(2 * N, n_neuroids))
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords, attrs={"tr": TR, "licence": "x"})


def fitted(y, design):
    return np.linalg.lstsq(design, y, rcond=None)[0]


@pytest.mark.parametrize("others", ["all", "condition"])
@pytest.mark.parametrize("with_confounds", [True, False])
def test_separate_models_are_those_of_the_definition(rng, others, with_confounds):
    series, events = make_series(rng), make_events(rng)
    confounds = rng.normal(size=(2 * N, 2)) if with_confounds else None
    found = single_trial_betas(series, events, others=others, confounds=confounds, progress=False)
    for run in RUNS:
        rows = series["run"].values == run
        mine = np.flatnonzero(found["run"].values == run)
        x = found["design"].values[np.ix_(rows, mine)]
        kinds = found["stimulus"].values[mine]
        k = np.arange(1, int(2 * N * TR * 0.01) + 1)
        rest = [np.ones((N, 1)), np.cos(np.pi * (np.arange(N)[:, None] + 0.5) * k / N)]
        if confounds is not None:
            rest.append(confounds[rows] - confounds[rows].mean(axis=0))
        for j in range(len(mine)):
            others_of = [kinds == kind for kind in "abc"] if others == "condition" else [kinds != ""]
            apart = [x[:, members & (np.arange(len(mine)) != j)].sum(axis=1) for members in others_of]
            slow = fitted(series.values[rows], np.column_stack([x[:, j], *apart, *rest]))[0]
            np.testing.assert_allclose(found["betas"].values[mine[j]], slow, atol=1e-10)


@pytest.mark.parametrize("method", ["lss", "lsa"])
@pytest.mark.parametrize("hrf", ["spm", "glover", None])
def test_nilearn_gives_the_same_with_a_table_of_events_a_trial(rng, method, hrf):
    series = make_series(rng, 3).isel(time=slice(0, N))
    duration = 1.5 if hrf else 4.0
    events = make_events(rng, n_trials=5, spacing=30).query("run == 1").assign(duration=duration)
    found = single_trial_betas(
        series,
        events,
        method=method,
        hrf=hrf,
        slice_time_ref=0,
        drift="polynomial",
        drift_order=2,
        progress=False,
    )
    for j in range(5):
        kind = [f"t{i}" if i == j or method == "lsa" else "other" for i in range(5)]
        table = pd.DataFrame({"onset": events["onset"], "duration": duration, "trial_type": kind})
        design = make_first_level_design_matrix(
            TR * np.arange(N), table, hrf_model=hrf, drift_model="polynomial", drift_order=2
        )
        labels, results = run_glm(series.values, design.to_numpy(), noise_model="ols")
        theirs = results[labels[0]].theta[list(design.columns).index(f"t{j}")]
        np.testing.assert_allclose(found["betas"].values[j], theirs, atol=1e-9)


def test_trials_carry_their_labels(rng):
    series, events = make_series(rng), make_events(rng)
    shuffled = events.sample(frac=1, random_state=0)
    found = single_trial_betas(series, shuffled, progress=False)
    assert found["presentation"].values[[0, 13, 14]].tolist() == ["run-1/001", "run-1/014", "run-2/001"]
    np.testing.assert_allclose(found["onset"].values, events["onset"])
    assert found["stimulus"].values.tolist() == events["trial_type"].tolist()
    assert (
        found["roi"].dims == ("neuroid",) and found.attrs["licence"] == "x" and found.attrs["method"] == "lss"
    )
    assert found.attrs["runs"] == [1, 2] and found.attrs["tr"] == TR
    assert (
        np.isnan(found["design"].values[:N, 14:]).all() and np.isfinite(found["design"].values[:N, :14]).all()
    )


@pytest.mark.parametrize("method", ["lss", "lsa"])
def test_planted_trials_are_recovered_where_they_do_not_overlap(rng, method):
    series, events = make_series(rng, 4), make_events(rng, n_trials=4, spacing=40.0)
    design = single_trial_betas(series, events, method=method, progress=False)["design"].values
    truth = rng.normal(size=(8, 4)) + 5
    planted = series.copy(data=np.nan_to_num(design) @ truth + 100)
    found = single_trial_betas(planted, events, method=method, progress=False)
    tolerance = 1e-9 if method == "lsa" else 1.5  # undershoots still overlap a little
    np.testing.assert_allclose(found["betas"].values, truth, atol=tolerance)
    assert np.corrcoef(found["betas"].values.ravel(), truth.ravel())[0, 1] > (
        0.99999 if method == "lsa" else 0.9
    )


def test_separate_models_vary_less_than_one_of_all_where_responses_overlap(rng):
    series, events = make_series(rng, 200), make_events(rng, n_trials=50, spacing=3.2)
    spread = {
        method: single_trial_betas(series, events, method=method, progress=False)["betas"].values.std()
        for method in ("lss", "lsa")
    }
    assert spread["lss"] < 0.75 * spread["lsa"]


def test_a_run_knows_nothing_of_another(rng):
    series, events = make_series(rng), make_events(rng)
    whole = single_trial_betas(series, events, progress=False)["betas"]
    noisy = series.copy()
    noisy[N:] = rng.normal(size=(N, 6))
    other = single_trial_betas(noisy, events, progress=False)["betas"]
    np.testing.assert_array_equal(other.values[:14], whole.values[:14])
    swapped = single_trial_betas(series.isel(time=np.r_[N : 2 * N, 0:N]), events, progress=False)["betas"]
    np.testing.assert_array_equal(swapped.sel(presentation=whole["presentation"]).values, whole.values)


def test_a_trial_that_is_the_only_one_has_no_others(rng):
    series = make_series(rng).isel(time=slice(0, N))
    events = make_events(rng, conditions="aab").query("run == 1").iloc[:3].reset_index(drop=True)
    events["trial_type"] = ["a", "b", "a"]
    by_condition = single_trial_betas(series, events, others="condition", progress=False)
    x = by_condition["design"].values
    k = np.arange(1, int(2 * N * TR * 0.01) + 1)
    rest = np.concatenate([np.ones((N, 1)), np.cos(np.pi * (np.arange(N)[:, None] + 0.5) * k / N)], axis=1)
    slow = fitted(series.values, np.column_stack([x[:, 1], x[:, [0, 2]].sum(axis=1), rest]))[0]
    np.testing.assert_allclose(by_condition["betas"].values[1], slow, atol=1e-10)
    one = single_trial_betas(series, events.iloc[:1], progress=False)
    slow = fitted(series.values, np.column_stack([x[:, 0], rest]))[0]
    np.testing.assert_allclose(one["betas"].values[0], slow, atol=1e-10)


def test_constant_neuroids_are_nan_in_their_run_and_counted(rng):
    series = make_series(rng)
    series[:N, 2] = 812.3
    found = single_trial_betas(series, make_events(rng), progress=False)
    assert np.isnan(found["betas"].values[:14, 2]).all() and np.isfinite(found["betas"].values[14:]).all()
    assert found.attrs["n_constant"] == 1 and np.isnan(found["betas"].values).sum() == 14


@pytest.mark.parametrize("method", ["lss", "lsa"])
def test_trials_that_cannot_be_told_apart_are_named(rng, method):
    series = make_series(rng).isel(time=slice(0, N))
    pair = pd.DataFrame({"onset": [10.0, 10.0], "duration": 1.0, "trial_type": ["a", "b"]})
    message = (
        "2 trials cannot be told" if method == "lss" else "rank 5 of 6 .*'condition/001', 'condition/002'"
    )
    with pytest.raises(InvalidValueError, match=message):
        single_trial_betas(series, pair, method=method, progress=False)


def test_choices_and_designs_that_are_not_defined_are_refused(rng):
    series, events = make_series(rng), make_events(rng)
    with pytest.raises(InvalidValueError, match="method must be one of 'lss', 'lsa'; got 'lsx'"):
        single_trial_betas(series, events, method="lsx")
    with pytest.raises(InvalidValueError, match="hrf must be one of 'spm', 'glover', None"):
        single_trial_betas(series, events, hrf="spm + derivative")
    with pytest.raises(InvalidValueError, match="1 of 28 trials have no duration"):
        single_trial_betas(series, events.assign(duration=[0.0] + [1.0] * 27), progress=False)
    with pytest.raises(ShapeError, match="run 1 has 90 volumes and 92 regressors"):
        single_trial_betas(series, events, confounds=rng.normal(size=(2 * N, 87)), progress=False)
