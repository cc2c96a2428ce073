"""References of the methods: marks in a text, an entry for reading, BibTeX to download.

``citations.json`` holds what the docstrings of the package cite, with full names and titles, and no DOIs,
which they do not give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["Piece", "bibtex", "citations", "cited", "label", "pieces", "reference"]

FILE = Path(__file__).with_name("citations.json")
MARK = re.compile(r"\[(@[a-z0-9_]+(?:; @[a-z0-9_]+)*)\]")
SPECIAL = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "$": r"\$"}


class Piece(NamedTuple):
    """A stretch of text, or a reference in it (then ``text`` is how it is named)."""

    text: str
    key: str | None = None


@cache
def citations() -> dict[str, dict[str, str]]:
    """Return every entry by its key."""
    found: dict[str, dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def pieces(text: str) -> list[Piece]:
    """Return a text with marks such as ``[@welch1947]`` as pieces; a key that is unknown stays text.

    Examples
    --------
    >>> [piece.text for piece in pieces("By t [@welch1947].")]
    ['By t ', '(', 'Welch 1947', ')', '.']
    """
    found: list[Piece] = []
    end = 0
    for mark in MARK.finditer(text):
        keys = [key.strip().removeprefix("@") for key in mark[1].split(";")]
        if not set(keys) <= citations().keys():
            continue
        found.append(Piece(text[end : mark.start()]))
        for i, key in enumerate(keys):
            found += [Piece("; " if i else "("), Piece(label(key), key)]
        found.append(Piece(")"))
        end = mark.end()
    return [piece for piece in [*found, Piece(text[end:])] if piece.text]


def cited(texts: Iterable[str]) -> list[str]:
    """Return the keys that texts refer to, by first author and year."""
    keys = {piece.key for text in texts for piece in pieces(text) if piece.key}
    return sorted(keys, key=lambda key: (label(key), key))


def label(key: str) -> str:
    """Return authors and year as a text names them.

    Examples
    --------
    >>> label("nichols2002"), label("nili2014")
    ('Nichols & Holmes 2002', 'Nili et al. 2014')
    """
    entry = citations()[key]
    names = [name.split(",")[0] for name in entry["author"].split(" and ")]
    who = (
        names[0]
        if len(names) == 1
        else f"{names[0]} & {names[1]}"
        if len(names) == 2
        else f"{names[0]} et al."
    )
    return " ".join(part for part in (who, entry.get("year", "")) if part)


def reference(key: str) -> str:
    """Return an entry as a line of a list of references.

    Examples
    --------
    >>> reference("efron1979")
    'Efron, B. (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7:1.'
    """
    entry = citations()[key]
    year = f" ({entry['year']})." if "year" in entry else "."
    place = entry.get("journal") or entry.get("booktitle", "")
    where = ":".join(part for part in (entry.get("volume", ""), entry.get("pages", "")) if part)
    if "eprint" in entry:
        place = f"{entry['archivePrefix']}:{entry['eprint']}"
    last = " ".join(part for part in (place, where) if part)
    authors = _authors(entry["author"]).rstrip(".")
    return (
        f"{authors}.{year}".replace(".(", ". (").replace("..", ".")
        + f" {entry['title']}."
        + (f" {last}." if last else "")
    )


def _authors(names: str) -> str:
    said = []
    for name in names.split(" and "):
        family, _, given = name.partition(", ")
        initials = " ".join(f"{part[0]}." for part in re.split(r"[ -]", given) if part)
        said.append(f"{family}, {initials}".rstrip(", "))
    return ", ".join(said[:-1]) + " & " + said[-1] if len(said) > 1 else said[0]


def bibtex(keys: Iterable[str], *, version: str, data: Iterable[str] = ()) -> str:
    r"""Return BibTeX of the package, of entries, and of what data sets ask to be cited with (as notes).

    Examples
    --------
    >>> print(bibtex(["efron1979"], version="1.0").split("\n\n")[1].strip())
    @article{efron1979,
      author = {Efron, Bradley},
      title = {Bootstrap methods: another look at the jackknife},
      journal = {Annals of Statistics},
      year = {1979},
      volume = {7},
      pages = {1}
    }
    """
    entries = [
        _entry(
            "neuroalign",
            "misc",
            {
                "author": "{The neuroalign developers}",
                "title": "neuroalign: alignment of neural networks and brains",
                "note": f"Version {_escaped(version)}",
            },
        )
    ]
    order = ("author", "title", "journal", "booktitle", "year", "volume", "pages", "eprint", "archivePrefix")
    for key in keys:
        entry = citations()[key]
        entries.append(
            _entry(key, entry["type"], {name: _escaped(entry[name]) for name in order if name in entry})
        )
    entries += [_entry(f"data{i}", "misc", {"note": _escaped(text)}) for i, text in enumerate(data, 1)]
    return "\n\n".join(entries) + "\n"


def _entry(key: str, kind: str, fields: dict[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"


def _escaped(text: str) -> str:
    plain = text.replace("\\", "/")
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(plain.split()))
