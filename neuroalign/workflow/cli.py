"""The command line: run and resume studies, fetch data sets, print the configuration's schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import NeuroalignError

__all__ = ["app"]

app = typer.Typer(
    help="Does a neural network represent the world as a brain does? Studies, data sets, steps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Data sets: what there is, and getting it.", no_args_is_help=True)
app.add_typer(data, name="datasets")

Config = Annotated[Path, typer.Argument(help="The study's YAML file, such as config/demo.yaml.")]
Cores = Annotated[int, typer.Option(help="Processor cores; 0 takes all.", min=0)]
Folder = Annotated[Path, typer.Option(help="Where results/ is made.", file_okay=False)]


@app.command()
def run(config: Config, cores: Cores = 0, directory: Folder = Path()) -> None:
    """Run a study; steps whose results stand and are up to date are not repeated.

    Example: neuroalign run config/demo.yaml
    """
    _guarded(lambda: _run(config, cores, directory))


@app.command()
def resume(config: Config, cores: Cores = 0, directory: Folder = Path()) -> None:
    """Go on with a study that was stopped or killed: clear what was half written, then run the rest.

    Example: neuroalign resume config/alice.yaml
    """
    _guarded(lambda: _run(config, cores, directory))


@app.command()
def check(config: Config, directory: Folder = Path()) -> None:
    """Check a study's configuration and that its own files are there; print every error at once.

    Example: neuroalign check config/alice.yaml
    """
    from .config import load_study
    from .paths import Paths

    def checked() -> None:
        study = load_study(config)
        Paths(study).check_sources(directory)
        typer.echo(f"{study.name}: the configuration is right.")

    _guarded(checked)


@app.command()
def schema() -> None:
    """Print the JSON schema of a study's configuration."""
    from .config import study_schema

    typer.echo(json.dumps(study_schema(), indent=1))


@app.command(hidden=True)
def step(
    name: str,
    study: Annotated[str, typer.Option(help="The study as JSON, or a YAML file.")],
    results: Path = Path("results"),
    what: str = "localizer",
    twin: str = "trained",
    threads: int = 1,
) -> None:
    """Do one step of a study: what a Snakemake rule calls."""
    _guarded(lambda: _step(name, study, results, what, twin, threads))


@data.command("list")
def list_datasets() -> None:
    """List the data sets, their licences, and whether they are here."""
    from ..datasets import available

    _guarded(lambda: typer.echo(available().to_string(index=False)))


@data.command()
def fetch(name: Annotated[list[str], typer.Argument(help="Names of data sets.")]) -> None:
    """Download data sets; files that are here and right are not downloaded again."""
    from ..datasets import fetch as fetch_set

    def all_of_them() -> None:
        for one in name:
            typer.echo(f"{one}: {fetch_set(one)}")

    _guarded(all_of_them)


def _guarded(work: object) -> None:
    """Call ``work``; a mistake in the input is one message on stderr and exit code 2, not a traceback."""
    try:
        work()  # type: ignore[operator]
    except NeuroalignError as error:
        typer.echo(f"neuroalign: {error}", err=True)
        raise typer.Exit(2) from None


def _step(name: str, study: str, results: Path, what: str, twin: str, threads: int) -> None:
    from ..errors import InvalidValueError, choice
    from .config import load_study

    try:
        source = json.loads(study) if study.lstrip().startswith("{") else study
    except json.JSONDecodeError as error:
        raise InvalidValueError(f"--study is not JSON: {error}.") from None
    paths_of = load_study(source)
    from .paths import Paths
    from .steps import STEPS, extract_activations, write_moments

    _set_threads(threads)
    paths = Paths(paths_of, results)
    if name == "extract":
        extract_activations(paths, what, twin)
    elif name == "moments":
        write_moments(paths, twin)
    elif name in STEPS:
        STEPS[name](paths)
    else:
        raise choice(name, ["extract", "moments", *STEPS], name="step")


def _set_threads(threads: int) -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads)


def _run(config: Path, cores: int, directory: Path) -> None:
    from .. import io
    from ..errors import FileError
    from .config import load_study
    from .locks import run_lock
    from .outputs import remove_damaged
    from .paths import Paths

    study = load_study(config)
    Paths(study).check_sources(directory)
    snakefile = Path("Snakefile").resolve()
    if not snakefile.is_file():
        raise FileError("there is no Snakefile here; call neuroalign from the folder of the clone.")
    results = io.make_folder(directory / "results")
    with run_lock(results) as (was_killed, hold):
        call = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
        call += ["--configfile", str(config.resolve()), "--directory", str(directory.resolve())]
        call += ["--workflow-profile", str(snakefile.parent / "profiles" / "default")]
        call += ["--cores", str(cores or os.cpu_count() or 1)]
        if was_killed:
            removed = io.remove_leftovers(results)
            typer.echo(f"{study.name}: the last run was killed; {len(removed)} half-written file(s) removed.")
            subprocess.run([*call, "--unlock"], check=False, capture_output=True)  # noqa: S603
        for path in remove_damaged(Paths(study, results)):
            typer.echo(f"{study.name}: {path} was damaged; it is removed and made again.")
        report = Paths(study, results).report
        before = report.stat().st_mtime_ns if report.exists() else None
        # Idle threads sleep instead of spinning: several times faster where other programs share the cores.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        with subprocess.Popen(call, env=environment) as snakemake:  # noqa: S603
            hold(snakemake.pid)
            code = snakemake.wait()
        if code:
            typer.echo(
                f"{study.name}: a step failed; its log is named above. Nothing half-written stands.", err=True
            )
            raise typer.Exit(code)
        if before is not None and report.stat().st_mtime_ns == before:
            typer.echo(f"{study.name}: nothing to do, everything is up to date: {report}")
        else:
            typer.echo(f"{study.name}: done: {report}")
