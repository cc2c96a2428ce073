"""Representational dissimilarity matrices from labelled patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError, choice, listing
from ..schema import labels, make_rdm
from ..stats import is_constant

__all__ = ["METRICS", "rdm"]

# A squared distance smaller than this share of the two squared lengths has lost digits to cancellation.
CANCELLED = 1e-6
CHUNK = 4096


def rdm(patterns: xr.DataArray, metric: str = "correlation", *, normalize: str | None = None) -> xr.DataArray:
    r"""Return the dissimilarities of all pairs of stimuli.

    For patterns x and y over u units, with means :math:`\bar x` and :math:`\bar y` over units:

    - ``correlation``: :math:`1 - (x-\bar x)\cdot(y-\bar y) / (|x-\bar x| |y-\bar y|)`, 0 to 2;
    - ``cosine``: :math:`1 - x \cdot y / (|x| |y|)`, 0 to 2. It depends on where 0 is: on raw responses that
      share a large mean it says little about how they differ;
    - ``euclidean``: :math:`|x - y|`, in the units of the patterns;
    - ``sqeuclidean``: :math:`|x - y|^2`.

    All sums are in float64, and a Gram matrix is formed of centred patterns only.

    Parameters
    ----------
    patterns : DataArray (..., stimulus, unit) or (..., stimulus, neuroid)
        Activations or responses; the dims are found by name, and every other dim gives RDMs of its own. The
        array is not edited.
    metric : str
        A key of ``METRICS``; the names are scipy's.
    normalize : {None, "neuroids"}
        ``"neuroids"`` divides ``sqeuclidean`` by the number u of neuroids (what rsatoolbox calls euclidean)
        and ``euclidean`` by its root. The other metrics have nothing to divide and refuse it.

    Returns
    -------
    DataArray (..., pair)
        The upper triangle row by row, with ``stimulus_a`` and ``stimulus_b`` and the coordinates of the
        leading dims. A pattern without a direction (constant over units under ``correlation``, all 0 under
        ``cosine``) has NaN pairs; ``attrs["n_undefined"]`` counts such patterns.

    Raises
    ------
    ShapeError
        If a dim is missing, there is one stimulus, no unit, or (``correlation``) one unit.
    LabelError
        If stimulus labels are missing or repeated.
    InvalidValueError
        If a value is NaN, infinite or complex (with the stimuli), or a choice is unknown.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Front Syst Neurosci 2:4.

    Examples
    --------
    >>> patterns = xr.DataArray(
    ...     [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 2.0, 1.0]],
    ...     dims=("stimulus", "unit"), coords={"stimulus": ["s1", "s2", "s3"]})
    >>> rdm(patterns).values.round(6).tolist()
    [0.0, 2.0, 2.0]
    """
    if metric not in METRICS:
        raise choice(metric, METRICS, name="metric")
    if normalize not in (None, "neuroids"):
        raise choice(normalize, (None, "neuroids"), name="normalize")
    if normalize and "euclidean" not in metric:
        raise InvalidValueError(f"normalize='neuroids' belongs to the euclidean metrics; got {metric!r}.")
    patterns, unit = _ordered(patterns, metric)
    leading = patterns.dims[:-2]
    n_stimuli, n_units = patterns.shape[-2:]
    flat = patterns.values.reshape(-1, n_stimuli, n_units)
    upper = np.triu_indices(n_stimuli, 1)
    scale = n_units if normalize else 1
    values = np.empty((len(flat), len(upper[0])))
    n_undefined = 0
    for i, x in enumerate(flat):
        values[i], undefined = METRICS[metric](x.astype(np.float64), upper, scale)
        n_undefined += undefined
    attrs = {"metric": metric, "normalize": normalize or "none", f"n_{unit}s": n_units}
    return make_rdm(
        values.reshape(*patterns.shape[:-2], -1),
        patterns["stimulus"].values,
        dims=[str(dim) for dim in leading],
        coords=_leading_coords(patterns, leading),
        attrs={**attrs, "n_undefined": n_undefined},
    )


def _ordered(patterns: xr.DataArray, metric: str) -> tuple[xr.DataArray, str]:
    """Return the patterns as (..., stimulus, unit), checked, and the name of the last dim."""
    if not isinstance(patterns, xr.DataArray):
        raise ShapeError(f"patterns must be an xarray.DataArray; got {type(patterns).__name__}.")
    units = [dim for dim in ("unit", "neuroid") if dim in patterns.dims]
    if "stimulus" not in patterns.dims or len(units) != 1:
        raise ShapeError(
            f"patterns need a dim 'stimulus' and one of 'unit' or 'neuroid'; got dims {patterns.dims}."
        )
    labels(patterns, on="stimulus", name="patterns")
    patterns = patterns.transpose(..., "stimulus", units[0])
    n_stimuli, n_units = patterns.shape[-2:]
    least = 2 if metric == "correlation" else 1
    if n_stimuli < 2 or n_units < least or patterns.size == 0:
        raise ShapeError(
            f"{metric} needs at least 2 stimuli and {least} {units[0]}(s); got shape {patterns.shape} "
            f"of dims {patterns.dims}."
        )
    _refuse_non_finite(patterns)
    return patterns, units[0]


def _refuse_non_finite(patterns: xr.DataArray) -> None:
    if patterns.dtype.kind not in "fiub":
        raise InvalidValueError(f"patterns must be real numbers; got dtype {patterns.dtype}.")
    bad = ~np.isfinite(patterns.values)
    if bad.any():
        stimuli = patterns["stimulus"].values[bad.any(axis=(*range(bad.ndim - 2), bad.ndim - 1))]
        raise InvalidValueError(
            f"patterns must be finite; {int(bad.sum())} of {bad.size} values are not, in {len(stimuli)} "
            f"stimuli: {listing(stimuli)}."
        )


def _leading_coords(patterns: xr.DataArray, leading: tuple[Any, ...]) -> dict[str, Any]:
    return {
        str(name): coord.variable
        for name, coord in patterns.coords.items()
        if set(coord.dims) <= set(leading)
    }


def _correlation(x: np.ndarray, upper: Any, scale: int) -> tuple[np.ndarray, int]:
    return _angle(x - x.mean(axis=1, keepdims=True), is_constant(x, axis=1), upper)


def _cosine(x: np.ndarray, upper: Any, scale: int) -> tuple[np.ndarray, int]:
    return _angle(x, np.all(x == 0, axis=1), upper)


def _angle(x: np.ndarray, undefined: np.ndarray, upper: Any) -> tuple[np.ndarray, int]:
    """Return one minus the cosines of the pairs, and how many patterns have no direction."""
    largest = np.where(undefined, 1.0, np.abs(x).max(axis=1))
    x = x / largest[:, None]
    length = np.sqrt(np.einsum("su,su->s", x, x))
    x = x / np.where(undefined, np.nan, length)[:, None]
    return np.clip(1.0 - (x @ x.T)[upper], 0.0, 2.0), int(undefined.sum())


def _sqeuclidean(x: np.ndarray, upper: Any, scale: int) -> tuple[np.ndarray, int]:
    x = x - x.mean(axis=0)
    gram = x @ x.T
    rows, columns = upper
    lengths = np.diag(gram)[rows] + np.diag(gram)[columns]
    squared = lengths - 2 * gram[upper]
    doubtful = np.flatnonzero(squared <= CANCELLED * lengths)
    for start in range(0, len(doubtful), CHUNK):
        some = doubtful[start : start + CHUNK]
        difference = x[rows[some]] - x[columns[some]]
        squared[some] = np.einsum("pu,pu->p", difference, difference)
    return squared / scale, 0


def _euclidean(x: np.ndarray, upper: Any, scale: int) -> tuple[np.ndarray, int]:
    squared, n_undefined = _sqeuclidean(x, upper, scale)
    return np.sqrt(squared), n_undefined


METRICS: dict[str, Callable[[np.ndarray, Any, int], tuple[np.ndarray, int]]] = {
    "correlation": _correlation,
    "cosine": _cosine,
    "euclidean": _euclidean,
    "sqeuclidean": _sqeuclidean,
}
