"""Rows of ``spatial``."""

import numpy as np
from battery import Row
from made import noise, rng

from neuroalign import spatial

ROOMS = ("spatial",)
SHAPE = (3, 4)
NEVER_ABOVE = dict.fromkeys(("one NaN", "all NaN"), "same/finite: NaN is never above the threshold")
MAPS = ("map", "unit")


def graph():
    return spatial.lattice(SHAPE)


def maps():
    return {"values": noise(2, 12)}


def of_maps(name, *more, shift=("values",), documented=None, **options):
    function = getattr(spatial, name)
    return Row(
        f"spatial.{name}",
        maps,
        lambda values: function(values, *[one() for one in more], **options),
        {"values": MAPS},
        shift=shift,
        documented=documented or {},
    )


def places():
    return {"positions": spatial.lattice_positions(SHAPE) + 0.01 * noise(12, 2)}


def weights():
    return {"graph": graph().toarray()}


TABLE = [
    of_maps("moran", graph),
    of_maps("geary", graph),
    of_maps("local_moran", graph),
    of_maps("local_geary", graph),
    of_maps("dirichlet_energy", graph),
    of_maps("fwhm", graph),
    of_maps("clusters", graph, threshold=0.5, shift=(), documented=NEVER_ABOVE),
    of_maps("largest_cluster", graph, threshold=0.5, shift=(), documented=NEVER_ABOVE),
    Row(
        "spatial.bivariate_moran",
        lambda: {"first": noise(2, 12), "second": noise(12, seed=1)},
        lambda first, second: spatial.bivariate_moran(first, second, graph()),
        {"first": MAPS, "second": ("unit",)},
        shift=("first", "second"),
    ),
    Row(
        "spatial.local_null",
        maps,
        lambda values: spatial.local_null(values, graph(), 3, rng=rng()),
        {"values": MAPS},
    ),
    Row("spatial.shuffled", maps, lambda values: spatial.shuffled(values, 3, rng=rng()), {"values": MAPS}),
    Row(
        "spatial.spectral_randomisations",
        maps,
        lambda values: spatial.spectral_randomisations(values, graph(), 3, rng=rng()),
        {"values": MAPS},
        tolerance=1e-7,
    ),
    Row(
        "spatial.torus_shifts",
        maps,
        lambda values: spatial.torus_shifts(values, SHAPE, 3, rng=rng()),
        {"values": MAPS},
    ),
    Row(
        "spatial.smooth",
        maps,
        lambda values: spatial.smooth(
            values, spatial.gaussian_kernel(spatial.lattice_positions(SHAPE), fwhm=2.0)
        ),
        {"values": MAPS},
        documented={
            "one NaN": "silent NaN: a NaN stays NaN and counts for nothing around it",
            "all NaN": "silent NaN: a NaN stays NaN and counts for nothing around it",
        },
    ),
    Row(
        "spatial.spatial_smoothness",
        lambda: {"activations": noise(6, 12), **places()},
        lambda activations, positions: spatial.spatial_smoothness(activations, positions),
        {"activations": ("stimulus", "unit"), "positions": ("unit", "axis")},
    ),
    Row(
        "spatial.cluster_sizes",
        lambda: {"labels": np.array([2, 0, 1, 1, 0, 3])},
        spatial.cluster_sizes,
        {"labels": ("unit",)},
    ),
    Row("spatial.components", weights, spatial.components, {"graph": ("a", "b")}),
    Row("spatial.islands", weights, spatial.islands, {"graph": ("a", "b")}),
    Row("spatial.row_standardise", weights, spatial.row_standardise, {"graph": ("a", "b")}),
    Row(
        "spatial.heat_kernel",
        weights,
        lambda graph: spatial.heat_kernel(graph, time=0.5) @ np.ones(graph.shape[0]),
        {"graph": ("a", "b")},
    ),
    Row(
        "spatial.distances",
        places,
        lambda positions: spatial.distances(positions, k=2),
        {"positions": ("unit", "axis")},
    ),
    Row(
        "spatial.gaussian_kernel",
        places,
        lambda positions: spatial.gaussian_kernel(positions, fwhm=2.0),
        {"positions": ("unit", "axis")},
        shift=(),
    ),
    Row(
        "spatial.mesh",
        lambda: {"faces": np.array([[0, 1, 2], [1, 2, 3]])},
        spatial.mesh,
        {"faces": ("face", "corner")},
    ),
]
EXEMPT = {
    "spatial.SpatialLoss": "takes tensors; tests/spatial/test_losses.py",
    "spatial.spatial_smoothness_loss": "takes tensors; tests/spatial/test_losses.py",
    "spatial.lattice": "takes numbers",
    "spatial.lattice_positions": "takes numbers",
}
