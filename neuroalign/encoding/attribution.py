"""What each feature space contributes to the score of a joint model: the product measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..arrays import as_float
from ..errors import NeuroalignError, ShapeError, choice
from ..stats import SCORES, is_constant
from .bands import band_of, columns_of, with_bands
from .evaluation import _aligned, _folds, _scaler

__all__ = ["product_measure", "split_scores"]

SPLIT = ("r2", "pearson")
BLOCK = 2048


def split_scores(
    model: Any,
    X: xr.DataArray,
    Y: xr.DataArray,
    *,
    splits: Any,
    metric: str = "r2",
    Y_test: xr.DataArray | None = None,
    standardize: bool = True,
    shuffled: bool = False,
) -> xr.Dataset:
    """Return how much each feature space contributes to the score of the joint model, fold by fold.

    The model is fitted to all bands as in ``evaluate``; its prediction is the sum of the bands' predictions
    ``X_b w_b`` and an intercept, and the score is split by ``product_measure``.

    Parameters
    ----------
    model : estimator
        Linear: with ``coef_`` after fit. One with a parameter ``bands`` gets the labels.
    X : DataArray (time, feature) or (stimulus, feature)
        With the coordinate ``band``.
    Y, splits, Y_test, standardize, shuffled
        As in ``evaluate``.
    metric : {"r2", "pearson"}

    Returns
    -------
    Dataset
        ``contribution`` (fold, band, neuroid), ``offset`` (fold, neuroid) and ``joint`` (fold, neuroid), the
        score that ``evaluate`` gives: contributions and offset sum to it. NaN where it is NaN;
        ``attrs["n_undefined"]`` counts these.

    Raises
    ------
    NeuroalignError
        If the model has no ``coef_``; others as in ``evaluate``.

    Examples
    --------
    >>> from neuroalign.encoding import RidgeCV, contiguous_splits
    >>> X = xr.DataArray(
    ...     np.random.default_rng(0).standard_normal((40, 2)), dims=("time", "feature"),
    ...     coords={"time": 2.0 * np.arange(40), "band": ("feature", ["a", "b"])})
    >>> Y = X[:, :1].drop_vars("band").rename(feature="neuroid")
    >>> found = split_scores(RidgeCV([1e-6]), X, Y, splits=contiguous_splits(40, 2), metric="pearson")
    >>> abs(found["contribution"].mean("fold").values.round(4)).ravel().tolist()
    [1.0, 0.0]
    """
    if metric not in SPLIT:
        raise choice(metric, SPLIT, name="metric")
    model = with_bands(model, X)
    X, Y, Y_test = _aligned(X, Y, Y if Y_test is None else Y_test)
    folds = _folds(splits, X, shuffled)
    columns = columns_of(band_of(X))
    x, y = as_float(X.values, name="X"), as_float(Y.values, name="Y")
    truth = y if Y_test is Y else as_float(Y_test.values, name="Y_test")
    shares = np.full((len(folds), len(columns), y.shape[1]), np.nan)
    offset, joint = (np.full((len(folds), y.shape[1]), np.nan) for _ in range(2))
    for k, (train, test) in enumerate(folds):
        shift, scale = _scaler(x[train]) if standardize else (0.0, 1.0)
        fitted = clone(model).fit((x[train] - shift) / scale, y[train])
        shares[k], offset[k], joint[k] = _split(
            fitted, (x[test] - shift) / scale, truth[test], columns, metric
        )
    coords: dict[str, Any] = {str(k): c.variable for k, c in Y.coords.items() if c.dims == ("neuroid",)}
    return xr.Dataset(
        {
            "contribution": (("fold", "band", "neuroid"), shares),
            "offset": (("fold", "neuroid"), offset),
            "joint": (("fold", "neuroid"), joint),
        },
        coords={**coords, "fold": np.arange(len(folds)), "band": list(columns)},
        attrs={"metric": metric, "n_folds": len(folds), "n_undefined": int(np.isnan(joint).sum())},
    )


def product_measure(
    y: Any, parts: Any, *, intercept: Any = 0.0, metric: str = "r2"
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return what each part of a sum of predictions contributes to its score, and the offset.

    With the prediction :math:`p = \sum_b p_b + c`, all of them and y centred over the rows (tilde),

    .. math:: R^2 = \sum_b \frac{\tilde p_b \cdot (2 \tilde y - \tilde p)}{|\tilde y|^2}
              - \frac{n (\bar p - \bar y)^2}{|\tilde y|^2}, \qquad
              r = \sum_b \frac{\tilde p_b \cdot \tilde y}{|\tilde p| |\tilde y|}.

    The last term of R2 is the offset: what a wrong mean of the prediction costs, which belongs to no part.

    Parameters
    ----------
    y : array (n_rows, n_targets)
    parts : array (n_bands, n_rows, n_targets)
    intercept : float or array (n_targets,)
    metric : {"r2", "pearson"}

    Returns
    -------
    contributions : array (n_bands, n_targets)
        They sum, with the offset, to the score; one may be negative. NaN where the score is.
    offset : array (n_targets,)
        0 for Pearson's r.

    References
    ----------
    Hoffman 1960, Psychol Bull 57:116; Dupré la Tour et al. 2022, NeuroImage 264:119728 (of encoding models,
    without the offset: there the means are equal).

    Examples
    --------
    >>> y = [[1.0], [-1.0], [2.0], [-2.0]]
    >>> parts = [[[1.0], [-1.0], [0.0], [0.0]], [[0.0], [0.0], [2.0], [-2.0]]]
    >>> product_measure(y, parts)[0].ravel().tolist()
    [0.2, 0.8]
    """
    y, parts = as_float(y, name="y", ndim=2), as_float(parts, name="parts", ndim=3)
    if parts.shape[1:] != y.shape:
        raise ShapeError(f"parts must be (n_bands, *{y.shape}); got {parts.shape}.")
    if not len(y) or not len(parts):
        raise ShapeError(f"a score needs at least 1 row and 1 band; got parts of shape {parts.shape}.")
    if metric not in SPLIT:
        raise choice(metric, SPLIT, name="metric")
    total = parts.sum(axis=0)
    mean_error = total.mean(axis=0) + intercept - y.mean(axis=0)
    undefined = is_constant(y) | (is_constant(total) if metric == "pearson" else False)
    y, parts = y - y.mean(axis=0), parts - parts.mean(axis=1, keepdims=True)
    total = parts.sum(axis=0)
    power = np.where(undefined, np.nan, (y * y).sum(axis=0))
    if metric == "pearson":
        lengths = np.sqrt(power * (total * total).sum(axis=0))
        shares = (parts * y).sum(axis=1) / np.where(undefined, np.nan, lengths)
        return shares, np.where(undefined, np.nan, 0.0)
    return (parts * (2 * y - total)).sum(axis=1) / power, -len(y) * mean_error**2 / power


def _split(
    model: Any, x: np.ndarray, y: np.ndarray, columns: Mapping[str, np.ndarray], metric: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return contributions (n_bands, n_targets), offset and joint score (n_targets,) of a fitted model."""
    if not hasattr(model, "coef_"):
        raise NeuroalignError(
            f"{type(model).__name__} has no coef_, so that its prediction is no sum over bands. Use "
            "union_scores and variance_partitioning."
        )
    coef = np.reshape(model.coef_, (y.shape[1], x.shape[1]))
    intercept = np.broadcast_to(model.intercept_, y.shape[1])
    shares, offset = np.empty((len(columns), y.shape[1])), np.empty(y.shape[1])
    for start in range(0, y.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        parts = np.stack([x[:, at] @ coef[block, at].T for at in columns.values()])
        shares[:, block], offset[block] = product_measure(
            y[:, block], parts, intercept=intercept[block], metric=metric
        )
    return shares, offset, SCORES[metric](y, np.reshape(model.predict(x), y.shape))
