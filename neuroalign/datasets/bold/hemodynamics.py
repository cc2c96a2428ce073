"""The canonical haemodynamic response and convolution with it, per run."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import xarray as xr

from ...arrays import as_float
from ...errors import InvalidValueError, ShapeError

__all__ = ["convolve_hrf", "spm_hrf"]

Series = TypeVar("Series", np.ndarray, xr.DataArray)


def spm_hrf(tr: float, length: float = 32.0) -> np.ndarray:
    """Return SPM's canonical haemodynamic response, sampled once a volume and normalised to sum 1.

    h(t) = t^5 e^-t / 5! - (1/6) t^15 e^-t / 15!, t in seconds: a peak near 5 s and an undershoot near 16 s.
    Since the kernel sums to 1, a regressor that has been constant for ``length`` seconds keeps its value.

    Parameters
    ----------
    tr : float
        Seconds between volumes.
    length : float
        Seconds that the kernel covers.

    Returns
    -------
    array (floor(length / tr) + 1,) of float64
        The response at 0, tr, 2 tr, ... seconds after an event.

    Raises
    ------
    InvalidValueError
        If ``tr`` or ``length`` is not positive and finite, or the kernel is too short to hold a response.

    References
    ----------
    Friston et al. 1998, NeuroImage 7:30; SPM12 ``spm_hrf.m`` with its default parameters.

    Examples
    --------
    >>> kernel = spm_hrf(2.0)
    >>> kernel.size, int(kernel.argmax()), round(float(kernel.sum()), 12)
    (17, 3, 1.0)
    """
    for name, value in (("tr", tr), ("length", length)):
        if not (np.isfinite(value) and value > 0):
            raise InvalidValueError(f"{name} must be positive and finite; got {value!r}.")
    # The small addend keeps 32 / 0.8 at 40 steps.
    t = tr * np.arange(np.floor(length / tr + 1e-9) + 1)
    kernel = _gamma_density(t, 6) - _gamma_density(t, 16) / 6
    if kernel.sum() <= 1e-3 / tr:
        raise InvalidValueError(
            f"a kernel of {length} s at a TR of {tr} s holds no response; take a longer one."
        )
    return kernel / kernel.sum()


def _gamma_density(t: np.ndarray, shape: int) -> np.ndarray:
    from scipy.special import gammaln, xlogy

    return np.exp(xlogy(shape - 1, t) - t - gammaln(shape))


def convolve_hrf(series: Series, tr: float, length: float = 32.0) -> Series:
    """Return a series convolved with ``spm_hrf``: row i is the response to rows 0 to i.

    Nothing is known before the first row, which counts as zero.

    Parameters
    ----------
    series : array (n_times, ...) or DataArray with a dim ``time``
        One row a volume. Where a DataArray has a coordinate ``run`` along time, each run starts anew. An
        array without labels is one run.
    tr, length : float
        See ``spm_hrf``.

    Returns
    -------
    array or DataArray
        Of the same shape and labels, float64.

    Raises
    ------
    InvalidValueError
        If values are not finite, or ``tr`` or ``length`` is not positive.
    ShapeError
        If there is no time dim.

    Examples
    --------
    >>> impulse = np.eye(20)[:, :1]
    >>> bool(np.allclose(convolve_hrf(impulse, 2.0)[:17, 0], spm_hrf(2.0)))
    True
    """
    kernel = spm_hrf(tr, length)
    if not isinstance(series, xr.DataArray):
        values = as_float(series, name="series")
        if values.ndim == 0:
            raise ShapeError("series must be an array (n_times, ...); got a single number.")
        return _convolve(values, kernel)
    if "time" not in series.dims:
        raise ShapeError(f"series must have a dim 'time'; got {tuple(series.dims)}.")
    rows = series.transpose("time", ...)
    values = as_float(rows.values, name="series")
    out = np.empty_like(values)
    for run in _runs(rows):
        out[run] = _convolve(values[run], kernel)
    return rows.copy(data=out).transpose(*series.dims)


def _runs(series: xr.DataArray) -> list[np.ndarray]:
    if "run" not in series.coords or series["run"].dims != ("time",):
        return [np.arange(series.sizes["time"])]
    run = series["run"].values
    return [np.flatnonzero(run == label) for label in dict.fromkeys(run.tolist())]


def _convolve(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    out = np.zeros_like(values)
    for lag, weight in enumerate(kernel[: len(values)]):
        out[lag:] += weight * values[: len(values) - lag]
    return out
