"""How many dimensions a representation fills: the participation ratio, and what few stimuli do to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError, choice
from ..stats.permutations import check_draws
from .inputs import as_patterns, centred, count, is_dead

__all__ = ["dimension_curve", "participation_ratio"]

LEAST = 4
REPETITION = "repetition"


class Moments(NamedTuple):
    """Estimates of the squared total variance and of the sum of squared eigenvalues of a covariance."""

    squared_trace: float
    squared_norm: float


def participation_ratio(activations: xr.DataArray, *, estimator: str = "unbiased") -> xr.DataArray:
    r"""Return the participation ratio of the eigenvalues of the units' covariance over stimuli.

    .. math:: \frac{(\sum_i \lambda_i)^2}{\sum_i \lambda_i^2}
              = \frac{(\operatorname{tr} \Sigma)^2}{\operatorname{tr} \Sigma^2}

    1 where all variance lies in one direction, the number of units where it is spread evenly.

    - ``plain`` takes the covariance of the stimuli at hand. It never exceeds the number of stimuli less one,
      and with few stimuli it is far too small: of an isotropic cloud of D dimensions and n stimuli it is near
      D n / (D + n).
    - ``unbiased`` divides two unbiased estimates, of :math:`(\operatorname{tr} \Sigma)^2` and of
      :math:`\operatorname{tr} \Sigma^2`, both averages over all choices of four different stimuli a, b, c, d
      (U-statistics):

      .. math:: \tfrac14 |x_a - x_b|^2 |x_c - x_d|^2, \qquad
                \tfrac14 \left[(x_a - x_b) \cdot (x_c - x_d)\right]^2

      They hold for any distribution of independent stimuli. The ratio of two unbiased estimates is not itself
      unbiased, only consistent; what remains falls with the number of stimuli. With very few stimuli the
      second may be 0 or less, and then the ratio is NaN.
    - With a dim ``repetition``, the noise of single measurements is left out as well: every product of
      two measurements of the same stimulus is taken between two different repetitions (cross-products),
      averaged over all ordered pairs of them, so that noise that is independent between repetitions and
      stimuli adds nothing to either estimate. ``plain`` has no such form.

    Rotating, shifting and scaling all units together changes nothing.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit), with an optional dim ``repetition``
        Finite; at least 4 stimuli. Every entry of the other leading dims is measured for itself.
    estimator : {"unbiased", "plain"}

    Returns
    -------
    DataArray (...)
        At least 1 with ``plain``; NaN where nothing varies, or where the estimate of
        :math:`\operatorname{tr} \Sigma^2` is not positive. ``attrs["n_undefined"]`` counts these, and
        ``attrs["n_dead"]`` the dead units, summed over leading entries; they add nothing.

    Raises
    ------
    ShapeError
        If dims are other ones, there are fewer than 4 stimuli, or one repetition.
    InvalidValueError
        If a value is not finite, or the estimator is unknown or has no form for repetitions.

    References
    ----------
    Gao et al. 2017, bioRxiv 214262 (the ratio); Chen, Zhang & Zhong 2010, J Am Stat Assoc 105:810 (the
    U-statistics); Song et al. 2012, J Mach Learn Res 13:1393 (the second of them as unbiased HSIC of a linear
    kernel).

    Examples
    --------
    >>> cloud = np.random.default_rng(0).standard_normal((60, 40))
    >>> x = xr.DataArray(cloud, dims=("stimulus", "unit"), coords={"stimulus": np.arange(60)})
    >>> [round(float(participation_ratio(x, estimator=name))) for name in ("plain", "unbiased")]
    [23, 38]
    """
    if estimator not in ("unbiased", "plain"):
        raise choice(estimator, ("unbiased", "plain"), name="estimator")
    if isinstance(activations, xr.DataArray) and REPETITION in activations.dims:
        return _repeated(activations, estimator)
    patterns = as_patterns(activations, least=LEAST)
    found = patterns.each(lambda x: _ratio(_moments(x, estimator)))
    out = patterns.labelled(found, name="participation_ratio")
    n_dead = sum(int(is_dead(x).sum()) for x in patterns.values)
    out.attrs = {"estimator": estimator, "n_undefined": int(np.isnan(found).sum()), "n_dead": n_dead}
    return out


def dimension_curve(
    activations: xr.DataArray,
    sizes: Sequence[int] | None = None,
    *,
    n_draws: int = 20,
    rng: np.random.Generator,
) -> xr.DataArray:
    """Return participation ratios of random subsets of stimuli, by both estimators.

    Where the plain ratio still climbs at the right end, it says how many stimuli there were; the unbiased
    one should be flat. See ``participation_ratio``.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit)
    sizes : sequence of int, optional
        Numbers of stimuli, from 4 to all; six of them, evenly spaced in logarithm from 8 (or 4), where None.
    n_draws : int
        Subsets of each size, drawn without replacement; the same for all leading entries.
    rng : numpy.random.Generator

    Returns
    -------
    DataArray (..., estimator, size, draw)
        NaN as in ``participation_ratio``, counted in ``attrs["n_undefined"]``. Draws of all stimuli are all
        the same; draws of nearly all hardly differ, so that their spread is no interval.

    Raises
    ------
    ShapeError, InvalidValueError
        As ``participation_ratio``; if a size is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = xr.DataArray(
    ...     rng.standard_normal((200, 30)), dims=("stimulus", "unit"), coords={"stimulus": np.arange(200)})
    >>> curve = dimension_curve(x, [20, 200], rng=rng).mean("draw")
    >>> curve.sel(estimator="plain").round().values.tolist()
    [11.0, 26.0]
    """
    n_draws = count(n_draws, "n_draws")
    check_draws(n_draws, rng)
    patterns = as_patterns(activations, least=LEAST)
    n = patterns.values.shape[1]
    if sizes is None:
        sizes = sorted({int(size) for size in np.geomspace(min(8, n), n, 6).round()})
    bad = [size for size in sizes if not LEAST <= size <= n]
    if bad or not len(sizes):
        raise InvalidValueError(f"sizes must be from {LEAST} to the {n} stimuli; got {list(sizes)}.")
    draws = [[rng.permutation(n)[:size] for _ in range(n_draws)] for size in sizes]

    def kernel(x: np.ndarray) -> list[list[list[float]]]:
        return [
            [[_ratio(_moments(x[rows], name)) for rows in drawn] for drawn in draws]
            for name in ("plain", "unbiased")
        ]

    found = patterns.each(kernel)
    coords = {"estimator": ["plain", "unbiased"], "size": list(sizes)}
    out = patterns.labelled(found, ["estimator", "size", "draw"], coords=coords, name="participation_ratio")
    out.attrs = {"n_draws": n_draws, "n_undefined": int(np.isnan(found).sum())}
    return out


def _repeated(activations: xr.DataArray, estimator: str) -> xr.DataArray:
    if estimator != "unbiased":
        raise InvalidValueError(
            "estimator 'plain' has no form for repetitions; average them, or take 'unbiased'."
        )
    patterns = as_patterns(activations.transpose(..., REPETITION, "stimulus", "unit", missing_dims="ignore"))
    n = patterns.values.shape[1]
    repetitions = activations.sizes[REPETITION]
    if n < LEAST or repetitions < 2:
        raise ShapeError(
            f"repetitions need at least {LEAST} stimuli and 2 repetitions; got {n} and {repetitions}."
        )
    stacked = patterns.values.reshape(-1, repetitions, *patterns.values.shape[1:])
    found = np.array([_ratio(_cross_moments(x)) for x in stacked])
    rest = [dim for dim in patterns.leading if dim != REPETITION]
    kept = patterns.array.isel({REPETITION: 0, "stimulus": 0, patterns.unit: 0}, drop=True)
    out = kept.transpose(*rest).copy(data=found.reshape([activations.sizes[dim] for dim in rest]))
    n_dead = sum(int(is_dead(x.reshape(-1, x.shape[-1])).sum()) for x in stacked)
    out.attrs = {
        "estimator": "unbiased, between repetitions",
        "n_undefined": int(np.isnan(found).sum()),
        "n_dead": n_dead,
    }
    return out.rename("participation_ratio")


def _ratio(moments: Moments) -> float:
    top, bottom = moments
    return top / bottom if top > 0 and bottom > 0 else float("nan")


def _moments(x: np.ndarray, estimator: str) -> Moments:
    """Return the moments of (n_stimuli, n_units), whichever Gram matrix is the smaller formed."""
    n, x = len(x), centred(x)
    # One scale for all, so that fourth powers neither overflow nor vanish; the ratio has no unit.
    x = x / (np.abs(x).max() or 1.0)
    gram = x @ x.T if n <= x.shape[1] else x.T @ x
    norm, lengths = float((gram * gram).sum()), np.einsum("su,su->s", x, x)
    total, fourth = float(lengths.sum()), float((lengths**2).sum())
    if estimator == "plain":
        return Moments(total**2, norm)
    # The averages over four different stimuli in closed form, from the row sums of a centred Gram matrix (0).
    four = n * (n - 1) * (n - 2) * (n - 3)
    trace = ((n * n - 3 * n + 1) * total**2 - n * (n - 1) * fourth + 2 * norm) / four
    squares = norm - fourth + total**2 / ((n - 1) * (n - 2)) - 2 * fourth / (n - 2)
    return Moments(trace, squares / (n * (n - 3)))


def _cross_moments(x: np.ndarray) -> Moments:
    """Return the moments of (n_repetitions, n_stimuli, n_units), free of noise that is not repeated."""
    x = x - x.mean(axis=(0, 1))
    x = x / (np.abs(x).max() or 1.0)
    pairs = [(p, q) for p in range(len(x)) for q in range(len(x)) if p != q]
    found = np.array([_cross_pair(x[p] @ x[q].T) for p, q in pairs])
    return Moments(*found.mean(axis=0).tolist())


def _cross_pair(gram: np.ndarray) -> tuple[float, float]:
    """Return the moments from products (n, n) of one repetition's stimuli (rows) with another's (columns).

    No product of two entries holds one measurement twice: the four stimuli differ, or they meet as (i, j) and
    (j, i), or as (i, j) and (l, i).
    """
    n, own = len(gram), np.diag(gram)
    between = gram - np.diag(own)
    rows, columns = between.sum(axis=1), between.sum(axis=0)
    there_and_back = float((between * between.T).sum())
    chained = float(rows @ columns) - there_and_back
    total = float(between.sum())
    apart = total**2 - float(((rows + columns) ** 2).sum()) + float((between**2).sum()) + there_and_back
    two, three, four = n * (n - 1), n * (n - 1) * (n - 2), n * (n - 1) * (n - 2) * (n - 3)
    squares = there_and_back / two - 2 * chained / three + apart / four
    distances = own[:, None] + own - gram - gram.T
    sums = distances.sum(axis=1)
    trace = sums.sum() ** 2 - 4 * float(sums @ sums) + 2 * float((distances**2).sum())
    return trace / (4 * four), squares
