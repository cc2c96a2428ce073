"""Temporal response functions: ridge on lagged features, forward to responses or back to stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from ..arrays import to_numpy
from ..errors import InvalidValueError, LabelError, choice
from ..stats import is_constant
from .checks import ALPHAS, checked_alphas, checked_data, checked_features
from .folds import fold_scores
from .lagged_folds import centred_sums, fitted_rows, fold_of, run_bounds, sums_of
from .lags import LaggedSeries, lag_steps
from .linear import centred
from .nesting import nested_splits
from .rotations import SCORINGS, eigen, project, refuse_zero_alpha, weights_at
from .runs import common_step
from .selection import best_of, edge_share, mean_over_folds
from .splits import Splits, check_splits

__all__ = ["TemporalResponseFunction"]

DIRECTIONS = {"forward": 1, "backward": -1}


class TemporalResponseFunction(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Ridge regression of responses on features at every lag between ``tmin`` and ``tmax`` seconds.

    .. math:: y_v(t) = b_v + \sum_f \sum_{l = tmin}^{tmax} w_{vfl} \, x_f(t - l)

    A positive lag is a response after the stimulus. Lags never reach into another run; beyond the border of
    a run a feature has its mean. The alpha of each target is chosen as in ``RidgeCV``, with the same
    penalty. The lagged features are never built: their products come from the series and its edges, in
    float64, so that memory grows with the lags only in what is (n_features x n_lags) squared.

    Parameters
    ----------
    tmin, tmax : float
        First and last lag in seconds, rounded to whole samples. Both directions take the time from stimulus
        to response.
    alphas : sequence of float
        Candidates, as in ``RidgeCV``.
    fs : float, optional
        Samples a second; that of the coordinate ``time`` where None.
    direction : {"forward", "backward"}
        Predict responses from features, or reconstruct features from later responses: X are then the
        responses and Y the features, and row t of the predictors holds the responses at t + lag. Weights of
        a reconstruction tell what to read out, noise cancelled, not where the stimulus is represented
        (Haufe et al. 2014).
    cv : int, "runs", list of (train, test), or None
        Contiguous blocks of the rows that are fitted, one fold a run, or row numbers of X; None for one
        alpha.
    purge : int, optional
        Rows left out of training on either side of a test block where ``cv`` is a number or "runs"; as many
        as there are lags, less one, where None, so that training and test rows share no feature.
    standardize : bool
        Whether features are scaled to unit variance over the rows that are fitted; weights are those of the
        features as they came. The penalty then treats all features alike.
    fit_intercept : bool
        Whether features and targets are centred. Without, a feature is 0 beyond the border of a run.
    scoring : {"r2", "pearson", "neg_mse"}
        What is maximised.
    shared_alpha : bool
        One alpha for all targets, of the best mean score.
    edge_tolerance : float
        The share of targets at an edge of the grid above which ``AlphaEdgeWarning`` is given.

    Attributes
    ----------
    coef_ : array (n_targets, n_features, n_lags), or (n_features, n_lags) for Y of one dim
        Units of the target by unit of the feature.
    response_functions_ : DataArray (neuroid, feature, lag)
        ``coef_`` with the labels of X and Y; backward (feature, neuroid, lag); ``lag`` in seconds.
    lags_ : array (n_lags,)
        Seconds.
    offset_ : array (n_features,)
        What is taken from the features, and stands beyond the borders of runs.
    intercept_ : array (n_targets,), or float
    alpha_ : array (n_targets,)
    cv_scores_ : array (n_targets,)
        Of the alpha that was chosen, averaged over the folds where it is defined; NaN without folds. It was
        maximised: see ``predict_held_out`` for an estimate of performance.
    n_undefined_ : int
        Targets without a score; they get the largest alpha.
    edge_share_ : float

    References
    ----------
    Crosse et al. 2016, Front Hum Neurosci 10:604; Holdgraf et al. 2017, Front Syst Neurosci 11:61; Haufe et
    al. 2014, NeuroImage 87:96.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = rng.standard_normal((500, 1))
    >>> eeg = np.roll(sound, 2, axis=0) + 0.1 * rng.standard_normal((500, 1))
    >>> model = TemporalResponseFunction(-0.01, 0.03, fs=100.0, edge_tolerance=1.0).fit(sound, eeg)
    >>> model.lags_.tolist(), (model.coef_[0, 0].round(1) + 0.0).tolist()
    ([-0.01, 0.0, 0.01, 0.02, 0.03], [0.0, 0.0, 0.0, 1.0, 0.0])
    """

    def __init__(
        self,
        tmin: float,
        tmax: float,
        *,
        alphas: Sequence[float] = ALPHAS,
        fs: float | None = None,
        direction: str = "forward",
        cv: Any = 5,
        purge: int | None = None,
        standardize: bool = True,
        fit_intercept: bool = True,
        scoring: str = "r2",
        shared_alpha: bool = False,
        edge_tolerance: float = 0.1,
    ) -> None:
        self.tmin = tmin
        self.tmax = tmax
        self.alphas = alphas
        self.fs = fs
        self.direction = direction
        self.cv = cv
        self.purge = purge
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.shared_alpha = shared_alpha
        self.edge_tolerance = edge_tolerance

    def fit(self, X: Any, Y: Any = None, *, runs: Any = None, rows: Any = None) -> TemporalResponseFunction:
        """Choose an alpha for each target and fit the weights.

        Parameters
        ----------
        X : array (n_times, n_features)
            In order of time within each run, all rows of a run together.
        Y : array (n_times, n_targets) or (n_times,)
            Where both are DataArrays their rows must carry the same labels in the same order.
        runs : array (n_times,), optional
            The run or story of each row; the coordinate ``run`` of X where None, and one run for an array.
        rows : array of int, optional
            The rows that are fitted, all where None. Others are never read but through lagged features of
            these.

        Raises
        ------
        ShapeError, LabelError, InvalidValueError
            As ``checks.checked_data``; if a run is no longer than the largest lag, runs are not whole, times
            are not even or differ from ``fs``; if alpha is 0 and the lagged features have not full rank.
        """
        self._check_choices()
        x, y, one = checked_data(X, Y)
        validate_data(self, X, skip_check_array=True)
        bounds, codes = run_bounds(X, runs, len(x))
        rate, sign = self._rate(X, codes), DIRECTIONS[self.direction]
        lags = lag_steps(self.tmin, self.tmax, rate)
        # Backward the predictors lie after what they predict: a lag is a step in the other direction.
        self.lags_, self.steps_ = lags / rate, (sign * lags)[::sign]
        fitted = np.arange(len(x)) if rows is None else fitted_rows(rows, len(x))
        self.offset_, scale = self._scaling(x[fitted])
        series = LaggedSeries((x - self.offset_) / scale, self.steps_, bounds)
        y_mean = y[fitted].mean(axis=0) if self.fit_intercept else np.zeros(y.shape[1])
        constant = is_constant(y[fitted]) & self.fit_intercept
        targets = np.where(constant, 0.0, y - y_mean)
        weights, intercept = self._solve(series, targets, constant, fitted, codes)
        self._store(weights / np.tile(scale, len(self.steps_))[:, None], y_mean + intercept, one)
        self._label(X, Y)
        return self

    def predict(self, X: Any, *, runs: Any = None) -> np.ndarray:
        """Return predictions (n_times, n_targets), or (n_times,) where Y had one dim.

        Parameters
        ----------
        X : array (n_times, n_features)
            Whole runs in order of time; rows near a border see the mean beyond it.
        runs : array (n_times,), optional
            As in ``fit``.
        """
        x = checked_features(self, X)
        bounds, _ = run_bounds(X, runs, len(x))
        coef = self.coef_ if self.coef_.ndim == 3 else self.coef_[None]
        # Lags are stored as they are read, from stimulus to response: backward the last sample comes first.
        coef = coef[..., :: DIRECTIONS[self.direction]]
        weights = coef.transpose(2, 1, 0).reshape(-1, len(coef))
        series = LaggedSeries(x - self.offset_, self.steps_, bounds)
        found = series.products(weights) + self.intercept_
        return found if self.coef_.ndim == 3 else found[:, 0]

    def _check_choices(self) -> None:
        for value, allowed, name in (
            (self.direction, DIRECTIONS, "direction"),
            (self.scoring, SCORINGS, "scoring"),
        ):
            if value not in allowed:
                raise choice(value, allowed, name=name)

    def _rate(self, X: Any, codes: np.ndarray) -> float:
        """Return the samples a second, from ``fs`` or the times of X."""
        if not isinstance(X, xr.DataArray) or X.dims[0] != "time" or "time" not in X.coords:
            if self.fs is None:
                raise InvalidValueError("lags are in seconds: pass fs=..., or X with a coordinate 'time'.")
            return float(self.fs)
        step = common_step(X["time"].values.astype(np.float64), codes)
        if self.fs is not None and not np.isclose(self.fs * step, 1.0, rtol=1e-3):
            raise InvalidValueError(
                f"fs is {self.fs:g} but the times of X are {1 / step:g} samples a second."
            )
        return 1.0 / step

    def _scaling(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved, offset = centred(x, bool(self.fit_intercept))
        sd = np.sqrt((moved**2).mean(axis=0))
        # A feature that does not vary has no weight: it is 0, and so is one over infinity.
        return offset, np.where(sd > 0, sd if self.standardize else 1.0, np.inf)

    def _solve(
        self,
        series: LaggedSeries,
        y: np.ndarray,
        constant: np.ndarray,
        rows: np.ndarray,
        codes: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights (q, t) of the scaled features, and what the targets' means are off."""
        import torch

        alphas = checked_alphas(self.alphas)
        splits = self._splits(rows, codes, len(alphas))
        total, tests = sums_of(series, y, rows, splits)
        best, self.cv_scores_ = np.zeros(y.shape[1], dtype=np.intp), np.full(y.shape[1], np.nan)
        scores = []
        for (train, test), held in zip(splits, tests, strict=True):
            gap = np.setdiff1d(rows, np.union1d(train, test))
            left = held.plus(series.moments(y, gap)) if len(gap) else held
            flat = is_constant(y[test]) | constant
            fold = fold_of(total.plus(left, -1), held, flat, bool(self.fit_intercept))
            if alphas[-1] == 0:
                refuse_zero_alpha(eigen(fold.gram).values, alphas, len(train), series.width)
            scores.append(to_numpy(fold_scores(fold, alphas, self.scoring)))
        if scores:
            mean = mean_over_folds(scores)
            best = self._best(mean)
            self.cv_scores_ = mean[best, np.arange(len(best))]
        self.alpha_ = alphas[best]
        self.n_undefined_ = int(np.isnan(self.cv_scores_).sum())
        known = self.alpha_[~np.isnan(self.cv_scores_)]
        self.edge_share_ = edge_share(alphas, known, tolerance=self.edge_tolerance, what="targets")
        gram, cross, x_mean, y_mean = centred_sums(total, bool(self.fit_intercept))
        found = eigen(torch.from_numpy(gram))
        refuse_zero_alpha(found.values, alphas, len(rows), series.width)
        projected = project(found, torch.from_numpy(cross))
        weights = to_numpy(weights_at(found, projected, torch.from_numpy(self.alpha_)))
        return weights, y_mean - x_mean @ weights

    def _best(self, mean: np.ndarray) -> np.ndarray:
        if not self.shared_alpha:
            return best_of(mean)
        known = ~np.isnan(mean).any(axis=0)
        shared = int(np.argmax(mean[:, known].sum(axis=1)))
        return np.full(mean.shape[1], shared)

    def _splits(self, rows: np.ndarray, codes: np.ndarray, n_alphas: int) -> Splits:
        purge = len(self.steps_) - 1 if self.purge is None else self.purge
        if self.cv is None:
            if n_alphas > 1:
                raise InvalidValueError(
                    f"cv=None cannot choose among {n_alphas} alphas; pass one of them, or cv=5."
                )
            return []
        if isinstance(self.cv, str):
            if self.cv != "runs":
                raise InvalidValueError(f'cv must be a number, "runs", row numbers or None; got {self.cv!r}.')
            n_runs = len(np.unique(codes[rows]))
            return nested_splits(rows, n_runs, groups=codes, runs=codes, purge=purge)
        if isinstance(self.cv, int | np.integer):
            return nested_splits(rows, int(self.cv), runs=codes, purge=purge)
        splits = check_splits(self.cv, len(codes))
        for k, fold in enumerate(splits):
            if not np.isin(np.concatenate(fold), rows).all():
                raise InvalidValueError(f"cv: fold {k} has rows that are not fitted.")
        return [(np.sort(train), np.sort(test)) for train, test in splits]

    def _store(self, weights: np.ndarray, intercept: np.ndarray, one: bool) -> None:
        sign = DIRECTIONS[self.direction]
        coef = weights.reshape(len(self.steps_), -1, weights.shape[1]).transpose(2, 1, 0)[..., ::sign]
        self.coef_ = coef[0] if one else coef
        self.intercept_ = float(intercept[0]) if one else intercept

    def _label(self, X: Any, Y: Any) -> None:
        sign = DIRECTIONS[self.direction]
        names = ("neuroid", "feature")[::sign]
        coords: dict[str, Any] = {"lag": self.lags_}
        dims = []
        for array, name in ((Y, names[0]), (X, names[1])):
            labelled = isinstance(array, xr.DataArray) and array.ndim == 2
            dims.append(str(array.dims[1]) if labelled else name)
            if labelled:
                coords |= {
                    str(k): (dims[-1], c.values) for k, c in array.coords.items() if c.dims == array.dims[1:]
                }
        if dims[0] == dims[1]:
            raise LabelError(f"X and Y must have different second dims; both are {dims[0]!r}.")
        coef = self.coef_ if self.coef_.ndim == 3 else self.coef_[None]
        self.response_functions_ = xr.DataArray(
            coef, dims=(*dims, "lag"), coords=coords, attrs={"direction": self.direction}, name="weight"
        )
