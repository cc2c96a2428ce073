"""Targets of a regression, read in blocks of columns from memory, a memory-map, HDF5 or zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import FileError, InvalidValueError, ShapeError

__all__ = ["Targets", "patterns"]

# Columns a look at the whole array: few enough that reading them never costs memory.
STRIDE = 1024


class Targets:
    """Targets (n_rows, n_targets) of which only a block of columns is in memory at a time.

    Parameters
    ----------
    values : array-like
        A numpy array (also a memory-map), a DataArray, or anything with ``shape``, ``dtype`` and slices that
        give arrays, such as an h5py Dataset or a zarr array: those are never read as a whole.
    name : str
        What errors call them.

    Raises
    ------
    ShapeError
        If there are not 1 or 2 dims.
    InvalidValueError
        If the values are no real numbers.
    FileError
        If the file behind a memory-map is shorter than the array, or a block comes back with another shape.

    Examples
    --------
    >>> Targets([[1, 2, 3], [4, 5, 6]]).read(slice(1, 3)).tolist()
    [[2.0, 3.0], [5.0, 6.0]]
    """

    def __init__(self, values: Any, *, name: str = "Y") -> None:
        if isinstance(values, xr.DataArray):
            values = values.data
        if np.ma.is_masked(values):
            as_float(values, name=name)  # refuses what a mask hides
        streamed = not isinstance(values, np.ndarray) and all(
            hasattr(values, key) for key in ("shape", "dtype", "__getitem__")
        )
        streamed = streamed and not hasattr(values, "iloc")
        # A memory-map stays one: as a plain array it would not know its file.
        self.values = values if streamed or isinstance(values, np.memmap) else np.asarray(values)
        self.name = name
        self.in_memory = not streamed and not isinstance(self.values, np.memmap)
        kind = np.dtype(self.values.dtype).kind
        if kind == "c":
            raise InvalidValueError(
                f"Complex data not supported: {name} must be real numbers; got dtype {self.values.dtype}."
            )
        if kind == "O":
            self.values = np.asarray(self.values).astype(np.float64)
        elif kind not in "fiub":
            raise InvalidValueError(f"{name} must be real numbers; got dtype {self.values.dtype}.")
        if len(self.values.shape) not in (1, 2):
            raise ShapeError(f"{name} must have 1 or 2 dimension(s); got shape {tuple(self.values.shape)}.")
        self.one = len(self.values.shape) == 1
        self.n_rows = int(self.values.shape[0])
        self.n_targets = 1 if self.one else int(self.values.shape[1])
        self.dtype = np.dtype(self.values.dtype)
        _refuse_cut_short(self.values, name)

    def read(self, columns: slice, rows: np.ndarray | None = None, *, finite: bool = True) -> np.ndarray:
        """Return a block of columns, and of some rows, as float32 where they are stored so, else float64."""
        try:
            block = np.asarray(self.values[:] if self.one else self.values[:, columns])
        except OSError as error:
            raise FileError(f"{self.name}: {_place(columns)} cannot be read: {error}") from error
        block = block.reshape(block.shape[0], -1)
        expected = (self.n_rows, len(range(*columns.indices(self.n_targets))))
        if block.shape != expected:
            raise FileError(
                f"{self.name}: {_place(columns)} have shape {block.shape}, not {expected}; the file "
                "is cut short."
            )
        if rows is not None:
            block = block[rows]
        block = block.astype(np.float32 if self.dtype in (np.float16, np.float32) else np.float64, copy=False)
        if finite and not np.isfinite(block).all():
            bad = np.argwhere(~np.isfinite(block))
            row, column = (int(i) for i in bad[0])
            place = (row if rows is None else int(rows[row]), column + (columns.start or 0))
            raise InvalidValueError(
                f"{self.name} must be finite; {len(bad)} values are not, the first is {block[row, column]} "
                f"at position {place}. NaN or infinity is refused; missing='group' takes NaN as missing."
            )
        return block

    def blocks(self, width: int) -> list[slice]:
        """Return the slices of blocks of at most ``width`` columns."""
        starts = range(0, self.n_targets, width)
        return [slice(start, min(start + width, self.n_targets)) for start in starts]

    def check(self) -> None:
        """Refuse values in memory that are not finite; those on disk are checked as they are read."""
        if self.in_memory:
            for block in self.blocks(STRIDE):
                self.read(block)


def patterns(targets: Targets) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (known rows, columns) of each pattern of missing rows, in the order in which they come.

    Missing is NaN; infinity is refused.

    Examples
    --------
    >>> found = patterns(Targets([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]]))
    >>> [(rows.tolist(), columns.tolist()) for rows, columns in found]
    [([0, 1], [0, 2]), ([1], [1])]
    """
    groups: dict[bytes, list[int]] = {}
    for block in targets.blocks(STRIDE):
        values = targets.read(block, finite=False)
        if np.isinf(values).any():
            row, column = (int(i) for i in np.argwhere(np.isinf(values))[0])
            raise InvalidValueError(
                f"{targets.name} must hold no infinity; got one at position {(row, column + block.start)}."
            )
        packed = np.packbits(~np.isnan(values), axis=0)
        for i in range(packed.shape[1]):
            groups.setdefault(packed[:, i].tobytes(), []).append(block.start + i)
    found = []
    for key, columns in groups.items():
        known = np.unpackbits(np.frombuffer(key, dtype=np.uint8), count=targets.n_rows)
        found.append((np.flatnonzero(known), np.asarray(columns)))
    return found


def _place(columns: slice) -> str:
    return f"columns {columns.start} to {columns.stop}"


def _refuse_cut_short(values: Any, name: str) -> None:
    filename = getattr(values, "filename", None)
    if not isinstance(values, np.memmap) or filename is None:
        return
    base = values
    while isinstance(base.base, np.memmap):
        base = base.base
    needed, found = base.offset + base.nbytes, Path(filename).stat().st_size
    if found < needed:
        raise FileError(
            f"{name}: {filename} has {found:,} bytes where its {values.shape} values of {values.dtype} need "
            f"{needed:,}; it was cut short. Write it again."
        )
