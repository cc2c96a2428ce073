"""Cleaning of fMRI series run by run: drifts, confounds and frequencies out in one regression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from ...arrays import as_float
from ...errors import InvalidValueError, LabelError, ShapeError, choice, listing
from ...schema import align
from .events import Run, split_runs

__all__ = ["DETRENDS", "Confounds", "as_confounds", "clean", "column_blocks", "is_flat", "read_block"]

DETRENDS = ("linear", "cosine", None)
HIGH_PASS = 0.01
# What rounding leaves of a column that is explained exactly, as a share of its largest value.
ROUNDING = 1e-12
# Numbers of a float64 block of neuroids: 32 MB.
BLOCK = 2**22


class Confounds(NamedTuple):
    """Confounds (n_times, n_confounds) in the order of the series, and how many values were filled in."""

    names: list[str]
    values: np.ndarray
    n_filled: int

    def of_run(self, run: Run) -> tuple[list[str], np.ndarray]:
        """Return the confounds of a run, z-scored; those that are constant in it, which say nothing, are out.

        A coefficient of anything else is the same whatever the scale of a confound; the numbers are not.
        """
        values = self.values[run.rows]
        vary = ~is_flat(values)
        values = values[:, vary] - values[:, vary].mean(axis=0)
        scaled = values / np.sqrt((values**2).mean(axis=0))
        return [name for name, keep in zip(self.names, vary, strict=True) if keep], scaled


def clean(
    series: xr.DataArray,
    *,
    detrend: str | None = "linear",
    zscore: bool = True,
    confounds: Any = None,
    high_pass: float | None = None,
    low_pass: float | None = None,
    tr: float | None = None,
    fill_first: bool = False,
) -> xr.DataArray:
    r"""Return a series without drifts, confounds and the frequencies that are not wanted, run by run.

    Everything is taken out by one least-squares projection a run, :math:`y - D D^+ y`, where D holds the
    constant, the drifts, the confounds and the cosines of the stop bands. Frequencies are filtered by this
    regression and in no other way: a filter that is applied before or after a regression brings back what the
    other took out, and hides the degrees of freedom that it costs.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With runs and times as in ``check_events``. Read in blocks of neuroids and not edited.
    detrend : {"linear", "cosine", None}
        A straight line; or cosines up to ``high_pass`` (.01 Hz where that is None); or nothing, in which case
        the mean of the run stays.
    zscore : bool
        Whether each run gets mean 0 and standard deviation 1 (ddof 0) at the end.
    confounds : DataFrame, DataArray (time, confound) or array (n_times, n_confounds), optional
        One row a volume, in the order of the series; a DataArray with times is matched by them.
    high_pass, low_pass : float, optional
        In Hz. Frequencies below ``high_pass`` and above ``low_pass`` are taken out: the discrete cosines of
        frequency k / (2 n TR), up to the one and from the other.
    tr : float, optional
        Seconds; ``series.attrs["tr"]`` where None.
    fill_first : bool
        Whether a NaN in the first volume of a run, which confounds that are differences have in fMRIPrep's
        tables, takes the value of the second volume (as nilearn's ``load_confounds`` does).

    Returns
    -------
    DataArray (time, neuroid)
        float32 where the series is float32, else float64. A neuroid that is constant in a run, or is
        explained by D alone, has no scale: NaN in that run once z-scored. ``attrs["n_constant"]`` counts the
        neuroids with such a run, ``attrs["dof"]`` lists the degrees of freedom that each of ``attrs["runs"]``
        has left, ``attrs["n_filled"]`` counts confounds that were filled in.

    Raises
    ------
    ShapeError
        If confounds are of another length, or a run has no degree of freedom left.
    InvalidValueError
        If a value is not finite, a choice is unknown, a frequency is out of range, or the TR is missing.

    References
    ----------
    Lindquist et al. 2019, Hum Brain Mapp 40:2358 (steps that follow each other bring artefacts back).
    Hallquist et al. 2013, NeuroImage 82:208.

    Examples
    --------
    >>> series = xr.DataArray(
    ...     [[1.0], [2.0], [4.0], [5.0]], dims=("time", "neuroid"), coords={"time": [0.0, 2.0, 4.0, 6.0]},
    ...     attrs={"tr": 2.0})
    >>> clean(series, zscore=False).values[:, 0].round(12).tolist()
    [0.1, -0.3, 0.3, -0.1]
    """
    if detrend not in DETRENDS:
        raise choice(detrend, DETRENDS, name="detrend")
    runs, step = split_runs(series, tr)
    high_pass = HIGH_PASS if detrend == "cosine" and high_pass is None else high_pass
    _check_band(high_pass, low_pass, step)
    regressors = as_confounds(confounds, series, runs, fill_first=fill_first)
    keep_mean = detrend is None and high_pass is None
    out = np.empty(series.shape, dtype=np.float32 if series.dtype == np.float32 else np.float64)
    flat, dof = np.zeros(series.sizes["neuroid"], dtype=bool), []
    for run in runs:
        basis = _basis(run, step, detrend, high_pass, low_pass, regressors)
        dof.append(len(run.rows) - basis.shape[1])
        for columns in column_blocks(len(run.rows), series.sizes["neuroid"]):
            block = read_block(series, run, columns)
            found, still = _cleaned(block, basis, zscore=zscore, keep_mean=keep_mean)
            out[run.rows, columns] = found
            flat[columns] |= still
    attrs = {
        "n_constant": int(flat.sum()),
        "runs": [run.label for run in runs],
        "dof": dof,
        "n_filled": regressors.n_filled,
        "detrend": str(detrend).lower(),
        "zscore": zscore,
        **{key: f for key, f in (("high_pass", high_pass), ("low_pass", low_pass)) if f is not None},
    }
    return series.copy(data=out).assign_attrs(attrs)


def as_confounds(confounds: Any, series: xr.DataArray, runs: list[Run], *, fill_first: bool) -> Confounds:
    """Return confounds in the order of the series' rows, with a name each.

    Raises
    ------
    ShapeError
        If there is not one row a volume.
    LabelError
        If names repeat.
    InvalidValueError
        If values are no numbers or not finite; with ``fill_first`` first rows of runs may be NaN.
    """
    n_times = series.sizes["time"]
    if confounds is None:
        return Confounds([], np.zeros((n_times, 0)), 0)
    names, values = _named(confounds, series)
    if values.ndim != 2 or len(values) != n_times:
        raise ShapeError(
            f"confounds must have one row a volume, {n_times} in all, and one column a confound; got shape "
            f"{values.shape}."
        )
    if len(set(names)) != len(names):
        raise LabelError(f"confounds: names are repeated; got {listing(names, limit=20)}.")
    values = as_float(values, name="confounds", finite=False)
    filled = values.copy()
    if fill_first:
        for run in runs:
            first = run.rows[0]
            empty = np.isnan(filled[first])
            filled[first, empty] = filled[run.rows[min(1, len(run.rows) - 1)], empty]
    bad = ~np.isfinite(filled)
    if bad.any():
        at_start = np.isnan(filled[[run.rows[0] for run in runs]]).sum() == bad.sum()
        hint = (
            " All are in the first volume of a run: fill_first=True takes the second's." if at_start else ""
        )
        columns = [name for name, one in zip(names, bad.any(axis=0), strict=True) if one]
        raise InvalidValueError(
            f"confounds must be finite; {int(bad.sum())} values are not, in {listing(columns)}.{hint}"
        )
    return Confounds(names, filled, int(np.isnan(values).sum()))


def column_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of neuroids, of about 32 MB in float64."""
    width = max(1, BLOCK // max(1, n_rows))
    for start in range(0, n_columns, width):
        yield slice(start, min(start + width, n_columns))


def read_block(series: xr.DataArray, run: Run, columns: slice) -> np.ndarray:
    """Return a run of a block of neuroids in float64, refused with names where values are not finite."""
    part = series.isel(time=run.rows, neuroid=columns)
    block = part.values.astype(np.float64)
    bad = ~np.isfinite(block)
    if bad.any():
        which = np.flatnonzero(bad.any(axis=0))
        names = part["neuroid"].values[which] if "neuroid" in part.coords else which + columns.start
        raise InvalidValueError(
            f"series must be finite; {int(bad.sum())} values of run {run.label!r} are not, in {len(which)} "
            f"neuroids: {listing(names)}. Leave these neuroids out."
        )
    return block


def is_flat(x: np.ndarray) -> np.ndarray:
    """Return which columns (float64) are constant, up to the rounding of their largest value."""
    return np.abs(x - x.mean(axis=0)).max(axis=0) <= ROUNDING * np.abs(x).max(axis=0)


def _cleaned(
    block: np.ndarray, basis: np.ndarray, *, zscore: bool, keep_mean: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return a block without its projection on an orthonormal basis, and which columns nothing is left of."""
    mean = block.mean(axis=0)
    found = block - mean
    found -= basis @ (basis.T @ found)
    still = np.abs(found).max(axis=0) <= ROUNDING * np.abs(block).max(axis=0)
    found[:, still] = 0.0
    if zscore:
        found -= found.mean(axis=0)
        sd = np.sqrt((found**2).mean(axis=0))
        return np.where(still, np.nan, found / np.where(still, 1.0, sd)), still
    return found + mean if keep_mean else found, still


def _basis(
    run: Run,
    tr: float,
    detrend: str | None,
    high_pass: float | None,
    low_pass: float | None,
    regressors: Confounds,
) -> np.ndarray:
    """Return an orthonormal basis (n_times, rank) of all that is taken out, the constant among it."""
    n = len(run.rows)
    columns = [np.ones((n, 1)), regressors.of_run(run)[1]]
    if detrend == "linear":
        columns.append(np.linspace(-1, 1, n)[:, None])
    # A period that fits the run exactly is decided by its frequency, not by rounding.
    frequency, fits = np.arange(n) / (2 * n * tr), 1 + ROUNDING
    out = np.zeros(n, dtype=bool)
    if high_pass is not None:
        out |= frequency <= high_pass * fits
    if low_pass is not None:
        out |= frequency > low_pass * fits
    kept = np.flatnonzero(out[1:]) + 1
    columns.append(np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * kept / n))
    every = np.concatenate(columns, axis=1)
    u, s, _ = np.linalg.svd(every / np.sqrt((every**2).mean(axis=0)), full_matrices=False)
    basis = u[:, s > ROUNDING * s[0]]
    if basis.shape[1] >= n:
        raise ShapeError(
            f"run {run.label!r} has {n} volumes and {basis.shape[1]} independent regressors ({len(kept)} of "
            "them cosines): nothing would be left. Take fewer confounds or a wider band."
        )
    return basis


def _check_band(high_pass: float | None, low_pass: float | None, tr: float) -> None:
    nyquist = 0.5 / tr
    for name, value in (("high_pass", high_pass), ("low_pass", low_pass)):
        if value is not None and not 0 < value < nyquist:
            raise InvalidValueError(
                f"{name} must lie between 0 and {nyquist:g} Hz, half the rate of the volumes; got {value!r}."
            )
    if high_pass is not None and low_pass is not None and high_pass >= low_pass:
        raise InvalidValueError(
            f"high_pass must be below low_pass; got {high_pass:g} and {low_pass:g} Hz, which keep nothing."
        )


def _named(confounds: Any, series: xr.DataArray) -> tuple[list[str], np.ndarray]:
    if isinstance(confounds, pd.DataFrame):
        return [str(name) for name in confounds.columns], confounds.to_numpy()
    if not isinstance(confounds, xr.DataArray):
        values = np.asarray(confounds)
        return [f"confound_{i}" for i in range(values.shape[-1] if values.ndim == 2 else 0)], values
    if confounds.ndim != 2 or confounds.dims[0] != "time":
        raise ShapeError(f"confounds must have the dims (time, confound); got {confounds.dims}.")
    times = "time" in confounds.coords and not np.array_equal(confounds["time"].values, series["time"].values)
    if times:
        confounds = align(series["time"], confounds, on="time", names=("series", "confounds"))[1]
    column = confounds.dims[1]
    names = confounds[column].values.tolist() if column in confounds.coords else range(confounds.shape[1])
    return [str(name) for name in names], confounds.values
