"""Scores and noise ceilings of models over bootstrap samples, in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..schema import n_stimuli_of_pairs
from ..seeds import generator
from .batches import CHUNK, Scorer
from .draws import Draws
from .folds import Part, held_out
from .weighted import mean_known

__all__ = ["BOOTSTRAPS", "Resampling"]

# Weights of pairs that are held at once (256 MB).
WEIGHTS = 32_000_000
BOOTSTRAPS = ("both", "subject", "stimulus")


class Resampling:
    """One analysis: scores and ceilings of the data, and of samples."""

    def __init__(
        self,
        parts: Sequence[Part],
        data: np.ndarray,
        method: str,
        folds: tuple[int, int],
        n_repeats: int,
        pooling: str,
        ceiling: bool,
    ) -> None:
        self.parts, self.data, self.method, self.folds = parts, data, method, folds
        self.n_repeats, self.pooling, self.ceiling = n_repeats, pooling, ceiling
        self.scorer: Scorer | None = None
        if not n_repeats:
            self.scorer = Scorer(np.concatenate([part.components for part in parts]), data, method, pooling)

    def estimate(self, seed: int) -> xr.Dataset:
        """Return scores (model, subject), their means and the noise ceiling of the data as they are."""
        shares = np.ones(len(self.data), dtype=np.int64)
        if self.scorer is not None:
            scores, bounds = self.scorer.over_subjects(shares[None], ceiling=self.ceiling)
            estimate, ceiling = mean_known(scores, shares), bounds[0]
        else:
            rng = generator(seed, "estimate")
            counts = np.ones(n_stimuli_of_pairs(self.data.shape[1]), dtype=np.int64)
            found = [
                self._held_out(counts, shares, (rng.permutation(len(shares)), rng.permutation(len(counts))))
                for _ in range(self.n_repeats)
            ]
            means, bounds, each = (np.mean(x, axis=0) for x in zip(*found, strict=True))
            estimate, ceiling, scores = means, bounds, each
        variables: dict[str, Any] = {"score": (("model", "subject"), scores), "estimate": ("model", estimate)}
        if self.ceiling:
            variables["noise_ceiling"] = ("bound", ceiling)
        return xr.Dataset(variables, coords={"bound": ["lower", "upper"]})

    def resampled(self, drawn: Draws, bootstrap: str, progress: bool) -> xr.Dataset:
        """Return the estimates and ceilings of all draws."""
        kinds = BOOTSTRAPS if bootstrap == "both" else (bootstrap,)
        shape = (len(drawn.number), max(self.n_repeats, 1), len(kinds))
        estimates, ceilings = np.full((*shape, len(self.parts)), np.nan), np.full((*shape, 2), np.nan)
        run = self._chunk if self.scorer is not None else self._chunk_of_folds
        with tqdm(total=shape[0], disable=not progress, desc="draws") as bar:
            step = max(1, min(CHUNK, WEIGHTS // self.data.shape[1]))
            for start in range(0, shape[0], step):
                part = slice(start, start + step)
                run(drawn, part, kinds, estimates[part], ceilings[part], bar)
        variables: dict[str, Any] = {
            "draw_estimate": (("draw", "repeat", "kind", "model"), estimates),
            **drawn.variables(),
        }
        if self.ceiling:
            variables["draw_ceiling"] = (("draw", "repeat", "kind", "bound"), ceilings)
        return xr.Dataset(variables, coords={"draw": drawn.number, "kind": list(kinds)})

    def _chunk(
        self,
        drawn: Draws,
        part: slice,
        kinds: Sequence[str],
        estimates: np.ndarray,
        ceilings: np.ndarray,
        bar: Any,
    ) -> None:
        assert self.scorer is not None  # noqa: S101  (chosen by the caller)
        shares, counts = drawn.shares()[part], drawn.counts()[part]
        whole = np.ones(shares.shape, dtype=np.int64)
        if "subject" in kinds:
            at = kinds.index("subject")
            scores, bounds = self.scorer.over_subjects(shares, ceiling=self.ceiling)
            estimates[:, 0, at] = mean_known(scores[None], shares)
            ceilings[:, 0, at] = bounds
        wanted = [(kind, shares if kind == "both" else whole) for kind in kinds if kind != "subject"]
        if wanted:
            scores, found = self.scorer.over_stimuli(counts, [s for _, s in wanted], ceiling=self.ceiling)
            for (kind, share), bounds in zip(wanted, found, strict=True):
                at = kinds.index(kind)
                estimates[:, 0, at] = mean_known(scores, share)
                ceilings[:, 0, at] = bounds
        bar.update(len(shares))

    def _chunk_of_folds(
        self,
        drawn: Draws,
        part: slice,
        kinds: Sequence[str],
        estimates: np.ndarray,
        ceilings: np.ndarray,
        bar: Any,
    ) -> None:
        shares, counts = drawn.shares()[part], drawn.counts()[part]
        orders = drawn.subject_order[part], drawn.stimulus_order[part]
        for i, (share, count) in enumerate(zip(shares, counts, strict=True)):
            for at, kind in enumerate(kinds):
                own = np.ones_like(share) if kind == "stimulus" else share
                some = np.ones_like(count) if kind == "subject" else count
                for r in range(self.n_repeats):
                    found = self._held_out(some, own, (orders[0][i, r], orders[1][i, r]))
                    estimates[i, r, at], ceilings[i, r, at] = found[:2]
            bar.update()

    def _held_out(self, counts: np.ndarray, shares: np.ndarray, orders: tuple[np.ndarray, np.ndarray]) -> Any:
        return held_out(
            self.parts,
            self.data,
            counts,
            shares,
            orders,
            self.folds,
            self.method,
            pooling=self.pooling,
            ceiling=self.ceiling,
        )
