"""The streaming loop: items in, rows of every layer out, to memory, to a file, or to running sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from .. import arrays
from ..errors import FileError, InvalidValueError, NeuroalignError, listing
from ..io import content_digest
from ..io.layers import layer_attrs, layer_writer

if TYPE_CHECKING:
    import torch

__all__ = ["Request", "Source", "fulfil", "stream"]

Rows = tuple[np.ndarray, Mapping[str, "torch.Tensor"]]


class Source(Protocol):
    """What the loop reads from: passages of text, or arrays.

    ``sizes`` (n_items,) orders the items, largest first. ``opened`` gives a function from the positions of
    some items to the rows of the result that they make, and every layer's values of those rows.
    """

    @property
    def name(self) -> str:
        """What the progress bar calls the network."""

    @property
    def device(self) -> str:
        """Where the network is."""

    @property
    def sizes(self) -> np.ndarray:
        """Size of each item (n_items,)."""

    def opened(self) -> AbstractContextManager[Callable[[np.ndarray], Rows]]:
        """Give the function that reads items."""

    def too_large(self, item: int) -> str:
        """Return what to say of an item that does not fit in memory."""


@dataclass(frozen=True)
class Request:
    """What is extracted, and a key that says whether a file on disk is the same.

    Attributes
    ----------
    source : Source
    labels : array (n_stimuli,)
    widths : dict of str to int
        Name and number of units of each layer.
    parts : dict
        All that decides the values; the key is their digest.
    about : dict
        What else the result says of itself.
    n_tokens : array (n_stimuli,), optional
    """

    source: Source
    labels: np.ndarray
    widths: dict[str, int]
    parts: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)
    n_tokens: np.ndarray | None = None

    @property
    def attrs(self) -> dict[str, Any]:
        """What the result says of itself."""
        return {**self.about, **self.parts, "key": content_digest(xr.Dataset(attrs=self.parts))}


class _Sink(Protocol):
    @property
    def mark(self) -> list[int] | None: ...
    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray], *, mark: tuple[int, int]) -> None: ...


class _Memory:
    mark = None

    def __init__(self, request: Request) -> None:
        n = len(request.labels)
        self.values = {layer: np.full((n, w), np.nan, np.float32) for layer, w in request.widths.items()}

    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray], *, mark: tuple[int, int]) -> None:
        for layer, block in values.items():
            self.values[layer][rows] = block


def fulfil(request: Request, out: str | Path | None, *, batch_size: int, progress: bool) -> xr.Dataset | Path:
    """Return the activations as a Dataset, or write them to ``out`` and return its path."""
    if out is None:
        memory = _Memory(request)
        stream(request, memory, batch_size=batch_size, progress=progress)
        return _dataset(request, memory.values)
    out = Path(out)
    if out.exists():
        _refuse_other_key(out, request)
        return out
    with layer_writer(
        out,
        request.widths,
        request.labels,
        request.attrs,
        n_tokens=request.n_tokens,
        device=request.source.device,
        plan=f"batches of {batch_size}, largest first",
    ) as writer:
        stream(request, writer, batch_size=batch_size, progress=progress)
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
    tokens = {} if request.n_tokens is None else {"n_tokens": ("stimulus", request.n_tokens)}
    return xr.Dataset(
        {layer: (("stimulus", units[block.shape[1]]), block) for layer, block in values.items()},
        coords={
            "stimulus": request.labels,
            **tokens,
            **{unit: np.arange(width) for width, unit in units.items()},
        },
        attrs=request.attrs,
    )


def stream(request: Request, sink: _Sink, *, batch_size: int, progress: bool) -> None:
    """Read all items, largest first, and hand every batch's rows to the sink.

    Largest first, so that what does not fit in memory shows at once; the batch is halved when it does not. A
    sink that was interrupted says by its mark how many items it has and how large the batches were.
    """
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise InvalidValueError(f"batch_size must be a positive integer; got {batch_size!r}.")
    source = request.source
    order = np.argsort(-source.sizes, kind="stable")
    done, batch_size = sink.mark or (0, int(batch_size))
    with (
        source.opened() as read,
        tqdm(
            total=order.size,
            initial=done,
            unit="passage",
            desc=source.name,
            disable=not progress,
            mininterval=1,
        ) as bar,
    ):
        while done < order.size:
            chosen = order[done : done + batch_size]
            found = _unless_out_of_memory(read, chosen)
            if found is None:
                batch_size = _halved(chosen, source)
                continue
            rows, values = found
            done += chosen.size
            sink.write(
                rows,
                {layer: arrays.to_numpy(state) for layer, state in values.items()},
                mark=(done, batch_size),
            )
            bar.update(chosen.size)


def _halved(chosen: np.ndarray, source: Source) -> int:
    if chosen.size == 1:
        raise NeuroalignError(source.too_large(int(chosen[0])))
    return chosen.size // 2


def _unless_out_of_memory(read: Callable[[np.ndarray], Rows], chosen: np.ndarray) -> Rows | None:
    """Return what ``read`` gives for the items, or None where the device has too little memory."""
    import torch

    try:
        return read(chosen)
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:
        text = str(error).lower()
        if "out of memory" in text or "can't allocate memory" in text:
            return None
        raise
