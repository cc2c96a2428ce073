"""One table of everything that is written or read: a small example of each, for the tests of faults."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroalign import io
from neuroalign.errors import FileError

__all__ = ["ALIKE", "EXEMPT", "TABLE", "Example", "contents"]

LABELS = np.array([f"stimulus-{i:03d} é" for i in range(60)])
WIDTHS = {"h.0": 40, "h.1": 25}


@dataclass(frozen=True)
class Example:
    """What is written by a call and read by others.

    ``write(folder, version)`` writes files ``names`` of version 0 or 1 into a folder that is there;
    ``read(folder)`` reads them with everything that has a digest, and returns what can be compared.
    ``calls`` are the public functions of ``neuroalign.io`` that both use. A damage of ``guarded`` is refused
    by ``read``. ``resumes``: what was interrupted leaves what the next call goes on with.
    """

    write: Callable[[Path, int], Any]
    names: tuple[str, ...]
    read: Callable[[Path], Any]
    calls: tuple[str, ...]
    guarded: tuple[str, ...] = ()
    resumes: bool = False


def draws(version: int, *shape: int) -> np.ndarray:
    """Return the values of a version."""
    return np.random.default_rng(version).normal(size=shape)


def activations(version: int) -> xr.DataArray:
    """Return activations (stimulus, unit)."""
    return xr.DataArray(
        draws(version, 60, 40).astype(np.float32),
        dims=("stimulus", "unit"),
        coords={"stimulus": LABELS, "layer": ("unit", ["h.0"] * 40)},
        attrs={"model": "tiny", "ünï": [1, None]},
        name="activations",
    )


def responses(version: int) -> xr.DataArray:
    """Return responses (presentation, neuroid) with subject and run."""
    coords = {
        "stimulus": ("presentation", LABELS),
        "run": ("presentation", np.repeat([1, 2], 30)),
        "neuroid": [f"v{i}" for i in range(30)],
        "roi": ("neuroid", ["V1", "IT"] * 15),
    }
    return xr.DataArray(draws(version, 60, 30), dims=("presentation", "neuroid"), coords=coords)


def rdms(version: int) -> xr.DataArray:
    """Return the RDMs of three subjects (subject, pair)."""
    from neuroalign.rsa import rdm

    each = [rdm(activations(version + 2 * k), metric="euclidean") for k in range(3)]
    return xr.concat(each, pd.Index(["s1", "s2", "s3"], name="subject"), join="override")


def scores(version: int) -> xr.Dataset:
    """Return scores, a Dataset with an undefined value and its count."""
    values = draws(version, 3, 200)
    values[0, 0] = np.nan
    score = (("fold", "neuroid"), values)
    return xr.Dataset({"score": score, "n_undefined": ((), 1), "passed": (("neuroid",), values[1] > 0)})


def masks(version: int) -> xr.DataArray:
    """Return a mask of units (unit,) with layers and sites."""
    index = np.tile(np.arange(200), 2)
    coords = {"layer": ("unit", np.repeat(["h.0", "h.1"], 200)), "index": ("unit", index)}
    return xr.DataArray(draws(version, 400) > 1, dims="unit", coords=coords, name="mask")


def maps(version: int) -> xr.DataArray:
    """Return two maps of 300 voxels."""
    voxels = np.argwhere(np.ones((10, 6, 5)))
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    coords = {"map": ["r2", "z"], "neuroid": [f"v{i}" for i in range(300)]}
    coords |= {name: ("neuroid", voxels[:, axis]) for axis, name in enumerate("ijk")}
    attrs = {"affine": affine.tolist(), "shape": [16, 16, 16]}
    return xr.DataArray(draws(version, 2, 300), dims=("map", "neuroid"), coords=coords, attrs=attrs)


def surface(version: int) -> xr.DataArray:
    """Return one map of 300 vertices."""
    return xr.DataArray(
        draws(version, 300),
        dims="neuroid",
        coords={"neuroid": [f"v{i}" for i in range(300)], "vertex": ("neuroid", np.arange(300))},
        attrs={"n_vertices": 642},
        name="r2",
    )


def table(version: int) -> pd.DataFrame:
    """Return a table with words, numbers and undefined values."""
    values = draws(version, 600)
    values[::7] = np.nan
    return pd.DataFrame({"word": [f"wörd {i}" for i in range(600)], "value": values, "n": np.arange(600)})


def _labelled(make: Callable[[int], Any]) -> Example:
    def write(folder: Path, version: int) -> None:
        io.save(make(version), folder / "x.nc", seed=version, inputs={"a": "0"}, params={"k": 1})

    def read(folder: Path) -> Any:
        found = io.load(folder / "x.nc")
        found.attrs.pop("provenance")
        return io.content_digest(found), io.stored_digest(folder / "x.nc")

    return Example(write, ("x.nc",), read, ("save", "load", "content_digest", "stored_digest"), ("x.nc",))


def _layers(plan: str | None) -> Example:
    def write(folder: Path, version: int) -> None:
        values = {name: draws(version + k, 60, n) for k, (name, n) in enumerate(WIDTHS.items())}
        with io.layer_writer(folder / "x.nc", WIDTHS, LABELS, {"model": "tiny"}, plan=plan) as writer:
            (done,) = writer.mark or [0]
            for start in range(done, 60, 30):
                rows = np.arange(start, start + 30)
                writer.write(rows, {n: block[rows] for n, block in values.items()}, mark=[start + 30])

    def read(folder: Path) -> Any:
        path = folder / "x.nc"
        found = [io.content_digest(io.read_layer(path, name)) for name in io.layer_names(path)]
        return found, io.layer_attrs(path), io.layers_digest(path)

    calls = ("layer_writer", "LayerWriter", "read_layer", "layer_names", "layer_attrs", "layers_digest")
    return Example(write, ("x.nc",), read, calls, ("x.nc",), resumes=plan is not None)


def _image(save: Callable[[Path, int], Any], names: tuple[str, ...], call: str) -> Example:
    def read(folder: Path) -> Any:
        found = io.read_table(folder / "v1.tsv", text=("neuroid",)).to_csv()
        made = io.read_json(folder / "v1.provenance.json")
        image = folder / names[0]
        if ".nii" in names[0]:
            return found, made["sha256"], io.content_digest(io.read_nifti(image))
        return found, made["sha256"], io.file_digest(image)

    guarded = tuple(name for name in names if name.endswith((".tsv", ".nii", ".nii.gz")))
    return Example(save, names, read, (call, "read_table", "read_json", "provenance", "map_table"), guarded)


def _nifti(extension: str) -> Example:
    names = (f"v1{extension}", "v1.tsv", "v1.provenance.json")
    found = _image(lambda folder, v: io.save_nifti(maps(v), folder / names[0], seed=v), names, "save_nifti")
    return Example(found.write, names, found.read, (*found.calls, "read_nifti", "nifti_image"), found.guarded)


def _gifti() -> Example:
    names = ("v1.func.gii", "v1.tsv", "v1.provenance.json")
    return _image(
        lambda folder, v: io.save_gifti(surface(v), folder / names[0], hemisphere="left"), names, "save_gifti"
    )


def _map_table() -> Example:
    names = ("v1.tsv", "v1.provenance.json")
    return _image(lambda folder, v: io.save_map_table(maps(v), folder / "v1.tsv"), names, "save_map_table")


def _write_json(folder: Path, version: int) -> None:
    value = {"values": draws(version, 800), "path": Path("ünï"), "none": None, "version": version}
    io.write_json(value, folder / "x.json")


def _write_pieces(folder: Path, version: int) -> None:
    with io.writing(folder / "x.bin") as temporary, open(temporary, "wb") as file:
        for piece in np.array_split(draws(version, 4000), 4):
            file.write(piece.tobytes())


@cache
def _drawn(version: int, extension: str) -> bytes:
    from io import BytesIO

    from matplotlib.figure import Figure

    figure, buffer = Figure(figsize=(1.5, 1.5)), BytesIO()
    figure.subplots().plot(draws(version, 40))
    dated = {"CreationDate": None} if extension == "pdf" else {}
    figure.savefig(buffer, format=extension, metadata=dated)
    return buffer.getvalue()


def _write_figure(folder: Path, version: int) -> None:
    """Write a figure that is drawn once, since only its writing is tested here."""
    from matplotlib.figure import Figure

    from neuroalign import plotting

    class Drawn(Figure):
        def savefig(self, buffer: Any, **options: Any) -> None:
            buffer.write(_drawn(version, options["format"]))

    plotting.save_figure(Drawn(), folder / "figure1", caption="A caption; simulated.", title="Titel é")


def _read_figure(folder: Path) -> Any:
    return [(folder / f"figure1.{name}").read_bytes() for name in ("pdf", "png")], io.read_json(
        folder / "figure1.json"
    )


def _write_study(folder: Path, version: int) -> None:
    """The study that ``neuroalign init`` writes; it overwrites nothing, so that version 0 is always new."""
    from neuroalign.workflow.init_command import make_study

    for path in contents(folder):
        (folder / path).unlink()
    list(make_study(folder, template="demo", name=f"study{version}"))


def data_file(version: int, extension: str = ".tsv") -> bytes:
    """Return a file as data sets have them."""
    text = table(version).to_csv(sep="\t", index=False).encode()
    return gzip.compress(text, mtime=0) if extension.endswith(".gz") else text


def entry(version: int, extension: str = ".tsv") -> io.SetEntry:
    """Return the entry of a manifest for that file."""
    content = data_file(version, extension)
    path = f"sub-01/bold{extension}"
    file = io.FileEntry(path, len(content), hashlib.sha256(content).hexdigest(), path)
    words = dict.fromkeys(("title", "licence", "cite"), "x")
    return io.SetEntry(
        name="tiny", repository="owner/name", commit="0" * 40, files={file.path: file}, **words
    )


def _fetched(folder: Path, version: int, extension: str = ".tsv") -> None:
    """Download a file whose bytes come from here instead of the network."""
    from unittest import mock

    import pooch

    from neuroalign.datasets import fetching

    def download(url: str, output_file: Any, _: Any) -> None:
        with open(output_file, "wb") as file:
            file.write(data_file(version, extension))

    with (
        mock.patch.object(fetching, "find_set", lambda name: entry(version, extension)),
        mock.patch.object(pooch.core, "choose_downloader", lambda *_, **__: download),
    ):
        fetching.fetch("tiny", root=folder, progress=False)


def _verified(folder: Path, extension: str = ".tsv") -> Any:
    """Read the file as the version that it is, by its digest."""
    refused = []
    for version in (0, 1):
        try:
            path = io.verify_file(folder / "tiny", entry(version, extension), f"sub-01/bold{extension}")
            return path.read_bytes(), io.file_digest(path)
        except FileError as error:
            refused.append(error)
    raise next((error for error in refused if "SHA-256" in str(error)), refused[-1])


def _data_set(extension: str) -> Example:
    return Example(
        partial(_fetched, extension=extension),
        (f"tiny/sub-01/bold{extension}",),
        partial(_verified, extension=extension),
        ("verify_file", "file_digest", "writing"),
        (f"tiny/sub-01/bold{extension}",),
    )


def _write_manifest(folder: Path, version: int) -> None:
    files = {"a.tsv": {"sha256": f"{version}" * 64, "bytes": 3, "upstream": None}}
    about = dict.fromkeys(("title", "licence", "cite", "repository", "commit"), "ä" * 4000)
    io.write_json({"datasets": {"tiny": {**about, "files": files}}}, folder / "manifest.json")


TABLE: dict[str, Example] = {
    "activations": _labelled(activations),
    "responses": _labelled(responses),
    "RDMs": _labelled(rdms),
    "scores": _labelled(scores),
    "masks": _labelled(masks),
    "activations by layer": _layers(None),
    "activations by layer, resumed": _layers("batches of 30"),
    "NIfTI": _nifti(".nii"),
    "NIfTI, compressed": _nifti(".nii.gz"),
    "GIfTI": _gifti(),
    "map table": _map_table(),
    "table": Example(
        lambda folder, v: io.write_table(table(v), folder / "x.tsv"),
        ("x.tsv",),
        lambda folder: io.read_table(folder / "x.tsv", text=("word",)).to_csv(),
        ("write_table", "read_table"),
    ),
    "JSON": Example(
        _write_json, ("x.json",), lambda folder: io.read_json(folder / "x.json"), ("write_json", "read_json")
    ),
    "text": Example(
        lambda folder, v: io.write_text(f"{v} grün\n" * 2000, folder / "x.txt"),
        ("x.txt",),
        lambda folder: io.read_text(folder / "x.txt"),
        ("write_text", "read_text"),
    ),
    "bytes": Example(
        lambda folder, v: io.write_bytes(draws(v, 4000).tobytes(), folder / "x.bin"),
        ("x.bin",),
        lambda folder: io.file_digest(folder / "x.bin"),
        ("write_bytes", "file_digest"),
    ),
    "pieces": Example(
        _write_pieces, ("x.bin",), lambda folder: io.file_digest(folder / "x.bin"), ("writing",)
    ),
    "figure": Example(
        _write_figure,
        tuple(f"figure1.{name}" for name in ("pdf", "png", "json")),
        _read_figure,
        ("write_files",),
    ),
    "data set": _data_set(".tsv"),
    "data set, compressed": _data_set(".tsv.gz"),
    "manifest": Example(
        _write_manifest,
        ("manifest.json",),
        lambda folder: str(io.read_manifest(folder / "manifest.json")),
        ("read_manifest", "Manifest", "SetEntry", "FileEntry"),
    ),
    "new study": Example(
        _write_study, (), lambda folder: [io.read_text(folder / name) for name in contents(folder)], ()
    ),
}
# Written by the same calls as another example: only in the long form.
ALIKE = ("activations", "responses", "RDMs", "masks", "data set, compressed", "NIfTI")
EXEMPT = {
    "json_bytes": "touches no file",
    "plain_text": "touches no file",
    "make_folder": "makes a folder and no file; tests/io/test_files.py",
    "remove_leftovers": "removes temporary files; test_io_errors.py and test_files.py",
}


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path there."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
