"""How much of a representation's variance the features of its stimuli explain: alone, uniquely, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..arrays import as_float
from ..errors import InvalidValueError, ShapeError
from ..stats import p_value, permutation, shuffle
from .inputs import Patterns, as_patterns, centred, coordinate, count, is_dead

__all__ = ["variance_explained"]

# Directions of a design below this share of its largest singular value are rounding.
TOLERANCE = 1e-10


def variance_explained(
    activations: xr.DataArray,
    features: Sequence[str] | Mapping[str, Any],
    *,
    standardize: bool = False,
    n_permutations: int = 0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Return which share of a representation's variance each feature of the stimuli explains.

    All units are regressed on the features (least squares, with an intercept). With the fitted values
    :math:`\hat X` and the unit means :math:`\bar X`

    .. math:: R^2 = |\hat X - \bar X|^2 / |X - \bar X|^2

    summed over stimuli and units, so that a unit counts by its variance. Of each feature:

    - ``alone``: R2 of this feature by itself;
    - ``unique``: R2 of all features, less R2 of all but this one;
    - ``sequential``: what R2 gains when this feature joins those before it, in the order given. These add up
      to ``joint``, R2 of all.

    With independent features in a balanced design the three agree. ``adjusted`` is ``alone`` corrected for
    the r columns that a feature has, :math:`1 - (1 - R^2)(n - 1) / (n - 1 - r)`: 0 on average for a feature
    that explains nothing, where R2 itself is r / (n - 1).

    A share of variance is no measure of use: two features that a network computes and outputs equally well
    may differ in it many times over (Lampinen et al. 2024), and so will what RSA and regression see.

    Parameters
    ----------
    activations : DataArray (..., stimulus, unit) or (..., stimulus, neuroid)
        Finite. Every entry of the leading dims is measured for itself.
    features : sequence of str, or mapping of name to str or DataArray
        Coordinates of the stimuli, or arrays (stimulus,) or (stimulus, column), aligned by label. Text and
        booleans are classes, numbers are taken as they are (one straight line): pass classes as text.
    standardize : bool
        Whether units are z-scored first, so that each counts the same. Dead units are left out.
    n_permutations : int
        Draws for p; none where 0.
    rng : numpy.random.Generator, optional

    Returns
    -------
    Dataset
        ``alone``, ``adjusted``, ``unique``, ``sequential`` (..., feature); ``joint`` (...). NaN where no unit
        varies; ``unique``, ``sequential`` and ``joint`` are NaN where all features together have as many
        columns as there are stimuli less one (any data would be fitted), ``alone`` and ``adjusted`` where one
        feature has; ``attrs["n_undefined"]`` counts NaN in ``alone`` and ``unique``. ``n_columns`` (feature,)
        is r. With permutations ``p_alone`` and ``p_unique`` (..., feature), by the ratio of what the feature
        explains to what is left. For ``p_unique`` the residuals of the other features are permuted, and the
        other features are taken out of them again (Freedman & Lane).

    Raises
    ------
    ShapeError, LabelError
        If dims or labels are missing or differ, or no feature is given.
    InvalidValueError
        If a value is not finite, or a feature is the same for all stimuli.

    References
    ----------
    Lampinen, Chan & Hermann 2024, Transactions on Machine Learning Research, "Learned feature representations
    are biased by complexity, learning order, position, and more" (R2 of one feature); Winkler et al. 2014,
    NeuroImage 92:381 (permutations).

    Examples
    --------
    >>> patterns = xr.DataArray(
    ...     [[3.0, 1.0], [3.0, -1.0], [-3.0, 1.0], [-3.0, -1.0]], dims=("stimulus", "unit"),
    ...     coords={"stimulus": list("abcd"), "size": ("stimulus", ["big", "big", "small", "small"]),
    ...             "hue": ("stimulus", ["red", "blue", "red", "blue"])})
    >>> variance_explained(patterns, ["size", "hue"]).alone.values.round(3).tolist()
    [0.9, 0.1]
    """
    n_permutations = count(n_permutations, "n_permutations", least=0)
    patterns = as_patterns(activations, least=3)
    designs = _designs(patterns, features)
    names = list(designs)
    bases = _Bases.of(list(designs.values()))
    prepared = [_prepared(x, standardize) for x in patterns.values]
    table = np.array([_shares(x, bases) for x in prepared])
    table = table.reshape([*(patterns.array.sizes[dim] for dim in patterns.leading), *table.shape[1:]])
    coords = {"feature": names}
    alone, unique, sequential = table[..., 0, :], table[..., 1, :], table[..., 2, :]
    n, columns = patterns.values.shape[1], np.array([basis.shape[1] for basis in bases.alone])
    out = {
        "alone": patterns.labelled(alone, ["feature"], coords=coords),
        "adjusted": patterns.labelled(_adjusted(alone, n, columns), ["feature"], coords=coords),
        "unique": patterns.labelled(unique, ["feature"], coords=coords),
        "sequential": patterns.labelled(sequential, ["feature"], coords=coords),
        # A gain of 0 is no gap: sums skip nothing, so that an undefined one leaves the joint share undefined.
        "joint": patterns.labelled(sequential.sum(axis=-1)),
        "n_columns": xr.DataArray(columns, dims="feature", coords=coords),
    }
    if n_permutations:
        found = _tested(prepared, bases, n_permutations, rng)
        for row, name in enumerate(("p_alone", "p_unique")):
            p = np.where(np.isnan(table[..., row, :]), np.nan, found[:, row].reshape(alone.shape))
            out[name] = patterns.labelled(p, ["feature"], coords=coords)
    n_dead = sum(int(is_dead(x).sum()) for x in patterns.values)
    n_undefined = int(np.isnan(alone).sum() + np.isnan(unique).sum())
    attrs = {"n_stimuli": n, "n_dead": n_dead, "n_undefined": n_undefined, "standardized": int(standardize)}
    return xr.Dataset(out, attrs=attrs)


class _Bases:
    """Orthonormal bases of centred designs: of each feature, of the others, of those before it, of all."""

    def __init__(self, designs: list[np.ndarray]) -> None:
        self.alone = [_basis(design) for design in designs]
        self.others, self.before = [], []
        for i in range(len(designs)):
            rest, first = designs[:i] + designs[i + 1 :], designs[:i]
            self.others.append(_basis(np.hstack(rest)) if rest else np.zeros((len(designs[0]), 0)))
            self.before.append(_basis(np.hstack(first)) if first else np.zeros((len(designs[0]), 0)))
        self.all = _basis(np.hstack(designs))

    @classmethod
    def of(cls, designs: list[np.ndarray]) -> _Bases:
        return cls(designs)

    @property
    def saturated(self) -> bool:
        """Whether all features together fit anything."""
        return self.all.shape[1] >= len(self.all) - 1


def _designs(patterns: Patterns, features: Any) -> dict[str, np.ndarray]:
    """Return each feature's centred columns (n_stimuli, n_columns)."""
    if isinstance(features, str):
        features = [features]
    given = dict(features) if isinstance(features, Mapping) else {name: name for name in features}
    if not given:
        raise ShapeError("features must name at least one feature.")
    return {str(name): _design(patterns, value, str(name)) for name, value in given.items()}


def _design(patterns: Patterns, value: Any, name: str) -> np.ndarray:
    if isinstance(value, xr.DataArray) and value.ndim == 2:
        column = next((dim for dim in value.dims if dim != patterns.on), None)
        parts = [
            coordinate(patterns, value.isel({column: i}, drop=True), name=name)
            for i in range(value.sizes[column])
        ]
        values = as_float(np.stack(parts, axis=1), name=name)
    else:
        values = coordinate(patterns, value, name=name)
        if values.dtype.kind in "fiu":
            values = as_float(values, name=name)[:, None]
        else:
            values = np.eye(len(np.unique(values)))[np.unique(values, return_inverse=True)[1]]
    design = centred(values)
    if not design.any():
        raise InvalidValueError(f"feature {name!r} is the same for all stimuli; leave it out.")
    return design


def _basis(design: np.ndarray) -> np.ndarray:
    scale = np.sqrt((design**2).sum(axis=0))
    left, singular, _ = np.linalg.svd(design / np.where(scale > 0, scale, 1.0), full_matrices=False)
    return left[:, singular > TOLERANCE * singular[0]]


def _prepared(x: np.ndarray, standardize: bool) -> np.ndarray:
    """Return centred patterns with at most as many columns as stimuli: a rotation changes no share."""
    x = centred(x)
    if standardize:
        x = x[:, x.any(axis=0)]
        x = x / np.sqrt((x**2).mean(axis=0))
    x = x / (np.abs(x).max(initial=0.0) or 1.0)
    n, d = x.shape
    return x if d <= n else np.asarray(np.linalg.qr(x.T, mode="r")).T


def _explained(x: np.ndarray, basis: np.ndarray) -> float:
    return float(((basis.T @ x) ** 2).sum())


def _shares(x: np.ndarray, bases: _Bases) -> np.ndarray:
    """Return alone, unique, sequential (3, n_features)."""
    total = float((x**2).sum())
    n_features = len(bases.alone)
    if total == 0:
        return np.full((3, n_features), np.nan)
    out, n = np.full((3, n_features), np.nan), len(x)
    joint = _explained(x, bases.all)
    steps = [_explained(x, basis) for basis in bases.before] + [joint]
    for i, basis in enumerate(bases.alone):
        if basis.shape[1] < n - 1:
            out[0, i] = _explained(x, basis) / total
        if not bases.saturated:
            out[1, i] = (joint - _explained(x, bases.others[i])) / total
            out[2, i] = (steps[i + 1] - steps[i]) / total
    return out


def _adjusted(share: np.ndarray, n: int, columns: np.ndarray) -> np.ndarray:
    left = np.where(n - 1 - columns > 0, n - 1 - columns, np.nan)
    return 1 - (1 - share) * (n - 1) / left


def _tested(patterns: list[np.ndarray], bases: _Bases, n: int, rng: Any) -> np.ndarray:
    """Return p alone and unique (n_leading, 2, n_features); one order of stimuli serves all."""
    nothing = np.zeros((len(bases.all), 0))
    jobs = [(nothing, basis) for basis in bases.alone]
    jobs += [(other, bases.all) for other in bases.others]
    left = [[x - reduced @ (reduced.T @ x) for reduced, _ in jobs] for x in patterns]

    def statistic(order: np.ndarray) -> np.ndarray:
        return np.array(
            [[_ratio(part[order], *job) for part, job in zip(parts, jobs, strict=True)] for parts in left]
        )

    observed = statistic(np.arange(len(bases.all)))
    null = permutation(statistic, n, permute=lambda rng: shuffle(len(bases.all), rng), rng=rng)
    return p_value(observed, null).reshape(len(patterns), 2, -1)


def _ratio(x: np.ndarray, reduced: np.ndarray, full: np.ndarray) -> float:
    """Return what the full basis explains beyond the reduced one, over what it leaves."""
    total, first, both = float((x**2).sum()), _explained(x, reduced), _explained(x, full)
    remaining = total - both
    return (both - first) / remaining if remaining > 1e-12 * total else float("nan")
