"""YAML files that people write: read strictly, checked by a pydantic model, answered with line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin

import yaml

from .errors import FileError, InvalidValueError, listing

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["check_settings", "read_settings"]

MOST_VALUES = 100_000

Model = TypeVar("Model", bound="BaseModel")


def read_settings(path: str | Path, model: type[Model]) -> Model:
    """Return the checked content of a YAML file.

    A key that stands twice is refused (YAML lets the last one win), and a number such as 01 stays text (YAML
    reads it as octal).

    Parameters
    ----------
    path : path
    model : subclass of pydantic.BaseModel
        That forbids unknown keys.

    Raises
    ------
    FileError
        If the file is missing or is not YAML.
    InvalidValueError
        If it is wrong; the message lists every error with its line and key, and the nearest known key beside
        a misspelt one.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=_Strict)
        _refuse_bombs(tree)
        value = yaml.load(text, Loader=_Strict)  # noqa: S506 - safe
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} could not be read: {getattr(error, 'strerror', None) or error}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise FileError(f"{path} is not YAML: {error}") from error
    return check_settings(value, model, where=str(path), tree=tree)


def check_settings(value: Any, model: type[Model], *, where: str, tree: Any = None) -> Model:
    """Return the checked value; ``tree`` is its YAML node, which knows lines. Raises as ``read_settings``."""
    from pydantic import ValidationError

    if not isinstance(value, dict):
        raise InvalidValueError(f"{where} must be a mapping of keys to values; got {type(value).__name__}.")
    empty = {} if tree is None else dict(_empty_sections(tree, model))
    errors: list[Any] = []
    try:
        found = model.model_validate(value)
    except ValidationError as error:
        errors = error.errors()
    lines = [_said(item, model, tree) for item in errors]
    lines += [said for loc, said in empty.items() if loc not in {item["loc"] for item in errors}]
    if lines:
        raise InvalidValueError("\n  ".join([f"{where} has {len(lines)} error(s):", *lines]))
    return found


def _refuse_bombs(tree: Any) -> None:
    """Refuse aliases that refer to themselves, or that unfold a short file to millions of values."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = 0  # until it is known
            parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
            sizes[id(node)] = 1 + sum(map(size, parts))
        elif sizes[id(node)] == 0:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: an alias refers to itself")
        return sizes[id(node)]

    if tree is not None and size(tree) > MOST_VALUES:
        raise yaml.YAMLError(f"its aliases unfold to {size(tree):,} values; {MOST_VALUES:,} are read at most")


class _Strict(yaml.SafeLoader):
    """YAML's safe loader, without its surprises."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        seen: set[str] = set()
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if key.value in seen or seen.add(key.value)), None)  # type: ignore[func-returns-value]
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice.value!r} stands twice", twice.start_mark
            )
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # such as 0b_ (an int without digits), 2001-99-99 (no date), !!bool perhaps
            shown = node.value if isinstance(node, yaml.ScalarNode) else node.tag
            raise yaml.constructor.ConstructorError(
                None, None, f"{listing([shown])} cannot be read: {error}", node.start_mark
            ) from error

    def construct_yaml_int(self, node: Any) -> Any:
        return node.value if re.fullmatch(r"0\d+", node.value) else super().construct_yaml_int(node)


_Strict.add_constructor("tag:yaml.org,2002:int", _Strict.construct_yaml_int)


def _said(item: Any, model: type[BaseModel], tree: Any) -> str:
    key = ".".join(map(str, item["loc"]))
    words = item["msg"].removeprefix("Value error, ")
    if not key:
        return f"{words}."
    place = key if tree is None else f"line {_line(tree, item['loc'])}, {key}"
    if item["type"] == "extra_forbidden":
        known = _known(item["loc"][:-1], model)
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}."
        return f"{place}: unknown key; {hint}"
    if item["type"] == "missing":
        return f"{key}: is missing."
    if item["type"] in ("model_type", "model_attributes_type") and (known := _known(item["loc"], model)):
        return f"{place}: needs keys below it ({', '.join(known)}); got {listing([item.get('input')])}."
    got = "" if isinstance(item.get("input"), dict) else f"; got {listing([item.get('input')])}"
    return f"{place}: {words}{got}."


def _empty_sections(
    node: Any, model: type[BaseModel], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the places of sections without anything below them, and what to do.

    YAML reads "lesions:" as null, which is no section at all: who writes it most likely wants its defaults.
    """
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        field = model.model_fields.get(str(key.value))
        below = None if field is None or _is_of_many(field.annotation) else _section(model, str(key.value))
        here = (*path, str(key.value))
        if below is not None and isinstance(value, yaml.ScalarNode) and value.value == "":
            line = f"line {key.start_mark.line + 1}, {'.'.join(here)}"
            yield here, f"{line}: is empty; write '{key.value}: {{}}' for its defaults, or take the line out."
        elif below is not None:
            yield from _empty_sections(value, below, here)


def _is_of_many(annotation: Any) -> bool:
    """Whether a key holds a list or a mapping of things by name, not one of them ("Part", "Part | None")."""
    union = get_origin(annotation) in (Union, UnionType)
    return any(get_origin(part) is not None for part in (get_args(annotation) if union else [annotation]))


def _line(node: Any, loc: tuple[Any, ...]) -> int:
    """Return the line of the deepest key on the way to ``loc`` that the file has."""
    line = node.start_mark.line
    for key in loc:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(key)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            found = [(node.value[key], node.value[key])]
        else:
            found = []
        if not found:
            break
        line, node = found[0][0].start_mark.line, found[0][1]
    return int(line) + 1


def _known(path: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    """Return the keys of the part of the model at a path."""
    for key in path:
        model = _section(model, str(key)) or model
    return sorted(model.model_fields)


def _section(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the model of the section that a key holds, None where it holds a value."""
    from pydantic import BaseModel

    field = model.model_fields.get(key)
    found = [] if field is None else [t for t in _types(field.annotation) if issubclass(t, BaseModel)]
    return found[0] if found else None


def _types(annotation: Any) -> list[type]:
    """Return the classes that an annotation is made of."""
    parts = get_args(annotation)
    if parts:
        return [found for part in parts for found in _types(part)]
    return [annotation] if isinstance(annotation, type) else []
