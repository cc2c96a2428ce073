"""Least squares of RDM rows on model rows: spans, weights, what is collinear. Raw arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import nnls

from ..errors import InvalidValueError, ShapeError, listing
from ..schema import check, labels
from ..stats import is_constant
from .compare import as_rows, by_mask
from .rank_methods import mid_ranks

__all__ = [
    "basis_rows",
    "centred_rows",
    "collinear",
    "correlation_of_rests",
    "dependent",
    "least_squares",
    "model_table",
    "r2_of",
    "refuse_collinear",
    "shared_pairs",
]

# What is left of a unit model after the others, below which it is one of their sums.
COLLINEAR = 1e-8


def r2_of(x: np.ndarray, y: np.ndarray, non_negative: bool) -> np.ndarray:
    """Return R2 (n_data,) of the least squares of data rows on model rows; NaN for constant data."""
    centred = centred_rows(y)
    total = np.where(is_constant(y, axis=1), np.nan, (centred**2).sum(axis=1))
    if non_negative:
        x = centred_rows(x)
        rest = centred - least_squares(x, centred, True) @ x
    else:
        span = basis_rows(x)
        rest = centred - (centred @ span.T) @ span
    return 1 - (rest**2).sum(axis=1) / total


def least_squares(x: np.ndarray, y: np.ndarray, non_negative: bool) -> np.ndarray:
    """Return least-squares weights (n_data, n_models) of centred rows."""
    # At unit length, so that the scale of a model decides nothing about its rank.
    length = np.linalg.norm(x, axis=1)
    length = np.where(length > 0, length, 1.0)
    unit = x / length[:, None]
    if not non_negative:
        return np.linalg.lstsq(unit.T, y.T, rcond=None)[0].T / length
    q, r = np.linalg.qr(unit.T)
    return np.array([nnls(r, target)[0] for target in y @ q]) / length


def correlation_of_rests(x: np.ndarray, y: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the correlations (n_data,) of what the span of other models leaves of a model and of data."""
    rests = []
    for rows in (x[None], y):
        centred = centred_rows(rows)
        rest = centred - (centred @ span.T) @ span
        length, before = np.linalg.norm(rest, axis=1), np.linalg.norm(centred, axis=1)
        undefined = is_constant(rows, axis=1) | (length <= COLLINEAR * before)
        rests.append(rest / np.where(undefined, np.nan, length)[:, None])
    return np.clip(rests[1] @ rests[0][0], -1.0, 1.0)


def basis_rows(x: np.ndarray) -> np.ndarray:
    """Return orthonormal rows that span the centred rows, whatever their scales."""
    unit = _unit(x)
    _, size, rows = np.linalg.svd(unit, full_matrices=False)
    return rows[size > COLLINEAR]


def dependent(x: np.ndarray) -> np.ndarray:
    """Return which rows are constant or part of a linear dependence."""
    constant = is_constant(x, axis=1)
    _, size, loadings = np.linalg.svd(_unit(x).T, full_matrices=x.shape[0] > x.shape[1])
    size = np.concatenate([size, np.zeros(len(loadings) - len(size))])
    null = loadings[size <= COLLINEAR]
    return constant | (np.abs(null).max(axis=0, initial=0.0) > np.sqrt(COLLINEAR))


def collinear(x: np.ndarray, *, ranks: bool) -> np.ndarray:
    """Return which models are dependent over the pairs that all of them have."""
    known = ~np.isnan(x).any(axis=0)
    if not known.any():
        return np.zeros(len(x), dtype=bool)
    return dependent(mid_ranks(x[:, known]) if ranks else x[:, known])


def refuse_collinear(x: np.ndarray, names: np.ndarray, *, ranks: bool, name: str) -> None:
    """Refuse models that have no weight of their own, by name."""
    bad = collinear(x, ranks=ranks)
    if bad.any():
        raise InvalidValueError(
            f"{name}: {int(bad.sum())} of {len(x)} RDMs are constant or sums of each other over the pairs "
            f"that all have, so they have no weight of their own: {listing(names[bad])}. Leave some out."
        )


def _unit(x: np.ndarray) -> np.ndarray:
    centred = np.where(is_constant(x, axis=1)[:, None], 0.0, centred_rows(x))
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 0, length, 1.0)


def centred_rows(x: np.ndarray) -> np.ndarray:
    """Return rows less their means."""
    return x - x.mean(axis=1, keepdims=True)


def shared_pairs(
    x: np.ndarray, z: np.ndarray | None, y: np.ndarray, *, ranks: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, Any, np.ndarray]]:
    """Yield which data share pairs with all models, and models, fixed models and data over these pairs."""
    all_models = ~np.isnan(x).any(axis=0) & (True if z is None else ~np.isnan(z).any(axis=0))
    turn = mid_ranks if ranks else np.asarray
    for who, known in by_mask(y):
        both = known & all_models
        if both.sum() >= 3:
            yield who, turn(x[:, both]), None if z is None else turn(z[:, both]), turn(y[who][:, both])


def model_table(rdms: xr.DataArray, dim: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (n, n_pairs) and the labels of RDMs (<dim>, pair), checked."""
    check(rdms, "rdm", name=name)
    if rdms.dims != (dim, "pair"):
        raise ShapeError(f"{name} must have dims ({dim!r}, 'pair'); got {rdms.dims}.")
    return as_rows(rdms, name)[0], labels(rdms, on=dim, name=name)
