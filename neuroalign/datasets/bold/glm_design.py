"""Design matrices of fMRI runs, made by nilearn, with names for what is wrong with them."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import InvalidValueError, ShapeError, choice, listing
from .cleaning import Confounds
from .events import Run

__all__ = [
    "DRIFTS",
    "HRFS",
    "Design",
    "Model",
    "checked_model",
    "refuse_collinear",
    "refuse_few",
    "run_design",
]

HRFS = (
    "spm",
    "spm + derivative",
    "spm + derivative + dispersion",
    "glover",
    "glover + derivative",
    "glover + derivative + dispersion",
    None,
)
DRIFTS = ("cosine", "polynomial", None)
# Share of the largest singular value (columns of length 1) below which regressors count as collinear, and
# the weight in a combination that gives 0 from which a regressor is named.
COLLINEAR, TAKES_PART = 1e-7, 1e-3
# Share of the longest regressor's length below which a regressor counts as 0.
EMPTY = 1e-12


class Model(NamedTuple):
    """How a design is made of events."""

    hrf: str | None
    drift: str | None
    high_pass: float
    drift_order: int
    slice_time_ref: float
    tr: float

    def attrs(self) -> dict[str, Any]:
        """Return the parameters that were used, for a result."""
        found = {"hrf": str(self.hrf).lower(), "drift": str(self.drift).lower()}
        used = {"cosine": ["high_pass"], "polynomial": ["drift_order"]}.get(str(self.drift), [])
        return found | {key: getattr(self, key) for key in (*used, "slice_time_ref", "tr")}


class Design(NamedTuple):
    """A design matrix (n_times, n_regressors), its columns' names and kinds, and the column of each label."""

    matrix: np.ndarray
    names: list[str]
    kinds: list[str]
    column: dict[Any, int]


def checked_model(
    hrf: str | None, drift: str | None, high_pass: float, drift_order: int, slice_time_ref: float, tr: float
) -> Model:
    """Return the parameters of a design, or refuse those that are out of range."""
    if hrf not in HRFS:
        raise choice(hrf, HRFS, name="hrf")
    if drift not in DRIFTS:
        raise choice(drift, DRIFTS, name="drift")
    if drift == "cosine" and not 0 < high_pass < 0.5 / tr:
        raise InvalidValueError(
            f"high_pass must lie between 0 and {0.5 / tr:g} Hz, half the rate of the volumes; got "
            f"{high_pass!r}."
        )
    if isinstance(drift_order, bool) or not isinstance(drift_order, int | np.integer) or drift_order < 1:
        raise InvalidValueError(f"drift_order must be a positive integer; got {drift_order!r}.")
    if not 0 <= slice_time_ref <= 1:
        raise InvalidValueError(f"slice_time_ref must be between 0 and 1; got {slice_time_ref!r}.")
    return Model(hrf, drift, float(high_pass), int(drift_order), float(slice_time_ref), tr)


def run_design(
    run: Run,
    onsets: np.ndarray,
    durations: np.ndarray,
    labels: list[Any],
    model: Model,
    regressors: Confounds,
) -> Design:
    """Return the design of a run: one regressor a label, in the order of first occurrence, and the rest."""
    from nilearn.glm.first_level import make_first_level_design_matrix

    if len(run.rows) < 3:
        raise ShapeError(f"run {run.label!r} has {len(run.rows)} volumes; a model needs at least 3.")
    order = list(dict.fromkeys(labels))
    # Codes: a condition may be called like a drift, and nilearn sorts by name.
    code = {label: f"c{i:06d}" for i, label in enumerate(order)}
    frames = model.slice_time_ref * model.tr + run.times - run.times[0]
    starts = np.asarray(onsets) - run.times[0]
    names, values = regressors.of_run(run)
    made_of = pd.DataFrame({"onset": starts, "duration": durations, "trial_type": [code[c] for c in labels]})
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Events without duration are documented; a singular matrix is refused below, with names.
        warnings.filterwarnings("ignore", message="(?s).*null duration")
        warnings.filterwarnings("ignore", message="Matrix is singular")
        made = make_first_level_design_matrix(
            frames,
            made_of,
            hrf_model=model.hrf,
            drift_model=model.drift,
            drift_order=model.drift_order,
            high_pass=model.high_pass,
            add_regs=values if names else None,
            add_reg_names=[f"x{i:06d}" for i in range(len(names))] if names else None,
            # An event of more than 24 s before the first volume would be left out with a warning.
            min_onset=min(-24.0, float(starts.min() - frames[0]) - model.tr),
        )
    own = {f"x{i:06d}": name for i, name in enumerate(names)}
    called = [_called(column, {c: label for label, c in code.items()}, own) for column in made.columns]
    column = {label: list(made.columns).index(c) for label, c in code.items()}
    return Design(made.to_numpy(dtype=np.float64), [n for _, n in called], [k for k, _ in called], column)


def refuse_collinear(matrix: np.ndarray, names: list[str], run: object) -> None:
    """Refuse a design without degrees of freedom, or with a combination of regressors that is 0."""
    p = matrix.shape[1]
    refuse_few(len(matrix), p, run)
    length = np.sqrt((matrix**2).sum(axis=0))
    # nilearn lifts singular values of 0 a little.
    empty = [name for name, size in zip(names, length, strict=True) if not size > EMPTY * np.nanmax(length)]
    if empty:
        raise InvalidValueError(
            f"the design of run {run!r}: {listing(empty)} are 0 throughout. An event at the very end of a "
            "run, or a short one without a response (hrf=None), meets no volume: leave it out."
        )
    _, s, rows = np.linalg.svd(matrix / length, full_matrices=False)
    null = s <= COLLINEAR * s[0]
    if null.any():
        weight = np.abs(rows[null]).max(axis=0)
        guilty = [name for name, w in zip(names, weight, strict=True) if w > TAKES_PART]
        raise InvalidValueError(
            f"the design of run {run!r} is rank-deficient: rank {p - int(null.sum())} of {p} regressors. "
            f"Combinations of these are 0: {listing(guilty, limit=12)}. Leave one of them out."
        )


def refuse_few(n: int, p: int, run: object) -> None:
    """Refuse a model with no more volumes than regressors."""
    if n <= p:
        raise ShapeError(
            f"run {run!r} has {n} volumes and {p} regressors, which leaves no degree of freedom. Take fewer "
            "confounds or drifts."
        )


def _called(column: str, conditions: dict[str, Any], confounds: dict[str, str]) -> tuple[str, str]:
    """Return the kind and the name of a regressor that nilearn calls ``column``."""
    if column in confounds:
        return "confound", f"confound/{confounds[column]}"
    code, _, derived = column.partition("_")
    if code in conditions:
        return ("derivative" if derived else "condition"), f"{derived or 'condition'}/{conditions[code]}"
    return ("constant", "constant") if column == "constant" else ("drift", column.replace("_", "/"))
