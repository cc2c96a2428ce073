"""Activations on disk: one labelled NetCDF-4 file, written in batches, read one layer at a time.

Every layer is one contiguous block with a digest of its own, so that one layer is read and checked without
touching the others, and memory does not grow with the number of stimuli.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import FileError, LabelError, ShapeError, choice, listing
from .digests import canonical_json
from .files import DAMAGED, writing
from .provenance import provenance

__all__ = ["LayerWriter", "layer_attrs", "layer_names", "layer_writer", "layers_digest", "read_layer"]

HEAD, DIGEST, KIND = "neuroalign_layers", "neuroalign_digest", "activations by layer, 1"
RESERVED = ("stimulus", "unit", "n_tokens")
DTYPES = ("float16", "float32", "float64")
ROWS_AT_ONCE = 4096
SPARE_BYTES = 1 << 20


class LayerWriter:
    """Rows of every layer, written in any order; made by ``layer_writer``."""

    def __init__(self, file: Any, layers: Mapping[str, int], n_stimuli: int) -> None:
        self._layers, self._n_stimuli = dict(layers), n_stimuli
        self._stored = {layer: file[layer] for layer in layers}

    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Write the activations of some stimuli in every layer.

        Parameters
        ----------
        rows : array (n_rows,) of int
            Positions of the stimuli, each once.
        values : mapping of layer name to array (n_rows, n_units)
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
        if ordered.size:
            self._write(ordered, {layer: values[layer][order] for layer in self._layers})

    def _write(self, rows: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Write sorted rows; one selection serves all layers of a width, which h5py would make for each."""
        import h5py

        for width in set(self._layers.values()):
            there = _selection(rows, self._n_stimuli, width)
            here = h5py.h5s.create_simple((rows.size, width))
            for layer in [name for name in self._layers if self._layers[name] == width]:
                stored = self._stored[layer]
                stored.id.write(here, there, np.ascontiguousarray(values[layer], dtype=stored.dtype))


def _selection(rows: np.ndarray, n_rows: int, width: int) -> Any:
    """Return the HDF5 selection of sorted rows, run of consecutive rows by run."""
    from h5py import h5s

    there = h5s.create_simple((n_rows, width))
    there.select_none()
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(rows, edges):
        there.select_hyperslab((int(run[0]), 0), (run.size, width), op=h5s.SELECT_OR)
    return there


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
) -> Iterator[LayerWriter]:
    """Give a writer of activations; the file has its final name only when the block ended well.

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
    import h5netcdf
    import h5py

    if dtype not in DTYPES:
        raise choice(dtype, DTYPES, name="dtype")
    _refuse_names(layers)
    labels = _storable(np.asarray(stimuli))
    tokens = np.zeros(labels.size) if n_tokens is None else np.asarray(n_tokens)
    path = Path(path)
    with writing(path) as temporary:
        _refuse_full_disk(path, sum(layers.values()) * labels.size * np.dtype(dtype).itemsize)
        with h5netcdf.File(temporary, "w") as file:
            _create(file, layers, labels, tokens, dtype)
        with h5py.File(temporary, "r+") as file:
            yield LayerWriter(file, layers, labels.size)
        made = provenance(params=attrs, device=device)
        with h5netcdf.File(temporary, "a") as file:
            _seal(file, layers, labels, tokens, dict(attrs), made)


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


def _create(file: Any, layers: Mapping[str, int], labels: np.ndarray, tokens: np.ndarray, dtype: str) -> None:
    import h5py

    widths = sorted(set(layers.values()))
    units = {width: "unit" if len(widths) == 1 else f"unit_{k}" for k, width in enumerate(widths)}
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
        file.create_variable(layer, ("stimulus", units[width]), dtype, fillvalue=nan)


def _seal(
    file: Any,
    layers: Mapping[str, int],
    labels: np.ndarray,
    tokens: np.ndarray,
    attrs: dict[str, Any],
    made: dict[str, Any],
) -> None:
    head = {
        "kind": KIND,
        "attrs": attrs,
        "layers": {layer: _digest(layer, file[layer], labels) for layer in layers},
        "labels": _labels_digest(labels, tokens),
    }
    file.attrs[HEAD] = canonical_json(head)
    file.attrs[DIGEST] = hashlib.sha256(canonical_json(head).encode()).hexdigest()
    file.attrs["neuroalign_provenance"] = canonical_json(made)


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

    if not path.is_file():
        raise FileError(f"{path} does not exist.")
    try:
        with h5netcdf.File(path, "r") as file:
            head = json.loads(file.attrs[HEAD])
            if hashlib.sha256(canonical_json(head).encode()).hexdigest() != file.attrs[DIGEST]:
                raise FileError(f"{path} is damaged: its header is not the one that was written.")
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
    found = (_labels_digest(labels, tokens), _digest(layer, values, labels))
    if found != (head["labels"], head["layers"][layer]):
        raise FileError(
            f"{path} is damaged: layer {layer!r} is not what was written. Remove it and extract again."
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
