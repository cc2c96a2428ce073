"""Sign flips: an exact test of means over subjects."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .permutations import permutation

__all__ = ["ENUMERATED", "sign_flips"]

# So many subjects have 4,096 patterns of signs; of more subjects' patterns some are drawn.
ENUMERATED = 12


def sign_flips(values: Any, *, n: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return the null distribution of means under flips of the subjects' signs.

    If subjects are independent and each one's score is symmetric about 0, all patterns of signs are equally
    likely: with ``p_value`` the test is exact whatever the scores' distribution, where Student's t test is
    exact for normal scores only. A difference of two scores is symmetric where nothing tells them apart.
    Whole subjects are flipped, so that ``max_p`` can use the dependence of the k tests.

    With s subjects a two-sided p cannot go below 2 / 2^s: below 6 subjects nothing is significant at .05.

    Parameters
    ----------
    values : array (n_subjects, k)
        NaN, a subject without that score, is left out of that mean.
    n : int, optional
        How many random patterns are drawn of more than 12 subjects; with up to 12 all patterns are taken.
    rng : numpy.random.Generator, optional
        For more than 12 subjects.

    Returns
    -------
    array (n_patterns, k)
        The pattern of the data is not among all patterns: ``p_value`` adds it. NaN where no subject has a
        score.

    Raises
    ------
    ShapeError
        If there is no subject.
    InvalidValueError
        If a draw is needed and ``n`` or ``rng`` is missing.

    References
    ----------
    Fisher 1935, The Design of Experiments, section 21; Nichols & Holmes 2002, Hum Brain Mapp 15:1.

    Examples
    --------
    >>> from neuroalign.stats import p_value
    >>> scores = np.array([[0.3], [0.4], [0.2], [0.5]])
    >>> null = sign_flips(scores)
    >>> null.shape, float(p_value(scores.mean(axis=0), null)[0])
    ((15, 1), 0.0625)
    """
    values = as_float(values, name="values", ndim=2, missing=True)
    n_subjects = len(values)
    if n_subjects == 0:
        raise ShapeError("values must have at least 1 subject; got 0.")
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    weighed = np.where(known, values, 0.0) / np.where(count, count, np.nan)
    if n_subjects <= ENUMERATED:
        patterns = np.arange(1, 2**n_subjects)[:, None] >> np.arange(n_subjects) & 1
        return (1 - 2 * patterns) @ weighed
    if n is None or rng is None:
        raise InvalidValueError(
            f"{n_subjects} subjects have more patterns of signs than can be listed (up to {ENUMERATED} "
            "subjects can): pass n, how many are drawn, and rng."
        )
    return permutation(
        lambda signs: signs @ weighed,
        n,
        permute=lambda drawn: 1 - 2 * drawn.integers(2, size=n_subjects),
        rng=rng,
    )
