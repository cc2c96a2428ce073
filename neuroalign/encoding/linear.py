"""Least squares of a stated rank, with standard errors for independent errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from ..errors import InvalidValueError, choice
from ..stats import is_constant
from .checks import checked_data, checked_features

__all__ = ["OLS", "RANK_DEFICIENT", "centred"]

RANK_DEFICIENT = ("refuse", "minimum-norm")
EPS = float(np.finfo(np.float64).eps)


class OLS(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Ordinary least squares by a singular value decomposition of the features, in float64.

    Parameters
    ----------
    fit_intercept : bool
        Whether X and Y are centred.
    rank_deficient : {"refuse", "minimum-norm"}
        What is done where the (centred) features have not full column rank, so that many weights fit equally
        well: an error, or the weights of smallest length.
    standard_errors : bool
        Whether standard errors and t are computed. They hold for errors that are independent and of equal
        variance. Those of a time series are not: autocorrelated errors make standard errors too small and t
        too large, so test such a series with ``stats.permutation`` of blocks instead.

    Attributes
    ----------
    coef_ : array (n_targets, n_features), or (n_features,) for Y of one dim
    intercept_ : array (n_targets,), or float
    rank_ : int
        Of the (centred) features: singular values above ``max(X.shape)`` times the machine's precision times
        the largest one.
    dof_ : int
        Rows less the rank and the intercept.
    standard_errors_, t_ : arrays of the shape of ``coef_``, where asked for
        :math:`s \sqrt{(X'X)^{-1}_{jj}}` with :math:`s^2` the residual sum of squares over ``dof_``, and
        ``coef_ / standard_errors_``. NaN for a target without variance, and where ``dof_`` is 0.
    n_undefined_ : int
        Targets without standard errors, where asked for.

    Examples
    --------
    >>> model = OLS().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(6).tolist(), round(model.intercept_, 6), model.rank_, model.dof_
    ([2.0], 1.0, 1, 1)
    """

    def __init__(
        self, *, fit_intercept: bool = True, rank_deficient: str = "refuse", standard_errors: bool = False
    ) -> None:
        self.fit_intercept = fit_intercept
        self.rank_deficient = rank_deficient
        self.standard_errors = standard_errors

    def fit(self, X: Any, Y: Any) -> OLS:
        """Fit weights to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features)
        Y : array (n_rows, n_targets) or (n_rows,)
            Where both are DataArrays their rows must carry the same labels in the same order.

        Raises
        ------
        ShapeError, LabelError, InvalidValueError
            As ``checks.checked_data``.
        InvalidValueError
            If the rank is not full and a deficient one is refused, or standard errors are asked for.
        """
        if self.rank_deficient not in RANK_DEFICIENT:
            raise choice(self.rank_deficient, RANK_DEFICIENT, name="rank_deficient")
        x, y, one = checked_data(X, Y)
        validate_data(self, X, skip_check_array=True)
        x, x_mean = centred(x, self.fit_intercept)
        targets, y_mean = centred(y, self.fit_intercept)
        left, values, right = np.linalg.svd(x, full_matrices=False)
        self.rank_ = int((values > values[0] * max(x.shape) * EPS).sum())
        self.dof_ = len(x) - self.rank_ - int(self.fit_intercept)
        self._refuse_rank(x)
        kept = slice(self.rank_)
        inverse = right[kept].T / values[kept]
        coef = (inverse @ (left[:, kept].T @ targets)).T
        self.coef_ = coef[0] if one else coef
        intercept = y_mean - coef @ x_mean
        self.intercept_ = float(intercept[0]) if one else intercept
        if self.standard_errors:
            unknown = is_constant(y) & self.fit_intercept
            self._store_errors(targets - x @ coef.T, inverse, unknown)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        return checked_features(self, X) @ self.coef_.T + self.intercept_

    def _refuse_rank(self, x: np.ndarray) -> None:
        n, p = x.shape
        if self.rank_ == p or (self.rank_deficient == "minimum-norm" and not self.standard_errors):
            return
        if self.rank_deficient == "minimum-norm":
            raise InvalidValueError(
                f"standard errors need features of full rank; {n} rows have rank {self.rank_} of {p} "
                "features. Drop features, or pass standard_errors=False."
            )
        raise InvalidValueError(
            f"least squares needs features of full rank; {n} rows have rank {self.rank_} of {p} features. "
            "Drop features, penalise them with RidgeCV, or pass rank_deficient='minimum-norm'."
        )

    def _store_errors(self, residuals: np.ndarray, inverse: np.ndarray, unknown: np.ndarray) -> None:
        variance = (residuals**2).sum(axis=0) / self.dof_ if self.dof_ > 0 else np.full(len(unknown), np.nan)
        variance = np.where(unknown, np.nan, variance)
        errors = np.sqrt(variance[:, None] * (inverse**2).sum(axis=1)).reshape(self.coef_.shape)
        self.n_undefined_ = int(np.isnan(variance).sum())
        self.standard_errors_ = errors
        self.t_ = np.divide(self.coef_, errors, out=np.full_like(errors, np.nan), where=errors > 0)


def centred(values: np.ndarray, intercept: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return columns less their means, exactly 0 where constant, and the means; 0 without an intercept."""
    if not intercept:
        return values, np.zeros(values.shape[1])
    mean = values.mean(axis=0)
    return np.where(is_constant(values), 0.0, values - mean), mean
