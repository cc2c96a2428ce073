"""Which layer, and which of two

Left: the layer that predicts each neuroid best, none where no layer reaches .1. Right:
two scores as one colour. SIMULATED scores.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

rng = np.random.default_rng(0)
x, y = rng.uniform(-1, 1, (2, 600))
scores = xr.DataArray(
    [
        0.4 * np.exp(-((x - centre) ** 2) / 0.2) * (y > -0.8)
        for centre in (-1, -0.3, 0.3, 1)
    ],
    dims=("layer", "neuroid"),
    coords={
        "layer": ["block 2", "block 5", "block 8", "block 11"],
        "neuroid": np.arange(600),
        "x": ("neuroid", x),
        "y": ("neuroid", y),
    },
)
best = plotting.preferred_layer(scores, least=0.1)
print(best.attrs["n_undefined"], "neuroids that no layer predicts")

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=60)
    plotting.layer_preference(axes[0, 0], scores, least=0.1, x="x", y="y")
    pixels = scores.isel(layer=1, drop=True).rename("pixels")
    motion = (0.4 * (y + 1) / 2 + 0 * pixels).rename("motion")
    place = (1.18, 0.35, 0.2, 0.3)
    plotting.two_scores(axes[0, 1], pixels, motion, x="x", y="y", legend=place)
    plotting.panel_letters(axes[0])
