from __future__ import annotations

import numpy as np
import xarray as xr

from neuroalign import rsa
from neuroalign.schema import make_rdm

from .rates import Null

# Missing pairs are slow; p is at most .05 with a probability of .05 with 19 draws too.
DRAWS, FEW = 99, 19
N_STIMULI, NAMES = 10, np.arange(10)
FIRST, SECOND = np.triu_indices(N_STIMULI, 1)


def _rdms(patterns: np.ndarray, dim: str) -> xr.DataArray:
    """Return RDMs (dim, pair) of patterns (dim, stimulus, unit)."""
    values = ((patterns[:, FIRST] - patterns[:, SECOND]) ** 2).sum(axis=2)
    return make_rdm(values, NAMES, dims=[dim], coords={dim: np.arange(len(patterns))})


def _subjects(n_subjects: int, rng: np.random.Generator) -> np.ndarray:
    """Return patterns (subject, stimulus, unit) that subjects share, each with noise of a size of its own."""
    shared = rng.standard_exponential((N_STIMULI, 6)) * np.linspace(0.3, 2.0, 6)
    own = rng.standard_t(5, (n_subjects, N_STIMULI, 6))
    return shared + own * np.linspace(0.3, 1.5, n_subjects)[:, None, None]


def _evaluate(rng: np.random.Generator) -> dict[str, float]:
    data = _rdms(_subjects(4, rng), "subject")
    features = rng.standard_exponential((3, N_STIMULI, 3)) + rng.standard_normal((N_STIMULI, 3))
    models = _rdms(features, "model")
    holes = data.where(rng.random(data.shape) > 0.1)
    found = {
        "spearman": rsa.evaluate(models, data, n_permutations=DRAWS, rng=rng),
        "cosine, pairs missing": rsa.evaluate(models, holes, "cosine", n_permutations=FEW, rng=rng),
    }
    p = {f"p, {name}": float(tests["p"][0]) for name, tests in found.items()}
    return p | {"p_fdr, spearman, smallest": float(found["spearman"]["p_fdr"].min())}


def _agtdm(rng: np.random.Generator) -> dict[str, float]:
    values = rng.standard_exponential((N_STIMULI, 2)) * [1.0, 4.0]
    names = {"stimulus": NAMES}
    x = xr.DataArray(values, dims=("stimulus", "part"), coords=names)
    y = xr.DataArray(rng.standard_t(3, N_STIMULI), dims="stimulus", coords=names)
    found = rsa.topology.agtdm(x, y, n_thresholds=4, n_permutations=DRAWS, rng=rng)
    return {name: float(found[name]) for name in ("p", "p_distance_correlation")}


# Mean cosine between the true RDM and the pool of 7 subjects whose noise has NOISE a pair (400,000 drawn).
NOISE, OF_POOL = 0.2, 0.8946


def _against_ceiling(rng: np.random.Generator) -> dict[str, float]:
    # Noise that is alike in all directions: a model scores as the pool of the others does, the lower bound,
    # where it is as far from the truth.
    true, apart, *noise = _centred(rng.standard_normal((10, len(FIRST))))
    true /= np.linalg.norm(true)
    apart -= (apart @ true) * true
    model = OF_POOL * true + np.sqrt(1 - OF_POOL**2) * apart / np.linalg.norm(apart)
    models = make_rdm(1 + model[None], NAMES, dims=["model"], coords={"model": ["as far"]})
    values = 1 + true + NOISE * np.stack(noise)
    data = make_rdm(values, NAMES, dims=["subject"], coords={"subject": np.arange(8)})
    plain = rsa.infer(models, data, method="pearson", bootstrap=None)
    drawn = rsa.infer(models, data, method="pearson", bootstrap="subject", n=DRAWS, rng=rng)
    return {
        "ceiling_p, over the subjects": float(plain["ceiling_p"][0]),
        "ceiling_p, bootstrap over subjects": float(drawn["ceiling_p"][0]),
        "ceiling_p_bootstrap, bootstrap over subjects": float(drawn["ceiling_p_bootstrap"][0]),
        "ceiling_p_max, bootstrap over subjects": float(drawn["ceiling_p_max"].min()),
    }


def _centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(axis=1, keepdims=True)


NULLS: list[Null] = [
    Null(
        "rsa.evaluate",
        "subjects who share patterns, three models unrelated to them",
        _evaluate,
        {"p_fdr, spearman, smallest": "a bound over models that are alike, and 99 draws make p coarse"},
    ),
    Null("rsa.topology.agtdm", "unrelated variables of 10 observations", _agtdm),
    Null(
        "rsa.infer, against the noise ceiling",
        "a model as far from the true RDM as the pool of the 7 others of 8 subjects, in the mean",
        _against_ceiling,
        {
            f"{p}, bootstrap over subjects": "the draws' lower bound, of fewer distinct subjects, varies more"
            for p in ("ceiling_p", "ceiling_p_bootstrap", "ceiling_p_max")
        },
    ),
]
