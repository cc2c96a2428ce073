"""Canonical correlations and what is made of them: CCA, SVCCA, PWCCA."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, choice
from .inputs import Pair, as_pair, centred, check_positive, compact, rescaled

__all__ = ["canonical_correlations", "cca", "pwcca", "svcca"]

SUMMARIES = ("mean", "r2")
WEIGHTS = ("x", "y", "mean")


def canonical_correlations(x: Any, y: Any, *, regularisation: float = 0.0) -> xr.DataArray:
    r"""Return the canonical correlations of two representations, largest first.

    .. math:: \rho = \text{singular values of }
        (S_{xx} + \lambda_x I)^{-1/2} S_{xy} (S_{yy} + \lambda_y I)^{-1/2},
        \qquad \lambda = r \operatorname{tr}(S) / n_{units}

    of centred units. Directions without variance are left out (singular values below that of the matrix's
    rounding, as in ``numpy.linalg.matrix_rank``), so that linearly dependent units change nothing.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled; at least 3 stimuli.
    y : array or DataArray (n_stimuli, n_units_y)
    regularisation : float
        r, the ridge as a share of the mean variance of a unit; 0 is plain CCA.

    Returns
    -------
    DataArray (component,)
        As many as the smaller of the two ranks; between 0 and 1. Empty where a representation is constant.
        ``attrs["n_trivial"]`` counts correlations that are 1 by construction: representations of ranks p and
        q in the n - 1 dimensions of n centred stimuli share at least p + q - (n - 1). A ``DegenerateWarning``
        says so.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``cka``.

    References
    ----------
    Hotelling 1936, Biometrika 28:321; Vinod 1976, J Econometrics 4:147 (ridge).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> canonical_correlations(x, x @ [[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]).values.round(6).tolist()
    [1.0, 1.0]
    """
    pair = as_pair(x, y)
    regularisation = check_positive(regularisation, "regularisation", zero=True)
    rho, n_trivial, ranks = _correlations(pair, regularisation)
    found = pair.result(0.0, "canonical_correlations", degenerate=_says(n_trivial, ranks, len(pair.x)))
    attrs = found.attrs | {"n_trivial": n_trivial, "n_undefined": int(rho.size == 0)}
    return xr.DataArray(rho, dims=("component",), attrs=attrs, name="similarity")


def cca(x: Any, y: Any, *, summary: str = "mean", regularisation: float = 0.0) -> xr.DataArray:
    r"""Return the mean of the canonical correlations, or of their squares.

    ``mean``: :math:`\sum \rho / \min(p, q)` (Raghu et al. 2017); ``r2``: :math:`\sum \rho^2 / \min(p, q)`
    (Kornblith et al. 2019, of the representation with fewer units), for ranks p and q. Invariant to
    invertible linear maps of either's units. With no more stimuli than units all correlations are 1, whatever
    the data: a ``DegenerateWarning`` and ``attrs["degenerate"]`` say so, and ``regularisation`` or ``svcca``
    is the way out.

    Parameters
    ----------
    x, y : array or DataArray (n_stimuli, n_units)
    summary : {"mean", "r2"}
    regularisation : float
        As in ``canonical_correlations``.

    Returns
    -------
    DataArray ()
        0 to 1; NaN where a representation is constant. ``attrs["n_trivial"]`` as in
        ``canonical_correlations``.

    References
    ----------
    Raghu et al. 2017, NeurIPS; Kornblith et al. 2019, ICML, table 1.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> round(float(cca(x, x @ np.diag([1.0, 5.0, 9.0]))), 6)
    1.0
    """
    _check(summary)
    pair = as_pair(x, y)
    rho, n_trivial, ranks = _correlations(pair, check_positive(regularisation, "regularisation", zero=True))
    return _summarised(pair, rho, n_trivial, ranks, "cca", summary, regularisation=float(regularisation))


def svcca(x: Any, y: Any, *, variance: float = 0.99, summary: str = "mean") -> xr.DataArray:
    """Return the mean canonical correlation of the leading principal components of two representations.

    Of each, as few components as hold at least the share ``variance`` of its variance (units centred, not
    scaled).

    Parameters
    ----------
    x, y : array or DataArray (n_stimuli, n_units)
    variance : float
        Above 0, at most 1.
    summary : {"mean", "r2"}
        As in ``cca``.

    Returns
    -------
    DataArray ()
        0 to 1; NaN where a representation is constant. ``attrs`` hold ``n_components_x`` and ``_y``.

    References
    ----------
    Raghu, Gilmer, Yosinski & Sohl-Dickstein 2017, NeurIPS.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> round(float(svcca(x, -x, variance=1.0)), 6)
    1.0
    """
    _check(summary)
    if not isinstance(variance, int | float) or isinstance(variance, bool) or not 0 < variance <= 1:
        raise InvalidValueError(f"variance must be above 0 and at most 1; got {variance!r}.")
    pair = as_pair(x, y)
    bases = []
    for z in (pair.x, pair.y):
        left, size = _basis(z)
        share = np.cumsum(size**2) / max((size**2).sum(), np.finfo(np.float64).tiny)
        # The last component always reaches the whole, whatever the sum's rounding.
        bases.append(left[:, : min(int(np.searchsorted(share, variance * (1 - 1e-12))) + 1, len(size))])
    ranks = bases[0].shape[1], bases[1].shape[1]
    rho = _singular_values(*bases)
    n_trivial = _n_trivial(ranks, len(pair.x))
    counts = {"n_components_x": ranks[0], "n_components_y": ranks[1], "variance": float(variance)}
    return _summarised(pair, rho, n_trivial, ranks, "svcca", summary, **counts)


def pwcca(x: Any, y: Any, *, weights: str = "x") -> xr.DataArray:
    r"""Return the canonical correlations averaged with weights: how much of x each canonical variable holds.

    .. math:: \sum_i \alpha_i \rho_i / \sum_i \alpha_i, \qquad \alpha_i = \sum_j |h_i \cdot x_j|

    with :math:`h_i` the canonical variables of x (length 1) and :math:`x_j` its centred units. Not symmetric,
    and not invariant to rotations of x, only to permuting its units and one scale for all: the weights sum
    magnitudes over units.

    Parameters
    ----------
    x, y : array or DataArray (n_stimuli, n_units)
    weights : {"x", "y", "mean"}
        Whose units weigh, or the mean of both values.

    Returns
    -------
    DataArray ()
        0 to 1; NaN where a representation is constant. ``attrs["n_trivial"]`` as in
        ``canonical_correlations``.

    References
    ----------
    Morcos, Raghu & Bengio 2018, NeurIPS. Their code takes the weights of the representation with fewer
    components.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> round(float(pwcca(x, x[:, :2])), 6)
    1.0
    """
    if weights not in WEIGHTS:
        raise choice(weights, WEIGHTS, name="weights")
    pair = as_pair(x, y)
    matrices = [rescaled(centred(z)) for z in (pair.x, pair.y)]
    (left, _), (right, _) = (_basis(z) for z in (pair.x, pair.y))
    ranks = left.shape[1], right.shape[1]
    n_trivial, value = _n_trivial(ranks, len(pair.x)), np.nan
    if min(ranks):
        u, rho, vh = np.linalg.svd(left.T @ right, full_matrices=False)
        variables = {"x": left @ u, "y": right @ vh.T}
        values = {}
        for name, matrix in zip(("x", "y"), matrices, strict=True):
            alpha = np.abs(variables[name].T @ matrix).sum(axis=1)
            values[name] = min(float(alpha @ rho / alpha.sum()), 1.0)
        value = float(np.mean(list(values.values()))) if weights == "mean" else values[weights]
    degenerate = _says(n_trivial, ranks, len(pair.x))
    return pair.result(value, "pwcca", degenerate=degenerate, weights=weights, n_trivial=n_trivial)


def _correlations(pair: Pair, ridge: float) -> tuple[np.ndarray, int, tuple[int, int]]:
    bases = []
    for z in (pair.x, pair.y):
        left, size = _basis(z)
        if ridge and len(size):
            left = left * (size / np.sqrt(size**2 + ridge * (size**2).sum() / z.shape[1]))
        bases.append(left)
    ranks = bases[0].shape[1], bases[1].shape[1]
    return _singular_values(*bases), 0 if ridge else _n_trivial(ranks, len(pair.x)), ranks


def _basis(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return principal components of length 1 (n_stimuli, rank) and their singular values."""
    x = compact(rescaled(centred(x)))
    left, size, _ = np.linalg.svd(x, full_matrices=False)
    rank = int((size > max(x.shape) * np.finfo(np.float64).eps * size.max(initial=0.0)).sum())
    return left[:, :rank], size[:rank]


def _singular_values(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if 0 in (left.shape[1], right.shape[1]):
        return np.zeros(0)
    return np.minimum(np.linalg.svd(left.T @ right, compute_uv=False), 1.0)


def _n_trivial(ranks: tuple[int, int], n_stimuli: int) -> int:
    return min(max(sum(ranks) - (n_stimuli - 1), 0), min(ranks))


def _says(n_trivial: int, ranks: tuple[int, int], n_stimuli: int) -> str:
    if not n_trivial:
        return ""
    return (
        f"{n_trivial} of {min(ranks)} canonical correlations are 1 by construction: {n_stimuli} centred "
        f"stimuli span {n_stimuli - 1} dimensions, the representations {ranks[0]} and {ranks[1]} of them. "
        "Take more stimuli, fewer components (svcca) or regularisation."
    )


def _summarised(
    pair: Pair, rho: np.ndarray, n_trivial: int, ranks: tuple[int, int], name: str, summary: str, **attrs: Any
) -> xr.DataArray:
    value = float((rho if summary == "mean" else rho**2).mean()) if rho.size else float("nan")
    degenerate = _says(n_trivial, ranks, len(pair.x))
    return pair.result(value, name, degenerate=degenerate, summary=summary, n_trivial=n_trivial, **attrs)


def _check(summary: str) -> None:
    if summary not in SUMMARIES:
        raise choice(summary, SUMMARIES, name="summary")
