"""A ceiling for infinitely many subjects, extrapolated from subsets of those at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import minimize_scalar

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .bootstraps import bootstrap
from .permutations import check_draws

__all__ = ["extrapolated_ceiling", "fit_saturation"]

# Scales that are tried, as shares of the smallest and of the largest size. Beyond, the curve has no bend.
GRID = (0.02, 20.0)
N_GRID = 120


def extrapolated_ceiling(
    ceiling: Callable[[np.ndarray], Any],
    n_subjects: int,
    *,
    rng: np.random.Generator,
    n_subsets: int = 10,
    n: int = 100,
    sizes: Sequence[int] | None = None,
    maximum: float = 1.0,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Return the ceiling that ever more subjects would reach, :math:`v(x) = v_0 (1 - e^{-x / \tau})`.

    For each size x random subsets of x subjects are drawn without replacement, the ceiling of each is taken,
    and the curve is fitted by least squares to the mean over the subsets of a size. The interval is a
    bootstrap over the subsets of every size. Subsets of the same subjects overlap, so it holds how subsets
    differ, not how another sample of subjects would. (Schrimpf et al. report the median of the bootstrap fits
    with v0 bounded by 1; here it is the fit to all subsets.)

    Parameters
    ----------
    ceiling : callable
        From the numbers of the subjects (x,) to a number or an array (...), such as their mean leave-one-out
        correlation.
    n_subjects : int
        At least 4.
    rng : numpy.random.Generator
    n_subsets : int
        Subsets a size; the only subset of all subjects is taken as often, and does not vary.
    n : int
        Bootstrap draws.
    sizes : sequence of int, optional
        At least 3 different ones, from 2 on; all from 2 to ``n_subjects`` where None.
    maximum : float
        The largest value a ceiling can have; a fit above it is undefined.
    level : float
        Of the interval.

    Returns
    -------
    Dataset
        ``v0``, ``tau`` (subjects), ``lower`` and ``upper`` (of v0) with the dims of the ceiling (``item_0``,
        ...); ``ceiling`` (size, ...), the means over subsets. NaN where the curve does not bend within the
        sizes, or v0 is not between 0 and ``maximum``: ``attrs["n_undefined"]`` counts these and the variable
        ``n_undefined_draws`` the bootstrap draws.

    Raises
    ------
    InvalidValueError
        If there are too few subjects or sizes, or a size is out of range.

    References
    ----------
    Schrimpf et al. 2021, PNAS 118:e2105646118.

    Examples
    --------
    >>> found = extrapolated_ceiling(
    ...     lambda who: 0.5 * (1 - np.exp(-len(who) / 3)), 8, rng=np.random.default_rng(0), n=10)
    >>> round(float(found.v0), 4), round(float(found.tau), 4)
    (0.5, 3.0)
    """
    chosen = _checked_sizes(n_subjects, sizes)
    check_draws(n_subsets, rng)
    if not np.isfinite(maximum) or maximum <= 0:
        raise InvalidValueError(f"maximum must be positive and finite; got {maximum!r}.")
    values = np.stack(
        [
            [
                np.asarray(ceiling(np.sort(rng.permutation(n_subjects)[:size])), dtype=np.float64)
                for _ in range(n_subsets)
            ]
            for size in chosen
        ]
    )

    def fitted(index: np.ndarray) -> np.ndarray:
        return np.stack(fit_saturation(chosen, values[:, index].mean(axis=1), maximum=maximum))

    found = bootstrap(fitted, n_subsets, n=n, rng=rng, level=level)
    dims = tuple(f"item_{i}" for i in range(values.ndim - 2))
    v0, tau = found.estimate
    variables = {
        "v0": (dims, v0),
        "tau": (dims, tau),
        "lower": (dims, found.lower[0]),
        "upper": (dims, found.upper[0]),
        "n_undefined_draws": (dims, found.n_undefined[0]),
        "ceiling": (("size", *dims), values.mean(axis=1)),
    }
    attrs = {
        "n_subjects": n_subjects,
        "n_subsets": n_subsets,
        "n_draws": n,
        "level": float(level),
        "n_undefined": int(np.isnan(v0).sum()),
    }
    return xr.Dataset(variables, coords={"size": chosen}, attrs=attrs)


def fit_saturation(sizes: Any, values: Any, *, maximum: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    r"""Return v0 and tau of :math:`v(x) = v_0 (1 - e^{-x / \tau})`, fitted by least squares.

    For a given tau the best v0 is linear, so that only tau is searched: a grid over its logarithm, then
    scipy's bounded search between the neighbours of the best point. No start value can fail.

    Parameters
    ----------
    sizes : array (n_sizes,)
        Positive; at least 3 different ones.
    values : array (n_sizes, ...)
        NaN gives NaN.
    maximum : float
        Largest v0 that is let through.

    Returns
    -------
    v0, tau : array (...)
        NaN where the best tau is beyond 20 times the largest size (a straight line fits as well, and v0 may
        be anything), or v0 is not between 0 and ``maximum``. A curve that has settled before the smallest
        size has a v0, and a tau at .02 of that size at the least.

    Examples
    --------
    >>> x = np.arange(2.0, 12.0)
    >>> v0, tau = fit_saturation(x, 0.4 * (1 - np.exp(-x / 5)))
    >>> round(float(v0), 6), round(float(tau), 6)
    (0.4, 5.0)
    """
    sizes = as_float(sizes, name="sizes", ndim=1)
    values = as_float(values, name="values", missing=True)
    if values.ndim < 1 or values.shape[:1] != sizes.shape:
        raise ShapeError(f"values must have shape ({len(sizes)}, ...); got {values.shape}.")
    if len(np.unique(sizes)) < 3 or sizes.min() <= 0:
        raise InvalidValueError(f"a curve needs at least 3 different positive sizes; got {sizes.tolist()}.")
    columns = values.reshape(len(sizes), -1)
    grid = np.linspace(np.log(GRID[0] * sizes.min()), np.log(GRID[1] * sizes.max()), N_GRID)
    curves = 1 - np.exp(-sizes[:, None] / np.exp(grid))
    fits = (curves.T @ columns) ** 2 / (curves**2).sum(axis=0)[:, None]
    known = ~np.isnan(columns).any(axis=0)
    best = np.argmax(np.where(known, fits, 0.0), axis=0)
    v0, tau = np.full((2, columns.shape[1]), np.nan)
    for j in np.flatnonzero(known & (best < N_GRID - 1)):
        v0[j], tau[j] = _refined(sizes, columns[:, j], grid[max(best[j] - 1, 0)], grid[best[j] + 1])
    good = (v0 > 0) & (v0 <= maximum)
    shape = values.shape[1:]
    return np.where(good, v0, np.nan).reshape(shape), np.where(good, tau, np.nan).reshape(shape)


def _refined(sizes: np.ndarray, values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    def solve(log_tau: float) -> tuple[float, float]:
        curve = 1 - np.exp(-sizes / np.exp(log_tau))
        v0 = float(curve @ values / (curve @ curve))
        return v0, float(((values - v0 * curve) ** 2).sum())

    found = minimize_scalar(
        lambda at: solve(at)[1], bounds=(low, high), method="bounded", options={"xatol": 1e-9}
    )
    return solve(found.x)[0], float(np.exp(found.x))


def _checked_sizes(n_subjects: int, sizes: Sequence[int] | None) -> np.ndarray:
    if isinstance(n_subjects, bool) or not isinstance(n_subjects, int | np.integer) or n_subjects < 4:
        raise InvalidValueError(f"an extrapolation needs at least 4 subjects; got {n_subjects!r}.")
    chosen = np.arange(2, n_subjects + 1) if sizes is None else np.unique(np.asarray(sizes))
    if chosen.dtype.kind not in "iu" or len(chosen) < 3 or chosen[0] < 2 or chosen[-1] > n_subjects:
        raise InvalidValueError(
            f"sizes must be at least 3 different integers from 2 to {n_subjects}; got {list(sizes or [])}."
        )
    return chosen
