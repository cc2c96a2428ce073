"""Ridge regression with an alpha for every target, chosen over contiguous folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from .checks import ALPHAS, AlphaEdgeWarning, checked_alphas, checked_folds, refuse_other_labels
from .choosing import SOLVERS, Wishes
from .fitting import COLUMNS, Fit, Job, fit_targets
from .rotations import SCORINGS
from .selection import edge_share
from .targets import Targets

__all__ = ["ALPHAS", "SOLVERS", "AlphaEdgeWarning", "RidgeCV"]


class BaseRidgeCV(RegressorMixin, BaseEstimator):
    """What the ridge estimators share: folds, checks, what is stored after a fit."""

    def _job(self, x: np.ndarray, targets: Targets, groups: Any, **extra: Any) -> Job:
        if self.scoring not in SCORINGS:
            raise choice(self.scoring, SCORINGS, name="scoring")
        wishes = Wishes(
            solver=getattr(self, "solver", "kernel"),
            decomposition=getattr(self, "decomposition", "auto"),
            dtype=self.dtype,
            compress=self.compress,
            tf32=self.tf32,
            target_block=self.target_block,
            device=self.device,
        )
        alphas = checked_alphas(self.alphas)
        # Scores are made for one alpha too, so that folds are always needed: at least 2 candidates.
        splits = checked_folds(
            self.cv, len(x), n_candidates=max(2, len(alphas)), purge=self.purge, groups=groups
        )
        return Job(
            alphas=alphas,
            splits=splits,
            scoring=self.scoring,
            intercept=bool(self.fit_intercept),
            shared=bool(self.shared_alpha),
            missing=self.missing,
            wishes=wishes,
            **extra,
        )

    def _data(self, X: Any, Y: Any) -> tuple[np.ndarray, Targets]:
        if Y is None:
            raise InvalidValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        x, targets = _checked_features(X), Targets(Y)
        if len(x) != targets.n_rows:
            raise ShapeError(f"X and Y must have the same rows; got {len(x)} and {targets.n_rows}.")
        if not x.shape[1] or not targets.n_targets:
            empty, shape = ("X", x.shape) if not x.shape[1] else ("Y", (targets.n_rows, 0))
            raise ShapeError(f"{empty} has 0 feature(s) (shape={shape}) while a minimum of 1 is required.")
        if len(x) < 2:
            raise ShapeError(f"X and Y need at least 2 rows; got n_samples={len(x)}.")
        refuse_other_labels(X, Y)
        validate_data(self, X if hasattr(X, "columns") else x, skip_check_array=True)
        return x, targets

    def _finish(self, fit: Fit, job: Job, one: bool) -> None:
        self.coef_ = fit.coef[0] if one and fit.coef is not None else fit.coef
        self.intercept_ = float(fit.intercept[0]) if one else fit.intercept
        self.alpha_, self.cv_scores_ = fit.alpha, fit.score
        self.n_undefined_ = int(np.isnan(fit.score).sum())
        self.n_missing_ = fit.n_missing
        self.solver_, self.report_, self.device_ = str(fit.plan), fit.report, fit.plan.device
        known = self.alpha_[~np.isnan(self.cv_scores_)]
        self.edge_share_ = edge_share(job.alphas, known, tolerance=self.edge_tolerance, what="targets")

    def _features(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        x = _checked_features(X).astype(np.float64, copy=False)
        if hasattr(X, "columns"):
            validate_data(self, X, reset=False, skip_check_array=True)
        if x.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"X must have the {self.n_features_in_} features of fit; got {x.shape[1]}. "
                f"(X has {x.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input.)"
            )
        return x

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags


class RidgeCV(BaseRidgeCV):
    r"""Ridge regression that picks an alpha for each target by cross-validation.

    For each target y, with X and y centred,

    .. math:: \hat w = \arg\min_w |y - X w|^2 + \alpha |w|^2

    (scikit-learn's convention: alpha is neither squared nor divided by the number of rows). The score of an
    alpha is averaged over the folds; a tie goes to the larger alpha. Gram matrices, their decompositions and
    the sums of scores are in float64; products with targets are in float32 where X and Y are.

    Parameters
    ----------
    alphas : sequence of float
        Candidates, not negative, in any order; 0 only where X has full column rank.
    cv : int, list of (train, test), or splitter
        Number of contiguous folds, the row numbers of each, or an object of scikit-learn with ``split``,
        which is given ``groups``. Folds of a time series are never shuffled.
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.
    fit_intercept : bool
        Whether X and Y are centred on the training rows.
    scoring : {"r2", "pearson", "neg_mse"}
        What is maximised.
    solver : {"auto", "primal", "kernel"}
        Decomposition of X'X (n_features squared) or XX' (n_rows squared); the smaller one where ``auto``.
    decomposition : {"auto", "folds", "one"}
        In kernel form, a decomposition a fold or one for all folds; the fewer operations where ``auto``.
    dtype : {"auto", "float32", "float64"}
        Of products with targets and of the weights; that of the data where ``auto``.
    compress : {"auto", True, False}
        Whether 8 alphas or more are compared through a basis of fewer predictions where it has a lower rank.
        Such scores select; near ties are decided, and ``cv_scores_`` computed, without it.
    tf32 : bool
        Whether selection may use TF32 on a GPU; scores that are reported and weights never do.
    shared_alpha : bool
        One alpha for all targets, of the best mean score.
    missing : {"refuse", "group"}
        Whether NaN in Y is refused, or targets with the same NaN rows are fitted together on the other rows.
    target_block : int, optional
        Targets at a time; chosen by the device where None, and halved where a GPU runs out of memory.
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
    n_missing_ : int
        Of these, targets with too few known rows for a fold; their weights and alpha are NaN.
    edge_share_ : float
        Of the targets with a score, those at an edge of the grid (0 for a grid of one alpha).
    solver_, device_ : str
        What was chosen, and why; where it ran.
    report_ : dict
        Every choice with its reason: form, decomposition, dtype, block of targets, tolerance and rank of
        compressed alphas, predicted peak of memory in bytes beyond data and weights.

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
        self.cv = cv
        self.purge = purge
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.solver = solver
        self.decomposition = decomposition
        self.dtype = dtype
        self.compress = compress
        self.tf32 = tf32
        self.shared_alpha = shared_alpha
        self.missing = missing
        self.target_block = target_block
        self.device = device
        self.edge_tolerance = edge_tolerance

    def fit(self, X: Any, Y: Any = None, *, groups: Any = None, coef_out: Any = None) -> RidgeCV:
        """Choose an alpha for each target and fit it to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features)
        Y : array (n_rows, n_targets) or (n_rows,)
            Where both are DataArrays their rows must carry the same labels in the same order. Targets larger
            than memory may be a numpy memory-map or anything with ``shape``, ``dtype`` and slices (an h5py
            Dataset, a zarr array): they are read in blocks of columns.
        groups : array (n_rows,), optional
            Given to the splitter ``cv``.
        coef_out : array-like (n_targets, n_features), optional
            Takes the weights block by block and becomes ``coef_``; such as a memory-map that the caller
            opened for writing.

        Raises
        ------
        ShapeError
            If rows differ in number or there are none.
        LabelError
            If labelled rows differ.
        InvalidValueError
            If a value is not finite, an alpha is negative, or alpha is 0 and X has not full rank.
        FileError
            If the file of targets was cut short.
        """
        x, targets = self._data(X, Y)
        job = self._job(x, targets, groups, coef_out=coef_out)
        self._finish(fit_targets(x, targets, job), job, targets.one)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        return linear_prediction(self._features(X), self.coef_, self.intercept_)


def linear_prediction(x: np.ndarray, coef: Any, intercept: Any) -> np.ndarray:
    """Return x @ coef' + intercept in float64; weights on disk are read in blocks of targets."""
    if len(coef.shape) == 1:
        return x @ np.asarray(coef, dtype=np.float64) + intercept
    found = np.empty((len(x), coef.shape[0]))
    for start in range(0, coef.shape[0], COLUMNS):
        block = slice(start, start + COLUMNS)
        found[:, block] = x @ np.asarray(coef[block], dtype=np.float64).T
    return found + intercept


def _checked_features(X: Any) -> np.ndarray:
    """Return X as float32 where it is stored so, else as float64."""
    if hasattr(X, "toarray"):
        raise InvalidValueError(f"X must be dense; got the sparse {type(X).__name__}. Pass X.toarray().")
    if np.ma.is_masked(X):
        as_float(X, name="X")  # refuses what a mask hides
    x = np.asarray(X)
    if x.dtype.kind == "c":
        raise InvalidValueError(f"Complex data not supported: X must be real numbers; got dtype {x.dtype}.")
    if x.dtype.kind == "O":
        x = x.astype(np.float64)
    if x.ndim == 1:
        raise ShapeError(
            f"X must have 2 dimension(s); got shape {x.shape}. Reshape your data: X[:, None] for one feature."
        )
    dtype = np.float32 if x.dtype in (np.float16, np.float32) else np.float64
    try:
        return as_float(x, name="X", ndim=2, dtype=dtype)
    except InvalidValueError as error:
        raise InvalidValueError(f"{error} NaN and inf are refused.") from None
