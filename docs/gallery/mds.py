"""Stimuli in the plane

Multidimensional scaling of an RDM; the stress says how much two dimensions leave out.
SIMULATED patterns.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting, rsa

rng = np.random.default_rng(0)
kinds = np.repeat(["animal", "face", "place", "tool"], 8)
centres = {kind: rng.standard_normal(50) for kind in dict.fromkeys(kinds)}
patterns = xr.DataArray(
    np.stack([centres[kind] + rng.standard_normal(50) for kind in kinds]),
    dims=("stimulus", "neuroid"),
    coords={"stimulus": [f"{kind} {i}" for i, kind in enumerate(kinds)]},
)
places = rsa.mds(rsa.rdm(patterns, "euclidean"))

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=60)
    plotting.mds_map(
        axes[0, 0],
        places,
        categories=dict(zip(patterns["stimulus"].values, kinds, strict=True)),
    )
