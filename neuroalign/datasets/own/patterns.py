"""Files by pattern ("{subject}/run-{run}_bold.nii.gz"), none of them outside the folder that was named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...errors import FileError, InvalidValueError, UnsafeError, listing

__all__ = ["FIELDS", "check_pattern", "fields_of", "find_files", "in_order", "inside"]

FIELDS = ("subject", "session", "run")


def inside(path: Path, root: Path, *, also: Sequence[Path] = ()) -> Path:
    """Return ``path`` unchanged if, with links followed, it lies below ``root`` or one of ``also``.

    Raises
    ------
    UnsafeError
        If it does not; names where it leads.
    """
    real = path.resolve()
    if not any(real.is_relative_to(one.resolve()) for one in (root, *also)):
        raise UnsafeError(
            f"{path} leads out of {root}, to {real}. Name the folder that the files really stand in."
        )
    return path


def fields_of(pattern: str) -> list[str]:
    """Return the fields of a pattern, each once.

    >>> fields_of("{subject}/{subject}_run-{run}.nii.gz")
    ['subject', 'run']
    """
    return list(dict.fromkeys(re.findall(r"\{(\w*)\}", pattern)))


def check_pattern(pattern: str, *, name: str) -> None:
    """Refuse a pattern with unknown fields, or one that is absolute or climbs out of its folder."""
    odd = [field for field in fields_of(pattern) if field not in FIELDS]
    if odd or re.sub(r"\{\w*\}", "", pattern).count("{") or re.sub(r"\{\w*\}", "", pattern).count("}"):
        raise InvalidValueError(
            f"{name}: a pattern may name {', '.join('{' + field + '}' for field in FIELDS)}; got {pattern!r}."
        )
    pure = PurePosixPath(pattern)
    if pure.is_absolute() or ".." in pure.parts or "\0" in pattern:
        raise UnsafeError(
            f"{name}: {pattern!r} leaves its folder. Set root to the folder that holds the files."
        )


def find_files(
    root: Path, pattern: str, *, known: Mapping[str, str] | None = None, name: str = "pattern"
) -> dict[tuple[str, ...], Path]:
    """Return the files below ``root`` that a pattern matches, by the values of its fields.

    Parameters
    ----------
    root : path
    pattern : str
        Relative, with fields of ``FIELDS``; a field that comes twice must have one value.
    known : mapping of field to value, optional
        Fields whose value is given.
    name : str
        What errors call the pattern.

    Returns
    -------
    dict of tuple to path
        Keys hold the values of the fields that were not given, in the order of the pattern; numbers are in
        order of size.

    Raises
    ------
    FileError
        If ``root`` is missing, or nothing matches and every field is given; names the file.
    UnsafeError
        If the pattern or a link leads out of ``root``.
    """
    check_pattern(pattern, name=name)
    known = {field: value for field, value in (known or {}).items() if field in fields_of(pattern)}
    for field, value in known.items():
        if "/" in value or value in ("..", "."):
            raise UnsafeError(f"{name}: {field} {value!r} is no plain name.")
    filled = re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], match[0]), pattern)
    free = fields_of(filled)
    if not free:
        path = root / filled
        if not _is_there(path, name, folder=False):
            raise FileError(f"{name}: {path} does not exist.")
        return {(): inside(path, root)}
    if not _is_there(root, name, folder=True):
        raise FileError(f"{name}: the folder {root} does not exist.")
    expression = _expression(filled)
    found = {}
    try:
        paths = list(root.glob(re.sub(r"(\{\w+\})+", "*", re.sub(r"([\[\]*?])", r"[\1]", filled))))
    except OSError as error:
        raise FileError(f"{name}: {listing([filled])} cannot be searched: {error.strerror}.") from error
    for path in paths:
        match = re.fullmatch(expression, path.relative_to(root).as_posix())
        if match and path.is_file():
            found[tuple(match[field] for field in free)] = inside(path, root)
    return {key: found[key] for key in sorted(found, key=lambda key: tuple(map(in_order, key)))}


def _is_there(path: Path, name: str, *, folder: bool) -> bool:
    try:
        return path.is_dir() if folder else path.is_file()
    except (OSError, ValueError) as error:  # a name of more than 255 bytes, say
        why = getattr(error, "strerror", None) or error
        raise FileError(f"{name}: {listing([str(path)])} cannot be the path of a file: {why}.") from error


def in_order(label: str) -> tuple[int, int, str]:
    """Return what sorts labels with numbers by size, before the others: run 2 before run 10.

    >>> sorted(["10", "2", "rest", "01"], key=in_order)
    ['01', '2', '10', 'rest']
    """
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern; a field that comes again must match the same text."""
    seen: set[str] = set()
    parts = re.split(r"(\{\w+\})", pattern)
    for i, part in enumerate(parts):
        if re.fullmatch(r"\{\w+\}", part):
            field = part[1:-1]
            parts[i] = f"(?P={field})" if field in seen else f"(?P<{field}>[^/]+?)"
            seen.add(field)
        else:
            parts[i] = re.escape(part)
    return "".join(parts)
