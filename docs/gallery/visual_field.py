"""Scores in the visual field

Each voxel at the centre of its receptive field; the frame is the screen. SIMULATED
voxels.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

rng = np.random.default_rng(0)
eccentricity, angle = rng.gamma(2, 2, 500), rng.uniform(0, 2 * np.pi, 500)
scores = xr.DataArray(
    0.5 * np.exp(-eccentricity / 6) + 0.05 * rng.standard_normal(500),
    dims="neuroid",
    coords={
        "neuroid": np.arange(500),
        "prf_x": ("neuroid", eccentricity * np.cos(angle)),
        "prf_y": ("neuroid", eccentricity * np.sin(angle)),
    },
)

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=70)
    plotting.prf_map(axes[0, 0], scores, radius=10, screen=(16, 9), label="held-out r")
