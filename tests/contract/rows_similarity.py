"""Rows of ``similarity``."""

import numpy as np
import xarray as xr
from battery import Row
from made import activations, names, noise, rng

from neuroalign import similarity as sim

ROOMS = ("similarity",)
N = 16
NO_PAIR = "empty: dead units have no partner, and attrs count them"
TWO = {"x": None, "y": None}


def two():
    x = activations(N, 4)
    y = activations(N, 5, seed=1)
    return {"x": x, "y": y + 0.5 * x.values[:, [0, 1, 2, 3, 0]]}


def measure(name, *, shift=("x", "y"), random=False, documented=None, **options):
    function = getattr(sim, name)
    return Row(
        f"similarity.{name}",
        two,
        lambda x, y: function(x, y, **options),
        TWO,
        shift=shift,
        random=random,
        tolerance=1e-7,
        documented=documented or {},
    )


def halves(x):
    return np.arange(len(x)) < len(x) // 2


def streamed(make, x, y):
    found = make()
    for a, b in zip(np.array_split(x, 2), np.array_split(y, 2), strict=True):
        found.update(a, b)
    return found.value()


def stitched():
    x = activations(30, 4)
    turn = np.linalg.qr(noise(4, 4, seed=3))[0]
    target = xr.DataArray(
        np.where(x.values[:, 0] > 0, "a", "b"), dims="stimulus", coords={"stimulus": names(30)}
    )
    return {"a": x, "b": x.copy(data=x.values @ turn), "target": target}


RAW = {"x": ("stimulus", "unit"), "y": ("stimulus", "unit")}
TABLE = [
    *[
        measure(name)
        for name in (
            "cka",
            "rv",
            "rv2",
            "rv_adjusted",
            "procrustes",
            "shape_distance",
            "bures_distance",
            "cca",
            "svcca",
            "pwcca",
            "hard_matching",
            "soft_matching",
            "soft_matching_distance",
            "unit_correlation",
            "best_partners",
        )
    ],
    measure("kernel_alignment", shift=()),
    measure("canonical_correlations", documented={"all constant": "empty: no direction varies"}),
    *[measure(name, shift=(), k=3) for name in ("cknna", "jaccard", "mutual_knn", "second_order_cosine")],
    measure("linear_predictivity", n_folds=3, random=True),
    measure("match_units", how="one-to-one", documented={"all constant": NO_PAIR}),
    Row(
        "similarity.minibatch_cka",
        two,
        lambda x, y: sim.minibatch_cka(x, y, batch_size=8),
        TWO,
        shift=("x", "y"),
        random=True,
        tolerance=1e-7,
    ),
    Row(
        "similarity.compare",
        two,
        lambda x, y: sim.compare({"x": x, "y": y}),
        TWO,
        shift=("x", "y"),
        tolerance=1e-7,
    ),
    Row(
        "similarity.test",
        two,
        lambda x, y: sim.test(x, y, n=9, rng=rng()),
        TWO,
        shift=("x", "y"),
        random=True,
        tolerance=1e-7,
    ),
    Row(
        "similarity.cluster_units",
        two,
        lambda x, y: sim.cluster_units({"a": x, "b": y}, n_clusters=2),
        TWO,
        shift=("x", "y"),
        tolerance=1e-7,
        documented={"one unit": "silent NaN: cohesion is NaN where a cluster has units of one network only"},
    ),
    Row(
        "similarity.excess_correlation",
        two,
        lambda x, y: sim.excess_correlation(x, {"y": y}, rng=rng()),
        TWO,
        shift=("x", "y"),
        random=True,
        tolerance=1e-7,
    ),
    Row(
        "similarity.mutual_sets",
        two,
        lambda x, y: sim.mutual_sets({"a": x, "b": y}),
        TWO,
        shift=("x", "y"),
        tolerance=1e-7,
        documented={"all constant": NO_PAIR},
    ),
    Row(
        "similarity.matching_test",
        two,
        lambda x, y: sim.matching_test(x, y, select=halves(x), n=5, rng=rng()),
        TWO,
        shift=("x", "y"),
        random=True,
        tolerance=1e-7,
    ),
    Row(
        "similarity.sparse_prediction",
        two,
        lambda x, y: sim.sparse_prediction(x, y, select=halves(x), n_alphas=4, n_folds=2),
        TWO,
        random=True,
        tolerance=1e-5,
    ),
    Row(
        "similarity.shape_mean",
        two,
        lambda x, y: sim.shape_mean({"x": x, "y": y[:, :4]}),
        TWO,
        shift=("x", "y"),
        tolerance=1e-6,
    ),
    Row(
        "similarity.features_of_gram",
        lambda: {"gram": (lambda z: z @ z.T)(noise(6, 12))},
        lambda gram: (lambda f: f @ f.T)(sim.features_of_gram(gram)),
        {"gram": ("a", "b")},
        tolerance=1e-7,
    ),
    Row(
        "similarity.relative_representation",
        lambda: {"x": activations(N, 4)},
        lambda x: sim.relative_representation(x, ["s00", "s04", "s07"]),
        {"x": None},
        random=True,
        documented={
            "non-ASCII labels": "refused: the anchors are named otherwise then",
            "labels are numbers": "refused: the anchors are named otherwise then",
        },
    ),
    Row(
        "similarity.ridge_predict",
        lambda: {"features": noise(12, 3), "targets": noise(12, 2, seed=1)},
        lambda features, targets: sim.ridge_predict(features, targets, noise(4, features.shape[1], seed=2)),
        {"features": ("stimulus", "unit"), "targets": ("stimulus", "target")},
        tolerance=1e-7,
    ),
    Row(
        "similarity.stitching_test",
        stitched,
        lambda a, b, target: sim.stitching_test(
            a, b, target, anchors=names(30)[:6], train=names(30)[:20], n=4
        ),
        {"a": None, "b": None, "target": None},
        random=True,
        tolerance=1e-6,
        documented={
            **{
                f"{one}:{fault}": "silent NaN: absolute is NaN where the networks differ in width"
                for one in "ab"
                for fault in ("one unit", "n < p")
            },
            "non-ASCII labels": "refused: the anchors are named otherwise then",
            "labels are numbers": "refused: the anchors are named otherwise then",
        },
    ),
    Row(
        "similarity.StreamedCKA",
        lambda: {"x": noise(N, 4), "y": noise(N, 3, seed=1)},
        lambda x, y: streamed(sim.StreamedCKA, x, y),
        RAW,
        shift=("x", "y"),
        tolerance=1e-7,
    ),
    Row(
        "similarity.StreamedUnitCorrelation",
        lambda: {"x": noise(N, 4), "y": noise(N, 3, seed=1)},
        lambda x, y: streamed(sim.StreamedUnitCorrelation, x, y),
        RAW,
        shift=("x", "y"),
        tolerance=1e-7,
    ),
]
EXEMPT = {
    "similarity.DegenerateWarning": "a warning",
    "similarity.cka_loss": "takes tensors; tests/similarity",
}
