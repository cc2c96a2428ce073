"""Variance partitioning of feature spaces: the scores of all their unions, by inclusion and exclusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import LabelError, ShapeError, choice, listing
from ..stats import all_unions, commonalities
from .bands import band_of, columns_of, take_bands, with_bands
from .evaluation import evaluate

__all__ = ["union_scores", "variance_partitioning"]

ADDITIVE = ("r2", "explained_variance")
PLUS, AND = " + ", " & "
MAX_BANDS = 4


def union_scores(
    model: Any, X: xr.DataArray, Y: xr.DataArray, *, splits: Any, metric: str = "r2", **options: Any
) -> xr.DataArray:
    """Return the cross-validated score of every union of feature spaces, each fitted and chosen anew.

    Parameters
    ----------
    model : estimator
        As in ``evaluate``; one with a parameter ``bands`` gets the labels of the features of each union.
    X : DataArray (time, feature) or (stimulus, feature)
        With the coordinate ``band``, of 2 to 4 bands: see ``join_bands``.
    Y, splits
        As in ``evaluate``.
    metric : {"r2", "explained_variance"}
        One that is a share of variance; a correlation has no parts.
    **options
        Others of ``evaluate``.

    Returns
    -------
    DataArray (union, fold, neuroid)
        Or without ``fold`` where predictions are pooled. ``union`` is ``"a"``, ``"b"``, ``"a + b"``, in order
        of size; ``attrs["n_undefined"]`` counts the NaN of all of them.

    Raises
    ------
    LabelError
        If bands are unknown or one holds " + ".
    ShapeError
        If there are fewer than 2 or more than 4 bands.
    InvalidValueError
        If the metric is another one, and as in ``evaluate``.

    Examples
    --------
    >>> from neuroalign.encoding import RidgeCV, contiguous_splits
    >>> X = xr.DataArray(
    ...     np.random.default_rng(0).standard_normal((40, 2)), dims=("time", "feature"),
    ...     coords={"time": 2.0 * np.arange(40), "band": ("feature", ["a", "b"])})
    >>> Y = X[:, :1].drop_vars("band").rename(feature="neuroid")
    >>> found = union_scores(RidgeCV([1.0]), X, Y, splits=contiguous_splits(40, 2))
    >>> found["union"].values.tolist()
    ['a', 'b', 'a + b']
    """
    if metric not in ADDITIVE:
        raise choice(metric, ADDITIVE, name="metric")
    names = list(columns_of(band_of(X)))
    _check_names(names)
    found = []
    for union in all_unions(len(names)):
        part = take_bands(X, [names[i] for i in union])
        # Alphas differ between unions; they are no label of the scores.
        score = evaluate(with_bands(model, part), part, Y, splits=splits, metric=metric, **options)
        found.append(score.drop_vars("alpha", errors="ignore"))
    scores = xr.concat(found, dim="union", combine_attrs="drop_conflicts")
    scores = scores.assign_coords(union=[PLUS.join(names[i] for i in u) for u in all_unions(len(names))])
    scores.attrs["n_undefined"] = int(np.isnan(scores.values).sum())
    return scores


def variance_partitioning(scores: xr.DataArray | Mapping[str, Any]) -> xr.Dataset:
    r"""Return what each feature space explains alone and what exactly some of them share.

    By inclusion and exclusion over the scores of all unions (commonality analysis): what exactly the spaces
    in S share is :math:`\sum_{T \subseteq S} (-1)^{|T| + 1} R^2(\bar S \cup T)`, where :math:`\bar S` are the
    other spaces and :math:`R^2(\emptyset) = 0`. The components sum to the score of all spaces together.

    Parameters
    ----------
    scores : DataArray (union, ...) or mapping of union to array
        R2 of every union of 2 to 4 spaces, in any order: ``"a"``, ``"b"``, ``"a + b"``. See ``union_scores``.

    Returns
    -------
    Dataset
        ``variance`` (component, ...): of a space alone (``"a"``), or shared by exactly these (``"a & b"``).
        ``joint`` (...): the score of all. ``member`` (component, band). A component may be negative: of
        held-out scores because a larger union fits noise, of shared variance also because one space
        suppresses what is noise in another. It is kept, and ``attrs["n_negative"]`` counts these. NaN where
        the score of a union is; ``attrs["n_undefined"]`` counts the targets (and folds).

    Raises
    ------
    LabelError
        If a union is missing, comes twice, or is none of these spaces.
    ShapeError
        If there are fewer than 2 or more than 4 spaces, or scores differ in shape.

    References
    ----------
    Nimon & Oswald 2013, Organ Res Methods 16:650; Lescroart, Stansbury & Gallant 2015, Front Comput Neurosci
    9:135 (of encoding models).

    Examples
    --------
    >>> found = variance_partitioning({"a": 0.5, "b": 0.4, "a + b": 0.6})
    >>> found["component"].values.tolist(), found["variance"].values.round(6).tolist()
    (['a', 'b', 'a & b'], [0.2, 0.1, 0.3])
    """
    scores = _as_scores(scores)
    keys = [tuple(str(union).split(PLUS)) for union in scores["union"].values]
    names = list(dict.fromkeys(name for key in sorted(keys, key=len) for name in key))
    _check_names(names)
    unions = all_unions(len(names))
    row = _rows(keys, names, unions)
    values = as_float(scores.transpose("union", ...).values, name="scores", missing=True)
    variance = commonalities(values[row], len(names))
    member = np.array([[i in union for i in range(len(names))] for union in unions])
    rest = scores.isel(union=row[-1], drop=True)
    component = [AND.join(names[i] for i in union) for union in unions]
    shares = xr.DataArray(variance, dims=("component", *rest.dims), coords={"component": component})
    found = xr.Dataset(
        {"variance": shares, "joint": rest, "member": (("component", "band"), member)},
        coords={**rest.coords, "band": names},
    )
    found.attrs |= {
        "n_undefined": int(np.isnan(values).any(axis=0).sum()),
        "n_negative": int((variance < 0).sum()),
    }
    return found


def _as_scores(scores: Any) -> xr.DataArray:
    if isinstance(scores, Mapping):
        if not scores:
            raise ShapeError("scores must hold the unions of at least 2 feature spaces; got none.")
        parts = [part if isinstance(part, xr.DataArray) else _plain(part) for part in scores.values()]
        if len({part.shape for part in parts}) > 1:
            raise ShapeError(f"scores differ in shape: {[part.shape for part in parts]}.")
        return xr.concat(parts, dim="union", join="exact").assign_coords(union=list(scores))
    if not isinstance(scores, xr.DataArray) or "union" not in scores.dims or "union" not in scores.coords:
        raise ShapeError(
            "scores must be a DataArray with labels along 'union', or a mapping of union to scores; got "
            f"{getattr(scores, 'dims', type(scores).__name__)}."
        )
    return scores.transpose("union", ...)


def _plain(part: Any) -> xr.DataArray:
    values = as_float(part, name="scores", finite=False)
    return xr.DataArray(values, dims=["neuroid", "time"][: values.ndim])


def _check_names(names: list[str]) -> None:
    if not 2 <= len(names) <= MAX_BANDS:
        raise ShapeError(
            f"variance is partitioned between 2 to {MAX_BANDS} bands; got {len(names)}: {listing(names)}. "
            "Join some of them; split_scores takes any number."
        )
    bad = [name for name in names if PLUS in name or AND in name]
    if bad:
        raise LabelError(f"names of bands must not hold {PLUS!r} or {AND!r}; got {listing(bad)}.")


def _rows(keys: list[tuple[str, ...]], names: list[str], unions: list[tuple[int, ...]]) -> list[int]:
    """Return the row of each union among the keys."""
    sets = [frozenset(key) for key in keys]
    wanted = [frozenset(names[i] for i in union) for union in unions]
    missing = [
        PLUS.join(names[i] for i in u) for u, want in zip(unions, wanted, strict=True) if want not in sets
    ]
    if missing:
        raise LabelError(f"scores of {len(missing)} unions are missing: {listing(missing)}.")
    if len(keys) != len(unions):
        raise LabelError(
            f"scores hold {len(keys)} unions of {len(names)} bands; {len(unions)} were expected."
        )
    return [sets.index(want) for want in wanted]
