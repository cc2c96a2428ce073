"""A ridge problem from arrays to weights: patterns of missing rows, blocks of targets, one alpha for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..arrays import to_numpy, to_torch, torch_dtype
from ..errors import InvalidValueError, ShapeError, choice
from .choosing import SUMMED_TOLERANCES, Plan, Wishes, choose
from .solvers import Problem, Selection, Solver, prepare
from .splits import Splits
from .targets import Targets, patterns

__all__ = ["MISSING", "Fit", "Job", "fit_targets"]

MISSING = ("refuse", "group")
# Columns of weights that are turned into float64 at a time.
COLUMNS = 512
ROUNDING = 16 * np.finfo(np.float64).eps


class Job(NamedTuple):
    """What an estimator asks for."""

    alphas: np.ndarray  # decreasing
    splits: Splits
    scoring: str
    intercept: bool
    shared: bool  # one alpha for all targets
    missing: str
    wishes: Wishes
    precomputed: bool = False  # X is a kernel (n, n)
    dual: bool = False  # weights of the rows are wanted
    coef_out: Any = None


class Fit(NamedTuple):
    """The results for t targets."""

    coef: Any  # (t, p), or None where precomputed
    dual: np.ndarray | None  # (n, t)
    intercept: np.ndarray  # (t,) float64
    alpha: np.ndarray  # (t,) float64
    score: np.ndarray  # (t,) float64
    n_missing: int  # targets with too few known rows
    plan: Plan
    report: dict[str, Any]


class _Group(NamedTuple):
    """Targets whose known rows are the same."""

    rows: np.ndarray | None  # None: all
    columns: np.ndarray | None  # None: all
    splits: Splits


def fit_targets(x: np.ndarray, targets: Targets, job: Job) -> Fit:
    """Choose an alpha for each target and fit it to all its known rows."""
    if job.missing not in MISSING:
        raise choice(job.missing, MISSING, name="missing")
    groups, n_missing = _groups(targets, job)
    n, p = x.shape
    dtypes = (x.dtype, targets.dtype)
    features = None if job.precomputed else p
    plan = choose(n, features, targets.n_targets, job.splits, job.alphas, dtypes, job.wishes)
    found = _empty(n, p, targets.n_targets, job, plan)
    shared = _shared_alpha(x, targets, groups, job, plan) if job.shared else None
    ranks: list[int] = []
    block = plan.block
    for group in groups:
        machine = _Machine(x, group, job, plan)
        ranks += machine.solver.ranks
        block = min(block, machine.run(targets, found, shared))
    plan = plan._replace(block=block)
    report = {**plan.report(), "alphas": job.alphas.tolist(), "alpha_ranks": ranks, "n_groups": len(groups)}
    return found._replace(n_missing=n_missing, plan=plan, report=report)


class _Machine:
    """A prepared solver of one group of targets."""

    def __init__(self, x: np.ndarray, group: _Group, job: Job, plan: Plan) -> None:
        self.group, self.job = group, job
        if group.rows is not None:
            x = x[group.rows][:, group.rows] if job.precomputed else x[group.rows]
            n, p = x.shape
            features = None if job.precomputed else p
            wishes = job.wishes._replace(
                solver="kernel" if plan.kernel else "primal", dtype=plan.dtype, device=plan.device
            )
            if wishes.decomposition == "one":
                wishes = wishes._replace(decomposition="auto")
            plan = choose(n, features, plan.block, group.splits, job.alphas, (x.dtype,), wishes)
        self.plan = plan
        centred = job.intercept and not job.precomputed
        self.x_mean = x.mean(axis=0, dtype=np.float64) if centred else np.zeros(x.shape[1])
        # Row means of a kernel: what its centring takes from a prediction.
        self.k_mean = x.mean(axis=0) if job.precomputed and job.intercept else np.zeros(len(x))
        dtype = np.float64 if job.precomputed else np.dtype(plan.dtype)
        moved = to_torch(_shifted(x, self.x_mean if centred else None, dtype), device=plan.device)
        problem = Problem(moved, group.splits, job.alphas, job.scoring, job.intercept, job.precomputed)
        self.solver: Solver = prepare(problem, plan)

    def run(self, targets: Targets, found: Fit, shared: np.ndarray | None) -> int:
        """Fit all targets of the group into ``found``; return the width of the blocks that fitted."""

        def fit(columns: Any, block: np.ndarray) -> None:
            Y, mean, constant = self._prepare(block)
            best = None if shared is None else np.full(block.shape[1], shared)
            selection = self.solver.select(Y, best)
            self._store(found, columns, self._without_constant(selection, constant, shared), mean)

        return self._blocks(targets, fit)

    def totals(self, targets: Targets) -> tuple[np.ndarray, int]:
        """Return the sum of scores (n_alphas,) over targets that have one, and their number."""
        total, count = np.zeros(len(self.job.alphas)), 0

        def add(_: Any, block: np.ndarray) -> None:
            nonlocal total, count
            Y, _mean, constant = self._prepare(block)
            mean = self.solver.select(Y).mean[:, ~constant]
            known = ~np.isnan(mean).any(axis=0)
            total, count = total + mean[:, known].sum(axis=1), count + int(known.sum())

        self._blocks(targets, add)
        return total, count

    def _blocks(self, targets: Targets, call: Callable[[Any, np.ndarray], None]) -> int:
        import torch

        width, start, n = self.plan.block, 0, targets.n_targets
        if self.group.columns is not None:
            n = len(self.group.columns)
        while start < n:
            columns, block = _read(targets, self.group, start, min(start + width, n))
            try:
                call(columns, block)
            except torch.cuda.OutOfMemoryError:
                if width == 1:
                    raise
                width = max(1, width // 2)
                torch.cuda.empty_cache()
                continue
            start += width
        return width

    def _prepare(self, block: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return centred targets on the device, their means, and which are constant."""
        mean = block.mean(axis=0, dtype=np.float64)
        largest, smallest = (each.astype(np.float64) for each in (block.max(axis=0), block.min(axis=0)))
        spread = np.maximum(largest - mean, mean - smallest)
        constant = spread <= ROUNDING * np.maximum(np.abs(largest), np.abs(smallest))
        if not self.job.intercept:
            mean = np.zeros_like(mean)
        centred = _shifted(block, mean if self.job.intercept else None, np.dtype(self.plan.dtype))
        if self.job.intercept:
            centred[:, constant] = 0.0
        Y = to_torch(centred, device=self.plan.device, dtype=torch_dtype(self.plan.dtype))
        return Y, mean, constant

    def _without_constant(
        self, selection: Selection, constant: np.ndarray, shared: np.ndarray | None
    ) -> Selection:
        score = np.where(constant, np.nan, selection.score)
        best = selection.best if shared is not None else np.where(constant, 0, selection.best)
        return selection._replace(score=score, best=best)

    def _store(self, found: Fit, columns: Any, selection: Selection, y_mean: np.ndarray) -> None:
        found.alpha[columns] = self.job.alphas[selection.best]
        found.score[columns] = selection.score
        intercept = y_mean
        if found.dual is not None:
            dual = to_numpy(self.solver.weights(selection, dual=True))
            rows = slice(None) if self.group.rows is None else self.group.rows
            found.dual[_outer(rows, columns)] = dual
            intercept = y_mean - self.k_mean @ dual
        if not self.job.precomputed:
            coef = to_numpy(self.solver.weights(selection).T)
            found.coef[columns] = coef
            intercept = y_mean - coef @ self.x_mean
        found.intercept[columns] = intercept if self.job.intercept else 0.0


def _groups(targets: Targets, job: Job) -> tuple[list[_Group], int]:
    """Return groups of targets with the same known rows, and how many have too few to be fitted."""
    if job.missing == "refuse":
        targets.check()
        return [_Group(None, None, job.splits)], 0
    found, n_missing = [], 0
    for rows, columns in patterns(targets):
        if len(rows) == targets.n_rows:
            every = None if len(columns) == targets.n_targets else columns
            found.append(_Group(None, every, job.splits))
            continue
        splits = _restricted(job.splits, rows, targets.n_rows)
        if splits:
            found.append(_Group(rows, columns, splits))
        else:
            n_missing += len(columns)
    return found, n_missing


def _restricted(splits: Splits, rows: np.ndarray, n: int) -> Splits:
    """Return the folds of some rows, in their numbers, that have 2 training rows and a test row."""
    number = np.full(n, -1)
    number[rows] = np.arange(len(rows))
    found = []
    for train, test in splits:
        train, test = (number[part][number[part] >= 0] for part in (train, test))
        if len(train) >= 2 and len(test):
            found.append((train, test))
    return found


def _read(targets: Targets, group: _Group, start: int, stop: int) -> tuple[Any, np.ndarray]:
    if group.columns is None:
        return slice(start, stop), targets.read(slice(start, stop), group.rows)
    columns = group.columns[start:stop]
    if targets.one:
        return columns, targets.read(slice(0, 1), group.rows)
    parts = [targets.read(run, group.rows) for run in _runs(columns)]
    return columns, np.concatenate(parts, axis=1)


def _runs(columns: np.ndarray) -> Iterator[slice]:
    """Yield consecutive columns as slices, which any array on disk can read."""
    for part in np.split(columns, np.flatnonzero(np.diff(columns) != 1) + 1):
        yield slice(int(part[0]), int(part[-1]) + 1)


def _empty(n: int, p: int, t: int, job: Job, plan: Plan) -> Fit:
    """Return results of NaN, to be filled."""
    coef = None
    if not job.precomputed:
        coef = (
            np.full((t, p), np.nan, dtype=plan.dtype)
            if job.coef_out is None
            else _checked_out(job.coef_out, t, p)
        )
    dual = np.zeros((n, t)) if job.dual else None
    nan = np.full(t, np.nan)
    return Fit(coef, dual, nan, nan.copy(), nan.copy(), 0, plan, {})


def _checked_out(out: Any, t: int, p: int) -> Any:
    if tuple(getattr(out, "shape", ())) != (t, p) or not hasattr(out, "__setitem__"):
        raise ShapeError(
            f"coef_out must be a writable array of shape ({t}, {p}); got "
            f"{getattr(out, 'shape', type(out).__name__)}."
        )
    if np.dtype(out.dtype).kind != "f":
        raise InvalidValueError(f"coef_out must hold floats; got dtype {out.dtype}.")
    return out


def _shared_alpha(x: np.ndarray, targets: Targets, groups: list[_Group], job: Job, plan: Plan) -> np.ndarray:
    """Return the number of the alpha of the best mean score over all targets."""
    total, count = np.zeros(len(job.alphas)), 0
    if plan.tolerance is not None:
        plan = plan._replace(tolerance=SUMMED_TOLERANCES[plan.dtype])
    for group in groups:
        sums, n = _Machine(x, group, job, plan).totals(targets)
        total, count = total + sums, count + n
    return np.asarray(int(np.argmax(total)) if count else 0)


def _shifted(x: np.ndarray, mean: np.ndarray | None, dtype: Any) -> np.ndarray:
    """Return a contiguous copy in ``dtype``, less the means; rounded once where x is the more precise."""
    if mean is None:
        return np.array(x, dtype=dtype, order="C")
    if x.dtype == dtype:
        return np.subtract(x, mean.astype(dtype), order="C")
    return np.ascontiguousarray(x - mean).astype(dtype, copy=False)


def _outer(rows: Any, columns: Any) -> Any:
    if isinstance(rows, slice) or isinstance(columns, slice):
        return rows, columns
    return np.ix_(rows, columns)
