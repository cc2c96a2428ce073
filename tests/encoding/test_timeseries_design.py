"""The time series design: run borders, drifts, what folds may share, what is refused; sinc downsampling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level.design_matrix import create_cosine_drift

from neuroalign import stats
from neuroalign.encoding import RidgeCV, delay, evaluate, to_trs
from neuroalign.encoding.design import TimeSeriesDesign
from neuroalign.encoding.drifts import drift_basis, remove_drifts
from neuroalign.encoding.hrf import convolve
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

N = 60
RUNS = np.repeat(["a", "b", "c"], 20)


def make(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    times = 2.0 * np.arange(N)
    X = xr.DataArray(
        scale * rng.standard_normal((N, 3)) + 5,
        dims=("time", "unit"),
        coords={
            "time": times,
            "run": ("time", RUNS),
            "story": ("time", np.repeat(["s1", "s2", "s3", "s4"], 15)),
            "band": ("unit", ["low", "low", "high"]),
        },
    )
    values = rng.standard_normal((N, 4)) + 0.1 * np.arange(N)[:, None] + 100
    Y = xr.DataArray(
        values, dims=("time", "neuroid"), coords={"time": times, "neuroid": ["v1", "v2", "v3", "v4"]}
    )
    return X, Y


def of(X, Y, **kwargs):
    return TimeSeriesDesign.of(X, Y, **kwargs)


STEPS = {
    "delay": lambda design: design.delay([1, 3]),
    "convolve": lambda design: design.convolve("spm"),
    "linear": lambda design: design.detrend("both"),
    "polynomial": lambda design: design.detrend("both", kind="polynomial", order=3),
    "cosine": lambda design: design.detrend("both", kind="cosine", cutoff=30.0),
    "zscore": lambda design: design.zscore("both"),
    "trim": lambda design: design.trim(2, 3),
    "all": lambda design: design.detrend("both").zscore("both").convolve().delay([0, 1]).trim(1),
}


@pytest.mark.parametrize("step", list(STEPS))
def test_nothing_of_one_run_reaches_another(step):
    X, Y = make()
    before = STEPS[step](of(X, Y))
    noisy_X, noisy_Y = X.copy(deep=True), Y.copy(deep=True)
    noisy_X[20:40] = 1e6 * np.random.default_rng(1).standard_normal((20, 3))
    noisy_Y[20:40] = 1e6 * np.random.default_rng(2).standard_normal((20, 4))
    after = STEPS[step](of(noisy_X, noisy_Y))
    others = before.runs != "b"
    np.testing.assert_array_equal(after.X.values[others], before.X.values[others])
    np.testing.assert_array_equal(after.Y.values[others], before.Y.values[others])
    assert (after.X.values[~others] != before.X.values[~others]).any()


@pytest.mark.parametrize("step", list(STEPS))
def test_a_run_alone_is_what_it_is_among_others(step):
    X, Y = make()
    alone = STEPS[step](of(X[20:40], Y[20:40]))
    among = STEPS[step](of(X, Y))
    rows = among.runs == "b"
    np.testing.assert_allclose(among.X.values[rows], alone.X.values, atol=1e-12)
    np.testing.assert_allclose(among.Y.values[rows], alone.Y.values, atol=1e-12)


@pytest.mark.parametrize("step", list(STEPS))
def test_the_order_of_rows_does_not_matter_and_nothing_is_edited(step, rng):
    X, Y = make()
    before = X.copy(deep=True), Y.copy(deep=True)
    found = STEPS[step](of(X.isel(time=rng.permutation(N)), Y.isel(time=rng.permutation(N))))
    expected = STEPS[step](of(X, Y))
    xr.testing.assert_identical(found.X, expected.X)
    xr.testing.assert_identical(found.Y, expected.Y)
    xr.testing.assert_identical(X, before[0])
    xr.testing.assert_identical(Y, before[1])
    assert found.X.band.values[0] == "low"


@settings(deadline=None, max_examples=20)
@given(st.floats(-1000, 1000), st.floats(-50, 50), st.floats(0.1, 10))
def test_shifts_of_time_change_nothing_and_those_of_values_are_taken_out(later, level, scale):
    X, Y = make()
    expected = of(X, Y).detrend("both").zscore("both")
    moved = [
        array.copy(data=scale * array.values + level).assign_coords(time=array.time + later)
        for array in (X, Y)
    ]
    found = of(*moved).detrend("both").zscore("both")
    np.testing.assert_allclose(found.X, expected.X, atol=1e-8)
    np.testing.assert_allclose(found.Y, expected.Y, atol=1e-8)


def test_delays_and_convolution_are_those_of_encoding():
    X, Y = make()
    np.testing.assert_array_equal(of(X, Y).delay([1, 2]).X, delay(X, [1, 2]))
    np.testing.assert_array_equal(of(X, Y).convolve("glover").X, convolve(X, "glover"))


def test_linear_drifts_and_z_scores_are_those_of_stats():
    X, Y = make()
    labelled = Y.assign_coords(run=X.run)
    found = of(X, Y).detrend().zscore()
    np.testing.assert_allclose(found.Y, stats.prepare_series(labelled), atol=1e-10)
    np.testing.assert_array_equal(found.X, X)
    assert found.Y.attrs["zscored"] == "within run"
    assert found.whole_runs == ("linear drifts of Y", "z-scores of Y")


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_polynomial_drifts_are_a_least_squares_fit(order, rng):
    times, x = 3.0 + 1.5 * np.arange(30), rng.standard_normal((30, 2)) + 7
    rest = x - np.stack([np.polyval(np.polyfit(times, column, order), times) for column in x.T], axis=1)
    found = remove_drifts(x, drift_basis(times, kind="polynomial", order=order))
    np.testing.assert_allclose(found, rest, atol=1e-8)
    if order == 1:
        np.testing.assert_allclose(remove_drifts(x, drift_basis(times)), rest, atol=1e-8)


@pytest.mark.parametrize("cutoff", [20.0, 64.0, 128.0, 1e4])
def test_cosine_drifts_span_nilearns(cutoff, rng):
    times, x = 1.5 * np.arange(100), rng.standard_normal((100, 3))
    theirs = create_cosine_drift(1 / cutoff, times)
    basis = drift_basis(times, kind="cosine", cutoff=cutoff)
    assert basis.shape == theirs.shape
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    expected = x - theirs @ np.linalg.lstsq(theirs, x, rcond=None)[0]
    np.testing.assert_allclose(remove_drifts(x, basis), expected, atol=1e-10)


def test_a_series_that_is_a_drift_becomes_0_and_counts_as_constant():
    X, Y = make()
    Y[:, 1] = 3 + 0.7 * Y.time
    Y[20:40, 2] = 0.1
    X[:20, 0] = 0.3
    found = of(X, Y).detrend().zscore("both")
    assert np.isnan(found.Y[:, 1]).all()
    assert np.isnan(found.Y[:, 2]).values.nonzero()[0].tolist() == list(range(20, 40))
    assert found.Y.attrs["n_constant"] == 4
    assert not found.X[:20, 0].values.any()
    assert found.X.attrs["n_constant"] == 1
    again = found.detrend().zscore()
    np.testing.assert_array_equal(np.isnan(again.Y), np.isnan(found.Y))


def test_float32_responses_stay_float32_and_are_computed_in_float64():
    X, Y = make()
    found = of(X, (Y + 1e4).astype(np.float32)).detrend().zscore()
    assert found.Y.dtype == np.float32
    exact = of(X, (Y + 1e4).astype(np.float32).astype(np.float64)).detrend().zscore()
    np.testing.assert_allclose(found.Y, exact.Y, atol=1e-6)


def test_trimming_takes_rows_from_every_run():
    X, Y = make()
    found = of(X, Y).trim(2, 3)
    expected = [t for start in (0, 20, 40) for t in range(start + 2, start + 17)]
    assert (found.X.time.values / 2).tolist() == expected
    np.testing.assert_array_equal(found.Y.time, found.X.time)


def test_runs_that_are_too_short_are_refused_by_name():
    X, Y = make()
    keep = [*range(20), 20, 21, 22, *range(40, 60)]
    design = of(X.isel(time=keep), Y.isel(time=keep))
    with pytest.raises(ShapeError, match="run 'b' has 3 rows, not more than the largest delay 3"):
        design.delay([0, 3])
    with pytest.raises(ShapeError, match=r"run 'b' has 3 rows, not more than the 2 \+ 1 to trim"):
        design.trim(2, 1)
    with pytest.raises(ShapeError, match=r"run 'b': 3 rows are fitted exactly by 3 drifts \(polynomial\)"):
        design.detrend(kind="polynomial", order=2)


def test_scaling_over_all_rows_is_refused():
    with pytest.raises(InvalidValueError, match="lets training rows know the mean and variance of test"):
        of(*make()).zscore("X", within="all")


def test_the_purge_is_the_largest_delay_and_the_length_of_the_response():
    design = of(*make())
    assert design.purge == 0
    assert design.delay([0, 2, 4]).purge == 4
    assert design.convolve().purge == 16
    assert design.convolve().delay([0, 2]).purge == 18
    assert of(*make(), hrf_seconds=7.0).delay([1]).purge == 5
    assert design.tr == 2.0
    for train, test in of(*make(), hrf_seconds=4.0).delay([1]).contiguous(6):
        near = np.abs(train[:, None] - test) <= 3
        same = RUNS[train][:, None] == RUNS[test]
        assert not (near & same).any()


def test_runs_and_stories_are_left_out_whole():
    design = of(*make(), hrf_seconds=4.0)
    runs = design.leave_one_run_out()
    assert [set(RUNS[test]) for _, test in runs] == [{"a"}, {"b"}, {"c"}]
    stories = design.by_group("story")
    assert [len(test) for _, test in stories] == [15] * 4
    assert stories[0][0].tolist() == [17, 18, 19, *range(20, 60)]
    assert [len(test) for _, test in design.by_group("story", 2)] == [30, 30]


def test_stories_may_be_the_borders():
    X, Y = make()
    design = of(X.drop_vars("run"), Y, border="story")
    assert len(design.leave_one_run_out()) == 4
    delayed = design.delay([1])
    assert not delayed.X.values[[0, 15, 30, 45]].any()


def test_one_run_is_said_by_a_scalar():
    X, Y = make()
    design = of(X.drop_vars("run").assign_coords(run="only"), Y).delay([1])
    assert not design.X.values[0].any()
    assert design.X.values[20].any()


def test_folds_that_cut_a_run_are_refused_once_its_rows_share_something():
    design = of(*make()).detrend("Y").zscore("X")
    with pytest.raises(
        InvalidValueError,
        match="fold 0 cuts the run 'a', and linear drifts of Y, z-scores of X were computed",
    ):
        design.contiguous(5)
    with pytest.raises(InvalidValueError, match="cuts the run 'a'"):
        design.by_group("story")
    assert len(design.contiguous(5, allow_shared=True)) == 5
    assert len(design.contiguous(3)) == 3
    assert len(design.leave_one_run_out()) == 3
    train = design.leave_one_run_out()[0][0]
    with pytest.raises(InvalidValueError, match="cuts the run 'b'"):
        design.nested(train, 3)
    assert len(design.nested(train, 2, coordinate="run")) == 2


@pytest.mark.parametrize("coordinate", [None, "run", "story"])
def test_nested_folds_stay_within_training_rows_and_purge(coordinate):
    design = of(*make(), hrf_seconds=4.0).delay([1])
    for train, test in design.contiguous(5):
        inner = design.nested(train, 2, coordinate=coordinate)
        relative = design.nested(train, 2, coordinate=coordinate, relative=True)
        for (a, b), (c, d) in zip(inner, relative, strict=True):
            assert not set(test) & (set(a) | set(b))
            assert set(a) | set(b) <= set(train)
            near = (np.abs(a[:, None] - b) <= design.purge) & (RUNS[a][:, None] == RUNS[b])
            assert not near.any()
            assert train[c].tolist() == a.tolist()
            assert train[d].tolist() == b.tolist()


@pytest.mark.goal("R19", "fits of the room's own tests")
def test_test_rows_replaced_by_noise_change_nothing_that_is_fitted():
    X, Y = make()
    splits = of(X, Y).zscore("both").delay([0, 1]).leave_one_run_out()
    X2, Y2 = X.copy(deep=True), Y.copy(deep=True)
    X2[20:40], Y2[20:40] = 1e5 * X[20:40] ** 2, -1e5 * Y[20:40] ** 2
    alphas = []
    for x, y in ((X, Y), (X2, Y2)):
        design = of(x, y).zscore("both").delay([0, 1])
        model = RidgeCV([0.1, 1.0, 10.0, 100.0], edge_tolerance=1.0)
        alphas.append(evaluate(model, design.X, design.Y, splits=splits[1:2]).alpha.values)
    np.testing.assert_array_equal(*alphas)


def test_what_is_no_design_is_refused():
    X, Y = make()
    with pytest.raises(LabelError, match="neither X nor Y has the coordinate 'run'"):
        of(X.drop_vars("run"), Y)
    with pytest.raises(LabelError, match="X and Y differ in 'run', first at time 38: 'a' and 'b'"):
        of(X, Y.assign_coords(run=("time", np.repeat(["a", "b", "c"], [19, 21, 20]))))
    with pytest.raises(LabelError, match="1 of 60 labels of 'time' are not in Y"):
        of(X, Y[1:])
    with pytest.raises(InvalidValueError, match="run 'a' is not whole"):
        of(X.assign_coords(run=("time", np.tile(["a", "b"], 30))), Y)
    with pytest.raises(InvalidValueError, match="run 'a' must be evenly spaced"):
        of(X[[0, 1, 2, 4, 5]], Y[[0, 1, 2, 4, 5]])
    stretched = np.concatenate([2.0 * np.arange(40), 200 + 1.5 * np.arange(20)])
    with pytest.raises(InvalidValueError, match=r"'c' has 1\.5 and 'a' 2"):
        of(X.assign_coords(time=stretched), Y.assign_coords(time=stretched))
    with pytest.raises(ShapeError, match="every run has one row"):
        of(X[[0, 20]], Y[[0, 20]])
    with pytest.raises(ShapeError, match=r"Y must be a DataArray \(time, neuroid\)"):
        of(X, X)
    with pytest.raises(InvalidValueError, match="hrf_seconds must be finite and not negative; got -1"):
        of(X, Y, hrf_seconds=-1)
    partly = Y.copy(deep=True)
    partly[20:40, 0] = np.nan
    of(X, partly)
    partly[5, 3] = np.nan
    with pytest.raises(
        InvalidValueError, match="1 neuroids of run 'a' are not, the first is neuroid 3 at row"
    ):
        of(X, partly)
    with pytest.raises(InvalidValueError, match="X must be finite"):
        of(X.where(X.time != 4), Y)


def test_what_a_design_cannot_do_is_refused():
    design = of(*make())
    with pytest.raises(InvalidValueError, match=r"delayed already, by \[1, 2\]"):
        design.delay([1, 2]).delay([1])
    with pytest.raises(InvalidValueError, match="convolved already"):
        design.convolve().convolve()
    with pytest.raises(InvalidValueError, match="which must be one of 'X', 'Y', 'both'; got 'Z'"):
        design.detrend("Z")
    with pytest.raises(InvalidValueError, match="kind must be one of 'linear', 'polynomial', 'cosine'"):
        design.detrend(kind="spline")
    with pytest.raises(InvalidValueError, match="first must be a non-negative integer; got -1"):
        design.trim(-1)
    with pytest.raises(LabelError, match="no coordinate 'session' of time"):
        design.by_group("session")
    with pytest.raises(InvalidValueError, match="cutoff must be positive and finite; got 0"):
        design.detrend(kind="cosine", cutoff=0)
    with pytest.raises(InvalidValueError, match="order must be a non-negative integer; got 1"):
        design.detrend(kind="polynomial", order=1.5)


def test_sinc_is_the_sum_over_words_of_the_ideal_filter(rng):
    onsets, times = np.sort(rng.uniform(0, 40, 30)), 2.0 * np.arange(20)
    names = [f"w{i:02d}" for i in range(30)]
    values = rng.standard_normal((30, 2))
    activations = xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": names})
    words = pd.DataFrame({"stimulus": names, "onset": onsets})
    slow = np.zeros((20, 2))
    for i, t in enumerate(times + 1.0):
        for j, s in enumerate(onsets):
            x = np.pi * (t - s) / 2.0
            slow[i] += np.sin(x) / x * values[j]
    found = to_trs(activations, words, times, tr=2.0, method="sinc")
    np.testing.assert_allclose(found, slow, atol=1e-10)
    assert found.attrs["n_empty"] == 0


def test_a_word_in_the_middle_of_a_volume_is_in_no_other_by_sinc():
    activations = xr.DataArray([[3.0]], dims=("stimulus", "unit"), coords={"stimulus": ["w"]})
    words = pd.DataFrame({"stimulus": ["w"], "onset": [5.0]})
    found = to_trs(activations, words, 2.0 * np.arange(6), tr=2.0, method="sinc")
    np.testing.assert_allclose(found[:, 0], [0, 0, 3, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("start", [-40.0, 7.5, 1e5])
def test_drifts_do_not_depend_on_when_a_run_begins(start):
    times = 2.0 * np.arange(30)
    for options in (
        {"kind": "cosine", "cutoff": 24.0},
        {"kind": "linear"},
        {"kind": "polynomial", "order": 3},
    ):
        np.testing.assert_allclose(
            drift_basis(start + times, **options), drift_basis(times, **options), atol=1e-9
        )
    # 30 volumes in 2 s and cycles of 24 s at the shortest: 2 x 60 / 24 cosines and a constant.
    assert drift_basis(start + times, kind="cosine", cutoff=24.0).shape == (30, 6)


def test_a_border_that_lies_on_features_is_refused():
    X, Y = make()
    wrong = X.drop_vars("story").assign_coords(story=("unit", ["s1", "s1", "s2"]))
    with pytest.raises(LabelError, match=r"X: story must be a coordinate of time; got \('unit',\)"):
        of(wrong, Y, border="story")


@pytest.mark.parametrize(
    ("first", "last", "kept"), [(19, 0, [19, 39, 59]), (0, 19, [0, 20, 40]), (9, 10, [9, 29, 49])]
)
def test_trimming_may_leave_one_row_of_a_run(first, last, kept):
    X, Y = make()
    found = of(X, Y).trim(first, last)
    np.testing.assert_array_equal(found.X, X[kept])
    np.testing.assert_array_equal(found.Y, Y[kept])
    with pytest.raises(ShapeError, match=r"run 'a' has 20 rows, not more than the"):
        of(X, Y).trim(first, last + 1)


@pytest.mark.parametrize(
    ("seconds", "rows"), [(0.0, 0), (1e-12, 0), (1.9, 1), (2.0, 1), (2.0 + 1e-10, 1), (2.1, 2), (6.0, 3)]
)
def test_the_purge_of_a_response_is_its_length_in_rows_rounded_up(seconds, rows):
    design = of(*make(), hrf_seconds=seconds)
    assert (design.purge, design.delay([0, 2]).purge) == (rows, rows + 2)
