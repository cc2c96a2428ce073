"""Labelled arrays on disk: NetCDF-4, with the content's digest inside the file and checked on reading."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import FileError, InvalidValueError
from .digests import as_text, canonical_json, content_digest
from .files import DAMAGED, refuse_huge, write_bytes
from .heaps import refuse_endless_heaps
from .provenance import provenance

__all__ = ["load", "save", "stored_digest"]

DIGEST, ATTRS, KIND, MADE = (
    "neuroalign_digest",
    "neuroalign_attrs",
    "neuroalign_kind",
    "neuroalign_provenance",
)
# The last bytes of a file: a mark and the SHA-256 of all before it. HDF5 ignores what follows its own end;
# on damaged bytes its readers may loop for ever, so nothing is parsed before this was checked.
MARK = b"neuroalign-sha256:"
# Text that takes more in memory than both, in bytes and in sizes of its file, is refused.
WIDE_BYTES, WIDE_TIMES = 2**30, 64
N_TRAILER = len(MARK) + hashlib.sha256().digest_size


def save(
    x: xr.DataArray | xr.Dataset,
    path: str | Path,
    *,
    inputs: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str = "cpu",
) -> str:
    """Write a labelled array to ``path`` atomically and return the digest of its content.

    The file is encoded in memory and written as bytes: HDF5 on a full disk can take the process down. Its
    bytes depend on content and provenance only, never on time.

    Parameters
    ----------
    x : xarray.DataArray or xarray.Dataset
        Numbers, booleans or text, with plain coordinates (no MultiIndex).
    path : path
        Ends in ``.nc``.
    inputs, params, seed, device
        See ``io.provenance``.

    Raises
    ------
    FileError
        If the file cannot be written.
    InvalidValueError
        If a coordinate is a MultiIndex or a value is of a kind that is not stored.
    """
    for name, index in x.indexes.items():
        if index.nlevels > 1:
            raise InvalidValueError(f"coordinate {name!r} is a MultiIndex; call reset_index first.")
    digest = content_digest(x)
    made = provenance(inputs=inputs, params=params, seed=seed, device=device)
    write_bytes(_encode(x, digest, made), path)
    return digest


def _encode(x: xr.DataArray | xr.Dataset, digest: str, made: dict[str, Any]) -> bytes:
    is_array = isinstance(x, xr.DataArray)
    plain = x.to_dataset(name="__array__") if isinstance(x, xr.DataArray) else x.copy()
    attrs = {name: dict(plain[name].attrs) for name in plain.variables if plain[name].attrs}
    attrs[""] = dict(plain.attrs)
    plain = plain.drop_attrs()
    for name in plain.variables:
        if plain[name].dtype.kind in "OT":
            plain[name] = plain[name].variable.copy(data=as_text(plain[name].values, str(name)))
        plain[name].encoding = {}
    plain.encoding = {}
    plain.attrs = {
        DIGEST: digest,
        ATTRS: canonical_json(attrs),
        KIND: canonical_json([type(x).__name__, x.name if is_array else None]),
        MADE: canonical_json(made),
    }
    buffer = BytesIO()
    plain.to_netcdf(
        buffer, engine="h5netcdf", encoding={str(n): {"_FillValue": None} for n in plain.variables}
    )
    content = buffer.getvalue()
    return content + MARK + hashlib.sha256(content).digest()


def _checked_bytes(path: Path) -> BytesIO:
    """Return the file's HDF5 bytes, after checking them against the digest behind them."""
    if not path.is_file():
        raise FileError(f"{path} does not exist.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} could not be read: {error.strerror}.") from error
    body, trailer = content[:-N_TRAILER], content[-N_TRAILER:]
    if not trailer.startswith(MARK):
        raise FileError(
            f"{path} is damaged or was not written by neuroalign.io.save: its last bytes, the digest of all "
            f"before them, are missing (its {len(content)} bytes have SHA-256 "
            f"{hashlib.sha256(content).hexdigest()[:16]}...). Remove it and run the step again."
        )
    found, expected = hashlib.sha256(body).hexdigest(), trailer[len(MARK) :].hex()
    if found != expected:
        raise FileError(
            f"{path} is damaged: its bytes have SHA-256 {found[:16]}..., expected {expected[:16]}... "
            "Remove it and run the step again."
        )
    refuse_endless_heaps(path, body)
    return BytesIO(body)


def load(path: str | Path) -> xr.DataArray | xr.Dataset:
    """Return the labelled array in ``path``, after checking its content against the digest inside.

    The provenance is under ``attrs["provenance"]``.

    Raises
    ------
    FileError
        If the file is missing, cut short, damaged, or not written by ``io.save``.
    """
    path = Path(path)
    content = _checked_bytes(path)
    try:
        _refuse_bombs(path, content)
        with xr.open_dataset(content, engine="h5netcdf", decode_times=False) as opened:
            dataset = opened.load()
        kind, name = json.loads(dataset.attrs[KIND])
        attrs, made = json.loads(dataset.attrs[ATTRS]), json.loads(dataset.attrs[MADE])
        digest = dataset.attrs[DIGEST]
        x = _decode(dataset, kind, name, attrs)
    except FileError:
        raise
    except DAMAGED as error:
        raise FileError(
            f"{path} is damaged or was not written by neuroalign: {type(error).__name__}: {error}. "
            "Remove it and run the step again."
        ) from error
    found = content_digest(x)
    if found != digest:
        raise FileError(
            f"{path} is damaged: its content has digest {found[:12]}, but {digest[:12]} was saved."
        )
    x.attrs["provenance"] = made
    return x


def _refuse_bombs(path: Path, content: BytesIO) -> None:
    """Refuse arrays larger than their file, and text of which one item makes all others as wide as itself."""
    import h5netcdf

    most = max(WIDE_BYTES, WIDE_TIMES * path.stat().st_size)
    with h5netcdf.File(content, "r") as opened:
        for name, variable in opened.variables.items():
            dtype, n_items = np.dtype(variable.dtype), math.prod(map(int, variable.shape))
            refuse_huge(path, name, variable.shape, dtype.itemsize)
            if dtype.kind != "O" or not n_items:
                continue
            longest = max(map(len, np.asarray(variable[...], dtype=object).ravel()))
            if 4 * longest * n_items > most:
                raise FileError(
                    f"{path}: {name!r} has an item of {longest:,} letters; {n_items:,} items as wide as that "
                    "do not fit. Shorten it."
                )


def _decode(dataset: xr.Dataset, kind: str, name: str | None, attrs: dict) -> xr.DataArray | xr.Dataset:
    dataset.attrs = attrs.pop("")
    for variable, values in attrs.items():
        dataset[variable].attrs = values
    for variable in list(dataset.variables):
        if dataset[variable].dtype.kind in "OT":
            text = dataset[variable].variable.copy(data=dataset[variable].values.astype(np.str_))
            dataset[variable] = text
        dataset[variable].encoding = {}
    dataset.encoding = {}
    return dataset["__array__"].rename(name) if kind == "DataArray" else dataset


def stored_digest(path: str | Path) -> str:
    """Return the content digest that ``path`` was saved with, without decoding its values.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not written by ``io.save``.
    """
    import h5netcdf

    path = Path(path)
    content = _checked_bytes(path)
    try:
        with h5netcdf.File(content, "r") as opened:
            return str(opened.attrs[DIGEST])
    except DAMAGED as error:
        raise FileError(f"{path} was not written by neuroalign.io.save: {error}.") from error
