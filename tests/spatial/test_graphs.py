"""Graphs of lattices, meshes and positions, by hand and against libpysal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from neuroalign import spatial
from neuroalign.errors import InvalidValueError, ShapeError
from neuroalign.spatial.graphs import as_graph


def slow_lattice(shape, reach, periodic):
    """Every pair of units, by the distance between them."""
    places = [np.array(place) for place in np.ndindex(*shape)]
    found = np.zeros((len(places), len(places)))
    for i, one in enumerate(places):
        for j, other in enumerate(places):
            apart = np.abs(one - other)
            if periodic:
                apart = np.minimum(apart, np.array(shape) - apart)
            found[i, j] = i != j and reach(apart)
    return found


REACHES = {
    "rook": lambda apart: apart.sum() == 1,
    "queen": lambda apart: apart.max() == 1,
    2.5: lambda apart: (apart**2).sum() <= 6.25,
}


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("neighbours", list(REACHES))
@pytest.mark.parametrize("shape", [(5,), (4, 6), (2, 3), (1, 4), (3, 4, 2)])
def test_a_lattice_joins_the_units_that_are_near(shape, neighbours, periodic):
    found = spatial.lattice(shape, neighbours=neighbours, periodic=periodic)
    assert np.array_equal(found.toarray(), slow_lattice(shape, REACHES[neighbours], periodic))


@pytest.mark.parametrize("rook", [True, False])
def test_a_lattice_is_that_of_libpysal(rook):
    weights = pytest.importorskip("libpysal.weights")
    expected = weights.lat2W(4, 5, rook=rook).sparse.toarray()
    found = spatial.lattice((4, 5), neighbours="rook" if rook else "queen")
    assert np.array_equal(found.toarray(), expected)


def test_a_tetrahedron_joins_all_corners_and_leaves_an_unused_vertex_alone():
    faces = [[0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3]]
    found = spatial.mesh(faces, n_vertices=5)
    assert np.array_equal(found.toarray()[:4, :4], 1 - np.eye(4))
    assert spatial.islands(found).tolist() == [4]


def test_distances_are_those_of_a_slow_search():
    places = np.random.default_rng(0).standard_normal((30, 3))
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    near = (apart <= 1.2) & ~np.eye(30, dtype=bool)
    assert np.array_equal(spatial.distances(places, radius=1.2).toarray(), near)
    order = np.argsort(apart, axis=1)[:, 1:5]
    nearest = np.zeros((30, 30))
    np.put_along_axis(nearest, order, 1, axis=1)
    assert np.array_equal(spatial.distances(places, k=4, symmetric=False).toarray(), nearest)
    either = np.maximum(nearest, nearest.T)
    assert np.array_equal(spatial.distances(places, k=4).toarray(), either)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12))
def test_rows_sum_to_one_or_are_empty(seed, n):
    rng = np.random.default_rng(seed)
    weights = rng.random((n, n)) * (rng.random((n, n)) < 0.3)
    np.fill_diagonal(weights, 0)
    total = spatial.row_standardise(weights).sum(axis=1)
    assert np.allclose(total, weights.any(axis=1))


def test_parts_of_a_graph_are_told_apart():
    line = spatial.lattice((6,)).toarray()
    line[2, 3] = line[3, 2] = 0
    assert spatial.components(line).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_graph_is_copied_and_forgets_zeros():
    graph = csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    graph.data[0] = 0.0
    found = as_graph(graph)
    assert found.nnz == 1
    found.data[:] = 7.0
    assert graph.data.tolist() == [0.0, 1.0]


def test_positions_follow_the_order_of_the_lattice():
    places = spatial.lattice_positions((3, 4), spacing=2.0)
    near = spatial.distances(places, radius=2.0)
    assert np.array_equal(near.toarray(), spatial.lattice((3, 4)).toarray())


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: spatial.lattice((0, 3)), "shape must be positive integers"),
        (lambda: spatial.lattice(()), "shape must be positive integers"),
        (lambda: spatial.lattice((3,), neighbours="bishop"), "neighbours must be one of 'rook', 'queen'"),
        (lambda: spatial.lattice((3,), neighbours=0.5), "distance of at least 1; got 0.5"),
        (lambda: spatial.mesh([[0, 1]]), "at least 3 corners"),
        (lambda: spatial.mesh([[0, 1, -2]]), "integers from 0 on"),
        (lambda: spatial.mesh([[0, 1, 5]], n_vertices=4), "vertex 5; n_vertices is 4"),
        (lambda: spatial.distances([[0.0], [1.0]]), "give either radius or k"),
        (lambda: spatial.distances([[0.0], [1.0]], radius=-1.0), "radius must be positive"),
        (lambda: spatial.distances([[0.0], [1.0]], k=2), "k must be an integer from 1 to 1; got 2"),
        (lambda: spatial.distances([[0.0], [1.0], [0.0]], k=1), "units 0 and 2 are both at"),
        (lambda: spatial.distances([[0.0], [np.nan]], k=1), "positions must be finite"),
        (lambda: spatial.islands([[0, -1], [1, 0]]), "finite and not negative"),
        (
            lambda: spatial.islands([[0, 1, np.nan], [1, 0, 1], [-1, 0, 0]]),
            "finite and not negative; 2 of 5 are not, the first is nan from unit 0 to unit 2",
        ),
        (
            lambda: spatial.components(csr_array(np.diag([-0.5, np.inf], 1))),
            "2 of 2 are not, the first is -0.5 from unit 0 to unit 1",
        ),
        (lambda: spatial.row_standardise(csr_array(1j * np.eye(2))), "real numbers; got dtype complex128"),
        (lambda: spatial.distances(np.zeros((3, 0)), k=1), r"at least 1 axis; got shape \(3, 0\)"),
        (lambda: spatial.islands([[1, 1], [1, 0]]), "1 units are their own neighbours: 0"),
        (lambda: spatial.islands(np.zeros((2, 3))), "square matrix of weights"),
    ],
)
def test_bad_graphs_are_refused_with_reasons(call, text):
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call()
