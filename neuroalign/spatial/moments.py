"""What Moran's I and Geary's C are on average, and how they vary, without any spatial order."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

__all__ = ["Sums", "geary_variances", "moran_variances", "sums"]

Sums = tuple[float, float, float]


def sums(weights: csr_array) -> Sums:
    """Return S0, S1 and S2 of Cliff and Ord: of the weights, of both directions' squares, of the degrees'."""
    both = weights + weights.T
    degrees = weights.sum(axis=0) + weights.sum(axis=1)
    return float(weights.sum()), float((both.data**2).sum() / 2), float((degrees**2).sum())


def kurtosis(z: np.ndarray) -> np.ndarray:
    """Return m4 / m2^2 of centred maps."""
    return (z**4).mean(axis=-1) / (z**2).mean(axis=-1) ** 2


def moran_variances(z: np.ndarray, weights: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances (n_maps,) of Moran's I: values drawn from a normal, and values that change places.

    Cliff & Ord 1981, eqs 2.28 and 2.39 in this form: A / ((n - 1)(n - 2)(n - 3) S0^2) - 1 / (n - 1)^2.
    """
    n = z.shape[-1]
    s0, s1, s2 = sums(weights)
    square = (1 / (n - 1)) ** 2
    normal = (n * n * s1 - n * s2 + 3 * s0**2) / ((n - 1) * (n + 1) * s0**2) - square
    k = kurtosis(z)
    if n < 4:
        return np.full(k.shape, normal), np.full(k.shape, np.nan)
    a = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    b = k * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2)
    return np.full(k.shape, normal), (a - b) / ((n - 1) * (n - 2) * (n - 3) * s0**2) - square


def geary_variances(z: np.ndarray, weights: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances (n_maps,) of Geary's C, as in ``moran_variances`` (Cliff & Ord 1981)."""
    n = z.shape[-1]
    s0, s1, s2 = sums(weights)
    normal = ((2 * s1 + s2) * (n - 1) - 4 * s0**2) / (2 * (n + 1) * s0**2)
    k = kurtosis(z)
    if n < 4:
        return np.full(k.shape, normal), np.full(k.shape, np.nan)
    a = (n - 1) * s1 * (n * n - 3 * n + 3 - (n - 1) * k)
    b = (n - 1) * s2 * (n * n + 3 * n - 6 - (n * n - n + 2) * k) / 4
    c = s0**2 * (n * n - 3 - (n - 1) ** 2 * k)
    return np.full(k.shape, normal), (a - b + c) / (n * (n - 2) * (n - 3) * s0**2)
