"""Files of the two hemispheres: functional GIfTI, meshes, masks and parcels, checked against each other."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError, InvalidValueError, LabelError, ShapeError
from ...io.digests import file_digest
from ...io.gifti import check_gifti
from ...io.grids import HEMISPHERES
from ...io.parsing import parsing
from .grids import as_binary
from .parcels import Parcels, is_background, make_parcels, read_names

__all__ = ["Surface", "by_hemisphere", "load_surface", "read_mask", "read_mesh", "read_surface_parcels"]


class Surface:
    """The maps or volumes of one functional GIfTI file: ``rows``, each of ``n_vertices`` values."""

    def __init__(
        self, name: str, path: Path | None, arrays: list[np.ndarray], meta: Mapping[str, str]
    ) -> None:
        self.name, self.path, self.arrays, self.meta = name, path, arrays, meta
        # Some programs write one table (vertex, time) in place of one array a volume.
        self.table = len(arrays) == 1 and arrays[0].ndim == 2
        self.n_vertices = len(arrays[0])
        self.n_times = arrays[0].shape[1] if self.table else len(arrays)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return some volumes (n, n_vertices)."""
        return self.arrays[0][:, start:stop].T if self.table else np.stack(self.arrays[start:stop])

    def digest(self) -> str:
        """Return the SHA-256 of the file, or of the values where there is none."""
        if self.path is not None:
            return file_digest(self.path)
        sha = hashlib.sha256()
        for row in range(self.n_times):
            sha.update(np.ascontiguousarray(self.rows(row, row + 1), dtype=np.float64).tobytes())
        return sha.hexdigest()


def load_surface(source: Any, *, hemisphere: str, place: int) -> Surface:
    """Return a functional GIfTI file.

    Raises
    ------
    FileError
        If it is missing, damaged, or no GIfTI file.
    ShapeError
        If it is a mesh, or its arrays differ in length.
    LabelError
        If it says that it is the other hemisphere.
    """
    image, name, path = _gifti(source, f"{hemisphere} {place}")
    arrays = [np.asarray(array.data) for array in image.darrays]
    kinds = {array.intent for array in image.darrays}
    if kinds & {1008, 1009}:
        raise ShapeError(f"{name} is a mesh, not a series. Pass it as mesh=....")
    if not arrays or any(array.shape != arrays[0].shape for array in arrays) or arrays[0].ndim > 2:
        shapes = sorted({array.shape for array in arrays})
        raise ShapeError(f"{name} must hold one value a vertex and volume; got arrays of shapes {shapes}.")
    if arrays[0].dtype.kind not in "iuf":
        raise InvalidValueError(f"{name} must hold real numbers; got dtype {arrays[0].dtype}.")
    meta = dict(image.darrays[0].meta) | dict(image.meta)
    _refuse_other_side(meta, hemisphere, name)
    return Surface(name, path, arrays, meta)


def _gifti(source: Any, name: str) -> tuple[Any, str, Path | None]:
    import nibabel as nib

    path = Path(source) if isinstance(source, str | Path) else None
    image = source
    if path is not None:
        name = path.name
        if not path.is_file():
            raise FileError(f"{path} does not exist.")
        with parsing(f"{path} is no GIfTI file, or a damaged one"):
            check_gifti(path)
            image = nib.load(path)
    if not isinstance(image, nib.gifti.GiftiImage):
        raise ShapeError(f"{name} must be a GIfTI file or image; got {type(image).__name__}.")
    return image, name, path


def _refuse_other_side(meta: Mapping[str, str], hemisphere: str, name: str) -> None:
    stated = meta.get("AnatomicalStructurePrimary", "")
    other = next(side for side in HEMISPHERES if side != hemisphere)
    if stated == HEMISPHERES[other]:
        raise LabelError(f"{name} was passed as the {hemisphere} hemisphere, but says that it is {stated}.")


def by_hemisphere(given: Any, present: list[str], *, name: str) -> dict[str, Any]:
    """Return what was given for each hemisphere that is read.

    ``given`` is a mapping with the keys "left" and "right", a pair (left, right), an object with ``parts``
    (nilearn's PolyMesh), or one thing where one hemisphere is read.
    """
    if given is None:
        return {}
    # A path has ``parts`` too.
    parts = given if isinstance(given, str | Path) else getattr(given, "parts", given)
    if isinstance(parts, Mapping):
        found = {side: parts[side] for side in present if side in parts}
    elif isinstance(parts, list | tuple) and len(parts) == 2:
        found = {side: part for side, part in zip(HEMISPHERES, parts, strict=True) if side in present}
    elif len(present) == 1:
        found = {present[0]: parts}
    else:
        raise ShapeError(f"{name} must be a pair (left, right); got {type(given).__name__}.")
    missing = [side for side in present if found.get(side) is None]
    if missing:
        raise ShapeError(f"{name} lacks the {' and the '.join(missing)} hemisphere.")
    return found


def read_mesh(source: Any, n_vertices: int, *, hemisphere: str, series: str) -> np.ndarray:
    """Return the positions (n_vertices, 3) in mm of a mesh that has as many vertices as the series."""
    from nilearn.surface import load_surf_mesh

    name = Path(source).name if isinstance(source, str | Path) else f"mesh {hemisphere}"
    with parsing(f"{name} is no mesh, or a damaged one"):
        if isinstance(source, str | Path):
            check_gifti(Path(source))
        found = source if hasattr(source, "coordinates") else load_surf_mesh(source)
        positions = np.asarray(found.coordinates, dtype=np.float64)
    if positions.shape != (n_vertices, 3):
        raise ShapeError(
            f"{name} has {len(positions)} vertices, but {series} has {n_vertices}: "
            "they are not of one surface."
        )
    if not np.isfinite(positions).all():
        raise InvalidValueError(f"{name} holds positions that are not finite.")
    return positions


def read_mask(source: Any, n_vertices: int, *, hemisphere: str, series: str) -> np.ndarray:
    """Return a mask (n_vertices,) as booleans."""
    values, name, _ = _vertex_values(source, f"mask {hemisphere}")
    _refuse_other_length(values, n_vertices, name, series)
    return as_binary(values, name=name)


def read_surface_parcels(
    sources: Mapping[str, Any],
    names: Any,
    inside: np.ndarray,
    n_vertices: Mapping[str, int],
    series: Mapping[str, str],
) -> tuple[Parcels, dict[str, str]]:
    """Return the parcels of the hemispheres that are read, left first, with names "left/V1".

    Parameters
    ----------
    sources : mapping of hemisphere to array, .label.gii, .annot, or any file of one value a vertex
    names : optional
        See ``read_names``; where None, those in the files, else the numbers.
    inside : array (n_places,) of bool
        The mask, both hemispheres joined.
    n_vertices, series : mapping
        Of each hemisphere: its number of vertices, and the name of its file.

    Returns
    -------
    parcels : Parcels
    digests : dict
        SHA-256 of each hemisphere's values.
    """
    given = read_names(names)
    parts, digests, before = [], {}, 0
    for side, source in sources.items():
        values, name, own = _vertex_values(source, f"parcels {side}")
        _refuse_other_length(values, n_vertices[side], name, series[side])
        digests[side] = hashlib.sha256(values.astype(np.float64).tobytes()).hexdigest()
        called = own if given is None else given
        if own is not None:
            values = _without_background(values, own)
        here = inside[before : before + n_vertices[side]]
        found = make_parcels(values, called, inside=here, title=name)
        parts.append((side, before, found))
        before += n_vertices[side]
    return _joined(parts), digests


def _joined(parts: list[tuple[str, int, Parcels]]) -> Parcels:
    all_empty = dict.fromkeys(name for _, _, part in parts for name in part.empty)
    first = np.cumsum([0, *(len(part.names) for _, _, part in parts)])
    return Parcels(
        np.concatenate([part.places + before for _, before, part in parts]),
        np.concatenate([part.member + n for (_, _, part), n in zip(parts, first[:-1], strict=True)]),
        np.array([f"{side}/{name}" for side, _, part in parts for name in part.names.tolist()]),
        np.concatenate([part.values for _, _, part in parts]),
        # A table often names the parcels of both sides: one is empty if neither side has it.
        tuple(name for name in all_empty if not any(name in part.names for _, _, part in parts)),
    )


def _without_background(values: np.ndarray, names: Mapping[int, str]) -> np.ndarray:
    """Return labels with 0 where the table's name is one of the background."""
    outside = [number for number, name in names.items() if is_background(name)]
    return np.where(np.isin(values, outside), 0, values)


def _refuse_other_length(values: np.ndarray, n_vertices: int, name: str, series: str) -> None:
    if values.shape != (n_vertices,):
        raise ShapeError(f"{name} has shape {values.shape}, but {series} has {n_vertices} vertices.")


def _vertex_values(source: Any, name: str) -> tuple[np.ndarray, str, dict[int, str] | None]:
    """Return one value a vertex, what to call it, and the names of its numbers where the file has them."""
    if isinstance(source, np.ndarray):
        return source, name, None
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and path.suffix == ".annot":
        return _annotation(path)
    if path is not None and path.suffix != ".gii":
        return _morphometry(path)
    image, name, _ = _gifti(source, name)
    if len(image.darrays) != 1:
        raise ShapeError(f"{name} must hold one array; got {len(image.darrays)}.")
    table = {int(key): str(label) for key, label in image.labeltable.get_labels_as_dict().items()}
    return np.asarray(image.darrays[0].data), name, _numbered(table, name)


def _annotation(path: Path) -> tuple[np.ndarray, str, dict[int, str]]:
    """Return FreeSurfer's labels counted from 1, and 0 where there is none."""
    from nibabel.freesurfer import read_annot

    if not path.is_file():
        raise FileError(f"{path} does not exist.")
    with parsing(f"{path} is no FreeSurfer annotation, or a damaged one"):
        _refuse_huge_table(path)
        labels, _, names = read_annot(path)
        called = {i: name.decode() for i, name in enumerate(names, start=1)}
    return np.maximum(labels, -1) + 1, path.name, called


def _refuse_huge_table(path: Path) -> None:
    """Refuse a table of colours with more entries than the file has bytes: nibabel makes room for all."""
    with open(path, "rb") as file:
        (n_vertices,) = struct.unpack(">i", file.read(4))
        file.seek(8 * max(n_vertices, 0), 1)
        _, n_entries, last = struct.unpack(">3i", file.read(12))
    promised = n_entries if n_entries > 0 else last
    if n_vertices < 0 or not 0 <= promised <= path.stat().st_size:
        raise ValueError(f"a table of {promised:,} colours is promised")


def _morphometry(path: Path) -> tuple[np.ndarray, str, None]:
    from nilearn.surface import load_surf_data

    if not path.is_file():
        raise FileError(f"{path} does not exist.")
    with parsing(f"{path} holds no values of a surface, or is damaged"):
        check_gifti(path)
        values = np.squeeze(load_surf_data(path))
    return values, path.name, None


def _numbered(table: dict[int, str], name: str) -> dict[int, str] | None:
    """Return a label table, or None where it holds no name but the background's."""
    if all(number == 0 or is_background(label) for number, label in table.items()):
        return None
    if 0 in table and not is_background(table[0]):
        raise LabelError(
            f"{name}: the number 0 is named {table[0]!r}, but stands for no parcel. Number parcels from 1."
        )
    return table
