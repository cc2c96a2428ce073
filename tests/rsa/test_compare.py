"""Comparison: oracles, label safety, missing pairs, degenerate RDMs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.schema import align, make_rdm

METHODS = list(rsa.METHODS)
NAMES = [f"s{i}" for i in range(8)]


def make(values, dim="subject", names=NAMES):
    return make_rdm(
        np.asarray(values), names, dims=[dim], coords={dim: [f"{dim}{i}" for i in range(len(values))]}
    )


def shuffle_stimuli(rdms, rng):
    stimuli = list(dict.fromkeys([*rdms.stimulus_a.values, *rdms.stimulus_b.values]))
    order = rng.permutation(stimuli)
    template = make_rdm(np.zeros(rdms.sizes["pair"]), order)
    return align(template, rdms)[1]


@pytest.fixture
def a(rng):
    return make(rng.random((3, 28)))


@pytest.fixture
def b(rng):
    return make(rng.random((4, 28)), "model")


@pytest.mark.parametrize(("method", "theirs"), [("cosine", "cosine"), ("pearson", "corr"), ("spearman",) * 2])
def test_compare_equals_rsatoolbox(a, b, method, theirs):
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm import compare as their_compare

    expected = their_compare(RDMs(a.values), RDMs(b.values), method=theirs)
    np.testing.assert_allclose(rsa.compare(a, b, method), expected, atol=1e-10)


def test_spearman_with_ties_equals_scipy(rng):
    x, y = make(rng.integers(0, 3, (2, 28)).astype(float)), make(rng.random((1, 28)))
    expected = [[scipy.stats.spearmanr(row, y.values[0])[0]] for row in x.values]
    np.testing.assert_allclose(rsa.compare(x, y, "spearman"), expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_compare_ignores_stimulus_order(a, b, rng, method):
    expected = rsa.compare(a, b, method)
    np.testing.assert_allclose(rsa.compare(shuffle_stimuli(a, rng), b, method), expected, atol=1e-12)
    np.testing.assert_allclose(rsa.compare(a, shuffle_stimuli(b, rng), method), expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
def test_an_rdm_is_most_similar_to_itself_at_any_scale(method, seed, scale):
    x = make(np.random.default_rng(seed).random((2, 28)))
    np.testing.assert_allclose(np.diag(rsa.compare(x, x * scale, method)), 1.0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_in_one_rdm_changes_nothing_in_another(a, b, method):
    expected = rsa.compare(a, b, method)
    missing = a.copy(deep=True)
    missing[1, 5] = np.nan
    found = rsa.compare(missing, b, method)
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])
    keep = np.arange(28) != 5
    slow = rsa.compare(missing[1:2], b, method)
    from neuroalign.rsa.compare import compare_rows

    np.testing.assert_allclose(slow, compare_rows(a.values[1:2, keep], b.values[:, keep], method), atol=1e-12)


def test_two_rdms_are_compared_over_the_pairs_that_both_have(a, b):
    x, y = a.copy(deep=True), b.copy(deep=True)
    x[0, :4] = np.nan
    y[2, 3:9] = np.nan
    expected = scipy.stats.spearmanr(a.values[0, 9:], b.values[2, 9:])[0]
    assert float(rsa.compare(x, y, "spearman")[0, 2]) == pytest.approx(expected, abs=1e-12)


def test_a_constant_rdm_is_nan_and_counted(a, b):
    x = a.copy(deep=True)
    x[1] = 0.7
    found = rsa.compare(x, b, "pearson")
    assert np.isnan(found[1]).all()
    assert found.attrs["n_undefined"] == 4
    assert rsa.compare(x, b, "cosine").attrs["n_undefined"] == 0


def test_rdms_that_share_fewer_than_3_pairs_are_undefined(a, b):
    x = a.copy(deep=True)
    x[0, 2:] = np.nan
    found = rsa.compare(x, b)
    assert np.isnan(found[0]).all()
    assert found.attrs["n_undefined"] == 4


def test_coordinates_of_leading_dims_come_along(a, rng):
    layers = make_rdm(
        rng.random((2, 3, 28)), NAMES, dims=["net", "layer"], coords={"net": ["x", "y"], "layer": [1, 2, 3]}
    )
    found = rsa.compare(a, layers)
    assert found.dims == ("rdm_a", "rdm_b")
    assert found.subject_a.values.tolist() == ["subject0", "subject1", "subject2"]
    assert found.net_b.values.tolist() == ["x", "x", "x", "y", "y", "y"]
    assert found.layer_b.values.tolist() == [1, 2, 3, 1, 2, 3]


def test_compare_does_not_edit_its_arguments(a, b):
    before = a.copy(deep=True), b.copy(deep=True)
    rsa.compare(a, b)
    xr.testing.assert_identical(a, before[0])
    xr.testing.assert_identical(b, before[1])


def test_what_cannot_be_compared_is_refused(a, b):
    other = make(b.values, "model", names=[*NAMES[:7], "z"])
    with pytest.raises(LabelError, match="1 of 8 labels of 'stimulus' are not in b: 's7'"):
        rsa.compare(a, other)
    with pytest.raises(ShapeError, match="at least 3 stimuli"):
        rsa.compare(make([[1.0]], names=["p", "q"]), make([[1.0]], names=["p", "q"]))
    with pytest.raises(InvalidValueError, match="method must be one of 'cosine', 'pearson', 'spearman'"):
        rsa.compare(a, b, "kendall")
    with pytest.raises(InvalidValueError, match="28 dissimilarities are infinite"):
        rsa.compare(a, b * np.where(np.arange(4)[:, None] == 1, np.inf, 1.0))
    with pytest.raises(InvalidValueError, match="dtype complex128"):
        rsa.compare(a * 1j, b)
