"""A small language model whose blocks lie on a lattice, trained with or without a spatial loss."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..arrays import to_numpy
from ..seeds import generator
from ..spatial import SpatialLoss, lattice_positions

if TYPE_CHECKING:
    import torch

__all__ = ["Corpus", "Network", "build", "corpus", "responses", "train"]

BEGIN, UNKNOWN = "<begin>", "<unknown>"
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|[.?!,;:]")
RATE, DECAY, WARM = 3e-3, 0.01, 0.05
N_HEADS = 4


@dataclass(frozen=True)
class Corpus:
    """Sentences as numbers of words.

    Attributes
    ----------
    vocabulary : dict of word to number
        Words that occur often enough in the training sentences; all others are one unknown word.
    train, test : list of array (n_words,)
        Each begins with the mark that a sentence begins. No text is in both.
    """

    vocabulary: dict[str, int]
    train: list[np.ndarray]
    test: list[np.ndarray]

    @property
    def n_words(self) -> int:
        """Words of the training sentences."""
        return sum(len(sentence) - 1 for sentence in self.train)


@dataclass(frozen=True)
class Network:
    """A language model and how its training went.

    Attributes
    ----------
    net : torch module
        From numbers of words (n_sentences, n_words) to the outputs of all blocks, and the scores of words.
    n_places : int
        The longest row of words that it reads.
    curve : DataFrame
        step, and the losses on held-out sentences: language (nats a word) and spatial (mean over blocks).
    n_seen : int
        Words that the training went through, repeats counted.
    """

    net: Any
    n_places: int
    curve: pd.DataFrame
    n_seen: int


def corpus(texts: Sequence[str], *, least: int, n_test: int, rng: np.random.Generator) -> Corpus:
    """Return sentences split at random, the same text never on both sides.

    Parameters
    ----------
    texts : sequence of str
    least : int
        How often a word must occur in the training sentences to have a number of its own.
    n_test : int
        Held-out sentences.
    rng : numpy.random.Generator
    """
    split = [WORD.findall(text.lower()) for text in dict.fromkeys(texts)]
    order = rng.permutation(len(split))
    held, kept = order[:n_test], order[n_test:]
    counts = Counter(word for i in kept for word in split[i])
    known = sorted(word for word, count in counts.items() if count >= least)
    vocabulary = {word: i for i, word in enumerate((BEGIN, UNKNOWN, *known))}

    def numbers(words: list[str]) -> np.ndarray:
        return np.array([0, *(vocabulary.get(word, 1) for word in words)])

    return Corpus(vocabulary, [numbers(split[i]) for i in kept], [numbers(split[i]) for i in held])


def build(n_words: int, shape: tuple[int, int], *, n_blocks: int, n_places: int, seed: int) -> Any:
    """Return an untrained network: embeddings, blocks of causal attention and a dense part, tied scores."""
    import torch
    from torch import nn

    width = shape[0] * shape[1]

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
            self.dense = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, length, _ = x.shape
            parts = self.attention(self.before(x)).view(n, length, 3, N_HEADS, -1).permute(2, 0, 3, 1, 4)
            heard = nn.functional.scaled_dot_product_attention(*parts, is_causal=True)
            x = x + self.out(heard.transpose(1, 2).reshape(n, length, width))
            return x + self.dense(self.between(x))

    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(n_words, width), nn.Embedding(n_places, width)
            self.blocks = nn.ModuleList(Block() for _ in range(n_blocks))
            self.last = nn.LayerNorm(width)
            for table in (self.words, self.places):
                nn.init.normal_(table.weight, std=0.05)

        def forward(self, numbers: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
            x = self.words(numbers) + self.places.weight[: numbers.shape[1]]
            outputs = []
            for block in self.blocks:
                x = block(x)
                outputs.append(x)
            return outputs, self.last(x) @ self.words.weight.T

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Blocks()


def train(
    text: Corpus,
    shape: tuple[int, int],
    *,
    weight: float,
    kind: str,
    radius: float | None,
    n_blocks: int,
    n_steps: int,
    batch: int,
    length: int,
    seed: int,
    n_points: int = 12,
    label: str = "training",
) -> Network:
    """Return a network trained to foretell the next word, and to be smooth where ``weight`` is not 0.

    The loss is the cross-entropy a word plus ``weight`` times the mean over blocks of the spatial loss of
    their outputs at all words of the batch. The sentences run on in a random order in rows of ``length``
    words. Two networks of one seed start from the same weights and read the same rows, whatever their losses.

    Parameters
    ----------
    text : Corpus
    shape : (int, int)
        Of the lattice that the units of every block lie on; their number is the network's width.
    weight : float
    kind, radius
        Of ``spatial.spatial_smoothness``, distances in steps of the lattice.
    n_blocks, n_steps, batch, length : int
    seed : int
    n_points : int
        How often the held-out losses are taken, the untrained network among them.
    label : str
        Of the progress bar.
    """
    import torch
    from torch import nn

    rng = generator(seed, "topography", "rows")
    start = int(generator(seed, "topography", "weights").integers(2**31))
    net = build(len(text.vocabulary), shape, n_blocks=n_blocks, n_places=length, seed=start)
    loss = SpatialLoss(lattice_positions(shape), kind=kind, radius=radius)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    test = _rows(text.test, length, np.random.default_rng(0))[: 4 * batch]
    points = set(np.linspace(0, n_steps, n_points).round().astype(int).tolist())
    curve, rows = [], np.empty((0, length), dtype=np.int64)
    for step in tqdm(range(n_steps + 1), desc=label):
        if step in points:
            with torch.no_grad():
                said, smooth = _losses(net, torch.from_numpy(test), loss)
            curve.append({"step": step, "language": float(said), "spatial": float(smooth)})
        if step == n_steps:
            break
        if len(rows) < batch:
            rows = np.concatenate([rows, _rows(text.train, length, rng)])
        numbers, rows = torch.from_numpy(rows[:batch]), rows[batch:]
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / (WARM * n_steps), (n_steps - step) / (0.5 * n_steps))
        optimizer.zero_grad()
        said, smooth = _losses(net, numbers, loss if weight else None)
        (said + weight * smooth if weight else said).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return Network(net, length, pd.DataFrame(curve), n_steps * batch * length)


def responses(net: Any, sentences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return what every block gives for every word of every sentence, arrays (n_blocks, n_words, n_units).

    Sentences are read one at a time in effect: those of one length together. The mark of the beginning is
    read but left out, as are words beyond the network's places.
    """
    import torch

    shown = [sentence[: net.places.num_embeddings] for sentence in sentences]
    lengths = np.array([len(sentence) for sentence in shown])
    found: dict[int, np.ndarray] = {}
    with torch.no_grad():
        for length in np.unique(lengths):
            at = np.flatnonzero(lengths == length)
            outputs, _ = net(torch.from_numpy(np.stack([shown[i] for i in at])))
            stacked = np.stack([to_numpy(output)[:, 1:] for output in outputs], axis=1)
            found |= dict(zip(at.tolist(), stacked, strict=True))
    return [found[i] for i in range(len(shown))]


def _rows(sentences: Sequence[np.ndarray], length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sentences one after another in random order, cut into rows (n_rows, length)."""
    joined = np.concatenate([sentences[i] for i in rng.permutation(len(sentences))])
    return joined[: len(joined) // length * length].reshape(-1, length)


def _losses(net: Any, numbers: torch.Tensor, loss: SpatialLoss | None) -> tuple[Any, Any]:
    """Return the loss of the next word, and the mean over blocks of the spatial loss."""
    import torch
    from torch import nn

    outputs, scores = net(numbers)
    said = nn.functional.cross_entropy(scores[:, :-1].flatten(0, 1), numbers[:, 1:].flatten())
    if loss is None:
        return said, None
    return said, torch.stack([loss(output.flatten(0, 1)) for output in outputs]).mean()
