"""What every function of the room does first and last: labelled patterns in, labelled results out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import align
from ..stats import is_constant

__all__ = ["Patterns", "as_patterns", "centred", "classes_of", "coordinate", "count", "is_dead"]

UNITS = ("unit", "neuroid")


@dataclass(frozen=True)
class Patterns:
    """Patterns of the same stimuli, once for every entry of the leading dims (layers, seeds, subjects).

    Attributes
    ----------
    values : array (n_leading, n_stimuli, n_units)
        Float64, finite.
    array : DataArray (..., stimulus, unit)
        What they came from, dims in this order.
    on, unit : str
        The names of the last two dims.
    """

    values: np.ndarray
    array: xr.DataArray
    on: str
    unit: str

    @property
    def leading(self) -> tuple[str, ...]:
        """Names of the dims before the last two."""
        return tuple(str(dim) for dim in self.array.dims[:-2])

    def each(self, kernel: Callable[[np.ndarray], Any]) -> np.ndarray:
        """Return the kernel's values of every leading entry, array (leading dims, ...)."""
        found = np.stack([np.asarray(kernel(values), dtype=np.float64) for values in self.values])
        return found.reshape([*(self.array.sizes[dim] for dim in self.leading), *found.shape[1:]])

    def labelled(
        self,
        values: np.ndarray,
        dims: Sequence[str] = (),
        *,
        coords: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> xr.DataArray:
        """Return values (leading dims, ``dims``) with the coordinates of the leading dims."""
        kept = {
            key: coord
            for key, coord in self.array.coords.items()
            if set(map(str, coord.dims)) <= {*self.leading, *dims}
        }
        return xr.DataArray(values, dims=(*self.leading, *dims), coords={**kept, **(coords or {})}, name=name)


def as_patterns(x: Any, *, on: str = "stimulus", least: int = 2, name: str = "activations") -> Patterns:
    """Return patterns as float64 with their dims in order: leading ones, stimuli, units.

    Raises
    ------
    ShapeError
        If a dim is missing, or there are fewer than ``least`` stimuli or no units.
    InvalidValueError
        If a value is NaN, infinite or complex.
    """
    if not isinstance(x, xr.DataArray):
        raise ShapeError(
            f"{name} must be an xarray.DataArray with dims {on!r} and 'unit' (or 'neuroid'); "
            f"got {type(x).__name__}."
        )
    units = [dim for dim in UNITS if dim in x.dims]
    if on not in x.dims or len(units) != 1:
        raise ShapeError(f"{name} must have dims {on!r} and 'unit' (or 'neuroid'); got {x.dims}.")
    x = x.transpose(..., on, units[0])
    if x.shape[-2] < least:
        raise ShapeError(f"{name} must have at least {least} labels along {on!r}; got {x.shape[-2]}.")
    if 0 in x.shape:
        raise ShapeError(f"{name} has no units, or an empty dim; its sizes are {dict(x.sizes)}.")
    values = as_float(x.values, name=name)
    return Patterns(values.reshape(-1, *values.shape[-2:]), x, on, units[0])


def coordinate(patterns: Patterns, given: Any, *, name: str) -> np.ndarray:
    """Return one label a stimulus: a coordinate by its name, or an array aligned by label.

    Parameters
    ----------
    patterns : Patterns
    given : str or DataArray (stimulus,)
        A coordinate of the patterns, or labels of their own, in any order.
    name : str
        What the errors call it.

    Raises
    ------
    LabelError
        If there is no such coordinate, or the stimuli differ.
    InvalidValueError
        If a label is missing.
    """
    on = patterns.on
    if isinstance(given, str):
        along = [key for key, coord in patterns.array.coords.items() if coord.dims == (on,)]
        if given not in along:
            raise LabelError(
                f"{name}: there is no coordinate {given!r} along {on!r}; there are {listing(along)}."
            )
        found = patterns.array[given].values
    elif isinstance(given, xr.DataArray):
        if given.dims != (on,):
            raise ShapeError(f"{name} must have the one dim {on!r}; got {given.dims}.")
        found = align(patterns.array, given, on=on, names=["activations", name])[1].values
    else:
        raise ShapeError(
            f"{name} must be the name of a coordinate, or a DataArray ({on},); got {type(given).__name__}."
        )
    missing = pd.isna(found)
    if missing.any():
        raise InvalidValueError(f"{name}: {int(missing.sum())} of {len(found)} labels are missing.")
    return found


def classes_of(
    patterns: Patterns, given: Any, *, name: str = "classes", least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each stimulus as an integer (n_stimuli,), and the classes' names in order.

    Raises
    ------
    InvalidValueError
        If there is one class only, or a class has fewer than ``least`` stimuli.
    """
    names, codes = np.unique(coordinate(patterns, given, name=name), return_inverse=True)
    if len(names) < 2:
        raise InvalidValueError(f"{name} must hold at least 2 classes; got {listing(names)} only.")
    few = np.bincount(codes) < least
    if few.any():
        raise InvalidValueError(
            f"{name}: {int(few.sum())} of {len(names)} classes have fewer than {least} stimuli: "
            f"{listing(names[few])}. Leave them out, or join them with others."
        )
    return codes, names


def is_dead(x: np.ndarray) -> np.ndarray:
    """Return which units (n_units,) of (n_stimuli, n_units) are constant up to rounding."""
    return is_constant(x)


def centred(x: np.ndarray) -> np.ndarray:
    """Return ``x`` (n_stimuli, n_units) less its unit means; dead units are exactly 0."""
    return np.where(is_dead(x), 0.0, x - x.mean(axis=0))


def count(value: Any, name: str, *, least: int = 1) -> int:
    """Return a whole number of at least ``least``, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InvalidValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return int(value)
