"""Whether a variable is coded in the same direction in every context: the parallelism score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError
from ..stats import p_value, permutation
from .conditions import dichotomies_of, random_geometry
from .inputs import as_patterns, classes_of, count

__all__ = ["parallelism_score"]

MOST_CONDITIONS = 14


def parallelism_score(
    activations: xr.DataArray,
    conditions: Any,
    dichotomies: Mapping[str, Sequence[Any]] | None = None,
    *,
    n_null: int = 0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return how parallel the coding directions of dichotomies of conditions are.

    A dichotomy splits 2 m conditions in halves. Each matching of the halves gives m coding vectors,
    :math:`v_i = \mu_i - \mu_{\pi(i)}` between condition means; the score is the mean cosine of two different
    ones, for the matching that has the largest:

    .. math:: PS = \max_\pi \frac{2}{m (m - 1)} \sum_{i < j} \cos(v_i, v_j)

    1 says that the variable is coded in one direction whatever the other variables are (a factorised code),
    0 that directions are unrelated, -1 (of an exclusive-or) that they are opposed. The maximum makes the
    score positive in expectation also for unrelated centres: compare with the null. With two conditions there
    is one vector, and nothing to compare.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit) or (..., stimulus, neuroid)
        Finite; stimuli, or trials under that name. Leading entries are measured for themselves.
    conditions : str or DataArray (stimulus,)
        The condition of each stimulus; 4 to 14 of them, an even number.
    dichotomies : mapping of name to the conditions of one side, optional
        All balanced dichotomies where None.
    n_null : int
        Draws of the geometric null for p: condition means at random places with the data's variance, the
        noise of each condition kept with its units permuted. None where 0. The random places are isotropic,
        so that units of unequal variance or correlated ones alone make p small (6 units of scales .3 to 3:
        .05 or less in a sixth of unstructured sets): scale or whiten them first.
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset
        ``score`` (..., dichotomy), -1 to 1; NaN where two matched conditions have the same mean, counted in
        ``attrs["n_undefined"]``. With draws ``p`` (greater) and ``null`` (draw, ..., dichotomy).

    Raises
    ------
    ShapeError, LabelError
        If dims or labels are missing or differ.
    InvalidValueError
        If a value is not finite, or conditions are odd in number, fewer than 4 or too many.

    References
    ----------
    Bernardi, Benna, Rigotti, Munuera, Fusi & Salzman 2020, Cell 183:954 (score and geometric null).

    Examples
    --------
    >>> square = xr.DataArray(
    ...     [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dims=("stimulus", "unit"),
    ...     coords={"stimulus": list("abcd")})
    >>> found = parallelism_score(square, "stimulus", {"first": ["a", "b"], "xor": ["a", "d"]})
    >>> found.score.values.tolist()
    [1.0, -1.0]
    """
    n_null = count(n_null, "n_null", least=0)
    patterns = as_patterns(activations, least=4)
    codes, names = classes_of(patterns, conditions, name="conditions")
    if not 4 <= len(names) <= MOST_CONDITIONS:
        raise InvalidValueError(
            f"conditions must be 4 to {MOST_CONDITIONS} in number; got {len(names)}. Every matching of two "
            "halves is tried."
        )
    sides = dichotomies_of(names, dichotomies)
    matchings = np.array(list(permutations(range(len(names) // 2))))
    found = patterns.each(lambda x: _scores(x, codes, sides, matchings))
    coords = {"dichotomy": list(sides)}
    out = {"score": patterns.labelled(found, ["dichotomy"], coords=coords)}
    if n_null:
        null = permutation(
            lambda seed: [
                _scores(random_geometry(x, codes, np.random.default_rng(seed)), codes, sides, matchings)
                for x in patterns.values
            ],
            n_null,
            permute=lambda rng: rng.integers(2**63, size=2),
            rng=rng,  # type: ignore[arg-type]
        )
        null = null.reshape(n_null, *found.shape)
        out["p"] = patterns.labelled(p_value(found, null), ["dichotomy"], coords=coords)
        last = patterns.labelled(np.moveaxis(null, 0, -1), ["dichotomy", "draw"], coords=coords)
        out["null"] = last.transpose("draw", ...)
    attrs = {"n_conditions": len(names), "n_undefined": int(np.isnan(found).sum()), "null": "geometric"}
    return xr.Dataset(out, attrs=attrs)


def _scores(
    x: np.ndarray, codes: np.ndarray, sides: dict[str, np.ndarray], matchings: np.ndarray
) -> list[float]:
    means = np.stack([x[codes == k].mean(axis=0) for k in range(codes.max() + 1)])
    means = means - means.mean(axis=0)
    means = means / (np.abs(means).max() or 1.0)
    return [_score(means @ means.T, side, matchings) for side in sides.values()]


def _score(gram: np.ndarray, side: np.ndarray, matchings: np.ndarray) -> float:
    """Return the largest mean cosine over matchings, from inner products of the condition means."""
    first, second = np.flatnonzero(side), np.flatnonzero(~side)
    m, best = len(first), -np.inf
    for matching in matchings:
        other = second[matching]
        between = gram[np.ix_(first, other)]
        inner = gram[np.ix_(first, first)] - between - between.T + gram[np.ix_(other, other)]
        lengths = np.diag(inner)
        # A length within rounding of its terms has no direction.
        if (lengths <= 1e-12 * gram.diagonal().max()).any():
            return float("nan")
        cosine = inner / np.sqrt(np.outer(lengths, lengths))
        best = max(best, float((cosine.sum() - m) / (m * (m - 1))))
    return best
