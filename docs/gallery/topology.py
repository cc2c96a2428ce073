"""Topological RSA

a, how often a held-out person's region is found by geo-topological RDMs, for each pair
of thresholds; b, by summaries of them, chance dashed; c, the dependence map of the two
coordinates of a circle; d, a toy curve. SIMULATED RDMs and curves.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting
from neuroalign.plotting import topology as panels
from neuroalign.rsa import topology
from neuroalign.schema import make_rdm

rng = np.random.default_rng(0)
rdms = make_rdm(
    rng.random((3, 45)) + 3 * rng.random((6, 3, 45)),
    list("abcdefghij"),
    dims=["subject", "roi"],
    coords={"subject": range(6), "roi": ["V1", "V4", "IT"]},
)
found = topology.model_selection(rdms, cells=topology.grid(0.1))
summaries = found["summary_accuracy"].sel(summary=["raw", "rank", "chosen"])
angle = xr.DataArray(
    np.linspace(0, 6, 40), dims="stimulus", coords={"stimulus": np.arange(40)}
)
dependence = topology.agtdm(np.cos(angle), np.sin(angle), n_thresholds=6)

with plotting.style():
    figure, axes = plotting.figure(1, 4, height=52)
    a, b, c, d = axes[0]
    image = panels.accuracy_map(
        a, found["lower"], found["upper"], found["accuracy"], limits=(0, 1)
    )
    figure.colorbar(image, ax=a, label="accuracy", shrink=0.6)
    values = dict(zip(summaries["summary"].values, summaries.values, strict=True))
    panels.accuracy_bars(b, values, chance=found.attrs["chance"])
    b.set_ylabel("accuracy")
    image = panels.dependence_map(
        c, dependence["lower_x"], dependence["lower_y"], dependence["map"]
    )
    figure.colorbar(image, ax=c, label="dependence", shrink=0.6)
    some = angle[::3]
    panels.places(
        d, np.cos(some), np.sin(some), colours=["#0072B2"] * 14, markers=["o"] * 14
    )
    plotting.panel_letters(axes[0])
