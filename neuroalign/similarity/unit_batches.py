"""Activations read batch by batch, with stimuli aligned by label and no copy of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, LabelError, ShapeError, listing
from ..schema import align

__all__ = ["Turn", "Units", "batches", "chosen_rows", "halves", "paired", "random_turn"]

MIN_STIMULI = 3
# A random rotation of so many units takes a matrix of 0.5 GB and minutes.
WIDEST = 8192

# What a rotation is made of: which units, and the orthogonal matrix that mixes them.
Turn = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Units:
    """Activations (n_stimuli, n_units) that are read a few rows at a time.

    Attributes
    ----------
    values : array, memory-map or DataArray (n_stimuli, n_units)
        As it came; never held as a whole in float64.
    order : array (n_stimuli,) of int
        Its rows in the order that all networks share.
    name : str
        What errors call it.
    turn : sequence of (array of int, array), optional
        Units of these positions are mixed by this orthogonal matrix when they are read.
    """

    values: Any
    order: np.ndarray
    name: str
    turn: Turn | None = None

    @property
    def n_stimuli(self) -> int:
        """Number of rows."""
        return len(self.order)

    @property
    def n_units(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def coords(self, side: str) -> dict[str, tuple[str, np.ndarray]]:
        """Return the coordinates of the units under names that end in ``_side``, along ``unit_side``."""
        if not isinstance(self.values, xr.DataArray):
            return {}
        dim = self.values.dims[1]
        own = {str(name): coord.values for name, coord in self.values.coords.items() if coord.dims == (dim,)}
        renamed = {f"{'unit' if name == dim else name}_{side}": found for name, found in own.items()}
        return {name: (f"unit_{side}", found) for name, found in renamed.items()}

    def groups(self) -> list[np.ndarray]:
        """Return the positions of the units of each layer, or of all where no layers are named."""
        layers = None
        if isinstance(self.values, xr.DataArray):
            coord = self.values.coords.get("layer")
            layers = coord.values if coord is not None and coord.dims == (self.values.dims[1],) else None
        if layers is None:
            return [np.arange(self.n_units)]
        return [np.flatnonzero(layers == layer) for layer in dict.fromkeys(layers.tolist())]

    def turned(self, turn: Turn) -> Units:
        """Return the same activations, to be rotated when they are read."""
        return replace(self, turn=turn)

    def read(self, rows: np.ndarray, columns: slice | np.ndarray | None = None) -> np.ndarray:
        """Return rows (positions in the shared order) as float64 (n_rows, n_columns), all finite."""
        columns = slice(None) if columns is None else columns
        wanted = slice(None) if self.turn is not None else columns
        at = _as_slice(self.order[rows])
        if isinstance(self.values, xr.DataArray):
            found = self.values[at, wanted].values
        elif isinstance(at, slice) or isinstance(wanted, slice):
            found = np.asarray(self.values[at, wanted])
        else:
            found = np.asarray(self.values[at])[:, wanted]
        if found.dtype.kind not in "fiub":
            raise InvalidValueError(f"{self.name} must be real numbers; got dtype {found.dtype}.")
        found = found.astype(np.float64)
        if not np.isfinite(found).all():
            raise self._not_finite(found, self.order[rows], wanted)
        if self.turn is None:
            return found
        mixed = np.empty_like(found)
        for units, matrix in self.turn:
            mixed[:, units] = found[:, units] @ matrix
        return mixed[:, columns]

    def _not_finite(
        self, found: np.ndarray, rows: np.ndarray, columns: slice | np.ndarray
    ) -> InvalidValueError:
        row, column = np.argwhere(~np.isfinite(found))[0].tolist()
        unit = int(np.arange(self.n_units)[columns][column])
        stimulus = int(rows[row])
        if isinstance(self.values, xr.DataArray):
            stimulus = self.values["stimulus"].values[stimulus]
        return InvalidValueError(
            f"{self.name} must be finite; got {found[row, column]} at stimulus "
            f"{listing([stimulus])}, unit {unit}. Leave that stimulus or unit out."
        )


def paired(arrays: Mapping[str, Any]) -> list[Units]:
    """Return networks whose rows are the same stimuli in one order: by label, or as they came without labels.

    Raises
    ------
    ShapeError
        If an array has not two dims, some are labelled and others not, numbers of stimuli differ, there are
        fewer than 3 stimuli or no units.
    LabelError
        If the stimuli differ or are repeated.
    """
    given: dict[str, Any] = {name: x if hasattr(x, "shape") else np.asarray(x) for name, x in arrays.items()}
    labelled = [isinstance(x, xr.DataArray) for x in given.values()]
    if any(labelled) and not all(labelled):
        plain = [name for name, has in zip(given, labelled, strict=True) if not has]
        raise ShapeError(
            f"{listing(plain)} have no stimulus labels and others have. Label all, or pass .values."
        )
    for name, x in given.items():
        _check_shape(x, name)
    if any(labelled):
        orders = _orders({name: x["stimulus"].values for name, x in given.items()})
    else:
        sizes = {name: x.shape[0] for name, x in given.items()}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{n} in {name}" for name, n in sizes.items())
            raise ShapeError(f"all networks must have the same stimuli; got {said}.")
        orders = [np.arange(n) for n in sizes.values()]
    return [Units(x, order, name) for (name, x), order in zip(given.items(), orders, strict=True)]


def chosen_rows(select: Any, first: Units) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows that partners are chosen on, and the rows that they are evaluated on (None: the same).

    Parameters
    ----------
    select : None, array (n_stimuli,) of bool, or DataArray (stimulus,) of bool
        True where a stimulus chooses; the rest evaluate. An array stands in the order of the first network's
        rows.
    """
    if select is None:
        return np.arange(first.n_stimuli), None
    if isinstance(select, xr.DataArray) and isinstance(first.values, xr.DataArray):
        stimuli = {"stimulus": first.values["stimulus"].values}
        own = xr.DataArray(np.arange(first.n_stimuli), dims="stimulus", coords=stimuli)
        select = align(own, select, names=[first.name, "select"])[1].values
    flags = np.asarray(select)
    if flags.dtype != np.bool_ or flags.shape != (first.n_stimuli,):
        raise ShapeError(
            f"select must be booleans ({first.n_stimuli},), one a stimulus; got {flags.dtype} of shape "
            f"{flags.shape}."
        )
    flags = flags[first.order]
    rows, rest = np.flatnonzero(flags), np.flatnonzero(~flags)
    if min(len(rows), len(rest)) < MIN_STIMULI:
        raise InvalidValueError(
            f"select must leave at least {MIN_STIMULI} stimuli on either side; got {len(rows)} to choose on "
            f"and {len(rest)} to evaluate on."
        )
    return rows, rest


def halves(select: Any, first: Units) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that choose and those that evaluate; ``select`` may not be missing."""
    rows, rest = chosen_rows(select, first)
    if rest is None:
        raise InvalidValueError("select is needed: what is chosen on some stimuli is tested on others.")
    return rows, rest


def random_turn(units: Units, rng: np.random.Generator) -> Turn:
    """Return a random rotation of the units of each layer (uniform over orthogonal matrices)."""
    turn = []
    for group in units.groups():
        if len(group) > WIDEST:
            raise InvalidValueError(
                f"{units.name}: a random rotation of {len(group):,} units is too large (at most {WIDEST:,}). "
                "Give the units a coordinate 'layer': each layer is then rotated by itself."
            )
        q, r = np.linalg.qr(rng.standard_normal((len(group), len(group))))
        # Signs of the diagonal make the draw uniform (Mezzadri 2007).
        turn.append((group, q * np.where(np.diag(r) < 0, -1.0, 1.0)))
    return turn


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Return the rows in batches."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _orders(labels: dict[str, np.ndarray]) -> list[np.ndarray]:
    index = [
        xr.DataArray(np.arange(len(found)), dims="stimulus", coords={"stimulus": found})
        for found in labels.values()
    ]
    if len(index) == 1:
        return [index[0].values]
    return [found.values for found in align(*index, names=list(labels))]


def _check_shape(x: Any, name: str) -> None:
    if isinstance(x, xr.DataArray):
        if x.ndim != 2 or x.dims[0] != "stimulus":
            raise ShapeError(f"{name} must have dims ('stimulus', one of units); got {x.dims}.")
        if "stimulus" not in x.coords:
            raise LabelError(f"{name} has no labels along 'stimulus'.")
    if len(x.shape) != 2 or x.shape[1] == 0:
        raise ShapeError(f"{name} must be (n_stimuli, n_units); got shape {tuple(x.shape)}.")
    if x.shape[0] < MIN_STIMULI:
        raise ShapeError(
            f"{name} has {x.shape[0]} stimuli; at least {MIN_STIMULI} are needed, since two are correlated "
            "by construction."
        )


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """Return a run of rows as a slice, which a memory-map reads without copying all."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return slice(int(rows[0]), int(rows[0]) + len(rows))
    return rows
