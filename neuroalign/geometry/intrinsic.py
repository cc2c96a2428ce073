"""How many coordinates a cloud of patterns needs, from two nearest neighbours of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial.distance import cdist

from ..errors import InvalidValueError, choice, listing
from ..stats import bootstrap
from .inputs import as_patterns

__all__ = ["intrinsic_dimension"]

METHODS = ("fit", "likelihood")
CHUNK = 512


def intrinsic_dimension(
    activations: xr.DataArray,
    *,
    method: str = "fit",
    discard: float = 0.1,
    n_bootstrap: int = 0,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return the intrinsic dimension of patterns, by the ratio of distances to two nearest neighbours.

    With :math:`\mu_i` the distance of stimulus i to its second nearest neighbour over that to its nearest, in
    a region of even density of d dimensions :math:`P(\mu \le m) = 1 - m^{-d}`.

    - ``fit``: the slope through 0 of :math:`-\ln(1 - F(\mu))` on :math:`\ln \mu`, with F the rank of
      :math:`\mu_i` over n, without the largest ``discard`` of the ratios, which outliers and edges spoil;
    - ``likelihood``: :math:`(n - 1) / \sum_i \ln \mu_i` of all ratios, unbiased where the model holds.

    Shifting, rotating and scaling all units together changes nothing. With few stimuli in many dimensions all
    distances are alike, and what comes out is too small: above some 10 dimensions read it as a lower bound.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit)
        Finite; at least 10 stimuli, no two of them the same.
    method : {"fit", "likelihood"}
    discard : float
        At least 0 and below 1; of ``fit``.
    n_bootstrap : int
        Draws for the interval; none where 0. Ratios are drawn, not stimuli: a stimulus that is drawn twice
        would be its own neighbour. Ratios of neighbours depend on one another a little, so that the interval
        is somewhat too narrow.
    level : float
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset (...)
        ``dimension``; with draws ``low`` and ``high``. NaN where all ratios are 1 (a lattice), counted in
        ``attrs["n_undefined"]``.

    Raises
    ------
    ShapeError
        If dims are other ones or there are fewer than 10 stimuli.
    InvalidValueError
        If a value is not finite, two stimuli have the same pattern, or a choice is out of range.

    References
    ----------
    Facco, d'Errico, Rodriguez & Laio 2017, Sci Rep 7:12140 (``fit``); Denti et al. 2022, Sci Rep 12:20005
    (``likelihood``).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> plane = rng.random((400, 2)) @ rng.standard_normal((2, 30))
    >>> x = xr.DataArray(plane, dims=("stimulus", "unit"), coords={"stimulus": np.arange(400)})
    >>> bool(abs(intrinsic_dimension(x).dimension - 2) < 0.3)
    True
    """
    if method not in METHODS:
        raise choice(method, METHODS, name="method")
    if not isinstance(discard, int | float | np.number) or not 0 <= discard < 1:
        raise InvalidValueError(f"discard must be at least 0 and below 1; got {discard!r}.")
    patterns = as_patterns(activations, least=10)
    stimuli = patterns.array[patterns.on].values if patterns.on in patterns.array.coords else None
    ratios = [np.log(_ratios(x, stimuli)) for x in patterns.values]

    def dimension(log_ratios: np.ndarray) -> float:
        return _fitted(log_ratios, float(discard)) if method == "fit" else _likeliest(log_ratios)

    shape = [patterns.array.sizes[dim] for dim in patterns.leading]
    found = np.array([dimension(each) for each in ratios]).reshape(shape)
    out = {"dimension": patterns.labelled(found)}
    if n_bootstrap:
        drawn = bootstrap(
            lambda rows: [dimension(each[rows]) for each in ratios],
            patterns.values.shape[1],
            n=n_bootstrap,
            rng=rng,  # type: ignore[arg-type]
            level=level,
        )
        out["low"] = patterns.labelled(drawn.lower.reshape(shape))
        out["high"] = patterns.labelled(drawn.upper.reshape(shape))
    attrs: dict[str, Any] = {"method": method, "n_stimuli": patterns.values.shape[1]}
    return xr.Dataset(out, attrs=attrs | {"n_undefined": int(np.isnan(found).sum())})


def _ratios(x: np.ndarray, stimuli: np.ndarray | None) -> np.ndarray:
    """Return the distance to the second neighbour over that to the first, array (n_stimuli,)."""
    nearest = np.empty((len(x), 2))
    x = x - x.mean(axis=0)
    for start in range(0, len(x), CHUNK):
        apart = cdist(x[start : start + CHUNK], x)
        rows = np.arange(len(apart))
        apart[rows, start + rows] = np.inf
        nearest[start : start + CHUNK] = np.partition(apart, 1, axis=1)[:, :2]
    same = nearest[:, 0] == 0
    if same.any():
        named = np.flatnonzero(same) if stimuli is None else stimuli[same]
        raise InvalidValueError(
            f"{int(same.sum())} stimuli have the same pattern as another one: {listing(named)}. Keep one of "
            "each."
        )
    return nearest[:, 1] / nearest[:, 0]


def _fitted(log_ratios: np.ndarray, discard: float) -> float:
    n = len(log_ratios)
    # The largest ratio has F = 1, whose logarithm is not finite: it never takes part.
    kept = min(n - 1, int(n * (1 - discard)))
    x = np.sort(log_ratios)[:kept]
    y = -np.log1p(-np.arange(1, kept + 1) / n)
    bottom = float(x @ x)
    return float(x @ y) / bottom if bottom > 0 else float("nan")


def _likeliest(log_ratios: np.ndarray) -> float:
    total = float(log_ratios.sum())
    return (len(log_ratios) - 1) / total if total > 0 else float("nan")
