"""What estimators check before they compute: data, features to predict from, alphas, folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError
from .splits import Splits, check_splits, contiguous_splits

__all__ = [
    "ALPHAS",
    "AlphaEdgeWarning",
    "checked_alphas",
    "checked_data",
    "checked_features",
    "checked_folds",
    "refuse_other_labels",
]

ALPHAS = tuple(float(10.0**power) for power in range(-1, 8))


class AlphaEdgeWarning(UserWarning):
    """Many targets chose the smallest or largest alpha: the best one may lie outside the grid."""


def checked_data(X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return features (n_rows, n_features), targets (n_rows, n_targets), and whether Y had one dim.

    Parameters
    ----------
    X : array (n_rows, n_features)
    Y : array (n_rows, n_targets) or (n_rows,)
        Where both are DataArrays their rows must carry the same labels in the same order.

    Returns
    -------
    X, Y : arrays of float64
        The memory of the arguments where it is float64 already; never edited.
    one : bool

    Raises
    ------
    ShapeError
        If rows differ in number, there are fewer than 2, or there is no column.
    LabelError
        If labelled rows differ.
    InvalidValueError
        If a value is not finite, complex or no number, an array is sparse, or Y is None.

    Examples
    --------
    >>> x, y, one = checked_data([[1, 2], [3, 4], [5, 6]], [0.0, 1.0, 0.5])
    >>> x.shape, y.shape, one
    ((3, 2), (3, 1), True)
    """
    if Y is None:
        raise InvalidValueError("fit requires y to be passed, but the target y is None.")
    x, y = _real(X, "X", 2), _real(Y, "Y", (1, 2))
    if len(x) != len(y):
        raise ShapeError(f"X and Y must have the same rows; got {len(x)} and {len(y)}.")
    if len(x) < 2:
        raise ShapeError(f"X and Y need at least 2 rows; got {len(x)} sample(s).")
    for array, name, what in ((x, "X", "feature"), (y, "Y", "target")):
        if not array.size:
            raise ShapeError(
                f"{name} has 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required."
            )
    refuse_other_labels(X, Y)
    return x, y.reshape(len(y), -1), y.ndim == 1


def checked_features(estimator: Any, X: Any) -> np.ndarray:
    """Return the rows (n_rows, n_features) that a fitted estimator is to predict.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator was not fitted.
    ShapeError
        If X has not the features of fit.
    InvalidValueError
        If a value is not finite or no number.
    ValueError
        From scikit-learn, if X is a DataFrame whose columns have other names than those of fit.
    """
    check_is_fitted(estimator)
    x = _real(X, "X", 2)
    if x.shape[1] != estimator.n_features_in_:
        raise ShapeError(
            f"X has {x.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    validate_data(estimator, X, reset=False, skip_check_array=True)
    return x


def checked_alphas(alphas: Any) -> np.ndarray:
    """Return alphas without repetition in decreasing order, so that the first maximum is the larger alpha.

    Raises
    ------
    InvalidValueError
        If there is none, or one is negative or not finite.

    Examples
    --------
    >>> checked_alphas([1, 10, 1]).tolist()
    [10.0, 1.0]
    """
    values = np.atleast_1d(as_float(alphas, name="alphas", ndim=(0, 1), finite=False))
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if bad.size:
        raise InvalidValueError(
            f"alphas must be non-negative and finite; got {values[bad[0]]} at position {bad[0]}."
        )
    if not values.size:
        raise InvalidValueError("alphas must hold at least one value; got none.")
    return np.unique(values)[::-1].copy()


def checked_folds(cv: Any, n: int, *, n_candidates: int, purge: int = 0, groups: Any = None) -> Splits:
    """Return the folds of ``n`` rows; none for None, where there is one candidate and nothing to choose.

    Parameters
    ----------
    cv : int, list of (train, test), splitter, or None
        Number of contiguous folds, the row numbers of each, or an object of scikit-learn with ``split``,
        which is given ``groups``.
    n, n_candidates : int
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.
    groups : array (n,), optional

    Raises
    ------
    InvalidValueError
        If there are several candidates without folds, groups without a splitter, or folds are not of n rows.

    Examples
    --------
    >>> [test.tolist() for _, test in checked_folds(2, 4, n_candidates=3)]
    [[0, 1], [2, 3]]
    """
    if hasattr(cv, "split"):
        return check_splits(cv.split(np.zeros((n, 1)), np.zeros(n), groups), n)
    if groups is not None:
        raise InvalidValueError(
            f"groups need a splitter with a method 'split', such as GroupKFold(5); got cv={cv!r}."
        )
    if cv is None:
        if n_candidates > 1:
            raise InvalidValueError(
                f"cv=None cannot choose among {n_candidates} candidates; pass one of them, or cv=5."
            )
        return []
    if isinstance(cv, int | np.integer):
        return contiguous_splits(n, int(cv), purge=purge)
    return check_splits(cv, n)


def refuse_other_labels(X: Any, Y: Any) -> None:
    """Raise a LabelError where both are labelled and their rows are not the same in the same order."""
    if not (isinstance(X, xr.DataArray) and isinstance(Y, xr.DataArray)):
        return
    dim = X.dims[0]
    if Y.dims[0] != dim or (dim in X.coords) != (dim in Y.coords):
        raise LabelError(f"X and Y must share the labels of their rows; got {X.dims} and {Y.dims}.")
    if dim in X.coords and not np.array_equal(X[dim].values, Y[dim].values):
        raise LabelError(f"rows of X and Y carry other labels of {dim!r}; see schema.align.")


def _real(values: Any, name: str, ndim: int | tuple[int, ...]) -> np.ndarray:
    # The last words of each error are those that scikit-learn's check_estimator looks for.
    if issparse(values):
        raise InvalidValueError(f"{name} must be dense, not sparse; pass {name}.toarray().")
    try:
        return as_float(values, name=name, ndim=ndim)
    except ShapeError as error:
        raise ShapeError(f"{error} Reshape your data: a row an observation.") from None
    except InvalidValueError as error:
        raise InvalidValueError(f"{error} Complex data not supported, nor NaN, inf and text.") from None
