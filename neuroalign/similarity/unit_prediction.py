"""A unit as a sparse combination of another network's units: one to many."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError
from ..stats import SCORES
from .unit_batches import halves, paired
from .unit_correlation import held_out, partners

__all__ = ["sparse_prediction"]


def sparse_prediction(
    x: Any,
    y: Any,
    *,
    select: Any,
    units: Sequence[int] | None = None,
    n_alphas: int = 30,
    n_folds: int = 5,
    tolerance: float = 1e-3,
) -> xr.Dataset:
    r"""Return how well few units of x together predict each unit of y, beside the best single one.

    .. math:: \min_w \frac{1}{2n} |\tilde y - \tilde X w|^2 + \alpha |w|_1

    (lasso) on z-scored units of the stimuli that choose, with :math:`\alpha` chosen inside them by
    cross-validation: the largest whose error is within one standard error of the least. Scores are on the
    other stimuli.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        The units that predict; aligned by stimulus where labelled. Held in memory.
    y : array or DataArray (n_stimuli, n_units_y)
        The units that are predicted.
    select : array (n_stimuli,) or DataArray (stimulus,) of bool
        Stimuli that fit; the others evaluate. An array stands in the order of x.
    units : sequence of int, optional
        Positions in y; all where None (a fit a unit: seconds for each where x has thousands of units).
    n_alphas : int
        Penalties that are tried, from the least that makes all weights 0 down to a thousandth.
    n_folds : int
        Contiguous folds of the stimuli that fit.
    tolerance : float
        Of the duality gap, as a share of the target's sum of squares.

    Returns
    -------
    Dataset
        ``r``, ``r2`` (unit_y,): of the prediction; ``r_one``, ``r2_one``, ``one``: of the single unit that
        correlates most (in size) on the stimuli that fit, and its position; ``n_used`` (unit_y,): weights
        that are not 0; ``weight`` (unit_y, unit_x): of z-scored units; ``alpha``. NaN where the unit is
        constant; where no unit is used the prediction is constant: r is NaN and r2 is that of the mean.
        ``attrs``: ``n_stimuli``, ``n_held_out``, ``n_dead_x``, ``n_dead_y``, ``n_unconverged``.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``match_units``; or a fold would have fewer than 2 stimuli.

    References
    ----------
    Li et al. 2016, ICLR ("Convergent learning"), section 4 (sparse prediction with an L1 penalty).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((120, 10))
    >>> found = sparse_prediction(x, x[:, [0]] + x[:, [3]], select=np.arange(120) < 60)
    >>> np.flatnonzero(found["weight"].values[0]).tolist(), bool(found["r"] > 0.99)
    ([0, 3], True)
    """
    from sklearn.exceptions import ConvergenceWarning

    first, second = paired({"x": x, "y": y})
    rows, rest = halves(select, first)
    if not 2 <= n_folds <= len(rows) // 2:
        raise InvalidValueError(f"n_folds must be from 2 to {len(rows) // 2}, half of the stimuli that fit.")
    wanted = _wanted(units, second.n_units)
    single = partners(first, second, rows, absolute=True)
    one, r_one = single["partner_y"][wanted], single["r_y"][wanted]
    train, test = (_scaled(first.read(rows), first.read(part)) for part in (rows, rest))
    targets = second.read(rows)[:, wanted], second.read(rest)[:, wanted]
    size = len(wanted)
    weights, alphas = np.zeros((size, first.n_units)), np.full(size, np.nan)
    predicted, by_one = np.full((2, len(rest), size), np.nan)
    n_unconverged = 0
    for t in range(size):
        if one[t, 0] < 0:
            weights[t] = np.nan
            continue
        centre, spread = targets[0][:, t].mean(), targets[0][:, t].std()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ConvergenceWarning)
            weights[t], alphas[t] = _fit(
                train, (targets[0][:, t] - centre) / spread, n_alphas, n_folds, tolerance
            )
        n_unconverged += any(issubclass(w.category, ConvergenceWarning) for w in said)
        predicted[:, t] = centre + spread * (test @ weights[t])
        by_one[:, t] = centre + spread * r_one[t, 0] * test[:, one[t, 0]]
    scores = _scores(targets[1], predicted, by_one)
    scores["r_one"] = np.abs(held_out(second, first, single["partner_y"], rest)[wanted, 0])
    variables: dict[str, Any] = {name: ("unit_y", values) for name, values in scores.items()}
    used = np.where(np.isnan(alphas), 0, (weights != 0).sum(axis=1))
    variables |= {"one": ("unit_y", one[:, 0]), "n_used": ("unit_y", used), "alpha": ("unit_y", alphas)}
    variables["weight"] = (("unit_y", "unit_x"), weights)
    attrs = {"n_stimuli": len(rows), "n_held_out": len(rest), "n_dead_x": single["n_dead_x"]}
    attrs |= {"n_dead_y": int((one[:, 0] < 0).sum()), "n_unconverged": n_unconverged}
    coords = {**first.coords("x"), "position_y": ("unit_y", wanted)}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _fit(
    train: np.ndarray, target: np.ndarray, n_alphas: int, n_folds: int, tolerance: float
) -> tuple[np.ndarray, float]:
    """Return weights and penalty, the largest within one standard error of the best."""
    from sklearn.linear_model import Lasso, LassoCV

    largest = np.abs(train.T @ target).max() / len(train)
    path = LassoCV(
        alphas=largest * np.logspace(0, -3, n_alphas),
        cv=n_folds,
        fit_intercept=False,
        tol=tolerance,
        max_iter=5000,
    ).fit(train, target)
    error = path.mse_path_.mean(axis=1)
    allowed = error.min() + path.mse_path_[error.argmin()].std(ddof=1) / np.sqrt(n_folds)
    alpha = float(path.alphas_[error <= allowed].max())
    found = Lasso(alpha, fit_intercept=False, tol=tolerance, max_iter=5000).fit(train, target)
    return np.asarray(found.coef_, dtype=np.float64), alpha


def _scaled(train: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return values z-scored by the training rows; units constant there are 0."""
    from ..stats import is_constant

    spread = np.where(is_constant(train, axis=0), np.inf, train.std(axis=0))
    return (values - train.mean(axis=0)) / spread


def _scores(target: np.ndarray, predicted: np.ndarray, by_one: np.ndarray) -> dict[str, np.ndarray]:
    known = ~np.isnan(predicted).any(axis=0)
    found = {}
    for name, score, values in (
        ("r", "pearson", predicted),
        ("r2", "r2", predicted),
        ("r2_one", "r2", by_one),
    ):
        found[name] = np.full(target.shape[1], np.nan)
        found[name][known] = SCORES[score](target[:, known], values[:, known])
    return found


def _wanted(units: Sequence[int] | None, n_units: int) -> np.ndarray:
    wanted = np.arange(n_units) if units is None else np.asarray(units)
    if wanted.ndim != 1 or not len(wanted) or wanted.dtype.kind not in "iu":
        raise ShapeError(f"units must be positions (n,); got {wanted.dtype} of shape {wanted.shape}.")
    if wanted.min() < 0 or wanted.max() >= n_units:
        raise InvalidValueError(
            f"units must be from 0 to {n_units - 1}; got {wanted.min()} to {wanted.max()}."
        )
    return wanted
