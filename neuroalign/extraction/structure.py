"""Where a network's blocks are, found by structure and not by a table of model names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import LabelError, NeuroalignError, listing

if TYPE_CHECKING:
    import torch

__all__ = ["block_names", "captured", "hidden_state", "layers", "resolve_layers", "with_hidden_state"]


def layers(model: Any) -> list[str]:
    """Return the names of a network's blocks, from first to last.

    The blocks are the longest list of modules of one class that stands in no other list, at any depth, such
    as ``"model.layers.0"`` or ``"transformer.h.0"`` or ``"encoder.layer.0"``.

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


def block_names(module: torch.nn.Module) -> list[str]:
    """Return the names of the blocks of a bare module."""
    import torch

    lists: dict[str, torch.nn.ModuleList] = {}
    for name, child in module.named_modules():
        inside = any(name == outer or name.startswith(f"{outer}.") for outer in lists)
        if isinstance(child, torch.nn.ModuleList) and not inside and len(child) and _one_class(child):
            lists[name] = child
    if not lists:
        raise LabelError(
            f"{type(module).__name__} has no list of blocks: no torch.nn.ModuleList of one class."
        )
    longest = max(len(child) for child in lists.values())
    found = [name for name, child in lists.items() if len(child) == longest]
    if len(found) > 1:
        raise LabelError(
            f"{type(module).__name__} has {len(found)} lists of {longest} blocks: {listing(found)}. "
            "Wrap the part you mean."
        )
    return [f"{found[0]}.{i}".lstrip(".") for i in range(longest)]


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
            f"block {layer!r} must return a tensor (rows, tokens, units) or a tuple that begins with one; "
            f"got {type(output).__name__}."
        )
    return state


def with_hidden_state(output: Any, state: torch.Tensor) -> Any:
    """Return a block's output with another hidden state in it."""
    if isinstance(output, tuple | list):
        return type(output)([state, *output[1:]])
    return state


class _Stop(Exception):  # noqa: N818 - no error: it says that the deepest layer has been read
    pass


@contextmanager
def captured(
    module: torch.nn.Module, names: Sequence[str], reduce: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[Callable[..., dict[str, torch.Tensor]]]:
    """Give a function that runs the module and returns what ``reduce`` makes of each block's output.

    The run ends after the last of ``names`` (which stand in order), so deeper blocks and the output layer
    cost nothing. The hooks are removed however the block is left.
    """
    found: dict[str, torch.Tensor] = {}

    def reader(name: str) -> Callable[[Any, Any, Any], None]:
        def read(_module: Any, _inputs: Any, output: Any) -> None:
            found[name] = reduce(hidden_state(output, name))
            if name == names[-1]:
                raise _Stop

        return read

    def run(**inputs: Any) -> dict[str, torch.Tensor]:
        found.clear()
        try:
            module(**inputs)
        except _Stop:
            return dict(found)
        missing = [name for name in names if name not in found]
        raise NeuroalignError(f"the model was run, but the blocks {listing(missing)} were not.")

    handles: list[Any] = []
    try:
        for name in names:
            handles.append(module.get_submodule(name).register_forward_hook(reader(name)))
        yield run
    finally:
        for handle in handles:
            handle.remove()
