from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats as scipy_stats
from tiny import build

from neuroalign import io
from neuroalign import localization as loc
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.extraction import extract
from neuroalign.schema import make_mask

TABLE = {
    "naacl2025": (True, 12, "last", ("block",), {"fraction": 0.01}),
    "brainscore": (False, 12, "last", ("block",), {"k": 4096}),
    "topolm": (False, None, "mean", ("attn_out", "mlp_out"), {"q": 0.05}),
    "default": (False, None, "last", ("block",), {"fraction": 0.01}),
}
LABELS = [[f"{c}{i}" for i in range(10)] for c in "sn"]


def activations(rng, **attrs):
    values = rng.standard_normal((20, 300))
    values[:10, :5] += 3
    coords = {"stimulus": [*LABELS[0], *LABELS[1]]}
    return xr.Dataset({"l": xr.DataArray(values, dims=("stimulus", "unit"), coords=coords)}, attrs=attrs)


@pytest.mark.parametrize("name", TABLE)
def test_presets_are_the_documented_ones(name):
    absolute, cap, pool, sites, rule = TABLE[name]
    found = loc.preset(name)
    assert found.selection == {**rule, "absolute": absolute}
    assert found.extraction == [{"site": s, "pool": pool, "max_tokens": cap} for s in sites]
    table = pd.DataFrame({"stimulus": ["a"], "text": ["A DOG"]})
    assert found.stimuli(table)["text"].tolist() == ["a dog"] and found.case == "lower"
    assert list(loc.PRESETS) == list(TABLE)


def test_every_parameter_of_a_preset_is_free_and_a_rule_takes_the_others_place():
    found = loc.preset("naacl2025", q=0.01, max_tokens=None, case="original", sites=("mlp_out",))
    assert found.selection == {"q": 0.01, "absolute": True}
    assert found.extraction == [{"site": "mlp_out", "pool": "last", "max_tokens": None}]
    assert loc.preset("naacl2025").fraction == 0.01
    assert loc.preset(found, k=3).selection == {"k": 3, "absolute": True}
    with pytest.raises(FrozenInstanceError):
        found.k = 3


def test_a_preset_selects_as_its_parameters_do_and_all_of_them_are_stored(rng, tmp_path):
    data = activations(rng, pool="last", max_tokens=12, site="block", model_digest="m")
    chosen = loc.preset("brainscore", k=5)
    found = loc.localize(data, *LABELS, preset=chosen)
    assert found["mask"].equals(loc.localize(data, *LABELS, k=5)["mask"])
    about = {"preset": "brainscore", "absolute": False, "max_tokens": 12, "pool": "last", "case": "lower"}
    expected = about | {"sites": "block", "k": 5, "model_digest": "m", "n_positive": 10, "n_negative": 10}
    assert found["mask"].attrs == expected
    full = loc.localize(data.drop_attrs(), *LABELS, preset="default")
    io.save(full, tmp_path / "x.nc", inputs={}, params={}, seed=0)
    assert io.load(tmp_path / "x.nc")["mask"].attrs["max_tokens"] is None


def test_presets_disagree_and_the_false_discovery_rate_takes_positive_units(rng):
    data = activations(rng)
    masks = {
        name: loc.localize(data, *LABELS, preset=loc.preset(name, sites=("block",), **more))["mask"]
        for name, more in (("naacl2025", {}), ("brainscore", {"k": 5}), ("topolm", {}), ("default", {}))
    }
    assert masks["brainscore"].values.nonzero()[0].tolist() == [0, 1, 2, 3, 4]
    statistics = loc.localize(data, *LABELS)
    adjusted = scipy_stats.false_discovery_control(statistics["p"].values)
    assert (masks["topolm"].values == (adjusted <= 0.05)).all() and masks["topolm"].values[:5].sum() >= 4
    assert int(masks["default"].sum()) == 3


@pytest.mark.parametrize(
    ("attrs", "text"),
    [
        ({"pool": "mean"}, "reads with pool='last'; the activations were read with pool='mean'"),
        ({"max_tokens": 5}, "reads with max_tokens=None; the activations were read with max_tokens=5"),
        ({"site": "mlp_out"}, "reads with site='block'; the activations were read with site='mlp_out'"),
    ],
)
def test_activations_that_were_read_in_another_way_are_refused(rng, attrs, text):
    with pytest.raises(InvalidValueError, match=text):
        loc.localize(activations(rng, **attrs), *LABELS, preset="default")


def test_mistakes_with_presets_are_named(rng):
    data = activations(rng)
    with pytest.raises(InvalidValueError, match="preset must be one of 'naacl2025', 'brainscore', 'topolm'"):
        loc.localize(data, *LABELS, preset="naacl")
    with pytest.raises(InvalidValueError, match="a preset holds the rule; got 'k' too"):
        loc.localize(data, *LABELS, preset="default", k=3)
    with pytest.raises(InvalidValueError, match="each parameter of a preset must be one of 'name'"):
        loc.preset("default", cap=3)
    with pytest.raises(InvalidValueError, match="needs exactly one of fraction, k, q, fraction_per_layer"):
        loc.Preset("mine")
    with pytest.raises(InvalidValueError, match="case must be one of"):
        loc.preset("default", case="upper")
    with pytest.raises(InvalidValueError, match="k must be from 1 to the 300 units"):
        loc.localize(data, *LABELS, preset="brainscore")
    with pytest.raises(InvalidValueError, match="sites must be a tuple"):
        loc.preset("default", sites="block")


class TestRefusals:
    def test_a_condition_without_stimuli_or_with_one(self, rng):
        data = activations(rng)
        for positive in ([], LABELS[0][:1]):
            with pytest.raises(ShapeError, match=f"2 rows or more a side; got {len(positive)} positive"):
                loc.localize(data, positive, LABELS[1])

    def test_a_network_whose_units_are_all_dead(self, rng):
        data = activations(rng)
        data["l"][:] = 3.0
        for rule in ({"k": 1}, {"q": 0.05}, {"fraction": 0.1}):
            with pytest.raises(InvalidValueError, match="all 300 units are constant in both conditions"):
                loc.localize(data, *LABELS, **rule)

    def test_more_units_than_are_alive(self, rng):
        data = activations(rng)
        data["l"][:, 10:] = 3.0
        with pytest.raises(
            InvalidValueError, match="k must be from 1 to the 10 units with a defined t; got 11"
        ):
            loc.localize(data, *LABELS, k=11)


class TestAgreement:
    def masks(self):
        from neuroalign.schema import make_mask

        rows = np.zeros((3, 100), dtype=bool)
        rows[0, :10] = rows[1, 5:15] = True
        place = {"layer": np.full(100, "l"), "site": "block", "index": np.arange(100)}
        return {name: make_mask(row, **place) for name, row in zip("abc", rows, strict=True)}

    def test_overlap_matrix_is_dice_with_chance_and_hypergeometric_p(self, rng):
        masks = self.masks()
        found = loc.agreement(masks | {"b": masks["b"][::-1]})
        at = found.sel(mask_a="a", mask_b="b")
        assert float(at["dice"]) == 0.5 and float(at["chance"]) == pytest.approx(0.1)
        draws = [(rng.permutation(100)[:10] < 10).sum() >= 5 for _ in range(20000)]
        assert float(at["p"]) == pytest.approx(np.mean(draws), abs=2e-3)
        assert float(found["dice"].sel(mask_a="a", mask_b="a")) == 1.0
        assert float(found["dice"].sel(mask_a="a", mask_b="c")) == 0.0
        assert np.isnan(found["dice"].sel(mask_a="c", mask_b="c"))
        assert loc.dice(masks["a"], masks["b"]) == (0.5, pytest.approx(0.1))
        assert found["n_units"].values.tolist() == [10, 10, 0]

    def test_units_that_agree_are_counted_against_chance(self):
        masks = {name: mask for name, mask in self.masks().items() if name != "c"}
        both, any_of = loc.agreeing_units(masks), loc.agreeing_units(masks, at_least=1)
        assert both["mask"].values.nonzero()[0].tolist() == [5, 6, 7, 8, 9]
        assert both.attrs["expected"] == pytest.approx(1.0)
        assert int(any_of["mask"].sum()) == 15 and any_of.attrs["expected"] == pytest.approx(19.0)
        with pytest.raises(InvalidValueError, match="at_least must be from 1 to the 2 masks"):
            loc.agreeing_units(masks, at_least=3)
        with pytest.raises(InvalidValueError, match="no mask was given"):
            loc.agreement({})


class TestReading:
    def stimuli(self):
        rows = [
            (f"{c}{run}{i}", f"{'THE CAT SLEEPS' if c == 'sentence' else 'dap fep gorp'} {i}{run}", c, run)
            for run in (1, 2)
            for c in ("sentence", "nonword")
            for i in range(3)
        ]
        return pd.DataFrame(rows, columns=["stimulus", "text", "condition", "run"])

    @pytest.mark.parametrize("with_runs", [True, False])
    def test_a_network_is_read_as_the_preset_does_at_all_its_sites(self, with_runs):
        model, table = build(), self.stimuli()
        table = table if with_runs else table.drop(columns="run")
        moments = loc.preset_moments(model, table, "topolm", progress=False)
        assert set(moments["site"].values) == {"attn_out", "mlp_out"}
        assert moments.sizes["unit"] == 2 * sum(model.widths.values())
        found = loc.localize(moments, "sentence", "nonword", preset="topolm")
        assert found["mask"].attrs["model_digest"] == model.digest and found["mask"].attrs["pool"] == "mean"
        lower = table.assign(text=table["text"].str.lower())
        by_hand = extract(model, lower, site="mlp_out", pool="mean", progress=False)
        sides = [table.loc[table["condition"] == c, "stimulus"] for c in ("sentence", "nonword")]
        expected = loc.localize(by_hand, *sides, k=1)["t"].values
        inside = found["site"].values == "mlp_out"
        np.testing.assert_allclose(found["t"].values[inside], expected, rtol=1e-6)

    def test_the_token_cap_of_a_preset_is_the_networks_input(self):
        model, table = build(), self.stimuli()
        moments = loc.preset_moments(model, table, loc.preset("brainscore", k=3), progress=False)
        assert moments.attrs["max_tokens"] == 12
        with pytest.raises(InvalidValueError, match="reads with max_tokens=None"):
            loc.localize(moments, "sentence", "nonword", preset="default")


class TestAgreementOfUnequalMasks:
    """10 units; a has 4 of them, b 3 and c all 10; a and b share 2."""

    def masks(self):
        rows = {"a": [0, 1, 2, 3], "b": [2, 3, 9], "c": range(10)}
        place = {"layer": np.full(10, "l"), "site": "block", "index": np.arange(10)}
        return {name: make_mask(np.isin(np.arange(10), list(row)), **place) for name, row in rows.items()}

    def test_overlap_chance_and_p_are_those_by_hand(self):
        masks = self.masks()
        found = loc.agreement(masks)
        np.testing.assert_allclose(found["dice"][0], [1.0, 4 / 7, 8 / 14])
        np.testing.assert_allclose(found["chance"][0], [2 * 1.6 / 8, 2 * 1.2 / 7, 8 / 14])
        assert found["n_shared"].values.tolist() == [[4, 2, 4], [2, 3, 3], [4, 3, 10]]
        assert found["n_units"].values.tolist() == [4, 3, 10] and found.attrs["n"] == 10
        # Of 120 ways to draw 3 of 10, 6 * 6 share 2 with a and 4 share 3; all share 3 or more with c.
        np.testing.assert_allclose(found["p"][:2, :], [[1 / 210, 40 / 120, 1.0], [40 / 120, 1 / 120, 1.0]])
        np.testing.assert_allclose(found["p"].values, found["p"].values.T)
        assert loc.dice(masks["a"], masks["b"]) == (pytest.approx(4 / 7), pytest.approx(2 * 1.2 / 7))

    def test_numbers_of_units_that_agree_by_chance_are_those_by_hand(self):
        masks = self.masks()
        # In a with .4, in b with .3, in c surely: 1 to 3 of them with .42, .46 and .12.
        for at_least, expected, n in ((1, 10.0, 10), (2, 5.8, 5), (3, 1.2, 2), (None, 1.2, 2)):
            found = loc.agreeing_units(masks, at_least=at_least)
            assert found.attrs["expected"] == pytest.approx(expected)
            assert int(found["mask"].sum()) == n and found.attrs["at_least"] == (at_least or 3)
        assert found["n_masks"].values.tolist() == [2, 2, 3, 3, 1, 1, 1, 1, 1, 2]
        for wrong in (0, 4):
            with pytest.raises(InvalidValueError, match=f"from 1 to the 3 masks; got {wrong}"):
                loc.agreeing_units(masks, at_least=wrong)
