"""What a report may say of a figure: made from its table, notes and parameters alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

__all__ = [
    "Analysis",
    "Facts",
    "comparators",
    "interval",
    "joined",
    "points",
    "power",
    "share",
    "signed",
    "spread",
]

COMPARATORS = {
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "cosine": "cosine similarity",
    "rho-a": "Spearman's rho-a",
    "tau-a": "Kendall's tau-a",
    "whitened-cosine": "whitened cosine similarity",
}


class Facts(NamedTuple):
    """A figure's values (a DataFrame), and the notes and parameters that its provenance holds."""

    table: Any
    notes: Mapping[str, Any]
    params: Mapping[str, Any]


class Analysis(NamedTuple):
    """What is said of a figure: what was asked, its main numbers, how they were made.

    ``[@key]`` in a method is a reference of ``citations.json``.
    """

    question: Callable[[Facts], str]
    headline: Callable[[Facts], str]
    method: Callable[[Facts], str]


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign; a missing one is said to be undefined.

    Examples
    --------
    >>> signed(-0.25, 2), signed(float("nan"))
    ('-0.25', 'undefined')
    """
    return "undefined" if pd.isna(value) else f"{value:+.{digits}f}"


def points(value: float, digits: int = 2) -> str:
    """Return a number to so many digits; a missing one is said to be undefined.

    Examples
    --------
    >>> points(0.126), points(float("nan"))
    ('0.13', 'undefined')
    """
    return "undefined" if pd.isna(value) else f"{value:.{digits}f}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """Return a 95 % interval in words; nothing where there is none.

    Examples
    --------
    >>> interval(0.1, 0.2, 1), interval(float("nan"), 0.2)
    (' (95 % interval +0.1 to +0.2)', '')
    """
    if pd.isna(low) or pd.isna(high):
        return ""
    return f" (95 % interval {low:+.{digits}f} to {high:+.{digits}f})"


def power(exponent: float) -> str:
    """Return a power of ten.

    Examples
    --------
    >>> power(7.0), power(-2), power(0.5)
    ('10⁷', '10⁻²', '10^0.5')
    """
    if exponent != int(exponent):
        return f"10^{exponent:g}"
    return "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def share(value: float) -> str:
    """Return a share as a percentage.

    Examples
    --------
    >>> share(0.00125), share(0.3317)
    ('0.125 %', '33 %')
    """
    return f"{100 * value:.0f} %" if value >= 0.1 or value == 0 else f"{100 * value:.3g} %"


def spread(values: pd.Series, digits: int = 3) -> str:
    """Return median and range.

    Examples
    --------
    >>> spread(pd.Series([0.1, 0.2, 0.4]), 1)
    '0.2 (0.1 to 0.4)'
    """
    return f"{values.median():.{digits}f} ({values.min():.{digits}f} to {values.max():.{digits}f})"


def comparators(*names: str) -> str:
    """Return comparators of RDMs in words.

    Examples
    --------
    >>> comparators("spearman", "cosine")
    'Spearman correlation and cosine similarity'
    """
    return joined(COMPARATORS.get(name, name) for name in names)


def joined(parts: Iterable[object]) -> str:
    """Return words with commas and a last "and".

    Examples
    --------
    >>> joined(["a", "b", "c"]), joined(["a"])
    ('a, b and c', 'a')
    """
    words = [str(part) for part in parts]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
