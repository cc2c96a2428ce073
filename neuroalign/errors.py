"""The errors of the package: one parent, five children, one way of listing names."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "FileError",
    "InvalidValueError",
    "LabelError",
    "NeuroalignError",
    "ShapeError",
    "UnsafeError",
    "choice",
    "listing",
]

LONGEST = 200


class NeuroalignError(Exception):
    """A mistake in input, said in terms of what was expected, what came, where, and a way out."""


class LabelError(NeuroalignError, LookupError):
    """Labels are missing, duplicated, of another type, or of the wrong name."""


class ShapeError(NeuroalignError, ValueError):
    """Dimensions or sizes are not those that were expected."""


class InvalidValueError(NeuroalignError, ValueError):
    """A value is outside what is allowed (NaN, infinite, negative, an unknown choice)."""


class FileError(NeuroalignError, OSError):
    """A file is missing, damaged, cut short, or not what its digest says."""


class UnsafeError(NeuroalignError, PermissionError):
    """An input asks for something that is never done: remote code, pickles, paths outside the root."""


def listing(names: Iterable[object], *, limit: int = 5) -> str:
    """Return names quoted and joined by commas, at most ``limit`` of them and a count of the rest.

    >>> listing(["s1", "s2", "s3"], limit=2)
    "'s1', 's2' and 1 more"
    """
    items = [_short(getattr(name, "item", lambda name=name: name)()) for name in names]
    shown = ", ".join(items[:limit])
    rest = len(items) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown


def choice(value: object, allowed: Iterable[object], *, name: str) -> InvalidValueError:
    """Return the error for a value that is none of the allowed ones.

    >>> str(choice("cosin", ["cosine", "pearson"], name="method"))
    "method must be one of 'cosine', 'pearson'; got 'cosin'."
    """
    return InvalidValueError(f"{name} must be one of {listing(allowed, limit=50)}; got {_short(value)}.")


def _short(value: object) -> str:
    """Return a value as it is written, cut where a damaged file made it a page long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"
