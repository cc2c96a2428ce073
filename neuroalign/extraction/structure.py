"""Where a network's blocks are, found by structure and not by a table of model names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import LabelError, NeuroalignError, choice, listing

if TYPE_CHECKING:
    import torch

__all__ = [
    "STACKS",
    "Stop",
    "Tap",
    "block_names",
    "captured",
    "first_input",
    "hidden_state",
    "layers",
    "resolve_layers",
    "with_first_input",
    "with_hidden_state",
]

STACKS = ("encoder", "decoder")


def layers(model: Any) -> list[str]:
    """Return the names of a network's blocks, from first to last.

    The blocks are the longest list of modules of one class that stands in no other list, at any depth, such
    as ``"model.layers.0"`` or ``"transformer.h.0"`` or ``"encoder.layer.0"``. Of an encoder-decoder (modules
    ``encoder`` and ``decoder`` side by side, with a list each) they are the encoder's, unless the model was
    wrapped or loaded with ``stack="decoder"``.

    Parameters
    ----------
    model : LanguageModel or torch.nn.Module

    Raises
    ------
    LabelError
        If there is no such list, or two of one length; names the candidates.

    Examples
    --------
    >>> import torch
    >>> layers(torch.nn.ModuleDict({"h": torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(3)])}))
    ['h.0', 'h.1', 'h.2']
    """
    widths = getattr(model, "widths", None)
    return list(widths) if isinstance(widths, Mapping) else block_names(model)


def block_names(module: torch.nn.Module, stack: str | None = None) -> list[str]:
    """Return the names of the blocks of a bare module; of an encoder-decoder those of the stack asked for."""
    if stack is not None and stack not in STACKS:
        raise choice(stack, STACKS, name="stack")
    lists = _lists_of_blocks(module)
    if not lists:
        raise LabelError(
            f"{type(module).__name__} has no list of blocks: no torch.nn.ModuleList of one class."
        )
    lists = _of_stack(module, lists, stack)
    longest = max(lists.values())
    found = [name for name, length in lists.items() if length == longest]
    if len(found) > 1:
        raise LabelError(
            f"{type(module).__name__} has {len(found)} lists of {longest} blocks: {listing(found)}. "
            "Wrap the part you mean."
        )
    return [f"{found[0]}.{i}".lstrip(".") for i in range(longest)]


def _lists_of_blocks(module: torch.nn.Module) -> dict[str, int]:
    """Return the lists of modules of one class that stand in no other such list, and their lengths."""
    import torch

    lists: dict[str, int] = {}
    for name, child in module.named_modules():
        inside = any(name == outer or name.startswith(f"{outer}.") for outer in lists)
        if isinstance(child, torch.nn.ModuleList) and not inside and len(child) and _one_class(child):
            lists[name] = len(child)
    return lists


def _of_stack(module: torch.nn.Module, lists: dict[str, int], stack: str | None) -> dict[str, int]:
    """Return the lists of one stack where there are two side by side, else all of them."""
    both = {part: {name: n for name, n in lists.items() if f".{part}." in f".{name}"} for part in STACKS}
    if all(both.values()):
        return both[stack or "encoder"]
    if stack is not None:
        raise LabelError(
            f"{type(module).__name__} has no encoder beside a decoder, so stack must be None; got {stack!r}. "
            f"Its lists of blocks: {listing(lists)}."
        )
    return lists


def _one_class(children: Iterable[Any]) -> bool:
    return len({type(child) for child in children}) == 1


def resolve_layers(model: Any, wanted: Any = None) -> list[str]:
    """Return the names of the layers that were asked for, from first to last.

    Parameters
    ----------
    model : LanguageModel or torch.nn.Module
    wanted : None, "all", int, str, or a sequence of int and str
        Indices may be negative; None and ``"all"`` are all blocks.

    Raises
    ------
    LabelError
        If the model lacks one of them; lists what it has.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.ModuleDict({"h": torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(3)])})
    >>> resolve_layers(model, [-1, "h.0"])
    ['h.0', 'h.2']
    """
    names = layers(model)
    if wanted is None or (isinstance(wanted, str) and wanted == "all"):
        return names
    items = list(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else None
    if items is None:
        items = [wanted] if isinstance(wanted, str) or not hasattr(wanted, "__iter__") else list(wanted)
    if not items:
        raise LabelError("no layer was asked for; pass None for all of them.")
    found = {_resolve(item, names) for item in items}
    return [name for name in names if name in found]


def _resolve(item: Any, names: list[str]) -> str:
    if isinstance(item, str) and item in names:
        return item
    is_index = hasattr(item, "__index__") and not isinstance(item, bool)
    if is_index and -len(names) <= int(item) < len(names):
        return names[int(item)]
    raise LabelError(
        f"the model has no layer {item!r}; it has {len(names)}: {listing(names, limit=40)}, "
        f"or by index 0 to {len(names) - 1}."
    )


def hidden_state(output: Any, layer: str) -> torch.Tensor:
    """Return the hidden state (n_rows, n_tokens, n_units) in a block's output, a tensor or a tuple."""
    import torch

    state = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(state, torch.Tensor) or state.ndim != 3:
        raise NeuroalignError(
            f"{layer!r} must give a tensor (rows, tokens, units) or a tuple that begins with one; "
            f"got {type(output).__name__}."
        )
    return state


def with_hidden_state(output: Any, state: torch.Tensor) -> Any:
    """Return a block's output with another hidden state in it."""
    if isinstance(output, tuple | list):
        return type(output)([state, *output[1:]])
    return state


@dataclass(frozen=True)
class Tap:
    """Where a state is read: what a module gives out, or what it is given."""

    module: str
    is_input: bool = False


class Stop(Exception):  # noqa: N818 - no error
    """Ends a forward pass in which all that was asked for has been read."""


def first_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return what a module is given first: its first positional argument, or its hidden states."""
    return args[0] if args else kwargs.get("hidden_states")


def with_first_input(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], state: torch.Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a module's arguments with another first input."""
    return ((state, *args[1:]), dict(kwargs)) if args else (args, {**kwargs, "hidden_states": state})


@contextmanager
def captured(
    module: torch.nn.Module,
    taps: Mapping[str, Tap | Sequence[Tap]],
    reduce: Callable[[Any, str], torch.Tensor | None],
) -> Iterator[Callable[..., dict[str, torch.Tensor]]]:
    """Give a function that runs the module and returns what ``reduce`` makes of what each tap reads.

    A name with several taps takes the first of which ``reduce(value, name)`` makes something. The run ends
    when every name has its value, so deeper blocks and the output layer cost nothing. The hooks are removed
    however the block is left.
    """
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, value: Any) -> None:
        state = None if name in found else reduce(value, name)
        if state is None:
            return
        found[name] = state
        if len(found) == len(taps):
            raise Stop

    def run(*args: Any, **inputs: Any) -> dict[str, torch.Tensor]:
        found.clear()
        with contextlib.suppress(Stop):
            module(*args, **inputs)
        missing = [name for name in taps if name not in found]
        if missing:
            raise NeuroalignError(f"the model was run, but of {listing(missing)} nothing could be read.")
        return {name: found[name] for name in taps}

    handles: list[Any] = []
    try:
        for name, where in taps.items():
            for tap in [where] if isinstance(where, Tap) else where:
                handles.append(_hooked(module.get_submodule(tap.module), tap, name, keep))
        yield run
    finally:
        for handle in handles:
            handle.remove()


def _hooked(module: torch.nn.Module, tap: Tap, name: str, keep: Callable[[str, Any], None]) -> Any:
    if tap.is_input:
        return module.register_forward_pre_hook(
            lambda _module, args, kwargs: keep(name, first_input(args, kwargs)), with_kwargs=True
        )
    return module.register_forward_hook(lambda _module, _args, output: keep(name, output))
