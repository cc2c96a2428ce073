"""What ``neuroalign datasets list``, ``info`` and ``check`` say."""

from __future__ import annotations

import json
from pathlib import Path

from ..datasets import available, described_subjects, information
from ..datasets.own.description_files import open_described
from ..errors import FileError, listing

__all__ = ["check_own", "describe_set", "list_sets"]


def list_sets(*, as_json: bool) -> str:
    """Return the table of the data sets, or the same as JSON: a list of rows."""
    table = available()
    return json.dumps(table.to_dict("records"), indent=1) if as_json else table.to_string(index=False)


def describe_set(name: str, *, as_json: bool) -> str:
    """Return what there is to know of a data set, by line or as JSON."""
    found = information(name)
    if as_json:
        return json.dumps(found, indent=1, default=str)
    there = "here" if found["present"] else f"not here; neuroalign datasets fetch {name}"
    lines = [
        f"{name}: {found['title']}",
        f"  licence: {found['licence']}",
        f"  cite: {found['cite']}",
        f"  from: {found['repository']} at {found['commit'][:12]}",
        f"  files: {found['n_files']}, {found['n_bytes']:,} bytes, in {found['folder']} ({there})",
    ]
    for left_out, why in found["excluded"].items():
        lines.append(f"  left out: {left_out} ({why})")
    for what, part in found["parts"].items():
        chosen = f" [{', '.join(part['selectors'])}]" if part["selectors"] else ""
        lines.append(f"  what={what!r}{chosen}: {part['returns']}")
    return "\n".join(lines)


def check_own(path: Path) -> str:
    """Return what a description of one's own data finds, or refuse it with every file that is missing.

    Raises
    ------
    FileError
        If files are missing; lists all.
    """
    place = open_described(path)
    files, missing = place.named()
    if missing:
        raise FileError(f"{path}: its data are not whole:\n" + "\n".join(f"  {line}" for line in missing))
    subjects = described_subjects(path)
    about = place.description
    lines = [
        f"{path}: {about.title} ({about.kind}), {len(subjects)} subject(s): {listing(subjects, limit=10)}"
    ]
    if about.kind in ("volumes", "surfaces", "patterns"):
        runs = {name: len(place.runs(name)) for name in subjects}
        lines.append(f"  runs: {', '.join(f'{name} {n}' for name, n in runs.items())}")
    for what, some in about.exclude:
        lines += [f"  left out of {what}: {name} ({why})" for name, why in some.items()]
    lines.append(f"  {len(files) - 1} files beside the description, all there")
    return "\n".join(lines)
