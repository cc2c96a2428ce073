"""Conditions, and the ways of splitting them in two halves; cluster centres at random as a null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ..errors import InvalidValueError, ShapeError, listing

__all__ = ["all_dichotomies", "dichotomies_of", "random_geometry"]

MOST = 500


def dichotomies_of(names: np.ndarray, given: Mapping[str, Sequence[Any]] | None) -> dict[str, np.ndarray]:
    """Return which conditions are on the first side of each dichotomy, arrays (n_conditions,) of bool.

    Parameters
    ----------
    names : array (n_conditions,)
    given : mapping of name to the conditions of one side, optional
        All balanced dichotomies where None, named by the conditions of the side of the first one.

    Raises
    ------
    InvalidValueError
        If a side has other conditions, none, or not half of them.
    """
    if len(names) % 2:
        raise InvalidValueError(
            f"conditions must be even in number, to be split in halves; got {len(names)}: {listing(names)}."
        )
    if given is None:
        return all_dichotomies(names)
    found: dict[str, np.ndarray] = {}
    if not given:
        raise ShapeError("dichotomies must hold at least one; pass None for all balanced ones.")
    for name, side in given.items():
        wrong = [item for item in side if item not in names]
        if wrong:
            raise InvalidValueError(
                f"dichotomy {name!r}: {listing(wrong)} are no conditions; there are "
                f"{listing(names, limit=8)}."
            )
        first = np.isin(names, list(side))
        if 2 * first.sum() != len(names):
            raise InvalidValueError(
                f"dichotomy {name!r} must hold {len(names) // 2} of the {len(names)} conditions; got "
                f"{int(first.sum())}."
            )
        found[str(name)] = first
    return found


def all_dichotomies(names: np.ndarray) -> dict[str, np.ndarray]:
    """Return all ways of splitting conditions in halves: 3 of four conditions, 35 of eight."""
    n, found = len(names), dict[str, np.ndarray]()
    for rest in combinations(range(1, n), n // 2 - 1):
        if len(found) == MOST:
            raise InvalidValueError(
                f"{n} conditions have more than {MOST} balanced dichotomies; name the ones that are meant."
            )
        first = np.isin(np.arange(n), [0, *rest])
        found["+".join(str(name) for name in names[first])] = first
    return found


def random_geometry(x: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the patterns with their conditions at random places, and the noise of each as it was.

    Centres are drawn from an isotropic Gaussian and scaled so that the variance of the centres, summed over
    units, is that of the data; the noise cloud of each condition has its units permuted, for itself.

    Parameters
    ----------
    x : array (n_stimuli, n_units)
    codes : array (n_stimuli,) of int
    rng : numpy.random.Generator
    """
    n_conditions = int(codes.max()) + 1
    centres = np.stack([x[codes == k].mean(axis=0) for k in range(n_conditions)])
    drawn = rng.standard_normal(centres.shape)
    drawn = drawn - drawn.mean(axis=0)
    spread = np.sqrt(((centres - centres.mean(axis=0)) ** 2).sum())
    drawn = drawn * (spread / np.sqrt((drawn**2).sum()))
    out = np.empty_like(x)
    for k in range(n_conditions):
        rows = np.flatnonzero(codes == k)
        noise = x[rows] - centres[k]
        out[rows] = centres.mean(axis=0) + drawn[k] + noise[:, rng.permutation(x.shape[1])]
    return out
