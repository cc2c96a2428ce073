"""Test suites whose predictions compare surprisals of regions between conditions (SyntaxGym)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import InvalidValueError, LabelError, listing
from ..extraction import LanguageModel, prepare_sentences
from ..extraction.probabilities import token_log_probs
from .formulas import Formula, parse_formula
from .tasks import digest_of, item_scores, refuse_columns

__all__ = ["SyntaxGym"]

REGION_COLUMNS = ("suite", "item", "condition", "region", "content")
PREDICTION_COLUMNS = ("suite", "prediction", "formula")


@dataclass(frozen=True)
class SyntaxGym:
    """Suites of items in several conditions, and predictions about the surprisals of their regions.

    A sentence is its regions' contents that are not empty, joined by single spaces. A token belongs to the
    region that holds its last character, and a region's surprisal is the sum over its tokens, in bits; that
    of an empty region is 0. An item's score is the signed margin of the prediction (``Formula.margin``):
    above 0 it holds.

    Parameters
    ----------
    regions : DataFrame
        Columns suite, item, condition, region (number from 1), content; ``datasets.load("syntaxgym")``.
    predictions : DataFrame
        Columns suite, prediction, formula; ``datasets.load("syntaxgym", what="predictions")``.
    prefix : str, optional
        Put before every sentence; without it a sentence's first token has no surprisal, and predictions about
        its region are refused.
    tolerance : float
        In bits: how far surprisals may differ that a prediction calls equal. At 0 such a prediction never
        holds.

    References
    ----------
    Hu, Gauthier, Qian, Wilcox & Levy (2020), ACL, 1725; Gauthier et al. (2020), ACL demos, 70.
    """

    regions: pd.DataFrame
    predictions: pd.DataFrame
    prefix: str | None = "<|endoftext|>"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        refuse_columns(self.regions, REGION_COLUMNS, "regions")
        refuse_columns(self.predictions, PREDICTION_COLUMNS, "predictions")
        unknown = set(self.predictions["suite"]) ^ set(self.regions["suite"])
        if unknown:
            raise LabelError(
                f"regions and predictions are not about the same suites: {listing(sorted(unknown))}."
            )
        for suite, number, formula in self._formulas:
            self._check(suite, number, formula)

    @property
    def digest(self) -> str:
        """What decides the scores of a model: regions, predictions, prefix and tolerance."""
        tables = self.regions[list(REGION_COLUMNS)], self.predictions[list(PREDICTION_COLUMNS)]
        return digest_of(
            *(table.to_csv(index=False) for table in tables), repr((self.prefix, self.tolerance))
        )

    @property
    def name(self) -> str:
        """What the scores are of."""
        return "margin of the prediction"

    @cached_property
    def _formulas(self) -> list[tuple[str, Any, Formula]]:
        rows = self.predictions[list(PREDICTION_COLUMNS)].itertuples(index=False)
        return [(suite, number, parse_formula(text)) for suite, number, text in rows]

    @cached_property
    def _places(self) -> pd.DataFrame:
        """Each region's sentence (a number) and where it ends in it; an empty one with the one before it."""
        table = self.regions[list(REGION_COLUMNS)].sort_values(
            ["suite", "item", "condition", "region"], kind="stable"
        )
        table = table.assign(content=table["content"].str.strip())
        keys = ["suite", "item", "condition"]
        table["sentence"] = table.groupby(keys, sort=False).ngroup()
        if table.duplicated([*keys, "region"]).any():
            first = table[table.duplicated([*keys, "region"])].iloc[0]
            raise LabelError(
                f"regions: {first['suite']}, item {first['item']}, repeats region {first['region']}."
            )
        length = table["content"].str.len()
        step = length + (length > 0)  # with the blank behind it
        return table.assign(end=step.groupby(table["sentence"]).cumsum() - 1).reset_index(drop=True)

    def _check(self, suite: str, number: Any, formula: Formula) -> None:
        rows = self._places[self._places["suite"] == suite]
        n_items = rows["item"].nunique()
        counts = rows.groupby(["region", "condition"])["item"].nunique()
        for region, condition in formula.regions:
            if region == "*":
                found = rows.loc[rows["condition"] == condition, "item"].nunique()
            else:
                found = counts.get((int(region), condition), 0)
            if found != n_items:
                raise LabelError(
                    f"{suite}, prediction {number}: {found} of {n_items} items have region {region} in "
                    f"condition {condition!r}; the conditions are {listing(sorted(set(rows['condition'])))}."
                )
            if self.prefix is None and region in ("1", "*"):
                raise InvalidValueError(
                    f"{suite}, prediction {number}: region {region} has no surprisal without a prefix."
                )

    def prepare(self, model: LanguageModel, n_masks: int = 1) -> Callable[[], xr.DataArray]:
        """Return a function that gives (item,): margins in bits, one an item and prediction.

        The coordinates are item (``suite/item/prediction``), paradigm (the suite) and field (where the
        predictions have one). See ``MinimalPairs.prepare``.
        """
        places = self._places
        texts = places[places["content"] != ""].groupby("sentence")["content"].agg(" ".join)
        if len(texts) != places["sentence"].nunique():
            raise InvalidValueError("some sentences of the suites have no content in any region.")
        prepared = prepare_sentences(model, texts.tolist(), prefix=self.prefix, n_masks=n_masks)
        if prepared.spans is None:
            raise InvalidValueError(
                f"the tokenizer of {model.name} gives no character offsets (it is not fast)."
            )
        region = _region_of_tokens(places, prepared.spans)
        readers = [(formula, self._reader(suite, formula)) for suite, _, formula in self._formulas]
        coords = self._coords()

        def score() -> xr.DataArray:
            log_p = token_log_probs(model, prepared, progress=False)["log_p"].values
            bits = _sums(-np.atleast_2d(log_p) / np.log(2), region, len(places) + 1)
            margins = [
                formula.margin(partial(_summed, bits, rows), tolerance=self.tolerance)
                for formula, rows in readers
            ]
            values = np.concatenate(margins, axis=-1)
            attrs = {
                "prefix": self.prefix,
                "units": "bits",
                "long_name": self.name,
                "tolerance": self.tolerance,
            }
            return item_scores(values if n_masks > 1 else values[0], coords, **attrs).rename("margin")

        return score

    def _reader(self, suite: str, formula: Formula) -> dict[tuple[str, str], np.ndarray]:
        """Return, for every region of a formula, which regions (n_items, n_summed) are summed.

        Where items differ in number, the rest points behind the last region, where 0 stands.
        """
        rows = self._places[self._places["suite"] == suite]
        found = {}
        for region, condition in formula.regions:
            chosen = rows[rows["condition"] == condition]
            if region != "*":
                chosen = chosen[chosen["region"] == int(region)]
            by_item = [group.index.to_numpy() for _, group in chosen.groupby("item")]
            width = max(map(len, by_item))
            found[region, condition] = np.array(
                [[*rows, *[len(self._places)] * (width - len(rows))] for rows in by_item]
            )
        return found

    def _coords(self) -> dict[str, Any]:
        names, suites, fields = [], [], []
        with_field = "field" in self.predictions.columns
        for i, (suite, number, _) in enumerate(self._formulas):
            items = sorted(set(self._places.loc[self._places["suite"] == suite, "item"]))
            names += [f"{suite}/{item}/{number}" for item in items]
            suites += [suite] * len(items)
            fields += [str(self.predictions["field"].iloc[i]) if with_field else "syntax"] * len(items)
        return {"item": names, "paradigm": ("item", suites), "field": ("item", fields)}


def _summed(
    bits: np.ndarray, rows: dict[tuple[str, str], np.ndarray], region: str, condition: str
) -> np.ndarray:
    """Return the surprisal (n_masks, n_items) of a region that a formula names."""
    return bits[:, rows[region, condition]].sum(axis=-1)


def _region_of_tokens(places: pd.DataFrame, spans: list[np.ndarray]) -> np.ndarray:
    """Return the row of ``places`` (n_tokens,) that holds each token's last character."""
    filled = places[places["content"] != ""]
    found = []
    for sentence, tokens in enumerate(spans):
        rows = filled[filled["sentence"] == sentence]
        last = np.maximum(tokens[:, 1] - 1, tokens[:, 0])
        at = np.searchsorted(rows["end"].to_numpy(), last, side="right")
        found.append(rows.index.to_numpy()[np.minimum(at, len(rows) - 1)])
    return np.concatenate(found)


def _sums(bits: np.ndarray, region: np.ndarray, n_regions: int) -> np.ndarray:
    """Return the surprisal (n_masks, n_regions) of every region; one without tokens has 0."""
    return np.stack([np.bincount(region, row, minlength=n_regions) for row in bits])
