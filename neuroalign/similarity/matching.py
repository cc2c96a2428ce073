"""Similarity of units to units: matched one to one, and softly (optimal transport) for unequal numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError
from .inputs import as_pair, centred, rescaled

__all__ = ["hard_matching", "soft_matching", "soft_matching_distance"]

# Up to this many copies in all, units of unequal numbers are copied to their least common multiple and
# assigned.
MOST_COPIES = 3000
# A transport problem of more entries than this is refused: the linear program would take hours.
MOST_ENTRIES = 1_000_000


def hard_matching(x: Any, y: Any, *, absolute: bool = False) -> xr.DataArray:
    r"""Return the mean correlation of units matched one to one so that it is largest.

    .. math:: \max_\pi \frac{1}{m} \sum_{i} r(x_i, y_{\pi(i)}), \qquad m = \min(n_x, n_y)

    Units of the larger population that find no partner do not count. Constant units have no correlation: they
    count as 0 where they are matched.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled; at least 3 stimuli.
    y : array or DataArray (n_stimuli, n_units_y)
    absolute : bool
        Whether a unit may be matched with the negative of another (the size of r counts).

    Returns
    -------
    DataArray ()
        -1 to 1; NaN where all units of x or of y are constant. Expect above 0 by chance: it is a maximum.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``cka``.

    References
    ----------
    Li et al. 2016, ICLR ("Convergent learning"); Kuhn 1955, Nav Res Logist Q 2:83 (assignment).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 4))
    >>> round(float(hard_matching(x, 2 * x[:, [2, 0, 3, 1]] + 1)), 6)
    1.0
    """
    from scipy.optimize import linear_sum_assignment

    pair = as_pair(x, y)
    r, defined = _correlations(pair.x, pair.y)
    value = float("nan")
    if defined:
        r = np.abs(r) if absolute else r
        value = float(r[linear_sum_assignment(r, maximize=True)].mean())
    return pair.result(value, "hard_matching", absolute=int(absolute))


def soft_matching(x: Any, y: Any) -> xr.DataArray:
    r"""Return the mean correlation of units under the best soft matching of two populations.

    .. math:: \max_T \sum_{ij} T_{ij} r(x_i, y_j), \qquad
        \sum_j T_{ij} = 1 / n_x, \quad \sum_i T_{ij} = 1 / n_y, \quad T \ge 0

    For equal numbers of units the best T is a permutation (``hard_matching``); otherwise every unit still has
    the same say. Solved exactly. Constant units have correlation 0 to all and their share of T.

    Parameters, errors and counts as in ``hard_matching``; an InvalidValueError where the sizes make the
    linear program too large.

    References
    ----------
    Khosla & Williams 2024, PMLR 243:326.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 2))
    >>> round(float(soft_matching(x, x[:, [0, 0, 0, 1, 1, 1]])), 6)
    1.0
    """
    pair = as_pair(x, y)
    r, defined = _correlations(pair.x, pair.y)
    return pair.result(-_transport(-r) if defined else np.nan, "soft_matching")


def soft_matching_distance(x: Any, y: Any) -> xr.DataArray:
    r"""Return the soft-matching distance of two populations of units, a metric.

    .. math:: d^2 = \min_T \sum_{ij} T_{ij} |\tilde x_i - \tilde y_j|^2

    over the T of ``soft_matching``, of centred units with their scale: the Wasserstein distance of the two
    clouds of units. Constant units stand at 0. Parameters and errors as in ``soft_matching``.

    Returns
    -------
    DataArray ()
        In units of the activations, for all stimuli together.

    References
    ----------
    Khosla & Williams 2024, PMLR 243:326, equation 6.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> round(float(soft_matching_distance(x, x[:, ::-1])), 6)
    0.0
    """
    pair = as_pair(x, y)
    first, second = centred(pair.x), centred(pair.y)
    squares = np.einsum("ij,ij->j", first, first)[:, None] + np.einsum("ij,ij->j", second, second)
    cost = np.maximum(squares - 2 * first.T @ second, 0.0)
    # Entries near 0 are rounding of large squares; the difference itself has the digits.
    for i, j in np.argwhere(cost < 1e-8 * squares):
        cost[i, j] = ((first[:, i] - second[:, j]) ** 2).sum()
    return pair.result(float(np.sqrt(max(_transport(cost), 0.0))), "soft_matching_distance")


def _correlations(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return correlations (n_x, n_y), 0 where a unit is constant, and whether both have one that varies."""
    units, defined = [], True
    for z in (x, y):
        z = rescaled(centred(z))
        length = np.sqrt(np.einsum("ij,ij->j", z, z))
        units.append(z / np.where(length > 0, length, 1.0))
        defined = defined and bool(length.any())
    return np.clip(units[0].T @ units[1], -1.0, 1.0), defined


def _transport(cost: np.ndarray) -> float:
    """Return the least mean cost of moving equal masses of rows to equal masses of columns, exactly."""
    from scipy.optimize import linear_sum_assignment

    n, m = cost.shape
    copies = math.lcm(n, m)
    if copies <= max(MOST_COPIES, n, m):
        # Masses 1 / lcm each: a transport of equal masses has a permutation among its best solutions.
        expanded = np.repeat(np.repeat(cost, copies // n, axis=0), copies // m, axis=1)
        return float(expanded[linear_sum_assignment(expanded)].mean())
    if n * m > MOST_ENTRIES:
        raise InvalidValueError(
            f"soft matching of {n} and {m} units is a linear program of {n * m:,} unknowns; up to "
            f"{MOST_ENTRIES:,} are solved, and any two numbers whose least common multiple is at most "
            f"{MOST_COPIES:,}. Draw fewer units."
        )
    return _linear_program(cost)


def _linear_program(cost: np.ndarray) -> float:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = cost.shape
    rows, columns = kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))
    masses = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    found = linprog(cost.ravel(), A_eq=vstack([rows, columns]), b_eq=masses, method="highs")
    if not found.success:
        raise InvalidValueError(f"the linear program of soft matching was not solved: {found.message}")
    return float(found.fun)
