"""Log probabilities of sentences under a language model that reads from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from .. import arrays
from ..errors import InvalidValueError, listing
from .models import LanguageModel
from .scoring import scored, sentence_sums
from .sentences import SentenceBatch, Tree, batches, trees

__all__ = ["PreparedSentences", "prepare_sentences", "sentence_log_probs", "token_log_probs"]

LOGITS_BYTES = 100e6
MAX_NODES_AT_ONCE = 1024


@dataclass(frozen=True)
class PreparedSentences:
    """Sentences tokenised and batched once, to be scored many times; made by ``prepare_sentences``.

    ``n_tokens`` counts the tokens of all sentences (prefix included), ``n_read`` those that the network reads
    where sentences share their beginnings. ``spans`` are each sentence's tokens as characters
    (n_tokens, 2), prefix left out; None where the tokenizer cannot say.
    """

    batches: list[SentenceBatch]
    n_sentences: int
    n_tokens: int
    n_read: int
    n_masks: int
    spans: list[np.ndarray] | None = None


def prepare_sentences(
    model: LanguageModel,
    sentences: Sequence[str],
    *,
    prefix: str | None = None,
    n_masks: int = 1,
    share_prefixes: bool = True,
    batch_tokens: int = MAX_NODES_AT_ONCE,
) -> PreparedSentences:
    """Return sentences tokenised and batched, to be scored many times.

    Sentences that begin with the same tokens are read as one tree, each token seeing only its own past. That
    is exact, and it is tried on some of the sentences first: a model that gives other numbers (it has no
    position argument, or attention of its own) reads every sentence by itself.

    Parameters
    ----------
    model : LanguageModel
    sentences : sequence of str
    prefix : str, optional
        Put before every sentence as one token, such as ``"<|endoftext|>"``. No other special token is added.
    n_masks : int
        How many masks ``lesion`` will have in force at once.
    share_prefixes : bool
    batch_tokens : int
        Tokens read at once; fewer where their logits would take more than 100 MB, unless one tree does.

    Raises
    ------
    InvalidValueError
        If the model is no decoder, a sentence is blank, too long, or has no token to score, or the prefix is
        no single token.

    Examples
    --------
    >>> prepared = prepare_sentences(model, ["A cat sleeps."], prefix="<|endoftext|>")  # doctest: +SKIP
    >>> sentence_log_probs(model, prepared).shape  # doctest: +SKIP
    (1,)
    """
    if not model.is_causal:
        raise InvalidValueError(
            f"{model.name} reads in both directions; it gives no next-token probabilities."
        )
    if n_masks < 1 or batch_tokens < 1:
        raise InvalidValueError(f"n_masks and batch_tokens must be positive; got {n_masks}, {batch_tokens}.")
    start = _prefix_ids(model, prefix)
    tokens = _sentence_ids(model, sentences, start)
    limits = {
        "max_nodes": max(1, min(batch_tokens, int(LOGITS_BYTES / (4 * len(model.tokenizer)))) // n_masks),
        "pad": 0 if model.tokenizer.pad_token_id is None else int(model.tokenizer.pad_token_id),
    }
    forest = trees(tokens, share=share_prefixes and _can_share(model, tokens))
    if not _reads_trees(model, forest, tokens, limits, n_masks):
        forest = trees(tokens, share=False)
    return PreparedSentences(
        batches=batches(forest, **limits),
        n_sentences=len(tokens),
        n_tokens=sum(map(len, tokens)),
        n_read=sum(tree.ids.size for tree in forest),
        n_masks=n_masks,
        spans=_spans(model, sentences),
    )


def _spans(model: LanguageModel, sentences: Sequence[str]) -> list[np.ndarray] | None:
    if not getattr(model.tokenizer, "is_fast", False):
        return None
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    found = model.tokenizer(list(sentences), **options)["offset_mapping"]
    return [np.asarray(spans, dtype=np.int64).reshape(-1, 2) for spans in found]


def _prefix_ids(model: LanguageModel, prefix: str | None) -> list[int]:
    if prefix is None:
        return []
    ids = list(model.tokenizer(prefix, add_special_tokens=False)["input_ids"])
    unknown = ids == [model.tokenizer.unk_token_id] and prefix != model.tokenizer.unk_token
    if len(ids) != 1 or unknown:
        raise InvalidValueError(
            f"prefix must be one token of {model.name}; {prefix!r} gives {len(ids)}. Its special tokens are "
            f"{listing(model.tokenizer.all_special_tokens, limit=20)}."
        )
    return ids


def _sentence_ids(model: LanguageModel, sentences: Sequence[str], start: list[int]) -> list[list[int]]:
    if isinstance(sentences, str) or not len(sentences):
        raise InvalidValueError("sentences must be a list of at least one text.")
    blank = [i for i, text in enumerate(sentences) if not isinstance(text, str) or not text.strip()]
    if blank:
        raise InvalidValueError(
            f"{len(blank)} sentences are blank or no text, at positions {listing(blank)}."
        )
    coded = model.tokenizer(list(sentences), add_special_tokens=False, verbose=False)["input_ids"]
    found = [start + list(ids) for ids in coded]
    for what, bad in (
        ("have no token after the first", [i for i, ids in enumerate(found) if len(ids) < 2]),
        (
            f"are longer than the {model.max_positions} tokens that {model.name} reads",
            [i for i, ids in enumerate(found) if len(ids) > model.max_positions],
        ),
    ):
        if bad:
            raise InvalidValueError(f"{len(bad)} sentences {what}: {listing([sentences[i] for i in bad])}.")
    return found


def _can_share(model: LanguageModel, tokens: list[list[int]]) -> bool:
    """Return whether the model takes positions, and its attention reaches as far as the longest sentence."""
    reach = getattr(getattr(model.module, "config", None), "sliding_window", None)
    reaches = reach is None or max(map(len, tokens)) < reach
    return reaches and "position_ids" in model.inputs(position_ids=None)


def _reads_trees(
    model: LanguageModel, forest: list[Tree], tokens: list[list[int]], limits: dict[str, int], n_masks: int
) -> bool:
    """Return whether the smallest tree with branches gets the numbers that its sentences get one by one."""
    import torch

    branched = [tree for tree in forest if not tree.is_chain]
    if not branched:
        return True
    tree = min(branched, key=lambda tree: tree.ids.size)
    local = replace(tree, paths=[(i, path) for i, (_, path) in enumerate(tree.paths)])
    alone = trees([tokens[sentence] for sentence, _ in tree.paths], share=False)
    n = len(tree.paths)
    expected = sentence_sums(model, batches(alone, **limits), n, n_masks, progress=False)
    try:
        found = sentence_sums(model, batches([local], **limits), n, n_masks, progress=False)
    except (TypeError, ValueError, RuntimeError):
        return False
    bound = max(1e-3, 100 * torch.finfo(arrays.torch_dtype(model.dtype)).eps)
    return bool(np.abs(found - expected).max() <= bound)


def sentence_log_probs(
    model: LanguageModel,
    sentences: Sequence[str] | PreparedSentences,
    *,
    prefix: str | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Return log p of each sentence: the sum over its tokens of log p(token | the tokens before it).

    Every token after the prefix counts, the last one too. Without a prefix the first token has no probability
    and is left out. Log-sum-exp in float32, sums in float64.

    Parameters
    ----------
    model : LanguageModel
        A decoder; lesions that are in force take effect.
    sentences : sequence of str (n_sentences,), or PreparedSentences
    prefix : str, optional
        See ``prepare_sentences``; not for prepared ones.
    progress : bool

    Returns
    -------
    array (n_sentences,)
        In nats. With ``n_masks`` above 1, (n_masks, n_sentences).

    Raises
    ------
    InvalidValueError
        See ``prepare_sentences``.

    Examples
    --------
    >>> sentence_log_probs(model, ["A cat sleeps."], prefix="<|endoftext|>")  # doctest: +SKIP
    array([-31.4])
    """
    if not isinstance(sentences, PreparedSentences):
        sentences = prepare_sentences(model, sentences, prefix=prefix)
    elif prefix is not None:
        raise InvalidValueError("prefix belongs to prepare_sentences; these sentences are prepared already.")
    n, n_masks = sentences.n_sentences, sentences.n_masks
    found = sentence_sums(model, sentences.batches, n, n_masks, progress=progress)
    return found if n_masks > 1 else found[0]


def token_log_probs(
    model: LanguageModel,
    texts: Sequence[str] | PreparedSentences,
    *,
    prefix: str | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Return log p of every token of every text, given the tokens before it, and where the token stands.

    Parameters
    ----------
    model : LanguageModel
        A decoder with a fast tokenizer; lesions that are in force take effect.
    texts : sequence of str (n_texts,), or PreparedSentences
    prefix : str, optional
        See ``prepare_sentences``; its own token is not among the result's.
    progress : bool

    Returns
    -------
    xarray.Dataset
        Along ``token``, text by text: ``log_p`` in nats, NaN for a first token without a prefix; coordinates
        ``text`` (the text's position), ``start`` and ``end``, characters ``text[start:end]``. Some
        tokenizers count the space before a word, others do not. With ``n_masks`` above 1 ``log_p`` is
        (mask, token).

    Raises
    ------
    InvalidValueError
        See ``prepare_sentences``; also where the tokenizer gives no offsets.

    Examples
    --------
    >>> token_log_probs(model, ["A cat."], prefix="<|endoftext|>")["log_p"].sizes  # doctest: +SKIP
    Frozen({'token': 3})
    """
    if not isinstance(texts, PreparedSentences):
        texts = prepare_sentences(model, texts, prefix=prefix)
    elif prefix is not None:
        raise InvalidValueError("prefix belongs to prepare_sentences; these texts are prepared already.")
    if texts.spans is None:
        raise InvalidValueError(f"the tokenizer of {model.name} gives no character offsets (it is not fast).")
    size = np.array([len(spans) for spans in texts.spans])
    stop = np.cumsum(size)
    values = np.full((texts.n_masks, stop[-1]), np.nan)
    for batch, terms in scored(model, texts.batches, texts.n_masks, progress=progress):
        first = np.flatnonzero(np.r_[True, np.diff(batch.sentence) != 0])
        lengths = np.diff(np.r_[first, batch.sentence.size])
        behind = np.repeat(lengths, lengths) - (np.arange(batch.sentence.size) - np.repeat(first, lengths))
        values[:, stop[batch.sentence] - behind] = terms
    spans = np.concatenate(texts.spans)
    places = {"text": np.repeat(np.arange(size.size), size), "start": spans[:, 0], "end": spans[:, 1]}
    dims = ("mask", "token") if texts.n_masks > 1 else ("token",)
    return xr.Dataset(
        {"log_p": (dims, values if texts.n_masks > 1 else values[0])},
        {name: ("token", x) for name, x in places.items()},
    )
