"""One integer and a path of names give an independent numpy Generator."""

from __future__ import annotations

import hashlib

import numpy as np

from .errors import InvalidValueError

__all__ = ["generator"]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return the random generator that belongs to ``seed`` and a path of names.

    The same seed and path give the same stream on every machine; two different paths give independent
    streams, so that adding a draw in one place changes none elsewhere.

    Parameters
    ----------
    seed : int
        Non-negative. The one seed of a study.
    *path : str or int
        What the draws are for, such as ``"lesion", "uniform", 3``.

    Raises
    ------
    InvalidValueError
        If the seed is no non-negative integer.

    Examples
    --------
    >>> a = generator(0, "lesion", 1).random()
    >>> b = generator(0, "lesion", 1).random()
    >>> c = generator(0, "lesion", 2).random()
    >>> a == b, a == c
    (True, False)
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidValueError(f"seed must be a non-negative integer; got {seed!r}.")
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in path)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([int(seed), *map(int, words)]))
