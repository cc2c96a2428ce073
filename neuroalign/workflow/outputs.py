"""Whether what stands under a study's final names is what was written there, from what is there now."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from .. import io
from ..errors import FileError, listing
from .guarding import Failed
from .paths import Paths
from .records import Record, output_files

__all__ = ["damaged_outputs", "made_from", "sound_outputs"]


def sound_outputs(record: Record, call: list[str], *, was_killed: bool) -> Iterator[str]:
    """Remove what is not what was written, what was made from files that changed, and what came of both.

    Snakemake goes by time stamps: it does not notice a file that was cut short under its old one, and it does
    not make a missing file again as long as all that was made from it stands.

    Parameters
    ----------
    record : Record
        Of the last run; it then knows what stands.
    call : list of str
        The call of Snakemake that would run the study.
    was_killed : bool
        Whether a run was killed since the record.

    Yields
    ------
    str
        What was found, by line.

    Raises
    ------
    Failed
        If Snakemake cannot say what is made from what.
    """
    damaged = damaged_outputs(record.paths, record, was_killed=was_killed)
    for path in damaged:
        yield f"{path} was damaged; it is removed and made again."
    changed = record.changed_sources()
    if changed:
        yield f"{listing(changed)} changed since the last run."
    if damaged or changed:
        names = [*changed, *(path.relative_to(record.directory).as_posix() for path in damaged)]
        after = [path for path in made_from(names, call, record.directory) if path not in damaged]
        # What is damaged goes last: whoever is killed here finds it, and what came of it, the next time.
        for path in [*after, *damaged]:
            path.unlink(missing_ok=True)
        yield f"{len(after)} file(s) that came of {'this' if len(names) == 1 else 'these'} are made again."
    record.write()


def damaged_outputs(paths: Paths, record: Record | None = None, *, was_killed: bool = False) -> list[Path]:
    """Return the outputs of a study that are not what was written.

    Parameters
    ----------
    paths : Paths
    record : Record, optional
        Digests that the last run left. A file that it does not know is judged by the digest inside it.
    was_killed : bool
        Whether a run was killed since the record: it may have written anew what the record knows.
    """
    record = record or Record(paths, paths.results.parent)
    return [path for path in output_files(paths) if _is_damaged(path, paths, record, was_killed)]


def made_from(names: Collection[str], call: list[str], directory: Path) -> list[Path]:
    """Return the outputs that stand and were made from the named files, or from what was made from them.

    Parameters
    ----------
    names : collection of str
        Paths as the rules name them.
    call : list of str
        See ``sound_outputs``.
    directory : Path
        Where Snakemake runs.
    """
    inputs = _inputs(call)
    reached = [
        form for name in names for form in (name, str(directory / name), str(directory.resolve() / name))
    ]
    found: dict[str, None] = {}
    while reached:
        name = f",{reached.pop()},"  # commas part the paths, and a path may have commas in it
        new = [output for output, made in inputs.items() if name in f",{made}," and output not in found]
        found |= dict.fromkeys(new)
        reached += new
    return [path for path in (directory / name for name in found) if path.is_file()]


def _inputs(call: list[str]) -> dict[str, str]:
    """Return the inputs of every output, parted by commas, as Snakemake wrote them down when it was made."""
    found = subprocess.run([*call, "--detailed-summary"], check=False, capture_output=True, text=True)  # noqa: S603
    header, *lines = [line.split("\t") for line in found.stdout.splitlines() if "\t" in line] or [[]]
    if found.returncode or "input-file(s)" not in header:
        raise Failed(f"Snakemake could not say what is made from what:\n{found.stderr.strip()}")
    output, inputs = header.index("output_file"), header.index("input-file(s)")
    return {line[output]: line[inputs] for line in lines}


def _is_damaged(path: Path, paths: Paths, record: Record, was_killed: bool) -> bool:
    left = record.is_as_left(path)
    if left is False:
        # Arrays carry their digest, and a run of plain Snakemake may have written them since: hours of work.
        written_since = record.is_younger(path) and (was_killed or path.suffix == ".nc")
        if not written_since:
            return True
    return not (left or _is_sound(path, paths))


def _is_sound(path: Path, paths: Paths) -> bool:
    """Return whether a file has the digest that it carries, or that its provenance names."""
    try:
        if path.suffix == ".nc" and paths.folder in path.parents:
            io.load(path)
        elif path.suffix == ".nc":
            for layer in io.layer_names(path):
                io.read_layer(path, layer)
        elif path.suffix == ".json":
            io.read_json(path)
        elif path in [paths.figure(n, "tsv") for n in paths.figures()]:
            about = io.read_json(path.with_name(f"{path.stem}.provenance.json"))
            return bool(about["sha256"] == io.file_digest(path))
    except (FileError, KeyError, TypeError):
        return False
    return True
