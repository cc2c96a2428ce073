"""RDMs against rsatoolbox.

Both get the same patterns, made beforehand; values are checked to be equal to 1e-8.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import rsatoolbox
import xarray as xr

from neuroalign import rsa
from neuroalign.seeds import generator

from .results import Result
from .timing import in_turn

__all__ = ["run"]

N_STIMULI, N_UNITS = 1000, 2000
N_RUNS = 5
PEER = f"rsatoolbox {version('rsatoolbox')}"
TOLERANCE = 1e-8


def run() -> list[Result]:
    """Time a correlation RDM."""
    return [_correlation()]


def _correlation() -> Result:
    values = generator(0, "benchmarks", "patterns").standard_normal((N_STIMULI, N_UNITS))
    patterns = xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": np.arange(N_STIMULI)})
    dataset = rsatoolbox.data.Dataset(values)

    def ours() -> np.ndarray:
        return rsa.rdm(patterns, "correlation").values

    def theirs() -> np.ndarray:
        return rsatoolbox.rdm.calc_rdm(dataset, method="correlation").dissimilarities[0]

    same = _same(ours(), theirs())
    turns = in_turn(ours, theirs, n_runs=N_RUNS)
    sizes = f"{N_STIMULI:,} stimuli x {N_UNITS:,} units"
    return Result("correlation RDM", sizes, f"{PEER} calc_rdm", "peer / ours", turns, same, at_least=12)


def _same(ours: np.ndarray, theirs: np.ndarray) -> str:
    error = np.abs(ours - theirs).max()
    assert error < TOLERANCE
    return f"largest difference {error:.0e}"
