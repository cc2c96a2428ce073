"""Events: BIDS tables read as they are meant, and everything that does not fit the volumes refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign.datasets.bold.events import check_events, read_events, split_runs
from neuroalign.errors import FileError, InvalidValueError, LabelError, ShapeError


@pytest.fixture
def series():
    """Two runs of 10 volumes, 2 s each."""
    return xr.DataArray(
        np.zeros((20, 2)),
        dims=("time", "neuroid"),
        coords={"time": 2.0 * np.arange(20), "run": ("time", np.repeat([2, 1], 10))},
        attrs={"tr": 2.0},
    )


@pytest.fixture
def events():
    return pd.DataFrame(
        {
            "onset": [3.0, 1.0, 5, 0.0],
            "duration": [1.0, 2.0, 0.0, 20.0],
            "trial_type": ["a", "b", "a", "b"],
            "run": [1, 1, 2, 2],
            "response_time": [0.1, 0.2, 0.3, 0.4],
        }
    )


def test_events_are_sorted_by_the_runs_of_the_series_and_by_onset_and_the_moves_are_counted(series, events):
    before = events.copy(deep=True)
    found = check_events(events, series)
    assert found.columns.tolist() == ["onset", "duration", "trial_type", "run", "response_time"]
    assert found["response_time"].tolist() == [0.4, 0.3, 0.2, 0.1]
    assert found["run"].tolist() == [2, 2, 1, 1] and found["onset"].tolist() == [0.0, 5.0, 1.0, 3.0]
    assert found.attrs["n_moved"] == 4 and found.attrs["by"] == "trial_type" and found.attrs["tr"] == 2.0
    pd.testing.assert_frame_equal(events, before)
    assert check_events(found, series).attrs["n_moved"] == 0


def test_the_label_is_trial_type_else_stimulus_else_what_was_asked_for(series, events):
    renamed = events.rename(columns={"trial_type": "stimulus"})
    assert check_events(renamed, series).attrs["by"] == "stimulus"
    assert check_events(events.assign(stimulus="s"), series).attrs["by"] == "trial_type"
    assert check_events(events.assign(word=[1, 2, 3, 4]), series, by="word")["word"].tolist() == [4, 3, 2, 1]


def test_one_run_needs_no_column_of_runs(series, events):
    one = series.isel(time=slice(10))
    table = events.drop(columns="run")
    assert check_events(table, one)["run"].tolist() == [2] * 4
    assert check_events(table, one.drop_vars("run"))["run"].tolist() == [1] * 4
    assert check_events(table, one.drop_vars("run").assign_coords(run="x"))["run"].tolist() == ["x"] * 4
    with pytest.raises(LabelError, match="events name the runs 1, 2, but the series has no coordinate 'run'"):
        check_events(events, one.drop_vars("run"))


def test_seconds_count_on_the_clock_of_time_in_run(series, events):
    cut = series.assign_coords(time_in_run=("time", np.tile(2.0 * np.arange(10), 2))).isel(
        time=np.r_[3:10, 10:20]
    )
    runs, _ = split_runs(cut)
    assert [run.times[0] for run in runs] == [6.0, 0.0] and [len(run.rows) for run in runs] == [7, 10]
    assert len(check_events(events, cut)) == 4  # the run began at 0 although its first volumes are cut off
    runs, _ = split_runs(series.isel(time=np.r_[3:10, 10:20]))
    assert [run.times[0] for run in runs] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"onset": [3, 1, 5, 20.0]},
            InvalidValueError,
            r"1 of 4 .* run 2, onset 20 s .* from 0 to 20 s",
        ),
        ({"onset": [-0.5, 1, 5, 0]}, InvalidValueError, r"1 of 4 onsets .* run 1, onset -0.5 s"),
        ({"onset": [np.nan, 1, 5, 0]}, InvalidValueError, r"events.onset must be finite; 1 of 4"),
        ({"onset": ["3", "1", "5", "0"]}, InvalidValueError, r"must be numbers \(seconds\); got .*'3', '1'"),
        ({"onset": [True, False, True, True]}, InvalidValueError, r"must be numbers \(seconds\); got bool"),
        ({"duration": [1, -2, 0, 1]}, InvalidValueError, "must not be negative; got -2 s in row 1"),
        ({"duration": [1, 1, 1, np.inf]}, InvalidValueError, "events.duration must be finite"),
        (
            {"duration": [1, 2, 0, 25.0]},
            InvalidValueError,
            "run 2 has 10 volumes of 2 s, until 20 s, and its events need 13: the one at 0 s lasts until 25",
        ),
        ({"run": [1, 1, 1, 1]}, LabelError, "1 of 2 runs of the series have no events: 2"),
        ({"run": ["1", "1", "2", "2"]}, LabelError, r"runs '1', '2' are not in the series, which has 2, 1"),
        ({"trial_type": ["a", None, "b", "b"]}, LabelError, "1 of 4 labels are missing, the first in row 1"),
        ({"trial_type": [0.5, 1, 2, 3]}, LabelError, "must be text or integers, of one kind; got floating"),
        ({"trial_type": [1, "a", 2, 3]}, LabelError, "of one kind; got mixed-integer"),
        (
            {"onset": [3.0, 3.0, 5, 0], "duration": 1.0, "trial_type": "a"},
            InvalidValueError,
            "1 of 4 are there twice, the first in run 1 at 3 s: 'a'",
        ),
    ],
)
def test_events_that_do_not_fit_are_refused(series, events, change, error, message):
    with pytest.raises(error, match=message):
        check_events(events.assign(**change), series)


def test_an_event_may_last_beyond_its_run_where_that_is_said(series, events):
    late = events.assign(duration=[1, 2, 0, 25.0])
    assert check_events(late, series, overhang=True)["duration"].tolist() == [25.0, 0.0, 2.0, 1.0]


@pytest.mark.parametrize("column", ["onset", "duration", "trial_type", "run"])
def test_a_missing_column_is_named(series, events, column):
    with pytest.raises(LabelError, match=f"events lack the columns '{column}'; they have 'onset|'duration"):
        check_events(events.drop(columns=column), series)


@pytest.mark.parametrize(
    ("attrs", "tr", "message"),
    [
        ({}, None, r'the TR is missing: pass tr=... in seconds, or set series.attrs\["tr"\]'),
        ({"tr": 2.0}, 1.5, r'tr=1.5 s disagrees with series.attrs\["tr"\], 2 s'),
        ({}, 1.5, "volumes of run 2 must be one TR of 1.5 s apart; two are 2 s apart"),
        ({"tr": 0.0}, None, "must be a positive number of seconds; got 0.0"),
        ({"tr": "2"}, None, "must be a positive number of seconds; got '2'"),
    ],
)
def test_a_tr_that_is_missing_or_disagrees_is_refused(series, events, attrs, tr, message):
    with pytest.raises(InvalidValueError, match=message):
        check_events(events, series.drop_attrs().assign_attrs(attrs), tr=tr)


def test_a_gap_between_volumes_is_refused(series, events):
    with pytest.raises(InvalidValueError, match=r"volumes of run 2 .* two are 4 s apart"):
        check_events(events, series.isel(time=np.r_[:4, 5:20]))


def test_what_is_no_series_or_no_table_is_refused(series, events):
    with pytest.raises(ShapeError, match="events must be a DataFrame; got dict"):
        check_events({}, series)
    with pytest.raises(ShapeError, match=r"series must have dims \('time', 'neuroid'\)"):
        check_events(events, series.T)
    with pytest.raises(ShapeError, match="series has no values"):
        check_events(events, series.isel(neuroid=[]))
    with pytest.raises(InvalidValueError, match="must be real numbers; got dtype complex128"):
        check_events(events, series * 1j)
    with pytest.raises(LabelError, match="run must be a coordinate of time"):
        check_events(events, series.drop_vars("run").assign_coords(run=("neuroid", [1, 2])))


def test_a_bids_table_is_read_with_missing_values_and_text_as_text(tmp_path):
    path = tmp_path / "sub-01_events.tsv"
    path.write_text(
        "onset\tduration\ttrial_type\tresponse_time\n0.5\t1\t01\tn/a\n2\tn/a\tn/a\t0.4\n", encoding="utf-8"
    )
    found = read_events(path)
    assert found["onset"].tolist() == [0.5, 2.0] and found["trial_type"].tolist()[0] == "01"
    assert found["duration"].dtype == np.float64 and np.isnan(found["duration"][1])
    assert found.isna().to_numpy().tolist() == [[False, False, False, True], [False, True, True, False]]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("onset\ttrial_type\n1\ta\n", LabelError, "lack the columns 'duration'"),
        (
            "onset\tduration\n1\tlong\n2\t1\n",
            InvalidValueError,
            "duration must be seconds or n/a; 1 of 2 .*'long'",
        ),
    ],
)
def test_a_table_that_is_no_table_of_events_is_refused(tmp_path, text, error, message):
    path = tmp_path / "events.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        read_events(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.tsv does not exist"):
        read_events(tmp_path / "none.tsv")
