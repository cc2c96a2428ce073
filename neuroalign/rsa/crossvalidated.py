"""Cross-validated dissimilarity kernels: fold means (n_folds, n_stimuli, n_units) to pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from ..errors import InvalidValueError
from ..stats import is_constant
from .metrics import CANCELLED, CHUNK, Options, log_rates

__all__ = ["correlation_cv", "crossnobis", "over_fold_sets", "poisson_cv"]

Kernel = Callable[[np.ndarray, Options], tuple[np.ndarray, int]]


def crossnobis(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return the mean over pairs of folds f, g of (x_i - x_j)_f P (x_i - x_j)_g."""
    x = x - x.mean(axis=1, keepdims=True)
    if options.noise is not None and options.noise.ndim == 3:
        found = _noise_a_fold(x, options.noise)
    else:
        left = x if options.noise is None else x @ options.noise
        found = _between_folds(left, x)
    return _per_unit(found, x, options), 0


def poisson_cv(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return the mean over pairs of folds f, g of (x_i - x_j)_f . (log x_i - log x_j)_g of the rates."""
    rates, logs = log_rates(x, options)
    rates, logs = (part - part.mean(axis=1, keepdims=True) for part in (rates, logs))
    return _per_unit(_between_folds(rates, logs), x, options), 0


def correlation_cv(x: np.ndarray, options: Options) -> tuple[np.ndarray, int]:
    """Return one minus covariance / root of variances, each of them between folds; NaN pairs are counted."""
    constant = is_constant(x, axis=2)
    x = np.where(constant[..., None], 0.0, x - x.mean(axis=2, keepdims=True))
    largest = np.abs(x).max()
    x = x / (largest or 1.0)
    total = x.sum(axis=0)
    gram = total @ total.T
    for fold in x:
        gram -= fold @ fold.T
    rows, columns = np.triu_indices(x.shape[1], 1)
    # An estimate within the rounding of its terms is none.
    smallest = np.finfo(np.float64).eps * len(x) * np.einsum("fsu,fsu->s", x, x)
    deviation = np.sqrt(np.where(np.diag(gram) > smallest, np.diag(gram), np.nan))
    found = 1.0 - gram[rows, columns] / (deviation[rows] * deviation[columns])
    return found, int(np.isnan(found).sum())


def over_fold_sets(
    kernel: Kernel, x: np.ndarray, present: np.ndarray, options: Options
) -> tuple[np.ndarray, int]:
    """Return a kernel's values where some stimuli lack some folds: each pair over the folds that have both.

    Pairs that have the same folds are computed together. A pair with fewer than two folds is NaN; the count
    that is returned is that of all NaN pairs.
    """
    if present.all():
        return kernel(x, options)
    n_stimuli = x.shape[1]
    rows, columns = np.triu_indices(n_stimuli, 1)
    shared = present[:, rows] & present[:, columns]
    sets, of_pair = np.unique(shared, axis=1, return_inverse=True)
    of_pair = of_pair.reshape(-1)
    found = np.full(len(rows), np.nan)
    for k, folds in enumerate(sets.T):
        if folds.sum() < 2:
            continue
        stimuli = np.flatnonzero(present[folds].all(axis=0))
        noise = options.noise
        some = options if noise is None or noise.ndim == 2 else options._replace(noise=noise[folds])
        values, _ = kernel(x[np.ix_(folds, stimuli)], some)
        full = np.full((n_stimuli, n_stimuli), np.nan)
        a, b = np.triu_indices(len(stimuli), 1)
        full[stimuli[a], stimuli[b]] = values
        mine = of_pair == k
        found[mine] = full[rows[mine], columns[mine]]
    return found, int(np.isnan(found).sum())


def _between_folds(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the mean over ordered pairs of folds f != g of (left_i - left_j)_f . (right_i - right_j)_g.

    The sum over f != g is that of the totals less that within folds, so that one product a fold is enough.
    """
    n_folds, n_stimuli = left.shape[:2]
    same = left is right
    left_total = left.sum(axis=0)
    right_total = left_total if same else right.sum(axis=0)
    within = np.zeros((n_stimuli, n_stimuli))
    for one, other in zip(left, right, strict=True):
        within += one @ other.T
    between = left_total @ right_total.T - within
    rows, columns = np.triu_indices(n_stimuli, 1)
    found = _distances(between, rows, columns)
    own = _distances(within, rows, columns)
    # Pairs that are near to each other beside the spread of the stimuli lose digits in the Gram matrices.
    near = np.flatnonzero(own <= CANCELLED * (np.diag(within)[rows] + np.diag(within)[columns]))
    for start in range(0, len(near), CHUNK // n_folds + 1):
        some = near[start : start + CHUNK // n_folds + 1]
        one = left[:, rows[some]] - left[:, columns[some]]
        other = one if same else right[:, rows[some]] - right[:, columns[some]]
        total = np.einsum("pu,pu->p", one.sum(axis=0), other.sum(axis=0))
        found[some] = total - np.einsum("fpu,fpu->p", one, other)
    return found / (n_folds * (n_folds - 1))


def _distances(gram: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    own = np.diag(gram)
    return own[rows] + own[columns] - (gram + gram.T)[rows, columns]


def _noise_a_fold(x: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the mean over pairs of folds, each under the precision of the mean of its two covariances."""
    n_folds, n_stimuli = x.shape[:2]
    covariances = [_inverse(precision.astype(np.float64)) for precision in noise]
    gram = np.zeros((n_stimuli, n_stimuli))
    for f in range(n_folds):
        for g in range(f + 1, n_folds):
            factor = scipy.linalg.cho_factor((covariances[f] + covariances[g]) / 2, lower=True)
            gram += x[f] @ scipy.linalg.cho_solve(factor, x[g].T)
    rows, columns = np.triu_indices(n_stimuli, 1)
    return _distances(gram, rows, columns) * 2 / (n_folds * (n_folds - 1))


def _inverse(precision: np.ndarray) -> np.ndarray:
    try:
        factor = scipy.linalg.cho_factor(precision, lower=True)
    except np.linalg.LinAlgError as error:
        raise InvalidValueError(
            f"noise: a precision a fold must be positive definite, because two folds are compared under the "
            f"inverse of their mean covariance; one is not ({error})."
        ) from error
    return scipy.linalg.cho_solve(factor, np.eye(len(precision)))


def _per_unit(values: np.ndarray, x: np.ndarray, options: Options) -> np.ndarray:
    return values / x.shape[2] if options.scale else values
