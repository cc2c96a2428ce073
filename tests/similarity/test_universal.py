"""Excess correlation over a rotated basis, and sets of units that are mutual over several networks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroalign.errors import InvalidValueError
from neuroalign.similarity import excess_correlation, match_units, mutual_sets
from neuroalign.similarity.unit_batches import random_turn


def sparse(n=400, d=60, seed=0):
    return np.maximum(np.random.default_rng(seed).standard_normal((n, d)), 0)


def rotated(x, seed=1):
    return x @ np.linalg.qr(np.random.default_rng(seed).standard_normal((x.shape[1],) * 2))[0]


def half(n=400):
    return np.arange(n) % 2 == 0


def test_permuted_units_are_universal_and_rotated_ones_are_not():
    x = sparse()
    rng = np.random.default_rng(0)
    same = excess_correlation(x, {"y": x[:, ::-1]}, rng=rng, select=half())
    other = excess_correlation(x, {"y": rotated(x)}, rng=rng, select=half())
    assert same.attrs["share"] > 0.9 and other.attrs["share"] == 0
    assert same["partner"].values[0].tolist() == list(range(59, -1, -1))
    assert abs(float(other["excess"].mean())) < 0.03


def test_the_excess_is_the_best_correlation_less_that_of_rotated_units():
    """Written out for one network with the same draw of the rotation."""
    x, y = sparse(d=6), sparse(d=5, seed=2)
    found = excess_correlation(x, {"y": y}, rng=np.random.default_rng(7), n_rotations=1)
    q, r = np.linalg.qr(np.random.default_rng(7).standard_normal((5, 5)))
    turned = y @ (q * np.sign(np.diag(r)))
    best = [np.corrcoef(x.T, z.T)[:6, 6:].max(axis=1) for z in (y, turned)]
    np.testing.assert_allclose(found["r"].values[0], best[0], atol=1e-12)
    np.testing.assert_allclose(found["baseline"].values[0], best[1], atol=1e-12)
    np.testing.assert_allclose(found["excess"].values, best[0] - best[1], atol=1e-12)


def test_the_excess_is_the_mean_over_networks():
    x = sparse()
    rng = np.random.default_rng(0)
    found = excess_correlation(x, {"same": x, "noise": sparse(seed=9)}, rng=rng, n_rotations=2)
    apart = (found["r"] - found["baseline"]).mean("network")
    np.testing.assert_allclose(found["excess"].values, apart.values, atol=1e-12)
    assert found.attrs["share"] == 0  # shared with one of two: (.6 + 0) / 2


def test_few_stimuli_correlate_by_chance_and_the_baseline_has_it_too():
    """20 stimuli, 300 units of noise: a large best correlation, no excess, nothing held out."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 30)), rng.standard_normal((40, 300))
    found = excess_correlation(x, {"y": y}, rng=rng, select=half(40))
    assert float(found["r_selected"].mean()) > 0.5
    assert abs(float((found["r_selected"] - found["baseline_selected"]).mean())) < 0.05
    assert abs(float(found["r"].mean())) < 0.15 and found.attrs["share"] < 0.1


def test_dead_units_have_no_excess_and_are_counted():
    x, y = sparse(), sparse(seed=3)
    x[:, 4] = 0.0
    found = excess_correlation(x, {"y": y}, rng=np.random.default_rng(0))
    assert np.isnan(found["excess"].values[4]) and not found["universal"].values[4]
    assert found.attrs["n_undefined"] == 1 and np.isfinite(np.delete(found["excess"].values, 4)).all()


def test_a_threshold_is_an_argument():
    x = sparse()
    shares = [
        excess_correlation(x, {"y": x}, rng=np.random.default_rng(0), threshold=t).attrs["share"]
        for t in (0.0, 0.5, 1.0)
    ]
    assert shares[0] == 1.0 and shares[2] == 0.0 and shares[0] >= shares[1] >= shares[2]


def test_layers_are_rotated_by_themselves():
    x = sparse(d=4)
    coords = {"stimulus": [f"s{i:03}" for i in range(400)], "layer": ("unit", ["a", "b", "b", "b"])}
    y = xr.DataArray(x.copy(), dims=("stimulus", "unit"), coords=coords)
    a = xr.DataArray(x, dims=("stimulus", "unit"), coords={"stimulus": coords["stimulus"]})
    found = excess_correlation(a, {"y": y}, rng=np.random.default_rng(0), absolute=True)
    # A layer of one unit is its own rotation.
    assert float(found["excess"].values[0]) == pytest.approx(0.0, abs=1e-12)


def test_bad_rotations_are_refused(monkeypatch):
    x, rng = sparse(), np.random.default_rng(0)
    with pytest.raises(InvalidValueError, match="n_rotations must be a positive integer; got 0"):
        excess_correlation(x, {"y": x}, rng=rng, n_rotations=0)
    with pytest.raises(InvalidValueError, match="others is empty"):
        excess_correlation(x, {}, rng=rng)
    monkeypatch.setitem(random_turn.__globals__, "WIDEST", 10)
    monkeypatch.setitem(excess_correlation.__globals__, "random_turn", random_turn)
    with pytest.raises(InvalidValueError, match="Give the units a coordinate 'layer'"):
        excess_correlation(x, {"y": x}, rng=rng)


def seeds_of(n=4, seed=0):
    """Networks with 10 units in common, in orders of their own, and 5 of their own each."""
    rng = np.random.default_rng(seed)
    shared = sparse(d=10)
    networks, truth = {}, []
    for i in range(n):
        order = rng.permutation(15)
        both = np.hstack([shared + 0.2 * rng.standard_normal(shared.shape), rng.standard_normal((400, 5))])
        networks[f"seed {i}"] = both[:, order]
        truth.append(np.argsort(order)[:10])
    return networks, set(map(tuple, np.array(truth).T.tolist()))


def test_units_that_all_networks_share_are_found():
    networks, truth = seeds_of()
    found = mutual_sets(networks, select=half())
    sets = list(map(tuple, found["unit"].values.tolist()))
    shared = [s for s, r in zip(sets, found["held_out"].values, strict=True) if r > 0.5]
    assert set(shared) == truth
    assert found["r"].values.tolist() == sorted(found["r"].values.tolist(), reverse=True)


def test_with_two_networks_the_sets_are_the_mutual_pairs():
    networks, _ = seeds_of(2)
    found = mutual_sets(networks)
    pairs = match_units(*networks.values(), how="mutual")
    expected = set(zip(pairs["x"].values.tolist(), pairs["y"].values.tolist(), strict=True))
    assert set(map(tuple, found["unit"].values.tolist())) == expected


def test_the_order_of_the_networks_changes_no_set():
    networks, _ = seeds_of(3)
    found = mutual_sets(networks)
    other = mutual_sets(dict(reversed(networks.items())))
    assert {tuple(s) for s in found["unit"].values.tolist()} == {
        tuple(s[::-1]) for s in other["unit"].values.tolist()
    }


def test_sets_need_two_networks():
    with pytest.raises(InvalidValueError, match="at least two networks"):
        mutual_sets({"a": sparse()})
