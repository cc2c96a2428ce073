"""What to look at before a score is believed: the alpha grid, conditioning, constant columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from ..stats import is_constant
from .checks import AlphaEdgeWarning

__all__ = ["diagnostics"]


def diagnostics(
    model: Any,
    X: Any,
    Y: Any,
    *,
    edge_tolerance: float = 0.1,
    tie_tolerance: float | None = 1e-6,
) -> xr.Dataset:
    """Return how a model with an alpha for every target chose it, and what is odd about its data.

    Parameters
    ----------
    model : estimator
        With a grid ``alphas`` and, after fit, ``alpha_`` and ``cv_scores_``, such as ``RidgeCV``. It is taken
        as it is where it is fitted; else a clone is fitted.
    X : array or DataArray (n_rows, n_features)
    Y : array or DataArray (n_rows, n_targets)
        The rows that the model is fitted to.
    edge_tolerance : float
        The share of targets at an edge of the grid above which ``AlphaEdgeWarning`` is given.
    tie_tolerance : float or None
        Two alphas whose cross-validated scores differ by less, relative to the larger size of the two, are
        tied: rounding, or a change of dtype, may pick the other one. This needs a fit for each alpha; None
        leaves it out.

    Returns
    -------
    Dataset
        Over ``neuroid``: ``alpha``; ``cv_score``; ``edge``, -1 at the smallest alpha, 1 at the largest, else
        0 (always 0 for a grid of one alpha); ``constant_target``; ``gap``, by how much the best score exceeds
        that of the next best alpha, and ``tied`` (both only with a ``tie_tolerance``). Over ``feature``:
        ``constant_feature``. Targets without a score have NaN, are at no edge and tied with nothing.

        In ``attrs``: ``edge_share_low``, ``edge_share_high`` and ``tie_share``, of the targets with a score
        (NaN where there is none); ``n_undefined``, those without; ``n_constant_targets``;
        ``n_constant_features``; ``rank`` of X without its constant columns, centred where the model fits an
        intercept; and ``condition_number`` of the same, its largest singular value over the smallest that is
        not 0.

    Warns
    -----
    AlphaEdgeWarning
        If more than ``edge_tolerance`` of the targets are at an edge.

    Raises
    ------
    ShapeError
        If X and Y do not fit each other or the fitted model.
    InvalidValueError
        If a value is not finite, or the model has no grid of alphas.

    Examples
    --------
    >>> from neuroalign.encoding import RidgeCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 2))
    >>> Y = X @ np.array([[1.0], [2.0]]) + rng.standard_normal((200, 1))
    >>> found = diagnostics(RidgeCV([0.01, 1.0, 100.0]), X, Y)
    >>> found.alpha.values.tolist(), found.edge.values.tolist(), found.attrs["rank"]
    ([1.0], [0], 2)
    """
    if not hasattr(model, "alphas"):
        raise InvalidValueError(
            f"model must have a grid 'alphas', such as RidgeCV; got a {type(model).__name__} without one."
        )
    x, y = as_float(X, name="X", ndim=2), as_float(Y, name="Y", ndim=(1, 2))
    if len(x) != len(y):
        raise ShapeError(f"X and Y must have the same rows; got {len(x)} and {len(y)}.")
    if not x.size or not y.size:
        raise ShapeError(f"X and Y must not be empty; got shapes {x.shape} and {y.shape}.")
    y = y.reshape(len(y), -1)
    alphas = np.unique(np.atleast_1d(as_float(model.alphas, name="alphas", ndim=(0, 1))))
    fitted = model if hasattr(model, "alpha_") else _fit(model, x, y)
    alpha, score = _of_targets(fitted, x, y)
    known = ~np.isnan(score)
    edge = np.where(known & (len(alphas) > 1), 1 * (alpha == alphas[-1]) - 1 * (alpha == alphas[0]), 0)
    variables: dict[str, Any] = {
        "alpha": ("neuroid", alpha),
        "cv_score": ("neuroid", score),
        "edge": ("neuroid", edge),
        "constant_target": ("neuroid", is_constant(y)),
        "constant_feature": ("feature", is_constant(x)),
    }
    attrs = _counts(x, y, edge[known], int((~known).sum()), intercept=getattr(model, "fit_intercept", True))
    if tie_tolerance is not None:
        gap, tied = _gaps(model, x, y, alphas, tie_tolerance)
        variables |= {"gap": ("neuroid", gap), "tied": ("neuroid", tied)}
        attrs |= {"tie_share": _share(tied[known]), "tie_tolerance": tie_tolerance}
    _warn_of_edges(attrs, int(known.sum()), alphas, edge_tolerance)
    return xr.Dataset(variables, coords=_coords(X, Y), attrs=attrs | {"edge_tolerance": edge_tolerance})


def _counts(
    x: np.ndarray, y: np.ndarray, edge: np.ndarray, n_undefined: int, *, intercept: bool
) -> dict[str, Any]:
    return {
        "edge_share_low": _share(edge == -1),
        "edge_share_high": _share(edge == 1),
        "n_undefined": n_undefined,
        "n_constant_targets": int(is_constant(y).sum()),
        "n_constant_features": int(is_constant(x).sum()),
        **_conditioning(x, intercept=intercept),
    }


def _fit(model: Any, x: np.ndarray, y: np.ndarray, **params: Any) -> Any:
    """Return a fitted clone; what it says about edges is said once, at the end, and not for each fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlphaEdgeWarning)
        return clone(model).set_params(**params).fit(x, y)


def _of_targets(fitted: Any, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    alpha, score = (np.atleast_1d(getattr(fitted, name)) for name in ("alpha_", "cv_scores_"))
    n_features = getattr(fitted, "n_features_in_", x.shape[1])
    if alpha.shape != (y.shape[1],) or n_features != x.shape[1]:
        raise ShapeError(
            f"the model was fitted to {n_features} features and {len(alpha)} targets; X and Y have "
            f"{x.shape[1]} and {y.shape[1]}. Pass the data that it was fitted to, or an unfitted model."
        )
    return alpha, score


def _gaps(
    model: Any, x: np.ndarray, y: np.ndarray, alphas: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the best alpha's score is above the next one's, and whether that is next to nothing."""
    best = np.full(y.shape[1], -np.inf)
    second = best.copy()
    for alpha in alphas:
        score = np.atleast_1d(_fit(model, x, y, alphas=[alpha]).cv_scores_)
        second = np.where(np.isnan(score), np.nan, np.maximum(second, np.minimum(best, score)))
        best = np.fmax(best, score)
    gap = np.where(np.isneginf(second), np.nan, best - second)
    larger = np.where(np.isnan(gap), 0.0, np.maximum(np.abs(best), np.abs(second)))
    return gap, gap <= tolerance * larger


def _conditioning(x: np.ndarray, *, intercept: bool) -> dict[str, Any]:
    varying = x[:, ~is_constant(x)]
    if not varying.size:
        return {"rank": 0, "condition_number": np.nan}
    values = np.linalg.svd(varying - varying.mean(axis=0) * bool(intercept), compute_uv=False)
    values = values[values > values[0] * max(varying.shape) * np.finfo(np.float64).eps]
    return {"rank": len(values), "condition_number": float(values[0] / values[-1])}


def _share(where: np.ndarray) -> float:
    return float(where.mean()) if len(where) else np.nan


def _warn_of_edges(attrs: dict[str, Any], n: int, alphas: np.ndarray, tolerance: float) -> None:
    low, high = attrs["edge_share_low"], attrs["edge_share_high"]
    if low + high > tolerance:
        warnings.warn(
            f"of {n} targets {low:.0%} chose the smallest alpha of the grid ({alphas[0]:g}) and {high:.0%} "
            f"the largest ({alphas[-1]:g}); widen it, or raise edge_tolerance.",
            AlphaEdgeWarning,
            stacklevel=3,
        )


def _coords(X: Any, Y: Any) -> dict[str, Any]:
    """Return the coordinates of targets and features, under the names of their dims in the result."""
    coords: dict[str, Any] = {}
    for array, dim in ((X, "feature"), (Y, "neuroid")):
        if isinstance(array, xr.DataArray) and array.ndim == 2:
            own = array.dims[1]
            for name, c in array.coords.items():
                if c.dims == (own,):
                    coords.setdefault(dim if name == own else str(name), (dim, c.values))
    return coords
