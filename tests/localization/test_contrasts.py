import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from neuroalign import localization as loc
from neuroalign.errors import InvalidValueError, LabelError, ShapeError
from neuroalign.schema import make_mask


def table(n_runs=4, per_run=6):
    rows = [
        {"stimulus": f"r{run}-{kind[0]}{i}", "condition": kind, "run": run}
        for run in range(n_runs)
        for kind in ("sentence", "nonword")
        for i in range(per_run)
    ]
    return pd.DataFrame(rows)


def sides(stimuli):
    return [stimuli.loc[stimuli["condition"] == c, "stimulus"] for c in ("sentence", "nonword")]


def planted(stimuli, rng, *, effect=2.0, n_planted=5, n_units=50, layers=("l0", "l1")):
    """Noise, with the first units of the last layer responding to sentences."""
    out = {}
    for layer in layers:
        values = rng.standard_normal((len(stimuli), n_units))
        if layer == layers[-1]:
            values[np.ix_(stimuli["condition"] == "sentence", np.arange(n_planted))] += effect
        out[layer] = xr.DataArray(
            values, dims=("stimulus", "unit"), coords={"stimulus": stimuli["stimulus"].to_numpy()}
        )
    return out


def test_welch_t_is_scipys(rng):
    x, y = rng.standard_normal((12, 7)) + 0.3, 2 * rng.standard_normal((20, 7))
    t, p = loc.welch_t(x, y)
    expected = scipy_stats.ttest_ind(x, y, equal_var=False, alternative="greater")
    np.testing.assert_allclose(t, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(p, expected.pvalue, rtol=1e-9)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 9), (9, 2)])
def test_two_rows_are_enough_for_t_and_one_is_not(rng, sizes):
    x, y = (rng.standard_normal((n, 3)) for n in sizes)
    expected = scipy_stats.ttest_ind(x, y, equal_var=False, alternative="greater")
    np.testing.assert_allclose(loc.welch_t(x, y)[0], expected.statistic, rtol=1e-10)
    np.testing.assert_allclose(loc.welch_t(x, y)[1], expected.pvalue, rtol=1e-8)
    with pytest.raises(ShapeError, match="needs 2 rows or more"):
        loc.welch_t(x, y[:1])
    with pytest.raises(ShapeError, match="needs 2 rows or more"):
        loc.welch_t(x[:1], y)


def test_welch_t_survives_a_large_mean_in_float32(rng):
    x, y = rng.standard_normal((30, 5)) * 0.5, rng.standard_normal((30, 5)) * 0.5
    shifted = [(z + 1000).astype(np.float32) for z in (x, y)]
    exact = scipy_stats.ttest_ind(*(z.astype(np.float64) for z in shifted), equal_var=False).statistic
    np.testing.assert_allclose(loc.welch_t(*shifted)[0], exact, rtol=1e-9)


def test_a_dead_unit_has_no_t_and_is_never_selected(rng):
    stimuli = table()
    activations = planted(stimuli, rng)
    activations["l0"][:, 3] = 7.0
    found = loc.localize(activations, *sides(stimuli), fraction=1.0 - 0.01)
    assert np.isnan(found["t"][3])
    assert np.isnan(found["p"][3])
    assert found.attrs["n_undefined"] == 1
    assert not found["mask"][3]


def test_planted_units_are_found(rng):
    stimuli = table(per_run=20)
    found = loc.localize(planted(stimuli, rng), *sides(stimuli), k=5)
    assert found["mask"].values.nonzero()[0].tolist() == [50, 51, 52, 53, 54]
    assert found["mask"].attrs["k"] == 5
    assert found["layer"].values[50] == "l1"
    assert found["index"].values[50] == 0
    assert found["d"].values[50:55].mean() == pytest.approx(2.0, abs=0.5)


def test_taking_the_absolute_value_first_loses_units_that_change_sign(rng):
    stimuli = table(per_run=20)
    activations = planted(stimuli, rng, effect=2.0)
    activations["l1"] = activations["l1"] - 1.0
    signed = loc.localize(activations, *sides(stimuli), k=5)
    absolute = loc.localize(activations, *sides(stimuli), k=5, absolute=True)
    assert signed["mask"].values[50:55].sum() == 5
    assert absolute["mask"].values[50:55].sum() < 5


@given(st.randoms(use_true_random=False))
def test_the_order_of_stimuli_changes_nothing(random):
    stimuli = table()
    activations = planted(stimuli, np.random.default_rng(1))
    order = list(range(len(stimuli)))
    random.shuffle(order)
    shuffled = {layer: x.isel(stimulus=order) for layer, x in activations.items()}
    a = loc.localize(activations, *sides(stimuli), k=5)
    b = loc.localize(shuffled, *sides(stimuli.iloc[order]), k=5)
    np.testing.assert_allclose(a["t"], b["t"], rtol=1e-9)
    assert a["mask"].equals(b["mask"])


def test_a_dataset_and_a_mapping_give_the_same(rng):
    stimuli = table()
    activations = planted(stimuli, rng)
    assert loc.localize(xr.Dataset(activations), *sides(stimuli)).equals(
        loc.localize(activations, *sides(stimuli))
    )


def test_wrong_labels_are_named(rng):
    stimuli = table()
    activations = planted(stimuli, rng)
    positive, negative = sides(stimuli)
    with pytest.raises(LabelError, match="1 of 25 positive stimuli are not in l0: 'x'"):
        loc.localize(activations, [*positive, "x"], negative)
    with pytest.raises(LabelError, match="24 stimuli are both positive and negative"):
        loc.localize(activations, positive, positive)
    with pytest.raises(LabelError, match="the negative stimuli repeat labels"):
        loc.localize(activations, positive, [*negative, *negative])
    with pytest.raises(ShapeError, match="needs 2 rows or more"):
        loc.localize(activations, positive[:1], negative)
    with pytest.raises(ShapeError, match="activations have no layer"):
        loc.localize({}, positive, negative)
    activations["l0"][0, 0] = np.nan
    with pytest.raises(InvalidValueError, match="l0 must be finite"):
        loc.localize(activations, positive, negative)


def test_magnitude_is_the_mean_absolute_activation(rng):
    stimuli = table()
    activations = planted(stimuli, rng)
    found = loc.unit_magnitude(activations)
    np.testing.assert_allclose(found.values[50:], np.abs(activations["l1"].values).mean(axis=0))
    assert found["layer"].values[50] == "l1"


class TestSelection:
    def test_ties_go_to_the_earlier_unit_and_exactly_k_are_taken(self):
        chosen = loc.select_units(np.array([1.0, 2.0, 2.0, 2.0, np.nan]), k=2)
        assert chosen.tolist() == [False, True, True, False, False]

    def test_a_fraction_is_one_of_all_units(self):
        t = np.arange(200.0)
        t[:50] = np.nan
        assert loc.select_units(t, fraction=0.01).nonzero()[0].tolist() == [198, 199]

    def test_a_fraction_of_each_layer_is_taken_in_each(self):
        layer = np.repeat(["a", "b"], 100)
        chosen = loc.select_units(np.arange(200.0), layer=layer, fraction_per_layer=0.02)
        assert chosen.nonzero()[0].tolist() == [98, 99, 198, 199]

    def test_the_false_discovery_rate_takes_positive_units_only(self):
        t, p = np.array([5.0, -5.0, 0.1, np.nan]), np.array([1e-6, 1e-6, 0.5, np.nan])
        assert loc.select_units(t, p=p, q=0.05).tolist() == [True, False, False, False]

    @pytest.mark.parametrize("rule", [{}, {"k": 1, "q": 0.1}])
    def test_exactly_one_rule_is_needed(self, rule):
        with pytest.raises(InvalidValueError, match="give exactly one of fraction, k, q, fraction_per_layer"):
            loc.select_units(np.ones(3), **rule)

    @pytest.mark.parametrize(
        ("rule", "text"),
        [
            ({"k": 4}, "k must be from 1 to the 3 units"),
            ({"k": 0}, "k must be from 1"),
            ({"fraction": 0.0}, r"fraction must be in \(0, 1\]"),
            ({"q": 0.05}, "q must be between 0 and 1 and needs p"),
            ({"fraction_per_layer": 0.5}, "needs the layer of every unit"),
        ],
    )
    def test_a_rule_that_cannot_be_followed_is_refused(self, rule, text):
        with pytest.raises(InvalidValueError, match=text):
            loc.select_units(np.ones(3), **rule)


class TestReliability:
    def test_selection_on_noise_is_selective_in_sample_and_not_held_out(self, rng):
        stimuli = table(n_runs=5, per_run=12)
        activations = planted(stimuli, rng, effect=0.0, n_units=2000)
        found = loc.held_out_selectivity(activations, stimuli, "sentence", "nonword", rng=rng, fraction=0.01)
        mean = found["t"].mean("fold")
        assert float(mean.sel(set="in-sample")) > 2.3
        assert abs(float(mean.sel(set="held-out"))) < 0.25
        assert abs(float(mean.sel(set="random"))) < 0.25

    @pytest.mark.parametrize(("n_runs", "per_run"), [(2, 40), (4, 12)])
    def test_planted_units_stay_selective_on_runs_held_out(self, rng, n_runs, per_run):
        stimuli = table(n_runs=n_runs, per_run=per_run)
        found = loc.held_out_selectivity(planted(stimuli, rng), stimuli, "sentence", "nonword", rng=rng, k=5)
        assert float(found["d"].mean("fold").sel(set="held-out")) == pytest.approx(2.0, abs=0.5)
        assert found["n_layer"].sel(layer="l1").values.tolist() == [5] * n_runs
        assert np.isnan(found["d_layer"].sel(layer="l0")).all()

    def test_held_out_rows_do_not_take_part_in_the_selection(self, rng):
        stimuli = table(n_runs=3)
        activations = planted(stimuli, rng, effect=0.0)
        out = stimuli["run"] == 0
        spoiled = {k: v.copy() for k, v in activations.items()}
        for x in spoiled.values():
            x[out.to_numpy(), :] = rng.standard_normal((out.sum(), x.sizes["unit"])) * 100
        a, b = (
            loc.held_out_selectivity(x, stimuli, "sentence", "nonword", rng=np.random.default_rng(0), k=3)
            for x in (activations, spoiled)
        )
        assert a["n_layer"].sel(fold=0).equals(b["n_layer"].sel(fold=0))
        assert float(a["t"].sel(fold=0, set="in-sample")) == float(b["t"].sel(fold=0, set="in-sample"))

    def test_split_halves_agree_on_planted_units_and_not_on_noise(self, rng):
        stimuli = table(n_runs=4, per_run=20)
        good = loc.split_half(planted(stimuli, rng), stimuli, "sentence", "nonword", k=5)
        noise = loc.split_half(
            planted(stimuli, rng, effect=0, n_units=2000), stimuli, "sentence", "nonword", k=40
        )
        assert float(good["dice"]) == 1.0
        assert float(good["r"]) > 0.3
        assert abs(float(noise["r"])) < 0.1
        assert float(noise["chance"]) == pytest.approx(40 / 4000)
        assert float(noise["dice"]) < 0.1

    def test_runs_and_conditions_that_are_missing_are_named(self, rng):
        stimuli = table()
        activations = planted(stimuli, rng)
        with pytest.raises(LabelError, match="lack the columns 'run'"):
            loc.split_half(activations, stimuli.drop(columns="run"), "sentence", "nonword")
        with pytest.raises(LabelError, match="needs 2 runs or more"):
            loc.split_half(activations, stimuli.assign(run=1), "sentence", "nonword")
        with pytest.raises(LabelError, match="run 0 has the conditions 'nonword', 'sentence'"):
            loc.split_half(activations, stimuli, "sentence", "faces")

    def test_dice_goes_by_unit_and_not_by_order(self, rng):
        stimuli = table()
        mask = loc.localize(planted(stimuli, rng), *sides(stimuli), k=10)["mask"]
        assert loc.dice(mask, mask[::-1]) == (1.0, pytest.approx(10 / 100))
        assert loc.dice(mask, ~mask)[0] == 0.0
        with pytest.raises(ShapeError, match="not about the same units"):
            loc.dice(mask, mask[:50])
        with pytest.raises(InvalidValueError, match="both masks are empty"):
            loc.dice(mask & False, mask & False)

    def test_the_envelope_of_a_layer_profile_is_that_of_random_masks(self, rng):
        stimuli = table()
        mask = loc.localize(planted(stimuli, rng, n_units=500), *sides(stimuli), k=100)["mask"]
        found = loc.layer_profile(mask)
        assert found["n"].values.sum() == 100
        draws = loc.random_masks(mask & False | (np.arange(1000) < 100), "uniform", 300, rng=rng)
        share = draws.values[:, 500:].mean(axis=1)
        assert np.quantile(share, [0.025, 0.975]) == pytest.approx(
            [float(found["low"][1]), float(found["high"][1])], abs=0.03
        )


class TestControls:
    def masks(self, rng, kind, n=20, **options):
        stimuli = table()
        found = loc.localize(planted(stimuli, rng, n_units=200), *sides(stimuli), k=20)
        return found["mask"], loc.random_masks(found["mask"], kind, n, rng=rng, **options)

    def magnitude(self, rng, mask):
        return mask.copy(data=rng.lognormal(0, 0.3, mask.size))

    def test_uniform_masks_have_the_size_and_none_of_the_units(self, rng):
        mask, drawn = self.masks(rng, "uniform")
        assert (drawn.sum("unit") == 20).all()
        assert not (drawn & mask).any()
        assert len({tuple(row) for row in drawn.values}) == 20

    def test_layer_matched_masks_have_the_layer_profile(self, rng):
        mask, drawn = self.masks(rng, "layer-matched")
        for layer in ("l0", "l1"):
            inside = mask["layer"].values == layer
            assert (drawn.values[:, inside].sum(axis=1) == mask.values[inside].sum()).all()

    def test_norm_matched_masks_have_partners_within_a_factor_of_two(self, rng):
        mask, _ = self.masks(rng, "uniform", n=1)
        magnitude = self.magnitude(rng, mask)
        drawn = loc.random_masks(mask, "norm-matched", 10, rng=rng, magnitude=magnitude)
        assert (drawn["n_unmatched"] == 0).all()
        for row in drawn.values:
            for layer in ("l0", "l1"):
                inside = mask["layer"].values == layer
                chosen = np.sort(magnitude.values[inside & mask.values])
                partner = np.sort(magnitude.values[inside & row])
                assert (np.abs(np.log(chosen / partner)) < np.log(2)).all()

    @pytest.mark.parametrize("scale", [1e-3, 50.0])
    def test_partners_do_not_depend_on_the_unit_of_the_magnitude(self, rng, scale):
        mask, _ = self.masks(rng, "uniform", n=1)
        magnitude = self.magnitude(rng, mask)
        drawn = [
            loc.random_masks(
                mask, "norm-matched", 3, rng=np.random.default_rng(4), magnitude=magnitude * factor
            )
            for factor in (1.0, scale)
        ]
        assert (drawn[1]["n_unmatched"] == 0).all()
        np.testing.assert_array_equal(*drawn)

    @pytest.mark.parametrize(("other", "unmatched"), [(2.0, 0), (0.5, 0), (2.001, 20), (0.499, 20)])
    def test_a_partner_of_exactly_twice_or_half_the_size_will_do(self, rng, other, unmatched):
        mask, _ = self.masks(rng, "uniform", n=1)
        magnitude = mask.copy(data=np.where(mask.values, 1.0, other))
        drawn = loc.random_masks(mask, "norm-matched", 1, rng=rng, magnitude=magnitude)
        assert drawn["n_unmatched"].values.tolist() == [unmatched]

    def test_an_outlier_without_a_partner_is_counted(self, rng):
        mask, _ = self.masks(rng, "uniform", n=1)
        magnitude = self.magnitude(rng, mask)
        magnitude[int(mask.values.nonzero()[0][0])] = 1000.0
        drawn = loc.random_masks(mask, "norm-matched", 5, rng=rng, magnitude=magnitude)
        assert (drawn["n_unmatched"] == 1).all()
        alone = loc.unmatched_units(mask, magnitude)
        assert alone.values.nonzero()[0].tolist() == [int(mask.values.nonzero()[0][0])]
        assert loc.outlier_units(magnitude, factor=6).values.nonzero()[0].tolist() == [
            int(np.argmax(alone.values))
        ]

    def test_mistakes_are_named(self, rng):
        mask, _ = self.masks(rng, "uniform", n=1)
        with pytest.raises(InvalidValueError, match="kind must be one of 'uniform', 'layer-matched'"):
            loc.random_masks(mask, "unifrom", 1, rng=rng)
        with pytest.raises(ShapeError, match="need the magnitude"):
            loc.random_masks(mask, "norm-matched", 1, rng=rng)
        with pytest.raises(InvalidValueError, match="only 0 are left"):
            loc.random_masks(mask | True, "uniform", 1, rng=rng)
        with pytest.raises(InvalidValueError, match="n must be 1 or more"):
            loc.random_masks(mask, "uniform", 0, rng=rng)
        with pytest.raises(InvalidValueError, match="factor must be above 1"):
            loc.outlier_units(self.magnitude(rng, mask), factor=1.0)

    def test_the_same_generator_gives_the_same_masks(self, rng):
        mask, _ = self.masks(rng, "uniform", n=1)
        a, b = (loc.random_masks(mask, "uniform", 3, rng=np.random.default_rng(4)) for _ in range(2))
        assert a.equals(b)


def test_names_of_conditions_are_for_moments_and_labels_for_activations(rng):
    stimuli = table()
    with pytest.raises(LabelError, match="must be lists of stimulus labels; got one text"):
        loc.localize(planted(stimuli, rng), "sentence", "nonword")


def test_moments_of_one_stimulus_and_of_absolute_activations_are_refused(rng):
    stimuli = table(n_runs=1, per_run=2).iloc[[0, 1, 2]]
    moments = loc.group_moments(planted(stimuli, rng), stimuli)
    with pytest.raises(ShapeError, match=r"2 rows or more of the same units; got \(2, 100\) and \(1, 100\)"):
        loc.localize(moments, "sentence", "nonword")
    with pytest.raises(ShapeError, match="an effect size needs 2 stimuli or more a condition; got 2 and 1"):
        loc.effect_sizes(moments, "sentence", "nonword")
    with pytest.raises(InvalidValueError, match="moments of absolute activations; pass absolute=True"):
        loc.localize(moments.assign_attrs(absolute=True), "sentence", "nonword")


def test_magnitude_of_sites_and_of_nothing(rng):
    activations = planted(table(), rng)
    found = loc.unit_magnitude({"mlp_out": activations})
    np.testing.assert_array_equal(found.values, loc.unit_magnitude(activations).values)
    assert set(found["site"].values) == {"mlp_out"}
    with pytest.raises(ShapeError, match="activations have no layer"):
        loc.unit_magnitude({})


def small(values):
    """One layer; rows p0, p1, ... are positive and n0, n1, ... negative."""
    n_positive = [len(side) for side in values]
    names = [[f"{side}{i}" for i in range(n)] for side, n in zip("pn", n_positive, strict=True)]
    data = np.concatenate([np.asarray(side, dtype=float) for side in values])
    coords = {"stimulus": [*names[0], *names[1]]}
    return {"l": xr.DataArray(data, dims=("stimulus", "unit"), coords=coords)}, *names


class TestSmallestContrast:
    def test_two_stimuli_a_side_give_the_numbers_by_hand(self):
        # Means 2 and 0 and sums of squares 2 and 8: t = 2 / sqrt(1 + 4) and d = 2 / sqrt(10 / 2).
        activations, positive, negative = small(([[1.0], [3.0]], [[-2.0], [2.0]]))
        found = loc.localize(activations, positive, negative, k=1)
        assert float(found["t"][0]) == pytest.approx(2 / np.sqrt(5))
        assert float(found["d"][0]) == pytest.approx(2 / np.sqrt(5))
        assert (found.attrs["n_positive"], found.attrs["n_negative"]) == (2, 2)
        sizes = loc.effect_sizes(activations, positive, negative)
        assert float(sizes["d"][0]) == pytest.approx(2 / np.sqrt(5))
        assert sizes["low"][0] < sizes["d"][0] < sizes["high"][0]

    @pytest.mark.parametrize("short", [0, 1])
    def test_one_stimulus_a_side_is_refused(self, short):
        sides = [np.arange(6.0).reshape(3, 2), -(np.arange(6.0).reshape(3, 2) ** 2)]
        sides[short] = sides[short][:1]
        activations, positive, negative = small(sides)
        name = ("positive", "negative")[short]
        for function in (loc.localize, loc.effect_sizes):
            with pytest.raises(ShapeError, match=f"2 rows or more a side; got 1 {name} stimuli"):
                function(activations, positive, negative)

    @pytest.mark.parametrize(("counts", "refused"), [((2, 2), False), ((1, 2), True), ((2, 1), True)])
    def test_moments_of_two_stimuli_have_an_effect_size_and_of_one_none(self, counts, refused):
        activations, positive, negative = small(([[1.0], [3.0]], [[-2.0], [2.0]]))
        positive, negative = positive[: counts[0]], negative[: counts[1]]
        labels = {"stimulus": [*positive, *negative], "condition": ["a"] * counts[0] + ["b"] * counts[1]}
        moments = loc.group_moments(activations, pd.DataFrame(labels))
        if refused:
            with pytest.raises(ShapeError, match=f"got {counts[0]} and {counts[1]}"):
                loc.effect_sizes(moments, "a", "b")
        else:
            assert float(loc.effect_sizes(moments, "a", "b")["d"][0]) == pytest.approx(2 / np.sqrt(5))

    def test_hedges_factor_is_of_all_stimuli_less_two(self):
        # 2 degrees of freedom: the factor is 1 / sqrt(pi).
        activations, positive, negative = small(([[1.0], [3.0]], [[-2.0], [2.0]]))
        plain, fair = (loc.effect_sizes(activations, positive, negative, hedges=h) for h in (False, True))
        for name in ("d", "low", "high"):
            assert float(fair[name][0]) == pytest.approx(float(plain[name][0]) / np.sqrt(np.pi))

    @pytest.mark.parametrize("scale", [1e-9, 1e9])
    @pytest.mark.parametrize("absolute", [False, True])
    def test_the_unit_of_the_activations_changes_nothing(self, rng, scale, absolute):
        sides = rng.standard_normal((5, 8)) + 0.5, rng.standard_normal((3, 8)) - 0.2
        activations, positive, negative = small(sides)
        scaled = {"l": activations["l"] * scale}
        found, other = (
            loc.localize(x, positive, negative, k=3, absolute=absolute) for x in (activations, scaled)
        )
        for name in ("t", "p", "d"):
            np.testing.assert_allclose(other[name].values, found[name].values, rtol=1e-9)
        x, y = (np.abs(side) if absolute else side for side in sides)
        expected = scipy_stats.ttest_ind(x, y, equal_var=False).statistic
        np.testing.assert_allclose(other["t"].values, expected, rtol=1e-9)
        assert other["mask"].values.nonzero()[0].tolist() == np.sort(np.argsort(-expected)[:3]).tolist()


def test_different_numbers_of_units_have_no_t(rng):
    with pytest.raises(ShapeError, match=r"same units; got \(4, 3\) and \(4, 2\)"):
        loc.welch_t(rng.standard_normal((4, 3)), rng.standard_normal((4, 2)))


class TestSelectionAtItsLimits:
    @pytest.mark.parametrize(
        ("p", "q", "expected"), [(0.25, 0.25, True), (0.25, 0.125, False), (0.125, 0.25, True)]
    )
    def test_a_rate_that_is_met_exactly_selects(self, p, q, expected):
        assert loc.select_units(np.array([1.0]), p=np.array([p]), q=q).tolist() == [expected]

    @pytest.mark.parametrize(("t", "expected"), [(1e-300, True), (0.0, False), (-1e-300, False)])
    def test_the_rate_takes_units_above_zero_only(self, t, expected):
        assert loc.select_units(np.array([t]), p=np.array([0.001]), q=0.5).tolist() == [expected]

    def test_layers_of_unequal_sizes_each_give_their_share_wherever_their_units_stand(self):
        layer = np.array(list("abbabbbcbabb"))  # 3 of a, 8 of b, 1 of c
        t = np.array([3.0, 1, 2, 9, 8, 7, 6, -5, 5, 1, 4, 3])
        chosen = loc.select_units(t, layer=layer, fraction_per_layer=0.5)
        # round(1.5) = 2 of a, 4 of b, and at least 1 of c.
        assert chosen.nonzero()[0].tolist() == [0, 3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize(
        ("fraction", "n"), [(1.0, 7), (0.5, 4), (0.3, 2), (0.01, 1), (1e-9, 1)], ids=lambda x: str(x)
    )
    def test_a_fraction_is_rounded_and_one_unit_at_least(self, fraction, n):
        t = np.array([0.0, 6, -1, 5, 2, 4, -3])
        expected = np.sort(np.argsort(-t, kind="stable")[:n]).tolist()
        assert loc.select_units(t, fraction=fraction).nonzero()[0].tolist() == expected

    @pytest.mark.parametrize("rule", [{"fraction": 1.0001}, {"fraction": -0.5}, {"fraction_per_layer": 0.0}])
    def test_a_share_outside_its_limits_is_refused(self, rule):
        with pytest.raises(InvalidValueError, match=rf"{next(iter(rule))} must be in \(0, 1\]"):
            loc.select_units(np.ones(3), layer=np.array(list("aab")), **rule)

    @pytest.mark.parametrize("q", [0.0, 1.0])
    def test_a_rate_of_nothing_or_of_all_is_refused(self, q):
        with pytest.raises(InvalidValueError, match="q must be between 0 and 1"):
            loc.select_units(np.ones(1), p=np.ones(1), q=q)

    def test_as_many_units_as_are_defined_can_be_taken_and_one_more_cannot(self):
        t = np.array([np.nan, -2.0, 0.0, np.nan, 5.0])
        assert loc.select_units(t, k=3).tolist() == [False, True, True, False, True]
        with pytest.raises(
            InvalidValueError, match="k must be from 1 to the 3 units with a defined t; got 4"
        ):
            loc.select_units(t, k=4)


def mask_of(chosen, layer):
    layer = np.array(list(layer))
    index = np.array([np.sum(layer[:i] == name) for i, name in enumerate(layer)])
    return make_mask(np.array(chosen, dtype=bool), layer=layer, site="block", index=index)


class TestControlsAtTheirLimits:
    @pytest.mark.parametrize("kind", ["uniform", "layer-matched"])
    def test_just_enough_units_outside_are_all_taken_and_one_less_is_refused(self, rng, kind):
        enough = mask_of([1, 0, 0, 1, 1, 0], "aabbbb")
        drawn = loc.random_masks(enough, kind, 2, rng=rng)
        assert (drawn.values == ~enough.values).all()
        short = mask_of([1, 0, 1, 1, 1, 0], "aabbbb")
        with pytest.raises(
            InvalidValueError, match=r"\d random units were asked for in .*, but only \d are left"
        ):
            loc.random_masks(short, kind, 2, rng=rng)

    def test_layers_of_unequal_sizes_keep_their_numbers(self, rng):
        mask = mask_of([1, 0, 0, 1, 0, 0, 1, 0, 0], "abababbbb")
        drawn = loc.random_masks(mask, "layer-matched", 30, rng=rng)
        inside = mask["layer"].values == "a"
        assert (drawn.values[:, inside].sum(axis=1) == 1).all()
        assert (drawn.values[:, ~inside].sum(axis=1) == 2).all()
        assert not (drawn.values & mask.values).any()
        # Every unit that is free is drawn at some time.
        assert (drawn.values.any(axis=0) == ~mask.values).all()

    @pytest.mark.parametrize(
        ("other", "alone"),
        [(2.0, False), (0.5, False), (2.001, True), (0.499, True), (1.0, False), (0.0, True)],
    )
    def test_a_unit_is_matched_up_to_exactly_a_factor_of_two_in_its_own_layer(self, other, alone):
        mask = mask_of([1, 0, 0, 0], "aabb")
        magnitude = mask.copy(data=np.array([1.0, other, 1.0, 1.0]))
        assert loc.unmatched_units(mask, magnitude).values.tolist() == [alone, False, False, False]

    @pytest.mark.parametrize("selected", [0.0, 1.0])
    def test_a_silent_unit_is_matched_by_a_silent_one_only(self, rng, selected):
        mask = mask_of([1, 0, 0], "aaa")
        magnitude = mask.copy(data=np.array([selected, 0.0, 1.0]))
        drawn = loc.random_masks(mask, "norm-matched", 5, rng=rng, magnitude=magnitude)
        assert drawn["n_unmatched"].values.tolist() == [0] * 5
        expected = [False, True, False] if selected == 0 else [False, False, True]
        assert (drawn.values == expected).all()
        assert not loc.unmatched_units(mask, magnitude).any()

    def test_partners_are_among_the_fifty_nearest_and_no_partner_serves_twice(self, rng):
        # 52 free units at growing distance: the two farthest are never drawn for the one selected unit.
        mask = mask_of([1] + [0] * 52, "a" * 53)
        magnitude = mask.copy(data=np.array([1.0, *(1 + 0.01 * np.arange(1, 53))]))
        drawn = loc.random_masks(mask, "norm-matched", 1000, rng=rng, magnitude=magnitude)
        assert drawn.values.any(axis=0).nonzero()[0].tolist() == list(range(1, 51))
        two = mask_of([1, 1, 0], "aaa")
        drawn = loc.random_masks(two, "norm-matched", 4, rng=rng, magnitude=two.copy(data=np.ones(3)))
        assert (drawn.values == [False, False, True]).all()
        assert drawn["n_unmatched"].values.tolist() == [1] * 4

    def test_an_outlier_is_above_the_factor_times_the_median_of_its_layer(self):
        # Medians 1 and 10: exactly 6 times is no outlier.
        mask = mask_of([0] * 8, "aaaabbbb")
        magnitude = mask.copy(data=np.array([1.0, 1.0, 6.0, 0.5, 10, 10, 60.5, 0]))
        assert loc.outlier_units(magnitude).values.nonzero()[0].tolist() == [6]
        assert loc.outlier_units(magnitude, factor=5.5).values.nonzero()[0].tolist() == [2, 6]
        found = loc.outlier_units(magnitude, factor=1.001)
        assert found.attrs["outlier_factor"] == 1.001 and found.values.nonzero()[0].tolist() == [2, 6]


@pytest.mark.parametrize(
    ("level", "low", "high"), [(0.95, [2 / 6, 0.0], [4 / 6, 1.0]), (0.5, [3 / 6, 0.5], [3 / 6, 0.5])]
)
def test_layer_profile_of_unequal_layers_is_hypergeometric_by_hand(level, low, high):
    # 4 of 8 units, 6 in layer a: a random mask has 2, 3 or 4 of them with 15, 40 and 15 of 70.
    found = loc.layer_profile(mask_of([1, 0, 1, 1, 0, 0, 1, 0], "aabaaaab"), level=level)
    assert found["layer"].values.tolist() == ["a", "b"]
    assert found["n"].values.tolist() == [3, 1]
    assert found["share"].values.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(found["low"], low)
    np.testing.assert_allclose(found["high"], high)


def test_two_runs_give_held_out_numbers_by_hand_and_the_third_condition_takes_no_part():
    # Run 0 selects unit 0 and run 1 unit 1; each is measured on the run that did not select it.
    values = {
        ("a", 0): [[5.0, 1.0], [7.0, 3.0]],
        ("b", 0): [[0.0, 0.0], [2.0, 4.0]],
        ("a", 1): [[1.0, 6.0], [3.0, 9.0]],
        ("b", 1): [[2.0, 1.0], [0.0, 2.0]],
        ("c", 1): [[99.0, 99.0], [98.0, -99.0]],
    }
    rows = [(f"{c}{r}{i}", c, r) for c, r in values for i in range(2)]
    stimuli = pd.DataFrame(rows, columns=["stimulus", "condition", "run"])
    data = xr.DataArray(
        np.concatenate([np.array(x) for x in values.values()]),
        dims=("stimulus", "unit"),
        coords={"stimulus": stimuli["stimulus"].to_numpy()},
    )
    found = loc.cross_validated_selectivity({"l": data}, stimuli, "a", "b", k=1)
    assert found["mask"].values.tolist() == [[False, True], [True, False]]
    assert found["n_selected"].values.tolist() == [1, 1]
    np.testing.assert_allclose(found["difference"].values, [[5.0, 0.0], [1.0, 6.0]])
    np.testing.assert_allclose(found["mask_difference"].values, [0.0, 1.0])
    difference = found.sel(quantity="difference")
    assert float(difference["mean"]) == 0.5
    # Student's interval of two runs: mean -+ t(0.975, 1) * |x0 - x1| / 2.
    half = scipy_stats.t.ppf(0.975, 1) * np.array([4.0, 6.0]) / 2
    np.testing.assert_allclose(difference["unit_mean"], [3.0, 3.0])
    np.testing.assert_allclose(difference["unit_low"], 3.0 - half)
    np.testing.assert_allclose(difference["unit_high"], 3.0 + half)
    # Of the one split, run 0 selects and run 1 measures: one run has a mean and no interval.
    assert (
        float(difference["split_mean"]) == 1.0
        and np.isnan(difference["low"])
        and np.isnan(difference["high"])
    )


def test_run_in_which_a_unit_is_constant_is_left_out_of_its_interval(rng):
    stimuli = table(n_runs=4, per_run=3)
    activations = planted(stimuli, rng, n_units=6, layers=("l0",), n_planted=1)
    out = (stimuli["run"] == 2).to_numpy()
    activations["l0"][out, 4] = 1.0
    found = loc.cross_validated_selectivity(activations, stimuli, "sentence", "nonword", k=2, level=0.8)
    d = found["d"].values[[0, 1, 3], 4]
    assert np.isnan(found["d"].values[2, 4])
    interval = scipy_stats.t.interval(0.8, 2, d.mean(), scipy_stats.sem(d))
    at = found.sel(quantity="d").isel(unit=4)
    assert float(at["unit_mean"]) == pytest.approx(d.mean())
    assert (float(at["unit_low"]), float(at["unit_high"])) == pytest.approx(interval)
    activations["l0"][:, 4] = 1.0
    found = loc.cross_validated_selectivity(activations, stimuli, "sentence", "nonword", k=2)
    assert np.isnan(
        found[["unit_mean", "unit_low", "unit_high"]].isel(unit=4).sel(quantity="d").to_array()
    ).all()


def test_magnitude_weighs_stimuli_and_not_conditions():
    values = np.array([[1.0, -2.0], [3.0, 2.0], [-8.0, 8.0]])
    array = xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": list("abc")})
    stimuli = pd.DataFrame({"stimulus": list("abc"), "condition": ["x", "x", "y"]})
    moments = loc.group_moments({"l": array}, stimuli)
    assert loc.unit_magnitude(moments).values.tolist() == [4.0, 4.0]
    # A condition of which nothing was read has no mean and does not count.
    none = moments.isel(group=[1]).copy(deep=True)
    none["n"][:], none["mean"][:], none["m2"][:], none["mean_abs"][:] = 0, np.nan, 0.0, np.nan
    both = xr.concat([moments, none], dim="group")
    assert loc.unit_magnitude(both).values.tolist() == [4.0, 4.0]
