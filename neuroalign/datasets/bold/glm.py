"""First-level GLM: one coefficient a condition and run, with the residuals that noise normalisation needs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ...errors import InvalidValueError, choice, listing
from .cleaning import ROUNDING, Confounds, as_confounds, column_blocks, is_flat, read_block
from .events import Run, check_events, split_runs
from .glm_design import Design, Model, checked_model, refuse_collinear, run_design

__all__ = ["NOISE_MODELS", "condition_betas", "neuroid_coords", "series_attrs"]

NOISE_MODELS = ("ar1", "ols")
# Coordinates of the result that a series may not bring along its neuroids.
RESERVED = (
    *("presentation", "stimulus", "run", "trial", "onset", "duration", "jitter"),
    *("time", "time_run", "time_in_run", "regressor", "kind", "fit", "defined"),
)


class _Fit(NamedTuple):
    """Of a block: beta and variance (n_conditions, v), rho (v,), residuals (n_times, v), flags (v,)."""

    beta: np.ndarray
    variance: np.ndarray
    rho: np.ndarray
    residuals: np.ndarray
    flat: np.ndarray
    exact: np.ndarray


def condition_betas(
    series: xr.DataArray,
    events: pd.DataFrame,
    *,
    by: str = "trial_type",
    hrf: str | None = "spm",
    drift: str | None = "cosine",
    high_pass: float = 0.01,
    drift_order: int = 1,
    noise_model: str = "ar1",
    confounds: Any = None,
    fill_first: bool = False,
    slice_time_ref: float = 0.5,
    tr: float | None = None,
    overhang: bool = False,
    keep_residuals: bool = True,
    progress: bool = True,
) -> xr.Dataset:
    r"""Return the coefficient of every condition in every run, and what the model leaves.

    A model a run, by nilearn: :math:`y = X b + e` with the events of each condition convolved with the
    response, drifts, a constant and confounds in X. Under ``"ar1"`` e has the autocorrelation
    :math:`\rho`, which is estimated from each neuroid's residuals and cut to hundredths, and data and design
    are whitened by it. No run knows of another, and no neuroid of another. Residuals give an estimate of
    :math:`\rho` that is low by about (1 + 2 rho) p / n: t values come out a little too large in short runs.

    Parameters
    ----------
    series : DataArray (time, neuroid)
        With runs, times and TR as in ``check_events``. Read in blocks of neuroids.
    events : DataFrame
        As in ``check_events``; columns other than onset, duration, run and ``by`` are not used. A regressor
        of unit height belongs to an event that lasts; one without duration lasts TR / 50, nilearn's shortest
        step, so that coefficients are on another scale: the two may not be mixed in a condition.
    by : str
        The column that names the condition, such as ``"trial_type"``.
    hrf : str or None
        One of ``HRFS``, as nilearn has them; None takes the boxes as they are. The coefficients of
        derivatives are not returned.
    drift : {"cosine", "polynomial", None}
        Cosines up to ``high_pass`` Hz, or polynomials up to ``drift_order``; a constant is there always.
    high_pass, drift_order : float, int
        Of ``drift``.
    noise_model : {"ar1", "ols"}
        Higher orders are not offered: nilearn clusters their coefficients over neuroids.
    confounds, fill_first
        As in ``clean``. Confounds are z-scored within a run, and left out of a run in which they are
        constant; this changes no coefficient of a condition.
    slice_time_ref : float
        When a volume is taken, as a share of its TR: 0 at its start (nilearn's default), .5 in its middle (as
        fMRIPrep writes).
    tr, overhang
        As in ``check_events``.
    keep_residuals : bool
        Whether ``residuals``, which are as large as the series, are returned.
    progress : bool
        Whether to show a bar over blocks of neuroids on standard error.

    Returns
    -------
    Dataset
        - ``betas``, ``variance``, ``t`` (presentation, neuroid), float64: coefficients in units of the
          series, their estimated variances and their ratio to its root, with ``stimulus`` (the condition) and
          ``run`` along presentation. A condition that does not occur in a run has no presentation there;
          ``attrs["n_absent"]`` counts these. This is the layout that ``rsa.rdm(..., "crossnobis")`` takes;
        - ``residuals`` (time, neuroid), float32 where the series is, with ``time_run`` along time (``run`` is
          taken): under ``"ar1"`` the whitened ones, :math:`e_t - \rho e_{t-1}`, which are independent over
          time as estimates of a covariance want them;
        - ``design`` (time, regressor): "condition/face", "drift/1", "confound/x", "constant", before
          whitening; NaN where a run has no such regressor;
        - ``ar1`` (fit, neuroid): :math:`\rho` of each run (``fit``); only under ``"ar1"``;
        - ``defined`` (neuroid): whether a neuroid has coefficients and variances in every run. A constant one
          has none (all NaN; ``attrs["n_constant"]`` counts neuroids constant in some run); one that X fits
          exactly has no variance, t and rho (``attrs["n_exact"]``).

        ``attrs["dof"]`` lists the degrees of freedom of each of ``attrs["runs"]``, ``n_filled`` counts
        confounds filled in; with the parameters and the series' own attributes.

    Raises
    ------
    ShapeError
        If a run has no more volumes than regressors, or confounds are of another length.
    InvalidValueError
        If a design is rank-deficient (the regressors are named), a value is not finite, or a choice is
        unknown. Also as ``check_events``.
    LabelError
        As ``check_events``; or if conditions or confounds share a name.

    References
    ----------
    Abraham et al. 2014, Front Neuroinform 8:14 (nilearn). Walther et al. 2016, NeuroImage 137:188 (noise
    normalisation by residuals).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> coords = {"time": 2.0 * np.arange(80), "run": ("time", np.repeat([1, 2], 40))}
    >>> series = xr.DataArray(
    ...     rng.normal(size=(80, 3)), dims=("time", "neuroid"), coords=coords, attrs={"tr": 2.0})
    >>> events = pd.DataFrame({
    ...     "onset": [4.0, 40.0] * 2, "duration": 10.0, "run": [1, 1, 2, 2], "trial_type": ["a", "b"] * 2})
    >>> found = condition_betas(series, events, noise_model="ols", progress=False)
    >>> found["betas"].shape, found["stimulus"].values.tolist(), found["run"].values.tolist()
    ((4, 3), ['a', 'b', 'a', 'b'], [1, 1, 2, 2])

    Crossnobis distances with the noise precision of the residuals:

    >>> from neuroalign import rsa  # doctest: +SKIP
    >>> noise = rsa.noise_precision(
    ...     found["residuals"], dof=sum(found.attrs["dof"]), folds="time_run")  # doctest: +SKIP
    >>> distances = rsa.rdm(found["betas"], "crossnobis", noise=noise)  # doctest: +SKIP
    """
    if noise_model not in NOISE_MODELS:
        raise choice(noise_model, NOISE_MODELS, name="noise_model")
    table = check_events(events, series, by=by, tr=tr, overhang=overhang)
    _refuse_mixed_durations(table, by)
    runs, step = split_runs(series, tr)
    model = checked_model(hrf, drift, high_pass, drift_order, slice_time_ref, step)
    regressors = as_confounds(confounds, series, runs, fill_first=fill_first)
    conditions = list(dict.fromkeys(table[by].tolist()))
    designs = [_of_run(run, table, by, conditions, model, regressors) for run in runs]
    found = _fit_runs(series, runs, designs, noise_model, keep_residuals, progress)
    own = {
        "noise_model": noise_model,
        "by": by,
        "runs": [run.label for run in runs],
        "dof": [design.matrix.shape[0] - design.matrix.shape[1] for design in designs],
        "n_absent": len(runs) * len(conditions) - found.sizes["presentation"],
        "n_filled": regressors.n_filled,
        "residuals": {"ar1": "prewhitened", "ols": "raw"}[noise_model] if keep_residuals else "not kept",
    }
    found = found.assign_coords(_labels(series, runs, designs)).assign(design=_stacked(series, runs, designs))
    return found.assign_attrs({**series_attrs(series), **model.attrs(), **own})


def series_attrs(series: xr.DataArray) -> dict[str, Any]:
    """Return the attributes that a result takes over from its series."""
    return {str(key): value for key, value in series.attrs.items() if key != "tr"}


def neuroid_coords(series: xr.DataArray) -> dict[str, Any]:
    """Return the coordinates of the neuroids, and single ones, that a result takes over from its series."""
    return {
        str(name): coord.variable
        for name, coord in series.coords.items()
        if coord.dims in ((), ("neuroid",)) and name not in RESERVED
    }


def _of_run(
    run: Run, table: pd.DataFrame, by: str, conditions: list[Any], model: Model, regressors: Confounds
) -> Design:
    mine = table[table["run"] == run.label]
    # The same order in all runs, whatever came first in this one.
    mine = mine.iloc[np.argsort([conditions.index(name) for name in mine[by].tolist()], kind="stable")]
    design = run_design(
        run, mine["onset"].to_numpy(), mine["duration"].to_numpy(), mine[by].tolist(), model, regressors
    )
    refuse_collinear(design.matrix, design.names, run.label)
    return design


def _fit_runs(
    series: xr.DataArray,
    runs: list[Run],
    designs: list[Design],
    noise_model: str,
    keep_residuals: bool,
    progress: bool,
) -> xr.Dataset:
    """Return everything that is estimated, and counts in attrs, run by run and block by block."""
    n_times, n_neuroids = series.shape
    n_cells = sum(len(design.column) for design in designs)
    beta, variance = np.full((n_cells, n_neuroids), np.nan), np.full((n_cells, n_neuroids), np.nan)
    rho = np.full((len(runs), n_neuroids), np.nan)
    flat, exact = np.zeros(n_neuroids, dtype=bool), np.zeros(n_neuroids, dtype=bool)
    kind = np.float32 if series.dtype == np.float32 else np.float64
    residuals = np.empty((n_times, n_neuroids), dtype=kind) if keep_residuals else None
    first = 0
    with tqdm(total=len(runs) * n_neuroids, disable=not progress, desc="glm", unit="neuroid") as bar:
        for i, (run, design) in enumerate(zip(runs, designs, strict=True)):
            cells = slice(first, first + len(design.column))
            first = cells.stop
            for columns in column_blocks(len(run.rows), n_neuroids):
                fit = _fit(read_block(series, run, columns), design, noise_model)
                beta[cells, columns], variance[cells, columns] = fit.beta, fit.variance
                rho[i, columns] = fit.rho
                flat[columns] |= fit.flat
                exact[columns] |= fit.exact
                if residuals is not None:
                    residuals[run.rows, columns] = fit.residuals
                bar.update(fit.flat.size)
    dims = ("presentation", "neuroid")
    found = {"betas": (dims, beta), "variance": (dims, variance), "t": (dims, beta / np.sqrt(variance))}
    if noise_model == "ar1":
        found["ar1"] = (("fit", "neuroid"), rho)
    if residuals is not None:
        found["residuals"] = (("time", "neuroid"), residuals)
    counts = {"n_constant": int(flat.sum()), "n_exact": int(exact.sum())}
    return xr.Dataset(found, coords={"defined": ("neuroid", ~flat & ~exact)}, attrs=counts)


def _fit(y: np.ndarray, design: Design, noise_model: str) -> _Fit:
    """Return the fit of a block (n_times, v) of one run; nilearn sees neither constants nor exact fits."""
    x, columns = design.matrix, list(design.column.values())
    n, v = y.shape
    beta, variance = np.full((len(columns), v), np.nan), np.full((len(columns), v), np.nan)
    rho, residuals = np.full(v, np.nan), np.full((n, v), np.nan)
    flat = is_flat(y)
    centred = y - y.mean(axis=0)
    q = np.linalg.qr(x)[0]
    rest = np.abs(centred - q @ (q.T @ centred)).max(axis=0)
    exact = ~flat & (rest <= ROUNDING * np.abs(y).max(axis=0))
    for which, kind in ((~flat & ~exact, noise_model), (exact, "ols")):
        for some, result in _models(y, x, which, kind):
            beta[:, some] = result.theta[columns]
            residuals[:, some] = result.whitened_residuals
            if which is not exact:
                variance[:, some] = np.diag(result.cov)[columns, None] * result.dispersion
                rho[some] = result.model.rho[0] if kind == "ar1" else np.nan
    return _Fit(beta, variance, rho, residuals, flat, exact)


def _models(
    y: np.ndarray, x: np.ndarray, which: np.ndarray, noise_model: str
) -> list[tuple[np.ndarray, Any]]:
    """Return the columns of each model that nilearn fitted (one an autocorrelation), and its results."""
    from nilearn.glm.first_level import run_glm

    if not which.any():
        return []
    labels, results = run_glm(y[:, which], x, noise_model=noise_model)
    place = np.flatnonzero(which)
    return [(place[labels == label], result) for label, result in results.items()]


def _stacked(series: xr.DataArray, runs: list[Run], designs: list[Design]) -> xr.DataArray:
    """Return the designs of all runs (time, regressor), NaN where a run has no such regressor."""
    kinds = {name: kind for design in designs for name, kind in zip(design.names, design.kinds, strict=True)}
    rank = {kind: i for i, kind in enumerate(("condition", "derivative", "confound", "drift", "constant"))}
    names = sorted(kinds, key=lambda name: rank[kinds[name]])
    values = np.full((series.sizes["time"], len(names)), np.nan)
    for run, design in zip(runs, designs, strict=True):
        columns = np.array([names.index(name) for name in design.names])
        values[run.rows[:, None], columns] = design.matrix
    coords = {"regressor": names, "kind": ("regressor", [kinds[name] for name in names])}
    return xr.DataArray(values, dims=("time", "regressor"), coords=coords)


def _labels(series: xr.DataArray, runs: list[Run], designs: list[Design]) -> dict[str, Any]:
    """Return all coordinates of a result."""
    cells = [(run.label, name) for run, design in zip(runs, designs, strict=True) for name in design.column]
    place, within = np.empty(series.sizes["time"], dtype=np.intp), np.empty(series.sizes["time"])
    for i, run in enumerate(runs):
        place[run.rows], within[run.rows] = i, run.times
    return {
        **neuroid_coords(series),
        "presentation": [f"run-{run}/{name}" for run, name in cells],
        "stimulus": ("presentation", np.array([name for _, name in cells])),
        "run": ("presentation", np.array([run for run, _ in cells])),
        "fit": [run.label for run in runs],
        "time": series["time"].values,
        "time_run": ("time", np.array([run.label for run in runs])[place]),
        "time_in_run": ("time", within),
    }


def _refuse_mixed_durations(table: pd.DataFrame, by: str) -> None:
    none = table.groupby(by, sort=False)["duration"].agg(lambda d: 0 < int((d == 0).sum()) < len(d))
    if none.any():
        raise InvalidValueError(
            f"events: {listing(none.index[none])} have events without duration beside events that last; "
            "their regressors have other scales. Give all a duration."
        )
