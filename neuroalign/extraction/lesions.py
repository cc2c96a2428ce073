"""Units silenced while a block of code runs; the model is bit-identical afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import arrays
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..io import content_digest
from ..schema import check
from .models import LanguageModel
from .sites import SITES, site_of
from .structure import Tap, first_input, hidden_state, with_first_input, with_hidden_state

if TYPE_CHECKING:
    import torch

__all__ = ["lesion"]

MODES = ("zero", "mean", "resample")
TARGETS = ("state", "contribution")
LAYOUT = ("layer", "site", "index")


@contextmanager
def lesion(
    model: LanguageModel,
    mask: xr.DataArray | Sequence[xr.DataArray],
    *,
    mode: str = "zero",
    values: np.ndarray | xr.DataArray | None = None,
    target: str = "state",
    rng: np.random.Generator | None = None,
) -> Iterator[LanguageModel]:
    """Replace the masked units where their blocks give them out, inside a ``with`` block.

    The units are replaced at every token, for all that follows. Weights are never touched, and the hooks go
    when the block is left, also by an exception or an interrupt.

    Parameters
    ----------
    model : LanguageModel
    mask : DataArray (unit,) of bool, or a sequence of them
        As ``schema.make_mask`` makes it, at sites that ``extract`` reads. Several masks of one layout split
        the rows of every batch in that many consecutive groups of equal size, one mask each.
    mode : {"zero", "mean", "resample"}
        Replace by 0, by ``values``, or by the values of another stimulus: for every row of a batch and every
        forward pass one row of ``values`` is drawn, the same for all units, layers, tokens and masks, so that
        what varies together still does.
    values : array, optional
        For ``"mean"`` (n_units,): what each unit of the mask's layout is replaced by, such as its mean over a
        corpus. For ``"resample"`` (n_rows, n_units): the units' values at other stimuli.
    target : {"state", "contribution"}
        Replace the residual state itself, with all that earlier blocks put in it; or only what the block adds
        to it (its output minus its input), with ``values`` of that. Other sites than the block's output are
        contributions already and take ``"state"``.
    rng : numpy.random.Generator, optional
        Draws for ``"resample"``.

    Raises
    ------
    LabelError
        If the mask names layers or sites that the model lacks, or several masks differ in layout.
    InvalidValueError
        If an index is outside its layer, ``values`` are missing or not finite, or ``rng`` is missing.
    ShapeError
        While it is in force: if a batch's rows cannot be split in equal groups.

    Examples
    --------
    >>> with lesion(model, mask):  # doctest: +SKIP
    ...     hurt = extract(model, stimuli)
    """
    masks = [mask] if isinstance(mask, xr.DataArray) else list(mask)
    _check_masks(model, masks)
    _check_target(masks[0], target)
    replacement = _replacement(masks[0], mode, values)
    name = _digest(masks, mode, target, replacement, _checked_rng(mode, rng))
    drawn = _Drawn(len(replacement), rng)
    handles: list[Any] = []
    model.lesions.append(name)
    try:
        lesions = _by_site(model, masks, replacement)
        for (layer, site), (selected, put) in lesions.items():
            edit = _Edit(layer, selected, put, drawn, target == "contribution")
            handles.append(edit.hooked(model, site_of(model, layer, site).tap))
        if lesions and rng is not None:
            handles.append(model.module.register_forward_pre_hook(drawn.forget))
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
    unknown = [site for site in dict.fromkeys(first["site"].values.tolist()) if site not in SITES]
    if unknown:
        raise choice(unknown[0], SITES, name="mask: site")
    _check_index(model, first)


def _check_index(model: LanguageModel, mask: xr.DataArray) -> None:
    index, names, sites = (mask[name].values for name in ("index", "layer", "site"))
    places = list(zip(names.tolist(), sites.tolist(), strict=True))
    widths = {place: site_of(model, *place).width for place in dict.fromkeys(places)}
    width = np.array([widths[place] for place in places], dtype=np.int64)
    bad = np.flatnonzero((index < 0) | (index >= width))
    if bad.size:
        at = bad[0]
        raise InvalidValueError(
            f"mask: index must be 0 to {width[at] - 1} in layer {str(names[at])!r}; got {index[at]}."
        )
    if len(set(zip(places, index.tolist(), strict=True))) != index.size:
        raise LabelError("mask: some units (layer, site, index) are named twice.")


def _check_target(mask: xr.DataArray, target: str) -> None:
    if target not in TARGETS:
        raise choice(target, TARGETS, name="target")
    others = sorted(set(mask["site"].values.tolist()) - {"block"})
    if target == "contribution" and others:
        raise InvalidValueError(
            f"target='contribution' is for site 'block'; the mask has {listing(others)}, "
            "which take target='state'."
        )


def _checked_rng(mode: str, rng: np.random.Generator | None) -> Any:
    """Return the state of the generator, which decides what is drawn; None where nothing is."""
    if (mode == "resample") != isinstance(rng, np.random.Generator):
        raise InvalidValueError(
            f"mode='resample' needs rng, a numpy.random.Generator, and other modes none; got mode={mode!r}, "
            f"rng={rng!r}."
        )
    return None if rng is None else rng.bit_generator.state


def _replacement(mask: xr.DataArray, mode: str, values: np.ndarray | xr.DataArray | None) -> np.ndarray:
    if mode not in MODES:
        raise choice(mode, MODES, name="mode")
    if mode == "zero":
        if values is not None:
            raise InvalidValueError("values are for the modes 'mean' and 'resample'; mode='zero' takes none.")
        return np.zeros((1, mask.size))
    shape = "(n_units,)" if mode == "mean" else "(n_rows, n_units)"
    if values is None:
        raise InvalidValueError(f"mode={mode!r} needs values: what each unit is replaced by {shape}.")
    if isinstance(values, xr.DataArray) and any(
        name in values.coords and not np.array_equal(values[name].values, mask[name].values)
        for name in LAYOUT
    ):
        raise LabelError("values must have the mask's units (layer, site, index) in the same order.")
    found = arrays.as_float(values, name="values", ndim=1 if mode == "mean" else 2)
    if found.shape[-1:] != mask.shape or not found.size:
        raise ShapeError(
            f"values must have shape {shape}, n_units = {mask.size}, one a unit of the mask; "
            f"got {found.shape}."
        )
    return np.atleast_2d(found)


def _digest(
    masks: Sequence[xr.DataArray], mode: str, target: str, replacement: np.ndarray, draws: Any
) -> str:
    first = masks[0]
    content = xr.Dataset(
        {
            "selected": (("mask", "unit"), np.stack([mask.values for mask in masks])),
            "replacement": (("row", "unit"), replacement),
            **{name: ("unit", first[name].values) for name in LAYOUT},
        },
        attrs={"mode": mode, "target": target, "draws": draws},
    )
    return content_digest(content)


def _by_site(
    model: LanguageModel, masks: Sequence[xr.DataArray], replacement: np.ndarray
) -> dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor]]:
    """Return, for every place with a masked unit, booleans (mask, 1, 1, unit) and values (row, unit)."""
    import torch

    layer, site, index = (masks[0][name].values for name in LAYOUT)
    chosen = np.stack([mask.values for mask in masks])
    places = dict.fromkeys(zip(layer.tolist(), site.tolist(), strict=True))
    found = {}
    for place in places:
        inside = (layer == place[0]) & (site == place[1])
        if not chosen[:, inside].any():
            continue
        width = site_of(model, *place).width
        selected = np.zeros((len(masks), 1, 1, width), dtype=bool)
        selected[:, 0, 0, index[inside]] = chosen[:, inside]
        put = np.zeros((len(replacement), width))
        put[:, index[inside]] = replacement[:, inside]
        kind = arrays.torch_dtype(model.dtype)
        found[place] = (
            arrays.to_torch(selected, device=model.device, dtype=torch.bool),
            arrays.to_torch(put, device=model.device, dtype=kind),
        )
    return found


class _Drawn:
    """Which row of the values each row of a batch gets, drawn once in a forward pass."""

    def __init__(self, n_values: int, rng: np.random.Generator | None) -> None:
        self.n_values, self.rng = n_values, rng
        self.rows: np.ndarray | None = None

    def forget(self, *_: Any) -> None:
        """Begin a forward pass."""
        self.rows = None

    def of(self, n_rows: int) -> np.ndarray:
        """Return positions (n_rows,) in the values, or (1,) where all rows get the same."""
        if self.rng is None:
            return np.zeros(1, dtype=np.int64)
        if self.rows is None or self.rows.size != n_rows:
            self.rows = self.rng.integers(self.n_values, size=n_rows)
        return self.rows


@dataclass(frozen=True)
class _Edit:
    """Replaces units of one layer and site: booleans (mask, 1, 1, unit), values (row, unit)."""

    layer: str
    selected: torch.Tensor
    put: torch.Tensor
    drawn: _Drawn
    adds: bool

    def hooked(self, model: LanguageModel, tap: Tap) -> Any:
        """Register itself where the tap reads."""
        module = model.module.get_submodule(tap.module)
        if tap.is_input:
            return module.register_forward_pre_hook(self._input, with_kwargs=True)
        return module.register_forward_hook(self._output, with_kwargs=True)

    def _input(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        state = hidden_state(first_input(args, kwargs), self.layer)
        return with_first_input(args, kwargs, self._replaced(state, None))

    def _output(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        before = hidden_state(first_input(args, kwargs), self.layer) if self.adds else None
        return with_hidden_state(output, self._replaced(hidden_state(output, self.layer), before))

    def _replaced(self, state: torch.Tensor, before: torch.Tensor | None) -> torch.Tensor:
        """Return the state (rows, tokens, units) with the masked units replaced, or added to ``before``."""
        n_masks = self.selected.shape[0]
        if state.shape[0] % n_masks:
            raise ShapeError(f"{n_masks} masks are in force, but a batch has {state.shape[0]} rows.")
        groups = state.reshape(n_masks, -1, *state.shape[1:])
        put = self.put.to(state.dtype)[self.drawn.of(groups.shape[1])][:, None]
        if before is not None:
            put = before.reshape(groups.shape) + put
        return put.where(self.selected, groups).reshape(state.shape)
