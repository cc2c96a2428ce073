"""A score by layer

Two networks with intervals, what chance gives as an envelope, and the noise ceiling.
SIMULATED scores.
"""

import numpy as np

from neuroalign import plotting

depth = np.arange(12)
trained = 0.15 + 0.25 * np.exp(-(((depth - 7) / 3) ** 2))
untrained = 0.12 + 0.002 * depth
colours = {
    "trained": plotting.COLOURS["blue"],
    "untrained": plotting.COLOURS["vermillion"],
}

with plotting.style():
    figure, axes = plotting.figure(width="one column", height=60)
    ax = axes[0, 0]
    plotting.ceiling_band(ax, 0.48, 0.55)
    plotting.envelope(
        ax, depth, np.full(12, -0.04), np.full(12, 0.04), label="shuffled labels"
    )
    plotting.layer_lines(
        ax,
        depth,
        {"trained": trained, "untrained": untrained},
        colours=colours,
        bands={"trained": (trained - 0.04, trained + 0.04)},
        styles={"untrained": "--"},
    )
    ax.set(ylabel="held-out r", ylim=(-0.06, 0.75))
    ax.legend(ncols=2, loc="upper left")
