"""Cross-validated scores of an encoding model: every choice is made inside the training fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..schema import align, labels
from ..stats import SCORES, is_constant
from .bands import with_bands
from .splits import Splits, check_splits, is_shuffled

__all__ = ["cross_validated_predictions", "evaluate"]

ROWS = ("time", "stimulus")
CONVENTIONS = {"folds": "average of fold scores", "pooled": "pooled predictions"}


def evaluate(
    model: Any,
    X: xr.DataArray,
    Y: xr.DataArray,
    *,
    splits: Any,
    metric: str = "pearson",
    Y_test: xr.DataArray | None = None,
    standardize: bool = True,
    convention: str = "folds",
    shuffled: bool = False,
) -> xr.DataArray:
    """Return the score of every fold and neuroid on rows that the model never saw.

    In each fold the features are standardised by the mean and standard deviation of the training rows, a
    clone of the model is fitted to these rows, and its predictions of the test rows are scored. Average folds
    for one score a neuroid: ``scores.mean("fold")``.

    Parameters
    ----------
    model : estimator
        Anything with scikit-learn's ``fit`` and ``predict`` for several targets; never fitted itself. One
        that asks for ``bands`` is told the features' coordinate ``band``.
    X : DataArray (time, feature) or (stimulus, feature)
        The second dim may have any name.
    Y : DataArray (time, neuroid) or (stimulus, neuroid)
        Aligned to ``X`` by label.
    splits : list of (train, test)
        Row numbers: in order of time where rows are times, whatever the order of the rows; else in the order
        of ``X``. See ``contiguous_splits`` and ``leave_one_run_out``.
    metric : str
        A key of ``neuroalign.stats.SCORES``.
    Y_test : DataArray, optional
        Other responses of the same rows and neuroids that the predictions are scored against, such as those
        of the subject who is left out of ``Y``.
    standardize : bool
        Whether features are standardised; one without variance in the training rows becomes 0.
    convention : {"folds", "pooled"}
        A score a fold, to be averaged; or one score of all test rows together, which also counts how the
        means of the folds differ and is the stricter one on a drifting series.
    shuffled : bool
        Whether scattered test rows are allowed where rows are times.

    Returns
    -------
    DataArray (fold, neuroid), or (neuroid,) where pooled
        With the coordinates of the neuroids, ``n_train`` and ``n_test`` a fold, and ``alpha`` where the model
        has an alpha a target. NaN where the test rows or their prediction are constant;
        ``attrs["n_undefined"]`` counts them.

    Raises
    ------
    LabelError
        If rows or neuroids differ.
    ShapeError
        If the dims are other ones.
    InvalidValueError
        If a value is not finite, splits overlap, or test rows of a time series are scattered.

    Examples
    --------
    >>> from neuroalign.encoding import RidgeCV, contiguous_splits
    >>> wave = np.random.default_rng(0).standard_normal((40, 1))
    >>> X = xr.DataArray(wave, dims=("time", "feature"), coords={"time": 2.0 * np.arange(40)})
    >>> Y = X.rename(feature="neuroid")
    >>> evaluate(RidgeCV([1.0]), X, Y, splits=contiguous_splits(40, 4)).values.round(3).ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    for value, allowed, name in ((metric, SCORES, "metric"), (convention, CONVENTIONS, "convention")):
        if value not in allowed:
            raise choice(value, allowed, name=name)
    X, Y, Y_test = _aligned(X, Y, Y if Y_test is None else Y_test)
    folds = _folds(splits, X, shuffled)
    x, y = as_float(X.values, name="X"), as_float(Y.values, name="Y")
    truth = y if Y_test is Y else as_float(Y_test.values, name="Y_test")
    predictions, alphas = _predict(with_bands(model, X), x, y, folds, standardize)
    if convention == "pooled":
        rows = _pooled_rows(folds)
        scores = SCORES[metric](truth[rows], np.concatenate(predictions))
    else:
        pairs = zip(folds, predictions, strict=True)
        scores = np.stack([SCORES[metric](truth[test], found) for (_, test), found in pairs])
    attrs = {"metric": metric, "convention": CONVENTIONS[convention], "standardized": int(standardize)}
    return _labelled(scores, alphas, Y, folds, attrs)


def cross_validated_predictions(
    model: Any,
    X: xr.DataArray,
    Y: xr.DataArray,
    *,
    splits: Any,
    standardize: bool = True,
    shuffled: bool = False,
) -> xr.DataArray:
    """Return the predictions of every row by the model of the fold that never saw it, for ``score_tests``.

    Folds are fitted as in ``evaluate``.

    Parameters
    ----------
    model, X, Y, splits, standardize, shuffled
        As in ``evaluate``; a row is tested in one fold at most.

    Returns
    -------
    DataArray (time, neuroid) or (stimulus, neuroid)
        float64, in order of time (of ``X``, where rows are stimuli), with the coordinates of ``Y`` and
        ``fold``, the number of each row's fold. Rows that no fold tests are left out;
        ``attrs["n_untested"]`` counts them.

    Raises
    ------
    InvalidValueError
        If a row is tested in several folds; else as ``evaluate``.

    Examples
    --------
    >>> from neuroalign.encoding import RidgeCV, contiguous_splits
    >>> wave = np.random.default_rng(0).standard_normal((40, 1))
    >>> X = xr.DataArray(wave, dims=("time", "feature"), coords={"time": 2.0 * np.arange(40)})
    >>> found = cross_validated_predictions(
    ...     RidgeCV([1.0]), X, X.rename(feature="neuroid"), splits=contiguous_splits(40, 4))
    >>> found.shape, found.fold.values[::10].tolist()
    ((40, 1), [0, 1, 2, 3])
    """
    X, Y, _ = _aligned(X, Y, Y)
    folds = _folds(splits, X, shuffled)
    rows = _pooled_rows(folds)
    x, y = as_float(X.values, name="X"), as_float(Y.values, name="Y")
    predictions, _ = _predict(with_bands(model, X), x, y, folds, standardize)
    order = np.argsort(rows)
    fold = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
    kept = Y.isel({Y.dims[0]: rows[order]}).copy(data=np.concatenate(predictions)[order])
    kept = kept.assign_coords(fold=(Y.dims[0], fold[order])).rename("prediction")
    kept.attrs = {"standardized": int(standardize), "n_folds": len(folds), "n_untested": len(X) - len(rows)}
    return kept


def _folds(splits: Any, X: xr.DataArray, shuffled: bool) -> Splits:
    folds = check_splits(splits, len(X))
    if X.dims[0] == "time" and not shuffled:
        _refuse_shuffled(folds)
    return folds


def _predict(
    model: Any, x: np.ndarray, y: np.ndarray, folds: Splits, standardize: bool
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return each fold's predictions (n_test, n_neuroids), and alphas (n_folds, n_neuroids) or NaN."""
    predictions, alphas = [], np.full((len(folds), y.shape[1]), np.nan)
    for k, (train, test) in enumerate(folds):
        shift, scale = _scaler(x[train]) if standardize else (0.0, 1.0)
        fitted = clone(model).fit((x[train] - shift) / scale, y[train])
        predictions.append(np.reshape(fitted.predict((x[test] - shift) / scale), (len(test), -1)))
        alphas[k] = getattr(fitted, "alpha_", np.nan)
    return predictions, alphas


def _scaler(x: np.ndarray) -> tuple[Any, Any]:
    """Return means and standard deviations of the columns; infinity where one does not vary, to give 0."""
    sd = np.sqrt(((x - x.mean(axis=0)) ** 2).mean(axis=0))
    return x.mean(axis=0), np.where(is_constant(x), np.inf, sd)


def _pooled_rows(folds: Splits) -> np.ndarray:
    rows = np.concatenate([test for _, test in folds])
    if len(np.unique(rows)) != len(rows):
        raise InvalidValueError("splits: some rows are tested in several folds; they cannot be pooled.")
    return rows


def _labelled(
    scores: np.ndarray, alphas: np.ndarray, Y: xr.DataArray, folds: Splits, attrs: dict[str, Any]
) -> xr.DataArray:
    coords: dict[str, Any] = {str(k): c.variable for k, c in Y.coords.items() if c.dims == ("neuroid",)}
    attrs = {**attrs, "n_folds": len(folds), "n_undefined": int(np.isnan(scores).sum())}
    dims = ("fold", "neuroid")[-scores.ndim :]
    if "fold" in dims:
        coords["fold"] = np.arange(len(folds))
        coords["n_train"] = ("fold", [len(train) for train, _ in folds])
        coords["n_test"] = ("fold", [len(test) for _, test in folds])
        if not np.isnan(alphas).all():
            coords["alpha"] = (("fold", "neuroid"), alphas)
    return xr.DataArray(scores, dims=dims, coords=coords, attrs=attrs, name="score")


def _aligned(X: xr.DataArray, Y: xr.DataArray, Y_test: xr.DataArray) -> tuple[Any, Any, Any]:
    for array, name in ((X, "X"), (Y, "Y"), (Y_test, "Y_test")):
        if not isinstance(array, xr.DataArray) or array.ndim != 2 or array.dims[0] not in ROWS:
            raise ShapeError(
                f"{name} must be a DataArray of 2 dims whose first is one of {ROWS}; got "
                f"{getattr(array, 'dims', type(array).__name__)}."
            )
        if name != "X" and array.dims[1] != "neuroid":
            raise ShapeError(f"{name} must have dims ({array.dims[0]!r}, 'neuroid'); got {array.dims}.")
    dim = str(X.dims[0])
    same = Y_test is Y
    X, Y, Y_test = align(X, Y, Y_test, on=dim, names=["X", "Y", "Y_test"])
    if dim == "time":
        order = np.argsort(labels(X, on="time"), kind="stable")
        X, Y, Y_test = (array.isel(time=order) for array in (X, Y, Y_test))
    return X, Y, Y if same else _same_neuroids(Y, Y_test)


def _same_neuroids(Y: xr.DataArray, Y_test: xr.DataArray) -> xr.DataArray:
    if "neuroid" in Y.coords and "neuroid" in Y_test.coords:
        return align(Y, Y_test, on="neuroid", names=["Y", "Y_test"])[1]
    if Y.sizes["neuroid"] != Y_test.sizes["neuroid"]:
        raise ShapeError(
            f"Y and Y_test must have the same neuroids; got {Y.sizes['neuroid']} and "
            f"{Y_test.sizes['neuroid']}."
        )
    for name in ("subject", "roi"):
        if name in Y.coords and name in Y_test.coords and not Y[name].equals(Y_test[name]):
            raise LabelError(f"Y and Y_test have neuroids with another {name!r}; give them 'neuroid' labels.")
    return Y_test


def _refuse_shuffled(folds: Splits) -> None:
    for k, (_, test) in enumerate(folds):
        if is_shuffled(test):
            raise InvalidValueError(
                f"splits: the {len(test)} test rows of fold {k} are scattered in time, so that a series is "
                "tested on neighbours of its training rows. Use contiguous_splits, or pass shuffled=True."
            )
