"""Tests of whole maps, a block of neuroids at a time: one family a map, whatever its size."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import labels
from .correction import fdr
from .flips import sign_flips
from .permutations import TAILS, p_value, permutation

__all__ = ["BlockTests", "block_tests", "map_tests"]

# What is large where a result is extreme.
ORIENTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "greater": np.positive,
    "less": np.negative,
    "two-sided": np.abs,
}
STATISTICS = ("t", "mean")
# Numbers of a null distribution that are held at once (8 bytes each).
N_HELD = 4_000_000

Statistic = Callable[[np.ndarray], np.ndarray]


class BlockTests(NamedTuple):
    """Of k places and m maps: statistics and p (k, m), and the largest statistic of each draw (n, m).

    ``p_max`` is against ``largest``, and controls the family-wise error of one map.
    """

    observed: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    largest: np.ndarray

    def threshold(self, level: float) -> list[float]:
        """Return above what value of each map ``p_max`` is at most ``level``; infinite with too few draws.

        At a level of 1 any value will do: minus infinity.
        """
        rank = int(np.floor(level * (len(self.largest) + 1) + 1e-9)) - 1
        if rank < 0:
            return [float("inf")] * self.largest.shape[1]
        if rank >= len(self.largest):
            return [float("-inf")] * self.largest.shape[1]
        # With rank draws above it, the observed value must lie above the next one.
        ordered = np.sort(self.largest, axis=0)[::-1]
        return [float(value) for value in ordered[rank]]


def block_tests(
    statistics: Iterable[Statistic],
    n_items: int,
    *,
    n: int,
    permute: Callable[[np.random.Generator], np.ndarray],
    rng: np.random.Generator,
    tail: str = "greater",
) -> BlockTests:
    """Return permutation tests of maps whose places are computed block by block.

    Every block sees the same permutations, so that the largest statistic of a permutation over all blocks is
    one draw of the family's maximum. What is held at a time is the null distribution of one block.

    Parameters
    ----------
    statistics : iterable of callable
        One a block of places: from an order of the items, array (n_items,), to statistics (k, m) of k places
        and m maps.
    n_items : int
        The observed statistics are those of the order 0, 1, ..., n_items - 1.
    n : int
        Draws.
    permute : callable
        From a generator to an order.
    rng : numpy.random.Generator
    tail : {"greater", "less", "two-sided"}

    Returns
    -------
    BlockTests
        NaN where a place has no statistic; it belongs to no family. A draw that is undefined at a place that
        has one counts as extreme, there and in ``p_max``.

    Raises
    ------
    InvalidValueError
        If the tail is unknown, ``n`` is no positive integer or ``rng`` no Generator.
    ShapeError
        If there is no block.

    Examples
    --------
    >>> rng, x = np.random.default_rng(0), np.arange(7.0)
    >>> places = [x, x[[3, 1, 4, 0, 6, 5, 2]]]
    >>> found = block_tests(
    ...     [lambda order, y=y: np.array([[x[order] @ y]]) for y in places], 7, n=99,
    ...     permute=lambda rng: rng.permutation(7), rng=rng)
    >>> found.p_max.ravel().tolist()
    [0.01, 0.51]
    """
    if tail not in TAILS:
        raise choice(tail, TAILS, name="tail")
    start = same = copy.deepcopy(rng)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    largest: Any = -np.inf
    for statistic in statistics:
        observed = np.asarray(statistic(np.arange(n_items)), dtype=np.float64)
        same = copy.deepcopy(start)
        null = permutation(statistic, n, permute=permute, rng=same)
        parts.append((observed, p_value(observed, null, tail=tail)))
        made = np.where(np.isnan(observed), -np.inf, ORIENTED[tail](null))
        largest = np.maximum(largest, made.max(axis=1, initial=-np.inf))
    if not parts:
        raise ShapeError("block_tests needs at least one block of places; got none.")
    rng.bit_generator.state = same.bit_generator.state
    observed, p = (np.concatenate(each) for each in zip(*parts, strict=True))
    return BlockTests(observed, p, _against(ORIENTED[tail](observed), largest), largest)


def map_tests(
    maps: xr.DataArray,
    *,
    over: str = "subject",
    chance: float = 0.0,
    statistic: str = "t",
    tail: str = "greater",
    n: int | None = None,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Return exact tests of the mean map of subjects by sign flips, with the maximum over the map.

    A subject's whole map is flipped, so that the largest statistic of a pattern of signs uses how places
    depend on one another. The sum of squares does not change under flips, so that Student's t under each
    pattern comes from the mean alone; its maximum weighs places alike whose scores differ in spread.

    Parameters
    ----------
    maps : DataArray (subject, neuroid), or (subject, any, neuroid)
        One score a subject and place, on the same places: of a searchlight, of an encoding model. NaN, a
        subject without that score, is left out there. Every label of another dim is a family of its own.
    over : str
        The dim that is flipped, with unique labels.
    chance : float
        What is subtracted: 0 of a correlation, 1 / n_classes of an accuracy.
    statistic : {"t", "mean"}
        What the maximum is taken of; both give the same uncorrected p where no score is missing.
    tail : {"greater", "less", "two-sided"}
    n : int, optional
        Draws for more than 12 subjects; of up to 12 all patterns of signs are taken.
    rng : numpy.random.Generator, optional
        For more than 12 subjects.

    Returns
    -------
    Dataset (any, neuroid)
        ``mean`` (less ``chance``), ``t`` (infinite where all scores are one number), ``p``, ``p_fdr`` over
        neuroids, ``p_max``, ``n_subjects``; NaN where fewer than two subjects have a score, or all have 0.
        ``attrs["n_undefined"]`` counts places without a test.

    Raises
    ------
    ShapeError
        If a dim is missing or there are fewer than 2 subjects.
    InvalidValueError
        If a choice is unknown, or draws are needed and ``n`` or ``rng`` is missing.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1.

    Examples
    --------
    >>> scores = np.random.default_rng(0).standard_normal((8, 3)) + [2.0, 0.0, 0.0]
    >>> maps = xr.DataArray(scores, dims=("subject", "neuroid"), coords={"subject": list("abcdefgh")})
    >>> map_tests(maps)["p_max"].values.round(3).tolist()
    [0.012, 0.945, 0.98]
    """
    for value, allowed, name in ((statistic, STATISTICS, "statistic"), (tail, TAILS, "tail")):
        if value not in allowed:
            raise choice(value, allowed, name=name)
    if not isinstance(maps, xr.DataArray) or over not in maps.dims or "neuroid" not in maps.dims:
        raise ShapeError(
            f"maps must be a DataArray with the dims {over!r} and 'neuroid'; got "
            f"{getattr(maps, 'dims', type(maps).__name__)}."
        )
    labels(maps, on=over, name="maps")
    if not np.isfinite(chance):
        raise InvalidValueError(f"chance must be finite; got {chance!r}.")
    moved = maps.transpose(over, ..., "neuroid")
    if len(moved) < 2:
        raise ShapeError(f"maps need at least 2 of {over!r}; got {len(moved)}.")
    values = as_float(moved.values, name="maps", missing=True) - chance
    if not values.size:
        raise ShapeError(f"maps have no score; their sizes are {dict(moved.sizes)}.")
    shape = values.shape[1:]
    families = [
        _flipped(values.reshape(len(values), -1, shape[-1])[:, i], statistic, tail, n, rng)
        for i in range(int(np.prod(shape[:-1])))
    ]
    template = moved.isel({over: 0}, drop=True)
    found = {
        name: template.copy(data=np.stack([family[name] for family in families]).reshape(shape))
        for name in families[0]
    }
    for name in ("mean", "t", "p", "p_max"):
        found[name].attrs = {}
    rows = found["p"].values.reshape(-1, shape[-1])
    found["p_fdr"] = found["p"].copy(data=np.stack([fdr(row) for row in rows]).reshape(shape))
    attrs = {"flipped": over, "chance": float(chance), "statistic": statistic, "tail": tail}
    attrs["n_undefined"] = int(np.isnan(found["p"].values).sum())
    order = ("mean", "t", "p", "p_fdr", "p_max", "n_subjects")
    return xr.Dataset({name: found[name] for name in order}, attrs=attrs)


def _flipped(
    values: np.ndarray, statistic: str, tail: str, n: int | None, rng: np.random.Generator | None
) -> dict[str, np.ndarray]:
    """Return the tests of one family, values (n_subjects, k), a block of places at a time."""
    n_subjects, k = values.shape
    n_draws = 2**n_subjects - 1 if n is None or n_subjects <= 12 else n
    step = max(1, N_HELD // max(1, n_draws))
    start, same = copy.deepcopy(rng), rng
    parts: list[dict[str, np.ndarray]] = []
    largest: Any = -np.inf
    for first in range(0, k, step):
        part = values[:, first : first + step]
        same = copy.deepcopy(start)
        null = sign_flips(part, n=n, rng=same)
        known = (~np.isnan(part)).sum(axis=0)
        mean = np.where(known > 1, np.nansum(part, axis=0) / np.maximum(known, 1), np.nan)
        square = np.nansum(part**2, axis=0) / np.maximum(known, 1)
        t, null_t = _t(mean, square, known), _t(null, square, known)
        observed = t if statistic == "t" else mean
        drawn = null_t if statistic == "t" else null
        parts.append({"mean": mean, "t": t, "p": p_value(observed, drawn, tail=tail), "n_subjects": known})
        made = np.where(np.isnan(observed), -np.inf, ORIENTED[tail](drawn))
        largest = np.maximum(largest, made.max(axis=1, initial=-np.inf))
    if rng is not None and same is not None:
        rng.bit_generator.state = same.bit_generator.state
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    observed = ORIENTED[tail](found["t" if statistic == "t" else "mean"])[:, None]
    return found | {"p_max": _against(observed, np.asarray(largest)[:, None])[:, 0]}


def _t(mean: np.ndarray, square: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return Student's t of means, given the mean square: monotone in the mean, infinite where all agree."""
    variance = np.maximum(square - mean**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Scores that are all the same size have no spread under the pattern that makes their signs agree.
        exact = variance <= 64 * np.finfo(np.float64).eps * square
        t = mean * np.sqrt(np.maximum(known - 1, 0)) / np.sqrt(np.where(exact, 0.0, variance))
    return np.where((known > 1) & (square > 0), t, np.nan)


def _against(observed: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return p (k, m) of oriented statistics against the largest (n, m) of each draw."""
    p = np.full(observed.shape, np.nan)
    step = max(1, N_HELD // len(largest))
    for i in range(observed.shape[1]):
        for first in range(0, len(observed), step):
            part = observed[first : first + step, i]
            null = np.broadcast_to(largest[:, i, None], (len(largest), len(part)))
            p[first : first + step, i] = p_value(part, null)
    return p
