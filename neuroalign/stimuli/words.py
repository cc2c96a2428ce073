"""Running text from words, and where each word stands in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import InvalidValueError

__all__ = ["join_words"]


def join_words(words: Iterable[str]) -> tuple[str, np.ndarray]:
    """Return the running text of words, joined by single spaces, and where each word stands in it.

    Word i is ``text[spans[i, 0]:spans[i, 1]]``; the offsets count characters, as tokenizers' offset mappings
    do.

    Parameters
    ----------
    words : iterable of str
        None is blank, none begins or ends with a space.

    Returns
    -------
    text : str
    spans : array (n_words, 2)
        First character of each word and the one after its last, int64.

    Raises
    ------
    InvalidValueError
        If a word is blank, no text, or has spaces around it; or if ``words`` is one string.

    Examples
    --------
    >>> text, spans = join_words(["A", "quiet", "room."])
    >>> text, spans.tolist()
    ('A quiet room.', [[0, 1], [2, 7], [8, 13]])
    """
    if isinstance(words, str):
        raise InvalidValueError(
            f"words must be a list of words; got one string, {words[:40]!r}. Split it first."
        )
    words = list(words)
    for position, word in enumerate(words):
        if not isinstance(word, str) or not word or word != word.strip():
            raise InvalidValueError(
                f"words must be non-empty text without spaces around it; got {word!r} at position {position}."
            )
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    stops = np.cumsum(lengths + 1) - 1
    return " ".join(words), np.stack([stops - lengths, stops], axis=1).astype(np.int64)
