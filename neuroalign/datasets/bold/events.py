"""Events of an fMRI run: read from BIDS tables and checked against the volumes that they lie on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from ... import io
from ...arrays import as_float
from ...errors import InvalidValueError, LabelError, ShapeError, listing
from ...schema import check

__all__ = ["Run", "check_events", "check_labels", "read_events", "split_runs"]

# Steps between volumes may differ from the TR by this share of it.
STEP_TOLERANCE = 1e-3
# Seconds that rounding may put an event beyond the end of its run.
ROUNDING = 1e-6
NAMES = ("trial_type", "stimulus")


class Run(NamedTuple):
    """A run of a series: its label, its rows in order of time, and their seconds within the run."""

    label: Any
    rows: np.ndarray
    times: np.ndarray


def read_events(path: str | Path) -> pd.DataFrame:
    r"""Return the events of a BIDS file ``*_events.tsv``, onset and duration as float64 seconds.

    ``n/a`` is read as missing in every column. ``trial_type``, ``stimulus``, ``stim_file`` and ``run`` stay
    text, so that a trial type "01" does not become 1.

    Parameters
    ----------
    path : path
        Of a table with the columns ``onset`` and ``duration``, as BIDS has them.

    Raises
    ------
    FileError
        If the file is missing or no table.
    LabelError
        If a column is missing.
    InvalidValueError
        If an onset or a duration is neither a number nor ``n/a``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sub-01_task-x_events.tsv"
    ...     written = path.write_text("onset\tduration\ttrial_type\n2\tn/a\t01\n")
    ...     table = read_events(path)
    >>> table["onset"].tolist(), table["duration"].tolist(), table["trial_type"].tolist()
    ([2.0], [nan], ['01'])
    """
    text = (*NAMES, "stim_file", "run")
    table = io.read_table(path, text=text)
    _need(table, ["onset", "duration"], str(path))
    for column in ("onset", "duration"):
        if not pd.api.types.is_numeric_dtype(table[column]) and not table[column].isna().all():
            bad = table[column][pd.to_numeric(table[column], errors="coerce").isna() & table[column].notna()]
            raise InvalidValueError(
                f"{path}: {column} must be seconds or n/a; {len(bad)} of {len(table)} are not: "
                f"{listing(bad)}."
            )
        table[column] = table[column].astype(np.float64)
    for column in table.columns.intersection(list(text)):
        table[column] = table[column].where(table[column] != "n/a")
    return table


def check_events(
    events: pd.DataFrame,
    series: xr.DataArray,
    *,
    by: str | None = None,
    tr: float | None = None,
    overhang: bool = False,
) -> pd.DataFrame:
    """Return the events sorted by run and onset, after checking that they belong to the series.

    Parameters
    ----------
    events : DataFrame
        Columns ``onset`` (seconds from the start of the run, on the clock of the series' ``time_in_run``) and
        ``duration`` (seconds), ``trial_type`` or ``stimulus``, and ``run`` where the series has several.
        Other columns are kept. Not edited.
    series : DataArray (time, neuroid)
        Runs by a coordinate ``run`` along time (without one, all is one run); seconds within the run by
        ``time_in_run``, else from ``time`` less the first time of the run.
    by : str, optional
        The column that says what an event is; ``trial_type`` where there is one, else ``stimulus``.
    tr : float, optional
        Seconds between volumes; ``series.attrs["tr"]`` where None.
    overhang : bool
        Whether an event may last beyond the end of its run.

    Returns
    -------
    DataFrame
        Columns ``onset``, ``duration`` (float64), ``by``, ``run``, then the others. Runs in the order of the
        series. ``attrs["n_moved"]`` counts the rows that were not where they are now: 0 for a sorted table.

    Raises
    ------
    LabelError
        If a column is missing, a label is missing or neither text nor an integer, or runs of the events and
        the series differ.
    InvalidValueError
        If times are text, NaN or infinite, a duration is negative, an onset lies outside its run, the run has
        fewer volumes than its events need, an event is there twice, or the TR is missing or disagrees with
        the times of the volumes.

    Examples
    --------
    >>> series = xr.DataArray(
    ...     np.zeros((4, 1)), dims=("time", "neuroid"), coords={"time": [0.0, 2.0, 4.0, 6.0]},
    ...     attrs={"tr": 2.0})
    >>> events = pd.DataFrame({"onset": [4, 1], "duration": [1, 1], "trial_type": ["b", "a"]})
    >>> found = check_events(events, series)
    >>> found.values.tolist(), found.attrs["n_moved"]
    ([[1.0, 1.0, 'a', 1], [4.0, 1.0, 'b', 1]], 2)
    """
    runs, step = split_runs(series, tr)
    if not isinstance(events, pd.DataFrame):
        raise ShapeError(f"events must be a DataFrame; got {type(events).__name__}.")
    by = by or next((name for name in NAMES if name in events), NAMES[0])
    several = len(runs) > 1
    _need(events, ["onset", "duration", by, *(["run"] if several else [])], "events")
    times = {name: _seconds(events, name) for name in ("onset", "duration")}
    if (times["duration"] < 0).any():
        at = int(np.argmax(times["duration"] < 0))
        raise InvalidValueError(
            f"events.duration must not be negative; got {times['duration'][at]:g} s in row {at}."
        )
    check_labels(events[by], name=f"events.{by}")
    place = _places(events, series, runs)
    _refuse_outside(times, place, runs, step, overhang=overhang)
    order = np.lexsort((times["onset"], place))
    table = events.assign(**times, run=[runs[i].label for i in place])
    first = ["onset", "duration", by, "run"]
    table = table[[*first, *(c for c in table.columns if c not in first)]].iloc[order].reset_index(drop=True)
    _refuse_repeated(table, by)
    table.attrs = {
        **events.attrs,
        "by": by,
        "tr": step,
        "n_moved": int((order != np.arange(len(order))).sum()),
    }
    return table


def split_runs(series: xr.DataArray, tr: float | None = None) -> tuple[list[Run], float]:
    """Return the runs of a series as they first come, and the TR, checked to be the step of the volumes.

    Raises
    ------
    ShapeError
        If the dims are other ones, there are no volumes, or values are no real numbers.
    LabelError
        If ``run`` or ``time_in_run`` is not along time.
    InvalidValueError
        If the TR is missing, or the volumes of a run are not one TR apart.
    """
    check(series, "series")
    if series.dtype.kind not in "fiub":
        raise InvalidValueError(f"series must be real numbers; got dtype {series.dtype}.")
    if not series.size:
        raise ShapeError(f"series has no values; its shape is {series.shape}.")
    step = _repetition_time(series, tr)
    for name in ("run", "time_in_run"):
        if name in series.coords and series[name].dims not in ((), ("time",)):
            raise LabelError(
                f"series: {name} must be a coordinate of time; its dims are {series[name].dims}."
            )
    labels = np.broadcast_to(series["run"].values if "run" in series.coords else 1, series.sizes["time"])
    within = "time_in_run" in series.coords and series["time_in_run"].ndim == 1
    times = as_float(series["time_in_run" if within else "time"].values, name="times of the series", ndim=1)
    runs = []
    for label in dict.fromkeys(labels.tolist()):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(times[rows], kind="stable")]
        own = times[rows] if within else times[rows] - times[rows[0]]
        gaps = np.diff(own)
        if (np.abs(gaps - step) > STEP_TOLERANCE * step).any():
            worst = gaps[np.argmax(np.abs(gaps - step))]
            raise InvalidValueError(
                f"volumes of run {label!r} must be one TR of {step:g} s apart; two are {worst:g} s apart. "
                "The TR is wrong, or volumes are missing or of several runs: name these with a coordinate "
                "'run'."
            )
        runs.append(Run(label, rows, own))
    return runs, step


def check_labels(found: pd.Series, *, name: str) -> None:
    """Refuse labels of events that are missing, or neither text nor integers."""
    values = found.astype(object).tolist()
    missing = pd.isna(np.array(values, dtype=object)) if values else np.zeros(0, dtype=bool)
    if missing.any():
        raise LabelError(
            f"{name}: {int(missing.sum())} of {len(values)} labels are missing, the first in row "
            f"{int(np.argmax(missing))}. Drop these events, or name them."
        )
    kind = pd.api.types.infer_dtype(values, skipna=False)
    if values and kind not in ("string", "integer"):
        raise LabelError(f"{name} must be text or integers, of one kind; got {kind}: {listing(values)}.")


def _repetition_time(series: xr.DataArray, tr: float | None) -> float:
    own = series.attrs.get("tr")
    found = own if tr is None else tr
    if found is None:
        raise InvalidValueError('the TR is missing: pass tr=... in seconds, or set series.attrs["tr"].')
    for value in (own, tr):
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if value is not None and not (number and np.isfinite(value) and value > 0):
            raise InvalidValueError(f"the TR must be a positive number of seconds; got {value!r}.")
    if own is not None and abs(own - found) > STEP_TOLERANCE * own:
        raise InvalidValueError(f'tr={found:g} s disagrees with series.attrs["tr"], {own:g} s.')
    return float(found)


def _need(table: pd.DataFrame, columns: list[str], name: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise LabelError(f"{name} lack the columns {listing(missing)}; they have {listing(table.columns)}.")


def _seconds(events: pd.DataFrame, column: str) -> np.ndarray:
    found = events[column]
    if not pd.api.types.is_numeric_dtype(found) or pd.api.types.is_bool_dtype(found):
        raise InvalidValueError(
            f"events.{column} must be numbers (seconds); got {found.dtype} such as {listing(found[:2])}. "
            "read_events reads them from a BIDS table."
        )
    return as_float(found.to_numpy(), name=f"events.{column}", ndim=1)


def _places(events: pd.DataFrame, series: xr.DataArray, runs: list[Run]) -> np.ndarray:
    """Return the position of each event's run in ``runs``."""
    if "run" not in events:
        place = np.zeros(len(events), dtype=np.intp)
    elif "run" not in series.coords:
        raise LabelError(
            f"events name the runs {listing(events['run'].unique())}, but the series has no coordinate "
            "'run'. Name its run with series.assign_coords(run=...)."
        )
    else:
        position = {run.label: i for i, run in enumerate(runs)}
        asked = events["run"].tolist()
        unknown = list(dict.fromkeys(label for label in asked if label not in position))
        if unknown:
            raise LabelError(
                f"events: the runs {listing(unknown)} are not in the series, which has {listing(position)}. "
                "Drop these events, or give the runs the same labels (1 is not '1')."
            )
        place = np.array([position[label] for label in asked], dtype=np.intp)
    without = [run.label for i, run in enumerate(runs) if not (place == i).any()]
    if without:
        raise LabelError(
            f"events: {len(without)} of {len(runs)} runs of the series have no events: {listing(without)}. "
            "Leave these runs out of the series."
        )
    return place


def _refuse_outside(
    times: dict[str, np.ndarray], place: np.ndarray, runs: list[Run], tr: float, *, overhang: bool
) -> None:
    # A run whose first volumes were cut off still began at 0.
    start = np.array([min(0.0, run.times[0]) for run in runs])[place]
    stop = np.array([run.times[-1] + tr for run in runs])[place]
    onset, end = times["onset"], times["onset"] + times["duration"]
    outside = np.flatnonzero((onset < start - ROUNDING) | (onset >= stop - ROUNDING))
    if len(outside):
        shown = "; ".join(
            f"run {runs[place[i]].label!r}, onset {onset[i]:g} s (the run is from {start[i]:g} to "
            f"{stop[i]:g} s)"
            for i in outside[:5]
        )
        more = f" and {len(outside) - 5} more" if len(outside) > 5 else ""
        raise InvalidValueError(
            f"events: {len(outside)} of {len(onset)} onsets lie outside their run: {shown}{more}. Onsets "
            "count in seconds from the start of the run."
        )
    late = np.flatnonzero(end > stop + ROUNDING)
    if len(late) and not overhang:
        i = late[np.argmax((end - stop)[late])]
        run = runs[place[i]]
        needed = len(run.rows) + int(np.ceil((end[i] - stop[i]) / tr - ROUNDING))
        raise InvalidValueError(
            f"run {run.label!r} has {len(run.rows)} volumes of {tr:g} s, until {stop[i]:g} s, and its events "
            f"need {needed}: the one at {onset[i]:g} s lasts until {end[i]:g} s. Pass "
            "overhang=True if scanning stopped before it was over."
        )


def _refuse_repeated(table: pd.DataFrame, by: str) -> None:
    again = table.duplicated(["run", "onset", "duration", by])
    if again.any():
        run, onset, label = (table.loc[again, name].tolist()[0] for name in ("run", "onset", by))
        raise InvalidValueError(
            f"events: {int(again.sum())} of {len(table)} are there twice, the first in run {run!r} at "
            f"{onset:g} s: {label!r}. Drop the copies."
        )
