"""Ridge regression with an alpha for every target, chosen over contiguous folds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..arrays import as_float, pick_device
from ..errors import InvalidValueError, LabelError, ShapeError, choice
from ..stats import is_constant
from .solvers import SCORINGS, Problem, cross_validate, refit
from .splits import Splits, check_splits, contiguous_splits

__all__ = ["ALPHAS", "SOLVERS", "AlphaEdgeWarning", "RidgeCV"]

ALPHAS = tuple(float(10.0**power) for power in range(-1, 8))
SOLVERS = ("auto", "primal", "kernel")


class AlphaEdgeWarning(UserWarning):
    """Many targets chose the smallest or largest alpha: the best one may lie outside the grid."""


class RidgeCV(RegressorMixin, BaseEstimator):
    r"""Ridge regression that picks an alpha for each target by cross-validation.

    For each target y, with X and y centred,

    .. math:: \hat w = \arg\min_w |y - X w|^2 + \alpha |w|^2

    (scikit-learn's convention: alpha is neither squared nor divided by the number of rows). The score of an
    alpha is averaged over the folds; a tie goes to the larger alpha. All sums are in float64.

    Parameters
    ----------
    alphas : sequence of float
        Candidates, not negative; 0 only where X has full column rank.
    cv : int or list of (train, test)
        Number of contiguous folds, or the row numbers of each. Folds of a time series are never shuffled.
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.
    fit_intercept : bool
        Whether X and Y are centred on the training rows.
    scoring : {"r2", "pearson", "neg_mse"}
        What is maximised.
    solver : {"auto", "primal", "kernel"}
        Decomposition of X'X (n_features squared) or XX' (n_rows squared); the smaller one where ``auto``.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    edge_tolerance : float
        The share of targets at an edge of the grid above which ``AlphaEdgeWarning`` is given.

    Attributes
    ----------
    coef_ : array (n_targets, n_features), or (n_features,) for Y of one dim
    intercept_ : array (n_targets,), or float
    alpha_ : array (n_targets,)
    cv_scores_ : array (n_targets,)
        Score of the alpha that was chosen, averaged over the folds where it is defined; NaN for a target
        without variance. It was maximised, so it is no estimate of performance: see ``encoding.evaluate``.
    n_undefined_ : int
        Targets without a score; they get the largest alpha.
    edge_share_ : float
        Of the targets with a score, those at an edge of the grid (0 for a grid of one alpha).
    solver_, device_ : str
        What was chosen, and why; where it ran.

    References
    ----------
    Hoerl & Kennard 1970, Technometrics 12:55; Dupré la Tour et al. 2022, NeuroImage 264:119728 (an alpha for
    every target).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 2))
    >>> Y = X @ np.array([[1.0], [2.0]]) + rng.standard_normal((200, 1))
    >>> model = RidgeCV(alphas=[0.01, 1.0, 100.0]).fit(X, Y)
    >>> model.coef_.round().tolist(), model.alpha_.tolist()
    ([[1.0, 2.0]], [1.0])
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        cv: Any = 5,
        purge: int = 0,
        fit_intercept: bool = True,
        scoring: str = "r2",
        solver: str = "auto",
        device: str = "auto",
        edge_tolerance: float = 0.1,
    ) -> None:
        self.alphas = alphas
        self.cv = cv
        self.purge = purge
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.solver = solver
        self.device = device
        self.edge_tolerance = edge_tolerance

    def fit(self, X: Any, Y: Any) -> RidgeCV:
        """Choose an alpha for each target and fit it to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features)
        Y : array (n_rows, n_targets) or (n_rows,)
            Where both are DataArrays their rows must carry the same labels in the same order.

        Raises
        ------
        ShapeError
            If rows differ in number or there are none.
        LabelError
            If labelled rows differ.
        InvalidValueError
            If a value is not finite, an alpha is negative, or alpha is 0 and X has not full rank.
        """
        for value, allowed, name in ((self.scoring, SCORINGS, "scoring"), (self.solver, SOLVERS, "solver")):
            if value not in allowed:
                raise choice(value, allowed, name=name)
        alphas = _checked_alphas(self.alphas)
        x, y, one = _checked_data(X, Y)
        splits = self._splits(len(x))
        constant = is_constant(y)
        x_mean, y_mean = self._means(x), self._means(y)
        y_centred = np.where(constant & self.fit_intercept, 0.0, y - y_mean)
        kernel = self._choose(*x.shape)
        problem = Problem.of(
            x - x_mean,
            y_centred,
            alphas,
            kernel=kernel,
            intercept=self.fit_intercept,
            device=self.device_,
        )
        scores, _ = cross_validate(problem, splits, self.scoring)
        scores[:, constant] = np.nan
        best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=0)
        coef = refit(problem, best)
        self._store(coef, y_mean - coef @ x_mean, alphas[best], scores[best, np.arange(len(best))], one)
        self._report_edges(alphas)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        check_is_fitted(self)
        x = as_float(X, name="X", ndim=2)
        if x.shape[1] != self.n_features_in_:
            raise ShapeError(f"X must have the {self.n_features_in_} features of fit; got {x.shape[1]}.")
        return x @ self.coef_.T + self.intercept_

    def _means(self, x: np.ndarray) -> np.ndarray:
        return x.mean(axis=0) if self.fit_intercept else np.zeros(x.shape[1])

    def _splits(self, n: int) -> Splits:
        if isinstance(self.cv, int | np.integer):
            return contiguous_splits(n, int(self.cv), purge=self.purge)
        return check_splits(self.cv, n)

    def _choose(self, n: int, p: int) -> bool:
        kernel = self.solver == "kernel" or (self.solver == "auto" and p > n)
        why = f"{p} features, {n} rows" if self.solver == "auto" else "asked for"
        self.solver_ = f"{'kernel' if kernel else 'primal'} ({why})"
        self.device_ = str(pick_device(self.device))
        return kernel

    def _store(
        self, coef: np.ndarray, intercept: np.ndarray, alpha: np.ndarray, scores: np.ndarray, one: bool
    ) -> None:
        self.n_features_in_ = coef.shape[1]
        self.coef_ = coef[0] if one else coef
        self.intercept_ = float(intercept[0]) if one else intercept
        self.alpha_, self.cv_scores_ = alpha, scores
        self.n_undefined_ = int(np.isnan(scores).sum())

    def _report_edges(self, alphas: np.ndarray) -> None:
        chosen = self.alpha_[~np.isnan(self.cv_scores_)]
        at_edge = (chosen == alphas.min()) | (chosen == alphas.max())
        self.edge_share_ = float(at_edge.mean()) if len(alphas) > 1 and len(chosen) else 0.0
        if self.edge_share_ > self.edge_tolerance:
            warnings.warn(
                f"{self.edge_share_:.0%} of {len(chosen)} targets chose an alpha at an edge of the grid "
                f"({alphas.min():g} to {alphas.max():g}); widen it, or raise edge_tolerance.",
                AlphaEdgeWarning,
                stacklevel=3,
            )


def _checked_alphas(alphas: Any) -> np.ndarray:
    """Return the alphas in decreasing order, so that the first maximum is the larger alpha."""
    values = np.atleast_1d(as_float(alphas, name="alphas", ndim=(0, 1), finite=False))
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if bad.size:
        raise InvalidValueError(
            f"alphas must be non-negative and finite; got {values[bad[0]]} at position {bad[0]}."
        )
    if not values.size:
        raise InvalidValueError("alphas must hold at least one value; got none.")
    return np.unique(values)[::-1].copy()


def _checked_data(X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    x, y = as_float(X, name="X", ndim=2), as_float(Y, name="Y", ndim=(1, 2))
    if len(x) != len(y):
        raise ShapeError(f"X and Y must have the same rows; got {len(x)} and {len(y)}.")
    if not x.size or not y.size or len(x) < 2:
        raise ShapeError(f"X and Y need at least 2 rows and a column; got shapes {x.shape} and {y.shape}.")
    if isinstance(X, xr.DataArray) and isinstance(Y, xr.DataArray):
        dim = X.dims[0]
        if Y.dims[0] != dim or (dim in X.coords) != (dim in Y.coords):
            raise LabelError(f"X and Y must share the labels of their rows; got {X.dims} and {Y.dims}.")
        if dim in X.coords and not np.array_equal(X[dim].values, Y[dim].values):
            raise LabelError(f"rows of X and Y carry other labels of {dim!r}; see schema.align.")
    return x, y.reshape(len(y), -1), y.ndim == 1
