"""Linear discriminants with a shrunk covariance, fitted at all times at once: kernels on raw arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..stats import is_constant

__all__ = ["Discriminants", "decisions", "default_decoder", "fit_discriminants"]

# Below this share of shrinkage a covariance may be singular and is inverted by its eigenvalues.
LEAST_SHRINKAGE = 1e-10


class Discriminants(NamedTuple):
    """Linear discriminants of k classes at each of t times: ``(x - shift) @ coef + constant``."""

    coef: np.ndarray  # (t, v, k)
    constant: np.ndarray  # (t, k)
    shift: np.ndarray  # (v,)


def default_decoder(n_classes: int) -> Any:
    """Return the decoder that ``decode`` uses by default, as a scikit-learn pipeline.

    Each neuroid is standardised; the covariance is the mean of the classes' covariances, each shrunk as
    Ledoit and Wolf have it (of standardised neuroids); all classes are equally likely beforehand, so that the
    rarer one is not given up for the sake of plain accuracy.

    References
    ----------
    Ledoit & Wolf 2004, J Multivar Anal 88:365; Blankertz et al. 2011, NeuroImage 56:814 (in EEG).

    Examples
    --------
    >>> default_decoder(2).fit([[0.0], [1.0], [4.0], [5.0]], ["a", "a", "b", "b"]).predict([[2.0]]).tolist()
    ['a']
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    priors = np.full(n_classes, 1.0 / n_classes)
    return make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors)
    )


def fit_discriminants(x: np.ndarray, y: np.ndarray, n_classes: int) -> Discriminants:
    """Return what ``default_decoder`` fits at each time.

    Parameters
    ----------
    x : array (n_presentations, n_neuroids, n_times)
    y : array (n_presentations,) of int
        Classes 0 to ``n_classes`` - 1, each at least twice.
    n_classes : int

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 4.0, 5.0])[:, None, None]
    >>> found = fit_discriminants(x, np.array([0, 0, 1, 1]), 2)
    >>> decisions(found, np.array([[[2.0]]]), across=False).argmax(axis=-1).tolist()
    [[0]]
    """
    shift = x.mean(axis=(0, 2), dtype=np.float64)
    x = np.moveaxis(x, 2, 0) - shift
    mean = x.mean(axis=1, keepdims=True)
    scale = np.where(is_constant(x, axis=1), 1.0, x.std(axis=1))
    z = (x - mean) / scale[:, None]
    n_times, _, n_neuroids = z.shape
    covariance, least = np.zeros((n_times, n_neuroids, n_neuroids)), np.inf
    means = np.empty((n_times, n_neuroids, n_classes))
    for k in range(n_classes):
        own = z[:, y == k]
        means[:, :, k] = own.mean(axis=1)
        shrunk, share = _shrunk_covariance(own - means[:, None, :, k])
        covariance += shrunk / n_classes
        least = min(least, share)
    coef = _solved(covariance, means, least)
    constant = -0.5 * (means * coef).sum(axis=1) - np.log(n_classes)
    coef = coef / scale[:, :, None]
    return Discriminants(coef, constant - np.einsum("tv,tvk->tk", mean[:, 0], coef), shift)


def decisions(found: Discriminants, x: np.ndarray, *, across: bool) -> np.ndarray:
    """Return the discriminants of presentations at the own time, or at all times.

    Parameters
    ----------
    found : Discriminants
        Of t times.
    x : array (n_presentations, n_neuroids, t), or any number of times where ``across``
    across : bool

    Returns
    -------
    array (n_presentations, t, n_classes), or (n_presentations, t, n_times, n_classes)
    """
    x = x - found.shift[:, None]
    if across:
        return np.einsum("mvs,tvk->mtsk", x, found.coef, optimize=True) + found.constant[:, None]
    own = np.matmul(np.moveaxis(x, 2, 0), found.coef) + found.constant[:, None]
    return np.moveaxis(own, 0, 1)


def _shrunk_covariance(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return covariances (t, v, v) of centred rows (t, n, v), and the smallest share of shrinkage.

    With the neuroids z of unit variance and S their covariance: ``(1 - a) S + a m I`` with m the mean
    variance and a = min(1, b / d), d = |S - m I|^2 and b the mean of |z z' - S|^2 / n.
    """
    n, v = x.shape[1:]
    sd = np.sqrt((x * x).mean(axis=1))
    sd = np.where(sd > 0, sd, 1.0)
    z = x / sd[:, None]
    s = np.matmul(z.swapaxes(1, 2), z) / n
    squares = (z * z).sum(axis=2)
    trace, norm = np.einsum("tvv->t", s), np.einsum("tvw,tvw->t", s, s)
    distance = norm - trace * trace / v
    error = ((squares * squares).mean(axis=1) - norm) / n
    small = distance <= np.finfo(np.float64).eps * norm
    share = np.where(small, 0.0, np.minimum(np.clip(error, 0.0, None) / np.where(small, 1.0, distance), 1.0))
    s *= (1.0 - share)[:, None, None]
    s[:, np.arange(v), np.arange(v)] += (share * trace / v)[:, None]
    return s * sd[:, :, None] * sd[:, None, :], float(share.min())


def _solved(covariance: np.ndarray, means: np.ndarray, least: float) -> np.ndarray:
    """Return weights (t, v, k): the means through the inverse, or pseudo-inverse, of the covariance."""
    if least > LEAST_SHRINKAGE:
        try:
            return np.linalg.solve(covariance, means)
        except np.linalg.LinAlgError:
            pass
    return np.matmul(np.linalg.pinv(covariance, hermitian=True), means)
