"""Cross-validated distances and noise precision against rsatoolbox.

Both get the same patterns and residuals, made beforehand; values are checked to be equal to 1e-8.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import rsatoolbox
import xarray as xr

from neuroalign import rsa
from neuroalign.rsa.noise import noise_precision, whiten
from neuroalign.seeds import generator

from .results import Result
from .timing import in_turn

__all__ = ["run"]

N_RUNS, N_CONDITIONS, N_NEUROIDS = 8, 92, 1000
N_RESIDUALS, N_CHANNELS, N_SOURCES = 1800, 2000, 20
N_TURNS, N_TURNS_SLOW = 11, 3
PEER = f"rsatoolbox {version('rsatoolbox')}"
TOLERANCE = 1e-8


def run() -> list[Result]:
    """Time crossnobis distances without and with a precision, and shrunk noise precisions."""
    return [
        _crossnobis("without a precision"),
        _crossnobis("with a precision"),
        _crossnobis("with a precision, ours whitened beforehand"),
        _precision("shrinkage-diagonal", "shrinkage_diag"),
        _precision("shrinkage-identity", "shrinkage_eye"),
    ]


def _crossnobis(how: str) -> Result:
    rng = generator(0, "benchmarks", "crossnobis")
    values = rng.standard_normal((N_RUNS, N_CONDITIONS, N_NEUROIDS))
    root = rng.standard_normal((N_NEUROIDS, 2 * N_NEUROIDS))
    precision = root @ root.T / (2 * N_NEUROIDS) if how != "without a precision" else None
    patterns = xr.DataArray(
        values, dims=("run", "stimulus", "neuroid"), coords={"stimulus": np.arange(N_CONDITIONS)}
    )
    noise = None if precision is None else xr.DataArray(precision, dims=("neuroid", "neuroid_b"))
    dataset = rsatoolbox.data.Dataset(
        values.reshape(-1, N_NEUROIDS),
        obs_descriptors={
            "stimulus": np.tile(np.arange(float(N_CONDITIONS)), N_RUNS),
            "run": np.repeat(np.arange(float(N_RUNS)), N_CONDITIONS),
        },
    )

    if "beforehand" in how:
        patterns, noise = whiten(patterns, noise), None

    def ours() -> np.ndarray:
        return rsa.rdm(patterns, "crossnobis", noise=noise).values

    def theirs() -> np.ndarray:
        found = rsatoolbox.rdm.calc_rdm(
            dataset, method="crossnobis", descriptor="stimulus", cv_descriptor="run", noise=precision
        )
        return found.dissimilarities[0]

    same = _same(ours(), theirs())
    turns = in_turn(ours, theirs, n_runs=N_TURNS)
    sizes = f"{N_RUNS} runs x {N_CONDITIONS} conditions x {N_NEUROIDS:,} neuroids, {how}"
    return Result("crossnobis RDM", sizes, f"{PEER} calc_rdm", "peer / ours", turns, same)


def _precision(method: str, their_method: str) -> Result:
    rng = generator(0, "benchmarks", "residuals")
    # Sources that many channels share: independent channels would be shrunk all the way to a diagonal.
    shared = rng.standard_normal((N_RESIDUALS, N_SOURCES)) @ rng.standard_normal((N_SOURCES, N_CHANNELS))
    values = shared + 3 * rng.standard_normal((N_RESIDUALS, N_CHANNELS))
    residuals = xr.DataArray(values, dims=("time", "neuroid"))

    def ours() -> np.ndarray:
        return noise_precision(residuals, method).values

    def theirs() -> np.ndarray:
        return rsatoolbox.data.noise.prec_from_residuals(values, method=their_method)

    same = _same(ours(), theirs())
    turns = in_turn(ours, theirs, n_runs=N_TURNS_SLOW)
    sizes = f"{N_RESIDUALS:,} residuals x {N_CHANNELS:,} channels, {method}"
    return Result("noise precision", sizes, f"{PEER} prec_from_residuals", "peer / ours", turns, same)


def _same(ours: np.ndarray, theirs: np.ndarray) -> str:
    error = np.abs(ours - theirs).max()
    assert error < TOLERANCE
    return f"largest difference {error:.0e}"
