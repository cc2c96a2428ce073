from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from neuroalign.geometry import (
    cross_condition_generalisation,
    dirichlet_energy,
    discrimination_value,
    neighbour_mixing,
    parallelism_score,
    shattering_dimensionality,
    spectral_alignment,
    stream_dynamics,
    variance_explained,
)

from .rates import Null

# p = (1 + k) / (1 + draws) is at most .05 with a probability of .05 where draws are 19, 39, ..., 99, and one
# that is two-sided where they are 39, 79, ... (with 99 it is .04). The slow ones have the fewest.
DRAWS, DRAWS_OF_SLOW = 39, 19

N, UNITS, LAYERS = 14, 6, 4
SCALES = np.geomspace(0.3, 3.0, UNITS)
OFFSETS = np.linspace(-4.0, 8.0, UNITS)
MIXED = np.eye(UNITS) + 0.5

EDGES = [(0, 1, 1.0), (1, 2, 0.5), (2, 3, 2.0), (3, 0, 1.0), (3, 4, 0.7), (4, 5, 1.0), (5, 6, 3.0)]
EDGES += [(6, 4, 1.0), (6, 7, 0.2), (7, 8, 1.0), (8, 9, 1.0), (9, 10, 1.5), (10, 11, 1.0), (11, 7, 1.0)]
EDGES += [(11, 12, 0.4), (2, 9, 1.0)]
JOINED = 13
NEAR = np.zeros((JOINED, JOINED))
for _a, _b, _weight in EDGES:
    NEAR[_a, _b] = NEAR[_b, _a] = _weight
NEAR /= NEAR.sum(axis=1, keepdims=True)
AMOUNT = 0.3

CLASSES = np.repeat(["face", "house", "tool"], [3, 4, 7])
KINDS = np.tile(np.repeat(["a", "b", "c", "d"], 3), 2)
RUNS = np.repeat(["run 1", "run 2"], 12)
CONTEXTS = np.isin(KINDS, ["a", "c"])
SIDES = {"first": ["a", "b"]}

BY_LOT = "p, ties by lot"
FEW_ACCURACIES = "an accuracy has few possible values: ties"


class _NearestMean:
    """A classifier of two products: the default one would take a hundred times as long to fit."""

    def __sklearn_clone__(self) -> _NearestMean:
        return _NearestMean()

    def fit(self, x: np.ndarray, side: np.ndarray) -> _NearestMean:
        first, second = x[side].mean(axis=0), x[~side].mean(axis=0)
        self.weights = first - second
        self.threshold = self.weights @ (first + second) / 2
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weights > self.threshold


def _patterns(values: np.ndarray, **coords: np.ndarray) -> xr.DataArray:
    along = {key: ("stimulus", value) for key, value in coords.items()}
    return xr.DataArray(
        values, dims=("stimulus", "unit"), coords={"stimulus": np.arange(len(values)), **along}
    )


def _rows(rng: np.random.Generator, n: int = N) -> np.ndarray:
    """Draw exchangeable stimuli: skewed, in correlated units with means and scales of their own."""
    return OFFSETS + SCALES * (rng.gamma(2.0, size=(n, UNITS)) @ MIXED)


def _unrelated_to_graph(rng: np.random.Generator) -> np.ndarray:
    values = _rows(rng)
    values[JOINED:] += 100.0  # without an edge: must not matter
    return values


def _energies(rng: np.random.Generator) -> Mapping[str, float]:
    patterns = _patterns(_unrelated_to_graph(rng))
    found = dirichlet_energy(patterns, EDGES, n_permutations=DRAWS, rng=rng)
    return {"p": float(found.p)}


def _energies_as_they_are(rng: np.random.Generator) -> Mapping[str, float]:
    patterns = _patterns(_unrelated_to_graph(rng))
    found = dirichlet_energy(patterns, EDGES, normalize="none", n_permutations=DRAWS, rng=rng)
    return {"p": float(found.p)}


def _mixed_with_neighbours(rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    """Draw patterns of nodes, and the same mixed with their neighbours, rotated, scaled and shifted."""
    before = _unrelated_to_graph(rng)
    after = before.copy()
    after[:JOINED] = (1 - AMOUNT) * before[:JOINED] + AMOUNT * NEAR @ before[:JOINED]
    turn = np.linalg.qr(rng.standard_normal((UNITS, UNITS)))[0]
    return _patterns(before), _patterns(5.0 * after @ turn + OFFSETS)


def _mixing(rng: np.random.Generator) -> Mapping[str, float]:
    before, after = _mixed_with_neighbours(rng)
    found = neighbour_mixing(after, EDGES, reference=before, amounts=[AMOUNT], n_draws=DRAWS, rng=rng)
    return {"p, the amount": float(found.p[0])}


def _mixing_without_reference(rng: np.random.Generator) -> Mapping[str, float]:
    _, after = _mixed_with_neighbours(rng)
    found = neighbour_mixing(after, EDGES, amounts=[AMOUNT], n_draws=DRAWS, rng=rng)
    return {"p, the amount": float(found.p[0])}


def _no_mixing(rng: np.random.Generator) -> Mapping[str, float]:
    patterns = _patterns(_unrelated_to_graph(rng))
    found = neighbour_mixing(patterns, EDGES, amounts=[0.0], n_draws=DRAWS, rng=rng)
    return {"p, amount 0": float(found.p[0])}


def _alignments(rng: np.random.Generator) -> Mapping[str, float]:
    patterns = _patterns(_rows(rng, JOINED))
    found = spectral_alignment(patterns, EDGES, 2, n_permutations=DRAWS, rng=rng)
    return {"p": float(found.p)}


def _classes(rng: np.random.Generator) -> Mapping[str, float]:
    patterns = _patterns(_rows(rng), kind=CLASSES)
    return {"p": float(discrimination_value(patterns, "kind", n_permutations=DRAWS, rng=rng).p)}


def _unrelated_feature(rng: np.random.Generator) -> Mapping[str, float]:
    """Draw patterns with a strong effect of size, and ages that have nothing to do with either."""
    size = rng.standard_normal(N)
    values = _rows(rng) + 3.0 * np.outer(size, SCALES)
    patterns = _patterns(values, size=size, age=rng.gamma(1.0, size=N))
    found = {}
    for name, standardize in (("", False), (", standardized", True)):
        table = variance_explained(
            patterns, ["age", "size"], standardize=standardize, n_permutations=DRAWS_OF_SLOW, rng=rng
        )
        found[f"p_alone{name}"] = float(table.p_alone.sel(feature="age"))
        found[f"p_unique{name}"] = float(table.p_unique.sel(feature="age"))
    return found


def _correlated_feature(rng: np.random.Generator) -> Mapping[str, float]:
    """Draw patterns with a strong effect of size, and classes that say nothing more but go with size."""
    size = np.linspace(-1.5, 1.5, N) + 0.5 * rng.standard_normal(N)
    values = _rows(rng) + 3.0 * np.outer(size, SCALES)
    patterns = _patterns(values, size=size, kind=CLASSES)
    found = variance_explained(patterns, ["kind", "size"], n_permutations=DRAWS, rng=rng)
    return {"p_unique": float(found.p_unique.sel(feature="kind"))}


def _walks(rng: np.random.Generator, null: str) -> Mapping[str, float]:
    if null == "directions":
        steps = rng.standard_normal((LAYERS - 1, N, UNITS))
        lengths = rng.gamma(2.0, size=(LAYERS - 1, N, 1)) * np.geomspace(1.0, 4.0, LAYERS - 1)[:, None, None]
        steps *= lengths / np.sqrt((steps**2).sum(axis=-1, keepdims=True))
    else:
        steps = np.stack([_rows(rng) for _ in range(LAYERS - 1)])
    states = np.concatenate([np.zeros((1, N, UNITS)), steps.cumsum(axis=0)]) + _rows(rng)
    stream = xr.DataArray(states, dims=("layer", "stimulus", "unit"))
    found = stream_dynamics(stream, n_null=DRAWS, null=null, rng=rng)
    names = [f"p_{name}" for name in ("continuity", "state_cosine", "turn_cosine")]
    return {
        f"{name}, {place}": float(found[name][i])
        for name in names
        for place, i in (("first", 0), ("last", -1))
    }


def _random_places(rng: np.random.Generator) -> xr.DataArray:
    """Draw condition means at random places, and trials around them: noise skewed and a condition's own."""
    kinds, codes = np.unique(KINDS, return_inverse=True)
    noise = rng.gamma(1.0, size=(len(KINDS), UNITS)) + rng.standard_normal((len(KINDS), 1))
    noise *= np.linspace(0.7, 1.5, len(kinds))[codes, None]
    for k in range(len(kinds)):
        noise[codes == k] -= noise[codes == k].mean(axis=0)
    centres = OFFSETS + rng.standard_normal((len(kinds), UNITS))
    return _patterns(centres[codes] + noise, kind=KINDS, run=RUNS, context=CONTEXTS)


def _no_conditions(rng: np.random.Generator, *, runs_differ: bool) -> xr.DataArray:
    values = _rows(rng, len(KINDS))
    if runs_differ:
        codes = np.unique(RUNS, return_inverse=True)[1]
        values = np.array([1.0, 2.0])[codes, None] * values + rng.normal(0, 3, (2, UNITS))[codes]
    return _patterns(values, kind=KINDS, run=RUNS, context=CONTEXTS)


def _parallelism(rng: np.random.Generator) -> Mapping[str, float]:
    found = parallelism_score(_random_places(rng), "kind", SIDES, n_null=DRAWS_OF_SLOW, rng=rng)
    return {"p": float(found.p[0])}


def _generalisation(rng: np.random.Generator, null: str, contexts: str | None) -> Mapping[str, float]:
    trials = _random_places(rng) if null == "geometric" else _no_conditions(rng, runs_differ=False)
    found = cross_condition_generalisation(
        trials,
        "kind",
        SIDES,
        classifier=_NearestMean(),
        contexts=contexts,
        n_null=DRAWS_OF_SLOW,
        null=null,
        rng=rng,
    )
    return {"p": float(found.p[0]), BY_LOT: _by_lot(found.accuracy[0], found.null[:, 0], rng)}


def _shattering(rng: np.random.Generator, null: str) -> Mapping[str, float]:
    trials = _random_places(rng) if null == "geometric" else _no_conditions(rng, runs_differ=True)
    found = shattering_dimensionality(
        trials, "kind", classifier=_NearestMean(), folds="run", n_null=DRAWS_OF_SLOW, null=null, rng=rng
    )
    return {
        "p": float(found.p[0]),
        BY_LOT: _by_lot(found.accuracy[0], found.null[:, 0], rng),
        "p_mean": float(found.p_mean),
        f"p_mean{BY_LOT[1:]}": _by_lot(found["mean"], found.null.mean("dichotomy"), rng),
    }


def _by_lot(observed: xr.DataArray, null: xr.DataArray, rng: np.random.Generator) -> float:
    """Return the p that is uniform also where statistics have few values: ties count or not by lot."""
    apart = null.values - float(observed)
    ties = int((np.abs(apart) < 1e-9).sum())
    return float((1 + (apart >= 1e-9).sum() + rng.integers(ties + 1)) / (1 + len(apart)))


_NO_GRAPH = "13 exchangeable nodes on a weighted graph and one without an edge; 6 correlated units"
_MIXED = "13 exchangeable nodes, mixed with their neighbours by .3; 6 correlated units"
_PLACES = "4 condition means at random places in 6 units, 6 trials each with a noise of its own"
_EXCHANGEABLE = "24 exchangeable trials of 4 conditions; 6 correlated units"
_RUNS = "24 trials of 4 conditions in 2 runs, exchangeable within runs, that differ; 6 correlated units"

NULLS: list[Null] = [
    Null(
        "geometry.discrimination_value",
        "14 exchangeable stimuli in classes of 3, 4 and 7; 6 correlated units",
        _classes,
    ),
    Null(
        "geometry.variance_explained",
        "14 stimuli, a feature with a strong effect and an unrelated one",
        _unrelated_feature,
    ),
    Null(
        "geometry.variance_explained, correlated features",
        "14 stimuli, a feature with a strong effect and classes that go with it and add nothing",
        _correlated_feature,
    ),
    Null("geometry.parallelism_score", _PLACES, _parallelism),
    Null(
        "geometry.cross_condition_generalisation, null of random places",
        _PLACES,
        lambda rng: _generalisation(rng, "geometric", None),
        {"p": FEW_ACCURACIES},
    ),
    Null(
        "geometry.cross_condition_generalisation, null of random places, contexts",
        _PLACES,
        lambda rng: _generalisation(rng, "geometric", "context"),
        {"p": FEW_ACCURACIES},
    ),
    Null(
        "geometry.cross_condition_generalisation, null of shuffled conditions",
        _EXCHANGEABLE,
        lambda rng: _generalisation(rng, "shuffle", None),
        {"p": FEW_ACCURACIES},
    ),
    Null(
        "geometry.cross_condition_generalisation, null of shuffled conditions, contexts",
        _EXCHANGEABLE,
        lambda rng: _generalisation(rng, "shuffle", "context"),
        {"p": FEW_ACCURACIES},
    ),
    Null(
        "geometry.shattering_dimensionality, null of shuffled conditions",
        _RUNS,
        lambda rng: _shattering(rng, "shuffle"),
        {"p": FEW_ACCURACIES, "p_mean": FEW_ACCURACIES},
    ),
    Null(
        "geometry.shattering_dimensionality, null of random places",
        _PLACES,
        lambda rng: _shattering(rng, "geometric"),
        {"p": FEW_ACCURACIES, "p_mean": FEW_ACCURACIES},
    ),
    Null("geometry.dirichlet_energy", _NO_GRAPH, _energies),
    Null("geometry.dirichlet_energy, not normalized", _NO_GRAPH, _energies_as_they_are),
    Null("geometry.neighbour_mixing", _MIXED, _mixing),
    Null("geometry.neighbour_mixing, without reference", _MIXED, _mixing_without_reference),
    Null("geometry.neighbour_mixing, nothing mixed", _NO_GRAPH, _no_mixing),
    Null("geometry.spectral_alignment", "13 exchangeable nodes on a weighted graph", _alignments),
    Null(
        "geometry.stream_dynamics, null of directions",
        "14 stimuli, 4 layers: steps of any length in directions uniform over all",
        lambda rng: _walks(rng, "directions"),
    ),
    Null(
        "geometry.stream_dynamics, null of steps",
        "14 stimuli, 4 layers: steps exchangeable over stimuli; 6 correlated units",
        lambda rng: _walks(rng, "steps"),
    ),
]
