"""Held-out predictions of response functions: lags know the runs, and the folds know the lags."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import clone

from ..errors import InvalidValueError, ShapeError
from ..schema import align, labels
from .response_functions import TemporalResponseFunction
from .runs import border_of, common_step
from .splits import check_splits, is_shuffled

__all__ = ["predict_held_out"]


def predict_held_out(
    model: TemporalResponseFunction, X: xr.DataArray, Y: xr.DataArray, *, splits: Any, border: str = "run"
) -> xr.DataArray:
    """Return the predictions of every test row by response functions that were fitted without it.

    What ``cross_validated_predictions`` is to other models; ``score_tests`` takes what comes out, with blocks
    permuted within folds and runs. Lags of a test row near a training row reach into features of training
    rows, as they would in use; its responses are never seen.

    Parameters
    ----------
    model : TemporalResponseFunction
        Never fitted itself; the folds of its own choices lie within the training rows.
    X : DataArray (time, feature)
        The predictors: features, or responses where the direction is backward.
    Y : DataArray (time, neuroid)
        Aligned to ``X`` by label.
    splits : list of (train, test)
        Row numbers in order of time: ``leave_one_run_out(runs)``, or
        ``contiguous_splits(runs, 5, purge=...)`` with a purge as long as the lags or longer.
    border : str
        The coordinate of time, of X or Y, whose values are the runs or stories.

    Returns
    -------
    DataArray (time, neuroid)
        float64, in order of time, with the coordinates of Y, ``fold`` and the runs (as ``run`` too). Rows
        that no fold tests are left out; ``attrs["n_untested"]`` counts them.

    Raises
    ------
    LabelError
        If times differ or runs are unknown.
    InvalidValueError
        If a row is tested twice, test rows are scattered, or as ``fit``.

    Examples
    --------
    >>> from neuroalign.encoding import contiguous_splits
    >>> rng = np.random.default_rng(0)
    >>> sound = xr.DataArray(rng.standard_normal((300, 1)), dims=("time", "feature"), coords={
    ...     "time": np.arange(300) / 100, "run": "1"})
    >>> eeg = sound.shift(time=2, fill_value=0.0).rename(feature="neuroid")
    >>> model = TemporalResponseFunction(0.0, 0.03, edge_tolerance=1.0)
    >>> found = predict_held_out(model, sound, eeg, splits=contiguous_splits(300, 3, purge=3))
    >>> float(np.corrcoef(found[:, 0], eeg[:, 0])[0, 1].round(3))
    1.0
    """
    for array, name in ((X, "X"), (Y, "Y")):
        if not isinstance(array, xr.DataArray) or array.ndim != 2 or array.dims[0] != "time":
            raise ShapeError(
                f"{name} must be a DataArray (time, ...) of 2 dims; got {getattr(array, 'dims', array)}."
            )
    X, Y = align(X, Y, on="time", names=["X", "Y"])
    order = np.argsort(labels(X, on="time"), kind="stable")
    X, Y = X.isel(time=order), Y.isel(time=order)
    runs = border_of(X, Y, border)
    common_step(X["time"].values.astype(np.float64), runs)
    folds = check_splits(splits, len(X))
    tested = np.concatenate([test for _, test in folds])
    if len(np.unique(tested)) != len(tested):
        raise InvalidValueError("splits: some rows are tested in several folds.")
    found, fold = np.full(Y.shape, np.nan), np.full(len(Y), -1)
    for k, (train, test) in enumerate(folds):
        if is_shuffled(test):
            raise InvalidValueError(
                f"splits: the {len(test)} test rows of fold {k} are scattered in time. Use contiguous_splits."
            )
        fitted = clone(model).fit(X, Y, runs=runs, rows=np.sort(train))
        found[test], fold[test] = fitted.predict(X, runs=runs)[test], k
    kept = np.sort(tested)
    coords = {"fold": ("time", fold[kept]), border: ("time", runs[kept]), "run": ("time", runs[kept])}
    predictions = Y.isel(time=kept).copy(data=found[kept]).assign_coords(coords).rename("prediction")
    predictions.attrs = {"n_folds": len(folds), "n_untested": len(X) - len(kept)}
    return predictions
