"""Searchlights against rsatoolbox and mne-rsa.

All get the same patterns, model and spheres, made beforehand, and values are checked to be equal to 1e-8.
The peers are timed on fewer spheres of the same sizes, evenly spaced over the volume; the ratio is that of
times a sphere.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable
from importlib.metadata import version

import mne_rsa
import numpy as np
import xarray as xr
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.util.searchlight import evaluate_models_searchlight, get_searchlight_RDMs

from neuroalign import rsa
from neuroalign.schema import make_rdm
from neuroalign.seeds import generator

from .results import Result
from .timing import Turns, in_turn

__all__ = ["run"]

N_CONDITIONS, SIDE, RADIUS = 92, 17, 3.0
N_SPHERES_PEER = {"rsatoolbox": 100, "mne-rsa": 500}
N_RUNS = 7
TOLERANCE = 1e-8


def run() -> list[Result]:
    """Time a Spearman searchlight of 4,913 spheres in a cube of voxels."""
    rng = generator(0, "benchmarks", "searchlight")
    grid = np.stack(np.meshgrid(*[np.arange(float(SIDE))] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    values = rng.standard_normal((N_CONDITIONS, len(grid)))
    model = rng.random(N_CONDITIONS * (N_CONDITIONS - 1) // 2)
    around = rsa.spheres(grid, RADIUS)
    peers = {"rsatoolbox": _rsatoolbox, "mne-rsa": _mne_rsa}
    return [_against(name, peer, values, model, around) for name, peer in peers.items()]


Peer = Callable[[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray], np.ndarray]


def _against(
    name: str, peer: Peer, values: np.ndarray, model: np.ndarray, around: list[np.ndarray]
) -> Result:
    stimuli = np.arange(N_CONDITIONS)
    responses = xr.DataArray(values, dims=("stimulus", "neuroid"), coords={"stimulus": stimuli})
    rdm = make_rdm(model, stimuli)
    some = np.linspace(0, len(around) - 1, N_SPHERES_PEER[name]).round().astype(int)

    def ours() -> np.ndarray:
        return rsa.searchlight(responses, rdm, neighbours=around).values

    def theirs() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return peer(values, model, around, some)

    logging.getLogger("mne").setLevel(logging.ERROR)
    error = np.abs(ours()[some] - theirs()).max()
    assert error < TOLERANCE
    turns = _scaled(in_turn(ours, theirs, n_runs=N_RUNS), len(around) / len(some))
    mean = np.mean([len(sphere) for sphere in around])
    sizes = (
        f"{len(around):,} spheres (peer: {len(some)}, scaled) of {mean:.0f} voxels on average x "
        f"{N_CONDITIONS} conditions"
    )
    floor = {"rsatoolbox": 30, "mne-rsa": 6}[name]
    against = f"{name} {version(name)}"
    same = f"largest difference {error:.0e}"
    return Result("Spearman searchlight", sizes, against, "peer / ours", turns, same, at_least=floor)


def _scaled(turns: Turns, factor: float) -> Turns:
    """Return the turns with the peer's times as for all spheres."""
    return Turns(
        turns.first,
        turns.second * factor,
        turns.ratio * factor,
        turns.lowest * factor,
        turns.highest * factor,
        turns.n_runs,
    )


def _rsatoolbox(
    values: np.ndarray, model: np.ndarray, around: list[np.ndarray], some: np.ndarray
) -> np.ndarray:
    chosen = [around[i] for i in some]
    rdms = get_searchlight_RDMs(values, some, chosen, np.arange(len(values)), verbose=False)
    found = evaluate_models_searchlight(rdms, ModelFixed("model", model), eval_fixed, method="spearman")
    return np.array([one.evaluations.item() for one in found])


def _mne_rsa(values: np.ndarray, model: np.ndarray, around: list[np.ndarray], some: np.ndarray) -> np.ndarray:
    patches = mne_rsa.searchlight(values.shape, spatial_radius=[around[i] for i in some])
    return mne_rsa.rsa_array(values, model, patches=patches, rsa_metric="spearman")
