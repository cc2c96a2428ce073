"""Surrogate maps: what they keep, and how often each calls noise a finding."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import kstest

from neuroalign import spatial, stats
from neuroalign.errors import InvalidValueError, ShapeError

SHAPE = (12, 12)
GRAPH = spatial.lattice(SHAPE)
KERNEL = spatial.gaussian_kernel(spatial.lattice_positions(SHAPE), fwhm=3.0)
N_MAPS, N_DRAWS = 200, 99


def raw(seed, n=N_MAPS):
    return np.random.default_rng(seed).standard_normal((n, 144))


def test_shuffles_keep_the_values_and_move_all_maps_alike():
    maps = xr.DataArray(raw(0, 2), dims=("layer", "unit"), coords={"layer": ["a", "b"]})
    draws = spatial.shuffled(maps, 5, rng=np.random.default_rng(0))
    assert draws.dims == ("draw", "layer", "unit")
    assert np.array_equal(np.sort(draws.values, axis=-1), np.broadcast_to(np.sort(maps.values), (5, 2, 144)))
    for draw in draws.values:
        order = [int(np.flatnonzero(maps.values[0] == value)[0]) for value in draw[0]]
        assert np.array_equal(draw[1], maps.values[1][order])
    again = spatial.shuffled(maps, 5, rng=np.random.default_rng(0))
    assert np.array_equal(draws.values, again.values)


def test_shifts_on_a_torus_keep_morans_i():
    torus = spatial.lattice(SHAPE, periodic=True)
    x = raw(1, 1)[0]
    draws = spatial.torus_shifts(x, SHAPE, 20, rng=np.random.default_rng(0))
    assert not (draws.values == x).all(axis=1).any()
    expected = float(spatial.moran(x, torus).statistic)
    assert spatial.moran(draws, torus).statistic.values == pytest.approx(expected)


@pytest.mark.parametrize("graph", ["lattice", "ring", "nearest", "two parts"])
def test_spectral_draws_keep_mean_variance_and_morans_i(graph):
    given = {
        "lattice": GRAPH,
        "ring": spatial.lattice((144,), periodic=True),
        "nearest": spatial.distances(np.random.default_rng(2).random((144, 2)), k=5, symmetric=False),
        "two parts": np.kron(np.eye(2), spatial.lattice((72,)).toarray()),
    }[graph]
    maps = raw(3, 3) + 5
    draws = spatial.spectral_randomisations(maps, given, 10, rng=np.random.default_rng(0))
    expected = spatial.moran(maps, given, standardise=False).statistic.values
    found = spatial.moran(draws, given, standardise=False).statistic.values
    assert found == pytest.approx(np.broadcast_to(expected, found.shape), abs=1e-10)
    assert draws.mean("unit").values == pytest.approx(np.broadcast_to(maps.mean(1), (10, 3)))
    assert draws.var("unit").values == pytest.approx(np.broadcast_to(maps.var(1), (10, 3)))
    assert np.abs(draws.values - maps).max() > 0.5


def test_p_of_smoothed_noise_is_uniform_if_the_null_is_smoothed_too():
    noise = raw(4)
    maps = spatial.smooth(noise, KERNEL)
    observed = spatial.moran(maps, GRAPH).statistic
    draws = spatial.shuffled(noise, N_DRAWS, rng=np.random.default_rng(5))
    null = spatial.moran(spatial.smooth(draws, KERNEL), GRAPH).statistic
    p = stats.p_value(observed, null)
    assert kstest(p, "uniform").pvalue > 0.05
    assert 0.02 <= (p <= 0.05).mean() <= 0.085
    naive = spatial.moran(spatial.shuffled(maps, N_DRAWS, rng=np.random.default_rng(5)), GRAPH).statistic
    assert (stats.p_value(observed, naive) <= 0.05).mean() > 0.99


def test_clusters_of_smoothed_noise_are_found_too_often_by_the_wrong_null_only():
    noise = raw(6)
    maps = spatial.smooth(noise, KERNEL)
    bar = float(np.quantile(maps.values, 0.8))
    observed = spatial.largest_cluster(maps, GRAPH, threshold=bar)
    draws = spatial.shuffled(noise, N_DRAWS, rng=np.random.default_rng(7))
    null = spatial.largest_cluster(spatial.smooth(draws, KERNEL), GRAPH, threshold=bar)
    assert 0.01 <= (stats.p_value(observed, null) <= 0.05).mean() <= 0.085
    naive = spatial.shuffled(maps, N_DRAWS, rng=np.random.default_rng(7))
    wrong = stats.p_value(observed, spatial.largest_cluster(naive, GRAPH, threshold=bar))
    assert (wrong <= 0.05).mean() > 0.5


def correspondence(torus):
    """Share of pairs of independent smooth maps that each null calls alike, by |r|."""
    kernel, graph = KERNEL, GRAPH
    if torus:
        graph = spatial.lattice(SHAPE, periodic=True)
        kernel = spatial.gaussian_kernel(spatial.lattice_positions(SHAPE), fwhm=3.0, periodic=SHAPE)
    noise = raw(8)
    x, y = (spatial.smooth(values, kernel).values for values in (noise, raw(9)))
    rng = np.random.default_rng(10)
    nulls = {
        "shuffled": spatial.shuffled(x, N_DRAWS, rng=rng),
        "shuffled, then smoothed": spatial.smooth(spatial.shuffled(noise, N_DRAWS, rng=rng), kernel),
        "shifted": spatial.torus_shifts(x, SHAPE, N_DRAWS, rng=rng),
        "spectral": spatial.spectral_randomisations(x, graph, N_DRAWS, rng=rng),
    }
    y = (y - y.mean(1, keepdims=True)) / y.std(1, keepdims=True)

    def r(maps):
        return np.abs((maps * y).mean(-1) / maps.std(-1))

    return {name: float((stats.p_value(r(x), r(null.values)) <= 0.05).mean()) for name, null in nulls.items()}


@pytest.mark.parametrize("torus", [True, False])
def test_independent_smooth_maps_seem_alike_unless_the_null_is_smooth(torus):
    found = correspondence(torus)
    assert found["shuffled"] > 0.2
    assert found["shuffled, then smoothed"] <= 0.09, found
    # Edges, where smoothed maps vary more, make these two liberal; the page of the room has the numbers.
    assert found["shifted"] <= (0.10 if torus else 0.19), found
    assert found["spectral"] <= (0.10 if torus else 0.16), found


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda rng: spatial.shuffled([1.0, np.nan], 3, rng=rng), "1 are NaN. Leave their units out"),
        (lambda rng: spatial.shuffled([1.0, 2.0], 0, rng=rng), "n must be a positive integer"),
        (lambda rng: spatial.shuffled([1.0, 2.0], 3, rng=7), "rng must be a numpy.random.Generator"),
        (lambda rng: spatial.torus_shifts([1.0, 2.0], (3,), 3, rng=rng), "has 3 units; the maps have 2"),
        (
            lambda rng: spatial.spectral_randomisations([1.0, 2.0], np.zeros((2, 2)), 3, rng=rng),
            "2 of 2 units have no neighbour",
        ),
    ],
)
def test_bad_input_is_refused_with_reasons(call, text):
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call(np.random.default_rng(0))
