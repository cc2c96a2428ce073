"""The commands ``neuroalign datasets`` and ``neuroalign models``: what there is, and getting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .guarding import EXIT_CODES

__all__ = ["data", "networks"]

data = typer.Typer(
    help="Data sets: what there is, and getting it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
networks = typer.Typer(
    help="Networks: which are known by name, and what they are made of.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def _set_names() -> list[str]:
    """Return the names of the data sets, for completion: from the manifest alone, which is quick."""
    manifest = Path(__file__).resolve().parents[1] / "datasets" / "manifest.json"
    return sorted(json.loads(manifest.read_text(encoding="utf-8"))["datasets"])


SetName = Annotated[str, typer.Argument(help="Name of a data set.", autocompletion=_set_names)]
SetNames = Annotated[list[str], typer.Argument(help="Names of data sets.", autocompletion=_set_names)]


@data.command("list", epilog=EXIT_CODES)
def list_datasets(as_json: AsJson = False) -> None:
    """List the data sets, their licences, and whether they are here.

    Example: neuroalign datasets list --json
    """
    from .datasets_command import list_sets

    typer.echo(list_sets(as_json=as_json))


@data.command("info", epilog=EXIT_CODES)
def show_dataset(name: SetName, as_json: AsJson = False) -> None:
    """Say what a data set holds: licence, citation, size, parts with their dims, known exclusions.

    Example: neuroalign datasets info alice_fmri
    """
    from .datasets_command import describe_set

    typer.echo(describe_set(name, as_json=as_json))


@data.command("check", epilog=EXIT_CODES)
def check_description(
    description: Annotated[Path, typer.Argument(help="Your own data set's YAML.", dir_okay=False)],
) -> None:
    """Check the description of your own data: every mistake at once, and the files that it finds.

    Example: neuroalign datasets check my_data.yaml
    """
    from .datasets_command import check_own

    typer.echo(check_own(description))


@data.command("schema", epilog=EXIT_CODES)
def print_description_schema() -> None:
    """Print the JSON schema of a description of your own data.

    Example: neuroalign datasets schema > data.schema.json
    """
    from ..datasets import description_schema

    typer.echo(json.dumps(description_schema(), indent=1))


@data.command(epilog=EXIT_CODES)
def fetch(name: SetNames) -> None:
    """Download data sets; files that are here and right are not downloaded again.

    Example: neuroalign datasets fetch langloc_stimuli blimp
    """
    from ..datasets import fetch as fetch_set

    for one in name:
        typer.echo(f"{one}: {fetch_set(one)}")


@networks.command("list", epilog=EXIT_CODES)
def list_networks(as_json: AsJson = False) -> None:
    """List the networks that are known by name: installed, in the hub's cache, or how to get them.

    Example: neuroalign models list
    """
    from .models_command import list_models

    typer.echo(list_models(as_json=as_json))


@networks.command("info", epilog=EXIT_CODES)
def show_network(
    name: Annotated[
        str, typer.Argument(help="A packaged name (smollm2-135m), a folder, a .gguf file, or a hub name.")
    ],
    revision: Annotated[str | None, typer.Option(help="Commit on the hub.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a network is made of: names of its layers, their units, parameters. No weights are read.

    Example: neuroalign models info smollm2-135m
    """
    from .models_command import describe_model

    typer.echo(describe_model(name, revision=revision, as_json=as_json))
