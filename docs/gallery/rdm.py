"""RDMs with categories

Dissimilarities as they are, and as percentiles, which show structure whatever the
distribution is. SIMULATED patterns.
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
rdm = rsa.rdm(patterns, "correlation")
categories = dict(zip(patterns["stimulus"].values, kinds, strict=True))
colours = plotting.category_colours(list(centres))

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=65)
    for ax, scale in zip(axes[0], ("value", "percentile"), strict=True):
        plotting.rdm_map(ax, rdm, categories=categories, colours=colours, scale=scale)
    plotting.panel_letters(axes[0])
