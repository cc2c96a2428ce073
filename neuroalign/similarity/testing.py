"""One similarity with its permutation p, its interval over stimuli, and its baselines."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, NeuroalignError, ShapeError, choice
from ..schema import align
from ..stats import bootstrap, p_value, permutation, shuffle
from .inputs import DegenerateWarning, as_matrix, as_pair
from .measures import DISTANCES, Measure, measure_of, quietly, reduced

__all__ = ["test"]

REPEATS = ("drop", "keep")


def test(
    x: Any,
    y: Any,
    measure: str | Measure = "cka",
    *,
    n: int = 1000,
    rng: np.random.Generator,
    untrained: Any | None = None,
    level: float = 0.95,
    repeats: str = "drop",
    distance: bool | None = None,
    **options: Any,
) -> xr.Dataset:
    r"""Return a similarity, its p under shuffled stimuli, its interval over stimuli, and its baselines.

    p is that of a one-sided permutation test: the stimuli of y are put in ``n`` random orders, and the orders
    count that are as alike as the true one, or more. Stimuli must be exchangeable (no time series). The mean
    over the shuffled orders is the baseline that the sizes alone give.

    The interval is over stimuli. A bootstrap draw holds stimuli several times, and two copies are a pair of
    stimuli that agree by construction: this lifts every measure here (the neighbours of a copy are its
    copies; the diagonal of a Gram matrix, the bias of ``cka``, weighs more; ``cca`` has fewer stimuli for as
    many units). With ``repeats="drop"`` each draw therefore keeps its m distinct stimuli once, on average
    .632 n of them, and deviations from the mean of the draws, widened by :math:`\sqrt{m / (n - m)}` as for a
    jackknife that deletes n - m stimuli, are put around the estimate. ``repeats="keep"`` is the plain
    percentile interval, biased as said. Neither corrects the estimate's own bias, and for unrelated
    representations, whose spread shrinks faster, the interval is too wide; p is the test.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled.
    y : array or DataArray (n_stimuli, n_units_y)
    measure : str or callable
        A key of ``MEASURES``, or a function of two arrays (n_stimuli, n_units) that returns a number.
    n : int
        Permutations, and bootstrap draws.
    rng : numpy.random.Generator
    untrained : array or DataArray (n_stimuli, n_units), optional
        The untrained twin of x: what the architecture and the stimuli alone give. Its value and interval are
        returned, and those of the gain (estimate less untrained) from the same draws.
    level : float
        Of the intervals.
    repeats : {"drop", "keep"}
    distance : bool, optional
        Whether lower is more alike; known for the keys of ``MEASURES``, False for a function where None.
    **options
        Passed to the measure.

    Returns
    -------
    Dataset
        ``estimate``, ``lower``, ``upper``, ``p``; ``shuffled`` (mean of the null), ``null`` (permutation,);
        with ``untrained`` also ``untrained``, ``gain`` and their ``_lower`` and ``_upper``. ``attrs``:
        ``measure``, ``n``, ``n_stimuli``, ``n_undefined_null``, ``n_undefined_draws`` (draws that hold too
        few stimuli or are constant; they are left out of intervals and count against p), ``degenerate`` (as
        in the measure; a ``DegenerateWarning`` is given once).

    Raises
    ------
    ShapeError, LabelError
        If the stimuli differ.
    InvalidValueError
        If a choice is unknown, n is not positive or rng no Generator.

    References
    ----------
    Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39 (p); Shao & Wu 1989, Ann Statist 17:1176 (deleting
    several).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((40, 5))
    >>> found = test(x, x + rng.standard_normal((40, 5)), "cka", n=99, rng=rng)
    >>> float(found["p"]), bool(found["lower"] < found["estimate"] < found["upper"])
    (0.01, True)
    """
    if repeats not in REPEATS:
        raise choice(repeats, REPEATS, name="repeats")
    if not 0 < level < 1:
        raise InvalidValueError(f"level must be between 0 and 1; got {level!r}.")
    function, name = measure_of(measure)
    lower_is_closer = name in DISTANCES if distance is None else bool(distance)
    matrices = [reduced(matrix, name) for matrix in _matrices(x, y, untrained)]
    target, sources = matrices[1], [matrices[0], *matrices[2:]]
    estimate, degenerate = quietly(function, sources[0], target, **options)
    n_stimuli = len(target)

    def shuffled(order: np.ndarray) -> float:
        return quietly(function, sources[0], target[order], **options)[0]

    null = permutation(shuffled, n, permute=lambda rng: shuffle(n_stimuli, rng), rng=rng)
    p = p_value(estimate, null, tail="less" if lower_is_closer else "greater")

    def resampled(index: np.ndarray) -> np.ndarray:
        rows = np.unique(index) if repeats == "drop" else index
        values = [_value(function, source[rows], target[rows], options) for source in sources]
        return np.array([*values, *(values[0] - value for value in values[1:]), len(rows)])

    found = bootstrap(resampled, n_stimuli, n=n, rng=rng, level=level)
    estimates, draws, kept = found.estimate[:-1], found.draws[:, :-1], found.draws[:, -1]
    ends = (found.lower[:-1], found.upper[:-1])
    if repeats == "drop":
        ends = _widened(estimates, draws, kept, n_stimuli, level)
    if degenerate:
        warnings.warn(f"{name}: {degenerate}", DegenerateWarning, stacklevel=2)
    variables: dict[str, Any] = {"p": float(p), "null": ("permutation", null)}
    variables["shuffled"] = float(np.nanmean(null)) if not np.isnan(null).all() else float("nan")
    for i, key in enumerate(("estimate", "untrained", "gain")[: len(estimates)]):
        prefix = "" if key == "estimate" else f"{key}_"
        variables |= {key: estimates[i], f"{prefix}lower": ends[0][i], f"{prefix}upper": ends[1][i]}
    attrs = {"measure": name, "n": int(n), "n_stimuli": n_stimuli, "level": level, "repeats": repeats}
    attrs |= {"tail": "less" if lower_is_closer else "greater", "degenerate": degenerate}
    attrs |= {
        "n_undefined_null": int(np.isnan(null).sum()),
        "n_undefined_draws": int(np.isnan(draws[:, 0]).sum()),
    }
    return xr.Dataset(variables, attrs=attrs)


# pytest takes a function of this name for a test wherever it is imported.
test.__test__ = False  # type: ignore[attr-defined]


def _matrices(x: Any, y: Any, untrained: Any | None) -> list[np.ndarray]:
    """Return x, y and, where it is given, the untrained twin, with the same stimuli in the same order."""
    if untrained is None:
        pair = as_pair(x, y)
        return [pair.x, pair.y]
    given = [x, y, untrained]
    names = ["x", "y", "untrained"]
    labelled = [isinstance(array, xr.DataArray) for array in given]
    if any(labelled) and not all(labelled):
        raise ShapeError("x, y and untrained must all have stimulus labels, or none of them.")
    if all(labelled):
        given = list(align(*given, names=names))
    matrices = [as_matrix(array, name) for array, name in zip(given, names, strict=True)]
    if len({len(matrix) for matrix in matrices}) > 1:
        sizes = ", ".join(f"{len(matrix)} in {name}" for matrix, name in zip(matrices, names, strict=True))
        raise ShapeError(f"x, y and untrained must have the same stimuli; got {sizes}.")
    return matrices


def _value(function: Measure, x: np.ndarray, y: np.ndarray, options: dict[str, Any]) -> float:
    """Return the measure of a draw; NaN where the draw has too few stimuli (all together had enough)."""
    try:
        return quietly(function, x, y, **options)[0]
    except NeuroalignError:
        return float("nan")


def _widened(
    estimates: np.ndarray, draws: np.ndarray, kept: np.ndarray, n: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals from draws of ``kept`` of n stimuli without repeats."""
    # A draw of all n stimuli is the estimate and says nothing of its spread.
    factor = np.sqrt(kept / np.where(kept < n, n - kept, np.inf))
    lower, upper = np.full(len(estimates), np.nan), np.full(len(estimates), np.nan)
    for i, estimate in enumerate(estimates):
        known = ~np.isnan(draws[:, i]) & (kept < n)
        if known.sum() > 1 and not np.isnan(estimate):
            apart = factor[known] * (draws[known, i] - draws[known, i].mean())
            lower[i], upper[i] = estimate + np.quantile(apart, [(1 - level) / 2, (1 + level) / 2])
    return lower, upper
