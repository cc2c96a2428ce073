"""Cluster tests against mne, and time-resolved RSA of a group against mne-rsa.

26 people, 615 samples, 64 sensors, random but smooth in time. Cluster masses are checked to be equal to 1e-8,
p-values within Monte Carlo error and scores to 1e-8; where peers are timed with fewer sign flips, or people,
their times are scaled. The last row also has the time of everything from responses to p-values: an RDM movie
and three scores a person, and 10,000 flips over people; the aim is a minute on one core.
"""

from __future__ import annotations

import logging
from importlib.metadata import version

import mne
import mne_rsa
import numpy as np
import xarray as xr
from mne.stats import permutation_cluster_1samp_test
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array
from scipy.stats import t as t_distribution

from neuroalign import rsa
from neuroalign.schema import make_rdm
from neuroalign.seeds import generator
from neuroalign.stats import cluster_test

from .results import Result
from .timing import Turns, cpu_seconds, in_turn

__all__ = ["run"]

N_SUBJECTS, N_SENSORS, N_TIMES, N_CONDITIONS = 26, 64, 615, 4
# People whom the peer scores.
N_PEOPLE = 2
N_FLIPS, N_FLIPS_SPACE = 10_000, 500
TOLERANCE = 1e-8
# Standard errors by which p-values of two sets of flips may differ.
MONTE_CARLO = 4
SECONDS = 60
N_RUNS = 3


def run() -> list[Result]:
    """Time both cluster tests and the whole analysis."""
    mne.set_log_level("ERROR")
    logging.getLogger("mne").setLevel(logging.ERROR)
    rng = generator(0, "benchmarks", "evoked")
    return [_clusters(rng, sensors=False), _clusters(rng, sensors=True), _whole(rng)]


def _clusters(rng: np.random.Generator, *, sensors: bool) -> Result:
    shape = (N_SUBJECTS, N_SENSORS, N_TIMES) if sensors else (N_SUBJECTS, N_TIMES)
    values = gaussian_filter1d(rng.standard_normal(shape), 5, axis=-1)
    values[..., 200:260] += 0.1
    dims = ("subject", "neuroid", "time") if sensors else ("subject", "time")
    x = xr.DataArray(values, dims=dims, coords={"subject": np.arange(N_SUBJECTS)})
    near = _lattice() if sensors else None
    ours_n, theirs_n = (N_FLIPS_SPACE,) * 2 if sensors else (N_FLIPS, N_FLIPS // 5)
    data = values.transpose(0, 2, 1) if sensors else values

    def ours() -> xr.Dataset:
        return cluster_test(x, adjacency=near, n=ours_n, rng=rng)

    def theirs() -> tuple:
        return _mne(data, theirs_n, near)

    found, (t, clusters, p, _) = ours(), theirs()
    masses = np.array([t[mask].sum() for mask in clusters])
    order = np.argsort(-np.abs(masses), kind="stable")
    error = np.abs(found["mass"].values - masses[order]).max()
    apart = np.abs(found["p_cluster"].values - p[order]).max()
    assert error < TOLERANCE
    assert apart < MONTE_CARLO * np.sqrt(0.25 / ours_n + 0.25 / theirs_n)
    turns = _scaled(in_turn(ours, theirs, n_runs=N_RUNS), ours_n / theirs_n)
    what = "Cluster test over sensors and time" if sensors else "Cluster test over time"
    sizes = f"{' x '.join(map(str, shape))}, {ours_n:,} flips" + (
        "" if ours_n == theirs_n else f" (peer: {theirs_n:,}, scaled)"
    )
    same = f"{len(p)} clusters, masses to {error:.0e}, p to {apart:.3f}"
    return Result(what, sizes, f"mne {version('mne')}", "peer / ours", turns, same, at_least=1)


def _whole(rng: np.random.Generator) -> Result:
    shape = (N_SUBJECTS, N_CONDITIONS, N_SENSORS, N_TIMES)
    values = gaussian_filter1d(rng.standard_normal(shape), 5, axis=-1)
    stimuli = np.arange(N_CONDITIONS)
    dims = ("subject", "stimulus", "neuroid", "time")
    x = xr.DataArray(
        values,
        dims=dims,
        coords={"subject": np.arange(N_SUBJECTS), "stimulus": stimuli, "time": np.arange(N_TIMES)},
    )
    rows = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 1, 0], [1, 1, 0, 0, 1, 1.0]])
    models = make_rdm(
        rows, stimuli, dims=["model"], coords={"model": ["congruence", "listening", "interaction"]}
    )

    def ours() -> xr.DataArray:
        return rsa.time_course(models, rsa.movie(x, "correlation"), "pearson")

    def theirs() -> np.ndarray:
        return np.stack([_mne_rsa(one, rows) for one in values[:N_PEOPLE]])

    scores = ours().transpose("subject", "model", "time")
    error = np.abs(scores.values[:N_PEOPLE] - theirs()).max()
    assert error < TOLERANCE
    seconds = cpu_seconds(lambda: cluster_test(ours(), n=N_FLIPS, rng=rng))
    assert seconds < SECONDS
    turns = _scaled(in_turn(ours, theirs, n_runs=N_RUNS), N_SUBJECTS / N_PEOPLE)
    sizes = f"{' x '.join(map(str, shape))}, 3 models (peer: {N_PEOPLE} people, scaled)"
    same = f"scores to {error:.0e}; with {N_FLIPS:,} flips {seconds:.2g} s of CPU, at most {SECONDS}"
    against = f"mne-rsa {version('mne-rsa')}"
    return Result("Time-resolved RSA of a group", sizes, against, "peer / ours", turns, same, at_least=1)


def _mne(values: np.ndarray, n: int, near: np.ndarray | None) -> tuple:
    threshold = t_distribution.isf(0.025, len(values) - 1)
    adjacency = None if near is None else csr_array(near)
    return permutation_cluster_1samp_test(
        values, threshold=threshold, n_permutations=n, adjacency=adjacency, out_type="mask", seed=0
    )


def _mne_rsa(one: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the scores (n_models, n_times) of one person, an RDM a sample."""
    patches = mne_rsa.searchlight(one.shape, temporal_radius=0)
    return mne_rsa.rsa_array(one, list(rows), patches, data_rdm_metric="correlation", rsa_metric="pearson")


def _lattice() -> np.ndarray:
    """Return the neighbours of sensors on a square grid: beside, above, and on one diagonal."""
    side = int(N_SENSORS**0.5)
    place = np.stack(np.divmod(np.arange(N_SENSORS), side), axis=1)
    step = place[:, None] - place
    return (np.abs(step).max(axis=-1) == 1) & (step.prod(axis=-1) >= 0)


def _scaled(turns: Turns, factor: float) -> Turns:
    """Return the turns with the peer's times as for all flips."""
    return Turns(
        turns.first,
        turns.second * factor,
        turns.ratio * factor,
        turns.lowest * factor,
        turns.highest * factor,
        turns.n_runs,
    )
