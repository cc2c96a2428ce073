"""One function a Snakemake rule: reads files, calls the rooms, writes files."""

from .extraction import extract_activations
from .lesions import lesions
from .localizer import localizer
from .objects import objects
from .report import report
from .story import encode, prepare_story, story_rsa, unit_alignment

__all__ = [
    "STEPS",
    "encode",
    "extract_activations",
    "lesions",
    "localizer",
    "objects",
    "prepare_story",
    "report",
    "story_rsa",
    "unit_alignment",
]

STEPS = {
    "localizer": localizer,
    "lesions": lesions,
    "prepare-story": prepare_story,
    "encode": encode,
    "story-rsa": story_rsa,
    "unit-alignment": unit_alignment,
    "objects": objects,
    "report": report,
}
