"""Smoothing: dense formulas, what stays the same, edges, missing values, and the estimated width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from neuroalign import spatial
from neuroalign.errors import InvalidValueError, ShapeError

SHAPE = (9, 7)
PLACES = spatial.lattice_positions(SHAPE)
X = np.random.default_rng(0).standard_normal((3, 63))


def dense(fwhm, box=None):
    apart = np.abs(PLACES[:, None] - PLACES)
    if box is not None:
        apart = np.minimum(apart, box - apart)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    d2 = (apart**2).sum(-1)
    return np.where(d2 <= (4 * sigma) ** 2, np.exp(-d2 / (2 * sigma**2)), 0.0)


@pytest.mark.parametrize("box", [None, SHAPE])
def test_the_gaussian_is_that_of_all_distances(box):
    kernel = spatial.gaussian_kernel(PLACES, fwhm=2.5, periodic=box)
    expected = dense(2.5, None if box is None else np.array(box))
    assert kernel.toarray() == pytest.approx(expected / expected.sum(1).max(), abs=1e-12)


def test_edges_lose_without_renormalisation_only():
    kernel = spatial.gaussian_kernel(PLACES, fwhm=2.0)
    ones = np.ones(63)
    assert spatial.smooth(ones, kernel).values == pytest.approx(ones)
    plain = spatial.smooth(ones, kernel, renormalise=False).values.reshape(SHAPE)
    assert plain[4, 3] == pytest.approx(1.0, abs=1e-3)
    assert plain[0, 0] < 0.6
    torus = spatial.gaussian_kernel(PLACES, fwhm=2.0, periodic=SHAPE)
    assert spatial.smooth(ones, torus, renormalise=False).values == pytest.approx(ones)


def test_missing_values_count_for_nothing():
    kernel = spatial.gaussian_kernel(PLACES, fwhm=2.0)
    maps = X.copy()
    maps[1, [5, 20]] = np.nan
    found = spatial.smooth(maps, kernel).values
    weights = kernel.toarray()
    keep = ~np.isnan(maps[1])
    expected = (weights[:, keep] @ maps[1, keep]) / weights[:, keep].sum(1)
    assert found[1, keep] == pytest.approx(expected[keep])
    assert np.isnan(found[1]).sum() == 2
    assert found[[0, 2]] == pytest.approx(spatial.smooth(X[[0, 2]], kernel).values)
    with pytest.raises(InvalidValueError, match="2 of 189 are NaN"):
        spatial.smooth(maps, kernel, renormalise=False)


def test_heat_is_the_exponential_of_the_laplacian():
    graph = spatial.distances(PLACES + 0.1 * np.random.default_rng(1).random((63, 2)), k=3, symmetric=False)
    both = (graph + graph.T).toarray() / 2
    laplacian = np.diag(both.sum(1)) - both
    expected = X @ expm(-0.7 * laplacian)
    found = spatial.smooth(X, spatial.heat_kernel(graph, time=0.7), renormalise=False)
    assert found.values == pytest.approx(expected, abs=1e-10)
    assert found.sum("unit").values == pytest.approx(X.sum(1))
    assert spatial.smooth(X, spatial.heat_kernel(graph, time=0.7)).values == pytest.approx(expected, abs=1e-9)
    assert spatial.smooth(X, spatial.heat_kernel(graph, time=0.0)).values == pytest.approx(X)


def test_heat_does_not_cross_to_another_part_of_the_graph():
    graph = np.kron(np.eye(2), 1 - np.eye(4))
    found = spatial.smooth(np.repeat([1.0, 5.0], 4), spatial.heat_kernel(graph, time=3.0))
    assert found.values == pytest.approx(np.repeat([1.0, 5.0], 4))


@pytest.mark.parametrize("width", [2.0, 4.0, 6.0])
def test_the_width_of_smoothed_noise_is_found(width):
    places = spatial.lattice_positions((60, 60), spacing=2.0)
    kernel = spatial.gaussian_kernel(places, fwhm=2 * width)
    maps = spatial.smooth(np.random.default_rng(2).standard_normal((10, 3600)), kernel)
    found = spatial.fwhm(maps, spatial.lattice((60, 60)), positions=places)
    # At a width of 2 steps the lattice is too coarse for the formula to be exact.
    assert float(found.mean()) == pytest.approx(2 * width, rel=0.08)


def test_noise_has_hardly_any_width_and_a_checkerboard_none():
    board = (np.indices(SHAPE).sum(0) % 2).ravel() * 1.0
    graph = spatial.lattice(SHAPE)
    found = spatial.fwhm(np.stack([board, np.full(63, 2.0)]), graph)
    assert found.values[0] == 0.0
    assert np.isnan(found.values[1])
    assert found.attrs == {"n_missing": 0, "n_islands": 0, "n_constant": 1}
    assert float(spatial.fwhm(X, graph).mean()) < 1.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: spatial.gaussian_kernel(PLACES, fwhm=0.0), "fwhm must be positive; got 0.0"),
        (lambda: spatial.gaussian_kernel(PLACES, fwhm=1.0, cutoff=-1.0), "cutoff must be positive"),
        (lambda: spatial.gaussian_kernel(np.zeros((2, 0)), fwhm=1.0), r"1 axis; got shape \(2, 0\)"),
        (lambda: spatial.gaussian_kernel(np.zeros((2, 2)), fwhm=1.0), "units 0 and 1 are both at"),
        (lambda: spatial.heat_kernel(np.zeros((2, 2)), time=-1.0), "time must be 0 or more"),
        (lambda: spatial.smooth(X, np.eye(5)), r"the maps' 63 units; got shape \(5, 5\)"),
        (lambda: spatial.fwhm(X, spatial.lattice(SHAPE), positions=PLACES[:5]), "positions are of 5 units"),
    ],
)
def test_bad_input_is_refused_with_reasons(call, text):
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call()
