import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats as scipy_stats

from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.localization import double_dissociation, lesion_effects_by, mask_alignment, outlier_units
from neuroalign.schema import make_mask


def scores_of(rng, losses, n=60, groups=("p", "q"), **attrs):
    """Margins around 1; each mask lowers those of each group by so much."""
    intact = rng.normal(1.0, 0.5, n)
    group = np.array([groups[i % len(groups)] for i in range(n)])
    rows = [intact]
    for loss in losses.values():
        lowered = np.array([loss[groups.index(g)] for g in group])
        rows.append(intact - lowered + rng.normal(0, 0.3, n))
    coords = {"mask": ["intact", *losses], "item": np.arange(n), "paradigm": ("item", group)}
    return xr.DataArray(np.stack(rows), dims=("mask", "item"), coords=coords, attrs=attrs)


def test_effects_by_paradigm_are_those_by_hand_and_corrected_over_all_rows(rng):
    scores = scores_of(rng, {"a": (2.0, 0.0), "b": (0.0, 0.0), "r0": (0.5, 0.5), "r1": (2.0, 0.0)})
    found = lesion_effects_by(
        scores, ["a", "b"], rng=rng, controls={"uniform": ["r0", "r1"]}, n_bootstrap=500
    )
    assert found[["mask", "paradigm"]].to_numpy().tolist() == [["a", "p"], ["a", "q"], ["b", "p"], ["b", "q"]]
    right = scores > 0
    p = scores["paradigm"].values == "p"
    change = right.sel(mask="a").values[p].astype(float) - right.sel(mask="intact").values[p]
    row = found.iloc[0]
    assert row["effect"] == pytest.approx(change.mean()) and row["n_items"] == 30
    assert row["score"] == pytest.approx(right.sel(mask="a").values[p].mean())
    assert row["low"] <= row["effect"] <= row["high"] < 0
    exact = scipy_stats.binomtest(int((change < 0).sum()), int((change != 0).sum())).pvalue
    assert row["p"] == pytest.approx(max(exact, 1 / 1000), abs=2e-3)
    for kind in ("", "_uniform"):
        expected = scipy_stats.false_discovery_control(found[f"p{kind}"])
        np.testing.assert_allclose(found[f"p_fdr{kind}"], expected)
    assert found.iloc[2]["p"] > 0.05


def test_effects_of_means_use_the_scores_themselves(rng):
    scores = scores_of(rng, {"a": (0.4, 0.0)}, outcome="mean")
    found = lesion_effects_by(scores, ["a"], rng=rng)
    inside = scores["paradigm"].values == "p"
    change = (scores.sel(mask="a") - scores.sel(mask="intact")).values[inside]
    assert found.loc[0, "effect"] == pytest.approx(change.mean())
    half = scipy_stats.sem(change) * 1.96
    assert found.loc[0, "low"] == pytest.approx(change.mean() - half, abs=0.03)
    assert found.loc[0, "high"] == pytest.approx(change.mean() + half, abs=0.03)


def test_a_group_of_one_item_has_no_interval(rng):
    scores = scores_of(rng, {"a": (1.0, 1.0)}, n=2)
    found = lesion_effects_by(scores, ["a"], rng=rng)
    assert found[["low", "high", "p", "p_fdr"]].isna().all(axis=None)


def test_missing_masks_and_coordinates_are_named(rng):
    scores = scores_of(rng, {"a": (1.0, 1.0)})
    with pytest.raises(LabelError, match="scores lack the masks 'b'"):
        lesion_effects_by(scores, ["b"], rng=rng)
    with pytest.raises(LabelError, match="scores lack the coordinate 'field'"):
        lesion_effects_by(scores, ["a"], "field", rng=rng)
    with pytest.raises(InvalidValueError, match="of two masks; got 'a', 'a'"):
        double_dissociation(scores, scores, ["a", "a"], rng=rng)


def test_a_planted_double_dissociation_is_found(rng):
    a = scores_of(rng, {"x": (2.0, 2.0), "y": (0.0, 0.0)})
    b = scores_of(rng, {"x": (0.0, 0.0), "y": (2.0, 2.0)}, n=40)
    found = double_dissociation(a, b, ["x", "y"], rng=rng, n_bootstrap=500, n_permutations=499)
    right = [s > 0 for s in (a, b)]
    by_hand = [float(r.sel(mask="x").mean() - r.sel(mask="y").mean()) for r in right]
    np.testing.assert_allclose(found["difference"], by_hand)
    assert float(found["interaction"]) == pytest.approx(by_hand[0] - by_hand[1])
    assert float(found["low"]) < float(found["interaction"]) < float(found["high"]) < 0
    assert float(found["p"]) == pytest.approx(2 / 500) and bool(found["is_double"])
    assert found["effect"].sel(mask="x", task="a") < -0.5 < float(found["effect"].sel(mask="x", task="b"))


def test_one_lesion_that_hurts_both_tasks_is_no_double_dissociation(rng):
    a = scores_of(rng, {"x": (2.0, 2.0), "y": (0.0, 0.0)})
    b = scores_of(rng, {"x": (0.9, 0.9), "y": (0.0, 0.0)})
    found = double_dissociation(a, b, ["x", "y"], rng=rng, n_bootstrap=500, n_permutations=499)
    assert float(found["p"]) < 0.05 and not bool(found["is_double"])


def test_tasks_of_other_outcomes_are_compared_in_spreads_of_the_intact_scores(rng):
    a = scores_of(rng, {"x": (1.0, 1.0), "y": (0.0, 0.0)})
    b = scores_of(rng, {"x": (0.0, 0.0), "y": (1.0, 1.0)}, outcome="mean")
    found = double_dissociation(a, b, ["x", "y"], rng=rng, n_bootstrap=200, n_permutations=99)
    by_hand = (b.sel(mask="x") - b.sel(mask="y")).mean() / b.sel(mask="intact").std(ddof=1)
    assert float(found["difference"].sel(task="b")) == pytest.approx(float(by_hand))
    assert found.attrs["standardised"]
    with pytest.raises(InvalidValueError, match="no spread to scale by"):
        double_dissociation(a, b * 0, ["x", "y"], rng=rng, outcome="mean")


def test_p_of_an_effect_is_uniform_where_the_lesion_does_nothing():
    p, q = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = scores_of(rng, {"x": (0.0, 0.0), "y": (0.0, 0.0)}, n=24, groups=("p",), outcome="mean")
        row = lesion_effects_by(scores, ["x"], rng=rng, n_bootstrap=2, n_permutations=99).iloc[0]
        p.append(row["p"])
        other = scores_of(rng, {"x": (0.0, 0.0), "y": (0.0, 0.0)}, n=24, outcome="mean")
        q.append(
            float(
                double_dissociation(scores, other, ["x", "y"], rng=rng, n_bootstrap=2, n_permutations=99)["p"]
            )
        )
    for found in (p, q):
        assert scipy_stats.kstest(found, "uniform").pvalue > 0.01
        assert np.mean(np.array(found) <= 0.05) <= 0.09


def mask_of(n_units=60, k=6):
    layer = np.repeat(["a", "b"], n_units // 2)
    index = np.tile(np.arange(n_units // 2), 2)
    return make_mask(np.arange(n_units) < k, layer=layer, site="block", index=index)


def test_alignment_of_a_mask_is_scored_against_masks_of_its_layer_profile(rng):
    mask = mask_of()
    seen = []

    def score(chosen):
        assert set(chosen.coords) == {"layer", "site", "index"} and not chosen.attrs
        seen.append(chosen.values.copy())
        return float(np.flatnonzero(chosen.values).mean())

    found = mask_alignment(score, mask, 39, rng, tail="less", progress=False)
    assert float(found["score"]) == 2.5 and float(found["p"]) == pytest.approx(1 / 40)
    null = found["null"].values
    assert float(found["z"]) == pytest.approx((2.5 - null.mean()) / null.std(ddof=1))
    assert all(row[:30].sum() == 6 and not row[:6].any() for row in seen[1:])


def test_alignment_counts_undefined_draws_as_extreme_and_leaves_z_undefined_without_spread(rng):
    values = iter([1.0, np.nan, 1.0, 1.0])
    found = mask_alignment(lambda _: next(values), mask_of(), 3, rng, progress=False)
    assert float(found["p"]) == 1.0 and np.isnan(found["z"]) and found.attrs["n_undefined"] == 1


def test_alignment_p_is_uniform_where_the_units_are_random():
    p = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        quality = rng.standard_normal(60)
        mask = mask_of()
        found = mask_alignment(lambda m, q=quality: float(q[m.values].mean()), mask, 19, rng, progress=False)
        p.append(float(found["p"]))
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


def test_outliers_can_be_kept_out_of_the_controls(rng):
    mask = mask_of()
    magnitude = mask.copy(data=np.where(np.arange(60) == 20, 100.0, 1.0))
    outliers = outlier_units(magnitude)
    found = mask_alignment(
        lambda m: float(m.values[20]), mask, 20, rng, exclude=outliers, kind="uniform", progress=False
    )
    assert not found["null"].values.any()


def exactly(rows, **coords):
    """Scores (mask, item) as given, one group of items unless ``coords`` say otherwise."""
    values = np.array(list(rows.values()), dtype=float)
    about = {"paradigm": ("item", ["p"] * values.shape[1]), **coords}
    coords = {"mask": list(rows), "item": np.arange(values.shape[1]), **about}
    return xr.DataArray(values, dims=("mask", "item"), coords=coords, attrs={"outcome": "mean"})


def test_two_items_are_enough_for_an_interval_and_a_p(rng):
    # Means of two draws from losses of 1 and 3 are -3, -2 and -1; signs turn the mean to -+1 and -+2.
    found = lesion_effects_by(exactly({"intact": [5, 9], "a": [4, 6]}), ["a"], rng=rng).iloc[0]
    assert (found["n_items"], found["intact"], found["score"], found["effect"]) == (2, 7.0, 5.0, -2.0)
    assert (found["low"], found["high"]) == (-3.0, -1.0)
    assert found["p"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("loss", "p"), [([1, 2, 4], 2 / 8), ([1, 2, 4, 0], 4 / 16), ([1, 2, -4], 1), ([0.5, 2, -4, 8], 10 / 16)]
)
def test_p_of_a_few_items_is_that_of_all_flips_of_their_signs(rng, loss, p):
    change = -np.array(loss, dtype=float)
    assert _flipped(change) == p
    scores = exactly({"intact": np.full(change.size, 9.0), "a": 9 + change})
    found = lesion_effects_by(scores, ["a"], rng=rng, n_bootstrap=2).iloc[0]
    assert found["p"] == pytest.approx(p, abs=0.04)


def _flipped(change):
    signs = np.array(np.meshgrid(*[[-1, 1]] * change.size)).reshape(change.size, -1)
    null = change @ signs / change.size
    return min(1.0, 2 * min(np.mean(null <= change.mean()), np.mean(null >= change.mean())))


def test_each_group_has_its_own_items_and_controls(rng):
    scores = exactly(
        {"intact": [1, 2, 3, 4, 5], "a": [0, 2, 2, 1, 1], "r0": [1, 2, 3, 0, 1], "r1": [0, 0, 0, 4, 5]},
        paradigm=("item", ["p", "q", "p", "q", "q"]),
    )
    found = lesion_effects_by(scores, ["a"], rng=rng, controls={"u": ["r0", "r1"]}, n_bootstrap=10)
    assert found["n_items"].tolist() == [2, 3]
    np.testing.assert_allclose(found["intact"], [2.0, 11 / 3])
    np.testing.assert_allclose(found["effect"], [-1.0, -7 / 3])
    np.testing.assert_allclose(found["score"], [1.0, 4 / 3])
    # Of p: the controls lose 0 and 2; of q: 8/3 and 2/3; one of each pair loses as much.
    np.testing.assert_allclose(found["p_u"], [2 / 3, 2 / 3])


def test_double_dissociation_of_unequal_tasks_by_hand(rng):
    a = exactly({"intact": [4, 6], "x": [1, 2], "y": [4, 5]})
    b = exactly({"intact": [2, 4, 9], "x": [2, 3, 7], "y": [0, 1, 2]})
    found = double_dissociation(a, b, ["x", "y"], rng=rng, n_bootstrap=200, n_permutations=3999)
    spread = np.sqrt(2.0), np.sqrt(13.0)  # of the intact scores, around 5 and around 5
    of_a, of_b = np.array([-3.0, -3.0]) / spread[0], np.array([2.0, 2.0, 5.0]) / spread[1]
    np.testing.assert_allclose(found["difference"], [of_a.mean(), of_b.mean()])
    assert float(found["interaction"]) == pytest.approx(of_a.mean() - of_b.mean())
    np.testing.assert_allclose(
        found["effect"], [[-3.5 / spread[0], -1 / spread[1]], [-0.5 / spread[0], -4 / spread[1]]]
    )
    assert found.attrs["n_items"] == [2, 3] and found.attrs["standardised"]
    # The 10 ways to take two of five items for task a, each scaled by the spread of the items it takes.
    pooled, intact = np.array([*of_a, *of_b]), np.array([-1, 1, -3, -1, 4]) / np.repeat(spread, [2, 3])
    null = []
    for c in itertools.combinations(range(5), 2):
        sides = [list(c), [i for i in range(5) if i not in c]]
        scaled = [pooled[side].mean() / intact[side].std(ddof=1) for side in sides]
        null.append(scaled[0] - scaled[1])
    assert null[0] == pytest.approx(float(found["interaction"]))
    below = np.mean(np.array(null) <= null[0] + 1e-12)
    assert 0.1 <= below < 0.5
    assert float(found["p"]) == pytest.approx(2 * below, abs=0.03)
    assert float(found["difference_high"][0]) < 0 < float(found["difference_low"][1])
    assert bool(found["is_double"])


@pytest.mark.parametrize("masks", [["x"], ["x", "x"], ["x", "y", "x"]])
def test_double_dissociation_is_of_two_masks(rng, masks):
    a = exactly({"intact": [4, 6], "x": [1, 2], "y": [4, 5]})
    with pytest.raises(InvalidValueError, match="a double dissociation is of two masks"):
        double_dissociation(a, a, masks, rng=rng)


def test_one_random_mask_has_a_p_and_no_z(rng):
    values = iter([2.0, 1.0])
    found = mask_alignment(lambda _: next(values), mask_of(), 1, rng, progress=False)
    assert float(found["p"]) == 0.5 and np.isnan(found["z"]) and found.attrs["n_undefined"] == 0
    values = iter([2.0, np.nan, 1.0, np.nan])
    found = mask_alignment(lambda _: next(values), mask_of(), 3, rng, progress=False)
    assert float(found["p"]) == 0.75 and np.isnan(found["z"]) and found.attrs["n_undefined"] == 2


def test_z_of_two_random_masks_is_by_their_standard_deviation(rng):
    values = iter([5.0, 1.0, 3.0])
    found = mask_alignment(lambda _: next(values), mask_of(), 2, rng, progress=False)
    assert float(found["z"]) == pytest.approx(3 / np.sqrt(2)) and float(found["p"]) == pytest.approx(1 / 3)
