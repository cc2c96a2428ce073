"""What the hidden command ``step`` does: one step of a study, as a Snakemake rule calls it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ..errors import InvalidValueError, choice
from .config import load_study

__all__ = ["run_step"]


def run_step(name: str, study: str, results: Path, *, what: str, twin: str, part: int, threads: int) -> None:
    """Do one step of a study, given as JSON or as the path of its YAML file."""
    try:
        source = json.loads(study) if study.lstrip().startswith("{") else study
    except json.JSONDecodeError as error:
        raise InvalidValueError(f"--study is not JSON: {error}.") from None
    checked = load_study(source)
    from . import steps
    from .paths import Paths
    from .steps import STEPS

    _set_threads(threads)
    paths = Paths(checked, results)
    if name == "extract":
        steps.extract_activations(paths, what, twin)
    elif name == "moments":
        steps.write_moments(paths, twin)
    elif name == "lesion-part":
        steps.score_part(paths, what, part)
    elif name in STEPS:
        STEPS[name](paths)
    else:
        raise choice(name, ["extract", "moments", "lesion-part", *STEPS], name="step")


def _set_threads(threads: int) -> None:
    """Set the threads of what is loaded, and of what a step loads later: torch alone takes a second."""
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    threadpool_limits(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
