import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats as scipy_stats

from neuroalign import arrays, io
from neuroalign import localization as loc
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.localization.moments import condition_moments, is_moments
from neuroalign.localization.statistics import Moments, d_interval, hedges_factor, moments_of, welch

SIDES = ("sentence", "nonword")


def table(n_runs=4, per_run=6):
    rows = [(f"r{r}-{c[0]}{i}", c, r) for r in range(n_runs) for c in SIDES for i in range(per_run)]
    return pd.DataFrame(rows, columns=["stimulus", "condition", "run"])


def network(stimuli, rng, *, n_units=40, layers=("l0", "l1"), mean=0.0):
    coords = {"stimulus": stimuli["stimulus"].to_numpy()}
    found = {}
    for layer in layers:
        values = rng.standard_normal((len(stimuli), n_units)) + mean
        values[(stimuli["condition"] == "sentence").to_numpy(), :4] += 1.5
        found[layer] = xr.DataArray(values, dims=("stimulus", "unit"), coords=coords)
    found["l0"][:, 5] = 0.3
    return found


def labels(stimuli):
    return [stimuli.loc[stimuli["condition"] == c, "stimulus"] for c in SIDES]


def same(a, b):
    for name in a.data_vars:
        np.testing.assert_allclose(a[name].values, b[name].values, rtol=1e-10, atol=1e-12, err_msg=str(name))


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_moments_and_activations_give_the_same_localizer(rng, absolute, mean):
    stimuli = table()
    activations = network(stimuli, rng, mean=mean)
    moments = loc.group_moments(activations, stimuli)
    assert dict(moments.sizes) == {"group": 8, "unit": 80}
    rule = {"k": 8, "absolute": absolute}
    a, b = loc.localize(activations, *labels(stimuli), **rule), loc.localize(moments, *SIDES, **rule)
    same(a, b)
    assert a.attrs == b.attrs and a.attrs["n_undefined"] == 1
    x, y = (activations["l1"].sel(stimulus=side.to_numpy()).values for side in labels(stimuli))
    x, y = (np.abs(x), np.abs(y)) if absolute else (x, y)
    expected = scipy_stats.ttest_ind(x, y, equal_var=False, alternative="greater")
    np.testing.assert_allclose(b["t"].values[40:], expected.statistic, rtol=1e-9)
    np.testing.assert_allclose(b["p"].values[40:], expected.pvalue, rtol=1e-8)


def test_moments_and_activations_give_the_same_reliability(rng):
    stimuli = table()
    activations = network(stimuli, rng)
    moments = loc.group_moments(activations, stimuli)
    for function in (loc.split_half, loc.cross_validated_selectivity):
        same(function(activations, stimuli, *SIDES, k=8), function(moments, None, *SIDES, k=8))
    held_out = [
        loc.held_out_selectivity(*given, *SIDES, rng=np.random.default_rng(1), k=8)
        for given in ((activations, stimuli), (moments, None))
    ]
    same(*held_out)
    same(loc.effect_sizes(activations, *labels(stimuli)), loc.effect_sizes(moments, *SIDES))
    np.testing.assert_allclose(loc.unit_magnitude(activations), loc.unit_magnitude(moments), rtol=1e-12)


def test_merged_moments_are_those_of_the_union(rng):
    parts = [1000 + 0.01 * rng.standard_normal((n, 6)) for n in (3, 1, 7)]
    found = [moments_of(x) for x in parts]
    n, mean, m2 = arrays.merge_moments(
        np.array([m.n for m in found]), np.stack([m.mean for m in found]), np.stack([m.m2 for m in found])
    )
    whole = np.concatenate(parts)
    assert n == 11
    np.testing.assert_allclose(mean, whole.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(m2, ((whole - whole.mean(axis=0)) ** 2).sum(axis=0), rtol=1e-10)
    with pytest.raises(ShapeError, match="moments must be n"):
        arrays.merge_moments(np.array([1, 2]), mean[None], m2[None])


def test_constant_units_stay_constant_after_merging():
    groups = [moments_of(np.full((n, 1), 0.1)) for n in (3, 7)]
    n, mean, m2 = arrays.merge_moments(
        np.array([3, 7]), np.stack([m.mean for m in groups]), np.stack([m.m2 for m in groups])
    )
    t, p = welch(Moments(n, mean, m2), Moments(5, np.array([0.7]), np.array([0.0])))
    assert np.isnan(t[0]) and np.isnan(p[0])


def test_two_sites_make_one_mask_with_the_site_of_every_unit(rng):
    stimuli = table()
    one, other = network(stimuli, rng), network(stimuli, rng, n_units=20)
    nested = loc.localize({"attn_out": one, "mlp_out": other}, *labels(stimuli), k=12)
    parts = [loc.group_moments(x, stimuli, site=s) for x, s in ((one, "attn_out"), (other, "mlp_out"))]
    shuffled = parts[1].isel(group=np.random.default_rng(0).permutation(8))
    joined = loc.localize(loc.join_sites(parts[0], shuffled), *SIDES, k=12)
    assert joined["mask"].equals(nested["mask"])
    assert np.unique(joined["site"].values, return_counts=True)[1].tolist() == [80, 40]
    with pytest.raises(LabelError, match=r"80 units \(layer, site, index\) are in two of the sites"):
        loc.join_sites(parts[0], parts[0])
    with pytest.raises(LabelError, match="not about the same stimuli"):
        loc.join_sites(parts[0], parts[1].isel(group=slice(4)))


def test_the_site_the_activations_say_is_kept_and_so_is_the_model(rng, tmp_path):
    stimuli = table()
    dataset = xr.Dataset(network(stimuli, rng)).assign_attrs(site="mlp_out", model_digest="abc", pool="mean")
    found = loc.localize(dataset, *labels(stimuli))
    assert set(found["site"].values) == {"mlp_out"}
    assert found["mask"].attrs["model_digest"] == "abc" and found["mask"].attrs["pool"] == "mean"
    io.save(found, tmp_path / "mask.nc", inputs={}, params={}, seed=0)
    assert io.load(tmp_path / "mask.nc")["mask"].attrs["model_digest"] == "abc"


def test_conditions_that_moments_lack_are_named(rng):
    moments = loc.group_moments(network(table(), rng), table())
    with pytest.raises(LabelError, match="no group has 'faces'; there are 'sentence', 'nonword'"):
        loc.localize(moments, "faces", "nonword")
    with pytest.raises(LabelError, match="1 conditions are both positive and negative"):
        loc.localize(moments, "sentence", "sentence")
    with pytest.raises(LabelError, match="needs 2 runs or more"):
        loc.split_half(moments.isel(group=moments["run"] == 0), None, *SIDES)
    with pytest.raises(LabelError, match="activations need a stimulus table"):
        loc.split_half(network(table(), rng), None, *SIDES)


def test_effect_intervals_are_scipys_noncentral_t(rng):
    d = np.array([-1.2, 0.0, 0.4, 2.0, np.nan])
    low, high = d_interval(d, 12, 20, level=0.9)
    root = np.sqrt(12 * 20 / 32)
    for end, tail in ((low, 0.95), (high, 0.05)):
        np.testing.assert_allclose(scipy_stats.nct.cdf(d[:4] * root, 30, end[:4] * root), tail, atol=1e-5)
    assert np.isnan(low[4]) and (low[:4] < d[:4]).all() and (d[:4] < high[:4]).all()
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1"):
        d_interval(d, 3, 3, level=95)


def test_hedges_factor_takes_the_bias_away(rng):
    assert hedges_factor(10) == pytest.approx(1 - 3 / (4 * 10 - 1), abs=2e-3)
    stimuli = table(n_runs=2, per_run=3)
    moments = loc.group_moments(network(stimuli, rng), stimuli)
    plain, fair = (loc.effect_sizes(moments, *SIDES, hedges=h) for h in (False, True))
    np.testing.assert_allclose(fair["d"], plain["d"] * hedges_factor(10), rtol=1e-12)
    np.testing.assert_allclose(fair["high"], plain["high"] * hedges_factor(10), rtol=1e-12)


def test_effect_interval_covers_the_planted_effect_as_often_as_it_says(rng):
    n_units, planted = 3000, 0.8
    x, y = rng.standard_normal((12, n_units)) + planted, rng.standard_normal((12, n_units))
    names = [[f"{s}{i}" for i in range(12)] for s in "xy"]
    coords = {"stimulus": [*names[0], *names[1]]}
    layer = xr.DataArray(np.concatenate([x, y]), dims=("stimulus", "unit"), coords=coords)
    found = loc.effect_sizes({"l": layer}, *names, level=0.9)
    covered = ((found["low"] < planted) & (planted < found["high"])).mean()
    assert float(covered) == pytest.approx(0.9, abs=0.02)


def test_cross_validation_selects_on_the_other_runs_and_measures_on_the_left_out_run(rng):
    stimuli = table(n_runs=3)
    activations = network(stimuli, rng)
    found = loc.cross_validated_selectivity(activations, stimuli, *SIDES, k=6)
    for fold in range(3):
        train, test = stimuli[stimuli["run"] != fold], stimuli[stimuli["run"] == fold]
        mask = loc.localize(activations, *labels(train), k=6)["mask"].values
        assert (found["mask"].sel(fold=fold).values == mask).all()
        sides = [
            np.concatenate([activations[k].sel(stimulus=s.to_numpy()).values for k in ("l0", "l1")], axis=1)
            for s in labels(test)
        ]
        difference = sides[0].mean(axis=0) - sides[1].mean(axis=0)
        np.testing.assert_allclose(found["difference"].sel(fold=fold), difference, atol=1e-12)
        assert float(found["mask_difference"].sel(fold=fold)) == pytest.approx(difference[mask].mean())
    assert float(found["mean"].sel(quantity="d")) == pytest.approx(found["mask_d"].values.mean())
    assert np.isnan(found["low"]).all()
    unit = scipy_stats.t.interval(0.95, 2, *_mean_and_sem(found["difference"].values[:, 7]))
    assert float(found["unit_low"].sel(quantity="difference")[7]) == pytest.approx(unit[0])
    assert np.isnan(found["unit_mean"].sel(quantity="d")[5])
    assert (found["n_selected"] == found["mask"].sum("fold")).all()


def test_the_masks_interval_is_of_one_split_into_runs_that_select_and_runs_that_measure(rng):
    stimuli = table(n_runs=7)
    activations = network(stimuli, rng)
    found = loc.cross_validated_selectivity(activations, stimuli, *SIDES, k=6, level=0.9).sel(quantity="d")
    mask = loc.localize(activations, *labels(stimuli[stimuli["run"] % 2 == 0]), k=6)["mask"].values
    measured = found["d"].values[1::2][:, mask].mean(axis=1)
    assert float(found["split_mean"]) == pytest.approx(measured.mean())
    interval = scipy_stats.t.interval(0.9, 2, *_mean_and_sem(measured))
    assert (float(found["low"]), float(found["high"])) == pytest.approx(interval)


def _mean_and_sem(values):
    return values.mean(), scipy_stats.sem(values)


def test_what_makes_no_moments_is_refused(rng):
    stimuli = table()
    activations = network(stimuli, rng)
    with pytest.raises(LabelError, match="stimuli lack the columns 'condition'; they have 'stimulus', 'run'"):
        loc.group_moments(activations, stimuli.drop(columns="condition"))
    with pytest.raises(ShapeError, match="join_sites needs the moments of at least one site"):
        loc.join_sites()
    with pytest.raises(ShapeError, match=r"moments must be a Dataset \(group, unit\) with n, mean, m2"):
        loc.join_sites(xr.Dataset(activations))
    with pytest.raises(ShapeError, match="a condition has no stimulus; 2 or more are needed"):
        moments_of(np.zeros((0, 3)))
    with pytest.raises(InvalidValueError, match="level must be between 0 and 1; got 95"):
        loc.cross_validated_selectivity(activations, stimuli, *SIDES, level=95)


def test_moments_are_known_by_their_variables_and_dims():
    unit = xr.Dataset({name: (("group", "unit"), np.ones((2, 3))) for name in ("mean", "m2", "mean_abs")})
    whole = unit.assign(n=("group", [2, 2]))
    assert is_moments(whole) and is_moments(whole.assign(more=1.0).assign_coords(run=("group", [0, 0])))
    for name in ("n", "mean", "m2", "mean_abs"):
        assert not is_moments(whole.drop_vars(name))
    assert not is_moments(whole.rename(group="row")) and not is_moments({"n": 1})


@pytest.mark.parametrize("at", [0, 3, 7])
def test_sites_of_which_one_group_has_other_stimuli_are_not_joined(rng, at):
    stimuli = table()
    parts = [
        loc.group_moments(network(stimuli, rng), stimuli, site=s) for s in ("attn_out", "mlp_out", "block")
    ]
    joined = loc.join_sites(*parts)
    assert joined["n"].values.tolist() == [6] * 8 and joined.sizes["unit"] == 240
    for k in (1, 2):
        other = [part.copy(deep=True) for part in parts]
        other[k]["n"][at] = 5
        with pytest.raises(LabelError, match="not about the same stimuli"):
            loc.join_sites(*other)


def test_what_all_sites_say_alike_is_kept_and_what_they_dispute_is_not(rng):
    stimuli = table(n_runs=1)
    parts = [loc.group_moments(network(stimuli, rng), stimuli, site=s) for s in ("attn_out", "mlp_out")]
    parts = [
        part.assign_attrs(model="m", pool=pool) for part, pool in zip(parts, ("last", "mean"), strict=True)
    ]
    parts[1].attrs["max_tokens"] = 12
    assert loc.join_sites(*parts).attrs == {"model": "m", "max_tokens": 12}


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_moments_of_absolute_values_are_those_of_the_absolute_values(rng, scale):
    """Units of one sign, of both, of zeros, constant ones, and groups of unequal sizes and means."""
    stimuli = pd.DataFrame({"stimulus": [f"s{i}" for i in range(9)], "condition": ["a"] * 7 + ["b"] * 2})
    values = rng.standard_normal((9, 6))
    values[:, 1], values[:, 2], values[:, 3] = np.abs(values[:, 1]), -np.abs(values[:, 2]) - 1e5, 0.0
    values[:, 4], values[::2, 5] = -0.3, 0.0
    coords = {"stimulus": stimuli["stimulus"].to_numpy()}
    activations = {"l": xr.DataArray(scale * values, dims=("stimulus", "unit"), coords=coords)}
    found = condition_moments(loc.group_moments(activations, stimuli), ["a", "b"], absolute=True)
    size = np.abs(values)
    assert found.n == 9
    np.testing.assert_allclose(found.mean / scale, size.mean(axis=0), rtol=1e-12)
    expected = ((size - size.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(found.m2 / scale**2, expected, rtol=1e-9, atol=1e-25)
    assert found.is_constant.tolist() == [False, False, False, True, True, False]
