"""From text to passages of tokens that a network reads, and from passages to padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import InvalidValueError, LabelError, choice, listing
from ..io import content_digest
from ..schema import labels
from .models import LanguageModel

__all__ = ["Batch", "Passage", "collate", "ids_digest", "pooled_tokens", "texts_of", "tokenise"]

TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class Passage:
    """One sequence that is read at once, and which of its tokens make which rows of the result.

    ``ids`` (n_tokens,) are what the network reads, special tokens included. Token ``positions[i]`` belongs to
    row ``rows[i]``; a row's tokens all stand in one passage.
    """

    ids: np.ndarray
    positions: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Passages padded on the right: ids and mask (n_passages, n_tokens), and the tokens of every row.

    Token ``positions[i]`` of the flattened batch belongs to row ``local[i]``, which is row ``rows[local[i]]``
    of the result.
    """

    ids: np.ndarray
    mask: np.ndarray
    positions: np.ndarray
    local: np.ndarray
    rows: np.ndarray


def texts_of(stimuli: pd.DataFrame, *, name: str = "stimuli") -> tuple[np.ndarray, list[str]]:
    """Return the labels and texts of a stimulus table, after checking both."""
    found = labels(stimuli, name=name)
    if all(isinstance(label, str) for label in found):
        found = found.astype(np.str_)
    if "text" not in stimuli.columns:
        raise LabelError(f"{name} has no column 'text'; it has {listing(stimuli.columns)}.")
    texts = stimuli["text"].tolist()
    bad = [label for label, text in zip(found, texts, strict=True) if not _is_text(text)]
    if bad:
        raise InvalidValueError(
            f"{name}: {len(bad)} of {len(texts)} texts are blank or no text: {listing(bad)}."
        )
    if not texts:
        raise InvalidValueError(f"{name} has no rows.")
    return found, texts


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())


def tokenise(
    model: LanguageModel, found: np.ndarray, texts: list[str], *, pool: str, max_tokens: int | None
) -> list[Passage]:
    """Return one passage a text, cut to ``max_tokens`` with its special tokens kept.

    Raises
    ------
    InvalidValueError
        If a text is longer than the model can read, or leaves no token of its own.
    """
    if max_tokens is not None and (not isinstance(max_tokens, int | np.integer) or max_tokens < 1):
        raise InvalidValueError(f"max_tokens must be a positive integer or None; got {max_tokens!r}.")
    passages, empty, long = [], [], []
    for row, (label, (ids, mask)) in enumerate(zip(found, _coded(model.tokenizer, texts), strict=True)):
        kept = _cut(np.asarray(mask, dtype=bool), max_tokens)
        content = np.flatnonzero(~np.asarray(mask, dtype=bool)[kept])
        if not content.size:
            empty.append(label)
            continue
        if kept.size > model.max_positions:
            long.append(label)
        positions = pooled_tokens(content, pool)
        passages.append(Passage(np.asarray(ids)[kept], positions, np.full(positions.size, row)))
    if empty:
        raise InvalidValueError(
            f"{len(empty)} of {len(texts)} texts have no token of their own (max_tokens={max_tokens}): "
            f"{listing(empty)}."
        )
    if long:
        raise InvalidValueError(
            f"{len(long)} of {len(texts)} texts are longer than the {model.max_positions:.0f} tokens that "
            f"{model.name} reads: {listing(long)}. Pass max_tokens to cut them, or use extract_words."
        )
    return passages


def _coded(tokenizer: Any, texts: list[str]) -> Iterator[tuple[list[int], list[int]]]:
    """Give each text's token ids, and which of them are special; few texts at once, to bound the memory."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        piece = texts[start : start + TEXTS_AT_ONCE]
        coded = tokenizer(piece, return_special_tokens_mask=True, verbose=False)
        yield from zip(coded["input_ids"], coded["special_tokens_mask"], strict=True)


def _cut(special: np.ndarray, max_tokens: int | None) -> np.ndarray:
    """Return which tokens (n_kept,) stay: the special ones, and the first of the others that fit."""
    everything = np.arange(special.size)
    if max_tokens is None or special.size <= max_tokens:
        return everything
    content = np.flatnonzero(~special)[: max(0, max_tokens - int(special.sum()))]
    return everything[special | np.isin(everything, content)]


def pooled_tokens(content: np.ndarray, pool: str) -> np.ndarray:
    """Return which tokens of a passage are pooled, from those that are not special."""
    if pool == "mean":
        return content
    if pool == "last":
        return content[-1:]
    if pool == "first":
        return np.zeros(1, dtype=content.dtype)
    raise choice(pool, ("last", "mean", "first"), name="pool")


def collate(passages: Sequence[Passage], pad: int) -> Batch:
    """Return passages as one batch, padded on the right."""
    width = max(passage.ids.size for passage in passages)
    ids = np.full((len(passages), width), pad, dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=np.int64)
    for i, passage in enumerate(passages):
        ids[i, : passage.ids.size] = passage.ids
        mask[i, : passage.ids.size] = 1
    positions = np.concatenate([i * width + passage.positions for i, passage in enumerate(passages)])
    rows, local = np.unique(np.concatenate([passage.rows for passage in passages]), return_inverse=True)
    return Batch(ids, mask, positions, local, rows)


def ids_digest(passages: Sequence[Passage]) -> str:
    """Return the SHA-256 of what the network reads and which tokens are pooled."""
    parts = {
        "ids": [passage.ids for passage in passages],
        "positions": [passage.positions for passage in passages],
        "rows": [passage.rows for passage in passages],
    }
    lengths = {f"{name}_lengths": [item.size for item in items] for name, items in parts.items()}
    arrays = {name: (name, np.concatenate(items).astype(np.int64)) for name, items in parts.items()}
    sizes = {name: (name, np.asarray(items, dtype=np.int64)) for name, items in lengths.items()}
    return content_digest(xr.Dataset({**arrays, **sizes}))
