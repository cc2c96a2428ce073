"""Response functions

Weights over lags, mean and standard error over people; the lag is the time from
stimulus to response. SIMULATED weights.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

rng = np.random.default_rng(0)
lags = np.arange(-0.1, 0.41, 0.01)
shapes = [np.exp(-(((lags - peak) / 0.04) ** 2)) for peak in (0.1, 0.22)]
functions = xr.DataArray(
    np.stack(shapes) + 0.4 * rng.standard_normal((10, 2, len(lags))),
    dims=("subject", "feature", "lag"),
    coords={"feature": ["envelope", "word onset"], "lag": lags},
)

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=55)
    plotting.response_function_lines(axes[0, 0], functions, label="weight (a.u.)")
    axes[0, 0].legend()
