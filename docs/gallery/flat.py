"""Neuroids without a geometry

Side by side in their own order, or over two of their coordinates; a score, and a code
with names. SIMULATED values.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

rng = np.random.default_rng(0)
places = rng.uniform(-1, 1, (400, 2))
scores = xr.DataArray(
    np.where(
        rng.random(400) < 0.05, np.nan, places[:, 0] + 0.3 * rng.standard_normal(400)
    ),
    dims="neuroid",
    coords={
        "neuroid": np.arange(400),
        "x": ("neuroid", places[:, 0]),
        "y": ("neuroid", places[:, 1]),
    },
)
region = scores.copy(data=(places[:, 0] > 0) + 2.0 * (places[:, 1] > 0)).rename(
    "region"
)
names = plotting.code_scale(
    list(plotting.COLOURS.values())[:4], ["V1", "V2", "V3", "V4"]
)

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=62)
    difference = plotting.colour_scale(scores.values, diverging=True)
    plotting.flat_map(axes[0, 0], scores, scale=difference, label="difference of r")
    plotting.flat_map(axes[0, 1], region, x="x", y="y", scale=names, label="")
    plotting.panel_letters(axes[0])
