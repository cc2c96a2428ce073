"""Neighbours, as a matrix, for the places of an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import issparse

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import labels

__all__ = ["neighbour_pairs"]


def neighbour_pairs(adjacency: Any, x: xr.DataArray) -> tuple[str, np.ndarray]:
    """Return the dim of ``x`` whose labels are places, and the pairs (n_pairs, 2) that are neighbours."""
    if isinstance(adjacency, xr.DataArray):
        if adjacency.ndim != 2 or adjacency.dims[1] != f"{adjacency.dims[0]}_b":
            raise ShapeError(f"adjacency must have dims such as (neuroid, neuroid_b); got {adjacency.dims}.")
        dim = str(adjacency.dims[0])
        matrix = _aligned(adjacency, x, dim)
    else:
        dim = "neuroid"
        matrix = adjacency.toarray() if issparse(adjacency) else np.asarray(adjacency)
    if dim not in x.dims:
        raise ShapeError(f"adjacency is of {dim!r}, which values do not have; their dims are {x.dims}.")
    n = x.sizes[dim]
    if matrix.shape != (n, n):
        raise ShapeError(f"adjacency must be ({n}, {n}), as there are {n} of {dim!r}; got {matrix.shape}.")
    near = as_float(matrix, name="adjacency") != 0
    if (near != near.T).any():
        raise InvalidValueError("adjacency must be symmetric: a is a neighbour of b if b is one of a.")
    return dim, np.argwhere(np.triu(near, 1))


def _aligned(adjacency: xr.DataArray, x: xr.DataArray, dim: str) -> np.ndarray:
    """Return the matrix in the order of the places of ``x``."""
    if dim not in x.dims:
        raise ShapeError(f"adjacency is of {dim!r}, which values do not have; their dims are {x.dims}.")
    wanted = labels(x, on=dim, name="values")
    for side in adjacency.dims:
        missing = sorted(
            set(wanted.tolist()) ^ set(labels(adjacency, on=str(side), name="adjacency").tolist())
        )
        if missing:
            raise LabelError(
                f"adjacency ({side}) and values must have the same labels of {dim!r}; "
                f"{len(missing)} are in one only: {listing(missing)}."
            )
    found: np.ndarray = adjacency.sel(dict.fromkeys(adjacency.dims, wanted)).values
    return found
