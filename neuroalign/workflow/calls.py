"""How a rule of the workflow calls a step or draws a figure."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import paths as places
from .paths import Paths

__all__ = ["Calls", "code_digest", "results_root", "takes"]

# One process plans with the code that stood when it began, and asks for the same rooms for every study, which
# was a third of the time that a plan of a thousand jobs took.
code_digest = functools.cache(places.code_digest)


@dataclass(frozen=True)
class Calls:
    """The commands of one study's rules, as functions of what Snakemake knows of a job.

    Functions of ``output`` are not compared between runs: another interpreter, or a value of the study that a
    step does not use, repeats nothing. What does repeat a step stands in its rule, as digests.

    Parameters
    ----------
    paths : Paths
        Of the study.
    home : Path
        The folder of the Snakefile, with ``analyses/`` beside it.
    """

    paths: Paths
    home: Path

    def python(self, wildcards: Any, output: Sequence[str]) -> str:
        """Return the interpreter, quoted."""
        return shlex.quote(sys.executable)

    def step(self, wildcards: Any, output: Sequence[str]) -> str:
        """Return the command of a step, up to the step's name."""
        results = results_root(output[0], self.paths)
        study = self.paths.study.model_dump_json()
        options = ["--results", results.as_posix(), "--study", study]
        return f"{self.python(wildcards, output)} -m neuroalign step {shlex.join(options)}"

    def script(self, name: str) -> str:
        """Return the path of a script below ``analyses/``, such as ``"v1_encoding/figure.py"``."""
        return str(self.home / "analyses" / name)


def results_root(output: str, paths: Paths) -> Path:
    """Return the results folder that an output of a study really is in.

    Snakemake may have moved it: a workflow that uses this one as a module may set a prefix, and a storage
    provider keeps its copies below a folder of its own.

    Examples
    --------
    >>> from neuroalign.workflow.config import load_study
    >>> paths = Paths(load_study({"name": "mine", "title": "Mine", "objects": {}}))
    >>> results_root("elsewhere/results/mine/report.html", paths).as_posix()
    'elsewhere/results'
    """
    parts = Path(output).parts
    wanted = paths.results.parts
    inside = (paths.folder.relative_to(paths.results).parts[0], "shared")
    for start in range(len(parts) - len(wanted) - 1, -1, -1):
        end = start + len(wanted)
        if parts[start:end] == wanted and parts[end] in inside:
            return Path(*parts[:end])
    raise AssertionError(f"{output} is not an output of study {paths.study.name!r}")


def takes(workflow: Any, path: Path) -> bool:
    """Return whether the study that is being read is the one to make a file that studies share.

    Where several studies are modules of one workflow, that is the first that asks for it: two rules for one
    file would be ambiguous.
    """
    owners: dict[str, Any] = vars(workflow).setdefault("neuroalign_shared_files", {})
    key = str(workflow.modifier.path_modifier.modify(path.as_posix()))
    reader = workflow.modifier.namespace
    return bool(owners.setdefault(key, reader) == reader)
