"""Inter-subject correlation: a slow loop, labels, undefined cells, and the real listeners."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import xarray as xr

from neuroalign import stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


def make_series(values, subjects, rois):
    return xr.DataArray(
        values,
        dims=("time", "neuroid"),
        coords={
            "time": 2.0 * np.arange(len(values)),
            "subject": ("neuroid", subjects),
            "roi": ("neuroid", rois),
        },
    )


@pytest.fixture
def series(rng):
    shared = rng.standard_normal((60, 2))
    values = np.concatenate([shared + rng.standard_normal((60, 2)) for _ in range(4)], axis=1)
    return make_series(values.cumsum(axis=0) + 100, np.repeat(["a", "b", "c", "d"], 2), ["L", "R"] * 4)


def test_isc_equals_a_slow_loop(series):
    x = scipy.stats.zscore(scipy.signal.detrend(series.values, axis=0), axis=0).reshape(60, 4, 2)
    found = stats.isc(series)
    for s in range(4):
        for r in range(2):
            others = np.delete(x[:, :, r], s, axis=1).mean(axis=1)
            assert found.values[s, r] == pytest.approx(np.corrcoef(x[:, s, r], others)[0, 1], abs=1e-12)
    assert found.dims == ("subject", "roi")


def test_isc_ignores_the_order_of_neuroids_and_of_times(series, rng):
    found = stats.isc(series)
    shuffled = series.isel(neuroid=rng.permutation(8), time=rng.permutation(60))
    again = stats.isc(shuffled).reindex_like(found)
    np.testing.assert_allclose(again, found, atol=1e-12)


def test_isc_does_not_edit_its_argument(series):
    before = series.copy(deep=True)
    stats.isc(series)
    xr.testing.assert_identical(series, before)


def test_a_constant_listener_is_nan_counted_and_changes_nobody_else(series):
    constant = series.copy(deep=True)
    constant[:, 2] = 3.3
    found = stats.isc(constant)
    assert np.isnan(found.sel(subject="b", roi="L"))
    assert found.attrs["n_undefined"] == 1
    without = stats.isc(series.isel(neuroid=[0, 1, 3, 4, 5, 6, 7]))
    np.testing.assert_allclose(found, without, atol=1e-12)
    assert without.attrs["n_missing"] == 1


def test_isc_without_zscore_still_leaves_a_constant_listener_out(series):
    constant = series.copy(deep=True)
    constant[:, 2] = 3.3
    found = stats.isc(constant, detrend=False, zscore=False)
    assert np.isnan(found.values).sum() == 1


def test_a_region_that_a_subject_lacks_is_counted_as_missing(series):
    found = stats.isc(series.isel(neuroid=slice(1, None)))
    assert np.isnan(found.sel(subject="a", roi="L"))
    assert (found.attrs["n_missing"], found.attrs["n_undefined"]) == (1, 0)


def test_isc_works_within_runs(series):
    runs = np.repeat(["x", "y"], 30)
    jump = series + xr.DataArray(np.where(runs == "x", 0.0, 500.0), dims="time")
    a = stats.isc(jump.assign_coords(run=("time", runs)))
    b = stats.isc(series.assign_coords(run=("time", runs)))
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_isc_refuses_what_it_cannot_mean(series):
    with pytest.raises(ShapeError, match="at least 2 subjects; got 'a'"):
        stats.isc(series.isel(neuroid=[0, 1]))
    with pytest.raises(LabelError, match=r"come twice: \('a', 'L'\)"):
        stats.isc(series.isel(neuroid=[0, 0, 2]))
    with pytest.raises(LabelError, match="need a coordinate 'roi'"):
        stats.isc(series.drop_vars("roi"))
    with pytest.raises(InvalidValueError, match="series must be finite"):
        stats.isc(series.where(series.time != 4.0))


def test_listeners_of_alice_share_what_was_published(data_root):
    from neuroalign import datasets

    series = datasets.load("alice_fmri", root=data_root)
    found = stats.isc(series)
    assert found.shape == (27, 6)
    # Known values: leave-one-out ISC of the 27 listeners who vary, 6 mm spheres; rounded to three digits.
    expected = {"LATL": 0.324, "RATL": 0.212, "LPTL": 0.395, "LIPL": 0.277, "LPreM": 0.248, "LIFG": 0.166}
    mean = found.mean("subject")
    for roi, value in expected.items():
        assert float(mean.sel(roi=roi)) == pytest.approx(value, abs=0.001)


def test_runs_of_neuroids_are_no_runs_of_a_series(series):
    wrong = series.assign_coords(run=("neuroid", np.arange(8)))
    with pytest.raises(LabelError, match=r"run must be a coordinate of time; its dims are \('neuroid',\)"):
        stats.prepare_series(wrong)


def test_two_listeners_are_enough_and_have_each_others_correlation():
    values = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 5.0], [4.0, 4.0, 3.0], [3.0, 5.0, 9.0]])
    found = stats.isc(make_series(values[:, :2], ["a", "b"], ["L", "L"]), detrend=False, zscore=False)
    np.testing.assert_allclose(found.values, [[5 / np.sqrt(50)]] * 2)  # sums of squares 5 and 10, product 5
    # A third has another region only: nobody else has that, and it lacks theirs.
    three = stats.isc(make_series(values, ["a", "b", "c"], ["L", "L", "R"]), detrend=False, zscore=False)
    np.testing.assert_allclose(three.sel(roi="L"), [5 / np.sqrt(50)] * 2 + [np.nan])
    assert np.isnan(three.sel(roi="R")).all()
    assert (three.attrs["n_missing"], three.attrs["n_undefined"]) == (3, 1)


def test_a_series_is_prepared_within_each_of_three_runs(series):
    runs = np.repeat(["z", "x", "y"], [25, 20, 15])
    values = series.values.copy()
    values[25:45, 3] = 7.0
    labelled = series.copy(data=values).assign_coords(run=("time", runs))
    found = stats.prepare_series(labelled)
    for name in "xyz":
        rows = runs == name
        line = scipy.signal.detrend(values[rows], axis=0)
        expected = line / np.where(line.std(axis=0) > 1e-9, line.std(axis=0), np.nan)
        np.testing.assert_allclose(found.values[rows], expected, atol=1e-9)
    assert found.attrs["n_constant"] == 1
    plain = stats.prepare_series(labelled, zscore=False)
    assert plain.attrs["n_constant"] == 0 and not plain.values[25:45, 3].any()


def test_one_run_of_all_rows_is_no_run(series):
    whole = stats.prepare_series(series)
    one = stats.prepare_series(series.assign_coords(run=4))
    np.testing.assert_array_equal(one.values, whole.values)
