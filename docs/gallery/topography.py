"""Sensors on a head

A thin-plate spline between the sensors, for the eye only; marked sensors are drawn
larger. SIMULATED values.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

step = np.arange(48)
height = 1 - 1.1 * (step + 0.5) / 48
angle = np.pi * (3 - np.sqrt(5)) * step
radius = np.sqrt(1 - height**2)
places = {"x": radius * np.cos(angle), "y": radius * np.sin(angle), "z": height}
values = xr.DataArray(
    -3 * np.exp(-((places["x"] - 0.2) ** 2 + (places["y"] + 0.4) ** 2) / 0.3)
    + 0.5 * places["y"],
    dims="neuroid",
    coords={"neuroid": step}
    | {axis: ("neuroid", place) for axis, place in places.items()},
)

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=60)
    plotting.topography(
        axes[0, 0], values, marked=values.values < -1.5, label="microvolts"
    )
