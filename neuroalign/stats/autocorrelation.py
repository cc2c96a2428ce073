"""How a series resembles itself later on, and how long the blocks of a permutation must be for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import fft

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from .scores import is_constant

__all__ = ["ar1", "autocorrelation", "block_length", "block_lengths", "effective_n", "integrated_time"]

# The share of the variance of a correlation that permuted blocks may lose; see ``block_length``.
TOLERANCE = 0.025
# The blocks of the shortest run: longer ones cannot be permuted.
SMALLEST_NUMBER = 2
# Politis 2003: an autocorrelation is taken for 0 where 5 in a row are within 2 sqrt(log10(n) / n).
BAND, IN_A_ROW = 2.0, 5
CHUNK = 512


def autocorrelation(x: Any, *, runs: Any = None, max_lag: int | None = None) -> np.ndarray:
    r"""Return the autocorrelation function of each series, the biased estimator.

    .. math:: \rho_k = \sum_t (x_t - \bar x)(x_{t+k} - \bar x) / \sum_t (x_t - \bar x)^2

    with means taken, and products formed, within runs. The biased estimator divides every lag by the same
    number of rows, so that no lag exceeds 1 and no spectrum is negative. Computed by FFT.

    Parameters
    ----------
    x : array (n_times, n_series) or (n_times,)
        Rows in order of time, evenly spaced within runs.
    runs : array (n_times,), optional
        The run of each row; one run where None.
    max_lag : int, optional
        The largest lag; that of the shortest run where None.

    Returns
    -------
    array (max_lag + 1, n_series) or (max_lag + 1,)
        1 at lag 0; NaN for a series that is constant within every run.

    Raises
    ------
    ShapeError
        If runs are not one a row, or there are no rows.
    InvalidValueError
        If a value is not finite, or ``max_lag`` is negative or reaches beyond the shortest run.

    References
    ----------
    Box, Jenkins & Reinsel 2008, Time Series Analysis, section 2.1.5.

    Examples
    --------
    >>> autocorrelation([1.0, -1.0, 1.0, -1.0], max_lag=2).tolist()
    [1.0, -0.75, 0.5]
    """
    x = as_float(x, name="x", ndim=(1, 2))
    rows = _rows(runs, len(x))
    shortest = min(map(len, rows))
    max_lag = shortest - 1 if max_lag is None else max_lag
    if isinstance(max_lag, bool) or not isinstance(max_lag, int | np.integer) or not 0 <= max_lag < shortest:
        raise InvalidValueError(
            f"max_lag must be an integer from 0 to {shortest - 1}, below the {shortest} rows of the shortest "
            f"run; got {max_lag!r}."
        )
    found = _acf(x[:, None] if x.ndim == 1 else x, rows, int(max_lag))
    return found[:, 0] if x.ndim == 1 else found


def ar1(x: Any, *, runs: Any = None) -> np.ndarray:
    """Return the coefficient of a first-order autoregression of each series: its autocorrelation at lag 1.

    The Yule-Walker estimate, between -1 and 1. Parameters, NaN and errors as in ``autocorrelation``.

    Examples
    --------
    >>> float(ar1([1.0, -1.0, 1.0, -1.0]))
    -0.75
    """
    return autocorrelation(x, runs=runs, max_lag=1)[1]


def integrated_time(x: Any, *, runs: Any = None) -> np.ndarray:
    r"""Return the integrated autocorrelation time of each series, in rows.

    .. math:: \tau = 1 + 2 \sum_{k \ge 1} \lambda_k \rho_k

    so that the mean of n rows varies like that of n / tau independent ones. The weights ``lambda`` are the
    flat-top window of Politis (2003), which leaves out the lags at which nothing but noise is seen: 1 up to
    the lag m after which 5 autocorrelations in a row are within ``2 sqrt(log10(n) / n)`` of 0, then falling
    to 0 at 2 m.

    Parameters, NaN and errors as in ``autocorrelation``. Of an AR(1) process it is (1 + a) / (1 - a).

    References
    ----------
    Politis 2003, J Nonparametric Statistics 15:173 (window and choice of m); Sokal 1997, Monte Carlo methods
    in statistical mechanics (the integrated time).

    Examples
    --------
    >>> white = np.random.default_rng(0).standard_normal(500)
    >>> float(integrated_time(white)), bool(integrated_time(white.cumsum()) > 50)
    (1.0, True)
    """
    acf = autocorrelation(x, runs=runs)
    weight = _flat_top(_last_lag(acf, len(np.asarray(x))), len(acf))
    return 1 + 2 * (weight * acf)[1:].sum(axis=0)


def effective_n(x: Any, y: Any, *, runs: Any = None) -> np.ndarray:
    r"""Return how many independent rows would make the correlation of two unrelated series vary as much.

    .. math:: n / (1 + 2 \sum_{k \ge 1} (1 - k / n) \lambda_k \rho^x_k \rho^y_k)

    A description of the data, not a test: a p value from it inherits the noise of the estimate. Where runs
    are given n is in the fraction all rows, in the sum those of a run. It holds for unrelated series only;
    the further terms of Afyouni et al. (2019), for series that are related, are left out.

    Parameters
    ----------
    x, y : array (n_times, n_series) or (n_times,)
    runs : array (n_times,), optional

    Returns
    -------
    array (n_series,)
        Above n where the products of the autocorrelations are negative; NaN for a constant series, or where
        noise makes the estimated variance 0 or less.

    Raises
    ------
    ShapeError
        If the shapes differ.

    References
    ----------
    Bartlett 1946, Suppl J R Stat Soc 8:27; Afyouni, Smith & Nichols 2019, NeuroImage 199:609.

    Examples
    --------
    >>> x, y = np.random.default_rng(0).standard_normal((2, 400))
    >>> int(effective_n(x, y)), bool(effective_n(x.cumsum(), y.cumsum()) < 30)
    (400, True)
    """
    x, y = (as_float(series, name=name, ndim=(1, 2)) for series, name in ((x, "x"), (y, "y")))
    if x.shape != y.shape:
        raise ShapeError(f"x and y must have one shape; got {x.shape} and {y.shape}.")
    rows = _rows(runs, len(x))
    products = _products(x.reshape(len(x), -1), y.reshape(len(y), -1), rows)
    variance = _kept(products)[-1]
    n = np.where(variance > 0, len(x) / np.where(variance > 0, variance, 1.0), np.nan)
    return n.reshape(x.shape[1:])


def block_length(x: Any, y: Any = None, *, runs: Any = None, tolerance: float = TOLERANCE) -> int:
    r"""Return the shortest block whose permutation keeps the variance of the correlation of two series.

    The correlation of two unrelated stationary series of n rows has n times the variance (Bartlett 1946)

    .. math:: V(n) = 1 + 2 \sum_{k=1}^{n-1} (1 - k / n) \rho^x_k \rho^y_k

    and permuting blocks of L rows, which breaks the pairs of rows that lie in different blocks, gives it
    V(L). The length is the first one from which on ``V(L) >= (1 - tolerance) V(n)``: with a tolerance of
    .025, a test at .05 refuses at most .0525 of true nulls for that reason. Where one of the two series is
    white, or products are negative, it is 1.

    This bounds the error of the test. Rules that minimise the squared error of the variance (Politis & White
    2004) take blocks of the order of n^(1/3), which are too short for it: of two AR(.8) series of 300 rows
    they lose a sixth of the variance.

    Products are weighted by the flat-top window (see ``integrated_time``) of the series that loses its memory
    first, and averaged over the columns, so that one length serves all columns, the more autocorrelated ones
    counting for more.

    Parameters
    ----------
    x : array (n_times, n_series)
        Such as predictions. Series that are constant or not finite are left out.
    y : array (n_times, n_series), optional
        The series that ``x`` is correlated with, column by column; ``x`` itself where None.
    runs : array (n_times,), optional
        Blocks stay within runs.
    tolerance : float
        Between 0 and 1.

    Returns
    -------
    int
        In rows: at least 1, at most half of the shortest run. Where it is cut to that, the null is narrower
        than the tolerance says.

    Raises
    ------
    ShapeError
        If the shapes differ.
    InvalidValueError
        If the tolerance is out of range, or no series is defined.

    References
    ----------
    Bartlett 1946, Suppl J R Stat Soc 8:27; Politis 2003, J Nonparametric Statistics 15:173; Politis & White
    2004, Econometric Reviews 23:53.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((400, 20))
    >>> smooth = np.stack([np.convolve(column, np.ones(8), "same") for column in noise.T], axis=1)
    >>> block_length(noise), block_length(smooth), block_length(smooth, noise)
    (1, 70, 1)
    """
    lags = _Lags.of(x, y, runs, tolerance)
    total, count = np.zeros(min(map(len, lags.rows))), 0
    for products in lags.products():
        defined = ~np.isnan(products[0])
        total, count = total + products[:, defined].sum(axis=1), count + int(defined.sum())
    if not count:
        raise InvalidValueError(
            f"a block length needs a finite series that varies; none of {lags.x.shape[1]} does."
        )
    return int(_first_length(total / count, tolerance))


def block_lengths(x: Any, y: Any = None, *, runs: Any = None, tolerance: float = TOLERANCE) -> np.ndarray:
    """Return the block length of each column for itself, array (n_series,); NaN where one is undefined.

    As ``block_length`` otherwise, which serves all columns with one length.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((400, 2))
    >>> block_lengths(np.stack([noise[:, 0], noise[:, 1].cumsum(), np.ones(400)], axis=1)).tolist()
    [1.0, 200.0, nan]
    """
    each = [
        np.where(np.isnan(products[0]), np.nan, _first_length(products, tolerance))
        for products in _Lags.of(x, y, runs, tolerance).products()
    ]
    return np.concatenate(each) if each else np.empty(0)


class _Lags(NamedTuple):
    """Two sets of series (n_times, n_series), checked, and the rows of each run."""

    x: np.ndarray
    y: np.ndarray
    rows: list[np.ndarray]

    @classmethod
    def of(cls, x: Any, y: Any, runs: Any, tolerance: Any) -> _Lags:
        y = x if y is None else y
        for one, name in ((x, "x"), (y, "y")):
            if np.ma.is_masked(one):
                as_float(one, name=name)  # refuses what a mask hides, which the rest would not see
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape or x.ndim != 2:
            raise ShapeError(f"x and y must be (n_times, n_series), the same; got {x.shape} and {y.shape}.")
        if not isinstance(tolerance, int | float | np.number) or not 0 < tolerance < 1:
            raise InvalidValueError(f"tolerance must be between 0 and 1; got {tolerance!r}.")
        return cls(x, y, _rows(runs, len(x)))

    def products(self) -> Iterator[np.ndarray]:
        """Yield the weighted products (n_lags, k) of blocks of columns; NaN where a column is undefined."""
        for start in range(0, self.x.shape[1], CHUNK):
            x, y = (
                as_float(part[:, start : start + CHUNK], name=name, finite=False)
                for part, name in ((self.x, "x"), (self.y, "y"))
            )
            unknown = ~(np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0))
            x, y = np.where(unknown, 0.0, x), np.where(unknown, 0.0, y)
            yield _products(x, y, self.rows)


def _first_length(products: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the length for products (n_lags, ...); trailing dims are problems of their own."""
    kept = _kept(products)
    short = kept < (1 - tolerance) * kept[-1]
    last = np.where(short.any(axis=0), len(short) - 1 - short[::-1].argmax(axis=0), -1)
    return np.clip(last + 2, 1, max(1, len(short) // SMALLEST_NUMBER))


def _products(x: np.ndarray, y: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    max_lag = min(map(len, rows)) - 1
    first = _acf(x, rows, max_lag)
    second = first if y is x else _acf(y, rows, max_lag)
    last = np.minimum(_last_lag(first, len(x)), _last_lag(second, len(x)))
    return _flat_top(last, max_lag + 1) * first * second


def _kept(products: np.ndarray) -> np.ndarray:
    """Return ``V(L) = 1 + 2 sum_k (1 - k / L) product_k``, over lags 1 to L - 1, for L from 1 to n_lags."""
    lags = np.arange(len(products)).reshape(-1, *[1] * (products.ndim - 1))
    beyond = np.where(lags > 0, products, 0.0)
    return 1 + 2 * (beyond.cumsum(axis=0) - (lags * beyond).cumsum(axis=0) / (lags + 1))


def _last_lag(acf: np.ndarray, n: int) -> np.ndarray:
    """Return the lag (n_series,) after which autocorrelations stay within their band for 5 lags."""
    outside = np.abs(acf) >= BAND * np.sqrt(np.log10(max(n, 2)) / n)
    padded = np.concatenate([outside, np.zeros((IN_A_ROW, *acf.shape[1:]), dtype=bool)])
    quiet = ~np.lib.stride_tricks.sliding_window_view(padded[1:], IN_A_ROW, axis=0).any(axis=-1)
    return quiet.argmax(axis=0)


def _flat_top(last: np.ndarray, n_lags: int) -> np.ndarray:
    lags = np.arange(n_lags).reshape(-1, *[1] * np.ndim(last))
    return np.clip(2 - lags / np.maximum(last, 0.5), 0.0, 1.0)


def _acf(x: np.ndarray, rows: list[np.ndarray], max_lag: int) -> np.ndarray:
    total = np.zeros((max_lag + 1, x.shape[1]))
    constant = np.ones(x.shape[1], dtype=bool)
    for run in rows:
        centred = x[run] - x[run].mean(axis=0)
        size = fft.next_fast_len(len(run) + max_lag, real=True)
        power = np.abs(fft.rfft(centred, size, axis=0)) ** 2
        total += fft.irfft(power, size, axis=0)[: max_lag + 1]
        constant &= is_constant(x[run])
    return np.where(constant, np.nan, total / np.where(constant, 1.0, total[0]))


def _rows(runs: Any, n: int) -> list[np.ndarray]:
    if n == 0:
        raise ShapeError("a series needs at least 1 row; got 0.")
    if runs is None:
        return [np.arange(n)]
    runs = np.asarray(runs)
    if runs.shape != (n,):
        raise ShapeError(f"runs must have shape ({n},), one a row; got {runs.shape}.")
    return [np.flatnonzero(runs == run) for run in dict.fromkeys(runs.tolist())]
