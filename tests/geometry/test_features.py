"""Variance explained by features: by hand, against regression, adjusted to 0, permutations, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.linear_model import LinearRegression

from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.geometry import variance_explained

NAMES = ("size", "hue", "load")


def labelled(values, **features):
    values = np.asarray(values, dtype=float)
    dims = ("layer", "stimulus", "unit")[3 - values.ndim :]
    coords = {name: ("stimulus", np.asarray(value)) for name, value in features.items()}
    return xr.DataArray(values, dims=dims, coords={"stimulus": range(values.shape[-2]), **coords})


@pytest.fixture
def mixed(rng):
    """Correlated features of both kinds, and patterns that depend on them."""
    n = 60
    size = rng.integers(0, 3, n)
    hue = np.where(rng.random(n) < 0.7, size > 0, rng.random(n) < 0.5)
    load = rng.standard_normal(n) + size
    signal = np.outer(size == 1, rng.standard_normal(5)) + np.outer(load, rng.standard_normal(5))
    names = np.array(["s", "m", "l"])[size]
    return labelled(signal + rng.standard_normal((n, 5)), size=names, hue=hue, load=load)


def regression(x, *columns):
    """Total R2 by scikit-learn."""
    design = np.hstack(columns)
    predicted = LinearRegression().fit(design, x).predict(design)
    return 1 - ((x - predicted) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()


def designs(x):
    size = np.stack([x["size"].values == name for name in "sml"], axis=1).astype(float)
    return [size, x["hue"].values[:, None].astype(float), x["load"].values[:, None]]


def test_the_shares_are_those_of_regressions(mixed):
    found = variance_explained(mixed, NAMES)
    a, b, c = designs(mixed)
    x = mixed.values
    full = regression(x, a, b, c)
    np.testing.assert_allclose(found.alone, [regression(x, part) for part in (a, b, c)], atol=1e-12)
    unique = [full - regression(x, *rest) for rest in ((b, c), (a, c), (a, b))]
    np.testing.assert_allclose(found.unique, unique, atol=1e-12)
    first, second = regression(x, a), regression(x, a, b)
    np.testing.assert_allclose(found.sequential, [first, second - first, full - second], atol=1e-12)
    assert float(found.joint) == pytest.approx(full)
    assert found.n_columns.values.tolist() == [2, 1, 1]


def test_independent_balanced_features_agree_in_all_ways():
    size, hue = np.repeat(list("bs"), 20), np.tile(list("rg"), 20)
    x = labelled(np.outer(size == "b", [3.0, 0]) + np.outer(hue == "r", [0, 1.0]), size=size, hue=hue)
    found = variance_explained(x, ["size", "hue"])
    for name in ("alone", "unique", "sequential"):
        np.testing.assert_allclose(found[name], [0.9, 0.1], atol=1e-12)
    # z-scored units: each feature has a unit to itself, so that the shares are equal.
    np.testing.assert_allclose(variance_explained(x, ["size", "hue"], standardize=True).alone, 0.5)


def test_noise_has_an_adjusted_share_of_zero_on_average():
    rng = np.random.default_rng(0)
    x = labelled(rng.standard_normal((200, 20, 8)), kind=np.repeat(list("abcd"), 5))
    found = variance_explained(x, ["kind"])
    assert float(found.alone.mean()) == pytest.approx(3 / 19, abs=0.01)
    assert abs(float(found.adjusted.mean())) < 0.01


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-4, 1e4))
def test_rotating_scaling_shifting_and_reordering_stimuli_changes_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    values, kind, load = rng.standard_normal((14, 4)), np.tile(list("ab"), 7), rng.standard_normal(14)
    x = labelled(values, kind=kind, load=load)
    moved = labelled(scale * values @ ortho_group.rvs(4, random_state=seed % 2**32) - 3, kind=kind, load=load)
    one = variance_explained(x, ["kind", "load"])
    other = variance_explained(moved.isel(stimulus=rng.permutation(14)), ["kind", "load"])
    for name in ("alone", "unique", "sequential"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-8)


def test_more_units_than_stimuli_give_the_same_as_their_rotation(rng):
    x = labelled(rng.standard_normal((10, 40)), kind=np.tile(list("ab"), 5))
    assert float(variance_explained(x, ["kind"]).alone[0]) == pytest.approx(
        regression(x.values, (x["kind"].values == "a")[:, None].astype(float))
    )


def test_permutations_separate_a_feature_from_one_that_only_goes_along_with_it():
    rng = np.random.default_rng(4)
    cause = rng.standard_normal(80)
    along = cause + 0.5 * rng.standard_normal(80)
    x = labelled(np.outer(cause, np.ones(6)) + rng.standard_normal((80, 6)), cause=cause, along=along)
    found = variance_explained(x, ["cause", "along"], n_permutations=199, rng=rng)
    assert found.p_alone.values.tolist() == [1 / 200, 1 / 200]
    assert float(found.p_unique[0]) == 1 / 200 and float(found.p_unique[1]) > 0.05


def test_p_of_a_feature_of_no_effect_is_uniform():
    rng = np.random.default_rng(5)
    cause, other = rng.standard_normal((2, 25))
    noise = rng.standard_normal((150, 25, 3)) + np.outer(cause, np.ones(3))
    found = variance_explained(labelled(noise, cause=cause, other=other), ["cause", "other"],
                               n_permutations=99, rng=rng)  # fmt: skip
    p = found.p_unique.sel(feature="other")
    # 150 layers of independent noise: 7.5 are below .05 on average, more than 15 less than once in 200 times.
    assert 1 <= int((p <= 0.05).sum()) <= 15
    assert (found.p_unique.sel(feature="cause") == 0.01).all()


def test_features_that_fit_anything_are_undefined_and_counted(rng):
    kinds = [f"k{i}" for i in range(6)]
    x = labelled(rng.standard_normal((6, 3)), kind=kinds, load=rng.standard_normal(6))
    found = variance_explained(x, ["kind", "load"])
    assert np.isnan(found.alone[0]) and np.isnan(found.unique).all() and np.isnan(found.joint)
    assert np.isfinite(found.alone[1]) and found.attrs["n_undefined"] == 3


def test_dead_units_are_counted_and_all_dead_is_undefined(rng):
    x = rng.standard_normal((8, 3))
    kind = np.tile(list("ab"), 4)
    with_dead = labelled(np.hstack([x, np.full((8, 2), 0.3)]), kind=kind)
    for standardize in (False, True):
        one = variance_explained(labelled(x, kind=kind), ["kind"], standardize=standardize)
        other = variance_explained(with_dead, ["kind"], standardize=standardize)
        np.testing.assert_allclose(one.alone, other.alone)
        assert other.attrs["n_dead"] == 2
        dead = variance_explained(labelled(np.ones((8, 2)), kind=kind), ["kind"], standardize=standardize)
        assert np.isnan(dead.alone).all()


def test_bad_features_are_refused(mixed):
    with pytest.raises(LabelError, match="no coordinate 'shape' along 'stimulus'"):
        variance_explained(mixed, ["shape"])
    with pytest.raises(InvalidValueError, match="feature 'same' is the same for all stimuli"):
        variance_explained(mixed, {"same": mixed["load"] * 0})
    with pytest.raises(InvalidValueError, match="load: 1 of 60 labels are missing"):
        variance_explained(mixed, {"load": mixed["load"].where(mixed["stimulus"] > 0)})
    with pytest.raises(LabelError, match=r"labels of .stimulus. are not in load|share no label"):
        variance_explained(mixed, {"load": mixed["load"].assign_coords(stimulus=range(100, 160))})
