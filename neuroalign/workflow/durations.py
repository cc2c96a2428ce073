"""How long a study takes, before anything is run: what its network reads, and its analyses.

Two things are counted. A network costs two operations a parameter for each token that it reads, at the rate
at which this processor multiplies matrices, measured when asked for. An analysis costs what it took where it
was measured, scaled by the counts that drive it and by the same rate. Both are estimates of one core that
has nothing else to do; ``SPREAD`` is how far off they may be, either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from .paths import TWINS, Paths
from .sections import Lesions, Localizer, Story, Study

__all__ = [
    "ANALYSES",
    "LOADED",
    "MEASURED_AT",
    "MIXED",
    "SPREAD",
    "analysis_seconds",
    "matmul_rate",
    "n_masks",
    "network_seconds",
    "pair_tokens",
    "story_tokens",
    "tokens",
]

# All seconds below were measured on one core that multiplies float32 matrices at so many operations a second.
MEASURED_AT = 100e9
# Networks reach this share of it (SmolLM2 and MiniLM in float32: .7 to .9).
SHARE = 0.8
# Slower than float32 by so much on a processor, where half precision has no fast product.
SLOWER = {"float32": 1.0, "float64": 2.0, "bfloat16": 2.0, "float16": 2.0}
SPREAD = 2.0
# Seconds in which a step's process imports what it needs, and in which it also loads a network.
START, LOADED = 4.0, 7.0
# Characters a token (SmolLM2's and MiniLM's tokenizers): of sentences, of tables half of nonwords.
PLAIN, MIXED = 4.5, 3.5
# The share of a pair's tokens that is read: what its two sentences begin with is read once.
PAIRED = 0.7


def matmul_rate(n: int = 512, repeats: int = 20) -> float:
    """Return how many operations a second one core reaches in a product of float32 matrices.

    The best of some: what the core can do, not what other programs leave of it. It takes a tenth of a second.

    Examples
    --------
    >>> matmul_rate(64, 2) > 0
    True
    """
    from threadpoolctl import threadpool_limits

    x = np.full((n, n), 0.5, dtype=np.float32)
    best = float("inf")
    with threadpool_limits(1):
        for _ in range(repeats):
            start = time.perf_counter()
            x @ x
            best = min(best, time.perf_counter() - start)
    return 2.0 * n**3 / best


def tokens(texts: Iterable[str], *, characters: float = PLAIN, extra: int = 1) -> float:
    """Return about how many tokens texts have, with ``extra`` that a network adds to each.

    Examples
    --------
    >>> tokens(["a cat sat", "it"], characters=2, extra=0)
    5.5
    """
    lengths = [len(str(text)) for text in texts]
    return sum(lengths) / characters + extra * len(lengths)


def pair_tokens(pairs: pd.DataFrame) -> float:
    """Return about how many tokens are read of a table of minimal pairs."""
    return PAIRED * (tokens(pairs["good"]) + tokens(pairs["bad"]))


def story_tokens(words: pd.DataFrame, context: int, stride: int) -> float:
    """Return about how many tokens are read of a story: each once for every window that it is in."""
    once = tokens(words["text"])
    return once * max(1.0, min(context, once) / stride)


def network_seconds(n_tokens: float, n_parameters: int, *, dtype: str, rate: float) -> float:
    """Return the seconds of one core in which a network reads tokens."""
    return 2.0 * n_parameters * n_tokens * SLOWER[dtype] / (SHARE * rate)


def analysis_seconds(study: Study, n_layers: int | None, *, rate: float) -> dict[str, float]:
    """Return the seconds of one core for every section's analysis, its figures included.

    Parameters
    ----------
    study : Study
    n_layers : int, optional
        Of the network; 24 where it is not known.
    rate : float
        From ``matmul_rate``.
    """
    faster = MEASURED_AT / rate
    found = {}
    for name, seconds in ANALYSES.items():
        if getattr(study, name) is not None:
            found[name] = seconds(study, n_layers or 24) * faster
    figures = len(Paths(study).figures())
    return {**found, "figures": (START + figures * (START + 1.0)) * faster}


def n_masks(study: Study, section: str) -> int:
    """Return about how many masks a section puts on the network, the intact one included."""
    lesions = study.lesions or Lesions()
    if section == "lesions":
        apart = lesions.n_controls_without_outliers or lesions.n_controls
        return 5 + len(lesions.kinds) * lesions.n_controls + apart
    if section == "sweep" and study.sweep is not None:
        return 1 + len(study.sweep.fractions) * (1 + len(lesions.kinds) * study.sweep.n_controls)
    if section == "dissociation" and study.dissociation is not None:
        return 3 + len(TWINS) * study.dissociation.n_controls
    return 2


def _story(study: Study, n_layers: int) -> float:
    story = study.story or Story()
    units = 0.4 * story.n_unit_controls if study.localizer is not None else 0.0
    return 18 + 1.5 * -(-n_layers // story.layer_step) * story.n_folds / 6 + units


def _times(section: str, base: float, **counts: float) -> Callable[[Study, int], float]:
    """Return a duration that grows with counts of a section, from so much at the given ones."""

    def seconds(study: Study, _: int) -> float:
        value: Any = getattr(study, section)
        factor = 1.0
        for name, usual in counts.items():
            factor *= getattr(value, name) / usual
        return START + base * factor

    return seconds


# Seconds where measured (docs/studies.md's studies, one core), with the counts that they grow with.
ANALYSES: dict[str, Callable[[Study, int], float]] = {
    "localizer": lambda study, _: START + 0.2 * (study.localizer or Localizer()).n_random,
    "lesions": lambda *_: LOADED + 8.0,
    "presets": _times("presets", 20, n_random=20),
    "sweep": lambda *_: LOADED + 15.0,
    "paradigms": lambda *_: LOADED + 20.0,
    "dissociation": lambda *_: LOADED + 10.0,
    "story": _story,
    "bands": lambda study, _: 30 + 0.06 * study.bands.n_permutations if study.bands else 0.0,
    "objects": _times("objects", 5, n_draws=1000),
    "topology": _times("topology", 350, n_networks=12),
    "movie": lambda *_: START + 45.0,
    "searchlight": lambda *_: START + 55.0,
    "evoked": _times("evoked", 60, n_flips=10000),
    "behaviour": _times("behaviour", 12, n_draws=1000),
    "topography": _times("topography", 220, n_networks=3, n_steps=800),
    "bias": _times("bias", 14, n_networks=8, n_steps=800),
    "own": lambda *_: 2 * START + 4.0,
    "universal": lambda *_: START + 105.0,
}
