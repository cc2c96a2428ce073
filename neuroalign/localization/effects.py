"""Which parts of a task a lesion hurts, and whether two lesions hurt two tasks in opposite ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import InvalidValueError, LabelError, listing
from ..schema import labels
from ..stats import bootstrap, fdr, p_value, permutation, shuffle
from .lesions import INTACT
from .tasks import item_values, outcome_of

__all__ = ["double_dissociation", "lesion_effects_by"]


def lesion_effects_by(
    scores: xr.DataArray,
    named: Sequence[str],
    by: str = "paradigm",
    *,
    rng: np.random.Generator,
    controls: Mapping[Any, Sequence[str]] | None = None,
    n_bootstrap: int = 2000,
    n_permutations: int = 1999,
    outcome: str | None = None,
) -> pd.DataFrame:
    """Return the effect of every named mask on each paradigm or field, with intervals and corrected p.

    Parameters
    ----------
    scores : DataArray (mask, item)
        Of ``lesion_scores``, with the coordinate ``by`` (item,).
    named : sequence of str
        Masks.
    by : str
        Such as ``"paradigm"`` or ``"field"``.
    rng : numpy.random.Generator
    controls : mapping of kind to sequence of str, optional
        Names of the random masks of each kind.
    n_bootstrap, n_permutations : int
    outcome : {"accuracy", "mean"}, optional
        See ``summarize_lesions``.

    Returns
    -------
    DataFrame
        A row a mask and group: mask, ``by``, n_items, intact, score, effect (score - intact; negative is a
        loss), low and high (95 % bootstrap interval, paired over items), ``p`` (two-sided sign-flip
        permutation over items) and ``p_fdr``; for every kind of control ``p_<kind>`` (the share of random
        masks whose loss is at least as large, (1 + n) / (1 + R)) and ``p_fdr_<kind>``. Each is corrected over
        all rows (Benjamini-Hochberg). A group of one item has no interval (NaN).

    Raises
    ------
    LabelError
        If masks or the coordinate are missing.

    Notes
    -----
    The sign-flip test says whether the lesion changed anything at all; the controls say whether a random
    lesion of the same size does as much.
    """
    controls = dict(controls or {})
    wanted = [INTACT, *named, *(name for group in controls.values() for name in group)]
    _refuse_missing(scores, wanted, by)
    items = item_values(scores, outcome_of(scores, outcome))
    change = {name: items.sel(mask=name).values - items.sel(mask=INTACT).values for name in wanted}
    group = scores[by].values
    rows: list[dict[str, Any]] = []
    for name in named:
        for label in dict.fromkeys(group.tolist()):
            inside = group == label
            intact = float(items.sel(mask=INTACT).values[inside].mean())
            effect = change[name][inside]
            row: dict[str, Any] = {"mask": name, by: label, "n_items": effect.size, "intact": intact}
            row |= {"score": intact + effect.mean(), "effect": effect.mean()}
            row |= _paired(effect, n_bootstrap, n_permutations, rng)
            for kind, drawn in controls.items():
                null = np.array([change[other][inside].mean() for other in drawn])
                row[f"p_{kind}"] = float(p_value(effect.mean(), null, tail="less"))
            rows.append(row)
    table = pd.DataFrame(rows)
    for kind in ("", *(f"_{kind}" for kind in controls)):
        table[f"p_fdr{kind}"] = fdr(table[f"p{kind}"].to_numpy())
    return table


def _refuse_missing(scores: xr.DataArray, wanted: Sequence[str], by: str) -> None:
    missing = [name for name in wanted if name not in scores["mask"].values]
    if missing:
        raise LabelError(f"scores lack the masks {listing(missing)}.")
    if by not in scores.coords:
        raise LabelError(f"scores lack the coordinate {by!r}; they have {listing(scores.coords)}.")


def _paired(
    change: np.ndarray, n_bootstrap: int, n_permutations: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return interval and sign-flip p of the mean of paired differences (n_items,)."""
    if change.size < 2:
        return {"low": np.nan, "high": np.nan, "p": np.nan}
    found = bootstrap(lambda chosen: change[chosen].mean(), change.size, n=n_bootstrap, rng=rng)

    def flips(rng: np.random.Generator) -> np.ndarray:
        return rng.choice((-1.0, 1.0), size=change.size)

    null = permutation(lambda signs: (signs * change).mean(), n_permutations, permute=flips, rng=rng)
    p = p_value(change.mean(), null, tail="two-sided")
    return {"low": float(found.lower), "high": float(found.upper), "p": float(p)}


def double_dissociation(
    scores_a: xr.DataArray,
    scores_b: xr.DataArray,
    masks: Sequence[str],
    *,
    rng: np.random.Generator,
    n_bootstrap: int = 2000,
    n_permutations: int = 1999,
    outcome: str | None = None,
) -> xr.Dataset:
    r"""Return the interaction of two masks with two tasks.

    With :math:`D_{task}` the mean over items of the score under the first mask minus that under the second
    (the intact score cancels), the interaction is :math:`D_a - D_b`. It is below 0 where the first mask hurts
    task a more and the second task b.

    Parameters
    ----------
    scores_a, scores_b : DataArray (mask, item)
        Of ``lesion_scores``, two tasks under the same masks.
    masks : sequence of 2 str
        The two lesions.
    rng : numpy.random.Generator
    n_bootstrap, n_permutations : int
    outcome : {"accuracy", "mean"}, optional
        See ``summarize_lesions``. Where one task's outcome is ``mean``, both tasks' differences are divided
        by the standard deviation of the task's intact item scores, so that they can be compared; that of the
        items drawn in every bootstrap draw and permutation, for it is an estimate too.

    Returns
    -------
    xarray.Dataset
        ``interaction``, ``low`` and ``high`` (95 % bootstrap over the items of both tasks), ``p`` (two-sided;
        which task an item belongs to is permuted, which leaves a difference between the masks that both tasks
        share under the null hypothesis); (task,) ``difference``, ``difference_low``, ``difference_high``;
        (mask, task) ``effect`` against the intact model; and ``is_double``: whether the difference is below 0
        in task a and above 0 in task b, both intervals without 0. That alone is a double dissociation: an
        interaction can also come of a lesion that hurts both tasks, one of them more.

    References
    ----------
    Shallice (1988), From Neuropsychology to Mental Structure, chapter 10.
    """
    if len(masks) != 2 or masks[0] == masks[1]:
        raise InvalidValueError(f"a double dissociation is of two masks; got {listing(masks)}.")
    first, second = masks
    tasks, outcomes = (scores_a, scores_b), [outcome_of(x, outcome) for x in (scores_a, scores_b)]
    for scores in tasks:
        _refuse_missing(scores, [INTACT, *masks], "item")
        labels(scores, on="item", name="scores")
    values = [item_values(x, how) for x, how in zip(tasks, outcomes, strict=True)]
    scaled = "mean" in outcomes
    if scaled:
        values = [x / _spread(x.sel(mask=INTACT)) for x in values]
    differences = [x.sel(mask=first).values - x.sel(mask=second).values for x in values]
    pooled = np.concatenate(differences)
    of_a = np.arange(pooled.size) < differences[0].size
    level = _level_of(pooled, [x.sel(mask=INTACT).values for x in values] if scaled else None)

    def both(chosen: np.ndarray) -> np.ndarray:
        a, b = level(chosen[of_a[chosen]]), level(chosen[~of_a[chosen]])
        return np.array([a, b, a - b])

    found = bootstrap(both, pooled.size, n=n_bootstrap, rng=rng)

    def interaction(order: np.ndarray) -> float:
        return level(order[of_a]) - level(order[~of_a])

    null = permutation(interaction, n_permutations, permute=lambda rng: shuffle(pooled.size, rng), rng=rng)
    is_double = bool(found.upper[0] < 0 < found.lower[1])
    effect = [[float((x.sel(mask=m) - x.sel(mask=INTACT)).mean()) for x in values] for m in masks]
    variables: dict[str, Any] = {
        "interaction": found.estimate[2],
        "low": found.lower[2],
        "high": found.upper[2],
        "p": float(p_value(found.estimate[2], null, tail="two-sided")),
        "difference": ("task", found.estimate[:2]),
        "difference_low": ("task", found.lower[:2]),
        "difference_high": ("task", found.upper[:2]),
        "effect": (("mask", "task"), effect),
        "is_double": is_double,
    }
    attrs = {"standardised": scaled, "n_items": [x.size for x in differences]}
    return xr.Dataset(variables, {"mask": list(masks), "task": ["a", "b"]}, attrs)


def _level_of(pooled: np.ndarray, intact: list[np.ndarray] | None) -> Callable[[np.ndarray], float]:
    """Return what gives the mean difference of items, over the spread of their intact scores where given."""
    if intact is None:
        return lambda items: float(pooled[items].mean()) if items.size else np.nan
    # Less the task's mean, since items that change tasks keep the spread of the task they come from.
    centred = np.concatenate([x - x.mean() for x in intact])

    def level(items: np.ndarray) -> float:
        spread = float(centred[items].std(ddof=1)) if items.size > 1 else 0.0
        return float(pooled[items].mean()) / spread if spread > 0 else np.nan

    return level


def _spread(intact: xr.DataArray) -> float:
    spread = float(intact.std(ddof=1))
    if not spread > 0:
        raise InvalidValueError(
            f"a task's {intact.size} intact item scores are all the same: they have no spread to scale by."
        )
    return spread
