"""Counts, means and sums of squares of every unit, by condition and run: all that a localizer needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..arrays import as_float, merge_moments
from ..errors import LabelError, ShapeError, listing
from ..schema import labels
from .statistics import Moments, moments_of

__all__ = ["condition_moments", "group_moments", "is_moments", "join_sites", "mean_magnitude", "sides"]

VARIABLES = ("n", "mean", "m2", "mean_abs")
# Attributes of extracted activations that go with everything made of them.
KEPT = ("model", "label", "untrained", "model_digest", "pool", "max_tokens", "absolute")
# Means whose sizes differ by less than this share are those of values of one sign.
ONE_SIGN = 32 * np.finfo(np.float64).eps
PLACES = ("layer", "site", "index")


def group_moments(
    activations: Mapping[str, Any] | xr.Dataset, stimuli: pd.DataFrame, *, site: str | None = None
) -> xr.Dataset:
    """Return the moments of every unit over the stimuli of each condition and run.

    ``extraction.extract_moments`` gives the same without ever holding the activations.

    Parameters
    ----------
    activations : mapping of layer name to DataArray (stimulus, unit), or such a Dataset
        Or a mapping of site to such mappings, for one localizer over several sites. Layers are read one at a
        time, so a lazy mapping never holds them all.
    stimuli : DataFrame
        Columns stimulus, condition and, optionally, run. Stimuli that only the activations have are left out.
    site : str, optional
        Where in the layer the activations were read; where None, what they say themselves, else ``"block"``.

    Returns
    -------
    xarray.Dataset
        Dims (group, unit). Along ``group``: coordinates condition and run, variable ``n``. Along ``unit``:
        layer, site, index. (group, unit): ``mean``, ``m2`` (centred sum of squares), ``mean_abs``; float64.

    Raises
    ------
    LabelError
        If stimuli are missing from the activations or repeated, or a column is missing.
    """
    _refuse_columns(stimuli, ("stimulus", "condition"))
    runs = stimuli["run"] if "run" in stimuli.columns else pd.Series(0, index=stimuli.index)
    columns = {"condition": stimuli["condition"], "run": runs, "stimulus": stimuli["stimulus"]}
    table = pd.DataFrame(columns).groupby(["condition", "run"], sort=False)["stimulus"].apply(list)
    keys, members = list(table.index), table.tolist()
    parts, about = [], []
    for where, name, array in _layers(activations, site):
        rows = _rows(labels(array, name=name), keys, members, name)
        mean, m2, mean_abs = _layer_moments(array, name, rows)
        parts.append(({"mean": mean, "m2": m2, "mean_abs": mean_abs}, _places(name, where, mean.shape[1])))
        about.append(_attrs(array))
    if not parts:
        raise ShapeError("activations have no layer.")
    groups = {c: np.array([key[i] for key in keys]) for i, c in enumerate(("condition", "run"))}
    n = np.array([len(group) for group in members], dtype=np.int64)
    return _assembled(n, groups, parts, _shared([*about, _attrs(activations)]))


def _assembled(
    n: np.ndarray,
    groups: dict[str, np.ndarray],
    parts: Sequence[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]],
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Return the Dataset of parts that hold values (group, unit) and the places (unit,) of their units."""
    values = {name: np.concatenate([part[0][name] for part in parts], axis=1) for name in VARIABLES[1:]}
    places = {name: np.concatenate([part[1][name] for part in parts]) for name in PLACES}
    coords = {name: ("group", x) for name, x in groups.items()}
    coords |= {name: ("unit", x) for name, x in places.items()}
    variables: dict[str, Any] = {name: (("group", "unit"), x) for name, x in values.items()}
    return xr.Dataset({"n": ("group", n), **variables}, coords, attrs)


def _places(layer: str, site: str, n_units: int) -> dict[str, np.ndarray]:
    return {"layer": np.full(n_units, layer), "site": np.full(n_units, site), "index": np.arange(n_units)}


def _shared(attrs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what all that say something say alike, of the attributes that go with everything."""
    found = {}
    for key in KEPT:
        values = [part[key] for part in attrs if key in part]
        if values and all(value == values[0] for value in values):
            found[key] = values[0]
    return found


def _layers(activations: Any, site: str | None) -> Iterator[tuple[str, str, xr.DataArray]]:
    """Yield (site, layer, array (stimulus, unit)), one layer at a time."""
    where = site or str(_attrs(activations).get("site", "block"))
    for name in activations:
        value = activations[name]
        if isinstance(value, xr.DataArray):
            yield where if site else str(value.attrs.get("site", where)), str(name), value
        else:
            yield from _layers(value, str(name))


def _attrs(x: Any) -> dict[str, Any]:
    return dict(getattr(x, "attrs", {}))


def _rows(found: np.ndarray, keys: Sequence[tuple], members: Sequence[list], name: str) -> list[np.ndarray]:
    """Return the rows of every group, or name the stimuli that a layer lacks."""
    position = {label: i for i, label in enumerate(found.tolist())}
    wanted: dict[Any, list] = {}
    for (condition, _), group in zip(keys, members, strict=True):
        wanted.setdefault(condition, []).extend(group)
    for condition, group in wanted.items():
        missing = [label for label in group if label not in position]
        if missing:
            raise LabelError(
                f"{len(missing)} of {len(group)} {condition} stimuli are not in {name}: {listing(missing)}."
            )
    return [np.array([position[label] for label in group], dtype=np.intp) for group in members]


def _layer_moments(array: xr.DataArray, name: str, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return mean, centred sum of squares and mean absolute value, (3, n_groups, n_units)."""
    values = array.transpose("stimulus", ...).values
    found = []
    for row in rows:
        x = as_float(values[row], name=name, ndim=2)
        of_row = moments_of(x)
        found.append((of_row.mean, of_row.m2, np.abs(x).mean(axis=0)))
    return np.array(found).transpose(1, 0, 2)


def is_moments(x: Any) -> bool:
    """Return whether ``x`` is a Dataset of moments, not of activations."""
    return (
        isinstance(x, xr.Dataset) and set(VARIABLES) <= set(x.variables) and {"group", "unit"} <= set(x.dims)
    )


def join_sites(*moments: xr.Dataset) -> xr.Dataset:
    """Return moments of several sites of one model as one, matched by condition and run.

    Raises
    ------
    LabelError
        If they are not about the same groups, or share a unit (layer, site, index).
    """
    if not moments:
        raise ShapeError("join_sites needs the moments of at least one site.")
    keyed = [_by_group(part) for part in moments]
    for part in keyed[1:]:
        if (
            set(part.indexes["group"]) != set(keyed[0].indexes["group"])
            or not (part["n"].sel(group=keyed[0]["group"].values).values == keyed[0]["n"].values).all()
        ):
            raise LabelError("the sites' moments are not about the same stimuli, conditions and runs.")
    order, first = keyed[0]["group"].values, keyed[0]
    parts = []
    for part in keyed:
        found = part.sel(group=order)
        values = {name: found[name].values for name in VARIABLES[1:]}
        parts.append((values, {name: found[name].values for name in PLACES}))
    groups = {name: first[name].values for name in ("condition", "run")}
    joined = _assembled(first["n"].values, groups, parts, _shared([part.attrs for part in moments]))
    index = pd.MultiIndex.from_arrays([joined[name].values for name in PLACES])
    if not index.is_unique:
        n = int(index.duplicated().sum())
        raise LabelError(f"{n} units (layer, site, index) are in two of the sites.")
    return joined


def _by_group(moments: xr.Dataset) -> xr.Dataset:
    if not is_moments(moments):
        raise ShapeError("moments must be a Dataset (group, unit) with n, mean, m2 and mean_abs.")
    keys = [f"{c}\x1f{r}" for c, r in zip(moments["condition"].values, moments["run"].values, strict=True)]
    return moments.assign_coords(group=keys)


def condition_moments(
    moments: xr.Dataset, conditions: Any, *, absolute: bool = False, name: str = "condition"
) -> Moments:
    r"""Return the moments of all groups of one condition, or of several together.

    With ``absolute`` those of |x|: the mean is ``mean_abs``, and the centred sum of squares is
    :math:`m_2 + n (\bar x - \overline{|x|}) (\bar x + \overline{|x|})`.

    Raises
    ------
    LabelError
        If no group has the condition; lists those there are.
    """
    wanted = [conditions] if isinstance(conditions, str) else list(np.asarray(conditions).tolist())
    present = list(dict.fromkeys(moments["condition"].values.tolist()))
    missing = [condition for condition in wanted if condition not in present]
    if missing or not wanted:
        raise LabelError(
            f"{name}: no group has {listing(missing) or 'any condition'}; there are {listing(present)}."
        )
    chosen = moments.isel(group=np.flatnonzero(np.isin(moments["condition"].values, wanted)))
    n, mean, m2 = chosen["n"].values, chosen["mean"].values, chosen["m2"].values
    if absolute:
        mean, m2 = _of_absolute(n, mean, m2, chosen["mean_abs"].values)
    total, merged, squares = merge_moments(n, mean, m2)
    return Moments(int(total), merged, squares)


def _of_absolute(
    n: np.ndarray, mean: np.ndarray, m2: np.ndarray, mean_abs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and centred sum of squares (n_groups, n_units) of |x|.

    Where no value changes its sign the sum of squares is that of x, whatever the means' last digits are.
    """
    one_sign = np.abs(np.abs(mean) - mean_abs) <= ONE_SIGN * mean_abs
    squares = m2 + n[:, None] * (mean - mean_abs) * (mean + mean_abs)
    size = np.where(one_sign, np.abs(mean), mean_abs)
    return size, np.where(one_sign, m2, np.maximum(squares, 0))


def sides(
    moments: xr.Dataset, positive: Any, negative: Any, *, absolute: bool = False
) -> tuple[Moments, Moments]:
    """Return the moments of the positive and of the negative condition.

    Raises
    ------
    LabelError
        If a condition is on both sides or on none.
    """
    both = set(np.atleast_1d(positive).tolist()) & set(np.atleast_1d(negative).tolist())
    if both:
        raise LabelError(f"{len(both)} conditions are both positive and negative: {listing(sorted(both))}.")
    found = [
        condition_moments(moments, condition, absolute=absolute, name=name)
        for condition, name in ((positive, "positive"), (negative, "negative"))
    ]
    return found[0], found[1]


def mean_magnitude(moments: xr.Dataset) -> np.ndarray:
    """Return every unit's mean absolute activation (n_units,) over all stimuli."""
    found = moments.isel(group=moments["n"].values > 0)
    n = found["n"].values
    return n @ found["mean_abs"].values / n.sum()


def _refuse_columns(stimuli: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in stimuli.columns]
    if missing:
        raise LabelError(
            f"stimuli lack the columns {listing(missing)}; they have {listing(stimuli.columns)}."
        )
    labels(stimuli, name="stimuli")
