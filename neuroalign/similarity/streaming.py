"""Linear CKA of more stimuli than memory holds: sums over batches of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError, choice
from .alignment import LEAST
from .gram_sums import linear_products
from .inputs import as_pair
from .products import hsic

__all__ = ["StreamedCKA", "minibatch_cka"]

STREAMED = ("biased", "unbiased", "minibatch")


class StreamedCKA:
    """Linear CKA from batches of rows, in memory that does not grow with the number of stimuli.

    ``biased`` and ``unbiased`` are exactly ``cka`` of all rows together, whatever the batches: sums of
    products of units (n_units, n_units) are kept, about the first batch's means. ``minibatch`` keeps three
    numbers: unbiased HSIC is averaged over the batches before the ratio is taken (Nguyen et al. 2021), so
    that it depends on which rows come together.

    Parameters
    ----------
    estimator : {"biased", "unbiased", "minibatch"}

    References
    ----------
    Nguyen, Raghu & Kornblith 2021, ICLR, equations 2 and 3 (minibatch).

    Examples
    --------
    >>> from neuroalign.similarity import cka
    >>> x, y = np.random.default_rng(0).standard_normal((2, 100, 4))
    >>> streamed = StreamedCKA()
    >>> for rows in np.split(np.arange(100), 5):
    ...     streamed.update(x[rows], y[rows])
    >>> bool(np.isclose(float(streamed.value()), float(cka(x, y))))
    True
    """

    def __init__(self, estimator: str = "biased") -> None:
        if estimator not in STREAMED:
            raise choice(estimator, STREAMED, name="estimator")
        self.estimator = estimator
        self.n_stimuli = 0
        self.n_batches = 0
        self._sums: list[np.ndarray] | None = None
        self._hsic = np.zeros(3)
        self._widths: tuple[int, int] | None = None

    def update(self, x: Any, y: Any) -> None:
        """Take in a batch of rows (n_rows, n_units_x), (n_rows, n_units_y); labelled rows are aligned.

        Raises
        ------
        ShapeError
            If rows differ in number, units are others than before, or a minibatch has fewer than 4 rows.
        """
        pair = as_pair(x, y, least=4 if self.estimator == "minibatch" else 1)
        widths = pair.x.shape[1], pair.y.shape[1]
        if self._widths not in (None, widths):
            raise ShapeError(f"batches must have {self._widths} units as the first one had; got {widths}.")
        self._widths = widths
        self.n_stimuli += len(pair.x)
        self.n_batches += 1
        if self.estimator == "minibatch":
            products = linear_products(pair.x, pair.y, rescale=False)
            self._hsic += [hsic(products, i, "unbiased") for i in range(3)]
            return
        if self._sums is None:
            self._origin = pair.x.mean(axis=0), pair.y.mean(axis=0)
        new = _sums(pair.x - self._origin[0], pair.y - self._origin[1], self.estimator)
        self._sums = (
            new if self._sums is None else [old + more for old, more in zip(self._sums, new, strict=True)]
        )

    def value(self) -> xr.DataArray:
        """Return the CKA of the rows so far; NaN where a representation is constant.

        Raises
        ------
        ShapeError
            If there are fewer than 3 stimuli (4 for ``unbiased``).
        """
        least = LEAST.get(self.estimator, 4)
        if self.n_stimuli < least:
            raise ShapeError(f"{self.n_stimuli} stimuli came in; at least {least} are needed.")
        if self.estimator == "minibatch":
            kk, kl, ll = self._hsic
            value = kl / np.sqrt(kk) / np.sqrt(ll) if kk > 0 and ll > 0 else np.nan
        else:
            value = _ratio(self._sums, self.n_stimuli, self.estimator)
        widths = self._widths or (0, 0)
        attrs = {
            "measure": "cka",
            "kernel": "linear",
            "estimator": self.estimator,
            "n_stimuli": self.n_stimuli,
            "n_batches": self.n_batches,
            "n_units_x": widths[0],
            "n_units_y": widths[1],
            "n_undefined": int(np.isnan(value)),
        }
        return xr.DataArray(float(value), attrs=attrs, name="similarity")


def minibatch_cka(x: Any, y: Any, *, batch_size: int, rng: np.random.Generator | None = None) -> xr.DataArray:
    """Return linear CKA over minibatches: unbiased HSIC averaged over batches, then the ratio.

    Parameters
    ----------
    x, y : array or DataArray (n_stimuli, n_units)
        Aligned by stimulus.
    batch_size : int
        At least 4. Rows that fill no batch are left out and counted (``attrs["n_left_out"]``).
    rng : numpy.random.Generator, optional
        Draws which stimuli come together; where None, neighbours in the order of the labels (of the rows
        where there are none).

    Returns
    -------
    DataArray ()
        With one batch of all rows it is unbiased ``cka``.

    References
    ----------
    Nguyen, Raghu & Kornblith 2021, ICLR, equations 2 and 3.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((32, 4))
    >>> round(float(minibatch_cka(x, 2 * x, batch_size=8)), 6)
    1.0
    """
    pair = as_pair(x, y, least=4)
    n = len(pair.x)
    if (
        isinstance(batch_size, bool)
        or not isinstance(batch_size, int | np.integer)
        or not 4 <= batch_size <= n
    ):
        raise InvalidValueError(
            f"batch_size must be an integer from 4 to the {n} stimuli; got {batch_size!r}."
        )
    order = pair.order if rng is None else pair.order[rng.permutation(n)]
    streamed = StreamedCKA("minibatch")
    for start in range(0, n - batch_size + 1, batch_size):
        rows = order[start : start + batch_size]
        streamed.update(pair.x[rows], pair.y[rows])
    return streamed.value().assign_attrs(n_left_out=int(n % batch_size))


def _sums(x: np.ndarray, y: np.ndarray, estimator: str) -> list[np.ndarray]:
    sums = [x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, y.T @ y]
    if estimator == "biased":
        return sums
    a, b = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
    # What the inner products of the diagonals |x - mean|^2, |y - mean|^2 are made of, once the means are
    # known.
    for first, second, left, right in ((a, b, x, y), (a, a, x, x), (b, b, y, y)):
        sums += [first @ second, second @ left, first @ right]
    return [*sums, a.sum(), b.sum()]


def _ratio(sums: list[np.ndarray] | None, n: int, estimator: str) -> float:
    if sums is None:
        return float("nan")
    sum_x, sum_y, xx, xy, yy = sums[:5]
    mean_x, mean_y = sum_x / n, sum_y / n
    centred_products = [
        m - n * np.outer(u, v)
        for m, u, v in ((xx, mean_x, mean_x), (xy, mean_x, mean_y), (yy, mean_y, mean_y))
    ]
    if not _varies(xx, mean_x, n) or not _varies(yy, mean_y, n):
        return float("nan")
    inner = [float(np.vdot(m, m)) for m in centred_products]
    if estimator == "biased":
        return min(inner[1] / np.sqrt(inner[0]) / np.sqrt(inner[2]), 1.0)
    kl, kk, ll = (sums[i : i + 3] for i in (5, 8, 11))
    total_a, total_b = sums[14:]
    own = (
        _diagonals(kk, xx, mean_x, mean_x, total_a, total_a, n),
        _diagonals(kl, xy, mean_x, mean_y, total_a, total_b, n),
        _diagonals(ll, yy, mean_y, mean_y, total_b, total_b, n),
    )
    traces = total_a - n * mean_x @ mean_x, total_b - n * mean_y @ mean_y
    h = [
        total - d + t * u / ((n - 1) * (n - 2)) - 2 / (n - 2) * d
        for total, d, t, u in zip(
            inner, own, (traces[0], traces[0], traces[1]), (traces[0], traces[1], traces[1]), strict=True
        )
    ]
    return float(h[1] / np.sqrt(h[0]) / np.sqrt(h[2])) if h[0] > 0 and h[2] > 0 else float("nan")


def _varies(products: np.ndarray, mean: np.ndarray, n: int) -> bool:
    """Return whether any unit's sum of squares is more than the rounding of its mean's."""
    squares = np.diag(products)
    return bool((squares - n * mean**2 > 16 * np.finfo(np.float64).eps * squares).any())


def _diagonals(
    sums: list[np.ndarray], cross: np.ndarray, mean_x: np.ndarray, mean_y: np.ndarray, a: Any, b: Any, n: int
) -> float:
    """Return sum_i |x_i - mean|^2 |y_i - mean|^2 from (|x|^2 |y|^2, |y|^2 x, |x|^2 y), x y', |x|^2, |y|^2."""
    ab, b_x, a_y = sums
    c, d = mean_x @ mean_x, mean_y @ mean_y
    # (a - 2 m'x + c)(b - 2 v'y + d), summed over rows; sum x = n m, sum y = n v.
    return float(
        ab
        - 2 * a_y @ mean_y
        + d * a
        - 2 * b_x @ mean_x
        + 4 * mean_x @ cross @ mean_y
        - 2 * d * n * c
        + c * b
        - 2 * c * n * d
        + n * c * d
    )
