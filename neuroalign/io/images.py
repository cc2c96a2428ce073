"""Maps of neuroids as NIfTI volumes, GIfTI surfaces and tables; volumes as labelled arrays.

A map ``v1.nii.gz`` is written with ``v1.tsv`` (one row a neuroid) and ``v1.provenance.json`` beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .. import __version__
from ..arrays import as_float
from ..errors import FileError, InvalidValueError, LabelError, ShapeError, choice, listing
from .digests import file_digest
from .files import json_bytes, refuse_other_bytes, table_bytes, write_files
from .grids import HEMISPHERES, as_affine, as_shape, on_hemisphere, vertices_of, voxels_of
from .parsing import parsing
from .provenance import provenance

__all__ = ["map_table", "nifti_image", "read_nifti", "save_gifti", "save_map_table", "save_nifti"]

DTYPES = ("float32", "float64")
# The most bytes that one byte of a compressed file stands for.
MOST = {".gz": 1032, ".mgz": 1032, ".bz2": 2**16, ".zst": 2**16}


def save_nifti(
    values: xr.DataArray,
    path: str | Path,
    *,
    affine: Any = None,
    shape: Any = None,
    fill: float = np.nan,
    dtype: str = "float32",
    **made: Any,
) -> list[Path]:
    """Write one map, or several as the fourth dim, as a NIfTI-1 image with its table and provenance beside.

    The same values give the same bytes: the compressed file carries no date.

    Parameters
    ----------
    values : DataArray (neuroid,) or (any, neuroid)
        NaN stays NaN. Coordinates along neuroid: voxel indices i, j, k; or else positions x, y, z in mm, each
        of which must be the middle of a voxel.
    path : path
        Ends in ``.nii`` or ``.nii.gz``.
    affine : array (4, 4), optional
        From voxel indices to mm; ``values.attrs["affine"]`` where None.
    shape : (int, int, int), optional
        Of the volume; ``values.attrs["shape"]`` where None.
    fill : float
        Of voxels without a neuroid. Some programs want 0; with it a score of 0 and no score look the same.
    dtype : {"float32", "float64"}
    **made
        ``inputs``, ``params``, ``seed``, ``device``: see ``io.provenance``.

    Returns
    -------
    list of Path
        The image, the table, the provenance.

    Raises
    ------
    LabelError
        If positions are missing, or two neuroids lie in the same voxel.
    ShapeError
        If dims are other ones, the shape or affine is missing or none, or a voxel lies outside.
    InvalidValueError
        If an index is no whole number, a position is not the middle of a voxel, or a value does not fit the
        dtype.
    FileError
        If the extension is another one or a file cannot be written.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise FileError(f"a NIfTI image must end in .nii or .nii.gz; got {path.name!r}.")
    image = nifti_image(values, affine=affine, shape=shape, fill=fill, dtype=dtype)
    content = image.to_bytes()
    compressed = path.name.endswith(".gz")
    content = gzip.compress(content, mtime=0) if compressed else content
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    about = {"affine": image.affine, "shape": image.shape[:3]}
    return _write(content, values, path, path.with_name(stem), about, made)


def save_gifti(
    values: xr.DataArray,
    path: str | Path,
    *,
    hemisphere: str,
    n_vertices: int | None = None,
    **made: Any,
) -> list[Path]:
    """Write maps of one hemisphere's surface as a GIfTI file (float32), with table and provenance beside.

    Parameters
    ----------
    values : DataArray (neuroid,) or (any, neuroid)
        With vertex numbers from 0 in the coordinate ``vertex``. Where there is a coordinate ``hemisphere``
        along neuroid, only those of the hemisphere are written.
    path : path
        Ends in ``.gii``, such as ``r2.func.gii``.
    hemisphere : {"left", "right"}
    n_vertices : int, optional
        Of the surface (10,242 of fsaverage5); ``values.attrs["n_vertices"]`` where None. Vertices without a
        neuroid are NaN.
    **made
        As in ``save_nifti``.

    Returns
    -------
    list of Path
        The surface file, the table, the provenance.

    Raises
    ------
    LabelError, ShapeError, InvalidValueError, FileError
        As ``save_nifti``, for vertices.
    """
    import nibabel as nib

    path = Path(path)
    if not path.name.endswith(".gii"):
        raise FileError(f"a GIfTI file must end in .gii; got {path.name!r}.")
    values = on_hemisphere(values, hemisphere)
    size = values.attrs.get("n_vertices") if n_vertices is None else n_vertices
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ShapeError(f"n_vertices must be the number of vertices of the surface; got {size!r}.")
    found, names = _maps(values)
    full = np.full((len(names), int(size)), np.nan, dtype=np.float32)
    full[:, vertices_of(values, int(size))] = _cast(found, "float32")
    arrays = [
        nib.gifti.GiftiDataArray(
            row, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32", meta={"Name": name}
        )
        for row, name in zip(full, names, strict=True)
    ]
    meta = {"AnatomicalStructurePrimary": HEMISPHERES[hemisphere], "Software": f"neuroalign {__version__}"}
    image = nib.gifti.GiftiImage(darrays=arrays, meta=nib.gifti.GiftiMetaData(meta))
    stem = path.name.removesuffix(".gii").removesuffix(".func").removesuffix(".shape")
    about = {"hemisphere": hemisphere, "n_vertices": int(size)}
    return _write(image.to_bytes(), values, path, path.with_name(stem), about, made)


def save_map_table(values: xr.DataArray, path: str | Path, **made: Any) -> list[Path]:
    """Write maps as a table (``.tsv``) with provenance beside it: all there is without a geometry.

    Parameters
    ----------
    values : DataArray (neuroid,) or (any, neuroid)
    path : path
        Ends in ``.tsv``.
    **made
        As in ``save_nifti``.
    """
    path = Path(path)
    if path.suffix != ".tsv":
        raise FileError(f"a table must end in .tsv; got {path.name!r}.")
    return _write(None, values, path, path.with_suffix(""), {}, made)


def map_table(values: xr.DataArray) -> pd.DataFrame:
    """Return one row a neuroid: its label and coordinates, then one column a map.

    Examples
    --------
    >>> r2 = xr.DataArray([0.1, 0.2], dims="neuroid", coords={"neuroid": ["a", "b"]}, name="r2")
    >>> map_table(r2).to_dict("list")
    {'neuroid': ['a', 'b'], 'r2': [0.1, 0.2]}
    """
    found, names = _maps(values)
    label = {"neuroid": values["neuroid"].values} if "neuroid" in values.coords else {}
    rest = {
        str(name): coord.values
        for name, coord in values.coords.items()
        if coord.dims == ("neuroid",) and name != "neuroid"
    }
    clash = [name for name in names if name in {"neuroid", *rest}]
    if clash:
        raise LabelError(f"maps have the names of coordinates: {listing(clash)}. Rename them.")
    return pd.DataFrame({**label, **rest, **dict(zip(names, found, strict=True))})


def nifti_image(
    values: xr.DataArray,
    *,
    affine: Any = None,
    shape: Any = None,
    fill: float = np.nan,
    dtype: str = "float32",
) -> Any:
    """Return maps as a nibabel image (i, j, k), or (i, j, k, map) for several; see ``save_nifti``."""
    import nibabel as nib

    if dtype not in DTYPES:
        raise choice(dtype, DTYPES, name="dtype")
    found, names = _maps(values)
    affine = as_affine(values.attrs.get("affine") if affine is None else affine)
    shape = as_shape(values.attrs.get("shape") if shape is None else shape)
    full = np.full((*shape, len(names)), fill, dtype=dtype)
    full[tuple(voxels_of(values, affine, shape).T)] = _cast(found, dtype).T
    image = nib.Nifti1Image(full[..., 0] if values.ndim == 1 else full, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"neuroalign {__version__}".encode()
    return image


def read_nifti(path: str | Path, *, mask: Any = None, dtype: str = "float32") -> xr.DataArray:
    """Return an image as (neuroid,), or (map, neuroid) where it has four dims.

    Parameters
    ----------
    path : path
    mask : array (n_i, n_j, n_k) of bool, optional
        The voxels that are read; all where None.
    dtype : {"float32", "float64"}

    Returns
    -------
    DataArray
        Voxels in the order of their indices, the last running fastest: label "i-j-k", coordinates i, j, k
        and x, y, z in mm; ``attrs`` holds ``affine`` and ``shape``, as ``save_nifti`` takes them.

    Raises
    ------
    FileError
        If the file is missing, damaged, not the one whose SHA-256 its provenance beside names
        (``v1.provenance.json`` beside ``v1.nii.gz``), or no NIfTI image of three or four dims.
    ShapeError
        If the mask has another shape.
    """
    values, affine = _read(Path(path), dtype)
    inside = np.ones(values.shape[:3], dtype=bool) if mask is None else np.asarray(mask)
    if inside.shape != values.shape[:3] or inside.dtype != np.bool_:
        raise ShapeError(
            f"mask must be booleans of shape {values.shape[:3]}; got {inside.dtype} of {inside.shape}."
        )
    voxels = np.argwhere(inside)
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    coords: dict[str, Any] = {"neuroid": ["-".join(map(str, voxel)) for voxel in voxels.tolist()]}
    coords |= {name: ("neuroid", voxels[:, axis]) for axis, name in enumerate("ijk")}
    coords |= {name: ("neuroid", places[:, axis]) for axis, name in enumerate("xyz")}
    dims = ("neuroid",) if values.ndim == 3 else ("map", "neuroid")
    attrs = {"affine": affine.tolist(), "shape": list(inside.shape)}
    return xr.DataArray(values[inside].T, dims=dims, coords=coords, attrs=attrs)


def _read(path: Path, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    import nibabel as nib

    if dtype not in DTYPES:
        raise choice(dtype, DTYPES, name="dtype")
    if not path.is_file():
        raise FileError(f"{path} does not exist.")
    refuse_other_bytes(path, file_digest(path), key="image_sha256")
    with parsing(f"{path} is no NIfTI image, or a damaged one"):
        image: Any = nib.load(path)
        refuse_huge_image(image, path)
        values = np.asarray(image.dataobj, dtype=dtype)
        affine = np.asarray(image.affine, dtype=np.float64)
    if values.ndim not in (3, 4):
        raise FileError(f"{path} must have 3 or 4 dims; got shape {values.shape}.")
    return values, affine


def refuse_huge_image(image: Any, path: Path) -> None:
    """Refuse an image whose header says more values than its file can hold, before memory is asked for."""
    declared = math.prod(map(int, image.shape)) * image.get_data_dtype().itemsize
    held = Path(image.file_map["image"].filename or path)
    if declared > held.stat().st_size * MOST.get(held.suffix, 1):
        raise FileError(
            f"{path} is damaged or cut short: its header says {image.shape}, {declared:,} bytes, which "
            f"{held.name} cannot hold."
        )


def _write(
    content: bytes | None,
    values: xr.DataArray,
    path: Path,
    stem: Path,
    about: dict[str, Any],
    made: Mapping[str, Any],
) -> list[Path]:
    """Write the image, the table, and last the provenance that names the digests of both."""
    record = provenance(**made)
    table, (_, names) = table_bytes(map_table(values)), _maps(values)
    files: dict[str | Path, bytes] = {}
    if content is not None:
        files[path] = content
        record["image_sha256"] = hashlib.sha256(content).hexdigest()
    files[stem.with_name(f"{stem.name}.tsv")] = table
    record |= {
        **about,
        "maps": names,
        "sha256": hashlib.sha256(table).hexdigest(),
        "attrs": dict(values.attrs),
    }
    files[stem.with_name(f"{stem.name}.provenance.json")] = json_bytes(record)
    write_files(files)
    return [Path(name) for name in files]


def _maps(values: xr.DataArray) -> tuple[np.ndarray, list[str]]:
    """Return maps as (n_maps, n_neuroids) with their names."""
    if not isinstance(values, xr.DataArray) or "neuroid" not in values.dims or values.ndim > 2:
        raise ShapeError(
            "maps must be a DataArray (neuroid,) or (any, neuroid); got "
            f"{getattr(values, 'dims', type(values).__name__)}."
        )
    if values.ndim == 1:
        return as_float(values.values, name="maps", finite=False)[None], [str(values.name or "value")]
    other = next(str(dim) for dim in values.dims if dim != "neuroid")
    found = as_float(values.transpose(other, "neuroid").values, name="maps", finite=False)
    names = [str(name) for name in values[other].values.tolist()]
    if len(set(names)) != len(names):
        raise LabelError(f"maps have repeated names along {other!r}: {listing(names)}.")
    return found, names


def _cast(values: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    if (np.isinf(cast) & np.isfinite(values)).any():
        raise InvalidValueError(f"values reach {np.nanmax(np.abs(values)):g}, too large for {dtype}.")
    return cast
