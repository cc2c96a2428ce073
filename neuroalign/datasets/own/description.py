"""What a description of a data set may say: one YAML file, one pydantic model, errors with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ...settings import read_settings

__all__ = ["Description", "Exclude", "Glm", "description_schema", "read_description"]


def _label(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Label = Annotated[str, BeforeValidator(_label), Field(min_length=1)]
Labels = tuple[Label, ...]
Kind = Literal["bids", "volumes", "patterns", "surfaces", "epochs", "labelled", "rdm"]

# kind -> (keys that it cannot do without, keys that it may have besides)
COMMON = ("subjects", "exclude")
REGIONS = ("mask", "parcels", "parcel_names", "average", "rois")
SIDES = ("parcels_left", "parcels_right")
TIMED = ("events", "event_column", "confounds", "confound_columns", "glm", "tr", "runs")
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bids": (
        ("task",),
        (*SIDES, "space", "sessions", "derivatives", "event_column", "confounds", "glm", "runs", *REGIONS),
    ),
    "volumes": (("images", "events"), (*REGIONS, *TIMED)),
    "surfaces": (("left", "right", "events", "tr"), (*SIDES, "parcel_names", "average", "rois", *TIMED)),
    "patterns": (("images", "labels"), ("runs", *REGIONS)),
    "epochs": (("epochs",), ("event_column", "picks", "channels")),
    "labelled": (("file",), ("rois",)),
    "rdm": (("file",), ()),
}


class Part(BaseModel):
    """A part of a description: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Glm(Part):
    """How a series becomes one pattern an event: of each condition and run, or of each single trial."""

    method: Literal["condition", "single"] = "condition"
    hrf: str = "spm"
    drift: Literal["cosine", "polynomial"] | None = "cosine"
    high_pass: Annotated[float, Field(gt=0)] = 0.01
    noise_model: Literal["ar1", "ols"] = "ar1"


class Exclude(Part):
    """What is left out, each with its reason: subjects, runs ("subject/run"), stimuli."""

    subjects: dict[Label, str] = {}
    runs: dict[Label, str] = {}
    stimuli: dict[Label, str] = {}


class Description(Part):
    """A data set in one file: what it is, where its files are, and how they become responses.

    Paths stand below ``root`` (itself relative to the description's folder), those that begin with ``./``
    beside the description. Patterns name ``{subject}``, ``{session}`` and ``{run}``.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    title: str
    licence: str = "not stated"
    cite: str = "not stated"
    kind: Kind
    root: str = "."
    stimuli: str | None = None
    subjects: Labels | None = None
    runs: Labels | None = None
    sessions: Labels | None = None
    images: str | None = None
    labels: str | None = None
    left: str | None = None
    right: str | None = None
    epochs: str | None = None
    file: str | None = None
    mask: str | None = None
    parcels: str | None = None
    parcels_left: str | None = None
    parcels_right: str | None = None
    parcel_names: dict[int, str] | str | None = None
    average: bool = False
    events: str | None = None
    event_column: str | None = None
    confounds: str | tuple[str, ...] | None = None
    confound_columns: tuple[str, ...] | None = None
    tr: Annotated[float, Field(gt=0)] | None = None
    glm: Glm = Glm()
    picks: str | tuple[str, ...] | None = None
    channels: Literal["exact", "common"] = "exact"
    task: str | None = None
    space: str | None = None
    derivatives: str | None = None
    rois: tuple[str, ...] | None = None
    exclude: Exclude = Exclude()

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Description:
        needed, more = KEYS[self.kind]
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise ValueError(f"kind: {self.kind} needs {', '.join(missing)}")
        general = {"name", "title", "licence", "cite", "kind", "root", "stimuli", *COMMON}
        odd = sorted(self.model_fields_set - general - set(needed) - set(more))
        if odd:
            may = ", ".join(sorted({*needed, *more, *COMMON}))
            raise ValueError(f"kind: {self.kind} takes no {', '.join(odd)}; its keys are {may}")
        if (self.parcels_left is None) != (self.parcels_right is None):
            raise ValueError("parcels_left and parcels_right need one another")
        if (self.parcels or self.parcels_left) is None and (self.parcel_names is not None or self.average):
            raise ValueError("parcel_names and average need parcels")
        if (
            self.rois is not None
            and self.kind in ("bids", "volumes", "patterns", "surfaces")
            and not (self.parcels or self.parcels_left)
        ):
            raise ValueError("rois need parcels")
        if self.confound_columns is not None and self.confounds is None:
            raise ValueError("confound_columns need confounds")
        wrong = isinstance(self.confounds, str) if self.kind == "bids" else isinstance(self.confounds, tuple)
        if self.confounds is not None and wrong:
            what = "a list of strategies, such as [motion, high_pass]" if self.kind == "bids" else "a pattern"
            raise ValueError(f"confounds of kind {self.kind} must be {what}; got {self.confounds!r}")
        return self


def read_description(path: str | Path) -> Description:
    r"""Return a checked description from a YAML file.

    Raises
    ------
    FileError
        If the file is missing or is not YAML.
    InvalidValueError
        If it is wrong; the message lists every error with its line and key, and the nearest known key beside
        a misspelt one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.yaml"
    ...     _ = path.write_text("name: mine\ntitle: Mine\nkind: rdm\nfile: '{subject}.tsv'\n")
    ...     read_description(path).kind
    'rdm'
    """
    return read_settings(path, Description)


def description_schema() -> dict[str, Any]:
    """Return the JSON schema of a description, for editors; ``neuroalign datasets schema`` prints it.

    Examples
    --------
    >>> description_schema()["required"]
    ['name', 'title', 'kind']
    """
    return json.loads(json.dumps(Description.model_json_schema()))
