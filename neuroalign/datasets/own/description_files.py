"""The files that a description names: per subject and run, and which of them are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import FileError, InvalidValueError, NeuroalignError, choice, listing
from .description import Description, read_description
from .patterns import FIELDS, fields_of, find_files, in_order, inside

__all__ = ["Described", "RunFiles", "open_described"]

# kind -> the key whose pattern says which subjects and runs there are
MAIN = {
    "volumes": "images",
    "patterns": "images",
    "surfaces": "left",
    "epochs": "epochs",
    "labelled": "file",
    "rdm": "file",
}
BY_RUN = ("images", "left", "right", "events", "confounds", "labels")
ALONE = "1"


@dataclass(frozen=True)
class RunFiles:
    """One run of a subject: its label, and its files by the key of the description."""

    run: str
    files: dict[str, Path]


@dataclass(frozen=True)
class Described:
    """A description, and the folder that it stands in."""

    description: Description
    path: Path

    @property
    def root(self) -> Path:
        """The folder that paths are relative to."""
        try:
            return self.path.parent / Path(self.description.root).expanduser()
        except RuntimeError as error:
            raise FileError(f"{self.path}, root: {error}") from error

    def find(self, key: str, **known: str) -> dict[tuple[str, ...], Path]:
        """Return the files of a key's pattern, see ``find_files``; errors name description and key."""
        pattern = getattr(self.description, key)
        beside = pattern.startswith("./")
        root = self.path.parent if beside else self.root
        return find_files(root, pattern.removeprefix("./"), known=known, name=f"{self.path}, {key}")

    def one(self, key: str, **known: str) -> Path | None:
        """Return the one file of a key; None where the description does not name it."""
        if not isinstance(getattr(self.description, key), str):
            return None
        free = [field for field in fields_of(getattr(self.description, key)) if field not in known]
        if free:
            raise InvalidValueError(
                f"{self.path}, {key}: there is no {{{free[0]}}} to put in; name one file."
            )
        return self.find(key, **known)[()]

    def subjects(self) -> list[str]:
        """Return the subjects in order, without those that are excluded."""
        about = self.description
        if about.kind == "bids":
            raise TypeError("the subjects of a BIDS tree are found by find_bids")
        key = MAIN[about.kind]
        if "subject" in fields_of(getattr(about, key)):
            fields = fields_of(getattr(about, key))
            found = {values[fields.index("subject")] for values in self.find(key)}
            if not found and about.subjects is None:
                raise FileError(
                    f"{self.path}, {key}: nothing below {self.root} matches {getattr(about, key)!r}."
                )
        else:
            found = set(about.subjects or (ALONE,))
            if len(found) > 1 and key != "file":
                raise InvalidValueError(
                    f"{self.path}, {key}: {{subject}} is missing from {getattr(about, key)!r}, and there are "
                    f"{len(found)} subjects."
                )
        names = list(about.subjects) if about.subjects else sorted(found, key=in_order)
        return [name for name in names if name not in about.exclude.subjects]

    def subject(self, name: str | None) -> str:
        """Return the subject that is asked for; the only one where None."""
        return one_of(name, self.subjects(), self.description, self.path)

    def runs(self, subject: str) -> list[RunFiles]:
        """Return a subject's runs in order, every file of each.

        Raises
        ------
        FileError
            If a run lacks a file, or a run that the description lists is not there.
        """
        about = self.description
        keys = [key for key in BY_RUN if isinstance(getattr(about, key), str)]
        found = {key: self._by_run(key, subject) for key in keys}
        main = MAIN[about.kind]
        wanted = list(about.runs) if about.runs else list(found[main])
        wanted = [run for run in wanted if f"{subject}/{run}" not in about.exclude.runs]
        rows = []
        for run in wanted:
            files = {key: some.get(run, some.get("")) for key, some in found.items()}
            missing = [key for key, file in files.items() if file is None]
            if missing:
                raise FileError(
                    f"{self.path}, {missing[0]}: run {run!r} of subject {subject!r} is not there "
                    f"({getattr(about, missing[0])!r} below {self.root}); there are "
                    f"{listing(found[missing[0]]) or 'none'}."
                )
            rows.append(RunFiles(run, {key: file for key, file in files.items() if file is not None}))
        if not rows:
            raise FileError(
                f"{self.path}, {main}: subject {subject!r} has no files ({getattr(about, main)!r} below "
                f"{self.root})."
            )
        return rows

    def _by_run(self, key: str, subject: str) -> dict[str, Path]:
        """Return a key's files by run: "1" where the main pattern has no run, "" for a file of all runs."""
        fields = [field for field in fields_of(getattr(self.description, key)) if field != "subject"]
        found = {}
        for values, path in self.find(key, subject=subject).items():
            by_field = dict(zip(fields, values, strict=True))
            found["/".join(by_field[field] for field in FIELDS if field in by_field)] = path
        if not fields and key == MAIN[self.description.kind]:
            return {ALONE: found[""]}
        return found

    def named(self) -> tuple[list[Path], list[str]]:
        """Return every file that is used, and a sentence for each that is missing, wherever it is named."""
        files, wrong = [self.path], []
        for some in self._each():
            try:
                files += some()
            except NeuroalignError as error:
                wrong.append(str(error))
        return list(dict.fromkeys(files)), list(dict.fromkeys(wrong))

    def _each(self) -> Iterator:
        about = self.description
        yield lambda: [path for path in [self.one("stimuli")] if path]
        yield lambda: [path for path in [self.one("parcel_names")] if path]
        if about.kind == "bids":
            yield self._tree
            subjects = []
        else:
            try:
                subjects = self.subjects()
            except NeuroalignError as error:
                said = error

                def fail() -> list[Path]:
                    raise said

                yield fail
                subjects = []
        for name in subjects:
            for key in ("mask", "parcels", "parcels_left", "parcels_right", "epochs", "file"):
                yield lambda key=key, name=name: [p for p in [self.one(key, subject=name)] if p]
            if about.kind in ("volumes", "patterns", "surfaces"):
                yield lambda name=name: [path for run in self.runs(name) for path in run.files.values()]

    def _tree(self) -> list[Path]:
        """Return what a BIDS tree has of the task: images, events, sidecars, confounds."""
        if not (self.root / "dataset_description.json").is_file():
            raise FileError(f"{self.path}, root: {self.root} has no dataset_description.json.")
        found = sorted(self.root.rglob(f"*task-{self.description.task}_*"))
        if not found:
            raise FileError(
                f"{self.path}, task: no file below {self.root} has task-{self.description.task} in its name."
            )
        return [inside(path, self.root) for path in found if path.is_file()]


def open_described(path: str | Path) -> Described:
    """Return a checked description with its place, or say what is wrong with it."""
    return Described(read_description(path), Path(path))


def one_of(name: str | None, there: list[str], about: Description, path: Path) -> str:
    """Return the subject that is asked for; the only one where None."""
    if name is None:
        if len(there) == 1:
            return there[0]
        raise InvalidValueError(f"{path} has {len(there)} subjects: {listing(there)}. Pass subject=.")
    if name in about.exclude.subjects:
        raise InvalidValueError(
            f"{path}: subject {name!r} is excluded: {about.exclude.subjects[name]}. The others are "
            f"{listing(there)}."
        )
    if name not in there:
        raise choice(name, there, name=f"subject of {path}")
    return name
