"""Where the sublayers of a block are read, found by watching what the block computes.

The attention's last map is the first linear map whose input at one token depends on another token; the MLP's
is the last linear map of the block. What a sublayer adds to the residual stream is the first output, from
that map on, that is the difference of two other states of the block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InvalidValueError, LabelError, choice, listing
from .structure import Stop, Tap, first_input, with_first_input

if TYPE_CHECKING:
    import torch

__all__ = ["SITES", "Site", "Sites", "find_sites", "site_of"]

SITES = ("block", "attn_out", "mlp_out", "mlp_act", "resid_pre")


@dataclass(frozen=True)
class Site:
    """A tap and its number of units."""

    tap: Tap
    width: int


@dataclass(frozen=True)
class Sites:
    """The sites of one block: those found, why others were not, and the modules in the order they ran."""

    found: dict[str, Site]
    missing: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()


def site_of(model: Any, layer: str, site: str) -> Site:
    """Return where a site of a layer is read.

    Raises
    ------
    InvalidValueError
        If there is no such site, or it is attention patterns.
    LabelError
        If the block's structure has no such site; lists its modules.
    """
    if site == "attention":
        raise InvalidValueError(
            "attention patterns (head, query, key) differ in size from stimulus to stimulus; "
            "use extraction.extract_attention."
        )
    if site not in SITES:
        raise choice(site, (*SITES, "attention"), name="site")
    if site == "block":
        return Site(Tap(layer), model.widths[layer])
    known = model.sites[layer]
    if site not in known.found:
        raise LabelError(
            f"site {site!r} was not found in {layer!r}: {known.missing[site]}. The block's modules, as they "
            f"run: {listing(known.modules, limit=40)}."
        )
    return known.found[site]


@dataclass(frozen=True)
class _Call:
    """What one module was given and gave out, (2, n_tokens, n_units), or None for what is no such state."""

    module: str
    given: torch.Tensor | None
    gave: torch.Tensor | None
    is_linear: bool


def find_sites(module: torch.nn.Module, blocks: Sequence[str], inputs: Mapping[str, Any]) -> dict[str, Sites]:
    """Return the sites of every block.

    The network reads one sequence twice; before every block the second copy is made equal to the first, but
    for its first token. So what differs at the last token comes from attention in that very block.

    Parameters
    ----------
    module : torch.nn.Module
    blocks : sequence of str
    inputs : mapping
        Arguments of ``forward``: two equal rows.
    """
    import torch

    calls: dict[str, list[_Call]] = {block: [] for block in blocks}
    given: dict[str, torch.Tensor] = {}
    handles: list[Any] = []
    try:
        for block in blocks:
            part = module.get_submodule(block)
            handles.append(part.register_forward_pre_hook(_disturb(block, given), with_kwargs=True))
            for name, child in part.named_modules(prefix=block):
                hook = _record(name, _is_linear(child), calls[block], is_last=name == blocks[-1])
                handles.append(child.register_forward_hook(hook, with_kwargs=True))
        with torch.inference_mode(), contextlib.suppress(Stop):
            module(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {block: _sites(block, given.get(block), calls[block]) for block in blocks}


def _disturb(block: str, given: dict[str, torch.Tensor]) -> Any:
    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        state = _state(first_input(args, kwargs))
        if state is None or block in given:
            return None
        state = state[:1].repeat(2, 1, 1)
        state[1, 0] = state[1, 0].roll(1)
        given[block] = state[:, -1].clone()
        return with_first_input(args, kwargs, state)

    return hook


def _record(name: str, is_linear: bool, calls: list[_Call], *, is_last: bool) -> Any:
    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        read, gave = _state(first_input(args, kwargs)), _state(output)
        calls.append(
            _Call(
                name,
                None if read is None else read[:, -1].clone(),
                None if gave is None else gave[:, -1].clone(),
                is_linear,
            )
        )
        if is_last:
            raise Stop

    return hook


def _state(value: Any) -> torch.Tensor | None:
    """Return the state (2, n_tokens, n_units) in what a module was given or gave out, if it is one."""
    import torch

    value = value[0] if isinstance(value, tuple | list) and value else value
    is_state = isinstance(value, torch.Tensor) and value.ndim == 3 and value.is_floating_point()
    return value if is_state and value.shape[0] == 2 else None


def _is_linear(module: torch.nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return getattr(weight, "ndim", 0) == 2 and next(module.children(), None) is None


def _sites(block: str, given: torch.Tensor | None, calls: Sequence[_Call]) -> Sites:
    names = tuple(call.module.removeprefix(f"{block}.") for call in calls if call.module != block)
    if given is None or not calls or calls[-1].gave is None:
        reason = "it was not run, or its input or output is no tensor (rows, tokens, units)"
        return Sites({}, dict.fromkeys(SITES[1:], reason), names)
    width = given.shape[-1]
    found, missing = {"resid_pre": Site(Tap(block, is_input=True), width)}, {}
    attention, mlp = _attention(calls), _mlp(calls, width)
    states = _residuals(given, calls)
    added = _added(calls, attention, mlp, states)
    for site, at in (("attn_out", attention), ("mlp_out", mlp)):
        if at is None:
            missing[site] = _NO_ATTENTION if site == "attn_out" else _NO_MLP
        elif site not in added:
            missing[site] = f"no output from {calls[at].module!r} on is what the residual stream gains"
        else:
            found[site] = Site(Tap(added[site]), width)
    last = None if mlp is None else calls[mlp].given
    if mlp is not None and last is not None and "mlp_out" in found:
        found["mlp_act"] = Site(Tap(calls[mlp].module, is_input=True), last.shape[-1])
    else:
        missing["mlp_act"] = missing.get("mlp_out", _NO_MLP)
    return Sites(found, missing, names)


_NO_ATTENTION = "no linear map reads a state in which tokens are mixed"
_NO_MLP = "no linear map after the attention gives a state as wide as the block's"


def _attention(calls: Sequence[_Call]) -> int | None:
    """Return the first linear map whose input at the last token depends on the first token."""
    for at, call in enumerate(calls):
        if call.is_linear and call.given is not None and _differ(*call.given):
            return at
    return None


def _differ(first: torch.Tensor, second: torch.Tensor) -> bool:
    import torch

    bound = 16 * torch.finfo(first.dtype).eps * first.abs().max().item()
    return (first - second).abs().max().item() > bound


def _mlp(calls: Sequence[_Call], width: int) -> int | None:
    """Return the last linear map, if it stands after the attention's and is as wide as the block."""
    linear = [at for at, call in enumerate(calls) if call.is_linear]
    if not linear or linear[-1] == _attention(calls):
        return None
    gave = calls[linear[-1]].gave
    return linear[-1] if gave is not None and gave.shape[-1] == width else None


def _residuals(given: torch.Tensor, calls: Sequence[_Call]) -> torch.Tensor:
    """Return all states of the block's width at the last token (n_states, n_units), each once, float64."""
    import torch

    states = [given, *(state for call in calls for state in (call.given, call.gave) if state is not None)]
    alike = [state[0] for state in states if state.shape == given.shape]
    return torch.unique(torch.stack(alike).double().cpu(), dim=0)


def _added(
    calls: Sequence[_Call], attention: int | None, mlp: int | None, states: torch.Tensor
) -> dict[str, str]:
    """Return the modules whose outputs are added to the residual stream, one by one or both at once."""
    found = {}
    sublayers = {"attn_out": (attention, mlp), "mlp_out": (mlp, None)}
    for site, (start, stop) in sublayers.items():
        for call in calls[start:stop] if start is not None else ():
            if call.gave is not None and _is_gain(call.gave[0], states):
                found[site] = call.module
                break
    if attention is not None and mlp is not None and not found:
        first, second = calls[attention].gave, calls[mlp].gave
        if first is not None and second is not None and _is_gain(first[0] + second[0], states):
            return {"attn_out": calls[attention].module, "mlp_out": calls[mlp].module}
    return found


def _is_gain(gain: torch.Tensor, states: torch.Tensor) -> bool:
    """Return whether a gain (n_units,) is the difference of two states, up to rounding."""
    import torch

    if gain.shape != states.shape[1:]:
        return False
    eps, gain = torch.finfo(gain.dtype).eps, gain.double().cpu()
    before, after = states[:, None], states[None]
    bound = 4 * eps * (before.abs() + after.abs() + gain.abs())
    return bool(((after - before - gain).abs() <= bound).all(-1).any())
