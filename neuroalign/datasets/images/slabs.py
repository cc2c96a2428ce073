"""Images of several volumes, opened by their headers and read some volumes at a time."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError, InvalidValueError, ShapeError
from ...io.digests import file_digest
from ...io.files import DAMAGED
from .grids import Grid, difference, grid_of, load_image

__all__ = ["SLAB", "Volumes", "as_list", "open_volumes", "refuse_other_grids"]

# Bytes that are read at a time, counted in float32.
SLAB = 2**24


@dataclass(frozen=True, eq=False)
class Volumes:
    """One image of ``n_times`` volumes, whose values stay on the disk."""

    name: str
    image: Any
    path: Path | None
    grid: Grid
    n_times: int

    def digest(self) -> str:
        """Return the SHA-256 of the file, or of the values and the affine where there is none."""
        if self.path is not None:
            return file_digest(self.path)
        sha = hashlib.sha256(self.grid.affine.tobytes())
        sha.update(f"{self.image.shape}".encode())
        for _, block in self.blocks():
            sha.update(np.ascontiguousarray(block, dtype=np.float64).tobytes())
        return sha.hexdigest()

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give the first volume's number and the values (n, n_voxels) of a few volumes.

        Voxels lie as in the file: the first index runs fastest.
        """
        n_voxels = int(np.prod(self.grid.shape))
        step = max(1, SLAB // (4 * max(1, n_voxels)))
        stream = self._stream()
        try:
            values = self.image.dataobj if stream is None else self._through(stream)
            for start in range(0, self.n_times, step):
                yield start, self._read(partial(_slab, values, start, start + step, n_voxels))
            if stream is not None:
                # Past the last value: only here the checksum of the compressed file is compared.
                self._read(lambda: _exhaust(stream))
        finally:
            if stream is not None:
                stream.close()

    def _stream(self) -> gzip.GzipFile | None:
        """Return a compressed file that is read front to back; opened anew, each slab would start over."""
        import nibabel as nib

        if self.path is None or not self.path.name.endswith(".nii.gz"):
            return None
        return gzip.open(self.path) if isinstance(self.image, nib.Nifti1Image) else None

    def _through(self, stream: gzip.GzipFile) -> Any:
        from nibabel.fileholders import FileHolder

        kind = type(self.image)
        return self._read(lambda: kind.from_file_map({"image": FileHolder(fileobj=stream)}).dataobj)

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (*DAMAGED, zlib.error) as error:
            raise FileError(
                f"{self.name} is damaged or cut short ({error}); its header promises {self.n_times} volumes "
                f"of {self.grid.shape}. Copy or make it again."
            ) from error


def _slab(values: Any, start: int, stop: int, n_voxels: int) -> np.ndarray:
    found = np.asanyarray(values[..., start:stop] if len(values.shape) == 4 else values[..., None])
    return found.reshape(n_voxels, -1, order="F").T


def _exhaust(stream: gzip.GzipFile) -> None:
    while stream.read(2**20):
        pass


def as_list(images: Any) -> list[Any]:
    """Return one image or several as a list."""
    found = list(images) if isinstance(images, list | tuple) else [images]
    if not found:
        raise ShapeError("images must hold at least one image; got an empty list.")
    return found


def open_volumes(source: Any, *, place: int, single: bool = False) -> Volumes:
    """Return one image, checked by its header.

    Parameters
    ----------
    source : path or nibabel image
    place : int
        Its place in the list, from 1: the name of an image without a file.
    single : bool
        Whether one volume is enough: an image of three dims, or of one volume.

    Raises
    ------
    ShapeError
        If it has other dims, or the affine is not finite or singular.
    InvalidValueError
        If its values are no real numbers.
    FileError
        If the file is missing or no image.
    """
    image, name = load_image(source, name=f"image {place}")
    grid = grid_of(image, name)
    if min(image.shape) < 1 or image.ndim not in ((3, 4) if single else (4,)):
        hint = " Pass one image a volume to read_patterns." if image.ndim == 3 else ""
        raise ShapeError(f"{name} must have four dims, the last of them time; got {image.shape}.{hint}")
    n_times = image.shape[3] if image.ndim == 4 else 1
    if n_times == 1 and not single:
        raise ShapeError(f"{name} holds a single volume, shape {image.shape}; a series needs at least 2.")
    if image.get_data_dtype().kind not in "iuf":
        raise InvalidValueError(f"{name} must hold real numbers; got dtype {image.get_data_dtype()}.")
    path = Path(source) if isinstance(source, str | Path) else None
    return Volumes(name, image, path, grid, int(n_times))


def refuse_other_grids(opened: list[Volumes]) -> None:
    """Refuse images that do not share the voxels of the first."""
    first = opened[0]
    for other in opened[1:]:
        differs = difference(first.grid, other.grid)
        if differs:
            raise ShapeError(
                f"{other.name} does not lie on the grid of {first.name}: {differs}. {other.grid}; "
                f"{first.grid}. Resample the images first "
                "(nilearn.image.resample_img): data are never resampled here."
            )
