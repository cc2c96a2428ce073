"""Words that captions share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["responses", "titled"]


def responses(about: Mapping[str, Any]) -> str:
    """Return whose responses a figure shows; simulated ones are said to be so, in capitals."""
    notes = about["notes"]
    data = "SIMULATED responses" if notes["simulated"] else f"responses: {notes['responses']}"
    return f"{data}; {notes['n_subjects']} listeners"


def titled(title: str, about: Mapping[str, Any]) -> str:
    """Return a figure's title, marked where the responses are simulated."""
    return f"{title} (simulated responses)" if about["notes"]["simulated"] else title
