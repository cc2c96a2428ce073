"""RDMs made isotropic under the covariance of their entries, without ever forming it.

Distances of noisy patterns that share stimuli are correlated. With the pattern covariance S over stimuli and
the contrasts C of all pairs, squared distances have covariance V = (C S C') * (C A C'), elementwise, where A
is S without signal. The RDM d and the second moment H of the contrasts of its stimuli determine each other
linearly, so d' V^-1 d is the squared length of H whitened from both sides by S and A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from scipy.linalg import eigh, helmert, solve_triangular

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from ..schema import align, check, make_rdm, n_stimuli_of_pairs, square

__all__ = ["Whitening", "as_whitening", "identity", "whitened"]

# A pattern covariance whose condition number (for differences of stimuli) exceeds this is singular.
MAX_CONDITION = 1e12
# Entries of the largest table that missing pairs may need: 320 MB.
MAX_TABLE = 40_000_000
CHUNK = 8_000_000


@dataclass(frozen=True)
class Whitening:
    """The two n_stimuli x n_stimuli factors of the covariance of an RDM's entries; see the module.

    Only differences of stimuli matter: adding the same to a row and its column changes nothing.

    Attributes
    ----------
    noise : array (n_stimuli, n_stimuli)
        S, the covariance of the patterns.
    total : array (n_stimuli, n_stimuli)
        A, which is S, or with signal S + 2 (M - 1) G for the second moment G of the true patterns and M
        folds, since V is proportional to 4 / M (C G C') * (C S C') + 2 / (M (M - 1)) (C S C')^2
        (Diedrichsen et al. 2020).
    """

    noise: np.ndarray
    total: np.ndarray

    @cached_property
    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """Contrasts W (n_stimuli - 1, n_stimuli) and values a with W S W' = I and W A W' = diag(a)."""
        contrasts = helmert(len(self.noise))
        if self.total is self.noise and np.array_equal(self.noise, np.eye(len(self.noise))):
            return contrasts, np.ones(len(contrasts))
        noise = contrasts @ self.noise @ contrasts.T
        values = np.linalg.eigvalsh(noise)
        if values[0] * MAX_CONDITION <= values[-1]:
            raise InvalidValueError(
                "covariance must be positive definite for differences of stimuli; its eigenvalues there go "
                f"from {values[0]:.3g} to {values[-1]:.3g}. Shrink it towards its diagonal."
            )
        lower = np.linalg.cholesky(noise)
        contrasts = solve_triangular(lower, contrasts, lower=True)
        if self.total is self.noise:
            return contrasts, np.ones(len(contrasts))
        values, vectors = eigh(contrasts @ self.total @ contrasts.T)
        if values[0] * MAX_CONDITION <= values[-1]:
            raise InvalidValueError(
                "signal: with the covariance it gives no positive definite matrix, so it is the RDM of no "
                f"patterns; the smallest eigenvalue is {values[0]:.3g}, the largest {values[-1]:.3g}."
            )
        return vectors.T @ contrasts, values

    def of(self, stimuli: np.ndarray) -> Whitening:
        """Return the whitening of some of the stimuli, given by position."""
        if len(stimuli) == len(self.noise):
            return self
        noise = self.noise[np.ix_(stimuli, stimuli)]
        return Whitening(noise, noise if self.total is self.noise else self.total[np.ix_(stimuli, stimuli)])


def as_whitening(
    stimuli: np.ndarray,
    covariance: xr.DataArray | None = None,
    signal: xr.DataArray | None = None,
    n_folds: int | None = None,
) -> Whitening | None:
    """Return the whitening that labelled arrays stand for, in the order of ``stimuli``; None without any.

    Parameters
    ----------
    stimuli : array (n_stimuli,)
    covariance : DataArray (stimulus, stimulus_b) or (stimulus,), optional
        Covariance of the patterns, or their variances.
    signal : DataArray (pair,), optional
        Squared distances of the true patterns.
    n_folds : int, optional
        At least 2, with ``signal`` only.

    Raises
    ------
    LabelError
        If the labels are not those of ``stimuli``.
    ShapeError
        If dims are other ones.
    InvalidValueError
        If a value is not finite, the covariance is not symmetric or a variance not positive, or only one of
        ``signal`` and ``n_folds`` is given.
    """
    if (signal is None) != (n_folds is None):
        raise InvalidValueError("signal and n_folds belong together: pass both or none.")
    if covariance is None and signal is None:
        return None
    noise = np.eye(len(stimuli)) if covariance is None else _in_order(covariance, stimuli)
    if signal is None or n_folds is None:
        return Whitening(noise, noise)
    if isinstance(n_folds, bool) or not isinstance(n_folds, int | np.integer) or n_folds < 2:
        raise InvalidValueError(f"n_folds must be an integer of at least 2; got {n_folds!r}.")
    check(signal, "rdm", name="signal")
    template = make_rdm(np.zeros(len(stimuli) * (len(stimuli) - 1) // 2), stimuli)
    _, signal = align(template, signal, names=["RDMs", "signal"])
    distances = square(as_float(signal.values, name="signal", ndim=1))
    # On contrasts, minus half the squared distances is the second moment.
    return Whitening(noise, noise - (int(n_folds) - 1) * distances)


def identity(n_stimuli: int) -> Whitening:
    """Return the whitening of independent patterns of equal variance."""
    noise = np.eye(n_stimuli)
    return Whitening(noise, noise)


def whitened(rows: np.ndarray, known: np.ndarray, whitening: Whitening | None = None) -> np.ndarray:
    """Return RDM rows so embedded that their dot product is d_1' V^-1 d_2, up to one factor.

    Pairs that are not known are marginalised: V is then its block of the known pairs. Stimuli without any
    known pair are dropped; other missing pairs are projected out of the embedding, or, where they are more
    than the known ones, the block itself is factored.

    Parameters
    ----------
    rows : array (n_rdms, n_known)
        The known pairs of each RDM, without NaN.
    known : array (n_pairs,) of bool
        Which of all pairs these are.
    whitening : Whitening, optional
        Of all stimuli; ``identity`` where None.

    Returns
    -------
    array (n_rdms, k)

    Raises
    ------
    InvalidValueError
        If the covariance is singular, or so many pairs are missing from so many stimuli that the exact
        comparison would need a table of more than ``MAX_TABLE`` entries.
    """
    n_stimuli = n_stimuli_of_pairs(known.size)
    whitening = whitening or identity(n_stimuli)
    if known.all():
        return _embedded(rows, whitening)
    position = square(known.astype(np.int8))
    present = np.flatnonzero(position.any(axis=0))
    whitening = whitening.of(present)
    known = known[square(np.arange(known.size))[np.ix_(present, present)][np.triu_indices(len(present), 1)]]
    if known.all():
        return _embedded(rows, whitening)
    n_known, n_pairs = int(known.sum()), known.size
    if min(n_known * n_known, (n_pairs - n_known) * n_pairs) > MAX_TABLE:
        raise InvalidValueError(
            f"{n_pairs - n_known} of {n_pairs} pairs of {len(present)} stimuli are missing: whitening them "
            "exactly would need too large a table. Drop the stimuli that lack pairs (rsa.subset)."
        )
    if n_known < n_pairs - n_known:
        return _by_block(rows, known, whitening)
    return _projected(rows, known, whitening)


def _in_order(covariance: xr.DataArray, stimuli: np.ndarray) -> np.ndarray:
    dims = ("stimulus", "stimulus_b")
    if not isinstance(covariance, xr.DataArray) or covariance.dims not in (dims, dims[:1]):
        found = covariance.dims if isinstance(covariance, xr.DataArray) else type(covariance).__name__
        raise ShapeError(
            f"covariance must be a DataArray with dims {dims} or {dims[:1]}, with labels; got {found}."
        )
    template = xr.DataArray(stimuli, dims="stimulus", coords={"stimulus": stimuli})
    for dim in covariance.dims:
        names = ["RDMs", f"covariance ({dim})"]
        covariance = align(template.rename(stimulus=dim), covariance, on=str(dim), names=names)[1]
    values = as_float(covariance.values, name="covariance")
    if values.ndim == 1:
        if (values <= 0).any():
            raise InvalidValueError(f"covariance: {int((values <= 0).sum())} variances are not positive.")
        return np.diag(values)
    if np.abs(values - values.T).max() > 1e-10 * np.abs(values).max():
        raise InvalidValueError("covariance must be symmetric; it differs from its transpose.")
    return (values + values.T) / 2


def _embedded(rows: np.ndarray, whitening: Whitening) -> np.ndarray:
    """Return the whitened second moments (n_rdms, n_pairs): the map is linear and one to one."""
    contrasts, values = whitening.basis
    a, b = np.triu_indices(len(contrasts))
    # Off the diagonal an entry stands for two, with variance (a_i + a_j) / 2.
    weight = -0.5 * np.where(a == b, 1.0, np.sqrt(2.0)) / np.sqrt((values[a] + values[b]) / 2)
    flat = a * len(contrasts) + b
    out = np.empty(rows.shape)
    step = max(1, CHUNK // contrasts.size)
    for start in range(0, len(rows), step):
        moments = contrasts @ square(rows[start : start + step]) @ contrasts.T
        out[start : start + step] = moments.reshape(len(moments), -1)[:, flat] * weight
    return out


def _projected(rows: np.ndarray, known: np.ndarray, whitening: Whitening) -> np.ndarray:
    """Return the embedding, as short as any value of the missing pairs can make it."""
    filled = np.zeros((len(rows), known.size))
    filled[:, known] = rows
    missing = np.flatnonzero(~known)
    units = np.zeros((missing.size, known.size))
    units[np.arange(missing.size), missing] = 1.0
    directions, _ = np.linalg.qr(_embedded(units, whitening).T)
    embedded = _embedded(filled, whitening)
    for _ in range(2):  # twice is enough for orthogonality to the last digit
        embedded = embedded - (embedded @ directions) @ directions.T
    return embedded


def _by_block(rows: np.ndarray, known: np.ndarray, whitening: Whitening) -> np.ndarray:
    whitening.basis  # noqa: B018  (refuses a singular covariance)
    i, j = (index[known] for index in np.triu_indices(len(whitening.noise), 1))
    block = _contrasted(whitening.noise, i, j) * _contrasted(whitening.total, i, j)
    return solve_triangular(np.linalg.cholesky(block), rows.T, lower=True).T


def _contrasted(matrix: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return c' M c for the contrasts c of pairs (i, j)."""
    return matrix[np.ix_(i, i)] - matrix[np.ix_(i, j)] - matrix[np.ix_(j, i)] + matrix[np.ix_(j, j)]
