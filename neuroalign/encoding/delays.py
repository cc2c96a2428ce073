"""Finite impulse response: features as they were some rows ago, never from another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError
from .runs import check_features, even_step, rows_of_runs, run_labels

__all__ = ["delay"]


def delay(X: xr.DataArray, delays: Sequence[int], *, runs: Any = None) -> xr.DataArray:
    """Return the features at each delay, side by side.

    Row t of the block of delay d holds the features of row t - d of the same run. The first d rows of a run
    have no such row and are 0, which is the mean of a feature that was centred: centre first.

    Parameters
    ----------
    X : DataArray (time, feature)
        Times in seconds, evenly spaced within a run; the second dim may have any name. Rows are delayed in
        order of time, whatever their order in the array.
    delays : sequence of int
        In rows; not negative, none twice.
    runs : array (n_times,) or scalar, optional
        The run of each row. Where None, the coordinate ``run`` of ``X``. A scalar says that all rows are one
        run.

    Returns
    -------
    DataArray (time, feature)
        float64, n_delays x n_features columns: all features at the first delay, then all at the second.
        Coordinates ``delay`` and those of the features.

    Raises
    ------
    LabelError
        If the runs are unknown, or times are missing or repeated.
    ShapeError
        If the dims are other ones or a run has no more rows than the largest delay.
    InvalidValueError
        If a delay is negative, no integer, or comes twice; if times in a run are not evenly spaced; if a
        feature is not finite.

    Examples
    --------
    >>> X = xr.DataArray(
    ...     [[1.0], [2.0], [3.0], [4.0]], dims=("time", "feature"), coords={"time": [0.0, 2.0, 4.0, 6.0]})
    >>> delay(X, [0, 1], runs=["a", "a", "b", "b"]).values.tolist()
    [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 3.0]]
    """
    values, times = check_features(X)
    steps = _checked(delays)
    delayed = np.zeros((len(steps), *values.shape))
    for run, rows in rows_of_runs(run_labels(X, runs), times).items():
        if len(rows) <= max(steps):
            raise ShapeError(
                f"run {run!r} has {len(rows)} rows, not more than the largest delay {max(steps)}."
            )
        even_step(times[rows], run)
        for i, step in enumerate(steps):
            delayed[i, rows[step:]] = values[rows[: len(rows) - step]]
    coords: dict[str, Any] = {str(k): c.variable for k, c in X.coords.items() if c.dims == ("time",)}
    for name, coord in X.coords.items():
        if coord.dims == X.dims[1:]:
            key = "feature_label" if name == "feature" else str(name)
            coords[key] = ("feature", np.tile(coord.values, len(steps)))
    coords["delay"] = ("feature", np.repeat(steps, values.shape[1]))
    return xr.DataArray(
        np.moveaxis(delayed, 0, 1).reshape(len(values), len(steps) * values.shape[1]),
        dims=("time", "feature"),
        coords=coords,
        attrs={**X.attrs, "delays": list(steps)},
        name=X.name,
    )


def _checked(delays: Sequence[int]) -> list[int]:
    steps = list(delays)
    if not steps:
        raise InvalidValueError("delays must hold at least one delay; got none.")
    for i, step in enumerate(steps):
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 0:
            raise InvalidValueError(f"delays must be non-negative integers; got {step!r} at position {i}.")
        if step in steps[:i]:
            raise InvalidValueError(f"delays must differ; got {step!r} again at position {i}.")
    return [int(step) for step in steps]
