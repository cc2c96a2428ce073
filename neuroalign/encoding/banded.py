"""Banded ridge: weights of the feature spaces and an alpha, chosen for each target over contiguous folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data
from tqdm import tqdm

from ..arrays import pick_device
from ..errors import InvalidValueError, LabelError, choice, listing
from ..schema import labels
from ..seeds import generator
from .band_gradient import ascend, per_target_weights
from .band_scores import Bands
from .band_search import Best, block_size, checked_weights, draw_candidates, search
from .bands import band_of, columns_of
from .checks import ALPHAS, checked_alphas, checked_data, checked_features, checked_folds
from .choosing import SOLVERS
from .rotations import SCORINGS
from .selection import edge_share
from .splits import Splits

__all__ = ["SEARCHES", "BandedRidgeCV"]

SEARCHES = ("random", "gradient")
DTYPES = ("auto", "float32", "float64")


class BandedRidgeCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Ridge regression with a penalty for each feature space, chosen for each target by cross-validation.

    For each target y, with X and y centred and :math:`\gamma_b \geq 0` the weight of band b,

    .. math:: \hat w = \arg\min_w |y - \sum_b X_b w_b|^2 + \alpha \sum_b |w_b|^2 / \gamma_b

    which is ridge on the features times :math:`\sqrt{\gamma_b}`; a weight of exactly 0 turns the band off.
    Weights that are drawn sum to 1, so that equal weights are ridge at n_bands times alpha. Features should
    be of one scale before: ``evaluate`` standardises them on the training rows. The score of a candidate is
    averaged over the folds; a tie goes to the candidate tried first, and to the larger alpha.

    Parameters
    ----------
    alphas : sequence of float
        Candidates, positive.
    bands : sequence (n_features,) of str, or "one", optional
        The band of each feature; where None, the coordinate ``band`` of a labelled X.
    cv : int or list of (train, test)
        Number of contiguous folds, or the row numbers of each. Folds of a time series are never shuffled.
    purge : int
        Rows left out of training on either side of a test block, where ``cv`` is a number.
    search : {"random", "gradient"}
        Candidates that all targets try, or, from the best of them, gradient ascent for each target on the
        score of the held-out rows: for few bands, since every target, fold and step takes a Cholesky
        decomposition. It never ends below its start.
    n_candidates : int
        How many weights are drawn, beside the equal ones and each band alone.
    concentration : float or sequence of float
        Of the Dirichlet distribution that they are drawn from, in turn: 1 is uniform on the simplex, below 1
        prefers few bands.
    single_bands : bool
        Whether each band alone is tried.
    weights : array (n_candidates, n_bands), optional
        Candidates instead of drawn ones, not negative, of any sum. Columns are in the order of ``bands_``; of
        a DataArray (candidate, band) they are found by label.
    shared : bool
        Whether all targets take the candidate with the best mean score over the targets, each with an alpha
        of its own. Random search only.
    n_steps : int
        Of the gradient search, at most.
    fit_intercept : bool
        Whether X and Y are centred on the training rows.
    scoring : {"r2", "pearson", "neg_mse"}
        What is maximised.
    solver : {"auto", "primal", "kernel"}
        Decompositions of n_features squared, or n_rows squared; the smaller one where ``auto``.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    dtype : {"auto", "float32", "float64"}
        Of the products with targets in the random search; that of the data where ``auto``. Gram matrices,
        their decompositions, sums of squares, the gradient search and the refit are in float64 always.
    edge_tolerance : float
        The share of targets at an edge of the grid of alphas above which ``AlphaEdgeWarning`` is given.
    seed : int
    progress : bool
        Whether bars count the candidates, and the targets of the gradient search.

    Attributes
    ----------
    bands_ : tuple of str
        In the order in which they first come.
    coef_ : array (n_targets, n_features), or (n_features,) for Y of one dim
    intercept_ : array (n_targets,), or float
    alpha_ : array (n_targets,)
        After a gradient search not of the grid, for weights that sum to 1.
    band_weights_ : array (n_targets, n_bands)
    deltas_ : array (n_targets, n_bands)
        log(weight / alpha), himalaya's name; minus infinity where a band is off.
    candidates_ : array (n_candidates, n_bands)
        What was tried.
    candidate_scores_ : array (n_candidates,)
        The best score of each, averaged over the targets.
    cv_scores_ : array (n_targets,)
        Score of what was chosen; NaN for a target without variance. It was maximised, so it is no estimate of
        performance: see ``encoding.evaluate``.
    n_undefined_ : int
        Targets without a score; they get the first candidate and the largest alpha.
    n_improved_ : int
        Targets that the gradient search improved.
    edge_share_ : float
        Of the targets with a score, those at an edge of the grid after the random search.
    solver_, device_ : str
        What was chosen, and why; where it ran.

    References
    ----------
    Nunez-Elizalde, Huth & Gallant 2019, NeuroImage 197:482; Dupré la Tour et al. 2022, NeuroImage 264:119728
    (random and gradient search).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 40))
    >>> Y = X[:, :20] @ rng.standard_normal((20, 1)) + rng.standard_normal((200, 1))
    >>> model = BandedRidgeCV([1.0, 10.0], bands=["a"] * 20 + ["b"] * 20, n_candidates=0, edge_tolerance=1)
    >>> model.fit(X, Y).band_weights_.tolist()
    [[1.0, 0.0]]
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        bands: Any = None,
        cv: Any = 5,
        purge: int = 0,
        search: str = "random",
        n_candidates: int = 60,
        concentration: float | Sequence[float] = (0.1, 1.0),
        single_bands: bool = True,
        weights: Any = None,
        shared: bool = False,
        n_steps: int = 30,
        fit_intercept: bool = True,
        scoring: str = "r2",
        solver: str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        edge_tolerance: float = 0.1,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.alphas = alphas
        self.bands = bands
        self.cv = cv
        self.purge = purge
        self.search = search
        self.n_candidates = n_candidates
        self.concentration = concentration
        self.single_bands = single_bands
        self.weights = weights
        self.shared = shared
        self.n_steps = n_steps
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.solver = solver
        self.device = device
        self.dtype = dtype
        self.edge_tolerance = edge_tolerance
        self.seed = seed
        self.progress = progress

    def fit(self, X: Any, Y: Any) -> BandedRidgeCV:
        """Choose weights of the bands and an alpha for each target and fit them to all rows.

        Parameters
        ----------
        X : array (n_rows, n_features)
        Y : array (n_rows, n_targets) or (n_rows,)
            Where both are DataArrays their rows must carry the same labels in the same order.

        Raises
        ------
        ShapeError, LabelError, InvalidValueError
            As ``checks.checked_data`` and ``bands.band_of``.
        InvalidValueError
            If an alpha is not positive, a weight is negative, or a candidate turns every band off.
        """
        alphas = self._checked()
        x, y, one = checked_data(X, Y)
        validate_data(self, X, skip_check_array=True)
        columns = columns_of(band_of(X, self.bands, n_features=x.shape[1]))
        self.bands_ = tuple(columns)
        self.candidates_ = self._candidates()
        splits = checked_folds(
            self.cv, len(x), purge=self.purge, n_candidates=max(2, len(self.candidates_) * len(alphas))
        )
        x_mean, y_mean = (a.mean(axis=0) if self.fit_intercept else np.zeros(a.shape[1]) for a in (x, y))
        single = self.dtype == "float32" or (self.dtype == "auto" and _is_single(X) and _is_single(Y))
        problem = self._problem(x - x_mean, y, list(columns.values()), "float32" if single else "float64")
        best, coef = self._search(problem, alphas, splits)
        known = ~np.isnan(best.score)
        self.n_undefined_ = int((~known).sum())
        self.alpha_, self.band_weights_ = alphas[best.alpha], self.candidates_[best.candidate]
        self.cv_scores_ = best.score
        self.edge_share_ = edge_share(
            alphas, self.alpha_[known], tolerance=self.edge_tolerance, what="targets"
        )
        if self.search == "gradient":
            coef = self._climb(problem, splits)
        self.deltas_ = self._log_weights()
        intercept = y_mean - coef @ x_mean
        self.coef_ = coef[0] if one else coef
        self.intercept_ = float(intercept[0]) if one else intercept
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions (n_rows, n_targets), or (n_rows,) where Y had one dim."""
        return checked_features(self, X) @ self.coef_.T + self.intercept_

    def _checked(self) -> np.ndarray:
        for name, allowed in (
            ("search", SEARCHES),
            ("scoring", SCORINGS),
            ("solver", SOLVERS),
            ("dtype", DTYPES),
        ):
            if getattr(self, name) not in allowed:
                raise choice(getattr(self, name), allowed, name=name)
        if self.shared and self.search == "gradient":
            raise InvalidValueError(
                "shared weights are found by random search only; pass search='random' or shared=False."
            )
        alphas = checked_alphas(self.alphas)
        if alphas[-1] == 0:
            raise InvalidValueError(
                "alphas must be positive: at alpha 0 the weights of the bands have no effect."
            )
        return alphas

    def _candidates(self) -> np.ndarray:
        weights, n_bands = self.weights, len(self.bands_)
        if isinstance(weights, xr.DataArray):
            known = labels(weights, on="band", name="weights")
            if weights.dims[1:] != ("band",) or set(known) != set(self.bands_):
                raise LabelError(
                    f"weights must be (candidate, band) with the bands {listing(self.bands_)}; got dims "
                    f"{weights.dims}, bands {listing(known)}."
                )
            weights = weights.sel(band=list(self.bands_)).values
        if weights is not None:
            return checked_weights(weights, n_bands)
        drawn = draw_candidates(
            n_bands,
            self.n_candidates,
            concentration=self.concentration,
            single_bands=self.single_bands,
            rng=generator(self.seed, "encoding", "bands"),
        )
        # Draws belong to the bands' names, so that the order of the features changes nothing but ties.
        return drawn[:, np.argsort(np.argsort(self.bands_))]

    def _problem(self, x: np.ndarray, y: np.ndarray, columns: list[np.ndarray], dtype: str) -> Bands:
        n, p = x.shape
        kernel = self.solver == "kernel" or (self.solver == "auto" and p > n)
        why = f"{p} features, {n} rows" if self.solver == "auto" else "asked for"
        self.solver_ = f"{'kernel' if kernel else 'primal'} ({why})"
        self.device_ = str(pick_device(self.device))
        return Bands(x, y, columns, kernel, self.fit_intercept, self.device_, dtype)

    def _search(self, problem: Bands, alphas: np.ndarray, splits: Splits) -> tuple[Best, np.ndarray]:
        n_blocks = -(-problem.Y.shape[1] // block_size(problem, len(splits)))
        with self._bar(n_blocks * (len(self.candidates_) + self.shared), "weights") as bar:
            best, coef, means = search(problem, self.candidates_, alphas, splits, self.scoring, bar=bar)
            self.candidate_scores_ = means
            if self.shared:
                winner = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
                chosen = self.candidates_[[winner]]
                best, coef, _ = search(problem, chosen, alphas, splits, self.scoring, bar=bar)
                best = best._replace(candidate=np.full_like(best.candidate, winner))
        return best, coef

    def _climb(self, problem: Bands, splits: Splits) -> np.ndarray:
        """Improve alpha and weights of each target; return coefficients (n_targets, n_features)."""
        start = self._log_weights()
        with self._bar(int((~np.isnan(self.cv_scores_)).sum()), "targets") as bar:
            found = ascend(
                problem, splits, start, self.cv_scores_, self.scoring, n_steps=self.n_steps, bar=bar
            )
        moved = found.improved
        ratio = np.exp(found.log_weights[moved])
        self.alpha_[moved] = 1 / ratio.sum(axis=1)
        self.band_weights_[moved] = ratio / ratio.sum(axis=1, keepdims=True)
        self.cv_scores_, self.n_improved_ = found.scores, int(moved.sum())
        return per_target_weights(problem, found.log_weights)

    def _log_weights(self) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.band_weights_) - np.log(self.alpha_)[:, None]

    def _bar(self, total: int, what: str) -> tqdm:
        return tqdm(total=total, disable=not self.progress, desc=what)


def _is_single(values: Any) -> bool:
    return getattr(values, "dtype", None) == np.float32
