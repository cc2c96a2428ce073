"""The commands of single analyses: extract, localize, lesion, encode, rsa."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["analyses", "encode", "extract", "lesion", "localize", "rsa"]

Network = Annotated[
    str, typer.Argument(help="A packaged name (smollm2-135m), a folder, a .gguf file, or a hub name.")
]
Seed = Annotated[int, typer.Option(help="Of all random draws.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def extract(
    model: Network,
    stimuli: Annotated[str, typer.Argument(help="embedded, langloc_stimuli, or a table: stimulus, text.")],
    layers: Annotated[str | None, typer.Option(help="Such as 0,-1 or model.layers.3; else all.")] = None,
    site: Annotated[str, typer.Option(help="block, attn_out, mlp_out, mlp_act or resid_pre.")] = "block",
    pool: Annotated[str, typer.Option(help="last, mean or first.")] = "last",
    max_tokens: Annotated[int | None, typer.Option(help="Read the first tokens only.", min=1)] = None,
    batch_size: Annotated[int, typer.Option(help="Stimuli at once; halved where memory ends.", min=1)] = 32,
    revision: Annotated[str | None, typer.Option(help="Commit on the hub.")] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights instead.")] = False,
    dtype: Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path, typer.Option(help="Where activations are saved.")] = Path("activations.nc"),
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Save the activations of every stimulus in every layer of a network.

    Written batch by batch: a run that was interrupted goes on where it was, and a file that is there and
    whole is not made again.

    Example: neuroalign extract smollm2-135m sentences.tsv --pool mean --out activations.nc

    Example: neuroalign extract /models/mine embedded --layers 0,-1 --device cuda
    """
    from .extract_command import extract_file

    _echo(
        extract_file(
            model,
            stimuli,
            layers=layers,
            site=site,
            pool=pool,
            max_tokens=max_tokens,
            batch_size=batch_size,
            revision=revision,
            untrained=untrained,
            dtype=dtype,
            device=device,
            out=out,
            as_json=as_json,
            seed=seed,
        )
    )


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
    from .commands import lesion_network
    from .sections import Lesions

    section = _section(Lesions, pairs=pairs, per_paradigm=per_paradigm, n_controls=controls)
    for line in lesion_network(model, mask, section, work=folder, out=out, seed=seed):
        typer.echo(line)


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


def rsa(
    data: Annotated[
        Path, typer.Argument(help="RDMs or responses of people (.nc), or one square table.", dir_okay=False)
    ],
    models: Annotated[list[str], typer.Argument(help="RDMs, responses or activations: path, or name=path.")],
    metric: Annotated[
        str, typer.Option(help="Of the data's patterns; RDMs stay as they are.")
    ] = "correlation",
    model_metric: Annotated[str, typer.Option(help="Of the models' patterns.")] = "correlation",
    method: Annotated[
        str, typer.Option(help="spearman, pearson, cosine, rho-a, tau-a, whitened-cosine, ...")
    ] = "spearman",
    roi: Annotated[str | None, typer.Option(help="Region of the data.")] = None,
    resample: Annotated[
        str, typer.Option(help="Intervals for new people and stimuli: both, subject or stimulus.")
    ] = "both",
    draws: Annotated[int, typer.Option(help="Of the bootstrap.", min=20)] = 1000,
    permutations: Annotated[int, typer.Option(help="Orders of the stimuli.", min=1)] = 1000,
    out: Annotated[Path, typer.Option(help="Table; RDMs and figure stand beside it.")] = Path("rsa.tsv"),
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Compare representational geometries: model RDMs against each person's, with the noise ceiling.

    Stimuli are matched by label. Files are those of neuroalign.io.save or neuroalign extract (each layer is a
    model then), or square tables with the stimuli along both sides. Responses with a coordinate subject give
    an RDM a person.

    Example: neuroalign rsa people.nc category=category.tsv layers=activations.nc --out rsa.tsv

    Example: neuroalign rsa bold.nc model.tsv --roi LIFG --metric crossnobis --method whitened-cosine
    """
    from .rsa_command import compare_files

    _echo(
        compare_files(
            data,
            models,
            metric=metric,
            model_metric=model_metric,
            method=method,
            roi=roi,
            resample=resample,
            draws=draws,
            permutations=permutations,
            out=out,
            as_json=as_json,
            seed=seed,
        )
    )


def _echo(lines: Iterable[Any]) -> None:
    for line in lines:
        typer.echo(line)


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


analyses = (extract, localize, lesion, encode, rsa)
