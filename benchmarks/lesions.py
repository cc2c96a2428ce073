"""Log probabilities of minimal pairs, as every lesion asks for them again.

Ours reads the beginnings that sentences share once, and gives the output layer only the tokens that are
scored; the sentences are prepared once, outside the time. Several masks a batch are the same lesions, one
after the other or side by side. Padded loop: transformers on padded batches of like
length, tokenised beforehand, logits of all tokens. Ours without sharing reads every sentence by itself.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from neuroalign.extraction import LanguageModel, prepare_sentences, sentence_log_probs
from neuroalign.localization import MinimalPairs, lesion_scores
from neuroalign.schema import make_mask
from neuroalign.stimuli import minimal_pairs

from .networks import BATCH_SIZE, LABEL, PaddedBatch, network, padded_batches
from .results import Result
from .timing import in_turn

__all__ = ["run"]

N_PAIRS, N_PAIRS_MASKED, N_RUNS = 100, 20, 3
PREFIX = "<|endoftext|>"


def run() -> list[Result]:
    """Time sentences read as trees against a plain loop, and against ours without shared beginnings."""
    model = network()
    pairs = minimal_pairs().head(N_PAIRS)
    sentences = [*pairs["good"], *pairs["bad"]]
    tree = prepare_sentences(model, sentences, prefix=PREFIX)
    flat = prepare_sentences(model, sentences, prefix=PREFIX, share_prefixes=False)
    batches = padded_batches(model.tokenizer([PREFIX + text for text in sentences])["input_ids"])
    sizes = f"{LABEL}, {len(sentences)} sentences, {tree.n_tokens} tokens, of which {tree.n_read} read"

    def ours() -> np.ndarray:
        return sentence_log_probs(model, tree, progress=False)

    others = {
        f"padded loop, batches of {BATCH_SIZE}": lambda: _padded_loop(model, batches, len(sentences)),
        "ours without sharing": lambda: sentence_log_probs(model, flat, progress=False),
    }
    results = []
    for against, other in others.items():
        error = np.abs(ours() - other()).max()
        assert error < 1e-2
        turns = in_turn(ours, other, n_runs=N_RUNS)
        same = f"largest difference {error:.0e} nats"
        results.append(Result("sentence_log_probs", sizes, against, "other / ours", turns, same))
    return [*results, *_masks_together(model)]


def _masks_together(model: LanguageModel) -> list[Result]:
    """Time lesions of random masks, several a batch, against one after the other."""
    pairs = minimal_pairs().head(N_PAIRS_MASKED)
    layer = np.repeat(list(model.widths), list(model.widths.values()))
    index = np.concatenate([np.arange(width) for width in model.widths.values()])
    rng = np.random.default_rng(0)
    masks = {
        f"mask-{i}": make_mask(rng.random(layer.size) < 0.01, site="block", layer=layer, index=index)
        for i in range(4)
    }
    task = MinimalPairs(pairs, prefix=PREFIX)
    sizes = f"{LABEL}, {len(pairs)} pairs, {len(masks)} masks and the intact network"

    def scored(masks_per_batch: int) -> np.ndarray:
        return lesion_scores(model, masks, task, masks_per_batch=masks_per_batch, progress=False).values

    results = []
    for n in (2, 4):
        error = np.abs(scored(n) - scored(1)).max()
        assert error < 1e-2
        turns = in_turn(partial(scored, n), partial(scored, 1), n_runs=N_RUNS)
        same = f"largest difference {error:.0e} nats"
        what = f"lesion_scores, {n} masks a batch"
        results.append(Result(what, sizes, "one mask a batch", "one / several", turns, same))
    return results


def _padded_loop(model: LanguageModel, batches: list[PaddedBatch], n_sentences: int) -> np.ndarray:
    found = np.empty(n_sentences)
    with torch.inference_mode():
        for batch in batches:
            logits = model.module(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits
            scores = logits[:, :-1].log_softmax(-1).gather(-1, batch.ids[:, 1:, None])[..., 0]
            found[batch.rows] = (scores.double() * batch.mask[:, 1:]).sum(-1).numpy()
    return found
