"""Dirichlet energy, neighbour mixing, spectral alignment: by hand, laws, planted graphs, islands."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from neuroalign import spatial
from neuroalign.errors import InvalidValueError, LabelError
from neuroalign.geometry import dirichlet_energy, neighbour_mixing, spectral_alignment

GRID = [(f"{a}", f"{b}") for a, b in nx.convert_node_labels_to_integers(nx.grid_2d_graph(4, 5)).edges]
PLACES = np.array([(i, j) for i in range(4) for j in range(5)], dtype=float)


def nodes(values, names=None):
    values = np.asarray(values, dtype=float)
    names = [str(i) for i in range(values.shape[-2])] if names is None else names
    dims = ("layer", "stimulus", "unit")[3 - values.ndim :]
    return xr.DataArray(values, dims=dims, coords={"stimulus": names})


def test_energy_is_the_sum_over_edges_and_over_units_of_maps(rng):
    x = rng.standard_normal((20, 6))
    by_hand = sum(((x[int(a)] - x[int(b)]) ** 2).sum() for a, b in GRID)
    assert float(dirichlet_energy(nodes(x), GRID, normalize="none").energy) == pytest.approx(by_hand)
    maps = spatial.dirichlet_energy(x.T, spatial.lattice((4, 5)))
    assert float(maps.sum()) == pytest.approx(by_hand)


def test_normalised_it_is_the_mean_over_edges_over_the_mean_over_pairs(rng):
    x = rng.standard_normal((20, 6))
    pairs = np.array([((x[i] - x[j]) ** 2).sum() for i in range(20) for j in range(i)])
    edges = np.array([((x[int(a)] - x[int(b)]) ** 2).sum() for a, b in GRID])
    found = float(dirichlet_energy(nodes(x), GRID).energy)
    assert found == pytest.approx(edges.mean() / pairs.mean())
    geary = spatial.geary(x.T, spatial.lattice((4, 5)), standardise=False)
    weights = x.var(axis=0)
    values = geary["statistic"].values if "statistic" in geary else geary[next(iter(geary.data_vars))].values
    assert found == pytest.approx(float((values * weights).sum() / weights.sum()))


def test_random_places_have_one_on_average_and_a_planted_grid_far_less(rng):
    x = np.stack([rng.standard_normal((20, 8)), PLACES @ rng.standard_normal((2, 8))])
    found = dirichlet_energy(nodes(x), GRID, n_permutations=199, rng=rng)
    assert float(found.null.isel(layer=0).mean()) == pytest.approx(1, abs=0.02)
    assert float(found.p[0]) > 0.05 and float(found.p[1]) == 1 / 200
    assert float(found.energy[1]) < 0.3


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-4, 1e4))
def test_rotating_scaling_shifting_and_reordering_changes_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((20, 4))
    moved = nodes(scale * (x @ ortho_group.rvs(4, random_state=seed % 2**32) + 3))
    moved = moved.isel(stimulus=rng.permutation(20))
    for function in (dirichlet_energy, spectral_alignment):
        one, other = function(nodes(x), GRID[:-1]), function(moved, GRID[:-1])
        name = next(iter(one.data_vars))
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-6)


def test_edges_and_a_labelled_matrix_in_another_order_are_one_graph(rng):
    x = nodes(rng.standard_normal((20, 3)))
    names = x["stimulus"].values
    matrix = np.zeros((20, 20))
    for weight, (a, b) in enumerate(GRID, start=1):
        matrix[int(a), int(b)] = matrix[int(b), int(a)] = weight
    rows, columns = rng.permutation(20), rng.permutation(20)
    graph = xr.DataArray(
        matrix[np.ix_(rows, columns)],
        dims=("stimulus", "stimulus_b"),
        coords={"stimulus": names[rows], "stimulus_b": names[columns]},
    )
    weighted = [(a, b, weight) for weight, (a, b) in enumerate(GRID, start=1)]
    one, other = (float(dirichlet_energy(x, g).energy) for g in (graph, weighted))
    assert one == pytest.approx(other)


def test_islands_are_left_out_and_counted(rng):
    x = rng.standard_normal((20, 3))
    alone = np.vstack([x, 100 * rng.standard_normal((2, 3))])
    found = dirichlet_energy(nodes(alone), GRID)
    assert float(found.energy) == pytest.approx(float(dirichlet_energy(nodes(x), GRID).energy))
    assert found.attrs["n_islands"] == 2 and found.attrs["n_components"] == 3
    assert found.attrs["n_nodes"] == 22 and found.attrs["n_edges"] == len(GRID)
    mixed = neighbour_mixing(nodes(alone), GRID, n_draws=5, rng=np.random.default_rng(0))
    assert np.isfinite(mixed.null).all()
    with pytest.raises(
        InvalidValueError, match="needs a connected graph; this one has 3 components of 20, 1, 1"
    ):
        spectral_alignment(nodes(alone), GRID)


def test_equal_patterns_are_undefined():
    found = dirichlet_energy(nodes(np.ones((20, 2))), GRID)
    assert np.isnan(found.energy) and found.attrs["n_undefined"] == 1
    assert float(dirichlet_energy(nodes(np.ones((20, 2))), GRID, normalize="none").energy) == 0


@pytest.mark.parametrize("amount", [0.0, 0.2, 0.4])
def test_the_amount_of_mixing_that_was_done_is_found(amount):
    rng = np.random.default_rng(6)
    source = rng.standard_normal((20, 400))
    near = nx.to_numpy_array(nx.grid_2d_graph(4, 5))
    near /= near.sum(axis=1, keepdims=True)
    mixed = (1 - amount) * source + amount * near @ source
    other = nodes(rng.standard_normal((20, 400)))
    found = neighbour_mixing(nodes(mixed), GRID, reference=other, n_draws=40, rng=rng)
    assert float(found.explained_by) == pytest.approx(amount, abs=0.04)
    assert float(found.p.sel(amount=amount)) > 0.025
    assert found.attrs["n_beyond"] == 0


def test_a_perfect_grid_is_beyond_one_round_of_mixing(rng):
    found = neighbour_mixing(
        nodes(np.stack([PLACES, rng.standard_normal((20, 2))])),
        GRID,
        reference=nodes(rng.standard_normal((20, 300))),
        amounts=[0, 0.25, 0.5],
        n_draws=50,
        rng=rng,
    )
    assert np.isnan(found.explained_by[0]) and found.attrs["n_beyond"] == 1
    assert (found.p[0] == 1 / 51).all() and float(found.p[1, 0]) > 0.02
    assert found.null.dims == ("draw", "layer", "amount")


def test_nodes_that_do_not_differ_are_undefined_and_not_beyond(rng):
    values = np.stack([PLACES, np.full((20, 2), 3.0)])
    noise = rng.standard_normal((20, 300))
    options = {"amounts": [0, 0.25, 0.5], "n_draws": 9, "rng": rng}
    found = neighbour_mixing(nodes(values), GRID, reference=nodes(noise), **options)
    assert np.isnan(found.energy).values.tolist() == [False, True]
    assert found.attrs["n_undefined"] == 1 and found.attrs["n_beyond"] == 1
    found = neighbour_mixing(nodes(values), GRID, reference=nodes(np.ones((20, 3))), **options)
    assert np.isnan(found.null).all() and np.isnan(found.explained_by).all() and np.isnan(found.p).all()
    assert found.attrs["n_undefined"] == 2 and found.attrs["n_beyond"] == 0


def test_places_on_a_path_are_its_embedding_and_noise_is_at_chance():
    path = [(str(i), str(i + 1)) for i in range(29)]
    along = np.cos(np.pi * (np.arange(30) + 0.5) / 30)
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((200, 30, 40))
    exact = nodes(np.outer(along, [1.0, 2.0]))
    assert float(spectral_alignment(exact, path, 1).alignment) == pytest.approx(1)
    found = spectral_alignment(nodes(noise), path, 2)
    assert float(found.alignment.mean()) == pytest.approx(2 / 29, rel=0.1)
    assert found.attrs["chance"] == pytest.approx(2 / 29)
    tested = spectral_alignment(exact, path, 1, n_permutations=99, rng=rng)
    assert float(tested.p) == 0.01 and float(tested.share) == pytest.approx(1)


def test_too_few_components_are_undefined(rng):
    line = nodes(np.outer(rng.standard_normal(20), [1.0, 1.0]))
    found = spectral_alignment(line, GRID, 2)
    assert np.isnan(found.alignment) and found.attrs["n_undefined"] == 1


def test_bad_graphs_are_refused(rng):
    x = nodes(rng.standard_normal((4, 2)), list("abcd"))
    square = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    with pytest.raises(InvalidValueError, match=r"n_dims = 1 cuts through 2 equal eigenvalues .* pass 2"):
        spectral_alignment(x, square, 1)
    twice = x.assign_coords(stimulus=list("abcb"))
    for measure in (dirichlet_energy, spectral_alignment):
        with pytest.raises(LabelError, match="activations: 1 labels of 'stimulus' are repeated: 'b'"):
            measure(twice, square)
    with pytest.raises(LabelError, match="'z' of an edge are no stimuli"):
        dirichlet_energy(x, [("a", "z")])
    with pytest.raises(InvalidValueError, match="two different stimuli"):
        dirichlet_energy(x, [("a", "a")])
    with pytest.raises(InvalidValueError, match="an edge is given twice"):
        dirichlet_energy(x, [("a", "b"), ("b", "a")])
    with pytest.raises(InvalidValueError, match="graph has no edge"):
        dirichlet_energy(x, [])
    coords = {"stimulus": list("abcd"), "stimulus_b": list("abcd")}
    matrix = xr.DataArray(np.triu(np.ones((4, 4)), 1), dims=("stimulus", "stimulus_b"), coords=coords)
    with pytest.raises(InvalidValueError, match="graph must be symmetric"):
        dirichlet_energy(x, matrix)
    with pytest.raises(InvalidValueError, match="finite and not negative"):
        dirichlet_energy(x, -matrix - matrix.values.T)
    with pytest.raises(LabelError, match="no labels along 'stimulus'"):
        dirichlet_energy(x, (matrix + matrix.values.T).drop_vars("stimulus_b"))
    with pytest.raises(InvalidValueError, match="amounts must rise"):
        neighbour_mixing(x, square, amounts=[0.5, 0.2], rng=rng)
