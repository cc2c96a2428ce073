"""The times of an even reading, computed from the text: what made the onsets of the embedded story."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .words import join_words

LETTER, START = 0.048, 0.11
PAUSES = {",": 0.2, ";": 0.3, ":": 0.3, ".": 0.51, "?": 0.51, "!": 0.51}


def reading_times(words: Sequence[str]) -> np.ndarray:
    """Return onset and offset of each word in an even reading of about 170 words per minute.

    A word lasts 110 ms and another 48 ms a letter; a pause of 200 ms follows a comma, 300 ms a colon, 510 ms
    the end of a sentence.

    Parameters
    ----------
    words : sequence of str
        Words with their punctuation.

    Returns
    -------
    array (n_words, 2)
        Seconds from the start, whole milliseconds.

    Examples
    --------
    >>> reading_times(["Post,", "she", "said."]).tolist()
    [[0.0, 0.302], [0.502, 0.756], [0.756, 1.058]]
    """
    join_words(words)
    letters = np.array([sum(map(str.isalnum, word)) for word in words])
    spoken = START + LETTER * letters
    pauses = np.array([PAUSES.get(word.rstrip("\"'")[-1:], 0.0) for word in words])
    onsets = np.concatenate([[0.0], np.cumsum(spoken + pauses)[:-1]])
    return np.round(np.stack([onsets, onsets + spoken], axis=1), 3)
