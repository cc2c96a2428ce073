"""What ``neuroalign run``, ``resume`` and ``report`` do: Snakemake on a study, one run at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import io
from ..errors import FileError
from .examples import load_study_with_examples
from .guarding import Failed
from .locks import run_lock
from .outputs import remove_damaged
from .paths import Paths

__all__ = ["find_report", "find_snakefile", "run_study"]

# Seconds after which a child that did not hear of Ctrl-C itself is told.
PATIENCE = 5


def run_study(config: Path, *, cores: int, directory: Path) -> Iterator[str]:
    """Run what is not up to date of a study, and say what happened, by line.

    Raises
    ------
    Failed
        If Snakemake ends with an error.
    RunningError
        If another run holds the folder.
    """
    study = load_study_with_examples(config)
    Paths(study).check_sources(directory)
    snakefile = find_snakefile()
    results = io.make_folder(directory / "results")
    paths = Paths(study, results)
    with run_lock(results) as (was_killed, hold):
        call = _call(snakefile, config, directory, cores)
        if was_killed:
            removed = io.remove_leftovers(results)
            yield f"{study.name}: the last run was killed; {len(removed)} half-written file(s) removed."
            subprocess.run([*call, "--unlock"], check=False, capture_output=True)  # noqa: S603
        for path in remove_damaged(paths):
            yield f"{study.name}: {path} was damaged; it is removed and made again."
        before = _changed(paths.report)
        # Idle threads sleep instead of spinning: several times faster where other programs share the cores.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        with subprocess.Popen(call, env=environment) as snakemake:  # noqa: S603
            hold(snakemake.pid)
            code = _ended(snakemake)
        if code:
            raise Failed(f"{study.name}: a step failed; its log is named above. Nothing half-written stands.")
        if before is not None and _changed(paths.report) == before:
            yield f"{study.name}: nothing to do, everything is up to date: {paths.report}"
        else:
            yield f"{study.name}: done: {paths.report}"


def find_snakefile() -> Path:
    """Return the workflow's front door: that of the folder one stands in, else the one beside the package.

    Raises
    ------
    FileError
        If there is none.
    """
    for folder in (Path(), Path(__file__).resolve().parents[2]):
        snakefile = folder / "Snakefile"
        if snakefile.is_file() and (folder / "analyses").is_dir():
            return snakefile.resolve()
    raise FileError("there is no Snakefile here; call neuroalign from the folder of the clone.")


def find_report(config: Path, *, directory: Path, rebuild: bool) -> Path:
    """Return the path of a study's report, made anew from the figures that stand where ``rebuild``.

    Raises
    ------
    FileError
        If there is no report, or (``rebuild``) a figure of the study was not made yet.
    """
    study = load_study_with_examples(config)
    paths = Paths(study, directory / "results")
    if rebuild:
        from .steps import STEPS

        STEPS["report"](paths)
    if not paths.report.is_file():
        raise FileError(f"{paths.report} does not exist. Run: neuroalign run {config}")
    return paths.report


def _call(snakefile: Path, config: Path, directory: Path, cores: int) -> list[str]:
    call = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    call += ["--configfile", str(config.resolve()), "--directory", str(directory.resolve())]
    call += ["--workflow-profile", str(snakefile.parent / "profiles" / "default")]
    return [*call, "--cores", str(cores or os.cpu_count() or 1)]


def _changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _ended(child: subprocess.Popen[Any]) -> int:
    """Return the exit code of a child; after Ctrl-C, once it has stopped its own children.

    A terminal tells both of Ctrl-C; a signal to this process alone is passed on. The folder stays locked
    meanwhile.
    """
    try:
        return child.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait()
        raise
