"""Predictions of test suites, such as ``(5;%a%) < (5;%b%)``: a small parser, and signed margins."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidValueError

__all__ = ["Formula", "parse_formula"]

TOKEN = re.compile(
    r"(?:\(\s*(?P<region>\d+|\*)\s*;\s*%(?P<condition>[^%]+)%\s*\)|(?P<number>\d+(?:\.\d+)?)|"
    r"(?P<sign>[-+<>=&|()\[\]]))"
)
CLOSING = {"(": ")", "[": "]"}
MAX_DEPTH = 50

# What a region's surprisals are looked up by: (region number or "*", condition) -> array (..., n_items).
Lookup = Callable[[str, str], np.ndarray]


@dataclass(frozen=True)
class Formula:
    """A parsed prediction.

    Attributes
    ----------
    text : str
    regions : tuple of (str, str)
        Region numbers (``"*"``: the whole sentence) and conditions that it speaks of, in order.
    tree : tuple
        Nested operations; ``margin`` evaluates it.
    """

    text: str
    regions: tuple[tuple[str, str], ...]
    tree: tuple

    def margin(self, lookup: Lookup, *, tolerance: float = 0.0) -> np.ndarray:
        """Return by how much the prediction holds: above 0 where it is true, (..., n_items).

        ``a < b`` has the margin b - a and ``a > b`` a - b; "and" is the smaller margin of its parts, "or" the
        larger. ``a = b`` has ``tolerance`` - ``|a - b|``, so that equality holds nowhere at tolerance 0.
        """
        return _evaluate(self.tree, lookup, tolerance)


def parse_formula(text: str) -> Formula:
    """Return a prediction formula, parsed.

    Comparisons (``<``, ``>``, ``=``), sums and differences, ``&`` and ``|``, brackets, numbers, and regions
    ``(5;%condition%)`` or ``(*;%condition%)``. Nothing is ever executed.

    Raises
    ------
    InvalidValueError
        If it is not such a formula, compares truths, or joins numbers by ``&`` or ``|``; says where.

    References
    ----------
    Gauthier, Hu, Wilcox, Qian & Levy (2020), SyntaxGym, ACL demos.

    Examples
    --------
    >>> formula = parse_formula("((2;%a%) + (3;%a%)) < (2;%b%)")
    >>> formula.regions
    (('2', 'a'), ('3', 'a'), ('2', 'b'))
    >>> float(formula.margin(lambda region, condition: {"a": 1.0, "b": 5.0}[condition]))
    3.0
    """
    parser = _Parser(text)
    tree = parser.disjunction(0)
    if parser.at < len(parser.tokens):
        raise parser.error("the end")
    if tree[0] not in ("<", ">", "=", "&", "|"):
        raise InvalidValueError(f"formula {text!r} is a number, not a prediction.")
    regions = tuple(value for kind, value, _ in parser.tokens if kind == "region")
    return Formula(text, tuple(dict.fromkeys(regions)), tree)


class _Parser:
    """Recursive descent: or, and, comparison, sum, term; each level calls the next."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.tokens = text, 0, list[tuple[str, Any, int]]()
        position, end = 0, len(text.rstrip())
        while position < end:
            position += len(text[position:]) - len(text[position:].lstrip())
            match = TOKEN.match(text, position)
            if match is None:
                raise InvalidValueError(f"formula {text!r}: cannot read {text[position:][:20].rstrip()!r}.")
            if match["region"]:
                self.tokens.append(("region", (match["region"], match["condition"]), position))
            elif match["number"]:
                self.tokens.append(("number", float(match["number"]), position))
            else:
                self.tokens.append((match["sign"], None, position))
            position = match.end()

    def next_is(self, *kinds: str) -> str | None:
        kind = self.tokens[self.at][0] if self.at < len(self.tokens) else None
        if kind not in kinds:
            return None
        self.at += 1
        return kind

    def error(self, wanted: str) -> InvalidValueError:
        position = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)
        found = self.text[position:].strip()[:20] or "the end"
        return InvalidValueError(
            f"formula {self.text!r}: expected {wanted} at character {position}, got {found!r}."
        )

    def disjunction(self, depth: int) -> tuple:
        return self._joined("|", self.conjunction, depth)

    def conjunction(self, depth: int) -> tuple:
        return self._joined("&", self.comparison, depth)

    def _joined(self, sign: str, part: Callable[[int], tuple], depth: int) -> tuple:
        tree = part(depth)
        while self.next_is(sign):
            tree = (sign, self._of_kind(tree, truth=True), self._of_kind(part(depth), truth=True))
        return tree

    def comparison(self, depth: int) -> tuple:
        tree = self.sum(depth)
        sign = self.next_is("<", ">", "=")
        if sign is None:
            return tree
        return (sign, self._of_kind(tree, truth=False), self._of_kind(self.sum(depth), truth=False))

    def sum(self, depth: int) -> tuple:
        tree = self.term(depth)
        while sign := self.next_is("+", "-"):
            tree = (sign, self._of_kind(tree, truth=False), self._of_kind(self.term(depth), truth=False))
        return tree

    def term(self, depth: int) -> tuple:
        if depth > MAX_DEPTH:
            raise InvalidValueError(
                f"formula {self.text[:40]!r}... has more than {MAX_DEPTH} nested brackets."
            )
        if self.next_is("-"):
            return ("-", ("number", 0.0), self._of_kind(self.term(depth + 1), truth=False))
        if kind := self.next_is("region", "number"):
            return (kind, self.tokens[self.at - 1][1])
        opening = self.next_is("(", "[")
        if opening is None:
            raise self.error("a region, a number or a bracket")
        tree = self.disjunction(depth + 1)
        if not self.next_is(CLOSING[opening]):
            raise self.error(repr(CLOSING[opening]))
        return tree

    def _of_kind(self, tree: tuple, *, truth: bool) -> tuple:
        if (tree[0] in ("<", ">", "=", "&", "|")) != truth:
            wanted, got = ("a comparison", "a number") if truth else ("a number", "a comparison")
            raise InvalidValueError(f"formula {self.text!r}: an operator needs {wanted}, but has {got}.")
        return tree


def _evaluate(tree: tuple, lookup: Lookup, tolerance: float) -> np.ndarray:
    kind = tree[0]
    if kind == "number":
        return np.asarray(tree[1])
    if kind == "region":
        return np.asarray(lookup(*tree[1]))
    a, b = (_evaluate(part, lookup, tolerance) for part in tree[1:])
    operations: dict[str, Callable[[], np.ndarray]] = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "<": lambda: b - a,
        ">": lambda: a - b,
        "=": lambda: tolerance - np.abs(a - b),
        "&": lambda: np.minimum(a, b),
        "|": lambda: np.maximum(a, b),
    }
    return operations[kind]()
