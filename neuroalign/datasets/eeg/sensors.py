"""Sensors of EEG and MEG: which kind, in which unit, where on the head, and which are neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ...errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ...io.parsing import parsing
from ...schema import labels

__all__ = ["UNITS", "channel_table", "sensor_adjacency", "sensor_plane"]

# Kind of channel -> factor from SI, and what the values are then in.
MICROVOLT = (1e6, "microvolt")
USUAL = {
    **dict.fromkeys(("eeg", "seeg", "ecog", "dbs", "eog", "ecg", "emg"), MICROVOLT),
    "mag": (1e15, "fT"),
    "grad": (1e13, "fT/cm"),
}
SI = {name: (1.0, {"mag": "T", "grad": "T/m"}.get(name, "V")) for name in USUAL}
UNITS = {"usual": USUAL, "SI": SI}
BRAIN = ("eeg", "mag", "grad", "seeg", "ecog", "dbs")
METHODS = ("distance", "delaunay")
AXES = ("x", "y", "z")
MM = 1e3
# FIF's numbers of the coordinate frames of a sensor's place.
DEVICE, HEAD = 1, 4
# Sensors nearer to one another than this (mm) are at one place, such as the coils of a MEG triplet.
SAME_PLACE = 1e-3


def sensor_adjacency(
    sensors: xr.DataArray, *, method: str = "delaunay", max_distance_mm: float | None = None
) -> xr.DataArray:
    """Return which sensors are neighbours, from their places alone.

    - ``distance``: any two at most ``max_distance_mm`` apart, in a straight line.
    - ``delaunay``: those that share an edge of the Delaunay triangulation of the places in the plane, where
      each lies in its direction from the top of the sphere that fits all places best, as far out as its angle
      from the top (azimuthal equidistant). Edges along the rim can be long; ``max_distance_mm`` drops edges
      that are longer.

    Sensors at one place (planar gradiometers) are neighbours and have the same other neighbours.

    Parameters
    ----------
    sensors : DataArray
        With a dim ``neuroid``, labels, and coordinates x, y, z in mm along it, whatever the other dims;
        or places (neuroid, axis), x, y, z in mm. Channels of one kind where there is a ``channel_type``.
    method : {"delaunay", "distance"}
    max_distance_mm : float, optional
        Needed for ``distance``.

    Returns
    -------
    DataArray (neuroid, neuroid_b) of bool
        Symmetric; a sensor is no neighbour of itself. ``attrs["n_isolated"]`` counts sensors without a
        neighbour. ``scipy.sparse.csr_array(found.values)`` is the same as a sparse matrix.

    Raises
    ------
    LabelError
        If sensors have no labels, or no known place.
    ShapeError
        If dims are other ones, or there are fewer than 2 sensors (``delaunay``: 4 places).
    InvalidValueError
        If channels are of several kinds, a distance is missing or not positive, or places lie on a line.

    Notes
    -----
    MNE's ``find_ch_adjacency`` triangulates a projection from the origin of the head's coordinates and counts
    a sensor as its own neighbour. Where four sensors stand in a square, either diagonal may be the edge: the
    64 electrodes of ``n400_group_eeg`` share 88 % of all edges.

    Examples
    --------
    >>> places = xr.DataArray([[0.0, 0, 90], [30, 0, 85], [80, 0, 30]], dims=("neuroid", "axis"),
    ...                       coords={"neuroid": ["Cz", "C2", "T8"]})
    >>> sensor_adjacency(places, method="distance", max_distance_mm=40).values.sum(axis=1).tolist()
    [1, 1, 0]
    """
    if method not in METHODS:
        raise choice(method, METHODS, name="method")
    if max_distance_mm is None and method == "distance":
        raise InvalidValueError("method 'distance' needs max_distance_mm, such as 40 for 64 electrodes.")
    if max_distance_mm is not None and not (np.isfinite(max_distance_mm) and max_distance_mm > 0):
        raise InvalidValueError(f"max_distance_mm must be positive and finite; got {max_distance_mm!r}.")
    names, places = _places(sensors)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    adjacent = _triangulated(places, apart) if method == "delaunay" else np.ones(apart.shape, dtype=bool)
    if max_distance_mm is not None:
        adjacent &= apart <= max_distance_mm
    np.fill_diagonal(adjacent, False)
    attrs: dict[str, Any] = {"method": method, "n_isolated": int((~adjacent.any(axis=1)).sum())}
    if max_distance_mm is not None:
        attrs["max_distance_mm"] = float(max_distance_mm)
    return xr.DataArray(
        adjacent,
        dims=("neuroid", "neuroid_b"),
        coords={"neuroid": names, "neuroid_b": names},
        attrs=attrs,
        name="adjacency",
    )


def sensor_plane(sensors: xr.DataArray) -> xr.DataArray:
    """Return where sensors lie on a head that is flattened around its top (azimuthal equidistant).

    A sphere is fitted to the sensors; the distance from the centre of the plane is the angle from the top
    over 90 degrees, so that the equator is a circle of radius 1.

    Parameters
    ----------
    sensors : DataArray
        As in ``sensor_adjacency``: x to the right, y to the nose, z up.

    Returns
    -------
    DataArray (neuroid, axis)
        ``axis`` is ``"right"`` and ``"front"``.

    Raises
    ------
    As ``sensor_adjacency``; ShapeError if there are fewer than 4 sensors.

    Examples
    --------
    >>> places = xr.DataArray([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0.0]],
    ...                       dims=("neuroid", "axis"), coords={"neuroid": ["Cz", "T8", "T7", "Fpz", "Oz"]})
    >>> sensor_plane(places).sel(neuroid="Fpz").values.round(6).tolist()
    [0.0, 1.0]
    """
    names, places = _places(sensors)
    if len(places) < 4:
        raise ShapeError(f"a head needs at least 4 sensors; got {len(places)}.")
    coords = {"neuroid": names, "axis": ["right", "front"]}
    return xr.DataArray(_flat(places), dims=("neuroid", "axis"), coords=coords, name="plane")


def channel_table(info: Any, picks: Sequence[str] | str | None, units: str) -> dict[str, Any]:
    """Return the channels of an MNE ``Info`` that are taken: positions, names, kinds, units, places.

    Parameters
    ----------
    info : mne.Info
    picks : str or sequence of str, optional
        Kinds of channels, or names; all kinds that record a brain where None. Bad channels are left out.
    units : {"usual", "SI"}

    Returns
    -------
    dict
        ``index``, ``names``, ``kinds``, ``factors``, ``units`` (n,); ``places`` (n, 3) in mm in the head's
        frame, NaN where unknown; ``bads``, the names of bad channels that would have been taken.
    """
    with parsing("channels are of a kind that mne does not know"):
        every, kinds = list(info["ch_names"]), info.get_channel_types()
    taken = _picked(every, kinds, [picks] if isinstance(picks, str) else picks)
    bads = [every[i] for i in taken if every[i] in info["bads"]]
    named = [name for name in bads if picks is not None and name in picks]
    if named:
        raise InvalidValueError(
            f"picks: {listing(named)} are marked as bad; take them out of picks or of info['bads']."
        )
    taken = [i for i in taken if every[i] not in bads]
    if not taken:
        raise ShapeError(f"no channel is left: {len(bads)} of those that were asked for are marked as bad.")
    scales = [UNITS[units].get(kinds[i], (1.0, "as in the file")) for i in taken]
    return {
        "index": taken,
        "names": [every[i] for i in taken],
        "kinds": [kinds[i] for i in taken],
        "factors": np.array([factor for factor, _ in scales]),
        "units": [unit for _, unit in scales],
        "places": _head_places([info["chs"][i] for i in taken], info["dev_head_t"]),
        "bads": bads,
    }


def _picked(names: list[str], kinds: list[str], picks: Sequence[str] | None) -> list[int]:
    if picks is None:
        found = [i for i, kind in enumerate(kinds) if kind in BRAIN]
        if not found:
            raise ShapeError(f"no channel records a brain; their kinds are {listing(sorted(set(kinds)))}.")
        return found
    unknown = [pick for pick in picks if pick not in names and pick not in kinds]
    if unknown:
        raise LabelError(
            f"picks: {listing(unknown)} are neither channels nor kinds; there are the kinds "
            f"{listing(sorted(set(kinds)), limit=20)} and the channels {listing(names, limit=10)}."
        )
    return [i for i, (name, kind) in enumerate(zip(names, kinds, strict=True)) if {name, kind} & set(picks)]


def _head_places(channels: Sequence[Any], to_head: Any) -> np.ndarray:
    """Return places (n, 3) in mm in the head's frame; NaN where there is none, or no way to that frame."""
    places = np.full((len(channels), 3), np.nan)
    for i, channel in enumerate(channels):
        place, frame = np.asarray(channel["loc"][:3], dtype=np.float64), int(channel["coord_frame"])
        if not np.isfinite(place).all() or not place.any():
            continue
        if frame == HEAD:
            places[i] = place
        elif frame == DEVICE and to_head is not None:
            matrix = to_head["trans"]
            places[i] = matrix[:3, :3] @ place + matrix[:3, 3]
    return places * MM


def _places(sensors: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(sensors, xr.DataArray) or "neuroid" not in sensors.dims:
        what = getattr(sensors, "dims", type(sensors).__name__)
        raise ShapeError(f"sensors must be a DataArray with a dim 'neuroid'; got {what}.")
    names = labels(sensors, on="neuroid", name="sensors")
    if len(names) < 2:
        raise ShapeError(f"neighbours need at least 2 sensors; got {len(names)}.")
    if "channel_type" in sensors.coords:
        kinds = sorted({str(kind) for kind in np.atleast_1d(sensors["channel_type"].values)})
        if len(kinds) > 1:
            raise InvalidValueError(
                f"sensors are of {len(kinds)} kinds, {listing(kinds)}, whose values cannot be pooled: take "
                f"one with sensors.sel(neuroid=sensors['channel_type'] == {kinds[0]!r})."
            )
    if all(axis in sensors.coords and sensors[axis].dims == ("neuroid",) for axis in AXES):
        places = np.stack([sensors[axis].values for axis in AXES], axis=1).astype(np.float64)
    elif set(sensors.dims) == {"neuroid", "axis"} and sensors.sizes["axis"] == len(AXES):
        places = sensors.transpose("neuroid", "axis").values.astype(np.float64)
    else:
        places = np.full((len(names), 3), np.nan)
    lost = names[~np.isfinite(places).all(axis=1)]
    if len(lost):
        raise LabelError(
            f"sensors: {len(lost)} of {len(names)} have no known place: {listing(lost)}. Set a montage "
            "before the data are converted, such as epochs.set_montage('standard_1020') (MEG: the transform "
            "from device to head), pass places (neuroid, axis) in mm, or drop these sensors."
        )
    return names, places


def _triangulated(places: np.ndarray, apart: np.ndarray) -> np.ndarray:
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import Delaunay, QhullError

    n_spots, spot = connected_components(apart < SAME_PLACE, directed=False)
    if n_spots < 4:
        raise ShapeError(f"a triangulation needs sensors at 4 places or more; got {n_spots}.")
    first = np.array([np.flatnonzero(spot == i)[0] for i in range(n_spots)])
    try:
        triangles = Delaunay(_flat(places[first])).simplices
    except QhullError as error:
        raise InvalidValueError("the sensors' places lie on a line or a point: no triangulation.") from error
    adjacent = np.eye(n_spots, dtype=bool)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        adjacent[triangles[:, a], triangles[:, b]] = adjacent[triangles[:, b], triangles[:, a]] = True
    return adjacent[np.ix_(spot, spot)]


def _flat(places: np.ndarray) -> np.ndarray:
    """Return places in the plane (n, 2): direction from the top of the best sphere, angle over 90 degrees."""
    # |p|^2 = 2 p c + (r^2 - |c|^2) is linear in the centre c.
    middle = places.mean(axis=0)
    moved = places - middle
    design = np.column_stack([2 * moved, np.ones(len(moved))])
    centre, _, rank, _ = np.linalg.lstsq(design, (moved**2).sum(axis=1), rcond=1e-9)
    if rank < design.shape[1]:  # in a plane there is no sphere: their own two axes
        _, _, axes = np.linalg.svd(moved, full_matrices=False)
        return moved @ axes[:2].T
    rays = moved - centre[:3]
    angle = np.arccos(np.clip(rays[:, 2] / np.linalg.norm(rays, axis=1), -1, 1))
    around = np.arctan2(rays[:, 1], rays[:, 0])
    return np.column_stack([angle * np.cos(around), angle * np.sin(around)]) / (np.pi / 2)
