"""Correlations of every unit with every unit, from exact sums over batches of stimuli."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .inputs import as_pair
from .unit_batches import Units, batches, chosen_rows, paired
from .unit_moments import CrossMoments, pair_correlations, top

__all__ = ["StreamedUnitCorrelation", "best_partners", "unit_correlation"]

# Bytes for sums of one strip of unit pairs.
MEMORY = 1_000_000_000
BATCH = 512
CHUNK = 256


class StreamedUnitCorrelation:
    """Correlations (unit_x, unit_y) from batches of rows that come one after another, exactly.

    Sums of centred products are pooled in float64: each batch is centred by its own means and joined with
    what came before (Chan et al. 1983), so that offsets of any size lose no digits. Order and sizes of the
    batches change nothing beyond rounding, and sums of several streams can be joined in any grouping.

    Parameters
    ----------
    memory : float
        Bytes that the sums may take: 8 for each pair of units.

    References
    ----------
    Chan, Golub & LeVeque 1983, The American Statistician 37:242, equation 2.1, for products.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> streamed = StreamedUnitCorrelation()
    >>> for rows in np.split(np.arange(100), 5):
    ...     streamed.update(x[rows], x[rows] + 1e6)
    >>> bool(np.allclose(streamed.value(), np.corrcoef(x.T)))
    True
    """

    def __init__(self, *, memory: float = MEMORY) -> None:
        self.memory = memory
        self._sums: CrossMoments | None = None

    @property
    def n_stimuli(self) -> int:
        """Stimuli that came in so far."""
        return 0 if self._sums is None else self._sums.n

    def update(self, x: Any, y: Any) -> None:
        """Take in a batch of rows (n_rows, n_units_x), (n_rows, n_units_y); labelled rows are aligned.

        Raises
        ------
        ShapeError
            If rows differ in number, or units are others than before.
        InvalidValueError
            If a value is not finite, or the sums would take more memory than allowed.
        """
        pair = as_pair(x, y, least=1)
        if self._sums is None:
            _check_memory(pair.x.shape[1], pair.y.shape[1], self.memory)
            self._sums = CrossMoments(pair.x.shape[1], pair.y.shape[1])
        widths = pair.x.shape[1], pair.y.shape[1]
        if widths != self._sums.co.shape:
            raise ShapeError(
                f"batches must have {self._sums.co.shape} units as the first one had; got {widths}."
            )
        self._sums.update(pair.x, pair.y)

    def merge(self, other: StreamedUnitCorrelation) -> StreamedUnitCorrelation:
        """Return the pooled sums of two streams of different stimuli; neither is changed."""
        found = StreamedUnitCorrelation(memory=self.memory)
        parts = [part._sums for part in (self, other) if part._sums is not None]
        if len(parts) == 2 and parts[0].co.shape != parts[1].co.shape:
            raise ShapeError(
                f"both streams must have the same units; got {parts[0].co.shape} and {parts[1].co.shape}."
            )
        for part in parts:
            found._sums = part.copy() if found._sums is None else found._sums.merged(part)
        return found

    def value(self) -> xr.DataArray:
        """Return the correlations (unit_x, unit_y) of the rows so far; NaN where a unit is dead.

        Raises
        ------
        ShapeError
            If fewer than 3 stimuli came in.
        """
        if self._sums is None or self.n_stimuli < 3:
            raise ShapeError(f"{self.n_stimuli} stimuli came in; at least 3 are needed.")
        sums = self._sums.copy()
        r = sums.correlate()
        return xr.DataArray(r, dims=("unit_x", "unit_y"), attrs=_counts(sums), name="r")


def unit_correlation(
    x: Any, y: Any | None = None, *, memory: float = MEMORY, batch_size: int = BATCH
) -> xr.DataArray:
    """Return the correlation of every unit of x with every unit of y over the stimuli.

    Parameters
    ----------
    x : array, memory-map or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled; at least 3 stimuli. Read batch by batch.
    y : array, memory-map or DataArray (n_stimuli, n_units_y), optional
        x itself where None.
    memory : float
        Bytes that the result may take, 8 for each pair of units.
    batch_size : int
        Stimuli at once; changes nothing beyond rounding.

    Returns
    -------
    DataArray (unit_x, unit_y)
        Float64, -1 to 1; NaN for dead units (constant over the stimuli), counted in ``attrs["n_dead_x"]`` and
        ``["n_dead_y"]``. Coordinates of the units come with ``_x`` and ``_y`` at their names.

    Raises
    ------
    ShapeError, LabelError
        If the stimuli differ in number or label, or are fewer than 3.
    InvalidValueError
        If a value is not finite (with its stimulus and unit), or the result needs more memory.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> unit_correlation(x, -x).values.diagonal().round(6).tolist()
    [-1.0, -1.0, -1.0]
    """
    first, second = paired({"x": x, "y": x if y is None else y})
    _check_memory(first.n_units, second.n_units, memory)
    check_batch(batch_size)
    sums = CrossMoments(first.n_units, second.n_units)
    for rows in batches(np.arange(first.n_stimuli), batch_size):
        sums.update(first.read(rows), second.read(rows))
    r = sums.correlate()
    coords = {**first.coords("x"), **second.coords("y")}
    return xr.DataArray(r, dims=("unit_x", "unit_y"), coords=coords, attrs=_counts(sums), name="r")


def best_partners(
    x: Any,
    y: Any,
    *,
    k: int = 1,
    absolute: bool = False,
    select: Any | None = None,
    memory: float = MEMORY,
    batch_size: int = BATCH,
    progress: bool = False,
) -> xr.Dataset:
    """Return the k units of y that each unit of x correlates most with, and the reverse.

    Strips of units of x meet all units of y; a strip's sums are pooled over batches of stimuli in float64,
    its best partners kept, and the sums dropped. y is read once a strip, x once. The largest correlation
    among many units is above 0 by chance: choose on some stimuli and evaluate on others (``select``), or see
    ``excess_correlation``.

    Parameters
    ----------
    x, y : array, memory-map or DataArray (n_stimuli, n_units)
        Aligned by stimulus where labelled. Read in batches, so that an array on disk stays there.
    k : int
        Partners that are kept.
    absolute : bool
        Whether a partner may be one that does the opposite (the size of r counts).
    select : array (n_stimuli,) or DataArray (stimulus,) of bool, optional
        Stimuli on which partners are chosen; r is then also given on the others. An array stands in the order
        of x.
    memory : float
        Bytes that the sums of a strip may take.
    batch_size : int
        Stimuli at once.
    progress : bool

    Returns
    -------
    Dataset
        ``r_x``, ``partner_x`` (unit_x, rank): correlations, best first, and the positions of the partners
        among the units of y; ``r_y``, ``partner_y`` (unit_y, rank) the reverse. With ``select`` also
        ``held_out_x`` and ``held_out_y``. A dead unit has no partner (-1, r NaN) and is nobody's. ``attrs``:
        ``n_stimuli``, ``n_held_out``, ``n_dead_x``, ``n_dead_y``, ``absolute``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``unit_correlation``; or k is above the number of units.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> best_partners(x, x[:, [2, 0, 3, 1]])["partner_x"].values.ravel().tolist()
    [1, 3, 0, 2]
    """
    first, second = paired({"x": x, "y": y})
    rows, rest = chosen_rows(select, first)
    _check_k(k, min(first.n_units, second.n_units))
    found = partners(
        first, second, rows, k=k, absolute=absolute, memory=memory, batch_size=batch_size, progress=progress
    )
    variables: dict[str, Any] = {}
    for side, units, others in (("x", first, second), ("y", second, first)):
        dims = (f"unit_{side}", "rank")
        variables |= {f"{name}_{side}": (dims, found[f"{name}_{side}"]) for name in ("r", "partner")}
        if rest is not None:
            held = held_out(units, others, found[f"partner_{side}"], rest, batch_size)
            variables[f"held_out_{side}"] = (dims, held)
    counts = {name: found[name] for name in ("n_dead_x", "n_dead_y")}
    attrs = {"n_stimuli": len(rows), "n_held_out": 0 if rest is None else len(rest), **counts}
    coords = {**first.coords("x"), **second.coords("y"), "rank": np.arange(1, k + 1)}
    return xr.Dataset(variables, coords=coords, attrs=attrs | {"absolute": int(absolute)})


def partners(
    first: Units,
    second: Units,
    rows: np.ndarray,
    *,
    k: int = 1,
    absolute: bool = False,
    both: bool = True,
    memory: float = MEMORY,
    batch_size: int = BATCH,
    progress: bool = False,
) -> dict[str, Any]:
    """Return best partners over some rows, as ``best_partners`` names them; those of y only with ``both``."""
    check_batch(batch_size)
    n_x, n_y = first.n_units, second.n_units
    height = max(1, min(n_x, int(memory / 8 / n_y)))
    r_x, at_x = np.full((n_x, k), np.nan), np.full((n_x, k), -1)
    r_y, at_y = np.full((n_y, k), np.nan), np.full((n_y, k), -1)
    n_dead_x = n_dead_y = 0
    for start in tqdm(range(0, n_x, height), desc="strips of units", disable=not progress):
        strip = slice(start, min(start + height, n_x))
        sums = CrossMoments(strip.stop - strip.start, n_y)
        for some in batches(rows, batch_size):
            sums.update(first.read(some, strip), second.read(some))
        r = sums.correlate()
        n_dead_x, n_dead_y = n_dead_x + int(sums.x.dead.sum()), int(sums.y.dead.sum())
        for lines in batches(np.arange(len(r)), CHUNK):
            r_x[start + lines], at_x[start + lines] = top(r[lines[0] : lines[-1] + 1], k, absolute)
        if both:
            for lines in batches(np.arange(n_y), CHUNK):
                # The strip's best are put beside the best so far, which stand first and win ties.
                new, place = top(r[:, lines[0] : lines[-1] + 1].T, min(k, len(r)), absolute)
                values = np.hstack([r_y[lines], new])
                places = np.hstack([at_y[lines], np.where(place < 0, -1, place + start)])
                r_y[lines], best = top(values, k, absolute)
                kept = np.take_along_axis(places, np.maximum(best, 0), axis=1)
                at_y[lines] = np.where(best < 0, -1, kept)
        del sums, r
    found = {"r_x": r_x, "partner_x": at_x, "n_dead_x": n_dead_x, "n_dead_y": n_dead_y}
    return found | ({"r_y": r_y, "partner_y": at_y} if both else {})


def held_out(
    units: Units, others: Units, partner: np.ndarray, rows: np.ndarray, batch_size: int = BATCH
) -> np.ndarray:
    """Return the correlations (n_units, k) of units with their partners over other rows."""
    own, rank = np.nonzero(partner >= 0)
    out = np.full(partner.shape, np.nan)
    out[own, rank] = pair_correlations(units, others, own, partner[own, rank], rows, batch_size)
    return out


def check_batch(batch_size: Any) -> None:
    """Refuse a number of stimuli at once that is no positive integer."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise InvalidValueError(f"batch_size must be a positive integer; got {batch_size!r}.")


def _check_k(k: Any, most: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= most:
        raise InvalidValueError(f"k must be an integer from 1 to the {most} units there are; got {k!r}.")


def _check_memory(n_x: int, n_y: int, memory: float) -> None:
    as_float(memory, name="memory", ndim=0)
    if 8 * n_x * n_y > memory:
        raise InvalidValueError(
            f"correlations of {n_x:,} and {n_y:,} units take {8 * n_x * n_y / 1e9:.1f} GB, more than the "
            f"{memory / 1e9:.1f} GB allowed. best_partners keeps each unit's best ones only; or pass memory=."
        )


def _counts(sums: CrossMoments) -> dict[str, int]:
    return {
        "n_stimuli": sums.n,
        "n_dead_x": int(sums.x.dead.sum()),
        "n_dead_y": int(sums.y.dead.sum()),
    }
