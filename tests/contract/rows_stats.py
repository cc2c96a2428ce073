"""Rows of ``stats``."""

import numpy as np
import xarray as xr
from battery import Row
from made import courses, names, noise, rng, scores, series, subjects_series

from neuroalign import stats

ROOMS = ("stats",)
COLUMNS = ("stimulus", "neuroid")
LEFT_SERIES = "same/finite: series that are constant or not finite are left out"
LEFT_OUT = "NaN is a test that was not made: it stays NaN and belongs to no family"


def pair_of(name, **more):
    def make():
        y = noise(12, 3)
        return {"y": y, "prediction": y + noise(12, 3, seed=1)}

    return Row(
        f"stats.{name}",
        make,
        getattr(stats, name),
        {"y": COLUMNS, "prediction": COLUMNS},
        shift=more.pop("shift", ("y", "prediction")),
        **more,
    )


def p_values():
    return {"p": rng().random((3, 4))}


def repeated():
    values = noise(10, 3, 1) + 0.5 * noise(10, 3, 4, seed=1)
    coords = {"stimulus": names(10), "neuroid": names(3, "n"), "repetition": np.arange(4)}
    return {"responses": xr.DataArray(values, dims=("stimulus", "neuroid", "repetition"), coords=coords)}


def saturating():
    x = np.arange(2.0, 9.0)
    return {"sizes": x, "values": (0.4 * (1 - np.exp(-x / 5)))[:, None] * [1.0, 0.5]}


def cells():
    values = noise(6, 20)
    values[:, 8:12] += 3
    return {
        "values": xr.DataArray(
            values, dims=("subject", "time"), coords={"subject": names(6), "time": np.arange(20) / 10}
        )
    }


def two_of_cells():
    return {**cells(), "other": cells()["values"].copy(data=noise(6, 20, seed=1))}


TABLE = [
    pair_of("pearson_r"),
    pair_of("r2", shift=()),
    pair_of("explained_variance"),
    pair_of("mse", shift=()),
    pair_of("spearman"),
    Row("stats.ar1", lambda: {"x": noise(30, 3)}, stats.ar1, {"x": ("time", "neuroid")}, shift=("x",)),
    Row(
        "stats.block_length",
        lambda: {"x": noise(40, 3)},
        stats.block_length,
        {"x": ("time", "neuroid")},
        shift=("x",),
        documented={"one NaN": LEFT_SERIES, "one inf": LEFT_SERIES},
    ),
    Row(
        "stats.block_lengths",
        lambda: {"x": noise(40, 3)},
        stats.block_lengths,
        {"x": ("time", "neuroid")},
        shift=("x",),
    ),
    Row(
        "stats.effective_n",
        lambda: {"x": noise(40, 3), "y": noise(40, 3, seed=1)},
        stats.effective_n,
        {"x": ("time", "neuroid"), "y": ("time", "neuroid")},
        shift=("x", "y"),
    ),
    Row(
        "stats.integrated_time",
        lambda: {"x": noise(40, 3)},
        stats.integrated_time,
        {"x": ("time", "neuroid")},
        shift=("x",),
    ),
    Row(
        "stats.by_subject",
        lambda: {"series": subjects_series()},
        stats.by_subject,
        {"series": None},
        ordered=True,
        documented={
            "one NaN": "silent NaN: NaN is let through",
            "all NaN": "silent NaN: NaN is let through",
            "one inf": "infinite: values are let through",
        },
    ),
    Row(
        "stats.isc",
        lambda: {"series": subjects_series()},
        stats.isc,
        {"series": None},
        shift=("series",),
        ordered=True,
    ),
    Row(
        "stats.prepare_series",
        lambda: {"series": series()},
        stats.prepare_series,
        {"series": None},
        shift=("series",),
        ordered=True,
    ),
    Row(
        "stats.detrend_linear",
        lambda: {"x": noise(12, 3)},
        stats.detrend_linear,
        {"x": COLUMNS},
        shift=("x",),
    ),
    Row("stats.standardize", lambda: {"x": noise(12, 3)}, stats.standardize, {"x": COLUMNS}, shift=("x",)),
    Row(
        "stats.is_constant",
        lambda: {"x": noise(12, 3)},
        stats.is_constant,
        {"x": COLUMNS},
        documented={
            **dict.fromkeys(
                ("one NaN", "one inf", "all NaN"), "same: a column with NaN or infinity is not constant"
            ),
            "no stimulus": "finite: a column without rows is constant",
        },
    ),
    Row(
        "stats.cluster_test",
        two_of_cells,
        lambda values, other: stats.cluster_test(values, other, n=20, rng=rng()),
        {"values": None, "other": None},
        ordered=True,
        random=True,
        documented={"constant subject": "silent NaN: p is NaN outside clusters, which are others then"},
    ),
    Row(
        "stats.map_tests",
        lambda: {"maps": scores()},
        lambda maps: stats.map_tests(maps, n=50, rng=rng()),
        {"maps": None},
        random=True,
        documented={
            "one NaN": "finite: a subject with NaN is left out of that place; n_subjects counts",
            "constant neuroid": "infinite: t is infinite where all scores are one number",
            "all constant": "infinite: t is infinite where all scores are one number",
        },
    ),
    Row(
        "stats.mean_tests",
        lambda: {"scores": scores()},
        lambda scores: stats.mean_tests(scores, n=30, rng=rng()),
        {"scores": None},
        random=True,
        documented={"one NaN": "finite: a subject with NaN is left out of that mean; n_subjects counts"},
    ),
    Row(
        "stats.latencies",
        lambda: {"values": courses()},
        lambda values: stats.latencies(values, n_bootstrap=10, rng=rng()),
        {"values": None},
        ordered=True,
        random=True,
    ),
    Row(
        "stats.latency_difference",
        lambda: {"values": courses(by=0.05), "other": courses()},
        lambda values, other: stats.latency_difference(values, other, n_bootstrap=10, rng=rng()),
        {"values": None, "other": None},
        ordered=True,
        random=True,
    ),
    Row(
        "stats.explainable_variance",
        repeated,
        stats.explainable_variance,
        {"responses": None},
        shift=("responses",),
    ),
    Row(
        "stats.split_half_ceiling",
        repeated,
        lambda responses: stats.split_half_ceiling(responses, n=5, rng=rng()),
        {"responses": None},
        shift=("responses",),
    ),
    Row(
        "stats.noise_ceiling",
        lambda: {"values": noise(1, 12, 2) + noise(4, 12, 2, seed=1)},
        stats.noise_ceiling,
        {"values": ("subject", "stimulus", "neuroid")},
        shift=("values",),
        documented={"one subject": "counted: without another subject there is no lower bound"},
    ),
    Row(
        "stats.split_half",
        lambda: {"values": noise(1, 12, 2) + noise(4, 12, 2, seed=1)},
        lambda values: stats.split_half(values, n=5, rng=rng()),
        {"values": ("subject", "stimulus", "neuroid")},
        shift=("values",),
    ),
    Row(
        "stats.mean_of_others",
        lambda: {"values": noise(4, 3)},
        stats.mean_of_others,
        {"values": ("subject", "neuroid")},
        documented={"one NaN": "finite: the mean of the others that are not NaN"},
    ),
    Row(
        "stats.normalized",
        lambda: {"scores": scores()[0], "ceiling": abs(scores(seed=1)[0]) + 0.5},
        stats.normalized,
        {"scores": None, "ceiling": None},
        columns=("scores", "ceiling"),
    ),
    Row(
        "stats.fdr",
        p_values,
        stats.fdr,
        {"p": ("model", "neuroid")},
        documented={"one NaN": f"finite: {LEFT_OUT}"},
    ),
    Row(
        "stats.holm",
        p_values,
        stats.holm,
        {"p": ("model", "neuroid")},
        documented={"one NaN": f"finite: {LEFT_OUT}"},
    ),
    Row(
        "stats.p_value",
        lambda: {"observed": noise(3), "null": noise(19, 3, seed=1)},
        stats.p_value,
        {"observed": ("neuroid",), "null": ("draw", "neuroid")},
        documented={
            "null:one NaN": "finite/same: a draw that is NaN counts as one at least as extreme",
            "null:all NaN": "finite: a draw that is NaN counts as one at least as extreme",
            "one inf": "finite/same: infinity is larger than any other statistic",
        },
    ),
    Row(
        "stats.max_p",
        lambda: {"observed": noise(3), "null": noise(19, 3, seed=1)},
        stats.max_p,
        {"observed": ("neuroid",), "null": ("draw", "neuroid")},
        documented={
            "one inf": "finite/same: infinity is larger than any other statistic",
            "null:one NaN": "finite: an undefined draw counts as extreme for all",
            "null:all NaN": "finite: an undefined draw counts as extreme for all",
        },
    ),
    Row(
        "stats.sign_flips",
        lambda: {"values": noise(5, 3)},
        stats.sign_flips,
        {"values": ("subject", "neuroid")},
        documented={"one NaN": "finite: a subject without that score is left out of that mean"},
    ),
    Row("stats.spearman_brown", lambda: {"r": rng().random(4)}, stats.spearman_brown, {"r": ("neuroid",)}),
    Row(
        "stats.resampled_tests",
        lambda: {"estimate": noise(3), "variance": 0.1 + rng().random(3), "draws": noise(20, 3, seed=1)},
        lambda estimate, variance, draws: stats.resampled_tests(estimate, variance, draws, dof=9),
        {"estimate": ("neuroid",), "variance": ("neuroid",), "draws": ("draw", "neuroid")},
        documented={"draws:one NaN": "finite: an undefined draw is left out of that statistic's tests"},
    ),
    Row(
        "stats.dual_variance",
        lambda: {
            "both": 0.5 + rng().random(3),
            "subject": 0.1 * rng(1).random(3),
            "stimulus": 0.1 * rng(2).random(3),
        },
        lambda both, subject, stimulus: stats.dual_variance(both, subject, stimulus, 9, 9),
        {"both": ("neuroid",), "subject": ("neuroid",), "stimulus": ("neuroid",)},
    ),
    Row(
        "stats.commonalities",
        lambda: {"scores": rng().random((3, 2))},
        lambda scores: stats.commonalities(scores, 2),
        {"scores": ("union", "neuroid")},
    ),
    Row(
        "stats.fit_saturation",
        saturating,
        stats.fit_saturation,
        {"sizes": ("size",), "values": ("size", "neuroid")},
    ),
]
EXEMPT = {
    "stats.BlockTests": "a result",
    "stats.Bootstrap": "a result",
    "stats.ResampledTests": "a result",
    "stats.all_unions": "takes a number",
    "stats.block_shuffle": "takes numbers",
    "stats.circular_shift": "takes numbers",
    "stats.shuffle": "takes a number",
    "stats.bootstrap": "takes a statistic of row numbers, no array",
    "stats.permutation": "takes a statistic of row numbers, no array",
    "stats.block_tests": "takes statistics of row numbers, no array",
    "stats.extrapolated_ceiling": "takes a statistic of row numbers, no array",
    "stats.effective_dof": "takes numbers",
}
