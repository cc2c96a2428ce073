"""Presentations to decode: rows of responses, their labels and groups, and folds that keep groups whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, listing
from .runs import even_step
from .splits import Splits, check_splits, leave_one_run_out

__all__ = [
    "Rows",
    "along_rows",
    "arranged",
    "checked_labels",
    "group_codes",
    "own_splits",
    "stratified_splits",
]

ROW_DIMS = ("presentation", "stimulus")


class Rows(NamedTuple):
    """Responses as rows: values (n_leading, n_presentations, n_neuroids, n_times) and what labels them."""

    values: np.ndarray
    array: xr.DataArray  # (..., presentation or stimulus, neuroid, time)
    row: str
    leading: tuple[str, ...]
    times: np.ndarray | None  # None where the times are taken together


def stratified_splits(labels: Any, n_splits: int, *, groups: Any = None) -> Splits:
    """Return folds with about the same share of every class, which keep groups whole.

    Without groups each class's presentations are cut, in their order, into ``n_splits`` consecutive parts:
    right where presentations are independent. Presentations of one run, block or item are not: neighbours
    share slow drifts, and repetitions of an item share the item, so that a decoder scores above chance on
    labels that mean nothing. Give them as ``groups``.

    Parameters
    ----------
    labels : array (n_presentations,)
    n_splits : int
        At least 2, and at most the number of presentations of the rarest class, or of groups.
    groups : array (n_presentations,), optional
        Run, block, item or subject.

    Returns
    -------
    list of (train, test)
        Row numbers; every row is tested once. A fold of groups may lack a class; ``decode`` says so.

    Raises
    ------
    InvalidValueError
        If there are too few presentations or groups, or labels are missing.

    Examples
    --------
    >>> [test.tolist() for _, test in stratified_splits(["a", "a", "b", "b", "a", "a"], 2)]
    [[0, 1, 2], [3, 4, 5]]
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    codes, classes = checked_labels(labels)
    parts = group_codes(groups, len(codes))
    if isinstance(n_splits, bool) or not isinstance(n_splits, int | np.integer) or n_splits < 2:
        raise InvalidValueError(f"n_splits must be an integer of at least 2; got {n_splits!r}.")
    counts = np.bincount(codes)
    if n_splits > counts.min():
        raise InvalidValueError(
            f"{n_splits} folds need as many presentations of each class; "
            f"{classes[counts.argmin()].item()!r} has {counts.min()}. Pass a smaller n_splits."
        )
    if parts is None:
        return list(StratifiedKFold(n_splits).split(np.zeros((len(codes), 1)), codes))
    if n_splits > parts.max() + 1:
        raise InvalidValueError(f"{n_splits} folds need as many groups; got {parts.max() + 1}.")
    return list(StratifiedGroupKFold(n_splits).split(np.zeros((len(codes), 1)), codes, parts))


def arranged(responses: Any, *, over: str | None, window: float | None) -> Rows:
    """Return responses as rows, finite, averaged over windows of time, or all times as one pattern.

    Raises
    ------
    ShapeError
        If the dims are other ones, or a window is longer than the responses.
    LabelError
        If a window is asked for and times are missing.
    InvalidValueError
        If a value is not finite, or a window is no positive number.
    """
    array, row = _with_rows(responses)
    timed = "time" in array.dims
    if over not in ("time", None):
        raise InvalidValueError(f"over must be 'time' or None; got {over!r}.")
    if not timed and (over == "time" or window is not None):
        raise ShapeError(f"responses have no dim 'time', only {array.dims}; pass over=None.")
    if window is not None:
        array = _averaged(array, window)
    if not timed:
        array = array.expand_dims("time")
    leading = tuple(str(dim) for dim in array.dims if dim not in (row, "neuroid", "time"))
    array = array.transpose(*leading, row, "neuroid", "time")
    if not array.size:
        raise ShapeError(f"responses must have presentations, neuroids and times; got {array.shape}.")
    values = as_float(array.values, name="responses")
    values = values.reshape(-1, *values.shape[len(leading) :])
    if over is None:
        return Rows(values.reshape(*values.shape[:2], -1, 1), array, row, leading, None)
    times = array["time"].values if "time" in array.coords else np.arange(array.sizes["time"])
    return Rows(values, array, row, leading, times)


def along_rows(rows: Rows, given: Any, name: str) -> np.ndarray:
    """Return one value a presentation: ``given``, or the coordinate that it names."""
    if isinstance(given, str):
        if given not in rows.array.coords or rows.array[given].dims != (rows.row,):
            own = [key for key, coord in rows.array.coords.items() if coord.dims == (rows.row,)]
            raise LabelError(
                f"{name}: responses have no coordinate {given!r} along {rows.row!r}; there are "
                f"{listing(own)}."
            )
        return rows.array[given].values
    values = np.asarray(given)
    if values.shape != (rows.array.sizes[rows.row],):
        raise ShapeError(
            f"{name} must be one for each of {rows.array.sizes[rows.row]} rows; got {values.shape}."
        )
    return values


def checked_labels(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the class (n_presentations,) of each presentation as a number, and the classes in order.

    >>> [part.tolist() for part in checked_labels(["b", "a", "b"])]
    [[1, 0, 1], ['a', 'b']]
    """
    values = np.asarray(labels)
    if values.ndim != 1 or not values.size:
        raise ShapeError(f"labels must have shape (n_presentations,); got {values.shape}.")
    _refuse_missing(values, "label")
    classes, codes = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise InvalidValueError(f"labels must have at least 2 classes; all are {classes[0].item()!r}.")
    return codes, classes


def group_codes(groups: Any, n: int) -> np.ndarray | None:
    """Return the group (n,) of each presentation as a number; None for None."""
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.shape != (n,):
        raise ShapeError(f"groups must be one for each of {n} presentations; got shape {values.shape}.")
    _refuse_missing(values, "group")
    return np.unique(values, return_inverse=True)[1]


def own_splits(splits: Any, groups: np.ndarray | None, n: int, *, strict: bool) -> Splits:
    """Return folds: those given, else one a group; refuse those that share a group where ``strict``."""
    if splits is None:
        if groups is None:
            raise InvalidValueError(
                "neither splits nor groups are given and responses have no coordinate 'run'. Pass groups=... "
                "(run, block, item or subject), or, where presentations are independent, "
                "splits=stratified_splits(labels, 5)."
            )
        return leave_one_run_out(groups)
    folds = check_splits(splits, n)
    if strict and groups is not None:
        for k, (train, test) in enumerate(folds):
            both = np.intersect1d(groups[train], groups[test])
            if both.size:
                shared = np.flatnonzero(groups == both[0])
                raise InvalidValueError(
                    f"splits: {both.size} groups of fold {k} are trained and tested on, such as that of rows "
                    f"{listing(shared)}. Use stratified_splits(labels, n, groups=...)."
                )
    return folds


def _with_rows(responses: Any) -> tuple[xr.DataArray, str]:
    if not isinstance(responses, xr.DataArray) or "neuroid" not in responses.dims:
        what = getattr(responses, "dims", type(responses).__name__)
        raise ShapeError(f"responses must be a DataArray (presentation, neuroid, time); got {what}.")
    if {"stimulus", "repetition"} <= set(responses.dims):
        responses = responses.stack(presentation=("stimulus", "repetition"), create_index=False)
    for row in ROW_DIMS:
        if row in responses.dims:
            return responses, row
    raise ShapeError(f"responses need a dim 'presentation' or 'stimulus'; got {responses.dims}.")


def _averaged(array: xr.DataArray, window: float) -> xr.DataArray:
    """Return means over windows that do not overlap; samples at the end that fill none are left out."""
    if isinstance(window, bool) or not isinstance(window, int | float | np.number) or not window > 0:
        raise InvalidValueError(f"window must be a positive number of seconds; got {window!r}.")
    if "time" not in array.coords or array.sizes["time"] < 2:
        raise LabelError("window in seconds needs a coordinate 'time' with at least 2 samples.")
    step = even_step(array["time"].values.astype(np.float64), "of responses")
    width = max(1, round(float(window) / step))
    if width > array.sizes["time"]:
        raise ShapeError(f"a window of {width} samples does not fit into {array.sizes['time']}.")
    return array.coarsen(time=width, boundary="trim").mean()


def _refuse_missing(values: np.ndarray, what: str) -> None:
    missing = np.array([value is None or value != value for value in values.tolist()], dtype=bool)
    if missing.any():
        raise InvalidValueError(
            f"every presentation needs a {what}; {int(missing.sum())} of {len(values)} have none, the first "
            f"is row {int(missing.argmax())}."
        )
