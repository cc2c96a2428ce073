"""Multidimensional scaling: places of stimuli whose distances are near their dissimilarities."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from ..schema import check, rdm_stimuli, square

__all__ = ["mds"]

METHODS = ("smacof", "classical")


def mds(
    rdm: xr.DataArray,
    method: str = "smacof",
    *,
    n_axes: int = 2,
    n_iterations: int = 1000,
    tolerance: float = 1e-9,
) -> xr.DataArray:
    r"""Return places of the stimuli, with distances :math:`d` near the dissimilarities :math:`\delta`.

    ``classical``: the leading principal axes of the doubly centred :math:`-\delta^2 / 2`. ``smacof``: from
    there, steps that never raise :math:`\sum_{i<j} (\delta_{ij} - d_{ij})^2`. No chance is in either. Axes
    are in order of the variance along them, each with its largest place positive.

    Parameters
    ----------
    rdm : DataArray (pair,)
        Complete and not negative. Distances, not squared ones: take the root of those first.
    method : {"smacof", "classical"}
    n_axes : int
        At most the number of stimuli less one.
    n_iterations, tolerance
        ``smacof`` stops after so many steps, or when a step lowers the sum by less than this share of it.

    Returns
    -------
    DataArray (stimulus, axis)
        ``attrs["stress"]`` is :math:`\sqrt{\sum (\delta - d)^2 / \sum \delta^2}`, 0 where the distances are
        right; ``attrs["n_iterations"]`` how many steps were taken.

    Raises
    ------
    ShapeError
        If there is more than one RDM, or there are too few stimuli for the axes.
    InvalidValueError
        If a dissimilarity is missing, negative, or all are 0.

    References
    ----------
    Torgerson 1952, Psychometrika 17:401 (classical); de Leeuw 1977 (SMACOF), in Borg & Groenen 2005, Modern
    Multidimensional Scaling, chapter 8.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> found = mds(make_rdm(np.array([3.0, 4.0, 5.0]), ["a", "b", "c"]))
    >>> round(found.attrs["stress"], 6), found.dims
    (0.0, ('stimulus', 'axis'))
    """
    if method not in METHODS:
        raise choice(method, METHODS, name="method")
    check(rdm, "rdm")
    if rdm.dims != ("pair",):
        raise ShapeError(f"mds takes one RDM (pair,); got dims {rdm.dims}.")
    stimuli = rdm_stimuli(rdm)
    if not 1 <= n_axes < len(stimuli):
        raise ShapeError(
            f"n_axes must be from 1 to {len(stimuli) - 1} for {len(stimuli)} stimuli; got {n_axes}."
        )
    values = as_float(rdm.values, name="rdm")
    if values.min() < 0:
        raise InvalidValueError(
            f"mds: {int((values < 0).sum())} of {values.size} dissimilarities are negative, as "
            "cross-validated ones may be. Pass rdm.clip(0) to take them as 0."
        )
    if not values.any():
        raise InvalidValueError("mds: all dissimilarities are 0.")
    wanted = square(values)
    places, n_steps = _classical(wanted, n_axes), 0
    if method == "smacof":
        places, n_steps = _smacof(places, wanted, n_iterations, tolerance)
    places = _turned(places)
    stress = np.sqrt(((wanted - _distances(places)) ** 2).sum() / (wanted**2).sum())
    return xr.DataArray(
        places,
        dims=("stimulus", "axis"),
        coords={"stimulus": stimuli},
        attrs={"method": method, "stress": float(stress), "n_iterations": n_steps},
        name="mds",
    )


def _classical(wanted: np.ndarray, n_axes: int) -> np.ndarray:
    squares = wanted**2
    gram = -(squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()) / 2
    roots, axes = np.linalg.eigh(gram)
    leading = np.argsort(roots)[::-1][:n_axes]
    return axes[:, leading] * np.sqrt(np.maximum(roots[leading], 0.0))


def _smacof(
    places: np.ndarray, wanted: np.ndarray, n_iterations: int, tolerance: float
) -> tuple[np.ndarray, int]:
    """Return the places after Guttman transforms, and how many there were."""
    n = len(places)
    distances = _distances(places)
    stress = ((wanted - distances) ** 2).sum()
    for step in range(1, n_iterations + 1):
        ratio = -np.divide(wanted, distances, out=np.zeros_like(wanted), where=distances > 0)
        ratio[np.arange(n), np.arange(n)] = -ratio.sum(axis=1)
        places = ratio @ places / n
        distances = _distances(places)
        before, stress = stress, ((wanted - distances) ** 2).sum()
        if before - stress <= tolerance * before:
            return places, step
    return places, n_iterations


def _distances(places: np.ndarray) -> np.ndarray:
    return np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))


def _turned(places: np.ndarray) -> np.ndarray:
    """Return the places on their principal axes, each with its largest entry positive."""
    centred = places - places.mean(axis=0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    largest = np.take_along_axis(turned, np.abs(turned).argmax(axis=0)[None], axis=0)
    return turned * np.where(largest < 0, -1.0, 1.0)
