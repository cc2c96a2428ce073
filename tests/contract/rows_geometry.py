"""Rows of ``geometry``."""

import numpy as np
import xarray as xr
from battery import Row
from made import activations, names, noise, rng

from neuroalign import geometry as geo

ROOMS = ("geometry",)
NAMED = {
    "non-ASCII labels": "refused: the edges name other stimuli then",
    "labels are numbers": "refused: the edges name other stimuli then",
    "other label": "refused: the edges name other stimuli then",
}


def grouped(per=4):
    kind = np.repeat(list("abcd"), per)
    centres = {"a": [0, 0, 0], "b": [0, 4, 0], "c": [4, 0, 0], "d": [4, 4, 0]}
    values = np.array([centres[k] for k in kind]) + 0.5 * noise(4 * per, 3)
    coords = {
        "stimulus": names(4 * per),
        "kind": ("stimulus", kind),
        "second": ("stimulus", np.isin(kind, ["a", "c"])),
    }
    return {"activations": xr.DataArray(values, dims=("stimulus", "unit"), coords=coords)}


def ring():
    return [(f"s{i:02d}", f"s{(i + 1) % 8:02d}") for i in range(8)]


def nodes():
    angle = 2 * np.pi * np.arange(8) / 8
    values = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * noise(8, 2)
    return {"activations": xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": names(8)})}


def cloud(n=24):
    return {"activations": activations(n, 4)}


def one(name, make, call, **more):
    more.setdefault("shift", ("activations",))
    return Row(f"geometry.{name}", make, call, {next(iter(make())): None}, tolerance=1e-7, **more)


SIDES = {"first": ["a", "b"], "xor": ["a", "d"]}
TABLE = [
    one(
        "cross_condition_generalisation",
        grouped,
        lambda activations: geo.cross_condition_generalisation(activations, "kind", SIDES, contexts="second"),
        shift=(),
    ),
    one(
        "shattering_dimensionality",
        grouped,
        lambda activations: geo.shattering_dimensionality(activations, "kind", SIDES, folds=2, rng=rng()),
        random=True,
        shift=(),
    ),
    one("parallelism_score", grouped, lambda activations: geo.parallelism_score(activations, "kind", SIDES)),
    one("discrimination_value", grouped, lambda activations: geo.discrimination_value(activations, "kind")),
    one("variance_explained", grouped, lambda activations: geo.variance_explained(activations, ["kind"])),
    one("participation_ratio", cloud, geo.participation_ratio),
    one(
        "dimension_curve",
        cloud,
        lambda activations: geo.dimension_curve(activations, [8], n_draws=2, rng=rng()),
        random=True,
    ),
    one("intrinsic_dimension", cloud, geo.intrinsic_dimension),
    one(
        "dirichlet_energy",
        nodes,
        lambda activations: geo.dirichlet_energy(activations, ring()),
        documented=NAMED,
    ),
    one(
        "spectral_alignment",
        nodes,
        lambda activations: geo.spectral_alignment(activations, ring()),
        documented=NAMED,
    ),
    one(
        "neighbour_mixing",
        nodes,
        lambda activations: geo.neighbour_mixing(
            activations, ring(), amounts=(0.0, 0.2), n_draws=4, rng=rng()
        ),
        random=True,
        documented=NAMED,
    ),
    one(
        "stream_dynamics",
        lambda: {
            "activations": xr.DataArray(
                noise(4, 8, 5).cumsum(axis=0),
                dims=("layer", "stimulus", "unit"),
                coords={"layer": range(4), "stimulus": names(8)},
            )
        },
        geo.stream_dynamics,
        shift=(),
    ),
    one(
        "unit_timescales",
        lambda: {
            "series": xr.DataArray(
                noise(60, 2).cumsum(axis=0) * 0.2 + noise(60, 2, seed=1),
                dims=("time", "unit"),
                coords={"time": np.arange(60.0)},
            )
        },
        lambda series: geo.unit_timescales(series, max_lag=6),
        ordered=True,
        shift=("series",),
    ),
]
EXEMPT = {}
