"""Activations on disk: one labelled NetCDF-4 file, written in batches, read one layer at a time.

Every layer is one contiguous block with a digest of its own, so that one layer is read and checked without
touching the others, and memory does not grow with the number of stimuli. All else in the file is its frame,
which is checked before anything is parsed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import FileError, LabelError, ShapeError, choice, listing
from .digests import canonical_json
from .files import DAMAGED, refuse_huge, writing
from .frames import Blocks, Overlay, append_guard, checked_frame, frame_digest, write_all
from .partials import Journal, resumable
from .provenance import provenance

__all__ = ["LayerWriter", "layer_attrs", "layer_names", "layer_writer", "layers_digest", "read_layer"]

HEAD, DIGEST, KIND = "neuroalign_layers", "neuroalign_digest", "activations by layer, 1"
RESERVED = ("stimulus", "unit", "n_tokens")
DTYPES = ("float16", "float32", "float64")
ROWS_AT_ONCE = 4096
SPARE_BYTES = 1 << 20
# Of a block that are filled with NaN at a time.
NAN_BYTES = 1 << 22


class LayerWriter:
    """Rows of every layer, written in any order; made by ``layer_writer``.

    Values go to their place in the file directly, so that a process can be killed at any time without harm to
    what was written before.
    """

    def __init__(
        self,
        path: Path,
        layers: Mapping[str, int],
        n_stimuli: int,
        journal: Journal | None,
        *,
        blocks: Blocks,
        dtype: str,
    ) -> None:
        self._layers, self._n_stimuli, self._journal = dict(layers), n_stimuli, journal
        self._offsets, self._dtype = {layer: blocks[layer][0] for layer in layers}, np.dtype(dtype)
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115 - closed by the one that made it

    @property
    def mark(self) -> list[int] | None:
        """The mark of the last batch that an interrupted block wrote; None where there is none."""
        batches = [] if self._journal is None else self._journal.batches
        return batches[-1]["mark"] if batches else None

    def write(
        self, rows: np.ndarray, values: Mapping[str, np.ndarray], *, mark: Sequence[int] | None = None
    ) -> None:
        """Write the activations of some stimuli in every layer.

        Parameters
        ----------
        rows : array (n_rows,) of int
            Positions of the stimuli, each once.
        values : mapping of layer name to array (n_rows, n_units)
        mark : sequence of int, optional
            Where the writing stands after these rows, for a block that goes on after an interrupt.
        """
        rows = np.asarray(rows)
        order = np.argsort(rows)
        ordered = rows[order]
        if ordered.size and (
            ordered[0] < 0 or ordered[-1] >= self._n_stimuli or (np.diff(ordered) < 1).any()
        ):
            raise ShapeError(f"rows must be distinct and below {self._n_stimuli}; got {listing(rows)}.")
        if values.keys() != self._layers.keys():
            raise LabelError(f"values must have the layers {listing(self._layers)}; got {listing(values)}.")
        for layer, width in self._layers.items():
            if values[layer].shape != (rows.size, width):
                raise ShapeError(f"{layer!r} must be {(rows.size, width)}; got {values[layer].shape}.")
        if not ordered.size:
            return
        sha = hashlib.sha256()
        for layer in self._layers:
            block = np.ascontiguousarray(values[layer][order], dtype=self._dtype)
            sha.update(block.data)
            self._write(layer, ordered, block)
        if self._journal is not None and mark is not None:
            note = {"rows": ordered.tolist(), "sha256": sha.hexdigest(), "mark": list(mark)}
            self._journal.note(note)

    def _write(self, layer: str, rows: np.ndarray, block: np.ndarray) -> None:
        for start, stop in _runs(rows):
            self._file.seek(self._offsets[layer] + int(rows[start]) * block.shape[1] * block.itemsize)
            write_all(self._file, block[start:stop].tobytes())

    def _digest(self, rows: np.ndarray) -> str:
        """Return the SHA-256 of sorted rows of every layer, as they stand in the file."""
        sha = hashlib.sha256()
        for layer, width in self._layers.items():
            size = width * self._dtype.itemsize
            for start, stop in _runs(rows):
                self._file.seek(self._offsets[layer] + int(rows[start]) * size)
                sha.update(self._file.read((stop - start) * size))
        return sha.hexdigest()

    def keep_whole(self) -> None:
        """Forget the batches from the first one on whose values are not those that were noted."""
        if self._journal is None:
            return
        for number, batch in enumerate(self._journal.batches):
            if self._digest(np.asarray(batch["rows"])) != batch["sha256"]:
                self._journal.keep(number)
                return
        self._journal.keep(len(self._journal.batches))

    def close(self) -> None:
        """Close the file; nothing can be written afterwards."""
        self._file.close()


def _runs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Return the runs (from, before) of consecutive numbers in sorted rows."""
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), rows.size]
    return list(pairwise(edges))


@contextlib.contextmanager
def layer_writer(
    path: str | Path,
    layers: Mapping[str, int],
    stimuli: np.ndarray,
    attrs: Mapping[str, Any],
    *,
    n_tokens: np.ndarray | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    plan: str | None = None,
) -> Iterator[LayerWriter]:
    """Give a writer of activations; the file has its final name only when the block ended well.

    With a plan, a block that is interrupted (even by a kill) leaves what it wrote under a temporary name,
    and the next block with the same plan, content and provenance goes on from there: see
    ``LayerWriter.mark``. The file is then the same, byte for byte, as if nothing had happened.

    Parameters
    ----------
    path : path
        Ends in ``.nc``.
    layers : mapping of str to int
        Name and number of units of each layer.
    stimuli : array (n_stimuli,)
        Unique labels, text or integers.
    attrs : mapping
        What the activations are of; plain values.
    n_tokens : array (n_stimuli,) of int, optional
        How many tokens each stimulus has.
    dtype : {"float32", "float16", "float64"}
        Of the stored values. Rows that are never written are NaN.
    device : str
        Where they were computed, for the provenance.
    plan : str, optional
        Names the order in which rows are written, such as "batches of 32".

    Raises
    ------
    FileError
        If the file cannot be written, or the disk has too little room for it.
    LabelError
        If a layer has a name that cannot be stored.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "activations.nc"
    >>> with layer_writer(path, {"h.0": 2}, np.array(["a", "b"]), {"model": "tiny"}) as writer:
    ...     writer.write(np.array([1, 0]), {"h.0": np.array([[3.0, 4.0], [1.0, 2.0]])})
    >>> read_layer(path, "h.0").sel(stimulus="b").values.tolist()
    [3.0, 4.0]
    """
    if dtype not in DTYPES:
        raise choice(dtype, DTYPES, name="dtype")
    _refuse_names(layers)
    labels = _storable(np.asarray(stimuli))
    tokens = np.zeros(labels.size) if n_tokens is None else np.asarray(n_tokens)
    made = provenance(params=attrs, device=device)
    content = [list(layers.items()), _labels_digest(labels, tokens), dtype, made, plan]
    path = Path(path)
    with _temporary(path, content if plan is not None else None) as (temporary, journal):
        blocks = None if journal is None or not journal.begun else _laid_out(temporary, journal)
        if blocks is None:
            _refuse_full_disk(path, sum(layers.values()) * labels.size * np.dtype(dtype).itemsize)
            blocks, size = _create(temporary, layers, labels, tokens, dtype)
            if journal is not None:
                journal.begin({"blocks": blocks, "size": size, "digest": _frame(temporary, blocks, size)})
        with contextlib.closing(
            LayerWriter(temporary, layers, labels.size, journal, blocks=blocks, dtype=dtype)
        ) as writer:
            writer.keep_whole()
            yield writer
        _seal(temporary, journal, blocks, labels, tokens, dict(attrs), made)


@contextlib.contextmanager
def _temporary(path: Path, content: list[Any] | None) -> Iterator[tuple[Path, Journal | None]]:
    if content is None:
        with writing(path) as temporary:
            yield temporary, None
    else:
        identity = hashlib.sha256(canonical_json(content).encode()).hexdigest()
        with resumable(path, identity) as (temporary, journal):
            yield temporary, journal


def _refuse_names(layers: Mapping[str, int]) -> None:
    bad = [name for name in layers if not name or "/" in name or name in RESERVED or name.startswith("unit_")]
    if bad:
        raise LabelError(f"layers cannot be stored under the names {listing(bad)}; rename them.")
    if not layers:
        raise LabelError("there is no layer to write.")


def _refuse_full_disk(path: Path, n_bytes: int) -> None:
    """HDF5 on a full disk can take the process down, so the room is asked for first."""
    free = shutil.disk_usage(path.parent).free
    if free < n_bytes + SPARE_BYTES:
        raise FileError(f"{path} needs {n_bytes / 1e6:.0f} MB; the disk has {free / 1e6:.0f} MB left.")


def _storable(stimuli: np.ndarray) -> np.ndarray:
    if stimuli.ndim != 1:
        raise ShapeError(f"stimuli must be labels (n_stimuli,); got shape {stimuli.shape}.")
    if stimuli.dtype.kind in "iu":
        return stimuli.astype(np.int64)
    if stimuli.dtype.kind in "UT" or all(isinstance(label, str) for label in stimuli):
        return stimuli.astype(np.str_)
    raise LabelError(f"stimuli must be labelled with text or integers; got dtype {stimuli.dtype}.")


def _frame(path: Path, blocks: Blocks, size: int) -> str:
    with open(path, "rb") as file:
        return frame_digest(file, blocks, size)


def _laid_out(path: Path, journal: Journal) -> Blocks | None:
    """Return the blocks of a partial file; None where its frame is not the one that was laid out."""
    try:
        noted = journal.frame
        blocks: Blocks = {name: (int(at), int(length)) for name, (at, length) in noted["blocks"].items()}
        return blocks if _frame(path, blocks, noted["size"]) == noted["digest"] else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _create(
    path: Path, layers: Mapping[str, int], labels: np.ndarray, tokens: np.ndarray, dtype: str
) -> tuple[Blocks, int]:
    """Lay the file out, every layer in one block that is filled with NaN; return the blocks and the size."""
    import h5py

    nan, kind = np.array(np.nan, dtype=dtype), np.dtype(dtype)
    frame = Overlay()
    _lay_out(frame, layers, labels, tokens, dtype)
    with h5py.File(frame, "r") as file:
        n_rows = labels.size
        blocks: Blocks = {
            layer: (file[layer].id.get_offset() or 0, n_rows * width * kind.itemsize)
            for layer, width in layers.items()
        }
    with open(path, "w+b") as out:
        frame.save(out)
        for start, length in blocks.values():
            out.seek(start)
            for done in range(0, length, NAN_BYTES):
                write_all(out, nan.tobytes() * (min(NAN_BYTES, length - done) // kind.itemsize))
        return blocks, out.seek(0, os.SEEK_END)


def _lay_out(
    frame: Overlay, layers: Mapping[str, int], labels: np.ndarray, tokens: np.ndarray, dtype: str
) -> None:
    import h5netcdf
    import h5py

    widths = sorted(set(layers.values()))
    units = {width: "unit" if len(widths) == 1 else f"unit_{k}" for k, width in enumerate(widths)}
    with h5netcdf.File(frame, "w") as file:
        file.dimensions = {"stimulus": labels.size, **{unit: width for width, unit in units.items()}}
        if labels.dtype.kind == "U":
            file.create_variable("stimulus", ("stimulus",), h5py.string_dtype(), data=labels.astype(object))
        else:
            file.create_variable("stimulus", ("stimulus",), "int64", data=labels)
        for width, unit in units.items():
            file.create_variable(unit, (unit,), "int64", data=np.arange(width))
        file.create_variable("n_tokens", ("stimulus",), "int64", data=tokens.astype(np.int64))
        for layer, width in layers.items():
            nan = np.dtype(dtype).type(np.nan)
            shape = ("stimulus", units[width])
            file.create_variable(layer, shape, dtype, fillvalue=nan, fill_time="never")
    with h5py.File(frame, "r+") as file:
        for layer in layers:
            file[layer][:1] = np.nan  # HDF5 gives a block its place when it is first written


def _seal(
    path: Path,
    journal: Journal | None,
    blocks: Blocks,
    labels: np.ndarray,
    tokens: np.ndarray,
    attrs: dict[str, Any],
    made: dict[str, Any],
) -> None:
    import h5netcdf
    import h5py

    with h5py.File(path, "r") as file:
        digests = {layer: _digest(layer, file[layer], labels) for layer in blocks}
    head = {"kind": KIND, "attrs": attrs, "layers": digests, "labels": _labels_digest(labels, tokens)}
    if journal is not None:
        journal.seal()
    with open(path, "rb") as base:
        frame = Overlay(base)
        with h5netcdf.File(frame, "a") as file:
            file.attrs[HEAD] = canonical_json(head)
            file.attrs[DIGEST] = hashlib.sha256(canonical_json(head).encode()).hexdigest()
            file.attrs["neuroalign_provenance"] = canonical_json(made)
        with open(path, "r+b") as out:
            frame.save(out)
            append_guard(out, blocks)


def _labels_digest(labels: np.ndarray, tokens: np.ndarray) -> str:
    content = canonical_json([labels.tolist(), tokens.astype(np.int64).tolist()])
    return hashlib.sha256(content.encode()).hexdigest()


def _digest(layer: str, values: Any, labels: np.ndarray) -> str:
    """Return the SHA-256 of a layer's name, labels and values; the values are read in pieces."""
    kind = np.dtype(values.dtype).newbyteorder("<")
    sha = hashlib.sha256(canonical_json([layer, list(values.shape), kind.str, labels.tolist()]).encode())
    for start in range(0, values.shape[0], ROWS_AT_ONCE):
        piece = np.asarray(values[start : start + ROWS_AT_ONCE])
        sha.update(np.ascontiguousarray(piece.astype(kind, copy=False)).data)
    return sha.hexdigest()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    import h5netcdf

    checked_frame(path)
    try:
        with h5netcdf.File(path, "r") as file:
            head = json.loads(file.attrs[HEAD])
            if hashlib.sha256(canonical_json(head).encode()).hexdigest() != file.attrs[DIGEST]:
                raise FileError(f"{path} is damaged: its header is not the one that was written.")
            for name, variable in file.variables.items():
                refuse_huge(path, name, variable.shape, variable.dtype.itemsize)
            yield file, head
    except (FileError, LabelError):
        raise
    except DAMAGED as error:
        raise FileError(
            f"{path} is damaged or is no activation file of neuroalign: {type(error).__name__}: {error}. "
            "Remove it and extract again."
        ) from error


def read_layer(path: str | Path, layer: str) -> xr.DataArray:
    """Return the activations (stimulus, unit) of one layer, after checking their digest.

    Parameters
    ----------
    path : path
        Written by ``layer_writer``.
    layer : str
        One of ``layer_names(path)``.

    Raises
    ------
    LabelError
        If the file has no such layer.
    FileError
        If the file is missing or damaged.
    """
    path = Path(path)
    with _opened(path) as (file, head):
        if layer not in head["layers"]:
            raise LabelError(f"{path} has no layer {layer!r}; it has {listing(head['layers'], limit=12)}.")
        labels, tokens = _storable(_text(np.asarray(file["stimulus"][:]))), np.asarray(file["n_tokens"][:])
        values = np.asarray(file[layer][:])
    found = (_digest(layer, values, labels), _labels_digest(labels, tokens))
    for digest, expected in zip(found, (head["layers"][layer], head["labels"]), strict=True):
        if digest != expected:
            raise FileError(
                f"{path} is damaged: layer {layer!r} is not what was written: it has SHA-256 "
                f"{digest[:16]}..., expected {expected[:16]}... Remove it and extract again."
            )
    return xr.DataArray(
        values,
        dims=("stimulus", "unit"),
        coords={"stimulus": labels, "unit": np.arange(values.shape[1]), "n_tokens": ("stimulus", tokens)},
        attrs=head["attrs"],
        name=layer,
    )


def _text(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind in "OS":
        return np.array([x.decode() if isinstance(x, bytes) else str(x) for x in labels], dtype=np.str_)
    return labels


def layer_names(path: str | Path) -> list[str]:
    """Return the names of the layers in an activation file, in the order they were written."""
    with _opened(Path(path)) as (file, head):
        return [name for name in file.variables if name in head["layers"]]


def layer_attrs(path: str | Path) -> dict[str, Any]:
    """Return what an activation file says its activations are of."""
    with _opened(Path(path)) as (_, head):
        return head["attrs"]


def layers_digest(path: str | Path) -> str:
    """Return the SHA-256 of the whole content of an activation file, without reading its values.

    It is made of the layers' digests, which ``read_layer`` checks.
    """
    with _opened(Path(path)) as (file, _):
        return str(file.attrs[DIGEST])
