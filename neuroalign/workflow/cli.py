"""The command line: run and resume studies, fetch data sets, print the configuration's schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

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


Network = Annotated[
    str, typer.Argument(help="A packaged name (smollm2-135m), a folder, a .gguf file, or a hub name.")
]
Seed = Annotated[int, typer.Option(help="Of all random draws.", min=0)]


@app.command()
def localize(
    model: Network,
    stimuli: Annotated[str, typer.Option(help="embedded, langloc_stimuli, or a table.")] = "embedded",
    positive: Annotated[str, typer.Option(help="Condition whose units are looked for.")] = "sentence",
    negative: Annotated[str, typer.Option(help="Condition it is compared with.")] = "nonword",
    preset: Annotated[str, typer.Option(help="default, brainscore, naacl2025 or topolm.")] = "default",
    fraction: Annotated[float | None, typer.Option(help="Share of units; else the preset's rule.")] = None,
    k: Annotated[int | None, typer.Option(help="Number of units instead.")] = None,
    q: Annotated[float | None, typer.Option(help="False-discovery rate instead.")] = None,
    twin: Annotated[bool, typer.Option(help="Localize the untrained twin as well.")] = True,
    out: Annotated[Path, typer.Option(help="Where statistics and mask are saved.")] = Path("mask.nc"),
    seed: Seed = 0,
) -> None:
    """Find the units of a network that prefer one condition, and say how well that holds up.

    A unit's statistic is Welch's t between the conditions. Three numbers stand beside it, because a large t
    alone says little: the selectivity on runs that did not select the units, that of random units of the same
    layers, and that of the same architecture with random weights, which has selective units too.

    A table needs the columns stimulus, text, condition, run.

    Example: neuroalign localize smollm2-135m --stimuli langloc_stimuli --preset naacl2025 --out mask.nc
    """

    def work() -> None:
        from .commands import localize_network
        from .sections import Localizer

        given = {"fraction": fraction, "k": k, "q": q}
        lines = localize_network(
            model,
            _section(Localizer, stimuli=stimuli, positive=positive, negative=negative),
            preset_name=preset,
            rule={name: value for name, value in given.items() if value is not None},
            twin=twin,
            out=out,
            seed=seed,
        )
        for line in lines:
            typer.echo(line)

    _guarded(work)


@app.command()
def lesion(
    model: Network,
    mask: Annotated[Path, typer.Argument(help="What `neuroalign localize` wrote.", dir_okay=False)],
    pairs: Annotated[str, typer.Option(help="embedded, blimp, or a table.")] = "embedded",
    per_paradigm: Annotated[int | None, typer.Option(help="Take so many pairs of each paradigm.")] = None,
    controls: Annotated[int, typer.Option(help="Random masks of each kind.")] = 20,
    folder: Annotated[
        Path | None,
        typer.Option(help="A small file a mask, so that a killed run goes on.", file_okay=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Table of every mask's accuracy.")] = Path("lesion.tsv"),
    seed: Seed = 0,
) -> None:
    """Silence the units of a mask, and as many random ones, and say what minimal pairs lose.

    Random masks are drawn in three ways: from all other units, with the same number in each layer, and with
    partners of similar mean absolute activation in the same layer. Read their whole distributions: random
    lesions can hurt as much, and outlier dimensions are why. A mask of another network is refused.

    A table needs the columns pair, paradigm, field, good, bad.

    Example: neuroalign lesion smollm2-135m mask.nc --pairs blimp --per-paradigm 4 --controls 100
    """

    def work() -> None:
        from .commands import lesion_network
        from .sections import Lesions

        section = _section(Lesions, pairs=pairs, per_paradigm=per_paradigm, n_controls=controls)
        for line in lesion_network(model, mask, section, work=folder, out=out, seed=seed):
            typer.echo(line)

    _guarded(work)


@app.command()
def encode(
    responses: Annotated[
        Path, typer.Argument(help="Labelled array (time or stimulus, neuroid).", dir_okay=False)
    ],
    features: Annotated[
        list[str], typer.Argument(help="Labelled arrays (time or stimulus, feature): path, or name=path.")
    ],
    delays: Annotated[str | None, typer.Option(help="Of a time series, in rows, such as 1,2,3,4.")] = None,
    folds: Annotated[int | None, typer.Option(help="Contiguous folds; else runs, else 5.", min=2)] = None,
    purge: Annotated[
        int | None, typer.Option(help="Rows left out beside a test block; else the largest delay.", min=0)
    ] = None,
    candidates: Annotated[int, typer.Option(help="Band weights tried, with several features.", min=1)] = 30,
    permutations: Annotated[int, typer.Option(help="Draws of the block permutation.", min=1)] = 999,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path, typer.Option(help="Where scores and tests are saved.")] = Path("encoding.nc"),
    seed: Seed = 0,
) -> None:
    """Predict responses from features, on rows that the model never saw, and say how sure that is.

    One file of features is fitted by ridge with a penalty for every neuroid, several by banded ridge with
    their own weights too; all choices are made inside the training rows. Rows are aligned by label. The tests
    move blocks of rows as long as the series' autocorrelation asks for.

    Files are those of `neuroalign.io.save`.

    Example: neuroalign encode bold.nc words=words.nc sound=sound.nc --delays 1,2,3,4 --out scores.nc
    """

    def work() -> None:
        from .encode_command import encode_files

        lines = encode_files(
            responses,
            features,
            delays=_whole_numbers(delays),
            folds=folds,
            purge=purge,
            candidates=candidates,
            permutations=permutations,
            device=device,
            out=out,
            seed=seed,
        )
        for line in lines:
            typer.echo(line)

    _guarded(work)


def _whole_numbers(text: str | None) -> tuple[int, ...] | None:
    from ..errors import InvalidValueError

    try:
        return None if text is None else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidValueError(f"--delays must be whole numbers such as 1,2,3,4; got {text!r}.") from None


def _section(kind: Any, **values: Any) -> Any:
    """Return a section of a study from options; a value that it refuses is one message."""
    from pydantic import ValidationError

    from ..errors import InvalidValueError

    try:
        return kind(**values)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidValueError(f"{said}.") from None


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
    _guarded(lambda: _step(name, study, results, what, twin, part, threads))


AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@data.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """List the data sets, their licences, and whether they are here."""

    def work() -> None:
        from .datasets_command import list_sets

        typer.echo(list_sets(as_json=as_json))

    _guarded(work)


@data.command("info")
def show_dataset(
    name: Annotated[str, typer.Argument(help="Name of a data set.")], as_json: AsJson = False
) -> None:
    """Say what a data set holds: licence, citation, size, parts with their dims, known exclusions.

    Example: neuroalign datasets info alice_fmri
    """

    def work() -> None:
        from .datasets_command import describe_set

        typer.echo(describe_set(name, as_json=as_json))

    _guarded(work)


@data.command("check")
def check_description(
    description: Annotated[Path, typer.Argument(help="Your own data set's YAML.", dir_okay=False)],
) -> None:
    """Check the description of your own data: every mistake at once, and the files that it finds.

    Example: neuroalign datasets check my_data.yaml
    """

    def work() -> None:
        from .datasets_command import check_own

        typer.echo(check_own(description))

    _guarded(work)


@data.command("schema")
def print_description_schema() -> None:
    """Print the JSON schema of a description of your own data."""
    from ..datasets.own.description import description_schema

    typer.echo(json.dumps(description_schema(), indent=1))


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


def _step(name: str, study: str, results: Path, what: str, twin: str, part: int, threads: int) -> None:
    from ..errors import InvalidValueError, choice
    from .config import load_study

    try:
        source = json.loads(study) if study.lstrip().startswith("{") else study
    except json.JSONDecodeError as error:
        raise InvalidValueError(f"--study is not JSON: {error}.") from None
    paths_of = load_study(source)
    from .paths import Paths
    from .steps import STEPS, extract_activations, score_part, write_moments

    _set_threads(threads)
    paths = Paths(paths_of, results)
    if name == "extract":
        extract_activations(paths, what, twin)
    elif name == "moments":
        write_moments(paths, twin)
    elif name == "lesion-part":
        score_part(paths, what, part)
    elif name in STEPS:
        STEPS[name](paths)
    else:
        raise choice(name, ["extract", "moments", "lesion-part", *STEPS], name="step")


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
