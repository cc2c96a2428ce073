"""Windows of a series around events, on one time axis: no model of the response in between."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ...errors import InvalidValueError, ShapeError, choice, listing
from .events import ROUNDING, Run, check_events, split_runs
from .glm import neuroid_coords

__all__ = ["OUTSIDE", "locked_windows"]

OUTSIDE = ("refuse", "drop")


def locked_windows(
    series: xr.DataArray,
    events: pd.DataFrame,
    *,
    start: float,
    stop: float,
    by: str = "stimulus",
    baseline: tuple[float, float] | None = None,
    outside: str = "refuse",
    tr: float | None = None,
    overhang: bool = False,
) -> xr.DataArray:
    """Return the volumes around each event, start <= time < stop, in seconds from its volume.

    The volume of an event is the one that begins nearest to its onset (the later one of two that are equally
    near). No value is interpolated; how far off an event is, at most TR / 2, is its ``jitter``. Where onsets
    lie anywhere between volumes, a model (``single_trial_betas``) uses their times in full.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With runs, times and TR as in ``check_events``. Not cleaned here: see ``clean``.
    events : DataFrame
        As in ``check_events``.
    start, stop : float
        Seconds from the event; multiples of the TR at or after ``start`` and before ``stop`` are returned.
    by : str
        The column that becomes the label ``stimulus``.
    baseline : (float, float), optional
        From where (included) to where (not included), in seconds within the window, the mean of each event
        and neuroid is taken that is subtracted.
    outside : {"refuse", "drop"}
        What happens to an event whose window leaves its run.
    tr, overhang
        As in ``check_events``.

    Returns
    -------
    DataArray (stimulus, neuroid, time) or (presentation, neuroid, time)
        The dim is ``stimulus`` where no label repeats, else ``presentation`` ("run-1/004": the fourth event
        of run 1) with the coordinate ``stimulus``. With ``run``, ``onset`` and ``jitter`` (seconds by which
        the onset lies after its volume) of each event. float32 where the series is, else float64.
        ``attrs["n_dropped"]`` counts the events that were left out.

    Raises
    ------
    InvalidValueError
        If the window or the baseline holds no volume, a window leaves its run, or a value in a window is
        not finite. Also as ``check_events``.
    LabelError
        As ``check_events``.
    ShapeError
        If no event is left.

    Examples
    --------
    >>> series = xr.DataArray(
    ...     np.arange(6.0)[:, None], dims=("time", "neuroid"), coords={"time": 2.0 * np.arange(6)},
    ...     attrs={"tr": 2.0})
    >>> events = pd.DataFrame({"onset": [2.0, 6.5], "duration": 1.0, "stimulus": ["a", "b"]})
    >>> found = locked_windows(series, events, start=-2, stop=4, baseline=(-2, 0))
    >>> found.sel(stimulus="b").values.tolist(), found["jitter"].values.tolist()
    ([[0.0, 1.0, 2.0]], [0.0, 0.5])
    """
    if outside not in OUTSIDE:
        raise choice(outside, OUTSIDE, name="outside")
    table = check_events(events, series, by=by, tr=tr, overhang=overhang)
    runs, step = split_runs(series, tr)
    steps = _steps(start, stop, step, "the window")
    within = None if baseline is None else _baseline(baseline, steps, step)
    trial = table.groupby("run", sort=False).cumcount().to_numpy() + 1
    rows, jitter, whole = _rows(table, runs, steps, step)
    if not whole.all() and outside == "refuse":
        bad = np.flatnonzero(~whole)
        named = [f"run-{table['run'].iloc[i]}/{trial[i]:03d} at {table['onset'].iloc[i]:g} s" for i in bad]
        raise InvalidValueError(
            f"the windows of {len(bad)} of {len(table)} events leave their run: {listing(named)}. Pass "
            'outside="drop" to leave these events out.'
        )
    if not whole.any():
        raise ShapeError(f"no event is left: the windows of all {len(table)} leave their runs.")
    table, rows, jitter, trial = table[whole], rows[whole], jitter[whole], trial[whole]
    values = _gathered(series, rows, within)
    names = np.array(table[by].tolist())
    presentation = np.array([f"run-{run}/{i:03d}" for run, i in zip(table["run"], trial, strict=True)])
    dim = "presentation" if len(set(names.tolist())) < len(names) else "stimulus"
    coords = {
        "stimulus": (dim, names),
        **({"presentation": (dim, presentation)} if dim == "presentation" else {}),
        "run": (dim, np.array(table["run"].tolist())),
        "onset": (dim, table["onset"].to_numpy()),
        "jitter": (dim, jitter),
        "time": steps * step,
        **neuroid_coords(series),
    }
    attrs = {**series.attrs, "n_dropped": int((~whole).sum()), "by": by}
    if baseline is not None:
        attrs["baseline"] = [float(edge) for edge in baseline]
    return xr.DataArray(values, dims=(dim, "neuroid", "time"), coords=coords, attrs=attrs, name=series.name)


def _steps(start: float, stop: float, tr: float, name: str) -> np.ndarray:
    """Return the volumes from ``start`` to before ``stop``, counted from the event's own."""
    if not (np.isfinite(start) and np.isfinite(stop)):
        raise InvalidValueError(f"{name} must be finite; got {start!r} to {stop!r} s.")
    found = np.arange(np.ceil(start / tr - ROUNDING), np.ceil(stop / tr - ROUNDING)).astype(np.intp)
    if not found.size:
        raise InvalidValueError(
            f"{name} from {start:g} to {stop:g} s holds no multiple of the TR, {tr:g} s; take a longer one."
        )
    return found


def _baseline(baseline: tuple[float, float], steps: np.ndarray, tr: float) -> np.ndarray:
    if len(tuple(baseline)) != 2:
        raise InvalidValueError(f"baseline must be (from, to) in seconds; got {baseline!r}.")
    found = np.isin(steps, _steps(*baseline, tr, "the baseline"))
    if not found.any() or found.sum() < len(_steps(*baseline, tr, "the baseline")):
        raise InvalidValueError(
            f"the baseline from {baseline[0]:g} to {baseline[1]:g} s must lie within the window, which has "
            f"volumes from {steps[0] * tr:g} to {steps[-1] * tr:g} s."
        )
    return found


def _rows(
    table: pd.DataFrame, runs: list[Run], steps: np.ndarray, tr: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows (n_events, n_steps) of each window, its jitter, and whether it is whole."""
    rows = np.zeros((len(table), len(steps)), dtype=np.intp)
    jitter, whole = np.zeros(len(table)), np.zeros(len(table), dtype=bool)
    for run in runs:
        mine = np.flatnonzero((table["run"] == run.label).to_numpy())
        onset = table["onset"].to_numpy()[mine]
        volume = np.floor((onset - run.times[0]) / tr + 0.5 + ROUNDING).astype(np.intp)
        jitter[mine] = onset - (run.times[0] + volume * tr)
        wanted = volume[:, None] + steps
        inside = (wanted >= 0) & (wanted < len(run.rows))
        whole[mine] = inside.all(axis=1)
        rows[mine] = run.rows[np.where(inside, wanted, 0)]
    return rows, jitter, whole


def _gathered(series: xr.DataArray, rows: np.ndarray, within: np.ndarray | None) -> np.ndarray:
    """Return the windows (n_events, n_neuroids, n_steps), their baselines subtracted."""
    kind = np.float32 if series.dtype == np.float32 else np.float64
    out = np.empty((len(rows), rows.shape[1], series.sizes["neuroid"]), dtype=kind)
    for i, own in enumerate(rows):
        window = series.isel(time=own).values.astype(np.float64)
        if not np.isfinite(window).all():
            bad = np.flatnonzero(~np.isfinite(window).all(axis=0))
            names = series["neuroid"].values[bad] if "neuroid" in series.coords else bad
            raise InvalidValueError(
                f"series must be finite; in the window of event {i + 1} of {len(rows)} it is not, in "
                f"{len(bad)} neuroids: {listing(names)}. Leave these neuroids out."
            )
        out[i] = window if within is None else window - window[within].mean(axis=0)
    return np.swapaxes(out, 1, 2)
