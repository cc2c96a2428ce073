"""A reading kept in a file, and believed only as long as every input and parameter is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ... import io
from ...errors import FileError
from ...io.digests import canonical_json
from .parcels import Parcels

__all__ = ["check_cache", "digest_of", "read_cache"]


def check_cache(path: str | Path | None) -> Path | None:
    """Return the path of a cache, which ends in .nc."""
    if path is not None and Path(path).suffix != ".nc":
        raise FileError(f"cache must end in .nc; got {Path(path).name!r}.")
    return None if path is None else Path(path)


def digest_of(taken: np.ndarray | Parcels) -> str:
    """Return the SHA-256 of the places and parcels that are read."""
    if not isinstance(taken, Parcels):
        return hashlib.sha256(taken.tobytes()).hexdigest()
    sha = hashlib.sha256(taken.places.tobytes() + taken.member.tobytes())
    sha.update(canonical_json([taken.names.tolist(), taken.values.tolist(), list(taken.empty)]).encode())
    return sha.hexdigest()


def read_cache(path: Path, *, inputs: Mapping[str, str], params: Mapping[str, Any]) -> xr.DataArray | None:
    """Return what the cache holds if it was made of these inputs with these parameters, else None.

    Raises
    ------
    FileError
        If the file is damaged, or is no cache of the same reader: it is not written over.
    """
    if not path.exists():
        return None
    found = io.load(path)
    made = found.attrs.pop("provenance")
    if made["params"].get("reader") != params["reader"] or not isinstance(found, xr.DataArray):
        raise FileError(
            f"{path} is no cache of {params['reader']}, and is not written over. Remove it, or choose "
            "another path."
        )
    same = json.loads(canonical_json([dict(inputs), dict(params)])) == [made["inputs"], made["params"]]
    return found if same else None
