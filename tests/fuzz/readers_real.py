"""Real files, damaged in a temporary folder: what other programs wrote, where the data sets are at hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import reading
from readers import Reader

__all__ = ["REAL"]


def copies(*files):
    """Return a maker that copies files of the data sets; a pair gives the path of the copy."""

    def make(folder):
        made = []
        for source, name in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(os.environ["NEUROALIGN_DATA"], source), path)
            made.append(path)
        return made

    return make


def one(name, of):
    return lambda folder: of(folder / name)


def grid(path):
    from neuroalign.stimuli import read_textgrid

    read_textgrid(path)


def volume(path):
    from neuroalign import io

    io.read_nifti(path)


def averages(path):
    from neuroalign.datasets import read_epochs

    read_epochs(path)


def mgh(path):
    from neuroalign.datasets.known.language_parcels import _values

    _values(path)


HAXBY = "haxby_slice/haxby2001/sub001/BOLD/task001_run001"
STORY = "alice_fmri/alice_stim_shared/DownTheRabbitHoleFinal_exp120_pad_1.TextGrid"
PARCELS = "language_parcels/lh_langParcels_symmetrical.mgh"
ROWS = [
    Reader("TextGrid of alice_fmri", copies((STORY, "a.TextGrid")), one("a.TextGrid", grid), (), 12, 200),
    Reader(
        "events of haxby_slice",
        copies((f"{HAXBY}/bold_events.tsv", "x_events.tsv")),
        reading.events,
        (),
        40,
        500,
    ),
    Reader(
        "image of haxby_slice",
        copies((f"{HAXBY}/bold_1slice.nii.gz", "x.nii.gz")),
        one("x.nii.gz", volume),
        (),
        12,
        200,
    ),
    Reader(
        "MATLAB of kriegeskorte92",
        copies(("kriegeskorte92/92_modelRDMs.mat", "92_modelRDMs.mat")),
        reading.known("kriegeskorte92", "kriegeskorte", "models"),
        (),
        12,
        300,
    ),
    Reader(
        "FIF of n400_group_eeg",
        copies(("n400_group_eeg/group_data/sentence_n400_p12-ave.fif", "p12-ave.fif")),
        one("p12-ave.fif", averages),
        (),
        10,
        200,
    ),
    Reader(
        "suite of syntaxgym",
        copies(("syntaxgym/suites/cleft.json", "suites/cleft.json")),
        reading.known("syntaxgym", "language", "suite_regions", "suite_predictions", suites=["cleft"]),
        (),
        20,
        300,
    ),
    Reader("MGH of language_parcels", copies((PARCELS, "lh.mgh")), one("lh.mgh", mgh), (), 12, 200),
]
REAL = {reader.name: reader for reader in ROWS}
