"""Smoothing over positions or along a graph, and how smooth a map is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, expm_multiply
from scipy.spatial import cKDTree

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .graphs import as_graph, as_positions
from .inputs import prepared, stacked, varying

__all__ = ["fwhm", "gaussian_kernel", "heat_kernel", "smooth"]

# A normal's full width at half maximum, in standard deviations.
WIDTH = np.sqrt(8 * np.log(2))


def gaussian_kernel(
    positions: Any, *, fwhm: float, periodic: Sequence[float] | None = None, cutoff: float = 4.0
) -> csr_array:
    r"""Return Gaussian weights between units by their distance, for ``smooth``.

    .. math:: g_{ij} = c \exp(-d_{ij}^2 / (2 \sigma^2)), \quad \sigma = fwhm / \sqrt{8 \ln 2}

    with c such that the largest row sum is 1: that of a unit far from all edges, on a lattice.

    Parameters
    ----------
    positions : array (n_units, n_axes)
    fwhm : float
        Full width at half maximum, in the positions' unit of length.
    periodic : sequence of float, optional
        The length of each axis of a torus; positions are from 0 to below it.
    cutoff : float
        Weights beyond so many standard deviations are left out (at 4: below 3e-4 of the largest).

    Returns
    -------
    csr_array (n_units, n_units)
        Symmetric, its diagonal not empty.

    Raises
    ------
    InvalidValueError
        If fwhm or cutoff is not positive, or positions repeat.

    Examples
    --------
    >>> gaussian_kernel([[0.0], [1.0], [2.0]], fwhm=2.0).toarray()[1].round(2).tolist()
    [0.25, 0.5, 0.25]
    """
    places = as_positions(positions)
    for name, value in (("fwhm", fwhm), ("cutoff", cutoff)):
        if not np.isfinite(value) or value <= 0:
            raise InvalidValueError(f"{name} must be positive; got {value!r}.")
    sigma = fwhm / WIDTH
    tree = cKDTree(places, boxsize=None if periodic is None else np.asarray(periodic, dtype=np.float64))
    near: coo_array = tree.sparse_distance_matrix(tree, cutoff * sigma, output_type="coo_matrix")
    weights = np.exp(-0.5 * (near.data / sigma) ** 2)
    kernel = csr_array((weights, (near.row, near.col)), shape=near.shape)
    return kernel / kernel.sum(axis=1).max()


def heat_kernel(graph: Any, *, time: float) -> LinearOperator:
    r"""Return the heat kernel :math:`\exp(-t L)` of a graph as an operator, for ``smooth``.

    L = D - W is the Laplacian of the weights, taken in both directions ((W + W^T) / 2). Rows and columns sum
    to 1: neither a constant map nor the sum of a map changes, and there is no edge to be corrected. On a
    lattice with neighbours at distance 1 it nears a Gaussian of variance 2 t.

    Parameters
    ----------
    graph : array (n_units, n_units)
    time : float
        0 changes nothing; the larger, the smoother.

    Returns
    -------
    LinearOperator (n_units, n_units)
        Applied without a dense matrix, to rounding (Al-Mohy & Higham 2011).

    Raises
    ------
    InvalidValueError
        If time is negative or not finite.

    Examples
    --------
    >>> pair = heat_kernel([[0, 1], [1, 0]], time=0.5)
    >>> (pair @ np.array([1.0, 0.0])).round(4).tolist()  # (1 + exp(-2 t)) / 2 and the rest
    [0.6839, 0.3161]
    """
    if not np.isfinite(time) or time < 0:
        raise InvalidValueError(f"time must be 0 or more; got {time!r}.")
    weights = as_graph(graph)
    both = (weights + weights.T) / 2
    cooling = -time * (diags_array(both.sum(axis=1)) - both).tocsr()

    def applied(values: np.ndarray) -> np.ndarray:
        return expm_multiply(cooling, np.asarray(values, dtype=np.float64), traceA=cooling.trace())

    return LinearOperator(
        shape=cooling.shape, matvec=applied, matmat=applied, rmatvec=applied, dtype=np.dtype(np.float64)
    )


def smooth(values: Any, kernel: Any, *, renormalise: bool = True) -> xr.DataArray:
    """Return maps smoothed by a kernel.

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
    kernel : sparse or dense array, or LinearOperator (n_units, n_units)
        Of ``gaussian_kernel`` or ``heat_kernel``.
    renormalise : bool
        Whether a unit's smoothed value is divided by the sum of the weights that were there, so that neither
        an edge nor a missing neighbour pulls it to 0.

    Returns
    -------
    DataArray (..., unit)
        A NaN stays NaN and counts for nothing around it.

    Raises
    ------
    ShapeError
        If the numbers of units differ.
    InvalidValueError
        If values are infinite, or some are NaN and ``renormalise`` is False.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> kernel = spatial.gaussian_kernel(spatial.lattice_positions((4,)), fwhm=2.0)
    >>> spatial.smooth([1.0, 1.0, 1.0, np.nan], kernel).values.tolist()
    [1.0, 1.0, 1.0, nan]
    """
    maps = stacked(values)
    flat, shape = maps.flat, np.shape(kernel)
    if shape != (flat.shape[1], flat.shape[1]):
        raise ShapeError(f"kernel must be square, of the maps' {flat.shape[1]} units; got shape {shape}.")
    known = ~np.isnan(flat)
    if not renormalise:
        if not known.all():
            raise InvalidValueError(
                f"values: {int((~known).sum())} of {flat.size} are NaN, which only renormalise=True can "
                "smooth around."
            )
        return maps.per_unit(np.ascontiguousarray((kernel @ flat.T).T))
    spread = (kernel @ np.where(known, flat, 0.0).T).T
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    there = (kernel @ patterns.T.astype(np.float64)).T[which.ravel()]
    with np.errstate(invalid="ignore", divide="ignore"):
        return maps.per_unit(np.where(known, spread / there, np.nan))


def fwhm(
    values: Any, graph: Any, *, positions: Any = None, missing: str = "raise", unconnected: str = "raise"
) -> xr.DataArray:
    r"""Return how smooth each map is: the width of the Gaussian that would make noise as smooth.

    White noise smoothed by a Gaussian of standard deviation s correlates by :math:`\exp(-d^2 / (4 s^2))` at
    distance d. With r, the correlation of neighbours, 1 - half their mean squared difference over the
    variance,

    .. math:: fwhm = d \sqrt{-2 \ln 2 / \ln r}

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
    graph : array (n_units, n_units)
        Neighbours, all at about one distance.
    positions : array (n_units, n_axes), optional
        Where units are; d is the root mean square distance of neighbours. Without it d is 1.
    missing, unconnected
        See ``moran``.

    Returns
    -------
    DataArray (...)
        In the positions' unit of length. 0 where neighbours do not correlate (r at most 0), the limit of
        the formula; NaN for constant maps (``attrs`` counts them, NaN and islands). The variance is the map's
        own around its own mean, so that the width of one map that is not many times as large as it is
        underestimated.

    References
    ----------
    Forman et al. 1995, Magn Reson Med 33:636.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> x = np.random.default_rng(0).standard_normal(90000)
    >>> kernel = spatial.gaussian_kernel(spatial.lattice_positions((300, 300)), fwhm=4.0)
    >>> round(float(spatial.fwhm(spatial.smooth(x, kernel), spatial.lattice((300, 300)))), 1)
    4.0
    """
    maps = prepared(values, graph, standardise=False, missing=missing, unconnected=unconnected)
    places = None if positions is None else as_float(positions, name="positions", ndim=2)
    if places is not None and len(places) != maps.template.shape[-1]:
        raise ShapeError(f"positions are of {len(places)} units, maps of {maps.template.shape[-1]}.")
    found = np.full(maps.n_maps, np.nan)
    parts, n_constant = varying(maps)
    for part in parts:
        edges = part.weights.tocoo()
        step = 1.0
        if places is not None:
            apart = places[part.units[edges.row]] - places[part.units[edges.col]]
            step = float(np.sqrt(np.average((apart**2).sum(axis=1), weights=edges.data)))
        for row, one in zip(part.rows, part.values, strict=True):
            half = np.average((one[edges.row] - one[edges.col]) ** 2, weights=edges.data) / 2
            r = 1 - half / one.var(ddof=1)
            found[row] = step * np.sqrt(-2 * np.log(2) / np.log(r)) if r > 0 else 0.0
    return maps.per_map(found).rename("fwhm").assign_attrs(maps.counts, n_constant=n_constant)
