"""Ridge regression of many small problems at once: a few rows each, with their own design."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..arrays import as_float, pick_device
from ..errors import InvalidValueError, ShapeError
from .batches import solve_contexts
from .checks import ALPHAS, checked_alphas
from .selection import best_of, edge_share

__all__ = ["BatchedRidge"]


class BatchedRidge(BaseEstimator):
    r"""Ridge regression in every context, each with its own rows, design and alpha.

    A context is one target with few rows, such as a voxel of which a subject saw 10 to 500 images. With x and
    y of the context centred,

    .. math:: \hat w = \arg\min_w |y - X w|^2 + \alpha |w|^2

    and alpha is the one whose leave-one-out predictions have the largest R2, in closed form: the error of row
    i is :math:`(y - \hat y)_i / (1 - h_{ii})`, with H the hat matrix, intercept included. A tie goes to the
    larger alpha. One batched eigendecomposition of X'X or XX', whichever is smaller, serves all alphas;
    contexts of like size are padded and solved together. All sums are in float64.

    Parameters
    ----------
    alphas : float or sequence of float
        Candidates, not negative; 0 only where each context's features have full column rank.
    fit_intercept : bool
        Whether each context is centred.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    edge_tolerance : float
        The share of contexts at an edge of the grid above which ``AlphaEdgeWarning`` is given.

    Attributes
    ----------
    coef_ : array (n_contexts, n_features)
    intercept_ : array (n_contexts,)
    alpha_ : array (n_contexts,)
    cv_scores_ : array (n_contexts,)
        Leave-one-out R2 of the alpha that was chosen, :math:`1 - \sum e_i^2 / \sum (y_i - \bar y)^2` with the
        mean of all rows. NaN where y is constant, and for 2 rows and an intercept, whose leave-one-out
        predictions depend on nothing but the other row. It was maximised over alphas, so it is no estimate of
        performance where there are several. (A correlation is not offered: that of leave-one-out predictions
        is biased towards -1.)
    scores_ : array (n_contexts, n_alphas)
        The same for every alpha of ``alphas_``; NaN also where some row alone determines its fit.
    alphas_ : array (n_alphas,)
        In decreasing order.
    n_rows_ : array (n_contexts,)
    n_undefined_ : int
        Contexts without a score; they get the largest alpha.
    edge_share_ : float
        Of the contexts with a score, those at an edge of the grid (0 for a grid of one alpha).
    device_ : str
        Where it ran.

    References
    ----------
    Allen (1974), Technometrics 16, 125-127; Rifkin & Lippert (2007), MIT-CSAIL-TR-2007-025, section 3 (the
    closed form for every alpha).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> images = rng.standard_normal((500, 20))
    >>> rows = [rng.choice(500, size, replace=False) for size in (15, 40, 200)]
    >>> Y = [images[seen] @ np.ones(20) + rng.standard_normal(len(seen)) for seen in rows]
    >>> model = BatchedRidge(np.logspace(-2, 3, 6)).fit(images, Y, rows=rows)
    >>> model.coef_.shape, model.predict(images).shape, (model.cv_scores_ > 0.5).tolist()
    ((3, 20), (3, 500), [False, True, True])
    """

    def __init__(
        self,
        alphas: float | Sequence[float] = ALPHAS,
        *,
        fit_intercept: bool = True,
        device: str = "auto",
        edge_tolerance: float = 0.1,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.device = device
        self.edge_tolerance = edge_tolerance

    def fit(self, X: Any, Y: Any, *, rows: Sequence[Any] | None = None) -> BatchedRidge:
        """Choose an alpha for each context and fit it to all its rows.

        Parameters
        ----------
        X : array (n_contexts, n_rows, n_features), or list of arrays (n_rows, n_features)
            The design of each context; or, with ``rows``, one array (n_all_rows, n_features).
        Y : array (n_contexts, n_rows), or list of arrays (n_rows,)
        rows : list of int arrays (n_rows,), optional
            The rows of X that each context saw, in the order of its Y. A row may come more than once.

        Raises
        ------
        ShapeError
            If contexts of X, Y and rows differ in number or size, or a context has fewer than 2 rows.
        InvalidValueError
            If a value is not finite, a row number is out of range, an alpha is negative, or alpha is 0 and
            the features of a context have not full rank.
        """
        alphas = checked_alphas(self.alphas)
        design, rows = _design(X, rows)
        targets = _targets(Y, rows)
        self.device_ = str(pick_device(self.device))
        solved = solve_contexts(
            design, rows, targets, alphas, intercept=self.fit_intercept, choose=best_of, device=self.device_
        )
        self.coef_, self.intercept_, self.scores_, best = solved
        self.alphas_, self.alpha_ = alphas, alphas[best]
        self.n_features_in_ = design.shape[1]
        self.n_rows_ = np.array([len(row) for row in rows])
        self.cv_scores_ = self.scores_[np.arange(len(rows)), best]
        known = ~np.isnan(self.cv_scores_)
        self.n_undefined_ = int((~known).sum())
        self.edge_share_ = edge_share(
            alphas, self.alpha_[known], tolerance=self.edge_tolerance, what="contexts"
        )
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_contexts, n_rows).

        Parameters
        ----------
        X : array (n_rows, n_features) or (n_contexts, n_rows, n_features)
            The same rows for every context, or rows of each.
        """
        check_is_fitted(self)
        x = as_float(X, name="X", ndim=(2, 3))
        if x.shape[-1] != self.n_features_in_:
            raise ShapeError(f"X must have the {self.n_features_in_} features of fit; got {x.shape[-1]}.")
        if x.ndim == 2:
            return self.coef_ @ x.T + self.intercept_[:, None]
        if len(x) != len(self.coef_):
            raise ShapeError(f"X must have the {len(self.coef_)} contexts of fit; got {len(x)}.")
        return (x @ self.coef_[:, :, None])[:, :, 0] + self.intercept_[:, None]


def _design(X: Any, rows: Sequence[Any] | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return all rows (n_all_rows, n_features) and each context's row numbers."""
    if rows is not None:
        x = as_float(X, name="X", ndim=2)
        return x, [_checked_rows(row, len(x), c) for c, row in enumerate(rows)]
    if isinstance(X, np.ndarray) and X.dtype != object:
        x = as_float(X, name="X", ndim=3)
        n, size, p = x.shape
        return x.reshape(-1, p), list(np.arange(n * size).reshape(n, size))
    parts = [as_float(part, name=f"X[{c}]", ndim=2) for c, part in enumerate(X)]
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) != 1:
        raise ShapeError(f"X must have the same features in at least one context; got widths {widths}.")
    ends = np.cumsum([len(part) for part in parts])
    return np.concatenate(parts), np.split(np.arange(ends[-1]), ends[:-1])


def _checked_rows(row: Any, n: int, context: int) -> np.ndarray:
    found = np.asarray(row)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise InvalidValueError(
            f"rows[{context}] must be row numbers (n_rows,); got {found.dtype} {found.shape}."
        )
    if found.size and (found.min() < 0 or found.max() >= n):
        raise InvalidValueError(f"rows[{context}] must be 0 to {n - 1}; got {found.min()} to {found.max()}.")
    return found.astype(np.int64)


def _targets(Y: Any, rows: list[np.ndarray]) -> list[np.ndarray]:
    """Return each context's targets, after checking their number against the rows."""
    targets = [as_float(part, name=f"Y[{c}]", ndim=1) for c, part in enumerate(Y)]
    if len(targets) != len(rows) or not rows:
        raise ShapeError(
            f"X and Y must have the same contexts, at least one; got {len(rows)} and {len(targets)}."
        )
    for c, (row, y) in enumerate(zip(rows, targets, strict=True)):
        if len(row) != len(y):
            raise ShapeError(f"context {c}: X and Y must have the same rows; got {len(row)} and {len(y)}.")
        if len(row) < 2:
            raise ShapeError(f"context {c} needs at least 2 rows; got {len(row)}.")
    return targets
