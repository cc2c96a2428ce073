"""Sentences made ready for scoring: tokens that sentences share are read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["SentenceBatch", "Tree", "batches", "common_prefix", "trees"]

# Larger trees share more, but attention looks at pairs of their tokens. Of BLiMP's 1,457,000 tokens 746,000
# are read; with trees of 64 and of 256 they would be 781,000 and 730,000.
MAX_NODES = 128


@dataclass(frozen=True)
class Tree:
    """Sentences that begin alike, as a tree of the tokens that the network reads.

    A token that nothing follows is only asked for, never read. Token i (n_nodes,) follows token ``parent[i]``
    (-1: none) and is the ``depth[i]``-th of its sentence. Asked for are the tokens ``target`` (n_scores,),
    each after node ``head``. ``paths`` are pairs of a sentence's position and its scores. A plain sentence is
    a tree with one branch.
    """

    ids: np.ndarray
    parent: np.ndarray
    depth: np.ndarray
    head: np.ndarray
    target: np.ndarray
    paths: list[tuple[int, np.ndarray]]

    @property
    def is_chain(self) -> bool:
        """Whether nothing is shared, so that plain causal attention is right."""
        return bool((self.parent == np.arange(-1, self.ids.size - 1)).all())


@dataclass(frozen=True)
class SentenceBatch:
    """Trees padded on the right, and where each log probability is read.

    Attributes
    ----------
    ids, depth, mask : array (n_rows, n_nodes)
    sees : array (n_rows, n_nodes, n_nodes) of bool, or None
        Which node attends to which; None where all trees are chains.
    heads : array (n_heads,)
        Flat positions whose next token is asked for.
    head, target : array (n_scores,)
        Each scored token: its place in ``heads``, and its id.
    score, sentence : array (n_terms,)
        Which scores each sentence sums.
    """

    ids: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    sees: np.ndarray | None
    heads: np.ndarray
    head: np.ndarray
    target: np.ndarray
    score: np.ndarray
    sentence: np.ndarray


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two sequences share at the start."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


def trees(sentences: Sequence[Sequence[int]], *, share: bool) -> list[Tree]:
    """Return the sentences as trees of at most ``MAX_NODES`` tokens (more where one sentence has more)."""
    if not share:
        return [_tree({i: ids}) for i, ids in enumerate(sentences)]
    order = sorted(range(len(sentences)), key=lambda i: list(sentences[i]))
    groups: list[list[int]] = []
    n_nodes, last = 0, -1
    for i in order:
        shared = common_prefix(sentences[last], sentences[i]) if groups else 0
        new = len(sentences[i]) - shared
        if shared and n_nodes + new <= MAX_NODES:
            groups[-1].append(i)
            n_nodes += new
        else:
            groups.append([i])
            n_nodes = len(sentences[i])
        last = i
    return [_tree({i: sentences[i] for i in group}) for group in groups]


def _tree(group: dict[int, Sequence[int]]) -> Tree:
    nodes: dict[tuple[int, int], int] = {}
    ids: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    asked: dict[tuple[int, int], int] = {}
    paths = []
    for sentence, tokens in group.items():
        at, path = -1, []
        for depth, token in enumerate(tokens):
            key = (at, token)
            if depth:
                path.append(asked.setdefault(key, len(asked)))
            if depth + 1 == len(tokens):
                break
            if key not in nodes:
                nodes[key] = len(ids)
                ids.append(token)
                parents.append(at)
                depths.append(depth)
            at = nodes[key]
        paths.append((sentence, np.array(path)))
    head, target = np.array(list(asked)).T
    return Tree(np.array(ids), np.array(parents), np.array(depths), head, target, paths)


def batches(forest: Sequence[Tree], *, max_nodes: int, pad: int) -> list[SentenceBatch]:
    """Return trees of similar size in batches of at most so many nodes, largest first."""
    order = sorted(forest, key=lambda tree: -tree.ids.size)
    found: list[list[Tree]] = []
    for tree in order:
        if found and (len(found[-1]) + 1) * found[-1][0].ids.size <= max_nodes:
            found[-1].append(tree)
        else:
            found.append([tree])
    return [_batch(chosen, pad) for chosen in found]


def _batch(chosen: Sequence[Tree], pad: int) -> SentenceBatch:
    width = chosen[0].ids.size
    ids, depth, mask = (np.full((len(chosen), width), fill, dtype=np.int64) for fill in (pad, 0, 0))
    sees = np.broadcast_to(np.eye(width, dtype=bool), (len(chosen), width, width)).copy()
    terms, sentences = [], []
    n_scores = 0
    for row, tree in enumerate(chosen):
        n = tree.ids.size
        ids[row, :n], depth[row, :n], mask[row, :n] = tree.ids, tree.depth, 1
        for node, parent in enumerate(tree.parent):
            if parent >= 0:
                sees[row, node] |= sees[row, parent]
        for sentence, path in tree.paths:
            terms.append(n_scores + path)
            sentences.append(np.full(path.size, sentence))
        n_scores += tree.target.size
    parents = np.concatenate([row * width + tree.head for row, tree in enumerate(chosen)])
    heads, head = np.unique(parents, return_inverse=True)
    return SentenceBatch(
        ids=ids,
        depth=depth,
        mask=mask,
        sees=None if all(tree.is_chain for tree in chosen) else sees,
        heads=heads,
        head=head,
        target=np.concatenate([tree.target for tree in chosen]),
        score=np.concatenate(terms),
        sentence=np.concatenate(sentences),
    )
