"""Passages of text as a source of the streaming loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import arrays
from ..io import content_digest
from .models import LanguageModel
from .running import Request, Rows
from .sites import site_of
from .structure import Tap, captured, hidden_state
from .tokens import Passage, collate, ids_digest

if TYPE_CHECKING:
    import torch

__all__ = ["Passages", "batch_inputs", "passage_too_large", "text_parts", "text_request"]


def text_request(
    model: LanguageModel,
    layers: Sequence[str],
    stimuli: tuple[np.ndarray, Sequence[str]],
    passages: Sequence[Passage],
    *,
    n_tokens: np.ndarray,
    site: str,
    total: bool = False,
    **parameters: Any,
) -> Request:
    """Return the request for one site of some layers of a language model.

    Parameters
    ----------
    model : LanguageModel
    layers : sequence of str
    stimuli : labels and texts (n_stimuli,)
    passages : sequence of Passage
    n_tokens : array (n_stimuli,)
    site : str
        One of ``sites.SITES``.
    total : bool
        Whether a row is the sum of its tokens, not their mean.
    **parameters
        What else decides the values.
    """
    sites = {layer: site_of(model, layer, site) for layer in layers}
    taps = {layer: found.tap for layer, found in sites.items()}
    return Request(
        Passages(model, taps, list(passages), total),
        labels=stimuli[0],
        widths={layer: found.width for layer, found in sites.items()},
        n_tokens=n_tokens,
        parts=text_parts(model, layers, stimuli, passages, site=site, **parameters),
        about={"model": model.name, "label": model.label, "untrained": model.untrained},
    )


def text_parts(
    model: LanguageModel,
    layers: Sequence[str],
    stimuli: tuple[np.ndarray, Sequence[str]],
    passages: Sequence[Passage],
    **parameters: Any,
) -> dict[str, Any]:
    """Return all that decides the values of an extraction from text."""
    labels, texts = stimuli
    table = xr.Dataset({"text": ("stimulus", np.asarray(texts))}, coords={"stimulus": labels})
    return {
        "model_digest": model.digest,
        "dtype": model.dtype,
        "lesions": list(model.lesions),
        "layers": list(layers),
        "stimuli_digest": content_digest(table),
        "tokens_digest": ids_digest(passages),
        **parameters,
    }


@dataclass(frozen=True)
class Passages:
    """Passages that a language model reads; a row is the mean or sum of its tokens' states."""

    model: LanguageModel
    taps: Mapping[str, Tap | Sequence[Tap]]
    passages: list[Passage]
    total: bool

    @property
    def name(self) -> str:
        """What the progress bar calls the model."""
        return self.model.name

    @property
    def device(self) -> str:
        """Where the model is."""
        return self.model.device

    @property
    def sizes(self) -> np.ndarray:
        """Tokens of each passage (n_passages,)."""
        return np.array([passage.ids.size for passage in self.passages])

    def too_large(self, item: int) -> str:
        """Return what to say of a passage that does not fit in memory."""
        return passage_too_large(self.model, self.passages[item])

    @contextmanager
    def opened(self) -> Iterator[Callable[[np.ndarray], Rows]]:
        """Give a function from passages to their rows and each layer's values (n_rows, n_units)."""
        import torch

        tokens: dict[str, torch.Tensor] = {}

        def pool(value: Any, layer: str) -> torch.Tensor:
            state = hidden_state(value, layer)
            taken = state.reshape(-1, state.shape[-1])[tokens["positions"]]
            return _pooled(taken, tokens["local"], tokens["rows"].numel(), total=self.total)

        with captured(self.model.module, self.taps, pool) as run:

            def read(chosen: np.ndarray) -> Rows:
                batch = collate([self.passages[i] for i in chosen], _pad(self.model))
                for name in ("positions", "local", "rows"):
                    tokens[name] = arrays.to_torch(getattr(batch, name), device=self.model.device)
                with torch.inference_mode():
                    return batch.rows, run(**_inputs(self.model, batch.ids, batch.mask))

            yield read


def batch_inputs(model: LanguageModel, passages: Sequence[Passage]) -> dict[str, Any]:
    """Return the arguments of a forward pass over passages, padded on the right."""
    batch = collate(passages, _pad(model))
    return _inputs(model, batch.ids, batch.mask)


def _inputs(model: LanguageModel, ids: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    return model.reads(*(arrays.to_torch(array, device=model.device) for array in (ids, mask)))


def _pad(model: LanguageModel) -> int:
    return 0 if model.tokenizer.pad_token_id is None else int(model.tokenizer.pad_token_id)


def passage_too_large(model: LanguageModel, passage: Passage) -> str:
    """Return what to say of a passage that does not fit in memory."""
    return (
        f"one passage of {passage.ids.size} tokens does not fit in the memory of {model.device}. "
        "Pass a smaller max_tokens or context, or another device."
    )


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
