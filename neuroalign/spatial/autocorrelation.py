"""One number a map: Moran's I, Geary's C, Dirichlet energy, and Moran's I of two maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array
from scipy.stats import norm

from ..errors import ShapeError
from .inputs import Maps, centred, prepared, varying
from .kernels import energies, morans
from .moments import geary_variances, moran_variances

__all__ = ["bivariate_moran", "dirichlet_energy", "geary", "moran"]

Kernel = Callable[[np.ndarray, csr_array], tuple[np.ndarray, ...]]
COLUMNS = ("statistic", "expected", "variance_normal", "variance_random")


def moran(
    values: Any,
    graph: Any,
    *,
    standardise: bool = True,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.Dataset:
    r"""Return Moran's I of each map, with its moments where values have no spatial order.

    .. math:: I = \frac{n}{S_0} \frac{\sum_{ij} w_{ij} z_i z_j}{\sum_i z_i^2}, \quad z = x - \bar x

    Parameters
    ----------
    values : DataArray (..., unit), or array (n_maps, n_units) or (n_units,)
        Maps, whose units stand in the order of the graph.
    graph : sparse or dense array (n_units, n_units)
        Weights of neighbours, symmetric or not, not negative: of ``lattice``, ``mesh``, ``distances``, ...
    standardise : bool
        Whether weights are divided by their row's sum, so that every unit counts alike.
    missing : {"raise", "omit"}
        What becomes of NaN: refused, or these units are taken out of their map and the graph.
    unconnected : {"raise", "omit"}
        What becomes of units without any neighbour (islands), likewise.
    units : sequence, optional
        Labels of the graph's units; the maps are aligned to them.

    Returns
    -------
    Dataset (...)
        ``statistic``; ``expected``, -1 / (n - 1); ``variance_normal`` and ``variance_random``, of values
        drawn from a normal distribution and of the same values in random places (NaN for fewer than four
        units); ``z_normal``, ``z_random``, and two-sided ``p_normal``, ``p_random`` from a normal
        distribution of I. NaN for constant maps. ``attrs`` counts constant maps, NaN and islands.

    Raises
    ------
    ShapeError
        If the numbers of units differ.
    LabelError
        If labels differ.
    InvalidValueError
        If values are NaN or infinite, the graph has islands, or weights are bad.

    Notes
    -----
    For p by permutation, let the values change places with ``shuffled`` and hand both to ``stats.p_value``;
    p of a map that was smoothed needs a null that is smoothed as well. esda's ``p_sim`` takes the smaller
    of both tails without doubling it; ``stats.p_value`` has one tail unless asked.

    References
    ----------
    Moran 1950, Biometrika 37:17. Cliff & Ord 1981, Spatial Processes.

    Examples
    --------
    A checkerboard has neighbours of the opposite sign only:

    >>> from neuroalign import spatial
    >>> board = np.indices((4, 4)).sum(axis=0).ravel() % 2
    >>> round(float(spatial.moran(board, spatial.lattice((4, 4))).statistic), 6)
    -1.0
    """
    maps = prepared(
        values, graph, standardise=standardise, missing=missing, unconnected=unconnected, units=units
    )
    return _tested(maps, _moran)


def geary(
    values: Any,
    graph: Any,
    *,
    standardise: bool = True,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.Dataset:
    r"""Return Geary's C of each map: below 1 where neighbours are alike, above 1 where they differ.

    .. math:: C = \frac{n - 1}{2 S_0} \frac{\sum_{ij} w_{ij} (x_i - x_j)^2}{\sum_i z_i^2}

    Parameters, result and errors are those of ``moran``; ``expected`` is 1.

    References
    ----------
    Geary 1954, The Incorporated Statistician 5:115. Cliff & Ord 1981, Spatial Processes.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> round(float(spatial.geary([0.0, 1.0, 2.0], spatial.lattice((3,)), standardise=False).statistic), 6)
    0.5
    """
    maps = prepared(
        values, graph, standardise=standardise, missing=missing, unconnected=unconnected, units=units
    )
    return _tested(maps, _geary)


def dirichlet_energy(
    values: Any,
    graph: Any,
    *,
    standardise: bool = False,
    normalise: bool = False,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.DataArray:
    r"""Return the Dirichlet energy of each map, :math:`\frac12 \sum_{ij} w_{ij} (x_i - x_j)^2`.

    Of a symmetric graph with each edge counted once in each direction, this is :math:`x^T L x` with the
    graph's Laplacian L. Divided by the map's sum of squares around its mean it is Geary's C times
    S0 / (n - 1).

    Parameters
    ----------
    values, graph, standardise, missing, unconnected, units
        See ``moran``; weights are as they come unless ``standardise``.
    normalise : bool
        Whether it is divided by that sum of squares; NaN for constant maps, which else have 0.

    Returns
    -------
    DataArray (...)
        In squared units of the values. ``attrs`` as in ``moran``.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> float(spatial.dirichlet_energy([0.0, 1.0, 3.0], spatial.lattice((3,))))
    5.0
    """
    maps = prepared(
        values, graph, standardise=standardise, missing=missing, unconnected=unconnected, units=units
    )
    found = np.full(maps.n_maps, np.nan)
    n_constant = 0
    for part in maps.parts:
        z, constant = centred(part.values)
        z[constant] = 0.0
        n_constant += int(constant.sum())
        energy = energies(z, part.weights, part.weights.sum(axis=0) + part.weights.sum(axis=1))
        some = ~constant | (not normalise and bool(len(part.units)))
        scale = (z[some] ** 2).sum(axis=-1) if normalise else 1.0
        found[part.rows[some]] = energy[some] / scale
    return maps.per_map(found).rename("energy").assign_attrs(maps.counts, n_constant=n_constant)


def bivariate_moran(
    first: Any,
    second: Any,
    graph: Any,
    *,
    standardise: bool = True,
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.DataArray:
    r"""Return how each first map goes with the second map of the neighbours.

    .. math:: I = \frac{n}{S_0} \frac{\sum_{ij} w_{ij} x_i y_j}{\sqrt{\sum_i x_i^2 \sum_i y_i^2}}

    with x and y centred. The order matters where weights are not symmetric.

    Parameters
    ----------
    first, second : as ``values`` of ``moran``
        Of one shape; the second may also be a single map (n_units,).
    graph, standardise, unconnected, units
        See ``moran``. NaN is refused.

    Returns
    -------
    DataArray (...)
        NaN where one of the maps is constant; ``attrs`` counts them. There is no closed form for p: two
        smooth maps often look alike by chance, see ``torus_shifts`` and ``spectral_randomisations``.

    Raises
    ------
    ShapeError
        If the maps do not fit each other.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> ring = spatial.lattice((4,), periodic=True)
    >>> float(spatial.bivariate_moran([1.0, 0, -1, 0], [0, 1.0, 0, -1], ring))
    0.0
    """
    options: dict[str, Any] = {"standardise": standardise, "unconnected": unconnected, "units": units}
    one = prepared(first, graph, name="first", **options)
    other = prepared(second, graph, name="second", **options)
    if other.n_maps not in (1, one.n_maps):
        raise ShapeError(f"first has {one.n_maps} maps, second has {other.n_maps}.")
    part, beside = one.parts[0], other.parts[0]
    (x, flat), (y, level) = centred(part.values), centred(beside.values)
    y, level = np.broadcast_to(y, x.shape), np.broadcast_to(level, flat.shape)
    found = np.full(one.n_maps, np.nan)
    some = ~(flat | level)
    found[some] = morans(x[some], y[some], part.weights, part.weights.sum())
    counts = {**one.counts, "n_constant": int((~some).sum())}
    return one.per_map(found).rename("bivariate_moran").assign_attrs(counts)


def _moran(z: np.ndarray, weights: csr_array) -> tuple[np.ndarray, ...]:
    return (
        morans(z, z, weights, weights.sum()),
        np.full(len(z), -1 / (z.shape[1] - 1)),
        *moran_variances(z, weights),
    )


def _geary(z: np.ndarray, weights: csr_array) -> tuple[np.ndarray, ...]:
    energy = energies(z, weights, weights.sum(axis=0) + weights.sum(axis=1))
    scale = weights.sum() * (z * z).sum(axis=-1) / (z.shape[1] - 1)
    return energy / scale, np.ones(len(z)), *geary_variances(z, weights)


def _tested(maps: Maps, kernel: Kernel) -> xr.Dataset:
    """Return statistic, moments, z and p of all maps."""
    columns = np.full((len(COLUMNS), maps.n_maps), np.nan)
    parts, n_constant = varying(maps)
    for part in parts:
        columns[:, part.rows] = kernel(part.values, part.weights)
    found = dict(zip(COLUMNS, columns, strict=True))
    for name in ("normal", "random"):
        variance = columns[COLUMNS.index(f"variance_{name}")]
        # Of very few units the variance is 0: every order gives the same value.
        spread = np.sqrt(np.where(variance > 0, variance, np.nan))
        found[f"z_{name}"] = (found["statistic"] - found["expected"]) / spread
        found[f"p_{name}"] = 2 * norm.sf(np.abs(found[f"z_{name}"]))
    labelled = {name: maps.per_map(column) for name, column in found.items()}
    return xr.Dataset(labelled, attrs={**maps.counts, "n_constant": n_constant})
