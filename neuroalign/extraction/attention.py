"""Attention patterns: who attends to whom, a matrix a head."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import NeuroalignError, listing
from .models import LanguageModel
from .reading import Passages, batch_inputs, text_parts
from .running import Request, Rows, stream
from .structure import Tap, captured, resolve_layers
from .tokens import Passage, texts_of, tokenise

if TYPE_CHECKING:
    import torch

__all__ = ["extract_attention"]


def extract_attention(
    model: LanguageModel,
    stimuli: pd.DataFrame,
    layers: Any = None,
    *,
    max_tokens: int | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> dict[Any, xr.DataArray]:
    """Return the attention patterns of every stimulus: the weights of each query token over the key tokens.

    Patterns are n_tokens x n_tokens, so every stimulus has an array of its own, and all are held in memory.
    The network's attention is computed step by step ("eager") while this runs, since the fused kernels give
    no weights; the setting is put back afterwards. Of an encoder-decoder's decoder, its self-attention.

    Parameters
    ----------
    model, stimuli, layers, max_tokens, batch_size, progress
        See ``extract``.

    Returns
    -------
    dict of stimulus label to DataArray (layer, head, query, key)
        float32 from 0 to 1; each query's weights sum to 1. Coordinates layer and token_id (key,), special
        tokens included. Attributes as ``extract``.

    Raises
    ------
    NeuroalignError
        If the network gives no attention weights, or its layers differ in their number of heads. Else as
        ``extract``.

    Examples
    --------
    >>> patterns = extract_attention(model, stimuli, layers=[0])  # doctest: +SKIP
    >>> patterns["s1"].sel(layer="model.layers.0").mean("head")  # doctest: +SKIP
    """
    names = resolve_layers(model, layers)
    stimuli_of = found, texts = texts_of(stimuli)
    passages = tokenise(model, found, texts, pool="last", max_tokens=max_tokens)
    parameters = {"site": "attention", "max_tokens": None if max_tokens is None else int(max_tokens)}
    request = Request(
        _Patterns(model, _taps(model, names), list(passages), total=False),
        labels=found,
        widths={},
        parts=text_parts(model, names, stimuli_of, passages, **parameters),
        about={"model": model.name, "label": model.label, "untrained": model.untrained},
    )
    sink = _Cut(passages, names, request.attrs)
    with _eager(model.module):
        stream(request, sink, batch_size=batch_size, progress=progress)
    return {found[row].item(): sink.patterns[row] for row in range(len(found))}


class _Cut:
    """Each stimulus's patterns, without the padding."""

    mark = None

    def __init__(self, passages: list[Passage], layers: list[str], attrs: Mapping[str, Any]) -> None:
        self.passages, self.layers, self.attrs = passages, layers, dict(attrs)
        self.patterns: dict[int, xr.DataArray] = {}

    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray], *, mark: tuple[int, int]) -> None:
        heads = {values[layer].shape[1] for layer in self.layers}
        if len(heads) > 1:
            raise NeuroalignError(f"layers differ in heads ({listing(heads)}); ask for those of one number.")
        for at, row in enumerate(rows):
            ids = self.passages[row].ids
            self.patterns[int(row)] = xr.DataArray(
                np.stack([values[layer][at, :, : ids.size, : ids.size] for layer in self.layers]),
                dims=("layer", "head", "query", "key"),
                coords={"layer": self.layers, "token_id": ("key", ids)},
                attrs=self.attrs,
                name="attention",
            )


def _taps(model: LanguageModel, layers: list[str]) -> dict[str, list[Tap]]:
    """Return every module inside each block: the first that gives weights is its attention."""
    parts = {layer: model.module.get_submodule(layer) for layer in layers}
    return {
        layer: [Tap(name) for name, _ in part.named_modules(prefix=layer) if name != layer]
        for layer, part in parts.items()
    }


@dataclass(frozen=True)
class _Patterns(Passages):
    @contextlib.contextmanager
    def opened(self) -> Iterator[Callable[[np.ndarray], Rows]]:
        """Give a function from passages to each layer's weights (n_rows, n_heads, n_tokens, n_tokens)."""
        import torch

        with captured(self.model.module, self.taps, lambda output, _layer: _weights(output)) as run:

            def read(chosen: np.ndarray) -> Rows:
                inputs = batch_inputs(self.model, [self.passages[i] for i in chosen])
                with torch.inference_mode():
                    return chosen, run(**inputs)

            yield read


def _weights(output: Any) -> torch.Tensor | None:
    """Return attention weights, if a module gave some: (rows, heads, n, n), each row of which sums to 1."""
    import torch

    for value in output if isinstance(output, tuple | list) else ():
        is_square = isinstance(value, torch.Tensor) and value.ndim == 4 and value.shape[-1] == value.shape[-2]
        if is_square and value.is_floating_point() and (value >= 0).all():
            sums = value.float().sum(-1)
            if (sums - 1).abs().max().item() < 1e-2:
                return value.float()
    return None


@contextlib.contextmanager
def _eager(module: torch.nn.Module) -> Iterator[None]:
    """Let transformers compute attention step by step inside this block."""
    configs = {id(part.config): part.config for part in module.modules() if hasattr(part, "config")}
    key = "_attn_implementation_internal"
    before = [(config, vars(config)[key]) for config in configs.values() if key in vars(config)]
    try:
        for config, _ in before:
            setattr(config, key, "eager")
        yield
    finally:
        for config, setting in before:
            setattr(config, key, setting)
