"""What every measure does first and last: two matrices of the same stimuli in, one number out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError
from ..schema import align
from ..stats import is_constant

__all__ = [
    "DegenerateWarning",
    "Pair",
    "as_matrix",
    "as_pair",
    "centred",
    "check_positive",
    "compact",
    "constant_units",
    "rescaled",
    "varies",
]

MIN_STIMULI = 3
# First and last value of a constant unit differ by less than this share: a cheap sieve before
# ``is_constant``.
SUSPICIOUS = 1e-12
# Of units that pass the sieve about so many values are looked at at once: no copy of all is held.
SIEVED = 2**16
# Values outside these magnitudes are rescaled, since fourth powers are summed.
TINY, HUGE = 1e-50, 1e50


class DegenerateWarning(UserWarning):
    """A similarity has the value that it has because of the sizes, not because of the data."""


@dataclass(frozen=True)
class Pair:
    """Two representations of the same stimuli.

    Attributes
    ----------
    x, y : array (n_stimuli, n_units_x), (n_stimuli, n_units_y)
        As they came; float64 unless ``as_pair`` was told to leave the dtype alone.
    order : array (n_stimuli,) of int
        The rows sorted by label, or as they came where there are no labels: what depends on an order (folds,
        batches) takes this one.
    """

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray

    def result(self, value: float, measure: str, *, degenerate: str = "", **attrs: Any) -> xr.DataArray:
        """Return the value with what was counted; ``degenerate`` says why it could not be another one."""
        if degenerate:
            warnings.warn(f"{measure}: {degenerate}", DegenerateWarning, stacklevel=3)
        counts = {
            "measure": measure,
            "n_stimuli": len(self.x),
            "n_units_x": self.x.shape[1],
            "n_units_y": self.y.shape[1],
            "n_constant_x": int(constant_units(self.x).sum()),
            "n_constant_y": int(constant_units(self.y).sum()),
            "n_undefined": int(np.isnan(value)),
            "degenerate": degenerate,
        }
        return xr.DataArray(float(value), attrs=counts | attrs, name="similarity")


def as_pair(x: Any, y: Any, *, least: int = MIN_STIMULI, as_is: bool = False) -> Pair:
    """Return two representations of the same stimuli, aligned by label where they have labels.

    With ``as_is`` they keep a dtype that float64 holds exactly, so that nothing is copied but a y whose rows
    are in another order.

    Raises
    ------
    ShapeError
        If one is labelled and the other is not, numbers of stimuli differ, there are fewer than ``least``
        stimuli or no units, or an array has not two dims.
    LabelError
        If the stimuli differ or are repeated.
    InvalidValueError
        If a value is NaN, infinite or complex.
    """
    if isinstance(x, xr.DataArray) != isinstance(y, xr.DataArray):
        plain = "y" if isinstance(x, xr.DataArray) else "x"
        raise ShapeError(
            f"{plain} has no stimulus labels and the other has. Label both, or pass .values of both."
        )
    stimuli, rows = None, None
    if isinstance(x, xr.DataArray):
        _check_dims(x, "x")
        _check_dims(y, "y")
        stimuli, rows = x["stimulus"].values, _rows(x, y)
    first, second = (as_matrix(z, name, least=least, as_is=as_is) for z, name in ((x, "x"), (y, "y")))
    second = second if rows is None else second[rows]
    if len(first) != len(second):
        raise ShapeError(f"x and y must have the same stimuli; got {len(first)} and {len(second)}.")
    order = np.arange(len(first)) if stimuli is None else np.argsort(stimuli, kind="stable")
    return Pair(first, second, order)


def as_matrix(x: Any, name: str, *, least: int = MIN_STIMULI, as_is: bool = False) -> np.ndarray:
    """Return a representation (n_stimuli, n_units), checked; float64 unless ``as_is`` (see ``as_pair``)."""
    if isinstance(x, xr.DataArray):
        _check_dims(x, name)
        x = x.transpose("stimulus", ...).values
    own = np.asarray(x).dtype
    dtype = own if as_is and np.can_cast(own, np.float64) else np.float64
    matrix = as_float(x, name=name, ndim=2, dtype=dtype)
    if matrix.shape[1] == 0:
        raise ShapeError(f"{name} has no units; got shape {matrix.shape}.")
    if len(matrix) < least:
        raise ShapeError(
            f"{name} has {len(matrix)} stimuli; at least {least} are needed, since fewer are alike "
            "by construction."
        )
    return matrix


def centred(x: np.ndarray) -> np.ndarray:
    """Return ``x`` less its unit means; constant units are exactly 0."""
    out = x - x.mean(axis=0)
    constant = constant_units(x)
    if constant.any():
        out[:, constant] = 0.0
    return out


def constant_units(x: np.ndarray) -> np.ndarray:
    """Return which units (n_units,) of (n_stimuli, n_units) are constant up to rounding."""
    first, last = np.asarray(x[0], dtype=np.float64), np.asarray(x[-1], dtype=np.float64)
    constant = np.abs(first - last) <= SUSPICIOUS * np.abs(first)
    suspects = np.flatnonzero(constant)
    step = max(1, SIEVED // len(x))
    for start in range(0, len(suspects), step):
        some = suspects[start : start + step]
        constant[some] = is_constant(x[:, some], axis=0)
    return constant


def varies(x: np.ndarray) -> bool:
    """Return whether any unit is not constant."""
    return not bool(constant_units(x).all())


def rescaled(x: np.ndarray) -> np.ndarray:
    """Return ``x`` divided by a power of two where sums of its fourth powers would overflow or vanish."""
    largest = max(float(x.max()), -float(x.min()))
    if largest == 0 or TINY < largest < HUGE:
        return x
    return np.ldexp(x, -int(np.frexp(largest)[1]))


def compact(x: np.ndarray) -> np.ndarray:
    """Return (n_stimuli, at most n_stimuli) features that differ from ``x`` by a rotation of the units.

    Distances, angles and Gram matrices of the stimuli are those of ``x``, also within a part of the stimuli.
    """
    n, d = x.shape
    return x if d <= n else np.ascontiguousarray(np.asarray(np.linalg.qr(x.T, mode="r")).T)


def check_positive(value: Any, name: str, *, zero: bool = False) -> float:
    """Return a positive finite number, or refuse it."""
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(value)
    if not good or value < 0 or (value == 0 and not zero):
        raise InvalidValueError(
            f"{name} must be {'0 or ' if zero else ''}positive and finite; got {value!r}."
        )
    return float(value)


def _rows(x: xr.DataArray, y: xr.DataArray) -> np.ndarray | None:
    """Return the rows of y in the order of the labels of x; None where they are in that order."""
    if x is y:
        return None
    at = [
        xr.DataArray(
            np.arange(z.sizes["stimulus"]), dims="stimulus", coords={"stimulus": z["stimulus"].values}
        )
        for z in (x, y)
    ]
    rows = align(*at, names=["x", "y"])[1].values
    return None if np.array_equal(rows, np.arange(len(rows))) else rows


def _check_dims(x: xr.DataArray, name: str) -> None:
    if x.ndim != 2 or "stimulus" not in x.dims:
        raise ShapeError(f"{name} must have a dim 'stimulus' and one of units; got dims {x.dims}.")
    if "stimulus" not in x.coords:
        raise LabelError(f"{name} has no labels along 'stimulus'.")
