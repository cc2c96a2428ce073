"""What ``neuroalign extract`` does: a network and a stimulus table in, a file of activations out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from .. import datasets, io, stimuli
from ..errors import FileError
from ..extraction import extract, load_model

__all__ = ["extract_file", "read_stimuli"]


def extract_file(
    name: str,
    table: str,
    *,
    layers: str | None,
    site: str,
    pool: str,
    max_tokens: int | None,
    batch_size: int,
    revision: str | None,
    untrained: bool,
    dtype: str,
    device: str,
    out: Path,
    as_json: bool,
    seed: int,
) -> Iterator[str]:
    """Write the activations of every stimulus in every layer to ``out``, and say what is in it, by line."""
    if out.suffix != ".nc":
        raise FileError(f"--out must end in .nc; got {str(out)!r}.")
    shown = read_stimuli(table)
    model = load_model(name, revision=revision, untrained=untrained, seed=seed, dtype=dtype, device=device)
    if not as_json:
        yield f"{model.label} on {model.device} in {model.dtype}: {len(shown):,} stimuli of {table}"
    extract(
        model,
        shown,
        layer_names(layers),
        site=site,
        pool=pool,
        max_tokens=max_tokens,
        batch_size=batch_size,
        out=out,
    )
    names = io.layer_names(out)
    units = [int(io.read_layer(out, layer).sizes["unit"]) for layer in (names[0], names[-1])]
    content = io.layers_digest(out)
    found = {
        "model": model.label,
        "digest": model.digest,
        "stimuli": len(shown),
        "layers": names,
        "site": site,
        "pool": pool,
        "out": str(out),
        "content": content,
    }
    if as_json:
        yield json.dumps(found, indent=1)
        return
    width = f"{units[0]:,}" if units[0] == units[1] else f"{units[0]:,} to {units[1]:,}"
    yield f"{len(names)} layer(s), {names[0]} to {names[-1]}, {width} units each; site {site}, pool {pool}"
    yield f"saved: {out} (content {content[:12]}); a layer is read by neuroalign.io.read_layer"


def layer_names(text: str | None) -> Sequence[int | str] | None:
    """Return layers from a list such as ``0,-1,model.layers.3``; None and ``all`` are all of them."""
    if text is None or text == "all":
        return None
    parts = [part.strip() for part in text.split(",")]
    return [int(part) if part.lstrip("-").isdigit() else part for part in parts if part]


def read_stimuli(name: str) -> pd.DataFrame:
    """Return a stimulus table: ``embedded``, a data set that is one, or a TSV or CSV file."""
    if name == "embedded":
        return stimuli.localizer()
    table = datasets.load(name) if name in datasets.LOADERS else stimuli.read_table(name)
    return stimuli.check_table(table, columns=("text",), name=name)
