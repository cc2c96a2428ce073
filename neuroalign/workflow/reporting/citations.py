"""References of the methods: marks in a text, an entry for reading, BibTeX to download.

``citations.json`` holds what the docstrings of the package cite. Each field was found in published reference
lists; one that was not found there is left out (a DOI, a given name beyond its initial), never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["Piece", "bibtex", "citations", "cited", "doi_link", "label", "pieces", "reference"]

FILE = Path(__file__).with_name("citations.json")
MARK = re.compile(r"\[(@[a-z0-9_]+(?:; @[a-z0-9_]+)*)\]")
ORDER = (
    *("author", "title", "journal", "booktitle", "publisher", "year", "volume", "pages"),
    *("doi", "eprint", "archivePrefix"),
)
# What BibTeX reads as it stands.
VERBATIM = ("doi", "eprint")
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
    """Return an entry as a line of a list of references, without its DOI.

    Examples
    --------
    >>> reference("efron1979")
    'Efron, B. (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7:1–26.'
    """
    entry = citations()[key]
    year = f" ({entry['year']})." if "year" in entry else "."
    place = next((entry[name] for name in ("journal", "booktitle", "publisher") if name in entry), "")
    volume, pages = entry.get("volume", ""), entry.get("pages", "").replace("-", "\N{EN DASH}")
    where = f"{place} {volume}:{pages}" if volume and pages else ", ".join(filter(None, (place, pages)))
    preprint = f"{entry['archivePrefix']}:{entry['eprint']}" if "eprint" in entry else ""
    title = entry["title"] if entry["title"].endswith("?") else f"{entry['title']}."
    last = ", ".join(filter(None, (where, preprint)))
    return f"{_authors(entry['author']).rstrip('.')}.{year} {title} {last}.".removesuffix(" .")


def doi_link(key: str) -> tuple[str, str] | None:
    """Return an entry's DOI and the address that it stands for; None where there is none.

    Examples
    --------
    >>> doi_link("efron1979"), doi_link("fisher1935")
    (('10.1214/aos/1176344552', 'https://doi.org/10.1214/aos/1176344552'), None)
    """
    doi = citations()[key].get("doi")
    return None if doi is None else (doi, f"https://doi.org/{quote(doi, safe='/:;()')}")


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
      author = {Efron, B.},
      title = {Bootstrap methods: another look at the jackknife},
      journal = {Annals of Statistics},
      year = {1979},
      volume = {7},
      pages = {1--26},
      doi = {10.1214/aos/1176344552}
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
    for key in keys:
        entry = citations()[key]
        fields = {name: _field(name, entry[name]) for name in ORDER if name in entry}
        entries.append(_entry(key, entry["type"], fields))
    entries += [_entry(f"data{i}", "misc", {"note": _escaped(text)}) for i, text in enumerate(data, 1)]
    return "\n\n".join(entries) + "\n"


def _entry(key: str, kind: str, fields: dict[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"


def _field(name: str, value: str) -> str:
    if name in VERBATIM:
        return value
    if name == "pages":
        return value.replace("-", "--")
    return _kept(_escaped(value)) if name == "title" else _escaped(value)


def _kept(title: str) -> str:
    """Return a title with braces around the words whose capitals a style of BibTeX would make small.

    Examples
    --------
    >>> _kept("BERT Busters: on GPT2 and Student's problem"), _kept("Fourier power")
    ("{BERT} {Busters}: on {GPT2} and {Student's} problem", 'Fourier power')
    """
    words = title.split(" ")
    inner = [i for i, word in enumerate(words) if any(map(str.isupper, word[1:] if i == 0 else word))]
    for i in inner:
        bare = words[i].rstrip(":,?")
        words[i] = f"{{{bare}}}{words[i][len(bare) :]}"
    return " ".join(words)


def _escaped(text: str) -> str:
    plain = text.replace("\\", "/")
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(plain.split()))
