"""Dual bootstrap of models against rsatoolbox.

1,000 samples of subjects and stimuli (with those of subjects only and of stimuli only), 20 models, 20
subjects, 92 conditions, with noise ceilings and tests. The peer is timed on fewer samples (the column of
sizes says how many) and its time scaled to 1,000, for each of its samples takes the same work; ours runs
whole, with what it does once. Values are checked to be equal to 1e-10 on the peer's draws.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from unittest import mock

import numpy as np
import rsatoolbox
from rsatoolbox.inference import evaluate as peer

from neuroalign.rsa.inference import infer
from neuroalign.schema import make_rdm
from neuroalign.seeds import generator

from .results import Result
from .timing import Turns, cpu_seconds

__all__ = ["run"]

N_SAMPLES, N_MODELS, N_SUBJECTS, N_CONDITIONS = 1000, 20, 20, 92
PEER = f"rsatoolbox {version('rsatoolbox')}"
TOLERANCE = 1e-10
# Method, the peer's name for it, the floor, and how many of the peer's samples a run takes.
METHODS = (
    ("cosine", "cosine", 200, 10),
    ("pearson", "corr", 200, 10),
    ("whitened-cosine", "cosine_cov", 200, 2),
    ("whitened-pearson", "corr_cov", 200, 2),
    ("spearman", "spearman", 60, 2),
    ("rho-a", "rho-a", 60, 2),
)
N_RUNS = 3


def run() -> list[Result]:
    """Time the inference of every method that has a floor."""
    return [_dual_bootstrap(*choice) for choice in METHODS]


def _dual_bootstrap(method: str, theirs: str, floor: float, n_peer: int) -> Result:
    n_pairs = N_CONDITIONS * (N_CONDITIONS - 1) // 2
    rng = generator(0, "benchmarks", "inference")
    truth = rng.random(n_pairs)
    rows = truth + rng.random((N_MODELS + N_SUBJECTS, n_pairs))
    labels, names = np.arange(N_CONDITIONS), np.arange(N_MODELS)
    models = make_rdm(rows[:N_MODELS], labels, dims=["model"], coords={"model": names})
    data = make_rdm(rows[N_MODELS:], labels, dims=["subject"], coords={"subject": np.arange(N_SUBJECTS)})
    their_models = [rsatoolbox.model.ModelFixed(str(i), row) for i, row in enumerate(models.values)]
    their_data = rsatoolbox.rdm.RDMs(data.values)

    def ours() -> None:
        infer(models, data, method=method, n=N_SAMPLES, rng=generator(1))

    def peers() -> None:
        _silent(lambda: peer.eval_dual_bootstrap(their_models, their_data, method=theirs, N=n_peer))

    same = _same(models, data, their_models, their_data, method, theirs)
    ours()
    seconds = np.array([(cpu_seconds(ours), cpu_seconds(peers) * N_SAMPLES / n_peer) for _ in range(N_RUNS)])
    ratios = seconds[:, 1] / seconds[:, 0]
    turns = Turns(*np.median(seconds, axis=0), np.median(ratios), ratios.min(), ratios.max(), N_RUNS)
    sizes = (
        f"{N_SAMPLES:,} samples x {N_MODELS} models x {N_SUBJECTS} subjects x {N_CONDITIONS} conditions; "
        f"peer timed on {n_peer}"
    )
    what = f"Dual bootstrap, {method}"
    against = f"{PEER} eval_dual_bootstrap"
    return Result(what, sizes, against, "peer / ours", turns, same, at_least=floor)


def _same(models, data, their_models, their_data, method: str, theirs: str) -> str:  # type: ignore[no-untyped-def]
    drawn: dict[str, list[np.ndarray]] = {"subject": [], "stimulus": []}
    original = peer.bootstrap_sample

    def spy(*args, **kwargs):  # type: ignore[no-untyped-def]
        sample, subjects, stimuli = original(*args, **kwargs)
        drawn["subject"].append(subjects)
        drawn["stimulus"].append(stimuli)
        return sample, subjects, stimuli

    with mock.patch.object(peer, "bootstrap_sample", spy):
        found = _silent(lambda: peer.eval_dual_bootstrap(their_models, their_data, method=theirs, N=2))
    draws = {name: np.array(index) for name, index in drawn.items()}
    ours = infer(models, data, method=method, draws=draws, pooling="plain")
    scores = ours["draw_estimate"][:, 0].transpose("draw", "model", "kind").values
    bounds = ours["draw_ceiling"][:, 0].transpose("bound", "draw", "kind").values
    error = max(
        np.abs(scores - found.evaluations[:, :, 0, 0]).max(),
        np.abs(bounds - found.noise_ceiling[:, :, 0]).max(),
    )
    assert error < TOLERANCE
    return f"largest difference {error:.0e}"


def _silent(call):  # type: ignore[no-untyped-def]
    """Return the result of a call without its progress bar and warnings."""
    bar = mock.patch.object(peer.tqdm, "trange", range)
    with bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()
