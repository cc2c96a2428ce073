"""How each kind of file is read, and what must hold of what was read."""

from __future__ import annotations

import contextlib

import seeds

QUIET = {"progress": False}


def tables(folder):
    from neuroalign import stimuli
    from neuroalign.workflow.extract_command import read_stimuli

    table = stimuli.read_table(folder / "words.tsv", columns=["text"])
    assert table["stimulus"].is_unique and table["text"].map(lambda text: bool(text.strip())).all()
    read_stimuli(str(folder / "words.tsv"))


def plain_table(folder):
    """``io.read_table`` never moves a value to another column or invents one."""
    from neuroalign import io

    path = folder / "x.tsv"
    table = io.read_table(path, text=("trial_type",))
    assert type(table.index).__name__ == "RangeIndex", "a column became the index"
    text = path.read_text(encoding="utf-8-sig")  # a first line of a byte order mark alone is empty
    rows = [line for line in text.splitlines() if line.strip()]
    if not any(mark in text for mark in '"\r\0\u2028\x85\x0b\x0c\x1c\x1d\x1e'):
        widths = {len(row.split("\t")) for row in rows}
        assert len(widths) == 1, f"rows of {sorted(widths)} fields were read as a table"
        assert len(table) == len(rows) - 1, f"{len(rows) - 1} rows became {len(table)}"


def text_grid(folder):
    import numpy as np

    from neuroalign.errors import InvalidValueError, LabelError
    from neuroalign.stimuli import read_textgrid, words_from_textgrid

    path = folder / "a.TextGrid"
    table = read_textgrid(path)
    times = table[["onset", "offset"]].to_numpy()
    assert np.isfinite(times).all() and (times[:, 1] >= times[:, 0]).all()
    with contextlib.suppress(InvalidValueError, LabelError):  # no such tier any more, or no word on it
        words_from_textgrid(path, "word")


def events(folder):
    from neuroalign.datasets import read_events

    table = read_events(folder / "x_events.tsv")
    assert table["onset"].dtype == table["duration"].dtype == float


def described(folder):
    from neuroalign import datasets

    path = folder / "mine.yaml"
    datasets.read_description(path)
    datasets.described_subjects(path)
    datasets.read_described(path, what="stimuli")
    datasets.read_described(path, subject="01", progress=False)


def description(folder):
    from neuroalign.datasets import read_description
    from neuroalign.datasets.own.description_files import open_described

    read_description(folder / "mine.yaml")
    open_described(folder / "mine.yaml").named()


def study(folder):
    from neuroalign.workflow.config import load_study
    from neuroalign.workflow.examples import load_study_with_examples

    load_study_with_examples(folder / "study.yaml")
    load_study(folder / "study.yaml")


def rdms(folder):
    import numpy as np

    from neuroalign.datasets import read_rdm_table
    from neuroalign.workflow.rsa_files import data_rdms, model_rdms

    path = folder / "rdm.tsv"
    assert read_rdm_table(path).dtype == np.float64
    data_rdms(path, metric="correlation", roi=None)
    model_rdms([f"x={path}"], metric="correlation")


def volumes(extension):
    def read(folder):
        from neuroalign import datasets, io
        from neuroalign.datasets.images.parcels import read_names

        image, mask, parcels = (folder / f"{name}{extension}" for name in ("bold", "mask", "parcels"))
        io.read_nifti(image)
        io.read_nifti(mask)
        named = {"parcels": parcels, "parcel_names": folder / "names.tsv"}
        read_names(folder / "names.tsv")
        datasets.read_volumes(image, mask=mask, **named, **QUIET)
        datasets.read_regions(image, parcels, folder / "names.tsv", **QUIET)
        datasets.read_patterns(image, [f"s{i}" for i in range(seeds.N_TIMES)], mask=mask, **QUIET)

    return read


def surfaces(folder):
    from neuroalign import datasets

    def sides(kind):
        return tuple(folder / f"{side}.{kind}" for side in ("left", "right"))

    series = {"tr": 2.0, **QUIET}
    datasets.read_surfaces(*sides("func.gii"), mask=sides("shape.gii"), mesh=sides("surf.gii"), **series)
    for kind in ("label.gii", "annot"):
        datasets.read_surfaces(*sides("func.gii"), parcels=sides(kind), **series)
    datasets.read_surfaces(*sides("func.gii"), mask=sides("curv"), **series)


def cifti(folder):
    from neuroalign import datasets

    datasets.read_cifti(folder / "x.dtseries.nii", parcels=folder / "x.dlabel.nii", **QUIET)
    datasets.read_cifti(folder / "x.dtseries.nii", **QUIET)


def epochs(folder):
    from neuroalign.datasets import read_epochs

    read_epochs(folder / "sub-01-epo.fif", by="image")
    read_epochs([folder / "sub-01-epo.fif"], average=True)
    read_epochs(folder / "sub-01-ave.fif")


def eeglab(folder):
    from neuroalign.datasets import read_epochs

    read_epochs(folder / "sub-01.set")


def bids(folder):
    from neuroalign import datasets

    runs = datasets.find_bids(folder, task="look")
    datasets.read_bids(runs, mask=folder / "mask.nii.gz", **QUIET)


def source(name, folder):
    """Return a data set's source that takes the files as they are: what lies behind the digests is tried."""
    from neuroalign.datasets.sources import Source, find_set

    class Unchecked(Source):
        def file(self, path):
            self.used[path] = "0" * 64
            return self.folder / path

    return Unchecked(find_set(name), folder)


def known(name, module, *functions, **options):
    """Return what reads a known data set, behind its digests."""

    def read(folder):
        from importlib import import_module

        room = import_module(f"neuroalign.datasets.known.{module}")
        for function in functions:
            getattr(room, function)(source(name, folder), **options)

    return read


def numbers(folder):
    from neuroalign.datasets.sources import read_numbers

    assert read_numbers(source("alice_fmri", folder), "x.txt", (3, 2)).shape == (3, 2)


def labelled(folder):
    from neuroalign import io

    io.load(folder / "x.nc")
    io.stored_digest(folder / "x.nc")


def layers(folder):
    from neuroalign import io

    path = folder / "layers.nc"
    io.layers_digest(path)
    io.layer_attrs(path)
    for name in io.layer_names(path):
        io.read_layer(path, name)


def manifest(folder):
    from neuroalign import io

    for entry in io.read_manifest(folder / "manifest.json").values():
        assert all(".." not in path.split("/") and not path.startswith("/") for path in entry.files)


def json_file(folder):
    from neuroalign import io

    io.read_json(folder / "x.json")


def text_file(folder):
    from neuroalign import io

    io.read_text(folder / "x.txt")


def judgements(folder):
    from neuroalign import datasets, io

    table = io.read_table(folder / "pairs.tsv", text=("subject", "stimulus_a", "stimulus_b"))
    datasets.similarity_judgements(table, kind="pairs", higher_is="different")
    names = ("stimulus_a", "stimulus_b", "stimulus_c", "odd")
    table = io.read_table(folder / "triplets.tsv", text=("subject", *names))
    datasets.similarity_judgements(table, kind="triplets")


def reading(folder):
    from neuroalign import datasets, io

    table = io.read_table(folder / "rt.tsv", text=("subject", "stimulus"))
    datasets.reading_times(table, coords=["length"], nuisance=["position"])


def sizes(folder):
    from neuroalign.workflow.model_files import model_sizes

    gguf = folder / "tiny.gguf"
    model_sizes(gguf if gguf.exists() else folder)


def figure(folder):
    from neuroalign.workflow.reporting.figures import read_figure
    from neuroalign.workflow.reporting.tables import compare_tables

    found = read_figure(folder, 1)
    table = [found.header, *found.cells]
    compare_tables(table, table)
    _ = (found.title, found.caption, found.alt, found.notes, found.provenance, found.rows)


def own(folder):
    """What a study takes from files of its user beside tables."""
    from neuroalign.workflow.rsa_files import data_rdms

    data_rdms(folder / "x.nc", metric="euclidean", roi="V1")
