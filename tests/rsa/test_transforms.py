"""Transforms of single RDMs, subsets, means."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign import rsa, stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.transforms import TRANSFORMS, mean_rdm, subset, transform
from neuroalign.schema import align, make_rdm

NAMES = [f"s{i}" for i in range(6)]
HOW = list(TRANSFORMS)


def make(values, dim="subject"):
    coords = {dim: [f"{dim}{i}" for i in range(len(values))]}
    return make_rdm(np.asarray(values), NAMES, dims=[dim], coords=coords, attrs={"metric": "crossnobis"})


@pytest.fixture
def rdms(rng):
    return make(rng.random((4, 15)))


@pytest.mark.parametrize(
    ("how", "theirs"),
    [
        ("rank", "rank_transform"),
        ("sqrt", "sqrt_transform"),
        ("positive", "positive_transform"),
        ("minmax", "minmax_transform"),
    ],
)
def test_transforms_equal_rsatoolbox(rng, how, theirs):
    import rsatoolbox.rdm

    values = np.round(rng.standard_normal((3, 15)), 1)
    expected = getattr(rsatoolbox.rdm, theirs)(rsatoolbox.rdm.RDMs(values.copy())).dissimilarities
    np.testing.assert_allclose(transform(make(values), how, negative="zero"), expected, atol=1e-14)


def test_zscore_is_that_of_each_rdm(rdms):
    np.testing.assert_allclose(transform(rdms, "zscore"), stats.standardize(rdms.values, axis=1), atol=1e-12)


@pytest.mark.parametrize("how", HOW)
@given(seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_an_rdm_never_depends_on_its_neighbours_nor_on_the_order_of_stimuli(how, seed):
    rng = np.random.default_rng(seed)
    rdms = make(rng.random((4, 15)))
    together = transform(rdms, how)
    np.testing.assert_array_equal(together[2:3], transform(rdms[2:3], how))
    order = make_rdm(np.zeros(15), rng.permutation(NAMES))
    np.testing.assert_allclose(transform(align(order, rdms)[1], how), align(order, together)[1], atol=1e-14)


@pytest.mark.parametrize("how", HOW)
def test_nan_stays_nan_and_counts_nowhere(rdms, how):
    missing = rdms.copy(deep=True)
    missing[1, [0, 7]] = np.nan
    found = transform(missing, how)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(missing))
    np.testing.assert_array_equal(found[[0, 2, 3]], transform(rdms, how)[[0, 2, 3]])
    expected = TRANSFORMS[how](np.delete(rdms.values[1:2], [0, 7], axis=1))
    np.testing.assert_allclose(np.delete(found.values[1:2], [0, 7], axis=1), expected, atol=1e-14)


@pytest.mark.parametrize("how", HOW)
def test_transforms_edit_nothing_and_say_what_they_did(rdms, how):
    before = rdms.copy(deep=True)
    found = transform(transform(rdms, "positive"), how)
    xr.testing.assert_identical(rdms, before)
    assert found.attrs["transform"] == f"positive, {how}"
    assert found.attrs["metric"] == "crossnobis"
    assert found.subject.values.tolist() == rdms.subject.values.tolist()


@pytest.mark.parametrize("how", ["minmax", "zscore"])
def test_a_constant_rdm_has_no_scale_and_is_counted(rdms, how):
    constant = rdms.copy(deep=True)
    constant[1] = 0.3
    found = transform(constant, how)
    assert np.isnan(found[1]).all()
    assert found.attrs["n_undefined"] == 1


def test_the_root_of_a_negative_distance_is_refused_cut_or_signed():
    rdms = make([np.array([-4.0, 9, 1, 0] + [1] * 11)])
    with pytest.raises(InvalidValueError, match=r"1 dissimilarities are negative, the least is -4.*'signed'"):
        transform(rdms, "sqrt")
    assert transform(rdms, "sqrt", negative="zero").values[0, :4].tolist() == [0, 3, 1, 0]
    assert transform(rdms, "sqrt", negative="signed").values[0, :4].tolist() == [-2, 3, 1, 0]


def test_what_is_no_transform_is_refused(rdms):
    with pytest.raises(InvalidValueError, match=r"how must be one of 'rank', 'sqrt'.*; got 'log'"):
        transform(rdms, "log")
    with pytest.raises(InvalidValueError, match="negative must be one of"):
        transform(rdms, "sqrt", negative="abs")
    with pytest.raises(InvalidValueError, match="60 dissimilarities are infinite"):
        transform(rdms * np.inf, "rank")
    with pytest.raises(ShapeError, match="must have dims"):
        transform(rdms.transpose("pair", "subject"), "rank")


def test_subset_takes_pairs_by_label_in_the_order_asked_for(rdms):
    found = subset(rdms, ["s4", "s1", "s2"])
    assert list(zip(found.stimulus_a.values, found.stimulus_b.values, strict=True)) == [
        ("s4", "s1"),
        ("s4", "s2"),
        ("s1", "s2"),
    ]

    def at(a, b):
        hit = (rdms.stimulus_a.values == a) & (rdms.stimulus_b.values == b)
        return rdms.values[:, hit][:, 0]

    np.testing.assert_array_equal(found, np.stack([at("s1", "s4"), at("s2", "s4"), at("s1", "s2")], axis=1))
    xr.testing.assert_identical(subset(subset(rdms, NAMES[::-1]), NAMES), rdms)


def test_subset_refuses_stimuli_that_are_not_there(rdms):
    with pytest.raises(LabelError, match="1 of 3 stimuli are not there: 'z'"):
        subset(rdms, ["s1", "z", "s2"])
    with pytest.raises(LabelError, match="repeated: 's1'"):
        subset(rdms, ["s1", "s1", "s2"])
    with pytest.raises(ShapeError, match="at least 2 stimuli"):
        subset(rdms, ["s1"])


def test_the_mean_is_over_the_rdms_that_have_the_pair(rdms):
    missing = rdms.copy(deep=True)
    missing[0, 3], missing[:, 5] = np.nan, np.nan
    found = mean_rdm(missing)
    np.testing.assert_allclose(found[3], rdms.values[1:, 3].mean())
    np.testing.assert_allclose(found[6:], rdms.values[:, 6:].mean(axis=0))
    assert np.isnan(found[5])
    assert found.n_rdms.values[:7].tolist() == [4, 4, 4, 3, 4, 0, 4]


def test_weights_are_aligned_by_label(rdms):
    weights = xr.DataArray([1.0, 0, 2, 3], dims="subject", coords={"subject": rdms.subject.values})
    expected = np.average(rdms.values, axis=0, weights=weights)
    np.testing.assert_allclose(mean_rdm(rdms, weights=weights), expected, atol=1e-14)
    np.testing.assert_allclose(mean_rdm(rdms, weights=weights[::-1]), expected, atol=1e-14)
    assert (mean_rdm(rdms, weights=weights).n_rdms == 3).all()
    with pytest.raises(InvalidValueError, match="non-negative and not all 0; the least is -1"):
        mean_rdm(rdms, weights=-weights / 3)
    with pytest.raises(ShapeError, match="weights must be a DataArray"):
        mean_rdm(rdms, weights=[1.0, 2, 3, 4])


def test_the_mean_keeps_the_other_dims_and_their_labels(rng):
    values = rng.random((2, 3, 15))
    rdms = make_rdm(
        values, NAMES, dims=["subject", "layer"], coords={"subject": ["a", "b"], "layer": [1, 2, 3]}
    )
    found = mean_rdm(rdms)
    assert found.dims == ("layer", "pair")
    assert found.layer.values.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found, values.mean(axis=0))
    np.testing.assert_allclose(mean_rdm(rdms, "layer"), values.mean(axis=1))


@pytest.mark.parametrize(
    ("scale", "method"), [("rms", "cosine"), ("zscore", "pearson"), ("rank", "spearman")]
)
def test_no_rdm_is_closer_to_all_on_average_than_the_scaled_mean(rdms, rng, scale, method):
    pooled = mean_rdm(rdms, scale=scale)
    best = float(rsa.compare(pooled, rdms, method).mean())
    assert best == pytest.approx(float(rsa.noise_ceiling(rdms, method).sel(bound="upper")), abs=1e-12)
    for _ in range(20):
        other = pooled + 0.1 * rng.standard_normal(15) * float(pooled.std())
        assert float(rsa.compare(other, rdms, method).mean()) <= best + 1e-12


def test_scales_are_those_of_each_rdm(rdms):
    found = mean_rdm(rdms, scale="rank")
    np.testing.assert_allclose(found, scipy.stats.rankdata(rdms.values, axis=1).mean(axis=0))
    constant = rdms.copy(deep=True)
    constant[1] = 2.0
    found = mean_rdm(constant, scale="zscore")
    assert found.attrs["n_undefined"] == 1
    np.testing.assert_allclose(found, stats.standardize(rdms.values[[0, 2, 3]], axis=1).mean(axis=0))
    with pytest.raises(InvalidValueError, match="scale must be one of"):
        mean_rdm(rdms, scale="max")
    with pytest.raises(ShapeError, match="no dim 'session'"):
        mean_rdm(rdms, "session")


def test_weights_of_rdms_without_labels_are_by_position(rdms):
    weights = xr.DataArray([1.0, 0, 2, 3], dims="subject")
    expected = np.average(rdms.values, axis=0, weights=weights)
    np.testing.assert_allclose(mean_rdm(rdms.drop_vars("subject"), weights=weights), expected, atol=1e-14)
