"""What a report says of each figure: one entry a figure, and what stands where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import language, networks, rdms, responses, story
from .facts import Analysis, Facts

__all__ = ["ANALYSES", "Words", "words_for"]

ANALYSES: dict[int, Analysis] = {
    **language.ANALYSES,
    **story.ANALYSES,
    **rdms.ANALYSES,
    **responses.ANALYSES,
    **networks.ANALYSES,
}


class Words(NamedTuple):
    """What was asked, the main numbers, how they were made; None where it cannot be said."""

    question: str | None
    headline: str | None
    method: str | None
    missing: tuple[str, ...] = ()


def words_for(number: int, facts: Facts) -> Words:
    """Return what can be said of a figure from its own table, notes and parameters.

    Nothing is guessed: where a value that a sentence needs is not there (a table of another version, say),
    the sentence is left out and ``missing`` names what it lacked.
    """
    analysis = ANALYSES.get(number)
    if analysis is None:
        return Words(None, None, None)
    said: list[str | None] = []
    missing: list[str] = []
    for name in Analysis._fields:
        make: Callable[[Facts], str] = getattr(analysis, name)
        try:
            said.append(make(facts))
        except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
            said.append(None)
            missing.append(f"{name} ({error})")
    return Words(said[0], said[1], said[2], tuple(missing))
