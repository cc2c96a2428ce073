"""Functional surfaces: GIfTI files of the two hemispheres as one series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ...errors import InvalidValueError, ShapeError
from ...io.grids import HEMISPHERES
from ...schema import check
from .hemispheres import Surface, by_hemisphere, load_surface, read_mask, read_mesh, read_surface_parcels
from .parcels import Parcels
from .pooling import Pooled, pool
from .repetition import repetition_time, run_labels, sidecar_time, time_coords
from .slabs import SLAB, as_list

__all__ = ["read_surfaces"]


@dataclass(frozen=True, eq=False)
class Pair:
    """One run: the hemispheres that are read, left first."""

    sides: dict[str, Surface]

    @property
    def name(self) -> str:
        """The files' names."""
        return " and ".join(side.name for side in self.sides.values())

    @property
    def n_times(self) -> int:
        """Number of volumes."""
        return next(iter(self.sides.values())).n_times

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Give a few volumes (n, n_vertices of both) at a time."""
        step = max(1, SLAB // (4 * sum(side.n_vertices for side in self.sides.values())))
        for start in range(0, self.n_times, step):
            stop = start + step
            yield start, np.concatenate([side.rows(start, stop) for side in self.sides.values()], axis=1)


def read_surfaces(
    left: Any = None,
    right: Any = None,
    *,
    mask: Any = None,
    parcels: Any = None,
    parcel_names: Any = None,
    mesh: Any = None,
    tr: float | None = None,
    subject: str | None = None,
    runs: Sequence[Any] | None = None,
    missing: str = "keep",
    dtype: str = "float32",
    progress: bool = True,
) -> xr.DataArray:
    """Return functional GIfTI files of one person as a series (time, neuroid): vertices or parcels.

    What belongs to hemispheres (``mask``, ``parcels``, ``mesh``) is a pair (left, right), a mapping with the
    keys "left" and "right", or one thing where one hemisphere is read.

    Parameters
    ----------
    left, right : path, GiftiImage, or list of them, optional
        One a run, of as many volumes on both sides; at least one side.
    mask : pair of array (n_vertices,) or path, optional
        0 and 1. Without a mask all vertices are read that vary in some run: those of the medial wall are
        0 throughout in most files.
    parcels : pair of path (.label.gii, .annot, or a file of one number a vertex) or array, optional
        Each parcel's mean over its vertices, summed in float64, is a neuroid. 0 and names such as "???",
        "unknown" or "Medial_wall" belong to none.
    parcel_names : mapping of int to str, DataFrame, or path, optional
        As in ``read_volumes``, for both hemispheres; where None, the names in the files, else the numbers.
    mesh : pair of path (.surf.gii, or FreeSurfer's) or nilearn mesh, or PolyMesh, optional
        Gives the positions x, y, z.
    tr : float, optional
        Seconds between volumes. Where None it is RepetitionTime in the JSON file beside the images.
        GIfTI's own TimeStep has no agreed unit: it must be the same number in seconds or milliseconds.
    subject, runs, missing, dtype, progress
        As in ``read_volumes``.

    Returns
    -------
    DataArray (time, neuroid)
        Along time as ``read_volumes``. Along neuroid, left first: label "left/123", ``hemisphere``,
        ``vertex`` (from 0), and x, y, z where there is a mesh. Of parcels: label "left/V1", ``hemisphere``,
        ``roi`` ("V1"), ``parcel`` (its number; of an .annot, its place in the table from 1), ``n_vertices``,
        and the mean position. ``attrs``: ``n_vertices`` (one number, or one a hemisphere where they differ),
        ``tr``, ``n_constant``, ``n_partly_constant``, ``n_nan``, ``missing``, ``empty_parcels``, ``sources``,
        ``parcels`` (SHA-256 a hemisphere).

    Raises
    ------
    ShapeError
        If hemispheres or runs differ in their volumes or vertices, or a mask, parcels or a mesh have another
        number of vertices.
    InvalidValueError, LabelError, FileError
        As ``read_volumes``; and where a file says that it is the other hemisphere.

    Examples
    --------
    >>> import nibabel as nib
    >>> rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    >>> image = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(row) for row in rows])
    >>> bold = read_surfaces(image, tr=2.0, progress=False)
    >>> dict(bold.sizes), bold["neuroid"].values[:2].tolist()
    ({'time': 3, 'neuroid': 4}, ['left/0', 'left/1'])
    """
    pairs = _pairs(left, right)
    labels = run_labels(runs, len(pairs))
    seconds = repetition_time(_stated(pairs), tr)
    _refuse_other_steps(pairs, seconds)
    sides = pairs[0].sides
    n_vertices = {side: found.n_vertices for side, found in sides.items()}
    positions = _positions(mesh, sides)
    taken, about = _taken(mask, parcels, parcel_names, sides, n_vertices)
    pooled = pool(
        pairs,
        taken,
        varying=mask is None and parcels is None,
        missing=missing,
        dtype=dtype,
        place="vertex",
        progress=progress,
    )
    coords = time_coords([pair.n_times for pair in pairs], seconds, labels)
    coords |= _neuroids(pooled, n_vertices, positions, subject)
    sizes = set(n_vertices.values())
    attrs = {
        "n_vertices": sizes.pop() if len(sizes) == 1 else n_vertices,
        "tr": seconds,
        "missing": missing,
        "sources": [
            {"file": one.name, "sha256": one.digest()} for pair in pairs for one in pair.sides.values()
        ],
        **pooled.counts,
        **about,
    }
    if isinstance(pooled.taken, Parcels):
        attrs["empty_parcels"] = list(pooled.taken.empty)
    series = xr.DataArray(pooled.values, dims=("time", "neuroid"), coords=coords, attrs=attrs, name="bold")
    return check(series, "series")


def _pairs(left: Any, right: Any) -> list[Pair]:
    given = {side: as_list(x) for side, x in zip(HEMISPHERES, (left, right), strict=True) if x is not None}
    if not given:
        raise ShapeError("read_surfaces needs the files of at least one hemisphere: left=... or right=....")
    lengths = {side: len(found) for side, found in given.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"both hemispheres must have as many runs; got {lengths}.")
    pairs: list[Pair] = []
    for run in range(next(iter(lengths.values()))):
        sides = {side: load_surface(x[run], hemisphere=side, place=run + 1) for side, x in given.items()}
        pairs.append(_checked(Pair(sides), pairs[0] if pairs else None))
    return pairs


def _checked(pair: Pair, first: Pair | None) -> Pair:
    """Return a run whose hemispheres are as long as each other and as large as those of the first run."""
    lengths = {one.name: one.n_times for one in pair.sides.values()}
    if len({one.n_times for one in pair.sides.values()}) > 1:
        words = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ShapeError(f"the hemispheres of a run must have as many volumes; got {words}.")
    if pair.n_times < 2:
        raise ShapeError(f"{pair.name}: a single volume; a series needs at least 2.")
    for side, one in pair.sides.items():
        other = first.sides[side] if first else one
        if one.n_vertices != other.n_vertices:
            raise ShapeError(
                f"{one.name} has {one.n_vertices} vertices, but {other.name} has {other.n_vertices}."
            )
    return pair


def _stated(pairs: list[Pair]) -> dict[str, dict[str, float | None]]:
    return {
        f"{one.name}" if len(pairs) == 1 else f"{one.name} (run {run})": {"sidecar": sidecar_time(one.path)}
        for run, pair in enumerate(pairs, start=1)
        for one in pair.sides.values()
    }


def _refuse_other_steps(pairs: list[Pair], tr: float) -> None:
    for pair in pairs:
        for one in pair.sides.values():
            try:
                step = float(one.meta.get("TimeStep", tr))
            except ValueError:
                step = math.nan
            if step != 0 and not any(math.isclose(step, unit * tr, rel_tol=1e-4) for unit in (1, 1000)):
                raise InvalidValueError(
                    f"the repetition times disagree: {tr:g} s was stated, but {one.name} has the TimeStep "
                    f"{one.meta['TimeStep']!r}, which is neither that many seconds nor milliseconds."
                )


def _positions(mesh: Any, sides: dict[str, Surface]) -> np.ndarray | None:
    """Return the positions (n_places, 3) of both hemispheres."""
    found = by_hemisphere(mesh, list(sides), name="mesh")
    parts = [
        read_mesh(found[side], one.n_vertices, hemisphere=side, series=one.name)
        for side, one in sides.items()
        if side in found
    ]
    return np.concatenate(parts) if parts else None


def _taken(
    mask: Any, parcels: Any, parcel_names: Any, sides: dict[str, Surface], n_vertices: dict[str, int]
) -> tuple[np.ndarray | Parcels, dict[str, Any]]:
    masks = by_hemisphere(mask, list(sides), name="mask")
    inside = np.concatenate(
        [
            read_mask(masks[side], n, hemisphere=side, series=sides[side].name)
            if side in masks
            else np.ones(n, dtype=bool)
            for side, n in n_vertices.items()
        ]
    )
    if parcels is None:
        return np.flatnonzero(inside), {}
    found = by_hemisphere(parcels, list(sides), name="parcels")
    series = {side: one.name for side, one in sides.items()}
    taken, digests = read_surface_parcels(found, parcel_names, inside, n_vertices, series)
    return taken, {"parcels": digests}


def _neuroids(
    pooled: Pooled, n_vertices: dict[str, int], positions: np.ndarray | None, subject: str | None
) -> dict[str, Any]:
    """Return the coordinates along neuroid."""
    side = np.repeat(list(n_vertices), list(n_vertices.values()))
    vertex = np.concatenate([np.arange(n) for n in n_vertices.values()])
    taken = pooled.taken
    coords: dict[str, Any] = {}
    if isinstance(taken, Parcels):
        firsts = taken.places[np.searchsorted(taken.member, np.arange(len(taken.names)))]
        coords["neuroid"] = taken.names
        coords["hemisphere"] = ("neuroid", side[firsts])
        coords["roi"] = ("neuroid", np.array([name.split("/", 1)[1] for name in taken.names.tolist()]))
        coords["parcel"] = ("neuroid", taken.values)
        coords["n_vertices"] = ("neuroid", taken.sizes)
        xyz = None if positions is None else taken.means(positions[taken.places].T)
    else:
        coords["neuroid"] = [f"{s}/{v}" for s, v in zip(side[taken], vertex[taken], strict=True)]
        coords["hemisphere"] = ("neuroid", side[taken])
        coords["vertex"] = ("neuroid", vertex[taken])
        xyz = None if positions is None else positions[taken].T
    if xyz is not None:
        coords |= {name: ("neuroid", xyz[axis]) for axis, name in enumerate("xyz")}
    if subject is not None:
        coords["subject"] = ("neuroid", np.full(pooled.values.shape[1], subject))
    return coords
