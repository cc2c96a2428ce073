"""Activations of a study's stimuli, extracted once for all studies that ask for the same."""

from __future__ import annotations

from ...extraction import extract, extract_words
from ..paths import Paths
from ..sections import Localizer, Story
from ..sources import localizer_stimuli, story_words
from .common import load_network

__all__ = ["extract_activations"]


def extract_activations(paths: Paths, what: str, twin: str) -> None:
    """Write the activations of the localizer's or the story's stimuli in the trained or untrained network."""
    study, out = paths.study, paths.activations(what, twin)
    model = load_network(study, twin)
    if what == "localizer":
        section = study.localizer or Localizer()
        extract(
            model,
            localizer_stimuli(section),
            pool=section.pool,
            max_tokens=section.max_tokens,
            batch_size=study.model.batch_size,
            out=out,
        )
    else:
        story = study.story or Story()
        extract_words(
            model, story_words(story), context=story.context, stride=story.stride, pool=story.pool, out=out
        )
