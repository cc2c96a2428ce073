"""Who is near whom: overlap of neighbourhoods, and similarity within them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, choice
from .inputs import Pair, as_pair, centred, rescaled, varies

__all__ = ["cknna", "jaccard", "mutual_knn", "second_order_cosine"]

METRICS = ("cosine", "euclidean")
DEFINITIONS = ("paper", "released")
# Rows of a similarity matrix that are ordered at once.
BLOCK = 128
# Similarities that differ by this share of the largest are tied: products of equal rows may differ by
# rounding.
TIE = 64 * np.finfo(np.float64).eps


def mutual_knn(x: Any, y: Any, *, k: int = 10, metric: str = "cosine") -> xr.DataArray:
    r"""Return the share of a stimulus's k nearest neighbours that x and y have in common, mean over stimuli.

    .. math:: \frac{1}{n k} \sum_i |N_k(x_i) \cap N_k(y_i)|

    A stimulus is not its own neighbour. Of several stimuli tied at the k-th distance each is a neighbour in
    part, so that they make k together and no order of rows matters; an intersection then sums the smaller of
    two parts. Chance is k / (n - 1).

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled.
    y : array or DataArray (n_stimuli, n_units_y)
    k : int
        1 to n_stimuli - 1 (at which all are neighbours, and the value is 1 by construction: a
        ``DegenerateWarning`` says so).
    metric : {"cosine", "euclidean"}
        ``cosine`` of the patterns as they are, not centred. A pattern of zeros has no cosine: such stimuli,
        zero in x or in y, are left out and counted (``attrs["n_left_out"]``).

    Returns
    -------
    DataArray ()
        0 to 1; NaN where a representation is constant or no more than k stimuli are left.

    Raises
    ------
    ShapeError, LabelError
        As in ``cka``.
    InvalidValueError
        If a value is not finite, k is not between 1 and n_stimuli - 1, or the metric is unknown.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, ICML, appendix A.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.1], [3.3]])
    >>> float(mutual_knn(x, -x, k=1, metric="euclidean"))
    1.0
    """
    pair, kept = _checked(x, y, k, metric)
    value = float("nan")
    if len(kept) > k:
        first, second = (_neighbours(_similarity(z[kept], metric), k) for z in (pair.x, pair.y))
        value = _shared(first, second) / (len(kept) * k)
    return _result(pair, value, "mutual_knn", k, kept, metric=metric)


def jaccard(x: Any, y: Any, *, k: int = 10, metric: str = "cosine") -> xr.DataArray:
    r"""Return the Jaccard overlap of neighbourhoods, averaged over stimuli.

    .. math:: \frac{1}{n} \sum_i \frac{|N_k(x_i) \cap N_k(y_i)|}{|N_k(x_i) \cup N_k(y_i)|}

    Parameters, ties, errors and counts as in ``mutual_knn``; a union sums the larger of two parts.

    References
    ----------
    Wang et al. 2020, arXiv:2010.11140 (neighbourhood overlap).

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.1], [3.3]])
    >>> float(jaccard(x, [[0.0], [1.0], [9.0], [10.0]], k=1, metric="euclidean"))  # one of four differs
    0.75
    """
    pair, kept = _checked(x, y, k, metric)
    value = float("nan")
    if len(kept) > k:
        first, second = (_neighbours(_similarity(z[kept], metric), k) for z in (pair.x, pair.y))
        both = np.minimum(first, second).sum(axis=1, dtype=np.float64)
        value = float((both / (2 * k - both)).mean())
    return _result(pair, value, "jaccard", k, kept, metric=metric)


def second_order_cosine(x: Any, y: Any, *, k: int = 10) -> xr.DataArray:
    r"""Return how alike x and y say a stimulus is to its neighbours in either, averaged over stimuli.

    For each stimulus i, with the neighbours :math:`N = N_k(x_i) \cup N_k(y_i)` by cosine, the cosine of the
    vectors :math:`(\cos(x_i, x_j))_{j \in N}` and :math:`(\cos(y_i, y_j))_{j \in N}`. Patterns are not
    centred, so a common offset makes all values high.

    Parameters, errors and counts as in ``mutual_knn``; all stimuli tied at the k-th distance are neighbours.
    A stimulus that is orthogonal to all of N has no value and is left out of the mean
    (``attrs["n_orthogonal"]``).

    Returns
    -------
    DataArray ()
        -1 to 1.

    References
    ----------
    Hamilton, Leskovec & Jurafsky 2016, EMNLP, equation 3.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 5))
    >>> round(float(second_order_cosine(x, 2 * x, k=3)), 6)
    1.0
    """
    pair, kept = _checked(x, y, k, "cosine")
    value, n_orthogonal = float("nan"), 0
    if len(kept) > k:
        units = [_unit_rows(z[kept]) for z in (pair.x, pair.y)]
        near = np.logical_or(*(_neighbours(_gram(z), k) > 0 for z in units))
        cosines = np.full(len(kept), np.nan)
        for start in range(0, len(kept), BLOCK):
            rows = slice(start, min(start + BLOCK, len(kept)))
            a, b = (np.where(near[rows], z[rows] @ z.T, 0.0) for z in units)
            lengths = np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))
            dots = np.einsum("ij,ij->i", a, b)
            cosines[rows] = np.where(lengths > 0, dots / np.where(lengths > 0, lengths, 1.0), np.nan)
        n_orthogonal = int(np.isnan(cosines).sum())
        if n_orthogonal < len(kept):
            value = float(np.clip(np.nanmean(cosines), -1, 1))
    return _result(pair, value, "second_order_cosine", k, kept, n_orthogonal=n_orthogonal)


def cknna(x: Any, y: Any, *, k: int = 10, definition: str = "paper") -> xr.DataArray:
    r"""Return the centred kernel alignment over mutual nearest neighbours.

    .. math:: \frac{A(K, L)}{\sqrt{A(K, K) A(L, L)}}, \qquad A(K, L) = \sum_i \sum_{j \ne i} \alpha_{ij} \,
        (K_{ij} - \bar K_i) (L_{ij} - \bar L_i)

    with linear kernels of the patterns as they are, row means over all stimuli, and :math:`\alpha_{ij}` = 1
    where j is among the k nearest neighbours (the largest inner products) of i in both. The ``paper`` says
    so; the ``released`` code multiplies K and L by :math:`\alpha` and takes the unbiased HSIC of the
    products, which centres after masking. The two differ; say which was used. With k = n - 1 the released
    form is unbiased ``cka``.

    Parameters
    ----------
    x, y : array or DataArray (n_stimuli, n_units)
        At least 4 stimuli. The authors normalise patterns to length 1 beforehand.
    k : int
        2 to n_stimuli - 1. Ties count in part, as in ``mutual_knn``.
    definition : {"paper", "released"}

    Returns
    -------
    DataArray ()
        Around -1 to 1; NaN where A(K, K) or A(L, L) is not positive.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``mutual_knn``.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, ICML, appendix A. The released code adds 1e-6 to the denominator, which is
    left out here.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 5))
    >>> round(float(cknna(x, 2 * x, k=3)), 6)
    1.0
    """
    if definition not in DEFINITIONS:
        raise choice(definition, DEFINITIONS, name="definition")
    pair = as_pair(x, y, least=4)
    _check_k(k, len(pair.x), least=2)
    units = rescaled(pair.x), rescaled(pair.y)
    near = [_neighbours(_gram(z), k) for z in units]
    if not (varies(pair.x) and varies(pair.y)):
        return pair.result(np.nan, "cknna", k=int(k), definition=definition)
    align = _masked_alignment if definition == "paper" else _masked_hsic
    kl = align(units[0], units[1], np.minimum(*near))
    kk, ll = align(units[0], units[0], near[0]), align(units[1], units[1], near[1])
    value = kl / np.sqrt(kk) / np.sqrt(ll) if kk > 0 and ll > 0 else np.nan
    return pair.result(float(value), "cknna", k=int(k), definition=definition)


def _masked_alignment(x: np.ndarray, y: np.ndarray, near: np.ndarray) -> float:
    means = x @ x.mean(axis=0), y @ y.mean(axis=0)
    total = 0.0
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        left, right = x[rows] @ x.T - means[0][rows, None], y[rows] @ y.T - means[1][rows, None]
        total += float((near[rows] * left * right).sum())
    return total


def _masked_hsic(x: np.ndarray, y: np.ndarray, near: np.ndarray) -> float:
    """Return the unbiased HSIC of two masked Gram matrices, which need not be symmetric."""
    n, total = len(x), 0.0
    columns, row_sums, sums = np.zeros(n), np.zeros(n), np.zeros(2)
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        left, right = near[rows] * (x[rows] @ x.T), near[rows] * (y[rows] @ y.T)
        # The trace of the product: entry (i, j) of the one meets entry (j, i) of the other.
        total += float((left * near[:, rows].T * (y[rows] @ y.T)).sum())
        columns += left.sum(axis=0)
        row_sums[rows] = right.sum(axis=1)
        sums += left.sum(), right.sum()
    return total + sums[0] * sums[1] / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(columns @ row_sums)


def _checked(x: Any, y: Any, k: int, metric: str) -> tuple[Pair, np.ndarray]:
    if metric not in METRICS:
        raise choice(metric, METRICS, name="metric")
    pair = as_pair(x, y)
    _check_k(k, len(pair.x))
    kept = np.arange(len(pair.x))
    if not (varies(pair.x) and varies(pair.y)):
        return pair, kept[:0]
    if metric == "cosine":
        kept = np.flatnonzero(pair.x.any(axis=1) & pair.y.any(axis=1))
    return pair, kept


def _check_k(k: int, n: int, *, least: int = 1) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not least <= k <= n - 1:
        raise InvalidValueError(f"k must be an integer from {least} to n_stimuli - 1 = {n - 1}; got {k!r}.")


def _result(pair: Pair, value: float, name: str, k: int, kept: np.ndarray, **attrs: Any) -> xr.DataArray:
    everyone = len(kept) == k + 1 and name != "second_order_cosine"
    degenerate = f"1 by construction: all {k} other stimuli are neighbours." if everyone else ""
    n_left_out = len(pair.x) - len(kept)
    return pair.result(value, name, degenerate=degenerate, k=int(k), n_left_out=n_left_out, **attrs)


def _similarity(x: np.ndarray, metric: str) -> np.ndarray:
    """Return a matrix (n, n) that orders each row's stimuli from far to near."""
    if metric == "cosine":
        return _gram(_unit_rows(x))
    x = rescaled(centred(x))
    near = _gram(x)
    # -|x_i - x_j|^2 / 2, up to what is the same along a row.
    near -= np.einsum("ij,ij->i", x, x) / 2
    return near


def _gram(x: np.ndarray) -> np.ndarray:
    return x @ x.T


def _unit_rows(x: np.ndarray) -> np.ndarray:
    x = x / np.maximum(x.max(axis=1), -x.min(axis=1))[:, None]
    x /= np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return x


def _neighbours(near: np.ndarray, k: int) -> np.ndarray:
    """Return how far each stimulus is each row's neighbour, (n, n): bool, or parts of 1 where there are ties.

    ``near`` is used up.
    """
    n = len(near)
    slack = TIE * max(float(near.max()), -float(near.min()))
    np.fill_diagonal(near, -np.inf)
    mask = np.empty((n, n), dtype=bool)
    tied: list[tuple[int, float]] = []
    for start in range(0, n, BLOCK):
        rows = near[start : start + BLOCK]
        limit = np.partition(rows, n - k, axis=1)[:, n - k]
        found = np.greater_equal(rows, limit[:, None] - slack, out=mask[start : start + BLOCK])
        tied += [
            (start + int(i), float(limit[i])) for i in np.flatnonzero(np.count_nonzero(found, axis=1) > k)
        ]
    if not tied:
        return mask
    parts = mask.astype(np.float64)
    for i, last in tied:
        nearer, level = near[i] > last + slack, np.abs(near[i] - last) <= slack
        parts[i, level] = (k - np.count_nonzero(nearer)) / np.count_nonzero(level)
    return parts


def _shared(first: np.ndarray, second: np.ndarray) -> float:
    if first.dtype == second.dtype == np.bool_:
        return float(np.count_nonzero(first & second))
    return float(np.minimum(first, second).sum())
