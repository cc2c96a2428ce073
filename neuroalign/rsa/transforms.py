"""Transforms of single RDMs, parts of RDMs, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ..schema import align, check, labels, make_rdm, rdm_stimuli
from ..stats import is_constant
from .rank_methods import mid_ranks

__all__ = ["SCALES", "TRANSFORMS", "mean_rdm", "subset", "transform"]

NEGATIVE = ("refuse", "zero", "signed")


def transform(rdms: xr.DataArray, how: str, *, negative: str = "refuse") -> xr.DataArray:
    r"""Return RDMs with their dissimilarities transformed, each RDM by itself.

    - ``rank``: mid-ranks, 1 to the number of pairs;
    - ``sqrt``: square roots, as from squared to plain distances;
    - ``positive``: what is below 0 becomes 0;
    - ``minmax``: :math:`(d - \min d) / (\max d - \min d)`;
    - ``zscore``: :math:`(d - \bar d) / s`, with the standard deviation over pairs (ddof 0).

    Parameters
    ----------
    rdms : DataArray (..., pair)
        Not edited. No RDM depends on another of the stack, and NaN pairs stay NaN and count nowhere.
    how : str
        A key of ``TRANSFORMS``.
    negative : {"refuse", "zero", "signed"}
        What ``sqrt`` does with negative (cross-validated) distances: refuse them, take 0, or
        :math:`-\sqrt{-d}`, which keeps their mean from rising.

    Returns
    -------
    DataArray (..., pair)
        float64, with the coordinates and attributes of ``rdms``. ``attrs["transform"]`` lists what was done.
        Under ``minmax`` and ``zscore`` a constant RDM is NaN, and ``attrs["n_undefined"]`` counts such RDMs.

    Raises
    ------
    ShapeError
        If the last dim is not ``pair``.
    InvalidValueError
        If a value is infinite or complex, a choice is unknown, or ``sqrt`` meets a negative value.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rdm = make_rdm(np.array([4.0, 1.0, 4.0]), ["s1", "s2", "s3"])
    >>> transform(rdm, "rank").values.tolist(), transform(rdm, "sqrt").values.tolist()
    ([2.5, 1.0, 2.5], [2.0, 1.0, 2.0])
    """
    if how not in TRANSFORMS:
        raise choice(how, TRANSFORMS, name="how")
    if negative not in NEGATIVE:
        raise choice(negative, NEGATIVE, name="negative")
    rows = _rows(rdms)
    if how == "sqrt" and negative == "refuse" and (rows < 0).any():
        raise InvalidValueError(
            f"{int((rows < 0).sum())} dissimilarities are negative, the least is {np.nanmin(rows):.6g}, and "
            "have no square root. Pass negative='zero' or negative='signed'."
        )
    function = _signed_sqrt if how == "sqrt" and negative == "signed" else TRANSFORMS[how]
    values = _by_row(rows, function)
    n_undefined = int((np.isnan(values).all(axis=1) & ~np.isnan(rows).all(axis=1)).sum())
    before = rdms.attrs.get("transform")
    attrs = {
        **rdms.attrs,
        "transform": f"{before}, {how}" if before else how,
        "n_undefined": n_undefined,
    }
    return rdms.copy(data=values.reshape(rdms.shape)).assign_attrs(attrs)


def subset(rdms: xr.DataArray, stimuli: Sequence[Any] | np.ndarray) -> xr.DataArray:
    """Return the RDMs of some stimuli, in the order asked for; with all of them it reorders.

    Parameters
    ----------
    rdms : DataArray (..., pair)
    stimuli : sequence of labels
        At least 2, without repetition.

    Raises
    ------
    LabelError
        If a stimulus is not there or comes twice.
    ShapeError
        If there are fewer than 2.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> subset(make_rdm(np.array([1.0, 2.0, 3.0]), ["s1", "s2", "s3"]), ["s3", "s1"]).values.tolist()
    [2.0]
    """
    check(rdms, "rdm", name="rdms")
    wanted, there = np.asarray(stimuli), rdm_stimuli(rdms, name="rdms")
    if wanted.ndim != 1 or len(wanted) < 2:
        raise ShapeError(f"an RDM needs at least 2 stimuli; got {wanted.tolist()!r}.")
    missing = wanted[~np.isin(wanted, there)]
    if len(missing):
        raise LabelError(f"rdms: {len(missing)} of {len(wanted)} stimuli are not there: {listing(missing)}.")
    template = make_rdm(np.zeros(len(wanted) * (len(wanted) - 1) // 2), wanted)
    return align(template, rdms, how="inner", names=["stimuli", "rdms"])[1]


def mean_rdm(
    rdms: xr.DataArray,
    over: str = "subject",
    *,
    weights: xr.DataArray | None = None,
    scale: str = "none",
) -> xr.DataArray:
    """Return the mean RDM over a dim; a pair is averaged over the RDMs that have it.

    Parameters
    ----------
    rdms : DataArray (..., <over>, ..., pair)
        NaN marks a missing pair.
    over : str
        The dim that is averaged over.
    weights : DataArray (<over>,), optional
        Non-negative; with labels they are aligned by label.
    scale : {"none", "rms", "zscore", "rank"}
        What each RDM is brought to first, over its own pairs: left as it is, divided by its root mean square,
        z-scored, or ranked. The mean is the RDM with the highest mean cosine to all after ``rms``, the
        highest mean Pearson correlation after ``zscore``, and Spearman after ``rank``. Where RDMs lack
        different pairs, scales over their own pairs differ by what they lack: see ``merge_rdms``.

    Returns
    -------
    DataArray (..., pair)
        With a coordinate ``n_rdms`` (..., pair), how many RDMs of positive weight have the pair. A pair that
        none has is NaN. A constant RDM, which has no z-score (or zeros, which have no scale), is left out and
        counted in ``attrs["n_undefined"]``.

    Raises
    ------
    ShapeError
        If a dim is missing.
    LabelError
        If the labels of the weights differ.
    InvalidValueError
        If a weight is negative or not finite, all are 0, or the scale is unknown.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rdms = make_rdm(
    ...     np.array([[1.0, 2.0, np.nan], [3.0, 2.0, np.nan]]), ["s1", "s2", "s3"], dims=["subject"])
    >>> found = mean_rdm(rdms)
    >>> found.values.tolist(), found["n_rdms"].values.tolist()
    ([2.0, 2.0, nan], [2, 2, 0])
    """
    if scale not in SCALES:
        raise choice(scale, SCALES, name="scale")
    rows = _rows(rdms)
    if over not in rdms.dims[:-1]:
        raise ShapeError(f"rdms have no dim {over!r} to average over; got dims {rdms.dims}.")
    if not rdms.sizes[over]:
        raise ShapeError(f"rdms hold no RDM along {over!r} to average over; got shape {rdms.shape}.")
    scaled = _by_row(rows, SCALES[scale])
    n_undefined = int((np.isnan(scaled).all(axis=1) & ~np.isnan(rows).all(axis=1)).sum())
    axis = rdms.dims.index(over)
    values = np.moveaxis(scaled.reshape(rdms.shape), axis, -1)
    weight = _weights(weights, rdms, over)
    known = ~np.isnan(values) & (weight > 0)
    total = (known * weight).sum(axis=-1)
    summed = (np.where(known, values, 0.0) * weight).sum(axis=-1)
    mean = np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)
    dims = tuple(dim for dim in rdms.dims if dim != over)
    coords = {name: coord for name, coord in rdms.coords.items() if over not in coord.dims}
    found = xr.DataArray(mean, dims=dims, coords=coords, name="rdm", attrs=dict(rdms.attrs))
    return found.assign_coords(n_rdms=(dims, known.sum(axis=-1))).assign_attrs(
        averaged_over=over, scale=scale, n_undefined=n_undefined
    )


def _weights(weights: xr.DataArray | None, rdms: xr.DataArray, over: str) -> np.ndarray:
    n = rdms.sizes[over]
    if weights is None:
        return np.ones(n)
    if not isinstance(weights, xr.DataArray) or weights.dims != (over,) or weights.size != n:
        raise ShapeError(
            f"weights must be a DataArray ({over!r},) of {n}; got {getattr(weights, 'dims', weights)}."
        )
    if over in rdms.coords:
        labels(rdms, on=over, name="rdms")
        weights = align(rdms, weights, on=over, names=["rdms", "weights"])[1]
    values = as_float(weights.values, name="weights", ndim=1)
    if (values < 0).any() or not values.any():
        raise InvalidValueError(
            f"weights must be non-negative and not all 0; the least is {values.min():.6g}."
        )
    return values


def _rows(rdms: xr.DataArray) -> np.ndarray:
    check(rdms, "rdm", name="rdms")
    values = as_float(rdms.values, name="rdms", finite=False)
    if np.isinf(values).any():
        raise InvalidValueError(f"rdms: {int(np.isinf(values).sum())} dissimilarities are infinite.")
    return values.reshape(-1, values.shape[-1])


def _by_row(rows: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return ``function`` of each row's values that are not NaN, in their places."""
    if not np.isnan(rows).any():
        return function(rows)
    out = np.full(rows.shape, np.nan)
    for i, row in enumerate(rows):
        known = ~np.isnan(row)
        if known.any():
            out[i, known] = function(row[None, known])[0]
    return out


def _as_is(rows: np.ndarray) -> np.ndarray:
    return rows.copy()


def _positive(rows: np.ndarray) -> np.ndarray:
    return np.maximum(rows, 0.0)


def _sqrt(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(rows, 0.0))


def _signed_sqrt(rows: np.ndarray) -> np.ndarray:
    return np.sign(rows) * np.sqrt(np.abs(rows))


def _minmax(rows: np.ndarray) -> np.ndarray:
    least, most = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    constant = is_constant(rows, axis=1)[:, None]
    return np.where(constant, np.nan, (rows - least) / np.where(constant, 1.0, most - least))


def _zscore(rows: np.ndarray) -> np.ndarray:
    constant = is_constant(rows, axis=1)[:, None]
    centred = rows - rows.mean(axis=1, keepdims=True)
    sd = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    return np.where(constant, np.nan, centred / np.where(constant, 1.0, sd))


def _rms(rows: np.ndarray) -> np.ndarray:
    size = np.sqrt((rows**2).mean(axis=1, keepdims=True))
    return np.where(size > 0, rows / np.where(size > 0, size, 1.0), np.nan)


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rank": mid_ranks,
    "sqrt": _sqrt,
    "positive": _positive,
    "minmax": _minmax,
    "zscore": _zscore,
}
SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": _as_is,
    "rms": _rms,
    "zscore": _zscore,
    "rank": mid_ranks,
}
