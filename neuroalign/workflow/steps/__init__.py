"""One function a Snakemake rule: reads files, calls the rooms, writes files.

A step's module is imported when the step is asked for: a job of seconds does not load what it does not use.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

__all__ = ["STEPS", "extract_activations", "score_part", "write_moments"]


class _Steps(Mapping[str, Callable[..., None]]):
    """Steps by name, each a function of the study's paths."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> Callable[..., None]:
        module, _, function = self._places[name].partition(":")
        step: Callable[..., None] = getattr(import_module(f".{module}", __name__), function)
        return step

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


STEPS = _Steps(
    {
        "localizer": "localizer:localizer",
        "lesions": "lesions:lesions",
        "prepare-story": "story:prepare_story",
        "encode": "story:encode",
        "story-rsa": "story:story_rsa",
        "unit-alignment": "story:unit_alignment",
        "objects": "objects:objects",
        "behaviour": "behaviour:behaviour",
        "bias": "bias:bias",
        "presets": "presets:preset_figures",
        "sweep": "sweep:sweep",
        "paradigms": "paradigms:paradigms",
        "dissociation": "dissociation:dissociation",
        "topology": "topology:topological_rsa",
        "universal": "universal:universal",
        "topography": "topography:topography",
        "movie": "movie:movie",
        "evoked": "evoked:evoked",
        "searchlight": "searchlight:searchlight",
        "story-bands": "bands:story_bands",
        "own-activations": "own:own_activations",
        "own-rdms": "own:own_rdms",
        "own-rsa": "own:own_rsa",
        "report": "report:report",
    }
)
# Steps that take more than the study's paths.
_OTHERS = _Steps(
    {
        "extract_activations": "extraction:extract_activations",
        "score_part": "parts:score_part",
        "write_moments": "presets:write_moments",
    }
)


def __getattr__(name: str) -> Any:
    if name in _OTHERS:
        return _OTHERS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
