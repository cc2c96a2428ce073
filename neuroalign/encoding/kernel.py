"""Kernel ridge regression with an alpha for every target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import pairwise_kernels

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .checks import ALPHAS
from .fitting import fit_targets
from .ridge import BaseRidgeCV, linear_prediction

__all__ = ["KernelRidgeCV"]

ASYMMETRY = 1e-8


class KernelRidgeCV(BaseRidgeCV):
    r"""Kernel ridge regression that picks an alpha for each target by cross-validation.

    Predictions are :math:`\sum_i k(x, x_i) d_i` plus an intercept. For each target y,

    .. math:: \hat d = (K + \alpha I)^{-1} y

    with K and y centred on the training rows where there is an intercept. With a linear kernel this is
    ``RidgeCV`` with ``solver="kernel"``, weight for weight.

    Parameters
    ----------
    alphas : sequence of float
        Candidates, not negative, in any order.
    kernel : str or callable
        ``"linear"``, ``"precomputed"`` (X is the kernel of the rows), another name of
        ``sklearn.metrics.pairwise.pairwise_kernels``, or ``kernel(X, Z)`` that returns (n_x, n_z).
    kernel_params : dict, optional
        Passed to a kernel that is named, such as ``{"gamma": 0.1}``.
    cv, purge, fit_intercept, scoring, decomposition, dtype, compress, tf32, shared_alpha, missing : object
        As in ``RidgeCV``. A kernel that is not linear is computed with in float64.
    target_block, device, edge_tolerance : object
        As in ``RidgeCV``.

    Attributes
    ----------
    dual_coef_ : array (n_rows, n_targets), or (n_rows,) for Y of one dim
        Weights of the rows; 0 for a row that a target misses.
    coef_ : array (n_targets, n_features), or (n_features,)
        With a linear kernel only.
    intercept_, alpha_, cv_scores_, n_undefined_, n_missing_, edge_share_, solver_, device_, report_
        As in ``RidgeCV``.

    References
    ----------
    Saunders, Gammerman & Vovk 1998, ICML 515 (ridge regression in dual variables).

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((20, 50))
    >>> Y = X[:, :2] + 0.1
    >>> model = KernelRidgeCV([0.1, 1.0], edge_tolerance=1).fit(X, Y)
    >>> model.dual_coef_.shape, bool(np.allclose(model.coef_, model.dual_coef_.T @ (X - X.mean(axis=0))))
    ((20, 2), True)
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        kernel: str | Callable[[np.ndarray, np.ndarray], np.ndarray] = "linear",
        kernel_params: dict[str, Any] | None = None,
        cv: Any = 5,
        purge: int = 0,
        fit_intercept: bool = True,
        scoring: str = "r2",
        decomposition: str = "auto",
        dtype: str = "auto",
        compress: Any = "auto",
        tf32: bool = False,
        shared_alpha: bool = False,
        missing: str = "refuse",
        target_block: int | None = None,
        device: str = "auto",
        edge_tolerance: float = 0.1,
    ) -> None:
        self.alphas = alphas
        self.kernel = kernel
        self.kernel_params = kernel_params
        self.cv = cv
        self.purge = purge
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.decomposition = decomposition
        self.dtype = dtype
        self.compress = compress
        self.tf32 = tf32
        self.shared_alpha = shared_alpha
        self.missing = missing
        self.target_block = target_block
        self.device = device
        self.edge_tolerance = edge_tolerance

    def fit(self, X: Any, Y: Any = None, *, groups: Any = None) -> KernelRidgeCV:
        """Choose an alpha for each target and fit it to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features), or (n_rows, n_rows) where precomputed
        Y : array (n_rows, n_targets) or (n_rows,)
        groups : array (n_rows,), optional
            Given to the splitter ``cv``.

        Raises
        ------
        ShapeError, LabelError, InvalidValueError, FileError
            As ``RidgeCV.fit``; also if a kernel is not square or not symmetric.
        """
        x, targets = self._data(X, Y)
        linear = self._is("linear")
        job = self._job(x, targets, groups, dual=True, precomputed=not linear)
        if not linear:
            job = job._replace(wishes=job.wishes._replace(dtype="float64"))
        fit = fit_targets(x if linear else _checked_kernel(self._kernel(x, x)), targets, job)
        self._finish(fit, job, targets.one)
        if not linear:
            del self.coef_
        dual = np.asarray(fit.dual)
        self.dual_coef_ = dual[:, 0] if targets.one else dual
        self.X_fit_ = None if linear or self._is("precomputed") else x
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim.

        With a precomputed kernel X is that of the new rows with those of the fit.
        """
        x = self._features(X)
        if self._is("linear"):
            return linear_prediction(x, self.coef_, self.intercept_)
        return self._kernel(x, self.X_fit_) @ self.dual_coef_ + self.intercept_

    def _is(self, name: str) -> bool:
        return isinstance(self.kernel, str) and self.kernel == name

    def _kernel(self, x: np.ndarray, z: np.ndarray | None) -> np.ndarray:
        if self._is("precomputed"):
            return x.astype(np.float64, copy=False)
        if callable(self.kernel):
            found = as_float(self.kernel(x, x if z is None else z), name="kernel(X, Z)", ndim=2)
            if found.shape != (len(x), len(z if z is not None else x)):
                raise ShapeError(
                    f"kernel(X, Z) must return {(len(x), len(x if z is None else z))}; got {found.shape}."
                )
            return found
        try:
            return pairwise_kernels(x, z, metric=self.kernel, **(self.kernel_params or {}))
        except ValueError as error:
            raise InvalidValueError(f"kernel {self.kernel!r} cannot be computed: {error}") from error

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self._is("precomputed")
        return tags


def _checked_kernel(K: np.ndarray) -> np.ndarray:
    if K.shape[0] != K.shape[1]:
        raise ShapeError(f"a kernel of the rows must be square; got {K.shape}.")
    gap = float(np.abs(K - K.T).max())
    if gap > ASYMMETRY * max(float(np.abs(K).max()), np.finfo(np.float64).tiny):
        raise InvalidValueError(
            f"a kernel of the rows must be symmetric; K and its transpose differ by {gap:g}."
        )
    return K
