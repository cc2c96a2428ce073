"""Ridge regression with weights that are not negative, and an alpha for every target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from ..arrays import pick_device, to_numpy, to_torch
from ..errors import InvalidValueError, choice
from ..stats import is_constant
from .checks import ALPHAS, checked_alphas, checked_data, checked_features, checked_folds
from .linear import centred
from .pivoting import nonnegative_ridge
from .selection import SCORINGS, best_of, edge_share, mean_over_folds
from .splits import Splits

if TYPE_CHECKING:
    import torch

__all__ = ["NonNegativeRidgeCV"]

EPS = float(np.finfo(np.float64).eps)


class NonNegativeRidgeCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Ridge regression with weights that are not negative, and an alpha for each target by cross-validation.

    For each target y, with X and y centred,

    .. math:: \hat w = \arg\min_{w \ge 0} |y - X w|^2 + \alpha |w|^2

    ``NonNegativeRidgeCV(0, cv=None)`` is non-negative least squares. All targets share one Gram matrix, so
    that the number of rows hardly matters; but each target, fold and alpha solves systems in its own free
    features, which suits up to a few hundred features. The score of an alpha is averaged over the folds; a
    tie goes to the larger alpha. All sums are in float64.

    Parameters
    ----------
    alphas : float or sequence of float
        Candidates, not negative; 0 only where X has full column rank.
    cv : int, list of (train, test), splitter, or None
        Number of contiguous folds, the row numbers of each, or an object of scikit-learn with ``split``,
        which is given ``groups``. None where there is one alpha: nothing is chosen or scored.
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.
    fit_intercept : bool
        Whether X and Y are centred on the training rows; the intercept may be negative.
    scoring : {"r2", "pearson", "neg_mse"}
        What is maximised.
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
        without variance, and for all where ``cv`` is None. It was maximised, so it is no estimate of
        performance: see ``encoding.evaluate``.
    n_undefined_ : int
        Targets without a score; they get the largest alpha.
    edge_share_ : float
        Of the targets with a score, those at an edge of the grid (0 for a grid of one alpha).
    device_ : str
        Where it ran.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    >>> model = NonNegativeRidgeCV(0, cv=None).fit(X, X @ np.array([2.0, -1.0]))
    >>> model.coef_.round(6).tolist(), round(model.intercept_, 6)
    ([2.0, 0.0], -0.5)
    """

    def __init__(
        self,
        alphas: float | Sequence[float] = ALPHAS,
        *,
        cv: Any = 5,
        purge: int = 0,
        fit_intercept: bool = True,
        scoring: str = "r2",
        device: str = "auto",
        edge_tolerance: float = 0.1,
    ) -> None:
        self.alphas = alphas
        self.cv = cv
        self.purge = purge
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.device = device
        self.edge_tolerance = edge_tolerance

    def fit(self, X: Any, Y: Any = None, *, groups: Any = None) -> NonNegativeRidgeCV:
        """Choose an alpha for each target and fit it to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features)
        Y : array (n_rows, n_targets) or (n_rows,)
            Where both are DataArrays their rows must carry the same labels in the same order.
        groups : array (n_rows,), optional
            Given to the splitter ``cv``.

        Raises
        ------
        ShapeError, LabelError, InvalidValueError
            As ``checks.checked_data``.
        InvalidValueError
            If an alpha is negative, or alpha is 0 and the features of any training part have not full rank.
        """
        if self.scoring not in SCORINGS:
            raise choice(self.scoring, SCORINGS, name="scoring")
        alphas = checked_alphas(self.alphas)
        x, y, one = checked_data(X, Y)
        validate_data(self, X, skip_check_array=True)
        splits = checked_folds(self.cv, len(x), n_candidates=len(alphas), purge=self.purge, groups=groups)
        self.device_ = str(pick_device(self.device))
        scores = self._scores(x, y, alphas, splits)
        best = best_of(scores)
        coef, intercept = self._refit(x, y, alphas, best)
        self.coef_ = coef[0] if one else coef
        self.intercept_ = float(intercept[0]) if one else intercept
        self.alpha_ = alphas[best]
        self.cv_scores_ = scores[best, np.arange(len(best))]
        known = ~np.isnan(self.cv_scores_)
        self.n_undefined_ = int((~known).sum())
        self.edge_share_ = edge_share(
            alphas, self.alpha_[known], tolerance=self.edge_tolerance, what="targets"
        )
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        return checked_features(self, X) @ self.coef_.T + self.intercept_

    def _scores(self, x: np.ndarray, y: np.ndarray, alphas: np.ndarray, splits: Splits) -> np.ndarray:
        folds = [np.full((len(alphas), y.shape[1]), np.nan)]
        for train, test in splits:
            normal = self._normal(x[train], y[train], alphas)
            free, scores = None, []
            for alpha in alphas:
                weights, free = nonnegative_ridge(normal.gram, normal.cross, float(alpha), start=free)
                prediction = (x[test] - normal.x_mean) @ to_numpy(weights) + normal.y_mean
                scores.append(SCORINGS[self.scoring](y[test], prediction))
            folds.append(np.stack(scores))
        return np.where(is_constant(y), np.nan, mean_over_folds(folds))

    def _refit(
        self, x: np.ndarray, y: np.ndarray, alphas: np.ndarray, best: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        normal = self._normal(x, y, alphas)
        coef = np.empty((y.shape[1], x.shape[1]))
        for i in np.unique(best):
            mine = np.flatnonzero(best == i)
            cross = to_torch(to_numpy(normal.cross)[:, mine], device=self.device_)
            coef[mine] = to_numpy(nonnegative_ridge(normal.gram, cross, float(alphas[i]))[0]).T
        return coef, normal.y_mean - coef @ normal.x_mean

    def _normal(self, x: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> Normal:
        normal = Normal.of(x, y, intercept=self.fit_intercept, device=self.device_)
        if alphas.min() == 0:
            _refuse_zero_alpha(normal.gram, len(x))
        return normal


class Normal(NamedTuple):
    """The normal equations of a set of training rows, on their device."""

    gram: torch.Tensor  # (n_features, n_features)
    cross: torch.Tensor  # (n_features, n_targets)
    x_mean: np.ndarray
    y_mean: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, Y: np.ndarray, *, intercept: bool, device: str) -> Normal:
        (X, x_mean), (Y, y_mean) = centred(X, intercept), centred(Y, intercept)
        x, y = to_torch(X, device=device), to_torch(Y, device=device)
        return cls(x.T @ x, x.T @ y, x_mean, y_mean)


def _refuse_zero_alpha(gram: torch.Tensor, n: int) -> None:
    import torch

    values, p = torch.linalg.eigvalsh(gram), len(gram)
    rank = int((values > values[-1] * p * EPS).sum())
    if rank < p:
        raise InvalidValueError(
            f"alpha 0 needs features of full rank; {n} training rows have rank {rank} of {p} features. "
            "Take 0 out of alphas."
        )
