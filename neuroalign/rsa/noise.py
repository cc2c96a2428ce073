"""Noise covariance and precision of labelled residuals or repetitions, and whitening by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import labels
from ..stats import is_constant
from .designs import unit_dim
from .precisions import is_symmetric, precision_values, unit_order
from .shrinkage import NOISE_METHODS, Shrunk, covariance, inverse, precision, shrunk, whitening

__all__ = ["NOISE_METHODS", "noise_covariance", "noise_precision", "whiten"]


def noise_covariance(
    x: xr.DataArray,
    method: str = "shrinkage-diagonal",
    *,
    dof: float | None = None,
    folds: str | None = None,
) -> xr.DataArray:
    r"""Return the noise covariance of neuroids from residuals or from repeated presentations.

    With deviations R (n residuals, u neuroids) and :math:`S = R^T R / dof`:

    - ``full``: S;
    - ``diagonal``: the variances, :math:`\mathrm{diag}(S)`;
    - ``shrinkage-diagonal``: :math:`(1-\lambda) S + \lambda\,\mathrm{diag}(S)`;
    - ``shrinkage-identity``: :math:`(1-\lambda) S + \lambda m I`, m the mean variance;

    :math:`\lambda`, between 0 and 1, is estimated from the data (see References).

    Parameters
    ----------
    x : DataArray (observation, neuroid) or (..., stimulus, neuroid)
        Without labels ``stimulus``: residuals, such as those of a time series model, whose mean over
        observations is removed. With such labels (a dim, or a coordinate along the observations): responses
        to repeated stimuli, and their deviations from the mean of each stimulus are taken.
    method : str
        A key of ``NOISE_METHODS``.
    dof : float, optional
        Degrees of freedom of the residuals. Where None: their number less the number of means that were
        removed. Pass it where a model with more regressors was fitted to them.
    folds : str, optional
        A dim, or a coordinate along the observations: means are removed within each of its values.

    Returns
    -------
    DataArray (neuroid, neuroid_b)
        In the squared units of ``x``, with the neuroids' labels along both dims (where ``x`` has them), and
        in ``attrs`` the method, the shrinkage :math:`\lambda`, dof and n_residuals.

    Raises
    ------
    ShapeError
        If the dims are other ones, or no degree of freedom is left.
    LabelError
        If labels of neuroids repeat, or there are none of the folds.
    InvalidValueError
        If a value is not finite, dof is not positive or more than the residuals, or the method is unknown.

    References
    ----------
    Schäfer & Strimmer 2005, Stat Appl Genet Mol Biol 4:32 (to the diagonal; with rsatoolbox 0.3.2, n - 1
    stands for n in the mean of the products of two standardised neuroids, which lowers the estimate a
    little). Ledoit & Wolf 2004, J Multivar Anal 88:365 (to the identity).

    Examples
    --------
    >>> residuals = xr.DataArray(
    ...     [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]], dims=("time", "neuroid"))
    >>> noise_covariance(residuals, "diagonal", dof=2).values.tolist()
    [[1.0, 0.0], [0.0, 4.0]]
    """
    estimate, unit = _estimate(x, method, dof, folds)
    return _labelled(covariance(estimate), x, unit, _attrs(estimate), "noise_covariance")


def noise_precision(
    x: xr.DataArray,
    method: str = "shrinkage-diagonal",
    *,
    dof: float | None = None,
    folds: str | None = None,
) -> xr.DataArray:
    """Return the inverse of the noise covariance, which ``rdm(..., noise=...)`` takes.

    Where there are few residuals beside neuroids, a shrunk covariance is inverted through the residuals
    (Woodbury), which needs one array of n_neuroids x n_neuroids: the result.

    Parameters
    ----------
    x : DataArray
        Residuals or responses as in ``noise_covariance``; or a covariance (neuroid, neuroid_b), such as the
        mean of several, which is inverted as it is (the other arguments are then refused).
    method, dof, folds
        As in ``noise_covariance``.

    Returns
    -------
    DataArray (neuroid, neuroid_b)

    Raises
    ------
    InvalidValueError
        If the covariance is singular: fewer degrees of freedom than neuroids without shrinkage, neuroids
        without variance. Also as ``noise_covariance``.

    Examples
    --------
    >>> residuals = xr.DataArray(
    ...     [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]], dims=("time", "neuroid"))
    >>> noise_precision(residuals, "full", dof=2).values.tolist()
    [[1.0, 0.0], [0.0, 0.25]]

    A precision a fold is made by

    >>> runs = [residuals.assign_coords(run=run) for run in (1, 2)]
    >>> xr.concat([noise_precision(one) for one in runs], "run").dims
    ('run', 'neuroid', 'neuroid_b')
    """
    unit = unit_dim(x, "x")
    if x.dims == (unit, f"{unit}_b"):
        if (method, dof, folds) != ("shrinkage-diagonal", None, None):
            raise InvalidValueError("x is a covariance: method, dof and folds belong to residuals.")
        return _labelled(_inverted(x), x, unit, dict(x.attrs), "noise_precision")
    estimate, unit = _estimate(x, method, dof, folds)
    return _labelled(precision(estimate), x, unit, _attrs(estimate), "noise_precision")


def whiten(
    patterns: xr.DataArray,
    noise: xr.DataArray,
    *,
    method: str = "shrinkage-diagonal",
    dof: float | None = None,
    folds: str | None = None,
) -> xr.DataArray:
    """Return patterns mapped so that the noise has identity covariance.

    Whitened once, patterns have Euclidean distances that are the Mahalanobis ones, whatever part of them is
    used: ``rdm(whiten(x, p), "crossnobis")`` is ``rdm(x, "crossnobis", noise=p)``.

    Parameters
    ----------
    patterns : DataArray (..., neuroid)
        Not edited.
    noise : DataArray (neuroid, neuroid_b) or as ``x`` of ``noise_covariance``
        A precision; or the residuals or repetitions that it would be estimated from, in which case no matrix
        of n_neuroids x n_neuroids is formed where there are few of them.
    method, dof, folds
        As in ``noise_covariance``, for residuals.

    Returns
    -------
    DataArray (..., neuroid)
        In float64, dims in the order of ``patterns``, the neuroids' dim last. Each value mixes neuroids: the
        labels and coordinates along ``neuroid`` are dropped. Only distances and angles are defined; the
        patterns themselves are so up to a rotation.

    Raises
    ------
    LabelError
        If the labels of the neuroids differ.
    InvalidValueError
        If the precision is not positive definite, or as ``noise_precision``.

    Examples
    --------
    >>> residuals = xr.DataArray(
    ...     [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]], dims=("time", "neuroid"))
    >>> patterns = xr.DataArray([[3.0, 6.0]], dims=("stimulus", "neuroid"), coords={"stimulus": ["a"]})
    >>> whiten(patterns, residuals, method="diagonal", dof=2).values.tolist()
    [[3.0, 3.0]]
    """
    unit = unit_dim(patterns, "patterns")
    patterns = patterns.transpose(..., unit)
    values = as_float(patterns.values, name="patterns")
    if unit_dim(noise, "noise") == unit and noise.dims == (unit, f"{unit}_b"):
        found = values @ _factor(precision_values(noise, patterns, unit))
    else:
        estimate, other = _estimate(noise, method, dof, folds)
        if other != unit:
            raise ShapeError(f"patterns have the dim {unit!r} and noise has {other!r}; rename one of them.")
        order = unit_order(noise, patterns, unit)
        if order is not None:
            estimate = estimate._replace(
                residuals=estimate.residuals[:, order], diagonal=estimate.diagonal[order]
            )
        found = whitening(estimate)(values)
    coords = {name: c for name, c in patterns.coords.items() if unit not in c.dims}
    return xr.DataArray(found, dims=patterns.dims, coords=coords, attrs=patterns.attrs, name=patterns.name)


def _estimate(x: xr.DataArray, method: str, dof: float | None, folds: str | None) -> tuple[Shrunk, str]:
    if method not in NOISE_METHODS:
        raise choice(method, NOISE_METHODS, name="method")
    unit = unit_dim(x, "x")
    if f"{unit}_b" in x.dims:
        raise ShapeError(f"x must be residuals or responses; its dims {x.dims} are those of a covariance.")
    if unit in x.coords:
        labels(x, on=unit, name="x")
    residuals, n_means = _residuals(x, unit, folds)
    n = len(residuals)
    natural = n - n_means
    if natural < 1 or residuals.shape[1] < 1:
        raise ShapeError(
            f"x: {n} observations less {n_means} means leave no degree of freedom for {residuals.shape[1]} "
            f"{unit}s. Without folds=..., deviations are taken over all presentations of a stimulus."
        )
    dof = natural if dof is None else dof
    if not (np.isfinite(dof) and 0 < dof <= n):
        raise InvalidValueError(f"dof must be more than 0 and at most the {n} residuals; got {dof!r}.")
    return shrunk(residuals, float(dof), method), unit


def _residuals(x: xr.DataArray, unit: str, folds: str | None) -> tuple[np.ndarray, int]:
    """Return deviations (n, n_units) from the means of each cell, and how many means these are."""
    x = x.transpose(..., unit)
    has_stimulus = "stimulus" in x.dims or ("stimulus" in x.coords and x["stimulus"].ndim == 1)
    if x.ndim < 2 or (x.ndim > 2 and not has_stimulus):
        raise ShapeError(
            f"x must be residuals (observation, {unit}), or have labels 'stimulus'; got {x.dims}."
        )
    if not x.size:
        raise ShapeError(f"x is empty; its sizes are {dict(x.sizes)}.")
    values = as_float(x.values, name="x").reshape(-1, x.shape[-1]).copy()  # centred in place below
    cell = np.zeros(len(values), dtype=np.intp)
    for name in (["stimulus"] if has_stimulus else []) + ([folds] if folds is not None else []):
        codes = _codes(x, name)
        cell = cell * (int(codes.max(initial=0)) + 1) + codes
    _, cell = np.unique(cell, return_inverse=True)
    n_cells = int(cell.max(initial=-1)) + 1
    for i in range(n_cells):
        mine = cell == i if n_cells > 1 else slice(None)
        deviations = values[mine] - values[mine].mean(axis=0)
        # The mean of equal numbers may differ from them by rounding, which is no variance.
        deviations[:, is_constant(values[mine])] = 0.0
        values[mine] = deviations
    return values, n_cells


def _codes(x: xr.DataArray, name: str) -> np.ndarray:
    """Return the code of every observation (all dims but the last, flattened) by a dim or coordinate."""
    if name in x.coords and set(x[name].dims) <= set(x.dims[:-1]) and x[name].ndim == 1:
        found, dim = x[name].values, x[name].dims[0]
    elif name in x.dims[:-1]:
        found, dim = np.arange(x.sizes[name]), name
    else:
        raise LabelError(
            f"x has neither a dim nor a coordinate of its observations called {name!r}; it has dims {x.dims} "
            f"and coordinates {listing(x.coords, limit=20)}."
        )
    codes = pd.factorize(found)[0]
    if (codes < 0).any():
        raise LabelError(f"x: {int((codes < 0).sum())} of {len(codes)} labels of {name!r} are missing.")
    shape = [x.sizes[d] if d == dim else 1 for d in x.dims[:-1]]
    return np.broadcast_to(codes.reshape(shape), x.shape[:-1]).reshape(-1)


def _labelled(
    values: np.ndarray, x: xr.DataArray, unit: str, attrs: dict[str, Any], name: str
) -> xr.DataArray:
    coords: dict[str, Any] = {str(key): c.variable for key, c in x.coords.items() if not c.ndim}
    if unit in x.coords:
        coords |= {unit: x[unit].values, f"{unit}_b": x[unit].values}
    return xr.DataArray(values, dims=(unit, f"{unit}_b"), coords=coords, attrs=attrs, name=name)


def _attrs(estimate: Shrunk) -> dict[str, Any]:
    return {
        "method": estimate.method,
        "shrinkage": estimate.intensity,
        "dof": estimate.dof,
        "n_residuals": len(estimate.residuals),
    }


def _inverted(x: xr.DataArray) -> np.ndarray:
    values = x.values.astype(np.float64)
    if values.shape[0] != values.shape[1] or not np.isfinite(values).all():
        raise InvalidValueError(f"a covariance must be finite and square; got shape {values.shape}.")
    if not is_symmetric(values):
        raise InvalidValueError("a covariance must be symmetric.")
    still = int((np.diag(values) <= 0).sum())
    if still:
        raise InvalidValueError(
            f"the noise covariance is singular: {still} of {len(values)} variances are 0."
        )
    return inverse(values, f" of {len(values)} neuroids")


def _factor(values: np.ndarray) -> np.ndarray:
    try:
        return scipy.linalg.cholesky(values, lower=True)
    except np.linalg.LinAlgError as error:
        raise InvalidValueError(
            f"noise must be positive definite to whiten with; {error}. Pass noise=... to rdm for one that is "
            "not."
        ) from error
