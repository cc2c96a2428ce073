"""Geodesics: a slow Floyd-Warshall, edges by hand, zero edges, unreachable pairs, rings and toy curves."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from neuroalign import rsa
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa import topology
from neuroalign.rsa.topology import geodesics
from neuroalign.schema import align, make_rdm, square

RULES = [
    {"edges": "threshold"},
    {"edges": "p-shortest", "p": 0.3},
    {"edges": "p-nearest", "p": 0.2},
    {"edges": "k-nearest", "k": 2},
]
IDS = [rule["edges"] for rule in RULES]


def make(values, dims=()):
    values = np.asarray(values, dtype=float)
    n = round((1 + np.sqrt(1 + 8 * values.shape[-1])) / 2)
    return make_rdm(values, [f"s{i}" for i in range(n)], dims=list(dims))


def chosen_by_hand(full, rule):
    n = len(full)
    edges = np.zeros((n, n), dtype=bool)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    if rule["edges"] == "threshold":
        some = [(i, j) for i, j in pairs if full[i, j] < 1]
    elif rule["edges"] == "p-shortest":
        limit = sorted(full[i, j] for i, j in pairs)[max(1, round(rule["p"] * len(pairs))) - 1]
        some = [(i, j) for i, j in pairs if full[i, j] <= limit]
    else:
        k = rule.get("k") or max(1, round(rule["p"] * (n - 1)))
        some = []
        for i in range(n):
            limit = sorted(full[i, j] for j in range(n) if j != i)[k - 1]
            some += [(i, j) for j in range(n) if j != i and full[i, j] <= limit]
    for i, j in some:
        edges[i, j] = edges[j, i] = True
    return edges


def paths_by_hand(full, edges, weighted):
    n = len(full)
    found = [[0.0 if i == j else np.inf for j in range(n)] for i in range(n)]
    for i in range(n):
        for j in range(n):
            if edges[i, j]:
                found[i][j] = full[i, j] if weighted else 1.0
    for k in range(n):
        for i in range(n):
            for j in range(n):
                found[i][j] = min(found[i][j], found[i][k] + found[k][j])
    return np.array(found)[np.triu_indices(n, 1)]


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("rule", RULES, ids=IDS)
@pytest.mark.parametrize("limits", [(0.0, 0.3), (0.2, 0.5), (0.15, 0.15)])
def test_it_is_the_slow_shortest_path(rng, rule, weighted, limits):
    rdms = topology.geo_topological(make(rng.random((3, 66)), ["subject"]), *limits)
    found = topology.geodesic(rdms, **rule, weighted=weighted)
    expected = np.array([paths_by_hand(f, chosen_by_hand(f, rule), weighted) for f in square(rdms.values)])
    missing = np.isinf(expected)
    np.testing.assert_allclose(found, np.where(missing, np.nan, expected), atol=1e-12)
    assert found.attrs["n_unreachable"] == found.attrs["n_undefined"] == missing.sum()


def test_zero_edges_are_kept_and_dropping_them_changes_almost_everything(rng):
    rdm = topology.geo_topological(make(rng.random(190)), 0.3, 0.5)
    kept = topology.geodesic(rdm)
    dropped = topology.geodesic(rdm, zero_edges="drop")
    full, edges = square(rdm.values), chosen_by_hand(square(rdm.values), {"edges": "threshold"})
    np.testing.assert_allclose(kept, paths_by_hand(full, edges, True), atol=1e-12)
    without = paths_by_hand(full, edges & (full > 0), True)
    np.testing.assert_allclose(dropped, np.where(np.isinf(without), np.nan, without), atol=1e-12)
    assert (kept.values != dropped.values).mean() > 0.9
    assert (topology.geodesic(rdm, weighted=False).values >= 1).all()


def test_what_becomes_of_unreachable_pairs_is_a_choice_and_counted():
    near, far = 0.1, 9.0
    rdm = make([near, far, far, far, far, 2 * near])  # two pairs of stimuli, far from one another
    asked = {"edges": "k-nearest", "k": 1}
    as_nan = topology.geodesic(rdm, **asked)
    assert np.isnan(as_nan).values.tolist() == [False, True, True, True, True, False]
    assert (as_nan.attrs["n_unreachable"], as_nan.attrs["n_undefined"]) == (4, 4)
    longest = topology.geodesic(rdm, **asked, unreachable="max")
    assert longest.values.tolist() == [0.1, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert (longest.attrs["n_unreachable"], longest.attrs["n_undefined"]) == (4, 0)
    with pytest.raises(
        InvalidValueError, match="4 of 6 pairs have no path on the graph of 'k-nearest' edges"
    ):
        topology.geodesic(rdm, **asked, unreachable="raise")


def test_an_rdm_without_any_edge_stays_nan():
    found = topology.geodesic(make([1.0, 1.0, 1.0]), unreachable="max", rank=True)
    assert np.isnan(found).all()
    assert (found.attrs["n_unreachable"], found.attrs["n_undefined"]) == (3, 3)


def test_a_nan_pair_is_no_edge_but_has_a_path():
    rdm = make([np.nan, 1.0, 5.0, 2.0, 5.0, 5.0])
    found = topology.geodesic(rdm, edges="k-nearest", k=1)
    assert found.values.tolist() == [3.0, 1.0, 5.0, 2.0, 5.0, 5.0]


def test_a_stimulus_without_any_pair_is_reached_by_nobody():
    rdm = make([1.0, np.nan, 2.0, np.nan, 1.0, np.nan])
    found = square(topology.geodesic(rdm, edges="p-nearest", p=0.3).values)
    assert np.isnan(found[2, [0, 1, 3]]).all()
    assert found[0, [1, 3]].tolist() == [1.0, 2.0]


def test_ranks_do_not_tell_equal_paths_apart_by_rounding():
    step = 0.1
    line = make([step * (j - i) for i in range(8) for j in range(i + 1, 8)])
    found = topology.geodesic(line, edges="k-nearest", k=1, rank=True)
    hops = np.array([j - i for i in range(8) for j in range(i + 1, 8)])
    ranks = rankdata(hops)
    np.testing.assert_allclose(found, (ranks - ranks.min()) / np.ptp(ranks), atol=1e-12)


@given(st.integers(0, 40), st.sampled_from(range(4)), st.booleans())
def test_permuting_stimuli_permutes_the_paths(seed, which, weighted):
    rng = np.random.default_rng(seed)
    rdm = make(np.round(rng.random(45), 1))
    rdm = topology.geo_topological(rdm, 0.1, 0.4) if which == 0 else rdm
    moved = align(make_rdm(np.zeros(45), rng.permutation([f"s{i}" for i in range(10)])), rdm)[1]
    found = topology.geodesic(moved, **RULES[which], weighted=weighted)
    expected = topology.geodesic(rdm, **RULES[which], weighted=weighted)
    np.testing.assert_allclose(align(rdm, found)[1], expected, atol=1e-12)


@given(st.integers(0, 40))
def test_paths_on_all_edges_are_a_metric_below_the_distances(seed):
    rdm = make(np.random.default_rng(seed).random(28))
    found = topology.geodesic(rdm, edges="p-shortest", p=1.0)
    full = square(found.values)
    assert (found.values <= rdm.values).all()
    assert (full[:, None, :] <= full[:, :, None] + full[None, :, :] + 1e-12).all()
    np.testing.assert_allclose(topology.geodesic(found, edges="p-shortest", p=1.0), found, atol=1e-12)


def test_each_rdm_has_paths_of_its_own_and_the_argument_is_not_edited(rng):
    rdms = make(rng.random((2, 3, 36)), ["subject", "layer"])
    before = rdms.copy(deep=True)
    found = topology.geodesic(rdms, edges="k-nearest", k=2, unreachable="max", rank=True)
    xr.testing.assert_identical(rdms, before)
    one = topology.geodesic(rdms[1, 2], edges="k-nearest", k=2, unreachable="max", rank=True)
    np.testing.assert_array_equal(found[1, 2], one)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"edges": "nearest"}, InvalidValueError, "edges must be one of 'threshold', 'p-shortest'"),
        ({"edges": "k-nearest"}, InvalidValueError, "edges='k-nearest' needs k; got k=None"),
        ({"edges": "k-nearest", "k": 0}, InvalidValueError, "k must be a positive integer; got 0"),
        ({"edges": "k-nearest", "k": 4}, ShapeError, "k must be below the number of stimuli, 4; got 4"),
        ({"edges": "k-nearest", "k": 1, "p": 0.1}, InvalidValueError, "does not take p; got p=0.1"),
        ({"edges": "p-shortest", "p": 1.5}, InvalidValueError, "p must be above 0 and at most 1; got 1.5"),
        ({"edges": "threshold", "k": 3}, InvalidValueError, "edges='threshold' does not take k"),
        ({"edges": "threshold"}, InvalidValueError, "values to 3.0. Pass it through geo_topological"),
        ({"zero_edges": "lose"}, InvalidValueError, "zero_edges must be one of 'keep', 'drop'"),
        ({"unreachable": "inf"}, InvalidValueError, "unreachable must be one of 'nan', 'max', 'raise'"),
    ],
)
def test_wrong_choices_are_refused_by_name(options, error, text):
    rdm = make([0.5, 1.0, 2.0, 3.0, 0.1, 0.2])
    with pytest.raises(error, match=text):
        topology.geodesic(rdm, **options)


def test_negative_dissimilarities_have_no_paths():
    with pytest.raises(InvalidValueError, match=r"at least 0; got -0.5. Cross-validated ones are negative"):
        topology.geodesic(make([-0.5, 0.1, 0.2]), edges="k-nearest", k=1)


@pytest.fixture(scope="module")
def rings():
    return rsa.rdm(topology.toy_rings(60), "euclidean")


def agreement(rdms):
    return float(np.corrcoef(rdms.values)[0, 1])


def test_a_flat_and_a_twisted_ring_agree_exactly_by_hops(rings):
    hops = topology.geodesic(rings, edges="k-nearest", k=2, weighted=False)
    cycle = np.array([min(j - i, 60 - j + i) for i in range(60) for j in range(i + 1, 60)])
    np.testing.assert_array_equal(hops, np.tile(cycle, (2, 1)))
    assert agreement(hops) == pytest.approx(1.0, abs=1e-12)


def test_their_rank_rdms_do_not(rings):
    assert agreement(topology.geo_topological(rings)) == pytest.approx(0.735, abs=1e-3)


def test_weighted_geodesics_of_the_rings_agree_nearly_and_dropped_zero_edges_tear_them_apart(rings):
    # Weighted by distance the paths differ by the ring's uneven pace only. Weighted by ranks, of which the
    # lowest is 0, the flat ring's equal steps are all 0: a graph that drops them has none left.
    weighted = agreement(topology.geodesic(rings, edges="k-nearest", k=2))
    assert weighted == pytest.approx(0.9947, abs=1e-3)
    ranks = topology.geo_topological(rings.round(9))
    ranks = ranks.where(ranks > ranks.min("pair") + 0.001, 0.0)
    options = {"edges": "k-nearest", "k": 2, "unreachable": "max"}
    dropped = topology.geodesic(ranks, **options, zero_edges="drop")
    assert dropped.attrs["n_unreachable"] > 0
    assert topology.geodesic(ranks, **options).attrs["n_unreachable"] == 0


def nearest(rdms):
    similarity = rsa.compare(rdms, rdms, "pearson").values.copy()
    np.fill_diagonal(similarity, -np.inf)
    return [list(topology.CURVES)[i] for i in similarity.argmax(axis=1)]


GEOMETRY = ["twisted 8", "flat 8", "untangled twisted 8", "untangled flat 8"]
TOPOLOGY = ["untangled flat 8", "untangled twisted 8", "flat 8", "twisted 8"]


def test_toy_curves_group_by_geometry_as_rdms_and_by_topology_as_geodesics():
    rdms = rsa.rdm(topology.toy_curves(), "euclidean")
    rgtm = topology.geo_topological(rdms, 0.0, 0.075)
    assert nearest(rdms) == nearest(topology.geo_topological(rdms)) == GEOMETRY
    assert nearest(rgtm) == TOPOLOGY
    rgdm = topology.geodesic(rgtm, rank=True, unreachable="raise")
    assert nearest(rgdm) == TOPOLOGY


def test_toy_curves_have_the_topology_that_they_are_said_to_have():
    curves = topology.toy_curves(200)
    rdms = rsa.rdm(curves, "euclidean")
    across = square(rdms.values)[:, 0, 95:106].min(axis=1)  # where the two strands meet, or pass
    step = square(rdms.values)[:, 0, 1]
    for name, gap, pace in zip(curves["topology"].values, across, step, strict=True):
        assert gap < 2 * pace if name == "two loops" else gap > 5 * pace
    assert np.abs(curves.sel(unit="z").values[[0, 2, 3]]).max() == 0


@pytest.mark.parametrize("make_toy", [topology.toy_curves, topology.toy_rings])
def test_toys_of_too_few_points_are_refused(make_toy):
    with pytest.raises(InvalidValueError, match="n_points must be an integer of at least 8; got 5"):
        make_toy(5)


def test_points_of_toys_lie_at_the_angles_that_are_said():
    # A figure of eight, (sin t, sin t cos t), begins half a step after its crossing, a ring at (1, 0).
    half = np.pi / 8
    eight = topology.toy_curves(8).sel(curve="flat 8").values
    x = np.sin(half * np.arange(1, 16, 2))
    np.testing.assert_allclose(eight[:, 0], x, atol=1e-14)
    np.testing.assert_allclose(eight[0], [np.sin(half), np.sin(half) * np.cos(half), 0], atol=1e-14)
    assert (eight[:4, 0] > 0.38).all() and (eight[4:, 0] < -0.38).all()
    ring = topology.toy_rings(8).sel(ring="flat").values
    np.testing.assert_allclose(ring[[0, 2]], [[1, 0, 0], [0, 1, 0]], atol=1e-14)


def test_an_rdm_of_nothing_but_nan_has_no_edge_and_no_path():
    found = topology.geodesic(make([[np.nan] * 3, [1.0, 2.0, 3.0]], ["rdm"]), edges="p-shortest", p=0.3)
    assert np.isnan(found[0]).all()
    assert found[1, 0] == 1.0 and np.isnan(found[1, 1:]).all()


@pytest.mark.parametrize("scale", [2.0**-40, 1.0, 2.0**40])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_the_edges_of_a_regular_figure_are_ties_at_every_scale(scale, offset):
    angle = 2 * np.pi * (np.arange(7) + offset) / 7
    rdm = make(scale * pdist(np.stack([np.cos(angle), np.sin(angle)], axis=1)))
    apart = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    hops = np.minimum(apart, 7 - apart)[np.triu_indices(7, 1)]
    for k, reach in ((1, 1), (2, 1), (3, 2), (4, 2), (6, 3)):
        found = topology.geodesic(rdm, edges="k-nearest", k=k, weighted=False)
        np.testing.assert_array_equal(found, np.ceil(hops / reach))


def test_stimuli_at_one_place_are_each_others_nearest():
    found = topology.geodesic(make(np.zeros(6)), edges="k-nearest", k=1)
    assert found.values.tolist() == [0.0] * 6 and found.attrs["n_unreachable"] == 0


def test_k_goes_up_to_all_others():
    rdm = make(np.array([1.0, 5.0, 9.0, 2.0, 7.0, 3.0]))
    found = topology.geodesic(rdm, edges="k-nearest", k=3)
    assert found.values.tolist() == [1, 3, 6, 2, 5, 3]
    assert topology.geodesic(rdm, edges="k-nearest", k=1).values.tolist() == [1, 3, 6, 2, 5, 3]
    with pytest.raises(ShapeError, match="k must be below the number of stimuli, 4; got 4"):
        topology.geodesic(rdm, edges="k-nearest", k=4)
    with pytest.raises(InvalidValueError, match="k must be a positive integer; got 0"):
        topology.geodesic(rdm, edges="k-nearest", k=0)


@pytest.mark.parametrize(("p", "n_edges"), [(1e-9, 1), (0.25, 2), (0.5, 3), (0.75, 4), (1.0, 6)])
def test_a_share_of_the_pairs_is_rounded_and_holds_one_at_least(p, n_edges):
    # 0.25 and 0.75 of 6 pairs are 1.5 and 4.5: to the even number.
    row = np.array([1.0, 50.0, 60.0, 2.0, 55.0, 3.0])
    known = np.sort(row)[:n_edges]
    found = topology.geodesic(make(row), edges="p-shortest", p=p).values
    kept = found[np.isin(row, known)]
    assert np.isfinite(kept).all() and len(kept) == n_edges
    lone = topology.geodesic(make(row), edges="p-shortest", p=p)
    assert lone.attrs["n_unreachable"] == {1: 5, 2: 3}.get(n_edges, 0)


@pytest.mark.parametrize("p", [0.0, 1.001])
def test_a_share_is_above_0_and_at_most_1(p):
    for edges in ("p-shortest", "p-nearest"):
        with pytest.raises(InvalidValueError, match="p must be above 0 and at most 1"):
            topology.geodesic(make(np.ones(6)), edges=edges, p=p)


def test_only_values_below_1_are_edges_of_a_graph():
    found = topology.geodesic(make(np.array([0.0, 1.0, 1.0, 0.5, 1.0, 1.0])))
    np.testing.assert_array_equal(found, [0, 0.5, np.nan, 0.5, np.nan, np.nan])
    dropped = topology.geodesic(make(np.array([0.0, 1.0, 1.0, 0.5, 1.0, 1.0])), zero_edges="drop")
    np.testing.assert_array_equal(dropped, [np.nan, np.nan, np.nan, 0.5, np.nan, np.nan])
    with pytest.raises(InvalidValueError, match=r"takes a geo-topological RDM, 0 to 1; got values to 1\.5"):
        topology.geodesic(make(np.array([0.0, 1.0, 1.5])))


def test_lengths_are_filled_and_rounded_row_by_row():
    nan = np.nan
    values = np.array([[0.0, nan, 0.0], [nan, nan, nan], [2.0, nan, 0.5], [0.125, 8.0, 0.0]])
    expected = [[0, 0, 0], [nan, nan, nan], [2, 2, 0.5], [0.125, 8, 0]]
    np.testing.assert_array_equal(geodesics.filled(values), expected)
    expected = [[0, nan, 0], [nan, nan, nan], [1, nan, 0.25], [0.015625, 1, 0]]
    np.testing.assert_array_equal(geodesics.rounded(values), expected)


def test_eight_points_are_enough_for_toys_and_lie_where_their_formulas_say():
    t = (np.arange(8) + 0.5) * np.pi / 4
    x, y, zero = np.sin(t), np.sin(t) * np.cos(t), np.zeros(8)
    turned = np.where(t < np.pi, y, -y)
    found = topology.toy_curves(8)
    for curve, places in (
        ("flat 8", (x, y, zero)),
        ("twisted 8", (x, y, 0.25 * np.cos(t))),
        ("untangled flat 8", (x, turned, zero)),
        ("untangled twisted 8", (x, turned + 0.15 * np.cos(t), zero)),
    ):
        np.testing.assert_allclose(found.sel(curve=curve), np.transpose(places), atol=1e-14)
    t = np.arange(8) * np.pi / 4
    rings = topology.toy_rings(8)
    np.testing.assert_allclose(rings[0], np.transpose([np.cos(t), np.sin(t), zero]), atol=1e-14)
    np.testing.assert_allclose(rings[1], np.transpose([np.cos(t), np.sin(t), np.sin(2 * t)]), atol=1e-14)
    for toy in (topology.toy_curves, topology.toy_rings):
        with pytest.raises(InvalidValueError, match="n_points must be an integer of at least 8; got 7"):
            toy(7)
