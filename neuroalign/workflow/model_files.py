"""Where a network is and how large, from the heads of its files: neither torch nor weights are loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FileError, listing
from ..extraction import PACKAGED
from ..io.files import DAMAGED

__all__ = ["Sizes", "find_model", "model_sizes"]

# Keys of transformers' configurations: width of a block's output, number of blocks.
WIDTH = ("hidden_size", "n_embd", "d_model", "dim")
DEPTH = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
# GGUF's scalar types by number: letter and size for struct; 8 is text, 9 an array.
GGUF_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
GGUF_TEXT, GGUF_ARRAY = 8, 9
LARGEST_HEAD, MOST_DIMS = 100_000_000, 8


@dataclass(frozen=True)
class Sizes:
    """How large a network is; None is what its files do not say.

    Attributes
    ----------
    architecture : str
    n_layers, width : int, optional
        Blocks, and units of a block's output.
    n_parameters : int, optional
    n_bytes : int
        Of the weights' files.
    """

    architecture: str
    n_layers: int | None
    width: int | None
    n_parameters: int | None
    n_bytes: int


def find_model(name: str, revision: str | None = None) -> tuple[str, Path | None]:
    """Return the state of a model and where its files are.

    Returns
    -------
    str
        ``"installed"`` or ``"not installed"`` (packaged models), ``"here"`` or ``"missing"`` (folders and
        files), ``"cached"`` or ``"needs a download"`` (names on the hub).
    path, optional
        A folder or a ``.gguf`` file.
    """
    if name in PACKAGED:
        item = PACKAGED[name]
        spec = importlib.util.find_spec(item.package)
        folders = [] if spec is None else list(spec.submodule_search_locations or [])
        found = next((Path(f) / item.path for f in folders if (Path(f) / item.path).exists()), None)
        return ("not installed", None) if found is None else ("installed", found)
    path = Path(name).expanduser()
    if path.exists():
        return "here", path
    if path.suffix == ".gguf" or name.startswith((".", "/", "~")):
        return "missing", None
    folder = _cached(name, revision)
    return ("needs a download", None) if folder is None else ("cached", folder)


def _cached(name: str, revision: str | None) -> Path | None:
    """Return the folder of a model in the hub's cache."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError as error:
        raise FileError(f"model {name!r}: {error}") from None
    return Path(found).parent if isinstance(found, str | os.PathLike) else None


def model_sizes(path: Path) -> Sizes:
    """Return the sizes that the files of a model state.

    Parameters
    ----------
    path : path
        A folder in transformers' format (config.json, safetensors), or a ``.gguf`` file.

    Raises
    ------
    FileError
        If a file cannot be read or is not what its name says.
    """
    try:
        return _gguf_sizes(path) if path.is_file() else _folder_sizes(path)
    except FileError:
        raise
    except (*DAMAGED, struct.error) as error:
        raise FileError(f"{path}: the head of the model could not be read: {error}.") from error


def _folder_sizes(folder: Path) -> Sizes:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or config
    files = sorted(folder.glob("*.safetensors"))
    counts = [_safetensors_parameters(file) for file in files]
    return Sizes(
        architecture=next(iter(config.get("architectures") or []), config.get("model_type", "unknown")),
        n_layers=_first(text, DEPTH),
        width=_first(text, WIDTH),
        n_parameters=sum(counts) if files else None,
        n_bytes=sum(file.stat().st_size for file in files),
    )


def _first(config: Mapping[str, Any], keys: Iterable[str]) -> int | None:
    return next((int(config[key]) for key in keys if isinstance(config.get(key), int)), None)


def _safetensors_parameters(path: Path) -> int:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > LARGEST_HEAD:
            raise FileError(f"{path} is no safetensors file.")
        head = json.loads(file.read(length))
    return sum(_size(about["shape"]) for name, about in head.items() if name != "__metadata__")


def _size(shape: Any) -> int:
    """Return the number of values of a shape, which is a list of counts."""
    if not isinstance(shape, list | tuple) or not all(isinstance(n, int) and 0 <= n < 2**48 for n in shape):
        raise ValueError(f"a shape must be a list of counts; got {listing([shape])}")
    return prod(shape)


def _gguf_sizes(path: Path) -> Sizes:
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise FileError(f"{path} is no GGUF file.")
        _version, n_tensors, n_values = struct.unpack("<IQQ", file.read(20))
        values = {}
        for _ in range(n_values):
            key = _gguf_text(file)
            values[key] = _gguf_value(file, *struct.unpack("<I", file.read(4)))
        n_parameters = sum(_gguf_tensor(file) for _ in range(n_tensors))
    kind = str(values.get("general.architecture", "unknown"))
    return Sizes(
        architecture=kind,
        n_layers=_first(values, [f"{kind}.block_count"]),
        width=_first(values, [f"{kind}.embedding_length"]),
        n_parameters=n_parameters,
        n_bytes=path.stat().st_size,
    )


def _gguf_text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LARGEST_HEAD:
        raise ValueError("a text is longer than any head")
    return file.read(length).decode("utf-8", errors="replace")


def _gguf_value(file: BinaryIO, kind: int) -> Any:
    """Return a value; of an array, which is read over, None."""
    if kind == GGUF_TEXT:
        return _gguf_text(file)
    if kind != GGUF_ARRAY:
        letter = f"<{GGUF_SCALARS[kind]}"
        return struct.unpack(letter, file.read(struct.calcsize(letter)))[0]
    inner, length = struct.unpack("<IQ", file.read(12))
    if inner in GGUF_SCALARS:
        file.seek(length * struct.calcsize(f"<{GGUF_SCALARS[inner]}"), 1)
    else:
        for _ in range(length):
            _gguf_value(file, inner)
    return None


def _gguf_tensor(file: BinaryIO) -> int:
    """Return the number of values of the tensor described next."""
    _gguf_text(file)
    (n_dims,) = struct.unpack("<I", file.read(4))
    if n_dims > MOST_DIMS:
        raise ValueError(f"a tensor has {n_dims} dims")
    shape = struct.unpack(f"<{n_dims}Q", file.read(8 * n_dims))
    file.seek(12, 1)  # its type and its place
    return _size(shape)


def hub_name(folder: str) -> str | None:
    """Return the name of a model whose folder in the hub's cache this is: models--owner--name."""
    match = re.fullmatch(r"models--(.+)", folder)
    return match[1].replace("--", "/") if match else None
