from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist

from neuroalign import similarity

from .rates import Null

# p is at most .05 with a probability of .05 with 19 draws as with 99; a draw here is a fit or a matching.
DRAWS = 19
N_STIMULI, NAMES = 16, np.arange(16)
HALF, ANCHORS, TRAIN = NAMES % 2 == 0, NAMES[:5], NAMES[5:11]


def _patterns(n_units: int, rng: np.random.Generator) -> np.ndarray:
    """Return patterns (stimulus, unit) of correlated units with means and unlike spreads, heavy-tailed."""
    shared, own = rng.standard_t(4, (N_STIMULI, 1)), rng.standard_exponential((N_STIMULI, n_units))
    return (shared + own) * np.linspace(0.3, 3.0, n_units) + 2.0


def _of_distances(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(pdist(x), pdist(y))[0, 1])


def _test(rng: np.random.Generator) -> dict[str, float]:
    x, y, untrained = _patterns(4, rng), _patterns(5, rng), _patterns(4, rng)
    # An untrained twin that is related to y moves the gain, not p.
    untrained[:, 0] += y[:, 0]
    found = {
        "p, cka": similarity.test(x, y, "cka", n=DRAWS, rng=rng, untrained=untrained),
        "p, procrustes-angular": similarity.test(x, y, "procrustes-angular", n=DRAWS, rng=rng),
        "p, a function": similarity.test(x, y, _of_distances, n=DRAWS, rng=rng, repeats="keep"),
    }
    return {name: float(test["p"]) for name, test in found.items()}


def _matching_shuffle(rng: np.random.Generator) -> dict[str, float]:
    x, y = _patterns(5, rng), _patterns(4, rng)
    # The units that choose may well be alike: only the held-out stimuli are unrelated.
    x[HALF, :4] += 2 * y[HALF]
    options = {"select": HALF, "null": "shuffle", "n": DRAWS, "rng": rng}
    found = {
        "p, mutual": similarity.matching_test(x, y, **options),
        "p, best, either sign": similarity.matching_test(x, y, how="best", absolute=True, **options),
        "p, one-to-one": similarity.matching_test(x, y, how="one-to-one", **options),
    }
    return {name: float(test["p"]) for name, test in found.items()}


def _matching_rotation(rng: np.random.Generator) -> dict[str, float]:
    x = _patterns(5, rng)
    # One space from directions drawn at random, where single units do not matter; layers turn by themselves.
    y = x[:, :4] + 0.3 * _patterns(4, rng)
    y = np.concatenate([y[:, :2] @ _rotation(2, rng), y[:, 2:] @ _rotation(2, rng)], axis=1)
    first = xr.DataArray(x, dims=("stimulus", "unit"), coords={"stimulus": NAMES})
    layers = {"stimulus": NAMES, "layer": ("unit", ["a", "a", "b", "b"])}
    second = xr.DataArray(y, dims=("stimulus", "unit"), coords=layers)
    test = similarity.matching_test(first, second, select=HALF, null="rotation", n=DRAWS, rng=rng)
    return {"p, mutual, two layers": float(test["p"])}


def _rotation(n: int, rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def _stitching_test(rng: np.random.Generator) -> dict[str, float]:
    a, b = (
        xr.DataArray(_patterns(n, rng), dims=("stimulus", "unit"), coords={"stimulus": NAMES}) for n in (4, 3)
    )
    # The target can be read from either network, which does not relate the two.
    value = a[:, 0].values + b[:, 0].values + rng.standard_normal(N_STIMULI)
    number = xr.DataArray(value, dims="stimulus", coords={"stimulus": NAMES})
    sides = xr.DataArray(HALF, dims="stimulus", coords={"stimulus": NAMES})
    options = {"anchors": ANCHORS, "train": TRAIN, "solver": _least_squares, "n": DRAWS}
    options["seed"] = int(rng.integers(2**32))
    found = {
        "p, numbers": similarity.stitching_test(a, b, number, **options),
        "p, classes": similarity.stitching_test(a, b, sides, standardize=True, **options),
    }
    return {name: float(test["p"]) for name, test in found.items()}


def _least_squares(features: np.ndarray, targets: np.ndarray, new: np.ndarray) -> np.ndarray:
    centre, middle = features.mean(axis=0), targets.mean(axis=0)
    x = features - centre
    gram = x.T @ x
    weights = np.linalg.solve(gram + 0.01 * np.trace(gram) * np.eye(len(gram)), x.T @ (targets - middle))
    return middle + (new - centre) @ weights


NULLS: list[Null] = [
    Null(
        "similarity.test",
        "unrelated patterns of 16 stimuli, correlated units with means, heavy tails",
        _test,
    ),
    Null(
        "similarity.matching_test, null of shuffles",
        "units that are alike on the stimuli that choose, unrelated on the others",
        _matching_shuffle,
    ),
    Null(
        "similarity.matching_test, null of rotations",
        "related networks, one of them in directions drawn at random",
        _matching_rotation,
    ),
    Null(
        "similarity.stitching_test",
        "unrelated networks, a target that both tell of",
        _stitching_test,
        {"p, classes": "few possible accuracies, so that draws tie"},
    ),
]
