"""Procrustes, Bures and the generalised shape metrics: what is left of a difference after rotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import InvalidValueError, ShapeError, choice
from ..schema import align
from .inputs import as_matrix, as_pair, centred, check_positive, compact, rescaled

__all__ = ["bures_distance", "procrustes", "shape_distance", "shape_mean"]

KINDS = ("angular", "euclidean")
# Below this share of the squared lengths a distance is taken from the rotated difference itself, since the
# difference of two large numbers would leave half the digits.
CLOSE = 1e-4


def procrustes(x: Any, y: Any) -> xr.DataArray:
    r"""Return the Procrustes similarity: the cosine of the angle between x and y after the best rotation.

    .. math:: s = \frac{|\tilde X' \tilde Y|_*}{|\tilde X|_F |\tilde Y|_F}

    with :math:`|\cdot|_*` the sum of singular values, of centred units; reflections are allowed. It is the
    normalised Bures similarity (NBS, fidelity) :math:`\operatorname{tr} (K^{1/2} L K^{1/2})^{1/2} /
    \sqrt{\operatorname{tr} K \operatorname{tr} L}` of the centred Gram matrices (Harvey et al. 2023).
    ``scipy.spatial.procrustes`` returns :math:`1 - s^2`; ``shape_distance`` the angle and the length.

    Parameters
    ----------
    x : array or DataArray (n_stimuli, n_units_x)
        Aligned by stimulus where labelled; at least 3 stimuli. Numbers of units may differ.
    y : array or DataArray (n_stimuli, n_units_y)

    Returns
    -------
    DataArray ()
        0 to 1; NaN where a representation is constant. Constant units change nothing.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``cka``.

    References
    ----------
    Schoenemann 1966, Psychometrika 31:1; Williams et al. 2021, NeurIPS; Harvey, Larsen & Williams 2023,
    arXiv:2311.11436.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> round(float(procrustes(x, 2 * x[:, [2, 0, 1]] - 5)), 6)
    1.0
    """
    pair = as_pair(x, y)
    first, second = rescaled(centred(pair.x)), rescaled(centred(pair.y))
    lengths = _length(first), _length(second)
    value = float("nan")
    if all(lengths):
        value = min(_nuclear(first, second) / lengths[0] / lengths[1], 1.0)
    return pair.result(value, "procrustes")


def shape_distance(x: Any, y: Any, *, alpha: float = 1.0, kind: str = "angular") -> xr.DataArray:
    r"""Return the generalised shape distance of Williams et al.: a metric that forgets rotations.

    With :math:`\phi(X) = \tilde X (\alpha I + (1 - \alpha) (\tilde X' \tilde X)^{-1/2})`, partly whitened
    centred units,

    - ``angular``: :math:`\min_Q \arccos \langle \phi(X), \phi(Y) Q \rangle / (|\phi(X)| |\phi(Y)|)`;
    - ``euclidean``: :math:`\min_Q |\phi(X) - \phi(Y) Q|_F`,

    over orthogonal Q; the narrower representation is padded with zeros. ``alpha`` = 1 is Procrustes, 0
    compares the spanned spaces as CCA does (cosine :math:`\sum \rho / \sqrt{p q}` for ranks p, q), so that
    invertible linear maps change nothing; with no more stimuli than units it is then 0 by construction. For
    alphas between, the scale of the activations decides how much is whitened, since whitened units have
    length 1: bring representations to one scale first.

    Parameters
    ----------
    x, y : array or DataArray (n_stimuli, n_units)
    alpha : float
        0 to 1. Directions without variance are left out of whitening (pseudo-inverse).
    kind : {"angular", "euclidean"}
        ``angular`` forgets scale at alpha 0 and 1; ``euclidean`` at alpha 0.

    Returns
    -------
    DataArray ()
        ``angular``: radians, 0 to pi / 2. ``euclidean``: in units of the activations, for all stimuli
        together (not divided by their number). NaN where a representation is constant.

    Raises
    ------
    ShapeError, LabelError, InvalidValueError
        As in ``cka``; or alpha is not between 0 and 1, or the kind is unknown.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, NeurIPS, equations 8 to 10. Their package rescales the partly
    whitened units to the variance of X, which changes ``euclidean`` distances for alpha below 1 and no angle.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> round(float(shape_distance(x, x @ np.diag([1.0, 2.0, 3.0]), alpha=0.0)), 6)
    0.0
    """
    alpha = _check(alpha, kind)
    pair = as_pair(x, y)
    first, second = _embedded(pair.x, alpha, kind), _embedded(pair.y, alpha, kind)
    value = float("nan")
    if first.any() and second.any():
        value = _distance(first, second, kind)
    spans = len(pair.x) - 1
    both = alpha == 0 and first.shape[1] >= spans <= second.shape[1]
    degenerate = "0 by construction: both representations span all dimensions of the stimuli." if both else ""
    return pair.result(value, "shape_distance", degenerate=degenerate, alpha=alpha, kind=kind)


def bures_distance(x: Any, y: Any) -> xr.DataArray:
    r"""Return the Bures distance of the centred Gram matrices K and L of two representations.

    .. math:: d^2 = \operatorname{tr} K + \operatorname{tr} L - 2 \operatorname{tr} (K^{1/2} L K^{1/2})^{1/2}

    It is :math:`\min_Q |\tilde X - \tilde Y Q|_F`, the Euclidean shape distance at alpha 1, and keeps scale;
    the scale-free form is ``procrustes``. Parameters, errors and counts as in ``procrustes``.

    Returns
    -------
    DataArray ()
        In units of the activations. 0 where both are constant; the other's length where one is.

    References
    ----------
    Bhatia, Jain & Lim 2019, Expo Math 37:165; Harvey, Larsen & Williams 2023, arXiv:2311.11436.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> bool(np.isclose(bures_distance(x, 3 * x), 2 * np.linalg.norm(x - x.mean(axis=0))))
    True
    """
    pair = as_pair(x, y)
    return pair.result(_distance(centred(pair.x), centred(pair.y), "euclidean"), "bures_distance")


def shape_mean(
    representations: Mapping[str, Any] | Sequence[Any],
    *,
    alpha: float = 1.0,
    kind: str = "euclidean",
    tolerance: float = 1e-10,
    max_iterations: int = 500,
) -> xr.Dataset:
    r"""Return the Frechet mean of representations: the shape of least mean squared ``shape_distance``.

    Every representation is rotated to the current mean; the mean of the rotated ones is the next (on the
    sphere of shapes of length 1, for ``angular``, the mean of the tangents). The sum of squared distances
    falls in every ``euclidean`` round. It may end in a local minimum; the first representation is the start.

    Parameters
    ----------
    representations : mapping of name to array, or sequence of arrays (n_stimuli, n_units)
        At least one; aligned by stimulus where labelled. Constant ones are refused.
    alpha, kind
        As in ``shape_distance``.
    tolerance : float
        Rounds end where the mean moves by less than this share of its length.
    max_iterations : int

    Returns
    -------
    Dataset
        ``mean`` (stimulus, component), partly whitened features up to a rotation; ``distance``
        (representation,) to it; ``attrs``: ``n_iterations``, ``converged``.

    References
    ----------
    Gower 1975, Psychometrika 40:33 (euclidean); Williams et al. 2021, NeurIPS (angular).

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 3))
    >>> found = shape_mean({"a": x, "b": x[:, ::-1]})
    >>> found["distance"].values.round(6).tolist()
    [0.0, 0.0]
    """
    alpha = _check(alpha, kind)
    check_positive(tolerance, "tolerance")
    names, matrices, stimuli = _several(representations)
    shapes = [_embedded(matrix, alpha, kind) for matrix in matrices]
    for name, shape in zip(names, shapes, strict=True):
        if not shape.any():
            raise InvalidValueError(f"representation {name!r} is constant: it has no shape to average.")
    width = max(shape.shape[1] for shape in shapes)
    shapes = [np.pad(shape, ((0, 0), (0, width - shape.shape[1]))) for shape in shapes]
    mean, converged, n_done = shapes[0], False, 0
    while not converged and n_done < max_iterations:
        rotated = [_rotated(shape, mean) for shape in shapes]
        new = np.mean(rotated, axis=0) if kind == "euclidean" else _mean_on_sphere(rotated, mean)
        converged = bool(_length(new - mean) <= tolerance * _length(new))
        mean, n_done = new, n_done + 1
    distance = [_distance(shape, mean, kind) for shape in shapes]
    coords = {"stimulus": stimuli, "representation": names}
    return xr.Dataset(
        {"mean": (("stimulus", "component"), mean), "distance": ("representation", distance)},
        coords={name: value for name, value in coords.items() if value is not None},
        attrs={"alpha": alpha, "kind": kind, "n_iterations": n_done, "converged": int(converged)},
    )


def _several(representations: Any) -> tuple[list[Any], list[np.ndarray], np.ndarray | None]:
    mapped = isinstance(representations, Mapping)
    names = list(representations) if mapped else list(range(len(representations)))
    arrays = [representations[name] for name in names]
    if not arrays:
        raise ShapeError("no representation was given.")
    labelled = [isinstance(array, xr.DataArray) for array in arrays]
    if any(labelled) and not all(labelled):
        raise ShapeError("some representations have stimulus labels and some have not. Label all, or none.")
    stimuli = None
    if all(labelled):
        arrays = list(align(*arrays, names=[str(name) for name in names]))
        stimuli = arrays[0]["stimulus"].values
    matrices = [as_matrix(array, str(name)) for name, array in zip(names, arrays, strict=True)]
    sizes = {len(matrix) for matrix in matrices}
    if len(sizes) > 1:
        raise ShapeError(f"representations must have the same stimuli; got {sorted(sizes)} of them.")
    return names, matrices, stimuli


def _embedded(x: np.ndarray, alpha: float, kind: str) -> np.ndarray:
    """Return phi(X) up to a rotation of its units, of length 1 where the kind is angular."""
    x = centred(x)
    if alpha < 1:
        left, size, _ = np.linalg.svd(compact(x), full_matrices=False)
        kept = size > max(x.shape) * np.finfo(np.float64).eps * size.max(initial=0.0)
        if not kept.any():
            return np.zeros((len(x), 1))
        x = left[:, kept] * (alpha * size[kept] + 1 - alpha)
    if kind == "angular":
        x = rescaled(x)
        return x / (_length(x) or 1.0)
    return x


def _distance(x: np.ndarray, y: np.ndarray, kind: str) -> float:
    """Return the distance of centred features; for angular, of features of length 1."""
    total = _length(x) ** 2 + _length(y) ** 2
    squared = total - 2 * _nuclear(x, y)
    length = np.sqrt(max(squared, 0.0))
    if squared < CLOSE * total:
        x, y = _padded(compact(x), compact(y))
        length = _length(x - _rotated(y, x))
    return float(length if kind == "euclidean" else 2 * np.arcsin(min(length / 2, 1.0)))


def _nuclear(x: np.ndarray, y: np.ndarray) -> float:
    """Return the sum of singular values of x' y, from units or from stimuli, whichever are fewer."""
    x, y = compact(x), compact(y)
    if 0 in (x.shape[1], y.shape[1]):
        return 0.0
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum())


def _rotated(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return y (of x's shape) rotated to x as well as can be."""
    u, _, vh = np.linalg.svd(y.T @ x, full_matrices=False)
    return y @ (u @ vh)


def _padded(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = max(x.shape[1], y.shape[1])
    return np.pad(x, ((0, 0), (0, width - x.shape[1]))), np.pad(y, ((0, 0), (0, width - y.shape[1])))


def _mean_on_sphere(points: list[np.ndarray], mean: np.ndarray) -> np.ndarray:
    """Return one step of the mean of points of length 1: along the mean of their tangents."""
    tangent = np.zeros_like(mean)
    for point in points:
        apart = point - np.vdot(point, mean) * mean
        length = _length(apart)
        if length > 0:
            tangent += np.arctan2(length, np.vdot(point, mean)) / length * apart / len(points)
    step = _length(tangent)
    moved = mean if step == 0 else np.cos(step) * mean + np.sin(step) / step * tangent
    return moved / _length(moved)


def _length(x: np.ndarray) -> float:
    return float(np.sqrt(np.vdot(x, x)))


def _check(alpha: float, kind: str) -> float:
    if kind not in KINDS:
        raise choice(kind, KINDS, name="kind")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 <= alpha <= 1:
        raise InvalidValueError(f"alpha must be between 0 and 1; got {alpha!r}.")
    return float(alpha)
