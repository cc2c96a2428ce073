"""Rows of ``rsa``, ``rsa.models`` and ``rsa.topology``."""

import numpy as np
import xarray as xr
from battery import Row
from made import activations, in_runs, located, names, noise, rdms, responses, rng, series

from neuroalign import rsa
from neuroalign.rsa import models, topology

ROOMS = ("rsa", "rsa.models", "rsa.topology")
LINE = [[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [4.0, 0.0, 0.0], [5.0, 0.0, 0.0]]
FACES = np.array([[0, 1, 2], [2, 1, 3], [2, 3, 4]])
MISSING_PAIR = "finite: NaN marks a missing pair, and RDMs are compared over the pairs that both have"


def two_rdms(a="rdm", b="subject"):
    return lambda: {"a": rdms(k=2, dim=a), "b": rdms(k=3, dim=b, seed=1)}


def models_and_data(n=7):
    return lambda: {"models": rdms(n, 2, dim="model", seed=5), "data": rdms(n, 4)}


def in_time(k=3, seed=0):
    found = rdms(k=k, dim="time", seed=seed)
    return found.assign_coords(time=np.arange(k) / 10)


def residuals():
    return responses(30, 4, rows="time", seed=4)


def covering(method):
    return lambda x: getattr(rsa, method)(x)


def two_variables():
    t = 2 * np.pi * rng().random(12)
    coords = {"stimulus": names(12)}
    return {
        "x": xr.DataArray(np.cos(t), dims="stimulus", coords=coords),
        "y": xr.DataArray(np.sin(t), dims="stimulus", coords=coords),
    }


def of_regions():
    values = 1.0 + rng(3).random((2, 21)) + 0.2 * rng(4).random((4, 2, 21))
    one = rdms(7)
    return one.expand_dims(subject=names(4), roi=["V1", "IT"]).copy(data=values)


TABLE = [
    Row("rsa.compare", two_rdms(), rsa.compare, {"a": None, "b": None}, documented={"one NaN": MISSING_PAIR}),
    Row(
        "rsa.cross_temporal_distance",
        lambda: {"responses": in_runs(extra=(3,))},
        rsa.cross_temporal_distance,
        {"responses": None},
        shift=("responses",),
    ),
    Row(
        "rsa.evaluate",
        models_and_data(),
        lambda models, data: rsa.evaluate(models, data, n_bootstrap=5, rng=rng()),
        {"models": None, "data": None},
        random=True,
        documented={"one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.infer",
        models_and_data(),
        lambda models, data: rsa.infer(models, data, n=12, rng=rng()),
        {"models": None, "data": None},
        random=True,
        leader="data",
        documented={"one NaN": MISSING_PAIR},
    ),
    Row("rsa.mds", lambda: {"rdm": rdms()}, lambda rdm: rsa.mds(rdm, "classical"), {"rdm": None}),
    Row(
        "rsa.mean_rdm",
        lambda: {"rdms": rdms(k=3)},
        rsa.mean_rdm,
        {"rdms": None},
        documented={
            "one NaN": "finite: a pair is averaged over the RDMs that have it; n_rdms counts",
            "all NaN": "silent NaN: a pair that none has is NaN; n_rdms is 0 there",
        },
    ),
    Row(
        "rsa.merge_rdms",
        lambda: {"first": rdms(5), "second": rdms(5, seed=1)},
        lambda first, second: rsa.merge_rdms([first, second], method="simple"),
        {"first": None, "second": None},
        documented={
            "one NaN": "finite: NaN marks a pair that an RDM does not have; n_rdms counts",
            "other label": "counted: partial RDMs have other stimuli; n_missing counts pairs of none",
        },
    ),
    Row(
        "rsa.union_rdms",
        lambda: {"first": rdms(5), "second": rdms(5, seed=1)},
        lambda first, second: rsa.union_rdms([first, second]),
        {"first": None, "second": None},
        documented={
            "one NaN": "silent NaN: NaN is where a pair is not an RDM's",
            "all NaN": "silent NaN: NaN is where a pair is not an RDM's",
            "other label": "silent NaN: NaN is where a pair is not an RDM's",
        },
    ),
    Row(
        "rsa.rescale_rdms",
        lambda: {"rdms": rdms(5, 3)},
        lambda rdms: rsa.rescale_rdms(rdms, "simple"),
        {"rdms": None},
        documented={"one NaN": "silent NaN: NaN marks a pair that an RDM does not have"},
    ),
    Row(
        "rsa.movie",
        lambda: {
            "responses": xr.DataArray(
                noise(6, 5, 4),
                dims=("stimulus", "neuroid", "time"),
                coords={"stimulus": names(6), "time": np.arange(4) / 10},
            )
        },
        rsa.movie,
        {"responses": None},
    ),
    Row(
        "rsa.nearest_neighbours",
        lambda: {"xyz": np.array(LINE)},
        lambda xyz: rsa.nearest_neighbours(xyz, 2),
        {"xyz": ("neuroid", "axis")},
    ),
    Row(
        "rsa.spheres",
        lambda: {"xyz": np.array(LINE)},
        lambda xyz: rsa.spheres(xyz, 2.0),
        {"xyz": ("neuroid", "axis")},
    ),
    Row(
        "rsa.surface_neighbours",
        lambda: {"faces": FACES},
        lambda faces: rsa.surface_neighbours(faces, rings=1),
        {"faces": ("face", "corner")},
    ),
    Row(
        "rsa.noise_ceiling",
        lambda: {"rdms": rdms(k=4)},
        rsa.noise_ceiling,
        {"rdms": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.noise_covariance",
        lambda: {"x": residuals()},
        covering("noise_covariance"),
        {"x": None},
        shift=("x",),
    ),
    Row(
        "rsa.noise_precision",
        lambda: {"x": residuals()},
        covering("noise_precision"),
        {"x": None},
        shift=("x",),
    ),
    Row(
        "rsa.whiten",
        lambda: {"patterns": responses(6, 4), "noise": residuals()},
        rsa.whiten,
        {"patterns": None, "noise": None},
        shift=("noise",),
        columns=("patterns", "noise"),
    ),
    Row(
        "rsa.partial_compare",
        models_and_data(),
        rsa.partial_compare,
        {"models": None, "data": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.regress",
        models_and_data(),
        rsa.regress,
        {"models": None, "data": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.variance_partition",
        models_and_data(),
        lambda models, data: rsa.variance_partition(models, data, {"a": ["m00"], "b": ["m01"]}),
        {"models": None, "data": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    Row("rsa.rdm", lambda: {"patterns": activations(6)}, rsa.rdm, {"patterns": None}),
    *[
        Row(
            f"rsa.rdm:{metric}",
            lambda: {"patterns": activations(6)},
            lambda patterns, m=metric: rsa.rdm(patterns, m),
            {"patterns": None},
            shift=("patterns",) if metric == "euclidean" else (),
        )
        for metric in ("cosine", "euclidean")
    ],
    Row(
        "rsa.rdm:crossnobis",
        lambda: {"patterns": in_runs()},
        lambda patterns: rsa.rdm(patterns, "crossnobis"),
        {"patterns": None},
        shift=("patterns",),
    ),
    Row(
        "rsa.rdm:with noise",
        lambda: {"patterns": responses(6, 4), "noise": rsa.noise_precision(residuals())},
        lambda patterns, noise: rsa.rdm(patterns, "mahalanobis", noise=noise),
        {"patterns": None, "noise": None},
        ordered=True,
        columns=("patterns", "noise"),
        documented={"noise:int8": "refused: a precision is of floating point numbers"},
    ),
    Row(
        "rsa.searchlight",
        lambda: {"responses": located(), "models": rdms(8, 2, dim="model")},
        lambda responses, models: rsa.searchlight(responses, models, radius=1),
        {"responses": None, "models": None},
        documented={"models:one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.searchlight_tests",
        lambda: {"responses": located(), "models": rdms(8, 2, dim="model")},
        lambda responses, models: rsa.searchlight_tests(responses, models, radius=1, n=9, rng=rng()),
        {"responses": None, "models": None},
        random=True,
        documented={"models:one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.searchlight_reliability",
        lambda: {"responses": in_runs(4)},
        lambda responses: rsa.searchlight_reliability(
            responses,
            neighbours=[np.arange(responses.sizes["neuroid"])] * responses.sizes["neuroid"],
            metric="crossnobis",
            rng=rng(),
        ),
        {"responses": None},
        shift=("responses",),
    ),
    Row(
        "rsa.subset",
        lambda: {"rdms": rdms(k=2)},
        lambda rdms: rsa.subset(rdms, ["s03", "s01", "s02"]),
        {"rdms": None},
        labels=True,
        documented={
            "non-ASCII labels": "refused: the stimuli asked for are not there then",
            "labels are numbers": "refused: the stimuli asked for are not there then",
        },
    ),
    Row(
        "rsa.temporal_generalisation",
        lambda: {"rdms": in_time(), "other": in_time(seed=1)},
        rsa.temporal_generalisation,
        {"rdms": None, "other": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.time_course",
        lambda: {"models": rdms(k=2, dim="model"), "rdms": in_time()},
        rsa.time_course,
        {"models": None, "rdms": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    *[
        Row(
            f"rsa.transform:{how}",
            lambda: {"rdms": rdms(k=2)},
            lambda rdms, how=how: rsa.transform(rdms, how),
            {"rdms": None},
            documented={
                "one NaN": "silent NaN: NaN pairs stay NaN and count nowhere",
                "all NaN": "silent NaN: NaN pairs stay NaN and count nowhere",
            },
        )
        for how in ("rank", "sqrt", "minmax", "zscore")
    ],
    Row(
        "rsa.window_patterns",
        lambda: {"series": series(20, 3)},
        lambda series: rsa.window_patterns(series, 2),
        {"series": None},
        ordered=True,
        labels=True,
    ),
    Row(
        "rsa.models.fixed",
        lambda: {"rdm": rdms()},
        lambda rdm: models.fixed(rdm, "m").rdms,
        {"rdm": None},
        labels=True,
    ),
    *[
        Row(
            f"rsa.models.{kind}",
            lambda: {"rdms": rdms(k=2, dim="component")},
            lambda rdms, kind=kind: getattr(models, kind)(rdms, "m").rdms,
            {"rdms": None},
            labels=True,
        )
        for kind in ("interpolated", "select", "weighted")
    ],
    Row(
        "rsa.models.fit",
        lambda: {"rdms": rdms(k=2, dim="component", seed=6), "data": rdms(k=3)},
        lambda rdms, data: models.fit(models.weighted(rdms, "m"), data),
        {"rdms": None, "data": None},
        documented={"one NaN": MISSING_PAIR},
    ),
    Row(
        "rsa.models.predict",
        lambda: {
            "rdms": rdms(k=2, dim="component"),
            "weights": xr.DataArray([0.5, 1.0], dims="component", coords={"component": names(2, "c")}),
        },
        lambda rdms, weights: models.predict(models.weighted(rdms, "m"), weights),
        {"rdms": None, "weights": None},
        columns=("rdms", "weights"),
        documented={
            "rdms:one NaN": "silent NaN: NaN where a component lacks the pair",
            "rdms:all NaN": "silent NaN: NaN where a component lacks the pair",
        },
    ),
    Row(
        "rsa.topology.geo_topological",
        lambda: {"rdm": rdms()},
        lambda rdm: topology.geo_topological(rdm, 0.2, 0.8),
        {"rdm": None},
        documented={
            "one NaN": "silent NaN: a NaN pair stays NaN and does not count among the ranks",
            "all NaN": "silent NaN: a NaN pair stays NaN",
        },
    ),
    Row(
        "rsa.topology.geodesic",
        lambda: {"rdm": rdms()},
        lambda rdm: topology.geodesic(rdm, edges="k-nearest", k=3),
        {"rdm": None},
        documented={"one NaN": "finite/same: a NaN pair is no edge; its path runs over others"},
    ),
    Row(
        "rsa.topology.agtdm",
        two_variables,
        lambda x, y: topology.agtdm(x, y, n_permutations=5, n_thresholds=3, rng=rng()),
        {"x": None, "y": None},
        shift=("x", "y"),
        random=True,
    ),
    Row(
        "rsa.topology.model_selection",
        lambda: {"rdms": of_regions()},
        lambda rdms: topology.model_selection(rdms, cells=topology.grid(0.5)),
        {"rdms": None},
    ),
]
EXEMPT = {
    "rsa.merge_draws": "takes results of infer, checked by their attributes; tests/rsa/test_infer.py",
    "rsa.models.Model": "made by fixed, select, weighted and interpolated, which are rows",
    "rsa.models.fit_rows": "the kernel of fit on checked arrays; tests/rsa/test_models.py",
    "rsa.topology.family": "takes two numbers",
    "rsa.topology.grid": "takes a number",
    "rsa.topology.toy_curves": "takes a number",
    "rsa.topology.toy_rings": "takes a number",
}
