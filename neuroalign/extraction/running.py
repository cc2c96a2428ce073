"""The streaming loop: passages in, rows of every layer out, to memory or to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from .. import arrays
from ..errors import FileError, InvalidValueError, NeuroalignError, listing
from ..io import content_digest
from ..io.layers import layer_attrs, layer_writer
from .models import LanguageModel
from .structure import captured
from .tokens import Batch, Passage, collate, ids_digest

if TYPE_CHECKING:
    import torch

__all__ = ["Request", "fulfil"]


class Request:
    """What is extracted: passages and layers, and a key that says whether a file on disk is the same."""

    def __init__(
        self,
        model: LanguageModel,
        layers: Sequence[str],
        stimuli: tuple[np.ndarray, Sequence[str]],
        passages: Sequence[Passage],
        *,
        n_tokens: np.ndarray,
        total: bool = False,
        **parameters: Any,
    ) -> None:
        self.model, self.layers, self.passages = model, list(layers), list(passages)
        self.n_tokens, self.total = n_tokens, total
        self.labels, texts = stimuli
        table = xr.Dataset({"text": ("stimulus", np.asarray(texts))}, coords={"stimulus": self.labels})
        self.parts = {
            "model_digest": model.digest,
            "dtype": model.dtype,
            "lesions": list(model.lesions),
            "layers": self.layers,
            "stimuli_digest": content_digest(table),
            "tokens_digest": ids_digest(passages),
            **parameters,
        }

    @property
    def attrs(self) -> dict[str, Any]:
        """What the result says of itself."""
        about = {"model": self.model.name, "label": self.model.label, "untrained": self.model.untrained}
        return {**about, **self.parts, "key": content_digest(xr.Dataset(attrs=self.parts))}


class _Sink(Protocol):
    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray]) -> None: ...


class _Memory:
    def __init__(self, request: Request) -> None:
        n = len(request.labels)
        widths = {layer: request.model.widths[layer] for layer in request.layers}
        self.values = {name: np.full((n, width), np.nan, dtype=np.float32) for name, width in widths.items()}

    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        for layer, block in values.items():
            self.values[layer][rows] = block


def fulfil(request: Request, out: str | Path | None, *, batch_size: int, progress: bool) -> xr.Dataset | Path:
    """Return the activations as a Dataset, or write them to ``out`` and return its path."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise InvalidValueError(f"batch_size must be a positive integer; got {batch_size!r}.")
    if out is None:
        memory = _Memory(request)
        stream(request, memory, batch_size=int(batch_size), progress=progress)
        return _dataset(request, memory.values)
    out = Path(out)
    if out.exists():
        _refuse_other_key(out, request)
        return out
    widths = {layer: request.model.widths[layer] for layer in request.layers}
    with layer_writer(
        out, widths, request.labels, request.attrs, n_tokens=request.n_tokens, device=request.model.device
    ) as writer:
        stream(request, writer, batch_size=int(batch_size), progress=progress)
    return out


def _refuse_other_key(out: Path, request: Request) -> None:
    stored, wanted = layer_attrs(out), request.attrs
    if stored.get("key") == wanted["key"]:
        return
    differ = [name for name in request.parts if stored.get(name) != wanted[name]]
    shown = "; ".join(
        f"{name}: {_short(stored.get(name))} there, {_short(wanted[name])} here" for name in differ
    )
    raise FileError(
        f"{out} holds other activations ({shown or 'other parameters'}). Remove it or choose another path."
    )


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{listing(value, limit=3)}]"
    return repr(value[:12] + "..." if isinstance(value, str) and len(value) == 64 else value)


def _dataset(request: Request, values: Mapping[str, np.ndarray]) -> xr.Dataset:
    widths = sorted({block.shape[1] for block in values.values()})
    units = {width: "unit" if len(widths) == 1 else f"unit_{k}" for k, width in enumerate(widths)}
    return xr.Dataset(
        {layer: (("stimulus", units[block.shape[1]]), block) for layer, block in values.items()},
        coords={
            "stimulus": request.labels,
            "n_tokens": ("stimulus", request.n_tokens),
            **{unit: np.arange(width) for width, unit in units.items()},
        },
        attrs=request.attrs,
    )


def stream(request: Request, sink: _Sink, *, batch_size: int, progress: bool) -> None:
    """Run all passages, longest first, and hand every batch's rows to the sink.

    Longest first, so that what does not fit in memory shows at once; the batch is halved when it does not.
    """
    model, n = request.model, len(request.passages)
    order = np.argsort([-passage.ids.size for passage in request.passages], kind="stable")
    done = 0
    with (
        _reader(request) as read,
        tqdm(total=n, unit="passage", desc=model.name, disable=not progress, mininterval=1) as bar,
    ):
        while done < n:
            chosen = [request.passages[i] for i in order[done : done + batch_size]]
            batch = collate(chosen, _pad(model))
            found = _unless_out_of_memory(read, batch)
            if found is None:
                batch_size = _halved(min(batch_size, len(chosen)), chosen[0], model)
                continue
            sink.write(batch.rows, found)
            done += len(chosen)
            bar.update(len(chosen))


def _pad(model: LanguageModel) -> int:
    return 0 if model.tokenizer.pad_token_id is None else int(model.tokenizer.pad_token_id)


def _halved(batch_size: int, passage: Passage, model: LanguageModel) -> int:
    if batch_size == 1:
        raise NeuroalignError(
            f"one passage of {passage.ids.size} tokens does not fit in the memory of {model.device}. "
            "Pass a smaller max_tokens or context, or another device."
        )
    return batch_size // 2


def _unless_out_of_memory(
    read: Callable[[Batch], dict[str, np.ndarray]], batch: Batch
) -> dict[str, np.ndarray] | None:
    """Return what ``read`` gives for the batch, or None where the device has too little memory."""
    import torch

    try:
        return read(batch)
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:
        text = str(error).lower()
        if "out of memory" in text or "can't allocate memory" in text:
            return None
        raise


@contextmanager
def _reader(request: Request) -> Iterator[Callable[[Batch], dict[str, np.ndarray]]]:
    """Give a function from a batch to each layer's rows (n_rows, n_units)."""
    import torch

    model = request.model
    tokens: dict[str, torch.Tensor] = {}

    def pool(state: torch.Tensor) -> torch.Tensor:
        taken = state.reshape(-1, state.shape[-1])[tokens["positions"]]
        return _pooled(taken, tokens["local"], tokens["rows"].numel(), total=request.total)

    with captured(model.module, request.layers, pool) as run:

        def read(batch: Batch) -> dict[str, np.ndarray]:
            for name in ("ids", "mask", "positions", "local", "rows"):
                tokens[name] = arrays.to_torch(getattr(batch, name), device=model.device)
            given = model.inputs(attention_mask=tokens["mask"], use_cache=False)
            with torch.inference_mode():
                found = run(input_ids=tokens["ids"], **given)
            return {layer: arrays.to_numpy(state) for layer, state in found.items()}

        yield read


def _pooled(taken: torch.Tensor, local: torch.Tensor, n_rows: int, *, total: bool) -> torch.Tensor:
    """Return each row's tokens' mean or sum, in float64 where a row has more than one token."""
    import torch

    if n_rows == local.numel():
        return taken[torch.argsort(local)].float()
    sums = torch.zeros((n_rows, taken.shape[1]), dtype=torch.float64, device=taken.device)
    sums.index_add_(0, local, taken.double())
    if not total:
        sums /= torch.bincount(local, minlength=n_rows)[:, None]
    return sums.float()
