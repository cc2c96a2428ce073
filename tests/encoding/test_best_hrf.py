"""The choice of a response: means over folds, ties, neuroids without a score, which rows are split again."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression

from neuroalign.encoding.hrf import GLOVER, SPM, hrf_rows
from neuroalign.errors import InvalidValueError, ShapeError

# The room exports the function under the name of its module.
module = import_module("neuroalign.encoding.best_hrf")

N, TR = 60, 4.0
NAN = np.nan


def make(runs):
    X = xr.DataArray(
        np.random.default_rng(0).standard_normal((N, 1)),
        dims=("time", "feature"),
        coords={"time": TR * np.arange(N), "run": ("time", runs)},
    )
    return X, xr.DataArray(np.zeros((N, 4)), dims=("time", "neuroid"), coords={"time": X.time, "run": X.run})


@pytest.mark.parametrize("runs", [["a"] * N, ["a"] * 30 + ["b"] * 30])
def test_the_best_mean_over_folds_wins_and_of_equal_ones_the_first(runs, monkeypatch):
    tables = iter([
        [[0.5, NAN, NAN, 0.25], [0.25, NAN, NAN, 0.5]],
        [[0.75, -1.0, NAN, 0.5], [NAN, -2.0, NAN, 0.25]],
        [[0.5, -1.0, NAN, NAN], [0.75, -1.0, NAN, NAN]],
    ])  # fmt: skip
    asked = []

    def evaluate(model, X, Y, *, splits, metric):
        asked.append(splits)
        return xr.DataArray(next(tables), dims=("fold", "neuroid"))

    monkeypatch.setattr(module, "evaluate", evaluate)
    X, Y = make(runs)
    found = module.best_hrf(LinearRegression(), X, Y, train=np.arange(N), hrfs=[SPM, GLOVER, SPM], n_splits=2)
    assert found.values.tolist() == [1, 2, -1, 0]
    np.testing.assert_array_equal(found.score, [0.75, -1.0, NAN, 0.375])
    assert found.attrs == {"metric": "pearson", "n_hrfs": 3, "n_undefined": 1}
    assert [len(splits) for splits in asked] == [2, 2, 2]


@pytest.mark.parametrize(
    ("n_runs", "n_splits", "expected"), [(1, 2, 2), (1, 3, 3), (2, 3, 2), (3, 3, 3), (4, 3, 3)]
)
def test_training_rows_are_split_by_runs_at_most_as_often_as_there_are_runs(n_runs, n_splits, expected):
    runs = np.repeat(np.arange(n_runs), N // n_runs)
    X, _ = make(runs)
    splits = module._inner_splits(X, runs, np.arange(N), n_splits, [SPM])
    assert len(splits) == expected
    purge = hrf_rows(SPM, TR)
    for train, test in splits:
        if n_runs == 1:
            assert np.abs(train[:, None] - test).min() == purge + 1
            assert len(test) == N // n_splits
        else:
            assert not set(runs[train]) & set(runs[test])


def test_the_first_and_the_last_row_may_be_trained_on_and_none_beside_them():
    runs = np.array(["a"] * N)
    X, _ = make(runs)
    splits = module._inner_splits(X, runs, np.arange(N), 2, [SPM])
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(N))
    for train in ([-1, 0, 1], [0, 1, N], [], [0.0, 1.0]):
        with pytest.raises(InvalidValueError, match=f"train must be row numbers from 0 to {N - 1}"):
            module._inner_splits(X, runs, train, 2, [SPM])


def test_runs_of_one_row_tell_no_time_between_rows():
    runs = np.arange(N)
    with pytest.raises(ShapeError, match="60 rows in 60 runs, too few"):
        module._inner_splits(make(runs)[0], runs, np.arange(N), 2, [SPM])


def test_the_mean_is_over_the_folds_that_have_a_score():
    found = module._mean(np.array([[1.0, NAN, NAN], [3.0, NAN, 4.0]]))
    np.testing.assert_array_equal(found, [2.0, NAN, 4.0])
