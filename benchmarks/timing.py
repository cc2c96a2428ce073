"""CPU time of two callables in turn, in one process, so that both see the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Turns", "cpu_seconds", "in_turn"]


class Turns(NamedTuple):
    """Medians over the runs: CPU seconds of either callable, and of the ratio second / first of each turn."""

    first: float
    second: float
    ratio: float
    lowest: float
    highest: float
    n_runs: int


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Return the CPU time of one call: all threads, user and system."""
    start = time.process_time()
    call()
    return time.process_time() - start


def in_turn(first: Callable[[], Any], second: Callable[[], Any], *, n_runs: int) -> Turns:
    """Run both once to warm up, then first, second, first, second, ...; ``ratio`` is second / first."""
    first()
    second()
    seconds = np.array([(cpu_seconds(first), cpu_seconds(second)) for _ in range(n_runs)])
    ratios = seconds[:, 1] / seconds[:, 0]
    return Turns(*np.median(seconds, axis=0), np.median(ratios), ratios.min(), ratios.max(), n_runs)
