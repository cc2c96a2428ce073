"""Cleaning against nilearn, against one slow least-squares fit, and against planted frequencies."""

from __future__ import annotations

import nilearn.signal
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign.datasets.bold import cleaning
from neuroalign.datasets.bold.cleaning import clean
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

TR, N = 2.0, 60


@pytest.fixture
def series(rng):
    values = 1000 + np.cumsum(rng.normal(size=(2 * N, 5)), axis=0)
    coords = {
        "time": TR * np.arange(2 * N),
        "run": ("time", np.repeat(["a", "b"], N)),
        "neuroid": [f"v{i}" for i in range(5)],
    }
    return xr.DataArray(values, dims=("time", "neuroid"), coords=coords, attrs={"tr": TR, "units": "x"})


@pytest.fixture
def confounds(rng):
    return pd.DataFrame(rng.normal(size=(2 * N, 3)) * [1, 1e4, 1e-6], columns=["x", "y", "z"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"detrend": "linear"}, {"detrend": True}),
        ({"detrend": "linear", "zscore": False}, {"detrend": True, "standardize": None}),
        ({"detrend": None, "zscore": False}, {"detrend": False, "standardize": None}),
        ({"detrend": "cosine", "high_pass": 0.02}, {"detrend": False, "filter": "cosine", "high_pass": 0.02}),
    ],
    ids=["linear", "unscaled", "nothing", "cosine"],
)
@pytest.mark.parametrize("with_confounds", [True, False])
@pytest.mark.filterwarnings("ignore:From release 0.14.0, confounds:DeprecationWarning")
def test_clean_is_nilearns_clean_of_each_run(series, confounds, ours, theirs, with_confounds):
    found = clean(series, confounds=confounds if with_confounds else None, **ours)
    options = {"standardize": "zscore_sample", "filter": False, "t_r": TR, "ensure_finite": False, **theirs}
    ddof_0 = np.sqrt(N / (N - 1)) if options["standardize"] else 1.0
    for rows in (slice(0, N), slice(N, 2 * N)):
        own = confounds.to_numpy()[rows] if with_confounds else None
        expected = nilearn.signal.clean(series.values[rows], confounds=own, **options) * ddof_0
        np.testing.assert_allclose(found.values[rows], expected, atol=1e-7)


@pytest.mark.parametrize(("high_pass", "low_pass"), [(0.01, None), (0.02, 0.1), (None, 0.12)])
def test_everything_is_taken_out_by_one_fit(series, confounds, high_pass, low_pass):
    found = clean(series, zscore=False, confounds=confounds, high_pass=high_pass, low_pass=low_pass)
    for i, rows in enumerate((slice(0, N), slice(N, 2 * N))):
        frequency = np.arange(1, N) / (2 * N * TR)
        stop = (frequency <= (high_pass or 0)) | (frequency > (low_pass or 9))
        cosines = [np.cos(np.pi * (np.arange(N) + 0.5) * k / N) for k in np.arange(1, N)[stop]]
        design = np.stack([np.ones(N), np.arange(N) / N, *cosines], axis=1)
        own = confounds.to_numpy()[rows] / [1, 1e4, 1e-6]
        design = np.concatenate([design, own], axis=1)
        y = series.values[rows] - series.values[rows].mean(axis=0)
        np.testing.assert_allclose(
            found.values[rows], y - design @ np.linalg.lstsq(design, y, rcond=None)[0], atol=1e-9
        )
        assert found.attrs["dof"][i] == N - design.shape[1]


def test_a_band_keeps_what_is_in_it_and_takes_out_the_rest(series):
    k = np.array([2, 6, 20, 50])  # of 60: .0083, .025, .083 and .208 Hz
    waves = np.cos(np.pi * (np.arange(N)[:, None] + 0.5) * k / N)
    one = xr.DataArray(waves, dims=("time", "neuroid"), coords={"time": TR * np.arange(N)}, attrs={"tr": TR})
    found = clean(one, detrend=None, zscore=False, high_pass=0.01, low_pass=0.1)
    np.testing.assert_allclose(found.values, waves * [0, 1, 1, 0], atol=1e-12)
    edge = clean(one, detrend=None, zscore=False, high_pass=6 / (2 * N * TR), low_pass=20 / (2 * N * TR))
    np.testing.assert_allclose(edge.values, waves * [0, 0, 1, 0], atol=1e-12)


def test_a_filter_does_not_bring_back_what_a_confound_explained(series, rng):
    confound = rng.normal(size=(2 * N, 1))
    found = clean(series, zscore=False, confounds=confound, high_pass=0.02)
    for rows in (slice(0, N), slice(N, 2 * N)):
        together = np.corrcoef(confound[rows, 0], found.values[rows].T)[0, 1:]
        np.testing.assert_allclose(together, 0, atol=1e-9)
    first = clean(series, zscore=False, detrend=None, confounds=confound)
    then = clean(first, zscore=False, high_pass=0.02)
    assert np.abs(np.corrcoef(confound[:N, 0], then.values[:N].T)[0, 1:]).max() > 0.01


def test_constants_are_nan_in_their_run_and_counted(series):
    series = series.copy()
    series[:N, 1] = 7.25e5
    series[N:, 2] = 3 + 0.1 * np.arange(N)  # a line is nothing else
    found = clean(series)
    assert (
        found.attrs["n_constant"] == 2
        and found.attrs["runs"] == ["a", "b"]
        and found.attrs["dof"] == [58] * 2
    )
    nan = np.isnan(found.values)
    assert nan[:N].all(axis=0).tolist() == [False, True, False, False, False]
    assert nan[N:].all(axis=0).tolist() == [False, False, True, False, False] and nan.sum() == 2 * N
    unscaled = clean(series, zscore=False)
    assert unscaled.attrs["n_constant"] == 2 and (unscaled.values[:N, 1] == 0).all()
    np.testing.assert_allclose(found.values[:N, [0, 2, 3, 4]].std(axis=0), 1)


def test_a_run_knows_nothing_of_another_and_row_order_does_not_matter(series, confounds, rng):
    whole = clean(series, confounds=confounds, high_pass=0.01)
    noisy = series.copy()
    noisy[N:] = rng.normal(size=(N, 5))
    changed = confounds.copy()
    changed.iloc[N:] = 5.0
    other = clean(noisy, confounds=changed, high_pass=0.01)
    np.testing.assert_array_equal(other.values[:N], whole.values[:N])
    order = rng.permutation(2 * N)
    timed = series.assign_coords(time_in_run=("time", np.tile(TR * np.arange(N), 2))).isel(time=order)
    mixed = clean(timed, confounds=confounds.iloc[order], high_pass=0.01)
    np.testing.assert_allclose(mixed.values, whole.values[order], atol=1e-12)


def test_blocks_change_nothing_and_the_series_is_not_edited(series, confounds, monkeypatch):
    before = series.copy(deep=True)
    whole = clean(series, confounds=confounds)
    monkeypatch.setattr(cleaning, "BLOCK", 2 * N)
    np.testing.assert_allclose(clean(series, confounds=confounds).values, whole.values, atol=1e-12)
    xr.testing.assert_identical(series, before)
    assert clean(series.astype(np.float32)).dtype == np.float32 and whole.dtype == np.float64
    assert clean(series.astype(np.int16)).dtype == np.float64 and whole.attrs["units"] == "x"


def test_confounds_are_matched_by_time_where_they_have_times(series, confounds, rng):
    labelled = xr.DataArray(
        confounds.to_numpy(),
        dims=("time", "confound"),
        coords={"time": series["time"], "confound": list("xyz")},
    )
    order = rng.permutation(2 * N)
    expected = clean(series, confounds=confounds)
    np.testing.assert_array_equal(clean(series, confounds=labelled.isel(time=order)).values, expected.values)


def test_a_confound_that_is_constant_in_a_run_takes_no_part_there(series, confounds):
    spike = confounds.assign(spike=(np.arange(2 * N) == 5) * 1.0)
    found, without = clean(series, confounds=spike), clean(series, confounds=confounds)
    np.testing.assert_array_equal(found.values[N:], without.values[N:])
    assert found.attrs["dof"] == [54, 55]
    assert np.abs(clean(series, confounds=spike, zscore=False).values[5]).max() < 1e-9


def test_nan_in_first_rows_is_filled_only_where_asked(series, confounds):
    holes = confounds.copy()
    holes.loc[[0, N], "y"] = np.nan
    with pytest.raises(
        InvalidValueError, match=r"2 values are not, in 'y'.*fill_first=True takes the second"
    ):
        clean(series, confounds=holes)
    filled = confounds.copy()
    filled.loc[[0, N], "y"] = filled.loc[[1, N + 1], "y"].to_numpy()
    found = clean(series, confounds=holes, fill_first=True)
    np.testing.assert_array_equal(found.values, clean(series, confounds=filled).values)
    assert found.attrs["n_filled"] == 2 and np.isnan(holes.loc[0, "y"])
    holes.loc[7, "y"] = np.nan
    with pytest.raises(InvalidValueError, match=r"1 values are not, in 'y'\.$"):
        clean(series, confounds=holes, fill_first=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"detrend": "quadratic"}, InvalidValueError, "detrend must be one of 'linear', 'cosine', None"),
        ({"high_pass": 0.0}, InvalidValueError, "high_pass must lie between 0 and 0.25 Hz"),
        ({"low_pass": 0.25}, InvalidValueError, "low_pass must lie between 0 and 0.25 Hz"),
        ({"high_pass": 0.1, "low_pass": 0.1}, InvalidValueError, "high_pass must be below low_pass"),
        ({"confounds": np.zeros((7, 2))}, ShapeError, r"one row a volume, 120 in all.*got shape \(7, 2\)"),
        ({"confounds": np.zeros(120)}, ShapeError, r"one column a confound; got shape \(120,\)"),
        ({"confounds": np.eye(120)}, ShapeError, "run 'a' has 60 volumes and 60 independent regressors"),
        ({"confounds": [["a"]] * 120}, InvalidValueError, "confounds must be real numbers"),
        ({"high_pass": 0.1, "low_pass": 0.101}, ShapeError, r"run 'a' has 60 volumes and 60 .*wider band"),
        ({"tr": 1.0}, InvalidValueError, "disagrees with"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(series, options, error, message):
    with pytest.raises(error, match=message):
        clean(series, **options)


def test_values_that_are_not_finite_are_named(series):
    series = series.copy()
    series[70, 3] = np.inf
    with pytest.raises(InvalidValueError, match=r"1 values of run 'b' are not, in 1 neuroids: 'v3'. Leave"):
        clean(series)


def test_confounds_of_one_name_are_refused(series, confounds):
    with pytest.raises(LabelError, match="names are repeated; got 'x', 'x', 'z'"):
        clean(series, confounds=confounds.set_axis(["x", "x", "z"], axis=1))


def test_labelled_confounds_are_matched_by_time_where_they_have_times(series, confounds):
    columns = {"confound": list(confounds.columns)}
    bare = xr.DataArray(confounds.to_numpy(), dims=("time", "confound"), coords=columns)
    expected = clean(series, confounds=confounds)
    xr.testing.assert_identical(clean(series, confounds=bare), expected)
    timed = bare.assign_coords(time=series["time"])
    xr.testing.assert_identical(clean(series, confounds=timed), expected)
    xr.testing.assert_identical(clean(series, confounds=timed[::-1]), expected)
    with pytest.raises(ShapeError, match=r"the dims \(time, confound\); got \('confound', 'time'\)"):
        clean(series, confounds=bare.T)
