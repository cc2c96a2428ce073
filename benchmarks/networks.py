"""The network of the benchmarks, and the plain batches that a loop without us would run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from neuroalign.extraction import LanguageModel, load_model

__all__ = ["BATCH_SIZE", "LABEL", "PaddedBatch", "network", "padded_batches"]

BATCH_SIZE = 32
LABEL = "SmolLM2-135M"


class PaddedBatch(NamedTuple):
    """Token ids and mask (n_rows, n_tokens), padded on the right, and the position of every row."""

    ids: torch.Tensor
    mask: torch.Tensor
    rows: np.ndarray


@cache
def network() -> LanguageModel:
    """Return the network, loaded once for all benchmarks."""
    return load_model("smollm2-135m", device="cpu")


def padded_batches(tokens: Sequence[Sequence[int]]) -> list[PaddedBatch]:
    """Return sequences of tokens in batches of like length, longest first."""
    order = np.argsort([-len(ids) for ids in tokens], kind="stable")
    batches = []
    for start in range(0, len(tokens), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        chosen = [torch.tensor(tokens[row]) for row in rows]
        ids = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        lengths = torch.tensor([len(item) for item in chosen])
        batches.append(PaddedBatch(ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long(), rows))
    return batches
