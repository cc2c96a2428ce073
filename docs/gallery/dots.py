"""All values, and means with people

Left: every random mask as a dot beside median and 5th to 95th percentile, so that no
bar hides a spread. Right: a bar a region with one dot a person. SIMULATED values.
"""

import numpy as np

from neuroalign import plotting

rng = np.random.default_rng(0)
losses = {
    "language": [-0.12],
    "uniform": rng.normal(-0.04, 0.03, 40),
    "same layers": rng.normal(-0.06, 0.04, 40),
}
colours = dict(
    zip(
        losses,
        (plotting.COLOURS[name] for name in ("vermillion", "sky", "blue")),
        strict=True,
    )
)
people = {
    roi: rng.normal(mean, 0.05, 10)
    for roi, mean in (("LIFG", 0.3), ("LPTL", 0.4), ("LATL", 0.25))
}

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=62)
    plotting.distributions(axes[0, 0], losses, colours=colours)
    axes[0, 0].axhline(0, color="black", linewidth=0.6)
    axes[0, 0].set_ylabel("change of accuracy")
    plotting.bars_with_dots(
        axes[0, 1],
        {roi: values.mean() for roi, values in people.items()},
        people,
        intervals={
            roi: tuple(np.percentile(values, [10, 90]))
            for roi, values in people.items()
        },
    )
    axes[0, 1].set_ylabel("held-out r")
    plotting.panel_letters(axes[0])
