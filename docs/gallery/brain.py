"""In a volume

Through a glass brain the largest value along each line of sight; on slices voxel by
voxel, without interpolation. SIMULATED scores.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

affine = np.array([[6.0, 0, 0, -78], [0, 6, 0, -114], [0, 0, 6, -60], [0, 0, 0, 1]])
shape = (27, 32, 24)
i, j, k = (axis.ravel() for axis in np.indices(shape))
x, y, z = affine[:3, :3] @ np.stack([i, j, k]) + affine[:3, 3:]
distance = np.sqrt((x + 50) ** 2 + (y + 30) ** 2 + (z - 5) ** 2)
inside = distance < 25
scores = xr.DataArray(
    0.5 * np.exp(-distance[inside] / 20),
    dims="neuroid",
    coords={
        name: ("neuroid", values[inside])
        for name, values in (("i", i), ("j", j), ("k", k))
    },
)

with plotting.style():
    figure, axes = plotting.figure(2, 1, height=100)
    plotting.glass_brain(
        axes[0, 0], scores, affine=affine, shape=shape, label="held-out r", views="lyrz"
    )
    plotting.stat_map(
        axes[1, 0],
        scores,
        affine=affine,
        shape=shape,
        background="mni152",
        direction="z",
        cuts=[-10, 0, 10, 20],
        label="held-out r",
    )
