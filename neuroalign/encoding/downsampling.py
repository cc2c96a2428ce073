"""From words to volumes: the features of the words that fall into, or near, each TR."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from ..arrays import as_float
from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..schema import align, check

__all__ = ["METHODS", "to_trs"]

METHODS = ("average", "sum", "lanczos", "lanczos-normalized", "sinc")
ANCHORS = ("onset", "midpoint")
WINDOW = 3
SLACK = 1e-9
# A volume whose Lanczos weights sum to less than this has no word near it.
LEAST_WEIGHT = 0.05


def to_trs(
    activations: xr.DataArray,
    words: pd.DataFrame,
    times: Any,
    *,
    tr: float,
    method: str = "average",
    at: str = "onset",
) -> xr.DataArray:
    r"""Return the features of the words at the rate of the volumes.

    A volume covers the time from its own to ``tr`` seconds later, :math:`[t, t + tr)`, its middle is
    :math:`m = t + tr / 2`, and a word stands at one moment w.

    - ``average`` (the default), ``sum``: of the words in the volume;
    - ``lanczos``: the sum over words with weights :math:`L((m - w) / tr)`, where
      :math:`L(x) = 3 \sin(\pi x) \sin(\pi x / 3) / (\pi x)^2` for :math:`|x| \le 3` and 0 beyond: a
      low-pass filter at the Nyquist rate of the volumes. Not normalised, as the field uses it: the more
      words, the larger the sum;
    - ``lanczos-normalized``: divided by the sum of the weights, a smooth average;
    - ``sinc``: the sum over all words with weights :math:`\sin(\pi x) / (\pi x)`, the ideal low-pass filter
      that the Lanczos weights approximate. Not normalised; every word reaches every volume.

    Parameters
    ----------
    activations : DataArray (stimulus, unit)
        One row a word.
    words : DataFrame
        Columns ``stimulus``, ``onset`` and, for midpoints, ``offset``, in seconds on the clock of ``times``;
        aligned to the activations by ``stimulus``.
    times : array (n_times,)
        When each volume begins, in seconds; increasing, at least ``tr`` apart.
    tr : float
        Seconds.
    method : str
        One of ``METHODS``.
    at : {"onset", "midpoint"}
        Where a word stands.

    Returns
    -------
    DataArray (time, unit)
        float64. A volume without words is 0; ``attrs["n_empty"]`` counts these and ``attrs["n_outside"]`` the
        words that fall into no volume.

    Raises
    ------
    LabelError
        If the words are not those of the activations, or a column is missing.
    InvalidValueError
        If the times are not increasing by at least ``tr``, or a value is not finite.

    References
    ----------
    Duchon 1979, J Appl Meteorol 18:1016; Huth et al. 2016, Nature 532:453 (window 3, cutoff 1 / tr).

    Examples
    --------
    >>> words = pd.DataFrame({"stimulus": ["w1", "w2"], "onset": [0.1, 1.9]})
    >>> activations = xr.DataArray(
    ...     [[1.0], [3.0]], dims=("stimulus", "unit"), coords={"stimulus": ["w1", "w2"]})
    >>> to_trs(activations, words, [0.0, 2.0], tr=2.0).values.tolist()
    [[2.0], [0.0]]
    """
    for value, allowed, name in ((method, METHODS, "method"), (at, ANCHORS, "at")):
        if value not in allowed:
            raise choice(value, allowed, name=name)
    check(activations, "activations")
    activations, words = align(activations, words, names=["activations", "words"])
    values = as_float(activations.values, name="activations")
    times, moments = _checked_times(times, tr), _moments(words, at)
    inside = _bins(times, moments, tr)
    filtered = "lanczos" in method or method == "sinc"
    weights, empty = _scaled(_filter(times, moments, tr, method) if filtered else inside, method)
    coords = {str(k): c.variable for k, c in activations.coords.items() if "stimulus" not in c.dims}
    return xr.DataArray(
        weights @ values,
        dims=("time", "unit"),
        coords={**coords, "time": times},
        attrs={
            **activations.attrs,
            "downsampling": method,
            "words_at": at,
            "tr": float(tr),
            "n_empty": int(empty.sum()),
            "n_outside": int(len(words) - inside.nnz),
        },
        name=activations.name,
    )


def _checked_times(times: Any, tr: float) -> np.ndarray:
    times = as_float(times, name="times", ndim=1)
    if not np.isfinite(tr) or tr <= 0:
        raise InvalidValueError(f"tr must be positive and finite; got {tr!r}.")
    if times.size == 0:
        raise ShapeError("times must hold at least one volume; got none.")
    gaps = np.diff(times)
    if (gaps < tr * (1 - 1e-6)).any():
        i = int(np.argmax(gaps < tr * (1 - 1e-6)))
        raise InvalidValueError(
            f"times must increase by at least tr = {tr:g} s; got {times[i]:g} and then {times[i + 1]:g} at "
            f"position {i + 1}."
        )
    return times


def _moments(words: pd.DataFrame, at: str) -> np.ndarray:
    needed = ["onset"] if at == "onset" else ["onset", "offset"]
    for column in needed:
        if column not in words:
            raise LabelError(f"words: at={at!r} needs a column {column!r}; it has {list(words.columns)}.")
    return np.mean([as_float(words[c].to_numpy(), name=f"words.{c}") for c in needed], axis=0)


def _bins(times: np.ndarray, moments: np.ndarray, tr: float) -> sparse.csr_matrix:
    """Return 1 where a word falls into a volume (n_times, n_words)."""
    moments = moments + SLACK * tr
    rows = np.searchsorted(times, moments, side="right") - 1
    columns = np.flatnonzero((rows >= 0) & (moments < times[np.maximum(rows, 0)] + tr))
    ones = np.ones(len(columns))
    return sparse.csr_matrix((ones, (rows[columns], columns)), shape=(len(times), len(moments)))


def _scaled(weights: sparse.csr_matrix, method: str) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the weights, of sum 1 a volume where the method averages, and which volumes are empty."""
    total = np.asarray(weights.sum(axis=1)).ravel()
    empty = total < LEAST_WEIGHT if method == "lanczos-normalized" else np.diff(weights.indptr) == 0
    if method in ("average", "lanczos-normalized"):
        weights = sparse.diags(np.where(empty, 0.0, 1.0 / np.where(empty, 1.0, total))) @ weights
    return weights, empty


def _filter(times: np.ndarray, moments: np.ndarray, tr: float, method: str) -> sparse.csr_matrix:
    x = (times[:, None] + tr / 2 - moments) / tr
    weights = np.sinc(x)
    if method != "sinc":
        weights = np.where(np.abs(x) < WINDOW, weights * np.sinc(x / WINDOW), 0.0)
    return sparse.csr_matrix(weights)
