"""Units on a lattice

The selectivity of units that lie on a sheet, and an outline around the strongest.
SIMULATED values.
"""

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from neuroalign import plotting

noise = np.random.default_rng(0).standard_normal((28, 28))
smooth = gaussian_filter(noise, 2.0, mode="wrap")
t = xr.DataArray(6 * smooth / smooth.std() / 2, dims=("row", "column"))

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=60)
    scale = plotting.colour_scale(t.values, diverging=True)
    plotting.lattice_map(axes[0, 0], t, outlined=t > 4, scale=scale, label="t")
