"""Maps of two times

Left: how alike the RDMs of two times are. Right: decoders trained at one time and
tested at another, white at chance, outlined where significant. SIMULATED scores.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

times = np.arange(-0.1, 0.6, 0.02)
near = np.exp(-(((times[:, None] - times) / 0.12) ** 2))
strength = np.clip(times, 0, 0.3) / 0.3
similarity = near * np.sqrt(np.outer(strength, strength))
accuracy = xr.DataArray(
    0.5
    + 0.4 * similarity
    + 0.02 * np.random.default_rng(0).standard_normal(similarity.shape),
    dims=("time_train", "time_test"),
    coords={"time_train": times, "time_test": times},
)

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=68)
    plotting.time_map(
        axes[0, 0], similarity, times, outlined=similarity > 0.5, label="RDM similarity"
    )
    plotting.generalisation_map(
        axes[0, 1], accuracy, chance=0.5, significant=accuracy > 0.6
    )
    plotting.panel_letters(axes[0])
