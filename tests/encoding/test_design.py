"""Delays, downsampling and splits: closed forms, run borders, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import encoding
from neuroalign.errors import InvalidValueError, LabelError, ShapeError


@pytest.fixture
def X(rng):
    return xr.DataArray(
        rng.standard_normal((20, 3)),
        dims=("time", "unit"),
        coords={
            "time": 2.0 * np.arange(20),
            "run": ("time", np.repeat(["a", "b"], 10)),
            "layer": ("unit", ["h1", "h1", "h2"]),
        },
    )


def test_delayed_features_come_from_earlier_rows_of_the_same_run(X):
    found = encoding.delay(X, [0, 2])
    assert found.dims == ("time", "feature")
    np.testing.assert_array_equal(found[:, :3], X)
    for start in (0, 10):
        np.testing.assert_array_equal(found[start + 2 : start + 10, 3:], X[start : start + 8])
        assert not found[start : start + 2, 3:].values.any()
    assert found.delay.values.tolist() == [0, 0, 0, 2, 2, 2]
    assert found.layer.values.tolist() == ["h1", "h1", "h2"] * 2


def test_nothing_of_one_run_reaches_another(X):
    noise = X.copy(deep=True)
    noise[:10] = 99.0
    np.testing.assert_array_equal(encoding.delay(noise, [1, 3])[10:], encoding.delay(X, [1, 3])[10:])


def test_delay_ignores_the_order_of_rows(X, rng):
    found = encoding.delay(X.isel(time=rng.permutation(20)), [1, 2])
    xr.testing.assert_identical(found.sortby("time"), encoding.delay(X, [1, 2]))


def test_delay_does_not_edit_its_argument(X):
    before = X.copy(deep=True)
    encoding.delay(X, [0, 1])
    xr.testing.assert_identical(X, before)


def test_delay_refuses_what_would_leak_or_mislead(X):
    with pytest.raises(InvalidValueError, match="non-negative integers; got -1 at position 1"):
        encoding.delay(X, [0, -1])
    with pytest.raises(InvalidValueError, match=r"got 1\.5 at position 0"):
        encoding.delay(X, [1.5])
    with pytest.raises(InvalidValueError, match="got 1 again at position 1"):
        encoding.delay(X, [1, 1])
    with pytest.raises(ShapeError, match="run 'a' has 10 rows, not more than the largest delay 10"):
        encoding.delay(X, [10])
    with pytest.raises(LabelError, match="X has no coordinate 'run'"):
        encoding.delay(X.drop_vars("run"), [1])
    with pytest.raises(InvalidValueError, match="must be evenly spaced; steps go from 2 to 4 s"):
        encoding.delay(X.isel(time=[0, 1, 2, 4, 5]), [1])
    with pytest.raises(ShapeError, match=r"runs must have shape \(20,\); got \(3,\)"):
        encoding.delay(X, [1], runs=[1, 1, 2])


@pytest.fixture
def words():
    return pd.DataFrame(
        {
            "stimulus": ["w0", "w1", "w2", "w3"],
            "onset": [0.5, 1.5, 4.0, 99.0],
            "offset": [0.9, 3.5, 4.4, 99.5],
        }
    )


@pytest.fixture
def activations():
    return xr.DataArray(
        [[1.0, 0.0], [3.0, 1.0], [5.0, 2.0], [7.0, 3.0]],
        dims=("stimulus", "unit"),
        coords={"stimulus": ["w0", "w1", "w2", "w3"], "layer": ("unit", ["a", "b"])},
    )


TIMES = np.array([0.0, 2.0, 4.0])


def test_words_are_averaged_or_summed_within_their_volume(activations, words):
    mean = encoding.to_trs(activations, words, TIMES, tr=2.0)
    assert mean.values.tolist() == [[2.0, 0.5], [0.0, 0.0], [5.0, 2.0]]
    assert (mean.attrs["n_empty"], mean.attrs["n_outside"]) == (1, 1)
    total = encoding.to_trs(activations, words, TIMES, tr=2.0, method="sum")
    assert total.values.tolist() == [[4.0, 1.0], [0.0, 0.0], [5.0, 2.0]]
    assert total.layer.values.tolist() == ["a", "b"]


def test_a_word_can_stand_at_its_middle(activations, words):
    found = encoding.to_trs(activations, words, TIMES, tr=2.0, method="sum", at="midpoint")
    assert found.values[:, 0].tolist() == [1.0, 3.0, 5.0]


def test_words_are_aligned_by_label(activations, words, rng):
    shuffled = words.iloc[rng.permutation(4)]
    for method in encoding.METHODS:
        np.testing.assert_array_equal(
            encoding.to_trs(activations, shuffled, TIMES, tr=2.0, method=method),
            encoding.to_trs(activations, words, TIMES, tr=2.0, method=method),
        )
    with pytest.raises(LabelError, match="1 of 4 labels of 'stimulus' are not in words: 'w3'"):
        encoding.to_trs(activations, words[:3], TIMES, tr=2.0)


def lanczos_of_the_field(data, old, new, window=3):
    """Huth et al.'s lanczosinterp2D, written out as loops."""
    cutoff = 1 / np.mean(np.diff(new))
    out = np.zeros((len(new), data.shape[1]))
    for i, t in enumerate(new):
        for j, s in enumerate(old):
            x = (t - s) * cutoff
            if abs(x) > window:
                continue
            top = window * np.sin(np.pi * x) * np.sin(np.pi * x / window)
            out[i] += (1.0 if x == 0 else top / (np.pi * x) ** 2) * data[j]
    return out


def test_lanczos_equals_the_fields_loop(rng):
    onsets = np.sort(rng.uniform(0, 40, 60))
    names = [f"w{i:02d}" for i in range(60)]
    values = rng.standard_normal((60, 3))
    activations = xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": names})
    table = pd.DataFrame({"stimulus": names, "onset": onsets})
    times = 2.0 * np.arange(20)
    found = encoding.to_trs(activations, table, times, tr=2.0, method="lanczos")
    np.testing.assert_allclose(found, lanczos_of_the_field(values, onsets, times + 1.0), atol=1e-10)


def test_normalised_lanczos_of_a_constant_is_that_constant(rng):
    onsets = np.sort(rng.uniform(0, 40, 80))
    names = [f"w{i:02d}" for i in range(80)]
    activations = xr.DataArray(np.full((80, 1), 7.0), dims=("stimulus", "unit"), coords={"stimulus": names})
    table = pd.DataFrame({"stimulus": names, "onset": onsets})
    found = encoding.to_trs(activations, table, 2.0 * np.arange(20), tr=2.0, method="lanczos-normalized")
    np.testing.assert_allclose(found, 7.0, rtol=1e-10)


def test_volumes_that_overlap_are_refused(activations, words):
    with pytest.raises(InvalidValueError, match="got 2 and then 1 at position 2"):
        encoding.to_trs(activations, words, [0.0, 2.0, 1.0], tr=2.0)
    with pytest.raises(LabelError, match="at='midpoint' needs a column 'offset'"):
        encoding.to_trs(activations, words.drop(columns="offset"), TIMES, tr=2.0, at="midpoint")
    with pytest.raises(InvalidValueError, match="tr must be positive and finite; got 0"):
        encoding.to_trs(activations, words, TIMES, tr=0)


@given(st.integers(2, 60), st.integers(2, 8), st.integers(0, 4))
def test_contiguous_splits_test_every_row_once_and_purge_both_sides(n, k, purge):
    if k > n:
        with pytest.raises(InvalidValueError, match="n_splits must be an integer from 2"):
            encoding.contiguous_splits(n, k, purge=purge)
        return
    try:
        splits = encoding.contiguous_splits(n, k, purge=purge)
    except InvalidValueError as error:
        assert "leaves no training row" in str(error)
        return
    assert np.concatenate([test for _, test in splits]).tolist() == list(range(n))
    for train, test in splits:
        assert (np.diff(test) == 1).all()
        assert np.abs(train[:, None] - test).min() > purge
        assert len(train) == n - len(test) - min(purge, test[0]) - min(purge, n - 1 - test[-1])


def test_a_purge_stays_within_the_run():
    splits = encoding.contiguous_splits(np.repeat(["a", "b"], 4), 2, purge=2)
    assert splits[0][0].tolist() == [4, 5, 6, 7]


def test_leave_one_run_out_ignores_where_the_rows_of_a_run_stand():
    splits = encoding.leave_one_run_out(["b", "a", "b", "a"])
    assert [test.tolist() for _, test in splits] == [[0, 2], [1, 3]]
    with pytest.raises(InvalidValueError, match="at least 2 runs"):
        encoding.leave_one_run_out(["a", "a"])


def test_no_delay_no_volume_and_unknown_ways_are_refused(X, activations, words):
    with pytest.raises(InvalidValueError, match="delays must hold at least one delay; got none"):
        encoding.delay(X, [])
    with pytest.raises(ShapeError, match="times must hold at least one volume; got none"):
        encoding.to_trs(activations, words, [], tr=2.0)
    with pytest.raises(InvalidValueError, match=r"method must be one of .*; got 'cubic'"):
        encoding.to_trs(activations, words, [0.0, 2.0], tr=2.0, method="cubic")
    with pytest.raises(InvalidValueError, match=r"at must be one of .*; got 'end'"):
        encoding.to_trs(activations, words, [0.0, 2.0], tr=2.0, at="end")


@pytest.mark.parametrize(("largest", "enough"), [(9, True), (10, False)])
def test_a_run_needs_one_row_more_than_the_largest_delay(X, largest, enough):
    if enough:
        found = encoding.delay(X, [largest])
        np.testing.assert_array_equal(found[[9, 19]], X[[0, 10]])
        assert not found.values[np.r_[0:9, 10:19]].any()
    else:
        with pytest.raises(ShapeError, match="run 'a' has 10 rows, not more than the largest delay 10"):
            encoding.delay(X, [largest])


def at_moments(*onsets):
    names = [f"w{i}" for i in range(len(onsets))]
    values = xr.DataArray(2.0 ** np.arange(len(onsets))[:, None], dims=("stimulus", "unit"))
    return values.assign_coords(stimulus=names), pd.DataFrame({"stimulus": names, "onset": onsets})


@pytest.mark.parametrize("tr", [0.5, 2.0])
def test_a_volume_begins_at_its_time_and_ends_before_the_next(tr, monkeypatch):
    monkeypatch.setattr("neuroalign.encoding.downsampling.SLACK", 2.0**-30)
    slack = tr * 2.0**-30
    times = tr * np.array([0, 1, 4])
    inside = at_moments(0.0, -slack, tr - 2 * slack, tr - slack, tr, 5 * tr - 2 * slack)
    found = encoding.to_trs(*inside, times, tr=tr, method="sum")
    assert found.values.ravel().tolist() == [1 + 2 + 4, 8 + 16, 32]
    assert (found.attrs["n_outside"], found.attrs["n_empty"]) == (0, 0)
    outside = at_moments(-2 * slack, 2 * tr - slack, 4 * tr - 2 * slack, 5 * tr - slack, 5 * tr)
    found = encoding.to_trs(*outside, times, tr=tr, method="sum")
    assert found.values.ravel().tolist() == [0, 0, 0]
    assert (found.attrs["n_outside"], found.attrs["n_empty"]) == (5, 3)


def test_rounding_of_a_moment_is_measured_in_volumes():
    found = encoding.to_trs(*at_moments(1000 - 5e-7, 1000 - 5e-6), [0.0, 1000.0], tr=1000.0, method="sum")
    assert found.values.ravel().tolist() == [2, 1]
    found = encoding.to_trs(*at_moments(1e-3 - 5e-13, 1e-3 - 5e-12), [0.0, 1e-3], tr=1e-3, method="sum")
    assert found.values.ravel().tolist() == [2, 1]


@pytest.mark.parametrize("method", ["lanczos", "lanczos-normalized", "sinc"])
def test_filtered_features_equal_a_loop_over_volumes_and_words(method):
    tr, times, onsets = 1.5, np.array([10.0, 11.5, 13.0, 16.0]), [9.0, 11.0, 11.2, 14.9, 30.0]
    activations, words = at_moments(*onsets)
    expected = []
    for time in times:
        x = (time + tr / 2 - np.array(onsets)) / tr
        weights = np.sinc(x) * (1 if method == "sinc" else np.sinc(x / 3) * (np.abs(x) < 3))
        total = weights.sum() if method == "lanczos-normalized" else 1.0
        # The last volume has no word near it but one in a negative lobe.
        expected.append(weights @ 2.0 ** np.arange(5) / total if total >= 0.05 else 0.0)
    found = encoding.to_trs(activations, words, times, tr=tr, method=method)
    np.testing.assert_allclose(found.values.ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("method", "empty"), [("lanczos", 1), ("sinc", 0), ("sum", 1), ("lanczos-normalized", 1)]
)
def test_a_word_reaches_less_than_3_volumes(method, empty):
    found = encoding.to_trs(*at_moments(7.0), [0.0, 2.0, 6.0], tr=2.0, method=method)
    # Its middle is 3, 2 and 0 volumes away.
    assert found.attrs["n_empty"] == empty + (method in ("sum", "lanczos-normalized"))
    np.testing.assert_allclose(found.values.ravel(), [0, 0, 1], atol=1e-15)


@pytest.mark.parametrize(("least", "empty"), [(1.0, False), (np.nextafter(1.0, 2.0), True)])
def test_a_volume_of_just_the_least_weight_is_not_empty(least, empty, monkeypatch):
    monkeypatch.setattr("neuroalign.encoding.downsampling.LEAST_WEIGHT", least)
    found = encoding.to_trs(*at_moments(1.0), [0.0], tr=2.0, method="lanczos-normalized")
    assert (found.values.tolist(), found.attrs["n_empty"]) == ([[0.0 if empty else 1.0]], int(empty))


def test_volumes_may_be_a_millionth_too_near():
    tr = 2.0
    near = tr * (1 - 1e-6)
    words = at_moments(1.0)
    assert encoding.to_trs(*words, [0.0, near], tr=tr).values.tolist() == [[1.0], [0.0]]
    assert encoding.to_trs(*words, [0.0, tr], tr=tr).values.tolist() == [[1.0], [0.0]]
    with pytest.raises(InvalidValueError, match=r"got 0 and then 2 at position 1"):
        encoding.to_trs(*words, [0.0, np.nextafter(near, 0)], tr=tr)
    for first in (near, tr):
        with pytest.raises(InvalidValueError, match=r"got 2 and then 3 at position 2"):
            encoding.to_trs(*words, [0.0, first, 3.0], tr=tr)


@pytest.mark.parametrize("tr", [0.0, -1.0, np.inf, np.nan])
def test_volumes_without_a_length_are_refused(tr):
    with pytest.raises(InvalidValueError, match="tr must be positive and finite"):
        encoding.to_trs(*at_moments(1.0), [0.0], tr=tr)
