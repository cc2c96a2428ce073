"""Geo-topological transforms and families: closed forms, laws, ties, NaN, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.rsa import topology
from neuroalign.rsa.topology.families import SLACK
from neuroalign.schema import align, make_rdm


def make(values, dims=()):
    values = np.asarray(values, dtype=float)
    n = round((1 + np.sqrt(1 + 8 * values.shape[-1])) / 2)
    return make_rdm(values, [f"s{i}" for i in range(n)], dims=list(dims))


@pytest.fixture
def rdms(rng):
    return make(rng.random((3, 45)), ["subject"])


def by_hand(row, lower, upper):
    """The definition, one pair at a time, on what is defined."""
    known = [v for v in row if v == v]
    rank = {v: sum(w < v for w in known) + (sum(w == v for w in known) + 1) / 2 for v in known}
    low, high = min(rank.values()), max(rank.values())
    scaled = {v: (r - low) / (high - low) for v, r in rank.items()}
    t_l, t_u = np.quantile([scaled[v] for v in known], [lower, upper])
    out = []
    for v in row:
        if v != v:
            out.append(np.nan)
        elif t_u - t_l < 1e-9:
            out.append(float(scaled[v] > t_l + 1e-9))
        else:
            out.append(min(1.0, max(0.0, (scaled[v] - t_l) / (t_u - t_l))))
    return out


@pytest.mark.parametrize(("lower", "upper"), [(0, 1), (0, 0.075), (0.2, 0.7), (0.35, 0.35), (0, 0), (1, 1)])
@pytest.mark.parametrize("kind", ["plain", "tied", "with NaN"])
def test_it_is_the_definition(rng, kind, lower, upper):
    values = rng.random((4, 28))
    if kind == "tied":
        values = np.round(values * 3)
    if kind == "with NaN":
        values[rng.random(values.shape) < 0.2] = np.nan
    found = topology.geo_topological(make(values, ["subject"]), lower, upper)
    np.testing.assert_allclose(found, [by_hand(row, lower, upper) for row in values.tolist()], atol=1e-12)


def test_gt_0_1_is_the_rank_rdm(rdms):
    ranks = rankdata(rdms.values, axis=1)
    np.testing.assert_allclose(topology.geo_topological(rdms, 0, 1), (ranks - 1) / 44, atol=1e-15)


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_equal_thresholds_give_a_graph_with_that_share_of_edges(share):
    found = topology.geo_topological(make(np.random.default_rng(1).random(21 * 20 // 2)), share, share)
    assert set(found.values.tolist()) <= {0.0, 1.0}
    assert int((found == 0).sum()) == int(np.floor(share * 209 + 1e-9)) + 1


def test_equal_thresholds_are_the_limit_of_near_ones(rdms):
    step = topology.geo_topological(rdms, 0.4, 0.4)
    near = topology.geo_topological(rdms, 0.4, 0.4 + 1e-7)
    np.testing.assert_allclose(near, step, atol=1e-9)


def test_the_sigmoid_is_its_formula(rdms):
    ranks = topology.geo_topological(rdms).values
    found = topology.geo_topological(rdms, kind="sigmoid")
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-10 * (ranks - 0.5))), rtol=1e-12)
    steep = topology.geo_topological(rdms, kind="sigmoid", slope=3.0, centre=0.2)
    np.testing.assert_allclose(steep, 1 / (1 + np.exp(-3 * (ranks - 0.2))), rtol=1e-12)


@pytest.mark.parametrize("limits", [(0.0, 1.0), (0.1, 0.4), (0.5, 0.5)])
def test_an_rdm_never_depends_on_its_neighbours(rdms, limits):
    more = xr.concat([rdms, rdms[:1] * 1000 + np.nan], "subject")
    whole = topology.geo_topological(more, *limits)
    np.testing.assert_array_equal(whole[:3], topology.geo_topological(rdms, *limits))
    assert np.isnan(whole[3]).all()


def test_a_nan_pair_stays_nan_and_does_not_count(rdms):
    holed = rdms.copy(deep=True)
    holed[0, 7] = np.nan
    found = topology.geo_topological(holed, 0.2, 0.6)
    assert np.isnan(found).sum() == 1
    row = [v for v in holed[0].values.tolist() if v == v]
    np.testing.assert_allclose(found[0].dropna("pair"), by_hand(row, 0.2, 0.6), atol=1e-12)
    np.testing.assert_array_equal(found[1:], topology.geo_topological(rdms, 0.2, 0.6)[1:])


def test_a_constant_rdm_has_no_ranks_and_is_counted(rdms):
    flat = rdms.copy(deep=True)
    flat[1] = 0.1 + 0.2
    found = topology.geo_topological(flat, 0.2, 0.6)
    assert np.isnan(found[1]).all()
    assert not np.isnan(found[[0, 2]]).any()
    assert found.attrs["n_undefined"] == 1


@given(
    st.integers(0, 50),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted),
    st.sampled_from([np.exp, np.sqrt, lambda d: 5 * d + 2]),
)
def test_monotone_changes_of_the_dissimilarities_change_nothing(seed, cell, monotone):
    rdm = make(np.random.default_rng(seed).random(36))
    lower, upper = cell[0] / 20, cell[1] / 20
    found = topology.geo_topological(rdm.copy(data=monotone(rdm.values)), lower, upper)
    np.testing.assert_array_equal(found, topology.geo_topological(rdm, lower, upper))
    assert ((found >= 0) & (found <= 1)).all()


@given(st.integers(0, 50))
def test_permuting_stimuli_permutes_the_transform(seed):
    rng = np.random.default_rng(seed)
    rdm = make(np.round(rng.random(36), 1))
    order = rng.permutation([f"s{i}" for i in range(9)])
    moved = align(make_rdm(np.zeros(36), order), rdm)[1]
    found = align(rdm, topology.geo_topological(moved, 0.1, 0.5))[1]
    np.testing.assert_array_equal(found, topology.geo_topological(rdm, 0.1, 0.5))


def test_labels_stay_and_the_argument_is_not_edited(rdms):
    before = rdms.copy(deep=True)
    found = topology.geo_topological(rdms, 0.1, 0.5)
    xr.testing.assert_identical(rdms, before)
    assert found.dims == rdms.dims
    xr.testing.assert_identical(found.stimulus_b.variable, rdms.stimulus_b.variable)
    assert found.attrs["lower"] == 0.1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lower": 0.5, "upper": 0.4}, "0 <= lower <= upper <= 1; got 0.5 and 0.4"),
        ({"lower": -0.1, "upper": 0.4}, "got -0.1 and 0.4"),
        ({"lower": 0, "upper": float("nan")}, "got 0 and nan"),
        ({"kind": "linear"}, "kind must be one of 'piecewise', 'sigmoid'; got 'linear'"),
        ({"kind": "sigmoid", "upper": 0.5}, "belong to kind='piecewise'"),
    ],
)
def test_wrong_limits_are_refused_by_name(rdms, options, text):
    with pytest.raises(InvalidValueError, match=text):
        topology.geo_topological(rdms, **options)


def test_what_is_no_rdm_is_refused(rdms):
    with pytest.raises(ShapeError, match="must have dims"):
        topology.geo_topological(rdms.T)
    bad = rdms.copy(deep=True)
    bad[0, 0] = np.inf
    with pytest.raises(InvalidValueError, match="1 dissimilarities are infinite"):
        topology.geo_topological(bad)


@pytest.mark.parametrize(
    ("lower", "upper", "name"),
    [
        (0, 0, "local"),
        (0, 0.4, "local"),
        (0.15, 0.25, "local"),
        (0.2, 0.2, "local"),
        (0.6, 1, "global"),
        (1, 1, "global"),
        (0, 1, "geometry"),
        (0.1, 0.9, "geometry"),
        (0.2, 1, "geometry"),
        (0.4, 0.6, "topology"),
        (0.5, 0.5, "topology"),
        (0.35, 0.6, "intermediate"),
        (0.15, 0.9, "intermediate"),
        (0.25, 0.3, "intermediate"),
    ],
)
def test_families_have_the_borders_of_the_definition(lower, upper, name):
    assert topology.family(lower, upper) == name


def test_families_are_tested_in_their_order():
    cells = topology.grid(0.05)
    low, high = cells["lower"].values, cells["upper"].values
    for lower, upper, name in zip(low.round(2), high.round(2), cells["family"].values, strict=True):
        mean = round((lower + upper) / 2, 4)
        rules = [
            mean <= 0.2,
            mean >= 0.8,
            round(upper - lower, 4) >= 0.8,
            lower >= 0.4 and upper <= 0.6,
            True,
        ]
        assert name == topology.FAMILIES[rules.index(True)]


def test_the_grid_has_every_pair_once_and_the_rank_rdm():
    cells = topology.grid()
    pairs = list(zip(cells["lower"].values, cells["upper"].values, strict=True))
    assert (len(pairs), len(set(pairs))) == (231, 231)
    assert (0.0, 1.0) in pairs
    assert all(lower <= upper for lower, upper in pairs)


@pytest.mark.parametrize("step", [0, -0.1, 0.3, 2, float("nan")])
def test_a_step_that_does_not_divide_1_is_refused(step):
    with pytest.raises(InvalidValueError, match="step must divide 1"):
        topology.grid(step)


@pytest.mark.parametrize(
    ("reached", "beyond", "name"),
    [
        ((0.2 + SLACK, 0.2 + SLACK), (0.2 + 2 * SLACK, 0.2 + 2 * SLACK), "local"),
        ((0.8 - SLACK, 0.8 - SLACK), (0.8 - 2 * SLACK, 0.8 - 2 * SLACK), "global"),
        ((0.0, 0.8 - SLACK), (0.0, 0.8 - 2 * SLACK), "geometry"),
        ((0.4 - SLACK, 0.5), (0.4 - 2 * SLACK, 0.5), "topology"),
        ((0.5, 0.6 + SLACK), (0.5, 0.6 + 2 * SLACK), "topology"),
    ],
)
def test_a_border_counts_as_reached_within_rounding(reached, beyond, name):
    assert topology.family(*reached) == name
    assert topology.family(*beyond) == "intermediate"


@pytest.mark.parametrize(("step", "n"), [(1, 1), (0.5, 2), (0.2, 5), (1 / 3, 3)])
def test_grids_of_few_steps_have_all_their_pairs(step, n):
    found = topology.grid(step)
    expected = [(i / n, j / n) for i in range(n + 1) for j in range(i, n + 1)]
    assert list(zip(found["lower"].values, found["upper"].values, strict=True)) == expected
    assert found.attrs["step"] == step


def test_ranks_of_zeros_and_of_few_values_by_hand():
    rdm = make(np.array([[0.0, 0.0, 5.0, 0.0, 2.0, 2.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]), dims=["subject"])
    # Mid-ranks 2 2 6 2 4.5 4.5, from 0 to 1; and 3, 6, 3 and so on.
    np.testing.assert_allclose(
        topology.geo_topological(rdm), [[0, 0, 1, 0, 0.625, 0.625], [0, 1, 0, 0, 0, 0]], atol=1e-15
    )
    graph = topology.geo_topological(rdm, 0.5, 0.5)
    # The median of the first row is 0.3125, that of the second 0.
    assert graph.values.tolist() == [[0, 0, 1, 0, 1, 1], [0, 1, 0, 0, 0, 0]]
    assert topology.geo_topological(rdm, 0, 0).values.tolist() == graph.values.tolist()
    assert topology.geo_topological(rdm, 1, 1).values.tolist() == [[0] * 6] * 2
    np.testing.assert_allclose(
        topology.geo_topological(rdm, kind="sigmoid", slope=3.0, centre=0.25)[0, [0, 2, 4]],
        1 / (1 + np.exp([0.75, -2.25, -1.125])),
        rtol=1e-12,
    )
