"""Surrogate maps: what a map could be without the order, or the correspondence, that is tested.

Each draw is a whole map, so that any statistic of maps has a null: ``moran(shuffled(...), graph)``,
``largest_cluster(smooth(shuffled(...), kernel), graph, ...)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError
from .graphs import as_graph
from .inputs import Maps, prepared, stacked
from .local import check_draws

__all__ = ["shuffled", "spectral_randomisations", "torus_shifts"]


def shuffled(values: Any, n: int, *, rng: np.random.Generator) -> xr.DataArray:
    """Return maps whose values have changed places, all maps in the same way in each draw.

    The null of no spatial order at all. For a map that was smoothed, shuffle the raw map and smooth every
    draw as the map was smoothed; shuffling the smoothed map calls every smoothed map ordered.

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
        NaN is refused: leave such units out of maps and graph first.
    n : int
        Number of draws.
    rng : numpy.random.Generator

    Returns
    -------
    DataArray (draw, ..., unit)

    Raises
    ------
    InvalidValueError
        If values are not finite, or ``n`` is no positive integer.

    Examples
    --------
    >>> draws = shuffled([1.0, 2.0, 3.0], 2, rng=np.random.default_rng(0))
    >>> draws.dims, sorted(draws[0].values.tolist())
    (('draw', 'unit'), [1.0, 2.0, 3.0])
    """
    maps, flat = _maps(values, n, rng)
    orders = np.stack([rng.permutation(flat.shape[1]) for _ in range(n)])
    return maps.per_unit(np.moveaxis(flat[:, orders], 0, 1), draws=True)


def torus_shifts(values: Any, shape: Sequence[int], n: int, *, rng: np.random.Generator) -> xr.DataArray:
    """Return lattice maps shifted by random steps along all axes; what leaves at one end enters at the other.

    A null for the correspondence of two maps that keeps the order inside each. Moran's I of one map hardly
    changes (on a torus not at all), so it is no null for that. On a lattice with edges the seam breaks some
    of the order.

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
        In the order of ``lattice``.
    shape : sequence of int
        Of the lattice.
    n : int
        Number of draws, with replacement from all shifts. The one that changes nothing is among them: p is
        the share of shifts that do as well, and without it maps of few units would seem alike too often.
    rng : numpy.random.Generator

    Returns
    -------
    DataArray (draw, ..., unit)

    Raises
    ------
    ShapeError
        If the shape is not that of the units.

    Examples
    --------
    >>> torus_shifts([1.0, 2.0], (2,), 1, rng=np.random.default_rng(0)).values.tolist()
    [[2.0, 1.0]]
    """
    maps, flat = _maps(values, n, rng)
    sizes = tuple(int(size) for size in shape)
    if np.prod(sizes) != flat.shape[1] or flat.shape[1] < 2:
        raise ShapeError(
            f"a lattice of shape {sizes} has {np.prod(sizes)} units; the maps have {flat.shape[1]}."
        )
    axes = tuple(range(1, 1 + len(sizes)))
    laid = flat.reshape(-1, *sizes)
    steps = np.stack(np.unravel_index(rng.integers(flat.shape[1], size=n), sizes), axis=1)
    drawn = [np.roll(laid, tuple(step), axes).reshape(flat.shape) for step in steps]
    return maps.per_unit(np.stack(drawn), draws=True)


def spectral_randomisations(
    values: Any, graph: Any, n: int, *, rng: np.random.Generator, standardise: bool = False
) -> xr.DataArray:
    """Return maps of the same mean, variance and Moran's I in another arrangement.

    A map is a sum of the graph's Moran eigenvectors; each draw changes the signs of their coefficients at
    random ("singleton"), all maps in the same way. A null for the correspondence of two maps. All
    eigenvectors are computed: up to some thousand units.

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
        NaN is refused.
    graph : array (n_units, n_units)
        Weights, taken in both directions ((W + W^T) / 2). Islands are refused.
    n : int
        Number of draws.
    rng : numpy.random.Generator
    standardise : bool
        Whether weights are divided by their row's sum first.

    Returns
    -------
    DataArray (draw, ..., unit)
        Moran's I with these weights is that of the map, to rounding. Values are not those of the map.

    References
    ----------
    Wagner & Dray 2015, Methods Ecol Evol 6:1169.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> x, line = np.array([1.0, 2.0, 2.5, 0.0]), spatial.lattice((4,))
    >>> draws = spectral_randomisations(x, line, 3, rng=np.random.default_rng(0))
    >>> spatial.moran(draws, line, standardise=False).statistic.round(6).values.tolist()
    [-0.389831, -0.389831, -0.389831]
    """
    maps, flat = _maps(values, n, rng)
    weights = prepared(flat, as_graph(graph, flat.shape[1]), standardise=standardise).parts[0].weights
    dense = ((weights + weights.T) / 2).toarray()
    dense -= dense.mean(axis=0)
    dense -= dense.mean(axis=1, keepdims=True)
    # The constant is an eigenvector of value 0 and must not mix with others of that value: it is moved away.
    dense += 2 * (1 + np.abs(dense).sum(axis=1).max()) / len(dense)
    vectors = np.linalg.eigh((dense + dense.T) / 2)[1]
    mean = flat.mean(axis=1, keepdims=True)
    parts = (flat - mean) @ vectors
    signs = rng.choice([-1.0, 1.0], size=(n, 1, flat.shape[1]))
    return maps.per_unit(mean + (signs * parts) @ vectors.T, draws=True)


def _maps(values: Any, n: int, rng: np.random.Generator) -> tuple[Maps, np.ndarray]:
    """Return the maps and their values (n_maps, n_units), all of them finite."""
    check_draws(n, rng)
    maps = stacked(values)
    if maps.counts["n_missing"]:
        raise InvalidValueError(
            f"values: {maps.counts['n_missing']} are NaN. Leave their units out of the maps and the graph: "
            "values[..., keep], graph[keep][:, keep]."
        )
    return maps, maps.flat
