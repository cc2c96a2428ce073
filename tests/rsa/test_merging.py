"""Partial RDMs: rsatoolbox, planted truth, what has no common scale."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.rsa.merging import WEIGHTS, merge_rdms, rescale_rdms, union_rdms
from neuroalign.rsa.transforms import subset
from neuroalign.schema import align, make_rdm, rdm_stimuli

NAMES = [f"s{i}" for i in range(9)]
SETS = [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6, 7], [0, 4, 5, 7, 8], [1, 3, 6]]


@pytest.fixture
def truth(rng):
    return make_rdm(0.1 + rng.random(36), NAMES)


@pytest.fixture
def partials(truth, rng):
    found = []
    for i, which in enumerate(SETS):
        part = subset(truth, [NAMES[k] for k in which])
        noisy = part * (1 + 0.2 * rng.random(part.size)) * (i + 1)
        found.append(noisy.assign_coords(subject=f"p{i}"))
    return found


@pytest.mark.parametrize("method", list(WEIGHTS))
def test_rescaling_and_merging_equal_rsatoolbox(partials, method):
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm.combine import from_partials, rescale

    parts = [RDMs(p.values[None], pattern_descriptors={"conds": rdm_stimuli(p).tolist()}) for p in partials]
    with np.errstate(invalid="ignore"):  # they divide 0 by 0 where nobody saw a pair
        theirs = rescale(from_partials(parts, all_patterns=NAMES), method=method)
        mean = theirs.mean(weights="rescalingWeights").dissimilarities[0]
    together = union_rdms(partials)
    found = rescale_rdms(together, method)
    order = make_rdm(np.zeros(36), NAMES)
    _, ours, weights = align(order, found["rdm"], found["weight"])
    np.testing.assert_allclose(ours, theirs.dissimilarities, atol=1e-10)
    their_weights = theirs.rdm_descriptors["rescalingWeights"]
    np.testing.assert_allclose(weights, np.nan_to_num(their_weights), atol=1e-10)
    merged = align(order, merge_rdms(partials, method=method))[1]
    np.testing.assert_allclose(merged, mean, atol=1e-10)


@pytest.mark.parametrize("method", list(WEIGHTS))
def test_scales_of_partial_rdms_of_one_truth_are_found(truth, method):
    parts = [
        subset(truth, [NAMES[k] for k in which]) * scale
        for which, scale in zip(SETS, (1, 5, 0.2, 9), strict=True)
    ]
    merged = merge_rdms(parts, method=method, tolerance=1e-24)
    ratio = align(merged, truth)[1] / merged
    assert float(ratio.std() / ratio.mean()) < 1e-9
    assert merged.attrs["n_missing"] == int(np.isnan(merged).sum()) == 7


def test_a_pair_is_counted_and_nan_where_nobody_saw_it(partials):
    merged = merge_rdms(partials)
    counts = {}
    for which in SETS:
        for i, a in enumerate(which):
            for b in which[i + 1 :]:
                counts[NAMES[a], NAMES[b]] = counts.get((NAMES[a], NAMES[b]), 0) + 1
    for a, b, n, value in zip(merged.stimulus_a, merged.stimulus_b, merged.n_rdms, merged, strict=True):
        pair = tuple(sorted((str(a.values), str(b.values))))
        assert int(n) == counts.get(pair, 0)
        assert np.isnan(value) == (int(n) == 0)


def test_the_union_has_every_value_in_its_place(partials):
    together = union_rdms(partials)
    assert rdm_stimuli(together).tolist() == [NAMES[k] for k in (0, 1, 2, 3, 4, 5, 6, 7, 8)]
    assert together.source.values.tolist() == [0, 1, 2, 3]
    assert together.subject.values.tolist() == ["p0", "p1", "p2", "p3"]
    for i, part in enumerate(partials):
        np.testing.assert_array_equal(subset(together[i], rdm_stimuli(part)), part)
        assert int(together[i].notnull().sum()) == part.size


def test_stacks_of_partial_rdms_are_taken_apart(partials):
    stack = xr.concat([partials[0].drop_vars("subject")] * 2, "session").assign_coords(session=[1, 2])
    together = union_rdms([stack, partials[1]])
    assert together.sizes["rdm"] == 3
    assert together.source.values.tolist() == [0, 0, 1]


@pytest.mark.parametrize("method", [*WEIGHTS, "none"])
def test_the_order_of_stimuli_and_of_rdms_does_not_matter(partials, rng, method):
    merged = merge_rdms(partials, method=method)
    shuffled = [subset(p, rng.permutation(rdm_stimuli(p))) for p in partials][::-1]
    other = align(merged, merge_rdms(shuffled, method=method))[1]
    np.testing.assert_allclose(other, merged, atol=1e-12)
    np.testing.assert_array_equal(other.n_rdms, merged.n_rdms)


def test_merging_edits_nothing(partials):
    before = [p.copy(deep=True) for p in partials]
    merge_rdms(partials)
    for part, kept in zip(partials, before, strict=True):
        xr.testing.assert_identical(part, kept)


def test_without_a_method_rdms_keep_their_scale(partials):
    merged = merge_rdms(partials, method="none")
    np.testing.assert_allclose(merged, union_rdms(partials).mean("rdm"))


def test_evidence_weights_follow_the_squared_distance_down_to_a_fifth(partials):
    small = union_rdms(partials) / 20
    found = rescale_rdms(small, "evidence")["weight"].values
    expected = np.nan_to_num(np.maximum(small.values**2, 0.04))
    np.testing.assert_allclose(found, expected)
    assert np.isclose(found, 0.04).any()
    assert (found > 0.05).any()


def test_rdms_without_a_pair_in_common_have_no_common_scale(truth):
    apart = [subset(truth, NAMES[:4]), subset(truth, NAMES[3:7])]  # one stimulus in common, but no pair
    with pytest.raises(InvalidValueError, match=r"2 parts without a pair in common.*position 1 shares none"):
        merge_rdms(apart)
    assert merge_rdms(apart, method="none").attrs["n_missing"] == 9


def test_what_cannot_be_merged_is_refused(partials, monkeypatch):
    with pytest.raises(ShapeError, match="there is none to merge"):
        merge_rdms([])
    with pytest.raises(LabelError, match="different types, integer, string"):
        merge_rdms([partials[0], make_rdm(np.ones(3), [1, 2, 3])])
    with pytest.raises(InvalidValueError, match=r"1 of 4 are all 0 or NaN.*position 1"):
        merge_rdms([partials[0], partials[1] * 0, *partials[2:]])
    with pytest.raises(InvalidValueError, match="method must be one of 'evidence', 'setsize', 'simple'"):
        rescale_rdms(union_rdms(partials), "max")
    with pytest.raises(InvalidValueError, match=r"rdms\[1\]: 15 dissimilarities are infinite"):
        merge_rdms([partials[0], partials[1] * np.inf])
    with pytest.raises(InvalidValueError, match="tolerance must be positive"):
        merge_rdms(partials, tolerance=0.0)
    with pytest.raises(ShapeError, match="two dims, the last of them 'pair'"):
        rescale_rdms(partials[0])
    monkeypatch.setattr("neuroalign.rsa.merging.MAX_ITERATIONS", 1)
    with pytest.raises(InvalidValueError, match="did not come to rest within 1 iterations"):
        merge_rdms(partials, tolerance=1e-30)


def test_a_stack_without_an_rdm_has_nothing_to_rescale(partials):
    with pytest.raises(ShapeError, match=r"rdms hold no RDM; got sizes \{'rdm': 0, 'pair': 36\}"):
        rescale_rdms(union_rdms(partials)[:0])


def test_the_number_of_iterations_is_the_limit_that_is_kept(partials, monkeypatch):
    together = union_rdms(partials)
    n = rescale_rdms(together).attrs["n_iterations"]
    assert n > 2
    monkeypatch.setattr("neuroalign.rsa.merging.MAX_ITERATIONS", n)
    assert rescale_rdms(together).attrs["n_iterations"] == n
    monkeypatch.setattr("neuroalign.rsa.merging.MAX_ITERATIONS", n - 1)
    with pytest.raises(InvalidValueError, match=f"did not come to rest within {n - 1} iterations"):
        rescale_rdms(together)


def test_one_step_of_rescaling_by_hand():
    # (3, 4, -) has length 5 and (-, 6, 8) length 10. Their mean (3, 5, 8) over sqrt 98 is the first estimate;
    # over their pairs it is as long as sqrt(34 / 98) and sqrt(89 / 98), to which both are scaled.
    rdms = make_rdm(np.array([[3.0, 4, np.nan], [np.nan, 6, 8]]), ["s1", "s2", "s3"], dims=["rdm"])
    found = rescale_rdms(rdms, "simple", tolerance=1e3)
    assert found.attrs["n_iterations"] == 1
    one, two = np.sqrt(34 / 98), np.sqrt(89 / 98)
    expected = [[0.6 * one, 0.8 * one, np.nan], [np.nan, 0.6 * two, 0.8 * two]]
    np.testing.assert_allclose(found["rdm"], expected, rtol=1e-14)


@pytest.mark.parametrize("method", ["setsize", "simple"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_a_common_unit_leaves_merged_rdms_and_iterations(partials, method, scale):
    together = union_rdms(partials)
    one, other = (rescale_rdms(x, method) for x in (together, together * scale))
    np.testing.assert_allclose(one["rdm"], other["rdm"], rtol=1e-12)
    assert one.attrs["n_iterations"] == other.attrs["n_iterations"]


def test_weights_by_hand():
    rdms = make_rdm(np.array([[0.1, 0.4, np.nan], [0.2, 1.0, 3.0]]), ["s1", "s2", "s3"], dims=["rdm"])
    expected = {
        "evidence": [[0.04, 0.16, 0.0], [0.04, 1.0, 9.0]],
        "setsize": [[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]],
        "simple": [[1, 1, 0], [1, 1, 1]],
    }
    for method, values in expected.items():
        np.testing.assert_allclose(rescale_rdms(rdms, method)["weight"], values, rtol=1e-14)


def test_merging_says_who_is_apart(truth):
    parts = [subset(truth, [NAMES[k] for k in which]) for which in ([0, 1, 2], [1, 2, 3], [4, 5, 6], [6, 7])]
    with pytest.raises(InvalidValueError, match=r"fall into 3 parts .*position 2 shares none"):
        merge_rdms(parts)
