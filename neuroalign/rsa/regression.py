"""Several model RDMs at once: partial correlation, regression, shared and unique variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import LabelError, ShapeError, choice, listing
from ..stats import all_unions, commonalities, is_constant
from .compare import aligned
from .linear_models import (
    basis_rows,
    centred_rows,
    collinear,
    correlation_of_rests,
    dependent,
    least_squares,
    model_table,
    r2_of,
    refuse_collinear,
    shared_pairs,
)

__all__ = ["partial_compare", "regress", "variance_partition"]

PARTIAL = ("pearson", "spearman")
MAX_GROUPS = 8


def partial_compare(
    models: xr.DataArray,
    data: xr.DataArray,
    method: str = "spearman",
    *,
    given: xr.DataArray | None = None,
    over: str = "subject",
) -> xr.DataArray:
    r"""Return the partial correlation of each data RDM with each model RDM, the other models held fixed.

    The correlation of what least squares on the other models (and a constant) leaves of the model with what
    it leaves of the data. ``spearman`` does so on mid-ranks.

    Parameters
    ----------
    models : DataArray (model, pair)
    data : DataArray (<over>, pair)
        Aligned by label. A data RDM is compared over the pairs that it and all models have; ranks are taken
        of these.
    method : {"spearman", "pearson"}
    given : DataArray (model, pair), optional
        The models to hold fixed for every one of ``models``; the other ones of ``models`` where None.
    over : str
        The dim of the data, with unique labels.

    Returns
    -------
    DataArray (model, <over>)
        Between -1 and 1. NaN where the data are constant, or nothing is left of them or the model over the
        pairs that are shared; ``attrs["n_undefined"]`` counts them.

    Raises
    ------
    ShapeError
        If dims are other ones, or there is nothing to hold fixed.
    LabelError
        If the stimuli differ or a label comes twice.
    InvalidValueError
        If models are constant or sums of each other (named), a value is infinite or the method is unknown.

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> names = ["s1", "s2", "s3", "s4"]
    >>> models = make_rdm(
    ...     np.array([[1.0, 2, 3, 4, 5, 6], [0.0, 1, 0, 0, 1, 1]]), names,
    ...     dims=["model"], coords={"model": ["line", "category"]})
    >>> data = models.sum("model").expand_dims(subject=["s"])
    >>> partial_compare(models, data, "pearson").values.round(6).tolist()
    [[1.0], [1.0]]
    """
    if method not in PARTIAL:
        raise choice(method, PARTIAL, name="method")
    models, data = aligned(models, data, ("models", "data"))
    rows, names = model_table(models, "model", "models")
    y, subjects = model_table(data, over, "data")
    ranks, fixed = method == "spearman", None
    if given is not None:
        _, given = aligned(models, given, ("models", "given"))
        fixed, held_names = model_table(given, "model", "given")
        refuse_collinear(fixed, held_names, ranks=ranks, name="given")
    elif len(rows) < 2:
        raise ShapeError("a partial correlation needs a second model to hold fixed; got 1. Pass given.")
    else:
        refuse_collinear(rows, names, ranks=ranks, name="models")
    scores = np.full((len(rows), len(y)), np.nan)
    for who, x, z, targets in shared_pairs(rows, fixed, y, ranks=ranks):
        for i in range(len(x)):
            held = np.delete(x, i, axis=0) if z is None else z
            scores[i, who] = correlation_of_rests(x[i], targets, basis_rows(held))
    attrs = {"metric": f"partial {method}", "n_undefined": int(np.isnan(scores).sum())}
    coords = {"model": names, over: subjects}
    return xr.DataArray(scores, dims=("model", over), coords=coords, attrs=attrs, name="similarity")


def regress(
    models: xr.DataArray,
    data: xr.DataArray,
    *,
    non_negative: bool = False,
    ranks: bool = False,
    over: str = "subject",
) -> xr.Dataset:
    r"""Return the weights with which model RDMs sum up to each data RDM.

    .. math::
        \min_{w, c} |d - c - \sum_k w_k m_k|^2, \quad R^2 = 1 - \sum (d - \hat d)^2 / \sum (d - \bar d)^2

    Parameters
    ----------
    models : DataArray (model, pair)
    data : DataArray (<over>, pair)
        Aligned by label; each is fitted over the pairs that it and all models have.
    non_negative : bool
        Whether the weights (not the intercept) are kept from falling below 0: a sum of squared distances of
        scaled features has no negative weights.
    ranks : bool
        Whether data and models are replaced by their mid-ranks over these pairs.
    over : str
        The dim of the data, with unique labels.

    Returns
    -------
    Dataset
        ``weight`` (model, <over>), in dissimilarity of the data per dissimilarity of the model;
        ``intercept``, ``r2`` and ``n_pairs`` (<over>,). R2 is in sample: it rises with every model. NaN where
        a data RDM is constant or the models are collinear over its pairs; ``attrs["n_undefined"]`` counts
        such RDMs.

    Raises
    ------
    ShapeError
        If dims are other ones.
    LabelError
        If the stimuli differ or a label comes twice.
    InvalidValueError
        If models are constant or sums of each other (named), or a value is infinite.

    References
    ----------
    Khaligh-Razavi & Kriegeskorte 2014, PLoS Comput Biol 10:e1003915 (non-negative weights).

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> models = make_rdm(
    ...     np.array([[1.0, 2.0, 4.0]]), ["s1", "s2", "s3"], dims=["model"], coords={"model": ["m"]})
    >>> data = (3 * models + 1).rename(model="subject")
    >>> found = regress(models, data)
    >>> found["weight"].values.round(6).tolist(), found["intercept"].values.round(6).tolist()
    ([[3.0]], [1.0])
    """
    models, data = aligned(models, data, ("models", "data"))
    x, names = model_table(models, "model", "models")
    y, subjects = model_table(data, over, "data")
    refuse_collinear(x, names, ranks=ranks, name="models")
    weight = np.full((len(x), len(y)), np.nan)
    intercept, r2, n_pairs = np.full(len(y), np.nan), np.full(len(y), np.nan), np.zeros(len(y), dtype=int)
    for who, some, _, targets in shared_pairs(x, None, y, ranks=ranks):
        n_pairs[who] = some.shape[1]
        if some.shape[1] <= len(some) or dependent(some).any():
            continue
        means, centred, defined = some.mean(axis=1), centred_rows(targets), ~is_constant(targets, axis=1)
        found = least_squares(centred_rows(some), centred, non_negative)
        rest = ((centred - found @ centred_rows(some)) ** 2).sum(axis=1)
        total = np.where(defined, (centred**2).sum(axis=1), np.nan)
        r2[who] = 1 - rest / total
        weight[:, who] = np.where(defined, found.T, np.nan)
        intercept[who] = np.where(defined, targets.mean(axis=1) - found @ means, np.nan)
    return xr.Dataset(
        {
            "weight": (("model", over), weight),
            "intercept": ((over,), intercept),
            "r2": ((over,), r2),
            "n_pairs": ((over,), n_pairs),
        },
        coords={"model": names, over: subjects},
        attrs={
            "non_negative": int(non_negative),
            "ranks": int(ranks),
            "n_undefined": int(np.isnan(r2).sum()),
        },
    )


def variance_partition(
    models: xr.DataArray,
    data: xr.DataArray,
    groups: Mapping[str, Sequence[Any]],
    *,
    non_negative: bool = False,
    ranks: bool = False,
    over: str = "subject",
) -> xr.Dataset:
    r"""Return what sets of model RDMs explain of each data RDM alone, and what they share.

    By inclusion and exclusion over the R2 of all unions of sets (commonality analysis): what exactly the sets
    in S share is :math:`\sum_{T \subseteq S} (-1)^{|T| + 1} R^2(\bar S \cup T)`, where :math:`\bar S` are the
    other sets and :math:`R^2(\emptyset) = 0`. The components sum to the R2 of all sets together.

    Parameters
    ----------
    models : DataArray (model, pair)
        Those that no group names are left out.
    data : DataArray (<over>, pair)
        Aligned by label; each is fitted over the pairs that it and all models named have.
    groups : mapping of str to sequence of model labels
        2 to 8 sets without a model in common.
    non_negative, ranks, over
        As in ``regress``.

    Returns
    -------
    Dataset
        ``variance`` (component, <over>): of a set alone (``"a"``), or shared by exactly these (``"a & b"``).
        Shared variance can be negative, where one set suppresses what is noise in another; it is kept.
        ``r2`` (union, <over>): of all sets of a union (``"a"``, ``"a + b"``). ``member`` (component, group).
        NaN where a data RDM is constant or there are not more pairs than models; ``attrs["n_undefined"]``
        counts such RDMs, and ``attrs["collinear"]`` names models that are constant or sums of others: R2 is
        defined with them, but what they explain is then shared by necessity.

    Raises
    ------
    ShapeError
        If dims are other ones, or there are fewer than 2 or more than 8 groups, or an empty one.
    LabelError
        If the stimuli differ, or a model named is not there or in two groups.
    InvalidValueError
        If a value is infinite.

    References
    ----------
    Nimon & Oswald 2013, Organ Res Methods 16:650 (commonality analysis); Groen et al. 2018, eLife 7:e32962
    (of model RDMs).

    Examples
    --------
    >>> from neuroalign.schema import make_rdm
    >>> models = make_rdm(
    ...     np.array([[1.0, -1, 0, 0, 0, 0], [0.0, 0, 1, -1, 0, 0]]), ["s1", "s2", "s3", "s4"],
    ...     dims=["model"], coords={"model": ["a", "b"]})
    >>> data = (models[0] + 2 * models[1]).drop_vars("model", errors="ignore").expand_dims(subject=["s"])
    >>> found = variance_partition(models, data, {"first": ["a"], "second": ["b"]})
    >>> found["variance"].values.round(6).ravel().tolist(), found["component"].values.tolist()
    ([0.2, 0.8, 0.0], ['first', 'second', 'first & second'])
    """
    models, data = aligned(models, data, ("models", "data"))
    x, names = model_table(models, "model", "models")
    y, subjects = model_table(data, over, "data")
    members = _members(groups, names)
    chosen = np.concatenate(list(members.values()))
    position = {old: new for new, old in enumerate(chosen)}
    sets = [np.array([position[i] for i in which]) for which in members.values()]
    unions = all_unions(len(sets))
    r2 = np.full((len(unions), len(y)), np.nan)
    for who, some, _, targets in shared_pairs(x[chosen], None, y, ranks=ranks):
        if some.shape[1] > len(some):
            for row, union in enumerate(unions):
                r2[row, who] = r2_of(some[np.concatenate([sets[g] for g in union])], targets, non_negative)
    member = np.array([[g in union for g in range(len(sets))] for union in unions])
    return xr.Dataset(
        {
            "variance": (("component", over), commonalities(r2, len(sets))),
            "r2": (("union", over), r2),
            "member": (("component", "group"), member),
        },
        coords={
            "component": [" & ".join(list(members)[g] for g in union) for union in unions],
            "union": [" + ".join(list(members)[g] for g in union) for union in unions],
            "group": list(members),
            over: subjects,
        },
        attrs={
            "non_negative": int(non_negative),
            "ranks": int(ranks),
            "collinear": ", ".join(str(name) for name in names[chosen][collinear(x[chosen], ranks=ranks)]),
            "n_undefined": int(np.isnan(r2).any(axis=0).sum()),
        },
    )


def _members(groups: Mapping[str, Sequence[Any]], names: np.ndarray) -> dict[str, np.ndarray]:
    """Return the positions of each group's models."""
    if not 2 <= len(groups) <= MAX_GROUPS or not all(len(which) for which in groups.values()):
        raise ShapeError(
            f"groups must be 2 to {MAX_GROUPS} non-empty sets of models; got sizes "
            f"{ {name: len(which) for name, which in groups.items()} }."
        )
    place = {name: i for i, name in enumerate(names.tolist())}
    asked = [name for which in groups.values() for name in which]
    missing = [name for name in asked if name not in place]
    if missing:
        raise LabelError(f"groups: no model is called {listing(missing)}; there are {listing(names)}.")
    twice = [name for name in place if asked.count(name) > 1]
    if twice:
        raise LabelError(f"groups: {listing(twice)} is named more than once; sets must not overlap.")
    return {group: np.array([place[name] for name in which]) for group, which in groups.items()}
