"""Simulated presentations of stimuli with information in known places: a volume, or any set of places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ...arrays import as_float
from ...errors import InvalidValueError, LabelError, ShapeError, listing
from ...schema import labels
from ...seeds import generator

__all__ = ["planted", "volume_places"]

OUTSIDE = "none"


def volume_places(shape: tuple[int, int, int], *, voxel: float = 3.0, ellipsoid: bool = True) -> xr.DataArray:
    """Return the voxels of a made-up brain, with which maps can be written as NIfTI.

    Parameters
    ----------
    shape : (int, int, int)
        Of the volume.
    voxel : float
        Edge of a voxel in mm.
    ellipsoid : bool
        Whether only voxels inside the ellipsoid that touches the faces are in the brain; all where not.

    Returns
    -------
    DataArray (neuroid, axis)
        Positions in mm, the middle of the volume at 0. Labels "i-j-k"; coordinates i, j, k, x, y, z;
        ``attrs`` holds ``affine`` and ``shape``.

    Raises
    ------
    InvalidValueError
        If a size is not positive.

    Examples
    --------
    >>> volume_places((3, 3, 1), voxel=2).sizes["neuroid"]
    5
    """
    sizes = np.asarray(shape)
    if sizes.shape != (3,) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise InvalidValueError(f"shape must be three positive integers; got {shape!r}.")
    if not (np.isfinite(voxel) and voxel > 0):
        raise InvalidValueError(f"voxel must be positive, in mm; got {voxel!r}.")
    index = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1).reshape(-1, 3)
    if ellipsoid:
        off = (index - (sizes - 1) / 2) / (np.maximum(sizes - 1, 1) / 2)
        index = index[(off**2).sum(axis=1) <= 1 + 1e-9]
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = -voxel * (sizes - 1) / 2
    places = index @ affine[:3, :3].T + affine[:3, 3]
    coords: dict[str, Any] = {"neuroid": ["-".join(map(str, one)) for one in index.tolist()]}
    coords |= {name: ("neuroid", index[:, axis]) for axis, name in enumerate("ijk")}
    coords |= {name: ("neuroid", places[:, axis]) for axis, name in enumerate("xyz")}
    attrs = {"affine": affine.tolist(), "shape": [int(size) for size in sizes]}
    return xr.DataArray(places, dims=("neuroid", "axis"), coords=coords, attrs=attrs, name="place")


def planted(
    places: xr.DataArray,
    features: Mapping[str, xr.DataArray],
    *,
    regions: Mapping[str, Any],
    snr: float | Mapping[str, float],
    rng: int | np.random.Generator,
    n_runs: int = 4,
    smoothing: float = 0.0,
    n_residuals: int = 0,
) -> xr.Dataset:
    r"""Return responses to stimuli in runs, of which known regions carry known features.

    In neuroid v of a region the response to stimulus s in run r is :math:`\sqrt{snr} F_s w_v + e`, with F the
    region's features, columns centred and scaled so that :math:`F_s w_v` has a variance of 1 over stimuli in
    the mean, w standard normal, the same in all runs, and e noise of variance 1. Elsewhere there is noise.

    Parameters
    ----------
    places : DataArray (neuroid, axis)
        Positions in mm, as ``volume_places`` returns, or of the vertices of a surface; its coordinates and
        attributes are passed on.
    features : mapping of region to DataArray (stimulus, feature)
        What each region carries: one-hot categories, dimensions, a layer. All of the same stimuli.
    regions : mapping of region to array (n,) of int, or to (centre, radius)
        The positions of its neuroids; or those within ``radius`` mm of the point ``centre`` (3,).
    snr : float or mapping of region to float
        Variance of the signal over variance of the noise, in each neuroid and presentation.
    rng : int or numpy.random.Generator
        The seed; from a Generator one integer is drawn. Weights, noise and residuals have streams of their
        own, so that another region changes no noise.
    n_runs : int
        Presentations of each stimulus.
    smoothing : float
        Full width at half maximum, in mm, of the Gaussian that the noise (not the signal) is smoothed with
        over the places, before its variance is made 1. It takes n_neuroids squared numbers.
    n_residuals : int
        Rows of further noise, for noise normalisation.

    Returns
    -------
    Dataset
        ``responses`` (run, stimulus, neuroid), and ``residuals`` (residual, neuroid) where asked for; the
        coordinate ``roi`` names the region of each neuroid, "none" outside. ``attrs``: ``simulated``,
        ``truth`` (snr, sizes of the regions, smoothing), ``affine`` and ``shape`` where the places have them.

    Raises
    ------
    LabelError
        If regions and features have other names, or stimuli differ.
    InvalidValueError
        If regions overlap or are empty, or a number is out of range.
    ShapeError
        If places or features have other dims.

    Examples
    --------
    >>> kinds = xr.DataArray(
    ...     np.repeat(np.eye(2), 3, axis=0), dims=("stimulus", "feature"),
    ...     coords={"stimulus": list("abcdef")})
    >>> found = planted(
    ...     volume_places((5, 5, 3)), {"front": kinds}, regions={"front": ((0, 6, 0), 4)}, snr=1.0, rng=0)
    >>> found["responses"].dims, int((found["roi"] == "front").sum())
    (('run', 'stimulus', 'neuroid'), 2)
    """
    seed = int(rng.integers(2**63)) if isinstance(rng, np.random.Generator) else int(rng)
    xyz = _checked_places(places)
    members = _members(regions, features, xyz)
    stimuli, signals = _signals(features)
    strengths = {name: _strength(snr, name) for name in members}
    for name, value in (("n_runs", n_runs), ("n_residuals", n_residuals + 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InvalidValueError(f"{name} must be an integer in range; got {value!r}.")
    smooth = _smoother(xyz, smoothing)
    noise = generator(seed, "planted", "noise").standard_normal((n_runs * len(stimuli), len(xyz)))
    values = smooth(noise).reshape(n_runs, len(stimuli), -1)
    roi = np.full(len(xyz), OUTSIDE, dtype=object)
    for name, inside in members.items():
        weights = generator(seed, "planted", "weights", name).standard_normal(
            (signals[name].shape[1], len(inside))
        )
        values[:, :, inside] += np.sqrt(strengths[name]) * (signals[name] @ weights)
        roi[inside] = name
    coords = {str(key): c.variable for key, c in places.coords.items() if c.dims == ("neuroid",)}
    coords |= {
        "run": np.arange(1, n_runs + 1),
        "stimulus": stimuli,
        "roi": xr.Variable("neuroid", roi.astype(str)),
    }
    data: dict[str, Any] = {"responses": (("run", "stimulus", "neuroid"), values)}
    if n_residuals:
        rest = generator(seed, "planted", "residuals").standard_normal((n_residuals, len(xyz)))
        data["residuals"] = (("residual", "neuroid"), smooth(rest))
    truth = {"snr": strengths, "size": {name: len(inside) for name, inside in members.items()}}
    attrs = {**places.attrs, "simulated": True, "truth": {**truth, "smoothing": float(smoothing)}}
    found = xr.Dataset(data, coords, attrs)
    for array in found.data_vars.values():
        array.attrs = {**places.attrs, "simulated": True, "units": "standard deviations of the noise"}
    return found


def _checked_places(places: Any) -> np.ndarray:
    if not isinstance(places, xr.DataArray) or places.dims[:1] != ("neuroid",) or places.ndim != 2:
        raise ShapeError(
            f"places must be a DataArray (neuroid, axis) of positions in mm; got "
            f"{getattr(places, 'dims', type(places).__name__)}."
        )
    xyz = as_float(places.values, name="places")
    if xyz.shape[1] != 3:
        raise ShapeError(f"places must have 3 columns; got {xyz.shape[1]}.")
    return xyz


def _members(
    regions: Mapping[str, Any], features: Mapping[str, Any], xyz: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the neuroids of each region, none of them in two."""
    if set(regions) != set(features) or OUTSIDE in regions:
        raise LabelError(
            f"regions and features must have the same names, other than {OUTSIDE!r}; got "
            f"{listing(regions)} and {listing(features)}."
        )
    found: dict[str, np.ndarray] = {}
    taken = np.zeros(len(xyz), dtype=bool)
    for name, where in regions.items():
        if isinstance(where, tuple) and len(where) == 2 and np.ndim(where[0]) == 1:
            away = np.linalg.norm(xyz - np.asarray(where[0], dtype=np.float64), axis=1)
            inside = np.flatnonzero(away <= float(where[1]) * (1 + 1e-9))
        else:
            inside = np.unique(np.asarray(where, dtype=np.intp))
        if not inside.size or inside.min() < 0 or inside.max() >= len(xyz):
            raise InvalidValueError(
                f"region {name!r} must hold neuroids from 0 to {len(xyz) - 1}; it has none."
            )
        if taken[inside].any():
            raise InvalidValueError(
                f"region {name!r} overlaps one before it in {int(taken[inside].sum())} places."
            )
        taken[inside] = True
        found[name] = inside
    return found


def _signals(features: Mapping[str, xr.DataArray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the stimuli and each region's features, centred, with a mean square length of 1 a stimulus."""
    stimuli: np.ndarray | None = None
    found = {}
    for name, array in features.items():
        if not isinstance(array, xr.DataArray) or array.ndim != 2 or array.dims[0] != "stimulus":
            raise ShapeError(
                f"features of {name!r} must be a DataArray (stimulus, feature); got "
                f"{getattr(array, 'dims', type(array).__name__)}."
            )
        own = labels(array, on="stimulus", name=f"features of {name!r}")
        stimuli = own if stimuli is None else stimuli
        if set(own.tolist()) != set(stimuli.tolist()):
            raise LabelError(f"features of {name!r} are of other stimuli than those before them.")
        values = as_float(array.sel(stimulus=stimuli).values, name=f"features of {name!r}")
        values = values - values.mean(axis=0)
        square = (values**2).sum(axis=1).mean()
        if not square > 0:
            raise InvalidValueError(f"features of {name!r} are the same for all stimuli.")
        found[name] = values / np.sqrt(square)
    if stimuli is None:
        raise LabelError("at least one region is needed; got none.")
    return stimuli, found


def _strength(snr: Any, name: str) -> float:
    value = snr.get(name) if isinstance(snr, Mapping) else snr
    if value is None or not np.isfinite(value) or value < 0:
        raise InvalidValueError(f"snr of {name!r} must be finite and not negative; got {value!r}.")
    return float(value)


def _smoother(xyz: np.ndarray, fwhm: float) -> Any:
    """Return what smooths rows (n, n_neuroids) over the places and keeps a variance of 1."""
    if not (np.isfinite(fwhm) and fwhm >= 0):
        raise InvalidValueError(f"smoothing must be finite and not negative, in mm; got {fwhm!r}.")
    if fwhm == 0:
        return lambda rows: rows
    sigma = fwhm / np.sqrt(8 * np.log(2))
    square = (xyz**2).sum(axis=1)
    away = np.maximum(square[:, None] + square - 2 * xyz @ xyz.T, 0.0)
    kernel = np.exp(-away / (2 * sigma**2))
    kernel /= np.sqrt((kernel**2).sum(axis=0))
    return lambda rows: rows @ kernel
