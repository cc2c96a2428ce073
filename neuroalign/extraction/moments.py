"""Counts, means and sums of squares of activations by group; no activation is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .. import arrays
from ..errors import InvalidValueError, LabelError, listing
from ..schema import make_mask
from .extracting import request_for
from .models import LanguageModel
from .running import Request, stream

__all__ = ["extract_moments"]

RESERVED = ("group", "unit", "layer", "site", "index", "n", "mean", "m2", "mean_abs")


def extract_moments(
    model: LanguageModel,
    stimuli: pd.DataFrame,
    layers: Any = None,
    *,
    by: Sequence[str] = ("condition", "run"),
    site: str = "block",
    pool: str = "last",
    max_tokens: int | None = None,
    absolute: bool = False,
    batch_size: int = 32,
    progress: bool = True,
) -> xr.Dataset:
    """Return the moments of every unit's activations in every group of stimuli.

    Batches are read once and merged exactly in float64 (``arrays.merge_moments``), so memory does not grow
    with the number of stimuli but for their text, and no precision is lost where a mean is large.

    Parameters
    ----------
    model : LanguageModel
    stimuli : DataFrame
        Columns stimulus (unique), text, and those of ``by``.
    layers, site, pool, max_tokens, batch_size, progress
        See ``extract``.
    by : sequence of str
        Columns whose distinct combinations are the groups; without any there is one group, ``"all"``.
    absolute : bool
        Take the moments of the absolute activations.

    Returns
    -------
    Dataset (group, unit)
        n (group,): stimuli. mean, m2, mean_abs (group, unit), float64: mean, sum of squared differences from
        it, and mean absolute activation, in the network's units. Groups stand in the order they first appear,
        labelled such as ``"sentence|1"``, with a coordinate for each column of ``by``; units have the
        coordinates layer, site and index of ``schema.make_mask``. Attributes as ``extract``.

    Raises
    ------
    LabelError
        If ``stimuli`` lacks a column of ``by``, or two groups have one label.
    InvalidValueError
        If a value of such a column is missing. Else as ``extract``.

    Examples
    --------
    >>> moments = extract_moments(model, stimuli, by=["condition"])  # doctest: +SKIP
    >>> (moments.m2 / (moments.n - 1)).sel(group="sentence")  # the variances  # doctest: +SKIP
    """
    groups, group_of = _groups(stimuli, [by] if isinstance(by, str) else list(by))
    parameters = {"by": list(groups.columns), "groups": groups.index.tolist(), "absolute": bool(absolute)}
    request = request_for(
        model,
        stimuli,
        layers,
        site=site,
        pool=pool,
        max_tokens=max_tokens,
        group_of=group_of.tolist(),
        **parameters,
    )
    sink = _Moments(request, group_of, len(groups), absolute=bool(absolute))
    stream(request, sink, batch_size=batch_size, progress=progress)
    return _dataset(request, sink, groups, site)


def _groups(stimuli: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the groups by label, a row each, and the group of every stimulus (n_stimuli,)."""
    missing = [name for name in by if name not in stimuli.columns]
    if missing:
        raise LabelError(
            f"stimuli lack the columns {listing(missing)}; they have {listing(stimuli.columns)}."
        )
    taken = [name for name in by if name in RESERVED]
    if taken or len(set(by)) < len(by):
        raise LabelError(f"by must be distinct columns with names of their own; got {listing(by)}.")
    if not by:
        return pd.DataFrame(index=pd.Index(["all"])), np.zeros(len(stimuli), dtype=np.int64)
    table = stimuli[by]
    if table.isna().to_numpy().any():
        bad = [name for name in by if table[name].isna().any()]
        raise InvalidValueError(f"stimuli: values are missing in the columns {listing(bad)}.")
    group_of = table.groupby(by, sort=False, observed=True).ngroup().to_numpy()
    first = np.unique(group_of, return_index=True)[1]
    groups = table.iloc[first].copy()
    groups.index = pd.Index(["|".join(map(str, row)) for row in groups.itertuples(index=False)])
    if not groups.index.is_unique:
        repeated = groups.index[groups.index.duplicated()]
        raise LabelError(f"stimuli: two groups have one label: {listing(repeated)}; rename their values.")
    return groups, group_of


class _Moments:
    """Running count, mean and centred sum of squares (n_groups, n_units) over all layers side by side."""

    mark = None

    def __init__(self, request: Request, group_of: np.ndarray, n_groups: int, *, absolute: bool) -> None:
        self.group_of, self.absolute = group_of, absolute
        self.layers = list(request.widths)
        shape = n_groups, sum(request.widths.values())
        self.n = np.zeros(n_groups, dtype=np.int64)
        self.mean, self.m2, self.sum_abs = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    @property
    def mean_abs(self) -> np.ndarray:
        """Mean absolute activation (n_groups, n_units)."""
        return self.mean.copy() if self.absolute else self.sum_abs / self.n[:, None]

    def write(self, rows: np.ndarray, values: Mapping[str, np.ndarray], *, mark: tuple[int, int]) -> None:
        found = np.concatenate([values[layer] for layer in self.layers], axis=1)
        groups, member = np.unique(self.group_of[rows], return_inverse=True)
        for k, group in enumerate(groups):
            self._add(group, found[member == k])

    def _add(self, group: int, values: np.ndarray) -> None:
        """Merge the activations (n_rows, n_units) of some stimuli of one group."""
        absolute = np.abs(values).sum(0, dtype=np.float64)
        values = np.abs(values) if self.absolute else values
        start = values[0].astype(np.float64)
        shifted = values - start
        shift = shifted.mean(0)
        shifted -= shift
        new = np.array([self.n[group], len(values)])
        mean = np.stack([self.mean[group], start + shift])
        m2 = np.stack([self.m2[group], np.einsum("ru,ru->u", shifted, shifted)])
        self.n[group], self.mean[group], self.m2[group] = arrays.merge_moments(new, mean, m2)
        self.sum_abs[group] += absolute


def _dataset(request: Request, sink: _Moments, groups: pd.DataFrame, site: str) -> xr.Dataset:
    layer = np.concatenate([np.full(width, name) for name, width in request.widths.items()])
    index = np.concatenate([np.arange(width) for width in request.widths.values()])
    units = make_mask(np.zeros(layer.size, dtype=bool), layer=layer, site=site, index=index).coords
    columns = {name: ("group", _plain(groups[name])) for name in groups.columns}
    attrs = {name: value for name, value in request.attrs.items() if name != "group_of"}
    return xr.Dataset(
        {
            "n": ("group", sink.n),
            "mean": (("group", "unit"), sink.mean),
            "m2": (("group", "unit"), sink.m2),
            "mean_abs": (("group", "unit"), sink.mean_abs),
        },
        coords={"group": groups.index.to_numpy().astype(np.str_), **columns, **units},
        attrs=attrs,
    )


def _plain(column: pd.Series) -> np.ndarray:
    values = column.to_numpy()
    is_text = values.dtype.kind in "OUT" and all(isinstance(value, str) for value in values)
    return values.astype(np.str_) if is_text else values
