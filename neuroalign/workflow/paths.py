"""Where a study's files stand: everything generated is below one results folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileError, InvalidValueError, listing
from .config import Study, section_digest
from .names import misnamed

__all__ = ["FIGURES", "PARTS", "TWINS", "Paths", "code_digest"]

TWINS = ("trained", "untrained")

# figure number -> (section that asks for it, folder below analyses/ that draws it)
FIGURES = {
    1: ("localizer", "language_network"),
    2: ("lesions", "language_network"),
    3: ("story", "story_encoding"),
    4: ("story", "story_rsa"),
    5: ("story", "unit_alignment"),
    6: ("objects", "object_rsa"),
    7: ("presets", "language_network"),
    8: ("presets", "language_network"),
    9: ("sweep", "language_network"),
    10: ("paradigms", "language_network"),
    11: ("dissociation", "language_network"),
    12: ("topology", "topological_rsa"),
    13: ("topology", "topological_rsa"),
    14: ("objects", "object_rsa"),
    15: ("objects", "object_rsa"),
    16: ("movie", "v1_encoding"),
    17: ("bands", "story_encoding"),
    18: ("evoked", "n400"),
    19: ("searchlight", "searchlight"),
    20: ("behaviour", "behaviour"),
    21: ("own", "own_data"),
    23: ("universal", "universal_units"),
    24: ("topography", "topography"),
    25: ("bias", "representation_bias"),
}

# Lesions are scored in so many parts, by as many processes as there are cores.
PARTS = 4

OWN = (".tsv", ".csv", ".nc", ".gguf")

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Paths:
    """The files of one study below ``results``.

    Activations stand in a folder that all studies share, under a name that changes with whatever decides
    their values: the same stimuli shown to the same network are extracted once.
    """

    study: Study
    results: Path = Path("results")

    @property
    def folder(self) -> Path:
        """The study's own folder."""
        return self.results / self.study.name

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def record(self) -> Path:
        """Digests of what stood at the end of the last run."""
        return self.folder / "digests.json"

    @property
    def masks(self) -> Path:
        """Statistics and masks of the localizer."""
        return self.folder / "localizer.nc"

    @property
    def readings(self) -> tuple[str, ...]:
        """How the network is read for figures 7 and 8: as each preset does, and matched in tokens."""
        presets = self.study.presets
        return () if presets is None else (*presets.names, "token-matched")

    def moments(self, reading: str, twin: str) -> Path:
        """Moments of every unit by condition and run, for one of ``readings``, or ``sums``."""
        return self.folder / "moments" / f"{reading}-{twin}.nc"

    @property
    def responses(self) -> Path:
        """Responses to the story, prepared."""
        return self.folder / "responses.nc"

    @property
    def lesion_scores(self) -> Path:
        """Item scores of the task under every mask."""
        return self.folder / "lesion_scores.nc"

    @property
    def lesion_work(self) -> Path:
        """Work folder of the lesions: one small file a mask."""
        return self.folder / "work" / "lesions"

    @property
    def sweep_scores(self) -> Path:
        """Item scores under lesions of several sizes."""
        return self.folder / "sweep_scores.nc"

    @property
    def paradigm_scores(self) -> Path:
        """Item scores of all pairs, intact and without the language units."""
        return self.folder / "paradigm_scores.nc"

    @property
    def paradigm_work(self) -> Path:
        """Work folder of the paradigms: a folder each, with one small file a mask."""
        return self.folder / "work" / "paradigms"

    def part(self, what: str, part: int) -> Path:
        """Mark that one part of a step's lesions is scored."""
        return self.folder / "work" / "parts" / f"{what}-{part}.json"

    def inference(self, method: str) -> Path:
        """Result of the inference with one comparator, its draws included."""
        return self.folder / f"inference_{method}.nc"

    def map(self, name: str, extension: str = "nii.gz") -> Path:
        """Maps of the searchlight, as an image; a table and provenance stand beside it."""
        return self.folder / "maps" / f"{name}.{extension}"

    def task_scores(self, task: str) -> Path:
        """Item scores of one task of the dissociation."""
        return self.folder / f"dissociation_{task}.nc"

    def activations(self, what: str, twin: str) -> Path:
        """Activations of ``what`` (``localizer`` or ``story``) in the trained or untrained network."""
        study = self.study
        if what == "localizer" and study.localizer is not None:
            source = study.localizer.stimuli
            decides: tuple = (source, study.localizer.pool, study.localizer.max_tokens)
        elif what == "own" and study.own is not None:
            source, decides = study.own.data, (study.own.data, study.own.pool)
        elif what == "story" and study.story is not None:
            source = study.story.words or study.story.responses
            decides = (source, study.story.pool, study.story.context, study.story.stride)
        else:
            raise KeyError(what)
        seed = study.model.untrained_seed if twin == "untrained" else None
        model = study.model.model_copy(update={"batch_size": 1, "untrained_seed": 0})
        key = section_digest(model, seed, what, *map(str, decides))
        name = f"{what}-{_slug(source)}-{_slug(study.model.name)}-{twin}-{key}.nc"
        return self.results / "shared" / "activations" / name

    def sources(self, *kinds: str) -> list[str]:
        """Return the user's own files of the given kinds, so that Snakemake notices their absence and edits.

        Parameters
        ----------
        *kinds : {"model", "localizer", "pairs", "words", "responses", "own"}
        """
        study = self.study
        values = {
            "model": study.model.name,
            "localizer": study.localizer and study.localizer.stimuli,
            "pairs": study.lesions and study.lesions.pairs,
            "words": study.story and study.story.words,
            "responses": study.story and study.story.responses,
        }
        if "own" in kinds:
            rest = self.sources(*(kind for kind in kinds if kind != "own"))
            return [*rest, *(study.own.models.values() if study.own else ())]
        found: list[str] = []
        for kind in kinds:
            value = values[kind]
            if value and Path(value).suffix in OWN:
                found.append(value)
            elif value and kind == "model" and Path(value).is_dir():
                found += sorted(
                    str(path) for p in ("*.json", "*.safetensors") for path in Path(value).glob(p)
                )
        return found

    def check_sources(self, directory: Path = Path()) -> None:
        """Refuse a study whose own files are not there, whatever stands of an earlier run.

        Snakemake takes an output that stands as given when the inputs of its rule are missing, so the
        figures of a former file would pass for those of the absent one.

        Raises
        ------
        FileError
            With every missing file, and where it was looked for.
        InvalidValueError
            If stimuli or pairs are named that are no file and none of those that there are.
        """
        if wrong := list(misnamed(self.study)):
            raise InvalidValueError(" ".join(wrong))
        kinds = ("model", "localizer", "pairs", "words", "responses", "own")
        missing = [path for path in self.sources(*kinds) if not (directory / path).exists()]
        if missing:
            raise FileError(
                f"study {self.study.name!r} names files that are not there: {listing(missing)}; "
                f"paths are taken from {directory.resolve()}."
            )

        self.own_files(directory)

    def own_files(self, directory: Path = Path()) -> list[str]:
        """Return every file that the description of the section own names, the description first.

        Raises
        ------
        FileError
            If one is missing; lists all that are, with the key that names each.
        """
        if self.study.own is None:
            return []
        from ..datasets.own.description_files import open_described

        files, missing = open_described(directory / self.study.own.data).named()
        if missing:
            lines = "\n".join(f"  {line}" for line in missing)
            raise FileError(f"study {self.study.name!r}: its data are not whole:\n{lines}")
        return [str(path) for path in files]

    @property
    def own_rdms(self) -> Path:
        """RDMs of the user's own data: of every region and subject."""
        return self.folder / "own_rdms.nc"

    def figure(self, number: int, extension: str) -> Path:
        """A figure's file: ``tsv`` (values), ``provenance.json``, ``pdf``, ``png`` or ``json`` (caption)."""
        return self.folder / "figures" / f"figure{number}.{extension}"

    def figures(self) -> list[int]:
        """Return the numbers of the figures that the study's sections ask for."""
        given = [n for n, (section, _) in FIGURES.items() if getattr(self.study, section) is not None]
        return [n for n in given if n != 5 or self.study.localizer is not None]

    def analyses(self) -> list[str]:
        """Return the folders below ``analyses/`` whose rules the study needs."""
        return sorted({FIGURES[number][1] for number in self.figures()})

    def log(self, step: str) -> Path:
        """Log file of a step."""
        return self.folder / "logs" / f"{step}.log"

    def benchmark(self, step: str) -> Path:
        """How long a step took, as Snakemake measured it."""
        return self.folder / "benchmarks" / f"{step}.tsv"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(name).name).strip("-").lower()


def code_digest(*rooms: str) -> str:
    """Return eight hex digits that change when the source of one of the rooms (or of the base) changes.

    Snakemake does not notice edits in the package; each rule carries this as a parameter.
    """
    base = ("errors.py", "schema.py", "arrays.py", "seeds.py", "io")
    sha = hashlib.sha256()
    for room in (*base, *rooms):
        place = PACKAGE / room
        inside = [p for p in place.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        for path in [place] if place.is_file() else sorted(inside):
            sha.update(path.relative_to(PACKAGE).as_posix().encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()[:8]
