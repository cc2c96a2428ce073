"""Slow drifts of a run: lines, polynomials and cosines, taken out by least squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice

__all__ = ["DRIFTS", "drift_basis", "remove_drifts"]

DRIFTS = ("linear", "polynomial", "cosine")
# What rounding leaves of a series that is a drift and nothing else, as a share of its largest value.
ROUNDING = 1e-13


def drift_basis(
    times: Any, *, kind: str = "linear", order: int = 2, cutoff: float = 128.0, name: str = "times"
) -> np.ndarray:
    r"""Return orthonormal drifts of the rows of one run; the constant is one of them.

    - ``linear``: the constant and the straight line;
    - ``polynomial``: powers of time up to ``order``;
    - ``cosine``: :math:`\cos(\pi k (i + 1/2) / n)` for rows i and k from 0 to :math:`2 n s / cutoff` rounded
      down, with s seconds a row: what is slower than one period in ``cutoff`` seconds.

    Parameters
    ----------
    times : array (n_times,)
        Seconds; increasing.
    kind : {"linear", "polynomial", "cosine"}
    order : int
        At least 0; of polynomials only.
    cutoff : float
        Seconds, of cosines only.
    name : str
        What errors call the rows.

    Returns
    -------
    array (n_times, n_drifts)

    Raises
    ------
    ShapeError
        If there are no more rows than drifts, which would leave nothing.
    InvalidValueError
        If an argument is out of range.

    References
    ----------
    Holmes et al. 1997, NeuroImage 5:S480 (discrete cosines; SPM's cutoff is 128 s).

    Examples
    --------
    >>> drift_basis([0.0, 2.0, 4.0, 6.0], kind="linear").round(3).tolist()
    [[0.5, -0.671], [0.5, -0.224], [0.5, 0.224], [0.5, 0.671]]
    """
    if kind not in DRIFTS:
        raise choice(kind, DRIFTS, name="kind")
    times = as_float(times, name="times", ndim=1)
    if len(times) < 2:
        raise ShapeError(f"{name}: {len(times)} rows hold no drift; at least 3 are needed.")
    if np.ptp(times) == 0:
        raise InvalidValueError(f"{name}: all {len(times)} rows are at {times[0]:g} s; a drift needs time.")
    if kind == "cosine":
        basis = _cosines(times, cutoff)
    else:
        basis = _polynomials(times, 1 if kind == "linear" else order)
    if basis.shape[1] >= len(times):
        raise ShapeError(
            f"{name}: {len(times)} rows are fitted exactly by {basis.shape[1]} drifts ({kind}); nothing "
            "would be left. Take fewer drifts, or leave the run out."
        )
    q = np.linalg.qr(basis)[0]
    return q * np.sign((q * basis).sum(axis=0))


def remove_drifts(x: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return the columns of ``x`` (n_times, n_columns) without their projection on an orthonormal basis.

    A column that is a drift and nothing else becomes exactly 0, so that it counts as constant.
    """
    x, basis = as_float(x, name="x"), as_float(basis, name="basis", ndim=2)
    if not len(x) or len(basis) != len(x):
        raise ShapeError(f"x and basis need the same rows, at least 1; got {x.shape} and {basis.shape}.")
    centred = x - x.mean(axis=0)
    rest = centred - basis @ (basis.T @ centred)
    return np.where(np.abs(rest).max(axis=0) <= ROUNDING * np.abs(x).max(axis=0), 0.0, rest)


def _polynomials(times: np.ndarray, order: int) -> np.ndarray:
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or order < 0:
        raise InvalidValueError(f"order must be a non-negative integer; got {order!r}.")
    # Legendre polynomials on [-1, 1]: plain powers of seconds lose all digits at order 4.
    unit = 2 * (times - times[0]) / (times[-1] - times[0]) - 1
    return np.polynomial.legendre.legvander(unit, int(order))


def _cosines(times: np.ndarray, cutoff: float) -> np.ndarray:
    if not np.isfinite(cutoff) or cutoff <= 0:
        raise InvalidValueError(f"cutoff must be positive and finite; got {cutoff!r}.")
    n = len(times)
    step = (times[-1] - times[0]) / (n - 1)
    # Two times the duration may be a multiple of the cutoff: rounding must not decide.
    highest = min(n - 1, int(np.floor(2 * n * step / cutoff * (1 + 1e-12))))
    return np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * np.arange(highest + 1) / n)
