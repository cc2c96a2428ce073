"""Windows around events: which volumes, on which axis, and what happens at the borders of runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import schema
from neuroalign.datasets.bold.locked import locked_windows
from neuroalign.errors import InvalidValueError, ShapeError

TR, N = 2.0, 10


@pytest.fixture
def series():
    """Values say where they come from: 100 x run + volume, and half of that in the second neuroid."""
    value = np.repeat([100.0, 200.0], N) + np.tile(np.arange(N), 2)
    return xr.DataArray(
        np.stack([value, value / 2], axis=1),
        dims=("time", "neuroid"),
        coords={
            "time": TR * np.arange(2 * N),
            "run": ("time", np.repeat([1, 2], N)),
            "neuroid": ["v0", "v1"],
            "roi": ("neuroid", ["A", "B"]),
        },
        attrs={"tr": TR, "units": "x"},
    )


@pytest.fixture
def events():
    return pd.DataFrame(
        {"onset": [4.0, 9.2, 6.9], "duration": 1.0, "run": [1, 1, 2], "stimulus": ["s1", "s2", "s3"]}
    )


def test_windows_are_the_volumes_around_the_nearest_one(series, events):
    before = series.copy(deep=True)
    found = locked_windows(series, events, start=-2, stop=6)
    schema.check(found, "responses")
    assert found.dims == ("stimulus", "neuroid", "time") and found["time"].values.tolist() == [-2, 0, 2, 4]
    expected = [[101, 102, 103, 104], [104, 105, 106, 107], [202, 203, 204, 205]]
    assert found.sel(neuroid="v0").values.tolist() == expected
    assert (found.sel(neuroid="v1").values * 2).tolist() == expected
    np.testing.assert_allclose(found["jitter"].values, [0.0, -0.8, 0.9])
    assert found["run"].values.tolist() == [1, 1, 2] and found["roi"].values.tolist() == ["A", "B"]
    assert found.attrs["n_dropped"] == 0 and found.attrs["units"] == "x"
    xr.testing.assert_identical(series, before)


def test_labels_that_repeat_make_presentations(series, events):
    found = locked_windows(series, events.assign(stimulus=["a", "b", "a"]), start=0, stop=2)
    assert found.dims == ("presentation", "neuroid", "time") and found["stimulus"].values.tolist() == [
        "a",
        "b",
        "a",
    ]
    assert found["presentation"].values.tolist() == ["run-1/001", "run-1/002", "run-2/001"]


@pytest.mark.parametrize(
    ("start", "stop", "times"),
    [(0, 2, [0]), (-3, 3, [-2, 0, 2]), (-4, 0, [-4, -2]), (1, 4.1, [2, 4]), (2, 8, [2, 4, 6])],
)
def test_a_window_begins_at_or_after_its_start_and_ends_before_its_stop(series, events, start, stop, times):
    assert locked_windows(series, events, start=start, stop=stop)["time"].values.tolist() == times


def test_a_baseline_is_subtracted_within_each_event(series, events):
    found = locked_windows(series, events, start=-4, stop=4, baseline=(-4, 0))
    np.testing.assert_allclose(found.sel(neuroid="v0").values, [[-0.5, 0.5, 1.5, 2.5]] * 3)
    assert found.attrs["baseline"] == [-4.0, 0.0]
    with pytest.raises(
        InvalidValueError, match=r"baseline from -6 to 0 s must lie within the window.*from -4 to 2"
    ):
        locked_windows(series, events, start=-4, stop=4, baseline=(-6, 0))
    with pytest.raises(
        InvalidValueError, match=r"the baseline from 0.5 to 1 s holds no multiple of the TR, 2 s"
    ):
        locked_windows(series, events, start=-4, stop=4, baseline=(0.5, 1))


def test_a_window_never_reaches_into_another_run(series, events):
    with pytest.raises(
        InvalidValueError, match=r"windows of 1 of 3 events leave their run: 'run-1/002 at 9.2 s'"
    ):
        locked_windows(series, events, start=0, stop=12)
    found = locked_windows(series, events, start=0, stop=12, outside="drop")
    assert found.attrs["n_dropped"] == 1 and found["stimulus"].values.tolist() == ["s1", "s3"]
    assert found.sel(stimulus="s1", neuroid="v0").values.tolist() == [102, 103, 104, 105, 106, 107]
    with pytest.raises(ShapeError, match="no event is left: the windows of all 3"):
        locked_windows(series, events, start=-20, stop=20, outside="drop")


def test_run_and_row_order_do_not_matter(series, events, rng):
    expected = locked_windows(series, events, start=-2, stop=6)
    mixed = series.assign_coords(time_in_run=("time", np.tile(TR * np.arange(N), 2)))
    mixed = mixed.isel(time=rng.permutation(2 * N))
    found = locked_windows(mixed, events.iloc[::-1], start=-2, stop=6)
    np.testing.assert_array_equal(found.sel(stimulus=expected["stimulus"]).values, expected.values)


def test_a_planted_response_comes_out_as_it_was_planted(rng):
    shape, n = np.array([0.0, 1.0, 3.0, 2.0, 0.5]), 400
    onsets = 2.0 * np.arange(3, 380, 9)
    weights = rng.normal(size=(len(onsets), 3))
    values = np.zeros((n, 3))
    for onset, weight in zip(onsets, weights, strict=True):
        values[int(onset / TR) : int(onset / TR) + 5] += shape[:, None] * weight
    series = xr.DataArray(
        values, dims=("time", "neuroid"), coords={"time": TR * np.arange(n)}, attrs={"tr": TR}
    )
    table = pd.DataFrame({"onset": onsets, "duration": 0.0, "stimulus": np.arange(len(onsets))})
    found = locked_windows(series.astype(np.float32), table, start=0, stop=10)
    np.testing.assert_allclose(found.values, weights[:, :, None] * shape, rtol=1e-6)
    assert found.dtype == np.float32


def test_what_is_not_defined_is_refused(series, events):
    with pytest.raises(InvalidValueError, match="outside must be one of 'refuse', 'drop'; got 'keep'"):
        locked_windows(series, events, start=0, stop=2, outside="keep")
    with pytest.raises(InvalidValueError, match="the window from 4 to 4 s holds no multiple of the TR"):
        locked_windows(series, events, start=4, stop=4)
    with pytest.raises(InvalidValueError, match="the window must be finite"):
        locked_windows(series, events, start=np.nan, stop=4)
    holes = series.copy()
    holes[3, 1] = np.nan
    with pytest.raises(InvalidValueError, match="window of event 1 of 3 it is not, in 1 neuroids: 'v1'"):
        locked_windows(holes, events, start=0, stop=4)


def test_a_baseline_has_two_ends(series, events):
    with pytest.raises(InvalidValueError, match=r"must be \(from, to\) in seconds; got \(-2, 0, 2\)"):
        locked_windows(series, events, start=-2, stop=4, baseline=(-2, 0, 2))
