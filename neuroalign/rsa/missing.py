"""Dissimilarities where patterns lack neuroids: each pair over the neuroids that both have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["over_shared_units"]


def over_shared_units(
    kernel: Callable[[np.ndarray, np.ndarray], np.ndarray], lacks: np.ndarray, *, least: int
) -> tuple[np.ndarray, int]:
    """Return dissimilarities (n_pairs,), and how many pairs left units out.

    Stimuli that lack the same units are computed together. A pair that shares fewer than ``least`` units is
    NaN.

    Parameters
    ----------
    kernel : callable
        From indices of stimuli and of units to the dissimilarities of these stimuli over these units.
    lacks : array (n_stimuli, n_units) of bool
    least : int
        The fewest units that the metric is defined for.
    """
    n_stimuli = len(lacks)
    masks, group = np.unique(lacks, axis=0, return_inverse=True)
    members = [np.flatnonzero(group.reshape(-1) == i) for i in range(len(masks))]
    full = np.full((n_stimuli, n_stimuli), np.nan)
    n_left_out = 0
    for a, ours in enumerate(members):
        for b in range(a, len(members)):
            units = np.flatnonzero(~(masks[a] | masks[b]))
            stimuli = ours if a == b else np.sort(np.concatenate([ours, members[b]]))
            n_pairs = len(ours) * (len(ours) - 1) // 2 if a == b else len(ours) * len(members[b])
            n_left_out += n_pairs if len(units) < lacks.shape[1] else 0
            if n_pairs and len(units) >= least:
                _fill(full, stimuli, kernel(stimuli, units), np.isin(stimuli, ours), within=a == b)
    return full[np.triu_indices(n_stimuli, 1)], n_left_out


def _fill(
    full: np.ndarray, stimuli: np.ndarray, values: np.ndarray, ours: np.ndarray, *, within: bool
) -> None:
    """Write the pairs within one group, or between two, to the upper triangle."""
    i, j = np.triu_indices(len(stimuli), 1)
    mine = np.full(len(i), True) if within else ours[i] != ours[j]
    full[stimuli[i[mine]], stimuli[j[mine]]] = values[mine]
