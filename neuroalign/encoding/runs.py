"""Runs: which rows lie between the same two borders, and how far apart they are in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError
from ..schema import labels

__all__ = [
    "border_of",
    "check_features",
    "check_missing",
    "common_step",
    "even_step",
    "rows_of_runs",
    "run_by_run",
    "run_labels",
]

# Steps within a run may differ by this share of the smallest.
STEP_TOLERANCE = 1e-3


def check_features(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (n_times, n_features) of ``X`` and its times (n_times,), both float64 and finite."""
    if not isinstance(X, xr.DataArray) or X.ndim != 2 or X.dims[0] != "time":
        raise ShapeError(
            f"X must be a DataArray (time, feature); got {getattr(X, 'dims', type(X).__name__)}."
        )
    times = as_float(labels(X, on="time", name="X"), name="time")
    if not X.size:
        raise ShapeError(f"X is empty; its sizes are {dict(X.sizes)}.")
    return as_float(X.values, name="X"), times


def run_labels(X: xr.DataArray, runs: Any = None, *, coordinate: str = "run") -> np.ndarray:
    """Return the run of each row (n_times,): from ``runs``, else from a coordinate of ``X``; a scalar is one.

    Raises
    ------
    LabelError
        If the runs are unknown.
    ShapeError
        If there is not one run a row.
    """
    if runs is None:
        if coordinate not in X.coords:
            raise LabelError(
                f"X has no coordinate {coordinate!r}. Pass runs=..., or one scalar if all rows are one run."
            )
        runs = X[coordinate].values
    if "time" not in X.dims:
        raise ShapeError(f"X must have the dim 'time'; got {X.dims}.")
    runs = np.asarray(runs)
    if runs.ndim == 0:
        runs = np.full(X.sizes["time"], runs)
    if runs.shape != (X.sizes["time"],):
        raise ShapeError(f"runs must have shape ({X.sizes['time']},); got {runs.shape}.")
    return runs


def rows_of_runs(runs: np.ndarray, times: np.ndarray | None = None) -> dict[Any, np.ndarray]:
    """Return the row numbers of each run, runs as they first come, rows in order of time.

    Examples
    --------
    >>> {run: rows.tolist() for run, rows in rows_of_runs(np.array(["b", "a", "b"])).items()}
    {'b': [0, 2], 'a': [1]}
    """
    found = {run: np.flatnonzero(runs == run) for run in dict.fromkeys(runs.tolist())}
    if times is None:
        return found
    return {run: rows[np.argsort(times[rows], kind="stable")] for run, rows in found.items()}


def even_step(times: np.ndarray, run: object) -> float:
    """Return the seconds between the rows of a run (NaN for one row), after checking that they are even.

    Raises
    ------
    InvalidValueError
        If the steps differ by more than a thousandth.
    """
    gaps = np.diff(times)
    if not gaps.size:
        return np.nan
    if np.ptp(gaps) > STEP_TOLERANCE * gaps.min():
        raise InvalidValueError(
            f"times of run {run!r} must be evenly spaced; steps go from {gaps.min():g} to {gaps.max():g} s. "
            "Name the parts as runs of their own."
        )
    return float(gaps.mean())


def border_of(X: xr.DataArray, Y: xr.DataArray, border: str) -> np.ndarray:
    """Return the run of each row (n_times,) from a coordinate of ``X``, ``Y`` (rows aligned), or both.

    Raises
    ------
    LabelError
        If neither has it, it is none of time, or they differ in it.
    """
    found = []
    for array, name in ((X, "X"), (Y, "Y")):
        if border in array.coords:
            if array[border].dims not in ((), ("time",)):
                raise LabelError(f"{name}: {border} must be a coordinate of time; got {array[border].dims}.")
            found.append(np.broadcast_to(array[border].values, X.sizes["time"]))
    if not found:
        raise LabelError(
            f"neither X nor Y has the coordinate {border!r}. Name the runs, or say that there is one: "
            f'X.assign_coords({border}="1").'
        )
    if len(found) == 2 and (found[0] != found[1]).any():
        at = int(np.argmax(found[0] != found[1]))
        one, other = (runs.tolist()[at] for runs in found)
        raise LabelError(
            f"X and Y differ in {border!r}, first at time {X['time'].values[at]:g}: {one!r} and {other!r}."
        )
    return found[0]


def common_step(times: np.ndarray, runs: np.ndarray) -> float:
    """Return the seconds between rows, after checking that runs are whole and have the same step."""
    steps: dict[Any, float] = {}
    for run, rows in rows_of_runs(runs).items():
        if (np.diff(rows) > 1).any():
            raise InvalidValueError(f"run {run!r} is not whole: rows of other runs lie between its own.")
        step = even_step(times[rows], run)
        if not np.isnan(step):
            steps[run] = step
    if not steps:
        raise ShapeError("every run has one row; a time series needs runs of at least 2.")
    low, high = min(steps, key=lambda run: steps[run]), max(steps, key=lambda run: steps[run])
    if steps[high] - steps[low] > STEP_TOLERANCE * steps[low]:
        raise InvalidValueError(
            f"runs must have the same seconds between rows; {low!r} has {steps[low]:g} and {high!r} "
            f"{steps[high]:g}."
        )
    return float(np.median(list(steps.values())))


def check_missing(Y: xr.DataArray, runs: np.ndarray) -> None:
    """Refuse infinite responses, and a neuroid that is NaN in a part of a run (n_times, n_neuroids)."""
    for run, rows in rows_of_runs(runs).items():
        block = as_float(Y.values[rows], name="Y", finite=False)
        missing = ~np.isfinite(block)
        wrong = np.flatnonzero(missing.any(axis=0) & ~np.isnan(block).all(axis=0))
        if wrong.size:
            at = int(np.argmax(missing[:, wrong[0]]))
            raise InvalidValueError(
                f"Y must be finite, or NaN in the whole of a run; {len(wrong)} neuroids of run {run!r} are "
                f"not, the first is neuroid {wrong[0]} at row {at} of the run: {block[at, wrong[0]]}."
            )


def run_by_run(
    values: np.ndarray, runs: np.ndarray, function: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return each run's columns through ``function`` in float64; stored as float32 where they came so."""
    out = np.full(values.shape, np.nan, dtype=np.float32 if values.dtype == np.float32 else np.float64)
    for rows in rows_of_runs(runs).values():
        block = values[rows].astype(np.float64)
        known = ~np.isnan(block).any(axis=0)
        out[np.ix_(rows, np.flatnonzero(known))] = function(block[:, known], rows)
    return out
