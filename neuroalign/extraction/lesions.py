"""Units silenced while a block of code runs; the model is bit-identical afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import arrays
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..io import content_digest
from ..schema import check
from .models import LanguageModel
from .structure import hidden_state, with_hidden_state

if TYPE_CHECKING:
    import torch

__all__ = ["lesion"]

MODES = ("zero", "mean")
LAYOUT = ("layer", "site", "index")


@contextmanager
def lesion(
    model: LanguageModel,
    mask: xr.DataArray | Sequence[xr.DataArray],
    *,
    mode: str = "zero",
    values: np.ndarray | xr.DataArray | None = None,
) -> Iterator[LanguageModel]:
    """Replace the masked units in the residual state that their blocks give out, inside a ``with`` block.

    The state is replaced at every token, for all blocks that follow. Weights are never touched, and the hooks
    go when the block is left, also by an exception or an interrupt.

    Parameters
    ----------
    model : LanguageModel
    mask : DataArray (unit,) of bool, or a sequence of them
        As ``schema.make_mask`` makes it, site ``"block"``. Several masks of one layout split the rows of
        every batch in that many consecutive groups of equal size, one mask each.
    mode : {"zero", "mean"}
        Replace by 0, or by ``values``.
    values : array (n_units,), optional
        For ``"mean"``: what each unit of the mask's layout is replaced by, such as its mean over a corpus.

    Raises
    ------
    LabelError
        If the mask names layers that the model lacks, or several masks differ in layout.
    InvalidValueError
        If an index is outside its layer, the site is another one, or ``values`` are missing or not finite.
    ShapeError
        While it is in force: if a batch's rows cannot be split in equal groups.

    Examples
    --------
    >>> with lesion(model, mask):  # doctest: +SKIP
    ...     hurt = extract(model, stimuli)
    """
    masks = [mask] if isinstance(mask, xr.DataArray) else list(mask)
    _check_masks(model, masks)
    replacement = _replacement(masks[0], mode, values)
    name = _digest(masks, mode, replacement)
    handles: list[Any] = []
    model.lesions.append(name)
    try:
        for layer, (selected, put) in _by_layer(model, masks, replacement).items():
            block = model.module.get_submodule(layer)
            handles.append(block.register_forward_hook(_hook(layer, selected, put)))
        yield model
    finally:
        for handle in handles:
            handle.remove()
        model.lesions.remove(name)


def _check_masks(model: LanguageModel, masks: Sequence[xr.DataArray]) -> None:
    if not masks:
        raise InvalidValueError("no mask was given.")
    for mask in masks:
        check(mask, "mask")
        if mask.dtype != np.bool_:
            raise InvalidValueError(f"a mask must hold booleans; got {mask.dtype}.")
    first = masks[0]
    for other in masks[1:]:
        if other.shape != first.shape or any((other[c].values != first[c].values).any() for c in LAYOUT):
            raise LabelError("several masks must have the same units (layer, site, index) in the same order.")
    names = first["layer"].values
    unknown = [layer for layer in dict.fromkeys(names.tolist()) if layer not in model.widths]
    if unknown:
        raise LabelError(
            f"mask: the model has no layers {listing(unknown)}; it has {listing(model.widths, limit=40)}."
        )
    sites = set(first["site"].values.tolist()) - {"block"}
    if sites:
        raise InvalidValueError(f"mask: lesions are made at site 'block'; got {listing(sorted(sites))}.")
    _check_index(model, first)


def _check_index(model: LanguageModel, mask: xr.DataArray) -> None:
    index, names = mask["index"].values, mask["layer"].values
    width = np.array([model.widths[layer] for layer in names.tolist()], dtype=np.int64)
    bad = np.flatnonzero((index < 0) | (index >= width))
    if bad.size:
        at = bad[0]
        raise InvalidValueError(
            f"mask: index must be 0 to {width[at] - 1} in layer {str(names[at])!r}; got {index[at]}."
        )
    units = np.unique(np.stack([np.unique(names, return_inverse=True)[1], index]), axis=1)
    if units.shape[1] != index.size:
        raise LabelError("mask: some units (layer, index) are named twice.")


def _replacement(mask: xr.DataArray, mode: str, values: np.ndarray | xr.DataArray | None) -> np.ndarray:
    if mode not in MODES:
        raise choice(mode, MODES, name="mode")
    if mode == "zero":
        if values is not None:
            raise InvalidValueError("values are for mode='mean'; mode='zero' takes none.")
        return np.zeros(mask.shape)
    if values is None:
        raise InvalidValueError("mode='mean' needs values: what each unit is replaced by (n_units,).")
    if isinstance(values, xr.DataArray) and any(
        name in values.coords and not np.array_equal(values[name].values, mask[name].values)
        for name in ("layer", "index")
    ):
        raise LabelError("values must have the mask's units (layer, index) in the same order.")
    found = arrays.as_float(values, name="values", ndim=1)
    if found.shape != mask.shape:
        raise ShapeError(f"values must have shape {mask.shape}, one a unit of the mask; got {found.shape}.")
    return found


def _digest(masks: Sequence[xr.DataArray], mode: str, replacement: np.ndarray) -> str:
    first = masks[0]
    content = xr.Dataset(
        {
            "selected": (("mask", "unit"), np.stack([mask.values for mask in masks])),
            "replacement": ("unit", replacement),
            **{name: ("unit", first[name].values) for name in LAYOUT},
        },
        attrs={"mode": mode},
    )
    return content_digest(content)


def _by_layer(
    model: LanguageModel, masks: Sequence[xr.DataArray], replacement: np.ndarray
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return, for every layer with a masked unit, booleans (mask, 1, 1, unit) and values (unit,)."""
    import torch

    names, index = masks[0]["layer"].values, masks[0]["index"].values
    chosen = np.stack([mask.values for mask in masks])
    found = {}
    for layer in [name for name in model.widths if chosen[:, names == name].any()]:
        inside = names == layer
        selected = np.zeros((len(masks), 1, 1, model.widths[layer]), dtype=bool)
        selected[:, 0, 0, index[inside]] = chosen[:, inside]
        put = np.zeros(model.widths[layer])
        put[index[inside]] = replacement[inside]
        kind = arrays.torch_dtype(model.dtype)
        found[layer] = (
            arrays.to_torch(selected, device=model.device, dtype=torch.bool),
            arrays.to_torch(put, device=model.device, dtype=kind),
        )
    return found


def _hook(layer: str, selected: torch.Tensor, put: torch.Tensor) -> Callable[[Any, Any, Any], Any]:
    n_masks = selected.shape[0]

    def replace(_module: Any, _inputs: Any, output: Any) -> Any:
        state = hidden_state(output, layer)
        if state.shape[0] % n_masks:
            raise ShapeError(f"{n_masks} masks are in force, but a batch has {state.shape[0]} rows.")
        groups = state.reshape(n_masks, -1, *state.shape[1:])
        return with_hidden_state(output, put.to(state.dtype).where(selected, groups).reshape(state.shape))

    return replace
