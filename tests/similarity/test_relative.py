"""Relative representations: invariances, parallel anchors by label, and decoders that change networks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.similarity import relative_representation, stitching_test

NAMES = [f"s{i:03}" for i in range(120)]


def labelled(x, names=NAMES):
    return xr.DataArray(x, dims=("stimulus", "unit")[: x.ndim], coords={"stimulus": names[: len(x)]})


def rotation(d, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def task(seed=0, d=8):
    """Three classes in two networks that differ by a rotation, a scale and a little noise."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(["cat", "dog", "owl"], 40)[rng.permutation(120)]
    centres = {name: 2 * rng.standard_normal(d) for name in ("cat", "dog", "owl")}
    x = np.array([centres[name] for name in classes]) + rng.standard_normal((120, d))
    y = 5 * x @ rotation(d, 9) + 0.1 * rng.standard_normal((120, d))
    return labelled(x), labelled(y), labelled(classes)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_rotation_and_scale_change_nothing(seed, scale):
    x = np.random.default_rng(seed).standard_normal((20, 6))
    found = relative_representation(labelled(x), NAMES[:5]).values
    turned = relative_representation(labelled(scale * x @ rotation(6, seed)), NAMES[:5]).values
    np.testing.assert_allclose(turned, found, atol=1e-12)


def test_cosines_are_those_written_out():
    x = np.random.default_rng(0).standard_normal((10, 4))
    found = relative_representation(labelled(x), [NAMES[7], NAMES[2]])
    for i in range(10):
        for k, a in enumerate((7, 2)):
            cosine = x[i] @ x[a] / np.linalg.norm(x[i]) / np.linalg.norm(x[a])
            assert float(found[i, k]) == pytest.approx(cosine, abs=1e-12)
    assert found["anchor"].values.tolist() == [NAMES[7], NAMES[2]]


def test_anchors_may_be_other_stimuli():
    x = np.random.default_rng(0).standard_normal((10, 4))
    anchors = labelled(x[:3])
    found = relative_representation(labelled(x), anchors)
    np.testing.assert_array_equal(found.values, relative_representation(labelled(x), NAMES[:3]).values)


def test_standardized_units_ignore_their_offsets_and_scales():
    x = np.random.default_rng(0).standard_normal((20, 4))
    x[:, 3] = 7.0
    other = x * [1.0, 10.0, 0.1, 1.0] + [100.0, -3.0, 0.0, 5.0]
    found, same = (
        relative_representation(labelled(z), NAMES[:6], standardize=True).values for z in (x, other)
    )
    np.testing.assert_allclose(found, same, atol=1e-10)
    assert not np.allclose(relative_representation(labelled(x), NAMES[:6]).values, found)
    assert relative_representation(labelled(x), NAMES[:6], standardize=True).attrs["n_constant"] == 1


def test_a_stimulus_without_direction_is_nan_and_counted():
    x = np.random.default_rng(0).standard_normal((6, 4))
    x[5] = 0.0
    found = relative_representation(labelled(x), NAMES[:3])
    assert np.isnan(found.values[5]).all() and found.attrs["n_undefined"] == 1


def test_a_decoder_passes_through_relative_representations_only():
    a, b, target = task()
    found = stitching_test(a, b, target, anchors=NAMES[:20], train=NAMES[:70], n=19)
    assert float(found["relative"]) > 0.9 and float(found["within"]) > 0.9
    assert float(found["relative"]) > max(float(found["absolute"]), float(found["rotated"])) + 0.2
    assert float(found["shuffled"]) < 0.7 and float(found["p"]) == 1 / 20
    assert found.attrs["n_test"] == 50 and found.attrs["n_classes"] == 3


def test_real_numbers_are_scored_by_correlation():
    a, b, _ = task()
    target = labelled(a.values[:, 0] - a.values[:, 1])
    found = stitching_test(a, b, target, anchors=NAMES[:20], train=NAMES[:70], n=9)
    assert found.attrs["score"] == "pearson"
    assert float(found["relative"]) > 0.9 > float(found["rotated"]) + 0.4


def test_networks_of_other_widths_have_no_absolute_score():
    a, b, target = task()
    wide = labelled(np.hstack([b.values, b.values]))
    found = stitching_test(a, wide, target, anchors=NAMES[:20], train=NAMES[:70], n=9)
    assert np.isnan(found["absolute"]) and float(found["relative"]) > 0.9


def test_labels_decide_and_order_does_not():
    a, b, target = task()
    options = {"anchors": NAMES[:20], "train": NAMES[:70], "n": 5}
    mixed = b.isel(stimulus=np.random.default_rng(0).permutation(120))
    found, same = (stitching_test(a, z, target, **options) for z in (b, mixed))
    assert found.equals(same)


def test_another_solver_may_be_passed():
    a, b, target = task()

    def least_squares(features, targets, new):
        return new @ np.linalg.lstsq(features, targets, rcond=None)[0]

    options = {"anchors": NAMES[:20], "train": NAMES[:70], "n": 5}
    found = stitching_test(a, b, target, solver=least_squares, **options)
    assert float(found["relative"]) > 0.8


BAD = {
    "unknown anchor": ({"anchors": ["s000", "x"]}, LabelError, "1 of 2 stimuli are not in a: 'x'"),
    "repeated anchor": ({"anchors": ["s000", "s000"]}, LabelError, "more than once: 's000'"),
    "anchor named thrice": ({"anchors": ["s1", "s000", "s000", "s000"]}, LabelError, "not in a: 's1'"),
    "one anchor": ({"anchors": ["s000"]}, ShapeError, "at least 2 stimuli"),
    "nothing to test": ({"train": NAMES}, ShapeError, "0 stimuli are neither anchors nor trained on"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_anchors_and_splits_are_refused(name):
    change, error, text = BAD[name]
    a, b, target = task()
    with pytest.raises(error, match=text):
        stitching_test(a, b, target, **({"anchors": NAMES[:20], "train": NAMES[:70]} | change))


def test_labels_that_repeat_are_refused_where_they_are_anchors():
    x = task()[0].isel(stimulus=[0, 1, 1, 2, 3, 3])
    with pytest.raises(LabelError, match="x: 1 of the 2 stimuli asked for have repeated labels: 's001'"):
        relative_representation(x, ["s000", "s001"])
    assert relative_representation(x, ["s000", "s002"]).shape == (6, 2)
    with pytest.raises(LabelError, match="anchors: 2 labels of 'stimulus' are repeated: 's001', 's003'"):
        relative_representation(x, x)


def test_other_bad_input_is_refused():
    a, b, target = task()
    options = {"anchors": NAMES[:20], "train": NAMES[:70]}
    with pytest.raises(LabelError, match="1 of 120 labels"):
        stitching_test(a, b.isel(stimulus=slice(1, None)), target, **options)
    zero = a.copy(data=np.where(np.arange(120)[:, None] == 3, 0.0, a.values))
    with pytest.raises(InvalidValueError, match="0 in all units"):
        stitching_test(zero, b, target, **options)
    lonely = target.copy(data=np.where(np.arange(120) == 119, "elk", target.values))
    with pytest.raises(InvalidValueError, match="no training stimulus is of class 'elk'"):
        stitching_test(a, b, lonely, **options)
    with pytest.raises(ShapeError, match="anchors go by label"):
        relative_representation(a.values, NAMES[:3])
    with pytest.raises(ShapeError, match="anchors have 7 units and x has 8"):
        relative_representation(a, b[:, :7])
