"""People's similarity judgements as RDMs: rated pairs, odd ones out, arrangements on a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ...schema import labels, make_rdm, rdm_stimuli, triangle

__all__ = ["KINDS", "similarity_judgements"]

COLUMNS = {
    "pairs": ("stimulus_a", "stimulus_b", "rating"),
    "triplets": ("stimulus_a", "stimulus_b", "stimulus_c", "odd"),
    "arrangements": ("trial", "stimulus", "x", "y"),
}
HIGHER = ("different", "similar")
Merge = Callable[..., xr.DataArray]


def similarity_judgements(
    table: pd.DataFrame,
    *,
    kind: str,
    subject: str | None = "subject",
    stimuli: Sequence[Any] | None = None,
    higher_is: str | None = None,
    scale: tuple[float, float] | None = None,
    arena: float | None = None,
    merge: Merge | None = None,
) -> xr.DataArray:
    """Return people's judgements as dissimilarities, one RDM a person.

    - ``pairs``, columns stimulus_a, stimulus_b, rating. The dissimilarity is the rating
      (``higher_is="different"``) or the scale's upper end less the rating (``"similar"``). Where both a-b and
      b-a were rated, each order's mean counts half.
    - ``triplets``, columns stimulus_a, stimulus_b, stimulus_c, odd (one of the three): one minus the share of
      a pair's triplets in which the pair was kept. It is a multiple of one over the number of these triplets,
      and it depends on which third stimuli they had.
    - ``arrangements``, columns trial, stimulus, x, y: distances on the screen of each trial, in diameters of
      the arena, brought to one scale and averaged, with weights that grow with the distance, until the
      estimate stands still. ``merge`` does it, which is ``rsa.merge_rdms`` (this room knows no RSA). Only
      ratios of one person's dissimilarities count.

    Parameters
    ----------
    table : DataFrame
        A row a judgement (``arrangements``: a row an item of a trial).
    kind : {"pairs", "triplets", "arrangements"}
    subject : str or None
        The column that says who judged; None takes all rows as one person's, called "all".
    stimuli : sequence, optional
        All stimuli, in the order wanted; those of the table in the order in which they come where None.
    higher_is : {"different", "similar"}
        What a high rating means. Needed for ``pairs``.
    scale : (low, high), optional
        The ends of the rating scale; ratings outside are refused. Where None, the highest rating of the table
        is the upper end.
    arena : float
        Diameter of the arena in the units of x and y. Needed for ``arrangements``.
    merge : callable
        From a list of partial RDMs (pair,) to one. Needed for ``arrangements``.

    Returns
    -------
    DataArray (subject, pair)
        NaN where a person did not judge a pair, counted in ``attrs["n_missing"]``. With ``n_judgements``
        (subject, pair): ratings, triplets or arrangements with the pair; ``pairs`` also ``asymmetry``
        (subject,), the mean absolute difference of the two orders (NaN where no pair was rated in both).
        ``attrs``: kind, units, n_left_out (rows without an answer, or of a stimulus against itself), for
        pairs n_both_orders.

    Raises
    ------
    LabelError
        If a column is missing, a person or stimulus has no label, or an odd one is none of its triplet.
    InvalidValueError
        If a choice is missing or unknown, or ratings are infinite or outside the scale.
    ShapeError
        If no judgement is left, or there are fewer than 3 stimuli.

    References
    ----------
    Kriegeskorte & Mur 2012, Front Psychol 3:245 (arrangements); Hebart, Zheng, Pereira & Baker 2020, Nat Hum
    Behav 4:1173 (triplets).

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "subject": "p1", "stimulus_a": ["cat", "dog", "cat"], "stimulus_b": ["dog", "cat", "car"],
    ...     "rating": [6, 4, 1]})
    >>> found = similarity_judgements(table, kind="pairs", higher_is="similar", scale=(1, 7))
    >>> found.values.tolist(), found["asymmetry"].values.tolist()
    ([[2.0, 6.0, nan]], [2.0])
    """
    if kind not in KINDS:
        raise choice(kind, KINDS, name="kind")
    _refuse_unfit(kind, higher_is, scale, arena, merge)
    table = _checked(table, COLUMNS[kind], subject)
    names = ["stimulus"] if kind == "arrangements" else [c for c in COLUMNS[kind] if c.startswith("stimulus")]
    answer = {"pairs": ["rating"], "triplets": ["odd"], "arrangements": ["x", "y"]}[kind]
    _refuse_unlabelled(table, [*names, *(["trial"] if kind == "arrangements" else [])])
    order = _stimuli(table, names, stimuli)
    kept = table[table[answer].notna().all(axis=1)]
    n_before = len(table)
    if kind == "pairs":
        kept = kept[kept["stimulus_a"] != kept["stimulus_b"]]
        _refuse_bad_ratings(kept["rating"], scale)
    if kept.empty:
        raise ShapeError(f"table: none of {n_before} rows has an answer that can be used.")
    codes = {name: pd.Index(order).get_indexer(kept[name]) for name in names}
    who, people = pd.factorize(kept["subject"])
    options = {"pairs": (higher_is, scale), "triplets": (), "arrangements": (order, arena, merge, people)}[
        kind
    ]
    values, counts, coords, attrs = KINDS[kind](kept, codes, who, len(order), len(people), *options)
    return make_rdm(
        values,
        order,
        dims=["subject"],
        coords={
            "subject": np.asarray(people),
            "n_judgements": (("subject", "pair"), counts),
            **coords,
        },
        attrs={
            "kind": kind,
            **attrs,
            "n_left_out": n_before - len(kept),
            "n_missing": int(np.isnan(values).sum()),
        },
    )


def _pairs(
    table: pd.DataFrame,
    codes: dict[str, np.ndarray],
    who: np.ndarray,
    n: int,
    n_people: int,
    higher_is: str,
    scale: tuple[float, float] | None,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], dict[str, Any]]:
    rating = table["rating"].to_numpy(np.float64)
    high = float(rating.max() if scale is None else scale[1])
    apart = rating if higher_is == "different" else high - rating
    count, total = np.zeros((n_people, n, n)), np.zeros((n_people, n, n))
    place = (who, codes["stimulus_a"], codes["stimulus_b"])
    np.add.at(count, place, 1.0)
    np.add.at(total, place, apart)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    there, back = _upper(mean), _upper(mean.swapaxes(1, 2))
    both = ~np.isnan(there) & ~np.isnan(back)
    values = np.where(both, (there + back) / 2, np.where(np.isnan(there), back, there))
    n_both = both.sum(axis=1)
    difference = np.where(both, np.abs(there - back), 0.0).sum(axis=1)
    asymmetry = np.divide(difference, n_both, out=np.full(n_people, np.nan), where=n_both > 0)
    counts = _upper(count + count.swapaxes(1, 2)).astype(int)
    attrs = {"units": "rating", "higher_was": higher_is, "n_both_orders": int(n_both.sum())}
    return values, counts, {"asymmetry": ("subject", asymmetry)}, attrs | {"highest": high}


def _triplets(
    table: pd.DataFrame, codes: dict[str, np.ndarray], who: np.ndarray, n: int, n_people: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], dict[str, Any]]:
    three = np.stack([codes[f"stimulus_{letter}"] for letter in "abc"], axis=1)
    names = table[[f"stimulus_{letter}" for letter in "abc"]].to_numpy(dtype=object)
    twice = (three[:, 0] == three[:, 1]) | (three[:, 1] == three[:, 2]) | (three[:, 0] == three[:, 2])
    chosen = names == table["odd"].to_numpy(dtype=object)[:, None]
    wrong = np.flatnonzero(twice | (chosen.sum(axis=1) != 1))
    if len(wrong):
        row = table.iloc[wrong[0]]
        raise LabelError(
            f"table: {len(wrong)} rows are no triplet of different stimuli with one of them as the odd one; "
            f"the first is row {table.index[wrong[0]]}: {listing(names[wrong[0]])}, odd {row['odd']!r}."
        )
    shown, kept = np.zeros((n_people, n, n)), np.zeros((n_people, n, n))
    for left in range(3):  # the pair without this one
        a, b = (three[:, i] for i in range(3) if i != left)
        np.add.at(shown, (who, a, b), 1.0)
        np.add.at(kept, (who, a, b), chosen[:, left] * 1.0)
    counts, times = (_upper(x + x.swapaxes(1, 2)) for x in (shown, kept))
    values = 1 - np.divide(times, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return values, counts.astype(int), {}, {"units": "1 - share of triplets"}


def _arrangements(
    table: pd.DataFrame,
    codes: dict[str, np.ndarray],
    who: np.ndarray,
    n: int,
    n_people: int,
    order: np.ndarray,
    arena: float,
    merge: Merge,
    people: Any,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], dict[str, Any]]:
    places = table[["x", "y"]].to_numpy(np.float64) / arena
    if not np.isfinite(places).all():
        raise InvalidValueError("table: x and y must be finite; some are infinite.")
    values = np.full((n_people, n * (n - 1) // 2), np.nan)
    counts = np.zeros(values.shape, dtype=int)
    for i in range(n_people):
        mine = np.flatnonzero(who == i)
        partial = []
        for trial, rows in pd.Series(mine).groupby(table["trial"].to_numpy()[mine], sort=False):
            item = codes["stimulus"][rows]
            if len(set(item.tolist())) < len(item):
                raise LabelError(f"table: trial {trial!r} of {people[i]!r} has a stimulus twice.")
            if len(item) > 1:
                apart = np.linalg.norm(places[rows][:, None] - places[rows][None], axis=-1)
                partial.append(make_rdm(triangle(apart), order[item]))
        if not partial:
            raise ShapeError(f"table: no trial of {people[i]!r} has two stimuli.")
        try:
            merged = merge(partial)
        except (InvalidValueError, LabelError, ShapeError) as error:
            raise type(error)(f"arrangements of {people[i]!r}: {error}") from error
        values[i], counts[i] = _spread(merged, partial, order)
    return values, counts, {}, {"units": "scaled arrangement distance", "arena": float(arena)}


def _spread(
    merged: xr.DataArray, partial: Sequence[xr.DataArray], order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return an RDM over some of the stimuli, and how many partial ones have each pair, over all pairs."""
    n = len(order)
    full, count = np.full((n, n), np.nan), np.zeros((n, n), dtype=int)
    own = pd.Index(order).get_indexer(rdm_stimuli(merged))
    a, b = np.triu_indices(len(own), 1)
    full[own[a], own[b]] = full[own[b], own[a]] = merged.values
    for one in partial:
        shown = pd.Index(order).get_indexer(rdm_stimuli(one))
        count[np.ix_(shown, shown)] += 1
    return _upper(full), _upper(count)


def _upper(matrices: np.ndarray) -> np.ndarray:
    rows, columns = np.triu_indices(matrices.shape[-1], 1)
    return matrices[..., rows, columns]


KINDS: dict[str, Callable[..., Any]] = {
    "pairs": _pairs,
    "triplets": _triplets,
    "arrangements": _arrangements,
}


def _refuse_unfit(kind: str, higher_is: Any, scale: Any, arena: Any, merge: Any) -> None:
    given = {"higher_is": higher_is, "scale": scale, "arena": arena, "merge": merge}
    owner = {"higher_is": "pairs", "scale": "pairs", "arena": "arrangements", "merge": "arrangements"}
    for name, value in given.items():
        if value is not None and owner[name] != kind:
            raise InvalidValueError(f"{name} belongs to kind {owner[name]!r}; the kind is {kind!r}.")
    if kind == "pairs" and higher_is not in HIGHER:
        raise choice(higher_is, HIGHER, name="higher_is")
    if kind == "arrangements" and (arena is None or not (np.isfinite(arena) and arena > 0)):
        raise InvalidValueError(
            f"arena must be the diameter of the arena in the units of x and y, positive; got {arena!r}. "
            "Weights depend on it."
        )
    if kind == "arrangements" and not callable(merge):
        raise InvalidValueError("merge: arrangements need a function that merges RDMs: pass rsa.merge_rdms.")


def _checked(table: Any, columns: Sequence[str], subject: str | None) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise ShapeError(f"table must be a DataFrame; got {type(table).__name__}.")
    needed = [*columns, *([subject] if subject is not None else [])]
    missing = [name for name in needed if name not in table]
    if missing:
        raise LabelError(
            f"table lacks the columns {listing(missing)}; it has {listing(table.columns, limit=20)}. Rename "
            "them with table.rename(columns=...)."
        )
    found = table[list(columns)].assign(subject="all" if subject is None else table[subject])
    if found["subject"].isna().any():
        raise LabelError(f"table: {int(found['subject'].isna().sum())} rows have no {subject!r}.")
    return found


def _refuse_unlabelled(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if table[name].isna().any():
            raise LabelError(f"table: {int(table[name].isna().sum())} of {len(table)} rows have no {name!r}.")


def _stimuli(table: pd.DataFrame, names: Sequence[str], stimuli: Sequence[Any] | None) -> np.ndarray:
    found = pd.unique(table[list(names)].to_numpy().ravel())
    if stimuli is None:
        order = np.asarray(found.tolist())
    else:
        order = np.asarray(stimuli)
        unknown = [label for label in found if label not in set(order.tolist())]
        if unknown:
            raise LabelError(f"table: {listing(unknown)} are none of stimuli.")
    # Refuses repeated ones, also 1 and "1", which are one label in an array.
    labels(pd.DataFrame({"stimulus": order}), name="stimuli")
    if len(order) < 3:
        raise ShapeError(f"judgements need at least 3 stimuli; got {len(order)}.")
    return order


def _refuse_bad_ratings(rating: pd.Series, scale: tuple[float, float] | None) -> None:
    if rating.dtype.kind not in "fiub":
        raise InvalidValueError(f"ratings must be numbers; got dtype {rating.dtype}.")
    low, high = scale if scale is not None else (-np.finfo(np.float64).max, np.finfo(np.float64).max)
    wrong = rating[(rating < low) | (rating > high)]
    if len(wrong):
        raise InvalidValueError(
            f"{len(wrong)} ratings are outside {low:g} to {high:g}; the first is {wrong.iloc[0]} in row "
            f"{wrong.index[0]}."
        )
