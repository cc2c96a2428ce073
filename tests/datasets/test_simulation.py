"""Simulated responses have the truth that they say they have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroalign import datasets, io, schema
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

N = 2000
SNR = {"strong": 2.0, "weak": 0.2, "null": 0.0}


def layers(n=N, *, seed=0, widths=(5, 8, 3)):
    draws = np.random.default_rng(seed)
    return {f"layer{i}": draws.normal(size=(n, width)) for i, width in enumerate(widths)}


def simulate(features=None, **options):
    options = {"planted_layer": "layer1", "snr": SNR, "rng": 7, **options}
    return datasets.simulate(layers() if features is None else features, **options)


def r(a, b):
    return np.corrcoef(a, b)[0, 1]


def held_out_r(design, response):
    """Least squares on the first half, correlation on the second."""
    half = len(design) // 2
    design = np.column_stack([np.ones(len(design)), design])
    weights = np.linalg.lstsq(design[:half], response[:half], rcond=None)[0]
    return r(design[half:] @ weights, response[half:])


def test_a_simulation_looks_like_a_loaded_series():
    bold = schema.check(simulate(n_subjects=3), "series")
    assert bold["neuroid"].values[:4].tolist() == ["s01/strong", "s01/weak", "s01/null", "s02/strong"]
    assert bold["subject"].values[3] == "s02" and bold["roi"].values[3] == "strong"
    assert bold["time"].values[:2].tolist() == [0.0, 2.0] and (bold["run"] == 1).all()
    assert bold.attrs["simulated"] is True
    assert bold.attrs["truth"]["planted_layer"] == dict.fromkeys(SNR, "layer1")
    assert bold.attrs["truth"]["snr"] == SNR and bold.attrs["truth"]["seed"] == 7


def test_a_simulation_survives_saving(tmp_path):
    bold = simulate(layers(60), n_subjects=1)
    io.save(bold, tmp_path / "x.nc")
    back = io.load(tmp_path / "x.nc")
    assert back.attrs["truth"]["snr"] == SNR
    np.testing.assert_array_equal(back, bold)


def test_the_planted_layer_predicts_best_and_the_null_region_is_not_predicted():
    features, bold = layers(), simulate(n_subjects=4)
    scores = {
        (roi, layer): np.mean(
            [
                held_out_r(datasets.convolve_hrf(x, 2.0), bold.sel(neuroid=f"s{i:02d}/{roi}").values)
                for i in range(1, 5)
            ]
        )
        for roi in SNR
        for layer, x in features.items()
    }
    # Least squares on 1,000 rows with 9 columns loses about half a percent of the ceiling.
    ceiling = {roi: value["subject_signal"] for roi, value in bold.attrs["ceiling"].items()}
    for roi in ("strong", "weak"):
        assert scores[roi, "layer1"] == pytest.approx(ceiling[roi], abs=0.06)
        assert max(scores[roi, "layer0"], scores[roi, "layer2"]) < 0.15
    assert max(abs(scores["null", layer]) for layer in features) < 0.1


def test_each_region_can_follow_a_layer_of_its_own():
    features = layers()
    bold = simulate(
        features, planted_layer={"a": "layer0", "b": "layer2"}, snr={"a": 3.0, "b": 3.0}, n_subjects=1
    )
    for roi, own, other in (("a", "layer0", "layer2"), ("b", "layer2", "layer0")):
        y = bold.sel(neuroid=f"s01/{roi}").values
        assert held_out_r(datasets.convolve_hrf(features[own], 2.0), y) > 0.8
        assert held_out_r(datasets.convolve_hrf(features[other], 2.0), y) < 0.2


@pytest.mark.parametrize("deviation", [0.0, 0.4])
def test_the_ceilings_are_what_is_measured(deviation):
    # White noise and wide layers: 4,000 volumes leave a standard error of about .015 on one correlation.
    features = {"x": np.random.default_rng(3).normal(size=(4000, 300))}
    options = {
        **{"planted_layer": "x", "snr": SNR, "rng": 1, "n_subjects": 8, "phi": 0.0},
        **{"hrf": None, "deviation": deviation},
    }
    bold = datasets.simulate(features, **options)
    shared = datasets.simulate(features, **{**options, "deviation": 0.0, "noise": False})
    signal = datasets.simulate(features, **options, noise=False)
    for roi, expected in bold.attrs["ceiling"].items():
        y = bold.values[:, bold["roi"].values == roi]
        others = [np.delete(y, i, axis=1).mean(axis=1) for i in range(8)]
        found = {
            "isc": np.mean([r(y[:, i], others[i]) for i in range(8)]),
            "pair": np.corrcoef(y.T)[np.triu_indices(8, 1)].mean(),
        }
        if SNR[roi]:
            truth = shared.values[:, shared["roi"].values == roi][:, 0]
            own = signal.values[:, signal["roi"].values == roi]
            found["subject_truth"] = np.mean([r(y[:, i], truth) for i in range(8)])
            found["subject_signal"] = np.mean([r(y[:, i], own[:, i]) for i in range(8)])
            found["group_truth"] = r(y.mean(axis=1), truth)
        for name, value in found.items():
            assert value == pytest.approx(expected[name], abs=0.03), (roi, name)


def test_ceilings_by_hand():
    # snr 1, all shared: pair .5; a subject with the mean of two others: 1 / sqrt(2 (1 + 1/2)).
    found = datasets.ceilings(1.0, n_subjects=3)
    assert found["pair"] == 0.5 and found["isc"] == pytest.approx(1 / np.sqrt(3))
    assert found["group_truth"] == pytest.approx(np.sqrt(3) / 2)
    assert set(datasets.ceilings(0.0, n_subjects=3).values()) == {0.0}
    # Nothing shared: a subject's own signal can be reached, the others' cannot.
    own = datasets.ceilings(1.0, n_subjects=3, deviation=1.0)
    assert own["isc"] == own["pair"] == own["subject_truth"] == 0.0 and own["subject_signal"] > 0.7
    assert np.isnan(datasets.ceilings(1.0, n_subjects=1)["isc"])


def test_the_signal_has_the_variance_that_snr_says():
    signal = simulate(noise=False, deviation=0.3, n_subjects=2)
    for roi, snr in SNR.items():
        np.testing.assert_allclose(signal.values[:, signal["roi"].values == roi].var(axis=0), snr, atol=1e-12)


@pytest.mark.parametrize("phi", [-0.4, 0.0, 0.5, 0.9])
def test_the_noise_is_autoregressive_with_variance_one(phi):
    noise = simulate(layers(8000), snr={"null": 0.0}, phi=phi, n_subjects=6).values
    lag_one = np.mean([r(column[:-1], column[1:]) for column in noise.T])
    assert lag_one == pytest.approx(phi, abs=0.02)
    assert noise.var(axis=0).mean() == pytest.approx(1.0, abs=0.08)
    assert abs(np.corrcoef(noise.T)[np.triu_indices(6, 1)]).max() < 0.15


def test_drift_is_a_line():
    flat = simulate(layers(100), n_subjects=2)
    drifting = simulate(layers(100), n_subjects=2, drift=3.0)
    added = (drifting - flat).values
    np.testing.assert_allclose(np.diff(added, n=2, axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(added.mean(axis=0), 0.0, atol=1e-10)
    assert added.std(axis=0).min() > 0.0


def test_the_seed_decides_everything():
    a, b = simulate(layers(50), rng=3), simulate(layers(50), rng=3)
    xr.testing.assert_identical(a, b)
    assert not np.array_equal(a, simulate(layers(50), rng=4))
    c, d = (simulate(layers(50), rng=np.random.default_rng(0)) for _ in range(2))
    xr.testing.assert_identical(c, d)
    xr.testing.assert_identical(c, simulate(layers(50), rng=c.attrs["truth"]["seed"]))


def test_more_subjects_regions_or_neuroids_change_none_of_those_before():
    small = simulate(layers(50), n_subjects=2, snr={"a": 1.0}, deviation=0.2)
    large = simulate(layers(50), n_subjects=4, snr={"b": 1.0, "a": 1.0}, deviation=0.2, neuroids_per_roi=3)
    np.testing.assert_array_equal(small.values, large.sel(neuroid=["s01/a/0", "s02/a/0"]).values)


def test_neuroids_of_a_region_differ_and_subjects_share_their_weights():
    bold = simulate(layers(300), n_subjects=2, neuroids_per_roi=2, noise=False, snr={"a": 1.0})
    one = bold.sel(neuroid="s01/a/0").values
    np.testing.assert_array_equal(one, bold.sel(neuroid="s02/a/0").values)
    assert abs(r(one, bold.sel(neuroid="s01/a/1").values)) < 0.99


def words(n=400, seed=5):
    draws = np.random.default_rng(seed)
    onsets = np.sort(draws.uniform(0, 200, size=n))
    return pd.DataFrame({"stimulus": [f"w{i:04d}" for i in range(n)], "onset": onsets})


def test_words_are_summed_into_the_volume_they_fall_into():
    table, features = words(), {"x": np.random.default_rng(0).normal(size=(400, 1))}
    options = {
        "planted_layer": "x",
        "snr": {"a": 1.0},
        "rng": 0,
        "noise": False,
        "n_subjects": 1,
        "n_times": 110,
    }
    bold = datasets.simulate(features, onsets=table["onset"].to_numpy(), hrf=None, **options)
    z = (features["x"][:, 0] - features["x"].mean()) / features["x"].std()
    summed = np.zeros(110)
    for value, onset in zip(z, table["onset"], strict=True):
        summed[int(onset // 2.0)] += value
    assert bold.shape == (110, 1)
    assert abs(r(bold.values[:, 0], summed)) == pytest.approx(1.0, abs=1e-12)
    convolved = datasets.simulate(features, onsets=table["onset"].to_numpy(), **options)
    assert abs(r(convolved.values[:, 0], datasets.convolve_hrf(summed, 2.0))) == pytest.approx(1.0, abs=1e-12)


def test_labelled_words_are_aligned_by_label_whatever_their_order(rng):
    table = words()
    x = xr.DataArray(
        rng.normal(size=(400, 4)), dims=("stimulus", "unit"), coords={"stimulus": table["stimulus"]}
    )
    options = {"planted_layer": "x", "snr": {"a": 1.0}, "rng": 0, "n_subjects": 1}
    straight = datasets.simulate({"x": x}, onsets=table, **options)
    shuffled = datasets.simulate({"x": x}, onsets=table.sample(frac=1, random_state=0), **options)
    xr.testing.assert_identical(straight, shuffled)
    with pytest.raises(LabelError, match="not in onsets: 'w0399'"):
        datasets.simulate({"x": x}, onsets=table.iloc[:-1], **options)


def test_labelled_volumes_keep_their_times_and_layers_are_aligned(rng):
    times = 10.0 + 2.0 * np.arange(60)
    x = xr.DataArray(rng.normal(size=(60, 3)), dims=("time", "feature"), coords={"time": times})
    other = xr.DataArray(rng.normal(size=(60, 2)), dims=("time", "feature"), coords={"time": times})
    features = {"x": x, "other": other}
    options = {"planted_layer": "other", "snr": {"a": 1.0}, "rng": 0}
    bold = datasets.simulate(features, **options)
    np.testing.assert_array_equal(bold["time"], times)
    again = datasets.simulate({"x": x, "other": other[::-1]}, **options)
    xr.testing.assert_identical(bold, again)
    with pytest.raises(LabelError, match="not in other"):
        datasets.simulate({"x": x, "other": other[1:]}, **options)
    with pytest.raises(LabelError, match="every layer or of none"):
        datasets.simulate({"x": x, "other": other.values}, **options)


def test_a_scale_or_shift_of_the_features_changes_nothing():
    features = layers(80)
    moved = {name: 5.0 + 1000.0 * x for name, x in features.items()}
    np.testing.assert_allclose(simulate(features).values, simulate(moved).values, atol=1e-9)


def test_arguments_are_not_edited():
    features = layers(80)
    before = {name: x.copy() for name, x in features.items()}
    simulate(features)
    assert all(np.array_equal(features[name], before[name]) for name in features)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"planted_layer": "layer9"}, InvalidValueError, "planted_layer must be one of 'layer0', .*'layer9'"),
        ({"planted_layer": {"strong": "layer0"}}, LabelError, "name the same in both"),
        ({"snr": {}}, InvalidValueError, "at least one region"),
        ({"snr": {"a": -1.0}}, InvalidValueError, "snr of 'a' must be 0 or more and finite; got -1.0"),
        ({"snr": {"a": np.inf}}, InvalidValueError, "snr of 'a' must be 0 or more and finite"),
        ({"phi": 1.0}, InvalidValueError, "phi must be finite and above -1 and below 1; got 1.0"),
        ({"deviation": 1.5}, InvalidValueError, "deviation must be finite and from 0 to 1"),
        ({"drift": -1.0}, InvalidValueError, "drift must be finite and 0 or more"),
        ({"tr": 0.0}, InvalidValueError, "tr must be finite and positive"),
        ({"n_subjects": 0}, InvalidValueError, "n_subjects must be a positive integer; got 0"),
        ({"hrf": "glover"}, InvalidValueError, "hrf must be one of 'spm', None; got 'glover'"),
        ({"n_times": 5}, InvalidValueError, "n_times belongs to onsets"),
        ({"rng": -1}, InvalidValueError, "seed must be a non-negative integer"),
        ({"onsets": np.arange(3.0)}, ShapeError, "same number of rows"),
        ({"onsets": np.arange(50.0) - 1}, InvalidValueError, "onsets must be from 0 to below .*; 1 are not"),
        (
            {"onsets": np.arange(50.0), "n_times": 10},
            InvalidValueError,
            "below 20.0 s .10 volumes.; 30 are not",
        ),
        ({"features": {"layer1": np.ones((50, 2))}}, InvalidValueError, "features of 'layer1' are constant"),
        ({"features": {"layer1": np.ones((2, 2))}}, ShapeError, "at least 3 rows"),
        ({"features": {"layer1": np.ones(50)}}, ShapeError, "must have 2 dimension"),
        ({"features": {"layer1": np.full((50, 2), np.nan)}}, InvalidValueError, "must be finite"),
        ({"features": layers(50, widths=(1, 1)), "deviation": 0.5}, InvalidValueError, "more features"),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    features = options.pop("features", layers(50))
    with pytest.raises(error, match=message):
        simulate(features, **options)


def test_ceilings_and_tables_of_another_form_are_refused():
    for snr in (-1.0, np.inf):
        with pytest.raises(InvalidValueError, match=f"snr must be 0 or more and finite; got {snr}"):
            datasets.ceilings(snr, n_subjects=3)
    table = pd.DataFrame({"stimulus": range(50), "start": range(50)})
    features = xr.DataArray(layers(50)["layer1"], dims=("stimulus", "unit"), coords={"stimulus": range(50)})
    with pytest.raises(LabelError, match=r"onsets has no column 'onset'; it has \['stimulus', 'start'\]"):
        simulate({"layer1": features}, onsets=table)
