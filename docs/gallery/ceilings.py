"""Scores against ceilings

Each neuroid's held-out score over its noise ceiling; dots above the line are no
mistake, since both are estimates. From 1,500 dots on their density is drawn. SIMULATED
scores.
"""

import numpy as np
import xarray as xr

from neuroalign import plotting

rng = np.random.default_rng(0)
ceiling = xr.DataArray(
    rng.uniform(0.1, 0.8, 4000), dims="neuroid", coords={"neuroid": np.arange(4000)}
)
score = 0.6 * ceiling + 0.07 * rng.standard_normal(4000)
some = slice(0, 200)

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=68)
    plotting.ceiling_scatter(
        axes[0, 0], score[some].where(ceiling[some] > 0.15), ceiling[some]
    )
    plotting.ceiling_scatter(
        axes[0, 1], score, ceiling, labels=("noise ceiling", "held-out r")
    )
    plotting.panel_letters(axes[0])
