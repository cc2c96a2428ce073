"""Pairs of units of two networks: one to one, each unit's best, or mutual; and a test of the pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, choice
from ..stats import p_value, permutation
from .unit_batches import Units, chosen_rows, halves, paired, random_turn
from .unit_correlation import partners
from .unit_moments import CrossMoments, pair_correlations

__all__ = ["MATCHINGS", "match_units", "matching_test"]

# The assignment of this many units holds a matrix of 0.2 GB and takes minutes.
MOST_ASSIGNED = 5000
BATCH = 512
NULLS = ("rotation", "shuffle")

# Pairs: positions in x, positions in y, correlations.
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def match_units(
    x: Any, y: Any, *, how: str = "mutual", absolute: bool = False, select: Any | None = None
) -> xr.Dataset:
    """Return pairs of units of two networks that respond alike to the same stimuli.

    ``one-to-one`` is the assignment with the largest sum of correlations (up to 5,000 units), ``best`` each
    unit of x with its best partner (units of y may be taken often), ``mutual`` those pairs of which each is
    the other's best. A pair is chosen because its correlation is large, so that r of the stimuli that chose
    it is too large; with ``select``, ``held_out`` is not.

    Parameters
    ----------
    x, y : array, memory-map or DataArray (n_stimuli, n_units)
        Aligned by stimulus where labelled; at least 3 stimuli.
    how : {"mutual", "best", "one-to-one"}
    absolute : bool
        Whether a unit may be matched with one that does the opposite.
    select : array (n_stimuli,) or DataArray (stimulus,) of bool, optional
        Stimuli that choose; the others evaluate. An array stands in the order of x.

    Returns
    -------
    Dataset
        ``x`` and ``y`` (pair,): positions of the units; ``r`` on the stimuli that chose, and ``held_out`` on
        the others where ``select`` is given (NaN where a unit is constant there). ``attrs``: ``n_stimuli``,
        ``n_held_out``, ``n_dead_x``, ``n_dead_y`` (dead units are in no pair), ``n_alone_x``, ``n_alone_y``
        (live units in no pair).

    Raises
    ------
    ShapeError, LabelError
        If the stimuli differ in number or label.
    InvalidValueError
        If a value is not finite, ``how`` is unknown, or there are too many units for an assignment.

    References
    ----------
    Li et al. 2016, ICLR ("Convergent learning": bipartite and semi-matching); Kuhn 1955, Nav Res Logist Q
    2:83; Dravid et al. 2023, ICCV (mutual nearest neighbours).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 4))
    >>> found = match_units(x, x[:, [2, 0, 3]], how="one-to-one")
    >>> found["x"].values.tolist(), found["y"].values.tolist(), found.attrs["n_alone_x"]
    ([0, 2, 3], [1, 0, 2], 1)
    """
    if how not in MATCHINGS:
        raise choice(how, MATCHINGS, name="how")
    first, second = paired({"x": x, "y": y})
    rows, rest = chosen_rows(select, first)
    (i, j, r), dead = MATCHINGS[how](first, second, rows, absolute)
    variables = {"x": ("pair", i), "y": ("pair", j), "r": ("pair", r)}
    if rest is not None:
        variables["held_out"] = ("pair", pair_correlations(first, second, i, j, rest))
    attrs = {
        "how": how,
        "absolute": int(absolute),
        "n_stimuli": len(rows),
        "n_held_out": 0 if rest is None else len(rest),
        "n_dead_x": dead[0],
        "n_dead_y": dead[1],
        "n_alone_x": first.n_units - dead[0] - len(np.unique(i)),
        "n_alone_y": second.n_units - dead[1] - len(np.unique(j)),
    }
    return xr.Dataset(variables, attrs=attrs)


def matching_test(
    x: Any,
    y: Any,
    *,
    select: Any,
    how: str = "mutual",
    null: str = "rotation",
    absolute: bool = False,
    n: int = 199,
    rng: np.random.Generator,
) -> xr.Dataset:
    """Return the mean held-out correlation of matched units, and what matched units have under a null.

    ``rotation`` asks whether single units matter: each draw rotates the units of y at random (within layers
    where they are named), matches again on the stimuli that choose, and evaluates on the others; everything
    that does not depend on the basis stays. ``shuffle`` asks whether the pairs share anything: the pairs
    stay, and the held-out stimuli of y are put in random orders (stimuli must be exchangeable: no time
    series).

    Parameters
    ----------
    x, y : array, memory-map or DataArray (n_stimuli, n_units)
    select : array (n_stimuli,) or DataArray (stimulus,) of bool
        Stimuli that choose; the others evaluate.
    how : {"mutual", "best", "one-to-one"}
    null : {"rotation", "shuffle"}
    absolute : bool
        As in ``match_units``; the size of r is then averaged.
    n : int
        Draws.
    rng : numpy.random.Generator

    Returns
    -------
    Dataset
        ``estimate`` (mean over pairs with a held-out correlation), ``p`` (one-sided), ``null``
        (permutation,), ``baseline`` (its mean). ``attrs``: ``n_pairs``, ``n_undefined`` (pairs whose unit is
        constant on the held-out stimuli), ``n_undefined_null``, the choices, and the counts of
        ``match_units``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``match_units``; or ``select`` is missing.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.maximum(rng.standard_normal((60, 8)), 0)
    >>> found = matching_test(x, x[:, ::-1], select=np.arange(60) < 30, n=19, rng=rng)
    >>> float(found["estimate"]), float(found["p"])
    (1.0, 0.05)
    """
    if null not in NULLS:
        raise choice(null, NULLS, name="null")
    first, second = paired({"x": x, "y": y})
    rows, rest = halves(select, first)
    matched = match_units(x, y, how=how, absolute=absolute, select=select)
    i, j = matched["x"].values, matched["y"].values

    def rotated(draw: np.ndarray) -> float:
        turned = second.turned(random_turn(second, np.random.default_rng(draw.tolist())))
        (a, b, _), _ = MATCHINGS[how](first, turned, rows, absolute)
        return _mean(pair_correlations(first, turned, a, b, rest), absolute)

    def shuffled(order: np.ndarray) -> float:
        moved = Units(second.values, _reordered(second.order, rest, order), "y")
        return _mean(pair_correlations(first, moved, i, j, rest), absolute)

    ways: dict[str, tuple[Callable[[np.ndarray], float], Callable[[np.random.Generator], np.ndarray]]] = {
        "rotation": (rotated, lambda rng: rng.integers(2**32, size=4)),
        "shuffle": (shuffled, lambda rng: rng.permutation(len(rest))),
    }
    statistic, permute = ways[null]
    draws = permutation(statistic, n, permute=permute, rng=rng)
    held = matched["held_out"].values
    estimate = _mean(held, absolute)
    attrs = matched.attrs | {"null": null, "n": int(n), "n_pairs": len(held)}
    attrs |= {"n_undefined": int(np.isnan(held).sum()), "n_undefined_null": int(np.isnan(draws).sum())}
    baseline = float(np.nanmean(draws)) if not np.isnan(draws).all() else float("nan")
    return xr.Dataset(
        {
            "estimate": estimate,
            "p": float(p_value(estimate, draws)),
            "baseline": baseline,
            "null": ("permutation", draws),
        },
        attrs=attrs,
    )


def _best(first: Units, second: Units, rows: np.ndarray, absolute: bool) -> tuple[Pairs, tuple[int, int]]:
    found = partners(first, second, rows, absolute=absolute, both=False)
    own = np.flatnonzero(found["partner_x"][:, 0] >= 0)
    pairs = own, found["partner_x"][own, 0], found["r_x"][own, 0]
    return pairs, (found["n_dead_x"], found["n_dead_y"])


def _mutual(first: Units, second: Units, rows: np.ndarray, absolute: bool) -> tuple[Pairs, tuple[int, int]]:
    found = partners(first, second, rows, absolute=absolute)
    there, back = found["partner_x"][:, 0], found["partner_y"][:, 0]
    own = np.flatnonzero((there >= 0) & (back[there] == np.arange(len(there))))
    return (own, there[own], found["r_x"][own, 0]), (found["n_dead_x"], found["n_dead_y"])


def _one_to_one(
    first: Units, second: Units, rows: np.ndarray, absolute: bool
) -> tuple[Pairs, tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    for units in (first, second):
        if units.n_units > MOST_ASSIGNED:
            raise InvalidValueError(
                f"{units.name} has {units.n_units:,} units; one-to-one matching takes up to "
                f'{MOST_ASSIGNED:,}. Pass how="mutual" or "best", which stream, or match layer by layer.'
            )
    sums = CrossMoments(first.n_units, second.n_units)
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        sums.update(first.read(some), second.read(some))
    r = sums.correlate()
    live_x, live_y = np.flatnonzero(~sums.x.dead), np.flatnonzero(~sums.y.dead)
    r = r[np.ix_(live_x, live_y)]
    i, j = linear_sum_assignment(np.abs(r) if absolute else r, maximize=True)
    pairs = live_x[i], live_y[j], r[i, j]
    return pairs, (int(sums.x.dead.sum()), int(sums.y.dead.sum()))


def _mean(r: np.ndarray, absolute: bool) -> float:
    known = r[~np.isnan(r)]
    return float((np.abs(known) if absolute else known).mean()) if len(known) else float("nan")


def _reordered(order: np.ndarray, rest: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    moved = order.copy()
    moved[rest] = order[rest[shuffled]]
    return moved


MATCHINGS: dict[str, Callable[..., tuple[Pairs, tuple[int, int]]]] = {
    "mutual": _mutual,
    "best": _best,
    "one-to-one": _one_to_one,
}
