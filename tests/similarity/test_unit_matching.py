"""Pairs of units, their test, sparse prediction and joint clusters: planted truths, chance, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from neuroalign import similarity
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.similarity import cluster_units, match_units, matching_test, sparse_prediction

HOW = ("mutual", "best", "one-to-one")


def planted(n=200, d=12, noise=0.3, seed=0, extra=0):
    """A sparse network, the same units in another order with noise, and where each unit went."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal((n, d)), 0)
    order = rng.permutation(d)
    y = x[:, order] + noise * rng.standard_normal((n, d))
    return x, np.hstack([y, rng.standard_normal((n, extra))]), np.argsort(order)


def half(n=200):
    return np.arange(n) % 2 == 0


@pytest.mark.parametrize("how", HOW)
def test_permuted_units_are_recovered(how):
    x, y, where = planted(extra=3)
    found = match_units(x, y, how=how, select=half())
    assert found["x"].values.tolist() == list(range(12))
    assert found["y"].values.tolist() == where.tolist()
    assert found.attrs["n_alone_x"] == 0 and found.attrs["n_alone_y"] == 3
    r = [np.corrcoef(x[~half(), i], y[~half(), where[i]])[0, 1] for i in range(12)]
    np.testing.assert_allclose(found["held_out"].values, r, atol=1e-12)


def test_an_assignment_is_the_best_of_all_permutations():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 20, 5))
    r = np.corrcoef(x.T, y.T)[:5, 5:]
    best = max(sum(r[i, p[i]] for i in range(5)) for p in itertools.permutations(range(5)))
    assert float(match_units(x, y, how="one-to-one")["r"].sum()) == pytest.approx(best, abs=1e-12)
    assert best / 5 == pytest.approx(float(similarity.hard_matching(x, y)), abs=1e-12)


def test_mutual_pairs_are_each_others_best_by_hand():
    # Unit 0 of y is the best of both units of x, and only unit 0 of x is its own best.
    x = np.array([[0.0, 0], [1, 1], [2, 3], [3, 2]])
    y = np.array([[0.0, 5], [1, -5], [2, 5], [3, -5]])
    assert match_units(x, y, how="mutual")["x"].values.tolist() == [0]
    assert match_units(x, y, how="best")["y"].values.tolist() == [0, 0]
    assert match_units(x, y, how="one-to-one")["y"].values.tolist() == [0, 1]


@pytest.mark.parametrize("how", HOW)
def test_opposites_are_found_where_the_size_counts(how):
    x, y, where = planted()
    y[:, where[4]] *= -1
    signed, either = (match_units(x, y, how=how, absolute=absolute) for absolute in (False, True))
    pairs = dict(zip(either["x"].values.tolist(), either["y"].values.tolist(), strict=True))
    assert pairs == dict(enumerate(where.tolist()))
    assert either["r"].values[4] < -0.5
    assert float(signed["r"].mean()) < float(np.abs(either["r"]).mean())


@pytest.mark.parametrize("how", HOW)
def test_dead_units_are_in_no_pair(how):
    x, y, _ = planted()
    x[:, 3], y[:, [0, 1]] = 0.0, 2.5
    found = match_units(x, y, how=how)
    assert 3 not in found["x"].values and not np.isin(found["y"].values, [0, 1]).any()
    assert (found.attrs["n_dead_x"], found.attrs["n_dead_y"]) == (1, 2)
    assert len(found["x"]) + found.attrs["n_alone_x"] == 11


def test_too_many_units_for_an_assignment_are_refused_with_a_way_out(monkeypatch):
    monkeypatch.setitem(match_units.__globals__["_one_to_one"].__globals__, "MOST_ASSIGNED", 10)
    x, y, _ = planted()
    with pytest.raises(
        InvalidValueError, match=r"x has 12 units; one-to-one matching takes up to 10\. Pass how="
    ):
        match_units(x, y, how="one-to-one")
    assert len(match_units(x, y, how="mutual")["x"])


@pytest.mark.parametrize("how", HOW)
def test_choosing_inflates_and_held_out_stimuli_do_not(how):
    """The winner's curse: matched units of two noises correlate on the stimuli that chose them only."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 60, 40))
    found = match_units(x, y, how=how, select=np.arange(60) < 30)
    assert float(found["r"].mean()) > 0.3
    assert abs(float(found["held_out"].mean())) < 0.1


@pytest.mark.parametrize("null", ["rotation", "shuffle"])
def test_matched_units_beat_their_null(null):
    x, y, _ = planted()
    found = matching_test(x, y, select=half(), null=null, n=19, rng=np.random.default_rng(0))
    assert float(found["p"]) == 1 / 20
    assert float(found["estimate"]) > float(found["baseline"]) + 0.2
    assert found.attrs["n_pairs"] == 12


def test_a_rotated_network_shares_its_space_but_not_its_units():
    x, _, _ = planted()
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((12, 12)))[0]
    rng = np.random.default_rng(0)
    rotation = matching_test(x, x @ turn, select=half(), how="best", n=39, rng=rng)
    shuffled = matching_test(x, x @ turn, select=half(), how="best", null="shuffle", n=39, rng=rng)
    assert float(rotation["p"]) > 0.05
    assert float(shuffled["p"]) == 1 / 40


def test_p_of_unrelated_units_is_spread_out():
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((2, 40, 6))
        p.append(float(matching_test(x, y, select=half(40), null="shuffle", n=19, rng=rng)["p"]))
    assert 0.3 < np.mean(p) < 0.7


def test_the_test_needs_a_selection_and_a_known_null():
    x, y, _ = planted()
    with pytest.raises(InvalidValueError, match="select is needed"):
        matching_test(x, y, select=None, rng=np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="null must be one of 'rotation', 'shuffle'"):
        matching_test(x, y, select=half(), null="none", rng=np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="how must be one of 'mutual'"):
        match_units(x, y, how="hungarian")


def test_few_units_predict_one_and_beat_the_best_single():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 20))
    y = x[:, [4, 9]].sum(axis=1) + 0.3 * rng.standard_normal(200)
    y = np.column_stack([y, rng.standard_normal(200), np.ones(200)])
    found = sparse_prediction(x, y, select=half(), n_alphas=10)
    assert {4, 9} <= set(np.flatnonzero(found["weight"].values[0]).tolist())
    assert int(found["n_used"][0]) < 10
    assert float(found["r"][0]) > 0.9 > float(found["r_one"][0])
    assert not float(found["r2"][1]) > 0.1
    assert np.isnan(found["r"].values[2]) and int(found["n_used"][2]) == 0
    assert found.attrs["n_dead_y"] == 1 and found.attrs["n_unconverged"] == 0


def test_the_single_unit_is_a_regression_on_the_stimuli_that_fit():
    x, y, where = planted()
    found = sparse_prediction(x, y, select=half(), units=[3, 0])
    assert found["position_y"].values.tolist() == [3, 0]
    own = np.flatnonzero(where == 3)[0]
    slope, offset = np.polyfit(x[half(), own], y[half(), 3], 1)
    target = y[~half(), 3]
    error = ((target - slope * x[~half(), own] - offset) ** 2).sum() / ((target - target.mean()) ** 2).sum()
    assert float(found["r2_one"][0]) == pytest.approx(1 - error, abs=1e-10)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"units": [12]}, "from 0 to 11"), ({"units": []}, "positions"), ({"n_folds": 1}, "n_folds must be")],
    ids=["unknown unit", "no unit", "one fold"],
)
def test_bad_options_of_the_prediction_are_refused(options, text):
    x, y, _ = planted()
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        sparse_prediction(x, y, select=half(), **options)


def grouped(n=120, groups=3, size=4, noise=0.4, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, groups))

    def network():
        return latent.repeat(size, axis=1) + noise * rng.standard_normal((n, groups * size))

    return {"a": network(), "b": network()}


@pytest.mark.parametrize("method", ["agglomerative", "spectral"])
def test_planted_groups_are_found_across_networks(method):
    found = cluster_units(grouped(), n_clusters=3, method=method, select=half(120))
    truth = np.tile(np.arange(3).repeat(4), 2)
    pairs = {(t, c) for t, c in zip(truth.tolist(), found["cluster"].values.tolist(), strict=True)}
    assert len(pairs) == 3
    assert found["n"].values.tolist() == [[4, 4]] * 3 and found.attrs["n_shared"] == 3
    assert float(found["cohesion"].min()) > 0.7 > float(found["between"])


def test_a_dead_unit_is_in_no_cluster_and_clusters_go_by_size():
    networks = grouped()
    networks["a"][:, 5] = 1.0
    networks["b"] = networks["b"][:, :9]
    found = cluster_units(networks, n_clusters=3)
    cluster = found["cluster"].values
    assert cluster[5] == -1 and found.attrs["n_dead"] == 1
    sizes = [(cluster == c).sum() for c in range(3)]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == 20


def test_cohesion_is_the_mean_over_pairs_of_different_networks():
    networks = grouped(groups=1, size=2)
    found = cluster_units(networks, n_clusters=1)
    r = np.corrcoef(networks["a"].T, networks["b"].T)[:2, 2:]
    assert float(found["cohesion"][0]) == pytest.approx(np.maximum(r, 0).mean(), abs=1e-12)


def test_bad_clusters_are_refused(monkeypatch):
    with pytest.raises(InvalidValueError, match="from 1 to the 24 live units; got 25"):
        cluster_units(grouped(), n_clusters=25)
    with pytest.raises(InvalidValueError, match="method must be one of"):
        cluster_units(grouped(), n_clusters=2, method="kmeans")
    monkeypatch.setitem(cluster_units.__globals__, "MOST_UNITS", 20)
    with pytest.raises(InvalidValueError, match="24 units together; up to 20 are clustered"):
        cluster_units(grouped(), n_clusters=2)


def test_units_of_layers_are_rotated_within_their_layer():
    x, y, where = planted()
    coords = {"stimulus": [f"s{i:03}" for i in range(200)], "layer": ("unit", ["a", "b"] * 6)}
    a, b = (xr.DataArray(z, dims=("stimulus", "unit"), coords=coords) for z in (x, y))
    found = matching_test(a, b, select=half(), n=9, rng=np.random.default_rng(0))
    assert float(found["estimate"]) > float(found["baseline"])
    assert found.attrs["n_alone_x"] == 0 and len(where) == 12
