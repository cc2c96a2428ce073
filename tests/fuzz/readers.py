"""Every reader that takes a file from outside: valid files, how to read them, which functions that covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import reading
import seeds
import seeds_more as more
from wrappings import Framed, Sealed, wrapping_of

__all__ = ["EXEMPT", "READERS", "Reader"]


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    ``make(folder)`` writes valid files and returns those that may be damaged; ``read(folder)`` reads them;
    ``covers`` names functions as "module.function" below ``neuroalign``. ``short`` and ``long``: how many.
    ``good`` is how reading the valid files ends.
    """

    name: str
    make: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]
    covers: tuple[str, ...]
    short: int = 60
    long: int = 2000
    wrapping: Callable[[Path], Any] = wrapping_of
    good: str = "read"


ROWS = [
    Reader(
        "stimulus table",
        seeds.text("words.tsv", seeds.STIMULI),
        reading.tables,
        ("stimuli.tables.read_table", "stimuli.tables.parse_table", "workflow.extract_command.read_stimuli"),
        100,
    ),
    Reader(
        "plain table", seeds.text("x.tsv", seeds.EVENTS), reading.plain_table, ("io.files.read_table",), 100
    ),
    Reader(
        "events",
        seeds.text("x_events.tsv", seeds.EVENTS),
        reading.events,
        ("datasets.bold.events.read_events",),
        100,
    ),
    Reader(
        "RDM table",
        seeds.text("rdm.tsv", seeds.RDM),
        reading.rdms,
        ("datasets.own.rdm_tables.read_rdm_table",),
        60,
    ),
    Reader("judgements", more.judgements, reading.judgements, (), 40),
    Reader("reading times", more.reading, reading.reading, (), 40),
    Reader(
        "TextGrid",
        seeds.text("a.TextGrid", seeds.GRID),
        reading.text_grid,
        ("stimuli.textgrid.read_textgrid",),
        100,
    ),
    Reader(
        "TextGrid in UTF-16", seeds.text("a.TextGrid", seeds.GRID.encode("utf-16")), reading.text_grid, (), 40
    ),
    Reader("JSON", more.manifest, reading.manifest, ("io.manifests.read_manifest",), 100),
    Reader(
        "JSON of any kind",
        seeds.text("x.json", '{"a": [1, 2.5e3, null, "ü"], "b": {"c": true}}'),
        reading.json_file,
        ("io.files.read_json",),
        60,
    ),
    Reader(
        "text",
        seeds.text("x.txt", "Zoë\n"),
        reading.text_file,
        ("io.files.read_text", "io.files.read_bytes"),
        40,
    ),
    Reader(
        "study",
        seeds.text("study.yaml", seeds.STUDY),
        reading.study,
        (
            "settings.read_settings",
            "workflow.config.load_study",
            "workflow.examples.load_study_with_examples",
        ),
        100,
    ),
    Reader(
        "description",
        lambda folder: seeds.described(folder)[:1],
        reading.description,
        ("datasets.own.description.read_description", "datasets.own.description_files.open_described"),
        60,
    ),
    Reader(
        "described data",
        seeds.described,
        reading.described,
        ("datasets.own.described.read_described",),
        30,
        1000,
    ),
    Reader(
        "NIfTI",
        seeds.volumes(".nii"),
        reading.volumes(".nii"),
        (
            "io.images.read_nifti",
            "datasets.images.volumes.read_volumes",
            "datasets.images.volumes.read_patterns",
            "datasets.images.regions.read_regions",
            "datasets.images.grids.load_image",
            "datasets.images.slabs.open_volumes",
            "datasets.images.parcels.read_names",
        ),
    ),
    Reader("NIfTI, compressed", seeds.volumes(".nii.gz"), reading.volumes(".nii.gz"), ()),
    Reader(
        "GIfTI and FreeSurfer",
        seeds.surfaces,
        reading.surfaces,
        (
            "datasets.images.surfaces.read_surfaces",
            "datasets.images.regions.read_surface_regions",
            "datasets.images.hemispheres.load_surface",
            "datasets.images.hemispheres.read_mesh",
            "datasets.images.hemispheres.read_mask",
            "datasets.images.hemispheres.read_surface_parcels",
        ),
    ),
    Reader(
        "CIFTI",
        seeds.cifti,
        reading.cifti,
        (
            "datasets.images.cifti.read_cifti",
            "datasets.images.regions.read_cifti_regions",
            "datasets.images.grayordinates.load_cifti",
            "datasets.images.grayordinates.read_label_parcels",
        ),
        40,
    ),
    Reader("FIF", more.epochs, reading.epochs, ("datasets.eeg.epoch_files.read_epochs",), 40, 1000),
    Reader("EEGLAB", more.eeglab, reading.eeglab, (), 30, 1000),
    Reader("BIDS tree", seeds.bids, reading.bids, ("datasets.own.bids_series.read_bids",), 4, 200),
    Reader(
        "MATLAB 5",
        more.fingers(compressed=False),
        reading.known("finger7t", "finger7t", "responses", "models"),
        (),
    ),
    Reader(
        "MATLAB 5, compressed",
        more.fingers(compressed=True),
        reading.known("finger7t", "finger7t", "models", "responses"),
        (),
        40,
    ),
    Reader(
        "MATLAB 7.3",
        more.fingers(compressed=False, version=7),
        reading.known("finger7t", "finger7t", "models"),
        (),
        30,
        300,
        good="refused",
    ),
    Reader("npz", more.movie, reading.known("szinte_prf_v1", "szinte", "stimulus"), (), 20, 500),
    Reader(
        "JSON of test suites",
        more.suite,
        reading.known("syntaxgym", "language", "suite_regions", "suite_predictions", suites=["cleft"]),
        (),
    ),
    Reader(
        "JSON lines", more.pairs, reading.known("blimp", "language", "blimp", paradigms=["causative"]), (), 20
    ),
    Reader(
        "CSV of a localizer", more.localizer, reading.known("langloc_stimuli", "language", "langloc"), (), 40
    ),
    Reader(
        "numbers as text",
        seeds.text("x.txt", "1 2\n3 4.5e-3\n-5 6\n"),
        reading.numbers,
        ("datasets.sources.read_numbers",),
    ),
    Reader("labelled array", more.labelled, reading.labelled, ("io.labelled.load",), 40),
    Reader(
        "labelled array, sealed anew",
        more.labelled,
        reading.labelled,
        (),
        40,
        wrapping=lambda path: Sealed(text=False),
    ),
    Reader(
        "data of a study, sealed anew",
        more.labelled,
        reading.own,
        (),
        20,
        wrapping=lambda path: Sealed(text=False),
    ),
    Reader("activations by layer", more.layers, reading.layers, ("io.layers.read_layer",), 40),
    Reader(
        "activations by layer, sealed anew",
        more.layers,
        reading.layers,
        (),
        40,
        wrapping=lambda path: Framed(text=False),
    ),
    Reader("network's head", more.network, reading.sizes, ()),
    Reader("GGUF's head", more.gguf, reading.sizes, ()),
    Reader("figure of a run", more.figure, reading.figure, ("workflow.reporting.figures.read_figure",)),
]
READERS = {reader.name: reader for reader in ROWS}

# Functions whose names begin as readers' do, and why no damaged file is given to them.
IS_OURS = "takes outputs of a step by io.load or io.read_layer, which check digests first"
NO_PATH = "takes no path"
EXEMPT = {
    "datasets.bold.cleaning.read_block": NO_PATH,
    "datasets.eeg.epochs.from_mne": "takes an object of mne; files are read by read_epochs",
    "datasets.images.cached.read_cache": "io.load, which checks the digest first",
    "datasets.loading.load": "opens files behind the packaged digests; one of each format is tried above",
    "datasets.sources.open_source": "finds a folder, reads nothing",
    "encoding.rotations.from_error": NO_PATH,
    "extraction.models.load_model": "transformers' readers; hostile files are tried in tests/faults",
    "localization.formulas.parse_formula": "takes a text; tests/localization/test_formulas.py",
    "workflow.steps.common.load_network": "load_model",
    "workflow.steps.lesioning.read_masks": IS_OURS,
    "workflow.steps.presets.read_moments": IS_OURS,
    "workflow.steps.sweep.read_scores": IS_OURS,
}
