"""Parcels: places (voxels, vertices) that are averaged into one neuroid, with their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import FileError, InvalidValueError, LabelError, ShapeError, listing
from ...io.files import read_table

__all__ = ["Parcels", "as_values", "is_background", "make_parcels", "read_names"]

# What programs call the places that belong to no parcel.
BACKGROUND = {
    "???",
    "background",
    "background+freesurfer_defined_medial_wall",
    "freesurfer_defined_medial_wall",
    "medial_wall",
    "unknown",
    "unlabeled",
}
# At most so many labels; more are a measure, not parcels.
MOST = 100_000


@dataclass(frozen=True, eq=False)
class Parcels:
    """Places sorted by their parcel.

    ``places`` (n_places,) are indices into the flat source, ``member`` (n_places,) the parcel of each,
    ascending; ``names`` and ``values`` (n_parcels,) what the parcels are called and their number in the
    image; ``empty`` the names of parcels that have no place.
    """

    places: np.ndarray
    member: np.ndarray
    names: np.ndarray
    values: np.ndarray
    empty: tuple[str, ...] = ()

    @property
    def sizes(self) -> np.ndarray:
        """Number of places in each parcel (n_parcels,)."""
        return np.bincount(self.member, minlength=len(self.names))

    def narrow(self, keep: np.ndarray) -> Parcels:
        """Return the parcels with some places only; those without any become empty."""
        left = np.unique(self.member[keep])
        gone = np.delete(self.names, left).tolist()
        member = np.searchsorted(left, self.member[keep])
        return Parcels(self.places[keep], member, self.names[left], self.values[left], (*self.empty, *gone))

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over each parcel (n, n_parcels), summed in float64, of values (n, n_places)."""
        starts = np.searchsorted(self.member, np.arange(len(self.names)))
        return np.add.reduceat(values, starts, axis=-1, dtype=np.float64) / self.sizes


def make_parcels(
    values: np.ndarray,
    names: Mapping[int, str] | None,
    *,
    inside: np.ndarray | None = None,
    title: str = "parcels",
) -> Parcels:
    """Return the parcels of a label image.

    Parameters
    ----------
    values : array (n_places,)
        Whole numbers; 0 belongs to no parcel.
    names : mapping of int to str, optional
        What each number is called; the number itself where None. Names of the background are passed over.
    inside : array (n_places,) of bool, optional
        The mask: other places belong to no parcel.
    title : str
        What the errors call the image.

    Raises
    ------
    InvalidValueError
        If the values are no whole numbers from 0, or none of them is above 0.
    LabelError
        If a number has no name, or two parcels have the same.

    Examples
    --------
    >>> found = make_parcels(np.array([2, 0, 1, 2]), {1: "V1", 2: "V2", 3: "V3"})
    >>> found.names.tolist(), found.sizes.tolist(), found.empty
    (['V1', 'V2'], [1, 2], ('V3',))
    """
    whole = as_values(values, title=title)
    taken = whole if inside is None else np.where(inside, whole, 0)
    if not whole.any():
        raise InvalidValueError(f"{title} is empty: none of its {whole.size} places is above 0.")
    called = _called(whole, names, title)
    places = np.flatnonzero(np.isin(taken, list(called)))
    places = places[np.argsort(taken[places], kind="stable")]
    numbers, member = np.unique(taken[places], return_inverse=True)
    if not len(numbers):
        raise InvalidValueError(f"{title}: no place of a parcel lies within the mask.")
    empty = tuple(name for number, name in called.items() if number not in set(numbers.tolist()))
    labels = np.array([called[number] for number in numbers.tolist()])
    return Parcels(places, member, labels, numbers, empty)


def as_values(values: np.ndarray, *, title: str) -> np.ndarray:
    """Return labels as int64, or refuse what are not whole numbers from 0."""
    if values.dtype.kind not in "iuf":
        raise InvalidValueError(f"{title} must hold whole numbers; got dtype {values.dtype}.")
    if values.dtype.kind == "f":
        n_nan = int((~np.isfinite(values)).sum())
        if n_nan:
            raise InvalidValueError(f"{title} holds NaN or infinity in {n_nan} of {values.size} places.")
        wrong = values != np.round(values)
        if wrong.any():
            raise InvalidValueError(
                f"{title} must hold whole numbers; {int(wrong.sum())} of {values.size} values are none, such "
                f"as {values[wrong][0]:g}. Probabilities are no parcels: give each place to one of them."
            )
    whole = values.astype(np.int64)
    if whole.min(initial=0) < 0 or whole.max(initial=0) > 2**31:
        raise InvalidValueError(
            f"{title} must hold whole numbers from 0; got {whole.min()} to {whole.max()}."
        )
    if len(np.unique(whole)) > MOST:
        raise InvalidValueError(f"{title} holds {len(np.unique(whole))} different numbers; is it a measure?")
    return whole


def _called(whole: np.ndarray, names: Mapping[int, str] | None, title: str) -> dict[int, str]:
    """Return the name of each parcel's number, in ascending order; the background is left out."""
    found = [number for number in np.unique(whole).tolist() if number != 0]
    if names is None:
        return {number: str(number) for number in found}
    unnamed = [number for number in found if number not in names]
    if unnamed:
        raise LabelError(
            f"{title}: {len(unnamed)} of {len(found)} numbers have no name: {listing(unnamed)}. Add them to "
            "parcel_names, or set them to 0 in the image."
        )
    called = {
        number: name for number, name in sorted(names.items()) if number != 0 and not is_background(name)
    }
    if not set(called) & set(found):
        raise LabelError(f"{title}: no number of the image is named as a parcel; it has {listing(found)}.")
    repeated = sorted({name for name in called.values() if list(called.values()).count(name) > 1})
    if repeated:
        raise LabelError(
            f"{title}: {len(repeated)} names stand for several numbers: {listing(repeated)}. Name each once."
        )
    return called


def is_background(name: str) -> bool:
    """Return whether a name is what programs call the places without a parcel.

    >>> is_background("Medial_Wall"), is_background("V1")
    (True, False)
    """
    return name.strip().lower().replace(" ", "_") in BACKGROUND


def read_names(names: Any, parcels: Any = None) -> dict[int, str] | None:
    """Return parcel names by their numbers.

    Parameters
    ----------
    names : mapping of int to str, DataFrame, path to a TSV, or None
        A table has the columns ``index`` and ``name``, as BIDS writes it.
    parcels : optional
        Where names is None and this is a DataArray with a coordinate ``roi``, the names are taken from it.

    Raises
    ------
    ShapeError
        If it is another thing, such as a list: order says nothing about which number is meant.
    """
    if names is None:
        return _own_names(parcels) if isinstance(parcels, xr.DataArray) and "roi" in parcels.coords else None
    if isinstance(names, str | Path):
        table = read_table(names, text=("name",))
        if not {"index", "name"} <= set(table.columns):
            raise FileError(f"{names} must have the columns index and name; got {listing(table.columns)}.")
        names = table
    if isinstance(names, pd.DataFrame):
        if not {"index", "name"} <= set(names.columns) or names["index"].duplicated().any():
            raise LabelError(
                "parcel_names must be a table with the columns index (each number once) and name; got "
                f"{listing(names.columns)}."
            )
        names = dict(zip(names["index"].tolist(), names["name"].tolist(), strict=True))
    if not isinstance(names, Mapping):
        raise ShapeError(
            f"parcel_names must be a mapping of numbers to names, or a table; got {type(names).__name__}. "
            "Pass dict(enumerate(names, start=1)) if they stand in the order of the numbers."
        )
    for number, name in names.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not isinstance(name, str):
            raise LabelError(f"parcel_names must map whole numbers to text; got {number!r}: {name!r}.")
    return {int(number): name for number, name in names.items()}


def _own_names(parcels: xr.DataArray) -> dict[int, str]:
    pairs = set(zip(parcels.values.tolist(), parcels["roi"].values.tolist(), strict=True))
    names = {int(number): str(name) for number, name in sorted(pairs)}
    if len(names) != len(pairs):
        raise LabelError("parcels: a number has several names in the coordinate 'roi'.")
    return names
