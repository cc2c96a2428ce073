"""A study's configuration: read from YAML, checked, and answered with every error and its place.

The sections themselves are in ``sections``. Kept light (pydantic and yaml), because the Snakefile reads it
before any job starts.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import FileError, InvalidValueError
from .sections import Section, Study

__all__ = ["Study", "load_study", "section_digest", "study_schema"]


def load_study(source: str | Path | dict[str, Any]) -> Study:
    """Return a checked study from a YAML file or a dictionary.

    Raises
    ------
    FileError
        If the file is missing or is not YAML.
    InvalidValueError
        If the configuration is wrong; the message lists every error with its path, and the nearest known
        key beside a misspelt one.

    Examples
    --------
    >>> load_study({"name": "mine", "title": "My study", "localizer": {}}).seed
    0
    """
    where = "the configuration" if isinstance(source, dict) else str(source)
    value = source if isinstance(source, dict) else _read_yaml(Path(source))
    if not isinstance(value, dict):
        raise InvalidValueError(f"{where} must be a mapping of keys to values; got {type(value).__name__}.")
    try:
        return Study.model_validate(value)
    except ValidationError as error:
        lines = [f"  {_say(item)}" for item in error.errors()]
        raise InvalidValueError(f"{where} has {len(lines)} error(s):\n" + "\n".join(lines)) from None


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_OneOfEach)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} could not be read: {getattr(error, 'strerror', None) or error}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise FileError(f"{path} is not YAML: {error}") from error


class _OneOfEach(yaml.SafeLoader):
    """YAML's safe loader, refusing a key that stands twice (YAML lets the last one win)."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _say(item: Any) -> str:
    place = ".".join(map(str, item["loc"])) or "(study)"
    if item["type"] == "extra_forbidden":
        known = _known(item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}."
        return f"{place}: unknown key; {hint}"
    if item["type"] == "missing":
        return f"{place}: is missing."
    got = "" if isinstance(item.get("input"), dict) else f"; got {item.get('input')!r}"
    return f"{place}: {item['msg'].removeprefix('Value error, ')}{got}."


def _known(path: tuple[Any, ...]) -> list[str]:
    """Return the keys of the section at a path."""
    section: type[BaseModel] = Study
    for key in path:
        field = section.model_fields.get(str(key))
        found = [] if field is None else [t for t in _types(field.annotation) if issubclass(t, BaseModel)]
        section = found[0] if found else section
    return sorted(section.model_fields)


def _types(annotation: Any) -> list[type]:
    """Return the classes that an annotation is made of."""
    parts = get_args(annotation)
    if parts:
        return [found for part in parts for found in _types(part)]
    return [annotation] if isinstance(annotation, type) else []


def section_digest(*sections: Section | str | int | None) -> str:
    """Return eight hex digits that change when one of the sections changes."""
    plain = [s.model_dump(mode="json") if isinstance(s, BaseModel) else s for s in sections]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]


def study_schema() -> dict[str, Any]:
    """Return the JSON schema of a study, for editors."""
    return Study.model_json_schema()
