"""Laws of contrasts, selections and control masks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, law, noise

from neuroalign import localization as loc
from neuroalign.schema import make_mask


def mask(selected, n_layers=3):
    selected = np.asarray(selected, dtype=bool)
    layer = np.repeat([f"l{i}" for i in range(n_layers)], len(selected) // n_layers)
    return make_mask(
        selected, layer=layer, site="block", index=np.arange(len(selected)) % (len(selected) // n_layers)
    )


@law(15)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_welchs_t_turns_with_the_sides_and_sees_neither_scale_nor_shift(seed, scale, shift):
    x, y = noise(8, 4, seed=seed), noise(6, 4, seed=seed + 1) + 0.5
    t, p = loc.welch_t(x, y)
    back = loc.welch_t(y, x)
    np.testing.assert_allclose(back[0], -t)
    np.testing.assert_allclose(loc.welch_t(scale * x + shift, scale * y + shift)[0], t, rtol=1e-7, atol=1e-9)
    assert ((p >= 0) & (p <= 1)).all()


@law(30)
@given(seed=SEEDS, n=st.integers(2, 30), share_nan=st.floats(0, 0.4), data=st.data())
def test_k_units_are_k_they_are_nested_and_none_is_undefined(seed, n, share_nan, data):
    rng = np.random.default_rng(seed)
    t = np.round(rng.standard_normal(n), 1)
    t[rng.random(n) < share_nan] = np.nan
    known = int(np.isfinite(t).sum())
    if known < 2:
        return
    k = data.draw(st.integers(1, known - 1))
    few, more = (loc.select_units(t, k=size) for size in (k, k + 1))
    assert few.sum() == k and more.sum() == k + 1
    assert not (few & ~more).any() and not (more & np.isnan(t)).any()
    assert t[few].min() >= np.nanmax(np.where(few, np.nan, t)) - 1e-12


@law(30)
@given(
    a=st.lists(st.booleans(), min_size=12, max_size=12), b=st.lists(st.booleans(), min_size=12, max_size=12)
)
def test_dice_is_symmetric_within_0_and_1_and_1_with_itself(a, b):
    if not any(a) or not any(b):
        return
    found, chance = loc.dice(mask(a), mask(b))
    assert (found, chance) == loc.dice(mask(b), mask(a)) and 0 <= found <= 1 and 0 <= chance <= 1
    assert loc.dice(mask(a), mask(a))[0] == 1


@law(15)
@given(seed=SEEDS, k=st.integers(1, 5), kind=st.sampled_from(["uniform", "layer-matched"]))
def test_random_masks_have_the_size_and_none_of_the_units(seed, k, kind):
    rng = np.random.default_rng(seed)
    chosen = np.zeros(24, dtype=bool)
    chosen[rng.choice(24, k, replace=False)] = True
    own = mask(chosen)
    if kind == "layer-matched" and own.groupby("layer").sum().max() > 4:
        return
    found = loc.random_masks(own, kind, 4, rng=rng)
    assert (found.sum("unit") == k).all() and not (found & own).any()
    if kind == "layer-matched":
        for one in found:
            np.testing.assert_array_equal(one.groupby("layer").sum(), own.groupby("layer").sum())


@law(15)
@given(seed=SEEDS)
def test_agreement_of_masks_is_symmetric_with_ones(seed):
    rng = np.random.default_rng(seed)
    masks = {name: mask(np.r_[True, rng.random(11) < 0.5]) for name in "abc"}
    dice = loc.agreement(masks)["dice"].values
    np.testing.assert_array_equal(dice, dice.T)
    np.testing.assert_array_equal(np.diagonal(dice), 1)
