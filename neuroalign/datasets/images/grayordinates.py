"""Grayordinates of CIFTI files: structures, their labels and positions, and parcels over them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError, LabelError, ShapeError, choice
from ...io.images import refuse_huge_image
from ...io.parsing import parsing
from .hemispheres import by_hemisphere, read_mesh
from .parcels import Parcels, is_background, make_parcels
from .pooling import Pooled

__all__ = ["axes_of", "brief", "label_grayordinates", "load_cifti", "places_of", "read_label_parcels"]

PREFIX = "CIFTI_STRUCTURE_"
CORTEX = {"left": "cortex_left", "right": "cortex_right"}


def load_cifti(source: Any, name: str) -> tuple[Any, str, Path | None]:
    """Return a CIFTI image, what to call it, and its path."""
    import nibabel as nib

    path = Path(source) if isinstance(source, str | Path) else None
    image = source
    if path is not None:
        name = path.name
        if not path.is_file():
            raise FileError(f"{path} does not exist.")
        with parsing(f"{path} is no CIFTI file, or a damaged one"):
            image = nib.load(path)
            if isinstance(image, nib.cifti2.Cifti2Image):
                refuse_huge_image(image, path)
    if not isinstance(image, nib.cifti2.Cifti2Image):
        raise ShapeError(f"{name} must be a CIFTI file or image; got {type(image).__name__}.")
    return image, name, path


def axes_of(image: Any, name: str) -> list[Any]:
    """Return the axes that a CIFTI header states."""
    with parsing(f"{name} is damaged: its header states no axes"):
        axes = [image.header.get_axis(i) for i in range(image.ndim)]
        for n in (n for axis in axes for n in getattr(axis, "nvertices", {}).values()):
            int(n)  # nibabel takes None
        if tuple(map(len, axes)) != tuple(image.shape):
            raise ValueError(f"it is said to be {tuple(map(len, axes))}, and its values are {image.shape}")
        return axes


def brief(brain: Any) -> str:
    """Return the structures and how many grayordinates each has, in words."""
    return ", ".join(f"{_plain(name)} {len(part)}" for name, _, part in brain.iter_structures())


def _plain(name: str) -> str:
    return str(name).removeprefix(PREFIX).lower()


def places_of(brain: Any, structures: Sequence[str] | None) -> np.ndarray:
    """Return the places of the structures that are asked for, in the order of the file."""
    names = np.array([_plain(name) for name in brain.name])
    if structures is None:
        return np.arange(len(names))
    if isinstance(structures, str):
        raise ShapeError(f"structures must be a list; got the string {structures!r}. Pass [{structures!r}].")
    known = list(dict.fromkeys(names.tolist()))
    for name in structures:
        if name not in known:
            raise choice(name, known, name="each of structures")
    return np.flatnonzero(np.isin(names, list(structures)))


def read_label_parcels(
    source: Any, brain: Any, places: np.ndarray, series: str
) -> tuple[Parcels, dict[str, Any]]:
    """Return the parcels of a dlabel file, matched to the series by structure, vertex and voxel."""
    import nibabel as nib

    image, name, _ = load_cifti(source, "parcels")
    axes = axes_of(image, name)
    if not isinstance(axes[0], nib.cifti2.LabelAxis) or not isinstance(axes[1], nib.cifti2.BrainModelAxis):
        raise ShapeError(f"{name} must be a .dlabel.nii over grayordinates; got {type(axes[0]).__name__}.")
    if len(axes[0]) != 1:
        raise ShapeError(f"{name} must hold one map of labels; got {len(axes[0])}.")
    with parsing(f"{name} is damaged or cut short"):
        labels = np.asarray(image.dataobj)[0]
    names = {int(number): str(entry[0]) for number, entry in axes[0].label[0].items()}
    known = {key: i for i, key in enumerate(_keys(brain))}
    at = np.array([known.get(key, -1) for key in _keys(axes[1])])
    background = [number for number, label in names.items() if is_background(label)] + [0]
    labels = np.where(np.isin(labels, background), 0, labels)
    lost = (at < 0) & (labels != 0)
    if lost.any():
        raise LabelError(
            f"{name}: {int(lost.sum())} of {int((labels != 0).sum())} labelled grayordinates are not in "
            f"{series} ({brief(axes[1])} against {brief(brain)})."
        )
    whole = np.zeros(len(brain), dtype=labels.dtype)
    whole[at[at >= 0]] = labels[at >= 0]
    inside = np.zeros(len(brain), dtype=bool)
    inside[places] = True
    found = make_parcels(whole, names, inside=inside, title=name)
    sha = hashlib.sha256(whole.astype(np.int64).tobytes()).hexdigest()
    return found, {"parcels": {"file": name, "sha256": sha}}


def _keys(brain: Any) -> list[tuple[Any, ...]]:
    """Return what tells a grayordinate from all others."""
    return [
        (str(name), int(vertex), *voxel)
        for name, vertex, voxel in zip(brain.name, brain.vertex, brain.voxel.tolist(), strict=True)
    ]


def _grayordinates(brain: Any, mesh: Any, series: str) -> dict[str, np.ndarray]:
    """Return structure, hemisphere, vertex, i j k and x y z of all grayordinates; NaN where undefined."""
    structure = np.array([_plain(name) for name in brain.name])
    is_vertex = np.asarray(brain.surface_mask)
    voxel = np.where(is_vertex[:, None], np.nan, brain.voxel.astype(np.float64))
    places = np.full((len(structure), 3), np.nan)
    if brain.affine is not None:
        affine = np.asarray(brain.affine, dtype=np.float64)
        places = voxel @ affine[:3, :3].T + affine[:3, 3]
    hemisphere = np.full(len(structure), "", dtype="<U5")
    for side, name in CORTEX.items():
        hemisphere[is_vertex & (structure == name)] = side
    sizes = {_plain(name): int(n) for name, n in brain.nvertices.items()}
    present = [side for side, name in CORTEX.items() if name in sizes]
    for side, source in by_hemisphere(mesh, present, name="mesh").items():
        here = hemisphere == side
        positions = read_mesh(source, sizes[CORTEX[side]], hemisphere=side, series=series)
        places[here] = positions[brain.vertex[here]]
    return {
        "structure": structure,
        "hemisphere": hemisphere,
        "vertex": np.where(is_vertex, brain.vertex.astype(np.float64), np.nan),
        **{name: voxel[:, axis] for axis, name in enumerate("ijk")},
        **{name: places[:, axis] for axis, name in enumerate("xyz")},
    }


def label_grayordinates(
    pooled: Pooled, brain: Any, mesh: Any, series: str, subject: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the coordinates along neuroid, and what is known of the spaces."""
    taken, known = pooled.taken, _grayordinates(brain, mesh, series)
    coords: dict[str, Any] = {}
    if isinstance(taken, Parcels):
        coords["neuroid"] = taken.names
        coords["roi"] = ("neuroid", taken.names)
        coords["parcel"] = ("neuroid", taken.values)
        coords["n_grayordinates"] = ("neuroid", taken.sizes)
        middle = taken.means(np.stack([known[name][taken.places] for name in "xyz"]))
        coords |= {name: ("neuroid", middle[axis]) for axis, name in enumerate("xyz")}
    else:
        coords["neuroid"] = _labels(brain, known, taken)
        coords |= {name: ("neuroid", values[taken]) for name, values in known.items()}
    if subject is not None:
        coords["subject"] = ("neuroid", np.full(pooled.values.shape[1], subject))
    attrs: dict[str, Any] = {}
    if brain.affine is not None:
        attrs |= {"affine": np.asarray(brain.affine).tolist(), "shape": list(map(int, brain.volume_shape))}
    sizes = {_plain(name): int(n) for name, n in brain.nvertices.items()}
    if sizes:
        attrs["n_vertices"] = next(iter(sizes.values())) if len(set(sizes.values())) == 1 else sizes
    return coords, attrs


def _labels(brain: Any, known: dict[str, np.ndarray], taken: np.ndarray) -> list[str]:
    surface, structure = np.asarray(brain.surface_mask)[taken], known["structure"][taken]
    vertex, voxel = brain.vertex[taken], brain.voxel[taken].tolist()
    return [
        f"{name}/{v}" if on else f"{name}/{'-'.join(map(str, ijk))}"
        for name, on, v, ijk in zip(structure.tolist(), surface, vertex.tolist(), voxel, strict=True)
    ]
