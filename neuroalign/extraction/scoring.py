"""The scoring loop: prepared batches in, the log probability of every token of every sentence out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from .. import arrays
from ..errors import NeuroalignError
from .models import LanguageModel
from .sentences import SentenceBatch

if TYPE_CHECKING:
    import torch

__all__ = ["scored", "sentence_sums"]


def sentence_sums(
    model: LanguageModel, found: Sequence[SentenceBatch], n_sentences: int, n_masks: int, *, progress: bool
) -> np.ndarray:
    """Return log probabilities (n_masks, n_sentences)."""
    total = np.zeros((n_masks, n_sentences))
    for batch, terms in scored(model, found, n_masks, progress=progress):
        for mask in range(n_masks):
            total[mask] += np.bincount(batch.sentence, terms[mask], minlength=n_sentences)
    return total


def scored(
    model: LanguageModel, found: Sequence[SentenceBatch], n_masks: int, *, progress: bool
) -> Iterator[tuple[SentenceBatch, np.ndarray]]:
    """Yield each batch with the log probability (n_masks, n_terms) of every token that a sentence sums."""
    import torch

    with torch.inference_mode(), _packed_head(model) as next_token_logits:
        for batch in tqdm(found, desc=model.name, unit="batch", disable=not progress, mininterval=1):
            inputs, heads = _inputs(model, batch, n_masks)
            logits = next_token_logits(heads, **inputs).float()
            yield batch, _token_scores(logits, batch, n_masks)[:, batch.score]


def _inputs(
    model: LanguageModel, batch: SentenceBatch, n_masks: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return what the network reads, once for every mask, and the flat positions of the heads."""
    import torch

    def moved(array: np.ndarray) -> torch.Tensor:
        tensor = arrays.to_torch(array, device=model.device)
        return tensor.repeat(n_masks, *([1] * (tensor.ndim - 1)))

    inputs = {"input_ids": moved(batch.ids)}
    if batch.sees is None:
        inputs["attention_mask"] = moved(batch.mask)
    else:
        kind = arrays.torch_dtype(model.dtype)
        sees = moved(batch.sees)[:, None]
        blocked = torch.full((), torch.finfo(kind).min, dtype=kind, device=sees.device)
        inputs["attention_mask"] = torch.where(sees, torch.zeros_like(blocked), blocked)
        inputs["position_ids"] = moved(batch.depth)
    offsets = np.arange(n_masks)[:, None] * batch.ids.size
    heads = arrays.to_torch((batch.heads + offsets).ravel(), device=model.device)
    return {"input_ids": inputs.pop("input_ids"), **model.inputs(**inputs, use_cache=False)}, heads


def _token_scores(logits: torch.Tensor, batch: SentenceBatch, n_masks: int) -> np.ndarray:
    """Return the log probability of every scored token, (n_masks, n_scores), float64."""
    logits = logits.reshape(n_masks, batch.heads.size, -1)
    head, target = (arrays.to_torch(item, device=logits.device) for item in (batch.head, batch.target))
    scores = logits[:, head, target] - logits.logsumexp(-1)[:, head]
    return arrays.to_numpy(scores).astype(np.float64)


@contextmanager
def _packed_head(model: LanguageModel) -> Iterator[Callable[..., torch.Tensor]]:
    """Give a function that runs the model and returns next-token logits (n_heads, n_vocabulary).

    Only the positions asked for reach the output layer: a hook takes them out of what it is given, so that
    whatever the model does to its logits afterwards is still done.
    """
    asked: dict[str, Any] = {}
    find = getattr(model.module, "get_output_embeddings", None)
    layer = None if find is None else find()

    def pack(_module: Any, inputs: tuple[Any, ...]) -> Any:
        if not inputs:
            return None
        state = inputs[0]
        asked["is_packed"] = True
        return (state.reshape(1, -1, state.shape[-1])[:, asked["heads"]], *inputs[1:])

    def run(heads: torch.Tensor, **inputs: Any) -> torch.Tensor:
        asked.update(heads=heads, is_packed=False)
        output = model.module(**inputs)
        logits = getattr(output, "logits", None)
        if logits is None:
            raise NeuroalignError(f"{model.name} has no output layer: its result has no logits.")
        flat = logits.reshape(-1, logits.shape[-1])
        return flat if asked["is_packed"] else flat[heads]

    handle = None if layer is None else layer.register_forward_pre_hook(pack)
    try:
        yield run
    finally:
        if handle is not None:
            handle.remove()
