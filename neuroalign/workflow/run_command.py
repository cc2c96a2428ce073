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
from .outputs import sound_outputs
from .paths import Paths
from .profiles import LOCAL, find_profile, profile_options, submits_jobs
from .records import Record

__all__ = ["find_report", "find_snakefile", "run_study"]

# Seconds after which a child that did not hear of Ctrl-C itself is told.
PATIENCE = 5


def run_study(
    config: Path,
    *,
    cores: int,
    directory: Path,
    profile: str = LOCAL,
    jobs: int | None = None,
    dry_run: bool = False,
) -> Iterator[str]:
    """Run what is not up to date of a study, and say what happened, by line.

    Parameters
    ----------
    config : Path
        The study's YAML file.
    cores : int
        0 takes all of this machine; on a cluster the bound over all jobs, 0 for none.
    directory : Path
        Where ``results/`` is made.
    profile : str
        Where it runs: see `profiles.find_profile`.
    jobs : int, optional
        How many jobs are submitted at the same time.
    dry_run : bool
        Plan only: nothing is run, locked or removed.

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
    where = find_profile(profile, beside=snakefile.parent)
    options = profile_options(where, cores=cores, jobs=jobs, n_cores=os.cpu_count() or 1)
    call = [*_call(snakefile, config, directory), *options]
    if dry_run:
        yield from _plan(call, study.name)
        return
    results = io.make_folder(directory / "results")
    paths = Paths(study, results)
    with run_lock(results) as (was_killed, hold):
        if was_killed:
            yield f"{study.name}: {_cleared(results, is_cluster=submits_jobs(where))}"
            subprocess.run([*call, "--unlock"], check=False, capture_output=True)  # noqa: S603
        record = Record.read(paths, directory)
        for said in sound_outputs(record, call, was_killed=was_killed):
            yield f"{study.name}: {said}"
        before = _changed(paths.report)
        try:
            with subprocess.Popen(call, env=_environment()) as snakemake:  # noqa: S603
                hold(snakemake.pid)
                code = _ended(snakemake)
        finally:
            record.write()
        if code:
            raise Failed(f"{study.name}: a step failed; its log is named above. Nothing half-written stands.")
        if before is not None and _changed(paths.report) == before:
            yield f"{study.name}: nothing to do, everything is up to date: {paths.report}"
        else:
            yield f"{study.name}: done: {paths.report}"


def find_snakefile() -> Path:
    """Return the workflow's front door.

    That of the clone one stands in, else the one beside the package (an editable installation), else the one
    inside it. A Snakefile of somebody's own project is passed over: ours has our rules beside it.

    Raises
    ------
    FileError
        If there is none.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (Path(), package.parent, package / "study"):
        snakefile = folder / "Snakefile"
        if snakefile.is_file() and (folder / "analyses" / "extraction.smk").is_file():
            return snakefile.resolve()
    raise FileError(
        f"the workflow is not in {package}: the installation is not whole. "
        "Run: pip install --force-reinstall --no-deps neuroalign"
    )


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
        Record.read(paths, directory).note(paths.report)
    if not paths.report.is_file():
        raise FileError(f"{paths.report} does not exist. Run: neuroalign run {config}")
    return paths.report


def _plan(call: list[str], name: str) -> Iterator[str]:
    with subprocess.Popen([*call, "--dry-run"], env=_environment()) as snakemake:  # noqa: S603
        code = _ended(snakemake)
    if code:
        raise Failed(f"{name}: it cannot be planned; the reason is above.")
    yield f"{name}: planned; nothing was run."


def _cleared(results: Path, *, is_cluster: bool) -> str:
    """Clear what a killed run left, and say so.

    Jobs on a cluster outlive the run that submitted them, so that their half-written files are left alone.
    """
    if is_cluster:
        return (
            "the last run was killed; jobs that it submitted may still run. Cancel them, or wait for them: "
            "what they make is made again."
        )
    removed = io.remove_leftovers(results)
    return f"the last run was killed; {len(removed)} half-written file(s) removed."


def _environment() -> dict[str, str]:
    """Let idle threads sleep instead of spin: several times faster where other programs share the cores."""
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}


def _call(snakefile: Path, config: Path, directory: Path) -> list[str]:
    call = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    call += ["--configfile", str(config.resolve())]
    # Said only where it is elsewhere: jobs on machines that share no disk have no such folder.
    return call if directory.resolve() == Path.cwd() else [*call, "--directory", str(directory.resolve())]


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
