"""The faults of the contract battery: how each spoils one argument, and how a call may then end.

A fault takes a ``Cell`` and returns the spoilt arguments and those whose result is the reference (None: the
good ones), or None where it does not apply.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from battery import Row, template

from neuroalign.schema import square, triangle

ROWS = ("stimulus", "presentation", "item", "pair", "time")
COLUMNS = ("unit", "neuroid", "feature", "target", "vertex", "axis")
SUBJECTS = ("subject", "rdm", "model", "run", "repetition", "component", "draw")
ANY = frozenset({"refused", "counted", "finite", "same"})
Arguments = dict[str, Any]
Spoilt = tuple[Arguments, Arguments | None]


@dataclass(frozen=True)
class Cell:
    row: Row
    argument: str

    def good(self) -> Arguments:
        """Fresh good arguments; nothing here or in the package edits them, which ``run`` watches over."""
        return dict(template(self.row.name))

    def axes(self, argument: str | None = None) -> tuple[str, ...]:
        argument = argument or self.argument
        return self.row.axes(argument, self.good()[argument])

    @property
    def labelled(self) -> bool:
        return self.row.arrays[self.argument] is None

    def dim(self, names: tuple[str, ...], argument: str | None = None) -> str | None:
        return next((name for name in names if name in self.axes(argument)), None)

    def sharing(self) -> list[str]:
        """Arguments whose rows are those of this one, itself among them."""
        mine = self.dim(ROWS)
        if mine is None or self.row.apart:
            return [self.argument]
        kinds = {"stimulus", "pair"} if mine in ("stimulus", "pair") else {mine}
        good, labelled = self.good(), self.row.arrays
        n = _n_rows(good[self.argument], self.axes(), mine)
        return [
            name
            for name in labelled
            if (other := self.dim(ROWS, name)) in kinds and _n_rows(good[name], self.axes(name), other) == n
        ]

    def label_dim(self, argument: str | None = None) -> str | None:
        """The dim of the rows where they are labelled."""
        argument = argument or self.argument
        value = self.good()[argument]
        if not isinstance(value, xr.DataArray):
            return None
        if "pair" in value.dims:
            return "pair"
        dim = self.dim(ROWS, argument)
        return dim if dim in value.coords else None

    def joined(self) -> list[str]:
        """The arguments that share row labels with this one, itself among them."""
        return [name for name in self.sharing() if self.label_dim(name)] if self.label_dim() else []


def _n_rows(value: Any, axes: tuple[str, ...], dim: str | None) -> int:
    n = np.shape(value)[axes.index(str(dim))]
    return round((1 + (1 + 8 * n) ** 0.5) / 2) if dim == "pair" else n


@dataclass(frozen=True)
class Fault:
    spoil: Callable[[Cell], Spoilt | None]
    may: frozenset[str]
    says: str = ""


def array(value: Any) -> np.ndarray:
    return value.values if isinstance(value, xr.DataArray) else np.asarray(value)


def filled(value: Any, new: np.ndarray) -> Any:
    return value.copy(data=new) if isinstance(value, xr.DataArray) else new


def numeric(cell: Cell) -> bool:
    return not cell.row.labels and array(cell.good()[cell.argument]).dtype.kind == "f"


def set_values(edit: Callable[[np.ndarray, Cell], np.ndarray | None]) -> Callable[[Cell], Spoilt | None]:
    """A fault of the values of one argument."""

    def spoil(cell: Cell) -> Spoilt | None:
        arguments = cell.good()
        if not numeric(cell):
            return None
        new = edit(array(arguments[cell.argument]).copy(), cell)
        if new is None:
            return None
        arguments[cell.argument] = filled(arguments[cell.argument], new)
        return arguments, None

    return spoil


def put(what: float) -> Callable[[np.ndarray, Cell], np.ndarray]:
    def edit(x: np.ndarray, cell: Cell) -> np.ndarray:
        x.reshape(-1)[x.size // 2] = what
        return x

    return edit


def constant(names: tuple[str, ...], only: str = "") -> Callable[[np.ndarray, Cell], np.ndarray | None]:
    """All values of the first place along a dim are one number."""

    def edit(x: np.ndarray, cell: Cell) -> np.ndarray | None:
        dim = cell.dim(names)
        if dim is None or dim == "pair" or x.ndim < 2 or (only and dim != only):
            return None
        x[(slice(None),) * cell.axes().index(dim) + (0,)] = 0.75
        return x

    return edit


def constant_all(x: np.ndarray, cell: Cell) -> np.ndarray:
    x[...] = 0.75
    return x


def deficient(x: np.ndarray, cell: Cell) -> np.ndarray | None:
    """The second column is twice the first."""
    dim = cell.dim(COLUMNS)
    if dim is None or x.shape[axis := cell.axes().index(dim)] < 2:
        return None
    x = np.moveaxis(x, axis, 0)
    x[1] = 2 * x[0]
    return np.moveaxis(x, 0, axis)


def as_dtype(make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Cell], Spoilt | None]:
    """A fault of the dtype: the reference has the same numbers in float64."""

    def spoil(cell: Cell) -> Spoilt | None:
        if not numeric(cell):
            return None
        arguments, reference = cell.good(), cell.good()
        value = arguments[cell.argument]
        new = make(array(value))
        arguments[cell.argument] = filled(value, new)
        reference[cell.argument] = filled(value, new.astype(np.float64))
        return arguments, reference

    return spoil


def small_integers(x: np.ndarray) -> np.ndarray:
    return np.round(x / max(np.abs(x).max(), 1e-300) * 50).astype(np.int8)


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="contract")


def memory_map(x: np.ndarray, cell: Cell) -> np.ndarray | None:
    if not x.size:
        return None
    path = Path(_folder().name) / "map.bin"
    path.unlink(missing_ok=True)
    x.tofile(path)
    return np.memmap(path, dtype=x.dtype, mode="r", shape=x.shape)


def strided(x: np.ndarray, cell: Cell) -> np.ndarray:
    wide = np.zeros(tuple(2 * n for n in x.shape)[::-1])
    view = wide[(slice(None, None, 2),) * x.ndim].T
    view[...] = x[::-1] if x.ndim else x
    return view[::-1] if x.ndim else view


def masked(x: np.ndarray, cell: Cell) -> np.ndarray | None:
    if cell.labelled or not x.ndim:
        return None
    hidden = np.zeros(x.shape, dtype=bool)
    hidden.reshape(-1)[x.size // 2] = True
    return np.ma.array(x, mask=hidden)


def far_from_zero(cell: Cell) -> Spoilt | None:
    if cell.argument not in cell.row.shift or not numeric(cell):
        return None
    arguments = cell.good()
    x = array(arguments[cell.argument])
    # A power of two keeps the numbers' own rounding out of the comparison as far as it can be kept out.
    spread = 2.0 ** np.ceil(np.log2(1e4 * x.std()))
    near = np.round(x * 2.0**20) / 2.0**20
    arguments[cell.argument] = filled(arguments[cell.argument], near + spread)
    return arguments, {**cell.good(), cell.argument: filled(arguments[cell.argument], near)}


def cut(names: tuple[str, ...], n: int, jointly: bool) -> Callable[[Cell], Spoilt | None]:
    """Only the first n along a dim, in this argument or in all that share rows."""

    def spoil(cell: Cell) -> Spoilt | None:
        arguments = cell.good()
        dim = cell.dim(names)
        if dim is None or (cell.row.labels and names is COLUMNS):
            return None
        for name in cell.sharing() if jointly else [cell.argument]:
            own = cell.dim(names, name)
            if own is not None:
                arguments[name] = _first(arguments[name], cell.axes(name), own, n)
        return arguments, None

    return spoil


def _first(value: Any, axes: tuple[str, ...], dim: str, n: int) -> Any:
    if dim == "pair":
        return value.isel(pair=_pairs_of_first(value.sizes["pair"], n))
    if isinstance(value, xr.DataArray):
        return value.isel({dim: slice(0, n)})
    return np.asarray(value)[(slice(None),) * axes.index(dim) + (slice(0, n),)]


def _pairs_of_first(n_pairs: int, n: int) -> np.ndarray:
    rows, columns = np.triu_indices(round((1 + (1 + 8 * n_pairs) ** 0.5) / 2), 1)
    return np.flatnonzero((rows < n) & (columns < n))


def widened(cell: Cell) -> Spoilt | None:
    """More columns than rows, noise in the new ones."""
    if not numeric(cell) or (dim := cell.dim(COLUMNS)) is None or cell.dim(ROWS) in (None, "pair"):
        return None
    arguments = cell.good()
    value, axes = arguments[cell.argument], cell.axes()
    axis, rows = axes.index(dim), axes.index(str(cell.dim(ROWS)))
    n = np.shape(value)[rows] + 3
    order = np.arange(n) % np.shape(value)[axis]
    noise = np.random.default_rng(5).standard_normal(np.take(array(value), order, axis).shape)
    is_new = np.arange(n) >= np.shape(value)[axis]
    fresh = np.moveaxis(np.moveaxis(noise, axis, -1) * is_new, -1, axis)
    new = np.take(array(value), order, axis) + fresh
    if isinstance(value, xr.DataArray):
        value = value.isel({dim: order})
        if dim in value.coords:
            value = value.assign_coords({dim: [f"{name}+{i}" for i, name in enumerate(value[dim].values)]})
    arguments[cell.argument] = filled(value, new)
    return arguments, None


def transposed(cell: Cell) -> Spoilt | None:
    arguments = cell.good()
    value = arguments[cell.argument]
    if np.ndim(value) < 2 or cell.row.labels or (not cell.labelled and len(cell.sharing()) < 2):
        return None  # a raw array alone has no names that could tell
    arguments[cell.argument] = (
        value.transpose(*value.dims[::-1]) if cell.labelled else np.swapaxes(value, 0, 1)
    )
    return arguments, None


def other_dims(cell: Cell) -> Spoilt | None:
    dim, arguments = cell.dim(ROWS + SUBJECTS + COLUMNS), cell.good()
    if not cell.labelled or dim is None:
        return None
    arguments[cell.argument] = arguments[cell.argument].rename({dim: "wrong"})
    return arguments, None


# Labels


def row_labels(value: xr.DataArray, dim: str) -> np.ndarray:
    if dim != "pair":
        return value[dim].values
    n = _n_rows(value, tuple(map(str, value.dims)), "pair")
    return np.concatenate([value["stimulus_a"].values[:1], value["stimulus_b"].values[: n - 1]])


def with_labels(value: xr.DataArray, dim: str, new: np.ndarray | list[Any]) -> xr.DataArray:
    new = np.asarray(new)
    if dim != "pair":
        return value.assign_coords({dim: new})
    a, b = np.triu_indices(len(new), 1)
    return value.assign_coords(stimulus_a=("pair", new[a]), stimulus_b=("pair", new[b]))


def reordered(value: xr.DataArray, dim: str, order: np.ndarray) -> xr.DataArray:
    """Rows in another order, each with its label; an RDM over its square matrices."""
    if dim != "pair":
        return value.isel({dim: order})
    at = value.dims.index("pair")
    full = square(np.moveaxis(value.values, at, -1))[..., order, :][..., order]
    data = np.moveaxis(full[(..., *np.triu_indices(len(order), 1))], -1, at)
    return with_labels(value.copy(data=data), dim, row_labels(value, dim)[order])


def relabelled(edit: Callable[[np.ndarray], Any], least: int = 1, every: bool = False):
    """A fault of the labels of one argument, or of all that share them (aligned where ``least`` is 2)."""

    def spoil(cell: Cell) -> Spoilt | None:
        dim, arguments = cell.label_dim(), cell.good()
        if dim is None or len(cell.joined()) < least or (every and cell.joined()[0] != cell.argument):
            return None
        if cell.dim(ROWS) not in ("stimulus", "pair") and every:
            return None
        for name in cell.joined() if every else [cell.argument]:
            own = str(cell.label_dim(name))
            new = edit(row_labels(arguments[name], own).copy())
            if new is None:
                return None
            arguments[name] = with_labels(arguments[name], own, new)
        return arguments, None

    return spoil


def twice(found: np.ndarray) -> np.ndarray:
    found[1] = found[0]
    return found


def one_other(found: np.ndarray) -> np.ndarray:
    found = found.astype(object if found.dtype.kind in "UO" else found.dtype)
    found[0] = "somebody else" if found.dtype == object else found[0] - 0.123
    return found.astype(str) if found.dtype == object else found


def one_missing(found: np.ndarray) -> np.ndarray:
    found = found.astype(object if found.dtype.kind in "UO" else np.float64)
    found[0] = np.nan
    return found


def not_ascii(found: np.ndarray) -> list[str]:
    return [f"{name}é 語 🧠\n|{i}" for i, name in enumerate(found)]


def numbered(found: np.ndarray) -> np.ndarray:
    return np.arange(len(found)) if found.dtype.kind in "UO" else np.array([f"t{x}" for x in found])


def without_labels(cell: Cell) -> Spoilt | None:
    dim, arguments = cell.label_dim(), cell.good()
    if dim is None:
        return None
    gone = ["stimulus_a", "stimulus_b"] if dim == "pair" else [dim]
    arguments[cell.argument] = arguments[cell.argument].drop_vars(gone)
    return arguments, None


def permuted(cell: Cell) -> Spoilt | None:
    joined, dim, arguments = cell.joined(), cell.label_dim(), cell.good()
    alone = len(joined) < 2 or cell.argument == (cell.row.leader or joined[0])
    if dim is None or (alone and (cell.row.ordered or cell.row.random)):
        return None
    n = len(row_labels(arguments[cell.argument], dim))
    order = np.random.default_rng(3).permutation(n)
    arguments[cell.argument] = reordered(arguments[cell.argument], dim, order)
    return arguments, None


def permuted_columns(cell: Cell) -> Spoilt | None:
    """Columns of another argument than the first, where the function matches them by label."""
    matched = cell.row.columns
    if cell.argument not in matched[1:]:
        return None
    arguments = cell.good()
    value = arguments[cell.argument]
    for dim in value.dims:
        if str(dim).removesuffix("_b") in ("unit", "neuroid", "component"):
            value = value.isel({dim: np.random.default_rng(3).permutation(value.sizes[dim])})
    arguments[cell.argument] = value
    return arguments, None


SHOULD = frozenset({"same"})
REFUSED = frozenset({"refused"})
NOT_A_NUMBER = (
    r"(?i)nan|finite|defined|missing|infinit|positive|not negative|at least 0|between|symmetric|integer"
)
NO_NUMBER = r"(?i)real|number|complex|object|dtype|str|bool|float"

FAULTS: Mapping[str, Fault] = {
    "one NaN": Fault(set_values(put(np.nan)), frozenset({"refused", "counted"}), NOT_A_NUMBER),
    "one inf": Fault(set_values(put(np.inf)), frozenset({"refused", "counted"}), NOT_A_NUMBER),
    "all NaN": Fault(
        set_values(lambda x, cell: np.full_like(x, np.nan)), frozenset({"refused", "counted"}), NOT_A_NUMBER
    ),
    "constant neuroid": Fault(set_values(constant(COLUMNS, "neuroid")), ANY),
    "zero-variance unit": Fault(set_values(constant(("unit", "feature", "target"))), ANY),
    "constant stimulus": Fault(set_values(constant(ROWS)), ANY),
    "constant subject": Fault(set_values(constant(SUBJECTS)), ANY),
    "all constant": Fault(set_values(constant_all), ANY),
    "no units": Fault(cut(COLUMNS, 0, False), frozenset({"refused", "counted", "empty"})),
    "one unit": Fault(cut(COLUMNS, 1, False), ANY),
    "no stimulus": Fault(cut(ROWS, 0, True), frozenset({"refused", "counted", "empty"})),
    "one stimulus": Fault(cut(ROWS, 1, True), ANY | {"empty"}),
    "two stimuli": Fault(cut(ROWS, 2, True), ANY),
    "no subject": Fault(cut(SUBJECTS, 0, False), frozenset({"refused", "counted", "empty"})),
    "one subject": Fault(cut(SUBJECTS, 1, False), ANY),
    "n < p": Fault(widened, ANY),
    "rank-deficient": Fault(set_values(deficient), ANY),
    "int8": Fault(as_dtype(small_integers), SHOULD),
    "bool": Fault(as_dtype(lambda x: x > np.median(x)), SHOULD | REFUSED),
    "float16": Fault(as_dtype(lambda x: x.astype(np.float16)), SHOULD),
    "float32": Fault(as_dtype(lambda x: x.astype(np.float32)), SHOULD),
    "big-endian": Fault(as_dtype(lambda x: x.astype(">f8")), SHOULD),
    "complex": Fault(set_values(lambda x, cell: x + 1j), REFUSED, NO_NUMBER),
    "object": Fault(set_values(lambda x, cell: x.astype(object)), SHOULD | REFUSED, NO_NUMBER),
    "text": Fault(set_values(lambda x, cell: x.astype(str)), SHOULD | REFUSED, NO_NUMBER),
    "masked array": Fault(set_values(masked), REFUSED, r"(?i)mask"),
    "read-only memory map": Fault(set_values(memory_map), SHOULD),
    "non-contiguous": Fault(set_values(strided), SHOULD),
    "mean/sd 1e4": Fault(far_from_zero, SHOULD),
    "transposed": Fault(transposed, SHOULD | REFUSED),
    "wrong dims": Fault(other_dims, SHOULD | REFUSED),
    "permuted labels": Fault(permuted, SHOULD),
    "permuted units": Fault(permuted_columns, SHOULD),
    "duplicate label": Fault(relabelled(twice), REFUSED, r"(?i)repeat|duplicate|unique|increas|even"),
    "label missing": Fault(
        relabelled(one_missing), REFUSED, r"(?i)missing|NaN|finite|integer|mixed|not in|no stimuli"
    ),
    "other label": Fault(relabelled(one_other, least=2), REFUSED),
    "labels of another type": Fault(relabelled(numbered, least=2), REFUSED),
    "no labels": Fault(without_labels, SHOULD | REFUSED),
    "non-ASCII labels": Fault(relabelled(not_ascii, every=True), SHOULD),
    "labels are numbers": Fault(relabelled(numbered, every=True), SHOULD),
}


def vague(text: str, fault: Fault) -> bool:
    """Whether an error does not say what came: no number, name or quote in it, or not this fault's word."""
    return (
        len(text) < 25
        or not re.search(r"[\d'\"(]|got|integer, string", text)
        or not re.search(fault.says, text)
    )


__all__ = ["FAULTS", "Cell", "Fault", "triangle", "vague"]
