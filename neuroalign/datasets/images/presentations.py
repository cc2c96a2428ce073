"""Labels of volumes that each show one stimulus, once or several times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import LabelError, ShapeError

__all__ = ["presentations"]


def presentations(
    stimuli: Sequence[str], runs: Sequence[Any] | None, lengths: Sequence[int]
) -> tuple[dict[str, Any], str]:
    """Return the coordinates of the volumes, and the name of their dim.

    Parameters
    ----------
    stimuli : sequence of str
        One label a volume.
    runs : sequence of int or str, optional
        One label a volume, or one an image.
    lengths : sequence of int
        The number of volumes in each image.

    Returns
    -------
    coords : dict
    dim : {"stimulus", "presentation"}
        The second where a label is repeated.

    Examples
    --------
    >>> coords, dim = presentations(["face", "house", "face"], None, [3])
    >>> dim, coords["presentation"]
    ('presentation', ['face/1', 'house/1', 'face/2'])
    """
    labels = [] if isinstance(stimuli, str) else np.asarray(stimuli).tolist()
    n = sum(lengths)
    if isinstance(stimuli, str) or len(labels) != n:
        came = f"the string {stimuli!r}" if isinstance(stimuli, str) else f"{len(labels)}"
        raise ShapeError(f"stimuli must hold one label a volume, {n} in {len(lengths)} image(s); got {came}.")
    wrong = [label for label in labels if not isinstance(label, str) or not label]
    if wrong:
        raise LabelError(f"stimuli must be text; {len(wrong)} of {n} are not, such as {wrong[0]!r}.")
    run = None if runs is None else _per_volume(runs, lengths)
    repeated = len(set(labels)) < n
    dim = "presentation" if repeated else "stimulus"
    coords: dict[str, Any] = {"stimulus": (dim, np.array(labels))}
    if repeated:
        prefix = [f"{label}" if run is None else f"run-{r}/{label}" for label, r in _pairs(labels, run)]
        coords[dim] = _numbered(prefix, always=run is None)
    if run is not None:
        coords["run"] = (dim, run)
    return coords, dim


def _per_volume(runs: Sequence[Any], lengths: Sequence[int]) -> np.ndarray:
    found = np.asarray([]) if isinstance(runs, str) else np.asarray(runs)
    if found.shape == (len(lengths),):
        found = np.repeat(found, lengths)
    if found.shape != (sum(lengths),) or found.dtype.kind not in "iuU":
        raise ShapeError(
            f"runs must hold one label (whole number or text) for each of {sum(lengths)} volumes or of "
            f"{len(lengths)} images; got {runs!r}."
        )
    return found


def _pairs(labels: list[str], run: np.ndarray | None) -> list[tuple[str, Any]]:
    return list(zip(labels, [None] * len(labels) if run is None else run.tolist(), strict=True))


def _numbered(labels: list[str], *, always: bool) -> list[str]:
    """Return the labels with "/1", "/2", ... behind those that are repeated, or behind all."""
    total, seen, found = Counter(labels), Counter[str](), []
    for label in labels:
        seen[label] += 1
        found.append(f"{label}/{seen[label]}" if always or total[label] > 1 else label)
    return found
