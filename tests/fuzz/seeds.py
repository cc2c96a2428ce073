"""Small valid files of every kind that is read, made here; functions return those that may be damaged."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

AFFINE = np.array([[-3.0, 0, 0, 9], [0, 3, 0, -6], [0, 0, 3, 0], [0, 0, 0, 1]])
SHAPE, TR, N_TIMES = (4, 3, 2), 2.0, 12
SIDES = {"left": ("CortexLeft", 8), "right": ("CortexRight", 6)}

GRID = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "word"
        xmin = 0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "sp"
        intervals [2]:
            xmin = 0.5
            xmax = 1.25
            text = "Alice "
        intervals [3]:
            xmin = 1.25
            xmax = 3.5
            text = "said ""oh"""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click"
'''
STIMULI = 'stimulus\ttext\tcondition\trun\tlength\ns1\t"A ""dog"" barks."\tsentence\t1\t12.5\n'
STIMULI += "s2\tNA\tnonword\t1\tn/a\ns3\tZoë, the cat\tsentence\t2\t-3e2\n007\tnull\tnonword\t2\t0\n"
EVENTS = "onset\tduration\ttrial_type\tresponse_time\tstim_file\n"
EVENTS += "".join(
    f"{2 + 5 * i}\t{1.5 if i else 'n/a'}\t{'ab'[i % 2]}\t0.{i}31\t{i:03d}.png\n" for i in range(4)
)
RDM = "stimulus\tcat\tdog\tsaw\ndog\t2\t0\tn/a\ncat\t0\t2\t1.5\nsaw\t1.5\tn/a\t0\n"
STUDY = """name: mine        # small letters
title: "My study"
seed: 7
model: &model
  name: smollm2-135m
localizer:
  stimuli: embedded
  positive: sentence
  negative: nonword
lesions:
  pairs: embedded
  per_paradigm: 4
  n_controls: 20
story:
  responses: alice_fmri
  delays: [1, 2, 3, 4]
  n_folds: 6
objects: {responses: kriegeskorte92, methods: [pearson, spearman]}
"""
DESCRIPTION = """name: mine
title: 'My data: "words"'
licence: CC0-1.0
kind: volumes
root: .
stimuli: stimuli.tsv
subjects: ["01"]
images: "{subject}/run-{run}_bold.nii.gz"
events: "{subject}/run-{run}_events.tsv"
confounds: "{subject}/run-{run}_confounds.tsv"
confound_columns: [x, y]
parcels: parcels.nii.gz
parcel_names: parcels.tsv
tr: 2.0
glm: {method: condition, drift: polynomial, noise_model: ols}
exclude:
  stimuli: {c: misspelt}
"""


def text(name, content):
    """Return a maker of one text file."""

    def make(folder):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [path]

    return make


def volume(path, values, *, zooms=None):
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, AFFINE)
    if values.ndim == 4:
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((3, 3, 3, zooms or TR))
    nib.save(image, path)
    return path


def bold(path, seed=0, n_times=N_TIMES):
    values = np.random.default_rng(seed).normal(100, 5, (*SHAPE, n_times)).astype("f4")
    return volume(path, values)


def volumes(extension):
    """A run with its sidecar, a mask, parcels and their names."""

    def make(folder):
        parcels = np.zeros(SHAPE, dtype=np.int16)
        parcels[0], parcels[2] = 2, 1
        names = folder / "names.tsv"
        names.write_text("index\tname\n1\tV1\n2\tLOC\n")
        sidecar = folder / "bold.json"
        sidecar.write_text(json.dumps({"RepetitionTime": TR, "TaskName": "look", "SliceTiming": [0, 0.5, 1]}))
        return [
            bold(folder / f"bold{extension}"),
            volume(folder / f"mask{extension}", np.ones(SHAPE, dtype=np.uint8)),
            volume(folder / f"parcels{extension}", parcels),
            names,
            sidecar,
        ]

    return make


def described(folder):
    """A description of volumes with all that it names."""
    files = [folder / "mine.yaml", folder / "stimuli.tsv", folder / "parcels.tsv"]
    contents = (DESCRIPTION, "stimulus\tkind\na\tx\nb\ty\nc\ty\n", "index\tname\n1\tV1\n2\tLOC\n")
    for path, content in zip(files, contents, strict=True):
        path.write_text(content)
    parcels = np.ones(SHAPE, dtype=np.int16)
    parcels[2:] = 2
    files.append(volume(folder / "parcels.nii.gz", parcels))
    rng = np.random.default_rng(0)
    for run in (1, 2):
        stem = folder / "01" / f"run-{run}"
        files.append(bold(stem.with_name(f"run-{run}_bold.nii.gz"), run, 30))
        events = stem.with_name(f"run-{run}_events.tsv")
        events.write_text(EVENTS.replace("n/a", "1"))
        confounds = stem.with_name(f"run-{run}_confounds.tsv")
        confounds.write_text(
            pd.DataFrame(rng.normal(size=(30, 3)), columns=list("xyz")).to_csv(sep="\t", index=False)
        )
        files += [events, confounds]
    return files


def bids(folder):
    """A raw tree with two runs; what may be damaged are its sidecars, events, and one image."""
    files = {
        "dataset_description.json": json.dumps({"Name": "x", "BIDSVersion": "1.8.0"}),
        "task-look_bold.json": json.dumps({"RepetitionTime": TR, "TaskName": "look"}),
        "participants.tsv": "participant_id\tage\nsub-01\t30\n",
    }
    for run in (1, 2):
        stem = f"sub-01/func/sub-01_task-look_run-{run}"
        files[f"{stem}_events.tsv"] = EVENTS
        files[f"{stem}_bold.json"] = json.dumps({"RepetitionTime": TR})
        bold(folder / f"{stem}_bold.nii.gz", run)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    volume(folder / "mask.nii.gz", np.ones(SHAPE, dtype=np.uint8))
    return [folder / name for name in files] + [folder / "sub-01/func/sub-01_task-look_run-1_bold.nii.gz"]


def surfaces(folder):
    """One run of both hemispheres, a mesh, a mask, labels, an annotation."""
    import nibabel as nib
    from nibabel.freesurfer import write_annot, write_morph_data
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable, GiftiMetaData

    rng, files = np.random.default_rng(0), []
    for side, (word, n) in SIDES.items():
        rows = [
            GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES", datatype="float32")
            for row in rng.normal(100, 5, (5, n)).astype("f4")
        ]
        meta = GiftiMetaData({"AnatomicalStructurePrimary": word})
        table = GiftiLabelTable()
        for key, name in enumerate(("???", "V1", "LOC")):
            label = GiftiLabel(key=key, red=0, green=0, blue=0, alpha=1)
            label.label = name
            table.labels.append(label)
        labels = GiftiDataArray((np.arange(n) % 3).astype("i4"), intent="NIFTI_INTENT_LABEL")
        mesh = [
            GiftiDataArray(rng.normal(size=(n, 3)).astype("f4"), intent="NIFTI_INTENT_POINTSET"),
            GiftiDataArray(np.array([[0, 1, 2]], dtype="i4"), intent="NIFTI_INTENT_TRIANGLE"),
        ]
        mask = GiftiDataArray(np.ones(n, dtype="i4"), intent="NIFTI_INTENT_NONE")
        images = {
            "func": GiftiImage(darrays=rows, meta=meta),
            "label": GiftiImage(darrays=[labels], labeltable=table),
            "surf": GiftiImage(darrays=mesh),
            "shape": GiftiImage(darrays=[mask]),
        }
        for kind, image in images.items():
            files.append(folder / f"{side}.{kind}.gii")
            nib.save(image, files[-1])
        colours = np.array([[0, 0, 0, 0, 0], [9, 9, 9, 0, 1]])
        files += [folder / f"{side}.annot", folder / f"{side}.curv"]
        write_annot(files[-2], np.arange(n) % 2, colours, ["unknown", "V1"], fill_ctab=True)
        write_morph_data(files[-1], np.ones(n, dtype="f4"))
    return files


def cifti(folder):
    import nibabel as nib
    from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis, SeriesAxis

    deep = np.zeros((4, 5, 6), dtype=bool)
    deep[1:3, 2, 3:5] = True
    axis = BrainModelAxis.from_surface(np.arange(1, 5), 10, name="CortexLeft")
    axis = axis + BrainModelAxis.from_mask(deep, name="ThalamusLeft", affine=AFFINE)
    values = np.random.default_rng(0).normal(size=(6, len(axis))).astype("f4")
    names = {0: ("???", (0, 0, 0, 0)), 1: ("V1", (1, 0, 0, 1)), 2: ("pulvinar", (0, 1, 0, 1))}
    labels = np.array([[1, 1, 0, 0, 2, 2, 0, 2]], dtype="f4")
    files = [folder / "x.dtseries.nii", folder / "x.dlabel.nii"]
    nib.save(Cifti2Image(values, (SeriesAxis(0, 1.5, 6), axis)), files[0])
    nib.save(Cifti2Image(labels, (LabelAxis(["x"], [names]), axis)), files[1])
    return files
