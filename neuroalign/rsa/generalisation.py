"""How long what is told apart stays the same: RDMs, or patterns, at one time against those at another."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import LabelError, ShapeError
from ..schema import labels
from .compare import aligned, as_rows, check_method, compare_rows
from .designs import arrange, fold_means, unit_dim
from .dynamics import check_movie
from .precisions import precision_values

__all__ = ["cross_temporal_distance", "temporal_generalisation"]


def temporal_generalisation(
    rdms: xr.DataArray, other: xr.DataArray | None = None, method: str = "spearman"
) -> xr.DataArray:
    """Return how similar the RDM of every time is to the RDM of every other time.

    With one movie, noise that lasts (any filtered signal) makes neighbouring times alike, and the diagonal is
    1 by definition. With ``other``, a movie of independent data (other runs, the mean of the other subjects),
    shared noise is out of it and the diagonal is the reliability of each time.

    Parameters
    ----------
    rdms : DataArray (..., time, pair)
        Other dims, such as ``subject``, give a table each.
    other : DataArray (..., time, pair), optional
        With the same other dims and labels, aligned by them; times may be other ones. ``rdms`` where None.
    method : str
        As in ``compare``.

    Returns
    -------
    DataArray (..., time_train, time_test)
        ``time_train`` are the times of ``rdms``, ``time_test`` those of ``other``. ``attrs["n_undefined"]``
        counts NaN.

    Raises
    ------
    ShapeError
        If there is no dim ``time``, or the other dims differ.
    LabelError
        If the stimuli or the labels of the other dims differ.

    References
    ----------
    King & Dehaene 2014, Trends Cogn Sci 18:203.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> rdms = make_rdm(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), list("abc"), dims=["time"])
    >>> temporal_generalisation(rdms).values.round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    check_method(method)
    other = rdms if other is None else other
    for x, name in ((rdms, "rdms"), (other, "other")):
        check_movie(x, name)
    rdms, other = aligned(rdms, other, ("rdms", "other"))
    rest = [dim for dim in rdms.dims[:-1] if dim != "time"]
    if set(rest) != set(other.dims) - {"time", "pair"}:
        raise ShapeError(f"other must have the dims of rdms, {rdms.dims}; got {other.dims}.")
    other = _same_labels(rdms, other, rest)
    one, two = (x.transpose(*rest, "time", "pair") for x in (rdms, other))
    shape = one.shape[:-2]
    n_pairs = one.sizes["pair"]
    rows, columns = (as_rows(x, "rdms")[0].reshape(-1, x.sizes["time"], n_pairs) for x in (one, two))
    scores = np.stack([compare_rows(a, b, method) for a, b in zip(rows, columns, strict=True)])
    coords = {
        name: coord.variable
        for name, coord in one.coords.items()
        if coord.dims and set(coord.dims) <= set(rest)
    }
    for dim, x in (("time_train", one), ("time_test", two)):
        if "time" in x.coords:
            coords[dim] = (dim, x["time"].values)
    return xr.DataArray(
        scores.reshape(*shape, *scores.shape[1:]),
        dims=(*rest, "time_train", "time_test"),
        coords=coords,
        attrs={"metric": method, "n_undefined": int(np.isnan(scores).sum())},
        name="similarity",
    )


def cross_temporal_distance(
    responses: xr.DataArray, *, folds: str = "run", noise: xr.DataArray | None = None
) -> xr.DataArray:
    r"""Return the cross-validated distance of stimuli between every two times, averaged over their pairs.

    With :math:`\delta_f(t) = x_f(t) - y_f(t)` the difference of two stimuli in fold f at time t, u neuroids,
    a noise precision P and F folds:

    .. math:: d(t, t') = \frac{1}{u F (F - 1)} \sum_{f \ne g} \delta_f(t)^T P \, \delta_g(t')

    averaged over all pairs of stimuli. On the diagonal it is the mean of the crossnobis RDM of that time; off
    it, what of the difference at t is still there at t', in the same unit: equal to the diagonal where
    patterns stay, 0 where they turn to other neuroids, negative where they reverse. Independent folds keep
    noise out of all entries, on average.

    Parameters
    ----------
    responses : DataArray
        With a dim ``time`` and else as ``rdm`` takes for ``crossnobis``; every stimulus in every fold.
    folds : str
        The dim or coordinate that holds the fold.
    noise : DataArray (neuroid, neuroid_b), optional
        One precision for all times; the identity where None.

    Returns
    -------
    DataArray (..., time_train, time_test)
        Symmetric.

    Raises
    ------
    ShapeError
        If there is no dim ``time``, fewer than two stimuli or folds, or a stimulus lacks a fold.

    Examples
    --------
    >>> pattern = np.array([[1.0, 0.0], [0.0, 0.0]])
    >>> runs = xr.DataArray(
    ...     np.stack([pattern, pattern])[..., None] * [1.0, 2.0, -1.0],
    ...     dims=("run", "stimulus", "neuroid", "time"), coords={"stimulus": ["a", "b"]})
    >>> cross_temporal_distance(runs).values.tolist()
    [[0.5, 1.0, -0.5], [1.0, 2.0, -1.0], [-0.5, -1.0, 0.5]]
    """
    unit = unit_dim(responses, "responses")
    if "time" not in responses.dims:
        raise ShapeError(f"responses need a dim 'time'; got {responses.dims}.")
    if "stimulus" not in responses.coords or not responses.size:
        raise ShapeError(
            f"responses need labelled stimuli and at least one value; got {dict(responses.sizes)}."
        )
    own = {folds, "stimulus", unit, *responses["stimulus"].dims, "time"}
    rest = [dim for dim in responses.dims if dim not in own]
    design = arrange(responses.transpose(*rest, "time", ...), folds)
    n_stimuli, n_times = len(design.stimuli), responses.sizes["time"]
    _, present = fold_means(design.values[0][:, :1], design)
    n_folds = len(present)
    if n_stimuli < 2 or n_folds < 2 or not present.all():
        raise ShapeError(
            "cross_temporal_distance needs at least 2 stimuli and 2 folds, every stimulus in every fold; got "
            f"{n_stimuli} and {n_folds}, with {int((~present).sum())} missing."
        )
    as_float(design.values, name="responses")
    precision = None if noise is None else precision_values(noise, responses, unit)
    tables = design.values.reshape(-1, n_times, *design.values.shape[1:])
    found = np.stack(
        [_between_times([fold_means(x, design)[0] for x in table], precision) for table in tables]
    )
    shape = design.shape[:-1]
    coords = {name: v for name, v in design.coords.items() if "time" not in v.dims}
    if "time" in responses.coords:
        coords |= {dim: (dim, responses["time"].values) for dim in ("time_train", "time_test")}
    return xr.DataArray(
        found.reshape(*shape, n_times, n_times),
        dims=(*design.leading[:-1], "time_train", "time_test"),
        coords=coords,
        attrs={"metric": "crossnobis", "normalize": "neuroids", "folds": folds, "n_folds": n_folds},
        name="distance",
    )


def _between_times(means: list[np.ndarray], precision: np.ndarray | None) -> np.ndarray:
    """Return the mean distances (n_times, n_times) from each time's fold means (n_folds, n_stimuli, n_units).

    Over all pairs of n centred patterns the products of differences sum to n times those of the patterns.
    """
    x = np.stack([one - one.mean(axis=1, keepdims=True) for one in means], axis=1)
    n_folds, n_times, n_stimuli, n_units = x.shape
    right = x if precision is None else x @ precision
    x, right = (y.reshape(n_folds, n_times, -1) for y in (x, right))
    products = x.sum(axis=0) @ right.sum(axis=0).T
    for one, other in zip(x, right, strict=True):
        products -= one @ other.T
    products = (products + products.T) / 2
    return products * 2 / ((n_stimuli - 1) * n_units * n_folds * (n_folds - 1))


def _same_labels(rdms: xr.DataArray, other: xr.DataArray, dims: list[Any]) -> xr.DataArray:
    """Return ``other`` with the labels of its leading dims in the order of ``rdms``."""
    for dim in dims:
        wanted, found = (labels(x, on=dim, name=name) for x, name in ((rdms, "rdms"), (other, "other")))
        if len(wanted) != len(found) or set(wanted.tolist()) != set(found.tolist()):
            raise LabelError(f"other has other labels of {dim!r} than rdms.")
        other = other.sel({dim: wanted})
    return other
