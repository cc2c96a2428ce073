"""Moran's I, Geary's C, energies: by hand, over all orders, and against esda."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from neuroalign import spatial, stats
from neuroalign.errors import InvalidValueError, LabelError, ShapeError

RNG = np.random.default_rng(0)
# Asymmetric, unequal weights, no islands.
ODD = RNG.random((7, 7)) * (RNG.random((7, 7)) < 0.6)
np.fill_diagonal(ODD, 0)
ODD[np.arange(7), (np.arange(7) + 1) % 7] = 0.5
SEVEN = np.array([3.0, -1.0, 0.5, 2.0, 2.0, -4.0, 1.0])


def slow(x, w):
    """Moran's I, Geary's C and the Dirichlet energy as sums over all pairs."""
    n, z = len(x), x - x.mean()
    pairs = list(itertools.product(range(n), repeat=2))
    s0 = sum(w[i, j] for i, j in pairs)
    moran = n / s0 * sum(w[i, j] * z[i] * z[j] for i, j in pairs) / (z**2).sum()
    energy = 0.5 * sum(w[i, j] * (x[i] - x[j]) ** 2 for i, j in pairs)
    return moran, (n - 1) / s0 * energy / (z**2).sum(), energy


@pytest.mark.parametrize("standardise", [False, True])
def test_the_statistics_are_their_sums(standardise):
    w = ODD / ODD.sum(axis=1, keepdims=True) if standardise else ODD
    moran, geary, energy = slow(SEVEN, w)
    options = {"standardise": standardise}
    assert float(spatial.moran(SEVEN, ODD, **options).statistic) == pytest.approx(moran, abs=1e-12)
    assert float(spatial.geary(SEVEN, ODD, **options).statistic) == pytest.approx(geary, abs=1e-12)
    assert float(spatial.dirichlet_energy(SEVEN, ODD, **options)) == pytest.approx(energy, abs=1e-12)


@pytest.mark.parametrize("name", ["moran", "geary"])
@pytest.mark.parametrize("standardise", [False, True])
def test_moments_are_those_over_all_orders(name, standardise):
    x = SEVEN[:6]
    w = ODD[:6, :6]
    orders = np.array(list(itertools.permutations(range(6))))
    test = getattr(spatial, name)
    every = test(x[orders], w, standardise=standardise).statistic.values
    found = test(x, w, standardise=standardise)
    assert float(found.expected) == pytest.approx(every.mean(), abs=1e-12)
    assert float(found.variance_random) == pytest.approx(every.var(), abs=1e-12)


@pytest.mark.parametrize("name", ["moran", "geary"])
def test_moments_of_normal_values_are_those_of_many_draws(name):
    draws = np.random.default_rng(1).standard_normal((60000, 7))
    found = getattr(spatial, name)(draws, ODD)
    assert float(found.statistic.mean()) == pytest.approx(float(found.expected[0]), abs=0.006)
    assert float(found.statistic.var()) == pytest.approx(float(found.variance_normal[0]), rel=0.03)


def test_moran_on_noise_is_minus_one_over_n_minus_one():
    line = spatial.lattice((9, 11), neighbours="queen")
    found = spatial.moran(np.random.default_rng(2).standard_normal((4000, 99)), line)
    assert float(found.statistic.mean()) == pytest.approx(-1 / 98, abs=0.004)
    assert float(found.z_random.std()) == pytest.approx(1.0, abs=0.05)
    assert float((found.p_random < 0.05).mean()) == pytest.approx(0.05, abs=0.015)


def pysal(graph):
    """The graph as libpysal has it."""
    weights = pytest.importorskip("libpysal.weights")
    return weights.WSP(csr_matrix(graph)).to_W(silence_warnings=True)


GRAPHS = {
    "queen": spatial.lattice((5, 6), neighbours="queen"),
    "nearest": spatial.distances(np.random.default_rng(3).random((30, 2)), k=4, symmetric=False),
}


@pytest.mark.parametrize("graph", list(GRAPHS))
@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_moran_and_geary_are_those_of_esda(graph, standardise):
    esda = pytest.importorskip("esda")

    x = np.random.default_rng(4).gamma(2.0, size=30)
    given = GRAPHS[graph]
    w = pysal(given)
    kind = "r" if standardise else "o"
    ours, theirs = spatial.moran(x, given, standardise=standardise), esda.Moran(x, w, kind, permutations=0)
    for name, other in {
        "statistic": theirs.I,
        "expected": theirs.EI,
        "variance_normal": theirs.VI_norm,
        "variance_random": theirs.VI_rand,
        "z_normal": theirs.z_norm,
        "z_random": theirs.z_rand,
        "p_normal": theirs.p_norm,
        "p_random": theirs.p_rand,
    }.items():
        assert float(ours[name]) == pytest.approx(float(other), abs=1e-10), name
    ours, geary = spatial.geary(x, given, standardise=standardise), esda.Geary(x, w, kind, permutations=0)
    for name, other in {
        "statistic": geary.C,
        "variance_normal": geary.VC_norm,
        "variance_random": geary.VC_rand,
        "z_random": geary.z_rand,
        # esda's p of Geary's C has one tail.
        "p_random": 2 * geary.p_rand,
    }.items():
        assert float(ours[name]) == pytest.approx(float(other), abs=1e-10), name


@pytest.mark.filterwarnings("ignore")
def test_moran_of_two_maps_is_that_of_esda():
    esda = pytest.importorskip("esda")

    x, y = np.random.default_rng(5).standard_normal((2, 30))
    for graph in GRAPHS.values():
        expected = esda.Moran_BV(x, y, pysal(graph), permutations=0).I
        assert float(spatial.bivariate_moran(x, y, graph)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.filterwarnings("ignore")
def test_pseudo_p_is_esdas_from_the_same_draws():
    esda = pytest.importorskip("esda")

    given = GRAPHS["queen"]
    kernel = spatial.gaussian_kernel(spatial.lattice_positions((5, 6)), fwhm=2.0)
    x = spatial.smooth(np.random.default_rng(6).standard_normal(30), kernel).values
    np.random.seed(0)  # noqa: NPY002 - esda draws from the global state
    theirs = esda.Moran(x, pysal(given), permutations=199)
    np.random.seed(0)  # noqa: NPY002
    draws = np.stack([np.random.permutation(x) for _ in range(199)])  # noqa: NPY002
    ours = stats.p_value(spatial.moran(x, given).statistic, spatial.moran(draws, given).statistic)
    assert float(ours) == pytest.approx(theirs.p_sim)


def test_bivariate_moran_of_a_map_with_itself_is_moran():
    found = spatial.bivariate_moran(SEVEN, SEVEN, ODD)
    assert float(found) == pytest.approx(float(spatial.moran(SEVEN, ODD).statistic), abs=1e-12)
    one_for_all = spatial.bivariate_moran(np.stack([SEVEN, -SEVEN]), SEVEN, ODD)
    assert one_for_all.values == pytest.approx([float(found), -float(found)])


def test_normalised_energy_is_geary_times_the_weights():
    energy = spatial.dirichlet_energy(SEVEN, ODD, normalise=True)
    geary = spatial.geary(SEVEN, ODD, standardise=False).statistic
    assert float(energy) == pytest.approx(float(geary) * ODD.sum() / 6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(-5, 5), st.floats(0.1, 10))
def test_shift_scale_and_order_of_units_change_nothing(seed, shift, scale):
    rng = np.random.default_rng(seed)
    x, order = rng.standard_normal(7), rng.permutation(7)
    for test in (spatial.moran, spatial.geary):
        expected = float(test(x, ODD).statistic)
        assert float(test(shift + scale * x, ODD).statistic) == pytest.approx(expected, abs=1e-9)
        assert float(test(x[order], ODD[np.ix_(order, order)]).statistic) == pytest.approx(expected, abs=1e-9)


def test_a_stack_is_its_maps_one_by_one_whatever_is_missing():
    maps = np.random.default_rng(7).standard_normal((5, 7))
    maps[1, 3] = np.nan
    maps[3] = 2.0
    found = spatial.moran(maps, ODD, missing="omit")
    assert found.attrs == {"n_missing": 1, "n_islands": 0, "n_constant": 1}
    assert np.isnan(found.statistic[3])
    for i in (0, 2, 4):
        assert float(found.statistic[i]) == pytest.approx(float(spatial.moran(maps[i], ODD).statistic))
    keep = np.array([0, 1, 2, 4, 5, 6])
    without = spatial.moran(maps[1, keep], ODD[np.ix_(keep, keep)]).statistic
    assert float(found.statistic[1]) == pytest.approx(float(without))


def test_islands_are_refused_or_left_out_and_counted():
    graph = spatial.lattice((4,)).toarray()
    with_island = np.zeros((5, 5))
    with_island[:4, :4] = graph
    x = np.array([1.0, 2.0, 4.0, 3.0, 100.0])
    with pytest.raises(InvalidValueError, match=r"1 of 5 units have no neighbour: 4\. Pass unconnected"):
        spatial.moran(x, with_island)
    found = spatial.moran(x, with_island, unconnected="omit")
    assert found.attrs["n_islands"] == 1
    assert float(found.statistic) == pytest.approx(float(spatial.moran(x[:4], graph).statistic))


@pytest.mark.filterwarnings("ignore")
def test_esda_counts_an_island_in_n_and_mean_which_we_do_not():
    """By hand: x = 1, 2, 3 on a line and an island of 6; z = -2, -1, 0, 3 there, -1, 0, 1 here.

    Row-standardised. esda: S0 = 3, sum z lag = -2 (-1) + -1 (-1) + 0 = 3, sum z^2 = 14, n = 4: 2/7.
    Here: S0 = 3, sum z lag = 0 + 0 + 0 = 0: 0.
    """
    esda = pytest.importorskip("esda")

    graph = np.zeros((4, 4))
    graph[:3, :3] = spatial.lattice((3,)).toarray()
    x = np.array([1.0, 2.0, 3.0, 6.0])
    assert pytest.approx(2 / 7) == esda.Moran(x, pysal(graph), permutations=0).I
    assert float(spatial.moran(x, graph, unconnected="omit").statistic) == pytest.approx(0.0)


def test_a_missing_unit_may_leave_another_alone():
    x = np.array([1.0, np.nan, 2.0, 5.0])
    with pytest.raises(InvalidValueError, match="1 of 3 units have no neighbour: 0"):
        spatial.moran(x, spatial.lattice((4,)), missing="omit")
    found = spatial.moran(x, spatial.lattice((4,)), missing="omit", unconnected="omit")
    assert found.attrs["n_islands"] == 1
    assert float(found.statistic) == pytest.approx(-1.0)


def test_parts_of_a_graph_that_are_constant_each_have_no_energy():
    graph = np.kron(np.eye(2), 1 - np.eye(3))
    x = np.repeat([1.0, 4.0], 3)
    assert float(spatial.geary(x, graph).statistic) == pytest.approx(0.0, abs=1e-12)
    assert float(spatial.moran(x, graph).statistic) == pytest.approx(1.0)
    assert float(spatial.dirichlet_energy(x, graph)) == pytest.approx(0.0, abs=1e-12)


def test_a_large_offset_does_not_make_a_constant_map_vary():
    found = spatial.moran(np.full((2, 7), 0.1) + np.array([[0.0], [1e6]]), ODD)
    assert np.isnan(found.statistic).all()
    assert found.attrs["n_constant"] == 2
    assert spatial.dirichlet_energy(np.full(7, 0.1), ODD) == 0.0
    assert np.isnan(spatial.dirichlet_energy(np.full(7, 0.1), ODD, normalise=True))


def test_labels_decide_not_order():
    names = list("abcdefg")
    x = xr.DataArray(SEVEN, dims="unit", coords={"unit": names})
    mixed = x[[3, 1, 0, 6, 5, 2, 4]]
    found = spatial.moran(mixed, ODD, units=names)
    assert float(found.statistic) == pytest.approx(float(spatial.moran(SEVEN, ODD).statistic))
    with pytest.raises(LabelError, match="'h'"):
        spatial.moran(x, ODD, units=[*names[:-1], "h"])


def test_leading_dims_keep_their_labels():
    maps = xr.DataArray(
        np.random.default_rng(8).standard_normal((2, 3, 7)),
        dims=("layer", "contrast", "neuroid"),
        coords={"layer": [4, 8], "contrast": list("abc"), "x": ("neuroid", np.arange(7))},
    )
    found = spatial.moran(maps, ODD)
    assert found.sizes == {"layer": 2, "contrast": 3}
    assert found.layer.values.tolist() == [4, 8]
    assert "x" in spatial.local_moran(maps, ODD).coords


@pytest.mark.parametrize(
    ("values", "graph", "options", "text"),
    [
        (np.arange(6.0), ODD, {}, "graph has 7 units, the maps have 6"),
        (np.r_[SEVEN[:6], np.nan], ODD, {}, '1 of 7 values are NaN. Pass missing="omit"'),
        (np.r_[SEVEN[:6], np.inf], ODD, {}, "1 values are infinite"),
        (SEVEN, ODD, {"missing": "drop"}, "missing must be one of 'raise', 'omit'; got 'drop'"),
        (SEVEN, ODD, {"unconnected": "keep"}, "unconnected must be one of"),
        (SEVEN, ODD, {"units": list("abcdefg")}, "must be a DataArray with labels"),
        (np.zeros((2, 2, 7)), ODD, {}, "values must have 1 or 2 dimension"),
    ],
)
def test_bad_maps_are_refused_with_reasons(values, graph, options, text):
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        spatial.moran(values, graph, **options)


def test_two_stacks_of_other_sizes_are_refused():
    with pytest.raises(ShapeError, match="first has 3 maps, second has 2"):
        spatial.bivariate_moran(np.zeros((3, 7)), np.zeros((2, 7)), ODD)


def test_nothing_is_edited():
    x, w = SEVEN.copy(), spatial.lattice((7,))
    before = w.toarray()
    spatial.moran(x, w)
    spatial.dirichlet_energy(np.full(7, 3.0), w)
    assert np.array_equal(x, SEVEN)
    assert np.array_equal(w.toarray(), before)


def test_few_units_have_no_variance_of_random_places():
    found = spatial.moran([1.0, 2.0, 4.0], spatial.lattice((3,)))
    assert math.isnan(found.variance_random)
    assert math.isnan(found.p_random)
