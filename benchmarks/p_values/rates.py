from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from neuroalign.seeds import generator

SEED, N_SETS, ALPHA = 20240601, 10_000, 0.05
EXACT, AT_MOST = (0.044, 0.056), 0.060
CHUNK = 100


@dataclass(frozen=True)
class Null:
    """Null data sets of one public function.

    ``sets`` says in a few words what they are; ``p_values`` draws one and returns the p values of its tests
    by name; ``inexact`` says why of those tests whose p need not be uniform.
    """

    function: str
    sets: str
    p_values: Callable[[np.random.Generator], Mapping[str, float]]
    inexact: Mapping[str, str] = field(default_factory=dict)


def functions() -> dict[str, Null]:
    """Return the null sets of every room by function, and by what sets them apart where it has several."""
    from . import encoding, geometry, localization, rsa, similarity, spatial, stats

    rooms = (stats, rsa, encoding, localization, similarity, spatial, geometry)
    nulls = [null for room in rooms for null in room.NULLS]
    named = {null.function: null for null in nulls}
    assert len(named) == len(nulls), "two null sets of one name"
    return named


def measure(
    n_sets: int = N_SETS, *, names: Iterable[str] | None = None, seed: int = SEED, workers: int = 1
) -> pd.DataFrame:
    """Return how often each test of the named functions (all) has a p of at most .05, one row a test."""
    known = functions()
    names = list(known if names is None else names)
    jobs = [
        (name, seed, first, min(first + CHUNK, n_sets)) for name in names for first in range(0, n_sets, CHUNK)
    ]
    wrong: dict[str, Counter[str]] = {name: Counter() for name in names}
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        done = pool.imap_unordered(_count, jobs)
        for name, found in tqdm(done, total=len(jobs), desc=f"{CHUNK} null sets", mininterval=2):
            wrong[name].update(found)
    return pd.DataFrame(
        [_rate(known[name], test, n, n_sets) for name in names for test, n in sorted(wrong[name].items())]
    )


def _count(job: tuple[str, int, int, int]) -> tuple[str, Counter[str]]:
    name, seed, first, stop = job
    null = functions()[name]
    found: Counter[str] = Counter()
    with threadpool_limits(1):
        for i in range(first, stop):
            for test, p in null.p_values(generator(seed, "p values", name, i)).items():
                assert 0 <= p <= 1, f"{name}, {test}: p = {p} of null set {i}"
                found[test] += int(p <= ALPHA + 1e-12)
    return name, found


def _rate(null: Null, test: str, wrong: int, n_sets: int) -> dict[str, object]:
    ends, rate = binomtest(wrong, n_sets).proportion_ci(method="exact"), wrong / n_sets
    why = null.inexact.get(test, "")
    low, high = (0.0, AT_MOST) if why else EXACT
    return {
        "function": null.function,
        "test": test,
        "null sets": null.sets,
        "sets": n_sets,
        "rate": rate,
        "low": ends.low,
        "high": ends.high,
        "band": f"at most {AT_MOST:.3f}" if why else f"{low:.3f} to {high:.3f}",
        "kept": "yes" if low <= rate <= high else "no",
        "not exact because": why,
    }
