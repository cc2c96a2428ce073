"""What linear decoders say of unseen conditions (abstraction) and of every dichotomy (shattering)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError
from ..stats import p_value
from .decoders import Decoders, Fold
from .inputs import coordinate, count

__all__ = ["cross_condition_generalisation", "shattering_dimensionality"]


def cross_condition_generalisation(
    activations: xr.DataArray,
    conditions: Any,
    dichotomies: Mapping[str, Sequence[Any]] | None = None,
    *,
    classifier: Any = None,
    n_held_out: int = 1,
    contexts: Any = None,
    n_null: int = 0,
    null: str = "geometric",
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Return how well a linear decoder of a dichotomy does on conditions that it never saw.

    A clone of the classifier is fitted to all stimuli of all but ``n_held_out`` conditions of each half, and
    tested on the stimuli of the conditions left out; accuracy is averaged over the two halves, then over all
    ways of leaving conditions out (m^2 of them for m conditions a half and one left out). High accuracy says
    that the variable is coded in a direction that holds for other values of the other variables; a code of
    high dimension that tells all conditions apart may still be at or below .5.

    With two conditions a half, half of the ways train along a diagonal of the square that the conditions
    make, so that a perfect square has .75 and not 1. Pass ``contexts`` there: one value of the other variable
    is left out at a time, and a square has 1.

    Nothing is fitted on the held-out conditions; what else is to be fitted belongs into the classifier.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit) or (..., stimulus, neuroid)
        Finite; stimuli, or trials under that name. Leading entries are measured for themselves.
    conditions : str or DataArray (stimulus,)
        The condition of each stimulus; at least 4, an even number.
    dichotomies : mapping of name to the conditions of one side, optional
        All balanced dichotomies where None.
    classifier : estimator, optional
        Any classifier of scikit-learn, pipelines too; never fitted itself. Where None, a linear
        support-vector machine (squared hinge, C = 1, balanced classes) on patterns divided by one number,
        their root mean square around the unit means. Units are not standardised: one that hardly varies over
        the training conditions would be blown up, and turn the decoder wherever it varies in those left out.
    n_held_out : int
        Conditions of each half that are left out; at least one stays.
    contexts : str or DataArray (stimulus,), optional
        A label of each stimulus: all stimuli of one context are left out at a time, in place of the above.
        A dichotomy that is the same for a whole context cannot be tested there; it is NaN where that is so of
        all contexts.
    n_null : int
        Draws for p; each fits everything again. None where 0.
    null : {"geometric", "shuffle"}
        ``geometric``: condition means at random places with the data's variance, the noise of each condition
        kept with its units permuted: are conditions arranged better than at random? The places are isotropic,
        so that units of unequal variance or correlated ones make p too small: scale or whiten them first.
        ``shuffle``: conditions permuted over stimuli: is there anything at all?
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset
        ``accuracy`` (..., dichotomy), chance .5. With draws ``p`` (greater) and ``null`` (draw, ...,
        dichotomy).

    Raises
    ------
    ShapeError, LabelError
        If dims or labels are missing or differ.
    InvalidValueError
        If a value is not finite, conditions are odd in number or fewer than 4, or too many are held out.

    References
    ----------
    Bernardi et al. 2020, Cell 183:954.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kind = np.repeat(["a", "b", "c", "d"], 10)
    >>> centres = {"a": [0, 0], "b": [0, 4], "c": [4, 0], "d": [4, 4]}
    >>> trials = xr.DataArray(
    ...     np.array([centres[k] for k in kind]) + 0.3 * rng.standard_normal((40, 2)),
    ...     dims=("stimulus", "unit"), coords={"stimulus": np.arange(40), "kind": ("stimulus", kind),
    ...     "second": ("stimulus", np.isin(kind, ["a", "c"]))})
    >>> sides = {"first": ["a", "b"], "xor": ["a", "d"]}
    >>> found = cross_condition_generalisation(trials, "kind", sides, contexts="second")
    >>> found.accuracy.values.tolist()
    [1.0, 0.0]
    """
    work = Decoders.of(activations, conditions, dichotomies, classifier, n_null, null)
    half = len(work.names) // 2
    if not 1 <= count(n_held_out, "n_held_out") < half:
        raise InvalidValueError(
            f"n_held_out must be from 1 to {half - 1}, so that one of {half} conditions a half stays; got "
            f"{n_held_out}."
        )

    if contexts is not None:
        parts = work.leave_one_out(coordinate(work.patterns, contexts, name="contexts"), "contexts")
        return work.result(lambda codes, side: parts, n_null, null, rng)

    def folds(codes: np.ndarray, side: np.ndarray) -> list[Fold]:
        halves = (np.flatnonzero(side), np.flatnonzero(~side))
        found = []
        for held in product(*(combinations(conditions, n_held_out) for conditions in halves)):
            out = np.isin(codes, np.concatenate(held))
            found.append((np.flatnonzero(~out), np.flatnonzero(out)))
        return found

    return work.result(folds, n_null, null, rng)


def shattering_dimensionality(
    activations: xr.DataArray,
    conditions: Any,
    dichotomies: Mapping[str, Sequence[Any]] | None = None,
    *,
    classifier: Any = None,
    folds: int | str = 5,
    n_null: int = 0,
    null: str = "shuffle",
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Return how well every balanced dichotomy of the conditions can be read out, on held-out stimuli.

    The mean over all balanced dichotomies is the shattering dimensionality: near 1 where a linear readout can
    make any split of the conditions, near .5 where none. A factorised code of few dimensions has some
    dichotomies (exclusive-or) at chance.

    Parameters
    ----------
    activations, conditions, dichotomies, classifier, n_null, rng
        As in ``cross_condition_generalisation``.
    folds : int or str
        Number of folds, each with its share of every condition (in the order of the stimuli), or a coordinate
        (run, item) that must not be on both sides: one of its values is left out at a time.
    null : {"shuffle", "geometric"}
        ``shuffle``: conditions permuted among the stimuli of a fold. ``geometric`` as in
        ``cross_condition_generalisation``.

    Returns
    -------
    Dataset
        ``accuracy`` (..., dichotomy), the mean over folds of the mean over the two halves, NaN where every
        fold lacks a half; ``mean`` (...), the shattering dimensionality. With draws ``p`` and ``null`` of
        each dichotomy, ``p_mean`` of the mean.

    Raises
    ------
    ShapeError, LabelError
        If dims or labels are missing or differ.
    InvalidValueError
        If a value is not finite, conditions are odd in number, or have fewer stimuli than folds.

    References
    ----------
    Rigotti et al. 2013, Nature 497:585; Bernardi et al. 2020, Cell 183:954.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kind = np.repeat(["a", "b", "c", "d"], 10)
    >>> centres = {"a": [0, 0], "b": [0, 4], "c": [4, 0], "d": [4, 4]}
    >>> trials = xr.DataArray(
    ...     np.array([centres[k] for k in kind]) + 0.3 * rng.standard_normal((40, 2)),
    ...     dims=("stimulus", "unit"), coords={"stimulus": np.arange(40), "kind": ("stimulus", kind)})
    >>> found = shattering_dimensionality(trials, "kind")
    >>> bool(found.accuracy.sel(dichotomy="a+b") == 1), bool(found.accuracy.sel(dichotomy="a+d") < 0.8)
    (True, True)
    """
    work = Decoders.of(activations, conditions, dichotomies, classifier, n_null, null)
    of_row = work.fold_of_rows(folds)
    parts = work.leave_one_out(of_row, "folds")
    found = work.result(lambda codes, side: parts, n_null, null, rng, within=of_row)
    found["mean"] = found["accuracy"].mean("dichotomy", skipna=False)
    if n_null:
        means = found["null"].mean("dichotomy", skipna=False)
        found["p_mean"] = found["mean"].copy(data=p_value(found["mean"].values, means.values))
    return found
