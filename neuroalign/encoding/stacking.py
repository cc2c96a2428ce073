"""Stacking of feature spaces: one model a band, convex weights a target from out-of-fold errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import validate_data

from ..errors import LabelError, listing
from ..stats import is_constant
from .bands import band_of, columns_of
from .checks import checked_data, checked_features, checked_folds
from .ridge import RidgeCV
from .simplex import simplex_weights
from .splits import Splits

__all__ = ["StackingCV"]

BLOCK = 4096


class StackingCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""One model a feature space, and for each target the convex combination of them that errs least.

    Each band's model is fitted in every fold and predicts the rows held out; from these out-of-fold
    predictions :math:`\hat y_b`, all of them of training rows, the weights of a target are

    .. math:: \arg\min_w |y - \sum_b w_b \hat y_b|^2, \quad w_b \geq 0, \ \sum_b w_b = 1.

    Then the models are fitted to all rows. The weights say which band predicts; bands that predict alike
    share them arbitrarily, so they are no partition of variance: see ``variance_partitioning``.

    Parameters
    ----------
    models : estimator or mapping of band to estimator, optional
        Cloned, never fitted itself; one estimator serves every band, and models of other bands are ignored.
        ``RidgeCV()`` where None. An estimator's
        own folds must be a number, since it sees the training rows of a fold only.
    bands : sequence (n_features,) of str, or "one", optional
        The band of each feature; where None, the coordinate ``band`` of a labelled X.
    cv : int or list of (train, test)
        Number of contiguous folds, or the row numbers of each.
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.

    Attributes
    ----------
    bands_ : tuple of str
        In the order in which they first come.
    stack_weights_ : array (n_targets, n_bands)
        On the simplex; NaN for a target that is constant.
    cv_errors_ : array (n_targets, n_bands)
        Mean squared error of each band's out-of-fold predictions.
    stacked_error_ : array (n_targets,)
        That of their combination. It was minimised, so it is no estimate of performance.
    n_undefined_ : int
        Targets without weights; they are predicted by the mean over the models.
    models_ : dict of band to estimator
        Fitted to all rows.
    coef_, intercept_ : array (n_targets, n_features), array (n_targets,)
        Of the combination, where every model is linear; one dim less for Y of one dim.

    References
    ----------
    Breiman 1996, Machine Learning 24:49; Lin, Sprague & Wehbe 2022, bioRxiv 2022.06.24.497491 (of feature
    spaces, for brain maps).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 3))
    >>> Y = X[:, :1] + 0.1 * rng.standard_normal((200, 1))
    >>> model = StackingCV(RidgeCV([1.0]), bands=["a", "b", "b"]).fit(X, Y)
    >>> model.bands_, model.stack_weights_.round(2).tolist()
    (('a', 'b'), [[1.0, 0.0]])
    """

    def __init__(self, models: Any = None, *, bands: Any = None, cv: Any = 5, purge: int = 0) -> None:
        self.models = models
        self.bands = bands
        self.cv = cv
        self.purge = purge

    def fit(self, X: Any, Y: Any) -> StackingCV:
        """Learn the weights from out-of-fold predictions, then fit every model to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features)
        Y : array (n_rows, n_targets) or (n_rows,)

        Raises
        ------
        LabelError
            If bands are unknown or have no model.
        ShapeError, InvalidValueError
            As ``checks.checked_data`` and ``checks.checked_folds``.
        """
        x, y, one = checked_data(X, Y)
        validate_data(self, X, skip_check_array=True)
        columns = columns_of(band_of(X, self.bands, n_features=x.shape[1]))
        models = self._models(columns)
        self.bands_, self.columns_ = tuple(columns), columns
        splits = checked_folds(self.cv, len(x), purge=self.purge, n_candidates=max(2, len(columns)))
        products, n_tested = self._error_products(models, x, y, splits)
        weights = np.concatenate(
            [simplex_weights(products[i : i + BLOCK]) for i in range(0, len(y.T), BLOCK)]
        )
        constant = is_constant(y)
        self.stack_weights_ = np.where(constant[:, None], np.nan, weights)
        self._used = np.where(constant[:, None], 1 / len(columns), weights)
        self.n_undefined_ = int(constant.sum())
        self.cv_errors_ = np.diagonal(products, axis1=1, axis2=2) / n_tested
        self.stacked_error_ = np.einsum("tb,tbc,tc->t", self._used, products, self._used) / n_tested
        self.models_ = {name: clone(models[name]).fit(x[:, at], y) for name, at in columns.items()}
        self._one = one
        self._join(x.shape[1])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        x = checked_features(self, X)
        found = np.zeros((len(x), len(self._used)))
        for name, used in zip(self.bands_, self._used.T, strict=True):
            found += used * _predict(self.models_[name], x[:, self.columns_[name]])
        return found[:, 0] if self._one else found

    def _models(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(self.models, Mapping):
            return dict.fromkeys(columns, RidgeCV() if self.models is None else self.models)
        missing = [name for name in columns if name not in self.models]
        if missing:
            raise LabelError(
                f"models: no model for band {listing(missing)}; there are {listing(self.models)}."
            )
        return dict(self.models)

    def _error_products(
        self, models: Mapping[str, Any], x: np.ndarray, y: np.ndarray, splits: Splits
    ) -> tuple[np.ndarray, int]:
        """Return the sums of products of out-of-fold errors (n_targets, n_bands, n_bands), and their rows."""
        products, n_tested = np.zeros((y.shape[1], len(self.bands_), len(self.bands_))), 0
        for train, test in splits:
            errors = np.empty((len(self.bands_), len(test), y.shape[1]))
            for row, (name, at) in zip(errors, self.columns_.items(), strict=True):
                fitted = clone(models[name]).fit(x[np.ix_(train, at)], y[train])
                row[:] = y[test] - _predict(fitted, x[np.ix_(test, at)])
            products += np.einsum("ant,bnt->tab", errors, errors, optimize=True)
            n_tested += len(test)
        return products, n_tested

    def _join(self, n_features: int) -> None:
        """Store the weights of the features where every model has some."""
        if not all(hasattr(model, "coef_") for model in self.models_.values()):
            return
        coef, intercept = np.zeros((len(self._used), n_features)), np.zeros(len(self._used))
        for used, (name, at) in zip(self._used.T, self.columns_.items(), strict=True):
            model = self.models_[name]
            coef[:, at] = used[:, None] * np.reshape(model.coef_, (-1, len(at)))
            intercept += used * model.intercept_
        self.coef_ = coef[0] if self._one else coef
        self.intercept_ = float(intercept[0]) if self._one else intercept


def _predict(model: Any, x: np.ndarray) -> np.ndarray:
    return np.reshape(model.predict(x), (len(x), -1))
