"""The generalized discrimination value: its limits by hand, a slow definition, laws, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.geometry import discrimination_value


def labelled(values, classes):
    values = np.asarray(values, dtype=float)
    return xr.DataArray(
        values,
        dims=("stimulus", "unit"),
        coords={"stimulus": np.arange(len(values)), "kind": ("stimulus", np.asarray(classes))},
    )


def slow(x, classes):
    """Schilling et al. 2021, word by word."""
    x = 0.5 * (x - x.mean(0)) / x.std(0)
    names = np.unique(classes)

    def distance(a, b):
        return np.sqrt(sum((a[d] - b[d]) ** 2 for d in range(x.shape[1])))

    intra = 0.0
    for name in names:
        rows = np.flatnonzero(classes == name)
        n = len(rows)
        pairs = [distance(x[rows[i]], x[rows[j]]) for i in range(n) for j in range(i + 1, n)]
        intra += 2 / (n * (n - 1)) * sum(pairs)
    inter = 0.0
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = np.flatnonzero(classes == one), np.flatnonzero(classes == other)
            inter += sum(distance(x[p], x[q]) for p in a for q in b) / (len(a) * len(b))
    k = len(names)
    return (intra / k - 2 * inter / (k * (k - 1))) / np.sqrt(x.shape[1])


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_one_hot_classes_reach_their_limit(k):
    classes = np.repeat(np.arange(k), 3)
    found = discrimination_value(labelled(np.eye(k)[classes], classes), "kind")
    assert float(found.gdv) == pytest.approx(-np.sqrt(k / (2 * (k - 1))), abs=1e-12)
    assert float(found.intra) == 0


@pytest.mark.parametrize("n_units", [1, 7, 300])
def test_two_classes_that_are_points_reach_minus_one_in_any_number_of_units(rng, n_units):
    ends = rng.standard_normal((2, n_units))
    found = discrimination_value(labelled(ends[[0, 0, 0, 1, 1, 1]], list("aaabbb")), "kind")
    assert float(found.gdv) == pytest.approx(-1, abs=1e-12)


def test_it_is_the_published_definition_also_for_classes_of_other_sizes(rng):
    classes = np.array(list("aabbbcccc"))
    x = rng.standard_normal((9, 4))
    found = discrimination_value(labelled(x, classes), "kind")
    assert float(found.gdv) == pytest.approx(slow(x, classes), abs=1e-12)


def test_dead_units_are_dropped_and_not_counted(rng):
    classes = np.repeat(list("ab"), 6)
    x = rng.standard_normal((12, 5)) + 3 * (classes == "a")[:, None]
    dead = np.hstack([x, np.full((12, 20), 0.1)])
    plain, with_dead = (discrimination_value(labelled(v, classes), "kind") for v in (x, dead))
    assert float(with_dead.gdv) == pytest.approx(float(plain.gdv), abs=1e-12)
    assert int(with_dead.n_dimensions) == 5 and with_dead.attrs["n_units"] == 25


def test_all_dead_is_undefined_and_counted():
    found = discrimination_value(labelled(np.ones((4, 3)), list("aabb")), "kind")
    assert np.isnan(float(found.gdv)) and found.attrs["n_undefined"] == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-50, 50))
def test_scaling_shifting_and_reordering_units_changes_nothing(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x, classes = rng.standard_normal((10, 4)), np.repeat(list("ab"), 5)
    order = rng.permutation(10)
    moved = (scale * rng.uniform(0.5, 2, 4) * x + shift)[order][:, rng.permutation(4)]
    one = discrimination_value(labelled(x, classes), "kind").gdv
    other = discrimination_value(labelled(moved, classes[order]), "kind").gdv
    assert float(one) == pytest.approx(float(other), abs=1e-9)


def test_permutations_find_a_planted_class_and_are_uniform_in_noise(rng):
    classes = np.repeat(list("ab"), 10)
    x = rng.standard_normal((101, 20, 15))
    x[0, :10] += 1.5
    both = xr.DataArray(
        x,
        dims=("layer", "stimulus", "unit"),
        coords={"layer": range(101), "stimulus": range(20), "kind": ("stimulus", classes)},
    )
    found = discrimination_value(both, "kind", n_permutations=99, rng=rng)
    assert float(found.p.sel(layer=0)) <= 0.02  # the classes may be drawn as they are, or exchanged
    # 100 true nulls: more than 12 below .05 happen less than once in 500 times.
    assert (found.p.sel(layer=slice(1, None)) <= 0.05).sum() <= 12
    assert found.null.dims == ("permutation", "layer")
    assert abs(float(found.null.mean())) < 0.005


def test_classes_are_matched_by_label():
    x = labelled([[0.0], [0.0], [1.0], [1.0]], list("aabb"))
    classes = xr.DataArray(list("bbaa"), dims="stimulus", coords={"stimulus": [3, 2, 1, 0]})
    assert float(discrimination_value(x, classes).gdv) == pytest.approx(-1)


def test_bad_input_is_refused_with_what_came(rng):
    x = labelled(rng.standard_normal((5, 2)), list("aabbc"))
    with pytest.raises(InvalidValueError, match=r"1 of 3 classes have fewer than 2 stimuli: 'c'"):
        discrimination_value(x, "kind")
    with pytest.raises(
        LabelError, match="no coordinate 'sort' along 'stimulus'; there are 'stimulus', 'kind'"
    ):
        discrimination_value(x, "sort")
    with pytest.raises(InvalidValueError, match="at least 2 classes"):
        discrimination_value(labelled(rng.standard_normal((4, 2)), list("aaaa")), "kind")
    with pytest.raises(InvalidValueError, match="must be finite; 1 of 10"):
        discrimination_value(x.where(x != x[0, 0]), "kind")
    with pytest.raises(ShapeError, match="must have dims 'stimulus' and 'unit'"):
        discrimination_value(x.rename(unit="channel"), "kind")
