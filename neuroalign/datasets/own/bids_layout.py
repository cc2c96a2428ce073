"""Layouts of a BIDS tree and its derivatives: which images a question means, or what there is instead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...errors import FileError, InvalidValueError, listing
from ...io.files import read_json
from ...io.parsing import parsing
from .patterns import inside

__all__ = [
    "CIFTI",
    "IMAGES",
    "RAW",
    "by_run",
    "images",
    "label_of",
    "layouts",
    "narrowed",
    "pipeline",
    "plain",
    "space_of",
    "what_is_there",
]

IMAGES = (".nii", ".nii.gz")
SURFACES = (".func.gii",)
CIFTI = (".dtseries.nii",)
RAW = "raw"


def layouts(root: Path, derivatives: str | Path | None) -> tuple[dict[str, Any], Any, list[Path]]:
    """Return the layouts of the derivatives by name, that of the raw data, and the derivatives' folders."""
    BIDSLayout = _bids()
    about = root / "dataset_description.json"
    if not about.is_file():
        raise FileError(
            f"{root} is no BIDS data set: it has no dataset_description.json. Name the folder that has one."
        )
    _refuse_links_out(root)
    if _json(about).get("DatasetType") == "derivative":
        with parsing(f"{root} cannot be read as a BIDS data set"):
            return {root.name: BIDSLayout(root, validate=False, is_derivative=True)}, None, []
    folders = _folders(root, derivatives)
    for one in folders:
        if not one.resolve().is_relative_to(root.resolve()):
            _refuse_links_out(one)
    with parsing(f"{root} cannot be read as a BIDS data set"):
        found = {one.name: BIDSLayout(one, validate=False, is_derivative=True) for one in folders}
        return found, BIDSLayout(root, derivatives=False), folders


def _refuse_links_out(root: Path) -> None:
    """Refuse a tree with a link that leads out of it: pybids reads every sidecar that it finds."""
    for folder, folders, files in os.walk(root):
        if ".git" in folders:
            folders.remove(".git")
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                inside(path, root)


def _bids() -> Any:
    try:
        from bids import BIDSLayout
    except ImportError as error:
        raise FileError("BIDS data sets need pybids: pip install 'neuroalign[bids]'.") from error
    return BIDSLayout


def _json(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileError(f"{path} must hold a mapping; got {type(value).__name__}.")
    return value


def _folders(root: Path, derivatives: str | Path | None) -> list[Path]:
    below = root / "derivatives"
    there = sorted(one.parent for one in below.glob("*/dataset_description.json"))
    if derivatives is None:
        return [inside(one, root) for one in there]
    named = (
        below / derivatives if "/" not in str(derivatives) and Path(below / derivatives).is_dir() else None
    )
    folder = named or Path(derivatives)
    if not (folder / "dataset_description.json").is_file():
        raise FileError(
            f"derivatives: {folder} has no dataset_description.json; below {below} there are "
            f"{listing(one.name for one in there) or 'none'}."
        )
    return [folder]


def pipeline(pipelines: dict[str, Any], space: str | None, raw: Any, task: str) -> str | None:
    """Return the name of the derivative to take; None for the raw data."""
    if space == RAW or not pipelines:
        if space not in (None, RAW):
            raise FileError(
                f"the space {space!r} is that of a derivative, and no derivative has images of the task "
                f"{task!r}. Pass derivatives=..., or space='raw'."
            )
        return None
    having = [name for name, one in pipelines.items() if space is None or images(one, task, space)]
    if len(having) > 1:
        raise InvalidValueError(
            f"{len(having)} derivatives have the task {task!r}: {listing(having)}. Pass derivatives=."
        )
    return having[0] if having else next(iter(pipelines))


def images(layout: Any, task: str, space: str | None) -> list[Any]:
    """Return the functional images of a task: volumes, surfaces, CIFTI."""
    asked: dict[str, Any] = {"suffix": "bold", "task": task, "extension": [*IMAGES, *SURFACES, *CIFTI]}
    if space is not None:
        asked["space"] = space
    return layout.get(**asked)


def space_of(layout: Any, task: str, space: str | None) -> str | None:
    """Return the space to take; None where file names have none."""
    there = sorted({str(one.entities.get("space", "none")) for one in images(layout, task, None)})
    if space is None:
        if len(there) > 1:
            raise InvalidValueError(f"images are in {len(there)} spaces: {listing(there)}. Pass space=.")
        return None if there == ["none"] else there[0]
    if space not in there:
        raise FileError(
            f"there are no images of the task {task!r} in the space {space!r}; there are {listing(there)}."
        )
    return space


def what_is_there(some: Iterable[Any]) -> str:
    """Return the tasks, spaces and subjects of layouts, in words."""
    found: dict[str, set[str]] = {"tasks": set(), "spaces": set(), "subjects": set()}
    for one in some:
        for what in found:
            found[what] |= {str(value) for value in getattr(one, f"get_{what}")()}
    return "; ".join(f"{what} {listing(sorted(values)) or 'none'}" for what, values in found.items())


def narrowed(files: list[Any], asked: dict[str, Sequence[str] | None], root: Path) -> list[Any]:
    """Return the images of the subjects, sessions and runs that were asked for; each must have one."""
    for entity, values in asked.items():
        if values is None:
            continue
        if isinstance(values, str):
            raise InvalidValueError(f"{entity}s must be a list; got the string {values!r}.")
        wanted = {plain(entity, str(value)): value for value in values}
        there = {plain(entity, label_of(one, entity)) for one in files if label_of(one, entity) is not None}
        missing = [value for key, value in wanted.items() if key not in there]
        if missing:
            raise FileError(
                f"{root}: the {entity}(s) {listing(missing)} have no such images; there are "
                f"{listing(sorted(there), limit=20) or 'none'}."
            )
        files = [one for one in files if plain(entity, label_of(one, entity)) in wanted]
    return files


def label_of(file: Any, entity: str) -> str | None:
    """Return the value of an entity of a file as text; None where its name has none."""
    value = file.entities.get(entity)
    return None if value is None else str(value)


def plain(entity: str, label: str | None) -> str:
    """Return a label without its prefix, and a run's number without leading zeros."""
    prefix = {"subject": "sub-", "session": "ses-", "run": "run-"}[entity]
    plain = (label or "").removeprefix(prefix)
    return str(int(plain)) if entity == "run" and plain.isdecimal() else plain


def by_run(files: list[Any]) -> list[list[Any]]:
    """Return the images of each run, one volume or CIFTI image, or two hemispheres."""
    groups: dict[tuple, list[Any]] = {}
    for one in files:
        run = plain("run", label_of(one, "run"))
        key = (
            label_of(one, "subject"),
            label_of(one, "session") or "",
            int(run) if run.isdecimal() else 0,
            run,
        )
        groups.setdefault(key, []).append(one)
    found = []
    for key in sorted(groups):
        group = groups[key]
        if len(group) > 1 and any(one.entities.get("desc") == "preproc" for one in group):
            group = [one for one in group if one.entities.get("desc") == "preproc"]
        sides = sorted(str(one.entities.get("hemi", "")) for one in group)
        if len(group) > 1 and sides != ["L", "R"]:
            names = listing((Path(one.path).name for one in group), limit=10)
            raise InvalidValueError(
                f"subject {key[0]!r}, run {key[3] or 'without number'!r} has {len(group)} images: {names}. "
                "Keep one of them in a derivative of its own and pass derivatives=."
            )
        if sides in (["L"], ["R"]):
            raise FileError(f"{Path(group[0].path).name} is one hemisphere; the other one is missing.")
        found.append(group)
    return found
