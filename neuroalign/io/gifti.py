"""GIfTI files, looked through before nibabel takes them: where they say that their values lie."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from xml.parsers.expat import ParserCreate

from ..errors import UnsafeError, listing

__all__ = ["check_gifti"]

MOST_DIMS = 6  # of the format


def check_gifti(path: Path) -> None:
    """Refuse a GIfTI file whose values lie outside its folder, or which states more dims than the format has.

    A GIfTI file may name another file that holds its values, and nibabel would read any that it names. Stands
    inside ``parsing``: what expat raises on damaged bytes is passed on. Files of other formats pass.

    Raises
    ------
    UnsafeError
        If a path leads out of the file's folder.
    """
    if ".gii" not in path.suffixes:
        return
    from nibabel.openers import ImageOpener

    parser = ParserCreate()
    parser.StartElementHandler = partial(_check, path)
    with ImageOpener(path) as file:
        parser.ParseFile(file)


def _check(path: Path, name: str, stated: dict[str, Any]) -> None:
    if name != "DataArray":
        return
    if int(stated.get("Dimensionality", 0)) > MOST_DIMS:
        raise ValueError(f"an array has {listing([stated['Dimensionality']])} dims; {MOST_DIMS} are the most")
    beside = stated.get("ExternalFileName")
    if beside and not (path.parent / beside).resolve().is_relative_to(path.parent.resolve()):
        raise UnsafeError(
            f"{path}: its values are said to lie in {listing([beside])}, which leads out of its folder."
        )
