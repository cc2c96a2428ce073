"""Make a small data set as a new user has it: NIfTI runs, events, a stimulus table, a description, a study.

``python own_data.py FOLDER`` writes three people, four runs each, twelve words, and three regions, two
of them with a known geometry: "meaning" follows the words' category, "form" their length, "noise" nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import yaml

WORDS = {
    "horse": ("animal", 5),
    "ox": ("animal", 2),
    "cat": ("animal", 3),
    "elephant": ("animal", 8),
    "donkey": ("animal", 6),
    "goat": ("animal", 4),
    "fork": ("tool", 4),
    "saw": ("tool", 3),
    "scissors": ("tool", 8),
    "hammer": ("tool", 6),
    "axe": ("tool", 3),
    "shovel": ("tool", 6),
}
SUBJECTS, RUNS, TR, N_TIMES, SHAPE = ("s01", "s02", "s03"), ("1", "2", "3", "4"), 2.0, 100, (6, 5, 3)
REGIONS = {1: "meaning", 2: "form", 3: "noise"}
AFFINE = np.array([[-3.0, 0, 0, 9], [0, 3, 0, -6], [0, 0, 3, 0], [0, 0, 0, 1]])


def make(folder: Path, *, strength: float = 0.3, seed: int = 0) -> Path:
    """Write everything below ``folder`` and return the path of the study."""
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    parcels = _parcels()
    nib.save(nib.Nifti1Image(parcels, AFFINE), folder / "data" / "regions.nii.gz")
    table = pd.DataFrame({"index": list(REGIONS), "name": list(REGIONS.values())})
    table.to_csv(folder / "data" / "regions.tsv", sep="\t", index=False)
    table = pd.DataFrame(
        [(word, f"This is about a {word}.", *about) for word, about in WORDS.items()],
        columns=["stimulus", "text", "category", "length"],
    )
    table.to_csv(folder / "data" / "stimuli.tsv", sep="\t", index=False)
    for name in SUBJECTS:
        own = rng.standard_normal((2, int((parcels == 1).sum())))
        for run in RUNS:
            _run(folder / "data" / name, run, own, parcels, strength, rng)
    for name, matrix in models().items():
        matrix.to_csv(folder / f"{name}.tsv", sep="\t", index_label="stimulus")
    (folder / "words.yaml").write_text(yaml.safe_dump(DESCRIPTION, sort_keys=False))
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return folder / "study.yaml"


def models() -> dict[str, pd.DataFrame]:
    """Return the model RDMs as square tables: category (0 or 1) and the difference of lengths."""
    names = list(WORDS)
    category, length = zip(*WORDS.values(), strict=True)
    values = {
        "category": [[float(a != b) for b in category] for a in category],
        "length": [[float(abs(a - b)) for b in length] for a in length],
    }
    return {name: pd.DataFrame(matrix, index=names, columns=names) for name, matrix in values.items()}


def _parcels() -> np.ndarray:
    """Return three regions of 30 voxels, one a slice."""
    return np.broadcast_to(np.arange(1, 4, dtype=np.int16), SHAPE).copy()


def _run(
    folder: Path, run: str, own: np.ndarray, parcels: np.ndarray, strength: float, rng: np.random.Generator
) -> None:
    from neuroalign.datasets import spm_hrf

    folder.mkdir(parents=True, exist_ok=True)
    shown = [*rng.permutation(list(WORDS)), *rng.permutation(list(WORDS))]
    onsets = 4.0 + 7.5 * np.arange(len(shown))
    events = pd.DataFrame({"onset": onsets, "duration": 2.0, "trial_type": shown})
    events.to_csv(folder / f"run-{run}_events.tsv", sep="\t", index=False)
    fine = np.zeros((int(N_TIMES * TR * 10), len(WORDS)))
    for onset, word in zip(onsets, shown, strict=True):
        fine[int(onset * 10) : int((onset + 2) * 10), list(WORDS).index(word)] = 1
    response = spm_hrf(0.1)
    course = np.stack([np.convolve(box, response)[: len(fine)] for box in fine.T], axis=1)
    course = course[int(TR * 5) :: int(TR * 10)]
    course /= course.max()
    animal = np.array([1.0 if about[0] == "animal" else -1.0 for about in WORDS.values()])
    length = np.array([about[1] for about in WORDS.values()]) - 5.0
    values = 100 + rng.standard_normal((N_TIMES, parcels.size))
    flat = parcels.reshape(-1)
    values[:, flat == 1] += strength * course @ np.outer(animal, own[0])
    values[:, flat == 2] += 0.5 * strength * course @ np.outer(length, own[1])
    image = nib.Nifti1Image(values.T.reshape(*SHAPE, N_TIMES).astype(np.float32), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((3, 3, 3, TR))
    nib.save(image, folder / f"run-{run}_bold.nii.gz")


DESCRIPTION = {
    "name": "words",
    "title": "Twelve words, three people (simulated)",
    "licence": "CC0",
    "cite": "made by a script",
    "kind": "volumes",
    "root": "data",
    "stimuli": "stimuli.tsv",
    "images": "{subject}/run-{run}_bold.nii.gz",
    "events": "{subject}/run-{run}_events.tsv",
    "parcels": "regions.nii.gz",
    "parcel_names": "regions.tsv",
}
STUDY = {
    "name": "words",
    "title": "Twelve words, three people (simulated)",
    "own": {
        "data": "words.yaml",
        "models": {"category": "category.tsv", "length": "length.tsv"},
        "metric": "crossnobis",
        "simulated": True,
    },
}

if __name__ == "__main__":
    print(make(Path(sys.argv[1])))  # noqa: T201
