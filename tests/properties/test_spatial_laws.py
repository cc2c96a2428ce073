"""Laws of maps on graphs, and of dimensions and dichotomies."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, law, noise, patterns

from neuroalign import geometry, spatial

SHAPE = (4, 5)
SIZES = st.tuples(st.integers(2, 5), st.integers(2, 5))


def ones(x):
    return xr.DataArray(x, dims=("stimulus", "unit"))


@law(8)
@given(shape=SIZES, how=st.sampled_from(["rook", "queen"]))
def test_a_lattice_is_symmetric_without_loops_and_whole(shape, how):
    graph = spatial.lattice(shape, neighbours=how).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert (np.diagonal(graph) == 0).all()
    degree = graph.sum(axis=1)
    assert degree.min() >= 2 and degree.max() <= (4 if how == "rook" else 8)
    assert len(np.unique(spatial.components(graph))) == 1


def test_the_mean_of_morans_i_over_all_orders_is_its_expectation():
    graph = spatial.lattice((2, 3))
    values = noise(6)
    orders = np.array(list(permutations(range(6))))
    found = spatial.moran(values[orders], graph)
    assert float(found["statistic"].mean()) == pytest.approx(-1 / 5, abs=1e-12)
    geary = spatial.geary(values[orders], graph)
    assert float(geary["statistic"].mean()) == pytest.approx(1, abs=1e-12)


@law(15)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_autocorrelation_sees_neither_scale_nor_shift_nor_sign(seed, scale, shift):
    graph, values = spatial.lattice(SHAPE), noise(20, seed=seed)
    for function in (spatial.moran, spatial.geary):
        expected = float(function(values, graph)["statistic"])
        for moved in (scale * values + shift, -values):
            assert float(function(moved, graph)["statistic"]) == pytest.approx(expected, abs=1e-8)


@law(15)
@given(seed=SEEDS)
def test_local_values_sum_to_the_global_one_times_n_less_1(seed):
    graph, values = spatial.lattice(SHAPE), noise(20, seed=seed)
    local = spatial.local_moran(values, graph)["statistic"]
    whole = 19 * float(spatial.moran(values, graph)["statistic"])
    assert float(local.sum()) == pytest.approx(whole, abs=1e-10)


@law(10)
@given(seed=SEEDS, fwhm=st.floats(0.5, 4))
def test_smoothing_stays_within_the_values_keeps_constants_and_raises_autocorrelation(seed, fwhm):
    kernel = spatial.gaussian_kernel(spatial.lattice_positions(SHAPE), fwhm=fwhm)
    values = noise(20, seed=seed)
    smooth = spatial.smooth(values, kernel).values
    assert smooth.min() >= values.min() - 1e-12 and smooth.max() <= values.max() + 1e-12
    np.testing.assert_allclose(spatial.smooth(np.full(20, 3.5), kernel), 3.5)
    rough = spatial.dirichlet_energy(values, spatial.lattice(SHAPE))
    calm = spatial.dirichlet_energy(smooth, spatial.lattice(SHAPE))
    assert float(_only(calm)) <= float(_only(rough)) + 1e-9


def _only(found):
    return next(iter(found.data_vars.values())) if isinstance(found, xr.Dataset) else found


@law(10)
@given(seed=SEEDS)
def test_shuffled_and_shifted_maps_hold_the_same_values(seed):
    values = noise(20, seed=seed)
    rng = np.random.default_rng(seed)
    for found in (spatial.shuffled(values, 3, rng=rng), spatial.torus_shifts(values, SHAPE, 3, rng=rng)):
        for row in np.asarray(found).reshape(3, 20):
            np.testing.assert_array_equal(np.sort(row), np.sort(values))


@law(15)
@given(seed=SEEDS, n=st.integers(4, 12), u=st.integers(1, 6))
def test_the_participation_ratio_is_between_1_and_the_rank(seed, n, u):
    found = float(geometry.participation_ratio(ones(noise(n, u, seed=seed)), estimator="plain"))
    assert 1 - 1e-9 <= found <= min(n - 1, u) + 1e-9


@law(10)
@given(u=st.integers(1, 6), scale=st.floats(0.01, 100))
def test_an_even_spread_over_u_units_has_u_dimensions(u, scale):
    cross = np.concatenate([np.eye(u), -np.eye(u)]) * scale
    x = ones(np.concatenate([cross, cross]))
    assert float(geometry.participation_ratio(x, estimator="plain")) == pytest.approx(u)


@law(10)
@given(seed=SEEDS, scale=st.floats(0.1, 10))
def test_intrinsic_dimension_is_positive_and_has_no_unit_of_measure(seed, scale):
    x = patterns(noise(30, 3, seed=seed))
    first, second = geometry.intrinsic_dimension(x), geometry.intrinsic_dimension(scale * x)
    name = next(iter(first.data_vars))
    assert 0 < float(first[name]) < 30
    assert float(second[name]) == pytest.approx(float(first[name]), rel=1e-9)
