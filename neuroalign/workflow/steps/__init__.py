"""One function a Snakemake rule: reads files, calls the rooms, writes files."""

from .bands import story_bands
from .dissociation import dissociation
from .extraction import extract_activations
from .lesions import lesions
from .localizer import localizer
from .movie import movie
from .objects import objects
from .paradigms import paradigms
from .parts import score_part
from .presets import preset_figures, write_moments
from .report import report
from .story import encode, prepare_story, story_rsa, unit_alignment
from .sweep import sweep
from .topology import topological_rsa

__all__ = [
    "STEPS",
    "dissociation",
    "encode",
    "extract_activations",
    "lesions",
    "localizer",
    "movie",
    "objects",
    "paradigms",
    "prepare_story",
    "preset_figures",
    "report",
    "score_part",
    "story_bands",
    "story_rsa",
    "sweep",
    "topological_rsa",
    "unit_alignment",
    "write_moments",
]

STEPS = {
    "localizer": localizer,
    "lesions": lesions,
    "prepare-story": prepare_story,
    "encode": encode,
    "story-rsa": story_rsa,
    "unit-alignment": unit_alignment,
    "objects": objects,
    "presets": preset_figures,
    "sweep": sweep,
    "paradigms": paradigms,
    "dissociation": dissociation,
    "topology": topological_rsa,
    "movie": movie,
    "story-bands": story_bands,
    "report": report,
}
