"""Time courses with clusters

Two models over time with standard errors and the noise ceiling; below, clusters whose
mean differs from 0 (sign flips over people). SIMULATED scores of 12 people.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting, stats

rng = np.random.default_rng(0)
times = np.arange(-0.1, 0.6, 0.02)
colours = {"meaning": plotting.COLOURS["blue"], "sound": plotting.COLOURS["orange"]}
scores = {
    name: 0.15 * np.exp(-(((times - peak) / 0.07) ** 2))
    + 0.08 * rng.standard_normal((12, len(times)))
    for name, peak in (("meaning", 0.4), ("sound", 0.15))
}
labelled = xr.DataArray(
    list(scores.values()),
    dims=("model", "subject", "time"),
    coords={"model": list(scores), "subject": range(12), "time": times},
)
tests = stats.cluster_test(labelled, tail="greater")  # all 4,096 patterns of signs
clusters = zip(
    *(tests[name].values for name in ("cluster_model", "start", "stop", "p_cluster")),
    strict=True,
)

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=65)
    error = {name: values.std(axis=0) / np.sqrt(12) for name, values in scores.items()}
    means = {name: values.mean(axis=0) for name, values in scores.items()}
    plotting.time_courses(
        axes[0, 0],
        times,
        means,
        colours=colours,
        bands={
            name: (means[name] - error[name], means[name] + error[name])
            for name in means
        },
        ceiling=(times, np.full(len(times), 0.2), np.full(len(times), 0.26)),
    )
    plotting.cluster_bars(axes[0, 0], clusters, colours=colours)
    axes[0, 0].set_ylabel("RDM similarity")
    axes[0, 0].legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3)
