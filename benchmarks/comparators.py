"""Comparison of RDMs against rsatoolbox.

Both get the same RDMs, made beforehand. Values are checked to be equal to 1e-8, and to 1e-4 where the peer
stops early (conjugate gradients for a full covariance).
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import rsatoolbox
import xarray as xr
from scipy.spatial.distance import pdist

from neuroalign import rsa
from neuroalign.schema import make_rdm
from neuroalign.seeds import generator

from .results import Result
from .timing import in_turn

__all__ = ["run"]

N_RDMS, N_STIMULI, N_UNITS = 20, 92, 200
N_RUNS, N_RUNS_FAST = 3, 11
PEER = f"rsatoolbox {version('rsatoolbox')} compare"
TOLERANCE = 1e-8


def run() -> list[Result]:
    """Time tables of comparisons, one row a method."""
    return [
        _table("Spearman comparison", "spearman", "spearman", n_runs=N_RUNS_FAST, at_least=1),
        _table("rho-a comparison", "rho-a", "rho-a", n_runs=N_RUNS_FAST, at_least=1),
        _table("tau-a comparison", "tau-a", "tau-a", n_runs=N_RUNS),
        _table("Bures comparison", "bures", "bures", n_runs=N_RUNS, tolerance=1e-6),
        _table("whitened comparison, identity", "whitened-cosine", "cosine_cov", n_runs=N_RUNS_FAST),
        _whitened(),
    ]


def _table(
    what: str,
    ours: str,
    theirs: str,
    *,
    n_runs: int,
    tolerance: float = TOLERANCE,
    at_least: float | None = None,
) -> Result:
    a, b, their_a, their_b = _rdms()

    def first() -> np.ndarray:
        return rsa.compare(a, b, ours).values

    def second() -> np.ndarray:
        return rsatoolbox.rdm.compare(their_a, their_b, method=theirs)

    same = _same(first(), second(), tolerance)
    turns = in_turn(first, second, n_runs=n_runs)
    sizes = f"{N_RDMS} x {N_RDMS} RDMs of {N_STIMULI} stimuli"
    return Result(what, sizes, PEER, "peer / ours", turns, same, at_least=at_least)


def _whitened() -> Result:
    a, b, their_a, their_b = _rdms()
    residuals = generator(0, "benchmarks", "residuals").standard_normal((N_STIMULI, 3 * N_STIMULI))
    values = residuals @ residuals.T / residuals.shape[1]
    names = np.arange(N_STIMULI)
    covariance = xr.DataArray(
        values, dims=("stimulus", "stimulus_b"), coords={"stimulus": names, "stimulus_b": names}
    )

    found = {}

    def ours() -> None:
        found["ours"] = rsa.compare(a, b, "whitened-cosine", covariance=covariance).values

    def theirs() -> None:
        found["theirs"] = rsatoolbox.rdm.compare(their_a, their_b, method="cosine_cov", sigma_k=values)

    turns = in_turn(ours, theirs, n_runs=1)
    same = _same(found["ours"], found["theirs"], 1e-4)
    sizes = f"{N_RDMS} x {N_RDMS} RDMs of {N_STIMULI} stimuli"
    what = "whitened comparison, full covariance"
    return Result(what, sizes, PEER, "peer / ours", turns, same, at_least=5000)


def _rdms() -> tuple[xr.DataArray, xr.DataArray, rsatoolbox.rdm.RDMs, rsatoolbox.rdm.RDMs]:
    rng = generator(0, "benchmarks", "rdms")
    tables = [
        np.array([pdist(rng.standard_normal((N_STIMULI, N_UNITS)), "sqeuclidean") for _ in range(N_RDMS)])
        for _ in range(2)
    ]
    a, b = (make_rdm(rows, np.arange(N_STIMULI), dims=["rdm"]) for rows in tables)
    return a, b, *(rsatoolbox.rdm.RDMs(rows) for rows in tables)


def _same(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> str:
    error = np.abs(ours - theirs).max()
    assert error < tolerance
    return f"largest difference {error:.0e}"
