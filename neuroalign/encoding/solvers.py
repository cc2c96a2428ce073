"""Per-target ridge in blocks of targets: score every alpha on every fold, choose, refit.

A solver is prepared once (decompositions, in float64) and then takes any number of blocks of targets. Two
ways serve the same interface: a decomposition a fold (``FoldSolver``, primal or kernel), or one for all folds
(``HoldOutSolver``, kernel; see ``dual``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ..arrays import to_numpy
from .dual import centred_eigen, hold_out, hold_out_scores
from .folds import Fold, designs, fold_grams, folds_and_total, gram, kernel_designs
from .refinement import refine
from .rotations import (
    Eigen,
    Rotation,
    Scored,
    decompose,
    eigen,
    own_scores,
    project,
    refuse_zero_alpha,
    rotation_scores,
    weights_at,
)

if TYPE_CHECKING:
    import torch

    from .choosing import Plan
    from .splits import Splits

__all__ = ["FoldSolver", "HoldOutSolver", "Problem", "Selection", "Solver", "prepare"]

# A correlation is not refined around the best alpha, so it takes a basis that is better by this factor.
RELATIVE = 0.1
# Error of a compressed score by rounding, as a share of a target's variance (measured).
SCORE_ROUNDING = {"float32": 1e-6, "float64": 1e-14}
TF32_ROUNDING = 1e-4


class Problem(NamedTuple):
    """What is to be solved: features (n, p), or a kernel (n, n) where ``precomputed``; alphas decreasing."""

    X: torch.Tensor  # in the plan's dtype, on its device, centred over all rows where there is an intercept
    splits: Splits
    alphas: np.ndarray
    scoring: str
    intercept: bool
    precomputed: bool = False


class Selection(NamedTuple):
    """The choice for a block of t targets, and what the refit needs."""

    best: np.ndarray  # (t,), numbers of the alphas
    score: np.ndarray  # (t,) float64
    mean: np.ndarray  # (n_alphas, t) float64: scores, approximate where alphas are compressed
    projected: torch.Tensor  # targets along the eigenvectors of all rows (q, t)


class Solver(Protocol):
    """Chooses and refits blocks of targets (n, t), centred over all rows where there is an intercept."""

    ranks: list[int]

    def select(self, Y: torch.Tensor, best: np.ndarray | None = None) -> Selection:
        """Return the alpha of each target, or scores at the ones that are given."""

    def weights(self, selection: Selection, *, dual: bool = False) -> torch.Tensor:
        """Return the weights (p, t) of all rows, or (n, t) of the rows where ``dual``."""


def prepare(problem: Problem, plan: Plan) -> Solver:
    """Decompose what no target changes."""
    if plan.one:
        return HoldOutSolver(problem)
    return FoldSolver(problem, plan)


class FoldSolver:
    """A decomposition a fold, and one of all rows for the refit."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.problem, self.plan = problem, plan
        self.parts, self.rotations = [], []
        X = problem.X
        if plan.kernel:
            total = _kernel(problem).contiguous()
            parts = kernel_designs(total, problem.splits, intercept=problem.intercept, dtype=X.dtype)
        else:
            grams = fold_grams(X, problem.splits)
            total = grams.total.contiguous()
            parts = designs(X, problem.splits, intercept=problem.intercept, grams=grams)
        relative, tolerance = problem.scoring == "pearson", plan.tolerance
        if relative and tolerance is not None:
            tolerance = tolerance * RELATIVE
        for part in parts:
            rotation = decompose(part, problem.alphas, tolerance=tolerance, relative=relative)
            refuse_zero_alpha(
                rotation.values, problem.alphas, part.n_train, _n_features(problem, part.n_train)
            )
            # What is decomposed is not needed again; the rows are where X'Y is formed from their factors.
            rows = rotation.rows if part.reflect is None else part.rows
            self.parts.append(part._replace(gram=None, rows=rows))
            self.rotations.append(rotation)
        self.eigen = _all_rows(problem, total, kernel=plan.kernel)
        refuse_zero_alpha(self.eigen.values, problem.alphas, len(X), _n_features(problem, len(X)))
        self.ranks = [len(r.basis.functions) for r in self.rotations if r.basis is not None]

    def select(self, Y: torch.Tensor, best: np.ndarray | None = None) -> Selection:
        """Return the alpha of each target, or scores at the ones that are given."""
        features = None if self.plan.kernel else self.problem.X
        parts, total = folds_and_total(features, Y, self.parts)
        approximate = self.plan.tf32 or any(r.basis is not None for r in self.rotations)
        with _selection_precision(self.plan.tf32):
            along = [project(r, f.cross) for r, f in zip(self.rotations, parts, strict=True)]
            found = [
                rotation_scores(r, f, c, self.problem.scoring)
                for r, f, c in zip(self.rotations, parts, along, strict=True)
            ]
        mean = _mean([each.scores for each in found])
        if self.plan.tf32:
            along = [project(r, f.cross) for r, f in zip(self.rotations, parts, strict=True)]
        fixed, best = best is not None, _argmax(mean) if best is None else best
        if not approximate:
            score = mean[best, np.arange(len(best))]
        else:
            exact = _Exact(self.rotations, parts, along, self.problem.scoring)
            if fixed:
                score = exact(best)
            else:
                score, mean, slack = self._around(exact, found, mean, best)
                best, score = _settle(exact, mean, mean + slack + self._rounding(Y), best, score)
        if features is not None:
            total = features.T @ Y if total is None else total
        return Selection(best, score, mean, project(self.eigen, Y if total is None else total))

    def weights(self, selection: Selection, *, dual: bool = False) -> torch.Tensor:
        """Return the weights (p, t) of all rows, or (n, t) of the rows where ``dual``."""
        found = _weights(self.eigen, selection, self.problem.alphas, complete=dual)
        return found if dual or not self.plan.kernel else self.problem.X.T @ found

    def _around(self, exact: _Exact, found: list[Scored], mean: np.ndarray, best: np.ndarray) -> Any:
        """Return exact scores (t,) at ``best``, scores (n_alphas, t) of all, and how far these may be off."""
        if any(each.gram is None for each in found):
            off = sum(to_numpy(each.slack) for each in found if each.slack is not None) / len(found)
            return exact(best), mean, off
        around = list(exact.around(found, best))
        own = _mean([score[None] for score, _, _ in around])[0]
        return own, _mean([scores for _, scores, _ in around]), _mean([slack for _, _, slack in around])

    def _rounding(self, Y: torch.Tensor) -> Any:
        """Return the error of compressed scores by rounding."""
        share = TF32_ROUNDING if self.plan.tf32 else SCORE_ROUNDING[self.plan.dtype]
        if self.problem.scoring != "neg_mse":
            return share
        return share * to_numpy((Y * Y).mean(dim=0)).astype(np.float64)


def _settle(
    exact: _Exact, mean: np.ndarray, most: np.ndarray, best: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the choice and its exact score: every alpha is compared whose score may be as good.

    ``most`` (n_alphas, t) is what the scores may be at most; where they are not defined, ``best`` stays.
    ``score`` (t,) is the exact one at ``best``.
    """
    best, score = best.copy(), score.copy()
    columns = np.arange(len(best))
    open_ = np.where(np.isnan(most) | np.isnan(mean), -np.inf, most)
    open_[best, columns] = -np.inf
    while True:
        rival = open_.argmax(axis=0)
        with np.errstate(invalid="ignore"):
            close = np.flatnonzero(open_[rival, columns] >= score)
        if not close.size:
            return best, score
        rival = rival[close]
        found = exact(rival, close)
        wins = (found > score[close]) | ((found == score[close]) & (rival < best[close]))
        best[close[wins]], score[close[wins]] = rival[wins], found[wins]
        open_[rival, close] = -np.inf


class HoldOutSolver:
    """One decomposition for the held-out residuals of all folds and for the refit."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.ranks: list[int] = []
        self.eigen = _all_rows(problem, _kernel(problem), kernel=True)
        self.held = hold_out(self.eigen, problem.splits, problem.alphas)

    def select(self, Y: torch.Tensor, best: np.ndarray | None = None) -> Selection:
        """Return the alpha of each target, or scores at the ones that are given."""
        projected = project(self.eigen, Y)
        mean = _mean(list(hold_out_scores(self.held, Y, projected, self.problem.scoring)))
        best = _argmax(mean) if best is None else best
        return Selection(best, mean[best, np.arange(len(best))], mean, projected)

    def weights(self, selection: Selection, *, dual: bool = False) -> torch.Tensor:
        """Return the weights (p, t) of all rows, or (n, t) of the rows where ``dual``."""
        found = _weights(self.eigen, selection, self.problem.alphas, complete=dual)
        return found if dual else self.problem.X.T @ found


class _Exact(NamedTuple):
    """Scores that are not compressed, of each target at one alpha or around it."""

    rotations: list[Rotation]
    parts: list[Fold]
    along: list[torch.Tensor]
    scoring: str

    def __call__(self, best: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        import torch

        device = self.along[0].device
        chosen = torch.as_tensor(best, device=device)
        some = slice(None) if columns is None else torch.as_tensor(columns, device=device)
        scores = [
            own_scores(r, f if columns is None else f.take(some), c[:, some], self.scoring, chosen)[None]
            for r, f, c in zip(self.rotations, self.parts, self.along, strict=True)
        ]
        return _mean(scores)[0]

    def around(self, found: list[Scored], best: np.ndarray) -> Iterator[tuple[Any, Any, Any]]:
        """Yield what ``refine`` returns of every fold."""
        import torch

        chosen = torch.as_tensor(best, device=self.along[0].device)
        for r, f, c, each in zip(self.rotations, self.parts, self.along, found, strict=True):
            yield refine(r, f, c, each, chosen, self.scoring)


def _all_rows(problem: Problem, matrix: torch.Tensor, *, kernel: bool) -> Eigen:
    if kernel:
        return centred_eigen(matrix, intercept=problem.intercept, dtype=problem.X.dtype)
    return eigen(matrix, dtype=problem.X.dtype)


def _kernel(problem: Problem) -> torch.Tensor:
    import torch

    return problem.X.to(torch.float64) if problem.precomputed else gram(problem.X.T)


def _n_features(problem: Problem, n_rows: int) -> int:
    return n_rows if problem.precomputed else problem.X.shape[1]


def _weights(found: Eigen, selection: Selection, alphas: np.ndarray, *, complete: bool) -> torch.Tensor:
    import torch

    own = torch.as_tensor(alphas[selection.best], device=found.values.device)
    return weights_at(found, selection.projected, own, complete=complete)


def _mean(scores: list[torch.Tensor]) -> np.ndarray:
    """Return the mean over the folds in which a target has a score; NaN where it has none."""
    stacked = np.stack([to_numpy(each) for each in scores])
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _argmax(mean: np.ndarray) -> np.ndarray:
    """Return the first of the best alphas, which is the largest; 0 where a target has no score."""
    return np.argmax(np.where(np.isnan(mean), -np.inf, mean), axis=0)


@contextmanager
def _selection_precision(tf32: bool) -> Iterator[None]:
    """Allow TF32 products on a GPU inside; the setting is as it was afterwards."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
