"""One number a unit: local Moran and local Geary, and what they are with the other units' values shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from ..errors import InvalidValueError, choice
from .inputs import Maps, Part, prepared, varying
from .kernels import lags

__all__ = ["local_geary", "local_moran", "local_null"]


def local_moran(
    values: Any,
    graph: Any,
    *,
    standardise: bool = True,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.Dataset:
    r"""Return local Moran's I of each unit, above 0 where it and its neighbours are on one side of the mean.

    .. math:: I_i = \frac{(n - 1) z_i}{\sum_k z_k^2} \sum_j w_{ij} z_j

    Parameters
    ----------
    values, graph, standardise, missing, unconnected, units
        See ``moran``.

    Returns
    -------
    Dataset (..., unit)
        ``statistic``, whose sum times n / ((n - 1) S0) is Moran's I; ``expected`` and ``variance`` while the
        unit keeps its value and all others change places; ``quadrant``, 1 high among high, 2 low among high,
        3 low among low, 4 high among low (the mean itself is low), 0 undefined. NaN for constant maps,
        missing values, and units without neighbours of their own; ``attrs`` counts them.

    Notes
    -----
    p by permutation: ``stats.p_value(found.statistic, local_null(...))``, then a correction over units.

    esda 2.9 gives a unit without neighbours 0. Its conditional moments ``EIc`` and ``VIc`` belong to
    :math:`n z_i \sum_j w_{ij} z_j / \sum_k z_k^2`, while its statistic has n - 1 as this one: they are
    n / (n - 1) times (and its square times) those here.

    References
    ----------
    Anselin 1995, Geographical Analysis 27:93. Sokal, Oden & Thomson 1998, Geographical Analysis 30:331.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> found = spatial.local_moran([3.0, 2.0, -1.0, -4.0], spatial.lattice((4,)))
    >>> found.statistic.round(2).values.tolist(), found.quadrant.values.tolist()
    ([0.6, 0.2, 0.1, 0.4], [1, 1, 3, 3])
    """
    maps = prepared(
        values, graph, standardise=standardise, missing=missing, unconnected=unconnected, units=units
    )
    names = ("statistic", "expected", "variance")
    columns = np.full((len(names), maps.n_maps, maps.template.shape[-1]), np.nan)
    quadrant = np.zeros(columns.shape[1:], dtype=np.int64)
    for part, own, at in _placed(maps):
        z = part.values
        lag = lags(z, part.weights)
        high, among = z > 0, lag > 0
        kind = np.select([high & among, ~high & among, ~high & ~among], [1, 2, 3], 4)
        columns[0][at] = np.where(own, _local_moran(z, lag), np.nan)
        columns[1:, at[0], at[1]] = np.where(own, _moran_moments(z, part.weights), np.nan)
        quadrant[at] = np.where(own, kind, 0)
    found = {name: maps.per_unit(column) for name, column in zip(names, columns, strict=True)}
    found["quadrant"] = maps.per_unit(quadrant)
    return xr.Dataset(found, attrs=_counts(maps, columns[0]))


def local_geary(
    values: Any,
    graph: Any,
    *,
    standardise: bool = True,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.DataArray:
    r"""Return local Geary's C of each unit: how far its neighbours' values are from its own.

    .. math:: C_i = \frac{n}{\sum_k z_k^2} \sum_j w_{ij} (x_i - x_j)^2

    Parameters
    ----------
    values, graph, standardise, missing, unconnected, units
        See ``moran``.

    Returns
    -------
    DataArray (..., unit)
        The sum over units times (n - 1) / (2 n S0) is Geary's C. NaN as in ``local_moran``.

    References
    ----------
    Anselin 2019, Geographical Analysis 51:133.

    Examples
    --------
    >>> from neuroalign import spatial
    >>> spatial.local_geary([1.0, 1.0, -2.0], spatial.lattice((3,))).values.tolist()
    [0.0, 2.25, 4.5]
    """
    maps = prepared(
        values, graph, standardise=standardise, missing=missing, unconnected=unconnected, units=units
    )
    found = np.full((maps.n_maps, maps.template.shape[-1]), np.nan)
    for part, own, at in _placed(maps):
        z = part.values
        squares = part.weights.sum(axis=1) * z**2 - 2 * z * lags(z, part.weights) + lags(z**2, part.weights)
        found[at] = np.where(own, squares / (z**2).mean(axis=1, keepdims=True), np.nan)
    return maps.per_unit(found).rename("local_geary").assign_attrs(_counts(maps, found))


def local_null(
    values: Any,
    graph: Any,
    n: int,
    *,
    statistic: str = "moran",
    rng: np.random.Generator,
    standardise: bool = True,
    missing: str = "raise",
    unconnected: str = "raise",
    units: Sequence[Any] | None = None,
) -> xr.DataArray:
    """Return local statistics under conditional permutation: a unit stays, all others change places.

    Parameters
    ----------
    values, graph, standardise, missing, unconnected, units
        See ``moran``.
    n : int
        Number of draws.
    statistic : {"moran", "geary"}
    rng : numpy.random.Generator
        A draw is one order of the other units, the same for every unit and map.

    Returns
    -------
    DataArray (draw, ..., unit)
        For ``stats.p_value``: large where alike for Moran, small for Geary (``tail="less"``). NaN and
        ``attrs`` as in ``local_moran``, units counted once and not once a draw.

    Raises
    ------
    InvalidValueError
        If ``n`` is no positive integer, or the statistic is unknown.

    Examples
    --------
    >>> from neuroalign import spatial, stats
    >>> line, x = spatial.lattice((40,)), np.repeat([0.0, 1.0], 20)
    >>> null = spatial.local_null(x, line, 199, rng=np.random.default_rng(0))
    >>> p = stats.p_value(spatial.local_moran(x, line).statistic, null)
    >>> bool(p[10] < p[19])
    True
    """
    if statistic not in NULLS:
        raise choice(statistic, NULLS, name="statistic")
    check_draws(n, rng)
    maps = prepared(
        values, graph, standardise=standardise, missing=missing, unconnected=unconnected, units=units
    )
    found = np.full((n, maps.n_maps, maps.template.shape[-1]), np.nan)
    for part, own, (rows, columns) in _placed(maps):
        z = part.values
        n_others = z.shape[1] - 1
        most = int(np.diff(part.weights.indptr).max())
        drawn = np.stack([rng.permutation(n_others)[:most] for _ in range(n)])
        for i in np.flatnonzero(own):
            weights = part.weights.data[part.weights.indptr[i] : part.weights.indptr[i + 1]]
            others = drawn[:, : len(weights)]
            near = z[:, others + (others >= i)]
            found[:, rows[:, 0], columns[0, i]] = NULLS[statistic](z, i, near, weights).T
    counts = _counts(maps, found[0])
    return maps.per_unit(found, draws=True).rename(f"local_{statistic}").assign_attrs(counts)


def check_draws(n: int, rng: np.random.Generator) -> None:
    """Refuse a number of draws that is no positive integer, and anything but a numpy Generator."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InvalidValueError(f"n must be a positive integer; got {n!r}.")
    if not isinstance(rng, np.random.Generator):
        raise InvalidValueError(f"rng must be a numpy.random.Generator; got {type(rng).__name__}.")


def _local_moran(z: np.ndarray, lag: np.ndarray) -> np.ndarray:
    return (z.shape[1] - 1) * z * lag / (z**2).sum(axis=1, keepdims=True)


def _moran_moments(z: np.ndarray, weights: csr_array) -> np.ndarray:
    """Return mean and variance (2, n_maps, n_units): neighbours are drawn from the others, each once."""
    n = z.shape[1]
    total, squares = weights.sum(axis=1), (weights**2).sum(axis=1)
    scale = (z**2).sum(axis=1, keepdims=True)
    mean = -z / (n - 1)
    spread = (scale - z**2) / (n - 1) - mean**2
    factor = (n - 1) * z / scale
    variance = spread * ((n - 1) * squares - total**2) / max(n - 2, 1)
    return np.stack([factor * total * mean, factor**2 * variance])


def _null_moran(z: np.ndarray, i: int, near: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (z.shape[1] - 1) * z[:, i, None] * (near @ weights) / (z**2).sum(axis=1, keepdims=True)


def _null_geary(z: np.ndarray, i: int, near: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return ((near - z[:, i, None, None]) ** 2) @ weights / (z**2).mean(axis=1, keepdims=True)


NULLS: dict[str, Callable[..., np.ndarray]] = {"moran": _null_moran, "geary": _null_geary}


def _placed(maps: Maps) -> Iterator[tuple[Part, np.ndarray, tuple[np.ndarray, ...]]]:
    """Yield the maps that are not constant, centred; which of their units have neighbours; and where."""
    for part in varying(maps)[0]:
        yield part, part.weights.sum(axis=1) > 0, np.ix_(part.rows, part.units)


def _counts(maps: Maps, found: np.ndarray) -> dict[str, int]:
    return {**maps.counts, "n_undefined": int(np.isnan(found).sum())}
