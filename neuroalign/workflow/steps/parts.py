"""Scoring of lesions in parts, side by side: one process a core is faster than one process on all cores."""

from __future__ import annotations

from tqdm.auto import tqdm

from ... import io
from ...errors import choice
from ..paths import PARTS, Paths
from .common import load_network
from .dissociation import dissociation_lesioning
from .lesioning import scored
from .lesions import lesioning
from .paradigms import paradigms_lesioning
from .sweep import sweep_lesioning

__all__ = ["score_part"]

LESIONINGS = {
    "lesions": lesioning,
    "sweep": sweep_lesioning,
    "paradigms": paradigms_lesioning,
    "dissociation": dissociation_lesioning,
}


def score_part(paths: Paths, what: str, part: int) -> None:
    """Score every ``PARTS``-th mask of a step, and leave a mark that says how many.

    The scores stand in the step's work folder, where the step itself finds them: a part that was killed goes
    on, and a step without its parts would only be slower.
    """
    if what not in LESIONINGS:
        raise choice(what, LESIONINGS, name="what")
    model = load_network(paths.study, "trained")
    found = LESIONINGS[what](paths, model)
    chosen = [(i, name) for i, one in enumerate(found) for name in one.masks][part::PARTS]
    together: dict[int, list[str]] = {}
    for i, name in chosen:
        together.setdefault(i, []).append(name)
    several = len(together) > 2
    with tqdm(total=len(together), desc=f"{what}, part {part + 1}", unit="task", disable=not several) as bar:
        for i, names in together.items():
            scored(model, found[i], names, progress=not several)
            bar.update()
    io.write_json({"what": what, "part": part, "n_masks": len(chosen)}, paths.part(what, part))
