"""AGTDM: distance correlation that adapts to the scale at which two variables depend on each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ... import stats
from ...arrays import as_float
from ...errors import InvalidValueError, ShapeError
from ...schema import align, labels, square
from ..rdms import rdm
from .transforms import SAME, between, thresholds, unit_ranks

__all__ = ["agtdm"]


def agtdm(
    x: xr.DataArray,
    y: xr.DataArray,
    *,
    n_thresholds: int = 8,
    n_permutations: int = 0,
    rng: np.random.Generator | None = None,
    on: str = "stimulus",
    progress: bool = False,
) -> xr.Dataset:
    r"""Return the adaptive geo-topological dependence of two variables, with its permutation p.

    The Euclidean distances of all pairs of observations, in X and in Y, go through the geo-topological
    transform with every pair of thresholds l < u among ``n_thresholds`` evenly spaced shares from 0 to 1.
    Every transform of X is correlated with every transform of Y by the bias-corrected distance correlation,

    .. math:: R^* = \frac{\tilde A \cdot \tilde B}{\sqrt{(\tilde A \cdot \tilde A)(\tilde B \cdot \tilde B)}},

    with :math:`\tilde A` U-centred and the product over pairs of different observations. It is 0 in the
    mean under independence and may be negative. The statistic is the largest of the map. Observations of Y
    are permuted, and the maximum is taken anew in every draw, so that p pays for the search over
    thresholds.

    Parameters
    ----------
    x, y : DataArray (stimulus,) or (stimulus, ...)
        Observations with unique labels, the same in both and in any order; all other dims are flattened to
        the variable's components, which are not scaled.
    n_thresholds : int
        8 give a 28 x 28 map.
    n_permutations : int
        Draws; 0 for no test.
    rng : numpy.random.Generator, optional
        Needed for a test.
    on : str
        The dim of the observations.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Dataset
        ``map`` (cell_x, cell_y) with ``lower_x``, ``upper_x``, ``lower_y``, ``upper_y``; ``statistic`` and
        where it stands (``best_x``, ``best_y``: cells, -1 where
        all are undefined); ``distance_correlation``, the same without any
        transform. With a test ``p`` and ``p_distance_correlation``, one-sided, from the same draws. A
        transform that is constant, or an X or Y that is, has NaN; ``attrs["n_undefined"]`` counts the
        map's. They take no part in the maximum.

    Raises
    ------
    LabelError
        If labels are missing, repeated, or not the same in both.
    ShapeError
        If there are fewer than 4 observations, which U-centring needs.
    InvalidValueError
        If a value is not finite, ``n_thresholds`` is below 2, or draws are asked for without ``rng``.

    References
    ----------
    Lin & Kriegeskorte 2018, Adaptive geo-topological independence criterion, arXiv:1810.02923, with ranks of
    distances as in ``geo_topological``; Székely & Rizzo 2014, Ann Statist 42:2382 (U-centring).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> t = 2 * np.pi * rng.random(40)
    >>> names = {"stimulus": np.arange(40)}
    >>> x, y = (xr.DataArray(f(t), dims="stimulus", coords=names) for f in (np.cos, np.sin))
    >>> found = agtdm(x, y, n_permutations=199, rng=rng)
    >>> found["map"].shape, float(found["p"]) < 0.05
    ((28, 28), True)
    """
    lower, upper = _cells(n_thresholds)
    if n_permutations and rng is None:
        raise InvalidValueError("rng: a permutation test needs a numpy.random.Generator.")
    distances_x, distances_y = _distances(x, y, on)
    n = square(distances_x).shape[0]
    basis_x, mix_x = _basis(distances_x, lower, upper)
    basis_y, mix_y = _basis(distances_y, lower, upper)
    scale = _scale(basis_x, mix_x)[:, None] * _scale(basis_y, mix_y)[None, :]
    position = square(np.arange(len(distances_x)))
    a, b = np.triu_indices(n, 1)

    def correlations(order: np.ndarray) -> np.ndarray:
        moved = np.take(basis_y, position[order[a], order[b]], axis=0)
        return mix_x @ (basis_x.T @ moved) @ mix_y.T / scale

    def statistic(order: np.ndarray) -> np.ndarray:
        found = correlations(order)
        cells = found[:-1, :-1]
        best = np.nan if np.isnan(cells).all() else np.nanmax(cells)
        return np.array([best, found[-1, -1]])

    observed = np.arange(n)
    result = _labelled(correlations(observed), lower, upper)
    if n_permutations and rng is not None:
        null = stats.permutation(
            statistic, n_permutations, permute=lambda g: stats.shuffle(n, g), rng=rng, progress=progress
        )
        p = stats.p_value(statistic(observed), null)
        result = result.assign(p=p[0], p_distance_correlation=p[1])
    return result


def _cells(n_thresholds: int) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(n_thresholds, bool) or not isinstance(n_thresholds, int | np.integer) or n_thresholds < 2:
        raise InvalidValueError(f"n_thresholds must be an integer of at least 2; got {n_thresholds!r}.")
    shares = np.linspace(0.0, 1.0, n_thresholds)
    first, second = np.triu_indices(n_thresholds, 1)
    return shares[first], shares[second]


def _distances(x: xr.DataArray, y: xr.DataArray, on: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the Euclidean distances (n_pairs,) of the observations of both, in the order of ``x``."""
    labels(x, on=on, name="x")
    labels(y, on=on, name="y")
    x, y = align(x, y, on=on, names=["x", "y"])
    if x.sizes[on] < 4:
        raise ShapeError(
            f"a bias-corrected distance correlation needs at least 4 observations; got {x.sizes[on]}."
        )
    found = []
    for values, name in ((x, "x"), (y, "y")):
        plain = as_float(values.transpose(on, ...).values, name=name)
        patterns = xr.DataArray(
            plain.reshape(len(plain), -1),
            dims=("stimulus", "unit"),
            coords={"stimulus": np.arange(len(plain))},
        )
        found.append(rdm(patterns, "euclidean").values)
    return found[0], found[1]


def _basis(distances: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return U-centred columns (n_pairs, n_columns) and the weights (n_cells + 1, n_columns) that mix them.

    Between its thresholds a transform is the difference of two hinges max(0, r - t), and U-centring is
    linear: 8 hinges make all 28 transforms, so that a draw multiplies 8 columns, not 28. Where ties make two
    thresholds equal the transform is a step, with a column of its own. The last cell is the plain distance.
    """
    ranks = unit_ranks(distances[None])
    shares = np.unique(np.r_[lower, upper])
    at = dict(zip(shares.tolist(), thresholds(ranks, shares)[:, 0], strict=True))
    columns = [np.maximum(ranks[0] - t, 0.0) for t in at.values()]
    mix = np.zeros((len(lower) + 1, len(shares) + len(lower) + 1))
    for cell, (low, high) in enumerate(zip(lower.tolist(), upper.tolist(), strict=True)):
        width = at[high] - at[low]
        if width > SAME:
            mix[cell, np.searchsorted(shares, [low, high])] = 1 / width, -1 / width
        else:
            mix[cell, len(columns)] = 1.0
            columns.append(between(ranks, np.array([at[low]]), np.array([at[high]]))[0])
    mix[-1, len(columns)] = 1.0
    columns.append(distances / (distances.max() or 1.0))
    return _u_centred(np.stack(columns, axis=1)), mix[:, : len(columns)]


def _u_centred(columns: np.ndarray) -> np.ndarray:
    full = square(columns.T)
    n = full.shape[-1]
    rows = full.sum(axis=-1)
    total = rows.sum(axis=-1)[:, None, None] / ((n - 1) * (n - 2))
    centred = full - rows[:, :, None] / (n - 2) - rows[:, None, :] / (n - 2) + total
    a, b = np.triu_indices(n, 1)
    return np.ascontiguousarray(centred[:, a, b].T)


def _scale(basis: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """Return the lengths (n_cells + 1,) of the mixed columns; NaN where one is constant."""
    mixed = basis @ mix.T
    length = np.sqrt((mixed * mixed).sum(axis=0))
    return np.where(length > 1e-9 * np.sqrt(len(mixed)), length, np.nan)


def _labelled(correlations: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> xr.Dataset:
    cells = np.clip(correlations[:-1, :-1], -1.0, 1.0)
    n_undefined = int(np.isnan(cells).sum())
    known = n_undefined < cells.size
    best = np.unravel_index(np.nanargmax(cells), cells.shape) if known else (-1, -1)
    values: dict[str, Any] = {
        "map": (("cell_x", "cell_y"), cells),
        "statistic": cells[best] if known else np.nan,
        "best_x": int(best[0]),
        "best_y": int(best[1]),
        "distance_correlation": float(np.clip(correlations[-1, -1], -1.0, 1.0)),
    }
    coords = {
        "lower_x": ("cell_x", lower),
        "upper_x": ("cell_x", upper),
        "lower_y": ("cell_y", lower),
        "upper_y": ("cell_y", upper),
    }
    attrs = {"metric": "bias-corrected distance correlation", "n_undefined": n_undefined}
    return xr.Dataset(values, coords=coords, attrs=attrs)
