"""Universal units: those that have a partner in other networks beyond what a rotated basis would give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..errors import InvalidValueError
from .unit_batches import Units, chosen_rows, paired, random_turn
from .unit_correlation import held_out, partners
from .unit_moments import pair_correlations

__all__ = ["excess_correlation", "mutual_sets"]


def excess_correlation(
    x: Any,
    others: Mapping[str, Any],
    *,
    rng: np.random.Generator,
    n_rotations: int = 1,
    threshold: float = 0.5,
    absolute: bool = False,
    select: Any | None = None,
    progress: bool = False,
) -> xr.Dataset:
    r"""Return how much more each unit of x correlates with its best partner than in a rotated network.

    .. math:: e_i = \frac{1}{M} \sum_m \left( \max_j r(x_i, y^m_j)
        - \frac{1}{R} \sum_{R} \max_j r(x_i, (y^m R)_j) \right)

    R rotates the units of a network at random, layer by layer where it has a coordinate ``layer``. The
    rotated units span the same space with the same distances between stimuli, so that the difference is what
    single units add. The maximum over many units is large by chance where stimuli are few; the baseline
    shares that. With ``select`` partners (also rotated ones) are chosen on some stimuli and correlated on the
    others.

    Parameters
    ----------
    x : array, memory-map or DataArray (n_stimuli, n_units)
    others : mapping of name to array (n_stimuli, n_units)
        Networks that are searched for partners: other seeds, other networks. Aligned by stimulus.
    rng : numpy.random.Generator
        Of the rotations.
    n_rotations : int
        For each network.
    threshold : float
        Excess above which a unit is called universal.
    absolute : bool
        Whether a partner may do the opposite; the size of r then counts everywhere.
    select : array (n_stimuli,) or DataArray (stimulus,) of bool, optional
        Stimuli that choose partners; an array stands in the order of x.
    progress : bool

    Returns
    -------
    Dataset
        ``r``, ``baseline``, ``partner`` (network, unit_x): the best partner's correlation, what a rotated
        network gives, the partner's position (-1 for none); ``excess`` (unit_x,), the mean over the networks
        where it is defined; ``universal`` (unit_x,). With ``select`` r and baseline are held out, and
        ``r_selected``, ``baseline_selected`` are those of the stimuli that chose. ``attrs``: ``share``
        (universal units of those with a defined excess), ``n_undefined`` (units without: dead),
        ``n_stimuli``, ``n_held_out``, ``threshold``, ``n_rotations``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``best_partners``; or there is no other network, or a layer is too wide to rotate.

    References
    ----------
    Gurnee et al. 2024, TMLR ("Universal neurons in GPT2 language models"), section 3. They mix each layer by
    a matrix of Gaussian entries; here by an orthogonal one, so that the rotation is exact.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.maximum(rng.standard_normal((400, 80)), 0)
    >>> found = excess_correlation(x, {"permuted": x[:, ::-1]}, rng=rng)
    >>> found.attrs["share"], round(float(found["r"].min()), 6)
    (1.0, 1.0)
    """
    if not others:
        raise InvalidValueError("others is empty; at least one network to look for partners in is needed.")
    _check_rotations(n_rotations)
    first, *networks = paired({"x": x, **{str(name): y for name, y in others.items()}})
    rows, rest = chosen_rows(select, first)
    shape = len(networks), first.n_units
    r, baseline = (np.zeros((2, *shape)) for _ in range(2))
    at = np.full(shape, -1)
    for m, units in enumerate(tqdm(networks, desc="networks", disable=not progress)):
        r[:, m], at[m] = _best(first, units, rows, rest, absolute)
        for _ in range(n_rotations):
            turned = units.turned(random_turn(units, rng))
            baseline[:, m] += _best(first, turned, rows, rest, absolute)[0] / n_rotations
    apart = r[1] - baseline[1]
    known = ~np.isnan(apart)
    excess = np.where(known, apart, 0.0).sum(axis=0)
    excess = np.divide(excess, known.sum(axis=0), out=np.full(first.n_units, np.nan), where=known.any(axis=0))
    dims = ("network", "unit_x")
    variables = {"r": (dims, r[1]), "baseline": (dims, baseline[1]), "partner": (dims, at)}
    if rest is not None:
        variables |= {"r_selected": (dims, r[0]), "baseline_selected": (dims, baseline[0])}
    universal = excess > threshold
    defined = ~np.isnan(excess)
    attrs = {
        "share": float(universal[defined].mean()) if defined.any() else float("nan"),
        "n_undefined": int((~defined).sum()),
        "n_stimuli": len(rows),
        "n_held_out": 0 if rest is None else len(rest),
        "threshold": float(threshold),
        "n_rotations": int(n_rotations),
        "absolute": int(absolute),
    }
    coords = {**first.coords("x"), "network": list(map(str, others))}
    summary = {"excess": ("unit_x", excess), "universal": ("unit_x", universal)}
    return xr.Dataset(variables | summary, coords=coords, attrs=attrs)


def mutual_sets(
    networks: Mapping[str, Any], *, absolute: bool = False, select: Any | None = None
) -> xr.Dataset:
    """Return sets of units, one of each network, of which every two are each other's best partner.

    Going from unit to partner through the networks in any order comes back to the start: the sets are
    cycle-consistent. With two networks they are the mutual pairs of ``match_units``.

    Parameters
    ----------
    networks : mapping of name to array (n_stimuli, n_units)
        At least two; aligned by stimulus.
    absolute, select
        As in ``match_units``.

    Returns
    -------
    Dataset
        ``unit`` (set, network): positions; ``r`` (set,): the least correlation among its pairs, on the
        stimuli that chose; with ``select`` ``held_out`` (set,), the least on the others. Sorted by r, largest
        first. ``attrs``: ``n_stimuli``, ``n_held_out``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``match_units``; or there are fewer than two networks.

    References
    ----------
    Dravid et al. 2023, ICCV ("Rosetta neurons"), section 3: mutual nearest neighbours of every two models.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> found = mutual_sets({"a": x, "b": x[:, [2, 0, 1]], "c": x[:, ::-1]})
    >>> sorted(found["unit"].values.tolist())
    [[0, 1, 2], [1, 2, 1], [2, 0, 0]]
    """
    if len(networks) < 2:
        raise InvalidValueError(f"at least two networks are needed; got {len(networks)}.")
    units = paired({str(name): x for name, x in networks.items()})
    rows, rest = chosen_rows(select, units[0])
    best = _best_of_all(units, rows, absolute)
    sets = np.column_stack([np.arange(units[0].n_units), *(best[0, m][:, 0] for m in range(1, len(units)))])
    agree = (sets >= 0).all(axis=1)
    sets = sets[agree]
    keep = np.ones(len(sets), dtype=bool)
    for (a, b), partner in best.items():
        keep &= partner[sets[:, a], 0] == sets[:, b]
    sets = sets[keep]
    least = _least(units, sets, rows, absolute)
    order = np.argsort(-least, kind="stable")
    variables = {"unit": (("set", "network"), sets[order]), "r": ("set", least[order])}
    if rest is not None:
        variables["held_out"] = ("set", _least(units, sets[order], rest, absolute))
    attrs = {"n_stimuli": len(rows), "n_held_out": 0 if rest is None else len(rest)}
    return xr.Dataset(variables, coords={"network": list(map(str, networks))}, attrs=attrs)


def _best(
    first: Units, second: Units, rows: np.ndarray, rest: np.ndarray | None, absolute: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return r on the rows that choose and on those that evaluate (2, n_units), and the partners."""
    found = partners(first, second, rows, absolute=absolute, both=False)
    chosen, at = found["r_x"][:, 0], found["partner_x"][:, 0]
    evaluated = chosen if rest is None else held_out(first, second, at[:, None], rest)[:, 0]
    r = np.stack([chosen, evaluated])
    return (np.abs(r) if absolute else r), at


def _best_of_all(units: list[Units], rows: np.ndarray, absolute: bool) -> dict[tuple[int, int], np.ndarray]:
    best = {}
    for a in range(len(units)):
        for b in range(a + 1, len(units)):
            found = partners(units[a], units[b], rows, absolute=absolute)
            best[a, b], best[b, a] = found["partner_x"], found["partner_y"]
    return best


def _least(units: list[Units], sets: np.ndarray, rows: np.ndarray, absolute: bool) -> np.ndarray:
    least = np.full(len(sets), np.inf)
    for a in range(len(units)):
        for b in range(a + 1, len(units)):
            r = pair_correlations(units[a], units[b], sets[:, a], sets[:, b], rows)
            least = np.minimum(least, np.abs(r) if absolute else r)
    return least


def _check_rotations(n_rotations: Any) -> None:
    good = isinstance(n_rotations, int | np.integer) and not isinstance(n_rotations, bool)
    if not good or n_rotations < 1:
        raise InvalidValueError(f"n_rotations must be a positive integer; got {n_rotations!r}.")
