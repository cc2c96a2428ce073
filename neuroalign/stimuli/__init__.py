"""Stimulus tables, words and contexts, localizer contrasts."""

from .generated import arithmetic, sequences
from .motion import motion_energy, pixels
from .sets import localizer, minimal_pairs, story
from .tables import check_table, contrast, lower_case, read_table
from .textgrid import read_textgrid, words_from_textgrid
from .words import join_words

__all__ = [
    "arithmetic",
    "check_table",
    "contrast",
    "join_words",
    "localizer",
    "lower_case",
    "minimal_pairs",
    "motion_energy",
    "pixels",
    "read_table",
    "read_textgrid",
    "sequences",
    "story",
    "words_from_textgrid",
]
