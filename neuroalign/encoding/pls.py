"""Partial least squares with a number of components for every target; one fit serves all numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from ..errors import InvalidValueError, choice
from ..stats import is_constant
from .checks import checked_data, checked_features, checked_folds
from .selection import SCORINGS, best_of, mean_over_folds
from .splits import Splits

__all__ = ["N_COMPONENTS", "PLSCV", "PLSPath"]

N_COMPONENTS = (1, 2, 5, 10, 15, 20, 25)
# What is this small a share of its beginning is rounding that deflation has left.
EXHAUSTED = 1e-10
# Up to so many columns all eigenvectors cost less than Lanczos steps.
FEW = 64


class PLSCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """PLS2 regression that picks its number of components by cross-validation, for each target or for all.

    Components are shared: each is the direction in which what is left of the features covaries most with all
    targets together, the first singular vector of their cross-covariance. The power iterations of NIPALS
    (scikit-learn's ``PLSRegression``) approach them from the first target and stop early; here they are
    exact, and the order of the targets changes nothing. They are nested too, the first k of a fit being the
    fit of k components, so that each fold is fitted once, with the largest number. A tie goes to fewer
    components.

    Parameters
    ----------
    n_components : int or sequence of int
        Candidates. Brain-Score's is ``PLSCV(25, cv=None, scale=False)``.
    cv : int, list of (train, test), splitter, or None
        Number of contiguous folds, the row numbers of each, or an object of scikit-learn with ``split``,
        which is given ``groups``. Folds of a time series are never shuffled. None where there is one
        candidate: nothing is chosen or scored.
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.
    scoring : {"r2", "pearson", "neg_mse"}
        What is maximised.
    shared : bool
        Whether all targets take the number with the best mean score over the targets.
    scale : bool
        Whether features and targets are divided by their standard deviation in the training rows; they are
        always centred.

    Attributes
    ----------
    coef_ : array (n_targets, n_features), or (n_features,) for Y of one dim
    intercept_ : array (n_targets,), or float
    n_components_ : array (n_targets,), or int where ``shared``
    cv_scores_ : array (n_targets,)
        Score of the number that was chosen, averaged over the folds where it is defined; NaN for a target
        without variance, and for all where ``cv`` is None. It was maximised, so it is no estimate of
        performance: see ``encoding.evaluate``.
    n_undefined_ : int
        Targets without a score; where numbers are chosen they get the smallest.
    path_ : PLSPath
        The fit to all rows, from which predictions of every smaller number follow.

    References
    ----------
    Wegelin (2000), A survey of partial least squares methods, University of Washington, section 4.1;
    Schrimpf et al. (2018), bioRxiv 407007 (25 components).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 6))
    >>> Y = X @ rng.standard_normal((6, 2)) + rng.standard_normal((100, 2))
    >>> model = PLSCV([1, 2, 3]).fit(X, Y)
    >>> model.n_components_.tolist(), model.coef_.shape
    ([3, 3], (2, 6))
    """

    def __init__(
        self,
        n_components: int | Sequence[int] = N_COMPONENTS,
        *,
        cv: Any = 5,
        purge: int = 0,
        scoring: str = "r2",
        shared: bool = False,
        scale: bool = True,
    ) -> None:
        self.n_components = n_components
        self.cv = cv
        self.purge = purge
        self.scoring = scoring
        self.shared = shared
        self.scale = scale

    def fit(self, X: Any, Y: Any = None, *, groups: Any = None) -> PLSCV:
        """Choose the number of components and fit them to all rows.

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
            If a number of components is not positive, or larger than the rank of the features of any training
            part.
        """
        if self.scoring not in SCORINGS:
            raise choice(self.scoring, SCORINGS, name="scoring")
        counts = _checked_counts(self.n_components)
        x, y, one = checked_data(X, Y)
        validate_data(self, X, skip_check_array=True)
        splits = checked_folds(self.cv, len(x), n_candidates=len(counts), purge=self.purge, groups=groups)
        scores = self._scores(x, y, counts, splits)
        best = best_of(scores)
        if self.shared:
            best = np.full_like(best, best_of(mean_over_folds(list(scores.T))[:, None])[0])
        self.path_ = self._path(x, y, int(counts[best].max()))
        coef = self.path_.coef(counts[best])
        intercept = self.path_.y_mean - coef @ self.path_.x_mean
        self.coef_ = coef[0] if one else coef
        self.intercept_ = float(intercept[0]) if one else intercept
        self.n_components_ = int(counts[best[0]]) if self.shared else counts[best]
        self.cv_scores_ = scores[best, np.arange(len(best))]
        self.n_undefined_ = int(np.isnan(self.cv_scores_).sum())
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        return checked_features(self, X) @ self.coef_.T + self.intercept_

    def _scores(self, x: np.ndarray, y: np.ndarray, counts: np.ndarray, splits: Splits) -> np.ndarray:
        folds = [np.full((len(counts), y.shape[1]), np.nan)]
        for train, test in splits:
            path = self._path(x[train], y[train], int(counts[-1]))
            found = path.predictions(x[test], counts)
            folds.append(np.stack([SCORINGS[self.scoring](y[test], prediction) for prediction in found]))
        return np.where(is_constant(y), np.nan, mean_over_folds(folds))

    def _path(self, x: np.ndarray, y: np.ndarray, n_components: int) -> PLSPath:
        return PLSPath.of(x, y, n_components, scale=self.scale)


class PLSPath(NamedTuple):
    """A PLS2 fit whose first k columns are the fit of k components, in the units of the features and targets.

    ``prediction = y_mean + (X - x_mean) @ rotations[:, :k] @ loadings[:, :k].T``.
    """

    rotations: np.ndarray  # (n_features, n_components)
    loadings: np.ndarray  # (n_targets, n_components)
    x_mean: np.ndarray
    y_mean: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, Y: np.ndarray, n_components: int, *, scale: bool = True) -> PLSPath:
        """Fit to X (n_rows, n_features) and Y (n_rows, n_targets).

        Raises
        ------
        InvalidValueError
            If there are more components than the rank of the centred features.
        """
        most = min(len(X) - 1, int((~is_constant(X)).sum()))
        if n_components > most:
            raise _too_many(n_components, most, X)
        (x, x_mean, x_scale), (y, y_mean, y_scale) = _standardised(X, scale), _standardised(Y, scale)
        (x, of_x), (y, of_y) = _within_rows(x), _within_rows(y)
        weights, x_loadings, y_loadings = _components(x, y, n_components, X)
        rotations = of_x @ weights @ np.linalg.pinv(x_loadings.T @ weights)
        return cls(rotations / x_scale[:, None], (of_y @ y_loadings) * y_scale[:, None], x_mean, y_mean)

    def predictions(self, X: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
        """Yield predictions (n_rows, n_targets) for each number of components; the numbers must increase."""
        scores = (X - self.x_mean) @ self.rotations
        prediction, done = np.broadcast_to(self.y_mean, (len(X), len(self.y_mean))), 0
        for count in counts:
            prediction = prediction + scores[:, done:count] @ self.loadings[:, done:count].T
            done = count
            yield prediction

    def coef(self, counts: np.ndarray) -> np.ndarray:
        """Return coefficients (n_targets, n_features), each target with its own number of components."""
        kept = np.arange(self.loadings.shape[1]) < np.asarray(counts)[:, None]
        return np.where(kept, self.loadings, 0.0) @ self.rotations.T


def _components(
    x: np.ndarray, y: np.ndarray, n_components: int, given: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights and loadings of the features, and loadings of the targets, a column a component.

    Columns are 0 from where nothing of the targets is left that the features could explain.
    """
    weights, x_loadings = np.zeros((2, x.shape[1], n_components))
    y_loadings = np.zeros((y.shape[1], n_components))
    x, y, size, spread = x.copy(), y.copy(), np.linalg.norm(x), np.linalg.norm(y)
    for k in range(n_components):
        left, rest = np.linalg.norm(x), np.linalg.norm(y)
        if rest <= EXHAUSTED * spread:
            break
        if left <= EXHAUSTED * size:
            raise _too_many(n_components, k, given)
        cross = x.T @ y
        if np.linalg.norm(cross) <= EXHAUSTED * left * rest:
            break
        weight = _first_left_vector(cross)
        score = x @ weight
        length = score @ score
        loading, target = x.T @ score / length, y.T @ score / length
        x -= np.outer(score, loading)
        y -= np.outer(score, target)
        weights[:, k], x_loadings[:, k], y_loadings[:, k] = weight, loading, target
    return weights, x_loadings, y_loadings


def _first_left_vector(cross: np.ndarray) -> np.ndarray:
    """Return the first left singular vector, through the smaller side of the matrix."""
    tall = cross.T if cross.shape[0] <= cross.shape[1] else cross
    vector = _first_right_vector(tall)
    vector = vector if tall is not cross else cross @ vector
    return vector / np.linalg.norm(vector)


def _first_right_vector(matrix: np.ndarray) -> np.ndarray:
    """Return the first right singular vector: by Lanczos steps, or by all eigenvectors where they are few."""
    n = matrix.shape[1]
    if n > FEW:
        product = LinearOperator((n, n), matvec=lambda v: matrix.T @ (matrix @ v), dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(n)
        with contextlib.suppress(ArpackNoConvergence):
            return np.asarray(eigsh(product, k=1, which="LA", v0=start)[1][:, 0])
    return np.asarray(eigh(matrix.T @ matrix, subset_by_index=[n - 1, n - 1])[1][:, 0])


def _within_rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates in as many columns as there are rows, and the basis that they are in."""
    if values.shape[1] <= values.shape[0]:
        return values, np.eye(values.shape[1])
    u, s, basis = np.linalg.svd(values, full_matrices=False)
    return u * s, basis.T


def _standardised(values: np.ndarray, scale: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centred and scaled columns, their means and scales; exactly 0 and 1 where one is constant."""
    constant = is_constant(values)
    mean = values.mean(axis=0)
    centred = np.where(constant, 0.0, values - mean)
    sd = centred.std(axis=0, ddof=1) if scale else np.ones(len(mean))
    sd = np.where(constant, 1.0, sd)
    return centred / sd, mean, sd


def _checked_counts(n_components: Any) -> np.ndarray:
    values = np.atleast_1d(np.asarray(n_components))
    if values.ndim != 1 or values.dtype.kind not in "iu" or not values.size or values.min() < 1:
        raise InvalidValueError(
            f"n_components must be a positive integer or a sequence of them; got {n_components!r}."
        )
    return np.unique(values)


def _too_many(n_components: int, most: int, X: np.ndarray) -> InvalidValueError:
    return InvalidValueError(
        f"n_components {n_components} is more than {len(X)} training rows of {X.shape[1]} features hold; "
        f"their rank is {most} at most. Pass smaller numbers of components."
    )
