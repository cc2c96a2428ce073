"""RDMs that change in time: movies, and model scores over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError, choice
from ..schema import check, labels
from .compare import compare
from .designs import unit_dim
from .rdms import rdm

__all__ = ["check_movie", "movie", "time_course"]

HOW = ("mean", "flatten")
# By how much of a step the distances between samples may differ.
UNEVEN = 1e-3


def movie(
    responses: xr.DataArray,
    metric: str = "correlation",
    *,
    window: float | None = None,
    step: float | None = None,
    how: str = "mean",
    **options: Any,
) -> xr.DataArray:
    """Return an RDM for every time, or for every window of time.

    Parameters
    ----------
    responses : DataArray (..., stimulus, neuroid, time)
        Dims are found by name; the other layouts of ``rdm`` with a dim ``time`` will do. Times in seconds.
    metric, **options
        Of ``rdm``.
    window : float, optional
        Length of a window in seconds, rounded to whole samples, at least one; a sample where None.
    step : float, optional
        From one window to the next, in seconds, rounded to whole samples, at least one; a sample where None.
    how : {"mean", "flatten"}
        A window's pattern is the mean over its samples, or every sample of every neuroid. Flattened, a
        metric cannot be given ``noise`` or ``missing``.

    Returns
    -------
    DataArray (..., time, pair)
        ``time`` is the middle of the window; ``attrs`` has the samples of a window and of a step. Samples at
        the end that fill no window are left out and counted in ``attrs["n_dropped"]``;
        ``attrs["n_undefined"]`` as in ``rdm``, over all times.

    Raises
    ------
    ShapeError
        If there is no dim ``time``, or a window is longer than the responses.
    LabelError
        If times are missing or repeated.
    InvalidValueError
        If window or step is not positive, or the samples of a window are not evenly spaced.

    References
    ----------
    Su, Fonteneau, Marslen-Wilson & Kriegeskorte 2012, PRNI (spatiotemporal searchlight); Cichy, Pantazis &
    Oliva 2014, Nat Neurosci 17:455.

    Examples
    --------
    >>> values = np.random.default_rng(0).standard_normal((4, 8, 10))
    >>> responses = xr.DataArray(values, dims=("stimulus", "neuroid", "time"),
    ...                          coords={"stimulus": list("abcd"), "time": np.arange(10) / 100})
    >>> movie(responses, window=0.04, step=0.02).time.values.round(3).tolist()
    [0.015, 0.035, 0.055, 0.075]
    """
    if how not in HOW:
        raise choice(how, HOW, name="how")
    if how == "flatten" and {"noise", "missing"} & set(options):
        raise InvalidValueError(
            "how='flatten' makes neuroids of samples, which noise and missing do not know."
        )
    responses, times = _in_time(responses)
    width, stride = (_samples(x, times, name) for x, name in ((window, "window"), (step, "step")))
    if width > len(times):
        raise ShapeError(f"a window of {width} samples does not fit into {len(times)}.")
    starts = np.arange(0, len(times) - width + 1, stride)
    if how == "mean" or width == 1:
        found = rdm(_means(responses, starts, width), metric, **options)
    else:
        frames = [rdm(_flattened(responses, int(start), width), metric, **options) for start in starts]
        found = xr.concat(frames, "time", coords="minimal", compat="override", combine_attrs="override")
        found.attrs["n_undefined"] = sum(frame.attrs["n_undefined"] for frame in frames)
    middle = np.array([times[start : start + width].mean() for start in starts])
    n_dropped = len(times) - int(starts[-1]) - width
    return (
        found.transpose(..., "time", "pair")
        .assign_coords(time=middle)
        .assign_attrs(window=width, step=stride, how=how, n_dropped=n_dropped)
    )


def time_course(
    models: xr.DataArray, rdms: xr.DataArray, method: str = "spearman", **options: Any
) -> xr.DataArray:
    """Return how similar each model RDM is to the RDM of every time, by ``compare``.

    Parameters
    ----------
    models : DataArray (pair,) or (model, pair)
    rdms : DataArray (..., time, pair)
        Such as ``movie`` makes, of any number of subjects.
    method, **options
        Of ``compare``.

    Returns
    -------
    DataArray (model, ..., time)
        With all coordinates; ``attrs["n_undefined"]`` counts NaN.

    Raises
    ------
    ShapeError
        If ``rdms`` has no dim ``time``, or a dim is in both.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rdms = make_rdm(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), list("abc"), dims=["time"])
    >>> time_course(rdms[0], rdms, "pearson").values.round(6).tolist()
    [1.0, -1.0]
    """
    check(models, "rdm", name="models")
    check_movie(rdms, "rdms")
    leading = [*models.dims[:-1], *rdms.dims[:-1]]
    if len(set(leading)) < len(leading):
        raise ShapeError(
            f"models and rdms must not share a dim but 'pair'; got {models.dims} and {rdms.dims}."
        )
    scores = compare(models, rdms, method, **options)
    shape = [*models.shape[:-1], *rdms.shape[:-1]]
    coords = {
        name: coord.variable
        for x in (models, rdms)
        for name, coord in x.coords.items()
        if coord.dims and set(coord.dims) <= set(leading)
    }
    return xr.DataArray(
        scores.values.reshape(shape), dims=leading, coords=coords, attrs=scores.attrs, name="similarity"
    )


def check_movie(x: Any, name: str) -> None:
    """Refuse what is no RDM with a dim ``time``."""
    check(x, "rdm", name=name)
    if "time" not in x.dims:
        raise ShapeError(f"{name} need a dim 'time', see movie; got {x.dims}.")


def _in_time(responses: xr.DataArray) -> tuple[xr.DataArray, np.ndarray]:
    """Return the responses in the order of time, and the times."""
    if not isinstance(responses, xr.DataArray) or "time" not in responses.dims:
        what = getattr(responses, "dims", type(responses).__name__)
        raise ShapeError(f"responses of a movie need a dim 'time'; got {what}.")
    times = np.asarray(labels(responses, on="time", name="responses"), dtype=np.float64)
    order = np.argsort(times, kind="stable")
    return responses.isel(time=order), times[order]


def _samples(seconds: float | None, times: np.ndarray, name: str) -> int:
    """Return a duration in samples, 1 where None."""
    if seconds is None:
        return 1
    if not np.isfinite(seconds) or seconds <= 0:
        raise InvalidValueError(f"{name} must be positive, in seconds; got {seconds!r}.")
    if len(times) < 2:
        raise ShapeError(f"{name}: one sample has no duration.")
    steps = np.diff(times)
    if np.ptp(steps) > UNEVEN * steps.mean():
        raise InvalidValueError(
            f"{name} in seconds needs evenly spaced times; steps are {steps.min():g} to {steps.max():g} s."
        )
    return max(1, round(seconds / float(steps.mean())))


def _means(responses: xr.DataArray, starts: np.ndarray, width: int) -> xr.DataArray:
    """Return the mean over the samples of each window; ``time`` counts windows."""
    responses = responses.drop_vars([name for name, c in responses.coords.items() if "time" in c.dims])
    if width == 1:
        return responses.isel(time=starts)
    axis = responses.get_axis_num("time")
    values = np.moveaxis(np.asarray(responses.values), axis, 0)
    means = np.stack([values[start : start + width].mean(axis=0, dtype=np.float64) for start in starts])
    return responses.isel(time=starts).copy(data=np.moveaxis(means, 0, axis))


def _flattened(responses: xr.DataArray, start: int, width: int) -> xr.DataArray:
    """Return every sample of every neuroid of a window as a neuroid."""
    part = responses.isel(time=slice(start, start + width))
    unit = unit_dim(part, "patterns")
    dropped = [name for name, coord in part.coords.items() if set(coord.dims) & {unit, "time"}]
    part = part.drop_vars(dropped).rename({unit: "sensor"})
    return part.stack({unit: ("time", "sensor")}, create_index=False)
