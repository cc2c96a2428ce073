"""On the surface

fsaverage5, which comes with nilearn; where nothing is defined, sulci are dark and gyri
light. SIMULATED scores.
"""

import numpy as np
import xarray as xr
from nilearn.datasets import load_fsaverage

from neuroalign import plotting

corners = load_fsaverage("fsaverage5")["pial"].parts["left"].coordinates
distance = np.linalg.norm(corners - [-60, -35, 5], axis=1)
vertices = np.flatnonzero(distance < 40)
scores = xr.DataArray(
    0.5 * np.exp(-distance[vertices] / 25),
    dims="neuroid",
    coords={"vertex": ("neuroid", vertices)},
)

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=60)
    plotting.surface_map(
        axes[0, 0], scores, hemisphere="left", view="lateral", bar=False
    )
    plotting.surface_map(
        axes[0, 1], scores, hemisphere="left", view="ventral", label="held-out r"
    )
