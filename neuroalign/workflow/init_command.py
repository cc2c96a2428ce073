"""What ``neuroalign init`` does: a folder with a study to start from."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import io
from ..errors import FileError, InvalidValueError, choice, listing
from ..schema import square
from ..seeds import generator
from .check_command import sets_named
from .config import load_study
from .run_command import find_snakefile

__all__ = ["SCHEMAS", "TEMPLATES", "make_study"]

FOLDER = Path(__file__).with_name("templates")
# JSON schemas that editors read, written by the models: `neuroalign schema`, `neuroalign datasets schema`.
SCHEMAS = Path(__file__).with_name("schemas")
# What each template is for, and the data sets that it needs.
TEMPLATES = {
    "demo": ("what the package ships, with simulated responses; no download", ()),
    "language": (
        "language units, lesions, 27 listeners of a story",
        ("langloc_stimuli", "blimp", "alice_fmri"),
    ),
    "objects": ("model RDMs against human IT, 92 images", ("kriegeskorte92",)),
    "own-data": ("your own data in one file; runs on simulated tables until you put yours there", ()),
}
CONFIG, DESCRIPTION = "study.yaml", "my_data.yaml"
# The example of own-data: stimuli with a category and a size.
STIMULI = {
    "cat": ("animal", 0.46),
    "cow": ("animal", 2.4),
    "hen": ("animal", 0.4),
    "mouse": ("animal", 0.09),
    "axe": ("tool", 0.9),
    "cup": ("tool", 0.1),
    "rake": ("tool", 1.6),
    "saw": ("tool", 0.6),
}
N_SUBJECTS, NOISE = 6, 0.5


def make_study(folder: Path, *, template: str, name: str | None) -> Iterator[str]:
    """Write a study to start from, and say what to do next, by line.

    Parameters
    ----------
    folder : path
        Made where it is not there. A file that is there is never overwritten.
    template : str
        A key of ``TEMPLATES``, or the name of a study that the package ships, such as ``"v1"``.
    name : str, optional
        Of the study; the folder's name in small letters where None.

    Raises
    ------
    FileError
        If one of the files is there already; nothing is written then.
    InvalidValueError
        If the template is unknown, or no name of a study can be made of the folder's.
    """
    start = _start(template)
    files = _files(start, name or _name(folder))
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise FileError(
            f"{folder} has {listing(there)} already, and nothing is overwritten. Name another folder."
        )
    io.write_files({folder / path: text.encode("utf-8") for path, text in files.items()})
    yield f"made {folder}: {', '.join(files)}" if len(files) < 6 else f"made {folder}: {len(files)} files"
    if start.sets:
        yield f"data that it needs (fetched once): neuroalign datasets fetch {' '.join(start.sets)}"
    if folder.resolve() != Path.cwd():
        yield f"  cd {shlex.quote(str(folder))}"
    yield f"  neuroalign check {CONFIG}"
    yield f"  neuroalign run {CONFIG}"


def _name(folder: Path) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not found or found == "shared":
        raise InvalidValueError(
            f"no name of a study can be made of the folder {folder.resolve().name!r}. "
            "Pass --name with small letters, digits, - and _."
        )
    return found


class _Start(NamedTuple):
    """What a study is made from: its text, what it is for, the data sets that it needs, files beside it."""

    text: str
    about: str
    sets: tuple[str, ...]
    files: dict[str, str]


def _start(template: str) -> _Start:
    if template in TEMPLATES:
        beside = _own_data() if template == "own-data" else {}
        return _Start(io.read_text(FOLDER / f"{template}.yaml"), *TEMPLATES[template], beside)
    shipped = {path.stem: path for path in sorted((find_snakefile().parent / "config").glob("*.yaml"))}
    if template not in shipped:
        raise choice(template, dict.fromkeys([*TEMPLATES, *shipped]), name="template")
    study = load_study(shipped[template])
    return _Start(io.read_text(shipped[template]), study.title, tuple(sets_named(study)), {})


def _files(start: _Start, name: str) -> dict[str, str]:
    """Return the files of a study by their path in its folder."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name == "shared":
        raise InvalidValueError(
            f"--name must be small letters, digits, - and _, and not 'shared'; got {name!r}."
        )
    text = re.sub(r"(?m)^name: .*$", f"name: {name}", start.text, count=1)
    about = Template(io.read_text(FOLDER / "README.txt"))
    title = f"{name}: {start.about}"
    return {
        CONFIG: _for_editors(text, "study"),
        "README.txt": about.substitute(title=title, line="=" * len(title), config=CONFIG, name=name),
        ".gitignore": "results/\n.snakemake/\n",
        "study.schema.json": io.read_text(SCHEMAS / "study.schema.json"),
        **start.files,
    }


def _for_editors(text: str, schema: str) -> str:
    """Return YAML with the line by which editors find its schema: they complete keys and mark wrong ones."""
    return f"# yaml-language-server: $schema={schema}.schema.json\n{text}"


def _own_data() -> dict[str, str]:
    """Return the tables of an example: people whose RDMs follow the category, with noise."""
    names = list(STIMULI)
    a, b = np.triu_indices(len(names), 1)
    category = np.array([about[0] for about in STIMULI.values()])
    truth = (category[a] != category[b]).astype(float)
    rng = generator(0, "init", "own-data")
    files = {
        DESCRIPTION: _for_editors(io.read_text(FOLDER / DESCRIPTION), "my_data"),
        "my_data.schema.json": io.read_text(SCHEMAS / "my_data.schema.json"),
        "stimuli.tsv": _tsv(
            pd.DataFrame(
                [(word, f"This is a {word}.", *about) for word, about in STIMULI.items()],
                columns=["stimulus", "text", "category", "size"],
            )
        ),
        "category.tsv": _matrix(truth, names),
    }
    for i in range(N_SUBJECTS):
        values = 1 + truth + NOISE * rng.standard_normal(truth.size)
        files[f"data/s{i + 1:02d}.tsv"] = _matrix(np.maximum(values, 0), names)
    return files


def _matrix(values: np.ndarray, names: list[str]) -> str:
    table = pd.DataFrame(square(values), columns=names)
    table.insert(0, "stimulus", names)
    return _tsv(table)


def _tsv(table: pd.DataFrame) -> str:
    return str(table.to_csv(sep="\t", index=False, float_format="%.4g", lineterminator="\n"))
