"""Windows of a series: shapes, remainders, runs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


@pytest.fixture
def series(rng):
    return xr.DataArray(
        rng.standard_normal((26, 3)),
        dims=("time", "neuroid"),
        coords={
            "time": 2.0 * np.arange(26),
            "neuroid": ["x", "y", "z"],
            "roi": ("neuroid", ["L", "L", "R"]),
            "run": ("time", np.repeat([1, 2], 13)),
        },
    )


def test_flattened_windows_hold_every_row(series):
    found = rsa.window_patterns(series, 5)
    assert found.shape == (4, 15)
    np.testing.assert_array_equal(found[1], series.values[5:10].ravel())
    assert found.row.values.tolist() == np.repeat(range(5), 3).tolist()
    assert found.roi.values.tolist() == ["L", "L", "R"] * 5
    assert found.stimulus.values[:2].tolist() == ["window-000", "window-001"]


def test_windows_never_cross_a_run_border(series):
    found = rsa.window_patterns(series, 5, how="mean")
    np.testing.assert_allclose(found[2], series.values[13:18].mean(axis=0))
    assert found.onset.values.tolist() == [0.0, 10.0, 26.0, 36.0]
    assert found.attrs["n_dropped"] == 6


def test_windows_ignore_the_order_of_rows(series, rng):
    again = rsa.window_patterns(series.isel(time=rng.permutation(26)), 4)
    xr.testing.assert_identical(again, rsa.window_patterns(series, 4))


def test_windows_make_an_rdm(series):
    assert rsa.rdm(rsa.window_patterns(series, 6)).sizes["pair"] == 6


def test_windows_that_do_not_fit_are_refused(series):
    with pytest.raises(ShapeError, match="windows of 20 rows: 0 fit into 26 rows"):
        rsa.window_patterns(series, 20)
    with pytest.raises(InvalidValueError, match="width must be a positive integer; got 0"):
        rsa.window_patterns(series, 0)
    with pytest.raises(InvalidValueError, match="how must be one of 'flatten', 'mean'"):
        rsa.window_patterns(series, 5, how="median")


def test_neuroids_without_labels_give_rows_without_labels(series):
    found = rsa.window_patterns(series.drop_vars("neuroid"), 5)
    np.testing.assert_array_equal(found, rsa.window_patterns(series, 5))
    assert "neuroid_label" not in found.coords and found.row.size == 15


def test_runs_of_neuroids_are_no_runs_of_a_series(series):
    wrong = series.drop_vars("run").assign_coords(run=("neuroid", [1, 1, 2]))
    with pytest.raises(LabelError, match=r"run must be a coordinate of time; its dims are \('neuroid',\)"):
        rsa.window_patterns(wrong, 5)
