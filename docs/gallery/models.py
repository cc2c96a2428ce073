"""Models against people

Bars are means over people, dots people, lines intervals over new people and stimuli,
the band the noise ceiling. A dot below a bar: above 0. Above, a ring beats the models
with a wedge. Right: the bootstrap draws. SIMULATED people.
"""

import numpy as np

from neuroalign import plotting, rsa
from neuroalign.schema import make_rdm

rng = np.random.default_rng(0)
stimuli = [f"s{i}" for i in range(16)]
true, similar, other = rng.random((3, 120))
people = make_rdm(
    true + 0.7 * rng.random((8, 120)),
    stimuli,
    dims=["subject"],
    coords={"subject": list("abcdefgh")},
)
models = make_rdm(
    np.stack([true, 0.5 * (true + similar), other]),
    stimuli,
    dims=["model"],
    coords={"model": ["true", "half true", "unrelated"]},
)
found = rsa.infer(models, people, method="spearman", n=100, rng=rng)

with plotting.style():
    figure, axes = plotting.figure(1, 2, height=60)
    plotting.model_bars(axes[0, 0], found)
    plotting.bootstrap_distributions(axes[0, 1], found)
    axes[0, 1].set_ylabel("RDM similarity (spearman)")
    plotting.panel_letters(axes[0])
