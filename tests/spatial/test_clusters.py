"""Clusters of units above a threshold: a flood fill, and false positives of their nulls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroalign import spatial
from neuroalign.errors import InvalidValueError, ShapeError


def flood(above, graph):
    """Each unit's part, by walking from unit to unit."""
    label, n = np.zeros(len(above), dtype=int), 0
    for start in np.flatnonzero(above):
        if label[start]:
            continue
        n += 1
        todo = [start]
        while todo:
            at = todo.pop()
            if above[at] and not label[at]:
                label[at] = n
                todo += np.flatnonzero(graph[at] + graph[:, at]).tolist()
    return label


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_clusters_are_those_of_a_walk_and_stand_by_size(seed):
    rng = np.random.default_rng(seed)
    graph = spatial.distances(rng.random((25, 2)), k=2, symmetric=False)
    maps = rng.standard_normal((4, 25))
    maps[0, 3] = np.nan
    found = spatial.clusters(maps, graph, threshold=[0.0, 0.5, -0.2, 9.0]).values
    for row, values, bar in zip(found, maps, (0.0, 0.5, -0.2, 9.0), strict=True):
        slow = flood(np.nan_to_num(values, nan=-9.0) > bar, graph.toarray())
        assert np.array_equal(row > 0, slow > 0)
        pairs = {(a, b) for a, b in zip(row.tolist(), slow.tolist(), strict=True)}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        sizes = spatial.cluster_sizes(row)
        assert (np.diff(sizes) <= 0).all()
        assert sizes.tolist() == sorted(np.bincount(slow)[1:].tolist(), reverse=True)
    largest = spatial.largest_cluster(maps, graph, threshold=[0.0, 0.5, -0.2, 9.0]).values
    assert largest.tolist() == [max(np.bincount(row)[1:], default=0) for row in found]


def test_islands_are_clusters_of_one():
    assert spatial.clusters([2.0, 2.0], np.zeros((2, 2)), threshold=1).values.tolist() == [1, 2]


def test_bad_thresholds_and_graphs_are_refused():
    graph = spatial.lattice((3,))
    with pytest.raises(InvalidValueError, match="one for each of the 2 maps; got 3 values"):
        spatial.clusters(np.zeros((2, 3)), graph, threshold=[0, 1, 2])
    with pytest.raises(InvalidValueError, match="threshold must be finite"):
        spatial.clusters(np.zeros((2, 3)), graph, threshold=np.nan)
    with pytest.raises(ShapeError, match="graph has 3 units, the maps have 4"):
        spatial.largest_cluster(np.zeros((2, 4)), graph, threshold=1)
