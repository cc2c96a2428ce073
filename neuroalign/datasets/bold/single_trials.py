"""Single-trial coefficients: least squares separate and all, each in one matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from ...errors import InvalidValueError, choice, listing
from .cleaning import Confounds, as_confounds, column_blocks, is_flat, read_block
from .events import Run, check_events, split_runs
from .glm import neuroid_coords, series_attrs
from .glm_design import Design, Model, checked_model, refuse_collinear, refuse_few, run_design

__all__ = ["METHODS", "OTHERS", "single_trial_betas"]

METHODS = ("lss", "lsa")
OTHERS = ("all", "condition")
TRIAL_HRFS = ("spm", "glover", None)
# Share of a trial's regressor (squared) that the other regressors must leave of it.
OWN = 1e-12


def single_trial_betas(
    series: xr.DataArray,
    events: pd.DataFrame,
    *,
    method: str = "lss",
    by: str = "trial_type",
    others: str = "all",
    hrf: str | None = "spm",
    drift: str | None = "cosine",
    high_pass: float = 0.01,
    drift_order: int = 1,
    confounds: Any = None,
    fill_first: bool = False,
    slice_time_ref: float = 0.5,
    tr: float | None = None,
    overhang: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    r"""Return one coefficient a trial and neuroid, by ordinary least squares within runs.

    ``"lsa"`` (all) fits the regressors x_j of all trials of a run at once. ``"lss"`` (separate) has a model
    of its own for every trial: x_j, the sum of the other trials, drifts, confounds and the constant; it
    trades a little bias for much less variance where responses overlap.

    The models of ``"lss"`` are never fitted one by one. Let s be the sum over all trials (of a condition),
    D the sums and the rest, M the projection off D, and d the row of :math:`D^+` that belongs to the trial's
    sum. Since x_j and s - x_j span what x_j and s do, the coefficient of trial j is

    .. math:: b_j = (1 - d^T x_j) \frac{x_j^T M y}{x_j^T M x_j} + d^T y,

    which is linear in y: one matrix (n_trials, n_times) gives all trials of all neuroids.

    Parameters
    ----------
    series, events, hrf, drift, high_pass, drift_order, confounds, fill_first, slice_time_ref, tr, overhang
        As in ``condition_betas``; ``hrf`` without derivatives. Every row of ``events`` is a trial.
    method : {"lss", "lsa"}
    by : str
        The column that becomes the label ``stimulus``.
    others : {"all", "condition"}
        Of ``"lss"``: the other trials in one regressor, or in one a label of ``by``.
    progress : bool
        Whether to show a bar on standard error.

    Returns
    -------
    Dataset
        ``betas`` (presentation, neuroid), float64, in units of the series; along presentation ("run-1/004")
        ``stimulus``, ``run``, ``trial`` (from 1, within the run in order of onset), ``onset`` and
        ``duration``. A neuroid is NaN in a run in which it is constant, ``attrs["n_constant"]`` counts those.
        ``design`` (time, presentation) holds the trials' regressors, NaN in other runs. With the parameters,
        ``runs`` and ``n_filled`` in attrs.

    Raises
    ------
    ShapeError
        If a run has no more volumes than a model has regressors.
    InvalidValueError
        If trials cannot be told apart (they are named), or a design is rank-deficient. Also as
        ``condition_betas``.

    References
    ----------
    Mumford, Turner, Ashby & Poldrack 2012, NeuroImage 59:2636. Turner et al. 2012, arXiv:1210.7625 (others by
    condition).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> series = xr.DataArray(
    ...     rng.normal(size=(60, 2)), dims=("time", "neuroid"), coords={"time": 2.0 * np.arange(60)},
    ...     attrs={"tr": 2.0})
    >>> events = pd.DataFrame({"onset": [4.0, 34.0, 70.0], "duration": 2.0, "trial_type": ["a", "b", "a"]})
    >>> found = single_trial_betas(series, events, progress=False)
    >>> found["betas"].shape, found["stimulus"].values.tolist()
    ((3, 2), ['a', 'b', 'a'])
    """
    _check_choices(method=(method, METHODS), others=(others, OTHERS), hrf=(hrf, TRIAL_HRFS))
    table = check_events(events, series, by=by, tr=tr, overhang=overhang)
    _refuse_mixed_durations(table["duration"])
    runs, step = split_runs(series, tr)
    model = checked_model(hrf, drift, high_pass, drift_order, slice_time_ref, step)
    regressors = as_confounds(confounds, series, runs, fill_first=fill_first)
    n_neuroids = series.sizes["neuroid"]
    betas = np.full((len(table), n_neuroids), np.nan)
    design = np.full((series.sizes["time"], len(table)), np.nan)
    flat = np.zeros(n_neuroids, dtype=bool)
    with tqdm(total=len(runs) * n_neuroids, disable=not progress, desc=method, unit="neuroid") as bar:
        for run in runs:
            rows = np.flatnonzero((table["run"] == run.label).to_numpy())
            x, weights = _weights(run, table.iloc[rows], by, method, others, model, regressors)
            design[np.ix_(run.rows, rows)] = x
            for columns in column_blocks(len(run.rows), n_neuroids):
                y = read_block(series, run, columns)
                still = is_flat(y)
                betas[rows, columns] = np.where(still, np.nan, weights @ (y - y.mean(axis=0)))
                flat[columns] |= still
                bar.update(len(still))
    attrs = {
        **series_attrs(series),
        **model.attrs(),
        "method": method,
        **({"others": others} if method == "lss" else {}),
        "by": by,
        "runs": [run.label for run in runs],
        "n_constant": int(flat.sum()),
        "n_filled": regressors.n_filled,
    }
    found = {"betas": (("presentation", "neuroid"), betas), "design": (("time", "presentation"), design)}
    return xr.Dataset(found, coords=_labels(series, table, by), attrs=attrs)


def _check_choices(**given: tuple[str | None, tuple[str | None, ...]]) -> None:
    for name, (value, allowed) in given.items():
        if value not in allowed:
            raise choice(value, allowed, name=name)


def _refuse_mixed_durations(durations: pd.Series) -> None:
    n_without = int((durations == 0).sum())
    if 0 < n_without < len(durations):
        raise InvalidValueError(
            f"events: {n_without} of {len(durations)} trials have no duration; their regressors have another "
            "scale than those of trials that last. Give all a duration."
        )


def _labels(series: xr.DataArray, table: pd.DataFrame, by: str) -> dict[str, Any]:
    """Return the coordinates of a result."""
    trial = table.groupby("run", sort=False).cumcount().to_numpy() + 1
    return {
        **neuroid_coords(series),
        "presentation": [f"run-{run}/{i:03d}" for run, i in zip(table["run"], trial, strict=True)],
        "stimulus": ("presentation", np.array(table[by].tolist())),
        "run": ("presentation", np.array(table["run"].tolist())),
        "trial": ("presentation", trial),
        "onset": ("presentation", table["onset"].to_numpy()),
        "duration": ("presentation", table["duration"].to_numpy()),
        "time": series["time"].values,
    }


def _weights(
    run: Run, table: pd.DataFrame, by: str, method: str, others: str, model: Model, regressors: Confounds
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trials' regressors (n_times, n_trials), and what turns a series into coefficients."""
    trials = [f"{i + 1:03d}" for i in range(len(table))]
    design = run_design(
        run, table["onset"].to_numpy(), table["duration"].to_numpy(), trials, model, regressors
    )
    columns = [design.column[trial] for trial in trials]
    x = design.matrix[:, columns]
    if method == "lsa":
        refuse_collinear(design.matrix, design.names, run.label)
        return x, np.linalg.pinv(design.matrix)[columns]
    group = pd.factorize(table[by])[0] if others == "condition" else np.zeros(len(table), dtype=np.intp)
    return x, _separate(x, _without(design, columns), group, run)


def _separate(x: np.ndarray, rest: tuple[np.ndarray, list[str]], group: np.ndarray, run: Run) -> np.ndarray:
    """Return the weights (n_trials, n_times) of all models of least squares separate."""
    n_groups = int(group.max()) + 1
    sums = np.stack([x[:, group == g].sum(axis=1) for g in range(n_groups)], axis=1)
    every = np.concatenate([sums, rest[0]], axis=1)
    refuse_collinear(every, [*(f"trials/{g}" for g in range(n_groups)), *rest[1]], run.label)
    refuse_few(len(x), every.shape[1] + 1, run.label)
    inverse = np.linalg.pinv(every)
    own = x - every @ (inverse @ x)
    of_sum = inverse[group]
    power = (own**2).sum(axis=0)
    alone = np.bincount(group)[group] == 1
    lost = ~alone & (power <= OWN * (x**2).sum(axis=0))
    if lost.any():
        raise InvalidValueError(
            f"run {run.label!r}: {int(lost.sum())} trials cannot be told from the other regressors: "
            f"{listing([f'{i + 1:03d}' for i in np.flatnonzero(lost)])}. Do they begin together, or meet no "
            "volume?"
        )
    share = np.where(alone, 0.0, (1 - (of_sum * x.T).sum(axis=1)) / np.where(alone, 1.0, power))
    return share[:, None] * own.T + of_sum


def _without(design: Design, columns: list[int]) -> tuple[np.ndarray, list[str]]:
    """Return the regressors that belong to no trial, and their names."""
    kept = [i for i in range(design.matrix.shape[1]) if i not in set(columns)]
    return design.matrix[:, kept], [design.names[i] for i in kept]
