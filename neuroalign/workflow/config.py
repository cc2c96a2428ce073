"""A study's configuration: read from YAML, checked, and answered with every error and its place.

The sections themselves are in ``sections``. Kept light (pydantic and yaml), because the Snakefile reads it
before any job starts.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..settings import check_settings, read_settings
from .sections import Section, Study

__all__ = ["Study", "load_study", "section_digest", "study_schema"]


def load_study(source: str | Path | dict[str, Any]) -> Study:
    """Return a checked study from a YAML file or a dictionary.

    Raises
    ------
    FileError
        If the file is missing or is not YAML.
    InvalidValueError
        If the configuration is wrong; the message lists every error with its line and key, and the nearest
        known key beside a misspelt one.

    Examples
    --------
    >>> load_study({"name": "mine", "title": "My study", "localizer": {}}).seed
    0
    """
    if isinstance(source, dict):
        return check_settings(source, Study, where="the configuration")
    return read_settings(source, Study)


def section_digest(*sections: Section | str | int | None) -> str:
    """Return eight hex digits that change when one of the sections changes."""
    plain = [s.model_dump(mode="json") if isinstance(s, BaseModel) else s for s in sections]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]


def study_schema() -> dict[str, Any]:
    """Return the JSON schema of a study, for editors."""
    return Study.model_json_schema()
