"""Activations of any torch module that reads arrays, such as images."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import arrays
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..io import content_digest
from ..schema import labels
from .models import state_digest
from .running import Request, Rows, fulfil
from .structure import Tap, captured

if TYPE_CHECKING:
    import torch

__all__ = ["extract_arrays"]

POOLS = ("flatten", "mean")


def extract_arrays(
    module: torch.nn.Module,
    inputs: xr.DataArray,
    layers: str | Sequence[str],
    *,
    pool: str = "flatten",
    name: str | None = None,
    batch_size: int = 32,
    out: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset | Path:
    """Return the outputs of some modules of a network for every input array.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; called with one tensor (n_rows, ...) of its own dtype, on its own device. It is
        left when all layers have been read.
    inputs : DataArray (stimulus, ...)
        Such as (stimulus, channel, height, width), scaled as the network expects; finite.
    layers : str or sequence of str
        Names as in ``module.named_modules()``, such as ``"features.3"``; each must run once in a pass.
    pool : {"flatten", "mean"}
        All values of the output, in the order channel, height, width; or the mean of each channel over the
        dims after it.
    name : str, optional
        What results call the network; its class where None.
    batch_size, out, progress
        See ``extract``.

    Returns
    -------
    Dataset or path
        One variable (stimulus, unit) a layer, float32, as ``extract`` gives. ``attrs["shapes"]`` are the
        layers' outputs of one stimulus before pooling.

    Raises
    ------
    LabelError
        If labels repeat or are missing, or the module lacks a layer, does not run it, or runs it twice.
    InvalidValueError
        If the module is in training mode, or inputs are not finite.
    ShapeError
        If the first dim is not ``stimulus``, or an output has not one row a stimulus.

    Examples
    --------
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()).eval()
    >>> images = xr.DataArray(np.ones((4, 1, 5, 5)), dims=("stimulus", "channel", "height", "width"))
    >>> images = images.assign_coords(stimulus=["a", "b", "c", "d"])
    >>> extract_arrays(network, images, "1", pool="mean", progress=False)["1"].shape
    (4, 2)
    """
    if pool not in POOLS:
        raise choice(pool, POOLS, name="pool")
    found, values = _checked(module, inputs)
    source = _Arrays(module, values, _in_order(module, values, layers), pool, name or type(module).__name__)
    shapes = source.shapes()
    parts = {
        "model_digest": state_digest(module),
        "structure_digest": hashlib.sha256(str(module).encode()).hexdigest(),
        "dtype": str(source.weight.dtype).removeprefix("torch."),
        "layers": source.layers,
        "stimuli_digest": content_digest(xr.DataArray(values, coords={"stimulus": found}, dims=inputs.dims)),
        "site": "output",
        "pool": pool,
    }
    request = Request(
        source,
        labels=found,
        widths={layer: _width(shape, pool) for layer, shape in shapes.items()},
        parts=parts,
        about={"model": source.name, "label": source.name, "shapes": shapes},
    )
    return fulfil(request, out, batch_size=batch_size, progress=progress)


def _checked(module: torch.nn.Module, inputs: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    if module.training:
        raise InvalidValueError("the module is in training mode; call module.eval() first.")
    if next(module.parameters(), None) is None:
        raise InvalidValueError("the module has no parameters.")
    found = labels(inputs, name="inputs")
    if inputs.dims[:1] != ("stimulus",):
        raise ShapeError(f"inputs must have stimulus as their first dim; got {inputs.dims}.")
    if not found.size:
        raise InvalidValueError("inputs have no rows.")
    if all(isinstance(label, str) for label in found):
        found = found.astype(np.str_)
    return found, arrays.as_float(inputs.values, name="inputs", dtype=np.float32)


def _in_order(module: torch.nn.Module, values: np.ndarray, layers: str | Sequence[str]) -> list[str]:
    """Return the layers in the order they run, after checking that each runs once."""
    wanted = [layers] if isinstance(layers, str) else list(layers)
    known = [name for name, _ in module.named_modules() if name]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise LabelError(
            f"the module has no layers {listing(unknown)}; it has {listing(known, limit=40)}."
            if unknown
            else f"no layer was asked for; the module has {listing(known, limit=40)}."
        )
    ran: list[str] = []
    handles = [
        module.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
        for name in dict.fromkeys(wanted)
    ]
    try:
        _forward(module, values[:1])
    finally:
        for handle in handles:
            handle.remove()
    for what, bad in (
        ("were not run", [name for name in wanted if name not in ran]),
        ("run more than once in a pass", [name for name in dict.fromkeys(ran) if ran.count(name) > 1]),
    ):
        if bad:
            raise LabelError(f"the layers {listing(bad)} {what}; name modules that run once.")
    return ran


def _forward(module: torch.nn.Module, values: np.ndarray) -> None:
    import torch

    weight = next(module.parameters())
    with torch.inference_mode():
        module(arrays.to_torch(values, device=weight.device, dtype=weight.dtype))


def _width(shape: Sequence[int], pool: str) -> int:
    return int(shape[0] if pool == "mean" else np.prod(shape))


@dataclass(frozen=True)
class _Arrays:
    """Input arrays (n_stimuli, ...) that a module reads."""

    module: Any
    values: np.ndarray
    layers: list[str]
    pool: str
    name: str

    @property
    def weight(self) -> torch.Tensor:
        """Says the module's device and dtype."""
        return next(self.module.parameters())

    @property
    def device(self) -> str:
        """Where the module is."""
        return str(self.weight.device)

    @property
    def sizes(self) -> np.ndarray:
        """All inputs are of one size."""
        return np.ones(len(self.values), dtype=np.int64)

    def too_large(self, _item: int) -> str:
        """Return what to say of an input that does not fit in memory."""
        return f"one input of shape {self.values.shape[1:]} does not fit in the memory of {self.device}."

    def shapes(self) -> dict[str, list[int]]:
        """Return the shape of each layer's output of one stimulus."""
        with captured(self.module, self._taps(), lambda output, layer: _tensor(output, layer)) as run:
            outputs = self._read(run, np.zeros(1, dtype=np.int64))
        bad = {layer: tuple(output.shape) for layer, output in outputs.items() if output.shape[:1] != (1,)}
        flat = [layer for layer, output in outputs.items() if output.ndim < 2]
        if bad or flat:
            raise ShapeError(f"outputs must be (n_stimuli, ...); of 1 stimulus got {bad or listing(flat)}.")
        return {layer: list(output.shape[1:]) for layer, output in outputs.items()}

    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[np.ndarray], Rows]]:
        """Give a function from inputs to each layer's values (n_rows, n_units)."""
        with captured(self.module, self._taps(), self._pooled) as run:
            yield lambda chosen: (chosen, self._read(run, chosen))

    def _taps(self) -> dict[str, Tap]:
        return {layer: Tap(layer) for layer in self.layers}

    def _read(self, run: Callable[..., dict[str, torch.Tensor]], chosen: np.ndarray) -> Any:
        import torch

        rows = arrays.to_torch(self.values[chosen], device=self.weight.device, dtype=self.weight.dtype)
        with torch.inference_mode():
            return run(rows)

    def _pooled(self, output: Any, layer: str) -> torch.Tensor:
        state = _tensor(output, layer)
        if self.pool == "mean" and state.ndim > 2:
            return state.double().flatten(2).mean(-1).float()
        return state.flatten(1).float()


def _tensor(output: Any, layer: str) -> torch.Tensor:
    import torch

    value = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(value, torch.Tensor):
        raise ShapeError(f"{layer!r} must give a tensor or a tuple that begins with one; got {type(output)}.")
    return value
