"""Alignment of kernels: CKA and its kin, which are one family with different centring and bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError, choice
from .gram_sums import linear_inner, linear_products
from .inputs import MIN_STIMULI, Pair, as_pair, centred, check_positive
from .products import ESTIMATORS, HEURISTICS, KERNELS, Products, alignment, ratio, rbf_products

__all__ = ["cka", "features_of_gram", "kernel_alignment", "rv", "rv2", "rv_adjusted"]

LEAST = {"biased": MIN_STIMULI, "unbiased": 4}
# An eigenvalue this much below 0, as a share of the largest, is not rounding.
ROUNDING = 1e-10


def cka(
    x: Any,
    y: Any,
    *,
    kernel: str = "linear",
    estimator: str = "biased",
    bandwidth: float = 1.0,
    heuristic: str = "median",
) -> xr.DataArray:
    r"""Return the centred kernel alignment of two representations.

    .. math:: \operatorname{CKA} = \frac{h(K, L)}{\sqrt{h(K, K) h(L, L)}}

    with K and L the kernels of the stimuli under x and y. ``biased``: :math:`h = \operatorname{tr}(K H L H)`,
    H = I - 1/n; of linear kernels :math:`|\tilde X' \tilde Y|_F^2 / (|\tilde X' \tilde X|_F |\tilde Y' \tilde
    Y|_F)` of centred features. ``unbiased``: h is the unbiased criterion of Song et al. 2012 (the "debiased"
    CKA); the ratio itself is nearly, not exactly, unbiased. Biased CKA of unrelated features tends to 1 as
    units outnumber stimuli; the unbiased one stays around 0.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Activations or responses; labelled ones are aligned by stimulus. At least 3 stimuli, 4 for
        ``unbiased``.
    y : array or DataArray (n_stimuli, n_units_y)
    kernel : {"linear", "rbf"}
        ``rbf`` is :math:`\exp(-|x_i - x_j|^2 / (2 \sigma^2))`.
    estimator : {"biased", "unbiased"}
    bandwidth : float
        :math:`\sigma` as a multiple of the heuristic's distance; of ``rbf`` only.
    heuristic : {"median", "median-all", "fixed"}
        Each representation's own median Euclidean distance over the pairs of different stimuli; over all
        entries of the distance matrix, each stimulus with itself (0) among them (root of the median of
        squares, Kornblith et al.'s code); or 1, so that ``bandwidth`` is :math:`\sigma`.

    Returns
    -------
    DataArray ()
        ``biased``: 0 to 1. ``unbiased``: at most about 1, negative by chance. NaN (``attrs["n_undefined"]``)
        where a representation is constant, the median distance is 0, or an unbiased h(K, K) is not positive.
        ``attrs`` count stimuli, units and constant units; constant units change nothing.

    Raises
    ------
    ShapeError
        If numbers of stimuli differ or there are too few.
    LabelError
        If the stimuli differ.
    InvalidValueError
        If a value is not finite or a choice is unknown.

    Notes
    -----
    ``linear`` holds, beside its inputs, one matrix of min(n_stimuli, n_units_x + n_units_y) squared numbers
    and some MB: features stay in their dtype and are centred in float64 a block at a time. Labelled rows of y
    in another order than those of x are copied.

    References
    ----------
    Cortes, Mohri & Rostamizadeh 2012, JMLR 13:795; Kornblith et al. 2019, ICML; Song et al. 2012, JMLR
    13:1393, equation 5.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 5))
    >>> round(float(cka(x, 3 * x[:, ::-1] + 1)), 6)
    1.0
    """
    _check(kernel, estimator, heuristic)
    pair = as_pair(x, y, least=LEAST[estimator], as_is=kernel == "linear")
    if kernel == "linear":
        products = linear_products(pair.x, pair.y)
    else:
        bandwidth = check_positive(bandwidth, "bandwidth")
        products = _rbf(pair, bandwidth, heuristic, less_one=True)
    value = alignment(products, estimator)
    value = min(float(value), 1.0) if estimator == "biased" else float(value)
    return pair.result(value, "cka", kernel=kernel, estimator=estimator)


def kernel_alignment(
    x: Any,
    y: Any,
    *,
    centre: bool = False,
    kernel: str = "linear",
    bandwidth: float = 1.0,
    heuristic: str = "median",
) -> xr.DataArray:
    r"""Return the alignment of two kernels, :math:`K \cdot L / (|K|_F |L|_F)`.

    Not centred (Cristianini et al. 2001), a common offset of the patterns dominates it: two unrelated
    representations with means far from 0 are aligned at 1. With ``centre`` it is the alignment of
    Cortes et al. 2012, which is biased ``cka``.

    Parameters, errors and counts as in ``cka``. For linear kernels without centring, constant units count.

    References
    ----------
    Cristianini, Shawe-Taylor, Elisseeff & Kandola 2001, NIPS 14; Cortes, Mohri & Rostamizadeh 2012, JMLR
    13:795.

    Examples
    --------
    >>> x, y = np.eye(3), np.array([[1.0], [1.0], [0.0]])
    >>> round(float(kernel_alignment(x, y)), 6)  # 2 / (sqrt(3) sqrt(4))
    0.57735
    """
    _check(kernel, "biased", heuristic)
    if centre:
        return cka(x, y, kernel=kernel, bandwidth=bandwidth, heuristic=heuristic)
    pair = as_pair(x, y, as_is=kernel == "linear")
    if kernel == "linear":
        inner = linear_inner(pair.x, pair.y)
    else:
        inner = _rbf(pair, check_positive(bandwidth, "bandwidth"), heuristic, less_one=False).inner
    return pair.result(min(float(ratio(*inner)), 1.0), "kernel_alignment", kernel=kernel)


def rv(x: Any, y: Any) -> xr.DataArray:
    r"""Return the RV coefficient of the centred units, which is biased linear CKA under its older name.

    .. math:: RV = \operatorname{tr}(S_{xy} S_{yx}) /
        \sqrt{\operatorname{tr}(S_{xx}^2) \operatorname{tr}(S_{yy}^2)}

    Units are centred and not scaled. Parameters, errors and counts as in ``cka``.

    References
    ----------
    Robert & Escoufier 1976, J R Stat Soc C 25:257.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 5))
    >>> bool(rv(x, x[:, :2]) == cka(x, x[:, :2]))
    True
    """
    pair = as_pair(x, y, as_is=True)
    value = float(alignment(linear_products(pair.x, pair.y), "biased"))
    return pair.result(min(value, 1.0), "rv")


def rv_adjusted(x: Any, y: Any) -> xr.DataArray:
    r"""Return the RV coefficient adjusted for chance: 0 on average over orders of the stimuli, 1 at most.

    .. math:: \frac{RV - E}{1 - E}, \qquad E = \frac{\sqrt{\beta_x \beta_y}}{n - 1}, \qquad
        \beta = \frac{(\operatorname{tr} S)^2}{\operatorname{tr} S^2}

    E is the exact mean of RV over all n! orders of y. Parameters, errors and counts as in ``cka``.

    References
    ----------
    El Ghaziri & Qannari 2015, Chemometr Intell Lab Syst 149:125; Kazi-Aoual et al. 1995, Comput Stat Data
    Anal 20:643 (the mean). Another adjustment (Mayer et al. 2011) corrects each squared correlation of two
    units.

    Examples
    --------
    >>> x, y = np.random.default_rng(0).standard_normal((2, 20, 30))
    >>> round(float(rv(x, y)), 2), abs(float(rv_adjusted(x, y))) < 0.2
    (0.57, True)
    """
    pair = as_pair(x, y, as_is=True)
    products = linear_products(pair.x, pair.y)
    value = alignment(products, "biased")
    traces = products.diagonals[0].sum(), products.diagonals[1].sum()
    lengths = products.inner[0] ** 0.5, products.inner[2] ** 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = np.float64(traces[0]) * traces[1] / lengths[0] / lengths[1] / (len(pair.x) - 1)
        # Two one-dimensional kernels of two distinct values each have no room above chance.
        adjusted = (value - chance) / (1 - chance) if chance < 1 else np.nan
    return pair.result(min(float(adjusted), 1.0), "rv_adjusted", chance=float(chance))


def rv2(x: Any, y: Any) -> xr.DataArray:
    r"""Return the modified RV coefficient: the alignment of centred linear kernels without their diagonals.

    .. math:: RV_2 = \frac{\tilde K \cdot \tilde L}{|\tilde K|_F |\tilde L|_F}, \qquad
        \tilde K = K - \operatorname{diag}(K)

    Kernels are centred first and not again, which is where it differs from unbiased ``cka``. From -1 to 1.
    Parameters, errors and counts as in ``cka``.

    References
    ----------
    Smilde, Kiers, Bijlsma, Rubingh & van Erk 2009, Bioinformatics 25:401.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 5))
    >>> round(float(rv2(x, 2 * x)), 6)
    1.0
    """
    pair = as_pair(x, y, as_is=True)
    products = linear_products(pair.x, pair.y)
    own = products.diagonals
    inner = tuple(
        total - own[i] @ own[j]
        for total, (i, j) in zip(products.inner, ((0, 0), (0, 1), (1, 1)), strict=True)
    )
    return pair.result(float(np.clip(ratio(*inner), -1.0, 1.0)), "rv2")


def features_of_gram(gram: Any, *, stimuli: Any = None) -> Any:
    """Return features whose linear Gram matrix is the one given, for measures that turn on it alone.

    With them, every measure here that does not change when units are rotated can be had from a Gram matrix of
    any kernel.

    Parameters
    ----------
    gram : array (n_stimuli, n_stimuli)
        Symmetric, without negative eigenvalues.
    stimuli : sequence (n_stimuli,), optional
        Labels; a DataArray is returned where they are given.

    Returns
    -------
    array or DataArray (n_stimuli, n_units)
        As many units as the matrix has rank.

    Raises
    ------
    ShapeError
        If the matrix is not square.
    InvalidValueError
        If it is not symmetric or has negative eigenvalues.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((6, 3))
    >>> features = features_of_gram(x @ x.T)
    >>> features.shape, bool(np.allclose(features @ features.T, x @ x.T))
    ((6, 3), True)
    """
    given = getattr(gram, "dtype", np.dtype(np.float64))
    gram = as_float(gram, name="gram", ndim=2)
    if gram.shape[0] != gram.shape[1]:
        raise ShapeError(f"gram must be square; got shape {gram.shape}.")
    # What float32 or float16 rounds is neither asymmetry nor a negative eigenvalue.
    own = np.finfo(given).eps if given.kind == "f" else 0.0
    rounding = max(ROUNDING, 4 * len(gram) * float(own))
    largest = np.abs(gram).max(initial=0.0)
    if np.abs(gram - gram.T).max(initial=0.0) > rounding * largest:
        raise InvalidValueError("gram must be symmetric. Average it with its transpose if that is meant.")
    values, vectors = np.linalg.eigh(gram)
    top = np.abs(values).max(initial=0.0)
    if (values < -rounding * top).any():
        raise InvalidValueError(
            f"gram has {int((values < -rounding * top).sum())} negative eigenvalues, the lowest "
            f"{values[0]:g}; no features have such a Gram matrix."
        )
    kept = values > len(gram) * np.finfo(np.float64).eps * top
    features = vectors[:, kept] * np.sqrt(values[kept])
    if stimuli is None:
        return features
    return xr.DataArray(features, dims=("stimulus", "unit"), coords={"stimulus": np.asarray(stimuli)})


def _rbf(pair: Pair, bandwidth: float, heuristic: str, *, less_one: bool) -> Products:
    x, y = centred(pair.x), centred(pair.y)
    return rbf_products(x, y, bandwidth=bandwidth, heuristic=heuristic, less_one=less_one)


def _check(kernel: str, estimator: str, heuristic: str) -> None:
    for name, value, allowed in (
        ("kernel", kernel, KERNELS),
        ("estimator", estimator, ESTIMATORS),
        ("heuristic", heuristic, HEURISTICS),
    ):
        if value not in allowed:
            raise choice(value, allowed, name=name)
