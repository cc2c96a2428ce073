"""One function a Snakemake rule: reads files, calls the rooms, writes files."""

from .bands import story_bands
from .behaviour import behaviour
from .bias import bias
from .dissociation import dissociation
from .evoked import evoked
from .extraction import extract_activations
from .lesions import lesions
from .localizer import localizer
from .movie import movie
from .objects import objects
from .own import own_activations, own_rdms, own_rsa
from .paradigms import paradigms
from .parts import score_part
from .presets import preset_figures, write_moments
from .report import report
from .searchlight import searchlight
from .story import encode, prepare_story, story_rsa, unit_alignment
from .sweep import sweep
from .topography import topography
from .topology import topological_rsa
from .universal import universal

__all__ = [
    "STEPS",
    "behaviour",
    "bias",
    "dissociation",
    "encode",
    "evoked",
    "extract_activations",
    "lesions",
    "localizer",
    "movie",
    "objects",
    "own_activations",
    "own_rdms",
    "own_rsa",
    "paradigms",
    "prepare_story",
    "preset_figures",
    "report",
    "score_part",
    "searchlight",
    "story_bands",
    "story_rsa",
    "sweep",
    "topography",
    "topological_rsa",
    "unit_alignment",
    "universal",
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
    "behaviour": behaviour,
    "bias": bias,
    "presets": preset_figures,
    "sweep": sweep,
    "paradigms": paradigms,
    "dissociation": dissociation,
    "topology": topological_rsa,
    "universal": universal,
    "topography": topography,
    "movie": movie,
    "evoked": evoked,
    "searchlight": searchlight,
    "story-bands": story_bands,
    "own-activations": own_activations,
    "own-rdms": own_rdms,
    "own-rsa": own_rsa,
    "report": report,
}
