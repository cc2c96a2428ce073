"""Runs read block by block into one array (time, neuroid): some places of each, or means over parcels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...errors import InvalidValueError, choice
from .parcels import Parcels

__all__ = ["MISSING", "Pooled", "Run", "pool"]

DTYPES = ("float32", "float64")
MISSING = ("keep", "drop")


class Run(Protocol):
    """What can be read block by block: the row a block begins at, and its values (n, n_places)."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def n_times(self) -> int:
        """Number of rows."""
        ...

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give all rows, in order."""
        ...


@dataclass(frozen=True, eq=False)
class Pooled:
    """Values (time, neuroid), the places or parcels they were read from, and counts of places."""

    values: np.ndarray
    taken: np.ndarray | Parcels
    counts: dict[str, int]


@dataclass
class Tally:
    """What is known of each place so far: its range in the run, whether it varied, whether it was finite."""

    low: np.ndarray
    high: np.ndarray
    varies: np.ndarray
    still: np.ndarray
    finite: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, n: int) -> Tally:
        """Return the tally of n places before the first block."""
        no = np.zeros(n, dtype=bool)
        return cls(np.full(n, np.inf), np.full(n, -np.inf), no, no.copy(), np.ones(n, dtype=bool), no.copy())

    def add(self, block: np.ndarray) -> None:
        """Take note of a block (n, n_places)."""
        self.finite &= np.isfinite(block).all(axis=0)
        np.fmin(self.low, np.fmin.reduce(block, axis=0), out=self.low)
        np.fmax(self.high, np.fmax.reduce(block, axis=0), out=self.high)

    def end_run(self) -> None:
        """Close a run: places that did not vary in it are still."""
        varied = self.high > self.low
        self.varies |= varied
        self.still |= ~varied
        self.known |= np.isfinite(self.low) | np.isfinite(self.high)
        self.low, self.high = np.full_like(self.low, np.inf), np.full_like(self.high, -np.inf)


def pool(
    runs: Sequence[Run],
    taken: np.ndarray | Parcels,
    *,
    varying: bool,
    missing: str,
    dtype: str,
    place: str,
    one_run: bool = False,
    progress: bool = True,
) -> Pooled:
    """Return the runs one after another.

    Parameters
    ----------
    runs : sequence of Run
    taken : array (n,) of int, or Parcels
        The places that are read.
    varying : bool
        Whether places that are constant in every run are left out; the runs are read twice for it.
    missing : {"keep", "drop"}
        Whether places with a value that is not finite stay; to leave them out the runs are read twice.
    dtype : {"float32", "float64"}
    place : str
        "voxel", "vertex" or "grayordinate".
    one_run : bool
        Whether the runs count as one where constant places are looked for.
    progress : bool

    Raises
    ------
    InvalidValueError
        If no place is left, none is finite, or a value does not fit the dtype.
    """
    if dtype not in DTYPES:
        raise choice(dtype, DTYPES, name="dtype")
    if missing not in MISSING:
        raise choice(missing, MISSING, name="missing")
    n_times = sum(run.n_times for run in runs)
    twice = varying or missing == "drop"
    with _bar(n_times * (1 + twice), progress) as bar:
        tally = Tally.of(len(_places(taken)))
        if twice:
            for _, picked in _blocks(runs, _places(taken), tally, one_run):
                bar.update(len(picked))
            taken = _narrow(taken, _kept(tally, varying, missing, place))
        values = np.empty((n_times, _width(taken)), dtype=dtype)
        for row, picked in _blocks(runs, _places(taken), None if twice else tally, one_run):
            found = taken.means(picked) if isinstance(taken, Parcels) else picked
            _store(found, values[row : row + len(picked)])
            bar.update(len(picked))
    if not tally.known.any():
        raise InvalidValueError(f"no {place} has a finite value: all {len(tally.known)} are NaN or infinite.")
    return Pooled(values, taken, _counts(tally, varying))


def _places(taken: np.ndarray | Parcels) -> np.ndarray:
    return taken.places if isinstance(taken, Parcels) else taken


def _width(taken: np.ndarray | Parcels) -> int:
    return len(taken.names) if isinstance(taken, Parcels) else len(taken)


def _narrow(taken: np.ndarray | Parcels, keep: np.ndarray) -> np.ndarray | Parcels:
    return taken.narrow(keep) if isinstance(taken, Parcels) else taken[keep]


def _blocks(
    runs: Sequence[Run], places: np.ndarray, tally: Tally | None, one_run: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Give the first row on the common axis and the values (n, n_places) of each block of each run."""
    before = 0
    for i, run in enumerate(runs):
        for start, block in run.blocks():
            picked = block[:, places]
            if tally is not None:
                tally.add(picked)
            yield before + start, picked
        before += run.n_times
        if tally is not None and (not one_run or i == len(runs) - 1):
            tally.end_run()


def _kept(tally: Tally, varying: bool, missing: str, place: str) -> np.ndarray:
    keep = tally.varies.copy() if varying else np.ones(len(tally.varies), dtype=bool)
    if missing == "drop":
        keep &= tally.finite
    if not keep.any():
        counts = _counts(tally, varying)
        raise InvalidValueError(
            f"no {place} is left of {len(keep)}: {counts['n_constant']} are constant in every run, "
            f"{counts['n_nan']} hold NaN or infinity."
        )
    return keep


def _counts(tally: Tally, varying: bool) -> dict[str, int]:
    there = tally.varies if varying else np.ones(len(tally.varies), dtype=bool)
    return {
        "n_constant": int((~tally.varies).sum()),
        "n_partly_constant": int((tally.varies & tally.still).sum()),
        "n_nan": int((there & ~tally.finite).sum()),
    }


def _store(found: np.ndarray, rows: np.ndarray) -> None:
    """Write a block into its rows; a number too large for the dtype is refused, not made infinite."""
    try:
        with np.errstate(over="raise", invalid="ignore"):
            rows[...] = found
    except FloatingPointError:
        raise InvalidValueError(
            f"values reach {np.nanmax(np.abs(found[np.isfinite(found)])):g}, too large for {rows.dtype}. "
            'Pass dtype="float64".'
        ) from None


def _bar(total: int, progress: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="reading", unit="volume", disable=not progress)
