"""The command line ``neuroalign``: studies here, single analyses and lists in the modules beside.

Nothing heavy is imported before a command is called, so that help and completion are quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from .cli_analyses import analyses
from .cli_lists import data, networks
from .guarding import EXIT_CODES, WRONG, Guarded

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Guarded,
    help="Does a neural network represent the world as a brain does? Studies, data sets, steps.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Config = Annotated[Path, typer.Argument(help="The study's YAML file, such as config/demo.yaml.")]
Cores = Annotated[int, typer.Option(help="Processor cores; 0 takes all.", min=0)]
Folder = Annotated[Path, typer.Option(help="Where results/ is made.", file_okay=False)]
Profile = Annotated[
    str, typer.Option(help="local, slurm, kubernetes, or a folder with a profile of your own.")
]
Jobs = Annotated[
    int | None, typer.Option(help="Jobs submitted at the same time, on a cluster; the profile's else.", min=1)
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
# Named here, so that completion need not import the command.
TEMPLATES = ("demo", "language", "objects", "own-data")


def main() -> None:
    """Run the command line; what ``python -m neuroalign`` and the script ``neuroalign`` call."""
    app(prog_name="neuroalign")


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        typer.echo(f"neuroalign {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; also NEUROALIGN_DEBUG=1. May stand anywhere.")
    ] = False,
) -> None:
    """Hold the options of all commands; ``Guarded`` reads ``--debug`` itself."""


@app.command(epilog=EXIT_CODES)
def init(
    folder: Annotated[Path, typer.Argument(help="Made where it is not there.", file_okay=False)],
    template: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(TEMPLATES)}; or a study that ships, such as v1 or alice.",
            autocompletion=lambda: list(TEMPLATES),
        ),
    ] = "demo",
    name: Annotated[str | None, typer.Option(help="Of the study; the folder's where not said.")] = None,
) -> None:
    """Make a folder with a study to start from: a YAML file in which every key is explained.

    Nothing that is there is overwritten.

    Example: neuroalign init my-study

    Example: neuroalign init my-data --template own-data
    """
    from .init_command import make_study

    _echo(make_study(folder, template=template, name=name))


@app.command(epilog=EXIT_CODES)
def check(
    config: Config,
    directory: Folder = Path(),
    cores: Cores = 0,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda; a GPU that is asked for must be there.")
    ] = "auto",
    digests: Annotated[bool, typer.Option("--digests", help="Compute SHA-256 of data files too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find everything that would stop a study, before it runs: settings, files, data, network, disk, memory.

    Prints an estimate of what the study writes, of the memory and of the time that its steps take, and every
    problem at once.

    Example: neuroalign check config/alice.yaml

    Example: neuroalign check study.yaml --cores 8 --device cuda --json
    """
    from .check_command import check_study

    found = check_study(config, directory=directory, cores=cores, device=device, digests=digests)
    if as_json:
        typer.echo(found.as_json())
    if found.problems:
        said = [f"neuroalign: {config} has {len(found.problems)} problem(s):", *found.problems]
        typer.echo("\n".join(said if as_json else [*said, *found.lines()]), err=True)
        raise typer.Exit(WRONG)
    if not as_json:
        _echo(found.lines())


@app.command(epilog=EXIT_CODES)
def run(
    config: Config,
    cores: Cores = 0,
    directory: Folder = Path(),
    profile: Profile = "local",
    jobs: Jobs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the steps; run none.")] = False,
) -> None:
    """Run a study; steps whose results stand and are up to date are not repeated.

    Example: neuroalign run config/demo.yaml

    Example: neuroalign run study.yaml --cores 4 --directory /scratch/me

    Example: neuroalign run study.yaml --profile slurm --jobs 20
    """
    from .run_command import run_study

    _echo(run_study(config, cores=cores, directory=directory, profile=profile, jobs=jobs, dry_run=dry_run))


@app.command(epilog=EXIT_CODES)
def resume(
    config: Config,
    cores: Cores = 0,
    directory: Folder = Path(),
    profile: Profile = "local",
    jobs: Jobs = None,
) -> None:
    """Go on with a study that was stopped or killed: clear what was half written, then run the rest.

    Example: neuroalign resume config/alice.yaml
    """
    from .run_command import run_study

    _echo(run_study(config, cores=cores, directory=directory, profile=profile, jobs=jobs))


@app.command(epilog=EXIT_CODES)
def report(
    config: Config,
    directory: Folder = Path(),
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make it anew from the figures that stand.")
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print where a study's report is; open it, or make it anew without running the study.

    Example: neuroalign report config/demo.yaml --open
    """
    from .run_command import find_report

    path = find_report(config, directory=directory, rebuild=rebuild)
    figures = sorted(str(one) for one in (path.parent / "figures").glob("*.pdf"))
    typer.echo(json.dumps({"report": str(path), "figures": figures}, indent=1) if as_json else str(path))
    if show:
        typer.launch(path.resolve().as_uri())


@app.command()
def compare(
    results_a: Annotated[Path, typer.Argument(help="Results of a study, such as results/demo.")],
    results_b: Annotated[Path, typer.Argument(help="Results to compare them with.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page to write, such as diff.html.")] = None,
    tolerance: Annotated[float, typer.Option(help="Numbers that differ by no more are the same.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: figures side by side, tables joined by their labels, parameters, versions.

    Exit codes: 0 the tables are the same, 1 they differ, 2 wrong input. Whatever differs beside the tables
    (parameters, versions, pictures) is said and leaves the exit code 0.

    Example: neuroalign compare results/demo old/results/demo -o diff.html

    Example: neuroalign compare results/demo old/results/demo --tolerance 1e-6 --json
    """
    from .compare_command import compare_results

    said, same = compare_results(results_a, results_b, out=out, as_json=as_json, tolerance=tolerance)
    typer.echo(said)
    if not same:
        raise typer.Exit(1)


@app.command(epilog=EXIT_CODES)
def schema() -> None:
    """Print the JSON schema of a study's configuration, for editors.

    Example: neuroalign schema > study.schema.json
    """
    from .config import study_schema

    typer.echo(json.dumps(study_schema(), indent=1))


@app.command(epilog=EXIT_CODES)
def bench(
    name: Annotated[list[str] | None, typer.Argument(help="Of benchmarks; all where none is given.")] = None,
) -> None:
    """Measure speed and memory against other packages, in a clone of the repository; as make bench.

    Example: neuroalign bench rdms
    """
    from .bench_command import run_benchmarks

    run_benchmarks(name or [])


@app.command(hidden=True)
def step(
    name: str,
    study: Annotated[str, typer.Option(help="The study as JSON, or a YAML file.")],
    results: Path = Path("results"),
    what: str = "localizer",
    twin: str = "trained",
    part: int = 0,
    threads: int = 1,
) -> None:
    """Do one step of a study: what a Snakemake rule calls."""
    from .step_command import run_step

    run_step(name, study, results, what=what, twin=twin, part=part, threads=threads)


for analysis in analyses:
    app.command(epilog=EXIT_CODES)(analysis)
app.add_typer(data, name="datasets")
app.add_typer(networks, name="models")


def _echo(lines: Iterable[Any]) -> None:
    for line in lines:
        typer.echo(line)
