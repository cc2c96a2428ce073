"""Localizer contrasts by name, and stimuli whose two conditions are matched in tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import stimuli as stimuli_room
from ..errors import InvalidValueError, choice, listing
from ..stimuli import check_table

__all__ = ["CONTRASTS", "Contrast", "contrast_stimuli", "match_tokens"]


@dataclass(frozen=True)
class Contrast:
    """Two conditions of a stimulus table.

    Attributes
    ----------
    positive, negative : str
        The condition that is expected to be stronger, and the one it is compared with.
    make : callable or None
        Gives the project's own stimuli; None where the user brings the table.
    """

    positive: str
    negative: str
    make: Callable[..., pd.DataFrame] | None = None


CONTRASTS: dict[str, Contrast] = {
    "language": Contrast("sentence", "nonword", stimuli_room.localizer),
    "multiple_demand": Contrast("hard", "easy", stimuli_room.arithmetic),
    "theory_of_mind": Contrast("false_belief", "false_photograph"),
}


def contrast_stimuli(
    name: str | Contrast, table: pd.DataFrame | None = None, *, column: str = "condition", **options: Any
) -> pd.DataFrame:
    """Return the stimuli of a contrast: columns stimulus, text, condition and, where there is one, run.

    Parameters
    ----------
    name : str or Contrast
        ``language`` (sentences against nonword lists), ``multiple_demand`` (hard against easy sums) or
        ``theory_of_mind`` (false beliefs against false photographs; Dodell-Feder, Koster-Hale, Bedny & Saxe
        2011, NeuroImage 55:705; bring your own table); or ``Contrast("a", "b")`` for two conditions of any
        table.
    table : DataFrame, optional
        The user's stimuli, with the contrast's two conditions; the project's own where None.
    column : str
        Where the table says the condition; it becomes ``condition``.
    **options
        Of the project's own stimuli, such as ``n`` and ``seed`` of ``stimuli.arithmetic``.

    Raises
    ------
    LabelError
        If a column is missing or a label repeated.
    InvalidValueError
        If the contrast is unknown or brings no stimuli of its own, or a condition has fewer than two.

    Examples
    --------
    >>> table = contrast_stimuli("multiple_demand", n=8)
    >>> table["condition"].value_counts().to_dict()
    {'hard': 8, 'easy': 8}
    """
    if not isinstance(name, Contrast) and name not in CONTRASTS:
        raise choice(name, CONTRASTS, name="contrast")
    found = name if isinstance(name, Contrast) else CONTRASTS[name]
    if table is None:
        if found.make is None:
            raise InvalidValueError(
                f"the contrast {name!r} has no stimuli of its own. Pass a table with the columns stimulus, "
                f"text and {column}, which is {found.positive!r} or {found.negative!r}."
            )
        table = found.make(**options)
    elif options:
        raise InvalidValueError(f"a table takes no options; got {listing(options)}.")
    check_table(table, ("text", column), name="the contrast's table")
    kept = table[table[column].isin([found.positive, found.negative])].reset_index(drop=True)
    for condition in (found.positive, found.negative):
        n = int((kept[column] == condition).sum())
        if n < 2:
            present = listing(dict.fromkeys(table[column]))
            raise InvalidValueError(
                f"condition {condition!r} has {n} stimuli; 2 or more are needed. The table has {present}."
            )
    kept = kept.assign(condition=kept[column])
    kept.attrs = dict(table.attrs)
    return kept


def match_tokens(
    table: pd.DataFrame,
    tokenizer: Any,
    positive: str = "sentence",
    negative: str = "nonword",
    *,
    how: str = "cut",
) -> pd.DataFrame:
    """Return stimuli whose two conditions have the same numbers of tokens, run by run.

    A cap in tokens cuts nonword lists to about half their words and leaves sentences whole; after matching,
    length differs between conditions no more.

    Parameters
    ----------
    table : DataFrame
        Columns stimulus, text, condition and, where there is one, run.
    tokenizer : transformers tokenizer
        Of the model that will read them, ``model.tokenizer``; a fast one for ``how="cut"``.
    positive, negative : str
    how : {"cut", "subset"}
        ``cut``: within a run, stimuli of the two conditions are paired by rank of length, and the longer of
        each pair is cut at the end of the token where the other ends. ``subset``: stimuli stay whole, and of
        each length as many of either condition are kept.

    Returns
    -------
    DataFrame
        The stimuli that are left, in the order of the table, with ``n_tokens`` (special tokens left out).

    Raises
    ------
    InvalidValueError
        If nothing is left, or the tokenizer gives no character offsets.
    """
    if how not in MATCHERS:
        raise choice(how, MATCHERS, name="how")
    check_table(table, ("text", "condition"), name="the contrast's table")
    runs = table["run"] if "run" in table.columns else pd.Series(0, index=table.index)
    kept: dict[Any, tuple[str, int]] = {}
    for run in dict.fromkeys(runs.tolist()):
        here = table[runs == run]
        sides = [here.loc[here["condition"] == c, "text"].to_dict() for c in (positive, negative)]
        kept |= MATCHERS[how](sides[0], sides[1], tokenizer)
    if not kept:
        raise InvalidValueError(f"no stimuli of {positive!r} and {negative!r} match in number of tokens.")
    chosen = table.loc[[row for row in table.index if row in kept]]
    texts, sizes = zip(*(kept[row] for row in chosen.index), strict=True)
    chosen = chosen.assign(text=list(texts), n_tokens=list(sizes)).reset_index(drop=True)
    chosen.attrs = dict(table.attrs)
    return chosen


def _n_tokens(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _by_length(side: dict[Any, str], tokenizer: Any) -> list[tuple[int, Any]]:
    sized = [(_n_tokens(tokenizer, text), row) for row, text in side.items()]
    return sorted(sized, key=lambda item: item[0])


def _cut(a: dict[Any, str], b: dict[Any, str], tokenizer: Any) -> dict[Any, tuple[str, int]]:
    kept = {}
    for (n_a, row_a), (n_b, row_b) in zip(_by_length(a, tokenizer), _by_length(b, tokenizer), strict=False):
        for n in range(min(n_a, n_b), 0, -1):
            texts = _first_tokens(tokenizer, a[row_a], n), _first_tokens(tokenizer, b[row_b], n)
            if None not in texts:
                kept[row_a], kept[row_b] = (str(texts[0]), n), (str(texts[1]), n)
                break
    return kept


def _first_tokens(tokenizer: Any, text: str, n: int) -> str | None:
    """Return the beginning of a text that has n tokens by itself; None where cutting changes the tokens."""
    if not getattr(tokenizer, "is_fast", False):
        raise InvalidValueError("how='cut' needs a tokenizer with character offsets (a fast one).")
    spans = np.asarray(
        tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    )
    if len(spans) == n:
        return text
    start = text[: spans[n - 1, 1]].rstrip()
    return start if start and _n_tokens(tokenizer, start) == n else None


def _subset(a: dict[Any, str], b: dict[Any, str], tokenizer: Any) -> dict[Any, tuple[str, int]]:
    kept = {}
    sized = [_by_length(side, tokenizer) for side in (a, b)]
    for n in {size for size, _ in sized[0]}:
        rows = [[row for size, row in side if size == n] for side in sized]
        for row_a, row_b in zip(*rows, strict=False):
            kept[row_a], kept[row_b] = (a[row_a], n), (b[row_b], n)
    return kept


MATCHERS = {"cut": _cut, "subset": _subset}
