"""What a study's words for its data stand for: embedded sets, data sets by name, or the user's own files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from .. import datasets, io, stats, stimuli
from ..errors import FileError, LabelError, ShapeError, listing
from ..schema import check
from .sections import Lesions, Localizer, Story

__all__ = [
    "LayerFile",
    "localizer_stimuli",
    "low_level_features",
    "minimal_pairs",
    "own_series",
    "story_words",
]


STEP, LEAD = (
    0.1,
    40.0,
)  # seconds: grid of the low-level features, and how far before the first volume it begins


class LayerFile(Mapping[str, xr.DataArray]):
    """The layers of an activation file as a mapping: each is read, and its digest checked, when asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.names = io.layer_names(self.path)
        self.label = str(io.layer_attrs(self.path).get("label", ""))

    def __getitem__(self, layer: str) -> xr.DataArray:
        return io.read_layer(self.path, layer)

    def __contains__(self, layer: object) -> bool:
        return layer in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def localizer_stimuli(section: Localizer) -> pd.DataFrame:
    """Return the localizer's stimulus table: columns stimulus, text, condition, run."""
    if section.stimuli == "embedded":
        table = stimuli.localizer()
    elif section.stimuli in datasets.LOADERS:
        table = datasets.load(section.stimuli)
    else:
        table = stimuli.read_table(section.stimuli)
    stimuli.check_table(table, columns=("text", "condition", "run"), name=section.stimuli)
    present = sorted(set(table["condition"]))
    missing = {section.positive, section.negative} - set(present)
    if missing:
        raise LabelError(
            f"{section.stimuli} lacks the conditions {listing(missing)}; it has {listing(present)}."
        )
    return table


def minimal_pairs(section: Lesions) -> pd.DataFrame:
    """Return the minimal pairs of a study, the first ``per_paradigm`` of each paradigm."""
    if section.pairs == "blimp":
        return datasets.load("blimp", per_paradigm=section.per_paradigm)
    if section.pairs == "embedded":
        table = stimuli.minimal_pairs()
    else:
        table = io.read_table(section.pairs, text=("pair", "paradigm", "field", "good", "bad"))
    if section.per_paradigm is None:
        return table
    return table.groupby("paradigm", sort=False).head(section.per_paradigm).reset_index(drop=True)


def story_words(section: Story) -> pd.DataFrame:
    """Return the story's words: columns stimulus, text, onset, offset, in seconds of the responses' time."""
    if section.responses == "simulated":
        return stimuli.story()
    if section.words is None:
        return datasets.load(section.responses, what="words")
    table = stimuli.read_table(section.words)
    return stimuli.check_table(table, columns=("text", "onset", "offset"), name=section.words)


def own_series(path: str | Path) -> xr.DataArray:
    """Return the user's series (time, neuroid) with subject and roi, from a file of ``io.save``."""
    series = io.load(path)
    if not isinstance(series, xr.DataArray):
        raise ShapeError(f"{path} must hold one series (time, neuroid); it holds a Dataset.")
    check(series, "series", name=str(path))
    missing = [name for name in ("subject", "roi") if name not in series.coords]
    if missing:
        raise FileError(f"{path}: neuroids need the coordinates subject and roi; {listing(missing)} missing.")
    return series


def low_level_features(words: pd.DataFrame, times: np.ndarray, tr: float) -> xr.DataArray:
    """Return word rate and letter rate under the canonical HRF, (time, feature), z-scored.

    What a listener's brain follows without understanding a word: the baseline for every model. Words are
    counted on a grid of 0.1 s before the convolution: so counted, the word rate agrees with the one shipped
    with alice_fmri at r = .99, and counted at the rate of the volumes at .91.
    """
    start = times[0] - LEAD
    edges = start + STEP * np.arange(round((times[-1] + tr - start) / STEP) + 1)
    letters = words["text"].str.count(r"\w").to_numpy(dtype=float)
    rates = [np.histogram(words["onset"], bins=edges, weights=w)[0] for w in (None, letters)]
    fine = datasets.convolve_hrf(np.stack(rates, axis=1).astype(float), STEP)
    values = fine[np.round((times - start) / STEP).astype(int)]
    return xr.DataArray(
        stats.standardize(values),
        dims=("time", "feature"),
        coords={"time": times, "feature": ["word rate", "letter rate"]},
        name="baseline",
    )
