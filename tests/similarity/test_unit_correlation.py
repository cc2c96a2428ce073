"""Streamed correlations of units: exact, whatever the batches; best partners; bad input by its text."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.similarity import StreamedUnitCorrelation, best_partners, unit_correlation

law = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def networks(n=60, d=7, e=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * np.logspace(-3, 3, d) + 10
    return x, x @ rng.standard_normal((d, e)) + rng.standard_normal((n, e))


def labelled(x, **coords):
    names = [f"s{i:03}" for i in range(len(x))]
    return xr.DataArray(x, dims=("stimulus", "unit"), coords={"stimulus": names, **coords})


def plain(x, y):
    return np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]


def streamed(x, y, cuts):
    found = StreamedUnitCorrelation()
    for rows in np.split(np.arange(len(x)), cuts):
        if len(rows):
            found.update(x[rows], y[rows])
    return found


@pytest.mark.parametrize("batch_size", [1, 7, 60, 500])
def test_correlations_are_those_of_numpy(batch_size):
    x, y = networks()
    found = unit_correlation(x, y, batch_size=batch_size)
    assert found.dims == ("unit_x", "unit_y")
    np.testing.assert_allclose(found.values, plain(x, y), atol=1e-12)


def test_a_network_with_itself_has_a_diagonal_of_one():
    x, _ = networks()
    found = unit_correlation(x).values
    np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-12)


@law
@given(seed=seeds, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_neither_order_nor_batches_change_anything(seed, cuts):
    x, y = networks(seed=seed)
    order = np.random.default_rng(seed).permutation(60)
    before = streamed(x, y, []).value().values
    after = streamed(x[order], y[order], sorted(cuts)).value().values
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-12)


@law
@given(seed=seeds)
def test_sums_merge_in_any_grouping(seed):
    x, y = networks(seed=seed)
    a, b, c = (streamed(x[rows], y[rows], [3]) for rows in np.split(np.arange(60), [11, 40]))
    left, right = a.merge(b).merge(c), c.merge(b.merge(a))
    assert left.n_stimuli == right.n_stimuli == 60 and a.n_stimuli == 11
    for found in (left, right):
        np.testing.assert_allclose(found.value().values, plain(x, y), rtol=0, atol=1e-12)


def test_an_empty_stream_is_neutral():
    x, y = networks()
    full, empty = streamed(x, y, []), StreamedUnitCorrelation()
    assert full.merge(empty).value().equals(full.value())
    assert empty.merge(full).value().equals(full.value())


def test_large_offsets_lose_no_digits():
    # Integers of float64 are exact up to 2 ** 53, so the offset changes nothing in the data themselves.
    rng = np.random.default_rng(0)
    x, y = rng.integers(-50, 50, (2, 400, 6)).astype(float)
    y += x
    for size in (13, 400):
        found = unit_correlation(x + 2.0**40, y - 2.0**41, batch_size=size).values
        np.testing.assert_allclose(found, plain(x, y), rtol=0, atol=1e-12)
    # A first batch that is nothing like the rest does not spoil the sums either.
    far = np.concatenate([np.zeros((5, 6)), x + 1e9])
    near = np.concatenate([np.zeros((5, 6)), y + 1e9])
    np.testing.assert_allclose(
        streamed(far, near, [5]).value().values, streamed(far, near, []).value().values, rtol=0, atol=1e-12
    )


def test_stored_float32_is_summed_in_float64():
    x = (1000 + 0.5 * np.random.default_rng(0).standard_normal((500, 4))).astype(np.float32)
    found = unit_correlation(x, x, batch_size=50).values
    np.testing.assert_allclose(found, np.corrcoef(x.astype(np.float64).T), rtol=0, atol=1e-12)


def test_labels_decide_and_order_does_not():
    x, y = (labelled(z) for z in networks())
    mixed = y.isel(stimulus=np.random.default_rng(1).permutation(60))
    np.testing.assert_allclose(
        unit_correlation(x, mixed, batch_size=9).values, unit_correlation(x, y).values, rtol=0, atol=1e-12
    )
    one = StreamedUnitCorrelation()
    one.update(x, mixed)
    np.testing.assert_allclose(one.value().values, unit_correlation(x, y).values, rtol=0, atol=1e-12)


def test_coordinates_of_the_units_stay():
    x, y = networks()
    found = unit_correlation(labelled(x, layer=("unit", list("aaabbbb"))), labelled(y))
    assert found["layer_x"].values.tolist() == list("aaabbbb")


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_dead_units_are_nan_and_counted(constant):
    x, y = networks()
    x, y = x.copy(), y.copy()
    x[:, 2], y[:, [0, 4]] = constant, -constant
    found = unit_correlation(x, y, batch_size=7)
    assert np.isnan(found.values[2]).all() and np.isnan(found.values[:, [0, 4]]).all()
    assert np.isfinite(found.values[np.ix_([0, 1, 3], [1, 2, 3])]).all()
    assert (found.attrs["n_dead_x"], found.attrs["n_dead_y"]) == (1, 2)
    best = best_partners(x, y, k=3)
    assert best["partner_x"].values[2].tolist() == [-1, -1, -1] and np.isnan(best["r_x"].values[2]).all()
    assert not np.isin(best["partner_x"].values, [0, 4]).any()
    assert not (best["partner_y"].values == 2).any()
    assert (best.attrs["n_dead_x"], best.attrs["n_dead_y"]) == (1, 2)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("strip", [1, 2, 7])
def test_best_partners_are_those_of_the_whole_matrix(k, absolute, strip):
    x, y = networks()
    r = plain(x, y)
    found = best_partners(x, y, k=k, absolute=absolute, memory=8 * 5 * strip, batch_size=11)
    for side, whole in (("x", r), ("y", r.T)):
        order = np.argsort(-(np.abs(whole) if absolute else whole), axis=1)[:, :k]
        assert found[f"partner_{side}"].values.tolist() == order.tolist()
        np.testing.assert_allclose(
            found[f"r_{side}"].values, np.take_along_axis(whole, order, axis=1), rtol=0, atol=1e-12
        )


def test_held_out_correlations_are_those_of_the_other_stimuli():
    x, y = networks()
    select = np.arange(60) % 2 == 0
    found = best_partners(x, y, k=2, select=select)
    r = plain(x[~select], y[~select])
    for side, whole in (("x", r), ("y", r.T)):
        expected = np.take_along_axis(whole, found[f"partner_{side}"].values, axis=1)
        np.testing.assert_allclose(found[f"held_out_{side}"].values, expected, rtol=0, atol=1e-12)
    assert (found.attrs["n_stimuli"], found.attrs["n_held_out"]) == (30, 30)


def test_a_selection_goes_by_label():
    x, y = (labelled(z) for z in networks())
    flags = xr.DataArray(np.arange(60) < 25, dims="stimulus", coords={"stimulus": x["stimulus"].values})
    found = best_partners(x, y, select=flags.isel(stimulus=slice(None, None, -1)))
    assert found.equals(best_partners(x, y, select=flags.values))


def test_an_array_on_disk_is_read_in_batches(tmp_path):
    x, y = networks()
    disk = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=x.shape)
    disk[:] = x
    assert best_partners(disk, y, batch_size=8).equals(best_partners(x, y, batch_size=8))


def test_the_largest_of_many_correlations_is_large_by_chance():
    """12 stimuli and 400 units of noise: the winner's curse, and what held-out stimuli say of it."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 50)), rng.standard_normal((24, 400))
    found = best_partners(x, y, select=np.arange(24) < 12)
    assert found["r_x"].mean() > 0.7
    assert abs(found["held_out_x"].mean()) < 0.1


BAD = {
    "other numbers": (lambda x, y: (x, y[:-1]), ShapeError, "same stimuli; got 60 in x, 59 in y"),
    "one label only": (lambda x, y: (labelled(x), y), ShapeError, "'y' have no stimulus labels"),
    "other labels": (
        lambda x, y: (labelled(x), labelled(y).assign_coords(stimulus=[f"t{i:03}" for i in range(60)])),
        LabelError,
        "60 of 60 labels of 'stimulus' are not in y",
    ),
    "two stimuli": (lambda x, y: (x[:2], y[:2]), ShapeError, "correlated by construction"),
    "no units": (lambda x, y: (x[:, :0], y), ShapeError, r"got shape \(60, 0\)"),
    "complex": (lambda x, y: (x + 1j, y), InvalidValueError, "real numbers"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_refused(name):
    change, error, text = BAD[name]
    with pytest.raises(error, match=text):
        unit_correlation(*change(*networks()))


def test_a_value_that_is_not_finite_is_named_by_stimulus_and_unit():
    x, y = networks()
    y = y.copy()
    y[41, 3] = np.nan
    with pytest.raises(InvalidValueError, match="got nan at stimulus 41, unit 3"):
        best_partners(x, y, batch_size=8)
    with pytest.raises(InvalidValueError, match="got nan at stimulus 's041', unit 3"):
        best_partners(labelled(x), labelled(y).isel(stimulus=slice(None, None, -1)), batch_size=8)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"k": 6}, "from 1 to the 5 units"),
        ({"k": 0}, "from 1 to the 5 units"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"select": np.arange(60) < 2}, "got 2 to choose on and 58"),
        ({"select": np.arange(60)}, "select must be booleans"),
    ],
    ids=["k too large", "k zero", "no batch", "too few", "no booleans"],
)
def test_bad_options_are_refused(options, text):
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        best_partners(*networks(), **options)


def test_too_many_pairs_are_refused_with_a_way_out():
    x, y = networks()
    with pytest.raises(InvalidValueError, match="best_partners keeps"):
        unit_correlation(x, y, memory=100)
    with pytest.raises(InvalidValueError, match="best_partners keeps"):
        StreamedUnitCorrelation(memory=100).update(x, y)


def test_a_stream_refuses_other_units_and_too_few_stimuli():
    x, y = networks()
    found = streamed(x, y, [])
    with pytest.raises(ShapeError, match=r"must have \(7, 5\) units"):
        found.update(y, x)
    with pytest.raises(ShapeError, match="same units"):
        found.merge(streamed(y, x, []))
    with pytest.raises(ShapeError, match="2 stimuli came in"):
        streamed(x[:2], y[:2], []).value()


def test_squares_that_overflow_are_refused():
    x, y = networks()
    with pytest.raises(InvalidValueError, match="overflow"), np.errstate(over="ignore"):
        unit_correlation(x * 1e200, y)
