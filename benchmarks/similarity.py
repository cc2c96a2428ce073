"""Similarity of representations against repsim, ckatorch, and published algorithms written out here.

Both sides get the same float64 activations, made beforehand; values are checked to be equal to 1e-10. The
algorithms published for mutual nearest neighbours and Procrustes are in no package that could be installed
here, so they are written out straightforwardly ("reimplemented"): a full sort of the inner products of unit
patterns; a whole singular value decomposition with rotated features.

Linear CKA of two representations with more units than stimuli takes two symmetric matrix products, half the
arithmetic of a peer that makes two plain ones, so that the ratio is 2 and what else the peer does: its
centring of whole Gram matrices counts for much at 512 units and for little at 2,000, where a floor of 3 is
out of reach in float64 (Strassen's method would save an eighth at most). These rows end with what is held
beside the inputs, by tracemalloc; one Gram matrix of 1,000 stimuli is 8 MB.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version

import ckatorch
import numpy as np
import repsim
import torch

from neuroalign import similarity
from neuroalign.seeds import generator

from .results import Result
from .timing import cpu_seconds, in_turn

__all__ = ["run"]

N_STIMULI, N_NEIGHBOURS = 1000, 10
WIDTHS = (512, 768, 2000)
N_RUNS = 7
TOLERANCE = 1e-10


def run() -> list[Result]:
    """Time linear CKA, mutual nearest neighbours and Procrustes for every width."""
    return [row(width) for row in (_cka, _mutual_knn, _procrustes) for width in WIDTHS]


def _activations(width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(0, "benchmarks", "similarity", width)
    x, noise = rng.standard_normal((2, N_STIMULI, width))
    return x, np.roll(x, 1, axis=1) + noise


def _cka(width: int) -> Result:
    x, y = _activations(width)
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    peers: dict[str, Callable[[], float]] = {
        f"repsim {version('repsim')} cka": lambda: float(repsim.cka([x, y], "linear", "gretton")[0, 1]),
        f"ckatorch {version('ckatorch')} cka_base": lambda: ckatorch.cka_base(*tensors).item(),
    }
    fastest = min(peers, key=lambda name: cpu_seconds(peers[name]))

    def ours() -> float:
        return float(similarity.cka(x, y))

    row = _row("linear CKA", width, ours, peers[fastest], fastest, at_least=3)
    return replace(row, same=f"{row.same}; {_peak_bytes(ours) / 1e6:.1f} MB")


def _peak_bytes(call: Callable[[], float]) -> int:
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _mutual_knn(width: int) -> Result:
    x, y = _activations(width)
    tensors = torch.from_numpy(x), torch.from_numpy(y)

    def neighbours(z: torch.Tensor) -> torch.Tensor:
        z = torch.nn.functional.normalize(z, dim=1)
        order = (z @ z.T).fill_diagonal_(-1e8).argsort(dim=1, descending=True)
        return torch.zeros(len(z), len(z), dtype=z.dtype).scatter_(1, order[:, :N_NEIGHBOURS], 1.0)

    def theirs() -> float:
        return ((neighbours(tensors[0]) * neighbours(tensors[1])).sum(dim=1) / N_NEIGHBOURS).mean().item()

    def ours() -> float:
        return float(similarity.mutual_knn(x, y, k=N_NEIGHBOURS))

    against = "Huh et al. 2024, reimplemented with torch"
    return _row(f"mutual {N_NEIGHBOURS} nearest neighbours", width, ours, theirs, against, at_least=2)


def _procrustes(width: int) -> Result:
    x, y = _activations(width)

    def theirs() -> float:
        a, b = x - x.mean(axis=0), y - y.mean(axis=0)
        u, _, vh = np.linalg.svd(a.T @ b)
        a, b = a @ u, b @ vh.T
        cosine = (a.ravel() @ b.ravel()) / np.linalg.norm(a) / np.linalg.norm(b)
        return float(np.arccos(np.clip(cosine, -1.0, 1.0)))

    against = "Williams et al. 2021, reimplemented with numpy"
    n_runs = 1 if width > N_STIMULI else 3

    def ours() -> float:
        return float(similarity.shape_distance(x, y))

    return _row("Procrustes angle", width, ours, theirs, against, at_least=2, n_runs=n_runs)


def _row(
    what: str,
    width: int,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    against: str,
    *,
    at_least: float,
    n_runs: int = N_RUNS,
) -> Result:
    error = abs(ours() - theirs())
    assert error < TOLERANCE
    turns = in_turn(ours, theirs, n_runs=n_runs)
    sizes = f"{N_STIMULI:,} stimuli, {width:,} and {width:,} units"
    same = f"difference {error:.0e}"
    return Result(what, sizes, against, "peer / ours", turns, same, at_least=at_least)
