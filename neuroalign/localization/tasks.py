"""Behavioural tasks on language models: minimal pairs, and how probable texts are.

The score of an item is higher where the network does better. ``attrs["outcome"]`` says what counts: for
``"accuracy"``, the default, an item above 0 is right; for ``"mean"`` the score itself is what is averaged.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..extraction import LanguageModel, prepare_sentences, sentence_log_probs
from ..schema import labels

__all__ = [
    "OUTCOMES",
    "MinimalPairs",
    "Perplexity",
    "Task",
    "item_scores",
    "item_values",
    "outcome_of",
    "perplexity",
]

COLUMNS = ("pair", "paradigm", "field", "good", "bad")
OUTCOMES = ("accuracy", "mean")


class Task(Protocol):
    """Anything that prepares a model and then scores it, item by item; higher is better.

    ``prepare(model)`` returns a function that gives a DataArray (item,). A task that takes several masks at
    once has ``prepare(model, n_masks=n)``, whose function gives (mask, item). ``digest`` names what decides
    the scores of a model, ``name`` what they are of; both are optional.
    """

    def prepare(self, model: LanguageModel) -> Callable[[], xr.DataArray]:
        """Return a function that gives a DataArray (item,)."""


def outcome_of(scores: xr.DataArray, outcome: str | None = None) -> str:
    """Return what counts, ``"accuracy"`` or ``"mean"``: as asked for, else as the scores say."""
    found = outcome or scores.attrs.get("outcome", "accuracy")
    if found not in OUTCOMES:
        raise choice(found, OUTCOMES, name="outcome")
    return found


def item_values(scores: xr.DataArray, outcome: str) -> xr.DataArray:
    """Return what is averaged over items, float64: 1 where an item is right and 0 elsewhere, or the score."""
    if "item" not in scores.dims or not scores.sizes["item"]:
        raise ShapeError(f"scores need at least 1 along the dim 'item'; got {dict(scores.sizes)}.")
    # NaN > 0 is False: an item without a score would count as wrong.
    values = as_float(scores.values, name="scores")
    return scores.copy(data=(values > 0).astype(np.float64) if outcome == "accuracy" else values)


def item_scores(values: np.ndarray, coords: Mapping[str, Any], **attrs: Any) -> xr.DataArray:
    """Return scores (item,), or (mask, item) where there are several masks."""
    dims = ("mask", "item") if values.ndim == 2 else ("item",)
    return xr.DataArray(values, dims=dims, coords=coords, attrs=attrs)


def prepare_task(task: Task, model: LanguageModel, n_masks: int) -> Callable[[], xr.DataArray]:
    """Return ``task.prepare`` for so many masks at once, if the task takes several."""
    if n_masks == 1:
        return task.prepare(model)
    prepare: Callable[..., Any] = task.prepare
    if "n_masks" not in inspect.signature(prepare).parameters:
        raise InvalidValueError(
            f"{type(task).__name__} scores one mask at a time (its prepare takes no n_masks); got {n_masks}."
        )
    return prepare(model, n_masks=n_masks)


def digest_of(*parts: str) -> str:
    """Return the SHA-256 of texts that decide a task's scores."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def refuse_columns(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise a LabelError that names the columns that a task's table lacks."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise LabelError(f"{name} lack the columns {listing(missing)}; they have {listing(table.columns)}.")


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
        refuse_columns(self.pairs, COLUMNS, "minimal pairs")
        labels(self.pairs, on="pair", name="minimal pairs")

    @property
    def digest(self) -> str:
        """What decides the scores of a model: the pairs, in order, and the prefix."""
        return digest_of(self.pairs[list(COLUMNS)].to_csv(index=False), repr(self.prefix))

    @property
    def name(self) -> str:
        """What the scores are of."""
        return "log p(good) - log p(bad)"

    def prepare(self, model: LanguageModel, n_masks: int = 1) -> Callable[[], xr.DataArray]:
        """Return a function that scores the model as it is at the time of the call.

        Sentences are tokenised once, so that many lesions of one model can be scored.

        Returns
        -------
        callable
            Gives a DataArray (item,): log p(good) - log p(bad) in nats, with coordinates item (the pair),
            paradigm and field. Above 0 is right. With ``n_masks`` above 1, (mask, item), for a ``lesion`` of
            as many masks.
        """
        sentences = [*self.pairs["good"], *self.pairs["bad"]]
        prepared = prepare_sentences(model, sentences, prefix=self.prefix, n_masks=n_masks)
        coords = {
            "item": self.pairs["pair"].to_numpy(dtype=str),
            "paradigm": ("item", self.pairs["paradigm"].to_numpy(dtype=str)),
            "field": ("item", self.pairs["field"].to_numpy(dtype=str)),
        }

        def score() -> xr.DataArray:
            good, bad = np.split(sentence_log_probs(model, prepared, progress=False), 2, axis=-1)
            attrs = {"prefix": self.prefix, "units": "nats", "long_name": self.name}
            return item_scores(good - bad, coords, **attrs).rename("margin")

        return score


@dataclass(frozen=True)
class Perplexity:
    """How probable texts are: an item's score is its mean log probability a token.

    That is minus the negative log likelihood per token, so that higher is better, as in every task; there is
    no right or wrong (``attrs["outcome"]`` is ``"mean"``). ``perplexity`` makes perplexities of the scores.

    Parameters
    ----------
    texts : DataFrame
        Columns stimulus (unique) and text; paradigm and field, where there are any, are kept.
    prefix : str, optional
        Put before every text; ``None`` leaves the first token without a probability.
    """

    texts: pd.DataFrame
    prefix: str | None = "<|endoftext|>"

    def __post_init__(self) -> None:
        refuse_columns(self.texts, ("stimulus", "text"), "texts")
        labels(self.texts, name="texts")

    @property
    def digest(self) -> str:
        """What decides the scores of a model: the texts, in order, and the prefix."""
        kept = [c for c in ("stimulus", "text", "paradigm", "field") if c in self.texts.columns]
        return digest_of("perplexity", self.texts[kept].to_csv(index=False), repr(self.prefix))

    @property
    def name(self) -> str:
        """What the scores are of."""
        return "mean log p of a token"

    def prepare(self, model: LanguageModel, n_masks: int = 1) -> Callable[[], xr.DataArray]:
        """Return a function that gives (item,), in nats a token, with the coordinate ``n_tokens`` (item,).

        See ``MinimalPairs.prepare``.
        """
        texts = self.texts["text"].tolist()
        prepared = prepare_sentences(model, texts, prefix=self.prefix, n_masks=n_masks)
        coded = model.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        n_tokens = np.array([len(ids) - (self.prefix is None) for ids in coded])
        coords: dict[str, Any] = {"item": self.texts["stimulus"].to_numpy(dtype=str)}
        coords["n_tokens"] = ("item", n_tokens)
        for name in ("paradigm", "field"):
            if name in self.texts.columns:
                coords[name] = ("item", self.texts[name].to_numpy(dtype=str))

        def score() -> xr.DataArray:
            mean = sentence_log_probs(model, prepared, progress=False) / n_tokens
            attrs = {"prefix": self.prefix, "units": "nats", "long_name": self.name, "outcome": "mean"}
            return item_scores(mean, coords, **attrs).rename("log_p")

        return score


def perplexity(scores: xr.DataArray) -> xr.DataArray:
    """Return perplexity, exp(- mean log p a token), every token of all texts weighing the same.

    Parameters
    ----------
    scores : DataArray (..., item)
        Of ``Perplexity``, with the coordinate ``n_tokens`` (item,).

    Returns
    -------
    DataArray (...)

    Raises
    ------
    InvalidValueError
        If a score is not finite: a text that was left out would make the rest look more probable.
    """
    if "n_tokens" not in scores.coords:
        raise LabelError(f"scores lack the coordinate 'n_tokens'; they have {listing(scores.coords)}.")
    scores = item_values(scores, "mean")
    mean = (scores * scores["n_tokens"]).sum("item") / scores["n_tokens"].sum()
    return xr.apply_ufunc(np.exp, -mean).rename("perplexity")
