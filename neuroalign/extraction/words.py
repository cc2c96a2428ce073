"""Activations of the words of a story, which is read in windows that slide over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import InvalidValueError, LabelError, choice, listing
from ..stimuli import join_words
from .models import LanguageModel
from .reading import text_request
from .running import fulfil
from .structure import resolve_layers
from .tokens import Passage, texts_of

__all__ = ["align_words", "extract_words", "windows"]

POOLS = ("mean", "last", "sum")


def extract_words(
    model: LanguageModel,
    words: pd.DataFrame,
    layers: Any = None,
    *,
    context: int = 512,
    stride: int | None = None,
    site: str = "block",
    pool: str = "mean",
    batch_size: int = 4,
    out: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset | Path:
    """Return the activations of every word of a story, each read after the words before it.

    The words, joined by single spaces, are tokenised once. Windows of at most ``context`` tokens slide over
    them; a window gives the values of its last words only, at most ``stride`` tokens of them, so every token
    is read after at least ``context - stride`` others where the story has them (special tokens count as part
    of the context). A word is never split between windows. In decoders the first window gives all its words.
    Encoders look both ways, but never beyond the end of a word's window: at most ``stride`` tokens ahead.

    Parameters
    ----------
    model : LanguageModel
    words : DataFrame
        Columns stimulus (unique) and text, in the order of the story; others (onset, offset) are not read.
    layers
        See ``resolve_layers``.
    context : int
        Tokens in a window, special tokens included.
    stride : int, optional
        Tokens that a window gives the values of; half the context where None.
    site : {"block", "attn_out", "mlp_out", "mlp_act", "resid_pre"}
        See ``extract``.
    pool : {"mean", "last", "sum"}
        Over the tokens of a word. A token that spans a boundary counts for both words.
    batch_size : int
        Windows at once.
    out, progress
        See ``extract``.

    Returns
    -------
    Dataset or path
        As ``extract``, stimulus = words; n_tokens counts the pieces of each word.

    Raises
    ------
    LabelError
        If labels repeat, a layer is unknown, or the tokenizer gives no token for a word.
    InvalidValueError
        If the context is longer than the model reads, or a word longer than the stride.

    Examples
    --------
    >>> words = pd.DataFrame({"stimulus": ["w0", "w1"], "text": ["Once", "upon"]})  # doctest: +SKIP
    >>> extract_words(model, words, layers=[0])["model.layers.0"].shape  # doctest: +SKIP
    (2, 576)
    """
    if pool not in POOLS:
        raise choice(pool, POOLS, name="pool")
    names = resolve_layers(model, layers)
    found, texts = texts_of(words, name="words")
    ids, first, last = align_words(model.tokenizer, found, texts)
    prefix, suffix = _special_ids(model.tokenizer, texts[0])
    stride = context // 2 if stride is None else stride
    _check_window(model, context, stride, prefix.size + suffix.size)
    room = context - prefix.size - suffix.size
    _refuse_long_words(found, last - first, min(stride, room))
    passages = []
    for start, words_of in windows(first, last, context=room, stride=stride, causal=model.is_causal):
        stop = last[words_of[-1] - 1]
        pieces = [_pieces(first[w], last[w], pool) for w in range(*words_of)]
        positions = np.concatenate(pieces) - start + prefix.size
        rows = np.repeat(np.arange(*words_of), [piece.size for piece in pieces])
        passages.append(Passage(np.concatenate([prefix, ids[start:stop], suffix]), positions, rows))
    request = text_request(
        model,
        names,
        (found, texts),
        passages,
        n_tokens=last - first,
        total=pool == "sum",
        site=site,
        pool=pool,
        context=int(context),
        stride=int(stride),
    )
    return fulfil(request, out, batch_size=batch_size, progress=progress)


def _pieces(first: int, last: int, pool: str) -> np.ndarray:
    return np.arange(last - 1 if pool == "last" else first, last)


def _check_window(model: LanguageModel, context: int, stride: int, n_special: int) -> None:
    for name, value in (("context", context), ("stride", stride)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise InvalidValueError(f"{name} must be a positive integer; got {value!r}.")
    if stride + n_special > context:
        raise InvalidValueError(
            f"stride must leave room in the context for {n_special} special tokens; got stride={stride}, "
            f"context={context}."
        )
    if context > model.max_positions:
        raise InvalidValueError(
            f"context must be at most {model.max_positions:.0f}, what {model.name} reads; got {context}."
        )


def _refuse_long_words(found: np.ndarray, pieces: np.ndarray, limit: int) -> None:
    long = np.flatnonzero(pieces > limit)
    if long.size:
        raise InvalidValueError(
            f"words: {long.size} words have more tokens than the stride of {limit}: {listing(found[long])}. "
            "Pass a larger stride and context."
        )


def _special_ids(tokenizer: Any, word: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens that the tokenizer puts before and after every text, seen on a word that has tokens.

    The token of unknown words counts as special, so the mask of special tokens does not tell them apart.
    """
    ids = np.asarray(tokenizer(word)["input_ids"], dtype=np.int64)
    own = np.asarray(tokenizer(word, add_special_tokens=False)["input_ids"], dtype=np.int64)
    for before in range(ids.size - own.size + 1 if own.size else 0):
        if np.array_equal(ids[before : before + own.size], own):
            return ids[:before], ids[before + own.size :]
    raise LabelError(
        f"the tokenizer splits {word!r} into {own.tolist()}, which its own tokens lack: {ids.tolist()}."
    )


def align_words(
    tokenizer: Any, found: np.ndarray, texts: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the running text's token ids (n_tokens,), each word's first token, and the one after its last.

    A token belongs to the words whose characters it overlaps; a space before a word (which byte-level
    tokenizers count to the token) belongs to none.

    Raises
    ------
    LabelError
        If a word has no token; names the words.
    """
    text, spans = join_words(texts)
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = np.asarray(coded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    # tokens stand in the order of the text, so both columns ascend and the overlap is an interval
    starts, stops = np.maximum.accumulate(offsets[:, 0]), np.maximum.accumulate(offsets[:, 1])
    first = np.searchsorted(stops, spans[:, 0], side="right")
    last = np.searchsorted(starts, spans[:, 1], side="left")
    lost = np.flatnonzero(last <= first)
    if lost.size:
        raise LabelError(
            f"words: the tokenizer gives no token for {lost.size} of {len(texts)} words: "
            f"{listing(found[lost])} ({listing([texts[i] for i in lost])})."
        )
    return np.asarray(coded["input_ids"], dtype=np.int64), first, last


def windows(
    first: np.ndarray, last: np.ndarray, *, context: int, stride: int, causal: bool
) -> list[tuple[int, tuple[int, int]]]:
    """Return the first token of every window, and the words (from, before) that it gives the values of.

    Parameters
    ----------
    first, last : array (n_words,)
        Each word's first token, and the one after its last.
    context, stride : int
        Tokens in a window, and tokens that it gives the values of.
    causal : bool
        Whether the first window may give all its words.

    Examples
    --------
    >>> tokens = np.arange(6)
    >>> windows(tokens, tokens + 1, context=4, stride=2, causal=True)
    [(0, (0, 4)), (2, (4, 6))]
    >>> windows(tokens, tokens + 1, context=4, stride=2, causal=False)
    [(0, (0, 2)), (0, (2, 4)), (2, (4, 6))]
    """
    found, word = [], 0
    while word < first.size:
        room = context if causal and word == 0 else stride
        after = int(np.searchsorted(last, first[word] + room, side="right"))
        start = max(0, int(last[after - 1]) - context)
        found.append((start, (word, after)))
        word = after
    return found
