"""Networks in which it is known which units are selective: what the localizer finds, and what it makes up."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats as scipy_stats

from neuroalign import localization as loc
from neuroalign.schema import make_mask

SIDES = ("sentence", "nonword")
K, N_UNITS, EFFECT = 20, 1000, 1.0
DEAD, OUTLIER = 500, 501


def table(n_runs=8, per_run=12):
    rows = [(f"r{r}-{c[0]}{i}", c, r) for r in range(n_runs) for c in SIDES for i in range(per_run)]
    return pd.DataFrame(rows, columns=["stimulus", "condition", "run"])


def planted(stimuli, rng, *, effect=EFFECT, mean=0.0):
    """Two layers of 1,000 units.

    In layer b the first 20 units respond to sentences by one standard deviation, unit 500 is dead, and unit
    501 is an outlier dimension with a mean of 1,000. Layer a has no selective unit, but ten times the spread.
    """
    sentence = (stimuli["condition"] == "sentence").to_numpy()
    a, b = (rng.standard_normal((len(stimuli), N_UNITS)) for _ in range(2))
    b[np.ix_(sentence, np.arange(K))] += effect
    b[:, :K] += mean
    b[:, DEAD], b[:, OUTLIER] = 7.0, 1000 + b[:, OUTLIER]
    coords = {"stimulus": stimuli["stimulus"].to_numpy()}
    return {
        name: xr.DataArray(x.astype(np.float32), dims=("stimulus", "unit"), coords=coords)
        for name, x in (("a", 10 * a), ("b", b))
    }


def truth():
    units = np.zeros(2 * N_UNITS, dtype=bool)
    units[N_UNITS : N_UNITS + K] = True
    return units


def test_planted_units_are_recovered_with_their_effect_on_runs_held_out():
    recovered, effects = [], []
    for seed in range(5):
        rng, stimuli = np.random.default_rng(seed), table()
        moments = loc.group_moments(planted(stimuli, rng), stimuli)
        found = loc.localize(moments, *SIDES, k=K)
        recovered.append((found["mask"].values & truth()).sum() / K)
        assert not found["mask"].values[[N_UNITS + DEAD, N_UNITS + OUTLIER]].any()
        assert found.attrs["n_undefined"] == 1
        held_out = loc.cross_validated_selectivity(moments, None, *SIDES, k=K).sel(quantity="difference")
        effects.append(float(held_out["mean"]))
        assert 0.5 < float(held_out["low"]) < float(held_out["split_mean"]) < float(held_out["high"]) < 1.5
    assert np.mean(recovered) >= 0.95
    assert np.mean(effects) == pytest.approx(EFFECT, abs=0.05)


def test_absolute_values_first_recover_far_fewer_planted_units():
    signed, absolute = [], []
    for seed in range(5):
        rng, stimuli = np.random.default_rng(seed), table()
        moments = loc.group_moments(planted(stimuli, rng, mean=-EFFECT / 2), stimuli)
        for preset, found in (("brainscore", signed), ("naacl2025", absolute)):
            mask = loc.localize(moments, *SIDES, preset=loc.preset(preset, k=K))["mask"].values
            found.append((mask & truth()).sum() / K)
    assert np.mean(signed) >= 0.95
    assert np.mean(absolute) <= 0.25


def test_a_confounded_layer_shows_in_the_profile_and_not_in_the_mask():
    rng, stimuli = np.random.default_rng(0), table()
    found = loc.localize(planted(stimuli, rng), *stimuli_of(stimuli), k=K)
    profile = loc.layer_profile(found["mask"])
    assert profile["share"].sel(layer="b") > profile["high"].sel(layer="b")
    assert profile["share"].sel(layer="a") < profile["low"].sel(layer="a") + 1e-9
    outliers = loc.outlier_units(loc.unit_magnitude(planted(stimuli, rng)))
    assert outliers.values.nonzero()[0].tolist() == [N_UNITS + DEAD, N_UNITS + OUTLIER]


def stimuli_of(stimuli):
    return [stimuli.loc[stimuli["condition"] == c, "stimulus"] for c in SIDES]


def test_on_noise_the_held_out_effect_is_zero_as_often_as_its_interval_says():
    covered, effects, in_sample = [], [], []
    for seed in range(60):
        rng, stimuli = np.random.default_rng(seed), table(n_runs=8, per_run=4)
        moments = loc.group_moments({"b": planted(stimuli, rng, effect=0.0)["b"]}, stimuli)
        found = loc.cross_validated_selectivity(moments, None, *SIDES, k=K).sel(quantity="d")
        covered.append(float(found["low"]) <= 0 <= float(found["high"]))
        effects.append(float(found["mean"]))
        selected = loc.localize(moments, *SIDES, k=K)
        in_sample.append(float(selected["d"].values[selected["mask"].values].mean()))
    assert np.mean(covered) >= 0.88
    assert abs(np.mean(effects)) < 3 * scipy_stats.sem(effects) + 0.01
    assert np.mean(in_sample) > 0.5


class Readout:
    """A network of 60 units that answers 40 items by the sum of its units: silencing some changes answers."""

    def __init__(self, rng, causal=()):
        self.weights = rng.standard_normal((40, 60)) * 0.1
        self.weights[:, list(causal)] += 1.0

    def scores(self, masks):
        rows = [self.weights.sum(axis=1), *((self.weights * ~m.values).sum(axis=1) for m in masks.values())]
        coords = {"mask": ["intact", *masks], "item": np.arange(40)}
        return xr.DataArray(np.stack(rows), dims=("mask", "item"), coords=coords, attrs={"outcome": "mean"})


def lesion_p(rng, chosen, causal=()):
    mask = np.zeros(60, dtype=bool)
    mask[chosen] = True
    layer, index = np.repeat(["a", "b"], 30), np.tile(np.arange(30), 2)
    selected = make_mask(mask, layer=layer, site="block", index=index)
    drawn = loc.random_masks(selected, "uniform", 19, rng=rng)
    masks = {"selected": selected} | {f"u{i}": m for i, m in enumerate(drawn)}
    scores = Readout(rng, causal).scores(masks)
    table = loc.summarize_lesions(scores, ["selected"], {"uniform": [*masks][1:]}, rng=rng, n_bootstrap=2)
    return float(table.set_index("mask").loc["selected", "p_uniform"])


def test_lesion_p_is_uniform_where_the_selected_units_are_like_the_others():
    found = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        found.append(lesion_p(rng, rng.choice(60, 6, replace=False)))
    grid = np.arange(1, 21) / 20
    shares = [(np.array(found) <= p).mean() for p in grid]
    assert np.abs(np.array(shares) - grid).max() < scipy_stats.kstwo.ppf(0.99, len(found))
    assert np.mean(np.array(found) <= 0.05) <= 0.12


def test_lesion_of_the_units_that_answer_has_the_smallest_p():
    assert lesion_p(np.random.default_rng(0), np.arange(6), causal=range(6)) == pytest.approx(1 / 20)
