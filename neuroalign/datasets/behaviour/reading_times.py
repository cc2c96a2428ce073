"""Reading times and the like: a long table as labelled responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import InvalidValueError, LabelError, ShapeError, choice, listing

__all__ = ["reading_times"]

REPEATS = ("refuse", "mean")


def reading_times(
    table: pd.DataFrame,
    *,
    value: str | Sequence[str] = "rt",
    stimulus: str = "stimulus",
    subject: str = "subject",
    repetition: str | None = None,
    coords: Sequence[str] = (),
    min_ms: float | None = None,
    max_ms: float | None = None,
    sd: float | None = None,
    log: bool = False,
    nuisance: Sequence[str] = (),
    repeats: str = "refuse",
) -> xr.DataArray:
    """Return a long table of reading times as responses, a neuroid a person (and measure).

    Values are, in this order: excluded below ``min_ms`` and above ``max_ms``; logged; excluded where they are
    more than ``sd`` standard deviations from the mean of their person and measure (once, over what is left);
    rid of ``nuisance``. Nothing is done unless it is asked for, and everything that goes is counted.

    Parameters
    ----------
    table : DataFrame
        A row a word that a person read.
    value : str or sequence of str
        Column of the values (milliseconds), or several measures, such as first fixation and gaze duration.
    stimulus, subject : str
        Columns of the word in its text (an id: "the" comes often) and of the person.
    repetition : str, optional
        Column that counts a person's readings of a stimulus.
    coords : sequence of str
        Columns that have one value a stimulus, such as position or length, to go along.
    min_ms, max_ms : float, optional
        What is outside is excluded; the ends stay. They hold for every measure.
    sd : float, optional
        Standard deviations (with n - 1), of logs where ``log``.
    log : bool
        Whether natural logarithms are taken, of milliseconds.
    nuisance : sequence of str
        Numeric columns whose part in each person's values least squares takes out, with a constant: what is
        left has mean 0. All rows are used, those that a model is later tested on too; a model that has the
        nuisance as a band of its own does not need this.
    repeats : {"refuse", "mean"}
        What happens to several values of one person, stimulus and repetition.

    Returns
    -------
    DataArray (stimulus, neuroid[, repetition])
        ``neuroid`` is the person, or ``person/measure`` where there are several; ``subject`` and ``measure``
        along it, with the counts ``n_missing`` (rows without a value), ``n_below``, ``n_above``,
        ``n_beyond_sd`` and ``n_used``. Stimuli and people in the order in which they come in the table. NaN
        where nothing is left; ``attrs["n_undefined"]`` counts these cells.

    Raises
    ------
    LabelError
        If a column or a label is missing, values repeat, or a column of ``coords`` varies within a stimulus.
    InvalidValueError
        If values or nuisance are no numbers, infinite, or not positive where logs are taken.
    ShapeError
        If the table is empty, or a person has no more values than nuisance columns and the constant.

    References
    ----------
    Smith & Levy 2013, Cognition 128:302 (reading times and surprisal).

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "subject": ["p1", "p1", "p1", "p2", "p2"], "stimulus": ["w1", "w2", "w3", "w1", "w2"],
    ...     "rt": [250.0, 310.0, 4000.0, 280.0, 40.0]})
    >>> found = reading_times(table, min_ms=80, max_ms=3000)
    >>> found.values.tolist()
    [[250.0, 280.0], [310.0, nan], [nan, nan]]
    >>> found["n_above"].values.tolist(), found["n_below"].values.tolist()
    ([1, 0], [0, 1])
    """
    measures = [value] if isinstance(value, str) else list(value)
    if repeats not in REPEATS:
        raise choice(repeats, REPEATS, name="repeats")
    _check(table, measures, [stimulus, subject, *([repetition] if repetition else [])], coords, nuisance)
    _check_limits(min_ms, max_ms, sd)
    keys = [stimulus, subject, *([repetition] if repetition else [])]
    dims = ("stimulus", "subject", *(["repetition"] if repetition else []))
    levels = [pd.unique(table[key]) for key in keys]
    codes = [
        pd.Index(level).get_indexer(pd.Index(table[key])) for key, level in zip(keys, levels, strict=True)
    ]
    parts, counts = [], []
    for measure in measures:
        kept, found = _cleaned(table, measure, subject, min_ms, max_ms, sd, log)
        if nuisance:
            kept = _without(kept, table[list(nuisance)].to_numpy(np.float64), table[subject], nuisance)
        parts.append(_cells(kept, codes, [len(level) for level in levels], repeats, measure))
        counts.append(found.loc[list(levels[1])])
    values = np.concatenate(parts, axis=1)
    together = pd.concat(counts)
    limits = {"min_ms": min_ms, "max_ms": max_ms, "sd": sd}
    return xr.DataArray(
        values,
        dims=(dims[0], "neuroid", *dims[2:]),
        coords={
            "stimulus": np.asarray(levels[0].tolist()),
            **_neuroids([str(name) for name in levels[1]], measures),
            **({"repetition": np.asarray(levels[2].tolist())} if repetition else {}),
            **{name: ("neuroid", together[name].to_numpy()) for name in together},
            **{name: ("stimulus", _constant(table, stimulus, name, levels[0])) for name in coords},
        },
        attrs={
            "units": "log millisecond" if log else "millisecond",
            "n_undefined": int(np.isnan(values).sum()),
            **{key: float(limit) for key, limit in limits.items() if limit is not None},
            **({"nuisance": ", ".join(nuisance)} if nuisance else {}),
        },
        name="reading_times",
    )


def _neuroids(people: list[str], measures: list[str]) -> dict[str, Any]:
    """Return the coordinates along ``neuroid``: every person, measure after measure."""
    several = len(measures) > 1
    return {
        "neuroid": [f"{name}/{measure}" if several else name for measure in measures for name in people],
        "subject": ("neuroid", people * len(measures)),
        "measure": ("neuroid", [measure for measure in measures for _ in people]),
    }


def _cleaned(
    table: pd.DataFrame,
    measure: str,
    subject: str,
    min_ms: float | None,
    max_ms: float | None,
    sd: float | None,
    log: bool,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return values with NaN where one is excluded, and the counts a person."""
    values = table[measure].to_numpy(np.float64, copy=True)
    person = table[subject]
    gone = {"n_missing": np.isnan(values)}
    gone["n_below"] = values < (-np.inf if min_ms is None else min_ms)
    gone["n_above"] = values > (np.inf if max_ms is None else max_ms)
    values[gone["n_below"] | gone["n_above"]] = np.nan
    if log:
        if (values <= 0).any():
            raise InvalidValueError(
                f"{measure}: {int((values <= 0).sum())} values are not positive and have no logarithm; "
                "pass min_ms."
            )
        values = np.log(values)
    gone["n_beyond_sd"] = np.zeros(len(values), dtype=bool)
    if sd is not None:
        groups = pd.Series(values).groupby(person.to_numpy())
        away = np.abs(values - groups.transform("mean").to_numpy())
        gone["n_beyond_sd"] = away > sd * groups.transform("std").to_numpy()
        values[gone["n_beyond_sd"]] = np.nan
    gone["n_used"] = ~np.isnan(values)
    counts = pd.DataFrame(gone).groupby(person.to_numpy()).sum()
    return values, counts.astype(int)


def _without(values: np.ndarray, nuisance: np.ndarray, person: pd.Series, names: Sequence[str]) -> np.ndarray:
    """Return what least squares on the nuisance and a constant leaves of each person's values."""
    if np.isnan(nuisance).any():
        bad = [name for name, column in zip(names, nuisance.T, strict=True) if np.isnan(column).any()]
        raise InvalidValueError(f"nuisance must be known in every row; {listing(bad)} are not.")
    rest = np.full(values.shape, np.nan)
    for name, rows in pd.Series(np.arange(len(values))).groupby(person.to_numpy(), sort=False):
        mine = rows.to_numpy()[~np.isnan(values[rows])]
        if len(mine) <= nuisance.shape[1] + 1:
            raise ShapeError(
                f"{name!r} has {len(mine)} values, too few to take {nuisance.shape[1]} nuisance columns "
                "and a constant out of."
            )
        centred = nuisance[mine] - nuisance[mine].mean(axis=0)
        own = values[mine] - values[mine].mean()
        rest[mine] = own - centred @ np.linalg.lstsq(centred, own, rcond=None)[0]
    return rest


def _cells(
    values: np.ndarray, codes: Sequence[np.ndarray], sizes: Sequence[int], repeats: str, measure: str
) -> np.ndarray:
    """Return values in the cells of their labels, NaN where there is none."""
    known = ~np.isnan(values)
    cell = np.ravel_multi_index(tuple(codes), tuple(sizes))
    size = int(np.prod(sizes))
    twice = int((np.bincount(cell, minlength=size) > 1).sum())
    if twice and repeats == "refuse":
        raise LabelError(
            f"{measure}: {twice} cells have several rows of one person and stimulus. Name the column that "
            "tells them apart with repetition=..., or pass repeats='mean'."
        )
    count = np.bincount(cell[known], minlength=size)
    total = np.bincount(cell[known], weights=values[known], minlength=size)
    return np.divide(total, count, out=np.full(size, np.nan), where=count > 0).reshape(sizes)


def _constant(table: pd.DataFrame, stimulus: str, name: str, order: Any) -> np.ndarray:
    groups = table.groupby(stimulus, sort=False)[name]
    varied = groups.nunique(dropna=False)
    varied = varied[varied > 1]
    if len(varied):
        raise LabelError(f"coords: {name!r} varies within the stimuli {listing(varied.index)}.")
    return np.asarray(groups.first().loc[order].tolist())


def _check(
    table: Any, measures: Sequence[str], keys: Sequence[str], coords: Sequence[str], numeric: Sequence[str]
) -> None:
    if not isinstance(table, pd.DataFrame):
        raise ShapeError(f"table must be a DataFrame; got {type(table).__name__}.")
    missing = [name for name in (*measures, *keys, *coords, *numeric) if name not in table]
    if missing or not measures:
        raise LabelError(
            f"table lacks the columns {listing(missing)}; it has {listing(table.columns, limit=20)}. Name "
            "them with value=, stimulus= and subject=."
        )
    if table.empty:
        raise ShapeError("table has no rows.")
    for name in keys:
        if table[name].isna().any():
            raise LabelError(f"table: {int(table[name].isna().sum())} of {len(table)} rows have no {name!r}.")
    for name in (*measures, *numeric):
        if table[name].dtype.kind not in "fiub":
            raise InvalidValueError(f"{name} must be numbers; got dtype {table[name].dtype}.")
        if np.isinf(table[name].to_numpy(np.float64)).any():
            raise InvalidValueError(f"{name}: some values are infinite.")


def _check_limits(min_ms: float | None, max_ms: float | None, sd: float | None) -> None:
    for name, limit in (("min_ms", min_ms), ("max_ms", max_ms), ("sd", sd)):
        if limit is not None and not (np.isfinite(limit) and limit > 0):
            raise InvalidValueError(f"{name} must be positive and finite; got {limit!r}.")
    if min_ms is not None and max_ms is not None and min_ms >= max_ms:
        raise InvalidValueError(f"min_ms must be below max_ms; got {min_ms:g} and {max_ms:g}.")
