"""Behavioural tasks on language models: which of two sentences is more probable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import LabelError, listing
from ..extraction import LanguageModel, prepare_sentences, sentence_log_probs
from ..schema import labels

__all__ = ["MinimalPairs"]

COLUMNS = ("pair", "paradigm", "field", "good", "bad")


@dataclass(frozen=True)
class MinimalPairs:
    """Minimal pairs: a network is right where the good sentence is more probable than the bad one.

    Log probabilities are summed over the whole sentence.

    Parameters
    ----------
    pairs : DataFrame
        Columns pair (unique), paradigm, field, good, bad.
    prefix : str, optional
        Put before every sentence. It moves the accuracy on BLiMP by about .07, so it is stored with the
        scores; ``None`` leaves the first token without a probability.

    References
    ----------
    Warstadt et al. (2020), BLiMP, TACL 8:377.
    """

    pairs: pd.DataFrame
    prefix: str | None = "<|endoftext|>"

    def __post_init__(self) -> None:
        missing = [column for column in COLUMNS if column not in self.pairs.columns]
        if missing:
            raise LabelError(
                f"minimal pairs lack the columns {listing(missing)}; they have {listing(self.pairs.columns)}."
            )
        labels(self.pairs, on="pair", name="minimal pairs")

    @property
    def digest(self) -> str:
        """What decides the scores of a model: the pairs, in order, and the prefix."""
        text = self.pairs[list(COLUMNS)].to_csv(index=False) + repr(self.prefix)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def name(self) -> str:
        """What the scores are of."""
        return "log p(good) - log p(bad)"

    def prepare(self, model: LanguageModel) -> Callable[[], xr.DataArray]:
        """Return a function that scores the model as it is at the time of the call.

        Sentences are tokenised once, so that many lesions of one model can be scored.

        Returns
        -------
        callable
            Gives a DataArray (item,): log p(good) - log p(bad) in nats, with coordinates item (the pair),
            paradigm and field. Above 0 is right.
        """
        sentences = [*self.pairs["good"], *self.pairs["bad"]]
        prepared = prepare_sentences(model, sentences, prefix=self.prefix)
        coords = {
            "item": self.pairs["pair"].to_numpy(dtype=str),
            "paradigm": ("item", self.pairs["paradigm"].to_numpy(dtype=str)),
            "field": ("item", self.pairs["field"].to_numpy(dtype=str)),
        }

        def score() -> xr.DataArray:
            good, bad = np.split(sentence_log_probs(model, prepared, progress=False), 2)
            attrs = {"prefix": self.prefix, "units": "nats", "long_name": self.name}
            return xr.DataArray(good - bad, dims=("item",), coords=coords, attrs=attrs, name="margin")

        return score
