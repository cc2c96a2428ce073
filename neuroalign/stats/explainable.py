"""How much of a response repeats: explainable variance over repetitions, and scores divided by a ceiling."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import LabelError, ShapeError, listing
from ..schema import align
from .ceilings import split_half

__all__ = ["explainable_variance", "normalized", "split_half_ceiling"]

ROWS = ("stimulus", "time")


def explainable_variance(
    responses: xr.DataArray, *, over: str = "repetition", rows: str | None = None
) -> xr.Dataset:
    r"""Return which share of the variance over rows repeats, corrected for the noise of few repetitions.

    With N repetitions, M the variance over rows of their mean and V the mean of their variances:

    .. math::

        SP = \frac{N M - V}{N - 1}, \qquad EV = \frac{SP}{V}, \qquad CC_{max} = \sqrt{SP / M}

    SP, the signal power, is unbiased for noise that is independent between repetitions; the ratio and the
    root are not quite (EV is .2 % low at 150 rows and 5 repetitions of a third signal). EV is what the field
    also writes as :math:`ev - (1 - ev) / (N - 1)` with ev = M / V. CCmax is the correlation of a perfect
    model with the mean over repetitions; a model's correlation divided by it is the normalised correlation.

    Parameters
    ----------
    responses : DataArray
        With a dim ``over`` of at least 2, a dim ``rows``, and any others; finite. A shift of the mean between
        repetitions does not count as noise (variances are over rows), a change of scale does.
    over : str
        The dim of the repetitions.
    rows : str, optional
        ``"stimulus"`` or else ``"time"`` where None, whichever the responses have first in this order.

    Returns
    -------
    Dataset (..., the other dims)
        ``explainable_variance`` (EV, of one repetition: at most 1; below 0 where repetitions agree less than
        chance, and not clipped), ``ceiling`` (CCmax: NaN where SP is not positive), ``signal_power`` and
        ``noise_power`` (V - SP) in the responses' units squared. NaN where no repetition varies. ``attrs``:
        ``n_repetitions``, and ``n_undefined``, the ceilings that are NaN. Variances are divided by the number
        of rows less one.

    Raises
    ------
    LabelError
        If a dim is missing.
    ShapeError
        If there are fewer than 2 repetitions or rows.
    InvalidValueError
        If a value is not finite.

    References
    ----------
    Sahani & Linden 2003, NeurIPS 15 (signal power); Hsu, Borst & Theunissen 2004, Network 15:91;
    Schoppe et al. 2016, Front Comput Neurosci 10:10 (CCmax and CCnorm).

    Examples
    --------
    >>> responses = xr.DataArray([[[1.0, 1.0]], [[3.0, 3.0]]], dims=("stimulus", "neuroid", "repetition"))
    >>> found = explainable_variance(responses)
    >>> float(found.explainable_variance[0]), float(found.ceiling[0])
    (1.0, 1.0)
    """
    values, coords, dims = _repetitions(responses, over, rows)
    n = len(values)
    of_mean = values.mean(axis=0).var(axis=0, ddof=1)
    of_each = values.var(axis=1, ddof=1).mean(axis=0)
    constant = _all_constant(values)
    signal = (n * of_mean - of_each) / (n - 1)
    # Repetitions that are all alike: rounding must not make them more than alike.
    signal = np.where(constant, np.nan, np.minimum(signal, of_each))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(constant, np.nan, signal / of_each)
        ceiling = np.where(signal > 0, np.sqrt(np.minimum(np.maximum(signal, 0.0) / of_mean, 1.0)), np.nan)
    found = {
        "explainable_variance": (dims, share),
        "ceiling": (dims, ceiling),
        "signal_power": (dims, signal),
        "noise_power": (dims, of_each - signal),
    }
    attrs = {"over": over, "n_repetitions": n, "n_undefined": int(np.isnan(ceiling).sum())}
    return xr.Dataset(found, coords=coords, attrs=attrs)


def split_half_ceiling(
    responses: xr.DataArray,
    *,
    n: int,
    rng: np.random.Generator,
    over: str = "repetition",
    rows: str | None = None,
) -> xr.Dataset:
    """Return the split-half reliability over repetitions (or subjects) and the ceiling that follows from it.

    Parameters
    ----------
    responses, over, rows
        As in ``explainable_variance``.
    n : int
        Random splits.
    rng : numpy.random.Generator

    Returns
    -------
    Dataset (..., the other dims)
        ``reliability`` of the mean of all (``stats.split_half``: Spearman-Brown corrected) and ``ceiling``,
        its square root: NaN where the reliability is not positive, counted in ``attrs["n_undefined"]``.

    Examples
    --------
    >>> responses = xr.DataArray(
    ...     np.tile([[1.0], [2.0], [4.0]], (1, 4)), dims=("stimulus", "repetition"))
    >>> found = split_half_ceiling(responses, n=3, rng=np.random.default_rng(0))
    >>> round(float(found.ceiling), 6)
    1.0
    """
    values, coords, dims = _repetitions(responses, over, rows)
    reliability = split_half(values, n=n, rng=rng)
    ceiling = np.where(reliability > 0, np.sqrt(np.maximum(reliability, 0.0)), np.nan)
    attrs = {"over": over, "n_splits": n, "n_undefined": int(np.isnan(ceiling).sum())}
    return xr.Dataset(
        {"reliability": (dims, reliability), "ceiling": (dims, ceiling)}, coords=coords, attrs=attrs
    )


def normalized(scores: xr.DataArray, ceiling: xr.DataArray) -> xr.Dataset:
    """Return scores divided by their ceiling, with the raw scores and the ceiling beside them.

    A correlation is divided by a ceiling of correlations; R2 by a squared one, which is the caller's to pass.

    Parameters
    ----------
    scores : DataArray (..., neuroid)
        Any dims; NaN stays NaN.
    ceiling : DataArray
        Of dims that the scores have too; aligned by label where both have labels.

    Returns
    -------
    Dataset (the dims of scores)
        ``raw``, ``ceiling`` and ``normalized``, which may exceed 1 and is not clipped; NaN where the ceiling
        is NaN, 0 or negative. ``attrs``: ``n_no_ceiling``, how many ceilings are so, and ``n_undefined``, how
        many normalised scores are NaN.

    Raises
    ------
    LabelError
        If labels of a shared dim differ.
    ShapeError
        If the ceiling has a dim or a size that the scores have not.

    Examples
    --------
    >>> scores = xr.DataArray([0.3, 0.2], dims="neuroid", coords={"neuroid": ["v1", "v2"]})
    >>> ceiling = xr.DataArray([-0.1, 0.6], dims="neuroid", coords={"neuroid": ["v2", "v1"]})
    >>> found = normalized(scores, ceiling)
    >>> found.normalized.values.tolist(), found.raw.values.tolist(), found.attrs["n_no_ceiling"]
    ([0.5, nan], [0.3, 0.2], 1)
    """
    for dim in ceiling.dims:
        if dim not in scores.dims:
            raise ShapeError(f"ceiling has the dim {dim!r}; the scores have {scores.dims}.")
        if dim in scores.coords and dim in ceiling.coords:
            ceiling = align(scores, ceiling, on=str(dim), names=["scores", "ceiling"])[1]
        elif scores.sizes[dim] != ceiling.sizes[dim]:
            raise ShapeError(
                f"scores and ceiling differ along {dim!r}: {scores.sizes[dim]} and {ceiling.sizes[dim]}."
            )
    raw = as_float(scores.values, name="scores", missing=True)
    known = as_float(ceiling.values, name="ceiling", missing=True)
    spread = ceiling.variable.copy(data=known).set_dims(dict(scores.sizes)).transpose(*scores.dims).values
    good = spread > 0
    values = np.where(good, raw / np.where(good, spread, 1.0), np.nan)
    attrs = {
        **scores.attrs,
        "n_no_ceiling": int((~(known > 0)).sum()),
        "n_undefined": int(np.isnan(values).sum()),
    }
    found = {"raw": (scores.dims, raw), "ceiling": (scores.dims, spread), "normalized": (scores.dims, values)}
    return xr.Dataset(found, coords=scores.coords, attrs=attrs)


def _repetitions(
    responses: xr.DataArray, over: str, rows: str | None
) -> tuple[np.ndarray, dict[str, Any], tuple[str, ...]]:
    """Return values (n_repetitions, n_rows, ...), and the coordinates and names of the other dims."""
    if not isinstance(responses, xr.DataArray):
        raise ShapeError(f"responses must be a DataArray; got {type(responses).__name__}.")
    rows = next((dim for dim in ROWS if dim in responses.dims), ROWS[0]) if rows is None else rows
    missing = [dim for dim in (over, rows) if dim not in responses.dims]
    if missing:
        raise LabelError(f"responses lack the dims {listing(missing)}; they have {listing(responses.dims)}.")
    for dim in (over, rows):
        if responses.sizes[dim] < 2:
            raise ShapeError(
                f"explainable variance needs at least 2 along {dim!r}; got {responses.sizes[dim]}."
            )
    moved = responses.transpose(over, rows, ...)
    dims = tuple(str(dim) for dim in moved.dims[2:])
    coords = {str(k): c.variable for k, c in responses.coords.items() if set(c.dims) <= set(dims) and c.dims}
    return as_float(moved.values, name="responses"), coords, dims


def _all_constant(values: np.ndarray) -> np.ndarray:
    """Return where no repetition varies over rows, up to rounding (...)."""
    spread = np.ptp(values, axis=1).max(axis=0)
    return spread <= 16 * np.finfo(np.float64).eps * np.abs(values).max(axis=(0, 1))
